/*
 * amp-cors: the operator's tool beside amp-cors-cgi [SPEC 7.3].  Each command
 * has a file of its own in tool/.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "io.h"
#include "tool.h"
#include "version.h"

static const struct tool_command commands[] = {
	{ NULL, NULL, NULL },
};

static void
usage(FILE *to)
{
	fputs("usage: amp-cors [-hV] command [argument ...]\n", to);
	for (size_t i = 0; commands[i].name != NULL; i++)
		fprintf(to, "  %-8s %s\n", commands[i].name,
		    commands[i].summary);
	fputs("amp-cors command --help tells more, and amp-cors(1) all.\n", to);
}

static int
run(int argc, char *argv[])
{
	for (size_t i = 0; commands[i].name != NULL; i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		tool_set_name(commands[i].name);
		return commands[i].main(argc - 1, argv + 1);
	}
	fprintf(stderr, "amp-cors: there is no command %s\n", argv[1]);
	usage(stderr);
	return EX_USAGE;
}

/* What a full disk swallowed is told at the latest here. */
static int
finish(int status)
{
	if (fclose(stdout) == 0)
		return status;
	perror("amp-cors: standard output");
	return EX_IOERR;
}

int
main(int argc, char *argv[])
{
	const char *first = argc > 1 ? argv[1] : "";

	if (io_hold_std() == -1)
		return EX_OSERR;
	if (strcmp(first, "-h") == 0 || strcmp(first, "--help") == 0) {
		usage(stdout);
		return finish(EX_OK);
	}
	if (strcmp(first, "-V") == 0 || strcmp(first, "--version") == 0) {
		puts("amp-cors " VERSION);
		return finish(EX_OK);
	}
	if (*first == '\0') {
		usage(stderr);
		return EX_USAGE;
	}
	return finish(run(argc, argv));
}
