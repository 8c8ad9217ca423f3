/*
 * heard: what a screen makes of some bytes, as text, whichever way they are
 * split; used by its test and by its fuzz target.
 */
#ifndef HEARD_H
#define HEARD_H

#include "cgienv.h"
#include "screen.h"
#include "talk.h"

/* When the request counts as answered: screen_done(). */
enum heard_done { HEARD_AT_END, HEARD_AT_ONCE, HEARD_NEVER };

struct heard {
	struct screen s;
	enum heard_done done;
	bool rest;    /* screen_rest() after each piece */
	bool in_body; /* the last event was SCREEN_BODY */
	bool headed;  /* a request is on its way */
	bool over;    /* after SCREEN_BAD or SCREEN_CLOSE */
	bool wrong;   /* the screen broke its word */
	struct buf events, answers;
};

static inline void
heard_init(struct heard *h, enum heard_done done, bool rest)
{
	*h = (struct heard){ .done = done, .rest = rest };
	screen_init(&h->s, 80, 81);
	buf_init(&h->events, TALK_MAX);
	buf_init(&h->answers, TALK_MAX);
}

static inline void
heard_free(struct heard *h)
{
	screen_free(&h->s);
	buf_free(&h->events);
	buf_free(&h->answers);
}

static inline void
heard_add(struct heard *h, const char *event)
{
	if (h->events.n > 0)
		buf_add_char(&h->events, ' ');
	buf_add_str(&h->events, event);
}

/* Only what is an answer, without padding and with nothing in reserve. */
static inline bool
heard_answer_valid(unsigned type, unsigned id, struct span c)
{
	if (type == WIRE_END_REQUEST)
		return id > 0 && c.n == 8 && memcmp(c.p, "\0\0\0", 4) == 0 &&
		    c.p[4] <= WIRE_UNKNOWN_ROLE &&
		    memcmp(c.p + 5, "\0\0", 3) == 0;
	if (type == WIRE_UNKNOWN_TYPE)
		return id == 0 && c.n == 8 && c.p[0] != WIRE_GET_VALUES &&
		    memcmp(c.p + 1, "\0\0\0\0\0\0", 7) == 0;
	return type == WIRE_GET_VALUES_RESULT && id == 0 && c.n <= 80;
}

/* What is owed to the peer, sent at once. */
static inline void
heard_answer(struct heard *h)
{
	struct span all = buf_span(&h->s.answer), rest = all, content;
	unsigned type, id;

	h->wrong |= h->s.answer.failed && !h->over;
	while (talk_cut(&rest, &type, &id, &content)) {
		const char *header = content.p - 8;

		h->wrong |= !heard_answer_valid(type, id, content) ||
		    header[6] != 0 || header[7] != 0;
	}
	h->wrong |= rest.n > 0;
	talk_show(&h->answers, all);
	buf_clear(&h->s.answer);
}

/* BEGIN_REQUEST, one record of PARAMS or none, and the empty one. */
static inline bool
heard_head_valid(struct span head)
{
	unsigned type, id, first;
	struct span content;
	struct field pair;

	if (head.n > SCREEN_HEAD_MAX || head.n < 24 ||
	    !talk_cut(&head, &type, &first, &content) || type != 1 ||
	    content.n != 8 ||
	    (memcmp(content.p, "\0\1\1\0\0\0\0", 8) != 0 &&
		memcmp(content.p, "\0\2\1\0\0\0\0", 8) != 0) ||
	    !talk_cut(&head, &type, &id, &content) || type != WIRE_PARAMS)
		return false;
	while (wire_pair(&content, &pair))
		if (!vars_name_valid(pair.name))
			return false;
	if (id != first || content.n > 0)
		return false;
	if (head.n == 0) /* then there were none, and this ended them */
		return content.p == head.p;
	return talk_cut(&head, &type, &id, &content) && type == WIRE_PARAMS &&
	    id == first && content.n == 0 && head.n == 0;
}

static inline void
heard_request(struct heard *h)
{
	struct span rest = buf_span(&h->s.params);
	unsigned dropped = 0;
	struct field pair;
	char text[64];
	struct buf head;

	buf_init(&head, SCREEN_HEAD_MAX);
	screen_head(&h->s, &head);
	h->wrong |= head.failed || !heard_head_valid(buf_span(&head));
	while (wire_pair(&rest, &pair))
		dropped += !vars_name_valid(pair.name);
	snprintf(text, sizeof(text), "REQUEST%s-%u", h->s.keep ? "-keep" : "",
	    dropped);
	heard_add(h, text);
	talk_show(&h->events, buf_span(&head));
	buf_free(&head);
}

static inline void
heard_body(struct heard *h, struct span body)
{
	h->wrong |= body.n == 0;
	if (!h->in_body)
		heard_add(h, "BODY:");
	talk_show_bytes(&h->events, body);
}

static inline void
heard_event(struct heard *h, enum screen_event e, struct span body)
{
	bool end = false;

	switch (e) {
	case SCREEN_MORE:
		return;
	case SCREEN_REQUEST:
		h->wrong |= h->headed;
		h->headed = true;
		heard_request(h);
		end = h->done == HEARD_AT_ONCE;
		break;
	case SCREEN_BODY:
		h->wrong |= !h->headed;
		heard_body(h, body);
		break;
	case SCREEN_BODY_END:
		h->wrong |= !h->headed;
		heard_add(h, "END");
		end = h->done == HEARD_AT_END;
		break;
	case SCREEN_ABORT:
		h->wrong |= !h->headed;
		heard_add(h, "ABORT");
		end = h->done == HEARD_AT_END;
		break;
	case SCREEN_CLOSE:
	case SCREEN_BAD:
		h->wrong |= e == SCREEN_CLOSE && h->headed;
		heard_add(h, e == SCREEN_CLOSE ? "CLOSE" : "BAD");
		h->over = true;
		break;
	}
	h->in_body = e == SCREEN_BODY;
	if (end) {
		screen_done(&h->s);
		h->headed = false;
	}
}

/* The next bytes of the peer's. */
static inline void
heard_feed(struct heard *h, struct span in)
{
	enum screen_event e = SCREEN_BODY;
	struct span body = { NULL, 0 };

	while (!h->over && e != SCREEN_MORE) {
		e = screen_next(&h->s, &in, &body);
		heard_event(h, e, body);
		heard_answer(h);
	}
	h->wrong |= !h->over && in.n > 0;
	if (h->rest)
		screen_rest(&h->s);
}

/* All of them, cut at `cut`, and what is behind that into pieces of `step`. */
static inline void
heard_all(struct heard *h, struct span s, size_t cut, size_t step)
{
	if (cut > 0)
		heard_feed(h, (struct span){ s.p, cut });
	for (size_t i = cut; i < s.n; i += step)
		heard_feed(h,
		    (struct span){ s.p + i, s.n - i < step ? s.n - i : step });
}

static inline bool
heard_same(const struct heard *a, const struct heard *b)
{
	return span_eq(buf_span(&a->events), buf_span(&b->events)) &&
	    span_eq(buf_span(&a->answers), buf_span(&b->answers));
}

#endif
