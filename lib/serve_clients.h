/*
 * serve_clients: the table of connections, and who of them waits for what;
 * with the types that the parts of serve share.  Nobody else's.
 */
#ifndef SERVE_CLIENTS_H
#define SERVE_CLIENTS_H

#include <sys/epoll.h>

#include <pthread.h>
#include <stdatomic.h>

#include "conn.h"
#include "seats.h"
#include "serve.h"
#include "serve_head.h"

/* What an event in the epoll set is about: see serve_event(). */
enum event {
	EVENT_CLIENT,
	EVENT_HANDLER, /* what a client's handler says */
	EVENT_DUE,     /* a client is in serve.first_due */
	EVENT_LISTENER,
	EVENT_QUIT
};

enum state {
	STATE_HEAD,   /* waits for a request */
	STATE_PARKED, /* has one, and waits for a slot */
	STATE_AWAIT,  /* has a slot, and its handler is silent */
	STATE_DRAIN /* has been answered, and waits for the rest of its body */
};

/* Never freed before the end, so that a late event finds a client. */
struct client {
	struct conn conn;
	size_t index; /* in serve.clients */
	struct serve_head head;
	void *passage;      /* while a request lives */
	bool needs_strings; /* see serve.h, before its handler begins */
	unsigned slot;      /* while its handler runs */
	bool reserve;       /* it was accepted with the reserve descriptor */
	bool added;         /* its descriptor is in the epoll set */
	bool had_one;       /* a request, so that it may idle */
	int64_t head_until; /* for the head that has begun; 0: none has */
	int64_t drain_until;
	_Atomic uint32_t armed; /* the last turn that the epoll set knows of */

	/* under serve.lock: */
	enum state state;
	bool waiting;        /* in the epoll set, and owned by nobody */
	bool watched;        /* STATE_AWAIT: in there for its own sake, too */
	uint32_t turn;       /* how often it has waited: tells late events */
	int64_t until;       /* when it has waited too long; 0: never */
	struct client *next; /* in the queue, or due, or of the unused */
};

struct serve {
	const struct serve_options *o;
	struct seats seats;
	int epoll;
	int due;              /* counts serve.first_due */
	int quit;             /* readable when the threads are to end */
	int kill;             /* readable when the handlers are to end */
	atomic_bool stopping; /* nothing new */
	atomic_bool killing;  /* nothing at all: stop_grace is over */

	pthread_mutex_t lock;
	struct client **clients;
	size_t nclients, room;
	struct client *unused;
	size_t live; /* clients that are not unused */
	struct client *first_parked, **last_parked;
	unsigned parked;
	struct client *first_due; /* a handler is to be waited for */
	bool *slot_taken;
	unsigned running;
	int reserve; /* a descriptor to give up when there are no more (E81) */
	unsigned turns, quiet; /* the clock's: see rest() */
	bool accept_later;
	int64_t told_at; /* when that was last logged */
};

/* What epoll_wait(2) is to say of it; turn is a client's. */
uint64_t serve_event(enum event kind, size_t index, uint32_t turn);
enum event serve_event_kind(uint64_t event);
size_t serve_event_index(uint64_t event); /* a client's, or a listener's */

int64_t serve_from_now(unsigned seconds);

/* A client for a connection; NULL where memory is out. */
struct client *client_open(struct serve *s, int fd, bool reserve);
void client_close(struct serve *s, struct client *c);

/* The request's variables, and what the gate kept, are no longer needed. */
void client_forget(struct client *c);

/* Has it said anything yet of its next request? */
bool client_has_more(const struct client *c);

/*
 * Hands the client to the epoll set until one of the events, or until that
 * moment.
 */
void client_wait(struct serve *s, struct client *c, enum state state,
    uint32_t events, int64_t until);

/*
 * The same until its handler says something.  False where that is impossible,
 * and the client still the caller's.
 */
bool client_await(struct serve *s, struct client *c,
    const struct exchange_await *what);

/* Its turn comes, though its handler has said nothing: EVENT_DUE. */
void client_due(struct serve *s, struct client *c);

/* The client of an event, now the caller's; NULL where that came too late. */
struct client *client_take(struct serve *s, uint64_t event, enum state *state);
struct client *client_take_due(struct serve *s);

enum place { PLACE_SLOT, PLACE_PARKED, PLACE_NONE };

/* A slot for the client's handler, or else a place in the queue. */
enum place client_find_place(struct serve *s, struct client *c);

/*
 * The slot is free: for whoever has been parked longest, who is then the
 * caller's and has it, or for nobody.
 */
struct client *client_pass_on(struct serve *s, unsigned slot);

/*
 * The next client whose time is up, the caller's; NULL where there is none.
 * *i: 0 at first.
 */
struct client *client_expired(struct serve *s, int64_t now, size_t *i,
    enum state *state);

#endif
