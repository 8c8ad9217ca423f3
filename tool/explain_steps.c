#include "explain_steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "explain_repeat.h"
#include "logline.h"
#include "query.h"

/* --- texts --- */

const char *
explain_shown(struct span s, char out[EXPLAIN_SHOWN_MAX])
{
	const size_t most = (EXPLAIN_SHOWN_MAX - sizeof("...")) / 4;
	struct span cut = { s.p, s.n > most ? most : s.n };
	char room[EXPLAIN_SHOWN_MAX];
	struct buf text;

	buf_init_in(&text, sizeof(room), room, sizeof(room));
	logline_escape(&text, LOGLINE_TEXT, cut);
	snprintf(out, EXPLAIN_SHOWN_MAX, "%.*s%s", (int)text.n,
	    text.n == 0 ? "" : text.p, s.n > most ? "..." : "");
	buf_free(&text);
	return out;
}

const char *
explain_place(struct rules_at at, char out[EXPLAIN_SHOWN_MAX])
{
	*out = '\0';
	if (at.file != NULL)
		snprintf(out, EXPLAIN_SHOWN_MAX, "%.480s:%u",
		    SHOWN(span_of(at.file)), at.line);
	return out;
}

const char *
explain_steps_word(enum explain_found f)
{
	static const char *const words[] = { "ok", "yes", "no", "deny" };

	return words[f];
}

__attribute__((format(printf, 4, 0))) static void
add(struct explain_steps *s, const char *name, enum explain_found found,
    const char *fmt, va_list ap)
{
	struct explain_step *step = &s->step[s->n++];

	step->name = name;
	step->found = found;
	vsnprintf(step->text, sizeof(step->text), fmt, ap);
}

/* A step that goes on to the next one. */
__attribute__((format(printf, 4, 5))) static void
pass(struct explain_steps *s, const char *name, enum explain_found found,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(s, name, found, fmt, ap);
	va_end(ap);
}

/* The step that refuses.  False, for its caller to return. */
__attribute__((format(printf, 4, 5))) static bool
refuse(struct explain_steps *s, const char *name, enum reason why,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(s, name, EXPLAIN_REFUSED, fmt, ap);
	va_end(ap);
	s->step[s->n - 1].reason = why;
	s->step[s->n - 1].decided = true;
	return false;
}

/* The step of this name has made an allowed request one. */
static void
decided(struct explain_steps *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		s->step[i].decided = strcmp(s->step[i].name, name) == 0;
}

/* --- what needs no endpoint --- */

static bool
no_request(const struct explain_case *c, struct explain_steps *s)
{
	struct span length = cgienv_get(c->vars, SPAN("CONTENT_LENGTH"));
	struct explain_repeat two;

	if (c->read.policy.method.p == NULL)
		return refuse(s, "variables", c->variables,
		    "There is no REQUEST_METHOD, so it is no request.");
	if (length.p != NULL && !c->read.has_length &&
	    !span_eq(length, SPAN("-1")))
		return refuse(s, "variables", c->variables,
		    "CONTENT_LENGTH is \"%s\", which is no length.",
		    SHOWN(length));
	if (explain_repeat_bad(c->vars, &two))
		return refuse(s, "variables", c->variables,
		    "%s is there twice, as \"%s\" and as \"%s\".",
		    SHOWN(two.name), SHOWN(two.first), SHOWN(two.second));
	return refuse(s, "variables", c->variables,
	    "The names of the variables were chosen to take a long time.");
}

