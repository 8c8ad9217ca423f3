/*
 * explain_hints: what to change for a refused request; and that the line which
 * a hint gives does allow it.
 */
#include "explain_hints.h"

#include "explained.h"

static const char ini[] =
    "[policy]\n"
    "senders = bob@b.example *@deep.example !x@deep.example *@*.e.example\n"
    "origins = https://mail.google.com https://*.c.example\n"
    "exec = /bin/true\n"
    "[endpoint run]\n"
    "path = /run\n"
    "[endpoint own]\n"
    "path = /own\n"
    "senders = bob@b.example\n"
    "browser_origins = https://try.example\n"
    "[endpoint one]\n"
    "path = /one\n"
    "versions = 1\n"
    "[endpoint two]\n"
    "path = /two\n"
    "versions = 2\n"
    "playground = yes\n"
    "[endpoint kept]\n"
    "path = /kept\n"
    "local_part_case = sensitive\n"
    "[endpoint nobody]\n"
    "path = /nobody\n"
    "senders =\n"
    "origins =\n"
    "playground = no\n"
    "[endpoint play]\n"
    "path = /play\n"
    "playground = yes\n";

#define GET "REQUEST_METHOD=GET"
#define RUN "SCRIPT_NAME=/run"
#define SENDER "HTTP_AMP_EMAIL_SENDER="
#define ORIGIN "HTTP_ORIGIN="
#define GMAIL ORIGIN "https://mail.google.com"
#define WANT "HTTP_ACCESS_CONTROL_REQUEST_METHOD=POST"
#define SOURCE "QUERY_STRING=__amp_source_origin="

enum { SAID = 3 };

