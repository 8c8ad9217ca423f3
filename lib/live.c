#include "live.h"

#include <pthread.h>
#include <stdlib.h>

/* A snapshot with the number of those who hold it, live itself among them. */
struct held {
	struct live_policy policy; /* first: a snapshot is its held */
	unsigned holders;
};

struct live {
	pthread_mutex_t lock; /* of now, and of every snapshot's holders */
	struct held *now;
	struct conf *first;
	struct metrics *metrics;
};

/* Is it the first that forwards there, so that the backend is its own? */
static bool
has_backend(const struct conf_endpoint *ep, size_t i)
{
	return ep[i].handler == CONF_HANDLER_FORWARD &&
	    conf_forwards_first(ep, i) == i;
}

/* What is kept for a server is kept once, whoever forwards to it (E105). */
static unsigned
most_kept(const struct conf_endpoint *ep, size_t n, size_t i)
{
	unsigned most = 0;

	for (size_t j = i; j < n; j++)
		if (ep[j].handler == CONF_HANDLER_FORWARD &&
		    conf_forwards_first(ep, j) == i &&
		    ep[j].forward_keep > most)
			most = ep[j].forward_keep;
	return most;
}

static bool
make_backends(struct live_policy *p)
{
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(p->conf, &ep);

	p->backends = calloc(n, sizeof(struct forward_backend *));
	for (size_t i = 0; p->backends != NULL && i < n; i++) {
		if (ep[i].handler != CONF_HANDLER_FORWARD)
			continue;
		p->backends[i] = has_backend(ep, i) ?
		    forward_backend_new(ep[i].forward, most_kept(ep, n, i)) :
		    p->backends[conf_forwards_first(ep, i)];
		if (p->backends[i] == NULL)
			return false;
	}
	return p->backends != NULL;
}

/*
 * Its idle connections would keep processes of a server's from those who ask
 * by the policy that has come after it (E105).
 */
static void
retire_backends(const struct live_policy *p)
{
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(p->conf, &ep);

	for (size_t i = 0; i < n; i++)
		if (has_backend(ep, i))
			forward_backend_retire(p->backends[i]);
}

static void
free_backends(struct live_policy *p)
{
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(p->conf, &ep);

	for (size_t i = 0; p->backends != NULL && i < n; i++)
		if (has_backend(ep, i))
			forward_backend_free(p->backends[i]);
	free(p->backends);
}

static bool
make_rows(struct live_policy *p, struct metrics *m)
{
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(p->conf, &ep);

	p->rows = calloc(n, sizeof(struct metrics_row *));
	if (p->rows == NULL || m == NULL)
		return p->rows != NULL;
	p->stray = metrics_row(m, "-");
	for (size_t i = 0; i < n; i++)
		if ((p->rows[i] = metrics_row(m, ep[i].name)) == NULL)
			return false;
	return p->stray != NULL;
}

/* All but the conf, which is the caller's until all has gone well. */
static void
drop(struct held *h)
{
	free_backends(&h->policy);
	free(h->policy.rows);
	free(h);
}

static struct held *
make(struct conf *conf, struct metrics *m)
{
	struct held *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->policy.conf = conf;
	h->holders = 1;
	if (make_backends(&h->policy) && make_rows(&h->policy, m))
		return h;
	drop(h);
	return NULL;
}

struct live *
live_new(struct conf *conf, struct metrics *metrics)
{
	struct live *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->metrics = metrics;
	l->first = conf;
	l->now = make(conf, metrics);
	if (l->now != NULL && pthread_mutex_init(&l->lock, NULL) == 0)
		return l;
	if (l->now != NULL)
		drop(l->now);
	free(l);
	return NULL;
}

const struct conf *
live_first(const struct live *l)
{
	return l->first;
}

const struct live_policy *
live_hold(struct live *l)
{
	struct held *h;

	pthread_mutex_lock(&l->lock);
	h = l->now;
	h->holders++;
	pthread_mutex_unlock(&l->lock);
	return &h->policy;
}

static void
release(struct live *l, struct held *h)
{
	struct conf *conf = h->policy.conf;
	bool last;

	pthread_mutex_lock(&l->lock);
	last = --h->holders == 0;
	pthread_mutex_unlock(&l->lock);
	if (!last)
		return;
	drop(h);
	if (conf == l->first)
		conf_drop_lists(conf); /* which can be large */
	else
		conf_free(conf);
}

void
live_release(struct live *l, const struct live_policy *p)
{
	release(l, (struct held *)p);
}

bool
live_replace(struct live *l, struct conf *conf)
{
	struct held *next = make(conf, l->metrics), *before;

	if (next == NULL)
		return false;
	pthread_mutex_lock(&l->lock);
	before = l->now;
	l->now = next;
	pthread_mutex_unlock(&l->lock);
	retire_backends(&before->policy);
	release(l, before);
	return true;
}

void
live_free(struct live *l)
{
	if (l == NULL)
		return;
	release(l, l->now);
	conf_free(l->first);
	pthread_mutex_destroy(&l->lock);
	free(l);
}
