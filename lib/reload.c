#include "reload.h"

#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "log.h"

enum {
	METRICS_MS = 10000,
	CHANGING_MAX = 60, /* looks, until what there is is taken */
	QUIET_MS = 1000    /* between two looks at a file that changes */
};

/* A file that was read, or should have been. */
struct watched {
	struct watched *next;
	struct stamp stamp; /* as it was read */
	struct stamp seen;  /* when it was last looked at */
	char name[];        /* flexible: with its NUL */
};

struct reload {
	struct reload_options o;
	const struct conf *first; /* its [server] is ours */
	struct watched *watched;
	int signals, quit;
	pthread_t thread;
	bool metrics_failed; /* and that was said */
	bool again;          /* what failed may go well without a change */
	unsigned changing;   /* looks in a row that saw a change */
};

/* --- which files --- */

static void
forget(struct watched *w)
{
	while (w != NULL) {
		struct watched *next = w->next;

		free(w);
		w = next;
	}
}

static bool
watch(struct watched **all, const struct conf_file *f)
{
	size_t n = strlen(f->name) + 1;
	struct watched *w = malloc(sizeof(*w) + n);

	if (w == NULL)
		return false;
	w->stamp = w->seen = f->stamp;
	memcpy(w->name, f->name, n);
	w->next = *all;
	*all = w;
	return true;
}

/*
 * Those of the last attempt, good or bad, so that a file which is wrong is
 * looked at once more only when something has changed.
 */
static bool
watch_files(struct reload *r, const struct conf *conf)
{
	const struct conf_file *f = conf_files(conf);
	struct watched *all = NULL;

	while (f != NULL && watch(&all, f))
		f = f->next;
	if (f != NULL || all == NULL) {
		/* by those of before, the change is seen once more */
		forget(all);
		errno = ENOMEM;
		return false;
	}
	forget(r->watched);
	r->watched = all;
	return true;
}

/*
 * One that is not as it was read, or NULL.  A file that is being written may
 * look whole, and say something else: *changing, where it is not as it was at
 * the last look.
 */
static const struct watched *
find_changed(struct reload *r, bool *changing)
{
	const struct watched *found = NULL;

	*changing = false;
	for (struct watched *w = r->watched; w != NULL; w = w->next) {
		struct stamp now = stamp_path(w->name);

		*changing |= !stamp_eq(&now, &w->seen);
		if (!stamp_eq(&now, &w->stamp))
			found = w;
		w->seen = now;
	}
	return found;
}

/* --- a new policy --- */

/* One attempt: what is said of it, and what came of it. */
struct attempt {
	bool quiet;   /* it was said before */
	bool passing; /* a fault that may be over the next time */
};

/* Descriptors and memory come back; so may a file, or its permissions. */
static bool
is_passing(enum fault code)
{
	return code == FAULT_UNREADABLE || code == FAULT_LIST_UNREADABLE ||
	    code == FAULT_FILE_CHANGED || code == FAULT_NO_MEMORY ||
	    code == FAULT_NO_DIRECTORY || code == FAULT_NO_ACCOUNT;
}

static void
report(void *ctx, const struct conf_fault *f)
{
	struct attempt *a = ctx;
	char room[4096]; /* for most of them, also where memory is out */
	struct buf line;

	a->passing |= !f->warning && is_passing(f->code);
	if (a->quiet)
		return;
	buf_init_in(&line, 65536, room, sizeof(room));
	conf_fault_line(&line, f);
	buf_add_char(&line, '\0');
	if (line.failed)
		log_errx("out of memory");
	else if (f->warning)
		log_warnx("%s", line.p);
	else
		log_errx("%s", line.p);
	buf_free(&line);
}

static void
tell_changes(const struct reload *r, const struct conf *next)
{
	const char *key;
	size_t i = 0;

	while ((key = conf_server_change(r->first, next, &i)) != NULL)
		log_warnx("%s: %s of [server] has changed: it takes a restart",
		    r->o.config, key);
}

/* True where it is in force; else conf is still the caller's. */
static bool
accept_policy(struct reload *r, struct conf *conf, struct attempt *a)
{
	const struct conf_fault none = { .code = FAULT_NO_MEMORY,
		.file = r->o.config,
		.text = "out of memory",
		.expected = "it is tried again" };

	if (!r->o.check(conf, report, a, r->o.ctx))
		return false;
	if (live_replace(r->o.live, conf)) {
		tell_changes(r, conf);
		return true;
	}
	report(a, &none);
	return false;
}

