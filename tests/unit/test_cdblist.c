/*
 * cdblist: a compiled list says what its text says, from many threads at once;
 * whatever happened to the file is an error and never another answer.
 */
#include "cdblist.h"

#include <sys/syscall.h>

#include <errno.h>
#include <pthread.h>

#include <cdb.h>

#include "cdbfile.h"
#include "cdbwrite.h"
#include "folder.h"
#include "lists.h"
#include "tap.h"

/* How pread(2) is from now on, in this thread. */
static _Thread_local struct {
	unsigned fails_at; /* counts down to the one that does; 0: none */
	int error;         /* as it fails then; 0: as if the file ended */
	bool halves;       /* hands out half of what it has */
	bool interrupted;  /* every other one */
	unsigned calls;
} reading;

ssize_t
pread(int fd, void *p, size_t n, off_t at)
{
	reading.calls++;
	if (reading.interrupted && reading.calls % 2 == 1) {
		errno = EINTR;
		return -1;
	}
	if (reading.fails_at > 0 && --reading.fails_at == 0) {
		errno = reading.error;
		return reading.error == 0 ? 0 : -1;
	}
	if (reading.halves)
		n = (n + 1) / 2;
	return syscall(SYS_pread64, fd, p, n, at);
}

/* --- making lists */

static bool
put_one(void *ctx, const struct lists_entry *e)
{
	if (cdbwrite_add(ctx, e->key, e->deny, e->at.line) != NULL)
		bail();
	return true;
}

static void
compile(const struct lists *l, bool fold, const char *text, const char *to)
{
	struct cdbwrite_about about = { .text = text,
		.fold_local = fold,
		.wide = lists_wide(l),
		.max = CDBWRITE_MAX };
	struct cdbwrite *w;
	uint64_t size;

	if (cdbwrite_open(to, &about, &w) != NULL || !lists_each(l, put_one, w))
		bail();
	if (cdbwrite_finish(w, &size) != NULL)
		bail();
	cdbwrite_free(w);
}

static void
no_report(void *ctx, const char *file, unsigned line, unsigned column,
    const char *fault, const char *expected)
{
	(void)ctx;
	(void)column;
	(void)expected;
	printf("# %s:%u: %s\n", file, line, fault);
	bail();
}

/* The list of a text, which is also compiled to "cdb". */
static struct lists *
make(const char *text, bool fold)
{
	static char file[PATH_MAX];
	struct lists *l = must(lists_new(fold));
	struct stamp stamp;

	snprintf(file, sizeof(file), "%s", folder_file("text", text, 0600));
	if (!lists_text(l, file, no_report, NULL, &stamp))
		bail();
	compile(l, fold, file, in_folder("cdb"));
	return l;
}

static struct cdblist *
open_list(bool fold, bool whole)
{
	struct cdblist_fault fault;
	struct cdblist *c = cdblist_open(in_folder("cdb"), fold, whole, &fault);

	if (c == NULL) {
		printf("# %s; %s\n", fault.what, fault.expected);
		bail();
	}
	return c;
}

/* --- asking them */

struct answer {
	enum rules_answer what;
	size_t level;
	struct rules_at at;
};

static struct answer
ask(struct rules_source s, bool fold, const char *text)
{
	struct answer a = { .at = { NULL, 0 } };
	struct rules_keys keys;
	struct address address;

	if (address_parse(span_of(text), &address))
		rules_keys_address(&address, fold, &keys);
	else
		rules_keys_literal(span_of(text), &keys);
	a.what = s.find(s.ctx, &keys, &a.level, &a.at);
	return a;
}

static bool
is_same(struct answer a, struct answer b)
{
	if (a.what != b.what || a.level != b.level || a.at.line != b.at.line)
		return false;
	return a.at.file == b.at.file ||
	    (a.at.file != NULL && b.at.file != NULL &&
		strcmp(a.at.file, b.at.file) == 0);
}

static const char rules[] = "# senders\n"
			    "a@company.example\n"
			    "B@Company.Example\n"
			    "!c@company.example\n"
			    "*@company.example\n"
			    "*@*.company.example\n"
			    "!*@bad.company.example\n"
			    "https://playground.amp.dev\n"
			    "x@twice.example\n"
			    "!x@twice.example\n"
			    "!y@twice.example\n"
			    "y@twice.example\n"
			    "Z@twice.example\n"
			    "z@twice.example\n"
			    "!*@*.deep.er.example\n"
			    "*@*.er.example\n";

