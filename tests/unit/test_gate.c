/*
 * gate: requests with a policy of several endpoints: each is answered once, in
 * exactly these bytes, and logged once.
 */
#include "gate.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <pthread.h>
#include <syslog.h>

#include "cgi.h"
#include "fake.h"
#include "folder.h"
#include "io.h"
#include "log.h"
#include "talk.h"
#include "tap.h"

#define V2 "HTTP_AMP_EMAIL_SENDER=sender@company.example"
#define VARY "Vary: Origin, AMP-Email-Sender\r\n"
#define ALLOW VARY "AMP-Email-Allow-Sender: sender@company.example\r\n"
#define PRINT "printf 'Content-Type: text/plain\\n\\n'; "
#define TEXT "Status: 200 OK\r\nContent-Type: text/plain\r\n" ALLOW "\r\n"
#define LOGGED " version=2 endpoint=" /* … name, then the claims: */
#define CLAIMS " method=GET sender=\"sender@company.example\" origin=-"
#define POSTED " method=POST sender=\"sender@company.example\" origin=-"

#define V1 "HTTP_ORIGIN=https://mail.google.com"
#define QUERY "__amp_source_origin=sender%40company.example"
#define ALLOW_1                                                          \
	VARY "Access-Control-Allow-Origin: https://mail.google.com\r\n"  \
	     "AMP-Access-Control-Allow-Source-Origin: "                  \
	     "sender@company.example\r\nAccess-Control-Expose-Headers: " \
	     "AMP-Access-Control-Allow-Source-Origin\r\n"
#define LOGGED_1 " version=1 endpoint="
#define CLAIMS_1                                        \
	" method=GET sender=\"sender@company.example\"" \
	" origin=\"https://mail.google.com\""
#define PREFLIGHT                                                  \
	"Status: 204 No Content\r\n" VARY                          \
	"Access-Control-Allow-Origin: https://mail.google.com\r\n" \
	"Access-Control-Allow-Methods: GET, POST\r\n"              \
	"Access-Control-Allow-Headers: AMP-Email-Sender, "         \
	"Content-Type\r\nAccess-Control-Max-Age: 600\r\n\r\n"

enum { VARS = 8, SLOTS = 4 };

struct gate_case {
	const char *name;
	const char *vars[VARS]; /* besides SCRIPT_NAME */
	const char *path;       /* SCRIPT_NAME */
	struct span body;       /* absent: it never comes */
	bool gone;              /* the client is */
	bool authorizer;        /* in the Authorizer role */
	bool enters;            /* a handler is wanted */
	enum reason own;        /* an answer of ours, with `fields`; or: */
	const char *fields;     /* of it */
	const char *sent;       /* the handler's */
	bool broken;            /* it does not end */
	const char *log;
};

