#include "policy.h"

#include "query.h"

#define PLAYGROUND_GMAIL "https://amp.gmail.dev"
#define PLAYGROUND_AMP "https://playground.amp.dev"

/* A sender that asks, and the origin that it asks from. */
struct claim {
	struct span sender, origin;
	/* a playground's origin, which speaks for its pair alone [SPEC 3.6] */
	bool pair_only;
};

static bool
is_present(struct span s)
{
	return s.n > 0;
}

/* SPEC 1.4 */
static bool
has_bad_byte(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c > 0x7E)
			return true;
	}
	return false;
}

bool
policy_bad_byte(const struct policy_request *r)
{
	return has_bad_byte(r->sender) || has_bad_byte(r->origin);
}

static void
add(struct policy_decision *out, struct span name, struct span value)
{
	out->fields[out->nfields++] = (struct field){ name, value };
}

static void
begin(bool for_endpoint, struct policy_decision *out)
{
	const struct span none = { NULL, 0 };

	out->reported = false;
	out->version = 0;
	out->sender = none;
	out->origin = none;
	out->claimed_sender = none;
	out->at = (struct rules_at){ NULL, 0 };
	out->nfields = 0;
	if (for_endpoint)
		add(out, SPAN("Vary"), SPAN("Origin, AMP-Email-Sender"));
}

static bool
is_listed(const struct span rule[], size_t n, struct span origin)
{
	for (size_t i = 0; i < n; i++)
		if (origin_match(rule[i], origin))
			return true;
	return false;
}

static bool
is_playground(const struct policy *p, struct span origin)
{
	return p->playground &&
	    (span_eq(origin, SPAN(PLAYGROUND_GMAIL)) ||
		span_eq(origin, SPAN(PLAYGROUND_AMP)));
}

static bool
is_playground_pair(const struct policy *p, const struct claim *c)
{
	return p->playground &&
	    ((span_eq(c->origin, SPAN(PLAYGROUND_GMAIL)) &&
		 span_eq(c->sender, SPAN("amp@gmail.dev"))) ||
		(span_eq(c->origin, SPAN(PLAYGROUND_AMP)) &&
		    span_eq(c->sender, SPAN(PLAYGROUND_AMP))));
}

/* A browser may read the answer, but that alone is no version 1 [SPEC 2.3]. */
static bool
is_browser(const struct policy *p, struct span origin)
{
	return is_playground(p, origin) ||
	    is_listed(p->browser_origins, p->nbrowser_origins, origin);
}

/* May it?  REASON_OK, or why not; unlisted where no rule knows the sender. */
static enum reason
judge(const struct policy *p, const struct claim *c,
    const struct rules_keys *keys, enum reason unlisted,
    struct policy_decision *out)
{
	bool paired = is_playground_pair(p, c);

	/* an operator's "!" stands above a pair, too */
	switch (rules_decide(keys, p->senders, p->nsenders, &out->at)) {
	case RULES_NONE:
		return paired ? REASON_OK : unlisted;
	case RULES_ALLOW:
		if (paired || !c->pair_only)
			return REASON_OK;
		out->at = (struct rules_at){ NULL, 0 };
		return REASON_SENDER_NOT_ALLOWED;
	case RULES_DENY:
		return REASON_SENDER_NOT_ALLOWED;
	case RULES_ERROR:
		break;
	}
	return REASON_POLICY_UNAVAILABLE;
}

static enum reason
judge_address(const struct policy *p, const struct claim *c,
    struct policy_decision *out)
{
	struct rules_keys keys;
	struct address a;

	if (!address_parse(c->sender, &a))
		return REASON_BAD_ADDRESS;
	rules_keys_address(&a, p->fold_local, &keys);
	return judge(p, c, &keys, REASON_SENDER_NOT_ALLOWED, out);
}

/* In version 1 the sender may be an origin itself [SPEC 3.4]. */
static enum reason
judge_source(const struct policy *p, const struct claim *c,
    struct policy_decision *out)
{
	struct rules_keys keys;

	if (!origin_valid(c->sender))
		return judge_address(p, c, out);
	rules_keys_literal(c->sender, &keys);
	return judge(p, c, &keys, REASON_BAD_ADDRESS, out);
}

