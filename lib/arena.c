#include "arena.h"

#include <stdlib.h>
#include <string.h>

struct arena_block {
	struct arena_block *before;
	max_align_t bytes[];
};

void *
arena_alloc(struct arena *a, size_t n)
{
	struct arena_block *b = NULL;

	if (n <= SIZE_MAX - sizeof(*b))
		b = calloc(1, sizeof(*b) + n);
	if (b == NULL) {
		a->failed = true;
		return NULL;
	}
	b->before = a->last;
	a->last = b;
	return b->bytes;
}

char *
arena_string(struct arena *a, struct span s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (p != NULL && s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

void
arena_free(struct arena *a)
{
	while (a->last != NULL) {
		struct arena_block *b = a->last;

		a->last = b->before;
		free(b);
	}
	a->failed = false;
}
