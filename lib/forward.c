#include "forward.h"

#include <sys/uio.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"

enum {
	ID = 1,             /* of the only request on a connection */
	OWED_MAX = 1 << 20, /* far above what the front itself takes */
	HEAD_USUAL = 2048,  /* allocated at once: most heads have less */
	SMALL = 16384       /* a body's piece that is copied behind the head */
};

/* --- the backend --- */

struct forward_backend {
	const char *name;
	struct io_address address;
	pthread_mutex_t lock;
	unsigned keep, n;
	bool retired;
	int idle[]; /* n descriptors */
};

struct forward_backend *
forward_backend_new(const char *address, unsigned keep)
{
	struct forward_backend *b =
	    calloc(1, sizeof(*b) + keep * sizeof(b->idle[0]));

	if (b == NULL)
		return NULL;
	b->name = address;
	b->keep = keep;
	pthread_mutex_init(&b->lock, NULL);
	if (io_address(address, &b->address))
		return b;
	forward_backend_free(b);
	errno = EINVAL;
	return NULL;
}

void
forward_backend_free(struct forward_backend *b)
{
	if (b == NULL)
		return;
	for (unsigned i = 0; i < b->n; i++)
		close(b->idle[i]);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

void
forward_backend_retire(struct forward_backend *b)
{
	pthread_mutex_lock(&b->lock);
	while (b->n > 0)
		close(b->idle[--b->n]);
	b->retired = true;
	pthread_mutex_unlock(&b->lock);
}

const char *
forward_fault(const char *address, int64_t until)
{
	struct io_address a;
	int fd, error = 0;
	socklen_t n = sizeof(error);

	if (!io_address(address, &a))
		return strerror(EINVAL);
	fd = io_connect(&a);
	if (fd == -1)
		return errno == EAGAIN ? NULL : strerror(errno);
	if (io_wait(fd, POLLOUT, until) <= 0)
		error = ETIMEDOUT;
	else
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n);
	close(fd);
	return error == 0 ? NULL : strerror(error);
}

/* The one that was used last: the others may rest until they are closed. */
static int
idle_pop(struct forward_backend *b)
{
	int fd;

	pthread_mutex_lock(&b->lock);
	fd = b->n > 0 ? b->idle[--b->n] : -1;
	pthread_mutex_unlock(&b->lock);
	return fd;
}

static bool
idle_push(struct forward_backend *b, int fd)
{
	bool room;

	pthread_mutex_lock(&b->lock);
	room = !b->retired && b->n < b->keep;
	if (room)
		b->idle[b->n++] = fd;
	pthread_mutex_unlock(&b->lock);
	return room;
}

/* Has the backend left it open, and said nothing that is out of turn? */
static bool
is_quiet(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == -1 &&
	    errno == EAGAIN;
}

/* A kept connection that is still good, or -1. */
static int
idle_take(struct forward_backend *b)
{
	int fd;

	while ((fd = idle_pop(b)) != -1 && !is_quiet(fd))
		close(fd);
	return fd;
}

/* --- what goes out --- */

static struct forward *
forward_of(struct handler *h)
{
	return (struct forward *)h;
}

static void
set_note(struct forward *f, const char *what)
{
	snprintf(f->h.note, sizeof(f->h.note), "%.200s: %s", f->backend->name,
	    what);
}

/* The socket that the pump polls. */
static void
attach(struct forward *f, int fd)
{
	f->h.in = f->h.out = fd;
}

/* Nothing more can be sent; an answer may come all the same (E30). */
static void
stop_sending(struct forward *f)
{
	f->broken = true;
	f->h.owes = false;
	f->h.ready = true;
}

/* There will be no answer, for a reason of the backend's or of ours. */
static void
fail(struct forward *f, enum reason why, const char *what)
{
	set_note(f, what);
	stop_sending(f);
	f->why = why;
	f->state = FORWARD_CLOSED;
}

/* No connection, with this errno: did we want for something? */
static enum reason
reason_of(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS ||
		error == ENOMEM ?
	    REASON_OVERLOADED :
	    REASON_BACKEND_REFUSED;
}

/* A Unix socket whose queue was full when it was tried last. */
static bool
connect_again(struct forward *f)
{
	if (f->h.in != -1)
		return true;
	attach(f, io_connect(&f->backend->address));
	if (f->h.in == -1 && errno != EAGAIN)
		fail(f, reason_of(errno), strerror(errno));
	return f->h.in != -1;
}

