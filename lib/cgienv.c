#include "cgienv.h"

#include <stdlib.h>
#include <string.h>

/* One variable; its name has no '=' in it, and '=' stands behind it. */
struct var {
	struct span name;
	const char *value;
	uint32_t hash; /* FNV-1a of the name */
};

/* False for what is no variable, or has a name that cannot be passed (E8). */
static bool
split(const char *s, struct var *out)
{
	uint32_t hash = 2166136261;
	size_t n;

	for (n = 0; s[n] != '='; n++) {
		unsigned char c = (unsigned char)s[n];

		if (c <= ' ' || c == 0x7f)
			return false;
		hash = (hash ^ c) * 16777619;
	}
	*out = (struct var){ { s, n }, s + n + 1, hash };
	return n > 0;
}

/*
 * The names seen so far: chained hashing in a fixed room, so that reading a
 * request allocates nothing.  More names than fit a round are read in several,
 * each of them for the names whose hash falls to it.
 */
enum { SEEN_HEADS = 1024, SEEN_NAMES = 2048, SEEN_ROUND = 1024 };

struct seen_name {
	uint32_t at; /* in vars */
	uint16_t next;
};

struct seen {
	char *const *vars;
	size_t n;
	/*
	 * How many names may still be compared.  Honest ones need one or two
	 * looks each; names that were chosen to collide would need the square
	 * of their number, and a client can send thousands.
	 */
	uint64_t looks;
	uint16_t head[SEEN_HEADS]; /* 0: none, else an index and 1 */
	struct seen_name name[SEEN_NAMES];
};

/* vars is what the places given to seen_find() count in. */
static void
seen_init(struct seen *s, char *const vars[], size_t nvars)
{
	s->vars = vars;
	s->looks = 64 * (uint64_t)nvars + 4096;
}

static void
seen_begin_round(struct seen *s)
{
	s->n = 0;
	memset(s->head, 0, sizeof(s->head));
}

/* Is this "NAME=value" the variable of that name? */
static bool
has_name(const char *var, struct span name)
{
	return strncmp(var, name.p, name.n) == 0 && var[name.n] == '=';
}

/*
 * The place that is kept for this name; it is `at` where the name is new.
 * NULL where there is no room for another, or no patience.
 */
static uint32_t *
seen_find(struct seen *s, const struct var *v, size_t at)
{
	uint16_t *head = &s->head[(v->hash ^ v->hash >> 16) % SEEN_HEADS];

	for (unsigned i = *head; i != 0; i = s->name[i - 1].next) {
		if (s->looks == 0)
			return NULL;
		s->looks--;
		if (has_name(s->vars[s->name[i - 1].at], v->name))
			return &s->name[i - 1].at;
	}
	if (s->n == SEEN_NAMES || at > UINT32_MAX)
		return NULL;
	s->name[s->n] = (struct seen_name){ (uint32_t)at, *head };
	*head = (uint16_t)(s->n + 1);
	return &s->name[s->n++].at;
}

static size_t
rounds_for(size_t nvars)
{
	return nvars / SEEN_ROUND + 1;
}

bool
cgienv_name_valid(struct span name)
{
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c <= ' ' || c == 0x7f || c == '=')
			return false;
	}
	return name.n > 0;
}

static size_t
count(char *const vars[])
{
	size_t n = 0;

	while (vars != NULL && vars[n] != NULL)
		n++;
	return n;
}

struct span
cgienv_get(char *const vars[], struct span name)
{
	for (size_t i = 0; vars[i] != NULL; i++)
		if (has_name(vars[i], name) && vars[i][name.n + 1] != '\0')
			return span_of(vars[i] + name.n + 1);
	return (struct span){ NULL, 0 };
}

/* What a repetition means [SPEC 1.3]. */
enum repeat {
	REPEAT_NEVER, /* a refusal, equal or not */
	REPEAT_EQUAL, /* one, where equal, else a refusal */
	REPEAT_EMPTY  /* one, where equal or one is empty, else no request */
};

/* What is read: the result, and what it is made of at the end. */
struct reading {
	struct cgienv e;
	struct span length, transfer, front, want_headers;
	bool repeated, bad;
};

