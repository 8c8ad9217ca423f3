/*
 * replay_decide: a logged request under another policy.  A table of lines that
 * can be read, and beside it many requests that two policies decide: what the
 * log of the one makes of the other must be what the other decides itself.
 */
#include "folder.h"
#include "replay_decide.h"
#include "tap.h"

static void
tell(void *ctx, const struct conf_fault *f)
{
	(void)ctx;
	printf("# %s:%u: %s\n", f->file, f->at.line, f->text);
}

static struct conf *
policy_of(const char *name, const char *text)
{
	struct conf *c = NULL;

	if (conf_load(folder_file(name, text, 0600), CONF_FOR_CGI, tell, NULL,
		&c) != CONF_OK) {
		printf("Bail out! %s\n", name);
		exit(1);
	}
	return c;
}

/* --- the table --- */

enum { PLAIN, NAMED, OPEN, REPORTING, POLICIES };

static const char *const policies[POLICIES] = {
	[PLAIN] = "[policy]\n"
		  "senders = a@b.example !x@b.example *@c.example "
		  "https://literal.example\n"
		  "origins = https://mail.google.com\n"
		  "handler = none\n",
	[NAMED] = "[policy]\n"
		  "senders = a@b.example\n"
		  "exec = /bin/true\n"
		  "[endpoint rsvp]\n"
		  "path = /rsvp\n"
		  "versions = 2\n"
		  "[endpoint feed]\n"
		  "path = /feed\n"
		  "playground = yes\n",
	[OPEN] = "[policy]\n"
		 "senders = *\n"
		 "origins = *\n"
		 "accept_risk = any-sender any-origin\n"
		 "handler = none\n",
	[REPORTING] = "[policy]\n"
		      "senders = a@b.example\n"
		      "mode = report\n"
		      "handler = none\n",
};

struct row {
	const char *name;
	int policy;
	const char *line; /* behind the id */
	const char *want; /* "same", why not, or the decision */
};

#define V2(decision, why, sender)                                     \
	decision " 200 " why                                          \
		 " version=2 endpoint=rsvp method=GET sender=" sender \
		 " origin=- rule=- ms=1"
#define V1(decision, why, sender)                                     \
	decision " 200 " why                                          \
		 " version=1 endpoint=rsvp method=GET sender=" sender \
		 " origin=\"https://mail.google.com\" rule=- ms=1"
#define V1_FROM(origin, decision, why, sender)                        \
	decision " 200 " why                                          \
		 " version=1 endpoint=rsvp method=GET sender=" sender \
		 " origin=\"" origin "\" rule=- ms=1"
#define V0(decision, why, method, sender, origin)                      \
	decision " 200 " why " version=- endpoint=rsvp method=" method \
		 " sender=" sender " origin=" origin " rule=- ms=1"
#define NOWHERE(sender, origin, detail)                                       \
	"deny 404 no-endpoint version=- endpoint=- method=GET sender=" sender \
	" origin=" origin " rule=- ms=1 detail=\"" detail "\""
#define MAIL "\"https://mail.google.com\""
#define TEN "aaaaaaaaaa"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define FIVE HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED

