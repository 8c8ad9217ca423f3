/*
 * probe_json: is it JSON (RFC 8259)?  Nothing is made of it.  Pure.
 */
#ifndef PROBE_JSON_H
#define PROBE_JSON_H

#include "span.h"

/* Arrays and objects within each other. */
enum { PROBE_JSON_DEPTH = 256 };

/*
 * NULL where text is one JSON value in UTF-8, else what is wrong, and *at is
 * where: bytes from the start.
 */
const char *probe_json_fault(struct span text, size_t *at);

#endif
