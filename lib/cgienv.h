/*
 * cgienv: CGI meta-variables (RFC 3875 4.1), read from a list of "NAME=value"
 * strings, and made into the handler's [SPEC 1.1 to 1.6, 4.2].
 */
#ifndef CGIENV_H
#define CGIENV_H

#include "buf.h"
#include "policy.h"

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
	bool loop; /* AMP_CORS_FRONT is there: started by a front (E20) */
};

/*
 * Reads the variables.  REASON_OK, REASON_VARIABLE_REPEATED or
 * REASON_BAD_REQUEST as SPEC 1.3 and 1.6 say, the former before the latter; out
 * is whole in every case, as far as it can be known.  Spans point into vars.
 *
 * The time is linear in the variables.  Names that were chosen to make it more
 * than that, by thousands of hash collisions, are REASON_BAD_REQUEST.
 */
enum reason cgienv_read(char *const vars[], struct cgienv *out);

/* One variable's value: the first that is not empty, else absent. */
struct span cgienv_get(char *const vars[], struct span name);

/* Is this the name of a variable that may be passed on (E8)? */
bool cgienv_name_valid(struct span name);

/* The body that a request announces [SPEC 1.6]. */
enum cgienv_body { CGIENV_NO_BODY, CGIENV_LENGTH, CGIENV_UNKNOWN };
enum cgienv_body cgienv_body(const struct cgienv *e);

/*
 * How the handler's variables differ from the request's; spans may be absent,
 * and hold no NUL.
 */
struct cgienv_change {
	/* for AMP_CORS_...; NULL: nothing was decided */
	const struct policy_decision *decision;
	char *const *own;   /* the front's environment; NULL: nothing of it */
	char *const *names; /* which of it is passed, NULL-terminated */
	bool pass_authorization;
	bool remote; /* no program of ours: no PATH of ours either */
	struct span content_length; /* instead of the request's; absent: keep */
	struct span script_name, path_info, script_filename; /* likewise */
	bool new_path; /* the three above replace, absent ones remove */
};

/* A list that ends in NULL, ready for execve(2), with its own memory. */
struct cgienv_list {
	char **vars;
	struct buf text;
};

/*
 * The handler's variables: the request's, less what SPEC 4.2 and 1.3 drop
 * (repeats become one), with AMP_CORS_VERSION, _SENDER and _ORIGIN as decided,
 * which nobody else can set, and AMP_CORS_FRONT=1, by which a front knows that
 * it was started by another one.  Any other AMP_CORS_... is dropped,
 * AMP_CORS_CONFIG too: it is meant for the front.
 *
 * The request's variables win over the front's own.  PATH is the request's
 * (the web server set it), else the front's own, named or not, else
 * CGIENV_PATH; an empty one is none.
 *
 * Variables that act on every program (LD_PRELOAD, IFS, BASH_ENV) pass like
 * any other: a client cannot set them, as what it sends is named HTTP_..., and
 * the web server is trusted [SPEC 5.4].
 *
 * Most strings are not copied: vars and own must outlive the list.  False where
 * memory is out, or for names that cgienv_read() refuses.
 */
bool cgienv_child(char *const vars[], const struct cgienv_change *c,
    struct cgienv_list *out);

#define CGIENV_PATH "/usr/local/bin:/usr/bin:/bin"

/* NULL is taken too, and a list that cgienv_child() could not make. */
void cgienv_free(struct cgienv_list *l);

#endif
