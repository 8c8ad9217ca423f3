/*
 * reply: the handler's answer as it goes out, and our own [SPEC 2.9, 2.10, 4.4,
 * 4.6, E51 to E66]; each answer whole, in two pieces split at every byte, and
 * byte by byte.
 */
#include "buf.h"
#include "guard.h"
#include "reply.h"
#include "tap.h"

#define F(name, value)                           \
	{                                        \
		{ name, sizeof(name) - 1 },      \
		{                                \
			value, sizeof(value) - 1 \
		}                                \
	}
#define SET(fields) (fields), sizeof(fields) / sizeof(*(fields))

#define VARY "Origin, AMP-Email-Sender"
#define SOURCE "AMP-Access-Control-Allow-Source-Origin"
#define EXPOSE "Access-Control-Expose-Headers"

static const struct field version_1[] = {
	F("Access-Control-Allow-Origin", "https://mail.google.com"),
	F(SOURCE, "a@b.example"),
	F(EXPOSE, SOURCE),
	F("Vary", VARY),
};
static const struct field version_2[] = {
	F("AMP-Email-Allow-Sender", "a@b.example"),
	F("Vary", VARY),
};
static const struct field playground[] = {
	F("AMP-Email-Allow-Sender", "a@b.example"),
	F(EXPOSE, ""),
	F("Vary", VARY),
};
static const struct field wild[] = {
	F(EXPOSE, "*, X, AMP-Email-Allow-Sender, x"),
	F("Vary", VARY),
};
static const struct field report[] = { F("Vary", VARY) };

/* As policy_field() says, for the fields that appear here. */
static enum field_rule
rule(struct span name)
{
	static const char *const drop[] = { "Access-Control-Allow-Origin",
		"Access-Control-Allow-Credentials", "AMP-Email-Allow-Sender",
		SOURCE, "AMP-Redirect-To" };

	if (span_caseeq(name, SPAN("Vary")) || span_caseeq(name, SPAN(EXPOSE)))
		return FIELD_JOIN;
	for (size_t i = 0; i < sizeof(drop) / sizeof(*drop); i++)
		if (span_caseeq(name, span_of(drop[i])))
			return FIELD_DROP;
	return FIELD_PASS;
}

enum set { V1, V2, PLAYGROUND, WILD, REPORT };
enum flag { HEAD = 1, REDIRECTS = 2, REMARK = 4 };

/*
 * want is what went out, header block and body, its lines ended by LF here, and
 * "(short)" behind it where reply_end() says that it is not whole.  Or "BAD",
 * "REDIRECT" or "MORE", and the fault.
 */
struct row {
	const char *name;
	enum set set;
	int flags; /* REMARK: a warning is due */
	const char *in;
	size_t n;
	const char *want;
};

#define IN(literal) (literal), sizeof(literal) - 1

/* What our fields look like, behind the handler's. */
#define OURS_2                                  \
	"AMP-Email-Allow-Sender: a@b.example\n" \
	"Vary: " VARY "\n\n"
#define OURS_1                                                          \
	"Access-Control-Allow-Origin: https://mail.google.com\n" SOURCE \
	": a@b.example\n" EXPOSE ": " SOURCE "\n"                       \
	"Vary: " VARY "\n\n"

