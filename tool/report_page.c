#include "report_page.h"

#include <stdlib.h>
#include <string.h>

#include "report_asked.h"
#include "report_chart.h"
#include "report_html.h"
#include "report_refused.h"
#include "report_style.h"
#include "report_table.h"
#include "version.h"

#define ALLOW POLICY_OUTCOME_ALLOW
#define PREFLIGHT POLICY_OUTCOME_PREFLIGHT
#define REPORT POLICY_OUTCOME_REPORT
#define DENY POLICY_OUTCOME_DENY

static uint64_t
all_of(const struct report_bar *b)
{
	return b->decided[ALLOW] + b->decided[PREFLIGHT] + b->decided[REPORT] +
	    b->decided[DENY];
}

/* --- the head --- */

static void
add_tile(struct buf *out, const char *name, uint64_t n, uint64_t whole,
    const char *of)
{
	report_html(out, "<div><dt>%s</dt><dd>", name);
	report_html_number(out, n);
	buf_add_str(out, "</dd>");
	if (of != NULL) {
		buf_add_str(out, "<dd class=\"of\">");
		report_html_share(out, n, whole);
		report_html(out, " %s</dd>", of);
	}
	buf_add_str(out, "</div>\n");
}

static void
add_tiles(struct buf *out, const struct report_sum *s)
{
	const struct report_bar *t = &s->total;
	uint64_t all = all_of(t),
		 asked = t->decided[ALLOW] + t->decided[REPORT];
	uint64_t versions = t->version[1] + t->version[2];

	buf_add_str(out, "<dl class=\"tiles\">\n");
	add_tile(out, "Decisions", all, 0, NULL);
	add_tile(out, "Allowed", t->decided[ALLOW], all, "of all");
	add_tile(out, "Refused", t->decided[DENY], all, "of all");
	add_tile(out, "Preflights", t->decided[PREFLIGHT], all, "of all");
	if (t->decided[REPORT] > 0)
		add_tile(out, "Let through", t->decided[REPORT], all, "of all");
	add_tile(out, "Faults", s->faults, asked, "of those let in");
	add_tile(out, "Version&nbsp;2", t->version[2], versions,
	    "of both versions");
	buf_add_str(out, "</dl>\n");
}

static void
add_head(struct buf *out, const struct report_sum *s,
    const struct report_about *about)
{
	buf_add_str(out, report_style_begin);
	report_html_text(out, about->title);
	buf_add_str(out, "</title>\n<style>\n");
	for (size_t i = 0; report_style[i] != NULL; i++)
		buf_add_str(out, report_style[i]);
	buf_add_str(out, "</style>\n</head>\n<body>\n<header>\n<h1>");
	report_html_text(out, about->title);
	buf_add_str(out, "</h1>\n<p>");
	if (s->series.n > 0) {
		report_html_date(out, REPORT_TIME, s->from);
		buf_add_str(out, " to ");
		report_html_date(out, REPORT_TIME, s->to);
		buf_add_str(out, " (UTC)");
	} else
		buf_add_str(out, "No decision was logged.");
	buf_add_str(out, "</p>\n</header>\n<main>\n");
}

/* --- over time --- */

static uint64_t
count_allow(const struct report_bar *b)
{
	return b->decided[ALLOW];
}

static uint64_t
count_preflight(const struct report_bar *b)
{
	return b->decided[PREFLIGHT];
}

static uint64_t
count_report(const struct report_bar *b)
{
	return b->decided[REPORT];
}

static uint64_t
count_deny(const struct report_bar *b)
{
	return b->decided[DENY];
}

static uint64_t
count_version_1(const struct report_bar *b)
{
	return b->version[1];
}

static uint64_t
count_version_2(const struct report_bar *b)
{
	return b->version[2];
}

