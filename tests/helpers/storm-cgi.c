/*
 * storm-cgi: a CGI program that says which request it has answered, by the
 * field X-Id of that request; and what else is asked of it in X-What:
 *	slow		only after a moment
 *	large		with 64 KiB of lines, each of which says so
 *	die-before die-head die-body
 *			it is killed before or in its header block, or behind
 *			a body that may go on
 *	die-sized	it is killed behind a body whose length it has said
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *id, *what;

static int
is(const char *name)
{
	return strcmp(what, name) == 0;
}

static void
die(void)
{
	fflush(stdout);
	kill(getpid(), SIGKILL);
	pause();
}

/* The body of the request, which goes back as it came. */
static void
give_back(void)
{
	char bytes[4096];
	size_t n;

	while ((n = fread(bytes, 1, sizeof(bytes), stdin)) > 0)
		fwrite(bytes, 1, n, stdout);
}

static void
lines(int n)
{
	for (int i = 0; i < n; i++)
		printf("id %s\n", id);
}

static const char *
value(const char *name)
{
	const char *v = getenv(name);

	return v == NULL ? "" : v;
}

int
main(void)
{
	const struct timespec moment = { .tv_nsec = 100000000 };

	id = value("HTTP_X_ID");
	what = value("HTTP_X_WHAT");
	if (is("die-before"))
		die();
	if (is("slow"))
		nanosleep(&moment, NULL);
	printf("Content-Type: text/plain\r\nX-Id: %s\r\n", id);
	if (is("die-head"))
		die();
	if (is("die-sized"))
		printf("Content-Length: %zu\r\n", strlen(id) + 4);
	printf("\r\n");
	lines(is("large") ? 65536 / 16 : 1);
	if (strncmp(what, "die-", 4) == 0)
		die();
	give_back();
	return (0);
}
