/*
 * forward: a backend in this very process, over Unix sockets and TCP, that
 * reads what it is sent and says what it is told to, step by step: nothing
 * here blocks [SPEC 4.1, 4.7, 4.8; E36, E97, E102 to E106].
 */
#include "forward.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "answer.h"
#include "folder.h"
#include "io.h"
#include "tap.h"

/* Long enough for any machine; a test that waits for it has failed. */
enum { LONG = 60000, SMALL = 16384 };

/* libc's, so that a socket takes as little as a test wants, and not always. */
static size_t most = SIZE_MAX;
static bool now_and_then;
static unsigned turn;
static atomic_uint calls;

ssize_t
sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct iovec iov[4];
	struct msghdr less = *m;
	size_t left = most;

	calls++;
	if (most == SIZE_MAX)
		return syscall(SYS_sendmsg, fd, m, flags);
	if (now_and_then && turn++ % 2 == 0) {
		errno = EAGAIN;
		return -1;
	}
	less.msg_iov = iov;
	for (size_t i = 0; i < m->msg_iovlen && i < 4; i++) {
		iov[i] = m->msg_iov[i];
		if (iov[i].iov_len > left)
			iov[i].iov_len = left;
		left -= iov[i].iov_len;
	}
	return syscall(SYS_sendmsg, fd, &less, flags);
}

/* --- the backend --- */

struct backend {
	struct forward_backend *b;
	char address[PATH_MAX + 300];
	int listener, fd; /* -1: nobody is connected */
	struct buf heard;
};

static void
backend_listen(struct backend *k, bool tcp)
{
	char fault[256];
	struct io_listen o = { .address = "127.0.0.1:0", .mode = 0600 };
	struct sockaddr_in in;
	socklen_t n = sizeof(in);

	snprintf(k->address, sizeof(k->address), "unix:%s",
	    in_folder("backend"));
	if (!tcp)
		o.address = k->address;
	k->listener = io_listen(&o, fault, sizeof(fault));
	if (k->listener == -1) {
		printf("Bail out! %s: %s\n", o.address, fault);
		exit(1);
	}
	if (!tcp)
		return;
	getsockname(k->listener, (struct sockaddr *)&in, &n);
	snprintf(k->address, sizeof(k->address), "127.0.0.1:%u",
	    ntohs(in.sin_port));
}

static void
backend_open(struct backend *k, bool tcp, unsigned keep)
{
	*k = (struct backend){ .fd = -1 };
	buf_init(&k->heard, TALK_MAX);
	backend_listen(k, tcp);
	k->b = forward_backend_new(k->address, keep);
	if (k->b == NULL)
		bail();
}

static void
hang_up(struct backend *k)
{
	if (k->fd != -1)
		close(k->fd);
	k->fd = -1;
	buf_clear(&k->heard);
}

static void
backend_close(struct backend *k)
{
	hang_up(k);
	if (k->listener != -1)
		close(k->listener);
	forward_backend_free(k->b);
	buf_free(&k->heard);
}

/* Is somebody there who wants to be let in? */
static bool
knocks(const struct backend *k)
{
	return io_wait(k->listener, POLLIN, 0) > 0;
}

static void
let_in(struct backend *k)
{
	if (io_wait(k->listener, POLLIN, io_now() + LONG) <= 0 ||
	    (k->fd = accept4(k->listener, NULL, NULL,
		 SOCK_CLOEXEC | SOCK_NONBLOCK)) == -1)
		bail();
}

/* Adds what has come; false where there is nothing. */
static bool
listen_some(struct backend *k, size_t size)
{
	ssize_t n = read(k->fd, must(buf_room(&k->heard, size)), size);

	k->heard.n += n > 0 ? (size_t)n : 0;
	return n > 0;
}

static void
say_bytes(struct backend *k, struct span s)
{
	while (s.n > 0) {
		ssize_t n = send(k->fd, s.p, s.n, MSG_NOSIGNAL);

		if (n <= 0)
			bail();
		s = span_skip(s, (size_t)n);
	}
}

static void
say(struct backend *k, const char *words)
{
	struct buf b = talk(words);

	say_bytes(k, buf_span(&b));
	buf_free(&b);
}

static void
show(const struct backend *k, struct buf *out)
{
	buf_init(out, TALK_MAX);
	talk_show(out, buf_span(&k->heard));
}

/* All that has come up to now is these records, and is forgotten. */
static bool
hears(struct backend *k, const char *want, const char *name)
{
	struct buf shown;
	bool same;

	show(k, &shown);
	while (!span_eq(buf_span(&shown), span_of(want)) &&
	    io_wait(k->fd, POLLIN, io_now() + 1000) > 0 &&
	    listen_some(k, 65536)) {
		buf_free(&shown);
		show(k, &shown);
	}
	if (shown.n == 0)
		buf_add_str(&shown, "");
	same = is_span((struct span){ shown.p == NULL ? "" : shown.p, shown.n },
	    want, name);
	buf_free(&shown);
	buf_clear(&k->heard);
	return same;
}

/* --- the front's side --- */

static char var_a[] = "A=b", var_eq[] = "C=d=e", var_empty[] = "E=";
static char *const vars[] = { var_a, var_eq, var_empty, NULL };

#define PARAMS " params:1:A=b,C=d=e,E= params:1"
#define HEAD "begin:1:1:" PARAMS
#define KEPT "begin:1:1:k" PARAMS

/* These as pairs, until the next call. */
static struct span
params_of(char *const list[])
{
	static _Thread_local char room[256]; /* no thread's leak */
	static _Thread_local struct buf b;

	buf_free(&b);
	buf_init_in(&b, 1 << 22, room, sizeof(room));
	for (size_t i = 0; list[i] != NULL; i++) {
		struct span name, value = span_of(list[i]);

		span_cut(&value, '=', &name);
		wire_add_pair(&b, name, value);
	}
	return buf_span(&b);
}

static struct forward
start(struct backend *k, bool body)
{
	const struct forward_request r = { .params = params_of(vars),
		.body = body,
		.file = -1 };
	struct forward f;

	if (forward_start(&f, k->b, &r) != REASON_OK || *f.h.note != '\0') {
		printf("Bail out! %s\n", f.h.note);
		exit(1);
	}
	return f;
}

/* Sends what is owed, as poll(2) allows it; true where all has gone out. */
static bool
flush(struct forward *f)
{
	int64_t until = io_now() + LONG;

	while (f->h.owes && f->h.in != -1) {
		if (io_wait(f->h.in, POLLOUT, until) <= 0)
			return false;
		f->h.way->flush(&f->h);
	}
	return !f->h.owes;
}

static ssize_t
give(struct forward *f, struct span body)
{
	return f->h.way->give(&f->h, body);
}

/* A request without a body, all of it sent, and the backend has it. */
static struct forward
ask(struct backend *k, const char *want)
{
	struct forward f = start(k, false);

	let_in(k);
	flush(&f);
	hears(k, want, "a request");
	return f;
}

/* What comes back, to its end or to where it stands still. */
static struct answer
answer_of(struct forward *f, size_t room)
{
	struct answer a;

	answer_init(&a, room);
	if (io_wait(f->h.out, POLLIN, io_now() + LONG) > 0)
		answer_take(&a, &f->h);
	return a;
}

