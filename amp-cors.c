/*
 * amp-cors: the operator's tool beside amp-cors-cgi [SPEC 7.3].  Each command
 * has a file of its own in tool/.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "check.h"
#include "compile.h"
#include "explain.h"
#include "io.h"
#include "probe.h"
#include "replay.h"
#include "report.h"
#include "tool.h"
#include "version.h"

static const struct tool_command commands[] = {
	{ "check", check_main, "looks at a policy and all that it names" },
	{ "compile", compile_main, "a text list of senders as a compiled one" },
	{ "explain", explain_main,
	    "tells how one request is decided, and why" },
	{ "probe", probe_main, "asks a running endpoint as clients do" },
	{ "replay", replay_main, "decides the requests of a log again" },
	{ "report", report_main, "makes one page of a log" },
	{ NULL, NULL, NULL },
};

static void
usage(FILE *to)
{
	fputs("usage: amp-cors [-hV] command [argument ...]\n"
	      "       amp-cors help [command]\n",
	    to);
	for (size_t i = 0; commands[i].name != NULL; i++)
		fprintf(to, "  %-8s %s\n", commands[i].name,
		    commands[i].summary);
	fputs("amp-cors command --help tells more, and amp-cors(1) all.\n", to);
}

static int
run(int argc, char *argv[])
{
	static char name[64]; /* what getopt_long(3) says begins with it */

	for (size_t i = 0; commands[i].name != NULL; i++) {
		if (strcmp(argv[0], commands[i].name) != 0)
			continue;
		tool_set_name(commands[i].name);
		snprintf(name, sizeof(name), "amp-cors %s", commands[i].name);
		argv[0] = name;
		return commands[i].main(argc, argv);
	}
	fprintf(stderr, "amp-cors: there is no command %s\n", argv[0]);
	usage(stderr);
	return EX_USAGE;
}

/* argv[1] is the command that is asked about, if there is one. */
static int
help(int argc, char *argv[])
{
	static char option[] = "--help";
	char *asked[] = { argv[1], option, NULL };

	if (argc > 2) {
		fputs("amp-cors: help takes one command\n", stderr);
		usage(stderr);
		return EX_USAGE;
	}
	if (argc == 2 && *argv[1] != '-' && strcmp(argv[1], "help") != 0)
		return run(2, asked);
	usage(stdout);
	return EX_OK;
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
	if (strcmp(first, "help") == 0)
		return finish(help(argc - 1, argv + 1));
	return finish(run(argc - 1, argv + 1));
}
