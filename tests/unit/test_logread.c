/*
 * logread: what logline_add() wrote is read back as it was, and nothing else
 * is taken for a decision [SPEC 7.1].
 */
#include "guard.h"
#include "logread.h"
#include "tap.h"

#define S(literal)                           \
	{                                    \
		literal, sizeof(literal) - 1 \
	}

/* 2026-11-21T10:00:00Z */
enum { AT = 1795255200 };

/* One line as text of one format, without its line feed. */
static struct span
written(struct buf *out, enum logline_format format,
    enum logline_senders senders, const struct logline *l)
{
	buf_init(out, LOGLINE_MAX);
	logline_add(out, format, senders, l);
	if (out->failed)
		bail();
	return (struct span){ out->p, out->n - 1 };
}

/* Absent is not empty. */
static bool
same(const struct logread_value *got, struct span want)
{
	if (got->s.p == NULL || want.p == NULL)
		return got->s.p == NULL && want.p == NULL;
	if (got->cut)
		return want.n > got->s.n && got->s.n > 80 &&
		    memcmp(got->s.p, want.p, got->s.n) == 0;
	return span_eq(got->s, want);
}

static bool
same_line(const struct logread *got, const struct logline *want)
{
	struct span endpoint = span_of(want->endpoint);
	struct span word = span_of(policy_word(got->decision));

	if (span_eq(endpoint, SPAN("-")))
		endpoint.p = NULL;
	return got->at.tv_sec == want->at.tv_sec &&
	    got->at.tv_nsec == want->at.tv_nsec / 1000000 * 1000000 &&
	    got->id == want->id && span_eq(word, span_of(want->decision)) &&
	    got->reason == want->reason && got->status == want->status &&
	    got->version == want->version && same(&got->endpoint, endpoint) &&
	    same(&got->method, want->method) &&
	    same(&got->origin, want->origin) &&
	    same(&got->file, span_of(want->rule.file)) &&
	    got->line == want->rule.line && got->ms == want->ms &&
	    same(&got->detail, span_of(want->detail));
}

static const struct {
	const char *name;
	struct logline line;
} rows[] = {
	{ "all there is",
	    { .at = { AT, 123999999 },
		.id = 42,
		.decision = "allow",
		.reason = REASON_OK,
		.status = 200,
		.version = 2,
		.endpoint = "rsvp",
		.method = S("GET"),
		.sender = S("a@b.example"),
		.origin = S("https://mail.google.com"),
		.rule = { "/etc/x.ini", 12 },
		.ms = 3,
		.detail = "so so" } },
	{ "nothing there is",
	    { .decision = "deny", .reason = REASON_CLIENT_GONE } },
	{ "the largest",
	    { .at = { 253402300799, 999000000 },
		.id = UINT64_MAX,
		.decision = "preflight",
		.reason = REASON_PREFLIGHT,
		.status = 599,
		.version = 1,
		.rule = { "/x", 4294967295 },
		.ms = UINT64_MAX } },
	{ "a leap day",
	    { .at = { 1709164800, 0 },
		.decision = "report",
		.reason = REASON_SENDER_NOT_ALLOWED } },
	{ "a forged line",
	    { .decision = "allow",
		.reason = REASON_OK,
		.endpoint = "a\"b\\c d",
		.method = S("GET status=200"),
		.sender = S("a\" rule=x\n2026 allow\r\0\\x\x80\xff\x7f"),
		.origin = S("\"\\ \t"),
		.rule = { "/a b\":7:", 9 },
		.detail = "a\nb\"" } },
	{ "words that are none",
	    { .decision = "deny",
		.reason = REASON_BAD_BYTE,
		.endpoint = "-",
		.method = S("-"),
		.sender = S(""),
		.origin = S("null"),
		.rule = { "-", 1 },
		.detail = "" } },
};

