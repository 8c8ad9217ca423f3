/*
 * cgihead: what is a header block and what is none (E41 to E66), each whole, in
 * two pieces split at every byte, and byte by byte.
 */
#include "buf.h"
#include "cgihead.h"
#include "guard.h"
#include "tap.h"

#define IN(literal) (literal), sizeof(literal) - 1

/*
 * want is the status, perhaps "(its phrase)", and every field that is left,
 * each behind '|'; then '>' and the body.  "MORE" where the block is not whole;
 * "BAD" and the fault.
 */
struct row {
	const char *name;
	const char *in;
	size_t n;
	const char *want;
};

static const struct row rows[] = {
	/* E41 */
	{ "LF", IN("Content-Type: a/b\n\nbody"), "0|Content-Type=a/b>body" },
	{ "CRLF", IN("Content-Type: a/b\r\n\r\nbody"),
	    "0|Content-Type=a/b>body" },
	{ "mixed ends", IN("A: 1\nB: 2\r\nC: 3\n\r\nx\r\n"),
	    "0|A=1|B=2|C=3>x\r\n" },
	{ "body of newlines", IN("A: 1\n\n\n\n"), "0|A=1>\n\n" },
	{ "no body", IN("A: 1\n\n"), "0|A=1>" },
	{ "order and repeats stay", IN("B: 2\nA: 1\nB: 3\nb: 4\n\n"),
	    "0|B=2|A=1|B=3|b=4>" },
	{ "values are trimmed", IN("A: \t v w\t \nB:x\nC:\nD: \t\n\n"),
	    "0|A=v w|B=x|C=|D=>" },
	{ "colons in a value", IN("A:b:c\n\n"), "0|A=b:c>" },
	{ "tab within a value", IN("A: b\tc\n\n"), "0|A=b\tc>" },
	{ "bytes from 0x80", IN("A: \x80\xff\xc3\xa4\n\n"),
	    "0|A=\x80\xff\xc3\xa4>" },
	{ "every kind of token byte", IN("aZ09!#$%&'*+-.^_`|~: v\n\n"),
	    "0|aZ09!#$%&'*+-.^_`|~=v>" },
	/* not whole: E49, E50 */
	{ "nothing", IN(""), "MORE" },
	{ "no blank line", IN("A: 1\nB: 2\n"), "MORE" },
	{ "no line feed", IN("A: 1"), "MORE" },
	{ "half a blank line", IN("A: 1\r\n\r"), "MORE" },
	/* E42 */
	{ "bare CR in a value", IN("A: x\rSet-Cookie: y\n\n"),
	    "BAD a CR that no LF follows" },
	{ "CR CR LF", IN("A: x\r\r\n\r\n"), "BAD a CR that no LF follows" },
	{ "CR alone as line end", IN("A: x\r\rbody\n\n"),
	    "BAD a CR that no LF follows" },
	{ "CR CR LF for the blank line", IN("A: x\n\r\r\n"),
	    "BAD a CR that no LF follows" },
	{ "CR first", IN("\rA: x\n\n"), "BAD a CR that no LF follows" },
	{ "CR in a name", IN("A\r: x\n\n"), "BAD a CR that no LF follows" },
	/* E43 */
	{ "NUL in a value", IN("A: x\0y\n\n"),
	    "BAD a control byte in a header field" },
	{ "NUL in a name", IN("A\0: x\n\n"),
	    "BAD a control byte in a header field" },
	{ "0x01", IN("A: \x01\n\n"), "BAD a control byte in a header field" },
	{ "ESC", IN("A: \x1b[2J\n\n"), "BAD a control byte in a header field" },
	{ "DEL", IN("A: \x7f\n\n"), "BAD a control byte in a header field" },
	{ "VT", IN("A: a\vb\n\n"), "BAD a control byte in a header field" },
	{ "tab in a name", IN("A\tB: x\n\n"), "BAD a bad header field name" },
	/* E44 */
	{ "folded by a blank", IN("A: x\n y\n\n"), "BAD a folded header line" },
	{ "folded by a tab", IN("A: x\n\ty: z\n\n"),
	    "BAD a folded header line" },
	{ "blank first line", IN(" A: x\n\n"), "BAD a folded header line" },
	{ "blank line of blanks", IN("A: x\n \n\n"),
	    "BAD a folded header line" },
	/* E45, E47 */
	{ "no colon", IN("A: x\nhello\n\n"),
	    "BAD a header line without a colon" },
	{ "text only", IN("hello world\n"),
	    "BAD a header line without a colon" },
	{ "JSON only", IN("{\"a\": 1}\n"), "BAD a bad header field name" },
	{ "HTML only", IN("<!DOCTYPE html>\n<p>\n"),
	    "BAD a header line without a colon" },
	{ "blank before the colon", IN("Name : v\n\n"),
	    "BAD a bad header field name" },
	{ "blank in a name", IN("Bad Name: v\n\n"),
	    "BAD a bad header field name" },
	{ "no name", IN(": v\n\n"), "BAD a bad header field name" },
	{ "colon alone", IN(":\n\n"), "BAD a bad header field name" },
	{ "quote in a name", IN("a\"b: v\n\n"), "BAD a bad header field name" },
	{ "slash in a name", IN("a/b: v\n\n"), "BAD a bad header field name" },
	{ "0x80 in a name", IN("a\x80: v\n\n"), "BAD a bad header field name" },
	/* E46 */
	{ "status line", IN("HTTP/1.1 201 Created\nA: 1\n\n"),
	    "201(Created)|A=1>" },
	{ "status line of 1.0", IN("HTTP/1.0 404\r\nA: 1\r\n\r\n"),
	    "404|A=1>" },
	{ "status line, colon in its phrase",
	    IN("HTTP/1.1 200 all: fine\nA: 1\n\n"), "200(all: fine)|A=1>" },
	{ "status line alone", IN("HTTP/1.1 204 No Content\n\n"),
	    "204(No Content)>" },
	{ "status line second", IN("A: 1\nHTTP/1.1 200 OK\n\n"),
	    "BAD a header line without a colon" },
	{ "status line and Status", IN("HTTP/1.1 200 OK\nStatus: 200\n\n"),
	    "BAD two of Status" },
	{ "status line twice", IN("HTTP/1.1 200 OK\nHTTP/1.1 200 OK\n\n"),
	    "BAD a header line without a colon" },
	{ "status line without a status", IN("HTTP/1.1\nA: 1\n\n"),
	    "BAD a header line without a colon" },
	{ "status line, blank status", IN("HTTP/1.1 \nA: 1\n\n"),
	    "BAD a bad Status" },
	{ "status line of letters", IN("HTTP/1.1 OK\nA: 1\n\n"),
	    "BAD a bad Status" },
	{ "status line of 100", IN("HTTP/1.1 100 Continue\nA: 1\n\n"),
	    "BAD a Status outside 200 to 599" },
	{ "status line of HTTP/2", IN("HTTP/2 200\nA: 1\n\n"),
	    "BAD a header line without a colon" },
	{ "status line, CR in it", IN("HTTP/1.1 200 a\rb\nA: 1\n\n"),
	    "BAD a CR that no LF follows" },
	/* E48 */
	{ "blank line first", IN("\nA: 1\n\n"), "BAD an empty header block" },
	{ "CRLF first", IN("\r\nbody"), "BAD an empty header block" },
	/* E53, E54, E56 */
	{ "Status alone", IN("Status: 404\n\n"), "404>" },
	{ "Status with a phrase", IN("Status: 404 Nope\nA: 1\n\n"),
	    "404(Nope)|A=1>" },
	{ "Status and a blank", IN("Status: 404 \n\n"), "404>" },
	{ "Status and a tab", IN("Status:404\tNope\n\n"), "404(Nope)>" },
	{ "Status in lower case, later", IN("A: 1\nstatus: 599\n\n"),
	    "599|A=1>" },
	{ "Status 200", IN("Status: 200\n\n"), "200>" },
	{ "Status abc", IN("Status: abc\n\n"), "BAD a bad Status" },
	{ "Status empty", IN("Status:\nA: 1\n\n"), "BAD a bad Status" },
	{ "Status 99", IN("Status: 99\n\n"), "BAD a bad Status" },
	{ "Status 1000", IN("Status: 1000\n\n"), "BAD a bad Status" },
	{ "Status -1", IN("Status: -1\n\n"), "BAD a bad Status" },
	{ "Status +20", IN("Status: +20\n\n"), "BAD a bad Status" },
	{ "Status 200OK", IN("Status: 200OK\n\n"), "BAD a bad Status" },
	{ "Status 2 00", IN("Status: 2 00\n\n"), "BAD a bad Status" },
	{ "Status 0x1", IN("Status: 0x1\n\n"), "BAD a bad Status" },
	{ "Status 000", IN("Status: 000\n\n"),
	    "BAD a Status outside 200 to 599" },
	{ "Status 100", IN("Status: 100\n\n"),
	    "BAD a Status outside 200 to 599" },
	{ "Status 103", IN("Status: 103 Early Hints\n\n"),
	    "BAD a Status outside 200 to 599" },
	{ "Status 199", IN("Status: 199\n\n"),
	    "BAD a Status outside 200 to 599" },
	{ "Status 600", IN("Status: 600\n\n"),
	    "BAD a Status outside 200 to 599" },
	/* E55 */
	{ "two Status", IN("Status: 200\nSTATUS: 200\n\n"),
	    "BAD two of Status" },
	{ "two Content-Type", IN("Content-Type: a\ncontent-type: a\n\n"),
	    "BAD two of Content-Type" },
	{ "two Location", IN("Location: /\nA: 1\nLOCATION: /\n\n"),
	    "BAD two of Location" },
	/* E61 */
	{ "Content-Length", IN("Content-Length: 5\n\nhello"),
	    "0 length 5|Content-Length=5>hello" },
	{ "Content-Length 0", IN("content-length: 0\n\n"),
	    "0 length 0|content-length=0>" },
	{ "Content-Length, 2^63 - 1",
	    IN("Content-Length: 9223372036854775807\n\n"),
	    "0 length 9223372036854775807|"
	    "Content-Length=9223372036854775807>" },
	{ "Content-Length, 2^63", IN("Content-Length: 9223372036854775808\n\n"),
	    "BAD a bad Content-Length" },
	{ "Content-Length, 2^64 and 5",
	    IN("Content-Length: 18446744073709551621\n\n"),
	    "BAD a bad Content-Length" },
	{ "Content-Length twice",
	    IN("Content-Length: 5\nA: 1\n"
	       "Content-length: 5\n\n"),
	    "0 length 5|Content-Length=5|A=1>" },
	{ "Content-Length twice and different",
	    IN("Content-Length: 5\nContent-Length: 6\n\n"),
	    "BAD two different Content-Length" },
	{ "Content-Length +5", IN("Content-Length: +5\n\n"),
	    "BAD a bad Content-Length" },
	{ "Content-Length -5", IN("Content-Length: -5\n\n"),
	    "BAD a bad Content-Length" },
	{ "Content-Length 5 5", IN("Content-Length: 5 5\n\n"),
	    "BAD a bad Content-Length" },
	{ "Content-Length 5, 5", IN("Content-Length: 5, 5\n\n"),
	    "BAD a bad Content-Length" },
	{ "Content-Length 0x5", IN("Content-Length: 0x5\n\n"),
	    "BAD a bad Content-Length" },
	{ "Content-Length empty", IN("Content-Length:\n\n"),
	    "BAD a bad Content-Length" },
	/* E62 */
	{ "Transfer-Encoding", IN("transfer-encoding: chunked\n\n0\r\n\r\n"),
	    "BAD a Transfer-Encoding" },
	{ "Transfer-Encoding, identity", IN("Transfer-Encoding: identity\n\n"),
	    "BAD a Transfer-Encoding" },
};

