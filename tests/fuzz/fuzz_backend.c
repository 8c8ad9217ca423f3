/*
 * The front as the client of a backend that means no good: the input is what
 * that says to each of a few requests, record by record (see play()), while
 * the front reads on.  The answer must be what the reply module alone makes of
 * the same bytes, or an error of the front's own, or visibly cut short.
 */
#include "peer.h"

enum { LONGEST = 4096, SAID_MAX = 1 << 20, REQUESTS = 6, PIECES = 200 };

static struct front front = {
	.policy = "[server]\n"
		  "threads = 2\n"
		  "queue = 0\n"
		  "head_timeout = 100\n"
		  "stop_grace = 100\n"
		  "[policy]\n"
		  "senders = *@company.example\n"
		  "timeout = 100\n"
		  "time_limit = 1000\n"
		  "body_timeout = 100\n"
		  "send_timeout = 100\n"
		  "forward = " FRONT_HIDDEN "\n"
		  "[endpoint plain]\n"
		  "path = /plain\n"
		  "[endpoint kept]\n"
		  "path = /kept\n"
		  "forward_keep = 2\n"
		  "max_header = 2K\n"
		  "[endpoint redirects]\n"
		  "path = /redirects\n"
		  "redirects = pass\n"
		  "forward_keep = 1\n"
		  "expose_headers = X-Mine\n"
		  "[endpoint report]\n"
		  "path = /report\n"
		  "mode = report\n",
};

enum { KEPT = 3 }; /* idle connections that the front may have open */

/* What a handler may say in its header block, and behind it. */
static const char *const texts[] = {
	"\r\n",
	"Status: 200 OK\r\n",
	"Content-Type: application/json\r\n",
	"{\"a\":1}",
	"Content-Length: 7\r\n",
	"Content-Length: 100\n",
	"\n",
	"Access-Control-Allow-Origin: *\r\n",
	"access-control-expose-headers: X-A, *, AMP-Email-Allow-Sender\r\n",
	"AMP-Email-Allow-Sender: evil@evil.example\n",
	"amp-access-control-allow-source-origin: evil@evil.example\r\n",
	"AMP-Redirect-To: https://evil.example\r\n",
	"Location: https://evil.example\r\n",
	"Location: /evil\r\n",
	"Status: 204\r\n",
	"Status: 304 As Before\r\n",
	"Status: 302 Found\r\n",
	"Status: 100\r\n",
	"HTTP/1.1 201 Created\r\n",
	"Vary: Cookie\r\n",
	"Vary: *\r\n",
	"Transfer-Encoding: chunked\r\n",
	"Connection: close, X-A\r\nX-A: 1\r\n",
	" folded\r\n",
	"X: a\rY: b\r\n",
	"Set-Cookie: a=b\r\n",
	"Variable-AMP_CORS_SENDER: evil@evil.example\r\n",
	"X-A : 1\r\n",
	"no colon\r\n",
};

enum { TEXTS = sizeof(texts) / sizeof(*texts) };

static const size_t sizes[] = { 1, 1000, 8192, 40000 };

static char bytes[65536];

struct play {
	struct span in;
	struct peer p;    /* the web server */
	int listener, fd; /* the backend's; -1: nobody is connected */
	bool shut;        /* it has closed its sending side */
	struct buf out;   /* to be said */
	/* since the request: what the front should make an answer of */
	struct buf said;
	bool out_of_step; /* that cannot be known any more */
	bool ended;       /* END_REQUEST, of a request that is complete */
	bool strict;      /* … in order: so the answer must be that */
	bool hurried;     /* the clock was put forward, or it was given up */
	bool whole;       /* the request was */
	unsigned id, version; /* of the next record */
	size_t total;
};

static struct play now;

/* --- the answer --- */

