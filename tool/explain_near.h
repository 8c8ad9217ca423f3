/*
 * explain_near: a sender rule that is almost the one that was looked for.
 *
 * A list is only ever asked, never walked, so that this works for a million
 * addresses in a file as for ten: every text that is one letter away is looked
 * up, a hundred at a time.
 */
#ifndef EXPLAIN_NEAR_H
#define EXPLAIN_NEAR_H

#include "policy.h"

struct explain_near {
	struct rules_at at;
	size_t n;
	char key[RULES_KEY_MAX];
};

/*
 * An allow that is one letter more, less, another or swapped with the next
 * away from this key ("user@domain" or "@domain").  False where there is none.
 */
bool explain_near(const struct policy *p, struct span key,
    struct explain_near *out);

/* Is there an allow of exactly this key? */
bool explain_near_exact(const struct policy *p, struct span key,
    struct explain_near *out);

#endif
