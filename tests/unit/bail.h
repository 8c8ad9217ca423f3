/*
 * bail: the end of a test program that cannot make what it needs, as where
 * memory is refused: TAP's "Bail out!", and exit status 2.  The sanitizers look
 * for leaks all the same.
 */
#ifndef BAIL_H
#define BAIL_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

#define bail() bail_at(__FILE__, __LINE__)
/* p, which the test cannot do without */
#define must(p) must_at((p), __FILE__, __LINE__)

static inline _Noreturn void
bail_at(const char *file, int line)
{
	printf("Bail out! %s:%d: %s\n", file, line, strerror(errno));
	exit(2);
}

static inline void *
must_at(void *p, const char *file, int line)
{
	if (p == NULL)
		bail_at(file, line);
	return p;
}

/* Ends b as a C string, which the test cannot do without. */
static inline void
must_text(struct buf *b)
{
	buf_add_char(b, '\0');
	if (b->failed)
		bail();
}

#endif
