#include "guard.h"
#include "origin.h"
#include "tap.h"

#define L60 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L63 L60 "aaa"
#define H253 L63 "." L63 "." L63 "." L60 "a"

static const char *const good[] = {
	"https://mail.google.com",
	"https://emailclient.example",
	"http://emailclient.example",
	"https://localhost",
	"https://a",
	"https://a.b.c.d.e",
	"https://my_host.example",
	"https://_a.example",
	"https://xn--bcher-kva.example",
	"https://127.0.0.1",
	"https://a.example:8443",
	"https://a.example:80",
	"http://a.example:443",
	"https://a.example:1",
	"https://a.example:65535",
	"https://[::1]",
	"https://[::]",
	"https://[::1]:8443",
	"http://[2001:db8::1]",
	"https://[1:2:3:4:5:6:7:8]",
	"https://[1::]",
	"https://[fe80::a0b:c0d]",
	"https://[1:0:2:3:4:5:6:7]",
	"https://[1:0:2::3]",
	"https://[::1:0:0:0]",
	"https://[1::2:0:0:3]",
	"https://[1:0:0:2::]",
	"https://[::ffff:c000:280]",
	"https://" L63 ".example",
	"https://" H253,
};

static const char *const bad[] = {
	"",
	"null",
	"*",
	"https://*.example",
	"https://*",
	/* not one origin */
	"https://a.example https://b.example",
	"https://a.example,https://b.example",
	"https://a.example, https://b.example",
	"https://a.example ",
	" https://a.example",
	"https://a.example\n",
	"https://a.example\r\nX: y",
	"https://a.\x01"
	"example",
	"https://b\xC3\xBC"
	"cher.example",
	/* more, or less, than an origin */
	"https://a.example/",
	"https://a.example/path",
	"https://a.example?q",
	"https://a.example#f",
	"https://user@a.example",
	"https://user:pw@a.example",
	"a.example",
	"//a.example",
	"https:a.example",
	"https:/a.example",
	"https:///a.example",
	"https://",
	"https",
	"http://",
	"ftp://a.example",
	"file://",
	"wss://a.example",
	"chrome-extension://abc",
	"sender@company.example",
	/* not as a browser writes it */
	"https://A.example",
	"HTTPS://a.example",
	"Https://a.example",
	"https://a.example.",
	"https://.a.example",
	"https://a..example",
	"https://-a.example",
	"https://a-.example",
	"https://%61.example",
	"https://" L63 "a.example",
	"https://" H253 "a",
	/* ports */
	"https://a.example:",
	"https://a.example:443",
	"http://a.example:80",
	"https://a.example:0",
	"https://a.example:080",
	"https://a.example:65536",
	"https://a.example:99999999999999999999",
	"https://a.example:+1",
	"https://a.example: 1",
	"https://a.example:1:2",
	"https://a.example:x",
	"https://:8443",
	/* IPv6 */
	"https://[]",
	"https://[",
	"https://[::1",
	"https://::1",
	"https://[::1]a",
	"https://[::1]:443",
	"https://[::1]:",
	"https://[::1].example",
	"https://[::1]]",
	"https://[[::1]]",
	"https://a[::1]",
	"https://[:]",
	"https://[:::]",
	"https://[1]",
	"https://[1:2:3:4:5:6:7]",
	"https://[1:2:3:4:5:6:7:]",
	"https://[:1:2:3:4:5:6:7]",
	"https://[1:2:3:4:5:6:7:8:9]",
	"https://[1:2:3:4:5:6:7::8]",
	"https://[1::2:3:4:5:6:7:8]",
	"https://[1:2:3:4:5:6::8]",
	"https://[1::2::3]",
	"https://[1:::2]",
	"https://[0:0:0:0:0:0:0:1]",
	"https://[0::1]",
	"https://[1:0:0:2:3:4:5:6]",
	"https://[1::0:2]",
	"https://[1::2:0:0:0:3]",
	"https://[1:0:0:2::3:4:5:6]",
	"https://[1:0:0:2::3:4]",
	"https://[::1:0:0:0:0]",
	"https://[::ABCD]",
	"https://[::g]",
	"https://[::01]",
	"https://[01:2:3:4:5:6:7:8]",
	"https://[1:2:3:4:5:6:7:00]",
	"https://[::12345]",
	"https://[::00]",
	"https://[::192.0.2.128]",
	"https://[fe80::1%25eth0]",
	"https://[v1.x]",
};

