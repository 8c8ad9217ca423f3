/*
 * target: which file runs, in a tree of folders, links and odd files; and
 * which command lines are the server's [SPEC 4.11, 5.1].
 */
#include "target.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "folder.h"
#include "tap.h"
#include "valgrind.h"

static char root[PATH_MAX];

/* "@/x" is x below the folder; what is returned lives a few calls. */
static struct span
at(const char *path)
{
	if (path == NULL || strncmp(path, "@/", 2) != 0)
		return span_of(path);
	return span_of(in_folder(path + 2));
}

/*	root/a.cgi root/sub/b.cgi root/sub/plain root/sub/deep/c.cgi
 *	root/in -> sub/b.cgi  root/out -> ../other/secret.cgi
 *	root/outdir -> ../other  root/gone -> nowhere  root/pipe  root/socket
 *	rootless/x.cgi: its name begins with root's
 */
static void
make_tree(void)
{
	static const char *const dirs[] = { "root", "root/sub", "root/sub/deep",
		"other", "rootless", "root/dir.cgi" };
	static const char *const files[] = { "root/a.cgi", "root/sub/b.cgi",
		"root/sub/deep/c.cgi", "other/secret.cgi", "rootless/x.cgi",
		"root/a b.cgi", "sh" };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		mkdir(in_folder(dirs[i]), 0755);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		folder_script(files[i], "echo");
	folder_file("root/sub/plain", "text", 0644);
	strcpy(a.sun_path, in_folder("root/socket"));
	if (symlink("sub/b.cgi", in_folder("root/in")) == -1 ||
	    symlink("../other/secret.cgi", in_folder("root/out")) == -1 ||
	    symlink("../other", in_folder("root/outdir")) == -1 ||
	    symlink("nowhere", in_folder("root/gone")) == -1 ||
	    symlink("loop", in_folder("root/loop")) == -1 ||
	    symlink("root", in_folder("way")) == -1 ||
	    mkfifo(in_folder("root/pipe"), 0600) == -1 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1)
		bail();
	close(fd);
	strcpy(root, in_folder("root"));
}

struct script_case {
	const char *filename, *name, *info; /* the request's */
	enum reason why;
	const char *script; /* below root */
	const char *new_name, *new_info;
};

#define MISSING REASON_HANDLER_MISSING
#define FORBIDDEN REASON_HANDLER_FORBIDDEN

