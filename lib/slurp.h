/*
 * slurp: a whole regular file in memory, or why not.
 */
#ifndef SLURP_H
#define SLURP_H

#include <sys/types.h>

#include "span.h"
#include "stamp.h"

struct slurp {
	char *p; /* the caller's, to be freed */
	size_t n;
	mode_t mode;
	struct stamp stamp; /* of the file that was read */
};

/*
 * Reads a file of at most max bytes.  NULL where out is all of it; else what
 * is wrong, in words that follow the file's name ("is a directory"), and out is
 * untouched.  Never a part of a file: one that grows or shrinks meanwhile is a
 * fault too.
 */
const char *slurp(const char *file, size_t max, struct slurp *out);

#endif
