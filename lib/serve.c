#include "serve.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conn.h"
#include "io.h"
#include "log.h"

enum {
	EXTRA_THREADS = 4, /* for what needs no handler */
	STACK_SIZE = 256 * 1024,
	DRAIN_MS = 10000, /* SPEC 5.3 */
	DRAIN_MAX = 64 * 1024 * 1024,
	FLUSH_MS = 50000, /* for the last bytes of an answer */
	TELL_MS = 10000,  /* between two lines on the same trouble */
	TICK_MS = 250     /* how often deadlines are looked at */
};

/* What an event in the epoll set is about: see event_data(). */
enum event { EVENT_CLIENT, EVENT_LISTENER, EVENT_QUIT };

enum state {
	STATE_HEAD,   /* waits for a request */
	STATE_PARKED, /* has one, and waits for a slot */
	STATE_DRAIN /* has been answered, and waits for the rest of its body */
};

/* Never freed before the end, so that a late event finds a client. */
struct client {
	struct conn conn;
	size_t index; /* in serve.clients */
	FCGX_Request request;
	void *passage;      /* while a request lives */
	bool reserve;       /* it was accepted with the reserve descriptor */
	bool added;         /* its descriptor is in the epoll set */
	bool had_one;       /* a request, so that it may idle */
	int64_t head_until; /* for the head that has begun; 0: none has */
	int64_t drain_until;
	_Atomic uint32_t armed; /* the last turn that the epoll set knows of */

	/* under serve.lock: */
	enum state state;
	bool waiting;        /* in the epoll set, and owned by nobody */
	uint32_t turn;       /* how often it has waited: tells late events */
	int64_t until;       /* when it has waited too long; 0: never */
	struct client *next; /* in the queue, or of the unused */
};

struct serve {
	const struct serve_options *o;
	int epoll;
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
	bool *slot_taken;
	unsigned running;
	int reserve; /* a descriptor to give up when there are no more (E81) */
	bool accept_later;
	int64_t told_at; /* when that was last logged */
};

/* A thread, and the pipe by which libfcgi reads heads. */
struct worker {
	struct serve *s;
	pthread_t thread;
	int pipe[2];
	struct buf head;
};

static uint64_t
event_data(enum event kind, size_t index, uint32_t turn)
{
	return (uint64_t)kind << 62 | (uint64_t)index << 32 | turn;
}

static int64_t
from_now(unsigned seconds)
{
	return io_now() + (int64_t)seconds * 1000;
}

/* How long a kept connection may be idle; 0: as long as it likes. */
static int64_t
idle_until(const struct serve *s)
{
	return s->o->idle_timeout == 0 ? 0 : from_now(s->o->idle_timeout);
}

/* --- clients --- */

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

static struct client *
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
	c->head_until = from_now(s->o->head_timeout);
	return c;
}

