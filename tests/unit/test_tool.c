/*
 * tool: what the commands of amp-cors print with: JSON that is valid whatever
 * the bytes, faults that steer no terminal, and a full standard output.
 */
#include "tool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "folder.h"
#include "guard.h"
#include "tap.h"

/* --- UTF-8 and JSON --- */

/* RFC 3629 3 by its arithmetic, where tool_utf8() has its table. */
static size_t
sequence(const unsigned char *p, size_t n)
{
	static const unsigned least[] = { 0, 0x20, 0x80, 0x800, 0x10000 };
	size_t length = p[0] < 0x80 ? 1 :
	    p[0] >> 5 == 6          ? 2 :
	    p[0] >> 4 == 14         ? 3 :
	    p[0] >> 3 == 30         ? 4 :
				      0;
	unsigned code = length < 2 ? p[0] : p[0] & (0x7Fu >> length);

	if (length == 0 || length > n)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		code = code << 6 | (p[i] & 0x3F);
	}
	return code < least[length] || code > 0x10FFFF ||
		(code >= 0xD800 && code <= 0xDFFF) ?
	    0 :
	    length;
}

/* Every first and second byte, and the edges of those behind. */
static void
test_utf8(void)
{
	static const unsigned char edge[] = { 0, 0x7F, 0x80, 0xBF, 0xC0, 0xFF };
	struct guard g = guard_of("aaaa", 4);
	unsigned char *p = (unsigned char *)g.map + (g.s.p - g.map);
	size_t wrong = 0;

	for (unsigned i = 0; i < 65536 * 36; i++) {
		p[0] = (unsigned char)(i / 36 >> 8);
		p[1] = (unsigned char)(i / 36);
		p[2] = edge[i % 36 / 6];
		p[3] = edge[i % 6];
		wrong += tool_utf8(g.s) != sequence(p, 4);
	}
	ok(wrong == 0, "UTF-8: what is a sequence, and what is none");
	for (size_t n = 1; n < 4; n++)
		for (unsigned i = 0; i < 65536; i++) {
			unsigned char *q = p + 4 - n;

			q[0] = (unsigned char)(i >> 8);
			if (n > 1)
				q[1] = (unsigned char)i;
			if (n > 2)
				q[2] = 0x80;
			wrong += tool_utf8((struct span){ (char *)q, n }) !=
			    sequence(q, n);
		}
	ok(wrong == 0, "UTF-8: … and what has been cut");
	guard_free(&g);
}

/* RFC 8259 7, less the short escapes, which are not written. */
static bool
is_json(struct span s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t n = s.n;

	if (n < 2 || p[0] != '"' || p[n - 1] != '"')
		return false;
	for (size_t i = 1, step; i < n - 1; i += step) {
		step = sequence(p + i, n - 1 - i);
		if (p[i] == '\\') {
			if (n - 1 - i < 6 || p[i + 1] != 'u' ||
			    strspn((const char *)p + i + 2,
				"0123456789abcdef") < 4)
				return false;
			step = 6;
		} else if (step == 0 || p[i] == '"' || p[i] == 0x7F)
			return false;
	}
	return true;
}

static void
test_json(void)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{ "", "\"\"" },
		{ "plain ~", "\"plain ~\"" },
		{ "a\"b\\c/", "\"a\\u0022b\\u005cc/\"" },
		{ "\x01\t\n\r\x1b[2J\x1f\x7f",
		    "\"\\u0001\\u0009\\u000a\\u000d\\u001b[2J\\u001f"
		    "\\u007f\"" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
		    "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		{ "a\xff"
		  "b",
		    "\"a\\ufffdb\"" },
		{ "\xc2\x9b"
		  "2J",
		    "\"\\u009b2J\"" },
		{ "\xe2\x80\xae", "\"\\u202e\"" },
		{ "\xe2\x81\xa6\xc3\xa4", "\"\\u2066\xc3\xa4\"" },
		{ "\xc0\xaf", "\"\\ufffd\\ufffd\"" },
		{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },
		{ "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
		{ "\xe2\x82", "\"\\ufffd\\ufffd\"" },
		{ "\xe2\x82"
		  "a",
		    "\"\\ufffd\\ufffda\"" },
	};
	struct buf out;

	buf_init(&out, 4096);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guard g = guard_of(cases[i].in, strlen(cases[i].in));

		buf_clear(&out);
		tool_json(&out, g.s);
		must_text(&out);
		is_span(span_of(out.p), cases[i].want, cases[i].want);
		guard_free(&g);
	}
	buf_clear(&out);
	tool_json(&out, (struct span){ "a\0b", 3 });
	ok(span_eq(buf_span(&out), SPAN("\"a\\u0000b\"")), "a NUL");
	buf_clear(&out);
	tool_json(&out, (struct span){ NULL, 0 });
	ok(span_eq(buf_span(&out), SPAN("\"\"")), "what is absent is empty");
	buf_free(&out);
}

