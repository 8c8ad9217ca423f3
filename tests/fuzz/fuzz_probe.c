/*
 * What amp-cors probe makes of a server's answer: the first byte chooses the
 * request, the second the status; then lines of header fields, an empty line,
 * and the body.
 */
#include "fuzz.h"

#include <string.h>

#include "probe_json.h"
#include "probe_judge.h"

enum { LINES = 64, LONGEST = 8192 };

static const unsigned statuses[] = { 200, 200, 204, 403, 302, 404, 500, 100 };

static struct probe_aim
aim(void)
{
	static const char *none[] = { NULL };

	return (struct probe_aim){ .url = "https://a.example/list",
		.method = "GET",
		.sender = "sender@company.example",
		.origin = "https://mail.google.com",
		.browser_origin = "https://amp.gmail.dev",
		.headers = none };
}

static void
answer(struct probe_answer *a, unsigned status, struct span rest)
{
	struct span line;

	*a = (struct probe_answer){ .status = status };
	buf_init(&a->body, PROBE_BODY_MAX);
	a->fields = calloc(LINES, sizeof(*a->fields));
	FUZZ_HOLDS(a->fields != NULL);
	while (
	    a->n_fields < LINES && span_cut(&rest, '\n', &line) && line.n > 0) {
		struct field *f = &a->fields[a->n_fields++];

		f->value = line;
		span_cut(&f->value, ':', &f->name);
		f->value = span_trim(f->value);
	}
	buf_add_span(&a->body, rest);
}

static void
check_report(const struct probe_report *r)
{
	FUZZ_HOLDS(r->n <= PROBE_FINDINGS);
	FUZZ_HOLDS(r->verdict <= PROBE_IN);
	for (size_t i = 0; i < r->n; i++) {
		const struct probe_finding *f = &r->list[i];

		FUZZ_HOLDS(f->code < PROBE_CODES && f->severity <= PROBE_ERROR);
		FUZZ_HOLDS(strnlen(f->text, PROBE_TEXT) < PROBE_TEXT);
		FUZZ_HOLDS(f->text[0] != '\0');
		FUZZ_HOLDS(probe_code_mend(f->code)[0] != '\0');
	}
}

static bool
has(const struct probe_answer *a, const char *name)
{
	for (size_t i = 0; i < a->n_fields; i++)
		if (span_caseeq(a->fields[i].name, span_of(name)))
			return true;
	return false;
}

/* What nobody may overlook. */
static void
check_verdict(const struct probe_request *q, const struct probe_answer *a,
    const struct probe_report *r)
{
	bool any = has(a, "Access-Control-Allow-Origin") ||
	    has(a, "AMP-Email-Allow-Sender") ||
	    has(a, "AMP-Access-Control-Allow-Source-Origin");

	if (q->who == PROBE_ATTACKER && any && r->verdict == PROBE_REFUSED)
		FUZZ_HOLDS(r->n > 0);
	if (q->who == PROBE_CLIENT && !any)
		FUZZ_HOLDS(r->verdict != PROBE_SHOWN &&
		    probe_report_count(r, PROBE_ERROR) > 0);
	if (r->verdict == PROBE_IN)
		FUZZ_HOLDS(probe_report_count(r, PROBE_ERROR) > 0);
}

static const char *
json(const char *before, struct span text, const char *after)
{
	size_t nb = strlen(before), na = strlen(after), at = SIZE_MAX;
	char *p = malloc(nb + text.n + na + 1);
	const char *fault;

	FUZZ_HOLDS(p != NULL);
	memcpy(p, before, nb);
	if (text.n > 0)
		memcpy(p + nb, text.p, text.n);
	memcpy(p + nb + text.n, after, na);
	fault = probe_json_fault((struct span){ p, nb + text.n + na }, &at);
	FUZZ_HOLDS(fault == NULL || at <= nb + text.n + na);
	free(p);
	return fault;
}

/* What is JSON is so within other JSON, and with blanks; and else it is not. */
static void
check_json(struct span text)
{
	bool good = json("", text, "") == NULL;

	FUZZ_HOLDS((json(" \t", text, "\r\n") == NULL) == good);
	if (!good || text.n > PROBE_JSON_DEPTH / 2)
		return;
	FUZZ_HOLDS(json("[", text, "]") == NULL);
	FUZZ_HOLDS(json("{\"a\":[1,", text, "]}") == NULL);
	FUZZ_HOLDS(json("", text, ",") != NULL);
	FUZZ_HOLDS(json("[", text, "") != NULL);
	FUZZ_HOLDS(json("", text, " \"") != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct probe_aim asked = aim();
	struct arena memory = { NULL, false };
	static struct probe_report r;
	struct probe_request *all, *q;
	struct probe_answer a;
	size_t n;

	if (size < 2 || size > LONGEST)
		return 0;
	all = probe_plan(&memory, &asked, &n);
	FUZZ_HOLDS(all != NULL && n > 0);
	q = &all[data[0] % n];
	answer(&a, statuses[data[1] % 8],
	    (struct span){ (const char *)data + 2, size - 2 });
	memset(&r, 0, sizeof(r));
	probe_judge(q, &a, &r);
	check_report(&r);
	check_verdict(q, &a, &r);
	probe_judge_connection(q, &a, data[1] >= 128, &r);
	check_report(&r);
	check_json(buf_span(&a.body));
	buf_free(&a.body);
	free(a.fields);
	arena_free(&memory);
	return 0;
}