static const char *
width_text(int64_t width)
{
	switch (width) {
	case 60:
		return "1 minute";
	case 300:
		return "5 minutes";
	case 900:
		return "15 minutes";
	case 3600:
		return "1 hour";
	case 10800:
		return "3 hours";
	case 21600:
		return "6 hours";
	case 86400:
		return "1 day";
	case 604800:
		return "1 week";
	case 4 * 604800:
		return "4 weeks";
	default:
		return "1 year or more";
	}
}

static void
add_series_table(struct buf *out, const struct report_series *s)
{
	buf_add_str(out, "<details><summary>In numbers</summary>\n");
	REPORT_TABLE(out, "Decisions and versions over time, in numbers",
	    "<Time (UTC)", "Allowed", "Preflights", "Let through", "Refused",
	    "Version&nbsp;1", "Version&nbsp;2");
	for (size_t i = 0; i < s->n; i++) {
		const struct report_bar *b = &s->bar[i];

		buf_add_str(out, "<tr><th scope=\"row\">");
		report_chart_time(out, s, i);
		buf_add_str(out, "</th>");
		report_table_number(out, b->decided[ALLOW]);
		report_table_number(out, b->decided[PREFLIGHT]);
		report_table_number(out, b->decided[REPORT]);
		report_table_number(out, b->decided[DENY]);
		report_table_number(out, b->version[1]);
		report_table_number(out, b->version[2]);
		buf_add_str(out, "</tr>\n");
	}
	report_table_end(out);
	buf_add_str(out, "</details>\n");
}

static void
add_over_time(struct buf *out, const struct report_sum *s)
{
	static const struct report_layer layers[] = {
		{ "allowed", "allow", count_allow },
		{ "preflights", "preflight", count_preflight },
		{ "let through", "report", count_report },
		{ "refused", "deny", count_deny },
	};
	static const struct report_chart chart = {
		.id = "decisions",
		.title = "Decisions over time",
		.text = "Stacked bars: how many requests were allowed, "
			"preflights, let through by mode = report, or refused. "
			"The table below has the numbers.",
		.layer = layers,
		.nlayers = 4,
	};

	buf_add_str(out, "<section>\n<h2>Decisions over time</h2>\n");
	report_html(out, "<p>Each bar is %s, in UTC.</p>\n",
	    width_text(s->series.width));
	report_chart_add(out, &chart, &s->series);
	add_series_table(out, &s->series);
	buf_add_str(out, "</section>\n");
}

/* --- versions --- */

static void
add_version(struct buf *out, const struct report_sum *s, unsigned version,
    const char *name, const char *colour)
{
	uint64_t n = s->total.version[version];
	uint64_t both = s->total.version[1] + s->total.version[2];

	report_html(out, "<tr><th scope=\"row\">%s</th>", name);
	report_table_number(out, n);
	if (version == 0)
		buf_add_str(out, "<td>-</td><td class=\"meter\"></td>");
	else {
		report_table_share(out, n, both);
		report_table_meter(out, n, both, colour);
	}
	report_table_number(out, s->by_version[ALLOW][version]);
	report_table_number(out, s->by_version[REPORT][version]);
	report_table_number(out, s->by_version[DENY][version]);
	report_table_number(out, s->by_version[PREFLIGHT][version]);
	buf_add_str(out, "</tr>\n");
}

static void
add_versions(struct buf *out, const struct report_sum *s)
{
	static const struct report_layer layers[] = {
		{ "version 2", "v2", count_version_2 },
		{ "version 1", "v1", count_version_1 },
	};
	static const struct report_chart chart = {
		.id = "versions",
		.title = "Share of versions 1 and 2 over time",
		.text = "Stacked bars: of the requests that came to a version "
			"at all, how many came to which.",
		.layer = layers,
		.nlayers = 2,
		.share = true,
	};

	buf_add_str(out, "<section>\n<h2>Versions 1 and 2</h2>\n");
	report_chart_add(out, &chart, &s->series);
	REPORT_TABLE(out, "Versions in numbers", "<Version", "Decisions",
	    "Share", "", "Allowed", "Let through", "Refused", "Preflights");
	add_version(out, s, 2, "Version&nbsp;2", "v2");
	add_version(out, s, 1, "Version&nbsp;1", "v1");
	add_version(out, s, 0, "Neither", "");
	report_table_end(out);
	buf_add_str(out, "</section>\n");
}

