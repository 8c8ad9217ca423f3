/*
 * spawn: a CGI program as a child process [SPEC 4.2, 4.7, 4.11].
 */
#ifndef SPAWN_H
#define SPAWN_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handler.h"

enum { SPAWN_REAP_MS = 100 }; /* for a handler that closed its output to end */

struct spawn_command {
	const char *file; /* what is executed */
	char *const *argv;
	char *const *vars;
	const char *dir; /* its working directory */
	int in;          /* its standard input; -1: a pipe, see handler.in */
};

/* A child, and our ends of its pipes as a handler. */
struct spawn_child {
	struct handler h; /* first: a handler of this kind is its child */
	pid_t pid;       /* also its process group; 0 once it has been reaped */
	int status;      /* of waitid(2), once reaped: its exit status */
	bool killed;     /* `status` is a signal's number */
	int lost;        /* errno, where its output could not be read on */
	bool wide;       /* the pipe of its output holds more than usual */
	int *exec_errno; /* set by a child that could not execute the file */
};

/*
 * Starts it; descriptors 0, 1 and 2 of ours must be open [io_hold_std].  No
 * signal may be ignored, as execve(2) hands that on; nor have a handler, unless
 * it is blocked, as that would run in our memory.  It runs in its own
 * process group, with default signals and an empty mask, and with no
 * descriptor but 0, 1 and 2.  exec_errno is a cell of memory that lies in a
 * page shared with children (spawn_cells), one for each child that runs at the
 * same time.
 *
 * 0, or -1 with errno where pipes or a process could not be had; nothing is
 * left behind then.  That the file cannot be executed shows in *exec_errno, at
 * once where vfork(2) is what it says, else when the child is reaped.
 */
int spawn_start(const struct spawn_command *c, int *exec_errno,
    struct spawn_child *out);

/*
 * Becomes the command, in the process's own descriptors but for c->in, which
 * is put in place of 0 where it is not -1.  Returns errno, if it could not.
 */
int spawn_replace(const struct spawn_command *c);

/* n cells for spawn_start(); NULL with errno. */
int *spawn_cells(size_t n);
void spawn_cells_free(int *cells, size_t n);

/* Closes one of our ends and marks it so. */
void spawn_close(int *end);

/* Has it ended?  It stays a zombie, and its group can still be killed. */
bool spawn_ended(const struct spawn_child *c);

/* Sends a signal to its whole group, as long as it has not been reaped. */
void spawn_signal(const struct spawn_child *c, int signal);

/*
 * Waits until it has ended and reaps it; but no longer than that moment of
 * io_now(), nor than until `wake` (-1: none) becomes readable.  False where it
 * still runs.
 */
bool spawn_reap(struct spawn_child *c, int wake, int64_t until);

/*
 * Ends it: closes its pipes, TERM to its group, after `grace` seconds KILL,
 * and reaps it.  What the leader left in its group dies with it.
 */
void spawn_end(struct spawn_child *c, unsigned grace);

#endif
