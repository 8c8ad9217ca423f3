#include "conf.h"

#include <errno.h>
#include <iniparser/iniparser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf_risk.h"
#include "conf_sections.h"
#include "conf_senders.h"
#include "conf_server.h"
#include "slurp.h"

enum { CONF_FILE_MAX = 1 << 20 };

/* iniparser: its dictionary gives the values. */

static int
say_nothing(const char *format, ...)
{
	(void)format;
	return 0;
}

/* The dictionary's name of a key: "section:key", all in lower case. */
static bool
dictionary_name(const struct conf_section *s, size_t id, char *out, size_t size)
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
take_value(dictionary *d, const struct conf_section *s, size_t id)
{
	char name[CONF_SECTIONS_NAME_MAX + 64];
	const char *value = NULL;

	if (dictionary_name(s, id, name, sizeof(name)))
		value = iniparser_getstring(d, name, NULL);
	if (!span_eq(span_of(value), s->entry[id]->value))
		return false;
	s->entry[id]->value = span_of(value);
	return true;
}

static bool
take_values(struct conf_loading *l, dictionary *d)
{
	if (d == NULL || d->n < 0 || (size_t)d->n != l->nsections + l->nentries)
		return false;
	for (const struct conf_section *s = l->first; s != NULL; s = s->next)
		for (size_t i = 0; i < conf_keys_n; i++)
			if (s->entry[i] != NULL && !take_value(d, s, i))
				return false;
	return true;
}

/* A file of these bytes that nobody else has; -1 where it cannot be made. */
static int
in_memory(struct span text)
{
	int fd = memfd_create("policy", MFD_CLOEXEC);

	if (fd != -1 && write(fd, text.p, text.n) != (ssize_t)text.n) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/*
 * iniparser 4.1 opens a file itself, by its name.  A server gives it the bytes
 * that were checked, under the name that /proc has for them; where /proc is
 * missing, and in CGI, where that would cost every request, it reads the file
 * again, and every name and value must then be what scan saw in
 * the bytes that were checked.  That holds against a file that was exchanged in
 * between, and against anything that scan and iniparser would read differently.
 *
 * The error callback is the whole process's: policies are loaded by one thread.
 */
static void
read_values(struct conf_loading *l, struct span text)
{
	/* a FIFO in the file's place now would hold a server up for ever */
	int fd = l->reader.whole ? in_memory(text) : -1;
	char name[64];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	iniparser_set_error_callback(say_nothing);
	errno = 0;
	l->conf->values = iniparser_load(
	    fd != -1 && access(name, R_OK) == 0 ? name : l->faults.file);
	iniparser_set_error_callback(NULL);
	/* iniparser does not say that memory was refused: it finds less */
	l->conf->arena.failed |= errno == ENOMEM;
	if (fd != -1)
		close(fd);
	if (!take_values(l, l->conf->values) && !l->conf->arena.failed)
		conf_faults_error(&l->faults, FAULT_FILE_CHANGED, NULL,
		    (struct scan_place){ 0 },
		    "leave it alone while it is loaded",
		    "the file changed while it was read, or memory is out");
}

/* Endpoints. */

static void
check_origins(struct conf_loading *l, struct conf_draft *d)
{
	static const enum conf_key_id keys[] = { CONF_KEY_ORIGINS,
		CONF_KEY_BROWSER_ORIGINS };

	for (int i = 0; i < 2; i++)
		if (d->from[keys[i]] != NULL)
			conf_risk_origins(&l->reader, d->from[keys[i]],
			    conf_risk_left(d->from[keys[i]], d->risks));
}

/* How it was written, for conf_written(). */
static void
keep_text(struct conf_loading *l, const struct conf_draft *d,
    struct scan_place at)
{
	struct conf_text *text = arena_alloc(l->reader.arena, sizeof(*text));

	l->conf->texts[l->conf->n] = text;
	if (text == NULL)
		return;
	text->at = at;
	memcpy(text->from, d->from, sizeof(text->from));
}

/* What can be said only when all keys of an endpoint are known. */
static void
finish_endpoint(struct conf_loading *l, struct conf_draft *d,
    struct scan_place at)
{
	struct conf_endpoint *e = &d->endpoint;

	/* where there are faults, the senders may stand in a bad line */
	if (conf_senders_add(l, d, true) == 0 && !e->policy.playground &&
	    l->faults.in_file == 0)
		conf_faults_warn(&l->faults, FAULT_NO_SENDERS, at,
		    "name them in senders, senders_file or senders_cdb",
		    "no senders: every request is refused");
	check_origins(l, d);
	keep_text(l, d, at);
	l->conf->endpoint[l->conf->n++] = *e;
}

static void
check_two_handlers(struct conf_loading *l, const struct conf_section *s)
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
		conf_faults_error(&l->faults, FAULT_TWO_HANDLERS, NULL,
		    last->at, "keep one of exec, forward, scripts and handler",
		    "%s handlers in one section", n == 2 ? "two" : "several");
}

