/* probe_attack: what lets an attacker in, and what is only unwise. */
#include "probe_attack.h"

#include "probed.h"

#define ALLOW "Access-Control-Allow-Origin: "
#define SOURCE "AMP-Access-Control-Allow-Source-Origin: "
#define SENDER_IS "AMP-Email-Allow-Sender: "
#define HEADERS "Access-Control-Allow-Headers: "

static const struct probed rows[] = {
	/* refused, as it should be */
	{ "stranger-v1", 403, "", "", PROBE_REFUSED, "" },
	{ "stranger-v2", 400, "Vary: Origin", "", PROBE_REFUSED, "" },
	{ "none", 499, "", "", PROBE_REFUSED, "" },
	/* … and less so */
	{ "none", 500, "", "", PROBE_REFUSED, "odd-refusal note" },
	{ "none", 302, "Location: /" STRANGER, "", PROBE_REFUSED,
	    "odd-refusal note" },
	{ "stranger-v1", 302, "Location: /?x=" STRANGER, "", PROBE_REFUSED,
	    "odd-refusal note" },
	{ "stranger-v1", 403, "access-control-max-age: 1", "", PROBE_REFUSED,
	    "headers-on-refusal warning" },
	{ "stranger-v2", 403, SENDER_IS "*", "", PROBE_REFUSED,
	    "headers-on-refusal warning" },
	{ "stranger-v2", 403, SENDER_IS STRANGER, "", PROBE_REFUSED,
	    "headers-on-refusal warning, echo warning" },
	{ "stranger-v1", 403, "X-A: <" STRANGER ">\nX-B: " STRANGER, "",
	    PROBE_REFUSED, "echo warning" },
	{ "origin-starts", 403, "X-A: x" GMAIL ".evil.invalid", "",
	    PROBE_REFUSED, "" },
	/* version 1 needs both fields; version 2 its own */
	{ "stranger-v1", 200, ALLOW GMAIL "\n" SOURCE STRANGER, "", PROBE_IN,
	    "lets-in error" },
	{ "stranger-v1", 200, ALLOW "*\n" SOURCE "*", "", PROBE_IN,
	    "lets-in error" },
	{ "stranger-v1", 200, ALLOW GMAIL "\n" SOURCE SENDER, "", PROBE_ANSWERS,
	    "answered warning" },
	{ "stranger-v1", 200, SOURCE STRANGER, "", PROBE_ANSWERS,
	    "answered warning, echo warning" },
	{ "stranger-v2", 204, SENDER_IS SENDER "\n" SENDER_IS STRANGER, "",
	    PROBE_IN, "lets-in error" },
	{ "stranger-v2", 200, SENDER_IS SENDER, "", PROBE_ANSWERS,
	    "answered warning" },
	/* a page needs Access-Control-Allow-Origin alone */
	{ "origin-v1", 200, ALLOW ELSEWHERE, "", PROBE_IN, "lets-in error" },
	{ "origin-v1", 200, ALLOW GMAIL "\n" SOURCE SENDER, "", PROBE_ANSWERS,
	    "answered warning" },
	{ "origin-v1", 200, ALLOW ELSEWHERE ".example", "", PROBE_ANSWERS,
	    "answered warning" },
	{ "origin-v2", 200, SENDER_IS SENDER, "", PROBE_KEPT_OUT, "" },
	{ "origin-v2", 200, ALLOW "*\n" SENDER_IS SENDER, "", PROBE_IN,
	    "lets-in error" },
	{ "origin-v2", 403, "", "", PROBE_REFUSED, "" },
	{ "origin-null", 200, ALLOW "null", "", PROBE_IN, "lets-in error" },
	{ "origin-null", 200, ALLOW "nullable", "", PROBE_ANSWERS,
	    "answered warning" },
	{ "origin-ends", 200, ALLOW "https://evilmail.google.com", "", PROBE_IN,
	    "lets-in error" },
	/* a preflight lets the page send its request */
	{ "origin-preflight", 204, "", "", PROBE_KEPT_OUT, "" },
	{ "origin-preflight", 200, ALLOW "*", "", PROBE_KEPT_OUT, "" },
	{ "origin-preflight", 204, HEADERS "amp-email-sender", "",
	    PROBE_KEPT_OUT, "" },
	{ "origin-preflight", 204,
	    ALLOW ELSEWHERE "\n" HEADERS "X-A, amp-email-sender", "", PROBE_IN,
	    "lets-in error" },
	/* two values */
	{ "header-twice", 200, SENDER_IS SENDER, "", PROBE_ANSWERS,
	    "ambiguous warning" },
	{ "header-turned", 200, SENDER_IS STRANGER ", " SENDER, "", PROBE_IN,
	    "lets-in error" },
	{ "param-twice", 200, ALLOW GMAIL "\n" SOURCE SENDER, "", PROBE_ANSWERS,
	    "ambiguous warning" },
	{ "param-turned", 200, ALLOW GMAIL "\n" SOURCE STRANGER, "", PROBE_IN,
	    "lets-in error" },
	{ "param-twin", 200, SOURCE SENDER, "", PROBE_ANSWERS,
	    "answered warning" },
	/* a line in a value */
	{ "param-crlf", 200, ALLOW GMAIL "\n" SOURCE SENDER, "", PROBE_ANSWERS,
	    "ambiguous warning" },
	{ "param-crlf", 403, "x-amp-cors-probe: injected", "", PROBE_IN,
	    "injection error" },
	{ "param-crlf", 200,
	    ALLOW GMAIL "\n" SOURCE SENDER "X-Amp-Cors-Probe: injected", "",
	    PROBE_IN, "lets-in error" },
	{ "param-crlf", 403, "X-A: " SENDER " X-Amp-Cors-Probe: injected", "",
	    PROBE_REFUSED, "echo warning" },
	/* nothing at all */
	{ "none", 200, "", "", PROBE_ANSWERS, "answered warning" },
	{ "none", 299, SENDER_IS SENDER, "", PROBE_IN, "lets-in error" },
	{ "none", 300, SENDER_IS SENDER, "", PROBE_REFUSED,
	    "odd-refusal note, headers-on-refusal warning" },
	{ "none", 200, SENDER_IS SENDER, "", PROBE_IN, "lets-in error" },
	{ "none", 200, ALLOW "*", "", PROBE_IN, "lets-in error" },
	{ "none", 200, ALLOW GMAIL, "", PROBE_ANSWERS, "answered warning" },
};

