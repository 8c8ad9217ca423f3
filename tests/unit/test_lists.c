#include "lists.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"

static char dir[128];
static char path[256];

static const char *
write_file(const char *name, const void *text, size_t n)
{
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (f == NULL || fwrite(text, 1, n, f) != n || fclose(f) != 0)
		bail();
	return path;
}

/* Reports, as "line:column: fault". */
static char reports[4096];

static void
on_report(void *ctx, const char *file, unsigned line, unsigned column,
    const char *fault, const char *expected)
{
	size_t n = strlen(reports);

	if (strcmp(file, ctx) != 0 || expected == NULL || *expected == '\0')
		bail();
	snprintf(reports + n, sizeof(reports) - n, "%u:%u: %s\n", line, column,
	    fault);
}

static bool
load(struct lists *l, const char *file)
{
	struct stamp stamp, now = stamp_path(file);
	bool good;

	reports[0] = '\0';
	good = lists_text(l, file, on_report, (void *)(uintptr_t)file, &stamp);
	/* what could not be read has no stamp */
	if (stamp.there ? !stamp_eq(&stamp, &now) : good)
		bail();
	return good;
}

/* What the list says of an address or a literal: "allow FILE:3", "none". */
static const char *
ask(struct lists *l, bool fold, const char *text)
{
	static char out[128];
	struct rules_source s = lists_source(l);
	struct rules_at at = { NULL, 0 };
	struct rules_keys keys;
	struct address a;
	size_t level = 99;
	enum rules_answer answer;

	if (address_parse(span_of(text), &a))
		rules_keys_address(&a, fold, &keys);
	else
		rules_keys_literal(span_of(text), &keys);
	answer = s.find(s.ctx, &keys, &level, &at);
	if (answer == RULES_NONE)
		return "none";
	snprintf(out, sizeof(out), "%s %s:%u",
	    answer == RULES_ALLOW    ? "allow" :
		answer == RULES_DENY ? "deny" :
				       "error",
	    strrchr(at.file, '/') == NULL ? at.file : strrchr(at.file, '/') + 1,
	    at.line);
	return out;
}

static const char rules_text[] = "# senders\n"
				 "\n"
				 "  a@company.example  \n"
				 "\tB@Company.Example\n"
				 "!c@company.example\n"
				 "*@company.example\r\n"
				 "*@*.company.example\n"
				 "   # indented\n"
				 "!*@bad.company.example\n"
				 "https://playground.amp.dev\n"
				 "x@twice.example\n"
				 "!x@twice.example\n"
				 "!y@twice.example\n"
				 "y@twice.example\n"
				 "z@twice.example\n"
				 "Z@twice.example";

static const struct {
	const char *text, *folded, *exact;
} questions[] = {
	{ "a@company.example", "allow r:3", "allow r:3" },
	{ "A@COMPANY.EXAMPLE", "allow r:3", "allow r:6" },
	{ "b@company.example", "allow r:4", "allow r:6" },
	{ "B@company.example", "allow r:4", "allow r:4" },
	{ "c@company.example", "deny r:5", "deny r:5" },
	{ "C@company.example", "deny r:5", "allow r:6" },
	{ "d@company.example", "allow r:6", "allow r:6" },
	{ "d@mail.company.example", "allow r:7", "allow r:7" },
	{ "d@a.b.Company.example", "allow r:7", "allow r:7" },
	{ "d@bad.company.example", "deny r:9", "deny r:9" },
	{ "d@x.bad.company.example", "allow r:7", "allow r:7" },
	{ "d@notcompany.example", "none", "none" },
	{ "d@example", "none", "none" },
	{ "https://playground.amp.dev", "allow r:10", "allow r:10" },
	{ "https://PLAYGROUND.amp.dev", "none", "none" },
	{ "x@twice.example", "deny r:12", "deny r:12" },
	{ "y@twice.example", "deny r:13", "deny r:13" },
	{ "z@twice.example", "allow r:15", "allow r:15" },
	{ "Z@twice.example", "allow r:15", "allow r:16" },
	{ "*@company.example", "allow r:6", "allow r:6" },
	{ "", "none", "none" },
};

static void
test_questions(bool fold)
{
	struct lists *l = must(lists_new(fold));
	char *file =
	    must(strdup(write_file("r", rules_text, sizeof(rules_text) - 1)));

	ok(load(l, file) && reports[0] == '\0', "loads, fold %d", fold);
	ok(lists_count(l) == (fold ? 10 : 11), "counts keys: %zu",
	    lists_count(l));
	for (size_t i = 0; i < sizeof(questions) / sizeof(*questions); i++)
		is_span(span_of(ask(l, fold, questions[i].text)),
		    fold ? questions[i].folded : questions[i].exact,
		    questions[i].text);
	lists_free(l);
	free(file);
}

