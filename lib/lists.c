#include "lists.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "slurp.h"

enum {
	LISTS_KEYS_MAX = 1 << 30, /* so that an offset fits a slot */
	LISTS_FILES_MAX = 1 << 20,
	LISTS_SLOTS_MIN = 64
};

/* Sixteen bytes, four to a cache line: a lookup touches one, and the key. */
struct slot {
	uint32_t hash;
	uint32_t key; /* offset in keys */
	uint32_t line;
	uint32_t n : 10; /* the key's length; 0: the slot is free */
	uint32_t deny : 1;
	uint32_t file : 21;
};

struct lists {
	bool fold_local;
	bool wide;
	struct buf keys;
	struct slot *slot; /* a power of two of them, probed one by one */
	size_t nslots, used;
	const char **file;
	size_t nfiles;
};

struct lists *
lists_new(bool fold_local)
{
	struct lists *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->fold_local = fold_local;
	buf_init(&l->keys, LISTS_KEYS_MAX);
	return l;
}

void
lists_free(struct lists *l)
{
	if (l == NULL)
		return;
	buf_free(&l->keys);
	free(l->slot);
	free(l->file);
	free(l);
}

size_t
lists_count(const struct lists *l)
{
	return l->used;
}

bool
lists_wide(const struct lists *l)
{
	return l->wide;
}

/* FNV-1a, with its high bits stirred into the low ones that are used. */
static uint32_t
hash_of(struct span key)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < key.n; i++)
		h = (h ^ (unsigned char)key.p[i]) * 0x100000001b3;
	return (uint32_t)(h ^ (h >> 32));
}

/* The slot that has this key, or the free one where it would go. */
static struct slot *
slot_of(const struct lists *l, struct span key, uint32_t hash)
{
	size_t i = hash & (l->nslots - 1);

	for (;; i = (i + 1) & (l->nslots - 1)) {
		struct slot *s = &l->slot[i];

		if (s->n == 0 ||
		    (s->hash == hash && s->n == key.n &&
			memcmp(l->keys.p + s->key, key.p, key.n) == 0))
			return s;
	}
}

/* Room for n keys in all, with a quarter of the slots free at least. */
static bool
reserve(struct lists *l, size_t n)
{
	size_t old = l->nslots, want = old == 0 ? LISTS_SLOTS_MIN : old;
	struct slot *from = l->slot, *slot;

	while (want / 4 * 3 < n)
		want *= 2;
	if (want == old)
		return true;
	slot = calloc(want, sizeof(*slot));
	if (slot == NULL)
		return false;
	for (size_t i = 0; i < old; i++) {
		size_t to = from[i].hash & (want - 1);

		if (from[i].n == 0)
			continue;
		while (slot[to].n != 0)
			to = (to + 1) & (want - 1);
		slot[to] = from[i];
	}
	free(from);
	l->slot = slot;
	l->nslots = want;
	return true;
}

/* The name's number: a file's rules are added in a row, so it is the last. */
static bool
file_id(struct lists *l, const char *file, uint32_t *id)
{
	const char **more;

	if (l->nfiles > 0 && l->file[l->nfiles - 1] == file) {
		*id = (uint32_t)l->nfiles - 1;
		return true;
	}
	if (l->nfiles == LISTS_FILES_MAX)
		return false;
	more = realloc(l->file, (l->nfiles + 1) * sizeof(*more));
	if (more == NULL)
		return false;
	l->file = more;
	l->file[l->nfiles] = file;
	*id = (uint32_t)l->nfiles++;
	return true;
}

/* Deny beats allow; between two that say the same, the first one stays. */
static bool
put(struct lists *l, const struct rules_rule *rule, uint32_t file,
    unsigned line)
{
	struct span key = { rule->key, rule->n };
	uint32_t hash = hash_of(key);
	struct slot *s = slot_of(l, key, hash);

	if (s->n != 0 && (s->deny || !rule->deny))
		return true;
	if (s->n == 0) {
		s->key = (uint32_t)l->keys.n;
		buf_add_span(&l->keys, key);
		if (l->keys.failed)
			return false;
		s->hash = hash;
		s->n = (unsigned)key.n & 0x3ff;
		l->used++;
	}
	l->wide |= !rule->deny && rule->kind != RULES_ADDRESS &&
	    rule->kind != RULES_LITERAL;
	s->deny = rule->deny;
	s->file = file & 0x1fffff;
	s->line = line;
	return true;
}

