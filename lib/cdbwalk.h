/*
 * cdbwalk: every rule of a compiled list, for those who look at a list instead
 * of asking it [SPEC 3.7].
 */
#ifndef CDBWALK_H
#define CDBWALK_H

#include "rules.h"

struct cdbwalk_rule {
	struct span key; /* as rules_rule has it; valid during the call */
	bool deny;
	unsigned line;    /* of the text list, the first one that has it */
	struct span text; /* the text list's name; valid during the walk */
};

/* False ends the walk. */
typedef bool cdbwalk_fn(void *ctx, const struct cdbwalk_rule *rule);

/*
 * Hands out the rules of a list that cdblist_open() takes, in the order in
 * which they were compiled.  False where the file cannot be read or is none of
 * that kind, or where each has ended the walk.
 */
bool cdbwalk(const char *file, cdbwalk_fn *each, void *ctx);

#endif