static const struct row rows[] = {
	{ "plain", V2, 0, IN("Content-Type: application/json\n\n{}"),
	    "Status: 200 OK\nContent-Type: application/json\n" OURS_2 "{}" },
	{ "CRLF", V1, 0, IN("A: 1\r\n\r\n\r\n{}"),
	    "Status: 200 OK\nA: 1\n" OURS_1 "\r\n{}" },
	{ "order, repeats and letter case stay", V2, 0,
	    IN("b: 1\nA:2\nB:  3 \nSet-Cookie: x\nSet-Cookie: y\n\n"),
	    "Status: 200 OK\nb: 1\nA: 2\nB: 3\nSet-Cookie: x\n"
	    "Set-Cookie: y\n" OURS_2 },
	{ "bytes from 0x80", V2, 0, IN("A: \xc3\xa4\n\n\xff"),
	    "Status: 200 OK\nA: \xc3\xa4\n" OURS_2 "\xff" },
	{ "an empty value", V2, 0, IN("A:\n\n"),
	    "Status: 200 OK\nA: \n" OURS_2 },
	/* Status: E46, E53 */
	{ "no phrase", V2, 0, IN("Status: 404\n\nx"),
	    "Status: 404 Not Found\n" OURS_2 "x" },
	{ "a phrase of its own", V2, 0, IN("Status: 404 Nope\n\n"),
	    "Status: 404 Nope\n" OURS_2 },
	{ "a phrase that is not ASCII", V2, 0, IN("Status: 404 N\xc3\xb6\n\n"),
	    "Status: 404 Not Found\n" OURS_2 },
	{ "a phrase with a tab", V2, 0, IN("Status: 404 No\tpe\n\n"),
	    "Status: 404 Not Found\n" OURS_2 },
	{ "status line", V2, 0, IN("HTTP/1.1 201 Created\nA: 1\n\nx"),
	    "Status: 201 Created\nA: 1\n" OURS_2 "x" },
	{ "422", V1, 0, IN("Status: 422\nA: 1\n\nx"),
	    "Status: 422 Unprocessable Content\nA: 1\n" OURS_1 "x" },
	{ "500", V1, 0, IN("A: 1\nStatus: 500 Oops\n\nx"),
	    "Status: 500 Oops\nA: 1\n" OURS_1 "x" },
	{ "a status without a name", V2, 0, IN("Status: 299\n\n"),
	    "Status: 299 Successful\n" OURS_2 },
	/* E58 */
	{ "what is ours is dropped", V1, 0,
	    IN("Access-Control-Allow-Origin: *\nA: 1\n"
	       "ACCESS-CONTROL-ALLOW-ORIGIN: x\n"
	       "amp-access-control-allow-source-origin: b@c.example\n\n"),
	    "Status: 200 OK\nA: 1\n" OURS_1 },
	{ "what another version would set is dropped", V2, 0,
	    IN("Access-Control-Allow-Origin: *\nAMP-Redirect-To: x\n"
	       "Access-Control-Allow-Credentials: true\nA: 1\n"
	       "AMP-Access-Control-Allow-Source-Origin: a@b.example\n\n"),
	    "Status: 200 OK\nA: 1\n" OURS_2 },
	{ "a name that only begins like ours passes", V2, 0,
	    IN("Vary-X: 1\nVar: 2\n\n"),
	    "Status: 200 OK\nVary-X: 1\nVar: 2\n" OURS_2 },
	/* Vary */
	{ "Vary is merged", V2, 0,
	    IN("Vary: Accept-Encoding\nA: 1\nVARY: ,origin ,, Cookie,\n\n"),
	    "Status: 200 OK\nA: 1\nAMP-Email-Allow-Sender: a@b.example\n"
	    "Vary: " VARY ", Accept-Encoding, Cookie\n\n" },
	{ "Vary of names that are there", V2, 0,
	    IN("Vary: ORIGIN,amp-email-sender,Origin\n\n"),
	    "Status: 200 OK\n" OURS_2 },
	{ "Vary: *", V2, 0, IN("Vary: *\n\n"),
	    "Status: 200 OK\nAMP-Email-Allow-Sender: a@b.example\n"
	    "Vary: *\n\n" },
	{ "Vary: * among others", V2, 0, IN("Vary: A, *\nVary: B\n\n"),
	    "Status: 200 OK\nAMP-Email-Allow-Sender: a@b.example\n"
	    "Vary: *\n\n" },
	{ "Vary, empty", V2, 0, IN("Vary:\nA: 1\n\n"),
	    "Status: 200 OK\nA: 1\n" OURS_2 },
	/* Access-Control-Expose-Headers */
	{ "Expose-Headers is merged", V1, 0,
	    IN(EXPOSE ": X-A, X-B\n" EXPOSE ": x-a\t,X-C\n\n"),
	    "Status: 200 OK\n"
	    "Access-Control-Allow-Origin: https://mail.google.com\n" SOURCE
	    ": a@b.example\n" EXPOSE ": " SOURCE ", X-A, X-B, X-C\n"
	    "Vary: " VARY "\n\n" },
	{ "what never stands in Expose-Headers", V1, 0,
	    IN(EXPOSE ": *, amp-email-allow-sender, X\n\n"),
	    "Status: 200 OK\n"
	    "Access-Control-Allow-Origin: https://mail.google.com\n" SOURCE
	    ": a@b.example\n" EXPOSE ": " SOURCE ", X\n"
	    "Vary: " VARY "\n\n" },
	{ "… not even of our own making", WILD, 0, IN("A: 1\n\n"),
	    "Status: 200 OK\nA: 1\n" EXPOSE ": X\nVary: " VARY "\n\n" },
	{ "Expose-Headers of a name to merge into none", PLAYGROUND, 0,
	    IN(EXPOSE ": X\n\n"),
	    "Status: 200 OK\nAMP-Email-Allow-Sender: a@b.example\n" EXPOSE
	    ": X\nVary: " VARY "\n\n" },
	{ "Expose-Headers of no name at all", PLAYGROUND, 0,
	    IN("A: 1\n" EXPOSE ": *\n\n"), "Status: 200 OK\nA: 1\n" OURS_2 },
	{ "Expose-Headers where none is ours", V2, 0, IN(EXPOSE ": X\n\n"),
	    "Status: 200 OK\n" OURS_2 },
	/* mode = report */
	{ "report: all pass, Vary is merged", REPORT, 0,
	    IN("Access-Control-Allow-Origin: *\n" EXPOSE
	       ": *\nVary: Cookie\nAMP-Email-Allow-Sender: x\n\n"),
	    "Status: 200 OK\nAccess-Control-Allow-Origin: *\n" EXPOSE
	    ": *\nAMP-Email-Allow-Sender: x\nVary: " VARY ", Cookie\n\n" },
	{ "report: hop-by-hop is dropped", REPORT, 0,
	    IN("Connection: x-a\nX-A: 1\nKeep-Alive: 1\nB: 2\n\n"),
	    "Status: 200 OK\nB: 2\nVary: " VARY "\n\n" },
	/* E63 */
	{ "hop-by-hop", V2, 0,
	    IN("CONNECTION: close, X-Mine ,te\nkeep-alive: timeout=5\n"
	       "x-mine: 1\nClose: 2\nProxy-Connection: x\nTE: gzip\n"
	       "Trailer: X\nUpgrade: h2c\nDate: now\nServer: me\n"
	       "Connection: Y\nY: 3\nX: 4\n\n"),
	    "Status: 200 OK\nDate: now\nServer: me\nX: 4\n" OURS_2 },
	{ "Connection cannot name what is ours", V2, 0,
	    IN("Connection: Vary, AMP-Email-Allow-Sender\nVary: X\n\n"),
	    "Status: 200 OK\n" OURS_2 },
	/* E61, E64 */
	{ "Content-Length", V2, 0, IN("Content-Length: 2\n\nab"),
	    "Status: 200 OK\nContent-Length: 2\n" OURS_2 "ab" },
	{ "more body than that", V2, 0,
	    IN("Content-Length: 2\nContent-Length: 2\n\nabcdef"),
	    "Status: 200 OK\nContent-Length: 2\n" OURS_2 "ab" },
	{ "less body than that", V2, 0, IN("Content-Length: 4\n\nabc"),
	    "Status: 200 OK\nContent-Length: 4\n" OURS_2 "abc"
	    "(short) its body is shorter than its Content-Length" },
	{ "none of the body that was promised", V2, 0,
	    IN("Content-Length: 1\n\n"),
	    "Status: 200 OK\nContent-Length: 1\n" OURS_2
	    "(short) its body is shorter than its Content-Length" },
	{ "Content-Length 0 and a body", V2, 0, IN("Content-Length: 0\n\nabc"),
	    "Status: 200 OK\nContent-Length: 0\n" OURS_2 },
	{ "Connection names Content-Length", V2, 0,
	    IN("Connection: Content-Length\nContent-Length: 1\n\nabc"),
	    "Status: 200 OK\n" OURS_2 "a" },
	{ "HEAD", V2, HEAD, IN("Content-Length: 4\n\nabcdef"),
	    "Status: 200 OK\nContent-Length: 4\n" OURS_2 },
	{ "HEAD, no body", V2, HEAD, IN("Content-Length: 4\n\n"),
	    "Status: 200 OK\nContent-Length: 4\n" OURS_2 },
	{ "204 with a body", V2, 0,
	    IN("Status: 204\nContent-Length: 3\nA: 1\n\nabc"),
	    "Status: 204 No Content\nA: 1\n" OURS_2 },
	{ "204 without", V2, 0, IN("Status: 204\nContent-Length: 3\n\n"),
	    "Status: 204 No Content\n" OURS_2 },
	{ "304 with a body", V2, 0,
	    IN("Status: 304\nContent-Length: 3\nLocation: /x\n\nabc"),
	    "Status: 304 Not Modified\nContent-Length: 3\n"
	    "Location: /x\n" OURS_2 },
	{ "205 is nothing special", V2, 0, IN("Status: 205\n\nabc"),
	    "Status: 205 Reset Content\n" OURS_2 "abc" },
	/* 4.6, E59, E60 */
	{ "absolute redirect", V2, 0,
	    IN("Status: 302\nLocation: https://x.example/\n\n"),
	    "REDIRECT a redirect, which no mail client follows" },
	{ "absolute redirect without a status", V2, 0,
	    IN("Location: https://x.example/\n\n"),
	    "REDIRECT a redirect, which no mail client follows" },
	{ "local redirect", V2, 0, IN("Location: /x\n\n"),
	    "REDIRECT a redirect, which no mail client follows" },
	{ "3xx without a Location", V2, 0, IN("Status: 300\nA: 1\n\n"),
	    "REDIRECT a redirect, which no mail client follows" },
	{ "3xx of no name", V2, 0, IN("Status: 399\nLocation: /\n\n"),
	    "REDIRECT a redirect, which no mail client follows" },
	{ "Location with 201", V2, 0, IN("Status: 201\nLocation: /x\n\nx"),
	    "Status: 201 Created\nLocation: /x\n" OURS_2 "x" },
	{ "Location with 404", V2, 0,
	    IN("Location: https://x.example/\nStatus: 404\n\n"),
	    "Status: 404 Not Found\nLocation: https://x.example/\n" OURS_2 },
	{ "passed, no status", V2, REDIRECTS | REMARK,
	    IN("Location: https://x.example/\n\nx"),
	    "Status: 302 Found\nLocation: https://x.example/\n" OURS_2 "x" },
	{ "passed, 308", V2, REDIRECTS | REMARK,
	    IN("Status: 308 Gone West\nLocation: a1+-.:x\n\n"),
	    "Status: 308 Gone West\nLocation: a1+-.:x\n" OURS_2 },
	{ "passed, without a Location", V2, REDIRECTS | REMARK,
	    IN("Status: 300\n\nx"),
	    "Status: 300 Multiple Choices\n" OURS_2 "x" },
	{ "passed, but local", V2, REDIRECTS, IN("Location: /x\n\n"),
	    "REDIRECT a redirect to a place without a scheme" },
	{ "passed, but local and with a status", V2, REDIRECTS,
	    IN("Status: 303\nLocation: /x:y\n\n"),
	    "REDIRECT a redirect to a place without a scheme" },
	{ "passed, but without a scheme", V2, REDIRECTS,
	    IN("Location: //x.example/a:b\n\n"),
	    "REDIRECT a redirect to a place without a scheme" },
	{ "passed, but relative", V2, REDIRECTS, IN("Location: x\n\n"),
	    "REDIRECT a redirect to a place without a scheme" },
	{ "passed, but a colon alone", V2, REDIRECTS, IN("Location: :x\n\n"),
	    "REDIRECT a redirect to a place without a scheme" },
	{ "passed, but a digit first", V2, REDIRECTS, IN("Location: 1a:x\n\n"),
	    "REDIRECT a redirect to a place without a scheme" },
	{ "passed, but empty", V2, REDIRECTS, IN("Location:\n\n"),
	    "REDIRECT a redirect to a place without a scheme" },
	{ "304 is no redirect", V2, REDIRECTS, IN("Status: 304\n\nx"),
	    "Status: 304 Not Modified\n" OURS_2 },
	/* what is none */
	{ "empty", V2, 0, IN(""), "MORE it wrote nothing" },
	{ "no blank line", V2, 0, IN("A: 1\nB: 2\n"),
	    "MORE it ended within its header block" },
	{ "text", V2, 0, IN("Hello, world!\n"),
	    "BAD a header line without a colon" },
	{ "bare CR", V2, 0, IN("A: 1\rVary: 2\n\nx"),
	    "BAD a CR that no LF follows" },
	{ "two statuses", V2, 0, IN("HTTP/1.1 200 OK\nStatus: 403\n\nx"),
	    "BAD two of Status" },
};

