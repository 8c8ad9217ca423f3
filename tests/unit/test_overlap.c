/* overlap: which rules change nothing, and that removing them changes nothing
 * [SPEC 3.3, 3.5]. */
#include "overlap.h"

#include "lists.h"
#include "tap.h"

#include "remarked.h"

/* --- tables */

static const struct {
	const char *name, *senders, *list, *want;
} sender_cases[] = {
	{ "nothing to say", "a@b.example *@*.c.example !x@d.c.example", "",
	    "" },
	{ "a domain covers an address", "a@b.example *@b.example", "",
	    "2:11 warning covered-rule: 'a@b.example' is covered by "
	    "'*@b.example'; leave it out; line 2 has '*@b.example'\n" },
	{ "a parent covers a domain and an address",
	    "*@*.example.org *@b.example.org a@c.b.example.org", "",
	    "2:27 warning covered-rule: '*@b.example.org' is covered by "
	    "'*@*.example.org'; leave it out; line 2 has '*@*.example.org'\n"
	    "2:43 warning covered-rule: 'a@c.b.example.org' is covered by "
	    "'*@*.example.org'; leave it out; line 2 has "
	    "'*@*.example.org'\n" },
	{ "a parent does not cover itself", "*@*.b.example *@b.example", "",
	    "" },
	{ "a longer parent, and all", "* *@*.b.example *@*.a.b.example", "",
	    "2:13 warning covered-rule: '*@*.b.example' is covered by '*'; "
	    "leave it out; line 2 has '*'\n"
	    "2:27 warning covered-rule: '*@*.a.b.example' is covered by "
	    "'*@*.b.example'; leave it out; line 2 has '*@*.b.example'\n" },
	{ "an exception within an exception",
	    "*@b.example !a@b.example *@*.b.example !*@c.b.example "
	    "x@c.b.example",
	    "", "" },
	{ "a deny that another covers", "* !*@b.example !a@b.example", "",
	    "2:26 warning covered-rule: '!a@b.example' is covered by "
	    "'!*@b.example'; leave it out; line 2 has '!*@b.example'\n" },
	{ "twice", "a@b.example A@B.example", "",
	    "2:23 warning repeated-rule: 'A@b.example' is there twice; leave "
	    "it out; line 2 has 'a@b.example'\n" },
	{ "twice, over files", "a@b.example", "# one\n  a@b.example\n",
	    "list:2:3 warning repeated-rule: 'a@b.example' is there twice; "
	    "leave it out; @DIR@/policy.ini:2 has 'a@b.example'\n" },
	{ "within a file", "z@z.example", "*@b.example\na@b.example\n",
	    "list:2:1 warning covered-rule: 'a@b.example' is covered by "
	    "'*@b.example'; leave it out; line 1 has '*@b.example'\n" },
	{ "allowed and denied", "a@b.example", "!a@b.example\n",
	    "2:11 warning allow-and-deny: 'a@b.example' is denied too, and "
	    "the deny wins; leave one of the two out; @DIR@/list:1 has "
	    "'!a@b.example'\n" },
	{ "a deny of nothing", "a@b.example !c@d.example", "",
	    "2:23 warning denies-nothing: '!c@d.example' denies nothing: "
	    "without it the same senders are refused; leave it out\n" },
	{ "a deny of what only a narrower rule allows",
	    "a@b.example !*@b.example", "",
	    "2:23 warning denies-nothing: '!*@b.example' denies nothing: "
	    "without it the same senders are refused; leave it out\n" },
	{ "literals stand alone",
	    "* https://a.example https://a.example "
	    "!https://b.example",
	    "",
	    "2:31 warning repeated-rule: 'https://a.example' is there twice; "
	    "leave it out; line 2 has 'https://a.example'\n"
	    "2:49 warning denies-nothing: '!https://b.example' denies "
	    "nothing: without it the same senders are refused; leave it "
	    "out\n" },
	{ "a bad rule might have been the one that is denied",
	    "a@b.example !c@d.example @d.example", "", "" },
};

