/*
 * probe_judge: what clients and browsers make of an answer [SPEC 2.2 to 2.9];
 * tests/http/test_probe.py has more of them, from real servers.
 */
#include "probe_judge.h"

#include "probed.h"

#define JSON "Content-Type: application/json\n"
#define VARY "Vary: Origin, AMP-Email-Sender\n"
#define SOURCE_IS "AMP-Access-Control-Allow-Source-Origin: " SENDER "\n"
#define EXPOSED                           \
	"Access-Control-Expose-Headers: " \
	"AMP-Access-Control-Allow-Source-Origin\n"
#define V1 ALLOW GMAIL "\n" SOURCE_IS EXPOSED
#define V2 "AMP-Email-Allow-Sender: " SENDER "\n"
#define ALLOW "Access-Control-Allow-Origin: "
#define HEADERS "Access-Control-Allow-Headers: "

#define REFUSAL "{\"error\":{\"code\":\"sender-not-allowed\"}}"

static const struct probed clients[] = {
	{ "v1", 200, V1 VARY JSON, "{}", PROBE_SHOWN, "" },
	{ "v2", 200, V2 VARY JSON, "{}", PROBE_SHOWN, "" },
	{ "both", 200, V2 VARY JSON, "{}", PROBE_SHOWN, "" },
	{ "both", 200, V1 VARY JSON, "{}", PROBE_SHOWN,
	    "version-1-answer warning" },
	{ "both", 200, V1 V2 VARY JSON, "{}", PROBE_SHOWN,
	    "extra-header note, extra-header note" },
	/* a star where version 2 has one, beside a name */
	{ "v2", 200, "amp-email-allow-sender: *\n" VARY JSON, "{}", PROBE_SHOWN,
	    "wildcard warning" },
	{ "v2", 200, "AMP-Email-Allow-Sender: *\n" V2 VARY JSON, "{}",
	    PROBE_NOTHING_SHOWN, "doubled-header error" },
	/* … which version 1 has not */
	{ "v1", 200, ALLOW "*\n" SOURCE_IS EXPOSED VARY JSON, "{}",
	    PROBE_NOTHING_SHOWN, "wildcard error" },
	{ "v1", 200,
	    ALLOW GMAIL
	    "\nAMP-Access-Control-Allow-Source-Origin: *\n" EXPOSED VARY JSON,
	    "{}", PROBE_NOTHING_SHOWN, "wildcard error" },
	{ "v1", 200, ALLOW GMAIL "/\n" SOURCE_IS EXPOSED VARY JSON, "{}",
	    PROBE_NOTHING_SHOWN, "wrong-value error" },
	{ "v1", 200,
	    ALLOW GMAIL "\n" SOURCE_IS VARY JSON
			"Access-Control-Expose-Headers: *",
	    "{}", PROBE_NOTHING_SHOWN, "not-exposed error" },
	{ "v1", 200,
	    V1 VARY JSON "Access-Control-Expose-Headers: "
			 "x, AMP-Email-Allow-Sender",
	    "{}", PROBE_SHOWN, "exposes-sender note" },
	/* the order of faults: status, protocol, content, the rest */
	{ "v1", 500, "Set-Cookie: a=b", "", PROBE_NOTHING_SHOWN,
	    "status error, missing-header error, missing-header error, "
	    "missing-header error, no-vary warning, cookie note" },
	{ "v1", 200, "Content-Type: text/html", "<html>", PROBE_NOTHING_SHOWN,
	    "missing-header error, missing-header error, "
	    "missing-header error, content-type error, bad-json error, "
	    "no-vary warning" },
	{ "v1", 422, V1 VARY, "", PROBE_ERROR_SHOWN, "status error" },
	{ "v1", 199, V1 VARY, "", PROBE_ERROR_SHOWN, "status error" },
	{ "v1", 304, V1 VARY, "", PROBE_ERROR_SHOWN, "status error" },
	{ "v1", 300, V1 VARY, "", PROBE_NOTHING_SHOWN, "redirect error" },
	{ "v1", 400, V1 VARY, "", PROBE_ERROR_SHOWN, "status error" },
	{ "v1", 299, V1 VARY JSON, "1", PROBE_SHOWN, "" },
	{ "v1", 399, V1 VARY JSON, "1", PROBE_NOTHING_SHOWN, "redirect error" },
	{ "v2", 200, V2 VARY "Content-Type: text/json; a=b", "1", PROBE_SHOWN,
	    "content-type warning" },
	{ "v2", 200, V2 VARY "Content-Type: json", "1", PROBE_ERROR_SHOWN,
	    "content-type error" },
	{ "v2", 200, V2 VARY "Content-Type:", "1", PROBE_ERROR_SHOWN,
	    "content-type error" },
	{ "v2", 200, V2 VARY, "1", PROBE_ERROR_SHOWN, "missing-header error" },
	{ "v2", 200, V2 VARY JSON JSON, "1", PROBE_ERROR_SHOWN,
	    "doubled-header error" },
	{ "v2", 200, V2 VARY JSON, "", PROBE_ERROR_SHOWN, "empty-body error" },
	{ "v2", 204, V2 VARY JSON, "", PROBE_ERROR_SHOWN, "empty-body error" },
	{ "v2", 200, V2 VARY JSON, "{", PROBE_ERROR_SHOWN, "bad-json error" },
	/* our front's refusal says why; another 403 says nothing */
	{ "v1", 403, JSON VARY, REFUSAL, PROBE_NOTHING_SHOWN,
	    "server-refuses error" },
	{ "v2", 403, "", REFUSAL, PROBE_NOTHING_SHOWN, "server-refuses error" },
	{ "v2", 403, V2 VARY JSON, REFUSAL, PROBE_ERROR_SHOWN, "status error" },
	{ "v2", 404, VARY, REFUSAL, PROBE_NOTHING_SHOWN,
	    "status error, missing-header error" },
	{ "v2", 403, VARY, REFUSAL "}", PROBE_NOTHING_SHOWN,
	    "status error, missing-header error" },
	{ "v2", 403, VARY, "{\"error\":{}}", PROBE_NOTHING_SHOWN,
	    "status error, missing-header error" },
	{ "v2", 403, VARY, "{\"error\":{\"code\":\"\"}}", PROBE_NOTHING_SHOWN,
	    "status error, missing-header error" },
	/* caches */
	{ "v2", 200, V2 JSON "Vary: Origin\nCache-Control: private, No-Store",
	    "1", PROBE_SHOWN, "no-vary note" },
	{ "v2", 200, V2 JSON "Vary: Accept\nvary: *", "1", PROBE_SHOWN, "" },
	/* credentials matter beside a star alone */
	{ "v2", 200,
	    V2 VARY JSON ALLOW "*\nAccess-Control-Allow-Credentials: true", "1",
	    PROBE_SHOWN, "wildcard warning, credentials-wildcard error" },
	{ "v1", 200, V1 VARY JSON "Access-Control-Allow-Credentials: true", "1",
	    PROBE_SHOWN, "" },
};

