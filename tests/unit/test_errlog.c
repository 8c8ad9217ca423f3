/*
 * errlog: what a handler writes to its standard error, in pieces of any size,
 * as lines of the web server's error log.
 */
#include "errlog.h"

#include "fake.h"
#include "guard.h"
#include "tap.h"

static const struct {
	const char *name, *said, *want;
} cases[] = {
	{ "nothing", "", "" },
	{ "a line", "one\n", "0000002a handler: one\n" },
	{ "no line feed", "one", "0000002a handler: one\n" },
	{ "lines", "one\ntwo\n\nthree\n",
	    "0000002a handler: one\n0000002a handler: two\n"
	    "0000002a handler: three\n" },
	{ "odd bytes", "a\tb\rc\x1b[2Jd\x7f\xc3\xa4 \"q\" \\ e\n",
	    "0000002a handler: a\\x09b\\x0dc\\x1b[2Jd\\x7f\\xc3\\xa4 "
	    "\\x22q\\x22 \\x5c e\n" },
	{ "a forged line", "x\r\n0000002b handler: y\n",
	    "0000002a handler: x\\x0d\n"
	    "0000002a handler: 0000002b handler: y\n" },
};

static bool
says(struct span said, size_t step, const char *want)
{
	struct fake f;
	struct errlog e;
	bool same;

	fake_init(&f, NULL, SPAN(""));
	errlog_init(&e, &f.x, 0x2a);
	for (size_t i = 0; i < said.n; i += step)
		errlog_add(&e,
		    (struct span){ said.p + i,
			said.n - i < step ? said.n - i : step });
	errlog_end(&e);
	same = span_eq(buf_span(&f.errors), span_of(want));
	if (!same)
		printf("# got: %.*s\n", (int)f.errors.n, f.errors.p);
	fake_free(&f);
	return same;
}

static void
test_cases(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guard g = guard_of(cases[i].said, strlen(cases[i].said));
		bool same = true;

		for (size_t step = 1; step <= g.s.n + 1; step++)
			same &= says(g.s, step, cases[i].want);
		ok(same, "%s", cases[i].name);
		guard_free(&g);
	}
	ok(says(SPAN("a\0b\n"), 4, "0000002a handler: a\\x00b\n"), "a NUL");
}

/* Long lines go in pieces, and much more than enough is counted. */
static void
test_long(size_t bytes, size_t lines, const char *last)
{
	static char text[200000];
	struct fake f;
	struct errlog e;
	struct span rest, line;
	size_t n = 0, whole = 0, said = 0, left = bytes;
	const size_t prefix = strlen("0000002a handler: ");

	memset(text, 'x', sizeof(text));
	fake_init(&f, NULL, SPAN(""));
	errlog_init(&e, &f.x, 0x2a);
	while (left > 0) {
		size_t piece = left < 4096 ? left : 4096;

		errlog_add(&e, (struct span){ text, piece });
		left -= piece;
	}
	errlog_end(&e);
	rest = buf_span(&f.errors);
	while (span_cut(&rest, '\n', &line)) {
		whole += line.n == prefix + 1000;
		said += line.n - prefix;
		n++;
		if (rest.n == 0)
			break;
	}
	if (bytes > ERRLOG_MAX)
		said -= strlen(last) - prefix;
	ok(n == lines && whole == 65 && span_eq(line, span_of(last)) &&
		said == (bytes < ERRLOG_MAX ? bytes : ERRLOG_MAX),
	    "%zu bytes in %zu lines", bytes, lines);
	fake_free(&f);
}

static void
test_limit(void)
{
	char want[4096 + 64], text[4096];

	memset(text, 'x', sizeof(text));
	memset(want, 'x', sizeof(want));
	memcpy(want, "0000002a handler: ", 18);
	strcpy(want + 18 + 1000, "\n");
	ok(says((struct span){ text, 1000 }, 7, want), "a line of 1000 bytes");
	text[1000] = '\n';
	ok(says((struct span){ text, 1001 }, 7, want), "… and its line feed");
	text[1000] = 'x';
	strcpy(want + 18 + 1000, "\n0000002a handler: x\n");
	ok(says((struct span){ text, 1001 }, 7, want), "one of 1001");
	memset(text, 'x', 536);
	text[536] = '\0';
	snprintf(want, sizeof(want), "0000002a handler: %s", text);
	test_long(65536, 66, want);
	test_long(65537, 67, "0000002a handler: (1 bytes more were left out)");
	test_long(200000, 67,
	    "0000002a handler: (134464 bytes more were left out)");
}

int
main(void)
{
	test_cases();
	test_limit();
	return tap_done();
}
