#include "cgihead.h"

#include <stdlib.h>
#include <string.h>

void
cgihead_init(struct cgihead *h, size_t max)
{
	*h = (struct cgihead){ .state = CGIHEAD_MORE };
	buf_init(&h->raw, max);
}

static void
bad(struct cgihead *h, const char *fault)
{
	h->state = CGIHEAD_BAD;
	h->fault = fault;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* tchar of RFC 9110 5.6.2 */
static bool
is_token(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = span_lower(s.p[i]);

		if ((c < 'a' || c > 'z') && !is_digit(c) &&
		    (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
			return false;
	}
	return s.n > 0;
}

static const char *
control_fault(struct span line)
{
	for (size_t i = 0; i < line.n; i++) {
		unsigned char c = (unsigned char)line.p[i];

		if (c == '\r')
			return "a CR that no LF follows"; /* E42 */
		if (c == 0x7f || (c < ' ' && c != '\t'))
			return "a control byte in a header field";
	}
	return NULL;
}

/* E46: "HTTP/1.1 201 Created" stands for "Status: 201 Created". */
static bool
read_status_line(struct span line, struct field *out)
{
	if (!span_starts(line, SPAN("HTTP/1.")) || line.n < 9 ||
	    !is_digit(line.p[7]) || line.p[8] != ' ')
		return false;
	out->name = SPAN("Status");
	out->value = span_trim(span_skip(line, 9));
	return true;
}

/* One line without its end; the fault, or NULL. */
static const char *
read_line(struct span line, bool first, struct field *out)
{
	const char *colon, *fault = control_fault(line);

	if (fault != NULL)
		return fault;
	if (first && read_status_line(line, out))
		return NULL;
	if (line.p[0] == ' ' || line.p[0] == '\t')
		return "a folded header line";
	colon = memchr(line.p, ':', line.n);
	if (colon == NULL)
		return "a header line without a colon";
	out->name = (struct span){ line.p, (size_t)(colon - line.p) };
	if (!is_token(out->name))
		return "a bad header field name";
	out->value = span_trim(span_skip(line, out->name.n + 1));
	return NULL;
}

/* RFC 3875 6.3.3, E53, E54, E56 */
static const char *
take_status(struct cgihead *h, struct span v)
{
	uint64_t code;

	if (h->status != 0)
		return "two of Status";
	if (v.n < 3 ||
	    !span_number((struct span){ v.p, 3 }, UINT64_MAX, &code) ||
	    (v.n > 3 && v.p[3] != ' ' && v.p[3] != '\t'))
		return "a bad Status";
	if (code < 200 || code > 599)
		return "a Status outside 200 to 599";
	h->status = (unsigned)code;
	h->phrase = span_trim(span_skip(v, 3));
	return NULL;
}

/* E61; no length is INT64_MAX or more, as web servers keep it in an off_t. */
static const char *
take_length(struct cgihead *h, const struct field *f)
{
	uint64_t n;

	if (!span_number(f->value, INT64_MAX, &n))
		return "a bad Content-Length";
	if (h->has_length)
		return n == h->length ? NULL : "two different Content-Length";
	h->has_length = true;
	h->length = n;
	h->fields[h->nfields++] = *f;
	return NULL;
}

static const char *
take_field(struct cgihead *h, const struct field *f)
{
	if (span_caseeq(f->name, SPAN("Status")))
		return take_status(h, f->value);
	if (span_caseeq(f->name, SPAN("Content-Length")))
		return take_length(h, f);
	if (span_caseeq(f->name, SPAN("Transfer-Encoding")))
		return "a Transfer-Encoding"; /* E62 */
	if (span_caseeq(f->name, SPAN("Content-Type")) &&
	    cgihead_find(h, f->name) != NULL)
		return "two of Content-Type";
	if (span_caseeq(f->name, SPAN("Location")) &&
	    cgihead_find(h, f->name) != NULL)
		return "two of Location";
	h->fields[h->nfields++] = *f;
	return NULL;
}

static struct span
chomp(struct span line)
{
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

/*
 * The blank line is there.  Only now do the fields get their addresses: raw
 * moves while it grows.
 */
static void
finish(struct cgihead *h)
{
	struct span rest = buf_span(&h->raw), line;
	const char *fault = NULL;
	size_t lines = h->nfields;

	if (lines == 0) {
		bad(h, "an empty header block"); /* E48 */
		return;
	}
	h->nfields = 0;
	h->fields = calloc(lines, sizeof(*h->fields));
	h->no_memory = h->fields == NULL;
	if (h->no_memory)
		fault = "no memory for the header fields";
	for (size_t i = 0; i < lines && fault == NULL; i++) {
		struct field f;

		span_cut(&rest, '\n', &line);
		fault = read_line(chomp(line), i == 0, &f);
		if (fault == NULL)
			fault = take_field(h, &f);
	}
	h->state = CGIHEAD_DONE;
	if (fault != NULL)
		bad(h, fault);
}

static void
end_line(struct cgihead *h)
{
	/* up to its LF, which is the last byte there is */
	struct span line = { h->raw.p + h->line, h->raw.n - h->line - 1 };
	struct field f;
	const char *fault;

	line = chomp(line);
	if (line.n == 0) {
		finish(h);
		return;
	}
	fault = read_line(line, h->nfields == 0, &f);
	if (fault == NULL && ++h->nfields > CGIHEAD_FIELDS_MAX)
		fault = "too many header fields";
	if (fault != NULL)
		bad(h, fault);
	h->line = h->raw.n;
}

/* Takes in what is there of one line, and says how much that was. */
static size_t
feed_line(struct cgihead *h, struct span in)
{
	const char *lf = memchr(in.p, '\n', in.n);
	size_t n = lf == NULL ? in.n : (size_t)(lf - in.p) + 1;

	/*
	 * Asked before the line is judged, so that a line that is both bad and
	 * too long has the same fault however it arrives.
	 */
	if (n > h->raw.max - h->raw.n) {
		bad(h, "a header block over max_header");
		return n;
	}
	buf_add(&h->raw, in.p, n);
	h->no_memory = h->raw.failed;
	if (h->no_memory)
		bad(h, "no memory for the header block");
	else if (lf != NULL)
		end_line(h);
	return n;
}

enum cgihead_state
cgihead_feed(struct cgihead *h, struct span in, size_t *used)
{
	struct span rest = in;

	while (h->state == CGIHEAD_MORE && rest.n > 0)
		rest = span_skip(rest, feed_line(h, rest));
	*used = h->state == CGIHEAD_BAD ? in.n : in.n - rest.n;
	return h->state;
}

const struct field *
cgihead_find(const struct cgihead *h, struct span name)
{
	for (size_t i = 0; i < h->nfields && h->fields != NULL; i++)
		if (span_caseeq(h->fields[i].name, name))
			return &h->fields[i];
	return NULL;
}

void
cgihead_free(struct cgihead *h)
{
	if (h == NULL)
		return;
	free(h->fields);
	h->fields = NULL;
	h->nfields = 0;
	buf_free(&h->raw);
}
