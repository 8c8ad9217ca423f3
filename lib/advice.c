#include "advice.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

/* An endpoint while it is looked at. */
struct view {
	struct remark *r;
	const struct conf *c;
	size_t endpoint;
	const struct conf_endpoint *e;
};

/* Where a key was written, or else where its section begins. */
static struct remark_at
at_key(const struct view *v, const char *key)
{
	struct conf_written w;

	if (conf_written(v->c, v->endpoint, key, &w))
		return (struct remark_at){ NULL, w.at };
	return (struct remark_at){ NULL, conf_place(v->c, v->endpoint) };
}

static bool
names(const struct span *rule, size_t n, struct span origin)
{
	for (size_t i = 0; i < n; i++)
		if (origin_rule_valid(rule[i]) && origin_match(rule[i], origin))
			return true;
	return false;
}

static bool
has_word(const struct span *rule, size_t n, struct span word)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq(rule[i], word))
			return true;
	return false;
}

/* --- versions */

static void
check_versions(const struct view *v)
{
	unsigned versions = v->e->policy.versions;

	if (versions == POLICY_VERSION_1)
		remark_say(v->r, REMARK_WARNING, FAULT_ONE_VERSION,
		    at_key(v, "versions"),
		    "write versions = 2 1: version 1 is deprecated, and both "
		    "are in use",
		    "versions = 1 refuses whoever sends AMP-Email-Sender, and "
		    "so clients that speak both versions");
	if (versions == POLICY_VERSION_2)
		remark_say(v->r, REMARK_NOTE, FAULT_ONE_VERSION,
		    at_key(v, "versions"),
		    "look into the log or the metrics before: Gmail documents "
		    "version 1",
		    "versions = 2 refuses clients that speak version 1 alone");
}

/* Is one of the origins none?  It may be Gmail's, mistyped. */
static bool
has_bad_origin(const struct view *v)
{
	struct conf_written w;
	struct span word;

	if (!conf_written(v->c, v->endpoint, "origins", &w))
		return false;
	while (span_word(&w.value, &word))
		if (!origin_rule_valid(word))
			return true;
	return false;
}

static void
check_gmail(const struct view *v)
{
	const struct policy *p = &v->e->policy;

	if ((p->versions & POLICY_VERSION_1) != 0 && p->norigins > 0 &&
	    !has_bad_origin(v) &&
	    !names(p->origins, p->norigins, SPAN("https://mail.google.com")))
		remark_say(v->r, REMARK_NOTE, FAULT_NO_GMAIL,
		    at_key(v, "origins"),
		    "add https://mail.google.com; what is written here "
		    "replaces the default",
		    "origins leave Gmail out");
}

/* --- who may read */

static void
check_credentials(const struct view *v)
{
	static const struct span any[] = { { "*", 1 }, { "null", 4 } };
	const struct policy *p = &v->e->policy;

	if (!p->credentials)
		return;
	for (int i = 0; i < 2; i++)
		if (has_word(p->origins, p->norigins, any[i]) ||
		    has_word(p->browser_origins, p->nbrowser_origins, any[i])) {
			remark_say(v->r, REMARK_WARNING, FAULT_CREDENTIALS,
			    at_key(v, "credentials"),
			    "write credentials = no, or name the origins",
			    "credentials = yes with '%.*s' lets pages of "
			    "anybody read what is answered to a reader's "
			    "cookies",
			    (int)any[i].n, any[i].p);
			return;
		}
	if (p->nbrowser_origins == 0 && !p->playground)
		remark_say(v->r, REMARK_NOTE, FAULT_CREDENTIALS,
		    at_key(v, "credentials"),
		    "leave it out: mail clients ask through servers of their "
		    "own, without a reader's cookies",
		    "credentials = yes is for pages in browsers, and there "
		    "are no browser_origins");
}

static void
check_playground(const struct view *v)
{
	if (v->e->policy.playground && v->e->policy.nsenders > 0)
		remark_say(v->r, REMARK_NOTE, FAULT_PLAYGROUND,
		    at_key(v, "playground"),
		    "leave it out when the tests are over, or give them an "
		    "endpoint of their own",
		    "playground = yes beside other senders: everybody can "
		    "ask from the public playgrounds");
}