static const struct script_case scripts[] = {
	{ "@/root/a.cgi", "/a.cgi", NULL, REASON_OK, "a.cgi", "/a.cgi", "" },
	{ "@/root/a.cgi", "/a.cgi", "/x/y", REASON_OK, "a.cgi", "/a.cgi",
	    "/x/y" },
	{ "@/root/sub/deep/c.cgi", "/cgi/c.cgi", NULL, REASON_OK,
	    "sub/deep/c.cgi", "/cgi/c.cgi", "" },
	{ "@/root/a b.cgi", "/a b.cgi", NULL, REASON_OK, "a b.cgi", "/a b.cgi",
	    "" },
	/* links */
	{ "@/root/in", "/in", NULL, REASON_OK, "sub/b.cgi", "/in", "" },
	{ "@/way/a.cgi", "/a.cgi", NULL, REASON_OK, "a.cgi", "/a.cgi", "" },
	{ "@/root/out", "/out", NULL, MISSING, NULL, NULL, NULL },
	{ "@/root/outdir/secret.cgi", "/x", NULL, MISSING, NULL, NULL, NULL },
	{ "@/root/gone", "/gone", NULL, MISSING, NULL, NULL, NULL },
	{ "@/root/loop", "/loop", NULL, MISSING, NULL, NULL, NULL },
	/* E24 */
	{ "@/root/../other/secret.cgi", "/x", NULL, MISSING, NULL, NULL, NULL },
	{ "@/root/../root/a.cgi", "/x", NULL, MISSING, NULL, NULL, NULL },
	{ "@/root/./a.cgi", "/x", NULL, MISSING, NULL, NULL, NULL },
	{ "@/root//a.cgi", "/x", NULL, MISSING, NULL, NULL, NULL },
	{ "@/root/sub/..", "/x", "/a.cgi", MISSING, NULL, NULL, NULL },
	{ "root/a.cgi", "/x", NULL, MISSING, NULL, NULL, NULL },
	{ "", "/x", NULL, MISSING, NULL, NULL, NULL },
	{ NULL, "/x", NULL, MISSING, NULL, NULL, NULL },
	{ "/", "/", NULL, MISSING, NULL, NULL, NULL },
	{ "@/other/secret.cgi", "/x", NULL, MISSING, NULL, NULL, NULL },
	{ "@/rootless/x.cgi", "/x", NULL, MISSING, NULL, NULL, NULL },
	{ "/etc/passwd", "/x", NULL, MISSING, NULL, NULL, NULL },
	/* E25 */
	{ "@/root/none.cgi", "/none.cgi", NULL, MISSING, NULL, NULL, NULL },
	{ "@/root/none/x.cgi", "/none/x.cgi", NULL, MISSING, NULL, NULL, NULL },
	{ "@/root/dir.cgi", "/dir.cgi", NULL, MISSING, NULL, NULL, NULL },
	{ "@/root", "/", NULL, MISSING, NULL, NULL, NULL },
	{ "@/root/pipe", "/pipe", NULL, FORBIDDEN, NULL, NULL, NULL },
	{ "@/root/socket", "/socket", NULL, FORBIDDEN, NULL, NULL, NULL },
	{ "/dev/null", "/x", NULL, FORBIDDEN, NULL, NULL, NULL },
	/* E27: SCRIPT_FILENAME goes on behind the file */
	{ "@/root/a.cgi/x/y", "/a.cgi", "/x/y", REASON_OK, "a.cgi", "/a.cgi",
	    "/x/y" },
	{ "@/root/a.cgi/x/y", "/a.cgi/x/y", NULL, REASON_OK, "a.cgi", "/a.cgi",
	    "/x/y" },
	{ "@/root/a.cgi/x", "/a.cgi", NULL, REASON_OK, "a.cgi", "/a.cgi",
	    "/x" },
	{ "@/root/a.cgi/", "/a.cgi/", NULL, REASON_OK, "a.cgi", "/a.cgi", "/" },
	{ "@/root/a.cgi/x", "/other", "/info", REASON_OK, "a.cgi", "/other",
	    "/x" },
	{ "@/root/a.cgi/../x", "/a.cgi", NULL, MISSING, NULL, NULL, NULL },
	/* E27: it stops short of the file */
	{ "@/root/sub", "/sub", "/b.cgi", REASON_OK, "sub/b.cgi", "/sub/b.cgi",
	    "" },
	{ "@/root/sub", "/sub", "/b.cgi/x", REASON_OK, "sub/b.cgi",
	    "/sub/b.cgi", "/x" },
	{ "@/root", "/", "/sub/deep/c.cgi/x/y", REASON_OK, "sub/deep/c.cgi",
	    "/sub/deep/c.cgi", "/x/y" },
	{ "@/root/", NULL, "/sub/b.cgi", REASON_OK, "sub/b.cgi", "/sub/b.cgi",
	    "" },
	{ "@/root/sub", "/sub", "/none", MISSING, NULL, NULL, NULL },
	{ "@/root/sub", "/sub", "/deep", MISSING, NULL, NULL, NULL },
	{ "@/root/sub", "/sub", "/deep/", MISSING, NULL, NULL, NULL },
	{ "@/root/sub", "/sub", "/../a.cgi", MISSING, NULL, NULL, NULL },
	{ "@/root/sub", "/sub", "//b.cgi", MISSING, NULL, NULL, NULL },
	{ "@/root/sub", "/sub", "b.cgi", MISSING, NULL, NULL, NULL },
	{ "@/root", "/", "/outdir/secret.cgi", MISSING, NULL, NULL, NULL },
	{ "@/root", "/", "/pipe", FORBIDDEN, NULL, NULL, NULL },
	{ "/", "/", "/etc/passwd", MISSING, NULL, NULL, NULL },
	{ "/", "/", "/bin/sh", MISSING, NULL, NULL, NULL },
};

static bool
is_own(const struct target *t, const char *script)
{
	const char *slash;

	if (strcmp(t->script, script) != 0 || strcmp(t->file, script) != 0 ||
	    strcmp(t->argv[0], script) != 0 || t->argv[1] != NULL)
		return false;
	slash = strrchr(script, '/');
	return strlen(t->dir) == (size_t)(slash - script) &&
	    strncmp(t->dir, script, strlen(t->dir)) == 0;
}