static bool
is_own(const struct conf_section *s, struct span key)
{
	return s->entry[conf_keys_find(key)] != NULL;
}

/* Keys of this section that say nothing to the handler it comes to. */
static void
check_of_handler(struct conf_loading *l, const struct conf_section *s,
    const struct conf_endpoint *e)
{
	/* what [policy] says may be for some of the endpoints */
	bool for_all = s->kind == CONF_IN_ENDPOINT || l->nendpoints == 0;

	if (e->replace && e->handler >= CONF_HANDLER_FORWARD &&
	    is_own(s, SPAN("exec_mode")))
		conf_faults_warn(&l->faults, FAULT_USELESS_KEY, s->at,
		    "leave it out; it is for exec and scripts",
		    "exec_mode = replace means nothing without a program");
	if (e->forward_keep > 0 && e->handler != CONF_HANDLER_FORWARD &&
	    for_all && is_own(s, SPAN("forward_keep")))
		conf_faults_warn(&l->faults, FAULT_USELESS_KEY, s->at,
		    "leave it out, or set forward",
		    "forward_keep means nothing without forward");
}

static void
apply(struct conf_loading *l, const struct conf_section *s,
    struct conf_draft *d)
{
	conf_sections_apply(l, s, d);
	check_two_handlers(l, s);
	check_of_handler(l, s, &d->endpoint);
}

static void
take_endpoint(struct conf_loading *l, const struct conf_section *s,
    struct conf_draft draft)
{
	apply(l, s, &draft);
	draft.endpoint.name = arena_string(l->reader.arena, s->name);
	if (draft.endpoint.name == NULL) /* which is told at the end */
		draft.endpoint.name = "";
	finish_endpoint(l, &draft, s->at);
}

/*
 * With endpoints the policy's own lists may be used by none of them; they are
 * read all the same, since the whole file is checked [SPEC 6.7].
 */
static void
take_policy(struct conf_loading *l, struct conf_draft *d)
{
	const struct conf_section *s =
	    conf_sections_find(l, CONF_IN_POLICY, SPAN(""));
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
		conf_senders_add(l, d, false);
	d->endpoint.policy.nsenders = 0;
}

