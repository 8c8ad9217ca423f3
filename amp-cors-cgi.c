/*
 * amp-cors-cgi: CORS in AMP for Email, in front of a CGI handler.
 *
 * This file knows in which way a request comes in [SPEC 5.1, 5.2], and what
 * the process is made of: policy, sockets, user, exit status.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#include "cgi.h"
#include "confine.h"
#include "forward.h"
#include "gate.h"
#include "io.h"
#include "log.h"
#include "peers.h"
#include "reload.h"
#include "review.h"
#include "serve.h"
#include "users.h"
#include "version.h"

#define CONFIG "/etc/amp-cors/amp-cors.ini"

extern char **environ;

enum {
	LISTENERS_MAX = 16,
	SYSTEMD_FIRST = 3,
	FORWARDS_MS = 500 /* for a look at all servers to forward to */
};

/* --- the policy's faults --- */

/* How much of what conf_load() finds is said, and how often it was. */
struct faults {
	bool first_alone;
	bool no_warnings;
	unsigned errors;
};

/* One line for each fault [SPEC 6.7]. */
static void
report(void *ctx, const struct conf_fault *fault)
{
	struct faults *f = ctx;
	char room[4096]; /* for most of them, also where memory is out */
	struct buf line;

	f->errors += !fault->warning;
	if ((f->first_alone && (fault->warning || f->errors > 1)) ||
	    (f->no_warnings && fault->warning))
		return;
	buf_init_in(&line, 65536, room, sizeof(room));
	conf_fault_line(&line, fault);
	fprintf(stderr, "%.*s\n", (int)line.n, line.p);
	buf_free(&line);
}

static const char *
config_path(const char *option)
{
	const char *path = option != NULL ? option : getenv("AMP_CORS_CONFIG");

	return path != NULL && *path != '\0' ? path : CONFIG;
}

/* --- plain CGI --- */

/* The bytes of body that standard input holds. */
static uint64_t
cgi_body(const struct cgienv *e)
{
	switch (cgienv_body(e)) {
	case CGIENV_NO_BODY:
		return 0;
	case CGIENV_LENGTH:
		return e->length;
	case CGIENV_UNKNOWN:
		break;
	}
	return UINT64_MAX;
}

static void
cgi_request(struct cgi *c, struct live *live, const struct conf *conf, int argc,
    char *argv[])
{
	const struct gate_options o = { .live = live,
		.server = conf_server(conf),
		.argc = argc,
		.argv = argv,
		.environment = environ,
		.slots = 1 };
	struct gate *gate = gate_new(&o);
	struct gate_passage passage;

	if (gate == NULL) {
		log_err("cannot begin");
		gate_fault(&c->x, REASON_OVERLOADED);
		return;
	}
	if (gate_enter(gate, &c->x, &passage)) {
		cgi_begin(c);
		gate_run(gate, &c->x, &passage, 0);
		gate_linger(gate, 0, -1);
	}
	gate_free(gate);
}

static void
cgi_serve(struct cgi *c, int argc, char *argv[])
{
	struct faults faults = { .first_alone = true };
	struct live *live = NULL;
	struct conf *conf = NULL;

	switch (conf_load(config_path(NULL), CONF_FOR_CGI, report, &faults,
	    &conf)) {
	case CONF_OK:
		log_open("amp-cors-cgi", conf_server(conf)->log,
		    conf_server(conf)->log_level);
		log_format(conf_server(conf)->log_format);
		live = live_new(conf, NULL);
		if (live != NULL)
			cgi_request(c, live, conf, argc, argv);
		else
			gate_fault(&c->x, REASON_OVERLOADED);
		break;
	case CONF_BAD:
		gate_fault(&c->x, REASON_POLICY_ERROR);
		break;
	case CONF_NO_LIST:
		gate_fault(&c->x, REASON_POLICY_UNAVAILABLE);
		break;
	}
	if (live != NULL)
		live_free(live);
	else
		conf_free(conf);
}

/*
 * One request.  Nothing on the command line is an option: it is the client's
 * [SPEC 5.1].
 */
