/*
 * wire: records byte for byte, and their reader with every padding, whole and
 * split at every byte.
 */
#include "wire.h"

#include "guard.h"
#include "talk.h"
#include "tap.h"

static void
is_bytes(struct buf *b, struct span want, const char *name)
{
	struct buf got, hoped;

	buf_init(&got, TALK_MAX);
	buf_init(&hoped, TALK_MAX);
	if (!ok(!b->failed && span_eq(buf_span(b), want), "%s", name)) {
		talk_show_bytes(&got, buf_span(b));
		talk_show_bytes(&hoped, want);
		printf("# got:  %.*s\n# want: %.*s\n", (int)got.n, got.p,
		    (int)hoped.n, hoped.p);
	}
	buf_free(&got);
	buf_free(&hoped);
	buf_free(b);
}

/* --- writing --- */

static void
test_records(void)
{
	unsigned char h[WIRE_HEADER_SIZE];
	struct buf b;

	wire_header(h, WIRE_STDOUT, 0x1234, 0xABCD);
	ok(memcmp(h, "\1\6\x12\x34\xAB\xCD\0\0", 8) == 0, "a header");
	buf_init(&b, 1000);
	wire_add_begin(&b, 258, WIRE_AUTHORIZER, WIRE_KEEP_CONN);
	is_bytes(&b, SPAN("\1\1\1\2\0\10\0\0\0\2\1\0\0\0\0\0"),
	    "BEGIN_REQUEST");
	wire_add_end(&b, 1, 0x01020304, WIRE_OVERLOADED);
	is_bytes(&b, SPAN("\1\3\0\1\0\10\0\0\1\2\3\4\2\0\0\0"),
	    "END_REQUEST (E97)");
	wire_add_end(&b, 1, 0xFFFFFFFF, WIRE_UNKNOWN_ROLE);
	is_bytes(&b, SPAN("\1\3\0\1\0\10\0\0\xff\xff\xff\xff\3\0\0\0"),
	    "END_REQUEST of a negative status");
	wire_add_unknown(&b, 200);
	is_bytes(&b, SPAN("\1\13\0\0\0\10\0\0\310\0\0\0\0\0\0\0"),
	    "UNKNOWN_TYPE");
	wire_add_eof(&b, WIRE_STDIN, 7);
	is_bytes(&b, SPAN("\1\5\0\7\0\0\0\0"), "the end of a stream");
	wire_add(&b, WIRE_STDOUT, 1, SPAN("ab"));
	is_bytes(&b, SPAN("\1\6\0\1\0\2\0\0ab"), "a piece of a stream");
	wire_add(&b, WIRE_STDOUT, 1, SPAN(""));
	is_bytes(&b, SPAN(""), "no byte, no record: it would end the stream");
}

/* Long streams go in records of at most 65535 bytes. */
static void
test_long(void)
{
	static const size_t sizes[] = { 65534, 65535, 65536, 131070, 200000 };
	static char text[200000];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i % 251);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = 0, records = 0;
		unsigned type, id;
		struct span rest, content;
		bool same = true;
		struct buf b;

		buf_init(&b, TALK_MAX);
		wire_add(&b, WIRE_STDERR, 9, (struct span){ text, sizes[i] });
		rest = buf_span(&b);
		while (talk_cut(&rest, &type, &id, &content)) {
			same &= type == WIRE_STDERR && id == 9 &&
			    content.n > 0 &&
			    memcmp(content.p, text + n, content.n) == 0;
			n += content.n;
			records++;
		}
		ok(same && rest.n == 0 && n == sizes[i] &&
			records == (n + 65534) / 65535,
		    "a stream of %zu bytes", sizes[i]);
		buf_free(&b);
	}
}

