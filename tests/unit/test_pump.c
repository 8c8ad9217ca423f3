/*
 * pump: shell scripts that answer, and others that do not, behind an exchange
 * whose client is quick, slow, deaf or gone; and handlers of the test's own,
 * for what a child of ours never does.
 */
#include "pump.h"

#include <sys/ioctl.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <syslog.h>

#include "fake.h"
#include "folder.h"
#include "io.h"
#include "log.h"
#include "spawn.h"
#include "tap.h"

#define HEAD                                             \
	"Status: 200 OK\r\nContent-Type: text/plain\r\n" \
	"Vary: Origin\r\n\r\n"
#define PRINT "printf 'Content-Type: text/plain\\n\\n'; "

struct pump_case {
	const char *name, *script;
	size_t body;     /* bytes of it that come */
	uint64_t length; /* that are the handler's; 0: as many */
	bool held, gives_up;
	bool late;  /* see fake.h */
	bool stiff; /* poll never says that the client would take more */
	unsigned flushes;
	size_t piece, takes, room, leaves; /* see fake.h; 0: no limit */
	int stop; /* a signal for the handler, from the beginning */
	bool head;
	unsigned timeout, time_limit, body_timeout, send_timeout, kill_grace;
	enum reason why;
	bool begun;
	const char *sent;   /* all of it; NULL: see long_body */
	size_t long_body;   /* bytes behind HEAD; 0: whatever */
	const char *errors; /* lines; NULL: none */
	const char *detail;
	unsigned status; /* the handler's, where it has been reaped */
};

static const struct pump_case quick[] = {
	{ .name = "an answer",
	    .script = PRINT "printf body",
	    .begun = true,
	    .sent = HEAD "body" },
	{ .name = "an answer and an exit status (E51)",
	    .script = PRINT "exit 7",
	    .begun = true,
	    .sent = HEAD,
	    .detail = "exit status 7",
	    .status = 7 },
	{ .name = "an empty line is no header block",
	    .script = "printf '\\nbody'",
	    .why = REASON_HANDLER_BAD_ANSWER,
	    .sent = "",
	    .detail = "" },
	{ .name = "HEAD",
	    .script = PRINT "printf body",
	    .head = true,
	    .begun = true,
	    .sent = HEAD },
	{ .name = "errors between",
	    .script = "echo one >&2; " PRINT "echo two >&2; printf body",
	    .begun = true,
	    .sent = HEAD "body",
	    .errors = "0000002a handler: one\n0000002a handler: two\n" },

	/* bodies */
	{ .name = "a body, there and back",
	    .script = PRINT "cat",
	    .body = 1000000,
	    .begun = true,
	    .long_body = 1000000 },
	{ .name = "… in small pieces",
	    .script = PRINT "cat",
	    .body = 20000,
	    .piece = 7,
	    .begun = true,
	    .long_body = 20000 },
	{ .name = "… to a client that takes little at a time",
	    .script = PRINT "cat",
	    .body = 100000,
	    .takes = 100,
	    .begun = true,
	    .long_body = 100000 },
	{ .name = "both pipes full at once (E29)",
	    .script = PRINT "head -c 300000 /dev/zero; wc -c | tr -d '\\n '",
	    .body = 1000000,
	    .begun = true,
	    .long_body = 300007 },
	{ .name = "a handler that does not read (E30)",
	    .script = PRINT "printf deaf",
	    .body = 1000000,
	    .begun = true,
	    .sent = HEAD "deaf" },
	{ .name = "one that reads a part",
	    .script = PRINT "head -c 3",
	    .body = 1000000,
	    .begun = true,
	    .sent = HEAD "xxx" },
	{ .name = "one that closes its input (E31)",
	    .script = "exec <&-; sleep 0.05; " PRINT "printf deaf",
	    .body = 300000,
	    .begun = true,
	    .sent = HEAD "deaf" },
	{ .name = "more than CONTENT_LENGTH (E34)",
	    .script = PRINT "cat",
	    .body = 500,
	    .length = 3,
	    .begun = true,
	    .sent = HEAD "xxx" },
	{ .name = "less than it (E33)",
	    .script = PRINT "cat",
	    .body = 3,
	    .length = 500,
	    .begun = true,
	    .sent = HEAD "xxx" },
	{ .name = "a handler that answers before its body has come",
	    .script = PRINT "printf early",
	    .body = 3,
	    .length = 500,
	    .held = true,
	    .begun = true,
	    .sent = HEAD "early" },

	/* Content-Length */
	{ .name = "more than it said (E61)",
	    .script = "printf 'Content-Type: text/plain\\nContent-Length: 2"
		      "\\n\\nabcdef'",
	    .begun = true,
	    .sent = "Status: 200 OK\r\nContent-Type: text/plain\r\n"
		    "Content-Length: 2\r\nVary: Origin\r\n\r\nab" },
	{ .name = "less than it said",
	    .script = "printf 'Content-Type: text/plain\\nContent-Length: 9"
		      "\\n\\nabcdef'",
	    .why = REASON_HANDLER_BAD_ANSWER,
	    .begun = true,
	    .sent = "Status: 200 OK\r\nContent-Type: text/plain\r\n"
		    "Content-Length: 9\r\nVary: Origin\r\n\r\nabcdef",
	    .detail = "the body ended early" },

	/* no answer (E47 to E50) */
	{ .name = "nothing",
	    .script = ":",
	    .why = REASON_HANDLER_BAD_ANSWER,
	    .sent = "",
	    .detail = "no whole header block" },
	{ .name = "half a header block",
	    .script = "printf 'Content-Type: text/plain\\n'",
	    .why = REASON_HANDLER_BAD_ANSWER,
	    .sent = "",
	    .detail = "no whole header block" },
	{ .name = "nothing, and an exit status",
	    .script = "echo why >&2; exit 3",
	    .why = REASON_HANDLER_DIED,
	    .sent = "",
	    .errors = "0000002a handler: why\n",
	    .detail = "exit status 3",
	    .status = 3 },
	{ .name = "nothing, and a signal",
	    .script = "kill -9 $$",
	    .why = REASON_HANDLER_DIED,
	    .sent = "",
	    .detail = "killed by signal 9",
	    .status = SIGKILL },
	{ .name = "killed within its body (E52)",
	    .script = PRINT "printf half; kill -9 $$",
	    .why = REASON_HANDLER_DIED,
	    .begun = true,
	    .sent = HEAD "half",
	    .detail = "killed by signal 9",
	    .status = SIGKILL },
	{ .name = "a redirect",
	    .script = "printf 'Location: /x\\n\\n'; sleep 300",
	    .why = REASON_HANDLER_REDIRECT,
	    .sent = "",
	    .detail = "" },
	{ .name = "a line without a colon",
	    .script = "printf 'hello\\n\\n'; sleep 300",
	    .why = REASON_HANDLER_BAD_ANSWER,
	    .sent = "",
	    .detail = "" },

	/* clients */
	{ .name = "a client that gives up (E78)",
	    .script = "sleep 300",
	    .body = 10,
	    .length = 100,
	    .gives_up = true,
	    .why = REASON_CLIENT_GONE,
	    .sent = "" },
	{ .name = "… behind the handler's body",
	    .script = "cat >/dev/null; sleep 300",
	    .body = 10,
	    .length = 10,
	    .gives_up = true,
	    .why = REASON_CLIENT_GONE,
	    .sent = "" },
	{ .name = "a client that goes while the handler writes",
	    .script = PRINT "cat /dev/zero",
	    .leaves = 100000,
	    .why = REASON_CLIENT_GONE,
	    .begun = true },
	{ .name = "one that has gone while the handler is silent (E77)",
	    .script = "sleep 300",
	    .leaves = 1, /* and nothing has been sent: see make() */
	    .why = REASON_CLIENT_GONE,
	    .sent = "" },
	{ .name = "a handler that is told to stop, and ends in order",
	    .script =
		"end() { " PRINT "exit 0; }; trap end USR1; kill -USR1 $PPID; "
		"while :; do :; done",
	    .stop = SIGUSR1,
	    .kill_grace = 60,
	    .begun = true,
	    .sent = HEAD },
};