static void
check_paths(struct conf_loading *l, size_t i, struct scan_place at)
{
	const struct conf_endpoint *e = l->conf->endpoint;

	for (size_t j = 0; j < i; j++) {
		if (e[i].path == NULL || e[j].path == NULL ||
		    strcmp(e[i].path, e[j].path) != 0)
			continue;
		conf_faults_error(&l->faults, FAULT_SAME_PATH, NULL, at,
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
check_catch_all(struct conf_loading *l)
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
		conf_faults_error(&l->faults, FAULT_CATCH_ALL, NULL,
		    conf_sections_find(l, CONF_IN_ENDPOINT, span_of(all->name))
			->at,
		    "give it a path",
		    "endpoint '%s' would also answer what is asked of those "
		    "with handler = none",
		    all->name);
}

static void
take_endpoints(struct conf_loading *l)
{
	struct conf_draft policy = { 0 };
	size_t n = 0;

	l->conf->endpoint = arena_alloc(l->reader.arena,
	    (l->nendpoints + 1) * sizeof(*l->conf->endpoint));
	l->conf->texts = arena_alloc(l->reader.arena,
	    (l->nendpoints + 1) * sizeof(*l->conf->texts));
	if (l->conf->endpoint == NULL || l->conf->texts == NULL)
		return;
	take_policy(l, &policy);
	for (const struct conf_section *s = l->first; s != NULL; s = s->next) {
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

/* All of it. */

static void
load_text(struct conf_loading *l, const struct slurp *file)
{
	if ((file->mode & (S_IWGRP | S_IWOTH)) != 0)
		conf_faults_warn(&l->faults, FAULT_WRITABLE,
		    (struct scan_place){ 0 }, "chmod go-w", "writable by %s",
		    (file->mode & S_IWOTH) != 0 ? "everybody" : "its group");
	conf_sections_read(l, (struct span){ file->p, file->n });
	/* a file with faults is read on to find them all, and used by nobody */
	if (l->faults.in_file == 0)
		read_values(l, (struct span){ file->p, file->n });
	take_endpoints(l);
	conf_server_read(l);
}

static void
load_file(struct conf_loading *l)
{
	struct stamp before = { .there = false };
	struct slurp file;
	const char *fault;

	/* for whoever looks again; CGI does not, and would pay for it */
	if (l->reader.whole)
		before = stamp_path(l->faults.file);
	fault = slurp(l->faults.file, CONF_FILE_MAX, &file);
	if (fault != NULL) {
		conf_loading_file(l, l->faults.file, before);
		conf_faults_error(&l->faults, FAULT_UNREADABLE, NULL,
		    (struct scan_place){ 0 },
		    "name a regular file of at most 1M that can be read", "%s",
		    fault);
		return;
	}
	conf_loading_file(l, l->faults.file, file.stamp);
	l->conf->text = file.p;
	load_text(l, &file);
}

static enum conf_result
load(struct conf *c, const char *file, struct conf_reader reader,
    conf_report_fn *report, void *ctx)
{
	struct conf_loading l = { .conf = c };

	l.last = &l.first;
	l.faults = (struct conf_faults){ .arena = &c->arena,
		.file = arena_string(&c->arena, span_of(file)) };
	l.reader = reader;
	l.reader.arena = &c->arena;
	l.reader.faults = &l.faults;
	if (l.faults.file != NULL)
		load_file(&l);
	else
		l.faults.file = file;
	conf_faults_report(&l.faults, report, ctx);
	if (l.faults.in_file + l.faults.in_lists > 0)
		return l.faults.in_file > 0 ? CONF_BAD : CONF_NO_LIST;
	/* what is said of it points to iniparser's values */
	free(c->text);
	c->text = NULL;
	return CONF_OK;
}

static enum conf_result
load_new(const char *file, struct conf_reader reader, conf_report_fn *report,
    void *ctx, struct conf **out)
{
	const struct conf_fault none = { .code = FAULT_NO_MEMORY,
		.file = file,
		.text = "out of memory",
		.expected = "try with shorter lists" };

	*out = calloc(1, sizeof(**out));
	if (*out == NULL) {
		report(ctx, &none);
		return CONF_BAD;
	}
	(*out)->server = conf_server_defaults;
	return load(*out, file, reader, report, ctx);
}

enum conf_result
conf_look(const char *file, enum conf_use use, conf_report_fn *report,
    void *ctx, struct conf **out)
{
	struct conf_reader reader = { .use = use, .whole = true };
	enum conf_result result = load_new(file, reader, report, ctx, out);

	if (*out != NULL && (*out)->arena.failed) {
		conf_free(*out);
		*out = NULL;
	}
	return result;
}

enum conf_result
conf_load(const char *file, enum conf_use use, conf_report_fn *report,
    void *ctx, struct conf **out)
{
	struct conf_reader reader = { .use = use,
		.whole = use == CONF_FOR_SERVER };
	enum conf_result result;
	struct conf *c;

	result = load_new(file, reader, report, ctx, &c);
	if (result != CONF_OK) {
		conf_free(c);
		return result;
	}
	*out = c;
	return CONF_OK;
}

void
conf_drop_lists(struct conf *c)
{
	for (size_t i = 0; i < c->n; i++)
		c->endpoint[i].policy.nsenders = 0;
	conf_senders_free(c);
	c->lists = NULL;
	c->compiled = NULL;
}

void
conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	conf_senders_free(c);
	if (c->values != NULL)
		iniparser_freedict(c->values);
	free(c->text);
	arena_free(&c->arena);
	free(c);
}

void
conf_loading_file(struct conf_loading *l, const char *name, struct stamp stamp)
{
	struct conf_file *f = arena_alloc(l->reader.arena, sizeof(*f));

	if (f == NULL)
		return;
	*f = (struct conf_file){ .name = name, .stamp = stamp };
	if (l->conf->last_file == NULL)
		l->conf->files = f;
	else
		l->conf->last_file->next = f;
	l->conf->last_file = f;
}

const struct conf_file *
conf_files(const struct conf *c)
{
	return c->files;
}

/* NULL where there is none. */
static const struct conf_text *
text_of(const struct conf *c, size_t endpoint)
{
	if (endpoint == CONF_OF_SERVER)
		return &c->server_text;
	return c->texts == NULL ? NULL : c->texts[endpoint];
}

bool
conf_written(const struct conf *c, size_t endpoint, const char *key,
    struct conf_written *out)
{
	const struct conf_text *t = text_of(c, endpoint);
	size_t id = conf_keys_find(span_of(key));
	const struct conf_entry *e =
	    t == NULL || id == conf_keys_n ? NULL : t->from[id];

	if (e == NULL)
		return false;
	*out = (struct conf_written){ .value = e->value, .at = e->value_at };
	return true;
}

struct scan_place
conf_place(const struct conf *c, size_t endpoint)
{
	const struct conf_text *t = text_of(c, endpoint);

	return t == NULL ? (struct scan_place){ 0, 0 } : t->at;
}

const char *
conf_server_change(const struct conf *a, const struct conf *b, size_t *next)
{
	while (*next < conf_keys_n) {
		const struct conf_key *k = &conf_keys[(*next)++];
		struct conf_written was = { .value = span_of(k->fallback) };
		struct conf_written is = was;

		if ((k->where & CONF_IN_SERVER) == 0)
			continue;
		conf_written(a, CONF_OF_SERVER, k->name, &was);
		conf_written(b, CONF_OF_SERVER, k->name, &is);
		if (!span_eq(was.value, is.value))
			return k->name;
	}
	return NULL;
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
