#include "conf.h"

#include <iniparser/iniparser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "conf_keys.h"
#include "conf_risk.h"
#include "io.h"
#include "lists.h"
#include "slurp.h"

enum {
	CONF_FILE_MAX = 1 << 20,
	CONF_NAME_MAX = 64,
	CONF_SECTIONS_MAX = 1000 /* iniparser's loading is quadratic */
};

/* One list for one entry and one way to compare local parts. */
struct sender_list {
	struct sender_list *next;
	const struct conf_entry *from;
	bool fold_local;
	struct lists *lists;
};

struct conf {
	struct arena arena;
	dictionary *values; /* most strings and spans point in here */
	struct sender_list *lists;
	struct conf_endpoint *endpoint;
	size_t n;
	struct conf_server server;
};

struct section {
	struct section *next;
	unsigned kind; /* one of enum conf_where */
	struct span name;
	struct scan_place at;
	struct conf_entry *entry[CONF_KEYS_MAX];
};

struct loading {
	struct conf_reader reader;
	struct conf_faults faults;
	struct conf *conf;
	struct section *first, **last, *now; /* now: NULL where it is ignored */
	size_t nsections, nendpoints, nentries;
};

const struct conf_server conf_server_defaults = {
	.socket_mode = 0660,
	.threads = 16,
	.queue = 64,
	.queue_timeout = 10,
	.head_timeout = 10,
	.stop_grace = 30,
	.log = "stderr",
	.log_format = LOGLINE_TEXT,
	.log_level = LOG_INFO,
	.log_senders = LOGLINE_FULL,
};

/* Sections: what scan hands out becomes a tree of sections and keys. */

static void
scan_fault(void *ctx, struct scan_place at, const char *fault,
    const char *expected)
{
	struct loading *l = ctx;

	conf_faults_error(&l->faults, NULL, at, expected, "%s", fault);
}

static void
unknown_section(struct loading *l, const struct scan_entry *e, struct span word)
{
	static const char *const known[] = { "[policy]", "[server]",
		"[endpoint NAME]" };
	static const char *const names[] = { "policy", "server", "endpoint" };
	const char *near = NULL;
	char expected[80];

	for (int i = 0; i < 3; i++)
		if (conf_keys_distance(word, span_of(names[i])) <= 2)
			near = known[i];
	if (near == NULL)
		near = "[policy], [server] or [endpoint NAME]";
	snprintf(expected, sizeof(expected), "write %s", near);
	conf_faults_error(&l->faults, NULL, e->at, expected,
	    "unknown section [%.*s]", CONF_WORD(e->section));
}

static bool
endpoint_name_good(struct loading *l, const struct scan_entry *e,
    struct span name)
{
	bool good = name.n > 0 && name.n <= CONF_NAME_MAX && name.p[0] != '.' &&
	    name.p[0] != '-' && name.p[0] != '_';

	for (size_t i = 0; good && i < name.n; i++)
		good = name.p[i] != ' ' && name.p[i] == span_lower(name.p[i]);
	if (!good)
		conf_faults_error(&l->faults, NULL, e->at,
		    "write [endpoint NAME], NAME at most 64 lower-case "
		    "letters, digits, '.', '_' and '-', a letter or a digit "
		    "first",
		    "'%.*s' is no name of an endpoint", CONF_WORD(name));
	return good;
}

/* Which kind of section, and an endpoint's name; 0: none, which is reported. */
static unsigned
section_kind(struct loading *l, const struct scan_entry *e, struct span *name)
{
	struct span rest = e->section, word;

	*name = SPAN("");
	if (span_caseeq(e->section, SPAN("policy")))
		return CONF_IN_POLICY;
	if (span_caseeq(e->section, SPAN("server")))
		return CONF_IN_SERVER;
	if (!span_word(&rest, &word) || !span_caseeq(word, SPAN("endpoint"))) {
		unknown_section(l, e, word);
		return 0;
	}
	*name = span_trim(rest);
	return endpoint_name_good(l, e, *name) ? CONF_IN_ENDPOINT : 0;
}