/* Whole policies. */
static const struct {
	const char *name, *policy, *want;
} cases[] = {
	{ "letters that count",
	    "[policy]\nsenders = a@b.example A@b.example *@c.example "
	    "*@C.example\nlocal_part_case = sensitive\n",
	    "2:47 warning repeated-rule: '*@c.example' is there twice; leave "
	    "it out; line 2 has '*@c.example'\n" },
	{ "a rule that one endpoint needs and another does not",
	    "[policy]\nsenders_file = @DIR@/list\n"
	    "[endpoint a]\npath = /a\nsenders = *@b.example\n"
	    "[endpoint b]\npath = /b\n",
	    "" },
	{ "a rule that no endpoint needs",
	    "[policy]\nsenders_file = @DIR@/list\n"
	    "[endpoint a]\npath = /a\nsenders = *@b.example\n"
	    "[endpoint b]\npath = /b\nsenders = *@*.example *\n"
	    "accept_risk = any-sender\n",
	    "list:1:1 warning covered-rule: 'a@b.example' is covered by "
	    "'*@b.example'; leave it out; @DIR@/policy.ini:5 has "
	    "'*@b.example'\n" },
	{ "one place, for many endpoints",
	    "[policy]\nsenders = a@b.example a@b.example\n"
	    "[endpoint a]\npath = /a\n[endpoint b]\npath = /b\n"
	    "local_part_case = sensitive\n",
	    "2:23 warning repeated-rule: 'a@b.example' is there twice; leave "
	    "it out; line 2 has 'a@b.example'\n" },
	{ "no rule allows",
	    "[policy]\nsenders = !a@b.example\n[endpoint a]\npath = /a\n",
	    "3:2 warning no-senders: all rules deny: every request is "
	    "refused; write a rule without '!'\n"
	    "2:11 warning denies-nothing: '!a@b.example' denies nothing: "
	    "without it the same senders are refused; leave it out\n" },
	{ "no rule allows, but the playground may ask",
	    "[policy]\nsenders = !a@b.example\nplayground = yes\n",
	    "2:11 warning denies-nothing: '!a@b.example' denies nothing: "
	    "without it the same senders are refused; leave it out\n" },
	{ "origins",
	    "[policy]\nsenders = a@b.example\n"
	    "origins = https://a.example https://*.example https://b.example "
	    "https://a.example https://*.b.example https://c.d:8443 "
	    "https://*.d:8443 https://e\n",
	    "3:11 warning covered-origin: 'https://a.example' is covered by "
	    "'https://*.example'; leave it out\n"
	    "3:47 warning covered-origin: 'https://b.example' is covered by "
	    "'https://*.example'; leave it out\n"
	    "3:65 warning repeated-origin: 'https://a.example' is there "
	    "twice; leave it out; column 11 has it\n"
	    "3:83 warning covered-origin: 'https://*.b.example' is covered "
	    "by 'https://*.example'; leave it out\n"
	    "3:103 warning covered-origin: 'https://c.d:8443' is covered by "
	    "'https://*.d:8443'; leave it out\n" },
	{ "all origins, and what they are not",
	    "[policy]\nsenders = a@b.example\n"
	    "accept_risk = any-origin null-origin http-origin\n"
	    "origins = * null http://a.example http://*.example "
	    "https://*.example:1 https://a.example\n"
	    "browser_origins = https://x.example https://x.example\n",
	    "4:18 warning covered-origin: 'http://a.example' is covered by "
	    "'http://*.example'; leave it out\n"
	    "4:52 warning covered-origin: 'https://*.example:1' is covered "
	    "by '*'; leave it out\n"
	    "4:72 warning covered-origin: 'https://a.example' is covered by "
	    "'*'; leave it out\n"
	    "5:37 warning repeated-origin: 'https://x.example' is there "
	    "twice; leave it out; column 19 has it\n" },
};

static void
check(const char *policy, const char *want, const char *name)
{
	struct conf *c = remarked_load(policy, CONF_FOR_CGI);
	struct rulebook *b = must(rulebook_new(c));
	struct remark r;
	struct buf said;

	remarked_begin(&r, c, &said);
	ok(overlap_senders(&r, c, b), "%s", name);
	overlap_origins(&r, c);
	remark_end(&r);
	remarked_are(&said, want, name);
	rulebook_free(b);
	conf_free(c);
}