static const struct {
	const char *name, *in, *want;
} bad[] = {
	{ "each bad line", "a@b.example\nxx\n\n  yy@\n*@*\n",
	    "2:1: no sender rule\n4:3: no sender rule\n5:1: no sender rule\n" },
	{ "two in one line", "a@b.example c@d.example\na@b.example,\n",
	    "1:1: no sender rule\n2:1: no sender rule\n" },
	{ "a comment behind a rule", "a@b.example # x\n",
	    "1:1: no sender rule\n" },
	{ "a byte order mark",
	    "\xef\xbb\xbf"
	    "a@b.example\nx\n",
	    "1:1: a byte order mark\n2:1: no sender rule\n" },
	{ "CR alone", "a@b.example\rc@d.example\n", "1:1: no sender rule\n" },
	{ "a lone '!'", "!\n! a@b.example\n",
	    "1:1: no sender rule\n2:1: no sender rule\n" },
	{ "the last line", "a@b.example\n*@example", "2:1: no sender rule\n" },
};

static void
test_bad(void)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct lists *l = must(lists_new(true));
		const char *file =
		    write_file("bad", bad[i].in, strlen(bad[i].in));

		ok(!load(l, file), "refuses %s", bad[i].name);
		is_span(span_of(reports), bad[i].want, bad[i].name);
		lists_free(l);
	}
}

/* One fault in place of one a line, and no rule: it is another file. */
static const struct {
	const char *name, *in;
	size_t n;
	const char *want;
} binary[] = {
	{ "at the beginning", "\0a@b.example\nx\ny\n", 17, "1:1" },
	{ "in a line", "a@b.example\nx\ny\0z\nx\n", 20, "3:2" },
	{ "behind a line feed", "a@b.example\n\0\nx\n", 16, "2:1" },
	{ "alone at the end", "a@b.example\0", 12, "1:12" },
	{ "behind a byte order mark", "\xef\xbb\xbf\0", 4, "1:4" },
};

static void
test_binary(void)
{
	char want[80];

	for (size_t i = 0; i < sizeof(binary) / sizeof(*binary); i++) {
		struct lists *l = must(lists_new(true));

		ok(!load(l, write_file("bad", binary[i].in, binary[i].n)) &&
			lists_count(l) == 0,
		    "a NUL byte %s", binary[i].name);
		snprintf(want, sizeof(want),
		    "%s: a NUL byte: this is no text list\n", binary[i].want);
		is_span(span_of(reports), want, binary[i].name);
		lists_free(l);
	}
}

static void
test_unreadable(void)
{
	struct lists *l = must(lists_new(true));
	const char *none = "/nonexistent/list";

	ok(!load(l, none), "a file that is not there");
	is_span(span_of(reports), "0:0: No such file or directory\n",
	    "says so");
	ok(!load(l, dir), "a directory");
	is_span(span_of(reports), "0:0: is a directory\n", "says so");
	ok(!load(l, "/dev/null"), "a device");
	is_span(span_of(reports), "0:0: is not a regular file\n", "says so");
	snprintf(path, sizeof(path), "%s/fifo", dir);
	ok(mkfifo(path, 0600) == 0 && !load(l, path), "a FIFO");
	is_span(span_of(reports), "0:0: is not a regular file\n",
	    "is not waited for");
	ok(lists_count(l) == 0, "nothing was added");
	ok(load(l, write_file("empty", "", 0)), "an empty file is a list");
	is_span(span_of(ask(l, true, "a@b.example")), "none", "of nobody");
	lists_free(l);
}

/* What is no rule is answered with what would be one. */
static const struct {
	const char *rule, *want;
} hints[] = {
	{ "@company.example", "*@domain" },
	{ "company.example", "*@domain" },
	{ "*@*", "write *" },
	{ "*@example", "dot of its own" },
	{ "*@*.example", "dot of its own" },
	{ "news*@company.example", "whole local part" },
	{ "<a@company.example>", "bare address" },
	{ "\"a b\"@company.example", "bare address" },
	{ "a@m\xc3\xbcller.example", "xn--" },
	{ "mailto:a@company.example", "literal" },
	{ "https://Company.example/", "literal" },
	{ "a@company", "user@domain" },
	{ "!@company.example", "*@domain" },
	{ "", "user@domain" },
};

