/*
 * errlog: what a handler says on its standard error.  The first byte chooses
 * how it is cut, 0xFF in the rest stands for 5,000 bytes.
 */
#include "fuzz.h"

#include <string.h>

#include "errlog.h"
#include "fake.h"

enum { LONG = 5000, MAX = 4 * ERRLOG_MAX };

static void
run(struct fake *f, struct span in, size_t step)
{
	static char *const none[] = { NULL };
	struct errlog e;

	fake_init(f, none, SPAN(""));
	errlog_init(&e, &f->x, 0x12345678);
	while (in.n > 0) {
		struct span some = { in.p, in.n < step ? in.n : step };
		char *copy = malloc(some.n);

		FUZZ_HOLDS(copy != NULL);
		memcpy(copy, some.p, some.n);
		errlog_add(&e, (struct span){ copy, some.n });
		free(copy);
		in = span_skip(in, some.n);
	}
	errlog_end(&e);
}

/* Lines of ours, each with what names it, and nothing odd in it. */
static void
check_lines(struct span text)
{
	struct span line;
	size_t n = 0;

	while (span_cut(&text, '\n', &line)) {
		if (text.p == NULL && line.n == 0)
			break;
		FUZZ_HOLDS(text.p != NULL); /* every line has its end */
		FUZZ_HOLDS(span_starts(line, SPAN("12345678 handler")));
		for (size_t i = 0; i < line.n; i++)
			FUZZ_HOLDS(span_graph(line.p[i]) || line.p[i] == ' ');
		FUZZ_HOLDS(line.n <= 4 * ERRLOG_LINE_MAX + 100);
		n += line.n;
	}
	FUZZ_HOLDS(n <= 4 * ERRLOG_MAX + 40 * (size_t)ERRLOG_MAX);
}

static void
expand(struct buf *out, struct span in)
{
	static char many[LONG];

	memset(many, '\xff', sizeof(many));
	for (size_t i = 0; i < in.n; i++)
		if (in.p[i] == '\xff')
			buf_add(out, many, sizeof(many));
		else
			buf_add_char(out, in.p[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fake whole, cut;
	struct buf text;

	if (size == 0)
		return 0;
	buf_init(&text, MAX);
	expand(&text, (struct span){ (const char *)data + 1, size - 1 });
	if (!text.failed) {
		run(&whole, buf_span(&text), SIZE_MAX);
		run(&cut, buf_span(&text), 1 + data[0] * 8U);
		check_lines(buf_span(&whole.errors));
		FUZZ_HOLDS(whole.errors.n == cut.errors.n);
		FUZZ_HOLDS(whole.errors.n == 0 ||
		    span_eq(buf_span(&whole.errors), buf_span(&cut.errors)));
		fake_free(&whole);
		fake_free(&cut);
	}
	buf_free(&text);
	return 0;
}