static void
test_script(const struct script_case *c)
{
	struct cgienv e = { .script_name = span_of(c->name),
		.path_info = span_of(c->info) };
	char script[PATH_MAX + 64];
	struct target t;
	enum reason why;
	bool same = true;

	memset(&t, 0x5A, sizeof(t));
	e.script_filename = at(c->filename);
	why = target_script(&e, root, &t);
	snprintf(script, sizeof(script), "%s/%s", root,
	    c->script == NULL ? "" : c->script);
	if (c->why == REASON_OK && why == REASON_OK)
		same = is_own(&t, script) && t.new_path &&
		    strcmp(t.script_name, c->new_name) == 0 &&
		    strcmp(t.path_info, c->new_info) == 0;
	if (!ok(why == c->why && same, "%s, %s, %s: %s",
		c->filename == NULL ? "(none)" : c->filename,
		c->name == NULL ? "(none)" : c->name,
		c->info == NULL ? "(none)" : c->info, reason_word(c->why)) &&
	    why == REASON_OK)
		printf("# %s, %s, %s\n", t.script, t.script_name, t.path_info);
	else if (why != c->why)
		printf("# %s\n", reason_word(why));
}

static void
test_long(void)
{
	char path[3 * PATH_MAX];
	struct cgienv e = { .script_name = SPAN("/x") };
	static struct target t;

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	for (size_t n = PATH_MAX - 2; n <= PATH_MAX + 2; n++) {
		e.script_filename = (struct span){ path, n };
		ok(target_script(&e, root, &t) == MISSING,
		    "a path of %zu bytes", n);
	}
	e.script_filename = at("@/root/sub");
	e.path_info = (struct span){ path, sizeof(path) };
	ok(target_script(&e, root, &t) == MISSING, "a long PATH_INFO");
	e.script_filename = at("@/root/a.cgi");
	ok(target_script(&e, root, &t) == MISSING, "… behind a file");
	e.path_info = (struct span){ NULL, 0 };
	e.script_name = (struct span){ path, sizeof(path) };
	ok(target_script(&e, root, &t) == MISSING, "a long SCRIPT_NAME");
}

static void
test_root(void)
{
	struct cgienv e = { .script_filename = at("@/root/a.cgi"),
		.script_name = SPAN("/x") };
	static struct target t;

	ok(target_script(&e, "/", &t) == REASON_OK, "below '/' is everything");
	ok(target_script(&e, folder, &t) == REASON_OK, "a folder above");
	ok(target_script(&e, in_folder("root/sub"), &t) == MISSING,
	    "one beside");
	ok(target_script(&e, in_folder("root/a.cgi"), &t) == MISSING,
	    "a root that is the file itself");
}

/* --- Apache's Action (E22, E23) --- */

static const struct {
	const char *translated, *info, *status;
	enum reason why;
	const char *script, *new_name, *new_info;
} actions[] = {
	{ "@/root/a.cgi", "/a.cgi", "200", REASON_OK, "a.cgi", "/a.cgi", "" },
	{ "@/root/a.cgi/x/y", "/a.cgi/x/y", "200", REASON_OK, "a.cgi", "/a.cgi",
	    "/x/y" },
	{ "@/root/a.cgi/x", "/alias", "200", REASON_OK, "a.cgi", "/alias", "" },
	{ "@/root/in", "/in", "200", REASON_OK, "sub/b.cgi", "/in", "" },
	{ "@/root/a.cgi", "/a.cgi", NULL, REASON_NOT_REDIRECTED, NULL, NULL,
	    NULL },
	{ NULL, "/a.cgi", "200", REASON_NOT_REDIRECTED, NULL, NULL, NULL },
	{ "root/a.cgi", "/a.cgi", "200", REASON_NOT_REDIRECTED, NULL, NULL,
	    NULL },
	{ "@/root/../root/a.cgi", "/a.cgi", "200", REASON_NOT_REDIRECTED, NULL,
	    NULL, NULL },
	{ "@/other/secret.cgi", "/x", "200", REASON_NOT_REDIRECTED, NULL, NULL,
	    NULL },
	{ "@/root/out", "/x", "200", REASON_NOT_REDIRECTED, NULL, NULL, NULL },
	{ "@/root/none", "/none", "200", MISSING, NULL, NULL, NULL },
	{ "@/root/sub", "/sub", "200", MISSING, NULL, NULL, NULL },
	{ "@/root/pipe", "/pipe", "200", FORBIDDEN, NULL, NULL, NULL },
};

