/*
 * metrics: the counters, alone and under threads; their text, read back by a
 * parser that takes nothing but Prometheus's format; and their file.
 */
#include "metrics.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>

#include "folder.h"
#include "tap.h"
#include "version.h"

/* libc's: the clock is ours. */
static time_t now = 1000000000;

time_t
time(time_t *t)
{
	if (t != NULL)
		*t = now;
	return now;
}

/* --- the format, as prometheus.io has it (version 0.0.4) --- */

enum { FAMILIES_MAX = 16, SERIES_MAX = 512 };

struct text {
	struct span rest;
	const char *fault;
	size_t nfamilies, nseries;
	struct family {
		struct span name;
		bool help, type, samples;
	} family[FAMILIES_MAX];
	/* the sample up to its value, and the value */
	struct span series[SERIES_MAX];
	uint64_t value[SERIES_MAX];
};

static void
wrong(struct text *t, const char *fault)
{
	if (t->fault == NULL)
		t->fault = fault;
}

/* [a-zA-Z_:][a-zA-Z0-9_:]*, the colon in names of metrics alone */
static struct span
take_name(struct text *t, struct span *line, bool colon)
{
	struct span name = { line->p, 0 };

	while (line->n > 0) {
		char c = *line->p | 0x20, d = *line->p;

		if (!((c >= 'a' && c <= 'z') || d == '_' ||
			(colon && d == ':') ||
			(name.n > 0 && d >= '0' && d <= '9')))
			break;
		*line = span_skip(*line, 1);
		name.n++;
	}
	if (name.n == 0)
		wrong(t, "no name");
	return name;
}

static void
take(struct text *t, struct span *line, char c)
{
	if (line->n > 0 && *line->p == c)
		*line = span_skip(*line, 1);
	else
		wrong(t, "another byte is due");
}

/* "…": a backslash stands before itself, a quote, or an n. */
static void
take_value(struct text *t, struct span *line)
{
	take(t, line, '"');
	while (line->n > 0 && *line->p != '"') {
		if (*line->p == '\\') {
			*line = span_skip(*line, 1);
			if (line->n == 0 || strchr("\\\"n", *line->p) == NULL)
				wrong(t, "no such escape");
		}
		*line = span_skip(*line, line->n > 0 ? 1 : 0);
	}
	take(t, line, '"');
}

static void
take_labels(struct text *t, struct span *line)
{
	take(t, line, '{');
	while (t->fault == NULL && line->n > 0 && *line->p != '}') {
		take_name(t, line, false);
		take(t, line, '=');
		take_value(t, line);
		if (line->n > 0 && *line->p == ',')
			take(t, line, ',');
		else
			break;
	}
	take(t, line, '}');
}

/* Its lines stand together: the last one, or a new one. */
static struct family *
family_of(struct text *t, struct span name)
{
	for (size_t i = 0; i < t->nfamilies; i++)
		if (span_eq(t->family[i].name, name)) {
			if (i + 1 < t->nfamilies)
				wrong(t, "its lines are apart");
			return &t->family[i];
		}
	if (t->nfamilies == FAMILIES_MAX)
		bail();
	t->family[t->nfamilies].name = name;
	return &t->family[t->nfamilies++];
}

static void
read_comment(struct text *t, struct span line)
{
	struct span word;
	struct family *f;
	bool help;

	line = span_skip(line, 1);
	take(t, &line, ' ');
	word = take_name(t, &line, false);
	help = span_eq(word, SPAN("HELP"));
	if (!help && !span_eq(word, SPAN("TYPE")))
		wrong(t, "neither HELP nor TYPE");
	take(t, &line, ' ');
	f = family_of(t, take_name(t, &line, true));
	take(t, &line, ' ');
	if (help ? f->help : f->type)
		wrong(t, "twice");
	if (f->samples)
		wrong(t, "behind a sample");
	if (help)
		f->help = true;
	else
		f->type = true;
	if (help ? line.n == 0 || memchr(line.p, '\\', line.n) != NULL :
		   !span_eq(line, SPAN("counter")) &&
		    !span_eq(line, SPAN("gauge")))
		wrong(t, "no text or type");
}