static const struct gate_case cases[] = {
	/* decisions */
	{ .name = "neither version",
	    .path = "/ok",
	    .vars = { "REQUEST_METHOD=GET" },
	    .own = REASON_NO_AMP_HEADERS,
	    .fields = VARY,
	    .log = "deny 403 no-amp-headers version=- endpoint=ok method=GET "
		   "sender=- origin=-" },
	{ .name = "a sender that is not allowed",
	    .path = "/ok",
	    .vars = { "REQUEST_METHOD=GET", "HTTP_AMP_EMAIL_SENDER=a@b.example",
		"HTTP_ORIGIN=https://x.example" },
	    .own = REASON_SENDER_NOT_ALLOWED,
	    .fields = VARY,
	    .log = "deny 403 sender-not-allowed version=2 endpoint=ok "
		   "method=GET sender=\"a@b.example\" "
		   "origin=\"https://x.example\"" },
	{ .name = "HEAD",
	    .path = "/ok",
	    .vars = { "REQUEST_METHOD=HEAD" },
	    .own = REASON_NO_AMP_HEADERS,
	    .fields = VARY,
	    .log = "deny 403 no-amp-headers version=- endpoint=ok method=HEAD "
		   "sender=- origin=-" },
	{ .name = "a forged sender",
	    .path = "/ok",
	    .vars = { "REQUEST_METHOD=GET",
		"HTTP_AMP_EMAIL_SENDER=a\r\nX: \"y\"" },
	    .own = REASON_BAD_BYTE,
	    .fields = VARY,
	    .log = "deny 403 bad-byte version=- endpoint=ok method=GET "
		   "sender=\"a\\x0d\\x0aX: \\x22y\\x22\" origin=-" },
	{ .name = "a repeated one",
	    .path = "/ok",
	    .vars = { "REQUEST_METHOD=GET", V2, V2 },
	    .own = REASON_VARIABLE_REPEATED,
	    .fields = VARY,
	    .log = "deny 403 variable-repeated version=- endpoint=ok" CLAIMS },
	{ .name = "no method",
	    .path = "/ok",
	    .vars = { V2 },
	    .own = REASON_BAD_REQUEST,
	    .fields = VARY,
	    .log = "deny 400 bad-request version=- endpoint=ok method=- "
		   "sender=\"sender@company.example\" origin=-" },
	{ .name = "no endpoint",
	    .path = "/elsewhere",
	    .vars = { "REQUEST_METHOD=GET", V2 },
	    .own = REASON_NO_ENDPOINT,
	    .fields = "",
	    .log = "deny 404 no-endpoint version=- endpoint=-" CLAIMS
		   " detail=\"path /elsewhere\"" },
	{ .name = "… behind its script's name",
	    .path = "/else",
	    .vars = { "REQUEST_METHOD=GET", V2, "PATH_INFO=/where" },
	    .own = REASON_NO_ENDPOINT,
	    .fields = "",
	    .log = "deny 404 no-endpoint version=- endpoint=-" CLAIMS
		   " detail=\"path /else/where\"" },
	{ .name = "a preflight",
	    .path = "/ok",
	    .vars = { "REQUEST_METHOD=OPTIONS",
		"HTTP_ORIGIN=https://mail.google.com",
		"HTTP_ACCESS_CONTROL_REQUEST_METHOD=POST" },
	    .sent = PREFLIGHT,
	    .log =
		"preflight 204 preflight version=- endpoint=ok "
		"method=OPTIONS sender=- origin=\"https://mail.google.com\"" },

	/* handler = none: the decision alone (SPEC 4.1) */
	{ .name = "allowed, and nothing runs",
	    .path = "/decide",
	    .vars = { "REQUEST_METHOD=GET", V2 },
	    .sent = "Status: 200 OK\r\n" ALLOW "\r\n",
	    .log = "allow 200 ok" LOGGED "decide" CLAIMS },
	{ .name = "… HEAD",
	    .path = "/decide",
	    .vars = { "REQUEST_METHOD=HEAD", V2 },
	    .sent = "Status: 200 OK\r\n" ALLOW "\r\n",
	    .log = "allow 200 ok" LOGGED "decide method=HEAD "
		   "sender=\"sender@company.example\" origin=-" },
	{ .name = "… a body that is not waited for",
	    .path = "/decide",
	    .vars = { "REQUEST_METHOD=POST", V2, "CONTENT_LENGTH=5" },
	    .sent = "Status: 200 OK\r\n" ALLOW "\r\n",
	    .log = "allow 200 ok" LOGGED "decide" POSTED },
	{ .name = "… behind another front (E20 is about what runs)",
	    .path = "/decide",
	    .vars = { "REQUEST_METHOD=GET", V2, "AMP_CORS_FRONT=1" },
	    .sent = "Status: 200 OK\r\n" ALLOW "\r\n",
	    .log = "allow 200 ok" LOGGED "decide" CLAIMS },
	{ .name = "refused",
	    .path = "/decide",
	    .vars = { "REQUEST_METHOD=GET" },
	    .own = REASON_NO_AMP_HEADERS,
	    .fields = VARY,
	    .log = "deny 403 no-amp-headers version=- endpoint=decide "
		   "method=GET sender=- origin=-" },
	{ .name = "a preflight",
	    .path = "/decide",
	    .vars = { "REQUEST_METHOD=OPTIONS",
		"HTTP_ORIGIN=https://mail.google.com",
		"HTTP_ACCESS_CONTROL_REQUEST_METHOD=POST" },
	    .sent = PREFLIGHT,
	    .log = "preflight 204 preflight version=- endpoint=decide "
		   "method=OPTIONS sender=- "
		   "origin=\"https://mail.google.com\"" },
	{ .name = "reported",
	    .path = "/watch",
	    .vars = { "REQUEST_METHOD=GET" },
	    .sent = "Status: 200 OK\r\n" VARY "\r\n",
	    .log = "report 200 no-amp-headers version=- endpoint=watch "
		   "method=GET sender=- origin=-" },
	/* SPEC 1.7 */
	{ .name = "asked by a URI, which has the query too",
	    .path = "/auth",
	    .vars = { "REQUEST_METHOD=GET", V1,
		"REQUEST_URI=/decide/x?" QUERY },
	    .sent = "Status: 200 OK\r\n" ALLOW_1 "\r\n",
	    .log = "allow 200 ok" LOGGED_1 "decide" CLAIMS_1 },
	{ .name = "… and the same one of its own",
	    .path = "/auth",
	    .vars = { "REQUEST_METHOD=GET", V1, "QUERY_STRING=" QUERY,
		"REQUEST_URI=/decide/x?" QUERY },
	    .sent = "Status: 200 OK\r\n" ALLOW_1 "\r\n",
	    .log = "allow 200 ok" LOGGED_1 "decide" CLAIMS_1 },
	{ .name = "… and nothing but its own",
	    .path = "/auth",
	    .vars = { "REQUEST_METHOD=GET", V1, "QUERY_STRING=" QUERY,
		"REQUEST_URI=/decide/x?" },
	    .sent = "Status: 200 OK\r\n" ALLOW_1 "\r\n",
	    .log = "allow 200 ok" LOGGED_1 "decide" CLAIMS_1 },
	{ .name = "… and another one (E6)",
	    .path = "/auth",
	    .vars = { "REQUEST_METHOD=GET", V1, "QUERY_STRING=a=b",
		"REQUEST_URI=/decide/x?" QUERY },
	    .own = REASON_BAD_REQUEST,
	    .fields = VARY,
	    .log = "deny 400 bad-request version=- endpoint=decide "
		   "method=GET sender=- origin=\"https://mail.google.com\"" },
	{ .name = "… and bytes that are none, which come first (2.1)",
	    .path = "/auth",
	    .vars = { "REQUEST_METHOD=GET", "HTTP_ORIGIN=a\nb",
		"QUERY_STRING=a=b", "REQUEST_URI=/decide/x?" QUERY },
	    .own = REASON_BAD_BYTE,
	    .fields = VARY,
	    .log = "deny 403 bad-byte version=- endpoint=decide method=GET "
		   "sender=- origin=\"a\\x0ab\"" },
	{ .name = "… which is no path of ours",
	    .path = "/decide",
	    .vars = { "REQUEST_METHOD=GET", V2, "REQUEST_URI=/%2e%2e/decide" },
	    .own = REASON_NO_ENDPOINT,
	    .fields = "",
	    .log = "deny 404 no-endpoint version=- endpoint=-" CLAIMS
		   " detail=\"path /decide of URI /%2e%2e/decide\"" },
	{ .name = "… with a '#', which may end its query or not",
	    .path = "/decide",
	    .vars = { "REQUEST_METHOD=GET", V1,
		"REQUEST_URI=/decide?a=1#&" QUERY },
	    .own = REASON_NO_ENDPOINT,
	    .fields = "",
	    .log = "deny 404 no-endpoint version=- endpoint=- method=GET "
		   "sender=- origin=\"https://mail.google.com\" "
		   "detail=\"path /decide of URI /decide\"" },
	{ .name = "queries that differ, for one that has a handler",
	    .path = "/ok",
	    .vars = { "REQUEST_METHOD=GET", V2, "QUERY_STRING=a=b",
		"REQUEST_URI=/ok?c=d" },
	    .enters = true,
	    .sent = TEXT "2 sender@company.example -",
	    .log = "allow 200 ok" LOGGED "ok" CLAIMS },
	{ .name = "a URI counts for nobody who has a handler",
	    .path = "/ok",
	    .vars = { "REQUEST_METHOD=GET", V1, "REQUEST_URI=/ok?" QUERY },
	    .own = REASON_SOURCE_ORIGIN_MISSING,
	    .fields = VARY,
	    .log = "deny 403 source-origin-missing version=1 endpoint=ok "
		   "method=GET sender=- origin=\"https://mail.google.com\"" },

	/* the Authorizer role (SPEC 5.2, E99, E100) */
	{ .name = "an Authorizer: version 2",
	    .path = "/ok",
	    .authorizer = true,
	    .vars = { "REQUEST_METHOD=GET", V2 },
	    .sent =
		"Status: 200 OK\r\n" ALLOW "Variable-AMP_CORS_VERSION: 2\r\n"
		"Variable-AMP_CORS_SENDER: sender@company.example\r\n"
		"\r\n",
	    .log = "allow 200 ok" LOGGED "ok" CLAIMS },
	{ .name = "… version 1, asked by nothing but a URI (E13)",
	    .path = "",
	    .authorizer = true,
	    .vars = { "REQUEST_METHOD=GET", V1, "REQUEST_URI=/o%6b?" QUERY },
	    .sent =
		"Status: 200 OK\r\n" ALLOW_1 "Variable-AMP_CORS_VERSION: 1\r\n"
		"Variable-AMP_CORS_SENDER: sender@company.example\r\n"
		"Variable-AMP_CORS_ORIGIN: https://mail.google.com\r\n"
		"\r\n",
	    .log = "allow 200 ok" LOGGED_1 "ok" CLAIMS_1 },
	{ .name = "… and a query of its own, which counts",
	    .path = "/ok",
	    .authorizer = true,
	    .vars = { "REQUEST_METHOD=GET", V1, "QUERY_STRING=a=b",
		"REQUEST_URI=/ok?" QUERY },
	    .own = REASON_SOURCE_ORIGIN_MISSING,
	    .fields = VARY,
	    .log = "deny 403 source-origin-missing version=1 endpoint=ok "
		   "method=GET sender=- origin=\"https://mail.google.com\"" },
	{ .name = "… a body that never comes",
	    .path = "/ok",
	    .authorizer = true,
	    .vars = { "REQUEST_METHOD=POST", V2 },
	    .sent =
		"Status: 200 OK\r\n" ALLOW "Variable-AMP_CORS_VERSION: 2\r\n"
		"Variable-AMP_CORS_SENDER: sender@company.example\r\n"
		"\r\n",
	    .log = "allow 200 ok" LOGGED "ok" POSTED },
	{ .name = "… refused (E99)",
	    .path = "/ok",
	    .authorizer = true,
	    .vars = { "REQUEST_METHOD=GET" },
	    .own = REASON_NO_AMP_HEADERS,
	    .fields = VARY,
	    .log = "deny 403 no-amp-headers version=- endpoint=ok method=GET "
		   "sender=- origin=-" },
	{ .name = "… a preflight (E100)",
	    .path = "/ok",
	    .authorizer = true,
	    .vars = { "REQUEST_METHOD=OPTIONS",
		"HTTP_ORIGIN=https://mail.google.com",
		"HTTP_ACCESS_CONTROL_REQUEST_METHOD=POST" },
	    .sent = PREFLIGHT,
	    .log = "preflight 204 preflight version=- endpoint=ok "
		   "method=OPTIONS sender=- "
		   "origin=\"https://mail.google.com\"" },
	{ .name = "… reported: nothing is verified",
	    .path = "/report",
	    .authorizer = true,
	    .vars = { "REQUEST_METHOD=GET",
		"HTTP_AMP_EMAIL_SENDER=a@b.example" },
	    .sent = "Status: 200 OK\r\n" VARY "\r\n",
	    .log = "report 200 sender-not-allowed version=2 endpoint=report "
		   "method=GET sender=\"a@b.example\" origin=-" },
	{ .name = "… its URI counts, not its script",
	    .path = "/ok",
	    .authorizer = true,
	    .vars = { "REQUEST_METHOD=GET", V2, "REQUEST_URI=/elsewhere" },
	    .own = REASON_NO_ENDPOINT,
	    .fields = "",
	    .log = "deny 404 no-endpoint version=- endpoint=-" CLAIMS
		   " detail=\"path /ok of URI /elsewhere\"" },
	{ .name = "… which is all that there is",
	    .path = "",
	    .authorizer = true,
	    .vars = { "REQUEST_METHOD=GET", V2, "REQUEST_URI=/else?x=y" },
	    .own = REASON_NO_ENDPOINT,
	    .fields = "",
	    .log = "deny 404 no-endpoint version=- endpoint=-" CLAIMS
		   " detail=\"URI /else\"" },
	{ .name = "… at an endpoint without any handler",
	    .path = "/decide",
	    .authorizer = true,
	    .vars = { "REQUEST_METHOD=HEAD", V2 },
	    .sent =
		"Status: 200 OK\r\n" ALLOW "Variable-AMP_CORS_VERSION: 2\r\n"
		"Variable-AMP_CORS_SENDER: sender@company.example\r\n"
		"\r\n",
	    .log = "allow 200 ok" LOGGED "decide method=HEAD "
		   "sender=\"sender@company.example\" origin=-" },

	/* handlers */
	{ .name = "an allowed one",
	    .path = "/ok",
	    .vars = { "REQUEST_METHOD=GET", V2 },
	    .enters = true,
	    .sent = TEXT "2 sender@company.example -",
	    .log = "allow 200 ok" LOGGED "ok" CLAIMS },
	{ .name = "HEAD",
	    .path = "/ok",
	    .vars = { "REQUEST_METHOD=HEAD", V2 },
	    .enters = true,
	    .sent = TEXT,
	    .log = "allow 200 ok" LOGGED "ok method=HEAD "
		   "sender=\"sender@company.example\" origin=-" },
	{ .name = "a body",
	    .path = "/ok",
	    .vars = { "REQUEST_METHOD=POST", V2, "CONTENT_LENGTH=5" },
	    .body = { "hello and more", 14 },
	    .enters = true,
	    .sent = TEXT "2 sender@company.example 5hello",
	    .log = "allow 200 ok" LOGGED "ok" POSTED },
	{ .name = "a body of unknown length (E35)",
	    .path = "/ok",
	    .vars = { "REQUEST_METHOD=POST", V2 },
	    .body = { "hello", 5 },
	    .enters = true,
	    .sent = TEXT "2 sender@company.example 5hello",
	    .log = "allow 200 ok" LOGGED "ok" POSTED },
	{ .name = "an empty one of unknown length",
	    .path = "/ok",
	    .vars = { "REQUEST_METHOD=POST", V2, "CONTENT_LENGTH=-1" },
	    .body = { "", 0 },
	    .enters = true,
	    .sent = TEXT "2 sender@company.example 0",
	    .log = "allow 200 ok" LOGGED "ok" POSTED },
	{ .name = "a reported one",
	    .path = "/report",
	    .vars = { "REQUEST_METHOD=GET" },
	    .enters = true,
	    .sent = "Status: 200 OK\r\nContent-Type: text/plain\r\n"
		    "Access-Control-Allow-Origin: x\r\n" VARY "\r\nbody",
	    .log = "report 200 no-amp-headers version=- endpoint=report "
		   "method=GET sender=- origin=-" },
	{ .name = "an exit status",
	    .path = "/seven",
	    .vars = { "REQUEST_METHOD=GET", V2 },
	    .enters = true,
	    .sent = TEXT "body",
	    .log = "allow 200 ok" LOGGED "seven" CLAIMS
		   " detail=\"exit status 7\"" },
	{ .name = "a script",
	    .path = "/cgi/x.cgi",
	    .vars = { "REQUEST_METHOD=GET", V2, "SCRIPT_FILENAME=@/cgi/x.cgi",
		"PATH_INFO=/info" },
	    .enters = true,
	    .sent = TEXT "/cgi/x.cgi /info",
	    .log = "allow 200 ok" LOGGED "cgi" CLAIMS },
	{ .name = "the command line's program",
	    .path = "/words",
	    .vars = { "REQUEST_METHOD=GET", V2 },
	    .enters = true,
	    .sent = TEXT "one two",
	    .log = "allow 200 ok" LOGGED "words" CLAIMS },

	/* what can go wrong (SPEC 4.7) */
	{ .name = "no program",
	    .path = "/none",
	    .vars = { "REQUEST_METHOD=GET", V2 },
	    .enters = true,
	    .own = REASON_HANDLER_MISSING,
	    .fields = ALLOW,
	    .log = "allow 404 handler-missing" LOGGED "none" CLAIMS
		   " detail=\"exec @/none: is not there\"" },
	{ .name = "one that may not be run",
	    .path = "/plain",
	    .vars = { "REQUEST_METHOD=GET", V2 },
	    .enters = true,
	    .own = REASON_HANDLER_FORBIDDEN,
	    .fields = ALLOW,
	    .log = "allow 403 handler-forbidden" LOGGED "plain" CLAIMS
		   " detail=\"exec @/plain: is not executable\"" },
	{ .name = "one of no format (E26)",
	    .path = "/format",
	    .vars = { "REQUEST_METHOD=GET", V2 },
	    .enters = true,
	    .own = REASON_HANDLER_NOT_STARTED,
	    .fields = ALLOW,
	    .log = "allow 502 handler-not-started" LOGGED "format" CLAIMS
		   " detail=\"exec @/format: is no program, and names no "
		   "interpreter\"" },
	{ .name = "no script",
	    .path = "/cgi/none.cgi",
	    .vars = { "REQUEST_METHOD=GET", V2,
		"SCRIPT_FILENAME=@/cgi/none.cgi" },
	    .enters = true,
	    .own = REASON_HANDLER_MISSING,
	    .fields = ALLOW,
	    .log = "allow 404 handler-missing" LOGGED "cgi" CLAIMS
		   " detail=\"script @/cgi/none.cgi, scripts = @/cgi\"" },
	{ .name = "no answer",
	    .path = "/die",
	    .vars = { "REQUEST_METHOD=GET", V2 },
	    .enters = true,
	    .own = REASON_HANDLER_DIED,
	    .fields = ALLOW,
	    .log = "allow 502 handler-died" LOGGED "die" CLAIMS
		   " detail=\"exit status 3\"" },
	{ .name = "a bad one",
	    .path = "/bad",
	    .vars = { "REQUEST_METHOD=GET", V2 },
	    .enters = true,
	    .own = REASON_HANDLER_BAD_ANSWER,
	    .fields = ALLOW,
	    .log = "allow 502 handler-bad-answer" LOGGED "bad" CLAIMS
		   " detail=\"a header line without a colon\"" },
	{ .name = "a redirect",
	    .path = "/redirect",
	    .vars = { "REQUEST_METHOD=GET", V2 },
	    .enters = true,
	    .own = REASON_HANDLER_REDIRECT,
	    .fields = ALLOW,
	    .log = "allow 502 handler-redirect" LOGGED "redirect" CLAIMS
		   " detail=\"a redirect, which no mail client follows\"" },
	{ .name = "killed within its body (E52)",
	    .path = "/half",
	    .vars = { "REQUEST_METHOD=GET", V2 },
	    .enters = true,
	    .sent = TEXT "half",
	    .broken = true,
	    .log = "allow 200 handler-died" LOGGED "half" CLAIMS
		   " detail=\"killed by signal 9\"" },
	{ .name = "silence",
	    .path = "/silent",
	    .vars = { "REQUEST_METHOD=GET", V2 },
	    .enters = true,
	    .own = REASON_HANDLER_TIMEOUT,
	    .fields = ALLOW,
	    .log = "allow 504 handler-timeout" LOGGED "silent" CLAIMS
		   " detail=\"silent for `timeout`\"" },
	{ .name = "a body that is too large",
	    .path = "/small",
	    .vars = { "REQUEST_METHOD=POST", V2, "CONTENT_LENGTH=11" },
	    .body = { "12345678901", 11 },
	    .enters = true,
	    .own = REASON_BODY_TOO_LARGE,
	    .fields = ALLOW,
	    .log = "allow 413 body-too-large" LOGGED "small" POSTED },
	{ .name = "… of unknown length",
	    .path = "/small",
	    .vars = { "REQUEST_METHOD=POST", V2, "CONTENT_LENGTH=-1" },
	    .body = { "12345678901", 11 },
	    .enters = true,
	    .own = REASON_BODY_TOO_LARGE,
	    .fields = ALLOW,
	    .log = "allow 413 body-too-large" LOGGED "small" POSTED },
	{ .name = "one that just fits",
	    .path = "/small",
	    .vars = { "REQUEST_METHOD=POST", V2, "CONTENT_LENGTH=-1" },
	    .body = { "1234567890", 10 },
	    .enters = true,
	    .sent = TEXT "2 sender@company.example 101234567890",
	    .log = "allow 200 ok" LOGGED "small" POSTED },
	{ .name = "one that does not come",
	    .path = "/small",
	    .vars = { "REQUEST_METHOD=POST", V2 },
	    .enters = true,
	    .own = REASON_BODY_TIMEOUT,
	    .fields = ALLOW,
	    .log = "allow 408 body-timeout" LOGGED "small" POSTED },
	{ .name = "a server elsewhere that is not there (E102)",
	    .path = "/nobody",
	    .vars = { "REQUEST_METHOD=GET", V2 },
	    .enters = true,
	    .own = REASON_BACKEND_REFUSED,
	    .fields = ALLOW,
	    .log = "allow 502 backend-refused" LOGGED "nobody" CLAIMS
		   " detail=\"unix:@/nobody: No such file or directory\"" },
	{ .name = "a loop (E20)",
	    .path = "/nobody",
	    .vars = { "REQUEST_METHOD=GET", V2, "AMP_CORS_FRONT=1" },
	    .enters = true,
	    .own = REASON_HANDLER_LOOP,
	    .fields = ALLOW,
	    .log = "allow 500 handler-loop" LOGGED "nobody" CLAIMS },
	{ .name = "… of a program",
	    .path = "/ok",
	    .vars = { "REQUEST_METHOD=GET", V2, "AMP_CORS_FRONT=0" },
	    .enters = true,
	    .own = REASON_HANDLER_LOOP,
	    .fields = ALLOW,
	    .log = "allow 500 handler-loop" LOGGED "ok" CLAIMS },
	{ .name = "a body that does not come, for a server elsewhere",
	    .path = "/nobody",
	    .vars = { "REQUEST_METHOD=POST", V2 },
	    .enters = true,
	    .own = REASON_BODY_TIMEOUT,
	    .fields = ALLOW,
	    .log = "allow 408 body-timeout" LOGGED "nobody" POSTED },
	{ .name = "one that is too large for it",
	    .path = "/nobody",
	    .vars = { "REQUEST_METHOD=POST", V2, "CONTENT_LENGTH=11" },
	    .body = { "12345678901", 11 },
	    .enters = true,
	    .own = REASON_BODY_TOO_LARGE,
	    .fields = ALLOW,
	    .log = "allow 413 body-too-large" LOGGED "nobody" POSTED },
	{ .name = "a client that has gone",
	    .path = "/silent",
	    .vars = { "REQUEST_METHOD=GET", V2 },
	    .gone = true,
	    .enters = true,
	    .sent = "",
	    .broken = true,
	    .log = "allow - client-gone" LOGGED "silent" CLAIMS },
	{ .name = "… before its body had come",
	    .path = "/small",
	    .vars = { "REQUEST_METHOD=POST", V2 },
	    .gone = true,
	    .enters = true,
	    .sent = "",
	    .broken = true,
	    .log = "allow - client-gone" LOGGED "small" POSTED },
};

