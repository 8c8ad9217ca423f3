/*
 * explain_hints: what would have to change for a refused request to be allowed
 * [SPEC 7.3].  It is said, not recommended.
 */
#ifndef EXPLAIN_HINTS_H
#define EXPLAIN_HINTS_H

#include "explain_case.h"

enum {
	EXPLAIN_HINTS_MAX = 8,
	EXPLAIN_HINT_MAX = 1024,
	EXPLAIN_LINE_MAX = 1024
};

struct explain_hint {
	char text[EXPLAIN_HINT_MAX]; /* printable ASCII */
	/* a line of the policy file as it would be; empty: none */
	char line[EXPLAIN_LINE_MAX];
	struct rules_at at; /* of the line as it is now; file NULL: nowhere */
};

struct explain_hints {
	size_t n;
	struct explain_hint hint[EXPLAIN_HINTS_MAX];
};

/* Nothing is said of an allowed request. */
void explain_hints(const struct explain_case *c, struct explain_hints *out);

#endif