static void
test_valid(void)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct guard g = guard_of(good[i], strlen(good[i]));

		ok(origin_valid(g.s), "good: %s", good[i]);
		ok(origin_rule_valid(g.s), "and a rule");
		ok(origin_match(g.s, g.s), "that matches itself");
		guard_free(&g);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct guard g = guard_of(bad[i], strlen(bad[i]));

		ok(!origin_valid(g.s), "bad: \"%s\"", bad[i]);
		ok(!origin_match(SPAN("*"), g.s), "and not covered by *");
		guard_free(&g);
	}
	ok(!origin_valid((struct span){ NULL, 0 }), "bad: absent");
	ok(!origin_valid(SPAN("https://a\0.example")), "bad: NUL");
}

static void
test_rules(void)
{
	static const struct {
		const char *rule;
		bool good;
	} cases[] = {
		{ "*", true },
		{ "null", true },
		{ "https://a.example", true },
		{ "https://*.a.example", true },
		{ "http://*.a.example", true },
		{ "https://*.a.example:8443", true },
		{ "https://*.example", true },
		{ "", false },
		{ "NULL", false },
		{ "**", false },
		{ "*.a.example", false },
		{ "*://a.example", false },
		{ "https://*", false },
		{ "https://*.", false },
		{ "https://*a.example", false },
		{ "https://*.*.example", false },
		{ "https://a.*.example", false },
		{ "https://a.*", false },
		{ "https://*.[::1]", false },
		{ "https://*..example", false },
		{ "https://*.A.example", false },
		{ "https://*.a.example:443", false },
		{ "https://*.a.example/", false },
		{ "https://a.example:*", false },
		{ "https://a.example/", false },
		{ "!https://a.example", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ok(origin_rule_valid(span_of(cases[i].rule)) == cases[i].good,
		    "rule \"%s\"", cases[i].rule);
	ok(!origin_rule_valid((struct span){ NULL, 0 }), "rule: absent");
}

static void
test_match(void)
{
	static const struct {
		const char *rule, *text;
		bool match;
	} cases[] = {
		{ "https://a.example", "https://a.example", true },
		{ "https://a.example", "http://a.example", false },
		{ "https://a.example", "https://a.example:8443", false },
		{ "https://a.example", "https://b.a.example", false },
		{ "https://a.example", "https://a.exampl", false },
		{ "https://a.example", "https://a.example.evil.example",
		    false },
		{ "https://a.example", "HTTPS://a.example", false },
		{ "https://a.example", "", false },
		{ "https://a.example", NULL, false },
		{ "https://*.a.example", "https://b.a.example", true },
		{ "https://*.a.example", "https://c.b.a.example", true },
		{ "https://*.a.example", "https://a.example", false },
		{ "https://*.a.example", "https://.a.example", false },
		{ "https://*.a.example", "https://..a.example", false },
		{ "https://*.a.example", "https://b..a.example", false },
		{ "https://*.a.example", "https://ba.example", false },
		{ "https://*.a.example", "http://b.a.example", false },
		{ "https://*.a.example", "https://b.a.example:8443", false },
		{ "https://*.a.example", "https://b.a.example/", false },
		{ "https://*.a.example", "https://B.a.example", false },
		{ "https://*.a.example", "https://evil/.a.example", false },
		{ "https://*.a.example", "https://evil?.a.example", false },
		{ "https://*.a.example", "https://evil#.a.example", false },
		{ "https://*.a.example", "https://evil@b.a.example", false },
		{ "https://*.a.example", "https://evil:80.a.example", false },
		{ "https://*.a.example", "https://evil, b.a.example", false },
		{ "https://*.a.example", "https://*.a.example", false },
		{ "https://*.a.example", "null", false },
		{ "https://*.a.example", "", false },
		{ "https://*.a.example", NULL, false },
		{ "https://*.a.example:8443", "https://b.a.example:8443",
		    true },
		{ "https://*.a.example:8443", "https://b.a.example", false },
		{ "http://*.a.example", "http://b.a.example", true },
		{ "http://*.a.example", "https://b.a.example", false },
		{ "*", "https://a.example", true },
		{ "*", "https://[::1]:8443", true },
		{ "*", "http://a.example", false },
		{ "*", "null", false },
		{ "*", "*", false },
		{ "*", "", false },
		{ "*", NULL, false },
		{ "null", "null", true },
		{ "null", "NULL", false },
		{ "null", "https://a.example", false },
		{ "null", "", false },
		{ "null", NULL, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span text = span_of(cases[i].text);
		struct guard g = guard_of(text.p, text.n);

		ok(origin_match(span_of(cases[i].rule),
		       text.p == NULL ? text : g.s) == cases[i].match,
		    "%s %s \"%s\"", cases[i].rule,
		    cases[i].match ? "matches" : "does not match",
		    text.p == NULL ? "(absent)" : text.p);
		guard_free(&g);
	}
}

int
main(void)
{
	test_valid();
	test_rules();
	test_match();
	return tap_done();
}
