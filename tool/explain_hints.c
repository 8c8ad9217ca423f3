#include "explain_hints.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "explain_near.h"
#include "explain_steps.h"

/* --- what a hint is made of --- */

__attribute__((format(printf, 2, 3))) static struct explain_hint *
say(struct explain_hints *out, const char *fmt, ...)
{
	struct explain_hint *h = &out->hint[out->n];
	va_list ap;

	if (out->n < EXPLAIN_HINTS_MAX - 1)
		out->n++;
	va_start(ap, fmt);
	vsnprintf(h->text, sizeof(h->text), fmt, ap);
	va_end(ap);
	return h;
}

/* [policy], or [endpoint NAME]. */
static const char *
section(const struct explain_case *c, char out[EXPLAIN_SHOWN_MAX])
{
	const char *name = c->endpoint->name;

	if (strcmp(name, "-") == 0)
		return "[policy]";
	snprintf(out, EXPLAIN_SHOWN_MAX, "[endpoint %s]", name);
	return out;
}

/* Is the policy's line of this key that of endpoint i? */
static bool
has_line(const struct explain_case *c, size_t i, const char *key,
    struct scan_place at)
{
	struct conf_written other;

	return conf_written(c->conf, i, key, &other) &&
	    other.at.line == at.line && other.at.column == at.column;
}

/*
 * The other endpoints that have this key of the same line, which stands in
 * [policy] then; 0: there is none.
 */
static size_t
sharing(const struct explain_case *c, const char *key,
    char out[EXPLAIN_SHOWN_MAX])
{
	const struct conf_endpoint *ep;
	size_t all = conf_endpoints(c->conf, &ep), n = 0, at = 0;
	struct conf_written now;
	bool cut = false;

	*out = '\0';
	if (!explain_case_written(c, key, &now))
		return 0;
	for (size_t i = 0; i < all; i++) {
		if (&ep[i] == c->endpoint || !has_line(c, i, key, now.at))
			continue;
		if (n++ > 0 && cut)
			continue;
		if (n > 1)
			at += (size_t)sprintf(out + at, ", ");
		cut = at + strlen(ep[i].name) + 32 > EXPLAIN_SHOWN_MAX;
		at += cut ?
		    (size_t)sprintf(out + at, "...") :
		    (size_t)sprintf(out + at, "[endpoint %s]", ep[i].name);
	}
	return n;
}

/*
 * The line of [policy] would open the others too: what is offered is a line of
 * the endpoint's own, which is new.
 */
static void
keep_apart(const struct explain_case *c, struct explain_hint *h,
    const char *key)
{
	char others[EXPLAIN_SHOWN_MAX], in[EXPLAIN_SHOWN_MAX];
	size_t n = strlen(h->text);
	struct conf_written now;

	if (sharing(c, key, others) == 0 || !explain_case_written(c, key, &now))
		return;
	snprintf(h->text + n, sizeof(h->text) - n,
	    "  It has the %s of [policy], line %u, as yet, where it would open "
	    "%s too; a line of its own in %s takes the place of that one.",
	    key, now.at.line, others, section(c, in));
	h->at = (struct rules_at){ NULL, 0 };
}

/*
 * The line of `key`, with one word more behind what it has now, or behind its
 * default.  A line that would be too long to be read is left out.
 */
static void
line_with(const struct explain_case *c, struct explain_hint *h, const char *key,
    const char *fallback, const char *word)
{
	struct conf_written now;
	int n = 0;

	if (explain_case_written(c, key, &now))
		h->at = (struct rules_at){ explain_case_file(c), now.at.line };
	else
		now.value = span_of(fallback);
	if (now.value.n < 400)
		n = snprintf(h->line, sizeof(h->line), "%s = %.*s%s%s", key,
		    (int)now.value.n, now.value.n == 0 ? "" : now.value.p,
		    now.value.n == 0 ? "" : " ", word);
	if (n >= (int)sizeof(h->line))
		h->line[0] = '\0';
}

/* Allow `what` by a word more in this key. */
static void
say_line(const struct explain_case *c, struct explain_hints *out,
    const char *key, const char *fallback, const char *word)
{
	char in[EXPLAIN_SHOWN_MAX];
	struct explain_hint *h = say(out, "To allow it, add %s to %s of %s.",
	    word, key, section(c, in));

	line_with(c, h, key, fallback, word);
	keep_apart(c, h, key);
}

