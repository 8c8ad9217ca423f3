/*
 * logline: one decision, one line [SPEC 7.1]; nothing from outside can end it,
 * forge a part of it, or show what log_senders hides.
 */
#include "logline.h"
#include "tap.h"

#define S(literal)                           \
	{                                    \
		literal, sizeof(literal) - 1 \
	}

/* 2026-11-21T10:00:00.123Z */
enum { AT = 1795255200 };

struct row {
	const char *name;
	enum logline_senders senders;
	struct logline line;
	const char *text, *json;
};

#define DECISION                                                \
	.at = { AT, 123999999 }, .id = 42, .decision = "allow", \
	.reason = REASON_OK, .status = 200, .version = 2
#define USUAL DECISION, .endpoint = "rsvp", .method = S("GET")
#define TEXT_HEAD "2026-11-21T10:00:00.123Z 0000002a allow 200 ok version=2 "
#define JSON_HEAD                                                     \
	"{\"time\":\"2026-11-21T10:00:00.123Z\",\"id\":\"0000002a\"," \
	"\"decision\":\"allow\",\"status\":200,\"reason\":\"ok\","    \
	"\"version\":2,"

static const struct row rows[] = {
	{ "all there is", LOGLINE_FULL,
	    { USUAL, .sender = S("a@b.example"),
		.origin = S("https://mail.google.com"),
		.rule = { "/etc/x.ini", 12 }, .ms = 3, .detail = "so so" },
	    TEXT_HEAD "endpoint=rsvp method=GET sender=\"a@b.example\" "
		      "origin=\"https://mail.google.com\" "
		      "rule=/etc/x.ini:12 ms=3 detail=\"so so\"\n",
	    JSON_HEAD "\"endpoint\":\"rsvp\",\"method\":\"GET\","
		      "\"sender\":\"a@b.example\","
		      "\"origin\":\"https://mail.google.com\","
		      "\"rule\":\"/etc/x.ini:12\",\"ms\":3,"
		      "\"detail\":\"so so\"}\n" },
	{ "nothing there is", LOGLINE_FULL,
	    { .decision = "deny", .reason = REASON_CLIENT_GONE },
	    "1970-01-01T00:00:00.000Z 00000000 deny - client-gone version=- "
	    "endpoint=- method=- sender=- origin=- rule=- ms=0\n",
	    "{\"time\":\"1970-01-01T00:00:00.000Z\",\"id\":\"00000000\","
	    "\"decision\":\"deny\",\"status\":null,"
	    "\"reason\":\"client-gone\",\"version\":null,\"endpoint\":null,"
	    "\"method\":null,\"sender\":null,\"origin\":null,"
	    "\"rule\":null,\"ms\":0}\n" },
	{ "a forged line", LOGLINE_FULL,
	    { USUAL, .sender = S("a\" rule=x\n2026 allow\r\0\\x\x80\xff\x7f"),
		.origin = S("\"\\ \t"), .detail = "a\nb\"" },
	    TEXT_HEAD "endpoint=rsvp method=GET "
		      "sender=\"a\\x22 rule=x\\x0a2026 allow\\x0d\\x00\\x5cx"
		      "\\x80\\xff\\x7f\" origin=\"\\x22\\x5c \\x09\" rule=- "
		      "ms=0 detail=\"a\\x0ab\\x22\"\n",
	    JSON_HEAD
	    "\"endpoint\":\"rsvp\",\"method\":\"GET\",\"sender\":"
	    "\"a\\u0022 rule=x\\u000a2026 allow\\u000d\\u0000\\u005cx"
	    "\\u0080\\u00ff\\u007f\",\"origin\":\"\\u0022\\u005c \\u0009\","
	    "\"rule\":null,\"ms\":0,\"detail\":\"a\\u000ab\\u0022\"}\n" },
	{ "words that are none", LOGLINE_FULL,
	    { DECISION, .endpoint = "- -", .method = S("GET status=200"),
		.rule = { "/a b", 4294967295 }, .origin = S("") },
	    TEXT_HEAD "endpoint=\"- -\" method=\"GET status=200\" sender=- "
		      "origin=\"\" rule=\"/a b:4294967295\" ms=0\n",
	    JSON_HEAD "\"endpoint\":\"- -\",\"method\":\"GET status=200\","
		      "\"sender\":null,\"origin\":\"\","
		      "\"rule\":\"/a b:4294967295\",\"ms\":0}\n" },
	{ "the endpoint that has no name, a method that is a dash",
	    LOGLINE_FULL, { DECISION, .endpoint = "-", .method = S("-") },
	    TEXT_HEAD "endpoint=- method=\"-\" sender=- origin=- rule=- "
		      "ms=0\n",
	    JSON_HEAD "\"endpoint\":null,\"method\":\"-\",\"sender\":null,"
		      "\"origin\":null,\"rule\":null,\"ms\":0}\n" },
	{ "a method with an equals sign, an empty one's kin", LOGLINE_FULL,
	    { DECISION, .endpoint = "", .method = S("a=b") },
	    TEXT_HEAD "endpoint=\"\" method=\"a=b\" sender=- origin=- rule=- "
		      "ms=0\n",
	    JSON_HEAD "\"endpoint\":\"\",\"method\":\"a=b\",\"sender\":null,"
		      "\"origin\":null,\"rule\":null,\"ms\":0}\n" },
	{ "the largest numbers", LOGLINE_FULL,
	    { .at = { 253402300799, 999999999 },
		.id = UINT64_MAX,
		.decision = "deny",
		.reason = REASON_BUSY,
		.status = 503,
		.ms = UINT64_MAX },
	    "9999-12-31T23:59:59.999Z ffffffffffffffff deny 503 busy "
	    "version=- endpoint=- method=- sender=- origin=- rule=- "
	    "ms=18446744073709551615\n",
	    NULL },
	{ "the domain alone", LOGLINE_DOMAIN,
	    { USUAL, .sender = S("alice@B.example"),
		.detail = "alice@b.EXAMPLE, and ALICE@b.example: no" },
	    TEXT_HEAD "endpoint=rsvp method=GET sender=\"@B.example\" "
		      "origin=- rule=- ms=0 "
		      "detail=\"@B.example, and @B.example: no\"\n",
	    JSON_HEAD "\"endpoint\":\"rsvp\",\"method\":\"GET\","
		      "\"sender\":\"@B.example\",\"origin\":null,"
		      "\"rule\":null,\"ms\":0,"
		      "\"detail\":\"@B.example, and @B.example: no\"}\n" },
	{ "the last domain", LOGLINE_DOMAIN,
	    { USUAL, .sender = S("a@x.example@y.example") },
	    TEXT_HEAD "endpoint=rsvp method=GET sender=\"@y.example\" "
		      "origin=- rule=- ms=0\n",
	    NULL },
	{ "what may be a name is no domain", LOGLINE_DOMAIN,
	    { USUAL, .sender = S("a@x.example, alice") },
	    TEXT_HEAD "endpoint=rsvp method=GET sender=\"@\" origin=- "
		      "rule=- ms=0\n",
	    NULL },
	{ "a sender without a domain", LOGLINE_DOMAIN,
	    { USUAL, .sender = S("alice"), .detail = "no alice here" },
	    TEXT_HEAD "endpoint=rsvp method=GET sender=\"@\" origin=- "
		      "rule=- ms=0 detail=\"no @ here\"\n",
	    NULL },
	{ "no sender, domain", LOGLINE_DOMAIN, { USUAL, .detail = "d" },
	    TEXT_HEAD "endpoint=rsvp method=GET sender=- origin=- rule=- "
		      "ms=0 detail=\"d\"\n",
	    NULL },
	{ "no senders at all", LOGLINE_NONE,
	    { USUAL, .sender = S("alice@b.example"),
		.detail = "is alice@b.example" },
	    TEXT_HEAD "endpoint=rsvp method=GET origin=- rule=- ms=0 "
		      "detail=\"is -\"\n",
	    JSON_HEAD "\"endpoint\":\"rsvp\",\"method\":\"GET\","
		      "\"origin\":null,\"rule\":null,\"ms\":0,"
		      "\"detail\":\"is -\"}\n" },
};