static const char policy_text[] =
    "[policy]\n"
    "senders = sender@company.example\n"
    "kill_grace = 1\n"
    "[endpoint ok]\npath = /ok\nexec = @/ok\n"
    "[endpoint report]\npath = /report\nexec = @/report\nmode = report\n"
    "[endpoint seven]\npath = /seven\nexec = @/seven\n"
    "[endpoint cgi]\npath = /cgi\nscripts = @/cgi\n"
    "[endpoint words]\npath = /words\n"
    "[endpoint none]\npath = /none\nexec = @/none\n"
    "[endpoint plain]\npath = /plain\nexec = @/plain\n"
    "[endpoint format]\npath = /format\nexec = @/format\n"
    "[endpoint die]\npath = /die\nexec = @/die\n"
    "[endpoint bad]\npath = /bad\nexec = @/bad\n"
    "[endpoint redirect]\npath = /redirect\nexec = @/redirect\n"
    "[endpoint half]\npath = /half\nexec = @/half\n"
    "[endpoint silent]\npath = /silent\nexec = @/silent\ntimeout = 1\n"
    "[endpoint small]\npath = /small\nexec = @/ok\nmax_body = 10\n"
    "body_timeout = 1\n"
    "[endpoint decide]\npath = /decide\nhandler = none\n"
    "[endpoint watch]\npath = /watch\nhandler = none\nmode = report\n"
    "[endpoint forward]\npath = /forward\nforward = unix:@/backend\n"
    "timeout = 1\n"
    "[endpoint nobody]\npath = /nobody\nforward = unix:@/nobody\n"
    "body_timeout = 1\nmax_body = 10\n"
    "[endpoint after]\npath = /after\nexec = @/after\n"
    "[endpoint stubborn]\npath = /stubborn\nexec = @/stubborn\n"
    "timeout = 1\n";

