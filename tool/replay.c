#include "replay.h"

#include <getopt.h>
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "loaded.h"
#include "logs.h"
#include "replay_decide.h"
#include "tally.h"
#include "tool.h"

enum {
	REPLAY_CHANGES_MAX = 100000, /* different ones; more are counted */
	REPLAY_SHOWN = 100,          /* of them, without --all */
	REPLAY_OUT_MAX = 1 << 30
};

static const char usage[] =
    "usage: amp-cors replay [--config=FILE] [--endpoint=NAME]\n"
    "           [--format=text|json] [--all] LOG ...\n"
    "Decides the requests of a log again, and tells which would change.\n"
    "  --config=FILE    the policy (AMP_CORS_CONFIG, else\n"
    "                   /etc/amp-cors/amp-cors.ini)\n"
    "  --endpoint=NAME  decide all of them as requests of this endpoint\n"
    "  --format=FORMAT  text (the default) or json\n"
    "  --all            list every change, not the 100 most frequent ones\n"
    "LOG may be - for standard input.  Exit status: 0 nothing would change,\n"
    "1 something would, 66 the policy or a log cannot be read, 78 the policy\n"
    "does not check.\n";

struct options {
	const char *config, *endpoint;
	bool json, all, help;
};

/* What the terminal may not have a sign for. */
struct signs {
	const char *arrow, *times;
};

struct replay {
	const struct conf *conf;
	const struct conf_endpoint *as; /* NULL: whichever the line names */
	struct tally *changes;
	struct buf key;
	struct logs_count count;
	struct signs signs;
	uint64_t unchanged, changed, unlisted;
	uint64_t direction[POLICY_OUTCOMES][POLICY_OUTCOMES]; /* past, now */
	uint64_t undecidable[REPLAY_WHYS];
};

/* --- one kind of change --- */

/* The values that make two requests the same for us. */
enum {
	CHANGE_ENDPOINT,
	CHANGE_SENDER,
	CHANGE_ORIGIN,
	CHANGE_FILE,
	CHANGE_DETAIL,
	CHANGE_VALUES
};

/* What is kept of it; its name in the tally is made of the values. */
struct change {
	uint64_t n;
	size_t order; /* in which they came */
	enum policy_outcome past;
	enum reason reason; /* of that */
	bool told;          /* the line has it */
	struct replay_result now;
	unsigned version, line;
	bool preflight;
	struct logread_value value[CHANGE_VALUES];
};

/* So far from one value to the next that no two of them can be mixed up. */
static void
add_value(struct buf *key, const struct logread_value *v)
{
	uint64_t length = (uint64_t)v->s.n << 2 | (uint64_t)(v->s.p != NULL) |
	    (uint64_t)v->cut << 1;

	buf_add(key, &length, sizeof(length));
	buf_add_span(key, v->s);
}

static void
describe(const struct logread *l, struct change *out)
{
	const struct logread_value none = { .s = { NULL, 0 } };

	*out = (struct change){ .past = l->decision,
		.version = l->version,
		.line = l->line };
	out->told = logread_reason(l, &out->reason);
	out->preflight =
	    l->version == 0 && span_eq(l->method.s, SPAN("OPTIONS"));
	out->value[CHANGE_ENDPOINT] = l->endpoint;
	out->value[CHANGE_SENDER] = l->sender;
	out->value[CHANGE_ORIGIN] = l->origin;
	out->value[CHANGE_FILE] = l->file;
	out->value[CHANGE_DETAIL] =
	    l->reason == REASON_NO_ENDPOINT ? l->detail : none;
}

/* The name of it in the tally. */
static void
make_key(const struct change *c, struct buf *key)
{
	const uint64_t numbers[] = { c->version, c->line, c->past, c->reason,
		c->told, c->preflight, c->now.decision, c->now.reason };

	buf_clear(key);
	buf_add(key, numbers, sizeof(numbers));
	for (size_t i = 0; i < CHANGE_VALUES; i++)
		add_value(key, &c->value[i]);
}

