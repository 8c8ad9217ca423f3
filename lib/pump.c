#include "pump.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "io.h"
#include "log.h"

enum {
	TICK = 1000, /* how often, in ms, to look at what poll cannot see */
	RETRY = 10,  /* how often, in ms, to try what poll cannot tell */
	TURNS = 16   /* pieces of one side before the other has its turn */
};

enum {
	CLIENT_IN,
	CLIENT_OUT,
	STOP,
	HANDLER_IN,
	HANDLER_OUT,
	HANDLER_ERR,
	POLLED
};

struct pump {
	const struct pump_job *job;
	struct exchange *x;
	struct handler *handler;
	struct pollfd fd[POLLED];
	struct errlog errors;
	struct pump_result result;
	bool done;

	/* the body: what is at hand for the handler */
	struct span input;
	bool input_ready; /* the exchange may have more that poll cannot see */
	uint64_t body_left;
	bool body_open; /* more may come, and the handler may want it */

	/* the answer: what is at hand for the client */
	bool headed;
	struct span head, body;
	bool output_ended;
	size_t tail; /* bytes of it since the handler has ended */
	enum { HOLD_NOT_YET, HOLD_ON, HOLD_OVER } hold;

	/* moments of io_now() */
	int64_t now, started, looked;
	int64_t held;    /* until when the answer's beginning waits */
	int64_t heard;   /* since when the handler has been silent */
	int64_t fed;     /* since when the body has stalled */
	int64_t taken;   /* since when the client has taken nothing */
	int64_t exited;  /* when the handler was seen to have ended, or 0 */
	int64_t stopped; /* when it was told to stop, or 0 */
};

static void
end(struct pump *p, enum reason why, const char *detail)
{
	if (p->done)
		return;
	p->done = true;
	p->result.why = why;
	p->result.detail = detail;
}

static bool
pending(const struct pump *p)
{
	return p->head.n > 0 || p->body.n > 0;
}

/* The handler gets no more input: it has all, or wants none. */
static void
input_close(struct pump *p)
{
	p->body_open = false;
	p->handler->way->give_end(p->handler);
	if (p->input.n > 0)
		p->x->way->taken(p->x, p->input.n);
	p->input = (struct span){ NULL, 0 };
}

/*
 * More of the body from the client; what the handler cannot get is dropped.
 * False where there is nothing more at the moment.
 */
static bool
input_fetch(struct pump *p)
{
	struct span bytes;

	switch (p->x->way->body(p->x, &bytes)) {
	case EXCHANGE_GONE:
		end(p, REASON_CLIENT_GONE, NULL);
		return false;
	case EXCHANGE_END:
		if (p->body_open)
			input_close(p);
		return false;
	case EXCHANGE_WAIT:
		return false;
	case EXCHANGE_BYTES:
		break;
	}
	p->fed = p->now;
	if (p->body_open) {
		p->input = bytes;
		if (bytes.n > p->body_left)
			p->input.n = (size_t)p->body_left;
	} else
		p->x->way->taken(p->x, bytes.n);
	return true;
}

/* Gives the handler what is at hand; a handler may close its input early. */
static void
input_give(struct pump *p)
{
	ssize_t n = p->handler->way->give(p->handler, p->input);

	if (n == -1 && errno == EAGAIN)
		return;
	if (n == -1) { /* EPIPE: it has read enough */
		input_close(p);
		return;
	}
	p->x->way->taken(p->x, (size_t)n);
	p->input = span_skip(p->input, (size_t)n);
	p->body_left -= (uint64_t)n;
	p->heard = p->fed = p->now;
	if (p->body_left == 0)
		input_close(p);
}

/*
 * As much as can be moved without waiting, but not so much that the answer
 * would wait.  The exchange may hold bytes that poll cannot see: so it is asked
 * until it has none, or else again without a wait.
 */
static void
input_move(struct pump *p)
{
	p->input_ready = p->input.n > 0 || input_fetch(p);
	for (int i = 0; p->input_ready && !p->done; i++) {
		if (p->input.n > 0)
			input_give(p);
		if (p->input.n > 0 || i == TURNS)
			return;
		p->input_ready = input_fetch(p);
	}
}

