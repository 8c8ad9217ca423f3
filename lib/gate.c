#include "gate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "io.h"
#include "log.h"
#include "pump.h"
#include "reply.h"
#include "spawn.h"
#include "spool.h"

enum { LINGER_TICK = 250 }; /* ms */

/* What one handler at a time has of the gate. */
struct slot {
	char *room; /* the pump's, made when first wanted */
	bool used;  /* there is a child, until gate_linger() */
	struct spawn_child child;
	bool lingers;             /* its answer is whole, but it still runs */
	bool ends;                /* it is to be ended */
	unsigned patience, grace; /* seconds of each */
	uint64_t id;              /* of its request */
};

struct gate {
	struct gate_options o;
	int null;   /* standard input where there is no body */
	int *cells; /* spawn_start()'s, one a slot */
	struct slot *slots;
	atomic_uint_least64_t next_id;
};

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
	for (unsigned i = 0; g->slots != NULL && i < g->o.slots; i++)
		free(g->slots[i].room);
	free(g->slots);
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

/* The one line of a request [SPEC 7.1]; status 0: nothing was sent. */
static void
log_decision(const struct gate *g, const struct gate_passage *p,
    enum reason why, unsigned status, const char *detail)
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

static bool
is_head(const struct cgienv *e)
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
	reply_own(&out, why, add, nadd, is_head(e));
	s = buf_span(&out);
	if (!out.failed)
		x->way->finish(x, 0, &s, 1);
	buf_free(&out);
}

/* The same with the decision's fields, and logged. */
static void
answer(const struct gate *g, struct exchange *x, const struct gate_passage *p,
    enum reason why, const char *detail)
{
	const struct policy_decision *d = &p->decision;

	send_own(x, why, d->fields, d->nfields, &p->env);
	log_decision(g, p, why, reason_status(why), detail);
}

void
gate_fault(struct exchange *x, enum reason why)
{
	struct cgienv e;

	cgienv_read(x->vars, &e);
	send_own(x, why, NULL, 0, &e);
}

/* --- the decision --- */

bool
gate_enter(struct gate *g, struct exchange *x, struct gate_passage *p)
{
	struct policy_decision *d = &p->decision;
	enum reason why;

	p->began = io_now();
	p->id = atomic_fetch_add(&g->next_id, 1) & 0xFFFFFFFF;
	why = cgienv_read(x->vars, &p->env);
	p->endpoint =
	    conf_endpoint(g->o.conf, p->env.script_name, p->env.path_info);
	if (p->endpoint != NULL)
		x->send_timeout =
		    (int64_t)p->endpoint->limits.send_timeout * 1000;
	if (why == REASON_OK && p->endpoint == NULL)
		why = policy_bad_byte(&p->env.policy) ? REASON_BAD_BYTE :
							REASON_NO_ENDPOINT;
	if (why != REASON_OK) {
		policy_refuse(why, p->endpoint != NULL, d);
		d->claimed_sender = p->env.policy.sender;
	} else
		policy_decide(&p->endpoint->policy, &p->env.policy, d);
	if (d->verdict == POLICY_ALLOW || d->reported)
		return true;
	answer(g, x, p, d->reason, NULL);
	return false;
}

void
gate_leave(struct gate *g, struct exchange *x, struct gate_passage *p,
    bool busy)
{
	if (busy)
		answer(g, x, p, REASON_BUSY, NULL);
	else
		log_decision(g, p, REASON_CLIENT_GONE, 0, NULL);
}

/* --- the handler --- */

/* One run of a handler: what gate_run() and its parts share. */
struct run {
	struct gate *g;
	struct exchange *x;
	struct gate_passage *p;
	unsigned slot;
	struct target target;
	struct spool spool;
	struct cgienv_list vars;
	char length[24];  /* of a spooled body */
	char detail[256]; /* for the log; empty: nothing to say */
};

