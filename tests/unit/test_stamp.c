/* stamp: whatever makes a file another one shows. */
#include "stamp.h"

#include "folder.h"
#include "tap.h"

static void
differs(struct stamp a, struct stamp b, const char *by)
{
	ok(stamp_eq(&a, &a) && stamp_eq(&b, &b) && !stamp_eq(&a, &b) &&
		!stamp_eq(&b, &a),
	    "differs by %s", by);
}

static void
test_fields(void)
{
	const struct stat st = { .st_dev = 1,
		.st_ino = 2,
		.st_size = 3,
		.st_mtim = { 4, 5 },
		.st_ctim = { 6, 7 } };
	const struct stamp s = stamp_of(&st), none = { .there = false };
	struct stamp other;

	ok(s.there && s.dev == 1 && s.ino == 2 && s.size == 3 &&
		s.mtime.tv_sec == 4 && s.mtime.tv_nsec == 5 &&
		s.ctime.tv_sec == 6 && s.ctime.tv_nsec == 7,
	    "takes what it needs");
#define DIFFERS(field) other = s, other.field++, differs(s, other, #field)
	DIFFERS(dev);
	DIFFERS(ino);
	DIFFERS(size);
	DIFFERS(mtime.tv_sec);
	DIFFERS(mtime.tv_nsec);
	DIFFERS(ctime.tv_sec);
	DIFFERS(ctime.tv_nsec);
	other = s;
	other.there = false;
	differs(s, other, "being there");
	differs(s, none, "all");
}

/* The same name, as a list that is compiled again has. */
static void
test_files(void)
{
	const char *file = folder_file("file", "text", 0600);
	const char *other = folder_file("other", "text", 0600);
	struct stamp first = stamp_path(file), second = stamp_path(file);
	struct stat st;

	ok(first.there && first.size == 4 && stamp_eq(&first, &second),
	    "nothing was changed");
	ok(stat(file, &st) == 0, "stat");
	second = stamp_of(&st);
	ok(stamp_eq(&first, &second), "by its path, and by stat(2)");
	folder_file("file", "texts", 0600);
	differs(first, stamp_path(file), "another size");
	second = stamp_path(file);
	if (rename(other, file) == -1)
		bail();
	differs(second, stamp_path(file), "another file");
	if (unlink(file) == -1 || symlink("nowhere", file) == -1)
		bail();
	ok(!stamp_path(file).there, "a link to nothing is not there");
	differs(first, stamp_path(file), "not being there");
	first = stamp_path(file);
	second = stamp_path("");
	ok(stamp_eq(&first, &second), "what is not there has no differences");
}

int
main(void)
{
	folder_make();
	test_fields();
	test_files();
	folder_remove();
	return tap_done();
}
