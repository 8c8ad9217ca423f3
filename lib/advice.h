/*
 * advice: what a careful colleague would say of a policy that is in order, and
 * origins that no browser ever writes as they stand there [SPEC 3.5, 7.3].
 */
#ifndef ADVICE_H
#define ADVICE_H

#include "remark.h"

void advice_policy(struct remark *r, const struct conf *c);

/* The same of [server], for this use. */
void advice_server(struct remark *r, const struct conf *c, enum conf_use use);

#endif
