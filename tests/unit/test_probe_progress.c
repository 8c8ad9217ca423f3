/*
 * probe_progress: a line on a terminal and nothing anywhere else, which also
 * the signals erase.
 */
#include "probe_progress.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define ERASE "\r\033[K"

/* What a child says on its standard error, and how it ended. */
struct heard {
	char text[512];
	int status;
};

static void
play(int number)
{
	probe_progress_open();
	probe_progress_at("one", 1, 2);
	probe_progress_tick();
	if (number != 0)
		raise(number);
	probe_progress_at("two", 2, 2);
	probe_progress_close();
	raise(SIGCONT); /* of no effect */
	_exit(3);
}

/* The other side of a pseudo terminal; it must stay open until all is read. */
static int
open_terminal(int *slave)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY);

	if (fd == -1 || grantpt(fd) == -1 || unlockpt(fd) == -1)
		exit(1);
	*slave = open(ptsname(fd), O_RDWR | O_NOCTTY);
	return fd;
}

static struct heard
hear(bool terminal, const char *term, int number, void (*before)(void))
{
	struct heard h = { "", 0 };
	int fds[2], from;
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	if (terminal)
		fds[0] = open_terminal(&fds[1]);
	else if (pipe(fds) == -1)
		exit(1);
	from = fds[0];
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		close(from);
		term == NULL ? unsetenv("TERM") : setenv("TERM", term, 1);
		if (before != NULL)
			before();
		play(number);
	}
	close(fds[1]);
	while (n < sizeof(h.text) - 1 &&
	    (got = read(from, h.text + n, sizeof(h.text) - 1 - n)) > 0)
		n += (size_t)got;
	h.text[n] = '\0';
	close(from);
	if (waitpid(pid, &h.status, 0) != pid)
		exit(1);
	return h;
}

static void
ignore(void)
{
	signal(SIGHUP, SIG_IGN);
}

static void
test_line(void)
{
	struct heard h = hear(true, "xterm", 0, NULL);

	is_span(span_of(h.text), ERASE "[1/2] one" ERASE "[2/2] two" ERASE,
	    "on a terminal");
	ok(WIFEXITED(h.status) && WEXITSTATUS(h.status) == 3, "… to its end");
	is_span(span_of(hear(true, "dumb", 0, NULL).text), "", "a dumb one");
	is_span(span_of(hear(true, NULL, 0, NULL).text), "", "an unknown one");
	is_span(span_of(hear(false, "xterm", 0, NULL).text), "", "a pipe");
}

static void
test_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct heard h;

	for (size_t i = 0; i < 3; i++) {
		h = hear(true, "xterm", numbers[i], NULL);
		is_span(span_of(h.text),
		    ERASE "[1/2] one" ERASE "amp-cors probe: interrupted\r\n",
		    "a signal erases the line");
		ok(WIFSIGNALED(h.status) && WTERMSIG(h.status) == numbers[i],
		    "… and ends the program");
	}
	h = hear(false, "xterm", SIGINT, NULL);
	is_span(span_of(h.text), "amp-cors probe: interrupted\n",
	    "a signal, and a pipe");
	h = hear(false, "xterm", SIGHUP, ignore);
	ok(WIFEXITED(h.status) && WEXITSTATUS(h.status) == 3,
	    "what was ignored stays so");
}

int
main(void)
{
	test_line();
	test_signals();
	return tap_done();
}
