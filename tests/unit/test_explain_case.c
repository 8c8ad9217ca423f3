/*
 * explain_case: what the front answers by itself, byte for byte, and what it
 * only adds to a handler's answer.
 */
#include "explain_case.h"

#include "explained.h"
#include "reply.h"

static const char ini[] = "[policy]\n"
			  "senders = a@b.example\n"
			  "exec = /bin/true\n"
			  "\n"
			  "[endpoint run]\n"
			  "path = /run\n"
			  "max_body = 10\n"
			  "expose_headers = X-Page\n"
			  "[endpoint decide]\n"
			  "path = /decide\n"
			  "handler = none\n"
			  "origins =\n"
			  "[endpoint report]\n"
			  "path = /report\n"
			  "mode = report\n";

#define GET "REQUEST_METHOD=GET"
#define RUN "SCRIPT_NAME=/run"
#define V2 "HTTP_AMP_EMAIL_SENDER=a@b.example"
#define VARY "Vary: Origin, AMP-Email-Sender\n"
#define ALLOW VARY "AMP-Email-Allow-Sender: a@b.example\n"

static const struct {
	const char *name, *vars[EXPLAINED_VARS];
	bool authorizer, runs;
	enum reason reason, answer;
	const char *word, *fields;
	bool head;
} cases[] = {
	{ "a handler runs", { GET, RUN, V2 }, false, true, REASON_OK, REASON_OK,
	    "allow", ALLOW, false },
	{ "the decision alone", { GET, V2, "SCRIPT_NAME=/decide" }, false,
	    false, REASON_OK, REASON_OK, "allow", ALLOW, false },
	{ "for an Authorizer", { GET, RUN, V2 }, true, false, REASON_OK,
	    REASON_OK, "allow",
	    ALLOW "Variable-AMP_CORS_VERSION: 2\n"
		  "Variable-AMP_CORS_SENDER: a@b.example\n",
	    false },
	{ "a refusal", { GET, RUN }, false, false, REASON_NO_AMP_HEADERS,
	    REASON_NO_AMP_HEADERS, "deny", VARY, false },
	{ "of HEAD", { "REQUEST_METHOD=HEAD", RUN }, false, false,
	    REASON_NO_AMP_HEADERS, REASON_NO_AMP_HEADERS, "deny", VARY, true },
	{ "no endpoint", { GET, V2, "SCRIPT_NAME=/x" }, false, false,
	    REASON_NO_ENDPOINT, REASON_NO_ENDPOINT, "deny", "", false },
	{ "a handler behind a handler", { GET, RUN, V2, "AMP_CORS_FRONT=1" },
	    false, false, REASON_HANDLER_LOOP, REASON_HANDLER_LOOP, "deny", "",
	    false },
	{ "but not an Authorizer", { GET, RUN, "AMP_CORS_FRONT=1" }, true,
	    false, REASON_NO_AMP_HEADERS, REASON_NO_AMP_HEADERS, "deny", VARY,
	    false },
	{ "a body that fits", { GET, RUN, V2, "CONTENT_LENGTH=10" }, false,
	    true, REASON_OK, REASON_OK, "allow", ALLOW, false },
	{ "one that does not", { GET, RUN, V2, "CONTENT_LENGTH=11" }, false,
	    false, REASON_OK, REASON_BODY_TOO_LARGE, "allow", ALLOW, false },
	{ "which nobody gets", { GET, RUN, V2, "CONTENT_LENGTH=11" }, true,
	    false, REASON_OK, REASON_OK, "allow",
	    ALLOW "Variable-AMP_CORS_VERSION: 2\n"
		  "Variable-AMP_CORS_SENDER: a@b.example\n",
	    false },
	{ "let through", { GET, "SCRIPT_NAME=/report" }, false, true,
	    REASON_NO_AMP_HEADERS, REASON_NO_AMP_HEADERS, "report", VARY,
	    false },
	{ "a preflight",
	    { "REQUEST_METHOD=OPTIONS", RUN,
		"HTTP_ACCESS_CONTROL_REQUEST_METHOD=POST" },
	    false, false, REASON_PREFLIGHT, REASON_PREFLIGHT, "preflight",
	    VARY "Access-Control-Allow-Methods: GET, POST\n"
		 "Access-Control-Allow-Headers: AMP-Email-Sender, "
		 "Content-Type\n"
		 "Access-Control-Max-Age: 600\n",
	    false },
};

static const char *
fields_of(const struct explain_case *c)
{
	static char out[2048];
	size_t n = 0;

	*out = '\0';
	for (size_t i = 0; i < c->nfields; i++)
		n += (size_t)sprintf(out + n, "%.*s: %.*s\n",
		    (int)c->fields[i].name.n, c->fields[i].name.p,
		    (int)c->fields[i].value.n, c->fields[i].value.p);
	return out;
}

/* The same bytes as an answer made by hand; none where a handler runs. */
static void
test_answer(const struct explain_case *c, bool head)
{
	struct buf got, want;

	buf_init(&got, 65536);
	buf_init(&want, 65536);
	explain_case_answer(c, &got);
	if (!c->runs)
		reply_own(&want, c->answer, c->fields, c->nfields, head);
	ok(span_eq(buf_span(&got), buf_span(&want)) && (got.n == 0) == c->runs,
	    "the answer's bytes");
	buf_free(&got);
	buf_free(&want);
}

static void
test_place(const struct conf *conf)
{
	static const char *const run[EXPLAINED_VARS] = { GET, RUN, V2 };
	static const char *const decide[EXPLAINED_VARS] = { GET, V2,
		"REQUEST_URI=/decide" };
	static const char *const none[EXPLAINED_VARS] = { GET, V2 };
	struct explain_case c;
	struct conf_written w;

	explain_case_decide(conf, explained_vars(run), false, &c);
	ok(explain_case_section(&c).line == 5 && !explain_case_by_uri(&c),
	    "its section");
	ok(explain_case_written(&c, "senders", &w) && w.at.line == 2,
	    "a key of [policy]");
	ok(!explain_case_written(&c, "origins", &w), "a default");
	is_span(span_of(explain_case_file(&c)), in_folder("policy.ini"),
	    "its file");
	explain_case_decide(conf, explained_vars(decide), false, &c);
	ok(explain_case_section(&c).line == 9 && explain_case_by_uri(&c),
	    "another one, found by the URI");
	ok(explain_case_written(&c, "origins", &w) && w.at.line == 12 &&
		w.value.n == 0,
	    "an empty key of its own");
	explain_case_decide(conf, explained_vars(none), false, &c);
	ok(explain_case_section(&c).line == 0 &&
		!explain_case_written(&c, "senders", &w),
	    "none");
}

int
main(void)
{
	struct explain_case c;
	struct conf *conf;

	folder_make();
	conf = explained_load(ini);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&c, 0xFF, sizeof(c));
		explain_case_decide(conf, explained_vars(cases[i].vars),
		    cases[i].authorizer, &c);
		ok(c.decision.reason == cases[i].reason, "%s: %s",
		    cases[i].name, reason_word(c.decision.reason));
		ok(c.runs == cases[i].runs && c.answer == cases[i].answer,
		    "then %s", c.runs ? "it runs" : reason_word(c.answer));
		is_span(span_of(explain_case_word(&c)), cases[i].word,
		    "its word");
		is_span(span_of(fields_of(&c)), cases[i].fields, "its fields");
		test_answer(&c, cases[i].head);
	}
	test_place(conf);
	conf_free(conf);
	folder_remove();
	return tap_done();
}
