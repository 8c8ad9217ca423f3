/*
 * A text list of senders: the first byte chooses how local parts are folded,
 * the rest is the file.  Kept in memory, compiled, walked, and read line by
 * line in the plainest way, it gives the same answers by the same lines.
 */
#include "fuzz.h"

#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cdblist.h"
#include "cdbwalk.h"
#include "cdbwrite.h"
#include "folder.h"
#include "lists.h"

enum { RULES = 200, LONGEST = 4096 };

/* libc's: what is written need not survive this machine. */
int
fsync(int fd)
{
	(void)fd;
	return 0;
}

/* --- the plainest way --- */

struct plain {
	struct rules_rule rule[RULES];
	unsigned line[RULES];
	size_t n;
	unsigned bad; /* lines that are none */
};

static void
plain_read(struct plain *p, struct span text, bool fold)
{
	struct span line;
	unsigned number = 0;

	p->n = 0;
	p->bad = span_starts(text, SPAN("\xef\xbb\xbf"));
	if (p->bad > 0) /* a byte order mark is a fault of its own */
		text = span_skip(text, 3);
	while (text.n > 0 && span_cut(&text, '\n', &line)) {
		number++;
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		line = span_trim(line);
		if (line.n == 0 || *line.p == '#')
			continue;
		if (p->n == RULES || !rules_parse(line, fold, &p->rule[p->n])) {
			p->bad++;
			continue;
		}
		p->line[p->n++] = number;
	}
}

/* The first of a key's rules, but a deny before any allow. */
static enum rules_answer
plain_find(const struct plain *p, const struct rules_keys *keys, unsigned *line)
{
	enum rules_answer answer = RULES_NONE;

	for (size_t k = 0; k < keys->n && answer == RULES_NONE; k++)
		for (size_t i = 0; i < p->n; i++) {
			const struct rules_rule *r = &p->rule[i];

			if (answer == RULES_DENY ||
			    (answer == RULES_ALLOW && !r->deny) ||
			    !span_eq(keys->key[k],
				(struct span){ r->key, r->n }))
				continue;
			answer = r->deny ? RULES_DENY : RULES_ALLOW;
			*line = p->line[i];
		}
	return answer;
}

/* --- all ways --- */

struct ways {
	struct plain plain;
	struct lists *lists;
	struct cdblist *cdb; /* NULL: none was made of it */
	bool fold;
};

static void
ask_keys(struct ways *w, const struct rules_keys *keys)
{
	struct rules_source s[2] = { lists_source(w->lists) };
	struct rules_at at = { NULL, 0 };
	unsigned line = 0;
	enum rules_answer want = plain_find(&w->plain, keys, &line);

	FUZZ_HOLDS(rules_decide(keys, s, 1, &at) == want);
	FUZZ_HOLDS(at.line == line && (at.file != NULL) == (line > 0));
	if (w->cdb == NULL)
		return;
	s[0] = cdblist_source(w->cdb);
	FUZZ_HOLDS(rules_decide(keys, s, 1, &at) == want);
	FUZZ_HOLDS(at.line == line);
	s[1] = lists_source(w->lists);
	FUZZ_HOLDS(rules_decide(keys, s, 2, &at) == want);
}

static void
ask(struct ways *w, struct span text)
{
	struct rules_keys keys;
	struct address a;

	if (address_parse(text, &a))
		rules_keys_address(&a, w->fold, &keys);
	else
		rules_keys_literal(text, &keys);
	ask_keys(w, &keys);
}

/* What the rule itself names, and what lies below it. */
static void
ask_about(struct ways *w, const struct rules_rule *r)
{
	char text[2 * RULES_KEY_MAX];
	int n = 0;

	if (r->kind == RULES_PARENT)
		n = snprintf(text, sizeof(text), "X@y%.*s", (int)r->n, r->key);
	else
		n = snprintf(text, sizeof(text), "%s%.*s",
		    r->kind == RULES_DOMAIN ? "A.b" : "", (int)r->n, r->key);
	if (n <= RULES_KEY_MAX)
		ask(w, (struct span){ text, (size_t)n });
}

