#include "lists.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "slurp.h"

enum {
	LISTS_FILE_MAX = 512 << 20,
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
lists_add(struct lists *l, struct span rule, const char *file, unsigned line)
{
	struct rules_rule parsed;
	uint32_t id;

	if (!rules_parse(rule, l->fold_local, &parsed))
		return LISTS_BAD_RULE;
	if (!file_id(l, file, &id) || !reserve(l, l->used + 1) ||
	    !put(l, &parsed, id, line))
		return LISTS_NO_MEMORY;
	return LISTS_OK;
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
	struct lists *l;
	const char *file;
	lists_report_fn *report;
	void *ctx;
	uint32_t id;
	unsigned line;
	bool good;
};

static void
refuse(struct reading *r, unsigned column, const char *fault,
    const char *expected)
{
	r->good = false;
	r->report(r->ctx, r->file, r->line, column, fault, expected);
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

/* False where memory is out; nothing more is read then. */
static bool
take_line(struct reading *r, struct span line)
{
	struct rules_rule parsed;
	struct span rule = span_trim(line);

	if (rule.n == 0 || *rule.p == '#')
		return true;
	if (!rules_parse(rule, r->l->fold_local, &parsed)) {
		bad_rule(r, (unsigned)(rule.p - line.p) + 1, rule);
		return true;
	}
	return reserve(r->l, r->l->used + 1) &&
	    put(r->l, &parsed, r->id, r->line);
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

/* False where memory is out. */
static bool
take_text(struct reading *r, struct span text)
{
	struct span line;

	/* one allocation instead of a dozen that are copied each time */
	if (!file_id(r->l, r->file, &r->id) ||
	    !reserve(r->l, r->l->used + count_lines(text)))
		return false;
	text = skip_bom(r, text);
	while (span_cut(&text, '\n', &line)) {
		r->line++;
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (!take_line(r, line))
			return false;
	}
	return true;
}

bool
lists_text(struct lists *l, const char *file, lists_report_fn *report,
    void *ctx)
{
	struct reading r = { .l = l,
		.file = file,
		.report = report,
		.ctx = ctx,
		.good = true };
	struct slurp all;
	const char *fault = slurp(file, LISTS_FILE_MAX, &all);

	if (fault != NULL) {
		refuse(&r, 0, fault,
		    "name a regular file of at most 512M that can be read");
		return false;
	}
	if (!take_text(&r, (struct span){ all.p, all.n })) {
		r.line = 0;
		refuse(&r, 0, "out of memory", "make the list shorter");
	}
	free(all.p);
	return r.good;
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
