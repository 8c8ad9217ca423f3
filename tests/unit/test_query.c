#include "guard.h"
#include "query.h"
#include "tap.h"

#define NAME "__amp_source_origin"

static const struct {
	const char *query;
	enum query_result result;
	const char *value;
} cases[] = {
	/* plain */
	{ NAME "=a@b.example", QUERY_FOUND, "a@b.example" },
	{ "x=1&" NAME "=a@b.example&y=2", QUERY_FOUND, "a@b.example" },
	{ "&&" NAME "=v&&", QUERY_FOUND, "v" },
	{ NAME "=a=b", QUERY_FOUND, "a=b" },
	{ NAME "=a;b", QUERY_FOUND, "a;b" },
	{ NAME "=a?b", QUERY_FOUND, "a?b" },
	{ NAME "=https://playground.amp.dev", QUERY_FOUND,
	    "https://playground.amp.dev" },
	/* absent */
	{ NULL, QUERY_ABSENT, NULL },
	{ "", QUERY_ABSENT, NULL },
	{ "&", QUERY_ABSENT, NULL },
	{ "=", QUERY_ABSENT, NULL },
	{ "=" NAME, QUERY_ABSENT, NULL },
	{ "x=1", QUERY_ABSENT, NULL },
	{ NAME, QUERY_ABSENT, NULL },
	{ NAME "=", QUERY_ABSENT, NULL },
	{ "x=1&" NAME "=&y=2", QUERY_ABSENT, NULL },
	{ "_" NAME "=v", QUERY_ABSENT, NULL },
	{ NAME "_=v", QUERY_ABSENT, NULL },
	{ "__amp_source_origi=v", QUERY_ABSENT, NULL },
	{ "__AMP_SOURCE_ORIGIN=v", QUERY_ABSENT, NULL },
	{ " " NAME "=v", QUERY_ABSENT, NULL },
	{ NAME "[]=v", QUERY_ABSENT, NULL },
	{ "x=1;" NAME "=v", QUERY_ABSENT, NULL },
	{ "x=" NAME "=v", QUERY_ABSENT, NULL },
	/* decoded once, strictly, and '+' is no blank */
	{ NAME "=a%40b.example", QUERY_FOUND, "a@b.example" },
	{ NAME "=a+b@c.example", QUERY_FOUND, "a+b@c.example" },
	{ NAME "=a%2Bb%2bc", QUERY_FOUND, "a+b+c" },
	{ NAME "=%2540", QUERY_FOUND, "%40" },
	{ NAME "=%26%3D%3d", QUERY_FOUND, "&==" },
	{ NAME "=%0d%0AX:%20y", QUERY_FOUND, "\r\nX: y" },
	{ NAME "=%c3%BF\xC3", QUERY_FOUND, "\xC3\xBF\xC3" },
	{ NAME "=%", QUERY_BAD_ENCODING, NULL },
	{ NAME "=a%", QUERY_BAD_ENCODING, NULL },
	{ NAME "=a%4", QUERY_BAD_ENCODING, NULL },
	{ NAME "=%4&x=0", QUERY_BAD_ENCODING, NULL },
	{ NAME "=%zz", QUERY_BAD_ENCODING, NULL },
	{ NAME "=%4g", QUERY_BAD_ENCODING, NULL },
	{ NAME "=%G4", QUERY_BAD_ENCODING, NULL },
	{ NAME "=%+4", QUERY_BAD_ENCODING, NULL },
	{ NAME "=% 4", QUERY_BAD_ENCODING, NULL },
	{ NAME "=%0x41", QUERY_BAD_ENCODING, NULL },
	{ NAME "=%u0041", QUERY_BAD_ENCODING, NULL },
	{ NAME "=%%41", QUERY_BAD_ENCODING, NULL },
	{ NAME "=%00", QUERY_BAD_ENCODING, NULL },
	{ NAME "=a%00b", QUERY_BAD_ENCODING, NULL },
	{ "x=%zz&%=%&" NAME "=v", QUERY_FOUND, "v" },
	/* encoded names are seen */
	{ "%5F%5famp_source_origin=v", QUERY_FOUND, "v" },
	{ "__amp_source_origi%6E=v", QUERY_FOUND, "v" },
	{ "__amp_source_origi%6E", QUERY_ABSENT, NULL },
	{ "__amp_source_origin%3Dx=v", QUERY_ABSENT, NULL },
	{ "__amp_source_origin%00=v", QUERY_ABSENT, NULL },
	{ "__amp_source_origin%=v", QUERY_ABSENT, NULL },
	{ "__amp_source_origi%6=v", QUERY_ABSENT, NULL },
	{ "%255F_amp_source_origin=v", QUERY_ABSENT, NULL },
	/* a repetition, which wins over everything */
	{ NAME "=v&" NAME "=v", QUERY_REPEATED, NULL },
	{ NAME "=v&x=1&" NAME "=w", QUERY_REPEATED, NULL },
	{ NAME "=v&" NAME, QUERY_REPEATED, NULL },
	{ NAME "&" NAME, QUERY_REPEATED, NULL },
	{ NAME "=&" NAME "=v", QUERY_REPEATED, NULL },
	{ NAME "=%zz&" NAME "=v", QUERY_REPEATED, NULL },
	{ NAME "=v&%5F%5Famp%5Fsource_origin=w", QUERY_REPEATED, NULL },
	{ NAME "=v&" NAME "=%00", QUERY_REPEATED, NULL },
	/* too long for its 32 bytes: 32, 33; decoded lengths count */
	{ NAME "=01234567890123456789012345678901", QUERY_FOUND,
	    "01234567890123456789012345678901" },
	{ NAME "=012345678901234567890123456789012", QUERY_TOO_LONG, NULL },
	{ NAME "=%30123456789012345678901234567890%31", QUERY_FOUND,
	    "01234567890123456789012345678901" },
	{ NAME "=0123456789012345678901234567890123%zz", QUERY_BAD_ENCODING,
	    NULL },
};