static const struct row rows[] = {
	/* version 2: sender, and that is all */
	{ "allowed still", PLAIN, V2("allow", "ok", "\"a@b.example\""),
	    "same" },
	{ "no longer", PLAIN, V2("allow", "ok", "\"z@b.example\""),
	    "deny sender-not-allowed" },
	{ "denied by name", PLAIN, V2("allow", "ok", "\"x@b.example\""),
	    "deny sender-not-allowed @2" },
	{ "allowed now", PLAIN,
	    V2("deny", "sender-not-allowed", "\"a@b.example\""),
	    "allow ok @2" },
	{ "allowed now by a wildcard", PLAIN,
	    V2("deny", "sender-not-allowed", "\"q@C.example\""),
	    "allow ok @2" },
	{ "denied still", PLAIN,
	    V2("deny", "sender-not-allowed", "\"z@b.example\""), "same" },
	{ "no address", OPEN, V2("deny", "bad-address", "\"a b\""), "same" },
	{ "no address, hidden", OPEN, V2("deny", "bad-address", "\"@\""),
	    "same" },
	{ "no address, cut", OPEN,
	    V2("deny", "bad-address", "\"" FIVE "aaaaaa...\""), "same" },
	{ "no address, let through now", REPORTING,
	    V2("deny", "bad-address", "\"@\""), "report bad-address" },
	{ "version 2 was not served", PLAIN,
	    V2("deny", "version-not-allowed", "\"a@b.example\""),
	    "allow ok @2" },
	{ "the list could not be asked", PLAIN,
	    V2("deny", "policy-unavailable", "\"a@b.example\""),
	    "allow ok @2" },
	{ "a handler's fault is an allow", PLAIN,
	    V2("allow", "handler-died", "\"a@b.example\""), "same" },
	{ "and is none that stays", PLAIN,
	    V2("allow", "busy", "\"z@b.example\""), "deny sender-not-allowed" },
	{ "not-redirected is an allow's", PLAIN,
	    V2("allow", "not-redirected", "\"a@b.example\""), "same" },
	{ "hidden", PLAIN, V2("allow", "ok", "\"@b.example\""),
	    "sender-hidden" },
	{ "not in the log at all", PLAIN,
	    "allow 200 ok version=2 endpoint=rsvp method=GET origin=- rule=- "
	    "ms=1",
	    "sender-hidden" },
	{ "cut", PLAIN, V2("allow", "ok", "\"" FIVE "aaaaaa...\""),
	    "sender-cut" },
	{ "version 2 without a sender", PLAIN, V2("allow", "ok", "-"),
	    "contradictory" },
	/* version 1 */
	{ "version 1", PLAIN, V1("allow", "ok", "\"a@b.example\""), "same" },
	{ "version 1 is served no more", NAMED,
	    V1("allow", "ok", "\"a@b.example\""), "deny version-not-allowed" },
	{ "a literal", PLAIN, V1("allow", "ok", "\"https://literal.example\""),
	    "same" },
	{ "a literal that is not listed", PLAIN,
	    V1("allow", "ok", "\"https://other.example\""),
	    "deny bad-address" },
	{ "a plus, a percent sign", OPEN,
	    V1("allow", "ok", "\"a+%41@b.example\""), "same" },
	{ "its origin is no more allowed", PLAIN,
	    V1_FROM("https://evil.example", "allow", "ok", "\"a@b.example\""),
	    "deny origin-not-allowed" },
	{ "the origin alone decides, the sender being hidden", PLAIN,
	    V1_FROM("https://evil.example", "allow", "ok", "\"@b.example\""),
	    "deny origin-not-allowed" },
	{ "its origin is allowed now", OPEN,
	    V1_FROM("https://evil.example", "deny", "origin-not-allowed",
		"\"a@b.example\""),
	    "allow ok @2" },
	{ "its origin is not allowed still", PLAIN,
	    V1_FROM("https://evil.example", "deny", "origin-not-allowed", "-"),
	    "same" },
	{ "its origin is allowed now, but who asked?", OPEN,
	    V1_FROM("https://evil.example", "deny", "origin-not-allowed", "-"),
	    "no-source-origin" },
	{ "an origin that was cut is none", OPEN,
	    V1_FROM(FIVE "aaaaaa...", "deny", "origin-not-allowed", "-"),
	    "same" },
	{ "version 1, hidden", PLAIN, V1("allow", "ok", "\"@b.example\""),
	    "sender-hidden" },
	{ "without a source origin", OPEN,
	    V1("deny", "source-origin-missing", "-"), "same" },
	{ "with two", OPEN, V1("deny", "source-origin-repeated", "-"), "same" },
	{ "badly encoded", OPEN, V1("deny", "bad-encoding", "-"), "same" },
	{ "too long", OPEN, V1("deny", "bad-address", "-"), "same" },
	{ "too long, let through now", REPORTING,
	    V1("deny", "bad-address", "-"), "report bad-address" },
	{ "without one, and from elsewhere", PLAIN,
	    V1_FROM("https://evil.example", "deny", "source-origin-missing",
		"-"),
	    "deny origin-not-allowed" },
	{ "version 1 without an origin", PLAIN,
	    "allow 200 ok version=1 endpoint=rsvp method=GET "
	    "sender=\"a@b.example\" origin=- rule=- ms=1",
	    "contradictory" },
	{ "version 1 without a sender", PLAIN, V1("allow", "ok", "-"),
	    "contradictory" },
	/* preflights */
	{ "a preflight", PLAIN,
	    V0("preflight", "preflight", "OPTIONS", "-", MAIL), "same" },
	{ "from elsewhere", PLAIN,
	    V0("preflight", "preflight", "OPTIONS", "-",
		"\"https://evil.example\""),
	    "deny origin-not-allowed" },
	{ "which is allowed now", OPEN,
	    V0("deny", "origin-not-allowed", "OPTIONS", "-",
		"\"https://evil.example\""),
	    "preflight preflight" },
	{ "for a sender", PLAIN,
	    V0("preflight", "preflight", "OPTIONS", "\"z@b.example\"", MAIL),
	    "deny sender-not-allowed" },
	{ "for a sender, hidden", PLAIN,
	    V0("preflight", "preflight", "OPTIONS", "\"@b.example\"", MAIL),
	    "sender-hidden" },
	{ "of two source origins", OPEN,
	    V0("deny", "source-origin-repeated", "OPTIONS", "-", MAIL),
	    "same" },
	{ "of a source origin too long", OPEN,
	    V0("deny", "bad-address", "OPTIONS", "-", MAIL), "same" },
	{ "is never let through", REPORTING,
	    V0("deny", "origin-not-allowed", "OPTIONS", "-",
		"\"https://evil.example\""),
	    "same" },
	{ "refused for a sender that is not there", PLAIN,
	    V0("deny", "sender-not-allowed", "OPTIONS", "-", MAIL),
	    "contradictory" },
	{ "no preflight by its method", PLAIN,
	    V0("deny", "origin-not-allowed", "GET", "-", MAIL),
	    "contradictory" },
	/* what its form decides */
	{ "neither version", OPEN,
	    V0("deny", "no-amp-headers", "GET", "-", "-"), "same" },
	{ "neither version, let through now", REPORTING,
	    V0("deny", "no-amp-headers", "GET", "-", "-"),
	    "report no-amp-headers" },
	{ "a bad byte", OPEN, V0("deny", "bad-byte", "GET", "\"a\\x0a\"", "-"),
	    "same" },
	{ "a repeated variable", REPORTING,
	    V0("deny", "variable-repeated", "GET", "-", "-"), "same" },
	{ "a bad request", OPEN, V0("deny", "bad-request", "GET", "-", "-"),
	    "same" },
	/* mode = report */
	{ "refused, and let through now", REPORTING,
	    V2("deny", "sender-not-allowed", "\"z@b.example\""),
	    "report sender-not-allowed" },
	{ "let through, and refused now", PLAIN,
	    V2("report", "sender-not-allowed", "\"z@b.example\""),
	    "deny sender-not-allowed" },
	{ "let through still", REPORTING,
	    V2("report", "sender-not-allowed", "\"z@b.example\""), "same" },
	{ "let through still, to a handler that died", REPORTING,
	    V2("report", "handler-died", "\"z@b.example\""), "same" },
	{ "let through to one, and refused now", PLAIN,
	    V2("report", "handler-died", "\"z@b.example\""),
	    "deny sender-not-allowed" },
	/* endpoints */
	{ "an endpoint that is gone", NAMED,
	    "allow 200 ok version=2 endpoint=poll method=GET "
	    "sender=\"a@b.example\" origin=- rule=- ms=1",
	    "deny no-endpoint" },
	{ "by its own policy", NAMED,
	    "allow 200 ok version=1 endpoint=feed method=GET "
	    "sender=\"a@b.example\" origin=\"https://mail.google.com\" "
	    "rule=- ms=1",
	    "same" },
	{ "a playground's pair", NAMED,
	    "deny 403 sender-not-allowed version=2 endpoint=feed method=GET "
	    "sender=\"amp@gmail.dev\" origin=\"https://amp.gmail.dev\" "
	    "rule=- ms=1",
	    "allow ok" },
	{ "half of one", NAMED,
	    "deny 403 sender-not-allowed version=2 endpoint=feed method=GET "
	    "sender=\"amp@gmail.dev\" origin=- rule=- ms=1",
	    "same" },
	{ "no name, and no endpoints", PLAIN,
	    "allow 200 ok version=2 endpoint=- method=GET "
	    "sender=\"a@b.example\" origin=- rule=- ms=1",
	    "same" },
	{ "no name, and endpoints", NAMED,
	    "allow 200 ok version=2 endpoint=- method=GET "
	    "sender=\"a@b.example\" origin=- rule=- ms=1",
	    "no-endpoint-name" },
	{ "a bad byte, and no name", NAMED,
	    "deny 403 bad-byte version=- endpoint=- method=GET "
	    "sender=\"\\x00\" origin=- rule=- ms=1",
	    "same" },
	/* requests that no endpoint had */
	{ "nor has it now", NAMED, NOWHERE("-", "-", "path /x"), "same" },
	{ "nor by its URI", NAMED, NOWHERE("-", "-", "URI /x"), "same" },
	{ "nor by both", NAMED, NOWHERE("-", "-", "path /x of URI /y"),
	    "same" },
	{ "an endpoint has it now", NAMED,
	    NOWHERE("\"a@b.example\"", "-", "path /rsvp/1 of URI /rsvp/1"),
	    "allow ok @2" },
	{ "and refuses it", NAMED,
	    NOWHERE("\"z@b.example\"", "-", "path /rsvp/1 of URI /rsvp/1"),
	    "deny sender-not-allowed" },
	{ "an endpoint has it, of neither version", NAMED,
	    NOWHERE("-", "-", "path /feed of URI /feed"),
	    "deny no-amp-headers" },
	{ "an endpoint has it, perhaps of version 1", NAMED,
	    NOWHERE("-", MAIL, "path /feed of URI /feed"), "no-path" },
	{ "one by its path, none by its URI", NAMED,
	    NOWHERE("\"a@b.example\"", "-", "path /feed of URI /x"),
	    "no-path" },
	{ "one by its path, one by its URI", NAMED,
	    NOWHERE("\"a@b.example\"", "-", "path /feed of URI /rsvp"),
	    "no-path" },
	{ "which of them is the URI?", NAMED,
	    NOWHERE("-", "-", "path /x of URI /x of URI /rsvp"), "no-path" },
	{ "a path that was cut", NAMED, NOWHERE("-", "-", "path /" FIVE "..."),
	    "no-path" },
	{ "words of another kind", NAMED, NOWHERE("-", "-", "so so"),
	    "no-path" },
	{ "the words may be changed where the sender is hidden", NAMED,
	    NOWHERE("\"@b.example\"", "-", "path /x"), "sender-hidden" },
};

