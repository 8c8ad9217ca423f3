/*
 * gate_run: what the two parts of the gate share; nobody else's.
 */
#ifndef GATE_RUN_H
#define GATE_RUN_H

#include "forward.h"
#include "gate.h"
#include "spawn.h"

/* What one handler at a time has of the gate. */
struct gate_slot {
	char *room;         /* the pump's, made when first wanted */
	struct exchange *x; /* what it has: see gate_begin() */
	struct gate_passage *p;
	struct gate_relay *relay; /* made when first wanted */
	bool relays;              /* it is in use */
	bool used;                /* there is a child, until gate_linger() */
	struct spawn_child child;
	bool lingers;             /* its answer is whole, but it still runs */
	bool ends;                /* it is to be ended */
	unsigned patience, grace; /* seconds of each */
	uint64_t id;              /* of its request */
};

struct gate {
	struct gate_options o;
	int null;   /* standard input where there is no body */
	int *cells; /* spawn_start()'s, one a slot */
	struct gate_slot *slots;
	atomic_uint_least64_t next_id;
};

void gate_relay_free(struct gate_relay *l);

/* Is this a HEAD request? */
bool gate_is_head(const struct cgienv *e);

/*
 * The one line of a request, and its place in the counters [SPEC 7.1, 7.2];
 * status 0: nothing was sent.
 */
void gate_log(const struct gate *g, const struct gate_passage *p,
    enum reason why, unsigned status, const char *detail);

/* Sends our answer for this reason, with the decision's fields; logs it. */
void gate_answer(const struct gate *g, struct exchange *x,
    const struct gate_passage *p, enum reason why, const char *detail);

#endif
