/*
 * cdblist: any bytes, and the same with the checksums put right: no answer but
 * an error rests on what is not there.
 */
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cdbfile.h"
#include "cdblist.h"

enum {
	SIZE_MAX_BYTES = 1 << 16,
	VALUE = CDBFILE_HEADER + CDBFILE_LENGTHS + sizeof(CDBFILE_KEY) - 1
};

static const char *const questions[] = { "a@company.example",
	"b@company.example", "C@mail.company.example", "d@x.y.other.example",
	"e@b.example", "https://playground.amp.dev", "*", CDBFILE_KEY };

/* Every byte of the keys that have an answer is in the file. */
static void
ask(struct cdblist *c, const char *text, bool fold, struct span file)
{
	struct rules_source s = cdblist_source(c);
	struct rules_at at = { NULL, 0 };
	struct rules_keys keys;
	struct address a;
	size_t level = RULES_KEYS_MAX;
	enum rules_answer answer;

	if (address_parse(span_of(text), &a))
		rules_keys_address(&a, fold, &keys);
	else
		rules_keys_literal(span_of(text), &keys);
	answer = s.find(s.ctx, &keys, &level, &at);
	FUZZ_HOLDS(answer >= RULES_NONE && answer <= RULES_ERROR);
	if (answer != RULES_ALLOW && answer != RULES_DENY)
		return;
	FUZZ_HOLDS(level < keys.n);
	FUZZ_HOLDS(at.file == cdblist_text(c));
	FUZZ_HOLDS(memmem(file.p, file.n, keys.key[level].p,
		       keys.key[level].n) != NULL);
}

/* True where it is a list. */
static bool
ask_all(const char *path, struct span file, bool fold, bool whole)
{
	struct cdblist_fault fault = { .what = "" };
	struct cdblist *c = cdblist_open(path, fold, whole, &fault);

	if (c == NULL) {
		FUZZ_HOLDS(fault.what[0] != '\0' && fault.expected[0] != '\0');
		return false;
	}
	FUZZ_HOLDS(cdblist_text(c)[0] != '\0');
	for (size_t i = 0; i < sizeof(questions) / sizeof(*questions); i++)
		ask(c, questions[i], fold, file);
	cdblist_free(c);
	return true;
}

static void
try(struct span file)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	char path[64];

	FUZZ_HOLDS(fd != -1 && write(fd, file.p, file.n) == (ssize_t)file.n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (int fold = 0; fold <= 1; fold++)
		if (ask_all(path, file, fold, true))
			FUZZ_HOLDS(ask_all(path, file, fold, false));
		else
			ask_all(path, file, fold, false);
	close(fd);
}

static void
mend_records(unsigned char *p, size_t end, size_t at)
{
	while (at + CDBFILE_LENGTHS <= end) {
		struct span key = { (char *)p + at + CDBFILE_LENGTHS,
			cdbfile_number(p + at, 4) };
		size_t value = at + CDBFILE_LENGTHS + key.n;
		struct cdbfile_rule rule;

		if (cdbfile_number(p + at + 4, 4) != CDBFILE_RULE ||
		    value + CDBFILE_RULE > end)
			return;
		cdbfile_rule(key, p + value, &rule);
		cdbfile_put_rule(key, &rule, p + value);
		at = value + CDBFILE_RULE;
	}
}

/* False where there is no place for a marker. */
static bool
mend(unsigned char *p, size_t size)
{
	struct cdbfile_table table[CDBFILE_TABLES];
	struct cdbfile_marker m = { .size = size };
	char source[CDBFILE_SOURCE_MAX];
	uint64_t end;
	size_t n;

	if (size < VALUE + CDBFILE_FIXED + CDBFILE_SUMS ||
	    !cdbfile_tables(p, table, &end))
		return false;
	n = cdbfile_number(p + CDBFILE_HEADER + 4, 4);
	if (n <= CDBFILE_FIXED + CDBFILE_SUMS || n > CDBFILE_MARKER_MAX ||
	    n > size - VALUE || table[0].position > size)
		return false;
	m.fold_local = (p[VALUE + 4] & 1) != 0;
	m.header = cdbfile_sum(0, p, CDBFILE_HEADER);
	m.source = (struct span){ source, n - CDBFILE_FIXED - CDBFILE_SUMS };
	memset(source, 'x', m.source.n);
	cdbfile_put_marker(&m, p + VALUE);
	mend_records(p, table[0].position, VALUE + n);
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span file = { (const char *)data, size };
	unsigned char *copy;

	if (size > SIZE_MAX_BYTES)
		return 0;
	try(file);
	copy = malloc(size + 1);
	FUZZ_HOLDS(copy != NULL);
	memcpy(copy, data, size);
	if (mend(copy, size))
		try((struct span){ (const char *)copy, size });
	free(copy);
	return 0;
}