/* The request's variables, and what the gate kept, are no longer needed. */
static void
client_forget(struct client *c)
{
	if (c->passage == NULL)
		return;
	c->request.ipcFd = -1;
	FCGX_Free(&c->request, 0);
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

static void
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

/* Notes what the client waits for, and until when.  Under the lock. */
static struct epoll_event
wait_for(struct client *c, enum state state, uint32_t events, int64_t until)
{
	c->state = state;
	c->waiting = true;
	c->until = until;
	c->turn++;
	return (struct epoll_event){
		.events = events | EPOLLONESHOT,
		.data.u64 = event_data(EVENT_CLIENT, c->index, c->turn),
	};
}

/*
 * Puts it into the epoll set.  From there on it may be somebody else's: see
 * client_settled().
 */
static bool
wait_arm(struct serve *s, struct client *c, struct epoll_event ev)
{
	int op = c->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	c->added = true;
	if (epoll_ctl(s->epoll, op, c->conn.fd, &ev) == -1) {
		log_warn("epoll_ctl");
		return false;
	}
	c->armed = (uint32_t)ev.data.u64;
	return true;
}

/*
 * Hands the client to the epoll set until one of the events, or until that
 * moment.  Whoever wakes for it needs the lock, so that is given up before.
 */
static void
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
	if (wait_arm(s, c, ev))
		return;
	pthread_mutex_lock(&s->lock);
	c->waiting = false;
	c->armed = c->turn;
	pthread_mutex_unlock(&s->lock);
	client_close(s, c);
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

/* --- heads --- */

static bool
pipe_open(struct worker *w)
{
	if (pipe2(w->pipe, O_CLOEXEC | O_NONBLOCK) == -1) {
		w->pipe[0] = w->pipe[1] = -1;
		return false;
	}
	/* where the kernel gives less than a head may have, write(2) says so */
	fcntl(w->pipe[1], F_SETPIPE_SZ, 2 * 65536);
	return true;
}

static void
pipe_close(struct worker *w)
{
	for (int i = 0; i < 2; i++) {
		if (w->pipe[i] != -1)
			close(w->pipe[i]);
		w->pipe[i] = -1;
	}
}

/*
 * Has libfcgi read the head.  It gets it through a pipe that holds all of it
 * beforehand, so that it never waits and never sees another byte.
 */
static bool
read_head(struct worker *w, struct client *c)
{
	if (w->pipe[0] == -1 && !pipe_open(w))
		return false;
	buf_clear(&w->head);
	screen_head(&c->conn.screen, &w->head);
	if (w->head.failed ||
	    write(w->pipe[1], w->head.p, w->head.n) != (ssize_t)w->head.n) {
		pipe_close(w); /* a part of it may be in there */
		return false;
	}
	FCGX_InitRequest(&c->request, -1, 0);
	c->request.ipcFd = w->pipe[0];
	c->request.keepConnection = 1; /* else it begins by closing ipcFd */
	if (FCGX_Accept_r(&c->request) != 0) {
		w->pipe[0] = -1; /* it closes what it could not read */
		pipe_close(w);
		return false;
	}
	/* the variables are all that was wanted */
	FCGX_FreeStream(&c->request.in);
	FCGX_FreeStream(&c->request.out);
	FCGX_FreeStream(&c->request.err);
	return true;
}

/* --- requests --- */

enum place { PLACE_SLOT, PLACE_PARKED, PLACE_NONE };

/*
 * A place in the queue.  All under the lock: once it is in the queue, whoever
 * has a slot free may take it out.
 */
static bool
park(struct serve *s, struct client *c)
{
	struct epoll_event ev = wait_for(c, STATE_PARKED, EPOLLRDHUP,
	    from_now(s->o->queue_timeout));

	if (!wait_arm(s, c, ev)) {
		c->waiting = false;
		c->armed = c->turn;
		return false;
	}
	c->next = NULL;
	*s->last_parked = c;
	s->last_parked = &c->next;
	s->parked++;
	return true;
}

/* A slot for the client's handler, or else a place in the queue. */
static enum place
find_place(struct serve *s, struct client *c, unsigned *slot)
{
	enum place place = PLACE_NONE;

	client_settled(c);
	pthread_mutex_lock(&s->lock);
	if (s->running < s->o->threads) {
		for (*slot = 0; s->slot_taken[*slot]; (*slot)++)
			;
		s->slot_taken[*slot] = true;
		s->running++;
		place = PLACE_SLOT;
	} else if (s->parked < s->o->queue && park(s, c))
		place = PLACE_PARKED;
	pthread_mutex_unlock(&s->lock);
	return place;
}

/*
 * The slot is free: for whoever has been parked longest, who is then the
 * caller's, or for nobody.
 */
static struct client *
slot_pass_on(struct serve *s, unsigned slot)
{
	struct client *c;

	pthread_mutex_lock(&s->lock);
	c = s->killing ? NULL : s->first_parked;
	if (c != NULL)
		client_claim(s, c);
	else {
		s->slot_taken[slot] = false;
		s->running--;
	}
	pthread_mutex_unlock(&s->lock);
	return c;
}

/* Nothing is owed, and no body is to come: the next request, or the end. */
static bool
client_next(struct serve *s, struct client *c)
{
	struct conn *conn = &c->conn;

	if (!conn->screen.keep || s->stopping) {
		client_close(s, c);
		return false;
	}
	conn_next(conn);
	c->had_one = true;
	c->head_until = 0;
	if (conn->unread.n > 0)
		return true;
	client_wait(s, c, STATE_HEAD, EPOLLIN, idle_until(s));
	return false;
}

/*
 * Sends what is owed and throws away what is left of the body, as far as that
 * goes at once [SPEC 5.3].  True where the next request is already here.
 */
static bool
client_settle(struct serve *s, struct client *c)
{
	struct conn *conn = &c->conn;
	enum conn_state body = conn_drain(conn);
	bool sent = conn_flush(conn);

	if (conn->broken || conn->drained > DRAIN_MAX) {
		client_close(s, c);
		return false;
	}
	if (sent && body == CONN_READY)
		return client_next(s, c);
	if (sent && !conn->screen.keep)
		shutdown(conn->fd, SHUT_WR);
	/* there may be more at hand than a turn takes: then wake at once */
	client_wait(s, c, STATE_DRAIN,
	    body == CONN_READY     ? 0 :
		conn->unread.n > 0 ? EPOLLIN | EPOLLOUT :
				     EPOLLIN,
	    c->drain_until + (sent ? 0 : FLUSH_MS));
	return false;
}

/* The request is over, one way or another.  True as client_settle(). */
static bool
client_over(struct serve *s, struct client *c)
{
	struct conn *conn = &c->conn;

	client_forget(c);
	if (conn->aborted && !conn->broken && !conn->x.finished)
		conn_end_aborted(conn);
	if (!conn->x.finished) { /* so that the server can tell (E52) */
		client_close(s, c);
		return false;
	}
	c->drain_until = io_now() + DRAIN_MS;
	return client_settle(s, c);
}

/* Runs a handler, and then those of whoever was parked meanwhile. */
static void
run_handlers(struct serve *s, struct client *c, unsigned slot)
{
	const struct serve_gate *g = &s->o->gate;

	while (c != NULL) {
		g->run(g->ctx, &c->conn.x, c->passage, slot);
		/* a request that is here already is for whoever wakes next */
		if (client_over(s, c))
			client_wait(s, c, STATE_HEAD, EPOLLOUT, 0);
		/* only now, so that nobody waits for a handler that lingers */
		g->linger(g->ctx, slot, s->kill);
		c = slot_pass_on(s, slot);
	}
}

/* A head is whole.  True as client_settle(). */
static bool
client_request(struct worker *w, struct client *c)
{
	struct serve *s = w->s;
	const struct serve_gate *g = &s->o->gate;
	unsigned slot;

	c->passage = calloc(1, g->passage_size);
	if (c->passage == NULL || !read_head(w, c)) {
		log_warnx("a request could not be read: closed");
		client_close(s, c);
		return false;
	}
	c->conn.x.vars = c->request.envp;
	if (c->conn.screen.dropped > 0) /* E8 */
		log_info("%u parameters with names that cannot be passed on "
			 "were dropped",
		    c->conn.screen.dropped);
	if (g->enter(g->ctx, &c->conn.x, c->passage) == SERVE_ANSWERED)
		return client_over(s, c);
	switch (find_place(s, c, &slot)) {
	case PLACE_SLOT:
		run_handlers(s, c, slot);
		return false;
	case PLACE_PARKED:
		return false;
	case PLACE_NONE:
		break;
	}
	g->leave(g->ctx, &c->conn.x, c->passage, SERVE_BUSY);
	return client_over(s, c);
}

static void
client_head(struct worker *w, struct client *c)
{
	struct serve *s = w->s;

	do {
		conn_flush(&c->conn);
		switch (conn_head(&c->conn)) {
		case CONN_OVER:
			if (c->conn.nonsense)
				log_warnx("a peer spoke no FastCGI, or sent "
					  "a head over %d bytes: closed",
				    SCREEN_PARAMS_MAX);
			client_close(s, c);
			return;
		case CONN_WAITS:
			/* what had begun may have been no head after all */
			if (c->had_one && !conn_begun(&c->conn))
				c->head_until = 0;
			else if (c->head_until == 0)
				c->head_until = from_now(s->o->head_timeout);
			client_wait(s, c, STATE_HEAD, EPOLLIN,
			    c->head_until != 0 ? c->head_until : idle_until(s));
			return;
		case CONN_READY:
			break;
		}
	} while (client_request(w, c));
}

/* It waited, and something has come, or the other end has gone. */
static void
client_wake(struct worker *w, struct client *c, enum state state)
{
	const struct serve_gate *g = &w->s->o->gate;

	switch (state) {
	case STATE_HEAD:
		client_head(w, c);
		break;
	case STATE_DRAIN:
		if (client_settle(w->s, c))
			client_head(w, c);
		break;
	case STATE_PARKED:
		g->leave(g->ctx, &c->conn.x, c->passage, SERVE_GONE);
		client_close(w->s, c);
		break;
	}
}

/* It has waited too long. */
static void
client_expire(struct serve *s, struct client *c, enum state state)
{
	const struct serve_gate *g = &s->o->gate;

	if (state != STATE_PARKED) {
		if (state == STATE_HEAD && c->head_until != 0)
			log_info("a request's head was not whole within "
				 "head_timeout: closed");
		client_close(s, c);
		return;
	}
	g->leave(g->ctx, &c->conn.x, c->passage, SERVE_BUSY);
	if (client_over(s, c))
		client_wait(s, c, STATE_HEAD, EPOLLOUT, 0);
}

/* --- the door --- */

/*
 * accept4(2); where no descriptor is left, the reserve is given up for one
 * connection, which can then be told so (E81).
 */
static int
accept_one(struct serve *s, int listener, bool *reserve)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	*reserve = false;
	if (fd != -1 || (errno != EMFILE && errno != ENFILE))
		return fd;
	pthread_mutex_lock(&s->lock);
	if (s->reserve != -1) {
		close(s->reserve);
		s->reserve = -1;
		fd =
		    accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		*reserve = true;
	}
	pthread_mutex_unlock(&s->lock);
	return fd;
}