static int
cgi_main(int argc, char *argv[])
{
	static struct cgi c; /* on the stack, all its pages would be touched */
	enum reason why;
	struct cgienv e;
	int status;

	why = cgienv_read(environ, &e);
	cgi_init(&c, environ, cgi_body(&e));
	c.env = &e; /* and faults of it are the gate's affair */
	c.env_why = why;
	if (e.loop) { /* E20: before the policy, which a handler has not got */
		log_errx("the handler %.*s leads back to the front",
		    (int)e.script_filename.n, e.script_filename.p);
		gate_fault(&c.x, REASON_HANDLER_LOOP);
	} else
		cgi_serve(&c, argc, argv);
	/* an answer that ended early must not look whole (E52) */
	status = c.x.finished && !c.failed ? EX_OK : EX_SOFTWARE;
	cgi_drain(&c);
	cgi_free(&c);
	return status;
}

/* --- FastCGI --- */

struct options {
	const char *config, *listen;
	bool check;
	int argc; /* the handler and its arguments */
	char **argv;
	struct sandbox *sandbox; /* that the server is in, or NULL */
};

/* The sockets to serve, and the one that is ours to remove. */
struct door {
	int fd[LISTENERS_MAX];
	size_t n;
	const char *name; /* for the log */
	const char *path; /* NULL: none is ours */
	struct stat st;
};

static void
usage(FILE *to)
{
	fprintf(to,
	    "usage: amp-cors-cgi [-hnV] [-c file] [-l address] [--] "
	    "[handler [argument ...]]\n"
	    "  -c, --config FILE     the policy (" CONFIG ")\n"
	    "  -l, --listen ADDRESS  unix:/path, 127.0.0.1:9000, [::1]:9000\n"
	    "  -n, --check           check the policy, and end\n"
	    "  -V, --version         print the version, and end\n"
	    "  -h, --help            print this, and end\n"
	    "In FastCGI, it listens there, or on descriptor 0, or on those of "
	    "LISTEN_FDS,\nor on the policy's `listen'.  In CGI, a request in "
	    "the environment, it reads\nno option: see amp-cors-cgi(8).\n");
}

/* A full disk shows here. */
static int
written(void)
{
	if (fflush(stdout) == 0)
		return EX_OK;
	log_err("standard output");
	return EX_IOERR;
}

