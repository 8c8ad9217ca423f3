/*
 * cgi: a request on descriptors 0, 1 and 2, as web servers give it: pipes and
 * sockets, short, long and slow ones.
 */
#include "cgi.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "buf.h"
#include "io.h"
#include "tap.h"

/* A request, and the web server's ends of its descriptors. */
struct request {
	struct cgi c;
	int in, out, err;
	int kept[3]; /* what descriptors 0, 1 and 2 were */
};

static int stop_before; /* x.stop of the last one, before cgi_begin() */

/* Descriptors 0, 1 and 2 are the request's until request_end(). */
static void
request_begin(struct request *r, uint64_t body, bool sockets)
{
	int pair[3][2];

	fflush(stdout);
	for (int i = 0; i < 3; i++) {
		int made = sockets ?
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			pair[i]) :
		    pipe2(pair[i], O_CLOEXEC);

		r->kept[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
		if (made == -1 || r->kept[i] == -1 ||
		    dup2(pair[i][i > 0], i) == -1)
			bail();
		close(pair[i][i > 0]);
	}
	r->in = pair[0][1];
	r->out = pair[1][0];
	r->err = pair[2][0];
	cgi_init(&r->c, NULL, body);
	stop_before = r->c.x.stop;
	cgi_begin(&r->c);
}

