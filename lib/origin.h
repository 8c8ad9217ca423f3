/*
 * origin: a serialised web origin, and the rules that name some [SPEC 3.5].
 */
#ifndef ORIGIN_H
#define ORIGIN_H

#include "span.h"

enum { ORIGIN_MAX = 300 };

/*
 * Exactly as a browser writes it: http or https, "://", a host of LDH (and
 * '_') labels in lower case or an IPv6 literal in brackets, and a port that is
 * not the scheme's default.  "null" is not valid, nor is anything else.
 */
bool origin_valid(struct span text);

/*
 * A rule: a valid origin, one whose host begins with "*." (one or more labels
 * in its place), "*", or "null".
 */
bool origin_rule_valid(struct span rule);

/*
 * Does the rule name this origin?  Bytes are compared as they are.  "*." is
 * one or more labels; "*" is any valid https origin; "null" matches "null"
 * alone.  The rule must be a valid one; the text may be anything.
 */
bool origin_match(struct span rule, struct span text);

#endif
