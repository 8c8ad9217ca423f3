/*
 * report_sum: the sums of a log are exact, whatever the order of its lines and
 * the time that it spans, in a room that does not grow.
 */
#include <stdlib.h>

#include "report_sum.h"
#include "tap.h"

/* --- over time --- */

enum { DAY = 86400, HOUR = 3600 };

static const struct {
	const char *name;
	int64_t from, to, width;
} spans[] = {
	{ "one moment", 1795255200, 1795255200, 60 },
	{ "an hour", 1795255200, 1795255200 + HOUR, 60 },
	{ "a night", 1795255200, 1795255200 + 7 * HOUR, 300 },
	{ "23 hours", 1795255200, 1795255200 + 23 * HOUR, 900 },
	{ "three days", 1795255200, 1795255200 + 3 * DAY, HOUR },
	{ "a week", 1795255200, 1795255200 + 7 * DAY, 3 * HOUR },
	{ "three weeks", 1793491200, 1793491200 + 21 * DAY - 1, 6 * HOUR },
	{ "a month", 1795255200, 1795255200 + 31 * DAY, DAY },
	{ "a year", 1795255200, 1795255200 + 365 * DAY, 7 * DAY },
	{ "five years", 1795255200, 1795255200 + (int64_t)5 * 366 * DAY,
	    28 * DAY },
	{ "since 1970", 0, 1795255200, (int64_t)52 * 7 * DAY },
	{ "all that can be written", 0, 253402300799,
	    (int64_t)520 * 7 * DAY * 10 },
};

static uint64_t
sum_of(const struct report_series *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		for (int k = 0; k < POLICY_OUTCOMES; k++)
			n += s->bar[i].decided[k];
	return n;
}

/* Is each of the bars what falls between its begin and its end? */
static bool
is_exact(const struct report_series *s, const int64_t at[], size_t n)
{
	uint64_t want[REPORT_BARS_MAX] = { 0 };

	for (size_t i = 0; i < n; i++) {
		int64_t bar = (at[i] - report_series_begin(s, 0)) / s->width;

		if (at[i] < report_series_begin(s, 0) || (size_t)bar >= s->n)
			return false;
		want[bar]++;
	}
	for (size_t i = 0; i < s->n; i++)
		if (s->bar[i].decided[POLICY_OUTCOME_DENY] != want[i] ||
		    s->bar[i].version[2] != want[i])
			return false;
	return sum_of(s) == n;
}

/* The same moments, from both ends, from the middle, and back again. */
static void
test_span(size_t row)
{
	enum { N = 401 };
	static int64_t at[N];
	int64_t from = spans[row].from, to = spans[row].to;
	static const size_t factors[] = { 1, N - 1, 150, 7 };

	for (size_t i = 0; i < N; i++)
		at[i] = from + (to - from) / (N - 1) * (int64_t)i;
	at[N - 1] = to;
	for (size_t k = 0; k < 4; k++) {
		static struct report_series s;

		memset(&s, 0, sizeof(s));
		for (size_t i = 0; i < N; i++)
			report_series_add(&s, at[i * factors[k] % N],
			    POLICY_OUTCOME_DENY, 2);
		ok(is_exact(&s, at, N) && s.width == spans[row].width &&
			s.n <= REPORT_BARS_MAX &&
			report_series_begin(&s, 0) > from - s.width &&
			report_series_begin(&s, s.n) <= to + s.width,
		    "%s, in order %zu: %zu bars of %lld s", spans[row].name, k,
		    s.n, (long long)s.width);
	}
}

static void
test_alignment(void)
{
	static struct report_series s;

	/* a Wednesday, and four months later */
	report_series_add(&s, 1795255200 - 3 * DAY, POLICY_OUTCOME_ALLOW, 1);
	report_series_add(&s, 1795255200 + 120 * DAY, POLICY_OUTCOME_ALLOW, 1);
	ok(s.width == 7 * DAY &&
		(report_series_begin(&s, 0) - 4 * DAY) % (7 * DAY) == 0,
	    "weeks begin on Monday");
}

/* --- times --- */

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The percentile by its definition, and ours: as large, or 3 % larger. */
static void
check_times(uint64_t ms[], size_t n, const char *name)
{
	static struct report_times t;
	static const unsigned percents[] = { 1, 50, 95, 99, 100 };
	unsigned wrong = 0;

	memset(&t, 0, sizeof(t));
	for (size_t i = 0; i < n; i++)
		report_times_add(&t, ms[i]);
	qsort(ms, n, sizeof(ms[0]), compare);
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		uint64_t want = ms[(n * percents[i] + 99) / 100 - 1];
		uint64_t got = report_times_at(&t, percents[i]);

		wrong += got < want || got - want > want / 32 ||
		    (want < 64 && got != want);
	}
	ok(wrong == 0 && t.n == n && t.longest == ms[n - 1] &&
		report_times_at(&t, 100) == ms[n - 1],
	    "times: %s", name);
}

static void
test_times(void)
{
	static uint64_t ms[5000];
	static struct report_times none;
	uint64_t random = 1;

	for (size_t i = 0; i < 100; i++)
		ms[i] = i % 64;
	check_times(ms, 100, "short ones are exact");
	for (size_t i = 0; i < 5000; i++) {
		random = random * 6364136223846793005 + 1442695040888963407;
		ms[i] = random >> 33 >> i % 31;
	}
	check_times(ms, 5000, "of all lengths");
	ms[0] = UINT64_MAX;
	ms[1] = 0;
	ms[2] = UINT64_MAX - 1;
	check_times(ms, 3, "the longest");
	ms[0] = 64;
	check_times(ms, 1, "one");
	ok(report_times_at(&none, 99) == 0, "times: none");
}

