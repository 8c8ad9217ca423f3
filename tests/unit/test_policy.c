#include "guard.h"
#include "made.h"
#include "policy.h"
#include "senders.h"
#include "table.h"
#include "tap.h"

enum { TEXT_MAX = 4096 };

/* Each rule in a source of its own, the last one first. */
static void
split_senders(struct made *m)
{
	for (size_t i = 0; i < m->all.n; i++) {
		size_t from = m->all.n - 1 - i;

		m->part[i].n = 1;
		m->part[i].rule[0] = m->all.rule[from];
		m->part[i].line[0] = m->all.line[from];
		m->source[i] = senders_source(&m->part[i]);
	}
	m->policy.nsenders = m->all.n;
}

static const char *
verdict_word(const struct policy_decision *d)
{
	if (d->reported)
		return d->verdict == POLICY_DENY ? "report" : "nonsense";
	return d->verdict == POLICY_ALLOW  ? "allow" :
	    d->verdict == POLICY_PREFLIGHT ? "preflight" :
					     "deny";
}

/* The decision as a line of the table has it; Vary is not shown. */
static void
show(const struct policy_decision *d, char out[TEXT_MAX])
{
	int n = snprintf(out, TEXT_MAX, "%s %s %u", verdict_word(d),
	    reason_word(d->reason), d->version);

	for (size_t i = 1; i < d->nfields; i++) {
		const struct field *f = &d->fields[i];

		n += snprintf(out + n, (size_t)(TEXT_MAX - n), " | %.*s:%s%.*s",
		    (int)f->name.n, f->name.p, f->value.n == 0 ? "" : " ",
		    (int)f->value.n, f->value.p);
	}
}

static struct span
find(const struct policy_decision *d, const char *name)
{
	for (size_t i = 0; i < d->nfields; i++)
		if (span_eq(d->fields[i].name, span_of(name)))
			return d->fields[i].value;
	return (struct span){ NULL, 0 };
}

static bool
same(struct span a, struct span b)
{
	return span_eq(a, b) || (a.p == NULL && b.p == NULL);
}

/* What holds for every decision, whatever it is. */
static void
check_shape(const struct policy_request *r, const struct policy_decision *d)
{
	bool denied = d->verdict == POLICY_DENY;
	struct span origin = find(d, "Access-Control-Allow-Origin");

	is_span(d->fields[0].name, "Vary", "Vary is there");
	is_span(d->fields[0].value, "Origin, AMP-Email-Sender",
	    "with both names");
	ok(!denied ||
		(d->nfields == 1 && d->sender.p == NULL && d->origin.p == NULL),
	    "a refusal has no other field, and verifies nothing");
	ok(same(d->origin, origin) &&
		(origin.p == NULL || span_eq(origin, r->origin)),
	    "the verified origin is the one that is echoed, as received");
	if (d->version == 2 && !denied)
		ok(d->sender.p == r->sender.p && d->sender.n == r->sender.n,
		    "the sender of version 2 is the field's");
	if (d->version == 1 && !denied)
		ok(span_eq(d->sender,
		       find(d, "AMP-Access-Control-Allow-Source-Origin")),
		    "the sender of version 1 is the one that is echoed");
	ok(denied || same(d->sender, d->claimed_sender),
	    "who is verified is who was claimed");
	ok(d->at.file == NULL || d->reason == REASON_OK ||
		d->reason == REASON_PREFLIGHT ||
		d->reason == REASON_SENDER_NOT_ALLOWED,
	    "a rule is named only where it decided");
}

/* Decides into memory that held garbage before, as said by show(). */
static void
decide(const struct policy *p, const struct policy_request *r, int garbage,
    char out[TEXT_MAX])
{
	struct policy_decision d;

	memset(&d, garbage, sizeof(d));
	policy_decide(p, r, &d);
	if (garbage == 0)
		check_shape(r, &d);
	show(&d, out);
}

/* The same request, with other parameters in its query. */
static void
test_other_parameters(const struct policy *p, struct policy_request r,
    const char *want)
{
	static char query[TABLE_LINE + 64];
	char got[TEXT_MAX];
	bool empty = r.query.n == 0;

	sprintf(query, "a=%%zz&&%.*s%s=&b", (int)r.query.n,
	    empty ? "" : r.query.p, empty ? "" : "&");
	r.query = span_of(query);
	decide(p, &r, 0, got);
	is_span(span_of(got), want, "other parameters change nothing");
}

