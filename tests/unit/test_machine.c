/*
 * machine: what a policy names on this machine, and who may use it [SPEC 7.3].
 * As another user only where root runs this.
 */
#include "machine.h"

#include "tap.h"

#include "remarked.h"

#define POLICY "[policy]\nsenders = a@b.example\n"
#define MISSING                                                          \
	": No such file or directory for this user; start that server, " \
	"let the user in, or name another one\n"

static const struct {
	const char *name, *policy, *want;
} cases[] = {
	{ "a program", POLICY "exec = @DIR@/good\n", "" },
	{ "none", POLICY "handler = none\n", "" },
	{ "in CGI the server may bring one", POLICY, "" },
	{ "a missing program", POLICY "exec = @DIR@/missing\n",
	    "3:8 error bad-handler: exec = @DIR@/missing is not there; name a "
	    "program that is there and can be executed\n" },
	{ "a directory", POLICY "exec = @DIR@/dir\n",
	    "3:8 error bad-handler: exec = @DIR@/dir is a directory; name a "
	    "program that is there and can be executed\n" },
	{ "a file that cannot be executed", POLICY "exec = @DIR@/plain\n",
	    "3:8 error bad-handler: exec = @DIR@/plain is not executable; "
	    "name a program that is there and can be executed\n" },
	{ "once for all endpoints",
	    POLICY "exec = @DIR@/missing\n[endpoint a]\npath = /a\n"
		   "[endpoint b]\npath = /b\n",
	    "3:8 error bad-handler: exec = @DIR@/missing is not there; name a "
	    "program that is there and can be executed\n" },
	{ "an interpreter that is not there", POLICY "exec = @DIR@/odd\n",
	    "3:8 error bad-handler: exec = @DIR@/odd: its interpreter "
	    "/nonexistent/perl is not there; write an interpreter into its "
	    "first line that is there\n" },
	{ "CR at the end of the first line", POLICY "exec = @DIR@/crlf\n",
	    "3:8 error bad-handler: exec = @DIR@/crlf: its interpreter "
	    "/bin/sh? is not there; end its lines with LF alone\n" },
	{ "no interpreter at all", POLICY "exec = @DIR@/text\n",
	    "3:8 warning bad-handler: exec = @DIR@/text is no program, and "
	    "names no interpreter; write #! and an interpreter into its first "
	    "line\n" },
	{ "an interpreter with blanks and an option",
	    POLICY "exec = @DIR@/blanks\n", "" },
	{ "the front itself", POLICY "exec = @DIR@/front\n",
	    "3:8 error handler-loop: exec = @DIR@/front is the front itself; "
	    "name the program that answers the requests\n" },
	{ "the front as its interpreter", POLICY "exec = @DIR@/behind\n",
	    "3:8 error handler-loop: exec = @DIR@/behind is run by the front "
	    "itself; name the program that answers the requests\n" },
	{ "a program that its group can write", POLICY "exec = @DIR@/group\n",
	    "3:8 warning writable: exec = @DIR@/group is writable by its "
	    "group; chmod go-w\n" },
	{ "a program that everybody can write", POLICY "exec = @DIR@/world\n",
	    "3:8 warning writable: exec = @DIR@/world is writable by "
	    "everybody; chmod go-w\n" },
	{ "a program that everybody can exchange",
	    POLICY "exec = @DIR@/open/sub/good\n",
	    "3:8 warning writable: exec = @DIR@/open/sub/good is below "
	    "@DIR@/open, which everybody can write; chmod go-w\n" },
	{ "one in a sticky directory", POLICY "exec = @DIR@/sticky/good\n",
	    "" },
	{ "scripts", POLICY "scripts = @DIR@/dir\n", "" },
	{ "scripts that everybody can add to", POLICY "scripts = @DIR@/open\n",
	    "3:11 warning writable: scripts = @DIR@/open is writable by "
	    "everybody; chmod go-w\n" },
	{ "sticky or not", POLICY "scripts = @DIR@/sticky\n",
	    "3:11 warning writable: scripts = @DIR@/sticky is writable by "
	    "everybody; chmod go-w\n" },
	{ "nobody listens", POLICY "forward = unix:@DIR@/sock\n",
	    "3:11 warning backend-refused: forward = unix:@DIR@/sock" MISSING },
	{ "lists that others can write",
	    "[policy]\nsenders_file = @DIR@/good.list @DIR@/bad.list "
	    "@DIR@/open/list\nhandler = none\n",
	    "bad.list:0:0 warning writable: writable by its group; chmod "
	    "go-w\n"
	    "list:0:0 warning writable: below @DIR@/open, which everybody "
	    "can write; chmod go-w\n" },
	{ "a log without a directory",
	    POLICY "[server]\nlog = @DIR@/none/log\n",
	    "4:7 warning no-directory: log = @DIR@/none/log: there is no "
	    "directory @DIR@/none; make it, unless whatever starts the "
	    "server does\n" },
	{ "a log with one", POLICY "[server]\nlog = @DIR@/log\n", "" },
};