static const struct probed browsers[] = {
	{ "preflight", 204, ALLOW PLAYGROUND "\n" HEADERS "AMP-Email-Sender",
	    "", PROBE_GOES_ON, "" },
	{ "preflight", 204, ALLOW PLAYGROUND "\n" HEADERS "*", "",
	    PROBE_GOES_ON, "" },
	{ "preflight", 204, ALLOW PLAYGROUND, "", PROBE_NOTHING_SHOWN,
	    "header-not-allowed warning" },
	{ "preflight", 403, "", "{}", PROBE_NO_BROWSERS,
	    "not-for-browsers note" },
	{ "preflight", 204, ALLOW PLAYGROUND "/\n" HEADERS "*", "",
	    PROBE_NO_BROWSERS, "not-for-browsers note" },
	{ "preflight", 204,
	    ALLOW PLAYGROUND "\n" ALLOW PLAYGROUND "\n" HEADERS "*", "",
	    PROBE_NOTHING_SHOWN, "doubled-header warning" },
	{ "browser", 200, ALLOW PLAYGROUND "\n" V2 VARY JSON, "{}", PROBE_SHOWN,
	    "" },
	{ "browser", 200, V2 VARY, "", PROBE_NO_BROWSERS,
	    "not-for-browsers note" },
	{ "browser", 200, ALLOW PLAYGROUND "\n" VARY JSON, "{}",
	    PROBE_NOTHING_SHOWN, "missing-header warning" },
	{ "playground", 200, ALLOW PLAYGROUND "\n" VARY JSON, "{}",
	    PROBE_NOTHING_SHOWN,
	    "missing-header warning, missing-header warning" },
	/* the same content as for a mail client */
	{ "browser", 200,
	    ALLOW PLAYGROUND "\n" V2 VARY "Content-Type: text/html", "<p>",
	    PROBE_ERROR_SHOWN, "content-type warning, bad-json warning" },
	{ "browser", 200, ALLOW PLAYGROUND "\n" V2 VARY JSON, "",
	    PROBE_ERROR_SHOWN, "empty-body warning" },
	{ "browser", 403, JSON VARY, REFUSAL, PROBE_NO_BROWSERS,
	    "not-for-browsers note" },
	{ "playground", 403, "", "", PROBE_NO_BROWSERS,
	    "not-for-browsers note" },
};

