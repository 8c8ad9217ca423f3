/*
 * conf: the policy file, loaded whole, checked whole, then only read [SPEC 6].
 * The only module that knows iniparser.
 */
#ifndef CONF_H
#define CONF_H

#include <sys/types.h>

#include "fault.h"
#include "logline.h"
#include "path.h"
#include "policy.h"
#include "scan.h"
#include "stamp.h"

/* Something wrong.  The texts are plain: no control bytes, no line feed. */
struct conf_fault {
	enum fault code;
	bool warning;
	bool note;            /* a warning that nobody must heed */
	const char *file;     /* the policy file, or a list that it names */
	struct scan_place at; /* line 0: all of it */
	const char *text;
	const char *expected; /* what would be right; may be NULL or empty */
};

typedef void conf_report_fn(void *ctx, const struct conf_fault *f);

/* "error", "warning" or "note". */
const char *conf_fault_severity(const struct conf_fault *f);

/* Adds "file:line:column: error: text [code]; what would be right". */
void conf_fault_line(struct buf *out, const struct conf_fault *f);

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

enum conf_sandbox { CONF_SANDBOX_AUTO, CONF_SANDBOX_ON, CONF_SANDBOX_OFF };

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
	unsigned reload_interval; /* seconds; 0: SIGHUP alone */
	const char *metrics_path; /* of the front's own URLs, or NULL */
	const char *metrics_file; /* or NULL */
	enum conf_sandbox sandbox;
};

struct conf;

enum conf_result {
	CONF_OK,
	CONF_BAD,    /* the file is wrong: policy-error [SPEC 6.7] */
	CONF_NO_LIST /* a list is: policy-unavailable [SPEC 6.8] */
};

/*
 * For which way in the file is read: exec_mode = replace is CGI's alone.  A
 * server that loads it again in a sandbox cannot ask for users and groups, and
 * needs none: they are taken on trust.
 */
enum conf_use { CONF_FOR_CGI, CONF_FOR_SERVER, CONF_FOR_CONFINED };

/*
 * Reads and checks a file and the lists that it names.  Every fault is
 * reported, and warnings too; *out is set on CONF_OK only, and then owned by
 * the caller, who ends it with conf_free().  CONF_BAD where there is both a
 * fault in the file and one in a list.  Compiled lists are read whole for a
 * server; a CGI request finds damage where its own lookup comes by it.
 */
enum conf_result conf_load(const char *file, enum conf_use use,
    conf_report_fn *report, void *ctx, struct conf **out);

/*
 * The same, for a tool that looks at a file: *out is set, and owned by the
 * caller, also where the file or a list is wrong, with what could be made out
 * of it.  Then nothing may be decided by it.  NULL where memory is out.
 */
enum conf_result conf_look(const char *file, enum conf_use use,
    conf_report_fn *report, void *ctx, struct conf **out);

/* The files that were read, or should have been: the policy file first. */
struct conf_file {
	struct conf_file *next;
	const char *name;
	struct stamp stamp; /* as it was read */
};
const struct conf_file *conf_files(const struct conf *c);

/*
 * How a key of an endpoint (its number in conf_endpoints()), or of [server],
 * was written, in its own section or in [policy].  False: nowhere.
 */
#define CONF_OF_SERVER ((size_t)-1)
struct conf_written {
	struct span value;
	struct scan_place at; /* of the value */
};
bool conf_written(const struct conf *c, size_t endpoint, const char *key,
    struct conf_written *out);

/* Where an endpoint's section begins; line 0: nowhere. */
struct scan_place conf_place(const struct conf *c, size_t endpoint);

/*
 * Goes through the keys of [server] that say something else in b than in a:
 * the name of the next one, NULL behind the last; *next is 0 before the first.
 */
const char *conf_server_change(const struct conf *a, const struct conf *b,
    size_t *next);

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

/*
 * Gives up the lists of senders.  All else stays; whoever decides by it all the
 * same lets nobody in.
 */
void conf_drop_lists(struct conf *c);

/* NULL is taken too. */
void conf_free(struct conf *c);

#endif
