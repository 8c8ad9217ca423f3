/*
 * conf: the policy file, loaded whole, checked whole, then only read [SPEC 6].
 * The only module that knows iniparser.
 */
#ifndef CONF_H
#define CONF_H

#include <sys/types.h>

#include "logline.h"
#include "path.h"
#include "policy.h"
#include "scan.h"

/* file: the policy file, or a list that it names.  Line 0: all of it. */
typedef void conf_report_fn(void *ctx, const char *file, struct scan_place at,
    bool warning, const char *fault, const char *expected);

enum conf_handler {
	CONF_HANDLER_UNSET, /* the command line must name one [SPEC 4.1] */
	CONF_HANDLER_EXEC,
	CONF_HANDLER_SCRIPTS,
	CONF_HANDLER_FORWARD,
	CONF_HANDLER_NONE /* the decision alone */
};

/* Times are seconds, sizes bytes; 0 is "no limit" where SPEC 6.4 says so. */
struct conf_limits {
	unsigned timeout, time_limit, body_timeout, send_timeout, kill_grace;
	uint64_t max_body, spool_max;
	size_t max_header;
};

struct conf_endpoint {
	const char *name; /* "-" for the policy's own, without any endpoint */
	const char *path; /* "" guards every path, else "/a/plain/path" */
	struct policy policy;
	enum conf_handler handler;
	const char *exec;      /* the program */
	const char *scripts;   /* the directory, its links resolved */
	const char *forward;   /* "unix:/path" or "ADDRESS:PORT" */
	unsigned forward_keep; /* idle connections to it that are kept */
	bool replace;          /* exec_mode = replace */
	bool pass_redirects;
	bool pass_authorization;
	char *const *environment; /* names, NULL-terminated */
	struct conf_limits limits;
};

struct conf_server {
	const char *listen; /* "unix:/path", "ADDRESS:PORT", or NULL */
	mode_t socket_mode;
	const char *socket_owner, *socket_group; /* names or numbers, or NULL */
	const struct span *peers; /* users, or addresses; see the manual */
	size_t npeers;
	unsigned threads, queue;
	unsigned queue_timeout, head_timeout, idle_timeout, stop_grace;
	const char *user, *group; /* or NULL */
	const char *log;          /* "stderr", "syslog", or a path */
	enum logline_format log_format;
	int log_level; /* syslog(3)'s LOG_ERR to LOG_DEBUG */
	enum logline_senders log_senders;
};

struct conf;

enum conf_result {
	CONF_OK,
	CONF_BAD,    /* the file is wrong: policy-error [SPEC 6.7] */
	CONF_NO_LIST /* a list is: policy-unavailable [SPEC 6.8] */
};

/* For which way in the file is read: exec_mode = replace is CGI's alone. */
enum conf_use { CONF_FOR_CGI, CONF_FOR_SERVER };

/*
 * Reads and checks a file and the lists that it names.  Every fault is
 * reported, and warnings too; *out is set on CONF_OK only, and then owned by
 * the caller, who ends it with conf_free().  CONF_BAD where there is both a
 * fault in the file and one in a list.
 */
enum conf_result conf_load(const char *file, enum conf_use use,
    conf_report_fn *report, void *ctx, struct conf **out);

/* What a request asks for. */
struct conf_asked {
	struct path script; /* SCRIPT_NAME and PATH_INFO */
	struct path uri;    /* of REQUEST_URI; absent where there is none */
	bool authorizer;    /* in the Authorizer role */
};

/*
 * The endpoint of a request: the one with the longest path that is the
 * request's, or a whole segment above it.  The request's path is that of its
 * URI for an Authorizer and for endpoints of `handler = none`, where the
 * server's own names do not say what the client asked for [SPEC 1.7, E13], and
 * SCRIPT_NAME and PATH_INFO joined for all others.  NULL where there is none,
 * and for a path that is not plain [SPEC 2.1].
 */
const struct conf_endpoint *conf_endpoint(const struct conf *c,
    const struct conf_asked *asked);

/* All of them, for checks at the start. */
size_t conf_endpoints(const struct conf *c, const struct conf_endpoint **out);

/*
 * The first of them that forwards to the address that ep[i] forwards to, i
 * itself where there is none before it.  ep[i] must forward.
 */
size_t conf_forwards_first(const struct conf_endpoint *ep, size_t i);

const struct conf_server *conf_server(const struct conf *c);

/* The defaults of [server], for a process that has no policy that checks. */
extern const struct conf_server conf_server_defaults;

/* NULL is taken too. */
void conf_free(struct conf *c);

#endif
