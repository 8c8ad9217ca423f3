/*
 * field: one header field, borrowed; and whose it is.  Types only.
 */
#ifndef FIELD_H
#define FIELD_H

#include "span.h"

struct field {
	struct span name, value;
};

/*
 * What becomes of a field of the handler's [SPEC 4.4]: it passes, it is
 * dropped, or the names that it lists are merged into our field of that name.
 */
enum field_rule { FIELD_PASS, FIELD_DROP, FIELD_JOIN };

#endif
