/*
 * handler: a handler at work, a process of ours or a FastCGI server, as the
 * pump sees it; the other side of an exchange.  Types only: spawn and forward
 * each make one.
 *
 * Nothing here waits.  Whoever waits polls `in`, `out` and `err`.
 */
#ifndef HANDLER_H
#define HANDLER_H

#include <sys/types.h>

#include "reason.h"
#include "span.h"

enum handler_output {
	HANDLER_BYTES,  /* here are some of its answer */
	HANDLER_ERRORS, /* here are some of its error stream */
	HANDLER_WAIT,   /* none at the moment: poll out */
	HANDLER_END     /* its answer is over, or it has gone: see fate */
};

/* How it ended, as far as that can be known. */
struct handler_fate {
	/* why there is no answer, where no whole header block has come */
	enum reason headless;
	/*
	 * REASON_OK, or why an answer may lack its end although nothing of it
	 * says so: the handler was killed, or its connection broke.
	 */
	enum reason cut;
};

struct handler;

struct handler_way {
	/*
	 * Gives it a part of the body; returns how many bytes it took, or -1
	 * with errno: EAGAIN (poll in), or another one, and it wants no more.
	 * What it did not take must come again.
	 */
	ssize_t (*give)(struct handler *h, struct span body);
	/* No more of the body will come. */
	void (*give_end)(struct handler *h);
	/* Sends what it owes.  True where anything has moved. */
	bool (*flush)(struct handler *h);
	/*
	 * Its next output, in room or an earlier one; it stays until the next
	 * call.
	 */
	enum handler_output (*take)(struct handler *h, char *room, size_t size,
	    struct span *bytes);
	/* Tells it to stop: this signal, or what stands for one. */
	void (*stop)(struct handler *h, int signal);
	/* Has it ended, whoever may still hold its output open (E70)? */
	bool (*ended)(const struct handler *h);
	/* After HANDLER_END, or once `over`; sets `status` and `note`. */
	struct handler_fate (*fate)(struct handler *h);
};

struct handler {
	const struct handler_way *way;
	int in, out;    /* polled; -1: none, or no more.  May be the same */
	int err;        /* to be read by the pump; -1: none, or no more */
	bool owes;      /* has bytes of its own to send: poll in, then flush();
			where in is -1, try again a little later */
	bool ready;     /* has output that poll cannot see */
	bool kept;      /* out was another request's before */
	bool over;      /* what take() gave last was the end, and in order */
	size_t holds;   /* bytes that it may have said and nobody has read */
	short polled;   /* what poll(2) has just said of out; else 0 */
	int status;     /* its exit status, once known */
	char note[256]; /* how it ended, for the log; empty: in order */
};

#endif
