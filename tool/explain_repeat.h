/*
 * explain_repeat: which variables made a request none, or one to be refused
 * [SPEC 1.3].
 */
#ifndef EXPLAIN_REPEAT_H
#define EXPLAIN_REPEAT_H

#include "span.h"

/* Two variables of one name, and their values. */
struct explain_repeat {
	struct span name, first, second;
};

/* Two for which cgienv_read() says REASON_VARIABLE_REPEATED. */
bool explain_repeat_refused(char *const vars[], struct explain_repeat *out);

/*
 * Two others with values that differ, for which it says REASON_BAD_REQUEST.
 * False, too, where memory is out.
 */
bool explain_repeat_bad(char *const vars[], struct explain_repeat *out);

#endif
