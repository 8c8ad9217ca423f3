/*
 * guard: a copy of some bytes that ends right before an unreadable page, so
 * that a parser that reads one byte too many dies in its test.
 */
#ifndef GUARD_H
#define GUARD_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bail.h"
#include "span.h"

struct guard {
	char *map;
	size_t size;
	struct span s; /* the copy; n may be 0, p is then the page's edge */
};

static inline struct guard
guard_of(const void *p, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct guard g = { .size = (n + page - 1) / page * page + page };

	g.map = mmap(NULL, g.size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g.map == MAP_FAILED ||
	    mprotect(g.map + g.size - page, page, PROT_NONE) == -1)
		bail();
	g.s = (struct span){ g.map + g.size - page - n, n };
	if (n > 0)
		memcpy(g.map + g.size - page - n, p, n);
	return g;
}

static inline void
guard_free(struct guard *g)
{
	munmap(g->map, g->size);
}

#endif
