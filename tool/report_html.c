#include "report_html.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

void
report_html(struct buf *out, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		out->failed = true;
	else
		buf_add(out, text, (size_t)n);
}

static void
add_char(struct buf *out, char c)
{
	static const char special[] = "&<>\"'";
	static const char *const named[] = { "&amp;", "&lt;", "&gt;", "&quot;",
		"&#39;" };

	for (size_t i = 0; i < sizeof(special) - 1; i++)
		if (c == special[i]) {
			buf_add_str(out, named[i]);
			return;
		}
	if ((unsigned char)c < ' ' || c == 0x7f)
		c = ' ';
	buf_add_char(out, c);
}

void
report_html_text(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++)
		add_char(out, *text);
}

void
report_html_value(struct buf *out, struct span s, bool cut)
{
	struct buf plain;

	buf_init(&plain, 8 * LOGLINE_MAX);
	logline_escape(&plain, LOGLINE_TEXT, s);
	for (size_t i = 0; i < plain.n; i++)
		add_char(out, plain.p[i]);
	if (cut)
		buf_add_str(out, "...");
	out->failed |= plain.failed;
	buf_free(&plain);
}

void
report_html_number(struct buf *out, uint64_t n)
{
	char digits[32];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, n);

	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			buf_add_char(out, ',');
		buf_add_char(out, digits[i]);
	}
}

void
report_html_share(struct buf *out, uint64_t part, uint64_t whole)
{
	double share;

	if (whole == 0) {
		buf_add_char(out, '-');
		return;
	}
	share = 100.0 * (double)part / (double)whole;
	if (part > 0 && share < 0.05)
		buf_add_str(out, "&lt;\u00a00.1\u00a0%");
	else if (part < whole && share >= 99.95)
		buf_add_str(out, "&gt;\u00a099.9\u00a0%");
	else
		report_html(out, "%.1f\u00a0%%", share);
}

void
report_html_date(struct buf *out, enum report_date form, int64_t at)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu",
		"Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)at;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL) {
		out->failed = true;
		return;
	}
	if (form == REPORT_WEEKDAY)
		report_html(out, "%s ", days[tm.tm_wday]);
	if (form != REPORT_CLOCK && form != REPORT_MONTH)
		report_html(out, "%d\u00a0", tm.tm_mday);
	if (form != REPORT_CLOCK)
		buf_add_str(out, months[tm.tm_mon]);
	if (form != REPORT_CLOCK && form != REPORT_DAY)
		report_html(out, "\u00a0%d", tm.tm_year + 1900);
	if (form == REPORT_TIME)
		buf_add_str(out, ", ");
	if (form == REPORT_CLOCK || form == REPORT_TIME)
		report_html(out, "%02d:%02d", tm.tm_hour, tm.tm_min);
}
