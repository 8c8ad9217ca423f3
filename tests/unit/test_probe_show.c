/* probe_show: a table that steers no terminal, and JSON that is JSON. */
#include "probe_show.h"

#include "probe_json.h"
#include "probed.h"

/* Each byte that a server can send in a field, and more. */
static const char *
hostile(void)
{
	static char text[256];

	for (int i = 0; i < 255; i++)
		text[i] = (char)(i + 1);
	return text;
}

/* Two rows: one with a finding of every kind of byte, one not asked. */
static void
make(struct probe_result *r, struct probe_row rows[2],
    struct probe_request q[2], const struct probe_aim *aim)
{
	static struct field fields[2];
	static const char *headers[] = { "X-\x80: \"\\", "A: b", NULL };

	memset(rows, 0, 2 * sizeof(*rows));
	q[0] = (struct probe_request){ .name = "v1",
		.what = "who",
		.method = "GET",
		.url = hostile(),
		.headers = headers };
	q[1] = q[0];
	q[1].name = "v2";
	fields[0].name = fields[0].value = span_of(hostile());
	fields[1].name = SPAN("A");
	fields[1].value = SPAN("");
	rows[0].q = &q[0];
	rows[0].a.status = 200;
	rows[0].a.fields = fields;
	rows[0].a.n_fields = 2;
	rows[0].r.verdict = PROBE_NOTHING_SHOWN;
	probe_report_add(&rows[0].r, PROBE_WRONG_VALUE, PROBE_ERROR, "%s",
	    hostile());
	for (int i = 0; i < 3; i++)
		probe_report_add(&rows[0].r, PROBE_COOKIE, PROBE_NOTE, "b");
	probe_report_add(&rows[0].r, PROBE_NO_VARY, PROBE_WARNING, "d");
	rows[1].q = &q[1];
	memset(r, 0, sizeof(*r));
	r->aim = aim;
	r->rows = rows;
	r->n = 2;
	probe_report_add(&r->connection, PROBE_NO_TLS, PROBE_WARNING, "c");
}

static bool
is_printable(struct span s, bool escapes)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < 0x20 || s.p[i] > 0x7e) && s.p[i] != '\n' &&
		    (!escapes || s.p[i] != '\033'))
			return false;
	return true;
}

static bool
holds(const struct buf *b, const char *text)
{
	return b->p != NULL && memmem(b->p, b->n, text, strlen(text)) != NULL;
}

static void
test_text(const struct probe_result *r)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	probe_show_text(&out, r, false);
	ok(!out.failed && is_printable(buf_span(&out), false),
	    "text: printable, whatever came");
	ok(holds(&out,
	       "v1                200     shows nothing: wrong-value\n"),
	    "text: a row, and why");
	ok(holds(&out, "\\x1b"), "text: escapes are shown as such");
	ok(!holds(&out, "v2"), "text: nothing of what was not asked");
	ok(holds(&out, "\n1 error, 2 warnings, 3 notes\n"), "text: the sum");
	buf_clear(&out);
	probe_show_text(&out, r, true);
	ok(is_printable(buf_span(&out), true) &&
		holds(&out, "\033[31mshows nothing\033[0m") &&
		holds(&out, "    \033[2mnote\033[0m: b [cookie]\n") &&
		holds(&out, "    \033[33mwarning\033[0m: d [no-vary]\n") &&
		holds(&out, "\033[31m1 error\033[0m, \033[33m2 warnings"),
	    "text: in colours");
	buf_free(&out);
}

static void
test_json(const struct probe_result *r)
{
	struct buf out;
	size_t at;
	const char *fault;

	buf_init(&out, 1 << 20);
	probe_show_json(&out, r);
	fault = probe_json_fault(buf_span(&out), &at);
	ok(fault == NULL, "JSON: is JSON (%s)", fault == NULL ? "" : fault);
	ok(holds(&out,
	       "\"sent\":[\"X-\\ufffd: \\u0022\\u005c\",\"A: b\"],"
	       "\"status\":200,"),
	    "JSON: what was sent, and the status");
	ok(holds(&out, "[\"A\",\"\"]],\"verdict\":\"nothing-shown\""),
	    "JSON: what was received, and the verdict");
	ok(holds(&out, "\"name\":\"v2\"") && holds(&out, "\"status\":null") &&
		holds(&out, "\"verdict\":\"not-asked\""),
	    "JSON: what was not asked is there");
	ok(holds(&out, "\"errors\":1,\"warnings\":2,\"notes\":3}\n"),
	    "JSON: the sum");
	buf_free(&out);
}

/* A buffer that is full is not taken for a whole document. */
static void
test_full(const struct probe_result *r)
{
	struct buf out;

	buf_init(&out, 100);
	probe_show_json(&out, r);
	ok(out.failed, "no room: marked");
	buf_free(&out);
}

int
main(void)
{
	static struct probe_result r;
	static struct probe_row rows[2];
	struct probe_aim aim = probed_aim();
	struct probe_request q[2];

	aim.url = hostile();
	make(&r, rows, q, &aim);
	ok(probe_show_count(&r, PROBE_ERROR) == 1 &&
		probe_show_count(&r, PROBE_WARNING) == 2 &&
		probe_show_count(&r, PROBE_NOTE) == 3,
	    "counted over all of them");
	test_text(&r);
	test_json(&r);
	test_full(&r);
	return tap_done();
}
