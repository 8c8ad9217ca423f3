/*
 * metrics: what is counted as long as the process lives, over reloads, in the
 * text format of Prometheus, version 0.0.4 [SPEC 7.2].
 */
#ifndef METRICS_H
#define METRICS_H

#include "buf.h"
#include "policy.h"

/* No text of ours is longer: some 300 endpoints of which each counter runs. */
enum { METRICS_TEXT_MAX = 1 << 24 };

/* Media type of the text, for an answer over HTTP. */
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics;
struct metrics_row; /* the counters of one endpoint */

/*
 * All at zero; the policy counts as loaded now.  NULL: out of memory.
 * metrics_free() takes NULL, and comes after every other thread's last call.
 */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);

/*
 * The counters of this endpoint's name ("-" is the policy's own), found or
 * made, so that a name's counters go on over reloads.  Valid until
 * metrics_free().  Of any thread, but for the load of a policy and not for
 * each request: it locks, walks and allocates.  NULL: out of memory.
 */
struct metrics_row *metrics_row(struct metrics *m, const char *endpoint);

/*
 * Counts one decision; of any thread, without a lock.  row may be NULL: then
 * nothing is counted.  version is 1, 2, or 0 where it came to neither.
 */
void metrics_count(struct metrics_row *row, enum policy_outcome outcome,
    enum reason why, unsigned version);

/* Counts a reload, and takes the time of a good one; of any thread. */
void metrics_reloaded(struct metrics *m, bool good);

/*
 * Adds the text, in an order that does not change: endpoints by name.  Of
 * requests, only what came at all.  Other threads may count meanwhile.
 */
void metrics_print(const struct metrics *m, struct buf *out);

/*
 * Writes the text into a file, of mode 0644 where there was none, which whoever
 * reads it sees whole: it is written beside, as .amp-cors.NUMBER, and renamed.
 * NULL, or what is wrong in words that follow the file's name, with errno; what
 * stood at `file` is then as it was, and nothing is left beside it.
 */
const char *metrics_write(const struct metrics *m, const char *file);

#endif
