#include "explain_json.h"

#include <string.h>

#include "tool.h"

/*
 * Members of an object, one after the other: "name": and then a value.  The
 * comma is the affair of the one that comes next.
 */
struct json {
	struct buf *out;
	bool first;
	const char *comma;
};

static void
next(struct json *j)
{
	buf_add_str(j->out, j->first ? "" : j->comma);
	j->first = false;
}

static void
name(struct json *j, const char *s)
{
	next(j);
	tool_json(j->out, span_of(s));
	buf_add_str(j->out, ": ");
}

/* null where it is absent. */
static void
string(struct json *j, const char *key, struct span s)
{
	name(j, key);
	if (s.p == NULL)
		buf_add_str(j->out, "null");
	else
		tool_json(j->out, s);
}

static void
number(struct json *j, const char *key, unsigned n)
{
	name(j, key);
	buf_add_number(j->out, n);
}

static void
truth(struct json *j, const char *key, bool is)
{
	name(j, key);
	buf_add_str(j->out, is ? "true" : "false");
}

/* An object, or an array, that holds more; ends with end(). */
static struct json
begin(struct json *j, const char *key, const char *bracket)
{
	if (key != NULL)
		name(j, key);
	else
		next(j);
	buf_add_str(j->out, bracket);
	return (struct json){ j->out, true, ", " };
}

/* The same, of an array with each of its members on a line of its own. */
static struct json
begin_lines(struct json *j, const char *key)
{
	struct json in = begin(j, key, "[\n    ");

	in.comma = ",\n    ";
	return in;
}

static void
end(struct json *j, const char *bracket)
{
	buf_add_str(j->out, bracket);
}

/* --- parts --- */

static void
place(struct json *j, const char *key, struct rules_at at)
{
	struct json in;

	if (at.file == NULL) {
		string(j, key, (struct span){ NULL, 0 });
		return;
	}
	in = begin(j, key, "{");
	string(&in, "file", span_of(at.file));
	number(&in, "line", at.line);
	end(&in, "}");
}

static void
request(struct json *j, const struct explain_case *c, bool dropped)
{
	const struct policy_request *r = &c->env.policy;
	struct json in = begin(j, "request", "{");

	string(&in, "method", r->method);
	string(&in, "script_name", c->env.script_name);
	string(&in, "path_info", c->env.path_info);
	string(&in, "request_uri", c->env.request_uri);
	string(&in, "query", r->query);
	string(&in, "origin", r->origin);
	string(&in, "sender", r->sender);
	string(&in, "request_method", r->want_method);
	string(&in, "request_headers",
	    cgienv_get(c->vars, SPAN("HTTP_ACCESS_CONTROL_REQUEST_HEADERS")));
	truth(&in, "authorizer", c->authorizer);
	string(&in, "note", span_of(dropped ? EXPLAIN_DROPPED : NULL));
	end(&in, "}");
}

static void
endpoint(struct json *j, const struct explain_case *c)
{
	const struct conf_endpoint *ep = c->endpoint;
	struct rules_at at = { explain_case_file(c),
		explain_case_section(c).line };
	const char *what, *kind;
	struct json in;

	string(j, "policy", span_of(explain_case_file(c)));
	if (ep == NULL) {
		string(j, "endpoint", (struct span){ NULL, 0 });
		return;
	}
	if (at.line == 0)
		at.file = NULL;
	kind = explain_show_handler(c, &what);
	in = begin(j, "endpoint", "{");
	string(&in, "name", span_of(ep->name));
	string(&in, "path", span_of(ep->path));
	truth(&in, "by_uri", explain_case_by_uri(c));
	place(&in, "at", at);
	string(&in, "handler", span_of(kind));
	string(&in, "target", span_of(what));
	end(&in, "}");
}

static void
keys(struct json *j, const struct explain_steps *s)
{
	static const char *const words[] = { "none", "allow", "deny", "error" };
	struct json all = begin(j, "keys", "[");

	for (size_t i = 0; i < s->nkeys; i++) {
		struct json in = begin(&all, NULL, "{");

		string(&in, "rule", span_of(s->key[i].rule));
		string(&in, "answer", span_of(words[s->key[i].answer]));
		place(&in, "at", s->key[i].at);
		end(&in, "}");
	}
	end(&all, "]");
}

