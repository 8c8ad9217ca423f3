/*
 * The whole front, as web servers talk to it: the input is a script of what
 * they say.  Behind it is an honest backend, in a thread of its own, that says
 * back what it was told, and CORS fields that are not its affair.
 */
#include "backend.h"
#include "script.h"

enum { PROBE_EVERY = 16 };

static struct front front = {
	.policy =
	    "[server]\n"
	    "threads = 2\n"
	    "queue = 1\n"
	    "queue_timeout = 100\n"
	    "head_timeout = 100\n"
	    "idle_timeout = 300\n"
	    "stop_grace = 100\n"
	    "log_format = json\n"
	    "metrics = url:/metrics\n"
	    "[policy]\n"
	    "senders = *@company.example a@b.example !bad@company.example "
	    "https://playground.amp.dev\n"
	    "origins = https://mail.google.com https://*.mail.example\n"
	    "playground = yes\n"
	    "timeout = 100\n"
	    "body_timeout = 100\n"
	    "spool_max = 80K\n"
	    "handler = none\n"
	    "[endpoint none]\n"
	    "path = /none\n"
	    "credentials = yes\n"
	    "[endpoint one]\n"
	    "path = /none/one\n"
	    "versions = 1\n"
	    "[endpoint forward]\n"
	    "path = /forward\n"
	    "expose_headers = X-Mine\n"
	    "forward = " FRONT_HIDDEN "\n"
	    "[endpoint small]\n"
	    "path = /forward/small\n"
	    "max_body = 4K\n"
	    "forward = " FRONT_HIDDEN "\n"
	    "[endpoint exec]\n" /* a program that cannot be started */
	    "path = /exec\n"
	    "exec = /nowhere/program\n"
	    "[endpoint report]\n"
	    "path = /report\n"
	    "mode = report\n"
	    "forward = " FRONT_HIDDEN "\n",
};

static void
enter_door(struct peer *p)
{
	peer_open(p, front_connect(&front), front.conf, backend_answered);
}

static void
reload(void)
{
	front_reload(&front);
}

static void
stop(void)
{
	front_tell_stop(&front);
}

static const struct script_ways ways = { enter_door, reload, stop };

/* One request more, of which each part must be in order. */
static void
probe(void)
{
	static struct script y;
	struct peer *p = &y.peers[0];

	script_init(&y, (struct span){ NULL, 0 }, &ways);
	script_choose(&y, 0);
	script_say_preset(&y, 2);
	peer_await(p, p, 1);
	FUZZ_HOLDS(p->nasked == 1 && p->asked[0].ended);
	script_finish(&y);
}

static void
end(void)
{
	front_stop(&front);
	backend_stop();
}

static void
begin(void)
{
	static bool begun;

	if (!begun) {
		backend_start();
		atexit(end);
	}
	begun = true;
	if (!front.runs)
		front_start(&front);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct script y;
	static unsigned turn;

	if (size > SCRIPT_LONGEST)
		return 0;
	begin();
	script_init(&y, (struct span){ (const char *)data, size }, &ways);
	script_play(&y);
	script_finish(&y);
	if (y.stopped) {
		front_join(&front);
		return 0;
	}
	front_settles(front.during);
	if (++turn % PROBE_EVERY == 0)
		probe();
	return 0;
}
