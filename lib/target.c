#include "target.h"

#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path.h"

/* s and t as one C string; false where they do not fit. */
static bool
copy(char *out, size_t size, struct span s, struct span t)
{
	if (s.n >= size || t.n >= size - s.n)
		return false;
	if (s.n > 0)
		memcpy(out, s.p, s.n);
	if (t.n > 0)
		memcpy(out + s.n, t.p, t.n);
	out[s.n + t.n] = '\0';
	return true;
}

static const struct span nothing = { "", 0 };

/* The directory that a path names a file in. */
static void
set_dir(struct target *t)
{
	char *slash;

	strcpy(t->dir, t->script);
	slash = strrchr(t->dir, '/');
	if (slash == t->dir)
		slash++;
	*slash = '\0';
}

static void
set_own_argv(struct target *t)
{
	strcpy(t->file, t->script);
	t->argv[0] = t->file;
	t->argv[1] = NULL;
}

enum reason
target_program(const char *path, struct target *out)
{
	out->new_path = false;
	if (!copy(out->script, sizeof(out->script), span_of(path), nothing))
		return REASON_HANDLER_MISSING;
	set_dir(out);
	set_own_argv(out);
	return REASON_OK;
}

enum reason
target_words(int argc, char *const argv[], struct target *out)
{
	enum reason why;

	if (argc == 0 || argc > TARGET_ARGV_MAX + 1)
		return REASON_POLICY_ERROR;
	why = target_program(argv[0], out);
	for (int i = 1; i < argc; i++) {
		out->argv[i] = argv[i];
		out->argv[i + 1] = NULL;
	}
	return why;
}

/* An absolute path that can be read in one way alone (E24). */
static bool
is_plain(struct span path)
{
	const struct path p = { .head = path };

	return path.n > 0 && *path.p == '/' && path_is_plain(&p);
}

enum kind {
	KIND_FILE,
	KIND_DIR,
	KIND_OTHER,
	KIND_NONE,
	KIND_FORBIDDEN,
	KIND_UNKNOWN /* we want for something: nothing can be said of it */
};

/* From a path of which this was said instead of what it names. */
static enum kind
kind_of_error(int error)
{
	switch (error) {
	case EACCES:
		return KIND_FORBIDDEN;
	case ENOENT:
	case ENOTDIR:
	case ELOOP:
	case ENAMETOOLONG:
		return KIND_NONE;
	default:
		return KIND_UNKNOWN;
	}
}

static enum kind
kind_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return kind_of_error(errno);
	return S_ISREG(st.st_mode) ? KIND_FILE :
	    S_ISDIR(st.st_mode)    ? KIND_DIR :
				     KIND_OTHER;
}

static enum reason
reason_of(enum kind k)
{
	switch (k) {
	case KIND_FILE:
		return REASON_OK;
	case KIND_OTHER:
	case KIND_FORBIDDEN:
		return REASON_HANDLER_FORBIDDEN;
	case KIND_UNKNOWN:
		return REASON_OVERLOADED;
	case KIND_DIR:
	case KIND_NONE:
		break;
	}
	return REASON_HANDLER_MISSING;
}

/*
 * Cuts segments off path until it names something; what was cut is in *rest,
 * a part of `whole`, which is what path held before.
 */
static enum kind
walk_up(char *path, struct span whole, struct span *rest)
{
	enum kind k = kind_of(path);
	char *slash;

	while (k == KIND_NONE && (slash = strrchr(path, '/')) != path) {
		*slash = '\0';
		k = kind_of(path);
	}
	*rest = span_skip(whole, strlen(path));
	/* a directory that does not go on to the file is not one to run */
	return k == KIND_DIR && rest->n > 0 ? KIND_NONE : k;
}

/* Adds segments of `info` to path until a file is there; *used of them. */
static enum kind
walk_down(char *path, size_t size, struct span info, size_t *used)
{
	size_t n = strlen(path), start = path[n - 1] == '/' ? n - 1 : n;
	enum kind k = KIND_DIR;

	*used = 0;
	while (k == KIND_DIR && *used < info.n) {
		size_t end = *used + 1;

		while (end < info.n && info.p[end] != '/')
			end++;
		if (start + end >= size)
			return KIND_NONE;
		memcpy(path + start, info.p, end);
		path[start + end] = '\0';
		*used = end;
		k = kind_of(path);
	}
	return k == KIND_DIR ? KIND_NONE : k;
}

