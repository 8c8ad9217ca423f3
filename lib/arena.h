/*
 * arena: many small pieces of memory that end together.
 */
#ifndef ARENA_H
#define ARENA_H

#include "span.h"

struct arena_block;

struct arena {
	struct arena_block *last;
	bool failed; /* memory was out once; asked at the end */
};

/* n zeroed bytes, for anything; NULL (and a is marked) where memory is out. */
void *arena_alloc(struct arena *a, size_t n);

/* A copy of s with a NUL behind it; NULL likewise. */
char *arena_string(struct arena *a, struct span s);

/* Frees all of it; a is then as a zeroed one. */
void arena_free(struct arena *a);

#endif