/* What the reply module makes of what was said. */
static void
expect(const struct answered_case *c, struct span said, struct buf *want,
    bool *whole)
{
	const struct reply_rules rules = { .add = c->d.fields,
		.nadd = c->d.nfields,
		.rule = c->d.reported ? policy_field_reported : policy_field,
		.pass_redirects = c->ep->pass_redirects,
		.head_only = span_eq(c->env.policy.method, SPAN("HEAD")),
		.max_header = c->ep->limits.max_header };
	struct reply r;
	size_t used = 0;

	reply_init(&r, &rules);
	buf_init(want, PEER_MAX);
	if (reply_head(&r, said, &used) == REPLY_READY) {
		buf_add_span(want, buf_span(&r.out));
		buf_add_span(want, reply_body(&r, span_skip(said, used)));
	}
	*whole = r.state == REPLY_READY && reply_end(&r) == REASON_OK;
	reply_free(&r);
}

/* Is it an error that the front tells in the handler's place? */
static bool
is_own(const struct answered *a, const struct answered_case *c)
{
	static const enum reason may[] = { REASON_BODY_TIMEOUT,
		REASON_HANDLER_BAD_ANSWER, REASON_HANDLER_DIED,
		REASON_HANDLER_REDIRECT, REASON_HANDLER_TIMEOUT,
		REASON_BACKEND_REFUSED, REASON_BUSY, REASON_OVERLOADED };
	bool same = false;
	struct buf own;

	for (size_t i = 0; i < sizeof(may) / sizeof(*may) && !same; i++) {
		buf_init(&own, 65536);
		reply_own(&own, may[i], c->d.fields, c->d.nfields,
		    span_eq(c->env.policy.method, SPAN("HEAD")));
		same = span_eq(a->out, buf_span(&own));
		buf_free(&own);
	}
	return same;
}

/* An answered_handler: the answer has come to its end. */
static void
judge(const struct answered *a, const struct answered_case *c,
    const struct answered_head *h)
{
	struct buf want;
	bool whole;

	(void)h;
	if (now.out_of_step && !is_own(a, c))
		return; /* then the fields alone are known */
	expect(c, buf_span(&now.said), &want, &whole);
	if (now.strict && whole && !now.hurried)
		FUZZ_HOLDS(span_eq(a->out, buf_span(&want)));
	FUZZ_HOLDS(is_own(a, c) || (whole && span_eq(a->out, buf_span(&want))));
	buf_free(&want);
}

/* The answer was cut short: it has begun, and is right as far as it goes. */
static void
judge_cut(const struct asked *asked)
{
	static struct answered_vars v;
	const struct answered a = { .conf = front.conf,
		.params = buf_span(&asked->params),
		.out = buf_span(&asked->out) };
	struct answered_case c;
	struct buf want;
	bool whole;

	if (now.hurried || now.out_of_step)
		return;
	FUZZ_HOLDS(a.out.n > 0);
	answered_decide(&a, &v, &c);
	expect(&c, buf_span(&now.said), &want, &whole);
	FUZZ_HOLDS(span_starts(buf_span(&want), a.out));
	FUZZ_HOLDS(!whole || !now.strict);
	buf_free(&want);
	buf_free(&v.text);
}

/* --- the request --- */

static void
add_pair(struct buf *b, const char *name, const char *value)
{
	wire_add_pair(b, span_of(name), span_of(value));
}

