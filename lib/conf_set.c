#include "conf_set.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>

#include "conf_risk.h"
#include "io.h"
#include "lists.h"

/* Every setter has the same parameters; not all of them use each. */
#define UNUSED(x) ((void)(x))

static void
refuse(struct conf_reader *r, const struct conf_key *k,
    const struct conf_entry *e, struct span word, const char *expected)
{
	if (word.n == 0)
		conf_faults_error(r->faults, FAULT_BAD_VALUE, NULL,
		    conf_keys_at(e, word), expected, "%s has no value",
		    k->name);
	else
		conf_faults_error(r->faults, FAULT_BAD_VALUE, NULL,
		    conf_keys_at(e, word), expected, "'%.*s' is no value of %s",
		    CONF_WORD(word), k->name);
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return span_lower(c) >= 'a' && span_lower(c) <= 'z';
}

static bool
in_set(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static bool
has_blank(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (in_set(s.p[i], " \t,"))
			return true;
	return false;
}

/* span_number() but for leading zeros, which others take for octal. */
static bool
read_number(struct span s, uint64_t max, uint64_t *out)
{
	if (s.n > 1 && s.p[0] == '0')
		return false;
	return span_number(s, max, out);
}

static bool
number_between(struct conf_reader *r, const struct conf_key *k,
    const struct conf_entry *e, uint64_t *out)
{
	char expected[128];

	if (read_number(e->value, k->max, out) && *out >= k->min)
		return true;
	snprintf(expected, sizeof(expected),
	    "write %s from %" PRIu64 " to %" PRIu64 ", in digits alone",
	    k->word[0], k->min, k->max);
	refuse(r, k, e, e->value, expected);
	return false;
}

CONF_SET(number)
{
	uint64_t n;

	if (number_between(r, k, e, &n))
		*(unsigned *)(void *)((char *)d + k->offset) = (unsigned)n;
}

/* Access-Control-Max-Age goes out as it was written. */
CONF_SET(max_age)
{
	uint64_t n;

	if (number_between(r, k, e, &n))
		d->endpoint.policy.max_age = e->value;
}

static const char size_units[] = "KMG";

static bool
read_size(struct span s, uint64_t max, uint64_t *out)
{
	const char *unit = s.n > 0 ? strchr(size_units, s.p[s.n - 1]) : NULL;
	unsigned shift = 0;

	if (unit != NULL && *unit != '\0') {
		shift = 10 * (unsigned)(unit - size_units + 1);
		s.n--;
	}
	if (!read_number(s, max >> shift, out))
		return false;
	*out <<= shift;
	return true;
}

static void
write_size(uint64_t size, char *out, size_t room)
{
	unsigned unit = 0;

	while (unit < 3 && size > 0 && size % 1024 == 0) {
		size /= 1024;
		unit++;
	}
	snprintf(out, room, "%" PRIu64 "%.1s", size, &"\0KMG"[unit]);
}

static bool
size_between(struct conf_reader *r, const struct conf_key *k,
    const struct conf_entry *e, uint64_t *out)
{
	char expected[128], min[24], max[24];

	if (read_size(e->value, k->max, out) && *out >= k->min)
		return true;
	write_size(k->min, min, sizeof(min));
	write_size(k->max, max, sizeof(max));
	snprintf(expected, sizeof(expected),
	    "write bytes from %s to %s, in digits with K, M or G behind them "
	    "or nothing",
	    min, max);
	refuse(r, k, e, e->value, expected);
	return false;
}

CONF_SET(size)
{
	uint64_t n;

	if (size_between(r, k, e, &n))
		*(uint64_t *)(void *)((char *)d + k->offset) = n;
}

CONF_SET(max_header)
{
	uint64_t n;

	if (size_between(r, k, e, &n))
		d->endpoint.limits.max_header = (size_t)n;
}

static bool
read_choice(struct conf_reader *r, const struct conf_key *k,
    const struct conf_entry *e, bool *out)
{
	char expected[80];

	for (int i = 0; i < 2; i++) {
		if (span_eq(e->value, span_of(k->word[i]))) {
			*out = i == 1;
			return true;
		}
	}
	snprintf(expected, sizeof(expected), "write %s or %s", k->word[1],
	    k->word[0]);
	refuse(r, k, e, e->value, expected);
	return false;
}

CONF_SET(choice)
{
	read_choice(r, k, e, (bool *)((char *)d + k->offset));
}

CONF_SET(exec_mode)
{
	bool replace;

	if (!read_choice(r, k, e, &replace))
		return;
	if (replace && r->use != CONF_FOR_CGI)
		conf_faults_error(r->faults, FAULT_EXEC_MODE, NULL, e->value_at,
		    "write filter, or use this file for CGI alone",
		    "exec_mode = replace in a FastCGI server");
	else
		d->endpoint.replace = replace;
}

CONF_SET(log_format)
{
	bool json;

	if (read_choice(r, k, e, &json))
		d->server.log_format = json ? LOGLINE_JSON : LOGLINE_TEXT;
}

/* The index of value in a list of words that ends in NULL; -1: in none. */
static int
word_index(struct span value, const char *const words[])
{
	for (int i = 0; words[i] != NULL; i++)
		if (span_eq(value, span_of(words[i])))
			return i;
	return -1;
}

CONF_SET(log_level)
{
	static const char *const words[] = { "error", "warning", "info",
		"debug", NULL };
	static const int levels[] = { LOG_ERR, LOG_WARNING, LOG_INFO,
		LOG_DEBUG };
	int i = word_index(e->value, words);

	if (i == -1)
		refuse(r, k, e, e->value,
		    "write error, warning, info or debug");
	else
		d->server.log_level = levels[i];
}

CONF_SET(log_senders)
{
	static const char *const words[] = { "full", "domain", "none", NULL };
	static const enum logline_senders how[] = { LOGLINE_FULL,
		LOGLINE_DOMAIN, LOGLINE_NONE };
	int i = word_index(e->value, words);

	if (i == -1)
		refuse(r, k, e, e->value, "write full, domain or none");
	else
		d->server.log_senders = how[i];
}

CONF_SET(sandbox)
{
	static const char *const words[] = { "auto", "on", "off", NULL };
	static const enum conf_sandbox how[] = { CONF_SANDBOX_AUTO,
		CONF_SANDBOX_ON, CONF_SANDBOX_OFF };
	int i = word_index(e->value, words);

	if (i == -1)
		refuse(r, k, e, e->value, "write auto, on or off");
	else
		d->server.sandbox = how[i];
}

/* A copy that ends in NUL, as C's and the system's functions want it. */
static const char *
text_of(struct conf_reader *r, struct span s)
{
	return arena_string(r->arena, s);
}

static bool
is_known(const char *what, const char *name)
{
	uid_t uid;
	gid_t gid;

	return *what == 'g' ? io_group(name, &gid) : io_user(name, &uid, &gid);
}

CONF_SET(account)
{
	const char **to = (const char **)(void *)((char *)d + k->offset);

	for (size_t i = 0; i < e->value.n; i++) {
		char c = e->value.p[i];

		if (!is_letter(c) && !is_digit(c) && c != '_' &&
		    (i == 0 || !in_set(c, ".-"))) {
			refuse(r, k, e, e->value, "write one name or number");
			return;
		}
	}
	*to = e->value.n == 0 ? NULL : text_of(r, e->value);
	/* in CGI nobody becomes anybody */
	if (*to != NULL && r->use == CONF_FOR_SERVER &&
	    !is_known(k->word[0], *to))
		conf_faults_error(r->faults, FAULT_NO_ACCOUNT, NULL,
		    e->value_at, "name one that there is",
		    "%s = %s: there is no such %s", k->name, *to, k->word[0]);
}

/* What is wrong with an endpoint's path; NULL: nothing. */
static const char *
path_fault(struct span path)
{
	struct span segment;

	if (path.p[0] != '/')
		return "write a path of URLs that begins with '/'";
	if (path.p[path.n - 1] == '/')
		return "leave out the last '/'; no value at all guards every "
		       "path";
	path = span_skip(path, 1);
	while (span_cut(&path, '/', &segment))
		if (segment.n == 0 || span_eq(segment, SPAN(".")) ||
		    span_eq(segment, SPAN("..")))
			return "write it without '//', '.' and '..'";
	return NULL;
}

CONF_SET(path)
{
	const char *expected = e->value.n == 0 ? NULL : path_fault(e->value);

	for (size_t i = 0; i < e->value.n && expected == NULL; i++)
		if (in_set(e->value.p[i], "?*"))
			expected = "write a plain path, without a pattern or "
				   "a query; it guards what lies below it too";
	/* a bad path is nobody's twin */
	d->endpoint.path = expected == NULL ? text_of(r, e->value) : NULL;
	if (expected != NULL)
		refuse(r, k, e, e->value, expected);
}

/* The words themselves are put into a list when it is known for whom. */
CONF_SET(senders)
{
	struct span rest = e->value, word;
	struct rules_rule rule;

	UNUSED(d);
	while (span_word(&rest, &word))
		if (!rules_parse(word, true, &rule))
			conf_faults_error(r->faults, FAULT_BAD_RULE, NULL,
			    conf_keys_at(e, word), lists_expected(word),
			    "'%.*s' is no rule of %s", CONF_WORD(word),
			    k->name);
}

CONF_SET(senders_file)
{
	struct span rest = e->value, word;

	UNUSED(d);
	while (span_word(&rest, &word))
		if (word.p[0] != '/')
			refuse(r, k, e, word,
			    "write absolute paths of files, which hold neither "
			    "a blank nor a comma");
}

/*
 * An origin as a browser would write it, from one as people do; false where
 * none can be made of it.
 */
static bool
origin_mend(struct span word, char *out, size_t size)
{
	const char *scheme =
	    memmem(word.p, word.n, "://", 3) == NULL ? "https://" : "";
	int n = snprintf(out, size, "%s%.*s", scheme, (int)word.n, word.p);
	struct span host, port;
	char *slash;

	if (n < 0 || (size_t)n >= size)
		return false;
	if (span_caseeq(word, SPAN("null"))) {
		snprintf(out, size, "null");
		return true;
	}
	for (char *p = out; *p != '\0'; p++)
		*p = span_lower(*p);
	host = span_of(strstr(out, "://") + 3);
	slash = memchr(host.p, '/', host.n);
	if (slash != NULL)
		*slash = '\0';
	host = span_of(host.p);
	port =
	    span_of(span_starts(span_of(out), SPAN("https:")) ? ":443" : ":80");
	if (host.n > port.n && span_eq(span_skip(host, host.n - port.n), port))
		out[strlen(out) - port.n] = '\0';
	return origin_rule_valid(span_of(out));
}

static void
refuse_origin(struct conf_reader *r, const struct conf_key *k,
    const struct conf_entry *e, struct span word)
{
	char mended[ORIGIN_MAX + 16], expected[ORIGIN_MAX + 160];

	if (origin_mend(word, mended, sizeof(mended)))
		snprintf(expected, sizeof(expected),
		    "write %s: an origin has a scheme and a host in lower "
		    "case, and neither a path, a last '/' nor the default port",
		    mended);
	else
		snprintf(expected, sizeof(expected),
		    "write https://host, https://*.host, * or null, the host "
		    "in ASCII (xn--)");
	conf_faults_error(r->faults, FAULT_BAD_ORIGIN, NULL,
	    conf_keys_at(e, word), expected, "'%.*s' is no rule of %s",
	    CONF_WORD(word), k->name);
}

static size_t
count_words(struct span value)
{
	struct span word;
	size_t n = 0;

	while (span_word(&value, &word))
		n++;
	return n;
}

/* The words of a value; NULL where there are none or memory is out. */
static struct span *
words_of(struct conf_reader *r, struct span value, size_t *n)
{
	struct span word, *words;
	size_t i = 0;

	*n = count_words(value);
	words = *n == 0 ? NULL : arena_alloc(r->arena, *n * sizeof(*words));
	if (words == NULL)
		*n = 0;
	while (i < *n && span_word(&value, &word))
		words[i++] = word;
	return words;
}

static struct span *
origins_of(struct conf_reader *r, const struct conf_key *k,
    const struct conf_entry *e, size_t *n)
{
	struct span rest = e->value, word;

	while (span_word(&rest, &word))
		if (!origin_rule_valid(word))
			refuse_origin(r, k, e, word);
	return words_of(r, e->value, n);
}

CONF_SET(origins)
{
	struct policy *p = &d->endpoint.policy;

	p->origins = origins_of(r, k, e, &p->norigins);
}

CONF_SET(browser_origins)
{
	struct policy *p = &d->endpoint.policy;

	p->browser_origins = origins_of(r, k, e, &p->nbrowser_origins);
}

CONF_SET(versions)
{
	struct span rest = e->value, word;
	unsigned versions = 0;

	while (span_word(&rest, &word)) {
		if (span_eq(word, SPAN("1")))
			versions |= POLICY_VERSION_1;
		else if (span_eq(word, SPAN("2")))
			versions |= POLICY_VERSION_2;
		else
			refuse(r, k, e, word, "write 1, 2 or both");
	}
	if (count_words(e->value) == 0)
		refuse(r, k, e, rest, "write 1, 2 or both");
	d->endpoint.policy.versions = versions;
}

/* RFC 9110 5.6.2 */
static bool
is_token(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_letter(s.p[i]) && !is_digit(s.p[i]) &&
		    !in_set(s.p[i], "!#$%&'*+-.^_`|~"))
			return false;
	return s.n > 0;
}

