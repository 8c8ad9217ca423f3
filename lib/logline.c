#include "logline.h"

#include <string.h>

/* Bytes that stand for themselves: printable, but for '"' and '\\'. */
static bool
is_plain(char c)
{
	return (c == ' ' || span_graph(c)) && c != '"' && c != '\\';
}

/* How long one byte becomes that is not plain. */
static size_t
escaped(enum logline_format format)
{
	return format == LOGLINE_JSON ? sizeof("\\u0000") - 1 :
					sizeof("\\x00") - 1;
}

static size_t
plain_run(struct span s)
{
	size_t n = 0;

	while (n < s.n && is_plain(s.p[n]))
		n++;
	return n;
}

static void
add_escaped(struct buf *out, enum logline_format format, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	buf_add_str(out, format == LOGLINE_JSON ? "\\u00" : "\\x");
	buf_add_char(out, hex[c >> 4]);
	buf_add_char(out, hex[c & 15]);
}

void
logline_escape(struct buf *out, enum logline_format format, struct span s)
{
	while (s.n > 0) {
		size_t n = plain_run(s);

		buf_add(out, s.p, n);
		s = span_skip(s, n);
		if (s.n == 0)
			break;
		add_escaped(out, format, (unsigned char)*s.p);
		s = span_skip(s, 1);
	}
}

/* The line while it grows, and how much of a value still fits. */
struct line {
	struct buf *out;
	enum logline_format format;
	size_t left;
	bool cut;
};

/* A part of a value; once something did not fit, nothing more does. */
static void
add_part(struct line *l, struct span s)
{
	while (!l->cut && s.n > 0) {
		bool plain = is_plain(*s.p);
		size_t n = plain ? plain_run(s) : 1;
		size_t size = plain ? n : escaped(l->format);

		l->cut = size > l->left;
		if (l->cut && !plain)
			break;
		if (l->cut)
			n = size = l->left;
		logline_escape(l->out, l->format, (struct span){ s.p, n });
		l->left -= size;
		s = span_skip(s, n);
	}
}

/* Room for a value, less what will stand around it. */
static void
set_room(struct line *l, size_t around)
{
	l->left = LOGLINE_VALUE_MAX - around;
	l->cut = false;
}

static void
begin_value(struct line *l)
{
	set_room(l, sizeof("\"...\""));
	buf_add_char(l->out, '"');
}

static void
end_value(struct line *l)
{
	buf_add_str(l->out, l->cut ? "...\"" : "\"");
}

static void
add_key(struct line *l, const char *key)
{
	if (l->format == LOGLINE_JSON) {
		buf_add_str(l->out, ",\"");
		buf_add_str(l->out, key);
		buf_add_str(l->out, "\":");
	} else {
		buf_add_char(l->out, ' ');
		buf_add_str(l->out, key);
		buf_add_char(l->out, '=');
	}
}

static void
add_nothing(struct line *l)
{
	buf_add_str(l->out, l->format == LOGLINE_JSON ? "null" : "-");
}

static void
add_quoted(struct line *l, struct span value)
{
	if (value.p == NULL) {
		add_nothing(l);
		return;
	}
	begin_value(l);
	add_part(l, value);
	end_value(l);
}

/* Can it stand without quotes, and be told from '-' and from the next key? */
static bool
is_word(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_plain(s.p[i]) || s.p[i] == ' ' || s.p[i] == '=')
			return false;
	return s.n > 0 && s.n < LOGLINE_VALUE_MAX / 2 && !span_eq(s, SPAN("-"));
}

static void
add_word(struct line *l, struct span value)
{
	if (l->format == LOGLINE_TEXT && is_word(value))
		buf_add_span(l->out, value);
	else
		add_quoted(l, value);
}

/* Eight digits of base 16, or as many as it takes. */
static void
add_id(struct buf *out, uint64_t id)
{
	char text[16];
	size_t at = sizeof(text);

	for (; at > sizeof(text) - 8 || id > 0; id >>= 4)
		text[--at] = "0123456789abcdef"[id & 15];
	buf_add(out, text + at, sizeof(text) - at);
}

static void
put_two(char *to, uint64_t n)
{
	to[0] = (char)('0' + n / 10);
	to[1] = (char)('0' + n % 10);
}

/*
 * The civil date of a day since 1970, the year beginning in March so that leap
 * days come last (H. Hinnant, chrono-compatible low-level date algorithms).
 * gmtime_r(3) would take the time zone's lock for every line.
 */
static void
put_date(char *out, uint64_t days)
{
	uint64_t z = days + 719468, era = z / 146097, doe = z % 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	uint64_t mp = (5 * doy + 2) / 153;
	uint64_t month = mp < 10 ? mp + 3 : mp - 9;
	uint64_t year = era * 400 + yoe + (month <= 2);

	put_two(out, year / 100);
	put_two(out + 2, year % 100);
	out[4] = out[7] = '-';
	put_two(out + 5, month);
	put_two(out + 8, doy - (153 * mp + 2) / 5 + 1);
}

