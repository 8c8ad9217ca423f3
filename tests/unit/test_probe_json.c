/* probe_json: what is JSON (RFC 8259), and where it ceases to be. */
#include "probe_json.h"

#include "guard.h"
#include "tap.h"

static const char *const good[] = { "{}", "[]", "0", "-0", "12", "9",
	"-1.5e+10", "1E5", "0.0e-0", "\"\"", "true", "false", "null",
	" \t\r\n[ ] \n", "{\"a\":1}",
	"{ \"a\" : [ 1 , { } , [ [ ] ] , \"b\" ] , \"c\" : null }",
	"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"",
	"\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 \x7f\"", "[1,2,3]",
	"{\"\":{\"\":{\"\":[]}}}" };

static const struct {
	const char *text;
	size_t at;
	const char *fault;
} bad[] = {
	{ "", 0, "the end, where a value was expected" },
	{ "  ", 2, "the end, where a value was expected" },
	{ "tru", 0, "a value was expected" },
	{ "True", 0, "a value was expected" },
	{ "'a'", 0, "a value was expected" },
	{ "NaN", 0, "a value was expected" },
	{ "+1", 0, "a value was expected" },
	{ ".5", 0, "a value was expected" },
	{ "<br>{}", 0, "a value was expected" },
	{ "01", 1, "something behind the value" },
	{ "1.", 2, "a digit was expected" },
	{ "-", 1, "a digit was expected" },
	{ "-x", 1, "a digit was expected" },
	{ "1e", 2, "a digit was expected" },
	{ "1e+", 3, "a digit was expected" },
	{ "{}{}", 2, "something behind the value" },
	{ "{};", 2, "something behind the value" },
	{ "nullx", 4, "something behind the value" },
	{ "[1,]", 3, "a value was expected" },
	{ "[,1]", 1, "a value was expected" },
	{ "[1 2]", 3, "a comma or an end was expected" },
	{ "[1}", 2, "a comma or an end was expected" },
	{ "[", 1, "the end, where a value was expected" },
	{ "[1", 2, "a comma or an end was expected" },
	{ "]", 0, "a value was expected" },
	{ "{\"a\":1,}", 7, "a string was expected" },
	{ "{a:1}", 1, "a string was expected" },
	{ "{\"a\"}", 4, "a colon was expected" },
	{ "{\"a\":}", 5, "a value was expected" },
	{ "{\"a\":1", 6, "a comma or an end was expected" },
	{ "\"a", 2, "a string without an end" },
	{ "\"a\\", 3, "no such escape" },
	{ "\"\\x\"", 2, "no such escape" },
	{ "\"\\u12g4\"", 2, "no such escape" },
	{ "\"\\u123\"", 2, "no such escape" },
	{ "\"\\u1234", 7, "a string without an end" },
	{ "\"\\u123", 2, "no such escape" },
	{ "\"a\nb\"", 2, "a control byte in a string" },
	{ "\"a\tb\"", 2, "a control byte in a string" },
	{ "\"a\xe4\"", 2, "not UTF-8" },
	{ "\"\xed\xa0\x80\"", 1, "not UTF-8" },
	{ "\xef\xbb\xbf{}", 0, "a byte order mark" },
	{ "{}\x0c", 2, "something behind the value" },
};

/* In memory that ends where the text does. */
static const char *
fault_of(const char *text, size_t n, size_t *at)
{
	struct guard g = guard_of(text, n);
	const char *fault = probe_json_fault(g.s, at);

	guard_free(&g);
	return fault;
}

static void
test_tables(void)
{
	size_t at;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ok(fault_of(good[i], strlen(good[i]), &at) == NULL, "good: %zu",
		    i);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *fault =
		    fault_of(bad[i].text, strlen(bad[i].text), &at);

		is_span(span_of(fault), bad[i].fault, "what is wrong");
		ok(at == bad[i].at, "… of row %zu, at byte %zu", i, at);
	}
}

/* Half a text is never one, but for a number. */
static void
test_cut(void)
{
	const char *text = good[15];
	size_t at, wrong = 0;

	for (size_t n = 0; n < strlen(text); n++)
		wrong += fault_of(text, n, &at) == NULL || at > n;
	ok(wrong == 0, "no beginning of it is whole");
}

/* A NUL is no end, and no blank either. */
static void
test_nul(void)
{
	static const char *const texts[] = { "{}\0", "\0{}", "[\0]", "\"\0\"",
		"1\0" };
	size_t at;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ok(fault_of(texts[i], i == 4 ? 2 : 3, &at) != NULL,
		    "a NUL, %zu", i);
}

static void
test_depth(void)
{
	char text[4 * PROBE_JSON_DEPTH];
	size_t n = PROBE_JSON_DEPTH, at;

	memset(text, '[', n);
	memset(text + n, ']', n);
	ok(fault_of(text, 2 * n, &at) == NULL, "as deep as may be");
	memset(text, '[', n + 1);
	memset(text + n + 1, ']', n + 1);
	is_span(span_of(fault_of(text, 2 * n + 2, &at)),
	    "too many arrays and objects in each other", "deeper");
	ok(at == n, "… at the first that is too deep");
}

int
main(void)
{
	test_tables();
	test_cut();
	test_nul();
	test_depth();
	return tap_done();
}