static void
is_line(enum logline_format format, const struct row *r, const char *want)
{
	struct buf out;
	const char *name = format == LOGLINE_JSON ? "as JSON" : "as text";

	buf_init(&out, LOGLINE_MAX);
	logline_add(&out, format, r->senders, &r->line);
	ok(!out.failed, "%s %s: fits", r->name, name);
	is_span(buf_span(&out), want, r->name);
	buf_free(&out);
}

struct day {
	int64_t at;
	const char *want;
};

/* Against date(1). */
static const struct day days[] = {
	{ -1, "1970-01-01T00:00:00.000Z" },
	{ INT64_MIN, "1970-01-01T00:00:00.000Z" },
	{ 86399, "1970-01-01T23:59:59.000Z" },
	{ 86400, "1970-01-02T00:00:00.000Z" },
	{ 68169599, "1972-02-28T23:59:59.000Z" },
	{ 68169600, "1972-02-29T00:00:00.000Z" },
	{ 68256000, "1972-03-01T00:00:00.000Z" },
	{ 94694399, "1972-12-31T23:59:59.000Z" },
	{ 946684799, "1999-12-31T23:59:59.000Z" },
	{ 951782400, "2000-02-29T00:00:00.000Z" },
	{ 951868800, "2000-03-01T00:00:00.000Z" },
	{ 1709164800, "2024-02-29T00:00:00.000Z" },
	{ 4107542399, "2100-02-28T23:59:59.000Z" },
	{ 4107542400, "2100-03-01T00:00:00.000Z" },
	{ 253402300800, "9999-12-31T23:59:59.000Z" },
	{ INT64_MAX, "9999-12-31T23:59:59.000Z" },
};

