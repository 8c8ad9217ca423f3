/*
 * front: the whole front in this process, as its program makes it, for the
 * targets that talk to it as a web server does.  It runs over many inputs, and
 * its clock can be put forward.
 */
#ifndef FRONT_H
#define FRONT_H

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"
#include "gate.h"
#include "log.h"
#include "serve.h"

/* Far longer than any machine needs: what takes longer hangs. */
enum { FRONT_HANGS_MS = 60000, FRONT_SLICE_MS = 2 };

/* --- time --- */

static _Atomic int64_t front_ahead; /* seconds */

static inline int64_t
front_ms(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000 + t->tv_nsec / 1000000;
}

/* Milliseconds of the clock that nobody puts forward. */
static inline int64_t
front_now(void)
{
	struct timespec t;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return front_ms(&t);
}

static inline int
front_poll(struct pollfd p[], nfds_t n, int64_t ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	return (int)syscall(SYS_ppoll, p, n, ms < 0 ? NULL : &t, NULL, 0);
}

/* libc's, so that all of the front's time is this one. */
int
clock_gettime(clockid_t id, struct timespec *t)
{
	int error = (int)syscall(SYS_clock_gettime, id, t);

	if (id == CLOCK_MONOTONIC)
		t->tv_sec += front_ahead;
	return error;
}

/* How long to wait at once, for what is to wait until that moment. */
static inline int64_t
front_slice(int64_t until)
{
	struct timespec t;
	int64_t left;

	clock_gettime(CLOCK_MONOTONIC, &t);
	left = until - front_ms(&t);
	return left < 0 ? 0 : left < FRONT_SLICE_MS ? left : FRONT_SLICE_MS;
}

static inline int64_t
front_until(int64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return front_ms(&t) + ms;
}

int
poll(struct pollfd *p, nfds_t n, int ms)
{
	int64_t until = ms < 0 ? INT64_MAX : front_until(ms), slice;
	int ready;

	do {
		slice = ms == 0 ? 0 : front_slice(until);
		ready = front_poll(p, n, slice);
	} while (ready == 0 && slice > 0);
	return ready;
}

/* The front's ticks, of which there are more than it asks for. */
int
sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *wait)
{
	const struct timespec t = { .tv_nsec = FRONT_SLICE_MS * 1000000 };

	(void)wait;
	return (int)syscall(SYS_rt_sigtimedwait, set, info, &t, 8);
}

/* --- descriptors --- */

/* Those that are open, but for pipes: libFuzzer starts programs, too. */
static inline unsigned
front_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *e;
	unsigned n = 0;
	struct stat st;

	FUZZ_HOLDS(d != NULL);
	while ((e = readdir(d)) != NULL)
		n += fstatat(dirfd(d), e->d_name, &st, 0) == 0 &&
		    !S_ISFIFO(st.st_mode);
	closedir(d);
	return n;
}

static inline void
front_list_descriptors(void)
{
	char name[64], what[128];

	for (int fd = 0; fd < 1024; fd++) {
		ssize_t n;

		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		n = readlink(name, what, sizeof(what));
		if (n > 0)
			fprintf(stderr, "%d: %.*s\n", fd, (int)n, what);
	}
}

/* No more than these are open before long. */
static inline void
front_settles(unsigned most)
{
	int64_t until = front_now() + FRONT_HANGS_MS;

	while (front_descriptors() > most) {
		if (front_now() > until) {
			front_list_descriptors();
			fuzz_wrong("descriptors are left");
		}
		front_poll(NULL, 0, 1);
	}
}

/* The address of front_hidden_socket(), as the policy names it. */
#define FRONT_HIDDEN "unix:/proc/self/fd/500"
enum { FRONT_HIDDEN_FD = 500 };

/*
 * A listening Unix socket, of which nothing is left in any folder: its address
 * leads to it over a descriptor that stays open.
 */
