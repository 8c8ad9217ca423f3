#include "conn.h"

#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "records.h"

enum {
	TURNS = 16, /* reads before others have their turn */
	DRAIN_TURN = TURNS * CONN_IN,
	CONN_WIDE = 262144
};

static const struct span none = { NULL, 0 };

static void
drop_input(struct conn *c)
{
	if (c->in != c->lent)
		free(c->in);
	c->in = NULL;
	c->fits = false;
	c->unread = c->body = none;
}

/* Something to read, without waiting: 1, 0 at the end, -1 with errno. */
static int
fetch(struct conn *c)
{
	bool lent;
	ssize_t n;

	if (c->filled || c->fits)
		drop_input(c);
	if (c->in == NULL)
		c->in =
		    c->lent != NULL && !c->filled ? c->lent : malloc(CONN_IN);
	if (c->in == NULL)
		return -1;
	lent = c->in == c->lent;
	do {
		n = recv(c->fd, c->in, lent ? CONN_LENT : CONN_IN,
		    MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	c->filled = lent && n == CONN_LENT;
	if (n <= 0)
		return (int)n;
	c->unread = (struct span){ c->in, (size_t)n };
	return 1;
}

/* Bytes that the protocol wants said, on their way. */
static void
say_answer(struct conn *c)
{
	if (c->screen.answer.n == 0)
		return;
	buf_add_span(&c->owed, buf_span(&c->screen.answer));
	buf_clear(&c->screen.answer);
	conn_flush(c);
}

/*
 * The next thing that the peer says.  SCREEN_MORE: nothing more at the moment,
 * or so much without any sense that others should have their turn; c->broken
 * is set where there never will be.
 */
static enum screen_event
listen_on(struct conn *c)
{
	enum screen_event e = SCREEN_MORE;
	int got = 1;

	for (int turns = 0; e == SCREEN_MORE && !c->broken; turns++) {
		if (c->unread.n == 0 && turns > TURNS)
			return SCREEN_MORE;
		if (c->unread.n == 0 && (got = fetch(c)) != 1) {
			c->broken = got == 0 ||
			    (errno != EAGAIN && errno != EWOULDBLOCK);
			return SCREEN_MORE;
		}
		e = screen_next(&c->screen, &c->unread, &c->body);
		say_answer(c);
	}
	c->nonsense = e == SCREEN_BAD;
	c->broken |= e == SCREEN_BAD || e == SCREEN_CLOSE;
	return e;
}

/*
 * From what the screen has: libfcgi is shown a head only when a handler is to
 * have it.
 */
static enum reason
way_env(struct exchange *x, struct cgienv *out)
{
	const struct conn *c = (struct conn *)x;
	const struct vars vars = { .pairs = c->x.pairs };

	return cgienv_read_vars(&vars, out);
}

static enum exchange_input
way_body(struct exchange *x, struct span *bytes)
{
	struct conn *c = (struct conn *)x;

	while (c->body.n == 0) {
		switch (listen_on(c)) {
		case SCREEN_BODY:
			break;
		case SCREEN_BODY_END:
			c->body = none;
			/*
			 * Behind it may be an ABORT_REQUEST, or, once this one
			 * is answered, the next request: not to be read here.
			 */
			if (c->unread.n == 0 || x->finished)
				return EXCHANGE_END;
			break;
		case SCREEN_ABORT:
			c->aborted = true;
			return EXCHANGE_GONE;
		case SCREEN_REQUEST:
		case SCREEN_MORE:
		case SCREEN_CLOSE:
		case SCREEN_BAD:
			c->body = none;
			if (c->broken)
				return EXCHANGE_GONE;
			return c->screen.body_ended ? EXCHANGE_END :
						      EXCHANGE_WAIT;
		}
	}
	*bytes = c->body;
	return EXCHANGE_BYTES;
}

static void
way_taken(struct exchange *x, size_t n)
{
	struct conn *c = (struct conn *)x;

	c->body = span_skip(c->body, n);
}

static bool
flush_owed(struct conn *c)
{
	while (c->owed.n > 0 && !c->broken) {
		ssize_t n = send(c->fd, c->owed.p, c->owed.n,
		    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0)
			buf_drop(&c->owed, (size_t)n);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return false;
		else if (errno != EINTR)
			c->broken = true;
	}
	c->broken |= c->owed.failed;
	return true;
}

bool
conn_flush(struct conn *c)
{
	c->x.owes = !flush_owed(c);
	return !c->x.owes;
}

static int
socket_option(int fd, int name)
{
	int value = 0;
	socklen_t n = sizeof(value);

	getsockopt(fd, SOL_SOCKET, name, &value, &n);
	return value;
}

/*
 * Much is going out: fewer turns, each with more.  A Unix socket has one size
 * for ever; TCP finds its own, unless it is told.
 */
static void
widen(struct conn *c)
{
	int size = CONN_WIDE;

	if (socket_option(c->fd, SO_DOMAIN) == AF_UNIX &&
	    socket_option(c->fd, SO_SNDBUF) < 2 * size) /* it counts double */
		setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	c->wide = true;
}

/* With one system call: see records.h. */
static ssize_t
send_records(struct conn *c, const struct span v[], size_t n, struct span end)
{
	ssize_t sent;

	errno = EPIPE;
	if (c->broken)
		return -1;
	sent = records_send(c->fd, c->screen.id, v, n, end, &c->owed);
	c->broken |= c->owed.failed;
	c->x.owes = c->owed.n > 0;
	if (c->x.owes && !c->wide)
		widen(c);
	return sent;
}

static ssize_t
way_send(struct exchange *x, const struct span v[], size_t n)
{
	struct conn *c = (struct conn *)x;
	size_t owed = c->owed.n;

	if (conn_flush(c))
		return send_records(c, v, n, none);
	if (c->owed.n < owed)
		return 0;
	errno = EAGAIN;
	return -1;
}

/* The records that end an answer. */
static void
add_end(struct buf *b, unsigned id, int status)
{
	wire_add_eof(b, WIRE_STDOUT, id);
	wire_add_end(b, id, (uint32_t)status, WIRE_REQUEST_COMPLETE);
}

static void
way_finish(struct exchange *x, int status, const struct span v[], size_t n)
{
	struct conn *c = (struct conn *)x;
	char room[64];
	struct buf end;

	x->finished = true;
	buf_init_in(&end, sizeof(room), room, sizeof(room));
	add_end(&end, c->screen.id, status);
	if (n <= RECORDS_PIECES && conn_flush(c) &&
	    send_records(c, v, n, buf_span(&end)) != -1)
		return;
	for (size_t i = 0; i < n; i++)
		wire_add(&c->owed, WIRE_STDOUT, c->screen.id, v[i]);
	add_end(&c->owed, c->screen.id, status);
	conn_flush(c);
}

static void
way_cut(struct exchange *x)
{
	struct conn *c = (struct conn *)x;

	c->broken = true;
	shutdown(c->fd, SHUT_RDWR);
}

static void
way_error(struct exchange *x, struct span line)
{
	struct conn *c = (struct conn *)x;

	/* an answer that waits needs its place more than an error line */
	if (c->owed.n + line.n + WIRE_HEADER_SIZE > CONN_OWED_MAX / 2)
		return;
	wire_add(&c->owed, WIRE_STDERR, c->screen.id, line);
	conn_flush(c);
}

static int
way_stop_signal(struct exchange *x)
{
	(void)x;
	return SIGTERM; /* x->stop is readable only when the grace is over */
}

static const struct exchange_way way = {
	.env = way_env,
	.body = way_body,
	.taken = way_taken,
	.send = way_send,
	.finish = way_finish,
	.cut = way_cut,
	.error = way_error,
	.stop_signal = way_stop_signal,
};

void
conn_init(struct conn *c, int fd, int stop, unsigned max_requests)
{
	*c = (struct conn){ .fd = fd };
	c->x = (struct exchange){
		.way = &way,
		.in = fd,
		.out = fd,
		.stop = stop,
		.gone = POLLRDHUP | POLLHUP,
	};
	screen_init(&c->screen, max_requests, max_requests);
	buf_init(&c->owed, CONN_OWED_MAX);
}

enum conn_state
conn_head(struct conn *c)
{
	for (;;) {
		switch (listen_on(c)) {
		case SCREEN_REQUEST:
			c->x.authorizer = c->screen.role == WIRE_AUTHORIZER;
			c->x.pairs = buf_span(&c->screen.params);
			return CONN_READY;
		case SCREEN_MORE:
			return c->broken ? CONN_OVER : CONN_WAITS;
		case SCREEN_CLOSE:
		case SCREEN_BAD:
			return CONN_OVER;
		case SCREEN_BODY: /* none of them before a head */
		case SCREEN_BODY_END:
		case SCREEN_ABORT:
			c->body = none;
			break;
		}
	}
}

bool
conn_begun(const struct conn *c)
{
	return c->screen.active || c->screen.reader.have > 0 || c->unread.n > 0;
}

void
conn_end_aborted(struct conn *c)
{
	wire_add_end(&c->owed, c->screen.id, 0, WIRE_REQUEST_COMPLETE);
	c->x.finished = true;
	conn_flush(c);
}

enum conn_state
conn_drain(struct conn *c)
{
	uint64_t turn = c->drained + DRAIN_TURN;
	struct span bytes;

	/*
	 * An Authorizer has no body; some servers end it all the same, and
	 * lose the answer if their last record finds the socket closed.
	 */
	if (c->x.authorizer && c->screen.keep)
		return CONN_READY;
	while (!c->aborted && !c->screen.body_ended) {
		/* what is in memory already would wake nobody */
		if (c->drained >= turn && c->unread.n == 0)
			return CONN_WAITS;
		switch (way_body(&c->x, &bytes)) {
		case EXCHANGE_BYTES:
			c->drained += bytes.n;
			way_taken(&c->x, bytes.n);
			break;
		case EXCHANGE_WAIT:
			return CONN_WAITS;
		case EXCHANGE_END:
			return CONN_READY;
		case EXCHANGE_GONE:
			return c->aborted ? CONN_READY : CONN_OVER;
		}
	}
	return CONN_READY;
}

void
conn_next(struct conn *c)
{
	screen_done(&c->screen);
	c->x.finished = false;
	c->x.vars = NULL;
	c->x.pairs = none;
	c->aborted = false;
	c->drained = 0;
}

void
conn_lend(struct conn *c, char *room)
{
	c->lent = room;
}

/* What is unread in a lent room moves to one of our own, which it just fits. */
static void
keep_input(struct conn *c)
{
	const struct span first = c->body.n > 0 ? c->body : c->unread;
	const struct span last = c->unread.n > 0 ? c->unread : c->body;
	size_t n = (size_t)(last.p + last.n - first.p);
	char *own;

	if (c->in != c->lent)
		return;
	own = malloc(n);
	if (own == NULL) {
		drop_input(c);
		c->broken = true;
		return;
	}
	memcpy(own, first.p, n);
	c->in = own;
	c->fits = true;
	if (c->unread.n > 0)
		c->unread.p = own + (c->unread.p - first.p);
	if (c->body.n > 0)
		c->body.p = own;
}

void
conn_rest(struct conn *c)
{
	if (c->unread.n == 0 && c->body.n == 0)
		drop_input(c);
	else
		keep_input(c);
	c->lent = NULL;
	screen_rest(&c->screen);
	if (c->owed.n == 0)
		buf_free(&c->owed);
}

void
conn_close(struct conn *c)
{
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	drop_input(c);
	screen_free(&c->screen);
	buf_free(&c->owed);
}
