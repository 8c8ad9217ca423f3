/*
 * The input is a letter (see LLVMFuzzerTestOneInput()) and, with '|' between
 * them, endpoint, method, sender, origin, the rule's file, and detail, which is
 * the rest.  What is written must be one line that can be read back.
 */
#include <string.h>

#include "fuzz.h"
#include "logline.h"

enum { FIELDS = 5, OUT_MAX = 1024 };

/* A C string of its own, or NULL for an absent span. */
static char *
string_of(struct span s)
{
	char *p;

	if (s.p == NULL)
		return NULL;
	p = calloc(1, s.n + 1);
	if (p == NULL)
		abort();
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

static bool
take(struct span *in, const char *word)
{
	if (!span_starts(*in, span_of(word)))
		return false;
	*in = span_skip(*in, strlen(word));
	return true;
}

static char
unhex(char high, char low)
{
	static const char digits[] = "0123456789abcdef";
	const char *h = strchr(digits, high), *l = strchr(digits, low);

	FUZZ_HOLDS(high != '\0' && h != NULL && low != '\0' && l != NULL);
	return (char)((h - digits) << 4 | (l - digits));
}

/* The next byte of a quoted value, decoded. */
static char
take_byte(struct span *in, const char *escape)
{
	char c;

	if (take(in, escape)) {
		FUZZ_HOLDS(in->n > 2);
		c = unhex(in->p[0], in->p[1]);
		*in = span_skip(*in, 2);
		return c;
	}
	FUZZ_HOLDS(in->n > 0 && in->p[0] != '\\');
	c = in->p[0];
	*in = span_skip(*in, 1);
	return c;
}

/* Reads a quoted value to its closing quote. */
static size_t
take_quoted(struct span *in, enum logline_format format, char out[OUT_MAX])
{
	size_t n = 0;

	FUZZ_HOLDS(take(in, "\""));
	while (!take(in, "\"")) {
		FUZZ_HOLDS(n < OUT_MAX);
		out[n++] =
		    take_byte(in, format == LOGLINE_JSON ? "\\u00" : "\\x");
	}
	return n;
}

/* got is want, or its beginning and "...". */
static bool
is_value(struct span got, struct span want)
{
	if (span_eq(got, want))
		return true;
	return got.n > 3 && want.n > got.n - 3 && want.n > 50 &&
	    memcmp(got.p + got.n - 3, "...", 3) == 0 &&
	    memcmp(got.p, want.p, got.n - 3) == 0;
}

/* One value of the rest of a line, under this key. */
static void
check_value(struct span *in, enum logline_format format, const char *key,
    struct span want)
{
	static char text[OUT_MAX];
	struct span got = { text, 0 };
	bool json = format == LOGLINE_JSON;

	FUZZ_HOLDS(take(in, json ? ",\"" : " ") && take(in, key) &&
	    take(in, json ? "\":" : "="));
	if (want.p == NULL && take(in, json ? "null" : "-"))
		return;
	FUZZ_HOLDS(want.p != NULL);
	if (json || (in->n > 0 && in->p[0] == '"')) {
		got.n = take_quoted(in, format, text);
		FUZZ_HOLDS(is_value(got, want));
		return;
	}
	/* a bare word */
	FUZZ_HOLDS(span_starts(*in, want));
	*in = span_skip(*in, want.n);
	FUZZ_HOLDS(in->n == 0 || in->p[0] == ' ' || in->p[0] == '\n');
}

static const char text_head[] =
    "2026-11-21T10:00:00.000Z 0000002a deny 403 sender-not-allowed";
static const char json_head[] =
    "{\"time\":\"2026-11-21T10:00:00.000Z\",\"id\":\"0000002a\","
    "\"decision\":\"deny\",\"status\":403,"
    "\"reason\":\"sender-not-allowed\"";

static void
check_full(struct span in, enum logline_format format, const struct logline *l)
{
	bool json = format == LOGLINE_JSON;
	bool dash = l->endpoint != NULL && strcmp(l->endpoint, "-") == 0;
	char *rule;

	FUZZ_HOLDS(take(&in, json ? json_head : text_head));
	FUZZ_HOLDS(take(&in, json ? ",\"version\":2" : " version=2"));
	check_value(&in, format, "endpoint",
	    span_of(dash ? NULL : l->endpoint));
	check_value(&in, format, "method", l->method);
	check_value(&in, format, "sender", l->sender);
	check_value(&in, format, "origin", l->origin);
	if (l->rule.file != NULL && strlen(l->rule.file) < 80) {
		rule = malloc(strlen(l->rule.file) + 8);
		if (rule == NULL)
			abort();
		strcat(strcpy(rule, l->rule.file), ":7");
		check_value(&in, format, "rule", span_of(rule));
		free(rule);
		FUZZ_HOLDS(take(&in, json ? ",\"ms\":3" : " ms=3"));
		if (l->detail != NULL)
			check_value(&in, format, "detail", span_of(l->detail));
		FUZZ_HOLDS(take(&in, json ? "}\n" : "\n") && in.n == 0);
	}
}

static bool
contains(struct span s, struct span what)
{
	for (size_t i = 0; i + what.n <= s.n; i++)
		if (memcmp(s.p + i, what.p, what.n) == 0)
			return true;
	return false;
}

/* A local part that begins with MARK is nowhere in a line that hides it. */
#define MARK "qzqzqz"

static void
check_hidden(enum logline_format format, enum logline_senders senders,
    struct span text)
{
	struct logline l = { .decision = "deny" };
	struct buf out, detail;

	if (contains(text, SPAN("qz")) ||
	    (text.n > 0 && memchr(text.p, '\0', text.n) != NULL))
		return;
	buf_init(&out, LOGLINE_MAX);
	buf_init(&detail, SIZE_MAX);
	buf_add_str(&detail, MARK);
	buf_add_span(&detail, text);
	l.sender = (struct span){ detail.p, detail.n };
	buf_add_str(&detail, ", " MARK);
	buf_add_span(&detail, text);
	buf_add_char(&detail, '\0');
	l.sender.p = l.detail = detail.p;
	logline_add(&out, format, senders, &l);
	FUZZ_HOLDS(!contains(buf_span(&out), SPAN("qz")));
	buf_free(&out);
	buf_free(&detail);
}

static void
check_line(enum logline_format format, enum logline_senders senders,
    const struct logline *l)
{
	struct buf out;

	buf_init(&out, LOGLINE_MAX);
	logline_add(&out, format, senders, l);
	FUZZ_HOLDS(!out.failed && out.n > 0 && out.p[out.n - 1] == '\n');
	for (size_t i = 0; i + 1 < out.n; i++)
		FUZZ_HOLDS(out.p[i] == ' ' || span_graph(out.p[i]));
	if (senders == LOGLINE_FULL)
		check_full(buf_span(&out), format, l);
	else
		check_hidden(format, senders, l->sender);
	buf_free(&out);
}

/*
 * The letter: a text, f JSON, both of log_senders = full; c text, b JSON of
 * domain; e text, d JSON of none.
 */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data, size }, part[FIELDS];
	struct logline l = { .at = { 1795255200, 0 },
		.id = 42,
		.decision = "deny",
		.reason = REASON_SENDER_NOT_ALLOWED,
		.status = 403,
		.version = 2,
		.ms = 3 };
	char *endpoint, *file, *detail;

	if (size == 0)
		return 0;
	rest = span_skip(rest, 1);
	for (size_t i = 0; i < FIELDS; i++) {
		part[i] = (struct span){ NULL, 0 };
		span_cut(&rest, '|', &part[i]);
	}
	l.endpoint = endpoint = string_of(part[0]);
	l.method = part[1];
	l.sender = part[2];
	l.origin = part[3];
	l.rule.file = file = string_of(part[4]);
	l.rule.line = 7;
	l.detail = detail = string_of(rest);
	check_line(data[0] & 1 ? LOGLINE_TEXT : LOGLINE_JSON,
	    (enum logline_senders)(data[0] / 2 % 3), &l);
	free(endpoint);
	free(file);
	free(detail);
	return 0;
}
