/*
 * log: where lines go, what becomes of long and hostile ones, and that lines of
 * several threads do not mix.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <syslog.h>
#include <unistd.h>

#include "log.h"
#include "tap.h"

static char folder[256];

static const char *
in_folder(const char *name)
{
	static char path[2][512];
	static unsigned turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
	return path[turn];
}

/* All of a file, as a string that the next call overwrites. */
static const char *
content(const char *path)
{
	static char text[1 << 20];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd == -1 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd != -1)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void
is_text(const char *got, const char *want, const char *name)
{
	is_span(span_of(got), want, name);
}

/* Standard error goes to a file until the matching call. */
static int
catch_stderr(const char *path)
{
	int kept = dup(STDERR_FILENO);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (kept == -1 || fd == -1 || dup2(fd, STDERR_FILENO) == -1)
		bail();
	close(fd);
	return kept;
}

static void
release_stderr(int kept)
{
	dup2(kept, STDERR_FILENO);
	close(kept);
}

/* libc's, caught: the one way to see what syslog(3) was given. */
static char said[1 << 14], ident[64];
static int said_level;

void
openlog(const char *name, int option, int facility)
{
	(void)option;
	(void)facility;
	snprintf(ident, sizeof(ident), "%s", name);
}

void
syslog(int level, const char *fmt, ...)
{
	va_list ap;

	said_level = level;
	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
}

/* How many there are, and how many of them a child would inherit. */
static unsigned
descriptors(unsigned *inherited)
{
	unsigned n = 0;

	*inherited = 0;
	for (int fd = STDERR_FILENO + 1; fd < 256; fd++) {
		int flags = fcntl(fd, F_GETFD);

		n += flags != -1;
		*inherited += flags != -1 && (flags & FD_CLOEXEC) == 0;
	}
	return n;
}

static void
test_before(void)
{
	const char *path = in_folder("before");
	int kept = catch_stderr(path);
	char want[256];

	log_warnx("one %d", 1);
	log_debug("not wanted");
	log_line(LOG_INFO, SPAN("a line\n"));
	release_stderr(kept);
	snprintf(want, sizeof(want), "%s: one 1\na line\n",
	    program_invocation_short_name);
	is_text(content(path), want, "before log_open(): standard error");
	ok(log_wanted(LOG_INFO) && !log_wanted(LOG_DEBUG),
	    "LOG_INFO until then");
}

static void
test_levels(void)
{
	const char *path = in_folder("levels");

	ok(log_open("prog", path, LOG_WARNING) == 0, "a file");
	log_info("no");
	log_debug("no");
	log_line(LOG_INFO, SPAN("no\n"));
	log_warnx("w %s", "x");
	log_errx("e");
	errno = ENOENT;
	log_warn("ww");
	errno = EACCES;
	log_err("ee");
	ok(errno == EACCES, "errno is kept");
	log_line(LOG_WARNING, SPAN("line\n"));
	ok(errno == EACCES, "… by a line too");
	is_text(content(path),
	    "prog: w x\nprog: e\nprog: ww: No such file or directory\n"
	    "prog: ee: Permission denied\nline\n",
	    "what is urgent enough");
	ok(log_open("prog", path, LOG_DEBUG) == 0, "the same file again");
	log_debug("d");
	log_info("i");
	ok(strstr(content(path), "line\nprog: d\nprog: i\n") != NULL,
	    "appended, down to LOG_DEBUG");
}

static void
test_file(void)
{
	const char *path = in_folder("file");
	struct stat st = { 0 };
	mode_t mask = umask(022);

	ok(log_open("p", path, LOG_INFO) == 0 && stat(path, &st) == 0 &&
		(st.st_mode & 07777) == 0640,
	    "a new file has mode 0640");
	umask(mask);
	errno = 0;
	ok(log_open("q", in_folder("no/such"), LOG_ERR) == -1 &&
		errno == ENOENT,
	    "a file that cannot be made");
	ok(log_open("q", folder, LOG_ERR) == -1 && errno == EISDIR, "a folder");
	log_info("still here");
	is_text(content(path), "p: still here\n", "the log is as before");
}