static void
set_rules(const struct row *r, struct reply_rules *rules)
{
	static const struct {
		const struct field *fields;
		size_t n;
	} sets[] = {
		[V1] = { SET(version_1) },
		[V2] = { SET(version_2) },
		[PLAYGROUND] = { SET(playground) },
		[WILD] = { SET(wild) },
		[REPORT] = { SET(report) },
	};

	*rules = (struct reply_rules){
		.add = sets[r->set].fields,
		.nadd = sets[r->set].n,
		.rule = r->set == REPORT ? NULL : rule,
		.pass_redirects = (r->flags & REDIRECTS) != 0,
		.head_only = (r->flags & HEAD) != 0,
		.max_header = 4096,
	};
}

/* One piece; false where reply_head() took what it must not take. */
static bool
feed(struct reply *r, struct span in, struct buf *body)
{
	size_t used = SIZE_MAX;
	enum reply_state before = r->state, state = reply_head(r, in, &used);

	if (used > in.n || state != r->state)
		return false;
	if (before != REPLY_MORE && (state != before || used != 0))
		return false;
	if (state == REPLY_READY)
		buf_add_span(body, reply_body(r, span_skip(in, used)));
	return true;
}

/* Every "\r\n" of a header block as "\n"; false where another one is in it. */
static bool
unfold(struct span block, struct buf *out)
{
	for (size_t i = 0; i < block.n; i++) {
		if (block.p[i] == '\r') {
			if (i + 1 == block.n || block.p[i + 1] != '\n')
				return false;
			continue;
		}
		if (block.p[i] == '\n' && (i == 0 || block.p[i - 1] != '\r'))
			return false;
		buf_add_char(out, block.p[i]);
	}
	return true;
}

