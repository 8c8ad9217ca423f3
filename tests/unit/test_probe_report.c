/* probe_report: findings, which are never more or longer than there is room. */
#include "probe_report.h"

#include "tap.h"

static void
test_add(void)
{
	static struct probe_report r;
	static char text[2 * PROBE_TEXT];

	memset(text, 'a', sizeof(text) - 1);
	probe_report_add(&r, PROBE_ECHO, PROBE_WARNING, "%s, %u", "one", 2);
	probe_report_add(&r, PROBE_LETS_IN, PROBE_ERROR, "%s", text);
	ok(r.n == 2 && r.list[0].code == PROBE_ECHO &&
		r.list[1].severity == PROBE_ERROR,
	    "two findings");
	is_span(span_of(r.list[0].text), "one, 2", "the text of the first");
	ok(strlen(r.list[1].text) == PROBE_TEXT - 1, "a long one is cut");
	for (int i = 0; i < 2 * PROBE_FINDINGS; i++)
		probe_report_add(&r, PROBE_COOKIE, PROBE_NOTE, "x");
	ok(r.n == PROBE_FINDINGS, "a full report takes no more");
	ok(probe_report_count(&r, PROBE_ERROR) == 1 &&
		probe_report_count(&r, PROBE_WARNING) == 1 &&
		probe_report_count(&r, PROBE_NOTE) == PROBE_FINDINGS - 2,
	    "counted by severity");
}

static void
test_value(void)
{
	static char text[300];
	struct probe_value v;
	size_t most = sizeof(v.text) - 4;

	is_span(span_of(probe_report_value(SPAN("abc")).text), "abc", "short");
	is_span(span_of(probe_report_value((struct span){ NULL, 0 }).text), "",
	    "absent");
	memset(text, 'x', sizeof(text));
	v = probe_report_value((struct span){ text, most });
	ok(strlen(v.text) == most && strstr(v.text, "...") == NULL,
	    "as long as may be");
	v = probe_report_value((struct span){ text, most + 1 });
	ok(strlen(v.text) == most + 3 && strcmp(v.text + most, "...") == 0,
	    "longer: dots");
}

/* Two of one word would be one for who reads the JSON. */
static void
test_words(void)
{
	bool differ = true, told = true;

	for (int i = 0; i < PROBE_CODES; i++) {
		const char *word = probe_code_word((enum probe_code)i);

		told &= word != NULL && *word != '\0' &&
		    probe_code_mend((enum probe_code)i) != NULL;
		for (int j = 0; told && j < i; j++)
			differ &= strcmp(word,
				      probe_code_word((enum probe_code)j)) != 0;
	}
	ok(told, "each code has a word, and what to do");
	ok(differ, "no two have one word");
	is_span(span_of(probe_severity_word(PROBE_NOTE)), "note", "note");
	is_span(span_of(probe_severity_word(PROBE_WARNING)), "warning",
	    "warning");
	is_span(span_of(probe_severity_word(PROBE_ERROR)), "error", "error");
}

int
main(void)
{
	test_add();
	test_value();
	test_words();
	return tap_done();
}
