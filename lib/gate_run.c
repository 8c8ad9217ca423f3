#include "gate_run.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "childenv.h"
#include "gate_metrics.h"
#include "io.h"
#include "log.h"
#include "pump.h"
#include "reply.h"
#include "spool.h"

enum {
	LINGER_TICK = 250,   /* ms */
	PARAMS_MAX = 1 << 20 /* far above what the front itself takes */
};

/* One run of a handler: what gate_begin() and its parts share. */
struct run {
	struct gate *g;
	struct exchange *x;
	struct gate_passage *p;
	unsigned slot;
	struct target *target; /* 20 KiB: not to be cleared for each */
	char *file;            /* its file, when the rest has gone */
	struct spool spool;
	struct childenv vars;
	char length[24];  /* of a spooled body */
	char detail[256]; /* for the log; empty: nothing to say */
};

/* One at a FastCGI server, which needs no thread while that is silent. */
struct gate_relay {
	struct run run;
	struct forward forward;
	struct reply reply;
	struct pump_job job;
	struct pump *pump;
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
change_for_program(const struct run *r, struct childenv_change *c)
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
change_for_forward(const struct run *r, struct childenv_change *c)
{
	const struct cgienv *e = &r->p->env;

	c->pass_authorization = true;
	c->new_path = e->proxied;
	c->script_name = e->script_name;
	c->path_info = e->path_info;
	c->script_filename = e->script_filename;
}

static struct childenv_change
change_for_any(const struct run *r)
{
	return (struct childenv_change){ .decision = &r->p->decision,
		.content_length = span_of(*r->length ? r->length : NULL) };
}

static bool
make_vars(struct run *r)
{
	struct childenv_change c = change_for_any(r);

	change_for_program(r, &c);
	return childenv_make(r->x->vars, &c, &r->vars);
}

static bool
make_params(const struct run *r, struct buf *out)
{
	struct childenv_change c = change_for_any(r);
	const struct vars vars = { .strings = r->x->vars,
		.pairs = r->x->pairs };

	change_for_forward(r, &c);
	return childenv_params(&vars, &c, out);
}

/* The file was found, but could not be executed. */
static enum reason
exec_failed(struct run *r, int error)
{
	const char *file = r->file != NULL ? r->file : r->target->file;

	snprintf(r->detail, sizeof(r->detail), "exec %.180s: %s", file,
	    target_exec_text(file, error));
	return target_exec_fault(file, error);
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

static void
drop_room(struct run *r)
{
	struct gate_slot *s = &r->g->slots[r->slot];

	free(s->room);
	s->room = NULL;
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
	if (result->large) /* which few answers are */
		drop_room(r);
}

/* How much of the body comes through the exchange, and so not by a spool. */
static uint64_t
streamed(const struct run *r)
{
	return r->spool.fd == -1 && r->p->env.has_length ? r->p->env.length : 0;
}

/* What the pump is to do; then conclude() is to follow. */
static struct pump_job
make_job(struct run *r, struct handler *h, struct reply *reply)
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

	reply_init(reply, &rules);
	return (struct pump_job){ .x = r->x,
		.reply = reply,
		.handler = h,
		.limits = &ep->limits,
		.id = r->p->id,
		.room = r->g->slots[r->slot].room,
		.hold = is_forward(r) ? 0 : PUMP_HOLD,
		.body = streamed(r) };
}

/* The program has it all by now, and may run for long. */
static void
forget_command(struct run *r)
{
	r->file = strdup(r->target->file);
	if (r->file == NULL)
		return;
	free(r->target);
	r->target = NULL;
	childenv_free(&r->vars);
}

static enum reason
run_child(struct run *r, const struct spawn_command *command)
{
	struct spawn_child child;
	struct reply reply;
	struct pump_job job;
	struct pump_result result;

	if (spawn_start(command, &r->g->cells[r->slot], &child) == -1) {
		snprintf(r->detail, sizeof(r->detail), "%s", strerror(errno));
		return REASON_OVERLOADED;
	}
	forget_command(r);
	job = make_job(r, &child.h, &reply);
	result = pump_run(&job);
	conclude(r, &child.h, &reply, &result);
	leave_child(r, &child, result.why == REASON_OK, result.told);
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

/* All but the handler itself. */
static enum reason
prepare(struct run *r)
{
	struct gate_slot *slot = &r->g->slots[r->slot];
	enum reason why;

	why = find_target(r);
	if (why == REASON_OK)
		why = prepare_body(r);
	if (why != REASON_OK)
		return why;
	if (slot->room == NULL)
		slot->room = malloc(PUMP_ROOM);
	return slot->room != NULL ? REASON_OK : REASON_OVERLOADED;
}

/* The run is over; why: what is yet to be answered, if anything. */
static void
finish(struct run *r, enum reason why)
{
	if (why == REASON_CLIENT_GONE)
		gate_log(r->g, r->p, why, 0, NULL);
	else if (why != REASON_OK)
		gate_answer(r->g, r->x, r->p, why, detail_of(r));
	childenv_free(&r->vars);
	spool_free(&r->spool);
	live_release(r->g->o.live, r->p->policy);
}

/* A passage, from now on in this slot. */
static void
run_init(struct run *r, struct gate *g, unsigned slot)
{
	const struct gate_slot *s = &g->slots[slot];

	*r = (struct run){ .g = g, .x = s->x, .p = s->p, .slot = slot };
	spool_init(&r->spool);
}

static void
run_program(struct gate *g, unsigned slot)
{
	enum reason why = REASON_OVERLOADED;
	struct run r;

	run_init(&r, g, slot);
	/* a few bytes of it are used: on the stack, a thread would keep all */
	r.target = malloc(sizeof(*r.target));
	if (r.target != NULL) {
		r.target->new_path = false;
		why = prepare(&r);
	}
	if (why == REASON_OK)
		why = make_vars(&r) ? start_program(&r) : REASON_OVERLOADED;
	finish(&r, why);
	free(r.target);
	free(r.file);
}

/* --- a FastCGI server --- */

static struct gate_relay *
relay_of(struct gate_slot *s)
{
	if (s->relay == NULL)
		s->relay = calloc(1, sizeof(*s->relay));
	if (s->relay != NULL && s->relay->pump == NULL)
		s->relay->pump = pump_new();
	return s->relay == NULL || s->relay->pump == NULL ? NULL : s->relay;
}

void
gate_relay_free(struct gate_relay *l)
{
	if (l == NULL)
		return;
	pump_free(l->pump);
	free(l);
}

/* Its connection, and what goes out first. */
static enum reason
relay_connect(struct gate_relay *l, struct span params)
{
	struct run *r = &l->run;
	const struct conf_endpoint *all;
	const struct forward_request request = { .params = params,
		.body = streamed(r) > 0,
		.file = r->spool.fd,
		.length = r->spool.length };
	struct forward_backend *backend;
	enum reason why;

	conf_endpoints(r->p->policy->conf, &all);
	backend = r->p->policy->backends[r->p->endpoint - all];
	why = forward_start(&l->forward, backend, &request);
	if (why != REASON_OK)
		snprintf(r->detail, sizeof(r->detail), "%s", l->forward.h.note);
	return why;
}

static enum reason
relay_start(struct gate_relay *l)
{
	const struct run *r = &l->run;
	enum reason why = REASON_OVERLOADED;
	struct buf params;

	/* the pump does not need its room as yet */
	buf_init_in(&params, PARAMS_MAX, r->g->slots[r->slot].room, PUMP_ROOM);
	if (make_params(r, &params))
		why = relay_connect(l, buf_span(&params));
	buf_free(&params);
	return why;
}

/* Waits, if it has to. */
static void
relay_end(struct gate_relay *l)
{
	struct pump_result result = pump_end(l->pump);

	/* before the client can ask again, and want the same connection */
	forward_end(&l->forward);
	conclude(&l->run, &l->forward.h, &l->reply, &result);
	finish(&l->run, REASON_OK);
}

/* The pump has gone as far as it does without waiting. */
static enum exchange_need
relay_rest(struct gate_relay *l, enum exchange_need need)
{
	if (need == EXCHANGE_DONE)
		relay_end(l);
	return need;
}

static enum exchange_need
relay_begin(struct gate *g, unsigned slot, struct exchange_await *out)
{
	struct gate_slot *s = &g->slots[slot];
	struct gate_relay *l = relay_of(s);
	enum reason why;

	if (l == NULL) {
		gate_leave(g, s->x, s->p, REASON_OVERLOADED);
		return EXCHANGE_DONE;
	}
	run_init(&l->run, g, slot);
	why = prepare(&l->run);
	if (why == REASON_OK)
		why = relay_start(l);
	if (why != REASON_OK) {
		finish(&l->run, why);
		return EXCHANGE_DONE;
	}
	s->relays = true;
	l->job = make_job(&l->run, &l->forward.h, &l->reply);
	return relay_rest(l, pump_begin(l->pump, &l->job, out));
}

/* --- a passage --- */

/* Can it begin without waiting? */
static bool
is_quick(const struct gate_passage *p)
{
	return !p->asks_metrics &&
	    p->endpoint->handler == CONF_HANDLER_FORWARD &&
	    cgienv_body(&p->env) != CGIENV_UNKNOWN;
}

enum exchange_need
gate_begin(struct gate *g, struct exchange *x, struct gate_passage *p,
    unsigned slot, struct exchange_await *out)
{
	struct gate_slot *s = &g->slots[slot];

	s->x = x;
	s->p = p;
	s->relays = false;
	return is_quick(p) ? relay_begin(g, slot, out) : EXCHANGE_WAITS;
}

enum exchange_need
gate_resume(struct gate *g, unsigned slot, struct exchange_await *out)
{
	struct gate_relay *l = g->slots[slot].relay;

	return relay_rest(l, pump_resume(l->pump, out));
}

void
gate_wait(struct gate *g, unsigned slot)
{
	struct gate_slot *s = &g->slots[slot];
	struct exchange_await what;

	if (s->relays)
		relay_end(s->relay);
	else if (s->p->asks_metrics) {
		gate_metrics_send(g, s->x, &s->p->env);
		live_release(g->o.live, s->p->policy);
	} else if (s->p->endpoint->handler != CONF_HANDLER_FORWARD)
		run_program(g, slot);
	else if (relay_begin(g, slot, &what) != EXCHANGE_DONE)
		relay_end(s->relay);
}

void
gate_run(struct gate *g, struct exchange *x, struct gate_passage *p,
    unsigned slot)
{
	struct exchange_await what;

	if (gate_begin(g, x, p, slot, &what) != EXCHANGE_DONE)
		gate_wait(g, slot);
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
