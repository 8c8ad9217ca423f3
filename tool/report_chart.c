#include "report_chart.h"

#include <inttypes.h>

#include "report_html.h"

/* Pixels; across, the page gives whatever width there is. */
enum { TOP = 10, HEIGHT = 200, BOTTOM = 30 };

enum {
	DAY = 86400,
	LINES_MOST = 4, /* of the axis, but for the one at 0 */
	DATES_MOST = 6,
	THICKEST = 6 /* per cent, of a bar where there are few */
};

static uint64_t
sum_of(const struct report_chart *c, const struct report_bar *b)
{
	uint64_t n = 0;

	for (size_t i = 0; i < c->nlayers; i++)
		n += c->layer[i].count(b);
	return n;
}

/* 1, 2 or 5 with zeroes: so far apart that few lines reach n. */
static uint64_t
step_of(uint64_t n)
{
	static const uint64_t digits[] = { 1, 2, 5 };
	uint64_t ten = 1;

	for (;; ten *= 10)
		for (size_t i = 0; i < 3; i++)
			if ((n + digits[i] * ten - 1) / (digits[i] * ten) <=
			    LINES_MOST)
				return digits[i] * ten;
}

struct scale {
	uint64_t step, top;
};

static struct scale
scale_of(const struct report_chart *c, const struct report_series *s)
{
	struct scale scale = { 25, 100 };
	uint64_t most = 1;

	if (c->share)
		return scale;
	for (size_t i = 0; i < s->n; i++)
		if (sum_of(c, &s->bar[i]) > most)
			most = sum_of(c, &s->bar[i]);
	scale.step = step_of(most);
	scale.top = (most + scale.step - 1) / scale.step * scale.step;
	return scale;
}

static void
add_lines(struct buf *out, const struct report_chart *c,
    const struct scale *scale)
{
	uint64_t n = scale->top / scale->step;

	for (uint64_t i = 0; i <= n; i++) {
		double y =
		    TOP + HEIGHT - HEIGHT * (double)i / (double)(n > 0 ? n : 1);

		report_html(out,
		    "<line class=\"grid\" x1=\"0\" x2=\"100%%\" y1=\"%.1f\" "
		    "y2=\"%.1f\"/><text class=\"y\" x=\"-8\" y=\"%.1f\">",
		    y, y, y + 4);
		report_html_number(out, i * scale->step);
		buf_add_str(out, c->share ? "\u00a0%</text>\n" : "</text>\n");
	}
}

/* --- the axis of time --- */

/* Seconds between two dates below the bars. */
static int64_t
date_step(int64_t span)
{
	static const int64_t steps[] = { 60, 300, 900, 1800, 3600, 10800, 21600,
		43200, DAY, 2 * DAY, 4 * DAY, 7 * DAY, 14 * DAY, 28 * DAY,
		91 * DAY, 182 * DAY, 364 * DAY };
	size_t i = 0;
	int64_t step;

	while (i + 1 < sizeof(steps) / sizeof(steps[0]) &&
	    span / steps[i] >= DATES_MOST)
		i++;
	for (step = steps[i]; span / step >= DATES_MOST;)
		step *= 2;
	return step;
}

static enum report_date
form_of(int64_t at, int64_t step, int64_t span)
{
	if (span > (int64_t)700 * DAY)
		return REPORT_MONTH;
	return step >= DAY || at % DAY == 0 ? REPORT_DAY : REPORT_CLOCK;
}

static void
add_date(struct buf *out, const struct report_series *s, int64_t at,
    enum report_date form)
{
	int64_t begin = report_series_begin(s, 0);
	double x =
	    100.0 * (double)(at - begin) / (double)((int64_t)s->n * s->width);

	report_html(out,
	    "<line class=\"tick\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"%d\" "
	    "y2=\"%d\"/><text class=\"x\" x=\"%.2f%%\" y=\"%d\">",
	    x, x, TOP + HEIGHT, TOP + HEIGHT + 5, x, TOP + HEIGHT + 20);
	report_html_date(out, form, at);
	buf_add_str(out, "</text>\n");
}

