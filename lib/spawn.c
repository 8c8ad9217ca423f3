#include "spawn.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io.h"

enum { PIPE_USUAL = 65536, PIPE_WIDE = 262144 };

int *
spawn_cells(size_t n)
{
	void *p = mmap(NULL, n * sizeof(int), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void
spawn_close(int *end)
{
	if (*end != -1)
		close(*end);
	*end = -1;
}

void
spawn_cells_free(int *cells, size_t n)
{
	if (cells != NULL)
		munmap(cells, n * sizeof(int));
}

/* The three pipes; [0] is read, [1] is written. */
struct pipes {
	int in[2], out[2], err[2];
};

static const struct pipes no_pipes = { { -1, -1 }, { -1, -1 }, { -1, -1 } };

static void
pipes_close(struct pipes *p)
{
	int error = errno;

	for (int i = 0; i < 2; i++) {
		spawn_close(&p->in[i]);
		spawn_close(&p->out[i]);
		spawn_close(&p->err[i]);
	}
	errno = error;
}

static int
pipes_open(struct pipes *p, bool with_input)
{
	*p = no_pipes;
	if (pipe2(p->out, O_CLOEXEC) == -1 || pipe2(p->err, O_CLOEXEC) == -1 ||
	    (with_input &&
		(pipe2(p->in, O_CLOEXEC) == -1 ||
		    io_nonblock(p->in[1]) == -1))) {
		pipes_close(p);
		return -1;
	}
	return 0;
}

/*
 * The child's side of vfork(2): it borrows our memory and our stack, so it
 * calls nothing but async-signal-safe functions and changes nothing but its
 * cell.  A signal that comes meanwhile ends it, or waits for its program: we
 * have no handlers.  Never returns.
 */
static void
child_run(const struct spawn_command *c, const struct pipes *p, int *cell)
{
	sigset_t none;

	sigemptyset(&none);
	setpgid(0, 0);
	if (dup2(c->in == -1 ? p->in[0] : c->in, 0) != -1 &&
	    dup2(p->out[1], 1) != -1 && dup2(p->err[1], 2) != -1 &&
	    syscall(SYS_close_range, 3U, ~0U, 0U) == 0 && chdir(c->dir) == 0 &&
	    sigprocmask(SIG_SETMASK, &none, NULL) == 0)
		execve(c->file, c->argv, c->vars);
	*cell = errno;
	_exit(127);
}

/* --- as a handler --- */

static struct spawn_child *
child_of(struct handler *h)
{
	return (struct spawn_child *)h;
}

static ssize_t
way_give(struct handler *h, struct span body)
{
	ssize_t n = write(h->in, body.p, body.n);

	if (n == -1 && errno == EINTR)
		errno = EAGAIN;
	return n;
}

static void
way_give_end(struct handler *h)
{
	spawn_close(&h->in);
}

/* It has nothing to send but the body. */
static bool
way_flush(struct handler *h)
{
	(void)h;
	return false;
}

/* Much is coming: fewer turns, each with more.  As it is, if it must be. */
static void
widen(struct spawn_child *c)
{
	int size;

	if (c->wide)
		return;
	size = fcntl(c->h.out, F_GETPIPE_SZ);
	if (size < PIPE_WIDE)
		size = fcntl(c->h.out, F_SETPIPE_SZ, PIPE_WIDE);
	if (size > 0)
		c->h.holds = (size_t)size;
	c->wide = true;
}

static enum handler_output
way_take(struct handler *h, char *room, size_t size, struct span *bytes)
{
	ssize_t n = read(h->out, room, size);

	if (n == -1 && (errno == EINTR || errno == EAGAIN))
		return HANDLER_WAIT;
	if (n == -1)
		child_of(h)->lost = errno;
	if (n <= 0)
		return HANDLER_END;
	if ((size_t)n >= PIPE_USUAL)
		widen(child_of(h));
	/* nobody could write any more before we read: this was all */
	h->over = (h->polled & POLLHUP) != 0 && (size_t)n < size;
	*bytes = (struct span){ room, (size_t)n };
	return HANDLER_BYTES;
}

static void
way_stop(struct handler *h, int signal)
{
	spawn_signal(child_of(h), signal);
}

static bool
way_ended(const struct handler *h)
{
	return spawn_ended((const struct spawn_child *)h);
}

static struct handler_fate
way_fate(struct handler *h)
{
	struct spawn_child *c = child_of(h);
	bool known = spawn_reap(c, -1, io_now() + SPAWN_REAP_MS);
	bool killed = known && c->killed;

	h->status = known ? c->status : 0;
	if (killed)
		snprintf(h->note, sizeof(h->note), "killed by signal %d",
		    c->status);
	else if (h->status != 0)
		snprintf(h->note, sizeof(h->note), "exit status %d", c->status);
	else if (c->lost != 0)
		snprintf(h->note, sizeof(h->note), "reading it: %s",
		    strerror(c->lost));
	return (struct handler_fate){
		.headless = *c->exec_errno != 0 ? REASON_HANDLER_NOT_STARTED :
		    h->status != 0              ? REASON_HANDLER_DIED :
		    c->lost != 0                ? REASON_OVERLOADED :
						  REASON_HANDLER_BAD_ANSWER,
		.cut = killed || c->lost != 0 ? REASON_HANDLER_DIED : REASON_OK,
	};
}

static const struct handler_way way = {
	.give = way_give,
	.give_end = way_give_end,
	.flush = way_flush,
	.take = way_take,
	.stop = way_stop,
	.ended = way_ended,
	.fate = way_fate,
};

int
spawn_start(const struct spawn_command *c, int *exec_errno,
    struct spawn_child *out)
{
	struct pipes p;
	pid_t pid;

	if (pipes_open(&p, c->in == -1) == -1)
		return -1;
	*exec_errno = 0;
	pid = vfork();
	if (pid == 0)
		child_run(c, &p, exec_errno);
	if (pid == -1) {
		pipes_close(&p);
		return -1;
	}
	*out = (struct spawn_child){ .pid = pid,
		.h = { .way = &way,
		    .in = p.in[1],
		    .out = p.out[0],
		    .err = p.err[0],
		    .holds = PIPE_USUAL },
		.exec_errno = exec_errno };
	p.in[1] = p.out[0] = p.err[0] = -1;
	pipes_close(&p);
	return 0;
}

int
spawn_replace(const struct spawn_command *c)
{
	sigset_t none;

	sigemptyset(&none);
	if ((c->in == -1 || dup2(c->in, 0) != -1) &&
	    syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0 &&
	    chdir(c->dir) == 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0)
		execve(c->file, c->argv, c->vars);
	return errno;
}

/* Remembers how it ended, and forgets its number. */
static void
reaped(struct spawn_child *c, const siginfo_t *info)
{
	c->status = info->si_status;
	c->killed = info->si_code != CLD_EXITED;
	c->pid = 0;
}

bool
spawn_ended(const struct spawn_child *c)
{
	siginfo_t info = { .si_pid = 0 };

	if (c->pid == 0)
		return true;
	return waitid(P_PID, (id_t)c->pid, &info,
		   WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    info.si_pid != 0;
}

void
spawn_signal(const struct spawn_child *c, int signal)
{
	/* where vfork(2) is a fork(2), it may have no group yet */
	if (c->pid != 0 && kill(-c->pid, signal) == -1 && errno == ESRCH)
		kill(c->pid, signal);
}

static bool
reap_now(struct spawn_child *c)
{
	siginfo_t info = { .si_pid = 0 };
	int done;

	do {
		done = waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG);
	} while (done == -1 && errno == EINTR);
	if (done == -1) {
		/* somebody else's wait took it: there is no more to know */
		c->pid = 0;
		return true;
	}
	if (info.si_pid == 0)
		return false;
	reaped(c, &info);
	return true;
}

/* Waits for its end without reaping, so that its group keeps its number. */
static void
wait_end(const struct spawn_child *c, int wake, int64_t until)
{
	struct pollfd p[] = {
		{ .fd = (int)syscall(SYS_pidfd_open, c->pid, 0),
		    .events = POLLIN },
		{ .fd = wake, .events = POLLIN },
	};
	/* where no descriptor is left: look now and then */
	int64_t most = p[0].fd == -1 ? 10 : 60000;
	int64_t left;

	while ((left = until - io_now()) > 0 &&
	    poll(p, 2, (int)(left < most ? left : most)) <= 0 &&
	    !spawn_ended(c))
		;
	spawn_close(&p[0].fd);
}

bool
spawn_reap(struct spawn_child *c, int wake, int64_t until)
{
	if (c->pid == 0 || reap_now(c))
		return true;
	/* its pipes close a moment before it can be reaped: let that pass */
	sched_yield();
	if (reap_now(c))
		return true;
	wait_end(c, wake, until);
	return reap_now(c);
}

void
spawn_end(struct spawn_child *c, unsigned grace)
{
	spawn_close(&c->h.in);
	spawn_close(&c->h.out);
	spawn_close(&c->h.err);
	if (c->pid == 0)
		return;
	spawn_signal(c, SIGTERM);
	if (!spawn_ended(c))
		wait_end(c, -1, io_now() + (int64_t)grace * 1000);
	spawn_signal(c, SIGKILL);
	while (!spawn_reap(c, -1, io_now() + 60000))
		; /* in an uninterruptible sleep: its slot waits with it */
}
