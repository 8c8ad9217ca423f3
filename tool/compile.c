#include "compile.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "cdbwrite.h"
#include "fault.h"
#include "lists.h"
#include "logline.h"
#include "tool.h"

enum {
	FAULTS_MAX = 100, /* that are shown */
	PLACES_MAX = 5,   /* likewise */
	READ_MIN = 65536,
	SIGNALS_EVERY = 4096 /* rules between two looks at the signals */
};

static const char usage[] =
    "usage: amp-cors compile [--local-part-case=insensitive|sensitive] "
    "[--quiet]\n"
    "           LIST CDB\n"
    "Makes the compiled list CDB (senders_cdb) of the text list LIST; -\n"
    "stands for standard input.\n"
    "  --local-part-case=CASE  the policy's local_part_case; insensitive\n"
    "  --quiet                 say nothing where all went well\n";

/* The first few lines of which something is said. */
struct places {
	unsigned line[PLACES_MAX];
	size_t n;
	bool more;
};

struct compile {
	const char *list, *cdb;
	const char *name; /* of the list in messages */
	bool fold_local, quiet;
	char text[PATH_MAX]; /* what the rules' lines are of */
	struct lists *rules;
	size_t lines; /* that hold a rule */
	struct places repeated;
	struct places denied; /* that hold against a rule that allows */
	size_t faults;
	int status;
	struct cdbwrite *to;
	sigset_t held;     /* signals, while it is written */
	const char *fault; /* of writing */
	size_t written;
	uint64_t size;
};

/* --- reading */

/* Names come from the command line, and may hold anything. */
static void
print_escaped(FILE *f, const char *text)
{
	struct buf out;

	buf_init(&out, 5 * PATH_MAX);
	logline_escape(&out, LOGLINE_TEXT, span_of(text));
	fprintf(f, "%.*s", (int)out.n, out.n > 0 ? out.p : "");
	buf_free(&out);
}

static void
on_report(void *ctx, const char *file, unsigned line, unsigned column,
    const char *fault, const char *expected)
{
	struct compile *c = ctx;

	if (line == 0) {
		c->status =
		    tool_fail(EX_NOINPUT, "%s: %s; %s", file, fault, expected);
		return;
	}
	c->status = EX_DATAERR;
	if (c->faults++ >= FAULTS_MAX)
		return;
	print_escaped(stderr, file);
	fprintf(stderr, ":%u:%u: error: %s [%s]\n\t%s\n", line, column, fault,
	    fault_word(FAULT_BAD_RULE), expected);
}

/* A line once, whatever is said of it. */
static void
add_place(struct places *p, unsigned line)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->line[i] == line)
			return;
	if (p->n < PLACES_MAX)
		p->line[p->n++] = line;
	else
		p->more = true;
}

/*
 * The rule was there before.  A deny that holds, and is not of this line, is
 * older: then this one clashes where it allows.  One of this line has taken
 * the place of an allow.
 */
static void
repeat(struct compile *c, const struct rules_rule *rule, unsigned line)
{
	struct rules_keys keys = { .n = 1, .key = { { rule->key, rule->n } } };
	struct rules_source s = lists_source(c->rules);
	struct rules_at at;
	size_t level;

	add_place(&c->repeated, line);
	if (s.find(s.ctx, &keys, &level, &at) == RULES_DENY &&
	    rule->deny == (at.line == line))
		add_place(&c->denied, at.line);
}

static bool
on_rule(void *ctx, const struct rules_rule *rule, unsigned line,
    unsigned column)
{
	struct compile *c = ctx;
	size_t before = lists_count(c->rules);

	(void)column;
	c->lines++;
	if (lists_put(c->rules, rule, c->text, line) != LISTS_OK) {
		c->status = tool_fail(EX_OSERR, "%s: out of memory", c->name);
		return false;
	}
	if (lists_count(c->rules) == before)
		repeat(c, rule, line);
	return true;
}