static void
add_dates(struct buf *out, const struct report_series *s)
{
	int64_t begin = report_series_begin(s, 0);
	int64_t span = (int64_t)s->n * s->width, step = date_step(span);
	int64_t at = begin - REPORT_ORIGIN;

	at = REPORT_ORIGIN + at / step * step;
	if (at < begin)
		at += step;
	if (at + step >= begin + span) {
		/* one date says nothing of how long it took */
		step = span < DAY ? 1 : DAY;
		add_date(out, s, begin, form_of(begin, step, span));
		add_date(out, s, begin + span,
		    form_of(begin + span, step, span));
		return;
	}
	for (; at < begin + span; at += step)
		add_date(out, s, at, form_of(at, step, span));
}

void
report_chart_time(struct buf *out, const struct report_series *s, size_t i)
{
	int64_t begin = report_series_begin(s, i), end = begin + s->width;

	report_html_date(out, REPORT_WEEKDAY, begin);
	if (s->width > DAY) {
		buf_add_str(out, " to ");
		report_html_date(out, REPORT_WEEKDAY, end - 1);
	} else if (s->width < DAY) {
		buf_add_str(out, ", ");
		report_html_date(out, REPORT_CLOCK, begin);
		buf_add_str(out, " to ");
		if (end % DAY == 0)
			buf_add_str(out, "24:00");
		else
			report_html_date(out, REPORT_CLOCK, end);
	}
}

/* --- the bars --- */

static void
add_title(struct buf *out, const struct report_chart *c,
    const struct report_series *s, size_t i)
{
	const struct report_bar *b = &s->bar[i];

	buf_add_str(out, "<title>");
	report_chart_time(out, s, i);
	for (size_t k = c->nlayers; k-- > 0;) {
		uint64_t n = c->layer[k].count(b);

		report_html(out, "\n%s: ", c->layer[k].name);
		report_html_number(out, n);
		if (!c->share)
			continue;
		buf_add_str(out, " (");
		report_html_share(out, n, sum_of(c, b));
		buf_add_char(out, ')');
	}
	buf_add_str(out, "</title>");
}

static void
add_bar(struct buf *out, const struct report_chart *c,
    const struct report_series *s, size_t i, uint64_t top)
{
	const struct report_bar *b = &s->bar[i];
	double width = 100.0 / (double)s->n, y = TOP + HEIGHT;
	double thick = .8 * width < THICKEST ? .8 * width : THICKEST;

	buf_add_str(out, "<g>");
	add_title(out, c, s, i);
	report_html(out,
	    "<rect class=\"hit\" x=\"%.3f%%\" y=\"%d\" width=\"%.3f%%\" "
	    "height=\"%d\"/>",
	    (double)i * width, TOP, width, HEIGHT);
	for (size_t k = 0; k < c->nlayers; k++) {
		double n = (double)c->layer[k].count(b);
		double height = n * HEIGHT / (double)top;

		if (height <= 0)
			continue;
		y -= height;
		report_html(out,
		    "<rect class=\"%s\" x=\"%.3f%%\" y=\"%.2f\" "
		    "width=\"%.3f%%\" height=\"%.2f\"/>",
		    c->layer[k].colour, ((double)i + .5) * width - thick / 2, y,
		    thick, height);
	}
	buf_add_str(out, "</g>\n");
}

static void
add_legend(struct buf *out, const struct report_chart *c)
{
	buf_add_str(out, "<ul class=\"legend\">");
	for (size_t k = c->nlayers; k-- > 0;)
		report_html(out, "<li><i class=\"%s\"></i>%s</li>",
		    c->layer[k].colour, c->layer[k].name);
	buf_add_str(out, "</ul>\n");
}

void
report_chart_add(struct buf *out, const struct report_chart *c,
    const struct report_series *s)
{
	struct scale scale = scale_of(c, s);

	buf_add_str(out, "<figure>\n");
	add_legend(out, c);
	report_html(out,
	    "<div class=\"plot\"><svg role=\"img\" height=\"%d\" "
	    "aria-labelledby=\"%s-title %s-text\">\n<title id=\"%s-title\">"
	    "%s</title>\n<desc id=\"%s-text\">%s</desc>\n",
	    TOP + HEIGHT + BOTTOM, c->id, c->id, c->id, c->title, c->id,
	    c->text);
	add_lines(out, c, &scale);
	for (size_t i = 0; i < s->n; i++) {
		uint64_t sum = sum_of(c, &s->bar[i]);

		if (sum > 0)
			add_bar(out, c, s, i, c->share ? sum : scale.top);
	}
	add_dates(out, s);
	buf_add_str(out, "</svg></div>\n</figure>\n");
}
