/*
 * probe_show: all that was found, as a table for people or as one JSON document
 * for programs.  Whatever a server sent is escaped.
 */
#ifndef PROBE_SHOW_H
#define PROBE_SHOW_H

#include "probe_judge.h"

struct probe_row {
	const struct probe_request *q;
	struct probe_answer a;
	struct probe_report r;
};

struct probe_result {
	const struct probe_aim *aim;
	const char *address; /* of the server; empty: it was not reached */
	const struct probe_row *rows;
	size_t n;
	struct probe_report connection; /* what holds for all of them */
};

/* How many findings there are of one severity. */
size_t probe_show_count(const struct probe_result *r, enum probe_severity s);

void probe_show_text(struct buf *out, const struct probe_result *r,
    bool colours);
void probe_show_json(struct buf *out, const struct probe_result *r);

#endif
