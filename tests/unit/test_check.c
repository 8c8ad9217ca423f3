/*
 * check: the names in rules and origins, and the words that faults are about.
 * What the whole command says is in tests/http/test_check.py.
 */
#include "check_names.h"
#include "check_text.h"

#include "tap.h"

#include "remarked.h"

/* --- what is meant by a word that is not ASCII */

static const struct {
	const char *word;
	bool origin;
	const char *want; /* NULL: nothing can be made of it */
} mends[] = {
	{ "a@b\xc3\xbc"
	  "cher.example",
	    false, "a@xn--bcher-kva.example" },
	{ "!*@B\xc3\x9c"
	  "CHER.example",
	    false, "!*@xn--bcher-kva.example" },
	{ "*@*.b\xc3\xbc"
	  "cher.example",
	    false, "*@*.xn--bcher-kva.example" },
	/* u and a combining diaeresis; an ideographic full stop */
	{ "*@bu\xcc\x88"
	  "cher\xe3\x80\x82"
	  "example",
	    false, "*@xn--bcher-kva.example" },
	{ "https://b\xc3\xbc"
	  "cher.example",
	    false, "https://xn--bcher-kva.example" },
	/* sharp s is a letter of its own now */
	{ "a@stra\xc3\x9f"
	  "e.example",
	    false, "a@xn--strae-oqa.example" },
	{ "https://*.b\xc3\xbc"
	  "cher.example:8443",
	    true, "https://*.xn--bcher-kva.example:8443" },
	/* what libidn2's own rules would delete or let pass */
	{ "a@b_\xc3\xbc.example", false, NULL },
	{ "a@b\xc3\xbc*.example", false, NULL },
	{ "https://b_\xc3\xbc.example", true, NULL },
	{ "a@b \xc3\xbc.example", false, NULL },
	{ "a@-\xc3\xbc.example", false, NULL },
	{ "a@\xc3\xbc", false, NULL },
	{ "a@\xc3\xbc..example", false, NULL },
	{ "a@\xe2\x98\x95.example", false, NULL },
	{ "a@\xff.example", false, NULL },
	{ "\xc3\xbc@b.example", false, NULL },
	{ "\xc3\xbc.example", false, NULL },
	{ "a@", false, NULL },
	{ "", false, NULL },
	{ "https://b\xc3\xbc"
	  "cher.example/",
	    true, NULL },
	{ "a@b\xc3\xbc"
	  "cher.example",
	    true, NULL },
};

static void
test_mend(void)
{
	char out[RULES_KEY_MAX], small[10], many[600];

	for (size_t i = 0; i < sizeof(mends) / sizeof(*mends); i++) {
		bool made = check_names_mend(span_of(mends[i].word),
		    mends[i].origin, out, sizeof(out));

		is_span(made ? span_of(out) : (struct span){ NULL, 0 },
		    mends[i].want, mends[i].word);
	}
	ok(!check_names_mend(span_of(mends[0].word), false, small,
	       sizeof(small)),
	    "no room");
	memset(many, 'x', sizeof(many));
	many[0] = '@';
	ok(!check_names_mend((struct span){ many, sizeof(many) }, false, out,
	       sizeof(out)),
	    "a long name");
	ok(!check_names_mend((struct span){ "a@b\0c.example", 13 }, false, out,
	       sizeof(out)),
	    "a NUL");
}

/* --- names in a policy */

#define SHARED                                                               \
	" is a public suffix of a shared host: each of its customers has a " \
	"name below it; leave it out, or write accept_risk = public-suffix\n"
#define OPEN                                                                   \
	" is a public suffix: everybody can have a domain below it; leave it " \
	"out, or write accept_risk = public-suffix\n"
#define REGISTERED "; write the xn-- form of the name as it is registered\n"

