/*
 * answered: is this the answer to that request?  What the front decides alone
 * must be byte for byte what the decision says; all else is held against what
 * no answer may look like.
 */
#ifndef ANSWERED_H
#define ANSWERED_H

#include <string.h>

#include "decide.h"
#include "fuzz.h"
#include "reply.h"
#include "wire.h"

enum { ANSWERED_VARS = 4096, ANSWERED_FIELDS = 300 };

struct answered;

/* An answer's header block, taken apart. */
struct answered_head {
	unsigned status;
	size_t n;
	struct field fields[ANSWERED_FIELDS];
	struct span body;
};

/* A request, as it is to be decided. */
struct answered_case {
	const struct conf_endpoint *ep;
	struct cgienv env;
	struct policy_decision d;
};

/* Checks an answer that a handler had to do with. */
typedef void answered_handler(const struct answered *a,
    const struct answered_case *c, const struct answered_head *h);

struct answered {
	const struct conf *conf;
	answered_handler *handler;
	struct span params, body; /* as they were sent */
	bool body_whole, authorizer;
	bool late;       /* time had gone by, or it was not to be waited for */
	struct span out; /* what came back, whole */
};

/* --- the request --- */

/* As strings, less names that cannot be passed on (E8). */
struct answered_vars {
	char *vars[ANSWERED_VARS + 2];
	struct buf text;
};

static inline bool
answered_name_valid(struct span name)
{
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] <= ' ' || name.p[i] == '=' ||
		    name.p[i] == 0x7f)
			return false;
	return name.n > 0;
}

static inline void
answered_vars(const struct answered *a, struct answered_vars *v)
{
	struct span rest = a->params;
	struct field pair;
	size_t n = 0;

	buf_init(&v->text, 1 << 20);
	while (wire_pair(&rest, &pair)) {
		if (!answered_name_valid(pair.name))
			continue;
		buf_add_span(&v->text, pair.name);
		buf_add_char(&v->text, '=');
		pair.value.n = strnlen(pair.value.p, pair.value.n);
		buf_add_span(&v->text, pair.value);
		buf_add_char(&v->text, '\0');
	}
	FUZZ_HOLDS(!v->text.failed);
	for (size_t at = 0; at < v->text.n; at += strlen(v->vars[n++]) + 1) {
		FUZZ_HOLDS(n < ANSWERED_VARS);
		v->vars[n] = v->text.p + at;
	}
	v->vars[n] = NULL;
}

/* --- the answer --- */

static inline void
answered_line(struct span line, struct field *f)
{
	const char *colon;

	for (size_t i = 0; i < line.n; i++) {
		unsigned char c = (unsigned char)line.p[i];

		FUZZ_HOLDS(c == '\t' || (c >= ' ' && c != 0x7f));
	}
	colon = memchr(line.p, ':', line.n);
	FUZZ_HOLDS(colon != NULL && colon > line.p && colon[1] == ' ');
	f->name = (struct span){ line.p, (size_t)(colon - line.p) };
	f->value = span_skip(line, f->name.n + 2);
}

static inline void
answered_head(struct span out, struct answered_head *h)
{
	struct span line;
	uint64_t status;

	for (h->n = 0;; h->n++) {
		FUZZ_HOLDS(span_cut(&out, '\n', &line) && out.p != NULL);
		FUZZ_HOLDS(line.n > 0 && line.p[line.n - 1] == '\r');
		line.n--;
		if (line.n == 0)
			break;
		FUZZ_HOLDS(h->n < ANSWERED_FIELDS);
		answered_line(line, &h->fields[h->n]);
	}
	FUZZ_HOLDS(h->n > 0 && span_eq(h->fields[0].name, SPAN("Status")));
	line = h->fields[0].value;
	FUZZ_HOLDS(line.n > 4 && line.p[3] == ' ');
	line.n = 3;
	FUZZ_HOLDS(span_number(line, 599, &status) && status >= 200);
	h->status = (unsigned)status;
	h->body = out;
}

/* How often it is there; *value is the last one's. */
static inline unsigned
answered_find(const struct answered_head *h, struct span name,
    struct span *value)
{
	unsigned n = 0;

	for (size_t i = 0; i < h->n; i++)
		if (span_caseeq(h->fields[i].name, name)) {
			*value = h->fields[i].value;
			n++;
		}
	return n;
}

/* A name of those that CORS in AMP is made of. */
static inline bool
answered_is_cors(struct span name)
{
	static const char *const begin[] = { "access-control-", "amp-" };
	struct span head;

	for (size_t i = 0; i < 2; i++) {
		head = span_of(begin[i]);
		if (name.n >= head.n &&
		    span_caseeq((struct span){ name.p, head.n }, head))
			return true;
	}
	return false;
}

