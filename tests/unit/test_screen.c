/*
 * screen: what a web server may say and what it may not, whole and split at
 * every byte, with padding of any size behind every record.
 */
#include "screen.h"

#include "guard.h"
#include "heard.h"
#include "tap.h"

struct talk_case {
	const char *name, *said, *events, *answers;
};

#define HEAD(id) " begin:" id ":1:k params:" id

static const struct talk_case cases[] = {
	{ "a request", "begin:1:1 params:1:A=b,C=d params:1 stdin:1",
	    "REQUEST-0" HEAD("1") ":A=b,C=d params:1 END", "" },
	{ "no parameters", "begin:1:1:k params:1 stdin:1",
	    "REQUEST-keep-0" HEAD("1") " END", "" },
	{ "a body in pieces",
	    "begin:7:1:k params:7:A=b params:7 stdin:7:he stdin:7:llo stdin:7",
	    "REQUEST-keep-0" HEAD("7") ":A=b params:7 BODY:hello END", "" },
	{ "parameters in pieces",
	    "begin:1:1 params:1:A=b params:1:C=d params:1:E=f params:1",
	    "REQUEST-0" HEAD("1") ":A=b,C=d,E=f params:1", "" },
	{ "a pair over three records",
	    "begin:1:1 4:1:\\x03 4:1:\\x02AB 4:1:Cde params:1",
	    "REQUEST-0" HEAD("1") ":ABC=de params:1", "" },
	{ "lengths of four bytes",
	    "begin:1:1 4:1:\\x80\\x00\\x00\\x01\\x80\\x00\\x00\\x01Ab params:1",
	    "REQUEST-0" HEAD("1") ":A=b params:1", "" },
	{ "the largest id", "begin:65535:1 params:65535:A=b params:65535",
	    "REQUEST-0" HEAD("65535") ":A=b params:65535", "" },

	/* E89: one after the other, of one id or of several */
	{ "two requests",
	    "begin:1:1:k params:1:A=b params:1 stdin:1 "
	    "begin:2:1:k params:2:C=d params:2 stdin:2",
	    "REQUEST-keep-0" HEAD("1") ":A=b params:1 END REQUEST-keep-0" HEAD(
		"2") ":C=d params:2 END",
	    "" },
	{ "one id twice",
	    "begin:1:1:k params:1:A=b params:1 stdin:1:x stdin:1 "
	    "begin:1:1 params:1:C=d params:1 stdin:1:y stdin:1",
	    "REQUEST-keep-0" HEAD(
		"1") ":A=b params:1 BODY:x END REQUEST-0" HEAD("1") ":C=d "
								    "params:1 "
								    "BODY:y "
								    "END",
	    "" },

	/* E8: names that cannot pass */
	{ "odd names",
	    "begin:1:1 params:1:=x,A=b,a\\x00b=x,a\\x3db=x,\\x0a=y,a\\x20b=z,"
	    "\\x7f=1,low=2 params:1",
	    "REQUEST-6" HEAD("1") ":A=b,low=2 params:1", "" },
	{ "odd names, and then none",
	    "begin:1:1:k params:1:=x,A=b params:1 stdin:1 "
	    "begin:1:1:k params:1:C=d params:1 stdin:1",
	    "REQUEST-keep-1" HEAD("1") ":A=b params:1 END "
				       "REQUEST-keep-0" HEAD(
					   "1") ":C=d params:1 END",
	    "" },
	{ "nothing but odd names", "begin:1:1 params:1:=x,\\x01=b params:1",
	    "REQUEST-2" HEAD("1"), "" },
	{ "odd values pass on",
	    "begin:1:1 params:1:A=\\x00\\x0a\\xff\\x3d params:1",
	    "REQUEST-0" HEAD("1") ":A=\\x00\\x0a\\xff= params:1", "" },

	/* E78 */
	{ "abort before the head, kept",
	    "begin:1:1:k params:1:A=b abort:1 begin:1:1:k params:1:C=d "
	    "params:1",
	    "REQUEST-keep-0" HEAD("1") ":C=d params:1", "end:1:0:0" },
	{ "abort before the head, not kept", "begin:1:1 abort:1 begin:1:1",
	    "CLOSE", "end:1:0:0" },
	{ "abort in the body",
	    "begin:1:1:k params:1 stdin:1:abc abort:1 stdin:1:d stdin:1 "
	    "begin:2:1:k params:2 stdin:2",
	    "REQUEST-keep-0" HEAD("1") " BODY:abc ABORT REQUEST-keep-0" HEAD(
		"2") " END",
	    "" },
	{ "abort of another request",
	    "begin:1:1:k abort:2 params:1 abort:2 stdin:1 abort:1",
	    "REQUEST-keep-0" HEAD("1") " END", "" },

	/* E90, E91 */
	{ "a second one at once",
	    "begin:1:1:k params:1:A=b begin:2:1:k params:2:X=y params:2 "
	    "stdin:2:no stdin:2 params:1 stdin:1:yes begin:3:1 stdin:1",
	    "REQUEST-keep-0" HEAD("1") ":A=b params:1 BODY:yes END",
	    "end:2:0:1 end:3:0:1" },
	{ "its own id at once", "begin:1:1:k params:1:A=b begin:1:1:k params:1",
	    "BAD", "" },
	{ "roles, kept",
	    "begin:1:3:k params:1:A=b params:1 stdin:1 begin:2:9:k "
	    "begin:4:0:k begin:5:1:k params:5 stdin:5",
	    "REQUEST-keep-0" HEAD("5") " END",
	    "end:1:0:3 end:2:0:3 end:4:0:3" },
	{ "an Authorizer, kept",
	    "begin:1:2:k params:1:A=b params:1 begin:2:1 stdin:1 "
	    "begin:2:1:k params:2:C=d params:2 stdin:2",
	    "REQUEST-keep-0 begin:1:2:k params:1:A=b params:1 END "
	    "REQUEST-keep-0" HEAD("2") ":C=d params:2 END",
	    "end:2:0:1" },
	{ "… whose body does not end, not kept",
	    "begin:1:2 params:1:A=b params:1 abort:1",
	    "REQUEST-0 begin:1:2:k params:1:A=b params:1 ABORT", "" },
	{ "a Responder behind an Authorizer that was given up",
	    "begin:1:2:k abort:1 begin:1:1:k params:1",
	    "REQUEST-keep-0" HEAD("1"), "end:1:0:0" },
	{ "the Filter role", "begin:1:3:k begin:2:2 params:2",
	    "REQUEST-0 begin:2:2:k params:2", "end:1:0:3" },
	{ "a role beyond a byte, of the Authorizer's last one",
	    "1:1:\\x01\\x02\\x01\\x00\\x00\\x00\\x00\\x00", "", "end:1:0:3" },
	{ "a role, not kept", "begin:1:3 params:1", "CLOSE", "end:1:0:3" },
	{ "a role beyond a byte",
	    "1:1:\\x01\\x01\\x01\\x00\\x00\\x00\\x00\\x00", "", "end:1:0:3" },

	/* E92, E93 */
	{ "values, before, within and behind",
	    "values:0:FCGI_MAX_CONNS=,FCGI_MAX_CONNS= begin:1:1:k values:0 "
	    "params:1:A=b values:0:FCGI_MAX_REQS=,FCGI_MPXS_CONNS= params:1 "
	    "stdin:1:x values:0:NO=,FCGI_MPXS_CONNS= stdin:1:y stdin:1 "
	    "values:0:FCGI_MAX_REQS=",
	    "REQUEST-keep-0" HEAD("1") ":A=b params:1 BODY:xy END",
	    "result:0:FCGI_MAX_CONNS=80 result:0 "
	    "result:0:FCGI_MAX_REQS=81,FCGI_MPXS_CONNS=0 "
	    "result:0:FCGI_MPXS_CONNS=0 result:0:FCGI_MAX_REQS=81" },
	{ "management of no known type", "12:0:abc 255:0 result:0:x", "",
	    "unknown:0:\\x0c\\x00\\x00\\x00\\x00\\x00\\x00\\x00 "
	    "unknown:0:\\xff\\x00\\x00\\x00\\x00\\x00\\x00\\x00 "
	    "unknown:0:\\x0a\\x00\\x00\\x00\\x00\\x00\\x00\\x00" },
	{ "an application's types of id 0",
	    "begin:0:1:k params:0 stdin:0:x begin:1:1 params:1 stdin:0:no "
	    "stdin:1",
	    "REQUEST-0" HEAD("1") " END",
	    "unknown:0:\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00 "
	    "unknown:0:\\x04\\x00\\x00\\x00\\x00\\x00\\x00\\x00 "
	    "unknown:0:\\x05\\x00\\x00\\x00\\x00\\x00\\x00\\x00 "
	    "unknown:0:\\x05\\x00\\x00\\x00\\x00\\x00\\x00\\x00" },

	/* E94 */
	{ "records of nobody",
	    "params:1:A=b params:1 stdin:1:x stdin:1 abort:1 stdout:1:x "
	    "begin:2:1 stdin:1:x params:1 params:2 stdin:1:x stdin:2",
	    "REQUEST-0" HEAD("2") " END", "" },
	{ "types that a server does not send",
	    "begin:1:1 stdout:1:x end:1:12345678 params:1 data:1:x data:1 "
	    "stderr:1:x 99:1:x stdin:1",
	    "REQUEST-0" HEAD("1") " END", "" },

	/* what is out of order */
	{ "a short BEGIN", "1:1:\\x00\\x01\\x00\\x00\\x00\\x00\\x00", "BAD",
	    "" },
	{ "a long BEGIN", "1:1:\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00",
	    "BAD", "" },
	{ "an empty BEGIN", "1:1", "BAD", "" },
	{ "a pair that is cut off", "begin:1:1 4:1:\\x01\\x02Ax params:1",
	    "BAD", "" },
	{ "a length beyond all (E86)",
	    "begin:1:1 4:1:\\x01\\xff\\xff\\xff\\xffA params:1", "BAD", "" },
	{ "a name beyond all",
	    "begin:1:1 4:1:\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff params:1",
	    "BAD", "" },
	{ "a body before its head", "begin:1:1 stdin:1:x", "BAD", "" },
	{ "its end before its head", "begin:1:1 params:1:A=b stdin:1", "BAD",
	    "" },
	{ "parameters behind their end", "begin:1:1 params:1 params:1:A=b",
	    "REQUEST-0" HEAD("1") " BAD", "" },
	{ "a second end of them", "begin:1:1 params:1 params:1",
	    "REQUEST-0" HEAD("1") " BAD", "" },
	{ "a head that is not whole", "begin:1:1 params:1:A=b", "", "" },
};

