#include "probe.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "address.h"
#include "origin.h"
#include "probe_ask.h"
#include "probe_progress.h"
#include "probe_show.h"
#include "slurp.h"
#include "tool.h"

static const char usage[] =
    "usage: amp-cors probe --sender=ADDRESS [option ...] URL\n"
    "  --sender=ADDRESS         a sender that the endpoint allows\n"
    "  --origin=ORIGIN          of the mail client (https://mail.google.com)\n"
    "  --browser-origin=ORIGIN  of a page in a browser, which must be let in\n"
    "  --method=GET|POST        of the requests (GET); POST submits a form\n"
    "  --data=TEXT|@FILE        the body of a POST\n"
    "  --header='Name: value'   one more field of each request; repeatable\n"
    "  --timeout=SECONDS        for each request, 1 to 3600 (10)\n"
    "  --only=NAMES             some of the requests alone\n"
    "  --resolve=HOST:PORT:ADDRESS  asks that address instead\n"
    "  --insecure               takes any certificate\n"
    "  --strict                 warnings count for the exit status\n"
    "  --format=text|json       a table (text), or one document\n";

enum {
	NAMES_MAX = 64,
	HEADERS_MAX = 64,
	DATA_MAX = 16 * 1024 * 1024,
	OUT_MAX = 64 * 1024 * 1024
};

struct probe {
	struct probe_aim aim;
	struct probe_ask_options ask;
	const char *data;                     /* as it was given */
	const char *headers[HEADERS_MAX + 1]; /* the aim's */
	size_t n_headers;
	bool chosen[NAMES_MAX], choice; /* --only; else all of them */
	bool json, help, strict;
	struct slurp file; /* of --data=@FILE */
};

/* --- options -------------------------------------------------------------- */

static bool
bad(const char *what, const char *value, const char *why)
{
	tool_fail(EX_USAGE, "%s %s %s", what, value, why);
	return false;
}

static bool
set_origin(const char *option, const char *value, const char **out)
{
	*out = value;
	return origin_valid(span_of(value)) ||
	    bad(option, value, "is no origin, as https://mail.google.com is");
}

static bool
set_sender(struct probe *p, const char *value)
{
	struct address address;

	p->aim.sender = value;
	return address_parse(span_of(value), &address) ||
	    bad("--sender", value, "is no mail address");
}

static bool
set_timeout(struct probe *p, const char *value)
{
	uint64_t seconds = 0;

	if (!span_number(span_of(value), 3600, &seconds) || seconds == 0)
		return bad("--timeout", value, "is not 1 to 3600 seconds");
	p->ask.timeout = (unsigned)seconds;
	return true;
}

static bool
add_header(struct probe *p, const char *value)
{
	const char *fault = probe_plan_header_fault(value);

	if (fault == NULL && p->n_headers == HEADERS_MAX)
		fault = "is one too many";
	if (fault != NULL)
		return bad("--header", value, fault);
	p->headers[p->n_headers++] = value;
	return true;
}

static bool
choose(struct probe *p, struct span name)
{
	const char *is;

	for (size_t i = 0; (is = probe_plan_name(i)) != NULL; i++) {
		if (!span_eq(name, span_of(is)))
			continue;
		p->chosen[i] = true;
		return true;
	}
	tool_fail(EX_USAGE, "--only: there is no request %.*s", (int)name.n,
	    name.p);
	return false;
}

static bool
set_only(struct probe *p, const char *value)
{
	struct span rest = span_of(value), name;

	p->choice = false;
	while (span_word(&rest, &name)) {
		p->choice = true;
		if (!choose(p, name))
			return false;
	}
	return p->choice || bad("--only", value, "names no request");
}

static bool
set_method(struct probe *p, const char *value)
{
	p->aim.method = value;
	return strcmp(value, "GET") == 0 || strcmp(value, "POST") == 0 ||
	    bad("--method", value, "is neither GET nor POST");
}

static bool
set_format(struct probe *p, const char *value)
{
	p->json = strcmp(value, "json") == 0;
	return p->json || strcmp(value, "text") == 0 ||
	    bad("--format", value, "is neither text nor json");
}

