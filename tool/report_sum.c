#include "report_sum.h"

#include <stdlib.h>
#include <string.h>

/* --- over time --- */

/* Each a whole number of those before it. */
static const int64_t widths[] = { 60, 300, 900, 3600, 10800, 21600, 86400,
	604800, (int64_t)4 * 604800, (int64_t)52 * 604800 };

enum { NWIDTHS = sizeof(widths) / sizeof(widths[0]) };

static int64_t
wider(int64_t width)
{
	for (size_t i = 0; i < NWIDTHS; i++)
		if (widths[i] > width)
			return widths[i];
	return width * 10;
}

static int64_t
floor_of(int64_t n, int64_t by)
{
	return n >= 0 ? n / by : -((by - 1 - n) / by);
}

static void
add_bar(struct report_bar *to, const struct report_bar *b)
{
	for (size_t i = 0; i < POLICY_OUTCOMES; i++)
		to->decided[i] += b->decided[i];
	for (size_t i = 0; i < 3; i++)
		to->version[i] += b->version[i];
}

static void
widen(struct report_series *s)
{
	int64_t width = wider(s->width), by = width / s->width;
	int64_t first = floor_of(s->first, by);
	size_t to = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct report_bar one = s->bar[i];

		memset(&s->bar[i], 0, sizeof(s->bar[i]));
		to = (size_t)(floor_of(s->first + (int64_t)i, by) - first);
		add_bar(&s->bar[to], &one);
	}
	s->width = width;
	s->first = first;
	s->n = to + 1;
}

/* The bar of a moment, with what is between it and the others. */
static struct report_bar *
bar_of(struct report_series *s, int64_t at)
{
	int64_t i = floor_of(at - REPORT_ORIGIN, s->width), before;

	while (i - s->first >= REPORT_BARS_MAX ||
	    s->first + (int64_t)s->n - i > REPORT_BARS_MAX) {
		widen(s);
		i = floor_of(at - REPORT_ORIGIN, s->width);
	}
	before = s->first - i;
	if (before > 0) {
		memmove(s->bar + before, s->bar, s->n * sizeof(s->bar[0]));
		memset(s->bar, 0, (size_t)before * sizeof(s->bar[0]));
		s->n += (size_t)before;
		s->first = i;
	}
	i -= s->first;
	if ((size_t)i >= s->n)
		s->n = (size_t)i + 1;
	return &s->bar[i];
}

void
report_series_add(struct report_series *s, int64_t at,
    enum policy_outcome decision, unsigned version)
{
	struct report_bar *bar;

	if (s->n == 0) {
		s->width = widths[0];
		s->first = floor_of(at - REPORT_ORIGIN, s->width);
		s->n = 1;
	}
	bar = bar_of(s, at);
	bar->decided[decision]++;
	bar->version[version]++;
}

int64_t
report_series_begin(const struct report_series *s, size_t i)
{
	return REPORT_ORIGIN + (s->first + (int64_t)i) * s->width;
}

/* --- times --- */

void
report_times_add(struct report_times *t, uint64_t ms)
{
	unsigned doubling = 0;
	size_t place = (size_t)ms;

	if (ms >= 64) {
		while (ms >> doubling >= 64)
			doubling++;
		place = 64 + (doubling - 1) * 32 + (ms >> doubling) - 32;
	}
	t->n++;
	t->place[place]++;
	if (ms > t->longest)
		t->longest = ms;
}

/* The longest time that has this place. */
static uint64_t
time_of(size_t place)
{
	uint64_t doubling, begin;

	if (place < 64)
		return place;
	doubling = (place - 64) / 32 + 1;
	begin = (place - 64) % 32 + 32;
	return ((begin + 1) << doubling) - 1;
}

uint64_t
report_times_at(const struct report_times *t, unsigned percent)
{
	uint64_t left =
	    t->n / 100 * percent + (t->n % 100 * percent + 99) / 100;
	uint64_t at;
	size_t i = 0;

	if (t->n == 0)
		return 0;
	while (t->place[i] < left)
		left -= t->place[i++];
	at = time_of(i);
	return at < t->longest ? at : t->longest;
}

/* --- all of it --- */

bool
report_sum_init(struct report_sum *s)
{
	memset(s, 0, sizeof(*s));
	s->others = calloc(1, sizeof(*s->others));
	s->endpoints =
	    tally_new(REPORT_ENDPOINTS_MAX, sizeof(struct report_endpoint));
	s->senders = tally_new(REPORT_NAMES_MAX, sizeof(struct report_refused));
	s->origins = tally_new(REPORT_NAMES_MAX, sizeof(struct report_refused));
	s->fault = tally_new(REPORT_FAULTS_MAX, sizeof(struct report_fault));
	return s->others != NULL && s->endpoints != NULL &&
	    s->senders != NULL && s->origins != NULL && s->fault != NULL;
}

