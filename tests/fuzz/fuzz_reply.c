/*
 * The first byte chooses which fields are ours and how they are used (see
 * rules_of()); the rest is a handler's output.
 */
#include <string.h>

#include "fuzz.h"
#include "policy.h"
#include "reply.h"

enum { MAX = 2048 };

#define F(name, value)                           \
	{                                        \
		{ name, sizeof(name) - 1 },      \
		{                                \
			value, sizeof(value) - 1 \
		}                                \
	}

#define SOURCE "AMP-Access-Control-Allow-Source-Origin"
#define EXPOSE "Access-Control-Expose-Headers"

static const struct field ours[] = {
	F("Vary",
	    "Origin, AMP-Email-Sender"), /* mode = report has this alone */
	F("AMP-Email-Allow-Sender", "a@b.example"), /* version 2: 2 */
	F(EXPOSE, ""),                              /* a playground: 3 */
	F("Access-Control-Allow-Origin", "https://mail.google.com"),
	F(SOURCE, "a@b.example"),
	F("Access-Control-Allow-Credentials", "true"),
};

static const struct field version_1[] = {
	F(EXPOSE, SOURCE ", X-Mine"),
	F("Access-Control-Allow-Origin", "https://mail.google.com"),
	F(SOURCE, "a@b.example"),
	F("Vary", "Origin, AMP-Email-Sender"),
};

static struct reply_rules
rules_of(unsigned char letter)
{
	static const size_t counts[] = { 1, 2, 3 };
	struct reply_rules rules = {
		.add = ours,
		.rule = policy_field,
		.pass_redirects = (letter & 4) != 0,
		.head_only = (letter & 8) != 0,
		.max_header = MAX,
	};

	if ((letter & 3) == 3) {
		rules.add = version_1;
		rules.nadd = sizeof(version_1) / sizeof(*version_1);
	} else
		rules.nadd = counts[letter & 3];
	if ((letter & 3) == 0)
		rules.rule = NULL;
	return rules;
}

struct answer {
	struct reply r;
	struct buf body;
};

static void
feed(struct answer *a, struct span in)
{
	enum reply_state before = a->r.state, after;
	size_t used = SIZE_MAX;
	struct span body;

	after = reply_head(&a->r, in, &used);
	FUZZ_HOLDS(after == a->r.state && used <= in.n);
	FUZZ_HOLDS(before == REPLY_MORE || (after == before && used == 0));
	if (after != REPLY_READY)
		return;
	in = span_skip(in, used);
	body = reply_body(&a->r, in);
	FUZZ_HOLDS(body.n <= in.n);
	FUZZ_HOLDS(body.n == 0 || memcmp(body.p, in.p, body.n) == 0);
	buf_add_span(&a->body, body);
}

static void
run(struct answer *a, const struct reply_rules *rules, struct span in,
    size_t first, size_t rest)
{
	reply_init(&a->r, rules);
	buf_init(&a->body, SIZE_MAX);
	for (size_t at = 0, n = first; at < in.n; at += n, n = rest) {
		char *piece;

		if (n > in.n - at)
			n = in.n - at;
		piece = malloc(n > 0 ? n : 1);
		if (piece == NULL)
			abort();
		memcpy(piece, in.p + at, n);
		feed(a, (struct span){ piece, n });
		free(piece);
	}
}

