#include <string.h>

#include "fuzz.h"
#include "query.h"

#define NAME "__amp_source_origin"

enum { OUT_MAX = 255, GUARD = 0x5A };

struct answer {
	enum query_result result;
	size_t n;
	char out[OUT_MAX + 1];
};

/* before, query and after as one query. */
static struct answer
ask(const char *before, struct span query, const char *after, size_t size)
{
	size_t nb = strlen(before), na = strlen(after);
	size_t total = nb + query.n + na;
	char *text = malloc(total + 1);
	struct answer a;

	if (text == NULL)
		abort();
	memcpy(text, before, nb);
	if (query.n > 0)
		memcpy(text + nb, query.p, query.n);
	memcpy(text + nb + query.n, after, na);
	memset(&a, GUARD, sizeof(a));
	a.result = query_get((struct span){ text, total }, SPAN(NAME), a.out,
	    size, &a.n);
	free(text);
	return a;
}

static bool
same(const struct answer *a, const struct answer *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* The value, written with escapes under an escaped name, is the same value. */
static void
check_written_back(const struct answer *a, size_t size)
{
	static const char hex[] = "0123456789aBcDeF";
	char text[sizeof("%5f_amp%5Fsource_origin=") + 3 * OUT_MAX + 1];
	char *to = stpcpy(text, "%5f_amp%5Fsource_origin=");
	struct answer again;

	for (size_t i = 0; i < a->n; i++) {
		unsigned char c = (unsigned char)a->out[i];

		/* a bare NUL is a byte like any other, "%00" is a fault */
		if (c == 0) {
			*to++ = '\0';
			continue;
		}
		*to++ = '%';
		*to++ = hex[c >> 4];
		*to++ = hex[c & 15];
	}
	again = ask("", (struct span){ text, (size_t)(to - text) }, "", size);
	FUZZ_HOLDS(same(a, &again));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span query = { (const char *)data, size };
	size_t room = OUT_MAX;
	struct answer a, other;

	/* a first byte from 0x80 says how much room the value has */
	if (size > 0 && data[0] >= 0x80) {
		room = data[0] - 0x80U;
		query = span_skip(query, 1);
	}
	a = ask("", query, "", room);
	for (size_t i = room; i < sizeof(a.out); i++)
		FUZZ_HOLDS(a.out[i] == GUARD);
	if (a.result == QUERY_FOUND) {
		FUZZ_HOLDS(a.n > 0 && a.n <= room);
		check_written_back(&a, room);
	}

	other = ask("x=1&%zz=%&&", query, "&__amp_source_origin_=2&=&", room);
	FUZZ_HOLDS(same(&a, &other));
	other = ask("", query, "&__amp_source_origi%6e", room);
	FUZZ_HOLDS(a.result == QUERY_ABSENT || other.result == QUERY_REPEATED);
	other = ask(NAME "=a&" NAME "&", query, "", room);
	FUZZ_HOLDS(other.result == QUERY_REPEATED);
	return 0;
}