static void
test_row(const struct table *t)
{
	struct guard query = guard_of(t->col[QUERY].p, t->col[QUERY].n);
	struct guard origin = guard_of(t->col[ORIGIN].p, t->col[ORIGIN].n);
	struct guard sender = guard_of(t->col[SENDER].p, t->col[SENDER].n);
	const struct span absent = { NULL, 0 };
	struct policy_request r = {
		.method = t->col[METHOD],
		.query = t->col[QUERY].p == NULL ? absent : query.s,
		.origin = t->col[ORIGIN].p == NULL ? absent : origin.s,
		.sender = t->col[SENDER].p == NULL ? absent : sender.s,
		.want_method = t->col[WANTED],
	};
	struct made m;
	char want[TEXT_MAX], got[TEXT_MAX], name[32];

	snprintf(want, sizeof(want), "%.*s %.*s %.*s%s%.*s",
	    (int)t->col[DECISION].n, t->col[DECISION].p, (int)t->col[REASON].n,
	    t->col[REASON].p, (int)t->col[VERSION].n, t->col[VERSION].p,
	    t->col[FIELDS].p == NULL ? "" : " | ", (int)t->col[FIELDS].n,
	    t->col[FIELDS].p == NULL ? "" : t->col[FIELDS].p);
	snprintf(name, sizeof(name), "line %u", t->line);
	made_of(&m, t->col[POLICY]);
	decide(&m.policy, &r, 0, got);
	is_span(span_of(got), want, name);
	decide(&m.policy, &r, 0xFF, got);
	is_span(span_of(got), want, "whatever the decision held before");
	test_other_parameters(&m.policy, r, want);
	if (!m.all.broken) {
		split_senders(&m);
		decide(&m.policy, &r, 0, got);
		is_span(span_of(got), want, "wherever the rules are listed");
	}
	guard_free(&query);
	guard_free(&origin);
	guard_free(&sender);
}

static void
test_table(void)
{
	struct table t;

	table_open(&t, "policy.tsv");
	while (table_next(&t))
		if (ok(t.n == COLUMNS, "line %u: %d columns", t.line, COLUMNS))
			test_row(&t);
	table_close(&t);
}

