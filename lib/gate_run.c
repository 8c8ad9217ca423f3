#include "gate_run.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gate_metrics.h"
#include "io.h"
#include "log.h"
#include "pump.h"
#include "reply.h"
#include "spool.h"

enum { LINGER_TICK = 250 }; /* ms */

/* One run of a handler: what gate_run() and its parts share. */
struct run {
	struct gate *g;
	struct exchange *x;
	struct gate_passage *p;
	unsigned slot;
	struct target *target; /* 20 KiB: not to be cleared for each */
	struct spool spool;
	struct cgienv_list vars;
	char length[24];  /* of a spooled body */
	char detail[256]; /* for the log; empty: nothing to say */
};

/* The script that the web server names, in the way that it names it. */
static enum reason
find_script(struct run *r)
{
	const char *root = r->p->endpoint->scripts;
	const struct cgienv *e = &r->p->env;
	const struct gate_options *o = &r->g->o;
	struct span named = e->script_filename;
	enum reason why;

	if (r->x->cgi && target_is_self(named)) {
		named = e->path_translated;
		why = target_action(e, root, r->target);
	} else {
		why = target_script(e, root, r->target);
		if (why == REASON_OK && r->x->cgi)
			target_interpreter(o->argc, o->argv, r->target);
	}
	if (why != REASON_OK)
		snprintf(r->detail, sizeof(r->detail),
		    "script %.*s, scripts = %.80s", (int)named.n, named.p,
		    root);
	return why;
}

/* Which file is to run, if any is [SPEC 4.1, 4.11, 5.1]. */
static enum reason
find_target(struct run *r)
{
	const struct conf_endpoint *ep = r->p->endpoint;
	const struct cgienv *e = &r->p->env;
	const struct gate_options *o = &r->g->o;
	enum reason why;

	if (e->loop && !r->x->cgi) /* in CGI, the program has seen to it */
		return REASON_HANDLER_LOOP;
	switch (ep->handler) {
	case CONF_HANDLER_EXEC:
		return target_program(ep->exec, r->target);
	case CONF_HANDLER_SCRIPTS:
		return find_script(r);
	case CONF_HANDLER_FORWARD:
		return REASON_OK;
	case CONF_HANDLER_NONE: /* answered by gate_enter() */
	case CONF_HANDLER_UNSET:
		break;
	}
	if (!r->x->cgi)
		return target_words(o->argc, o->argv, r->target);
	if (target_command_line(e, o->argc, o->argv, r->target, &why))
		return REASON_OK;
	return why == REASON_OK ? REASON_POLICY_ERROR : why;
}

/* Gets a body of unknown length whole, and others within max_body. */
static enum reason
prepare_body(struct run *r)
{
	const struct conf_limits *l = &r->p->endpoint->limits;
	const struct cgienv *e = &r->p->env;
	uint64_t max = l->spool_max;
	enum reason why;

	if (e->has_length && l->max_body > 0 && e->length > l->max_body)
		return REASON_BODY_TOO_LARGE;
	if (cgienv_body(e) != CGIENV_UNKNOWN)
		return REASON_OK;
	if (l->max_body > 0 && l->max_body < max)
		max = l->max_body;
	why = spool_fill(&r->spool, r->x, max, l->body_timeout);
	snprintf(r->length, sizeof(r->length), "%" PRIu64, r->spool.length);
	return why;
}

static bool
is_forward(const struct run *r)
{
	return r->p->endpoint->handler == CONF_HANDLER_FORWARD;
}

/* A program of ours: also the front's own environment, as far as asked for. */
static void
change_for_program(const struct run *r, struct cgienv_change *c)
{
	const struct conf_endpoint *ep = r->p->endpoint;
	const struct target *t = r->target;

	c->own = r->x->cgi ? NULL : r->g->o.environment;
	c->names = ep->environment;
	c->pass_authorization = ep->pass_authorization;
	c->new_path = t->new_path;
	if (!t->new_path)
		return;
	c->script_name = span_of(t->script_name);
	c->path_info = span_of(*t->path_info ? t->path_info : NULL);
	c->script_filename = span_of(t->script);
}

/* A server elsewhere: what the web server says, in a form for anybody. */
static void
change_for_forward(const struct run *r, struct cgienv_change *c)
{
	const struct cgienv *e = &r->p->env;

	c->remote = true;
	c->pass_authorization = true;
	c->new_path = e->proxied;
	c->script_name = e->script_name;
	c->path_info = e->path_info;
	c->script_filename = e->script_filename;
}