static bool
variables(const struct explain_case *c, struct explain_steps *s)
{
	struct explain_repeat two = { { "", 0 }, { "", 0 }, { "", 0 } };

	if (c->read.loop && !c->authorizer)
		return refuse(s, "loop", REASON_HANDLER_LOOP,
		    "AMP_CORS_FRONT is there: a front has started this "
		    "program as its handler, and a front behind a front "
		    "answers nothing else.");
	if (c->variables == REASON_VARIABLE_REPEATED) {
		explain_repeat_refused(c->vars, &two);
		return refuse(s, "variables", c->variables,
		    "%s is there twice, as \"%s\" and as \"%s\": the handler "
		    "might read the other one.",
		    SHOWN(two.name), SHOWN(two.first), SHOWN(two.second));
	}
	if (c->variables != REASON_OK)
		return no_request(c, s);
	pass(s, "variables", EXPLAIN_OK, "None that decides is there twice.");
	return true;
}

static bool
bytes(const struct policy_request *r, struct explain_steps *s)
{
	const struct policy_request sender = { .sender = r->sender };
	bool of_sender = policy_bad_byte(&sender);

	if (policy_bad_byte(r))
		return refuse(s, "bytes", REASON_BAD_BYTE,
		    "%s is \"%s\", which has a byte that is not printable "
		    "ASCII.",
		    of_sender ? "AMP-Email-Sender" : "Origin",
		    SHOWN(of_sender ? r->sender : r->origin));
	pass(s, "bytes", EXPLAIN_OK,
	    "Sender and origin are printable ASCII, as far as they are there.");
	return true;
}

/* --- the endpoint --- */

static bool
no_endpoint(const struct explain_case *c, struct explain_steps *s)
{
	struct span name = c->env.script_name, info = c->env.path_info;
	const struct path script = { name, info, false };
	struct span query;
	const struct path uri = path_of_uri(c->env.request_uri, &query);
	bool has_uri = uri.head.n > 0;

	if (!path_is_plain(&script) || (has_uri && !path_is_plain(&uri)))
		return refuse(s, "endpoint", REASON_NO_ENDPOINT,
		    "The path \"%s%s\"%s%s%s is not plain, as it must be: no "
		    "empty segment, no \".\" or \"..\".",
		    SHOWN(name), SHOWN(info), has_uri ? " of URI \"" : "",
		    SHOWN(uri.head), has_uri ? "\"" : "");
	return refuse(s, "endpoint", REASON_NO_ENDPOINT,
	    "No endpoint's path is \"%s%s\", or above it.", SHOWN(name),
	    SHOWN(info));
}

static bool
endpoint(const struct explain_case *c, struct explain_steps *s)
{
	const struct conf_endpoint *ep = c->endpoint;
	const char *by =
	    explain_case_by_uri(c) ? "the path of REQUEST_URI" : "its path";

	if (ep == NULL)
		return no_endpoint(c, s);
	if (strcmp(ep->name, "-") == 0)
		pass(s, "endpoint", EXPLAIN_OK,
		    "There is no [endpoint]: [policy] guards every path.");
	else if (*ep->path == '\0')
		pass(s, "endpoint", EXPLAIN_OK,
		    "[endpoint %s] guards every path that no other one has.",
		    ep->name);
	else
		pass(s, "endpoint", EXPLAIN_OK,
		    "[endpoint %s], found by %s: %s is the longest path that "
		    "the request's is, or lies below.",
		    ep->name, by, SHOWN(span_of(ep->path)));
	return true;
}

/* Of two queries, which one counts [SPEC 1.7, E6]? */
static bool
query(const struct explain_case *c, struct explain_steps *s)
{
	struct span own = c->read.policy.query, other;

	path_of_uri(c->env.request_uri, &other);
	if (!decide_alone(c->endpoint, c->authorizer) || other.p == NULL)
		return true;
	if (own.p == NULL)
		pass(s, "query", EXPLAIN_OK,
		    "QUERY_STRING is empty, so REQUEST_URI's query counts.");
	else if (span_eq(own, other))
		pass(s, "query", EXPLAIN_OK,
		    "QUERY_STRING and REQUEST_URI have the same one.");
	else if (c->authorizer)
		pass(s, "query", EXPLAIN_OK,
		    "QUERY_STRING counts, and not REQUEST_URI's.");
	else
		return refuse(s, "query", REASON_BAD_REQUEST,
		    "QUERY_STRING is \"%s\", but REQUEST_URI's is \"%s\".",
		    SHOWN(own), SHOWN(other));
	return true;
}

