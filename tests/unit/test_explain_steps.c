/*
 * explain_steps: the way to a decision ends where the decision does, for every
 * row of policy.tsv and for many requests that are in no table; and it names
 * what was found.
 */
#include "explain_steps.h"

#include "explained.h"
#include "made.h"

/* --- the policy's steps --- */

/* The step that decided; NULL: none, or several. */
static const struct explain_step *
deciding(const struct explain_steps *s)
{
	const struct explain_step *found = NULL;
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->step[i].decided) {
			found = &s->step[i];
			n++;
		}
	return n == 1 ? found : NULL;
}

static bool
same_place(struct rules_at a, struct rules_at b)
{
	return a.file == b.file && a.line == b.line;
}

/* The rule that was found, where a rule decided. */
static bool
names_rule(const struct policy_decision *d, const struct explain_steps *s)
{
	return d->at.file == NULL ||
	    (s->nkeys > 0 && same_place(s->key[s->nkeys - 1].at, d->at));
}

/* What holds for all steps to a decision.  What does not, or NULL. */
static const char *
fault_of(const struct policy_decision *d, const struct explain_steps *s)
{
	const struct explain_step *by = deciding(s);
	bool denied = d->verdict == POLICY_DENY;

	if (s->n == 0 || s->n > EXPLAIN_STEPS_MAX)
		return "the number of steps";
	if (s->step[s->n - 1].reason != d->reason)
		return "the last reason";
	if (by == NULL || (by->found == EXPLAIN_REFUSED) != denied)
		return "the one that decided";
	if (denied && by->reason != d->reason)
		return "its reason";
	for (size_t i = 0; i < s->n; i++)
		if (!explained_plain(s->step[i].text))
			return "a text";
	for (size_t i = 0; i + 1 < s->nkeys; i++)
		if (s->key[i].answer != RULES_NONE)
			return "a key behind the one that decided";
	return names_rule(d, s) ? NULL : "the rule";
}

static void
steps_of(const struct policy *p, const struct policy_request *r,
    const char **fault)
{
	static struct explain_steps s;
	struct policy_decision d;

	policy_decide(p, r, &d);
	memset(&s, 0xFF, sizeof(s));
	explain_steps_policy(p, r, &d, &s);
	*fault = fault_of(&d, &s);
}

static void
test_table(void)
{
	struct table t;
	unsigned rows = 0;

	table_open(&t, "policy.tsv");
	for (; table_next(&t); rows++) {
		const struct policy_request r = { .method = t.col[METHOD],
			.query = t.col[QUERY],
			.origin = t.col[ORIGIN],
			.sender = t.col[SENDER],
			.want_method = t.col[WANTED] };
		const char *fault;
		struct made m;

		made_of(&m, t.col[POLICY]);
		steps_of(&m.policy, &r, &fault);
		ok(fault == NULL, "line %u: %s", t.line,
		    fault == NULL ? "the steps end in it" : fault);
	}
	ok(rows > 100, "%u rows", rows);
	table_close(&t);
}

#define SOURCE "__amp_source_origin="

static const char *const policies[] = {
	"senders=a@b.example,*@d.example,!x@d.example",
	"senders=a@b.example versions=1",
	"senders=a@b.example versions=2 report",
	"senders=* playground report",
	"playground origins=https://c.example",
	"senders=!amp@gmail.dev,https://playground.amp.dev playground",
	"senders=a@b.example browser_origins=https://c.example,null",
	"senders=a@b.example broken report",
	"senders=*@*.b.example,!*@b.example,A@b.example kept",
	"",
};
static const char *const queries[] = { NULL, "", "x=y", SOURCE,
	SOURCE "a@b.example", SOURCE "a%40b.example&x", SOURCE "x@d.example",
	SOURCE "amp@gmail.dev", SOURCE "https://playground.amp.dev",
	SOURCE "https://c.example", SOURCE "a@b.example&" SOURCE "a@b.example",
	SOURCE "%zz", SOURCE "%0a", SOURCE "A@b.example", SOURCE "nobody",
	"%5F_amp_source_origin=a@b.example" };
