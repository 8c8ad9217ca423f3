#include "tally.h"

#include <sys/random.h>

#include <stdlib.h>
#include <string.h>

#include "arena.h"

enum { TALLY_FIRST = 256 };

struct entry {
	struct entry *next; /* of those in one slot */
	uint64_t hash;
	struct span name;
	max_align_t value[];
};

struct tally {
	size_t max, size;
	uint64_t seed;
	struct arena arena;
	struct entry **slot; /* a power of two of them */
	struct entry **all;  /* in the order in which they came; as many */
	size_t room, n;
};

struct tally *
tally_new(size_t max, size_t size)
{
	struct tally *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->max = max;
	t->size = size;
	/* who writes names into a log shall not choose which of them meet */
	if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) == -1)
		t->seed = 0;
	return t;
}

void
tally_free(struct tally *t)
{
	if (t == NULL)
		return;
	arena_free(&t->arena);
	free(t->slot);
	free(t->all);
	free(t);
}

static uint64_t
hash_of(const struct tally *t, struct span name)
{
	uint64_t h = t->seed ^ name.n;

	for (size_t i = 0; i < name.n; i++) {
		h = (h ^ (unsigned char)name.p[i]) * 0x9e3779b97f4a7c15;
		h ^= h >> 29;
	}
	return h;
}

static bool
grow(struct tally *t)
{
	size_t room = t->room == 0 ? TALLY_FIRST : t->room * 2;
	struct entry **all, **slot;

	if (t->n < t->room)
		return true;
	all = realloc(t->all, room * sizeof(struct entry *));
	if (all == NULL)
		return false;
	t->all = all;
	slot = calloc(room, sizeof(struct entry *));
	if (slot == NULL)
		return false;
	for (size_t i = 0; i < t->n; i++) {
		struct entry **to = &slot[all[i]->hash & (room - 1)];

		all[i]->next = *to;
		*to = all[i];
	}
	free(t->slot);
	t->slot = slot;
	t->room = room;
	return true;
}

static void *
add(struct tally *t, struct span name, uint64_t hash)
{
	struct entry *e, **to;
	char *text;

	if (t->n == t->max || !grow(t))
		return NULL;
	e = arena_alloc(&t->arena, sizeof(*e) + t->size + name.n + 1);
	if (e == NULL)
		return NULL;
	text = (char *)e->value + t->size;
	if (name.n > 0)
		memcpy(text, name.p, name.n);
	e->name = (struct span){ text, name.n };
	e->hash = hash;
	to = &t->slot[hash & (t->room - 1)];
	e->next = *to;
	*to = t->all[t->n++] = e;
	return e->value;
}

void *
tally_of(struct tally *t, struct span name)
{
	uint64_t hash = hash_of(t, name);
	struct entry *e = NULL;

	if (t->room > 0)
		e = t->slot[hash & (t->room - 1)];
	for (; e != NULL; e = e->next)
		if (e->hash == hash && e->name.n == name.n &&
		    (name.n == 0 || memcmp(e->name.p, name.p, name.n) == 0))
			return e->value;
	return add(t, name, hash);
}

size_t
tally_count(const struct tally *t)
{
	return t->n;
}

void *
tally_at(const struct tally *t, size_t i, struct span *name)
{
	*name = t->all[i]->name;
	return t->all[i]->value;
}
