/*
 * fake: an exchange made in a test.  Its body is a string that comes in pieces,
 * its answer and its error lines are kept.
 */
#ifndef FAKE_H
#define FAKE_H

#include <sys/eventfd.h>
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "bail.h"
#include "buf.h"
#include "exchange.h"
#include "io.h"

enum { FAKE_MAX = 1 << 26 };

struct fake {
	struct exchange x; /* first */
	struct span rest;  /* of the body */
	size_t piece;      /* as much of it comes at once */
	int nap;           /* so many ms go by before each piece */
	bool held;         /* behind `rest` more is to come, but never does */
	bool gives_up;     /* behind `rest` comes EXCHANGE_GONE */
	size_t at_hand;    /* of `rest`: handed out, not yet taken */
	size_t takes;      /* bytes of the answer that are taken at once */
	size_t room;       /* … and in all, until the client takes no more */
	size_t leaves;     /* it goes once it has so many bytes */
	bool late;         /* it owes what it took until it is asked again */
	int in;            /* x.in, until there is no more */
	int client;        /* the client's end of x.out */
	int signal;        /* see stop_signal */
	struct buf sent, errors;
	unsigned sends, finishes, cuts;
	unsigned flushes; /* sends of nothing while it owed */
	int status;       /* as finish() was told */
};

static inline struct fake *
fake_of(struct exchange *x)
{
	return (struct fake *)x;
}

static inline enum exchange_input
fake_body(struct exchange *x, struct span *bytes)
{
	struct fake *f = fake_of(x);

	if (f->rest.n == 0) {
		x->in = -1;
		return f->gives_up ? EXCHANGE_GONE :
		    f->held        ? EXCHANGE_WAIT :
				     EXCHANGE_END;
	}
	if (f->nap > 0 && f->at_hand == 0) {
		f->nap = -f->nap;
		return EXCHANGE_WAIT;
	}
	if (f->nap < 0) {
		f->nap = -f->nap;
		poll(NULL, 0, f->nap);
	}
	if (f->at_hand == 0)
		f->at_hand = f->rest.n < f->piece ? f->rest.n : f->piece;
	*bytes = (struct span){ f->rest.p, f->at_hand };
	return EXCHANGE_BYTES;
}

static inline void
fake_taken(struct exchange *x, size_t n)
{
	struct fake *f = fake_of(x);

	if (n > f->at_hand)
		bail();
	f->at_hand -= n;
	f->rest = span_skip(f->rest, n);
}

static inline void
fake_leave(struct fake *f)
{
	if (f->client != -1)
		close(f->client);
	f->client = -1;
}

/* From now on x.out is not writable, until somebody reads from `client`. */
static inline void
fake_fill(struct fake *f)
{
	static const char bytes[4096];

	while (send(f->x.out, bytes, sizeof(bytes),
		   MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
}

/* As a server waits: is it the handler that has something to say? */
static inline bool
fake_await(const struct fake *f, const struct exchange_await *what)
{
	struct pollfd p[] = {
		{ .fd = what->fd, .events = POLLIN },
		{ .fd = f->x.out, .events = f->x.gone },
		{ .fd = f->x.stop, .events = POLLIN },
	};
	int64_t left = what->until - io_now();

	if (what->until == 0)
		left = -1;
	else if (left < 0)
		left = 0;
	return poll(p, 3, (int)left) > 0 && p[0].revents != 0;
}

static inline ssize_t
fake_send(struct exchange *x, const struct span v[], size_t n)
{
	struct fake *f = fake_of(x);
	size_t total = 0, most = f->takes < f->room ? f->takes : f->room;

	f->sends++;
	if (f->client == -1) {
		errno = EPIPE;
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		size_t room = most - total;
		size_t piece = v[i].n < room ? v[i].n : room;

		if (piece > 0)
			buf_add(&f->sent, v[i].p, piece);
		total += piece;
	}
	f->room -= total;
	if (f->room == 0)
		fake_fill(f);
	if (f->sent.n >= f->leaves)
		fake_leave(f);
	if (total == 0 && x->owes && f->room > 0) {
		f->flushes++;
		x->owes = false;
		return 0;
	}
	x->owes = f->late;
	if (total > 0)
		return (ssize_t)total;
	errno = EAGAIN;
	return -1;
}

static inline void
fake_finish(struct exchange *x, int status, const struct span v[], size_t n)
{
	struct fake *f = fake_of(x);

	f->finishes++;
	f->status = status;
	x->finished = true;
	for (size_t i = 0; i < n; i++)
		buf_add_span(&f->sent, v[i]);
}

static inline void
fake_cut(struct exchange *x)
{
	fake_of(x)->cuts++;
}

static inline void
fake_error(struct exchange *x, struct span line)
{
	buf_add_span(&fake_of(x)->errors, line);
}

static inline int
fake_stop_signal(struct exchange *x)
{
	struct fake *f = fake_of(x);
	eventfd_t n;

	eventfd_read(x->stop, &n);
	return f->signal;
}

static enum reason
fake_env(struct exchange *x, struct cgienv *out)
{
	return cgienv_read(x->vars, out);
}

static const struct exchange_way fake_way = {
	.env = fake_env,
	.body = fake_body,
	.taken = fake_taken,
	.send = fake_send,
	.finish = fake_finish,
	.cut = fake_cut,
	.error = fake_error,
	.stop_signal = fake_stop_signal,
};

/* An exchange of these variables (or none) and this body. */
static inline void
fake_init(struct fake *f, char *const vars[], struct span body)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == -1)
		bail();
	*f = (struct fake){ .rest = body,
		.piece = 4096,
		.takes = SIZE_MAX,
		.room = SIZE_MAX,
		.leaves = SIZE_MAX,
		.in = eventfd(1, EFD_CLOEXEC), /* always readable */
		.client = fd[1] };
	f->x = (struct exchange){ .way = &fake_way,
		.vars = vars,
		.in = f->in,
		.out = fd[0],
		.stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.gone = POLLRDHUP | POLLHUP };
	f->held = body.p == NULL;
	buf_init(&f->sent, FAKE_MAX);
	buf_init(&f->errors, FAKE_MAX);
}

/* From now on x.stop is readable, and says this signal. */
static inline void
fake_stop(struct fake *f, int signal)
{
	f->signal = signal;
	eventfd_write(f->x.stop, 1);
}

static inline void
fake_free(struct fake *f)
{
	fake_leave(f);
	close(f->in);
	close(f->x.out);
	close(f->x.stop);
	buf_free(&f->sent);
	buf_free(&f->errors);
}

#endif