/* text with the folder for every '@' in front of a slash. */
static const char *
expand(const char *text)
{
	static _Thread_local char out[8][16384];
	static _Thread_local unsigned turn;
	char *to = out[turn = (turn + 1) % 8];

	for (; *text != '\0'; text++)
		if (text[0] == '@' && text[1] == '/')
			to = stpcpy(to, folder);
		else
			*to++ = *text;
	*to = '\0';
	return out[turn];
}

static void
make_handlers(void)
{
	folder_script("ok",
	    PRINT "printf '%s %s %s' $AMP_CORS_VERSION $AMP_CORS_SENDER "
		  "${CONTENT_LENGTH:--}; cat");
	folder_script("report",
	    "printf 'Content-Type: text/plain\\n"
	    "Access-Control-Allow-Origin: x\\n\\nbody'");
	folder_script("seven", PRINT "printf body; exit 7");
	folder_script("words", PRINT "printf \"$*\"");
	folder_script("die", "exit 3");
	folder_script("bad", "printf 'hello\\n\\n'");
	folder_script("redirect", "printf 'Location: /x\\n\\n'");
	folder_script("half", PRINT "printf half; kill -9 $$");
	folder_script("silent", "exec sleep 300");
	folder_script("after",
	    PRINT "exec >&- 2>&-; sleep 0.1; echo done >done");
	folder_script("stubborn",
	    PRINT "exec >&- 2>&-; trap '' TERM; sleep 300");
	folder_file("plain", "#!/bin/sh\n", 0644);
	folder_file("format", "no format", 0755);
	mkdir(in_folder("cgi"), 0755);
	folder_script("cgi/x.cgi", PRINT "printf \"$SCRIPT_NAME $PATH_INFO\"");
}

static void
report(void *ctx, const struct conf_fault *f)
{
	struct buf line;

	(void)ctx;
	buf_init(&line, 65536);
	conf_fault_line(&line, f);
	printf("# %.*s\n", (int)line.n, line.p);
	buf_free(&line);
}

static struct conf *
load(const char *name, const char *text, enum conf_use use)
{
	const char *file = folder_file(name, expand(text), 0600);
	struct conf *conf;

	if (conf_load(file, use, report, NULL, &conf) != CONF_OK) {
		printf("Bail out! %s\n", name);
		exit(1);
	}
	return conf;
}

/* It is the gate's from then on. */
static void
set_policy(struct gate_options *o, struct conf *conf)
{
	o->live = must(live_new(conf, NULL));
	o->server = conf_server(conf);
	if (o->live == NULL) {
		printf("Bail out! out of memory\n");
		exit(1);
	}
}

/* --- what came of it --- */

/* An answer of ours, from the table of reasons. */
static const char *
own_answer(enum reason why, const char *fields, bool head)
{
	static char text[2048], body[512];

	snprintf(body, sizeof(body),
	    "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}",
	    reason_word(why), reason_text(why));
	snprintf(text, sizeof(text),
	    "Status: %u %s\r\nContent-Type: application/json\r\n"
	    "Cache-Control: no-store\r\nContent-Length: %zu\r\n%s%s\r\n%s",
	    reason_status(why), reason_phrase(reason_status(why)), strlen(body),
	    why == REASON_BUSY ? "Retry-After: 1\r\n" : "", fields,
	    head ? "" : body);
	return text;
}

/* Takes "key=value " out of a line. */
static void
cut_out(char *line, const char *key)
{
	char *at = strstr(line, key), *end;

	if (at == NULL)
		return;
	end = at + 1 + strcspn(at + 1, " ");
	memmove(at, end, strlen(end) + 1);
}

/* The log's only line, less what differs; "…" where there are more or none. */
static const char *
only_line(void)
{
	static char line[8192];
	char *end, *at;

	snprintf(line, sizeof(line), "%.8000s", folder_text("log"));
	end = strchr(line, '\n');
	if (end == NULL || end[1] != '\0')
		return "not one line";
	*end = '\0';
	at = strchr(line, ' ');
	at = at == NULL ? NULL : strchr(at + 1, ' ');
	if (at == NULL)
		return line;
	cut_out(at, " rule=");
	cut_out(at, " ms=");
	return at + 1;
}

static void
new_log(void)
{
	folder_file("log", "", 0600);
	log_open("test", in_folder("log"), LOG_INFO);
}

/* --- one request --- */

struct request {
	struct fake f;
	struct gate_passage p;
	char *vars[VARS + 2];
	bool in_parts; /* see run() */
};

static void
request_make(struct request *r, const char *path, const char *const vars[],
    struct span body)
{
	size_t n = 0;

	memset(r, 0, sizeof(*r));
	for (; vars != NULL && n < VARS && vars[n] != NULL; n++)
		r->vars[n] = must(strdup(expand(vars[n])));
	if (asprintf(&r->vars[n], "SCRIPT_NAME=%s", path) == -1)
		bail();
	fake_init(&r->f, r->vars, body);
}

