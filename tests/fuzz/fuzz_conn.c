/*
 * Connections of web servers without the threads: the same script as for the
 * whole front, but its server is the few lines below, and each of its turns
 * comes when a peer has said something, and so always the same.  All handlers
 * are busy.
 */
#include "conn.h"
#include "script.h"

static struct front front = {
	.policy = "[server]\n"
		  "metrics = url:/metrics\n"
		  "[policy]\n"
		  "senders = *@company.example a@b.example "
		  "!bad@company.example https://playground.amp.dev\n"
		  "origins = https://mail.google.com https://*.mail.example\n"
		  "playground = yes\n"
		  "handler = none\n"
		  "[endpoint none]\n"
		  "path = /none\n"
		  "credentials = yes\n"
		  "[endpoint one]\n"
		  "path = /none/one\n"
		  "versions = 1\n"
		  "[endpoint forward]\n"
		  "path = /forward\n"
		  "forward = unix:/nowhere\n"
		  "[endpoint report]\n"
		  "path = /report\n"
		  "mode = report\n"
		  "forward = unix:/nowhere\n",
};

enum { CONTROL_MAX = 4096 };

/* The front's end of a connection. */
static struct door {
	struct peer *p; /* NULL: free */
	struct conn c;
	bool drains; /* a request has been answered */
} doors[SCRIPT_PEERS];

static void
leave(struct door *d)
{
	conn_close(&d->c);
	d->p = NULL;
}

/* What is lent until a connection rests. */
static char lent[CONN_LENT];

static void
rest(struct conn *c)
{
	conn_rest(c);
	memset(lent, 0xA5, sizeof(lent)); /* somebody else's */
}

static void
request(struct door *d)
{
	struct conn *c = &d->c;
	struct gate_passage passage = { .id = 0 };

	if (gate_enter(front.gate, &c->x, &passage)) {
		rest(c); /* as if it had been parked */
		gate_leave(front.gate, &c->x, &passage, REASON_BUSY);
	}
	if (c->aborted && !c->broken && !c->x.finished)
		conn_end_aborted(c);
	if (c->x.finished)
		d->drains = true;
	else
		leave(d);
}

/* A head, as far as it has come; true where it is whole. */
static bool
head(struct door *d)
{
	conn_flush(&d->c);
	switch (conn_head(&d->c)) {
	case CONN_OVER:
		leave(d);
		return false;
	case CONN_WAITS:
		rest(&d->c);
		return false;
	case CONN_READY:
		request(d);
		return true;
	}
	return false;
}

/* The rest of a body; true where all is over that was to be done. */
static bool
settle(struct door *d)
{
	struct conn *c = &d->c;
	enum conn_state body = conn_drain(c);
	bool sent = conn_flush(c);

	if (c->broken || (sent && body == CONN_READY && !c->screen.keep)) {
		leave(d);
		return false;
	}
	if (!sent || body != CONN_READY) {
		rest(c);
		return false;
	}
	conn_next(c);
	d->drains = false;
	return true;
}

/* Nothing is kept beyond what bounds a connection's memory. */
static void
check_memory(const struct conn *c)
{
	FUZZ_HOLDS(c->screen.control.n <= CONTROL_MAX);
	FUZZ_HOLDS(c->screen.params.n <= PEER_PARAMS_MAX);
	FUZZ_HOLDS(c->screen.answer.n == 0);
	FUZZ_HOLDS(c->owed.n <= CONN_OWED_MAX);
}

static bool
turn(struct peer *p)
{
	struct door *d = doors;
	int unread = 0;

	while (d < doors + SCRIPT_PEERS && d->p != p)
		d++;
	if (d == doors + SCRIPT_PEERS)
		return false;
	ioctl(d->c.fd, FIONREAD, &unread);
	conn_lend(&d->c, lent);
	while (d->p != NULL && (d->drains ? settle(d) : head(d)))
		;
	if (d->p != NULL)
		check_memory(&d->c);
	return unread > 0;
}

/* An answered_handler: none was to be had. */
static void
busy(const struct answered *a, const struct answered_case *c,
    const struct answered_head *h)
{
	(void)h;
	answered_own(a, REASON_BUSY, c->d.fields, c->d.nfields, &c->env);
}

/* Whoever has gone is seen to have gone. */
static void
look_round(void)
{
	for (size_t i = 0; i < SCRIPT_PEERS; i++)
		if (doors[i].p != NULL && doors[i].p->fd == -1) {
			turn(doors[i].p);
			FUZZ_HOLDS(doors[i].p == NULL);
		}
}

static void
enter_door(struct peer *p)
{
	struct door *d = doors;
	int fd[2];

	look_round();
	while (d->p != NULL) {
		d++;
		FUZZ_HOLDS(d < doors + SCRIPT_PEERS);
	}
	FUZZ_HOLDS(socketpair(AF_UNIX,
		       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
	peer_open(p, fd[0], front.conf, busy);
	p->turn = turn;
	d->p = p;
	d->drains = false;
	conn_init(&d->c, fd[1], -1, 80);
}

static void
reload(void)
{
	front_reload(&front);
}

static void
stop(void)
{
}

static const struct script_ways ways = { enter_door, reload, stop };

static void
end(void)
{
	front_unmake(&front);
	front_stop(&front);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct script y;

	if (size > SCRIPT_LONGEST)
		return 0;
	if (front.gate == NULL) {
		front_make(&front);
		front.during = front_descriptors();
		atexit(end);
	}
	script_init(&y, (struct span){ (const char *)data, size }, &ways);
	script_play(&y);
	script_finish(&y);
	look_round();
	front_settles(front.during);
	return 0;
}
