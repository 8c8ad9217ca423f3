/*
 * wire: PARAMS content.  What is read as pairs and written again is read the
 * same, and nothing is read behind a pair that is cut off; and records, which
 * say the same however they are cut.
 */
#include "fuzz.h"

#include <string.h>

#include "wire.h"

enum { MAX = 1 << 16 };

static void
add_end(struct buf *out, const struct wire_record *r)
{
	FUZZ_HOLDS(r->version == WIRE_VERSION);
	FUZZ_HOLDS(r->type < 256 && r->id < 65536);
	buf_add_str(out, "\nrecord ");
	buf_add_number(out, r->type);
	buf_add_char(out, ' ');
	buf_add_number(out, r->id);
	buf_add_char(out, '\n');
}

/* Some of the bytes; false where they are no FastCGI. */
static bool
read_some(struct wire_reader *r, struct span some, struct buf *out)
{
	enum wire_result got;
	struct span piece;

	while ((got = wire_next(r, &some, &piece)) != WIRE_MORE) {
		if (got == WIRE_BAD)
			return false;
		if (got == WIRE_RECORD_END) {
			add_end(out, &r->record);
			continue;
		}
		FUZZ_HOLDS(piece.n > 0);
		buf_add_span(out, piece);
	}
	FUZZ_HOLDS(some.n == 0);
	return true;
}

/* All records as text: what any split of the bytes must come to. */
static void
read_records(struct span in, size_t step, struct buf *out)
{
	struct wire_reader r;
	bool good = true;

	buf_init(out, 64 * MAX);
	wire_reader_init(&r);
	while (in.n > 0 && good) {
		struct span some = { in.p, in.n < step ? in.n : step };

		in = span_skip(in, some.n);
		good = read_some(&r, some, out);
	}
	if (!good)
		buf_add_str(out, "bad");
}

static void
check_records(struct span in)
{
	struct buf whole, cut;

	read_records(in, in.n, &whole);
	for (size_t step = 1; step < 12; step += 3) {
		read_records(in, step, &cut);
		FUZZ_HOLDS(whole.n == cut.n &&
		    (cut.n == 0 || span_eq(buf_span(&whole), buf_span(&cut))));
		buf_free(&cut);
	}
	buf_free(&whole);
}

static bool
is_within(struct span inner, struct span outer)
{
	return inner.p >= outer.p && inner.p + inner.n <= outer.p + outer.n;
}

static void
check_pairs(struct span in)
{
	struct span rest = in, again;
	struct field pair, same;
	struct buf written;

	buf_init(&written, 2 * MAX);
	while (wire_pair(&rest, &pair)) {
		FUZZ_HOLDS(is_within(pair.name, in));
		FUZZ_HOLDS(is_within(pair.value, in));
		wire_add_pair(&written, pair.name, pair.value);
	}
	/* lengths of four bytes may be those of one */
	FUZZ_HOLDS(!written.failed && written.n <= in.n - rest.n);
	again = buf_span(&written);
	rest = in;
	while (wire_pair(&rest, &pair)) {
		FUZZ_HOLDS(wire_pair(&again, &same));
		FUZZ_HOLDS(span_eq(pair.name, same.name));
		FUZZ_HOLDS(span_eq(pair.value, same.value));
	}
	FUZZ_HOLDS(!wire_pair(&again, &same) && again.n == 0);
	buf_free(&written);
}

/* What is asked by GET_VALUES: at most three names, each once. */
static void
check_values(struct span in)
{
	struct buf out;
	struct span rest;
	struct field pair;
	unsigned n = 0;

	buf_init(&out, 1024);
	wire_add_values(&out, in, 80, 81);
	FUZZ_HOLDS(!out.failed && out.n >= WIRE_HEADER_SIZE);
	rest = span_skip(buf_span(&out), WIRE_HEADER_SIZE);
	while (wire_pair(&rest, &pair)) {
		FUZZ_HOLDS(memmem(in.p, in.n, pair.name.p, pair.name.n));
		n++;
	}
	FUZZ_HOLDS(rest.n == 0 && n <= 3);
	buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };

	if (size == 0 || size > MAX)
		return 0;
	check_records(in);
	check_pairs(in);
	check_values(in);
	return 0;
}
