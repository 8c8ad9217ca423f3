/*
 * tally: counts by name, exact up to a number of names, and bounded beyond it.
 */
#include <stdlib.h>

#include "tally.h"
#include "tap.h"

static struct span
name_of(char room[32], unsigned i)
{
	return (struct span){ room, (size_t)snprintf(room, 32, "name %u", i) };
}

static void
test_counts(void)
{
	struct tally *t = must(tally_new(1000, sizeof(unsigned)));
	char room[32];
	unsigned wrong = 0;
	struct span name;

	for (unsigned i = 0; i < 5000; i++) {
		unsigned *n = tally_of(t, name_of(room, i % 900));

		if (n == NULL)
			bail();
		++*n;
	}
	ok(tally_count(t) == 900, "as many names as there are");
	for (unsigned i = 0; i < 900; i++) {
		unsigned *n = tally_at(t, i, &name);

		wrong +=
		    *n != (i < 500 ? 6 : 5) || !span_eq(name, name_of(room, i));
	}
	ok(wrong == 0, "each with its count, in the order in which they came");
	tally_free(t);
}

static void
test_full(void)
{
	struct tally *t = must(tally_new(300, 1));
	char room[32];
	char *first = tally_of(t, name_of(room, 0));

	for (unsigned i = 1; i < 300; i++)
		if (tally_of(t, name_of(room, i)) == NULL)
			bail();
	ok(tally_of(t, name_of(room, 300)) == NULL && tally_count(t) == 300,
	    "a new name has no room");
	ok(tally_of(t, name_of(room, 299)) != NULL &&
		tally_of(t, name_of(room, 0)) == first,
	    "an old one stays where it is");
	tally_free(t);
}

/* Names are bytes. */
static void
test_names(void)
{
	static const struct span names[] = { { "", 0 }, { "\0", 1 },
		{ "\0\0", 2 }, { "a", 1 }, { "a\0", 2 }, { "A", 1 } };
	enum { NAMES = sizeof(names) / sizeof(names[0]) };
	struct tally *t = must(tally_new(10, sizeof(uint64_t)));
	struct span name, absent = { NULL, 0 };
	unsigned wrong = 0;

	for (uint64_t i = 0; i < NAMES; i++) {
		uint64_t *n = tally_of(t, names[i]);

		if (n == NULL)
			bail();
		wrong += *n != 0;
		*n = i + 1;
	}
	for (uint64_t i = 0; i < NAMES; i++)
		wrong += *(uint64_t *)tally_at(t, i, &name) != i + 1 ||
		    !span_eq(name, names[i]);
	ok(wrong == 0 && tally_count(t) == NAMES, "names are bytes");
	ok(tally_of(t, absent) == tally_of(t, names[0]),
	    "an absent name is as an empty one");
	tally_free(t);
}

int
main(void)
{
	test_counts();
	test_full();
	test_names();
	tally_free(NULL);
	return tap_done();
}
