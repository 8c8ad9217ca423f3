/*
 * pump: shell scripts that answer, and others that do not, behind an exchange
 * whose client is quick, slow, deaf or gone.
 */
#include "pump.h"

#include <sys/wait.h>

#include <errno.h>
#include <syslog.h>

#include "fake.h"
#include "folder.h"
#include "io.h"
#include "log.h"
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
	    .status = 3 },
	{ .name = "nothing, and a signal",
	    .script = "kill -9 $$",
	    .why = REASON_HANDLER_DIED,
	    .sent = "",
	    .status = SIGKILL },
	{ .name = "killed within its body (E52)",
	    .script = PRINT "printf half; kill -9 $$",
	    .why = REASON_HANDLER_DIED,
	    .begun = true,
	    .sent = HEAD "half",
	    .detail = "killed within its body",
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
		.child = &r->child,
		.limits = &r->limits,
		.body = c->length == 0 ? c->body : c->length,
		.id = 0x2a,
		.room = malloc(PUMP_ROOM) };
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
	char *words = strdup(script);
	char *argv[] = { sh, option, words, NULL }, *vars[] = { path, NULL };
	const struct spawn_command command = { .file = "/bin/sh",
		.argv = argv,
		.vars = vars,
		.dir = "/",
		.in = r->job.body > 0 ? -1 : null };

	if (spawn_start(&command, cells, &r->child) == -1)
		abort();
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
	bool same = got->why == c->why && got->begun == c->begun &&
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

static bool
run_case(const struct pump_case *c)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct run r;
	bool same;

	make(&r, c);
	stopping = &r;
	signal(SIGUSR1, c->stop == 0 ? SIG_DFL : on_ready);
	start(&r, c->script, c->head, null);
	r.result = pump_run(&r.job);
	same = is_result(&r, c) && is_sent(&r, c) &&
	    is_text(&r.f.errors, c->errors == NULL ? "" : c->errors,
		"errors") &&
	    r.f.finishes == 0;
	unmake(&r);
	close(null);
	signal(SIGUSR1, SIG_DFL);
	return same;
}

/* Each in a process of its own, all at once. */
static void
run_slow(void)
{
	enum { N = sizeof(slow) / sizeof(slow[0]) };
	pid_t pid[N];

	for (size_t i = 0; i < N; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			bool same = run_case(&slow[i]);

			fflush(stdout);
			_exit(!same);
		}
	}
	for (size_t i = 0; i < N; i++) {
		int status = -1;

		waitpid(pid[i], &status, 0);
		ok(status == 0, "%s", slow[i].name);
	}
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
		abort();
	r.group = r.child.pid;
	reply_init(&r.reply, &rules);
	r.result = pump_run(&r.job);
	ok(r.result.why == REASON_HANDLER_NOT_STARTED && !r.result.begun &&
		*r.child.exec_errno == ENOENT,
	    "what cannot be executed");
	unmake(&r);
}

int
main(void)
{
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigprocmask(SIG_BLOCK, &pipe, NULL); /* as the programs do */
	folder_make();
	cells = spawn_cells(1);
	log_open("test", in_folder("log"), LOG_INFO);
	for (size_t i = 0; i < sizeof(quick) / sizeof(quick[0]); i++)
		ok(run_case(&quick[i]), "%s", quick[i].name);
	test_error_flood();
	test_not_started();
	ok(*folder_text("log") == '\0', "nothing of that is for our own log");
	run_slow();
	is_span(span_of(folder_text("log")),
	    "test: 0000002a the handler has ended, but a process that it left "
	    "behind holds its output open\n",
	    "… but the child that holds the output");
	spawn_cells_free(cells, 1);
	folder_remove();
	return tap_done();
}
