/*
 * explain_repeat: the two variables for which cgienv_read() refuses.
 */
#include "explain_repeat.h"

#include "cgienv.h"
#include "explained.h"

static const struct {
	const char *vars[EXPLAINED_VARS];
	const char *refused, *bad; /* "NAME first second"; NULL: neither */
} cases[] = {
	{ { "REQUEST_METHOD=GET", "X=1" }, NULL, NULL },
	/* never twice, equal or not, empty or not */
	{ { "REQUEST_METHOD=GET", "HTTP_ORIGIN=a", "HTTP_ORIGIN=a" },
	    "HTTP_ORIGIN a a", NULL },
	{ { "REQUEST_METHOD=GET", "HTTP_ORIGIN=a", "HTTP_ORIGIN=" },
	    "HTTP_ORIGIN a ", NULL },
	{ { "REQUEST_METHOD=GET", "HTTP_AMP_EMAIL_SENDER=a", "X=1",
	      "HTTP_AMP_EMAIL_SENDER=b" },
	    "HTTP_AMP_EMAIL_SENDER a b", "HTTP_AMP_EMAIL_SENDER a b" },
	{ { "REQUEST_METHOD=GET", "HTTP_ACCESS_CONTROL_REQUEST_HEADERS=a",
	      "HTTP_ACCESS_CONTROL_REQUEST_HEADERS=a" },
	    "HTTP_ACCESS_CONTROL_REQUEST_HEADERS a a", NULL },
	{ { "REQUEST_METHOD=GET", "HTTP_ACCESS_CONTROL_REQUEST_METHOD=a",
	      "HTTP_ACCESS_CONTROL_REQUEST_METHOD=a" },
	    "HTTP_ACCESS_CONTROL_REQUEST_METHOD a a", NULL },
	/* where equal, one */
	{ { "REQUEST_METHOD=GET", "REQUEST_METHOD=GET" }, NULL, NULL },
	{ { "REQUEST_METHOD=GET", "QUERY_STRING=a", "QUERY_STRING=a",
	      "QUERY_STRING=" },
	    "QUERY_STRING a ", NULL },
	{ { "REQUEST_METHOD=GET", "SCRIPT_NAME=", "SCRIPT_NAME=a" },
	    "SCRIPT_NAME  a", NULL },
	{ { "REQUEST_METHOD=GET", "PATH_INFO=/b", "PATH_INFO=/a" },
	    "PATH_INFO /b /a", "PATH_INFO /b /a" },
	/* any other: where they differ, and both say something */
	{ { "REQUEST_METHOD=GET", "X=", "X=1", "X=1", "X=" }, NULL, NULL },
	{ { "REQUEST_METHOD=GET", "X=1", "Y=2", "X=", "X=2" }, NULL, "X 1 2" },
	{ { "REQUEST_METHOD=GET", "XY=1", "X=2", "XYZ=3" }, NULL, NULL },
	/* what is no variable does not count (E8) */
	{ { "REQUEST_METHOD=GET", "a b=1", "a b=2", "=1", "=2", "x", "x" },
	    NULL, NULL },
};

static void
is_pair(bool found, const struct explain_repeat *two, const char *want,
    const char *name)
{
	char got[256];

	snprintf(got, sizeof(got), "%.*s %.*s %.*s", (int)two->name.n,
	    two->name.p, (int)two->first.n, two->first.p, (int)two->second.n,
	    two->second.p);
	is_span(span_of(found ? got : NULL), want, name);
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char **vars = explained_vars(cases[i].vars);
		struct explain_repeat two = { { "", 0 }, { "", 0 }, { "", 0 } };
		enum reason why;
		struct cgienv e;
		bool found;

		why = cgienv_read(vars, &e);
		found = explain_repeat_refused(vars, &two);
		is_pair(found, &two, cases[i].refused, "refused");
		ok(found == (why == REASON_VARIABLE_REPEATED),
		    "as cgienv has it");
		found = explain_repeat_bad(vars, &two);
		is_pair(found, &two, cases[i].bad, "bad");
		if (why != REASON_VARIABLE_REPEATED)
			ok(found == (why == REASON_BAD_REQUEST),
			    "as cgienv has it");
	}
	return tap_done();
}
