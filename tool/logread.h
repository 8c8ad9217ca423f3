/*
 * logread: a decision's line in the log, read back into its values
 * [SPEC 7.1].  Pure.
 */
#ifndef LOGREAD_H
#define LOGREAD_H

#include "logline.h"
#include "policy.h"

/* A value as it was before it was escaped; s is absent where there was none. */
struct logread_value {
	struct span s;
	bool cut; /* it was too long for the line: this is its beginning */
};

struct logread {
	struct timespec at; /* realtime, to the millisecond */
	uint64_t id;
	enum policy_outcome decision;
	enum reason reason;
	unsigned status, version; /* 0: none */
	/* endpoint: absent for the policy's own, and where none was found */
	struct logread_value endpoint, method, sender, origin, detail;
	struct logread_value file; /* of the rule; absent: none decided */
	unsigned line;
	bool has_sender; /* false: log_senders = none */
	uint64_t ms;
	size_t n;
	char text[LOGLINE_MAX]; /* what the values point into */
};

/*
 * Reads one line, without its line feed: what logline_add() writes, to the
 * word and in its order, in text or JSON, alone or behind what syslog or
 * journald put before it ("Nov 22 04:49:35 host name[123]: ").  False: it is no
 * such line, and *out is undefined.  *out must not be copied.
 *
 * What stands before must be three words or more with a time of day in them,
 * the last with the line's first ": " behind it: no message of the front's own
 * or of a handler's, whatever a request put there, is such a line.
 */
bool logread_line(struct span line, struct logread *out);

/*
 * The reason of the decision itself, with what came after it taken off: an
 * allow's is REASON_OK, whatever became of its handler.  False where the line
 * does not tell: a fault stands in the place of what mode = report let through.
 */
bool logread_reason(const struct logread *l, enum reason *out);

#endif
