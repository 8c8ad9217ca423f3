/*
 * conn: one web server at the other end of a socket pair, which says things in
 * pieces, reads slowly, gives requests up, and goes away.
 */
#include "conn.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "talk.h"
#include "tap.h"

enum { STOP = 1000000 }; /* a descriptor that conn never touches */

struct server {
	struct conn c;
	int fd; /* the web server's end */
	struct buf heard;
};

static void
meet(struct server *s)
{
	int fd[2], room = 212992; /* as much as anybody may have */

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == -1)
		bail();
	fcntl(fd[1], F_SETFL, O_NONBLOCK);
	setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	conn_init(&s->c, fd[0], STOP, 80);
	s->fd = fd[1];
	buf_init(&s->heard, TALK_MAX);
}

static void
hang_up(struct server *s)
{
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
}

static void
part(struct server *s)
{
	hang_up(s);
	conn_close(&s->c);
	buf_free(&s->heard);
}

static void
say_bytes(struct server *s, struct span bytes)
{
	while (bytes.n > 0) {
		ssize_t n = write(s->fd, bytes.p, bytes.n);

		if (n <= 0)
			bail();
		bytes = span_skip(bytes, (size_t)n);
	}
}

static void
say(struct server *s, const char *words)
{
	struct buf b = talk(words);

	say_bytes(s, buf_span(&b));
	buf_free(&b);
}

/* Adds what has come to s->heard; how much it was. */
static size_t
listen_some(struct server *s, size_t most)
{
	char *room = must(buf_room(&s->heard, most));
	ssize_t n = read(s->fd, room, most);

	s->heard.n += n > 0 ? (size_t)n : 0;
	return n > 0 ? (size_t)n : 0;
}

/* All that has come up to now is these records. */
static void
hears(struct server *s, const char *want, const char *name)
{
	struct buf shown;

	while (listen_some(s, 65536) > 0)
		;
	buf_init(&shown, TALK_MAX);
	talk_show(&shown, buf_span(&s->heard));
	is_span(buf_span(&shown), want, name);
	buf_clear(&s->heard);
	buf_free(&shown);
}

static enum exchange_input
body(struct server *s, struct span *bytes)
{
	*bytes = (struct span){ NULL, 0 };
	return s->c.x.way->body(&s->c.x, bytes);
}

static void
taken(struct server *s, size_t n)
{
	if (s->c.body.n < n) /* without memory, none has come */
		bail();
	s->c.x.way->taken(&s->c.x, n);
}

static ssize_t
send_span(struct server *s, struct span v)
{
	return s->c.x.way->send(&s->c.x, &v, 1);
}

static void
finish(struct server *s, int status, const char *text)
{
	struct span v = span_of(text);

	s->c.x.way->finish(&s->c.x, status, &v, v.n > 0);
}

/* Is all of the body here, and is it this? */
static bool
body_is(struct server *s, const char *want)
{
	struct span bytes;
	struct buf b;
	bool same;

	buf_init(&b, TALK_MAX);
	while (body(s, &bytes) == EXCHANGE_BYTES) {
		buf_add(&b, bytes.p, 1); /* a byte at a time */
		taken(s, 1);
	}
	same = span_eq(buf_span(&b), span_of(want)) &&
	    body(s, &bytes) == EXCHANGE_END;
	buf_free(&b);
	return same;
}

/* --- heads --- */

static void
test_init(void)
{
	struct server s;

	meet(&s);
	ok(s.c.x.in == s.c.fd && s.c.x.out == s.c.fd && s.c.x.stop == STOP &&
		s.c.x.gone == (POLLRDHUP | POLLHUP) && !s.c.x.cgi &&
		!s.c.x.finished,
	    "an exchange of a socket");
	ok(s.c.x.way->stop_signal(&s.c.x) == SIGTERM,
	    "a handler that is to end gets TERM");
	ok(conn_head(&s.c) == CONN_WAITS && !conn_begun(&s.c),
	    "nothing has come");
	ok(conn_flush(&s.c), "nothing is owed");
	part(&s);
}

