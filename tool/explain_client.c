#include "explain_client.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "explain_steps.h"
#include "query.h"
#include "target.h"

const char *
explain_client_word(enum explain_level l)
{
	static const char *const words[] = { "note", "warning", "error" };

	return words[l];
}

/* What does not fit is left out: nothing here has so much to say. */
__attribute__((format(printf, 3, 4))) static void
say(struct explain_remarks *out, enum explain_level level, const char *fmt, ...)
{
	struct explain_remark *r = &out->remark[out->n];
	va_list ap;

	if (out->n == EXPLAIN_REMARKS_MAX)
		return;
	out->n++;
	r->level = level;
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
}

/* Is this field in the answer, with a value? */
static bool
has_field(const struct explain_case *c, struct span name)
{
	for (size_t i = 0; i < c->nfields; i++)
		if (span_eq(c->fields[i].name, name))
			return c->fields[i].value.n > 0;
	return false;
}

/* --- refusals --- */

/* Why a mail client never asks so, where that is the reason; or NULL. */
static const char *
never_sent(const struct explain_case *c)
{
	switch (c->decision.reason) {
	case REASON_NO_AMP_HEADERS:
		return "No mail client asks like this: version 2 sends "
		       "AMP-Email-Sender, version 1 sends Origin and the "
		       "parameter __amp_source_origin.";
	case REASON_SOURCE_ORIGIN_MISSING:
		return "No mail client asks in version 1 without "
		       "__amp_source_origin; any page in a browser does.";
	case REASON_SOURCE_ORIGIN_REPEATED:
		return "A mail client adds the parameter by itself: take it "
		       "out of the mail's URL, if it is there.";
	case REASON_BAD_ENCODING:
		return "A mail client encodes the parameter correctly; "
		       "something between it and the front does not.";
	case REASON_VARIABLE_REPEATED:
		return "A mail client sends each of them once; something "
		       "between it and the front repeats them.";
	case REASON_BAD_BYTE:
		return "No mail client sends such bytes.";
	case REASON_BAD_ADDRESS:
		return "A mail client sends the bare address of From, without "
		       "name or brackets.";
	default:
		return NULL;
	}
}

static void
refused(const struct explain_case *c, struct explain_remarks *out)
{
	const struct policy_request *r = &c->env.policy;
	const char *never = never_sent(c);

	if (span_eq(r->method, SPAN("OPTIONS")) && r->want_method.n > 0 &&
	    r->sender.n == 0)
		say(out, EXPLAIN_ERROR,
		    "A browser does not send the request that this preflight "
		    "asks for.");
	else
		say(out, EXPLAIN_ERROR,
		    "A mail client shows nothing of this answer, which has no "
		    "field that allows the sender: an amp-list shows its "
		    "fallback, an amp-form its submit-error.");
	if (never != NULL)
		say(out, EXPLAIN_NOTE, "%s", never);
	if (c->decision.version == 2 && r->origin.n > 0 &&
	    c->decision.reason != REASON_VERSION_NOT_ALLOWED)
		say(out, EXPLAIN_NOTE,
		    "It has an Origin too, but a refusal in version 2 never "
		    "falls back to version 1.");
}

static void
reported(struct explain_remarks *out)
{
	say(out, EXPLAIN_WARNING,
	    "mode = report lets it through, and the front adds only Vary: a "
	    "client shows the answer if the handler's own fields allow the "
	    "sender, and nothing else.");
}

/* --- preflights --- */

/* Methods that a browser asks for without leave (Fetch, 2.2.1). */
static bool
is_listed_method(const struct policy *p, struct span method)
{
	struct span rest = p->allow_methods, word;

	if (span_eq(method, SPAN("GET")) || span_eq(method, SPAN("HEAD")) ||
	    span_eq(method, SPAN("POST")))
		return true;
	while (span_word(&rest, &word))
		if (span_eq(word, method))
			return true;
	return false;
}

static bool
is_listed_header(const struct policy *p, struct span name)
{
	struct span rest = p->allow_headers, word;

	while (span_word(&rest, &word))
		if (span_caseeq(word, name))
			return true;
	return false;
}

static void
preflight(const struct explain_case *c, struct explain_remarks *out)
{
	const struct policy_request *r = &c->env.policy;
	const struct policy *p = &c->endpoint->policy;
	struct span names =
	    cgienv_get(c->vars, SPAN("HTTP_ACCESS_CONTROL_REQUEST_HEADERS"));
	struct span name;

	if (r->origin.n == 0)
		say(out, EXPLAIN_ERROR,
		    "A browser stops here: the answer has no "
		    "Access-Control-Allow-Origin, as the request has no "
		    "Origin, which every browser sends.");
	if (!is_listed_method(p, r->want_method))
		say(out, EXPLAIN_ERROR,
		    "A browser stops here: methods does not have %s.",
		    SHOWN(r->want_method));
	while (span_word(&names, &name))
		if (!is_listed_header(p, name))
			say(out, EXPLAIN_ERROR,
			    "A browser stops here: request_headers does not "
			    "have %s.",
			    SHOWN(name));
	say(out, EXPLAIN_NOTE,
	    "This allows only the asking: the request that follows is decided "
	    "by itself, and has the sender.");
}

