/*
 * explain_request: variables from options and from a saved environment.
 */
#include "explain_request.h"

#include <sysexits.h>

#include "folder.h"
#include "guard.h"
#include "tap.h"

/* All variables, with '|' between them. */
static const char *
shown(const struct explain_request *r)
{
	static char out[4096];
	size_t n = 0;

	*out = '\0';
	for (size_t i = 0; i < r->n; i++)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s",
		    i == 0 ? "" : "|", r->vars[i]);
	ok(r->vars == NULL || r->vars[r->n] == NULL, "it ends in NULL");
	return out;
}

static void
test_variables(void)
{
	struct explain_request r = { .n = 0 }, over = { .n = 0 };

	ok(explain_request_get(&r, SPAN("A")).p == NULL, "nothing at first");
	explain_request_add(&r, SPAN("A"), SPAN("1"));
	explain_request_add(&r, SPAN("AB"), SPAN(""));
	explain_request_add(&r, SPAN("A"), SPAN("2"));
	is_span(span_of(shown(&r)), "A=1|AB=|A=2", "a repeat");
	is_span(explain_request_get(&r, SPAN("A")), "1", "the first of them");
	explain_request_set(&r, SPAN("A"), SPAN("3"));
	is_span(span_of(shown(&r)), "AB=|A=3", "one instead of both");
	explain_request_add(&over, SPAN("A"), SPAN("4"));
	explain_request_add(&over, SPAN("A"), SPAN("5"));
	explain_request_add(&over, SPAN("B"), SPAN("6"));
	explain_request_override(&r, &over);
	is_span(span_of(shown(&r)), "AB=|A=4|A=5|B=6", "others above it");
	explain_request_drop(&r, SPAN("A"));
	is_span(span_of(shown(&r)), "AB=|B=6", "taken out");
	ok(!r.failed, "no failure");
	explain_request_free(&r);
	explain_request_free(&over);
}

static void
test_many(void)
{
	struct explain_request r = { .n = 0 };

	for (int i = 0; i < EXPLAIN_REQUEST_VARS; i++)
		explain_request_add(&r, SPAN("A"), SPAN("1"));
	ok(!r.failed && r.n == EXPLAIN_REQUEST_VARS, "so many");
	explain_request_add(&r, SPAN("A"), SPAN("1"));
	ok(r.failed && r.n == EXPLAIN_REQUEST_VARS && r.vars[r.n] == NULL,
	    "and no more");
	explain_request_free(&r);
}