static inline bool
answered_lists(struct span list, struct span name)
{
	struct span one;

	while (span_cut(&list, ',', &one))
		if (span_caseeq(span_trim(one), name))
			return true;
	return false;
}

/* Each field of the decision once, as it was decided. */
static inline void
answered_ours(const struct answered_head *h, const struct policy_decision *d)
{
	for (size_t i = 0; i < d->nfields; i++) {
		const struct field *f = &d->fields[i];
		struct span value = { NULL, 0 }, rest = f->value, one;
		unsigned n = answered_find(h, f->name, &value);
		bool list = span_eq(f->name, SPAN("Vary")) ||
		    span_eq(f->name, SPAN("Access-Control-Expose-Headers"));

		FUZZ_HOLDS(n == 1 || (n == 0 && f->value.n == 0));
		if (!list)
			FUZZ_HOLDS(span_eq(value, f->value));
		while (list && !span_eq(value, SPAN("*")) &&
		    span_cut(&rest, ',', &one))
			FUZZ_HOLDS(answered_lists(value, span_trim(one)));
	}
}

/* And none besides; a preflight and a report have their own. */
static inline void
answered_foreign(const struct answered_head *h, const struct policy_decision *d)
{
	for (size_t i = 0; i < h->n && !d->reported; i++) {
		bool ours = false;

		for (size_t k = 0; k < d->nfields; k++)
			ours |=
			    span_caseeq(h->fields[i].name, d->fields[k].name);
		FUZZ_HOLDS(ours || !answered_is_cors(h->fields[i].name));
	}
}

/* The word of an answer of the front's own, REASON_COUNT where it is none. */
static inline enum reason
answered_reason(const struct answered_head *h)
{
	static const char begin[] = "{\"error\":{\"code\":\"";
	struct span rest = h->body, word;

	if (!span_starts(rest, SPAN(begin)))
		return REASON_COUNT;
	rest = span_skip(rest, sizeof(begin) - 1);
	FUZZ_HOLDS(span_cut(&rest, '"', &word));
	for (int r = 0; r < REASON_COUNT; r++)
		if (span_eq(word, span_of(reason_word((enum reason)r)))) {
			FUZZ_HOLDS(h->status == reason_status((enum reason)r));
			return (enum reason)r;
		}
	fuzz_wrong("a reason that is none");
}

/* Byte for byte what the front says by itself for that reason. */
static inline void
answered_own(const struct answered *a, enum reason why,
    const struct field fields[], size_t n, const struct cgienv *e)
{
	struct buf want;

	buf_init(&want, 65536);
	reply_own(&want, why, fields, n,
	    span_eq(e->policy.method, SPAN("HEAD")));
	FUZZ_HOLDS(span_eq(a->out, buf_span(&want)));
	buf_free(&want);
}

static inline bool
answered_metrics(const struct answered *a, const struct answered_head *h)
{
	struct span type = { NULL, 0 };

	if (answered_find(h, SPAN("Content-Type"), &type) != 1 ||
	    !span_starts(type, SPAN("text/plain; version=0.0.4")))
		return false;
	FUZZ_HOLDS(h->status == 200 && !a->authorizer);
	FUZZ_HOLDS(memmem(a->params.p, a->params.n, "/metrics", 8) != NULL);
	for (size_t i = 0; i < h->n; i++)
		FUZZ_HOLDS(!answered_is_cors(h->fields[i].name));
	return true;
}

/* Decides it; *v is what the case's spans point into. */
static inline void
answered_decide(const struct answered *a, struct answered_vars *v,
    struct answered_case *c)
{
	answered_vars(a, v);
	c->ep = decide_request(a->conf, cgienv_read(v->vars, &c->env),
	    a->authorizer, &c->env, &c->d);
}

/* Aborts unless it is an answer to that request. */
static inline void
answered(const struct answered *a)
{
	static struct answered_vars v;
	static struct answered_head h;
	struct field fields[DECIDE_FIELDS_MAX];
	struct answered_case c;

	answered_head(a->out, &h);
	if (answered_metrics(a, &h))
		return;
	answered_decide(a, &v, &c);
	answered_ours(&h, &c.d);
	answered_foreign(&h, &c.d);
	if (c.d.verdict != POLICY_ALLOW && !c.d.reported)
		answered_own(a, c.d.reason, c.d.fields, c.d.nfields, &c.env);
	else if (decide_alone(c.ep, a->authorizer))
		answered_own(a, REASON_OK, fields,
		    decide_fields(&c.d, a->authorizer, fields), &c.env);
	else
		a->handler(a, &c, &h);
	buf_free(&v.text);
}

#endif
