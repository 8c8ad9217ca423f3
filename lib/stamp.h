/*
 * stamp: which file it was, and in which state, so that a change is seen
 * [SPEC 5.5].
 */
#ifndef STAMP_H
#define STAMP_H

#include <sys/stat.h>

#include <stdbool.h>

struct stamp {
	bool there; /* false: all else is zero */
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

struct stamp stamp_of(const struct stat *st);

/* Of a path as it is now; not there, where it cannot be looked at. */
struct stamp stamp_path(const char *path);

bool stamp_eq(const struct stamp *a, const struct stamp *b);

#endif