static const struct probed insisted[] = {
	{ "preflight", 403, "", "{}", PROBE_NOTHING_SHOWN,
	    "status error, missing-header error, header-not-allowed error" },
	{ "preflight", 301, ALLOW PLAYGROUND "\n" HEADERS "*", "{}",
	    PROBE_NOTHING_SHOWN, "redirect error" },
	{ "browser", 200, V2 VARY JSON, "{}", PROBE_NOTHING_SHOWN,
	    "missing-header error" },
	{ "browser", 200, ALLOW "*\n" V2 VARY JSON, "{}", PROBE_SHOWN,
	    "wildcard warning" },
	{ "browser", 200,
	    ALLOW PLAYGROUND "\n" V2 VARY "Content-Type: text/html", "<p>",
	    PROBE_ERROR_SHOWN, "content-type error, bad-json error" },
	{ "browser", 500, ALLOW PLAYGROUND "\n" V2 VARY, "", PROBE_ERROR_SHOWN,
	    "status error" },
	{ "browser", 302, ALLOW PLAYGROUND "\n" V2 VARY, "",
	    PROBE_NOTHING_SHOWN, "redirect error" },
	{ "browser", 403, JSON VARY, REFUSAL, PROBE_NOTHING_SHOWN,
	    "server-refuses error" },
	{ "preflight", 403, JSON VARY, REFUSAL, PROBE_NOTHING_SHOWN,
	    "server-refuses error" },
	{ "playground", 403, "", "", PROBE_NOTHING_SHOWN,
	    "status error, missing-header error, missing-header error, "
	    "missing-header error, no-vary warning" },
};

/* A preflight asks for more where the request has more. */
static void
test_asked_headers(void)
{
	static const char *headers[] = { "X-One: 1", "Authorization: b", NULL };
	static const struct probed rows[] = {
		{ "preflight", 204,
		    ALLOW PLAYGROUND "\n" HEADERS "x-one, AMP-Email-Sender", "",
		    PROBE_NOTHING_SHOWN, "header-not-allowed error" },
		{ "preflight", 204,
		    ALLOW PLAYGROUND "\n" HEADERS "x-one\n" HEADERS
				     "AMP-Email-Sender, AUTHORIZATION",
		    "", PROBE_GOES_ON, "" },
	};
	struct probe_aim aim = probed_aim();

	aim.headers = headers;
	aim.insist = true;
	probed_table(&aim, rows, sizeof(rows) / sizeof(rows[0]));
}