static const struct {
	const char *name, *policy, *want;
} cases[] = {
	{ "names as they should be",
	    "senders = a@b.example *@company.example *@*.company.co.uk "
	    "a@co.uk !*@co.uk a@xn--bcher-kva.example *@*.xn--p1ai.example\n"
	    "origins = https://mail.google.com https://*.company.example "
	    "https://xn--bcher-kva.example https://*.localhost "
	    "https://co.uk\n",
	    "" },
	{ "suffixes",
	    "senders = *@CO.UK *@*.co.uk *@foo.ck *@github.io "
	    "*@*.xn--55qx5d.cn\n",
	    "2:11 error public-suffix: '*@co.uk': co.uk" OPEN
	    "2:19 error public-suffix: '*@*.co.uk': co.uk" OPEN
	    "2:29 error public-suffix: '*@foo.ck': foo.ck" OPEN
	    "2:38 error public-suffix: '*@github.io': github.io" SHARED
	    "2:50 error public-suffix: '*@*.xn--55qx5d.cn': "
	    "xn--55qx5d.cn" OPEN },
	{ "in a list", "senders_file = @DIR@/list\n",
	    "list:2:1 error public-suffix: '*@co.uk': co.uk" OPEN },
	{ "a risk that is accepted",
	    "senders = *@co.uk\norigins = https://*.co.uk\n"
	    "accept_risk = any-origin public-suffix\n",
	    "" },
	{ "accepted by the one endpoint that has it",
	    "senders = *@co.uk\n[endpoint a]\npath = /a\n"
	    "accept_risk = public-suffix\n",
	    "" },
	{ "accepted by one of two",
	    "senders = *@co.uk\n[endpoint a]\npath = /a\n"
	    "accept_risk = public-suffix\n[endpoint b]\npath = /b\n",
	    "2:11 error public-suffix: '*@co.uk': co.uk" OPEN },
	{ "one that is denied", "senders = *@co.uk !*@co.uk\n", "" },
	{ "origins",
	    "origins = https://*.co.uk https://*.com:8443 "
	    "https://mail.google.com\n"
	    "browser_origins = https://*.github.io\n",
	    "2:11 error public-suffix: 'https://*.co.uk': co.uk" OPEN
	    "2:27 error public-suffix: 'https://*.com:8443': com" OPEN
	    "3:19 error public-suffix: 'https://*.github.io': "
	    "github.io" SHARED },
	{ "names that are none",
	    "senders = a@xn--0.example b@xn--0.example !*@xn--a.example "
	    "*@*.good.xn--i-7iq.example https://xn--0.example:1\n",
	    "2:11 warning bad-idn: 'a@xn--0.example': xn--0.example is no "
	    "name of IDNA2008: string contains invalid punycode "
	    "data" REGISTERED
	    "2:27 warning bad-idn: 'b@xn--0.example': xn--0.example is no "
	    "name of IDNA2008: string contains invalid punycode "
	    "data" REGISTERED
	    "2:43 warning bad-idn: '!*@xn--a.example': xn--a.example is no "
	    "name of IDNA2008: string contains a disallowed "
	    "character" REGISTERED
	    "2:60 warning bad-idn: '*@*.good.xn--i-7iq.example': "
	    "good.xn--i-7iq.example is no name of IDNA2008: string contains "
	    "a disallowed character" REGISTERED
	    "2:87 warning bad-idn: 'https://xn--0.example:1': xn--0.example "
	    "is no name of IDNA2008: string contains invalid punycode "
	    "data" REGISTERED },
	{ "origins whose names are none",
	    "origins = https://*.xn--0.example https://[::1] https://a_b.com "
	    "https://xn--a.example:1\n",
	    "2:11 warning bad-idn: 'https://*.xn--0.example': xn--0.example "
	    "is no name of IDNA2008: string contains invalid punycode "
	    "data" REGISTERED
	    "2:65 warning bad-idn: 'https://xn--a.example:1': xn--a.example "
	    "is no name of IDNA2008: string contains a disallowed "
	    "character" REGISTERED },
	{ "what is no rule is not looked at",
	    "senders = @co.uk co.uk\norigins = *.co.uk https://*.co.uk/\n",
	    "" },
};

/* What is said long before any list was made, or long after. */
static void
look(const char *lines, time_t now, struct buf *said)
{
	char policy[1024];
	struct conf *c;
	struct rulebook *b;
	struct remark r;

	snprintf(policy, sizeof(policy), "[policy]\n%s", lines);
	c = remarked_load(policy, CONF_FOR_CGI);
	b = must(rulebook_new(c));
	remarked_begin(&r, c, said);
	check_names(&r, c, b, now);
	rulebook_free(b);
	conf_free(c);
}

static void
test_names(void)
{
	struct buf said;

	remarked_file("list", "# list\n*@co.uk\na@co.uk\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		look(cases[i].policy, 0, &said);
		remarked_are(&said, cases[i].want, cases[i].name);
	}
}

/* A list is told of where it is old, and where it was asked. */
static void
test_age(void)
{
	const time_t then = (time_t)1 << 33;
	struct buf said;

	look("senders = *@company.example\n", then, &said);
	must_text(&said);
	ok(strstr(said.p,
	       "0:0 note old-suffixes: the list of public suffixes "
	       "(") == said.p,
	    "an old list: %s", said.p);
	buf_free(&said);
	look("senders = a@company.example !*@co.uk\n", then, &said);
	remarked_are(&said, "", "which nothing was asked of");
}

/* --- words at places */

static const struct {
	const char *file;
	unsigned line, column;
	bool list;
	const char *want;
} words[] = {
	{ "a", 1, 1, false, "first" },
	{ "a", 1, 7, false, "b@c" },
	{ "a", 1, 12, false, "quoted" },
	{ "a", 2, 1, false, "last" },
	{ "a", 1, 1, true, "first,b@c \"quoted\" x" },
	{ "a", 1, 24, false, NULL },
	{ "a", 1, 400, false, NULL },
	{ "a", 3, 1, false, NULL },
	{ "a", 9, 1, false, NULL },
	{ "a", 0, 0, false, NULL },
	{ "a", 1, 0, false, NULL },
	{ "b", 1, 3, true, "one rule" },
	{ "b", 2, 1, true, "two" },
	{ "b", 1, 3, false, "one" },
	{ "missing", 1, 1, false, NULL },
	{ "missing", 1, 1, true, NULL },
	{ "a", 2, 2, false, "ast" },
};

static void
test_words(void)
{
	struct check_text t = { .name = NULL };

	remarked_file("a", "first,b@c \"quoted\" x  \nlast");
	remarked_file("b", "  one rule \r\ntwo\r\n");
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s:%u:%u %d", words[i].file,
		    words[i].line, words[i].column, words[i].list);
		is_span(check_text_word(&t, in_folder(words[i].file),
			    (struct scan_place){ words[i].line,
				words[i].column },
			    words[i].list),
		    words[i].want, name);
	}
	check_text_free(&t);
	check_text_free(&t);
}

int
main(void)
{
	folder_make();
	test_mend();
	test_names();
	test_age();
	test_words();
	folder_remove();
	return tap_done();
}
