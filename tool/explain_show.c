#include "explain_show.h"

#include <stdio.h>
#include <string.h>

#include "logline.h"

enum { WIDTH = 80, INDENT = 2, LABEL = 18, STEP = 19 };

/* What is written, and how. */
struct page {
	struct buf *out;
	bool colours;
};

#define BOLD "1"
#define DIM "2"
#define RED "31"
#define GREEN "32"
#define YELLOW "33"

/* --- bytes --- */

static void
blanks(struct page *p, size_t n)
{
	while (n-- > 0)
		buf_add_char(p->out, ' ');
}

static void
paint(struct page *p, const char *colour, const char *text)
{
	if (p->colours) {
		buf_add_str(p->out, "\033[");
		buf_add_str(p->out, colour);
		buf_add_char(p->out, 'm');
	}
	buf_add_str(p->out, text);
	if (p->colours)
		buf_add_str(p->out, "\033[0m");
}

static void
heading(struct page *p, const char *text)
{
	if (p->out->n > 0)
		buf_add_char(p->out, '\n');
	paint(p, BOLD, text);
	buf_add_char(p->out, '\n');
}

/* A text that goes on at column `indent`, where its first line begins. */
static void
fold(struct page *p, size_t indent, const char *text)
{
	struct span rest = span_of(text), word;
	size_t at = indent;

	while (span_cut(&rest, ' ', &word)) {
		if (at > indent && at + 1 + word.n > WIDTH) {
			buf_add_char(p->out, '\n');
			blanks(p, indent);
			at = indent;
		} else if (at > indent) {
			buf_add_char(p->out, ' ');
			at++;
		}
		buf_add_span(p->out, word);
		at += word.n;
	}
	buf_add_char(p->out, '\n');
}

static void
label(struct page *p, const char *name)
{
	size_t n = strlen(name);

	blanks(p, INDENT);
	buf_add_str(p->out, name);
	blanks(p, n < LABEL ? LABEL - n : 1);
}

/* A value of the request, whole; "-" where there is none. */
static void
value(struct page *p, const char *name, struct span s)
{
	label(p, name);
	if (s.n == 0)
		paint(p, DIM, "-");
	logline_escape(p->out, LOGLINE_TEXT, s);
	buf_add_char(p->out, '\n');
}

/* --- parts --- */

static void
request(struct page *p, const struct explain_case *c, bool dropped)
{
	const struct policy_request *r = &c->env.policy;
	struct span headers =
	    cgienv_get(c->vars, SPAN("HTTP_ACCESS_CONTROL_REQUEST_HEADERS"));

	heading(p, "Request");
	value(p, "method", r->method);
	label(p, "path");
	logline_escape(p->out, LOGLINE_TEXT, c->env.script_name);
	logline_escape(p->out, LOGLINE_TEXT, c->env.path_info);
	buf_add_char(p->out, '\n');
	if (explain_case_by_uri(c) || c->endpoint == NULL)
		value(p, "URI", c->env.request_uri);
	value(p, "query", r->query);
	value(p, "Origin", r->origin);
	value(p, "AMP-Email-Sender", r->sender);
	if (r->want_method.n > 0)
		value(p, "wanted method", r->want_method);
	if (headers.n > 0)
		value(p, "wanted headers", headers);
	if (c->authorizer)
		value(p, "role", SPAN("Authorizer"));
	if (!dropped)
		return;
	label(p, "note");
	fold(p, INDENT + LABEL, EXPLAIN_DROPPED);
}

const char *
explain_show_handler(const struct explain_case *c, const char **what)
{
	const struct conf_endpoint *ep = c->endpoint;

	*what = NULL;
	if (c->authorizer)
		return "none";
	switch (ep->handler) {
	case CONF_HANDLER_EXEC:
		*what = ep->exec;
		return "exec";
	case CONF_HANDLER_SCRIPTS:
		*what = ep->scripts;
		return "scripts";
	case CONF_HANDLER_FORWARD:
		*what = ep->forward;
		return "forward";
	case CONF_HANDLER_NONE:
		return "none";
	case CONF_HANDLER_UNSET:
		break;
	}
	return "command-line";
}