static void
test_action(size_t i)
{
	struct cgienv e = { .script_filename = SPAN("/proc/self/exe"),
		.path_translated = at(actions[i].translated),
		.redirect_status = span_of(actions[i].status),
		.script_name = SPAN("/cgi-bin/front"),
		.path_info = span_of(actions[i].info) };
	char script[PATH_MAX + 64];
	static struct target t;
	enum reason why = target_action(&e, root, &t);
	bool same = true;

	snprintf(script, sizeof(script), "%s/%s", root,
	    actions[i].script == NULL ? "" : actions[i].script);
	if (why == REASON_OK && actions[i].why == REASON_OK)
		same = is_own(&t, script) && t.new_path &&
		    strcmp(t.script_name, actions[i].new_name) == 0 &&
		    strcmp(t.path_info, actions[i].new_info) == 0;
	if (!ok(why == actions[i].why && same, "Action %s: %s",
		actions[i].translated == NULL ? "(none)" :
						actions[i].translated,
		reason_word(actions[i].why)))
		printf("# %s: %s, %s, %s\n", reason_word(why), t.script,
		    t.script_name, t.path_info);
}

/* --- command lines (E17 to E22) --- */

enum { NO = 100 }; /* false, and no fault */

static const struct {
	const char *filename;
	const char *argv[5];
	unsigned want;
	const char *file, *words; /* what runs, its arguments but the script */
} lines[] = {
	/* lighttpd's cgi.assign */
	{ "@/root/a.cgi", { "front", "@/root/a.cgi" }, REASON_OK,
	    "@/root/a.cgi", NULL },
	{ "@/root/in", { "front", "@/root/sub/b.cgi", "x", "y" }, REASON_OK,
	    "@/root/sub/b.cgi", NULL },
	/* "#!/front /bin/sh": what follows the script is the client's */
	{ "@/root/a.cgi", { "front", "@/sh", "@/root/a.cgi", "-c", "id" },
	    REASON_OK, "@/sh", "" },
	{ "@/root/a.cgi", { "front", "@/sh -e  -u", "@/root/a.cgi" }, REASON_OK,
	    "@/sh", " -e -u" },
	{ "@/root/a.cgi", { "front", "sh", "@/root/a.cgi" }, FORBIDDEN, NULL,
	    NULL },
	{ "@/root/a.cgi", { "front", "", "@/root/a.cgi" }, FORBIDDEN, NULL,
	    NULL },
	{ "@/root/a.cgi", { "front", "  ", "@/root/a.cgi" }, FORBIDDEN, NULL,
	    NULL },
	{ "@/root/a.cgi",
	    { "front",
		"@/sh 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 "
		"20 21 22 23 24 25 26 27 28 29 30 31",
		"@/root/a.cgi" },
	    REASON_OK, "@/sh",
	    " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 "
	    "25 26 27 28 29 30 31" },
	{ "@/root/a.cgi",
	    { "front",
		"@/sh 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 "
		"20 21 22 23 24 25 26 27 28 29 30 31 32",
		"@/root/a.cgi" },
	    FORBIDDEN, NULL, NULL },
	/* E17, E18: the client's words */
	{ "/proc/self/exe", { "front", "/bin/sh", "/etc/passwd", "-c" }, NO,
	    NULL, NULL },
	{ "/proc/self/exe", { "front", "/proc/self/exe" }, NO, NULL, NULL },
	{ NULL, { "front", "@/root/a.cgi" }, NO, NULL, NULL },
	{ "@/root/a.cgi", { "front" }, NO, NULL, NULL },
	{ "@/root/a.cgi", { "front", "@/root/sub/b.cgi" }, NO, NULL, NULL },
	{ "@/root/a.cgi", { "front", "-c", "id", "@/root/a.cgi" }, NO, NULL,
	    NULL },
	{ "@/root/none", { "front", "@/root/none" }, NO, NULL, NULL },
};

enum { LINES = sizeof(lines) / sizeof(lines[0]) };

/* "@/sh -e" with the folder for '@', in memory of its own. */
static char *
expand(const char *word)
{
	struct span s = at(word);

	return must(strndup(s.p, s.n));
}

