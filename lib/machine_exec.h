/*
 * machine_exec: a program that a policy names.  Private to machine.
 */
#ifndef MACHINE_EXEC_H
#define MACHINE_EXEC_H

#include "remark.h"

/*
 * Can it run, as far as can be told without running it?  False where it
 * cannot; then that has been said.  at is where it was written.
 */
bool machine_exec(struct remark *r, struct remark_at at, const char *program);

/*
 * Can others change this file, or what is in this directory, or is it below a
 * directory in which everybody can exchange it?  key = path is what it is
 * called.
 */
void machine_exec_writable(struct remark *r, struct remark_at at,
    const char *key, const char *path);

/* The directories alone. */
void machine_exec_parents(struct remark *r, struct remark_at at,
    const char *key, const char *path);

#endif