static bool
is_quiet(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) == -1 &&
	    errno == EAGAIN;
}

/* Has the other side closed the connection, and said nothing more? */
static bool
is_closed(const struct backend *k)
{
	char c;

	return io_wait(k->fd, POLLIN, io_now() + LONG) > 0 &&
	    recv(k->fd, &c, 1, MSG_DONTWAIT) <= 0;
}

/* --- requests --- */

/* The very bytes, with every length and every zero. */
static void
test_bytes(bool tcp)
{
	static const char want[] = "\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0"
				   "\1\4\0\1\0\15\0\0"
				   "\1\1Ab\1\3Cd=e\1\0E"
				   "\1\4\0\1\0\0\0\0\1\5\0\1\0\0\0\0";
	const char *kind = tcp ? "TCP" : "a Unix socket";
	struct backend k;
	struct forward f;

	backend_open(&k, tcp, 0);
	f = start(&k, false);
	ok(f.h.in != -1 && f.h.in == f.h.out && f.h.err == -1 && f.h.owes &&
		!f.h.ready && !f.h.way->ended(&f.h),
	    "%s: one descriptor, and bytes to send", kind);
	let_in(&k);
	ok(is_quiet(k.fd), "… none of which has gone out");
	ok(flush(&f) && !f.h.way->flush(&f.h), "… until they are flushed");
	while (k.heard.n < sizeof(want) - 1 &&
	    io_wait(k.fd, POLLIN, io_now() + LONG) > 0 &&
	    listen_some(&k, 65536))
		;
	ok(k.heard.n == sizeof(want) - 1 &&
		memcmp(k.heard.p, want, k.heard.n) == 0 && is_quiet(k.fd),
	    "… exactly");
	forward_end(&f);
	backend_close(&k);
}

static void
test_no_vars(void)
{
	static char *const none[] = { NULL };
	const struct forward_request r = { .params = params_of(none),
		.file = -1 };
	struct backend k;
	struct forward f;

	backend_open(&k, false, 3);
	forward_start(&f, k.b, &r);
	let_in(&k);
	flush(&f);
	hears(&k, "begin:1:1:k params:1 stdin:1",
	    "no variables; a connection that may be kept");
	forward_end(&f);
	backend_close(&k);
}

/* Parameters of so many bytes; more than a record holds go into several. */
static void
test_params(size_t size)
{
	char *text = must(malloc(size + 3)), *list[] = { text, NULL };
	struct forward_request r = { .file = -1 };
	struct buf params;
	struct span rest, content;
	struct field pair;
	unsigned type = 0, id = 0, bad = 0;
	struct backend k;
	struct forward f;

	memset(text, 'x', size + 2);
	text[1] = '=';
	text[size + 2] = '\0';
	r.params = params_of(list);
	backend_open(&k, false, 0);
	ok(forward_start(&f, k.b, &r) == REASON_OK, "a value of %zu bytes",
	    size);
	let_in(&k);
	while (f.h.owes || !is_quiet(k.fd)) {
		f.h.way->flush(&f.h);
		listen_some(&k, 1 << 20);
	}
	rest = buf_span(&k.heard);
	talk_cut(&rest, &type, &id, &content);
	buf_init(&params, TALK_MAX);
	while (talk_cut(&rest, &type, &id, &content) && content.n > 0) {
		bad += type != WIRE_PARAMS || id != 1;
		buf_add_span(&params, content);
	}
	bad += type != WIRE_PARAMS || rest.n != 8;
	content = buf_span(&params);
	ok(bad == 0 && wire_pair(&content, &pair) && content.n == 0 &&
		pair.value.n == size,
	    "… is whole, in as many records as it needs");
	forward_end(&f);
	backend_close(&k);
	buf_free(&params);
	free(text);
}

/* More than the front itself would ever take. */
static void
test_params_too_long(void)
{
	size_t size = 1 << 20;
	char *text = must(malloc(size + 1)), *list[] = { text, NULL };
	struct forward_request r = { .file = -1 };
	struct backend k;
	struct forward f;

	memset(text, 'x', size);
	text[1] = '=';
	text[size] = '\0';
	r.params = params_of(list);
	backend_open(&k, false, 0);
	ok(forward_start(&f, k.b, &r) == REASON_OVERLOADED && *f.h.note != '\0',
	    "a megabyte of parameters: %s", f.h.note);
	let_in(&k);
	ok(is_closed(&k), "… and nobody is asked");
	backend_close(&k);
	free(text);
}

/* --- bodies --- */

static void
test_small_body(void)
{
	struct backend k;
	struct forward f;

	backend_open(&k, false, 0);
	f = start(&k, true);
	let_in(&k);
	ok(give(&f, SPAN("hello")) == 5 && give(&f, SPAN(" you")) == 4 &&
		is_quiet(k.fd),
	    "a small body waits for its head");
	f.h.way->give_end(&f.h);
	calls = 0;
	ok(flush(&f) && calls == 1, "… and all goes out in one call");
	hears(&k, HEAD " stdin:1:hello stdin:1: you stdin:1", "… in order");
	forward_end(&f);
	f = start(&k, true);
	hang_up(&k);
	let_in(&k);
	ok(flush(&f), "a head alone");
	hears(&k, HEAD, "… which leaves the body open");
	ok(!f.h.owes && give(&f, SPAN("hello")) == 5, "a body behind it");
	hears(&k, "stdin:1:hello", "… goes out at once");
	f.h.way->give_end(&f.h);
	ok(f.h.owes && flush(&f), "its end is owed");
	hears(&k, "stdin:1", "… and then sent");
	forward_end(&f);
	backend_close(&k);
}

static char text[1 << 20];

static void
fill_text(void)
{
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 31 % 251);
}

/* The body in the records that have come; -1 where they are out of order. */
static ssize_t
body_heard(const struct backend *k, struct buf *out)
{
	struct span rest = buf_span(&k->heard), content;
	unsigned type = 0, id, last = 0;
	bool ended = false;

	while (talk_cut(&rest, &type, &id, &content)) {
		if (ended || id != 1 || type < last)
			return -1;
		last = type;
		if (type == WIRE_STDIN)
			buf_add_span(out, content);
		ended = type == WIRE_STDIN && content.n == 0;
	}
	return rest.n == 0 && ended ? (ssize_t)out->n : -1;
}

/*
 * A body of so many bytes, given in pieces, to a socket that takes `takes` at
 * a time; the backend reads a little whenever nothing more goes.
 */
static void
test_streamed(size_t size, size_t piece, size_t takes, bool small_buffer)
{
	struct span rest = { text, size };
	unsigned waits = 0, little = 1;
	struct backend k;
	struct forward f;
	struct buf got;

	backend_open(&k, false, 0);
	f = start(&k, true);
	let_in(&k);
	if (small_buffer)
		setsockopt(f.h.in, SOL_SOCKET, SO_SNDBUF, &little,
		    sizeof(little));
	most = takes;
	now_and_then = takes != SIZE_MAX;
	while (rest.n > 0) {
		struct span s = { rest.p, rest.n < piece ? rest.n : piece };
		ssize_t n = give(&f, s);

		if (n == -1 && errno != EAGAIN)
			break;
		waits += n == -1;
		rest = span_skip(rest, n == -1 ? 0 : (size_t)n);
		if (n <= 0)
			listen_some(&k, 700);
		f.h.way->flush(&f.h);
	}
	f.h.way->give_end(&f.h);
	while (f.h.owes) {
		f.h.way->flush(&f.h);
		listen_some(&k, 700);
	}
	while (listen_some(&k, 65536))
		;
	most = SIZE_MAX;
	now_and_then = false;
	buf_init(&got, TALK_MAX);
	ok(body_heard(&k, &got) == (ssize_t)size &&
		memcmp(got.p, text, size) == 0,
	    "a body of %zu bytes in pieces of %zu, at most %zu at once", size,
	    piece, takes);
	ok(waits > 0 || size <= SMALL, "… waited for %u times", waits);
	buf_free(&got);
	forward_end(&f);
	backend_close(&k);
}