/* The values live in the name, which the tally keeps. */
static void
point_into(struct span name, struct change *c)
{
	size_t at = name.n;

	for (size_t i = CHANGE_VALUES; i-- > 0; at -= sizeof(uint64_t)) {
		struct span *s = &c->value[i].s;

		at -= s->n;
		if (s->p != NULL)
			s->p = name.p + at;
	}
}

static bool
take_change(struct replay *r, const struct logread *l,
    const struct replay_result *now)
{
	struct change c, *kept;
	struct span name;

	describe(l, &c);
	c.now = *now;
	make_key(&c, &r->key);
	if (r->key.failed)
		return false;
	kept = tally_of(r->changes, buf_span(&r->key));
	r->changed++;
	r->direction[c.past][c.now.decision]++;
	if (kept == NULL) {
		r->unlisted++;
		return tally_count(r->changes) == REPLAY_CHANGES_MAX;
	}
	if (kept->n++ > 0)
		return true;
	c.n = 1;
	c.order = tally_count(r->changes);
	*kept = c;
	tally_at(r->changes, c.order - 1, &name);
	point_into(name, kept);
	return true;
}

static bool
take(void *ctx, const struct logread *l)
{
	struct replay *r = ctx;
	struct replay_result now;

	replay_decide(r->conf, r->as, l, &now);
	switch (now.answer) {
	case REPLAY_SAME:
		r->unchanged++;
		return true;
	case REPLAY_UNDECIDABLE:
		r->undecidable[now.why]++;
		return true;
	case REPLAY_CHANGED:
		break;
	}
	return take_change(r, l, &now);
}

/* --- text --- */

static uint64_t
undecidable(const struct replay *r)
{
	uint64_t n = 0;

	for (size_t i = 0; i < REPLAY_WHYS; i++)
		n += r->undecidable[i];
	return n;
}

static void
add_row(struct buf *out, const char *what, uint64_t n)
{
	char row[64];

	snprintf(row, sizeof(row), "%-14s%10" PRIu64 "\n", what, n);
	buf_add_str(out, row);
}

/* One that the row above is made of. */
static void
add_part(struct buf *out, uint64_t n)
{
	char text[64];

	snprintf(text, sizeof(text), "%24" PRIu64 "  ", n);
	buf_add_str(out, text);
}

static void
add_directions(struct buf *out, const struct replay *r)
{
	for (int i = 0; i < POLICY_OUTCOMES; i++)
		for (int j = 0; j < POLICY_OUTCOMES; j++) {
			if (r->direction[i][j] == 0)
				continue;
			add_part(out, r->direction[i][j]);
			buf_add_str(out, policy_word((enum policy_outcome)i));
			buf_add_str(out, r->signs.arrow);
			buf_add_str(out, policy_word((enum policy_outcome)j));
			buf_add_str(out,
			    i == j ? ", for another reason\n" : "\n");
		}
}

static void
add_text_summary(struct buf *out, const struct replay *r)
{
	add_row(out, "lines", r->count.lines);
	add_row(out, "decisions", r->count.decisions);
	add_row(out, "other lines", r->count.lines - r->count.decisions);
	add_row(out, "unchanged", r->unchanged);
	add_row(out, "changed", r->changed);
	add_directions(out, r);
	add_row(out, "undecidable", undecidable(r));
	for (int i = 0; i < REPLAY_WHYS; i++) {
		if (r->undecidable[i] == 0)
			continue;
		add_part(out, r->undecidable[i]);
		buf_add_str(out, replay_why_text((enum replay_why)i));
		buf_add_char(out, '\n');
	}
}

static void
add_quoted(struct buf *out, const struct logread_value *v)
{
	buf_add_char(out, '"');
	logline_escape(out, LOGLINE_TEXT, v->s);
	buf_add_str(out, v->cut ? "...\"" : "\"");
}

static void
add_named(struct buf *out, const char *name, const struct logread_value *v)
{
	if (v->s.p == NULL)
		return;
	buf_add_char(out, ' ');
	buf_add_str(out, name);
	buf_add_char(out, '=');
	add_quoted(out, v);
}

