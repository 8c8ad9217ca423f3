/*
 * answer: what a forward makes of a backend's bytes, as text, whichever way
 * they are split; used by its test and by its fuzz target.
 */
#ifndef ANSWER_H
#define ANSWER_H

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forward.h"
#include "io.h"
#include "talk.h"

enum { ANSWER_ROOM = 65536 };

struct answer {
	struct buf out, errors;
	size_t room; /* bytes that are read at once */
	bool over;   /* after HANDLER_END */
	bool wrong;  /* the handler broke its word */
	struct handler_fate fate;
};

static inline void
answer_init(struct answer *a, size_t room)
{
	*a = (struct answer){ .room = room };
	buf_init(&a->out, TALK_MAX);
	buf_init(&a->errors, TALK_MAX);
}

static inline void
answer_free(struct answer *a)
{
	buf_free(&a->out);
	buf_free(&a->errors);
}

/* Is it within the room, and not nothing? */
static inline bool
answer_within(struct span s, const char *room, size_t size)
{
	return s.n > 0 && s.n <= size && s.p >= room &&
	    s.p + s.n <= room + size;
}

/* All that there is at the moment. */
static inline void
answer_take(struct answer *a, struct handler *h)
{
	char *room = malloc(a->room);
	enum handler_output kind = HANDLER_BYTES;

	/* behind HANDLER_WAIT, poll(2) tells whether there is more */
	while (!a->over &&
	    (kind != HANDLER_WAIT || io_wait(h->out, POLLIN, 0) > 0)) {
		struct span s = { NULL, 0 };

		kind = h->way->take(h, room, a->room, &s);
		a->over = kind == HANDLER_END;
		if (kind == HANDLER_BYTES || kind == HANDLER_ERRORS) {
			a->wrong |= !answer_within(s, room, a->room);
			buf_add_span(kind == HANDLER_BYTES ? &a->out :
							     &a->errors,
			    s);
		}
		a->wrong |= h->ready == (kind == HANDLER_WAIT);
	}
	free(room);
	if (!a->over)
		return;
	a->fate = h->way->fate(h);
}

static inline bool
answer_same(const struct answer *a, const struct answer *b)
{
	return span_eq(buf_span(&a->out), buf_span(&b->out)) &&
	    span_eq(buf_span(&a->errors), buf_span(&b->errors)) &&
	    a->over == b->over && a->fate.headless == b->fate.headless &&
	    a->fate.cut == b->fate.cut;
}

#endif
