/*
 * cgi: the one request of a CGI process, as an exchange: the environment, and
 * descriptors 0, 1 and 2 [SPEC 5.1].
 */
#ifndef CGI_H
#define CGI_H

#include "exchange.h"

enum {
	CGI_IN = 16384,       /* bytes read at a time */
	CGI_DRAIN_MS = 10000, /* for what is left of a body [SPEC 5.3] */
	CGI_DRAIN_MAX = 64 * 1024 * 1024
};

struct cgi {
	struct exchange x; /* first: an exchange of this kind is its cgi */
	uint64_t left;     /* of the body, as far as its length is known */
	const struct cgienv *env; /* where it has been read; or NULL */
	enum reason env_why;      /* what cgienv_read() said then */
	bool ended;               /* the input is at its end */
	bool failed;              /* the answer could not be sent whole */
	bool no_socket;           /* standard output is none */
	int room;           /* what it holds, as a pipe; 0: not yet known */
	struct span unread; /* in `in` */
	char in[CGI_IN];
};

/*
 * Blocks PIPE, TERM and INT.  body: the bytes that the input holds, UINT64_MAX
 * where only its end tells.
 */
void cgi_init(struct cgi *c, char *const vars[], uint64_t body);

/*
 * A handler is to run: TERM and INT show in x.stop from then on, so that they
 * can go on to it, and no signal is ignored.
 */
void cgi_begin(struct cgi *c);

/*
 * Reads what is left of the body and throws it away, within bounds: a server
 * that still writes it could not take the answer (E32).
 */
void cgi_drain(struct cgi *c);

void cgi_free(struct cgi *c);

#endif