enum { CASES = sizeof(cases) / sizeof(cases[0]) };

/* One way to split the bytes, which end before a page that is unreadable. */
static bool
hears(const struct talk_case *c, struct span said, size_t cut, size_t step,
    bool rest)
{
	struct heard h;
	bool same;

	heard_init(&h, HEARD_AT_END, rest);
	heard_all(&h, said, cut, step);
	same = !h.wrong && span_eq(buf_span(&h.events), span_of(c->events)) &&
	    span_eq(buf_span(&h.answers), span_of(c->answers));
	if (!same)
		printf("# cut %zu step %zu rest %d wrong %d\n"
		       "# events:  %.*s\n# answers: %.*s\n",
		    cut, step, rest, h.wrong, (int)h.events.n, h.events.p,
		    (int)h.answers.n, h.answers.p);
	heard_free(&h);
	return same;
}

static void
test_case(const struct talk_case *c)
{
	static const unsigned paddings[] = { 0, 1, 7, 8, 255 };
	bool same = true;

	for (size_t k = 0; k < sizeof(paddings) / sizeof(paddings[0]); k++) {
		struct guard g;
		struct buf b;

		buf_init(&b, TALK_MAX);
		talk_add(&b, c->said, paddings[k]);
		g = guard_of(b.p, b.n);
		same = same && hears(c, g.s, 0, b.n, false) &&
		    hears(c, g.s, 0, 1, false) && hears(c, g.s, 0, 1, true) &&
		    hears(c, g.s, 0, 5, true);
		for (size_t i = 1; same && paddings[k] < 8 && i < b.n; i++)
			same = hears(c, g.s, i, b.n, false) &&
			    hears(c, g.s, i, b.n, true);
		guard_free(&g);
		buf_free(&b);
	}
	ok(same, "%s", c->name);
}

