#include "gate.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "decide.h"
#include "gate_metrics.h"
#include "gate_run.h"
#include "io.h"
#include "log.h"
#include "reply.h"

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
	if (g->null != -1 && g->cells != NULL && g->slots != NULL)
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
	if (g->slots != NULL)
		gate_rest(g);
	free(g->slots);
	free(g);
}

void
gate_rest(struct gate *g)
{
	for (unsigned i = 0; i < g->o.slots; i++) {
		struct gate_slot *s = &g->slots[i];

		free(s->room);
		gate_relay_free(s->relay);
		s->room = NULL;
		s->relay = NULL;
	}
}

/* --- the log --- */

/* Whose counters? */
static struct metrics_row *
row_of(const struct gate_passage *p)
{
	const struct conf_endpoint *all;

	if (p->endpoint == NULL)
		return p->policy->stray;
	conf_endpoints(p->policy->conf, &all);
	return p->policy->rows[p->endpoint - all];
}

void
gate_log(const struct gate *g, const struct gate_passage *p, enum reason why,
    unsigned status, const char *detail)
{
	const struct conf_server *s = g->o.server;
	const struct policy_decision *d = &p->decision;
	enum policy_outcome outcome = policy_outcome(d);
	struct logline l = {
		.id = p->id,
		.decision = policy_word(outcome),
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
	char room[1024];
	struct buf line;

	metrics_count(row_of(p), outcome, why, d->version);
	if (!log_wanted(LOG_INFO))
		return;
	clock_gettime(CLOCK_REALTIME, &l.at);
	buf_init_in(&line, 65536, room, sizeof(room));
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
	char room[1024];
	struct buf out;
	struct span s;

	buf_init_in(&out, EXCHANGE_FINISH_MAX, room, sizeof(room));
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

	x->way->env(x, &e);
	send_own(x, why, NULL, 0, &e);
}

/* --- the decision --- */

/* The decision is all that was asked for [SPEC 4.1, 5.2]. */
static void
answer_allowed(const struct gate *g, struct exchange *x,
    const struct gate_passage *p)
{
	const struct policy_decision *d = &p->decision;
	struct field all[DECIDE_FIELDS_MAX];
	size_t n = decide_fields(d, x->authorizer, all);

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

/* Answers what needs no handler; true where one is to run. */
static bool
needs_handler(const struct gate *g, struct exchange *x,
    const struct gate_passage *p)
{
	const struct policy_decision *d = &p->decision;
	char text[512];

	if (d->verdict != POLICY_ALLOW && !d->reported)
		gate_answer(g, x, p, d->reason,
		    d->reason == REASON_NO_ENDPOINT ?
			path_text(&p->env, text, sizeof(text)) :
			NULL);
	else if (decide_alone(p->endpoint, x->authorizer))
		answer_allowed(g, x, p);
	else
		return true;
	return false;
}

bool
gate_enter(struct gate *g, struct exchange *x, struct gate_passage *p)
{
	enum reason read;

	p->began = io_now();
	p->id = atomic_fetch_add(&g->next_id, 1) & 0xFFFFFFFF;
	p->policy = live_hold(g->o.live);
	read = x->way->env(x, &p->env);
	/* other programs leave odd things in a process's environment */
	if (p->env.dropped > 0 && !x->cgi)
		log_info("%zu parameters with names that cannot be passed on "
			 "were dropped",
		    p->env.dropped);
	p->endpoint = decide_request(p->policy->conf, read, x->authorizer,
	    &p->env, &p->decision);
	if (p->endpoint != NULL)
		x->send_timeout =
		    (int64_t)p->endpoint->limits.send_timeout * 1000;
	p->asks_metrics = gate_metrics_wanted(g, x, &p->env);
	if (p->asks_metrics ? !gate_metrics_answer(g, x, &p->env) :
			      needs_handler(g, x, p))
		return true;
	live_release(g->o.live, p->policy);
	return false;
}

bool
gate_needs_strings(const struct gate_passage *p)
{
	return !p->asks_metrics && p->endpoint->handler != CONF_HANDLER_FORWARD;
}

void
gate_leave(struct gate *g, struct exchange *x, struct gate_passage *p,
    enum reason why)
{
	bool gone = why == REASON_CLIENT_GONE;

	if (!p->asks_metrics && gone)
		gate_log(g, p, why, 0, NULL);
	else if (!p->asks_metrics)
		gate_answer(g, x, p, why, NULL);
	else if (!gone)
		gate_fault(x, why);
	live_release(g->o.live, p->policy);
}

unsigned
gate_kill_grace(const struct gate *g)
{
	const struct live_policy *p = live_hold(g->o.live);
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(p->conf, &ep);
	unsigned most = 0;

	for (size_t i = 0; i < n; i++)
		if (ep[i].limits.kill_grace > most)
			most = ep[i].limits.kill_grace;
	live_release(g->o.live, p);
	return most;
}