static bool
is_listed(struct span list, struct span word)
{
	struct span other;

	while (span_word(&list, &other))
		if (span_caseeq(other, word))
			return true;
	return false;
}

static void
append(char *to, size_t *n, struct span s)
{
	if (s.n > 0)
		memcpy(to + *n, s.p, s.n);
	*n += s.n;
}

/* first, then each word of value that is not yet there, as a field's value. */
static struct span
join(struct conf_reader *r, struct span first, struct span value)
{
	/* a word of one byte and its separator become three */
	char *text = arena_alloc(r->arena, first.n + 3 * value.n + 2);
	struct span word;
	size_t n = 0;

	if (text == NULL)
		return SPAN("");
	append(text, &n, first);
	while (span_word(&value, &word)) {
		if (is_listed((struct span){ text, n }, word))
			continue;
		if (n > 0)
			append(text, &n, SPAN(", "));
		append(text, &n, word);
	}
	return (struct span){ text, n };
}

static void
refuse_method(struct conf_reader *r, const struct conf_key *k,
    const struct conf_entry *e, struct span word)
{
	char upper[40], expected[80];
	size_t n = word.n < sizeof(upper) ? word.n : sizeof(upper) - 1;

	for (size_t i = 0; i < n; i++)
		upper[i] = is_letter(word.p[i]) ?
		    (char)(span_lower(word.p[i]) - 'a' + 'A') :
		    word.p[i];
	upper[n] = '\0';
	if (is_token(word) && !span_eq(word, SPAN("*")))
		snprintf(expected, sizeof(expected),
		    "write %s: methods are told apart by case", upper);
	else
		snprintf(expected, sizeof(expected),
		    "write methods by name, such as GET POST");
	refuse(r, k, e, word, expected);
}