/* What is owed goes out first: that nothing of the body moved is no wait. */
static void
test_owed_first(void)
{
	struct span body = { text, SMALL + 1 };
	struct backend k;
	struct forward f;
	struct buf got;
	size_t owed;
	ssize_t n;

	backend_open(&k, false, 0);
	f = start(&k, true);
	let_in(&k);
	owed = f.owed.n;
	most = 10;
	now_and_then = true;
	turn = 0;
	errno = 0;
	n = give(&f, body);
	ok(n == -1 && errno == EAGAIN && f.owed.n == owed,
	    "a body behind a head, while nothing moves");
	n = give(&f, body);
	ok(n == 0 && f.owed.n == owed - 10 && f.h.owes,
	    "… while no more than a part of the head does: %zd", n);
	most = SIZE_MAX;
	now_and_then = false;
	n = give(&f, body);
	ok(n == (ssize_t)body.n && !f.h.owes, "… once all of it has");
	f.h.way->give_end(&f.h);
	flush(&f);
	while (listen_some(&k, 65536))
		;
	buf_init(&got, TALK_MAX);
	ok(body_heard(&k, &got) == (ssize_t)body.n &&
		memcmp(got.p, text, body.n) == 0,
	    "… and the body is whole");
	buf_free(&got);
	forward_end(&f);
	backend_close(&k);
}

/* A body that lies in a file, whole [E36]. */
static void
test_file(size_t size, bool small_buffer)
{
	const char *path = in_folder("body");
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const struct forward_request r = { .params = params_of(vars),
		.file = fd,
		.length = size };
	struct backend k;
	struct forward f;
	struct buf got;
	size_t peak = 0;
	int little = 1;

	if (write(fd, text, size) != (ssize_t)size ||
	    write(fd, "behind", 6) != 6 || lseek(fd, 0, SEEK_SET) == -1)
		bail();
	backend_open(&k, false, 0);
	forward_start(&f, k.b, &r);
	let_in(&k);
	if (small_buffer)
		setsockopt(f.h.in, SOL_SOCKET, SO_SNDBUF, &little,
		    sizeof(little));
	while (f.h.owes) {
		f.h.way->flush(&f.h);
		peak = f.owed.n > peak ? f.owed.n : peak;
		listen_some(&k, 100000);
	}
	while (listen_some(&k, 65536))
		;
	buf_init(&got, TALK_MAX);
	ok(body_heard(&k, &got) == (ssize_t)size &&
		memcmp(got.p == NULL ? "" : got.p, text, size) == 0,
	    "a file of %zu bytes%s", size,
	    small_buffer ? ", little by little" : "");
	buf_free(&got);
	forward_end(&f);
	ok(fcntl(fd, F_GETFD) != -1 && peak <= 2 * SMALL + 1024,
	    "… which stays the caller's, and is not held in memory");
	backend_close(&k);
	close(fd);
}

/* A file that is shorter than it was: no body that ends early is sent. */
static void
test_file_cut(void)
{
	int fd = open(in_folder("body"), O_RDWR | O_TRUNC | O_CLOEXEC);
	const struct forward_request r = { .params = params_of(vars),
		.file = fd,
		.length = 3 * SMALL };
	struct backend k;
	struct buf got;
	struct forward f;
	struct answer a;

	if (write(fd, text, 2 * SMALL) != 2 * SMALL ||
	    lseek(fd, 0, SEEK_SET) == -1)
		bail();
	backend_open(&k, false, 1);
	forward_start(&f, k.b, &r);
	let_in(&k);
	ok(flush(&f) && f.h.ready, "a file that is cut off");
	while (listen_some(&k, 65536))
		;
	buf_init(&got, TALK_MAX);
	ok(body_heard(&k, &got) == -1 && got.n <= 2 * SMALL,
	    "… is not made to look whole");
	buf_free(&got);
	answer_init(&a, 100);
	answer_take(&a, &f.h);
	ok(a.over && a.fate.headless == REASON_OVERLOADED &&
		strstr(f.h.note, ": its body cannot be read again") != NULL,
	    "… and says why: %s", f.h.note);
	answer_free(&a);
	forward_end(&f);
	ok(is_closed(&k), "… and the connection is not used again");
	backend_close(&k);
	close(fd);
}

/* --- answers --- */

enum ending { STAYS, CLOSES };