/* One that is allowed, but with 6 in its last bits, which is reported. */
static void
ask(struct play *y, unsigned shape)
{
	static const char *const methods[] = { "POST", "GET", "HEAD", "POST" };
	static const char *const paths[] = { "/plain", "/kept", "/redirects",
		"/report" };
	static const char *const lengths[] = { "", "5", "60000", "-1" };
	static const size_t sent[] = { 0, 5, 60000, 60000 };
	unsigned length = shape / 16 % 4;
	struct peer *p = &y->p;
	struct buf b;

	buf_init(&b, PEER_MAX);
	add_pair(&b, "REQUEST_METHOD", methods[shape / 4 % 4]);
	add_pair(&b, "SCRIPT_NAME", paths[shape % 4]);
	add_pair(&b, "CONTENT_LENGTH", lengths[length]);
	if (shape / 64 % 2 == 0)
		add_pair(&b, "HTTP_AMP_EMAIL_SENDER", "x@company.example");
	else {
		add_pair(&b, "HTTP_ORIGIN", "https://mail.google.com");
		add_pair(&b, "QUERY_STRING",
		    "__amp_source_origin=x@company.example");
	}
	peer_begin(p, 1, WIRE_RESPONDER, true, 0);
	peer_params(p, 1, buf_span(&b), 0);
	peer_params(p, 1, (struct span){ NULL, 0 }, 0);
	if (sent[length] > 0)
		peer_stdin(p, 1, (struct span){ bytes, sent[length] }, 0);
	/* of an unknown length, it is to be whole before anybody is asked */
	y->whole = shape < 128 || sent[length] == 0 || length == 3;
	if (y->whole)
		peer_stdin(p, 1, (struct span){ NULL, 0 }, 0);
	buf_free(&b);
	buf_clear(&y->said);
	y->out_of_step = y->ended = y->strict = y->hurried = false;
}

static struct asked *
last(struct play *y)
{
	return &y->p.asked[y->p.nasked - 1];
}

static bool
is_answered(struct play *y)
{
	return y->p.over || last(y)->ended;
}

/* --- the backend --- */

/* Waits until anything of the three can move. */
static void
wait_any(struct play *y, short events, int64_t until)
{
	struct pollfd p[] = {
		{ .fd = y->p.fd,
		    .events =
			(short)(POLLIN | (y->p.out.n > 0 ? POLLOUT : 0)) },
		{ .fd = y->fd, .events = events },
		{ .fd = y->listener, .events = POLLIN },
	};

	FUZZ_HOLDS(front_now() < until);
	if (y->p.over)
		p[0].fd = -1;
	front_poll(p, 3, 100);
}

static void
hang_up(struct play *y)
{
	if (y->fd != -1)
		close(y->fd);
	y->fd = -1;
	y->shut = false;
	buf_clear(&y->out);
}

/* Whoever comes in last is talked to. */
static bool
let_in(struct play *y)
{
	int fd = accept4(y->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd == -1)
		return false;
	if (y->fd != -1)
		close(y->fd);
	y->fd = fd;
	y->shut = false;
	return true;
}

