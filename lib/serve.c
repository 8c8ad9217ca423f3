#include "serve.h"

#include <sys/eventfd.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "io.h"
#include "log.h"
#include "serve_door.h"
#include "serve_requests.h"

enum {
	EXTRA_THREADS = 4, /* for what needs no handler */
	STACK_SIZE = 256 * 1024,
	TICK_MS = 250,   /* how often deadlines are looked at */
	QUIET_TICKS = 20 /* before memory is given back */
};

/* --- the threads --- */

/* A client for an event, now ours. */
static struct client *
client_of(struct serve *s, uint64_t event, enum state *state)
{
	*state = STATE_HEAD;
	switch (serve_event_kind(event)) {
	case EVENT_CLIENT:
	case EVENT_HANDLER:
		return client_take(s, event, state);
	case EVENT_DUE:
		*state = STATE_AWAIT;
		return client_take_due(s);
	case EVENT_LISTENER:
		return door_accept(s,
		    s->o->listeners[serve_event_index(event)]);
	case EVENT_QUIT:
		break;
	}
	return NULL;
}

static void
handle(struct worker *w, uint64_t event)
{
	enum state state;
	struct client *c = client_of(w->s, event, &state);

	if (c == NULL)
		return;
	conn_lend(&c->conn, w->room);
	request_wake(w, c, state, serve_event_kind(event));
}

static void *
work(void *arg)
{
	struct worker w;
	struct epoll_event ev;

	w.s = arg;
	w.seat = (struct seat){ .taken = false };
	while (seats_take(&w.s->seats, &w.seat)) {
		if (epoll_wait(w.s->epoll, &ev, 1, -1) != 1)
			continue;
		if (serve_event_kind(ev.data.u64) == EVENT_QUIT)
			break;
		handle(&w, ev.data.u64);
	}
	seats_end(&w.s->seats);
	return NULL;
}

/* 0, or an errno. */
static int
worker_start(struct serve *s, pthread_t *out)
{
	pthread_attr_t attr;
	int error;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	error = pthread_create(out, &attr, work, s);
	pthread_attr_destroy(&attr);
	return error;
}

/* --- the clock --- */

/* Once, when nobody has asked for a while. */
static void
rest(struct serve *s)
{
	unsigned turns = s->seats.turns;
	bool idle;

	if (turns != s->turns)
		s->quiet = 0;
	s->turns = turns;
	if (s->quiet == QUIET_TICKS || ++s->quiet < QUIET_TICKS)
		return;
	pthread_mutex_lock(&s->lock); /* slots are taken under it */
	idle = s->running == 0;
	if (idle)
		s->o->gate.rest(s->o->gate.ctx);
	pthread_mutex_unlock(&s->lock);
	if (idle)
		malloc_trim(0);
}

/* What nobody wakes for. */
static void
tick(struct serve *s)
{
	int64_t now = io_now();
	enum state state;
	struct client *c;
	size_t i = 0;

	while ((c = client_expired(s, now, &i, &state)) != NULL)
		request_expire(s, c, state);
	door_tick(s);
	if (io_wait(s->epoll, POLLIN, 0) > 0) /* something is to be done */
		seats_rescue(&s->seats);
	rest(s);
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

static void
stop(struct serve *s)
{
	log_info("stopping");
	s->stopping = true;
	door_close(s);
	tick(s);
	wind_down(s, serve_from_now(s->o->stop_grace));
	if (live(s) > 0) {
		log_warnx("stop_grace is over: %zu connections are closed",
		    live(s));
		s->killing = true;
		eventfd_write(s->kill, 1);
		wind_down(s,
		    serve_from_now(s->o->gate.kill_grace(s->o->gate.ctx) + 2));
	}
	eventfd_write(s->quit, 1);
}

/* --- beginning and end --- */

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

static int
watch(struct serve *s, int fd, enum event kind)
{
	struct epoll_event ev = { .events = EPOLLIN,
		.data.u64 = serve_event(kind, 0, 0) };

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev);
}

/*
 * How many threads wait for events: on half of the CPUs, as each request keeps
 * a web server busy too, and perhaps a backend.  On two CPUs, one costs a fifth
 * less of their time than two, and all of the threads 1.7 times as much.
 */
static unsigned
waiters(void)
{
	cpu_set_t ours;
	int n = 1;

	if (sched_getaffinity(0, sizeof(ours), &ours) == 0)
		n = CPU_COUNT(&ours) / 2;
	return n > 1 ? (unsigned)n : 1;
}

static int
serve_open(struct serve *s, const struct serve_options *o)
{
	*s = (struct serve){ .o = o, .reserve = -1 };
	pthread_mutex_init(&s->lock, NULL);
	seats_init(&s->seats, waiters());
	s->last_parked = &s->first_parked;
	s->slot_taken = calloc(o->threads, sizeof(*s->slot_taken));
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->due = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	s->quit = eventfd(0, EFD_CLOEXEC);
	s->kill = eventfd(0, EFD_CLOEXEC);
	s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (s->slot_taken == NULL || s->epoll == -1 || s->due == -1 ||
	    s->quit == -1 || s->kill == -1)
		return -1;
	for (size_t i = 0; i < o->nlisteners; i++)
		if (listener_open(o->listeners[i]) == -1)
			return -1;
	if (!serve_head_open() || watch(s, s->due, EVENT_DUE) == -1 ||
	    watch(s, s->quit, EVENT_QUIT) == -1)
		return -1;
	return 0;
}

/*
 * Whom even the end of stop_grace has not moved, since somebody was in a still
 * greater hurry: no handler is left alone, and nothing held.
 */
static void
abandon(struct serve *s, struct client *c)
{
	const struct serve_gate *g = &s->o->gate;

	if (c->passage == NULL)
		return;
	if (c->state == STATE_AWAIT) {
		g->wait(g->ctx, c->slot);
		g->linger(g->ctx, c->slot, s->kill);
	} else
		g->leave(g->ctx, &c->conn.x, c->passage, SERVE_GONE);
}

static void
serve_close(struct serve *s)
{
	for (size_t i = 0; i < s->nclients; i++) {
		abandon(s, s->clients[i]);
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
	if (s->due != -1)
		close(s->due);
	if (s->quit != -1)
		close(s->quit);
	if (s->kill != -1)
		close(s->kill);
	if (s->reserve != -1)
		close(s->reserve);
	seats_free(&s->seats);
	pthread_mutex_destroy(&s->lock);
}

int
serve_run(const struct serve_options *o)
{
	unsigned n = o->threads + EXTRA_THREADS, started = 0;
	pthread_t *threads = calloc(n, sizeof(*threads));
	struct serve s;
	int error = 0;

	if (serve_open(&s, o) == -1)
		error = errno;
	if (threads == NULL)
		error = ENOMEM;
	while (error == 0 && started < n) {
		error = worker_start(&s, &threads[started]);
		started += error == 0;
	}
	/* nobody comes in and takes a descriptor before all threads are here */
	if (error == 0 && door_watch(&s, EPOLL_CTL_ADD, EPOLLIN) == -1)
		error = errno;
	if (error == 0) {
		while (!told_to_stop())
			tick(&s);
		stop(&s);
	} else
		eventfd_write(s.quit, 1);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	serve_close(&s);
	errno = error;
	return error == 0 ? 0 : -1;
}
