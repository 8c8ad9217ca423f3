/*
 * decide: which endpoint and which query a request means, what comes before
 * its policy, and the fields of an answer that is the decision alone.
 */
#include "decide.h"

#include "folder.h"
#include "tap.h"

#define V2 "HTTP_AMP_EMAIL_SENDER=a@b.example"
#define V1 "HTTP_ORIGIN=https://mail.google.com"
#define QUERY "__amp_source_origin=a@b.example"
#define GET "REQUEST_METHOD=GET"

enum { VARS = 8 };

static const char policy[] = "[policy]\n"
			     "senders = a@b.example\n"
			     "[endpoint run]\n"
			     "path = /run\n"
			     "exec = /bin/true\n"
			     "[endpoint decide]\n"
			     "path = /decide\n"
			     "handler = none\n"
			     "[endpoint report]\n"
			     "path = /report\n"
			     "mode = report\n";

struct decide_case {
	const char *name;
	const char *vars[VARS];
	bool authorizer;
	const char *endpoint; /* NULL: none */
	enum policy_verdict verdict;
	enum reason reason;
	const char *query; /* that was decided by */
};

static const struct decide_case cases[] = {
	{ .name = "allowed",
	    .vars = { GET, V2, "SCRIPT_NAME=/run", "PATH_INFO=/x" },
	    .endpoint = "run",
	    .verdict = POLICY_ALLOW },
	{ .name = "refused by the policy",
	    .vars = { GET, "SCRIPT_NAME=/run" },
	    .endpoint = "run",
	    .reason = REASON_NO_AMP_HEADERS },
	{ .name = "a preflight",
	    .vars = { "REQUEST_METHOD=OPTIONS", V1, "SCRIPT_NAME=/run",
		"HTTP_ACCESS_CONTROL_REQUEST_METHOD=POST" },
	    .endpoint = "run",
	    .verdict = POLICY_PREFLIGHT,
	    .reason = REASON_PREFLIGHT },
	{ .name = "repeated, before all else",
	    .vars = { V2, V2, "SCRIPT_NAME=/none", "CONTENT_LENGTH=x" },
	    .reason = REASON_VARIABLE_REPEATED },
	{ .name = "no request",
	    .vars = { V2, "SCRIPT_NAME=/run" },
	    .endpoint = "run",
	    .reason = REASON_BAD_REQUEST },
	{ .name = "no request, before a bad byte",
	    .vars = { "HTTP_AMP_EMAIL_SENDER=a\n", "SCRIPT_NAME=/run" },
	    .endpoint = "run",
	    .reason = REASON_BAD_REQUEST },
	{ .name = "a bad byte, before no endpoint",
	    .vars = { GET, "HTTP_AMP_EMAIL_SENDER=a\n", "SCRIPT_NAME=/none" },
	    .reason = REASON_BAD_BYTE },
	{ .name = "no endpoint",
	    .vars = { GET, V2, "SCRIPT_NAME=/none" },
	    .reason = REASON_NO_ENDPOINT },
	{ .name = "the URI's path does not count for a program",
	    .vars = { GET, V2, "SCRIPT_NAME=/run", "REQUEST_URI=/none" },
	    .endpoint = "run",
	    .verdict = POLICY_ALLOW },
	{ .name = "nor its query",
	    .vars = { GET, V1, "SCRIPT_NAME=/run", "REQUEST_URI=/run?" QUERY },
	    .endpoint = "run",
	    .reason = REASON_SOURCE_ORIGIN_MISSING },
	{ .name = "where nothing runs, both do",
	    .vars = { GET, V1, "SCRIPT_NAME=/check",
		"REQUEST_URI=/%64ecide?" QUERY },
	    .endpoint = "decide",
	    .verdict = POLICY_ALLOW,
	    .query = QUERY },
	{ .name = "the same query twice",
	    .vars = { GET, V1, "QUERY_STRING=" QUERY,
		"REQUEST_URI=/decide?" QUERY },
	    .endpoint = "decide",
	    .verdict = POLICY_ALLOW,
	    .query = QUERY },
	{ .name = "another one",
	    .vars = { GET, V2, "QUERY_STRING=a=b", "REQUEST_URI=/decide?a=c" },
	    .endpoint = "decide",
	    .reason = REASON_BAD_REQUEST,
	    .query = "a=b" },
	{ .name = "a bad byte, before another one",
	    .vars = { GET, "HTTP_ORIGIN=\x7f", "QUERY_STRING=a=b",
		"REQUEST_URI=/decide?a=c" },
	    .endpoint = "decide",
	    .reason = REASON_BAD_BYTE,
	    .query = "a=b" },
	{ .name = "a URI without a query says nothing of one",
	    .vars = { GET, V1, "QUERY_STRING=" QUERY, "REQUEST_URI=/decide" },
	    .endpoint = "decide",
	    .verdict = POLICY_ALLOW,
	    .query = QUERY },
	{ .name = "an Authorizer, by the URI wherever it leads",
	    .vars = { GET, V1, "SCRIPT_NAME=/decide",
		"REQUEST_URI=/run?" QUERY },
	    .authorizer = true,
	    .endpoint = "run",
	    .verdict = POLICY_ALLOW,
	    .query = QUERY },
	{ .name = "an Authorizer's own query",
	    .vars = { GET, V1, "QUERY_STRING=" QUERY, "REQUEST_URI=/run?a=b" },
	    .authorizer = true,
	    .endpoint = "run",
	    .verdict = POLICY_ALLOW,
	    .query = QUERY },
};

