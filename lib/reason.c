#include "reason.h"

#include <stddef.h>

struct entry {
	const char *word;
	unsigned status;
	const char *text;
};

static const struct entry table[REASON_COUNT] = {
	[REASON_OK] = { "ok", 200, "The request is allowed." },
	[REASON_PREFLIGHT] = { "preflight", 204, "The preflight is allowed." },
	[REASON_VARIABLE_REPEATED] = { "variable-repeated", 403,
	    "A header field or variable of the request came more than once." },
	[REASON_BAD_BYTE] = { "bad-byte", 403,
	    "The sender or the origin holds a byte that is not printable "
	    "ASCII." },
	[REASON_BAD_ENCODING] = { "bad-encoding", 403,
	    "The value of __amp_source_origin is not percent-encoded "
	    "correctly." },
	[REASON_BAD_ADDRESS] = { "bad-address", 403,
	    "The sender is not one plain mail address." },
	[REASON_NO_AMP_HEADERS] = { "no-amp-headers", 403,
	    "The request has neither AMP-Email-Sender nor Origin." },
	[REASON_VERSION_NOT_ALLOWED] = { "version-not-allowed", 403,
	    "This version of CORS for AMP email is not served here." },
	[REASON_ORIGIN_NOT_ALLOWED] = { "origin-not-allowed", 403,
	    "Requests from this origin are not allowed." },
	[REASON_SENDER_NOT_ALLOWED] = { "sender-not-allowed", 403,
	    "Messages of this sender may not use this address." },
	[REASON_SOURCE_ORIGIN_MISSING] = { "source-origin-missing", 403,
	    "The request has no __amp_source_origin parameter." },
	[REASON_SOURCE_ORIGIN_REPEATED] = { "source-origin-repeated", 403,
	    "The request has more than one __amp_source_origin parameter." },
	[REASON_NOT_REDIRECTED] = { "not-redirected", 403,
	    "This program cannot be asked for by its own address." },
	[REASON_BAD_REQUEST] = { "bad-request", 400,
	    "The request is not well formed." },
	[REASON_NO_ENDPOINT] = { "no-endpoint", 404,
	    "Nothing is served at this path." },
	[REASON_BODY_TIMEOUT] = { "body-timeout", 408,
	    "The body of the request did not arrive in time." },
	[REASON_BODY_TOO_LARGE] = { "body-too-large", 413,
	    "The body of the request is too large." },
	[REASON_HANDLER_FORBIDDEN] = { "handler-forbidden", 403,
	    "What serves this path may not be run." },
	[REASON_HANDLER_MISSING] = { "handler-missing", 404,
	    "What serves this path does not exist." },
	[REASON_HANDLER_NOT_STARTED] = { "handler-not-started", 502,
	    "The program behind this path could not be started." },
	[REASON_HANDLER_BAD_ANSWER] = { "handler-bad-answer", 502,
	    "The program behind this path gave an answer that is not valid." },
	[REASON_HANDLER_DIED] = { "handler-died", 502,
	    "The program behind this path ended without an answer." },
	[REASON_HANDLER_REDIRECT] = { "handler-redirect", 502,
	    "The program behind this path answered with a redirect." },
	[REASON_HANDLER_TIMEOUT] = { "handler-timeout", 504,
	    "The program behind this path did not answer in time." },
	[REASON_BACKEND_REFUSED] = { "backend-refused", 502,
	    "The server behind this path cannot be reached, or has gone." },
	[REASON_BUSY] = { "busy", 503,
	    "Too many requests are being served; try again soon." },
	[REASON_OVERLOADED] = { "overloaded", 503,
	    "The server is out of resources; try again later." },
	[REASON_POLICY_ERROR] = { "policy-error", 500,
	    "The server's policy is not in order." },
	[REASON_HANDLER_LOOP] = { "handler-loop", 500,
	    "The program behind this path would run itself." },
	[REASON_POLICY_UNAVAILABLE] = { "policy-unavailable", 503,
	    "The server cannot read its list of senders." },
	[REASON_CLIENT_GONE] = { "client-gone", 0,
	    "The client went away before the answer." },
};

const char *
reason_word(enum reason r)
{
	return table[r].word;
}

const char *
reason_text(enum reason r)
{
	return table[r].text;
}

unsigned
reason_status(enum reason r)
{
	return table[r].status;
}

struct phrase {
	unsigned status;
	const char *text;
};

/* RFC 9110 15, and the registry's others that servers do send */
static const struct phrase phrases[] = {
	{ 100, "Continue" },
	{ 101, "Switching Protocols" },
	{ 102, "Processing" },
	{ 103, "Early Hints" },
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 203, "Non-Authoritative Information" },
	{ 204, "No Content" },
	{ 205, "Reset Content" },
	{ 206, "Partial Content" },
	{ 207, "Multi-Status" },
	{ 208, "Already Reported" },
	{ 226, "IM Used" },
	{ 300, "Multiple Choices" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 305, "Use Proxy" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 402, "Payment Required" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 407, "Proxy Authentication Required" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 418, "I'm a teapot" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 423, "Locked" },
	{ 424, "Failed Dependency" },
	{ 425, "Too Early" },
	{ 426, "Upgrade Required" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 451, "Unavailable For Legal Reasons" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 506, "Variant Also Negotiates" },
	{ 507, "Insufficient Storage" },
	{ 508, "Loop Detected" },
	{ 510, "Not Extended" },
	{ 511, "Network Authentication Required" },
};

const char *
reason_phrase(unsigned status)
{
	static const char *const classes[] = { "Unknown", "Informational",
		"Successful", "Redirection", "Client Error", "Server Error" };

	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (phrases[i].status == status)
			return phrases[i].text;
	return classes[status / 100 < 6 ? status / 100 : 0];
}