static struct client *
admit(struct serve *s, int fd, bool reserve)
{
	struct client *c;
	char who[128];

	if (!peers_allow(s->o->peers, fd, who, sizeof(who))) {
		log_warnx("%s is not one of the peers: closed", who);
		close(fd);
		return NULL;
	}
	c = client_open(s, fd, reserve);
	if (c == NULL)
		close(fd);
	return c;
}

/* Whoever still waits at the door causes no other event (E81): see tick(). */
static void
try_later(struct serve *s)
{
	int64_t now = io_now();
	int error = errno;
	bool tell;

	pthread_mutex_lock(&s->lock);
	s->accept_later = true;
	tell = now - s->told_at > TELL_MS;
	if (tell)
		s->told_at = now;
	pthread_mutex_unlock(&s->lock);
	errno = error;
	if (tell)
		log_warn("accept");
}

/*
 * Accepts whoever is at the door.  The first one is returned, the caller's;
 * the others go to the epoll set, and so to other threads.
 */
static struct client *
accept_all(struct serve *s, int listener)
{
	struct client *first = NULL, *c;
	bool reserve;

	for (;;) {
		int fd = accept_one(s, listener, &reserve);

		if (fd == -1 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd == -1)
			break;
		c = admit(s, fd, reserve);
		if (c == NULL)
			continue;
		if (first == NULL)
			first = c;
		else
			client_wait(s, c, STATE_HEAD, EPOLLIN, c->head_until);
	}
	if (errno != EAGAIN && errno != EWOULDBLOCK && !s->stopping)
		try_later(s);
	return first;
}

