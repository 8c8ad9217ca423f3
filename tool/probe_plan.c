#include "probe_plan.h"

#include <string.h>

#include "query.h"
#include "version.h"

#define PARAMETER "__amp_source_origin"
#define TWIN "__amp%5fsource%5forigin"

/* The values that requests are made of. */
enum text {
	NOTHING,
	LISTED,     /* the sender that is allowed */
	STRANGER,   /* one that nobody lists */
	INJECTING,  /* the one that is allowed, and a header line behind it */
	INJECTED,   /* that line's name */
	ORIGIN,     /* the mail client's */
	ELSEWHERE,  /* one that nobody lists */
	LONGER,     /* one that begins as the mail client's does */
	EVIL,       /* one that ends so */
	NULL_,      /* "null" */
	BROWSER,    /* the playground's */
	PLAYGROUND, /* its own sender; NULL: none is known */
	TEXTS
};

struct row {
	const char *name, *what;
	enum probe_who who;
	enum text origin, source[2], sender[2], bad;
	bool preflight, twin; /* twin: the second parameter's name is encoded */
};

static const struct row rows[] = {
	{ "v1", "a mail client, version 1 (Gmail)", PROBE_CLIENT,
	    .origin = ORIGIN, .source = { LISTED } },
	{ "v2", "a mail client, version 2", PROBE_CLIENT,
	    .sender = { LISTED } },
	{ "both", "a mail client of both versions", PROBE_CLIENT,
	    .origin = ORIGIN, .source = { LISTED }, .sender = { LISTED } },
	{ "preflight", "a browser's preflight", PROBE_BROWSER,
	    .preflight = true, .origin = BROWSER },
	{ "browser", "a page in a browser, version 2", PROBE_BROWSER,
	    .origin = BROWSER, .sender = { LISTED } },
	{ "playground", "the playground of that origin, version 1",
	    PROBE_BROWSER, .origin = BROWSER, .source = { PLAYGROUND } },
	{ "stranger-v1", "an unlisted sender, version 1", PROBE_ATTACKER,
	    .origin = ORIGIN, .source = { STRANGER }, .bad = STRANGER },
	{ "stranger-v2", "an unlisted sender, version 2", PROBE_ATTACKER,
	    .sender = { STRANGER }, .bad = STRANGER },
	{ "origin-v1", "an unlisted origin, version 1", PROBE_ATTACKER,
	    .origin = ELSEWHERE, .source = { LISTED }, .bad = ELSEWHERE },
	{ "origin-v2", "a page of an unlisted origin, version 2",
	    PROBE_ATTACKER, .origin = ELSEWHERE, .sender = { LISTED },
	    .bad = ELSEWHERE },
	{ "origin-preflight", "a preflight of an unlisted origin",
	    PROBE_ATTACKER, .preflight = true, .origin = ELSEWHERE,
	    .bad = ELSEWHERE },
	{ "origin-starts", "an origin that begins as the right one does",
	    PROBE_ATTACKER, .origin = LONGER, .source = { LISTED },
	    .bad = LONGER },
	{ "origin-ends", "an origin that ends as the right one does",
	    PROBE_ATTACKER, .origin = EVIL, .source = { LISTED }, .bad = EVIL },
	{ "origin-null", "the origin null", PROBE_ATTACKER, .origin = NULL_,
	    .source = { LISTED }, .bad = NULL_ },
	{ "header-twice", "two AMP-Email-Sender, the second unlisted",
	    PROBE_ATTACKER, .sender = { LISTED, STRANGER }, .bad = STRANGER },
	{ "header-turned", "two AMP-Email-Sender, the first unlisted",
	    PROBE_ATTACKER, .sender = { STRANGER, LISTED }, .bad = STRANGER },
	{ "param-twice", "two parameters, the second unlisted", PROBE_ATTACKER,
	    .origin = ORIGIN, .source = { LISTED, STRANGER }, .bad = STRANGER },
	{ "param-turned", "two parameters, the first unlisted", PROBE_ATTACKER,
	    .origin = ORIGIN, .source = { STRANGER, LISTED }, .bad = STRANGER },
	{ "param-twin", "two parameters, one name percent-encoded",
	    PROBE_ATTACKER, .origin = ORIGIN, .source = { LISTED, STRANGER },
	    .bad = STRANGER, .twin = true },
	{ "param-crlf", "a header line within the parameter", PROBE_ATTACKER,
	    .origin = ORIGIN, .source = { INJECTING }, .bad = INJECTED },
	{ "none", "neither Origin nor AMP-Email-Sender", PROBE_ATTACKER,
	    .bad = NOTHING },
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

/* Public playgrounds, and the sender that each of them names. */
static const struct {
	const char *origin, *sender;
} playgrounds[] = {
	{ "https://amp.gmail.dev", "amp@gmail.dev" },
	{ "https://playground.amp.dev", "https://playground.amp.dev" },
};

const char *
probe_plan_name(size_t n)
{
	return n < ROWS ? rows[n].name : NULL;
}

/* One string out of several, the last one NULL. */
static char *
joined(struct arena *a, const char *const *parts)
{
	size_t n = 0;
	char *out, *end;

	for (size_t i = 0; parts[i] != NULL; i++)
		n += strlen(parts[i]);
	out = end = arena_alloc(a, n + 1);
	for (size_t i = 0; out != NULL && parts[i] != NULL; i++) {
		memcpy(end, parts[i], strlen(parts[i]));
		end += strlen(parts[i]);
	}
	return out;
}
#define JOINED(a, ...) joined(a, (const char *const[]){ __VA_ARGS__, NULL })

static char *
encoded(struct arena *a, const char *text)
{
	static const char plain[] = "-_.!~*'()", hex[] = "0123456789ABCDEF";
	char *out = arena_alloc(a, 3 * strlen(text) + 1), *end = out;

	for (; out != NULL && *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		char low = span_lower(*text);

		if ((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') ||
		    strchr(plain, c) != NULL) {
			*end++ = *text;
			continue;
		}
		*end++ = '%';
		*end++ = hex[c / 16];
		*end++ = hex[c % 16];
	}
	return out;
}

char *
probe_plan_url(struct arena *a, const char *url, const char *name,
    const char *value)
{
	size_t n = strcspn(url, "#");
	char *start = arena_string(a, (struct span){ url, n });
	char *text = encoded(a, value);
	const char *between = "?";

	if (start == NULL || text == NULL)
		return NULL;
	if (strchr(start, '?') != NULL)
		between = start[n - 1] == '?' || start[n - 1] == '&' ? "" : "&";
	return JOINED(a, start, between, name, "=", text);
}

const char *
probe_plan_url_fault(const char *url)
{
	char value[512];
	size_t n = strcspn(url, "#"), at = strcspn(url, "?#");
	struct span query = span_skip((struct span){ url, n }, at);

	if (query.n > 0 &&
	    query_get(span_skip(query, 1), SPAN(PARAMETER), value,
		sizeof(value), &n) != QUERY_ABSENT)
		return "has " PARAMETER " in it: leave that to --sender";
	return NULL;
}

/* The name of a header line. */
static struct span
name_of(const char *line)
{
	return (struct span){ line, strcspn(line, ":") };
}

static bool
is_token(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!span_graph(s.p[i]) ||
		    strchr("\"(),/:;<=>?@[\\]{}", s.p[i]) != NULL)
			return false;
	return s.n > 0;
}

const char *
probe_plan_header_fault(const char *line)
{
	static const char *const ours[] = { "Origin", "AMP-Email-Sender",
		"Access-Control-Request-Method",
		"Access-Control-Request-Headers", "Content-Length",
		"Transfer-Encoding", "Host" };
	struct span name = name_of(line);

	if (line[name.n] != ':' || !is_token(name))
		return "is not Name: value";
	for (const char *p = line; *p != '\0'; p++)
		if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
			return "holds a control byte";
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (span_caseeq(name, span_of(ours[i])))
			return "is of those that the requests need themselves";
	return NULL;
}

static bool
has_header(const char **headers, const char *name)
{
	for (; *headers != NULL; headers++)
		if (span_caseeq(name_of(*headers), span_of(name)))
			return true;
	return false;
}

/* Does a browser send this field without asking first (Fetch, 2.2.2)? */
static bool
is_safe(const char *line)
{
	static const char *const always[] = { "Accept", "Accept-Language",
		"Content-Language", "User-Agent" };
	static const char *const types[] = {
		"application/x-www-form-urlencoded", "multipart/form-data",
		"text/plain"
	};
	struct span name = name_of(line), type, rest;

	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (span_caseeq(name, span_of(always[i])))
			return true;
	rest = span_skip(span_of(line), name.n + 1);
	if (!span_caseeq(name, SPAN("Content-Type")) ||
	    !span_cut(&rest, ';', &type))
		return false;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (span_caseeq(span_trim(type), span_of(types[i])))
			return true;
	return false;
}

/* "amp-email-sender,x-other": what a page would have to ask for. */
static char *
asked_headers(struct arena *a, const struct probe_aim *aim)
{
	char *out =
	    JOINED(a, "Access-Control-Request-Headers: ", "amp-email-sender");

	for (const char **h = aim->headers; out != NULL && *h != NULL; h++) {
		char *name = arena_string(a, name_of(*h));

		if (is_safe(*h) || name == NULL)
			continue;
		for (char *p = name; *p != '\0'; p++)
			*p = span_lower(*p);
		out = JOINED(a, out, ",", name);
	}
	return out;
}

/* Header lines on their way into a request. */
struct headers {
	const char **to;
	size_t n;
	struct arena *a;
};

static void
add(struct headers *l, const char *name, const char *value)
{
	if (value != NULL)
		l->to[l->n++] = JOINED(l->a, name, ": ", value);
}

/* What the user wants to go along, and what is usual without it. */
static void
add_usual(struct headers *l, const struct probe_aim *aim, bool data)
{
	if (!has_header(aim->headers, "Accept"))
		add(l, "Accept", "application/json");
	if (!has_header(aim->headers, "User-Agent"))
		add(l, "User-Agent", "amp-cors/" VERSION " (probe)");
	/* what Gmail sends, whatever the form says */
	if (data && !has_header(aim->headers, "Content-Type"))
		add(l, "Content-Type", "application/x-www-form-urlencoded");
	for (const char **h = aim->headers; *h != NULL; h++)
		l->to[l->n++] = *h;
}

static const char **
make_headers(struct arena *a, const struct probe_aim *aim,
    const struct row *row, const char *const texts[TEXTS])
{
	enum { OURS = 9 }; /* at most, and the NULL behind them */
	size_t n = 0;
	struct headers l = { .a = a };

	while (aim->headers[n] != NULL)
		n++;
	l.to = arena_alloc(a, (n + OURS) * sizeof(*l.to));
	if (l.to == NULL)
		return NULL;
	add(&l, "Origin", texts[row->origin]);
	add(&l, "AMP-Email-Sender", texts[row->sender[0]]);
	add(&l, "AMP-Email-Sender", texts[row->sender[1]]);
	if (row->preflight) {
		/* a browser sends nothing of a request's own with it */
		add(&l, "Access-Control-Request-Method", aim->method);
		l.to[l.n++] = asked_headers(a, aim);
		add(&l, "User-Agent", "amp-cors/" VERSION " (probe)");
	} else
		add_usual(&l, aim, strcmp(aim->method, "POST") == 0);
	return l.to;
}

static const char *
make_url(struct arena *a, const char *url, const struct row *row,
    const char *const texts[TEXTS])
{
	const char *out =
	    arena_string(a, (struct span){ url, strcspn(url, "#") });

	for (size_t i = 0; out != NULL && i < 2; i++)
		if (texts[row->source[i]] != NULL)
			out = probe_plan_url(a, out,
			    i == 1 && row->twin ? TWIN : PARAMETER,
			    texts[row->source[i]]);
	return out;
}

static enum probe_place
place_of(const struct row *row)
{
	if (row->bad == NOTHING)
		return PROBE_NOWHERE;
	if (row->bad == row->origin)
		return PROBE_IN_ORIGIN;
	return row->sender[0] != NOTHING ? PROBE_IN_SENDER : PROBE_IN_SOURCE;
}

static struct probe_request
make(struct arena *a, const struct probe_aim *aim, const struct row *row,
    const char *const texts[TEXTS])
{
	bool listed = row->source[0] == LISTED || row->source[1] == LISTED ||
	    row->source[0] == INJECTING || row->sender[0] == LISTED ||
	    row->sender[1] == LISTED;

	return (struct probe_request){
		.name = row->name,
		.what = row->what,
		.who = row->who,
		.preflight = row->preflight,
		.insist = aim->insist,
		.method = row->preflight ? "OPTIONS" : aim->method,
		.url = make_url(a, aim->url, row, texts),
		.headers = make_headers(a, aim, row, texts),
		.data = !row->preflight && strcmp(aim->method, "POST") == 0,
		.origin = texts[row->origin],
		.source = texts[row->source[0]],
		.sender = texts[row->sender[0]],
		.listed = listed ? texts[LISTED] : NULL,
		.bad = texts[row->bad],
		.place = place_of(row),
	};
}

static const char *
playground_sender(const char *origin)
{
	enum { N = sizeof(playgrounds) / sizeof(playgrounds[0]) };

	for (size_t i = 0; i < N; i++)
		if (strcmp(origin, playgrounds[i].origin) == 0)
			return playgrounds[i].sender;
	return NULL;
}

/* https://mail.google.com becomes https://evilmail.google.com. */
static char *
ends_so(struct arena *a, const char *origin)
{
	const char *host = strstr(origin, "://");
	char *scheme;

	if (host == NULL)
		return JOINED(a, "https://evil", origin);
	host += strlen("://");
	scheme = arena_string(a, (struct span){ origin, host - origin });
	return scheme == NULL ? NULL : JOINED(a, scheme, "evil", host);
}

struct probe_request *
probe_plan(struct arena *a, const struct probe_aim *aim, size_t *n)
{
	const char *const texts[TEXTS] = {
		[LISTED] = aim->sender,
		[STRANGER] = "stranger@amp-cors-probe.invalid",
		[INJECTING] =
		    JOINED(a, aim->sender, "\r\n" PROBE_INJECTED ": injected"),
		[INJECTED] = PROBE_INJECTED,
		[ORIGIN] = aim->origin,
		[ELSEWHERE] = "https://amp-cors-probe.invalid",
		[LONGER] = JOINED(a, aim->origin, ".evil.invalid"),
		[EVIL] = ends_so(a, aim->origin),
		[NULL_] = "null",
		[BROWSER] = aim->browser_origin,
		[PLAYGROUND] = playground_sender(aim->browser_origin),
	};
	struct probe_request *out = arena_alloc(a, ROWS * sizeof(*out));

	*n = 0;
	for (size_t i = 0; out != NULL && i < ROWS; i++)
		if (rows[i].source[0] != PLAYGROUND ||
		    texts[PLAYGROUND] != NULL)
			out[(*n)++] = make(a, aim, &rows[i], texts);
	return a->failed ? NULL : out;
}
