#include "replay_decide.h"

#include <string.h>

static const struct {
	const char *word, *text;
} whys[REPLAY_WHYS] = {
	[REPLAY_HIDDEN] = { "sender-hidden",
	    "the sender is not in the log, or not whole (log_senders)" },
	[REPLAY_CUT] = { "sender-cut", "the sender was too long for its line" },
	[REPLAY_NO_SOURCE] = { "no-source-origin",
	    "refused for its origin, and the line has no source origin" },
	[REPLAY_NO_PATH] = { "no-path",
	    "no endpoint was found, and the line does not tell enough" },
	[REPLAY_NO_NAME] = { "no-endpoint-name",
	    "the line names no endpoint, and the policy has some: --endpoint "
	    "says which" },
	[REPLAY_ODD] = { "contradictory", "the line contradicts itself" },
};

const char *
replay_why_word(enum replay_why why)
{
	return whys[why].word;
}

const char *
replay_why_text(enum replay_why why)
{
	return whys[why].text;
}

/* --- results --- */

static void
cannot(enum replay_why why, struct replay_result *out)
{
	*out =
	    (struct replay_result){ .answer = REPLAY_UNDECIDABLE, .why = why };
}

static void
decided(const struct logread *l, enum policy_outcome decision,
    enum reason reason, struct replay_result *out)
{
	enum reason past;
	bool known = logread_reason(l, &past);

	*out = (struct replay_result){ .decision = decision, .reason = reason };
	out->answer = decision == l->decision && (reason == past || !known) ?
	    REPLAY_SAME :
	    REPLAY_CHANGED;
}

/* The policy cannot change it. */
static void
stays(const struct logread *l, struct replay_result *out)
{
	decided(l, l->decision, l->reason, out);
	out->answer = REPLAY_SAME;
}

static void
decide(const struct policy *p, const struct policy_request *r,
    const struct logread *l, struct replay_result *out)
{
	struct policy_decision d;

	policy_decide(p, r, &d);
	decided(l, policy_outcome(&d), d.reason, out);
	out->at = d.at;
}

/* --- what the line tells --- */

/*
 * log_senders = domain leaves '@' and a domain; a sender that is like that by
 * itself is rare, and no address.
 */
static bool
is_hidden(const struct logread *l)
{
	return !l->has_sender || span_starts(l->sender.s, SPAN("@"));
}

/* False, and why, where the sender cannot be had of the line. */
static bool
has_sender(const struct logread *l, struct replay_result *out)
{
	if (is_hidden(l))
		cannot(REPLAY_HIDDEN, out);
	else if (l->sender.cut)
		cannot(REPLAY_CUT, out);
	else
		return true;
	return false;
}

/* Three bytes for each of a value's, and a name. */
enum { QUERY_ROOM = 3 * LOGLINE_VALUE_MAX + 64 };

#define NAME "__amp_source_origin="

static size_t
add_encoded(char *to, struct span s)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		to[n++] = '%';
		to[n++] = hex[c >> 4];
		to[n++] = hex[c & 15];
	}
	return n;
}

/*
 * A query of the sender that the line tells.  One that was too long to be
 * decoded is absent there, and as bad an address as a short one.
 */
static void
query_of_sender(const struct logread *l, char room[QUERY_ROOM],
    struct span *query)
{
	const struct span name = SPAN(NAME);

	memcpy(room, name.p, name.n);
	*query = (struct span){ room, name.n };
	if (l->sender.s.n > 0)
		query->n += add_encoded(room + name.n, l->sender.s);
	else if (l->reason == REASON_BAD_ADDRESS)
		*query = SPAN(NAME "x");
}

/*
 * A query of the source origin that the line tells of, by its value or by what
 * was said about it.  False, and why, where it tells nothing.
 */