static void
test_header(void)
{
	static const struct {
		const char *field, *variable; /* NULL: no field */
	} cases[] = {
		{ "Origin: https://a.example",
		    "HTTP_ORIGIN=https://a.example" },
		{ "AMP-Email-Sender:a@b.example",
		    "HTTP_AMP_EMAIL_SENDER=a@b.example" },
		{ "x-y:  a b\t", "HTTP_X_Y=a b" },
		{ "X: a:b", "HTTP_X=a:b" },
		{ "X:", "HTTP_X=" },
		{ "content-length: 5", "CONTENT_LENGTH=5" },
		{ "Content-Type: a/b", "CONTENT_TYPE=a/b" },
		{ "Content-Typo: a/b", "HTTP_CONTENT_TYPO=a/b" },
		{ "X!#$%&'*+.^_`|~1: a", "HTTP_X!#$%&'*+.^_`|~1=a" },
		{ "", NULL },
		{ "Origin", NULL },
		{ ": a", NULL },
		{ "a b: c", NULL },
		{ "a : c", NULL },
		{ "a=b: c", NULL },
		{ "\xc3\xa4: c", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guard g =
		    guard_of(cases[i].field, strlen(cases[i].field));
		struct explain_request r = { .n = 0 };
		bool good = explain_request_header(&r, g.s);

		is_span(span_of(good ? shown(&r) : NULL), cases[i].variable,
		    cases[i].field);
		ok(good || r.n == 0, "one, or none");
		explain_request_free(&r);
		guard_free(&g);
	}
}

static void
test_target(void)
{
	static const struct {
		const char *was[4];
		struct explain_target target;
		const char *is;
	} cases[] = {
		{ { "X=1" }, { NULL, NULL, NULL }, "X=1" },
		{ { NULL }, { "/a", NULL, NULL },
		    "SCRIPT_NAME=/a|REQUEST_URI=/a" },
		{ { NULL }, { "/a b/%c\xc3?", "x=%41&y", NULL },
		    "SCRIPT_NAME=/a b/%c\xc3?|QUERY_STRING=x=%41&y|"
		    "REQUEST_URI=/a%20b/%25c%C3%3F?x=%41&y" },
		{ { NULL }, { "/a", NULL, "a+b@c.example" },
		    "SCRIPT_NAME=/a|QUERY_STRING=__amp_source_origin="
		    "a%2Bb%40c.example|REQUEST_URI=/a?__amp_source_origin="
		    "a%2Bb%40c.example" },
		{ { NULL }, { "/a", "x=y", "s" },
		    "SCRIPT_NAME=/a|QUERY_STRING=x=y&__amp_source_origin=s|"
		    "REQUEST_URI=/a?x=y&__amp_source_origin=s" },
		{ { NULL }, { "/a", "", NULL },
		    "SCRIPT_NAME=/a|QUERY_STRING=|REQUEST_URI=/a" },
		/* above an environment, all three go together */
		{ { "SCRIPT_NAME=/o", "PATH_INFO=/p", "REQUEST_URI=/o/p?q" },
		    { "/a", NULL, NULL }, "SCRIPT_NAME=/a|REQUEST_URI=/a?q" },
		{ { "SCRIPT_NAME=/o", "QUERY_STRING=q", "REQUEST_URI=/o%41?q" },
		    { NULL, "r", NULL },
		    "SCRIPT_NAME=/o|QUERY_STRING=r|REQUEST_URI=/o%41?r" },
		{ { "QUERY_STRING=q", "REQUEST_URI=/o?q" }, { NULL, NULL, "s" },
		    "QUERY_STRING=__amp_source_origin=s|"
		    "REQUEST_URI=/o?__amp_source_origin=s" },
		{ { "QUERY_STRING=q" }, { "/a", NULL, NULL },
		    "QUERY_STRING=q|SCRIPT_NAME=/a|REQUEST_URI=/a?q" },
		/* who says no URI is not given one */
		{ { "QUERY_STRING=q" }, { NULL, "r", NULL }, "QUERY_STRING=r" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct explain_request r = { .n = 0 };

		for (size_t j = 0; j < 4 && cases[i].was[j] != NULL; j++) {
			struct span value = span_of(cases[i].was[j]), name;

			span_cut(&value, '=', &name);
			explain_request_add(&r, name, value);
		}
		explain_request_target(&r, &cases[i].target);
		is_span(span_of(shown(&r)), cases[i].is, cases[i].is);
		explain_request_free(&r);
	}
}

static const struct {
	const char *text;
	size_t n;         /* 0: all of it */
	const char *vars; /* NULL: refused, at: */
	unsigned at;
} texts[] = {
	/* env(1) */
	{ "A=1\nB=x=y\nC=\n", 0, "A=1|B=x=y|C=", 0 },
	{ "A=1", 0, "A=1", 0 },
	{ "lower.case-1=1\n", 0, "lower.case-1=1", 0 },
	{ "A= b \"c\" 'd' $e\n", 0, "A= b \"c\" 'd' $e", 0 },
	{ "A=1\nrest of it\n", 0, NULL, 2 },
	{ "A=1\n\nB=2\n", 0, NULL, 2 },
	{ "A=1\nB C=2\n", 0, NULL, 2 },
	{ "=1\n", 0, NULL, 1 },
	{ "", 0, NULL, 0 },
	{ "\n", 0, NULL, 0 },
	/* env -0, /proc/PID/environ */
	{ "A=1\0B=x\ny\0", 10, "A=1|B=x\ny", 0 },
	{ "A=1\0B=2", 7, "A=1|B=2", 0 },
	{ "A=1\0\0\0B=2\0\0", 11, "A=1|B=2", 0 },
	{ "a b=1\0=2\0", 9, "a b=1|=2", 0 },
	{ "A=1\0B\0", 6, NULL, 2 },
	{ "\0\0", 2, NULL, 0 },
	{ "\x7f"
	  "ELF\2\1\1\0\0",
	    9, NULL, 1 },
	/* export -p of bash and of dash */
	{ "declare -x A=\"1\"\ndeclare -x B=\"x \\\"y\\\" \\\\ \\$z \\n\"\n", 0,
	    "A=1|B=x \"y\" \\ $z \\n", 0 },
	{ "declare -rx A=\"1\"\n", 0, "A=1", 0 },
	{ "declare -x A\ndeclare -x B=\"\"\n", 0, "B=", 0 },
	{ "export A='1'\nexport B='x '\\''y'\\'' $z'\nexport C\n", 0,
	    "A=1|B=x 'y' $z", 0 },
	{ "export A=1\n", 0, "A=1", 0 },
	{ "export A='x\ny'\n", 0, NULL, 1 },
	{ "declare -x A=$'x\\ny'\n", 0, NULL, 1 },
	{ "declare -x A=\"x\n", 0, NULL, 1 },
	{ "export A=a b\n", 0, NULL, 1 },
	{ "export A=\\\n", 0, NULL, 1 },
	{ "export A=`id`\n", 0, NULL, 1 },
	{ "export \n", 0, NULL, 1 },
	{ "declare -x \n", 0, NULL, 1 },
	{ "declare A=\"1\"\n", 0, NULL, 1 },
	{ "declare -x\n", 0, NULL, 1 },
	{ "exportA=1\n", 0, "exportA=1", 0 },
};

static void
test_text(void)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t n = texts[i].n == 0 ? strlen(texts[i].text) : texts[i].n;
		struct guard g = guard_of(texts[i].text, n);
		struct explain_request r = { .n = 0 };
		char name[32];
		unsigned at = 99;
		const char *fault = explain_request_text(&r, g.s, &at);

		snprintf(name, sizeof(name), "text %zu", i);
		is_span(span_of(fault == NULL ? shown(&r) : NULL),
		    texts[i].vars, name);
		ok(fault == NULL || at == texts[i].at, "at %u: %s", at,
		    fault == NULL ? "good" : fault);
		explain_request_free(&r);
		guard_free(&g);
	}
}

