/*
 * failing: a library for LD_PRELOAD in whose presence calls of libc fail, or
 * are cut short, as a file says that FAILING_PLAN names.  The file is mapped
 * by the tests too (tests/http/failing.py), so what fails can be changed while
 * the program runs.  Programs that it starts do not get the library.
 *
 * What the kernel never cuts short is not cut: a write of up to PIPE_BUF bytes
 * to a pipe, the last read of one that nobody writes to any more, and what is
 * no file, pipe or socket.  What only disks have to say, only files say.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RULES = 32, IOV_MOST = 16 };

/* One line of the plan; failing.py has the same layout. */
struct rule {
	char function[24];
	_Atomic uint32_t on; /* written last */
	uint32_t error;      /* 0: cut short */
	uint32_t first;      /* which call is the first one, from 1 */
	uint32_t every;      /* and which after it: each n-th; 0: no other */
	uint32_t chance;     /* in a million, instead of these two; 0: not so */
	uint32_t most;       /* bytes that a call cut short moves */
	_Atomic uint32_t calls, hits;
	_Atomic uint64_t dice; /* a seed at first */
};

static struct rule *plan;

/* The file may be shorter than the plan: then it says nothing. */
__attribute__((constructor)) static void
failing_open(void)
{
	const char *name = getenv("FAILING_PLAN");
	size_t size = RULES * sizeof(struct rule);
	struct stat st;
	void *p;
	int fd;

	if (name == NULL)
		return;
	fd = open(name, O_RDWR | O_CLOEXEC);
	if (fd == -1 || fstatat(fd, "", &st, AT_EMPTY_PATH) == -1 ||
	    st.st_size < (off_t)size) {
		fprintf(stderr, "failing: no plan in %s\n", name);
		_exit(99);
	}
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	unsetenv("LD_PRELOAD");
	unsetenv("FAILING_PLAN");
	plan = p == MAP_FAILED ? NULL : p;
}

/* xorshift64*: the same seed, the same calls (in one thread). */
static bool
roll(struct rule *r)
{
	uint64_t x = r->dice;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	r->dice = x;
	return (x * 0x2545F4914F6CDD1D >> 32) % 1000000 < r->chance;
}

static bool
is_due(struct rule *r)
{
	uint32_t call = atomic_fetch_add(&r->calls, 1) + 1;

	if (r->chance != 0)
		return roll(r);
	if (call < r->first)
		return false;
	return call == r->first ||
	    (r->every != 0 && (call - r->first) % r->every == 0);
}

/* The rule for this call, if it is to fail; safe in a child of vfork(2). */
static struct rule *
due(const char *function, bool cuts)
{
	for (size_t i = 0; plan != NULL && i < RULES; i++) {
		struct rule *r = &plan[i];

		if (r->on && (r->error == 0) == cuts &&
		    strcmp(r->function, function) == 0 && is_due(r)) {
			atomic_fetch_add(&r->hits, 1);
			return r;
		}
	}
	return NULL;
}

static bool
fails(const char *function)
{
	const struct rule *r = due(function, false);

	if (r != NULL)
		errno = (int)r->error;
	return r != NULL;
}

/* Does the kernel move these n bytes at once? */
static bool
is_whole(int fd, size_t n, bool out)
{
	struct pollfd p = { .fd = fd };
	struct stat st;

	if (fstatat(fd, "", &st, AT_EMPTY_PATH) == -1)
		return true;
	if (S_ISFIFO(st.st_mode))
		return out ? n <= PIPE_BUF :
			     ppoll(&p, 1, &(struct timespec){ 0 }, NULL) > 0;
	return (st.st_mode & S_IFMT) == 0;
}

static bool
is_file(int fd)
{
	struct stat st;

	return fstatat(fd, "", &st, AT_EMPTY_PATH) == 0 && S_ISREG(st.st_mode);
}

/* As fails(), of a function that moves bytes from or to fd. */
static bool
fails_at(const char *function, int fd)
{
	struct rule *r = NULL;
	int saved = errno;

	for (size_t i = 0; plan != NULL && i < RULES && r == NULL; i++)
		if (plan[i].on && strcmp(plan[i].function, function) == 0)
			r = &plan[i];
	if (r != NULL &&
	    (r->error == EIO || r->error == ENOSPC || r->error == EDQUOT) &&
	    !is_file(fd)) {
		errno = saved;
		return false;
	}
	return fails(function);
}

/* How many of n bytes a call may move. */
static size_t
cut(const char *function, int fd, size_t n, bool out)
{
	const struct rule *r;
	int saved = errno;

	if (n < 2 || plan == NULL || is_whole(fd, n, out)) {
		errno = saved;
		return n;
	}
	r = due(function, true);
	return r == NULL || r->most >= n ? n : r->most;
}