static bool
is_below(const char *path, const char *root)
{
	size_t n = strlen(root);

	if (strcmp(root, "/") == 0)
		return true;
	return strncmp(path, root, n) == 0 && path[n] == '/';
}

/* What the script is to see, once it is known where its path ends. */
static bool
set_path(struct target *t, struct span name, struct span info)
{
	t->new_path = true;
	return copy(t->script_name, sizeof(t->script_name), name, nothing) &&
	    copy(t->path_info, sizeof(t->path_info), info, nothing);
}

/*
 * SCRIPT_FILENAME went on behind the file by `rest` (E27).  Where PATH_INFO
 * says so already, nothing changes; where SCRIPT_NAME has it, it moves over.
 */
static bool
move_rest(struct target *t, const struct cgienv *e, struct span rest)
{
	struct span name = e->script_name;

	if (rest.n == 0 || span_eq(rest, e->path_info))
		return set_path(t, name, e->path_info);
	if (name.n >= rest.n &&
	    span_eq(span_skip(name, name.n - rest.n), rest)) {
		name.n -= rest.n;
		t->new_path = true;
		return copy(t->script_name, sizeof(t->script_name), name,
			   nothing) &&
		    copy(t->path_info, sizeof(t->path_info), rest,
			e->path_info);
	}
	return set_path(t, name, rest);
}

/* PATH_INFO's first `used` bytes led to the file (E27). */
static bool
move_info(struct target *t, const struct cgienv *e, size_t used)
{
	struct span head = { e->path_info.p, used }, name = e->script_name;

	if (name.n > 0 && name.p[name.n - 1] == '/')
		name.n--;
	t->new_path = true;
	return copy(t->script_name, sizeof(t->script_name), name, head) &&
	    copy(t->path_info, sizeof(t->path_info),
		span_skip(e->path_info, used), nothing);
}

/*
 * Does a path, which can be read in one way alone, lead straight to a file?
 * realpath(3) asks for each of its parts.
 */
static bool
has_no_link(const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	if (fd != -1)
		close(fd);
	return fd != -1;
}

/* Resolves every link of path, which names a file, into t->script. */
static enum reason
resolve(struct target *t, const char *path, const char *root)
{
	if (has_no_link(path))
		strcpy(t->script, path);
	else if (realpath(path, t->script) == NULL)
		return reason_of(kind_of_error(errno));
	if (!is_below(t->script, root))
		return REASON_HANDLER_MISSING;
	set_dir(t);
	set_own_argv(t);
	return REASON_OK;
}

enum reason
target_script(const struct cgienv *e, const char *root, struct target *out)
{
	struct span whole = e->script_filename, rest;
	char path[PATH_MAX];
	enum kind k;
	size_t used;
	bool fits;

	if (!is_plain(whole) || !copy(path, sizeof(path), whole, nothing))
		return REASON_HANDLER_MISSING;
	k = walk_up(path, whole, &rest);
	if (k == KIND_DIR && rest.n == 0 && is_plain(e->path_info)) {
		k = walk_down(path, sizeof(path), e->path_info, &used);
		fits = move_info(out, e, used);
	} else
		fits = move_rest(out, e, rest);
	if (k != KIND_FILE || !fits)
		return fits ? reason_of(k) : REASON_HANDLER_MISSING;
	return resolve(out, path, root);
}

enum reason
target_action(const struct cgienv *e, const char *root, struct target *out)
{
	struct span whole = e->path_translated, rest, name;
	char path[PATH_MAX];
	enum reason why;
	enum kind k;

	if (e->redirect_status.n == 0 || !is_plain(whole) ||
	    !copy(path, sizeof(path), whole, nothing))
		return REASON_NOT_REDIRECTED;
	k = walk_up(path, whole, &rest);
	if (k != KIND_FILE)
		return reason_of(k);
	why = resolve(out, path, root);
	if (why != REASON_OK)
		return REASON_NOT_REDIRECTED;
	/* PATH_INFO is the URL's path: the script's name, and what follows */
	name = e->path_info;
	if (name.n < rest.n || !span_eq(span_skip(name, name.n - rest.n), rest))
		rest = nothing;
	name.n -= rest.n;
	return set_path(out, name, rest) ? REASON_OK : REASON_HANDLER_MISSING;
}

/* The same device and inode. */
static bool
same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
	    x.st_ino == y.st_ino;
}