static const char *const words[] = { "absent", "found", "repeated",
	"bad encoding", "too long" };

static void
test_get(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span s = span_of(cases[i].query);
		char room[32] = { 0 };
		struct guard g = guard_of(s.p, s.n);
		struct guard out = guard_of(room, sizeof(room));
		size_t n = 4711;
		enum query_result got = query_get(s.p == NULL ? s : g.s,
		    SPAN(NAME), (char *)out.s.p, out.s.n, &n);

		ok(got == cases[i].result, "%s: %s, is %s",
		    s.p == NULL ? "(absent)" : s.p, words[cases[i].result],
		    words[got]);
		if (got == QUERY_FOUND)
			is_span((struct span){ out.s.p, n }, cases[i].value,
			    "its value");
		else
			ok(n == 4711, "and writes nothing");
		guard_free(&g);
		guard_free(&out);
	}
}

/* A name in which every subset of three bytes is escaped is that name. */
static void
test_escaped_names(void)
{
	unsigned wrong = 0;
	size_t n;
	char text[128], out[8];

	for (unsigned mask = 0; mask < 1U << (sizeof(NAME) - 1); mask += 37) {
		char *to = text;

		for (size_t i = 0; i < sizeof(NAME) - 1; i++)
			to += sprintf(to, mask >> i & 1 ? "%%%02X" : "%c",
			    (unsigned char)NAME[i]);
		strcpy(to, "=v&" NAME);
		wrong += query_get(span_of(text), SPAN(NAME), out, sizeof(out),
			     &n) != QUERY_REPEATED;
		to[2] = '\0';
		wrong += query_get(span_of(text), SPAN(NAME), out, sizeof(out),
			     &n) != QUERY_FOUND;
	}
	ok(wrong == 0, "escapes in a name hide nothing");
}

static void
test_decode(void)
{
	char out[4];
	size_t n = 0;
	unsigned wrong = 0;

	ok(query_decode(SPAN("a%2fb"), out, sizeof(out), &n) && n == 3 &&
		memcmp(out, "a/b", 3) == 0,
	    "decodes");
	ok(query_decode(SPAN(""), out, 0, &n) && n == 0, "nothing to nothing");
	ok(query_decode(SPAN("%41%42%43%44"), out, sizeof(out), &n) && n == 4,
	    "fills its output");
	ok(!query_decode(SPAN("abcde"), out, sizeof(out), &n) && n == 4,
	    "not past it");
	ok(!query_decode(SPAN("%00"), out, sizeof(out), &n), "no NUL");
	for (unsigned i = 1; i < 256; i++) {
		char lower[8], upper[8];

		sprintf(lower, "%%%02x", i);
		sprintf(upper, "%%%02X", i);
		wrong += !query_decode(span_of(lower), out, 1, &n) ||
		    (unsigned char)out[0] != i;
		wrong += !query_decode(span_of(upper), out, 1, &n) ||
		    (unsigned char)out[0] != i;
	}
	ok(wrong == 0, "every byte but NUL, in both cases");
}

int
main(void)
{
	test_get();
	test_escaped_names();
	test_decode();
	return tap_done();
}