static bool
describe(const struct reply *r, const struct buf *body, struct buf *out)
{
	static const char *const words[] = {
		[REPLY_MORE] = "MORE ",
		[REPLY_BAD] = "BAD ",
		[REPLY_REDIRECT] = "REDIRECT ",
	};

	if (r->state != REPLY_READY) {
		buf_add_str(out, words[r->state]);
		buf_add_str(out, r->fault);
		return reply_end(r) == REASON_HANDLER_BAD_ANSWER &&
		    r->status == 0;
	}
	if (!unfold(buf_span(&r->out), out))
		return false;
	buf_add_span(out, buf_span(body));
	if (reply_end(r) == REASON_OK)
		return r->fault == NULL;
	buf_add_str(out, "(short) ");
	buf_add_str(out, r->fault);
	return reply_end(r) == REASON_HANDLER_BAD_ANSWER;
}

static bool
gives(const struct row *row, size_t first, size_t rest)
{
	struct reply_rules rules;
	struct reply r;
	struct buf body, got;
	bool good = true;

	set_rules(row, &rules);
	reply_init(&r, &rules);
	buf_init(&body, 4096);
	buf_init(&got, 1 << 16);
	for (size_t at = 0, n = first; at < row->n; at += n, n = rest) {
		struct guard g;

		if (n > row->n - at)
			n = row->n - at;
		g = guard_of(row->in + at, n);
		good &= feed(&r, g.s, &body);
		guard_free(&g);
	}
	good &= describe(&r, &body, &got);
	good &= (r.warning != NULL) == ((row->flags & REMARK) != 0);
	good &= r.untyped ==
	    (body.n > 0 && strcasestr(row->want, "Content-Type:") == NULL);
	if (!span_eq(buf_span(&got), span_of(row->want)) || !good) {
		printf("# got:  %.*s\n# want: %s\n", (int)got.n, got.p,
		    row->want);
		good = false;
	}
	reply_free(&r);
	buf_free(&body);
	buf_free(&got);
	return good;
}

