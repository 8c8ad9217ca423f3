#include "cgi.h"

#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"

enum { ERROR_ROOM = 32768 }; /* half of what a pipe holds */

static enum reason
way_env(struct exchange *x, struct cgienv *out)
{
	const struct cgi *c = (struct cgi *)x;

	if (c->env == NULL)
		return cgienv_read(x->vars, out);
	*out = *c->env;
	return c->env_why;
}

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

static void
skip(struct span v[], size_t n, size_t taken)
{
	for (size_t i = 0; i < n && taken > 0; i++) {
		size_t some = v[i].n < taken ? v[i].n : taken;

		v[i] = span_skip(v[i], some);
		taken -= some;
	}
}

/* How many bytes a pipe takes at least, now that it takes any. */
static size_t
pipe_takes(struct cgi *c)
{
	int unread;

	if (c->room == 0)
		c->room = fcntl(STDOUT_FILENO, F_GETPIPE_SZ);
	if (c->room < PIPE_BUF ||
	    ioctl(STDOUT_FILENO, FIONREAD, &unread) == -1 || unread > 0)
		return PIPE_BUF;
	return (size_t)c->room;
}

enum { PIECES = 4 };

/* The first bytes of these, `most` at most; how many there are. */
static size_t
gather(const struct span v[], size_t n, size_t most, struct iovec out[PIECES])
{
	size_t pieces = 0;

	for (size_t i = 0; i < n && pieces < PIECES && most > 0; i++) {
		size_t take = v[i].n < most ? v[i].n : most;

		if (take == 0)
			continue;
		out[pieces++] = (struct iovec){ (void *)v[i].p, take };
		most -= take;
	}
	return pieces;
}

/*
 * What standard output takes at once.  Its descriptor may be shared with
 * others, so it stays as it is: a socket is asked not to block, and a pipe that
 * has room is given no more than it takes.
 */
static ssize_t
send_some(struct cgi *c, const struct span v[], size_t n)
{
	struct iovec iov[PIECES];
	struct msghdr m = { .msg_iov = iov };
	ssize_t sent;

	if (!c->no_socket) {
		m.msg_iovlen = gather(v, n, SSIZE_MAX, iov);
		sent = sendmsg(STDOUT_FILENO, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
		c->no_socket = sent == -1 && errno == ENOTSOCK;
		if (!c->no_socket)
			return sent;
	}
	if (io_wait(STDOUT_FILENO, POLLOUT, 0) <= 0) {
		errno = EAGAIN;
		return -1;
	}
	m.msg_iovlen = gather(v, n,
	    span_total(v, n) > PIPE_BUF ? pipe_takes(c) : PIPE_BUF, iov);
	return writev(STDOUT_FILENO, iov, (int)m.msg_iovlen);
}

static ssize_t
way_send(struct exchange *x, const struct span v[], size_t n)
{
	struct cgi *c = (struct cgi *)x;
	struct span rest[PIECES];
	ssize_t total = 0, sent = 0;

	n = n < PIECES ? n : PIECES;
	memcpy(rest, v, n * sizeof(*v));
	while (span_total(rest, n) > 0) {
		sent = send_some(c, rest, n);
		if (sent == -1 && errno == EINTR)
			continue;
		if (sent == -1)
			return total > 0 ? total : -1;
		skip(rest, n, (size_t)sent);
		total += sent;
	}
	return total;
}

/* All of it, or until the server has taken nothing for send_timeout. */
static void
way_finish(struct exchange *x, int status, const struct span v[], size_t n)
{
	struct cgi *c = (struct cgi *)x;
	struct span rest[PIECES];
	ssize_t sent;

	(void)status; /* a CGI server does not ask for it */
	x->finished = true;
	n = n < PIECES ? n : PIECES;
	memcpy(rest, v, n * sizeof(*v));
	while (span_total(rest, n) > 0 && !c->failed) {
		sent = way_send(x, rest, n);
		if (sent > 0)
			skip(rest, n, (size_t)sent);
		else
			c->failed = errno != EAGAIN ||
			    io_wait(STDOUT_FILENO, POLLOUT,
				io_now() + x->send_timeout) <= 0;
	}
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
	.env = way_env,
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
	sigset_t set = stop_signals();

	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	c->x = (struct exchange){
		.way = &way,
		.vars = vars,
		.in = STDIN_FILENO,
		.out = STDOUT_FILENO,
		.stop = -1,
		.gone = POLLERR | POLLHUP,
		.cgi = true,
	};
	c->x.send_timeout = 60000; /* until the policy is known */
	c->left = body;
	c->ended = c->failed = c->no_socket = false;
	c->room = 0;
	c->env = NULL;
	c->unread = (struct span){ NULL, 0 };
}

/* The signals that are ignored, as a set of bits; all, where it is unknown. */
static uint64_t
ignored_signals(void)
{
	static const char key[] = "\nSigIgn:\t";
	char text[4096], *at;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd == -1 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd != -1)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	at = strstr(text, key);
	return at == NULL ? UINT64_MAX :
			    strtoull(at + sizeof(key) - 1, NULL, 16);
}

void
cgi_begin(struct cgi *c)
{
	sigset_t stop = stop_signals();
	uint64_t ignored = ignored_signals();

	/* what the web server ignores, a handler would ignore too (E73) */
	for (int i = 1; i < NSIG; i++)
		if (ignored >> (i - 1) & 1)
			signal(i, SIG_DFL);
	c->x.stop = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
}

void
cgi_drain(struct cgi *c)
{
	int64_t until = io_now() + CGI_DRAIN_MS;
	sigset_t stop = stop_signals();
	uint64_t seen = 0;
	struct span bytes;

	if (c->left == 0 && c->unread.n == 0)
		return;
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