/* All of standard input; false: its fault has been said. */
static bool
read_input(struct compile *c, struct buf *all)
{
	for (;;) {
		char *p = buf_room(all, READ_MIN);
		ssize_t n =
		    p == NULL ? -1 : read(STDIN_FILENO, p, all->cap - all->n);

		if (p == NULL) {
			c->status = tool_fail(EX_NOINPUT,
			    "%s: is larger than 512M, or memory is out",
			    c->name);
			return false;
		}
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			c->status = tool_fail(EX_NOINPUT, "%s: %s", c->name,
			    strerror(errno));
		if (n <= 0)
			return n == 0;
		all->n += (size_t)n;
	}
}

static void
walk_input(struct compile *c)
{
	struct buf all;

	buf_init(&all, LISTS_FILE_MAX);
	if (read_input(c, &all))
		lists_walk_text(buf_span(&all), c->name, c->fold_local, on_rule,
		    on_report, c);
	buf_free(&all);
}

static void
read_list(struct compile *c)
{
	if (strcmp(c->list, "-") == 0)
		walk_input(c);
	else
		lists_walk(c->list, c->fold_local, on_rule, on_report, c);
	if (c->faults > FAULTS_MAX) {
		print_escaped(stderr, c->name);
		fprintf(stderr, ": %zu more error%s\n", c->faults - FAULTS_MAX,
		    c->faults == FAULTS_MAX + 1 ? "" : "s");
	}
	if (c->faults > 0)
		tool_fail(EX_DATAERR, "%s: nothing was made", c->cdb);
}

/* --- writing */

static const int endings[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };

enum { ENDINGS = sizeof(endings) / sizeof(endings[0]) };

/* Neither ignored nor held back by whoever started us. */
static bool
would_end_us(int number, const sigset_t *held)
{
	struct sigaction action;

	return sigaction(number, NULL, &action) == 0 &&
	    action.sa_handler != SIG_IGN && sigismember(held, number) == 0;
}

/* Held back while there is a file that is not whole. */
static void
hold_signals(struct compile *c, sigset_t *before)
{
	sigemptyset(&c->held);
	sigprocmask(SIG_BLOCK, NULL, before);
	for (size_t i = 0; i < ENDINGS; i++)
		if (would_end_us(endings[i], before))
			sigaddset(&c->held, endings[i]);
	sigprocmask(SIG_BLOCK, &c->held, NULL);
}

static bool
is_ended(const struct compile *c)
{
	sigset_t set;
	bool ended = false;

	sigpending(&set);
	for (size_t i = 0; i < ENDINGS; i++)
		ended |= sigismember(&set, endings[i]) == 1 &&
		    sigismember(&c->held, endings[i]) == 1;
	return ended;
}

static bool
write_rule(void *ctx, const struct lists_entry *e)
{
	struct compile *c = ctx;

	if (c->written++ % SIGNALS_EVERY == 0 && is_ended(c))
		return false;
	c->fault = cdbwrite_add(c->to, e->key, e->deny, e->at.line);
	return c->fault == NULL;
}

static int
status_of(int error)
{
	switch (error) {
	case ENOMEM:
		return EX_OSERR;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
	case EIO:
		return EX_IOERR;
	default:
		return EX_CANTCREAT;
	}
}

/* Nothing is left to be told where a signal came: it ends us. */
static void
write_held(struct compile *c)
{
	struct cdbwrite_about about = { .text = c->text,
		.fold_local = c->fold_local,
		.wide = lists_wide(c->rules),
		.max = CDBWRITE_MAX };

	c->fault = cdbwrite_open(c->cdb, &about, &c->to);
	if (c->fault == NULL && lists_each(c->rules, write_rule, c) &&
	    !is_ended(c))
		c->fault = cdbwrite_finish(c->to, &c->size);
	if (c->fault != NULL)
		c->status =
		    tool_fail(status_of(errno), "%s: %s", c->cdb, c->fault);
	else if (c->size == 0)
		c->status = EX_OSERR;
	cdbwrite_free(c->to);
}

