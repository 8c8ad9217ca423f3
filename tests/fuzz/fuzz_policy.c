/*
 * The input is a policy and a request, a line each: letters (see make()),
 * senders, origins, browser_origins; method, Origin, AMP-Email-Sender,
 * Access-Control-Request-Method, and the query, which is the rest.
 */
#include "fuzz.h"
#include "policy.h"
#include "senders.h"

enum { ORIGINS_MAX = 8 };

struct made {
	struct policy policy;
	struct senders senders, denies;
	struct rules_source source[2];
	struct span origins[ORIGINS_MAX], browsers[ORIGINS_MAX];
};

static struct span
line(struct span *rest)
{
	struct span s = { NULL, 0 };

	span_cut(rest, '\n', &s);
	return s;
}

static size_t
origins(struct span words, struct span out[ORIGINS_MAX])
{
	struct span word;
	size_t n = 0;

	while (n < ORIGINS_MAX && span_word(&words, &word))
		if (origin_rule_valid(word))
			out[n++] = word;
	return n;
}

static bool
has(struct span letters, char c)
{
	return letters.n > 0 && memchr(letters.p, c, letters.n) != NULL;
}

static void
make(struct made *m, struct span *rest)
{
	struct span letters = line(rest), senders = line(rest), word;
	struct policy *p = &m->policy;

	memset(m, 0, sizeof(*m));
	p->fold_local = !has(letters, 'k');
	while (span_word(&senders, &word))
		senders_add(&m->senders, word, p->fold_local);
	m->senders.broken = has(letters, 'b');
	m->source[0] = senders_source(&m->senders);
	m->source[1] = senders_source(&m->denies);
	p->senders = m->source;
	p->nsenders = 1;
	p->norigins = origins(line(rest), m->origins);
	p->origins = m->origins;
	p->nbrowser_origins = origins(line(rest), m->browsers);
	p->browser_origins = m->browsers;
	p->allow_methods = SPAN("GET, POST");
	p->allow_headers = SPAN("AMP-Email-Sender, Content-Type");
	p->max_age = SPAN("600");
	p->expose = SPAN("");
	p->expose_v1 = SPAN("AMP-Access-Control-Allow-Source-Origin");
	p->versions = has(letters, '1') ? POLICY_VERSION_1 :
	    has(letters, '2')           ? POLICY_VERSION_2 :
					  POLICY_VERSION_1 | POLICY_VERSION_2;
	p->playground = has(letters, 'p');
	p->credentials = has(letters, 'c');
	p->report = has(letters, 'r');
}

static void
decide(const struct policy *p, const struct policy_request *r, int garbage,
    struct policy_decision *out)
{
	memset(out, garbage, sizeof(*out));
	policy_decide(p, r, out);
}

static bool
equal(struct span a, struct span b)
{
	return span_eq(a, b) || (a.p == NULL && b.p == NULL);
}

static bool
same_fields(const struct policy_decision *a, const struct policy_decision *b)
{
	if (a->nfields != b->nfields)
		return false;
	for (size_t i = 0; i < a->nfields; i++)
		if (!span_eq(a->fields[i].name, b->fields[i].name) ||
		    !span_eq(a->fields[i].value, b->fields[i].value))
			return false;
	return true;
}

static bool
same(const struct policy_decision *a, const struct policy_decision *b)
{
	return a->verdict == b->verdict && a->reason == b->reason &&
	    a->reported == b->reported && a->version == b->version &&
	    equal(a->sender, b->sender) && equal(a->origin, b->origin) &&
	    equal(a->claimed_sender, b->claimed_sender) &&
	    a->at.line == b->at.line && same_fields(a, b);
}

static void
check_value(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		FUZZ_HOLDS(span_graph(s.p[i]) || s.p[i] == ' ');
	FUZZ_HOLDS(!span_eq(s, SPAN("*")));
}

static void
check_field(const struct policy_request *r, const struct policy_decision *d,
    const struct field *f)
{
	struct address a;

	check_value(f->value);
	if (span_eq(f->name, SPAN("Access-Control-Allow-Origin"))) {
		FUZZ_HOLDS(span_eq(f->value, r->origin));
		FUZZ_HOLDS(
		    span_eq(f->value, SPAN("null")) || origin_valid(f->value));
	} else if (span_eq(f->name, SPAN("AMP-Email-Allow-Sender"))) {
		FUZZ_HOLDS(d->version == 2 && span_eq(f->value, r->sender));
		FUZZ_HOLDS(address_parse(f->value, &a));
	} else if (span_eq(f->name,
		       SPAN("AMP-Access-Control-Allow-Source-Origin"))) {
		FUZZ_HOLDS(d->version == 1 && f->value.p == d->source);
		FUZZ_HOLDS(
		    address_parse(f->value, &a) || origin_valid(f->value));
	}
}