/* Bytes that look like all kinds, without a chance that differs by run. */
static void
fill(char *p, size_t n, unsigned seed)
{
	static const unsigned char kinds[] = { 'a', '"', '\\', 0, 0x1F, 0x7F,
		0x80, 0xBF, 0xC2, 0xC3, 0xE0, 0xE2, 0xED, 0xF0, 0xF4, 0xFF };

	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245 + 12345;
		p[i] = (char)kinds[seed >> 16 & 15];
	}
}

static void
test_json_lengths(void)
{
	char bytes[300];
	size_t wrong = 0;
	struct buf out;

	for (size_t n = 0; n <= sizeof(bytes); n++) {
		struct guard g;

		fill(bytes, n, (unsigned)n);
		g = guard_of(bytes, n);
		buf_init(&out, 6 * sizeof(bytes) + 3);
		tool_json(&out, g.s);
		wrong += out.failed || !is_json(buf_span(&out));
		buf_free(&out);
		/* a ceiling anywhere */
		buf_init(&out, n);
		tool_json(&out, g.s);
		wrong += !out.failed;
		buf_free(&out);
		guard_free(&g);
	}
	ok(wrong == 0, "any bytes, of any length, are valid JSON");
	ok(!is_json(SPAN("\"a\"b\"")) && !is_json(SPAN("\"\xff\"")) &&
		!is_json(SPAN("\"\\u12\"")) && !is_json(SPAN("\"\n\"")),
	    "and the test knows what is none");
}

/* --- what is printed --- */