static void
handler(struct page *p, const struct explain_case *c)
{
	const char *what, *kind = explain_show_handler(c, &what);

	label(p, "handler");
	if (what != NULL) {
		buf_add_str(p->out, kind);
		buf_add_str(p->out, " = ");
		logline_escape(p->out, LOGLINE_TEXT, span_of(what));
	} else if (strcmp(kind, "none") == 0)
		buf_add_str(p->out, "none: the decision is the answer");
	else
		buf_add_str(p->out, "the one on the front's command line");
	buf_add_char(p->out, '\n');
}

static void
place(struct page *p, struct rules_at at)
{
	char text[EXPLAIN_SHOWN_MAX];

	buf_add_str(p->out, explain_place(at, text));
}

static void
endpoint(struct page *p, const struct explain_case *c)
{
	struct rules_at at = { explain_case_file(c),
		explain_case_section(c).line };

	heading(p, "Endpoint");
	label(p, "policy");
	if (at.line > 0)
		place(p, at);
	else
		logline_escape(p->out, LOGLINE_TEXT, span_of(at.file));
	buf_add_char(p->out, '\n');
	if (c->endpoint == NULL) {
		value(p, "name", (struct span){ NULL, 0 });
		return;
	}
	value(p, "name", span_of(c->endpoint->name));
	value(p, "path",
	    *c->endpoint->path == '\0' ? SPAN("every path") :
					 span_of(c->endpoint->path));
	handler(p, c);
}

/* A key, what there is for it, and where; on two lines where one is short. */
static void
key(struct page *p, const struct explain_key *k, size_t width)
{
	static const char *const words[] = { "no rule", "allow", "deny",
		"cannot be read" };
	static const char *const colours[] = { DIM, GREEN, RED, RED };
	char at[EXPLAIN_SHOWN_MAX];
	size_t n;

	blanks(p, STEP);
	buf_add_str(p->out, k->rule);
	blanks(p, width - strlen(k->rule) + 2);
	paint(p, colours[k->answer], words[k->answer]);
	if (k->at.file != NULL) {
		explain_place(k->at, at);
		n = STEP + width + 2 + strlen(words[k->answer]) + strlen(at);
		buf_add_str(p->out, n + 2 > WIDTH ? ",\n" : ", ");
		blanks(p, n + 2 > WIDTH ? STEP + 2 : 0);
		buf_add_str(p->out, at);
	}
	buf_add_char(p->out, '\n');
}

/* The keys that were asked, in two columns. */
static void
keys(struct page *p, const struct explain_steps *s)
{
	size_t width = 0;

	for (size_t i = 0; i < s->nkeys; i++)
		if (strlen(s->key[i].rule) > width)
			width = strlen(s->key[i].rule);
	for (size_t i = 0; i < s->nkeys; i++)
		key(p, &s->key[i], width);
}

static void
steps(struct page *p, const struct explain_steps *all)
{
	static const char *const colours[] = { GREEN, GREEN, DIM, RED };

	heading(p, "Steps");
	for (size_t i = 0; i < all->n; i++) {
		const struct explain_step *s = &all->step[i];
		const char *word = explain_steps_word(s->found);
		char name[16];

		snprintf(name, sizeof(name), " %-10s ", s->name);
		paint(p, BOLD, s->decided ? "=>" : "  ");
		buf_add_str(p->out, name);
		paint(p, colours[s->found], word);
		blanks(p, sizeof("deny") - strlen(word));
		fold(p, STEP, s->text);
		if (strcmp(s->name, "senders") == 0)
			keys(p, all);
	}
}

static void
decision(struct page *p, const struct explain_case *c)
{
	const struct policy_decision *d = &c->decision;
	enum policy_outcome is = policy_outcome(d);
	char text[EXPLAIN_TEXT_MAX];

	heading(p, "Decision");
	label(p, "decision");
	paint(p,
	    is == POLICY_OUTCOME_DENY       ? RED :
		is == POLICY_OUTCOME_REPORT ? YELLOW :
					      GREEN,
	    explain_case_word(c));
	buf_add_char(p->out, '\n');
	label(p, "reason");
	snprintf(text, sizeof(text), "%s: %s", reason_word(d->reason),
	    reason_text(d->reason));
	fold(p, INDENT + LABEL, text);
	label(p, "status");
	if (c->runs)
		buf_add_str(p->out, "the handler's own");
	else
		buf_add_number(p->out, reason_status(c->answer));
	buf_add_char(p->out, '\n');
	if (d->version != 0)
		value(p, "version", d->version == 1 ? SPAN("1") : SPAN("2"));
	if (d->at.file == NULL)
		return;
	label(p, "rule");
	place(p, d->at);
	buf_add_char(p->out, '\n');
}