static struct section *
section_find(const struct loading *l, unsigned kind, struct span name)
{
	struct section *s = l->first;

	while (s != NULL && (s->kind != kind || !span_eq(s->name, name)))
		s = s->next;
	return s;
}

static struct section *
section_add(struct loading *l, const struct scan_entry *e, unsigned kind,
    struct span name)
{
	struct section *s;

	if (l->nsections == CONF_SECTIONS_MAX) {
		conf_faults_error(&l->faults, NULL, e->at,
		    "use more than one policy file", "more than %d sections",
		    CONF_SECTIONS_MAX);
		return NULL;
	}
	s = arena_alloc(l->reader.arena, sizeof(*s));
	if (s == NULL)
		return NULL;
	*s = (struct section){ .kind = kind, .name = name, .at = e->at };
	*l->last = s;
	l->last = &s->next;
	l->nsections++;
	l->nendpoints += kind == CONF_IN_ENDPOINT;
	return s;
}

static void
take_section(struct loading *l, const struct scan_entry *e)
{
	struct span name;
	unsigned kind = section_kind(l, e, &name);
	char expected[80];

	l->now = kind == 0 ? NULL : section_find(l, kind, name);
	if (l->now != NULL) {
		snprintf(expected, sizeof(expected),
		    "put its keys into the one of line %u", l->now->at.line);
		conf_faults_error(&l->faults, NULL, e->at, expected,
		    "a second section [%.*s]", CONF_WORD(e->section));
	} else if (kind != 0) {
		l->now = section_add(l, e, kind, name);
	}
}

/* Where a key is at home. */
static const char *
home_of(const struct conf_key *k)
{
	return k->where == CONF_IN_SERVER ? " of [server]" :
	    k->where == CONF_IN_ENDPOINT  ? " of [endpoint NAME]" :
					    " of [policy] or [endpoint NAME]";
}

static void
unknown_key(struct loading *l, const struct scan_entry *e)
{
	const struct conf_key *near = conf_keys_near(e->key);
	char expected[80];

	if (near != NULL)
		snprintf(expected, sizeof(expected), "did you mean %s%s?",
		    near->name,
		    (near->where & l->now->kind) != 0 ? "" : home_of(near));
	else
		snprintf(expected, sizeof(expected),
		    "amp-cors.ini(5) lists the keys");
	conf_faults_error(&l->faults, NULL, e->at, expected,
	    "unknown key '%.*s'", CONF_WORD(e->key));
}

static void
misplaced_key(struct loading *l, const struct scan_entry *e,
    const struct conf_key *k)
{
	char expected[80];

	snprintf(expected, sizeof(expected), "it is a key%s", home_of(k));
	conf_faults_error(&l->faults, NULL, e->at, expected,
	    "misplaced key '%s' in [%.*s]", k->name, CONF_WORD(e->section));
}

static void
repeated_key(struct loading *l, const struct scan_entry *e,
    const struct conf_key *k, const struct conf_entry *first)
{
	char expected[80];

	snprintf(expected, sizeof(expected), "write it once; line %u has it",
	    first->at.line);
	conf_faults_error(&l->faults, NULL, e->at, expected,
	    "repeated key '%s'", k->name);
}

static void
take_key(struct loading *l, const struct scan_entry *e)
{
	size_t id = conf_keys_find(e->key);
	struct conf_entry *new;

	if (l->now == NULL)
		return;
	if (id == conf_keys_n) {
		unknown_key(l, e);
	} else if ((conf_keys[id].where & l->now->kind) == 0) {
		misplaced_key(l, e, &conf_keys[id]);
	} else if (l->now->entry[id] != NULL) {
		repeated_key(l, e, &conf_keys[id], l->now->entry[id]);
	} else {
		new = arena_alloc(l->reader.arena, sizeof(*new));
		if (new == NULL)
			return;
		*new = (struct conf_entry){ .key = e->key,
			.value = e->value,
			.at = e->at,
			.value_at = e->value_at };
		l->now->entry[id] = new;
		l->nentries++;
	}
}

