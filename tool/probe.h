/*
 * probe: the command that asks a running endpoint as mail clients, browsers
 * and attackers do [SPEC 7.3].
 */
#ifndef PROBE_H
#define PROBE_H

/*
 * 0: no error was found.  TOOL_NO: some were.  EX_UNAVAILABLE: the server could
 * not be reached.  Else as tool.h says.
 */
int probe_main(int argc, char *argv[]);

#endif