static void
test_head(void)
{
	struct buf b = talk("begin:1:1:k params:1:A=b,C=d params:1");
	struct server s;
	size_t early = 0, begun = 0;

	meet(&s);
	for (size_t i = 0; i + 1 < b.n; i++) {
		say_bytes(&s, (struct span){ b.p + i, 1 });
		early += conn_head(&s.c) == CONN_WAITS;
		begun += conn_begun(&s.c);
		conn_rest(&s.c);
	}
	ok(early == b.n - 1 && begun == b.n - 1, "a head in single bytes");
	say_bytes(&s, (struct span){ b.p + b.n - 1, 1 });
	ok(conn_head(&s.c) == CONN_READY, "its last byte");
	buf_clear(&b);
	screen_head(&s.c.screen, &b);
	talk_show(&s.heard, buf_span(&b));
	is_span(buf_span(&s.heard), "begin:1:1:k params:1:A=b,C=d params:1",
	    "what libfcgi is to read");
	buf_free(&b);
	part(&s);
}

static void
test_questions(void)
{
	struct server s;

	meet(&s);
	say(&s, "values:0:FCGI_MAX_CONNS=,FCGI_MAX_REQS= 77:0");
	ok(conn_head(&s.c) == CONN_WAITS && !conn_begun(&s.c),
	    "questions are no head");
	hears(&s,
	    "result:0:FCGI_MAX_CONNS=80,FCGI_MAX_REQS=80 "
	    "unknown:0:M\\x00\\x00\\x00\\x00\\x00\\x00\\x00",
	    "… and are answered at once (E92, E93)");
	say(&s, "begin:1:1:k params:1:A=b begin:2:1:k");
	ok(conn_head(&s.c) == CONN_WAITS, "a second request");
	hears(&s, "end:2:0:1", "… is refused at once (E90)");
	part(&s);
}

static void
test_refused(void)
{
	static const struct {
		const char *said, *heard;
	} cases[] = {
		{ "begin:1:3 params:1", "end:1:0:3" },
		{ "begin:1:9 params:1", "end:1:0:3" },
		{ "begin:1:1 abort:1", "end:1:0:0" },
		{ "begin:1:1 params:1:A=b begin:1:1", "" },
		{ "begin:1:1 stdin:1:x", "" },
	};
	struct server s;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		meet(&s);
		say(&s, cases[i].said);
		ok(conn_head(&s.c) == CONN_OVER, "over: %s", cases[i].said);
		hears(&s, cases[i].heard, "… and its answer");
		part(&s);
	}
	meet(&s);
	say_bytes(&s, SPAN("GET / HTTP/1.1\r\n\r\n"));
	ok(conn_head(&s.c) == CONN_OVER, "no FastCGI (E95)");
	part(&s);
	meet(&s);
	say_bytes(&s, SPAN("\1\1\0\1\0"));
	hang_up(&s);
	ok(conn_head(&s.c) == CONN_OVER, "half a head, and gone (E96)");
	part(&s);
}

/* Others have their turn before a peer that talks without end. */
static void
test_nonsense(void)
{
	static char text[65535];
	struct server s;
	struct buf b;
	struct pollfd p;

	buf_init(&b, TALK_MAX);
	talk_record(&b, WIRE_STDIN, 9, (struct span){ text, sizeof(text) },
	    255);
	for (int i = 0; i < 1000; i++) /* small, so that it ends early */
		talk_record(&b, WIRE_STDIN, 9, SPAN(""), 0);
	meet(&s);
	say_bytes(&s, buf_span(&b));
	ok(conn_head(&s.c) == CONN_WAITS, "records of nobody (E94)");
	p = (struct pollfd){ .fd = s.c.fd, .events = POLLIN };
	ok(poll(&p, 1, 0) == 0 && !conn_begun(&s.c), "… are passed over");
	buf_free(&b);
	part(&s);
}

/* --- bodies --- */

static void
start(struct server *s, const char *words)
{
	meet(s);
	say(s, words);
	if (conn_head(&s->c) != CONN_READY)
		bail();
}

static void
test_body(void)
{
	struct span bytes;
	struct server s;

	start(&s, "begin:1:1:k params:1");
	ok(body(&s, &bytes) == EXCHANGE_WAIT, "a body that has not come");
	say(&s, "stdin:1:hel");
	ok(body(&s, &bytes) == EXCHANGE_BYTES && span_eq(bytes, SPAN("hel")),
	    "a piece");
	taken(&s, 1);
	say(&s, "stdin:1:lo stdin:1");
	ok(body(&s, &bytes) == EXCHANGE_BYTES && span_eq(bytes, SPAN("el")),
	    "what of it was not taken stays");
	ok(body_is(&s, "ello"), "the rest, and its end");
	say(&s, "values:0");
	ok(body(&s, &bytes) == EXCHANGE_END, "behind the end");
	hears(&s, "result:0", "… the server is still heard");
	part(&s);
	start(&s, "begin:1:1 params:1 stdin:1:one stdin:1:two stdin:1");
	ok(body_is(&s, "onetwo"), "a head and its body at once");
	part(&s);
}