static void
ignore(void *ctx, const struct conf_fault *f)
{
	(void)ctx;
	(void)f;
}

static struct conf *
load(void)
{
	struct conf *conf;

	if (conf_load(folder_file("policy.ini", policy, 0600), CONF_FOR_SERVER,
		ignore, NULL, &conf) != CONF_OK)
		bail();
	return conf;
}

/* Variables in memory of their own, as a test's strings must not be. */
static char **
vars_of(const char *const from[VARS])
{
	static char text[VARS][256];
	static char *vars[VARS + 1];
	size_t n = 0;

	while (n < VARS && from[n] != NULL) {
		snprintf(text[n], sizeof(text[n]), "%s", from[n]);
		vars[n] = text[n];
		n++;
	}
	vars[n] = NULL;
	return vars;
}

static const struct conf_endpoint *
decide(const struct conf *conf, const char *const vars[], bool authorizer,
    struct cgienv *env, struct policy_decision *d)
{
	return decide_request(conf, cgienv_read(vars_of(vars), env), authorizer,
	    env, d);
}

static void
test_case(const struct conf *conf, const struct decide_case *c)
{
	const struct conf_endpoint *ep;
	struct policy_decision d;
	struct cgienv env;

	memset(&d, 0xFF, sizeof(d));
	memset(&env, 0xFF, sizeof(env));
	ep = decide(conf, c->vars, c->authorizer, &env, &d);
	is_span(span_of(ep == NULL ? NULL : ep->name), c->endpoint, c->name);
	kept_out(d.verdict != POLICY_DENY, c->verdict != POLICY_DENY, c->name);
	ok(d.verdict == c->verdict && d.reason == c->reason && !d.reported,
	    "%s: %s", c->name, reason_word(d.reason));
	is_span(env.policy.query, c->query, "by this query");
	ok(d.nfields >= (ep != NULL) && (ep != NULL || d.nfields == 0),
	    "Vary where there is an endpoint");
}

/* Who it says it is goes into the log, whatever comes before the policy. */
static void
test_claim(const struct conf *conf)
{
	static const char *const vars[VARS] = { GET, V2, V2 };
	struct policy_decision d;
	struct cgienv env;

	decide(conf, vars, false, &env, &d);
	is_span(d.claimed_sender, "a@b.example", "the claimed sender");
	ok(d.sender.p == NULL, "is not verified");
}

/* The fields as lines, without Vary. */
static void
show(const struct policy_decision *d, bool authorizer, char out[1024])
{
	struct field all[DECIDE_FIELDS_MAX];
	size_t n = decide_fields(d, authorizer, all);

	*out = '\0';
	for (size_t i = 0, at = 0; i < n; i++)
		if (!span_eq(all[i].name, SPAN("Vary")))
			at += (size_t)sprintf(out + at, "%.*s: %.*s\n",
			    (int)all[i].name.n, all[i].name.p,
			    (int)all[i].value.n, all[i].value.p);
}

#define ALLOW_2 "AMP-Email-Allow-Sender: a@b.example\n"
#define ALLOW_1                                                    \
	"Access-Control-Allow-Origin: https://mail.google.com\n"   \
	"AMP-Access-Control-Allow-Source-Origin: a@b.example\n"    \
	"Access-Control-Expose-Headers: AMP-Access-Control-Allow-" \
	"Source-Origin\n"

static void
test_fields(const struct conf *conf)
{
	static const struct {
		const char *name, *vars[VARS], *alone, *authorizer;
	} all[] = {
		{ "version 2", { GET, V2, "REQUEST_URI=/decide" }, ALLOW_2,
		    ALLOW_2 "Variable-AMP_CORS_VERSION: 2\n"
			    "Variable-AMP_CORS_SENDER: a@b.example\n" },
		{ "version 1", { GET, V1, "REQUEST_URI=/decide?" QUERY },
		    ALLOW_1,
		    ALLOW_1 "Variable-AMP_CORS_VERSION: 1\n"
			    "Variable-AMP_CORS_SENDER: a@b.example\n"
			    "Variable-AMP_CORS_ORIGIN: "
			    "https://mail.google.com\n" },
		{ "let through", { GET, "REQUEST_URI=/report" }, "", "" },
	};
	struct policy_decision d;
	struct cgienv env;
	char got[1024];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		decide(conf, all[i].vars, true, &env, &d);
		show(&d, false, got);
		is_span(span_of(got), all[i].alone, all[i].name);
		show(&d, true, got);
		is_span(span_of(got), all[i].authorizer, "for an Authorizer");
	}
}

static void
test_alone(const struct conf *conf)
{
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(conf, &ep);

	for (size_t i = 0; i < n; i++) {
		bool none = strcmp(ep[i].name, "decide") == 0;

		ok(decide_alone(&ep[i], true), "%s, Authorizer", ep[i].name);
		ok(decide_alone(&ep[i], false) == none, "%s", ep[i].name);
	}
}

int
main(void)
{
	struct conf *conf;

	folder_make();
	conf = load();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		test_case(conf, &cases[i]);
	test_claim(conf);
	test_fields(conf);
	test_alone(conf);
	conf_free(conf);
	folder_remove();
	return tap_done();
}