struct known {
	struct span name;
	enum repeat repeat;
	size_t at; /* of a span in struct reading */
};

#define KNOWN(name, repeat, member)                  \
	{                                            \
		{ name, sizeof(name) - 1 }, repeat,  \
		    offsetof(struct reading, member) \
	}

static const struct known known_names[] = {
	KNOWN("REQUEST_METHOD", REPEAT_EQUAL, e.policy.method),
	KNOWN("QUERY_STRING", REPEAT_EQUAL, e.policy.query),
	KNOWN("HTTP_ORIGIN", REPEAT_NEVER, e.policy.origin),
	KNOWN("HTTP_AMP_EMAIL_SENDER", REPEAT_NEVER, e.policy.sender),
	KNOWN("HTTP_ACCESS_CONTROL_REQUEST_METHOD", REPEAT_NEVER,
	    e.policy.want_method),
	KNOWN("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", REPEAT_NEVER,
	    want_headers),
	KNOWN("SCRIPT_NAME", REPEAT_EQUAL, e.script_name),
	KNOWN("PATH_INFO", REPEAT_EQUAL, e.path_info),
	KNOWN("SCRIPT_FILENAME", REPEAT_EMPTY, e.script_filename),
	KNOWN("PATH_TRANSLATED", REPEAT_EMPTY, e.path_translated),
	KNOWN("REDIRECT_STATUS", REPEAT_EMPTY, e.redirect_status),
	KNOWN("REQUEST_URI", REPEAT_EMPTY, e.request_uri),
	KNOWN("CONTENT_LENGTH", REPEAT_EMPTY, length),
	KNOWN("HTTP_TRANSFER_ENCODING", REPEAT_EMPTY, transfer),
	KNOWN("AMP_CORS_FRONT", REPEAT_EMPTY, front),
};

/*
 * Most variables are none of them, and this is asked of each at every request:
 * so its length and its last byte are looked at first.
 */
static const struct known *
find_known(struct span name)
{
	for (size_t i = 0; i < sizeof(known_names) / sizeof(*known_names);
	     i++) {
		const struct span *known = &known_names[i].name;

		if (known->n == name.n &&
		    known->p[name.n - 1] == name.p[name.n - 1] &&
		    memcmp(known->p, name.p, name.n) == 0)
			return &known_names[i];
	}
	return NULL;
}

static void
read_repeat(struct reading *r, const struct known *known, const char *a,
    const char *b)
{
	enum repeat rule = known == NULL ? REPEAT_EMPTY : known->repeat;
	bool equal = strcmp(a, b) == 0;

	if (rule == REPEAT_NEVER || (rule == REPEAT_EQUAL && !equal))
		r->repeated = true;
	else if (!equal && *a != '\0' && *b != '\0')
		r->bad = true;
}

static void
read_var(struct reading *r, struct seen *seen, size_t i, const struct var *v)
{
	const struct known *known = find_known(v->name);
	uint32_t *at = seen_find(seen, v, i);
	struct span *to;

	if (at == NULL)
		r->bad = true;
	else if (*at != i)
		read_repeat(r, known, seen->vars[*at] + v->name.n + 1,
		    v->value);
	if (*v->value == '\0')
		return;
	/* what comes next is measured against a value, not against nothing */
	if (at != NULL && seen->vars[*at][v->name.n + 1] == '\0')
		*at = (uint32_t)i;
	if (known == NULL)
		return;
	to = (struct span *)(void *)((char *)r + known->at);
	if (to->p == NULL)
		*to = span_of(v->value);
}

/* "proxy:fcgi://host:port/path" and the like, as Apache says it (E12). */
static struct span
without_proxy(struct span name)
{
	struct span rest = name, piece;

	while (span_cut(&rest, '/', &piece))
		if (piece.n == 0) /* between the slashes of "://" */
			break;
	span_cut(&rest, '/', &piece);
	return rest.p == NULL ? (struct span){ NULL, 0 } :
				span_skip(name, name.n - rest.n - 1);
}

