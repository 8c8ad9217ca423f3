/*
 * report_html: the small pieces of the page.  Whatever comes from a log or a
 * command line becomes text here, and can be nothing else.  Private to report.
 */
#ifndef REPORT_HTML_H
#define REPORT_HTML_H

#include "logread.h"

/* Our own, as printf(3) has it; never with what came from outside. */
void report_html(struct buf *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * A value of a log, escaped as it is there, so that it can be searched for;
 * "..." behind what is a beginning.
 */
void report_html_value(struct buf *out, struct span s, bool cut);

/* UTF-8, such as a title; control bytes become blanks. */
void report_html_text(struct buf *out, const char *text);

/* 1234567 as "1,234,567" */
void report_html_number(struct buf *out, uint64_t n);

/* "12.3 %" of a whole, "-" of nothing; what is not nothing is not 0.0 %. */
void report_html_share(struct buf *out, uint64_t part, uint64_t whole);

enum report_date {
	REPORT_CLOCK,   /* 04:49 */
	REPORT_DAY,     /* 9 Nov */
	REPORT_MONTH,   /* Nov 2026 */
	REPORT_WEEKDAY, /* Mon 9 Nov 2026 */
	REPORT_TIME     /* 9 Nov 2026, 04:49 */
};

/* A moment, in seconds since 1970, in UTC. */
void report_html_date(struct buf *out, enum report_date form, int64_t at);

#endif
