#include "cgi.h"

#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "io.h"

enum { ERROR_ROOM = 32768 }; /* half of what a pipe holds */

static enum exchange_input
way_body(struct exchange *x, struct span *bytes)
{
	struct cgi *c = (struct cgi *)x;

	if (c->unread.n == 0 && !c->ended && c->left > 0) {
		size_t most = c->left < CGI_IN ? (size_t)c->left : CGI_IN;
		ssize_t n;

		if (io_wait(STDIN_FILENO, POLLIN, 0) <= 0)
			return EXCHANGE_WAIT;
		n = read(STDIN_FILENO, c->in, most);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return EXCHANGE_WAIT;
		c->ended = n <= 0;
		c->unread = (struct span){ c->in, n > 0 ? (size_t)n : 0 };
		c->left -= c->unread.n;
	}
	if (c->unread.n == 0) {
		x->in = -1; /* an input at its end is always readable */
		return EXCHANGE_END;
	}
	*bytes = c->unread;
	return EXCHANGE_BYTES;
}

static void
way_taken(struct exchange *x, size_t n)
{
	struct cgi *c = (struct cgi *)x;

	c->unread = span_skip(c->unread, n);
}

/*
 * A part of some bytes that standard output takes at once.  Its descriptor may
 * be shared with others, so it stays as it is: a socket is asked not to block,
 * and a pipe that has room takes PIPE_BUF bytes.
 */
static ssize_t
send_some(struct span s)
{
	ssize_t n = send(STDOUT_FILENO, s.p, s.n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n != -1 || errno != ENOTSOCK)
		return n;
	if (io_wait(STDOUT_FILENO, POLLOUT, 0) <= 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(STDOUT_FILENO, s.p, s.n < PIPE_BUF ? s.n : PIPE_BUF);
}

static ssize_t
way_send(struct exchange *x, const struct span v[], size_t n)
{
	ssize_t total = 0;

	(void)x;
	for (size_t i = 0; i < n; i++) {
		struct span rest = v[i];

		while (rest.n > 0) {
			ssize_t sent = send_some(rest);

			if (sent == -1 && errno == EINTR)
				continue;
			if (sent == -1)
				return total > 0 ? total : -1;
			rest = span_skip(rest, (size_t)sent);
			total += sent;
		}
	}
	return total;
}

/* All of it, or until the server has taken nothing for send_timeout. */
static bool
send_all(struct cgi *c, struct span s)
{
	while (s.n > 0) {
		ssize_t n = way_send(&c->x, &s, 1);

		if (n > 0)
			s = span_skip(s, (size_t)n);
		else if (n == -1 && errno != EAGAIN)
			return false;
		else if (io_wait(STDOUT_FILENO, POLLOUT,
			     io_now() + c->x.send_timeout) <= 0)
			return false;
	}
	return true;
}

static void
way_finish(struct exchange *x, int status, const struct span v[], size_t n)
{
	struct cgi *c = (struct cgi *)x;

	(void)status; /* a CGI server does not ask for it */
	x->finished = true;
	for (size_t i = 0; i < n && !c->failed; i++)
		c->failed = !send_all(c, v[i]);
}

static void
way_cut(struct exchange *x)
{
	(void)x;
}

/*
 * A server may read the errors only after the answer: a pipe is filled to its
 * half at most, so that our own log finds room too, and nobody waits.
 */
static bool
has_room(int fd)
{
	struct stat st;
	int unread = 0;

	if (fstat(fd, &st) == -1 || !S_ISFIFO(st.st_mode))
		return io_wait(fd, POLLOUT, 0) > 0;
	return ioctl(fd, FIONREAD, &unread) == -1 || unread < ERROR_ROOM;
}

static void
way_error(struct exchange *x, struct span line)
{
	(void)x;
	/* one write: the log belongs to others too; and none that waits */
	if (has_room(STDERR_FILENO) &&
	    write(STDERR_FILENO, line.p, line.n) == -1)
		return;
}

static int
way_stop_signal(struct exchange *x)
{
	struct signalfd_siginfo info;

	if (read(x->stop, &info, sizeof(info)) != sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

static const struct exchange_way way = {
	.body = way_body,
	.taken = way_taken,
	.send = way_send,
	.finish = way_finish,
	.cut = way_cut,
	.error = way_error,
	.stop_signal = way_stop_signal,
};

static sigset_t
stop_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	return set;
}

void
cgi_init(struct cgi *c, char *const vars[], uint64_t body)
{
	sigset_t stop = stop_signals(), pipe;

	/* what the web server ignores, a handler would ignore too (E73) */
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigprocmask(SIG_BLOCK, &pipe, NULL);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	c->x = (struct exchange){
		.way = &way,
		.vars = vars,
		.in = STDIN_FILENO,
		.out = STDOUT_FILENO,
		.stop = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK),
		.gone = POLLERR | POLLHUP,
		.cgi = true,
	};
	c->x.send_timeout = 60000; /* until the policy is known */
	c->left = body;
	c->ended = c->failed = false;
	c->unread = (struct span){ NULL, 0 };
}

void
cgi_drain(struct cgi *c)
{
	int64_t until = io_now() + CGI_DRAIN_MS;
	sigset_t stop = stop_signals();
	uint64_t seen = 0;
	struct span bytes;

	/* the answer is out: nothing is left to be ended in order */
	sigprocmask(SIG_UNBLOCK, &stop, NULL);
	while (seen < CGI_DRAIN_MAX && io_now() < until) {
		switch (way_body(&c->x, &bytes)) {
		case EXCHANGE_BYTES:
			seen += bytes.n;
			way_taken(&c->x, bytes.n);
			break;
		case EXCHANGE_WAIT:
			if (io_wait(STDIN_FILENO, POLLIN, until) <= 0)
				return;
			break;
		case EXCHANGE_END:
		case EXCHANGE_GONE:
			return;
		}
	}
}

void
cgi_free(struct cgi *c)
{
	if (c->x.stop != -1)
		close(c->x.stop);
}
