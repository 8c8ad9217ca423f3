/*
 * probe_plan: the requests as text, from what was asked for on the command
 * line; tests/http/test_probe.py looks at them as a server gets them.
 */
#include "probe_plan.h"

#include "tap.h"

static const char *no_headers[] = { NULL };

static const struct probe_aim aim = {
	.url = "https://a.example/list",
	.method = "GET",
	.sender = "x+y@a.example",
	.origin = "https://mail.google.com",
	.browser_origin = "https://amp.gmail.dev",
	.headers = no_headers,
};

static void
test_url(void)
{
	static const struct {
		const char *url, *value, *want;
	} rows[] = {
		{ "http://a", "b", "http://a?n=b" },
		{ "http://a/", "b", "http://a/?n=b" },
		{ "http://a/?", "b", "http://a/?n=b" },
		{ "http://a/?c", "b", "http://a/?c&n=b" },
		{ "http://a/?c&", "b", "http://a/?c&n=b" },
		{ "http://a/?c?", "b", "http://a/?c?n=b" },
		{ "http://a/#f", "b", "http://a/?n=b" },
		{ "http://a/#f?g", "b", "http://a/?n=b" },
		{ "http://a/?c#f", "b", "http://a/?c&n=b" },
		{ "http://a/", "x+y@b.c", "http://a/?n=x%2By%40b.c" },
		{ "http://a/", "AZaz09-_.!~*'()",
		    "http://a/?n=AZaz09-_.!~*'()" },
		{ "http://a/", " \"%&=\r\n\x7f\xff",
		    "http://a/?n=%20%22%25%26%3D%0D%0A%7F%FF" },
		{ "http://a/", "https://b.c", "http://a/?n=https%3A%2F%2Fb.c" },
		{ "http://a/", "", "http://a/?n=" },
	};
	struct arena a = { NULL, false };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		is_span(span_of(probe_plan_url(&a, rows[i].url, "n",
			    rows[i].value)),
		    rows[i].want, rows[i].want);
	arena_free(&a);
}