/* --- senders --- */

/* A rule is almost the one that was missing. */
static void
say_near(struct explain_hints *out, const struct explain_near *near,
    const char *why)
{
	char rule[RULES_KEY_MAX + 4], at[EXPLAIN_SHOWN_MAX];

	explain_rule((struct span){ near->key, near->n }, rule, sizeof(rule));
	say(out, "%s has %s, %s.", explain_place(near->at, at), rule, why)->at =
	    near->at;
}

/* Rules for a domain above or below the one that was asked for. */
static void
near_domains(const struct explain_case *c, const struct address *a,
    struct explain_hints *out)
{
	const struct policy *p = &c->endpoint->policy;
	struct explain_near near;
	char key[ADDRESS_MAX + 1];
	struct span rest = a->domain, label;
	size_t n = a->domain.n;

	key[0] = '.';
	for (size_t i = 0; i < n; i++)
		key[i + 1] = span_lower(a->domain.p[i]);
	if (explain_near_exact(p, (struct span){ key, n + 1 }, &near))
		say_near(out, &near,
		    "which is for the domains below that one, and not for it");
	while (span_cut(&rest, '.', &label) && rest.n > 0) {
		char *parent = key + 1 + (n - rest.n);

		parent[-1] = '@';
		if (explain_near_exact(p,
			(struct span){ parent - 1, rest.n + 1 }, &near))
			say_near(out, &near,
			    "which is for that domain alone, and not for "
			    "those below it");
	}
}

/* Nobody has a rule for it: perhaps somebody mistyped one. */
static void
near_rules(const struct explain_case *c, struct span sender,
    struct explain_hints *out)
{
	const struct policy *p = &c->endpoint->policy;
	struct explain_near near;
	struct rules_keys keys;
	struct address a;

	if (!address_parse(sender, &a))
		return;
	rules_keys_address(&a, p->fold_local, &keys);
	if (explain_near(p, keys.key[0], &near) ||
	    explain_near(p, keys.key[1], &near))
		say_near(out, &near, "which is one letter away");
	if (!p->fold_local) {
		rules_keys_address(&a, true, &keys);
		if (explain_near_exact(p, keys.key[0], &near))
			say_near(out, &near,
			    "and local_part_case = sensitive makes a "
			    "difference of its letters");
	}
	near_domains(c, &a, out);
}

static void
denied_by_rule(const struct explain_case *c, struct explain_hints *out)
{
	struct rules_at at = c->decision.at;
	char shown[EXPLAIN_SHOWN_MAX];

	snprintf(shown, sizeof(shown), "%.400s:%u", SHOWN(span_of(at.file)),
	    at.line);
	say(out,
	    "The deny of %s decides.  Take it out, or allow more exactly what "
	    "is to be allowed: an address stands above its domain, a domain "
	    "above its parents.",
	    explain_place(at, shown))
	    ->at = at;
}

static bool
is_from_playground(const struct explain_case *c)
{
	struct span origin = c->env.policy.origin;

	return span_eq(origin, SPAN("https://amp.gmail.dev")) ||
	    span_eq(origin, SPAN("https://playground.amp.dev"));
}

static bool
is_listed(const struct span rule[], size_t n, struct span origin)
{
	bool is = false;

	for (size_t i = 0; i < n; i++)
		is |= origin_match(rule[i], origin);
	return is;
}

/* It is let in as a playground, and as nothing else [SPEC 3.6]. */
static bool
is_pair_only(const struct explain_case *c)
{
	const struct policy *p = &c->endpoint->policy;
	struct span is = c->env.policy.origin;

	return c->decision.version != 2 && p->playground &&
	    is_from_playground(c) && !is_listed(p->origins, p->norigins, is) &&
	    (c->decision.version == 1 ||
		!is_listed(p->browser_origins, p->nbrowser_origins, is));
}

