/*
 * policy: a request in, a decision out [SPEC 2, 3].  Total, and pure but for
 * what a rules_source does.
 */
#ifndef POLICY_H
#define POLICY_H

#include "field.h"
#include "origin.h"
#include "reason.h"
#include "rules.h"

enum { POLICY_FIELDS_MAX = 6 };

enum { POLICY_VERSION_1 = 1, POLICY_VERSION_2 = 2 };

/*
 * One endpoint's policy, made and owned by the configuration.  Lists that go
 * out as they are have been joined when it was loaded ("GET, POST").
 */
struct policy {
	const struct rules_source *senders;
	size_t nsenders;
	const struct span *origins; /* rules, origin_rule_valid() */
	size_t norigins;
	const struct span *browser_origins;
	size_t nbrowser_origins;
	struct span allow_methods; /* Access-Control-Allow-Methods */
	struct span allow_headers; /* Access-Control-Allow-Headers, whole */
	struct span max_age;       /* Access-Control-Max-Age, in seconds */
	struct span expose;        /* expose_headers joined; may be empty */
	struct span expose_v1; /* the same behind the name version 1 needs */
	unsigned versions;     /* POLICY_VERSION_1 | POLICY_VERSION_2 */
	bool credentials;
	bool playground;
	bool fold_local; /* local_part_case = insensitive */
	bool report;     /* mode = report */
};

/* What a decision is made of [SPEC 1.1]; absent where unset or empty. */
struct policy_request {
	struct span method;
	struct span query;
	struct span origin;      /* HTTP_ORIGIN */
	struct span sender;      /* HTTP_AMP_EMAIL_SENDER, blanks stripped */
	struct span want_method; /* HTTP_ACCESS_CONTROL_REQUEST_METHOD */
};

enum policy_verdict { POLICY_DENY, POLICY_ALLOW, POLICY_PREFLIGHT };

struct policy_decision {
	enum policy_verdict verdict;
	enum reason reason; /* REASON_OK, REASON_PREFLIGHT, or why not */
	/*
	 * A refusal that mode = report lets through to the handler [SPEC 2.8]:
	 * the verdict stays POLICY_DENY, and Vary alone is ours to set.
	 */
	bool reported;
	unsigned version;   /* 1, 2, or 0 where it came to neither */
	struct span sender; /* as verified, echoed byte for byte, else absent */
	struct span origin; /* likewise */
	/* what the request claimed, verified or not, for the log */
	struct span claimed_sender;
	struct rules_at at; /* the sender rule that decided; file NULL: none */
	/*
	 * Our header fields, each name once, Vary included.  An
	 * Access-Control-Expose-Headers of an empty value goes out only where
	 * the handler names something to merge into it.
	 */
	size_t nfields;
	struct field fields[POLICY_FIELDS_MAX];
	char source[ORIGIN_MAX]; /* the decoded __amp_source_origin */
};

/*
 * Decides.  Nothing is read from *out.  Spans in *out point into the request,
 * the policy or *out itself, which therefore must not be copied.
 * REASON_POLICY_UNAVAILABLE where a list of senders cannot be asked [SPEC 6.8].
 */
void policy_decide(const struct policy *p, const struct policy_request *r,
    struct policy_decision *out);

/*
 * Does the sender or the origin hold a byte that denies before anything else
 * is looked at [SPEC 1.4, 2.1]?
 */
bool policy_bad_byte(const struct policy_request *r);

/*
 * A decision made elsewhere: a denial for this reason (or a fault of ours),
 * with the Vary field where for_endpoint.
 */
void policy_refuse(enum reason why, bool for_endpoint,
    struct policy_decision *out);

/* A decision in one word: of the log, and of the counters [SPEC 7.1, 7.2]. */
enum policy_outcome {
	POLICY_OUTCOME_ALLOW,
	POLICY_OUTCOME_DENY,
	POLICY_OUTCOME_PREFLIGHT,
	POLICY_OUTCOME_REPORT, /* a denial that was let through [SPEC 2.8] */
	POLICY_OUTCOMES
};

enum policy_outcome policy_outcome(const struct policy_decision *d);

/* "allow", "deny", "preflight", "report". */
const char *policy_word(enum policy_outcome o);

/* Whose is this field of the handler's answer [SPEC 4.4]? */
enum field_rule policy_field(struct span name);

/* The same of an answer that mode = report let through [SPEC 2.8]. */
enum field_rule policy_field_reported(struct span name);

#endif
