#include "guard.h"
#include "origin.h"
#include "rules.h"
#include "senders.h"
#include "table.h"
#include "tap.h"

enum { RULES, LETTERS, SENDER, ANSWER, BY, COLUMNS };

enum { LABELS = (ADDRESS_MAX - 2) / 2 }; /* of "a@b.b.b" at its longest */

struct asked {
	bool bad; /* neither an address nor an origin */
	struct rules_keys keys;
};

static void
ask(struct span sender, bool fold_local, struct asked *out)
{
	struct address a;

	out->bad = false;
	if (origin_valid(sender))
		rules_keys_literal(sender, &out->keys);
	else if (address_parse(sender, &a))
		rules_keys_address(&a, fold_local, &out->keys);
	else
		out->bad = true;
}

/*
 * The rules as they stand, or from the last to the first, in one source or in
 * one for each.  Returns how many sources there are.
 */
static size_t
split(const struct senders *all, bool backwards, bool apart,
    struct senders part[])
{
	size_t n = apart ? all->n : 1;

	memset(part, 0, n * sizeof(part[0]));
	for (size_t i = 0; i < all->n; i++) {
		size_t take = backwards ? all->n - 1 - i : i;
		struct senders *to = &part[apart ? i : 0];

		to->rule[to->n] = all->rule[take];
		to->line[to->n++] = (unsigned)take + 1;
	}
	return n;
}

/* "allow 2" for rule 2, "none", "error". */
static const char *
decide(const struct asked *asked, struct senders part[], size_t n)
{
	static const char *const words[] = { "none", "allow", "deny", "error" };
	static char said[32];
	struct rules_source source[SENDERS_MAX + 1] = { { NULL, NULL } };
	struct rules_at at = { NULL, 0 };
	enum rules_answer answer;

	if (asked->bad)
		return "bad";
	for (size_t i = 0; i < n; i++)
		source[i] = senders_source(&part[i]);
	answer = rules_decide(&asked->keys, source, n, &at);
	if (answer == RULES_NONE || answer == RULES_ERROR)
		return at.line == 0 ? words[answer] : "a rule without reason";
	snprintf(said, sizeof(said), "%s %u", words[answer], at.line);
	return said;
}

/* Every way in which the same rules can be listed says the same. */
static void
test_ways(const struct asked *asked, const struct senders *all,
    const char *want, unsigned line)
{
	struct senders part[SENDERS_MAX + 1];
	char name[64];
	size_t n;

	for (unsigned way = 0; way < 4; way++) {
		bool backwards = way & 1, apart = way & 2;

		n = split(all, backwards, apart, part);
		snprintf(name, sizeof(name), "line %u%s%s", line,
		    backwards ? ", backwards" : "",
		    apart ? ", a source a rule" : "");
		is_span(span_of(decide(asked, part, n)), want, name);
	}
	n = split(all, false, true, part);
	part[n] = (struct senders){ .broken = true };
	is_span(span_of(decide(asked, part, n + 1)),
	    asked->bad ? "bad" : "error", "one broken source spoils it all");
}

static void
test_row(const struct table *t)
{
	bool fold = span_eq(t->col[LETTERS], SPAN("folded"));
	struct span rules = t->col[RULES], word;
	struct senders all = { .n = 0 };
	struct guard g = guard_of(t->col[SENDER].p, t->col[SENDER].n);
	struct asked asked;
	char want[64];

	if (!ok(t->n == COLUMNS, "line %u: %d columns", t->line, COLUMNS))
		return;
	while (span_word(&rules, &word))
		if (!senders_add(&all, word, fold))
			ok(false, "line %u: every rule is one", t->line);
	snprintf(want, sizeof(want), "%.*s%s%.*s", (int)t->col[ANSWER].n,
	    t->col[ANSWER].p, t->col[BY].p == NULL ? "" : " ",
	    (int)t->col[BY].n, t->col[BY].p == NULL ? "" : t->col[BY].p);
	ask(g.s, fold, &asked);
	test_ways(&asked, &all, want, t->line);
	guard_free(&g);
}

static void
test_table(void)
{
	struct table t;

	table_open(&t, "rules.tsv");
	while (table_next(&t))
		test_row(&t);
	table_close(&t);
}