/* What is added in between is the same, but was not copied. */
static void
test_between(void)
{
	static const size_t sizes[] = { 0, 1, 65535, 65536, 131070, 131071,
		200000 };
	static char text[200000];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i % 251);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct buf a, b;
		size_t at;

		buf_init(&a, TALK_MAX);
		buf_init(&b, TALK_MAX);
		wire_add_begin(&a, 9, WIRE_RESPONDER, 0);
		wire_add_begin(&b, 9, WIRE_RESPONDER, 0);
		wire_add(&a, WIRE_PARAMS, 9, (struct span){ text, sizes[i] });
		at = wire_begin(&b);
		buf_add(&b, text, sizes[i]);
		wire_end(&b, at, WIRE_PARAMS, 9);
		ok(!b.failed && span_eq(buf_span(&a), buf_span(&b)),
		    "%zu bytes added in between", sizes[i]);
		buf_free(&a);
		buf_free(&b);
	}
}

static void
test_ceiling(void)
{
	struct buf b;

	buf_init(&b, 12);
	wire_add(&b, WIRE_STDOUT, 1, SPAN("12345"));
	ok(b.failed, "a buffer that is too small is marked");
	buf_free(&b);
	buf_init(&b, 8 + 65536);
	wire_begin(&b);
	for (size_t i = 0; i < 65536; i++)
		buf_add_char(&b, 'x');
	wire_end(&b, 0, WIRE_PARAMS, 1);
	ok(b.failed, "… where the second header has no room");
	buf_free(&b);
	buf_init(&b, 20);
	wire_add_values(&b, SPAN("\16\0FCGI_MAX_CONNS"), 1, 1);
	ok(b.failed, "… by an answer too");
	buf_free(&b);
}

/* --- pairs --- */

static void
test_pair_lengths(void)
{
	static const size_t sizes[] = { 0, 1, 127, 128, 255, 256, 65535,
		70000 };
	enum { N = sizeof(sizes) / sizeof(sizes[0]) };
	char *text = must(calloc(1, 70000));

	for (size_t i = 0; i < N * N; i++) {
		struct span name = { text, sizes[i / N] };
		struct span value = { text, sizes[i % N] }, rest;
		size_t heads = (name.n < 128 ? 1 : 4) + (value.n < 128 ? 1 : 4);
		struct field pair = { SPAN("?"), SPAN("?") };
		struct guard g;
		struct buf b;

		buf_init(&b, TALK_MAX);
		wire_add_pair(&b, name, value);
		g = guard_of(b.p, b.n);
		rest = g.s;
		ok(b.n == heads + name.n + value.n && wire_pair(&rest, &pair) &&
			pair.name.n == name.n && pair.value.n == value.n &&
			rest.n == 0 && !wire_pair(&rest, &pair),
		    "a pair of %zu and %zu bytes", name.n, value.n);
		guard_free(&g);
		buf_free(&b);
	}
	free(text);
}

static void
test_pair_bytes(void)
{
	struct span rest = SPAN("\1\2Abc\0\0\200\0\0\1\1xy");
	struct field f;

	ok(wire_pair(&rest, &f) && span_eq(f.name, SPAN("A")) &&
		span_eq(f.value, SPAN("bc")),
	    "the first pair");
	ok(wire_pair(&rest, &f) && f.name.n == 0 && f.value.n == 0,
	    "one of nothing");
	ok(wire_pair(&rest, &f) && span_eq(f.name, SPAN("x")) &&
		span_eq(f.value, SPAN("y")),
	    "a short length in four bytes");
	ok(!wire_pair(&rest, &f) && rest.n == 0, "no more");
}

