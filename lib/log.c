#include "log.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

/* The longest line; what is longer ends in the mark. */
enum { LOG_LINE_MAX = 8192, LOG_TEXT_MAX = 4096 };

static const char mark[] = "...\n";

enum { LOG_TO_SYSLOG = -1 };

/*
 * The state of the process's log.  Atomic, so that lines need no lock; the
 * program's name and the file's are set before there are threads.
 */
static atomic_int log_fd = STDERR_FILENO, log_level = LOG_INFO;
static atomic_bool log_cut; /* the last line has lost its end */
static char log_program[64], log_file[PATH_MAX]; /* "": it is none */
static bool log_made;      /* the file was not there before */
static bool log_formatted; /* log_format() has been called */
static bool log_json;

static const char *
program(void)
{
	return log_program[0] != '\0' ? log_program :
					program_invocation_short_name;
}

/*
 * Where the front starts as root, the folder of its log may belong to its later
 * user: only a link that is root's own is followed.
 */
static bool
is_own_link(const char *path)
{
	struct stat st;

	return geteuid() != 0 ||
	    (lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && st.st_uid == 0);
}

/* What is there; else a new file, and not behind a link: O_EXCL. */
static int
open_file(const char *path, int flags, bool *made)
{
	int fd = open(path, flags | O_NOFOLLOW);

	*made = false;
	if (fd == -1 && errno == ELOOP && is_own_link(path)) {
		*made = access(path, F_OK) == -1;
		return open(path, flags | O_CREAT, 0640);
	}
	for (int i = 0; i < 3 && fd == -1 && errno == ENOENT; i++) {
		fd = open(path, flags | O_CREAT | O_EXCL, 0640);
		*made = fd != -1;
		if (fd == -1 && errno == EEXIST) /* another process's */
			fd = open(path, flags | O_NOFOLLOW);
	}
	return fd;
}

/*
 * A file takes the number of the one before it, so that a thread that is about
 * to write never has one that is closed or something else.
 */
static int
use_file(const char *path, bool wait, bool *made)
{
	int old = log_fd;
	int fd = open_file(path,
	    O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY |
		(wait ? 0 : O_NONBLOCK),
	    made);

	if (fd == -1)
		return -1;
	if (!wait) /* lines do */
		fcntl(fd, F_SETFL, O_APPEND);
	if (old <= STDERR_FILENO) {
		log_fd = fd;
		return 0;
	}
	if (dup3(fd, old, O_CLOEXEC) == -1) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	close(fd);
	return 0;
}

static void
use_number(int number)
{
	int old = atomic_exchange(&log_fd, number);

	if (old > STDERR_FILENO)
		close(old);
}

int
log_open(const char *name, const char *to, int level)
{
	bool to_syslog = strcmp(to, "syslog") == 0;
	bool to_file = !to_syslog && strcmp(to, "stderr") != 0;
	bool made = false;

	if (strlen(to) >= sizeof(log_file)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (!to_file)
		use_number(to_syslog ? LOG_TO_SYSLOG : STDERR_FILENO);
	else if (use_file(to, true, &made) == -1)
		return -1;
	strcpy(log_file, to_file ? to : "");
	log_made = made;
	snprintf(log_program, sizeof(log_program), "%s", name);
	log_level = level;
	if (to_syslog)
		openlog(log_program, LOG_PID | LOG_NDELAY, LOG_DAEMON);
	return 0;
}

void
log_format(enum logline_format format)
{
	log_formatted = true;
	log_json = format == LOGLINE_JSON;
}

void
log_give(uid_t uid, gid_t gid)
{
	if (log_made && fchown(log_fd, uid, gid) == -1)
		log_warn("%s: cannot be given to user %u", log_file,
		    (unsigned)uid);
}

int
log_reopen(void)
{
	bool made;

	/* a FIFO that has lost its reader must not stop us here */
	return log_file[0] == '\0' ? 0 : use_file(log_file, false, &made);
}

bool
log_wanted(int level)
{
	return level <= log_level;
}

/*
 * One write(2), but for what a signal or a full disk cuts short.  A log that
 * takes nothing is no reason to stop; what was cut ends before the next line.
 */
static void
write_all(int fd, const char *p, size_t n)
{
	size_t all = n;

	if (log_cut && write(fd, "\n", 1) == 1)
		log_cut = false;
	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done == -1 && errno == EINTR)
			continue;
		if (done <= 0)
			break;
		p += done;
		n -= (size_t)done;
	}
	if (n > 0 && n < all)
		log_cut = true;
}

static void
write_line(int level, struct span line)
{
	char cut[LOG_LINE_MAX];
	int fd = log_fd;

	if (line.n > sizeof(cut)) {
		size_t keep = sizeof(cut) - (sizeof(mark) - 1);

		memcpy(cut, line.p, keep);
		memcpy(cut + keep, mark, sizeof(mark) - 1);
		line = (struct span){ cut, sizeof(cut) };
	}
	if (fd != LOG_TO_SYSLOG) {
		write_all(fd, line.p, line.n);
		return;
	}
	if (line.n > 0 && line.p[line.n - 1] == '\n')
		line.n--;
	syslog(level, "%.*s", (int)line.n, line.p);
}

