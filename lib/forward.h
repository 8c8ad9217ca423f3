/*
 * forward: a FastCGI server that is already running, as a handler: our side of
 * the FastCGI protocol as its client [SPEC 4.1, 4.7, 4.8; E36, E102 to E106].
 *
 * One request is one connection's, or a kept one's for a time; nothing is ever
 * sent twice.
 */
#ifndef FORWARD_H
#define FORWARD_H

#include <stdint.h>

#include "buf.h"
#include "handler.h"
#include "wire.h"

/* A server that requests go to, and idle connections to it; for all threads. */
struct forward_backend;

/*
 * address: "unix:/path" or "ADDRESS:PORT", to outlive it.  keep: how many idle
 * connections are kept at most; each occupies a process of PHP-FPM's (E105).
 * NULL with errno.
 */
struct forward_backend *forward_backend_new(const char *address, unsigned keep);
void forward_backend_free(struct forward_backend *b);

/* Closes the idle connections, and from now on keeps none; of any thread. */
void forward_backend_retire(struct forward_backend *b);

/*
 * Does anybody listen there at the moment?  NULL, or why not, in words; waits
 * no longer than until that moment of io_now().
 */
const char *forward_fault(const char *address, int64_t until);

struct forward_request {
	struct span
	    params;      /* name-value pairs, as wire_add_pair() makes them */
	bool body;       /* the pump will give it one */
	int file;        /* else the body, from its beginning; -1: none */
	uint64_t length; /* of what is in the file */
};

/* A request at a backend; on the caller's stack. */
struct forward {
	struct handler h; /* first: a handler of this kind is its forward */
	struct forward_backend *backend;
	bool connected;  /* as far as we know: bytes have moved */
	bool sent_all;   /* the request's last byte has gone out */
	bool broken;     /* nothing can be sent any more */
	struct buf owed; /* what is to be sent before anything else */
	/* an STDIN record that is under way: its header, then give()'s bytes */
	unsigned char header[WIRE_HEADER_SIZE];
	size_t header_left, record_left;
	/* a body in a file, and how much of it is still to come */
	int file;
	uint64_t file_left;
	bool body_ends; /* once that and `owed` are out, STDIN ends */

	/* what it says */
	struct wire_reader reader;
	struct span unread;   /* in the pump's room */
	struct span errors;   /* in there too: handed out after the answer */
	unsigned char end[8]; /* the content of END_REQUEST */
	size_t nend;
	bool spoke;      /* a byte of its answer has come */
	enum reason why; /* there is none, where none came */
	enum {
		FORWARD_GOES_ON,
		FORWARD_ENDED,  /* END_REQUEST, whole */
		FORWARD_CLOSED, /* the connection, without one */
		FORWARD_GARBLED /* that was no FastCGI */
	} state;
};

/*
 * Connects, or takes a kept connection, and has the request ready to go:
 * nothing has been sent yet.  REASON_OK; REASON_BACKEND_REFUSED, or
 * REASON_OVERLOADED (no descriptor, no memory), with why in f->h.note, and
 * nothing to be ended.
 */
enum reason forward_start(struct forward *f, struct forward_backend *b,
    const struct forward_request *r);

/*
 * The pump has done: the connection is kept where that is asked for and the
 * answer came to its end.  Otherwise the backend is told to give up, and it is
 * closed.
 */
void forward_end(struct forward *f);

#endif