/* SPEC 1.4, 1.6, E9, E11, E12 */
static void
settle(struct reading *r)
{
	struct cgienv *e = &r->e;

	e->policy.sender = span_trim(e->policy.sender);
	if (e->policy.sender.n == 0)
		e->policy.sender = (struct span){ NULL, 0 };
	e->proxied = span_starts(e->script_filename, SPAN("proxy:"));
	if (e->proxied)
		e->script_filename = without_proxy(e->script_filename);
	e->chunked = r->transfer.p != NULL || span_eq(r->length, SPAN("-1"));
	e->has_length = span_number(r->length, INT64_MAX, &e->length);
	e->loop = r->front.p != NULL;
	if (r->length.p != NULL && !e->has_length &&
	    !span_eq(r->length, SPAN("-1")))
		r->bad = true;
	if (e->policy.method.p == NULL)
		r->bad = true;
}

enum reason
cgienv_read(char *const vars[], struct cgienv *out)
{
	struct reading r = { .repeated = false };
	size_t n = count(vars), rounds = rounds_for(n);
	struct seen seen;

	seen_init(&seen, vars, n);
	for (size_t round = 0; round < rounds; round++) {
		seen_begin_round(&seen);
		for (size_t i = 0; i < n; i++) {
			struct var v;

			if (split(vars[i], &v) && v.hash % rounds == round)
				read_var(&r, &seen, i, &v);
		}
	}
	settle(&r);
	*out = r.e;
	if (r.repeated)
		return REASON_VARIABLE_REPEATED;
	return r.bad ? REASON_BAD_REQUEST : REASON_OK;
}

enum cgienv_body
cgienv_body(const struct cgienv *e)
{
	static const char *const bodiless[] = { "GET", "HEAD", "OPTIONS",
		"DELETE" };

	if (e->has_length)
		return e->length > 0 ? CGIENV_LENGTH : CGIENV_NO_BODY;
	if (e->chunked)
		return CGIENV_UNKNOWN;
	for (size_t i = 0; i < sizeof(bodiless) / sizeof(*bodiless); i++)
		if (span_eq(e->policy.method, span_of(bodiless[i])))
			return CGIENV_NO_BODY;
	return CGIENV_UNKNOWN;
}

/* What never reaches a handler [SPEC 4.2, E10, E15, E16]. */
static const char *const dropped[] = { "HTTP_PROXY", "HTTP_CONTENT_LENGTH",
	"HTTP_CONTENT_TYPE", "HTTP_CONNECTION", "HTTP_KEEP_ALIVE",
	"HTTP_PROXY_CONNECTION", "HTTP_TE", "HTTP_TRAILER", "HTTP_UPGRADE",
	"HTTP_TRANSFER_ENCODING", "FCGI_ROLE" };

static bool
drops(const struct cgienv_change *c, struct span name)
{
	if (span_starts(name, SPAN("AMP_CORS_")))
		return true;
	if (span_eq(name, SPAN("HTTP_AUTHORIZATION")))
		return !c->pass_authorization;
	if (span_eq(name, SPAN("CONTENT_LENGTH")))
		return c->content_length.p != NULL;
	if (c->new_path &&
	    (span_eq(name, SPAN("SCRIPT_NAME")) ||
		span_eq(name, SPAN("PATH_INFO")) ||
		span_eq(name, SPAN("SCRIPT_FILENAME"))))
		return true;
	for (size_t i = 0; i < sizeof(dropped) / sizeof(*dropped); i++)
		if (span_eq(name, span_of(dropped[i])))
			return true;
	return false;
}

/* One of several equal ones, or the one that is not empty [SPEC 1.3]. */
static bool
keep(struct seen *seen, char *vars[], size_t *n, char *entry, struct var *v)
{
	uint32_t *at = seen_find(seen, v, *n);

	if (at == NULL)
		return false;
	if (*at == *n)
		vars[(*n)++] = entry;
	else if (vars[*at][v->name.n + 1] == '\0')
		vars[*at] = entry;
	return true;
}

/* It would mean the working directory. */
static bool
is_empty_path(const struct var *v)
{
	return *v->value == '\0' && span_eq(v->name, SPAN("PATH"));
}

