#include "reply.h"

#include <string.h>

/* More names than this in one merged list are an answer gone wrong. */
enum { NAMES_MAX = 256 };

/* The names of one merged list, each once. */
struct names {
	size_t n;
	bool over;
	struct span name[NAMES_MAX];
};

/*
 * A ceiling that no block reaches whose parts are within theirs: a field grows
 * by two bytes at most ("a:b\n" to "a: b\r\n"), a list by one for each name.
 */
static size_t
out_max(const struct reply_rules *rules)
{
	size_t n = 4096;

	for (size_t i = 0; i < rules->nadd; i++)
		n += rules->add[i].name.n + 2 * rules->add[i].value.n + 4;
	return rules->max_header > (SIZE_MAX - n) / 2 ?
	    SIZE_MAX :
	    n + 2 * rules->max_header;
}

void
reply_init(struct reply *r, const struct reply_rules *rules)
{
	*r = (struct reply){
		.state = REPLY_MORE,
		.rules = *rules,
		.left = UINT64_MAX,
		.fault = "it wrote nothing",
	};
	cgihead_init(&r->head, rules->max_header);
	buf_init(&r->out, out_max(rules));
}

static void
add_field(struct buf *out, struct span name, struct span value)
{
	buf_add_span(out, name);
	buf_add_str(out, ": ");
	buf_add_span(out, value);
	buf_add_str(out, "\r\n");
}

static void
add_status(struct buf *out, unsigned status, struct span phrase)
{
	buf_add_str(out, "Status: ");
	buf_add_number(out, status);
	buf_add_char(out, ' ');
	buf_add_span(out, phrase);
	buf_add_str(out, "\r\n");
}

/* The handler's own words, unless there are none or they are not ASCII. */
static struct span
phrase_of(const struct reply *r)
{
	struct span own = r->head.phrase;

	for (size_t i = 0; i < own.n; i++)
		if (own.p[i] != ' ' && !span_graph(own.p[i]))
			own.n = 0;
	return own.n > 0 ? own : span_of(reason_phrase(r->status));
}

/* RFC 3986 3.1: a scheme and its colon */
static bool
is_absolute(struct span uri)
{
	for (size_t i = 0; i < uri.n; i++) {
		char c = span_lower(uri.p[i]);

		if (c >= 'a' && c <= 'z')
			continue;
		if (i > 0 && c == ':')
			return true;
		if (i == 0 ||
		    ((c < '0' || c > '9') && c != '+' && c != '-' && c != '.'))
			return false;
	}
	return false;
}

/*
 * The status that goes out; 0 where the answer is a redirect that may not
 * leave [SPEC 4.6, E59, E60].  Every 3xx but 304 counts as one, with a Location
 * or without: mail clients fail on them all alike.
 */
static unsigned
choose_status(struct reply *r)
{
	const struct field *to = cgihead_find(&r->head, SPAN("Location"));
	unsigned status = r->head.status;

	if (status == 0)
		status = to == NULL ? 200 : 302;
	if (status / 100 != 3 || status == 304)
		return status;
	r->fault = "a redirect, which no mail client follows";
	if (!r->rules.pass_redirects)
		return 0;
	if (to != NULL && !is_absolute(to->value)) {
		r->fault = "a redirect to a place without a scheme";
		return 0;
	}
	r->warning = "a redirect has left, which no mail client follows";
	return status;
}

/* The next element of a comma-separated list that is not empty. */
static bool
next_element(struct span *list, struct span *element)
{
	while (span_cut(list, ',', element)) {
		*element = span_trim(*element);
		if (element->n > 0)
			return true;
	}
	return false;
}

static bool
named_by_connection(const struct reply *r, struct span name)
{
	for (size_t i = 0; i < r->head.nfields; i++) {
		const struct field *f = &r->head.fields[i];
		struct span rest = f->value, element;

		if (!span_caseeq(f->name, SPAN("Connection")))
			continue;
		while (next_element(&rest, &element))
			if (span_caseeq(element, name))
				return true;
	}
	return false;
}

