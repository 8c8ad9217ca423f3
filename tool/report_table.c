#include "report_table.h"

#include <stdlib.h>

void
report_table_begin(struct buf *out, const char *name,
    const char *const column[], size_t n)
{
	report_html(out,
	    "<div class=\"wide\" role=\"region\" tabindex=\"0\" "
	    "aria-label=\"%s\"><table>\n<thead><tr>",
	    name);
	for (size_t i = 0; i < n; i++) {
		bool left = *column[i] == '<';

		if (*column[i] == '\0')
			buf_add_str(out, "<td class=\"meter\"></td>");
		else
			report_html(out, "<th scope=\"col\"%s>%s</th>",
			    left ? " class=\"l\"" : "", column[i] + left);
	}
	buf_add_str(out, "</tr></thead>\n<tbody>\n");
}

void
report_table_end(struct buf *out)
{
	buf_add_str(out, "</tbody></table></div>\n");
}

void
report_table_number(struct buf *out, uint64_t n)
{
	buf_add_str(out, n == 0 ? "<td class=\"zero\">" : "<td>");
	report_html_number(out, n);
	buf_add_str(out, "</td>");
}

void
report_table_share(struct buf *out, uint64_t part, uint64_t whole)
{
	buf_add_str(out, part == 0 ? "<td class=\"zero\">" : "<td>");
	report_html_share(out, part, whole);
	buf_add_str(out, "</td>");
}

void
report_table_meter(struct buf *out, uint64_t part, uint64_t whole,
    const char *colour)
{
	buf_add_str(out, "<td class=\"meter\" aria-hidden=\"true\">");
	if (part > 0)
		report_html(out, "<i class=\"%s\" style=\"width:%.1f%%\"></i>",
		    colour, 100.0 * (double)part / (double)whole);
	buf_add_str(out, "</td>");
}

void
report_table_time(struct buf *out, int64_t at)
{
	buf_add_str(out, "<td class=\"when\">");
	report_html_date(out, REPORT_TIME, at);
	buf_add_str(out, "</td>");
}

void
report_table_name(struct buf *out, struct span name, bool cut)
{
	buf_add_str(out, "<tr><th scope=\"row\"><code>");
	report_html_value(out, name, cut);
	buf_add_str(out, "</code></th>");
}

void
report_table_note(struct buf *out, const char *what, uint64_t n)
{
	if (n == 0)
		return;
	report_html(out, "<p class=\"note\">%s: ", what);
	report_html_number(out, n);
	buf_add_str(out, ".</p>\n");
}

static int
by_weight(const void *a, const void *b)
{
	const struct report_row *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight < y->weight ? 1 : -1;
	return x->order < y->order ? -1 : 1;
}

void
report_rows_sort(struct report_row row[], size_t n)
{
	qsort(row, n, sizeof(row[0]), by_weight);
}

struct report_row *
report_rows(const struct tally *t, uint64_t (*weigh)(const void *value),
    struct buf *out)
{
	size_t n = tally_count(t);
	struct report_row *row = calloc(n + 1, sizeof(*row));

	if (row == NULL) {
		out->failed = true;
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		row[i].value = tally_at(t, i, &row[i].name);
		row[i].weight = weigh(row[i].value);
		row[i].order = i;
	}
	report_rows_sort(row, n);
	return row;
}
