#include "guard.h"
#include "span.h"
#include "tap.h"

#define ABSENT ((struct span){ NULL, 0 })

static void
test_equal(void)
{
	static const struct {
		const char *a, *b;
		bool eq, caseeq, starts; /* a starts with b */
	} cases[] = {
		{ "", "", true, true, true },
		{ "a", "", false, false, true },
		{ "", "a", false, false, false },
		{ "abc", "abc", true, true, true },
		{ "abc", "abd", false, false, false },
		{ "abc", "aBC", false, true, false },
		{ "AZaz", "azAZ", false, true, false },
		{ "abcd", "abc", false, false, true },
		{ "abc", "abcd", false, false, false },
		/* one bit apart like a letter's cases, and no letters */
		{ "@[`{", "`{@[", false, false, false },
		/* letters of Latin-1, whatever the locale */
		{ "\xC4", "\xE4", false, false, false },
		{ NULL, NULL, false, false, false },
		{ NULL, "", false, false, false },
		{ "", NULL, false, false, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span a = span_of(cases[i].a), b = span_of(cases[i].b);

		ok(span_eq(a, b) == cases[i].eq, "eq, case %zu", i);
		ok(span_caseeq(a, b) == cases[i].caseeq, "caseeq, case %zu", i);
		ok(span_starts(a, b) == cases[i].starts, "starts, case %zu", i);
	}
	ok(span_eq(SPAN("a\0b"), SPAN("a\0b")) &&
		!span_eq(SPAN("a\0b"), SPAN("a\0c")),
	    "a NUL is a byte like any other");
}

static void
test_trim(void)
{
	static const char *const cases[][2] = {
		{ "", "" },
		{ " \t ", "" },
		{ "a", "a" },
		{ "\t a b\t ", "a b" },
		{ "\na\r", "\na\r" },
		{ NULL, NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span s = span_of(cases[i][0]);
		struct guard g = guard_of(s.p, s.n);

		is_span(span_trim(s.p == NULL ? s : g.s), cases[i][1], "trim");
		guard_free(&g);
	}
	is_span(span_skip(SPAN("abc"), 2), "c", "skip");
	is_span(span_skip(SPAN("abc"), 3), "", "skip all");
	ok(span_skip(ABSENT, 0).p == NULL, "skip nothing of what is absent");
	ok(span_total((struct span[]){ SPAN("abc"), ABSENT, SPAN("de") }, 3) ==
		    5 &&
		span_total(NULL, 0) == 0,
	    "the bytes of some");
}

/* Walks all of s and shows the pieces between bars. */
static const char *
pieces(struct span s, bool (*next)(struct span *rest, struct span *piece))
{
	static char out[256];
	struct span piece;
	size_t n = 0;

	out[n++] = '|';
	while (n < 200 && next(&s, &piece)) {
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%.*s|",
		    (int)piece.n, piece.p);
	}
	out[n] = '\0';
	return out;
}

static bool
cut_at_comma(struct span *rest, struct span *piece)
{
	return span_cut(rest, ',', piece);
}

static void
test_pieces(void)
{
	static const struct {
		const char *text, *cut, *words;
	} cases[] = {
		{ NULL, "|", "|" },
		{ "", "|", "|" },
		{ ",", "|||", "|" },
		{ ",,", "||||", "|" },
		{ "a", "|a|", "|a|" },
		{ "a,", "|a||", "|a|" },
		{ ",a", "||a|", "|a|" },
		{ "a,,b", "|a||b|", "|a|b|" },
		{ " \t", "| \t|", "|" },
		{ " a\tb ,\t,c, ", "| a\tb |\t|c| |", "|a|b|c|" },
		{ "a\nb", "|a\nb|", "|a\nb|" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span s = span_of(cases[i].text);
		struct guard g = guard_of(s.p, s.n);

		if (s.p != NULL)
			s = g.s;
		is_span(span_of(pieces(s, cut_at_comma)), cases[i].cut, "cut");
		is_span(span_of(pieces(s, span_word)), cases[i].words, "words");
		guard_free(&g);
	}
}

static void
test_rest(void)
{
	struct span rest = SPAN("name=a=b"), piece;

	span_cut(&rest, '=', &piece);
	is_span(piece, "name", "the piece in front");
	is_span(rest, "a=b", "the rest behind it, whole");
	rest = SPAN("name=");
	span_cut(&rest, '=', &piece);
	is_span(rest, "", "nothing behind the separator: empty");
	rest = SPAN("name");
	span_cut(&rest, '=', &piece);
	is_span(rest, NULL, "no separator: absent");
}

static void
test_number(void)
{
	static const struct {
		const char *text;
		uint64_t max;
		bool good;
		uint64_t value;
	} cases[] = {
		{ "0", 0, true, 0 },
		{ "1", 0, false, 0 },
		{ "007", 9, true, 7 },
		{ "65535", 65535, true, 65535 },
		{ "65536", 65535, false, 0 },
		{ "8", 7, false, 0 },
		{ "10", 5, false, 0 },
		{ "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, false, 0 },
		{ "99999999999999999999", UINT64_MAX, false, 0 },
		{ "00000000000000000000000000001", 1, true, 1 },
		{ NULL, 9, false, 0 },
		{ "", 9, false, 0 },
		{ "+5", 9, false, 0 },
		{ "-1", 9, false, 0 },
		{ " 5", 9, false, 0 },
		{ "5 ", 9, false, 0 },
		{ "0x5", 9, false, 0 },
		{ "5a", 999, false, 0 },
		{ "/", 9, false, 0 },
		{ ":", 99, false, 0 },
		{ "\xB2", 9, false, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t n = 4711;
		bool good =
		    span_number(span_of(cases[i].text), cases[i].max, &n);

		ok(good == cases[i].good && n == (good ? cases[i].value : 4711),
		    "number \"%s\"",
		    cases[i].text == NULL ? "(absent)" : cases[i].text);
	}
}

static void
test_bytes(void)
{
	unsigned graph = 0, moved = 0;

	for (int i = 0; i < 256; i++) {
		graph += span_graph((char)i) == (i > 0x20 && i < 0x7F);
		moved += span_lower((char)i) !=
		    (i >= 'A' && i <= 'Z' ? (char)(i + 32) : (char)i);
	}
	ok(graph == 256, "graph: 0x21 to 0x7E alone");
	ok(moved == 0, "lower: A to Z alone");
}

static void
test_escape(void)
{
	static const struct {
		const char *text;
		int byte;
	} cases[] = {
		{ "%41", 'A' },
		{ "%4142", 'A' },
		{ "%00", 0 },
		{ "%ff", 0xFF },
		{ "%aF", 0xAF },
		{ "%2F%2f", '/' },
		{ "", -1 },
		{ "%", -1 },
		{ "%4", -1 },
		{ "41", -1 },
		{ "a41", -1 },
		{ "%%41", -1 },
		{ "%4g", -1 },
		{ "%g4", -1 },
		{ "%+1", -1 },
		{ "% 1", -1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guard g = guard_of(cases[i].text, strlen(cases[i].text));
		struct span s = g.s;
		int byte = span_escape(&s);

		ok(byte == cases[i].byte && s.n == g.s.n - (byte < 0 ? 0 : 3),
		    "escape \"%s\"", cases[i].text);
		guard_free(&g);
	}
}

int
main(void)
{
	test_equal();
	test_trim();
	test_pieces();
	test_rest();
	test_number();
	test_bytes();
	test_escape();
	return tap_done();
}
