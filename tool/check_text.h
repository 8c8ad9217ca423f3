/*
 * check_text: the very word that a fault is about, read again from its file.
 * Private to check.
 */
#ifndef CHECK_TEXT_H
#define CHECK_TEXT_H

#include "conf.h"

/* One file, as far as it was gone through; faults come by their lines. */
struct check_text {
	char *name, *text;
	size_t n;
	size_t at; /* where the line begins */
	unsigned line;
};

/*
 * The word at a place: in a list (one rule a line) what is left of the line,
 * else up to a blank, a comma or a quote.  Absent where there is none, or the
 * file cannot be read.  Valid until the next call for t.
 */
struct span check_text_word(struct check_text *t, const char *file,
    struct scan_place at, bool list);

/* Frees what t holds. */
void check_text_free(struct check_text *t);

#endif
