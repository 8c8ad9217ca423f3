/*
 * seats: who of a server's threads waits for events.  Each of them could, but
 * a crowd that waits on one epoll set is woken for what others have long taken,
 * and wakes on another CPU than its request came from.  So a few sit there, and
 * the others sleep until one of those is about to wait for something else.
 */
#ifndef SEATS_H
#define SEATS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct seats {
	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned n;
	unsigned taken;
	bool over;
	atomic_uint round;     /* those who sat down in an earlier one stand */
	atomic_uint turns;     /* how often anybody has been ready to wait */
	unsigned turns_before; /* at the last seats_rescue() */
};

/* A thread's own; zeroed at first. */
struct seat {
	bool taken;
	unsigned round;
};

void seats_init(struct seats *s, unsigned n);
void seats_free(struct seats *s);

/* Sleeps until there is one, if it has none.  False: it is all over. */
bool seats_take(struct seats *s, struct seat *mine);

/* It is about to wait for something: others' turn.  Twice does no harm. */
void seats_leave(struct seats *s, struct seat *mine);

/*
 * For one thread, now and then, while something is to be done: where nobody
 * has come to wait since it was called last, those who sit must be stuck in
 * something that they did not expect to wait for.  Their seats are given away.
 */
void seats_rescue(struct seats *s);

/* Whoever sleeps wakes, and seats_take() says that it is all over. */
void seats_end(struct seats *s);

#endif
