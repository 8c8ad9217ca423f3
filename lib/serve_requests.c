#include "serve_requests.h"

#include <sys/socket.h>

#include <stdlib.h>

#include "io.h"
#include "log.h"

enum {
	DRAIN_MS = 10000, /* SPEC 5.3 */
	DRAIN_MAX = 64 * 1024 * 1024,
	FLUSH_MS = 50000, /* for the last bytes of an answer */
	TURNS = 16        /* requests of one client before others' */
};

/* How long a kept connection may be idle; 0: as long as it likes. */
static int64_t
idle_until(const struct serve *s)
{
	return s->o->idle_timeout == 0 ? 0 : serve_from_now(s->o->idle_timeout);
}

/* Nothing is owed, and no body is to come: the next request, or the end. */
static bool
client_next(struct serve *s, struct client *c)
{
	struct conn *conn = &c->conn;

	/* what has come before the end is still answered [SPEC 5.5] */
	if (!conn->screen.keep || (s->stopping && !client_has_more(c))) {
		client_close(s, c);
		return false;
	}
	conn_next(conn);
	c->had_one = true;
	c->head_until = 0;
	if (conn->unread.n > 0)
		return true;
	client_wait(s, c, STATE_HEAD, EPOLLIN, idle_until(s));
	return false;
}

/*
 * Sends what is owed and throws away what is left of the body, as far as that
 * goes at once [SPEC 5.3].  True where the next request is already here.
 */
static bool
client_settle(struct serve *s, struct client *c)
{
	struct conn *conn = &c->conn;
	enum conn_state body = conn_drain(conn);
	bool sent = conn_flush(conn);

	if (conn->broken || conn->drained > DRAIN_MAX) {
		client_close(s, c);
		return false;
	}
	if (sent && body == CONN_READY)
		return client_next(s, c);
	if (sent && !conn->screen.keep)
		shutdown(conn->fd, SHUT_WR);
	/* there may be more at hand than a turn takes: then wake at once */
	client_wait(s, c, STATE_DRAIN,
	    body == CONN_READY     ? 0 :
		conn->unread.n > 0 ? EPOLLIN | EPOLLOUT :
				     EPOLLIN,
	    c->drain_until + (sent ? 0 : FLUSH_MS));
	return false;
}

/* The request is over, one way or another.  True as client_settle(). */
static bool
client_over(struct serve *s, struct client *c)
{
	struct conn *conn = &c->conn;

	client_forget(c);
	if (conn->aborted && !conn->broken && !conn->x.finished)
		conn_end_aborted(conn);
	if (!conn->x.finished) { /* so that the server can tell (E52) */
		client_close(s, c);
		return false;
	}
	c->drain_until = io_now() + DRAIN_MS;
	return client_settle(s, c);
}

/* A request that is here already is for whoever wakes next. */
static void
client_over_later(struct serve *s, struct client *c)
{
	if (client_over(s, c))
		client_wait(s, c, STATE_HEAD, EPOLLOUT, 0);
}

/*
 * A program's environment is what libfcgi makes of the head: so it is with any
 * other responder, and with what programs know of one.
 */
static bool
read_strings(struct client *c)
{
	c->conn.x.vars = serve_head_read(&c->head, &c->conn.screen);
	return c->conn.x.vars != NULL;
}

/*
 * Its slot is here.  Only now are there strings: whoever is parked has its head
 * alone.
 */
static enum exchange_need
begin_handler(struct worker *w, struct client *c, struct exchange_await *what)
{
	const struct serve_gate *g = &w->s->o->gate;

	if (!c->needs_strings || read_strings(c))
		return g->begin(g->ctx, &c->conn.x, c->passage, c->slot, what);
	g->leave(g->ctx, &c->conn.x, c->passage, SERVE_FAILED);
	return EXCHANGE_DONE;
}

/*
 * The client's handler, until it is done.  False where it is waited for in the
 * epoll set, and so is no longer ours.
 */
static bool
see_through(struct worker *w, struct client *c, enum exchange_need need,
    const struct exchange_await *what)
{
	const struct serve_gate *g = &w->s->o->gate;

	if (need == EXCHANGE_AWAITS && client_await(w->s, c, what))
		return false;
	if (need == EXCHANGE_DONE)
		return true;
	seats_leave(&w->s->seats, &w->seat);
	g->wait(g->ctx, c->slot);
	return true;
}

/* The same; and then the handlers of whoever was parked meanwhile. */
static void
run_handlers(struct worker *w, struct client *c, enum exchange_need need,
    struct exchange_await *what)
{
	const struct serve_gate *g = &w->s->o->gate;