static bool
has_lower(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= 'a' && s.p[i] <= 'z')
			return true;
	return false;
}

CONF_SET(methods)
{
	struct span rest = e->value, word;

	while (span_word(&rest, &word))
		if (!is_token(word) || has_lower(word) ||
		    span_eq(word, SPAN("*")))
			refuse_method(r, k, e, word);
	if (count_words(e->value) == 0)
		refuse(r, k, e, rest, "write methods, such as GET POST");
	d->endpoint.policy.allow_methods = join(r, SPAN(""), e->value);
}

static void
check_names(struct conf_reader *r, const struct conf_key *k,
    const struct conf_entry *e, struct span never)
{
	struct span rest = e->value, word;

	while (span_word(&rest, &word)) {
		if (span_eq(word, SPAN("*")))
			refuse(r, k, e, word, "name each header field");
		else if (!is_token(word))
			refuse(r, k, e, word,
			    "write names of header fields, such as X-Request");
		else if (span_caseeq(word, never))
			refuse(r, k, e, word,
			    "leave it out: a mail client reads it, and no page "
			    "may");
	}
}

CONF_SET(request_headers)
{
	check_names(r, k, e, (struct span){ 0 });
	d->endpoint.policy.allow_headers =
	    join(r, SPAN("AMP-Email-Sender, Content-Type"), e->value);
}

