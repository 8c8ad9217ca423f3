/*
 * fuzz: what a target needs.  A target defines LLVMFuzzerTestOneInput(); with
 * clang -fsanitize=fuzzer it explores, and with main.c beside it (any
 * compiler) it replays the files and directories named on its command line.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An invariant that must hold for every input. */
#define FUZZ_HOLDS(cond)                                              \
	do {                                                          \
		if (!(cond)) {                                        \
			fprintf(stderr, "%s:%d: does not hold: %s\n", \
			    __FILE__, __LINE__, #cond);               \
			abort();                                      \
		}                                                     \
	} while (0)

/* Where nothing that could be right leads to. */
_Noreturn static inline void
fuzz_wrong(const char *what)
{
	fprintf(stderr, "wrong: %s\n", what);
	abort();
}

/* The next byte of an input that is played; 0 at its end. */
static inline unsigned
fuzz_take(struct span *in)
{
	unsigned c;

	if (in->n == 0)
		return 0;
	c = (unsigned char)in->p[0];
	*in = span_skip(*in, 1);
	return c;
}

/* The next n of them, or as many as there are. */
static inline struct span
fuzz_take_bytes(struct span *in, size_t n)
{
	struct span s = *in;

	s.n = n < s.n ? n : s.n;
	*in = span_skip(*in, s.n);
	return s;
}

#endif
