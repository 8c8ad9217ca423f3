/*
 * explain_request: a saved environment, whatever is in it, and the same written
 * in the other form; and header fields.
 */
#include "fuzz.h"

#include <string.h>

#include "buf.h"
#include "explain_request.h"

enum { MAX = 1 << 17 };

/*
 * Every one has a value, if not a name (the front itself drops those), and
 * nothing is behind the last one.
 */
static void
check(const struct explain_request *r)
{
	FUZZ_HOLDS(r->vars != NULL || r->n == 0);
	for (size_t i = 0; i < r->n; i++)
		FUZZ_HOLDS(strchr(r->vars[i], '=') != NULL);
	FUZZ_HOLDS(r->vars == NULL || r->vars[r->n] == NULL);
}

/* Written with NULs, it is the same again. */
static void
check_again(const struct explain_request *r)
{
	struct explain_request again = { .n = 0 };
	struct buf text;
	unsigned at;

	buf_init(&text, MAX);
	for (size_t i = 0; i < r->n; i++)
		buf_add(&text, r->vars[i], strlen(r->vars[i]) + 1);
	FUZZ_HOLDS(!text.failed);
	if (text.n > 0) {
		FUZZ_HOLDS(
		    explain_request_text(&again, buf_span(&text), &at) == NULL);
		FUZZ_HOLDS(again.n == r->n);
	}
	for (size_t i = 0; i < again.n; i++)
		FUZZ_HOLDS(strcmp(again.vars[i], r->vars[i]) == 0);
	explain_request_free(&again);
	buf_free(&text);
}

/* What is set is there once, what is dropped is not. */
static void
check_changes(struct explain_request *r)
{
	struct span value, name;

	if (r->n == 0 || *r->vars[0] == '=')
		return;
	value = span_of(r->vars[0]);
	span_cut(&value, '=', &name);
	explain_request_set(r, name, SPAN("x"));
	FUZZ_HOLDS(span_eq(explain_request_get(r, name), SPAN("x")));
	check(r);
	explain_request_drop(r, name);
	FUZZ_HOLDS(explain_request_get(r, name).p == NULL);
	check(r);
}

static void
check_header(struct span field)
{
	struct explain_request r = { .n = 0 };

	if (explain_request_header(&r, field)) {
		FUZZ_HOLDS(r.n == 1);
		check(&r);
		for (const char *p = r.vars[0]; *p != '='; p++)
			FUZZ_HOLDS(span_graph(*p) && *p != '-' && *p != ':' &&
			    (*p < 'a' || *p > 'z'));
	} else
		FUZZ_HOLDS(r.n == 0);
	explain_request_free(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	struct explain_request r = { .n = 0 };
	unsigned at = 0;
	const char *wrong;

	if (size > MAX / 2)
		return 0;
	wrong = explain_request_text(&r, text, &at);
	check(&r);
	if (wrong == NULL) {
		check_again(&r);
		check_changes(&r);
	} else
		FUZZ_HOLDS(wrong[0] != '\0' && at <= size + 1);
	explain_request_free(&r);
	check_header(text);
	return 0;
}