/* Runs act in a process whose standard output is `to`; what it returned. */
static int
run(int (*act)(void), const char *to)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		int err =
		    open(in_folder("err"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

		if (dup2(out, STDOUT_FILENO) == -1 ||
		    dup2(err, STDERR_FILENO) == -1)
			_exit(99);
		_exit(act());
	}
	if (pid == -1 || waitpid(pid, &status, 0) == -1)
		bail();
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
fail_hostile(void)
{
	tool_set_name("check");
	return tool_fail(EX_DATAERR, "%s:%d: %s", "a\x1b[2J\n", 7,
	    "\xc3\xa4\r\"\\\x7f~");
}

static int
fail_long(void)
{
	static char text[100000];

	memset(text, '\n', sizeof(text) - 1);
	tool_set_name("x");
	return tool_fail(EX_NOINPUT, "%s", text);
}

static int
fail_in_order(void)
{
	setvbuf(stdout, NULL, _IOFBF, 4096);
	dup2(STDOUT_FILENO, STDERR_FILENO);
	printf("before; ");
	return tool_fail(1, "fault");
}

static void
test_fail(void)
{
	const char *out = in_folder("out"), *err;

	ok(run(fail_hostile, out) == EX_DATAERR, "the status is returned");
	is_span(span_of(folder_text("err")),
	    "amp-cors check: a\\x1b[2J\\x0a:7: "
	    "\\xc3\\xa4\\x0d\\x22\\x5c\\x7f~\n",
	    "one line, that steers no terminal");
	is_span(span_of(folder_text("out")), "", "not on standard output");
	ok(run(fail_long, out) == EX_NOINPUT, "a long one");
	err = folder_text("err");
	ok(strlen(err) > 1000 && strchr(err, '\n') == err + strlen(err) - 1 &&
		strncmp(err, "amp-cors x: \\x0a\\x0a", 20) == 0 &&
		strcmp(err + strlen(err) - 5, "\\x0a\n") == 0,
	    "is one line");
	ok(run(fail_in_order, out) == 1, "TOOL_NO");
	is_span(span_of(folder_text("out")), "before; amp-cors : fault\n",
	    "behind what was printed");
}

static int
usage_asked(void)
{
	int status = tool_usage(true, "usage: x\n");

	fflush(stdout);
	return status;
}

static int
usage_wrong(void)
{
	return tool_usage(false, "usage: x\n");
}

static void
test_usage(void)
{
	const char *out = in_folder("out");

	ok(run(usage_asked, out) == EX_OK, "--help");
	is_span(span_of(folder_text("out")), "usage: x\n", "is an answer");
	is_span(span_of(folder_text("err")), "", "and no fault");
	ok(run(usage_wrong, out) == EX_USAGE, "a wrong option");
	is_span(span_of(folder_text("out")), "", "is no answer");
	is_span(span_of(folder_text("err")), "usage: x\n", "but a fault");
}

/* 98: the buffer was not freed. */
static int
print(size_t n, size_t max)
{
	struct buf b;
	int status;

	setvbuf(stdout, NULL, _IOFBF, 4096);
	tool_set_name("x");
	buf_init(&b, max);
	for (size_t i = 0; i < n; i++)
		buf_add_char(&b, "ab\n"[i % 3]);
	status = tool_print(&b);
	if (b.p != NULL || b.n != 0)
		return 98;
	/* as a program's end: nothing is said twice */
	return fclose(stdout) == 0 ? status : 97;
}

static int
print_nothing(void)
{
	return print(0, 100);
}

static int
print_some(void)
{
	return print(6, 100);
}

static int
print_much(void)
{
	return print(200000, 200000);
}

static int
print_failed(void)
{
	return print(6, 5);
}

static void
test_print(void)
{
	static const char full[] =
	    "amp-cors x: standard output: No space left on device\n";
	const char *out = in_folder("out");
	struct stat st = { 0 };

	ok(run(print_some, out) == EX_OK, "a buffer");
	is_span(span_of(folder_text("out")), "ab\nab\n", "as it is");
	ok(run(print_nothing, out) == EX_OK, "an empty one");
	ok(run(print_much, out) == EX_OK && stat(out, &st) == 0 &&
		st.st_size == 200000,
	    "a large one");
	is_span(span_of(folder_text("err")), "", "nothing else is said");
	ok(run(print_failed, out) == EX_OSERR, "one that has failed");
	is_span(span_of(folder_text("out")), "", "is not printed in part");
	is_span(span_of(folder_text("err")), "amp-cors x: out of memory\n",
	    "but told");
	ok(run(print_some, "/dev/full") == EX_IOERR, "a full disk");
	is_span(span_of(folder_text("err")), full, "is told, once");
	ok(run(print_much, "/dev/full") == EX_IOERR, "by much, too");
	is_span(span_of(folder_text("err")), full, "once");
}

/* --- colours --- */

static FILE *
terminal(int *master)
{
	*master = posix_openpt(O_RDWR | O_NOCTTY);
	if (*master == -1 || grantpt(*master) == -1 || unlockpt(*master) == -1)
		bail();
	return fdopen(open(ptsname(*master), O_RDWR | O_NOCTTY), "w");
}

static void
set(const char *name, const char *value)
{
	if (value == NULL)
		unsetenv(name);
	else
		setenv(name, value, 1);
}

static void
test_colours(void)
{
	static const struct {
		const char *term, *no_color;
		bool want;
	} cases[] = {
		{ "xterm", NULL, true },
		{ "xterm", "", true },
		{ "xterm", "1", false },
		{ "dumb", NULL, false },
		{ NULL, NULL, false },
	};
	int master;
	FILE *tty = terminal(&master), *file = tmpfile();

	if (tty == NULL || file == NULL)
		bail();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set("TERM", cases[i].term);
		set("NO_COLOR", cases[i].no_color);
		ok(tool_colours(tty) == cases[i].want && !tool_colours(file),
		    "colours: TERM %s, NO_COLOR %s",
		    cases[i].term == NULL ? "unset" : cases[i].term,
		    cases[i].no_color == NULL ? "unset" : cases[i].no_color);
	}
	fclose(tty);
	fclose(file);
	close(master);
}

int
main(void)
{
	folder_make();
	test_utf8();
	test_json();
	test_json_lengths();
	test_fail();
	test_usage();
	test_print();
	test_colours();
	folder_remove();
	return tap_done();
}
