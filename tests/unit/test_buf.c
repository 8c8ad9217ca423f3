#include <string.h>

#include "buf.h"
#include "tap.h"

/* The address sanitizer would end the program where malloc() must fail. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void
test_add(void)
{
	struct buf b;

	buf_init(&b, 100);
	ok(b.p == NULL && !b.failed, "init allocates nothing");
	is_span(buf_span(&b), "", "an empty buffer is empty, not absent");
	buf_add(&b, NULL, 0);
	buf_add_span(&b, (struct span){ NULL, 0 });
	ok(b.n == 0 && !b.failed, "nothing, added, is nothing");
	buf_add_str(&b, "n=");
	buf_add_number(&b, 0);
	buf_add_char(&b, ' ');
	buf_add_number(&b, UINT64_MAX);
	buf_add_span(&b, SPAN(" end"));
	is_span(buf_span(&b), "n=0 18446744073709551615 end", "adds");
	if (b.failed)
		bail();
	buf_drop(&b, 4);
	is_span(buf_span(&b), "18446744073709551615 end", "drop");
	buf_drop(&b, 0);
	buf_drop(&b, b.n);
	is_span(buf_span(&b), "", "drop all");
	buf_free(&b);
	buf_free(&b);
	ok(b.p == NULL && b.n == 0 && b.max == 100, "free, twice");
	buf_drop(&b, 0);
	buf_add_str(&b, "again");
	is_span(buf_span(&b), "again", "a freed buffer is an empty one");
	buf_free(&b);
}

/* Every ceiling around the sizes that a buffer grows by. */
static void
test_ceiling(void)
{
	unsigned wrong = 0;

	for (size_t max = 0; max < 1100; max++) {
		struct buf b;

		buf_init(&b, max);
		for (size_t i = 0; i < max; i++)
			buf_add_char(&b, (char)i);
		wrong += b.failed || b.n != max || b.cap > max;
		for (size_t i = 0; i < b.n; i++)
			wrong += b.p[i] != (char)i;
		buf_add_char(&b, 'x');
		wrong += !b.failed || b.n != max;
		buf_free(&b);
	}
	ok(wrong == 0, "a buffer holds its ceiling exactly, and no more");
}

static void
test_failed(void)
{
	struct buf b;

	buf_init(&b, 4);
	buf_add_str(&b, "abc");
	buf_add_str(&b, "de");
	ok(b.failed, "one byte too many fails");
	is_span(buf_span(&b), "abc", "all or none");
	buf_add_char(&b, 'd');
	is_span(buf_span(&b), "abc", "a failed buffer takes no more");
	ok(buf_room(&b, 0) == NULL, "nor has it room");
	buf_clear(&b);
	ok(!b.failed && b.n == 0 && b.cap > 0, "clear keeps the memory");
	buf_add_str(&b, "wxyz");
	is_span(buf_span(&b), "wxyz", "and makes it usable");
	ok(buf_room(&b, SIZE_MAX) == NULL && b.failed, "no room past SIZE_MAX");
	buf_free(&b);

	buf_init(&b, SIZE_MAX);
	buf_add_char(&b, 'a');
	ok(buf_room(&b, SIZE_MAX / 4) == NULL && b.failed,
	    "out of memory marks it");
	is_span(buf_span(&b), "a", "and keeps what it had");
	buf_free(&b);
}

static void
test_room(void)
{
	struct buf b;
	char *room;

	buf_init(&b, 1000);
	ok(buf_room(&b, 0) != NULL, "room for nothing can be had");
	buf_add_str(&b, "ab");
	room = must(buf_room(&b, 998));
	memset(room, 'c', 998);
	is_span(buf_span(&b), "ab", "what is in the room does not count yet");
	b.n += 3;
	is_span(buf_span(&b), "abccc", "until it is counted");
	buf_free(&b);

	buf_init(&b, 0);
	ok(buf_room(&b, 0) != NULL && !b.failed, "also under a ceiling of 0");
	ok(buf_room(&b, 1) == NULL && b.failed, "but not for one byte");
	buf_free(&b);
}

int
main(void)
{
	test_add();
	test_ceiling();
	test_failed();
	test_room();
	return tap_done();
}
