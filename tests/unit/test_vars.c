/*
 * vars: variables in strings and in pairs, their names, and which were seen.
 */
#include "vars.h"

#include <stdlib.h>

#include "guard.h"
#include "tap.h"

/* --- names --- */

/* Is a name of n bytes, the one at `at` being c, as good as it should be? */
static bool
name_is_right(size_t n, size_t at, unsigned c)
{
	bool want = c > ' ' && c != 0x7f && c != '=', got;
	struct guard g;
	char name[32];

	memset(name, 'A', n);
	name[at] = (char)c;
	g = guard_of(name, n);
	got = vars_name_valid(g.s);
	guard_free(&g);
	return got == want;
}

static void
test_names(void)
{
	ok(vars_name_valid(SPAN("HTTP_X")) && vars_name_valid(SPAN("x")) &&
		vars_name_valid(SPAN("1-\xc3\xa4.%{}")),
	    "good names");
	ok(!vars_name_valid(SPAN("")), "an empty name");
	for (size_t n = 1; n <= 25; n++) {
		bool good = true;

		for (size_t at = 0; at < n; at++)
			for (unsigned c = 0; c < 256; c++)
				good &= name_is_right(n, at, c);
		ok(good, "every byte in every place of %zu", n);
	}
}

static void
test_hash(void)
{
	uint32_t a, b, c;

	vars_hash(SPAN("HTTP_ORIGIN"), &a);
	vars_hash(SPAN("HTTP_ORIGINS"), &b);
	vars_hash(SPAN("HTTP_ORIGIM"), &c);
	ok(a != b && a != c && b != c, "names that differ by a byte");
	vars_hash(SPAN("AAAAAAAA"), &a);
	vars_hash(SPAN("AAAAAAAAA"), &b);
	ok(a != b, "names that differ by their lengths");
}

/* --- one after the other --- */

/* "NAME=VALUE;", "?" for what cannot be passed on. */
static void
show(const struct vars *vars, struct buf *out)
{
	struct var v;

	for (size_t at = 0; vars_next(vars, &at, &v);) {
		if (!v.valid) {
			buf_add_str(out, "?;");
			continue;
		}
		buf_add_span(out, v.name);
		buf_add_char(out, '=');
		buf_add_span(out, vars_value(&v));
		buf_add_char(out, ';');
	}
}

static void
shows(const struct vars *vars, const char *want, const char *name)
{
	struct buf got;

	buf_init(&got, 4096);
	show(vars, &got);
	is_span(buf_span(&got), want, name);
	buf_free(&got);
}

static void
test_strings(void)
{
	char *strings[] = { (char[]){ "A=b" }, (char[]){ "none" },
		(char[]){ "=x" }, (char[]){ "B C=d" }, (char[]){ "LONGER_1=" },
		(char[]){ "D=e=f" }, NULL };
	const struct vars vars = { .strings = strings };

	shows(&vars, "A=b;?;?;?;LONGER_1=;D=e=f;", "strings");
	ok(vars_count(&vars) == 6, "their number");
	strings[0] = NULL;
	shows(&vars, "", "no strings");
}

static void
test_pairs(void)
{
	struct buf b;
	struct vars vars = { .strings = NULL };
	struct guard g;

	shows(&vars, "", "no pairs");
	buf_init(&b, 4096);
	wire_add_pair(&b, SPAN("A"), SPAN("b"));
	wire_add_pair(&b, SPAN("A=B"), SPAN("c"));
	wire_add_pair(&b, SPAN(""), SPAN("d"));
	wire_add_pair(&b, SPAN("NUL"), SPAN("x\0y"));
	wire_add_pair(&b, SPAN("EMPTY"), SPAN(""));
	if (b.failed)
		bail();
	g = guard_of(b.p, b.n);
	vars.pairs = g.s;
	shows(&vars, "A=b;?;?;NUL=x;EMPTY=;", "pairs");
	ok(vars_count(&vars) >= 5, "at least as many");
	guard_free(&g);
	buf_free(&b);
}

/* --- seen --- */

enum { MANY = SEEN_NAMES + 1 };

static void
test_seen(void)
{
	static char text[MANY][16], *strings[MANY + 1];
	const struct vars vars = { .strings = strings };
	struct seen *s = must(malloc(sizeof(*s)));
	size_t at = 0, place = 0;
	struct var v;
	bool good = true;

	for (size_t i = 0; i < MANY; i++) {
		snprintf(text[i], sizeof(text[i]), "N%zu=", i);
		strings[i] = text[i];
	}
	ok(seen_init(s, &vars, MANY) == 3, "in three rounds");
	seen_begin(s);
	for (; vars_next(&vars, &at, &v) && at <= SEEN_NAMES; place = at) {
		uint32_t *found = seen_find(s, &v, place);

		good &= found != NULL && *found == place;
	}
	ok(good, "as many as there is room for are new");
	ok(seen_find(s, &v, place) == NULL, "and not one more");
	at = 7;
	vars_next(&vars, &at, &v);
	ok(*seen_find(s, &v, 4000) == 7, "one of before is found");
	*seen_find(s, &v, 4000) = 7;
	s->looks = 0;
	ok(seen_find(s, &v, 4000) == NULL, "but patience has its end");
	seen_begin(s);
	ok(*seen_find(s, &v, 4000) == 4000, "the next round knows none");
	free(s);
}

int
main(void)
{
	test_names();
	test_hash();
	test_strings();
	test_pairs();
	test_seen();
	return tap_done();
}
