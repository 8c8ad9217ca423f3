#include "probe_show.h"

#include <stdio.h>
#include <string.h>

#include "logline.h"
#include "tool.h"

enum colour { PLAIN, GREEN, YELLOW, RED, DIM };

static const struct {
	const char *word; /* in JSON */
	const char *text;
	enum colour colour;
} verdicts[] = {
	[PROBE_NOT_ASKED] = { "not-asked", "not asked", DIM },
	[PROBE_NO_ANSWER] = { "no-answer", "no answer", RED },
	[PROBE_SHOWN] = { "shown", "shows the content", GREEN },
	[PROBE_ERROR_SHOWN] = { "error-shown", "shows an error", RED },
	[PROBE_NOTHING_SHOWN] = { "nothing-shown", "shows nothing", RED },
	[PROBE_GOES_ON] = { "goes-on", "lets the browser go on", GREEN },
	[PROBE_NO_BROWSERS] = { "not-for-browsers", "not for browsers", PLAIN },
	[PROBE_REFUSED] = { "refused", "refused", GREEN },
	[PROBE_KEPT_OUT] = { "kept-out", "the browser keeps it out", GREEN },
	[PROBE_ANSWERS] = { "answered", "answered", YELLOW },
	[PROBE_IN] = { "let-in", "lets it in", RED },
};

size_t
probe_show_count(const struct probe_result *r, enum probe_severity s)
{
	size_t n = probe_report_count(&r->connection, s);

	for (size_t i = 0; i < r->n; i++)
		n += probe_report_count(&r->rows[i].r, s);
	return n;
}

/* --- for people ----------------------------------------------------------- */

struct text {
	struct buf *out;
	bool colours;
};

static void
put(struct text *t, enum colour colour, const char *s)
{
	static const char *const on[] = {
		[PLAIN] = "",
		[GREEN] = "\033[32m",
		[YELLOW] = "\033[33m",
		[RED] = "\033[31m",
		[DIM] = "\033[2m",
	};
	bool coloured = t->colours && colour != PLAIN;

	if (coloured)
		buf_add_str(t->out, on[colour]);
	logline_escape(t->out, LOGLINE_TEXT, span_of(s));
	if (coloured)
		buf_add_str(t->out, "\033[0m");
}

/* The word, and blanks up to where the next column begins. */
static void
put_column(struct text *t, const char *s, size_t width)
{
	put(t, PLAIN, s);
	for (size_t n = strlen(s); n < width; n++)
		buf_add_char(t->out, ' ');
}

static void
put_findings(struct text *t, const struct probe_report *r)
{
	static const enum colour colours[] = { [PROBE_NOTE] = DIM,
		[PROBE_WARNING] = YELLOW,
		[PROBE_ERROR] = RED };

	for (size_t i = 0; i < r->n; i++) {
		const struct probe_finding *f = &r->list[i];

		buf_add_str(t->out, "    ");
		put(t, colours[f->severity], probe_severity_word(f->severity));
		buf_add_str(t->out, ": ");
		put(t, PLAIN, f->text);
		buf_add_str(t->out, " [");
		put(t, PLAIN, probe_code_word(f->code));
		buf_add_str(t->out, "]\n        mend: ");
		put(t, PLAIN, probe_code_mend(f->code));
		buf_add_char(t->out, '\n');
	}
}

/* The codes of what spoiled it: "shows nothing: missing-header". */
static void
put_because(struct text *t, const struct probe_report *r, enum colour colour)
{
	const char *before = ": ";

	for (size_t i = 0; i < r->n; i++) {
		if (r->list[i].severity != PROBE_ERROR)
			continue;
		put(t, colour, before);
		put(t, colour, probe_code_word(r->list[i].code));
		before = ", ";
	}
}

static void
put_row(struct text *t, const struct probe_row *row)
{
	char status[16] = "-";

	if (row->a.status != 0)
		snprintf(status, sizeof(status), "%u", row->a.status);
	put_column(t, row->q->name, 18);
	put_column(t, status, 8);
	put(t, verdicts[row->r.verdict].colour, verdicts[row->r.verdict].text);
	put_because(t, &row->r, verdicts[row->r.verdict].colour);
	buf_add_char(t->out, '\n');
	put_findings(t, &row->r);
}

static void
put_count(struct text *t, size_t n, const char *what, enum colour colour)
{
	char text[64];

	snprintf(text, sizeof(text), "%zu %s%s", n, what, n == 1 ? "" : "s");
	put(t, n > 0 ? colour : PLAIN, text);
}

