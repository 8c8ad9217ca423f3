/*
 * report_asked: the page's part on requests that were let in: what went wrong
 * with them, and how long they took.  Private to report.
 */
#ifndef REPORT_ASKED_H
#define REPORT_ASKED_H

#include "report_sum.h"

void report_asked_faults(struct buf *out, const struct report_sum *s);

/* The slowest endpoint first. */
void report_asked_times(struct buf *out, const struct report_sum *s);

#endif