/* Sends what is at hand; the client may take a part. */
static void
output_send(struct pump *p)
{
	const struct span v[2] = { p->head, p->body };
	ssize_t n = p->x->way->send(p->x, v, 2);
	size_t head;

	p->hold = HOLD_OVER;
	if (n == -1 && errno == EAGAIN)
		return;
	if (n == -1) {
		end(p, REASON_CLIENT_GONE, NULL);
		return;
	}
	p->result.begun |= n > 0;
	p->taken = p->now;
	head = (size_t)n < p->head.n ? (size_t)n : p->head.n;
	p->head = span_skip(p->head, head);
	p->body = span_skip(p->body, (size_t)n - head);
}

/* The next bytes of the handler's answer, through reply. */
static void
output_rewrite(struct pump *p, struct span bytes)
{
	struct reply *r = p->job->reply;
	size_t used = 0;

	if (!p->headed) {
		switch (reply_head(r, bytes, &used)) {
		case REPLY_MORE:
			return;
		case REPLY_BAD:
			end(p,
			    r->no_memory ? REASON_OVERLOADED :
					   REASON_HANDLER_BAD_ANSWER,
			    r->fault);
			return;
		case REPLY_REDIRECT:
			end(p, REASON_HANDLER_REDIRECT, r->fault);
			return;
		case REPLY_READY:
			p->headed = true;
			p->head = buf_span(&r->out);
			break;
		}
	}
	bytes = reply_body(r, span_skip(bytes, used));
	if (p->body.n == 0)
		p->body = bytes;
	else /* that is held, and they have come behind it */
		p->body.n += bytes.n;
}

/* Has all gone out that the header block promised? */
static bool
is_complete(const struct pump *p)
{
	return p->headed && p->job->reply->left == 0;
}

static bool
is_small(const struct pump *p)
{
	return p->head.n + p->body.n <= EXCHANGE_FINISH_MAX;
}

/* A small answer can go out together with its end: one call, one wake-up. */
static bool
rest_fits(const struct pump *p)
{
	return (p->handler->over || p->output_ended) && p->headed &&
	    is_small(p) && reply_end(p->job->reply) == REASON_OK;
}

/* How much of the room is taken by what is at hand for the client. */
static size_t
room_used(const struct pump *p)
{
	if (p->body.n == 0)
		return 0;
	return (size_t)(p->body.p - p->job->room) + p->body.n;
}

/* What is at hand is the beginning, and waits for more: see pump_job.hold. */
static bool
is_held(const struct pump *p)
{
	return p->hold == HOLD_ON && pending(p) && p->now < p->held &&
	    !p->output_ended && is_small(p) && room_used(p) < PUMP_ROOM / 2;
}

static void
output_take(struct pump *p, struct span bytes)
{
	p->taken = p->now;
	p->result.large |= bytes.p + bytes.n > p->job->room + PUMP_ROOM / 4;
	if (!is_complete(p)) /* what is too much does not count */
		p->heard = p->now;
	if (p->exited != 0)
		p->tail += bytes.n;
	output_rewrite(p, bytes);
	if (p->hold == HOLD_NOT_YET && pending(p)) {
		p->hold = HOLD_ON;
		p->held = p->now + p->job->hold;
	}
	if (rest_fits(p))
		p->output_ended = true;
	else if (pending(p) && !is_held(p) && !p->done)
		output_send(p);
}

/* What it has said, until there is something that the client must take. */
static void
output_read(struct pump *p)
{
	struct handler *h = p->handler;
	struct span bytes;
	int turns = 0;

	h->polled = p->fd[HANDLER_OUT].revents;
	do {
		/* also where the hold has run out since poll was asked */
		size_t used = pending(p) ? room_used(p) : 0;

		switch (h->way->take(h, p->job->room + used, PUMP_ROOM - used,
		    &bytes)) {
		case HANDLER_BYTES:
			output_take(p, bytes);
			break;
		case HANDLER_ERRORS:
			errlog_add(&p->errors, bytes);
			break;
		case HANDLER_WAIT:
			return;
		case HANDLER_END:
			p->output_ended = true;
			return;
		}
	} while (h->ready && !pending(p) && !p->done && ++turns < TURNS);
}

