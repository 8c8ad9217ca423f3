/*
 * gate_metrics: what each request adds to the counters, and the URL at which
 * they are asked for [SPEC 7.2].
 */
#include "gate.h"

#include <poll.h>
#include <syslog.h>

#include "fake.h"
#include "folder.h"
#include "log.h"
#include "tap.h"

#define V2 "HTTP_AMP_EMAIL_SENDER=sender@company.example"
#define V1 "HTTP_ORIGIN=https://mail.google.com"
#define QUERY "QUERY_STRING=__amp_source_origin=sender%40company.example"
#define OTHER "HTTP_AMP_EMAIL_SENDER=other@company.example"
#define GET "REQUEST_METHOD=GET"
#define HEAD                                                          \
	"Status: 200 OK\r\nContent-Type: text/plain; version=0.0.4; " \
	"charset=utf-8\r\nCache-Control: no-store\r\n\r\n"

enum { VARS = 8 };

/* --- a client that is slow --- */

static struct fake *slow; /* it takes something once it is waited for */
static bool never;        /* or does not, until that is over */

/* libc's. */
int
poll(struct pollfd *fds, nfds_t n, int ms)
{
	const struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
	char bytes[65536];

	if (slow != NULL) {
		if (never)
			return 0;
		while (
		    recv(slow->client, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
			;
		slow->room = SIZE_MAX;
		slow = NULL;
	}
	return ppoll(fds, n, ms < 0 ? NULL : &t, NULL);
}

/* --- a gate --- */

static struct gate_options o;
static struct gate *g;

static void
report(void *ctx, const struct conf_fault *f)
{
	(void)ctx;
	if (!f->warning)
		printf("# %s:%u: %s\n", f->file, f->at.line, f->text);
}

static const char policy_text[] =
    "[policy]\nsenders = sender@company.example\n"
    "[endpoint decide]\npath = /decide\nhandler = none\n"
    "[endpoint watch]\npath = /watch\nhandler = none\nmode = report\n"
    "[endpoint run]\npath = /run\nexec = %s\n"
    "[endpoint die]\npath = /die\nexec = %s\n"
    "[endpoint same]\npath = /counters/same\nhandler = none\n"
    "[server]\nmetrics = url:%s\n";

static void
open_gate(const char *path)
{
	const char *run =
	    folder_script("run", "printf 'Content-Type: text/plain\\n\\nbody'");
	const char *die = folder_script("die", "exit 3");
	struct conf *conf;
	char text[2048];

	snprintf(text, sizeof(text), policy_text, run, die, path);
	if (conf_load(folder_file("policy.ini", text, 0600), CONF_FOR_SERVER,
		report, NULL, &conf) != CONF_OK) {
		printf("Bail out! the policy does not load\n");
		exit(1);
	}
	o.metrics = must(metrics_new());
	o.live = must(live_new(conf, o.metrics));
	o.server = conf_server(conf);
	o.slots = 1;
	g = gate_new(&o);
	if (g == NULL)
		bail();
}

static void
close_gate(void)
{
	gate_free(g);
	live_free(o.live);
	metrics_free(o.metrics);
}

struct request {
	struct fake f;
	struct gate_passage p;
	char *vars[VARS + 1];
};

static void
request_make(struct request *r, const char *const vars[])
{
	memset(r, 0, sizeof(*r));
	for (size_t n = 0; n < VARS && vars[n] != NULL; n++)
		r->vars[n] = must(strdup(vars[n]));
	fake_init(&r->f, r->vars, SPAN(""));
}

static void
request_free(struct request *r)
{
	for (size_t n = 0; r->vars[n] != NULL; n++)
		free(r->vars[n]);
	fake_free(&r->f);
}

/* --- the text --- */

static struct buf
text_of(void)
{
	struct buf out;

	buf_init(&out, METRICS_TEXT_MAX);
	metrics_print(o.metrics, &out);
	if (out.failed)
		bail();
	return out;
}

/* The value of the one that has these labels; of all, where they are NULL. */
static unsigned
count(const char *labels)
{
	struct buf text = text_of();
	struct span rest = buf_span(&text), line;
	char want[512];
	unsigned all = 0;

	snprintf(want, sizeof(want), "amp_cors_requests_total{%s",
	    labels == NULL ? "" : labels);
	while (span_cut(&rest, '\n', &line))
		if (span_starts(line, span_of(want))) {
			const char *value = memrchr(line.p, ' ', line.n);

			all += (unsigned)strtoul(value, NULL, 10);
		}
	buf_free(&text);
	return all;
}

/* --- what is counted --- */

#define LABELS(endpoint, decision, reason, version)                            \
	"endpoint=\"" endpoint "\",decision=\"" decision "\",reason=\"" reason \
	"\",version=\"" version "\"} "

static const struct {
	const char *name;
	const char *vars[VARS];
	bool authorizer;
	const char *labels;
} counted[] = {
	{ "version 2", { GET, "SCRIPT_NAME=/decide", V2 }, false,
	    LABELS("decide", "allow", "ok", "2") },
	{ "version 1", { GET, "SCRIPT_NAME=/decide", V1, QUERY }, false,
	    LABELS("decide", "allow", "ok", "1") },
	{ "neither", { GET, "SCRIPT_NAME=/decide" }, false,
	    LABELS("decide", "deny", "no-amp-headers", "0") },
	{ "a sender that is not allowed", { GET, "SCRIPT_NAME=/decide", OTHER },
	    false, LABELS("decide", "deny", "sender-not-allowed", "2") },
	{ "… for a sender of version 1", { GET, "SCRIPT_NAME=/decide", V1 },
	    false, LABELS("decide", "deny", "source-origin-missing", "1") },
	{ "a preflight",
	    { "REQUEST_METHOD=OPTIONS", "SCRIPT_NAME=/decide", V1,
		"HTTP_ACCESS_CONTROL_REQUEST_METHOD=POST" },
	    false, LABELS("decide", "preflight", "preflight", "0") },
	{ "no endpoint", { GET, "SCRIPT_NAME=/elsewhere", V2 }, false,
	    LABELS("-", "deny", "no-endpoint", "0") },
	{ "no request", { "SCRIPT_NAME=/decide", V2 }, false,
	    LABELS("decide", "deny", "bad-request", "0") },
	{ "one that is let through", { GET, "SCRIPT_NAME=/watch", OTHER },
	    false, LABELS("watch", "report", "sender-not-allowed", "2") },
	{ "… or allowed", { GET, "SCRIPT_NAME=/watch", V2 }, false,
	    LABELS("watch", "allow", "ok", "2") },
	{ "… or refused all the same (1.3)",
	    { GET, "SCRIPT_NAME=/watch", V2, V2 }, false,
	    LABELS("watch", "deny", "variable-repeated", "0") },
	{ "a handler", { GET, "SCRIPT_NAME=/run", V2 }, false,
	    LABELS("run", "allow", "ok", "2") },
	{ "… that fails", { GET, "SCRIPT_NAME=/die", V2 }, false,
	    LABELS("die", "allow", "handler-died", "2") },
	{ "an Authorizer", { GET, "SCRIPT_NAME=/run", V2 }, true,
	    LABELS("run", "allow", "ok", "2") },
};

static void
test_counted(void)
{
	for (size_t i = 0; i < sizeof(counted) / sizeof(*counted); i++) {
		unsigned all = count(NULL), one = count(counted[i].labels);
		struct request r;

		request_make(&r, counted[i].vars);
		r.f.x.authorizer = counted[i].authorizer;
		if (gate_enter(g, &r.f.x, &r.p))
			gate_run(g, &r.f.x, &r.p, 0);
		gate_linger(g, 0, -1);
		ok(count(counted[i].labels) == one + 1 &&
			count(NULL) == all + 1 && r.f.finishes == 1,
		    "%s is counted, and nothing else", counted[i].name);
		request_free(&r);
	}
}

/* It never ran: too busy, or gone. */
static void
test_left(void)
{
	static const char *const vars[] = { GET, "SCRIPT_NAME=/run", V2, NULL };
	const char *const labels[] = { LABELS("run", "allow", "client-gone",
					   "2"),
		LABELS("run", "allow", "busy", "2") };

	for (int busy = 0; busy < 2; busy++) {
		unsigned all = count(NULL);
		struct request r;

		request_make(&r, vars);
		gate_enter(g, &r.f.x, &r.p);
		ok(count(NULL) == all, "one that waits is not counted yet");
		gate_leave(g, &r.f.x, &r.p,
		    busy ? REASON_BUSY : REASON_CLIENT_GONE);
		ok(count(labels[busy]) == 1 && count(NULL) == all + 1,
		    "… but as it leaves");
		request_free(&r);
	}
}

/* --- where they are asked for --- */

static const struct {
	const char *name;
	const char *vars[VARS];
	bool authorizer, text, head;
} asked[] = {
	{ "GET", { GET, "SCRIPT_NAME=/counters/x" }, false, true, false },
	{ "HEAD", { "REQUEST_METHOD=HEAD", "SCRIPT_NAME=/counters/x" }, false,
	    false, true },
	{ "in PATH_INFO", { GET, "PATH_INFO=/counters/x" }, false, true,
	    false },
	{ "… with an empty name",
	    { GET, "SCRIPT_NAME=", "PATH_INFO=/counters/x" }, false, true,
	    false },
	{ "in both", { GET, "SCRIPT_NAME=/coun", "PATH_INFO=ters/x" }, false,
	    true, false },
	{ "with a query, and whatever else",
	    { GET, "SCRIPT_NAME=/counters/x", "QUERY_STRING=a=b", OTHER, OTHER,
		"HTTP_ORIGIN=\n", "REQUEST_URI=/counters/%78?a=b" },
	    false, true, false },
	{ "by a server that asks for a decision",
	    { GET, "SCRIPT_NAME=/counters/x", "REQUEST_URI=/decide" }, false,
	    false, false },
	{ "… or about something below",
	    { GET, "SCRIPT_NAME=/counters/x", "REQUEST_URI=/counters/x/y" },
	    false, false, false },
	{ "POST", { "REQUEST_METHOD=POST", "SCRIPT_NAME=/counters/x" }, false,
	    false, false },
	{ "OPTIONS", { "REQUEST_METHOD=OPTIONS", "SCRIPT_NAME=/counters/x" },
	    false, false, false },
	{ "get", { "REQUEST_METHOD=get", "SCRIPT_NAME=/counters/x" }, false,
	    false, false },
	{ "no method", { "SCRIPT_NAME=/counters/x" }, false, false, false },
	{ "less", { GET, "SCRIPT_NAME=/counters/" }, false, false, false },
	{ "above", { GET, "SCRIPT_NAME=/counters" }, false, false, false },
	{ "below", { GET, "SCRIPT_NAME=/counters/x", "PATH_INFO=/y" }, false,
	    false, false },
	{ "more", { GET, "SCRIPT_NAME=/counters/xx" }, false, false, false },
	{ "another case", { GET, "SCRIPT_NAME=/Counters/x" }, false, false,
	    false },
	{ "by a URI", { GET, "SCRIPT_NAME=/decide", "REQUEST_URI=/counters/x" },
	    false, false, false },
	{ "nothing", { GET }, false, false, false },
	{ "an Authorizer", { GET, "SCRIPT_NAME=/counters/x" }, true, false,
	    false },
};

static void
test_asked(void)
{
	for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++) {
		unsigned all = count(NULL);
		struct buf text = text_of(), want;
		struct request r;
		bool same;

		buf_init(&want, METRICS_TEXT_MAX);
		buf_add_str(&want, HEAD);
		if (asked[i].text)
			buf_add_span(&want, buf_span(&text));
		request_make(&r, asked[i].vars);
		r.f.x.authorizer = asked[i].authorizer;
		folder_file("log", "", 0600);
		ok(!gate_enter(g, &r.f.x, &r.p) && r.f.finishes == 1,
		    "%s is answered at once", asked[i].name);
		same = span_eq(buf_span(&r.f.sent), buf_span(&want));
		ok(same == (asked[i].text || asked[i].head), "… with %s",
		    asked[i].text     ? "the counters" :
			asked[i].head ? "their head" :
					"a decision");
		ok(count(NULL) - all == !same &&
			(*folder_text("log") == '\0') == same,
		    "… which is%s counted and logged", same ? " not" : "");
		buf_free(&text);
		buf_free(&want);
		request_free(&r);
	}
}

/* The path lies below an endpoint's: it is the counters' alone. */
static void
test_same(void)
{
	static const char *const get[] = { GET, "SCRIPT_NAME=/decide/x", V2,
		NULL };
	static const char *const above[] = { GET, "SCRIPT_NAME=/decide", V2,
		NULL };
	struct request r;

	request_make(&r, get);
	gate_enter(g, &r.f.x, &r.p);
	ok(span_starts(buf_span(&r.f.sent), SPAN(HEAD)),
	    "a path below an endpoint's: the counters");
	request_free(&r);
	request_make(&r, above);
	gate_enter(g, &r.f.x, &r.p);
	ok(count(LABELS("decide", "allow", "ok", "2")) == 1,
	    "… but above it the endpoint");
	request_free(&r);
}

static void
test_off(void)
{
	static const char *const vars[] = { GET, "SCRIPT_NAME=/counters/x",
		NULL };
	const char *const path = o.server->metrics_path;
	struct conf_server off = *o.server;
	struct gate_options without = o;
	struct gate *none;
	struct request r;

	off.metrics_path = NULL;
	without.server = &off;
	for (int i = 0; i < 2; i++) {
		none = must(gate_new(&without));
		request_make(&r, vars);
		gate_enter(none, &r.f.x, &r.p);
		ok(!span_starts(buf_span(&r.f.sent), SPAN(HEAD)),
		    i == 0 ? "no path: no answer" : "no counters, no answer");
		request_free(&r);
		gate_free(none);
		off.metrics_path = path;
		without.metrics = NULL; /* as in CGI */
	}
}

/* --- a text that is too long to be sent at once --- */

static void
add_rows(void)
{
	for (int i = 0; i < 400; i++) {
		char name[64];

		snprintf(name, sizeof(name), "endpoint-%d", i);
		metrics_count(metrics_row(o.metrics, name),
		    POLICY_OUTCOME_ALLOW, REASON_OK, 2);
	}
}

static void
begin_long(struct request *r)
{
	static const char *const vars[] = { GET, "SCRIPT_NAME=/counters/x",
		NULL };

	request_make(r, vars);
	folder_file("log", "", 0600);
	if (!ok(gate_enter(g, &r->f.x, &r->p) && r->f.finishes == 0 &&
		    r->f.sent.n == 0,
		"a long one waits for a slot"))
		bail();
}

static void
test_long(void)
{
	struct buf text = text_of(), want;
	struct request r;

	buf_init(&want, METRICS_TEXT_MAX);
	buf_add_str(&want, HEAD);
	buf_add_span(&want, buf_span(&text));
	begin_long(&r);
	r.f.takes = 700;
	gate_run(g, &r.f.x, &r.p, 0);
	ok(span_eq(buf_span(&r.f.sent), buf_span(&want)) && r.f.finishes == 1 &&
		r.f.x.finished && r.f.cuts == 0,
	    "… and is sent whole, %zu bytes", want.n);
	ok(r.f.sends > 10, "… in pieces");
	ok(*folder_text("log") == '\0', "… and not logged");
	gate_linger(g, 0, -1);
	request_free(&r);
	buf_free(&text);
	buf_free(&want);
}

static void
test_long_busy(void)
{
	unsigned all = count(NULL);
	struct request r;

	begin_long(&r);
	gate_leave(g, &r.f.x, &r.p, REASON_BUSY);
	ok(r.f.finishes == 1 &&
		span_starts(buf_span(&r.f.sent), SPAN("Status: 503 ")),
	    "… too long: it is told so");
	ok(*folder_text("log") == '\0' && count(NULL) == all,
	    "… which is neither logged nor counted");
	request_free(&r);
	begin_long(&r);
	gate_leave(g, &r.f.x, &r.p, REASON_CLIENT_GONE);
	ok(r.f.finishes == 0 && r.f.sent.n == 0, "… and leaves");
	ok(*folder_text("log") == '\0', "… and that is not logged");
	request_free(&r);
}

/* It has all that it wanted, or takes nothing more. */
static void
test_long_cut(void)
{
	struct request r;

	begin_long(&r);
	r.f.leaves = 5000;
	r.f.takes = 5000;
	gate_run(g, &r.f.x, &r.p, 0);
	ok(r.f.cuts == 1 && r.f.finishes == 0 && r.f.sent.n == 5000,
	    "… a client that goes: cut");
	request_free(&r);
	begin_long(&r);
	r.f.room = 3000;
	fake_stop(&r.f, SIGTERM);
	gate_run(g, &r.f.x, &r.p, 0);
	ok(r.f.cuts == 1 && r.f.finishes == 0 && r.f.sent.n == 3000,
	    "… one that takes no more, when all is to end: cut");
	request_free(&r);
}

/* One that takes nothing for a while, or for too long. */
static void
test_long_slow(void)
{
	struct request r;

	begin_long(&r);
	slow = &r.f;
	r.f.takes = r.f.room = 3000;
	gate_run(g, &r.f.x, &r.p, 0);
	ok(r.f.finishes == 1 && r.f.cuts == 0 && r.f.sent.n > 16384 &&
		slow == NULL,
	    "… one that is slow is waited for");
	request_free(&r);
	begin_long(&r);
	slow = &r.f;
	never = true;
	r.f.room = 3000;
	gate_run(g, &r.f.x, &r.p, 0);
	ok(r.f.finishes == 0 && r.f.cuts == 1 && r.f.sent.n == 3000,
	    "… but not for ever: cut");
	never = false;
	slow = NULL;
	request_free(&r);
}

int
main(void)
{
	folder_make();
	log_open("test", folder_file("log", "", 0600), LOG_ERR);
	open_gate("/counters/x");
	test_counted(); /* whatever is logged */
	log_open("test", in_folder("log"), LOG_INFO);
	test_left();
	test_asked();
	test_off();
	add_rows();
	test_long();
	test_long_busy();
	test_long_cut();
	test_long_slow();
	close_gate();
	open_gate("/decide/x");
	test_same();
	close_gate();
	log_open("test", "stderr", LOG_INFO);
	folder_remove();
	return tap_done();
}