/* Which rule decided, and whom the log names. */
static void
test_rule(void)
{
	static const struct {
		const char *sender;
		enum reason reason;
		unsigned line; /* 0: none */
	} cases[] = {
		{ "a@company.example", REASON_OK, 1 },
		{ "b@company.example", REASON_SENDER_NOT_ALLOWED, 2 },
		{ "c@other.example", REASON_SENDER_NOT_ALLOWED, 0 },
		{ "nobody", REASON_BAD_ADDRESS, 0 },
		{ "a\nb", REASON_BAD_BYTE, 0 },
	};
	struct policy_decision d;
	struct made m;

	made_of(&m, SPAN("senders=*@company.example,!b@company.example"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct policy_request r = { .method = SPAN("GET"),
			.sender = span_of(cases[i].sender) };

		policy_decide(&m.policy, &r, &d);
		ok(d.reason == cases[i].reason && d.at.line == cases[i].line &&
			(d.at.file == NULL) == (d.at.line == 0),
		    "the rule for %s", cases[i].sender);
		is_span(d.claimed_sender, cases[i].sender, "who it says it is");
	}
	m.policy.versions = POLICY_VERSION_1;
	policy_decide(&m.policy,
	    &(struct policy_request){ .method = SPAN("GET"),
		.sender = SPAN("a@company.example") },
	    &d);
	ok(d.reason == REASON_VERSION_NOT_ALLOWED && d.at.file == NULL,
	    "no rule where the version decided");
	policy_decide(&m.policy,
	    &(struct policy_request){ .method = SPAN("GET"),
		.query = SPAN("__amp_source_origin=%62%40company.example"),
		.origin = SPAN("https://mail.google.com") },
	    &d);
	ok(d.at.line == 2 && d.claimed_sender.p == d.source,
	    "version 1: the rule, and the decoded claim");
	is_span(d.claimed_sender, "b@company.example", "as decoded");
	made_of(&m, SPAN("senders=* playground"));
	policy_decide(&m.policy,
	    &(struct policy_request){ .method = SPAN("GET"),
		.query = SPAN("__amp_source_origin=b@company.example"),
		.origin = SPAN("https://amp.gmail.dev") },
	    &d);
	ok(d.reason == REASON_SENDER_NOT_ALLOWED && d.at.file == NULL,
	    "no rule where a playground's origin decided");
}

static void
test_refuse(void)
{
	struct policy_decision d;

	memset(&d, 0xFF, sizeof(d));
	policy_refuse(REASON_VARIABLE_REPEATED, true, &d);
	ok(d.verdict == POLICY_DENY && d.reason == REASON_VARIABLE_REPEATED &&
		!d.reported && d.version == 0 && d.nfields == 1 &&
		d.sender.p == NULL && d.origin.p == NULL &&
		d.claimed_sender.p == NULL && d.at.file == NULL,
	    "a refusal made elsewhere");
	is_span(d.fields[0].name, "Vary", "with Vary");
	memset(&d, 0xFF, sizeof(d));
	policy_refuse(REASON_NO_ENDPOINT, false, &d);
	ok(d.verdict == POLICY_DENY && d.reason == REASON_NO_ENDPOINT &&
		d.nfields == 0,
	    "for no endpoint: without");
}

/* The words of log lines and counters, from a decision's two members. */
static void
test_outcome(void)
{
	static const struct {
		enum policy_verdict verdict;
		bool reported;
		enum policy_outcome outcome;
		const char *word;
	} cases[] = {
		{ POLICY_ALLOW, false, POLICY_OUTCOME_ALLOW, "allow" },
		{ POLICY_DENY, false, POLICY_OUTCOME_DENY, "deny" },
		{ POLICY_PREFLIGHT, false, POLICY_OUTCOME_PREFLIGHT,
		    "preflight" },
		{ POLICY_DENY, true, POLICY_OUTCOME_REPORT, "report" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct policy_decision d = { .verdict = cases[i].verdict,
			.reported = cases[i].reported };

		ok(policy_outcome(&d) == cases[i].outcome, "outcome: %s",
		    cases[i].word);
		is_span(span_of(policy_word(cases[i].outcome)), cases[i].word,
		    "its word");
	}
	ok(sizeof(cases) / sizeof(cases[0]) == POLICY_OUTCOMES, "all of them");
}

static void
test_field(void)
{
	static const struct {
		const char *name;
		enum field_rule rule, reported;
	} cases[] = {
		{ "Vary", FIELD_JOIN, FIELD_JOIN },
		{ "vArY", FIELD_JOIN, FIELD_JOIN },
		{ "Access-Control-Expose-Headers", FIELD_JOIN, FIELD_PASS },
		{ "access-control-expose-headers", FIELD_JOIN, FIELD_PASS },
		{ "Access-Control-Allow-Origin", FIELD_DROP, FIELD_PASS },
		{ "ACCESS-CONTROL-ALLOW-CREDENTIALS", FIELD_DROP, FIELD_PASS },
		{ "Access-Control-Allow-Methods", FIELD_DROP, FIELD_PASS },
		{ "Access-Control-Max-Age", FIELD_DROP, FIELD_PASS },
		{ "Access-Control-Expose-HeadersX", FIELD_DROP, FIELD_PASS },
		{ "Access-Control-Of-Tomorrow", FIELD_DROP, FIELD_PASS },
		{ "Access-Control-", FIELD_DROP, FIELD_PASS },
		{ "AMP-Email-Allow-Sender", FIELD_DROP, FIELD_PASS },
		{ "amp-email-allow-sender", FIELD_DROP, FIELD_PASS },
		{ "AMP-Access-Control-Allow-Source-Origin", FIELD_DROP,
		    FIELD_PASS },
		{ "Amp-access-control-allow-source-origin", FIELD_DROP,
		    FIELD_PASS },
		{ "AMP-Redirect-To", FIELD_DROP, FIELD_PASS },
		{ "amp-redirect-to", FIELD_DROP, FIELD_PASS },
		{ "Variable-AMP_CORS_SENDER", FIELD_DROP, FIELD_DROP },
		{ "variable-x", FIELD_DROP, FIELD_DROP },
		{ "Variable-", FIELD_DROP, FIELD_DROP },
		{ "Variable", FIELD_PASS, FIELD_PASS },
		{ "Variables-X", FIELD_PASS, FIELD_PASS },
		{ "Access-Control", FIELD_PASS, FIELD_PASS },
		{ "X-Access-Control-Allow-Origin", FIELD_PASS, FIELD_PASS },
		{ "AMP-Email-Sender", FIELD_PASS, FIELD_PASS },
		{ "AMP-Email-Allow-SenderX", FIELD_PASS, FIELD_PASS },
		{ "X-Vary", FIELD_PASS, FIELD_PASS },
		{ "Var", FIELD_PASS, FIELD_PASS },
		{ "Content-Type", FIELD_PASS, FIELD_PASS },
		{ "Set-Cookie", FIELD_PASS, FIELD_PASS },
		{ "", FIELD_PASS, FIELD_PASS },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guard g = guard_of(cases[i].name, strlen(cases[i].name));

		ok(policy_field(g.s) == cases[i].rule, "field %s",
		    cases[i].name);
		ok(policy_field_reported(g.s) == cases[i].reported,
		    "the same under report");
		guard_free(&g);
	}
}

int
main(void)
{
	test_table();
	test_rule();
	test_refuse();
	test_outcome();
	test_field();
	return tap_done();
}