static const struct {
	const char *name, *vars[EXPLAINED_VARS];
	const char *said[SAID]; /* parts of the texts, in this order */
	const char *line;       /* of the last one; NULL: none */
	unsigned at;            /* where it stands now; 0: nowhere */
} cases[] = {
	{ "allowed", { GET, RUN, SENDER "bob@b.example" }, { NULL }, NULL, 0 },

	/* senders */
	{ "nobody", { GET, RUN, SENDER "al@b.example" },
	    { "add al@b.example to senders of [endpoint run].  It has the "
	      "senders of [policy], line 2, as yet, where it would open "
	      "[endpoint one], [endpoint two], [endpoint kept], [endpoint "
	      "play] too; a line of its own in [endpoint run]" },
	    "senders = bob@b.example *@deep.example !x@deep.example "
	    "*@*.e.example al@b.example",
	    0 },
	{ "a letter too few",
	    { GET, "SCRIPT_NAME=/own", SENDER "bb@b.example" },
	    { "policy.ini:9 has bob@b.example, which is one letter away",
		"add bb@b.example" },
	    "senders = bob@b.example bb@b.example", 9 },
	{ "of the domain", { GET, RUN, SENDER "al@deeep.example" },
	    { "policy.ini:2 has *@deep.example, which is one letter away",
		"add al@deeep.example" },
	    "senders = bob@b.example *@deep.example !x@deep.example "
	    "*@*.e.example al@deeep.example",
	    0 },
	{ "a domain below", { GET, RUN, SENDER "al@x.y.deep.example" },
	    { "has *@deep.example, which is for that domain alone",
		"add al@x.y.deep.example" },
	    "senders = bob@b.example *@deep.example !x@deep.example "
	    "*@*.e.example al@x.y.deep.example",
	    0 },
	{ "a domain above", { GET, RUN, SENDER "al@E.example" },
	    { "has *@*.e.example, which is for the domains below",
		"add al@E.example" },
	    "senders = bob@b.example *@deep.example !x@deep.example "
	    "*@*.e.example al@E.example",
	    0 },
	{ "a deny", { GET, RUN, SENDER "x@deep.example" },
	    { "policy.ini:2 decides.  Take it out" }, NULL, 0 },
	{ "no senders at all",
	    { GET, "SCRIPT_NAME=/nobody", SENDER "a@b.example" },
	    { "add a@b.example to senders of [endpoint nobody]" },
	    "senders = a@b.example", 23 },
	{ "another case", { GET, "SCRIPT_NAME=/kept", SENDER "BOB@b.example" },
	    { "bob@b.example, and local_part_case = sensitive",
		"add BOB@b.example" },
	    "senders = bob@b.example *@deep.example !x@deep.example "
	    "*@*.e.example BOB@b.example",
	    0 },
	{ "in version 1", { GET, RUN, GMAIL, SOURCE "al@b.example" },
	    { "add al@b.example" },
	    "senders = bob@b.example *@deep.example !x@deep.example "
	    "*@*.e.example al@b.example",
	    0 },
	{ "from a playground",
	    { GET, "SCRIPT_NAME=/play", ORIGIN "https://amp.gmail.dev",
		SOURCE "bob@b.example" },
	    { "speaks for its own sender alone" }, NULL, 0 },
	{ "a playground's preflight",
	    { "REQUEST_METHOD=OPTIONS", "SCRIPT_NAME=/play",
		ORIGIN "https://amp.gmail.dev", WANT, SOURCE "bob@b.example" },
	    { "speaks for its own sender alone" }, NULL, 0 },
	{ "from a playground, in version 2",
	    { GET, "SCRIPT_NAME=/play", ORIGIN "https://amp.gmail.dev",
		SENDER "al@b.example" },
	    { "add al@b.example to senders of [endpoint play]" },
	    "senders = bob@b.example *@deep.example !x@deep.example "
	    "*@*.e.example al@b.example",
	    0 },

	/* what is no address */
	{ "a name", { GET, RUN, SENDER "Bob <bob@b.example>" },
	    { "bare address: bob@b.example" }, NULL, 0 },
	{ "quotes", { GET, RUN, SENDER "\"bob@b.example\"" },
	    { "bare address: bob@b.example" }, NULL, 0 },
	{ "a dot", { GET, RUN, SENDER "bob@b.example." },
	    { "bare address: bob@b.example" }, NULL, 0 },
	{ "two", { GET, RUN, SENDER "bob@b.example, al@b.example" },
	    { "A comma" }, NULL, 0 },
	{ "encoded twice", { GET, RUN, GMAIL, SOURCE "bob%2540b.example" },
	    { "encoded twice?" }, NULL, 0 },
	{ "no dot", { GET, RUN, SENDER "bob@localhost" },
	    { "the domain has a dot" }, NULL, 0 },
	{ "an open bracket", { GET, RUN, SENDER "<" },
	    { "the domain has a dot" }, NULL, 0 },
	{ "an origin", { GET, RUN, GMAIL, SOURCE "https://p.example" },
	    { "add https://p.example to senders" },
	    "senders = bob@b.example *@deep.example !x@deep.example "
	    "*@*.e.example https://p.example",
	    0 },
	{ "an origin in version 2", { GET, RUN, SENDER "https://p.example" },
	    { "local@domain" }, NULL, 0 },
	{ "too long to be any",
	    { GET, RUN, GMAIL,
		SOURCE
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"a@b.example" },
	    { NULL }, NULL, 0 },

	/* origins */
	{ "an origin", { GET, RUN, ORIGIN "https://n.example", SOURCE "x" },
	    { "add https://n.example to origins of [endpoint run]" },
	    "origins = https://mail.google.com https://*.c.example "
	    "https://n.example",
	    0 },
	{ "none at all",
	    { GET, "SCRIPT_NAME=/nobody", ORIGIN "https://n.example" },
	    { "add https://n.example to origins" },
	    "origins = https://n.example", 24 },
	{ "with a slash", { GET, RUN, ORIGIN "HTTPS://Mail.google.com:443/" },
	    { "A browser writes",
		"https://mail.google.com, written so, is allowed" },
	    NULL, 0 },
	{ "that is none", { GET, RUN, ORIGIN "mail.google.com" },
	    { "A browser writes" }, NULL, 0 },
	{ "of http", { GET, RUN, ORIGIN "http://n.example" },
	    { "add http://n.example", "accept_risk = http-origin" }, NULL, 0 },
	{ "null", { GET, RUN, ORIGIN "null" },
	    { "add null", "accept_risk = null-origin" }, NULL, 0 },
	{ "a playground", { GET, RUN, ORIGIN "https://amp.gmail.dev" },
	    { "playground = yes in [endpoint run]" }, "playground = yes", 0 },
	{ "the other one",
	    { "REQUEST_METHOD=OPTIONS", RUN, WANT,
		ORIGIN "https://playground.amp.dev" },
	    { "playground = yes in [endpoint run]" }, "playground = yes", 0 },
	{ "one that was said no to",
	    { GET, "SCRIPT_NAME=/nobody", ORIGIN "https://amp.gmail.dev" },
	    { "playground = yes in [endpoint nobody]" }, "playground = yes",
	    25 },
	{ "a preflight",
	    { "REQUEST_METHOD=OPTIONS", RUN, WANT, ORIGIN "https://n.example" },
	    { "belongs in browser_origins",
		"add https://n.example to browser_origins of [endpoint run]",
		"add https://n.example to origins of [endpoint run].  It has" },
	    "origins = https://mail.google.com https://*.c.example "
	    "https://n.example",
	    0 },
	{ "for browsers alone",
	    { GET, "SCRIPT_NAME=/own", ORIGIN "https://try.example" },
	    { "one of browser_origins", "add https://try.example" },
	    "origins = https://mail.google.com https://*.c.example "
	    "https://try.example",
	    0 },

	/* the rest */
	{ "version 2", { GET, "SCRIPT_NAME=/one", SENDER "bob@b.example" },
	    { "both versions in [endpoint one]" }, "versions = 2 1", 13 },
	{ "version 1",
	    { GET, "SCRIPT_NAME=/two", GMAIL, SOURCE "bob@b.example" },
	    { "both versions in [endpoint two]" }, "versions = 2 1", 16 },
	{ "neither", { GET, RUN }, { "HTTP_AMP_EMAIL_SENDER" }, NULL, 0 },
	{ "no parameter", { GET, RUN, GMAIL }, { "QUERY_STRING" }, NULL, 0 },
	{ "nowhere", { GET, "SCRIPT_NAME=/x" },
	    { "at: /run, /own, /one, /two, /kept, /nobody, /play." }, NULL, 0 },
	{ "at the top", { GET, "SCRIPT_NAME=/" }, { "at: /run", "--path" },
	    NULL, 0 },
	{ "repeated", { GET, RUN, GMAIL, GMAIL }, { "two variables" }, NULL,
	    0 },
	{ "behind a front", { GET, RUN, "AMP_CORS_FRONT=1" },
	    { "take AMP_CORS_FRONT out" }, NULL, 0 },
	{ "no request", { RUN }, { NULL }, NULL, 0 },
};