static void
test_row(const struct row *r)
{
	bool split = true;

	ok(gives(r, r->n, 1), "%s", r->name);
	for (size_t at = 1; at < r->n; at++)
		split &= gives(r, at, r->n);
	split &= gives(r, 1, 1);
	ok(split, "%s, in pieces", r->name);
}

/* A block of "Vary: x0,x1,..." through rules of max_header. */
static enum reply_state
vary_of(size_t names, size_t max_header, const char **fault)
{
	struct reply_rules rules = { .add = report,
		.nadd = 1,
		.max_header = max_header };
	struct reply r;
	struct buf in;
	size_t used;
	enum reply_state state;

	buf_init(&in, 1 << 16);
	buf_add_str(&in, "Vary: ");
	for (size_t i = 0; i < names; i++) {
		buf_add_str(&in, "x");
		buf_add_number(&in, i);
		buf_add_str(&in, ",");
	}
	buf_add_str(&in, "\n\n");
	reply_init(&r, &rules);
	state = reply_head(&r, buf_span(&in), &used);
	*fault = r.fault;
	buf_free(&in);
	reply_free(&r);
	return state;
}

static void
test_limits(void)
{
	const char *fault;

	ok(vary_of(254, 4096, &fault) == REPLY_READY, "256 names in Vary");
	ok(vary_of(255, 4096, &fault) == REPLY_BAD &&
		strcmp(fault, "a list of too many names") == 0,
	    "257 names in Vary");
	ok(vary_of(100, 300, &fault) == REPLY_BAD &&
		strcmp(fault, "a header block over max_header") == 0,
	    "max_header");
	ok(vary_of(100, SIZE_MAX, &fault) == REPLY_READY,
	    "the largest max_header there is");
}

