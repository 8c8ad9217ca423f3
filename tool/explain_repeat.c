#include "explain_repeat.h"

#include <stdlib.h>
#include <string.h>

#include "cgienv.h"

/* Those that decide, and whether two equal ones are one [SPEC 1.3]. */
static const struct {
	struct span name;
	bool equal;
} deciding[] = {
	{ { "HTTP_ORIGIN", 11 }, false },
	{ { "HTTP_AMP_EMAIL_SENDER", 21 }, false },
	{ { "HTTP_ACCESS_CONTROL_REQUEST_METHOD", 34 }, false },
	{ { "HTTP_ACCESS_CONTROL_REQUEST_HEADERS", 35 }, false },
	{ { "REQUEST_METHOD", 14 }, true },
	{ { "QUERY_STRING", 12 }, true },
	{ { "SCRIPT_NAME", 11 }, true },
	{ { "PATH_INFO", 9 }, true },
};

enum { DECIDING = sizeof(deciding) / sizeof(deciding[0]) };

static struct span
name_of(const char *var)
{
	return (struct span){ var, strcspn(var, "=") };
}

static struct span
value_of(const char *var)
{
	const char *equals = strchr(var, '=');

	return span_of(equals == NULL ? "" : equals + 1);
}

static bool
make(const char *a, const char *b, struct explain_repeat *out)
{
	*out = (struct explain_repeat){ name_of(a), value_of(a), value_of(b) };
	return true;
}

bool
explain_repeat_refused(char *const vars[], struct explain_repeat *out)
{
	for (size_t k = 0; k < DECIDING; k++) {
		const char *first = NULL;

		for (size_t i = 0; vars[i] != NULL; i++) {
			if (!span_eq(name_of(vars[i]), deciding[k].name))
				continue;
			if (first == NULL)
				first = vars[i];
			else if (!deciding[k].equal ||
			    strcmp(first, vars[i]) != 0)
				return make(first, vars[i], out);
		}
	}
	return false;
}

static int
compare_names(const void *a, const void *b)
{
	struct span x = name_of(*(char *const *)a);
	struct span y = name_of(*(char *const *)b);
	int order = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);

	return order != 0 ? order : (x.n > y.n) - (x.n < y.n);
}

/* Two in a row of one name that differ; `vars` is sorted by names. */
static bool
find_sorted(char *const vars[], size_t n, struct explain_repeat *out)
{
	const char *first = NULL; /* of its name, and not empty */

	for (size_t i = 0; i < n; i++) {
		struct span name = name_of(vars[i]);

		if (first != NULL && !span_eq(name, name_of(first)))
			first = NULL;
		if (!vars_name_valid(name) || value_of(vars[i]).n == 0)
			continue;
		if (first == NULL)
			first = vars[i];
		else if (strcmp(first, vars[i]) != 0)
			return make(first, vars[i], out);
	}
	return false;
}

bool
explain_repeat_bad(char *const vars[], struct explain_repeat *out)
{
	char **sorted;
	size_t n = 0;
	bool found;

	while (vars[n] != NULL)
		n++;
	sorted = malloc((n + 1) * sizeof(*sorted));
	if (sorted == NULL)
		return false;
	memcpy(sorted, vars, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare_names);
	found = find_sorted(sorted, n, out);
	free(sorted);
	return found;
}
