#include "probe_judge.h"

#include "probe_attack.h"
#include "probe_fields.h"
#include "probe_json.h"

struct judge {
	const struct probe_request *q;
	const struct probe_answer *a;
	struct probe_report *r;
	enum probe_severity severity; /* of what spoils the answer */
};

static bool
is_ok(const struct probe_answer *a)
{
	return a->status >= 200 && a->status <= 299;
}

static bool
is_redirect(const struct probe_answer *a)
{
	return a->status >= 300 && a->status <= 399 && a->status != 304;
}

/* --- the protocol's fields ------------------------------------------------ */

/*
 * The field is there once, with the value that was asked; or with a star, which
 * some clients take.
 */
static bool
check_field(struct judge *j, const char *name, const char *want, bool star)
{
	size_t n = probe_fields_count(j->a, name);
	struct span is = probe_fields_first(j->a, name);
	struct probe_value wanted = probe_report_value(span_of(want));

	if (n == 0)
		probe_report_add(j->r, PROBE_MISSING_HEADER, j->severity,
		    "%s is missing; it must be %s", name, wanted.text);
	else if (n > 1)
		probe_report_add(j->r, PROBE_DOUBLED_HEADER, j->severity,
		    "%s is there %zu times", name, n);
	else if (span_eq(is, SPAN("*"))) {
		probe_report_add(j->r, PROBE_WILDCARD,
		    star ? PROBE_WARNING : j->severity,
		    "%s is *; it should be %s", name, wanted.text);
		return star;
	} else if (!span_eq(is, span_of(want)))
		probe_report_add(j->r, PROBE_WRONG_VALUE, j->severity,
		    "%s is %s; it must be %s", name,
		    probe_report_value(is).text, wanted.text);
	else
		return true;
	return false;
}

static bool
check_exposed(struct judge *j)
{
	struct span is = probe_fields_first(j->a, EXPOSE_HEADERS);

	if (is.p == NULL)
		probe_report_add(j->r, PROBE_MISSING_HEADER, j->severity,
		    EXPOSE_HEADERS " is missing; it must be " ALLOW_SOURCE);
	else if (!probe_fields_lists(j->a, EXPOSE_HEADERS, ALLOW_SOURCE))
		probe_report_add(j->r, PROBE_NOT_EXPOSED, j->severity,
		    EXPOSE_HEADERS " is %s, without " ALLOW_SOURCE,
		    probe_report_value(is).text);
	else
		return true;
	return false;
}

/* Version 1 compares two values, and wants the third field too. */
static bool
check_version_1(struct judge *j)
{
	bool origin = check_field(j, ALLOW_ORIGIN, j->q->origin, false);
	bool source = check_field(j, ALLOW_SOURCE, j->q->source, false);

	return check_exposed(j) && origin && source;
}

/* A star is allowed in version 2, and means everybody. */
static bool
check_version_2(struct judge *j)
{
	return check_field(j, ALLOW_SENDER, j->q->sender, true);
}

/* Who asks in both versions takes version 1's answer of an older server. */
static bool
check_both(struct judge *j)
{
	if (probe_fields_count(j->a, ALLOW_SENDER) > 0 ||
	    probe_fields_count(j->a, ALLOW_SOURCE) == 0)
		return check_version_2(j);
	probe_report_add(j->r, PROBE_VERSION_1_ANSWER, PROBE_WARNING,
	    "answered as version 1; a client of version 2 alone shows "
	    "nothing");
	return check_version_1(j);
}

