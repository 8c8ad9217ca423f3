/* faults: one fault as people and as programs read it. */
#include "faults.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "io.h"
#include "tap.h"

static const struct {
	const char *name;
	struct conf_fault fault;
	const char *text, *json;
} cases[] = {
	{ "an error with a hint",
	    { .code = FAULT_UNKNOWN_KEY,
		.file = "/etc/x.ini",
		.at = { 3, 1 },
		.text = "unknown key 'sender'",
		.expected = "did you mean senders?" },
	    "/etc/x.ini:3:1: error: unknown key 'sender' [unknown-key]\n"
	    "\tdid you mean senders?\n",
	    "{\"file\":\"/etc/x.ini\",\"line\":3,\"column\":1,"
	    "\"severity\":\"error\",\"code\":\"unknown-key\",\"text\":"
	    "\"unknown key 'sender'\",\"hint\":\"did you mean senders?\"}" },
	{ "a warning of a whole file, without a hint",
	    { .code = FAULT_WRITABLE,
		.warning = true,
		.file = "x",
		.at = { 0, 7 },
		.text = "writable" },
	    "x: warning: writable [writable]\n",
	    "{\"file\":\"x\",\"line\":0,\"column\":0,\"severity\":"
	    "\"warning\",\"code\":\"writable\",\"text\":\"writable\","
	    "\"hint\":null}" },
	{ "a note with an empty hint",
	    { .code = FAULT_PLAYGROUND,
		.warning = true,
		.note = true,
		.file = "x",
		.at = { 1, 2 },
		.text = "t",
		.expected = "" },
	    "x:1:2: note: t [playground]\n",
	    "{\"file\":\"x\",\"line\":1,\"column\":2,\"severity\":\"note\","
	    "\"code\":\"playground\",\"text\":\"t\",\"hint\":null}" },
	{ "what could steer a terminal",
	    { .code = FAULT_BAD_RULE,
		.file = "\033[2Jx",
		.at = { 1, 2 },
		.text = "\"a\\\x9b\xc3\xbc\n\x7f'",
		.expected = "\xe2\x80\xae~\t" },
	    "\\x1b[2Jx:1:2: error: \"a\\\\x9b\\xc3\\xbc\\x0a\\x7f' [bad-rule]\n"
	    "\t\\xe2\\x80\\xae~\\x09\n",
	    "{\"file\":\"\\u001b[2Jx\",\"line\":1,\"column\":2,\"severity\":"
	    "\"error\",\"code\":\"bad-rule\",\"text\":\"\\u0022a\\u005c\\ufffd"
	    "\xc3\xbc\\u000a\\u007f'\",\"hint\":\"\\u202e~\\u0009\"}" },
};

static void
test_cases(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *text = NULL;
		size_t n = 0;
		FILE *f = open_memstream(&text, &n);
		struct buf json;

		if (f == NULL)
			bail();
		faults_report(f, &cases[i].fault);
		fclose(f);
		is_span(span_of(text), cases[i].text, cases[i].name);
		free(text);
		buf_init(&json, 4096);
		faults_json(&json, &cases[i].fault);
		is_span(buf_span(&json), cases[i].json, cases[i].name);
		buf_free(&json);
	}
}

/* What comes out of a terminal. */
static void
test_colours(const char *term, bool colours)
{
	static char variable[32]; /* becomes a part of the environment */
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	char got[256];
	FILE *f;
	ssize_t n;

	if (master == -1 || grantpt(master) == -1 || unlockpt(master) == -1)
		bail();
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	f = slave == -1 ? NULL : fdopen(slave, "w");
	if (f == NULL)
		bail();
	/* setenv(3) would leak where its memory is refused */
	snprintf(variable, sizeof(variable), "TERM=%s", term);
	if (putenv(variable) != 0)
		bail();
	faults_print(f, &cases[1].fault);
	fflush(f);
	n = io_wait(master, POLLIN, io_now() + 1000) > 0 ?
	    read(master, got, sizeof(got) - 1) :
	    -1;
	got[n < 0 ? 0 : n] = '\0';
	is_span(span_of(got),
	    colours ? "\033[1mx: \033[1;35mwarning:\033[0m writable "
		      "[writable]\r\n" :
		      "x: warning: writable [writable]\r\n",
	    term);
	fclose(f);
	close(master);
}

int
main(void)
{
	unsetenv("NO_COLOR");
	test_cases();
	test_colours("xterm", true);
	test_colours("dumb", false);
	putenv((char[]){ "NO_COLOR=1" });
	test_colours("xterm", false);
	return tap_done();
}
