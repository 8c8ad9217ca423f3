/*
 * report_chart: bars over time, as SVG that needs no script.  Private to
 * report.
 */
#ifndef REPORT_CHART_H
#define REPORT_CHART_H

#include "report_sum.h"

struct report_layer {
	const char *name;   /* "refused" */
	const char *colour; /* a class of the page's style sheet */
	uint64_t (*count)(const struct report_bar *b);
};

struct report_chart {
	const char *id, *title, *text; /* title and text for who cannot see */
	const struct report_layer *layer; /* the lowest first */
	size_t nlayers;
	bool share; /* each bar is 100 % of its own */
};

/* The figure: legend, axes, and a bar with a title for each time. */
void report_chart_add(struct buf *out, const struct report_chart *c,
    const struct report_series *s);

/* "Mon 9 Nov 2026, 06:00 to 12:00": of one bar. */
void report_chart_time(struct buf *out, const struct report_series *s,
    size_t i);

#endif
