/*
 * lists: sender rules in memory and in text files [SPEC 3.7].
 */
#ifndef LISTS_H
#define LISTS_H

#include "rules.h"

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

/*
 * Adds a text file: one rule a line, blanks around it ignored, empty lines and
 * lines that begin with '#' skipped.  Every bad line is reported; a file that
 * cannot be read is reported with line 0.  False after any report; file as in
 * lists_add().
 */
typedef void lists_report_fn(void *ctx, const char *file, unsigned line,
    unsigned column, const char *fault, const char *expected);
bool lists_text(struct lists *l, const char *file, lists_report_fn *report,
    void *ctx);

/* How many keys it has rules for. */
size_t lists_count(const struct lists *l);

/* Does any rule allow more than one address? */
bool lists_wide(const struct lists *l);

/* For a text that is no rule: what would be right; a constant. */
const char *lists_expected(struct span rule);

/* The list as a source for rules_decide(), valid until lists_free(). */
struct rules_source lists_source(struct lists *l);

/* NULL is taken too. */
void lists_free(struct lists *l);

#endif