/* RFC 3339 has four digits for the year. */
void
logline_time(struct buf *out, struct timespec at)
{
	const int64_t last = 253402300799;
	int64_t s = at.tv_sec < 0 ? 0 : at.tv_sec > last ? last : at.tv_sec;
	uint64_t of_day = (uint64_t)s % 86400;
	uint64_t ms = (uint64_t)at.tv_nsec / 1000000 % 1000;
	char text[] = "0000-00-00T00:00:00.000Z";

	put_date(text, (uint64_t)s / 86400);
	put_two(text + 11, of_day / 3600);
	put_two(text + 14, of_day / 60 % 60);
	put_two(text + 17, of_day % 60);
	text[20] = (char)('0' + ms / 100);
	put_two(text + 21, ms % 100);
	buf_add(out, text, sizeof(text) - 1);
}

static void
add_number(struct line *l, uint64_t n)
{
	if (n == 0)
		add_nothing(l);
	else
		buf_add_number(l->out, n);
}

/*
 * '@' and the domain.  What is not made of a domain's bytes may be anything,
 * "alice <alice@x.example>, alice" for one, and is not shown.
 */
static struct span
domain_of(struct span sender)
{
	size_t at = sender.n;

	for (; at > 0 && sender.p[at - 1] != '@'; at--) {
		char c = span_lower(sender.p[at - 1]);

		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' &&
		    c != '.')
			return SPAN("@");
	}
	return at == 0 ? SPAN("@") : span_skip(sender, at - 1);
}

static void
add_sender(struct line *l, enum logline_senders senders, struct span sender)
{
	if (senders == LOGLINE_NONE)
		return;
	add_key(l, "sender");
	if (senders == LOGLINE_DOMAIN && sender.p != NULL)
		sender = domain_of(sender);
	add_quoted(l, sender);
}

static void
add_rule(struct line *l, const struct rules_at *at)
{
	struct span file = span_of(at->file);
	bool bare = l->format == LOGLINE_TEXT && is_word(file);

	add_key(l, "rule");
	if (file.p == NULL) {
		add_nothing(l);
		return;
	}
	if (!bare)
		buf_add_char(l->out, '"');
	set_room(l, sizeof("\"...:4294967295\""));
	add_part(l, file);
	buf_add_str(l->out, l->cut ? "...:" : ":");
	buf_add_number(l->out, at->line);
	if (!bare)
		buf_add_char(l->out, '"');
}

/* Where what begins in s, in any case; s.n where it does not. */
static size_t
find(struct span s, struct span what)
{
	for (size_t i = 0; what.n > 0 && i + what.n <= s.n; i++)
		if (span_caseeq((struct span){ s.p + i, what.n }, what))
			return i;
	return s.n;
}

/* What is said in free words may name the sender. */
static void
add_detail(struct line *l, enum logline_senders senders, const char *detail,
    struct span sender)
{
	struct span rest = span_of(detail), shown = SPAN("-");

	if (rest.p == NULL)
		return;
	if (senders == LOGLINE_FULL)
		sender.n = 0;
	if (senders == LOGLINE_DOMAIN)
		shown = domain_of(sender);
	add_key(l, "detail");
	begin_value(l);
	while (rest.n > 0) {
		size_t n = find(rest, sender);

		add_part(l, (struct span){ rest.p, n });
		rest = span_skip(rest, n);
		if (rest.n > 0) {
			add_part(l, shown);
			rest = span_skip(rest, sender.n);
		}
	}
	end_value(l);
}

/* "TIME ID DECISION STATUS REASON" */
static void
add_text_head(struct line *line, const struct logline *l)
{
	logline_time(line->out, l->at);
	buf_add_char(line->out, ' ');
	add_id(line->out, l->id);
	buf_add_char(line->out, ' ');
	buf_add_str(line->out, l->decision);
	buf_add_char(line->out, ' ');
	add_number(line, l->status);
	buf_add_char(line->out, ' ');
	buf_add_str(line->out, reason_word(l->reason));
}

static void
add_json_head(struct line *line, const struct logline *l)
{
	buf_add_str(line->out, "{\"time\":\"");
	logline_time(line->out, l->at);
	buf_add_str(line->out, "\",\"id\":\"");
	add_id(line->out, l->id);
	buf_add_str(line->out, "\",\"decision\":\"");
	buf_add_str(line->out, l->decision);
	buf_add_str(line->out, "\",\"status\":");
	add_number(line, l->status);
	buf_add_str(line->out, ",\"reason\":\"");
	buf_add_str(line->out, reason_word(l->reason));
	buf_add_char(line->out, '"');
}

static void
add_rest(struct line *line, enum logline_senders senders,
    const struct logline *l)
{
	struct span endpoint = span_of(l->endpoint);

	if (span_eq(endpoint, SPAN("-")))
		endpoint = span_of(NULL);
	add_key(line, "version");
	add_number(line, l->version);
	add_key(line, "endpoint");
	add_word(line, endpoint);
	add_key(line, "method");
	add_word(line, l->method);
	add_sender(line, senders, l->sender);
	add_key(line, "origin");
	add_quoted(line, l->origin);
	add_rule(line, &l->rule);
	add_key(line, "ms");
	buf_add_number(line->out, l->ms);
	add_detail(line, senders, l->detail, l->sender);
}

void
logline_add(struct buf *out, enum logline_format format,
    enum logline_senders senders, const struct logline *l)
{
	struct line line = { .out = out, .format = format };

	if (format == LOGLINE_JSON)
		add_json_head(&line, l);
	else
		add_text_head(&line, l);
	add_rest(&line, senders, l);
	buf_add_str(out, format == LOGLINE_JSON ? "}\n" : "\n");
}