static void
take_file(struct loading *l, struct span file)
{
	struct scan scan;
	struct scan_entry e;

	scan_init(&scan, file, scan_fault, l);
	while (scan_next(&scan, &e)) {
		if (e.kind == SCAN_SECTION)
			take_section(l, &e);
		else
			take_key(l, &e);
	}
}

/* iniparser: its dictionary gives the values. */

static int
say_nothing(const char *format, ...)
{
	(void)format;
	return 0;
}

/* The dictionary's name of a key: "section:key", all in lower case. */
static bool
dictionary_name(const struct section *s, size_t id, char *out, size_t size)
{
	const char *kind = s->kind == CONF_IN_POLICY ? "policy" :
	    s->kind == CONF_IN_SERVER                ? "server" :
						       "endpoint ";
	int n = snprintf(out, size, "%s%.*s:%s", kind, (int)s->name.n,
	    s->name.p, conf_keys[id].name);

	return n > 0 && (size_t)n < size;
}

/* Takes the dictionary's value, which must be the one that scan saw. */
static bool
take_value(dictionary *d, const struct section *s, size_t id)
{
	char name[CONF_NAME_MAX + 64];
	const char *value = NULL;

	if (dictionary_name(s, id, name, sizeof(name)))
		value = iniparser_getstring(d, name, NULL);
	if (!span_eq(span_of(value), s->entry[id]->value))
		return false;
	s->entry[id]->value = span_of(value);
	return true;
}

static bool
take_values(struct loading *l, dictionary *d)
{
	if (d == NULL || d->n < 0 || (size_t)d->n != l->nsections + l->nentries)
		return false;
	for (const struct section *s = l->first; s != NULL; s = s->next)
		for (size_t i = 0; i < conf_keys_n; i++)
			if (s->entry[i] != NULL && !take_value(d, s, i))
				return false;
	return true;
}

/*
 * iniparser 4.1 opens the file itself, by its name.  A descriptor of ours could
 * be handed over as /proc/self/fd/N, but not where /proc is missing; so it may
 * read the file again, and every name and value must then be what scan saw in
 * the bytes that were checked.  That holds against a file that was exchanged in
 * between, and against anything that scan and iniparser would read differently.
 *
 * The error callback is the whole process's: policies are loaded by one thread.
 */
static void
read_values(struct loading *l)
{
	iniparser_set_error_callback(say_nothing);
	l->conf->values = iniparser_load(l->faults.file);
	iniparser_set_error_callback(NULL);
	if (!take_values(l, l->conf->values))
		conf_faults_error(&l->faults, NULL, (struct scan_place){ 0 },
		    "leave it alone while it is loaded",
		    "the file changed while it was read, or memory is out");
}

/* Lists of senders. */

static void
list_fault(void *ctx, const char *file, unsigned line, unsigned column,
    const char *fault, const char *expected)
{
	struct loading *l = ctx;

	conf_faults_error(&l->faults, file, (struct scan_place){ line, column },
	    expected, "%s", fault);
}

/* A word that is no rule has been reported when the key was read. */
static bool
add_rule(struct loading *l, const struct conf_entry *e, struct span word,
    struct lists *to)
{
	enum lists_result result =
	    lists_add(to, word, l->faults.file, e->at.line);

	if (result == LISTS_NO_MEMORY)
		l->reader.arena->failed = true;
	return result == LISTS_OK;
}

/* False where memory is out or a rule or a file is bad; it is reported. */
static bool
fill_list(struct loading *l, const struct conf_entry *e, bool files,
    struct lists *to)
{
	struct span rest = e->value, word;
	const char *file;
	bool good = true;

	while (span_word(&rest, &word)) {
		if (!files) {
			good &= add_rule(l, e, word, to);
			continue;
		}
		file = arena_string(l->reader.arena, word);
		good &= file != NULL && word.p[0] == '/' &&
		    lists_text(to, file, list_fault, l);
	}
	return good;
}

