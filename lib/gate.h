/*
 * gate: one exchange from its variables to its last byte: decide, then answer
 * or run the handler, and log once [SPEC 2, 4, 7.1].
 */
#ifndef GATE_H
#define GATE_H

#include <stdatomic.h>

#include "cgienv.h"
#include "exchange.h"
#include "live.h"
#include "target.h"

struct gate_options {
	struct live *live;                /* the policy */
	const struct conf_server *server; /* of the process, over reloads */
	struct metrics *metrics;          /* for metrics_path; NULL: none */
	/*
	 * The handler that the command line names, for endpoints that have
	 * none of their own: argc words at argv.  In CGI it is the process's
	 * whole command line, see target_command_line().
	 */
	int argc;
	char *const *argv;
	char *const *environment; /* the front's own */
	unsigned slots;           /* handlers at the same time */
};

struct gate;

/* NULL with errno.  What options point to must outlive it. */
struct gate *gate_new(const struct gate_options *o);
void gate_free(struct gate *g);

/* What is kept about a request between its head and its end. */
struct gate_passage {
	uint64_t id;
	int64_t began;
	struct cgienv env;
	const struct live_policy *policy;     /* held meanwhile */
	const struct conf_endpoint *endpoint; /* NULL: none */
	bool asks_metrics; /* it is no request for an endpoint */
	struct policy_decision decision;
};

/*
 * Decides.  What needs no handler is answered and logged here: false.  True
 * where gate_run(), gate_begin() or gate_leave() is to follow.  Never waits in
 * FastCGI.
 */
bool gate_enter(struct gate *g, struct exchange *x, struct gate_passage *p);

/*
 * Is a program to run, which needs exchange.vars?  For all else its pairs are
 * enough.
 */
bool gate_needs_strings(const struct gate_passage *p);

/*
 * Runs the handler of an allowed request and passes its answer on; answers
 * itself where the handler cannot.  Afterwards x->finished tells whether the
 * answer is whole.  slot: below gate_options.slots, one call at a time each.
 */
void gate_run(struct gate *g, struct exchange *x, struct gate_passage *p,
    unsigned slot);

/*
 * The same in parts, for whoever has something else to do meanwhile.
 * gate_begin() and gate_resume() never wait.  EXCHANGE_AWAITS: gate_resume() is
 * to be called once out->fd is readable; or gate_wait(), at out->until, or when
 * something is to be looked at: the client, or x->stop.  EXCHANGE_WAITS:
 * gate_wait(), which ends it.  x and p stay where they are until it has.
 */
enum exchange_need gate_begin(struct gate *g, struct exchange *x,
    struct gate_passage *p, unsigned slot, struct exchange_await *out);
enum exchange_need gate_resume(struct gate *g, unsigned slot,
    struct exchange_await *out);
void gate_wait(struct gate *g, unsigned slot);

/*
 * To be called after that, once the client has been seen to: waits for a
 * handler that goes on after its answer, until it ends, has been silent for
 * `timeout`, or `stop` (-1: never) is readable; ends the ones that failed.
 */
void gate_linger(struct gate *g, unsigned slot, int stop);

/*
 * It will not be run: REASON_CLIENT_GONE, or what is answered, REASON_BUSY or
 * REASON_OVERLOADED.
 */
void gate_leave(struct gate *g, struct exchange *x, struct gate_passage *p,
    enum reason why);

/* Gives back what slots have kept; none is in use. */
void gate_rest(struct gate *g);

/* The longest kill_grace of the policy in force, in seconds. */
unsigned gate_kill_grace(const struct gate *g);

/*
 * Answers a request for which there is no policy, and so no gate:
 * REASON_POLICY_ERROR or REASON_POLICY_UNAVAILABLE [SPEC 6.7, 6.8].
 */
void gate_fault(struct exchange *x, enum reason why);

#endif
