/*
 * backend: an honest FastCGI server in a thread of its own.  It says what it
 * was told, in words that backend_answered() compares, and header fields that
 * are the policy's affair.
 */
#ifndef BACKEND_H
#define BACKEND_H

#include <sys/eventfd.h>

#include <errno.h>

#include "answered.h"
#include "front.h"
#include "talk.h"

enum { BACKEND_CONNECTIONS = 16, BACKEND_MAX = 1 << 22 };

struct backend_talk {
	int fd; /* -1: free */
	struct buf in, params;
	size_t body;
	uint32_t sum;
};

static struct {
	pthread_t thread;
	int listener, quit;
	struct backend_talk talks[BACKEND_CONNECTIONS];
} backend;

static const char backend_head[] =
    "Status: 200 OK\r\n"
    "Content-Type: application/json\r\n"
    "Access-Control-Allow-Origin: *\r\n"
    "access-control-allow-credentials: true\r\n"
    "AMP-Email-Allow-Sender: evil@evil.example\r\n"
    "AMP-Access-Control-Allow-Source-Origin: evil@evil.example\r\n"
    "AMP-Redirect-To: https://evil.example\r\n"
    "Access-Control-Expose-Headers: X-Theirs, *\r\n"
    "Vary: Cookie\r\n"
    "Variable-AMP_CORS_SENDER: evil@evil.example\r\n"
    "X-Theirs: 1\r\n"
    "\r\n";

static inline uint32_t
backend_sum(uint32_t sum, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		sum = (sum ^ (unsigned char)s.p[i]) * 16777619;
	return sum;
}

/* The words that the answer's body is made of. */
static inline void
backend_say(struct buf *out, struct span version, struct span sender,
    struct span origin, size_t length, uint32_t sum)
{
	buf_add_str(out, "version ");
	buf_add_span(out, version);
	buf_add_str(out, " sender ");
	buf_add_span(out, sender);
	buf_add_str(out, " origin ");
	buf_add_span(out, origin);
	buf_add_str(out, " length ");
	buf_add_number(out, length);
	buf_add_str(out, " sum ");
	buf_add_number(out, sum);
}

/* --- its side --- */

/* The one value of this name, or none. */
static inline struct span
backend_get(const struct backend_talk *t, const char *name)
{
	struct span rest = buf_span(&t->params), found = { NULL, 0 };
	struct field pair;

	while (wire_pair(&rest, &pair)) {
		FUZZ_HOLDS(answered_name_valid(pair.name));
		if (!span_eq(pair.name, span_of(name)))
			continue;
		FUZZ_HOLDS(found.p == NULL);
		found = pair.value;
	}
	FUZZ_HOLDS(rest.n == 0);
	return found;
}

static inline void
backend_answer(struct backend_talk *t)
{
	struct span length = backend_get(t, "CONTENT_LENGTH");
	struct buf text, out;
	uint64_t n = 0;

	FUZZ_HOLDS(backend_get(t, "HTTP_PROXY").p == NULL);
	FUZZ_HOLDS(backend_get(t, "HTTP_CONNECTION").p == NULL);
	FUZZ_HOLDS(backend_get(t, "HTTP_TRANSFER_ENCODING").p == NULL);
	FUZZ_HOLDS(backend_get(t, "FCGI_ROLE").p == NULL);
	FUZZ_HOLDS(span_eq(backend_get(t, "AMP_CORS_FRONT"), SPAN("1")));
	/* never more than was said; less where the web server lied */
	FUZZ_HOLDS(length.n == 0 || span_number(length, INT64_MAX, &n));
	FUZZ_HOLDS(t->body <= n);
	buf_init(&text, BACKEND_MAX);
	buf_init(&out, BACKEND_MAX);
	buf_add_str(&text, backend_head);
	backend_say(&text, backend_get(t, "AMP_CORS_VERSION"),
	    backend_get(t, "AMP_CORS_SENDER"),
	    backend_get(t, "AMP_CORS_ORIGIN"), t->body, t->sum);
	wire_add(&out, WIRE_STDOUT, 1, buf_span(&text));
	wire_add_eof(&out, WIRE_STDOUT, 1);
	wire_add_end(&out, 1, 0, WIRE_REQUEST_COMPLETE);
	send(t->fd, out.p, out.n, MSG_NOSIGNAL);
	buf_free(&text);
	buf_free(&out);
}

static inline void
backend_hang_up(struct backend_talk *t)
{
	buf_free(&t->in);
	buf_free(&t->params);
	close(t->fd);
	t->fd = -1;
}

/* False where the request is over. */
static inline bool
backend_hears(struct backend_talk *t, unsigned type, struct span content)
{
	if (type == WIRE_PARAMS)
		buf_add_span(&t->params, content);
	if (type == WIRE_STDIN && content.n > 0) {
		t->body += content.n;
		t->sum = backend_sum(t->sum, content);
	} else if (type == WIRE_STDIN)
		backend_answer(t);
	return type != WIRE_ABORT_REQUEST &&
	    (type != WIRE_STDIN || content.n > 0);
}

static inline void
backend_read(struct backend_talk *t)
{
	ssize_t n = read(t->fd, buf_room(&t->in, 65536), 65536);
	struct span rest, content;
	unsigned type, id;

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			backend_hang_up(t);
		return;
	}
	t->in.n += (size_t)n;
	rest = buf_span(&t->in);
	while (talk_cut(&rest, &type, &id, &content)) {
		FUZZ_HOLDS(id == 1);
		if (!backend_hears(t, type, content)) {
			backend_hang_up(t);
			return;
		}
	}
	buf_drop(&t->in, t->in.n - rest.n);
}