/* --- endpoints --- */

static uint64_t
weigh_endpoint(const void *value)
{
	return all_of(&((const struct report_endpoint *)value)->sum);
}

static void
add_endpoint(struct buf *out, struct span name, const struct report_endpoint *e)
{
	const struct report_bar *b = &e->sum;

	report_table_name(out, name, false);
	report_table_number(out, all_of(b));
	report_table_number(out, b->decided[ALLOW]);
	report_table_number(out, b->decided[PREFLIGHT]);
	report_table_number(out, b->decided[REPORT]);
	report_table_number(out, b->decided[DENY]);
	report_table_share(out, b->decided[DENY], all_of(b));
	report_table_number(out, b->version[1]);
	report_table_number(out, b->version[2]);
	report_table_number(out, e->faults);
	buf_add_str(out, "</tr>\n");
}

static void
add_endpoints(struct buf *out, const struct report_sum *s)
{
	struct report_row *row = report_rows(s->endpoints, weigh_endpoint, out);
	size_t n = tally_count(s->endpoints);
	bool dash = false;

	if (row == NULL)
		return;
	buf_add_str(out, "<section>\n<h2>Endpoints</h2>\n");
	REPORT_TABLE(out, "Decisions by endpoint", "<Endpoint", "Decisions",
	    "Allowed", "Preflights", "Let through", "Refused",
	    "Refused, of&nbsp;all", "Version&nbsp;1", "Version&nbsp;2",
	    "Faults");
	for (size_t i = 0; i < n; i++) {
		add_endpoint(out, row[i].name, row[i].value);
		dash |= span_eq(row[i].name, SPAN("-"));
	}
	if (all_of(&s->others->sum) > 0)
		add_endpoint(out, SPAN("(others)"), s->others);
	report_table_end(out);
	if (dash)
		buf_add_str(out,
		    "<p class=\"note\"><code>-</code>: none was found, or the "
		    "policy has none.</p>\n");
	buf_add_str(out, "</section>\n");
	free(row);
}

/* --- the end --- */

static void
add_end(struct buf *out, const struct report_about *about)
{
	const struct logs_count *c = about->count;

	buf_add_str(out, "</main>\n<footer>\n<p>");
	report_html_number(out, c->lines);
	report_html(out, " line%s, ", c->lines == 1 ? "" : "s");
	report_html_number(out, c->lines - c->decisions);
	buf_add_str(out, " without a decision");
	if (c->too_long > 0) {
		buf_add_str(out, " (");
		report_html_number(out, c->too_long);
		buf_add_str(out, " too long for one)");
	}
	buf_add_str(out, ". From");
	for (size_t i = 0; i < about->nfiles && i < REPORT_SHOWN; i++) {
		buf_add_str(out, i == 0 ? " <code>" : ", <code>");
		report_html_text(out,
		    strcmp(about->file[i], "-") == 0 ? "standard input" :
						       about->file[i]);
		buf_add_str(out, "</code>");
	}
	if (about->nfiles > REPORT_SHOWN)
		buf_add_str(out, " and others");
	buf_add_str(out,
	    ". All times are UTC.</p>\n<p>Made by amp-cors " VERSION
	    ".</p>\n</footer>\n</body>\n</html>\n");
}

void
report_page_add(struct buf *out, const struct report_sum *s,
    const struct report_about *about)
{
	add_head(out, s, about);
	if (s->series.n > 0) {
		add_tiles(out, s);
		add_over_time(out, s);
		add_versions(out, s);
		add_endpoints(out, s);
		report_refused_add(out, s);
		report_asked_faults(out, s);
		report_asked_times(out, s);
	}
	add_end(out, about);
}