static void
handle(struct worker *w, const struct epoll_event *ev)
{
	struct serve *s = w->s;
	size_t index = ev->data.u64 >> 32 & 0x3FFFFFFF;
	enum state state = STATE_HEAD;
	struct client *c;
	bool mine;

	if (ev->data.u64 >> 62 == EVENT_LISTENER) {
		c = accept_all(s, s->o->listeners[index]);
		if (c != NULL)
			client_head(w, c);
		return;
	}
	pthread_mutex_lock(&s->lock);
	c = s->clients[index];
	mine = c->waiting && c->turn == (uint32_t)ev->data.u64;
	if (mine) {
		state = c->state;
		client_claim(s, c);
	}
	pthread_mutex_unlock(&s->lock);
	if (mine)
		client_wake(w, c, state);
}

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct epoll_event ev;

	for (;;) {
		if (epoll_wait(w->s->epoll, &ev, 1, -1) != 1)
			continue;
		if (ev.data.u64 >> 62 == EVENT_QUIT)
			return NULL;
		handle(w, &ev);
	}
}

/* --- beginning and end --- */

static int
watch(struct serve *s, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	return epoll_ctl(s->epoll, op, fd, &ev);
}

static int
watch_listeners(struct serve *s, int op)
{
	for (size_t i = 0; i < s->o->nlisteners; i++)
		if (watch(s, op, s->o->listeners[i], EPOLLIN | EPOLLET,
			event_data(EVENT_LISTENER, i, 0)) == -1)
			return -1;
	return 0;
}