/* --- all of it --- */

/* "{time} 0000002a {line}" */
static void
add_line(struct report_sum *s, const char *line)
{
	static struct logread l;
	char text[1024];

	snprintf(text, sizeof(text), "2026-11-21T10:00:00.000Z 0000002a %s",
	    line);
	if (!logread_line(span_of(text), &l) || !report_sum_add(s, &l))
		printf("Bail out! %s\n", line);
}

#define ASKED(endpoint, sender)                                      \
	" version=2 endpoint=" endpoint " method=GET sender=" sender \
	" origin=\"https://o.example\" rule=- ms=70"

static const char *const lines[] = {
	"allow 200 ok" ASKED("a", "\"x@b.example\""),
	"allow 500 ok" ASKED("a", "\"x@b.example\""),
	"allow 502 handler-died" ASKED("a", "\"x@b.example\""),
	"allow - client-gone" ASKED("b", "\"x@b.example\""),
	"report 200 sender-not-allowed" ASKED("b", "\"y@b.example\""),
	"report 504 handler-timeout" ASKED("b", "\"y@b.example\""),
	"deny 403 sender-not-allowed" ASKED("a", "\"y@b.example\""),
	"deny 403 sender-not-allowed" ASKED("a", "\"z@b.example\""),
	"deny 403 no-amp-headers" ASKED("-", "-"),
	"deny 403 origin-not-allowed version=1 endpoint=a method=GET "
	"origin=\"https://e.example\" rule=- ms=0",
	"preflight 204 preflight version=- endpoint=a method=OPTIONS "
	"sender=- origin=\"https://o.example\" rule=- ms=0",
};

static const struct report_refused *
refused(struct tally *t, const char *name)
{
	return tally_of(t, span_of(name));
}

static void
test_sum(void)
{
	static struct report_sum s;
	const struct report_endpoint *a, *b;

	if (!report_sum_init(&s))
		bail();
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		add_line(&s, lines[i]);
	ok(s.total.decided[POLICY_OUTCOME_ALLOW] == 4 &&
		s.total.decided[POLICY_OUTCOME_REPORT] == 2 &&
		s.total.decided[POLICY_OUTCOME_DENY] == 4 &&
		s.total.decided[POLICY_OUTCOME_PREFLIGHT] == 1,
	    "decisions");
	ok(s.total.version[2] == 9 && s.total.version[1] == 1 &&
		s.by_version[POLICY_OUTCOME_DENY][1] == 1,
	    "versions");
	ok(s.why[REASON_SENDER_NOT_ALLOWED] == 3 &&
		s.why[REASON_NO_AMP_HEADERS] == 1 &&
		s.why[REASON_ORIGIN_NOT_ALLOWED] == 1 &&
		s.why[REASON_HANDLER_TIMEOUT] == 0,
	    "reasons, also of what was let through");
	ok(refused(s.senders, "y@b.example")->n == 2 &&
		refused(s.senders, "z@b.example")->n == 1 &&
		tally_count(s.senders) == 2 && s.no_sender == 1 &&
		s.hidden_sender == 1,
	    "refused senders");
	ok(refused(s.origins, "https://e.example")->n == 1 &&
		tally_count(s.origins) == 1,
	    "refused origins are no others");
	ok(s.faults == 4 && tally_count(s.fault) == 4, "faults");
	a = tally_of(s.endpoints, SPAN("a"));
	b = tally_of(s.endpoints, SPAN("b"));
	ok(a->faults == 2 && b->faults == 2 && a->times.n == 3 &&
		b->times.n == 3 && tally_count(s.endpoints) == 3,
	    "endpoints, and times of what was let in");
	report_sum_free(&s);
	report_sum_free(&s);
}

/* More names than there is room for. */
static void
test_bounds(void)
{
	static struct report_sum s;
	enum { MORE = 50 };
	char line[400];

	if (!report_sum_init(&s))
		bail();
	for (int i = 0; i < REPORT_NAMES_MAX + MORE; i++) {
		snprintf(line, sizeof(line),
		    "deny 403 origin-not-allowed version=1 endpoint=e%d "
		    "method=GET sender=\"s%d@b.example\" "
		    "origin=\"https://o%d.example\" rule=- ms=0",
		    i, i, i);
		add_line(&s, line);
	}
	for (int i = 0; i < REPORT_FAULTS_MAX + MORE; i++) {
		snprintf(line, sizeof(line),
		    "allow 200 busy version=1 endpoint=f%d method=GET "
		    "sender=- origin=- rule=- ms=7",
		    i);
		add_line(&s, line);
	}
	ok(tally_count(s.senders) == REPORT_NAMES_MAX &&
		s.more_senders == MORE &&
		tally_count(s.origins) == REPORT_NAMES_MAX &&
		s.more_origins == MORE,
	    "senders and origins beyond 100,000 are counted together");
	ok(tally_count(s.fault) == REPORT_FAULTS_MAX && s.more_faults == MORE,
	    "and so are faults");
	ok(tally_count(s.endpoints) == REPORT_ENDPOINTS_MAX &&
		s.others->sum.decided[POLICY_OUTCOME_DENY] ==
		    REPORT_NAMES_MAX + MORE - REPORT_ENDPOINTS_MAX &&
		s.others->times.n == REPORT_FAULTS_MAX + MORE,
	    "and endpoints");
	report_sum_free(&s);
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
		test_span(i);
	test_alignment();
	test_times();
	test_sum();
	test_bounds();
	return tap_done();
}