/* What the handler sends of its own, as long as it does. */
static void
handler_flush(struct pump *p)
{
	if (p->handler->way->flush(p->handler))
		p->heard = p->now;
}

static void
errors_read(struct pump *p)
{
	char bytes[4096];
	ssize_t n = read(p->handler->err, bytes, sizeof(bytes));

	if (n > 0)
		errlog_add(&p->errors, (struct span){ bytes, (size_t)n });
	else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
		close(p->handler->err);
		p->handler->err = -1;
	}
}

/* What is left of the errors, without waiting for whoever holds them open. */
static void
errors_drain(struct pump *p)
{
	for (int i = 0; i < ERRLOG_MAX / 4096 + 1 && p->handler->err != -1 &&
	     io_wait(p->handler->err, POLLIN, 0) > 0;
	     i++)
		errors_read(p);
	errlog_end(&p->errors);
}

static void
watch(struct pump *p, int which, int fd, short events)
{
	p->fd[which] = (struct pollfd){ .fd = fd, .events = events };
}

/* What to wait for, given what is at hand. */
static void
arrange(struct pump *p)
{
	struct exchange *x = p->x;
	const struct handler *h = p->handler;
	/* past CONTENT_LENGTH, a CGI request's input is not ours to read */
	bool listen = p->input.n == 0 && (p->body_open || !x->cgi);
	short in = listen && x->in != -1 ? POLLIN : 0;
	bool held = is_held(p);
	bool send = (pending(p) && !held) || x->owes;
	short out = (short)(x->gone | (send ? POLLOUT : 0));

	if (x->in == x->out) {
		watch(p, CLIENT_IN, -1, 0);
		watch(p, CLIENT_OUT, x->out, (short)(in | out));
	} else {
		watch(p, CLIENT_IN, in ? x->in : -1, in);
		watch(p, CLIENT_OUT, x->out, out);
	}
	watch(p, STOP, p->stopped == 0 ? x->stop : -1, POLLIN);
	/* while nothing is to be written, a handler's closed end is no news */
	watch(p, HANDLER_IN, p->input.n > 0 || h->owes ? h->in : -1, POLLOUT);
	watch(p, HANDLER_OUT,
	    (pending(p) && !held) || p->output_ended ? -1 : h->out, POLLIN);
	watch(p, HANDLER_ERR, h->err, POLLIN);
}

static void
serve_client(struct pump *p)
{
	const struct pollfd *out = &p->fd[CLIENT_OUT];
	short in = (short)(p->fd[CLIENT_IN].revents |
	    (p->x->in == p->x->out ? out->revents : 0));

	if (out->revents & (p->x->gone | POLLERR | POLLNVAL)) {
		end(p, REASON_CLIENT_GONE, NULL);
		return;
	}
	if (in & (POLLIN | POLLHUP) || p->fd[HANDLER_IN].revents != 0 ||
	    (p->input_ready && p->input.n == 0))
		input_move(p);
	if (out->revents & POLLOUT && (pending(p) || p->x->owes) && !p->done)
		output_send(p);
}

static bool
output_ready(const struct pump *p)
{
	return p->handler->ready && !pending(p) && !p->output_ended;
}

static void
serve_handler(struct pump *p)
{
	struct handler *h = p->handler;

	if (h->owes && (h->in == -1 || p->fd[HANDLER_IN].revents != 0))
		handler_flush(p);
	if (p->fd[HANDLER_ERR].revents != 0)
		errors_read(p);
	if ((p->fd[HANDLER_OUT].revents != 0 || output_ready(p)) && !p->done)
		output_read(p);
	if (p->fd[STOP].revents != 0) {
		int signal = p->x->way->stop_signal(p->x);

		if (signal != 0) {
			h->way->stop(h, signal);
			p->result.told = true;
			p->stopped = p->now;
		}
	}
}

static bool
past(const struct pump *p, int64_t since, unsigned seconds)
{
	return seconds > 0 && p->now - since >= (int64_t)seconds * 1000;
}