/* Fields that end at the next hop [SPEC 4.4, E63]. */
static bool
is_hop_by_hop(const struct reply *r, struct span name)
{
	static const char *const hop[] = { "Connection", "Keep-Alive",
		"Proxy-Connection", "TE", "Trailer", "Upgrade" };

	for (size_t i = 0; i < sizeof(hop) / sizeof(*hop); i++)
		if (span_caseeq(name, span_of(hop[i])))
			return true;
	return named_by_connection(r, name);
}

static bool
is_ours(const struct reply_rules *rules, struct span name)
{
	for (size_t i = 0; i < rules->nadd; i++)
		if (span_caseeq(name, rules->add[i].name))
			return true;
	return false;
}

static bool
passes(const struct reply *r, struct span name)
{
	if (is_ours(&r->rules, name) || is_hop_by_hop(r, name))
		return false;
	if (r->rules.rule != NULL && r->rules.rule(name) != FIELD_PASS)
		return false;
	/* RFC 9110 8.6: a 204 has none. */
	return r->status != 204 || !span_caseeq(name, SPAN("Content-Length"));
}

static void
names_add(struct names *names, struct span name)
{
	for (size_t i = 0; i < names->n; i++)
		if (span_caseeq(names->name[i], name))
			return;
	if (names->n == NAMES_MAX)
		names->over = true;
	else
		names->name[names->n++] = name;
}

static void
names_add_list(struct names *names, struct span list)
{
	struct span element;

	while (next_element(&list, &element))
		names_add(names, element);
}

/* "*" says all that there is to say [SPEC 4.4]. */
static void
names_settle_vary(struct names *names)
{
	for (size_t i = 0; i < names->n; i++) {
		if (span_eq(names->name[i], SPAN("*"))) {
			names->name[0] = names->name[i];
			names->n = 1;
		}
	}
}

/* These two never stand in Access-Control-Expose-Headers [SPEC 2.3, 4.4]. */
static void
names_settle_expose(struct names *names)
{
	size_t n = 0;

	for (size_t i = 0; i < names->n; i++)
		if (!span_eq(names->name[i], SPAN("*")) &&
		    !span_caseeq(names->name[i],
			SPAN("AMP-Email-Allow-Sender")))
			names->name[n++] = names->name[i];
	names->n = n;
}

/* Our list, and behind it what the handler's fields of that name add. */
static void
merge(const struct reply *r, const struct field *our, struct names *names)
{
	names_add_list(names, our->value);
	if (named_by_connection(r, our->name))
		return;
	for (size_t i = 0; i < r->head.nfields; i++)
		if (span_caseeq(r->head.fields[i].name, our->name))
			names_add_list(names, r->head.fields[i].value);
}

/* False where the list has grown beyond all sense. */
static bool
add_merged(struct reply *r, const struct field *our, bool vary)
{
	struct names names;

	names.n = 0;
	names.over = false;
	merge(r, our, &names);
	if (names.over)
		return false;
	if (vary)
		names_settle_vary(&names);
	else
		names_settle_expose(&names);
	for (size_t i = 0; i < names.n; i++) {
		if (i == 0) {
			buf_add_span(&r->out, our->name);
			buf_add_str(&r->out, ": ");
		} else
			buf_add_str(&r->out, ", ");
		buf_add_span(&r->out, names.name[i]);
	}
	if (names.n > 0)
		buf_add_str(&r->out, "\r\n");
	return true;
}

static bool
add_our_field(struct reply *r, const struct field *our)
{
	if (span_caseeq(our->name, SPAN("Vary")))
		return add_merged(r, our, true);
	if (span_caseeq(our->name, SPAN("Access-Control-Expose-Headers")))
		return add_merged(r, our, false);
	add_field(&r->out, our->name, our->value);
	return true;
}

static enum reply_state
refuse(struct reply *r, const char *fault)
{
	r->status = 0;
	r->fault = fault;
	return REPLY_BAD;
}