/* --- the policy --- */

/* What is known on the way. */
struct walk {
	const struct policy *p;
	const struct policy_request *r;
	struct explain_steps *s;
	enum query_result found; /* __amp_source_origin */
	struct span source;
	char text[ORIGIN_MAX];
};

/* The documented pairs [SPEC 3.6]. */
static const struct {
	struct span origin, sender;
} playgrounds[] = {
	{ { "https://amp.gmail.dev", 21 }, { "amp@gmail.dev", 13 } },
	{ { "https://playground.amp.dev", 26 },
	    { "https://playground.amp.dev", 26 } },
};

enum { PLAYGROUNDS = sizeof(playgrounds) / sizeof(playgrounds[0]) };

static bool
is_playground(const struct walk *w)
{
	bool is = false;

	for (size_t i = 0; i < PLAYGROUNDS; i++)
		is |= span_eq(w->r->origin, playgrounds[i].origin);
	return is && w->p->playground;
}

static bool
is_pair(const struct walk *w, struct span sender)
{
	bool is = false;

	for (size_t i = 0; i < PLAYGROUNDS; i++)
		is |= span_eq(w->r->origin, playgrounds[i].origin) &&
		    span_eq(sender, playgrounds[i].sender);
	return is && w->p->playground;
}

/* The rule of a list that names the origin; absent where none does. */
static struct span
rule_of(const struct span rule[], size_t n, struct span origin)
{
	for (size_t i = 0; i < n; i++)
		if (origin_match(rule[i], origin))
			return rule[i];
	return (struct span){ NULL, 0 };
}

/* "a, b, c", or how many there are. */
static const char *
list_text(const struct span rule[], size_t n, char out[EXPLAIN_SHOWN_MAX])
{
	size_t at = 0;

	*out = '\0';
	for (size_t i = 0; i < n; i++) {
		if (at + rule[i].n + sizeof(", ") > EXPLAIN_SHOWN_MAX / 2) {
			snprintf(out, EXPLAIN_SHOWN_MAX, "%zu of them", n);
			return out;
		}
		at += (size_t)sprintf(out + at, "%s%.*s", i == 0 ? "" : ", ",
		    (int)rule[i].n, rule[i].p);
	}
	return n == 0 ? "none at all" : out;
}

/* SPEC 2.4; in a preflight browser_origins count too, and it may be absent. */
static bool
origin(struct walk *w, bool preflight)
{
	const struct policy *p = w->p;
	struct span is = w->r->origin;
	struct span rule = rule_of(p->origins, p->norigins, is);
	struct span other =
	    rule_of(p->browser_origins, p->nbrowser_origins, is);
	char list[EXPLAIN_SHOWN_MAX];

	if (preflight && is.n == 0)
		pass(w->s, "origin", EXPLAIN_OK,
		    "There is no Origin, so none is named in the answer.");
	else if (rule.p != NULL)
		pass(w->s, "origin", EXPLAIN_OK, "\"%s\" is one of origins: %s",
		    SHOWN(is), SHOWN(rule));
	else if (preflight && other.p != NULL)
		pass(w->s, "origin", EXPLAIN_OK,
		    "\"%s\" is one of browser_origins: %s", SHOWN(is),
		    SHOWN(other));
	else if (is_playground(w))
		pass(w->s, "origin", EXPLAIN_OK,
		    "\"%s\" is a public playground's (playground = yes), which "
		    "speaks for its own sender alone.",
		    SHOWN(is));
	else
		return refuse(w->s, "origin", REASON_ORIGIN_NOT_ALLOWED,
		    "\"%s\" is none of origins%s (%s).", SHOWN(is),
		    preflight ? " and browser_origins" : "",
		    list_text(p->origins, p->norigins, list));
	return true;
}

