#include "explain.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "explain_json.h"
#include "explain_request.h"
#include "explain_show.h"
#include "loaded.h"
#include "tool.h"

#define CONFIG "/etc/amp-cors/amp-cors.ini"

enum { OUTPUT_MAX = 64 << 20 };

static const char usage[] =
    "usage: amp-cors explain [--config=FILE] [--sender=ADDRESS]\n"
    "                        [--origin=ORIGIN] [--source=ADDRESS]\n"
    "                        [--query=STRING] [--path=PATH]\n"
    "                        [--method=METHOD] [--request-method=METHOD]\n"
    "                        [--header='NAME: VALUE'] [--environment=FILE]\n"
    "                        [--authorizer] [--format=text|json]\n"
    "  --config          the policy; else AMP_CORS_CONFIG, else\n"
    "                    " CONFIG "\n"
    "  --sender          AMP-Email-Sender (version 2)\n"
    "  --origin          Origin\n"
    "  --source          __amp_source_origin in the query (version 1)\n"
    "  --query           the query, as it stands in the URL\n"
    "  --path            the path, decoded; else /\n"
    "  --method          the method; else GET\n"
    "  --request-method  Access-Control-Request-Method; makes it OPTIONS\n"
    "  --header          any other field; may be repeated\n"
    "  --environment     a saved CGI environment, \"-\" for standard input;\n"
    "                    the other options stand above it\n"
    "  --authorizer      ask as a web server does in that role\n"
    "  --format          text, or json\n"
    "It ends with 0 where the request is allowed, with 1 where it is not.\n";

struct options {
	const char *config, *environment, *method;
	struct explain_target target;
	struct explain_request fields; /* header fields, as variables */
	bool preflight, authorizer, json;
};

enum option_id {
	AUTHORIZER = 256,
	CONFIG_FILE,
	ENVIRONMENT,
	FORMAT,
	HEADER,
	HELP,
	METHOD,
	ORIGIN,
	PATH,
	QUERY,
	REQUEST_METHOD,
	SENDER,
	SOURCE
};

static const struct option known[] = {
	{ "authorizer", no_argument, NULL, AUTHORIZER },
	{ "config", required_argument, NULL, CONFIG_FILE },
	{ "environment", required_argument, NULL, ENVIRONMENT },
	{ "format", required_argument, NULL, FORMAT },
	{ "header", required_argument, NULL, HEADER },
	{ "help", no_argument, NULL, HELP },
	{ "method", required_argument, NULL, METHOD },
	{ "origin", required_argument, NULL, ORIGIN },
	{ "path", required_argument, NULL, PATH },
	{ "query", required_argument, NULL, QUERY },
	{ "request-method", required_argument, NULL, REQUEST_METHOD },
	{ "sender", required_argument, NULL, SENDER },
	{ "source", required_argument, NULL, SOURCE },
	{ NULL, 0, NULL, 0 },
};

/* --- options --- */

static int
set_format(struct options *o, const char *value)
{
	o->json = strcmp(value, "json") == 0;
	if (o->json || strcmp(value, "text") == 0)
		return EX_OK;
	return tool_fail(EX_USAGE, "--format=%s: write text or json", value);
}

static int
set_path(struct options *o, const char *value)
{
	o->target.path = value;
	if (*value != '/')
		return tool_fail(EX_USAGE, "--path=%s: a path begins with '/'",
		    value);
	if (strchr(value, '?') != NULL)
		return tool_fail(EX_USAGE,
		    "--path=%s: give what follows the '?' in --query", value);
	return EX_OK;
}

static int
set_header(struct options *o, const char *value)
{
	if (explain_request_header(&o->fields, span_of(value)))
		return EX_OK;
	return tool_fail(EX_USAGE, "--header=%s: write 'NAME: VALUE'", value);
}

static void
set_field(struct options *o, int id, const char *value)
{
	const struct span name = id == ORIGIN ? SPAN("HTTP_ORIGIN") :
	    id == SENDER                      ? SPAN("HTTP_AMP_EMAIL_SENDER") :
			   SPAN("HTTP_ACCESS_CONTROL_REQUEST_METHOD");

	explain_request_add(&o->fields, name, span_of(value));
	o->preflight |= id == REQUEST_METHOD;
}

/* EX_OK, or what the tool ends with; -1 for --help. */
static int
set(struct options *o, int id, const char *value)
{
	switch (id) {
	case AUTHORIZER:
		o->authorizer = true;
		break;
	case CONFIG_FILE:
		o->config = value;
		break;
	case ENVIRONMENT:
		o->environment = value;
		break;
	case FORMAT:
		return set_format(o, value);
	case HEADER:
		return set_header(o, value);
	case HELP:
		tool_usage(true, usage);
		return -1;
	case METHOD:
		o->method = value;
		break;
	case ORIGIN:
	case REQUEST_METHOD:
	case SENDER:
		set_field(o, id, value);
		break;
	case PATH:
		return set_path(o, value);
	case QUERY:
		o->target.query = value;
		break;
	case SOURCE:
		o->target.source = value;
		break;
	default:
		return tool_usage(false, usage);
	}
	return EX_OK;
}