static void
test_body_broken(void)
{
	struct span bytes;
	struct server s;

	start(&s, "begin:1:1:k params:1 stdin:1:abc");
	hang_up(&s);
	ok(body(&s, &bytes) == EXCHANGE_BYTES && bytes.n == 3, "a piece");
	taken(&s, 3);
	ok(body(&s, &bytes) == EXCHANGE_GONE && s.c.broken && !s.c.aborted,
	    "the server has gone");
	ok(body(&s, &bytes) == EXCHANGE_GONE, "… for good");
	part(&s);
	start(&s, "begin:1:1:k params:1 params:1");
	ok(body(&s, &bytes) == EXCHANGE_GONE && s.c.broken,
	    "records out of order");
	part(&s);
}

/* E78, in the body and behind it */
static void
test_abort(void)
{
	static const char *const said[] = { "stdin:1:x abort:1",
		"stdin:1:x stdin:1 abort:1", "abort:1" };
	struct span bytes;
	struct server s;

	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		start(&s, "begin:1:1:k params:1");
		say(&s, said[i]);
		while (body(&s, &bytes) == EXCHANGE_BYTES)
			taken(&s, bytes.n);
		ok(s.c.aborted && !s.c.broken, "given up: %s", said[i]);
		ok(conn_drain(&s.c) == CONN_READY, "… no more will come");
		conn_end_aborted(&s.c);
		ok(s.c.x.finished, "… ended");
		hears(&s, "end:1:0:0", "… and told so");
		conn_next(&s.c);
		say(&s,
		    "stdin:1:late stdin:1 begin:2:1 params:2 stdin:2:y "
		    "stdin:2");
		ok(conn_head(&s.c) == CONN_READY && !s.c.x.finished &&
			!s.c.aborted && body_is(&s, "y"),
		    "… and the next one is in step");
		part(&s);
	}
	start(&s, "begin:1:1:k params:1 stdin:1:x stdin:1");
	ok(body_is(&s, "x"), "a whole body");
	say(&s, "abort:1");
	ok(body(&s, &bytes) == EXCHANGE_GONE && s.c.aborted,
	    "given up while its handler runs");
	part(&s);
}

/* --- answers --- */

static void
test_send(void)
{
	const struct span v[] = { SPAN("Status: 200 OK\r\n"), SPAN(""),
		SPAN("\r\n"), SPAN("body") };
	static char text[70000];
	struct span bytes, content;
	unsigned type, id;
	struct server s;

	start(&s, "begin:3:1:k params:3 stdin:3");
	ok(s.c.x.way->send(&s.c.x, v, 4) == 22, "four pieces");
	hears(&s, "stdout:3:Status: 200 OK\\x0d\\x0a\\x0d\\x0abody",
	    "… as one record");
	ok(send_span(&s, SPAN("")) == 0 && s.c.x.way->send(&s.c.x, v, 0) == 0,
	    "nothing");
	hears(&s, "", "… does not end the stream");
	ok(send_span(&s, (struct span){ text, sizeof(text) }) == sizeof(text),
	    "a long piece");
	while (!conn_flush(&s.c) || s.heard.n < sizeof(text) + 16)
		listen_some(&s, 65536);
	bytes = buf_span(&s.heard);
	ok(talk_cut(&bytes, &type, &id, &content) && type == WIRE_STDOUT &&
		content.n == 65535 && talk_cut(&bytes, &type, &id, &content) &&
		type == WIRE_STDOUT && bytes.n == 0,
	    "… is two records");
	part(&s);
}

static void
test_finish(void)
{
	struct server s;

	start(&s, "begin:1:1:k params:1 stdin:1");
	s.c.x.way->error(&s.c.x, SPAN("a line\n"));
	finish(&s, 7, "text");
	ok(s.c.x.finished, "finished");
	hears(&s, "stderr:1:a line\\x0a stdout:1:text stdout:1 end:1:7:0",
	    "an error, the answer, its end and its status (E51)");
	ok(conn_drain(&s.c) == CONN_READY, "the body has come");
	conn_next(&s.c);
	ok(!conn_begun(&s.c), "ready for the next one");
	conn_rest(&s.c);
	ok(s.c.in == NULL && s.c.owed.p == NULL && s.c.screen.params.p == NULL,
	    "an idle one keeps no memory");
	say(&s, "begin:9:1:k params:9 stdin:9");
	ok(conn_head(&s.c) == CONN_READY, "the next one");
	finish(&s, 0, "");
	hears(&s, "stdout:9 end:9:0:0", "… and an answer of nothing");
	part(&s);
}