static void
test_cases(void)
{
	for (size_t i = 0; i < sizeof(sender_cases) / sizeof(*sender_cases);
	     i++) {
		char policy[1024];

		remarked_file("list", sender_cases[i].list);
		snprintf(policy, sizeof(policy),
		    "[policy]\nsenders = %s\nsenders_file = @DIR@/list\n",
		    sender_cases[i].senders);
		check(policy, sender_cases[i].want, sender_cases[i].name);
	}
	remarked_file("list", "a@b.example\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check(cases[i].policy, cases[i].want, cases[i].name);
}

/* --- what is said, against what decisions do */

enum { RULES = 12, ROUNDS = 1500 };

static const char *const pool[] = { "*", "*@x.example", "*@*.x.example",
	"*@s.x.example", "*@*.s.x.example", "*@t.s.x.example", "a@x.example",
	"b@x.example", "a@s.x.example", "A@s.x.example", "a@t.s.x.example",
	"*@y.example", "a@y.example", "https://x.example" };

/* Every address that some rule tells from the others is like one of these. */
static const char *const locals[] = { "a", "b", "other" };
static const char *const domains[] = { "x.example", "s.x.example",
	"t.s.x.example", "o.x.example", "o.s.x.example", "o.t.s.x.example",
	"y.example", "o.y.example", "z.example" };

struct round {
	const char *rule[RULES];
	bool deny[RULES];
	bool told[RULES]; /* that it changes nothing */
	unsigned n;
};

static unsigned
next_random(unsigned *state)
{
	*state = *state * 1103515245 + 12345;
	return *state >> 16;
}

static void
begin_round(struct round *r, unsigned *state)
{
	*r = (struct round){ .n = 2 + next_random(state) % (RULES - 2) };
	for (unsigned i = 0; i < r->n; i++) {
		r->rule[i] =
		    pool[next_random(state) % (sizeof(pool) / sizeof(*pool))];
		r->deny[i] = next_random(state) % 3 == 0;
	}
}

/* Line i + 1 is rule i. */
static void
on_told(void *ctx, const struct conf_fault *f)
{
	struct round *r = ctx;

	if (f->code != FAULT_NO_SENDERS)
		r->told[f->at.line - 1] = true;
}

static void
ask_overlap(struct round *r)
{
	struct conf *c;
	struct rulebook *b;
	struct remark remark;
	struct buf text;

	buf_init(&text, 4096);
	for (unsigned i = 0; i < r->n; i++) {
		buf_add_str(&text, r->deny[i] ? "!" : "");
		buf_add_str(&text, r->rule[i]);
		buf_add_char(&text, '\n');
	}
	must_text(&text);
	remarked_file("list", text.p);
	buf_free(&text);
	c = remarked_load("[policy]\nsenders_file = @DIR@/list\n"
			  "accept_risk = any-sender\n",
	    CONF_FOR_CGI);
	b = must(rulebook_new(c));
	remark_init(&remark, c, on_told, r);
	if (!overlap_senders(&remark, c, b))
		bail();
	rulebook_free(b);
	conf_free(c);
}

/* All answers as one text, of the rules that are not left out. */
static void
decide(const struct round *r, const bool left_out[RULES], char *out)
{
	struct lists *l = must(lists_new(true));
	struct rules_source s = lists_source(l);
	struct rules_keys keys;
	struct rules_at at;
	struct address a;
	char text[64];

	for (unsigned i = 0; i < r->n; i++) {
		snprintf(text, sizeof(text), "%s%s", r->deny[i] ? "!" : "",
		    r->rule[i]);
		if (!left_out[i] &&
		    lists_add(l, span_of(text), "", 0) != LISTS_OK)
			bail();
	}
	for (size_t d = 0; d < sizeof(domains) / sizeof(*domains); d++)
		for (size_t n = 0; n < sizeof(locals) / sizeof(*locals); n++) {
			snprintf(text, sizeof(text), "%s@%s", locals[n],
			    domains[d]);
			if (!address_parse(span_of(text), &a))
				bail();
			rules_keys_address(&a, true, &keys);
			*out++ = "-+-"[rules_decide(&keys, &s, 1, &at)];
		}
	rules_keys_literal(SPAN("https://x.example"), &keys);
	*out++ = "-+-"[rules_decide(&keys, &s, 1, &at)];
	*out = '\0';
	lists_free(l);
}

/* Where one rule denies what another allows, each makes the other needless. */
static bool
has_contradiction(const struct round *r)
{
	for (unsigned i = 0; i < r->n; i++)
		for (unsigned j = 0; j < i; j++)
			if (strcasecmp(r->rule[i], r->rule[j]) == 0 &&
			    r->deny[i] != r->deny[j])
				return true;
	return false;
}

/* Nothing changes without all that was told of, and something without more. */
static void
test_truth(void)
{
	static const bool none[RULES];
	unsigned state = 7, wrong = 0, missing = 0, told = 0, all = 0;
	char with[64], without[64];
	struct round r;

	for (int round = 0; round < ROUNDS; round++) {
		begin_round(&r, &state);
		ask_overlap(&r);
		decide(&r, none, with);
		decide(&r, r.told, without);
		wrong += strcmp(with, without) != 0;
		for (unsigned i = 0; i < r.n; i++) {
			bool less[RULES];

			all++;
			told += r.told[i];
			if (r.told[i] || has_contradiction(&r))
				continue;
			memcpy(less, r.told, sizeof(less));
			less[i] = true;
			decide(&r, less, without);
			missing += strcmp(with, without) == 0;
		}
	}
	ok(wrong == 0, "%u of %d lists change without what is told of", wrong,
	    ROUNDS);
	ok(missing == 0, "%u rules change nothing, and were not told of",
	    missing);
	ok(told > all / 10 && told < all, "%u of %u are told of", told, all);
}

int
main(void)
{
	folder_make();
	test_cases();
	test_truth();
	folder_remove();
	return tap_done();
}
