/*
 * scan: where it reports nothing, iniparser reads the same names and values.
 */
#include "fuzz.h"

#include <iniparser/iniparser.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scan.h"

enum { LINE_MAX_BYTES = 1000 };

struct seen {
	struct span file;
	unsigned lines, reports;
};

static void
on_fault(void *ctx, struct scan_place at, enum fault code, const char *fault,
    const char *expected)
{
	struct seen *seen = ctx;

	FUZZ_HOLDS(code < FAULT_COUNT);
	FUZZ_HOLDS(at.line >= 1 && at.line <= seen->lines);
	FUZZ_HOLDS(at.column >= 1 && at.column <= seen->file.n + 1);
	FUZZ_HOLDS(fault[0] != '\0' && expected[0] != '\0');
	seen->reports++;
}

static bool
is_within(struct span inner, struct span outer)
{
	return inner.n == 0 ||
	    (inner.p >= outer.p && inner.p + inner.n <= outer.p + outer.n);
}

static void
check_entry(const struct scan_entry *e, const struct seen *seen)
{
	FUZZ_HOLDS(is_within(e->section, seen->file));
	FUZZ_HOLDS(e->section.n > 0);
	FUZZ_HOLDS(e->at.line >= 1 && e->at.line <= seen->lines);
	if (e->kind == SCAN_SECTION)
		return;
	FUZZ_HOLDS(is_within(e->key, seen->file) && e->key.n > 0);
	FUZZ_HOLDS(is_within(e->value, seen->file));
	FUZZ_HOLDS(e->value_at.line == e->at.line);
	FUZZ_HOLDS(e->value_at.column > e->at.column);
}

static dictionary *
load(struct span file)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	char path[64];
	dictionary *d;

	FUZZ_HOLDS(fd != -1);
	FUZZ_HOLDS(write(fd, file.p, file.n) == (ssize_t)file.n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	d = iniparser_load(path);
	close(fd);
	return d;
}

/* The dictionary's name, "section:key", or "section"; it folds case. */
static void
name_of(const struct scan_entry *e, char *out, size_t size)
{
	if (e->kind == SCAN_SECTION)
		snprintf(out, size, "%.*s", (int)e->section.n, e->section.p);
	else
		snprintf(out, size, "%.*s:%.*s", (int)e->section.n,
		    e->section.p, (int)e->key.n, e->key.p);
	for (; *out != '\0'; out++)
		*out = span_lower(*out);
}

/* A later line of the same name wins; to forbid repeats is conf's affair. */
static void
check_value(dictionary *d, const struct scan_entry *e)
{
	char name[2 * LINE_MAX_BYTES + 2];

	name_of(e, name, sizeof(name));
	if (e->kind == SCAN_SECTION)
		FUZZ_HOLDS(dictionary_get(d, name, "none") == NULL);
	else
		dictionary_set(d, name, "\n");
}

static void
check_last(dictionary *d, const struct scan_entry *e)
{
	char name[2 * LINE_MAX_BYTES + 2];
	const char *value;

	name_of(e, name, sizeof(name));
	value = dictionary_get(d, name, NULL);
	FUZZ_HOLDS(value != NULL);
	/* a value that was taken before: an earlier line of this name */
	if (strcmp(value, "\n") == 0)
		return;
	FUZZ_HOLDS(span_eq(span_of(value), e->value));
	dictionary_set(d, name, "\n");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { MANY = 256 };
	static struct scan_entry all[MANY];
	struct seen seen = { .file = { (const char *)data, size } };
	struct scan s;
	dictionary *d;
	size_t n = 0;

	seen.lines = 1;
	for (size_t i = 0; i < size; i++)
		seen.lines += data[i] == '\n';
	scan_init(&s, seen.file, on_fault, &seen);
	while (n < MANY && scan_next(&s, &all[n]))
		check_entry(&all[n++], &seen);
	if (seen.reports > 0 || n == MANY)
		return 0;
	d = load(seen.file);
	FUZZ_HOLDS(d != NULL);
	for (size_t i = n; i-- > 0;)
		if (all[i].kind == SCAN_KEY)
			check_last(d, &all[i]);
	for (size_t i = 0; i < n; i++)
		check_value(d, &all[i]);
	/* and nothing more than that */
	for (ssize_t i = 0; i < d->size; i++)
		FUZZ_HOLDS(d->key[i] == NULL || d->val[i] == NULL ||
		    strcmp(d->val[i], "\n") == 0);
	iniparser_freedict(d);
	return 0;
}
