/*
 * screen: what a web server says on one FastCGI connection, taken apart before
 * libfcgi sees a byte of it.
 *
 * libfcgi blocks on half a record, loses the parameters behind a padded BEGIN,
 * dies of some management records and believes every length.  So the screen
 * reads the records, in pieces of any size, answers what the protocol wants
 * answered, and hands out whole heads, cleaned, in the one form that libfcgi
 * reads well; and body bytes as they come [SPEC 5.2 to 5.4, E78, E85 to E96].
 */
#ifndef SCREEN_H
#define SCREEN_H

#include "buf.h"
#include "wire.h"

enum {
	SCREEN_PARAMS_MAX = 65535, /* one record of them */
	/* BEGIN_REQUEST, PARAMS, and the record that ends them */
	SCREEN_HEAD_MAX =
	    16 + WIRE_HEADER_SIZE + SCREEN_PARAMS_MAX + WIRE_HEADER_SIZE
};

enum screen_event {
	SCREEN_MORE,    /* the input is used up */
	SCREEN_REQUEST, /* a head is whole: see screen_head() */
	SCREEN_BODY,    /* *body is its next piece */
	SCREEN_BODY_END,
	SCREEN_ABORT, /* the web server gives the request up */
	SCREEN_CLOSE, /* refused, and its connection was not to be kept */
	SCREEN_BAD    /* no FastCGI, or none that can be served: close */
};

struct screen {
	struct wire_reader reader;
	bool active; /* between BEGIN_REQUEST and screen_done() */
	bool headed; /* its head is whole */
	bool body_ended;
	bool keep; /* FCGI_KEEP_CONN */
	unsigned id;
	enum wire_role role;          /* WIRE_RESPONDER or WIRE_AUTHORIZER */
	unsigned max_conns, max_reqs; /* for GET_VALUES */
	struct buf control; /* content of a BEGIN or management record */
	struct buf params;  /* from SCREEN_REQUEST to screen_done(): whole */
	struct buf answer; /* records owed to the peer; the caller sends them */
};

void screen_init(struct screen *s, unsigned max_conns, unsigned max_reqs);

/*
 * Takes from *in until something is to be done.  After any event the caller
 * first sends s->answer, if it holds anything, and clears it.
 */
enum screen_event screen_next(struct screen *s, struct span *in,
    struct span *body);

/*
 * The head after SCREEN_REQUEST, added to out as libfcgi wants it, less what
 * has a name that cannot be passed on (E8); at most SCREEN_HEAD_MAX bytes.
 */
void screen_head(const struct screen *s, struct buf *out);

/*
 * The request has been answered.  Its records that still come are passed over
 * until the next BEGIN_REQUEST.
 */
void screen_done(struct screen *s);

/* Frees the memory of the buffers, but keeps its state: for an idle one. */
void screen_rest(struct screen *s);

void screen_free(struct screen *s);

#endif