/* These wait for a clock, and so run side by side. */
static const struct pump_case slow[] = {
	{ .name = "a silent handler (E74)",
	    .script = "sleep 300",
	    .timeout = 1,
	    .why = REASON_HANDLER_TIMEOUT,
	    .sent = "",
	    .detail = "silent for `timeout`" },
	{ .name = "one that stalls within its body (E75)",
	    .script = PRINT "printf half; sleep 300",
	    .timeout = 1,
	    .why = REASON_HANDLER_TIMEOUT,
	    .begun = true,
	    .sent = HEAD "half",
	    .detail = "silent for `timeout`" },
	{ .name = "one that neither reads nor writes",
	    .script = "sleep 300",
	    .body = 1000000,
	    .timeout = 1,
	    .body_timeout = 60,
	    .why = REASON_HANDLER_TIMEOUT,
	    .sent = "",
	    .detail = "silent for `timeout`" },
	{ .name = "one that is slow, but not silent",
	    .script = PRINT "for i in 1 2 3 4 5 6 7 8; do printf $i; "
			    "sleep 0.3; done",
	    .timeout = 2,
	    .begun = true,
	    .sent = HEAD "12345678" },
	{ .name = "time_limit",
	    .script = PRINT "while printf x; do sleep 0.02; done",
	    .timeout = 60,
	    .time_limit = 1,
	    .why = REASON_HANDLER_TIMEOUT,
	    .begun = true,
	    .detail = "past `time_limit`" },
	{ .name = "a body that stalls (E38)",
	    .script = "cat; sleep 300",
	    .body = 10,
	    .length = 100,
	    .held = true,
	    .timeout = 1,
	    .body_timeout = 2,
	    .why = REASON_BODY_TIMEOUT,
	    .sent = "" },
	{ .name = "a client that takes nothing more",
	    .script = PRINT "cat /dev/zero",
	    .room = 100000,
	    .timeout = 1,
	    .send_timeout = 2,
	    .why = REASON_CLIENT_GONE,
	    .begun = true,
	    .detail = "took nothing for `send_timeout`" },
	{ .name = "what is owed goes out while the handler is silent",
	    .script = "printf 'Content-Type: text/plain\n\nbody'; "
		      "sleep 300",
	    .late = true,
	    .flushes = 1,
	    .time_limit = 1,
	    .why = REASON_HANDLER_TIMEOUT,
	    .begun = true,
	    .sent = HEAD "body",
	    .detail = "past `time_limit`" },
	{ .name = "… or the client has taken nothing more",
	    .script = "printf 'Content-Type: text/plain\n\nbody'; "
		      "sleep 300",
	    .late = true,
	    .room = sizeof(HEAD "body") - 1,
	    .timeout = 60,
	    .send_timeout = 1,
	    .why = REASON_CLIENT_GONE,
	    .begun = true,
	    .sent = HEAD "body",
	    .detail = "took nothing for `send_timeout`" },
	{ .name = "a client that takes so little that poll never tells",
	    .script = "printf 'Content-Type: text/plain\\n\\nbody'; sleep 2.5",
	    .stiff = true,
	    .takes = sizeof(HEAD "b") - 1,
	    .timeout = 60,
	    .send_timeout = 1,
	    .begun = true,
	    .sent = HEAD "body" },
	{ .name = "a handler that is told to stop, and does not",
	    .script = "trap '' TERM; kill -USR1 $PPID; "
		      "while :; do sleep 0.1; done",
	    .stop = SIGTERM,
	    .kill_grace = 1,
	    .timeout = 60,
	    .why = REASON_HANDLER_DIED,
	    .sent = "",
	    .detail = "told to stop" },
	{ .name = "a background child that holds the output (E70)",
	    .script = PRINT "printf body; sleep 300 2>/dev/null &",
	    .timeout = 60,
	    .begun = true,
	    .sent = HEAD "body" },
	{ .name = "one that holds nothing but the errors (E71)",
	    .script = PRINT "echo e >&2; printf body; sleep 300 >/dev/null &",
	    .timeout = 60,
	    .begun = true,
	    .sent = HEAD "body",
	    .errors = "0000002a handler: e\n" },
};

