#include "probe_fields.h"

#include <string.h>

/* The next field of that name, from *i on, which moves behind it. */
static bool
next(const struct probe_answer *a, const char *name, size_t *i,
    struct span *value)
{
	while (*i < a->n_fields) {
		const struct field *f = &a->fields[(*i)++];

		if (!span_caseeq(f->name, span_of(name)))
			continue;
		*value = span_trim(f->value);
		return true;
	}
	return false;
}

size_t
probe_fields_count(const struct probe_answer *a, const char *name)
{
	struct span value;
	size_t n = 0;

	for (size_t i = 0; next(a, name, &i, &value);)
		n++;
	return n;
}

struct span
probe_fields_first(const struct probe_answer *a, const char *name)
{
	struct span value = { NULL, 0 };
	size_t i = 0;

	next(a, name, &i, &value);
	return value;
}

bool
probe_fields_is(const struct probe_answer *a, const char *name,
    const char *value)
{
	struct span is;

	for (size_t i = 0; next(a, name, &i, &is);)
		if (span_eq(is, span_of(value)))
			return true;
	return false;
}

bool
probe_fields_within(struct span value, const char *text)
{
	struct span t = span_of(text);

	for (; t.n > 0 && value.n >= t.n; value = span_skip(value, 1))
		if (span_starts(value, t))
			return true;
	return false;
}

bool
probe_fields_holds(const struct probe_answer *a, const char *name,
    const char *text)
{
	struct span value;

	for (size_t i = 0; next(a, name, &i, &value);)
		if (probe_fields_within(value, text))
			return true;
	return false;
}

bool
probe_fields_lists(const struct probe_answer *a, const char *name,
    const char *word)
{
	struct span value, piece;

	for (size_t i = 0; next(a, name, &i, &value);)
		while (span_cut(&value, ',', &piece))
			if (span_caseeq(span_trim(piece), span_of(word)))
				return true;
	return false;
}

bool
probe_fields_is_cors(const struct field *f)
{
	static const struct span starts[] = {
		{ "access-control-", sizeof("access-control-") - 1 },
		{ "amp-access-control-", sizeof("amp-access-control-") - 1 },
		{ ALLOW_SENDER, sizeof(ALLOW_SENDER) - 1 },
	};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (f->name.n >= starts[i].n &&
		    span_caseeq((struct span){ f->name.p, starts[i].n },
			starts[i]))
			return true;
	return false;
}
