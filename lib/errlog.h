/*
 * errlog: a handler's standard error, made into lines for the web server's
 * error log [SPEC 4.9, E68].
 */
#ifndef ERRLOG_H
#define ERRLOG_H

#include "exchange.h"

enum { ERRLOG_LINE_MAX = 1000, ERRLOG_MAX = 65536 };

struct errlog {
	struct exchange *x;
	uint64_t id;   /* of the request, as in its line of our own log */
	size_t n;      /* bytes in the line that is not yet whole */
	uint64_t seen; /* bytes of all */
	char line[ERRLOG_LINE_MAX];
};

void errlog_init(struct errlog *e, struct exchange *x, uint64_t id);

/*
 * Takes more of it.  Each whole line, or piece of ERRLOG_LINE_MAX bytes, goes
 * to the exchange as "ID handler: ..." with its odd bytes escaped; past
 * ERRLOG_MAX bytes nothing does.
 */
void errlog_add(struct errlog *e, struct span bytes);

/* The end: the last line, and one that tells how much was left out. */
void errlog_end(struct errlog *e);

#endif