static const struct answer_case {
	const char *name, *said;
	enum ending ending;
	const char *out, *errors;
	bool over;
	enum reason headless, cut;
	int status;
	const char *note; /* behind the address; NULL: none */
} answers[] = {
#define END_OK "end:1:\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
#define END_STATUS(s) "end:1:\\x00\\x00\\x00\\x00" s "\\x00\\x00\\x00"
	{ "nothing as yet", "", STAYS, "", "", false, REASON_OK, REASON_OK, 0,
	    NULL },
	{ "an answer", "stdout:1:Status:\\x0a\\x0abody stdout:1 " END_OK, STAYS,
	    "Status:\n\nbody", "", true, REASON_HANDLER_BAD_ANSWER, REASON_OK,
	    0, NULL },
	{ "an answer without the end of its stream", "stdout:1:ab " END_OK,
	    STAYS, "ab", "", true, REASON_HANDLER_BAD_ANSWER, REASON_OK, 0,
	    NULL },
	{ "split over records (E104)",
	    "stdout:1:Sta stdout:1:t stdout:1:us:\\x0a stdout:1:\\x0ab "
	    "stdout:1 " END_OK,
	    STAYS, "Status:\n\nb", "", true, REASON_HANDLER_BAD_ANSWER,
	    REASON_OK, 0, NULL },
	{ "an empty STDOUT early (E104)",
	    "stdout:1 stdout:1:a stdout:1 stdout:1:b stdout:1 " END_OK, STAYS,
	    "ab", "", true, REASON_HANDLER_BAD_ANSWER, REASON_OK, 0, NULL },
	{ "errors before, between and behind (E103)",
	    "stderr:1:one\\x0a stdout:1:Sta stderr:1:two stdout:1:tus "
	    "stderr:1 stderr:1:three stderr:1:four stdout:1 "
	    "stderr:1:five " END_OK,
	    STAYS, "Status", "one\ntwothreefourfive", true,
	    REASON_HANDLER_BAD_ANSWER, REASON_OK, 0, NULL },
	{ "nothing but errors", "stderr:1:e " END_OK, STAYS, "", "e", true,
	    REASON_HANDLER_BAD_ANSWER, REASON_OK, 0, NULL },
	{ "records of other ids, and of the connection's",
	    "stdout:2:x stderr:2:x end:2:12345678 stdout:0:x end:0:12345678 "
	    "stdout:257:x stdout:1:a result:0:abc unknown:0:12345678 "
	    "end:256:12345678 stdout:1 " END_OK,
	    STAYS, "a", "", true, REASON_HANDLER_BAD_ANSWER, REASON_OK, 0,
	    NULL },
	{ "types that a server does not send",
	    "begin:1:1 params:1:A=b stdin:1:x data:1:x abort:1 77:1:x "
	    "stdout:1:a " END_OK,
	    STAYS, "a", "", true, REASON_HANDLER_BAD_ANSWER, REASON_OK, 0,
	    NULL },
	{ "an answer that stands still", "stdout:1:ab stderr:1:e", STAYS, "ab",
	    "e", false, REASON_OK, REASON_OK, 0, NULL },

	/* its end */
	{ "an exit status (E51)",
	    "stdout:1:a end:1:\\x00\\x00\\x00\\x07\\x00\\x00\\x00\\x00", STAYS,
	    "a", "", true, REASON_HANDLER_DIED, REASON_OK, 7, "exit status 7" },
	{ "… of four bytes", "end:1:\\x01\\x02\\x03\\x04\\x00\\x00\\x00\\x00",
	    STAYS, "", "", true, REASON_HANDLER_DIED, REASON_OK, 0x01020304,
	    "exit status 16909060" },
	{ "… and a negative one",
	    "stdout:1:a end:1:\\xff\\xff\\xff\\xff\\x00\\x00\\x00\\x00", STAYS,
	    "a", "", true, REASON_HANDLER_DIED, REASON_OK, -1,
	    "exit status -1" },
	{ "leftovers in the reserved bytes (E97)",
	    "stdout:1:a end:1:\\x00\\x00\\x00\\x00\\x00abc", STAYS, "a", "",
	    true, REASON_HANDLER_BAD_ANSWER, REASON_OK, 0, NULL },
	{ "overloaded (E102)", END_STATUS("\\x02"), STAYS, "", "", true,
	    REASON_OVERLOADED, REASON_OVERLOADED, 0, "@: overloaded" },
	{ "it cannot multiplex (E102)", END_STATUS("\\x01"), STAYS, "", "",
	    true, REASON_BACKEND_REFUSED, REASON_BACKEND_REFUSED, 0,
	    "@: takes one request at a time" },
	{ "an unknown role (E102)", END_STATUS("\\x03"), STAYS, "", "", true,
	    REASON_BACKEND_REFUSED, REASON_BACKEND_REFUSED, 0,
	    "@: does not serve responders" },
	{ "a status that is none", END_STATUS("\\x04"), STAYS, "", "", true,
	    REASON_BACKEND_REFUSED, REASON_BACKEND_REFUSED, 0,
	    "@: does not serve responders" },
	{ "overloaded in the middle", "stdout:1:ab " END_STATUS("\\x02"), STAYS,
	    "ab", "", true, REASON_OVERLOADED, REASON_OVERLOADED, 0,
	    "@: overloaded" },
	{ "a short end", "stdout:1:a end:1:\\x00\\x00\\x00\\x00\\x00", STAYS,
	    "a", "", true, REASON_HANDLER_BAD_ANSWER, REASON_HANDLER_BAD_ANSWER,
	    0, "@: what it says is no FastCGI" },
	{ "an empty end", "stdout:1:a end:1", STAYS, "a", "", true,
	    REASON_HANDLER_BAD_ANSWER, REASON_HANDLER_BAD_ANSWER, 0,
	    "@: what it says is no FastCGI" },
	{ "a long end",
	    "stdout:1:a end:1:\\x00\\x00\\x00\\x03\\x00\\x00\\x00\\x00xyz",
	    STAYS, "a", "", true, REASON_HANDLER_DIED, REASON_OK, 3,
	    "exit status 3" },
	{ "more behind the end", END_OK " stdout:1:x stderr:1:x " END_OK, STAYS,
	    "", "", true, REASON_HANDLER_BAD_ANSWER, REASON_OK, 0, NULL },

	/* it goes */
	{ "closed before a word (E102)", "", CLOSES, "", "", true,
	    REASON_BACKEND_REFUSED, REASON_HANDLER_DIED, 0,
	    "@: closed the connection" },
	{ "… but for errors", "stderr:1:e", CLOSES, "", "e", true,
	    REASON_BACKEND_REFUSED, REASON_HANDLER_DIED, 0,
	    "@: closed the connection" },
	{ "… with an empty STDOUT", "stdout:1", CLOSES, "", "", true,
	    REASON_BACKEND_REFUSED, REASON_HANDLER_DIED, 0,
	    "@: closed the connection" },
	{ "closed in the header block", "stdout:1:Sta", CLOSES, "Sta", "", true,
	    REASON_HANDLER_DIED, REASON_HANDLER_DIED, 0,
	    "@: closed the connection" },
	{ "closed behind its stream, without an end", "stdout:1:ab stdout:1",
	    CLOSES, "ab", "", true, REASON_HANDLER_DIED, REASON_HANDLER_DIED, 0,
	    "@: closed the connection" },
	{ "closed behind its end", "stdout:1:ab " END_OK, CLOSES, "ab", "",
	    true, REASON_HANDLER_BAD_ANSWER, REASON_OK, 0, NULL },
};

/* Names the backend where the note does. */
static bool
is_note(const struct backend *k, const char *got, const char *want)
{
	char whole[400];

	snprintf(whole, sizeof(whole), "%.200s%s",
	    want == NULL || *want != '@' ? "" : k->address,
	    want == NULL     ? "" :
		*want == '@' ? want + 1 :
			       want);
	return strcmp(got, whole) == 0;
}

static bool
is_answer(const struct answer *a, const struct answer_case *c)
{
	return !a->wrong && a->over == c->over &&
	    span_eq(buf_span(&a->out), span_of(c->out)) &&
	    span_eq(buf_span(&a->errors), span_of(c->errors)) &&
	    (!a->over ||
		(a->fate.headless == c->headless && a->fate.cut == c->cut));
}

/* One way to split it. */
static bool
answers_so(struct backend *k, const struct answer_case *c, struct span said,
    size_t cut, size_t room)
{
	struct forward f = start(k, false);
	struct answer a;
	bool same;

	let_in(k);
	flush(&f);
	answer_init(&a, room);
	say_bytes(k, (struct span){ said.p, cut });
	answer_take(&a, &f.h);
	say_bytes(k, span_skip(said, cut));
	if (c->ending == CLOSES)
		hang_up(k);
	answer_take(&a, &f.h);
	same = is_answer(&a, c) && f.h.status == c->status &&
	    is_note(k, f.h.note, c->over ? c->note : NULL);
	if (!same)
		printf("# cut %zu room %zu wrong %d over %d: %s, %s, status "
		       "%d, %s\n# out: %.*s\n# errors: %.*s\n",
		    cut, room, a.wrong, a.over, reason_word(a.fate.headless),
		    reason_word(a.fate.cut), f.h.status, f.h.note, (int)a.out.n,
		    a.out.p, (int)a.errors.n, a.errors.p);
	answer_free(&a);
	forward_end(&f);
	hang_up(k);
	return same;
}