static void
describe(const struct cgihead *h, struct buf *out)
{
	if (h->state == CGIHEAD_MORE)
		buf_add_str(out, "MORE");
	if (h->state == CGIHEAD_BAD) {
		buf_add_str(out, "BAD ");
		buf_add_str(out, h->fault);
	}
	if (h->state != CGIHEAD_DONE)
		return;
	buf_add_number(out, h->status);
	if (h->phrase.n > 0) {
		buf_add_char(out, '(');
		buf_add_span(out, h->phrase);
		buf_add_char(out, ')');
	}
	if (h->has_length) {
		buf_add_str(out, " length ");
		buf_add_number(out, h->length);
	}
	for (size_t i = 0; i < h->nfields; i++) {
		buf_add_char(out, '|');
		buf_add_span(out, h->fields[i].name);
		buf_add_char(out, '=');
		buf_add_span(out, h->fields[i].value);
	}
	buf_add_char(out, '>');
}

/* One piece; what is left of it is body.  False where *used is not possible. */
static bool
feed(struct cgihead *h, struct span in, struct buf *body)
{
	bool done = h->state == CGIHEAD_DONE;
	size_t used = SIZE_MAX;
	enum cgihead_state state = cgihead_feed(h, in, &used);

	if (used > in.n || state != h->state || (done && used != 0) ||
	    (state != CGIHEAD_DONE && used != in.n))
		return false;
	buf_add_span(body, span_skip(in, used));
	return true;
}

