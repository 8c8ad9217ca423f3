/*
 * report_table: the tables of the page, and their rows in the order of what is
 * counted.  Private to report.
 */
#ifndef REPORT_TABLE_H
#define REPORT_TABLE_H

#include "report_html.h"
#include "tally.h"

enum { REPORT_SHOWN = 25 }; /* rows of a list of names */

/*
 * Begins a table of this name with n columns: "<Endpoint" stands at the left,
 * "" is a column of meters, all others are numbers.
 */
void report_table_begin(struct buf *out, const char *name,
    const char *const column[], size_t n);

#define REPORT_TABLE(out, name, ...)              \
	report_table_begin((out), (name),         \
	    (const char *const[]){ __VA_ARGS__ }, \
	    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

void report_table_end(struct buf *out);

/* Begins a row: its head, a name out of the log. */
void report_table_name(struct buf *out, struct span name, bool cut);

/* A cell each. */
void report_table_number(struct buf *out, uint64_t n);
void report_table_share(struct buf *out, uint64_t part, uint64_t whole);
void report_table_time(struct buf *out, int64_t at);

/* The share again, for the eye, in the colour of a class. */
void report_table_meter(struct buf *out, uint64_t part, uint64_t whole,
    const char *colour);

/* Below a table, "what: n."; nothing where n is 0. */
void report_table_note(struct buf *out, const char *what, uint64_t n);

struct report_row {
	struct span name;
	void *value;
	uint64_t weight;
	size_t order; /* of those of one weight */
};

/* Sorts them, the heaviest first. */
void report_rows_sort(struct report_row row[], size_t n);

/*
 * All of a tally, the heaviest first, to be freed; NULL (and out has failed):
 * no memory.
 */
struct report_row *report_rows(const struct tally *t,
    uint64_t (*weigh)(const void *value), struct buf *out);

#endif