static bool
make_query(const struct logread *l, char room[QUERY_ROOM], struct span *query,
    struct replay_result *out)
{
	switch (l->reason) {
	case REASON_SOURCE_ORIGIN_MISSING:
		*query = (struct span){ NULL, 0 };
		return true;
	case REASON_SOURCE_ORIGIN_REPEATED:
		*query = SPAN(NAME "a&" NAME "a");
		return true;
	case REASON_BAD_ENCODING:
		*query = SPAN(NAME "%");
		return true;
	default:
		if (!has_sender(l, out))
			return false;
		query_of_sender(l, room, query);
		return true;
	}
}

/* --- the three kinds of requests --- */

static void
version_2(const struct policy *p, const struct logread *l,
    struct replay_result *out)
{
	const struct policy_request r = { .method = l->method.s,
		.sender = l->sender.s,
		.origin = l->origin.s };

	/* of the sender's form alone, whatever it is [SPEC 3.1] */
	if (l->reason == REASON_BAD_ADDRESS) {
		decided(l,
		    p->report ? POLICY_OUTCOME_REPORT : POLICY_OUTCOME_DENY,
		    l->reason, out);
		return;
	}
	if (!has_sender(l, out))
		return;
	if (l->sender.s.n == 0)
		cannot(REPLAY_ODD, out);
	else
		decide(p, &r, l, out);
}

/* Does the line say what the source origin was? */
static bool
tells_source(const struct logread *l)
{
	return l->sender.s.n > 0 || l->reason == REASON_BAD_ADDRESS ||
	    l->reason == REASON_BAD_ENCODING ||
	    l->reason == REASON_SOURCE_ORIGIN_MISSING ||
	    l->reason == REASON_SOURCE_ORIGIN_REPEATED;
}

/*
 * The origin is looked at first, so that its refusal needs no sender, and says
 * nothing about one that is absent.
 */
static void
version_1(const struct policy *p, const struct logread *l,
    struct replay_result *out)
{
	char room[QUERY_ROOM];
	struct policy_request r = { .method = l->method.s,
		.origin = l->origin.s };

	if (l->origin.s.n == 0) {
		cannot(REPLAY_ODD, out);
		return;
	}
	decide(p, &r, l, out);
	if (out->reason == REASON_ORIGIN_NOT_ALLOWED ||
	    !make_query(l, room, &r.query, out))
		return;
	if (tells_source(l))
		decide(p, &r, l, out);
	else
		cannot(l->reason == REASON_ORIGIN_NOT_ALLOWED ?
			REPLAY_NO_SOURCE :
			REPLAY_ODD,
		    out);
}

static void
preflight(const struct policy *p, const struct logread *l,
    struct replay_result *out)
{
	char room[QUERY_ROOM];
	struct policy_request r = { .method = SPAN("OPTIONS"),
		.origin = l->origin.s,
		.want_method = SPAN("POST") };

	if (make_query(l, room, &r.query, out))
		decide(p, &r, l, out);
}

/* One that came to no version, as preflights do. */
static bool
is_preflight(const struct logread *l)
{
	if (l->version != 0 || !span_eq(l->method.s, SPAN("OPTIONS")))
		return false;
	if (l->decision == POLICY_OUTCOME_PREFLIGHT)
		return true;
	switch (l->reason) {
	case REASON_BAD_ENCODING:
	case REASON_SOURCE_ORIGIN_REPEATED:
	case REASON_BAD_ADDRESS:
	case REASON_ORIGIN_NOT_ALLOWED:
		return l->decision == POLICY_OUTCOME_DENY;
	case REASON_SENDER_NOT_ALLOWED:
	case REASON_POLICY_UNAVAILABLE:
		return l->decision == POLICY_OUTCOME_DENY &&
		    (l->sender.s.n > 0 || !l->has_sender);
	default:
		return false;
	}
}

static void
decide_by(const struct policy *p, const struct logread *l,
    struct replay_result *out)
{
	const struct policy_request none = { .method = l->method.s };

