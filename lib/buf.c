#include "buf.h"

#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST = 256 };

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void
buf_init_in(struct buf *b, size_t max, char *room, size_t size)
{
	*b = (struct buf){
		.p = room,
		.cap = size < max ? size : max,
		.max = max,
		.lent = true,
	};
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

static bool
grow(struct buf *b, size_t cap)
{
	char *p = realloc(b->lent ? NULL : b->p, cap);

	if (p == NULL)
		return false;
	if (b->lent && b->p != NULL)
		memcpy(p, b->p, b->n);
	b->lent = false;
	b->p = p;
	b->cap = cap < b->max ? cap : b->max;
	return true;
}

char *
buf_more(struct buf *b, size_t n)
{
	if (b->failed)
		return NULL;
	b->failed = n > b->max - b->n ||
	    ((b->p == NULL || n > b->cap - b->n) &&
		!grow(b, larger(b, b->n + n)));
	return b->failed ? NULL : b->p + b->n;
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

void
buf_free(struct buf *b)
{
	if (!b->lent)
		free(b->p);
	buf_init(b, b->max);
}