static bool
make_vars(struct run *r)
{
	struct cgienv_change c = {
		.decision = &r->p->decision,
		.content_length = span_of(*r->length ? r->length : NULL),
	};

	if (is_forward(r))
		change_for_forward(r, &c);
	else
		change_for_program(r, &c);
	return cgienv_child(r->x->vars, &c, &r->vars);
}

/* The file was found, but could not be executed. */
static enum reason
exec_failed(struct run *r, int error)
{
	snprintf(r->detail, sizeof(r->detail), "exec %.180s: %s",
	    r->target->file, target_exec_text(r->target->file, error));
	return target_exec_fault(r->target->file, error);
}

static const char *
detail_of(const struct run *r)
{
	return *r->detail == '\0' ? NULL : r->detail;
}

/*
 * What still runs, or has not been reaped, is gate_linger()'s.  An answer that
 * is whole leaves its handler time; a CGI process then leaves it alone.
 */
static void
leave_child(struct run *r, const struct spawn_child *c, bool whole, bool told)
{
	const struct conf_limits *l = &r->p->endpoint->limits;
	struct gate_slot *s = &r->g->slots[r->slot];

	s->used = true;
	s->child = *c;
	s->lingers = whole && c->pid != 0 && !r->x->cgi;
	s->ends = !whole;
	s->patience = l->timeout;
	s->grace = told ? 0 : l->kill_grace;
	s->id = r->p->id;
}

/* What the pump came to: the end of the answer, or an answer of ours. */
static void
conclude(struct run *r, const struct handler *h, struct reply *reply,
    const struct pump_result *result)
{
	enum reason why = result->why;
	bool sent = result->begun || why == REASON_OK;
	unsigned status = sent ? reply->status : 0;

	if (why == REASON_HANDLER_NOT_STARTED)
		why = exec_failed(r, r->g->cells[r->slot]);
	else if (result->detail != NULL)
		snprintf(r->detail, sizeof(r->detail), "%s", result->detail);
	if (why == REASON_OK)
		r->x->way->finish(r->x, h->status, result->rest, 2);
	if (why == REASON_OK || why == REASON_CLIENT_GONE || result->begun)
		gate_log(r->g, r->p,
		    r->p->decision.reported && why == REASON_OK ?
			r->p->decision.reason :
			why,
		    status, detail_of(r));
	else
		gate_answer(r->g, r->x, r->p, why, detail_of(r));
	if (why != REASON_OK && result->begun)
		r->x->way->cut(r->x);
	reply_free(reply);
}

/* How much of the body comes through the exchange, and so not by a spool. */
static uint64_t
streamed(const struct run *r)
{
	return r->spool.fd == -1 && r->p->env.has_length ? r->p->env.length : 0;
}

/* Moves bytes until it is over; then conclude() is to follow. */
static struct pump_result
move(struct run *r, struct handler *h, struct reply *reply)
{
	const struct conf_endpoint *ep = r->p->endpoint;
	const struct policy_decision *d = &r->p->decision;
	const struct reply_rules rules = {
		.add = d->fields,
		.nadd = d->nfields,
		.rule = d->reported ? policy_field_reported : policy_field,
		.pass_redirects = ep->pass_redirects,
		.head_only = gate_is_head(&r->p->env),
		.max_header = ep->limits.max_header,
	};
	const struct pump_job job = { .x = r->x,
		.reply = reply,
		.handler = h,
		.limits = &ep->limits,
		.id = r->p->id,
		.room = r->g->slots[r->slot].room,
		.body = streamed(r) };

	reply_init(reply, &rules);
	return pump_run(&job);
}

static enum reason
run_child(struct run *r, const struct spawn_command *command)
{
	struct spawn_child child;
	struct reply reply;
	struct pump_result result;

	if (spawn_start(command, &r->g->cells[r->slot], &child) == -1) {
		snprintf(r->detail, sizeof(r->detail), "%s", strerror(errno));
		return REASON_OVERLOADED;
	}
	result = move(r, &child.h, &reply);
	conclude(r, &child.h, &reply, &result);
	leave_child(r, &child, result.why == REASON_OK, result.told);
	return REASON_OK;
}

static enum reason
run_forward(struct run *r)
{
	const struct conf_endpoint *all;
	const struct forward_request request = { .vars = r->vars.vars,
		.body = streamed(r) > 0,
		.file = r->spool.fd,
		.length = r->spool.length };
	struct forward_backend *backend;
	struct forward f;
	struct reply reply;
	struct pump_result result;
	enum reason why;

	conf_endpoints(r->p->policy->conf, &all);
	backend = r->p->policy->backends[r->p->endpoint - all];
	why = forward_start(&f, backend, &request);
	if (why != REASON_OK) {
		snprintf(r->detail, sizeof(r->detail), "%s", f.h.note);
		return why;
	}
	result = move(r, &f.h, &reply);
	/* before the client can ask again, and want the same connection */
	forward_end(&f);
	conclude(r, &f.h, &reply, &result);
	return REASON_OK;
}