static inline void
backend_let_in(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (size_t i = 0; fd != -1 && i < BACKEND_CONNECTIONS; i++)
		if (backend.talks[i].fd == -1) {
			struct backend_talk *t = &backend.talks[i];

			*t = (struct backend_talk){ .fd = fd };
			buf_init(&t->in, BACKEND_MAX);
			buf_init(&t->params, BACKEND_MAX);
			return;
		}
	FUZZ_HOLDS(fd == -1);
}

static inline void *
backend_serve(void *arg)
{
	struct pollfd p[BACKEND_CONNECTIONS + 2];
	size_t n = BACKEND_CONNECTIONS;

	for (;;) {
		for (size_t i = 0; i < n; i++)
			p[i] = (struct pollfd){ .fd = backend.talks[i].fd,
				.events = POLLIN };
		p[n] =
		    (struct pollfd){ .fd = backend.listener, .events = POLLIN };
		p[n + 1] =
		    (struct pollfd){ .fd = backend.quit, .events = POLLIN };
		front_poll(p, n + 2, -1);
		if (p[n + 1].revents != 0)
			return arg;
		if (p[n].revents != 0)
			backend_let_in(backend.listener);
		for (size_t i = 0; i < n; i++)
			if (p[i].fd != -1 && p[i].revents != 0)
				backend_read(&backend.talks[i]);
	}
}

/* At FRONT_HIDDEN. */
static inline void
backend_start(void)
{
	sigset_t all, before;

	backend.listener = front_hidden_socket();
	backend.quit = eventfd(0, EFD_CLOEXEC);
	for (size_t i = 0; i < BACKEND_CONNECTIONS; i++)
		backend.talks[i].fd = -1;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	FUZZ_HOLDS(
	    pthread_create(&backend.thread, NULL, backend_serve, NULL) == 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static inline void
backend_stop(void)
{
	eventfd_write(backend.quit, 1);
	pthread_join(backend.thread, NULL);
	for (size_t i = 0; i < BACKEND_CONNECTIONS; i++)
		if (backend.talks[i].fd != -1)
			backend_hang_up(&backend.talks[i]);
	close(backend.listener);
	close(FRONT_HIDDEN_FD);
	close(backend.quit);
}

/* --- what comes of it at the other end --- */

/* How much of the body was to reach it. */
static inline size_t
backend_body(const struct answered *a, const struct cgienv *e)
{
	switch (cgienv_body(e)) {
	case CGIENV_NO_BODY:
		break;
	case CGIENV_LENGTH:
		return e->length < a->body.n ? (size_t)e->length : a->body.n;
	case CGIENV_UNKNOWN:
		return a->body.n;
	}
	return 0;
}

/* May the front have answered in its place? */
static inline bool
backend_spared(const struct answered *a, const struct answered_case *c,
    enum reason why)
{
	const struct cgienv *e = &c->env;

	if (why == REASON_HANDLER_LOOP)
		return e->loop;
	if (why == REASON_HANDLER_MISSING)
		return c->ep->handler == CONF_HANDLER_EXEC;
	if (why == REASON_BODY_TOO_LARGE)
		return backend_body(a, e) > 4096 || e->length > 4096;
	return why == REASON_BUSY || a->late;
}

static inline void
backend_said(const struct answered *a, const struct answered_case *c,
    const struct answered_head *h)
{
	const struct policy_decision *d = &c->d;
	const struct cgienv *e = &c->env;
	struct span body = { a->body.p, backend_body(a, e) };
	struct buf want;

	buf_init(&want, BACKEND_MAX);
	if (!span_eq(e->policy.method, SPAN("HEAD")))
		backend_say(&want,
		    d->version == 1     ? SPAN("1") :
			d->version == 2 ? SPAN("2") :
					  SPAN(""),
		    d->sender, d->origin, body.n, backend_sum(0, body));
	if (a->body_whole && !a->late)
		FUZZ_HOLDS(want.n == h->body.n &&
		    (want.n == 0 || span_eq(buf_span(&want), h->body)));
	buf_free(&want);
}

/* An answered_handler. */
static inline void
backend_answered(const struct answered *a, const struct answered_case *c,
    const struct answered_head *h)
{
	const struct policy_decision *d = &c->d;
	const struct cgienv *e = &c->env;
	enum reason why = answered_reason(h);
	struct span value = { NULL, 0 };

	FUZZ_HOLDS(
	    answered_find(h, SPAN("Variable-AMP_CORS_SENDER"), &value) == 0);
	if (why != REASON_COUNT) {
		FUZZ_HOLDS(backend_spared(a, c, why));
		answered_own(a, why, d->fields, d->nfields, e);
	} else if (h->status == 200) {
		FUZZ_HOLDS(answered_find(h, SPAN("X-Theirs"), &value) == 1);
		FUZZ_HOLDS(answered_find(h, SPAN("Vary"), &value) == 1);
		FUZZ_HOLDS(answered_lists(value, SPAN("Cookie")));
		if (answered_find(h, SPAN("Access-Control-Expose-Headers"),
			&value) > 0)
			FUZZ_HOLDS(
			    d->reported || !answered_lists(value, SPAN("*")));
		backend_said(a, c, h);
	} else /* one of ours, without its body */
		FUZZ_HOLDS(span_eq(e->policy.method, SPAN("HEAD")));
}

#endif
