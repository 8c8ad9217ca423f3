/*
 * serve_door: lets connections in.  A part of serve, and nobody else's.
 */
#ifndef SERVE_DOOR_H
#define SERVE_DOOR_H

#include "serve_clients.h"

/* Has the epoll set watch the listeners; op as of epoll_ctl(2). */
int door_watch(struct serve *s, int op, uint32_t events);

/* One of those who stand there comes in; NULL where nobody did. */
struct client *door_accept(struct serve *s, int listener);

/* Now and then: a door that could not be opened is tried again. */
void door_tick(struct serve *s);

/*
 * Nobody new; but whoever stands there already comes in.  The number of the
 * descriptor stays taken: a thread may be about to accept from it.
 */
void door_close(struct serve *s);

#endif
