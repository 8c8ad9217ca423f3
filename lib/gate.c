#include "gate.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "gate_run.h"
#include "io.h"
#include "log.h"
#include "reply.h"

/* Is it the first that forwards there, so that the backend is its own? */
static bool
has_backend(const struct conf_endpoint *ep, size_t i)
{
	return ep[i].handler == CONF_HANDLER_FORWARD &&
	    conf_forwards_first(ep, i) == i;
}

/* What is kept for a server is kept once, whoever forwards to it (E105). */
static unsigned
most_kept(const struct conf_endpoint *ep, size_t n, size_t i)
{
	unsigned most = 0;

	for (size_t j = i; j < n; j++)
		if (ep[j].handler == CONF_HANDLER_FORWARD &&
		    conf_forwards_first(ep, j) == i &&
		    ep[j].forward_keep > most)
			most = ep[j].forward_keep;
	return most;
}

static bool
backends_new(struct gate *g)
{
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(g->o.conf, &ep);

	g->backends = calloc(n, sizeof(struct forward_backend *));
	for (size_t i = 0; g->backends != NULL && i < n; i++) {
		if (ep[i].handler != CONF_HANDLER_FORWARD)
			continue;
		g->backends[i] = has_backend(ep, i) ?
		    forward_backend_new(ep[i].forward, most_kept(ep, n, i)) :
		    g->backends[conf_forwards_first(ep, i)];
		if (g->backends[i] == NULL)
			return false;
	}
	return g->backends != NULL;
}

static void
backends_free(struct gate *g)
{
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(g->o.conf, &ep);

	for (size_t i = 0; g->backends != NULL && i < n; i++)
		if (has_backend(ep, i))
			forward_backend_free(g->backends[i]);
	free(g->backends);
}

struct gate *
gate_new(const struct gate_options *o)
{
	struct gate *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->o = *o;
	g->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	g->cells = spawn_cells(o->slots);
	g->slots = calloc(o->slots, sizeof(*g->slots));
	/* ids of different runs and processes rarely meet in one log */
	g->next_id =
	    ((uint64_t)time(NULL) << 12 ^ (uint64_t)getpid() << 4) & 0xFFFFFFFF;
	if (g->null != -1 && g->cells != NULL && g->slots != NULL &&
	    backends_new(g))
		return g;
	gate_free(g);
	return NULL;
}

void
gate_free(struct gate *g)
{
	if (g == NULL)
		return;
	if (g->null != -1)
		close(g->null);
	spawn_cells_free(g->cells, g->o.slots);
	for (unsigned i = 0; g->slots != NULL && i < g->o.slots; i++)
		free(g->slots[i].room);
	free(g->slots);
	backends_free(g);
	free(g);
}

/* --- the log --- */

static const char *
decision_word(const struct policy_decision *d)
{
	if (d->reported)
		return "report";
	switch (d->verdict) {
	case POLICY_ALLOW:
		return "allow";
	case POLICY_PREFLIGHT:
		return "preflight";
	case POLICY_DENY:
		break;
	}
	return "deny";
}

void
gate_log(const struct gate *g, const struct gate_passage *p, enum reason why,
    unsigned status, const char *detail)
{
	const struct conf_server *s = conf_server(g->o.conf);
	const struct policy_decision *d = &p->decision;
	struct logline l = {
		.id = p->id,
		.decision = decision_word(d),
		.reason = why,
		.status = status,
		.version = d->version,
		.endpoint = p->endpoint == NULL ? "-" : p->endpoint->name,
		.method = p->env.policy.method,
		.sender = d->claimed_sender,
		.origin = p->env.policy.origin,
		.rule = d->at,
		.ms = (uint64_t)(io_now() - p->began),
		.detail = detail,
	};
	struct buf line;

	if (!log_wanted(LOG_INFO))
		return;
	clock_gettime(CLOCK_REALTIME, &l.at);
	buf_init(&line, 65536);
	logline_add(&line, s->log_format, s->log_senders, &l);
	if (!line.failed)
		log_line(LOG_INFO, buf_span(&line));
	buf_free(&line);
}

/* --- answers of our own --- */

bool
gate_is_head(const struct cgienv *e)
{
	return span_eq(e->policy.method, SPAN("HEAD"));
}

/* Sends our answer for this reason, with these fields. */
static void
send_own(struct exchange *x, enum reason why, const struct field add[],
    size_t nadd, const struct cgienv *e)
{
	struct buf out;
	struct span s;

	buf_init(&out, EXCHANGE_FINISH_MAX);
	reply_own(&out, why, add, nadd, gate_is_head(e));
	s = buf_span(&out);
	if (!out.failed)
		x->way->finish(x, 0, &s, 1);
	buf_free(&out);
}

void
gate_answer(const struct gate *g, struct exchange *x,
    const struct gate_passage *p, enum reason why, const char *detail)
{
	const struct policy_decision *d = &p->decision;

	send_own(x, why, d->fields, d->nfields, &p->env);
	gate_log(g, p, why, reason_status(why), detail);
}

