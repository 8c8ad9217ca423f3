/*
 * tool: what the commands of amp-cors share.
 */
#ifndef TOOL_H
#define TOOL_H

#include <stdio.h>

#include "buf.h"
#include "span.h"

/*
 * Exit statuses: 0 and this one for the two answers of a command that went
 * well ("it checks", "it does not"), those of sysexits(3) for all else.
 */
enum { TOOL_NO = 1 };

/* One command: argv[0] is "amp-cors NAME".  Returns the exit status. */
typedef int tool_main_fn(int argc, char *argv[]);
struct tool_command {
	const char *name;
	tool_main_fn *main;
	const char *summary; /* for the usage */
};

/*
 * "amp-cors NAME: text", and a line feed, to standard error.  Control and
 * non-ASCII bytes are escaped.  Returns status.
 */
int tool_fail(int status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The name that tool_fail() prints. */
void tool_set_name(const char *command);

/*
 * --help: usage to standard output, 0; else to standard error, EX_USAGE.
 */
int tool_usage(bool help, const char *usage);

/*
 * May colours be used on f?  On a terminal that knows them, where NO_COLOR is
 * unset or empty.
 */
bool tool_colours(FILE *f);

/*
 * The length of the UTF-8 sequence that s, which is not empty, begins with; 0
 * where that is none, or a control byte below 0x20.
 */
size_t tool_utf8(struct span s);

/* A JSON string with its quotes; bytes that are no UTF-8 become \ufffd. */
void tool_json(struct buf *out, struct span s);

/*
 * Writes all of a buffer to standard output.  EX_OK, EX_IOERR, or EX_OSERR for
 * a buffer that has failed; the fault has been said.  The buffer is freed.
 */
int tool_print(struct buf *b);

#endif