static void
read_sample(struct text *t, struct span line)
{
	struct span series = line;
	struct family *f = family_of(t, take_name(t, &line, true));

	f->samples = true;
	if (!f->help || !f->type)
		wrong(t, "no HELP or TYPE");
	if (line.n > 0 && *line.p == '{')
		take_labels(t, &line);
	series.n -= line.n;
	for (size_t i = 0; i < t->nseries; i++)
		if (span_eq(t->series[i], series))
			wrong(t, "one sample twice");
	take(t, &line, ' ');
	if (t->nseries == SERIES_MAX)
		bail();
	t->series[t->nseries] = series;
	if (!span_number(line, UINT64_MAX, &t->value[t->nseries++]))
		wrong(t, "no number");
}

static bool
parse(struct text *t, struct span all)
{
	struct span line;

	*t = (struct text){ .rest = all };
	if (all.n == 0 || all.p[all.n - 1] != '\n')
		wrong(t, "no line feed at its end");
	while (t->fault == NULL && t->rest.n > 0) {
		span_cut(&t->rest, '\n', &line);
		if (line.n == 0)
			wrong(t, "an empty line");
		else if (*line.p == '#')
			read_comment(t, line);
		else
			read_sample(t, line);
	}
	return t->fault == NULL;
}

static uint64_t
value(const struct text *t, const char *series)
{
	for (size_t i = 0; i < t->nseries; i++)
		if (span_eq(t->series[i], span_of(series)))
			return t->value[i];
	return UINT64_MAX;
}

/* The parser can say no. */
static void
test_parser(void)
{
#define HEAD "# HELP a b\n# TYPE a counter\n"
	static const char *const good[] = {
		HEAD "a 1\n",
		HEAD "a{} 1\n",
		HEAD "a{b=\"c\",d=\"\\\\\\\"\\n\"} 18446744073709551615\n",
		HEAD "# HELP b c\n# TYPE b gauge\nb 0\n",
	};
	static const char *const bad[] = { "", HEAD "a 1", "a 1\n",
		"# TYPE a counter\na 1\n", "# HELP a b\na 1\n",
		HEAD "# TYPE a counter\na 1\n", HEAD "a 1\n" HEAD,
		HEAD "a 1\n\n", HEAD "a\n", HEAD "a \n", HEAD "a  1\n",
		HEAD "a 1 \n", HEAD "a -1\n", HEAD "a x\n", HEAD "a 1\na 1\n",
		HEAD "a{b=\"c\"} 1\na{b=\"c\"} 2\n", HEAD "a{b=\"c} 1\n",
		HEAD "a{b=c} 1\n", HEAD "a{b=\"\\c\"} 1\n", HEAD "a{b=\"c\"\n",
		HEAD "a{b=\"\\\n", HEAD "a{1=\"c\"} 1\n",
		HEAD "a{b:=\"c\"} 1\n", HEAD "1a 1\n", HEAD "a-b 1\n",
		HEAD "a{b=\"\n\"} 1\n",
		HEAD "# HELP b c\n# TYPE b gauge\nb 0\na 1\n",
		"# HELP a\n# TYPE a counter\n", "# HELP a b\n# TYPE a number\n",
		"#HELP a b\n", "# x\n" };
	static struct text t;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ok(parse(&t, span_of(good[i])), "parser: good %zu", i);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!parse(&t, span_of(bad[i])), "parser: bad %zu", i);
}

/* --- counters --- */

/* The text, which must be right, into t; free it behind. */
static struct buf
print(const struct metrics *m, struct text *t)
{
	struct buf out;

	buf_init(&out, METRICS_TEXT_MAX);
	metrics_print(m, &out);
	if (out.failed)
		bail();
	if (!parse(t, buf_span(&out))) {
		ok(false, "the text is right: %s", t->fault);
		printf("# %.*s\n", (int)out.n, out.p);
	}
	return out;
}

#define REQUESTS                                                           \
	"# HELP amp_cors_requests_total Requests, by endpoint, decision, " \
	"reason and version of CORS for AMP (0: neither).\n"               \
	"# TYPE amp_cors_requests_total counter\n"
#define RELOADS                                                          \
	"# HELP amp_cors_reloads_total Reloads of the policy; one that " \
	"failed kept the old policy.\n"                                  \
	"# TYPE amp_cors_reloads_total counter\n"
#define LOADED                                                             \
	"# HELP amp_cors_policy_loaded_timestamp_seconds When the policy " \
	"that decides was loaded.\n"                                       \
	"# TYPE amp_cors_policy_loaded_timestamp_seconds gauge\n"          \
	"amp_cors_policy_loaded_timestamp_seconds "
