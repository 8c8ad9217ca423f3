/*
 * explain_request: the request that is to be explained, as a list of
 * "NAME=value" variables [SPEC 1.1]: from a saved environment, and from
 * options, which stand above it.
 */
#ifndef EXPLAIN_REQUEST_H
#define EXPLAIN_REQUEST_H

#include "arena.h"
#include "span.h"

enum {
	EXPLAIN_REQUEST_MAX = 4 << 20, /* bytes of an environment */
	EXPLAIN_REQUEST_VARS = 65536
};

/* Zeroed, it is empty. */
struct explain_request {
	struct arena arena;
	char **vars; /* ends in NULL; NULL while there is nothing in it */
	size_t n, cap;
	bool failed; /* memory was out, or there were too many */
};

/* One variable more; of a name that is there already, a repeat. */
void explain_request_add(struct explain_request *r, struct span name,
    struct span value);

/* The same, instead of every variable of that name. */
void explain_request_set(struct explain_request *r, struct span name,
    struct span value);

/* Takes out every variable of that name. */
void explain_request_drop(struct explain_request *r, struct span name);

/* A variable's first value that is not empty; absent where there is none. */
struct span explain_request_get(const struct explain_request *r,
    struct span name);

/*
 * A header field "Name: value" as the variable that a web server makes of it,
 * HTTP_NAME, one more.  False where it is no header field.
 */
bool explain_request_header(struct explain_request *r, struct span field);

/*
 * Takes every variable of `over`, and none of those names that was there
 * before.  `over` must outlive r.
 */
void explain_request_override(struct explain_request *r,
    const struct explain_request *over);

/* A path and a query of the operator's own; each may be NULL. */
struct explain_target {
	const char *path;   /* decoded, and begins with '/' */
	const char *query;  /* as it stands in a URL */
	const char *source; /* an address, for __amp_source_origin */
};

/*
 * SCRIPT_NAME, QUERY_STRING and REQUEST_URI as a web server would set them for
 * this target.  What is NULL stays as it is; but a source alone takes the place
 * of the whole query, whose other parameters decide nothing.
 */
void explain_request_target(struct explain_request *r,
    const struct explain_target *t);

/*
 * The text of a saved environment: variables that end in NUL, where there is
 * any in it; else one a line, as env(1) prints them or as `export -p` does.
 * NULL, or what is wrong, and *at is the number of the variable or line (0: all
 * of it).
 */
const char *explain_request_text(struct explain_request *r, struct span text,
    unsigned *at);

/*
 * Reads a saved environment from a file, "-" being standard input.  EX_OK, or
 * an exit status; the fault has been said.
 */
int explain_request_file(struct explain_request *r, const char *file);

void explain_request_free(struct explain_request *r);

#endif
