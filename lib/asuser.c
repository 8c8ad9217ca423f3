#include "asuser.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "forward.h"
#include "io.h"
#include "users.h"

enum { CONNECT_MS = 500 };

bool
asuser_can(const struct asuser *u)
{
	return geteuid() == 0 || geteuid() == u->uid;
}

/* 0, or errno. */
static int
try_access(const char *path, int mode)
{
	return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0 ? 0 : errno;
}

static int
try_directory(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path) + 1;

	if (n >= sizeof(dir))
		return ENAMETOOLONG;
	memcpy(dir, path, n);
	dir[n] = '\0';
	return try_access(n == 0 ? "." : dir, W_OK | X_OK);
}

static int
try_write(const char *path)
{
	int error = try_access(path, W_OK);

	return error == ENOENT ? try_directory(path) : error;
}

static void
answer(struct asuser_question *q, int64_t until)
{
	const char *fault;
	int error = 0;

	switch (q->what) {
	case ASUSER_READ:
		error = try_access(q->path, R_OK);
		break;
	case ASUSER_EXECUTE:
		error = try_access(q->path, X_OK);
		break;
	case ASUSER_WRITE:
		error = try_write(q->path);
		break;
	case ASUSER_REPLACE:
		error = try_directory(q->path);
		break;
	case ASUSER_CONNECT:
		fault = forward_fault(q->path, until);
		snprintf(q->fault, sizeof(q->fault), "%s",
		    fault == NULL ? "" : fault);
		return;
	}
	snprintf(q->fault, sizeof(q->fault), "%s",
	    error == 0 ? "" : strerror(error));
}

static void
answer_all(struct asuser_question q[], size_t n)
{
	int64_t until = io_now() + CONNECT_MS;

	for (size_t i = 0; i < n; i++)
		answer(&q[i], until);
}

static bool
become(const struct asuser *u)
{
	int groups = u->name != NULL ? users_enter_groups(u->uid, u->gid) :
				       setgroups(1, &u->gid);

	return groups == 0 && setresgid(u->gid, u->gid, u->gid) == 0 &&
	    setresuid(u->uid, u->uid, u->uid) == 0;
}

static bool
write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done == -1 && errno == EINTR)
			continue;
		if (done == -1)
			return false;
		p += done;
		n -= (size_t)done;
	}
	return true;
}

static bool
read_all(int fd, char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = read(fd, p, n);

		if (done == -1 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		p += done;
		n -= (size_t)done;
	}
	return true;
}

/* The whole life of the other process. */
_Noreturn static void
be(const struct asuser *u, int fd, struct asuser_question q[], size_t n)
{
	int error = become(u) ? 0 : errno;

	if (error == 0)
		answer_all(q, n);
	if (write_all(fd, (const char *)&error, sizeof(error)))
		write_all(fd, (const char *)q, n * sizeof(*q));
	_exit(0);
}

/* Answers are read over the questions: `path` is the same in both. */
static bool
hear(int fd, struct asuser_question q[], size_t n)
{
	int error;

	if (!read_all(fd, (char *)&error, sizeof(error))) {
		errno = EIO;
		return false;
	}
	if (error != 0) {
		errno = error;
		return false;
	}
	errno = EIO;
	return read_all(fd, (char *)q, n * sizeof(*q));
}

static void
reap(pid_t pid)
{
	int error = errno;

	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		;
	errno = error;
}

bool
asuser_ask(const struct asuser *u, struct asuser_question q[], size_t n)
{
	int fd[2];
	bool good;
	pid_t pid;

	if (geteuid() == u->uid) {
		answer_all(q, n);
		return true;
	}
	if (pipe2(fd, O_CLOEXEC) == -1)
		return false;
	pid = fork();
	if (pid == 0)
		be(u, fd[1], q, n);
	close(fd[1]);
	good = pid != -1 && hear(fd[0], q, n);
	close(fd[0]);
	if (pid != -1)
		reap(pid);
	return good;
}