static void
test_hints(void)
{
	for (size_t i = 0; i < sizeof(hints) / sizeof(*hints); i++)
		ok(strstr(lists_expected(span_of(hints[i].rule)),
		       hints[i].want) != NULL,
		    "hint for '%s': %s", hints[i].rule,
		    lists_expected(span_of(hints[i].rule)));
}

static void
test_add(void)
{
	static const char one[] = "one", two[] = "two";
	struct lists *l = must(lists_new(true));

	is_span(span_of(ask(l, true, "a@b.example")), "none",
	    "a new list knows nobody");
	ok(lists_add(l, SPAN("!*@no.example"), one, 1) == LISTS_OK &&
		lists_add(l, SPAN("https://a.example"), one, 1) == LISTS_OK &&
		!lists_wide(l),
	    "neither a deny nor a literal is wide");
	ok(lists_add(l, SPAN("a@b.example"), one, 7) == LISTS_OK, "adds");
	ok(!lists_wide(l), "nor is an address");
	ok(lists_add(l, SPAN("*@b.example"), two, 8) == LISTS_OK, "another");
	ok(lists_wide(l), "which is wide");
	/* whoever cannot add a rule must not go on to decide */
	if (!ok(lists_add(l, SPAN("!a@b.example"), one, 9) == LISTS_OK,
		"a deny"))
		bail();
	ok(lists_add(l, SPAN("a@b"), one, 1) == LISTS_BAD_RULE, "no rule");
	ok(lists_add(l, SPAN(""), one, 1) == LISTS_BAD_RULE, "nor this");
	ok(lists_add(l, SPAN("*"), two, 3) == LISTS_OK, "the wildcard");
	is_span(span_of(ask(l, true, "A@B.example")), "deny one:9",
	    "deny beats allow, with its own place");
	is_span(span_of(ask(l, true, "x@b.example")), "allow two:8",
	    "each has its file");
	is_span(span_of(ask(l, true, "x@c.example")), "allow two:3", "*");
	lists_free(l);
	lists_free(NULL);
}

/* What a walk hands out, as "line:column key", and where it is to stop. */
struct walked {
	char text[1024];
	unsigned stop; /* line */
};

static bool
on_rule(void *ctx, const struct rules_rule *rule, unsigned line,
    unsigned column)
{
	struct walked *w = ctx;
	size_t n = strlen(w->text);

	snprintf(w->text + n, sizeof(w->text) - n, "%u:%u %s%.*s\n", line,
	    column, rule->deny ? "!" : "", (int)rule->n, rule->key);
	return line != w->stop;
}

static void
on_bad_rule(void *ctx, const char *file, unsigned line, unsigned column,
    const char *fault, const char *expected)
{
	struct walked *w = ctx;
	size_t n = strlen(w->text);

	(void)expected;
	snprintf(w->text + n, sizeof(w->text) - n, "%s:%u:%u: %s\n", file, line,
	    column, fault);
}

static const char walk_text[] = "# x\n"
				" !a@B.example\r\n"
				"\n"
				"A@b.example\n"
				"*@x\n"
				"\t*@*.b.example";

static void
test_walk(void)
{
	struct walked w = { .stop = 0 };

	ok(!lists_walk_text(SPAN(walk_text), "in", true, on_rule, on_bad_rule,
	       &w),
	    "a walk past a bad line");
	is_span(span_of(w.text),
	    "2:2 !a@b.example\n4:1 a@b.example\nin:5:1: no sender rule\n"
	    "6:2 .b.example\n",
	    "hands out the others");
	w = (struct walked){ .stop = 2 };
	ok(!lists_walk_text(SPAN(walk_text), "in", false, on_rule, on_bad_rule,
	       &w),
	    "one that is stopped");
	is_span(span_of(w.text), "2:2 !a@b.example\n", "ends there");
	w = (struct walked){ .stop = 0 };
	ok(lists_walk(write_file("walk", walk_text, 32), false, on_rule,
	       on_bad_rule, &w),
	    "a file");
	is_span(span_of(w.text), "2:2 !a@b.example\n4:1 A@b.example\n",
	    "with local parts as they are");
	w = (struct walked){ .stop = 0 };
	ok(!lists_walk("/nonexistent/list", true, on_rule, on_bad_rule, &w),
	    "no file");
	is_span(span_of(w.text),
	    "/nonexistent/list:0:0: No such file or directory\n", "says so");
}