static void
check_mode(const struct view *v)
{
	if (v->e->policy.report)
		remark_say(v->r, REMARK_WARNING, FAULT_REPORT_MODE,
		    at_key(v, "mode"),
		    "write mode = enforce once the log shows what it should",
		    "mode = report lets through what the policy refuses");
}

/* --- origins */

/* host[:port] behind the scheme and "*."; the scheme with its "://". */
static struct span
host_of(struct span origin, size_t *scheme)
{
	const char *begin = memmem(origin.p, origin.n, "://", 3);
	struct span host;

	*scheme = begin == NULL ? 0 : (size_t)(begin - origin.p) + 3;
	host = span_skip(origin, *scheme);
	if (span_starts(host, SPAN("*.")))
		host = span_skip(host, 2);
	return host;
}

static bool
is_hex(char c)
{
	c = span_lower(c);
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* Digits alone, or "0x" and hexadecimal ones. */
static bool
is_numeric(struct span label)
{
	bool hex = span_starts(label, SPAN("0x"));
	size_t i = hex ? 2 : 0;

	while (i < label.n && is_hex(label.p[i]) && (hex || label.p[i] <= '9'))
		i++;
	return label.n > 0 && i == label.n;
}

/* A host whose last label is a number is an IPv4 address to a browser. */
static bool
ends_in_number(struct span host)
{
	struct span rest = host, label = { NULL, 0 };

	while (span_cut(&rest, '.', &label))
		;
	return is_numeric(label);
}

/* The address that a browser takes a host for; false: for none at all. */
static bool
address_of(struct span host, char out[INET_ADDRSTRLEN])
{
	struct in_addr a;
	char text[64];

	if (host.n >= sizeof(text))
		return false;
	snprintf(text, sizeof(text), "%.*s", (int)host.n, host.p);
	return inet_aton(text, &a) == 1 &&
	    inet_ntop(AF_INET, &a, out, INET_ADDRSTRLEN) != NULL;
}

static void
check_number(const struct view *v, struct remark_at at, struct span word)
{
	char address[INET_ADDRSTRLEN] = "", hint[ORIGIN_MAX + 64];
	size_t scheme;
	struct span host = host_of(word, &scheme), port = host;
	bool below = host.p != word.p + scheme;

	if (host.n == 0 || *host.p == '[')
		return;
	span_cut(&port, ':', &host);
	if (!ends_in_number(host))
		return;
	if (!below && address_of(host, address) &&
	    span_eq(host, span_of(address)))
		return;
	if (below || *address == '\0')
		snprintf(hint, sizeof(hint),
		    "a host that ends in a number is an IPv4 address");
	else
		snprintf(hint, sizeof(hint), "write %.*s%s%s%.*s", (int)scheme,
		    word.p, address, port.p == NULL ? "" : ":",
		    port.p == NULL ? 0 : (int)port.n,
		    port.p == NULL ? "" : port.p);
	remark_say(v->r, REMARK_WARNING, FAULT_ODD_ORIGIN, at, hint,
	    "'%.*s' is no origin that a browser sends", (int)word.n, word.p);
}

static bool
is_playgrounds(struct span word)
{
	return span_eq(word, SPAN("https://amp.gmail.dev")) ||
	    span_eq(word, SPAN("https://playground.amp.dev"));
}

static void
check_client(const struct view *v, struct remark_at at, struct span word)
{
	if (is_playgrounds(word))
		remark_say(v->r, REMARK_WARNING, FAULT_MISPLACED_ORIGIN, at,
		    "take it out, and write playground = yes",
		    "'%.*s' is a public playground's, and speaks here for "
		    "every sender that is allowed",
		    (int)word.n, word.p);
}

static void
check_browser(const struct view *v, struct remark_at at, struct span word)
{
	if (v->e->policy.playground && is_playgrounds(word))
		remark_say(v->r, REMARK_WARNING, FAULT_COVERED_ORIGIN, at,
		    "leave it out", "'%.*s' is covered by playground = yes",
		    (int)word.n, word.p);
	if (span_eq(word, SPAN("https://mail.google.com")))
		remark_say(v->r, REMARK_WARNING, FAULT_MISPLACED_ORIGIN, at,
		    "name it in origins alone",
		    "'%.*s' is a mail client's, and no playground's",
		    (int)word.n, word.p);
}

static void
check_words(const struct view *v, const char *key,
    void (*check)(const struct view *v, struct remark_at at, struct span word))
{
	struct conf_written w;
	struct span rest, word;

	if (!conf_written(v->c, v->endpoint, key, &w))
		return;
	rest = w.value;
	while (span_word(&rest, &word)) {
		struct remark_at at = { NULL, w.at };

		at.place.column += (unsigned)(word.p - w.value.p);
		if (!origin_rule_valid(word))
			continue;
		check_number(v, at, word);
		check(v, at, word);
	}
}

static void
check_browser_origins(const struct view *v)
{
	const struct policy *p = &v->e->policy;

	check_words(v, "browser_origins", check_browser);
	if (p->nbrowser_origins > 0 && p->versions == POLICY_VERSION_1)
		remark_say(v->r, REMARK_WARNING, FAULT_USELESS_KEY,
		    at_key(v, "browser_origins"),
		    "leave it out, or write versions = 2 1",
		    "browser_origins may read answers to version 2 alone, "
		    "which versions leaves out");
}

void
advice_policy(struct remark *r, const struct conf *c)
{
	struct view v = { .r = r, .c = c };
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(c, &ep);

	for (size_t i = 0; i < n; i++) {
		v.endpoint = i;
		v.e = &ep[i];
		check_versions(&v);
		check_gmail(&v);
		check_credentials(&v);
		check_playground(&v);
		check_mode(&v);
		check_words(&v, "origins", check_client);
		check_browser_origins(&v);
	}
}

/* --- the server */

/* Decisions are logged at LOG_INFO. */
static void
check_seen(const struct view *v, const struct conf_server *s)
{
	if (s->log_level < LOG_INFO && s->metrics_path == NULL &&
	    s->metrics_file == NULL)
		remark_say(v->r, REMARK_WARNING, FAULT_UNSEEN,
		    at_key(v, "log_level"),
		    "write log_level = info, or set metrics",
		    "this log_level leaves decisions out, and nothing counts "
		    "them");
}

/* Whoever connects says who the sender is [SPEC 5.4]. */
static void
check_socket(const struct view *v, const struct conf_server *s)
{
	if (s->listen != NULL && strncmp(s->listen, "unix:", 5) == 0 &&
	    (s->socket_mode & S_IWOTH) != 0 && s->npeers == 0)
		remark_say(v->r, REMARK_WARNING, FAULT_OPEN_TO_ALL,
		    at_key(v, "socket_mode"),
		    "write socket_mode = 0660 and set socket_group, or name "
		    "the web server's user in peers",
		    "every user of this machine can connect and name a "
		    "sender");
}

/*
 * The web server hands an endpoint's paths to the front, and so the counters to
 * all who can ask there.  With one endpoint for every path there is no other
 * place for them.  The very path of an endpoint is conf's affair.
 */
static void
check_metrics(const struct view *v, const char *path)
{
	const struct path metrics = { .head = span_of(path) };
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(v->c, &ep), above = n;

	for (size_t i = 0; i < n; i++)
		if (path_is_below(&metrics, ep[i].path) &&
		    (above == n || *ep[above].path == '\0'))
			above = i;
	if (above == n || strcmp(ep[above].path, path) == 0)
		return;
	if (*ep[above].path == '\0')
		remark_say(v->r, REMARK_NOTE, FAULT_METRICS_ENDPOINT,
		    at_key(v, "metrics"),
		    "let the web server guard that path, or write file:",
		    "metrics = url:%s: whoever can ask there is given the "
		    "counters",
		    path);
	else
		remark_say(v->r, REMARK_WARNING, FAULT_METRICS_ENDPOINT,
		    at_key(v, "metrics"),
		    "let the web server guard that path, or name one outside "
		    "of all endpoints",
		    "metrics = url:%s is below %s: whoever can ask this "
		    "endpoint is given the counters",
		    path, ep[above].path);
}

void
advice_server(struct remark *r, const struct conf *c, enum conf_use use)
{
	struct view v = { .r = r, .c = c, .endpoint = CONF_OF_SERVER };

	check_seen(&v, conf_server(c));
	if (use != CONF_FOR_SERVER)
		return;
	check_socket(&v, conf_server(c));
	if (conf_server(c)->metrics_path != NULL)
		check_metrics(&v, conf_server(c)->metrics_path);
}