/* Each clock runs only while it is that side's turn [SPEC 4.7]. */
static void
check_clocks(struct pump *p)
{
	const struct conf_limits *l = p->job->limits;
	bool awaiting_body = p->body_open && p->input.n == 0;

	if (pending(p) || awaiting_body)
		p->heard = p->now;
	if (!awaiting_body)
		p->fed = p->now;
	if (!pending(p) && !p->x->owes)
		p->taken = p->now;
	/* poll wants more room than a client that takes little ever makes */
	if (past(p, p->taken, l->send_timeout) && !p->done)
		output_send(p);
	if (past(p, p->fed, l->body_timeout))
		end(p, REASON_BODY_TIMEOUT, NULL);
	if (past(p, p->heard, l->timeout) && is_complete(p))
		p->output_ended = true; /* whatever it still says */
	else if (past(p, p->heard, l->timeout))
		end(p, REASON_HANDLER_TIMEOUT, "silent for `timeout`");
	if (past(p, p->started, l->time_limit))
		end(p, REASON_HANDLER_TIMEOUT, "past `time_limit`");
	if (past(p, p->taken, l->send_timeout))
		end(p, REASON_CLIENT_GONE, "took nothing for `send_timeout`");
	if (p->stopped != 0 &&
	    p->now - p->stopped >= (int64_t)l->kill_grace * 1000)
		end(p, REASON_HANDLER_DIED, "told to stop");
}

/* Something else may hold the output open when the handler has ended (E70). */
static void
check_exit(struct pump *p)
{
	if (p->now - p->looked < TICK)
		return;
	p->looked = p->now;
	if (p->exited == 0 && p->handler->way->ended(p->handler))
		p->exited = p->now;
	/* its own last bytes may still be in the pipe: no more than that */
	if (p->exited != 0 && p->tail <= p->handler->holds &&
	    (pending(p) || p->fd[HANDLER_OUT].revents & POLLIN))
		p->exited = p->now;
	if (p->exited != 0 && !p->output_ended &&
	    past(p, p->exited, PUMP_EXIT_GRACE)) {
		log_warnx("%08llx the handler has ended, but a process that "
			  "it left behind holds its output open",
		    (unsigned long long)p->job->id);
		p->output_ended = true;
	}
}

static int64_t
sooner(int64_t left, int64_t now, int64_t since, unsigned seconds)
{
	int64_t mine = since + (int64_t)seconds * 1000 - now;

	if (seconds == 0 || mine >= left)
		return left;
	return mine < 0 ? 0 : mine;
}

/* How long poll may wait: until a clock could have run out. */
static int
patience(const struct pump *p)
{
	const struct conf_limits *l = p->job->limits;
	int64_t left = p->stopped != 0 || p->exited != 0 ? TICK / 10 : TICK;

	if ((p->input_ready && p->input.n == 0) || output_ready(p))
		return 0;
	if (p->handler->owes && p->handler->in == -1)
		left = RETRY;
	left = sooner(left, p->now, p->fed, l->body_timeout);
	left = sooner(left, p->now, p->heard, l->timeout);
	left = sooner(left, p->now, p->started, l->time_limit);
	left = sooner(left, p->now, p->taken, l->send_timeout);
	if (is_held(p) && p->held - p->now < left)
		left = p->held - p->now;
	return (int)left;
}

/* Nothing is left to be sent but what goes out with the end. */
static bool
is_over(const struct pump *p)
{
	return p->output_ended && (!pending(p) || rest_fits(p));
}

static void
turn(struct pump *p)
{
	arrange(p);
	if (poll(p->fd, POLLED, patience(p)) == -1) {
		if (errno != EINTR)
			end(p, REASON_OVERLOADED, "poll failed");
		return;
	}
	p->now = io_now();
	serve_client(p);
	if (!p->done)
		serve_handler(p);
	if (p->hold == HOLD_ON && pending(p) && !is_held(p) && !is_over(p) &&
	    !p->done)
		output_send(p);
	check_clocks(p);
	check_exit(p);
}

/* For the log: how the handler ended says more than what came of it. */
static const char *
told_by(const struct handler *h, const char *otherwise)
{
	return *h->note != '\0' ? h->note : otherwise;
}

