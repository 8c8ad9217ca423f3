#include "logread.h"

#include <string.h>

/* The longest that may stand before a line. */
enum { LOGREAD_BEFORE_MAX = 512 };

/* A line while it is read. */
struct in {
	struct span rest;
	bool json;
	struct logread *out;
};

static bool
take(struct in *in, struct span what)
{
	if (!span_starts(in->rest, what))
		return false;
	in->rest = span_skip(in->rest, what.n);
	return true;
}

/* Takes what stands before the first `end`, or all where there is none. */
static struct span
take_until(struct in *in, char end)
{
	const char *p = memchr(in->rest.p, end, in->rest.n);
	struct span s = in->rest;

	if (p != NULL)
		s.n = (size_t)(p - s.p);
	in->rest = span_skip(in->rest, s.n);
	return s;
}

/* What is there where there is no value. */
static bool
take_nothing(struct in *in)
{
	return take(in, in->json ? SPAN("null") : SPAN("-"));
}

/* Digits; whatever they end at is the next one's affair. */
static bool
take_number(struct in *in, uint64_t max, uint64_t *out)
{
	struct span s = { in->rest.p, 0 };

	while (s.n < in->rest.n && s.p[s.n] >= '0' && s.p[s.n] <= '9')
		s.n++;
	in->rest = span_skip(in->rest, s.n);
	return span_number(s, max, out);
}

/* A number of so many digits. */
static bool
take_fixed(struct in *in, size_t digits, uint64_t *out)
{
	struct span s = { in->rest.p, digits };

	if (in->rest.n < digits)
		return false;
	in->rest = span_skip(in->rest, digits);
	return span_number(s, UINT64_MAX, out);
}

static bool
take_small(struct in *in, unsigned *out)
{
	uint64_t n = 0;

	if (!take_nothing(in) && !take_number(in, 999, &n))
		return false;
	*out = (unsigned)n;
	return true;
}

/* --- time --- */

static bool
is_day(uint64_t y, uint64_t m, uint64_t d)
{
	static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31,
		30, 31, 30, 31 };
	bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);

	return y >= 1970 && m >= 1 && m <= 12 && d >= 1 &&
	    d <= days[m - 1] + (uint64_t)(m == 2 && leap);
}

