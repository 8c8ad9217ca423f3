/*
 * An input whose first byte is a (text) or b (JSON) is, with '|' between them,
 * endpoint, method, sender, origin, the rule's file, and detail, which is the
 * rest: what logline_add() makes of them must be read back as it was.  Any
 * other is a line from anywhere: what is read of it must make a line that says
 * the same.
 */
#include <string.h>

#include "fuzz.h"
#include "logread.h"

enum { FIELDS = 5 };

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

/* got is want, or its beginning where it is too long for a line. */
static bool
is_value(const struct logread_value *got, struct span want)
{
	if (got->s.p == NULL || want.p == NULL)
		return got->s.p == NULL && want.p == NULL;
	if (got->cut)
		return got->s.n <= want.n && want.n > 80 &&
		    memcmp(got->s.p, want.p, got->s.n) == 0;
	return span_eq(got->s, want);
}

static void
check_values(const struct logread *got, const struct logline *l)
{
	struct span endpoint = span_of(l->endpoint);

	if (span_eq(endpoint, SPAN("-")))
		endpoint.p = NULL;
	FUZZ_HOLDS(got->at.tv_sec == l->at.tv_sec &&
	    got->at.tv_nsec == l->at.tv_nsec && got->id == l->id);
	FUZZ_HOLDS(strcmp(policy_word(got->decision), l->decision) == 0 &&
	    got->reason == l->reason && got->status == l->status &&
	    got->version == l->version && got->ms == l->ms);
	FUZZ_HOLDS(is_value(&got->endpoint, endpoint));
	FUZZ_HOLDS(is_value(&got->method, l->method));
	FUZZ_HOLDS(is_value(&got->sender, l->sender));
	FUZZ_HOLDS(is_value(&got->origin, l->origin));
	FUZZ_HOLDS(is_value(&got->file, span_of(l->rule.file)));
	FUZZ_HOLDS(l->rule.file == NULL || got->line == l->rule.line);
	FUZZ_HOLDS(is_value(&got->detail, span_of(l->detail)));
}

/* Written, and read back: alone, and behind what syslog puts before it. */
static void
round_trip(enum logline_format format, enum logline_senders senders,
    const struct logline *l)
{
	static const char before[] = "Nov 22 04:49:35 host name[1]: ";
	static struct logread got;
	struct buf out;

	buf_init(&out, 2 * LOGLINE_MAX);
	buf_add_str(&out, before);
	logline_add(&out, format, senders, l);
	FUZZ_HOLDS(!out.failed);
	out.n--;
	FUZZ_HOLDS(logread_line(buf_span(&out), &got));
	check_values(&got, l);
	FUZZ_HOLDS(
	    logread_line(span_skip(buf_span(&out), sizeof(before) - 1), &got));
	check_values(&got, l);
	FUZZ_HOLDS(got.has_sender == (senders == LOGLINE_FULL));
	buf_free(&out);
}

static void
try_values(struct span rest, enum logline_format format)
{
	struct logline l = { .at = { 1795255200, 123000000 },
		.id = 42,
		.decision = "deny",
		.reason = REASON_SENDER_NOT_ALLOWED,
		.status = 403,
		.version = 2,
		.ms = 3 };
	struct span part[FIELDS];
	char *endpoint, *file, *detail;

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
	round_trip(format, LOGLINE_FULL, &l);
	free(endpoint);
	free(file);
	free(detail);
}

static bool
has_nul(const struct logread_value *v)
{
	return v->s.n > 0 && memchr(v->s.p, '\0', v->s.n) != NULL;
}

/* What was read of a line from anywhere, written again. */
static void
write_again(const struct logread *l)
{
	char *endpoint = string_of(l->endpoint.s);
	char *file = string_of(l->file.s), *detail = string_of(l->detail.s);
	const struct logline again = {
		.at = l->at,
		.id = l->id,
		.decision = policy_word(l->decision),
		.reason = l->reason,
		.status = l->status,
		.version = l->version,
		.endpoint = endpoint,
		.method = l->method.s,
		.sender = l->sender.s,
		.origin = l->origin.s,
		.rule = { file, l->line },
		.ms = l->ms,
		.detail = detail,
	};
	enum logline_senders senders =
	    l->has_sender ? LOGLINE_FULL : LOGLINE_NONE;

	/* those are C strings there */
	if (!has_nul(&l->endpoint) && !has_nul(&l->file) &&
	    !has_nul(&l->detail)) {
		round_trip(LOGLINE_TEXT, senders, &again);
		round_trip(LOGLINE_JSON, senders, &again);
	}
	free(endpoint);
	free(file);
	free(detail);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	static struct logread l;

	if (size > 0 && (data[0] == 'a' || data[0] == 'b'))
		try_values(span_skip(in, 1),
		    data[0] == 'a' ? LOGLINE_TEXT : LOGLINE_JSON);
	else if (logread_line(in, &l))
		write_again(&l);
	return 0;
}