static void
load(struct reload *r, const char *why, bool quiet)
{
	struct attempt a = { .quiet = quiet };
	enum conf_use use = r->o.confined ? CONF_FOR_CONFINED : CONF_FOR_SERVER;
	struct conf *conf;
	bool good = conf_look(r->o.config, use, report, &a, &conf) == CONF_OK;

	if (conf != NULL && !watch_files(r, conf))
		log_warnx("out of memory: the files are looked at once more");
	if (!good && conf != NULL && r->o.blame != NULL)
		r->o.blame(conf, report, &a, r->o.ctx);
	good = good && accept_policy(r, conf, &a);
	if (!good)
		conf_free(conf);
	r->again = !good && a.passing;
	if (!good && quiet)
		return;
	metrics_reloaded(r->o.metrics, good);
	if (good)
		log_info("%s: loaded again, %s", r->o.config, why);
	else
		log_errx("%s: not loaded, %s: what was in force before stays",
		    r->o.config, why);
}

/* --- the thread --- */

static void
on_signal(struct reload *r)
{
	struct signalfd_siginfo s;

	if (read(r->signals, &s, sizeof(s)) != sizeof(s))
		return;
	if (s.ssi_signo == SIGHUP)
		load(r, "SIGHUP", false);
	else if (log_reopen() == -1)
		log_err("the log cannot be opened again");
}

/* Where [server] names a file. */
static void
write_metrics(struct reload *r)
{
	const char *file = conf_server(r->first)->metrics_file;
	const char *fault;

	fault = metrics_write(r->o.metrics, file);
	if (fault != NULL && !r->metrics_failed)
		log_warnx("metrics = file:%s: %s", file, fault);
	r->metrics_failed = fault != NULL;
}

static int64_t
sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Waits for a signal, or until that moment; false at the end. */
static bool
wait_until(struct reload *r, int64_t until)
{
	struct pollfd fds[] = {
		{ .fd = r->quit, .events = POLLIN },
		{ .fd = r->signals, .events = POLLIN },
	};
	int64_t ms = until - io_now();

	if (poll(fds, 2, ms < 0 ? 0 : (int)sooner(ms, INT32_MAX)) > 0) {
		if (fds[0].revents != 0)
			return false;
		on_signal(r);
	}
	return true;
}

static int64_t
interval(const struct reload *r)
{
	return (int64_t)conf_server(r->first)->reload_interval * 1000;
}

/*
 * In how many milliseconds to look again.  What never comes to rest, a list
 * that is written all the time, must not keep all else from being loaded.
 */
static int64_t
look_once(struct reload *r)
{
	bool changing;
	const struct watched *changed = find_changed(r, &changing);
	char why[PATH_MAX + 32];

	r->changing = changing ? r->changing + 1 : 0;
	if (changing && r->changing < CHANGING_MAX)
		return QUIET_MS;
	r->changing = 0;
	if (changed != NULL) {
		snprintf(why, sizeof(why), "%s has changed", changed->name);
		load(r, why, false);
	} else if (r->again)
		load(r, "another attempt", true);
	return interval(r);
}

static void *
run(void *arg)
{
	struct reload *r = arg;
	int64_t look = interval(r) == 0 ? INT64_MAX : io_now() + interval(r);
	bool prints = conf_server(r->first)->metrics_file != NULL;
	int64_t print = prints ? io_now() : INT64_MAX;

	while (wait_until(r, sooner(look, print))) {
		int64_t now = io_now();

		if (now >= look)
			look = io_now() + look_once(r);
		if (now >= print) {
			write_metrics(r);
			print = now + METRICS_MS;
		}
	}
	if (prints)
		write_metrics(r);
	return NULL;
}

static int
open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
drop(struct reload *r)
{
	if (r->signals != -1)
		close(r->signals);
	if (r->quit != -1)
		close(r->quit);
	forget(r->watched);
	free(r);
}

struct reload *
reload_start(const struct reload_options *o)
{
	struct reload *r = calloc(1, sizeof(*r));
	int error;

	if (r == NULL)
		return NULL;
	r->o = *o;
	r->first = live_first(o->live);
	r->signals = open_signals();
	r->quit = eventfd(0, EFD_CLOEXEC);
	error = r->signals == -1 || r->quit == -1 || !watch_files(r, r->first) ?
	    errno :
	    pthread_create(&r->thread, NULL, run, r);
	if (error == 0)
		return r;
	drop(r);
	errno = error;
	return NULL;
}

void
reload_stop(struct reload *r)
{
	if (r == NULL)
		return;
	eventfd_write(r->quit, 1);
	pthread_join(r->thread, NULL);
	drop(r);
}