static void
test_said(const char *name, const struct explain_hints *h,
    const char *const said[SAID])
{
	size_t n = 0;

	while (n < SAID && said[n] != NULL)
		n++;
	ok(h->n == n, "%s: %zu hints", name, h->n);
	for (size_t i = 0; i < h->n; i++)
		ok(i < n && strstr(h->hint[i].text, said[i]) != NULL &&
			explained_plain(h->hint[i].text),
		    "%s: %s", name, h->hint[i].text);
}

/*
 * Is it allowed by a policy that has `line` instead of that number's, or as one
 * more behind the section's?
 */
static bool
helps(const char *line, unsigned at, unsigned section,
    const char *const vars[EXPLAINED_VARS])
{
	static char text[4096];
	struct span rest = span_of(ini), one;
	struct explain_case c;
	struct conf *conf;
	unsigned n = 0;
	bool is;

	*text = '\0';
	while (span_cut(&rest, '\n', &one))
		if (++n == at)
			strcat(strcat(text, line), "\n");
		else {
			strcat(strncat(text, one.p, one.n), "\n");
			if (at == 0 && n == section)
				strcat(strcat(text, line), "\n");
		}
	conf = explained_load(text);
	explain_case_decide(conf, explained_vars(vars), false, &c);
	is = c.decision.verdict == POLICY_ALLOW;
	if (!is)
		printf("# %s\n", reason_word(c.decision.reason));
	conf_free(conf);
	return is;
}

int
main(void)
{
	static struct explain_hints h;
	struct explain_case c;
	struct conf *conf;

	folder_make();
	conf = explained_load(ini);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct explain_hint *last;

		explain_case_decide(conf, explained_vars(cases[i].vars), false,
		    &c);
		memset(&h, 0xFF, sizeof(h));
		explain_hints(&c, &h);
		test_said(cases[i].name, &h, cases[i].said);
		last = &h.hint[h.n == 0 ? 0 : h.n - 1];
		if (cases[i].line == NULL)
			continue;
		is_span(span_of(last->line), cases[i].line, "its line");
		ok(last->at.line == cases[i].at, "instead of line %u",
		    last->at.line);
		if (c.decision.reason != REASON_ORIGIN_NOT_ALLOWED)
			ok(helps(last->line, last->at.line,
			       explain_case_section(&c).line, cases[i].vars),
			    "which helps");
	}
	conf_free(conf);
	folder_remove();
	return tap_done();
}