/* Before a header there is but the fault; behind one, a client minds. */
static void
test_faults(void)
{
	static const struct {
		const char *name;
		bool insist;
		unsigned status;
		enum probe_fault fault;
		enum probe_verdict verdict;
		const char *findings;
	} rows[] = {
		{ "v2", false, 0, PROBE_FAULT_NAME, PROBE_NO_ANSWER,
		    "unknown-name error" },
		{ "v2", false, 0, PROBE_FAULT_CONNECT, PROBE_NO_ANSWER,
		    "unreachable error" },
		{ "v2", false, 0, PROBE_FAULT_TLS, PROBE_NO_ANSWER,
		    "tls error" },
		{ "v2", false, 0, PROBE_FAULT_CERTIFICATE, PROBE_NO_ANSWER,
		    "certificate error" },
		{ "v2", false, 0, PROBE_FAULT_TIMEOUT, PROBE_NO_ANSWER,
		    "timeout error" },
		{ "v2", false, 0, PROBE_FAULT_CLOSED, PROBE_NO_ANSWER,
		    "closed error" },
		{ "v2", false, 0, PROBE_FAULT_NOT_HTTP, PROBE_NO_ANSWER,
		    "not-http error" },
		{ "v2", false, 0, PROBE_FAULT_HEAD_LARGE, PROBE_NO_ANSWER,
		    "head-too-large error" },
		{ "v2", false, 0, PROBE_FAULT_OTHER, PROBE_NO_ANSWER,
		    "transfer error" },
		{ "v2", false, 200, PROBE_FAULT_BODY_LARGE, PROBE_ERROR_SHOWN,
		    "body-too-large error" },
		{ "v2", false, 200, PROBE_FAULT_CUT, PROBE_ERROR_SHOWN,
		    "cut-off error" },
		{ "v2", false, 200, PROBE_FAULT_ENCODING, PROBE_ERROR_SHOWN,
		    "bad-encoding error" },
		{ "browser", false, 0, PROBE_FAULT_TIMEOUT, PROBE_NO_ANSWER,
		    "timeout warning" },
		{ "browser", true, 0, PROBE_FAULT_TIMEOUT, PROBE_NO_ANSWER,
		    "timeout error" },
		{ "browser", true, 200, PROBE_FAULT_CUT, PROBE_NOTHING_SHOWN,
		    "cut-off error, missing-header error" },
		{ "browser", false, 200, PROBE_FAULT_CUT, PROBE_NO_BROWSERS,
		    "not-for-browsers note" },
		{ "preflight", true, 403, PROBE_FAULT_CUT, PROBE_NOTHING_SHOWN,
		    "status error, missing-header error, "
		    "header-not-allowed error" },
		{ "stranger-v1", true, 0, PROBE_FAULT_CLOSED, PROBE_NO_ANSWER,
		    "closed warning" },
		{ "stranger-v1", true, 403, PROBE_FAULT_CUT, PROBE_REFUSED,
		    "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct probe_aim aim = probed_aim();
		struct arena memory = { NULL, false };
		struct probe_request q;
		static struct probe_report r;
		struct probe_answer a;

		aim.insist = rows[i].insist;
		q = probed_request(&memory, &aim, rows[i].name);
		memset(&r, 0, sizeof(r));
		probed_answer(&a, rows[i].status,
		    rows[i].status == 200 ? V2 VARY JSON : "", "{");
		a.fault = rows[i].fault;
		probe_judge(&q, &a, &r);
		is_span(span_of(probed_findings(&r)), rows[i].findings,
		    rows[i].findings);
		ok(r.verdict == rows[i].verdict, "… its verdict");
		probed_free(&a);
		arena_free(&memory);
	}
}

static void
test_detail(void)
{
	struct probe_request q = { .who = PROBE_CLIENT };
	struct probe_answer a = { .fault = PROBE_FAULT_CONNECT,
		.detail = "so it is" };
	static struct probe_report r;

	probe_judge(&q, &a, &r);
	is_span(span_of(r.list[0].text), "nobody answers there: so it is",
	    "the library's own words");
}

/* The words that are told: what is, what should be, and where. */
static void
test_texts(void)
{
	static const struct {
		const char *head, *body, *text;
	} rows[] = {
		{ VARY JSON, "{}",
		    "AMP-Email-Allow-Sender is missing; it must be " SENDER },
		{ VARY JSON "AMP-Email-Allow-Sender: a", "{}",
		    "AMP-Email-Allow-Sender is a; it must be " SENDER },
		{ VARY JSON V2 V2 V2, "{}",
		    "AMP-Email-Allow-Sender is there 3 times" },
		{ VARY JSON V2, "{}x",
		    "the body is no JSON: something behind the value (byte 3 "
		    "of 3)" },
		{ JSON V2 "Vary: Origin", "{}",
		    "Vary does not name AMP-Email-Sender: a cache may give "
		    "this answer to others" },
		{ JSON V2 "Vary: AMP-Email-Sender", "{}",
		    "Vary does not name Origin: a cache may give this answer "
		    "to others" },
	};
	struct probe_aim aim = probed_aim();
	struct arena memory = { NULL, false };
	struct probe_request q = probed_request(&memory, &aim, "v2");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static struct probe_report r;
		struct probe_answer a;

		memset(&r, 0, sizeof(r));
		probed_answer(&a, 200, rows[i].head, rows[i].body);
		probe_judge(&q, &a, &r);
		is_span(span_of(r.list[0].text), rows[i].text, "a text");
		probed_free(&a);
	}
	arena_free(&memory);
}

static void
test_connection(void)
{
	static const struct {
		const char *url, *address;
		bool insecure;
		const char *findings;
	} rows[] = {
		{ "https://a/", "192.0.2.1", false, "" },
		{ "https://a/", "192.0.2.1", true, "insecure warning" },
		{ "http://a/", "192.0.2.1", false, "no-tls error" },
		{ "HTTP://a/", "2001:db8::1", true, "no-tls error" },
		{ "http://a/", "127.0.0.1", false, "no-tls warning" },
		{ "http://a/", "127.255.0.1", false, "no-tls warning" },
		{ "http://a/", "::1", false, "no-tls warning" },
		{ "http://a/", "128.0.0.1", false, "no-tls error" },
		{ "http://a/", "::127.0.0.1", false, "no-tls error" },
		{ "http://a/", "", false, "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct probe_request q = { .url = rows[i].url };
		struct probe_answer a = { .status = 200 };
		static struct probe_report r;

		strcpy(a.address, rows[i].address);
		memset(&r, 0, sizeof(r));
		probe_judge_connection(&q, &a, rows[i].insecure, &r);
		is_span(span_of(probed_findings(&r)), rows[i].findings,
		    rows[i].address);
	}
}

int
main(void)
{
	struct probe_aim aim = probed_aim();

	probed_table(&aim, clients, sizeof(clients) / sizeof(clients[0]));
	probed_table(&aim, browsers, sizeof(browsers) / sizeof(browsers[0]));
	aim.insist = true;
	probed_table(&aim, insisted, sizeof(insisted) / sizeof(insisted[0]));
	test_asked_headers();
	test_faults();
	test_detail();
	test_texts();
	test_connection();
	return tap_done();
}
