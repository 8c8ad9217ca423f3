#include "serve_clients.h"

#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "log.h"

enum { KIND_SHIFT = 61, INDEX_SHIFT = 32 };

uint64_t
serve_event(enum event kind, size_t index, uint32_t turn)
{
	return (uint64_t)kind << KIND_SHIFT | (uint64_t)index << INDEX_SHIFT |
	    turn;
}

enum event
serve_event_kind(uint64_t event)
{
	return (enum event)(event >> KIND_SHIFT);
}

size_t
serve_event_index(uint64_t event)
{
	return (size_t)(event >> INDEX_SHIFT & 0x1FFFFFFF);
}

int64_t
serve_from_now(unsigned seconds)
{
	return io_now() + (int64_t)seconds * 1000;
}

/* --- the table --- */

/* A client for a connection; NULL where memory is out.  Under the lock. */
static struct client *
client_make(struct serve *s)
{
	struct client *c = s->unused;

	if (c != NULL) {
		s->unused = c->next;
		return c;
	}
	if (s->nclients == s->room) {
		size_t room = s->room == 0 ? 64 : s->room * 2;
		void *p = realloc(s->clients, room * sizeof(struct client *));

		if (p == NULL)
			return NULL;
		s->clients = p;
		s->room = room;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->index = s->nclients;
	s->clients[s->nclients++] = c;
	return c;
}

struct client *
client_open(struct serve *s, int fd, bool reserve)
{
	struct client *c;

	pthread_mutex_lock(&s->lock);
	c = client_make(s);
	s->live += c != NULL;
	pthread_mutex_unlock(&s->lock);
	if (c == NULL)
		return NULL;
	conn_init(&c->conn, fd, s->kill, s->o->threads + s->o->queue);
	c->reserve = reserve;
	c->added = false;
	c->head_until = serve_from_now(s->o->head_timeout);
	return c;
}

void
client_forget(struct client *c)
{
	if (c->passage == NULL)
		return;
	serve_head_free(&c->head);
	free(c->passage);
	c->passage = NULL;
}

/*
 * Its event may come before the epoll_ctl(2) that asked for it returns, in
 * another thread.  Whoever has it then may use it, but neither close it nor
 * have it wait again before that.
 */
static void
client_settled(const struct client *c)
{
	while (c->armed != c->turn)
		sched_yield();
}

void
client_close(struct serve *s, struct client *c)
{
	client_settled(c);
	client_forget(c);
	conn_close(&c->conn);
	pthread_mutex_lock(&s->lock);
	if (c->reserve && s->reserve == -1)
		s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	c->next = s->unused;
	s->unused = c;
	s->live--;
	pthread_mutex_unlock(&s->lock);
}

bool
client_has_more(const struct client *c)
{
	int here;

	return c->conn.unread.n > 0 ||
	    (ioctl(c->conn.fd, FIONREAD, &here) == 0 && here > 0);
}

/* --- who waits --- */

/* Notes what the client waits for, and until when.  Under the lock. */
static struct epoll_event
wait_for(struct client *c, enum state state, uint32_t events, int64_t until)
{
	c->state = state;
	c->waiting = true;
	c->watched = false;
	c->until = until;
	c->turn++;
	return (struct epoll_event){
		.events = events | EPOLLONESHOT,
		.data.u64 = serve_event(state == STATE_AWAIT ? EVENT_HANDLER :
							       EVENT_CLIENT,
		    c->index, c->turn),
	};
}

/* The epoll set could not be told: it is still the caller's. */
static void
wait_undo(struct serve *s, struct client *c)
{
	log_warn("epoll_ctl");
	pthread_mutex_lock(&s->lock);
	c->waiting = false;
	c->armed = c->turn;
	pthread_mutex_unlock(&s->lock);
}

/* Its connection into the epoll set. */
static bool
arm_client(struct serve *s, struct client *c, struct epoll_event *ev)
{
	int op = c->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	c->added = true;
	return epoll_ctl(s->epoll, op, c->conn.fd, ev) == 0;
}

void
client_wait(struct serve *s, struct client *c, enum state state,
    uint32_t events, int64_t until)
{
	struct epoll_event ev;

	conn_rest(&c->conn);
	if (c->conn.owed.n > 0)
		events |= EPOLLOUT;
	client_settled(c);
	pthread_mutex_lock(&s->lock);
	ev = wait_for(c, state, events, until);
	pthread_mutex_unlock(&s->lock);
	/* from here on it may be somebody else's: see client_settled() */
	if (arm_client(s, c, &ev)) {
		c->armed = (uint32_t)ev.data.u64;
		return;
	}
	wait_undo(s, c);
	client_close(s, c);
}

/* The same of its handler; a kept one is in there since another request. */
static bool
arm_handler(struct serve *s, const struct exchange_await *what,
    struct epoll_event *ev)
{
	int op = what->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (epoll_ctl(s->epoll, op, what->fd, ev) == 0)
		return true;
	if (errno != (what->known ? ENOENT : EEXIST))
		return false;
	op = what->known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	return epoll_ctl(s->epoll, op, what->fd, ev) == 0;
}

bool
client_await(struct serve *s, struct client *c,
    const struct exchange_await *what)
{
	struct epoll_event ev;

	conn_rest(&c->conn);
	client_settled(c);
	pthread_mutex_lock(&s->lock);
	ev = wait_for(c, STATE_AWAIT, EPOLLIN, what->until);
	pthread_mutex_unlock(&s->lock);
	if (arm_handler(s, what, &ev)) {
		c->armed = (uint32_t)ev.data.u64;
		return true;
	}
	wait_undo(s, c);
	return false;
}

/*
 * Also watches the connection of one whose handler is silent (E77).  Under the
 * lock, so that it stays where it is meanwhile.
 */
static void
watch_too(struct serve *s, struct client *c)
{
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT,
		.data.u64 = serve_event(EVENT_CLIENT, c->index, c->turn),
	};

	c->watched = arm_client(s, c, &ev);
	if (!c->watched)
		log_warn("epoll_ctl");
}

