/*
 * loaded: a policy for a command that decides by it and does not check it.
 */
#ifndef LOADED_H
#define LOADED_H

#include "conf.h"

/*
 * conf_load(), its errors printed to standard error, 20 of them at most and
 * then how many more there are; warnings are for those who check.  EX_OK, and
 * *out is the caller's; EX_NOINPUT where the file itself cannot be read,
 * EX_CONFIG where it is wrong, EX_UNAVAILABLE where a list is, EX_OSERR where
 * memory is out.
 */
int loaded_policy(const char *file, enum conf_use use, struct conf **out);

#endif