void
report_sum_free(struct report_sum *s)
{
	free(s->others);
	tally_free(s->endpoints);
	tally_free(s->senders);
	tally_free(s->origins);
	tally_free(s->fault);
	memset(s, 0, sizeof(*s));
}

static bool
was_asked(const struct logread *l)
{
	return l->decision == POLICY_OUTCOME_ALLOW ||
	    l->decision == POLICY_OUTCOME_REPORT;
}

bool
report_is_fault(const struct logread *l)
{
	enum reason why;

	return was_asked(l) &&
	    (!logread_reason(l, &why) || l->reason != why || l->status >= 500);
}

/* No room for a new name is no failure; no memory for it is. */
static bool
is_full(const struct tally *t, size_t max)
{
	return tally_count(t) == max;
}

static struct span
name_of(const struct logread_value *endpoint)
{
	return endpoint->s.p == NULL ? SPAN("-") : endpoint->s;
}

static bool
add_endpoint(struct report_sum *s, const struct logread *l, unsigned version)
{
	struct report_endpoint *e =
	    tally_of(s->endpoints, name_of(&l->endpoint));

	if (e == NULL && !is_full(s->endpoints, REPORT_ENDPOINTS_MAX))
		return false;
	if (e == NULL)
		e = s->others;
	e->sum.decided[l->decision]++;
	e->sum.version[version]++;
	e->faults += report_is_fault(l);
	if (was_asked(l))
		report_times_add(&e->times, l->ms);
	return true;
}

static bool
add_refused(struct tally *t, const struct logread_value *name,
    const struct logread *l, uint64_t *more)
{
	struct report_refused *r = tally_of(t, name->s);

	if (r == NULL) {
		++*more;
		return is_full(t, REPORT_NAMES_MAX);
	}
	r->n++;
	r->why[l->reason]++;
	r->cut = name->cut;
	if (l->at.tv_sec > r->last)
		r->last = l->at.tv_sec;
	return true;
}

static bool
add_refusal(struct report_sum *s, const struct logread *l)
{
	enum reason why;

	if (l->decision != POLICY_OUTCOME_DENY &&
	    (l->decision != POLICY_OUTCOME_REPORT || !logread_reason(l, &why)))
		return true;
	s->why[l->reason]++;
	if (l->reason == REASON_ORIGIN_NOT_ALLOWED && l->origin.s.n > 0 &&
	    !add_refused(s->origins, &l->origin, l, &s->more_origins))
		return false;
	if (!l->has_sender)
		s->hidden_sender++;
	else if (l->sender.s.n == 0)
		s->no_sender++;
	else
		return add_refused(s->senders, &l->sender, l, &s->more_senders);
	return true;
}

/* Its name is the endpoint's, the reason's number, and the status. */
static bool
add_fault(struct report_sum *s, const struct logread *l)
{
	struct span endpoint = name_of(&l->endpoint);
	unsigned status = l->reason == REASON_OK ? l->status : 0;
	char name[LOGLINE_VALUE_MAX + 2 * sizeof(int)];
	struct report_fault *f;
	int reason = l->reason;

	if (!report_is_fault(l))
		return true;
	s->faults++;
	memcpy(name, endpoint.p, endpoint.n);
	memcpy(name + endpoint.n, &reason, sizeof(int));
	memcpy(name + endpoint.n + sizeof(int), &status, sizeof(int));
	f = tally_of(s->fault,
	    (struct span){ name, endpoint.n + 2 * sizeof(int) });
	if (f == NULL) {
		s->more_faults++;
		return is_full(s->fault, REPORT_FAULTS_MAX);
	}
	f->n++;
	f->reason = l->reason;
	f->status = l->status;
	f->endpoint = endpoint.n;
	if (l->at.tv_sec > f->last)
		f->last = l->at.tv_sec;
	return true;
}

bool
report_sum_add(struct report_sum *s, const struct logread *l)
{
	unsigned version = l->version <= 2 ? l->version : 0;
	int64_t at = l->at.tv_sec;

	if (s->series.n == 0 || at < s->from)
		s->from = at;
	if (s->series.n == 0 || at > s->to)
		s->to = at;
	report_series_add(&s->series, at, l->decision, version);
	s->total.decided[l->decision]++;
	s->total.version[version]++;
	s->by_version[l->decision][version]++;
	return add_endpoint(s, l, version) && add_refusal(s, l) &&
	    add_fault(s, l);
}
