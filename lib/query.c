#include "query.h"

/* The next decoded byte of *rest, which must not be empty. */
static bool
take(struct span *rest, char *c)
{
	int byte;

	*c = rest->p[0];
	if (*c != '%') {
		*rest = span_skip(*rest, 1);
		return true;
	}
	byte = span_escape(rest);
	*c = (char)byte;
	return byte > 0; /* nor a NUL */
}

static enum query_result
decode(struct span in, char *out, size_t size, size_t *n)
{
	size_t len = 0;
	char c;

	/* past the end of out too: a bad escape there is still a bad one */
	for (; in.n > 0; len++) {
		if (!take(&in, &c))
			return QUERY_BAD_ENCODING;
		if (len < size)
			out[len] = c;
	}
	if (len > size)
		return QUERY_TOO_LONG;
	*n = len;
	return QUERY_FOUND;
}

bool
query_decode(struct span in, char *out, size_t size, size_t *n)
{
	return decode(in, out, size, n) == QUERY_FOUND;
}

static bool
name_is(struct span raw, struct span name)
{
	char c;

	for (size_t i = 0; i < name.n; i++)
		if (raw.n == 0 || !take(&raw, &c) || c != name.p[i])
			return false;
	return raw.n == 0;
}

enum query_result
query_get(struct span query, struct span name, char *out, size_t size,
    size_t *n)
{
	struct span pair, key, value = { NULL, 0 };
	bool seen = false;

	while (span_cut(&query, '&', &pair)) {
		if (!span_cut(&pair, '=', &key) || !name_is(key, name))
			continue;
		if (seen)
			return QUERY_REPEATED;
		seen = true;
		value = pair;
	}
	return value.n == 0 ? QUERY_ABSENT : decode(value, out, size, n);
}