/* One run, and what it is made of. */
struct run {
	struct fake f;
	struct reply reply;
	struct spawn_child child;
	struct conf_limits limits;
	struct pump_job job;
	struct pump_result result;
	pid_t group;
};

static int *cells;
static struct run *stopping; /* whose handler is ready to be told to stop */

static void
on_ready(int signal)
{
	(void)signal;
	eventfd_write(stopping->f.x.stop, 1);
}

static size_t
or_all(size_t n)
{
	return n == 0 ? SIZE_MAX : n;
}

static void
make(struct run *r, const struct pump_case *c)
{
	static char text[1000000];

	memset(text, 'x', sizeof(text));
	fake_init(&r->f, NULL, (struct span){ text, c->body });
	r->f.piece = c->piece == 0 ? 4096 : c->piece;
	r->f.takes = or_all(c->takes);
	r->f.room = or_all(c->room);
	r->f.leaves = or_all(c->leaves);
	r->f.held = c->held;
	r->f.late = c->late;
	if (c->stiff)
		fake_fill(&r->f);
	r->f.gives_up = c->gives_up;
	r->f.signal = c->stop;
	if (c->leaves == 1)
		fake_leave(&r->f);
	r->limits = (struct conf_limits){ .timeout = c->timeout,
		.time_limit = c->time_limit,
		.body_timeout = c->body_timeout,
		.send_timeout = c->send_timeout,
		.kill_grace = c->kill_grace };
	r->job = (struct pump_job){ .x = &r->f.x,
		.reply = &r->reply,
		.handler = &r->child.h,
		.limits = &r->limits,
		.body = c->length == 0 ? c->body : c->length,
		.id = 0x2a,
		.room = must(malloc(PUMP_ROOM)) };
}

static void
start(struct run *r, const char *script, bool head, int null)
{
	static char sh[] = "sh", option[] = "-c", path[] = "PATH=/usr/bin:/bin";
	static const struct field vary = { { "Vary", 4 }, { "Origin", 6 } };
	const struct reply_rules rules = { .add = &vary,
		.nadd = 1,
		.head_only = head,
		.max_header = 65536 };
	char *words = must(strdup(script));
	char *argv[] = { sh, option, words, NULL }, *vars[] = { path, NULL };
	const struct spawn_command command = { .file = "/bin/sh",
		.argv = argv,
		.vars = vars,
		.dir = "/",
		.in = r->job.body > 0 ? -1 : null };

	if (spawn_start(&command, cells, &r->child) == -1)
		bail();
	r->group = r->child.pid;
	reply_init(&r->reply, &rules);
	free(words);
}

static void
unmake(struct run *r)
{
	spawn_end(&r->child, 1);
	kill(-r->group, SIGKILL); /* what it left behind */
	reply_free(&r->reply);
	free(r->job.room);
	fake_free(&r->f);
}

static bool
is_text(const struct buf *got, const char *want, const char *what)
{
	if (span_eq(buf_span(got), span_of(want)))
		return true;
	printf("# %s: %.*s\n", what, got->n < 1000 ? (int)got->n : 1000,
	    got->p);
	return false;
}

static bool
is_sent(const struct run *r, const struct pump_case *c)
{
	struct span all = buf_span(&r->f.sent);

	if (c->sent != NULL)
		return is_text(&r->f.sent, c->sent, "sent");
	return span_starts(all, SPAN(HEAD)) &&
	    (c->long_body == 0 || all.n == sizeof(HEAD) - 1 + c->long_body);
}

static bool
is_detail(const char *got, const char *want)
{
	if (want == NULL || got == NULL)
		return want == got;
	return *want == '\0' || strcmp(got, want) == 0;
}

static bool
is_result(const struct run *r, const struct pump_case *c)
{
	const struct pump_result *got = &r->result;
	/* one that is whole may have begun, or be all for the end */
	bool same = got->why == c->why &&
	    (got->begun == c->begun || got->why == REASON_OK) &&
	    is_detail(got->detail, c->detail) &&
	    (r->child.pid != 0 || (unsigned)r->child.status == c->status) &&
	    (r->child.pid == 0 || c->status == 0);

	if (!same)
		printf("# %s, begun %d, detail %s, pid %d, status %d\n",
		    reason_word(got->why), got->begun,
		    got->detail == NULL ? "(none)" : got->detail,
		    (int)r->child.pid, r->child.status);
	return same;
}

enum { LONG = 10000 }; /* as a hold: longer than any of the quick ones */

/* What finish() would send. */
static void
take_rest(struct run *r)
{
	if (r->result.why != REASON_OK)
		return;
	buf_add_span(&r->f.sent, r->result.rest[0]);
	buf_add_span(&r->f.sent, r->result.rest[1]);
}

static bool
run_case(const struct pump_case *c, unsigned hold)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct run r;
	bool same;

	make(&r, c);
	stopping = &r;
	signal(SIGUSR1, c->stop == 0 ? SIG_DFL : on_ready);
	start(&r, c->script, c->head, null);
	r.job.hold = hold;
	r.result = pump_run(&r.job);
	take_rest(&r);
	same = is_result(&r, c) && is_sent(&r, c) &&
	    is_text(&r.f.errors, c->errors == NULL ? "" : c->errors,
		"errors") &&
	    r.f.finishes == 0 && r.f.flushes == c->flushes;
	unmake(&r);
	close(null);
	signal(SIGUSR1, SIG_DFL);
	return same;
}

struct hold_case {
	const char *name, *script;
	unsigned hold;
	enum reason why;
	bool begun;
	const char *sent; /* before the end; NULL: whatever */
	const char *all;  /* and with it; NULL: whatever */
};