static void
test_round_trip(enum logline_format format, const char *name)
{
	static struct logread got;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct logline *l = &rows[i].line;
		struct buf out;
		struct span s = written(&out, format, LOGLINE_FULL, l);
		struct guard g = guard_of(s.p, s.n);

		ok(logread_line(g.s, &got) && same_line(&got, l) &&
			got.has_sender && same(&got.sender, l->sender),
		    "%s: %s", name, rows[i].name);
		guard_free(&g);
		buf_free(&out);
		s = written(&out, format, LOGLINE_NONE, l);
		ok(logread_line(s, &got) && !got.has_sender &&
			got.sender.s.p == NULL,
		    "%s, without senders: %s", name, rows[i].name);
		buf_free(&out);
	}
}

/* Every decision and every reason has its word. */
static void
test_words(void)
{
	struct logline l = { .decision = "deny" };
	static struct logread got;
	unsigned wrong = 0;

	for (int i = 0; i < REASON_COUNT * POLICY_OUTCOMES; i++) {
		struct buf out;

		l.reason = (enum reason)(i % REASON_COUNT);
		l.decision =
		    policy_word((enum policy_outcome)(i / REASON_COUNT));
		wrong +=
		    !logread_line(written(&out, (enum logline_format)(i % 2),
				      LOGLINE_FULL, &l),
			&got) ||
		    !same_line(&got, &l);
		buf_free(&out);
	}
	ok(wrong == 0, "all reasons and decisions");
}

/* Every day from 1970 to 2120, and some of the later ones. */
static void
test_days(void)
{
	struct logline l = { .decision = "deny" };
	static struct logread got;
	unsigned wrong = 0;
	struct buf out;

	for (int64_t day = 0; day < 2932896; day += day < 55000 ? 1 : 997) {
		l.at.tv_sec = day * 86400 + day % 86400;
		wrong +=
		    !logread_line(written(&out, LOGLINE_TEXT, LOGLINE_FULL, &l),
			&got) ||
		    got.at.tv_sec != l.at.tv_sec;
		buf_free(&out);
	}
	ok(wrong == 0, "every day is read as it was");
}

/* Around the length at which values are cut. */
static void
test_cut(enum logline_format format, char byte, const char *name)
{
	static char text[700];
	struct logline l = { .decision = "deny", .detail = text };
	static struct logread got;
	unsigned wrong = 0, cut = 0;

	for (size_t n = 1; n < sizeof(text); n++) {
		struct buf out;

		memset(text, byte, n);
		text[n] = '\0';
		l.endpoint = l.rule.file = text;
		l.method = l.sender = l.origin = (struct span){ text, n };
		if (!logread_line(written(&out, format, LOGLINE_FULL, &l),
			&got) ||
		    !same_line(&got, &l) || !same(&got.sender, l.sender))
			wrong++;
		cut += got.sender.cut;
		buf_free(&out);
	}
	ok(wrong == 0 && cut > 100, "%s: values of all lengths, %u of them cut",
	    name, cut);
}

/* What ends in dots is no beginning, unless the line would have cut it. */
static void
test_dots(void)
{
	struct logline l = { .decision = "deny", .sender = S("a...") };
	static struct logread got;
	struct buf out;

	ok(logread_line(written(&out, LOGLINE_TEXT, LOGLINE_FULL, &l), &got) &&
		!got.sender.cut && span_eq(got.sender.s, l.sender),
	    "a sender that ends in dots");
	buf_free(&out);
}

#define LINE                                                        \
	"2026-11-21T10:00:00.123Z 0000002a deny 403 bad-address "   \
	"version=2 endpoint=rsvp method=GET sender=\"a\" origin=- " \
	"rule=- ms=3"
#define JSON                                                               \
	"{\"time\":\"2026-11-21T10:00:00.123Z\",\"id\":\"0000002a\","      \
	"\"decision\":\"deny\",\"status\":403,\"reason\":\"bad-address\"," \
	"\"version\":2,\"endpoint\":\"rsvp\",\"method\":\"GET\","          \
	"\"sender\":\"a\",\"origin\":null,\"rule\":null,\"ms\":3}"