static const char *const questions[] = { "a@company.example",
	"A@COMPANY.EXAMPLE", "b@company.example", "B@company.example",
	"c@company.example", "C@company.example", "d@company.example",
	"d@mail.company.example", "d@a.b.Company.example",
	"d@bad.company.example", "d@x.bad.company.example",
	"d@notcompany.example", "d@company.example.org", "x@twice.example",
	"y@twice.example", "z@twice.example", "Z@twice.example",
	"w@twice.example", "w@deep.er.example", "w@very.deep.er.example",
	"w@er.example", "https://playground.amp.dev",
	"https://PLAYGROUND.amp.dev", "https://mail.example", "", "*",
	"@company.example", ".company.example", CDBFILE_KEY };

enum { QUESTIONS = sizeof(questions) / sizeof(questions[0]) };

static void
test_answers(bool fold, bool whole)
{
	struct lists *l = make(rules, fold);
	struct cdblist *c = open_list(fold, whole);
	char twin[PATH_MAX];

	for (size_t i = 0; i < QUESTIONS; i++) {
		struct answer a = ask(lists_source(l), fold, questions[i]);
		struct answer b = ask(cdblist_source(c), fold, questions[i]);

		kept_out(b.what == RULES_ALLOW, a.what == RULES_ALLOW,
		    questions[i]);
		ok(is_same(a, b), "'%s', fold %d, whole %d: %d and %d",
		    questions[i], fold, whole, a.what, b.what);
	}
	ok(cdblist_count(c) == lists_count(l), "%zu rules", cdblist_count(c));
	ok(cdblist_wide(c), "it is wide");
	snprintf(twin, sizeof(twin), "%s", in_folder("text"));
	is_span(span_of(cdblist_text(c)), twin, "names its text");
	cdblist_free(c);
	lists_free(l);
}

/* More keys than are read at once, in tables that are walked round. */
static void
test_many(void)
{
	enum { MANY = 40000 };
	struct lists *l = must(lists_new(true));
	struct cdblist *c;
	unsigned wrong = 0;
	char text[64];

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "%su%u@company%u.example",
		    i % 7 == 0 ? "!" : "", i, i % 100);
		if (lists_add(l, span_of(text), "/many", i + 1) != LISTS_OK)
			bail();
	}
	compile(l, true, "/many", in_folder("cdb"));
	c = open_list(true, true);
	for (unsigned i = 0; i < 2 * MANY; i++) {
		snprintf(text, sizeof(text), "u%u@company%u.example", i,
		    i % 100);
		wrong += !is_same(ask(lists_source(l), true, text),
		    ask(cdblist_source(c), true, text));
	}
	ok(wrong == 0, "%u of %u answers are wrong", wrong, 2 * MANY);
	ok(!cdblist_wide(c) && cdblist_count(c) == MANY, "not wide, %zu rules",
	    cdblist_count(c));
	cdblist_free(c);
	lists_free(l);
}

static void
test_empty(void)
{
	struct lists *l = make("# nobody\n", true);
	struct cdblist *c = open_list(true, true);

	ok(cdblist_count(c) == 0 && !cdblist_wide(c), "nobody");
	ok(ask(cdblist_source(c), true, "a@b.example").what == RULES_NONE,
	    "is in an empty list");
	cdblist_free(c);
	cdblist_free(NULL);
	lists_free(l);
}

/* --- files that are none */

/* A file cut to nothing and written again is synced by some file systems. */
static void
put(const char *name, const void *p, size_t n)
{
	int fd = open(in_folder(name), O_WRONLY | O_CREAT, 0600);

	if (fd == -1 || write(fd, p, n) != (ssize_t)n ||
	    ftruncate(fd, (off_t)n) == -1 || close(fd) == -1)
		bail();
}

static size_t
get(const char *name, unsigned char *p, size_t size)
{
	int fd = open(in_folder(name), O_RDONLY);
	ssize_t n = fd == -1 ? -1 : read(fd, p, size);

	if (n == -1 || (size_t)n == size || close(fd) == -1)
		bail();
	return (size_t)n;
}