#define STARTED                                                             \
	"# HELP amp_cors_start_timestamp_seconds When the process began.\n" \
	"# TYPE amp_cors_start_timestamp_seconds gauge\n"                   \
	"amp_cors_start_timestamp_seconds "
#define BUILD                                                            \
	"# HELP amp_cors_build_info Always 1; the version is a label.\n" \
	"# TYPE amp_cors_build_info gauge\n"                             \
	"amp_cors_build_info{version=\"" VERSION "\"} 1\n"

static void
test_text(void)
{
	static struct text t;
	struct metrics *m = must(metrics_new());
	struct buf out = print(m, &t);

	is_span(buf_span(&out),
	    REQUESTS RELOADS
	    "amp_cors_reloads_total{result=\"ok\"} 0\n"
	    "amp_cors_reloads_total{result=\"failed\"} 0\n" LOADED
	    "1000000000\n" STARTED "1000000000\n" BUILD,
	    "nothing has happened");
	buf_free(&out);
	now += 5;
	metrics_reloaded(m, true);
	now += 5;
	metrics_reloaded(m, false);
	metrics_reloaded(m, false);
	metrics_count(metrics_row(m, "form"), POLICY_OUTCOME_DENY,
	    REASON_SENDER_NOT_ALLOWED, 2);
	metrics_count(metrics_row(m, "-"), POLICY_OUTCOME_ALLOW, REASON_OK, 1);
	metrics_count(metrics_row(m, "-"), POLICY_OUTCOME_ALLOW, REASON_OK, 1);
	metrics_row(m, "a");
	out = print(m, &t);
	is_span(buf_span(&out),
	    REQUESTS
	    "amp_cors_requests_total{endpoint=\"-\",decision=\"allow\","
	    "reason=\"ok\",version=\"1\"} 2\n"
	    "amp_cors_requests_total{endpoint=\"form\",decision=\"deny\","
	    "reason=\"sender-not-allowed\",version=\"2\"} 1\n" RELOADS
	    "amp_cors_reloads_total{result=\"ok\"} 1\n"
	    "amp_cors_reloads_total{result=\"failed\"} 2\n" LOADED
	    "1000000005\n" STARTED "1000000000\n" BUILD,
	    "requests by name, reloads, the time of the good one");
	buf_free(&out);
	metrics_free(m);
	metrics_free(NULL);
}

enum { KINDS = POLICY_OUTCOMES * REASON_COUNT * 3 };

/* Each kind of request once, from their numbers. */
static enum policy_outcome
outcome_of(unsigned kind)
{
	return kind / 3 / REASON_COUNT;
}

static enum reason
reason_of(unsigned kind)
{
	return kind / 3 % REASON_COUNT;
}

static const char *
series_of(const char *endpoint, unsigned kind)
{
	static char text[512];

	snprintf(text, sizeof(text),
	    "amp_cors_requests_total{endpoint=\"%s\",decision=\"%s\","
	    "reason=\"%s\",version=\"%u\"}",
	    endpoint, policy_word(outcome_of(kind)),
	    reason_word(reason_of(kind)), kind % 3);
	return text;
}

static void
test_all(void)
{
	static struct text t;
	struct metrics *m = must(metrics_new());
	struct metrics_row *row = metrics_row(m, "e");
	unsigned good = 0;
	struct buf out;

	for (unsigned k = 0; k < KINDS; k++)
		for (unsigned n = 0; n <= k; n++)
			metrics_count(row, outcome_of(k), reason_of(k), k % 3);
	out = print(m, &t);
	for (unsigned k = 0; k < KINDS; k++)
		good += value(&t, series_of("e", k)) == k + 1;
	ok(good == KINDS && t.nseries == KINDS + 5,
	    "every kind of request has a counter of its own");
	buf_free(&out);
	metrics_free(m);
}

