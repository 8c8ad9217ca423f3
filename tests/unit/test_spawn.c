/*
 * spawn: what a child is given, what becomes of one that cannot be executed,
 * and how one ends.
 */
#include "spawn.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>

#include "buf.h"
#include "folder.h"
#include "io.h"
#include "tap.h"
#include "valgrind.h"

static int *cells;

/* Long enough for any machine; a test that waits for it has failed. */
enum { LONG = 60000 };

static struct spawn_command
command(const char *file)
{
	static char *argv[4], name[] = "name", *vars[] = { NULL, NULL };
	static char var[] = "A=b";
	struct spawn_command c = { .file = file,
		.argv = argv,
		.vars = vars,
		.dir = folder,
		.in = -1 };

	argv[0] = name;
	argv[1] = argv[2] = NULL;
	vars[0] = var;
	return c;
}

/* /bin/sh with these words. */
static struct spawn_command
shell(const char *words)
{
	static char text[4096], option[] = "-c";
	struct spawn_command c = command("/bin/sh");
	char **argv = (char **)c.argv;

	snprintf(text, sizeof(text), "%s", words);
	argv[1] = option;
	argv[2] = text;
	argv[3] = NULL;
	return c;
}

static struct spawn_child
start(const struct spawn_command *c)
{
	struct spawn_child child;

	if (spawn_start(c, &cells[1], &child) == -1) {
		printf("Bail out! spawn_start: %s\n", strerror(errno));
		exit(1);
	}
	return child;
}

