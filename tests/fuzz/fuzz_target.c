/*
 * target: which file runs.  The input is lines: SCRIPT_FILENAME, SCRIPT_NAME,
 * PATH_INFO, PATH_TRANSLATED, and the words of a command line, in which '@'
 * stands for a folder that has files, links and traps; the rest is words.
 */
#include "fuzz.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"
#include "target.h"

enum { LONGEST = 2000, WORDS = 40 };

static char root[PATH_MAX];

/* What is outside may not run, however one gets there. */
static void
make_files(void)
{
	folder_make();
	atexit(folder_remove);
	snprintf(root, sizeof(root), "%s", in_folder("in"));
	mkdir(in_folder("in"), 0755);
	mkdir(in_folder("in/d"), 0755);
	mkdir(in_folder("in/d/e"), 0755);
	mkdir(in_folder("inside"), 0755);
	mkdir(in_folder("out"), 0755);
	folder_script("in/a.cgi", "exit 0");
	folder_script("in/d/b.cgi", "exit 0");
	folder_script("in/d/e/c d.cgi", "exit 0");
	folder_file("in/plain", "text", 0644);
	folder_file("in/first", "#!/front /bin/sh -e\n", 0755);
	folder_script("inside/x.cgi", "exit 0");
	folder_script("out/x.cgi", "exit 0");
	FUZZ_HOLDS(symlink("../out/x.cgi", in_folder("in/l")) == 0);
	FUZZ_HOLDS(symlink("../out", in_folder("in/o")) == 0);
	FUZZ_HOLDS(symlink("d/b.cgi", in_folder("in/i")) == 0);
	FUZZ_HOLDS(symlink("d", in_folder("in/j")) == 0);
	FUZZ_HOLDS(symlink("loop", in_folder("in/loop")) == 0);
	FUZZ_HOLDS(mkfifo(in_folder("in/fifo"), 0755) == 0);
}

/* With the folder in the place of '@'; freed by the caller. */
static char *
place(struct span s)
{
	char *text = malloc(s.n * (strlen(root) + 1) + 1), *to = text;

	FUZZ_HOLDS(text != NULL);
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '@')
			to = stpcpy(to, root);
		else
			*to++ = s.p[i];
	*to = '\0';
	return text;
}

static bool
is_below(const char *path)
{
	size_t n = strlen(root);

	return strncmp(path, root, n) == 0 && path[n] == '/' &&
	    strstr(path, "/../") == NULL;
}

/* A file of ours, and all that follows from it. */
static void
check_found(const struct target *t)
{
	char real[PATH_MAX];
	struct stat st;
	size_t n = strlen(t->dir);

	FUZZ_HOLDS(is_below(t->script) && is_below(t->file));
	FUZZ_HOLDS(realpath(t->script, real) != NULL);
	FUZZ_HOLDS(strcmp(real, t->script) == 0);
	FUZZ_HOLDS(stat(real, &st) == 0 && S_ISREG(st.st_mode));
	FUZZ_HOLDS(strncmp(t->dir, t->script, n) == 0);
	FUZZ_HOLDS(strchr(t->script + n + 1, '/') == NULL);
	FUZZ_HOLDS(t->argv[0] == t->file);
	FUZZ_HOLDS(t->path_info[0] == '\0' || !t->new_path ||
	    strlen(t->path_info) < PATH_MAX);
}

/* Neither what was said of the path is lost, nor anything made up. */
static void
check_path(const struct cgienv *e, const struct target *t)
{
	char was[2 * PATH_MAX], is[2 * PATH_MAX];

	snprintf(was, sizeof(was), "%.*s%.*s", (int)e->script_name.n,
	    e->script_name.p, (int)e->path_info.n, e->path_info.p);
	snprintf(is, sizeof(is), "%s%s", t->script_name, t->path_info);
	if (!t->new_path || strcmp(was, is) == 0)
		return;
	/* "/x/" and "/y": one of the slashes goes */
	if (e->script_name.n > 0 &&
	    e->script_name.p[e->script_name.n - 1] == '/' &&
	    strlen(was) == strlen(is) + 1)
		return;
	/* what SCRIPT_FILENAME had behind the file, and nothing else had */
	FUZZ_HOLDS(strncmp(is, was, e->script_name.n) == 0);
	FUZZ_HOLDS(memmem(e->script_filename.p, e->script_filename.n,
		       t->path_info, strlen(t->path_info)) != NULL);
}

static void
check_script(const struct cgienv *e)
{
	static struct target t;
	enum reason why = target_script(e, root, &t);

	FUZZ_HOLDS(why == REASON_OK || why == REASON_HANDLER_MISSING ||
	    why == REASON_HANDLER_FORBIDDEN);
	if (why != REASON_OK)
		return;
	check_found(&t);
	check_path(e, &t);
}

static void
check_action(struct cgienv *e)
{
	static struct target t;
	enum reason why;

	FUZZ_HOLDS(target_action(e, root, &t) == REASON_NOT_REDIRECTED);
	e->redirect_status = SPAN("200");
	why = target_action(e, root, &t);
	FUZZ_HOLDS(why == REASON_OK || why == REASON_HANDLER_MISSING ||
	    why == REASON_HANDLER_FORBIDDEN || why == REASON_NOT_REDIRECTED);
	if (why == REASON_OK)
		check_found(&t);
}

/* The script that the server named runs, or nothing of these words does. */
static void
check_words(const struct cgienv *e, char *words[], int n)
{
	static struct target t;
	char named[PATH_MAX], real[PATH_MAX];
	enum reason why;
	int argc = 0;

	if (!target_command_line(e, n, words, &t, &why))
		return;
	FUZZ_HOLDS(e->script_filename.n < sizeof(named));
	snprintf(named, sizeof(named), "%.*s", (int)e->script_filename.n,
	    e->script_filename.p);
	FUZZ_HOLDS(realpath(named, real) != NULL);
	while (t.argv[argc] != NULL)
		FUZZ_HOLDS(argc++ <= TARGET_ARGV_MAX);
	FUZZ_HOLDS(argc > 0);
	/* itself, or as the last word of an interpreter's */
	if (strcmp(t.file, real) != 0)
		FUZZ_HOLDS(realpath(t.argv[argc - 1], named) != NULL &&
		    strcmp(named, real) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data, size }, line;
	char *text[WORDS + 1] = { NULL };
	struct cgienv e = { .loop = false };
	int n = 0;

	if (size > LONGEST)
		return 0;
	if (*root == '\0')
		make_files();
	while (n < WORDS && span_cut(&rest, '\n', &line))
		text[n++] = place(line);
	for (int i = n; i < 4 && n < 4; i++)
		text[n++] = place(SPAN(""));
	e.script_filename = span_of(*text[0] ? text[0] : NULL);
	e.script_name = span_of(*text[1] ? text[1] : NULL);
	e.path_info = span_of(*text[2] ? text[2] : NULL);
	e.path_translated = span_of(*text[3] ? text[3] : NULL);
	check_script(&e);
	check_action(&e);
	check_words(&e, text + 4, n - 4);
	for (int i = 0; i < n; i++)
		free(text[i]);
	return 0;
}
