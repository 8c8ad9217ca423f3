/*
 * What an <amp-list> asks for: one GET, answered with JSON {"items":[...]}.
 *
 *	cc -O2 -o list list.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct item {
	const char *title;
	const char *price;
} items[] = {
	{ "Tea", "2.50" },
	{ "Crème brûlée", "4.00" },
	{ "\"Black \\ White\" cake", "3.20" },
};

/* Writes a string, which must be UTF-8, as JSON. */
static void
put_string(const char *s)
{
	putchar('"');
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			putchar('\\');
		if (c < 0x20)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void
put_items(void)
{
	printf("Content-Type: application/json\n\n{\"items\":[");
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		printf("%s{\"title\":", i > 0 ? "," : "");
		put_string(items[i].title);
		printf(",\"price\":");
		put_string(items[i].price);
		putchar('}');
	}
	printf("]}\n");
}

int
main(void)
{
	const char *method = getenv("REQUEST_METHOD");

	if (method != NULL &&
	    (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0))
		put_items();
	else
		printf("Status: 405 Method Not Allowed\n"
		       "Allow: GET, HEAD\n"
		       "Content-Type: application/json\n\n"
		       "{\"error\":{\"code\":\"bad-method\","
		       "\"message\":\"GET alone.\"}}\n");
	return 0;
}