/* E85: any padding, behind BEGIN and behind the empty PARAMS as well. */
static void
test_padding(void)
{
	static const struct talk_case c = { "",
		"begin:1:1:k values:0 "
		"params:1:A=b params:1 stdin:1:x stdin:1",
		"REQUEST-keep-0" HEAD("1") ":A=b params:1 BODY:x END",
		"result:0" };

	for (unsigned padding = 0; padding < 256; padding++) {
		struct buf b;

		buf_init(&b, TALK_MAX);
		talk_add(&b, c.said, padding);
		ok(hears(&c, buf_span(&b), 0, b.n, false) &&
			hears(&c, buf_span(&b), 0, 1, true),
		    "padding of %u", padding);
		buf_free(&b);
	}
}

/* Bytes that are no FastCGI (E95), and what they are after a good record. */
static void
test_no_fastcgi(void)
{
	const struct talk_case bad = { "", "", "BAD", "" };
	const struct span said[] = {
		SPAN("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		SPAN("\x16\3\1\2\0\1\0\1\374\3\3"),
		SPAN("\0\0\0\0\0\0\0\0"),
		SPAN("\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0\2\4\0\1\0\0\0\0"),
		SPAN("\1\1\0\1\0\10\1\0\0\1\0\0\0\0\0\0\1G\4\0\1\0\0\0\0"),
	};

	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		struct guard g = guard_of(said[i].p, said[i].n);

		ok(hears(&bad, g.s, 0, said[i].n, false) &&
			hears(&bad, g.s, 0, 1, false),
		    "no FastCGI, %zu", i);
		guard_free(&g);
	}
}

