#include "vars.h"

enum { SEEN_ROUND = 1024 };

/*
 * Every name is looked at, to its last byte, at every request: so eight bytes
 * are at once, as one number.
 */
static const uint64_t each = UINT64_MAX / 255; /* 1 in each byte */

/* Not zero where a byte is below n, at most 128. */
static uint64_t
has_below(uint64_t w, unsigned n)
{
	return (w - each * n) & ~w & each * 0x80;
}

/* Has it a byte that no name has? */
static bool
is_bad(uint64_t w)
{
	return (has_below(w, ' ' + 1) | has_below(w ^ each * '=', 1) |
		   has_below(w ^ each * 0x7F, 1)) != 0;
}

static uint64_t
word_at(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* Of a name of fewer than eight bytes. */
static uint64_t
short_word(struct span name)
{
	uint64_t w = each * 'A';

	for (size_t i = 0; i < name.n; i++)
		w = w << 8 | (unsigned char)name.p[i];
	return w;
}

static uint64_t
mix(uint64_t hash, uint64_t w)
{
	return ((hash ^ hash >> 32) + w) * 0x9E3779B97F4A7C15;
}

bool
vars_hash(struct span name, uint32_t *hash)
{
	uint64_t h = name.n, w;
	bool bad = name.n == 0;

	for (size_t i = 0; i + 8 < name.n; i += 8) {
		w = word_at(name.p + i);
		bad |= is_bad(w);
		h = mix(h, w);
	}
	w = name.n < 8 ? short_word(name) : word_at(name.p + name.n - 8);
	bad |= is_bad(w);
	*hash = (uint32_t)(mix(h, w) >> 32);
	return !bad;
}

bool
vars_name_valid(struct span name)
{
	uint32_t unused;

	return vars_hash(name, &unused);
}

void
vars_split(const char *s, struct var *out)
{
	const char *eq = strchr(s, '=');

	out->valid = false;
	if (eq == NULL)
		return;
	out->name = (struct span){ s, (size_t)(eq - s) };
	out->value = span_of(eq + 1);
	out->valid = vars_hash(out->name, &out->hash);
}

struct span
vars_value(const struct var *v)
{
	const char *nul = memchr(v->value.p, '\0', v->value.n);
	size_t n = nul == NULL ? v->value.n : (size_t)(nul - v->value.p);

	return (struct span){ v->value.p, n };
}

size_t
vars_count(const struct vars *v)
{
	size_t n = 0;

	if (v->strings == NULL)
		return v->pairs.n / 2; /* the lengths of an empty one */
	while (v->strings[n] != NULL)
		n++;
	return n;
}

size_t
seen_init(struct seen *s, const struct vars *vars, size_t count)
{
	s->vars = vars;
	s->looks = 64 * (uint64_t)count + 4096;
	return count / SEEN_ROUND + 1;
}

void
seen_begin(struct seen *s)
{
	s->n = 0;
	memset(s->head, 0, sizeof(s->head));
}

/* Has the variable at that place this name? */
static bool
is_named(const struct vars *v, size_t at, struct span name)
{
	struct span rest;
	struct field pair;

	if (v->strings != NULL)
		return strncmp(v->strings[at], name.p, name.n) == 0 &&
		    v->strings[at][name.n] == '=';
	rest = span_skip(v->pairs, at);
	return wire_pair(&rest, &pair) && span_eq(pair.name, name);
}

uint32_t *
seen_find(struct seen *s, const struct var *v, size_t at)
{
	uint16_t *head = &s->head[(v->hash ^ v->hash >> 16) % SEEN_HEADS];

	for (unsigned i = *head; i != 0; i = s->name[i - 1].next) {
		if (s->looks == 0)
			return NULL;
		s->looks--;
		if (is_named(s->vars, s->name[i - 1].at, v->name))
			return &s->name[i - 1].at;
	}
	if (s->n == SEEN_NAMES || at > UINT32_MAX)
		return NULL;
	s->name[s->n] = (struct seen_name){ (uint32_t)at, *head };
	*head = (uint16_t)(s->n + 1);
	return &s->name[s->n++].at;
}
