#include "explain_case.h"

#include <string.h>

#include "reply.h"

/* An allowed request, or one that is let through: what follows [SPEC 4]. */
static void
go_on(struct explain_case *c)
{
	const struct conf_limits *l = &c->endpoint->limits;

	if (decide_alone(c->endpoint, c->authorizer)) {
		c->answer = REASON_OK;
		c->nfields =
		    decide_fields(&c->decision, c->authorizer, c->fields);
	} else if (c->env.has_length && l->max_body > 0 &&
	    c->env.length > l->max_body)
		c->answer = REASON_BODY_TOO_LARGE;
	else
		c->runs = true;
}

void
explain_case_decide(const struct conf *c, char *const vars[], bool authorizer,
    struct explain_case *out)
{
	struct policy_decision *d = &out->decision;

	memset(out, 0, sizeof(*out));
	out->conf = c;
	out->vars = vars;
	out->authorizer = authorizer;
	out->variables = cgienv_read(vars, &out->read);
	out->env = out->read;
	if (out->read.loop && !authorizer) { /* E20: before the policy */
		policy_refuse(REASON_HANDLER_LOOP, false, d);
	} else
		out->endpoint =
		    decide_request(c, out->variables, authorizer, &out->env, d);
	out->answer = d->reason;
	out->nfields = d->nfields;
	memcpy(out->fields, d->fields, d->nfields * sizeof(*d->fields));
	if (d->verdict == POLICY_ALLOW || d->reported)
		go_on(out);
}

void
explain_case_answer(const struct explain_case *c, struct buf *out)
{
	if (!c->runs)
		reply_own(out, c->answer, c->fields, c->nfields,
		    span_eq(c->env.policy.method, SPAN("HEAD")));
}

const char *
explain_case_word(const struct explain_case *c)
{
	return policy_word(policy_outcome(&c->decision));
}

bool
explain_case_by_uri(const struct explain_case *c)
{
	return c->env.request_uri.n > 0 &&
	    (c->authorizer ||
		(c->endpoint != NULL && decide_alone(c->endpoint, false)));
}

/* The number of the endpoint. */
static size_t
number(const struct explain_case *c)
{
	const struct conf_endpoint *all;

	conf_endpoints(c->conf, &all);
	return (size_t)(c->endpoint - all);
}

struct scan_place
explain_case_section(const struct explain_case *c)
{
	return c->endpoint == NULL ? (struct scan_place){ 0, 0 } :
				     conf_place(c->conf, number(c));
}

bool
explain_case_written(const struct explain_case *c, const char *key,
    struct conf_written *out)
{
	return c->endpoint != NULL &&
	    conf_written(c->conf, number(c), key, out);
}

const char *
explain_case_file(const struct explain_case *c)
{
	return conf_files(c->conf)->name;
}