/* What is cut off is no pair, and stays where it is (E86). */
static void
test_pair_cut(void)
{
	const struct span cut[] = {
		SPAN("\1"),
		SPAN("\1\1"),
		SPAN("\1\1a"),
		SPAN("\200"),
		SPAN("\200\0\0"),
		SPAN("\1\200\0\0"),
		SPAN("\377\377\377\377\377\377\377\377abc"),
		SPAN("\177\177abc"),
		SPAN("\377\377\377\377\0a"),
		SPAN("\0\377\377\377\377a"),
		SPAN("\2\377\377\377\377ab"),
	};

	for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
		struct guard g = guard_of(cut[i].p, cut[i].n);
		struct span rest = g.s;
		struct field f;

		ok(!wire_pair(&rest, &f) && rest.n == cut[i].n &&
			rest.p == g.s.p,
		    "a pair that is cut off, %zu", i);
		guard_free(&g);
	}
}

/* --- values (E92) --- */

static void
test_values(void)
{
	static const struct {
		const char *asked, *want;
	} cases[] = {
		{ "values", "result:0" },
		{ "values:0:FCGI_MAX_CONNS=", "result:0:FCGI_MAX_CONNS=80" },
		{ "values:0:FCGI_MPXS_CONNS=,FCGI_MAX_REQS=,FCGI_MAX_CONNS=",
		    "result:0:FCGI_MAX_CONNS=80,FCGI_MAX_REQS=4294967295,"
		    "FCGI_MPXS_CONNS=0" },
		{ "values:0:FCGI_MAX_REQS=x,FCGI_MAX_REQS=,FCGI_MAX_REQS=",
		    "result:0:FCGI_MAX_REQS=4294967295" },
		{ "values:0:OTHER=,fcgi_max_conns=,FCGI_MAX_CONN=,=",
		    "result:0" },
		{ "9:0:\\x0e\\x00FCGI_MAX_CONNS\\x0d",
		    "result:0:FCGI_MAX_CONNS=80" },
		{ "9:0:\\x0d", "result:0" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf asked = talk(cases[i].asked), b, shown;

		buf_init(&b, 200);
		buf_init(&shown, TALK_MAX);
		wire_add_values(&b, span_skip(buf_span(&asked), 8), 80,
		    4294967295U);
		talk_show(&shown, buf_span(&b));
		is_span(buf_span(&shown), cases[i].want, cases[i].asked);
		ok(!b.failed, "… in 200 bytes");
		buf_free(&asked);
		buf_free(&b);
		buf_free(&shown);
	}
}

/* --- reading --- */

struct reading {
	struct wire_reader r;
	struct buf text;
	bool bad, wrong; /* wrong: the reader broke its word */
};

static void
add_end(struct reading *d)
{
	const struct wire_record *r = &d->r.record;
	char end[64];

	snprintf(end, sizeof(end), "<%u/%u/%zu+%u>", r->type, r->id, r->length,
	    r->padding);
	buf_add_str(&d->text, end);
}

static void
read_some(struct reading *d, const char *p, size_t n)
{
	struct span in = { p, n }, piece;
	bool more = !d->bad;

	while (more) {
		switch (wire_next(&d->r, &in, &piece)) {
		case WIRE_MORE:
			d->wrong |= in.n > 0;
			more = false;
			break;
		case WIRE_PIECE:
			d->wrong |= piece.n == 0;
			talk_show_bytes(&d->text, piece);
			break;
		case WIRE_RECORD_END:
			add_end(d);
			break;
		case WIRE_BAD:
			d->bad = true;
			more = false;
			break;
		}
	}
}

/* Some bytes, which end before a page that cannot be read. */
static void
read_guarded(struct reading *d, const char *p, size_t n, size_t step)
{
	struct guard g = guard_of(p, n);

	for (size_t i = 0; i < n; i += step)
		read_some(d, g.s.p + i, n - i < step ? n - i : step);
	guard_free(&g);
}

/* The same in two pieces, cut there, or with step > 0 in pieces of that. */
static void
read_all(struct reading *d, struct span s, size_t cut, size_t step)
{
	*d = (struct reading){ .bad = false };
	wire_reader_init(&d->r);
	buf_init(&d->text, TALK_MAX);
	if (cut > 0)
		read_guarded(d, s.p, cut, cut);
	read_guarded(d, s.p + cut, s.n - cut, step > 0 ? step : s.n);
}

static bool
reads(struct span s, size_t cut, size_t step, const char *want, bool bad)
{
	struct reading d;
	bool same;

	read_all(&d, s, cut, step);
	same = !d.wrong && d.bad == bad &&
	    span_eq(buf_span(&d.text), span_of(want));
	if (!same)
		printf("# cut %zu step %zu: %.*s\n", cut, step, (int)d.text.n,
		    d.text.p);
	buf_free(&d.text);
	return same;
}

/* Whole, in pieces of a few sizes, and cut at every byte where it is short. */
static bool
reads_split(struct span s, const char *want, bool bad)
{
	bool same = reads(s, 0, 0, want, bad) && reads(s, 0, 1, want, bad) &&
	    reads(s, 0, 3, want, bad);

	for (size_t i = 1; same && s.n < 80 && i < s.n; i++)
		same = reads(s, i, 0, want, bad);
	return same;
}

/* Every type, with every padding, twice so that what follows is in step. */
static void
test_padding(void)
{
	for (unsigned padding = 0; padding < 256; padding++) {
		bool same = true;

		for (unsigned type = 0; type < 13; type++) {
			char want[128];
			struct buf b;

			buf_init(&b, TALK_MAX);
			talk_record(&b, type, 3, SPAN(""), padding);
			talk_record(&b, type, 300, SPAN("12345678"), padding);
			talk_record(&b, type, 0, SPAN("x"), 0);
			snprintf(want, sizeof(want),
			    "<%u/3/0+%u>12345678<%u/300/8+%u>x<%u/0/1+0>", type,
			    padding, type, padding, type);
			same &= reads_split(buf_span(&b), want, false);
			buf_free(&b);
		}
		ok(same, "every type with %u bytes of padding", padding);
	}
}

static void
test_longest(void)
{
	static char text[65535], want[65535 + 32];
	struct buf b;

	memset(text, 'y', sizeof(text));
	memcpy(want, text, sizeof(text));
	strcpy(want + sizeof(text), "<5/1/65535+255>");
	buf_init(&b, TALK_MAX);
	talk_record(&b, WIRE_STDIN, 1, (struct span){ text, sizeof(text) },
	    255);
	if (b.failed)
		bail();
	ok(reads(buf_span(&b), 0, 0, want, false), "the longest record");
	ok(reads(buf_span(&b), 8, 0, want, false), "… cut behind its header");
	ok(reads(buf_span(&b), 0, 4096, want, false), "… in pieces");
	buf_free(&b);
}

/* E95: what is no FastCGI is seen at the end of the first header. */
static void
test_bad(void)
{
	const struct span bad[] = {
		SPAN("\0\1\0\1\0\0\0\0"),
		SPAN("\2\1\0\1\0\0\0\0"),
		SPAN("\377\1\0\1\0\0\0\0\1\1"),
		SPAN("GET / HTTP/1.1\r\n\r\n"),
		SPAN("\x16\3\1\2\0\1\0\1\374\3\3"),
	};
	char later[] = "\1\5\0\1\0\1\2\0x..\3\5\0\1\0\0\0\0";

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(reads_split(bad[i], "", true), "no FastCGI, %zu", i);
	ok(reads_split((struct span){ later, sizeof(later) - 1 }, "x<5/1/1+2>",
	       true),
	    "a second record of another version");
	for (size_t n = 0; n < 8; n++)
		ok(reads((struct span){ "\2\2\2\2\2\2\2\2", n }, 0, 0, "",
		       false),
		    "… not before its header is whole, %zu", n);
}

int
main(void)
{
	test_records();
	test_long();
	test_between();
	test_ceiling();
	test_pair_lengths();
	test_pair_bytes();
	test_pair_cut();
	test_values();
	test_padding();
	test_longest();
	test_bad();
	return tap_done();
}