/* An answer that will not be whole ends without the protocol's end (E52). */
static void
test_cut(void)
{
	struct server s;
	char c;

	start(&s, "begin:1:1:k params:1 stdin:1");
	s.c.x.way->send(&s.c.x, &SPAN("half"), 1);
	s.c.x.way->cut(&s.c.x);
	hears(&s, "stdout:1:half", "what was sent");
	ok(recv(s.fd, &c, 1, MSG_DONTWAIT) == 0, "… and then its end");
	ok(s.c.broken && !s.c.x.finished, "it is of no more use");
	part(&s);
}

/* Two requests in one write: the second waits in memory, not in the socket. */
static void
test_pipelined(void)
{
	struct server s;

	start(&s,
	    "begin:1:1:k params:1 stdin:1:a stdin:1 begin:1:1:k params:1 "
	    "stdin:1:b stdin:1");
	finish(&s, 0, "1");
	ok(conn_drain(&s.c) == CONN_READY && s.c.drained == 1,
	    "the first one's body");
	conn_next(&s.c);
	ok(s.c.unread.n > 0 && conn_head(&s.c) == CONN_READY &&
		s.c.drained == 0 && body_is(&s, "b"),
	    "the second one");
	finish(&s, 0, "2");
	hears(&s, "stdout:1:1 stdout:1 end:1:0:0 stdout:1:2 stdout:1 end:1:0:0",
	    "both answers");
	part(&s);
}

/* It rests with bytes unread, of a body or of what follows, in a lent room. */
static void
test_lent(void)
{
	static char room[CONN_LENT];
	struct span bytes;
	struct server s;

	meet(&s);
	conn_lend(&s.c, room);
	say(&s,
	    "begin:1:1:k params:1:A=b params:1 stdin:1:hello stdin:1 "
	    "begin:1:1:k params:1 stdin:1:again stdin:1");
	ok(conn_head(&s.c) == CONN_READY && s.c.in == room, "a head");
	ok(body(&s, &bytes) == EXCHANGE_BYTES, "a body has begun");
	taken(&s, 2);
	conn_rest(&s.c);
	memset(room, 'x', sizeof(room));
	finish(&s, 0, "1");
	ok(s.c.in != NULL && s.c.in != room &&
		body(&s, &bytes) == EXCHANGE_BYTES,
	    "… and goes on");
	is_span(bytes, "llo", "… when the room is another's");
	ok(conn_drain(&s.c) == CONN_READY, "it is whole");
	conn_next(&s.c);
	conn_rest(&s.c);
	conn_lend(&s.c, room);
	ok(conn_head(&s.c) == CONN_READY && body_is(&s, "again"),
	    "and so does the next request");
	finish(&s, 0, "2");
	conn_next(&s.c);
	say(&s, "begin:1:1:k params:1 stdin:1:third stdin:1");
	ok(conn_head(&s.c) == CONN_READY && s.c.in == room &&
		body_is(&s, "third"),
	    "and what comes after that is read into the room");
	part(&s);
}

/* Sends it all, a reader of `most` bytes at a time at the other end. */
static bool
send_all(struct server *s, struct span rest, size_t most)
{
	unsigned waits = 0;

	while (rest.n > 0) {
		struct span piece = { rest.p, rest.n < 30000 ? rest.n : 30000 };
		ssize_t n;

		errno = 0;
		n = send_span(s, piece);
		if (n == -1 && errno != EAGAIN)
			return false;
		if (n == -1) {
			waits++;
			listen_some(s, most);
			continue;
		}
		rest = span_skip(rest, (size_t)n);
		if (n % 3 == 0)
			s->c.x.way->error(&s->c.x, SPAN("e"));
	}
	return waits > 0;
}

/* The streams in some bytes of records, joined. */
static void
join(struct span bytes, struct buf *text, size_t *errors, size_t *ends)
{
	unsigned type, id;
	struct span content;

	*errors = *ends = 0;
	while (talk_cut(&bytes, &type, &id, &content)) {
		if (type == WIRE_STDOUT)
			buf_add_span(text, content);
		*errors += type == WIRE_STDERR && span_eq(content, SPAN("e"));
		*ends += type == WIRE_END_REQUEST && bytes.n == 0;
	}
}