/* --- allowed --- */

/* A parameter beside AMP-Email-Sender that says something else. */
static void
other_sender(const struct explain_case *c, struct explain_remarks *out)
{
	char text[ORIGIN_MAX];
	size_t n;

	if (query_get(c->env.policy.query, SPAN("__amp_source_origin"), text,
		sizeof(text), &n) == QUERY_FOUND &&
	    !span_eq((struct span){ text, n }, c->decision.sender))
		say(out, EXPLAIN_NOTE,
		    "__amp_source_origin names another sender, \"%s\"; version "
		    "2 does not look at it.",
		    SHOWN(((struct span){ text, n })));
}

static void
version_2(const struct explain_case *c, struct explain_remarks *out)
{
	struct span origin = c->env.policy.origin;

	if (origin.n > 0 && c->decision.origin.p == NULL)
		say(out, EXPLAIN_NOTE,
		    "A page of \"%s\" in a browser could not read the answer, "
		    "which has no Access-Control-Allow-Origin: list it in "
		    "browser_origins, if it is to.  A mail client that asks "
		    "from its own server does not mind.",
		    SHOWN(origin));
	other_sender(c, out);
}

/* Other letters than those that the rule is looked up by [SPEC 3.2]. */
static void
letters(const struct explain_case *c, struct explain_remarks *out)
{
	struct span sender = c->decision.sender;
	bool upper = false;

	for (size_t i = 0; i < sender.n; i++)
		upper |= sender.p[i] != span_lower(sender.p[i]);
	if (upper)
		say(out, EXPLAIN_NOTE,
		    "The sender has upper-case letters.  They make no "
		    "difference%s, and the answer repeats them as they came, "
		    "since clients compare every byte.",
		    c->endpoint->policy.fold_local ?
			"" :
			" behind the '@' (local_part_case = sensitive)");
}

/* Cookies are a browser's affair: a mail client sends none. */
static void
credentials(const struct explain_case *c, struct explain_remarks *out)
{
	if (has_field(c, SPAN("Access-Control-Allow-Credentials")))
		say(out, EXPLAIN_NOTE,
		    "credentials = yes: a page of this origin may ask with the "
		    "reader's cookies.");
	else if (c->decision.version == 2 && c->decision.origin.p != NULL)
		say(out, EXPLAIN_NOTE,
		    "A page that asks with cookies could not read the answer: "
		    "that needs credentials = yes.  Mail clients send none.");
}

static void
allowed(const struct explain_case *c, struct explain_remarks *out)
{
	if (c->decision.version == 2)
		version_2(c, out);
	letters(c, out);
	credentials(c, out);
}

/* --- what comes beside the decision --- */

/* A path at which the server answers something else [SPEC 7.2]. */
static bool
is_metrics(const struct explain_case *c)
{
	struct span path = span_of(conf_server(c->conf)->metrics_path);
	struct span name = c->env.script_name, info = c->env.path_info;
	struct span method = c->env.policy.method;

	return path.p != NULL && !c->authorizer && path.n == name.n + info.n &&
	    span_starts(path, name) &&
	    (info.n == 0 || span_eq(span_skip(path, name.n), info)) &&
	    (span_eq(method, SPAN("GET")) || span_eq(method, SPAN("HEAD")));
}

static void
beside(const struct explain_case *c, struct explain_remarks *out)
{
	const char *fault =
	    c->runs && c->endpoint->handler == CONF_HANDLER_EXEC ?
	    target_fault(c->endpoint->exec) :
	    NULL;

	if (fault != NULL)
		say(out, EXPLAIN_ERROR,
		    "The handler %s %s, as far as this user can see: the "
		    "answer would be an error of the front's, with these "
		    "fields.",
		    SHOWN(span_of(c->endpoint->exec)), fault);
	if (c->answer == REASON_BODY_TOO_LARGE)
		say(out, EXPLAIN_ERROR,
		    "The body is larger than max_body: the request is allowed, "
		    "but the handler never gets it.");
	if (c->runs && c->endpoint->replace)
		say(out, EXPLAIN_WARNING,
		    "exec_mode = replace: nothing takes out what the handler "
		    "itself says of these fields, and a client refuses two of "
		    "a kind.");
	if (is_metrics(c))
		say(out, EXPLAIN_WARNING,
		    "It is the path of metrics: a FastCGI server answers it "
		    "with its counters, and decides nothing.");
	if (c->authorizer && c->answer == REASON_OK)
		say(out, EXPLAIN_NOTE,
		    "The web server must put these fields on the handler's "
		    "answer: of an Authorizer's it takes what it likes.");
}

void
explain_client(const struct explain_case *c, struct explain_remarks *out)
{
	const struct policy_decision *d = &c->decision;

	out->n = 0;
	switch (policy_outcome(d)) {
	case POLICY_OUTCOME_ALLOW:
		allowed(c, out);
		break;
	case POLICY_OUTCOME_PREFLIGHT:
		preflight(c, out);
		break;
	case POLICY_OUTCOME_REPORT:
		reported(out);
		break;
	case POLICY_OUTCOME_DENY:
	case POLICY_OUTCOMES:
		refused(c, out);
		break;
	}
	beside(c, out);
}
