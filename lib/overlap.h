/*
 * overlap: sender rules and origins that change nothing, because others of the
 * same endpoint say it already or say the contrary [SPEC 3.3, 3.5].
 */
#ifndef OVERLAP_H
#define OVERLAP_H

#include "remark.h"
#include "rulebook.h"

/*
 * Looks at the rules of each endpoint, whichever source they stand in.  A rule
 * that some endpoint needs is told of by none of the others.  False where
 * memory is out.
 */
bool overlap_senders(struct remark *r, const struct conf *c,
    const struct rulebook *b);

/* The same for origins, and for browser_origins. */
void overlap_origins(struct remark *r, const struct conf *c);

#endif
