/*
 * confine: which sandbox a policy leaves its server, and whether another
 * policy fits into it [SPEC 5.5].
 */
#ifndef CONFINE_H
#define CONFINE_H

#include "conf.h"
#include "sandbox.h"

/* Does an endpoint run programs, its own or the command line's? */
bool confine_runs(const struct conf_endpoint *ep, bool given);

/*
 * Does `sandbox = on` go together with a program on the command line (given)?
 * Reports that it does not.  conf has looked at the endpoints' own.
 */
bool confine_agrees(const struct conf *c, bool given, conf_report_fn *report,
    void *ctx);

/*
 * Enters the sandbox that the first policy of a server asks for, and says in
 * the log what holds.  `socket` is the path that is removed at the end, or
 * NULL; given: the command line names a program.
 *
 * False where there is to be one and is none, which was reported, or said in
 * the log.  *out may be NULL also where it went well: there is to be none.
 * It is the caller's, for sandbox_free().
 */
bool confine(const struct conf *c, const char *socket, bool given,
    conf_report_fn *report, void *ctx, struct sandbox **out);

/*
 * A policy that checks, loaded in a server that is in s (NULL: in none): can
 * it be served there?  Reports why not.
 */
bool confine_fits(const struct sandbox *s, const struct conf *c, bool given,
    conf_report_fn *report, void *ctx);

/* One that does not check: reports the files that s kept from being read. */
void confine_blame(const struct sandbox *s, const struct conf *c,
    conf_report_fn *report, void *ctx);

#endif
