#include "users.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "buf.h"
#include "slurp.h"

enum { FILE_MAX = 16 << 20, ANSWER_MAX = 1 << 20 };

/* Where the names and numbers stand in a line, which ':' separates. */
enum { FIELD_NAME = 0, FIELD_NUMBER = 2, FIELD_GROUP = 3 };

static struct span
field(struct span line, unsigned which)
{
	struct span piece = { NULL, 0 };

	for (unsigned i = 0; i <= which; i++)
		if (!span_cut(&line, ':', &piece))
			return (struct span){ NULL, 0 };
	return piece;
}

static bool
number(struct span line, unsigned which, unsigned *out)
{
	uint64_t n;

	/* the largest is none: (uid_t)-1 means another thing to chown(2) */
	if (!span_number(field(line, which), UINT32_MAX - 1, &n))
		return false;
	*out = (unsigned)n;
	return true;
}

/* The line with this key in that field. */
static bool
find_line(struct span text, unsigned which, struct span key, struct span *line)
{
	while (span_cut(&text, '\n', line))
		if (span_eq(field(*line, which), key))
			return true;
	return false;
}

static bool
read_all(int fd, struct buf *out)
{
	ssize_t n;

	do {
		char *room = buf_room(out, 4096);

		if (room == NULL)
			return false;
		n = read(fd, room, 4096);
		if (n > 0)
			out->n += (size_t)n;
	} while (n > 0 || (n == -1 && errno == EINTR));
	return n == 0;
}

/* The other process's life; vfork(2) lends it our memory. */
_Noreturn static void
be_getent(const char *database, const char *key, int to)
{
	char *argv[] = { (char *)"getent", (char *)"--", (char *)database,
		(char *)key, NULL };
	char *vars[] = { (char *)"PATH=/usr/bin:/bin", NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	if (null != -1 && dup2(null, 0) != -1 && dup2(to, 1) != -1 &&
	    dup2(null, 2) != -1 && sigprocmask(SIG_SETMASK, &none, NULL) == 0)
		execve("/usr/bin/getent", argv, vars);
	_exit(127);
}

/* What getent(1) says of a key; false: nothing, or there is no getent. */
static bool
ask(const char *database, const char *key, struct buf *out)
{
	int fd[2], status = 0;
	bool whole;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) == -1)
		return false;
	pid = vfork();
	if (pid == 0)
		be_getent(database, key, fd[1]);
	close(fd[1]);
	whole = pid != -1 && read_all(fd[0], out);
	close(fd[0]);
	if (pid == -1)
		return false;
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	return whole && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* What a line says of its key: its number, and the field behind that. */
struct entry {
	unsigned number, group;
	char name[256];
};

static bool
take(struct span line, bool has_group, struct entry *out)
{
	struct span name = field(line, FIELD_NAME);

	out->group = 0;
	return name.n > 0 && name.n < sizeof(out->name) &&
	    snprintf(out->name, sizeof(out->name), "%.*s", (int)name.n,
		name.p) > 0 &&
	    number(line, FIELD_NUMBER, &out->number) &&
	    (!has_group || number(line, FIELD_GROUP, &out->group));
}

/* In the file of that database, or wherever else the system looks. */
static bool
find(const char *database, unsigned which, const char *key, struct entry *out)
{
	bool has_group = *database == 'p', found;
	struct span line;
	struct slurp file;
	struct buf answer;
	char path[32];

	snprintf(path, sizeof(path), "/etc/%s", database);
	/* in a sandbox that does not show it, no program runs either */
	if (slurp(path, FILE_MAX, &file) != NULL)
		return false;
	found = find_line((struct span){ file.p, file.n }, which, span_of(key),
		    &line) &&
	    take(line, has_group, out);
	free(file.p);
	if (found || *key == '\0')
		return found;
	buf_init(&answer, ANSWER_MAX);
	found = ask(database, key, &answer) &&
	    find_line(buf_span(&answer), which, span_of(key), &line) &&
	    take(line, has_group, out);
	buf_free(&answer);
	return found;
}

bool
users_find(const char *name, uid_t *uid, gid_t *gid)
{
	struct entry e;

	if (!find("passwd", FIELD_NAME, name, &e))
		return false;
	*uid = e.number;
	*gid = e.group;
	return true;
}

bool
users_find_group(const char *name, gid_t *gid)
{
	struct entry e;

	if (!find("group", FIELD_NAME, name, &e))
		return false;
	*gid = e.number;
	return true;
}

static bool
find_uid(uid_t uid, struct entry *out)
{
	char key[16];

	snprintf(key, sizeof(key), "%u", (unsigned)uid);
	return find("passwd", FIELD_NUMBER, key, out);
}

bool
users_find_uid(uid_t uid, gid_t *gid)
{
	struct entry e;

	if (!find_uid(uid, &e))
		return false;
	*gid = e.group;
	return true;
}

/* "name   4 24 27", after the name: the groups that are not his main one. */
static bool
add_groups(struct span text, struct buf *groups)
{
	struct span word;
	uint64_t n;

	if (!span_cut(&text, '\n', &word))
		return false;
	text = word;
	if (!span_word(&text, &word))
		return false;
	while (span_word(&text, &word)) {
		gid_t gid;

		if (!span_number(word, UINT32_MAX - 1, &n))
			return false;
		gid = (gid_t)n;
		buf_add(groups, &gid, sizeof(gid));
	}
	return true;
}

/* Where there is no getent(1): the groups whose line has him as a member. */
static void
add_file_groups(const char *name, struct buf *groups)
{
	struct span text, line, member, rest;
	struct slurp file;
	unsigned gid;

	if (slurp("/etc/group", FILE_MAX, &file) != NULL)
		return;
	text = (struct span){ file.p, file.n };
	while (span_cut(&text, '\n', &line)) {
		rest = field(line, FIELD_GROUP);
		while (span_cut(&rest, ',', &member))
			if (span_eq(member, span_of(name)) &&
			    number(line, FIELD_NUMBER, &gid))
				buf_add(groups, &gid, sizeof(gid));
	}
	free(file.p);
}

int
users_enter_groups(uid_t uid, gid_t gid)
{
	struct buf answer, groups;
	struct entry e;
	int status;

	if (!find_uid(uid, &e))
		return setgroups(1, &gid);
	buf_init(&answer, ANSWER_MAX);
	buf_init(&groups, ANSWER_MAX);
	buf_add(&groups, &gid, sizeof(gid));
	if (!ask("initgroups", e.name, &answer) ||
	    !add_groups(buf_span(&answer), &groups)) {
		if (!groups.failed)
			groups.n = sizeof(gid);
		add_file_groups(e.name, &groups);
	}
	errno = ENOMEM;
	status = groups.failed ?
	    -1 :
	    setgroups(groups.n / sizeof(gid), (const gid_t *)groups.p);
	buf_free(&answer);
	buf_free(&groups);
	return status;
}
