/*
 * query: one parameter out of a query string [SPEC 1.5].
 */
#ifndef QUERY_H
#define QUERY_H

#include "span.h"

enum query_result {
	QUERY_ABSENT, /* not there, or there without a value */
	QUERY_FOUND,
	QUERY_REPEATED,     /* more than once, whatever the values */
	QUERY_BAD_ENCODING, /* not %XX, or %00 */
	QUERY_TOO_LONG      /* its decoded value does not fit */
};

/*
 * Looks for name in query, whose pairs are separated by '&'.  Names are
 * percent-decoded before they are compared, since the handler does so too; a
 * name that cannot be decoded is another name.  '+' stays '+'.
 *
 * QUERY_FOUND alone writes: the decoded value into out, and its length into
 * *n.  No terminator is written.  A repetition wins over every other fault.
 */
enum query_result query_get(struct span query, struct span name, char *out,
    size_t size, size_t *n);

/*
 * Percent-decodes all of in, strictly.  False where an escape is not two hex
 * digits, decodes to NUL, or where the result does not fit into size bytes.
 */
bool query_decode(struct span in, char *out, size_t size, size_t *n);

#endif
