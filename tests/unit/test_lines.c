/*
 * lines: whatever a file is made of, and in whichever pieces it comes, its
 * lines are handed out whole, in order, and in a room that does not grow.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lines.h"
#include "tap.h"

/* A file that holds these bytes, at its begin. */
static int
file_of(const char *p, size_t n)
{
	int fd = memfd_create("lines", MFD_CLOEXEC);

	if (fd == -1 || write(fd, p, n) != (ssize_t)n ||
	    lseek(fd, 0, SEEK_SET) == -1)
		bail();
	return fd;
}

struct row {
	const char *name, *text;
	const char *want; /* the lines with '|' behind each */
};

static const struct row rows[] = {
	{ "nothing", "", "" },
	{ "one line feed", "\n", "|" },
	{ "one line", "a b\n", "a b|" },
	{ "without a line feed at the end", "a\nb", "a|b|" },
	{ "empty lines", "\n\na\n\n", "||a||" },
	{ "a carriage return is a byte", "a\r\nb\r", "a\r|b\r|" },
};

static void
test_row(struct lines *l, const struct row *r)
{
	int fd = file_of(r->text, strlen(r->text));
	char got[64] = "";
	struct span s;

	lines_begin(l, fd);
	while (lines_next(l, &s) == LINES_LINE) {
		strncat(got, s.p, s.n);
		strcat(got, "|");
	}
	ok(strcmp(got, r->want) == 0, "%s", r->name);
	ok(lines_next(l, &s) == LINES_END, "%s: the end stays", r->name);
	close(fd);
}

/* Lines of these lengths, of letters that tell them apart. */
static const size_t lengths[] = { 3, LINES_MAX - 1, 0, LINES_MAX, 5,
	LINES_MAX + 1, 7, 3 * LINES_MAX, 1, LINES_MAX / 2, LINES_MAX / 2 + 1,
	LINES_MAX - 2, 2 };

enum { LENGTHS = sizeof(lengths) / sizeof(lengths[0]) };

static char *
long_text(bool last, size_t *n)
{
	char *text = must(malloc(10 * LINES_MAX)), *p = text;

	if (text == NULL)
		bail();
	for (size_t i = 0; i < LENGTHS; i++) {
		memset(p, 'a' + (int)i, lengths[i]);
		p += lengths[i];
		*p++ = '\n';
	}
	*n = (size_t)(p - text) - (last ? 0 : 1);
	return text;
}

static bool
is_right(size_t i, enum lines_result got, struct span s)
{
	if (lengths[i] >= LINES_MAX)
		return got == LINES_TOO_LONG;
	return got == LINES_LINE && s.n == lengths[i] &&
	    (s.n == 0 ||
		(s.p[0] == 'a' + (char)i && s.p[s.n - 1] == 'a' + (char)i));
}

static void
check_long(struct lines *l, int fd, const char *name)
{
	struct span s;
	size_t wrong = 0;

	lines_begin(l, fd);
	for (size_t i = 0; i < LENGTHS; i++)
		wrong += !is_right(i, lines_next(l, &s), s);
	ok(wrong == 0, "%s: lines of all lengths", name);
	ok(lines_next(l, &s) == LINES_END, "%s: and the end", name);
	close(fd);
}

static void
test_long(struct lines *l)
{
	size_t n;
	char *text = long_text(true, &n);

	check_long(l, file_of(text, n), "a file");
	free(text);
	text = long_text(false, &n);
	check_long(l, file_of(text, n), "without the last line feed");
	free(text);
}

/* As another process would write them, a few bytes at a time. */
static void
test_pieces(struct lines *l, size_t piece)
{
	size_t n;
	char *text = long_text(true, &n);
	int fd[2];
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) == -1 || (pid = fork()) == -1)
		bail();
	if (pid == 0) {
		close(fd[0]);
		for (size_t i = 0; i < n; i += piece)
			if (write(fd[1], text + i,
				n - i < piece ? n - i : piece) < 1)
				_exit(1);
		free(text);
		_exit(0);
	}
	close(fd[1]);
	check_long(l, fd[0], piece == 4096 ? "a pipe" : "another pipe");
	waitpid(pid, NULL, 0);
	free(text);
}

static void
test_too_long_alone(struct lines *l)
{
	char *text = must(malloc(2 * LINES_MAX));
	struct span s;
	int fd;

	if (text == NULL)
		bail();
	memset(text, 'x', 2 * LINES_MAX);
	fd = file_of(text, 2 * LINES_MAX);
	lines_begin(l, fd);
	ok(lines_next(l, &s) == LINES_TOO_LONG &&
		lines_next(l, &s) == LINES_END,
	    "one line that never ends");
	close(fd);
	free(text);
}

static void
test_fault(struct lines *l)
{
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct span s;

	lines_begin(l, fd);
	errno = 0;
	ok(lines_next(l, &s) == LINES_FAILED && errno == EISDIR,
	    "a directory cannot be read");
	close(fd);
}

int
main(void)
{
	struct lines l;

	if (!lines_init(&l))
		bail();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		test_row(&l, &rows[i]);
	test_long(&l);
	test_pieces(&l, 4096);
	test_pieces(&l, 65521);
	test_too_long_alone(&l);
	test_fault(&l);
	lines_free(&l);
	lines_free(&l);
	return tap_done();
}