static void
test_rows(void)
{
	static const char *const names[] = { "m", "b", "z", "-", "ab", "a", "",
		"a\"b\\c\nd" };
	static const char *const printed[] = { "", "-", "a", "a\\\"b\\\\c\\nd",
		"ab", "b", "m", "z" };
	enum { N = sizeof(names) / sizeof(names[0]) };
	static struct text t;
	struct metrics *m = must(metrics_new());
	struct metrics_row *row[N];
	struct buf out;
	unsigned same = 0;

	for (size_t i = 0; i < N; i++) {
		row[i] = metrics_row(m, names[i]);
		metrics_count(row[i], 0, REASON_OK, 0);
	}
	for (size_t i = 0; i < N; i++)
		same += metrics_row(m, names[i]) == row[i];
	ok(same == N, "a name keeps its counters");
	metrics_count(NULL, 0, REASON_OK, 0);
	metrics_count(row[0], 0, REASON_OK, 3);
	out = print(m, &t);
	for (size_t i = 0; i < N; i++)
		is_span(t.series[i], series_of(printed[i], 0),
		    "by name, escaped");
	ok(value(&t, series_of("m", 0)) == 2,
	    "a version that there is not counts as 0");
	buf_free(&out);
	metrics_free(m);
}

/* A ceiling that is too low anywhere marks the buffer, and no more. */
static void
test_ceiling(void)
{
	static struct text t;
	struct metrics *m = must(metrics_new());
	struct buf out;
	size_t n, good = 0;

	metrics_count(metrics_row(m, "a\nb"), 0, REASON_OK, 1);
	out = print(m, &t);
	n = out.n;
	buf_free(&out);
	for (size_t max = 0; max <= n; max++) {
		buf_init(&out, max);
		metrics_print(m, &out);
		good += out.failed == (max < n);
		buf_free(&out);
	}
	ok(good == n + 1, "a buffer that is too small");
	metrics_free(m);
}

/* --- threads --- */

enum { THREADS = 4, COUNTS = 20000 };

struct shared {
	struct metrics *m;
	const char *file;
	atomic_uint counting; /* threads that are not done */
};

/* All count in one row, and each finds rows that others may be making. */
static void *
count(void *arg)
{
	struct shared *s = arg;
	struct metrics_row *row = metrics_row(s->m, "common");
	char name[16];

	for (unsigned i = 0; i < COUNTS; i++) {
		metrics_count(row, POLICY_OUTCOME_ALLOW, REASON_OK, i % 3);
		if (i % 1000 > 0)
			continue;
		snprintf(name, sizeof(name), "e%02u", i / 1000 * 7 % 20);
		metrics_count(metrics_row(s->m, name), POLICY_OUTCOME_DENY,
		    REASON_BUSY, 0);
		metrics_reloaded(s->m, i % 2000 == 0);
	}
	s->counting--;
	return NULL;
}

/* What was counted never goes back while it is printed. */
static bool
goes_forward(struct shared *s)
{
	static struct text t;
	uint64_t before = 0, n;
	bool good = true;

	do {
		struct buf out = print(s->m, &t);

		n = value(&t, series_of("common", 2));
		n = n == UINT64_MAX ? 0 : n;
		good &= t.fault == NULL && n >= before;
		before = n;
		buf_free(&out);
	} while (s->counting > 0);
	return good;
}

static void
test_threads(void)
{
	static struct text t;
	struct shared s = { .m = must(metrics_new()), .counting = THREADS };
	const unsigned denied =
	    (POLICY_OUTCOME_DENY * REASON_COUNT + REASON_BUSY) * 3;
	pthread_t thread[THREADS];
	struct buf out;
	uint64_t sum = 0;
	char name[16];

	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, count, &s) != 0)
			bail();
	ok(goes_forward(&s), "printed while others count");
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	out = print(s.m, &t);
	for (unsigned v = 0; v < 3; v++)
		sum += value(&t, series_of("common", v));
	ok(sum == THREADS * COUNTS, "no request is lost");
	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "e%02u", i);
		ok(value(&t, series_of(name, denied)) == THREADS,
		    "one row for %s", name);
	}
	ok(value(&t, "amp_cors_reloads_total{result=\"ok\"}") ==
		    THREADS * COUNTS / 2000 &&
		value(&t, "amp_cors_reloads_total{result=\"failed\"}") ==
		    THREADS * COUNTS / 2000,
	    "no reload is");
	buf_free(&out);
	metrics_free(s.m);
}

/* --- the file --- */

