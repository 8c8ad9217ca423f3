/*
 * valgrind: whether this program runs under it.  It stands in for execve(2) and
 * for the program's own file, which no test can look behind.
 */
#ifndef VALGRIND_H
#define VALGRIND_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline bool
under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

#endif
