#include "metrics.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "beside.h"
#include "version.h"

enum { VERSIONS = POLICY_VERSION_2 + 1 };

typedef atomic_uint_fast64_t counter;

/* Never taken out of the list, so that it is walked without the lock. */
struct metrics_row {
	struct metrics_row *_Atomic next;
	counter count[POLICY_OUTCOMES][REASON_COUNT][VERSIONS];
	char name[];
};

struct metrics {
	pthread_mutex_t lock;             /* of who adds a row */
	struct metrics_row *_Atomic rows; /* by name */
	counter reloads[2];               /* that failed, that went well */
	counter loaded;                   /* time(2) */
	time_t started;
};

struct metrics *
metrics_new(void)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	pthread_mutex_init(&m->lock, NULL);
	m->started = time(NULL);
	m->loaded = (uint64_t)m->started;
	return m;
}

void
metrics_free(struct metrics *m)
{
	struct metrics_row *row, *next;

	if (m == NULL)
		return;
	for (row = m->rows; row != NULL; row = next) {
		next = row->next;
		free(row);
	}
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static struct metrics_row *
row_new(const char *endpoint, struct metrics_row *next)
{
	size_t size = strlen(endpoint) + 1;
	struct metrics_row *row = calloc(1, sizeof(*row) + size);

	if (row == NULL)
		return NULL;
	row->next = next;
	memcpy(row->name, endpoint, size);
	return row;
}

struct metrics_row *
metrics_row(struct metrics *m, const char *endpoint)
{
	struct metrics_row *_Atomic *at = &m->rows;
	struct metrics_row *row;

	pthread_mutex_lock(&m->lock);
	while ((row = *at) != NULL && strcmp(row->name, endpoint) < 0)
		at = &row->next;
	if (row == NULL || strcmp(row->name, endpoint) != 0) {
		row = row_new(endpoint, row);
		if (row != NULL)
			*at = row;
	}
	pthread_mutex_unlock(&m->lock);
	return row;
}

static void
count(counter *c)
{
	atomic_fetch_add_explicit(c, 1, memory_order_relaxed);
}

void
metrics_count(struct metrics_row *row, enum policy_outcome outcome,
    enum reason why, unsigned version)
{
	if (row != NULL)
		count(&row->count[outcome][why]
				 [version < VERSIONS ? version : 0]);
}

void
metrics_reloaded(struct metrics *m, bool good)
{
	count(&m->reloads[good]);
	if (good)
		m->loaded = (uint64_t)time(NULL);
}

/* --- the text --- */

static void
add_head(struct buf *out, const char *name, const char *type, const char *help)
{
	const char *const words[] = { "# HELP ", name, " ", help, "\n# TYPE ",
		name, " ", type, "\n" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		buf_add_str(out, words[i]);
}

static void
add_value(struct buf *out, uint64_t n)
{
	buf_add_char(out, ' ');
	buf_add_number(out, n);
	buf_add_char(out, '\n');
}

/* A label's value, which stands between quotes. */
static void
add_escaped(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\\' || *s == '"' || *s == '\n')
			buf_add_char(out, '\\');
		buf_add_char(out, *s == '\n' ? 'n' : *s);
	}
}

static void
add_request(struct buf *out, const struct metrics_row *row, unsigned outcome,
    unsigned why, unsigned version)
{
	uint64_t n = atomic_load_explicit(&row->count[outcome][why][version],
	    memory_order_relaxed);

	if (n == 0)
		return;
	buf_add_str(out, "amp_cors_requests_total{endpoint=\"");
	add_escaped(out, row->name);
	buf_add_str(out, "\",decision=\"");
	buf_add_str(out, policy_word((enum policy_outcome)outcome));
	buf_add_str(out, "\",reason=\"");
	buf_add_str(out, reason_word((enum reason)why));
	buf_add_str(out, "\",version=\"");
	buf_add_number(out, version);
	buf_add_str(out, "\"}");
	add_value(out, n);
}

static void
add_row(struct buf *out, const struct metrics_row *row)
{
	for (unsigned o = 0; o < POLICY_OUTCOMES; o++)
		for (unsigned r = 0; r < REASON_COUNT; r++)
			for (unsigned v = 0; v < VERSIONS; v++)
				add_request(out, row, o, r, v);
}

static void
add_gauge(struct buf *out, const char *name, uint64_t n, const char *help)
{
	add_head(out, name, "gauge", help);
	buf_add_str(out, name);
	add_value(out, n);
}

void
metrics_print(const struct metrics *m, struct buf *out)
{
	add_head(out, "amp_cors_requests_total", "counter",
	    "Requests, by endpoint, decision, reason and version of CORS for "
	    "AMP (0: neither).");
	for (const struct metrics_row *row = m->rows; row != NULL;
	     row = row->next)
		add_row(out, row);
	add_head(out, "amp_cors_reloads_total", "counter",
	    "Reloads of the policy; one that failed kept the old policy.");
	buf_add_str(out, "amp_cors_reloads_total{result=\"ok\"}");
	add_value(out, m->reloads[true]);
	buf_add_str(out, "amp_cors_reloads_total{result=\"failed\"}");
	add_value(out, m->reloads[false]);
	add_gauge(out, "amp_cors_policy_loaded_timestamp_seconds", m->loaded,
	    "When the policy that decides was loaded.");
	add_gauge(out, "amp_cors_start_timestamp_seconds", (uint64_t)m->started,
	    "When the process began.");
	add_head(out, "amp_cors_build_info", "gauge",
	    "Always 1; the version is a label.");
	buf_add_str(out, "amp_cors_build_info{version=\"" VERSION "\"} 1\n");
}

/* --- the file --- */

static const char *
put_file(const char *file, struct span text)
{
	struct beside b;
	const char *fault = beside_open(file, 0644, &b);

	if (fault == NULL)
		fault = beside_write(&b, text);
	if (fault == NULL)
		fault = beside_finish(&b, false);
	beside_free(&b);
	return fault;
}

const char *
metrics_write(const struct metrics *m, const char *file)
{
	const char *fault = "out of memory";
	struct buf text;

	buf_init(&text, METRICS_TEXT_MAX);
	metrics_print(m, &text);
	if (!text.failed)
		fault = put_file(file, buf_span(&text));
	else
		errno = ENOMEM;
	buf_free(&text);
	return fault;
}
