#include <ctype.h>

#include "reason.h"
#include "tap.h"

/* SPEC 2.11, once more: the words and statuses are promises. */
static const struct {
	enum reason reason;
	const char *word;
	unsigned status;
} cases[] = {
	{ REASON_OK, "ok", 200 },
	{ REASON_PREFLIGHT, "preflight", 204 },
	{ REASON_VARIABLE_REPEATED, "variable-repeated", 403 },
	{ REASON_BAD_BYTE, "bad-byte", 403 },
	{ REASON_BAD_ENCODING, "bad-encoding", 403 },
	{ REASON_BAD_ADDRESS, "bad-address", 403 },
	{ REASON_NO_AMP_HEADERS, "no-amp-headers", 403 },
	{ REASON_VERSION_NOT_ALLOWED, "version-not-allowed", 403 },
	{ REASON_ORIGIN_NOT_ALLOWED, "origin-not-allowed", 403 },
	{ REASON_SENDER_NOT_ALLOWED, "sender-not-allowed", 403 },
	{ REASON_SOURCE_ORIGIN_MISSING, "source-origin-missing", 403 },
	{ REASON_SOURCE_ORIGIN_REPEATED, "source-origin-repeated", 403 },
	{ REASON_NOT_REDIRECTED, "not-redirected", 403 },
	{ REASON_BAD_REQUEST, "bad-request", 400 },
	{ REASON_NO_ENDPOINT, "no-endpoint", 404 },
	{ REASON_BODY_TIMEOUT, "body-timeout", 408 },
	{ REASON_BODY_TOO_LARGE, "body-too-large", 413 },
	{ REASON_HANDLER_FORBIDDEN, "handler-forbidden", 403 },
	{ REASON_HANDLER_MISSING, "handler-missing", 404 },
	{ REASON_HANDLER_NOT_STARTED, "handler-not-started", 502 },
	{ REASON_HANDLER_BAD_ANSWER, "handler-bad-answer", 502 },
	{ REASON_HANDLER_DIED, "handler-died", 502 },
	{ REASON_HANDLER_REDIRECT, "handler-redirect", 502 },
	{ REASON_HANDLER_TIMEOUT, "handler-timeout", 504 },
	{ REASON_BACKEND_REFUSED, "backend-refused", 502 },
	{ REASON_BUSY, "busy", 503 },
	{ REASON_OVERLOADED, "overloaded", 503 },
	{ REASON_POLICY_ERROR, "policy-error", 500 },
	{ REASON_HANDLER_LOOP, "handler-loop", 500 },
	{ REASON_POLICY_UNAVAILABLE, "policy-unavailable", 503 },
	{ REASON_CLIENT_GONE, "client-gone", 0 },
};

enum { CASES = sizeof(cases) / sizeof(cases[0]) };

/* One sentence that can stand in a JSON string as it is. */
static bool
is_sentence(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (s[i] < 0x20 || s[i] > 0x7E || s[i] == '"' || s[i] == '\\')
			return false;
	return n > 10 && isupper((unsigned char)s[0]) && s[n - 1] == '.';
}

static void
test_phrases(void)
{
	static const struct {
		unsigned status;
		const char *phrase;
	} phrases[] = {
		{ 200, "OK" },
		{ 204, "No Content" },
		{ 302, "Found" },
		{ 304, "Not Modified" },
		{ 400, "Bad Request" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 408, "Request Timeout" },
		{ 413, "Content Too Large" },
		{ 422, "Unprocessable Content" },
		{ 500, "Internal Server Error" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 199, "Informational" },
		{ 299, "Successful" },
		{ 399, "Redirection" },
		{ 499, "Client Error" },
		{ 599, "Server Error" },
		{ 0, "Unknown" },
		{ 600, "Unknown" },
		{ 4294967295U, "Unknown" },
	};

	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		is_span(span_of(reason_phrase(phrases[i].status)),
		    phrases[i].phrase, "phrase");
}

int
main(void)
{
	unsigned seen[REASON_COUNT] = { 0 };

	for (size_t i = 0; i < CASES; i++) {
		enum reason r = cases[i].reason;

		is_span(span_of(reason_word(r)), cases[i].word, "word");
		ok(reason_status(r) == cases[i].status, "%s: its status",
		    cases[i].word);
		ok(is_sentence(reason_text(r)), "%s: a sentence: %s",
		    cases[i].word, reason_text(r));
		seen[r]++;
		for (size_t j = 0; j < i; j++)
			if (strcmp(reason_text(r),
				reason_text(cases[j].reason)) == 0)
				ok(false, "%s: a sentence of its own",
				    cases[i].word);
	}
	for (size_t i = 0; i < REASON_COUNT; i++)
		ok(seen[i] == 1, "reason %zu is in this table", i);
	test_phrases();
	return tap_done();
}