/* The names that a policy can have need no quotes. */
static void
add_endpoint(struct buf *out, const struct logread_value *v)
{
	bool bare = v->s.n > 0 && !v->cut;

	for (size_t i = 0; i < v->s.n; i++)
		bare = bare && span_graph(v->s.p[i]);
	if (!bare) {
		add_named(out, "endpoint", v);
		return;
	}
	buf_add_str(out, " endpoint=");
	logline_escape(out, LOGLINE_TEXT, v->s);
}

/* "allow", "deny sender-not-allowed" */
static void
add_decision(struct buf *out, enum policy_outcome d, enum reason why,
    bool known)
{
	buf_add_str(out, policy_word(d));
	if (d == POLICY_OUTCOME_ALLOW || d == POLICY_OUTCOME_PREFLIGHT)
		return;
	buf_add_char(out, ' ');
	buf_add_str(out, known ? reason_word(why) : "(why is not told)");
}

static void
add_place(struct buf *out, struct span file, bool cut, unsigned line)
{
	if (file.p == NULL) {
		buf_add_str(out, "none");
		return;
	}
	logline_escape(out, LOGLINE_TEXT, file);
	buf_add_str(out, cut ? "...:" : ":");
	buf_add_number(out, line);
}

static void
add_rules(struct buf *out, const struct change *c, const struct signs *signs)
{
	const struct logread_value *file = &c->value[CHANGE_FILE];

	if (file->s.p == NULL && c->now.at.file == NULL)
		return;
	buf_add_str(out, " (rule ");
	add_place(out, file->s, file->cut, c->line);
	buf_add_str(out, signs->arrow);
	add_place(out, span_of(c->now.at.file), false, c->now.at.line);
	buf_add_char(out, ')');
}

static void
add_text_change(struct buf *out, const struct change *c,
    const struct signs *signs)
{
	const struct logread_value *v = c->value;
	char text[32];

	snprintf(text, sizeof(text), "%7" PRIu64 "%s", c->n, signs->times);
	buf_add_str(out, text);
	add_decision(out, c->past, c->reason, c->told);
	buf_add_str(out, signs->arrow);
	add_decision(out, c->now.decision, c->now.reason, true);
	buf_add_str(out, "  ");
	if (v[CHANGE_SENDER].s.p == NULL)
		buf_add_char(out, '-');
	else
		add_quoted(out, &v[CHANGE_SENDER]);
	add_endpoint(out, &v[CHANGE_ENDPOINT]);
	snprintf(text, sizeof(text), " version=%u", c->version);
	if (c->preflight)
		buf_add_str(out, " method=OPTIONS");
	else if (c->version > 0)
		buf_add_str(out, text);
	add_named(out, "origin", &v[CHANGE_ORIGIN]);
	add_named(out, "detail", &v[CHANGE_DETAIL]);
	add_rules(out, c, signs);
	buf_add_char(out, '\n');
}

static void
add_text(struct buf *out, const struct replay *r, struct change *const change[],
    size_t n)
{
	size_t all = tally_count(r->changes);
	char text[128];

	add_text_summary(out, r);
	if (n > 0)
		buf_add_char(out, '\n');
	for (size_t i = 0; i < n; i++)
		add_text_change(out, change[i], &r->signs);
	if (n < all) {
		snprintf(text, sizeof(text),
		    "        and %zu others, which --all lists\n", all - n);
		buf_add_str(out, text);
	}
	if (r->unlisted > 0) {
		snprintf(text, sizeof(text),
		    "        and %" PRIu64 " lines of further kinds (%d are "
		    "told apart)\n",
		    r->unlisted, REPLAY_CHANGES_MAX);
		buf_add_str(out, text);
	}
}

/* --- JSON --- */

static void
add_json_key(struct buf *out, const char *key)
{
	buf_add_char(out, '"');
	buf_add_str(out, key);
	buf_add_str(out, "\":");
}

static void
add_json_number(struct buf *out, const char *key, uint64_t n)
{
	add_json_key(out, key);
	buf_add_number(out, n);
	buf_add_char(out, ',');
}