/* Is the time of this waiting client up? */
static bool
is_expired(const struct serve *s, const struct client *c, int64_t now)
{
	int here;

	if (!c->waiting || c->armed != c->turn) /* or on its way to wait */
		return false;
	if ((c->until != 0 && now >= c->until) || s->killing)
		return true;
	/* at the end, idle ones; but not one whose next request is here */
	return s->stopping && c->state == STATE_HEAD && c->head_until == 0 &&
	    (ioctl(c->conn.fd, FIONREAD, &here) == -1 || here == 0);
}

/* The next client whose time is up, claimed; NULL where there is none. */
static struct client *
next_expired(struct serve *s, int64_t now, size_t *i, enum state *state)
{
	struct client *c, *found = NULL;

	pthread_mutex_lock(&s->lock);
	for (; *i < s->nclients && found == NULL; (*i)++) {
		c = s->clients[*i];
		if (!is_expired(s, c, now))
			continue;
		*state = c->state;
		client_claim(s, c);
		found = c;
	}
	pthread_mutex_unlock(&s->lock);
	return found;
}

/* What nobody wakes for: deadlines, and a door that could not be opened. */
static void
tick(struct serve *s)
{
	int64_t now = io_now();
	enum state state;
	struct client *c;
	size_t i = 0;
	bool again;

	while ((c = next_expired(s, now, &i, &state)) != NULL)
		client_expire(s, c, state);
	pthread_mutex_lock(&s->lock);
	again = s->accept_later;
	s->accept_later = false;
	if (s->reserve == -1)
		s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pthread_mutex_unlock(&s->lock);
	if (again)
		watch_listeners(s, EPOLL_CTL_MOD);
}

/* Waits for one of the signals that end us, one tick long. */
static bool
told_to_stop(void)
{
	struct timespec wait = { .tv_nsec = TICK_MS * 1000000L };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	return sigtimedwait(&set, NULL, &wait) != -1;
}

static size_t
live(struct serve *s)
{
	size_t n;

	pthread_mutex_lock(&s->lock);
	n = s->live;
	pthread_mutex_unlock(&s->lock);
	return n;
}

/* Ticks until nobody is left, or that moment, or another signal comes. */
static void
wind_down(struct serve *s, int64_t until)
{
	while (live(s) > 0 && io_now() < until && !told_to_stop())
		tick(s);
}

/*
 * Nobody new; but whoever stands at the door already comes in.  The number of
 * the descriptor stays taken: a thread may be about to accept from it.
 */
static void
close_door(struct serve *s)
{
	for (size_t i = 0; i < s->o->nlisteners; i++) {
		int fd = s->o->listeners[i];
		struct client *c;

		epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, NULL);
		c = accept_all(s, fd);
		if (c != NULL)
			client_wait(s, c, STATE_HEAD, EPOLLIN, c->head_until);
		dup3(s->quit, fd, O_CLOEXEC);
	}
}

