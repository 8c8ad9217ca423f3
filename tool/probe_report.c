#include "probe_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *word, *mend;
} codes[PROBE_CODES] = {
	[PROBE_NO_TLS] = { "no-tls",
	    "serve the endpoint over https; mail clients take no other" },
	[PROBE_INSECURE] = { "insecure",
	    "leave --insecure out as soon as the certificate is in order" },
	[PROBE_FRAGMENT] = { "fragment",
	    "leave the fragment out of the URL; no client sends one" },
	[PROBE_CERTIFICATE] = { "certificate",
	    "install a valid certificate for this name, with its whole chain" },
	[PROBE_TLS] = { "tls", "let the server speak TLS 1.2 or 1.3 there" },
	[PROBE_UNKNOWN_NAME] = { "unknown-name",
	    "look at the URL, and at the DNS records of the name" },
	[PROBE_UNREACHABLE] = { "unreachable",
	    "see whether the server runs and listens there, and no firewall "
	    "is between" },
	[PROBE_TIMEOUT] = { "timeout",
	    "find out what the server waits for; mail clients give up too" },
	[PROBE_CLOSED] = { "closed",
	    "look into the server's error log: it ended without an answer" },
	[PROBE_NOT_HTTP] = { "not-http",
	    "see which program listens at this port" },
	[PROBE_HEAD_TOO_LARGE] = { "head-too-large",
	    "find out which program writes so many header fields" },
	[PROBE_BODY_TOO_LARGE] = { "body-too-large",
	    "send less; what was read is not checked further" },
	[PROBE_CUT_OFF] = { "cut-off",
	    "make Content-Length agree with the body, and see why it ended" },
	[PROBE_BAD_ENCODING] = { "bad-encoding",
	    "make Content-Encoding agree with the body" },
	[PROBE_TRANSFER] = { "transfer", "look into the server's error log" },
	[PROBE_STATUS] = { "status",
	    "see in the log why the request was not answered with 200" },
	[PROBE_SERVER_REFUSES] = { "server-refuses",
	    "is this sender in its list, and the origin? amp-cors explain "
	    "tells why" },
	[PROBE_REDIRECT] = { "redirect",
	    "answer at this URL, or use the other one in the mail" },
	[PROBE_MISSING_HEADER] = { "missing-header",
	    "send the field, whatever the status of the answer" },
	[PROBE_DOUBLED_HEADER] = { "doubled-header",
	    "let one program alone send it: the web server or the handler" },
	[PROBE_WRONG_VALUE] = { "wrong-value",
	    "send back the value of this very request" },
	[PROBE_WILDCARD] = { "wildcard",
	    "send back the value that was asked, if it is allowed" },
	[PROBE_CREDENTIALS_WILDCARD] = { "credentials-wildcard",
	    "leave Access-Control-Allow-Credentials out, or name the "
	    "origin" },
	[PROBE_NOT_EXPOSED] = { "not-exposed",
	    "send Access-Control-Expose-Headers: "
	    "AMP-Access-Control-Allow-Source-Origin" },
	[PROBE_EXPOSES_SENDER] = { "exposes-sender",
	    "take the name out of Access-Control-Expose-Headers" },
	[PROBE_VERSION_1_ANSWER] = { "version-1-answer",
	    "answer AMP-Email-Sender with AMP-Email-Allow-Sender" },
	[PROBE_EXTRA_HEADER] = { "extra-header",
	    "version 2 needs AMP-Email-Allow-Sender alone" },
	[PROBE_NO_VARY] = { "no-vary", "send Vary: Origin, AMP-Email-Sender" },
	[PROBE_CONTENT_TYPE] = { "content-type",
	    "send Content-Type: application/json" },
	[PROBE_EMPTY_BODY] = { "empty-body", "answer with JSON, be it {}" },
	[PROBE_BAD_JSON] = { "bad-json",
	    "let a library write the JSON; print nothing before or behind it" },
	[PROBE_COOKIE] = { "cookie", "set none: mail clients keep none" },
	[PROBE_NOT_FOR_BROWSERS] = { "not-for-browsers",
	    "nothing, unless you want to try mails in a playground" },
	[PROBE_HEADER_NOT_ALLOWED] = { "header-not-allowed",
	    "send it in Access-Control-Allow-Headers" },
	[PROBE_LETS_IN] = { "lets-in",
	    "compare the value, whole, with a list of what is allowed, and "
	    "answer 403 to all else" },
	[PROBE_INJECTION] = { "injection",
	    "refuse what holds a control byte, before it goes into a header" },
	[PROBE_AMBIGUOUS] = { "ambiguous",
	    "refuse what is there twice: the next program may take the other "
	    "one" },
	[PROBE_ANSWERED] = { "answered", "answer 403, and run nothing" },
	[PROBE_HEADERS_ON_REFUSAL] = { "headers-on-refusal",
	    "send none of these fields with a refusal" },
	[PROBE_ECHO] = { "echo",
	    "send nothing back that was not found in a list" },
	[PROBE_ODD_REFUSAL] = { "odd-refusal",
	    "answer 403; see in the log what went wrong" },
};

const char *
probe_code_word(enum probe_code code)
{
	return codes[code].word;
}

const char *
probe_code_mend(enum probe_code code)
{
	return codes[code].mend;
}

const char *
probe_severity_word(enum probe_severity s)
{
	static const char *const words[] = {
		[PROBE_NOTE] = "note",
		[PROBE_WARNING] = "warning",
		[PROBE_ERROR] = "error",
	};

	return words[s];
}

void
probe_report_add(struct probe_report *r, enum probe_code code,
    enum probe_severity severity, const char *fmt, ...)
{
	struct probe_finding *f = &r->list[r->n];
	va_list ap;

	if (r->n == PROBE_FINDINGS)
		return;
	r->n++;
	f->code = code;
	f->severity = severity;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

struct probe_value
probe_report_value(struct span s)
{
	struct probe_value v;
	size_t max = sizeof(v.text) - sizeof("...");

	snprintf(v.text, sizeof(v.text), "%.*s%s", (int)(s.n > max ? max : s.n),
	    s.n > 0 ? s.p : "", s.n > max ? "..." : "");
	return v;
}

size_t
probe_report_count(const struct probe_report *r, enum probe_severity s)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->list[i].severity == s;
	return n;
}
