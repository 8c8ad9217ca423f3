/* findings: kept, counted, and in the order of the lines. */
#include "findings.h"

#include <stdlib.h>

#include "tap.h"

static void
add(struct findings *f, const char *file, unsigned line, unsigned column,
    enum fault code, const char *text)
{
	char own_file[32], own_text[32];
	const struct conf_fault fault = { .code = code,
		.warning = code != FAULT_BAD_RULE,
		.note = code == FAULT_PLAYGROUND,
		.file = own_file,
		.at = { line, column },
		.text = own_text };

	snprintf(own_file, sizeof(own_file), "%s", file);
	snprintf(own_text, sizeof(own_text), "%s", text);
	findings_add(f, &fault);
}

/* The texts in their order. */
static void
is_order(struct findings *f, const char *want, const char *name)
{
	const struct conf_fault *all;
	char got[256] = "";
	size_t n;

	if (!ok(findings_sorted(f, "m.ini", &all, &n), "%s", name))
		return;
	for (size_t i = 0; i < n; i++)
		strcat(strcat(got, i == 0 ? "" : " "), all[i].text);
	is_span(span_of(got), want, name);
}

static void
test_order(void)
{
	struct findings *f = must(findings_new());

	is_order(f, "", "nothing");
	add(f, "z", 1, 1, FAULT_BAD_RULE, "11");
	add(f, "a", 9, 1, FAULT_BAD_RULE, "10");
	add(f, "a", 0, 0, FAULT_WRITABLE, "9");
	add(f, "m.ini", 0, 0, FAULT_MORE, "12");
	add(f, "m.ini", 10, 1, FAULT_BAD_RULE, "8");
	add(f, "m.ini", 2, 11, FAULT_BAD_RULE, "7");
	add(f, "m.ini", 2, 3, FAULT_COVERED_RULE, "6");
	add(f, "m.ini", 2, 3, FAULT_REPEATED_RULE, "5");
	add(f, "m.ini", 2, 3, FAULT_REPEATED_RULE, "4");
	add(f, "m.ini", 2, 3, FAULT_BAD_RULE, "3");
	add(f, "m.ini", 0, 0, FAULT_WRITABLE, "1");
	add(f, "m.ini", 0, 0, FAULT_NOT_CHECKED, "2");
	is_order(f, "1 2 3 4 5 6 7 8 9 10 11 12",
	    "the policy first, then lists; lines, columns, errors first");
	findings_free(f);
}

static void
test_count(void)
{
	struct findings *f = must(findings_new());
	struct findings_count c;
	const struct conf_fault *all;
	size_t n;

	for (unsigned i = 0; i < 1000; i++)
		add(f, "m.ini", i + 1, 1,
		    i % 2 == 0     ? FAULT_BAD_RULE :
			i % 5 == 0 ? FAULT_PLAYGROUND :
				     FAULT_COVERED_RULE,
		    "x");
	c = findings_count(f);
	ok(c.errors == 500 && c.notes == 100 && c.warnings == 400,
	    "%zu errors, %zu warnings, %zu notes", c.errors, c.warnings,
	    c.notes);
	ok(findings_sorted(f, "m.ini", &all, &n) && n == 1000 &&
		all[999].at.line == 1000 && all[0].expected != NULL,
	    "all of them");
	findings_free(f);
	findings_free(NULL);
}

int
main(void)
{
	test_order();
	test_count();
	return tap_done();
}
