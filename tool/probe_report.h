/*
 * probe_report: what was found in an answer, each kind with its word and what
 * to do about it.  Pure.
 */
#ifndef PROBE_REPORT_H
#define PROBE_REPORT_H

#include "span.h"

enum probe_severity { PROBE_NOTE, PROBE_WARNING, PROBE_ERROR };

/* Each is listed in amp-cors(1). */
enum probe_code {
	/* the connection */
	PROBE_NO_TLS,
	PROBE_INSECURE,
	PROBE_FRAGMENT,
	PROBE_CERTIFICATE,
	PROBE_TLS,
	PROBE_UNKNOWN_NAME,
	PROBE_UNREACHABLE,
	PROBE_TIMEOUT,
	PROBE_CLOSED,
	PROBE_NOT_HTTP,
	PROBE_HEAD_TOO_LARGE,
	PROBE_BODY_TOO_LARGE,
	PROBE_CUT_OFF,
	PROBE_BAD_ENCODING,
	PROBE_TRANSFER,
	/* the answer to somebody who is allowed */
	PROBE_STATUS,
	PROBE_SERVER_REFUSES,
	PROBE_REDIRECT,
	PROBE_MISSING_HEADER,
	PROBE_DOUBLED_HEADER,
	PROBE_WRONG_VALUE,
	PROBE_WILDCARD,
	PROBE_CREDENTIALS_WILDCARD,
	PROBE_NOT_EXPOSED,
	PROBE_EXPOSES_SENDER,
	PROBE_VERSION_1_ANSWER,
	PROBE_EXTRA_HEADER,
	PROBE_NO_VARY,
	PROBE_CONTENT_TYPE,
	PROBE_EMPTY_BODY,
	PROBE_BAD_JSON,
	PROBE_COOKIE,
	PROBE_NOT_FOR_BROWSERS,
	PROBE_HEADER_NOT_ALLOWED,
	/* the answer to an attacker */
	PROBE_LETS_IN,
	PROBE_INJECTION,
	PROBE_AMBIGUOUS,
	PROBE_ANSWERED,
	PROBE_HEADERS_ON_REFUSAL,
	PROBE_ECHO,
	PROBE_ODD_REFUSAL,
	PROBE_CODES
};

enum probe_verdict {
	PROBE_NOT_ASKED,
	PROBE_NO_ANSWER,
	PROBE_SHOWN,         /* the client shows the content */
	PROBE_ERROR_SHOWN,   /* the client shows that it failed */
	PROBE_NOTHING_SHOWN, /* the client does not take the answer */
	PROBE_GOES_ON,       /* the browser sends the request itself */
	PROBE_NO_BROWSERS,   /* and need not let them in */
	PROBE_REFUSED,       /* the attacker, as it should be */
	PROBE_KEPT_OUT,      /* the attacker's page, by its browser */
	PROBE_ANSWERS,       /* the attacker, but no client shows it */
	PROBE_IN             /* the attacker is in */
};

enum { PROBE_FINDINGS = 32, PROBE_TEXT = 512 };

struct probe_finding {
	enum probe_code code;
	enum probe_severity severity;
	char text[PROBE_TEXT]; /* may hold any byte that the server sent */
};

struct probe_report {
	enum probe_verdict verdict;
	struct probe_finding list[PROBE_FINDINGS];
	size_t n;
};

/*
 * Adds a finding.  Its text is cut where it is too long, and a report that is
 * full takes no more: an answer cannot have so many.
 */
void probe_report_add(struct probe_report *r, enum probe_code code,
    enum probe_severity severity, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* A value of the server's as a text shows it: "..." stands for a long rest. */
struct probe_value {
	char text[132];
};
struct probe_value probe_report_value(struct span s);

/* How many of them are that severe. */
size_t probe_report_count(const struct probe_report *r, enum probe_severity s);

/* The code's word, what to do about it, and the severity's word. */
const char *probe_code_word(enum probe_code code);
const char *probe_code_mend(enum probe_code code);
const char *probe_severity_word(enum probe_severity s);

#endif