/* Makes __amp_source_origin the claimed sender, or says why not. */
static enum reason
read_source(struct span query, struct policy_decision *out)
{
	size_t n = 0;

	switch (query_get(query, SPAN("__amp_source_origin"), out->source,
	    sizeof(out->source), &n)) {
	case QUERY_ABSENT:
		return REASON_SOURCE_ORIGIN_MISSING;
	case QUERY_REPEATED:
		return REASON_SOURCE_ORIGIN_REPEATED;
	case QUERY_BAD_ENCODING:
		return REASON_BAD_ENCODING;
	case QUERY_TOO_LONG:
		return REASON_BAD_ADDRESS;
	case QUERY_FOUND:
		break;
	}
	out->claimed_sender = (struct span){ out->source, n };
	return has_bad_byte(out->claimed_sender) ? REASON_BAD_BYTE : REASON_OK;
}

/* Access-Control-Allow-Origin, and what goes with it wherever it is sent. */
static void
add_origin(const struct policy *p, struct span origin,
    struct policy_decision *out)
{
	out->origin = origin;
	add(out, SPAN("Access-Control-Allow-Origin"), origin);
	if (p->credentials)
		add(out, SPAN("Access-Control-Allow-Credentials"),
		    SPAN("true"));
}

/* SPEC 2.2 */
static enum reason
preflight(const struct policy *p, const struct policy_request *r,
    struct policy_decision *out)
{
	enum reason why = read_source(r->query, out);
	bool listed = is_listed(p->origins, p->norigins, r->origin) ||
	    is_listed(p->browser_origins, p->nbrowser_origins, r->origin);
	bool playground = is_playground(p, r->origin);
	struct claim c = { out->claimed_sender, r->origin,
		playground && !listed };

	if (why == REASON_OK)
		why = judge_source(p, &c, out);
	else if (why == REASON_SOURCE_ORIGIN_MISSING)
		why = REASON_OK;
	if (why != REASON_OK)
		return why;
	if (is_present(r->origin) && !listed && !playground)
		return REASON_ORIGIN_NOT_ALLOWED;

	out->sender = out->claimed_sender;
	if (is_present(r->origin))
		add_origin(p, r->origin, out);
	add(out, SPAN("Access-Control-Allow-Methods"), p->allow_methods);
	add(out, SPAN("Access-Control-Allow-Headers"), p->allow_headers);
	add(out, SPAN("Access-Control-Max-Age"), p->max_age);
	return REASON_PREFLIGHT;
}

/* SPEC 2.3 */
static enum reason
version_2(const struct policy *p, const struct policy_request *r,
    struct policy_decision *out)
{
	struct claim c = { r->sender, r->origin, false };
	enum reason why = judge_address(p, &c, out);

	out->version = 2;
	if (why != REASON_OK)
		return why;
	if (!(p->versions & POLICY_VERSION_2))
		return REASON_VERSION_NOT_ALLOWED;

	out->sender = r->sender;
	add(out, SPAN("AMP-Email-Allow-Sender"), r->sender);
	if (is_browser(p, r->origin)) {
		add_origin(p, r->origin, out);
		add(out, SPAN("Access-Control-Expose-Headers"), p->expose);
	}
	return REASON_OK;
}

/* SPEC 2.4 */
static enum reason
version_1(const struct policy *p, const struct policy_request *r,
    struct policy_decision *out)
{
	enum reason why = read_source(r->query, out);
	bool listed = is_listed(p->origins, p->norigins, r->origin);
	struct claim c = { out->claimed_sender, r->origin, !listed };

	if (why == REASON_BAD_BYTE)
		return why;
	out->version = 1;
	if (!listed && !is_playground(p, r->origin))
		return REASON_ORIGIN_NOT_ALLOWED;
	if (why == REASON_OK)
		why = judge_source(p, &c, out);
	if (why != REASON_OK)
		return why;
	if (!(p->versions & POLICY_VERSION_1))
		return REASON_VERSION_NOT_ALLOWED;

