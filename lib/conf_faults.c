#include "conf_faults.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct conf_fault {
	struct conf_fault *before;
	size_t number; /* in the order of their coming */
	bool warning;
	const char *file;
	struct scan_place at;
	const char *fault, *expected;
};

/* Faults hold words of the file, and end up on terminals and in logs. */
static char *
copy_text(struct arena *a, const char *text)
{
	char *copy = arena_string(a, span_of(text));

	for (char *p = copy; p != NULL && *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return copy;
}

static void
keep(struct conf_faults *f, const struct conf_fault *like, const char *fault,
    const char *expected)
{
	struct conf_fault *new;

	if (f->n == CONF_FAULTS_MAX) {
		f->left_out++;
		return;
	}
	new = arena_alloc(f->arena, sizeof(*new));
	if (new == NULL)
		return;
	*new = *like;
	new->fault = copy_text(f->arena, fault);
	new->expected = copy_text(f->arena, expected);
	if (new->fault == NULL || new->expected == NULL)
		return;
	new->before = f->first;
	new->number = f->n++;
	f->first = new;
}

void
conf_faults_error(struct conf_faults *f, const char *file, struct scan_place at,
    const char *expected, const char *fmt, ...)
{
	char text[CONF_FAULTS_TEXT];
	va_list ap;

	if (file == NULL)
		file = f->file;
	if (file == f->file)
		f->in_file++;
	else
		f->in_lists++;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	keep(f, &(struct conf_fault){ .file = file, .at = at }, text, expected);
}

void
conf_faults_warn(struct conf_faults *f, struct scan_place at,
    const char *expected, const char *fmt, ...)
{
	char text[CONF_FAULTS_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	keep(f,
	    &(struct conf_fault){ .warning = true, .file = f->file, .at = at },
	    text, expected);
}

static int
order(size_t a, size_t b)
{
	return a < b ? -1 : a > b;
}

static int
compare(const void *a, const void *b)
{
	const struct conf_fault *const *pa = a, *const *pb = b;
	const struct conf_fault *x = *pa, *y = *pb;
	int by = strcmp(x->file, y->file);

	if (by == 0)
		by = order(x->at.line, y->at.line);
	if (by == 0)
		by = order(x->at.column, y->at.column);
	return by != 0 ? by : order(x->number, y->number);
}

/* One rule can be dangerous for several reasons that read alike. */
static bool
is_repeated(struct conf_fault **all, size_t i)
{
	return i > 0 && all[i]->file == all[i - 1]->file &&
	    all[i]->at.line == all[i - 1]->at.line &&
	    all[i]->at.column == all[i - 1]->at.column &&
	    strcmp(all[i]->fault, all[i - 1]->fault) == 0;
}

static void
report_some(const struct conf_faults *f, struct conf_fault **all, bool lists,
    conf_report_fn *report, void *ctx)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct conf_fault *one = all[i];

		if ((one->file != f->file) == lists && !is_repeated(all, i))
			report(ctx, one->file, one->at, one->warning,
			    one->fault, one->expected);
	}
}

static void
report_rest(struct conf_faults *f, conf_report_fn *report, void *ctx)
{
	char text[64];

	if (f->left_out > 0) {
		snprintf(text, sizeof(text), "%zu more faults", f->left_out);
		report(ctx, f->file, (struct scan_place){ 0, 0 }, false, text,
		    "they are shown when these are mended");
	}
	if (f->arena->failed) {
		f->in_file++;
		report(ctx, f->file, (struct scan_place){ 0, 0 }, false,
		    "out of memory", "try with shorter lists");
	}
}

void
conf_faults_report(struct conf_faults *f, conf_report_fn *report, void *ctx)
{
	struct conf_fault **all =
	    arena_alloc(f->arena, (f->n + 1) * sizeof(*all));
	struct conf_fault *one = f->first;

	for (size_t i = f->n; all != NULL && i-- > 0; one = one->before)
		all[i] = one;
	if (all != NULL) {
		qsort(all, f->n, sizeof(*all), compare);
		report_some(f, all, false, report, ctx);
		report_some(f, all, true, report, ctx);
	}
	report_rest(f, report, ctx);
}