/* "allow ok @2": @ and the line of the rule, where one decided. */
static void
show(const struct replay_result *r, char out[80])
{
	char at[20] = "";

	if (r->answer == REPLAY_SAME)
		snprintf(out, 80, "same");
	else if (r->answer == REPLAY_UNDECIDABLE)
		snprintf(out, 80, "%s", replay_why_word(r->why));
	else {
		if (r->at.file != NULL)
			snprintf(at, sizeof(at), " @%u", r->at.line);
		snprintf(out, 80, "%s %s%s", policy_word(r->decision),
		    reason_word(r->reason), at);
	}
}

static void
test_row(struct conf *const conf[], const struct row *row)
{
	static struct logread l;
	struct replay_result r;
	char line[1024], got[80] = "no line";

	snprintf(line, sizeof(line), "2026-11-21T10:00:00.000Z 0000002a %s",
	    row->line);
	if (logread_line(span_of(line), &l)) {
		replay_decide(conf[row->policy], NULL, &l, &r);
		show(&r, got);
	}
	if (!ok(strcmp(got, row->want) == 0, "%s", row->name))
		printf("# got: %s\n", got);
}

static void
test_as(struct conf *const conf[])
{
	static struct logread l;
	const struct conf_endpoint *as =
	    replay_endpoint(conf[NAMED], SPAN("rsvp"));
	struct replay_result r;
	char got[80];

	logread_line(SPAN("2026-11-21T10:00:00.000Z 0000002a allow 200 ok "
			  "version=2 endpoint=poll method=GET "
			  "sender=\"z@b.example\" origin=- rule=- ms=1"),
	    &l);
	replay_decide(conf[NAMED], as, &l, &r);
	show(&r, got);
	ok(strcmp(got, "deny sender-not-allowed") == 0,
	    "as a request of an endpoint of our choice");
	logread_line(
	    SPAN("2026-11-21T10:00:00.000Z 0000002a deny 404 no-endpoint "
		 "version=- endpoint=- method=GET "
		 "sender=\"a@b.example\" origin=- rule=- ms=1 "
		 "detail=\"path /x\""),
	    &l);
	replay_decide(conf[NAMED], as, &l, &r);
	show(&r, got);
	ok(strcmp(got, "allow ok @2") == 0,
	    "as one of it that no endpoint had");
	ok(replay_endpoint(conf[NAMED], SPAN("poll")) == NULL &&
		replay_endpoint(conf[PLAIN], SPAN("-")) != NULL,
	    "endpoints by name");
}

