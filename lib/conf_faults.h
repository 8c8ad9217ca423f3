/*
 * conf_faults: what is wrong with a policy file and its lists, gathered, so
 * that it can be told in the order of the lines [SPEC 6.7].  Private to conf.
 */
#ifndef CONF_FAULTS_H
#define CONF_FAULTS_H

#include "arena.h"
#include "conf.h"

enum {
	CONF_FAULTS_MAX = 1000, /* more are counted and not kept */
	CONF_FAULTS_TEXT = 400
};

struct conf_kept;

struct conf_faults {
	struct arena *arena;
	const char *file; /* the policy file; any other is a list */
	struct conf_kept *last;
	size_t n;
	size_t in_file, in_lists; /* errors, the left out ones too */
	size_t left_out;
};

/*
 * An error, or a warning, at a place in a file.  Every text is copied, the
 * name of the file is not.  NULL as file is the policy file.
 */
void conf_faults_error(struct conf_faults *f, enum fault code, const char *file,
    struct scan_place at, const char *expected, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
void conf_faults_warn(struct conf_faults *f, enum fault code,
    struct scan_place at, const char *expected, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/*
 * Reports all of them: the policy file's, then the lists', each by line and
 * column.  Out of memory is a fault too, and has no place.
 */
void conf_faults_report(struct conf_faults *f, conf_report_fn *report,
    void *ctx);

/* For "%.*s": a word in a message, cut where it is very long. */
#define CONF_WORD(s) ((s).n > 80 ? 80 : (int)(s).n), (s).p

#endif
