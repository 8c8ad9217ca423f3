/*
 * table: a file of cases, one a line, its columns separated by single tabs.
 * Empty lines and lines that begin with '#' are skipped.  In a column "-" is
 * absent, "" (two quotes) is empty, and \xHH is one byte.
 */
#ifndef TABLE_H
#define TABLE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "span.h"

enum { TABLE_COLUMNS = 16, TABLE_LINE = 8192 };

struct table {
	FILE *f;
	unsigned line;
	size_t n; /* columns of this line */
	struct span col[TABLE_COLUMNS];
	char text[TABLE_LINE];
};

/* A file of the folder that TEST_DATA names; ends the test without it. */
static inline void
table_open(struct table *t, const char *name)
{
	const char *data = getenv("TEST_DATA");
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s",
	    data == NULL ? "tests/data" : data, name);
	*t = (struct table){ .f = fopen(path, "r") };
	if (t->f == NULL) {
		printf("Bail out! cannot open %s\n", path);
		exit(1);
	}
}

static inline void
table_close(struct table *t)
{
	fclose(t->f);
}

/* Decodes one column in place. */
static inline struct span
table_column(char *s)
{
	struct span out = { s, 0 };
	char *to = s;

	if (strcmp(s, "-") == 0)
		return (struct span){ NULL, 0 };
	if (strcmp(s, "\"\"") == 0)
		return out;
	while (*s != '\0') {
		unsigned byte;

		if (s[0] == '\\' && sscanf(s, "\\x%2x", &byte) == 1) {
			*to++ = (char)byte;
			s += 4;
		} else
			*to++ = *s++;
	}
	out.n = (size_t)(to - out.p);
	return out;
}

static inline bool
table_next(struct table *t)
{
	char *s = t->text, *next;

	do {
		if (fgets(t->text, sizeof(t->text), t->f) == NULL)
			return false;
		t->line++;
		t->text[strcspn(t->text, "\n")] = '\0';
	} while (t->text[0] == '#' || t->text[0] == '\0');
	for (t->n = 0; s != NULL && t->n < TABLE_COLUMNS; s = next) {
		next = strchr(s, '\t');
		if (next != NULL)
			*next++ = '\0';
		t->col[t->n++] = table_column(s);
	}
	return true;
}

#endif
