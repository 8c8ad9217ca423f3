/*
 * tally: what is counted by name, for a bounded number of names.
 */
#ifndef TALLY_H
#define TALLY_H

#include "span.h"

struct tally;

/* At most max names; what is kept of each has size bytes.  NULL: no memory. */
struct tally *tally_new(size_t max, size_t size);

/*
 * What is kept of this name: zeroes at first, and at one address until
 * tally_free().  NULL where the name is new and there are max others, or where
 * memory is out.
 */
void *tally_of(struct tally *t, struct span name);

/* How many names there are. */
size_t tally_count(const struct tally *t);

/* The i-th of them in the order in which they came, with its name. */
void *tally_at(const struct tally *t, size_t i, struct span *name);

/* NULL is taken too. */
void tally_free(struct tally *t);

#endif
