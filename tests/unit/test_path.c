/*
 * path: every path whole, cut in two at every place, and percent-encoded, each
 * part against an unreadable page [SPEC 1.7, 2.1, E24].
 */
#include "path.h"

#include "buf.h"
#include "guard.h"
#include "tap.h"

#define TEXT(s)                  \
	{                        \
		s, sizeof(s) - 1 \
	}

/* Two parts in memory of their own. */
struct parts {
	struct guard head, tail;
	struct path p;
};

static struct parts
parts_of(struct span s, size_t cut, bool encoded)
{
	const char *p = s.p == NULL ? "" : s.p;
	struct parts a = { .head = guard_of(p, cut),
		.tail = guard_of(p + cut, s.n - cut) };

	a.p = (struct path){ a.head.s, a.tail.s, encoded };
	return a;
}

static void
parts_free(struct parts *a)
{
	guard_free(&a->head);
	guard_free(&a->tail);
}

/* An escape is never half in one part and half in the other. */
static bool
in_escape(struct span s, size_t i)
{
	return (i >= 1 && s.p[i - 1] == '%') || (i >= 2 && s.p[i - 2] == '%');
}

/* The same answer wherever it is cut: 1 or 0; -1 where it is not. */
static int
plain_at_every_cut(struct span s, bool encoded)
{
	const struct path whole = { .head = s, .encoded = encoded },
			  behind = { .tail = s, .encoded = encoded };
	int plain = path_is_plain(&whole);
	bool same = path_is_plain(&behind) == plain;

	for (size_t i = 0; i <= s.n; i++) {
		struct parts a;

		if (encoded && in_escape(s, i))
			continue;
		a = parts_of(s, i, encoded);
		same &= path_is_plain(&a.p) == plain;
		parts_free(&a);
	}
	return same ? plain : -1;
}

static int
below_at_every_cut(struct span s, bool encoded, const char *top)
{
	const struct path whole = { .head = s, .encoded = encoded };
	int below = path_is_below(&whole, top);
	bool same = true;

	for (size_t i = 0; i <= s.n; i++) {
		struct parts a;

		if (encoded && in_escape(s, i))
			continue;
		a = parts_of(s, i, encoded);
		same &= path_is_below(&a.p, top) == below &&
		    path_is(&a.p, top) == path_is(&whole, top);
		parts_free(&a);
	}
	return same ? below : -1;
}

/* Every byte as an escape, but for a '/' in front: lower case or upper. */
static void
encode(struct span s, bool upper, struct buf *out)
{
	char text[4];

	for (size_t i = 0; i < s.n; i++) {
		snprintf(text, sizeof(text), upper ? "%%%02X" : "%%%02x",
		    (unsigned char)s.p[i]);
		if (i == 0 && s.p[i] == '/')
			buf_add_char(out, '/');
		else
			buf_add_str(out, text);
	}
}

/* --- plain paths --- */

static const struct {
	struct span path;
	bool plain;
} plains[] = {
	{ TEXT("/"), true },
	{ TEXT("/a"), true },
	{ TEXT("/a/"), true },
	{ TEXT("/a/b"), true },
	{ TEXT("/a/b/c.cgi/"), true },
	{ TEXT("/..."), true },
	{ TEXT("/.../"), true },
	{ TEXT("/.a/..b/c../d./.e."), true },
	{ TEXT("/a b/~c;d=e&f?g#h"), true },
	{ TEXT("/\xff\x80"), true },
	{ TEXT("/\\..\\"), true },
	{ TEXT("//"), false },
	{ TEXT("//a"), false },
	{ TEXT("/a//"), false },
	{ TEXT("/a//b"), false },
	{ TEXT("///"), false },
	{ TEXT("/."), false },
	{ TEXT("/.."), false },
	{ TEXT("/./"), false },
	{ TEXT("/../"), false },
	{ TEXT("/./a"), false },
	{ TEXT("/../a"), false },
	{ TEXT("/a/."), false },
	{ TEXT("/a/.."), false },
	{ TEXT("/a/./b"), false },
	{ TEXT("/a/../b"), false },
	{ TEXT("/a/b/../.."), false },
	{ TEXT("/\0"), false },
	{ TEXT("/a\0b"), false },
	{ TEXT("/a/\0"), false },
};

