/*
 * report_style: what of the page is the same for every log.  Private to
 * report.
 */
#ifndef REPORT_STYLE_H
#define REPORT_STYLE_H

/* To the title's text; its policy allows nothing but what is in the page. */
extern const char report_style_begin[];

/* The style sheet, in parts; NULL behind the last one. */
extern const char *const report_style[];

#endif
