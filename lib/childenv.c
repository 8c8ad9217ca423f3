#include "childenv.h"

#include <stdlib.h>

#include "cgienv.h"

static size_t
count(char *const strings[])
{
	size_t n = 0;

	while (strings != NULL && strings[n] != NULL)
		n++;
	return n;
}

/* What never reaches a handler [SPEC 4.2, E10, E15, E16]. */
static const char *const dropped[] = { "HTTP_PROXY", "HTTP_CONTENT_LENGTH",
	"HTTP_CONTENT_TYPE", "HTTP_CONNECTION", "HTTP_KEEP_ALIVE",
	"HTTP_PROXY_CONNECTION", "HTTP_TE", "HTTP_TRAILER", "HTTP_UPGRADE",
	"HTTP_TRANSFER_ENCODING", "FCGI_ROLE" };

static bool
drops(const struct childenv_change *c, struct span name)
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

/* Has the variable at that place a value? */
static bool
has_value(const struct vars *vars, size_t at)
{
	struct var v;

	return vars_next(vars, &at, &v) && vars_value(&v).n > 0;
}

/* One of several equal ones, or the one that is not empty [SPEC 1.3]. */
static bool
keep(struct seen *seen, const struct vars *vars, const struct var *v, size_t at)
{
	uint32_t *kept = seen_find(seen, v, at);

	if (kept == NULL)
		return false;
	if (*kept != at && !has_value(vars, *kept))
		*kept = (uint32_t)at;
	return true;
}

/* It would mean the working directory. */
static bool
is_empty_path(const struct var *v)
{
	return span_eq(v->name, SPAN("PATH")) && vars_value(v).n == 0;
}

/* Those of a round: afterwards seen has the places of what is kept. */
static bool
keep_round(struct seen *seen, const struct vars *vars,
    const struct childenv_change *c, size_t round, size_t rounds)
{
	size_t next = 0, at = 0;
	struct var v;

	seen_begin(seen);
	for (; vars_next(vars, &next, &v); at = next) {
		if (!v.valid || (rounds > 1 && v.hash % rounds != round) ||
		    drops(c, v.name) || is_empty_path(&v))
			continue;
		if (!keep(seen, vars, &v, at))
			return false;
	}
	return true;
}

/* What of the request's variables is kept, as strings. */
static bool
keep_strings(char *const strings[], const struct childenv_change *c,
    char *out[])
{
	const struct vars vars = { .strings = strings };
	struct seen seen;
	size_t rounds = seen_init(&seen, &vars, vars_count(&vars)), n = 0;

	for (size_t round = 0; round < rounds; round++) {
		if (!keep_round(&seen, &vars, c, round, rounds))
			return false;
		for (size_t i = 0; i < seen.n; i++)
			out[n++] = strings[seen.name[i].at];
	}
	return true;
}

/* The same as pairs. */
static bool
keep_pairs(const struct vars *vars, const struct childenv_change *c,
    struct buf *out)
{
	struct seen seen;
	size_t rounds = seen_init(&seen, vars, vars_count(vars));

	for (size_t round = 0; round < rounds; round++) {
		if (!keep_round(&seen, vars, c, round, rounds))
			return false;
		for (size_t i = 0; i < seen.n; i++) {
			size_t at = seen.name[i].at;
			struct var v;

			if (vars_next(vars, &at, &v))
				wire_add_pair(out, v.name, vars_value(&v));
		}
	}
	return true;
}

/* Is this "NAME=value" the variable of that name? */
static bool
has_name(const char *string, struct span name)
{
	return strncmp(string, name.p, name.n) == 0 && string[name.n] == '=';
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
give_own(const struct childenv_change *c, char *out[])
{
	if (c->own == NULL)
		return;
	give(c->own, SPAN("PATH"), out);
	for (size_t i = 0; c->names != NULL && c->names[i] != NULL; i++)
		if (!drops(c, span_of(c->names[i])))
			give(c->own, span_of(c->names[i]), out);
}

/* Adds one of ours, as a string or as a pair. */
typedef void add_fn(struct buf *to, struct span name, struct span value);

static void
add_string(struct buf *to, struct span name, struct span value)
{
	buf_add_span(to, name);
	buf_add_char(to, '=');
	buf_add_span(to, value);
	buf_add_char(to, '\0');
}

/* An absent value adds nothing. */
static void
add_one(struct buf *to, add_fn *add, const char *name, struct span value)
{
	if (value.p == NULL)
		return;
	add(to, span_of(name), value);
	/* two strings would go out as two variables */
	if (value.n > 0 && memchr(value.p, '\0', value.n) != NULL)
		to->failed = true;
}

/* What add_ours() adds at most: this many, of this size without values. */
enum { OURS_MAX = 9, OURS_BYTES = 256 };

static const struct policy_decision *
decision_of(const struct childenv_change *c)
{
	static const struct policy_decision nothing;

	return c->decision != NULL ? c->decision : &nothing;
}

static void
add_ours(struct buf *to, add_fn *add, const struct childenv_change *c)
{
	const struct policy_decision *d = decision_of(c);

	add_one(to, add, "AMP_CORS_FRONT", SPAN("1"));
	if (d->version != 0)
		add_one(to, add, "AMP_CORS_VERSION",
		    d->version == 1 ? SPAN("1") : SPAN("2"));
	add_one(to, add, "AMP_CORS_SENDER", d->sender);
	add_one(to, add, "AMP_CORS_ORIGIN", d->origin);
	add_one(to, add, "CONTENT_LENGTH", c->content_length);
	if (!c->new_path)
		return;
	add_one(to, add, "SCRIPT_NAME", c->script_name);
	add_one(to, add, "PATH_INFO", c->path_info);
	add_one(to, add, "SCRIPT_FILENAME", c->script_filename);
}

/* Ours as strings behind each other, and a PATH where there is none. */
static void
make_text(struct buf *text, const struct childenv_change *c, bool add_path)
{
	const struct policy_decision *d = decision_of(c);

	buf_init(text,
	    OURS_BYTES + d->sender.n + d->origin.n + c->content_length.n +
		c->script_name.n + c->path_info.n + c->script_filename.n);
	if (add_path)
		add_one(text, add_string, "PATH", SPAN(CHILDENV_PATH));
	add_ours(text, add_string, c);
}

bool
childenv_make(char *const vars[], const struct childenv_change *c,
    struct childenv *out)
{
	/* ours, the front's own PATH, and NULL */
	size_t max = count(vars) + count(c->names) + OURS_MAX + 2, n;

	buf_init(&out->text, 0);
	out->vars = calloc(max, sizeof(*out->vars));
	if (out->vars == NULL || !keep_strings(vars, c, out->vars)) {
		childenv_free(out);
		return false;
	}
	give_own(c, out->vars);
	make_text(&out->text, c, cgienv_get(out->vars, SPAN("PATH")).p == NULL);
	if (out->text.failed) {
		childenv_free(out);
		return false;
	}
	n = count(out->vars);
	/* not before the text has ceased to move */
	for (size_t at = 0; at < out->text.n;
	     at += strlen(out->text.p + at) + 1)
		out->vars[n++] = out->text.p + at;
	return true;
}

bool
childenv_params(const struct vars *vars, const struct childenv_change *c,
    struct buf *out)
{
	if (!keep_pairs(vars, c, out))
		return false;
	add_ours(out, wire_add_pair, c);
	return !out->failed;
}

void
childenv_free(struct childenv *l)
{
	if (l == NULL)
		return;
	free(l->vars);
	l->vars = NULL;
	buf_free(&l->text);
}