/* Cut at every byte, with padding, into small rooms: always the same. */
static void
test_answer(struct backend *k, const struct answer_case *c)
{
	static const unsigned paddings[] = { 0, 1, 7, 255 };
	bool same = true;

	for (size_t p = 0; p < 4; p++) {
		struct buf said;

		buf_init(&said, TALK_MAX);
		talk_add(&said, c->said, paddings[p]);
		for (size_t cut = 0; same && cut <= said.n; cut++) {
			same =
			    answers_so(k, c, buf_span(&said), cut, ANSWER_ROOM);
			if (paddings[p] > 7)
				cut += 37;
		}
		for (size_t room = 1; same && room < 20; room++)
			same = answers_so(k, c, buf_span(&said), said.n, room);
		buf_free(&said);
	}
	ok(same, "%s", c->name);
}

/* Bytes that are no FastCGI, alone and behind some that are. */
static void
test_garbage(struct backend *k)
{
	static const struct answer_case bad = { .said = "",
		.out = "",
		.errors = "",
		.over = true,
		.headless = REASON_HANDLER_BAD_ANSWER,
		.cut = REASON_HANDLER_BAD_ANSWER,
		.note = "@: what it says is no FastCGI" };
	const struct span said[] = {
		SPAN("HTTP/1.1 400 Bad Request\r\n\r\n"),
		SPAN("\0\6\0\1\0\1\0\0a"),
		SPAN("\2\6\0\1\0\1\0\0a"),
		SPAN("\x15\3\1\0\2\2\50\0"),
		SPAN("\1\7\0\2\0\1\0\0aContent-Type: text/html\r\n"),
	};

	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		bool same = true;

		for (size_t cut = 0; same && cut <= said[i].n; cut++)
			same = answers_so(k, &bad, said[i], cut, 50);
		ok(same, "no FastCGI, %zu", i);
	}
}

/* Half a record, and gone. */
static void
test_half_record(struct backend *k)
{
	static const struct answer_case gone = { .ending = CLOSES,
		.out = "a",
		.errors = "",
		.over = true,
		.headless = REASON_HANDLER_DIED,
		.cut = REASON_HANDLER_DIED,
		.note = "@: closed the connection" };
	struct buf b = talk("stdout:1:ab");

	ok(answers_so(k, &gone, (struct span){ b.p, b.n - 1 }, 3, 100),
	    "closed within a record");
	buf_free(&b);
}

/* Pieces of a long answer, many records at once, stay in the caller's room. */
static void
test_long_answer(struct backend *k)
{
	struct forward f = ask(k, HEAD " stdin:1");
	struct buf said;
	struct answer a;

	buf_init(&said, TALK_MAX);
	for (size_t at = 0, n = 1; at < sizeof(text); at += n, n = n * 7 % 9001)
		talk_record(&said, WIRE_STDOUT, 1,
		    (struct span){ text + at,
			sizeof(text) - at < n ? sizeof(text) - at : n },
		    n % 256);
	talk_add(&said, END_OK, 0);
	answer_init(&a, ANSWER_ROOM);
	for (struct span rest = buf_span(&said); rest.n > 0;) {
		size_t n = rest.n < 30000 ? rest.n : 30000;

		say_bytes(k, (struct span){ rest.p, n });
		rest = span_skip(rest, n);
		answer_take(&a, &f.h);
	}
	ok(a.over && !a.wrong && a.out.n == sizeof(text) &&
		memcmp(a.out.p, text, sizeof(text)) == 0,
	    "a long answer");
	answer_free(&a);
	buf_free(&said);
	forward_end(&f);
	hang_up(k);
}

/* --- nobody there --- */

/* Flushes until it is known; then the handler's end says so. */
static void
is_refused(struct forward *f, const char *name, enum reason why,
    const char *note)
{
	struct answer a;

	flush(f);
	answer_init(&a, 100);
	if (!f->h.ready)
		io_wait(f->h.out, POLLIN, io_now() + LONG);
	answer_take(&a, &f->h);
	ok(a.over && a.fate.headless == why && strstr(f->h.note, note) != NULL,
	    "%s: %s", name, f->h.note);
	answer_free(&a);
	forward_end(f);
}

static void
test_refused_unix(void)
{
	const struct forward_request r = { .params = params_of(vars),
		.file = -1 };
	struct backend k;
	struct forward f;

	backend_open(&k, false, 0);
	close(k.listener);
	k.listener = -1;
	ok(forward_start(&f, k.b, &r) == REASON_BACKEND_REFUSED &&
		strstr(f.h.note, k.address) == f.h.note &&
		strstr(f.h.note, ": Connection refused") != NULL,
	    "a socket that nobody listens on: %s", f.h.note);
	remove(in_folder("backend"));
	ok(forward_start(&f, k.b, &r) == REASON_BACKEND_REFUSED &&
		strstr(f.h.note, ": No such file or directory") != NULL,
	    "no socket: %s", f.h.note);
	folder_file("backend", "", 0600);
	ok(forward_start(&f, k.b, &r) == REASON_BACKEND_REFUSED,
	    "a file that is none: %s", f.h.note);
	remove(in_folder("backend"));
	backend_close(&k);
}

static void
test_refused_tcp(void)
{
	const struct forward_request r = { .params = params_of(vars),
		.file = -1 };
	struct backend k;
	struct forward f;
	enum reason why;

	backend_open(&k, true, 0);
	close(k.listener);
	k.listener = -1;
	why = forward_start(&f, k.b, &r);
	if (why == REASON_OK)
		is_refused(&f, "a port that nobody listens on",
		    REASON_BACKEND_REFUSED, ": Connection refused");
	else
		ok(why == REASON_BACKEND_REFUSED, "a port: %s", f.h.note);
	backend_close(&k);
}