/* The output has ended: was it all, and how did the handler end? */
static void
judge(struct pump *p)
{
	const struct reply *r = p->job->reply;
	struct handler *h = p->handler;
	struct handler_fate fate = h->way->fate(h);
	bool unsized = r->left == UINT64_MAX;

	if (!p->headed)
		end(p, fate.headless, told_by(h, "no whole header block"));
	else if (reply_end(r) != REASON_OK)
		end(p,
		    fate.cut != REASON_OK ? fate.cut :
					    REASON_HANDLER_BAD_ANSWER,
		    told_by(h, "the body ended early"));
	else if (fate.cut != REASON_OK && unsized) {
		if (pending(p)) /* a beginning, with no end */
			output_send(p);
		end(p, fate.cut, told_by(h, NULL));
	} else
		end(p, REASON_OK,
		    told_by(h,
			r->warning != NULL || !r->untyped ?
			    r->warning :
			    "no Content-Type, which mail clients need"));
}

/* Begins, and does what can be done without waiting. */
static void
begin(struct pump *p, const struct pump_job *job)
{
	*p = (struct pump){
		.job = job,
		.x = job->x,
		.handler = job->handler,
		.body_left = job->body,
		.body_open = job->body > 0,
	};
	p->now = p->started = p->looked = io_now();
	p->heard = p->fed = p->taken = p->now;
	errlog_init(&p->errors, job->x, job->id);
	if (p->body_open || !p->x->cgi)
		input_move(p);
	if (p->handler->owes)
		handler_flush(p);
}

/* Goes on to the end, and waits as long as that takes. */
static void
go_on(struct pump *p)
{
	p->now = io_now(); /* it may have rested */
	while (!p->done && !is_over(p))
		turn(p);
}

static struct pump_result
result_of(struct pump *p)
{
	if (!p->done)
		judge(p);
	p->result.rest[0] = p->head;
	p->result.rest[1] = p->body;
	errors_drain(p);
	return p->result;
}

struct pump_result
pump_run(const struct pump_job *job)
{
	struct pump p;

	begin(&p, job);
	go_on(&p);
	return result_of(&p);
}

/* --- the same without a thread that waits --- */

struct pump *
pump_new(void)
{
	return malloc(sizeof(struct pump));
}

void
pump_free(struct pump *p)
{
	free(p);
}

/* Is the handler's output all that there is to wait for? */
static bool
awaits_output(const struct pump *p)
{
	const struct handler *h = p->handler;

	return !pending(p) && !p->x->owes && !p->body_open && !p->input_ready &&
	    !h->owes && !h->ready && !p->output_ended && p->stopped == 0 &&
	    h->err == -1 && h->out != -1;
}

/* When the handler will have been silent for too long; 0: never. */
static int64_t
patient_until(const struct pump *p)
{
	const struct conf_limits *l = p->job->limits;
	int64_t left = INT64_MAX;

	left = sooner(left, p->now, p->heard, l->timeout);
	left = sooner(left, p->now, p->started, l->time_limit);
	return left == INT64_MAX ? 0 : p->now + left;
}

static enum exchange_need
needs(struct pump *p, struct exchange_await *out)
{
	if (p->done || is_over(p))
		return EXCHANGE_DONE;
	if (!awaits_output(p))
		return EXCHANGE_WAITS;
	*out = (struct exchange_await){ .fd = p->handler->out,
		.known = p->handler->kept,
		.until = patient_until(p) };
	p->handler->kept = true;
	return EXCHANGE_AWAITS;
}

enum exchange_need
pump_begin(struct pump *p, const struct pump_job *job,
    struct exchange_await *out)
{
	begin(p, job);
	return needs(p, out);
}

enum exchange_need
pump_resume(struct pump *p, struct exchange_await *out)
{
	p->now = io_now();
	for (int i = 0; i < POLLED; i++)
		p->fd[i].revents = 0;
	p->fd[HANDLER_OUT].revents = POLLIN;
	serve_handler(p);
	check_clocks(p);
	return needs(p, out);
}

struct pump_result
pump_end(struct pump *p)
{
	go_on(p);
	return result_of(p);
}
