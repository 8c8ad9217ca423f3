/*
 * check_names: the domain names of rules and origins: public suffixes, and
 * internationalised names [SPEC 6.6, 7.3].  The only module that knows libpsl
 * and libidn2.  Private to check.
 */
#ifndef CHECK_NAMES_H
#define CHECK_NAMES_H

#include <time.h>

#include "remark.h"
#include "rulebook.h"

/*
 * Looks at every rule and every origin of every endpoint; now is for the age
 * of the list of suffixes.
 */
void check_names(struct remark *r, const struct conf *c,
    const struct rulebook *b, time_t now);

/*
 * For a word with other bytes than ASCII, which conf refuses: the rule, or the
 * origin, that its writer meant, as it must be written.  False where it would
 * be none.
 */
bool check_names_mend(struct span word, bool origin, char *out, size_t size);

#endif