static void
check_fields(const struct policy_request *r, const struct policy_decision *d)
{
	FUZZ_HOLDS(d->nfields >= 1 && d->nfields <= POLICY_FIELDS_MAX);
	FUZZ_HOLDS(span_eq(d->fields[0].name, SPAN("Vary")));
	FUZZ_HOLDS(d->verdict != POLICY_DENY || d->nfields == 1);
	FUZZ_HOLDS(d->verdict == POLICY_DENY || d->nfields > 1);
	for (size_t i = 0; i < d->nfields; i++) {
		check_field(r, d, &d->fields[i]);
		for (size_t k = 0; k < i; k++)
			FUZZ_HOLDS(
			    !span_caseeq(d->fields[i].name, d->fields[k].name));
	}
}

static void
check_decision(const struct made *m, const struct policy_request *r,
    const struct policy_decision *d)
{
	FUZZ_HOLDS((d->verdict == POLICY_ALLOW) == (d->reason == REASON_OK));
	FUZZ_HOLDS((d->verdict == POLICY_PREFLIGHT) ==
	    (d->reason == REASON_PREFLIGHT));
	FUZZ_HOLDS(
	    !d->reported || (m->policy.report && d->verdict == POLICY_DENY));
	FUZZ_HOLDS(d->verdict != POLICY_DENY ||
	    (d->sender.p == NULL && d->origin.p == NULL));
	FUZZ_HOLDS(!m->senders.broken || d->verdict != POLICY_ALLOW);
	FUZZ_HOLDS(
	    d->verdict != POLICY_ALLOW || d->version == 1 || d->version == 2);
	FUZZ_HOLDS(d->version != 2 || r->sender.n > 0);
	FUZZ_HOLDS(d->version != 1 || (r->sender.n == 0 && r->origin.n > 0));
}

/* What may not matter does not. */
static void
check_same(const struct policy *p, struct policy_request r,
    const struct policy_decision *d)
{
	struct policy_decision again;
	struct policy other = *p;
	size_t n = r.query.n;
	char *query = malloc(n + 32);

	if (query == NULL)
		abort();
	decide(p, &r, 0xFF, &again);
	FUZZ_HOLDS(same(d, &again));
	memcpy(query, "x=%zz&", 6);
	if (n > 0)
		memcpy(query + 6, r.query.p, n);
	memcpy(query + 6 + n, "&__amp=1", 8);
	r.query = (struct span){ query, n + 14 };
	decide(p, &r, 0, &again);
	FUZZ_HOLDS(same(d, &again));
	other.report = !p->report;
	decide(&other, &r, 0, &again);
	again.reported = d->reported;
	FUZZ_HOLDS(same(d, &again));
	free(query);
}

/* What can only narrow does not widen. */
static void
check_narrower(struct made *m, const struct policy_request *r,
    const struct policy_decision *d)
{
	struct policy_decision less;
	struct policy narrow = m->policy;

	narrow.playground = false;
	decide(&narrow, r, 0, &less);
	FUZZ_HOLDS(less.verdict == POLICY_DENY || d->verdict == less.verdict);
	narrow = m->policy;
	narrow.nbrowser_origins = 0;
	decide(&narrow, r, 0, &less);
	FUZZ_HOLDS(less.verdict == POLICY_DENY || d->verdict == less.verdict);
	narrow = m->policy;
	narrow.nsenders = 2;
	senders_add(&m->denies,
	    r->sender.n > 0 ? SPAN("!*@company.example") : SPAN("!*"), true);
	decide(&narrow, r, 0, &less);
	FUZZ_HOLDS(less.verdict == POLICY_DENY || d->verdict == less.verdict);
	m->denies.broken = true;
	decide(&narrow, r, 0, &less);
	FUZZ_HOLDS(less.verdict != POLICY_ALLOW);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data, size };
	struct policy_request r;
	struct policy_decision d;
	struct made m;

	make(&m, &rest);
	r.method = line(&rest);
	r.origin = line(&rest);
	r.sender = line(&rest);
	r.want_method = line(&rest);
	r.query = rest;
	decide(&m.policy, &r, 0, &d);
	check_decision(&m, &r, &d);
	check_fields(&r, &d);
	check_same(&m.policy, r, &d);
	check_narrower(&m, &r, &d);
	return 0;
}