static const struct {
	const char *name, *policy, *want;
} server_cases[] = {
	{ "no handler", POLICY,
	    "1:2 warning no-handler: no handler; set exec, forward, scripts "
	    "or handler = none, or name a program on the command line\n" },
	{ "an endpoint without one",
	    POLICY "[endpoint a]\npath = /a\nexec = @DIR@/good\n"
		   "[endpoint b]\npath = /b\n",
	    "6:2 warning no-handler: no handler; set exec, forward, scripts "
	    "or handler = none, or name a program on the command line\n" },
	{ "metrics without a directory",
	    POLICY "handler = none\n[server]\n"
		   "metrics = url:/m file:@DIR@/none/m\n",
	    "5:11 warning no-directory: metrics = @DIR@/none/m: there is no "
	    "directory @DIR@/none; make it, unless whatever starts the "
	    "server does\n" },
};

static void
check(const char *policy, const struct machine_options *o, const char *want,
    const char *name)
{
	struct conf *c = remarked_load(policy, o->use);
	struct remark r;
	struct buf said;

	remarked_begin(&r, c, &said);
	machine_check(&r, c, o);
	remark_end(&r);
	remarked_are(&said, want, name);
	conf_free(c);
}

static void
make_directory(const char *name, mode_t mode)
{
	if (mkdir(in_folder(name), mode) == -1 ||
	    chmod(in_folder(name), mode) == -1)
		bail();
}

static void
make_files(void)
{
	struct buf behind;

	make_directory("dir", 0755);
	make_directory("open", 0777);
	make_directory("open/sub", 0755);
	make_directory("sticky", 01777);
	make_directory("bin", 0755);
	folder_file("good", "#!/bin/sh\n", 0755);
	folder_file("open/sub/good", "#!/bin/sh\n", 0755);
	folder_file("sticky/good", "#!/bin/sh\n", 0755);
	folder_file("plain", "#!/bin/sh\n", 0644);
	folder_file("odd", "#!/nonexistent/perl -w\n", 0755);
	folder_file("crlf", "#!/bin/sh\r\n", 0755);
	folder_file("blanks", "#! \t/bin/sh -e\n", 0755);
	folder_file("text", "hello\n", 0755);
	folder_file("group", "#!/bin/sh\n", 0775);
	folder_file("world", "#!/bin/sh\n", 0777);
	folder_file("bin/amp-cors-cgi", "#!/bin/sh\n", 0755);
	folder_file("good.list", "a@b.example\n", 0644);
	folder_file("bad.list", "a@b.example\n", 0664);
	folder_file("open/list", "a@b.example\n", 0644);
	if (symlink("bin/amp-cors-cgi", in_folder("front")) == -1)
		bail();
	buf_init(&behind, PATH_MAX + 64);
	remarked_fill(&behind, "#!@DIR@/bin/amp-cors-cgi /bin/sh\n");
	must_text(&behind);
	folder_file("behind", behind.p, 0755);
	buf_free(&behind);
	setenv("PATH", in_folder("bin"), 1);
}