static const struct {
	const char *text;
	enum rules_kind kind;
	bool deny;
	const char *key;
} parsed[] = {
	{ "A@B.Example", RULES_ADDRESS, false, "a@b.example" },
	{ "!a@b.example", RULES_ADDRESS, true, "a@b.example" },
	{ "!!a@b.example", RULES_NO_RULE, false, "" },
	{ "a!b@b.example", RULES_ADDRESS, false, "a!b@b.example" },
	{ "!a*@b.example", RULES_NO_RULE, false, "" },
	{ "a*@b.example", RULES_NO_RULE, false, "" },
	{ "*@B.example", RULES_DOMAIN, false, "@b.example" },
	{ "!*@b.example", RULES_DOMAIN, true, "@b.example" },
	{ "*@*.B.example", RULES_PARENT, false, ".b.example" },
	{ "!*@*.b.example", RULES_PARENT, true, ".b.example" },
	{ "*", RULES_ANY, false, "*" },
	{ "!*", RULES_ANY, true, "*" },
	{ "https://a.example", RULES_LITERAL, false, "https://a.example" },
	{ "!http://a.example:81", RULES_LITERAL, true, "http://a.example:81" },
	{ "", RULES_NO_RULE, false, NULL },
	{ "!", RULES_NO_RULE, false, NULL },
	{ "**", RULES_NO_RULE, false, NULL },
	{ "*@", RULES_NO_RULE, false, NULL },
	{ "*@*", RULES_NO_RULE, false, NULL },
	{ "*@*.", RULES_NO_RULE, false, NULL },
	{ "*@example", RULES_NO_RULE, false, NULL },
	{ "*@*.example", RULES_NO_RULE, false, NULL },
	{ "*@*.*.b.example", RULES_NO_RULE, false, NULL },
	{ "*@b.*.example", RULES_NO_RULE, false, NULL },
	{ "*@*b.example", RULES_NO_RULE, false, NULL },
	{ "*@.b.example", RULES_NO_RULE, false, NULL },
	{ "@b.example", RULES_NO_RULE, false, NULL },
	{ "b.example", RULES_NO_RULE, false, NULL },
	{ "a@*.b.example", RULES_NO_RULE, false, NULL },
	{ "a@example", RULES_NO_RULE, false, NULL },
	{ "! a@b.example", RULES_NO_RULE, false, NULL },
	{ "a@b.example ", RULES_NO_RULE, false, NULL },
	{ "a@b.example,c@d.example", RULES_NO_RULE, false, NULL },
	{ "https://*.a.example", RULES_NO_RULE, false, NULL },
	{ "https://a.example/", RULES_NO_RULE, false, NULL },
	{ "null", RULES_NO_RULE, false, NULL },
};

static void
test_parse(void)
{
	for (size_t i = 0; i < sizeof(parsed) / sizeof(parsed[0]); i++) {
		struct guard g =
		    guard_of(parsed[i].text, strlen(parsed[i].text));
		struct rules_rule r;
		bool good = rules_parse(g.s, true, &r);

		ok(good == (parsed[i].kind != RULES_NO_RULE) &&
			r.kind == parsed[i].kind,
		    "rule \"%s\": its kind", parsed[i].text);
		if (good) {
			ok(r.deny == parsed[i].deny, "and whether it denies");
			is_span((struct span){ r.key, r.n }, parsed[i].key,
			    "and its key");
		}
		guard_free(&g);
	}
}

static void
test_keys(void)
{
	static const char *const want[] = { "a.b@x.mail.company.example",
		"@x.mail.company.example", ".mail.company.example",
		".company.example", "*" };
	char longest[ADDRESS_MAX] = "a@b";
	struct rules_keys keys;
	struct address a;

	address_parse(SPAN("A.b@X.mail.Company.example"), &a);
	rules_keys_address(&a, true, &keys);
	ok(keys.n == 5, "a key for each level");
	for (size_t i = 0; i < 5; i++)
		is_span(keys.key[i], want[i], "key");
	address_parse(SPAN("a@b.c"), &a);
	rules_keys_address(&a, true, &keys);
	ok(keys.n == 3, "no key of a single label");

	for (size_t n = 3; n + 2 <= sizeof(longest); n += 2)
		memcpy(longest + n, ".b", 2);
	ok(address_parse((struct span){ longest, 253 }, &a),
	    "the address of most labels");
	rules_keys_address(&a, true, &keys);
	ok(keys.n == 3 + LABELS - 2 && keys.n <= RULES_KEYS_MAX,
	    "has all of its keys: %zu", keys.n);
	is_span(keys.key[keys.n - 2], ".b.b", "to the last of two labels");
}

int
main(void)
{
	test_parse();
	test_keys();
	test_table();
	return tap_done();
}
