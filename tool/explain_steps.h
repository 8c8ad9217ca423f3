/*
 * explain_steps: what the front looks at, one thing after the other, until it
 * has decided [SPEC 1.3 to 1.7, 2].
 *
 * The decision is made elsewhere, by what the front itself calls.  Here the
 * way to it is followed once more, to be told; the last step always has the
 * decision's reason, which the test demands of every row of policy.tsv.
 */
#ifndef EXPLAIN_STEPS_H
#define EXPLAIN_STEPS_H

#include "explain_case.h"
#include "rules.h"

enum {
	EXPLAIN_STEPS_MAX = 16,
	EXPLAIN_TEXT_MAX = 2048,
	/* of a value that is shown, with its escapes, and a NUL */
	EXPLAIN_SHOWN_MAX = 512
};

enum explain_found {
	EXPLAIN_OK,  /* nothing against it */
	EXPLAIN_YES, /* this is what the request is */
	EXPLAIN_NO,  /* it is not */
	EXPLAIN_REFUSED
};

struct explain_step {
	const char *name; /* one word, stable */
	enum explain_found found;
	enum reason reason;          /* REASON_OK: on to the next one */
	bool decided;                /* by this one, of all of them */
	char text[EXPLAIN_TEXT_MAX]; /* printable ASCII */
};

/* A key that the sender was looked up by, written as the rule it stands for. */
struct explain_key {
	char rule[RULES_KEY_MAX + 4];
	enum rules_answer answer; /* RULES_NONE: there is no such rule */
	struct rules_at at;
};

struct explain_steps {
	size_t n;
	struct explain_step step[EXPLAIN_STEPS_MAX];
	/* those of the step "senders", up to the one that decided */
	size_t nkeys;
	struct explain_key key[RULES_KEYS_MAX];
};

/* All of them, for any case. */
void explain_steps(const struct explain_case *c, struct explain_steps *out);

/*
 * A part of them: those that need no endpoint, beginning with the bytes of
 * sender and origin, and the policy's.  *out is zeroed first.
 */
void explain_steps_policy(const struct policy *p,
    const struct policy_request *r, const struct policy_decision *d,
    struct explain_steps *out);

/* "ok", "yes", "no", "deny". */
const char *explain_steps_word(enum explain_found f);

/*
 * A value from outside so that it can stand in a text between quotes; "..." at
 * its end where it is long.
 */
const char *explain_shown(struct span s, char out[EXPLAIN_SHOWN_MAX]);
#define SHOWN(s) explain_shown((s), (char[EXPLAIN_SHOWN_MAX]){ 0 })

/* "FILE:LINE", shown likewise; "" where nobody knows. */
const char *explain_place(struct rules_at at, char out[EXPLAIN_SHOWN_MAX]);

/* A rule as the policy would have it, by its key. */
void explain_rule(struct span key, char *out, size_t size);

#endif