static unsigned
files(void)
{
	DIR *d = opendir(folder);
	unsigned n = 0;

	if (d == NULL)
		bail();
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n +=
		    strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

static bool
holds(const char *name, const struct buf *text)
{
	return span_eq(span_of(folder_text(name)), buf_span(text));
}

static void
test_file(void)
{
	static struct text t;
	struct metrics *m = must(metrics_new());
	const char *file = in_folder("amp.prom");
	mode_t mask = umask(077);
	struct stat st = { 0 };
	struct buf out = print(m, &t);

	ok(metrics_write(m, file) == NULL, "a file");
	ok(holds("amp.prom", &out), "the same text");
	ok(stat(file, &st) == 0 && (st.st_mode & 07777) == 0644,
	    "mode 0644, whatever the umask");
	umask(mask);
	buf_free(&out);
	metrics_count(metrics_row(m, "-"), 0, REASON_OK, 2);
	ok(metrics_write(m, file) == NULL, "again");
	out = print(m, &t);
	ok(holds("amp.prom", &out), "the new text");
	ok(files() == 1, "nothing is beside it");
	buf_free(&out);
	remove(file);
	metrics_free(m);
}

static void
cannot_write(const struct metrics *m, const char *file, int error,
    const char *name)
{
	unsigned before = files();
	const char *fault;

	errno = 0;
	fault = metrics_write(m, file);
	ok(fault != NULL && errno == error && files() == before, "%s", name);
}

/* A file may not be longer than this, as on a disk that is full. */
static void
with_full_disk(const struct metrics *m, const char *file, rlim_t room)
{
	struct rlimit old, small;
	unsigned before = files(), after;
	const char *fault;
	int error;

	getrlimit(RLIMIT_FSIZE, &old);
	small = (struct rlimit){ room, old.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	fflush(stdout);
	setrlimit(RLIMIT_FSIZE, &small);
	fault = metrics_write(m, file);
	error = errno;
	after = files();
	setrlimit(RLIMIT_FSIZE, &old);
	ok(fault != NULL && error == EFBIG && after == before,
	    "no room behind %u bytes", (unsigned)room);
}

static void
test_no_file(void)
{
	static char longest[PATH_MAX];
	struct metrics *m = must(metrics_new());
	const char *file = folder_file("old.prom", "old", 0600);
	struct stat st;

	cannot_write(m, in_folder("no/such.prom"), ENOENT, "no folder");
	cannot_write(m, in_folder("old.prom/x"), ENOTDIR, "a file for one");
	if (mkdir(in_folder("dir.prom"), 0700) == -1)
		bail();
	cannot_write(m, in_folder("dir.prom"), EISDIR, "a folder in its place");
	remove(in_folder("dir.prom"));
	memset(longest, 'x', sizeof(longest) - 1);
	cannot_write(m, longest, ENAMETOOLONG, "too long a name");
	longest[300] = '\0';
	cannot_write(m, longest, ENAMETOOLONG, "… of one file");
	with_full_disk(m, file, 0);
	with_full_disk(m, file, 100);
	is_span(span_of(folder_text("old.prom")), "old",
	    "what was there stays");
	ok(metrics_write(m, file) == NULL && stat(file, &st) == 0 &&
		(st.st_mode & 07777) == 0600,
	    "until there is room, and so does its mode");
	remove(file);
	metrics_free(m);
}

static void *
write_often(void *arg)
{
	struct shared *s = arg;

	for (int i = 0; i < 200; i++)
		if (metrics_write(s->m, s->file) != NULL)
			bail();
	s->counting--;
	return NULL;
}

/* A reader never sees a part, nor is there ever no file. */
static void
test_reader(void)
{
	static struct text t;
	char file[sizeof(folder) + 16];
	struct shared s = { .m = must(metrics_new()),
		.file = file,
		.counting = 1 };
	unsigned good = 0, all = 0;
	pthread_t thread;

	snprintf(file, sizeof(file), "%s/read.prom", folder);
	for (unsigned k = 0; k < KINDS; k++)
		metrics_count(metrics_row(s.m, "e"), outcome_of(k),
		    reason_of(k), k % 3);
	if (metrics_write(s.m, s.file) != NULL ||
	    pthread_create(&thread, NULL, write_often, &s) != 0)
		bail();
	do {
		all++;
		good += parse(&t, span_of(folder_text("read.prom"))) &&
		    t.nseries == KINDS + 5;
	} while (s.counting > 0);
	pthread_join(thread, NULL);
	ok(good == all, "whoever reads it sees it whole");
	ok(files() == 1, "and nothing else is left");
	metrics_free(s.m);
}

int
main(void)
{
	folder_make();
	test_parser();
	test_text();
	test_all();
	test_rows();
	test_ceiling();
	test_threads();
	test_file();
	test_no_file();
	test_reader();
	folder_remove();
	return tap_done();
}