void
gate_fault(struct exchange *x, enum reason why)
{
	struct cgienv e;

	cgienv_read(x->vars, &e);
	send_own(x, why, NULL, 0, &e);
}

/* --- the decision --- */

/* Is the decision the answer, with the handler in the web server's hands? */
static bool
decides_alone(const struct exchange *x, const struct conf_endpoint *ep)
{
	return x->authorizer || ep->handler == CONF_HANDLER_NONE;
}

/*
 * Which endpoint?  Where only the URI tells what the client asked for, its
 * query counts where the server gave none [SPEC 1.7]; *differ where it gave
 * another one (E6).
 */
static const struct conf_endpoint *
find_endpoint(const struct gate *g, const struct exchange *x, struct cgienv *e,
    bool *differ)
{
	struct conf_asked asked = {
		.script = { .head = e->script_name, .tail = e->path_info },
		.authorizer = x->authorizer,
	};
	const struct conf_endpoint *ep;
	struct span query;

	asked.uri = path_of_uri(e->request_uri, &query);
	ep = conf_endpoint(g->o.conf, &asked);
	*differ = false;
	if (ep == NULL || !decides_alone(x, ep))
		return ep;
	if (e->policy.query.p == NULL)
		e->policy.query = query;
	else
		*differ = !x->authorizer && query.p != NULL &&
		    !span_eq(e->policy.query, query);
	return ep;
}

/* What was decided, as variables for the next handler [SPEC 5.2]. */
static size_t
add_variables(const struct policy_decision *d, struct field out[])
{
	const struct field all[] = {
		{ SPAN("Variable-AMP_CORS_VERSION"),
		    d->version == 1 ? SPAN("1") : SPAN("2") },
		{ SPAN("Variable-AMP_CORS_SENDER"), d->sender },
		{ SPAN("Variable-AMP_CORS_ORIGIN"), d->origin },
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].value.n > 0 && !d->reported)
			out[n++] = all[i];
	return n;
}

/* The decision is all that was asked for [SPEC 4.1, 5.2]. */
static void
answer_allowed(const struct gate *g, struct exchange *x,
    const struct gate_passage *p)
{
	const struct policy_decision *d = &p->decision;
	struct field all[POLICY_FIELDS_MAX + 3];
	size_t n = d->nfields;

	memcpy(all, d->fields, n * sizeof(all[0]));
	if (x->authorizer)
		n += add_variables(d, all + n);
	send_own(x, REASON_OK, all, n, &p->env);
	gate_log(g, p, d->reason, reason_status(REASON_OK), NULL);
}

/* What was asked for, where there is nothing; for the log. */
static const char *
path_text(const struct cgienv *e, char *text, size_t size)
{
	struct span name = e->script_name, info = e->path_info;
	struct span uri = e->request_uri, head = { NULL, 0 };
	bool named = name.n + info.n > 0;

	/* what stands behind is the client's own, and may name a sender */
	span_cut(&uri, '?', &head);
	uri = head;
	span_cut(&uri, '#', &head);
	snprintf(text, size, "%s%.*s%.*s%s%.*s", named ? "path " : "",
	    (int)name.n, name.p, (int)info.n, info.p,
	    head.n == 0 ? "" :
		named   ? " of URI " :
			  "URI ",
	    (int)head.n, head.p);
	return text;
}

bool
gate_enter(struct gate *g, struct exchange *x, struct gate_passage *p)
{
	struct policy_decision *d = &p->decision;
	enum reason why;
	char text[512];
	bool differ;

	p->began = io_now();
	p->id = atomic_fetch_add(&g->next_id, 1) & 0xFFFFFFFF;
	why = cgienv_read(x->vars, &p->env);
	p->endpoint = find_endpoint(g, x, &p->env, &differ);
	if (p->endpoint != NULL)
		x->send_timeout =
		    (int64_t)p->endpoint->limits.send_timeout * 1000;
	if (why == REASON_OK && (p->endpoint == NULL || differ))
		why = policy_bad_byte(&p->env.policy) ? REASON_BAD_BYTE :
		    differ                            ? REASON_BAD_REQUEST :
							REASON_NO_ENDPOINT;
	if (why != REASON_OK) {
		policy_refuse(why, p->endpoint != NULL, d);
		d->claimed_sender = p->env.policy.sender;
	} else
		policy_decide(&p->endpoint->policy, &p->env.policy, d);
	if (d->verdict != POLICY_ALLOW && !d->reported)
		gate_answer(g, x, p, d->reason,
		    d->reason == REASON_NO_ENDPOINT ?
			path_text(&p->env, text, sizeof(text)) :
			NULL);
	else if (decides_alone(x, p->endpoint))
		answer_allowed(g, x, p);
	else
		return true;
	return false;
}

void
gate_leave(struct gate *g, struct exchange *x, struct gate_passage *p,
    bool busy)
{
	if (busy)
		gate_answer(g, x, p, REASON_BUSY, NULL);
	else
		gate_log(g, p, REASON_CLIENT_GONE, 0, NULL);
}
