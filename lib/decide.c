#include "decide.h"

#include <string.h>

#include "path.h"

bool
decide_alone(const struct conf_endpoint *ep, bool authorizer)
{
	return authorizer || ep->handler == CONF_HANDLER_NONE;
}

/*
 * Which endpoint?  Where only the URI tells what the client asked for, its
 * query counts where the server gave none [SPEC 1.7]; *differ where it gave
 * another one (E6).
 */
static const struct conf_endpoint *
find_endpoint(const struct conf *c, bool authorizer, struct cgienv *e,
    bool *differ)
{
	struct conf_asked asked = {
		.script = { .head = e->script_name, .tail = e->path_info },
		.authorizer = authorizer,
	};
	const struct conf_endpoint *ep;
	struct span query;

	asked.uri = path_of_uri(e->request_uri, &query);
	ep = conf_endpoint(c, &asked);
	*differ = false;
	if (ep == NULL || !decide_alone(ep, authorizer))
		return ep;
	if (e->policy.query.p == NULL)
		e->policy.query = query;
	else
		*differ = !authorizer && query.p != NULL &&
		    !span_eq(e->policy.query, query);
	return ep;
}

const struct conf_endpoint *
decide_request(const struct conf *c, enum reason why, bool authorizer,
    struct cgienv *env, struct policy_decision *d)
{
	const struct conf_endpoint *ep;
	bool differ;

	ep = find_endpoint(c, authorizer, env, &differ);
	if (why == REASON_OK && (ep == NULL || differ))
		why = policy_bad_byte(&env->policy) ? REASON_BAD_BYTE :
		    differ                          ? REASON_BAD_REQUEST :
						      REASON_NO_ENDPOINT;
	if (why != REASON_OK) {
		policy_refuse(why, ep != NULL, d);
		d->claimed_sender = env->policy.sender;
	} else
		policy_decide(&ep->policy, &env->policy, d);
	return ep;
}

size_t
decide_fields(const struct policy_decision *d, bool authorizer,
    struct field out[DECIDE_FIELDS_MAX])
{
	const struct field variables[] = {
		{ SPAN("Variable-AMP_CORS_VERSION"),
		    d->version == 1 ? SPAN("1") : SPAN("2") },
		{ SPAN("Variable-AMP_CORS_SENDER"), d->sender },
		{ SPAN("Variable-AMP_CORS_ORIGIN"), d->origin },
	};
	size_t n = d->nfields;

	memcpy(out, d->fields, n * sizeof(*out));
	if (!authorizer || d->reported)
		return n;
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		if (variables[i].value.n > 0)
			out[n++] = variables[i];
	return n;
}
