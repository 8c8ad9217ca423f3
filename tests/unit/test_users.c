/*
 * users: the users and groups of this system, as libc knows them too.
 */
#include "users.h"

#include <sys/wait.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

enum { GROUPS = 1024 };

static void
test_all_users(void)
{
	const struct passwd *pw;
	bool same = true;
	unsigned n = 0;
	uid_t uid;
	gid_t gid;

	setpwent();
	while ((pw = getpwent()) != NULL && n++ < 100)
		same &= users_find(pw->pw_name, &uid, &gid) &&
		    uid == pw->pw_uid && gid == pw->pw_gid;
	endpwent();
	ok(n > 0 && same, "%u users, by their names", n);
}

static void
test_all_groups(void)
{
	const struct group *gr;
	bool same = true;
	unsigned n = 0;
	gid_t gid;

	setgrent();
	while ((gr = getgrent()) != NULL && n++ < 100)
		same &=
		    users_find_group(gr->gr_name, &gid) && gid == gr->gr_gid;
	endgrent();
	ok(n > 0 && same, "%u groups, by their names", n);
}

static void
test_numbers(void)
{
	const struct passwd *pw = getpwuid(0);
	gid_t gid = 4711;

	ok(users_find_uid(0, &gid) && gid == pw->pw_gid, "a user's number");
	gid = 4711;
	ok(!users_find_uid(3999999999, &gid) && gid == 4711,
	    "… and one that nobody has");
}

/* None of them is a user's name, nor an option of getent(1). */
static void
test_none(void)
{
	static const char *const none[] = { "", "no-such-user-here",
		"root:", ":", "root:x", "root\n", "\n", " root", "x:0:0",
		"--help", "-s", "0", "\377" };
	uid_t uid = 4711;
	gid_t gid = 4712;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		ok(!users_find(none[i], &uid, &gid) && uid == 4711 &&
			gid == 4712,
		    "no user: %zu", i);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		ok(!users_find_group(none[i], &gid) && gid == 4712,
		    "no group: %zu", i);
}

static int
by_number(const void *a, const void *b)
{
	gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;

	return x < y ? -1 : x > y;
}

/* This process's groups in order, each once. */
static size_t
groups(gid_t out[])
{
	int n = getgroups(GROUPS, out);
	size_t used = 0;

	if (n > 0)
		qsort(out, (size_t)n, sizeof(*out), by_number);
	for (int i = 0; i < n; i++)
		if (used == 0 || out[used - 1] != out[i])
			out[used++] = out[i];
	return used;
}

/* The same groups as initgroups(3) gives; in a child, which is lost to us. */
static bool
has_groups_of(const struct passwd *pw, gid_t gid)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		static gid_t theirs[GROUPS], ours[GROUPS];
		size_t n, m;

		if (initgroups(pw->pw_name, gid) == -1)
			_exit(1);
		n = groups(theirs);
		if (setgroups(0, NULL) == -1 ||
		    users_enter_groups(pw->pw_uid, gid) == -1)
			_exit(1);
		m = groups(ours);
		_exit(n != m || memcmp(ours, theirs, n * sizeof(*ours)) != 0);
	}
	waitpid(pid, &status, 0);
	return status == 0;
}

/* Everybody who is in more than one group, and a few who are not. */
static void
test_groups(void)
{
	static const gid_t alone = 4711;
	const struct passwd *pw;
	bool same = true;
	unsigned n = 0;
	int status = -1;
	pid_t pid;

	setpwent();
	while ((pw = getpwent()) != NULL && n++ < 20)
		same &= has_groups_of(pw, pw->pw_gid + 1);
	endpwent();
	ok(n > 0 && same, "the groups of %u users", n);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		gid_t got[2];

		_exit(users_enter_groups(3999999999, alone) == -1 ||
		    getgroups(2, got) != 1 || *got != alone);
	}
	waitpid(pid, &status, 0);
	ok(status == 0, "… and of one without a name");
}

/* Whoever is not root has nothing to enter. */
static void
test_no_right(void)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && setresuid(54321, 54321, 54321) == -1)
			_exit(1);
		errno = 0;
		_exit(users_enter_groups(0, 0) != -1 || errno != EPERM);
	}
	waitpid(pid, &status, 0);
	ok(status == 0, "groups are for root to enter");
}

int
main(void)
{
	test_all_users();
	test_all_groups();
	test_numbers();
	test_none();
	if (geteuid() == 0)
		test_groups();
	test_no_right();
	return tap_done();
}
