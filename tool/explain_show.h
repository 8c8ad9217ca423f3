/*
 * explain_show: everything that there is to say about one request, as text for
 * people.
 */
#ifndef EXPLAIN_SHOW_H
#define EXPLAIN_SHOW_H

#include "explain_case.h"
#include "explain_client.h"
#include "explain_hints.h"
#include "explain_steps.h"

struct explain_all {
	struct explain_case c;
	struct explain_steps steps;
	struct explain_remarks client;
	struct explain_hints hints;
	bool dropped; /* what a front's handler got was taken out */
};

#define EXPLAIN_DROPPED                                                        \
	"AMP_CORS_... were taken out, as a front's handler got them: this is " \
	"the request that the front itself had."

/* In 80 columns, but for what would not be itself if it were folded. */
void explain_show_text(struct buf *out, const struct explain_all *a,
    bool colours);

/* The endpoint's handler: "exec", ..., and what it is, NULL: nothing. */
const char *explain_show_handler(const struct explain_case *c,
    const char **what);

#endif