static void
add_json_value(struct buf *out, const char *key, const struct logread_value *v)
{
	add_json_key(out, key);
	if (v->s.p == NULL)
		buf_add_str(out, "null");
	else
		tool_json(out, v->s);
	buf_add_char(out, ',');
}

static void
add_json_decision(struct buf *out, const char *key, enum policy_outcome d,
    const char *why, struct span file, unsigned line)
{
	add_json_key(out, key);
	buf_add_str(out, "{\"decision\":\"");
	buf_add_str(out, policy_word(d));
	buf_add_str(out, "\",\"reason\":");
	tool_json(out, span_of(why));
	buf_add_str(out, ",\"rule\":");
	if (file.p == NULL)
		buf_add_str(out, "null");
	else {
		buf_add_str(out, "{\"file\":");
		tool_json(out, file);
		buf_add_str(out, ",\"line\":");
		buf_add_number(out, line);
		buf_add_char(out, '}');
	}
	buf_add_str(out, "},");
}

static void
add_json_change(struct buf *out, const struct change *c)
{
	const struct logread_value *v = c->value;

	buf_add_char(out, '{');
	add_json_number(out, "count", c->n);
	add_json_decision(out, "before", c->past,
	    c->told ? reason_word(c->reason) : "unknown", v[CHANGE_FILE].s,
	    c->line);
	add_json_decision(out, "after", c->now.decision,
	    reason_word(c->now.reason), span_of(c->now.at.file),
	    c->now.at.line);
	if (c->version == 0)
		buf_add_str(out, "\"version\":null,");
	else
		add_json_number(out, "version", c->version);
	add_json_value(out, "endpoint", &v[CHANGE_ENDPOINT]);
	add_json_value(out, "sender", &v[CHANGE_SENDER]);
	add_json_value(out, "origin", &v[CHANGE_ORIGIN]);
	add_json_key(out, "preflight");
	buf_add_str(out, c->preflight ? "true}" : "false}");
}

static void
add_json_directions(struct buf *out, const struct replay *r)
{
	const char *between = "";

	buf_add_str(out, "\"directions\":[");
	for (int i = 0; i < POLICY_OUTCOMES; i++)
		for (int j = 0; j < POLICY_OUTCOMES; j++) {
			if (r->direction[i][j] == 0)
				continue;
			buf_add_str(out, between);
			buf_add_str(out, "{\"before\":");
			tool_json(out, span_of(policy_word(i)));
			buf_add_str(out, ",\"after\":");
			tool_json(out, span_of(policy_word(j)));
			buf_add_str(out, ",\"count\":");
			buf_add_number(out, r->direction[i][j]);
			buf_add_char(out, '}');
			between = ",";
		}
	buf_add_str(out, "],");
}

static void
add_json(struct buf *out, const struct replay *r, struct change *const change[],
    size_t n)
{
	buf_add_char(out, '{');
	add_json_number(out, "lines", r->count.lines);
	add_json_number(out, "decisions", r->count.decisions);
	add_json_number(out, "unchanged", r->unchanged);
	add_json_number(out, "changed", r->changed);
	add_json_directions(out, r);
	add_json_number(out, "undecidable", undecidable(r));
	add_json_key(out, "undecidable_why");
	buf_add_char(out, '{');
	for (int i = 0; i < REPLAY_WHYS; i++) {
		if (i > 0)
			buf_add_char(out, ',');
		add_json_key(out, replay_why_word((enum replay_why)i));
		buf_add_number(out, r->undecidable[i]);
	}
	buf_add_str(out, "},");
	add_json_number(out, "kinds_of_changes", tally_count(r->changes));
	add_json_number(out, "changed_beyond_these", r->unlisted);
	add_json_key(out, "changes");
	buf_add_char(out, '[');
	for (size_t i = 0; i < n; i++) {
		buf_add_str(out, i > 0 ? ",\n" : "\n");
		add_json_change(out, change[i]);
	}
	buf_add_str(out, "]}\n");
}

/* --- the command --- */

static int
by_frequency(const void *a, const void *b)
{
	const struct change *x = *(struct change *const *)a;
	const struct change *y = *(struct change *const *)b;

	if (x->n != y->n)
		return x->n < y->n ? 1 : -1;
	return x->order < y->order ? -1 : 1;
}