/* Too many, before there is no end to it. */
static void
test_text_many(void)
{
	static char text[4 * (EXPLAIN_REQUEST_VARS + 1)];
	struct explain_request r = { .n = 0 };
	const char *fault;
	unsigned at;

	for (size_t i = 0; i < sizeof(text); i += 4)
		memcpy(text + i, "A=1\n", 4);
	fault =
	    explain_request_text(&r, (struct span){ text, sizeof(text) }, &at);
	ok(fault != NULL && at == EXPLAIN_REQUEST_VARS + 1, "one too many");
	explain_request_free(&r);
}

static void
test_file(void)
{
	struct explain_request r = { .n = 0 };
	char proc[64];

	ok(explain_request_file(&r, folder_file("env", "A=1\n", 0600)) == EX_OK,
	    "a file");
	is_span(span_of(shown(&r)), "A=1", "is read");
	ok(explain_request_file(&r, folder_file("bad", "A\n", 0600)) ==
		EX_DATAERR,
	    "a bad line");
	ok(explain_request_file(&r, in_folder("none")) == EX_NOINPUT,
	    "no file");
	ok(explain_request_file(&r, folder) == EX_NOINPUT, "a directory");
	ok(explain_request_file(&r, "/dev/zero") == EX_NOINPUT, "no end of it");
	explain_request_free(&r);
	/* whose size is 0 for stat(2) */
	snprintf(proc, sizeof(proc), "/proc/%d/environ", (int)getpid());
	ok(explain_request_file(&r, proc) == EX_OK && r.n > 0,
	    "what the kernel shows");
	explain_request_free(&r);
}

int
main(void)
{
	folder_make();
	test_variables();
	test_many();
	test_header();
	test_target();
	test_text();
	test_text_many();
	test_file();
	folder_remove();
	return tap_done();
}
