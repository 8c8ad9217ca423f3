/* cdbfile: what was put comes out again, and nothing that was changed does. */
#include "cdbfile.h"

#include "guard.h"
#include "tap.h"

static void
test_numbers(void)
{
	static const uint64_t numbers[] = { 0, 1, 0xff, 0x100, 0x01020304,
		UINT32_MAX, 0x0102030405060708, UINT64_MAX };
	unsigned char p[9] = "xxxxxxxx";
	unsigned wrong = 0;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		for (size_t n = 1; n <= 8; n++) {
			uint64_t kept = UINT64_MAX >> (64 - 8 * n);

			p[n] = '!';
			cdbfile_put_number(p, n, numbers[i]);
			wrong += cdbfile_number(p, n) != (numbers[i] & kept);
			wrong += p[n] != '!';
		}
	ok(wrong == 0, "numbers of each length");
	cdbfile_put_number(p, 4, 0x01020304);
	ok(memcmp(p, "\4\3\2\1", 4) == 0, "the low byte comes first");
}

/* A change of one byte, at each place of texts of each length. */
static void
test_sum(void)
{
	char text[40];
	unsigned same = 0;

	memset(text, 'a', sizeof(text));
	for (size_t n = 0; n <= sizeof(text); n++) {
		struct guard g = guard_of(text, n);
		uint64_t sum = cdbfile_sum(7, g.s.p, n);

		for (size_t i = 0; i < n; i++) {
			((char *)g.map)[g.s.p - g.map + (ptrdiff_t)i] = 'b';
			same += cdbfile_sum(7, g.s.p, n) == sum;
			((char *)g.map)[g.s.p - g.map + (ptrdiff_t)i] = 'a';
		}
		guard_free(&g);
	}
	ok(same == 0, "%u changes do not show", same);
	ok(cdbfile_sum(cdbfile_sum(0, "12345678", 8), "abc", 3) ==
		cdbfile_sum(0, "12345678abc", 11),
	    "pieces are as good as the whole");
	ok(cdbfile_sum(0, "1234567887654321", 16) !=
		cdbfile_sum(0, "8765432112345678", 16),
	    "their order counts");
}

static void
put_table(unsigned char *header, size_t i, uint32_t position, uint32_t slots)
{
	cdbfile_put_number(header + i * 8, 4, position);
	cdbfile_put_number(header + i * 8 + 4, 4, slots);
}

/* Two tables, the third and the last; the records end at 3000. */
static void
make_header(unsigned char header[CDBFILE_HEADER])
{
	for (size_t i = 0; i < CDBFILE_TABLES; i++)
		put_table(header, i, i < 3 ? 3000 : 3080, 0);
	put_table(header, 2, 3000, 10);
	put_table(header, 255, 3080, 2);
}

static void
test_tables(void)
{
	unsigned char header[CDBFILE_HEADER];
	struct cdbfile_table table[CDBFILE_TABLES];
	uint64_t end;

	make_header(header);
	ok(cdbfile_tables(header, table, &end) && end == 3096, "tables");
	ok(table[0].position == 3000 && table[0].slots == 0 &&
		table[2].slots == 10 && table[255].position == 3080 &&
		table[255].slots == 2,
	    "each of them");
	put_table(header, 100, 3081, 0);
	ok(!cdbfile_tables(header, table, &end), "a gap");
	put_table(header, 100, 3080, 1);
	ok(!cdbfile_tables(header, table, &end), "two at one place");
	make_header(header);
	put_table(header, 255, 3080, (UINT32_MAX - 3080) / 8);
	ok(cdbfile_tables(header, table, &end) && end <= UINT32_MAX,
	    "4 GiB of them");
	put_table(header, 255, 3080, (UINT32_MAX - 3080) / 8 + 1);
	ok(!cdbfile_tables(header, table, &end), "more than 4 GiB");
	put_table(header, 255, 3080, UINT32_MAX);
	ok(!cdbfile_tables(header, table, &end), "far more");
	for (size_t i = 0; i < CDBFILE_TABLES; i++)
		put_table(header, i, 2047, 0);
	ok(!cdbfile_tables(header, table, &end), "within the header");
	memset(header, 0, sizeof(header));
	ok(!cdbfile_tables(header, table, &end), "nothing but zeros");
}

static void
test_free(void)
{
	ok(cdbfile_free(2048) != 0 && cdbfile_free(UINT32_MAX - 7) != 0 &&
		cdbfile_free(2048) != cdbfile_free(2056),
	    "a free slot has its place's hash");
}