void
probe_show_text(struct buf *out, const struct probe_result *r, bool colours)
{
	struct text t = { out, colours };

	put(&t, PLAIN, r->aim->method);
	buf_add_char(out, ' ');
	put(&t, PLAIN, r->aim->url);
	buf_add_str(out, "\n\n");
	put_column(&t, "REQUEST", 18);
	put_column(&t, "STATUS", 8);
	buf_add_str(out, "VERDICT\n");
	for (size_t i = 0; i < r->n; i++)
		if (r->rows[i].r.verdict != PROBE_NOT_ASKED)
			put_row(&t, &r->rows[i]);
	if (r->connection.n > 0) {
		buf_add_str(out, "all of them\n");
		put_findings(&t, &r->connection);
	}
	buf_add_char(out, '\n');
	put_count(&t, probe_show_count(r, PROBE_ERROR), "error", RED);
	buf_add_str(out, ", ");
	put_count(&t, probe_show_count(r, PROBE_WARNING), "warning", YELLOW);
	buf_add_str(out, ", ");
	put_count(&t, probe_show_count(r, PROBE_NOTE), "note", PLAIN);
	buf_add_char(out, '\n');
}

/* --- for programs --------------------------------------------------------- */

static void
key(struct buf *out, const char *before, const char *name)
{
	buf_add_str(out, before);
	tool_json(out, span_of(name));
	buf_add_char(out, ':');
}

static void
text_key(struct buf *out, const char *before, const char *name,
    const char *value)
{
	key(out, before, name);
	if (value == NULL || *value == '\0')
		buf_add_str(out, "null");
	else
		tool_json(out, span_of(value));
}

static void
number_key(struct buf *out, const char *before, const char *name, uint64_t n)
{
	key(out, before, name);
	buf_add_number(out, n);
}

static void
add_findings(struct buf *out, const struct probe_report *r)
{
	key(out, ",", "findings");
	buf_add_char(out, '[');
	for (size_t i = 0; i < r->n; i++) {
		const struct probe_finding *f = &r->list[i];

		text_key(out, i == 0 ? "{" : ",{", "code",
		    probe_code_word(f->code));
		text_key(out, ",", "severity",
		    probe_severity_word(f->severity));
		text_key(out, ",", "text", f->text);
		text_key(out, ",", "mend", probe_code_mend(f->code));
		buf_add_char(out, '}');
	}
	buf_add_char(out, ']');
}

static void
add_sent(struct buf *out, const struct probe_request *q)
{
	key(out, ",", "sent");
	buf_add_char(out, '[');
	for (size_t i = 0; q->headers[i] != NULL; i++) {
		if (i > 0)
			buf_add_char(out, ',');
		tool_json(out, span_of(q->headers[i]));
	}
	buf_add_char(out, ']');
}

static void
add_received(struct buf *out, const struct probe_answer *a)
{
	key(out, ",", "received");
	buf_add_char(out, '[');
	for (size_t i = 0; i < a->n_fields; i++) {
		buf_add_str(out, i > 0 ? ",[" : "[");
		tool_json(out, a->fields[i].name);
		buf_add_char(out, ',');
		tool_json(out, a->fields[i].value);
		buf_add_char(out, ']');
	}
	buf_add_char(out, ']');
}

static void
add_row(struct buf *out, const struct probe_row *row)
{
	text_key(out, "{", "name", row->q->name);
	text_key(out, ",", "who", row->q->what);
	text_key(out, ",", "method", row->q->method);
	text_key(out, ",", "url", row->q->url);
	add_sent(out, row->q);
	key(out, ",", "status");
	if (row->a.status == 0)
		buf_add_str(out, "null");
	else
		buf_add_number(out, row->a.status);
	number_key(out, ",", "milliseconds", row->a.ms);
	add_received(out, &row->a);
	text_key(out, ",", "verdict", verdicts[row->r.verdict].word);
	add_findings(out, &row->r);
	buf_add_char(out, '}');
}

void
probe_show_json(struct buf *out, const struct probe_result *r)
{
	text_key(out, "{", "url", r->aim->url);
	text_key(out, ",", "address", r->address);
	text_key(out, ",", "method", r->aim->method);
	text_key(out, ",", "sender", r->aim->sender);
	text_key(out, ",", "origin", r->aim->origin);
	text_key(out, ",", "browser_origin", r->aim->browser_origin);
	key(out, ",", "requests");
	buf_add_char(out, '[');
	for (size_t i = 0; i < r->n; i++) {
		buf_add_str(out, i > 0 ? ",\n" : "\n");
		add_row(out, &r->rows[i]);
	}
	buf_add_char(out, ']');
	add_findings(out, &r->connection);
	number_key(out, ",", "errors", probe_show_count(r, PROBE_ERROR));
	number_key(out, ",", "warnings", probe_show_count(r, PROBE_WARNING));
	number_key(out, ",", "notes", probe_show_count(r, PROBE_NOTE));
	buf_add_str(out, "}\n");
}