static void
write_list(struct compile *c)
{
	sigset_t before;

	/* past a limit of the file size it is a fault like any other */
	signal(SIGXFSZ, SIG_IGN);
	hold_signals(c, &before);
	write_held(c);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* --- all of it */

static void
add_count(struct buf *out, size_t n, const char *what)
{
	buf_add_number(out, n);
	buf_add_str(out, what);
	if (n != 1)
		buf_add_str(out, "s");
}

/* "line 7", "lines 7, 9". */
static void
add_places(struct buf *out, const struct places *p)
{
	buf_add_str(out, p->n == 1 && !p->more ? "line " : "lines ");
	for (size_t i = 0; i < p->n; i++) {
		buf_add_str(out, i == 0 ? "" : ", ");
		buf_add_number(out, p->line[i]);
	}
	buf_add_str(out, p->more ? ", ..." : "");
}

static void
tell_repeated(const struct compile *c, struct buf *out)
{
	logline_escape(out, LOGLINE_TEXT, span_of(c->name));
	buf_add_str(out, ": repeated rules: ");
	buf_add_number(out, c->lines - lists_count(c->rules));
	buf_add_str(out, " (");
	add_places(out, &c->repeated);
	buf_add_str(out, ")\n");
	if (c->denied.n == 0)
		return;
	logline_escape(out, LOGLINE_TEXT, span_of(c->name));
	buf_add_str(out, ": allowed and denied at once; deny holds: ");
	add_places(out, &c->denied);
	buf_add_str(out, "\n");
}

static int
tell(const struct compile *c)
{
	size_t rules = lists_count(c->rules);
	struct buf out;

	buf_init(&out, 16 * PATH_MAX);
	if (c->lines > rules)
		tell_repeated(c, &out);
	logline_escape(&out, LOGLINE_TEXT, span_of(c->cdb));
	buf_add_str(&out, ": ");
	add_count(&out, rules, " rule");
	buf_add_str(&out, " from ");
	add_count(&out, c->lines, " line");
	buf_add_str(&out, ", ");
	buf_add_number(&out, c->size);
	buf_add_str(&out, " bytes\n");
	return tool_print(&out);
}

/*
 * The name that decisions show.  What is not there yet has none: then that of
 * its folder with its own.
 */
static void
name_text(struct compile *c, const char *file)
{
	const char *slash = strrchr(file, '/'), *last;
	char folder[PATH_MAX], real[PATH_MAX];

	if (realpath(file, c->text) != NULL)
		return;
	last = slash == NULL ? file : slash + 1;
	snprintf(folder, sizeof(folder), "%.*s", (int)(last - file), file);
	if (realpath(*folder == '\0' ? "." : folder, real) == NULL ||
	    snprintf(c->text, sizeof(c->text), "%s/%s",
		strcmp(real, "/") == 0 ? "" : real,
		last) >= (int)sizeof(c->text))
		snprintf(c->text, sizeof(c->text), "%s", file);
}

static bool
is_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
	    x.st_ino == y.st_ino;
}

static int
compile(struct compile *c)
{
	bool input = strcmp(c->list, "-") == 0;

	if (strcmp(c->cdb, "-") == 0)
		return tool_fail(EX_USAGE,
		    "a compiled list cannot go to standard output");
	if (!input && is_same_file(c->list, c->cdb))
		return tool_fail(EX_USAGE, "%s: is LIST and CDB at once",
		    c->cdb);
	c->name = input ? "(standard input)" : c->list;
	name_text(c, input ? c->cdb : c->list);
	c->rules = lists_new(c->fold_local);
	if (c->rules == NULL)
		return tool_fail(EX_OSERR, "out of memory");
	read_list(c);
	if (c->status == EX_OK)
		write_list(c);
	if (c->status == EX_OK && !c->quiet)
		c->status = tell(c);
	lists_free(c->rules);
	return c->status;
}

static const struct option options[] = {
	{ "local-part-case", required_argument, NULL, 'l' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static bool
take_case(struct compile *c, const char *value)
{
	c->fold_local = strcmp(value, "insensitive") == 0;
	return c->fold_local || strcmp(value, "sensitive") == 0;
}

int
compile_main(int argc, char *argv[])
{
	struct compile c = { .fold_local = true };
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h')
			return tool_usage(true, usage);
		if (option == '?')
			return tool_usage(false, usage);
		if (option == 'q')
			c.quiet = true;
		else if (!take_case(&c, optarg))
			return tool_fail(EX_USAGE,
			    "--local-part-case=%s: write insensitive or "
			    "sensitive",
			    optarg);
	}
	if (argc - optind != 2)
		return tool_usage(false, usage);
	c.list = argv[optind];
	c.cdb = argv[optind + 1];
	return compile(&c);
}
