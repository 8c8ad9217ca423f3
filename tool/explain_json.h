/*
 * explain_json: everything that there is to say about one request, as JSON for
 * machines.
 */
#ifndef EXPLAIN_JSON_H
#define EXPLAIN_JSON_H

#include "explain_show.h"

/* One object, and a line feed; valid whatever bytes came in. */
void explain_json(struct buf *out, const struct explain_all *a);

#endif
