/*
 * childenv: the handler's CGI meta-variables, made of the request's [SPEC 1.3,
 * 4.2].
 */
#ifndef CHILDENV_H
#define CHILDENV_H

#include "buf.h"
#include "policy.h"
#include "vars.h"

/*
 * How the handler's variables differ from the request's; spans may be absent,
 * and hold no NUL.
 */
struct childenv_change {
	/* for AMP_CORS_...; NULL: nothing was decided */
	const struct policy_decision *decision;
	char *const *own;   /* the front's environment; NULL: nothing of it */
	char *const *names; /* which of it is passed, NULL-terminated */
	bool pass_authorization;
	struct span content_length; /* instead of the request's; absent: keep */
	struct span script_name, path_info, script_filename; /* likewise */
	bool new_path; /* the three above replace, absent ones remove */
};

/* A list that ends in NULL, ready for execve(2), with its own memory. */
struct childenv {
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
 * CHILDENV_PATH; an empty one is none.
 *
 * Variables that act on every program (LD_PRELOAD, IFS, BASH_ENV) pass like
 * any other: a client cannot set them, as what it sends is named HTTP_..., and
 * the web server is trusted [SPEC 5.4].
 *
 * Most strings are not copied: vars and own must outlive the list.  False where
 * memory is out, or for names that cgienv_read() refuses.
 */
bool childenv_make(char *const vars[], const struct childenv_change *c,
    struct childenv *out);

/*
 * The same for a server elsewhere, as the content of FastCGI's PARAMS, which is
 * added to out: nothing of the front's own, and no PATH of ours.  A value goes
 * as far as vars_value() says.  False as above; out may then have a part.
 */
bool childenv_params(const struct vars *vars, const struct childenv_change *c,
    struct buf *out);

#define CHILDENV_PATH "/usr/local/bin:/usr/bin:/bin"

/* NULL is taken too, and a list that childenv_make() could not make. */
void childenv_free(struct childenv *l);

#endif