static void
test_url_fault(void)
{
	static const char *const good[] = { "http://a", "http://a/?b=c",
		"http://a/__amp_source_origin=b", "http://a/?__amp_source=b",
		"http://a/?b#__amp_source_origin=c",
		"http://a/?b=__amp_source_origin" };
	static const char *const bad[] = { "http://a?__amp_source_origin=b",
		"http://a/?b&__amp_source_origin=c#d",
		"http://a/?__amp%5Fsource_origin=b",
		"http://a/?__amp_source_origin=%zz" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ok(probe_plan_url_fault(good[i]) == NULL, "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(probe_plan_url_fault(bad[i]) != NULL, "not %s", bad[i]);
}

static void
test_header_fault(void)
{
	static const char *const good[] = { "A: b", "A:b", "A:", "X-Y!~: \t",
		"Origins: x", "A: \xff" };
	static const char *const bad[] = { "", "A", ": b", "A b: c", "A(: b",
		"\xff: b", "A: b\r\nC: d", "A: b\nC", "A: \x7f", "origin: b",
		"AMP-EMAIL-SENDER:", "Host: a", "content-length: 1",
		"Transfer-Encoding: chunked",
		"Access-Control-Request-Method: PUT" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ok(probe_plan_header_fault(good[i]) == NULL, "good: %zu", i);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(probe_plan_header_fault(bad[i]) != NULL, "bad: %zu", i);
}

static const struct probe_request *
named(const struct probe_request *q, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(q[i].name, name) == 0)
			return &q[i];
	return NULL;
}

/* All header lines in one text. */
static const char *
headers_of(const struct probe_request *q)
{
	static char text[1024];

	text[0] = '\0';
	for (size_t i = 0; q->headers[i] != NULL; i++) {
		strcat(text, q->headers[i]);
		strcat(text, "|");
	}
	return text;
}

static void
test_plan(void)
{
	struct arena a = { NULL, false };
	size_t n, names = 0;
	struct probe_request *q = must(probe_plan(&a, &aim, &n));
	const struct probe_request *one;

	while (probe_plan_name(names) != NULL)
		names++;
	ok(q != NULL && n == names, "all of them");
	one = named(q, n, "v1");
	is_span(span_of(one->url),
	    "https://a.example/list?__amp_source_origin=x%2By%40a.example",
	    "version 1");
	is_span(span_of(one->source), aim.sender, "… and what was asked");
	ok(one->bad == NULL && one->place == PROBE_NOWHERE &&
		one->sender == NULL && !one->data,
	    "… with nothing bad");
	one = named(q, n, "header-turned");
	is_span(span_of(one->url), aim.url, "version 2");
	ok(strstr(headers_of(one),
	       "AMP-Email-Sender: stranger@amp-cors-probe.invalid|"
	       "AMP-Email-Sender: x+y@a.example|") != NULL,
	    "two fields of a name");
	is_span(span_of(one->listed), aim.sender, "… one of which is listed");
	ok(one->place == PROBE_IN_SENDER, "… and one is bad");
	one = named(q, n, "param-crlf");
	ok(one->place == PROBE_IN_SOURCE &&
		strcmp(one->bad, PROBE_INJECTED) == 0,
	    "an injected line");
	one = named(q, n, "origin-preflight");
	ok(one->place == PROBE_IN_ORIGIN && one->listed == NULL &&
		strcmp(one->method, "OPTIONS") == 0,
	    "a preflight");
	one = named(q, n, "param-twin");
	ok(strstr(one->url, "&__amp%5fsource%5forigin=stranger%40") != NULL,
	    "an encoded twin");
	one = named(q, n, "none");
	ok(one->place == PROBE_NOWHERE && one->who == PROBE_ATTACKER &&
		strstr(headers_of(one), "Origin") == NULL,
	    "nothing of the protocol");
	arena_free(&a);
}

static void
test_headers(void)
{
	static const char *headers[] = { "content-type: Text/Plain; a=b",
		"X-A: 1", "User-Agent: me", "Content-Type:", NULL };
	struct probe_aim post = aim;
	struct arena a = { NULL, false };
	size_t n;
	struct probe_request *q;

	post.method = "POST";
	post.headers = headers;
	q = must(probe_plan(&a, &post, &n));
	is_span(span_of(headers_of(named(q, n, "v2"))),
	    "AMP-Email-Sender: x+y@a.example|Accept: application/json|"
	    "content-type: Text/Plain; a=b|X-A: 1|User-Agent: me|"
	    "Content-Type:|",
	    "the user's replace the usual ones");
	ok(named(q, n, "v2")->data && !named(q, n, "preflight")->data,
	    "the body goes with a POST");
	ok(strstr(headers_of(named(q, n, "preflight")),
	       "Request-Method: POST|Access-Control-Request-Headers: "
	       "amp-email-sender,x-a,content-type|") != NULL,
	    "what a page would have to ask for");
	post.headers = no_headers;
	q = must(probe_plan(&a, &post, &n));
	ok(strstr(headers_of(named(q, n, "v2")),
	       "Content-Type: application/x-www-form-urlencoded|") != NULL,
	    "a form's type");
	ok(strstr(headers_of(named(q, n, "preflight")),
	       "Headers: amp-email-sender|") != NULL,
	    "… which a page need not ask for");
	arena_free(&a);
}

static void
test_playground(void)
{
	struct probe_aim other = aim;
	struct arena a = { NULL, false };
	size_t n;
	struct probe_request *q;

	other.browser_origin = "https://playground.amp.dev";
	q = must(probe_plan(&a, &other, &n));
	is_span(span_of(named(q, n, "playground")->source),
	    "https://playground.amp.dev", "a playground and its sender");
	other.browser_origin = "https://a.example";
	q = must(probe_plan(&a, &other, &n));
	ok(named(q, n, "playground") == NULL, "another's is not known");
	arena_free(&a);
}

static void
test_no_memory(void)
{
	struct arena a = { .failed = true };
	size_t n;

	ok(probe_plan(&a, &aim, &n) == NULL, "out of memory at any time: NULL");
	arena_free(&a);
}

int
main(void)
{
	test_url();
	test_url_fault();
	test_header_fault();
	test_plan();
	test_headers();
	test_playground();
	test_no_memory();
	return tap_done();
}
