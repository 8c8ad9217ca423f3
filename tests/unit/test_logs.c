/*
 * logs: the decisions of files, one after another, and what else is in them.
 */
#include <sysexits.h>

#include "folder.h"
#include "logs.h"
#include "tap.h"

#define LINE(id)                                                        \
	"2026-11-21T10:00:00.000Z " id " deny 403 bad-address "         \
	"version=2 endpoint=- method=GET sender=\"a\" origin=- rule=- " \
	"ms=3\n"

/* The ids of what was handed on; stops behind so many. */
struct heard {
	uint64_t id[8];
	size_t n, most;
};

static bool
take(void *ctx, const struct logread *l)
{
	struct heard *h = ctx;

	if (h->n == h->most)
		return false;
	h->id[h->n++] = l->id;
	return true;
}

static int
read_two(const char *a, const char *b, struct heard *h,
    struct logs_count *count)
{
	char *const file[] = { (char *)a, (char *)b };

	*h = (struct heard){ .most = 8 };
	return logs_read(file, b == NULL ? 1 : 2, take, h, count);
}

static void
test_good(const char *two, const char *one, const char *empty)
{
	struct logs_count c;
	struct heard h;

	ok(read_two(two, one, &h, &c) == EX_OK && h.n == 3 && h.id[0] == 1 &&
		h.id[1] == 2 && h.id[2] == 3,
	    "decisions, in their order");
	ok(c.lines == 6 && c.decisions == 3 && c.too_long == 0,
	    "and how many lines there are");
	ok(read_two(empty, NULL, &h, &c) == EX_OK && h.n == 0 && c.lines == 0,
	    "an empty file");
	ok(read_two(empty, one, &h, &c) == EX_OK && h.n == 1,
	    "and one behind it");
}

static void
test_bad(const char *one, const char *none)
{
	struct logs_count c;
	struct heard h;
	char *const file[] = { (char *)one };

	ok(read_two(one, in_folder("missing"), &h, &c) == EX_NOINPUT,
	    "a missing file");
	ok(read_two(one, folder, &h, &c) == EX_NOINPUT, "a directory");
	ok(read_two(none, NULL, &h, &c) == EX_DATAERR && h.n == 0,
	    "no decision");
	ok(read_two(none, one, &h, &c) == EX_OK, "one in another file");
	ok(read_two(folder_file("log.gz", "\x1f\x8b\x08\n" LINE("00000009"),
			0600),
	       NULL, &h, &c) == EX_DATAERR &&
		h.n == 0,
	    "gzip, whatever else is in it");
	ok(read_two(one,
	       folder_file("late", LINE("00000009") "\x1f\x8b\n", 0600), &h,
	       &c) == EX_OK &&
		h.n == 2,
	    "no gzip, as it begins otherwise");
	h = (struct heard){ .most = 0 };
	ok(logs_read(file, 1, take, &h, &c) == EX_OSERR,
	    "whoever takes them may end it");
}

static void
test_long(const char *one)
{
	static char text[1 << 20];
	struct logs_count c;
	struct heard h;

	memset(text, 'x', sizeof(text) - 1);
	ok(read_two(folder_file("long", text, 0600), one, &h, &c) == EX_OK &&
		c.lines == 2 && c.too_long == 1 && h.n == 1,
	    "a line that is too long for any");
}

int
main(void)
{
	const char *two, *one, *none;

	folder_make();
	two = folder_file("two",
	    "begun\n" LINE("00000001") "\n\xff\n" LINE("00000002"), 0600);
	one = folder_file("one", LINE("00000003"), 0600);
	none = folder_file("none", "begun\n", 0600);
	test_good(two, one, folder_file("empty", "", 0600));
	test_bad(one, none);
	test_long(one);
	folder_remove();
	return tap_done();
}