static const struct {
	const char *before;
	bool good;
} befores[] = {
	/* syslog; journalctl in its short, precise, ISO and full forms */
	{ "Nov 22 04:49:35 host amp-cors-cgi[123]: ", true },
	{ "Nov  2 04:49:35 host amp-cors-cgi: ", true },
	{ "Nov 22 04:49:35.123456 host amp-cors-cgi[123]: ", true },
	{ "2026-11-22T04:49:35+0000 host amp-cors-cgi[123]: ", true },
	{ "2026-11-22T04:49:35.123456+00:00 host amp-cors-cgi[123]: ", true },
	{ "Sun 2026-11-22 04:49:35 UTC host amp-cors-cgi[123]: ", true },
	/* what the front itself writes before what others say */
	{ "amp-cors-cgi: ", false },
	{ "0000002a handler: ", false },
	{ "Nov 22 04:49:35 host amp-cors-cgi[1]: 0000002a handler: ", false },
	{ "Nov 22 04:49:35 host amp-cors-cgi[1]: amp-cors-cgi: ", false },
	{ "Nov 22 04:49:35 host amp-cors-cgi[1]:  ", false },
	{ "Nov 22 04:49:35 host amp-cors-cgi[1] ", false },
	{ "no time here: ", false },
	{ "04:49:35 host: ", false },
	{ " ", false },
	{ ": ", false },
};

static void
test_before(void)
{
	static struct logread got;
	char text[1024];

	for (size_t i = 0; i < sizeof(befores) / sizeof(befores[0]); i++)
		for (int json = 0; json < 2; json++) {
			snprintf(text, sizeof(text), "%s%s", befores[i].before,
			    json ? JSON : LINE);
			ok(logread_line(span_of(text), &got) ==
				    befores[i].good &&
				(!befores[i].good || got.id == 42),
			    "%s behind \"%s\"", json ? "JSON" : "text",
			    befores[i].before);
		}
}

/* A line, one change to it, and it is none. */
static const struct {
	const char *from, *to;
} changes[] = {
	{ "2026-11-21T10", "2026-02-29T10" },
	{ "2026-11-21T10", "2100-02-29T10" },
	{ "2026-11-21T10", "2026-13-01T10" },
	{ "2026-11-21T10", "2026-00-01T10" },
	{ "2026-11-21T10", "2026-04-31T10" },
	{ "2026-11-21T10", "2026-11-00T10" },
	{ "2026-11-21T10", "1969-12-31T10" },
	{ "2026-11-21T10", "2026-11-21T24" },
	{ "2026-11-21T10", "2026-11-21 10" },
	{ "10:00:00", "10:60:00" },
	{ "10:00:00", "10:00:60" },
	{ "123Z", "123" },
	{ "123Z", "12Z" },
	{ "0000002a", "0000002A" },
	{ "0000002a", "000002a" },
	{ "0000002a", "00000000000000002a" },
	{ "deny", "Deny" },
	{ "deny", "den" },
	{ "403", "1000" },
	{ "403", "" },
	{ "403", "x" },
	{ "bad-address", "bad" },
	{ "bad-address", "bad-address2" },
	{ "version", "vers" },
	{ "endpoint", "end" },
	{ "rsvp", "rs\tvp" },
	{ "rsvp", "rs\xe4" },
	{ "GET", "G\\ET" },
	{ "\"a\"", "\"a" },
	{ "\"a\"", "\"a\"b\"" },
	{ "\"a\"", "\"\\\"" },
	{ "\"a\"", "\"\\x4\"" },
	{ "\"a\"", "\"\\x4G\"" },
	{ "\"a\"", "\"\\x4A\"" },
	{ "\"a\"", "\"\\u004\"" },
	{ "\"a\"", "\"\\u0141\"" },
	{ "\"a\"", "\"\n\"" },
	{ "\"a\"", "\"\x7f\"" },
	{ "\"a\"", "a" },
	{ "rule", "file" },
	{ "ms", "seconds" },
	{ "3", "-3" },
};

/* Puts `to` in the place of the last `from`; false: there is none. */
static bool
replace(const char *line, const char *from, const char *to, char out[1024])
{
	const char *at = NULL;

	for (const char *p = line; (p = strstr(p, from)) != NULL; p++)
		at = p;
	if (at == NULL)
		return false;
	snprintf(out, 1024, "%.*s%s%s", (int)(at - line), line, to,
	    at + strlen(from));
	return true;
}