static void
request_free(struct request *r)
{
	for (size_t n = 0; r->vars[n] != NULL; n++)
		free(r->vars[n]);
	fake_free(&r->f);
}

/* As a server does it, which has no thread for a backend that is silent. */
static void
run_in_parts(struct gate *g, struct request *r, unsigned slot)
{
	struct exchange_await what;
	enum exchange_need need = gate_begin(g, &r->f.x, &r->p, slot, &what);

	while (need == EXCHANGE_AWAITS && fake_await(&r->f, &what))
		need = gate_resume(g, slot, &what);
	if (need != EXCHANGE_DONE)
		gate_wait(g, slot);
}

static bool
run(struct gate *g, struct request *r, unsigned slot)
{
	bool enters = gate_enter(g, &r->f.x, &r->p);

	if (enters && r->in_parts)
		run_in_parts(g, r, slot);
	else if (enters)
		gate_run(g, &r->f.x, &r->p, slot);
	gate_linger(g, slot, r->f.x.stop);
	return enters;
}

static void
test_case(struct gate *g, const struct gate_case *c)
{
	bool head = strcmp(c->vars[0], "REQUEST_METHOD=HEAD") == 0, enters;
	const char *sent =
	    c->sent != NULL ? c->sent : own_answer(c->own, c->fields, head);
	struct request r;

	new_log();
	request_make(&r, c->path, c->vars, c->body);
	r.f.x.authorizer = c->authorizer;
	if (c->gone)
		fake_leave(&r.f);
	enters = run(g, &r, 0);
	ok(enters == c->enters && r.f.finishes == !c->broken &&
		r.f.x.finished == !c->broken,
	    "%s: %s", c->name, c->path);
	is_span(buf_span(&r.f.sent), sent, "… its answer");
	ok(r.f.cuts == (c->broken && *sent != '\0'),
	    "… cut, if it is not whole");
	is_span(span_of(only_line()), expand(c->log), "… its line in the log");
	request_free(&r);
}

static void
test_status(struct gate *g)
{
	static const char *const vars[] = { "REQUEST_METHOD=GET", V2, NULL };
	struct request r;

	request_make(&r, "/seven", vars, SPAN(""));
	run(g, &r, 1);
	ok(r.f.status == 7, "the exit status is handed on (E51)");
	request_free(&r);
}

/* --- the others of the gate's answers --- */

static void
test_leave(struct gate *g)
{
	static const char *const vars[] = { "REQUEST_METHOD=GET", V2, NULL };
	struct request r;

	new_log();
	request_make(&r, "/ok", vars, SPAN(""));
	ok(gate_enter(g, &r.f.x, &r.p), "one that has to wait");
	gate_leave(g, &r.f.x, &r.p, REASON_BUSY);
	is_span(buf_span(&r.f.sent), own_answer(REASON_BUSY, ALLOW, false),
	    "… too long");
	is_span(span_of(only_line()), "allow 503 busy" LOGGED "ok" CLAIMS,
	    "… and is logged");
	ok(r.f.finishes == 1, "… once");
	request_free(&r);

	new_log();
	request_make(&r, "/ok", vars, SPAN(""));
	gate_enter(g, &r.f.x, &r.p);
	gate_leave(g, &r.f.x, &r.p, REASON_CLIENT_GONE);
	ok(r.f.finishes == 0 && r.f.sent.n == 0, "… and leaves");
	is_span(span_of(only_line()), "allow - client-gone" LOGGED "ok" CLAIMS,
	    "… and is logged");
	request_free(&r);
}

static void
test_fault(void)
{
	static const enum reason why[] = { REASON_POLICY_ERROR,
		REASON_POLICY_UNAVAILABLE };
	static const char *const get[] = { "REQUEST_METHOD=GET", V2, NULL };
	static const char *const head[] = { "REQUEST_METHOD=HEAD", NULL };
	struct request r;

	for (size_t i = 0; i < 4; i++) {
		request_make(&r, "/ok", i < 2 ? get : head, SPAN(""));
		gate_fault(&r.f.x, why[i % 2]);
		is_span(buf_span(&r.f.sent), own_answer(why[i % 2], "", i >= 2),
		    "no policy");
		ok(r.f.finishes == 1, "… once");
		request_free(&r);
	}
}

