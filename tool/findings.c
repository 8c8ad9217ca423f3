#include "findings.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"

struct findings {
	struct arena arena;
	struct conf_fault *all;
	size_t n, room;
	bool failed;
};

struct findings *
findings_new(void)
{
	return calloc(1, sizeof(struct findings));
}

static bool
make_room(struct findings *f)
{
	size_t room = f->room == 0 ? 64 : 2 * f->room;
	struct conf_fault *more;

	if (f->n < f->room)
		return true;
	more = realloc(f->all, room * sizeof(*more));
	if (more == NULL)
		return false;
	f->all = more;
	f->room = room;
	return true;
}

/* "" for none. */
static const char *
copy(struct findings *f, const char *text)
{
	return arena_string(&f->arena, span_of(text == NULL ? "" : text));
}

void
findings_add(struct findings *f, const struct conf_fault *fault)
{
	struct conf_fault *to;

	if (!make_room(f)) {
		f->failed = true;
		return;
	}
	to = &f->all[f->n++];
	*to = *fault;
	to->file = copy(f, fault->file);
	to->text = copy(f, fault->text);
	to->expected = copy(f, fault->expected);
}

struct findings_count
findings_count(const struct findings *f)
{
	struct findings_count c = { 0 };

	for (size_t i = 0; i < f->n; i++) {
		c.notes += f->all[i].note;
		c.warnings += f->all[i].warning && !f->all[i].note;
		c.errors += !f->all[i].warning;
	}
	return c;
}

static int
order(size_t a, size_t b)
{
	return a < b ? -1 : a > b;
}

/* ctx is the policy file's name. */
static int
compare(const void *a, const void *b, void *ctx)
{
	const struct conf_fault *x = a, *y = b;
	int by = order(x->code == FAULT_MORE, y->code == FAULT_MORE);

	if (by == 0)
		by =
		    order(strcmp(x->file, ctx) != 0, strcmp(y->file, ctx) != 0);
	if (by == 0)
		by = strcmp(x->file, y->file);
	if (by == 0)
		by = order(x->at.line, y->at.line);
	if (by == 0)
		by = order(x->at.column, y->at.column);
	if (by == 0)
		by = order(x->warning, y->warning);
	if (by == 0)
		by = order(x->code, y->code);
	return by != 0 ? by : strcmp(x->text, y->text);
}

bool
findings_sorted(struct findings *f, const char *first,
    const struct conf_fault **out, size_t *n)
{
	*out = f->all;
	*n = f->n;
	if (f->failed || f->arena.failed)
		return false;
	if (f->n > 0)
		qsort_r(f->all, f->n, sizeof(*f->all), compare,
		    (void *)(uintptr_t)first);
	return true;
}

void
findings_free(struct findings *f)
{
	if (f == NULL)
		return;
	arena_free(&f->arena);
	free(f->all);
	free(f);
}
