/*
 * remark: what checks beside the loading of a policy say of it, told as its
 * faults are, but never without end [SPEC 6.7, 7.3].
 */
#ifndef REMARK_H
#define REMARK_H

#include "conf.h"

enum {
	REMARK_MAX = 200,  /* of one code; more are counted */
	REMARK_TOLD = 1000 /* places that are remembered */
};

/* Where something is wrong; file NULL: in the policy file. */
struct remark_at {
	const char *file;
	struct scan_place place; /* line 0: all of it */
};

struct remark_told {
	enum fault code;
	struct remark_at at;
};

struct remark {
	conf_report_fn *report;
	void *ctx;
	const char *file; /* the policy file */
	unsigned said[FAULT_COUNT];
	size_t errors, warnings, notes; /* all of them, told or not */
	struct remark_told told[REMARK_TOLD];
	size_t ntold;
};

enum remark_kind { REMARK_ERROR, REMARK_WARNING, REMARK_NOTE };

/* c must outlive r. */
void remark_init(struct remark *r, const struct conf *c, conf_report_fn *report,
    void *ctx);

/*
 * Says what is wrong, and in `expected` what would be right.  What is written
 * in [policy] is the affair of many endpoints, and is told of once.
 */
void remark_say(struct remark *r, enum remark_kind kind, enum fault code,
    struct remark_at at, const char *expected, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

/* Tells how many were not told. */
void remark_end(struct remark *r);

/*
 * Where `at` is, for a remark on `own`: "line 7" where that is in the same
 * file, else "/etc/list:7".
 */
void remark_where(const struct remark *r, const struct remark_at *own,
    const struct remark_at *at, char *out, size_t size);

#endif