/* False where the command line ends it here, with that status. */
static bool
parse_options(int argc, char *argv[], struct options *o, int *status)
{
	static const struct option known[] = {
		{ "check", no_argument, NULL, 'n' },
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "listen", required_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*o = (struct options){ .config = NULL };
	*status = EX_OK;
	while ((c = getopt_long(argc, argv, "+c:hl:nV", known, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->config = optarg;
			break;
		case 'l':
			o->listen = optarg;
			break;
		case 'n':
			o->check = true;
			break;
		case 'h':
			usage(stdout);
			*status = written();
			return false;
		case 'V':
			puts("amp-cors-cgi " VERSION);
			*status = written();
			return false;
		default:
			usage(stderr);
			*status = EX_USAGE;
			return false;
		}
	}
	o->argc = argc - optind;
	o->argv = argv + optind;
	if (o->listen == NULL || io_listen_valid(o->listen))
		return true;
	fprintf(stderr,
	    "amp-cors-cgi: --listen %s is neither unix:/path nor "
	    "ADDRESS:PORT\n",
	    o->listen);
	*status = EX_USAGE;
	return false;
}

/* How many sockets systemd handed over to this very process. */
static int
systemd_sockets(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t p, n;

	if (!span_number(span_of(pid), INT_MAX, &p) ||
	    p != (uint64_t)getpid() ||
	    !span_number(span_of(fds), INT_MAX - SYSTEMD_FIRST, &n))
		return 0;
	return (int)n;
}

static bool
door_systemd(struct door *d, int handed)
{
	d->name = "the sockets of LISTEN_FDS";
	if (handed > LISTENERS_MAX) {
		log_errx("LISTEN_FDS: %d sockets; write at most %d", handed,
		    LISTENERS_MAX);
		return false;
	}
	for (int fd = SYSTEMD_FIRST; fd < SYSTEMD_FIRST + handed; fd++) {
		if (!io_is_listening(fd)) {
			log_errx("LISTEN_FDS: descriptor %d does not listen",
			    fd);
			return false;
		}
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		d->fd[d->n++] = fd;
	}
	return true;
}

static bool
door_listen(struct door *d, const char *address, const struct conf_server *s)
{
	const struct io_listen o = { .address = address,
		.mode = s->socket_mode,
		.owner = s->socket_owner,
		.group = s->socket_group };
	char fault[256];

	d->fd[0] = io_listen(&o, fault, sizeof(fault));
	if (d->fd[0] == -1) {
		log_errx("listen %s: %s", address, fault);
		return false;
	}
	d->n = 1;
	d->name = address;
	if (strncmp(address, "unix:", 5) == 0 &&
	    lstat(address + 5, &d->st) == 0)
		d->path = address + 5;
	return true;
}

/* All the sockets there are, by the first way that names one [SPEC 5.2]. */
static bool
door_open(struct door *d, const struct options *o, const struct conf_server *s)
{
	int handed = systemd_sockets();

	*d = (struct door){ .n = 0 };
	if (o->listen != NULL)
		return door_listen(d, o->listen, s);
	if (io_is_listening(STDIN_FILENO)) {
		d->name = "standard input";
		d->fd[d->n++] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
		close(STDIN_FILENO); /* else the door stays open at the end */
		return d->fd[0] != -1 && io_hold_std() == 0;
	}
	return handed > 0 ? door_systemd(d, handed) :
			    door_listen(d, s->listen, s);
}

static void
door_close(const struct door *d)
{
	struct stat now;

	if (d->path != NULL && lstat(d->path, &now) == 0 &&
	    now.st_dev == d->st.st_dev && now.st_ino == d->st.st_ino)
		unlink(d->path);
}

/* Can somebody who is not on this machine connect to it? */
static bool
is_public(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage room;
	} a = { .room = { 0 } };
	socklen_t n = sizeof(a);

	if (getsockname(fd, &a.any, &n) == -1 || a.any.sa_family == AF_UNIX)
		return false;
	if (a.any.sa_family == AF_INET)
		return ntohl(a.in.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET;
	if (IN6_IS_ADDR_V4MAPPED(&a.in6.sin6_addr))
		return a.in6.sin6_addr.s6_addr[12] != IN_LOOPBACKNET;
	return !IN6_IS_ADDR_LOOPBACK(&a.in6.sin6_addr);
}

static bool
load_peers(const struct conf_server *s, const struct door *d,
    struct peers *peers)
{
	char fault[256];

	if (!peers_load(s->peers, s->npeers, getenv("FCGI_WEB_SERVER_ADDRS"),
		peers, fault, sizeof(fault))) {
		log_errx("peers: %s", fault);
		return false;
	}
	for (size_t i = 0; i < d->n; i++)
		if (is_public(d->fd[i]) && peers->naddresses == 0) {
			log_errx(
			    "a socket that is not loopback needs the "
			    "addresses of those who may connect: set peers "
			    "in [server]");
			return false;
		}
	return true;
}

/* gid, and the other groups of `user`, which may be a number. */
static int
set_groups(const struct conf_server *s, uid_t uid, gid_t gid)
{
	return s->user != NULL ? users_enter_groups(uid, gid) :
				 setgroups(1, &gid);
}

/* Gives up root for `user` and `group`, for good. */
static bool
drop_privileges(const struct conf_server *s)
{
	uid_t uid = geteuid(), was = uid;
	gid_t gid = getegid();

	if (s->user == NULL && uid == 0)
		log_warnx("runs as root: set user in [server]");
	if (s->user == NULL && s->group == NULL)
		return true;
	if (s->user != NULL && !io_user(s->user, &uid, &gid)) {
		log_errx("no such user: %s", s->user);
		return false;
	}
	if (s->group != NULL && !io_group(s->group, &gid)) {
		log_errx("no such group: %s", s->group);
		return false;
	}
	if (was != 0 && uid == was && gid == getegid())
		return true; /* as it was started, by whoever did it */
	log_give(uid, gid);
	if (set_groups(s, uid, gid) == -1 || setresgid(gid, gid, gid) == -1 ||
	    setresuid(uid, uid, uid) == -1) {
		log_err("cannot become user %u, group %u", uid, gid);
		return false;
	}
	return true;
}

/* The command line's handler, from wherever we were started. */
static bool
resolve_handler(struct options *o)
{
	static char path[PATH_MAX];
	const char *fault;

	if (o->argc == 0)
		return true;
	if (o->argc - 1 > TARGET_ARGV_MAX) {
		fprintf(stderr,
		    "amp-cors-cgi: handler %s: more than %d arguments\n",
		    o->argv[0], TARGET_ARGV_MAX);
		return false;
	}
	if (realpath(o->argv[0], path) == NULL) {
		fprintf(stderr, "amp-cors-cgi: handler %s: %s\n", o->argv[0],
		    strerror(errno));
		return false;
	}
	o->argv[0] = path;
	fault = target_fault(path);
	if (fault != NULL)
		fprintf(stderr, "amp-cors-cgi: handler %s %s\n", path, fault);
	return fault == NULL;
}

/* Does anybody listen where requests are to go?  Looks for a moment only. */
static void
check_forwards(const struct conf *conf)
{
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(conf, &ep);
	int64_t until = io_now() + FORWARDS_MS;

	for (size_t i = 0; i < n && io_now() < until; i++) {
		const char *fault;

		if (ep[i].handler != CONF_HANDLER_FORWARD ||
		    conf_forwards_first(ep, i) < i)
			continue;
		fault = forward_fault(ep[i].forward, until);
		if (fault != NULL)
			log_warnx("forward = %s: %s; start that server, let "
				  "this user in, or name another one",
			    ep[i].forward, fault);
	}
}

/* What a policy says of one endpoint, and what is wrong with it. */
struct finding {
	const struct conf *conf;
	size_t endpoint;
	conf_report_fn *report;
	void *ctx;
};

static void
tell(const struct finding *f, const struct conf_fault *fault, const char *key)
{
	struct conf_fault placed = *fault;
	struct conf_written written;

	placed.file = conf_files(f->conf)->name;
	placed.at = conf_place(f->conf, f->endpoint);
	if (key != NULL && conf_written(f->conf, f->endpoint, key, &written))
		placed.at = written.at;
	f->report(f->ctx, &placed);
}

/* A program that is not there yet may come. */
static void
check_program(const struct finding *f, const struct conf_endpoint *ep)
{
	const char *wrong = target_fault(ep->exec);
	char text[512];

	if (wrong == NULL)
		return;
	snprintf(text, sizeof(text), "exec = %s %s", ep->exec, wrong);
	tell(f,
	    &(struct conf_fault){ .code = FAULT_BAD_HANDLER,
		.warning = true,
		.text = text,
		.expected = "requests get an error until it can be run" },
	    "exec");
}

/* Every endpoint needs a handler, its own or the command line's. */
static bool
has_handler(const struct finding *f, const struct conf_endpoint *ep, bool given)
{
	char text[512];

	if (given || ep->handler != CONF_HANDLER_UNSET)
		return true;
	snprintf(text, sizeof(text), "no handler for %s%s",
	    ep->path[0] == '\0' ? "any path" : "path ", ep->path);
	tell(f,
	    &(struct conf_fault){ .code = FAULT_NO_HANDLER,
		.text = text,
		.expected = "set exec, forward, scripts or handler = none, or "
			    "name a program on the command line" },
	    NULL);
	return false;
}

static bool
check_handlers(const struct conf *conf, conf_report_fn *report_fn,
    void *report_ctx, const struct options *o, bool programs)
{
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(conf, &ep);
	bool good = true;

	for (size_t i = 0; i < n; i++) {
		const struct finding f = { conf, i, report_fn, report_ctx };

		if (programs && ep[i].handler == CONF_HANDLER_EXEC)
			check_program(&f, &ep[i]);
		good &= has_handler(&f, &ep[i], o->argc > 0);
	}
	good &= confine_agrees(conf, o->argc > 0, report_fn, report_ctx);
	return good;
}

/* What only shows on this machine; also at each reload. */
static bool
check_machine(const struct conf *conf, conf_report_fn *report_fn,
    void *report_ctx, void *options)
{
	const struct options *o = options;

	return check_handlers(conf, report_fn, report_ctx, o, true) &&
	    confine_fits(o->sandbox, conf, o->argc > 0, report_fn, report_ctx);
}

/* At a reload, of a policy that does not check. */
static void
blame_sandbox(const struct conf *conf, conf_report_fn *report_fn,
    void *report_ctx, void *options)
{
	const struct options *o = options;

	confine_blame(o->sandbox, conf, report_fn, report_ctx);
}

/* -n: says all that is wrong, as far as it can be told without the tool. */
static int
check_alone(const struct conf *conf, const struct options *o, bool server)
{
	const struct machine_options m = {
		.use = server ? CONF_FOR_SERVER : CONF_FOR_CGI,
		.handler = true, /* what has none is told here */
	};
	struct faults faults = { .first_alone = false };

	if (server)
		check_handlers(conf, report, &faults, o, false);
	if (!review(conf, &m, report, &faults)) {
		log_errx("out of memory");
		return EX_OSERR;
	}
	return faults.errors == 0 ? EX_OK : EX_CONFIG;
}

/* --- the gate behind the server: the two do not know each other --- */

static enum serve_entered
enter(void *gate, struct exchange *x, void *passage)
{
	if (!gate_enter(gate, x, passage))
		return SERVE_ANSWERED;
	return gate_needs_strings(passage) ? SERVE_NEEDS_STRINGS :
					     SERVE_NEEDS_HANDLER;
}

static enum exchange_need
begin(void *gate, struct exchange *x, void *passage, unsigned slot,
    struct exchange_await *out)
{
	return gate_begin(gate, x, passage, slot, out);
}

static enum exchange_need
resume(void *gate, unsigned slot, struct exchange_await *out)
{
	return gate_resume(gate, slot, out);
}

static void
wait_for(void *gate, unsigned slot)
{
	gate_wait(gate, slot);
}

static void
linger(void *gate, unsigned slot, int stop)
{
	gate_linger(gate, slot, stop);
}

static void
leave(void *gate, struct exchange *x, void *passage, enum serve_leave why)
{
	static const enum reason reasons[] = {
		[SERVE_GONE] = REASON_CLIENT_GONE,
		[SERVE_BUSY] = REASON_BUSY,
		[SERVE_FAILED] = REASON_OVERLOADED,
	};

	gate_leave(gate, x, passage, reasons[why]);
}

static void
rest(void *gate)
{
	gate_rest(gate);
}

/* By the policy that is in force then. */
static unsigned
longest_kill_grace(void *gate)
{
	return gate_kill_grace(gate);
}

static int
serve(const struct reload_options *reload, const struct options *o,
    const struct conf_server *s, const struct door *d,
    const struct peers *peers)
{
	const struct gate_options go = { .live = reload->live,
		.server = s,
		.metrics = reload->metrics,
		.argc = o->argc,
		.argv = o->argv,
		.environment = environ,
		.slots = s->threads };
	struct gate *gate = gate_new(&go);
	const struct serve_options so = { .listeners = d->fd,
		.nlisteners = d->n,
		.peers = peers,
		.threads = s->threads,
		.queue = s->queue,
		.queue_timeout = s->queue_timeout,
		.head_timeout = s->head_timeout,
		.idle_timeout = s->idle_timeout,
		.stop_grace = s->stop_grace,
		.gate = { .passage_size = sizeof(struct gate_passage),
		    .enter = enter,
		    .begin = begin,
		    .resume = resume,
		    .wait = wait_for,
		    .linger = linger,
		    .leave = leave,
		    .rest = rest,
		    .kill_grace = longest_kill_grace,
		    .ctx = gate } };
	struct reload *reloader = gate == NULL ? NULL : reload_start(reload);
	int status = EX_OK;

	if (reloader == NULL || serve_run(&so) == -1) {
		log_err("cannot serve");
		status = EX_OSERR;
	}
	reload_stop(reloader);
	gate_free(gate);
	return status;
}

/* All signals wait for serve_run(); none is ignored, here or in handlers. */
static void
settle_signals(void)
{
	sigset_t all;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

/*
 * Whoever started us by hand has a terminal, and a process that has the same
 * one could type into it (TIOCSTI): handlers get none.
 */
static void
leave_terminal(void)
{
	int fd = -1;

	if (getsid(0) != getpid()) /* else others of it would be hung up */
		fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd == -1)
		return;
	ioctl(fd, TIOCNOTTY);
	close(fd);
}

/* The last step before there are threads. */
static bool
enter_sandbox(struct reload_options *reload, struct options *o,
    const struct conf *conf, const struct door *door)
{
	struct faults faults = { .first_alone = false };
	bool good = confine(conf, door->path, o->argc > 0, report, &faults,
	    &o->sandbox);

	reload->confined = o->sandbox != NULL;
	return good;
}

/* From the socket to the end of the process. */
static int
server_run(struct reload_options *reload, struct options *o,
    const struct conf *conf)
{
	const struct conf_server *s = conf_server(conf);
	struct peers peers = { .users = NULL };
	struct door door;
	int status = EX_CONFIG;

	if (log_open("amp-cors-cgi", s->log, s->log_level) == -1) {
		log_err("log %s", s->log);
		return EX_CONFIG;
	}
	log_format(s->log_format);
	settle_signals(); /* first: who ends us now leaves no socket behind */
	leave_terminal();
	if (!door_open(&door, o, s))
		return EX_OSERR;
	if (load_peers(s, &door, &peers) && drop_privileges(s)) {
		check_forwards(conf); /* as whom requests will be sent */
		log_info("listening on %s, %u handlers", door.name, s->threads);
		if (enter_sandbox(reload, o, conf, &door))
			status = serve(reload, o, s, &door, &peers);
	}
	door_close(&door);
	peers_free(&peers);
	sandbox_free(o->sandbox);
	return status;
}

/* From a policy that checks to the end of the process; conf goes with it. */
static int
server_live(struct conf *conf, const char *config, struct options *o)
{
	struct metrics *metrics = metrics_new();
	struct reload_options reload = { .config = config,
		.metrics = metrics,
		.check = check_machine,
		.blame = blame_sandbox,
		.ctx = o };
	int status = EX_OSERR;

	mallopt(M_ARENA_MAX, 1); /* threads share: memory is worth more here */
	/* what a policy gives up leaves us, however large it has been */
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	if (metrics != NULL)
		reload.live = live_new(conf, metrics);
	if (reload.live == NULL) {
		log_errx("out of memory");
		conf_free(conf);
	} else
		status = server_run(&reload, o, conf);
	live_free(reload.live);
	metrics_free(metrics);
	return status;
}

/*
 * A check alone reads the policy as a server would where anything says that it
 * is for one, else as CGI would.
 */
static bool
load(const char *config, const struct options *o, struct conf **conf)
{
	struct faults faults = { .first_alone = false };

	if (o->check) {
		if (conf_load(config, CONF_FOR_CGI, report, &faults, conf) !=
		    CONF_OK)
			return false;
		if (conf_server(*conf)->listen == NULL && o->listen == NULL &&
		    o->argc == 0)
			return true;
		conf_free(*conf);
		*conf = NULL;
		faults.no_warnings = true; /* they have been said */
	}
	return conf_load(config, CONF_FOR_SERVER, report, &faults, conf) ==
	    CONF_OK;
}

/* Does all but the policy itself do, and is there a socket?  EX_OK: yes. */
static int
server_check(const struct conf *conf, const char *config,
    const struct options *o, bool handed)
{
	bool socket = handed || conf_server(conf)->listen != NULL;
	struct faults faults = { .first_alone = false };

	if (o->check)
		return check_alone(conf, o, socket || o->argc > 0);
	if (!socket) {
		fprintf(stderr,
		    "amp-cors-cgi: no socket to serve; give "
		    "--listen, or set listen in [server] of %s\n",
		    config);
		usage(stderr);
		return EX_USAGE;
	}
	return check_machine(conf, report, &faults, (void *)o) ? EX_OK :
								 EX_CONFIG;
}

/* They are for the thread that loads policies, also before there is one. */
static void
hold_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static int
server_main(int argc, char *argv[])
{
	struct conf *conf = NULL;
	struct options o;
	const char *config;
	bool handed;
	int status;

	if (!parse_options(argc, argv, &o, &status))
		return status;
	hold_signals();
	config = config_path(o.config);
	handed = o.listen != NULL || io_is_listening(STDIN_FILENO) ||
	    systemd_sockets() > 0;
	if (!handed && !o.check && o.config == NULL &&
	    access(config, F_OK) == -1) {
		usage(stderr);
		return EX_USAGE;
	}
	status = EX_CONFIG;
	if (load(config, &o, &conf) && resolve_handler(&o))
		status = server_check(conf, config, &o, handed);
	if (status == EX_OK && !o.check)
		return server_live(conf, config, &o);
	conf_free(conf);
	return status;
}

int
main(int argc, char *argv[])
{
	bool request = getenv("GATEWAY_INTERFACE") != NULL ||
	    getenv("REQUEST_METHOD") != NULL;

	if (io_hold_std() == -1)
		return EX_OSERR;
	if (request && !io_is_listening(STDIN_FILENO))
		return cgi_main(argc, argv);
	return server_main(argc, argv);
}