static void
test_plain(size_t i)
{
	struct span s = plains[i].path;
	struct buf lower, upper;

	buf_init(&lower, 1000);
	buf_init(&upper, 1000);
	encode(s, false, &lower);
	encode(s, true, &upper);
	ok(plain_at_every_cut(s, false) == plains[i].plain, "%.*s is%s plain",
	    (int)s.n, s.p, plains[i].plain ? "" : " not");
	ok(plain_at_every_cut(buf_span(&lower), true) == plains[i].plain,
	    "… and so is %.*s", (int)lower.n, lower.p);
	ok(plain_at_every_cut(buf_span(&upper), true) == plains[i].plain,
	    "… and %.*s", (int)upper.n, upper.p);
	buf_free(&lower);
	buf_free(&upper);
}

/* A SCRIPT_NAME may be empty, or begin with any byte; a URL's path may not. */
static const struct {
	struct span path;
	bool plain, encoded;
} beginnings[] = {
	{ { NULL, 0 }, true, false },
	{ TEXT(""), true, false },
	{ TEXT("a"), true, false },
	{ TEXT("a/b"), true, false },
	{ TEXT("*"), true, false },
	{ TEXT("."), false, false },
	{ TEXT(".."), false, false },
	{ TEXT("../a"), false, false },
	{ TEXT("a//"), false, false },
	{ TEXT("http://a.example/a"), false, false },
	{ TEXT("%2fa"), true, true },
	{ TEXT("%2f"), true, true },
	{ TEXT("%2f/"), true, false },
};

static void
test_beginning(size_t i)
{
	struct span s = beginnings[i].path;

	ok(plain_at_every_cut(s, false) == beginnings[i].plain,
	    "'%.*s' is%s plain", (int)s.n, s.p == NULL ? "" : s.p,
	    beginnings[i].plain ? "" : " not");
	ok(plain_at_every_cut(s, true) == beginnings[i].encoded,
	    "… and as an encoded one%s", beginnings[i].encoded ? "" : " not");
}

/* A server may read these as another path, once they come in a URI. */
static void
test_control(void)
{
	bool plain = true, encoded = true, escaped = true;

	for (unsigned c = 1; c < 256; c++) {
		char raw[] = { '/', 'a', (char)c, 'b' }, escape[8];
		bool want = c >= ' ' && c != 0x7f && c != '%';

		snprintf(escape, sizeof(escape), "/a%%%02xb", c);
		plain &= plain_at_every_cut((struct span){ raw, 4 }, false);
		encoded &= plain_at_every_cut((struct span){ raw, 4 }, true) ==
		    (want && c != '#');
		escaped &= plain_at_every_cut(span_of(escape), true) ==
		    (want || c == '%');
	}
	ok(plain, "every byte in a path that is not encoded");
	ok(encoded, "… in one that is: no control byte, and no '#'");
	ok(escaped, "… as an escape: no control byte");
}

/* Escapes, and what is none; decoded once [SPEC 1.7]. */
static const struct {
	const char *path;
	bool plain;
} escapes[] = {
	{ "/%41", true },
	{ "/a%20b", true },
	{ "/%c3%A4", true },
	{ "/%25", true },
	{ "/%252e%252e", true },
	{ "/a%23b", true },
	{ "/a#b", false },
	{ "/#", false },
	{ "/a%0ab", false },
	{ "/%7f", false },
	{ "/%2e%2e%2e", true },
	{ "/.%2ea", true },
	{ "/%2f", false },
	{ "/a%2f", true },
	{ "/a%2F%2f", false },
	{ "/a/%2f", false },
	{ "/%2e", false },
	{ "/%2E%2e", false },
	{ "/.%2e", false },
	{ "/%2e./a", false },
	{ "/a%2f..", false },
	{ "/a%2f%2e%2e%2fb", false },
	{ "/%00", false },
	{ "/a%00.cgi", false },
	{ "/%", false },
	{ "/%4", false },
	{ "/%zz", false },
	{ "/%4g", false },
	{ "/%g4", false },
	{ "/%+4", false },
	{ "/% 4", false },
	{ "/%%41", false },
	{ "/%4/1", false },
	{ "/a%", false },
	{ "/a%4", false },
	{ "/\\x41/%-1", false },
};

static void
test_escape(size_t i)
{
	ok(plain_at_every_cut(span_of(escapes[i].path), true) ==
		escapes[i].plain,
	    "%s, encoded, is%s plain", escapes[i].path,
	    escapes[i].plain ? "" : " not");
}

/* An escape that is cut in two is none. */
static void
test_cut_escape(void)
{
	struct parts a = parts_of(SPAN("/%41"), 2, true);

	ok(!path_is_plain(&a.p), "an escape in two parts, 1");
	parts_free(&a);
	a = parts_of(SPAN("/%41"), 3, true);
	ok(!path_is_plain(&a.p), "an escape in two parts, 2");
	parts_free(&a);
}

/* --- what lies below --- */