enum lists_result
lists_put(struct lists *l, const struct rules_rule *rule, const char *file,
    unsigned line)
{
	uint32_t id;

	if (!file_id(l, file, &id) || !reserve(l, l->used + 1) ||
	    !put(l, rule, id, line))
		return LISTS_NO_MEMORY;
	return LISTS_OK;
}

enum lists_result
lists_add(struct lists *l, struct span rule, const char *file, unsigned line)
{
	struct rules_rule parsed;

	if (!rules_parse(rule, l->fold_local, &parsed))
		return LISTS_BAD_RULE;
	return lists_put(l, &parsed, file, line);
}

static bool
has(struct span s, const char *any)
{
	for (; *any != '\0'; any++)
		if (s.n > 0 && memchr(s.p, *any, s.n) != NULL)
			return true;
	return false;
}

static bool
has_high(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] > 0x7e)
			return true;
	return false;
}

const char *
lists_expected(struct span rule)
{
	if (span_starts(rule, SPAN("!")))
		rule = span_trim(span_skip(rule, 1));
	if (has_high(rule))
		return "write an internationalised domain in its xn-- form; a "
		       "local part is ASCII";
	if (has(rule, "<>\"()"))
		return "write the bare address, without name, quotes or "
		       "brackets";
	if (has(rule, ":/"))
		return "write a literal source origin as a browser does: "
		       "https://host, in lower case, without a default port, "
		       "a path or a last '/'";
	if (span_starts(rule, SPAN("@")))
		return "write *@domain for every address of a domain";
	if (!has(rule, "@"))
		return "write user@domain for one address, *@domain for all "
		       "of a domain";
	if (span_eq(rule, SPAN("*@*")))
		return "write * for every address";
	if (span_starts(rule, SPAN("*@")))
		return "write *@domain or *@*.domain, the domain with a dot of "
		       "its own and no other '*'";
	if (span_starts(rule, SPAN("!")))
		return "write one '!' for a deny";
	if (has(rule, "*"))
		return "'*' stands for a whole local part, for the first "
		       "labels of a domain (*@*.domain), or alone";
	return "write user@domain, *@domain, *@*.domain or *, perhaps after "
	       "'!'";
}

struct reading {
	const char *name;
	bool fold_local;
	lists_rule_fn *rule;
	lists_report_fn *report;
	void *ctx;
	unsigned line;
	bool good;
};

static void
refuse(struct reading *r, unsigned column, const char *fault,
    const char *expected)
{
	r->good = false;
	r->report(r->ctx, r->name, r->line, column, fault, expected);
}

static void
bad_rule(struct reading *r, unsigned column, struct span rule)
{
	struct span rest = rule, word;

	span_word(&rest, &word);
	if (word.n == rule.n)
		refuse(r, column, "no sender rule", lists_expected(rule));
	else
		refuse(r, column, "no sender rule",
		    "one rule a line, with nothing behind it; a comment has a "
		    "line of its own");
}

/* False where whoever gets the rules wants no more. */
static bool
take_line(struct reading *r, struct span line)
{
	struct rules_rule parsed;
	struct span rule = span_trim(line);
	unsigned column;

	if (rule.n == 0 || *rule.p == '#')
		return true;
	column = (unsigned)(rule.p - line.p) + 1;
	if (rules_parse(rule, r->fold_local, &parsed))
		return r->rule(r->ctx, &parsed, r->line, column);
	bad_rule(r, column, rule);
	return true;
}

static struct span
skip_bom(struct reading *r, struct span text)
{
	if (!span_starts(text, SPAN("\xef\xbb\xbf")))
		return text;
	r->line = 1;
	refuse(r, 1, "a byte order mark", "save the file without one");
	r->line = 0;
	return span_skip(text, 3);
}

static bool
walk(struct reading *r, struct span text)
{
	struct span line;

	text = skip_bom(r, text);
	while (span_cut(&text, '\n', &line)) {
		r->line++;
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (!take_line(r, line))
			return false;
	}
	return r->good;
}

/*
 * A compiled list or another binary: one fault says it, where each of its
 * "lines" would be no rule.
 */
static void
refuse_binary(struct reading *r, struct span text, size_t nul)
{
	struct span head = { text.p, nul }, line = head;

	while (span_cut(&head, '\n', &line))
		r->line++;
	/* an empty span has no line */
	if (nul == 0)
		r->line = 1;
	refuse(r, (unsigned)line.n + 1, "a NUL byte: this is no text list",
	    "name a text list; a compiled one is named in senders_cdb");
}