static void
stop(struct serve *s)
{
	log_info("stopping");
	s->stopping = true;
	close_door(s);
	tick(s);
	wind_down(s, from_now(s->o->stop_grace));
	if (live(s) > 0) {
		log_warnx("stop_grace is over: %zu connections are closed",
		    live(s));
		s->killing = true;
		eventfd_write(s->kill, 1);
		wind_down(s,
		    from_now(s->o->gate.kill_grace(s->o->gate.ctx) + 2));
	}
	eventfd_write(s->quit, 1);
}

static bool
worker_start(struct serve *s, struct worker *w)
{
	pthread_attr_t attr;
	int error;

	*w = (struct worker){ .s = s, .pipe = { -1, -1 } };
	buf_init(&w->head, SCREEN_HEAD_MAX);
	if (!pipe_open(w))
		return false;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	error = pthread_create(&w->thread, &attr, work, w);
	pthread_attr_destroy(&attr);
	if (error == 0)
		return true;
	pipe_close(w);
	errno = error;
	return false;
}

static void
workers_end(struct worker *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		pthread_join(w[i].thread, NULL);
		pipe_close(&w[i]);
		buf_free(&w[i].head);
	}
}

/*
 * What is accepted inherits TCP_NODELAY: an answer's last record must not wait
 * for the peer to acknowledge the one before.
 */
static int
listener_open(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return io_nonblock(fd);
}

/* Its signal handlers would run in a child of vfork(2), in our memory. */
static bool
libfcgi_open(void)
{
	if (FCGX_Init() != 0)
		return false;
	signal(SIGPIPE, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
	return true;
}

static int
serve_open(struct serve *s, const struct serve_options *o)
{
	*s = (struct serve){ .o = o, .reserve = -1 };
	pthread_mutex_init(&s->lock, NULL);
	s->last_parked = &s->first_parked;
	s->slot_taken = calloc(o->threads, sizeof(*s->slot_taken));
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->quit = eventfd(0, EFD_CLOEXEC);
	s->kill = eventfd(0, EFD_CLOEXEC);
	s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < o->nlisteners; i++)
		if (listener_open(o->listeners[i]) == -1)
			return -1;
	if (s->slot_taken == NULL || s->epoll == -1 || s->quit == -1 ||
	    s->kill == -1 || !libfcgi_open() ||
	    watch(s, EPOLL_CTL_ADD, s->quit, EPOLLIN,
		event_data(EVENT_QUIT, 0, 0)) == -1)
		return -1;
	return 0;
}

static void
serve_close(struct serve *s)
{
	for (size_t i = 0; i < s->nclients; i++) {
		client_forget(s->clients[i]);
		if (s->clients[i]->conn.fd > 0)
			conn_close(&s->clients[i]->conn);
		free(s->clients[i]);
	}
	for (size_t i = 0; i < s->o->nlisteners; i++)
		close(s->o->listeners[i]);
	free(s->clients);
	free(s->slot_taken);
	if (s->epoll != -1)
		close(s->epoll);
	if (s->quit != -1)
		close(s->quit);
	if (s->kill != -1)
		close(s->kill);
	if (s->reserve != -1)
		close(s->reserve);
	pthread_mutex_destroy(&s->lock);
}

int
serve_run(const struct serve_options *o)
{
	unsigned n = o->threads + EXTRA_THREADS, started = 0;
	struct worker *w = calloc(n, sizeof(*w));
	struct serve s;
	int error = 0;

	if (serve_open(&s, o) == -1 || w == NULL)
		error = errno;
	while (w != NULL && error == 0 && started < n)
		if (worker_start(&s, &w[started]))
			started++;
		else
			error = errno;
	/* nobody comes in and takes a descriptor before all threads are here */
	if (error == 0 && watch_listeners(&s, EPOLL_CTL_ADD) == -1)
		error = errno;
	if (error == 0) {
		while (!told_to_stop())
			tick(&s);
		stop(&s);
	} else
		eventfd_write(s.quit, 1);
	workers_end(w, started);
	free(w);
	serve_close(&s);
	errno = error;
	return error == 0 ? 0 : -1;
}
