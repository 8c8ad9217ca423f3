/*
 * explain_client: what a client would complain about, and what it would not.
 */
#include "explain_client.h"

#include "explained.h"

static const char ini[] = "[policy]\n"
			  "senders = a@b.example\n"
			  "exec = /bin/true\n"
			  "browser_origins = https://try.example\n"
			  "[endpoint run]\n"
			  "path = /run\n"
			  "max_body = 10\n"
			  "[endpoint kept]\n"
			  "path = /kept\n"
			  "credentials = yes\n"
			  "local_part_case = sensitive\n"
			  "[endpoint missing]\n"
			  "path = /missing\n"
			  "exec = /no/such/handler\n"
			  "[endpoint replace]\n"
			  "path = /replace\n"
			  "exec_mode = replace\n"
			  "[endpoint report]\n"
			  "path = /report\n"
			  "mode = report\n"
			  "[endpoint one]\n"
			  "path = /one\n"
			  "versions = 1\n"
			  "[server]\n"
			  "metrics = url:/run/metrics\n";

#define GET "REQUEST_METHOD=GET"
#define OPTIONS "REQUEST_METHOD=OPTIONS"
#define RUN "SCRIPT_NAME=/run"
#define V2 "HTTP_AMP_EMAIL_SENDER=a@b.example"
#define V1 "HTTP_ORIGIN=https://mail.google.com"
#define TRY "HTTP_ORIGIN=https://try.example"
#define SOURCE "QUERY_STRING=__amp_source_origin=a@b.example"
#define WANT "HTTP_ACCESS_CONTROL_REQUEST_METHOD="
#define NAMES "HTTP_ACCESS_CONTROL_REQUEST_HEADERS="

enum { SAID = 4 };

static const struct {
	const char *name, *vars[EXPLAINED_VARS];
	bool authorizer;
	const char *said[SAID]; /* "level: part of the text", in this order */
} cases[] = {
	{ "version 2", { GET, RUN, V2 }, false, { NULL } },
	{ "version 1", { GET, RUN, V1, SOURCE }, false, { NULL } },
	{ "a client of both", { GET, RUN, V1, V2, SOURCE }, false,
	    { "note: browser could not read" } },
	{ "a page in a browser", { GET, RUN, TRY, V2 }, false,
	    { "note: credentials = yes.  Mail" } },
	{ "with cookies", { GET, "SCRIPT_NAME=/kept", TRY, V2 }, false,
	    { "note: reader's cookies" } },
	{ "other letters", { GET, RUN, "HTTP_AMP_EMAIL_SENDER=A@b.Example" },
	    false, { "note: difference, and" } },
	{ "other letters of the domain",
	    { GET, "SCRIPT_NAME=/kept", "HTTP_AMP_EMAIL_SENDER=a@B.example" },
	    false, { "note: difference behind the '@'" } },
	{ "another sender in the query",
	    { GET, RUN, V2, "QUERY_STRING=__amp_source_origin=x%22@y.example" },
	    false, { "note: \"x\\x22@y.example\"" } },
	{ "no handler", { GET, "SCRIPT_NAME=/missing", V2 }, false,
	    { "error: /no/such/handler is not there" } },
	{ "which an Authorizer has not", { GET, "SCRIPT_NAME=/missing", V2 },
	    true, { "note: Authorizer's" } },
	{ "a body too large", { GET, RUN, V2, "CONTENT_LENGTH=11" }, false,
	    { "error: max_body" } },
	{ "replaced", { GET, "SCRIPT_NAME=/replace", V2 }, false,
	    { "warning: exec_mode = replace" } },
	{ "let through", { GET, "SCRIPT_NAME=/report" }, false,
	    { "warning: mode = report" } },

	{ "the counters' path", { GET, RUN, V2, "PATH_INFO=/metrics" }, false,
	    { "warning: path of metrics" } },
	{ "asked by POST",
	    { "REQUEST_METHOD=POST", RUN, V2, "PATH_INFO=/metrics" }, false,
	    { NULL } },
	{ "below it", { GET, RUN, V2, "PATH_INFO=/metrics/x" }, false,
	    { NULL } },

	/* refusals: a client shows nothing, and some it never caused */
	{ "neither", { GET, RUN }, false,
	    { "error: shows nothing", "note: No mail client asks like this" } },
	{ "the parameter alone", { GET, RUN, SOURCE }, false,
	    { "error: shows nothing", "note: No mail client asks like this" } },
	{ "no parameter", { GET, RUN, V1 }, false,
	    { "error: shows nothing", "note: without __amp_source_origin" } },
	{ "two", { GET, RUN, V1, SOURCE "&__amp_source_origin=a" }, false,
	    { "error: shows nothing", "note: the mail's URL" } },
	{ "badly encoded",
	    { GET, RUN, V1, "QUERY_STRING=__amp_source_origin=%" }, false,
	    { "error: shows nothing", "note: encodes the parameter" } },
	{ "a repeat", { GET, RUN, V2, V2 }, false,
	    { "error: shows nothing", "note: repeats" } },
	{ "a bad byte", { GET, RUN, "HTTP_ORIGIN=\x7f" }, false,
	    { "error: shows nothing", "note: such bytes" } },
	{ "no address", { GET, RUN, "HTTP_AMP_EMAIL_SENDER=<a@b.example>" },
	    false, { "error: shows nothing", "note: bare address" } },
	{ "nobody", { GET, RUN, "HTTP_AMP_EMAIL_SENDER=c@b.example" }, false,
	    { "error: shows nothing" } },
	{ "nobody, with an Origin",
	    { GET, RUN, V1, SOURCE, "HTTP_AMP_EMAIL_SENDER=c@b.example" },
	    false, { "error: shows nothing", "note: never falls back" } },
	{ "a version that is not served", { GET, "SCRIPT_NAME=/one", V2, V1 },
	    false, { "error: shows nothing" } },
	{ "nowhere", { GET, "SCRIPT_NAME=/x", V2 }, false,
	    { "error: shows nothing" } },

	/* preflights */
	{ "a preflight", { OPTIONS, RUN, TRY, WANT "POST" }, false,
	    { "note: only the asking" } },
	{ "of a method that needs no leave", { OPTIONS, RUN, TRY, WANT "HEAD" },
	    false, { "note: only the asking" } },
	{ "of another method", { OPTIONS, RUN, TRY, WANT "PUT" }, false,
	    { "error: methods does not have PUT", "note: only the asking" } },
	{ "with headers",
	    { OPTIONS, RUN, TRY, WANT "POST",
		NAMES "content-type, x-a,amp-email-sender,x-b" },
	    false,
	    { "error: does not have x-a.", "error: does not have x-b.",
		"note: only the asking" } },
	{ "without an Origin", { OPTIONS, RUN, WANT "POST" }, false,
	    { "error: no Origin", "note: only the asking" } },
	{ "refused",
	    { OPTIONS, RUN, "HTTP_ORIGIN=https://x.example", WANT "POST" },
	    false, { "error: does not send the request" } },
};

