#include "confine.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io.h"
#include "log.h"

#define RESTART                                                            \
	"restart the server: it then makes its sandbox for what the file " \
	"says"

bool
confine_runs(const struct conf_endpoint *ep, bool given)
{
	return ep->handler == CONF_HANDLER_EXEC ||
	    ep->handler == CONF_HANDLER_SCRIPTS ||
	    (ep->handler == CONF_HANDLER_UNSET && given);
}

/* The first endpoint that runs programs; their number where none does. */
static size_t
find_program(const struct conf *c, bool given)
{
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(c, &ep), i = 0;

	while (i < n && !confine_runs(&ep[i], given))
		i++;
	return i;
}

/* The TCP port that it forwards to; 0: it does not. */
static uint16_t
forward_port(const struct conf_endpoint *ep)
{
	struct io_address a;

	if (ep->handler != CONF_HANDLER_FORWARD ||
	    !io_address(ep->forward, &a) || a.to.any.sa_family == AF_UNIX)
		return 0;
	/* where IPv4 has its port, IPv6 has it too */
	return ntohs(a.to.in6.sin6_port);
}

/* --- at the start --- */

static void
allow_policy(struct sandbox *s, const struct conf *c)
{
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(c, &ep);

	for (const struct conf_file *f = conf_files(c); f != NULL; f = f->next)
		sandbox_allow(s, f->name, SANDBOX_READ);
	for (size_t i = 0; i < n; i++)
		if (forward_port(&ep[i]) != 0)
			sandbox_allow_port(s, forward_port(&ep[i]));
}

static void
allow_server(struct sandbox *s, const struct conf_server *server,
    const char *socket)
{
	const char *tmp = getenv("TMPDIR"); /* as spool takes it */

	/* serve's reserve, where descriptors are out */
	sandbox_allow(s, "/dev/null", SANDBOX_READ_BELOW);
	sandbox_allow(s, tmp == NULL || *tmp != '/' ? "/tmp" : tmp,
	    SANDBOX_SCRATCH);
	if (*server->log == '/')
		sandbox_allow(s, server->log, SANDBOX_APPEND);
	if (server->metrics_file != NULL)
		sandbox_allow(s, server->metrics_file, SANDBOX_REPLACE);
	if (socket != NULL)
		sandbox_allow(s, socket, SANDBOX_REMOVE);
}

static void
say(const struct sandbox_holds *h)
{
	if (h->seccomp && h->landlock > 0)
		log_info("sandbox: seccomp and Landlock (ABI %d)", h->landlock);
	else if (h->seccomp)
		log_info("sandbox: seccomp; no Landlock: %s",
		    h->landlock_fault);
	else if (h->landlock > 0)
		log_info("sandbox: Landlock (ABI %d); no seccomp: %s",
		    h->landlock, h->seccomp_fault);
	else
		log_info("sandbox: none; no seccomp: %s; no Landlock: %s",
		    h->seccomp_fault, h->landlock_fault);
}

static bool
is_on(const struct conf *c)
{
	return conf_server(c)->sandbox == CONF_SANDBOX_ON;
}

/* sandbox = on cannot be had. */
static void
refuse(const struct conf *c, const char *text, const char *expected,
    conf_report_fn *report, void *ctx)
{
	struct conf_fault fault = { .code = FAULT_SANDBOX,
		.file = conf_files(c)->name,
		.text = text,
		.expected = expected };
	struct conf_written written;

	if (conf_written(c, CONF_OF_SERVER, "sandbox", &written))
		fault.at = written.at;
	report(ctx, &fault);
}

static bool
enter(const struct conf *c, struct sandbox *s, conf_report_fn *report,
    void *ctx)
{
	struct sandbox_holds holds;

	if (!sandbox_enter(s, &holds)) {
		log_err("sandbox");
		return false;
	}
	say(&holds);
	if (!is_on(c) || holds.seccomp || holds.landlock > 0)
		return true;
	refuse(c, "this kernel has neither seccomp nor Landlock for us",
	    "write sandbox = auto, which makes do with what there is", report,
	    ctx);
	return false;
}

bool
confine_agrees(const struct conf *c, bool given, conf_report_fn *report,
    void *ctx)
{
	const struct conf_endpoint *ep;

	if (!is_on(c) || find_program(c, given) == conf_endpoints(c, &ep))
		return true;
	refuse(c, "the command line names a program to be run",
	    "write sandbox = auto, or let every endpoint forward", report, ctx);
	return false;
}

bool
confine(const struct conf *c, const char *socket, bool given,
    conf_report_fn *report, void *ctx, struct sandbox **out)
{
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(c, &ep), i = find_program(c, given);
	struct sandbox *s;

	*out = NULL;
	if (conf_server(c)->sandbox == CONF_SANDBOX_OFF)
		return true;
	if (i < n) {
		log_info("sandbox: none; endpoint %s runs programs",
		    ep[i].name);
		return true;
	}
	s = *out = sandbox_new();
	if (s == NULL) {
		log_err("sandbox");
		return false;
	}
	tzset(); /* syslog(3) has the local time, and reads no file for it */
	allow_policy(s, c);
	allow_server(s, conf_server(c), socket);
	return enter(c, s, report, ctx);
}

/* --- at a reload --- */

/* It is told where the endpoint says so, or where its section begins. */
static void
report_endpoint(const struct conf *c, size_t i, const char *key,
    const char *text, conf_report_fn *report, void *ctx)
{
	struct conf_fault fault = { .code = FAULT_SANDBOX,
		.file = conf_files(c)->name,
		.at = conf_place(c, i),
		.text = text,
		.expected = RESTART };
	struct conf_written written;

	if (conf_written(c, i, key, &written))
		fault.at = written.at;
	report(ctx, &fault);
}

static bool
fits(const struct sandbox *s, const struct conf *c, size_t i, bool given,
    conf_report_fn *report, void *ctx)
{
	const struct conf_endpoint *ep;
	uint16_t port;

	conf_endpoints(c, &ep);
	port = forward_port(&ep[i]);
	if (confine_runs(&ep[i], given))
		report_endpoint(c, i,
		    ep[i].handler == CONF_HANDLER_SCRIPTS ? "scripts" : "exec",
		    "this server is in a sandbox, where no program can be run",
		    report, ctx);
	else if (port != 0 && !sandbox_may_connect(s, port))
		report_endpoint(c, i, "forward",
		    "this server is in a sandbox, where that port cannot be "
		    "reached",
		    report, ctx);
	else
		return true;
	return false;
}

bool
confine_fits(const struct sandbox *s, const struct conf *c, bool given,
    conf_report_fn *report, void *ctx)
{
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(c, &ep);
	bool good = true;

	for (size_t i = 0; s != NULL && i < n; i++)
		good &= fits(s, c, i, given, report, ctx);
	return good;
}

void
confine_blame(const struct sandbox *s, const struct conf *c,
    conf_report_fn *report, void *ctx)
{
	for (const struct conf_file *f = s == NULL ? NULL : conf_files(c);
	     f != NULL; f = f->next) {
		const struct conf_fault fault = { .code = FAULT_SANDBOX,
			.file = f->name,
			.text = "it is outside of this server's sandbox",
			.expected = RESTART };

		if (!sandbox_may_read(s, f->name))
			report(ctx, &fault);
	}
}
