/*
 * peer: a web server on one connection to the front, which knows what it has
 * said, and so what may come back, and checks that.
 *
 * Every request that was begun is in `asked`.  As long as the peer keeps to the
 * protocol (`sure`) each of them that is whole has exactly one answer.
 */
#ifndef PEER_H
#define PEER_H

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <errno.h>

#include "answered.h"
#include "front.h"
#include "talk.h"

enum {
	PEER_PEERS = 4, /* at a time */
	PEER_REQUESTS = 12,
	PEER_ANY = -1,
	PEER_PARAMS_MAX = 65535, /* what the front takes of a request's */
	PEER_MAX = 1 << 22,      /* bytes, of anything */
	PEER_PIECES = 500        /* that something is sent in */
};

/* One BEGIN_REQUEST, and all that was said of it. */
struct asked {
	unsigned id;
	bool keep, authorizer;
	int want; /* the protocol status of its end, or PEER_ANY */
	bool headed, body_ended, aborted;
	struct buf params, body;
	/* what came back */
	struct buf out;
	bool out_ended, ended;
};

struct peer {
	const struct conf *conf;   /* the front's policy */
	answered_handler *handler; /* what a handler may have answered */
	/*
	 * Where the front is no thread: has it moved, after it was given the
	 * time to do what it can?
	 */
	bool (*turn)(struct peer *p);
	int fd;    /* -1: not connected */
	bool over; /* the front has closed it */
	bool sure;
	bool wild; /* what was said can be taken for this or that */
	bool last; /* a request without FCGI_KEEP_CONN was begun */
	bool deaf; /* it reads nothing at the moment */
	bool late; /* the clock was put forward meanwhile */
	unsigned values, unknown; /* management records not answered yet */
	unsigned nasked;
	struct asked asked[PEER_REQUESTS];
	struct asked *now; /* begun, and by our books not over */
	struct buf out;    /* to be sent */
	struct buf in;     /* came, and is no whole record yet */
};

static inline void
peer_open(struct peer *p, int fd, const struct conf *conf,
    answered_handler *handler)
{
	*p = (struct peer){ .conf = conf,
		.handler = handler,
		.fd = fd,
		.sure = true };
	buf_init(&p->out, PEER_MAX);
	buf_init(&p->in, PEER_MAX);
}

static inline void
peer_close(struct peer *p)
{
	if (p->fd == -1)
		return;
	close(p->fd);
	p->fd = -1;
	for (unsigned i = 0; i < p->nasked; i++) {
		buf_free(&p->asked[i].params);
		buf_free(&p->asked[i].body);
		buf_free(&p->asked[i].out);
	}
	buf_free(&p->out);
	buf_free(&p->in);
}

/* --- what is said --- */

static inline void
peer_record(struct peer *p, unsigned type, unsigned id, struct span content,
    unsigned padding)
{
	talk_record(&p->out, type, id, content, padding);
}

/* Nobody can say what a request gets that comes on top of another one. */
static inline int
peer_begin_want(const struct peer *p, unsigned role)
{
	if (p->now != NULL)
		return p->now->headed &&
			(p->now->body_ended || p->now->authorizer ||
			    p->now->aborted) ?
		    PEER_ANY :
		    WIRE_CANT_MPX_CONN;
	return role == WIRE_RESPONDER || role == WIRE_AUTHORIZER ?
	    WIRE_REQUEST_COMPLETE :
	    WIRE_UNKNOWN_ROLE;
}

static inline void
peer_begin(struct peer *p, unsigned id, unsigned role, bool keep,
    unsigned padding)
{
	char body[8] = { (char)(role >> 8), (char)role, keep };
	struct asked *a = &p->asked[p->nasked];

	if (p->nasked == PEER_REQUESTS)
		return;
	*a = (struct asked){ .id = id, .keep = keep };
	a->authorizer = role == WIRE_AUTHORIZER;
	a->want = peer_begin_want(p, role);
	p->wild |= a->want == PEER_ANY || (p->now != NULL && p->now->id == id);
	p->sure &= !p->wild && !p->last;
	buf_init(&a->params, PEER_MAX);
	buf_init(&a->body, PEER_MAX);
	buf_init(&a->out, PEER_MAX);
	if (id == 0)
		p->unknown++;
	else
		p->nasked++;
	if (id != 0 && p->now == NULL) {
		p->last |= !keep;
		p->now = a->want == WIRE_REQUEST_COMPLETE ? a : NULL;
	}
	peer_record(p, WIRE_BEGIN_REQUEST, id, (struct span){ body, 8 },
	    padding);
}

/* Are they pairs to their end, and not too many? */
static inline bool
peer_params_whole(const struct asked *a)
{
	struct span rest = buf_span(&a->params);
	struct field pair;

	while (wire_pair(&rest, &pair))
		;
	return rest.n == 0 && a->params.n <= PEER_PARAMS_MAX;
}

