#include "cgienv.h"

/* Is this "NAME=value" the variable of that name? */
static bool
has_name(const char *var, struct span name)
{
	return strncmp(var, name.p, name.n) == 0 && var[name.n] == '=';
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

/* By their lengths: see first_known. */
static const struct known known_names[] = {
	KNOWN("PATH_INFO", REPEAT_EQUAL, e.path_info),
	KNOWN("HTTP_ORIGIN", REPEAT_NEVER, e.policy.origin),
	KNOWN("SCRIPT_NAME", REPEAT_EQUAL, e.script_name),
	KNOWN("REQUEST_URI", REPEAT_EMPTY, e.request_uri),
	KNOWN("QUERY_STRING", REPEAT_EQUAL, e.policy.query),
	KNOWN("REQUEST_METHOD", REPEAT_EQUAL, e.policy.method),
	KNOWN("CONTENT_LENGTH", REPEAT_EMPTY, length),
	KNOWN("AMP_CORS_FRONT", REPEAT_EMPTY, front),
	KNOWN("SCRIPT_FILENAME", REPEAT_EMPTY, e.script_filename),
	KNOWN("PATH_TRANSLATED", REPEAT_EMPTY, e.path_translated),
	KNOWN("REDIRECT_STATUS", REPEAT_EMPTY, e.redirect_status),
	KNOWN("HTTP_AMP_EMAIL_SENDER", REPEAT_NEVER, e.policy.sender),
	KNOWN("HTTP_TRANSFER_ENCODING", REPEAT_EMPTY, transfer),
	KNOWN("HTTP_ACCESS_CONTROL_REQUEST_METHOD", REPEAT_NEVER,
	    e.policy.want_method),
	KNOWN("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", REPEAT_NEVER,
	    want_headers),
	{ { NULL, 0 }, REPEAT_EMPTY, 0 },
};

/*
 * Most variables are none of them, and this is asked of each at every request:
 * so those of a length are found at once.  Here stands their first one's
 * place, and 1.
 */
static const unsigned char first_known[] = { [9] = 1,
	[11] = 2,
	[12] = 5,
	[14] = 6,
	[15] = 9,
	[21] = 12,
	[22] = 13,
	[34] = 14,
	[35] = 15 };

static const struct known *
find_known(struct span name)
{
	const struct known *k = known_names;
	size_t last = name.n - 1;

	if (name.n >= sizeof(first_known) || first_known[name.n] == 0)
		return NULL;
	for (k += first_known[name.n] - 1; k->name.n == name.n; k++)
		if (k->name.p[last] == name.p[last] &&
		    memcmp(k->name.p, name.p, last) == 0)
			return k;
	return NULL;
}

static void
read_repeat(struct reading *r, const struct known *known, struct span a,
    struct span b)
{
	enum repeat rule = known == NULL ? REPEAT_EMPTY : known->repeat;
	bool equal = span_eq(a, b);

	if (rule == REPEAT_NEVER || (rule == REPEAT_EQUAL && !equal))
		r->repeated = true;
	else if (!equal && a.n > 0 && b.n > 0)
		r->bad = true;
}

/* Not the first of its name: *at is the place of one before. */
static void
read_again(struct reading *r, const struct known *known, const struct seen *s,
    uint32_t *at, size_t place, const struct var *v)
{
	size_t before = *at;
	struct var first;

	vars_next(s->vars, &before, &first);
	read_repeat(r, known, vars_value(&first), vars_value(v));
	/* what comes next is measured against a value, not against nothing */
	if (vars_value(&first).n == 0)
		*at = (uint32_t)place;
}

static void
read_var(struct reading *r, struct seen *seen, size_t place,
    const struct var *v)
{
	const struct known *known = find_known(v->name);
	uint32_t *at = seen_find(seen, v, place);
	struct span *to, value;

	if (at == NULL)
		r->bad = true;
	else if (*at != place)
		read_again(r, known, seen, at, place, v);
	if (known == NULL)
		return;
	to = (struct span *)(void *)((char *)r + known->at);
	value = vars_value(v);
	if (to->p == NULL && value.n > 0)
		*to = value;
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
cgienv_read_vars(const struct vars *vars, struct cgienv *out)
{
	struct reading r = { .repeated = false };
	struct seen seen;
	size_t rounds = seen_init(&seen, vars, vars_count(vars));

	for (size_t round = 0; round < rounds; round++) {
		size_t next = 0, place = 0;
		struct var v;

		seen_begin(&seen);
		for (; vars_next(vars, &next, &v); place = next)
			if (!v.valid)
				r.e.dropped += round == 0;
			else if (rounds == 1 || v.hash % rounds == round)
				read_var(&r, &seen, place, &v);
	}
	settle(&r);
	*out = r.e;
	if (r.repeated)
		return REASON_VARIABLE_REPEATED;
	return r.bad ? REASON_BAD_REQUEST : REASON_OK;
}

enum reason
cgienv_read(char *const strings[], struct cgienv *out)
{
	const struct vars vars = { .strings = strings };

	return cgienv_read_vars(&vars, out);
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