static void
test_said(const char *name, const struct explain_remarks *r,
    const char *const said[SAID])
{
	size_t n = 0;

	while (n < SAID && said[n] != NULL)
		n++;
	ok(r->n == n, "%s: %zu remarks", name, r->n);
	for (size_t i = 0; i < r->n; i++) {
		char got[EXPLAIN_REMARK_MAX + 16];
		const char *part = i < n ? strchr(said[i], ' ') + 1 : "?";

		snprintf(got, sizeof(got), "%s: %s",
		    explain_client_word(r->remark[i].level), r->remark[i].text);
		ok(i < n && strncmp(got, said[i], strcspn(said[i], " ")) == 0 &&
			strstr(got, part) != NULL,
		    "%s: %s", name, got);
		ok(explained_plain(r->remark[i].text), "in plain ASCII");
	}
}

/* However many headers a preflight asks for. */
static void
test_many(const struct conf *conf)
{
	static const char *vars[EXPLAINED_VARS] = { OPTIONS, RUN, TRY,
		WANT "POST" };
	static char names[1000] = NAMES;
	struct explain_case c;
	static struct explain_remarks r;

	for (int i = 0; i < 200; i++)
		strcat(names, "x-a ");
	vars[4] = names;
	explain_case_decide(conf, explained_vars(vars), false, &c);
	explain_client(&c, &r);
	ok(r.n == EXPLAIN_REMARKS_MAX, "as many as there is room for");
}

int
main(void)
{
	static struct explain_remarks r;
	struct explain_case c;
	struct conf *conf;

	folder_make();
	conf = explained_load(ini);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		explain_case_decide(conf, explained_vars(cases[i].vars),
		    cases[i].authorizer, &c);
		memset(&r, 0xFF, sizeof(r));
		explain_client(&c, &r);
		test_said(cases[i].name, &r, cases[i].said);
	}
	test_many(conf);
	conf_free(conf);
	folder_remove();
	return tap_done();
}
