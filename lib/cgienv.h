/*
 * cgienv: a request's CGI meta-variables (RFC 3875 4.1), read as they arrive
 * [SPEC 1.1 to 1.6].
 */
#ifndef CGIENV_H
#define CGIENV_H

#include "policy.h"
#include "vars.h"

/* What the front wants of a request; absent where unset or empty. */
struct cgienv {
	struct policy_request policy;
	struct span script_name, path_info;
	struct span script_filename; /* without Apache's "proxy:..." (E12) */
	bool proxied;                /* which was there */
	struct span path_translated, redirect_status;
	struct span request_uri;
	bool has_length; /* CONTENT_LENGTH is a number */
	uint64_t length;
	/* HTTP_TRANSFER_ENCODING is there, or CONTENT_LENGTH is -1 (E11) */
	bool chunked;
	bool loop;      /* AMP_CORS_FRONT is there: started by a front (E20) */
	size_t dropped; /* variables whose names cannot be passed on (E8) */
};

/*
 * Reads the variables.  REASON_OK, REASON_VARIABLE_REPEATED or
 * REASON_BAD_REQUEST as SPEC 1.3 and 1.6 say, the former before the latter; out
 * is whole in every case, as far as it can be known.  Spans point into vars.
 *
 * The time is linear in the variables.  Names that were chosen to make it more
 * than that, by thousands of hash collisions, are REASON_BAD_REQUEST.
 */
enum reason cgienv_read_vars(const struct vars *vars, struct cgienv *out);

/* The same of "NAME=value" strings, the last one followed by NULL. */
enum reason cgienv_read(char *const strings[], struct cgienv *out);

/* One variable's value: the first that is not empty, else absent. */
struct span cgienv_get(char *const vars[], struct span name);

/* The body that a request announces [SPEC 1.6]. */
enum cgienv_body { CGIENV_NO_BODY, CGIENV_LENGTH, CGIENV_UNKNOWN };
enum cgienv_body cgienv_body(const struct cgienv *e);

#endif