static inline void
peer_params(struct peer *p, unsigned id, struct span content, unsigned padding)
{
	struct asked *a = p->now;

	peer_record(p, WIRE_PARAMS, id, content, padding);
	if (id == 0)
		p->unknown++;
	if (a == NULL || a->id != id)
		return;
	p->sure &= !a->headed || (a->authorizer && a->keep);
	if (a->headed)
		return;
	buf_add_span(&a->params, content);
	a->headed = content.n == 0;
	if (a->headed)
		p->sure &= peer_params_whole(a);
}

static inline void
peer_stdin(struct peer *p, unsigned id, struct span content, unsigned padding)
{
	struct asked *a = p->now;

	peer_record(p, WIRE_STDIN, id, content, padding);
	if (id == 0)
		p->unknown++;
	if (a == NULL || a->id != id || (a->headed && a->authorizer && a->keep))
		return;
	p->sure &= a->headed && !a->body_ended && !a->aborted;
	buf_add_span(&a->body, content);
	a->body_ended |= content.n == 0;
	if (a->body_ended && a->ended)
		p->now = NULL;
}

static inline void
peer_abort(struct peer *p, unsigned id, struct span content)
{
	struct asked *a = p->now;

	peer_record(p, WIRE_ABORT_REQUEST, id, content, 0);
	if (id == 0)
		p->unknown++;
	if (a == NULL || a->id != id)
		return;
	a->aborted = true;
	if (!a->headed || a->ended)
		p->now = NULL;
}

/* A record that is no request's, or of a type that no request has. */
static inline void
peer_other(struct peer *p, unsigned type, unsigned id, struct span content,
    unsigned padding)
{
	peer_record(p, type, id, content, padding);
	if (id != 0)
		return;
	if (type != WIRE_GET_VALUES)
		p->unknown++;
	else
		p->values++;
	p->sure &= content.n <= 4096;
}

static inline void
peer_garbage(struct peer *p, struct span bytes)
{
	buf_add_span(&p->out, bytes);
	if (bytes.n > 0) {
		p->sure = false;
		p->wild = true;
	}
}

/* --- what comes back --- */

/* The oldest request of this id that is not over. */
static inline struct asked *
peer_find(struct peer *p, unsigned id)
{
	for (unsigned i = 0; i < p->nasked; i++)
		if (p->asked[i].id == id && !p->asked[i].ended)
			return &p->asked[i];
	FUZZ_HOLDS(p->wild);
	return NULL;
}

static inline void
peer_out(struct peer *p, unsigned id, struct span content)
{
	struct asked *a = peer_find(p, id);

	if (a == NULL || p->wild)
		return;
	FUZZ_HOLDS(a->headed && !a->out_ended && peer_params_whole(a));
	FUZZ_HOLDS(a->want == PEER_ANY || a->want == WIRE_REQUEST_COMPLETE);
	buf_add_span(&a->out, content);
	a->out_ended = content.n == 0;
}

static inline void
peer_end(struct peer *p, unsigned id, struct span content)
{
	struct asked *a = peer_find(p, id);

	FUZZ_HOLDS(content.n == 8 && memcmp(content.p + 5, "\0\0\0", 3) == 0);
	FUZZ_HOLDS(content.p[4] <= WIRE_UNKNOWN_ROLE);
	if (a == NULL || p->wild)
		return;
	if (p->sure)
		FUZZ_HOLDS(a->want == PEER_ANY || content.p[4] == a->want);
	a->ended = true;
	if (p->now == a && (a->body_ended || a->authorizer || a->aborted))
		p->now = NULL;
	if (content.p[4] != WIRE_REQUEST_COMPLETE)
		FUZZ_HOLDS(a->out.n == 0 && !a->out_ended);
	else if (!a->aborted || a->out_ended) {
		FUZZ_HOLDS(a->out_ended);
		answered(&(struct answered){ .conf = p->conf,
		    .handler = p->handler,
		    .params = buf_span(&a->params),
		    .body = buf_span(&a->body),
		    .body_whole = a->body_ended,
		    .authorizer = a->authorizer,
		    .late = p->late || !p->sure || a->aborted,
		    .out = buf_span(&a->out) });
	}
}

static inline void
peer_hears(struct peer *p, unsigned type, unsigned id, struct span content)
{
	switch (type) {
	case WIRE_STDOUT:
		peer_out(p, id, content);
		break;
	case WIRE_STDERR:
		peer_find(p, id);
		for (size_t i = 0; i < content.n; i++)
			FUZZ_HOLDS(content.p[i] == '\n' ||
			    span_graph(content.p[i]) || content.p[i] == ' ');
		break;
	case WIRE_END_REQUEST:
		peer_end(p, id, content);
		break;
	case WIRE_GET_VALUES_RESULT:
		FUZZ_HOLDS(id == 0 && (p->wild || p->values-- > 0));
		break;
	case WIRE_UNKNOWN_TYPE:
		FUZZ_HOLDS(id == 0 && content.n == 8);
		FUZZ_HOLDS(p->wild || p->unknown-- > 0);
		break;
	default:
		fuzz_wrong("a record that an application does not send");
	}
}

