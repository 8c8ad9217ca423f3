/*
 * What an <amp-form> sends to: a POST of application/x-www-form-urlencoded with
 * the field "comment".  Answered with 200, or with 422 and what is wrong.
 *
 *	cc -O2 -o form form.c
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LIMIT 4096
#define TYPE "application/x-www-form-urlencoded"

static const char *
variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL ? value : "";
}

static int
fail(const char *status, const char *code, const char *message)
{
	printf("Status: %s\nContent-Type: application/json\n\n"
	       "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}\n",
	    status, code, message);
	return 0;
}

static int
hex(int c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c != 0 ? strchr(digits, tolower(c)) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/*
 * Decodes in place: + is a blank, a % without two hex digits stays a %.  What
 * comes out may hold NULs; its length is returned.
 */
static size_t
decode(unsigned char *s, size_t n)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++) {
		int c = s[i];

		if (c == '+') {
			c = ' ';
		} else if (c == '%' && i + 2 < n && hex(s[i + 1]) >= 0 &&
		    hex(s[i + 2]) >= 0) {
			c = hex(s[i + 1]) * 16 + hex(s[i + 2]);
			i += 2;
		}
		s[to++] = (unsigned char)c;
	}
	return to;
}

/* The first field of a name, in the body, decoded; NULL: there is none. */
static unsigned char *
field(unsigned char *body, size_t size, const char *name, size_t *length)
{
	unsigned char *end = body + size;

	while (body < end) {
		unsigned char *next = memchr(body, '&', (size_t)(end - body));
		unsigned char *stop = next != NULL ? next : end;
		unsigned char *is = memchr(body, '=', (size_t)(stop - body));

		if (is != NULL &&
		    decode(body, (size_t)(is - body)) == strlen(name) &&
		    memcmp(body, name, strlen(name)) == 0) {
			*length = decode(is + 1, (size_t)(stop - is - 1));
			return is + 1;
		}
		body = stop < end ? stop + 1 : end;
	}
	return NULL;
}

/* The length of the character at s (RFC 3629); 0: it is no UTF-8. */
static size_t
character(const unsigned char *s, size_t n)
{
	size_t length = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (length == 1)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4 || n < length)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return length;
}

/* How many characters there are; 0: not all of it is UTF-8. */
static size_t
characters(const unsigned char *s, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; count++) {
		size_t length = character(s + i, n - i);

		if (length == 0)
			return 0;
		i += length;
	}
	return count;
}

/* Writes UTF-8 as a JSON string. */
static void
put_string(const unsigned char *s, size_t n)
{
	putchar('"');
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '"' || s[i] == '\\')
			putchar('\\');
		if (s[i] < 0x20)
			printf("\\u%04x", s[i]);
		else
			putchar(s[i]);
	}
	putchar('"');
}

static int
take(unsigned char *body, size_t size)
{
	size_t n = 0;
	const unsigned char *comment = field(body, size, "comment", &n);
	size_t count = comment != NULL ? characters(comment, n) : 0;
	const char *sender = variable("AMP_CORS_SENDER");

	if (count < 1 || count > 200)
		return fail("422 Unprocessable Content", "bad-comment",
		    "Please write 1 to 200 characters.");
	/* Here it would be kept. */
	printf("Content-Type: application/json\n\n{\"comment\":");
	put_string(comment, n);
	printf(",\"sender\":");
	put_string((const unsigned char *)sender, strlen(sender));
	printf("}\n");
	return 0;
}

int
main(void)
{
	static unsigned char body[LIMIT];
	const char *type = variable("CONTENT_TYPE");
	size_t size = strtoul(variable("CONTENT_LENGTH"), NULL, 10);

	if (strcmp(variable("REQUEST_METHOD"), "POST") != 0)
		return fail("405 Method Not Allowed\nAllow: POST", "bad-method",
		    "POST alone.");
	if (strncasecmp(type, TYPE, strlen(TYPE)) != 0 ||
	    strchr("; ", type[strlen(TYPE)]) == NULL)
		return fail("415 Unsupported Media Type", "bad-type",
		    "A form alone.");
	if (size > LIMIT)
		return fail("413 Content Too Large", "too-large",
		    "That is too long.");
	return take(body, fread(body, 1, size, stdin));
}
