/*
 * buf: bytes that we own, growing up to a ceiling that its maker sets once.
 *
 * A buffer that could not grow, for want of memory or because it would pass
 * its ceiling, is marked as failed and takes nothing more: its user adds
 * without looking and asks once, at the end.
 */
#ifndef BUF_H
#define BUF_H

#include "span.h"

struct buf {
	char *p;    /* NULL until the first byte */
	size_t n;   /* bytes in it */
	size_t cap; /* bytes allocated */
	size_t max; /* the ceiling */
	bool failed;
	bool lent; /* p is the room of buf_init_in() */
};

/* An empty buffer that will hold at most max bytes.  Allocates nothing. */
void buf_init(struct buf *b, size_t max);

/*
 * The same, with its first bytes in the caller's room, which is at least as
 * long-lived; what does not fit there is allocated.
 */
void buf_init_in(struct buf *b, size_t max, char *room, size_t size);

/*
 * Appends n bytes, all or none: past the ceiling, or out of memory, b is
 * marked as failed.  A failed buffer takes no more.
 */
static inline void buf_add(struct buf *b, const void *p, size_t n);
static inline void buf_add_span(struct buf *b, struct span s);
static inline void buf_add_str(struct buf *b, const char *s);
static inline void buf_add_char(struct buf *b, char c);
void buf_add_number(struct buf *b, uint64_t n);

/*
 * Room for n more bytes behind the last one, to be written by the caller, who
 * then adds to b->n what was used.  NULL where it cannot be had (b is marked).
 */
static inline char *buf_room(struct buf *b, size_t n);

/* Takes the first n bytes out; the rest moves to the front. */
void buf_drop(struct buf *b, size_t n);

/* Empties b and takes the mark off, but keeps its memory. */
void buf_clear(struct buf *b);

/* What is in it; valid until it is next changed. */
static inline struct span
buf_span(const struct buf *b)
{
	if (b->p == NULL) /* an empty buffer is empty, not absent */
		return (struct span){ "", 0 };
	return (struct span){ b->p, b->n };
}

/* Frees what b holds; b is then as after buf_init().  Twice does no harm. */
void buf_free(struct buf *b);

/* --- the quick ways, where there is room already --- */

/* buf_room() where there may be none yet. */
char *buf_more(struct buf *b, size_t n);

static inline char *
buf_room(struct buf *b, size_t n)
{
	if (b->failed || b->p == NULL || n > b->cap - b->n)
		return buf_more(b, n);
	return b->p + b->n;
}

static inline void
buf_add(struct buf *b, const void *p, size_t n)
{
	char *room = p == NULL || n == 0 ? NULL : buf_room(b, n);

	if (room == NULL)
		return;
	memcpy(room, p, n);
	b->n += n;
}

static inline void
buf_add_span(struct buf *b, struct span s)
{
	buf_add(b, s.p, s.n);
}

static inline void
buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

static inline void
buf_add_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

#endif
