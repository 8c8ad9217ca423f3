/*
 * findings: what checks have said, kept until it can be told in the order of
 * the lines.
 */
#ifndef FINDINGS_H
#define FINDINGS_H

#include "conf.h"

struct findings;

/* NULL where memory is out. */
struct findings *findings_new(void);

/* Keeps a copy. */
void findings_add(struct findings *f, const struct conf_fault *fault);

/* How many errors, warnings and notes there are. */
struct findings_count {
	size_t errors, warnings, notes;
};
struct findings_count findings_count(const struct findings *f);

/*
 * All of them: those of the policy file `first`, then of each other file; by
 * line and column, what is said of a whole file before its lines; FAULT_MORE in
 * the end.  Valid until the next call for f.  False where memory was out, here
 * or before.
 */
bool findings_sorted(struct findings *f, const char *first,
    const struct conf_fault **out, size_t *n);

/* NULL is taken too. */
void findings_free(struct findings *f);

#endif
