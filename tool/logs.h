/*
 * logs: the decisions in some log files, one after another.
 */
#ifndef LOGS_H
#define LOGS_H

#include "logread.h"

struct logs_count {
	uint64_t lines;
	uint64_t decisions;
	uint64_t too_long; /* of the others; no decision's line is so long */
};

/* One decision.  False ends it all: memory is out. */
typedef bool logs_take_fn(void *ctx, const struct logread *l);

/*
 * Reads n files, "-" being standard input, and hands on every decision.  EX_OK;
 * else what went wrong has been said: EX_NOINPUT for a file that cannot be
 * opened or is a directory, EX_IOERR where reading failed, EX_DATAERR where
 * there are lines, and no decision among them, EX_OSERR without memory.
 */
int logs_read(char *const file[], size_t n, logs_take_fn *take, void *ctx,
    struct logs_count *out);

#endif
