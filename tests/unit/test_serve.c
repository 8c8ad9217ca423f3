/*
 * serve: a server in a process of its own, with a gate that does what the
 * request says, and this process as its web servers.
 */
#include "conn.h"
#include "serve.h"

#include <linux/sockios.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <syslog.h>

#include "folder.h"
#include "io.h"
#include "log.h"
#include "talk.h"
#include "tap.h"

enum { LONG = 60000, PASSAGE = 0x5A };

/* --- the server's side --- */

static int events; /* a letter for each thing that has happened */

static void
event(char letter)
{
	if (write(events, &letter, 1) == -1)
		_exit(99);
}

/* What the request wants: its variable DO. */
static struct span
wish(struct exchange *x)
{
	const struct conn *c = (struct conn *)x;
	const struct vars vars = { .pairs = buf_span(&c->screen.params) };
	struct var v;

	for (size_t at = 0; vars_next(&vars, &at, &v);)
		if (span_eq(v.name, SPAN("DO")))
			return v.value;
	return SPAN("answer");
}

static bool
wants(struct exchange *x, const char *what)
{
	return span_eq(wish(x), span_of(what));
}

static void
say_end(struct exchange *x, const char *text)
{
	struct span v = span_of(text);

	x->way->finish(x, 0, &v, 1);
}

/* The variables, but FCGI_ROLE, as the answer. */
static void
say_vars(struct exchange *x)
{
	struct buf b;
	struct span v;

	buf_init(&b, EXCHANGE_FINISH_MAX);
	for (size_t i = 0; x->vars[i] != NULL && b.n < 1000; i++)
		if (strncmp(x->vars[i], "FCGI_ROLE=", 10) != 0) {
			buf_add_str(&b, x->vars[i]);
			buf_add_char(&b, ';');
		}
	v = buf_span(&b);
	x->way->finish(x, 0, &v, 1);
	buf_free(&b);
}

/* The other end of a handler that is awaited, or of one that is stuck. */
static int handler;

static char
handler_says(void)
{
	char word = 0;

	return read(handler, &word, 1) == 1 ? word : 0;
}

/* How often somebody was at the door, and how often all was at rest. */
static struct {
	atomic_uint accepts, rests;
	atomic_bool full; /* no descriptor is left */
} * counts;

/* Takes the place of the library's. */
int
accept4(int fd, __SOCKADDR_ARG a, socklen_t *restrict n, int flags)
{
	atomic_fetch_add(&counts->accepts, 1);
	if (counts->full) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_accept4, fd, a.__sockaddr__, n, flags);
}

static enum serve_entered
enter(void *ctx, struct exchange *x, void *passage)
{
	(void)ctx;
	if (wants(x, "stuck")) { /* which it promises not to be */
		event('s');
		handler_says();
		say_end(x, "was stuck");
		return SERVE_ANSWERED;
	}
	if (*(char *)passage != 0 || x->vars != NULL) /* not zeroed */
		_exit(98);
	*(char *)passage = PASSAGE;
	if (!wants(x, "answer"))
		return wants(x, "vars") ? SERVE_NEEDS_STRINGS :
					  SERVE_NEEDS_HANDLER;
	say_end(x, "answered");
	return SERVE_ANSWERED;
}

/* Waits for word from the client; false where it has left, or we are to end. */
static bool
wait_word(struct exchange *x, short more)
{
	struct pollfd p[] = {
		{ .fd = x->out, .events = (short)(x->gone | POLLIN | more) },
		{ .fd = x->stop, .events = POLLIN },
	};

	poll(p, 2, -1);
	return p[1].revents == 0 && (p[0].revents & x->gone) == 0;
}

/* The body to its end; false where the client has left. */
static bool
take_body(struct exchange *x, struct buf *b)
{
	struct span bytes;

	for (;;) {
		switch (x->way->body(x, &bytes)) {
		case EXCHANGE_BYTES:
			buf_add_span(b, bytes);
			x->way->taken(x, bytes.n);
			break;
		case EXCHANGE_WAIT:
			if (!wait_word(x, 0))
				return false;
			break;
		case EXCHANGE_END:
			return true;
		case EXCHANGE_GONE:
			return false;
		}
	}
}

/* A handler that goes on after its answer, until it is asked to end. */
static atomic_bool lingers;

/* A long answer, as the client takes it. */
static void
say_much(struct exchange *x)
{
	static const char text[5000000];
	struct span rest = { text, sizeof(text) };

	while (rest.n > 0) {
		ssize_t n = x->way->send(x, &rest, 1);

		if (n == -1 && (errno != EAGAIN || !wait_word(x, POLLOUT)))
			return;
		rest = span_skip(rest, n < 0 ? 0 : (size_t)n);
	}
	say_end(x, "");
}

enum { SLOTS = 8 };

/* What has which slot. */
static struct exchange *at_work[SLOTS];

/* An awaited handler that needs a thread after all. */
static void
wait_handler(struct exchange *x)
{
	struct buf b;

	event('w');
	buf_init(&b, TALK_MAX);
	if (wants(x, "mute"))
		say_end(x, "no word");
	else if (wait_word(x, 0) && take_body(x, &b))
		say_end(x, "a thread's");
	else
		event('x');
	buf_free(&b);
}