static void
test_day(const struct day *d)
{
	struct logline l = { .at = { d->at, 0 }, .decision = "allow" };
	struct buf out;

	buf_init(&out, LOGLINE_MAX);
	logline_add(&out, LOGLINE_TEXT, LOGLINE_FULL, &l);
	is_span((struct span){ out.p, 24 }, d->want, d->want);
	buf_free(&out);
}

/* gmtime_r(3) for every day of 400 years and a second within it. */
static void
test_calendar(void)
{
	bool good = true;

	for (int64_t day = 0; day < 146097; day++) {
		time_t at = (time_t)(day * 86400 + day * 7 % 86400);
		struct logline l = { .at = { at, 0 }, .decision = "allow" };
		struct buf out;
		struct tm tm;
		char want[64];

		strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S",
		    gmtime_r(&at, &tm));
		buf_init(&out, LOGLINE_MAX);
		logline_add(&out, LOGLINE_TEXT, LOGLINE_FULL, &l);
		good &= span_starts(buf_span(&out), span_of(want));
		buf_free(&out);
	}
	ok(good, "every day of 400 years");
}

static void
test_escape(void)
{
	struct buf out;
	char all[256];
	size_t plain = 0;

	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)i;
	buf_init(&out, 4096);
	logline_escape(&out, LOGLINE_TEXT, (struct span){ all, 256 });
	for (size_t i = 0; i < out.n; i++)
		plain += out.p[i] >= ' ' && out.p[i] <= '~';
	/* 93 of 95 printable ones stand for themselves */
	ok(out.n == 93 + 163 * 4 && plain == out.n, "every byte, as text");
	buf_clear(&out);
	logline_escape(&out, LOGLINE_JSON, (struct span){ all, 256 });
	ok(out.n == 93 + 163 * 6, "every byte, as JSON");
	buf_clear(&out);
	logline_escape(&out, LOGLINE_TEXT, SPAN("a \"\\\n\x80~"));
	is_span(buf_span(&out), "a \\x22\\x5c\\x0a\\x80~", "text");
	buf_clear(&out);
	logline_escape(&out, LOGLINE_JSON, SPAN("a \"\\\n\x80~"));
	is_span(buf_span(&out), "a \\u0022\\u005c\\u000a\\u0080~", "JSON");
	buf_free(&out);
}

/* Every value of n bytes of c. */
static void
make_long(struct buf *out, enum logline_format format, char *text, size_t n)
{
	struct span s = { text, n };
	struct logline l = { .at = { 253402300799, 999999999 },
		.id = UINT64_MAX,
		.decision = "preflight",
		.reason = REASON_SOURCE_ORIGIN_REPEATED,
		.status = 599,
		.version = 2,
		.endpoint = text,
		.method = s,
		.sender = s,
		.origin = s,
		.rule = { text, 4294967295 },
		.ms = UINT64_MAX,
		.detail = text };

	buf_init(out, LOGLINE_MAX);
	logline_add(out, format, LOGLINE_FULL, &l);
}

static void
test_long(enum logline_format format, const char *name)
{
	static char text[100001];
	static const char bytes[] = { 'a', '\xff', '"' };
	struct buf out;

	for (size_t i = 0; i < sizeof(bytes); i++) {
		memset(text, bytes[i], sizeof(text) - 1);
		make_long(&out, format, text, sizeof(text) - 1);
		ok(!out.failed && out.n > 3000 && out.p[out.n - 1] == '\n' &&
			memchr(out.p, '\n', out.n) == out.p + out.n - 1,
		    "%s: values of 100000 bytes %02x make one line of %zu",
		    name, (unsigned char)bytes[i], out.n);
		buf_free(&out);
	}
}

/* The longest address and origin that are valid are whole. */
static void
test_whole(void)
{
	char text[301] = { 0 };
	struct logline l = { .decision = "allow", .origin = { text, 300 } };
	struct buf out;

	memset(text, 'o', 300);
	buf_init(&out, LOGLINE_MAX);
	logline_add(&out, LOGLINE_JSON, LOGLINE_FULL, &l);
	must_text(&out);
	ok(strstr(out.p, text) != NULL && strstr(out.p, "...") == NULL,
	    "an origin of 300 bytes is whole");
	buf_free(&out);
	memset(text, '\n', 300);
	l.rule = (struct rules_at){ "/x", 1 };
	buf_init(&out, LOGLINE_MAX);
	logline_add(&out, LOGLINE_TEXT, LOGLINE_FULL, &l);
	must_text(&out);
	ok(strstr(out.p, "\\x0a...\" rule=/x:1 ms=0\n") != NULL,
	    "what stands behind a value that was cut is whole");
	buf_free(&out);
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		is_line(LOGLINE_TEXT, &rows[i], rows[i].text);
		if (rows[i].json != NULL)
			is_line(LOGLINE_JSON, &rows[i], rows[i].json);
	}
	for (size_t i = 0; i < sizeof(days) / sizeof(*days); i++)
		test_day(&days[i]);
	test_calendar();
	test_escape();
	test_long(LOGLINE_TEXT, "text");
	test_long(LOGLINE_JSON, "JSON");
	test_whole();
	return tap_done();
}