static inline void
peer_records(struct peer *p)
{
	struct span rest = buf_span(&p->in), content;
	unsigned type, id;

	while (talk_cut(&rest, &type, &id, &content))
		peer_hears(p, type, id, content);
	FUZZ_HOLDS(rest.n == 0 || rest.p[0] == 1);
	buf_drop(&p->in, p->in.n - rest.n);
}

/* Sends and reads what goes without waiting; false where nothing moved. */
static inline bool
peer_move(struct peer *p)
{
	bool moved = false;
	ssize_t n;

	if (p->out.n > 0 && !p->over) {
		n = send(p->fd, p->out.p, p->out.n, MSG_NOSIGNAL);
		moved = n > 0;
		if (moved)
			buf_drop(&p->out, (size_t)n);
		else if (errno != EAGAIN)
			buf_clear(&p->out); /* it reads no more */
	}
	if (p->turn != NULL)
		moved |= p->turn(p);
	if (p->over || p->deaf)
		return moved;
	n = recv(p->fd, buf_room(&p->in, 65536), 65536, 0);
	if (n == -1 && errno == EAGAIN)
		return moved;
	p->over = n <= 0;
	p->in.n += p->over ? 0 : (size_t)n;
	peer_records(p);
	return true;
}

/* Sends it in pieces, each once the front has read the one before, or so. */
static inline void
peer_send(struct peer *p, size_t piece)
{
	struct buf all = p->out;
	struct span rest = buf_span(&all);
	int unread, turns;

	buf_init(&p->out, PEER_MAX);
	if (piece < all.n / PEER_PIECES)
		piece = all.n / PEER_PIECES;
	while (rest.n > 0) {
		size_t n = rest.n < piece ? rest.n : piece;

		buf_add(&p->out, rest.p, n);
		rest = span_skip(rest, n);
		peer_move(p);
		for (turns = 0; p->turn == NULL && rest.n > 0 && turns < 20;
		     turns++) {
			if (ioctl(p->fd, SIOCOUTQ, &unread) == 0 && unread == 0)
				break;
			sched_yield();
		}
	}
	buf_free(&all);
}

/* Must there be an answer to it, whatever comes after it? */
static inline bool
peer_due(const struct peer *p, const struct asked *a)
{
	if (a->ended || p->late || !p->sure)
		return false;
	if (a->want != WIRE_REQUEST_COMPLETE)
		return true;
	return a->aborted || (a->headed && (a->body_ended || a->authorizer));
}

static inline bool
peer_owed(const struct peer *p)
{
	for (unsigned i = 0; i < p->nasked; i++)
		if (peer_due(p, &p->asked[i]))
			return true;
	return p->sure && !p->late && !p->last && p->values + p->unknown > 0;
}

/* Its request keeps a handler, as its body is not whole. */
static inline bool
peer_holds(const struct peer *p)
{
	const struct asked *a = p->fd == -1 ? NULL : p->now;

	return a != NULL && a->headed && !a->body_ended && !a->authorizer &&
	    !a->aborted && !a->ended;
}

/* Waits until anything can be moved by any of them. */
static inline void
peer_wait(const struct peer all[], size_t n, int64_t until)
{
	struct pollfd fd[PEER_PEERS];

	for (size_t i = 0; i < n; i++) {
		const struct peer *p = &all[i];

		/* where the front is no thread, it would be for ever */
		FUZZ_HOLDS(p->fd == -1 || p->turn == NULL);
		fd[i] = (struct pollfd){ .fd = p->over ? -1 : p->fd,
			.events =
			    (short)(POLLIN | (p->out.n > 0 ? POLLOUT : 0)) };
	}
	FUZZ_HOLDS(front_now() < until);
	front_poll(fd, n, 1000);
}

/* They all go on; false where none of them could. */
static inline bool
peer_move_all(struct peer all[], size_t n)
{
	bool moved = false;

	for (size_t i = 0; i < n; i++)
		if (all[i].fd != -1)
			moved |= peer_move(&all[i]);
	return moved;
}

/* Until all that is due to p, one of these, has come. */
static inline void
peer_await(struct peer *p, struct peer all[], size_t n)
{
	int64_t until = front_now() + FRONT_HANGS_MS;

	while (p->fd != -1 && (peer_owed(p) || (p->out.n > 0 && !p->over))) {
		FUZZ_HOLDS(!p->over || !peer_owed(p));
		if (!peer_move_all(all, n))
			peer_wait(all, n, until);
	}
}

/* From now on p only listens, until the front closes the connection. */
static inline void
peer_finish(struct peer *p, struct peer all[], size_t n)
{
	int64_t until = front_now() + FRONT_HANGS_MS;

	peer_await(p, all, n);
	if (p->fd == -1)
		return;
	shutdown(p->fd, SHUT_WR);
	while (!p->over)
		if (!peer_move_all(all, n))
			peer_wait(all, n, until);
	FUZZ_HOLDS(!p->sure || p->late || p->in.n == 0);
	peer_close(p);
}

#endif