/* --- against the policies themselves --- */

static const char *const senders[] = { NULL, "a@b.example", "x@b.example",
	"z@b.example", "q@c.example", "amp@gmail.dev", "no address", "a\"b",
	"@b.example" };
static const char *const origins[] = { NULL, "https://mail.google.com",
	"https://evil.example", "https://amp.gmail.dev",
	"https://playground.amp.dev", "null", "https://a.example/" };
#define NAME "__amp_source_origin="
static const char *const queries[] = { NULL, NAME "a@b.example",
	NAME "a%40b.example&x=1", NAME "z@b.example", NAME,
	NAME "a@b.example&" NAME "a@b.example", NAME "%4", NAME "%0a",
	NAME "https://literal.example", NAME "https://playground.amp.dev",
	NAME "amp@gmail.dev", NAME "a+b@c.example", NAME "%22%5c",
	NAME HUNDRED HUNDRED HUNDRED TEN };
static const char *const methods[] = { "GET", "OPTIONS" };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const rivals[] = {
	"[policy]\nsenders = a@b.example !x@b.example *@c.example "
	"https://literal.example\nhandler = none\n",
	"[policy]\nsenders = *\naccept_risk = any-sender\nversions = 1\n"
	"handler = none\n",
	"[policy]\nsenders =\nhandler = none\n",
	"[policy]\nsenders = a@b.example !amp@gmail.dev\nplayground = yes\n"
	"origins = https://evil.example\nhandler = none\n",
	"[policy]\nsenders = z@b.example\nmode = report\nplayground = yes\n"
	"browser_origins = https://evil.example\nhandler = none\n",
	"[policy]\nsenders = z@b.example a@b.example\nversions = 2\n"
	"origins = null\naccept_risk = null-origin\nhandler = none\n",
};

