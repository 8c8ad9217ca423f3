/*
 * report_html: what comes from outside is text in the page, and numbers and
 * times read well.
 */
#include "report_html.h"
#include "tap.h"

#define S(literal)                           \
	{                                    \
		literal, sizeof(literal) - 1 \
	}

static void
is_text(struct buf *out, const char *want, const char *name)
{
	bool good = !out->failed;

	is_span((struct span){ out->p == NULL ? "" : out->p, out->n },
	    good ? want : "(it failed)", name);
	buf_free(out);
	buf_init(out, 4096);
}

static const struct {
	struct span value;
	bool cut;
	const char *want;
} values[] = {
	{ S("a@b.example"), false, "a@b.example" },
	{ S("<b>&'</b>"), false, "&lt;b&gt;&amp;&#39;&lt;/b&gt;" },
	{ S("\"\\\n\0\xc3\xa4"), false, "\\x22\\x5c\\x0a\\x00\\xc3\\xa4" },
	{ S("a"), true, "a..." },
	{ S(""), false, "" },
	{ { NULL, 0 }, false, "" },
};

static const struct {
	uint64_t n;
	const char *want;
} numbers[] = {
	{ 0, "0" },
	{ 999, "999" },
	{ 1000, "1,000" },
	{ 1234567, "1,234,567" },
	{ UINT64_MAX, "18,446,744,073,709,551,615" },
};

static const struct {
	uint64_t part, whole;
	const char *want;
} shares[] = {
	{ 0, 0, "-" },
	{ 0, 7, "0.0\u00a0%" },
	{ 7, 7, "100.0\u00a0%" },
	{ 1, 3, "33.3\u00a0%" },
	{ 1, 100000, "&lt;\u00a00.1\u00a0%" },
	{ 99999, 100000, "&gt;\u00a099.9\u00a0%" },
};

static const struct {
	enum report_date form;
	int64_t at;
	const char *want;
} dates[] = {
	{ REPORT_CLOCK, 1795255200 + 61, "10:01" },
	{ REPORT_DAY, 1795255200, "21\u00a0Nov" },
	{ REPORT_MONTH, 1795255200, "Nov\u00a02026" },
	{ REPORT_WEEKDAY, 1795255200, "Sat 21\u00a0Nov\u00a02026" },
	{ REPORT_TIME, 1795255200, "21\u00a0Nov\u00a02026, 10:00" },
	{ REPORT_TIME, 0, "1\u00a0Jan\u00a01970, 00:00" },
	{ REPORT_TIME, 253402300799, "31\u00a0Dec\u00a09999, 23:59" },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int
main(void)
{
	struct buf out;

	buf_init(&out, 4096);
	for (size_t i = 0; i < COUNT(values); i++) {
		report_html_value(&out, values[i].value, values[i].cut);
		is_text(&out, values[i].want, "a value of a log");
	}
	report_html_text(&out, "\xc3\x84<\"&'>\n\t\x7f.");
	is_text(&out, "\xc3\x84&lt;&quot;&amp;&#39;&gt;   .", "a title");
	for (size_t i = 0; i < COUNT(numbers); i++) {
		report_html_number(&out, numbers[i].n);
		is_text(&out, numbers[i].want, numbers[i].want);
	}
	for (size_t i = 0; i < COUNT(shares); i++) {
		report_html_share(&out, shares[i].part, shares[i].whole);
		is_text(&out, shares[i].want, shares[i].want);
	}
	for (size_t i = 0; i < COUNT(dates); i++) {
		report_html_date(&out, dates[i].form, dates[i].at);
		is_text(&out, dates[i].want, dates[i].want);
	}
	buf_free(&out);
	return tap_done();
}
