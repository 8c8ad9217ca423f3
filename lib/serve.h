/*
 * serve: the FastCGI server.  Only this module knows libfcgi.
 *
 * Threads share one epoll set, in which the listening sockets and every
 * connection that waits for something lie.  Who wakes for one handles it to
 * its end.  At most `threads` handlers run at once; a few threads more than
 * that exist, so that what needs no handler is always answered.  A request
 * that finds no place is parked, without a thread [SPEC 4.7, 5.2 to 5.5].
 */
#ifndef SERVE_H
#define SERVE_H

#include "exchange.h"
#include "peers.h"

enum serve_entered {
	SERVE_ANSWERED,     /* finish() was called, or the client is gone */
	SERVE_NEEDS_HANDLER /* run(), or leave(), is to be called next */
};

enum serve_leave { SERVE_BUSY, SERVE_GONE };

/*
 * What becomes of a request.  A passage is what the callbacks keep about it
 * between them: passage_size bytes, zeroed, freed afterwards.
 */
struct serve_gate {
	size_t passage_size;
	/* Decides, and answers what needs no handler.  Never waits. */
	enum serve_entered (
	    *enter)(void *ctx, struct exchange *x, void *passage);
	/* Runs the handler; slot is below serve_options.threads, and ours. */
	void (
	    *run)(void *ctx, struct exchange *x, void *passage, unsigned slot);
	/*
	 * After run(), once the answer is on its way: waits for the handler,
	 * or ends it, before the slot is used again.  stop: readable when
	 * handlers are to be ended.
	 */
	void (*linger)(void *ctx, unsigned slot, int stop);
	/* It will not be run; for SERVE_BUSY it is to be answered. */
	void (*leave)(void *ctx, struct exchange *x, void *passage,
	    enum serve_leave why);
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
