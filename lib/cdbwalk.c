#include "cdbwalk.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cdbfile.h"

struct walk {
	FILE *f;
	uint64_t left; /* bytes of records */
	char text[CDBFILE_SOURCE_MAX];
	size_t ntext;
	cdbwalk_fn *each;
	void *ctx;
};

static bool
take(struct walk *w, void *p, size_t n)
{
	if (n > w->left || fread(p, 1, n, w->f) != n)
		return false;
	w->left -= n;
	return true;
}

/* The lengths of the next record's key and value. */
static bool
take_lengths(struct walk *w, size_t *key, size_t *value)
{
	unsigned char lengths[CDBFILE_LENGTHS];

	if (!take(w, lengths, sizeof(lengths)))
		return false;
	*key = cdbfile_number(lengths, 4);
	*value = cdbfile_number(lengths + 4, 4);
	return true;
}

/* The first record, which says that the file is ours. */
static bool
take_marker(struct walk *w)
{
	char key[sizeof(CDBFILE_KEY) - 1];
	char value[CDBFILE_MARKER_MAX];
	struct cdbfile_marker marker;
	size_t nkey, nvalue;

	if (!take_lengths(w, &nkey, &nvalue) || nkey != sizeof(key) ||
	    nvalue > sizeof(value) || !take(w, key, nkey) ||
	    memcmp(key, CDBFILE_KEY, nkey) != 0 || !take(w, value, nvalue) ||
	    cdbfile_marker((struct span){ value, nvalue }, &marker) !=
		CDBFILE_GOOD)
		return false;
	w->ntext = marker.source.n;
	memcpy(w->text, marker.source.p, w->ntext);
	return true;
}

static bool
take_rule(struct walk *w)
{
	unsigned char value[CDBFILE_RULE];
	char key[RULES_KEY_MAX];
	struct cdbfile_rule said;
	struct cdbwalk_rule rule = { .text = { w->text, w->ntext } };
	size_t n;

	if (!take_lengths(w, &rule.key.n, &n) || rule.key.n > sizeof(key) ||
	    n != sizeof(value) || !take(w, key, rule.key.n) ||
	    !take(w, value, n))
		return false;
	rule.key.p = key;
	if (!cdbfile_rule(rule.key, value, &said))
		return false;
	rule.deny = said.deny;
	rule.line = said.line;
	return w->each(w->ctx, &rule);
}

static bool
walk(struct walk *w)
{
	unsigned char header[CDBFILE_HEADER];
	struct cdbfile_table table[CDBFILE_TABLES];
	uint64_t end;

	if (fread(header, 1, sizeof(header), w->f) != sizeof(header) ||
	    !cdbfile_tables(header, table, &end))
		return false;
	w->left = table[0].position - CDBFILE_HEADER;
	if (!take_marker(w))
		return false;
	while (w->left > 0)
		if (!take_rule(w))
			return false;
	return true;
}

bool
cdbwalk(const char *file, cdbwalk_fn *each, void *ctx)
{
	/* O_NONBLOCK: a FIFO in the file's place must not hang us */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct walk w = { .each = each, .ctx = ctx };
	bool good;

	if (fd == -1)
		return false;
	w.f = fdopen(fd, "r");
	if (w.f == NULL) {
		close(fd);
		return false;
	}
	good = walk(&w);
	fclose(w.f);
	return good;
}