static void
steps(struct json *j, const struct explain_steps *s)
{
	struct json all = begin_lines(j, "steps");

	for (size_t i = 0; i < s->n; i++) {
		const struct explain_step *step = &s->step[i];
		struct json in;

		in = begin(&all, NULL, "{");
		string(&in, "step", span_of(step->name));
		string(&in, "found", span_of(explain_steps_word(step->found)));
		truth(&in, "decided", step->decided);
		string(&in, "reason", span_of(reason_word(step->reason)));
		string(&in, "text", span_of(step->text));
		if (strcmp(step->name, "senders") == 0)
			keys(&in, s);
		end(&in, "}");
	}
	end(&all, "]");
}

static void
decision(struct json *j, const struct explain_case *c)
{
	const struct policy_decision *d = &c->decision;
	struct json in = begin(j, "decision", "{");

	string(&in, "decision", span_of(explain_case_word(c)));
	string(&in, "reason", span_of(reason_word(d->reason)));
	string(&in, "sentence", span_of(reason_text(d->reason)));
	if (d->version == 0)
		string(&in, "version", (struct span){ NULL, 0 });
	else
		number(&in, "version", d->version);
	string(&in, "sender", d->sender);
	string(&in, "origin", d->origin);
	string(&in, "claimed_sender", d->claimed_sender);
	place(&in, "rule", d->at);
	end(&in, "}");
}

/* status and raw are null where the handler makes the answer. */
static void
answer(struct json *j, const struct explain_case *c)
{
	struct json in = begin(j, "answer", "{"), all;
	const struct span none = { NULL, 0 };
	struct buf whole;

	buf_init(&whole, 65536);
	explain_case_answer(c, &whole);
	j->out->failed |= whole.failed;
	if (c->runs) {
		string(&in, "status", none);
		string(&in, "reason", none);
	} else {
		number(&in, "status", reason_status(c->answer));
		string(&in, "reason", span_of(reason_word(c->answer)));
	}
	all = begin(&in, "fields", "[");
	for (size_t i = 0; i < c->nfields; i++) {
		struct json one = begin(&all, NULL, "{");

		string(&one, "name", c->fields[i].name);
		string(&one, "value", c->fields[i].value);
		end(&one, "}");
	}
	end(&all, "]");
	string(&in, "raw", c->runs ? none : buf_span(&whole));
	end(&in, "}");
	buf_free(&whole);
}

static void
client(struct json *j, const struct explain_remarks *r)
{
	struct json all = begin_lines(j, "client");

	for (size_t i = 0; i < r->n; i++) {
		struct json in = begin(&all, NULL, "{");

		string(&in, "level",
		    span_of(explain_client_word(r->remark[i].level)));
		string(&in, "text", span_of(r->remark[i].text));
		end(&in, "}");
	}
	end(&all, "]");
}

static void
hints(struct json *j, const struct explain_hints *h)
{
	struct json all = begin_lines(j, "hints");

	for (size_t i = 0; i < h->n; i++) {
		const struct explain_hint *hint = &h->hint[i];
		struct json in = begin(&all, NULL, "{");

		string(&in, "text", span_of(hint->text));
		string(&in, "line",
		    span_of(hint->line[0] == '\0' ? NULL : hint->line));
		place(&in, "at", hint->at);
		end(&in, "}");
	}
	end(&all, "]");
}

void
explain_json(struct buf *out, const struct explain_all *a)
{
	struct json j = { out, true, ",\n  " };

	buf_add_str(out, "{\n  ");
	request(&j, &a->c, a->dropped);
	endpoint(&j, &a->c);
	steps(&j, &a->steps);
	decision(&j, &a->c);
	answer(&j, &a->c);
	client(&j, &a->client);
	hints(&j, &a->hints);
	end(&j, "\n}\n");
}