/* Has the front begun to speak on a connection that was kept? */
static bool
is_spoken_to(const struct play *y)
{
	char c;

	return y->fd != -1 && recv(y->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

/* The request is here, on some connection; false where it never will be. */
static bool
reach(struct play *y)
{
	int64_t until = front_now() + FRONT_HANGS_MS;

	while (!is_answered(y)) {
		peer_move(&y->p);
		if (let_in(y) || is_spoken_to(y))
			return true;
		wait_any(y, POLLIN, until);
	}
	return false;
}

/* Reads on of the request; false where there is nothing at the moment. */
static bool
hear(struct play *y, size_t most)
{
	char some[4096];

	most = most < sizeof(some) ? most : sizeof(some);
	return y->fd != -1 && recv(y->fd, some, most, MSG_DONTWAIT) > 0;
}

/* Until the front has read all of it, or is at something else. */
static void
wait_read(const struct play *y)
{
	int unread = 1;

	for (int i = 0; i < 20 && unread > 0; i++) {
		sched_yield();
		if (ioctl(y->fd, SIOCOUTQ, &unread) == -1)
			break;
	}
}

/*
 * Says what is in store, in pieces, each once the front has read the one
 * before; in no more of them than can be waited for.
 */
static void
flush(struct play *y, size_t piece)
{
	int64_t until = front_now() + FRONT_HANGS_MS;

	if (piece < y->out.n / PIECES)
		piece = y->out.n / PIECES;
	while (y->out.n > 0 && y->fd != -1) {
		size_t n = y->out.n < piece ? y->out.n : piece;
		ssize_t sent = send(y->fd, y->out.p, n, MSG_NOSIGNAL);

		if (sent > 0)
			buf_drop(&y->out, (size_t)sent);
		else if (errno != EAGAIN) { /* the front has had enough */
			y->out_of_step = y->hurried = true;
			hang_up(y);
		} else if (is_answered(y)) /* nobody reads what is idle */
			hang_up(y);
		else if (y->p.deaf) /* then the front cannot read on */
			y->p.deaf = false;
		else
			wait_any(y, POLLOUT, until);
		peer_move(&y->p);
		if (y->out.n > 0)
			wait_read(y);
	}
}

/* A record, of which the front is to make this. */
static void
say(struct play *y, unsigned type, struct span content, unsigned padding)
{
	size_t at = y->out.n;

	if (y->total + content.n > SAID_MAX)
		return;
	y->total += content.n;
	talk_record(&y->out, type, y->id, content, padding);
	y->out.p[at] = (char)y->version;
	y->strict &= y->version == 1 || y->ended;
	y->out_of_step |= y->version != 1 && !y->ended;
	if (y->id == 1 && !y->ended && !y->out_of_step) {
		if (type == WIRE_STDOUT)
			buf_add_span(&y->said, content);
		if (type == WIRE_END_REQUEST && content.n >= 8) {
			y->ended = true;
			y->strict = content.p[4] == WIRE_REQUEST_COMPLETE;
		} else if (type == WIRE_END_REQUEST)
			y->out_of_step = true;
	}
	y->id = y->version = 1;
}

static void
say_end(struct play *y, unsigned c)
{
	static const size_t lengths[] = { 8, 8, 8, 7, 0, 9, 100, 8 };
	char content[100] = { 0 };

	content[3] = c & 16 ? 7 : 0;
	content[4] = (char)(c & 8 ? c / 32 : 0);
	content[6] = 'x'; /* some leave bytes there (E97) */
	say(y, WIRE_END_REQUEST, (struct span){ content, lengths[c % 8] },
	    c / 8 % 4);
}

static void
say_garbage(struct play *y, struct span s)
{
	if (s.n == 0)
		return;
	buf_add_span(&y->out, s);
	y->out_of_step |= !y->ended;
}

/* --- the script --- */

/* The request before this one has its answer, or cannot have one. */
static void
settle(struct play *y)
{
	int64_t until = front_now() + FRONT_HANGS_MS;

	flush(y, SIZE_MAX);
	if (!y->ended)
		hang_up(y);
	y->p.deaf = false;
	while (y->whole && !is_answered(y)) {
		if (let_in(y) && !y->ended)
			hang_up(y); /* whoever comes finds nobody */
		if (!peer_move(&y->p))
			wait_any(y, y->ended ? 0 : POLLIN, until);
	}
	if (y->whole && !last(y)->ended)
		judge_cut(last(y));
}

/* Nothing of the last request is left to be read. */
static void
forget(struct play *y)
{
	char c;

	while (hear(y, SIZE_MAX))
		;
	if (y->fd != -1 && recv(y->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		hang_up(y);
}

/* Another request; false where the web server's connection is gone. */
static bool
ask_again(struct play *y, unsigned shape)
{
	settle(y);
	if (!y->whole || y->p.over || !last(y)->ended ||
	    y->p.nasked == REQUESTS || y->p.now != NULL)
		return false;
	forget(y);
	ask(y, shape);
	return reach(y);
}

static void
give_up(struct play *y)
{
	flush(y, SIZE_MAX);
	peer_abort(&y->p, 1, (struct span){ NULL, 0 });
	peer_send(&y->p, SIZE_MAX);
	y->hurried = true;
}

/* A record, or bytes that are none; false where c is no such thing. */
static bool
say_next(struct play *y, unsigned c)
{
	if (y->fd == -1 || y->shut)
		return false;
	switch (c) {
	case 'o':
		c = fuzz_take(&y->in);
		say(y, WIRE_STDOUT, span_of(texts[c % TEXTS]), c / TEXTS);
		break;
	case 'O':
		say(y, WIRE_STDOUT, fuzz_take_bytes(&y->in, fuzz_take(&y->in)),
		    0);
		break;
	case 'L':
		c = fuzz_take(&y->in);
		say(y, WIRE_STDOUT, (struct span){ bytes, sizes[c % 4] },
		    c / 4);
		break;
	case 'e':
		say(y, WIRE_STDERR, fuzz_take_bytes(&y->in, fuzz_take(&y->in)),
		    0);
		break;
	case 'E':
		say_end(y, fuzz_take(&y->in));
		break;
	case 'z':
		say(y, WIRE_STDOUT, (struct span){ NULL, 0 },
		    fuzz_take(&y->in));
		break;
	case 'u':
		c = fuzz_take(&y->in);
		say(y, c == WIRE_STDOUT || c == WIRE_END_REQUEST ? 11 : c,
		    fuzz_take_bytes(&y->in, 5), 0);
		break;
	case 'g':
		say_garbage(y, fuzz_take_bytes(&y->in, fuzz_take(&y->in)));
		break;
	default:
		return false;
	}
	return true;
}

/* What else may come to pass; false where that is the end of it. */
static bool
happen(struct play *y, unsigned c)
{
	switch (c) {
	case 'f':
		flush(y, 1 + fuzz_take(&y->in));
		break;
	case 'r':
		hear(y, fuzz_take(&y->in));
		break;
	case 'R':
		while (hear(y, SIZE_MAX))
			peer_move(&y->p);
		break;
	case 'i':
		y->id = fuzz_take(&y->in);
		break;
	case 'v':
		y->version = fuzz_take(&y->in);
		break;
	case 'h':
		flush(y, SIZE_MAX);
		y->shut = y->fd != -1 && shutdown(y->fd, SHUT_WR) == 0;
		break;
	case 'k':
		flush(y, SIZE_MAX);
		hang_up(y);
		break;
	case 't':
		flush(y, SIZE_MAX);
		front_ahead += 2 * fuzz_take(&y->in);
		y->hurried = true;
		break;
	case 'a':
		give_up(y);
		break;
	case 'd':
		y->p.deaf = true;
		break;
	case 'q':
		return ask_again(y, fuzz_take(&y->in));
	default:
		break;
	}
	return true;
}

static void
play(struct play *y)
{
	ask(y, fuzz_take(&y->in));
	if (!reach(y))
		return;
	while (y->in.n > 0) {
		unsigned c = fuzz_take(&y->in);

		if (!say_next(y, c) && !happen(y, c))
			break;
		if (y->out.n > PEER_MAX / 4)
			flush(y, SIZE_MAX);
	}
	settle(y);
}

/* --- the process --- */

static int listener = -1;

static void
end(void)
{
	front_stop(&front);
	close(listener);
	close(FRONT_HIDDEN_FD);
}

static void
begin(void)
{
	if (listener != -1)
		return;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)('A' + i % 26);
	listener = front_hidden_socket();
	front_start(&front);
	atexit(end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > LONGEST)
		return 0;
	begin();
	now = (struct play){ .in = { (const char *)data, size },
		.listener = listener,
		.fd = -1,
		.id = 1,
		.version = 1 };
	buf_init(&now.out, PEER_MAX);
	buf_init(&now.said, PEER_MAX);
	peer_open(&now.p, front_connect(&front), front.conf, judge);
	now.p.late = true; /* this target knows by itself what is due */
	play(&now);
	now.p.deaf = false;
	peer_finish(&now.p, &now.p, 1);
	hang_up(&now);
	while (let_in(&now))
		hang_up(&now);
	buf_free(&now.out);
	buf_free(&now.said);
	front_settles(front.during + KEPT);
	return 0;
}
