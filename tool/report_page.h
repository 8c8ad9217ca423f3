/*
 * report_page: the page of `amp-cors report`.  Private to report.
 */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include "logs.h"
#include "report_sum.h"

struct report_about {
	const char *title;
	char *const *file; /* as they were named on the command line */
	size_t nfiles;
	const struct logs_count *count;
};

/* Adds all of it: one HTML document that needs nothing else. */
void report_page_add(struct buf *out, const struct report_sum *s,
    const struct report_about *about);

#endif