/* The words between the program and the script, each behind a blank. */
static bool
has_words(const struct target *t, const char *want)
{
	char got[2048] = "";
	size_t i = 1;

	if (want == NULL)
		return strcmp(t->file, t->script) == 0 && t->argv[1] == NULL;
	for (; t->argv[i] != NULL && t->argv[i + 1] != NULL; i++) {
		strcat(got, " ");
		strcat(got, t->argv[i]);
	}
	return strcmp(got, want) == 0 && t->argv[i] == t->script;
}

/* The script begins as the kernel must have seen it to make these words. */
static void
first_line(const char *words)
{
	char text[3000];

	snprintf(text, sizeof(text), "#! /front\t%s \nexit\n", words);
	folder_file("root/a.cgi", text, 0755);
}

static void
test_line(size_t i)
{
	struct cgienv e = { .script_filename = at(lines[i].filename) };
	static struct target t;
	enum reason why = REASON_COUNT;
	char *argv[6] = { NULL };
	int argc = 0;
	unsigned got;
	bool same = true;

	for (; argc < 5 && lines[i].argv[argc] != NULL; argc++)
		argv[argc] = expand(lines[i].argv[argc]);
	first_line(argc > 2 ? argv[1] : "");
	memset(&t, 0x5A, sizeof(t));
	got = target_command_line(&e, argc, argv, &t, &why) ? REASON_OK :
	    why == REASON_OK                                ? NO :
							      why;
	if (got == REASON_OK && lines[i].want == REASON_OK)
		same = span_eq(span_of(t.file), at(lines[i].file)) &&
		    strcmp(t.argv[0], t.file) == 0 && !t.new_path &&
		    has_words(&t, lines[i].words);
	ok(got == lines[i].want && same, "%s: front %.40s %s ...",
	    lines[i].filename == NULL ? "(none)" : lines[i].filename,
	    argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : "");
	while (argc > 0)
		free(argv[--argc]);
}

