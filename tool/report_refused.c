#include "report_refused.h"

#include <stdlib.h>

#include "report_table.h"

static uint64_t
weigh_refused(const void *value)
{
	return ((const struct report_refused *)value)->n;
}

static uint64_t
refusals(const struct report_sum *s)
{
	uint64_t n = 0;

	for (int i = 0; i < REASON_COUNT; i++)
		n += s->why[i];
	return n;
}

static void
add_reasons(struct buf *out, const struct report_sum *s)
{
	struct report_row row[REASON_COUNT];
	uint64_t all = refusals(s);

	for (size_t i = 0; i < REASON_COUNT; i++)
		row[i] = (struct report_row){ .weight = s->why[i], .order = i };
	report_rows_sort(row, REASON_COUNT);
	REPORT_TABLE(out, "Reasons of refusals", "<Reason", "Requests", "Share",
	    "", "<What it says");
	for (size_t i = 0; i < REASON_COUNT && row[i].weight > 0; i++) {
		enum reason r = (enum reason)row[i].order;

		report_table_name(out, span_of(reason_word(r)), false);
		report_table_number(out, row[i].weight);
		report_table_share(out, row[i].weight, all);
		report_table_meter(out, row[i].weight, all, "deny");
		report_html(out, "<td class=\"l\">%s</td></tr>\n",
		    reason_text(r));
	}
	report_table_end(out);
}

static void
add_whys(struct buf *out, const struct report_refused *r)
{
	bool first = true;

	buf_add_str(out, "<td class=\"l\">");
	for (int i = 0; i < REASON_COUNT; i++) {
		if (r->why[i] == 0)
			continue;
		report_html(out, "%s%s ", first ? "" : ", ",
		    reason_word((enum reason)i));
		report_html_number(out, r->why[i]);
		first = false;
	}
	buf_add_str(out, "</td>");
}

/* The senders or the origins that were refused most. */
static void
add_refused(struct buf *out, const struct tally *t, const char *name, bool whys)
{
	struct report_row *row = report_rows(t, weigh_refused, out);
	size_t n = tally_count(t);

	if (row == NULL)
		return;
	if (whys)
		REPORT_TABLE(out, name, "<Sender", "Refusals", "", "<Reasons",
		    "Last time");
	else
		REPORT_TABLE(out, name, "<Origin", "Refusals", "", "Last time");
	for (size_t i = 0; i < n && i < REPORT_SHOWN; i++) {
		const struct report_refused *r = row[i].value;

		report_table_name(out, row[i].name, r->cut);
		report_table_number(out, r->n);
		report_table_meter(out, r->n, row[0].weight, "deny");
		if (whys)
			add_whys(out, r);
		report_table_time(out, r->last);
		buf_add_str(out, "</tr>\n");
	}
	report_table_end(out);
	if (n > REPORT_SHOWN)
		report_table_note(out, "More, not shown", n - REPORT_SHOWN);
	free(row);
}

static void
add_senders(struct buf *out, const struct report_sum *s)
{
	buf_add_str(out, "<h3>Refused senders</h3>\n");
	if (tally_count(s->senders) > 0)
		add_refused(out, s->senders, "Refused senders", true);
	report_table_note(out,
	    "Refusals of further senders, in no row (100,000 can be told "
	    "apart)",
	    s->more_senders);
	report_table_note(out, "Refused requests that named no sender",
	    s->no_sender);
	report_table_note(out,
	    "Refusals of senders that are not in the log (log_senders)",
	    s->hidden_sender);
}

void
report_refused_add(struct buf *out, const struct report_sum *s)
{
	buf_add_str(out, "<section>\n<h2>Refusals</h2>\n");
	if (refusals(s) == 0) {
		buf_add_str(out, "<p>None.</p>\n</section>\n");
		return;
	}
	buf_add_str(out,
	    "<p>With what <code>mode = report</code> let through all the "
	    "same.</p>\n");
	add_reasons(out, s);
	add_senders(out, s);
	if (tally_count(s->origins) > 0) {
		buf_add_str(out, "<h3>Refused origins</h3>\n");
		add_refused(out, s->origins, "Refused origins", false);
		report_table_note(out,
		    "Refusals of further origins, in no row (100,000 can be "
		    "told apart)",
		    s->more_origins);
	}
	buf_add_str(out, "</section>\n");
}