	out->sender = out->claimed_sender;
	add_origin(p, r->origin, out);
	add(out, SPAN("AMP-Access-Control-Allow-Source-Origin"), out->sender);
	add(out, SPAN("Access-Control-Expose-Headers"), p->expose_v1);
	return REASON_OK;
}

static bool
is_preflight(const struct policy_request *r)
{
	return is_present(r->want_method) && !is_present(r->sender) &&
	    span_eq(r->method, SPAN("OPTIONS"));
}

static enum reason
decide(const struct policy *p, const struct policy_request *r,
    struct policy_decision *out)
{
	if (policy_bad_byte(r))
		return REASON_BAD_BYTE;
	if (is_present(r->sender))
		return version_2(p, r, out);
	if (is_preflight(r))
		return preflight(p, r, out);
	if (is_present(r->origin))
		return version_1(p, r, out);
	return REASON_NO_AMP_HEADERS;
}

/* SPEC 2.8: 1.4's refusal stays one, and so does our own fault. */
static bool
is_reported(enum reason why)
{
	return why != REASON_OK && why != REASON_BAD_BYTE &&
	    why != REASON_POLICY_UNAVAILABLE;
}

void
policy_decide(const struct policy *p, const struct policy_request *r,
    struct policy_decision *out)
{
	enum reason why;

	begin(true, out);
	if (is_present(r->sender))
		out->claimed_sender = r->sender;
	why = decide(p, r, out);
	out->reason = why;
	out->verdict = why == REASON_OK ? POLICY_ALLOW :
	    why == REASON_PREFLIGHT     ? POLICY_PREFLIGHT :
					  POLICY_DENY;
	if (out->verdict != POLICY_DENY)
		return;
	out->reported = p->report && !is_preflight(r) && is_reported(why);
	/* a rule that would have allowed is not what decided */
	if (why != REASON_SENDER_NOT_ALLOWED)
		out->at = (struct rules_at){ NULL, 0 };
}

void
policy_refuse(enum reason why, bool for_endpoint, struct policy_decision *out)
{
	begin(for_endpoint, out);
	out->verdict = POLICY_DENY;
	out->reason = why;
}

enum policy_outcome
policy_outcome(const struct policy_decision *d)
{
	if (d->reported)
		return POLICY_OUTCOME_REPORT;
	switch (d->verdict) {
	case POLICY_ALLOW:
		return POLICY_OUTCOME_ALLOW;
	case POLICY_PREFLIGHT:
		return POLICY_OUTCOME_PREFLIGHT;
	case POLICY_DENY:
		break;
	}
	return POLICY_OUTCOME_DENY;
}

const char *
policy_word(enum policy_outcome o)
{
	static const char *const words[POLICY_OUTCOMES] = {
		[POLICY_OUTCOME_ALLOW] = "allow",
		[POLICY_OUTCOME_DENY] = "deny",
		[POLICY_OUTCOME_PREFLIGHT] = "preflight",
		[POLICY_OUTCOME_REPORT] = "report",
	};

	return words[o];
}

static bool
has_prefix(struct span name, struct span prefix)
{
	return name.n >= prefix.n &&
	    span_caseeq((struct span){ name.p, prefix.n }, prefix);
}

enum field_rule
policy_field(struct span name)
{
	if (has_prefix(name, SPAN("Access-Control-")))
		return span_caseeq(name,
			   SPAN("Access-Control-Expose-Headers")) ?
		    FIELD_JOIN :
		    FIELD_DROP;
	if (span_caseeq(name, SPAN("AMP-Email-Allow-Sender")) ||
	    span_caseeq(name, SPAN("AMP-Access-Control-Allow-Source-Origin")) ||
	    span_caseeq(name, SPAN("AMP-Redirect-To")))
		return FIELD_DROP;
	return policy_field_reported(name);
}

enum field_rule
policy_field_reported(struct span name)
{
	if (span_caseeq(name, SPAN("Vary")))
		return FIELD_JOIN;
	/* it would reach the client of a Responder [SPEC 5.2] */
	return has_prefix(name, SPAN("Variable-")) ? FIELD_DROP : FIELD_PASS;
}