static bool
each(void *ctx, const struct lists_entry *e)
{
	FUZZ_HOLDS(cdbwrite_add(ctx, e->key, e->deny, e->at.line) == NULL);
	return true;
}

/* The list in memory, compiled and opened again. */
static struct cdblist *
compile(const struct ways *w)
{
	const struct cdbwrite_about about = { .text = "/the/list",
		.fold_local = w->fold,
		.wide = lists_wide(w->lists),
		.max = CDBWRITE_MAX };
	const char *file = in_folder("list.cdb");
	struct cdblist_fault fault;
	struct cdbwrite *out = NULL;
	struct cdblist *c;
	uint64_t size;

	FUZZ_HOLDS(cdbwrite_open(file, &about, &out) == NULL);
	FUZZ_HOLDS(lists_each(w->lists, each, out));
	FUZZ_HOLDS(cdbwrite_finish(out, &size) == NULL);
	cdbwrite_free(out);
	c = cdblist_open(file, w->fold, true, &fault);
	FUZZ_HOLDS(c != NULL && cdblist_count(c) == lists_count(w->lists));
	FUZZ_HOLDS(cdblist_wide(c) == lists_wide(w->lists));
	FUZZ_HOLDS(cdblist_open(file, !w->fold, true, &fault) == NULL);
	return c;
}

/* Each rule that is walked is one of the file's. */
static bool
on_walk(void *ctx, const struct cdbwalk_rule *r)
{
	const struct plain *p = ctx;

	for (size_t i = 0; i < p->n; i++)
		if (p->line[i] == r->line && p->rule[i].deny == r->deny &&
		    span_eq((struct span){ p->rule[i].key, p->rule[i].n },
			r->key))
			return true;
	return false;
}

struct said {
	unsigned reports, rules;
};

static void
on_report(void *ctx, const char *file, unsigned line, unsigned column,
    const char *fault, const char *expected)
{
	(void)file;
	FUZZ_HOLDS((line == 0) == (column == 0));
	FUZZ_HOLDS(fault[0] != '\0' && expected[0] != '\0');
	((struct said *)ctx)->reports++;
}

static bool
on_rule(void *ctx, const struct rules_rule *r, unsigned line, unsigned column)
{
	FUZZ_HOLDS(r->kind != RULES_NO_RULE && line > 0 && column > 0);
	((struct said *)ctx)->rules++;
	return true;
}

static void
check(struct ways *w, struct span text)
{
	struct said said = { 0, 0 };
	bool good =
	    lists_walk_text(text, "list", w->fold, on_rule, on_report, &said);

	if (text.n > 0 && memchr(text.p, '\0', text.n) != NULL) {
		FUZZ_HOLDS(!good && said.reports == 1);
		return;
	}
	FUZZ_HOLDS(w->plain.n == RULES ||
	    (said.rules == w->plain.n && said.reports == w->plain.bad));
	FUZZ_HOLDS(good == (said.reports == 0));
	if (!good || w->plain.n == RULES)
		return;
	for (size_t i = 0; i < w->plain.n; i++)
		FUZZ_HOLDS(lists_put(w->lists, &w->plain.rule[i], "/the/list",
			       w->plain.line[i]) == LISTS_OK);
	w->cdb = compile(w);
	FUZZ_HOLDS(cdbwalk(in_folder("list.cdb"), on_walk, &w->plain));
	for (size_t i = 0; i < w->plain.n; i++)
		ask_about(w, &w->plain.rule[i]);
	ask(w, SPAN("A@company.example"));
	ask(w, SPAN("https://playground.amp.dev"));
	ask(w, SPAN("*"));
	cdblist_free(w->cdb);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ways w;
	struct span text = { (const char *)data + 1, size - 1 };

	if (size == 0 || size > LONGEST)
		return 0;
	if (*folder == '\0') {
		folder_make();
		atexit(folder_remove);
	}
	w.fold = (data[0] & 1) != 0;
	w.cdb = NULL;
	w.lists = lists_new(w.fold);
	FUZZ_HOLDS(w.lists != NULL);
	plain_read(&w.plain, text, w.fold);
	check(&w, text);
	lists_free(w.lists);
	return 0;
}
