/*
 * span: bytes that somebody else owns.  No terminator, no allocation.
 */
#ifndef SPAN_H
#define SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* p == NULL: absent, which is not the same as empty. */
struct span {
	const char *p;
	size_t n;
};

/* A string literal's bytes. */
#define SPAN(literal) ((struct span){ (literal), sizeof(literal) - 1 })

/* A C string's bytes; NULL gives an absent span. */
static inline struct span
span_of(const char *s)
{
	return (struct span){ s, s == NULL ? 0 : strlen(s) };
}

/* The same bytes.  An absent span equals nothing, not even another one. */
static inline bool
span_eq(struct span a, struct span b)
{
	return a.p != NULL && b.p != NULL && a.n == b.n &&
	    memcmp(a.p, b.p, a.n) == 0;
}

/* The same bytes but for the case of ASCII letters, in any locale. */
bool span_caseeq(struct span a, struct span b);

/* s begins with prefix, byte for byte. */
static inline bool
span_starts(struct span s, struct span prefix)
{
	return s.p != NULL && prefix.p != NULL && s.n >= prefix.n &&
	    memcmp(s.p, prefix.p, prefix.n) == 0;
}

/* s without its first n bytes; n must not be more than s.n. */
static inline struct span
span_skip(struct span s, size_t n)
{
	/* NULL + 0 is undefined in C11 */
	if (n == 0)
		return s;
	return (struct span){ s.p + n, s.n - n };
}

/* How many bytes n of them are. */
static inline size_t
span_total(const struct span v[], size_t n)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += v[i].n;
	return total;
}

/* s less the spaces and tabs at both of its ends. */
struct span span_trim(struct span s);

/*
 * Cuts the next piece off *rest at sep and hands it out in *piece, which may
 * be empty.  False where nothing is left.  "a,,b" gives a, an empty piece, b;
 * an empty or absent span gives no piece at all; "a," gives a and an empty one
 * (which, as what *rest then holds, points outside the text).  *rest is absent
 * once sep was not found: "a" leaves it absent, "a," present and empty.
 */
bool span_cut(struct span *rest, char sep, struct span *piece);

/*
 * The next word of a list that is separated by blanks, tabs, commas, or any
 * number of them [SPEC 6.5].  False where no word is left.
 */
bool span_word(struct span *rest, struct span *word);

/*
 * A decimal number: digits alone, no sign, no blank.  False where s is no such
 * number or is above max; *out is then left alone.
 */
bool span_number(struct span s, uint64_t max, uint64_t *out);

/*
 * Takes the escape that *s begins with off it, "%2F" (RFC 3986 2.1): its byte,
 * or -1 where that is none, and *s is left alone.
 */
int span_escape(struct span *s);

/*
 * A printable byte that may stand in a header field, a log line or an address
 * without doubt: 0x21 to 0x7E.
 */
static inline bool
span_graph(char c)
{
	return c >= 0x21 && c <= 0x7E;
}

/* An ASCII letter in lower case; any other byte as it is. */
static inline char
span_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

#endif
