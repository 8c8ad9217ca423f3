#include "probe_progress.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"

#define ERASE "\r\033[K"

static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
enum { ENDS = sizeof(ends) / sizeof(ends[0]) };
static struct sigaction before[ENDS];

/* One line of one terminal: a program has no second one. */
static struct {
	volatile sig_atomic_t shown;
	const char *name;
	size_t i, n;
	int64_t since, seconds;
} line;

/* Nothing but what a signal may interrupt. */
static void
say(const char *text, size_t n)
{
	/* there is nobody to be told of a failure */
	if (write(STDERR_FILENO, text, n) == -1)
		return;
}

static void
on_end(int number)
{
	static const char erase[] = ERASE;
	static const char said[] = "amp-cors probe: interrupted\n";

	if (line.shown)
		say(erase, sizeof(erase) - 1);
	say(said, sizeof(said) - 1);
	/* SA_RESETHAND: this one is not caught any more */
	raise(number);
}

static bool
on_terminal(void)
{
	const char *term = getenv("TERM");

	return term != NULL && *term != '\0' && strcmp(term, "dumb") != 0 &&
	    isatty(STDERR_FILENO);
}

void
probe_progress_open(void)
{
	struct sigaction sa = { .sa_flags = SA_RESETHAND };

	sa.sa_handler = on_end;
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < ENDS; i++) {
		sigaction(ends[i], NULL, &before[i]);
		/* nohup(1), or a job in the background */
		if (before[i].sa_handler != SIG_IGN)
			sigaction(ends[i], &sa, NULL);
	}
	line.shown = on_terminal();
}

static void
show(void)
{
	fprintf(stderr, ERASE "[%zu/%zu] %s", line.i, line.n, line.name);
	if (line.seconds > 0)
		fprintf(stderr, ", %lld s", (long long)line.seconds);
	fflush(stderr);
}

void
probe_progress_at(const char *name, size_t i, size_t n)
{
	line.name = name;
	line.i = i;
	line.n = n;
	line.since = io_now();
	line.seconds = 0;
	if (line.shown)
		show();
}

void
probe_progress_tick(void)
{
	int64_t seconds = (io_now() - line.since) / 1000;

	if (!line.shown || seconds == line.seconds)
		return;
	line.seconds = seconds;
	show();
}

void
probe_progress_close(void)
{
	for (size_t i = 0; i < ENDS; i++)
		sigaction(ends[i], &before[i], NULL);
	if (line.shown)
		fputs(ERASE, stderr);
	line.shown = false;
	fflush(stderr);
}