/* It says why, and with which command that is mended. */
static bool
refuses(const char *file, bool fold, bool whole, const char *why,
    const char *mend)
{
	struct cdblist_fault fault;
	struct cdblist *c = cdblist_open(file, fold, whole, &fault);
	bool good = c == NULL && strstr(fault.what, why) != NULL &&
	    strstr(fault.expected, mend) != NULL &&
	    fault.unreadable == (strstr(mend, "can be read") != NULL);

	if (!good)
		printf("# %s; %s\n", c == NULL ? fault.what : "opens",
		    c == NULL ? fault.expected : "");
	cdblist_free(c);
	return good;
}

static const char again[] = "compile it again: amp-cors compile ";
static const char another[] = "name a file of amp-cors compile; a text list is "
			      "named in senders_file";

/* As refuses(); nothing is known of what the file holds. */
static bool
cannot_read(const char *file, const char *why)
{
	struct cdblist_fault fault;

	return refuses(file, true, true, why, "that can be read") &&
	    cdblist_open(file, true, true, &fault) == NULL && fault.unreadable;
}

static void
test_no_files(void)
{
	const char *fifo = in_folder("fifo");

	ok(cannot_read("/nonexistent/cdb", "No such file"), "no file");
	ok(cannot_read(folder, "is a directory"), "a directory");
	ok(cannot_read("/dev/null", "not a regular file"), "a device");
	ok(mkfifo(fifo, 0600) == 0 && cannot_read(fifo, "not a regular file"),
	    "a FIFO is not waited for");
}

static void
add(struct cdb_make *m, struct span key, struct span value)
{
	if (cdb_make_add(m, key.p, (unsigned)key.n, value.p,
		(unsigned)value.n) == -1)
		bail();
}

