#include "explain_request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cgienv.h"
#include "path.h"
#include "tool.h"

static const struct span nothing = { "", 0 };

static bool
has_name(const char *var, struct span name)
{
	return strncmp(var, name.p, name.n) == 0 && var[name.n] == '=';
}

/* One more, which is kept as it is. */
static void
keep(struct explain_request *r, char *var)
{
	if (var == NULL || r->n == EXPLAIN_REQUEST_VARS) {
		r->failed = true;
		return;
	}
	if (r->n + 1 >= r->cap) {
		size_t cap = r->cap == 0 ? 64 : 2 * r->cap;
		char **vars = realloc(r->vars, cap * sizeof(*vars));

		if (vars == NULL) {
			r->failed = true;
			return;
		}
		r->vars = vars;
		r->cap = cap;
	}
	r->vars[r->n++] = var;
	r->vars[r->n] = NULL;
}

void
explain_request_add(struct explain_request *r, struct span name,
    struct span value)
{
	char *var = arena_alloc(&r->arena, name.n + value.n + 2);

	if (var != NULL) {
		memcpy(var, name.p, name.n);
		var[name.n] = '=';
		if (value.n > 0)
			memcpy(var + name.n + 1, value.p, value.n);
	}
	keep(r, var);
}

void
explain_request_drop(struct explain_request *r, struct span name)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		if (!has_name(r->vars[i], name))
			r->vars[n++] = r->vars[i];
	r->n = n;
	if (r->vars != NULL)
		r->vars[n] = NULL;
}

void
explain_request_set(struct explain_request *r, struct span name,
    struct span value)
{
	explain_request_drop(r, name);
	explain_request_add(r, name, value);
}

struct span
explain_request_get(const struct explain_request *r, struct span name)
{
	return r->vars == NULL ? (struct span){ NULL, 0 } :
				 cgienv_get(r->vars, name);
}

void
explain_request_override(struct explain_request *r,
    const struct explain_request *over)
{
	for (size_t i = 0; i < over->n; i++)
		explain_request_drop(r,
		    (struct span){ over->vars[i],
			strcspn(over->vars[i], "=") });
	for (size_t i = 0; i < over->n; i++)
		keep(r, over->vars[i]);
}

/* --- header fields --- */

/* RFC 9110 5.6.2 */
static bool
is_token(struct span name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i], lower = span_lower(c);

		if (!(lower >= 'a' && lower <= 'z') &&
		    !(c >= '0' && c <= '9') &&
		    (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return name.n > 0;
}

/* RFC 3875 4.1.18, and the two that have a variable of their own. */
static size_t
variable_name(struct span name, char *out)
{
	const bool own = span_caseeq(name, SPAN("Content-Length")) ||
	    span_caseeq(name, SPAN("Content-Type"));
	size_t n = own ? 0 : sizeof("HTTP_") - 1;

	memcpy(out, "HTTP_", n);
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		out[n++] = c == '-'      ? '_' :
		    c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') :
					   c;
	}
	return n;
}

bool
explain_request_header(struct explain_request *r, struct span field)
{
	struct span value = field, name;
	char *text;

	if (!span_cut(&value, ':', &name) || value.p == NULL || !is_token(name))
		return false;
	text = arena_alloc(&r->arena, name.n + sizeof("HTTP_"));
	if (text == NULL) {
		r->failed = true;
		return true;
	}
	explain_request_add(r, (struct span){ text, variable_name(name, text) },
	    span_trim(value));
	return true;
}

/* --- path and query --- */

/* Adds s, with all but letters, digits and `plain` percent-encoded. */
static void
encode(struct buf *out, struct span s, const char *plain)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		char lower = span_lower((char)c);

		if ((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
		    (c != '\0' && strchr(plain, c) != NULL))
			buf_add_char(out, (char)c);
		else {
			buf_add_char(out, '%');
			buf_add_char(out, hex[c >> 4]);
			buf_add_char(out, hex[c & 15]);
		}
	}
}