/* What another user may not do. */
static const char user_policy[] = "[policy]\n"
				  "senders_file = @DIR@/private.list\n"
				  "exec = @DIR@/private\n"
				  "[endpoint s]\n"
				  "path = /s\n"
				  "scripts = @DIR@/closed\n"
				  "[endpoint n]\n"
				  "path = /n\n"
				  "handler = none\n"
				  "[endpoint p]\n"
				  "path = /p\n"
				  "[server]\n"
				  "user = 12345\n"
				  "group = 23456\n"
				  "log = @DIR@/dir/log\n"
				  "metrics = file:@DIR@/dir/metrics\n";

static const char as_server[] =
    "private.list:0:0 warning no-access: Permission denied for user 12345; "
    "let that user read it, or reloads will fail: chgrp and chmod g+r\n"
    "15:7 warning no-access: log = @DIR@/dir/log: Permission denied for user "
    "12345; let that user write there\n"
    "16:11 warning no-access: metrics = @DIR@/dir/metrics: Permission denied "
    "for user 12345; let that user write there\n"
    "6:11 error no-access: scripts = @DIR@/closed: Permission denied for user "
    "12345; let that user enter it\n";

static const char as_given[] =
    "private.list:0:0 error no-access: Permission denied for user 12345; let "
    "that user read it: chgrp and chmod g+r\n";

static const char as_cgi[] =
    "private.list:0:0 error no-access: Permission denied for user 12345; let "
    "that user read it: chgrp and chmod g+r\n"
    "15:7 warning no-access: log = @DIR@/dir/log: Permission denied for user "
    "12345; let that user write there\n"
    "6:11 error no-access: scripts = @DIR@/closed: Permission denied for user "
    "12345; let that user enter it\n"
    "3:8 error bad-handler: exec = @DIR@/private: Permission denied for user "
    "12345; let that user execute it\n";

static const char not_checked[] =
    "0:0 note not-checked: what user 12345 may do cannot be told: only root "
    "can try; run this as root, or as that user\n";

static void
test_user(void)
{
	const struct machine_options server = { .use = CONF_FOR_SERVER };
	const struct machine_options cgi = { .use = CONF_FOR_CGI,
		.user = "12345" };
	const struct machine_options given = { .use = CONF_FOR_SERVER,
		.user = "12345" };
	const struct machine_options mine = { .use = CONF_FOR_CGI };
	bool root = geteuid() == 0;

	folder_file("private.list", "a@b.example\n", 0600);
	folder_file("private", "#!/bin/sh\n", 0750);
	make_directory("closed", 0700);
	if (chmod(folder, 0755) == -1 ||
	    (root && chown(in_folder("private"), 0, 23456) == -1))
		bail();
	check(user_policy, &server, root ? as_server : not_checked,
	    "the user and the group of a server");
	check("[policy]\nsenders_file = @DIR@/private.list\nhandler = none\n",
	    &given, root ? as_given : not_checked,
	    "a user that something else makes of the server");
	check(user_policy, &cgi, root ? as_cgi : not_checked,
	    "a user that CGI programs are run by");
	check(user_policy, &mine, "", "the one who asks");
}

int
main(void)
{
	const struct machine_options cgi = { .use = CONF_FOR_CGI };
	const struct machine_options server = { .use = CONF_FOR_SERVER };
	const struct machine_options given = { .use = CONF_FOR_SERVER,
		.handler = true };

	umask(022);
	folder_make();
	make_files();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check(cases[i].policy, &cgi, cases[i].want, cases[i].name);
	for (size_t i = 0; i < sizeof(server_cases) / sizeof(*server_cases);
	     i++)
		check(server_cases[i].policy, &server, server_cases[i].want,
		    server_cases[i].name);
	check(POLICY, &given, "", "a handler on the command line");
	test_user();
	folder_remove();
	return tap_done();
}
