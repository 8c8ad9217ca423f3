#include "span.h"

#include <string.h>

/*
 * Where span_cut() stands after a separator that ended the text: an empty
 * piece is still to come, which an empty span alone could not say.
 */
static const char last_piece[] = "";

bool
span_caseeq(struct span a, struct span b)
{
	if (a.p == NULL || b.p == NULL || a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (span_lower(a.p[i]) != span_lower(b.p[i]))
			return false;
	return true;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct span
span_trim(struct span s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = span_skip(s, 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool
span_cut(struct span *rest, char sep, struct span *piece)
{
	const char *end;

	if (rest->n == 0 && rest->p != last_piece)
		return false;
	*piece = *rest;
	end = memchr(rest->p, sep, rest->n);
	if (end == NULL) {
		*rest = (struct span){ NULL, 0 };
		return true;
	}
	piece->n = (size_t)(end - rest->p);
	*rest = span_skip(*rest, piece->n + 1);
	if (rest->n == 0)
		rest->p = last_piece;
	return true;
}

static bool
is_separator(char c)
{
	return is_blank(c) || c == ',';
}

bool
span_word(struct span *rest, struct span *word)
{
	struct span s = *rest;
	size_t n = 0;

	while (s.n > 0 && is_separator(s.p[0]))
		s = span_skip(s, 1);
	while (n < s.n && !is_separator(s.p[n]))
		n++;
	*rest = span_skip(s, n);
	if (n == 0)
		return false;
	*word = (struct span){ s.p, n };
	return true;
}

bool
span_number(struct span s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';

		if (digit > 9 || digit > max || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return true;
}

static int
hex(char c)
{
	c = span_lower(c);
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
span_escape(struct span *s)
{
	int high, low;

	if (s->n < 3 || *s->p != '%')
		return -1;
	high = hex(s->p[1]);
	low = hex(s->p[2]);
	if (high < 0 || low < 0)
		return -1;
	*s = span_skip(*s, 3);
	return high << 4 | low;
}
