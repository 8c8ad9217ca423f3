/*
 * tap: the few lines that a unit test needs (TAP, testanything.org).  Each
 * test program includes it once.
 *
 *	int main(void) { ok(1 + 1 == 2, "adds"); return tap_done(); }
 */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bail.h"
#include "span.h"

static unsigned tap_tests, tap_failed;

/* One test; the name is a printf format. */
__attribute__((format(printf, 2, 3))) static inline bool
ok(bool good, const char *name, ...)
{
	va_list ap;

	/* by lines: a child that ends, or valgrind in it, would say it again */
	if (tap_tests++ == 0)
		setvbuf(stdout, NULL, _IOLBF, 0);
	tap_failed += !good;
	printf("%sok %u - ", good ? "" : "not ", tap_tests);
	va_start(ap, name);
	vprintf(name, ap);
	va_end(ap);
	putchar('\n');
	return good;
}

/*
 * One test that nobody is let in who may not be.  It must not fail even where
 * memory is refused: tests/torture looks for these words.
 */
static inline bool
kept_out(bool in, bool may, const char *name)
{
	bool out = !in || may;

	return ok(out, "%s%s", out ? "" : "LET IN: ", name);
}

/* Says so of somebody, as the tests write decisions and answers. */
static inline bool
tap_lets_in(struct span s)
{
	return span_starts(s, SPAN("allow ")) ||
	    span_starts(s, SPAN("Status: 2"));
}

/* got is these bytes; shows both where it is not. */
static inline bool
is_span(struct span got, const char *want, const char *name)
{
	size_t n = want == NULL ? 0 : strlen(want);
	bool same = want == NULL ?
	    got.p == NULL :
	    got.p != NULL && got.n == n && memcmp(got.p, want, n) == 0;

	if (!same && tap_lets_in(got))
		return kept_out(true, tap_lets_in(span_of(want)), name);
	if (!ok(same, "%s", name)) {
		printf("# got:  %.*s\n", (int)got.n,
		    got.p == NULL ? "" : got.p);
		printf("# want: %s\n", want == NULL ? "(absent)" : want);
	}
	return same;
}

static inline int
tap_done(void)
{
	printf("1..%u\n", tap_tests);
	return tap_failed > 0 || tap_tests == 0;
}

#endif
