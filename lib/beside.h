/*
 * beside: a file that is made beside the one whose place it takes, so that
 * nobody ever sees a part of it, and nothing is lost where that fails.
 *
 * What fails returns its reason, in words that follow the file's name, and
 * leaves errno; NULL is success.
 */
#ifndef BESIDE_H
#define BESIDE_H

#include <sys/stat.h>

#include <stdbool.h>

#include "span.h"

struct beside {
	int fd;        /* to be written; -1: closed */
	char *file;    /* to be replaced; no link */
	char *made;    /* the one beside it; NULL: it is gone */
	mode_t mode;   /* of a file that replaces none */
	bool replaces; /* old is that file's */
	struct stat old;
};

/*
 * Makes an empty file beside this one, or beside what it is a link to.  One
 * that replaces none will have this mode, whatever the umask; another one the
 * mode of the old one, and its owner and group as far as we may.  To be ended
 * with beside_free(), also where it fails.
 */
const char *beside_open(const char *file, mode_t mode, struct beside *out);

/* Writes all of it, where the file's offset is. */
const char *beside_write(struct beside *b, struct span text);

/*
 * Puts it in the old one's place.  sync: it is on the disk then, and so is the
 * folder; where only that fails, the new file is in its place all the same.
 */
const char *beside_finish(struct beside *b, bool sync);

/* Removes what was not finished; errno stays.  Twice does no harm. */
void beside_free(struct beside *b);

/* mode less the process's umask, for beside_open(); not while others run. */
mode_t beside_masked(mode_t mode);

#endif