/* sendmsg(2), but that broken connections are told apart: -1 with EAGAIN. */
static ssize_t
send_pieces(struct forward *f, struct iovec iov[], size_t n)
{
	const struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t sent;

	do {
		sent = sendmsg(f->h.in, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent == -1 && errno == EINTR);
	if (sent >= 0)
		f->connected = true;
	else if (errno == EWOULDBLOCK || errno == EAGAIN ||
	    errno == EINPROGRESS)
		errno = EAGAIN;
	else if (errno == EPIPE || errno == ECONNRESET ||
	    (f->connected && reason_of(errno) != REASON_OVERLOADED))
		stop_sending(f); /* it was there, and may have answered (E30) */
	else /* also where it waits for what we have no memory to send */
		fail(f, reason_of(errno), strerror(errno));
	return sent;
}

/* A copy of a part of the body, as one record. */
static void
owe_body(struct forward *f, struct span body)
{
	wire_add(&f->owed, WIRE_STDIN, ID, body);
	if (f->owed.failed) /* a part of it may be in there */
		fail(f, REASON_OVERLOADED, strerror(ENOMEM));
}

/* The next record of a body that lies in a file. */
static void
owe_file(struct forward *f)
{
	char bytes[SMALL];
	size_t want =
	    f->file_left < sizeof(bytes) ? (size_t)f->file_left : sizeof(bytes);
	ssize_t n;

	do {
		n = read(f->file, bytes, want);
	} while (n == -1 && errno == EINTR);
	if (n <= 0) {
		fail(f, REASON_OVERLOADED, "its body cannot be read again");
		return;
	}
	f->file_left -= (uint64_t)n;
	owe_body(f, (struct span){ bytes, (size_t)n });
}

/* All that a call can send at once.  False where there is nothing to send. */
static bool
owe_more(struct forward *f)
{
	while (f->file_left > 0 && f->owed.n < SMALL && !f->broken)
		owe_file(f);
	if (f->file_left == 0 && f->body_ends && !f->broken) {
		wire_add_eof(&f->owed, WIRE_STDIN, ID);
		if (f->owed.failed)
			fail(f, REASON_OVERLOADED, strerror(ENOMEM));
		f->body_ends = false;
		f->sent_all = true; /* once that is flushed */
	}
	return f->owed.n > 0 && !f->broken;
}

static bool
way_flush(struct handler *h)
{
	struct forward *f = forward_of(h);
	bool moved = false;

	if (f->broken || !connect_again(f))
		return false;
	while (owe_more(f)) {
		struct iovec iov = { f->owed.p, f->owed.n };
		ssize_t n = send_pieces(f, &iov, 1);

		if (n == -1)
			return moved;
		buf_drop(&f->owed, (size_t)n);
		moved = true;
	}
	h->owes = false;
	return moved;
}

/* Begins a record of as much as there is. */
static void
begin_record(struct forward *f, struct span body)
{
	f->record_left =
	    body.n < WIRE_CONTENT_MAX ? body.n : (size_t)WIRE_CONTENT_MAX;
	f->header_left = sizeof(f->header);
	wire_header(f->header, WIRE_STDIN, ID, f->record_left);
}

/* What a piece sent was: first of the header, then of the content. */
static ssize_t
count_sent(struct forward *f, size_t sent)
{
	size_t header = sent < f->header_left ? sent : f->header_left;

	f->header_left -= header;
	f->record_left -= sent - header;
	return (ssize_t)(sent - header);
}

static ssize_t
way_give(struct handler *h, struct span body)
{
	struct forward *f = forward_of(h);
	struct iovec iov[2];
	bool moved;
	ssize_t n;

	/* a small body goes out with the head, and costs no call of its own */
	if (h->owes && f->owed.n < SMALL && body.n <= SMALL) {
		owe_body(f, body);
		return f->broken ? -1 : (ssize_t)body.n;
	}
	moved = h->owes && way_flush(h);
	if (h->owes || f->broken) {
		errno = f->broken ? EPIPE : EAGAIN;
		return moved && !f->broken ? 0 : -1;
	}
	if (f->record_left == 0)
		begin_record(f, body);
	iov[0] = (struct iovec){ f->header + sizeof(f->header) - f->header_left,
		f->header_left };
	iov[1] = (struct iovec){ (void *)body.p, f->record_left };
	n = send_pieces(f, iov, 2);
	return n == -1 ? -1 : count_sent(f, (size_t)n);
}

static void
way_give_end(struct handler *h)
{
	struct forward *f = forward_of(h);

	if (f->broken)
		return;
	f->body_ends = true;
	h->owes = true;
}

/* Whole records alone can be followed by another one. */
static void
send_abort(struct forward *f)
{
	unsigned char record[WIRE_HEADER_SIZE];
	struct iovec iov = { record, sizeof(record) };

	if (f->broken || f->h.in == -1 || f->owed.n > 0 || f->record_left > 0)
		return;
	wire_header(record, WIRE_ABORT_REQUEST, ID, 0);
	send_pieces(f, &iov, 1);
	stop_sending(f); /* it is told once, and gets nothing more */
}

static void
way_stop(struct handler *h, int signal)
{
	(void)signal;
	send_abort(forward_of(h));
}

/* --- what comes back --- */

/* A piece of a record that is ours. */
static void
take_piece(struct forward *f, struct span piece, struct span *answer)
{
	switch (f->reader.record.type) {
	case WIRE_STDOUT:
		/* pieces move together, so that they go on as one */
		memmove((char *)answer->p + answer->n, piece.p, piece.n);
		answer->n += piece.n;
		f->spoke = true;
		break;
	case WIRE_STDERR:
		f->errors = piece;
		break;
	case WIRE_END_REQUEST:
		for (size_t i = 0; i < piece.n && f->nend < sizeof(f->end); i++)
			f->end[f->nend++] = (unsigned char)piece.p[i];
		break;
	default:
		break;
	}
}

static void
take_record_end(struct forward *f)
{
	if (f->reader.record.type != WIRE_END_REQUEST ||
	    f->reader.record.id != ID)
		return;
	f->state = f->nend == sizeof(f->end) ? FORWARD_ENDED : FORWARD_GARBLED;
}

/* The answer's bytes up to something else; they are moved together. */
static struct span
take_answer(struct forward *f)
{
	struct span answer = { f->unread.p, 0 }, piece;

	while (f->state == FORWARD_GOES_ON && f->errors.n == 0) {
		switch (wire_next(&f->reader, &f->unread, &piece)) {
		case WIRE_MORE:
			return answer;
		case WIRE_BAD:
			f->state = FORWARD_GARBLED;
			break;
		case WIRE_PIECE:
			if (f->reader.record.id == ID)
				take_piece(f, piece, &answer);
			break;
		case WIRE_RECORD_END:
			take_record_end(f);
			break;
		}
	}
	return answer;
}

/* Reads; false where there is nothing at the moment. */
static bool
fetch(struct forward *f, char *room, size_t size)
{
	ssize_t n;

	if (f->h.out == -1)
		return false;
	do {
		n = recv(f->h.out, room, size, MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (n > 0)
		f->unread = (struct span){ room, (size_t)n };
	else
		f->state = FORWARD_CLOSED;
	return true;
}

static enum handler_output
way_take(struct handler *h, char *room, size_t size, struct span *bytes)
{
	struct forward *f = forward_of(h);

	h->ready = true;
	if (f->errors.n > 0) {
		*bytes = f->errors;
		f->errors = (struct span){ NULL, 0 };
		return HANDLER_ERRORS;
	}
	if (f->unread.n == 0 && f->state == FORWARD_GOES_ON &&
	    !fetch(f, room, size)) {
		h->ready = false;
		return HANDLER_WAIT;
	}
	*bytes = take_answer(f);
	h->over = f->state == FORWARD_ENDED && f->errors.n == 0 &&
	    f->end[4] == WIRE_REQUEST_COMPLETE;
	if (bytes->n > 0)
		return HANDLER_BYTES;
	if (f->errors.n > 0)
		return way_take(h, room, size, bytes);
	if (f->state == FORWARD_GOES_ON) {
		h->ready = false;
		return HANDLER_WAIT;
	}
	return HANDLER_END;
}

/* A server has no process whose end could be seen. */
static bool
way_ended(const struct handler *h)
{
	(void)h;
	return false;
}

/* FCGI_REQUEST_COMPLETE, or why it did not want the request (E102). */
static enum reason
refusal(struct forward *f)
{
	switch (f->end[4]) {
	case WIRE_REQUEST_COMPLETE:
		return REASON_OK;
	case WIRE_OVERLOADED:
		set_note(f, "overloaded");
		return REASON_OVERLOADED;
	case WIRE_CANT_MPX_CONN:
		set_note(f, "takes one request at a time");
		return REASON_BACKEND_REFUSED;
	default:
		set_note(f, "does not serve responders");
		return REASON_BACKEND_REFUSED;
	}
}

static struct handler_fate
fate_ended(struct forward *f)
{
	const unsigned char *e = f->end;
	enum reason refused = refusal(f);
	uint32_t status = (uint32_t)e[0] << 24 | (uint32_t)e[1] << 16 |
	    (uint32_t)e[2] << 8 | e[3];

	if (refused != REASON_OK)
		return (struct handler_fate){ refused, refused };
	f->h.status = (int)status;
	if (status != 0)
		snprintf(f->h.note, sizeof(f->h.note), "exit status %d",
		    f->h.status);
	return (struct handler_fate){ status != 0 ? REASON_HANDLER_DIED :
						    REASON_HANDLER_BAD_ANSWER,
		REASON_OK };
}

static struct handler_fate
way_fate(struct handler *h)
{
	struct forward *f = forward_of(h);

	switch (f->state) {
	case FORWARD_ENDED:
		return fate_ended(f);
	case FORWARD_GARBLED:
		set_note(f, "what it says is no FastCGI");
		return (struct handler_fate){ REASON_HANDLER_BAD_ANSWER,
			REASON_HANDLER_BAD_ANSWER };
	case FORWARD_CLOSED:
		if (*h->note == '\0')
			set_note(f, "closed the connection");
		break;
	case FORWARD_GOES_ON: /* it stands still behind a whole answer */
		break;
	}
	return (struct handler_fate){ f->spoke ? REASON_HANDLER_DIED : f->why,
		f->state == FORWARD_CLOSED ? REASON_HANDLER_DIED : REASON_OK };
}

static const struct handler_way way = {
	.give = way_give,
	.give_end = way_give_end,
	.flush = way_flush,
	.take = way_take,
	.stop = way_stop,
	.ended = way_ended,
	.fate = way_fate,
};

/* --- a request --- */

enum reason
forward_start(struct forward *f, struct forward_backend *b,
    const struct forward_request *r)
{
	int fd = idle_take(b);

	*f = (struct forward){
		.h = { .way = &way, .err = -1, .owes = true, .kept = fd != -1 },
		.backend = b,
		.why = REASON_BACKEND_REFUSED,
		.connected = fd != -1,
		.file = r->file,
		.file_left = r->file != -1 ? r->length : 0,
		.body_ends = !r->body
	};
	wire_reader_init(&f->reader);
	attach(f, fd != -1 ? fd : io_connect(&b->address));
	if (f->h.in == -1 && errno != EAGAIN) {
		enum reason why = reason_of(errno);

		set_note(f, strerror(errno));
		return why;
	}
	buf_init(&f->owed, OWED_MAX);
	buf_room(&f->owed, HEAD_USUAL);
	wire_add_begin(&f->owed, ID, WIRE_RESPONDER,
	    b->keep > 0 ? WIRE_KEEP_CONN : 0);
	wire_add(&f->owed, WIRE_PARAMS, ID, r->params);
	wire_add_eof(&f->owed, WIRE_PARAMS, ID);
	if (!f->owed.failed)
		return REASON_OK;
	set_note(f, strerror(ENOMEM));
	forward_end(f);
	return REASON_OVERLOADED;
}

void
forward_end(struct forward *f)
{
	/* in step for another request, or not at all */
	bool kept = f->state == FORWARD_ENDED &&
	    f->end[4] == WIRE_REQUEST_COMPLETE && f->sent_all &&
	    f->owed.n == 0 && f->unread.n == f->reader.padding && !f->broken &&
	    idle_push(f->backend, f->h.in);

	if (!kept && f->state == FORWARD_GOES_ON)
		send_abort(f);
	if (!kept && f->h.in != -1)
		close(f->h.in);
	attach(f, -1);
	buf_free(&f->owed);
}