static void
test_exchange(void)
{
	unsigned at_first, one, two, before, after;

	log_open("p", "stderr", LOG_INFO);
	before = descriptors(&at_first);
	log_open("p", in_folder("first"), LOG_INFO);
	ok(descriptors(&one) == before + 1 && one == at_first,
	    "a file is closed on exec");
	log_info("a");
	log_open("p", in_folder("second"), LOG_INFO);
	ok(descriptors(&two) == before + 1 && two == at_first,
	    "… and the one that takes its place");
	log_info("b");
	is_text(content(in_folder("first")), "p: a\n", "the first");
	is_text(content(in_folder("second")), "p: b\n", "the second");
	log_open("p", "stderr", LOG_INFO);
	after = descriptors(&two);
	ok(after == before, "no descriptor is left open");
}

static void
test_hostile(void)
{
	const char *path = in_folder("hostile");

	log_open("p", path, LOG_INFO);
	log_info("%s", "a\nb\r\x1b[2J\t\x7f\xc3\xa4 \\ ~");
	is_text(content(path),
	    "p: a\\x0ab\\x0d\\x1b[2J\\x09\\x7f\\xc3\\xa4 \\ ~\n",
	    "bytes that are not printable");
	log_open("\x1b", in_folder("name"), LOG_INFO);
	log_info("x");
	is_text(content(in_folder("name")), "\\x1b: x\n",
	    "nor those of a name");
}

static void
test_long(void)
{
	static char text[20000];
	const char *got;
	size_t n;

	memset(text, 'x', sizeof(text) - 1);
	log_open("p", in_folder("words"), LOG_INFO);
	log_info("%s", text);
	got = content(in_folder("words"));
	n = strlen(got);
	ok(n > 4000 && n <= 8192 && strcmp(got + n - 5, "x...\n") == 0,
	    "long words are cut, and it shows");
	memset(text, '\n', sizeof(text) - 1);
	log_open("p", in_folder("feeds"), LOG_INFO);
	log_info("%s", text);
	got = content(in_folder("feeds"));
	n = strlen(got);
	ok(n > 4000 && strcmp(got + n - 8, "\\x0a...\n") == 0,
	    "… between two escapes");
	memset(text, 'y', sizeof(text) - 1);
	log_open("p", in_folder("line"), LOG_INFO);
	log_line(LOG_INFO, (struct span){ text, 8192 });
	got = content(in_folder("line"));
	ok(strlen(got) == 8192 && got[8191] == 'y', "a line of 8 KiB");
	log_open("p", in_folder("longer"), LOG_INFO);
	log_line(LOG_INFO, (struct span){ text, 8193 });
	got = content(in_folder("longer"));
	ok(strlen(got) == 8192 && strcmp(got + 8187, "y...\n") == 0,
	    "a longer one");
}

static void
test_syslog(void)
{
	char name[] = "prog";

	ok(log_open(name, "syslog", LOG_INFO) == 0, "syslog");
	name[0] = 'X';
	is_text(ident, "prog", "the name is copied");
	log_errx("a%%sb\n");
	is_text(said, "a%sb\\x0a", "no name, no line feed, no format");
	ok(said_level == LOG_ERR, "its level");
	log_line(LOG_INFO, SPAN("%n line\n"));
	is_text(said, "%n line", "a line without its feed");
	ok(said_level == LOG_INFO, "its level, too");
	log_debug("no");
	is_text(said, "%n line", "less urgent is not said");
}

/* As logrotate does it: the file is moved, and then we are told. */
static void
test_reopen(void)
{
	unsigned before, after, inherited[2];
	char path[512];
	struct stat st = { 0 };
	mode_t mask = umask(022);

	snprintf(path, sizeof(path), "%s/reopened", folder);
	log_open("p", path, LOG_INFO);
	memset(path, 'x', 10); /* the name was copied */
	before = descriptors(&inherited[0]);
	log_info("a");
	rename(in_folder("reopened"), in_folder("moved"));
	log_info("b");
	ok(log_reopen() == 0, "reopened");
	log_info("c");
	after = descriptors(&inherited[1]);
	ok(after == before && inherited[1] == inherited[0],
	    "with one descriptor, closed on exec");
	is_text(content(in_folder("moved")), "p: a\np: b\n", "the old file");
	is_text(content(in_folder("reopened")), "p: c\n", "the new one");
	ok(stat(in_folder("reopened"), &st) == 0 &&
		(st.st_mode & 07777) == 0640,
	    "its mode is 0640");
	ok(log_reopen() == 0, "nobody moved it");
	log_info("d");
	is_text(content(in_folder("reopened")), "p: c\np: d\n", "appended");
	umask(mask);
}