static const char *const origins[] = { NULL, "https://mail.google.com",
	"https://amp.gmail.dev", "https://playground.amp.dev",
	"https://c.example", "null", "https://other.example", "x\ny" };
static const char *const sender_values[] = { NULL, "a@b.example", "A@B.example",
	"x@d.example", "y@d.example", "amp@gmail.dev", "a@x.b.example",
	"https://playground.amp.dev", "<a@b.example>", "a\x7f@b.example" };

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

/* A request by its number: method, query, origin, sender, wanted method. */
static struct policy_request
request_of(size_t n)
{
	struct policy_request r;

	r.method = n % 2 == 0 ? SPAN("GET") : SPAN("OPTIONS");
	r.want_method = span_of(n / 2 % 2 == 0 ? NULL : "POST");
	r.query = span_of(queries[n / 4 % COUNT(queries)]);
	n /= 4 * COUNT(queries);
	r.origin = span_of(origins[n % COUNT(origins)]);
	r.sender = span_of(sender_values[n / COUNT(origins)]);
	return r;
}

/* Every one of them together with every other one. */
static void
test_product(void)
{
	const size_t n =
	    4 * COUNT(queries) * COUNT(origins) * COUNT(sender_values);
	struct made m;

	for (size_t p = 0; p < COUNT(policies); p++) {
		const char *fault = NULL;
		size_t i;

		made_of(&m, span_of(policies[p]));
		for (i = 0; i < n && fault == NULL; i++) {
			const struct policy_request r = request_of(i);

			steps_of(&m.policy, &r, &fault);
		}
		ok(fault == NULL, "%s: request %zu of %zu: %s", policies[p], i,
		    n, fault == NULL ? "all good" : fault);
	}
}

/* --- all steps, of a whole case --- */

static const char ini[] = "[policy]\n"
			  "senders = a@b.example *@*.d.example\n"
			  "[endpoint run]\n"
			  "path = /run\n"
			  "exec = /bin/true\n"
			  "senders = a@b.example *@d.example !x@d.example\n"
			  "[endpoint decide]\n"
			  "path = /decide\n"
			  "handler = none\n"
			  "browser_origins = https://try.example\n"
			  "[endpoint report]\n"
			  "path = /report\n"
			  "mode = report\n";

#define GET "REQUEST_METHOD=GET"
#define RUN "SCRIPT_NAME=/run"
#define V2 "HTTP_AMP_EMAIL_SENDER=a@b.example"
#define V1 "HTTP_ORIGIN=https://mail.google.com"

struct whole_case {
	const char *vars[EXPLAINED_VARS];
	bool authorizer;
	const char *steps; /* their names and what they found */
	const char *text;  /* a part of one of them */
};

