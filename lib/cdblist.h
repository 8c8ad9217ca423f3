/*
 * cdblist: a compiled list of senders, looked up in its file [SPEC 3.7, 6.8].
 *
 * Nothing is mapped and no offset is shared: any number of threads may ask one
 * list at once, and a file that is cut short under them is an error and no
 * signal.  What a lookup reads it checks, so that damage there is an error too
 * and never an answer.
 */
#ifndef CDBLIST_H
#define CDBLIST_H

#include "rules.h"
#include "stamp.h"

struct cdblist;

/* Why a file is none, as lists_report_fn has it. */
struct cdblist_fault {
	char what[200];     /* follows the file's name: "is truncated: ..." */
	char expected[640]; /* what would be right */
	bool unreadable;    /* nothing is known of what it holds */
};

/*
 * Opens a file of amp-cors compile.  whole: all of it is read and summed up,
 * so that damage shows now; else only its first 8 KiB at most are read.
 * fold_local is the policy's, and must be what the list was compiled for.
 * NULL and *fault where it is missing, truncated, damaged, foreign, outdated,
 * compiled otherwise, or memory is out.
 */
struct cdblist *cdblist_open(const char *file, bool fold_local, bool whole,
    struct cdblist_fault *fault);

/* How many rules it has; repeated ones count once. */
size_t cdblist_count(const struct cdblist *c);

/* Does any rule allow more than one address? */
bool cdblist_wide(const struct cdblist *c);

/* The file as it was opened. */
struct stamp cdblist_stamp(const struct cdblist *c);

/*
 * The text list that it was compiled from, whose lines decisions name: an
 * absolute path, where the list's own is that of a list from standard input.
 * Valid until cdblist_free(), as are the names of decisions.
 */
const char *cdblist_text(const struct cdblist *c);

/*
 * The list as a source for rules_decide(), valid until cdblist_free().  Its
 * answer is RULES_ERROR where the file is not what it was when it was opened
 * (a list that is compiled again is another file), cannot be read, or is
 * damaged at a place that this lookup came by.  It does not allocate.
 */
struct rules_source cdblist_source(struct cdblist *c);

/* NULL is taken too. */
void cdblist_free(struct cdblist *c);

#endif