	while (see_through(w, c, need, what)) {
		unsigned slot = c->slot;

		client_over_later(w->s, c);
		/* only now, so that nobody waits for a handler that lingers */
		g->linger(g->ctx, slot, w->s->kill);
		c = client_pass_on(w->s, slot);
		if (c == NULL)
			return;
		need = begin_handler(w, c, what);
	}
}

static void
run_handler(struct worker *w, struct client *c)
{
	struct exchange_await what;

	run_handlers(w, c, begin_handler(w, c, &what), &what);
}

/* Its handler has said something; or has not, and is to be waited for. */
static void
resume_handler(struct worker *w, struct client *c, bool said)
{
	const struct serve_gate *g = &w->s->o->gate;
	struct exchange_await what;

	run_handlers(w, c,
	    said ? g->resume(g->ctx, c->slot, &what) : EXCHANGE_WAITS, &what);
}

/* A head is whole.  True as client_settle(). */
static bool
client_request(struct worker *w, struct client *c)
{
	struct serve *s = w->s;
	const struct serve_gate *g = &s->o->gate;
	enum serve_entered entered;

	c->passage = calloc(1, g->passage_size);
	if (c->passage == NULL) {
		log_warnx("no memory for a request: closed");
		client_close(s, c);
		return false;
	}
	entered = g->enter(g->ctx, &c->conn.x, c->passage);
	if (entered == SERVE_ANSWERED)
		return client_over(s, c);
	c->needs_strings = entered == SERVE_NEEDS_STRINGS;
	switch (client_find_place(s, c)) {
	case PLACE_SLOT:
		run_handler(w, c);
		return false;
	case PLACE_PARKED:
		return false;
	case PLACE_NONE:
		break;
	}
	g->leave(g->ctx, &c->conn.x, c->passage, SERVE_BUSY);
	return client_over(s, c);
}

/* A head is not yet whole. */
static void
await_head(struct serve *s, struct client *c)
{
	/* what had begun may have been no head after all */
	if (c->had_one && !conn_begun(&c->conn))
		c->head_until = 0;
	else if (c->head_until == 0)
		c->head_until = serve_from_now(s->o->head_timeout);
	client_wait(s, c, STATE_HEAD, EPOLLIN,
	    c->head_until != 0 ? c->head_until : idle_until(s));
}

void
request_head(struct worker *w, struct client *c)
{
	for (int i = 0; i < TURNS; i++) {
		conn_flush(&c->conn);
		switch (conn_head(&c->conn)) {
		case CONN_OVER:
			if (c->conn.nonsense)
				log_warnx("a peer spoke no FastCGI, or sent "
					  "a head over %d bytes: closed",
				    SCREEN_PARAMS_MAX);
			client_close(w->s, c);
			return;
		case CONN_WAITS:
			await_head(w->s, c);
			return;
		case CONN_READY:
			if (!client_request(w, c))
				return;
			break;
		}
	}
	client_wait(w->s, c, STATE_HEAD, EPOLLOUT, 0);
}

void
request_wake(struct worker *w, struct client *c, enum state state,
    enum event kind)
{
	const struct serve_gate *g = &w->s->o->gate;

	switch (state) {
	case STATE_HEAD:
		request_head(w, c);
		break;
	case STATE_DRAIN:
		if (client_settle(w->s, c))
			request_head(w, c);
		break;
	case STATE_AWAIT:
		resume_handler(w, c, kind == EVENT_HANDLER);
		break;
	case STATE_PARKED:
		g->leave(g->ctx, &c->conn.x, c->passage, SERVE_GONE);
		client_close(w->s, c);
		break;
	}
}

/*
 * The last bytes of an answer have waited for long; epoll wants more room than
 * a client that takes little ever makes.
 */
static void
expire_drain(struct serve *s, struct client *c)
{
	size_t owed = c->conn.owed.n;

	conn_flush(&c->conn);
	if (s->killing || c->conn.owed.n >= owed) {
		client_close(s, c);
		return;
	}
	c->drain_until = io_now() + DRAIN_MS;
	if (client_settle(s, c))
		client_wait(s, c, STATE_HEAD, EPOLLOUT, 0);
}

void
request_expire(struct serve *s, struct client *c, enum state state)
{
	const struct serve_gate *g = &s->o->gate;

	switch (state) {
	case STATE_HEAD:
		if (c->head_until != 0)
			log_info("a request's head was not whole within "
				 "head_timeout: closed");
		client_close(s, c);
		break;
	case STATE_DRAIN:
		expire_drain(s, c);
		break;
	case STATE_AWAIT:
		client_due(s, c);
		break;
	case STATE_PARKED:
		g->leave(g->ctx, &c->conn.x, c->passage, SERVE_BUSY);
		client_over_later(s, c);
		break;
	}
}