/* Bytes that are ours or were found good, line by line. */
static void
lines(struct page *p, struct span text)
{
	struct span line;

	while (span_cut(&text, '\n', &line)) {
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n == 0 && text.n == 0)
			break;
		blanks(p, line.n > 0 ? INDENT : 0);
		for (size_t i = 0; i < line.n; i++)
			if (line.p[i] >= ' ' && line.p[i] < 0x7f)
				buf_add_char(p->out, line.p[i]);
			else
				logline_escape(p->out, LOGLINE_TEXT,
				    (struct span){ line.p + i, 1 });
		buf_add_char(p->out, '\n');
	}
}

/* A field that the front puts on the handler's answer. */
static void
field(struct page *p, const struct field *f)
{
	struct buf line;

	buf_init(&line, 65536);
	buf_add_span(&line, f->name);
	buf_add_str(&line, ": ");
	buf_add_span(&line, f->value);
	if (f->value.n == 0)
		buf_add_str(&line, "(the handler's own names, if any)");
	p->out->failed |= line.failed;
	lines(p, buf_span(&line));
	buf_free(&line);
}

static void
answer(struct page *p, const struct explain_case *c)
{
	struct buf whole;

	if (!c->runs) {
		heading(p, "Answer, all of it");
		buf_init(&whole, 65536);
		explain_case_answer(c, &whole);
		p->out->failed |= whole.failed;
		lines(p, buf_span(&whole));
		buf_free(&whole);
		return;
	}
	heading(p, "Fields on the handler's answer");
	for (size_t i = 0; i < c->nfields; i++)
		field(p, &c->fields[i]);
	blanks(p, INDENT);
	fold(p, INDENT,
	    c->endpoint->replace ?
		"(What the handler says beside them goes out too.)" :
		c->decision.reported ?
		"(What the handler says beside them goes out too; Vary is "
		"merged.)" :
		"(Its own Access-Control-... and AMP-... fields are taken out; "
		"Vary and Access-Control-Expose-Headers are merged.)");
}

static void
client(struct page *p, const struct explain_remarks *all)
{
	static const char *const colours[] = { GREEN, YELLOW, RED };

	heading(p, "What a mail client would say");
	if (all->n == 0)
		buf_add_str(p->out, "  nothing: it shows the answer\n");
	for (size_t i = 0; i < all->n; i++) {
		const struct explain_remark *r = &all->remark[i];
		const char *word = explain_client_word(r->level);

		blanks(p, INDENT);
		paint(p, colours[r->level], word);
		blanks(p, sizeof("warning") + 1 - strlen(word));
		fold(p, INDENT + sizeof("warning") + 1, r->text);
	}
}

static void
hints(struct page *p, const struct explain_hints *all)
{
	if (all->n == 0)
		return;
	heading(p, "Hints");
	for (size_t i = 0; i < all->n; i++) {
		const struct explain_hint *h = &all->hint[i];

		buf_add_str(p->out, "  - ");
		fold(p, 4, h->text);
		if (h->line[0] == '\0')
			continue;
		if (h->at.file != NULL) {
			blanks(p, 4);
			place(p, h->at);
			buf_add_str(p->out, " would be:\n");
		}
		blanks(p, 6);
		paint(p, BOLD, h->line);
		buf_add_char(p->out, '\n');
	}
}

void
explain_show_text(struct buf *out, const struct explain_all *a, bool colours)
{
	struct page p = { out, colours };

	request(&p, &a->c, a->dropped);
	endpoint(&p, &a->c);
	steps(&p, &a->steps);
	decision(&p, &a->c);
	answer(&p, &a->c);
	client(&p, &a->client);
	hints(&p, &a->hints);
}