static const struct hold_case holds[] = {
	{ .name = "an answer in pieces waits for its end, and is one",
	    .script = PRINT "printf one; printf two; sleep 0.05; printf three",
	    .hold = LONG,
	    .sent = "",
	    .all = HEAD "onetwothree" },
	{ .name = "… where that comes at once, in any case",
	    .script = PRINT "printf one",
	    .hold = LONG,
	    .sent = "",
	    .all = HEAD "one" },
	{ .name = "… but no longer than it may",
	    .script = PRINT "printf one; sleep 0.4; printf two",
	    .hold = 1,
	    .begun = true,
	    .all = HEAD "onetwo" },
	{ .name = "… nor when it is large",
	    .script = PRINT "head -c 20000 /dev/zero; sleep 0.1",
	    .hold = LONG,
	    .begun = true },
	{ .name = "one that is cut short has begun all the same",
	    .script = PRINT "printf half; kill -9 $$",
	    .hold = LONG,
	    .why = REASON_HANDLER_DIED,
	    .begun = true,
	    .sent = HEAD "half",
	    .all = HEAD "half" },
	{ .name = "… or is shorter than it said",
	    .script = "printf 'Content-Length: 9\n\nhalf'",
	    .hold = LONG,
	    .why = REASON_HANDLER_BAD_ANSWER,
	    .begun = true },
};

static void
test_hold(const struct hold_case *h)
{
	const struct pump_case plain = { .timeout = 60, .send_timeout = 60 };
	struct run r;
	bool same;

	make(&r, &plain);
	start(&r, h->script, false, STDIN_FILENO);
	r.job.hold = h->hold;
	r.result = pump_run(&r.job);
	same = r.result.why == h->why && r.result.begun == h->begun &&
	    (r.f.sends > 0) == h->begun &&
	    (h->sent == NULL || is_text(&r.f.sent, h->sent, "sent"));
	take_rest(&r);
	ok(same && (h->all == NULL || is_text(&r.f.sent, h->all, "all")), "%s",
	    h->name);
	unmake(&r);
}

/* Whose room is worth giving back: all that it says is in the pipe. */
static void
test_large(const char *script, int size, bool large)
{
	const struct pump_case plain = { .why = REASON_OK };
	int here = 0;
	struct run r;

	make(&r, &plain);
	start(&r, script, false, STDIN_FILENO);
	fcntl(r.child.h.out, F_SETPIPE_SZ, PUMP_ROOM);
	while (ioctl(r.child.h.out, FIONREAD, &here) == 0 && here < size)
		sched_yield();
	r.result = pump_run(&r.job);
	take_rest(&r);
	ok(r.result.why == REASON_OK && r.result.large == large,
	    "%d bytes are %s", size, large ? "large" : "not");
	unmake(&r);
}

/* Errors beyond all measure hold up nobody, and are counted (E68). */
static void
test_error_flood(void)
{
	const struct pump_case c = { .name = "flood" };
	struct span all, left = SPAN(" bytes more were left out)\n");
	struct run r;

	make(&r, &c);
	start(&r,
	    "head -c 1000000 /dev/zero | tr '\\0' e >&2; " PRINT "printf body",
	    false, STDIN_FILENO);
	r.result = pump_run(&r.job);
	take_rest(&r);
	all = buf_span(&r.f.errors);
	ok(r.result.why == REASON_OK && is_text(&r.f.sent, HEAD "body", "sent"),
	    "a flood of errors");
	ok(all.n < 80000 && all.n > 65536 &&
		span_eq(span_skip(all, all.n - left.n), left),
	    "… of which the first 64 KiB are kept");
	unmake(&r);
}

/* What cannot be executed: the caller finds errno in the cell. */
static void
test_not_started(void)
{
	const struct pump_case c = { .name = "not started" };
	char name[] = "none", *argv[] = { name, NULL };
	const struct spawn_command command = { .file = "/no/such",
		.argv = argv,
		.vars = argv + 1,
		.dir = "/",
		.in = STDIN_FILENO };
	const struct reply_rules rules = { .max_header = 100 };
	struct run r;

	make(&r, &c);
	if (spawn_start(&command, cells, &r.child) == -1)
		bail();
	r.group = r.child.pid;
	reply_init(&r.reply, &rules);
	r.result = pump_run(&r.job);
	ok(r.result.why == REASON_HANDLER_NOT_STARTED && !r.result.begun &&
		*r.child.exec_errno == ENOENT,
	    "what cannot be executed");
	unmake(&r);
}

/* --- handlers of our own --- */

/* What one says next. */
struct step {
	enum handler_output kind; /* not HANDLER_WAIT */
	const char *text;
};

enum { STEPS = 12, NEVER = 1000000 };

#define OUT(s)                   \
	{                        \
		HANDLER_BYTES, s \
	}
#define ERR(s)                    \
	{                         \
		HANDLER_ERRORS, s \
	}
#define END                     \
	{                       \
		HANDLER_END, "" \
	}
#define SIZED(n) "Content-Type: text/plain\nContent-Length: " n "\n\n"
#define SIZED_HEAD(n)                                    \
	"Status: 200 OK\r\nContent-Type: text/plain\r\n" \
	"Content-Length: " n "\r\nVary: Origin\r\n\r\n"
#define PLAIN "Content-Type: text/plain\n\n"

struct script_case {
	const char *name;
	struct step steps[STEPS]; /* behind the last one it is silent */
	/* its input: a body, given so much of at once */
	const char *body;
	uint64_t length;     /* that are the handler's; 0: as many as come */
	size_t takes;        /* bytes; 0: no limit */
	bool now_and_then;   /* … and none of them every other time */
	bool deaf;           /* give() fails: it has read enough */
	unsigned flushes;    /* so many times it owes before all is sent */
	bool away;           /* … and has no descriptor until then */
	bool waits_for_stop; /* says nothing before it is told to stop */
	bool slow;           /* a clock must run out */
	bool head;           /* the request is a HEAD */
	bool over;           /* its last words tell that they are the last */
	bool floods;         /* it says its first words for ever */
	struct handler_fate fate;
	const char *note;
	size_t client; /* takes so much of the answer at once; 0: no limit */
	enum reason why;
	bool begun;
	const char *sent, *errors, *detail;
	const char *rest; /* left for the end; NULL: nothing */
	const char *got;  /* of the body; NULL: all of it */
};

