#include "check_text.h"

#include <stdlib.h>
#include <string.h>

#include "lists.h"
#include "slurp.h"

static bool
open_file(struct check_text *t, const char *file)
{
	struct slurp all;

	if (t->name != NULL && strcmp(t->name, file) == 0)
		return t->text != NULL;
	check_text_free(t);
	t->name = strdup(file);
	if (t->name == NULL || slurp(file, LISTS_FILE_MAX, &all) != NULL)
		return false;
	t->text = all.p;
	t->n = all.n;
	t->line = 1;
	return true;
}

/* Goes to the beginning of a line; false where there are not so many. */
static bool
go_to(struct check_text *t, unsigned line)
{
	const char *end;

	if (line < t->line) {
		t->line = 1;
		t->at = 0;
	}
	while (t->line < line) {
		end = memchr(t->text + t->at, '\n', t->n - t->at);
		if (end == NULL)
			return false;
		t->at = (size_t)(end - t->text) + 1;
		t->line++;
	}
	return true;
}

static size_t
line_length(const struct check_text *t)
{
	const char *end = memchr(t->text + t->at, '\n', t->n - t->at);

	return end == NULL ? t->n - t->at : (size_t)(end - t->text) - t->at;
}

struct span
check_text_word(struct check_text *t, const char *file, struct scan_place at,
    bool list)
{
	struct span rest = { NULL, 0 }, word = { NULL, 0 }, quoted;
	size_t n;

	if (at.line == 0 || !open_file(t, file) || !go_to(t, at.line))
		return word;
	n = line_length(t);
	if (at.column == 0 || at.column > n)
		return word;
	rest = span_skip((struct span){ t->text + t->at, n }, at.column - 1);
	if (rest.n > 0 && rest.p[rest.n - 1] == '\r')
		rest.n--;
	if (list)
		return span_trim(rest);
	if (!span_word(&rest, &word))
		return word;
	span_cut(&word, '"', &quoted);
	return quoted;
}

void
check_text_free(struct check_text *t)
{
	free(t->name);
	free(t->text);
	*t = (struct check_text){ .name = NULL };
}