struct tried {
	unsigned all, same, changed, wrong;
	unsigned why[REPLAY_WHYS];
};

/* The line that the front writes of such a decision. */
static void
read_back(const struct policy_request *r, const struct policy_decision *d,
    enum logline_format format, struct logread *out)
{
	const struct logline l = {
		.decision = policy_word(policy_outcome(d)),
		.reason = d->reason,
		.status = 200,
		.version = d->version,
		.method = r->method,
		.sender = d->claimed_sender,
		.origin = r->origin,
		.rule = d->at,
	};
	struct buf line;

	buf_init(&line, LOGLINE_MAX);
	logline_add(&line, format, LOGLINE_FULL, &l);
	if (line.failed ||
	    !logread_line((struct span){ line.p, line.n - 1 }, out))
		bail();
	buf_free(&line);
}

static const struct policy *
policy(const struct conf *c)
{
	const struct conf_endpoint *all;

	conf_endpoints(c, &all);
	return &all[0].policy;
}

static void
try_one(const struct conf *a, const struct conf *b,
    const struct policy_request *r, struct tried *t)
{
	static struct policy_decision was, now;
	static struct logread l;
	struct replay_result got;
	bool same;

	policy_decide(policy(a), r, &was);
	policy_decide(policy(b), r, &now);
	read_back(r, &was, t->all++ % 2 ? LOGLINE_JSON : LOGLINE_TEXT, &l);
	replay_decide(b, NULL, &l, &got);
	same = policy_outcome(&was) == policy_outcome(&now) &&
	    was.reason == now.reason;
	t->same += got.answer == REPLAY_SAME;
	t->changed += got.answer == REPLAY_CHANGED;
	if (got.answer == REPLAY_UNDECIDABLE)
		t->why[got.why]++;
	else if (same != (got.answer == REPLAY_SAME) ||
	    got.decision != policy_outcome(&now) || got.reason != now.reason ||
	    (l.reason != REASON_BAD_ADDRESS &&
		(got.at.line != now.at.line || got.at.file != now.at.file)))
		t->wrong++;
}