/* A cdb of one entry, made as anybody would. */
static void
make_foreign(const char *name, struct span key, struct span value)
{
	int fd = open(in_folder(name), O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct cdb_make m;

	if (fd == -1 || cdb_make_start(&m, fd) == -1)
		bail();
	add(&m, key, value);
	add(&m, SPAN("a@company.example"), SPAN("\2\0\0\0\0\0\0\0"));
	if (cdb_make_finish(&m) == -1 || close(fd) == -1)
		bail();
}

static void
test_foreign(void)
{
	static char text[8192];

	for (int whole = 0; whole <= 1; whole++) {
		make_foreign("foreign", SPAN("b@company.example"), SPAN("OK"));
		ok(refuses(in_folder("foreign"), true, whole,
		       "is no list of amp-cors compile", another),
		    "another's cdb");
		make_foreign("foreign", SPAN(CDBFILE_KEY), SPAN("\7\0\0\0"));
		ok(refuses(in_folder("foreign"), true, whole,
		       "has format 7, and this version reads format 1", again),
		    "another format");
		make_foreign("foreign", SPAN(CDBFILE_KEY), SPAN("\1\0\0\0"));
		ok(refuses(in_folder("foreign"), true, whole, "is damaged",
		       again),
		    "no marker of ours");
		memset(text, 'a', sizeof(text));
		put("foreign", text, sizeof(text));
		ok(refuses(in_folder("foreign"), true, whole,
		       "is no list of amp-cors compile", another),
		    "a text");
		put("foreign", text, 0);
		ok(refuses(in_folder("foreign"), true, whole, "is empty",
		       again),
		    "an empty file");
	}
}

/* The command has the option, the text and the file that it needs. */
static void
test_folding(void)
{
	char command[2 * PATH_MAX];

	for (int fold = 0; fold <= 1; fold++) {
		snprintf(command, sizeof(command), "%s%s%s %s",
		    "compile it again: amp-cors compile ",
		    fold ? "--local-part-case=sensitive " : "",
		    in_folder("text"), in_folder("cdb"));
		lists_free(make(rules, fold));
		ok(refuses(in_folder("cdb"), !fold, false,
		       fold ? "was compiled for local_part_case = insensitive" :
			      "was compiled for local_part_case = sensitive",
		       command),
		    "the other way to compare, %d", fold);
	}
}

/* A list from standard input has its own name as its text's. */
static void
test_no_text(void)
{
	struct lists *l = must(lists_new(true));
	char command[2 * PATH_MAX];

	snprintf(command, sizeof(command), "%sLIST %s",
	    "compile it again: amp-cors compile --local-part-case=sensitive ",
	    in_folder("cdb"));
	compile(l, true, in_folder("cdb"), in_folder("cdb"));
	ok(refuses(in_folder("cdb"), false, true, "was compiled for", command),
	    "whose text nobody knows");
	lists_free(l);
}

/* --- damage */

enum { SMALL_MAX = 8192, ASKED_MAX = 64 };
static unsigned char small[SMALL_MAX];
static size_t nsmall;
static const char *asked[ASKED_MAX];
static size_t nasked;
static struct answer right[ASKED_MAX];

/* The list of a text, its bytes, and what it answers. */
static void
make_small(const char *text)
{
	static char file[PATH_MAX];
	struct lists *l = make(text, true);

	nsmall = get("cdb", small, sizeof(small));
	snprintf(file, sizeof(file), "%s", in_folder("text"));
	for (size_t i = 0; i < nasked; i++) {
		right[i] = ask(lists_source(l), true, asked[i]);
		if (right[i].at.file != NULL)
			right[i].at.file = file;
	}
	lists_free(l);
}

static void
make_usual(void)
{
	nasked = QUESTIONS;
	memcpy(asked, questions, sizeof(questions));
	make_small(rules);
}

/*
 * All of them in one table, so that a lookup comes by many others; every other
 * one has no rule of its own.
 */
static void
make_crowded(void)
{
	static char name[ASKED_MAX][64], text[ASKED_MAX * 64];
	size_t n = 0;

	nasked = ASKED_MAX;
	for (unsigned i = 0; n < nasked; i++) {
		int length =
		    snprintf(name[n], sizeof(name[n]), "u%u@crowd.example", i);

		asked[n] = name[n];
		n += cdb_hash(name[n], (unsigned)length) % 256 == 7;
	}
	snprintf(text, sizeof(text), "*@crowd.example\n");
	for (size_t i = 0; i < nasked; i += 2) {
		strcat(text, i % 4 == 0 ? "!" : "");
		strcat(text, name[i]);
		strcat(text, "\n");
	}
	make_small(text);
}

struct tally {
	unsigned refused, errors, right, wrong;
};

static void
ask_all(struct cdblist *c, struct tally *t)
{
	for (size_t i = 0; i < nasked; i++) {
		struct answer a = ask(cdblist_source(c), true, asked[i]);

		if (a.what == RULES_ERROR)
			t->errors++;
		else if (is_same(a, right[i]))
			t->right++;
		else
			t->wrong++;
	}
}

/* Opens the bytes as they are, as plain CGI does. */
static void
ask_damaged(const void *p, size_t n, struct tally *t)
{
	struct cdblist_fault fault;
	struct cdblist *c;

	put("damaged", p, n);
	c = cdblist_open(in_folder("damaged"), true, false, &fault);
	if (c == NULL)
		t->refused++;
	else
		ask_all(c, t);
	cdblist_free(c);
}

static bool
opens_whole(void)
{
	struct cdblist_fault fault;
	struct cdblist *c =
	    cdblist_open(in_folder("damaged"), true, true, &fault);

	cdblist_free(c);
	return c != NULL;
}

/*
 * Every byte of the file in turn.  What is read in part may open, but its
 * answers are right or errors: damage is never another answer.
 */
static void
test_flips(unsigned char mask)
{
	struct tally t = { .refused = 0 };
	unsigned opened = 0;

	for (size_t i = 0; i < nsmall; i++) {
		small[i] ^= mask;
		ask_damaged(small, nsmall, &t);
		opened += opens_whole();
		small[i] ^= mask;
	}
	ok(opened == 0, "%u of %zu flips by %#x are not seen in the whole",
	    opened, nsmall, mask);
	ok(t.wrong == 0 && t.errors > 0 && t.right > 0 && t.refused >= 2048,
	    "in part: %u refused, %u errors, %u right, %u wrong", t.refused,
	    t.errors, t.right, t.wrong);
}

/* As a disk loses them. */
static void
test_blocks(size_t size, int fill)
{
	struct tally t = { .refused = 0 };
	unsigned char damaged[SMALL_MAX];
	unsigned opened = 0;

	for (size_t i = 0; i < nsmall; i += 4) {
		size_t n = nsmall - i < size ? nsmall - i : size;

		memcpy(damaged, small, nsmall);
		memset(damaged + i, fill, n);
		if (memcmp(damaged, small, nsmall) == 0)
			continue;
		ask_damaged(damaged, nsmall, &t);
		opened += opens_whole();
	}
	ok(opened == 0 && t.wrong == 0 && t.errors > 0,
	    "%zu bytes of %#x: %u refused, %u errors, %u right, %u wrong", size,
	    fill, t.refused, t.errors, t.right, t.wrong);
}

static uint32_t
number_at(const unsigned char *p, size_t at)
{
	return (uint32_t)cdbfile_number(p + at, 4);
}

/* A slot of one table in another table, where it says what it said. */
static void
test_strayed_slots(void)
{
	size_t tables = number_at(small, 0);
	struct tally t = { .refused = 0 };
	unsigned char damaged[SMALL_MAX];
	unsigned n = 0;

	for (size_t i = tables; i < nsmall; i += CDBFILE_SLOT)
		for (size_t j = tables; j < nsmall; j += CDBFILE_SLOT) {
			if (number_at(small, i + 4) == 0 ||
			    number_at(small, j + 4) == 0 ||
			    small[i] == small[j])
				continue;
			memcpy(damaged, small, nsmall);
			memcpy(damaged + i, small + j, CDBFILE_SLOT);
			ask_damaged(damaged, nsmall, &t);
			n++;
		}
	ok(n > 0 && t.wrong == 0 && t.errors > 0,
	    "%u strayed slots: %u errors, %u right, %u wrong", n, t.errors,
	    t.right, t.wrong);
}

/* Tables of other lengths, with no gap between them. */
static void
test_another_header(void)
{
	unsigned char damaged[SMALL_MAX];
	struct cdbfile_table table[CDBFILE_TABLES];
	uint64_t end;
	size_t i = 0;

	memcpy(damaged, small, nsmall);
	while (number_at(small, i * 8 + 4) == 0)
		i++;
	cdbfile_put_number(damaged + i * 8 + 4, 4, 0);
	cdbfile_put_number(damaged + i * 8 + 8, 4, number_at(small, i * 8));
	cdbfile_put_number(damaged + i * 8 + 12, 4,
	    number_at(small, i * 8 + 4) + number_at(small, i * 8 + 12));
	put("damaged", damaged, nsmall);
	ok(cdbfile_tables(damaged, table, &end) && end == nsmall &&
		refuses(in_folder("damaged"), true, false,
		    "is damaged: its header", again),
	    "a header that could be one");
}

static void
test_truncated(void)
{
	unsigned good = 0, told = 0;
	char why[64];

	for (size_t n = 0; n < nsmall; n++) {
		put("damaged", small, n);
		snprintf(why, sizeof(why), "is truncated: %zu of %zu bytes", n,
		    nsmall);
		for (int whole = 0; whole <= 1; whole++) {
			const char *file = in_folder("damaged");

			good += refuses(file, true, whole,
			    n == 0                 ? "is empty" :
				n < CDBFILE_HEADER ? "or truncated" :
						     why,
			    n == 0 || n >= CDBFILE_MARKED ? again : another);
			told += n >= CDBFILE_HEADER;
		}
	}
	ok(good == 2 * nsmall && told > 0, "%u of %zu lengths are refused",
	    good, 2 * nsmall);
}

static void
test_longer(void)
{
	unsigned char longer[SMALL_MAX + 1];

	memcpy(longer, small, nsmall);
	longer[nsmall] = 0;
	put("damaged", longer, nsmall + 1);
	ok(refuses(in_folder("damaged"), true, false, "is damaged", again),
	    "a byte too many");
}

/* Each way a read can fail, at each of the reads. */
static void
test_reads(int error)
{
	struct cdblist_fault fault;
	struct tally t = { .refused = 0 };
	unsigned n = 0;
	bool done = false;

	while (!done) {
		struct cdblist *c;

		reading.error = error;
		reading.fails_at = ++n;
		c = cdblist_open(in_folder("cdb"), true, n % 2 == 0, &fault);
		if (c == NULL)
			t.refused++;
		else
			ask_all(c, &t);
		done = reading.fails_at > 0;
		cdblist_free(c);
	}
	reading.fails_at = 0;
	ok(t.wrong == 0 && t.errors > 0 && t.refused > 0,
	    "reads that fail by %d: %u refused, %u errors, %u right", error,
	    t.refused, t.errors, t.right);
}

static void
test_slow_reads(void)
{
	struct tally t = { .refused = 0 };
	struct cdblist *c;

	reading.halves = reading.interrupted = true;
	c = open_list(true, true);
	ask_all(c, &t);
	reading.halves = reading.interrupted = false;
	cdblist_free(c);
	ok(t.right == nasked, "short and interrupted reads do no harm");
}

/* --- a file that changes under us */

static void
age(const char *file)
{
	const struct timespec then[2] = { { 1, 0 }, { 1, 0 } };

	if (utimensat(AT_FDCWD, file, then, 0) == -1)
		bail();
}

/* The small list anew, long ago, and open. */
static struct cdblist *
open_old(void)
{
	put("cdb", small, nsmall);
	age(in_folder("cdb"));
	return open_list(true, true);
}

static void
all_errors(struct cdblist *c, const char *name)
{
	struct tally t = { .refused = 0 };

	ask_all(c, &t);
	ok(t.errors == nasked, "%s: %u errors of %zu", name, t.errors, nasked);
	kept_out(t.wrong > 0, false, name);
	cdblist_free(c);
}

static void
all_right(struct cdblist *c, const char *name)
{
	struct tally t = { .refused = 0 };

	ask_all(c, &t);
	ok(t.right == nasked, "%s: %u right of %zu", name, t.right, nasked);
	kept_out(t.wrong > 0, false, name);
	cdblist_free(c);
}

static void
test_changes(void)
{
	const char *file = in_folder("cdb");
	struct cdblist *c = open_old();
	struct stamp was = cdblist_stamp(c), now = stamp_path(file);

	ok(stamp_eq(&was, &now), "the file as it was opened");
	all_right(c, "it is old");
	for (size_t n = 0; n < nsmall; n += n < 2000 ? 500 : 50) {
		c = open_old();
		if (truncate(file, (off_t)n) == -1)
			bail();
		age(file);
		all_errors(c, "truncated under us");
	}
	c = open_old();
	if (truncate(file, (off_t)nsmall + 1) == -1)
		bail();
	age(file);
	all_errors(c, "grown under us");
	c = open_old();
	put("cdb", small, nsmall);
	all_right(c, "the same bytes written again in its place");
	c = open_old();
	small[CDBFILE_HEADER + 40] ^= 1;
	put("cdb", small, nsmall);
	small[CDBFILE_HEADER + 40] ^= 1;
	all_errors(c, "another list written in its place");
	put("cdb", small, nsmall);
	c = open_old();
	if (chmod(file, 0640) == -1)
		bail();
	all_right(c, "another mode");
	c = open_old();
	lists_free(make("!*@company.example\n", true));
	all_right(c, "compiled again");
	c = open_old();
	if (unlink(file) == -1)
		bail();
	all_right(c, "removed");
}

/* --- threads */

enum { THREADS = 4, ROUNDS = 300 };

static void *
ask_often(void *ctx)
{
	struct tally *t = must(calloc(1, sizeof(*t)));

	for (unsigned i = 0; t != NULL && i < ROUNDS; i++)
		ask_all(ctx, t);
	return t;
}

static void
test_threads(void)
{
	struct cdblist *c = open_old();
	pthread_t thread[THREADS];
	unsigned good = 0;

	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, ask_often, c) != 0)
			bail();
	for (size_t i = 0; i < THREADS; i++) {
		void *result;

		if (pthread_join(thread[i], &result) != 0 || result == NULL)
			bail();
		good += ((struct tally *)result)->right;
		free(result);
	}
	ok(good == THREADS * ROUNDS * nasked, "%u right answers at once", good);
	cdblist_free(c);
}

int
main(void)
{
	folder_make();
	for (int i = 0; i < 4; i++)
		test_answers((i & 1) != 0, (i & 2) != 0);
	test_many();
	test_empty();
	test_no_files();
	test_foreign();
	test_folding();
	test_no_text();
	make_crowded();
	test_flips(0x10);
	test_blocks(8, 0);
	make_usual();
	test_flips(0x01);
	test_flips(0x80);
	test_flips(0xff);
	test_blocks(4, 0);
	test_blocks(8, 0);
	test_blocks(64, 0);
	test_blocks(64, 0xff);
	test_strayed_slots();
	test_another_header();
	test_truncated();
	test_longer();
	test_reads(0);
	test_reads(EIO);
	test_slow_reads();
	test_changes();
	test_threads();
	folder_remove();
	return tap_done();
}
