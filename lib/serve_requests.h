/*
 * serve_requests: does what clients ask for.  A part of serve, and nobody
 * else's.
 */
#ifndef SERVE_REQUESTS_H
#define SERVE_REQUESTS_H

#include "serve_clients.h"

/* A thread. */
struct worker {
	struct serve *s;
	struct seat seat;
	char room[CONN_LENT]; /* see conn_lend() */
};

/* Reads on, and answers what is whole. */
void request_head(struct worker *w, struct client *c);

/* It waited, and something has come, or the other end has gone. */
void request_wake(struct worker *w, struct client *c, enum state state,
    enum event kind);

/* It has waited too long. */
void request_expire(struct serve *s, struct client *c, enum state state);

#endif
