/*
 * explain_client: what a mail client, or a browser, would make of the answer
 * [SPEC 7.3].
 */
#ifndef EXPLAIN_CLIENT_H
#define EXPLAIN_CLIENT_H

#include "explain_case.h"

enum explain_level {
	EXPLAIN_NOTE,    /* it is so, and may surprise */
	EXPLAIN_WARNING, /* some clients stop here */
	EXPLAIN_ERROR    /* the client shows nothing */
};

enum { EXPLAIN_REMARKS_MAX = 16, EXPLAIN_REMARK_MAX = 1024 };

struct explain_remark {
	enum explain_level level;
	char text[EXPLAIN_REMARK_MAX]; /* printable ASCII */
};

struct explain_remarks {
	size_t n;
	struct explain_remark remark[EXPLAIN_REMARKS_MAX];
};

void explain_client(const struct explain_case *c, struct explain_remarks *out);

/* "note", "warning", "error". */
const char *explain_client_word(enum explain_level l);

#endif
