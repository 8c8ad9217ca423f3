/* slurp: whole regular files, and a reason for everything else. */
#include "slurp.h"

#include <sys/stat.h>

#include <stdlib.h>
#include <unistd.h>

#include "folder.h"
#include "tap.h"

static void
put(const char *name, const char *bytes, size_t n, mode_t mode)
{
	int fd = open(in_folder(name), O_WRONLY | O_CREAT, 0600);

	if (fd == -1 || write(fd, bytes, n) != (ssize_t)n ||
	    fchmod(fd, mode) == -1 || close(fd) == -1)
		bail();
}

static void
reads(const char *name, const char *bytes, size_t n, mode_t mode)
{
	struct slurp s = { .p = NULL };
	struct stamp now;
	const char *fault;

	put(name, bytes, n, mode);
	now = stamp_path(in_folder(name));
	fault = slurp(in_folder(name), 10, &s);
	ok(fault == NULL && s.n == n && memcmp(s.p, bytes, n) == 0 &&
		(s.mode & 07777) == mode && stamp_eq(&s.stamp, &now),
	    "%s: all of it, its mode, and its stamp", name);
	free(s.p);
}

static void
refuses(const char *path, size_t max, const char *want)
{
	struct slurp s = { .n = 4711 };
	const char *fault = slurp(path, max, &s);

	is_span(span_of(fault), want, want);
	ok(s.n == 4711 && s.p == NULL, "… and nothing is handed out");
}

int
main(void)
{
	folder_make();
	reads("text", "some\ntext", 9, 0644);
	reads("bytes", "a\0b", 3, 0600);
	reads("empty", "", 0, 0400);
	reads("full", "0123456789", 10, 0666);
	refuses(in_folder("full"), 9, "is too large");
	refuses(in_folder("nothing"), 9, "No such file or directory");
	refuses(folder, 9, "is a directory");
	if (mkfifo(in_folder("fifo"), 0600) == -1)
		bail();
	refuses(in_folder("fifo"), 9, "is not a regular file");
	refuses("/dev/null", 9, "is not a regular file");
	/* it says that it is empty, and is not */
	refuses("/proc/self/status", 9, "changes while it is read");
	folder_remove();
	return tap_done();
}
