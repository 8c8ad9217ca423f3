/* remark: what is said once, what is counted, and where. */
#include "remark.h"

#include "tap.h"

#include "remarked.h"

static const struct remark_at at_2_5 = { NULL, { 2, 5 } };

static void
say(struct remark *r, enum fault code, struct remark_at at)
{
	remark_say(r, REMARK_WARNING, code, at, "mend it", "word %d", 1);
}

static void
test_kinds(const struct conf *c)
{
	struct remark r;
	struct buf said;

	remarked_begin(&r, c, &said);
	say(&r, FAULT_BAD_IDN, at_2_5);
	remark_say(&r, REMARK_ERROR, FAULT_BAD_RULE, at_2_5, "", "a\nb\x7f");
	remark_say(&r, REMARK_NOTE, FAULT_PLAYGROUND,
	    (struct remark_at){ "/x/list", { 7, 1 } }, NULL, "seen");
	remark_end(&r);
	ok(r.errors == 1 && r.warnings == 1 && r.notes == 1, "counts each");
	remarked_are(&said,
	    "2:5 warning bad-idn: word 1; mend it\n"
	    "2:5 error bad-rule: a?b?\n"
	    "list:7:1 note playground: seen\n",
	    "says what, how bad and where");
}

static void
test_once(const struct conf *c)
{
	const struct remark_at line = { "/x/list", { 1, 1 } };
	const struct remark_at whole = { "/x/list", { 0, 0 } };
	struct remark r;
	struct buf said;

	remarked_begin(&r, c, &said);
	for (int i = 0; i < 2; i++) {
		say(&r, FAULT_BAD_IDN, at_2_5);
		say(&r, FAULT_BAD_RULE, at_2_5);
		say(&r, FAULT_BAD_IDN, (struct remark_at){ NULL, { 2, 6 } });
		say(&r, FAULT_BAD_IDN, whole);
		say(&r, FAULT_BAD_IDN, line);
	}
	ok(r.warnings == 6, "counts what is said: %zu", r.warnings);
	remarked_are(&said,
	    "2:5 warning bad-idn: word 1; mend it\n"
	    "2:5 warning bad-rule: word 1; mend it\n"
	    "2:6 warning bad-idn: word 1; mend it\n"
	    "list:0:0 warning bad-idn: word 1; mend it\n"
	    "list:1:1 warning bad-idn: word 1; mend it\n"
	    "list:1:1 warning bad-idn: word 1; mend it\n",
	    "once for a place in the policy, and for a whole file");
}

static size_t
count_lines(const struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		n += b->p[i] == '\n';
	return n;
}

static void
test_many(const struct conf *c)
{
	struct remark r;
	struct buf said;
	char want[128];

	remarked_begin(&r, c, &said);
	for (unsigned i = 1; i <= REMARK_MAX + 23; i++)
		say(&r, FAULT_COVERED_RULE,
		    (struct remark_at){ "/x/list", { i, 1 } });
	say(&r, FAULT_REPEATED_RULE, at_2_5);
	ok(count_lines(&said) == REMARK_MAX + 1, "says %d of a code",
	    REMARK_MAX);
	ok(r.warnings == REMARK_MAX + 24, "counts all");
	buf_clear(&said);
	remark_end(&r);
	snprintf(want, sizeof(want),
	    "0:0 note more-faults: 23 more of 'covered-rule'; they are shown "
	    "when the others are mended\n");
	remarked_are(&said, want, "tells how many were not told");
}

static void
test_where(const struct conf *c)
{
	const struct remark_at other = { "/x/list", { 9, 3 } };
	struct remark r;
	struct buf said;
	char out[PATH_MAX + 16], want[PATH_MAX + 16];

	remarked_begin(&r, c, &said);
	remark_where(&r, &at_2_5, &at_2_5, out, sizeof(out));
	is_span(span_of(out), "line 2", "in the policy");
	remark_where(&r, &at_2_5,
	    &(struct remark_at){ conf_files(c)->name, { 3, 1 } }, out,
	    sizeof(out));
	is_span(span_of(out), "line 3", "in the policy, by its name");
	remark_where(&r, &at_2_5, &other, out, sizeof(out));
	is_span(span_of(out), "/x/list:9", "elsewhere");
	remark_where(&r, &other, &other, out, sizeof(out));
	is_span(span_of(out), "line 9", "in the same list");
	snprintf(want, sizeof(want), "%s:2", conf_files(c)->name);
	remark_where(&r, &other, &at_2_5, out, sizeof(out));
	is_span(span_of(out), want, "in the policy, for a list");
	buf_free(&said);
}

int
main(void)
{
	struct conf *c;

	folder_make();
	c = remarked_load("[policy]\nsenders = a@b.example\n", CONF_FOR_CGI);
	test_kinds(c);
	test_once(c);
	test_many(c);
	test_where(c);
	conf_free(c);
	folder_remove();
	return tap_done();
}
