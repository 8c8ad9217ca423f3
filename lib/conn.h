/*
 * conn: one FastCGI connection of a web server's, as an exchange.  It never
 * waits: what cannot be sent at once is owed, and whoever owns the connection
 * waits for it in its epoll set.
 */
#ifndef CONN_H
#define CONN_H

#include "buf.h"
#include "exchange.h"
#include "screen.h"

enum {
	CONN_IN = 16384,  /* bytes read at a time */
	CONN_LENT = 4096, /* of a room that was lent: most heads fit */
	/* one record of an answer that was sent in part, and error lines */
	CONN_OWED_MAX = 2 * 65536 + 65536
};

struct conn {
	struct exchange x; /* first: an exchange of this kind is its conn */
	int fd;
	struct screen screen;
	char *in;           /* NULL while nothing is in it; `lent`, or ours */
	char *lent;         /* see conn_lend() */
	bool filled;        /* that one was: there is more to come */
	bool fits;          /* ours holds no more than what is unread */
	struct span unread; /* in `in` */
	struct span body;   /* in `in`, before `unread`: not yet taken */
	struct buf owed;    /* to the peer */
	bool wide;          /* the socket takes more than usual */
	bool broken;        /* nothing can be read or written any more */
	bool nonsense;      /* what it said was no FastCGI that can be served */
	bool aborted;       /* FCGI_ABORT_REQUEST came */
	uint64_t drained;   /* bytes of body thrown away */
};

enum conn_state {
	CONN_WAITS, /* nothing more at the moment */
	CONN_READY, /* conn_head: a head is whole.  conn_drain: the body is */
	CONN_OVER   /* the peer is gone, or is none to talk to */
};

/*
 * Takes over fd, a connected socket.  stop: a descriptor that becomes readable
 * when handlers are to be ended; max_requests is told to those who ask.
 */
void conn_init(struct conn *c, int fd, int stop, unsigned max_requests);

/*
 * Lends CONN_LENT bytes to read into, until conn_rest() or conn_close():
 * whoever has the connection at the moment has them to spare.
 */
void conn_lend(struct conn *c, char *room);

/* Reads on until the head of a request is whole: then conn.screen has it. */
enum conn_state conn_head(struct conn *c);

/* Has any byte of a head come that is not yet whole? */
bool conn_begun(const struct conn *c);

/* Sends what is owed.  True where nothing is owed any more. */
bool conn_flush(struct conn *c);

/* Ends an aborted request as the protocol wants it (E78). */
void conn_end_aborted(struct conn *c);

/* Reads the rest of the body and throws it away; counts it in c->drained. */
enum conn_state conn_drain(struct conn *c);

/* The request is over: ready for the next one. */
void conn_next(struct conn *c);

/* Gives memory back before it waits, or goes to somebody else. */
void conn_rest(struct conn *c);

/* Closes the descriptor and frees everything. */
void conn_close(struct conn *c);

#endif
