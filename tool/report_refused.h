/*
 * report_refused: the page's part on refusals: why, whose, and from where.
 * Private to report.
 */
#ifndef REPORT_REFUSED_H
#define REPORT_REFUSED_H

#include "report_sum.h"

void report_refused_add(struct buf *out, const struct report_sum *s);

#endif