/* All that comes, to the end, as a string that the next call overwrites. */
static const char *
read_all(int fd)
{
	static char text[1 << 16];
	size_t used = 0;
	ssize_t n;

	while ((n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)n;
	text[used] = '\0';
	return text;
}

/* What it writes, and it is gone. */
static const char *
output(const struct spawn_command *c)
{
	struct spawn_child child = start(c);
	const char *text;

	spawn_close(&child.h.in);
	text = read_all(child.h.out);
	spawn_reap(&child, -1, io_now() + LONG);
	spawn_end(&child, 1);
	return text;
}

static unsigned
descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void
test_pipes(void)
{
	struct spawn_command c = shell("cat; echo err >&2; echo $0 $A; pwd");
	struct spawn_child child = start(&c);
	char want[PATH_MAX + 32];

	ok(child.pid > 0 && child.h.in > 2 && child.h.out > 2 &&
		child.h.err > 2 && child.exec_errno == &cells[1],
	    "a child and three pipes");
	ok((fcntl(child.h.in, F_GETFD) & fcntl(child.h.out, F_GETFD) &
	       fcntl(child.h.err, F_GETFD) & FD_CLOEXEC) != 0,
	    "… closed on exec");
	ok((fcntl(child.h.in, F_GETFL) & O_NONBLOCK) != 0,
	    "its input does not wait");
	ok(write(child.h.in, "in\n", 3) == 3, "some input");
	spawn_close(&child.h.in);
	ok(child.h.in == -1, "… and its end");
	spawn_close(&child.h.in);
	snprintf(want, sizeof(want), "in\nname b\n%s\n", folder);
	is_span(span_of(read_all(child.h.out)), want,
	    "its arguments, variables and folder");
	is_span(span_of(read_all(child.h.err)), "err\n", "its standard error");
	ok(spawn_reap(&child, -1, io_now() + LONG) && child.pid == 0 &&
		child.status == 0 && !child.killed && cells[1] == 0,
	    "it has ended");
	ok(spawn_ended(&child) && spawn_reap(&child, -1, 0), "… for good");
	spawn_end(&child, 1);
	ok(child.h.out == -1 && child.h.err == -1, "all is closed");
}

static void
test_input(void)
{
	struct spawn_command c = shell("cat; cat /dev/stdin");
	struct spawn_child child;

	c.in = open(folder_file("input", "text", 0600), O_RDONLY | O_CLOEXEC);
	child = start(&c);
	ok(child.h.in == -1, "no pipe where the input is given");
	is_span(span_of(read_all(child.h.out)), "texttext",
	    "… but what was given, under its name too (E69)");
	spawn_reap(&child, -1, io_now() + LONG);
	spawn_end(&child, 1);
	ok(fcntl(c.in, F_GETFD) != -1, "which stays the caller's");
	close(c.in);
}

/* As much as it says at once, of a program that says so many bytes. */
static size_t
take_once(struct spawn_child *child, size_t want)
{
	static char room[300000];
	struct span bytes = { NULL, 0 };
	int n = 0;

	while (ioctl(child->h.out, FIONREAD, &n) == 0 && (size_t)n < want)
		sched_yield();
	ok(child->h.way->take(&child->h, room, sizeof(room), &bytes) ==
		HANDLER_BYTES,
	    "its output");
	return bytes.n;
}

/* Who says much gets a pipe that holds more. */
static void
test_wide(void)
{
	struct spawn_command c = shell("exec head -c 1000000 /dev/zero");
	struct spawn_child child = start(&c);
	int usual = fcntl(child.h.out, F_GETPIPE_SZ), wide;

	ok(take_once(&child, (size_t)usual) == (size_t)usual, "a full pipe");
	wide = fcntl(child.h.out, F_GETPIPE_SZ);
	ok((wide > usual || usual > 65536) && child.h.holds == (size_t)wide &&
		take_once(&child, (size_t)wide) == (size_t)wide,
	    "… and then a larger one, and full again");
	spawn_end(&child, 0);
	c = shell("head -c 1000 /dev/zero; read x");
	child = start(&c);
	ok(take_once(&child, 1000) == 1000 &&
		fcntl(child.h.out, F_GETPIPE_SZ) == usual,
	    "one that says little keeps its own");
	spawn_end(&child, 0);
}

/* E72: also those that were opened without close-on-exec. */
static void
test_descriptors(void)
{
	struct spawn_command c =
	    shell("for f in 0 1 2 3 4 5 6 7 8 9 200; do "
		  "if [ -e /proc/$$/fd/$f ]; then echo $f; fi; done");
	int leak = open("/dev/null", O_RDONLY), high = dup2(leak, 200);

	is_span(span_of(output(&c)), "0\n1\n2\n",
	    "no descriptor but 0, 1 and 2");
	close(leak);
	close(high);
}

static void
nothing(int signal)
{
	(void)signal;
}

/*
 * glibc's posix_spawn(3), as of make, leaves glibc's own signals 32 and 33
 * ignored, and sigaction(2) changes neither: they prove nothing.
 */
static const char *
less_libc(const char *masks)
{
	static char text[200];
	char *ignored;

	snprintf(text, sizeof(text), "%s", masks);
	ignored = strstr(text, "SigIgn:\t");
	if (ignored != NULL && strlen(ignored) > 16)
		/* bits 31 and 32 of 16 hex digits */
		memset(ignored + strlen("SigIgn:\t") + 7, '0', 2);
	return text;
}

/* E73: handlers of ours and our mask are not the child's. */
static void
test_signals(void)
{
	struct spawn_command c = command("/bin/grep");
	char pattern[] = "^Sig[BI]", file[] = "/proc/self/status";
	char **argv = (char **)c.argv;
	sigset_t all, old, now;

	argv[1] = pattern;
	argv[2] = file;
	argv[3] = NULL;
	signal(SIGUSR1, nothing);
	signal(SIGPIPE, nothing);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	is_span(span_of(less_libc(output(&c))),
	    "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n",
	    "no signal is blocked or ignored");
	sigprocmask(SIG_SETMASK, &old, &now);
	ok(sigismember(&now, SIGTERM) == 1 && sigismember(&now, SIGUSR1) == 1,
	    "our own mask is as before");
	signal(SIGUSR1, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	output(&c);
	sigprocmask(SIG_SETMASK, NULL, &now);
	ok(sigismember(&now, SIGTERM) == 0, "… an empty one, too");
}

static void
test_group(void)
{
	struct spawn_command c = shell("echo; read x");
	struct spawn_child child = start(&c);
	char byte;

	ok(read(child.h.out, &byte, 1) == 1 &&
		getpgid(child.pid) == child.pid && getpgid(0) != child.pid,
	    "its own process group");
	spawn_end(&child, 1);
}

/* --- what cannot be executed --- */

static void
test_exec_fault(const char *file, const char *dir, int want, const char *name)
{
	struct spawn_command c = command(file);
	struct spawn_child child;
	char byte;

	c.dir = dir;
	child = start(&c);
	ok(read(child.h.out, &byte, 1) == 0 &&
		spawn_reap(&child, -1, io_now() + LONG) &&
		*child.exec_errno == want,
	    "%s: %s", name, strerror(want));
	ok(child.status == 127 && !child.killed, "… exit status 127");
	spawn_end(&child, 1);
}

static void
test_exec_faults(void)
{
	static char nul[] = "\177ELF", crlf[] = "#!/bin/sh\r\necho\r\n";

	folder_file("plain", "#!/bin/sh\n", 0644);
	folder_file("empty", "", 0755);
	folder_file("elf", nul, 0755);
	folder_file("crlf", crlf, 0755);
	folder_file("interpreter", "#!/no/such\n", 0755);
	test_exec_fault(in_folder("none"), folder, ENOENT, "no file");
	test_exec_fault(in_folder("plain"), folder, EACCES, "not executable");
	test_exec_fault(folder, folder, EACCES, "a folder");
	test_exec_fault(in_folder("empty"), folder, ENOEXEC, "no format");
	test_exec_fault(in_folder("elf"), folder, ENOEXEC, "a broken one");
	if (!under_valgrind()) { /* which dies of it */
		test_exec_fault(in_folder("crlf"), folder, ENOENT,
		    "CRLF (E26)");
		test_exec_fault(in_folder("interpreter"), folder, ENOENT,
		    "no interpreter");
	}
	test_exec_fault("/bin/true", in_folder("none"), ENOENT, "no folder");
	test_exec_fault("/bin/true", in_folder("plain"), ENOTDIR,
	    "a file for a folder");
}

/* A cell is set anew by each start. */
static void
test_cell(void)
{
	struct spawn_command c = command(in_folder("none"));
	struct spawn_child child = start(&c);

	spawn_reap(&child, -1, io_now() + LONG);
	spawn_end(&child, 1);
	ok(cells[1] == ENOENT && cells[0] == 0 && cells[2] == 0,
	    "its own cell alone is set");
	c = command("/bin/true");
	child = start(&c);
	spawn_reap(&child, -1, io_now() + LONG);
	ok(cells[1] == 0, "… and cleared by the next one");
	spawn_end(&child, 1);
}

/* E81 */
static void
test_no_descriptors(void)
{
	struct spawn_command c = command("/bin/true");
	struct spawn_child child;
	struct rlimit old, none;
	unsigned before = descriptors(), after;

	getrlimit(RLIMIT_NOFILE, &old);
	for (rlim_t room = 0; room < 6; room++) {
		int free_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		int result, error;

		close(free_fd);
		none = (struct rlimit){ (rlim_t)free_fd + room, old.rlim_max };
		setrlimit(RLIMIT_NOFILE, &none);
		errno = 0;
		result = spawn_start(&c, &cells[1], &child);
		error = errno;
		setrlimit(RLIMIT_NOFILE, &old);
		after = descriptors();
		ok(result == -1 && error == EMFILE && after == before,
		    "room for %u descriptors: none is lost", (unsigned)room);
	}
}

/* --- its end --- */

static void
test_status(void)
{
	struct spawn_command c = shell("exit 7");
	struct spawn_child child = start(&c);

	ok(spawn_reap(&child, -1, io_now() + LONG) && child.status == 7 &&
		!child.killed,
	    "an exit status");
	spawn_end(&child, 1);
	c = shell("kill -9 $$");
	child = start(&c);
	ok(spawn_reap(&child, -1, io_now() + LONG) && child.status == SIGKILL &&
		child.killed,
	    "a signal");
	spawn_end(&child, 1);
}

/* What was read before is no whole answer. */
static void
test_unreadable(void)
{
	struct spawn_command c = shell("exit 0");
	struct spawn_child child = start(&c);
	struct handler_fate fate;
	char room[16];
	struct span bytes;

	spawn_close(&child.h.out);
	child.h.out = open(folder, O_RDONLY | O_CLOEXEC); /* EISDIR */
	ok(child.h.way->take(&child.h, room, sizeof(room), &bytes) ==
		HANDLER_END,
	    "an output that cannot be read ends");
	fate = child.h.way->fate(&child.h);
	ok(fate.cut == REASON_HANDLER_DIED &&
		fate.headless == REASON_OVERLOADED &&
		strcmp(child.h.note, "reading it: Is a directory") == 0,
	    "… and is cut there, although the handler ended in order");
	spawn_end(&child, 0);
}

static void
test_ended(void)
{
	struct spawn_command c = shell("read x; exit 3");
	struct spawn_child child = start(&c);
	int wake = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pid_t pid = child.pid;

	ok(!spawn_ended(&child) && !spawn_reap(&child, -1, io_now() + 20) &&
		child.pid == pid,
	    "one that still runs");
	ok(!spawn_reap(&child, wake, io_now() + LONG) && child.pid == pid,
	    "… and is not waited for when there is something else");
	close(wake);
	spawn_close(&child.h.in);
	while (!spawn_ended(&child))
		poll(NULL, 0, 1);
	ok(kill(pid, 0) == 0 && child.pid == pid, "it ended: still a zombie");
	spawn_signal(&child, SIGTERM);
	ok(spawn_reap(&child, -1, 0) && child.status == 3,
	    "… until it is reaped");
	errno = 0;
	ok(waitpid(pid, NULL, WNOHANG) == -1 && errno == ECHILD,
	    "nothing is left of it");
	spawn_signal(&child, SIGTERM);
	spawn_end(&child, 1);
}

/* Is no process of this group left, once what ended has been waited for? */
static bool
is_empty_group(pid_t group)
{
	while (waitpid(-group, NULL, 0) != -1)
		;
	errno = 0;
	return kill(-group, 0) == -1 && errno == ESRCH;
}

static void
test_term(void)
{
	struct spawn_command c = shell("trap 'echo told >told; exit 0' TERM; "
				       "sleep 300 & echo; wait");
	struct spawn_child child;
	int64_t before = io_now();
	char byte;

	child = start(&c);
	ok(read(child.h.out, &byte, 1) == 1, "one that ends in order");
	spawn_end(&child, 50);
	ok(child.pid == 0 && child.status == 0 && !child.killed &&
		strcmp(folder_text("told"), "told\n") == 0,
	    "it is told to, and not killed");
	ok(io_now() - before < 40000, "nothing waits longer than it must");
}

static void
test_kill(void)
{
	struct spawn_command c = shell("trap '' TERM; (echo; exec sleep 300)& "
				       "echo; wait; sleep 300");
	struct spawn_child child = start(&c);
	pid_t group = child.pid;
	int64_t before;
	char bytes[2];

	ok(read(child.h.out, bytes, 1) == 1 && read(child.h.out, bytes, 1) == 1,
	    "one that does not listen, nor does its child (E76)");
	before = io_now();
	spawn_end(&child, 1);
	ok(io_now() - before >= 1000 && child.killed &&
		child.status == SIGKILL && child.pid == 0,
	    "it is killed when its time is over");
	ok(is_empty_group(group), "… and all of its group with it");
	ok(child.h.in == -1 && child.h.out == -1 && child.h.err == -1,
	    "its pipes are closed");
}

/* The leader ends at TERM, what it left behind does not. */
static void
test_left_behind(void)
{
	struct spawn_command c = shell("(trap '' TERM; echo; sleep 300)& "
				       "echo; wait");
	struct spawn_child child = start(&c);
	pid_t group = child.pid;
	char byte;

	ok(read(child.h.out, &byte, 1) == 1 && read(child.h.out, &byte, 1) == 1,
	    "one with a child that does not listen");
	spawn_end(&child, 50);
	ok(child.killed && child.status == SIGTERM, "the leader is told");
	ok(is_empty_group(group), "… and the child is killed");
	spawn_end(&child, 1);
	ok(child.pid == 0, "a second end does no harm");
}

/* An ordinary end leaves children alive. */
static void
test_background(void)
{
	struct spawn_command c =
	    shell("sleep 300 </dev/null >/dev/null 2>&1 & echo $!");
	struct spawn_child child = start(&c);
	pid_t pid = (pid_t)atoi(read_all(child.h.out));

	ok(pid > 1 && spawn_reap(&child, -1, io_now() + LONG), "it has ended");
	spawn_end(&child, 1);
	ok(kill(pid, 0) == 0, "its background child lives on");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Without a descriptor for it, the end is found all the same. */
static void
test_reap_no_descriptors(void)
{
	struct spawn_command c = shell("sleep 0.05; exit 5");
	struct spawn_child child = start(&c);
	struct rlimit old, none;

	getrlimit(RLIMIT_NOFILE, &old);
	none = (struct rlimit){ 3, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	ok(spawn_reap(&child, -1, io_now() + LONG) && child.status == 5,
	    "one is reaped without a descriptor (E81)");
	setrlimit(RLIMIT_NOFILE, &old);
	spawn_end(&child, 1);
}

/* --- becoming it --- */

static void
test_replace(void)
{
	struct spawn_command c =
	    shell("cat; echo $A; pwd; for f in 0 1 2 3 4 5 6 7 8 9 200; do "
		  "if [ -e /proc/$$/fd/$f ]; then echo $f; fi; done");
	char want[PATH_MAX + 64];
	sigset_t all;
	int fd[2];
	pid_t pid;

	c.in = open(in_folder("input"), O_RDONLY | O_CLOEXEC);
	if (pipe2(fd, O_CLOEXEC) == -1)
		bail();
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		dup2(fd[1], 1);
		dup2(fd[1], 200);
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		_exit(spawn_replace(&c));
	}
	close(fd[1]);
	snprintf(want, sizeof(want), "textb\n%s\n0\n1\n2\n", folder);
	is_span(span_of(read_all(fd[0])), want, "a process becomes it");
	close(fd[0]);
	waitpid(pid, NULL, 0);
	close(c.in);
}

static void
test_replace_fault(void)
{
	struct spawn_command c = command(in_folder("none"));
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(spawn_replace(&c));
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == ENOENT,
	    "… or does not, and goes on");
}

int
main(void)
{
	unsigned before;

	folder_make();
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* to see what becomes of orphans */
	cells = spawn_cells(3);
	ok(cells != NULL && cells[0] == 0 && cells[2] == 0, "cells");
	before = descriptors();
	test_pipes();
	test_input();
	test_wide();
	test_descriptors();
	test_signals();
	test_group();
	test_exec_faults();
	test_cell();
	test_no_descriptors();
	test_status();
	test_unreadable();
	test_ended();
	test_term();
	test_kill();
	test_left_behind();
	test_background();
	test_reap_no_descriptors();
	test_replace();
	test_replace_fault();
	ok(descriptors() == before, "no descriptor is left open");
	while (waitpid(-1, NULL, 0) != -1)
		; /* orphans that have been killed */
	ok(errno == ECHILD, "no process is left");
	spawn_cells_free(cells, 3);
	spawn_cells_free(NULL, 3);
	folder_remove();
	return tap_done();
}
