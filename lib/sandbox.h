/*
 * sandbox: what a process gives up for good once it has all that it needs.
 * Landlock keeps it from files and TCP ports, seccomp from system calls.
 * Both are inherited by whatever is executed, and execution itself is among
 * what is given up.
 *
 * What is forbidden fails with EPERM or EACCES, and whoever wanted it says so
 * as of any other failure; the kernel's log has the call's number.  A call that
 * nobody makes by mistake (execve, ptrace, mount, setuid and their like) ends
 * the process with SIGSYS.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

/* What may be done with a file, and with whatever else is in its directory. */
enum sandbox_use {
	SANDBOX_READ,
	SANDBOX_READ_BELOW, /* the path's own file, or all of a directory */
	SANDBOX_APPEND,     /* or make it */
	SANDBOX_REPLACE,    /* make another one beside it, and rename that */
	SANDBOX_REMOVE,
	SANDBOX_SCRATCH /* the path is a directory: make, read and remove */
};

struct sandbox;

/*
 * Prepares one in which no file may be used, and no TCP port be connected to.
 * NULL where memory is out.
 */
struct sandbox *sandbox_new(void);

/*
 * Allows that in the directory of the file, and, where the path leads over
 * links, in the one that the file itself lies in: so also to whoever takes its
 * place by rename(2).  Of the root directory it is the file alone; what is not
 * there is not allowed.
 */
void sandbox_allow(struct sandbox *s, const char *path, enum sandbox_use use);

/* Allows to connect to a TCP port, of any address. */
void sandbox_allow_port(struct sandbox *s, uint16_t port);

/* What holds; where a part does not, why, else NULL. */
struct sandbox_holds {
	bool seccomp;
	int landlock; /* its ABI; 0: it does not hold */
	const char *seccomp_fault, *landlock_fault;
};

/*
 * Enters it; each part holds as far as the kernel offers it.  To be called
 * while there is one thread: all others inherit it.  False with errno where
 * something above was not noted for want of memory: nothing holds then.
 */
bool sandbox_enter(struct sandbox *s, struct sandbox_holds *out);

/*
 * After sandbox_enter(): does it let this file be read, and this port be
 * connected to?  True also for a file that is not there.
 */
bool sandbox_may_read(const struct sandbox *s, const char *path);
bool sandbox_may_connect(const struct sandbox *s, uint16_t port);

/* NULL is taken too.  Whoever has entered it stays in. */
void sandbox_free(struct sandbox *s);

#endif