static bool
on_entry(void *ctx, const struct lists_entry *e)
{
	unsigned *seen = ctx;
	struct span a = SPAN("a@b.example"), b = SPAN("@b.example");

	if (span_eq(e->key, a) && !e->deny && e->at.line == 7)
		*seen += 1;
	else if (span_eq(e->key, b) && e->deny && e->at.line == 8)
		*seen += 10;
	else
		*seen += 100;
	return *seen != 11 || strcmp(e->at.file, "one") == 0;
}

static bool
on_first(void *ctx, const struct lists_entry *e)
{
	(void)e;
	*(unsigned *)ctx += 1;
	return false;
}

static void
test_each(void)
{
	static const char one[] = "one";
	struct lists *l = must(lists_new(true));
	struct rules_rule rule;
	unsigned seen = 0;

	ok(lists_each(l, on_entry, &seen) && seen == 0, "nothing yet");
	ok(rules_parse(SPAN("A@B.example"), true, &rule) &&
		lists_put(l, &rule, one, 7) == LISTS_OK &&
		lists_put(l, &rule, one, 9) == LISTS_OK,
	    "a rule that was read");
	ok(lists_add(l, SPAN("*@b.example"), one, 7) == LISTS_OK &&
		lists_add(l, SPAN("!*@b.example"), one, 8) == LISTS_OK,
	    "an allow and a deny of one key");
	ok(lists_each(l, on_entry, &seen) && seen == 11,
	    "each key once, with what decides: %u", seen);
	seen = 0;
	ok(!lists_each(l, on_first, &seen) && seen == 1, "or not all of them");
	lists_free(l);
}

static unsigned
next_random(unsigned *state)
{
	*state = *state * 1103515245 + 12345;
	return *state >> 16;
}

enum { MANY = 20000, NAMES = 30000 };

/* Against the plainest list there is: an array, one place for each name. */
static void
test_many(void)
{
	static struct {
		unsigned line;
		bool deny;
	} plain[NAMES];
	struct lists *l = must(lists_new(true));
	unsigned state = 1, wrong = 0, keys = 0;
	char rule[64];

	for (unsigned i = 1; i <= MANY; i++) {
		unsigned name = next_random(&state) % NAMES;
		bool deny = next_random(&state) % 4 == 0;

		snprintf(rule, sizeof(rule), "%su%u@company.example",
		    deny ? "!" : "", name);
		if (lists_add(l, span_of(rule), "many", i) != LISTS_OK)
			bail();
		keys += plain[name].line == 0;
		if (plain[name].line == 0 || (deny && !plain[name].deny)) {
			plain[name].line = i;
			plain[name].deny = deny;
		}
	}
	for (unsigned name = 0; name < NAMES; name++) {
		char want[64] = "none";

		snprintf(rule, sizeof(rule), "U%u@Company.example", name);
		if (plain[name].line != 0)
			snprintf(want, sizeof(want), "%s many:%u",
			    plain[name].deny ? "deny" : "allow",
			    plain[name].line);
		wrong += strcmp(ask(l, true, rule), want) != 0;
	}
	ok(wrong == 0, "%u of %u answers differ from a plain array's", wrong,
	    NAMES);
	ok(lists_count(l) == keys, "%zu keys of %u", lists_count(l), keys);
	lists_free(l);
}

/* A name that is not there is looked for in every table size, full or not. */
static void
test_growth(void)
{
	struct lists *l = must(lists_new(true));
	unsigned wrong = 0;
	char rule[64];

	for (unsigned i = 1; i <= 600; i++) {
		snprintf(rule, sizeof(rule), "u%u@company.example", i);
		if (lists_add(l, span_of(rule), "growth", i) != LISTS_OK)
			bail();
		wrong += strcmp(ask(l, true, "x@company.example"), "none") != 0;
	}
	ok(wrong == 0 && lists_count(l) == 600, "grows");
	lists_free(l);
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/amp-lists-XXXXXX",
	    tmp == NULL ? "/tmp" : tmp);
	if (mkdtemp(dir) == NULL)
		bail();
	test_questions(true);
	test_questions(false);
	test_bad();
	test_binary();
	test_unreadable();
	test_hints();
	test_add();
	test_walk();
	test_each();
	test_many();
	test_growth();
	for (const char *const *f = (const char *const[]){ "r", "bad", "fifo",
		 "empty", "walk", NULL };
	     *f != NULL; f++) {
		snprintf(path, sizeof(path), "%s/%s", dir, *f);
		remove(path);
	}
	ok(rmdir(dir) == 0, "leaves nothing behind");
	return tap_done();
}
