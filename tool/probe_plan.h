/*
 * probe_plan: the requests that amp-cors probe sends, and what is known of each
 * beforehand [SPEC 7.3].  Pure, but for the memory.
 */
#ifndef PROBE_PLAN_H
#define PROBE_PLAN_H

#include "arena.h"

enum probe_who { PROBE_CLIENT, PROBE_BROWSER, PROBE_ATTACKER };

/* Where an attacker's value stands. */
enum probe_place {
	PROBE_NOWHERE,
	PROBE_IN_ORIGIN,
	PROBE_IN_SOURCE, /* __amp_source_origin */
	PROBE_IN_SENDER  /* AMP-Email-Sender */
};

struct probe_request {
	const char *name; /* for --only */
	const char *what; /* who asks, in words */
	enum probe_who who;
	bool preflight;
	bool insist; /* of browsers: they must be allowed (--browser-origin) */
	const char *method, *url;
	const char **headers; /* "Name: value"; NULL behind the last one */
	bool data;            /* --data goes with it */

	/* what is asked, decoded; NULL where it is not in the request */
	const char *origin, *source, *sender;
	const char *listed; /* the sender that is allowed, wherever it stands */
	const char *bad;    /* what no answer may allow */
	enum probe_place place;
};

/* What was asked for on the command line. */
struct probe_aim {
	const char *url;    /* probe_plan_url_fault() found none in it */
	const char *method; /* "GET", "POST" */
	const char *sender, *origin, *browser_origin;
	bool insist;          /* on browsers */
	const char **headers; /* "Name: value", NULL behind the last one */
};

/* The header field that would show that the answer's header was split. */
#define PROBE_INJECTED "X-Amp-Cors-Probe"

/*
 * All requests, in their order; they live in a, and borrow from the aim.  NULL
 * where memory is out.
 */
struct probe_request *probe_plan(struct arena *a, const struct probe_aim *aim,
    size_t *n);

/* The n-th request's name, without any aim; NULL behind the last one. */
const char *probe_plan_name(size_t n);

/*
 * Why a header line of the user's cannot go along: it is no "Name: value", or
 * one that the requests themselves need.  NULL: it can.
 */
const char *probe_plan_header_fault(const char *line);

/* The same of the URL: a parameter in it would be there twice. */
const char *probe_plan_url_fault(const char *url);

/*
 * url with a query parameter more, behind those that are there and before the
 * fragment, which is left out.  The value is percent-encoded as
 * encodeURIComponent() does.  NULL where memory is out.
 */
char *probe_plan_url(struct arena *a, const char *url, const char *name,
    const char *value);

#endif