/* The shortest names and values grow most. */
static void
test_growth(void)
{
	struct reply_rules rules = { .max_header = 256 * 3 + 1 };
	struct reply r;
	struct buf in;
	size_t used;

	buf_init(&in, 4096);
	for (unsigned i = 0; i < 256; i++)
		buf_add_str(&in, "a:\n");
	buf_add_str(&in, "\n");
	reply_init(&r, &rules);
	ok(reply_head(&r, buf_span(&in), &used) == REPLY_READY,
	    "a full block of the shortest fields");
	buf_free(&in);
	reply_free(&r);
	reply_free(NULL);
}

/* want is the header block, and "{" where a body is due. */
struct own_row {
	const char *name;
	enum reason why;
	bool head_only;
	const struct field *add;
	size_t nadd;
	const char *want;
};

#define JSON                               \
	"Content-Type: application/json\n" \
	"Cache-Control: no-store\nContent-Length: N\n"

static const struct field offer[] = {
	F("Access-Control-Allow-Methods", "GET, POST"),
	F("Vary", VARY),
};

static const struct own_row own_rows[] = {
	{ "a refusal", REASON_BAD_ADDRESS, false, SET(report),
	    "Status: 403 Forbidden\n" JSON "Vary: " VARY "\n\n{" },
	{ "a refusal of HEAD", REASON_BAD_ADDRESS, true, SET(report),
	    "Status: 403 Forbidden\n" JSON "Vary: " VARY "\n\n" },
	{ "for no endpoint", REASON_NO_ENDPOINT, false, NULL, 0,
	    "Status: 404 Not Found\n" JSON "\n{" },
	{ "busy", REASON_BUSY, false, SET(version_2),
	    "Status: 503 Service Unavailable\n" JSON "Retry-After: 1\n" OURS_2
	    "{" },
	{ "with the fields of an allowed request", REASON_HANDLER_DIED, false,
	    SET(version_1), "Status: 502 Bad Gateway\n" JSON OURS_1 "{" },
	{ "an empty Expose-Headers does not go out", REASON_HANDLER_TIMEOUT,
	    true, SET(playground),
	    "Status: 504 Gateway Timeout\n" JSON OURS_2 },
	{ "a preflight", REASON_PREFLIGHT, false, SET(offer),
	    "Status: 204 No Content\n"
	    "Access-Control-Allow-Methods: GET, POST\nVary: " VARY "\n\n" },
	{ "nothing to say", REASON_CLIENT_GONE, false, SET(report), "" },
	{ "the decision alone, with its fields", REASON_OK, false,
	    SET(version_2), "Status: 200 OK\n" OURS_2 },
	{ "… for HEAD", REASON_OK, true, SET(version_1),
	    "Status: 200 OK\n" OURS_1 },
};

