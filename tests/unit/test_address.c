#include "address.h"
#include "guard.h"
#include "tap.h"

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10
#define A63 A60 "aaa"
#define A64 A60 "aaaa"
/* domains of so many bytes, each label within 63 */
#define D252 A63 "." A63 "." A60 "a." A60 "aa"
#define D253 A63 "." A63 "." A60 "a." A63
#define D254 A63 "." A63 "." A60 "aa." A63

static const char *const good[] = {
	"sender@company.example",
	"a@b.c",
	"A.B.C@D.E.F",
	"!#$%&'*+-/=?^_`{|}~@company.example",
	"*@company.example",
	"-@company.example",
	"0@0.0",
	"a@1a.example",
	"a@xn--bcher-kva.example",
	"a@a--b.example",
	"first.last+tag@mail.company.example",
	"a@127.0.0.1",
	A64 "@company.example",
	"a@" A63 ".example",
	"a@" D252,
};

static const char *const bad[] = {
	/* no address, or only a part of one */
	"",
	"@",
	"a",
	"a@",
	"@company.example",
	"*",
	"null",
	"company.example",
	"https://playground.amp.dev",
	/* more than one */
	"a@@company.example",
	"a@b@company.example",
	"a@b.example,c@d.example",
	"a@b.example, c@d.example",
	"a@b.example c@d.example",
	"a@b.example;c@d.example",
	/* other forms of RFC 5322 */
	"\"a\"@company.example",
	"\"a b\"@company.example",
	"Name <a@company.example>",
	"<a@company.example>",
	"a(comment)@company.example",
	"a@company.example(comment)",
	"a@[127.0.0.1]",
	"a@[IPv6:::1]",
	"mailto:a@company.example",
	"a\\@b@company.example",
	/* dots */
	".a@company.example",
	"a.@company.example",
	"a..b@company.example",
	".@company.example",
	"a@company",
	"a@company.",
	"a@company.example.",
	"a@.company.example",
	"a@company..example",
	"a@.",
	"a@..",
	/* labels */
	"a@-company.example",
	"a@company-.example",
	"a@company.-example",
	"a@company.example-",
	"a@com_pany.example",
	"a@com*pany.example",
	"a@*.company.example",
	"a@company.example:25",
	"a@company.example/",
	/* blanks, control bytes, other than ASCII */
	" a@company.example",
	"a@company.example ",
	"a @company.example",
	"a@ company.example",
	"a\t@company.example",
	"a@company.example\n",
	"a@company.example\r\nX: y",
	"a\x7F@company.example",
	"\xC3\xA4@company.example",
	"a@b\xC3\xBC"
	"cher.example",
	"a@company.ex\xE4mple",
	/* limits */
	A64 "a@company.example",
	"a@" A64 ".example",
	"a@" D253,
	"aa@" D252,
};

static void
test_parse(void)
{
	struct address a;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const char *at = strchr(good[i], '@');
		struct guard g = guard_of(good[i], strlen(good[i]));

		if (ok(address_parse(g.s, &a), "good: %s", good[i]))
			ok(a.local.p == g.s.p &&
				a.local.n == (size_t)(at - good[i]) &&
				a.domain.p == a.local.p + a.local.n + 1 &&
				a.domain.n == strlen(at + 1),
			    "and cut at its @");
		guard_free(&g);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct guard g = guard_of(bad[i], strlen(bad[i]));

		ok(!address_parse(g.s, &a), "bad: \"%s\"", bad[i]);
		guard_free(&g);
	}
	ok(!address_parse((struct span){ NULL, 0 }, &a), "bad: absent");
	ok(!address_parse(SPAN("a\0@company.example"), &a), "bad: NUL");
	ok(!address_parse(SPAN("a@company.example\0"), &a), "bad: NUL, last");
}

/* Which bytes may stand in the middle of each part. */
static void
test_bytes(void)
{
	static const char atext[] =
	    "!#$%&'*+-/=?^_`{|}~0123456789abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	unsigned wrong = 0;
	struct address a;

	for (int c = 0; c < 256; c++) {
		char local[] = "a.b@company.example";
		char domain[] = "a@comp.any.example";
		bool graph = c != 0 && strchr(atext, c) != NULL;
		bool ldh = graph &&
		    (strchr("!#$%&'*+/=?^_`{|}~", c) == NULL || c == '-');

		local[1] = domain[6] = (char)c;
		wrong +=
		    address_parse((struct span){ local, sizeof(local) - 1 },
			&a) != (graph || c == '.');
		wrong +=
		    address_parse((struct span){ domain, sizeof(domain) - 1 },
			&a) != (ldh || c == '.');
	}
	ok(wrong == 0, "every byte, in the local part and in the domain");
}

static void
test_domain(void)
{
	static const struct {
		const char *domain;
		bool good;
	} cases[] = {
		{ "company.example", true },
		{ "a.b", true },
		{ D253, true },
		{ D254, false },
		{ "company", false },
		{ "", false },
		{ ".", false },
		{ ".company.example", false },
		{ "company.example.", false },
		{ "*.company.example", false },
		{ "@company.example", false },
	};

	ok(sizeof(D252) == 253 && sizeof(D253) == 254 && sizeof(D254) == 255,
	    "the domains are as long as they say");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ok(address_domain_valid(span_of(cases[i].domain)) ==
			cases[i].good,
		    "domain \"%s\"", cases[i].domain);
}

static void
test_fold(void)
{
	struct address a;
	char out[ADDRESS_MAX];
	size_t n;

	address_parse(SPAN("First.LAST+[@Company.EXAMPLE"), &a);
	ok(address_parse(SPAN("First.LAST+^@Company.EXAMPLE"), &a), "parses");
	n = address_fold(&a, true, out);
	is_span((struct span){ out, n }, "first.last+^@company.example",
	    "both parts folded");
	n = address_fold(&a, false, out);
	is_span((struct span){ out, n }, "First.LAST+^@company.example",
	    "the domain alone");
	address_parse(SPAN("A@" D252), &a);
	ok(address_fold(&a, true, out) == ADDRESS_MAX && out[0] == 'a',
	    "the longest fills its room");
}

int
main(void)
{
	test_parse();
	test_bytes();
	test_domain();
	test_fold();
	return tap_done();
}