static void
check_extra(struct judge *j)
{
	static const char *const names[] = { ALLOW_ORIGIN, ALLOW_SOURCE };

	if (probe_fields_is(j->a, ALLOW_ORIGIN, "*")) {
		probe_report_add(j->r, PROBE_WILDCARD, PROBE_WARNING,
		    ALLOW_ORIGIN " is *: any page may read this answer");
		return;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (probe_fields_count(j->a, names[i]) > 0)
			probe_report_add(j->r, PROBE_EXTRA_HEADER, PROBE_NOTE,
			    "%s is not asked for", names[i]);
}

static bool
check_cors(struct judge *j)
{
	const struct probe_request *q = j->q;
	bool both = q->source != NULL && q->sender != NULL, good;

	if (q->sender == NULL)
		return check_version_1(j);
	good = both ? check_both(j) : check_version_2(j);
	if (q->who == PROBE_CLIENT &&
	    (!both || probe_fields_count(j->a, ALLOW_SENDER) > 0))
		check_extra(j);
	return good;
}

/* --- the rest of the header ----------------------------------------------- */

static bool
check_status(struct judge *j)
{
	struct span to = probe_fields_first(j->a, "Location");

	if (is_redirect(j->a))
		probe_report_add(j->r, PROBE_REDIRECT, j->severity,
		    "status %u, to %s", j->a->status,
		    probe_report_value(to).text);
	else if (!is_ok(j->a))
		probe_report_add(j->r, PROBE_STATUS, j->severity, "status %u",
		    j->a->status);
	return is_ok(j->a);
}

/* Two fields that can turn any answer into another one's. */
static void
check_vary(struct judge *j)
{
	bool origin = probe_fields_lists(j->a, "Vary", "Origin");
	bool sender = probe_fields_lists(j->a, "Vary", "AMP-Email-Sender");
	bool kept = !probe_fields_lists(j->a, "Cache-Control", "no-store");

	if ((origin && sender) || probe_fields_lists(j->a, "Vary", "*"))
		return;
	probe_report_add(j->r, PROBE_NO_VARY, kept ? PROBE_WARNING : PROBE_NOTE,
	    "Vary does not name %s: a cache may give this answer to others",
	    sender     ? "Origin" :
		origin ? "AMP-Email-Sender" :
			 "Origin and AMP-Email-Sender");
}

static void
check_others(struct judge *j)
{
	check_vary(j);
	if (probe_fields_is(j->a, ALLOW_ORIGIN, "*") &&
	    probe_fields_is(j->a, ALLOW_CREDENTIALS, "true"))
		probe_report_add(j->r, PROBE_CREDENTIALS_WILDCARD, PROBE_ERROR,
		    ALLOW_CREDENTIALS " is true, and " ALLOW_ORIGIN " is *");
	if (probe_fields_lists(j->a, EXPOSE_HEADERS, ALLOW_SENDER))
		probe_report_add(j->r, PROBE_EXPOSES_SENDER, PROBE_NOTE,
		    EXPOSE_HEADERS " names " ALLOW_SENDER);
	if (probe_fields_count(j->a, "Set-Cookie") > 0)
		probe_report_add(j->r, PROBE_COOKIE, PROBE_NOTE,
		    "Set-Cookie is of no use here");
}

/* --- the content ---------------------------------------------------------- */

static bool
ends_in_json(struct span type)
{
	return span_caseeq(type, SPAN("text/json")) ||
	    (type.n > 5 &&
		span_caseeq(span_skip(type, type.n - 5), SPAN("+json")));
}

static bool
check_type(struct judge *j)
{
	struct span is = probe_fields_first(j->a, "Content-Type");
	struct span rest = is, type = { "", 0 };
	struct probe_value shown = probe_report_value(is);
	size_t n = probe_fields_count(j->a, "Content-Type");

	span_cut(&rest, ';', &type);
	type = span_trim(type);
	if (n == 0)
		probe_report_add(j->r, PROBE_MISSING_HEADER, j->severity,
		    "Content-Type is missing; it must be application/json");
	else if (n > 1)
		probe_report_add(j->r, PROBE_DOUBLED_HEADER, j->severity,
		    "Content-Type is there %zu times", n);
	else if (span_caseeq(type, SPAN("application/json")))
		return true;
	else if (ends_in_json(type)) {
		probe_report_add(j->r, PROBE_CONTENT_TYPE, PROBE_WARNING,
		    "Content-Type is %s", shown.text);
		return true;
	} else
		probe_report_add(j->r, PROBE_CONTENT_TYPE, j->severity,
		    "Content-Type is %s; it must be application/json",
		    shown.text);
	return false;
}

static bool
check_body(struct judge *j)
{
	size_t at = 0;
	const char *fault;

	if (j->a->body.n == 0) {
		probe_report_add(j->r, PROBE_EMPTY_BODY, j->severity,
		    "the body is empty, which is no JSON");
		return false;
	}
	fault = probe_json_fault(buf_span(&j->a->body), &at);
	if (fault == NULL)
		return true;
	probe_report_add(j->r, PROBE_BAD_JSON, j->severity,
	    "the body is no JSON: %s (byte %zu of %zu)", fault, at + 1,
	    j->a->body.n);
	return false;
}

/* What a 2xx must carry, whoever asks for it. */
static bool
check_content(struct judge *j)
{
	bool good = check_type(j);

	return j->a->fault == PROBE_FAULT_NONE && check_body(j) && good;
}

/* --- a refusal of our front ----------------------------------------------- */

/* Its word, where the body has the form of SPEC 2.10; else absent. */
static struct span
refusal_word(struct span body)
{
	struct span start = SPAN("{\"error\":{\"code\":\""), word;
	struct span absent = { NULL, 0 }, rest;
	size_t at = 0;

	if (!span_starts(body, start) || probe_json_fault(body, &at) != NULL)
		return absent;
	rest = span_skip(body, start.n);
	return span_cut(&rest, '"', &word) && word.n > 0 ? word : absent;
}

/*
 * The server says itself why: its refusal has no field of the protocol, and
 * must have none [SPEC 2.10].
 */
static bool
is_refused(struct judge *j)
{
	struct span word;

	if (j->a->status != 403 || j->a->fault != PROBE_FAULT_NONE)
		return false;
	for (size_t i = 0; i < j->a->n_fields; i++)
		if (probe_fields_is_cors(&j->a->fields[i]))
			return false;
	word = refusal_word(buf_span(&j->a->body));
	if (word.p == NULL)
		return false;
	j->r->verdict = PROBE_NOTHING_SHOWN;
	probe_report_add(j->r, PROBE_SERVER_REFUSES, j->severity,
	    "the server refuses: %s", probe_report_value(word).text);
	return true;
}

/* --- who asked ------------------------------------------------------------ */

static void
judge_client(struct judge *j)
{
	bool taken, good;

	if (is_refused(j))
		return;
	good = check_status(j);
	j->r->verdict = PROBE_NOTHING_SHOWN;
	if (is_redirect(j->a))
		return;
	taken = check_cors(j);
	good = good && check_content(j);
	check_others(j);
	if (taken)
		j->r->verdict = good ? PROBE_SHOWN : PROBE_ERROR_SHOWN;
}

/* Is the page's origin let in, so that the rest matters? */
static bool
lets_page_in(const struct judge *j)
{
	return is_ok(j->a) &&
	    (probe_fields_is(j->a, ALLOW_ORIGIN, j->q->origin) ||
		probe_fields_is(j->a, ALLOW_ORIGIN, "*"));
}

/* Each name that the preflight asked for. */
static bool
check_allowed_headers(struct judge *j)
{
	struct span ask = SPAN("Access-Control-Request-Headers: ");
	struct span list = { NULL, 0 }, word;
	bool good = true;

	for (const char **h = j->q->headers; *h != NULL; h++)
		if (span_starts(span_of(*h), ask))
			list = span_skip(span_of(*h), ask.n);
	while (span_cut(&list, ',', &word)) {
		struct probe_value name = probe_report_value(word);

		if (probe_fields_lists(j->a, ALLOW_HEADERS, name.text) ||
		    probe_fields_lists(j->a, ALLOW_HEADERS, "*"))
			continue;
		good = false;
		probe_report_add(j->r, PROBE_HEADER_NOT_ALLOWED, j->severity,
		    ALLOW_HEADERS " does not name %s", name.text);
	}
	return good;
}

/* The request itself: the same of its content as from a mail client. */
static void
judge_page(struct judge *j, bool taken)
{
	bool ok = is_ok(j->a), good;

	taken = check_cors(j) && taken;
	good = ok && check_content(j);
	check_others(j);
	j->r->verdict = !taken || is_redirect(j->a) ? PROBE_NOTHING_SHOWN :
	    good                                    ? PROBE_SHOWN :
						      PROBE_ERROR_SHOWN;
}

static void
judge_browser(struct judge *j)
{
	bool ok, taken = true;

	if (!j->q->insist && !lets_page_in(j)) {
		j->r->verdict = PROBE_NO_BROWSERS;
		probe_report_add(j->r, PROBE_NOT_FOR_BROWSERS, PROBE_NOTE,
		    "status %u, and %s is not allowed; no mail client minds",
		    j->a->status, j->q->origin);
		return;
	}
	if (is_refused(j))
		return;
	ok = check_status(j);
	if (j->q->source == NULL)
		taken = check_field(j, ALLOW_ORIGIN, j->q->origin, true);
	if (!j->q->preflight) {
		judge_page(j, taken);
		return;
	}
	taken = check_allowed_headers(j) && taken;
	j->r->verdict = ok && taken ? PROBE_GOES_ON : PROBE_NOTHING_SHOWN;
}

/* --- what came of the connection ------------------------------------------ */

static const struct {
	enum probe_code code;
	const char *text;
} faults[] = {
	[PROBE_FAULT_NAME] = { PROBE_UNKNOWN_NAME, "the name is not known" },
	[PROBE_FAULT_CONNECT] = { PROBE_UNREACHABLE, "nobody answers there" },
	[PROBE_FAULT_TLS] = { PROBE_TLS, "no agreement on TLS" },
	[PROBE_FAULT_CERTIFICATE] = { PROBE_CERTIFICATE,
	    "the certificate is not to be trusted" },
	[PROBE_FAULT_TIMEOUT] = { PROBE_TIMEOUT, "no whole answer in time" },
	[PROBE_FAULT_CLOSED] = { PROBE_CLOSED,
	    "the connection ended before an answer" },
	[PROBE_FAULT_NOT_HTTP] = { PROBE_NOT_HTTP, "the answer is no HTTP" },
	[PROBE_FAULT_HEAD_LARGE] = { PROBE_HEAD_TOO_LARGE,
	    "the header does not end within 256 KiB" },
	[PROBE_FAULT_BODY_LARGE] = { PROBE_BODY_TOO_LARGE,
	    "the body does not end within 4 MiB" },
	[PROBE_FAULT_CUT] = { PROBE_CUT_OFF, "the body ended too early" },
	[PROBE_FAULT_ENCODING] = { PROBE_BAD_ENCODING,
	    "the body is not what Content-Encoding says" },
	[PROBE_FAULT_OTHER] = { PROBE_TRANSFER, "the transfer failed" },
	[PROBE_FAULT_MEMORY] = { PROBE_TRANSFER, "no memory for the answer" },
};

/* The header says all about an attack, a preflight and who is not let in. */
static bool
is_read(const struct judge *j)
{
	if (j->q->who == PROBE_BROWSER)
		return !j->q->preflight && (j->q->insist || lets_page_in(j));
	return j->q->who == PROBE_CLIENT;
}

static void
judge_fault(struct judge *j)
{
	const struct probe_answer *a = j->a;

	if (a->fault == PROBE_FAULT_NONE || (a->status != 0 && !is_read(j)))
		return;
	probe_report_add(j->r, faults[a->fault].code, j->severity, "%s%s%s",
	    faults[a->fault].text, a->detail[0] == '\0' ? "" : ": ", a->detail);
}

void
probe_judge(const struct probe_request *q, const struct probe_answer *a,
    struct probe_report *out)
{
	struct judge j = { q, a, out, PROBE_WARNING };

	if (q->who == PROBE_CLIENT || (q->who == PROBE_BROWSER && q->insist))
		j.severity = PROBE_ERROR;
	judge_fault(&j);
	if (a->status == 0)
		out->verdict = PROBE_NO_ANSWER;
	else if (q->who == PROBE_ATTACKER)
		probe_attack(q, a, out);
	else if (q->who == PROBE_BROWSER)
		judge_browser(&j);
	else
		judge_client(&j);
}

void
probe_judge_connection(const struct probe_request *q,
    const struct probe_answer *a, bool insecure, struct probe_report *out)
{
	struct span address = span_of(a->address), url = span_of(q->url);
	bool loopback =
	    span_starts(address, SPAN("127.")) || span_eq(address, SPAN("::1"));
	bool plain =
	    url.n >= 5 && span_caseeq((struct span){ url.p, 5 }, SPAN("http:"));

	if (plain && address.n > 0)
		probe_report_add(out, PROBE_NO_TLS,
		    loopback ? PROBE_WARNING : PROBE_ERROR,
		    "the request went over http to %s", a->address);
	if (insecure && !plain)
		probe_report_add(out, PROBE_INSECURE, PROBE_WARNING,
		    "nobody checked the certificate (--insecure)");
}