/* Days since 1970; the way back of logline.c's add_date(). */
static uint64_t
day_of(uint64_t y, uint64_t m, uint64_t d)
{
	uint64_t year = m <= 2 ? y - 1 : y, era = year / 400;
	uint64_t yoe = year - era * 400;
	uint64_t doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/* 2026-11-21T10:00:00.123Z */
static bool
take_time(struct in *in, struct timespec *out)
{
	uint64_t y, mon, d, h, min, s, ms;

	if (!take_fixed(in, 4, &y) || !take(in, SPAN("-")) ||
	    !take_fixed(in, 2, &mon) || !take(in, SPAN("-")) ||
	    !take_fixed(in, 2, &d) || !take(in, SPAN("T")) ||
	    !take_fixed(in, 2, &h) || !take(in, SPAN(":")) ||
	    !take_fixed(in, 2, &min) || !take(in, SPAN(":")) ||
	    !take_fixed(in, 2, &s) || !take(in, SPAN(".")) ||
	    !take_fixed(in, 3, &ms) || !take(in, SPAN("Z")))
		return false;
	if (!is_day(y, mon, d) || h > 23 || min > 59 || s > 59)
		return false;
	out->tv_sec =
	    (time_t)(day_of(y, mon, d) * 86400 + h * 3600 + min * 60 + s);
	out->tv_nsec = (long)ms * 1000000;
	return true;
}

/* --- words --- */

/* The value of a hexadecimal digit as we write it; -1: it is none. */
static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
take_id(struct in *in, uint64_t *out)
{
	size_t n = 0;

	*out = 0;
	for (; n < in->rest.n && digit(in->rest.p[n]) >= 0; n++)
		*out = *out << 4 | (uint64_t)digit(in->rest.p[n]);
	in->rest = span_skip(in->rest, n);
	return n >= 8 && n <= 16;
}

static bool
take_decision(struct in *in, enum policy_outcome *out)
{
	struct span word = take_until(in, in->json ? '"' : ' ');

	for (int i = 0; i < POLICY_OUTCOMES; i++)
		if (span_eq(word,
			span_of(policy_word((enum policy_outcome)i)))) {
			*out = (enum policy_outcome)i;
			return true;
		}
	return false;
}

static bool
take_reason(struct in *in, enum reason *out)
{
	struct span word = take_until(in, in->json ? '"' : ' ');

	for (int i = 0; i < REASON_COUNT; i++)
		if (span_eq(word, span_of(reason_word((enum reason)i)))) {
			*out = (enum reason)i;
			return true;
		}
	return false;
}

/* --- values --- */

/* The byte that an escape stands for, taken off s; -1: it is none. */
static int
take_escape(struct in *in, struct span *s)
{
	struct span mark = in->json ? SPAN("\\u00") : SPAN("\\x");
	int high, low;

	if (!span_starts(*s, mark) || s->n < mark.n + 2)
		return -1;
	high = digit(s->p[mark.n]);
	low = digit(s->p[mark.n + 1]);
	*s = span_skip(*s, mark.n + 2);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Adds what `from` was before it was escaped.  Whole lines fit. */
static bool
decode(struct in *in, struct span from, struct span *out)
{
	struct logread *l = in->out;

	out->p = l->text + l->n;
	while (from.n > 0) {
		int c = (unsigned char)from.p[0];

		if (c == '\\')
			c = take_escape(in, &from);
		else if (c != ' ' && !span_graph(from.p[0]))
			return false;
		else
			from = span_skip(from, 1);
		if (c < 0)
			return false;
		l->text[l->n++] = (char)c;
	}
	out->n = (size_t)(l->text + l->n - out->p);
	return true;
}

/*
 * Was it cut where a value has this much room?  Only where the next byte,
 * escaped or not, may have had no room left.
 */
static bool
is_cut(const struct in *in, struct span escaped, size_t room)
{
	size_t longest = in->json ? sizeof("\\u0000") : sizeof("\\x00");
	struct span dots = SPAN("...");

	return escaped.n >= dots.n &&
	    escaped.n - dots.n + (longest - 1) > room &&
	    memcmp(escaped.p + escaped.n - dots.n, dots.p, dots.n) == 0;
}

/* What a value of so much room was, of its escaped form. */
static bool
decode_value(struct in *in, struct span escaped, size_t room,
    struct logread_value *out)
{
	out->cut = is_cut(in, escaped, room);
	if (out->cut)
		escaped.n -= 3;
	return decode(in, escaped, &out->s);
}

/* What stands between quotes, escaped. */
static bool
take_quoted(struct in *in, struct span *out)
{
	if (!take(in, SPAN("\"")))
		return false;
	*out = take_until(in, '"');
	return take(in, SPAN("\""));
}

/* One that always has quotes. */
static bool
take_value(struct in *in, struct logread_value *out)
{
	const size_t room = LOGLINE_VALUE_MAX - sizeof("\"...\"");
	struct span escaped;

	*out = (struct logread_value){ .s = { NULL, 0 } };
	if (take_nothing(in))
		return true;
	return take_quoted(in, &escaped) &&
	    decode_value(in, escaped, room, out);
}

/* A word without quotes, which never holds what is escaped. */
static bool
take_bare(struct in *in, struct span *out)
{
	*out = take_until(in, ' ');
	return out->n > 0 && out->n < LOGLINE_VALUE_MAX &&
	    memchr(out->p, '=', out->n) == NULL &&
	    memchr(out->p, '\\', out->n) == NULL &&
	    memchr(out->p, '"', out->n) == NULL;
}

static bool
has_quote(const struct in *in)
{
	return in->json || (in->rest.n > 0 && in->rest.p[0] == '"');
}

/* One that in text has quotes only where it needs them. */
static bool
take_word(struct in *in, struct logread_value *out)
{
	struct span word;

	if (has_quote(in))
		return take_value(in, out);
	*out = (struct logread_value){ .s = { NULL, 0 } };
	if (!take_bare(in, &word))
		return false;
	return span_eq(word, SPAN("-")) || decode(in, word, &out->s);
}

/* FILE:LINE */
static bool
take_rule(struct in *in)
{
	const size_t room = LOGLINE_VALUE_MAX - sizeof("\"...:4294967295\"");
	struct logread *l = in->out;
	const char *colon;
	struct span s;
	uint64_t line;

	l->file = (struct logread_value){ .s = { NULL, 0 } };
	l->line = 0;
	if (in->json && take_nothing(in))
		return true;
	if (!(has_quote(in) ? take_quoted(in, &s) : take_bare(in, &s)))
		return false;
	if (span_eq(s, SPAN("-")))
		return true;
	colon = memrchr(s.p, ':', s.n);
	if (colon == NULL)
		return false;
	if (!span_number(span_skip(s, (size_t)(colon + 1 - s.p)), UINT32_MAX,
		&line))
		return false;
	l->line = (unsigned)line;
	s.n = (size_t)(colon - s.p);
	return decode_value(in, s, room, &l->file);
}

/* --- the line --- */

/* "TIME ID DECISION STATUS REASON", or the same as the object's begin. */
static bool
take_head(struct in *in)
{
	static const char *const words[2][6] = {
		{ "", " ", " ", " ", " ", "" },
		{ "{\"time\":\"", "\",\"id\":\"", "\",\"decision\":\"",
		    "\",\"status\":", ",\"reason\":\"", "\"" },
	};
	const char *const *between = words[in->json];
	struct logread *l = in->out;

	return take(in, span_of(between[0])) && take_time(in, &l->at) &&
	    take(in, span_of(between[1])) && take_id(in, &l->id) &&
	    take(in, span_of(between[2])) && take_decision(in, &l->decision) &&
	    take(in, span_of(between[3])) && take_small(in, &l->status) &&
	    take(in, span_of(between[4])) && take_reason(in, &l->reason) &&
	    take(in, span_of(between[5]));
}

static bool
take_key(struct in *in, struct span key)
{
	struct span before = in->json ? SPAN(",\"") : SPAN(" ");
	struct span behind = in->json ? SPAN("\":") : SPAN("=");
	struct in was = *in;

	if (take(in, before) && take(in, key) && take(in, behind))
		return true;
	*in = was;
	return false;
}

static bool
take_rest(struct in *in)
{
	struct logread *l = in->out;

	if (!take_key(in, SPAN("version")) || !take_small(in, &l->version) ||
	    !take_key(in, SPAN("endpoint")) || !take_word(in, &l->endpoint) ||
	    !take_key(in, SPAN("method")) || !take_word(in, &l->method))
		return false;
	l->has_sender = take_key(in, SPAN("sender"));
	l->sender = (struct logread_value){ .s = { NULL, 0 } };
	if (l->has_sender && !take_value(in, &l->sender))
		return false;
	if (!take_key(in, SPAN("origin")) || !take_value(in, &l->origin) ||
	    !take_key(in, SPAN("rule")) || !take_rule(in) ||
	    !take_key(in, SPAN("ms")) || !take_number(in, UINT64_MAX, &l->ms))
		return false;
	l->detail = (struct logread_value){ .s = { NULL, 0 } };
	return !take_key(in, SPAN("detail")) || take_value(in, &l->detail);
}

static bool
is_line(struct span line, struct logread *out)
{
	struct in in = { .rest = line, .out = out };

	if (line.n == 0 || line.n > LOGLINE_MAX)
		return false;
	in.json = line.p[0] == '{';
	out->n = 0;
	return take_head(&in) && take_rest(&in) &&
	    (!in.json || take(&in, SPAN("}"))) && in.rest.n == 0;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Three words or more, and a time of day. */
static bool
is_before(struct span s)
{
	size_t blanks = 0;
	bool time = false;

	for (size_t i = 1; i + 1 < s.n; i++) {
		blanks += s.p[i] == ' ' && s.p[i - 1] != ' ';
		time |= s.p[i] == ':' && is_digit(s.p[i - 1]) &&
		    is_digit(s.p[i + 1]);
	}
	return blanks >= 2 && time;
}

bool
logread_line(struct span line, struct logread *out)
{
	struct span before = line;

	if (is_line(line, out))
		return true;
	if (before.n > LOGREAD_BEFORE_MAX)
		before.n = LOGREAD_BEFORE_MAX;
	for (size_t i = 0; i + 1 < before.n; i++)
		if (before.p[i] == ':' && before.p[i + 1] == ' ')
			return is_before((struct span){ before.p, i }) &&
			    is_line(span_skip(line, i + 2), out);
	return false;
}

/* One that mode = report lets through [SPEC 2.8]. */
static bool
is_refusal(enum reason r)
{
	switch (r) {
	case REASON_BAD_ENCODING:
	case REASON_BAD_ADDRESS:
	case REASON_NO_AMP_HEADERS:
	case REASON_VERSION_NOT_ALLOWED:
	case REASON_ORIGIN_NOT_ALLOWED:
	case REASON_SENDER_NOT_ALLOWED:
	case REASON_SOURCE_ORIGIN_MISSING:
	case REASON_SOURCE_ORIGIN_REPEATED:
		return true;
	default:
		return false;
	}
}

bool
logread_reason(const struct logread *l, enum reason *out)
{
	*out = l->reason;
	if (l->decision == POLICY_OUTCOME_ALLOW)
		*out = REASON_OK;
	else if (l->decision == POLICY_OUTCOME_PREFLIGHT)
		*out = REASON_PREFLIGHT;
	return l->decision != POLICY_OUTCOME_REPORT || is_refusal(l->reason);
}