/* What the operator gave for a query, as a client would write it. */
static void
make_query(const struct explain_target *t, struct buf *out)
{
	if (t->query != NULL)
		buf_add_str(out, t->query);
	if (t->source == NULL)
		return;
	if (out->n > 0)
		buf_add_char(out, '&');
	buf_add_str(out, "__amp_source_origin=");
	encode(out, span_of(t->source), "-_.!~*'()");
}

/* The URI that belongs to path and query; nothing where nobody knows it. */
static void
make_uri(const struct explain_request *r, const struct explain_target *t,
    struct buf *out)
{
	struct span query, was = explain_request_get(r, SPAN("REQUEST_URI"));
	struct span now = explain_request_get(r, SPAN("QUERY_STRING"));
	struct path path = path_of_uri(was, &query);

	if (t->path != NULL)
		encode(out, span_of(t->path), "-_.!~*'()/@:$&+,;=");
	else if (path.head.n > 0)
		buf_add_span(out, path.head);
	else
		return;
	if (t->query == NULL && t->source == NULL && now.p == NULL)
		now = query;
	if (now.n > 0) {
		buf_add_char(out, '?');
		buf_add_span(out, now);
	}
}

void
explain_request_target(struct explain_request *r,
    const struct explain_target *t)
{
	struct buf text;

	buf_init(&text, 2 * EXPLAIN_REQUEST_MAX);
	if (t->path != NULL) {
		explain_request_drop(r, SPAN("PATH_INFO"));
		explain_request_set(r, SPAN("SCRIPT_NAME"), span_of(t->path));
	}
	if (t->query != NULL || t->source != NULL) {
		make_query(t, &text);
		explain_request_set(r, SPAN("QUERY_STRING"),
		    text.n == 0 ? nothing : buf_span(&text));
	}
	if (t->path != NULL || t->query != NULL || t->source != NULL) {
		buf_clear(&text);
		make_uri(r, t, &text);
		if (text.n > 0)
			explain_request_set(r, SPAN("REQUEST_URI"),
			    buf_span(&text));
	}
	r->failed |= text.failed;
	buf_free(&text);
}

/* --- a saved environment --- */

#define NO_EQUALS                                                           \
	"no '='; where a value has line breaks, save the environment with " \
	"env -0"

static const char *
take_plain(struct explain_request *r, struct span line)
{
	struct span value = line, name = { NULL, 0 };

	span_cut(&value, '=', &name);
	if (value.p == NULL)
		return NO_EQUALS;
	if (!vars_name_valid(name))
		return "what stands before the '=' is no variable's name";
	explain_request_add(r, name, value);
	return NULL;
}

/*
 * Takes one piece of a shell's word off *s, and adds what it stands for: a
 * quoted one, or a byte.  False for what cannot be read in one way alone.
 */
static bool
unquote(struct span *s, struct buf *out)
{
	char quote = *s->p;

	if (quote == '$' || quote == '`' || quote == ' ' || quote == '\t')
		return false;
	if (quote != '\'' && quote != '"') {
		if (quote == '\\')
			*s = span_skip(*s, 1);
		if (s->n == 0)
			return false;
		buf_add_char(out, *s->p);
		*s = span_skip(*s, 1);
		return true;
	}
	for (*s = span_skip(*s, 1); s->n > 0 && *s->p != quote;
	     *s = span_skip(*s, 1)) {
		if (quote == '"' && *s->p == '\\' && s->n > 1 &&
		    strchr("$`\"\\", s->p[1]) != NULL && s->p[1] != '\0')
			*s = span_skip(*s, 1);
		buf_add_char(out, *s->p);
	}
	if (s->n == 0)
		return false;
	*s = span_skip(*s, 1);
	return true;
}

/* What stands behind "export" or "declare -x"; nothing is unset. */
static const char *
take_shell(struct explain_request *r, struct span word)
{
	struct span value = word, name = { NULL, 0 };
	struct buf text;
	bool good = true;

	span_cut(&value, '=', &name);
	if (!vars_name_valid(name))
		return "what the shell exports is no variable";
	if (value.p == NULL)
		return NULL;
	buf_init(&text, EXPLAIN_REQUEST_MAX);
	while (good && value.n > 0)
		good = unquote(&value, &text);
	if (good)
		explain_request_add(r, name,
		    text.n == 0 ? nothing : buf_span(&text));
	r->failed |= text.failed;
	buf_free(&text);
	return good ? NULL :
		      "a quote that this line does not end, or $'...'; save "
		      "the environment with env -0";
}