/* want as it goes out, sentence and length put in. */
static void
expand(const struct own_row *r, struct buf *out)
{
	struct buf body;

	buf_init(&body, 4096);
	buf_add_str(&body, "{\"error\":{\"code\":\"");
	buf_add_str(&body, reason_word(r->why));
	buf_add_str(&body, "\",\"message\":\"");
	buf_add_str(&body, reason_text(r->why));
	buf_add_str(&body, "\"}}");
	for (const char *s = r->want; *s != '\0'; s++) {
		if (*s == '{')
			buf_add_span(out, buf_span(&body));
		else if (*s == 'N' && s[1] == '\n')
			buf_add_number(out, body.n);
		else
			buf_add_char(out, *s);
	}
	buf_add_char(out, '\0');
	buf_free(&body);
}

static void
test_own_row(const struct own_row *r)
{
	struct buf out, got, want;

	buf_init(&out, 4096);
	buf_init(&got, 4096);
	buf_init(&want, 4096);
	reply_own(&out, r->why, r->add, r->nadd, r->head_only);
	ok(unfold(buf_span(&out), &got), "%s: lines end in CRLF", r->name);
	expand(r, &want);
	is_span(buf_span(&got), want.p, r->name);
	buf_free(&out);
	buf_free(&got);
	buf_free(&want);
}

/* Where the header block ends; 0 where it does not. */
static size_t
block_end(struct span s)
{
	for (size_t i = 4; i <= s.n; i++)
		if (memcmp(s.p + i - 4, "\r\n\r\n", 4) == 0)
			return i;
	return 0;
}

/* Read back by cgihead, which is as strict as anybody. */
static bool
own_is_sound(enum reason why)
{
	struct buf out;
	struct cgihead h;
	struct span body;
	size_t used = 0, quotes = 0;
	bool good, bare = reason_status(why) < 300;

	buf_init(&out, 4096);
	reply_own(&out, why, report, 1, false);
	cgihead_init(&h, 4096);
	good = cgihead_feed(&h, buf_span(&out), &used) == CGIHEAD_DONE &&
	    used == block_end(buf_span(&out));
	body = span_skip(buf_span(&out), used);
	good &= h.status == reason_status(why);
	good &= bare ? body.n == 0 : h.length == body.n;
	for (size_t i = 0; i < body.n; i++) {
		quotes += body.p[i] == '"';
		good &=
		    body.p[i] != '\\' && body.p[i] >= ' ' && body.p[i] < 0x7f;
	}
	/* no sentence has any of its own */
	good &= quotes == (bare ? 0 : 10);
	cgihead_free(&h);
	buf_free(&out);
	return good;
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		test_row(&rows[i]);
	test_limits();
	test_growth();
	for (size_t i = 0; i < sizeof(own_rows) / sizeof(*own_rows); i++)
		test_own_row(&own_rows[i]);
	for (int r = 0; r < REASON_COUNT; r++)
		if (reason_status((enum reason)r) != 0)
			ok(own_is_sound((enum reason)r), "the answer for %s",
			    reason_word((enum reason)r));
	return tap_done();
}