/* In pieces: `first` bytes, then each of `rest` bytes. */
static bool
gives(struct span in, size_t max, size_t first, size_t rest, const char *want)
{
	struct cgihead h;
	struct buf got, body;
	bool good = true;

	buf_init(&got, 1 << 20);
	buf_init(&body, 1 << 20);
	cgihead_init(&h, max);
	for (size_t at = 0, n = first; at < in.n; at += n, n = rest) {
		struct guard g;

		if (n > in.n - at)
			n = in.n - at;
		g = guard_of(in.p + at, n);
		good &= feed(&h, g.s, &body);
		guard_free(&g);
	}
	describe(&h, &got);
	buf_add_span(&got, buf_span(&body));
	if (!span_eq(buf_span(&got), span_of(want))) {
		printf("# got:  %.*s\n# want: %s\n", (int)got.n, got.p, want);
		good = false;
	}
	cgihead_free(&h);
	buf_free(&body);
	buf_free(&got);
	return good;
}

static void
test_row(const struct row *r)
{
	struct span in = { r->in, r->n };
	bool split = true;

	ok(gives(in, 4096, in.n, 1, r->want), "%s", r->name);
	for (size_t at = 1; at < in.n; at++)
		split &= gives(in, 4096, at, in.n, r->want);
	split &= gives(in, 4096, 1, 1, r->want);
	ok(split, "%s, in pieces", r->name);
}

