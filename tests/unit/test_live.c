/*
 * live: who holds a policy goes on with it while others are put in force, and
 * nothing of one is left behind its last holder [SPEC 5.5].
 */
#include "live.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "cdbwrite.h"
#include "folder.h"
#include "tap.h"

static void
report(void *ctx, const struct conf_fault *f)
{
	(void)ctx;
	if (!f->warning)
		printf("# %s:%u: %s\n", f->file, f->at.line, f->text);
}

static struct conf *
load(const char *text)
{
	const char *file = folder_file("policy.ini", text, 0600);
	struct conf *conf = NULL;

	if (conf_load(file, CONF_FOR_SERVER, report, NULL, &conf) != CONF_OK) {
		printf("Bail out! the policy does not load\n");
		exit(1);
	}
	return conf;
}

/* A policy of one endpoint with this number in two places, and a list. */
static struct conf *
numbered(unsigned n)
{
	char text[1024];

	snprintf(text, sizeof(text),
	    "[policy]\nsenders = a@b.example\nsenders_cdb = %s\n"
	    "handler = none\ntimeout = %u\nkill_grace = %u\n"
	    "[server]\nlisten = unix:/run/%u\n",
	    in_folder("list.cdb"), n, n, n);
	return load(text);
}

static void
make_list(void)
{
	const struct cdbwrite_about about = { .text = "/list.txt",
		.fold_local = true,
		.max = CDBWRITE_MAX };
	struct cdbwrite *w;
	uint64_t size;

	if (cdbwrite_open(in_folder("list.cdb"), &about, &w) != NULL ||
	    cdbwrite_add(w, SPAN("c@b.example"), false, 1) != NULL ||
	    cdbwrite_finish(w, &size) != NULL)
		bail();
	cdbwrite_free(w);
}

static unsigned
open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	if (d == NULL)
		bail();
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static const struct conf_endpoint *
endpoint(const struct conf *c, size_t i)
{
	const struct conf_endpoint *all;

	return i < conf_endpoints(c, &all) ? &all[i] : NULL;
}

/* The number of a policy that is whole, and whose lists are there; 0: none. */
static unsigned
number(const struct live_policy *p)
{
	const struct conf_endpoint *e = endpoint(p->conf, 0);
	unsigned n = e->limits.timeout;

	sched_yield();
	return e->limits.kill_grace == n && e->policy.nsenders == 2 ? n : 0;
}

/* c is ours where they fail. */
static struct live *
begun(struct conf *c, struct metrics *m)
{
	struct live *l = live_new(c, m);

	if (l == NULL) {
		conf_free(c);
		bail();
	}
	return l;
}

static bool
replaced(struct live *l, struct conf *c)
{
	bool done = live_replace(l, c);

	if (!done)
		conf_free(c);
	return done;
}

/* --- holders --- */

static void
test_holders(void)
{
	unsigned files = open_files();
	struct live *l = begun(numbered(1), NULL);
	const struct live_policy *held[4];

	held[0] = live_hold(l);
	held[1] = live_hold(l);
	ok(held[0] == held[1] && number(held[0]) == 1, "one snapshot for two");
	ok(replaced(l, numbered(2)), "another one");
	held[2] = live_hold(l);
	ok(number(held[2]) == 2, "is in force");
	ok(number(held[0]) == 1, "who holds the one before goes on with it");
	ok(replaced(l, numbered(3)) && replaced(l, numbered(4)),
	    "one that nobody has held");
	ok(open_files() == files + 3, "is closed: three are left");
	live_release(l, held[0]);
	ok(number(held[1]) == 1 && open_files() == files + 3,
	    "one of two holders has left");
	live_release(l, held[2]);
	ok(number(held[1]) == 1 && open_files() == files + 2,
	    "the only holder of a later one");
	live_release(l, held[1]);
	ok(open_files() == files + 1, "the last one of the first");
	held[3] = live_hold(l);
	ok(number(held[3]) == 4, "the last one stays");
	live_release(l, held[3]);
	live_free(l);
	ok(open_files() == files, "nothing is left");
	live_free(NULL);
}

/* Its [server] is for good; its lists, which may be large, are not. */
static void
test_first(void)
{
	unsigned files = open_files();
	struct conf *conf = numbered(1);
	struct live *l = begun(conf, NULL);
	const struct live_policy *p = live_hold(l);
	const struct conf_server *s = conf_server(live_first(l));
	const char *listen = s->listen;

	ok(live_first(l) == conf && strcmp(listen, "unix:/run/1") == 0,
	    "the first one");
	replaced(l, numbered(2));
	ok(live_first(l) == conf && number(p) == 1, "… stays the first");
	live_release(l, p);
	ok(open_files() == files + 1, "… but not its lists");
	ok(endpoint(live_first(l), 0)->policy.nsenders == 0,
	    "… and lets nobody in");
	replaced(l, numbered(3));
	ok(s->listen == listen && strcmp(listen, "unix:/run/1") == 0 &&
		live_first(l) == conf,
	    "… its [server] is there, whatever is in force");
	ok(conf_files(conf) != NULL, "… and its files are known");
	live_free(l);
	ok(open_files() == files, "… to the end");
}