/* More than can go out with the end, with a header block before it. */
static char large[EXCHANGE_FINISH_MAX + 1], large_sent[sizeof(large) + 256];

static const struct script_case scripts[] = {
	{ .name = "an answer",
	    .steps = { OUT(PLAIN), OUT("bo"), OUT("dy"), END },
	    .begun = true,
	    .sent = HEAD "body" },
	{ .name = "… in single bytes, to a client that takes as many",
	    .steps = { OUT("Content-Type: text/plain\n"), OUT("\n"), OUT("b"),
		OUT("o"), OUT("d"), OUT("y"), END },
	    .client = 1,
	    .begun = true,
	    .sent = HEAD "body" },
	{ .name = "errors before, between and behind (E103)",
	    .steps = { ERR("one\n"), OUT("Content-Type: "), ERR("tw"),
		OUT("text/plain\n\nbo"), ERR("o\nthree"), OUT("dy"),
		ERR("\nfour"), END },
	    .client = 1,
	    .begun = true,
	    .sent = HEAD "body",
	    .errors = "0000002a handler: one\n0000002a handler: two\n"
		      "0000002a handler: three\n0000002a handler: four\n" },
	{ .name = "errors alone",
	    .steps = { ERR("why"), END },
	    .fate = { REASON_BACKEND_REFUSED, REASON_HANDLER_DIED },
	    .why = REASON_BACKEND_REFUSED,
	    .sent = "",
	    .errors = "0000002a handler: why\n",
	    .detail = "no whole header block" },
	{ .name = "an answer that is bad, and goes on",
	    .steps = { OUT("hello\n\n"), OUT("more"), END },
	    .why = REASON_HANDLER_BAD_ANSWER,
	    .sent = "",
	    .detail = "a header line without a colon" },

	/* how it ended */
	{ .name = "no answer, and why",
	    .steps = { END },
	    .fate = { REASON_OVERLOADED, REASON_OVERLOADED },
	    .note = "x: overloaded",
	    .why = REASON_OVERLOADED,
	    .sent = "",
	    .detail = "x: overloaded" },
	{ .name = "half a header block",
	    .steps = { OUT("Content-Type: text/plain\n"), END },
	    .fate = { REASON_HANDLER_DIED, REASON_HANDLER_DIED },
	    .note = "gone",
	    .why = REASON_HANDLER_DIED,
	    .sent = "",
	    .detail = "gone" },
	{ .name = "an answer of no known length, cut (E52)",
	    .steps = { OUT(PLAIN "half"), END },
	    .fate = { REASON_HANDLER_DIED, REASON_HANDLER_DIED },
	    .note = "gone",
	    .why = REASON_HANDLER_DIED,
	    .begun = true,
	    .sent = HEAD "half",
	    .detail = "gone" },
	{ .name = "… for another reason",
	    .steps = { OUT(PLAIN), END },
	    .fate = { REASON_OVERLOADED, REASON_OVERLOADED },
	    .why = REASON_OVERLOADED,
	    .begun = true,
	    .sent = HEAD },
	{ .name = "one of a known length, whole and then cut",
	    .steps = { OUT(SIZED("4") "body"), END },
	    .fate = { REASON_HANDLER_DIED, REASON_HANDLER_DIED },
	    .note = "gone",
	    .begun = true,
	    .sent = SIZED_HEAD("4") "body",
	    .detail = "gone" },
	{ .name = "… not whole, and cut",
	    .steps = { OUT(SIZED("5") "body"), END },
	    .fate = { REASON_HANDLER_DIED, REASON_HANDLER_DIED },
	    .note = "gone",
	    .why = REASON_HANDLER_DIED,
	    .begun = true,
	    .sent = SIZED_HEAD("5") "body",
	    .detail = "gone" },
	{ .name = "… not whole, and ended in order",
	    .steps = { OUT(SIZED("5") "body"), END },
	    .fate = { REASON_HANDLER_BAD_ANSWER, REASON_OK },
	    .why = REASON_HANDLER_BAD_ANSWER,
	    .begun = true,
	    .sent = SIZED_HEAD("5") "body",
	    .detail = "the body ended early" },
	{ .name = "… with more than it said, and cut",
	    .steps = { OUT(SIZED("4") "bo"), OUT("dy and more"), OUT("…"),
		END },
	    .fate = { REASON_HANDLER_DIED, REASON_HANDLER_DIED },
	    .begun = true,
	    .sent = SIZED_HEAD("4") "body" },
	{ .name = "one that can have no body, cut",
	    .steps = { OUT("Status: 204\n\n"), END },
	    .fate = { REASON_HANDLER_DIED, REASON_HANDLER_DIED },
	    .begun = true,
	    .sent = "Status: 204 No Content\r\nVary: Origin\r\n\r\n" },

	{ .name = "… to HEAD",
	    .head = true,
	    .steps = { OUT(PLAIN "half"), END },
	    .fate = { REASON_HANDLER_DIED, REASON_HANDLER_DIED },
	    .begun = true,
	    .sent = HEAD },

	/* an end that is known before it is asked for */
	{ .name = "a small answer, all for the end",
	    .over = true,
	    .steps = { OUT(PLAIN "body"), END },
	    .sent = "",
	    .rest = HEAD "body" },
	{ .name = "… the last of one",
	    .over = true,
	    .steps = { OUT(PLAIN), OUT("bo"), OUT("dy"), END },
	    .begun = true,
	    .sent = HEAD "bo",
	    .rest = "dy" },
	{ .name = "… of one of a known length",
	    .over = true,
	    .steps = { OUT(SIZED("4") "body"), END },
	    .sent = "",
	    .rest = SIZED_HEAD("4") "body" },
	{ .name = "… not of one that is not whole",
	    .over = true,
	    .steps = { OUT(SIZED("5") "body"), END },
	    .fate = { REASON_HANDLER_BAD_ANSWER, REASON_OK },
	    .why = REASON_HANDLER_BAD_ANSWER,
	    .begun = true,
	    .sent = SIZED_HEAD("5") "body",
	    .detail = "the body ended early" },
	{ .name = "… nor of one that is bad",
	    .over = true,
	    .steps = { OUT("hello\n\n"), END },
	    .why = REASON_HANDLER_BAD_ANSWER,
	    .sent = "",
	    .detail = "a header line without a colon" },
	{ .name = "… nor of one without its header block",
	    .over = true,
	    .steps = { OUT("Content-Type: text/plain\n"), END },
	    .fate = { REASON_HANDLER_BAD_ANSWER, REASON_OK },
	    .why = REASON_HANDLER_BAD_ANSWER,
	    .sent = "",
	    .detail = "no whole header block" },
	{ .name = "… nor of one that is too large",
	    .over = true,
	    .steps = { OUT(large), END },
	    .begun = true,
	    .sent = large_sent },
	{ .name = "… but for the last of it, to a slow client",
	    .over = true,
	    .steps = { OUT(PLAIN), OUT("a body"), END },
	    .client = 1,
	    .begun = true,
	    .sent = HEAD,
	    .rest = "a body" },
	{ .name = "… and with a status for the log",
	    .over = true,
	    .steps = { OUT(PLAIN), END },
	    .note = "exit status 3",
	    .sent = "",
	    .rest = HEAD,
	    .detail = "exit status 3" },

	/* its input, which is one descriptor with its output */
	{ .name = "a body",
	    .body = "a body",
	    .steps = { OUT(PLAIN), END },
	    .begun = true,
	    .sent = HEAD },
	{ .name = "… of which a part is taken at a time",
	    .body = "a longer body that goes in small pieces",
	    .takes = 3,
	    .steps = { OUT(PLAIN), END },
	    .begun = true,
	    .sent = HEAD },
	{ .name = "… or none",
	    .body = "a longer body that goes in small pieces",
	    .takes = 3,
	    .now_and_then = true,
	    .steps = { OUT(PLAIN), END },
	    .begun = true,
	    .sent = HEAD },
	{ .name = "… and no more than there should be",
	    .body = "a longer body that goes in small pieces",
	    .length = 8,
	    .takes = 3,
	    .steps = { OUT(PLAIN), END },
	    .begun = true,
	    .sent = HEAD,
	    .got = "a longer" },
	{ .name = "… or less",
	    .body = "a body",
	    .length = 100,
	    .takes = 4,
	    .steps = { OUT(PLAIN), END },
	    .begun = true,
	    .sent = HEAD },
	{ .name = "a handler that wants none of it",
	    .body = "a body",
	    .deaf = true,
	    .steps = { OUT(PLAIN), OUT("deaf"), END },
	    .begun = true,
	    .sent = HEAD "deaf",
	    .got = "" },

	/* what it owes */
	{ .name = "a head of its own",
	    .flushes = 1,
	    .steps = { OUT(PLAIN), END },
	    .begun = true,
	    .sent = HEAD },
	{ .name = "… in parts",
	    .flushes = 5,
	    .steps = { OUT(PLAIN), END },
	    .begun = true,
	    .sent = HEAD },
	{ .name = "… in parts, and a body behind it",
	    .body = "a body",
	    .flushes = 5,
	    .steps = { OUT(PLAIN), END },
	    .begun = true,
	    .sent = HEAD },
	{ .name = "one that is not there as yet",
	    .flushes = 5,
	    .away = true,
	    .steps = { OUT(PLAIN), END },
	    .begun = true,
	    .sent = HEAD },
	{ .name = "… and a body for it",
	    .body = "a longer body that goes in small pieces",
	    .takes = 3,
	    .flushes = 5,
	    .away = true,
	    .steps = { OUT(PLAIN), END },
	    .begun = true,
	    .sent = HEAD },
	{ .name = "… that never comes",
	    .slow = true,
	    .flushes = NEVER,
	    .away = true,
	    .why = REASON_HANDLER_TIMEOUT,
	    .sent = "",
	    .detail = "silent for `timeout`" },

	/* the end */
	{ .name = "one that is told to stop",
	    .waits_for_stop = true,
	    .steps = { OUT(PLAIN), END },
	    .begun = true,
	    .sent = HEAD },
	{ .name = "one that is silent behind a whole answer",
	    .slow = true,
	    .steps = { OUT(SIZED("4") "body") },
	    .fate = { REASON_HANDLER_DIED, REASON_OK },
	    .begun = true,
	    .sent = SIZED_HEAD("4") "body" },
	{ .name = "… behind one that may go on",
	    .slow = true,
	    .steps = { OUT(PLAIN "body") },
	    .why = REASON_HANDLER_TIMEOUT,
	    .begun = true,
	    .sent = HEAD "body",
	    .detail = "silent for `timeout`" },
};