/* A send buffer that never takes a record whole. */
static void
test_small_buffer(size_t most)
{
	static char text[100000];
	struct server s;
	struct buf got;
	size_t errors, ends;
	int small = 1;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7 % 253);
	start(&s, "begin:1:1:k params:1 stdin:1");
	setsockopt(s.c.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	s.c.wide = true; /* as far as it knows */
	ok(send_all(&s, (struct span){ text, sizeof(text) }, most),
	    "a reader of %zu bytes at a time: it is waited for", most);
	finish(&s, 0, "");
	while (!conn_flush(&s.c))
		listen_some(&s, most);
	while (listen_some(&s, most) > 0)
		;
	buf_init(&got, TALK_MAX);
	join(buf_span(&s.heard), &got, &errors, &ends);
	ok(got.n == sizeof(text) && memcmp(got.p, text, got.n) == 0 &&
		ends == 1,
	    "… and every byte arrives");
	ok(errors > 0, "… and lines of errors between them");
	buf_free(&got);
	part(&s);
}

static int
send_buffer(const struct server *s)
{
	int size = 0;
	socklen_t n = sizeof(size);

	getsockopt(s->c.fd, SOL_SOCKET, SO_SNDBUF, &size, &n);
	return size;
}

/* A large answer gets a larger buffer, a small one is not worth the call. */
static void
test_wide(void)
{
	static char text[300000];
	struct server s;
	int usual;

	start(&s, "begin:1:1:k params:1 stdin:1");
	usual = send_buffer(&s);
	send_span(&s, (struct span){ text, 60000 });
	ok(send_buffer(&s) == usual && !s.c.wide, "an answer that fits");
	send_span(&s, (struct span){ text, sizeof(text) });
	ok(send_buffer(&s) > usual && s.c.wide, "one that does not");
	ok(s.c.x.owes, "… of which something is owed");
	while (listen_some(&s, 65536) > 0)
		;
	ok(s.c.x.way->send(&s.c.x, NULL, 0) == 0 && !s.c.x.owes,
	    "… until it has gone out");
	part(&s);
}

/* A peer that reads nothing costs bounded memory (E79). */
static void
test_deaf(void)
{
	static char text[16000];
	struct server s;
	unsigned type, id, others = 0;
	struct span rest, content;

	start(&s, "begin:1:1:k params:1 stdin:1");
	while (send_span(&s, (struct span){ text, sizeof(text) }) > 0)
		;
	ok(errno == EAGAIN && !s.c.broken, "nothing more is taken");
	for (int i = 0; i < 10000; i++)
		s.c.x.way->error(&s.c.x,
		    (struct span){ text, sizeof(text) / 16 });
	ok(s.c.owed.n <= CONN_OWED_MAX / 2 && !s.c.owed.failed,
	    "lines of errors are lost in the end");
	finish(&s, 1, "the end");
	ok(!conn_flush(&s.c) && s.c.owed.n <= CONN_OWED_MAX && !s.c.owed.failed,
	    "but not the end of an answer");
	while (!conn_flush(&s.c) || listen_some(&s, 65536) > 0)
		listen_some(&s, 65536);
	rest = buf_span(&s.heard);
	while (talk_cut(&rest, &type, &id, &content))
		others += type == WIRE_END_REQUEST && rest.n == 0;
	ok(rest.n == 0 && others == 1, "and all of it is in step");
	part(&s);
}

static void
test_gone(void)
{
	struct server s;

	start(&s, "begin:1:1:k params:1 stdin:1");
	hang_up(&s);
	errno = 0;
	ok(send_span(&s, SPAN("x")) == -1 && errno == EPIPE,
	    "nobody is there to send to");
	s.c.x.way->error(&s.c.x, SPAN("x"));
	finish(&s, 0, "x");
	ok(conn_flush(&s.c) && s.c.broken && s.c.x.finished,
	    "… nor to finish for");
	errno = 0;
	ok(send_span(&s, SPAN("x")) == -1 && errno == EPIPE, "… for good");
	part(&s);
}

/* --- what is left of a body --- */

/* Says as much as the socket takes; what is left. */
static struct span
say_some(struct server *s, struct span rest)
{
	ssize_t n;

	while (rest.n > 0 && (n = write(s->fd, rest.p, rest.n)) > 0)
		rest = span_skip(rest, (size_t)n);
	return rest;
}

