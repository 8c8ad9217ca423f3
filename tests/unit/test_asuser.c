/*
 * asuser: what a user may do with files.  As root also what another one may;
 * as anybody else, that this cannot be told.
 */
#include "asuser.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tap.h"

#include "folder.h"

enum { OTHER = 12345, OTHER_GROUP = 23456 };

static const struct asuser other = { OTHER, OTHER_GROUP, NULL };

static struct asuser
me(void)
{
	return (struct asuser){ geteuid(), getegid(), NULL };
}

static const char *
ask(const struct asuser *u, enum asuser_what what, const char *path)
{
	static struct asuser_question q;

	q = (struct asuser_question){ .what = what, .path = path };
	strcpy(q.fault, "not answered");
	if (!asuser_ask(u, &q, 1))
		return strerror(errno);
	return q.fault;
}

static void
is_answer(const struct asuser *u, enum asuser_what what, const char *path,
    int error, const char *name)
{
	is_span(span_of(ask(u, what, path)), error == 0 ? "" : strerror(error),
	    name);
}

static void
test_me(void)
{
	struct asuser u = me();

	ok(asuser_can(&u), "we can look as ourselves");
	is_answer(&u, ASUSER_READ, folder_file("mine", "x", 0600), 0,
	    "reads a file");
	is_answer(&u, ASUSER_READ, in_folder("none"), ENOENT, "a missing file");
	is_answer(&u, ASUSER_EXECUTE, folder_file("plain", "x", 0600), EACCES,
	    "a file that nobody may execute");
	is_answer(&u, ASUSER_EXECUTE, folder_file("prog", "x", 0700), 0,
	    "a program");
	is_answer(&u, ASUSER_EXECUTE, folder, 0, "a directory");
	is_answer(&u, ASUSER_WRITE, in_folder("mine"), 0, "writes a file");
	is_answer(&u, ASUSER_WRITE, in_folder("new"), 0, "makes a file");
	is_answer(&u, ASUSER_WRITE, in_folder("none/new"), ENOENT,
	    "makes none where there is no directory");
	is_answer(&u, ASUSER_REPLACE, in_folder("mine"), 0, "replaces a file");
	is_answer(&u, ASUSER_REPLACE, in_folder("none/x"), ENOENT,
	    "replaces none where there is no directory");
	ok(access(in_folder("new"), F_OK) == -1, "nothing was made");
}

static char address[128];

static int
listen_there(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%.90s/sock", folder);
	snprintf(address, sizeof(address), "unix:%s", un.sun_path);
	if (fd == -1 ||
	    bind(fd, (const struct sockaddr *)&un, sizeof(un)) == -1 ||
	    listen(fd, 5) == -1 || chmod(un.sun_path, 0600) == -1)
		bail();
	return fd;
}

static void
test_connect(void)
{
	struct asuser u = me();
	int fd = listen_there();

	is_answer(&u, ASUSER_CONNECT, address, 0, "connects");
	if (geteuid() == 0)
		is_answer(&other, ASUSER_CONNECT, address, EACCES,
		    "another user does not");
	close(fd);
	is_answer(&u, ASUSER_CONNECT, address, ECONNREFUSED,
	    "nobody listens any more");
	is_answer(&u, ASUSER_CONNECT, "unix:/nonexistent/sock", ENOENT,
	    "no socket");
	is_answer(&u, ASUSER_CONNECT, "nonsense", EINVAL, "no address");
}

/* As somebody who is not us. */
static void
test_other(void)
{
	struct asuser_question q[3] = {
		{ .what = ASUSER_READ, .path = in_folder("mine") },
		{ .what = ASUSER_READ, .path = in_folder("open") },
		{ .what = ASUSER_WRITE, .path = in_folder("open") },
	};

	folder_file("open", "x", 0644);
	if (chmod(folder, 0755) == -1)
		bail();
	ok(asuser_can(&other), "root can look as anybody");
	ok(asuser_ask(&other, q, 3), "three questions at once");
	is_span(span_of(q[0].fault), strerror(EACCES), "not its file");
	is_span(span_of(q[1].fault), "", "everybody's file");
	is_span(span_of(q[2].fault), strerror(EACCES), "to be read alone");
	ok(q[1].path == in_folder("open") || strcmp(q[1].path, q[2].path) == 0,
	    "the questions are what they were");
	if (chown(in_folder("mine"), 0, OTHER_GROUP) == -1 ||
	    chmod(in_folder("mine"), 0640) == -1)
		bail();
	is_answer(&other, ASUSER_READ, in_folder("mine"), 0, "by its group");
	ok(geteuid() == 0 && getegid() == 0, "we are who we were");
	ok(wait(NULL) == -1 && errno == ECHILD, "and nobody is left");
}

/* A child of root's that has become somebody. */
static bool
cannot_tell(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (geteuid() == 0 && setuid(65534) == -1)
			_exit(1);
		_exit(asuser_can(&other) || asuser_ask(&other, NULL, 0));
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

int
main(void)
{
	folder_make();
	test_me();
	test_connect();
	if (geteuid() == 0)
		test_other();
	ok(cannot_tell(), "nobody else can look as another one");
	folder_remove();
	return tap_done();
}