static void
run(void *ctx, unsigned slot)
{
	struct exchange *x = at_work[slot];
	struct buf b;

	(void)ctx;
	if (wants(x, "await") || wants(x, "mute")) {
		wait_handler(x);
		return;
	}
	event('r');
	buf_init(&b, TALK_MAX);
	if (wants(x, "much"))
		say_much(x);
	else if (wants(x, "deaf"))
		say_end(x, "deaf");
	else if (wants(x, "linger")) {
		lingers = true;
		say_end(x, "lingers");
	} else if (wants(x, "break"))
		;
	else if (take_body(x, &b)) {
		struct span v = buf_span(&b);

		x->way->finish(x, 0, &v, 1);
	} else
		event('x');
	buf_free(&b);
}

/* In the slot is a request whose handler has something to say, or nothing. */
static enum exchange_need
resume(void *ctx, unsigned slot, struct exchange_await *out)
{
	struct exchange *x = at_work[slot];

	(void)ctx;
	*out = (struct exchange_await){ .fd = handler };
	switch (handler_says()) {
	case 'm':
		event('m');
		return EXCHANGE_AWAITS;
	case 'w':
		return EXCHANGE_WAITS;
	default:
		say_end(x, "awaited");
		return EXCHANGE_DONE;
	}
}

static enum exchange_need
begin(void *ctx, struct exchange *x, void *passage, unsigned slot,
    struct exchange_await *out)
{
	(void)ctx;
	if (*(char *)passage != PASSAGE || slot >= SLOTS)
		_exit(97);
	if ((x->vars != NULL) != wants(x, "vars"))
		_exit(95);
	at_work[slot] = x;
	if (wants(x, "vars")) {
		say_vars(x);
		return EXCHANGE_DONE;
	}
	if (!wants(x, "await") && !wants(x, "mute"))
		return EXCHANGE_WAITS;
	*out = (struct exchange_await){ .fd = handler,
		.until = wants(x, "mute") ? io_now() + 300 : 0 };
	event('a');
	return EXCHANGE_AWAITS;
}

static void
linger(void *ctx, unsigned slot, int stop_fd)
{
	(void)ctx;
	(void)slot;
	if (!atomic_exchange(&lingers, false))
		return;
	io_wait(stop_fd, POLLIN, io_now() + LONG);
	event('l');
}

static void
leave(void *ctx, struct exchange *x, void *passage, enum serve_leave why)
{
	(void)ctx;
	if (*(char *)passage != PASSAGE)
		_exit(96);
	event(why == SERVE_BUSY ? 'b' : 'g');
	if (why == SERVE_BUSY)
		say_end(x, "busy");
}

static void
rest(void *ctx)
{
	(void)ctx;
	atomic_fetch_add(&counts->rests, 1);
}

static unsigned
kill_grace(void *ctx)
{
	(void)ctx;
	return 1;
}

/* --- a server --- */

struct server {
	pid_t pid;
	int events;
	int handler; /* the other end of it */
	char path[108];
};

struct wanted {
	unsigned threads, queue, queue_timeout, head_timeout, idle_timeout;
	unsigned stop_grace;
	unsigned descriptors; /* that it may have; 0: as many as it likes */
	const char *peers;
};

static int
serve(const struct wanted *w, int listener)
{
	const struct span list = span_of(w->peers);
	struct serve_options o = { .listeners = &listener,
		.nlisteners = 1,
		.threads = w->threads,
		.queue = w->queue,
		.queue_timeout = w->queue_timeout,
		.head_timeout = w->head_timeout,
		.idle_timeout = w->idle_timeout,
		.stop_grace = w->stop_grace,
		.gate = { .passage_size = 100,
		    .enter = enter,
		    .begin = begin,
		    .resume = resume,
		    .wait = run,
		    .linger = linger,
		    .leave = leave,
		    .rest = rest,
		    .kill_grace = kill_grace } };
	struct peers peers;
	char fault[128];
	int result;

	if (!peers_load(&list, list.n > 0, NULL, &peers, fault, sizeof(fault)))
		return 95;
	o.peers = &peers;
	if (w->descriptors > 0) {
		struct rlimit few = { w->descriptors, w->descriptors };

		setrlimit(RLIMIT_NOFILE, &few);
	}
	result = serve_run(&o);
	peers_free(&peers);
	return result == 0 ? 0 : 94;
}

static void
start(struct server *s, struct wanted w)
{
	static unsigned count;
	struct io_listen o = { .mode = 0600 };
	char name[32], address[160], fault[128];
	int fd[2], ends[2], listener;
	sigset_t all, old;

	snprintf(name, sizeof(name), "s%u", count++);
	snprintf(s->path, sizeof(s->path), "%.90s", in_folder(name));
	snprintf(address, sizeof(address), "unix:%s", s->path);
	o.address = address;
	listener = io_listen(&o, fault, sizeof(fault));
	if (listener == -1 || pipe2(fd, O_CLOEXEC) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1)
		bail();
	counts->accepts = counts->rests = 0;
	counts->full = false;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old); /* so that none is early */
	s->pid = fork();
	if (s->pid == 0) {
		close(fd[0]);
		close(ends[0]);
		events = fd[1];
		handler = ends[1];
		exit(serve(&w, listener));
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(listener);
	close(fd[1]);
	close(ends[1]);
	s->events = fd[0];
	s->handler = ends[0];
}

