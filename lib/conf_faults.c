#include "conf_faults.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct conf_kept {
	struct conf_kept *before;
	size_t number; /* in the order of their coming */
	struct conf_fault fault;
};

/* Faults hold words of the file, and end up on terminals and in logs. */
static char *
copy_text(struct arena *a, const char *text)
{
	char *copy = arena_string(a, span_of(text));

	unsigned char before = 0;

	for (char *p = copy; p != NULL && *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		/* also C1 controls: alone, and as UTF-8 has them */
		if (c < ' ' || c == 0x7f ||
		    (c >= 0x80 && c <= 0x9f &&
			(before < 0x80 || before == 0xc2)))
			*p = '?';
		before = (unsigned char)*p;
	}
	return copy;
}

static void
keep(struct conf_faults *f, const struct conf_fault *like)
{
	struct conf_kept *new;

	if (f->n == CONF_FAULTS_MAX) {
		f->left_out++;
		return;
	}
	new = arena_alloc(f->arena, sizeof(*new));
	if (new == NULL)
		return;
	new->fault = *like;
	new->fault.text = copy_text(f->arena, like->text);
	new->fault.expected = copy_text(f->arena, like->expected);
	if (new->fault.text == NULL || new->fault.expected == NULL)
		return;
	new->before = f->last;
	new->number = f->n++;
	f->last = new;
}

void
conf_faults_error(struct conf_faults *f, enum fault code, const char *file,
    struct scan_place at, const char *expected, const char *fmt, ...)
{
	char text[CONF_FAULTS_TEXT];
	struct conf_fault fault = { .code = code,
		.file = file == NULL ? f->file : file,
		.at = at,
		.text = text,
		.expected = expected };
	va_list ap;

	if (fault.file == f->file)
		f->in_file++;
	else
		f->in_lists++;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	keep(f, &fault);
}

void
conf_faults_warn(struct conf_faults *f, enum fault code, struct scan_place at,
    const char *expected, const char *fmt, ...)
{
	char text[CONF_FAULTS_TEXT];
	struct conf_fault fault = { .code = code,
		.warning = true,
		.file = f->file,
		.at = at,
		.text = text,
		.expected = expected };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	keep(f, &fault);
}

static int
order(size_t a, size_t b)
{
	return a < b ? -1 : a > b;
}

static int
compare(const void *a, const void *b)
{
	const struct conf_kept *const *pa = a, *const *pb = b;
	const struct conf_fault *x = &(*pa)->fault, *y = &(*pb)->fault;
	int by = strcmp(x->file, y->file);

	if (by == 0)
		by = order(x->at.line, y->at.line);
	if (by == 0)
		by = order(x->at.column, y->at.column);
	return by != 0 ? by : order((*pa)->number, (*pb)->number);
}

/* One rule can be dangerous for several reasons that read alike. */
static bool
is_repeated(struct conf_kept **all, size_t i)
{
	const struct conf_fault *a = &all[i]->fault;
	const struct conf_fault *b = i > 0 ? &all[i - 1]->fault : NULL;

	return b != NULL && a->file == b->file && a->at.line == b->at.line &&
	    a->at.column == b->at.column && strcmp(a->text, b->text) == 0;
}

static void
report_some(const struct conf_faults *f, struct conf_kept **all, bool lists,
    conf_report_fn *report, void *ctx)
{
	for (size_t i = 0; i < f->n; i++)
		if ((all[i]->fault.file != f->file) == lists &&
		    !is_repeated(all, i))
			report(ctx, &all[i]->fault);
}

/* About the file as a whole. */
static void
report_one(const struct conf_faults *f, enum fault code, const char *text,
    const char *expected, conf_report_fn *report, void *ctx)
{
	const struct conf_fault fault = { .code = code,
		.file = f->file,
		.text = text,
		.expected = expected };

	report(ctx, &fault);
}

static void
report_rest(struct conf_faults *f, conf_report_fn *report, void *ctx)
{
	char text[64];

	if (f->left_out > 0) {
		snprintf(text, sizeof(text), "%zu more faults", f->left_out);
		report_one(f, FAULT_MORE, text,
		    "they are shown when these are mended", report, ctx);
	}
	if (f->arena->failed) {
		f->in_file++;
		report_one(f, FAULT_NO_MEMORY, "out of memory",
		    "try with shorter lists", report, ctx);
	}
}

void
conf_faults_report(struct conf_faults *f, conf_report_fn *report, void *ctx)
{
	struct conf_kept **all =
	    arena_alloc(f->arena, (f->n + 1) * sizeof(*all));
	struct conf_kept *one = f->last;

	/* where memory was out, what they say of the file may not be so */
	if (all != NULL && !f->arena->failed) {
		for (size_t i = f->n; i-- > 0; one = one->before)
			all[i] = one;
		qsort(all, f->n, sizeof(*all), compare);
		report_some(f, all, false, report, ctx);
		report_some(f, all, true, report, ctx);
	}
	report_rest(f, report, ctx);
}

const char *
conf_fault_severity(const struct conf_fault *f)
{
	if (f->note)
		return "note";
	return f->warning ? "warning" : "error";
}

void
conf_fault_line(struct buf *out, const struct conf_fault *f)
{
	buf_add_str(out, f->file);
	if (f->at.line > 0) {
		buf_add_char(out, ':');
		buf_add_number(out, f->at.line);
		buf_add_char(out, ':');
		buf_add_number(out, f->at.column);
	}
	buf_add_str(out, ": ");
	buf_add_str(out, conf_fault_severity(f));
	buf_add_str(out, ": ");
	buf_add_str(out, f->text);
	buf_add_str(out, " [");
	buf_add_str(out, fault_word(f->code));
	buf_add_char(out, ']');
	if (f->expected != NULL && *f->expected != '\0') {
		buf_add_str(out, "; ");
		buf_add_str(out, f->expected);
	}
}