static void
queue_remove(struct serve *s, struct client *c)
{
	struct client **p = &s->first_parked;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	if (s->last_parked == &c->next)
		s->last_parked = p;
	s->parked--;
}

/* Makes a waiting client the caller's.  Under the lock. */
static void
client_claim(struct serve *s, struct client *c)
{
	c->waiting = false;
	if (c->state == STATE_PARKED)
		queue_remove(s, c);
}

struct client *
client_take(struct serve *s, uint64_t event, enum state *state)
{
	struct client *c;

	pthread_mutex_lock(&s->lock);
	c = s->clients[serve_event_index(event)];
	if (c->waiting && c->turn == (uint32_t)event) {
		*state = c->state;
		client_claim(s, c);
	} else
		c = NULL;
	pthread_mutex_unlock(&s->lock);
	return c;
}

void
client_due(struct serve *s, struct client *c)
{
	pthread_mutex_lock(&s->lock);
	c->next = s->first_due;
	s->first_due = c;
	pthread_mutex_unlock(&s->lock);
	eventfd_write(s->due, 1);
}

struct client *
client_take_due(struct serve *s)
{
	struct client *c;
	eventfd_t one;

	if (eventfd_read(s->due, &one) == -1)
		return NULL;
	pthread_mutex_lock(&s->lock);
	c = s->first_due;
	if (c != NULL)
		s->first_due = c->next;
	pthread_mutex_unlock(&s->lock);
	return c;
}

/* --- slots, and the queue for them --- */

/*
 * A place in the queue.  All under the lock: once it is in the queue, whoever
 * has a slot free may take it out.
 */
static bool
park(struct serve *s, struct client *c)
{
	struct epoll_event ev = wait_for(c, STATE_PARKED, EPOLLRDHUP,
	    serve_from_now(s->o->queue_timeout));

	if (!arm_client(s, c, &ev)) {
		log_warn("epoll_ctl");
		c->waiting = false;
		c->armed = c->turn;
		return false;
	}
	c->armed = c->turn;
	c->next = NULL;
	*s->last_parked = c;
	s->last_parked = &c->next;
	s->parked++;
	return true;
}

/* Under the lock. */
static bool
take_slot(struct serve *s, struct client *c)
{
	if (s->running == s->o->threads)
		return false;
	for (c->slot = 0; s->slot_taken[c->slot]; c->slot++)
		;
	s->slot_taken[c->slot] = true;
	s->running++;
	return true;
}

enum place
client_find_place(struct serve *s, struct client *c)
{
	enum place place = PLACE_NONE;
	bool slot;

	pthread_mutex_lock(&s->lock);
	slot = take_slot(s, c);
	pthread_mutex_unlock(&s->lock);
	if (slot)
		return PLACE_SLOT;
	conn_rest(&c->conn);
	client_settled(c);
	pthread_mutex_lock(&s->lock);
	if (take_slot(s, c)) /* there is one after all */
		place = PLACE_SLOT;
	else if (s->parked < s->o->queue && park(s, c))
		place = PLACE_PARKED;
	pthread_mutex_unlock(&s->lock);
	return place;
}

struct client *
client_pass_on(struct serve *s, unsigned slot)
{
	struct client *c;

	pthread_mutex_lock(&s->lock);
	c = s->killing ? NULL : s->first_parked;
	if (c != NULL)
		client_claim(s, c);
	if (c != NULL)
		c->slot = slot;
	else {
		s->slot_taken[slot] = false;
		s->running--;
	}
	pthread_mutex_unlock(&s->lock);
	return c;
}

/* --- whose time is up --- */

/* Is the time of this waiting client up? */
static bool
is_expired(const struct serve *s, const struct client *c, int64_t now)
{
	if ((c->until != 0 && now >= c->until) || s->killing)
		return true;
	/* at the end, idle ones; but not one whose next request is here */
	return s->stopping && c->state == STATE_HEAD && c->head_until == 0 &&
	    !client_has_more(c);
}

struct client *
client_expired(struct serve *s, int64_t now, size_t *i, enum state *state)
{
	struct client *c, *found = NULL;

	pthread_mutex_lock(&s->lock);
	for (; *i < s->nclients && found == NULL; (*i)++) {
		c = s->clients[*i];
		if (!c->waiting || c->armed != c->turn) /* or on its way */
			continue;
		if (!is_expired(s, c, now)) {
			if (c->state == STATE_AWAIT && !c->watched)
				watch_too(s, c);
			continue;
		}
		*state = c->state;
		client_claim(s, c);
		found = c;
	}
	pthread_mutex_unlock(&s->lock);
	return found;
}