/* A body is thrown away; whoever waits for it is woken by the socket. */
static void
test_drain(size_t size)
{
	struct pollfd p;
	struct server s;
	struct buf b;
	struct span rest;
	enum conn_state state = CONN_WAITS;
	bool woken = true;
	char *text = must(calloc(1, size));

	start(&s, "begin:1:1:k params:1");
	finish(&s, 0, "no");
	buf_init(&b, TALK_MAX);
	wire_add(&b, WIRE_STDIN, 1, (struct span){ text, size });
	wire_add_eof(&b, WIRE_STDIN, 1);
	rest = say_some(&s, buf_span(&b));
	while (woken && (state = conn_drain(&s.c)) == CONN_WAITS) {
		rest = say_some(&s, rest);
		p = (struct pollfd){ .fd = s.c.fd, .events = POLLIN };
		woken = poll(&p, 1, 0) == 1;
	}
	ok(woken && state == CONN_READY && s.c.drained == size,
	    "a body of %zu bytes is thrown away", size);
	buf_free(&b);
	free(text);
	part(&s);
}

static void
test_drain_ends(void)
{
	struct server s;

	start(&s, "begin:1:1:k params:1 stdin:1:abc");
	finish(&s, 0, "no");
	ok(conn_drain(&s.c) == CONN_WAITS && s.c.drained == 3,
	    "a body that has not ended");
	say(&s, "stdin:1:de abort:1");
	ok(conn_drain(&s.c) == CONN_READY && s.c.drained == 5,
	    "… and is given up");
	part(&s);
	start(&s, "begin:1:1:k params:1 stdin:1:abc");
	hang_up(&s);
	ok(conn_drain(&s.c) == CONN_OVER && s.c.broken, "… or breaks off");
	part(&s);
}

/* --- the Authorizer role (SPEC 5.2) --- */

/* Its role goes with each request, and with no other. */
static void
test_roles(void)
{
	struct server s;

	start(&s, "begin:1:2:k params:1:A=b params:1");
	ok(s.c.x.authorizer, "an Authorizer, whose body is not waited for");
	finish(&s, 0, "yes");
	hears(&s, "stdout:1:yes stdout:1 end:1:0:0", "… its answer");
	ok(conn_drain(&s.c) == CONN_READY && s.c.drained == 0,
	    "… behind which none is waited for");
	conn_next(&s.c);
	say(&s, "stdin:1 begin:1:1:k params:1:C=d params:1 stdin:1:x stdin:1");
	ok(conn_head(&s.c) == CONN_READY && !s.c.x.authorizer &&
		body_is(&s, "x"),
	    "a Responder is next, and is in step");
	finish(&s, 0, "");
	conn_next(&s.c);
	say(&s, "begin:7:2:k params:7 stdin:7");
	ok(conn_head(&s.c) == CONN_READY && s.c.x.authorizer,
	    "… and an Authorizer again");
	part(&s);
}

/* Without FCGI_KEEP_CONN the end of its body is read, if it comes. */
static void
test_authorizer_ends(void)
{
	struct server s;

	start(&s, "begin:1:2 params:1:A=b params:1");
	finish(&s, 0, "no");
	ok(conn_drain(&s.c) == CONN_WAITS, "one that is not to be kept");
	say(&s, "stdin:1");
	ok(conn_drain(&s.c) == CONN_READY && s.c.drained == 0,
	    "… has ended its body");
	part(&s);
	start(&s, "begin:1:2 params:1:A=b params:1");
	finish(&s, 0, "no");
	hang_up(&s);
	ok(conn_drain(&s.c) == CONN_OVER, "… or has gone");
	part(&s);
}

int
main(void)
{
	static const size_t sizes[] = { 0, 1, 65535, 65536, 262143, 262144,
		262145, 270000, 300000, 1000000 };

	test_init();
	test_head();
	test_questions();
	test_refused();
	test_nonsense();
	test_body();
	test_body_broken();
	test_abort();
	test_send();
	test_finish();
	test_cut();
	test_pipelined();
	test_lent();
	test_small_buffer(50);
	test_small_buffer(1000);
	test_small_buffer(65536);
	test_wide();
	test_deaf();
	test_gone();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		test_drain(sizes[i]);
	test_drain_ends();
	test_roles();
	test_authorizer_ends();
	return tap_done();
}
