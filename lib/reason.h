/*
 * reason: every way in which a request can end, with its word, its status and
 * its sentence.  One table, used by bodies, logs and tests alike [SPEC 2.11].
 */
#ifndef REASON_H
#define REASON_H

enum reason {
	REASON_OK,
	REASON_PREFLIGHT,
	/* the policy's refusals: 403 */
	REASON_VARIABLE_REPEATED,
	REASON_BAD_BYTE,
	REASON_BAD_ENCODING,
	REASON_BAD_ADDRESS,
	REASON_NO_AMP_HEADERS,
	REASON_VERSION_NOT_ALLOWED,
	REASON_ORIGIN_NOT_ALLOWED,
	REASON_SENDER_NOT_ALLOWED,
	REASON_SOURCE_ORIGIN_MISSING,
	REASON_SOURCE_ORIGIN_REPEATED,
	REASON_NOT_REDIRECTED,
	/* no request that could be decided */
	REASON_BAD_REQUEST,
	REASON_NO_ENDPOINT,
	/* allowed, but its body or its handler failed */
	REASON_BODY_TIMEOUT,
	REASON_BODY_TOO_LARGE,
	REASON_HANDLER_FORBIDDEN,
	REASON_HANDLER_MISSING,
	REASON_HANDLER_NOT_STARTED,
	REASON_HANDLER_BAD_ANSWER,
	REASON_HANDLER_DIED,
	REASON_HANDLER_REDIRECT,
	REASON_HANDLER_TIMEOUT,
	REASON_BACKEND_REFUSED,
	REASON_BUSY,
	REASON_OVERLOADED,
	/* the front itself is not in order */
	REASON_POLICY_ERROR,
	REASON_HANDLER_LOOP,
	REASON_POLICY_UNAVAILABLE,
	/* nobody is left to be answered: for the log alone */
	REASON_CLIENT_GONE,
	REASON_COUNT
};

/* "sender-not-allowed": stable, the same in bodies, logs and metrics. */
const char *reason_word(enum reason r);

/* One sentence for the client, without a byte of the request. */
const char *reason_text(enum reason r);

/*
 * The status of our own answer, without a handler (REASON_OK: 200); 0 where
 * there is none (REASON_CLIENT_GONE).
 */
unsigned reason_status(enum reason r);

/*
 * The reason phrase of an HTTP status code, "Forbidden" for 403; where the
 * code is in no list, that of its class.
 */
const char *reason_phrase(unsigned status);

#endif