static void
read_parameter(struct walk *w)
{
	size_t n = 0;

	w->found = query_get(w->r->query, SPAN("__amp_source_origin"), w->text,
	    sizeof(w->text), &n);
	if (w->found == QUERY_FOUND)
		w->source = (struct span){ w->text, n };
}

/* Before anything else, whichever version [SPEC 1.4]. */
static bool
parameter_bytes(struct walk *w)
{
	const struct policy_request as_sender = { .sender = w->source };

	if (!policy_bad_byte(&as_sender))
		return true;
	return refuse(w->s, "parameter", REASON_BAD_BYTE,
	    "__amp_source_origin is \"%s\", which has a byte that is not "
	    "printable ASCII.",
	    SHOWN(w->source));
}

/* SPEC 1.5 */
static bool
parameter(struct walk *w, bool preflight)
{
	switch (w->found) {
	case QUERY_ABSENT:
		if (!preflight)
			return refuse(w->s, "parameter",
			    REASON_SOURCE_ORIGIN_MISSING,
			    "The query has no __amp_source_origin with a "
			    "value.");
		pass(w->s, "parameter", EXPLAIN_OK,
		    "There is no __amp_source_origin, so no sender is asked "
		    "for: a preflight has none.");
		return true;
	case QUERY_REPEATED:
		return refuse(w->s, "parameter", REASON_SOURCE_ORIGIN_REPEATED,
		    "The query has __amp_source_origin more than once, its "
		    "name percent-decoded.");
	case QUERY_BAD_ENCODING:
		return refuse(w->s, "parameter", REASON_BAD_ENCODING,
		    "The value of __amp_source_origin cannot be "
		    "percent-decoded: a '%%' stands for a byte that is not "
		    "NUL, by two hex digits.");
	case QUERY_TOO_LONG:
		return refuse(w->s, "parameter", REASON_BAD_ADDRESS,
		    "The value of __amp_source_origin is longer than any "
		    "address or origin.");
	case QUERY_FOUND:
		break;
	}
	pass(w->s, "parameter", EXPLAIN_OK,
	    "__amp_source_origin is \"%s\", percent-decoded once.",
	    SHOWN(w->source));
	return true;
}

/* --- senders --- */

void
explain_rule(struct span key, char *out, size_t size)
{
	snprintf(out, size, "%s%.*s",
	    span_starts(key, SPAN("@"))     ? "*" :
		span_starts(key, SPAN(".")) ? "*@*" :
					      "",
	    (int)key.n, key.p);
}

/*
 * Asks for one key after the other, to show what the front asks for all at
 * once; the first that there is a rule for is the last one.
 */
static const struct explain_key *
ask_keys(const struct policy *p, const struct rules_keys *keys,
    struct explain_steps *s)
{
	static const struct explain_key none, error = { .answer = RULES_ERROR };
	struct rules_keys one = { .n = 1 };
	struct rules_at at;

	if (rules_decide(keys, p->senders, p->nsenders, &at) == RULES_ERROR)
		return &error;
	for (s->nkeys = 0; s->nkeys < keys->n;) {
		struct explain_key *k = &s->key[s->nkeys];

		one.key[0] = keys->key[s->nkeys++];
		explain_rule(one.key[0], k->rule, sizeof(k->rule));
		k->answer = rules_decide(&one, p->senders, p->nsenders, &k->at);
		if (k->answer != RULES_NONE)
			return k;
	}
	return &none;
}

/* A sender, and what is said of one that no rule knows [SPEC 3.3, 3.4, 3.6]. */
struct asked {
	struct span sender;
	bool pair_only;
	enum reason unlisted;
};

