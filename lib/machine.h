/*
 * machine: what a policy names on this machine, as far as it can be looked at
 * without a request: programs, directories, lists, sockets, and what the user
 * that will run may do with them [SPEC 7.3].
 */
#ifndef MACHINE_H
#define MACHINE_H

#include "remark.h"

struct machine_options {
	enum conf_use use;
	const char *user; /* who runs it; NULL: `user`, or whoever runs this */
	bool handler;     /* a handler is given on the command line */
};

/* Starts a process where it has to look as another user, which needs root. */
void machine_check(struct remark *r, const struct conf *c,
    const struct machine_options *o);

#endif