static void
shut(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

static void
request_end(struct request *r)
{
	sigset_t none;

	for (int i = 0; i < 3; i++) {
		dup2(r->kept[i], i);
		close(r->kept[i]);
	}
	cgi_free(&r->c);
	shut(&r->in);
	shut(&r->out);
	shut(&r->err);
	signal(SIGPIPE, SIG_IGN); /* one may wait */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
}

static void
give(struct request *r, const char *text)
{
	if (write(r->in, text, strlen(text)) != (ssize_t)strlen(text))
		bail();
}

static enum exchange_input
body(struct request *r, struct span *bytes)
{
	*bytes = (struct span){ NULL, 0 };
	return r->c.x.way->body(&r->c.x, bytes);
}

static unsigned
left_in(int fd)
{
	int n = 0;

	ioctl(fd, FIONREAD, &n);
	return (unsigned)n;
}

/* All that is there at the moment, as a string. */
static const char *
taken_from(int fd)
{
	static char text[1 << 16];
	ssize_t n = left_in(fd) == 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void
test_init(void)
{
	struct request r;
	struct pollfd p;
	struct exchange x;
	int signals[3];

	request_begin(&r, 0, false);
	x = r.c.x;
	p = (struct pollfd){ .fd = x.stop, .events = POLLIN };
	signals[0] = poll(&p, 1, 0) == 0 ? x.way->stop_signal(&x) : -1;
	kill(getpid(), SIGTERM);
	signals[1] = poll(&p, 1, 0) == 1 ? x.way->stop_signal(&x) : -1;
	kill(getpid(), SIGINT);
	signals[2] = poll(&p, 1, 0) == 1 ? x.way->stop_signal(&x) : -1;
	request_end(&r);
	ok(x.in == 0 && x.out == 1 && x.gone == (POLLERR | POLLHUP) && x.cgi &&
		!x.finished,
	    "an exchange of the standard descriptors");
	ok(stop_before == -1 && signals[0] == 0 && signals[1] == SIGTERM &&
		signals[2] == SIGINT,
	    "TERM and INT are for the handler, once there is one");
}

/* E73: a web server that ignores a signal hands that on. */
static void
test_signals(void)
{
	struct request r;
	bool same = true;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	request_begin(&r, 0, false);
	request_end(&r);
	same &= signal(SIGPIPE, SIG_DFL) == SIG_DFL;
	same &= signal(SIGCHLD, SIG_DFL) == SIG_DFL;
	same &= signal(SIGHUP, SIG_DFL) == SIG_DFL;
	ok(same, "no signal is ignored");
}

/* What the body is, in the words of its pieces, and where it ends. */
static const char *
heard(struct request *r)
{
	static struct buf b;
	struct span bytes;
	enum exchange_input in;

	buf_free(&b);
	buf_init(&b, 1 << 20);
	while ((in = body(r, &bytes)) == EXCHANGE_BYTES) {
		buf_add(&b, bytes.p, 1); /* a byte at a time */
		r->c.x.way->taken(&r->c.x, 1);
	}
	buf_add_str(&b, in == EXCHANGE_END ? "." : "?");
	must_text(&b);
	return b.p;
}

static void
test_body(bool sockets)
{
	static const struct {
		uint64_t length;
		const char *given;
		bool shut;
		const char *want;
		unsigned left;
	} cases[] = {
		{ 5, "hello", false, "hello.", 0 },
		{ 3, "hello", false, "hel.", 2 }, /* E34 */
		{ 5, "hel", true, "hel.", 0 },    /* E33 */
		{ 5, "hel", false, "hel?", 0 },
		{ 0, "hello", false, ".", 5 },
		{ UINT64_MAX, "hello", true, "hello.", 0 },
		{ UINT64_MAX, "hello", false, "hello?", 0 },
		{ UINT64_MAX, "", true, ".", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request r;
		char got[64];
		unsigned left;
		bool at_end;

		request_begin(&r, cases[i].length, sockets);
		give(&r, cases[i].given);
		if (cases[i].shut)
			shut(&r.in);
		snprintf(got, sizeof(got), "%s", heard(&r));
		left = left_in(0);
		at_end = r.c.x.in == -1;
		request_end(&r);
		is_span(span_of(got), cases[i].want, "a body");
		ok(left == cases[i].left, "… no more than it is read");
		ok(at_end == (strchr(cases[i].want, '.') != NULL),
		    "… at its end there is nothing to poll");
	}
}

/* An answer that is not taken waits, whatever is at descriptor 1. */
static void
test_send(bool sockets)
{
	static char text[100000];
	const struct span v[] = { SPAN("ab"), SPAN(""), SPAN("cde"),
		{ text, sizeof(text) } };
	struct request r;
	ssize_t first, n;
	size_t total = 0;
	int error, flags;
	char got[8];

	memset(text, 'x', sizeof(text));
	request_begin(&r, 0, sockets);
	flags = fcntl(1, F_GETFL);
	first = r.c.x.way->send(&r.c.x, v, 3);
	snprintf(got, sizeof(got), "%.*s", (int)sizeof(got) - 1,
	    taken_from(r.out));
	do {
		errno = 0;
		n = r.c.x.way->send(&r.c.x, v, 4);
		error = errno;
		total += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	flags ^= fcntl(1, F_GETFL);
	taken_from(r.out);
	shut(&r.out);
	errno = 0;
	n = r.c.x.way->send(&r.c.x, v, 4);
	n = n == -1 ? errno : 0;
	request_end(&r);
	ok(first == 5 && strcmp(got, "abcde") == 0, "pieces, in order");
	ok(error == EAGAIN && total > 4096, "what is not taken waits");
	ok(flags == 0, "the descriptor is as it was");
	ok(n == EPIPE, "nobody takes it: no signal, but an error");
}

/* Reads all of what comes, slowly, until the end; how much it was. */
static pid_t
slow_reader(struct request *r, size_t want)
{
	pid_t pid = fork();
	size_t got = 0;
	char bytes[10000];
	ssize_t n;

	if (pid != 0)
		return pid;
	close(1);
	while ((n = read(r->out, bytes, sizeof(bytes))) > 0) {
		got += (size_t)n;
		poll(NULL, 0, 1);
	}
	_exit(got == want ? 0 : 1);
}

static void
test_finish(bool sockets)
{
	static char text[1000000];
	const struct span v[] = { SPAN("head"), { text, sizeof(text) } };
	struct request r;
	int status = -1;
	bool failed, finished;
	pid_t pid;

	request_begin(&r, 0, sockets);
	pid = slow_reader(&r, 4 + sizeof(text));
	r.c.x.way->finish(&r.c.x, 7, v, 2);
	failed = r.c.failed;
	finished = r.c.x.finished;
	request_end(&r);
	waitpid(pid, &status, 0);
	ok(!failed && finished && status == 0,
	    "all of an answer goes to a slow reader");

	request_begin(&r, 0, sockets);
	r.c.x.send_timeout = 50;
	r.c.x.way->finish(&r.c.x, 0, v, 2);
	failed = r.c.failed;
	request_end(&r);
	ok(failed, "one who takes nothing is not waited for without end");

	request_begin(&r, 0, sockets);
	shut(&r.out);
	r.c.x.way->finish(&r.c.x, 0, v, 2);
	failed = r.c.failed;
	finished = r.c.x.finished;
	request_end(&r);
	ok(failed && finished, "nobody takes it");
}

/* E77: the events that x.gone names come when the server goes. */
static void
test_gone(bool sockets)
{
	struct request r;
	struct pollfd p;
	bool before, after;

	request_begin(&r, 0, sockets);
	p = (struct pollfd){ .fd = r.c.x.out, .events = r.c.x.gone };
	before = poll(&p, 1, 0) > 0;
	shut(&r.out);
	after = poll(&p, 1, 0) == 1 && (p.revents & r.c.x.gone) != 0;
	request_end(&r);
	ok(!before && after, "a server that goes is seen");
}

static void
test_error(void)
{
	struct request r;
	char got[64];

	request_begin(&r, 0, false);
	r.c.x.way->error(&r.c.x, SPAN("a line\n"));
	r.c.x.way->error(&r.c.x, SPAN("another\n"));
	snprintf(got, sizeof(got), "%.*s", (int)sizeof(got) - 1,
	    taken_from(r.err));
	shut(&r.err);
	r.c.x.way->error(&r.c.x, SPAN("lost\n"));
	request_end(&r);
	is_span(span_of(got), "a line\nanother\n", "the server's error log");
}

/* A writer at the other end of descriptor 0; it says whether it was read. */
static pid_t
writer(struct request *r, size_t n)
{
	static char text[4096];
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	close(0);
	signal(SIGPIPE, SIG_IGN);
	while (n > 0) {
		size_t piece = n < sizeof(text) ? n : sizeof(text);

		if (write(r->in, text, piece) != (ssize_t)piece)
			_exit(1);
		n -= piece;
	}
	_exit(0);
}

/* E32 */
static void
test_drain(uint64_t length, size_t given, unsigned left)
{
	struct request r;
	int status = -1;
	unsigned still;
	sigset_t now;
	pid_t pid;

	request_begin(&r, length, false);
	pid = writer(&r, given);
	shut(&r.in);
	cgi_drain(&r.c);
	while (left > 0 && left_in(0) < left)
		poll(NULL, 0, 1);
	still = left_in(0);
	sigprocmask(SIG_SETMASK, NULL, &now);
	waitpid(pid, &status, 0);
	request_end(&r);
	ok(status == 0 && still == left, "%zu bytes of a body are read",
	    given - left);
	/* where there is nothing to wait for, it ends at once */
	ok((length == 0 || !sigismember(&now, SIGTERM)) &&
		sigismember(&now, SIGPIPE) == 1,
	    "… by a process that can be ended");
}

int
main(void)
{
	test_init();
	test_signals();
	for (int sockets = 0; sockets < 2; sockets++) {
		test_body(sockets);
		test_send(sockets);
		test_finish(sockets);
		test_gone(sockets);
	}
	test_error();
	test_drain(1000000, 1000000, 0);
	test_drain(100000, 100100, 100);
	test_drain(UINT64_MAX, 300000, 0);
	test_drain(500, 100, 0);
	test_drain(0, 100, 100);
	return tap_done();
}