static bool
senders(struct walk *w, const struct rules_keys *keys, const struct asked *a)
{
	const struct explain_key *k = ask_keys(w->p, keys, w->s);
	const enum reason no = REASON_SENDER_NOT_ALLOWED;
	bool paired = is_pair(w, a->sender);
	char at[EXPLAIN_SHOWN_MAX];

	explain_place(k->at, at);
	if (k->answer == RULES_ERROR)
		return refuse(w->s, "senders", REASON_POLICY_UNAVAILABLE,
		    "A list of senders cannot be read.");
	if (k->answer == RULES_DENY)
		return refuse(w->s, "senders", no,
		    "The rule !%s denies it: %s.", k->rule, at);
	if (paired)
		pass(w->s, "senders", EXPLAIN_OK,
		    "playground = yes allows this sender from this origin.");
	else if (k->answer == RULES_NONE)
		return refuse(w->s, "senders", a->unlisted,
		    "No rule of the policy's senders has it.");
	else if (a->pair_only)
		return refuse(w->s, "senders", no,
		    "The rule %s of %s allows it, but not from a playground, "
		    "which speaks for its own sender alone.",
		    k->rule, at);
	else
		pass(w->s, "senders", EXPLAIN_OK, "The rule %s allows it: %s.",
		    k->rule, at);
	return true;
}

/* SPEC 3.1 */
static bool
address(struct walk *w, const struct asked *a)
{
	struct rules_keys keys;
	struct address parsed;

	if (!address_parse(a->sender, &parsed))
		return refuse(w->s, "address", REASON_BAD_ADDRESS,
		    "\"%s\" is not one plain address, local@domain.",
		    SHOWN(a->sender));
	rules_keys_address(&parsed, w->p->fold_local, &keys);
	pass(w->s, "address", EXPLAIN_OK,
	    "It is one plain address, and is looked up as %.*s.",
	    (int)keys.key[0].n, keys.key[0].p);
	return senders(w, &keys, a);
}

/* The sender of version 1 or a preflight, which may be an origin [SPEC 3.4]. */
static bool
source(struct walk *w, bool pair_only)
{
	struct asked a = { w->source, pair_only, REASON_SENDER_NOT_ALLOWED };
	struct rules_keys keys;

	if (!origin_valid(w->source))
		return address(w, &a);
	rules_keys_literal(w->source, &keys);
	a.unlisted = REASON_BAD_ADDRESS;
	pass(w->s, "address", EXPLAIN_OK,
	    "It is no address but an origin, which may be listed as it is.");
	return senders(w, &keys, &a);
}

/* --- the three kinds of requests --- */

static bool
versions(struct walk *w, unsigned version)
{
	bool served =
	    (w->p->versions &
		(version == 1 ? POLICY_VERSION_1 : POLICY_VERSION_2)) != 0;

	if (!served)
		return refuse(w->s, "versions", REASON_VERSION_NOT_ALLOWED,
		    "The policy's versions leave version %u out.", version);
	pass(w->s, "versions", EXPLAIN_OK, "Version %u is one of versions.",
	    version);
	return true;
}

/* May a page in a browser read the answer [SPEC 2.3]?  Decides nothing. */
static void
browser(struct walk *w)
{
	const struct policy *p = w->p;
	struct span is = w->r->origin;

	if (is.n == 0)
		return;
	if (is_playground(w) ||
	    rule_of(p->browser_origins, p->nbrowser_origins, is).p != NULL)
		pass(w->s, "browser", EXPLAIN_YES,
		    "\"%s\" is one of browser_origins, so the answer names it "
		    "and its pages may read it.",
		    SHOWN(is));
	else
		pass(w->s, "browser", EXPLAIN_NO,
		    "\"%s\" is none of browser_origins: version 2 pays no "
		    "attention to it.",
		    SHOWN(is));
}

static void
version_2(struct walk *w)
{
	const struct asked a = { w->r->sender, false,
		REASON_SENDER_NOT_ALLOWED };

	if (!address(w, &a) || !versions(w, 2))
		return;
	decided(w->s, "senders");
	browser(w);
}

static void
version_1(struct walk *w)
{
	const struct policy *p = w->p;
	bool listed = rule_of(p->origins, p->norigins, w->r->origin).p != NULL;

	read_parameter(w);
	if (parameter_bytes(w) && origin(w, false) && parameter(w, false) &&
	    source(w, !listed) && versions(w, 1))
		decided(w->s, "senders");
}

