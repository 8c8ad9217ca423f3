/*
 * cgienv: variables as PARAMS hold them, made of lines "NAME=value" (a '|' in a
 * name stands for '='): read as pairs and as strings they are the same, repeats
 * are what SPEC 1.3 says, and a handler's variables are what SPEC 4.2 says.
 */
#include "fuzz.h"

#include <string.h>

#include "cgienv.h"
#include "childenv.h"
#include "wire.h"

enum { LONGEST = 8192, VARS = 1024, MAX = 1 << 17 };

struct one {
	struct span name, value; /* the value up to a NUL */
};

struct all {
	struct one one[VARS];
	size_t n;
	char *strings[VARS + 1];
	struct buf pairs, text;
};

/* E8 */
static bool
is_name(struct span name)
{
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c <= ' ' || c == '=' || c == 0x7f)
			return false;
	}
	return name.n > 0;
}

static void
add(struct all *a, struct span name, struct span value)
{
	wire_add_pair(&a->pairs, name, value);
	if (!is_name(name))
		return;
	value.n = value.n == 0 ? 0 : strnlen(value.p, value.n);
	a->one[a->n++] = (struct one){ name, value };
	buf_add_span(&a->text, name);
	buf_add_char(&a->text, '=');
	buf_add_span(&a->text, value);
	buf_add_char(&a->text, '\0');
}

static void
read_lines(struct all *a, char *p, size_t n)
{
	struct span rest = { p, n }, name, value;

	*a = (struct all){ .n = 0 };
	buf_init(&a->pairs, MAX);
	buf_init(&a->text, MAX);
	while (a->n < VARS && span_cut(&rest, '\n', &value)) {
		name = value; /* of an empty line */
		span_cut(&value, '=', &name);
		for (size_t i = 0; i < name.n; i++)
			if (name.p[i] == '|')
				p[name.p + i - p] = '=';
		add(a, name, value);
	}
	FUZZ_HOLDS(!a->text.failed && !a->pairs.failed);
	p = a->text.p;
	for (size_t i = 0; i < a->n; i++, p += strlen(p) + 1)
		a->strings[i] = p;
}