static inline int
front_hidden_socket(void)
{
	char folder[] = "/tmp/amp-fuzz-XXXXXX";
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int path;

	FUZZ_HOLDS(fd != -1 && mkdtemp(folder) != NULL);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/s", folder);
	FUZZ_HOLDS(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	FUZZ_HOLDS(listen(fd, 128) == 0);
	path = open(at.sun_path, O_PATH | O_CLOEXEC);
	FUZZ_HOLDS(dup3(path, FRONT_HIDDEN_FD, O_CLOEXEC) == FRONT_HIDDEN_FD);
	close(path);
	unlink(at.sun_path);
	rmdir(folder);
	return fd;
}

/* --- the front --- */

struct front {
	const char *policy; /* its text */
	struct conf *conf;  /* that policy again, to be asked by the target */
	struct live *live;
	struct metrics *metrics;
	struct gate *gate;
	int listener;
	struct sockaddr_un at;
	socklen_t at_size;
	pthread_t thread;
	bool runs;
	unsigned before, during; /* descriptors */
};

static inline void
front_report(void *ctx, const struct conf_fault *f)
{
	(void)ctx;
	if (f->warning)
		return;
	fprintf(stderr, "%u: %s\n", f->at.line, f->text);
	abort();
}

static inline struct conf *
front_load(const struct front *f)
{
	int fd = memfd_create("policy", MFD_CLOEXEC);
	size_t n = strlen(f->policy);
	struct conf *c = NULL;
	char path[64];

	FUZZ_HOLDS(fd != -1 && write(fd, f->policy, n) == (ssize_t)n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	FUZZ_HOLDS(conf_load(path, CONF_FOR_SERVER, front_report, NULL, &c) ==
	    CONF_OK);
	close(fd);
	return c;
}

static inline enum serve_entered
front_enter(void *gate, struct exchange *x, void *passage)
{
	if (!gate_enter(gate, x, passage))
		return SERVE_ANSWERED;
	return gate_needs_strings(passage) ? SERVE_NEEDS_STRINGS :
					     SERVE_NEEDS_HANDLER;
}

static inline enum exchange_need
front_begin(void *gate, struct exchange *x, void *passage, unsigned slot,
    struct exchange_await *out)
{
	return gate_begin(gate, x, passage, slot, out);
}

static inline enum exchange_need
front_resume(void *gate, unsigned slot, struct exchange_await *out)
{
	return gate_resume(gate, slot, out);
}

static inline void
front_wait(void *gate, unsigned slot)
{
	gate_wait(gate, slot);
}

static inline void
front_linger(void *gate, unsigned slot, int stop)
{
	gate_linger(gate, slot, stop);
}

static inline void
front_leave(void *gate, struct exchange *x, void *passage, enum serve_leave why)
{
	static const enum reason reasons[] = {
		[SERVE_GONE] = REASON_CLIENT_GONE,
		[SERVE_BUSY] = REASON_BUSY,
		[SERVE_FAILED] = REASON_OVERLOADED,
	};

	gate_leave(gate, x, passage, reasons[why]);
}

static inline void
front_rest(void *gate)
{
	gate_rest(gate);
}

static inline unsigned
front_kill_grace(void *gate)
{
	return gate_kill_grace(gate);
}

static inline void *
front_serve(void *arg)
{
	struct front *f = arg;
	const struct conf_server *s = conf_server(live_first(f->live));
	static const struct peers everybody;
	const struct serve_options o = { .listeners = &f->listener,
		.nlisteners = 1,
		.peers = &everybody,
		.threads = s->threads,
		.queue = s->queue,
		.queue_timeout = s->queue_timeout,
		.head_timeout = s->head_timeout,
		.idle_timeout = s->idle_timeout,
		.stop_grace = s->stop_grace,
		.gate = { .passage_size = sizeof(struct gate_passage),
		    .enter = front_enter,
		    .begin = front_begin,
		    .resume = front_resume,
		    .wait = front_wait,
		    .linger = front_linger,
		    .leave = front_leave,
		    .rest = front_rest,
		    .kill_grace = front_kill_grace,
		    .ctx = f->gate } };

	FUZZ_HOLDS(serve_run(&o) == 0);
	return NULL;
}

/* At an address that the kernel makes up, and that is no file. */
static inline void
front_listen(struct front *f)
{
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	f->at.sun_family = AF_UNIX;
	f->at_size = sizeof(f->at);
	FUZZ_HOLDS(bind(f->listener, (struct sockaddr *)&f->at,
		       sizeof(f->at.sun_family)) == 0);
	FUZZ_HOLDS(getsockname(f->listener, (struct sockaddr *)&f->at,
		       &f->at_size) == 0);
	FUZZ_HOLDS(listen(f->listener, 128) == 0);
}

/* A new connection to it; -1 where it lets nobody in any more. */
static inline int
front_connect(const struct front *f)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	FUZZ_HOLDS(fd != -1);
	if (connect(fd, (const struct sockaddr *)&f->at, f->at_size) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Once one has been served, all its descriptors are open. */
static inline void
front_greet(struct front *f)
{
	static const char values[] = "\1\11\0\0\0\0\0";
	struct pollfd p = { .fd = front_connect(f), .events = POLLIN };
	char answer[64];

	FUZZ_HOLDS(send(p.fd, values, 8, MSG_NOSIGNAL) == 8);
	FUZZ_HOLDS(front_poll(&p, 1, FRONT_HANGS_MS) == 1);
	FUZZ_HOLDS(recv(p.fd, answer, sizeof(answer), 0) == 8);
	shutdown(p.fd, SHUT_WR);
	FUZZ_HOLDS(front_poll(&p, 1, FRONT_HANGS_MS) == 1);
	FUZZ_HOLDS(recv(p.fd, answer, sizeof(answer), 0) == 0);
	close(p.fd);
}

/* All of it but the server. */
static inline void
front_make(struct front *f)
{
	struct gate_options o;

	if (f->conf == NULL) {
		log_open("fuzz", "/dev/null", LOG_DEBUG);
		f->conf = front_load(f);
	}
	f->before = front_descriptors();
	f->metrics = metrics_new();
	f->live = live_new(front_load(f), f->metrics);
	o = (struct gate_options){ .live = f->live,
		.server = conf_server(live_first(f->live)),
		.metrics = f->metrics,
		.slots = conf_server(live_first(f->live))->threads };
	log_format(o.server->log_format);
	f->gate = gate_new(&o);
	FUZZ_HOLDS(f->gate != NULL);
}

static inline void
front_start(struct front *f)
{
	sigset_t all, before;

	front_make(f);
	front_listen(f);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	FUZZ_HOLDS(pthread_create(&f->thread, NULL, front_serve, f) == 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	f->runs = true;
	front_greet(f);
	f->during = front_descriptors();
}

/* A reload, of the same policy. */
static inline void
front_reload(struct front *f)
{
	FUZZ_HOLDS(live_replace(f->live, front_load(f)));
}

static inline void
front_tell_stop(struct front *f)
{
	pthread_kill(f->thread, SIGTERM);
}

/* What front_make() made. */
static inline void
front_unmake(struct front *f)
{
	gate_free(f->gate);
	live_free(f->live);
	metrics_free(f->metrics);
	f->gate = NULL;
	front_settles(f->before);
}

/* After front_tell_stop(), once nobody is connected. */
static inline void
front_join(struct front *f)
{
	struct timespec until;

	syscall(SYS_clock_gettime, CLOCK_REALTIME, &until);
	until.tv_sec += FRONT_HANGS_MS / 1000;
	FUZZ_HOLDS(pthread_timedjoin_np(f->thread, NULL, &until) == 0);
	f->runs = false;
	front_unmake(f);
}

/* At the end of the process. */
static inline void
front_stop(struct front *f)
{
	if (f->runs) {
		front_tell_stop(f);
		front_join(f);
	}
	conf_free(f->conf);
	f->conf = NULL;
}

#endif