void
log_line(int level, struct span line)
{
	int error = errno;

	if (log_wanted(level))
		write_line(level, line);
	errno = error;
}

/* A line that grows within a fixed room and has always space for the mark. */
struct text {
	size_t n;
	bool cut;
	char p[LOG_TEXT_MAX];
};

static void
add(struct text *t, const char *s, size_t n)
{
	if (t->cut || n > sizeof(t->p) - sizeof(mark) - t->n) {
		t->cut = true;
		return;
	}
	memcpy(t->p + t->n, s, n);
	t->n += n;
}

/* Words from outside can neither end the line nor steer a terminal. */
static void
add_escaped(struct text *t, const char *s)
{
	for (; *s != '\0'; s++) {
		char hex[sizeof("\\x00")];

		if (*s == ' ' || span_graph(*s)) {
			add(t, s, 1);
			continue;
		}
		snprintf(hex, sizeof(hex), "\\x%02x", (unsigned char)*s);
		add(t, hex, sizeof(hex) - 1);
	}
}

static struct timespec
now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	return at;
}

/* Where lines of decisions have the time, those between them do. */
static void
add_time(struct text *t)
{
	struct buf time;
	char room[64];

	buf_init_in(&time, sizeof(room), room, sizeof(room));
	logline_time(&time, now());
	buf_add_char(&time, ' ');
	if (!time.failed)
		add(t, time.p, time.n);
	buf_free(&time);
}

/* What goes out as text: who says it, and all the words. */
static void
say_text(int level, const char *words, const char *error)
{
	struct text t = { .n = 0 };

	if (log_formatted && log_file[0] != '\0')
		add_time(&t);
	if (log_fd != LOG_TO_SYSLOG) {
		add_escaped(&t, program());
		add_escaped(&t, ": ");
	}
	add_escaped(&t, words);
	if (error != NULL) {
		add_escaped(&t, ": ");
		add_escaped(&t, error);
	}
	memcpy(t.p + t.n, t.cut ? mark : "\n", t.cut ? sizeof(mark) - 1 : 1);
	t.n += t.cut ? sizeof(mark) - 1 : 1;
	write_line(level, (struct span){ t.p, t.n });
}

static const char *
level_word(int level)
{
	return level <= LOG_ERR  ? "error" :
	    level == LOG_WARNING ? "warning" :
	    level == LOG_DEBUG   ? "debug" :
				   "info";
}

/* The same as an object; false where it would be too long. */
static bool
say_json(int level, const char *words, const char *error)
{
	char room[LOG_LINE_MAX];
	struct buf line;
	bool good;

	/* also where memory is out */
	buf_init_in(&line, sizeof(room), room, sizeof(room));
	buf_add_str(&line, "{\"time\":\"");
	logline_time(&line, now());
	buf_add_str(&line, "\",\"level\":\"");
	buf_add_str(&line, level_word(level));
	buf_add_str(&line, "\",\"message\":\"");
	logline_escape(&line, LOGLINE_JSON, span_of(words));
	if (error != NULL) {
		buf_add_str(&line, ": ");
		logline_escape(&line, LOGLINE_JSON, span_of(error));
	}
	buf_add_str(&line, "\"}\n");
	good = !line.failed;
	if (good)
		write_line(level, buf_span(&line));
	buf_free(&line);
	return good;
}

__attribute__((format(printf, 3, 0))) static void
say(int level, int error, const char *fmt, va_list ap)
{
	const char *text = error == 0 ? NULL : strerror(error);
	char words[LOG_TEXT_MAX];
	int saved = errno;

	if (!log_wanted(level))
		return;
	vsnprintf(words, sizeof(words), fmt, ap);
	if (!log_json || log_fd == LOG_TO_SYSLOG ||
	    !say_json(level, words, text))
		say_text(level, words, text);
	errno = saved;
}

#define SAY(level, error)                       \
	do {                                    \
		va_list ap;                     \
                                                \
		va_start(ap, fmt);              \
		say((level), (error), fmt, ap); \
		va_end(ap);                     \
	} while (0)

void
log_err(const char *fmt, ...)
{
	SAY(LOG_ERR, errno);
}

void
log_errx(const char *fmt, ...)
{
	SAY(LOG_ERR, 0);
}

void
log_warn(const char *fmt, ...)
{
	SAY(LOG_WARNING, errno);
}

void
log_warnx(const char *fmt, ...)
{
	SAY(LOG_WARNING, 0);
}

void
log_info(const char *fmt, ...)
{
	SAY(LOG_INFO, 0);
}

void
log_debug(const char *fmt, ...)
{
	SAY(LOG_DEBUG, 0);
}