/* The next event's letter; 0 where there is none any more. */
static char
happened(struct server *s)
{
	char letter = 0;

	if (io_wait(s->events, POLLIN, io_now() + LONG) <= 0)
		return '?';
	return read(s->events, &letter, 1) == 1 ? letter : 0;
}

/* Its exit status, once it has been told to stop. */
static int
ended(struct server *s)
{
	int status = -1;

	waitpid(s->pid, &status, 0);
	close(s->events);
	close(s->handler);
	return status;
}

static void
stop(struct server *s)
{
	int status;

	kill(s->pid, SIGTERM);
	status = ended(s);
	ok(status == 0, "it stops in order: %#x", (unsigned)status);
}

/* --- a web server --- */

static int
call(const struct server *s)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(a.sun_path, s->path, sizeof(s->path));
	if (fd == -1)
		bail();
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

static void
say_bytes(int fd, struct span bytes)
{
	while (bytes.n > 0) {
		ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		bytes = span_skip(bytes, (size_t)n);
	}
}

static void
say(int fd, const char *words)
{
	struct buf b = talk(words);

	say_bytes(fd, buf_span(&b));
	buf_free(&b);
}

/* Adds what comes; false at the end of all, or after too long a time. */
static bool
hear_some(int fd, struct buf *b, size_t most)
{
	char *room = buf_room(b, most);
	ssize_t n;

	if (io_wait(fd, POLLIN, io_now() + LONG) <= 0)
		return false;
	n = recv(fd, room, most, 0);
	b->n += n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* Is an END_REQUEST the last of it? */
static bool
is_whole(const struct buf *b)
{
	struct span rest = buf_span(b), content;
	unsigned type = 0, id;

	while (talk_cut(&rest, &type, &id, &content))
		;
	return rest.n == 0 && type == WIRE_END_REQUEST;
}

/* One answer, to its END_REQUEST or to the end of the connection. */
static void
hears(int fd, const char *want, const char *name)
{
	struct buf b, shown;

	buf_init(&b, TALK_MAX);
	buf_init(&shown, TALK_MAX);
	while (!is_whole(&b) && hear_some(fd, &b, 65536))
		;
	talk_show(&shown, buf_span(&b));
	is_span(buf_span(&shown), want, name);
	buf_free(&b);
	buf_free(&shown);
}

/* Nothing more comes, and the connection is closed. */
static void
is_closed(int fd, const char *name)
{
	char byte;
	int came = io_wait(fd, POLLIN, io_now() + LONG);

	ok(came > 0 && recv(fd, &byte, 1, 0) <= 0, "%s", name);
	close(fd);
}

#define ASK(id, what) \
	"begin:" id ":1:k params:" id ":DO=" what " params:" id " "
#define SAYS(id, what) "stdout:" id ":" what " stdout:" id " end:" id ":0:0"

static const struct wanted usual = { .threads = 2,
	.queue = 2,
	.queue_timeout = 60,
	.head_timeout = 60,
	.stop_grace = 60 };

/* --- requests --- */

static void
test_requests(struct server *s)
{
	int fd = call(s);

	say(fd, "begin:1:1 params:1:DO=answer params:1 stdin:1");
	hears(fd, SAYS("1", "answered"), "an answer");
	is_closed(fd, "… and the end, where it is not kept (E87)");
	fd = call(s);
	say(fd, ASK("1", "answer") "stdin:1");
	hears(fd, SAYS("1", "answered"), "one that is kept");
	say(fd, ASK("1", "echo") "stdin:1:hello stdin:1");
	hears(fd, SAYS("1", "hello"), "a second one (E89)");
	say(fd, ASK("7", "deaf") "stdin:7:hello stdin:7");
	hears(fd, SAYS("7", "deaf"), "one of another id");
	say(fd, ASK("1", "echo"));
	say(fd, "stdin:1:later stdin:1");
	hears(fd, SAYS("1", "later"), "one whose body comes later");
	close(fd);
	ok(happened(s) == 'r' && happened(s) == 'r' && happened(s) == 'r',
	    "three handlers have run");
}

static void
test_heads(struct server *s)
{
	struct buf b;
	int fd = call(s);

	buf_init(&b, TALK_MAX);
	talk_add(&b,
	    "begin:1:1:k params:1:DO=vars,A=b params:1:C=d,=x,a\\x20b=c "
	    "params:1 stdin:1",
	    255);
	for (size_t i = 0; i < b.n; i++) {
		say_bytes(fd, (struct span){ b.p + i, 1 });
		if (i % 100 == 0)
			sched_yield();
	}
	hears(fd, SAYS("1", "DO=vars;A=b;C=d;"),
	    "a head in single bytes, with padding (E85)");
	close(fd);
	buf_free(&b);
}

/* The longest head there may be, and a byte more. */
static void
test_long_head(struct server *s, size_t size, bool good)
{
	struct buf b, pairs;
	char *text = must(malloc(size));
	int fd = call(s);

	memset(text, 'x', size);
	buf_init(&b, TALK_MAX);
	buf_init(&pairs, TALK_MAX);
	wire_add_pair(&pairs, SPAN("DO"), SPAN("answer"));
	wire_add_pair(&pairs, SPAN("LONG"),
	    (struct span){ text, size - 10 - 9 });
	talk_add(&b, "begin:1:1:k", 0);
	wire_add(&b, WIRE_PARAMS, 1, buf_span(&pairs));
	talk_add(&b, "params:1 stdin:1", 0);
	say_bytes(fd, buf_span(&b));
	hears(fd, good ? SAYS("1", "answered") : "", "a long head");
	close(fd);
	buf_free(&b);
	buf_free(&pairs);
	free(text);
}

static void
test_protocol(struct server *s)
{
	int fd = call(s);

	say(fd,
	    "values:0:FCGI_MAX_CONNS=,FCGI_MPXS_CONNS= begin:1:9:k "
	    "begin:2:1:k abort:2");
	hears(fd,
	    "result:0:FCGI_MAX_CONNS=4,FCGI_MPXS_CONNS=0 end:1:0:3 end:2:0:0",
	    "values, a role and an abort (E78, E91, E92)");
	say(fd, ASK("3", "answer") "stdin:3");
	hears(fd, SAYS("3", "answered"), "… and then a request");
	close(fd);
	fd = call(s);
	say_bytes(fd, SPAN("GET / HTTP/1.1\r\n\r\n"));
	is_closed(fd, "no FastCGI (E95)");
	fd = call(s);
	say(fd, "begin:1:3 params:1");
	hears(fd, "end:1:0:3", "a role that is not kept");
	is_closed(fd, "… is told so, and closed");
	for (int i = 0; i < 20; i++) {
		fd = call(s);
		say_bytes(fd,
		    (struct span){ "\1\1\0\1\0\10\0\0", (size_t)i % 9 });
		close(fd);
	}
	fd = call(s);
	say(fd, ASK("1", "answer") "stdin:1");
	hears(fd, SAYS("1", "answered"), "stray connections cost nobody else");
	close(fd);
}

/* E78: while a handler runs. */
static void
test_abort(struct server *s)
{
	int fd = call(s);

	say(fd, ASK("1", "echo") "stdin:1:x");
	ok(happened(s) == 'r', "a handler runs");
	say(fd, "abort:1");
	ok(happened(s) == 'x', "it hears that its request is given up");
	hears(fd, "end:1:0:0", "… and the server that it was heard");
	say(fd, ASK("2", "answer") "stdin:2");
	hears(fd, SAYS("2", "answered"), "… and the connection is kept");
	close(fd);
	fd = call(s);
	say(fd, ASK("1", "echo") "stdin:1:x");
	ok(happened(s) == 'r', "a handler runs");
	close(fd);
	ok(happened(s) == 'x', "it hears that its server has gone (E77)");
}

static void
test_broken(struct server *s)
{
	int fd = call(s);

	say(fd, ASK("1", "break") "stdin:1");
	ok(happened(s) == 'r', "a handler that does not finish");
	is_closed(fd, "… shows: no END_REQUEST (E52)");
}

/* An early answer: the rest of the body is thrown away. */
static void
test_unread_body(struct server *s, const char *what, size_t size)
{
	struct buf b;
	char *text = must(calloc(1, size));
	int fd = call(s);

	buf_init(&b, TALK_MAX);
	talk_add(&b, "begin:1:1:k", 0);
	talk_add(&b,
	    strcmp(what, "deaf") == 0 ? "params:1:DO=deaf" :
					"params:1:DO=answer",
	    0);
	talk_add(&b, "params:1", 0);
	wire_add(&b, WIRE_STDIN, 1, (struct span){ text, size });
	wire_add_eof(&b, WIRE_STDIN, 1);
	say_bytes(fd, buf_span(&b));
	hears(fd,
	    strcmp(what, "deaf") == 0 ? SAYS("1", "deaf") :
					SAYS("1", "answered"),
	    "an answer before the body");
	say(fd, ASK("1", "answer") "stdin:1");
	hears(fd, SAYS("1", "answered"), "… and the next request is in step");
	close(fd);
	buf_free(&b);
	free(text);
	if (strcmp(what, "deaf") == 0)
		happened(s);
}

static void
test_much(struct server *s)
{
	struct buf b;
	struct span rest, content;
	unsigned type, id;
	size_t n = 0;
	int fd = call(s);

	say(fd, ASK("1", "much") "stdin:1");
	buf_init(&b, TALK_MAX);
	while (!is_whole(&b) && hear_some(fd, &b, 100000))
		;
	rest = buf_span(&b);
	while (talk_cut(&rest, &type, &id, &content))
		n += type == WIRE_STDOUT ? content.n : 0;
	ok(n == 5000000 && rest.n == 0, "a long answer");
	ok(happened(s) == 'r', "… of a handler");
	buf_free(&b);
	close(fd);
	fd = call(s);
	say(fd, ASK("1", "much") "stdin:1");
	ok(happened(s) == 'r', "another one");
	close(fd);
}

static void
test_usual(void)
{
	struct server s;

	start(&s, usual);
	test_requests(&s);
	test_heads(&s);
	test_long_head(&s, 65535, true);
	test_long_head(&s, 65536, false);
	test_protocol(&s);
	test_abort(&s);
	test_broken(&s);
	test_unread_body(&s, "answer", 1000);
	test_unread_body(&s, "answer", 270000);
	test_unread_body(&s, "answer", 1000000);
	test_unread_body(&s, "deaf", 1000000);
	test_much(&s);
	stop(&s);
}

/* --- load --- */

/* E88: more idle ones than threads, and nobody waits. */
static void
test_idle(void)
{
	enum { N = 50 };
	struct server s;
	int fd[N], new, good = 0;

	start(&s, usual);
	for (int i = 0; i < N; i++) {
		fd[i] = call(&s);
		if (i % 2 == 0)
			continue; /* it says nothing */
		say(fd[i], ASK("1", "answer") "stdin:1");
		hears(fd[i], SAYS("1", "answered"), "one that then idles");
	}
	new = call(&s);
	say(new, ASK("1", "echo") "stdin:1:new stdin:1");
	hears(new, SAYS("1", "new"), "a new one beside 50 idle ones");
	close(new);
	for (int i = 0; i < N; i++) {
		say(fd[i], ASK("2", "echo") "stdin:2:again stdin:2");
		good++;
	}
	for (int i = 0; i < N; i++) {
		struct buf b;

		buf_init(&b, TALK_MAX);
		while (!is_whole(&b) && hear_some(fd[i], &b, 65536))
			;
		good -= is_whole(&b);
		close(fd[i]);
		buf_free(&b);
	}
	ok(good == 0, "… and then all of them at once");
	stop(&s);
}

/* Two handlers run, two requests are parked, the fifth is refused. */
static void
test_queue(void)
{
	struct server s;
	int fd[5];

	start(&s, usual);
	for (int i = 0; i < 2; i++) {
		fd[i] = call(&s);
		say(fd[i], ASK("1", "echo") "stdin:1:run");
		ok(happened(&s) == 'r', "a handler runs");
	}
	for (int i = 2; i < 5; i++) {
		fd[i] = call(&s);
		say(fd[i], ASK("1", "echo") "stdin:1:wait");
	}
	ok(happened(&s) == 'b', "one has no place in the queue (E80)");
	for (int i = 2; i < 5; i++)
		say(fd[i], "stdin:1");

	say(fd[0], "stdin:1");
	hears(fd[0], SAYS("1", "run"), "a handler ends");
	ok(happened(&s) == 'r' && happened(&s) == 'r',
	    "those that are parked take its place");
	say(fd[1], "stdin:1");
	hears(fd[1], SAYS("1", "run"), "the other one ends");
	for (int i = 0, busy = 0; i < 3; i++) {
		struct buf b, shown;

		buf_init(&b, TALK_MAX);
		buf_init(&shown, TALK_MAX);
		while (!is_whole(&b) && hear_some(fd[2 + i], &b, 65536))
			;
		talk_show(&shown, buf_span(&b));
		busy += span_eq(buf_span(&shown), SPAN(SAYS("1", "busy")));
		ok(busy == 1 ||
			span_eq(buf_span(&shown), SPAN(SAYS("1", "wait"))),
		    "one of three was refused, the others answered");
		buf_free(&b);
		buf_free(&shown);
	}
	for (int i = 0; i < 5; i++)
		close(fd[i]);
	stop(&s);
}

/* What needs no handler is answered while all of them are busy. */
static void
test_busy(void)
{
	struct wanted w = usual;
	struct server s;
	int fd[2], other;

	w.queue = 0;
	start(&s, w);
	for (int i = 0; i < 2; i++) {
		fd[i] = call(&s);
		say(fd[i], ASK("1", "echo"));
		ok(happened(&s) == 'r', "a handler runs");
	}
	other = call(&s);
	for (int i = 0; i < 20; i++) {
		say(other, ASK("1", "answer") "stdin:1");
		hears(other, SAYS("1", "answered"), "a refusal beside them");
	}
	say(other, ASK("1", "echo") "stdin:1:x stdin:1");
	hears(other, SAYS("1", "busy"), "no queue: busy at once");
	ok(happened(&s) == 'b', "… which the gate has said");
	say(other, ASK("2", "answer") "stdin:2");
	hears(other, SAYS("2", "answered"), "… and the connection is in step");
	close(other);
	close(fd[0]);
	close(fd[1]);
	ok(happened(&s) == 'x' && happened(&s) == 'x', "all have gone");
	stop(&s);
}

/* Whoever was parked has its variables too. */
static void
test_parked_vars(void)
{
	struct wanted w = usual;
	struct server s;
	int run_fd, fd;

	w.threads = 1;
	start(&s, w);
	run_fd = call(&s);
	say(run_fd, ASK("1", "echo"));
	ok(happened(&s) == 'r', "a handler runs");
	fd = call(&s);
	say(fd, "begin:1:1:k params:1:DO=vars,A=b params:1 stdin:1");
	poll(NULL, 0, 50); /* so that it is parked, most likely */
	say(run_fd, "stdin:1:end stdin:1");
	hears(run_fd, SAYS("1", "end"), "it ends");
	hears(fd, SAYS("1", "DO=vars;A=b;"), "the next one has variables");
	close(run_fd);
	close(fd);
	stop(&s);
}

static void
test_parked(void)
{
	struct wanted w = usual;
	struct server s;
	int run_fd, fd;

	w.threads = 1;
	w.queue_timeout = 1;
	start(&s, w);
	run_fd = call(&s);
	say(run_fd, ASK("1", "echo"));
	ok(happened(&s) == 'r', "a handler runs");
	fd = call(&s);
	say(fd, ASK("1", "echo") "stdin:1:x stdin:1");
	hears(fd, SAYS("1", "busy"), "one that is parked for too long");
	ok(happened(&s) == 'b', "… is told so by the gate");
	say(fd, ASK("1", "echo") "stdin:1:x stdin:1");
	close(fd);
	ok(happened(&s) == 'g', "a parked one that goes is noticed (E77)");
	say(run_fd, "stdin:1:end stdin:1");
	hears(run_fd, SAYS("1", "end"), "the handler ends");
	close(run_fd);
	stop(&s);
}

/* Two where the queue has one place: whichever is refused, one is parked. */
static void
park_one(struct server *s, int fd[2])
{
	for (int i = 0; i < 2; i++) {
		fd[i] = call(s);
		say(fd[i], ASK("1", "echo") "stdin:1:wait stdin:1");
	}
	ok(happened(s) == 'b', "no slot is free, and the queue is full");
}

/* Its connection is free, but its slot is not. */
static void
test_linger(void)
{
	struct wanted w = usual;
	struct server s;
	int fd, parked[2];
	char one, two;

	w.threads = 1;
	w.queue = 1;
	w.stop_grace = 1;
	start(&s, w);
	fd = call(&s);
	say(fd, ASK("1", "linger") "stdin:1");
	hears(fd, SAYS("1", "lingers"), "a handler that lingers has answered");
	ok(happened(&s) == 'r', "… and had run");
	say(fd, ASK("2", "answer") "stdin:2");
	hears(fd, SAYS("2", "answered"), "the next request need not wait");
	park_one(&s, parked);
	kill(s.pid, SIGTERM);
	one = happened(&s);
	two = happened(&s);
	ok(one + two == 'b' + 'l' && one != two,
	    "its slot is taken until the end, at which it is told");
	close(fd);
	close(parked[0]);
	close(parked[1]);
	ok(ended(&s) == 0, "… and the server ends");
}

/* --- handlers that are silent --- */

/* The handler says a word of one letter. */
static void
handler_say(struct server *s, char word)
{
	if (write(s->handler, &word, 1) != 1)
		bail();
}

static void
test_await(void)
{
	struct wanted w = usual;
	struct server s;
	int fd, other;

	w.threads = 1;
	start(&s, w);
	fd = call(&s);
	for (int i = 0; i < 3; i++) {
		say(fd, ASK("1", "await") "stdin:1");
		ok(happened(&s) == 'a', "a handler is awaited");
		handler_say(&s, 'm');
		ok(happened(&s) == 'm', "… and goes on being");
		handler_say(&s, '.');
		hears(fd, SAYS("1", "awaited"), "… until it answers");
	}
	say(fd, ASK("1", "await") "stdin:1");
	ok(happened(&s) == 'a', "one more");
	other = call(&s);
	say(other, ASK("1", "await") "stdin:1");
	handler_say(&s, '.');
	hears(fd, SAYS("1", "awaited"), "it answers");
	ok(happened(&s) == 'a', "… and who was parked is next");
	handler_say(&s, 'w');
	ok(happened(&s) == 'w', "it needs a thread after all");
	say(other, "stdin:1");
	hears(other, SAYS("1", "a thread's"), "… and has one");
	close(fd);
	close(other);
	stop(&s);
}

static void
test_await_ends(void)
{
	struct server s;
	int fd;

	start(&s, usual);
	fd = call(&s);
	say(fd, ASK("1", "mute") "stdin:1");
	ok(happened(&s) == 'a' && happened(&s) == 'w',
	    "one that is silent for too long is waited for");
	hears(fd, SAYS("1", "no word"), "… and answered for");
	say(fd, ASK("2", "await"));
	ok(happened(&s) == 'a', "a handler is awaited");
	say(fd, "abort:2");
	ok(happened(&s) == 'w' && happened(&s) == 'x',
	    "its request is given up, which is seen (E78)");
	hears(fd, "end:2:0:0", "… and confirmed");
	say(fd, ASK("3", "await") "stdin:3");
	ok(happened(&s) == 'a', "a handler is awaited");
	close(fd);
	ok(happened(&s) == 'w' && happened(&s) == 'x',
	    "its client goes, which is seen (E77)");
	stop(&s);
}

/* More are due at once than have ever waited for an event. */
static void
test_await_killed(void)
{
	enum { N = 3 };
	struct wanted w = usual;
	struct server s;
	int fd[N];

	w.threads = N;
	w.stop_grace = 1;
	start(&s, w);
	for (int i = 0; i < N; i++) {
		fd[i] = call(&s);
		say(fd[i], ASK("1", "await") "stdin:1");
		ok(happened(&s) == 'a', "a handler is awaited");
	}
	kill(s.pid, SIGTERM);
	for (int i = 0; i < N; i++)
		is_closed(fd[i], "it is ended when stop_grace is over");
	ok(ended(&s) == 0, "… and the server ends");
}

/* Nobody who waits for events is to be stuck; but what if it is? */
static void
test_stuck(void)
{
	enum { N = 3 };
	struct server s;
	int fd[N], other;

	start(&s, usual);
	for (int i = 0; i < N; i++) {
		fd[i] = call(&s);
		say(fd[i], ASK("1", "stuck") "stdin:1");
		ok(happened(&s) == 's', "somebody is stuck");
	}
	other = call(&s);
	say(other, ASK("1", "answer") "stdin:1");
	hears(other, SAYS("1", "answered"), "… which costs nobody else");
	close(other);
	for (int i = 0; i < N; i++)
		handler_say(&s, '.');
	for (int i = 0; i < N; i++) {
		hears(fd[i], SAYS("1", "was stuck"), "… nor itself, later");
		close(fd[i]);
	}
	stop(&s);
}

/* --- clocks --- */

static void
test_head_timeout(void)
{
	struct wanted w = usual;
	struct server s;
	int silent, half, kept, second;

	w.head_timeout = 1;
	start(&s, w);
	kept = call(&s);
	say(kept, ASK("1", "answer") "stdin:1");
	hears(kept, SAYS("1", "answered"), "one that is kept");
	second = call(&s);
	say(second, ASK("1", "answer") "stdin:1");
	hears(second, SAYS("1", "answered"), "another one");
	silent = call(&s);
	half = call(&s);
	say(half, "begin:1:1:k params:1:A=b");
	say(second, "begin:2:1:k");
	is_closed(silent, "one that says nothing is closed (E96)");
	is_closed(half, "one that says half a head");
	is_closed(second, "… or half of its second one");
	say(kept, ASK("2", "answer") "stdin:2");
	hears(kept, SAYS("2", "answered"), "one that idles is not");
	close(kept);
	stop(&s);
}

/* Says it, and waits until the server has read it. */
static void
say_and_wait(struct server *s, int fd, struct span bytes)
{
	int64_t until = io_now() + LONG;
	int other = call(s), left = 0;

	say_bytes(fd, bytes);
	while (ioctl(fd, SIOCOUTQ, &left) == 0 && left > 0 && io_now() < until)
		sched_yield();
	ok(left == 0, "a piece is read");
	say(other, ASK("1", "answer") "stdin:1");
	hears(other, SAYS("1", "answered"), "… and another request answered");
	close(other);
}

/* E96: the end of a body that nobody waits for begins no head (SPEC 5.2). */
static void
test_late_end(void)
{
	const struct span end = SPAN("\1\5\0\1\0\0\0\0"),
			  begin = SPAN("\1\1\0\2");
	struct wanted w = usual;
	struct server s;
	int kept, half;

	w.head_timeout = 2;
	start(&s, w);
	kept = call(&s);
	half = call(&s);
	say(kept, "begin:1:2:k params:1:DO=answer params:1");
	hears(kept, SAYS("1", "answered"), "an Authorizer's answer");
	say(half, "begin:1:2:k params:1:DO=answer params:1");
	hears(half, SAYS("1", "answered"), "another one's");
	say_and_wait(&s, kept, (struct span){ end.p, 4 });
	say_and_wait(&s, kept, span_skip(end, 4));
	say_and_wait(&s, half, begin);
	is_closed(half, "half a second head is closed in the end");
	say(kept, "begin:2:2:k params:2:DO=answer params:2");
	hears(kept, SAYS("2", "answered"),
	    "… and not who ended its body late, in two pieces");
	close(kept);
	stop(&s);
}

static void
test_idle_timeout(void)
{
	struct wanted w = usual;
	struct server s;
	int fd;

	w.idle_timeout = 1;
	start(&s, w);
	fd = call(&s);
	say(fd, ASK("1", "answer") "stdin:1");
	hears(fd, SAYS("1", "answered"), "one that then idles");
	is_closed(fd, "… is closed, where idle_timeout says so");
	stop(&s);
}

/* --- what fails --- */

/* E81: more connections than descriptors. */
static void
test_descriptors(void)
{
	enum { N = 60 };
	struct wanted w = usual;
	struct server s;
	int fd[N], last;

	w.descriptors = 40;
	w.threads = 1;
	start(&s, w);
	for (int i = 0; i < N; i++)
		fd[i] = call(&s);
	for (int i = 0; i < N; i++) {
		if (i % 4 == 0)
			say(fd[i], ASK("1", "answer") "stdin:1");
		else
			close(fd[i]);
	}
	for (int i = 0; i < N; i += 4)
		hears(fd[i], SAYS("1", "answered"), "one of many");
	for (int i = 0; i < N; i += 4)
		close(fd[i]);
	last = call(&s);
	say(last, ASK("1", "echo") "stdin:1:alive stdin:1");
	hears(last, SAYS("1", "alive"), "the server lives");
	close(last);
	stop(&s);
}

/* Nobody asks: what was kept for the next request is given back, once. */
static void
test_rest(void)
{
	struct server s;
	int64_t began;

	start(&s, usual);
	test_requests(&s);
	began = io_now();
	while (counts->rests == 0 && io_now() - began < LONG)
		poll(NULL, 0, 50);
	ok(counts->rests == 1, "all is given back when nobody asks");
	test_requests(&s);
	stop(&s);
}

/* E81: a door that cannot be opened is left alone for a while. */
static void
test_no_spin(void)
{
	enum { TICKS = 4 };
	struct server s;
	unsigned tried;
	int64_t began;
	int fd;

	start(&s, usual);
	counts->full = true;
	fd = call(&s);
	say(fd, ASK("1", "answer") "stdin:1");
	began = io_now();
	while (counts->accepts < TICKS && io_now() - began < LONG)
		poll(NULL, 0, 50);
	tried = counts->accepts;
	ok(tried >= TICKS && tried <= 10 + (io_now() - began) / 50,
	    "the door is tried now and then, not all the time: %u", tried);
	counts->full = false;
	hears(fd, SAYS("1", "answered"), "and then they come in");
	close(fd);
	stop(&s);
}

static void
test_peers(void)
{
	struct wanted w = usual;
	char other[16];
	struct server s;
	int fd;

	snprintf(other, sizeof(other), "%u", geteuid() + 1);
	w.peers = other;
	start(&s, w);
	fd = call(&s);
	is_closed(fd, "one who may not connect is closed");
	stop(&s);
	snprintf(other, sizeof(other), "%u", geteuid());
	start(&s, w);
	fd = call(&s);
	say(fd, ASK("1", "answer") "stdin:1");
	hears(fd, SAYS("1", "answered"), "one who may is answered");
	close(fd);
	stop(&s);
}

/* --- the end (E82) --- */

static void
test_stop(int signal)
{
	struct wanted w = usual;
	struct server s;
	int running, parked, idle;

	w.threads = 1;
	start(&s, w);
	idle = call(&s);
	say(idle, ASK("1", "answer") "stdin:1");
	hears(idle, SAYS("1", "answered"), "one that idles");
	running = call(&s);
	say(running, ASK("1", "echo") "stdin:1:run");
	ok(happened(&s) == 'r', "one that runs");
	parked = call(&s);
	say(parked, ASK("1", "echo") "stdin:1:wait stdin:1");
	kill(s.pid, signal);
	is_closed(idle, "told to stop: who idles is closed");
	ok(call(&s) == -1, "nobody new comes in");
	say(running, "stdin:1");
	hears(running, SAYS("1", "run"), "what runs is finished");
	hears(parked, SAYS("1", "wait"), "… and what was parked");
	close(running);
	close(parked);
	ok(ended(&s) == 0, "… and then it ends");
}

/* Whoever stands at the door when it is told to stop is still served. */
static void
test_stop_at_the_door(void)
{
	struct server s;
	int fd;

	start(&s, usual);
	fd = call(&s);
	say(fd, ASK("1", "echo") "stdin:1:last stdin:1");
	kill(s.pid, SIGTERM);
	hears(fd, SAYS("1", "last"), "no request is lost");
	close(fd);
	ok(ended(&s) == 0, "… and then it ends");
}

/* stop_grace is over: what runs is ended, what is parked is refused. */
static void
test_stop_grace(void)
{
	struct wanted w = usual;
	struct server s;
	int running, parked[2];

	w.threads = 1;
	w.queue = 1;
	w.stop_grace = 1;
	start(&s, w);
	running = call(&s);
	say(running, ASK("1", "echo") "stdin:1:run");
	ok(happened(&s) == 'r', "one that runs, and goes on");
	park_one(&s, parked);
	kill(s.pid, SIGTERM);
	is_closed(running, "it is ended when stop_grace is over");
	for (int i = 0; i < 2; i++) {
		hears(parked[i], SAYS("1", "busy"), "… the others are refused");
		close(parked[i]);
	}
	ok(ended(&s) == 0, "… and the server ends");
}

int
main(void)
{
	folder_make();
	log_open("test", in_folder("log"), LOG_INFO);
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		bail();
	test_usual();
	test_idle();
	test_rest();
	test_queue();
	test_busy();
	test_parked_vars();
	test_parked();
	test_linger();
	test_await();
	test_await_ends();
	test_await_killed();
	test_stuck();
	test_head_timeout();
	test_late_end();
	test_idle_timeout();
	test_descriptors();
	test_no_spin();
	test_peers();
	test_stop(SIGTERM);
	test_stop(SIGINT);
	test_stop_at_the_door();
	test_stop_grace();
	folder_remove();
	return tap_done();
}
