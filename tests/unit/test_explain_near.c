/*
 * explain_near: rules that are one letter away, and no others; and how often a
 * list is asked for that.
 */
#include "explain_near.h"

#include "lists.h"
#include "senders.h"
#include "tap.h"

static const struct {
	const char *rules, *key, *near; /* NULL: none */
} cases[] = {
	/* one letter less, more, another, two swapped */
	{ "bob@b.example", "bb@b.example", "bob@b.example" },
	{ "bob@b.example", "boob@b.example", "bob@b.example" },
	{ "bob@b.example", "bop@b.example", "bob@b.example" },
	{ "bob@b.example", "obb@b.example", "bob@b.example" },
	{ "bob@b.example", "ob@b.example", "bob@b.example" },
	{ "bob@b.example", "bob@b.exampl", "bob@b.example" },
	{ "bob@b.example", "bob@b.examplee", "bob@b.example" },
	{ "bob@b.example", "bobb.example", "bob@b.example" },
	{ "bob@b.example", "bob@bexample", "bob@b.example" },
	{ "b-b@b.example", "b_b@b.example", "b-b@b.example" },
	/* two are too many, and the very same is none */
	{ "bob@b.example", "bbo@c.example", NULL },
	{ "bob@b.example", "b@b.example", NULL },
	{ "bob@b.example", "bob@b.example", NULL },
	{ "", "bob@b.example", NULL },
	/* a deny is nobody's aim, and hides none */
	{ "!bob@b.example", "bop@b.example", NULL },
	{ "!aop@b.example cop@b.example !dop@b.example", "bop@b.example",
	    "cop@b.example" },
	/* a domain's rule stays one */
	{ "*@b.example", "@c.example", "@b.example" },
	{ "*@b.example", "@b.exampl", "@b.example" },
	{ "*@*.b.example x@b.example", "@b.example", NULL },
};

static void
fill(struct lists *l, const char *rules)
{
	struct span rest = span_of(rules), word;
	unsigned line = 0;

	while (span_word(&rest, &word))
		ok(lists_add(l, word, "list", ++line) == LISTS_OK, "a rule");
}

static void
test_cases(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lists *l = must(lists_new(true));
		struct lists *other = must(lists_new(true));
		struct rules_source source[2];
		struct policy p = { .senders = source,
			.nsenders = 2,
			.fold_local = true };
		struct explain_near near;
		bool found;

		fill(l, cases[i].rules);
		source[0] = lists_source(other);
		source[1] = lists_source(l);
		found = explain_near(&p, span_of(cases[i].key), &near);
		is_span(found ? (struct span){ near.key, near.n } :
				(struct span){ NULL, 0 },
		    cases[i].near, cases[i].key);
		ok(!found || (near.at.line > 0 && near.at.file != NULL),
		    "with its place");
		lists_free(l);
		lists_free(other);
	}
}

/* Upper-case letters, where they make a difference. */
static void
test_case_kept(void)
{
	struct lists *l = must(lists_new(false));
	struct rules_source source;
	struct policy p = { .senders = &source, .nsenders = 1 };
	struct explain_near near;

	fill(l, "Bob@b.example");
	source = lists_source(l);
	ok(explain_near(&p, SPAN("bob@b.example"), &near), "another case");
	p.fold_local = true;
	ok(!explain_near(&p, SPAN("bob@b.example"), &near),
	    "not where there is none");
	lists_free(l);
}

static void
test_exact(void)
{
	struct lists *l = must(lists_new(true));
	struct rules_source source;
	struct policy p = { .senders = &source, .nsenders = 1 };
	struct explain_near near;

	fill(l, "*@b.example !*@*.c.example *@*.d.example");
	source = lists_source(l);
	ok(explain_near_exact(&p, SPAN("@b.example"), &near) &&
		near.at.line == 1,
	    "an allow of this key");
	ok(explain_near_exact(&p, SPAN(".d.example"), &near) &&
		near.at.line == 3,
	    "another one");
	ok(!explain_near_exact(&p, SPAN(".c.example"), &near), "a deny");
	ok(!explain_near_exact(&p, SPAN("@c.example"), &near), "no rule");
	p.nsenders = 0;
	ok(!explain_near_exact(&p, SPAN("@b.example"), &near), "no list");
	lists_free(l);
}

static size_t asked;

static enum rules_answer
count(void *ctx, const struct rules_keys *keys, size_t *level,
    struct rules_at *at)
{
	(void)ctx;
	(void)keys;
	(void)level;
	(void)at;
	asked++;
	return RULES_NONE;
}

static enum rules_answer
fail(void *ctx, const struct rules_keys *keys, size_t *level,
    struct rules_at *at)
{
	count(ctx, keys, level, at);
	return RULES_ERROR;
}

/* A list that is walked for each question is not walked for each letter. */
static void
test_cost(void)
{
	struct rules_source source = { count, NULL };
	struct policy p = { .senders = &source,
		.nsenders = 1,
		.fold_local = true };
	struct explain_near near;
	char longest[ADDRESS_MAX];

	ok(!explain_near(&p, SPAN("newsletter@company.example"), &near),
	    "nobody");
	ok(asked > 0 && asked < 30, "asked %zu times", asked);
	asked = 0;
	memset(longest, 'a', sizeof(longest));
	ok(!explain_near(&p, (struct span){ longest, sizeof(longest) }, &near),
	    "nobody, for the longest address");
	ok(asked < 300, "asked %zu times", asked);
	source.find = fail;
	ok(!explain_near(&p, SPAN("a@b.example"), &near),
	    "nor in a list that cannot be read");
}

int
main(void)
{
	test_cases();
	test_case_kept();
	test_exact();
	test_cost();
	return tap_done();
}