CONF_SET(expose_headers)
{
	struct policy *p = &d->endpoint.policy;

	check_names(r, k, e, SPAN("AMP-Email-Allow-Sender"));
	p->expose = join(r, SPAN(""), e->value);
	p->expose_v1 =
	    join(r, SPAN("AMP-Access-Control-Allow-Source-Origin"), e->value);
}

CONF_SET(accept_risk)
{
	struct span rest = e->value, word;
	unsigned risks = 0;

	while (span_word(&rest, &word)) {
		unsigned risk = conf_risk_named(word);

		if (risk == 0)
			refuse(r, k, e, word,
			    "write any-sender, public-suffix, free-mail, "
			    "any-origin, null-origin or http-origin");
		risks |= risk;
	}
	d->risks = risks;
}

/*
 * The handler's kind: this one, or none of this kind where the value is
 * empty.  Whatever was chosen before, as by [policy], is replaced [SPEC 4.1].
 */
static void
choose(struct conf_endpoint *p, enum conf_handler kind,
    const struct conf_entry *e)
{
	if (e->value.n > 0)
		p->handler = kind;
	else if (p->handler == kind)
		p->handler = CONF_HANDLER_UNSET;
}

CONF_SET(exec)
{
	struct conf_endpoint *p = &d->endpoint;

	if (e->value.n == 0) {
		p->exec = NULL;
	} else if (e->value.p[0] != '/') {
		refuse(r, k, e, e->value, "write an absolute path");
		return;
	} else if (has_blank(e->value)) {
		refuse(r, k, e, e->value,
		    "write the path of a program alone, without arguments, "
		    "blanks or commas; a script or a link can stand for it");
		return;
	} else {
		p->exec = text_of(r, e->value);
	}
	choose(p, CONF_HANDLER_EXEC, e);
}

