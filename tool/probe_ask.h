/*
 * probe_ask: sends one request over HTTP/1.1, as it is, and takes what comes.
 * All of amp-cors that knows libcurl.
 *
 * No proxy, no .netrc, no cookies, no redirect is followed, no connection is
 * used twice, and http and https are all that is spoken.
 */
#ifndef PROBE_ASK_H
#define PROBE_ASK_H

#include "probe_answer.h"
#include "probe_plan.h"

struct probe_ask;

struct probe_ask_options {
	unsigned timeout;    /* seconds, for a whole request */
	bool insecure;       /* any certificate will do */
	const char *resolve; /* "host:port:address" or NULL */
	struct span data;    /* the body of those that have one; borrowed */
	void (*tick)(void);  /* called now and then while it waits; or NULL */
};

/* NULL where memory is out.  What the options borrow must live on. */
struct probe_ask *probe_ask_new(const struct probe_ask_options *o);
void probe_ask_free(struct probe_ask *p);

/*
 * Sends the request and waits for the end of the answer, of the time, or of
 * what is read at most.  Whatever happens, out is to be freed.
 */
void probe_ask(struct probe_ask *p, const struct probe_request *q,
    struct probe_answer *out);
void probe_ask_answer_free(struct probe_answer *a);

/* What is wrong with a URL, in words that follow it; NULL: nothing. */
const char *probe_ask_url_fault(const char *url);

/* The same of "host:port:address". */
const char *probe_ask_resolve_fault(const char *text);

#endif