static void
test_texts(void)
{
	static const struct {
		const char *name;
		unsigned status;
		const char *head, *text;
	} texts[] = {
		{ "none", 200, ALLOW "*",
		    "allowed, as anybody else would be: who names nobody" },
		{ "origin-v1", 200, ALLOW "*",
		    "allowed, as anybody else would be: " ELSEWHERE },
		{ "none", 403, ALLOW "*\nVary: a\n" SOURCE "b",
		    "refused, and yet with Access-Control-Allow-Origin, "
		    "AMP-Access-Control-Allow-Source-Origin" },
	};
	struct probe_aim aim = probed_aim();

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct arena memory = { NULL, false };
		struct probe_request q =
		    probed_request(&memory, &aim, texts[i].name);
		static struct probe_report r;
		struct probe_answer a;

		memset(&r, 0, sizeof(r));
		probed_answer(&a, texts[i].status, texts[i].head, "");
		probe_attack(&q, &a, &r);
		is_span(span_of(r.list[0].text), texts[i].text, "a text");
		probed_free(&a);
		arena_free(&memory);
	}
}

/* More names than there is room for. */
static void
test_many(void)
{
	static const struct probe_request q = { .who = PROBE_ATTACKER };
	static char names[60][40];
	static struct field fields[60];
	static struct probe_report r;
	struct probe_answer a = { .status = 403,
		.fields = fields,
		.n_fields = 60 };

	for (int i = 0; i < 60; i++) {
		snprintf(names[i], sizeof(names[i]), "Access-Control-Number-%d",
		    i);
		fields[i].name = span_of(names[i]);
		fields[i].value = span_of("");
	}
	probe_attack(&q, &a, &r);
	ok(r.n == 1 && r.list[0].code == PROBE_HEADERS_ON_REFUSAL,
	    "sixty fields on a refusal");
	ok(strlen(r.list[0].text) < PROBE_TEXT, "… a text of bounded length");
}

int
main(void)
{
	struct probe_aim aim = probed_aim();

	probed_table(&aim, rows, sizeof(rows) / sizeof(rows[0]));
	test_texts();
	test_many();
	return tap_done();
}
