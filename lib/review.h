/*
 * review: all that can be said of a loaded policy without a library that the
 * front has not [SPEC 6.7, 7.3].
 */
#ifndef REVIEW_H
#define REVIEW_H

#include "machine.h"
#include "remark.h"
#include "rulebook.h"

/* False where memory is out. */
bool review_add(struct remark *r, const struct conf *c,
    const struct rulebook *b, const struct machine_options *o);

/* The same for who has nothing to add; what is wrong is reported. */
bool review(const struct conf *c, const struct machine_options *o,
    conf_report_fn *report, void *ctx);

#endif
