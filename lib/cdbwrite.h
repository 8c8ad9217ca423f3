/*
 * cdbwrite: makes a compiled list, beside the one that it replaces [SPEC 3.7].
 *
 * What fails returns its reason, in words that follow the file's name, and
 * leaves errno; NULL is success.  Until cdbwrite_finish() has returned NULL
 * the file that was there is untouched.
 */
#ifndef CDBWRITE_H
#define CDBWRITE_H

#include "span.h"

struct cdbwrite;

/* What positions of 32 bits can reach. */
#define CDBWRITE_MAX UINT32_MAX

struct cdbwrite_about {
	const char *text; /* the text list's absolute path */
	bool fold_local;
	bool wide;    /* does a rule allow more than one address? */
	uint64_t max; /* bytes of the file at most; CDBWRITE_MAX at most */
};

/*
 * Begins a file beside this one, or beside what it is a link to.  It will have
 * the mode of the file that it replaces, and its owner and group as far as we
 * may, or else 0644 less the umask.  A file that is there, is not empty and
 * does not begin as a compiled list, of whatever format, is not replaced
 * (EEXIST).  On success *out is to be freed.
 */
const char *cdbwrite_open(const char *file, const struct cdbwrite_about *about,
    struct cdbwrite **out);

/* Adds a rule.  Each key may come once; line is below 1 << 31. */
const char *cdbwrite_add(struct cdbwrite *w, struct span key, bool deny,
    uint32_t line);

/*
 * Writes the rest, syncs it, and puts it in the place of the old file; *size
 * is its bytes.  Then the folder is synced: where that alone fails, the new
 * file is in its place all the same.
 */
const char *cdbwrite_finish(struct cdbwrite *w, uint64_t *size);

/*
 * Removes the file that was begun, where it was not finished; errno stays.
 * NULL is taken too.
 */
void cdbwrite_free(struct cdbwrite *w);

#endif