/* A handler that does as a case says. */
struct script {
	struct handler h; /* first */
	const struct script_case *c;
	bool unseen; /* poll(2) does not see what it says */
	int socket, peer;
	size_t step;
	struct buf got; /* of the body */
	unsigned gives, ends, flushes, fates, stopped;
	bool wrong; /* the pump broke its word */
};

static struct script *
script_of(struct handler *h)
{
	return (struct script *)h;
}

/* Is it its turn, and has it more to say? */
static bool
script_speaks(const struct script *s)
{
	const struct script_case *c = s->c;

	return s->step < STEPS && c->steps[s->step].text != NULL &&
	    !s->h.owes && (s->stopped > 0 || !c->waits_for_stop) &&
	    (s->ends > 0 || c->body == NULL);
}

/* Can what it has to say be seen? */
static void
script_settle(struct script *s)
{
	bool more = script_speaks(s);
	char byte;

	s->h.ready = more && s->unseen;
	while (recv(s->socket, &byte, 1, MSG_DONTWAIT) == 1)
		;
	if (more && !s->unseen)
		send(s->peer, "x", 1, MSG_DONTWAIT);
}

static ssize_t
script_give(struct handler *h, struct span body)
{
	struct script *s = script_of(h);
	size_t n = s->c->takes;

	s->wrong |= s->ends > 0 || body.n == 0;
	s->gives++;
	errno = s->c->deaf ? EPIPE : EAGAIN;
	if (s->c->deaf || h->owes || (s->c->now_and_then && s->gives % 2 == 1))
		return -1;
	n = n == 0 || n > body.n ? body.n : n;
	buf_add(&s->got, body.p, n);
	return (ssize_t)n;
}

