/*
 * confine: which policies are served in a sandbox, and which others fit into
 * it then.  Each question is put by a child, which may enter one.
 */
#include "confine.h"

#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <unistd.h>

#include "bail.h"
#include "folder.h"
#include "log.h"
#include "tap.h"

/* What Landlock and seccomp are here: less holds where they are not. */
static long landlock; /* its ABI */
static bool seccomp;

static void
ask_kernel(void)
{
	uint32_t action = SECCOMP_RET_ERRNO;

	landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
	seccomp =
	    syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

/* --- a policy, and what is said of it */

static char said[4096];

/* "file:line:column text" of each fault, one a line; below the folder. */
static void
hear(void *ctx, const struct conf_fault *f)
{
	size_t n = strlen(said), skip = strlen(folder) + 1;

	(void)ctx;
	if (f->warning)
		return;
	snprintf(said + n, sizeof(said) - n, "%s:%u:%u %s [%s]\n",
	    strlen(f->file) > skip ? f->file + skip : f->file, f->at.line,
	    f->at.column, f->text, fault_word(f->code));
}

static struct conf *
load_as(const char *text, const char *name)
{
	struct conf *c;

	said[0] = '\0';
	unlink(in_folder(name)); /* nothing is made shorter in a sandbox */
	conf_look(folder_file(name, text, 0644), CONF_FOR_SERVER, hear, NULL,
	    &c);
	if (c == NULL)
		bail();
	return c;
}

#define NONE "[policy]\nsenders = a@b.example\nhandler = none\n"
#define EXEC "[policy]\nsenders = a@b.example\nexec = /bin/true\n"
#define OPEN "[policy]\nsenders = a@b.example\n"
#define PORT "[policy]\nsenders = a@b.example\nforward = 127.0.0.1:9000\n"
#define MIXED NONE "[endpoint x]\npath = /x\nexec = /bin/true\n"
#define SCRIPTS "[policy]\nsenders = a@b.example\nscripts = /\n"

/* --- at the start */

struct start {
	const char *name, *text;
	bool given, confined;
};

static const struct start starts[] = {
	{ "the decision alone", NONE, false, true },
	{ "whatever the command line says", NONE, true, true },
	{ "one that forwards", PORT, false, true },
	{ "if it is told to", NONE "[server]\nsandbox = on\n", false, true },
	{ "not if it is told not to", NONE "[server]\nsandbox = off\n", false,
	    false },
	{ "none that runs a program", EXEC, false, false },
	{ "or runs scripts", SCRIPTS, false, false },
	{ "or the command line's", OPEN, true, false },
	{ "nor where one endpoint does", MIXED, false, false },
};

static int
result_of(pid_t pid)
{
	int status;

	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		bail();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* Is there one, and does it keep us from a file beside? */
static int
begin(const struct start *t)
{
	struct conf *c = load_as(t->text, "policy/ini");
	struct sandbox *s;
	bool good, holds;
	/* who insists gets nothing less */
	bool refused = landlock <= 0 && !seccomp &&
	    strstr(t->text, "sandbox = on") != NULL;
	int fd;

	good = confine(c, in_folder("run/socket"), t->given, hear, NULL, &s) ==
		!refused &&
	    (said[0] != '\0') == refused;
	fd = open(in_folder("out/secret"), O_RDONLY | O_CLOEXEC);
	holds = fd == -1;
	if (fd != -1)
		close(fd);
	good &= (s != NULL) == t->confined;
	good &= holds == (t->confined && landlock > 0);
	fd = open(in_folder("policy/ini"), O_RDONLY | O_CLOEXEC);
	good &= fd != -1 && close(fd) == 0;
	sandbox_free(s);
	conf_free(c);
	return !good;
}

static void
test_starts(void)
{
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(begin(&starts[i]));
		ok(result_of(pid) == 0, "%s", starts[i].name);
	}
}

/* --- sandbox = on, and programs */

struct demand {
	const char *text;
	bool given;
	const char *said;
};

static const struct demand demands[] = {
	{ NONE "[server]\nsandbox = on\n", true, "" },
	{ OPEN "[server]\nsandbox = on\n", false, "" },
	{ OPEN "[server]\nsandbox = auto\n", true, "" },
	{ OPEN "[server]\nsandbox = off\n", true, "" },
	{ OPEN "[server]\nsandbox = on\n", true,
	    "policy/ini:4:11 the command line names a program to be run "
	    "[sandbox]\n" },
	/* conf itself */
	{ EXEC "[server]\nsandbox = on\n", false,
	    "policy/ini:5:11 the policy runs programs, which a sandbox "
	    "forbids [sandbox]\n" },
	{ MIXED "[server]\nsandbox = on\n", false,
	    "policy/ini:8:11 endpoint x runs programs, which a sandbox "
	    "forbids [sandbox]\n" },
	{ SCRIPTS "[server]\nsandbox = on\n", false,
	    "policy/ini:5:11 the policy runs programs, which a sandbox "
	    "forbids [sandbox]\n" },
	{ EXEC "[server]\nsandbox = auto\n", false, "" },
};

static void
test_demands(void)
{
	for (size_t i = 0; i < sizeof(demands) / sizeof(demands[0]); i++) {
		const struct demand *d = &demands[i];
		struct conf *c = load_as(d->text, "policy/ini");

		/* where conf has said it, nobody asks any further */
		if (said[0] == '\0')
			ok(confine_agrees(c, d->given, hear, NULL) ==
				(*d->said == '\0'),
			    "its answer, %zu", i);
		is_span(span_of(said), d->said, "and its words");
		conf_free(c);
	}
}

/* --- at a reload */

struct next {
	const char *name, *text, *said;
	bool given;
};

#define NO_PROGRAM                                                   \
	" this server is in a sandbox, where no program can be run " \
	"[sandbox]\n"
#define NO_PORT                                                            \
	" this server is in a sandbox, where that port cannot be reached " \
	"[sandbox]\n"

static const struct next nexts[] = {
	{ "the same", PORT, "", false },
	{ "the same port elsewhere",
	    "[policy]\nsenders = a@b.example\nforward = [::1]:9000\n", "",
	    false },
	{ "a Unix socket",
	    "[policy]\nsenders = a@b.example\nforward = unix:/s\n", "", false },
	{ "another port",
	    "[policy]\nsenders = a@b.example\nforward = [::1]:9001\n",
	    "policy/ini:3:11" NO_PORT, false },
	{ "a program", EXEC, "policy/ini:3:8" NO_PROGRAM, false },
	{ "scripts", SCRIPTS, "policy/ini:3:11" NO_PROGRAM, false },
	{ "in one endpoint", MIXED, "policy/ini:6:8" NO_PROGRAM, false },
	{ "the command line's", OPEN, "policy/ini:1:2" NO_PROGRAM, true },
	{ "no handler", OPEN, "", false },
};

/* The port's line depends on what holds; the others' do not. */
static const char *
words_of(const struct next *n, const struct sandbox *s)
{
	return strstr(n->said, "port") != NULL && sandbox_may_connect(s, 9001) ?
	    "" :
	    n->said;
}

static int
fits(const struct sandbox *s, const struct next *n)
{
	struct conf *c = load_as(n->text, "policy/ini");
	bool good;

	said[0] = '\0';
	good = confine_fits(s, c, n->given, hear, NULL) == (said[0] == '\0') &&
	    strcmp(said, words_of(n, s)) == 0;
	if (!good)
		fprintf(stderr, "# %s: %s", n->name, said);
	said[0] = '\0';
	good &= confine_fits(NULL, c, n->given, hear, NULL) && said[0] == '\0';
	conf_free(c);
	return good ? 0 : 1;
}

/* In the sandbox of PORT; the policy can then still be written, by TMPDIR. */
static int
go_on(int (*question)(const struct sandbox *, const void *), const void *arg)
{
	struct conf *c = load_as(PORT, "policy/ini");
	struct sandbox *s;
	int wrong;

	setenv("TMPDIR", in_folder("policy"), 1);
	if (!confine(c, NULL, false, hear, NULL, &s) || s == NULL)
		return 2;
	wrong = question(s, arg);
	sandbox_free(s);
	conf_free(c);
	return wrong;
}

static int
ask_next(const struct sandbox *s, const void *arg)
{
	return fits(s, arg);
}

static void
test_nexts(void)
{
	for (size_t i = 0; i < sizeof(nexts) / sizeof(nexts[0]); i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(go_on(ask_next, &nexts[i]));
		ok(result_of(pid) == 0, "%s", nexts[i].name);
	}
}

/* A list that is there, and one that is not: only the first one is to blame. */
static int
ask_blame(const struct sandbox *s, const void *arg)
{
	struct conf *c;
	char text[PATH_MAX * 3], want[512];

	(void)arg;
	snprintf(text, sizeof(text), NONE "senders_file = %s %s %s\n",
	    in_folder("out/secret"), in_folder("out/none"),
	    in_folder("policy/list"));
	c = load_as(text, "policy/ini");
	if (said[0] == '\0') /* one of them is not there at all */
		return 3;
	said[0] = '\0';
	confine_blame(s, c, hear, NULL);
	snprintf(want, sizeof(want), "%s",
	    landlock <= 0 ?
		"" :
		"out/secret:0:0 it is outside of this server's sandbox "
		"[sandbox]\n");
	if (strcmp(said, want) != 0) {
		fprintf(stderr, "# %s", said);
		return 1;
	}
	said[0] = '\0';
	confine_blame(NULL, c, hear, NULL);
	conf_free(c);
	return said[0] != '\0';
}

static void
test_blame(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(go_on(ask_blame, NULL));
	ok(result_of(pid) == 0, "a list that is out of reach");
}

int
main(void)
{
	ask_kernel();
	folder_make();
	mkdir(in_folder("policy"), 0755);
	mkdir(in_folder("run"), 0755);
	mkdir(in_folder("out"), 0755);
	folder_file("out/secret", "a@b.example\n", 0644);
	folder_file("policy/list", "a@b.example\n", 0644);
	log_open("test", in_folder("policy/log"), 6);
	setenv("TMPDIR", in_folder("policy"), 1);
	test_starts();
	test_demands();
	test_nexts();
	test_blame();
	folder_remove();
	return tap_done();
}
