#include "rulebook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "cdbwalk.h"
#include "lists.h"

enum {
	KEYS_MAX = 1 << 30,
	FIRST_RULES = 64,
	NONE = -1 /* no source */
};

/* Twenty bytes: there may be millions of them. */
struct rule {
	uint32_t key; /* offset in keys */
	uint32_t line, column;
	uint32_t file;
	uint16_t n; /* the key's length */
	bool deny;
};

struct source {
	struct span value; /* points into the policy file: tells them apart */
	struct rulebook_source is;
};

struct rulebook {
	struct arena arena;
	struct buf keys;
	struct rule *rule;
	size_t nrules, room;
	const char **file;
	size_t nfiles;
	struct source *source;
	struct rulebook_source *shown; /* for those who ask */
	size_t nsources;
	int (*of)[RULEBOOK_SOURCES_MAX]; /* each endpoint's, or NONE */
	bool failed;                     /* memory is out */
};

/* In the order in which a reader would look. */
static const char *const names[RULEBOOK_SOURCES_MAX] = { "senders",
	"senders_file", "senders_cdb" };

/* What is being read. */
struct reading {
	struct rulebook *b;
	const char *file;
	uint32_t id;
	bool whole;
};

/* The name's number; a list's rules come in a row, so it is the last. */
static uint32_t
file_id(struct rulebook *b, const char *file)
{
	const char **more;

	if (b->nfiles > 0 && strcmp(b->file[b->nfiles - 1], file) == 0)
		return (uint32_t)b->nfiles - 1;
	more = realloc(b->file, (b->nfiles + 1) * sizeof(*more));
	if (more == NULL) {
		b->failed = true;
		return 0;
	}
	b->file = more;
	b->file[b->nfiles] = file;
	return (uint32_t)b->nfiles++;
}

static bool
make_room(struct rulebook *b)
{
	size_t room = b->room == 0 ? FIRST_RULES : 2 * b->room;
	struct rule *more;

	if (b->nrules < b->room)
		return true;
	more = realloc(b->rule, room * sizeof(*more));
	if (more == NULL)
		return false;
	b->rule = more;
	b->room = room;
	return true;
}

static bool
add(struct reading *r, struct span key, bool deny, struct scan_place at)
{
	struct rulebook *b = r->b;
	uint32_t begin = (uint32_t)b->keys.n;

	buf_add_span(&b->keys, key);
	if (b->keys.failed || !make_room(b)) {
		b->failed = true;
		return false;
	}
	b->rule[b->nrules++] = (struct rule){ .key = begin,
		.line = at.line,
		.column = at.column,
		.file = r->id,
		.n = (uint16_t)key.n,
		.deny = deny };
	return true;
}

static bool
on_rule(void *ctx, const struct rules_rule *rule, unsigned line,
    unsigned column)
{
	return add(ctx, (struct span){ rule->key, rule->n }, rule->deny,
	    (struct scan_place){ line, column });
}

/* It has been said when the policy was loaded. */
static void
on_fault(void *ctx, const char *file, unsigned line, unsigned column,
    const char *fault, const char *expected)
{
	struct reading *r = ctx;

	(void)file;
	(void)line;
	(void)column;
	(void)fault;
	(void)expected;
	r->whole = false;
}

static bool
on_compiled(void *ctx, const struct cdbwalk_rule *rule)
{
	struct reading *r = ctx;

	if (r->file == NULL) {
		r->file = arena_string(&r->b->arena, rule->text);
		if (r->file == NULL) {
			r->b->failed = true;
			return false;
		}
		r->id = file_id(r->b, r->file);
	}
	return add(r, rule->key, rule->deny,
	    (struct scan_place){ rule->line, 1 });
}

static void
read_words(struct reading *r, const struct conf_written *w)
{
	struct span rest = w->value, word;
	struct rules_rule rule;

	while (!r->b->failed && span_word(&rest, &word)) {
		struct scan_place at = w->at;

		at.column += (unsigned)(word.p - w->value.p);
		if (!rules_parse(word, false, &rule))
			r->whole = false;
		else
			on_rule(r, &rule, at.line, at.column);
	}
}