bool
lists_walk_text(struct span text, const char *name, bool fold_local,
    lists_rule_fn *rule, lists_report_fn *report, void *ctx)
{
	struct reading r = { .name = name,
		.fold_local = fold_local,
		.rule = rule,
		.report = report,
		.ctx = ctx,
		.good = true };
	const char *nul = text.n == 0 ? NULL : memchr(text.p, '\0', text.n);

	if (nul == NULL)
		return walk(&r, text);
	refuse_binary(&r, text, (size_t)(nul - text.p));
	return false;
}

/* False, and reported, where it cannot be read; all->p is the caller's. */
static bool
read_file(const char *file, lists_report_fn *report, void *ctx,
    struct slurp *all)
{
	const char *fault = slurp(file, LISTS_FILE_MAX, all);

	if (fault != NULL)
		report(ctx, file, 0, 0, fault,
		    "name a regular file of at most 512M that can be read");
	return fault == NULL;
}

bool
lists_walk(const char *file, bool fold_local, lists_rule_fn *rule,
    lists_report_fn *report, void *ctx)
{
	struct slurp all;
	bool good;

	if (!read_file(file, report, ctx, &all))
		return false;
	good = lists_walk_text((struct span){ all.p, all.n }, file, fold_local,
	    rule, report, ctx);
	free(all.p);
	return good;
}

/* A file on its way into a list. */
struct adding {
	struct lists *l;
	uint32_t file;
	bool full; /* memory is out */
	lists_report_fn *report;
	void *ctx;
};

static bool
add_rule(void *ctx, const struct rules_rule *rule, unsigned line,
    unsigned column)
{
	struct adding *a = ctx;

	/* its room is reserved */
	(void)column;
	a->full = !put(a->l, rule, a->file, line);
	return !a->full;
}

static void
pass_report(void *ctx, const char *file, unsigned line, unsigned column,
    const char *fault, const char *expected)
{
	struct adding *a = ctx;

	a->report(a->ctx, file, line, column, fault, expected);
}

static size_t
count_lines(struct span text)
{
	size_t n = 1;
	const char *p = text.p, *end = text.p + text.n;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		p++;
		n++;
	}
	return n;
}

static bool
add_text(struct adding *a, struct span text, const char *file)
{
	bool good;

	/* at once, instead of a dozen times, each of them a copy */
	a->full = !file_id(a->l, file, &a->file) ||
	    !reserve(a->l, a->l->used + count_lines(text));
	good = !a->full &&
	    lists_walk_text(text, file, a->l->fold_local, add_rule, pass_report,
		a);
	if (a->full)
		a->report(a->ctx, file, 0, 0, "out of memory",
		    "make the list shorter");
	return good;
}

bool
lists_text(struct lists *l, const char *file, lists_report_fn *report,
    void *ctx, struct stamp *stamp)
{
	struct adding a = { .l = l, .report = report, .ctx = ctx };
	struct slurp all;
	bool good;

	*stamp = (struct stamp){ .there = false };
	if (!read_file(file, report, ctx, &all))
		return false;
	*stamp = all.stamp;
	good = add_text(&a, (struct span){ all.p, all.n }, file);
	free(all.p);
	return good;
}

bool
lists_each(const struct lists *l, lists_entry_fn *each, void *ctx)
{
	for (size_t i = 0; i < l->nslots; i++) {
		const struct slot *s = &l->slot[i];
		struct lists_entry e;

		if (s->n == 0)
			continue;
		e.key = (struct span){ l->keys.p + s->key, s->n };
		e.deny = s->deny;
		e.at = (struct rules_at){ l->file[s->file], s->line };
		if (!each(ctx, &e))
			return false;
	}
	return true;
}

static enum rules_answer
find(void *ctx, const struct rules_keys *keys, size_t *level,
    struct rules_at *at)
{
	const struct lists *l = ctx;

	if (l->used == 0)
		return RULES_NONE;
	for (size_t i = 0; i < keys->n; i++) {
		struct span key = keys->key[i];
		const struct slot *s = slot_of(l, key, hash_of(key));

		if (s->n == 0)
			continue;
		*level = i;
		*at = (struct rules_at){ l->file[s->file], s->line };
		return s->deny ? RULES_DENY : RULES_ALLOW;
	}
	return RULES_NONE;
}

struct rules_source
lists_source(struct lists *l)
{
	return (struct rules_source){ .find = find, .ctx = l };
}
