/* fault: every code has a word of its own, in one form [SPEC 6.7]. */
#include "fault.h"

#include "tap.h"

/* Lower-case words and digits with single dashes between, as "bad-line". */
static bool
is_word(const char *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	char before = '-';

	for (; *s != '\0'; before = *s++) {
		bool dash = *s == '-' && before != '-';

		if (!dash && strchr(letters, *s) == NULL)
			return false;
	}
	return before != '-';
}

static void
test_form(void)
{
	static const char *const bad[] = { "", "-", "a-", "-a", "a--b", "A",
		"a b", "a_b" };

	ok(is_word("a") && is_word("not-2-words"), "what a word is");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ok(!is_word(bad[i]), "no word: '%s'", bad[i]);
}

static void
test_words(void)
{
	for (unsigned i = 0; i < FAULT_COUNT; i++) {
		const char *word = fault_word((enum fault)i);
		unsigned same = 0;

		if (!ok(word != NULL && is_word(word), "%u has a word", i))
			continue;
		for (unsigned j = 0; j < i; j++)
			same += fault_word((enum fault)j) != NULL &&
			    strcmp(word, fault_word((enum fault)j)) == 0;
		ok(same == 0, "%s is its own", word);
	}
}

/* Risks have the words by which accept_risk takes them [SPEC 6.6]. */
static const struct {
	enum fault fault;
	const char *word;
} risks[] = {
	{ FAULT_ANY_SENDER, "any-sender" },
	{ FAULT_PUBLIC_SUFFIX, "public-suffix" },
	{ FAULT_FREE_MAIL, "free-mail" },
	{ FAULT_ANY_ORIGIN, "any-origin" },
	{ FAULT_NULL_ORIGIN, "null-origin" },
	{ FAULT_HTTP_ORIGIN, "http-origin" },
};

int
main(void)
{
	test_form();
	test_words();
	for (size_t i = 0; i < sizeof(risks) / sizeof(*risks); i++)
		is_span(span_of(fault_word(risks[i].fault)), risks[i].word,
		    "a risk");
	return tap_done();
}