static void
read_file(struct reading *r, struct span name, bool compiled)
{
	const char *file = arena_string(&r->b->arena, name);

	if (file == NULL) {
		r->b->failed = true;
	} else if (compiled) {
		r->file = NULL;
		if (!cdbwalk(file, on_compiled, r))
			r->whole = false;
	} else {
		r->id = file_id(r->b, file);
		if (!lists_walk(file, false, on_rule, on_fault, r))
			r->whole = false;
	}
}

static void
read_files(struct reading *r, struct span names_of, bool compiled)
{
	struct span word;

	while (!r->b->failed && span_word(&names_of, &word))
		read_file(r, word, compiled);
}

static void
read_source(struct rulebook *b, const struct conf *c, size_t key,
    const struct conf_written *w, struct source *s)
{
	struct reading r = { .b = b, .whole = true };

	s->value = w->value;
	s->is.first = b->nrules;
	if (key == 0) {
		r.id = file_id(b, conf_files(c)->name);
		read_words(&r, w);
	} else
		read_files(&r, w->value, key == 2);
	s->is.end = b->nrules;
	s->is.whole = r.whole;
}

/* The source behind a key of an endpoint, read where it is a new one. */
static int
source_of(struct rulebook *b, const struct conf *c, size_t endpoint, size_t key)
{
	struct conf_written w;
	size_t i = 0;

	if (!conf_written(c, endpoint, names[key], &w) || w.value.n == 0)
		return NONE;
	while (i < b->nsources && b->source[i].value.p != w.value.p)
		i++;
	if (i == b->nsources) {
		read_source(b, c, key, &w, &b->source[i]);
		b->nsources++;
	}
	return (int)i;
}

static void
read_all(struct rulebook *b, const struct conf *c, size_t n)
{
	for (size_t e = 0; e < n && !b->failed; e++)
		for (size_t k = 0; k < RULEBOOK_SOURCES_MAX; k++)
			b->of[e][k] = source_of(b, c, e, k);
	for (size_t i = 0; i < b->nsources; i++)
		b->shown[i] = b->source[i].is;
}

struct rulebook *
rulebook_new(const struct conf *c)
{
	struct rulebook *b = calloc(1, sizeof(*b));
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(c, &ep);
	size_t most = RULEBOOK_SOURCES_MAX * n + 1;

	if (b == NULL)
		return NULL;
	buf_init(&b->keys, KEYS_MAX);
	b->of = arena_alloc(&b->arena, (n + 1) * sizeof(*b->of));
	b->source = arena_alloc(&b->arena, most * sizeof(*b->source));
	b->shown = arena_alloc(&b->arena, most * sizeof(*b->shown));
	if (b->of != NULL && b->source != NULL && b->shown != NULL)
		read_all(b, c, n);
	if (!b->failed && !b->arena.failed)
		return b;
	rulebook_free(b);
	return NULL;
}

size_t
rulebook_count(const struct rulebook *b)
{
	return b->nrules;
}

struct rulebook_rule
rulebook_rule(const struct rulebook *b, size_t i)
{
	const struct rule *r = &b->rule[i];

	return (struct rulebook_rule){ .key = { b->keys.p + r->key, r->n },
		.file = b->file[r->file],
		.at = { r->line, r->column },
		.deny = r->deny };
}

size_t
rulebook_sources(const struct rulebook *b, const struct rulebook_source **out)
{
	*out = b->shown;
	return b->nsources;
}

size_t
rulebook_of(const struct rulebook *b, size_t endpoint,
    size_t out[RULEBOOK_SOURCES_MAX])
{
	size_t n = 0;

	for (size_t k = 0; k < RULEBOOK_SOURCES_MAX; k++)
		if (b->of[endpoint][k] != NONE)
			out[n++] = (size_t)b->of[endpoint][k];
	return n;
}

void
rulebook_text(const struct rulebook_rule *r, char out[RULEBOOK_TEXT])
{
	const char *before = r->key.p[0] == '@' ? "*" :
	    r->key.p[0] == '.'                  ? "*@*" :
						  "";

	snprintf(out, RULEBOOK_TEXT, "'%s%s%.*s'", r->deny ? "!" : "", before,
	    (int)r->key.n, r->key.p);
}

void
rulebook_free(struct rulebook *b)
{
	if (b == NULL)
		return;
	arena_free(&b->arena);
	buf_free(&b->keys);
	free(b->rule);
	free(b->file);
	free(b);
}