static const struct whole_case wholes[] = {
	{ .vars = { GET, RUN, V2, V2 },
	    .steps = "variables:deny",
	    .text = "HTTP_AMP_EMAIL_SENDER is there twice, as \"a@b.example\" "
		    "and as \"a@b.example\"" },
	{ .vars = { RUN, V2 },
	    .steps = "variables:deny",
	    .text = "no REQUEST_METHOD" },
	{ .vars = { GET, RUN, V2, "CONTENT_LENGTH=5 " },
	    .steps = "variables:deny",
	    .text = "CONTENT_LENGTH is \"5 \"" },
	{ .vars = { GET, RUN, V2, "X=1", "X=2" },
	    .steps = "variables:deny",
	    .text = "X is there twice, as \"1\" and as \"2\"." },
	{ .vars = { GET, RUN, V2, "AMP_CORS_FRONT=1" },
	    .steps = "loop:deny",
	    .text = "AMP_CORS_FRONT" },
	{ .vars = { GET, RUN, "HTTP_AMP_EMAIL_SENDER=a\r\nX: y" },
	    .steps = "variables:ok bytes:deny",
	    .text = "AMP-Email-Sender is \"a\\x0d\\x0aX: y\"" },
	{ .vars = { GET, RUN, "HTTP_ORIGIN=\"\xff" },
	    .steps = "variables:ok bytes:deny",
	    .text = "Origin is \"\\x22\\xff\"" },
	{ .vars = { GET, "SCRIPT_NAME=/none", "PATH_INFO=/x", V2 },
	    .steps = "variables:ok bytes:ok endpoint:deny",
	    .text = "No endpoint's path is \"/none/x\", or above it." },
	{ .vars = { GET, "SCRIPT_NAME=/run/../x", V2 },
	    .steps = "variables:ok bytes:ok endpoint:deny",
	    .text = "\"/run/../x\" is not plain" },
	{ .vars = { GET, "SCRIPT_NAME=/x", "REQUEST_URI=/decide/%2e%2e", V2 },
	    .steps = "variables:ok bytes:ok endpoint:deny",
	    .text = "\"/x\" of URI \"/decide/%2e%2e\" is not plain" },
	{ .vars = { GET, V2, "REQUEST_URI=/decide?a=b", "QUERY_STRING=a=c" },
	    .steps = "variables:ok bytes:ok endpoint:ok query:deny",
	    .text = "\"a=c\", but REQUEST_URI's is \"a=b\"" },
	{ .vars = { GET, RUN, V2 },
	    .steps = "variables:ok bytes:ok endpoint:ok preflight:no "
		     "version-2:yes address:ok senders:ok! versions:ok",
	    .text = "[endpoint run], found by its path: /run" },
	{ .vars = { GET, RUN, "HTTP_AMP_EMAIL_SENDER=x@d.example" },
	    .steps = "variables:ok bytes:ok endpoint:ok preflight:no "
		     "version-2:yes address:ok senders:deny",
	    .text = "The rule !x@d.example denies it: /" },
	{ .vars = { GET, V2, "REQUEST_URI=/decide?a=b",
	      "HTTP_ORIGIN=https://try.example" },
	    .steps = "variables:ok bytes:ok endpoint:ok query:ok preflight:no "
		     "version-2:yes address:ok senders:ok! versions:ok "
		     "browser:yes",
	    .text = "found by the path of REQUEST_URI: /decide" },
	{ .vars = { GET, V1, "REQUEST_URI=/decide?" SOURCE "z@d.example" },
	    .steps = "variables:ok bytes:ok endpoint:ok query:ok preflight:no "
		     "version-2:no version-1:yes origin:ok parameter:ok "
		     "address:ok senders:deny",
	    .text = "QUERY_STRING is empty" },
	{ .vars = { "REQUEST_METHOD=OPTIONS", V1, RUN,
	      "HTTP_ACCESS_CONTROL_REQUEST_METHOD=PUT" },
	    .steps = "variables:ok bytes:ok endpoint:ok preflight:yes "
		     "parameter:ok origin:ok!",
	    .text = "Access-Control-Request-Method: PUT" },
	{ .vars = { GET, RUN },
	    .steps = "variables:ok bytes:ok endpoint:ok preflight:no "
		     "version-2:no version-1:deny" },
	{ .vars = { GET, "SCRIPT_NAME=/report" },
	    .steps = "variables:ok bytes:ok endpoint:ok preflight:no "
		     "version-2:no version-1:deny mode:yes" },
	{ .vars = { GET, "SCRIPT_NAME=/report", V2 },
	    .steps = "variables:ok bytes:ok endpoint:ok preflight:no "
		     "version-2:yes address:ok senders:ok! versions:ok" },
	/* the Authorizer's role is FastCGI's alone: no loop there */
	{ .vars = { GET, V2, RUN, "AMP_CORS_FRONT=1" },
	    .authorizer = true,
	    .steps = "variables:ok bytes:ok endpoint:ok preflight:no "
		     "version-2:yes address:ok senders:ok! versions:ok" },
	{ .vars = { GET, V2, "REQUEST_URI=/run?a=b", "QUERY_STRING=a=c" },
	    .authorizer = true,
	    .steps = "variables:ok bytes:ok endpoint:ok query:ok preflight:no "
		     "version-2:yes address:ok senders:ok! versions:ok",
	    .text = "and not REQUEST_URI's" },
};

