#include "gate_metrics.h"

#include <errno.h>
#include <poll.h>

#include "gate_run.h"

/* Of a client that takes nothing. */
enum { SEND_MS = 10000 };

/*
 * A web server that asks for a decision by a name of its own (auth_request)
 * must never get this for one: so the client's URI has to be that path, too.
 */
bool
gate_metrics_wanted(const struct gate *g, const struct exchange *x,
    const struct cgienv *e)
{
	const char *path = g->o.server->metrics_path;
	const struct path name = { .head = e->script_name,
		.tail = e->path_info };
	struct span query;
	struct path uri;

	/* asked of every request: most are over here */
	if (g->o.metrics == NULL || path == NULL || x->authorizer ||
	    !path_is(&name, path))
		return false;
	uri = path_of_uri(e->request_uri, &query);
	return (uri.head.p == NULL || path_is(&uri, path)) &&
	    (gate_is_head(e) || span_eq(e->policy.method, SPAN("GET")));
}

/* The whole answer; to be freed. */
static struct buf
make(const struct gate *g, const struct cgienv *e)
{
	struct buf out;

	buf_init(&out, METRICS_TEXT_MAX + 1024);
	buf_add_str(&out,
	    "Status: 200 OK\r\nContent-Type: " METRICS_TYPE
	    "\r\nCache-Control: no-store\r\n\r\n");
	if (!gate_is_head(e))
		metrics_print(g->o.metrics, &out);
	return out;
}

bool
gate_metrics_answer(const struct gate *g, struct exchange *x,
    const struct cgienv *e)
{
	struct buf out = make(g, e);
	struct span all = buf_span(&out);
	bool answered = out.failed || all.n <= EXCHANGE_FINISH_MAX;

	if (out.failed)
		gate_fault(x, REASON_OVERLOADED);
	else if (answered)
		x->way->finish(x, 0, &all, 1);
	buf_free(&out);
	return answered;
}

/* For room at the client; false where it takes nothing, or all is to end. */
static bool
wait_for_room(const struct exchange *x)
{
	struct pollfd fds[] = {
		{ .fd = x->out, .events = POLLOUT },
		{ .fd = x->stop, .events = POLLIN },
	};

	return poll(fds, 2, SEND_MS) > 0 && fds[1].revents == 0;
}

/* Sends all but what finish() takes; false where the client is gone. */
static bool
send_most(struct exchange *x, struct span *rest)
{
	while (rest->n > EXCHANGE_FINISH_MAX) {
		ssize_t n = x->way->send(x, rest, 1);

		if (n >= 0)
			*rest = span_skip(*rest, (size_t)n);
		else if ((errno != EAGAIN && errno != EWOULDBLOCK) ||
		    !wait_for_room(x))
			return false;
	}
	return true;
}

void
gate_metrics_send(const struct gate *g, struct exchange *x,
    const struct cgienv *e)
{
	struct buf out = make(g, e);
	struct span rest = buf_span(&out);

	if (out.failed)
		gate_fault(x, REASON_OVERLOADED);
	else if (send_most(x, &rest))
		x->way->finish(x, 0, &rest, 1);
	else
		x->way->cut(x);
	buf_free(&out);
}