static void
test_rule(bool deny, uint32_t line)
{
	const struct cdbfile_rule in = { .deny = deny, .line = line };
	struct cdbfile_rule out = { .line = 4711 };
	struct span key = SPAN("a@company.example");
	unsigned char value[CDBFILE_RULE];
	unsigned seen = 0;

	cdbfile_put_rule(key, &in, value);
	ok(cdbfile_rule(key, value, &out) && out.deny == deny &&
		out.line == line,
	    "%s in line %u", deny ? "deny" : "allow", line);
	ok(!cdbfile_rule(SPAN("b@company.example"), value, &out) &&
		!cdbfile_rule(SPAN("a@company.exampl"), value, &out),
	    "is no other key's");
	for (size_t bit = 0; bit < 8 * sizeof(value); bit++) {
		value[bit / 8] ^= 1 << bit % 8;
		seen += !cdbfile_rule(key, value, &out);
		value[bit / 8] ^= 1 << bit % 8;
	}
	ok(seen == 8 * sizeof(value), "%u bits show", seen);
}

static const struct cdbfile_marker markers[] = {
	{ .fold_local = true, .source = { "/list", 5 } },
	{ .wide = true,
	    .rules = 1000000,
	    .size = UINT32_MAX,
	    .header = UINT64_MAX,
	    .whole = 0x0102030405060708,
	    .source = { "/etc/amp-cors/senders \xff", 23 } },
};

static void
test_marker(const struct cdbfile_marker *m)
{
	unsigned char value[CDBFILE_MARKER_MAX];
	size_t n = cdbfile_put_marker(m, value);
	struct guard g = guard_of(value, n);
	char *p = g.map + (g.s.p - g.map);
	struct cdbfile_marker out = { .size = 4711 };
	unsigned seen = 0, outdated = 0;

	ok(n == CDBFILE_FIXED + m->source.n + CDBFILE_SUMS &&
		cdbfile_marker(g.s, &out) == CDBFILE_GOOD,
	    "a marker");
	ok(out.fold_local == m->fold_local && out.wide == m->wide &&
		out.rules == m->rules && out.size == m->size &&
		out.header == m->header && out.whole == m->whole &&
		span_eq(out.source, m->source),
	    "says what it was told");
	for (size_t bit = 0; bit < 8 * n; bit++) {
		enum cdbfile_state state;

		p[bit / 8] ^= 1 << bit % 8;
		state = cdbfile_marker(g.s, &out);
		seen += state != CDBFILE_GOOD;
		outdated += state == CDBFILE_OUTDATED;
		p[bit / 8] ^= 1 << bit % 8;
	}
	ok(seen == 8 * n, "each of its bits shows");
	ok(outdated == 32, "and those of the format, as such: %u", outdated);
	guard_free(&g);
	for (size_t less = 0; less < n; less++) {
		g = guard_of(value, less);
		if (cdbfile_marker(g.s, &out) != CDBFILE_DAMAGED)
			ok(false, "%zu bytes of it", less);
		guard_free(&g);
	}
}

static void
test_sources(void)
{
	unsigned char value[CDBFILE_MARKER_MAX];
	char name[CDBFILE_SOURCE_MAX];
	struct cdbfile_marker out, m = { .source = { name, sizeof(name) } };
	struct span text = { (char *)value, 0 };

	memset(name, 'x', sizeof(name));
	text.n = cdbfile_put_marker(&m, value);
	ok(text.n == sizeof(value) &&
		cdbfile_marker(text, &out) == CDBFILE_GOOD &&
		span_eq(out.source, m.source),
	    "the longest name");
	m.source = SPAN("a\0b");
	text.n = cdbfile_put_marker(&m, value);
	ok(cdbfile_marker(text, &out) == CDBFILE_DAMAGED, "none with a NUL");
	m.source = SPAN("");
	text.n = cdbfile_put_marker(&m, value);
	ok(cdbfile_marker(text, &out) == CDBFILE_DAMAGED, "an empty one");
}

static void
test_is_marked(void)
{
	unsigned char head[CDBFILE_MARKED] = { 0 };
	struct span key = SPAN(CDBFILE_KEY);

	memcpy(head + CDBFILE_HEADER + CDBFILE_LENGTHS, key.p, key.n);
	ok(!cdbfile_is_marked(head, sizeof(head)), "no key of that length");
	cdbfile_put_number(head + CDBFILE_HEADER, 4, key.n);
	ok(cdbfile_is_marked(head, sizeof(head)), "a marker's key");
	ok(!cdbfile_is_marked(head, sizeof(head) - 1), "cut short");
	head[sizeof(head) - 1] ^= 1;
	ok(!cdbfile_is_marked(head, sizeof(head)), "another key");
}

int
main(void)
{
	test_numbers();
	test_sum();
	test_tables();
	test_free();
	test_rule(false, 0);
	test_rule(true, 0);
	test_rule(false, 0x7fffffff);
	test_rule(true, 12345);
	for (size_t i = 0; i < sizeof(markers) / sizeof(*markers); i++)
		test_marker(&markers[i]);
	test_sources();
	test_is_marked();
	return tap_done();
}
