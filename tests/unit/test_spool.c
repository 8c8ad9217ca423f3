/*
 * spool: bodies of every length around its limits, and what can go wrong while
 * one comes.
 */
#include "spool.h"

#include <sys/resource.h>

#include "fake.h"
#include "folder.h"
#include "io.h"
#include "tap.h"

static char text[300000];

/* Is this what a handler would read, and nothing more? */
static bool
holds(const struct spool *s, size_t n)
{
	static char got[300000 + 1];
	size_t used = 0;
	ssize_t r;

	while (used < sizeof(got) &&
	    (r = read(s->fd, got + used, sizeof(got) - used)) > 0)
		used += (size_t)r;
	return used == n && memcmp(got, text, n) == 0;
}

static void
test_size(size_t n, size_t piece, bool on_disk)
{
	struct spool s;
	struct fake f;

	fake_init(&f, NULL, (struct span){ text, n });
	f.piece = piece;
	spool_init(&s);
	ok(spool_fill(&s, &f.x, 1 << 20, 60) == REASON_OK && s.length == n &&
		s.on_disk == on_disk && f.rest.n == 0,
	    "%zu bytes in pieces of %zu", n, piece);
	ok(lseek(s.fd, 0, SEEK_CUR) == 0 && holds(&s, n) &&
		(fcntl(s.fd, F_GETFD) & FD_CLOEXEC) != 0,
	    "… to be read from the first on");
	spool_free(&s);
	ok(s.fd == -1, "… and given back");
	spool_free(&s);
	fake_free(&f);
}

static void
test_empty(void)
{
	struct spool s;
	struct fake f;

	fake_init(&f, NULL, SPAN(""));
	spool_init(&s);
	ok(spool_fill(&s, &f.x, 0, 60) == REASON_OK && s.length == 0 &&
		s.fd == -1,
	    "nothing needs no file");
	spool_free(&s);
	fake_free(&f);
}

/* One result of filling with that. */
static void
is_filled(struct fake *f, uint64_t max, unsigned timeout, enum reason want,
    const char *name)
{
	struct spool s;
	enum reason got;

	spool_init(&s);
	got = spool_fill(&s, &f->x, max, timeout);
	ok(got == want, "%s: %s", name, reason_word(got));
	spool_free(&s);
	fake_free(f);
}

static void
test_max(void)
{
	struct fake f;

	fake_init(&f, NULL, (struct span){ text, 5000 });
	is_filled(&f, 5000, 60, REASON_OK, "as much as may be");
	fake_init(&f, NULL, (struct span){ text, 5001 });
	is_filled(&f, 5000, 60, REASON_BODY_TOO_LARGE, "a byte more");
	fake_init(&f, NULL, (struct span){ text, 200000 });
	f.held = true;
	is_filled(&f, 100000, 60, REASON_BODY_TOO_LARGE,
	    "… before the end has come");
	fake_init(&f, NULL, (struct span){ text, 1 });
	is_filled(&f, 0, 60, REASON_BODY_TOO_LARGE, "none may be");
}

static void
test_broken(void)
{
	struct fake f;
	int64_t before;

	fake_init(&f, NULL, (struct span){ text, 100 });
	f.gives_up = true;
	is_filled(&f, 5000, 60, REASON_CLIENT_GONE, "given up");
	fake_init(&f, NULL, (struct span){ text, 100 });
	f.held = true;
	fake_leave(&f);
	is_filled(&f, 5000, 60, REASON_CLIENT_GONE, "the client has gone");
	fake_init(&f, NULL, (struct span){ text, 100 });
	f.held = true;
	fake_stop(&f, SIGTERM);
	is_filled(&f, 5000, 60, REASON_CLIENT_GONE, "told to stop");
	before = io_now();
	fake_init(&f, NULL, (struct span){ text, 100 });
	f.held = true;
	fake_stop(&f, 0);
	is_filled(&f, 5000, 1, REASON_BODY_TIMEOUT, "a body that stalls");
	ok(io_now() - before >= 1000, "… for a second");
}

/* The clock begins anew with every piece. */
static void
test_slow(void)
{
	struct fake f;
	int64_t before = io_now();

	fake_init(&f, NULL, (struct span){ text, 5 });
	f.piece = 1;
	f.nap = 300;
	is_filled(&f, 100, 1, REASON_OK, "a body that is slow");
	ok(io_now() - before > 1000, "… for more than a second");
}

static bool
set_tmpdir(const char *dir)
{
	return setenv("TMPDIR", dir, 1) == 0;
}

/* Where the file lies, and that it has no name there. */
static void
test_tmpdir(void)
{
	char link[64], where[PATH_MAX] = "";
	struct spool s;
	struct fake f;

	fake_init(&f, NULL, (struct span){ text, 100000 });
	spool_init(&s);
	ok(set_tmpdir(folder) &&
		spool_fill(&s, &f.x, 1 << 20, 60) == REASON_OK && s.on_disk,
	    "a file in TMPDIR");
	snprintf(link, sizeof(link), "/proc/self/fd/%d", s.fd);
	ok(readlink(link, where, sizeof(where) - 1) > 0 &&
		strncmp(where, folder, strlen(folder)) == 0 &&
		strstr(where, " (deleted)") != NULL,
	    "… that has no name");
	spool_free(&s);
	fake_free(&f);
	ok(rmdir(folder) == 0 && mkdir(folder, 0700) == 0,
	    "… and leaves nothing");

	fake_init(&f, NULL, (struct span){ text, 100000 });
	set_tmpdir(in_folder("none"));
	is_filled(&f, 1 << 20, 60, REASON_OVERLOADED, "no such TMPDIR");
	fake_init(&f, NULL, (struct span){ text, 65536 });
	is_filled(&f, 1 << 20, 60, REASON_OK, "… is not wanted for little");
	fake_init(&f, NULL, (struct span){ text, 100000 });
	set_tmpdir("relative");
	is_filled(&f, 1 << 20, 60, REASON_OK, "one that is no path is not it");
	unsetenv("TMPDIR");
}

static void
test_overloaded(void)
{
	struct rlimit old, none;
	struct fake f;

	getrlimit(RLIMIT_NOFILE, &old);
	fake_init(&f, NULL, (struct span){ text, 100 });
	none = (struct rlimit){ 3, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	is_filled(&f, 5000, 60, REASON_OVERLOADED, "no descriptor");
	setrlimit(RLIMIT_NOFILE, &old);

	getrlimit(RLIMIT_FSIZE, &old);
	fake_init(&f, NULL, (struct span){ text, sizeof(text) });
	none = (struct rlimit){ 100000, old.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &none);
	is_filled(&f, 1 << 20, 60, REASON_OVERLOADED, "no room on the disk");
	setrlimit(RLIMIT_FSIZE, &old);
	signal(SIGXFSZ, SIG_DFL);
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 31 % 251);
	folder_make();
	test_empty();
	test_size(1, 4096, false);
	test_size(5000, 7, false);
	test_size(65535, 4096, false);
	test_size(65536, 4096, false);
	test_size(65537, 4096, true);
	test_size(65537, 65537, true);
	test_size(300000, 10000, true);
	test_max();
	test_broken();
	test_slow();
	test_tmpdir();
	test_overloaded();
	folder_remove();
	return tap_done();
}