static void
try_requests(const struct conf *a, const struct conf *b, struct tried *t)
{
	enum { ALL = COUNT(senders) * COUNT(origins) * COUNT(queries) * 4 };

	for (size_t i = 0; i < ALL; i++) {
		size_t k = i / 4;
		const struct policy_request r = {
			.method = span_of(methods[i % 2]),
			.want_method = span_of(i % 4 < 2 ? NULL : "POST"),
			.sender = span_of(senders[k % COUNT(senders)]),
			.origin = span_of(
			    origins[k / COUNT(senders) % COUNT(origins)]),
			.query = span_of(
			    queries[k / COUNT(senders) / COUNT(origins)]),
		};

		try_one(a, b, &r, t);
	}
}

static void
test_rivals(void)
{
	struct conf *conf[COUNT(rivals)];
	struct tried t = { 0 };

	for (size_t i = 0; i < COUNT(rivals); i++)
		conf[i] = policy_of("rival.ini", rivals[i]);
	for (size_t i = 0; i < COUNT(rivals) * COUNT(rivals); i++)
		try_requests(conf[i % COUNT(rivals)], conf[i / COUNT(rivals)],
		    &t);
	printf("# %u requests: %u the same, %u changed, %u without a source "
	       "origin\n",
	    t.all, t.same, t.changed, t.why[REPLAY_NO_SOURCE]);
	ok(t.wrong == 0, "what is decided again is what the policy decides");
	ok(t.all == t.same + t.changed + t.why[REPLAY_NO_SOURCE],
	    "no line of the front's is a riddle");
	ok(t.changed > t.all / 10 && t.same > t.all / 2 &&
		t.why[REPLAY_NO_SOURCE] < t.all / 100,
	    "most can be decided");
	for (size_t i = 0; i < COUNT(rivals); i++)
		conf_free(conf[i]);
}

int
main(void)
{
	struct conf *conf[POLICIES];

	folder_make();
	for (size_t i = 0; i < POLICIES; i++)
		conf[i] = policy_of("policy.ini", policies[i]);
	for (size_t i = 0; i < COUNT(rows); i++)
		test_row(conf, &rows[i]);
	test_as(conf);
	test_rivals();
	for (size_t i = 0; i < POLICIES; i++)
		conf_free(conf[i]);
	folder_remove();
	return tap_done();
}