static void
answer_free(struct answer *a)
{
	reply_free(&a->r);
	buf_free(&a->body);
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void
check_same(const struct answer *a, const struct answer *b)
{
	FUZZ_HOLDS(a->r.state == b->r.state && a->r.status == b->r.status);
	FUZZ_HOLDS(same_text(a->r.fault, b->r.fault));
	FUZZ_HOLDS(same_text(a->r.warning, b->r.warning));
	FUZZ_HOLDS(reply_end(&a->r) == reply_end(&b->r));
	FUZZ_HOLDS((a->r.fault == NULL) == (reply_end(&a->r) == REASON_OK));
	if (a->r.state != REPLY_READY)
		return;
	FUZZ_HOLDS(span_eq(buf_span(&a->r.out), buf_span(&b->r.out)));
	FUZZ_HOLDS(span_eq(buf_span(&a->body), buf_span(&b->body)));
}

/* The next line of what we wrote, which nothing but its end can end. */
static bool
next_field(struct span *rest, struct field *f)
{
	struct span line;
	const char *colon;

	FUZZ_HOLDS(span_cut(rest, '\n', &line));
	FUZZ_HOLDS(line.n > 0 && line.p[line.n - 1] == '\r');
	line.n--;
	for (size_t i = 0; i < line.n; i++) {
		unsigned char c = (unsigned char)line.p[i];

		FUZZ_HOLDS(c == '\t' || (c >= ' ' && c != 0x7f));
	}
	if (line.n == 0)
		return false;
	colon = memchr(line.p, ':', line.n);
	FUZZ_HOLDS(colon != NULL && colon > line.p && colon[1] == ' ');
	f->name = (struct span){ line.p, (size_t)(colon - line.p) };
	f->value = span_skip(line, f->name.n + 2);
	return true;
}

static bool
is_list(struct span name)
{
	return span_caseeq(name, SPAN("Vary")) ||
	    span_caseeq(name, SPAN(EXPOSE));
}

static size_t
times(struct span list, struct span name)
{
	struct span one;
	size_t n = 0;

	while (span_cut(&list, ',', &one))
		n += span_caseeq(span_trim(one), name);
	return n;
}

/* Each name once, ours among them, and nothing that must not be there. */
static void
check_list(const struct field *our, struct span list)
{
	struct span rest = list, one, want = our->value;
	bool any = span_eq(list, SPAN("*"));

	while (span_cut(&rest, ',', &one))
		FUZZ_HOLDS(times(list, span_trim(one)) == 1);
	while (span_cut(&want, ',', &one))
		FUZZ_HOLDS(any || times(list, span_trim(one)) == 1);
	if (span_caseeq(our->name, SPAN("Vary")))
		return;
	FUZZ_HOLDS(list.n > 0 && times(list, SPAN("*")) == 0);
	FUZZ_HOLDS(times(list, SPAN("AMP-Email-Allow-Sender")) == 0);
}

static void
check_our(const struct field *our, struct span block)
{
	struct field f;
	size_t n = 0;

	while (next_field(&block, &f)) {
		if (!span_caseeq(f.name, our->name))
			continue;
		n++;
		FUZZ_HOLDS(span_eq(f.name, our->name));
		if (is_list(f.name))
			check_list(our, f.value);
		else
			FUZZ_HOLDS(span_eq(f.value, our->value));
	}
	FUZZ_HOLDS(n == 1 || (n == 0 && our->value.n == 0));
}

static bool
is_ours(const struct reply_rules *rules, struct span name)
{
	for (size_t i = 0; i < rules->nadd; i++)
		if (span_caseeq(name, rules->add[i].name))
			return true;
	return false;
}

/* What must not be in any answer, but from us. */
static void
check_foreign(const struct reply_rules *rules, const struct field *f)
{
	static const char *const never[] = { "Status", "Connection",
		"Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade",
		"Transfer-Encoding" };

	for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
		FUZZ_HOLDS(!span_caseeq(f->name, span_of(never[i])));
	FUZZ_HOLDS(is_ours(rules, f->name) || rules->rule == NULL ||
	    rules->rule(f->name) == FIELD_PASS);
}

static void
check_ready(const struct answer *a, const struct reply_rules *rules)
{
	struct span block = buf_span(&a->r.out), rest = block;
	struct field f;
	uint64_t status;

	FUZZ_HOLDS(next_field(&rest, &f) && span_eq(f.name, SPAN("Status")));
	FUZZ_HOLDS(f.value.n > 4 && f.value.p[3] == ' ');
	for (size_t i = 0; i < f.value.n; i++)
		FUZZ_HOLDS(f.value.p[i] == ' ' || span_graph(f.value.p[i]));
	f.value.n = 3;
	FUZZ_HOLDS(span_number(f.value, 599, &status));
	FUZZ_HOLDS(status == a->r.status && status >= 200);
	while (next_field(&rest, &f))
		check_foreign(rules, &f);
	FUZZ_HOLDS(rest.n == 0);
	for (size_t i = 0; i < rules->nadd; i++)
		check_our(&rules->add[i], block);
	FUZZ_HOLDS(status / 100 != 3 || status == 304 || a->r.warning != NULL);
	FUZZ_HOLDS(a->r.warning == NULL || rules->pass_redirects);
	FUZZ_HOLDS(a->body.n == 0 || !a->r.bodiless);
	FUZZ_HOLDS(!a->r.head.has_length || a->body.n <= a->r.head.length);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	struct reply_rules rules;
	struct answer whole, two, bytes;
	size_t cut = 0;

	if (size == 0)
		return 0;
	rules = rules_of(data[0]);
	in = span_skip(in, 1);
	for (size_t i = 0; i < size; i++)
		cut = cut * 31 + data[i];
	run(&whole, &rules, in, in.n, 1);
	run(&two, &rules, in, cut % size, in.n);
	run(&bytes, &rules, in, 1, 1);
	check_same(&whole, &two);
	check_same(&whole, &bytes);
	if (whole.r.state == REPLY_READY)
		check_ready(&whole, &rules);
	answer_free(&whole);
	answer_free(&two);
	answer_free(&bytes);
	return 0;
}