bool
target_is_self(struct span path)
{
	char name[PATH_MAX];

	struct stat self, it;

	if (path.n == 0 || !copy(name, sizeof(name), path, nothing))
		return false;
	/* where we cannot know, it is: nothing more is believed then */
	if (stat("/proc/self/exe", &self) == -1)
		return true;
	return stat(name, &it) == 0 && it.st_dev == self.st_dev &&
	    it.st_ino == self.st_ino;
}

/*
 * Did the kernel make `words` out of the script's first line, "#!FRONT WORDS"?
 * A client's words can stand in their place on a command line, but not there.
 */
static bool
is_first_line(const char *script, const char *words)
{
	char bytes[256]; /* as much as the kernel looks at */
	int fd = open(script, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd == -1 ? -1 : read(fd, bytes, sizeof(bytes));
	struct span rest = { bytes, n > 0 ? (size_t)n : 0 }, line;
	struct span want = span_of(words);

	if (fd != -1)
		close(fd);
	if (!span_cut(&rest, '\n', &line) || !span_starts(line, SPAN("#!")))
		return false;
	line = span_trim(span_skip(line, 2));
	if (want.n == 0 || line.n <= want.n)
		return false;
	line = span_skip(line, line.n - want.n - 1);
	return (*line.p == ' ' || *line.p == '\t') &&
	    span_eq(span_skip(line, 1), want);
}

/*
 * "/bin/sh -eu", one argument from the kernel, and the script behind it, as an
 * argument list.
 */
static bool
set_interpreter(struct target *t, const char *text)
{
	struct span rest = span_of(text), word;
	char *at = t->words, *end = t->words + sizeof(t->words);
	size_t n = 0;

	while (span_cut(&rest, ' ', &word)) {
		if (word.n == 0)
			continue;
		if (n == TARGET_ARGV_MAX ||
		    !copy(at, (size_t)(end - at), word, nothing))
			return false;
		t->argv[n++] = at;
		at += word.n + 1;
	}
	if (n == 0 || t->argv[0][0] != '/' || !is_first_line(t->script, text))
		return false;
	strcpy(t->file, t->argv[0]);
	t->argv[n++] = t->script;
	t->argv[n] = NULL;
	return true;
}

bool
target_command_line(const struct cgienv *e, int argc, char *const argv[],
    struct target *out, enum reason *why)
{
	char name[PATH_MAX];
	int at;

	*why = REASON_OK;
	if (e->script_filename.n == 0 || target_is_self(e->script_filename) ||
	    !copy(name, sizeof(name), e->script_filename, nothing))
		return false;
	for (at = 1; at <= 2 && at < argc; at++)
		if (same_file(argv[at], name))
			break;
	if (at > 2 || at >= argc)
		return false;
	out->new_path = false;
	if (realpath(argv[at], out->script) == NULL)
		*why = reason_of(kind_of_error(errno));
	set_dir(out);
	if (at == 1)
		set_own_argv(out);
	else if (!set_interpreter(out, argv[1]))
		*why = REASON_HANDLER_FORBIDDEN;
	return *why == REASON_OK;
}

void
target_interpreter(int argc, char *const argv[], struct target *out)
{
	if (argc >= 3 && same_file(argv[2], out->script) &&
	    !set_interpreter(out, argv[1]))
		set_own_argv(out);
}

const char *
target_fault(const char *file)
{
	switch (kind_of(file)) {
	case KIND_FILE:
		return access(file, X_OK) == 0 ? NULL : "is not executable";
	case KIND_DIR:
		return "is a directory";
	case KIND_OTHER:
		return "is no regular file";
	case KIND_NONE:
		return "is not there";
	case KIND_FORBIDDEN:
	case KIND_UNKNOWN:
		break;
	}
	return "cannot be reached";
}

const char *
target_exec_text(const char *file, int exec_errno)
{
	const char *fault = target_fault(file);

	if (fault != NULL)
		return fault;
	if (exec_errno == ENOENT) /* E26 */
		return "the interpreter of its first line is not there";
	if (exec_errno == ENOEXEC)
		return "is no program, and names no interpreter";
	return strerror(exec_errno);
}

enum reason
target_exec_fault(const char *file, int exec_errno)
{
	enum kind k = kind_of(file);

	if (exec_errno == ENOMEM || exec_errno == EAGAIN ||
	    exec_errno == EMFILE || exec_errno == ENFILE)
		return REASON_OVERLOADED;
	/* the file is in order, but its interpreter or format is not (E26) */
	if (k == KIND_FILE && exec_errno != EACCES)
		return REASON_HANDLER_NOT_STARTED;
	return k == KIND_FILE ? REASON_HANDLER_FORBIDDEN : reason_of(k);
}