/* A connection that breaks before anything could be sent. */
static void
test_reset(void)
{
	struct linger now = { 1, 0 };
	struct backend k;
	struct forward f;
	struct answer a;

	backend_open(&k, true, 0);
	f = start(&k, false);
	let_in(&k);
	flush(&f);
	setsockopt(k.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	hang_up(&k);
	a = answer_of(&f, 100);
	ok(a.over && a.fate.headless == REASON_BACKEND_REFUSED &&
		a.fate.cut == REASON_HANDLER_DIED,
	    "a connection that is reset: %s", f.h.note);
	answer_free(&a);
	forward_end(&f);
	backend_close(&k);
}

/* E30: it answers, and reads no more; the answer counts all the same. */
static void
test_answers_early(void)
{
	struct backend k;
	struct forward f;
	struct answer a;

	backend_open(&k, false, 1);
	f = start(&k, true);
	let_in(&k);
	flush(&f);
	say(&k, "stdout:1:no " END_OK);
	hang_up(&k);
	errno = 0;
	ok(give(&f, (struct span){ text, 20000 }) == -1 && errno != EAGAIN &&
		!f.h.owes && f.h.ready,
	    "a backend that reads no more");
	ok(give(&f, SPAN("x")) == -1 && errno == EPIPE, "… for good");
	f.h.way->give_end(&f.h);
	ok(!f.h.owes && !f.h.way->flush(&f.h), "… nor the end");
	answer_init(&a, 100);
	answer_take(&a, &f.h);
	ok(a.over && span_eq(buf_span(&a.out), SPAN("no")) &&
		a.fate.cut == REASON_OK && *f.h.note == '\0',
	    "… but its answer is whole");
	answer_free(&a);
	forward_end(&f);
	f = start(&k, false);
	ok(knocks(&k), "… and its connection is not used again");
	forward_end(&f);
	backend_close(&k);
}

/* Requests until one finds the queue full; how many that is. */
static size_t
fill_queue(struct backend *k, struct forward f[], size_t n)
{
	listen(k->listener, 0);
	for (size_t i = 0; i < n; i++) {
		f[i] = start(k, true);
		if (f[i].h.in == -1)
			return i + 1;
	}
	printf("Bail out! the queue has no end\n");
	exit(1);
}

enum { QUEUE = 8 };

/* E105: a queue that is full is waited for. */
static void
test_backlog(void)
{
	struct forward f[QUEUE], *last;
	struct backend k;
	size_t n;

	backend_open(&k, false, 0);
	n = fill_queue(&k, f, QUEUE);
	last = &f[n - 1];
	ok(n > 1 && last->h.out == -1 && last->h.owes, "a full queue: %zu fit",
	    n - 1);
	ok(!last->h.way->flush(&last->h) && last->h.owes &&
		give(last, SPAN("body")) == 4,
	    "… and nothing is lost meanwhile");
	last->h.way->give_end(&last->h);
	ok(!last->h.way->flush(&last->h) && last->h.owes && !last->h.ready,
	    "… however often it is tried");
	let_in(&k);
	ok(last->h.way->flush(&last->h) && !last->h.owes && last->h.in != -1 &&
		last->h.in == last->h.out,
	    "… until there is a place");
	for (size_t i = 0; i + 1 < n; i++) {
		hang_up(&k);
		let_in(&k);
		forward_end(&f[i]);
	}
	hears(&k, HEAD " stdin:1:body stdin:1", "… and then it is whole");
	forward_end(last);
	backend_close(&k);
}

/* One that waits for a place is given up. */
static void
test_backlog_ends(void)
{
	struct forward f[QUEUE];
	struct backend k;
	size_t n;

	backend_open(&k, false, 0);
	n = fill_queue(&k, f, QUEUE);
	f[n - 1].h.way->stop(&f[n - 1].h, SIGTERM);
	forward_end(&f[n - 1]);
	for (size_t i = 0; i + 1 < n; i++) {
		hang_up(&k);
		let_in(&k);
		forward_end(&f[i]);
	}
	ok(!knocks(&k), "one that was given up does not come");
	backend_close(&k);
}

/* A backend that goes away while it is waited for. */
static void
test_backlog_gone(void)
{
	struct forward f[QUEUE];
	struct backend k;
	size_t n;

	backend_open(&k, false, 0);
	n = fill_queue(&k, f, QUEUE);
	close(k.listener);
	k.listener = -1;
	f[n - 1].h.way->flush(&f[n - 1].h);
	is_refused(&f[n - 1], "a full queue of a backend that goes",
	    REASON_BACKEND_REFUSED, ": Connection refused");
	for (size_t i = 0; i + 1 < n; i++)
		forward_end(&f[i]);
	backend_close(&k);
}

/* E81: no descriptor when there is a place, which is no fault of its own. */
static void
test_backlog_descriptors(void)
{
	struct forward f[QUEUE];
	struct rlimit old, none;
	struct backend k;
	size_t n;

	backend_open(&k, false, 0);
	n = fill_queue(&k, f, QUEUE);
	getrlimit(RLIMIT_NOFILE, &old);
	none = (struct rlimit){ 3, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	f[n - 1].h.way->flush(&f[n - 1].h);
	setrlimit(RLIMIT_NOFILE, &old);
	is_refused(&f[n - 1], "a full queue, and then no descriptor",
	    REASON_OVERLOADED, ": Too many open files");
	for (size_t i = 0; i + 1 < n; i++)
		forward_end(&f[i]);
	backend_close(&k);
}

/* E81 */
static void
test_no_descriptors(void)
{
	const struct forward_request r = { .params = params_of(vars),
		.file = -1 };
	struct rlimit old, none;
	struct backend k;
	struct forward f;
	enum reason why;

	backend_open(&k, false, 0);
	getrlimit(RLIMIT_NOFILE, &old);
	none = (struct rlimit){ 3, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	why = forward_start(&f, k.b, &r);
	setrlimit(RLIMIT_NOFILE, &old);
	ok(why == REASON_OVERLOADED &&
		strstr(f.h.note, "Too many open files") != NULL,
	    "no descriptor: %s", f.h.note);
	backend_close(&k);
}

/* What is said at the start [SPEC 6.7]. */
static void
test_fault(bool tcp)
{
	struct forward f[QUEUE];
	struct backend k;
	const char *fault;
	size_t n;

	backend_open(&k, tcp, 0);
	ok(forward_fault(k.address, io_now() + LONG) == NULL,
	    "somebody listens: %s", tcp ? "TCP" : "a Unix socket");
	hang_up(&k);
	let_in(&k);
	ok(is_closed(&k), "… and is not asked anything");
	if (!tcp) {
		n = fill_queue(&k, f, QUEUE);
		ok(forward_fault(k.address, io_now() + LONG) == NULL,
		    "… nor does a full queue matter");
		while (n-- > 0)
			forward_end(&f[n]);
	}
	close(k.listener);
	k.listener = -1;
	fault = forward_fault(k.address, io_now() + LONG);
	ok(fault != NULL && strcmp(fault, "Connection refused") == 0,
	    "nobody does");
	ok(forward_fault("unix:/nonexistent/x", LONG) != NULL &&
		forward_fault("localhost:9000", LONG) != NULL,
	    "… nor at what is no address");
	backend_close(&k);
}

static void
test_addresses(void)
{
	static const char *const bad[] = { "", "unix:run/x", "localhost:9000",
		"127.0.0.1", "fcgi://127.0.0.1:9000" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		errno = 0;
		ok(forward_backend_new(bad[i], 0) == NULL && errno == EINVAL,
		    "no address: '%s'", bad[i]);
	}
	forward_backend_free(NULL);
}

/* --- connections that are kept --- */

/* A whole answer is taken; the connection is then as it should be. */
static void
finish(struct backend *k, struct forward *f, const char *words)
{
	struct answer a;

	say(k, words);
	a = answer_of(f, 100);
	if (!a.over)
		printf("# not over\n");
	answer_free(&a);
	forward_end(f);
}

static void
test_kept(void)
{
	struct backend k;
	struct forward f;

	backend_open(&k, false, 1);
	f = ask(&k, KEPT " stdin:1");
	finish(&k, &f, "stdout:1:a stdout:1 " END_OK);
	ok(f.h.in == -1 && f.h.out == -1 && is_quiet(k.fd),
	    "a connection is kept");
	f = start(&k, true);
	ok(!knocks(&k) && f.h.in != -1, "… and used again");
	ok(give(&f, SPAN("x")) == 1, "… by a request with a body");
	f.h.way->give_end(&f.h);
	flush(&f);
	hears(&k, KEPT " stdin:1:x stdin:1", "… of its own");
	finish(&k, &f,
	    "stdout:1:b end:1:\\x00\\x00\\x00\\x09\\x00\\x00\\x00\\x00");
	f = start(&k, false);
	ok(!knocks(&k), "… and again, whatever the exit status was");
	flush(&f);
	forward_end(&f);
	hears(&k, KEPT " stdin:1 abort:1", "given up: it is told so (4.8)");
	ok(is_closed(&k), "… and its connection is closed");
	f = start(&k, false);
	ok(knocks(&k), "a new one");
	forward_end(&f);
	backend_close(&k);
}

/* Padding behind the end is no part of another record. */
static void
test_kept_padding(void)
{
	enum { PADDING = 7 };
	static const size_t late[] = { 0, 1, PADDING };
	struct buf said;
	struct backend k;
	struct forward f;
	struct answer a;

	buf_init(&said, TALK_MAX);
	talk_add(&said, "stdout:1:a stdout:1 " END_OK, PADDING);
	backend_open(&k, false, 1);
	for (size_t i = 0; i < sizeof(late) / sizeof(late[0]); i++) {
		f = ask(&k, KEPT " stdin:1");
		say_bytes(&k, (struct span){ said.p, said.n - late[i] });
		a = answer_of(&f, 100);
		ok(a.over && !a.wrong && a.fate.cut == REASON_OK &&
			span_eq(buf_span(&a.out), SPAN("a")),
		    "an end with padding, of which %zu come later", late[i]);
		answer_free(&a);
		forward_end(&f);
		if (late[i] > 0)
			ok(is_closed(&k), "… not kept: they would come next");
		else
			ok(is_quiet(k.fd), "… kept");
		f = start(&k, false);
		ok(knocks(&k) == (late[i] > 0), "… the next request");
		if (late[i] > 0) {
			hang_up(&k);
			let_in(&k);
		}
		flush(&f);
		hears(&k, KEPT " stdin:1", "… is whole");
		say_bytes(&k, buf_span(&said));
		a = answer_of(&f, 100);
		ok(a.over && span_eq(buf_span(&a.out), SPAN("a")),
		    "… and so is its answer");
		answer_free(&a);
		f.broken = true; /* so that each begins with a new one */
		forward_end(&f);
		hang_up(&k);
	}
	buf_free(&said);
	backend_close(&k);
}

/* What makes a connection useless for another request. */
static void
test_not_kept(void)
{
	static const struct {
		const char *name, *said;
	} cases[] = {
		{ "one that is overloaded", END_STATUS("\\x02") },
		{ "one of another role", END_STATUS("\\x03") },
		{ "more behind the end", END_OK " stdout:1:x" },
		{ "a short end", "end:1:\\x00" },
	};
	struct backend k;
	struct forward f;

	backend_open(&k, false, 4);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f = ask(&k, KEPT " stdin:1");
		finish(&k, &f, cases[i].said);
		ok(is_closed(&k), "not kept: %s", cases[i].name);
		hang_up(&k);
	}
	f = ask(&k, KEPT " stdin:1");
	say_bytes(&k, SPAN("HTTP/1.1 200 OK"));
	finish(&k, &f, "");
	ok(is_closed(&k), "not kept: one that is no FastCGI");
	hang_up(&k);
	f = ask(&k, KEPT " stdin:1");
	f.h.way->stop(&f.h, SIGTERM);
	finish(&k, &f, "stdout:1:a " END_OK);
	ok(hears(&k, "abort:1", "one that was told to stop") && is_closed(&k),
	    "not kept: nobody knows whether that came too late");
	hang_up(&k);
	f = start(&k, true);
	let_in(&k);
	flush(&f);
	finish(&k, &f, "stdout:1:a " END_OK);
	ok(listen_some(&k, 1000) && !is_quiet(k.fd),
	    "not kept: one that has answered before the body was whole");
	hang_up(&k);
	backend_close(&k);
	backend_open(&k, false, 0);
	f = ask(&k, HEAD " stdin:1");
	finish(&k, &f, "stdout:1:a " END_OK);
	ok(is_closed(&k), "none is kept where none is to be (E105)");
	backend_close(&k);
}

/* Idle connections that have gone bad are passed over. */
static void
test_stale(void)
{
	enum { N = 3 };
	struct forward f[N];
	int fd[N];
	struct backend k;

	backend_open(&k, false, N);
	for (size_t i = 0; i < N; i++) {
		f[i] = ask(&k, KEPT " stdin:1");
		fd[i] = k.fd;
		k.fd = -1;
	}
	for (size_t i = 0; i < N; i++) {
		k.fd = fd[i];
		finish(&k, &f[i], "stdout:1:a " END_OK);
	}
	k.fd = -1;
	close(fd[2]); /* the last one that was used is the first again */
	fd[2] = -1;
	k.fd = fd[1];
	say(&k, "stdout:1:late");
	f[0] = start(&k, false);
	ok(!knocks(&k) && is_closed(&k), "one is closed, one talks");
	close(fd[1]);
	flush(&f[0]);
	k.fd = fd[0];
	hears(&k, KEPT " stdin:1", "… and the third is used");
	f[1] = start(&k, false);
	ok(knocks(&k), "… and then there is none");
	forward_end(&f[0]);
	forward_end(&f[1]);
	backend_close(&k);
}

/* As many as are wanted are kept, and no more. */
static void
test_bound(void)
{
	enum { N = 5, KEEP = 2 };
	struct forward f[N];
	unsigned open = 0;
	struct backend k;
	int fd[N];

	backend_open(&k, true, KEEP);
	for (size_t i = 0; i < N; i++) {
		f[i] = ask(&k, KEPT " stdin:1");
		fd[i] = k.fd;
		k.fd = -1;
	}
	for (size_t i = 0; i < N; i++) {
		k.fd = fd[i];
		finish(&k, &f[i], "stdout:1:a " END_OK);
		if (i >= KEEP)
			ok(is_closed(&k), "one too many is closed");
	}
	for (size_t i = 0; i < N; i++)
		open += is_quiet(fd[i]);
	ok(open == KEEP, "%u of %d are kept", open, N);
	k.fd = -1;
	forward_backend_free(k.b);
	k.b = NULL;
	for (size_t i = 0; i < N; i++) {
		k.fd = fd[i];
		ok(is_closed(&k), "… until the end");
		hang_up(&k);
	}
	backend_close(&k);
}

/* Another policy is in force: whoever still asks by this one keeps nothing. */
static void
test_retire(void)
{
	struct forward f[2];
	struct backend k;
	int fd[2];

	backend_open(&k, true, 2);
	for (int i = 0; i < 2; i++) {
		f[i] = ask(&k, KEPT " stdin:1");
		fd[i] = k.fd;
	}
	k.fd = fd[0];
	finish(&k, &f[0], "stdout:1:a " END_OK);
	ok(is_quiet(fd[0]), "one is kept, and one goes on");
	forward_backend_retire(k.b);
	ok(is_closed(&k), "… until the backend is retired");
	hang_up(&k);
	k.fd = fd[1];
	finish(&k, &f[1], "stdout:1:a " END_OK);
	ok(is_closed(&k), "… then it ends well, and is not kept");
	hang_up(&k);
	f[0] = ask(&k, KEPT " stdin:1");
	finish(&k, &f[0], "stdout:1:a " END_OK);
	ok(is_closed(&k), "… like those that come later");
	forward_backend_retire(k.b);
	backend_close(&k);
}

/* A kept one breaks just when it is used: nothing is sent twice. */
static void
test_kept_breaks(void)
{
	struct backend k;
	struct forward f;
	struct answer a;

	backend_open(&k, false, 1);
	f = ask(&k, KEPT " stdin:1");
	finish(&k, &f, "stdout:1:a " END_OK);
	f = start(&k, false);
	hang_up(&k);
	flush(&f);
	answer_init(&a, 100);
	answer_take(&a, &f.h);
	ok(a.over && a.out.n == 0 &&
		a.fate.headless == REASON_BACKEND_REFUSED && !knocks(&k),
	    "a kept one that breaks: %s", f.h.note);
	answer_free(&a);
	forward_end(&f);
	backend_close(&k);
}

/* --- giving up (SPEC 4.8) --- */

static void
test_abort(void)
{
	struct backend k;
	struct forward f;

	backend_open(&k, false, 0);
	f = start(&k, true);
	let_in(&k);
	f.h.way->stop(&f.h, SIGTERM);
	ok(is_quiet(k.fd), "before its head: nothing is said");
	flush(&f);
	f.h.way->stop(&f.h, SIGTERM);
	errno = 0;
	ok(give(&f, SPAN("x")) == -1 && errno == EPIPE && !f.h.owes,
	    "one that is told to stop gets nothing more");
	hears(&k, HEAD " abort:1", "between two records: it is told");
	forward_end(&f);
	hang_up(&k);

	f = start(&k, true);
	let_in(&k);
	flush(&f);
	most = 100;
	ok(give(&f, (struct span){ text, 1000 }) == 92, "half a record");
	most = SIZE_MAX;
	f.h.way->stop(&f.h, SIGTERM);
	forward_end(&f);
	while (listen_some(&k, 4096))
		;
	ok(k.heard.n > 100 && memcmp(k.heard.p + k.heard.n - 92, text, 92) == 0,
	    "within a record nothing can be said");
	hang_up(&k);

	f = start(&k, true);
	let_in(&k);
	most = 20;
	f.h.way->flush(&f.h);
	most = SIZE_MAX;
	f.h.way->stop(&f.h, SIGTERM);
	flush(&f);
	forward_end(&f);
	hears(&k, HEAD " abort:1", "nor within the head, until it is out");
	backend_close(&k);
}

/* --- two threads --- */

enum { ROUNDS = 200, THREADS = 2 };

struct thread {
	pthread_t thread;
	struct backend *k;
	unsigned good;
};

static void *
work(void *arg)
{
	const struct forward_request r = { .params = params_of(vars),
		.file = -1 };
	struct thread *t = arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct forward f;
		struct answer a;

		if (forward_start(&f, t->k->b, &r) != REASON_OK)
			break;
		flush(&f);
		answer_init(&a, 100);
		while (!a.over && io_wait(f.h.out, POLLIN, io_now() + LONG) > 0)
			answer_take(&a, &f.h);
		t->good += span_eq(buf_span(&a.out), SPAN("yes"));
		answer_free(&a);
		forward_end(&f);
	}
	return NULL;
}

/* Answers every request; ends when told so. */
static unsigned
serve(struct backend *k, int stop)
{
	struct buf yes = talk("stdout:1:yes " END_OK);
	struct pollfd p[THREADS + 8] = { { .fd = stop, .events = POLLIN },
		{ .fd = k->listener, .events = POLLIN } };
	unsigned accepted = 0, n = 2;
	char bytes[4096];

	while (poll(p, n, LONG) > 0 && p[0].revents == 0) {
		if (p[1].revents != 0 && n < THREADS + 8) {
			p[n++] = (struct pollfd){ .fd = accept4(k->listener,
						      NULL, NULL, SOCK_CLOEXEC),
				.events = POLLIN };
			accepted++;
		}
		for (unsigned i = 2; i < n; i++) {
			ssize_t got;

			if (p[i].fd == -1 || p[i].revents == 0)
				continue;
			got = read(p[i].fd, bytes, sizeof(bytes));
			if (got >= 8 && bytes[got - 7] == WIRE_STDIN)
				send(p[i].fd, yes.p, yes.n, MSG_NOSIGNAL);
			if (got > 0)
				continue;
			close(p[i].fd);
			p[i].fd = -1;
		}
	}
	for (unsigned i = 2; i < n; i++)
		if (p[i].fd != -1)
			close(p[i].fd);
	buf_free(&yes);
	return accepted;
}

struct server {
	pthread_t thread;
	struct backend *k;
	int stop;
	unsigned accepted;
};

static void *
run_server(void *arg)
{
	struct server *s = arg;

	s->accepted = serve(s->k, s->stop);
	return NULL;
}

static void
test_threads(void)
{
	struct thread t[THREADS];
	struct server s;
	struct backend k;
	int fd[2];

	backend_open(&k, false, THREADS);
	if (pipe2(fd, O_CLOEXEC) == -1)
		bail();
	s = (struct server){ .k = &k, .stop = fd[0] };
	pthread_create(&s.thread, NULL, run_server, &s);
	for (int i = 0; i < THREADS; i++) {
		t[i] = (struct thread){ .k = &k };
		pthread_create(&t[i].thread, NULL, work, &t[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i].thread, NULL);
		ok(t[i].good == ROUNDS, "%u answers in one thread", t[i].good);
	}
	close(fd[1]);
	pthread_join(s.thread, NULL);
	ok(s.accepted >= 1 && s.accepted <= THREADS, "… over %u connections",
	    s.accepted);
	close(fd[0]);
	backend_close(&k);
}

static void
test_bodies(void)
{
	static const size_t sizes[] = { 0, 1, 16384, 16385, 65535, 65536,
		1 << 20 };

	test_small_body();
	test_owed_first();
	for (size_t i = 1; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		test_streamed(sizes[i], sizes[i], SIZE_MAX, true);
	test_streamed(70000, 70000, 1, false);
	test_streamed(70000, 16385, 3, false);
	test_streamed(70000, 20000, 7, false);
	test_streamed(200000, 65536, 8, false);
	test_streamed(200000, 65535, 9, false);
	test_streamed(1 << 20, 200000, 4096, true);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		test_file(sizes[i], false);
		test_file(sizes[i], true);
	}
	test_file_cut();
}

static void
test_answers(void)
{
	struct backend k;

	backend_open(&k, false, 0);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		test_answer(&k, &answers[i]);
	test_garbage(&k);
	test_half_record(&k);
	test_long_answer(&k);
	backend_close(&k);
}

int
main(void)
{
	folder_make();
	fill_text();
	test_bytes(false);
	test_bytes(true);
	test_no_vars();
	test_params(65535 - 6);
	test_params(65535 - 5);
	test_params(200000);
	test_params_too_long();
	test_bodies();
	test_answers();
	test_refused_unix();
	test_refused_tcp();
	test_reset();
	test_answers_early();
	test_backlog();
	test_backlog_ends();
	test_backlog_gone();
	test_backlog_descriptors();
	test_no_descriptors();
	test_addresses();
	test_fault(false);
	test_fault(true);
	test_kept();
	test_kept_padding();
	test_not_kept();
	test_stale();
	test_bound();
	test_retire();
	test_kept_breaks();
	test_abort();
	test_threads();
	folder_remove();
	return tap_done();
}