static void
test_no_reopen(void)
{
	unsigned before, after, inherited;

	log_open("p", in_folder("kept"), LOG_INFO);
	before = descriptors(&inherited);
	rename(in_folder("kept"), in_folder("old"));
	mkdir(in_folder("kept"), 0700);
	errno = 0;
	ok(log_reopen() == -1 && errno == EISDIR, "a folder in its place");
	log_info("a");
	rmdir(in_folder("kept"));
	mkfifo(in_folder("kept"), 0600);
	errno = 0;
	ok(log_reopen() == -1 && errno == ENXIO, "a FIFO without a reader");
	log_info("b");
	is_text(content(in_folder("old")), "p: a\np: b\n",
	    "the log goes on into the old file");
	after = descriptors(&inherited);
	ok(after == before, "no descriptor is left open");
}

/* Started as root, a link that somebody else has made is not followed. */
static void
test_links(void)
{
	bool root = geteuid() == 0;
	char link[512];

	snprintf(link, sizeof(link), "%s/link", folder);
	if (symlink("behind", link) == -1)
		bail();
	ok(log_open("p", link, LOG_INFO) == 0, "a link of our own");
	log_info("a");
	ok(log_open("p", link, LOG_INFO) == 0, "and to a file that is there");
	log_info("b");
	is_text(content(in_folder("behind")), "p: a\np: b\n", "behind it");
	if (root && lchown(link, 1, 1) == -1)
		bail();
	errno = 0;
	ok((log_open("p", link, LOG_INFO) == -1 && errno == ELOOP) == root,
	    "another user's");
	unlink(in_folder("behind"));
	ok((log_open("p", link, LOG_INFO) == -1) == root &&
		(access(in_folder("behind"), F_OK) == -1) == root,
	    "and to nothing");
}

/* Is there a descriptor on this file whose writes do not wait? */
static bool
does_not_wait(const char *path)
{
	struct stat st, want;

	if (stat(path, &want) == -1)
		bail();
	for (int fd = 0; fd < 256; fd++) {
		int flags = fcntl(fd, F_GETFL);

		if (flags != -1 && (flags & O_ACCMODE) == O_WRONLY &&
		    (flags & O_NONBLOCK) != 0 && fstat(fd, &st) == 0 &&
		    st.st_ino == want.st_ino && st.st_dev == want.st_dev)
			return true;
	}
	return false;
}