/* The list of an entry, made when it is first asked for. */
static struct lists *
list_of(struct loading *l, struct conf_entry *e, bool files, bool fold_local)
{
	struct sender_list *s = l->conf->lists;

	while (s != NULL && (s->from != e || s->fold_local != fold_local))
		s = s->next;
	if (s != NULL)
		return s->lists;
	/* once is enough to report a bad one */
	if (e->list_failed)
		return NULL;
	s = arena_alloc(l->reader.arena, sizeof(*s));
	if (s == NULL)
		return NULL;
	*s = (struct sender_list){ .next = l->conf->lists,
		.from = e,
		.fold_local = fold_local,
		.lists = lists_new(fold_local) };
	l->conf->lists = s;
	if (s->lists == NULL)
		l->reader.arena->failed = true;
	else
		e->list_failed = !fill_list(l, e, files, s->lists);
	return s->lists;
}

/* Looks once for each risk of each entry. */
static unsigned
risks_left(struct conf_entry *e, unsigned accepted)
{
	unsigned left = ~(accepted | e->risks_seen);

	e->risks_seen |= left;
	return left;
}

/* Adds the list behind one key; its number of rules. */
static size_t
add_source(struct loading *l, struct conf_draft *d, enum conf_key_id key,
    bool check_risks, struct rules_source to[])
{
	struct policy *p = &d->endpoint.policy;
	struct conf_entry *e = d->from[key];
	struct lists *lists;

	if (e == NULL || e->value.n == 0)
		return 0;
	lists = list_of(l, e, key == CONF_KEY_SENDERS_FILE, p->fold_local);
	if (lists == NULL)
		return 1; /* nothing is known of it: do not warn */
	to[p->nsenders] = lists_source(lists);
	/* plain CGI asks this at each request: spare it where it can */
	if (check_risks && lists_wide(lists))
		conf_risk_senders(&l->reader, e, to[p->nsenders],
		    risks_left(e, d->risks));
	p->nsenders++;
	return lists_count(lists) + e->list_failed;
}

static size_t
add_senders(struct loading *l, struct conf_draft *d, bool check_risks)
{
	struct rules_source *to = arena_alloc(l->reader.arena, 2 * sizeof(*to));
	size_t n;

	if (to == NULL)
		return 1;
	d->endpoint.policy.senders = to;
	n = add_source(l, d, CONF_KEY_SENDERS, check_risks, to);
	return n + add_source(l, d, CONF_KEY_SENDERS_FILE, check_risks, to);
}

/* Endpoints. */

static void
check_origins(struct loading *l, struct conf_draft *d)
{
	static const enum conf_key_id keys[] = { CONF_KEY_ORIGINS,
		CONF_KEY_BROWSER_ORIGINS };

	for (int i = 0; i < 2; i++)
		if (d->from[keys[i]] != NULL)
			conf_risk_origins(&l->reader, d->from[keys[i]],
			    risks_left(d->from[keys[i]], d->risks));
}

/* What can be said only when all keys of an endpoint are known. */
static void
finish_endpoint(struct loading *l, struct conf_draft *d, struct scan_place at)
{
	struct conf_endpoint *e = &d->endpoint;

	/* where there are faults, the senders may stand in a bad line */
	if (add_senders(l, d, true) == 0 && !e->policy.playground &&
	    l->faults.in_file == 0)
		conf_faults_warn(&l->faults, at,
		    "name them in senders or senders_file",
		    "no senders: every request is refused");
	check_origins(l, d);
	l->conf->endpoint[l->conf->n++] = *e;
}

static void
check_two_handlers(struct loading *l, const struct section *s)
{
	static const enum conf_key_id keys[] = { CONF_KEY_EXEC,
		CONF_KEY_FORWARD, CONF_KEY_SCRIPTS, CONF_KEY_HANDLER };
	const struct conf_entry *last = NULL;
	size_t n = 0;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct conf_entry *e = s->entry[keys[i]];

		if (e == NULL || e->value.n == 0)
			continue;
		n++;
		if (last == NULL || e->at.line > last->at.line)
			last = e;
	}
	if (n > 1)
		conf_faults_error(&l->faults, NULL, last->at,
		    "keep one of exec, forward, scripts and handler",
		    "%s handlers in one section", n == 2 ? "two" : "several");
}

static bool
is_own(const struct section *s, struct span key)
{
	return s->entry[conf_keys_find(key)] != NULL;
}