static int
parse(int argc, char *argv[], struct options *o)
{
	int id, status = EX_OK;

	while (status == EX_OK &&
	    (id = getopt_long(argc, argv, "h", known, NULL)) != -1)
		status = set(o, id == 'h' ? HELP : id, optarg);
	if (status == EX_OK && optind < argc) {
		tool_fail(EX_USAGE, "%s: it takes options alone", argv[optind]);
		return tool_usage(false, usage);
	}
	return status;
}

/* --- the request --- */

/*
 * What a front gave its handler is no part of the request that it got.  True
 * where there was any of it.
 */
static bool
drop_handlers(struct explain_request *r)
{
	static const struct span names[] = {
		{ "AMP_CORS_VERSION", 16 },
		{ "AMP_CORS_SENDER", 15 },
		{ "AMP_CORS_ORIGIN", 15 },
		{ "AMP_CORS_FRONT", 14 },
	};
	size_t was = r->n;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		explain_request_drop(r, names[i]);
	return r->n < was;
}

static int
make_request(const struct options *o, struct explain_request *r, bool *dropped)
{
	const struct span method = SPAN("REQUEST_METHOD");
	struct explain_target t = o->target;
	int status = EX_OK;

	if (o->environment != NULL)
		status = explain_request_file(r, o->environment);
	else if (t.path == NULL)
		t.path = "/";
	if (status != EX_OK)
		return status;
	*dropped = drop_handlers(r);
	explain_request_target(r, &t);
	if (o->method != NULL)
		explain_request_set(r, method, span_of(o->method));
	else if (o->preflight)
		explain_request_set(r, method, SPAN("OPTIONS"));
	else if (o->environment == NULL)
		explain_request_set(r, method, SPAN("GET"));
	explain_request_override(r, &o->fields);
	if (r->n == EXPLAIN_REQUEST_VARS)
		return tool_fail(EX_DATAERR, "too many variables");
	if (r->failed || o->fields.failed)
		return tool_fail(EX_OSERR, "out of memory");
	return EX_OK;
}

/* --- the policy --- */

static const char *
config_path(const char *option)
{
	const char *path = option != NULL ? option : getenv("AMP_CORS_CONFIG");

	return path != NULL && *path != '\0' ? path : CONFIG;
}

static int
load(const struct options *o, struct conf **conf)
{
	enum conf_use use = o->authorizer ? CONF_FOR_SERVER : CONF_FOR_CGI;
	int status = loaded_policy(config_path(o->config), use, conf);

	switch (status) {
	case EX_NOINPUT:
	case EX_CONFIG:
		return tool_fail(status,
		    "the policy %s: the front would answer 500 policy-error, "
		    "or not start",
		    status == EX_CONFIG ? "does not check" : "cannot be read");
	case EX_UNAVAILABLE:
		return tool_fail(status,
		    "a list of senders does not check: the front would answer "
		    "503 policy-unavailable, or not start");
	default:
		return status;
	}
}

/* --- what is said --- */

static int
status_of(const struct policy_decision *d)
{
	if (d->reason == REASON_POLICY_UNAVAILABLE)
		return EX_UNAVAILABLE;
	return policy_outcome(d) == POLICY_OUTCOME_DENY ? TOOL_NO : EX_OK;
}

static int
show(const struct options *o, const struct explain_all *a)
{
	struct buf out;
	int status;

	buf_init(&out, OUTPUT_MAX);
	if (o->json)
		explain_json(&out, a);
	else
		explain_show_text(&out, a, tool_colours(stdout));
	status = tool_print(&out);
	return status == EX_OK ? status_of(&a->c.decision) : status;
}

static int
explain(const struct options *o, const struct explain_request *r,
    const struct conf *conf, bool dropped)
{
	struct explain_all *a = calloc(1, sizeof(*a));
	int status;

	if (a == NULL)
		return tool_fail(EX_OSERR, "out of memory");
	a->dropped = dropped;
	explain_case_decide(conf, r->vars, o->authorizer, &a->c);
	explain_steps(&a->c, &a->steps);
	explain_client(&a->c, &a->client);
	explain_hints(&a->c, &a->hints);
	status = show(o, a);
	free(a);
	return status;
}

int
explain_main(int argc, char *argv[])
{
	struct options o = { .config = NULL };
	struct explain_request r = { .n = 0 };
	struct conf *conf = NULL;
	bool dropped = false;
	int status = parse(argc, argv, &o);

	if (status == EX_OK)
		status = make_request(&o, &r, &dropped);
	if (status == EX_OK)
		status = load(&o, &conf);
	if (status == EX_OK)
		status = explain(&o, &r, conf, dropped);
	conf_free(conf);
	explain_request_free(&r);
	explain_request_free(&o.fields);
	return status == -1 ? EX_OK : status;
}
