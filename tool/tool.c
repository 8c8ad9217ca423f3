#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "logline.h"

static const char *command = "";

void
tool_set_name(const char *name)
{
	command = name;
}

int
tool_fail(int status, const char *fmt, ...)
{
	char text[4096], room[4 * sizeof(text)]; /* \xHH each */
	struct buf line;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* also where memory is out */
	buf_init_in(&line, sizeof(room), room, sizeof(room));
	logline_escape(&line, LOGLINE_TEXT, span_of(text));
	fflush(stdout);
	fprintf(stderr, "amp-cors %s: %.*s\n", command, (int)line.n, line.p);
	buf_free(&line);
	return status;
}

int
tool_usage(bool help, const char *usage)
{
	fputs(usage, help ? stdout : stderr);
	return help ? EX_OK : EX_USAGE;
}

bool
tool_colours(FILE *f)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return (no == NULL || *no == '\0') && term != NULL &&
	    strcmp(term, "dumb") != 0 && isatty(fileno(f));
}

size_t
tool_utf8(struct span s)
{
	static const struct {
		unsigned char from, to, low, high; /* of the second byte */
		size_t n;
	} kinds[] = {
		{ 0x20, 0x7f, 0, 0, 1 },
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	const unsigned char *p = (const unsigned char *)s.p;
	size_t k = 0, n;

	while (k < sizeof(kinds) / sizeof(kinds[0]) &&
	    (p[0] < kinds[k].from || p[0] > kinds[k].to))
		k++;
	if (k == sizeof(kinds) / sizeof(kinds[0]) || kinds[k].n > s.n)
		return 0;
	n = kinds[k].n;
	if (n > 1 && (p[1] < kinds[k].low || p[1] > kinds[k].high))
		return 0;
	for (size_t i = 2; i < n; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return n;
}

/* What n bytes of UTF-8 stand for; of no more than three of them. */
static unsigned
code_point(struct span s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s.p;

	switch (n) {
	case 0: /* also a control byte, which ASCII has */
		return p[0] < 0x20 ? p[0] : 0x10000;
	case 1:
		return p[0];
	case 2:
		return (p[0] & 0x1fU) << 6 | (p[1] & 0x3fU);
	case 3:
		return (p[0] & 0x0fU) << 12 | (p[1] & 0x3fU) << 6 |
		    (p[2] & 0x3fU);
	default:
		return 0x10000; /* whatever: none of those is looked for */
	}
}

/* Controls of terminals, lines that end unseen, directions of writing. */
static bool
is_steering(unsigned c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) ||
	    (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void
add_escape(struct buf *out, unsigned c)
{
	char escape[sizeof("\\u0000")];

	snprintf(escape, sizeof(escape), "\\u%04x", c & 0xffffU);
	buf_add_str(out, escape);
}

void
tool_json(struct buf *out, struct span s)
{
	buf_add_char(out, '"');
	while (s.n > 0) {
		size_t n = tool_utf8(s);
		unsigned c = code_point(s, n);

		if (is_steering(c) || c == '"' || c == '\\')
			add_escape(out, c);
		else if (n == 0)
			buf_add_str(out, "\\ufffd");
		else
			buf_add(out, s.p, n);
		s = span_skip(s, n > 0 ? n : 1);
	}
	buf_add_char(out, '"');
}

int
tool_print(struct buf *b)
{
	bool failed = b->failed;
	size_t n = failed || b->n == 0 ? 0 : fwrite(b->p, 1, b->n, stdout);
	bool written = n == b->n && fflush(stdout) == 0;
	int error = errno;

	buf_free(b);
	if (failed)
		return tool_fail(EX_OSERR, "out of memory");
	if (!written)
		return tool_fail(EX_IOERR, "standard output: %s",
		    strerror(error));
	return EX_OK;
}