/* The rest of a line that `export -p` has printed. */
static bool
is_shell(struct span line, struct span *word)
{
	struct span rest;

	if (span_starts(line, SPAN("export "))) {
		*word = span_skip(line, sizeof("export ") - 1);
		return true;
	}
	if (!span_starts(line, SPAN("declare -")))
		return false;
	rest = span_skip(line, sizeof("declare -") - 1);
	while (rest.n > 0 && span_lower(*rest.p) >= 'a' &&
	    span_lower(*rest.p) <= 'z')
		rest = span_skip(rest, 1);
	if (rest.n == 0 || *rest.p != ' ')
		return false;
	*word = span_skip(rest, 1);
	return true;
}

static const char *
take_line(struct explain_request *r, struct span line)
{
	struct span word;

	return is_shell(line, &word) ? take_shell(r, word) :
				       take_plain(r, line);
}

/* The front drops names that are none, so any will do here. */
static const char *
take_entry(struct explain_request *r, struct span entry)
{
	struct span value = entry, name = { NULL, 0 };

	/* what pads the memory that the kernel shows */
	if (entry.n == 0)
		return NULL;
	span_cut(&value, '=', &name);
	if (value.p == NULL)
		return "no '='";
	explain_request_add(r, name, value);
	return NULL;
}

const char *
explain_request_text(struct explain_request *r, struct span text, unsigned *at)
{
	bool zero = text.n > 0 && memchr(text.p, '\0', text.n) != NULL;
	char end = zero ? '\0' : '\n';
	const char *fault = NULL;
	struct span piece;
	size_t was = r->n;

	if (text.n > 0 && text.p[text.n - 1] == end)
		text.n--;
	*at = 0;
	while (fault == NULL && span_cut(&text, end, &piece)) {
		++*at;
		if (r->n == EXPLAIN_REQUEST_VARS)
			return "more than 65536 variables";
		fault = zero ? take_entry(r, piece) : take_line(r, piece);
	}
	if (fault != NULL || r->n > was)
		return fault;
	*at = 0;
	return "holds no variable";
}

/* NULL, or why not; a file that is too large is left as it is. */
static const char *
read_all(int fd, struct buf *out)
{
	size_t room = 65536;
	ssize_t got;

	do {
		char *to = buf_room(out, room);

		if (to == NULL)
			return out->n + room > out->max ?
			    "is too large; at most 4M" :
			    strerror(ENOMEM);
		got = read(fd, to, room);
		if (got > 0)
			out->n += (size_t)got;
	} while (got > 0 || (got == -1 && errno == EINTR));
	return got == -1 ? strerror(errno) : NULL;
}

static int
take_file(struct explain_request *r, const char *file, struct span text)
{
	unsigned at;
	const char *fault = explain_request_text(r, text, &at);

	if (fault == NULL)
		return EX_OK;
	return at == 0 ? tool_fail(EX_DATAERR, "%s: %s", file, fault) :
			 tool_fail(EX_DATAERR, "%s:%u: %s", file, at, fault);
}

int
explain_request_file(struct explain_request *r, const char *file)
{
	bool own = strcmp(file, "-") != 0;
	int fd =
	    own ? open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY) : STDIN_FILENO;
	const char *fault;
	struct buf text;
	int status;

	if (fd == -1)
		return tool_fail(EX_NOINPUT, "%s: %s", file, strerror(errno));
	buf_init(&text, EXPLAIN_REQUEST_MAX + 65536);
	fault = read_all(fd, &text);
	status = fault != NULL ? tool_fail(EX_NOINPUT, "%s: %s", file, fault) :
				 take_file(r, file, buf_span(&text));
	buf_free(&text);
	if (own)
		close(fd);
	return status;
}

void
explain_request_free(struct explain_request *r)
{
	arena_free(&r->arena);
	free(r->vars);
	*r = (struct explain_request){ .n = 0 };
}
