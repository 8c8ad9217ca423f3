/*
 * lines: a file of any bytes, against the plain way to cut it.  0xFF stands for
 * 100,000 bytes, so that lines can be too long.
 */
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "buf.h"
#include "lines.h"

enum { LONG = 100000, MAX = 1 << 22, LONGEST = 2000 };

static void
expand(struct buf *out, struct span in)
{
	static char x[LONG];

	memset(x, 'x', sizeof(x));
	for (size_t i = 0; i < in.n; i++)
		if (in.p[i] == '\xff')
			buf_add(out, x, sizeof(x));
		else
			buf_add_char(out, in.p[i]);
}

/* The next line of the text, as the plain way has it. */
static enum lines_result
plain_next(struct span *rest, struct span *line)
{
	if (rest->n == 0 || !span_cut(rest, '\n', line))
		return LINES_END;
	return line->n < LINES_MAX ? LINES_LINE : LINES_TOO_LONG;
}

static void
compare(struct lines *l, int fd, struct span rest)
{
	struct span want, got;
	enum lines_result r;

	lines_begin(l, fd);
	do {
		r = plain_next(&rest, &want);
		FUZZ_HOLDS(lines_next(l, &got) == r);
		if (r == LINES_LINE)
			FUZZ_HOLDS(want.n == got.n &&
			    (want.n == 0 || span_eq(want, got)));
	} while (r != LINES_END);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct lines l;
	struct buf text;

	FUZZ_HOLDS(fd != -1 && lines_init(&l));
	buf_init(&text, MAX);
	if (size <= LONGEST)
		expand(&text, (struct span){ (const char *)data, size });
	if (!text.failed) {
		FUZZ_HOLDS(write(fd, text.p, text.n) == (ssize_t)text.n);
		/* a second file, after a first that was read to its end */
		for (int i = 0; i < 2; i++) {
			lseek(fd, 0, SEEK_SET);
			compare(&l, fd, buf_span(&text));
		}
	}
	lines_free(&l);
	buf_free(&text);
	close(fd);
	return 0;
}