static const struct {
	const char *path, *top;
	bool below;
} belows[] = {
	{ "/amp", "/amp", true },
	{ "/amp/", "/amp", true },
	{ "/amp/x", "/amp", true },
	{ "/amp/x/y", "/amp/x", true },
	{ "/amp/x", "/amp/x", true },
	{ "/amp/x", "/amp/x/y", false },
	{ "/ampere", "/amp", false },
	{ "/am", "/amp", false },
	{ "/", "/amp", false },
	{ "", "/amp", false },
	{ "/AMP", "/amp", false },
	{ "/amp", "/", false },
	{ "amp", "/amp", false },
	{ "/x/amp", "/amp", false },
	{ "/amp", "", true },
	{ "/", "", true },
	{ "", "", true },
	{ "anything", "", true },
	{ "/\xc3\xa4/x", "/\xc3\xa4", true },
	{ "/%41", "/%41", true },
};

static void
test_below(size_t i)
{
	struct span s = span_of(belows[i].path);
	struct buf b;

	buf_init(&b, 1000);
	encode(s, i % 2 == 0, &b);
	ok(below_at_every_cut(s, false, belows[i].top) == belows[i].below,
	    "'%s' is%s '%s' or below it", belows[i].path,
	    belows[i].below ? "" : " not", belows[i].top);
	ok(path_is(&(struct path){ .head = s }, belows[i].top) ==
		(strcmp(belows[i].path, belows[i].top) == 0),
	    "… and is it, or not");
	ok(below_at_every_cut(buf_span(&b), true, belows[i].top) ==
		belows[i].below,
	    "… and so is '%.*s'", (int)b.n, b.p);
	buf_free(&b);
}

/* Read as what it decodes to, and that once. */
static void
test_below_encoded(void)
{
	static const struct {
		const char *path, *top;
		bool below;
	} cases[] = {
		{ "/%61mp", "/amp", true }, { "/amp%2fx", "/amp", true },
		{ "/am%70e", "/amp", false }, { "/%2561mp", "/amp", false },
		{ "/%2561mp", "/%61mp", true }, { "/amp%zz", "/amp", false },
		{ "/amp%", "/amp", false }, { "/amp%00", "/amp", false },
		{ "/am%7", "/amp", false },
		{ "%zz", "", true }, /* and not plain */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ok(below_at_every_cut(span_of(cases[i].path), true,
		       cases[i].top) == cases[i].below,
		    "%s, encoded, is%s '%s' or below it", cases[i].path,
		    cases[i].below ? "" : " not", cases[i].top);
}

/* --- of a URI --- */

static void
test_uri(void)
{
	static const struct {
		const char *uri, *path, *query; /* NULL: absent */
	} cases[] = {
		{ "/a/b?c=d", "/a/b", "c=d" },
		{ "/a", "/a", NULL },
		{ "/a?", "/a", NULL },
		{ "/a?b?c", "/a", "b?c" },
		{ "/a??", "/a", "?" },
		{ "/?x", "/", "x" },
		{ "/a%3fb?c", "/a%3fb", "c" },
		{ "/a#b?c", "/a#b?c", NULL },
		{ "/a?b#c", "/a?b#c", NULL },
		{ "/a?b=1#&c=d", "/a?b=1#&c=d", NULL },
		{ "/a?#", "/a?#", NULL },
		{ "/a#", "/a#", NULL },
		{ "#", "#", NULL },
		{ "/a%23b?c%23", "/a%23b", "c%23" },
		{ "*", "*", NULL },
		{ "?x", "", "x" },
		{ "?", "", NULL },
		{ "", NULL, NULL },
		{ NULL, NULL, NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span uri = span_of(cases[i].uri), query = SPAN("old");
		struct guard g = guard_of(uri.p, uri.n);
		struct path p;

		p = path_of_uri(uri.p == NULL ? uri : g.s, &query);
		ok(p.encoded && p.tail.p == NULL, "a URI: %s",
		    cases[i].uri == NULL ? "(none)" : cases[i].uri);
		is_span(p.head, cases[i].path, "… its path");
		is_span(query, cases[i].query, "… its query");
		ok(uri.n == 0 || memchr(uri.p, '#', uri.n) == NULL ||
			!path_is_plain(&p),
		    "… and not plain, where a '#' is in it");
		guard_free(&g);
	}
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(plains) / sizeof(plains[0]); i++)
		test_plain(i);
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		test_beginning(i);
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++)
		test_escape(i);
	test_cut_escape();
	test_control();
	for (size_t i = 0; i < sizeof(belows) / sizeof(belows[0]); i++)
		test_below(i);
	test_below_encoded();
	test_uri();
	return tap_done();
}
