/*
 * spool: a body of unknown length, kept until it is whole, so that the handler
 * can be told its length [SPEC 1.6, E35].
 */
#ifndef SPOOL_H
#define SPOOL_H

#include "exchange.h"
#include "reason.h"

enum { SPOOL_MEMORY = 65536 };

struct spool {
	int fd; /* -1: nothing yet */
	uint64_t length;
	bool on_disk;
};

void spool_init(struct spool *s);

/*
 * Takes the whole body of x: up to SPOOL_MEMORY bytes in memory, then in a
 * file without a name in TMPDIR (or /tmp), up to max bytes.  REASON_OK, and
 * s->fd stands at its beginning; REASON_BODY_TOO_LARGE, REASON_BODY_TIMEOUT
 * where nothing came for `timeout` seconds, REASON_OVERLOADED (no descriptor,
 * no room), or REASON_CLIENT_GONE.
 */
enum reason spool_fill(struct spool *s, struct exchange *x, uint64_t max,
    unsigned timeout);

void spool_free(struct spool *s);

#endif