/* The reader of a FIFO may be slow: the log then waits, as before. */
static void
test_reopen_fifo(void)
{
	char got[64] = "";
	int reader;

	mkfifo(in_folder("fifo"), 0600);
	reader = open(in_folder("fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	log_open("p", in_folder("fifo"), LOG_INFO);
	ok(log_reopen() == 0, "a FIFO with a reader");
	ok(!does_not_wait(in_folder("fifo")), "a full one makes the log wait");
	log_info("a");
	ok(read(reader, got, sizeof(got) - 1) > 0, "a line comes through");
	is_text(got, "p: a\n", "whole");
	close(reader);
}

static void
test_nothing_to_reopen(void)
{
	if (chdir(folder) == -1)
		bail();
	ok(log_open("p", "syslog", LOG_INFO) == 0 && log_reopen() == 0 &&
		access("syslog", F_OK) == -1,
	    "syslog: nothing to do");
	ok(log_open("p", "stderr", LOG_INFO) == 0 && log_reopen() == 0 &&
		access("stderr", F_OK) == -1,
	    "standard error, too");
}

static void
test_long_path(void)
{
	static char path[PATH_MAX + 1];

	log_open("p", in_folder("short"), LOG_INFO);
	memset(path, 'x', PATH_MAX);
	for (size_t i = 0; i < PATH_MAX; i += 100)
		path[i] = '/';
	errno = 0;
	ok(log_open("q", path, LOG_INFO) == -1 && errno == ENAMETOOLONG,
	    "PATH_MAX bytes are too many");
	ok(log_reopen() == 0, "the name before it is kept");
	log_info("a");
	is_text(content(in_folder("short")), "p: a\n", "the log is as before");
}

enum { THREADS = 4, LINES = 300, LENGTH = 200 };

static void *
write_lines(void *letter)
{
	char line[LENGTH + 1];

	memset(line, *(char *)letter, LENGTH);
	line[LENGTH] = '\n';
	for (int i = 0; i < LINES; i++) {
		log_line(LOG_INFO, (struct span){ line, sizeof(line) });
		log_info("%c%c", *(char *)letter, *(char *)letter);
	}
	return NULL;
}

/* Is every line either LENGTH of a letter, or "p: " and two of it? */
static size_t
whole_lines(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; n++) {
		size_t length = strcspn(s, "\n");
		bool words = strncmp(s, "p: ", 3) == 0;
		const char *letters = words ? s + 3 : s;

		if (length != (words ? 5 : LENGTH) ||
		    strspn(letters, (char[]){ *letters, '\0' }) !=
			(words ? 2 : LENGTH))
			return 0;
		s += length + 1;
	}
	return n;
}

static void
test_threads(void)
{
	pthread_t threads[THREADS];
	static char letters[THREADS] = { 'a', 'b', 'c', 'd' };

	log_open("p", in_folder("threads"), LOG_INFO);
	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, write_lines,
			&letters[i]) != 0)
			bail();
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ok(whole_lines(content(in_folder("threads"))) ==
		(size_t)THREADS * LINES * 2,
	    "lines of several threads are whole");
}

enum { TURNS = 100, EACH_TURN = 6 };

static atomic_uint turns, written;

/* Not far ahead of the turns, so that lines are written all the while. */
static void *
write_turns(void *letter)
{
	char line[LENGTH + 1];

	memset(line, *(char *)letter, LENGTH);
	line[LENGTH] = '\n';
	for (unsigned i = 0; i < TURNS * EACH_TURN; i++) {
		while (i >= (turns + 1) * EACH_TURN)
			sched_yield();
		log_line(LOG_INFO, (struct span){ line, sizeof(line) });
		written++;
	}
	return NULL;
}

/* Moves the log away while threads write; where to. */
static const char *
turn(unsigned n)
{
	char name[32];

	snprintf(name, sizeof(name), "turn.%u", n);
	while (written < n * THREADS)
		sched_yield();
	if (rename(in_folder("turns"), in_folder(name)) == -1 ||
	    log_reopen() == -1)
		bail();
	turns++;
	return in_folder(name);
}

static void
test_reopen_threads(void)
{
	static char letters[THREADS] = { 'a', 'b', 'c', 'd' };
	static char moved[TURNS][512];
	pthread_t threads[THREADS];
	size_t lines;

	log_open("p", in_folder("turns"), LOG_INFO);
	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, write_turns,
			&letters[i]) != 0)
			bail();
	for (unsigned i = 0; i < TURNS; i++)
		snprintf(moved[i], sizeof(moved[i]), "%s", turn(i));
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	lines = whole_lines(content(in_folder("turns")));
	for (unsigned i = 0; i < TURNS; i++)
		lines += whole_lines(content(moved[i]));
	ok(lines == (size_t)THREADS * TURNS * EACH_TURN,
	    "no line is lost or split while the log is moved %u times", TURNS);
}

static int drain_from, interrupts;

/* The second time, makes room. */
static void
on_alarm(int sig)
{
	char sink[4096];
	int error = errno;

	(void)sig;
	if (++interrupts == 2)
		while (read(drain_from, sink, sizeof(sink)) > 0)
			continue;
	errno = error;
}