	if (l->reason == REASON_NO_AMP_HEADERS)
		decide(p, &none, l, out);
	else if (l->version == 2)
		version_2(p, l, out);
	else if (l->version == 1)
		version_1(p, l, out);
	else if (is_preflight(l))
		preflight(p, l, out);
	else
		cannot(REPLAY_ODD, out);
}

/* --- the endpoint --- */

const struct conf_endpoint *
replay_endpoint(const struct conf *c, struct span name)
{
	const struct conf_endpoint *all;
	size_t n = conf_endpoints(c, &all);

	for (size_t i = 0; i < n; i++)
		if (span_eq(span_of(all[i].name), name))
			return &all[i];
	return NULL;
}

/* "path A", "URI B", or "path A of URI B", taken apart. */
static bool
read_path(const struct logread *l, struct conf_asked *out)
{
	const struct span of = SPAN(" of URI ");
	struct span s = l->detail.s, query;
	const char *p;

	if (s.p == NULL || l->detail.cut || is_hidden(l))
		return false;
	*out = (struct conf_asked){ .authorizer = false };
	if (span_starts(s, SPAN("URI "))) {
		out->uri = path_of_uri(span_skip(s, 4), &query);
		return true;
	}
	if (!span_starts(s, SPAN("path ")))
		return false;
	s = span_skip(s, 5);
	out->script.head = s;
	p = memmem(s.p, s.n, of.p, of.n);
	if (p == NULL)
		return true;
	out->script.head.n = (size_t)(p - s.p);
	s = span_skip(s, out->script.head.n + of.n);
	out->uri = path_of_uri(s, &query);
	/* which of two is ours? */
	return memmem(s.p, s.n, of.p, of.n) == NULL;
}

/* Which endpoint has the path?  False: the line does not tell. */
static bool
endpoint_of_path(const struct conf *c, const struct logread *l,
    const struct conf_endpoint **out)
{
	struct conf_asked asked;

	if (!read_path(l, &asked))
		return false;
	*out = conf_endpoint(c, &asked);
	/* in that role the URI alone counts, and no line tells of it */
	asked.authorizer = true;
	return conf_endpoint(c, &asked) == *out;
}

/*
 * A request for which no endpoint was found: its path is in the detail.  The
 * line tells of the sender's own field, and of no source origin.
 */
static void
decide_new(const struct conf *c, const struct conf_endpoint *as,
    const struct logread *l, struct replay_result *out)
{
	const struct policy_request none = { .method = l->method.s };
	bool neither = l->has_sender && l->sender.s.n == 0 &&
	    l->origin.s.n == 0 && !span_eq(l->method.s, SPAN("OPTIONS"));

	cannot(is_hidden(l) ? REPLAY_HIDDEN : REPLAY_NO_PATH, out);
	if (as == NULL && !endpoint_of_path(c, l, &as))
		return;
	if (as == NULL)
		stays(l, out);
	else if (l->sender.s.n > 0)
		version_2(&as->policy, l, out);
	else if (neither)
		decide(&as->policy, &none, l, out);
}

void
replay_decide(const struct conf *c, const struct conf_endpoint *as,
    const struct logread *l, struct replay_result *out)
{
	const struct conf_endpoint *ep = as;

	switch (l->reason) {
	case REASON_VARIABLE_REPEATED:
	case REASON_BAD_BYTE:
	case REASON_BAD_REQUEST:
		stays(l, out);
		return;
	case REASON_NO_ENDPOINT:
		decide_new(c, as, l, out);
		return;
	default:
		break;
	}
	if (ep == NULL)
		ep = replay_endpoint(c, SPAN("-"));
	if (ep == NULL && l->endpoint.s.p != NULL && !l->endpoint.cut)
		ep = replay_endpoint(c, l->endpoint.s);
	if (ep != NULL)
		decide_by(&ep->policy, l, out);
	else if (l->endpoint.s.p == NULL)
		cannot(REPLAY_NO_NAME, out);
	else
		decided(l, POLICY_OUTCOME_DENY, REASON_NO_ENDPOINT, out);
}