/* Keys of this section that say nothing to the handler it comes to. */
static void
check_of_handler(struct loading *l, const struct section *s,
    const struct conf_endpoint *e)
{
	/* what [policy] says may be for some of the endpoints */
	bool for_all = s->kind == CONF_IN_ENDPOINT || l->nendpoints == 0;

	if (e->replace && e->handler >= CONF_HANDLER_FORWARD &&
	    is_own(s, SPAN("exec_mode")))
		conf_faults_warn(&l->faults, s->at,
		    "leave it out; it is for exec and scripts",
		    "exec_mode = replace means nothing without a program");
	if (e->forward_keep > 0 && e->handler != CONF_HANDLER_FORWARD &&
	    for_all && is_own(s, SPAN("forward_keep")))
		conf_faults_warn(&l->faults, s->at,
		    "leave it out, or set forward",
		    "forward_keep means nothing without forward");
}

/* The keys of a section replace what is in the draft. */
static void
apply(struct loading *l, const struct section *s, struct conf_draft *d)
{
	for (size_t i = 0; i < conf_keys_n; i++) {
		struct conf_entry *e = s->entry[i];

		if (e == NULL)
			continue;
		conf_keys[i].set(&l->reader, &conf_keys[i], e, d);
		d->from[i] = e;
	}
	if (s->kind == CONF_IN_SERVER)
		return;
	check_two_handlers(l, s);
	check_of_handler(l, s, &d->endpoint);
}

static void
take_endpoint(struct loading *l, const struct section *s,
    struct conf_draft draft)
{
	apply(l, s, &draft);
	draft.endpoint.name = arena_string(l->reader.arena, s->name);
	finish_endpoint(l, &draft, s->at);
}

/*
 * With endpoints the policy's own lists may be used by none of them; they are
 * read all the same, since the whole file is checked [SPEC 6.7].
 */
static void
take_policy(struct loading *l, struct conf_draft *d)
{
	const struct section *s = section_find(l, CONF_IN_POLICY, SPAN(""));
	struct scan_place at = { 0, 0 };

	conf_keys_defaults(&l->reader, CONF_IN_BOTH, d);
	d->endpoint.name = "-";
	if (s != NULL) {
		apply(l, s, d);
		at = s->at;
	}
	if (l->nendpoints == 0)
		finish_endpoint(l, d, at);
	else
		add_senders(l, d, false);
	d->endpoint.policy.nsenders = 0;
}

static void
check_paths(struct loading *l, size_t i, struct scan_place at)
{
	const struct conf_endpoint *e = l->conf->endpoint;

	for (size_t j = 0; j < i; j++) {
		if (e[i].path == NULL || e[j].path == NULL ||
		    strcmp(e[i].path, e[j].path) != 0)
			continue;
		conf_faults_error(&l->faults, NULL, at,
		    "give each endpoint a path of its own",
		    e[i].path[0] == '\0' ?
			"endpoints '%s' and '%s' both guard every path%s" :
			"endpoints '%s' and '%s' have the same path %s",
		    e[j].name, e[i].name, e[i].path);
		return;
	}
}

/*
 * Behind `handler = none` stands an inner request of the web server's, by a
 * name of its own: an endpoint that takes every name would take that one too,
 * and its handler's answer would stand for a decision.
 */
static void
check_catch_all(struct loading *l)
{
	const struct conf_endpoint *e = l->conf->endpoint, *all = NULL;
	bool decides = false;

	for (size_t i = 0; i < l->conf->n; i++) {
		if (e[i].handler == CONF_HANDLER_NONE)
			decides = true;
		else if (e[i].path != NULL && e[i].path[0] == '\0')
			all = &e[i];
	}
	if (all != NULL && decides)
		conf_faults_error(&l->faults, NULL,
		    section_find(l, CONF_IN_ENDPOINT, span_of(all->name))->at,
		    "give it a path",
		    "endpoint '%s' would also answer what is asked of those "
		    "with handler = none",
		    all->name);
}