static void
sender_not_allowed(const struct explain_case *c, struct explain_hints *out)
{
	struct span sender = c->decision.claimed_sender;
	char word[EXPLAIN_SHOWN_MAX];

	if (c->decision.at.file != NULL) {
		denied_by_rule(c, out);
		return;
	}
	if (is_pair_only(c)) {
		say(out,
		    "A playground speaks for its own sender alone: "
		    "amp@gmail.dev from https://amp.gmail.dev, and "
		    "https://playground.amp.dev from there.");
		return;
	}
	near_rules(c, sender, out);
	if (sender.n < sizeof(word)) {
		snprintf(word, sizeof(word), "%.*s", (int)sender.n, sender.p);
		say_line(c, out, "senders", "", word);
	}
}

/* The address in "Name <address>", and the like. */
static struct span
inner_address(struct span s)
{
	struct span inner = s, before;
	struct address a;

	if (memchr(s.p, '<', s.n) != NULL) {
		span_cut(&inner, '<', &before);
		span_cut(&inner, '>', &before);
		inner = before;
	}
	while (inner.n > 0 && (*inner.p == '"' || *inner.p == ' '))
		inner = span_skip(inner, 1);
	while (inner.n > 0 && strchr("\" .", inner.p[inner.n - 1]) != NULL)
		inner.n--;
	return address_parse(inner, &a) ? inner : (struct span){ NULL, 0 };
}

static void
bad_address(const struct explain_case *c, struct explain_hints *out)
{
	struct span sender = c->decision.claimed_sender, inner;
	char word[EXPLAIN_SHOWN_MAX];

	if (sender.n == 0)
		return;
	if (c->decision.version != 2 && origin_valid(sender)) {
		snprintf(word, sizeof(word), "%.*s", (int)sender.n, sender.p);
		say_line(c, out, "senders", "", word);
		return;
	}
	inner = inner_address(sender);
	if (memchr(sender.p, ',', sender.n) != NULL)
		say(out,
		    "A comma: the web server may have joined two fields of one "
		    "name.");
	else if (inner.p != NULL)
		say(out, "Ask with the bare address: %.*s", (int)inner.n,
		    inner.p);
	else if (memchr(sender.p, '%', sender.n) != NULL)
		say(out, "It is percent-decoded once; is it encoded twice?");
	else
		say(out,
		    "An address is local@domain: the domain has a dot, and "
		    "there is no name, quote, bracket or comment.");
}

/* --- origins --- */

/* The origin as a browser would have written it. */
static struct span
mend_origin(struct span is, char *out, size_t size)
{
	struct span s = span_trim(is);
	size_t n = 0;

	while (s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	for (size_t i = 0; i < s.n && n < size; i++)
		out[n++] = span_lower(s.p[i]);
	s = (struct span){ out, n };
	if (span_starts(s, SPAN("https://")) && n > 4 &&
	    memcmp(out + n - 4, ":443", 4) == 0)
		s.n -= 4;
	return s;
}

/* What must be accepted for this origin to be allowed [SPEC 6.6]. */
static void
say_risk(struct explain_hints *out, struct span origin)
{
	if (span_eq(origin, SPAN("null")))
		say(out,
		    "It also needs accept_risk = null-origin: any sandboxed "
		    "page and any local file has this origin.");
	else if (span_starts(origin, SPAN("http:")))
		say(out,
		    "It also needs accept_risk = http-origin: anybody on the "
		    "way can be this origin.");
}

/* In origins it could speak for every sender. */
static void
say_playground(const struct explain_case *c, struct explain_hints *out)
{
	struct explain_hint *h;
	struct conf_written now;
	char in[EXPLAIN_SHOWN_MAX];

	h = say(out,
	    "It is a public playground, where anybody may write mails; "
	    "playground = yes in %s allows it, with its own sender alone.",
	    section(c, in));
	snprintf(h->line, sizeof(h->line), "playground = yes");
	if (explain_case_written(c, "playground", &now))
		h->at = (struct rules_at){ explain_case_file(c), now.at.line };
	keep_apart(c, h, "playground");
}

static void
origin_not_allowed(const struct explain_case *c, struct explain_hints *out)
{
	const struct policy *p = &c->endpoint->policy;
	struct span is = c->env.policy.origin;
	char text[ORIGIN_MAX], word[EXPLAIN_SHOWN_MAX];
	struct span mended = mend_origin(is, text, sizeof(text));
	bool null = span_eq(is, SPAN("null"));

	if (!null && !origin_valid(is)) {
		say(out,
		    "A browser writes an origin as scheme://host[:port], in "
		    "lower case, without a default port, a path or a last "
		    "'/'.");
		if (is_listed(p->origins, p->norigins, mended))
			say(out, "%.*s, written so, is allowed.", (int)mended.n,
			    mended.p);
		return;
	}
	if (is_from_playground(c)) {
		say_playground(c, out);
		return;
	}
	if (is_listed(p->browser_origins, p->nbrowser_origins, is))
		say(out,
		    "It is one of browser_origins, which allow nothing in "
		    "version 1.");
	snprintf(word, sizeof(word), "%.*s", (int)is.n, is.p);
	if (c->decision.version == 0) {
		say(out,
		    "A page in a browser belongs in browser_origins.  Only a "
		    "mail client belongs in origins, from where it speaks for "
		    "every sender.");
		say_line(c, out, "browser_origins", "", word);
	}
	say_line(c, out, "origins", "https://mail.google.com", word);
	say_risk(out, is);
}

/* --- the rest --- */

static void
no_endpoint(const struct explain_case *c, struct explain_hints *out)
{
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(c->conf, &ep);
	char all[EXPLAIN_SHOWN_MAX];
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		const char *path =
		    *ep[i].path == '\0' ? "every path" : ep[i].path;

		if (at + strlen(path) + sizeof(", ...") > sizeof(all)) {
			memcpy(all + at, ", ...", sizeof(", ..."));
			break;
		}
		at +=
		    (size_t)sprintf(all + at, "%s%s", i == 0 ? "" : ", ", path);
	}
	say(out, "The policy has endpoints at: %s.", SHOWN(span_of(all)));
	if (c->env.script_name.n + c->env.path_info.n == 0 ||
	    span_eq(c->env.script_name, SPAN("/")))
		say(out, "Name the path that is asked for: --path=/...");
}