/* Adds parameters of so many bytes in all, in records of at most `most`. */
static void
add_params(struct buf *b, size_t size, size_t most, bool odd)
{
	struct span rest, name = odd ? SPAN("=") : SPAN("A");
	struct buf pairs;
	char *text = must(calloc(1, size));

	buf_init(&pairs, TALK_MAX);
	wire_add_pair(&pairs, name, SPAN("x"));
	wire_add_pair(&pairs, SPAN("B"), (struct span){ text, size - 4 - 6 });
	for (rest = buf_span(&pairs); rest.n > 0;) {
		size_t n = rest.n < most ? rest.n : most;

		talk_record(b, WIRE_PARAMS, 1, (struct span){ rest.p, n }, 3);
		rest = span_skip(rest, n);
	}
	buf_free(&pairs);
	free(text);
}

/* As much as one record holds is a head, a byte more is none. */
static void
test_limit(size_t size, size_t most, bool odd, bool good)
{
	struct heard h;
	struct buf b;

	buf_init(&b, TALK_MAX);
	talk_add(&b, "begin:1:1:k", 0);
	add_params(&b, size, most, odd);
	talk_add(&b, "params:1 stdin:1", 0);
	heard_init(&h, HEARD_AT_END, false);
	heard_all(&h, buf_span(&b), 0, 16384);
	ok(!h.wrong && h.over == !good &&
		span_starts(buf_span(&h.events),
		    good && odd ? SPAN("REQUEST-keep-1 ") :
			good    ? SPAN("REQUEST-keep-0 ") :
				  SPAN("BAD")),
	    "%zu bytes of parameters in records of %zu%s", size, most,
	    odd ? ", one odd" : "");
	heard_free(&h);
	buf_free(&b);
}

/* A peer that asks and asks, in pieces as they are read, is answered. */
static void
test_many_questions(void)
{
	struct heard h;
	struct buf b;

	buf_init(&b, TALK_MAX);
	for (int i = 0; i < 2000; i++)
		talk_add(&b, "77:0", 0);
	talk_add(&b, "begin:1:1 params:1", 0);
	heard_init(&h, HEARD_AT_END, true);
	heard_all(&h, buf_span(&b), 0, 4096);
	ok(!h.wrong && !h.over &&
		span_eq(buf_span(&h.events), SPAN("REQUEST-0" HEAD("1"))),
	    "2000 questions");
	heard_free(&h);
	buf_free(&b);
}