/*
 * libc's own `name` is call_name, found before a child of vfork(2) could want
 * it, and on the way where somebody is earlier still.
 */
#define FOUND(type, name, params)                                  \
	static type(*call_##name) params;                          \
                                                                   \
	__attribute__((constructor)) static void find_##name(void) \
	{                                                          \
		void *found = dlsym(RTLD_NEXT, #name);             \
                                                                   \
		memcpy(&call_##name, &found, sizeof(found));       \
	}                                                          \
                                                                   \
	static void known_##name(void)                             \
	{                                                          \
		if (call_##name == NULL)                           \
			find_##name();                             \
	}

/* A function of libc's that may fail with errno, and then returns failure. */
#define FAILING(type, name, failure, params, args)                  \
	FOUND(type, name, params)                                   \
	type name params                                            \
	{                                                           \
		known_##name();                                     \
		return fails(#name) ? (failure) : call_##name args; \
	}

/* One that may be cut short besides: n bytes at fd. */
#define CUT(name, fd, n, out, params, args) \
	FOUND(ssize_t, name, params)        \
	ssize_t name params                 \
	{                                   \
		known_##name();             \
		if (fails_at(#name, fd))    \
			return -1;          \
		n = cut(#name, fd, n, out); \
		return call_##name args;    \
	}

FAILING(int, accept4, -1, (int fd, __SOCKADDR_ARG a, socklen_t *n, int flags),
    (fd, a, n, flags))
FAILING(int, chdir, -1, (const char *dir), (dir))
FAILING(int, chmod, -1, (const char *file, mode_t mode), (file, mode))
FAILING(int, connect, -1, (int fd, __CONST_SOCKADDR_ARG a, socklen_t n),
    (fd, a, n))
FAILING(int, dup2, -1, (int old, int new), (old, new))
FAILING(int, dup3, -1, (int old, int new, int flags), (old, new, flags))
FAILING(int, epoll_create1, -1, (int flags), (flags))
FAILING(int, epoll_ctl, -1, (int set, int op, int fd, struct epoll_event *e),
    (set, op, fd, e))
FAILING(int, epoll_wait, -1, (int set, struct epoll_event *e, int most, int ms),
    (set, e, most, ms))
FAILING(int, eventfd, -1, (unsigned n, int flags), (n, flags))
FAILING(int, execve, -1,
    (const char *file, char *const argv[], char *const vars[]),
    (file, argv, vars))
FAILING(int, fchmod, -1, (int fd, mode_t mode), (fd, mode))
FAILING(FILE *, fopen, NULL, (const char *file, const char *mode), (file, mode))
FAILING(pid_t, fork, -1, (void), ())
FAILING(int, fstat, -1, (int fd, struct stat *st), (fd, st))
FAILING(int, fsync, -1, (int fd), (fd))
FAILING(int, getsockopt, -1,
    (int fd, int level, int name, void *p, socklen_t *n),
    (fd, level, name, p, n))
FAILING(int, kill, -1, (pid_t pid, int signal), (pid, signal))
FAILING(int, listen, -1, (int fd, int backlog), (fd, backlog))
FAILING(off_t, lseek, -1, (int fd, off_t to, int from), (fd, to, from))
FAILING(int, lstat, -1, (const char *file, struct stat *st), (file, st))
FAILING(int, memfd_create, -1, (const char *name, unsigned flags),
    (name, flags))
FAILING(void *, mmap, MAP_FAILED,
    (void *p, size_t n, int prot, int flags, int fd, off_t from),
    (p, n, prot, flags, fd, from))
FAILING(int, pipe2, -1, (int ends[2], int flags), (ends, flags))
FAILING(int, poll, -1, (struct pollfd * p, nfds_t n, int ms), (p, n, ms))
FAILING(int, pthread_create, errno,
    (pthread_t * t, const pthread_attr_t *a, void *(*run)(void *), void *arg),
    (t, a, run, arg))
FAILING(int, rename, -1, (const char *from, const char *to), (from, to))
FAILING(char *, realpath, NULL, (const char *file, char *path), (file, path))
FAILING(int, setpgid, -1, (pid_t pid, pid_t group), (pid, group))
FAILING(int, setsockopt, -1,
    (int fd, int level, int name, const void *p, socklen_t n),
    (fd, level, name, p, n))
FAILING(int, shutdown, -1, (int fd, int how), (fd, how))
FAILING(int, signalfd, -1, (int fd, const sigset_t *set, int flags),
    (fd, set, flags))
FAILING(int, socket, -1, (int family, int type, int protocol),
    (family, type, protocol))
FAILING(int, stat, -1, (const char *file, struct stat *st), (file, st))
FAILING(int, unlink, -1, (const char *file), (file))
FAILING(int, waitid, -1, (idtype_t kind, id_t id, siginfo_t *info, int how),
    (kind, id, info, how))

CUT(pread, fd, n, false, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
CUT(read, fd, n, false, (int fd, void *p, size_t n), (fd, p, n))
CUT(recv, fd, n, false, (int fd, void *p, size_t n, int flags),
    (fd, p, n, flags))
CUT(send, fd, n, true, (int fd, const void *p, size_t n, int flags),
    (fd, p, n, flags))
CUT(sendfile, fd, n, true, (int fd, int from, off_t *at, size_t n),
    (fd, from, at, n))
CUT(splice, fd, n, false,
    (int fd, off64_t *at, int to, off64_t *there, size_t n, unsigned how),
    (fd, at, to, there, n, how))
CUT(write, fd, n, true, (int fd, const void *p, size_t n), (fd, p, n))

/* The first n bytes of what lies in a few pieces. */
static size_t
shorten(const struct iovec from[], size_t pieces, size_t n,
    struct iovec to[IOV_MOST])
{
	size_t used = 0;

	for (; used < pieces && used < IOV_MOST && n > 0; used++) {
		to[used] = from[used];
		if (to[used].iov_len > n)
			to[used].iov_len = n;
		n -= to[used].iov_len;
	}
	return used;
}

static size_t
length(const struct iovec v[], size_t pieces)
{
	size_t n = 0;

	for (size_t i = 0; i < pieces; i++)
		n += v[i].iov_len;
	return n;
}

FOUND(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags))
ssize_t
sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct msghdr less = *m;
	struct iovec v[IOV_MOST];
	size_t all = length(m->msg_iov, m->msg_iovlen), n;

	known_sendmsg();
	if (fails_at("sendmsg", fd))
		return -1;
	n = cut("sendmsg", fd, all, true);
	if (n == all)
		return call_sendmsg(fd, m, flags);
	less.msg_iovlen = shorten(m->msg_iov, m->msg_iovlen, n, v);
	less.msg_iov = v;
	return call_sendmsg(fd, &less, flags);
}

FOUND(ssize_t, writev, (int fd, const struct iovec *v, int pieces))
ssize_t
writev(int fd, const struct iovec *v, int pieces)
{
	size_t all = length(v, (size_t)pieces), n;
	struct iovec less[IOV_MOST];

	known_writev();
	if (fails_at("writev", fd))
		return -1;
	n = cut("writev", fd, all, true);
	if (n == all)
		return call_writev(fd, v, pieces);
	return call_writev(fd, less, (int)shorten(v, (size_t)pieces, n, less));
}

/* open(2) and fcntl(2) may have one more argument. */
FOUND(int, open, (const char *file, int flags, ...))
int
open(const char *file, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	known_open();
	va_start(ap, flags);
	if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return fails("open") ? -1 : call_open(file, flags, mode);
}

FOUND(int, openat, (int dir, const char *file, int flags, ...))
int
openat(int dir, const char *file, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	known_openat();
	va_start(ap, flags);
	if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return fails("openat") ? -1 : call_openat(dir, file, flags, mode);
}

FOUND(int, fcntl, (int fd, int command, ...))
int
fcntl(int fd, int command, ...)
{
	void *arg;
	va_list ap;

	known_fcntl();
	va_start(ap, command);
	arg = va_arg(ap, void *);
	va_end(ap);
	return fails("fcntl") ? -1 : call_fcntl(fd, command, arg);
}

/* realpath(3) of a program that was compiled with _FORTIFY_SOURCE */
char *__realpath_chk(const char *file, char *path, size_t size);
FOUND(char *, __realpath_chk, (const char *file, char *path, size_t size))
char *
__realpath_chk(const char *file, char *path, size_t size)
{
	known___realpath_chk();
	return fails("realpath") ? NULL : call___realpath_chk(file, path, size);
}

/* Those that have no name in libc of Debian 12 go by syscall(2). */
FOUND(long, syscall, (long number, ...))
long
syscall(long number, ...)
{
	long a[6];
	va_list ap;

	known_syscall();
	va_start(ap, number);
	for (size_t i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if ((number == SYS_pidfd_open && fails("pidfd_open")) ||
	    (number == SYS_close_range && fails("close_range")) ||
	    (number == SYS_openat2 && fails("openat2")))
		return -1;
	return call_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/*
 * Its child must not come back through a frame of ours that the parent still
 * needs: so this call has to be the last thing, and a jump.
 */
FOUND(pid_t, vfork, (void))
#ifdef __clang__
#define JUMP __attribute__((musttail))
#else
#define JUMP
__attribute__((optimize("O2"), noinline))
#endif
pid_t
vfork(void)
{
	known_vfork();
	if (fails("vfork"))
		return -1;
	JUMP return call_vfork();
}
