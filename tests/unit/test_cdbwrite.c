/*
 * cdbwrite: a file is replaced whole or not at all, whatever fails; and it is
 * a cdb to everybody who reads those.
 */
#include "cdbwrite.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>

#include <cdb.h>

#include "cdbfile.h"
#include "cdblist.h"
#include "folder.h"
#include "tap.h"

/* One of the calls that can fail does, as on a full disk. */
static struct {
	unsigned at; /* counts down; 0: none */
	bool renamed;
	unsigned synced, synced_before; /* … that */
} failing;

static bool
fails(void)
{
	errno = ENOSPC;
	return failing.at > 0 && --failing.at == 0;
}

ssize_t
write(int fd, const void *p, size_t n)
{
	return fails() ? -1 : syscall(SYS_write, fd, p, n);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	return fails() ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t
pread(int fd, void *p, size_t n, off_t at)
{
	return fails() ? -1 : syscall(SYS_pread64, fd, p, n, at);
}

int
fsync(int fd)
{
	failing.synced++;
	return fails() ? -1 : (int)syscall(SYS_fsync, fd);
}

int
fchmod(int fd, mode_t mode)
{
	return fails() ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}

/* Whether owners may be changed, and to whom one was. */
static struct {
	bool forbidden;
	uid_t uid;
	gid_t gid;
} owners;

int
fchown(int fd, uid_t uid, gid_t gid)
{
	(void)fd;
	owners.uid = uid;
	owners.gid = gid;
	errno = EPERM;
	return owners.forbidden ? -1 : 0;
}

int
getentropy(void *p, size_t n)
{
	return fails() ? -1 : syscall(SYS_getrandom, p, n, 0) == -1 ? -1 : 0;
}

int
rename(const char *from, const char *to)
{
	if (fails() || syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0))
		return -1;
	failing.renamed = true;
	failing.synced_before = failing.synced;
	return 0;
}

/* --- writing */

static const struct cdbwrite_about usual = { .text = "/etc/list",
	.fold_local = true,
	.max = CDBWRITE_MAX };

static const char *
key_of(unsigned i)
{
	static char key[64];

	snprintf(key, sizeof(key), "user%u@company.example", i);
	return key;
}

/* n rules, each of them in its own line. */
static const char *
fill(struct cdbwrite *w, unsigned n)
{
	const char *fault = NULL;

	for (unsigned i = 0; fault == NULL && i < n; i++)
		fault = cdbwrite_add(w, span_of(key_of(i)), i % 2 == 1, i + 1);
	return fault;
}

/* Its fault, or NULL.  Nothing but the file is left. */
static const char *
make(const char *file, const struct cdbwrite_about *about, unsigned n)
{
	struct cdbwrite *w = NULL;
	const char *fault = cdbwrite_open(file, about, &w);
	uint64_t size = 0;
	struct stat st;

	if (fault == NULL)
		fault = fill(w, n);
	if (fault == NULL)
		fault = cdbwrite_finish(w, &size);
	if (fault == NULL &&
	    (stat(file, &st) == -1 || st.st_size != (off_t)size))
		fault = "has another size than was said";
	cdbwrite_free(w);
	return fault;
}

static void
makes(const char *file, unsigned n)
{
	const char *fault = make(file, &usual, n);

	ok(fault == NULL, "%u rules: %s", n, fault == NULL ? "" : fault);
}

/* How many rules a list has that is whole; -1: it is none. */
static int
count(const char *file)
{
	struct cdblist_fault fault;
	struct cdblist *c = cdblist_open(file, true, true, &fault);
	int n = c == NULL ? -1 : (int)cdblist_count(c);

	cdblist_free(c);
	return n;
}

