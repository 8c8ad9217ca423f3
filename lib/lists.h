/*
 * lists: sender rules in memory and in text files [SPEC 3.7].
 */
#ifndef LISTS_H
#define LISTS_H

#include "rules.h"
#include "stamp.h"

enum lists_result { LISTS_OK, LISTS_BAD_RULE, LISTS_NO_MEMORY };

struct lists;

/* NULL where memory is out. */
struct lists *lists_new(bool fold_local);

/*
 * Adds one rule.  file is kept, not copied, and must outlive the list; it and
 * line are what a decision by this rule names.
 */
enum lists_result lists_add(struct lists *l, struct span rule, const char *file,
    unsigned line);

/* The same for a rule that rules_parse() made, with the list's fold_local. */
enum lists_result lists_put(struct lists *l, const struct rules_rule *rule,
    const char *file, unsigned line);

/* A file that is larger is refused. */
enum { LISTS_FILE_MAX = 512 << 20 };

/* What is wrong at a place of a file, and what would be right. */
typedef void lists_report_fn(void *ctx, const char *file, unsigned line,
    unsigned column, const char *fault, const char *expected);

/*
 * Adds a text file: one rule a line, blanks around it ignored, empty lines and
 * lines that begin with '#' skipped.  Every bad line is reported; where there
 * is a NUL byte, that alone, and nothing is added; a file that cannot be read
 * is reported with line 0.  False after any report; file as in
 * lists_add().  *stamp is that of the file that was read; not there where none
 * was.
 */
bool lists_text(struct lists *l, const char *file, lists_report_fn *report,
    void *ctx, struct stamp *stamp);

/*
 * One good line of a text list; line and column of the rule count from 1.
 * False stops the reading.
 */
typedef bool lists_rule_fn(void *ctx, const struct rules_rule *rule,
    unsigned line, unsigned column);

/*
 * Reads a text file as lists_text() does, but hands its rules out.  False
 * after any report, or where rule has stopped it.
 */
bool lists_walk(const char *file, bool fold_local, lists_rule_fn *rule,
    lists_report_fn *report, void *ctx);

/* The same for a text in memory; name is what reports call it. */
bool lists_walk_text(struct span text, const char *name, bool fold_local,
    lists_rule_fn *rule, lists_report_fn *report, void *ctx);

/* How many keys it has rules for. */
size_t lists_count(const struct lists *l);

/* Does any rule allow more than one address? */
bool lists_wide(const struct lists *l);

/* One key and what is said of it, as lists_source() would. */
struct lists_entry {
	struct span key; /* valid until the list changes */
	bool deny;
	struct rules_at at;
};

/* Hands out every key, in no order.  False where each has returned false. */
typedef bool lists_entry_fn(void *ctx, const struct lists_entry *e);
bool lists_each(const struct lists *l, lists_entry_fn *each, void *ctx);

/* For a text that is no rule: what would be right; a constant. */
const char *lists_expected(struct span rule);

/* The list as a source for rules_decide(), valid until lists_free(). */
struct rules_source lists_source(struct lists *l);

/* NULL is taken too. */
void lists_free(struct lists *l);

#endif