/* A script of `scripts`, started by its own first line. */
static void
test_interpreter(void)
{
	static const struct {
		const char *argv[4];
		const char *file, *words;
	} cases[] = {
		{ { "front", "@/sh -e", "@/root/a.cgi", "x" }, "@/sh", " -e" },
		{ { "front", "@/sh", "@/root/in" }, "@/root/a.cgi", NULL },
		{ { "front", "sh", "@/root/a.cgi" }, "@/root/a.cgi", NULL },
		{ { "front", "", "@/root/a.cgi" }, "@/root/a.cgi", NULL },
		{ { "front", "@/root/a.cgi" }, "@/root/a.cgi", NULL },
		{ { "front", "@/root/a.cgi", "@/sh" }, "@/root/a.cgi", NULL },
		{ { "front" }, "@/root/a.cgi", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *argv[5] = { NULL };
		static struct target t;
		int argc = 0;

		for (; argc < 4 && cases[i].argv[argc] != NULL; argc++)
			argv[argc] = expand(cases[i].argv[argc]);
		first_line(argc > 2 ? argv[1] : "");
		target_program(in_folder("root/a.cgi"), &t);
		target_interpreter(argc, argv, &t);
		ok(span_eq(span_of(t.file), at(cases[i].file)) &&
			strcmp(t.argv[0], t.file) == 0 &&
			has_words(&t, cases[i].words),
		    "front %s %s: %s", argc > 1 ? cases[i].argv[1] : "",
		    argc > 2 ? cases[i].argv[2] : "", cases[i].file);
		while (argc > 0)
			free(argv[--argc]);
	}
}

static void
test_long_line(void)
{
	struct cgienv e = { .script_filename = at("@/root/a.cgi") };
	char words[2048], script[PATH_MAX], front[] = "front";
	char *argv[] = { front, words, script, NULL };
	static struct target t;
	enum reason why;

	strcpy(script, in_folder("root/a.cgi"));
	memset(words, 'x', sizeof(words) - 1);
	words[0] = '/';
	/* the kernel looks at 256 bytes, "#! /front\t" among them */
	for (size_t n = 242; n < 250; n++) {
		words[n] = '\0';
		first_line(words);
		ok(target_command_line(&e, 3, argv, &t, &why) == (n <= 246),
		    "an interpreter of %zu bytes", n);
		words[n] = 'x';
	}
}

/* Words that are not the script's first line's are a client's. */
static void
test_forged(void)
{
	static const char *const text[] = { "#!/bin/sh\nexit\n",
		"#!/front /bin/sh -u\n", "#!/front/bin/sh -e\n",
		"#!/bin/sh -e\n# /front /bin/sh -e\n", "# /front /bin/sh -e\n",
		"\n#!/front /bin/sh -e\n", "", "#!/front /bin/sh -e x\n" };
	struct cgienv e = { .script_filename = at("@/root/a.cgi") };
	char front[] = "front";
	static struct target t;

	for (size_t i = 0; i < 8; i++) {
		char words[] = "/bin/sh -e", *script = expand("@/root/a.cgi");
		char *argv[] = { front, words, script, NULL };
		enum reason why;

		folder_file("root/a.cgi", text[i], 0755);
		ok(!target_command_line(&e, 3, argv, &t, &why) &&
			why == REASON_HANDLER_FORBIDDEN,
		    "forged words, first line %zu", i);
		target_program(script, &t);
		target_interpreter(3, argv, &t);
		ok(has_words(&t, NULL), "… below scripts");
		free(script);
	}
}

/* --- the rest --- */

static void
test_words(void)
{
	char words[40][4], *argv[41] = { NULL };
	static struct target t;

	ok(target_words(0, argv, &t) == REASON_POLICY_ERROR, "no words");
	for (int i = 0; i < 40; i++) {
		snprintf(words[i], sizeof(words[i]), "/%d", i);
		argv[i] = words[i];
	}
	ok(target_words(1, argv, &t) == REASON_OK &&
		is_own(&t, "/0") == false && strcmp(t.file, "/0") == 0 &&
		strcmp(t.dir, "/") == 0 && t.argv[1] == NULL && !t.new_path,
	    "a program");
	ok(target_words(33, argv, &t) == REASON_OK &&
		strcmp(t.argv[0], "/0") == 0 && t.argv[32] == argv[32] &&
		t.argv[33] == NULL,
	    "a program and 32 arguments");
	ok(target_words(34, argv, &t) == REASON_POLICY_ERROR,
	    "too many: none is lost in silence");
}

static void
test_program(void)
{
	static struct target t;
	char path[PATH_MAX + 16];

	ok(target_program("/usr/lib/x", &t) == REASON_OK &&
		is_own(&t, "/usr/lib/x") && !t.new_path,
	    "a program, that need not be there");
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[PATH_MAX - 1] = '\0';
	ok(target_program(path, &t) == REASON_OK, "the longest path");
	path[PATH_MAX - 1] = 'x';
	path[PATH_MAX] = '\0';
	ok(target_program(path, &t) == MISSING, "a longer one");
}

static void
test_self(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[n < 0 ? 0 : n] = '\0';
	if (symlink("/proc/self/exe", in_folder("me")) == -1)
		bail();
	ok(under_valgrind() || target_is_self(span_of(path)),
	    "this program's own file");
	ok(target_is_self(at("@/me")), "… under another name");
	ok(!target_is_self(at("@/root/a.cgi")), "another file");
	ok(!target_is_self(at("@/none")), "no file");
	ok(!target_is_self(SPAN("")) && !target_is_self(span_of(NULL)),
	    "no name");
}

static void
test_exec_fault(void)
{
	static const struct {
		const char *file;
		int error;
		enum reason want;
	} cases[] = {
		{ "@/root/none", ENOENT, MISSING },
		{ "@/root/gone", ENOENT, MISSING },
		{ "@/root/a.cgi/x", ENOTDIR, MISSING },
		{ "@/root/sub", EACCES, MISSING },
		{ "@/root/sub/plain", EACCES, FORBIDDEN },
		{ "@/root/pipe", EACCES, FORBIDDEN },
		{ "@/root/a.cgi", ENOENT, REASON_HANDLER_NOT_STARTED },
		{ "@/root/a.cgi", ENOEXEC, REASON_HANDLER_NOT_STARTED },
		{ "@/root/a.cgi", ETXTBSY, REASON_HANDLER_NOT_STARTED },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum reason got =
		    target_exec_fault(at(cases[i].file).p, cases[i].error);

		ok(got == cases[i].want, "exec of %s, %s: %s", cases[i].file,
		    strerror(cases[i].error), reason_word(got));
	}
}

int
main(void)
{
	folder_make();
	make_tree();
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
		test_script(&scripts[i]);
	test_long();
	test_root();
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		test_action(i);
	for (size_t i = 0; i < LINES; i++)
		test_line(i);
	test_interpreter();
	test_forged();
	test_long_line();
	test_words();
	test_program();
	test_self();
	test_exec_fault();
	folder_remove();
	return tap_done();
}
