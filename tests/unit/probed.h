/*
 * probed: requests of amp-cors probe and answers to them, as text, and what was
 * found as text again.
 */
#ifndef PROBED_H
#define PROBED_H

#include <stdlib.h>

#include "probe_judge.h"
#include "tap.h"

#define SENDER "sender@company.example"
#define STRANGER "stranger@amp-cors-probe.invalid"
#define ELSEWHERE "https://amp-cors-probe.invalid"
#define GMAIL "https://mail.google.com"
#define PLAYGROUND "https://amp.gmail.dev"

static inline struct probe_aim
probed_aim(void)
{
	static const char *none[] = { NULL };

	return (struct probe_aim){ .url = "https://a.example/list",
		.method = "GET",
		.sender = SENDER,
		.origin = GMAIL,
		.browser_origin = PLAYGROUND,
		.headers = none };
}

/* The request of that name; ends the test where there is none. */
static inline struct probe_request
probed_request(struct arena *a, const struct probe_aim *aim, const char *name)
{
	size_t n;
	struct probe_request *q = must(probe_plan(a, aim, &n));

	for (size_t i = 0; i < n; i++)
		if (strcmp(q[i].name, name) == 0)
			return q[i];
	printf("Bail out! no request %s\n", name);
	exit(1);
}

/* "Name: value\nName: value"; the text must live on. */
static inline void
probed_answer(struct probe_answer *a, unsigned status, const char *head,
    const char *body)
{
	struct span rest = span_of(head), line;

	memset(a, 0, sizeof(*a));
	buf_init(&a->body, PROBE_BODY_MAX);
	buf_add_str(&a->body, body);
	a->status = status;
	a->fields = must(arena_alloc(&a->memory, 40 * sizeof(*a->fields)));
	while (span_cut(&rest, '\n', &line)) {
		struct field *f = &a->fields[a->n_fields++];

		span_cut(&line, ':', &f->name);
		f->value = span_trim(line);
	}
}

static inline void
probed_free(struct probe_answer *a)
{
	buf_free(&a->body);
	arena_free(&a->memory);
}

/* "missing-header error, cookie note"; static. */
static inline const char *
probed_findings(const struct probe_report *r)
{
	static char text[2048];

	text[0] = '\0';
	for (size_t i = 0; i < r->n; i++) {
		strcat(text, i > 0 ? ", " : "");
		strcat(text, probe_code_word(r->list[i].code));
		strcat(text, " ");
		strcat(text, probe_severity_word(r->list[i].severity));
	}
	return text;
}

struct probed {
	const char *name; /* of the request */
	unsigned status;
	const char *head, *body;
	enum probe_verdict verdict;
	const char *findings;
};

/* Judges each row's answer. */
static inline void
probed_table(const struct probe_aim *aim, const struct probed *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct arena memory = { NULL, false };
		struct probe_request q =
		    probed_request(&memory, aim, rows[i].name);
		static struct probe_report r;
		struct probe_answer a;

		memset(&r, 0, sizeof(r));
		probed_answer(&a, rows[i].status, rows[i].head, rows[i].body);
		probe_judge(&q, &a, &r);
		is_span(span_of(probed_findings(&r)), rows[i].findings,
		    rows[i].name);
		ok(r.verdict == rows[i].verdict, "… row %zu, its verdict", i);
		probed_free(&a);
		arena_free(&memory);
	}
}

#endif
