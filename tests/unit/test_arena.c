/* arena: pieces that do not overlap, are zeroed, and end together. */
#include "arena.h"

#include <stdint.h>

#include "tap.h"

enum { PIECES = 2000 };

/* Pieces of many sizes, each filled with bytes of its own. */
static void
test_pieces(void)
{
	static unsigned char *p[PIECES];
	struct arena a = { .last = NULL };
	bool zeroed = true, aligned = true, kept = true;

	for (size_t i = 0; i < PIECES; i++) {
		p[i] = must(arena_alloc(&a, i));
		aligned &= (uintptr_t)p[i] % _Alignof(max_align_t) == 0;
		for (size_t j = 0; j < i; j++)
			zeroed &= p[i][j] == 0;
		memset(p[i], (int)(i & 0xFF), i);
	}
	for (size_t i = 0; i < PIECES; i++)
		for (size_t j = 0; j < i; j++)
			kept &= p[i][j] == (i & 0xFF);
	ok(zeroed, "zeroed");
	ok(aligned, "aligned for anything");
	ok(kept, "none lies in another");
	arena_free(&a);
	ok(a.last == NULL && !a.failed, "free: as it was");
	arena_free(&a);
	ok(arena_alloc(&a, 1) != NULL, "and of use again");
	arena_free(&a);
}

static void
test_strings(void)
{
	struct arena a = { .last = NULL };
	const char *s = arena_string(&a, SPAN("abc"));

	is_span(span_of(s), "abc", "a copy, with its NUL");
	is_span(span_of(arena_string(&a, SPAN(""))), "", "an empty one");
	arena_free(&a);
}

static void
test_no_memory(void)
{
	struct arena a = { .last = NULL };

	/* more than there can be; with its head it would wrap to a little */
	ok(arena_alloc(&a, SIZE_MAX) == NULL, "no memory: NULL");
	ok(a.failed, "… and marked");
	arena_free(&a);
}

int
main(void)
{
	test_pieces();
	test_strings();
	test_no_memory();
	return tap_done();
}