/* A long question is none: it would be kept in memory. */
static void
test_long_control(void)
{
	static char text[65535];
	struct heard h;
	struct buf b;

	buf_init(&b, TALK_MAX);
	talk_record(&b, WIRE_GET_VALUES, 0, (struct span){ text, sizeof(text) },
	    0);
	heard_init(&h, HEARD_AT_END, false);
	heard_all(&h, buf_span(&b), 0, b.n);
	ok(h.over && !h.wrong, "a GET_VALUES of 64 KiB");
	heard_free(&h);
	buf_clear(&b);
	talk_record(&b, 99, 0, (struct span){ text, sizeof(text) }, 0);
	talk_record(&b, 99, 5, (struct span){ text, sizeof(text) }, 0);
	heard_init(&h, HEARD_AT_END, false);
	heard_all(&h, buf_span(&b), 0, b.n);
	ok(!h.over && !h.wrong && h.s.control.cap < 8192 &&
		h.s.params.cap < 8192,
	    "what is passed over is not kept");
	heard_free(&h);
	buf_free(&b);
}

/* E39: 100000 records of a byte each. */
static void
test_small_records(void)
{
	struct buf b = talk("begin:1:1 params:1"), one = talk("stdin:1:x");
	struct span body = { NULL, 0 }, in = buf_span(&b);
	size_t seen = 0;
	struct screen s;

	screen_init(&s, 1, 1);
	ok(screen_next(&s, &in, &body) == SCREEN_REQUEST, "a head");
	for (int i = 0; i < 100000; i++) {
		in = buf_span(&one);
		seen += screen_next(&s, &in, &body) == SCREEN_BODY &&
		    span_eq(body, SPAN("x"));
		screen_next(&s, &in, &body);
	}
	ok(seen == 100000 && s.control.cap + s.params.cap + s.answer.cap < 4096,
	    "100000 records of one byte");
	screen_free(&s);
	buf_free(&b);
	buf_free(&one);
}

/* screen_rest() gives the memory of an idle one back. */
static void
test_rest(void)
{
	struct heard h;
	struct buf b = talk("values:0 begin:1:1:k params:1:A=b params:1 "
			    "stdin:1");

	heard_init(&h, HEARD_AT_END, true);
	heard_all(&h, buf_span(&b), 0, b.n);
	ok(h.s.control.p == NULL && h.s.params.p == NULL &&
		h.s.answer.p == NULL,
	    "an idle screen keeps no memory");
	heard_free(&h);
	buf_free(&b);
}

/* Done before the body has come: what still comes of it is passed over. */
static void
test_done_early(void)
{
	struct heard h;
	struct buf b = talk("begin:1:1:k params:1 stdin:1:abc stdin:1 "
			    "begin:1:1:k params:1:A=b params:1 stdin:1");

	heard_init(&h, HEARD_AT_ONCE, false);
	heard_all(&h, buf_span(&b), 0, b.n);
	is_span(buf_span(&h.events),
	    "REQUEST-keep-0" HEAD("1") " REQUEST-keep-0" HEAD(
		"1") ":A=b params:1",
	    "a request that is over early");
	heard_free(&h);
	heard_init(&h, HEARD_NEVER, false);
	heard_all(&h, buf_span(&b), 0, b.n);
	is_span(buf_span(&h.events),
	    "REQUEST-keep-0" HEAD("1") " BODY:abc END BAD",
	    "one that is not over");
	heard_free(&h);
	buf_free(&b);
}

int
main(void)
{
	for (size_t i = 0; i < CASES; i++)
		test_case(&cases[i]);
	test_padding();
	test_no_fastcgi();
	test_limit(65535, 65535, false, true);
	test_limit(65535, 1000, false, true);
	test_limit(65536, 1000, false, false);
	test_limit(65536, 65535, false, false);
	test_limit(65535, 65535, true, true);
	test_limit(70000, 65535, true, false);
	test_many_questions();
	test_long_control();
	test_small_records();
	test_rest();
	test_done_early();
	return tap_done();
}
