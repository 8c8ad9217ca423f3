/* probe_fields: the fields of an answer, by name, value, word. */
#include "probe_fields.h"

#include "tap.h"

#define F(name, value)                           \
	{                                        \
		{ name, sizeof(name) - 1 },      \
		{                                \
			value, sizeof(value) - 1 \
		}                                \
	}

static struct field fields[] = {
	F("Vary", "Origin"),
	F("VARY", "accept ,\tAMP-Email-Sender,"),
	F("AMP-Email-Allow-Sender", " a@b.example\t"),
	F("amp-email-allow-sender", "<c@d.example>"),
	F("X-Empty", ""),
	F("Access-Control-Max-Age", "1"),
	F("AMP-Access-Control-X", "1"),
	F("AMP-Same-Origin", "1"),
	F("Access-Contro", "1"),
};
static const struct probe_answer answer = { .fields = fields,
	.n_fields = sizeof(fields) / sizeof(fields[0]) };

static void
test_values(void)
{
	const struct probe_answer *a = &answer;

	ok(probe_fields_count(a, "vary") == 2, "two of a name");
	ok(probe_fields_count(a, "Var") == 0, "none of a part of it");
	is_span(probe_fields_first(a, ALLOW_SENDER), "a@b.example",
	    "the first one, trimmed");
	is_span(probe_fields_first(a, "x-empty"), "", "an empty one");
	is_span(probe_fields_first(a, "x-none"), NULL, "none");
	ok(probe_fields_is(a, "Vary", "Origin"), "is");
	ok(!probe_fields_is(a, "Vary", "origin"), "… byte for byte");
	ok(probe_fields_is(a, ALLOW_SENDER, "<c@d.example>"), "the second is");
	ok(probe_fields_holds(a, ALLOW_SENDER, "c@d.example"), "holds");
	ok(!probe_fields_holds(a, ALLOW_SENDER, "e@d.example"), "does not");
	ok(!probe_fields_holds(a, ALLOW_SENDER, ""), "nothing is in nothing");
	ok(!probe_fields_holds(a, "X-Empty", "a"), "nor a text in nothing");
	ok(probe_fields_within(SPAN("abc"), "c"), "at the end");
	ok(!probe_fields_within(SPAN("abc"), "abcd"), "longer");
}

static void
test_lists(void)
{
	const struct probe_answer *a = &answer;

	ok(probe_fields_lists(a, "vary", "origin"), "in the first field");
	ok(probe_fields_lists(a, "Vary", "Accept"), "before a blank");
	ok(probe_fields_lists(a, "Vary", "amp-email-sender"), "before an end");
	ok(!probe_fields_lists(a, "Vary", "amp"), "not a part");
	ok(!probe_fields_lists(a, "X-None", "a"), "no field");
}

static void
test_cors(void)
{
	static const bool is[] = { false, false, true, true, false, true, true,
		false, false };

	for (size_t i = 0; i < answer.n_fields; i++)
		ok(probe_fields_is_cors(&fields[i]) == is[i], "%s",
		    fields[i].name.p);
}

int
main(void)
{
	test_values();
	test_lists();
	test_cors();
	return tap_done();
}