/* exec_mode = replace: our fields, and then the handler itself [SPEC 4.5]. */
static enum reason
become(struct run *r, const struct spawn_command *command)
{
	const struct policy_decision *d = &r->p->decision;
	struct buf head;
	struct span s;
	int error;

	buf_init(&head, EXCHANGE_FINISH_MAX);
	for (size_t i = 0; i < d->nfields; i++) {
		if (d->fields[i].value.n == 0)
			continue;
		buf_add_span(&head, d->fields[i].name);
		buf_add_str(&head, ": ");
		buf_add_span(&head, d->fields[i].value);
		buf_add_str(&head, "\r\n");
	}
	s = buf_span(&head);
	gate_log(r->g, r->p, d->reason, 0, "replaced by its handler");
	r->x->way->finish(r->x, 0, &s, head.failed ? 0 : 1);
	buf_free(&head);
	error = spawn_replace(command);
	/* the header block is still open: ours goes on without the fields */
	r->p->decision.nfields = 0;
	return exec_failed(r, error);
}

static enum reason
start_program(struct run *r)
{
	const struct spawn_command command = {
		.file = r->target->file,
		.argv = r->target->argv,
		.vars = r->vars.vars,
		.dir = r->target->dir,
		.in = r->spool.fd != -1 ? r->spool.fd :
		    streamed(r) > 0     ? -1 :
					  r->g->null,
	};

	if (r->p->endpoint->replace && r->x->cgi)
		return become(r, &command);
	return run_child(r, &command);
}

static enum reason
start(struct run *r)
{
	struct gate_slot *slot = &r->g->slots[r->slot];

	if (!make_vars(r))
		return REASON_OVERLOADED;
	if (slot->room == NULL && (slot->room = malloc(PUMP_ROOM)) == NULL)
		return REASON_OVERLOADED;
	return is_forward(r) ? run_forward(r) : start_program(r);
}

static void
run(struct run *r)
{
	enum reason why;

	spool_init(&r->spool);
	why = find_target(r);
	if (why == REASON_OK)
		why = prepare_body(r);
	if (why == REASON_OK)
		why = start(r);
	if (why == REASON_CLIENT_GONE)
		gate_log(r->g, r->p, why, 0, NULL);
	else if (why != REASON_OK)
		gate_answer(r->g, r->x, r->p, why, detail_of(r));
	cgienv_free(&r->vars);
	spool_free(&r->spool);
}

void
gate_run(struct gate *g, struct exchange *x, struct gate_passage *p,
    unsigned slot)
{
	struct target target;
	struct run r = { .g = g,
		.x = x,
		.p = p,
		.slot = slot,
		.target = &target };

	if (p->asks_metrics)
		gate_metrics_send(g, x, &p->env);
	else
		run(&r);
	live_release(g->o.live, p->policy);
}

/* --- after the answer --- */

/* Takes what there is of its errors, which nobody is left to be told. */
static void
errors_ignore(struct spawn_child *c)
{
	char rest[4096];

	if (c->h.err != -1 && io_wait(c->h.err, POLLIN, 0) > 0 &&
	    read(c->h.err, rest, sizeof(rest)) <= 0)
		spawn_close(&c->h.err);
}

/* True where it has ended by itself, and in time. */
static bool
outlived(struct gate_slot *s, int stop)
{
	int64_t until = io_now() + (int64_t)s->patience * 1000, now;

	while ((now = io_now()) < until && io_wait(stop, POLLIN, 0) <= 0) {
		int64_t next = now + LINGER_TICK;

		errors_ignore(&s->child);
		if (spawn_reap(&s->child, s->child.h.err,
			next < until ? next : until))
			return true;
	}
	log_warnx("%08" PRIx64 " the handler goes on after its answer: ended",
	    s->id);
	return false;
}

void
gate_linger(struct gate *g, unsigned slot, int stop)
{
	struct gate_slot *s = &g->slots[slot];
	struct spawn_child *c = &s->child;

	if (!s->used)
		return;
	spawn_close(&c->h.in);
	spawn_close(&c->h.out);
	if (s->ends || (s->lingers && !outlived(s, stop)))
		spawn_end(c, s->grace);
	spawn_close(&c->h.err);
	s->used = false;
}