static void
take_endpoints(struct loading *l)
{
	struct conf_draft policy = { 0 };
	size_t n = 0;

	l->conf->endpoint = arena_alloc(l->reader.arena,
	    (l->nendpoints + 1) * sizeof(*l->conf->endpoint));
	if (l->conf->endpoint == NULL)
		return;
	take_policy(l, &policy);
	for (const struct section *s = l->first; s != NULL; s = s->next) {
		struct scan_place at = s->at;

		if (s->kind != CONF_IN_ENDPOINT)
			continue;
		take_endpoint(l, s, policy);
		if (s->entry[CONF_KEY_PATH] != NULL)
			at = s->entry[CONF_KEY_PATH]->value_at;
		check_paths(l, n++, at);
	}
	check_catch_all(l);
}

/* The path that this endpoint is asked for by. */
static const struct path *
path_for(const struct conf_endpoint *e, const struct conf_asked *a)
{
	bool by_uri = a->uri.head.p != NULL &&
	    (a->authorizer || e->handler == CONF_HANDLER_NONE);

	return by_uri ? &a->uri : &a->script;
}

const struct conf_endpoint *
conf_endpoint(const struct conf *c, const struct conf_asked *a)
{
	bool script_plain = path_is_plain(&a->script);
	const struct conf_endpoint *best = NULL;

	for (size_t i = 0; i < c->n; i++) {
		const struct conf_endpoint *e = &c->endpoint[i];
		const struct path *p = path_for(e, a);

		if (path_is_below(p, e->path) &&
		    (best == NULL || strlen(e->path) > strlen(best->path)) &&
		    (p == &a->script ? script_plain : path_is_plain(p)))
			best = e;
	}
	return best;
}

/* The server. */

static bool
is_address(struct span word)
{
	bool six = memchr(word.p, ':', word.n) != NULL;
	char text[128]; /* more than the longest word of CONF_WORD */

	snprintf(text, sizeof(text), six ? "[%.*s]:1" : "%.*s:1",
	    CONF_WORD(word));
	return conf_keys_listen(span_of(text)) != CONF_LISTEN_BAD;
}

/* Who a word of `peers` is, if it can be anybody. */
static bool
is_peer(const struct loading *l, struct span word, bool users, bool addresses)
{
	char name[128]; /* no name of a user is longer */
	uid_t uid;
	gid_t gid;

	if (is_address(word))
		return addresses;
	if (!users || l->reader.use != CONF_FOR_SERVER)
		return users;
	snprintf(name, sizeof(name), "%.*s", CONF_WORD(word));
	return io_user(name, &uid, &gid);
}

/* Users for a Unix socket, addresses for TCP; either, where nobody knows. */
static void
check_peers(struct loading *l, const struct conf_entry *e, bool users,
    bool addresses)
{
	const char *of = "any socket";
	const char *expected = "write users that there are, or addresses such "
			       "as 192.0.2.1";
	struct span rest = e->value, word;

	if (!addresses) {
		of = "a Unix socket";
		expected = "write users that there are, by name or number";
	} else if (!users) {
		of = "a TCP socket";
		expected = "write addresses, such as 192.0.2.1 or 2001:db8::1";
	}
	while (span_word(&rest, &word))
		if (!is_peer(l, word, users, addresses))
			conf_faults_error(&l->faults, NULL,
			    conf_keys_at(e, word), expected,
			    "'%.*s' is no peer of %s", CONF_WORD(word), of);
}

/* The front as the server behind itself. */
static void
check_forward_loop(struct loading *l, const struct conf_entry *listen)
{
	for (size_t i = 0; listen != NULL && i < l->conf->n; i++) {
		const struct conf_endpoint *e = &l->conf->endpoint[i];

		if (e->handler != CONF_HANDLER_FORWARD ||
		    !span_eq(listen->value, span_of(e->forward)))
			continue;
		conf_faults_error(&l->faults, NULL, listen->value_at,
		    "listen elsewhere, or forward to another server",
		    "forward of %s leads back to '%.*s'",
		    e->name[0] == '-' ? "[policy]" : e->name,
		    CONF_WORD(listen->value));
	}
}

