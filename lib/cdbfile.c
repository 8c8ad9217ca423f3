#include "cdbfile.h"

#include <string.h>

/* Places in the marker's value; behind the fixed ones is the source. */
enum {
	AT_FORMAT = 0,
	AT_FLAGS = 4,
	AT_RULES = 8,
	AT_SIZE = 16,
	AT_HEADER = 24,
	FLAG_FOLD = 1,
	FLAG_WIDE = 2,
	DENY = 1
};

uint64_t
cdbfile_number(const unsigned char *p, size_t n)
{
	uint64_t number = 0;

	while (n-- > 0)
		number = number << 8 | p[n];
	return number;
}

void
cdbfile_put_number(unsigned char *p, size_t n, uint64_t number)
{
	for (; n > 0; n--, number >>= 8)
		*p++ = number & 0xff;
}

/* Each step is one to one, so a difference can never get lost again. */
static uint64_t
stir(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * 0x9e3779b97f4a7c15;
	return sum ^ sum >> 32;
}

/* As cdbfile_number(), in a form that compilers make one load of. */
static uint64_t
word_at(const unsigned char *p)
{
	return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
	    (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 |
	    (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

uint64_t
cdbfile_sum(uint64_t sum, const void *p, size_t n)
{
	const unsigned char *at = p;

	for (; n >= 8; n -= 8, at += 8)
		sum = stir(sum, word_at(at));
	return n == 0 ? sum : stir(sum, cdbfile_number(at, n));
}

bool
cdbfile_tables(const unsigned char header[CDBFILE_HEADER],
    struct cdbfile_table out[CDBFILE_TABLES], uint64_t *end)
{
	uint64_t next = cdbfile_number(header, 4);

	if (next < CDBFILE_HEADER)
		return false;
	for (size_t i = 0; i < CDBFILE_TABLES; i++) {
		const unsigned char *p = header + i * 8;

		out[i].position = (uint32_t)cdbfile_number(p, 4);
		out[i].slots = (uint32_t)cdbfile_number(p + 4, 4);
		if (out[i].position != next)
			return false;
		next += (uint64_t)out[i].slots * CDBFILE_SLOT;
	}
	*end = next;
	return next <= UINT32_MAX;
}

bool
cdbfile_is_marked(const unsigned char *head, size_t n)
{
	const unsigned char *record = head + CDBFILE_HEADER;
	struct span key = SPAN(CDBFILE_KEY);

	return n >= CDBFILE_MARKED && cdbfile_number(record, 4) == key.n &&
	    memcmp(record + CDBFILE_LENGTHS, key.p, key.n) == 0;
}

uint32_t
cdbfile_free(uint32_t position)
{
	return ~position;
}

/* Of what is said, which comes first, and the key. */
static uint32_t
sum_of(struct span key, const unsigned char *value)
{
	uint64_t sum = cdbfile_sum(cdbfile_number(value, 4), key.p, key.n);

	return (uint32_t)(sum ^ sum >> 32);
}

void
cdbfile_put_rule(struct span key, const struct cdbfile_rule *rule,
    unsigned char value[CDBFILE_RULE])
{
	cdbfile_put_number(value, 4, rule->line << 1 | (rule->deny ? DENY : 0));
	cdbfile_put_number(value + 4, 4, sum_of(key, value));
}

bool
cdbfile_rule(struct span key, const unsigned char value[CDBFILE_RULE],
    struct cdbfile_rule *out)
{
	uint64_t said = cdbfile_number(value, 4);

	out->deny = (said & DENY) != 0;
	out->line = (uint32_t)(said >> 1);
	return cdbfile_number(value + 4, 4) == sum_of(key, value);
}

size_t
cdbfile_put_marker(const struct cdbfile_marker *m,
    unsigned char value[CDBFILE_MARKER_MAX])
{
	unsigned char *sums = value + CDBFILE_FIXED + m->source.n;

	cdbfile_put_number(value + AT_FORMAT, 4, CDBFILE_FORMAT);
	cdbfile_put_number(value + AT_FLAGS, 4,
	    (m->fold_local ? FLAG_FOLD : 0) | (m->wide ? FLAG_WIDE : 0));
	cdbfile_put_number(value + AT_RULES, 8, m->rules);
	cdbfile_put_number(value + AT_SIZE, 8, m->size);
	cdbfile_put_number(value + AT_HEADER, 8, m->header);
	memcpy(value + CDBFILE_FIXED, m->source.p, m->source.n);
	cdbfile_put_number(sums, 8, m->whole);
	cdbfile_put_number(sums + 8, 8,
	    cdbfile_sum(0, value, (size_t)(sums + 8 - value)));
	return CDBFILE_FIXED + m->source.n + CDBFILE_SUMS;
}

enum cdbfile_state
cdbfile_marker(struct span value, struct cdbfile_marker *out)
{
	const unsigned char *p = (const unsigned char *)value.p, *sums;
	uint64_t flags;

	/* first of all: another format may have nothing else in common */
	if (value.n < 4)
		return CDBFILE_DAMAGED;
	if (cdbfile_number(p + AT_FORMAT, 4) != CDBFILE_FORMAT)
		return CDBFILE_OUTDATED;
	if (value.n <= CDBFILE_FIXED + CDBFILE_SUMS ||
	    value.n > CDBFILE_MARKER_MAX)
		return CDBFILE_DAMAGED;
	sums = p + value.n - CDBFILE_SUMS;
	flags = cdbfile_number(p + AT_FLAGS, 4);
	*out = (struct cdbfile_marker){ .fold_local = (flags & FLAG_FOLD) != 0,
		.wide = (flags & FLAG_WIDE) != 0,
		.rules = cdbfile_number(p + AT_RULES, 8),
		.size = cdbfile_number(p + AT_SIZE, 8),
		.header = cdbfile_number(p + AT_HEADER, 8),
		.whole = cdbfile_number(sums, 8),
		.source = { value.p + CDBFILE_FIXED,
		    value.n - CDBFILE_FIXED - CDBFILE_SUMS } };
	if (cdbfile_number(sums + 8, 8) != cdbfile_sum(0, p, value.n - 8) ||
	    memchr(out->source.p, '\0', out->source.n) != NULL)
		return CDBFILE_DAMAGED;
	return CDBFILE_GOOD;
}