static void
test_changes(const char *line, const char *name)
{
	static struct logread got;
	char text[1024];

	ok(logread_line(span_of(line), &got), "%s", name);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		ok(replace(line, changes[i].from, changes[i].to, text) &&
			!logread_line(span_of(text), &got),
		    "%s: not with change %zu", name, i);
}

/* Cut short, or with a byte more, it is no line. */
static void
test_ends(const char *line, size_t shortest, const char *name)
{
	static struct logread got;
	unsigned taken = 0;
	char text[1024];

	for (size_t n = 0; n < shortest; n++) {
		struct guard g = guard_of(line, n);

		taken += logread_line(g.s, &got);
		guard_free(&g);
	}
	ok(taken == 0, "%s: not in part", name);
	snprintf(text, sizeof(text), "%s ", line);
	ok(!logread_line(span_of(text), &got), "%s: not with a blank behind",
	    name);
	snprintf(text, sizeof(text), "%s\r", line);
	ok(!logread_line(span_of(text), &got), "%s: not with CR behind", name);
	snprintf(text, sizeof(text), "%s%s", line, line);
	ok(!logread_line(span_of(text), &got), "%s: not twice", name);
}

static void
test_none(void)
{
	static const char *const none[] = { "", " ", "{", "{}", "null",
		"amp-cors-cgi: listening on unix:/x, 16 handlers",
		"GET / HTTP/1.1", "\x1f\x8b\x08", "rule=5", "\xff\xfe" };
	static struct logread got;
	static char text[LOGLINE_MAX * 2];
	unsigned taken = 0;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		taken += logread_line(span_of(none[i]), &got);
	ok(taken == 0, "what is something else");
	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, LINE, strlen(LINE) - 5);
	ok(!logread_line(span_of(text), &got), "what is too long");
	ok(replace(LINE, "rule=-", "rule=12", text) &&
		!logread_line(span_of(text), &got),
	    "a rule without a file");
}

static const struct {
	const char *decision;
	enum reason was, reason;
	bool told;
} reasons[] = {
	{ "allow", REASON_HANDLER_DIED, REASON_OK, true },
	{ "allow", REASON_NOT_REDIRECTED, REASON_OK, true },
	{ "preflight", REASON_PREFLIGHT, REASON_PREFLIGHT, true },
	{ "deny", REASON_BAD_BYTE, REASON_BAD_BYTE, true },
	{ "report", REASON_SENDER_NOT_ALLOWED, REASON_SENDER_NOT_ALLOWED,
	    true },
	{ "report", REASON_BAD_ENCODING, REASON_BAD_ENCODING, true },
	{ "report", REASON_HANDLER_TIMEOUT, REASON_HANDLER_TIMEOUT, false },
	{ "report", REASON_CLIENT_GONE, REASON_CLIENT_GONE, false },
};

static void
test_reasons(void)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		struct logline l = { .decision = reasons[i].decision,
			.reason = reasons[i].was };
		static struct logread got;
		enum reason why;
		struct buf out;

		ok(logread_line(written(&out, LOGLINE_TEXT, LOGLINE_FULL, &l),
		       &got) &&
			logread_reason(&got, &why) == reasons[i].told &&
			(!reasons[i].told || why == reasons[i].reason),
		    "%s %s: why", l.decision, reason_word(l.reason));
		buf_free(&out);
	}
}

int
main(void)
{
	test_round_trip(LOGLINE_TEXT, "text");
	test_round_trip(LOGLINE_JSON, "JSON");
	test_words();
	test_days();
	test_cut(LOGLINE_TEXT, 'a', "text");
	test_cut(LOGLINE_TEXT, '"', "text, escaped");
	test_cut(LOGLINE_TEXT, '.', "text, dots");
	test_cut(LOGLINE_JSON, 'a', "JSON");
	test_cut(LOGLINE_JSON, '\xff', "JSON, escaped");
	test_dots();
	test_before();
	test_changes(LINE, "text");
	test_changes(JSON, "JSON");
	test_ends(LINE, strlen(LINE) - 1, "text");
	test_ends(JSON, strlen(JSON), "JSON");
	test_none();
	test_reasons();
	return tap_done();
}
