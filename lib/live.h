/*
 * live: the policy in force, exchanged while requests run [SPEC 5.5].  A
 * snapshot is never changed: who holds one goes on with it, whatever is loaded
 * meanwhile.
 */
#ifndef LIVE_H
#define LIVE_H

#include "conf.h"
#include "forward.h"
#include "metrics.h"

/* One loaded policy, and what belongs to it; only to be read. */
struct live_policy {
	struct conf *conf;
	/*
	 * Each endpoint's, in their order, one for each address; NULL where it
	 * forwards nothing.
	 */
	struct forward_backend **backends;
	struct metrics_row **rows; /* each endpoint's; NULL: not counted */
	struct metrics_row *stray; /* of requests without an endpoint */
};

struct live;

/*
 * conf is live's from then on.  metrics may be NULL, and must outlive it.
 * NULL where memory is out; conf is then still the caller's.
 */
struct live *live_new(struct conf *conf, struct metrics *metrics);

/* Nobody may hold anything.  NULL is taken too. */
void live_free(struct live *l);

/*
 * The policy that it began with: its [server] is the process's for good
 * [SPEC 5.5], and stays until live_free().  Its lists of senders do not: it is
 * not to be decided by.
 */
const struct conf *live_first(const struct live *l);

/* The policy in force, which stays until live_release().  Of any thread. */
const struct live_policy *live_hold(struct live *l);
void live_release(struct live *l, const struct live_policy *p);

/*
 * Puts another one in force; the one before ends with the last who holds it,
 * but what it keeps open for others is closed at once.
 * False where memory is out: nothing has changed, and conf is still the
 * caller's.
 */
bool live_replace(struct live *l, struct conf *conf);

#endif