static unsigned
files(void)
{
	DIR *d = opendir(folder);
	unsigned n = 0;

	if (d == NULL)
		bail();
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

/* --- what was written */

static bool
has(struct cdb *c, const char *key)
{
	return cdb_find(c, key, (unsigned)strlen(key)) > 0;
}

/* libcdb's own reader: the marks in free slots do not bother it. */
static void
test_libcdb(void)
{
	const char *file = in_folder("cdb");
	unsigned n = 0, found = 0, strangers = 0, at;
	struct cdb c;
	int fd;

	makes(file, 1000);
	fd = open(file, O_RDONLY);
	if (fd == -1 || cdb_init(&c, fd) == -1)
		bail();
	for (unsigned i = 0; i < 2000; i++)
		if (i < 1000)
			found += has(&c, key_of(i));
		else
			strangers += has(&c, key_of(i));
	ok(found == 1000 && strangers == 0, "%u found, %u strangers", found,
	    strangers);
	cdb_seqinit(&at, &c);
	while (cdb_seqnext(&at, &c) > 0)
		n++;
	ok(n == 1001, "%u entries, the marker one of them", n);
	cdb_free(&c);
	close(fd);
	unlink(file);
}

static void
test_marker(void)
{
	const struct cdbwrite_about about = { .text = "/a/text list",
		.wide = true,
		.max = CDBWRITE_MAX };
	const char *file = in_folder("cdb");
	struct cdblist_fault fault;
	struct cdblist *c;

	ok(make(file, &about, 3) == NULL, "a list");
	c = cdblist_open(file, false, true, &fault);
	ok(c != NULL && cdblist_wide(c) && cdblist_count(c) == 3 &&
		strcmp(cdblist_text(c), about.text) == 0,
	    "with what it is about");
	cdblist_free(c);
	unlink(file);
}

static void
test_repeatable(void)
{
	static char first[1 << 18];
	const char *a = in_folder("a"), *b = in_folder("b");
	int fd;
	ssize_t n;

	makes(a, 500);
	makes(b, 500);
	fd = open(a, O_RDONLY);
	n = read(fd, first, sizeof(first));
	close(fd);
	ok(n > 0 && (size_t)n < sizeof(first) &&
		memcmp(first, folder_text("b"), (size_t)n) == 0,
	    "the same rules make the same bytes");
	unlink(a);
	unlink(b);
}

/* --- in the place of what */

/* A file of n bytes, which has the key of a marker where one is told. */
static void
put_there(const char *file, size_t n, const char *key)
{
	unsigned char bytes[CDBFILE_HEADER + 64] = "[policy]\n";
	FILE *f = fopen(file, "w");

	cdbfile_put_number(bytes + CDBFILE_HEADER, 4, strlen(key));
	memcpy(bytes + CDBFILE_HEADER + CDBFILE_LENGTHS, key, strlen(key));
	if (f == NULL || fwrite(bytes, 1, n, f) != n || fclose(f) != 0)
		bail();
}

static const struct {
	const char *name, *key;
	size_t n;
	bool replaced;
} there[] = {
	{ "an empty file", "", 0, true },
	{ "a short file", "", 9, false },
	{ "a text", "", CDBFILE_HEADER + 64, false },
	{ "another's cdb", "amp-cors lisp", CDBFILE_HEADER + 64, false },
	{ "a longer key", CDBFILE_KEY "s", CDBFILE_HEADER + 64, false },
	{ "a list that lost its rules", CDBFILE_KEY, CDBFILE_MARKED, true },
	{ "… and its key", CDBFILE_KEY, CDBFILE_MARKED - 1, false },
	{ "a damaged list", CDBFILE_KEY, CDBFILE_HEADER + 64, true },
};

/* What is no compiled list stays. */
static void
test_there(void)
{
	const char *file = in_folder("cdb");
	struct stat st;

	for (size_t i = 0; i < sizeof(there) / sizeof(*there); i++) {
		const char *fault;

		put_there(file, there[i].n, there[i].key);
		fault = make(file, &usual, 3);
		ok((fault == NULL) == there[i].replaced &&
			(fault == NULL ||
			    (errno == EEXIST && stat(file, &st) == 0 &&
				st.st_size == (off_t)there[i].n)),
		    "%s: %s", there[i].name,
		    fault == NULL ? "is replaced" : fault);
		ok(files() == 1, "nothing is left beside it");
		unlink(file);
	}
}

static mode_t
mode_of(const char *file)
{
	struct stat st;

	return stat(file, &st) == -1 ? 0 : st.st_mode & 07777;
}

static void
test_modes(void)
{
	const char *file = in_folder("cdb");
	mode_t before = umask(027);

	makes(file, 1);
	ok(mode_of(file) == 0640, "a new one has 0644 less the umask: %o",
	    mode_of(file));
	umask(077);
	if (chmod(file, 0664) == -1)
		bail();
	makes(file, 2);
	ok(mode_of(file) == 0664, "another one keeps its mode: %o",
	    mode_of(file));
	if (chmod(file, 0400) == -1)
		bail();
	makes(file, 3);
	ok(mode_of(file) == 0400 && count(file) == 3,
	    "also one that cannot be written: %o", mode_of(file));
	umask(before);
	unlink(file);
}

/* Who is in our group must not read what another group was to. */
static void
test_owners(void)
{
	const char *file = in_folder("cdb");
	struct stat st;

	makes(file, 1);
	if (chmod(file, 0664) == -1 || stat(file, &st) == -1)
		bail();
	makes(file, 2);
	ok(owners.uid == st.st_uid && owners.gid == st.st_gid &&
		mode_of(file) == 0664,
	    "owner and group stay");
	owners.forbidden = true;
	makes(file, 3);
	ok(owners.uid == (uid_t)-1 && owners.gid == st.st_gid,
	    "or else the group alone");
	ok(mode_of(file) == 0644, "or another group has what all have: %o",
	    mode_of(file));
	owners.forbidden = false;
	unlink(file);
}

static void
test_link(void)
{
	const char *link = in_folder("link"), *file = in_folder("cdb");
	struct stat st;

	makes(file, 1);
	if (symlink(file, link) == -1)
		bail();
	makes(link, 2);
	ok(lstat(link, &st) == 0 && S_ISLNK(st.st_mode) && count(file) == 2,
	    "a link stays one, to the new file");
	unlink(link);
	unlink(file);
}

/* A name with no folder in it. */
static void
test_here(void)
{
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (here == -1 || chdir(folder) == -1)
		bail();
	makes("cdb", 4);
	ok(count("cdb") == 4 && files() == 1, "in the working directory");
	unlink("cdb");
	if (fchdir(here) == -1)
		bail();
	close(here);
}

/* Words and errno, with nothing left behind. */
static void
refuses(const char *file, const struct cdbwrite_about *about, const char *why,
    int error)
{
	unsigned before = files();
	const char *fault = make(file, about, 100);
	int got = errno;

	ok(fault != NULL && strstr(fault, why) != NULL && got == error &&
		files() == before,
	    "%s: %s", file, fault == NULL ? "is made" : fault);
}

static void
test_refused(void)
{
	const char *fifo = in_folder("fifo");
	static char name[PATH_MAX + 1];
	struct cdbwrite_about about = usual;

	refuses("/nonexistent/cdb", &usual, "No such file", ENOENT);
	refuses(folder, &usual, "is a directory", EISDIR);
	if (mkfifo(fifo, 0600) == -1)
		bail();
	refuses(fifo, &usual, "is not a regular file", EINVAL);
	unlink(fifo);
	refuses("/dev/full", &usual, "is not a regular file", EINVAL);
	memset(name, 'x', PATH_MAX);
	about.text = name;
	refuses(in_folder("cdb"), &about, "so long a name", ENAMETOOLONG);
}

/* To the byte; the old file stays. */
static void
test_max(void)
{
	const char *file = in_folder("cdb");
	struct cdbwrite_about about = usual;
	struct stat st;

	makes(file, 100);
	if (stat(file, &st) == -1)
		bail();
	about.max = (uint64_t)st.st_size;
	ok(make(file, &about, 100) == NULL, "as large as it may be");
	about.max--;
	refuses(file, &about, "would be larger than a cdb can be", EFBIG);
	about.max = 2048;
	refuses(file, &about, "would be larger than a cdb can be", EFBIG);
	ok(count(file) == 100, "the old one is still there");
	unlink(file);
}

/* --- failures */

/* Every call in turn: the old file is there, or all of the new one. */
static void
test_failures(void)
{
	const char *file = in_folder("cdb");
	unsigned n = 0, failed = 0, bad = 0;
	bool done = false;

	makes(file, 700);
	while (!done) {
		const char *fault;
		int error;

		failing.renamed = false;
		failing.at = ++n;
		fault = make(file, &usual, 900);
		error = errno;
		done = failing.at > 0;
		failing.at = 0;
		failed += fault != NULL;
		bad += (fault != NULL && error != ENOSPC) || files() != 1 ||
		    count(file) != (failing.renamed ? 900 : 700) ||
		    (fault == NULL && !done);
		if (failing.renamed)
			makes(file, 700);
	}
	ok(bad == 0 && failed > 20, "%u calls failed, %u of them badly", failed,
	    bad);
	unlink(file);
}

static void
test_synced(void)
{
	const char *file = in_folder("cdb");

	failing.synced = 0;
	makes(file, 10);
	ok(failing.synced_before == 1 && failing.synced == 2,
	    "the file is synced, then renamed, then the folder is synced");
	unlink(file);
}

/* The same as it really is: the system takes no more at some byte. */
static void
test_limit(void)
{
	const char *file = in_folder("cdb");
	struct rlimit limit, old;
	unsigned bad = 0;
	struct stat st;

	makes(file, 200);
	if (stat(file, &st) == -1 || getrlimit(RLIMIT_FSIZE, &old) == -1)
		bail();
	signal(SIGXFSZ, SIG_IGN);
	limit = old;
	for (off_t at = 0; at < st.st_size; at += 997) {
		limit.rlim_cur = (rlim_t)at;
		if (setrlimit(RLIMIT_FSIZE, &limit) == -1)
			bail();
		bad += make(file, &usual, 200) == NULL || errno != EFBIG;
		if (setrlimit(RLIMIT_FSIZE, &old) == -1)
			bail();
		bad += files() != 1 || count(file) != 200;
	}
	ok(bad == 0, "%u limits of the file size went wrong", bad);
	unlink(file);
}

static void
test_given_up(void)
{
	const char *file = in_folder("cdb");
	struct cdbwrite *w;

	if (cdbwrite_open(file, &usual, &w) != NULL || fill(w, 5000) != NULL)
		bail();
	ok(files() == 1, "a file is begun");
	cdbwrite_free(w);
	ok(files() == 0, "and gone again");
	cdbwrite_free(NULL);
}

int
main(void)
{
	folder_make();
	test_libcdb();
	test_marker();
	test_repeatable();
	test_there();
	test_modes();
	test_owners();
	test_link();
	test_here();
	test_refused();
	test_max();
	test_failures();
	test_synced();
	test_limit();
	test_given_up();
	ok(files() == 0, "nothing is left behind");
	folder_remove();
	return tap_done();
}
