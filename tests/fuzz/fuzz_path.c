/*
 * path: a path of a URL, cut in two by the first byte, says of itself what its
 * decoded form says, and what a plain reader makes of that.
 */
#include "fuzz.h"

#include <string.h>

#include "path.h"

enum { LONG = 4096 };

static int
hex(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c == '\0' ? NULL : strchr(digits, span_lower(c));

	return at == NULL ? -1 : (int)(at - digits);
}

static bool
is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

/* False where an escape is none, or what it stands for may not be in a URI. */
static bool
decode(struct span s, char *out, size_t *n)
{
	*n = 0;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '#')
			return false;
		if (c == '%') {
			if (s.n - i < 3 || hex(s.p[i + 1]) == -1 ||
			    hex(s.p[i + 2]) == -1)
				return false;
			c = (char)(hex(s.p[i + 1]) * 16 + hex(s.p[i + 2]));
			i += 2;
		}
		if (is_control(c))
			return false;
		out[(*n)++] = c;
	}
	return true;
}

/* As SPEC 2.1 says it, segment by segment. */
static bool
is_plain(struct span s)
{
	size_t from = 0;

	if (s.n > 0 && memchr(s.p, '\0', s.n) != NULL)
		return false;
	for (size_t i = 0; i <= s.n; i++) {
		struct span segment = { s.p + from, i - from };

		if (i < s.n && s.p[i] != '/')
			continue;
		if (span_eq(segment, SPAN(".")) ||
		    span_eq(segment, SPAN("..")) ||
		    (segment.n == 0 && from > 0 && i < s.n))
			return false;
		from = i + 1;
	}
	return true;
}

static bool
is_below(struct span s, const char *top)
{
	size_t n = strlen(top);

	return n == 0 ||
	    (s.n >= n && memcmp(s.p, top, n) == 0 &&
		(s.n == n || s.p[n] == '/'));
}

/* Two paths that must be the same one. */
static void
check_same(const struct path *p, struct span decoded, size_t cut)
{
	const struct path plain = {
		.head = { decoded.p, cut },
		.tail = { decoded.p + cut, decoded.n - cut },
	};
	bool rooted = decoded.n > 0 && decoded.p[0] == '/';
	char top[LONG];

	FUZZ_HOLDS(path_is_plain(&plain) == is_plain(decoded));
	FUZZ_HOLDS(path_is_plain(p) == (rooted && is_plain(decoded)));
	for (size_t i = 0; i <= decoded.n; i++) {
		memcpy(top, decoded.p, i);
		top[i] = '\0';
		if (strlen(top) < i)
			return;
		FUZZ_HOLDS(
		    path_is_below(&plain, top) == is_below(decoded, top));
		FUZZ_HOLDS(path_is_below(p, top) == is_below(decoded, top));
		top[i] = '~';
		top[i + 1] = '\0';
		FUZZ_HOLDS(path_is_below(p, top) == is_below(decoded, top));
	}
}

static void
check_uri(struct span uri)
{
	struct span query;
	struct path p = path_of_uri(uri, &query);

	FUZZ_HOLDS(p.encoded && p.tail.n == 0);
	/* of one with a '#' in it, all is the path */
	FUZZ_HOLDS(p.head.n == 0 || memchr(p.head.p, '?', p.head.n) == NULL ||
	    memchr(p.head.p, '#', p.head.n) != NULL);
	FUZZ_HOLDS((query.p == NULL) == (query.n == 0));
	if (query.n == 0)
		FUZZ_HOLDS(uri.n - p.head.n <= 1);
	else
		FUZZ_HOLDS(p.head.n + 1 + query.n == uri.n &&
		    query.p + query.n == uri.p + uri.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct path p = { .encoded = true };
	char decoded[LONG];
	struct span s;
	size_t n;

	if (size == 0 || size > LONG - 2)
		return 0;
	s = (struct span){ (const char *)data + 1, size - 1 };
	check_uri(s);
	p.head = s;
	if (decode(s, decoded, &n))
		check_same(&p, (struct span){ decoded, n }, data[0] % (n + 1));
	else
		FUZZ_HOLDS(!path_is_plain(&p));
	return 0;
}
