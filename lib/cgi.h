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
	struct exchange x;  /* first: an exchange of this kind is its cgi */
	uint64_t left;      /* of the body, as far as its length is known */
	bool ended;         /* the input is at its end */
	bool failed;        /* the answer could not be sent whole */
	struct span unread; /* in `in` */
	char in[CGI_IN];
};

/*
 * Blocks PIPE, and TERM and INT, which then show in x.stop, so that they can go
 * on to the handler; no signal is ignored from then on.  body: the bytes that
 * the input holds, UINT64_MAX where only its end tells.
 */
void cgi_init(struct cgi *c, char *const vars[], uint64_t body);

/*
 * Reads what is left of the body and throws it away, within bounds: a server
 * that still writes it could not take the answer (E32).
 */
void cgi_drain(struct cgi *c);

void cgi_free(struct cgi *c);

#endif
