#include "serve_door.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "io.h"
#include "log.h"

enum { TELL_MS = 10000 }; /* between two lines on the same trouble */

int
door_watch(struct serve *s, int op, uint32_t events)
{
	for (size_t i = 0; i < s->o->nlisteners; i++) {
		struct epoll_event ev = { .events = events,
			.data.u64 = serve_event(EVENT_LISTENER, i, 0) };

		if (epoll_ctl(s->epoll, op, s->o->listeners[i], &ev) == -1)
			return -1;
	}
	return 0;
}

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

/*
 * Whoever still waits at the door would be an event at once, and again: so
 * nobody listens there before the next door_tick() (E81).
 */
static void
try_later(struct serve *s)
{
	int64_t now = io_now();
	int error = errno;
	bool tell;

	pthread_mutex_lock(&s->lock);
	door_watch(s, EPOLL_CTL_MOD, 0);
	s->accept_later = true;
	tell = now - s->told_at > TELL_MS;
	if (tell)
		s->told_at = now;
	pthread_mutex_unlock(&s->lock);
	errno = error;
	if (tell)
		log_warn("accept");
}

struct client *
door_accept(struct serve *s, int listener)
{
	bool reserve;
	int fd = accept_one(s, listener, &reserve);

	if (fd != -1)
		return admit(s, fd, reserve);
	if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR &&
	    errno != ECONNABORTED && !s->stopping)
		try_later(s);
	return NULL;
}

void
door_tick(struct serve *s)
{
	pthread_mutex_lock(&s->lock);
	if (s->accept_later && door_watch(s, EPOLL_CTL_MOD, EPOLLIN) == 0)
		s->accept_later = false;
	if (s->reserve == -1)
		s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pthread_mutex_unlock(&s->lock);
}

/* Everybody who stands there. */
static void
admit_all(struct serve *s, int listener)
{
	struct client *c;
	bool reserve;
	int fd;

	for (;;) {
		fd = accept_one(s, listener, &reserve);
		if (fd == -1 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd == -1)
			return;
		c = admit(s, fd, reserve);
		if (c != NULL)
			client_wait(s, c, STATE_HEAD, EPOLLIN, c->head_until);
	}
}

void
door_close(struct serve *s)
{
	for (size_t i = 0; i < s->o->nlisteners; i++) {
		int fd = s->o->listeners[i];

		epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, NULL);
		admit_all(s, fd);
		dup3(s->quit, fd, O_CLOEXEC);
	}
}
