/*
 * rulebook: every sender rule that a policy's endpoints have, one by one, with
 * the place of its word: what checks read, and decisions do not [SPEC 3.7].
 */
#ifndef RULEBOOK_H
#define RULEBOOK_H

#include "conf.h"

struct rulebook_rule {
	struct span key; /* as rules_rule has it, the local part as written */
	const char *file;
	struct scan_place at; /* of a compiled list: the text's, column 1 */
	bool deny;
};

struct rulebook;

/*
 * Reads the lists of all endpoints, each once.  Where words or lines are no
 * rules, or a list cannot be read, which conf_look() has reported, the rest of
 * it is there.  c must outlive it.  NULL where memory is out.
 */
struct rulebook *rulebook_new(const struct conf *c);

/* How many rules there are in all. */
size_t rulebook_count(const struct rulebook *b);
struct rulebook_rule rulebook_rule(const struct rulebook *b, size_t i);

/*
 * The sources that there are: what stands behind one key of one section.  The
 * rules from `first` up to `end` are its own.
 */
struct rulebook_source {
	size_t first, end;
	bool whole; /* none of it was left out */
};
size_t rulebook_sources(const struct rulebook *b,
    const struct rulebook_source **out);

/*
 * Those of one endpoint (its number in conf_endpoints()), as numbers in the
 * above; returns how many.
 */
enum { RULEBOOK_SOURCES_MAX = 3 };
size_t rulebook_of(const struct rulebook *b, size_t endpoint,
    size_t out[RULEBOOK_SOURCES_MAX]);

/* The rule as one would write it, in quotes: "'!*@company.example'". */
enum { RULEBOOK_TEXT = 320 };
void rulebook_text(const struct rulebook_rule *r, char out[RULEBOOK_TEXT]);

/* NULL is taken too. */
void rulebook_free(struct rulebook *b);

#endif