/* --- what belongs to a policy --- */

static const char forwarding[] =
    "[policy]\nsenders = a@b.example\n"
    "[endpoint a]\npath = /a\nforward = 127.0.0.1:9\n"
    "[endpoint b]\npath = /b\nhandler = none\n"
    "[endpoint c]\npath = /c\nforward = 127.0.0.1:10\nforward_keep = 2\n"
    "[endpoint d]\npath = /d\nforward = 127.0.0.1:9\n";

static void
test_backends(void)
{
	struct live *l = begun(load(forwarding), NULL);
	const struct live_policy *p = live_hold(l), *q;

	ok(p->backends[0] != NULL && p->backends[2] != NULL &&
		p->backends[0] != p->backends[2],
	    "a backend for an address");
	ok(p->backends[3] == p->backends[0], "one, whoever forwards to it");
	ok(p->backends[1] == NULL, "none where nothing is forwarded");
	replaced(l,
	    load("[policy]\nsenders = a@b.example\n"
		 "[endpoint d]\npath = /d\nforward = 127.0.0.1:9\n"));
	q = live_hold(l);
	ok(q->backends[0] != NULL && q->backends[0] != p->backends[0],
	    "another policy has its own");
	live_release(l, q);
	live_release(l, p);
	live_free(l);
}

static const char two_names[] =
    "[policy]\nsenders = a@b.example\nhandler = none\n"
    "[endpoint a]\npath = /a\n[endpoint b]\npath = /b\n";
static const char one_name[] =
    "[policy]\nsenders = a@b.example\nhandler = none\n"
    "[endpoint b]\npath = /b\n";

/* The counters of a name go on, also where it was gone meanwhile. */
static void
test_rows(void)
{
	struct metrics *m = must(metrics_new());
	struct live *l = begun(load(two_names), m);
	const struct live_policy *p = live_hold(l), *q;
	struct metrics_row *a = p->rows[0], *b = p->rows[1], *stray = p->stray;

	ok(a != NULL && b != NULL && stray != NULL && a != b && a != stray &&
		b != stray,
	    "a row for an endpoint, and one for requests without");
	live_release(l, p);
	replaced(l, load(one_name));
	q = live_hold(l);
	ok(q->rows[0] == b && q->stray == stray, "a name's row stays");
	live_release(l, q);
	replaced(l, load(two_names));
	q = live_hold(l);
	ok(q->rows[0] == a && q->rows[1] == b, "… also when it comes back");
	live_release(l, q);
	live_free(l);
	metrics_free(m);

	l = begun(load(two_names), NULL);
	p = live_hold(l);
	ok(p->rows[0] == NULL && p->rows[1] == NULL && p->stray == NULL,
	    "no counters, no rows");
	live_release(l, p);
	live_free(l);
}

/* --- threads --- */

enum { THREADS = 4, TURNS = 100 };

struct shared {
	struct live *l;
	atomic_bool over;
	atomic_uint rounds, wrong;
};

static void *
hold_often(void *arg)
{
	struct shared *s = arg;
	unsigned last = 0;

	while (!s->over) {
		const struct live_policy *p = live_hold(s->l);
		const struct live_policy *q = live_hold(s->l);
		unsigned n = number(p), m = number(q);

		/* what has been put in force does not come back */
		if (n == 0 || n < last || m < n)
			s->wrong++;
		live_release(s->l, p);
		if (number(q) != m)
			s->wrong++;
		last = m;
		live_release(s->l, q);
		s->rounds++;
	}
	return NULL;
}

static void
test_threads(void)
{
	unsigned files = open_files();
	struct shared s = { .l = begun(numbered(1), NULL) };
	pthread_t thread[THREADS];

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, hold_often, &s) != 0)
			bail();
	for (unsigned i = 1; i < TURNS; i++) {
		struct conf *next = numbered(i + 1);
		unsigned rounds = s.rounds;

		if (!live_replace(s.l, next)) {
			conf_free(next);
			bail();
		}
		while (s.rounds < rounds + THREADS)
			sched_yield();
	}
	s.over = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	ok(s.wrong == 0, "%u looks at %d policies: each was whole",
	    (unsigned)s.rounds, TURNS);
	ok(open_files() == files + 1, "all but the last are gone");
	live_free(s.l);
	ok(open_files() == files, "all are gone");
}

int
main(void)
{
	folder_make();
	make_list();
	test_holders();
	test_first();
	test_backends();
	test_rows();
	test_threads();
	folder_remove();
	return tap_done();
}
