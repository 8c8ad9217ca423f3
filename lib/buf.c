#include "buf.h"

#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST = 256 };

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

/* The capacity that holds need bytes, doubled so that adding stays linear. */
static size_t
larger(const struct buf *b, size_t need)
{
	size_t cap = b->cap > b->max / 2 ? b->max : b->cap * 2;

	if (cap < BUF_FIRST)
		cap = b->max < BUF_FIRST ? b->max : BUF_FIRST;
	if (cap < need)
		cap = need;
	/* realloc(p, 0) may free p */
	return cap == 0 ? 1 : cap;
}

char *
buf_room(struct buf *b, size_t n)
{
	if (b->failed)
		return NULL;
	if (n > b->max - b->n) {
		b->failed = true;
		return NULL;
	}
	if (b->p == NULL || n > b->cap - b->n) {
		size_t cap = larger(b, b->n + n);
		char *p = realloc(b->p, cap);

		if (p == NULL) {
			b->failed = true;
			return NULL;
		}
		b->p = p;
		b->cap = cap;
	}
	return b->p + b->n;
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	char *room;

	if (n == 0)
		return;
	room = buf_room(b, n);
	if (room == NULL)
		return;
	memcpy(room, p, n);
	b->n += n;
}

void
buf_add_span(struct buf *b, struct span s)
{
	buf_add(b, s.p, s.n);
}

void
buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_add_char(struct buf *b, char c)
{
	if (!b->failed && b->n < b->cap) /* as text is added, byte by byte */
		b->p[b->n++] = c;
	else
		buf_add(b, &c, 1);
}

void
buf_add_number(struct buf *b, uint64_t n)
{
	char digits[20]; /* of UINT64_MAX */
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	buf_add(b, digits + at, sizeof(digits) - at);
}

void
buf_drop(struct buf *b, size_t n)
{
	if (n == 0)
		return;
	b->n -= n;
	memmove(b->p, b->p + n, b->n);
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->failed = false;
}

struct span
buf_span(const struct buf *b)
{
	/* an empty buffer is empty, not absent */
	return (struct span){ b->p == NULL ? "" : b->p, b->n };
}

void
buf_free(struct buf *b)
{
	free(b->p);
	buf_init(b, b->max);
}