/* "name:found name:found!", '!' behind an allow that decided. */
static void
show(const struct explain_steps *s, char out[1024])
{
	size_t n = 0;

	*out = '\0';
	for (size_t i = 0; i < s->n; i++) {
		const struct explain_step *step = &s->step[i];

		n += (size_t)sprintf(out + n, "%s%s:%s%s", i == 0 ? "" : " ",
		    step->name, explain_steps_word(step->found),
		    step->decided && step->found != EXPLAIN_REFUSED ? "!" : "");
	}
}

static bool
has_text(const struct explain_steps *s, const char *text)
{
	bool has = text == NULL;

	for (size_t i = 0; i < s->n; i++)
		has = has || strstr(s->step[i].text, text) != NULL;
	return has;
}

static void
test_whole(const struct conf *conf, const struct whole_case *w)
{
	static struct explain_case c;
	static struct explain_steps s;
	char got[1024];

	explain_case_decide(conf, explained_vars(w->vars), w->authorizer, &c);
	memset(&s, 0xFF, sizeof(s));
	explain_steps(&c, &s);
	show(&s, got);
	is_span(span_of(got), w->steps, w->steps);
	if (!ok(has_text(&s, w->text), "%s",
		w->text == NULL ? "no text" : w->text))
		for (size_t i = 0; i < s.n; i++)
			printf("# %s\n", s.step[i].text);
	ok(s.step[s.n - 1].reason == c.decision.reason, "ends in %s",
	    reason_word(c.decision.reason));
}

/* Each key as the rule that it stands for, and where that is written. */
static void
test_keys(const struct conf *conf)
{
	static const char *const vars[EXPLAINED_VARS] = { GET,
		"SCRIPT_NAME=/decide",
		"HTTP_AMP_EMAIL_SENDER=Q@x.y.D.example" };
	static const char *const rules[] = { "q@x.y.d.example",
		"*@x.y.d.example", "*@*.y.d.example", "*@*.d.example" };
	static struct explain_case c;
	static struct explain_steps s;

	explain_case_decide(conf, explained_vars(vars), false, &c);
	explain_steps(&c, &s);
	ok(s.nkeys == COUNT(rules), "%zu keys", s.nkeys);
	for (size_t i = 0; i < COUNT(rules); i++)
		is_span(span_of(s.key[i].rule), rules[i], rules[i]);
	ok(s.key[2].answer == RULES_NONE && s.key[3].answer == RULES_ALLOW &&
		s.key[3].at.line == 2,
	    "the last one of them, with its line");
}

static void
test_shown(void)
{
	static char text[1000];
	char out[EXPLAIN_SHOWN_MAX];

	memset(text, 0xff, sizeof(text));
	explain_shown((struct span){ text, sizeof(text) }, out);
	ok(strlen(out) < EXPLAIN_SHOWN_MAX && explained_plain(out) &&
		strcmp(out + strlen(out) - 7, "\\xff...") == 0,
	    "a long value is cut, and says so");
	is_span(span_of(explain_shown(SPAN("a\"\n"), out)), "a\\x22\\x0a",
	    "it is escaped");
	is_span(span_of(explain_shown((struct span){ NULL, 0 }, out)), "",
	    "an absent one is empty");
	is_span(span_of(explain_place((struct rules_at){ "/x\ny", 7 }, out)),
	    "/x\\x0ay:7", "a place");
	is_span(span_of(explain_place((struct rules_at){ NULL, 0 }, out)), "",
	    "none");
}

int
main(void)
{
	struct conf *conf;

	folder_make();
	test_table();
	test_product();
	conf = explained_load(ini);
	for (size_t i = 0; i < COUNT(wholes); i++)
		test_whole(conf, &wholes[i]);
	test_keys(conf);
	test_shown();
	conf_free(conf);
	folder_remove();
	return tap_done();
}
