#include "probe_attack.h"

#include <stdio.h>

#include "probe_fields.h"

static bool
is_ok(const struct probe_answer *a)
{
	return a->status >= 200 && a->status <= 299;
}

/* Does the field allow the attacker, by name or as everybody? */
static bool
allows(const struct probe_answer *a, const char *name, const char *bad)
{
	return probe_fields_is(a, name, "*") ||
	    probe_fields_holds(a, name, bad);
}

/* A browser compares the whole origin, and so must we. */
static bool
allows_origin(const struct probe_answer *a, const char *origin)
{
	return probe_fields_is(a, ALLOW_ORIGIN, "*") ||
	    probe_fields_is(a, ALLOW_ORIGIN, origin);
}

/* Would a browser send AMP-Email-Sender behind this preflight? */
static bool
allows_header(const struct probe_answer *a)
{
	return probe_fields_lists(a, ALLOW_HEADERS, "*") ||
	    probe_fields_lists(a, ALLOW_HEADERS, "AMP-Email-Sender");
}

static bool
lets_in(const struct probe_request *q, const struct probe_answer *a)
{
	if (!is_ok(a))
		return false;
	switch (q->place) {
	case PROBE_IN_ORIGIN:
		return allows_origin(a, q->bad) &&
		    (!q->preflight || allows_header(a));
	case PROBE_IN_SENDER:
		return allows(a, ALLOW_SENDER, q->bad);
	case PROBE_IN_SOURCE:
		return allows(a, ALLOW_SOURCE, q->bad) &&
		    allows_origin(a, q->origin);
	case PROBE_NOWHERE:
		break;
	}
	return probe_fields_count(a, ALLOW_SENDER) > 0 ||
	    probe_fields_is(a, ALLOW_ORIGIN, "*");
}

/* Of two values, or of a part of one, the allowed one was taken. */
static bool
took_listed(const struct probe_request *q, const struct probe_answer *a)
{
	if (q->listed == NULL)
		return false;
	if (q->place == PROBE_IN_SENDER)
		return probe_fields_is(a, ALLOW_SENDER, q->listed);
	return probe_fields_is(a, ALLOW_SOURCE, q->listed) &&
	    allows_origin(a, q->origin);
}

/* Does this field send the attacker's value back?  Locations may. */
static bool
is_echo(const struct probe_request *q, const struct field *f)
{
	if (q->bad == NULL || span_caseeq(f->name, SPAN("Location")))
		return false;
	if (q->place == PROBE_IN_ORIGIN)
		return span_eq(span_trim(f->value), span_of(q->bad));
	return probe_fields_within(f->value, q->bad);
}

static void
find_echo(const struct probe_request *q, const struct probe_answer *a,
    struct probe_report *out)
{
	for (size_t i = 0; i < a->n_fields; i++) {
		const struct field *f = &a->fields[i];

		if (!is_echo(q, f))
			continue;
		probe_report_add(out, PROBE_ECHO, PROBE_WARNING,
		    "the attacker's value comes back in %s: %s",
		    probe_report_value(f->name).text,
		    probe_report_value(f->value).text);
		return;
	}
}

static void
find_headers(const struct probe_answer *a, struct probe_report *out)
{
	char names[400] = "";
	size_t n = 0;

	for (size_t i = 0; i < a->n_fields && n < sizeof(names) - 1; i++)
		if (probe_fields_is_cors(&a->fields[i]))
			n += (size_t)snprintf(names + n, sizeof(names) - n,
			    "%s%s", n > 0 ? ", " : "",
			    probe_report_value(a->fields[i].name).text);
	if (n > 0)
		probe_report_add(out, PROBE_HEADERS_ON_REFUSAL, PROBE_WARNING,
		    "refused, and yet with %s", names);
}

static void
judge_refusal(const struct probe_request *q, const struct probe_answer *a,
    struct probe_report *out)
{
	out->verdict = PROBE_REFUSED;
	if (a->status < 400 || a->status > 499)
		probe_report_add(out, PROBE_ODD_REFUSAL, PROBE_NOTE,
		    "status %u is no refusal", a->status);
	find_headers(a, out);
	find_echo(q, a, out);
}

/* 2xx, but without what the attacker needs. */
static void
judge_answered(const struct probe_request *q, const struct probe_answer *a,
    struct probe_report *out)
{
	out->verdict = PROBE_ANSWERS;
	if (took_listed(q, a))
		probe_report_add(out, PROBE_AMBIGUOUS, PROBE_WARNING,
		    "taken for a request of %s, though another value stands "
		    "in it",
		    probe_report_value(span_of(q->listed)).text);
	else if (q->place == PROBE_IN_ORIGIN &&
	    (q->preflight || q->sender != NULL))
		/* version 2 asks nothing of Origin: the browser does */
		out->verdict = PROBE_KEPT_OUT;
	else
		probe_report_add(out, PROBE_ANSWERED, PROBE_WARNING,
		    "status %u: no client shows the content, but the request "
		    "may have been carried out",
		    a->status);
	find_echo(q, a, out);
}

void
probe_attack(const struct probe_request *q, const struct probe_answer *a,
    struct probe_report *out)
{
	bool split = probe_fields_count(a, PROBE_INJECTED) > 0;

	if (split)
		probe_report_add(out, PROBE_INJECTION, PROBE_ERROR,
		    "the parameter wrote a field of its own, " PROBE_INJECTED);
	if (lets_in(q, a))
		probe_report_add(out, PROBE_LETS_IN, PROBE_ERROR,
		    "allowed, as anybody else would be: %s",
		    q->bad == NULL ? "who names nobody" : q->bad);
	if (probe_report_count(out, PROBE_ERROR) > 0)
		out->verdict = PROBE_IN;
	else if (is_ok(a))
		judge_answered(q, a, out);
	else
		judge_refusal(q, a, out);
}