/* E81: no descriptor for the pipes, or for the socket. */
static void
test_overloaded(struct gate *g, const char *path, const char *log)
{
	static const char *const vars[] = { "REQUEST_METHOD=GET", V2, NULL };
	struct rlimit old, none;
	struct request r;

	new_log();
	request_make(&r, path, vars, SPAN(""));
	getrlimit(RLIMIT_NOFILE, &old);
	none = (struct rlimit){ 3, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	run(g, &r, 0);
	setrlimit(RLIMIT_NOFILE, &old);
	is_span(buf_span(&r.f.sent),
	    own_answer(REASON_OVERLOADED, ALLOW, false), "no descriptor");
	is_span(span_of(only_line()), expand(log), "… is logged");
	request_free(&r);
}

/* A handler that goes on after its answer counts until it ends. */
static void
test_outlive(struct gate *g)
{
	static const char *const vars[] = { "REQUEST_METHOD=GET", V2, NULL };
	struct request r;

	new_log();
	request_make(&r, "/after", vars, SPAN(""));
	run(g, &r, 0);
	ok(r.f.finishes == 1 && strcmp(folder_text("done"), "done\n") == 0,
	    "a handler goes on after its answer, and is waited for");
	is_span(buf_span(&r.f.sent), TEXT, "… its answer");
	request_free(&r);
	new_log();
	request_make(&r, "/stubborn", vars, SPAN(""));
	run(g, &r, 0);
	ok(r.f.finishes == 1 &&
		strstr(folder_text("log"), " allow 200 ok ") != NULL &&
		strstr(folder_text("log"), "goes on after its answer") != NULL,
	    "… but not for ever");
	request_free(&r);
}

/* The lines of one request have one id, those of others have others. */
static void
test_ids(struct gate *g)
{
	static const char *const vars[] = { "REQUEST_METHOD=GET", NULL };
	struct request r[2];

	for (int i = 0; i < 2; i++) {
		request_make(&r[i], "/ok", vars, SPAN(""));
		run(g, &r[i], 0);
	}
	ok(r[0].p.id != r[1].p.id && r[0].p.id <= 0xFFFFFFFF,
	    "each request has its own id");
	request_free(&r[0]);
	request_free(&r[1]);
}

/* --- several at once --- */

struct thread {
	pthread_t thread;
	struct gate *g;
	unsigned slot;
	bool good;
};

static void *
work(void *arg)
{
	static const char *const vars[] = { "REQUEST_METHOD=POST", V2,
		"CONTENT_LENGTH=5", NULL };
	struct thread *t = arg;

	t->good = true;
	for (int i = 0; i < 5; i++) {
		struct request r;

		request_make(&r, "/seven", vars, SPAN("hello"));
		run(t->g, &r, t->slot);
		t->good &= r.f.finishes == 1 && r.f.status == 7 &&
		    span_eq(buf_span(&r.f.sent), SPAN(TEXT "body"));
		request_free(&r);
	}
	return NULL;
}

static void
test_threads(struct gate *g)
{
	struct thread t[SLOTS];
	size_t lines = 0;
	bool good = true;

	new_log();
	for (unsigned i = 0; i < SLOTS; i++) {
		t[i] = (struct thread){ .g = g, .slot = i };
		if (pthread_create(&t[i].thread, NULL, work, &t[i]) != 0)
			bail();
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		pthread_join(t[i].thread, NULL);
		good &= t[i].good;
	}
	for (const char *s = folder_text("log"); *s != '\0'; s++)
		lines += *s == '\n';
	ok(good && lines == SLOTS * 5, "%d handlers at once", SLOTS);
}

/* --- a server elsewhere (SPEC 4.1, E102) --- */

/* A backend that takes one request and answers it. */
struct backend {
	pthread_t thread;
	int listener;
	struct span says; /* words, or else `raw` */
	bool raw, silent; /* it waits until the front has closed */
	struct buf heard, bytes;
};

static void
backend_hear(struct backend *k, int fd)
{
	struct span seen;
	ssize_t n = 1;

	do {
		if (io_wait(fd, POLLIN, io_now() + 60000) <= 0)
			bail();
		n = read(fd, must(buf_room(&k->bytes, 65536)), 65536);
		k->bytes.n += n > 0 ? (size_t)n : 0;
		seen = buf_span(&k->bytes);
	} while (n > 0 &&
	    (k->silent || seen.n < 8 ||
		!span_eq(span_skip(seen, seen.n - 8),
		    SPAN("\1\5\0\1\0\0\0\0"))));
	talk_show(&k->heard, seen);
}

static int
backend_let_in(struct backend *k)
{
	if (io_wait(k->listener, POLLIN, io_now() + 60000) <= 0)
		bail();
	return accept4(k->listener, NULL, NULL, SOCK_CLOEXEC);
}

static void
backend_say(const struct backend *k, int fd)
{
	struct buf out;

	buf_init(&out, TALK_MAX);
	if (k->raw)
		buf_add_span(&out, k->says);
	else
		talk_add(&out, k->says.p, 0);
	send(fd, out.p, out.n, MSG_NOSIGNAL);
	buf_free(&out);
}

static void *
backend_work(void *arg)
{
	struct backend *k = arg;
	int fd = backend_let_in(k);

	backend_hear(k, fd);
	backend_say(k, fd);
	close(fd);
	return NULL;
}

static void
backend_start(struct backend *k, const char *says)
{
	char fault[256];
	const struct io_listen o = { .address = expand("unix:@/backend"),
		.mode = 0600 };

	*k = (struct backend){ .says = span_of(says) };
	k->listener = io_listen(&o, fault, sizeof(fault));
	if (k->listener == -1)
		bail();
	buf_init(&k->heard, TALK_MAX);
	buf_init(&k->bytes, TALK_MAX);
}

static void
backend_run(struct backend *k)
{
	if (pthread_create(&k->thread, NULL, backend_work, k) != 0)
		bail();
}

static void
backend_end(struct backend *k)
{
	close(k->listener);
	buf_free(&k->heard);
	buf_free(&k->bytes);
}

#define DONE " stdout:1 end:1:\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
#define PLAIN "stdout:1:Content-Type:\\x20text/plain\\x0a\\x0a"
#define STATUS(s) " end:1:\\x00\\x00\\x00" s "\\x00\\x00\\x00\\x00"
#define REFUSAL(s) "end:1:\\x00\\x00\\x00\\x00" s "\\x00\\x00\\x00"
#define OURS                                                   \
	"AMP_CORS_FRONT=1,AMP_CORS_VERSION=2,AMP_CORS_SENDER=" \
	"sender@company.example"
#define ASKED(vars, length)                                              \
	"begin:1:1: params:1:" vars ",SCRIPT_NAME=/forward," OURS length \
	" params:1"
#define GET "REQUEST_METHOD=GET"
#define POST "REQUEST_METHOD=POST"
#define BACKEND " detail=\"unix:@/backend: "

static const struct forward_case {
	const char *name;
	const char *vars[VARS];
	struct span body;
	const char *heard;         /* by the backend; NULL: ASKED by a GET */
	const char *says;          /* and what it says; NULL: nothing, ever */
	bool raw;                  /* … and these bytes are no words */
	enum reason own;           /* an answer of ours; or: */
	const char *sent, *errors; /* errors NULL: none */
	bool gone, broken;
	int status;
	const char *log;
} forwards[] = {
	{ .name = "a GET",
	    .vars = { GET, V2 },
	    .says = PLAIN "body" DONE,
	    .sent = TEXT "body",
	    .log = "allow 200 ok" LOGGED "forward" CLAIMS },
	{ .name = "a body (4.3)",
	    .vars = { POST, V2, "CONTENT_LENGTH=5" },
	    .body = { "hello and more", 14 },
	    .heard = ASKED(POST "," V2 ",CONTENT_LENGTH=5",
		"") " stdin:1:hello stdin:1",
	    .says = PLAIN "body" DONE,
	    .sent = TEXT "body",
	    .log = "allow 200 ok" LOGGED "forward" POSTED },
	{ .name = "a body of unknown length (E36)",
	    .vars = { POST, V2, "CONTENT_LENGTH=-1" },
	    .body = { "hello", 5 },
	    .heard = ASKED(POST "," V2,
		",CONTENT_LENGTH=5") " stdin:1:hello stdin:1",
	    .says = PLAIN "body" DONE,
	    .sent = TEXT "body",
	    .log = "allow 200 ok" LOGGED "forward" POSTED },
	{ .name = "an empty one",
	    .vars = { POST, V2 },
	    .body = { "", 0 },
	    .heard = ASKED(POST "," V2, ",CONTENT_LENGTH=0") " stdin:1",
	    .says = PLAIN DONE,
	    .sent = TEXT,
	    .log = "allow 200 ok" LOGGED "forward" POSTED },
	{ .name = "what passes and what does not (E10, E12, 4.2)",
	    .vars = { GET, V2, "HTTP_AUTHORIZATION=x", "HTTP_PROXY=y",
		"SCRIPT_FILENAME=proxy:fcgi://127.0.0.1:9000/a.php",
		"FCGI_ROLE=RESPONDER", "PATH_INFO=/info", "AMP_CORS_ORIGIN=z" },
	    .heard = "begin:1:1: params:1:" GET "," V2
		     ",HTTP_AUTHORIZATION=x," OURS ",SCRIPT_NAME=/forward,"
		     "PATH_INFO=/info,SCRIPT_FILENAME=/a.php params:1 stdin:1",
	    .says = PLAIN DONE,
	    .sent = TEXT,
	    .log = "allow 200 ok" LOGGED "forward" CLAIMS },
	{ .name = "an exit status (E51)",
	    .vars = { GET, V2 },
	    .says = PLAIN "body" STATUS("\\x07"),
	    .status = 7,
	    .sent = TEXT "body",
	    .log = "allow 200 ok" LOGGED "forward" CLAIMS
		   " detail=\"exit status 7\"" },
	{ .name = "errors between (E103)",
	    .vars = { GET, V2 },
	    .says =
		"stderr:1:one\\x0a " PLAIN "bo stderr:1:two stdout:1:dy" DONE,
	    .sent = TEXT "body",
	    .errors = " handler: one\n handler: two\n",
	    .log = "allow 200 ok" LOGGED "forward" CLAIMS },
	{ .name = "one that is overloaded",
	    .vars = { GET, V2 },
	    .says = REFUSAL("\\x02"),
	    .own = REASON_OVERLOADED,
	    .log = "allow 503 overloaded" LOGGED "forward" CLAIMS BACKEND
		   "overloaded\"" },
	{ .name = "one that is no Responder",
	    .vars = { GET, V2 },
	    .says = REFUSAL("\\x03"),
	    .own = REASON_BACKEND_REFUSED,
	    .log = "allow 502 backend-refused" LOGGED "forward" CLAIMS BACKEND
		   "does not serve responders\"" },
	{ .name = "one that hangs up",
	    .vars = { GET, V2 },
	    .says = "",
	    .own = REASON_BACKEND_REFUSED,
	    .log = "allow 502 backend-refused" LOGGED "forward" CLAIMS BACKEND
		   "closed the connection\"" },
	{ .name = "one that speaks something else",
	    .vars = { GET, V2 },
	    .says = "HTTP/1.1 400 Bad Request\r\n\r\n",
	    .raw = true,
	    .own = REASON_HANDLER_BAD_ANSWER,
	    .log = "allow 502 handler-bad-answer" LOGGED
		   "forward" CLAIMS BACKEND "what it says is no FastCGI\"" },
	{ .name = "an answer that is none",
	    .vars = { GET, V2 },
	    .says = "stdout:1:hello\\x0a\\x0a" DONE,
	    .own = REASON_HANDLER_BAD_ANSWER,
	    .log = "allow 502 handler-bad-answer" LOGGED "forward" CLAIMS
		   " detail=\"a header line without a colon\"" },
	{ .name = "an end without an answer",
	    .vars = { GET, V2 },
	    .says = STATUS("\\x00"),
	    .own = REASON_HANDLER_BAD_ANSWER,
	    .log = "allow 502 handler-bad-answer" LOGGED "forward" CLAIMS
		   " detail=\"no whole header block\"" },
	{ .name = "one that hangs up within the header block",
	    .vars = { GET, V2 },
	    .says = "stdout:1:Content-Type",
	    .own = REASON_HANDLER_DIED,
	    .log = "allow 502 handler-died" LOGGED "forward" CLAIMS BACKEND
		   "closed the connection\"" },
	{ .name = "… within its body (E52)",
	    .vars = { GET, V2 },
	    .says = PLAIN "half",
	    .sent = TEXT "half",
	    .broken = true,
	    .log = "allow 200 handler-died" LOGGED "forward" CLAIMS BACKEND
		   "closed the connection\"" },
	{ .name = "silence: it is told to give up",
	    .vars = { GET, V2 },
	    .heard = ASKED(GET "," V2, "") " stdin:1 abort:1",
	    .own = REASON_HANDLER_TIMEOUT,
	    .log = "allow 504 handler-timeout" LOGGED "forward" CLAIMS
		   " detail=\"silent for `timeout`\"" },
	{ .name = "a client that has gone (4.8)",
	    .vars = { GET, V2 },
	    .heard = ASKED(GET "," V2, "") " stdin:1 abort:1",
	    .gone = true,
	    .sent = "",
	    .broken = true,
	    .log = "allow - client-gone" LOGGED "forward" CLAIMS },
};

/* The error lines less the id in front of each. */
static struct span
less_ids(const struct buf *errors)
{
	static char out[1024];
	struct span rest = buf_span(errors), line;
	char *to = out;

	while (span_cut(&rest, '\n', &line))
		if (line.n > 8)
			to +=
			    sprintf(to, "%.*s\n", (int)line.n - 8, line.p + 8);
	return (struct span){ out, (size_t)(to - out) };
}

static void
test_forward_case(struct gate *g, const struct forward_case *c, bool in_parts)
{
	const char *heard =
	    c->heard == NULL ? ASKED(GET "," V2, "") " stdin:1" : c->heard;
	struct backend k;
	struct request r;

	new_log();
	backend_start(&k, c->says);
	k.silent = c->says == NULL;
	k.raw = c->raw;
	backend_run(&k);
	request_make(&r, "/forward", c->vars, c->body);
	r.in_parts = in_parts;
	if (c->gone)
		fake_leave(&r.f);
	ok(run(g, &r, 0) && r.f.finishes == !c->broken &&
		r.f.status == c->status && r.f.cuts == (c->broken && !c->gone),
	    "forward%s: %s", in_parts ? ", in parts" : "", c->name);
	pthread_join(k.thread, NULL);
	is_span(buf_span(&r.f.sent),
	    c->sent != NULL ? c->sent : own_answer(c->own, ALLOW, false),
	    "… its answer");
	is_span(buf_span(&k.heard), heard, "… what the backend heard");
	is_span(less_ids(&r.f.errors), c->errors == NULL ? "" : c->errors,
	    "… its errors");
	is_span(span_of(only_line()), expand(c->log), "… its line in the log");
	request_free(&r);
	backend_end(&k);
}

/* A long body of unknown length is spooled, and its length is true (E36). */
static void
test_forward_spool(struct gate *g)
{
	static const char *const vars[] = { POST, V2, NULL };
	static char text[300000];
	struct span rest, content, heard;
	unsigned type, id;
	struct backend k;
	struct request r;
	size_t n = 0, same = 0;

	memset(text, 'x', sizeof(text));
	new_log();
	backend_start(&k, PLAIN "body" DONE);
	backend_run(&k);
	request_make(&r, "/forward", vars, (struct span){ text, sizeof(text) });
	run(g, &r, 0);
	pthread_join(k.thread, NULL);
	rest = buf_span(&k.bytes);
	while (talk_cut(&rest, &type, &id, &content)) {
		n += type == WIRE_STDIN ? content.n : 0;
		same += type == WIRE_STDIN && content.n > 0 &&
		    memcmp(content.p, text, content.n) != 0;
	}
	heard = buf_span(&k.heard);
	ok(n == sizeof(text) && same == 0 &&
		memmem(heard.p, heard.n, "CONTENT_LENGTH=300000 ", 22) != NULL,
	    "a long body of unknown length arrives");
	is_span(buf_span(&r.f.sent), TEXT "body", "… and is answered");
	request_free(&r);
	backend_end(&k);
}

/* --- connections that are kept (E105) --- */

enum { ALIKE = 3 };

/* One who asks at an endpoint. */
struct asker {
	pthread_t thread;
	struct gate *g;
	unsigned slot;
	bool good;
};

static void *
ask_once(void *arg)
{
	static const char *const vars[] = { GET, V2, NULL };
	static const char *const paths[ALIKE] = { "/a", "/b", "/c" };
	struct asker *a = arg;
	struct request r;

	request_make(&r, paths[a->slot], vars, SPAN(""));
	run(a->g, &r, a->slot);
	a->good = span_eq(buf_span(&r.f.sent), SPAN(TEXT "body"));
	request_free(&r);
	return NULL;
}

static bool
is_open(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN;
}

/* One request to each endpoint, all at once; how many connections are kept. */
static unsigned
ask_all(struct gate *g, struct backend *k, int fd[])
{
	struct asker a[ALIKE];
	unsigned kept = 0, good = 0;

	for (unsigned i = 0; i < ALIKE; i++) {
		a[i] = (struct asker){ .g = g, .slot = i };
		if (pthread_create(&a[i].thread, NULL, ask_once, &a[i]) != 0)
			bail();
	}
	for (unsigned i = 0; i < ALIKE; i++) {
		fd[i] = backend_let_in(k);
		buf_clear(&k->bytes);
		backend_hear(k, fd[i]);
	}
	for (unsigned i = 0; i < ALIKE; i++)
		backend_say(k, fd[i]);
	for (unsigned i = 0; i < ALIKE; i++) {
		pthread_join(a[i].thread, NULL);
		good += a[i].good;
	}
	for (unsigned i = 0; i < ALIKE; i++)
		kept += is_open(fd[i]);
	ok(good == ALIKE, "%u of %d are answered at once", good, ALIKE);
	return kept;
}

/* Endpoints that forward to one address share what is kept for it. */
static void
test_keep(struct gate_options o, const char *endpoints, unsigned want)
{
	struct backend k;
	struct gate *g;
	unsigned kept;
	char text[1024];
	int fd[ALIKE];

	snprintf(text, sizeof(text),
	    "[policy]\nsenders = sender@company.example\n"
	    "forward = unix:@/backend\n%s",
	    endpoints);
	set_policy(&o, load("keep.ini", text, CONF_FOR_SERVER));
	new_log();
	backend_start(&k, PLAIN "body" DONE);
	g = gate_new(&o);
	kept = ask_all(g, &k, fd);
	ok(kept == want, "%u connections are kept, of %u", kept, want);
	gate_free(g);
	live_free(o.live);
	kept = 0;
	for (unsigned i = 0; i < ALIKE; i++) {
		kept += is_open(fd[i]);
		close(fd[i]);
	}
	ok(kept == 0, "… until the end");
	backend_end(&k);
}

static void
test_keeps(struct gate_options o)
{
	test_keep(o,
	    "forward_keep = 1\n[endpoint a]\npath = /a\n"
	    "[endpoint b]\npath = /b\n[endpoint c]\npath = /c\n",
	    1);
	test_keep(o,
	    "[endpoint a]\npath = /a\n"
	    "[endpoint b]\npath = /b\nforward_keep = 2\n"
	    "[endpoint c]\npath = /c\nforward_keep = 1\n",
	    2);
	test_keep(o,
	    "forward_keep = 1\n[endpoint a]\npath = /a\n"
	    "[endpoint b]\npath = /b\nforward_keep = 0\n"
	    "[endpoint c]\npath = /c\nforward_keep = 3\n",
	    3);
	test_keep(o,
	    "[endpoint a]\npath = /a\n[endpoint b]\npath = /b\n"
	    "[endpoint c]\npath = /c\n",
	    0);
}

/* --- a policy that is exchanged while a request is on its way --- */

static const char before_text[] =
    "[policy]\nsenders = sender@company.example\nexpose_headers = X-Before\n"
    "[endpoint one]\npath = /one\nexec = @/ok\n"
    "[endpoint two]\npath = /two\nhandler = none\n"
    "[endpoint forward]\npath = /forward\nforward = unix:@/backend\n";
static const char after_text[] =
    "[policy]\nsenders = other@company.example\nexpose_headers = X-After\n"
    "[endpoint two]\npath = /two\nhandler = none\n"
    "[endpoint three]\npath = /three\nexec = @/seven\n";

#define EXPOSED "AMP-Access-Control-Allow-Source-Origin, X-Before\r\n"
#define BEFORE                                                               \
	"Status: 200 OK\r\nContent-Type: text/plain\r\n" VARY                \
	"Access-Control-Allow-Origin: https://mail.google.com\r\n"           \
	"AMP-Access-Control-Allow-Source-Origin: sender@company.example\r\n" \
	"Access-Control-Expose-Headers: " EXPOSED                            \
	"\r\n1 sender@company.example -"

static void
replace_policy(const struct gate_options *o, const char *name, const char *text)
{
	if (!live_replace(o->live, load(name, text, CONF_FOR_SERVER)))
		bail();
}

/* Between gate_enter() and gate_run() it may wait, and policies come and go. */
static void
test_exchange(struct gate_options o)
{
	static const char *const vars[] = { GET, V1, "QUERY_STRING=" QUERY,
		NULL };
	struct request r, later;
	struct gate *g;

	set_policy(&o, load("before.ini", before_text, CONF_FOR_SERVER));
	g = gate_new(&o);
	request_make(&r, "/one", vars, SPAN(""));
	ok(gate_enter(g, &r.f.x, &r.p), "a request enters");
	replace_policy(&o, "after.ini", after_text);
	request_make(&later, "/two", vars, SPAN(""));
	ok(!gate_enter(g, &later.f.x, &later.p), "… and one after a reload");
	is_span(buf_span(&later.f.sent),
	    own_answer(REASON_SENDER_NOT_ALLOWED, VARY, false),
	    "… which the new policy refuses");
	request_free(&later);
	replace_policy(&o, "after.ini", after_text);
	new_log();
	gate_run(g, &r.f.x, &r.p, 0);
	gate_linger(g, 0, -1);
	is_span(buf_span(&r.f.sent), BEFORE, "… the first keeps the old one");
	is_span(span_of(only_line()), "allow 200 ok" LOGGED_1 "one" CLAIMS_1,
	    "… also in the log");
	request_free(&r);
	gate_free(g);
	live_free(o.live);
}

/* A server elsewhere is the old policy's, too. */
static void
test_exchange_forward(struct gate_options o)
{
	static const char *const vars[] = { GET, V2, NULL };
	struct backend k;
	struct request r;
	struct gate *g;

	set_policy(&o, load("before.ini", before_text, CONF_FOR_SERVER));
	g = gate_new(&o);
	backend_start(&k, PLAIN "body" DONE);
	backend_run(&k);
	request_make(&r, "/forward", vars, SPAN(""));
	gate_enter(g, &r.f.x, &r.p);
	replace_policy(&o, "after.ini", after_text);
	gate_run(g, &r.f.x, &r.p, 0);
	pthread_join(k.thread, NULL);
	is_span(buf_span(&r.f.sent), TEXT "body",
	    "one that is forwarded after a reload");
	request_free(&r);
	backend_end(&k);
	gate_free(g);
	live_free(o.live);
}

static void
test_exchange_leave(struct gate_options o)
{
	static const char *const vars[] = { GET, V2, NULL };
	struct request r;
	struct gate *g;

	for (int busy = 0; busy < 2; busy++) {
		set_policy(&o,
		    load("before.ini", before_text, CONF_FOR_SERVER));
		g = gate_new(&o);
		request_make(&r, "/one", vars, SPAN(""));
		gate_enter(g, &r.f.x, &r.p);
		replace_policy(&o, "after.ini", after_text);
		new_log();
		gate_leave(g, &r.f.x, &r.p,
		    busy ? REASON_BUSY : REASON_CLIENT_GONE);
		is_span(span_of(only_line()),
		    busy ? "allow 503 busy" LOGGED "one" CLAIMS :
			   "allow - client-gone" LOGGED "one" CLAIMS,
		    "one that leaves after a reload");
		request_free(&r);
		gate_free(g);
		live_free(o.live);
	}
}

static const char keep_text[] =
    "[policy]\nsenders = sender@company.example\nforward_keep = 3\n"
    "forward = unix:@/backend\n[endpoint a]\npath = /a\n"
    "[endpoint b]\npath = /b\n[endpoint c]\npath = /c\n";

/*
 * Connections that the old policy has kept occupy the backend (E105): they do
 * not stay for a request that still runs by it.
 */
static void
test_keep_reload(struct gate_options o)
{
	const struct live_policy *p;
	struct backend k;
	struct gate *g;
	unsigned open = 0;
	int fd[ALIKE];

	set_policy(&o, load("keep.ini", keep_text, CONF_FOR_SERVER));
	new_log();
	backend_start(&k, PLAIN "body" DONE);
	g = gate_new(&o);
	ok(ask_all(g, &k, fd) == ALIKE, "all connections are kept");
	p = live_hold(o.live);
	replace_policy(&o, "keep.ini", keep_text);
	for (unsigned i = 0; i < ALIKE; i++) {
		open += is_open(fd[i]);
		close(fd[i]);
	}
	ok(open == 0, "… until the next policy is in force");
	live_release(o.live, p);
	ok(ask_all(g, &k, fd) == ALIKE, "… which keeps its own");
	for (unsigned i = 0; i < ALIKE; i++)
		close(fd[i]);
	gate_free(g);
	live_free(o.live);
	backend_end(&k);
}

/* --- exec_mode = replace --- */

/* A whole CGI request in a process of its own; what it writes. */
static const char *
cgi_output(const struct gate_options *o, const char *path)
{
	static char text[8192];
	size_t used = 0;
	ssize_t n;
	int fd[2];
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) == -1)
		bail();
	pid = fork();
	if (pid == 0) {
		static const char *const vars[] = { "REQUEST_METHOD=GET", V2,
			NULL };
		struct gate *g = gate_new(o);
		struct gate_passage p;
		struct request r;
		struct cgi c;

		dup2(fd[1], STDOUT_FILENO);
		request_make(&r, path, vars, SPAN(""));
		cgi_init(&c, r.vars, 0);
		if (gate_enter(g, &c.x, &p)) {
			cgi_begin(&c);
			gate_run(g, &c.x, &p, 0);
		}
		gate_linger(g, 0, -1);
		_exit(0);
	}
	close(fd[1]);
	while ((n = read(fd[0], text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)n;
	text[used] = '\0';
	close(fd[0]);
	waitpid(pid, NULL, 0);
	return text;
}

static void
test_replace(struct gate_options o)
{
	struct conf *conf = load("replace.ini",
	    "[policy]\nsenders = sender@company.example\n"
	    "exec_mode = replace\n"
	    "[endpoint ok]\npath = /ok\nexec = @/ok\n"
	    "[endpoint none]\npath = /none\nexec = @/none\n",
	    CONF_FOR_CGI);
	char without[4096];

	snprintf(without, sizeof(without), "%s%s", ALLOW,
	    own_answer(REASON_HANDLER_MISSING, "", false));
	set_policy(&o, conf);
	o.slots = 1;
	new_log();
	is_span(span_of(cgi_output(&o, "/ok")),
	    ALLOW "Content-Type: text/plain\n\n2 sender@company.example -",
	    "our fields, and then the handler itself");
	is_span(span_of(only_line()),
	    "allow - ok" LOGGED "ok" CLAIMS
	    " detail=\"replaced by its handler\"",
	    "… is logged");
	new_log();
	is_span(span_of(cgi_output(&o, "/none")), without,
	    "one that is not there: ours, behind the fields");
	live_free(o.live);
}

/* SPEC 4.2: in CGI the two environments are one. */
static void
test_cgi(struct gate_options o)
{
	o.slots = 1;
	new_log();
	is_span(span_of(cgi_output(&o, "/ok")),
	    TEXT "2 sender@company.example -", "a CGI request");
	is_span(span_of(only_line()), "allow 200 ok" LOGGED "ok" CLAIMS,
	    "… is logged");
	is_span(span_of(cgi_output(&o, "/words")),
	    own_answer(REASON_POLICY_ERROR, ALLOW, false),
	    "no program is taken from a CGI request's command line");
}

int
main(void)
{
	static char words[3][PATH_MAX], *argv[4];
	struct conf *conf;
	struct gate *g;
	struct gate_options o;
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigprocmask(SIG_BLOCK, &pipe, NULL);
	folder_make();
	make_handlers();
	conf = load("policy.ini", policy_text, CONF_FOR_SERVER);
	strcpy(words[0], in_folder("words"));
	strcpy(words[1], "one");
	strcpy(words[2], "two");
	for (int i = 0; i < 3; i++)
		argv[i] = words[i];
	o = (struct gate_options){ .argc = 3,
		.argv = argv,
		.environment = argv + 3,
		.slots = SLOTS };
	set_policy(&o, conf);
	g = gate_new(&o);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		test_case(g, &cases[i]);
	test_status(g);
	test_leave(g);
	test_fault();
	test_overloaded(g, "/ok",
	    "allow 503 overloaded" LOGGED "ok" CLAIMS
	    " detail=\"Too many open files\"");
	test_overloaded(g, "/forward",
	    "allow 503 overloaded" LOGGED "forward" CLAIMS
	    " detail=\"unix:@/backend: Too many open files\"");
	test_outlive(g);
	test_ids(g);
	test_threads(g);
	for (size_t i = 0; i < sizeof(forwards) / sizeof(forwards[0]); i++) {
		test_forward_case(g, &forwards[i], false);
		test_forward_case(g, &forwards[i], true);
	}
	test_forward_spool(g);
	test_keeps(o);
	test_keep_reload(o);
	test_exchange(o);
	test_exchange_forward(o);
	test_exchange_leave(o);
	test_cgi(o);
	test_replace(o);
	gate_free(g);
	gate_free(NULL);
	live_free(o.live);
	log_open("test", "stderr", LOG_INFO);
	folder_remove();
	return tap_done();
}