/* Which file is to run [SPEC 4.1, 4.11, 5.1]. */
static enum reason
find_target(struct run *r)
{
	const struct conf_endpoint *ep = r->p->endpoint;
	const struct cgienv *e = &r->p->env;
	const struct gate_options *o = &r->g->o;
	enum reason why;

	switch (ep->handler) {
	case CONF_HANDLER_EXEC:
		return target_program(ep->exec, &r->target);
	case CONF_HANDLER_SCRIPTS:
		if (r->x->cgi && target_is_self(e->script_filename))
			return target_action(e, ep->scripts, &r->target);
		why = target_script(e, ep->scripts, &r->target);
		if (why == REASON_OK && r->x->cgi)
			target_interpreter(o->argc, o->argv, &r->target);
		return why;
	case CONF_HANDLER_UNSET:
		break;
	}
	if (!r->x->cgi)
		return target_words(o->argc, o->argv, &r->target);
	if (target_command_line(e, o->argc, o->argv, &r->target, &why))
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
make_vars(struct run *r)
{
	const struct target *t = &r->target;
	const struct conf_endpoint *ep = r->p->endpoint;
	const struct cgienv_change c = {
		.decision = &r->p->decision,
		.own = r->x->cgi ? NULL : r->g->o.environment,
		.names = ep->environment,
		.pass_authorization = ep->pass_authorization,
		.content_length = span_of(*r->length ? r->length : NULL),
		.new_path = t->new_path,
		.script_name = span_of(t->script_name),
		.path_info = span_of(*t->path_info ? t->path_info : NULL),
		.script_filename = span_of(t->script),
	};

	return cgienv_child(r->x->vars, &c, &r->vars);
}

/* The file was found, but could not be executed. */
static enum reason
exec_failed(struct run *r, int error)
{
	snprintf(r->detail, sizeof(r->detail), "exec %.180s: %s",
	    r->target.file, target_exec_text(r->target.file, error));
	return target_exec_fault(r->target.file, error);
}

/* How the handler ended, where that is worth a word. */
static void
note_end(struct run *r, const struct spawn_child *c, const char *detail)
{
	if (c->pid == 0 && c->killed)
		snprintf(r->detail, sizeof(r->detail), "killed by signal %d",
		    c->status);
	else if (c->pid == 0 && c->status != 0)
		snprintf(r->detail, sizeof(r->detail), "exit status %d",
		    c->status);
	else if (detail != NULL)
		snprintf(r->detail, sizeof(r->detail), "%s", detail);
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
	struct slot *s = &r->g->slots[r->slot];

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
conclude(struct run *r, struct spawn_child *c, const struct reply *reply,
    const struct pump_result *result)
{
	enum reason why = result->why;
	unsigned status = result->begun ? reply->status : 0;

	if (why == REASON_HANDLER_NOT_STARTED)
		why = exec_failed(r, *c->exec_errno);
	else
		note_end(r, c, result->detail);
	if (why == REASON_OK)
		r->x->way->finish(r->x, c->pid == 0 ? c->status : 0, NULL, 0);
	if (why == REASON_OK || why == REASON_CLIENT_GONE || result->begun)
		log_decision(r->g, r->p,
		    r->p->decision.reported && why == REASON_OK ?
			r->p->decision.reason :
			why,
		    status, detail_of(r));
	else
		answer(r->g, r->x, r->p, why, detail_of(r));
	if (why != REASON_OK && result->begun)
		r->x->way->cut(r->x);
	leave_child(r, c, why == REASON_OK, result->told);
}

/* Starts the handler and moves bytes until it is over. */
static enum reason
run_child(struct run *r, const struct spawn_command *command)
{
	const struct conf_endpoint *ep = r->p->endpoint;
	const struct policy_decision *d = &r->p->decision;
	const struct reply_rules rules = {
		.add = d->fields,
		.nadd = d->nfields,
		.rule = d->reported ? policy_field_reported : policy_field,
		.pass_redirects = ep->pass_redirects,
		.head_only = is_head(&r->p->env),
		.max_header = ep->limits.max_header,
	};
	struct spawn_child child;
	struct reply reply;
	struct pump_job job = { .x = r->x,
		.reply = &reply,
		.child = &child,
		.limits = &ep->limits,
		.id = r->p->id,
		.room = r->g->slots[r->slot].room,
		.body = command->in == -1 ? r->p->env.length : 0 };
	struct pump_result result;

	if (spawn_start(command, &r->g->cells[r->slot], &child) == -1) {
		snprintf(r->detail, sizeof(r->detail), "%s", strerror(errno));
		return REASON_OVERLOADED;
	}
	reply_init(&reply, &rules);
	result = pump_run(&job);
	conclude(r, &child, &reply, &result);
	reply_free(&reply);
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
	log_decision(r->g, r->p, d->reason, 0, "replaced by its handler");
	r->x->way->finish(r->x, 0, &s, head.failed ? 0 : 1);
	buf_free(&head);
	error = spawn_replace(command);
	/* the header block is still open: ours goes on without the fields */
	r->p->decision.nfields = 0;
	return exec_failed(r, error);
}

static enum reason
start(struct run *r)
{
	struct gate *g = r->g;
	struct slot *slot = &g->slots[r->slot];
	bool has_body =
	    cgienv_body(&r->p->env) == CGIENV_LENGTH && r->p->env.length > 0;
	bool replace = r->p->endpoint->replace && r->x->cgi;
	struct spawn_command command = {
		.file = r->target.file,
		.argv = r->target.argv,
		.dir = r->target.dir,
		.in = r->spool.fd != -1 ? r->spool.fd :
		    has_body            ? -1 :
					  g->null,
	};

	if (!make_vars(r))
		return REASON_OVERLOADED;
	command.vars = r->vars.vars;
	if (replace)
		return become(r, &command);
	if (slot->room == NULL && (slot->room = malloc(PUMP_ROOM)) == NULL)
		return REASON_OVERLOADED;
	return run_child(r, &command);
}

void
gate_run(struct gate *g, struct exchange *x, struct gate_passage *p,
    unsigned slot)
{
	struct run r = { .g = g, .x = x, .p = p, .slot = slot };
	enum reason why;

	spool_init(&r.spool);
	why = find_target(&r);
	if (why == REASON_OK)
		why = prepare_body(&r);
	if (why == REASON_OK)
		why = start(&r);
	if (why == REASON_CLIENT_GONE)
		log_decision(g, p, why, 0, NULL);
	else if (why != REASON_OK)
		answer(g, x, p, why, detail_of(&r));
	cgienv_free(&r.vars);
	spool_free(&r.spool);
}

/* --- after the answer --- */

/* Takes what there is of its errors, which nobody is left to be told. */
static void
errors_ignore(struct spawn_child *c)
{
	char rest[4096];

	if (c->err != -1 && io_wait(c->err, POLLIN, 0) > 0 &&
	    read(c->err, rest, sizeof(rest)) <= 0)
		spawn_close(&c->err);
}

/* True where it has ended by itself, and in time. */
static bool
outlived(struct slot *s, int stop)
{
	int64_t until = io_now() + (int64_t)s->patience * 1000, now;

	while ((now = io_now()) < until && io_wait(stop, POLLIN, 0) <= 0) {
		int64_t next = now + LINGER_TICK;

		errors_ignore(&s->child);
		if (spawn_reap(&s->child, s->child.err,
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
	struct slot *s = &g->slots[slot];
	struct spawn_child *c = &s->child;

	if (!s->used)
		return;
	spawn_close(&c->in);
	spawn_close(&c->out);
	if (s->ends || (s->lingers && !outlived(s, stop)))
		spawn_end(c, s->grace);
	spawn_close(&c->err);
	s->used = false;
}