static bool
set_resolve(struct probe *p, const char *value)
{
	const char *fault = probe_ask_resolve_fault(value);

	p->ask.resolve = value;
	return fault == NULL || bad("--resolve", value, fault);
}

static bool
set(struct probe *p, int option, const char *value)
{
	switch (option) {
	case 's':
		return set_sender(p, value);
	case 'o':
		return set_origin("--origin", value, &p->aim.origin);
	case 'b':
		p->aim.insist = true;
		return set_origin("--browser-origin", value,
		    &p->aim.browser_origin);
	case 'm':
		return set_method(p, value);
	case 'd':
		p->data = value;
		return true;
	case 'H':
		return add_header(p, value);
	case 't':
		return set_timeout(p, value);
	case 'f':
		return set_format(p, value);
	case 'O':
		return set_only(p, value);
	case 'r':
		return set_resolve(p, value);
	case 'S':
		p->strict = true;
		return true;
	case 'k':
		p->ask.insecure = true;
		return true;
	default:
		p->help = option == 'h';
		return false;
	}
}

static bool
read_options(struct probe *p, int argc, char *argv[])
{
	static const struct option options[] = {
		{ "sender", required_argument, NULL, 's' },
		{ "origin", required_argument, NULL, 'o' },
		{ "browser-origin", required_argument, NULL, 'b' },
		{ "method", required_argument, NULL, 'm' },
		{ "data", required_argument, NULL, 'd' },
		{ "header", required_argument, NULL, 'H' },
		{ "timeout", required_argument, NULL, 't' },
		{ "format", required_argument, NULL, 'f' },
		{ "only", required_argument, NULL, 'O' },
		{ "resolve", required_argument, NULL, 'r' },
		{ "strict", no_argument, NULL, 'S' },
		{ "insecure", no_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
		if (!set(p, c, optarg)) {
			tool_usage(p->help, usage);
			return false;
		}
	if (argc - optind == 1) {
		p->aim.url = argv[optind];
		return true;
	}
	tool_fail(EX_USAGE,
	    argc == optind ? "the URL is missing" :
			     "there is more than one URL");
	tool_usage(false, usage);
	return false;
}

/* What is wrong between the options. */
static bool
check_options(struct probe *p)
{
	const char *fault = probe_ask_url_fault(p->aim.url);

	if (fault == NULL)
		fault = probe_plan_url_fault(p->aim.url);
	if (fault != NULL) {
		tool_fail(EX_USAGE, "%s %s", p->aim.url, fault);
		return false;
	}
	if (p->aim.sender == NULL) {
		tool_fail(EX_USAGE,
		    "--sender=ADDRESS is missing: a sender that the endpoint "
		    "allows");
		return false;
	}
	if (p->data != NULL && strcmp(p->aim.method, "POST") != 0) {
		tool_fail(EX_USAGE, "--data goes with --method=POST alone");
		return false;
	}
	return true;
}

static int
read_data(struct probe *p)
{
	const char *fault;

	p->ask.data = span_of(p->data);
	if (p->data == NULL || p->data[0] != '@')
		return EX_OK;
	fault = slurp(p->data + 1, DATA_MAX, &p->file);
	if (fault != NULL)
		return tool_fail(EX_NOINPUT, "%s: %s", p->data + 1, fault);
	p->ask.data = (struct span){ p->file.p, p->file.n };
	return EX_OK;
}

/* --- the requests --------------------------------------------------------- */

static bool
is_chosen(const struct probe *p, const char *name)
{
	for (size_t i = 0; probe_plan_name(i) != NULL; i++)
		if (strcmp(probe_plan_name(i), name) == 0)
			return !p->choice || p->chosen[i];
	return false;
}

/* The rows of what is to be asked; *n may be 0.  NULL: memory is out. */
static struct probe_row *
make_rows(const struct probe *p, struct arena *memory, size_t *n)
{
	size_t all;
	struct probe_request *q = probe_plan(memory, &p->aim, &all);
	struct probe_row *rows;

	*n = 0;
	rows = q == NULL ? NULL : arena_alloc(memory, all * sizeof(*rows));
	for (size_t i = 0; rows != NULL && i < all; i++)
		if (is_chosen(p, q[i].name))
			rows[(*n)++].q = &q[i];
	return rows;
}

/* Nobody was reached, and nobody will be in the next moment. */
static bool
is_away(enum probe_fault fault)
{
	return fault == PROBE_FAULT_NAME || fault == PROBE_FAULT_CONNECT ||
	    fault == PROBE_FAULT_TLS || fault == PROBE_FAULT_CERTIFICATE;
}

/* No error; with --strict, no warning either. */
static int
status_of(const struct probe *p, const struct probe_result *r)
{
	return probe_show_count(r, PROBE_ERROR) > 0 ||
		(p->strict && probe_show_count(r, PROBE_WARNING) > 0) ?
	    TOOL_NO :
	    EX_OK;
}

static void
note_fragment(const struct probe *p, struct probe_report *out)
{
	const char *fragment = strchr(p->aim.url, '#');

	if (fragment != NULL)
		probe_report_add(out, PROBE_FRAGMENT, PROBE_NOTE,
		    "what begins with # was cut off the URL: %s",
		    probe_report_value(span_of(fragment)).text);
}

/* Asks them all, but for the rest where the first was not reached. */
static int
ask_all(const struct probe *p, struct probe_ask *ask, struct probe_row *rows,
    struct probe_result *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct probe_row *row = &rows[i];

		probe_progress_at(row->q->name, i + 1, r->n);
		probe_ask(ask, row->q, &row->a);
		if (row->a.fault == PROBE_FAULT_MEMORY)
			return EX_OSERR;
		probe_judge(row->q, &row->a, &row->r);
		buf_free(&row->a.body); /* has been judged */
		if (i > 0)
			continue;
		if (is_away(row->a.fault))
			return EX_UNAVAILABLE;
		r->address = row->a.address;
		probe_judge_connection(row->q, &row->a, p->ask.insecure,
		    &r->connection);
	}
	return status_of(p, r);
}

static int
show(const struct probe *p, const struct probe_result *r)
{
	struct buf out;

	buf_init(&out, OUT_MAX);
	if (p->json)
		probe_show_json(&out, r);
	else
		probe_show_text(&out, r, tool_colours(stdout));
	return tool_print(&out);
}

static int
run(struct probe *p, struct probe_row *rows, size_t n)
{
	struct probe_result r = { .aim = &p->aim, .rows = rows, .n = n };
	struct probe_ask *ask = probe_ask_new(&p->ask);
	int status = EX_OSERR, printed;
	void (*before)(int);

	note_fragment(p, &r.connection);
	if (ask != NULL) {
		/* CURLOPT_NOSIGNAL leaves this to its user */
		before = signal(SIGPIPE, SIG_IGN);
		probe_progress_open();
		status = ask_all(p, ask, rows, &r);
		probe_progress_close();
		signal(SIGPIPE, before);
	}
	if (status == EX_OSERR)
		tool_fail(EX_OSERR, "out of memory");
	else if ((printed = show(p, &r)) != EX_OK)
		status = printed;
	if (status == EX_UNAVAILABLE)
		tool_fail(status, "%s was not reached", p->aim.url);
	for (size_t i = 0; i < n; i++)
		probe_ask_answer_free(&rows[i].a);
	probe_ask_free(ask);
	return status;
}

static int
prepare(struct probe *p)
{
	struct arena memory = { NULL, false };
	int status = read_data(p);
	struct probe_row *rows;
	size_t n;

	if (status != EX_OK)
		return status;
	rows = make_rows(p, &memory, &n);
	if (rows == NULL)
		status = tool_fail(EX_OSERR, "out of memory");
	else if (n == 0)
		status = tool_fail(EX_USAGE,
		    "--only=playground: none is known at %s",
		    p->aim.browser_origin);
	else
		status = run(p, rows, n);
	arena_free(&memory);
	free(p->file.p);
	return status;
}

int
probe_main(int argc, char *argv[])
{
	struct probe p = {
		.aim.method = "GET",
		.aim.origin = "https://mail.google.com",
		.aim.browser_origin = "https://amp.gmail.dev",
		.ask.timeout = 10,
		.ask.tick = probe_progress_tick,
	};

	p.aim.headers = p.headers;
	if (!read_options(&p, argc, argv))
		return p.help ? EX_OK : EX_USAGE;
	if (!check_options(&p))
		return EX_USAGE;
	return prepare(&p);
}
