/*
 * The input is a handler's output.  Whole, cut in two at a place that its own
 * bytes choose, and byte by byte, it must come to the same.
 */
#include <string.h>

#include "cgihead.h"
#include "fuzz.h"

enum { MAX = 2048 };

/* Feeds in two pieces, or one by one; gives back how much was header. */
static size_t
feed(struct cgihead *h, struct span in, size_t first, size_t rest)
{
	size_t header = 0;

	cgihead_init(h, MAX);
	for (size_t at = 0, n = first; at < in.n; at += n, n = rest) {
		enum cgihead_state before = h->state, after;
		size_t used = SIZE_MAX;
		/* memory of its own, so that a sanitizer sees one too many */
		char *piece;

		if (n > in.n - at)
			n = in.n - at;
		piece = malloc(n > 0 ? n : 1);
		if (piece == NULL)
			abort();
		memcpy(piece, in.p + at, n);
		after = cgihead_feed(h, (struct span){ piece, n }, &used);
		free(piece);
		FUZZ_HOLDS(after == h->state && used <= n);
		FUZZ_HOLDS(before == CGIHEAD_MORE || after == before);
		FUZZ_HOLDS(before != CGIHEAD_DONE || used == 0);
		FUZZ_HOLDS(after == CGIHEAD_DONE || used == n);
		header += used;
	}
	return header;
}

static void
check_field(const struct cgihead *h, const struct field *f)
{
	FUZZ_HOLDS(f->name.n > 0);
	FUZZ_HOLDS(f->name.p >= h->raw.p);
	FUZZ_HOLDS(f->value.p + f->value.n <= h->raw.p + h->raw.n);
	for (size_t i = 0; i < f->name.n; i++)
		FUZZ_HOLDS(span_graph(f->name.p[i]) && f->name.p[i] != ':');
	for (size_t i = 0; i < f->value.n; i++) {
		unsigned char c = (unsigned char)f->value.p[i];

		FUZZ_HOLDS(c == '\t' || (c >= ' ' && c != 0x7f));
	}
	FUZZ_HOLDS(span_eq(span_trim(f->value), f->value));
	FUZZ_HOLDS(!span_caseeq(f->name, SPAN("Status")));
	FUZZ_HOLDS(!span_caseeq(f->name, SPAN("Transfer-Encoding")));
}

static size_t
count(const struct cgihead *h, struct span name)
{
	size_t n = 0;

	for (size_t i = 0; i < h->nfields; i++)
		n += span_caseeq(h->fields[i].name, name);
	return n;
}

static void
check_done(const struct cgihead *h)
{
	FUZZ_HOLDS(h->raw.n <= MAX && h->raw.p[h->raw.n - 1] == '\n');
	FUZZ_HOLDS(h->status == 0 || (h->status >= 200 && h->status <= 599));
	FUZZ_HOLDS(h->status != 0 || h->nfields > 0);
	FUZZ_HOLDS(h->nfields <= CGIHEAD_FIELDS_MAX);
	for (size_t i = 0; i < h->nfields; i++)
		check_field(h, &h->fields[i]);
	FUZZ_HOLDS(count(h, SPAN("Content-Type")) <= 1);
	FUZZ_HOLDS(count(h, SPAN("Location")) <= 1);
	FUZZ_HOLDS(count(h, SPAN("Content-Length")) == h->has_length);
}

static void
check_same(const struct cgihead *a, const struct cgihead *b)
{
	FUZZ_HOLDS(a->state == b->state);
	FUZZ_HOLDS((a->fault == NULL) == (a->state != CGIHEAD_BAD));
	FUZZ_HOLDS((a->fault == NULL) == (b->fault == NULL));
	FUZZ_HOLDS(a->fault == NULL || strcmp(a->fault, b->fault) == 0);
	if (a->state != CGIHEAD_DONE)
		return;
	FUZZ_HOLDS(a->status == b->status && a->nfields == b->nfields);
	FUZZ_HOLDS(a->has_length == b->has_length && a->length == b->length);
	FUZZ_HOLDS(span_eq(buf_span(&a->raw), buf_span(&b->raw)));
	for (size_t i = 0; i < a->nfields; i++) {
		FUZZ_HOLDS(span_eq(a->fields[i].name, b->fields[i].name));
		FUZZ_HOLDS(span_eq(a->fields[i].value, b->fields[i].value));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	struct cgihead whole, two, bytes;
	size_t cut = 0, used;

	for (size_t i = 0; i < size; i++)
		cut = cut * 31 + data[i];
	cut = size > 0 ? cut % size : 0;
	used = feed(&whole, in, size, 1);
	FUZZ_HOLDS(feed(&two, in, cut, size) == used);
	FUZZ_HOLDS(feed(&bytes, in, 1, 1) == used);
	if (whole.state == CGIHEAD_DONE)
		check_done(&whole);
	check_same(&whole, &two);
	check_same(&whole, &bytes);
	cgihead_free(&whole);
	cgihead_free(&two);
	cgihead_free(&bytes);
	return 0;
}