static void
finish_server(struct loading *l, const struct conf_draft *d)
{
	const struct conf_entry *listen = d->from[CONF_KEY_LISTEN];
	const struct conf_entry *peers = d->from[CONF_KEY_PEERS];
	enum conf_listen kind =
	    conf_keys_listen(listen == NULL ? SPAN("") : listen->value);

	if (listen != NULL && kind == CONF_LISTEN_WORLD &&
	    d->server.npeers == 0)
		conf_faults_error(&l->faults, NULL, listen->value_at,
		    "name the web servers' addresses in peers, or listen on "
		    "127.0.0.1 or a Unix socket",
		    "anybody could connect to '%.*s'",
		    CONF_WORD(listen->value));
	check_forward_loop(l, listen);
	if (peers == NULL || kind == CONF_LISTEN_BAD)
		return;
	check_peers(l, peers,
	    kind == CONF_LISTEN_UNIX || kind == CONF_LISTEN_NONE,
	    kind != CONF_LISTEN_UNIX);
}

static void
take_server(struct loading *l)
{
	const struct section *s = section_find(l, CONF_IN_SERVER, SPAN(""));
	struct conf_draft draft = { .server = conf_server_defaults };

	if (s != NULL) {
		apply(l, s, &draft);
		finish_server(l, &draft);
	}
	l->conf->server = draft.server;
}

/* All of it. */

static void
load_text(struct loading *l, const struct slurp *file)
{
	if ((file->mode & (S_IWGRP | S_IWOTH)) != 0)
		conf_faults_warn(&l->faults, (struct scan_place){ 0 },
		    "chmod go-w", "writable by %s",
		    (file->mode & S_IWOTH) != 0 ? "everybody" : "its group");
	take_file(l, (struct span){ file->p, file->n });
	/* a file with faults is read on to find them all, and used by nobody */
	if (l->faults.in_file == 0)
		read_values(l);
	take_endpoints(l);
	take_server(l);
}

static void
load_file(struct loading *l)
{
	struct slurp file;
	const char *fault = slurp(l->faults.file, CONF_FILE_MAX, &file);

	if (fault != NULL) {
		conf_faults_error(&l->faults, NULL, (struct scan_place){ 0 },
		    "name a regular file of at most 1M that can be read", "%s",
		    fault);
		return;
	}
	load_text(l, &file);
	free(file.p);
}

enum conf_result
conf_load(const char *file, enum conf_use use, conf_report_fn *report,
    void *ctx, struct conf **out)
{
	struct conf *c = calloc(1, sizeof(*c));
	struct loading l = { .conf = c };

	if (c == NULL) {
		report(ctx, file, (struct scan_place){ 0 }, false,
		    "out of memory", "try with shorter lists");
		return CONF_BAD;
	}
	l.last = &l.first;
	l.faults = (struct conf_faults){ .arena = &c->arena,
		.file = arena_string(&c->arena, span_of(file)) };
	l.reader = (struct conf_reader){ .use = use,
		.arena = &c->arena,
		.faults = &l.faults };
	if (l.faults.file != NULL)
		load_file(&l);
	else
		l.faults.file = file;
	conf_faults_report(&l.faults, report, ctx);
	if (l.faults.in_file + l.faults.in_lists == 0) {
		*out = c;
		return CONF_OK;
	}
	conf_free(c);
	return l.faults.in_file > 0 ? CONF_BAD : CONF_NO_LIST;
}

void
conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	for (struct sender_list *s = c->lists; s != NULL; s = s->next)
		lists_free(s->lists);
	if (c->values != NULL)
		iniparser_freedict(c->values);
	arena_free(&c->arena);
	free(c);
}

size_t
conf_endpoints(const struct conf *c, const struct conf_endpoint **out)
{
	*out = c->endpoint;
	return c->n;
}

size_t
conf_forwards_first(const struct conf_endpoint *ep, size_t i)
{
	size_t j = 0;

	while (ep[j].handler != CONF_HANDLER_FORWARD ||
	    strcmp(ep[j].forward, ep[i].forward) != 0)
		j++;
	return j;
}

const struct conf_server *
conf_server(const struct conf *c)
{
	return &c->server;
}