static enum reply_state
make_head(struct reply *r)
{
	const struct reply_rules *rules = &r->rules;

	r->status = choose_status(r);
	if (r->status == 0)
		return REPLY_REDIRECT;
	add_status(&r->out, r->status, phrase_of(r));
	for (size_t i = 0; i < r->head.nfields; i++) {
		const struct field *f = &r->head.fields[i];

		if (passes(r, f->name))
			add_field(&r->out, f->name, f->value);
	}
	for (size_t i = 0; i < rules->nadd; i++)
		if (!add_our_field(r, &rules->add[i]))
			return refuse(r, "a list of too many names");
	buf_add_str(&r->out, "\r\n");
	r->no_memory = r->out.failed;
	if (r->no_memory)
		return refuse(r, "no memory for the header block");
	return REPLY_READY;
}

/* E61, E64 */
static void
start_body(struct reply *r)
{
	r->bodiless =
	    r->rules.head_only || r->status == 204 || r->status == 304;
	if (r->bodiless)
		r->left = 0;
	else if (r->head.has_length)
		r->left = r->head.length;
	r->fault = r->left == 0 || r->left == UINT64_MAX ?
	    NULL :
	    "its body is shorter than its Content-Length";
}

enum reply_state
reply_head(struct reply *r, struct span in, size_t *used)
{
	*used = 0;
	if (r->state != REPLY_MORE)
		return r->state;
	switch (cgihead_feed(&r->head, in, used)) {
	case CGIHEAD_MORE:
		if (r->head.raw.n > 0)
			r->fault = "it ended within its header block";
		break;
	case CGIHEAD_BAD:
		r->no_memory = r->head.no_memory;
		r->state = refuse(r, r->head.fault);
		break;
	case CGIHEAD_DONE:
		r->state = make_head(r);
		if (r->state == REPLY_READY)
			start_body(r);
		break;
	}
	return r->state;
}

struct span
reply_body(struct reply *r, struct span in)
{
	if (in.n > 0 && r->left > 0 && !r->untyped)
		r->untyped =
		    cgihead_find(&r->head, SPAN("Content-Type")) == NULL;
	if (r->left == UINT64_MAX)
		return in;
	if (in.n > r->left)
		in.n = (size_t)r->left;
	r->left -= in.n;
	if (r->left == 0)
		r->fault = NULL;
	return in;
}

enum reason
reply_end(const struct reply *r)
{
	bool whole = r->status != 0 && (r->left == 0 || r->left == UINT64_MAX);

	return whole ? REASON_OK : REASON_HANDLER_BAD_ANSWER;
}

void
reply_free(struct reply *r)
{
	if (r == NULL)
		return;
	cgihead_free(&r->head);
	buf_free(&r->out);
}

/* The JSON body of SPEC 2.10; words and sentences need no escaping. */
static void
add_error(struct buf *out, const char *word, const char *text)
{
	buf_add_str(out, "{\"error\":{\"code\":\"");
	buf_add_str(out, word);
	buf_add_str(out, "\",\"message\":\"");
	buf_add_str(out, text);
	buf_add_str(out, "\"}}");
}

static size_t
error_length(const char *word, const char *text)
{
	return sizeof("{\"error\":{\"code\":\"\",\"message\":\"\"}}") - 1 +
	    strlen(word) + strlen(text);
}

void
reply_own(struct buf *out, enum reason why, const struct field add[],
    size_t nadd, bool head_only)
{
	unsigned status = reason_status(why);
	const char *word = reason_word(why), *text = reason_text(why);
	bool has_body = status >= 400;

	if (status == 0)
		return;
	add_status(out, status, span_of(reason_phrase(status)));
	if (has_body) {
		buf_add_str(out,
		    "Content-Type: application/json\r\n"
		    "Cache-Control: no-store\r\nContent-Length: ");
		buf_add_number(out, error_length(word, text));
		buf_add_str(out, "\r\n");
	}
	if (why == REASON_BUSY)
		buf_add_str(out, "Retry-After: 1\r\n");
	for (size_t i = 0; i < nadd; i++)
		if (add[i].value.n > 0)
			add_field(out, add[i].name, add[i].value);
	buf_add_str(out, "\r\n");
	if (has_body && !head_only)
		add_error(out, word, text);
}
