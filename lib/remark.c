#include "remark.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
remark_init(struct remark *r, const struct conf *c, conf_report_fn *report,
    void *ctx)
{
	*r = (struct remark){ .report = report,
		.ctx = ctx,
		.file = conf_files(c)->name };
}

static void
count(struct remark *r, enum remark_kind kind)
{
	r->errors += kind == REMARK_ERROR;
	r->warnings += kind == REMARK_WARNING;
	r->notes += kind == REMARK_NOTE;
}

/* What was written ends up on terminals and in logs. */
static void
take_controls_out(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

static const char *
file_of(const struct remark *r, const struct remark_at *at)
{
	return at->file == NULL ? r->file : at->file;
}

/* What was said already; rules of lists are not remembered, but whole files. */
static bool
is_told(struct remark *r, enum fault code, const struct remark_at *at)
{
	if (at->file != NULL && at->place.line > 0)
		return false;
	for (size_t i = 0; i < r->ntold; i++)
		if (r->told[i].code == code &&
		    r->told[i].at.place.line == at->place.line &&
		    r->told[i].at.place.column == at->place.column &&
		    strcmp(file_of(r, &r->told[i].at), file_of(r, at)) == 0)
			return true;
	if (r->ntold < REMARK_TOLD)
		r->told[r->ntold++] = (struct remark_told){ code, *at };
	return false;
}

void
remark_say(struct remark *r, enum remark_kind kind, enum fault code,
    struct remark_at at, const char *expected, const char *fmt, ...)
{
	char text[1024];
	const struct conf_fault fault = { .code = code,
		.warning = kind != REMARK_ERROR,
		.note = kind == REMARK_NOTE,
		.file = file_of(r, &at),
		.at = at.place,
		.text = text,
		.expected = expected };
	va_list ap;

	if (is_told(r, code, &at))
		return;
	count(r, kind);
	if (r->said[code]++ >= REMARK_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	take_controls_out(text);
	r->report(r->ctx, &fault);
}

void
remark_end(struct remark *r)
{
	char text[128];
	const struct conf_fault fault = { .code = FAULT_MORE,
		.warning = true,
		.note = true,
		.file = r->file,
		.text = text,
		.expected = "they are shown when the others are mended" };

	for (int i = 0; i < FAULT_COUNT; i++) {
		if (r->said[i] <= REMARK_MAX)
			continue;
		snprintf(text, sizeof(text), "%u more of '%s'",
		    r->said[i] - REMARK_MAX, fault_word((enum fault)i));
		r->report(r->ctx, &fault);
	}
}

void
remark_where(const struct remark *r, const struct remark_at *own,
    const struct remark_at *at, char *out, size_t size)
{
	if (strcmp(file_of(r, at), file_of(r, own)) == 0)
		snprintf(out, size, "line %u", at->place.line);
	else
		snprintf(out, size, "%s:%u", file_of(r, at), at->place.line);
}