/* As many fields of "A: 1" as asked for. */
static struct buf
many(size_t fields)
{
	struct buf b;

	buf_init(&b, 1 << 16);
	while (fields-- > 0)
		buf_add_str(&b, "A: 1\n");
	buf_add_char(&b, '\n');
	return b;
}

static bool
many_are(size_t fields, enum cgihead_state want)
{
	struct buf b = many(fields);
	struct cgihead h;
	size_t used;
	bool good;

	cgihead_init(&h, 1 << 16);
	good = cgihead_feed(&h, buf_span(&b), &used) == want &&
	    (want != CGIHEAD_DONE || h.nfields == fields);
	cgihead_free(&h);
	buf_free(&b);
	return good;
}

/* E65: the blank line counts, the body does not. */
static void
test_max(void)
{
	static const char over[] = "BAD a header block over max_header";
	struct span in = SPAN("A: 1\r\nB: 2\r\n\r\nbody");
	bool at = true, below = true, early = true;

	for (size_t n = 1; n <= in.n; n++) {
		at &= gives(in, 14, n, 1, "0|A=1|B=2>body");
		below &= gives(in, 13, n, 1, over);
		early &= gives(in, 3, n, in.n, over);
	}
	ok(at, "a block of max bytes");
	ok(below, "a block of one byte more");
	ok(early, "a line over max, in pieces");
	ok(gives(SPAN("A\1: 1\n\n"), 5, 3, 1, over) &&
		gives(SPAN("A\1: 1\n\n"), 5, 7, 1, over),
	    "a bad line over max has one fault, however it arrives");
	ok(gives(in, 0, 1, 1, over), "max 0");
}

static void
test_find(void)
{
	struct cgihead h;
	size_t used;

	cgihead_init(&h, 4096);
	ok(cgihead_find(&h, SPAN("A")) == NULL, "no field before the block");
	cgihead_feed(&h, SPAN("A: 1\n"), &used);
	ok(cgihead_find(&h, SPAN("A")) == NULL, "none before its end");
	cgihead_feed(&h, SPAN("b: 2\nB: 3\n\n"), &used);
	ok(h.fields != NULL && cgihead_find(&h, SPAN("B")) == &h.fields[1],
	    "the first of two");
	ok(cgihead_find(&h, SPAN("Bb")) == NULL, "another name");
	ok(cgihead_find(&h, SPAN("")) == NULL, "an empty name");
	cgihead_free(&h);
	cgihead_free(&h);
	cgihead_free(NULL);
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		test_row(&rows[i]);
	ok(many_are(CGIHEAD_FIELDS_MAX, CGIHEAD_DONE), "256 fields");
	ok(many_are(CGIHEAD_FIELDS_MAX + 1, CGIHEAD_BAD), "257 fields");
	test_max();
	test_find();
	return tap_done();
}