static void
script_give_end(struct handler *h)
{
	script_of(h)->ends++;
	script_settle(script_of(h));
}

static bool
script_flush(struct handler *h)
{
	struct script *s = script_of(h);

	s->wrong |= !h->owes;
	if (++s->flushes < s->c->flushes)
		return false;
	h->owes = false;
	h->in = h->out = s->socket;
	script_settle(s);
	return true;
}

static enum handler_output
script_take(struct handler *h, char *room, size_t size, struct span *bytes)
{
	struct script *s = script_of(h);
	const struct step *step = &s->c->steps[s->step];

	s->wrong |= size != PUMP_ROOM;
	if (!script_speaks(s))
		return HANDLER_WAIT;
	s->step += !s->c->floods;
	h->over = s->c->over && step[1].kind == HANDLER_END;
	script_settle(s);
	*bytes = (struct span){ room, strlen(step->text) };
	memcpy(room, step->text, bytes->n);
	return step->kind;
}

static void
script_stop(struct handler *h, int signal)
{
	struct script *s = script_of(h);

	s->wrong |= signal != SIGTERM;
	s->stopped++;
	script_settle(s);
}

static bool
script_ended(const struct handler *h)
{
	(void)h;
	return false;
}

static struct handler_fate
script_fate(struct handler *h)
{
	struct script *s = script_of(h);

	s->fates++;
	if (s->c->note != NULL)
		snprintf(h->note, sizeof(h->note), "%s", s->c->note);
	return s->c->fate;
}

static const struct handler_way script_way = {
	.give = script_give,
	.give_end = script_give_end,
	.flush = script_flush,
	.take = script_take,
	.stop = script_stop,
	.ended = script_ended,
	.fate = script_fate,
};

static void
script_make(struct script *s, const struct script_case *c, bool unseen)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == -1)
		bail();
	*s = (struct script){ .c = c,
		.unseen = unseen,
		.socket = fd[0],
		.peer = fd[1] };
	s->h = (struct handler){ .way = &script_way,
		.in = c->away ? -1 : fd[0],
		.out = c->away ? -1 : fd[0],
		.err = -1,
		.owes = c->flushes > 0 };
	buf_init(&s->got, 4096);
	script_settle(s);
}

/* Did the handler get what it should, and in order? */
static bool
is_given(const struct script *s)
{
	const struct script_case *c = s->c;
	const char *want = c->got == NULL ? c->body : c->got;
	bool same = want == NULL || is_text(&s->got, want, "the handler got");

	if (s->wrong || s->ends != (c->body != NULL) ||
	    (c->flushes > 0 && c->flushes < NEVER &&
		s->flushes != c->flushes) ||
	    s->stopped != c->waits_for_stop) {
		printf("# wrong %d, ended %u, flushed %u, stopped %u\n",
		    s->wrong, s->ends, s->flushes, s->stopped);
		return false;
	}
	return same;
}

static bool
is_scripted_result(const struct run *r, const struct script *s)
{
	const struct script_case *c = s->c;
	const struct pump_result *got = &r->result;
	bool ended =
	    got->why != REASON_HANDLER_TIMEOUT && got->detail != r->reply.fault;
	bool same = got->why == c->why && got->begun == c->begun &&
	    is_detail(got->detail, c->detail) && got->told == c->waits_for_stop;

	if (!same || s->fates > 1 || (ended && s->fates == 0))
		printf("# %s, begun %d, told %d, detail %s, fates %u\n",
		    reason_word(got->why), got->begun, got->told,
		    got->detail == NULL ? "(none)" : got->detail, s->fates);
	return same && s->fates <= 1 && (!ended || s->fates == 1);
}

static bool
is_rest(const struct pump_result *got, const char *want)
{
	struct buf all;
	bool same;

	buf_init(&all, 65536);
	buf_add_span(&all, got->rest[0]);
	buf_add_span(&all, got->rest[1]);
	same = is_text(&all, want == NULL ? "" : want, "left for the end");
	buf_free(&all);
	return same;
}

/* As a server does it, which has no thread for a handler that is silent. */
static struct pump_result
run_in_parts(struct run *r)
{
	struct pump *p = must(pump_new());
	struct exchange_await what;
	enum exchange_need need = pump_begin(p, &r->job, &what);
	struct pump_result result;

	while (need == EXCHANGE_AWAITS && fake_await(&r->f, &what))
		need = pump_resume(p, &what);
	result = pump_end(p);
	pump_free(p);
	return result;
}

/* What a script is run with: which of them is the i-th time. */
enum { UNSEEN = 1, IN_PARTS = 2, WAYS = 4 };

static bool
run_script(const struct script_case *c, size_t how)
{
	static const struct field vary = { { "Vary", 4 }, { "Origin", 6 } };
	const struct reply_rules rules = { .add = &vary,
		.nadd = 1,
		.head_only = c->head,
		.max_header = 65536 };
	const struct pump_case plain = { .takes = c->client,
		.timeout = c->slow ? 1 : 60,
		.body_timeout = 60,
		.send_timeout = 60,
		.kill_grace = 60 };
	struct script s;
	struct run r;
	bool same;

	make(&r, &plain);
	r.f.rest = span_of(c->body);
	r.f.held = false;
	r.job.body = c->length > 0 ? c->length : r.f.rest.n;
	if (c->waits_for_stop)
		fake_stop(&r.f, SIGTERM);
	script_make(&s, c, how & UNSEEN);
	r.job.handler = &s.h;
	reply_init(&r.reply, &rules);
	r.result = how & IN_PARTS ? run_in_parts(&r) : pump_run(&r.job);
	same = is_scripted_result(&r, &s) &&
	    is_text(&r.f.sent, c->sent, "sent") &&
	    (c->why != REASON_OK || is_rest(&r.result, c->rest)) &&
	    is_text(&r.f.errors, c->errors == NULL ? "" : c->errors,
		"errors") &&
	    is_given(&s);
	reply_free(&r.reply);
	free(r.job.room);
	fake_free(&r.f);
	buf_free(&s.got);
	close(s.socket);
	close(s.peer);
	return same;
}

