/*
 * What a web server says on one connection.  The first byte chooses how it is
 * heard: when a request counts as answered, and where the bytes are cut.
 */
#include "fuzz.h"
#include "heard.h"

/* Longer pieces could owe more than one answer's room; none is read at once. */
enum { PIECE_MAX = 2048, EVERY_CUT = 200 };

static void
check_split(const struct heard *whole, struct span said, size_t cut,
    size_t step, bool rest)
{
	struct heard h;

	heard_init(&h, whole->done, rest);
	heard_all(&h, said, cut, step);
	FUZZ_HOLDS(!h.wrong);
	FUZZ_HOLDS(heard_same(&h, whole) && h.over == whole->over);
	heard_free(&h);
}

/* Nothing is kept beyond the ceilings that bound a connection's memory. */
static void
check_memory(const struct screen *s)
{
	FUZZ_HOLDS(s->control.n <= 4096);
	FUZZ_HOLDS(s->params.n <= SCREEN_PARAMS_MAX);
	FUZZ_HOLDS(s->answer.n == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span said = { (const char *)data, size };
	struct heard whole;
	size_t cut;

	if (size == 0)
		return 0;
	said = span_skip(said, 1);
	cut = said.n > 0 ? (size_t)(data[0] / 3) % said.n : 0;
	heard_init(&whole, (enum heard_done)(data[0] % 3), false);
	heard_all(&whole, said, 0, PIECE_MAX);
	FUZZ_HOLDS(!whole.wrong);
	check_memory(&whole.s);
	check_split(&whole, said, cut, PIECE_MAX, true);
	check_split(&whole, said, cut, 1 + data[0] % 16, true);
	check_split(&whole, said, 0, 1, false);
	for (cut = 1; said.n <= EVERY_CUT && cut < said.n; cut++)
		check_split(&whole, said, cut, PIECE_MAX, false);
	heard_free(&whole);
	return 0;
}
