#include "report_asked.h"

#include <stdlib.h>

#include "report_table.h"

static uint64_t
weigh_fault(const void *value)
{
	return ((const struct report_fault *)value)->n;
}

static uint64_t
weigh_times(const void *value)
{
	return report_times_at(&((const struct report_endpoint *)value)->times,
	    99);
}

static void
add_fault(struct buf *out, const struct report_row *row)
{
	const struct report_fault *f = row->value;

	report_table_name(out, (struct span){ row->name.p, f->endpoint },
	    false);
	if (f->reason == REASON_OK)
		report_html(out,
		    "<td class=\"l\"><code>%u</code></td><td class=\"l\">The "
		    "handler itself answered %u.</td>",
		    f->status, f->status);
	else
		report_html(out,
		    "<td class=\"l\"><code>%s</code></td><td class=\"l\">%s"
		    "</td>",
		    reason_word(f->reason), reason_text(f->reason));
	report_table_number(out, f->n);
	report_table_time(out, f->last);
	buf_add_str(out, "</tr>\n");
}

void
report_asked_faults(struct buf *out, const struct report_sum *s)
{
	struct report_row *row = report_rows(s->fault, weigh_fault, out);
	size_t n = tally_count(s->fault);

	if (row == NULL)
		return;
	buf_add_str(out, "<section>\n<h2>Faults of allowed requests</h2>\n");
	if (n == 0)
		buf_add_str(out, "<p>None.</p>\n");
	else {
		REPORT_TABLE(out, "Faults of allowed requests", "<Endpoint",
		    "<Fault", "<What it says", "Requests", "Last time");
		for (size_t i = 0; i < n && i < 2 * REPORT_SHOWN; i++)
			add_fault(out, &row[i]);
		report_table_end(out);
		if (n > 2 * REPORT_SHOWN)
			report_table_note(out, "More, not shown",
			    n - 2 * REPORT_SHOWN);
		report_table_note(out, "Faults of further kinds, in no row",
		    s->more_faults);
	}
	buf_add_str(out, "</section>\n");
	free(row);
}

static void
add_times_row(struct buf *out, struct span name, const struct report_times *t)
{
	if (t->n == 0)
		return;
	report_table_name(out, name, false);
	report_table_number(out, t->n);
	report_table_number(out, report_times_at(t, 50));
	report_table_number(out, report_times_at(t, 95));
	report_table_number(out, report_times_at(t, 99));
	report_table_number(out, t->longest);
	buf_add_str(out, "</tr>\n");
}

void
report_asked_times(struct buf *out, const struct report_sum *s)
{
	struct report_row *row = report_rows(s->endpoints, weigh_times, out);
	size_t n = tally_count(s->endpoints);

	if (row == NULL)
		return;
	buf_add_str(out,
	    "<section>\n<h2>Slowest times</h2>\n<p>Of allowed requests, in "
	    "milliseconds, from the request\u2019s head to its end: half of "
	    "them took no longer than p50, 99 of 100 no longer than p99. Times "
	    "over 64&nbsp;ms are told to within about 3&nbsp;%.</p>\n");
	REPORT_TABLE(out, "Times by endpoint", "<Endpoint", "Requests", "p50",
	    "p95", "p99", "Longest");
	for (size_t i = 0; i < n; i++) {
		const struct report_endpoint *e = row[i].value;

		add_times_row(out, row[i].name, &e->times);
	}
	add_times_row(out, SPAN("(others)"), &s->others->times);
	report_table_end(out);
	buf_add_str(out, "</section>\n");
	free(row);
}
