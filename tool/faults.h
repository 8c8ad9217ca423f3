/*
 * faults: what is wrong with a policy or a list, shown to people and to
 * programs.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdio.h>

#include "conf.h"

/*
 * "FILE:LINE:COLUMN: error: TEXT [CODE]", and what would be right behind a tab
 * on a line of its own.  Coloured where tool_colours() says so.
 */
void faults_print(FILE *to, const struct conf_fault *f);

/* The same as a conf_report_fn; ctx is the FILE. */
void faults_report(void *ctx, const struct conf_fault *f);

/*
 * {"file":...,"line":...,"column":...,"severity":...,"code":...,"text":...,
 * "hint":...}, without a line feed.  line and column are 0 where the whole
 * file is meant, and hint is null where there is none.
 */
void faults_json(struct buf *out, const struct conf_fault *f);

/* Adds s with every byte that is not printable ASCII as \xHH. */
void faults_escape(struct buf *out, const char *s);

#endif