static void
version_not_allowed(const struct explain_case *c, struct explain_hints *out)
{
	struct explain_hint *h;
	struct conf_written now;
	char in[EXPLAIN_SHOWN_MAX];

	h = say(out, "To allow it, serve both versions in %s.", section(c, in));
	snprintf(h->line, sizeof(h->line), "versions = 2 1");
	if (explain_case_written(c, "versions", &now))
		h->at = (struct rules_at){ explain_case_file(c), now.at.line };
	keep_apart(c, h, "versions");
}

/* Reasons that need no more than a sentence. */
static const char *
sentence(enum reason why)
{
	switch (why) {
	case REASON_VARIABLE_REPEATED:
		return "The web server passes a repeated field as two "
		       "variables; amp-cors-cgi(8) has the lines that let "
		       "nginx pass one.";
	case REASON_NO_AMP_HEADERS:
		return "Does the web server pass the fields on?  They arrive "
		       "as HTTP_AMP_EMAIL_SENDER and HTTP_ORIGIN.  Here, give "
		       "--sender, or --origin and --source.";
	case REASON_SOURCE_ORIGIN_MISSING:
		return "Does the web server pass the query on, as "
		       "QUERY_STRING?  Here, give --source, or --query.";
	case REASON_HANDLER_LOOP:
		return "The environment is a handler's own, or the policy "
		       "names the front as its handler.  To ask about the "
		       "request itself, take AMP_CORS_FRONT out of the file.";
	case REASON_POLICY_UNAVAILABLE:
		return "amp-cors check tells what is wrong with the list.";
	default:
		return NULL;
	}
}

void
explain_hints(const struct explain_case *c, struct explain_hints *out)
{
	enum reason why = c->decision.reason;
	const char *text = sentence(why);

	memset(out, 0, sizeof(*out));
	if (text != NULL)
		say(out, "%s", text);
	else if (why == REASON_SENDER_NOT_ALLOWED)
		sender_not_allowed(c, out);
	else if (why == REASON_BAD_ADDRESS)
		bad_address(c, out);
	else if (why == REASON_ORIGIN_NOT_ALLOWED)
		origin_not_allowed(c, out);
	else if (why == REASON_VERSION_NOT_ALLOWED)
		version_not_allowed(c, out);
	else if (why == REASON_NO_ENDPOINT)
		no_endpoint(c, out);
}