static void
test_interrupted(void)
{
	struct sigaction act = { .sa_handler = on_alarm };
	struct itimerval often = { { 0, 20000 }, { 0, 20000 } }, never = { 0 };
	char got[64] = "";
	int fd[2], kept = dup(STDERR_FILENO);

	if (pipe2(fd, O_NONBLOCK | O_CLOEXEC) == -1)
		bail();
	while (write(fd[1], got, sizeof(got)) > 0)
		continue;
	fcntl(fd[1], F_SETFL, 0);
	drain_from = fd[0];
	sigaction(SIGALRM, &act, NULL);
	log_open("p", "stderr", LOG_INFO);
	dup2(fd[1], STDERR_FILENO);
	setitimer(ITIMER_REAL, &often, NULL);
	log_info("through");
	setitimer(ITIMER_REAL, &never, NULL);
	release_stderr(kept);
	ok(read(fd[0], got, sizeof(got) - 1) > 0 && interrupts >= 2,
	    "signals came while the log was full");
	is_text(got, "p: through\n", "the line was written all the same");
	close(fd[0]);
	close(fd[1]);
}

/* A log that takes nothing stops nobody. */
static void
test_full(void)
{
	ok(log_open("p", "/dev/full", LOG_INFO) == 0, "/dev/full");
	errno = 0;
	log_info("x");
	ok(errno == 0, "a full disk is borne in silence");
	log_open("p", "stderr", LOG_INFO);
}

/* What was cut ends before the next line begins. */
static void
test_cut(void)
{
	struct rlimit old, small;
	const char *path = in_folder("cut");

	getrlimit(RLIMIT_FSIZE, &old);
	small = (struct rlimit){ 10, old.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	log_open("p", path, LOG_INFO);
	fflush(stdout);
	setrlimit(RLIMIT_FSIZE, &small);
	log_line(LOG_INFO, SPAN("0123456789abc\n"));
	setrlimit(RLIMIT_FSIZE, &old);
	log_line(LOG_INFO, SPAN("next\n"));
	log_line(LOG_INFO, SPAN("last\n"));
	log_open("p", "stderr", LOG_INFO);
	is_text(content(path), "0123456789\nnext\nlast\n",
	    "a line that the disk has cut");
}

/* The moment in front of a line, and where it ends. */
static const char *
behind_time(const char *line)
{
	static const char like[] = "0000-00-00T00:00:00.000Z";
	size_t i;

	for (i = 0; like[i] != '\0'; i++)
		if (like[i] == '0' ? line[i] < '0' || line[i] > '9' :
				     line[i] != like[i])
			return "no time";
	return line + i;
}

static void
test_formats(void)
{
	const char *path = in_folder("formats");
	const char *text;

	log_open("p", path, LOG_DEBUG);
	log_format(LOGLINE_TEXT);
	log_info("one \x1b");
	log_format(LOGLINE_JSON);
	errno = ENOENT;
	log_warn("\"two\"");
	log_debug("3");
	log_errx("4");
	log_format(LOGLINE_TEXT);
	log_open("p", "stderr", LOG_INFO);
	text = content(path);
	ok(span_starts(span_of(behind_time(text)), SPAN(" p: one \\x1b\n")),
	    "text in a file has the time");
	text += strcspn(text, "\n");
	text += *text == '\n';
	ok(strncmp(text, "{\"time\":\"", 9) == 0, "JSON: an object with it");
	ok(span_starts(span_of(behind_time(text + 9)),
	       SPAN("\",\"level\":\"warning\",\"message\":\"\\u0022two\\u0022: "
		    "No such file or directory\"}\n{\"time\":\"")),
	    "… and the level and the words, escaped");
	ok(strstr(text, "\"level\":\"debug\",\"message\":\"3\"}\n") != NULL &&
		strstr(text, "\"level\":\"error\",\"message\":\"4\"}\n") !=
		    NULL,
	    "… of each level");
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");
	char command[300];

	snprintf(folder, sizeof(folder), "%s/test_log.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(folder) == NULL)
		bail();
	test_before();
	test_levels();
	test_file();
	test_exchange();
	test_hostile();
	test_long();
	test_syslog();
	test_threads();
	test_reopen();
	test_no_reopen();
	test_links();
	test_reopen_fifo();
	test_nothing_to_reopen();
	test_long_path();
	test_reopen_threads();
	test_interrupted();
	test_full();
	test_cut();
	test_formats();
	snprintf(command, sizeof(command), "rm -r '%s'", folder);
	ok(system(command) == 0, "no file is left");
	return tap_done();
}
