/*
 * reload: the one thread of a server that loads policies [SPEC 5.5].  SIGHUP,
 * and by itself a file that changes, put another policy in force, if it
 * checks; else the one before stays, and the log says why.  SIGUSR1 opens the
 * log again.  The metrics' file is written here, too.
 */
#ifndef RELOAD_H
#define RELOAD_H

#include "live.h"

struct reload_options {
	const char *config;
	bool confined; /* it is read for CONF_FOR_CONFINED */
	struct live *live;
	struct metrics *metrics;
	/*
	 * What is left to be checked of a file that is good in itself; reports
	 * what is wrong.
	 */
	bool (*check)(const struct conf *conf, conf_report_fn *report,
	    void *report_ctx, void *ctx);
	/* Says more of a file that does not check; may be NULL. */
	void (*blame)(const struct conf *conf, conf_report_fn *report,
	    void *report_ctx, void *ctx);
	void *ctx;
};

struct reload;

/*
 * Starts it.  What o points to must outlive it.  The caller has all signals
 * blocked.  NULL with errno.
 */
struct reload *reload_start(const struct reload_options *o);

/* Ends it, when no request runs any more; NULL is taken too. */
void reload_stop(struct reload *r);

#endif