static int
print(const struct replay *r, const struct options *o)
{
	size_t n = tally_count(r->changes);
	struct change **change = calloc(n + 1, sizeof(struct change *));
	struct span name;
	struct buf out;

	if (change == NULL)
		return tool_fail(EX_OSERR, "out of memory");
	for (size_t i = 0; i < n; i++)
		change[i] = tally_at(r->changes, i, &name);
	qsort(change, n, sizeof(struct change *), by_frequency);
	if (n > REPLAY_SHOWN && !o->all)
		n = REPLAY_SHOWN;
	buf_init(&out, REPLAY_OUT_MAX);
	(o->json ? add_json : add_text)(&out, r, change, n);
	free(change);
	return tool_print(&out);
}

static struct signs
signs_here(void)
{
	const struct signs plain = { " -> ", " x " };
	const struct signs utf8 = { " \u2192 ", " \u00d7 " };

	setlocale(LC_CTYPE, "");
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? utf8 : plain;
}

static int
run(const struct conf *c, const struct options *o, char *const file[], size_t n)
{
	struct replay r = { .conf = c, .signs = signs_here() };
	int status;

	if (o->endpoint != NULL) {
		r.as = replay_endpoint(c, span_of(o->endpoint));
		if (r.as == NULL)
			return tool_fail(EX_USAGE,
			    "%s: the policy has no endpoint %s", o->config,
			    o->endpoint);
	}
	r.changes = tally_new(REPLAY_CHANGES_MAX, sizeof(struct change));
	if (r.changes == NULL)
		return tool_fail(EX_OSERR, "out of memory");
	buf_init(&r.key, 2 * LOGLINE_MAX);
	status = logs_read(file, n, take, &r, &r.count);
	if (status == EX_OK)
		status = print(&r, o);
	if (status == EX_OK && r.changed > 0)
		status = TOOL_NO;
	buf_free(&r.key);
	tally_free(r.changes);
	return status;
}

static int
read_format(const char *text, bool *json)
{
	*json = strcmp(text, "json") == 0;
	if (*json || strcmp(text, "text") == 0)
		return EX_OK;
	return tool_fail(EX_USAGE, "--format=%s: write text or json", text);
}

static int
take_option(struct options *o, int c)
{
	switch (c) {
	case 'c':
		o->config = optarg;
		break;
	case 'e':
		o->endpoint = optarg;
		break;
	case 'f':
		return read_format(optarg, &o->json);
	case 'a':
		o->all = true;
		break;
	case 'h':
		o->help = true;
		break;
	default:
		return tool_usage(false, usage);
	}
	return EX_OK;
}

/* EX_OK, or what is wrong has been said. */
static int
read_options(int argc, char *argv[], struct options *o)
{
	static const struct option known[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "endpoint", required_argument, NULL, 'e' },
		{ "format", required_argument, NULL, 'f' },
		{ "all", no_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c, status = EX_OK;

	while (status == EX_OK && !o->help &&
	    (c = getopt_long(argc, argv, "h", known, NULL)) != -1)
		status = take_option(o, c);
	if (status == EX_OK && !o->help && optind == argc) {
		tool_fail(EX_USAGE, "name a log, or - for standard input");
		return tool_usage(false, usage);
	}
	return status;
}

int
replay_main(int argc, char *argv[])
{
	struct options o = { .config = getenv("AMP_CORS_CONFIG") };
	struct conf *c;
	int status;

	if (o.config == NULL || *o.config == '\0')
		o.config = "/etc/amp-cors/amp-cors.ini";
	status = read_options(argc, argv, &o);
	if (status != EX_OK)
		return status;
	if (o.help)
		return tool_usage(true, usage);
	status = loaded_policy(o.config, CONF_FOR_CGI, &c);
	if (status != EX_OK)
		return status == EX_UNAVAILABLE ? EX_CONFIG : status;
	status = run(c, &o, argv + optind, (size_t)(argc - optind));
	conf_free(c);
	return status;
}