/* The directory with its links resolved; NULL with what is wrong with it. */
static const char *
resolve(struct conf_reader *r, struct span value, const char **fault)
{
	const char *text = text_of(r, value), *copy;
	char *real = text == NULL ? NULL : realpath(text, NULL);
	struct stat st;

	*fault = NULL;
	if (real == NULL || stat(real, &st) == -1)
		*fault = strerror(errno);
	else if (!S_ISDIR(st.st_mode))
		*fault = "not a directory";
	copy = *fault == NULL ? text_of(r, span_of(real)) : NULL;
	free(real);
	return copy;
}

CONF_SET(scripts)
{
	struct conf_endpoint *p = &d->endpoint;
	const char *fault = NULL;

	if (e->value.n == 0) {
		p->scripts = NULL;
	} else if (e->value.p[0] != '/') {
		refuse(r, k, e, e->value, "write an absolute path");
		return;
	} else {
		p->scripts = resolve(r, e->value, &fault);
	}
	if (fault != NULL)
		conf_faults_error(r->faults, FAULT_NO_DIRECTORY, NULL,
		    e->value_at, "name a directory that is there",
		    "scripts = %.*s: %s", CONF_WORD(e->value), fault);
	choose(p, CONF_HANDLER_SCRIPTS, e);
}

CONF_SET(forward)
{
	struct conf_endpoint *p = &d->endpoint;
	enum conf_listen kind = conf_keys_listen(e->value);

	if (kind == CONF_LISTEN_BAD) {
		refuse(r, k, e, e->value,
		    "write unix:/path of at most 107 bytes, 127.0.0.1:9000 or "
		    "[::1]:9000, in numbers");
		return;
	}
	p->forward = kind == CONF_LISTEN_NONE ? NULL : text_of(r, e->value);
	choose(p, CONF_HANDLER_FORWARD, e);
}

CONF_SET(handler)
{
	if (e->value.n > 0 && !span_eq(e->value, SPAN("none")))
		refuse(r, k, e, e->value,
		    "write none, or name the handler with exec, forward or "
		    "scripts");
	else
		choose(&d->endpoint, CONF_HANDLER_NONE, e);
}

static bool
is_variable(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_letter(s.p[i]) && s.p[i] != '_' &&
		    (i == 0 || !is_digit(s.p[i])))
			return false;
	return s.n > 0;
}

static bool
check_variable(struct conf_reader *r, const struct conf_key *k,
    const struct conf_entry *e, struct span word)
{
	if (!is_variable(word))
		refuse(r, k, e, word,
		    "write names of variables alone, such as TZ LANG");
	else if (span_starts(word, SPAN("HTTP_")) ||
	    span_starts(word, SPAN("AMP_CORS_")))
		refuse(r, k, e, word,
		    "leave it out: HTTP_ and AMP_CORS_ variables come from "
		    "the request alone");
	else
		return true;
	return false;
}

CONF_SET(environment)
{
	size_t n = count_words(e->value), i = 0;
	char **names = arena_alloc(r->arena, (n + 1) * sizeof(*names));
	struct span rest = e->value, word;

	while (names != NULL && span_word(&rest, &word))
		if (check_variable(r, k, e, word))
			names[i++] = arena_string(r->arena, word);
	d->endpoint.environment = names;
}