static void
preflight(struct walk *w)
{
	const struct policy *p = w->p;
	struct span is = w->r->origin;
	bool listed = rule_of(p->origins, p->norigins, is).p != NULL ||
	    rule_of(p->browser_origins, p->nbrowser_origins, is).p != NULL;

	read_parameter(w);
	if (!parameter_bytes(w) || !parameter(w, true))
		return;
	if (w->found == QUERY_FOUND && !source(w, is_playground(w) && !listed))
		return;
	if (!origin(w, true))
		return;
	w->s->step[w->s->n - 1].reason = REASON_PREFLIGHT;
	decided(w->s, "origin");
}

/* True where it is one; the way to it is told. */
static bool
is_preflight(const struct walk *w)
{
	const struct policy_request *r = w->r;

	if (!span_eq(r->method, SPAN("OPTIONS")))
		pass(w->s, "preflight", EXPLAIN_NO,
		    "The method is \"%s\", and not OPTIONS.", SHOWN(r->method));
	else if (r->want_method.n == 0)
		pass(w->s, "preflight", EXPLAIN_NO,
		    "There is no Access-Control-Request-Method.");
	else if (r->sender.n > 0)
		pass(w->s, "preflight", EXPLAIN_NO,
		    "There is an AMP-Email-Sender, which no preflight has.");
	else {
		pass(w->s, "preflight", EXPLAIN_YES,
		    "It is OPTIONS, with Access-Control-Request-Method: %s",
		    SHOWN(r->want_method));
		return true;
	}
	return false;
}

static void
no_version(struct walk *w)
{
	read_parameter(w);
	refuse(w->s, "version-1", REASON_NO_AMP_HEADERS,
	    "There is no Origin either%s.",
	    w->found == QUERY_ABSENT ?
		"" :
		", and __amp_source_origin alone makes no version");
}

static void
decide(struct walk *w)
{
	const struct policy_request *r = w->r;

	if (is_preflight(w)) {
		preflight(w);
		return;
	}
	if (r->sender.n > 0) {
		pass(w->s, "version-2", EXPLAIN_YES,
		    "AMP-Email-Sender is \"%s\".", SHOWN(r->sender));
		version_2(w);
		return;
	}
	pass(w->s, "version-2", EXPLAIN_NO, "There is no AMP-Email-Sender.");
	if (r->origin.n == 0) {
		no_version(w);
		return;
	}
	pass(w->s, "version-1", EXPLAIN_YES, "Origin is \"%s\".",
	    SHOWN(r->origin));
	version_1(w);
}

/* SPEC 2.8 */
static void
report(const struct policy *p, const struct policy_decision *d,
    struct explain_steps *s)
{
	if (!p->report || d->verdict != POLICY_DENY)
		return;
	pass(s, "mode", d->reported ? EXPLAIN_YES : EXPLAIN_NO,
	    d->reported ?
		"mode = report: it is passed to the handler all the same, and "
		"logged." :
		"mode = report does not pass on what is refused so.");
	s->step[s->n - 1].reason = d->reason;
}

void
explain_steps_policy(const struct policy *p, const struct policy_request *r,
    const struct policy_decision *d, struct explain_steps *out)
{
	struct walk w = { .p = p, .r = r, .s = out };

	memset(out, 0, sizeof(*out));
	if (bytes(r, out))
		decide(&w);
	report(p, d, out);
}

void
explain_steps(const struct explain_case *c, struct explain_steps *out)
{
	struct walk w = { .r = &c->env.policy, .s = out };

	memset(out, 0, sizeof(*out));
	if (!variables(c, out) || !bytes(w.r, out) || !endpoint(c, out) ||
	    !query(c, out))
		return;
	w.p = &c->endpoint->policy;
	decide(&w);
	report(w.p, &c->decision, out);
}