static bool
keep_all(char *const vars[], const struct cgienv_change *c, char *out[])
{
	size_t nvars = count(vars), rounds = rounds_for(nvars), n = 0;
	struct seen seen;

	seen_init(&seen, out, nvars);
	for (size_t round = 0; round < rounds; round++) {
		seen_begin_round(&seen);
		for (size_t i = 0; i < nvars; i++) {
			struct var v;

			if (!split(vars[i], &v) || v.hash % rounds != round ||
			    drops(c, v.name) || is_empty_path(&v))
				continue;
			if (!keep(&seen, out, &n, vars[i], &v))
				return false;
		}
	}
	return true;
}

/* Gives what from has of this name, where out has nothing of it. */
static void
give(char *const from[], struct span name, char *out[])
{
	struct span value = cgienv_get(from, name);
	size_t i = 0, at = 0;

	if (value.p == NULL || cgienv_get(out, name).p != NULL)
		return;
	while (from[i] + name.n + 1 != value.p)
		i++;
	while (out[at] != NULL && !has_name(out[at], name))
		at++;
	out[at] = from[i];
}

static void
give_own(const struct cgienv_change *c, char *out[])
{
	if (c->own == NULL)
		return;
	give(c->own, SPAN("PATH"), out);
	for (size_t i = 0; c->names != NULL && c->names[i] != NULL; i++)
		if (!drops(c, span_of(c->names[i])))
			give(c->own, span_of(c->names[i]), out);
}

/* Adds NAME=value, a NUL behind it; an absent value adds nothing. */
static void
add_text(struct buf *text, const char *name, struct span value)
{
	if (value.p == NULL)
		return;
	buf_add_str(text, name);
	buf_add_char(text, '=');
	buf_add_span(text, value);
	buf_add_char(text, '\0');
	/* two strings would go out as two variables */
	if (value.n > 0 && memchr(value.p, '\0', value.n) != NULL)
		text->failed = true;
}

/* What add_ours() adds at most: this many, of this size without values. */
enum { OURS_MAX = 9, OURS_BYTES = 256 };

static void
add_ours(struct buf *text, const struct cgienv_change *c, bool add_path)
{
	static const struct policy_decision nothing;
	const struct policy_decision *d =
	    c->decision != NULL ? c->decision : &nothing;

	buf_init(text,
	    OURS_BYTES + d->sender.n + d->origin.n + c->content_length.n +
		c->script_name.n + c->path_info.n + c->script_filename.n);
	add_text(text, "AMP_CORS_FRONT", SPAN("1"));
	if (add_path)
		add_text(text, "PATH", SPAN(CGIENV_PATH));
	if (d->version != 0)
		add_text(text, "AMP_CORS_VERSION",
		    d->version == 1 ? SPAN("1") : SPAN("2"));
	add_text(text, "AMP_CORS_SENDER", d->sender);
	add_text(text, "AMP_CORS_ORIGIN", d->origin);
	add_text(text, "CONTENT_LENGTH", c->content_length);
	if (!c->new_path)
		return;
	add_text(text, "SCRIPT_NAME", c->script_name);
	add_text(text, "PATH_INFO", c->path_info);
	add_text(text, "SCRIPT_FILENAME", c->script_filename);
}

bool
cgienv_child(char *const vars[], const struct cgienv_change *c,
    struct cgienv_list *out)
{
	/* ours, the front's own PATH, and NULL */
	size_t max = count(vars) + count(c->names) + OURS_MAX + 2, n;

	buf_init(&out->text, 0);
	out->vars = calloc(max, sizeof(*out->vars));
	if (out->vars == NULL || !keep_all(vars, c, out->vars)) {
		cgienv_free(out);
		return false;
	}
	give_own(c, out->vars);
	add_ours(&out->text, c,
	    !c->remote && cgienv_get(out->vars, SPAN("PATH")).p == NULL);
	if (out->text.failed) {
		cgienv_free(out);
		return false;
	}
	n = count(out->vars);
	/* not before the text has ceased to move */
	for (size_t at = 0; at < out->text.n;
	     at += strlen(out->text.p + at) + 1)
		out->vars[n++] = out->text.p + at;
	return true;
}

void
cgienv_free(struct cgienv_list *l)
{
	if (l == NULL)
		return;
	free(l->vars);
	l->vars = NULL;
	buf_free(&l->text);
}