static enum conf_listen
listen_tcp(struct span host, struct span port)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr six;
	struct in_addr four;
	uint64_t n;

	if (!read_number(port, 65535, &n) || n == 0 ||
	    host.n >= sizeof(text) - 1)
		return CONF_LISTEN_BAD;
	snprintf(text, sizeof(text), "%.*s", (int)host.n, host.p);
	if (inet_pton(AF_INET, text, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127 ? CONF_LISTEN_LOOPBACK :
							 CONF_LISTEN_WORLD;
	if (host.n < 2 || text[0] != '[' || text[host.n - 1] != ']')
		return CONF_LISTEN_BAD;
	text[host.n - 1] = '\0';
	if (inet_pton(AF_INET6, text + 1, &six) != 1)
		return CONF_LISTEN_BAD;
	return IN6_IS_ADDR_LOOPBACK(&six) ? CONF_LISTEN_LOOPBACK :
					    CONF_LISTEN_WORLD;
}

enum conf_listen
conf_keys_listen(struct span address)
{
	struct span path;
	const char *colon;
	size_t host;

	if (address.n == 0)
		return CONF_LISTEN_NONE;
	if (span_starts(address, SPAN("unix:"))) {
		path = span_skip(address, 5);
		return path.n > 1 && path.p[0] == '/' &&
			path.n < sizeof(((struct sockaddr_un *)0)->sun_path) ?
		    CONF_LISTEN_UNIX :
		    CONF_LISTEN_BAD;
	}
	colon = memrchr(address.p, ':', address.n);
	if (colon == NULL)
		return CONF_LISTEN_BAD;
	host = (size_t)(colon - address.p);
	return listen_tcp((struct span){ address.p, host },
	    span_skip(address, host + 1));
}

CONF_SET(listen)
{
	enum conf_listen kind = conf_keys_listen(e->value);

	if (kind == CONF_LISTEN_BAD)
		refuse(r, k, e, e->value,
		    "write unix:/path of at most 107 bytes, 127.0.0.1:9000 or "
		    "[::1]:9000, in numbers");
	else
		d->server.listen =
		    kind == CONF_LISTEN_NONE ? NULL : text_of(r, e->value);
}

CONF_SET(socket_mode)
{
	mode_t mode = 0;
	bool good = e->value.n == 3 || (e->value.n == 4 && *e->value.p == '0');

	for (size_t i = 0; good && i < e->value.n; i++) {
		good = e->value.p[i] >= '0' && e->value.p[i] <= '7';
		mode = mode << 3 | (mode_t)(e->value.p[i] - '0');
	}
	if (good)
		d->server.socket_mode = mode;
	else
		refuse(r, k, e, e->value,
		    "write an octal mode from 0000 to 0777, such as 0660");
}

/* That they fit what is listened on is looked at when both are known. */
CONF_SET(peers)
{
	struct span rest = e->value, word;

	while (span_word(&rest, &word))
		for (size_t i = 0; i < word.n; i++)
			if (!is_letter(word.p[i]) && !is_digit(word.p[i]) &&
			    !in_set(word.p[i], "_.:-")) {
				refuse(r, k, e, word,
				    "write users, or addresses without a port "
				    "or a mask");
				break;
			}
	d->server.peers = words_of(r, e->value, &d->server.npeers);
}

CONF_SET(log)
{
	if (span_eq(e->value, SPAN("stderr")) ||
	    span_eq(e->value, SPAN("syslog")) ||
	    (e->value.n > 1 && e->value.p[0] == '/'))
		d->server.log = text_of(r, e->value);
	else
		refuse(r, k, e, e->value,
		    "write stderr, syslog or the absolute path of a file");
}

/* "url:/path", with the same rules as an endpoint's path, or "file:/path". */
static bool
set_metrics_word(struct conf_reader *r, struct span word, struct conf_server *s)
{
	struct span url = SPAN("url:"), file = SPAN("file:");

	if (span_starts(word, url) && word.n > url.n &&
	    path_fault(span_skip(word, url.n)) == NULL &&
	    memchr(word.p, '?', word.n) == NULL && s->metrics_path == NULL)
		s->metrics_path = text_of(r, span_skip(word, url.n));
	else if (span_starts(word, file) && word.n > file.n + 1 &&
	    word.p[file.n] == '/' && s->metrics_file == NULL)
		s->metrics_file = text_of(r, span_skip(word, file.n));
	else
		return false;
	return true;
}

CONF_SET(metrics)
{
	struct span rest = e->value, word;

	d->server.metrics_path = d->server.metrics_file = NULL;
	if (span_eq(e->value, SPAN("off")))
		return;
	if (count_words(e->value) == 0)
		refuse(r, k, e, e->value, "write off, url:/path or file:/path");
	while (span_word(&rest, &word))
		if (!set_metrics_word(r, word, &d->server))
			refuse(r, k, e, word,
			    "write off, or url:/path of the front's own URLs, "
			    "file:/path of a file, or one of each");
}