/*
 * While a handler's socket takes nothing, nobody flushes in vain; and while it
 * is to come, it is asked now and then.
 */
static void
test_no_spin(void)
{
	const struct script_case full = { .flushes = NEVER },
				 away = { .flushes = NEVER, .away = true };
	const struct pump_case plain = { .timeout = 1 };
	const struct script_case *const cases[] = { &full, &away };

	for (size_t i = 0; i < 2; i++) {
		const struct reply_rules rules = { .max_header = 100 };
		struct script s;
		struct run r;

		make(&r, &plain);
		script_make(&s, cases[i], false);
		while (send(s.socket, large, sizeof(large), MSG_DONTWAIT) > 0)
			;
		r.job.handler = &s.h;
		reply_init(&r.reply, &rules);
		r.result = pump_run(&r.job);
		ok(r.result.why == REASON_HANDLER_TIMEOUT &&
			(i == 0 ? s.flushes == 1 :
				  s.flushes > 1 && s.flushes <= 110),
		    "%s: asked %u times in a second",
		    i == 0 ? "a full socket" : "none as yet", s.flushes);
		reply_free(&r.reply);
		free(r.job.room);
		fake_free(&r.f);
		buf_free(&s.got);
		close(s.socket);
		close(s.peer);
	}
}

/* Errors without end are bounded by the clocks, and by the stop. */
static bool
run_flood(size_t stopped)
{
	static const struct script_case flood = { .floods = true,
		.steps = { ERR("error\n") } };
	const struct reply_rules rules = { .max_header = 100 };
	const struct pump_case plain = { .timeout = 60,
		.time_limit = stopped ? 60 : 1,
		.kill_grace = 1 };
	struct script s;
	struct run r;
	bool same;

	alarm(30); /* where nothing bounds them */
	make(&r, &plain);
	if (stopped)
		fake_stop(&r.f, SIGTERM);
	script_make(&s, &flood, true);
	r.job.handler = &s.h;
	reply_init(&r.reply, &rules);
	r.result = pump_run(&r.job);
	same = r.result.why ==
		(stopped ? REASON_HANDLER_DIED : REASON_HANDLER_TIMEOUT) &&
	    r.result.told == stopped && s.stopped == stopped &&
	    is_detail(r.result.detail,
		stopped ? "told to stop" : "past `time_limit`") &&
	    !r.result.begun && !s.wrong && r.f.errors.n > 65536;
	reply_free(&r.reply);
	free(r.job.room);
	fake_free(&r.f);
	buf_free(&s.got);
	close(s.socket);
	close(s.peer);
	return same;
}

static bool
slow_case(size_t i)
{
	return run_case(&slow[i], PUMP_HOLD);
}

static bool
slow_script(size_t i)
{
	const struct script_case *c = &scripts[i / WAYS];

	return !c->slow || run_script(c, i % WAYS);
}

enum {
	SLOW = sizeof(slow) / sizeof(slow[0]),
	SCRIPTS = sizeof(scripts) / sizeof(scripts[0])
};

/* Each in a process of its own, all at once. */
static void
run_slow(bool (*run)(size_t i), size_t n, bool good[])
{
	pid_t pid[SLOW + WAYS * SCRIPTS];

	fflush(stdout);
	for (size_t i = 0; i < n; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			good[i] = run(i);
			fflush(stdout);
			_exit(!good[i]);
		}
	}
	for (size_t i = 0; i < n; i++) {
		int status = -1;

		waitpid(pid[i], &status, 0);
		good[i] = status == 0;
	}
}

static void
test_floods(void)
{
	bool good[2];

	run_slow(run_flood, 2, good);
	ok(good[0], "errors without end, to time_limit");
	ok(good[1], "… or to kill_grace, once told to stop");
}

static void
test_slow(void)
{
	bool good[SLOW];

	run_slow(slow_case, SLOW, good);
	for (size_t i = 0; i < SLOW; i++)
		ok(good[i], "%s", slow[i].name);
}

static void
test_scripts(void)
{
	bool good[WAYS * SCRIPTS];

	run_slow(slow_script, WAYS * SCRIPTS, good);
	for (size_t i = 0; i < WAYS * SCRIPTS; i++) {
		const struct script_case *c = &scripts[i / WAYS];

		ok(c->slow ? good[i] : run_script(c, i % WAYS), "%s%s%s",
		    c->name, i & UNSEEN ? ", unseen" : "",
		    i & IN_PARTS ? ", in parts" : "");
	}
}

int
main(void)
{
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigprocmask(SIG_BLOCK, &pipe, NULL); /* as the programs do */
	folder_make();
	memset(large, 'x', sizeof(large) - 1);
	memcpy(large, PLAIN, strlen(PLAIN));
	snprintf(large_sent, sizeof(large_sent), "%s%s", HEAD,
	    large + strlen(PLAIN));
	cells = spawn_cells(1);
	log_open("test", in_folder("log"), LOG_INFO);
	for (size_t i = 0; i < sizeof(quick) / sizeof(quick[0]); i++)
		ok(run_case(&quick[i], 0) && run_case(&quick[i], LONG), "%s",
		    quick[i].name);
	for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++)
		test_hold(&holds[i]);
	test_large(PRINT "head -c 60000 /dev/zero", 60000, false);
	test_large(PRINT "head -c 200000 /dev/zero", 200000, true);
	test_error_flood();
	test_not_started();
	test_scripts();
	test_no_spin();
	test_floods();
	ok(*folder_text("log") == '\0', "nothing of that is for our own log");
	test_slow();
	is_span(span_of(folder_text("log")),
	    "test: 0000002a the handler has ended, but a process that it left "
	    "behind holds its output open\n",
	    "… but the child that holds the output");
	spawn_cells_free(cells, 1);
	folder_remove();
	return tap_done();
}
