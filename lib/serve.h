/*
 * serve: the FastCGI server.  Only this module knows libfcgi.
 *
 * In one epoll set lie the listening sockets, every connection that waits for
 * something, and every server whose answer is awaited.  Few threads sit there
 * (see seats.h): who wakes for one handles it, and gives the seat up before
 * waiting for anything else.  At most `threads` handlers run at once; a few
 * threads more than that exist, so that what needs no handler is always
 * answered.  A request that finds no place is parked, without a thread
 * [SPEC 4.7, 5.2 to 5.5].
 */
#ifndef SERVE_H
#define SERVE_H

#include "exchange.h"
#include "peers.h"

enum serve_entered {
	SERVE_ANSWERED,      /* finish() was called, or the client is gone */
	SERVE_NEEDS_HANDLER, /* begin(), or leave(), is to be called next */
	SERVE_NEEDS_STRINGS  /* the same, with exchange.vars */
};

enum serve_leave {
	SERVE_GONE,  /* the client */
	SERVE_BUSY,  /* no place in the queue, or for too long */
	SERVE_FAILED /* no memory for its variables */
};

/*
 * What becomes of a request.  A passage is what the callbacks keep about it
 * between them: passage_size bytes, zeroed, freed afterwards.
 */
struct serve_gate {
	size_t passage_size;
	/* Decides, and answers what needs no handler.  Never waits. */
	enum serve_entered (
	    *enter)(void *ctx, struct exchange *x, void *passage);
	/*
	 * Begins to run the handler, as far as that goes without waiting; slot
	 * is below serve_options.threads, and ours.  EXCHANGE_AWAITS: resume()
	 * is to be called once *out has come, or wait() at any moment.
	 * EXCHANGE_WAITS: wait() is to be called.
	 */
	enum exchange_need (*begin)(void *ctx, struct exchange *x,
	    void *passage, unsigned slot, struct exchange_await *out);
	/* Goes on, as begin(); perhaps in another thread. */
	enum exchange_need (
	    *resume)(void *ctx, unsigned slot, struct exchange_await *out);
	/* Goes on to the end, and waits as long as that takes. */
	void (*wait)(void *ctx, unsigned slot);
	/*
	 * After that, once the answer is on its way: waits for the handler,
	 * or ends it, before the slot is used again.  stop: readable when
	 * handlers are to be ended.  Without wait() before, it never waits;
	 * without begin(), there is nothing to do.
	 */
	void (*linger)(void *ctx, unsigned slot, int stop);
	/* It will not be run; but for SERVE_GONE it is to be answered. */
	void (*leave)(void *ctx, struct exchange *x, void *passage,
	    enum serve_leave why);
	/*
	 * Nobody has asked for a while, and no slot is in use or will be
	 * meanwhile: gives back what was kept for the next one.
	 */
	void (*rest)(void *ctx);
	/* Seconds: the longest that a handler may take to end. */
	unsigned (*kill_grace)(void *ctx);
	void *ctx;
};

struct serve_options {
	const int *listeners; /* non-blocking is set here; closed at the end */
	size_t nlisteners;
	const struct peers *peers;
	unsigned threads, queue;
	unsigned queue_timeout, head_timeout, idle_timeout, stop_grace;
	struct serve_gate gate;
};

/*
 * Serves until SIGTERM or SIGINT, then takes nothing new, and ends what runs
 * and what is parked: 0; -1 with errno where it could not begin.  The caller
 * has all signals blocked.
 */
int serve_run(const struct serve_options *o);

#endif