static bool
same(struct span a, struct span b)
{
	return (a.p == NULL) == (b.p == NULL) && a.n == b.n &&
	    (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static void
check_same(const struct cgienv *a, const struct cgienv *b)
{
	FUZZ_HOLDS(same(a->policy.method, b->policy.method));
	FUZZ_HOLDS(same(a->policy.query, b->policy.query));
	FUZZ_HOLDS(same(a->policy.origin, b->policy.origin));
	FUZZ_HOLDS(same(a->policy.sender, b->policy.sender));
	FUZZ_HOLDS(same(a->policy.want_method, b->policy.want_method));
	FUZZ_HOLDS(same(a->script_name, b->script_name));
	FUZZ_HOLDS(same(a->path_info, b->path_info));
	FUZZ_HOLDS(same(a->script_filename, b->script_filename));
	FUZZ_HOLDS(same(a->request_uri, b->request_uri));
	FUZZ_HOLDS(a->has_length == b->has_length && a->length == b->length);
	FUZZ_HOLDS(a->chunked == b->chunked && a->loop == b->loop);
}

/* --- repeats, in the plain way --- */

enum rule { NEVER, EQUAL, EMPTY };

static enum rule
rule_of(struct span name)
{
	static const char *const never[] = { "HTTP_ORIGIN",
		"HTTP_AMP_EMAIL_SENDER", "HTTP_ACCESS_CONTROL_REQUEST_METHOD",
		"HTTP_ACCESS_CONTROL_REQUEST_HEADERS" };
	static const char *const equal[] = { "REQUEST_METHOD", "QUERY_STRING",
		"SCRIPT_NAME", "PATH_INFO" };

	for (size_t i = 0; i < 4; i++) {
		if (span_eq(name, span_of(never[i])))
			return NEVER;
		if (span_eq(name, span_of(equal[i])))
			return EQUAL;
	}
	return EMPTY;
}

/* What the i-th one comes to, given those before it. */
static enum reason
repeat(const struct all *a, size_t i)
{
	const struct one *v = &a->one[i];
	enum reason why = REASON_OK;

	for (size_t k = 0; k < i; k++) {
		const struct one *w = &a->one[k];
		bool equal = span_eq(v->value, w->value) ||
		    (v->value.n == 0 && w->value.n == 0);

		if (!span_eq(v->name, w->name))
			continue;
		if (rule_of(v->name) == NEVER ||
		    (rule_of(v->name) == EQUAL && !equal))
			return REASON_VARIABLE_REPEATED;
		if (!equal && v->value.n > 0 && w->value.n > 0)
			why = REASON_BAD_REQUEST;
	}
	return why;
}

static void
check_reason(const struct all *a, enum reason why)
{
	bool repeated = false, bad = false;

	for (size_t i = 0; i < a->n; i++) {
		enum reason r = repeat(a, i);

		repeated |= r == REASON_VARIABLE_REPEATED;
		bad |= r == REASON_BAD_REQUEST;
	}
	FUZZ_HOLDS((why == REASON_VARIABLE_REPEATED) == repeated);
	if (!repeated && bad)
		FUZZ_HOLDS(why == REASON_BAD_REQUEST);
}

/* --- the handler's --- */

static const char *
find(char *const vars[], struct span name, size_t *n)
{
	const char *found = NULL;

	*n = 0;
	for (size_t i = 0; vars[i] != NULL; i++)
		if (strncmp(vars[i], name.p, name.n) == 0 &&
		    vars[i][name.n] == '=') {
			found = vars[i] + name.n + 1;
			++*n;
		}
	return found;
}

static bool
is_dropped(struct span name, bool authorization)
{
	static const char *const dropped[] = { "HTTP_PROXY",
		"HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE", "HTTP_CONNECTION",
		"HTTP_KEEP_ALIVE", "HTTP_PROXY_CONNECTION", "HTTP_TE",
		"HTTP_TRAILER", "HTTP_UPGRADE", "HTTP_TRANSFER_ENCODING",
		"FCGI_ROLE" };

	for (size_t i = 0; i < sizeof(dropped) / sizeof(*dropped); i++)
		if (span_eq(name, span_of(dropped[i])))
			return true;
	return span_starts(name, SPAN("AMP_CORS_")) ||
	    (!authorization && span_eq(name, SPAN("HTTP_AUTHORIZATION")));
}

/* Each of the request's once, with its value, or not at all. */
static void
check_passed(const struct all *a, char *const vars[], bool authorization)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct one *v = &a->one[i];
		const char *value;
		size_t n;

		if (span_starts(v->name, SPAN("AMP_CORS_")) ||
		    span_eq(v->name, SPAN("PATH")))
			continue;
		value = find(vars, v->name, &n);
		FUZZ_HOLDS(n == !is_dropped(v->name, authorization));
		/* the one that is not empty wins */
		if (n > 0 && v->value.n > 0)
			FUZZ_HOLDS(*value != '\0');
	}
}

static void
check_ours(char *const vars[])
{
	static const char *const once[] = { "AMP_CORS_FRONT", "PATH",
		"AMP_CORS_SENDER", "AMP_CORS_VERSION" };
	size_t n, ours = 0;

	for (size_t i = 0; i < 4; i++) {
		const char *v = find(vars, span_of(once[i]), &n);

		FUZZ_HOLDS(n == 1 && *v != '\0');
		if (i == 2)
			FUZZ_HOLDS(strcmp(v, "x@company.example") == 0);
	}
	for (size_t i = 0; vars[i] != NULL; i++)
		ours += strncmp(vars[i], "AMP_CORS_", 9) == 0;
	FUZZ_HOLDS(ours == 3);
}

static void
check_child(const struct all *a, enum reason why, bool authorization)
{
	static const struct policy_decision d = {
		.verdict = POLICY_ALLOW,
		.version = 2,
		.sender = { "x@company.example", 17 },
	};
	const struct childenv_change c = { .decision = &d,
		.pass_authorization = authorization };
	struct childenv l;

	if (!childenv_make(a->strings, &c, &l)) {
		FUZZ_HOLDS(why != REASON_OK);
		return;
	}
	check_ours(l.vars);
	if (why == REASON_OK)
		check_passed(a, l.vars, authorization);
	childenv_free(&l);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct all a;
	struct cgienv strings, pairs;
	enum reason why;
	char *copy;

	if (size == 0 || size > LONGEST)
		return 0;
	copy = malloc(size);
	FUZZ_HOLDS(copy != NULL);
	memcpy(copy, data, size);
	read_lines(&a, copy + 1, size - 1);
	why = cgienv_read(a.strings, &strings);
	FUZZ_HOLDS(
	    cgienv_read_vars(&(struct vars){ .pairs = buf_span(&a.pairs) },
		&pairs) == why);
	check_same(&strings, &pairs);
	check_reason(&a, why);
	check_child(&a, why, (data[0] & 1) != 0);
	buf_free(&a.pairs);
	buf_free(&a.text);
	free(copy);
	return 0;
}
