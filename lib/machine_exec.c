#include "machine_exec.h"

#include <sys/stat.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target.h"

enum { FIRST_LINE = 256 }; /* as much as the kernel looks at */

#define FRONT "/amp-cors-cgi"

/* --- the front as its own handler */

static bool
is_same(const char *path, const struct stat *st)
{
	struct stat other;

	return stat(path, &other) == 0 && other.st_dev == st->st_dev &&
	    other.st_ino == st->st_ino;
}

/* Is it the front that stands in this directory? */
static bool
is_front_of(struct span dir, const struct stat *st)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%.*s" FRONT, (int)dir.n, dir.p);

	return n > 0 && (size_t)n < sizeof(path) && is_same(path, st);
}

/* The one beside this program, or one that PATH knows. */
static bool
is_front(const char *path)
{
	struct span rest = span_of(getenv("PATH")), dir;
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self));
	const char *slash = n <= 0 ? NULL : memrchr(self, '/', (size_t)n);
	struct stat st;

	if (stat(path, &st) == -1)
		return false;
	if (slash != NULL &&
	    is_front_of((struct span){ self, (size_t)(slash - self) }, &st))
		return true;
	while (span_cut(&rest, ':', &dir))
		if (dir.n > 0 && is_front_of(dir, &st))
			return true;
	return false;
}

static bool
say_loop(struct remark *r, struct remark_at at, const char *program,
    const char *what)
{
	remark_say(r, REMARK_ERROR, FAULT_HANDLER_LOOP, at,
	    "name the program that answers the requests",
	    "exec = %s %s the front itself", program, what);
	return false;
}

/* --- its first line */

static bool
read_first_line(const char *program, char line[FIRST_LINE])
{
	int fd = open(program, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n;

	if (fd == -1)
		return false; /* it may be executed all the same */
	n = read(fd, line, FIRST_LINE - 1);
	close(fd);
	if (n <= 0)
		return false;
	line[n] = '\0';
	return true;
}

/* Cuts the interpreter's path out of a line that begins with "#!". */
static const char *
interpreter_of(char line[FIRST_LINE])
{
	char *begin = line + 2 + strspn(line + 2, " \t");

	begin[strcspn(begin, " \t\n")] = '\0';
	return begin;
}

static bool
check_interpreter(struct remark *r, struct remark_at at, const char *program,
    const char *interpreter)
{
	const char *fault = target_fault(interpreter);
	size_t n = strlen(interpreter);

	if (*interpreter != '/')
		return true; /* of the handler's own directory, or none */
	if (fault == NULL && is_front(interpreter))
		return say_loop(r, at, program, "is run by");
	if (fault == NULL)
		return true;
	remark_say(r, REMARK_ERROR, FAULT_BAD_HANDLER, at,
	    interpreter[n - 1] == '\r' ?
		"end its lines with LF alone" :
		"write an interpreter into its first line that is there",
	    "exec = %s: its interpreter %s %s", program, interpreter, fault);
	return false;
}

static bool
check_first_line(struct remark *r, struct remark_at at, const char *program)
{
	char line[FIRST_LINE];

	if (!read_first_line(program, line))
		return true;
	if (strncmp(line, "#!", 2) == 0)
		return check_interpreter(r, at, program, interpreter_of(line));
	/* other formats can be made known to the kernel */
	if (strncmp(line, "\177ELF", 4) != 0)
		remark_say(r, REMARK_WARNING, FAULT_BAD_HANDLER, at,
		    "write #! and an interpreter into its first line",
		    "exec = %s is no program, and names no interpreter",
		    program);
	return true;
}

bool
machine_exec(struct remark *r, struct remark_at at, const char *program)
{
	const char *fault = target_fault(program);

	if (fault != NULL) {
		remark_say(r, REMARK_ERROR, FAULT_BAD_HANDLER, at,
		    "name a program that is there and can be executed",
		    "exec = %s %s", program, fault);
		return false;
	}
	machine_exec_writable(r, at, "exec", program);
	if (is_front(program))
		return say_loop(r, at, program, "is");
	return check_first_line(r, at, program);
}

/* --- who could change it */

/* The file is named by the message's place, or by the key that has it. */
static void
say_writable(struct remark *r, struct remark_at at, const char *key,
    const char *path, const char *what)
{
	if (key == NULL)
		remark_say(r, REMARK_WARNING, FAULT_WRITABLE, at, "chmod go-w",
		    "%s", what);
	else
		remark_say(r, REMARK_WARNING, FAULT_WRITABLE, at, "chmod go-w",
		    "%s = %s is %s", key, path, what);
}

void
machine_exec_parents(struct remark *r, struct remark_at at, const char *key,
    const char *path)
{
	char *real = realpath(path, NULL), *slash, what[512];
	struct stat st;

	while (real != NULL && (slash = strrchr(real, '/')) > real) {
		*slash = '\0';
		/* in a sticky one everybody can exchange his own alone */
		if (stat(real, &st) == -1 || (st.st_mode & S_IWOTH) == 0 ||
		    (st.st_mode & S_ISVTX) != 0)
			continue;
		snprintf(what, sizeof(what),
		    "below %s, which everybody can write", real);
		say_writable(r, at, key, path, what);
		break;
	}
	free(real);
}

void
machine_exec_writable(struct remark *r, struct remark_at at, const char *key,
    const char *path)
{
	struct stat st;
	mode_t bad;

	if (stat(path, &st) == -1)
		return;
	/* a directory is for those who bring the scripts, too */
	bad = st.st_mode & (S_ISDIR(st.st_mode) ? S_IWOTH : S_IWOTH | S_IWGRP);
	if (bad == 0)
		machine_exec_parents(r, at, key, path);
	else
		say_writable(r, at, key, path,
		    (bad & S_IWOTH) != 0 ? "writable by everybody" :
					   "writable by its group");
}
