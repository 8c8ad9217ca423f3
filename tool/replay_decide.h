/*
 * replay_decide: what a request that is in the log would be decided under a
 * policy.  Whatever its line does not tell is not guessed.
 */
#ifndef REPLAY_DECIDE_H
#define REPLAY_DECIDE_H

#include "conf.h"
#include "logread.h"

enum replay_answer {
	REPLAY_SAME,
	REPLAY_CHANGED,    /* another decision, or for another reason */
	REPLAY_UNDECIDABLE /* the line does not hold all that decides */
};

/* Why a line cannot be decided. */
enum replay_why {
	REPLAY_HIDDEN,    /* log_senders keeps the sender out of the log */
	REPLAY_CUT,       /* the sender was too long for the line */
	REPLAY_NO_SOURCE, /* version 1, without its source origin */
	REPLAY_NO_PATH,   /* no endpoint had it, and its path is not told */
	REPLAY_NO_NAME,   /* no endpoint's name, and the policy has some */
	REPLAY_ODD,       /* it contradicts itself: not the front's */
	REPLAY_WHYS
};

struct replay_result {
	enum replay_answer answer;
	enum replay_why why; /* of REPLAY_UNDECIDABLE */
	/* else the decision under the policy */
	enum policy_outcome decision;
	enum reason reason; /* REASON_NO_ENDPOINT: it has none of that name */
	struct rules_at at; /* borrowed from the policy */
};

/*
 * Decides it again: as a request of the endpoint that `as` is, or where that is
 * NULL, of the one that has the name that the line has; of a policy without
 * endpoints, which guards every path, by that.
 *
 * What the form of a request decides stays as it was, whatever the policy
 * [SPEC 1.3, 1.4, 2.5].  Version 2 is decided by sender and origin, version 1
 * and preflights by these and what the line tells of the source origin.
 */
void replay_decide(const struct conf *c, const struct conf_endpoint *as,
    const struct logread *l, struct replay_result *out);

/* The endpoint of this name; NULL: there is none. */
const struct conf_endpoint *replay_endpoint(const struct conf *c,
    struct span name);

/* "the sender is not in the log (log_senders)" */
const char *replay_why_text(enum replay_why why);

/* "sender-hidden", for JSON */
const char *replay_why_word(enum replay_why why);

#endif
