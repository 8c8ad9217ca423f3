/*
 * The files of tests/data/conf, each with what is said of it beside it, and
 * what files cannot show.  Run in the top directory, or with it as an argument;
 * with a file's name as a second one, it prints what the .expected would be.
 */
#include "conf.h"

#include <dirent.h>
#include <iniparser/iniparser.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "cdbwrite.h"
#include "conf_keys.h"
#include "lists.h"
#include "tap.h"

static char dir[128]; /* @DIR@ in the files */
static const char *top = ".";

static void add(struct buf *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
add(struct buf *out, const char *fmt, ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_add_str(out, text);
}

/* Adds text with every occurrence of from changed into to. */
static void
add_replaced(struct buf *out, struct span text, const char *from,
    const char *to)
{
	size_t n = strlen(from);

	for (size_t i = 0; i < text.n;) {
		if (text.n - i >= n && memcmp(text.p + i, from, n) == 0) {
			buf_add_str(out, to);
			i += n;
		} else {
			buf_add_char(out, text.p[i++]);
		}
	}
}

static bool
read_file(const char *file, struct buf *out)
{
	char piece[4096];
	FILE *f = fopen(file, "r");
	size_t n;

	buf_init(out, 4 << 20);
	if (f == NULL)
		return false;
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_add(out, piece, n);
	fclose(f);
	return true;
}

static void
write_file(const char *file, struct span text)
{
	FILE *f = fopen(file, "w");

	if (f == NULL || fwrite(text.p, 1, text.n, f) != text.n ||
	    fclose(f) != 0 || chmod(file, 0600) != 0)
		bail();
}

static const char *
path_of(const char *name)
{
	static char path[2][256];
	static unsigned turn;
	char *out = path[turn++ % 2];

	snprintf(out, sizeof(path[0]), "%s/%s", dir, name);
	return out;
}

/* "FILE:LINE:COLUMN: error: FAULT; EXPECTED", or without line and column. */
static void
on_report(void *ctx, const struct conf_fault *f)
{
	conf_fault_line(ctx, f);
	buf_add_char(ctx, '\n');
}

static void
dump_words(struct buf *out, const char *name, const struct span *word, size_t n)
{
	add(out, "%s:", name);
	for (size_t i = 0; i < n; i++)
		add(out, " %.*s", (int)word[i].n, word[i].p);
	add(out, "\n");
}

static const char *
or_none(const char *s)
{
	return s == NULL ? "(none)" : s;
}

static void
dump_policy(struct buf *out, const struct policy *p)
{
	add(out, "senders: %zu lists\n", p->nsenders);
	dump_words(out, "origins", p->origins, p->norigins);
	dump_words(out, "browser_origins", p->browser_origins,
	    p->nbrowser_origins);
	dump_words(out, "allow_methods", &p->allow_methods, 1);
	dump_words(out, "allow_headers", &p->allow_headers, 1);
	dump_words(out, "max_age", &p->max_age, 1);
	dump_words(out, "expose", &p->expose, 1);
	dump_words(out, "expose_v1", &p->expose_v1, 1);
	add(out, "versions %u credentials %d playground %d fold %d report %d\n",
	    p->versions, p->credentials, p->playground, p->fold_local,
	    p->report);
}

/* The one that was chosen, and whatever it names. */
static const char *
handler_name(const struct conf_endpoint *e)
{
	static char out[1024];
	static const char *const kinds[] = { "", "exec", "scripts", "forward",
		"none" };
	const char *const names[] = { NULL, e->exec, e->scripts, e->forward,
		NULL };

	if (e->handler == CONF_HANDLER_UNSET)
		return "(none)";
	snprintf(out, sizeof(out), "%s%s%s", kinds[e->handler],
	    names[e->handler] == NULL ? "" : " ",
	    names[e->handler] == NULL ? "" : names[e->handler]);
	return out;
}

static void
dump_endpoint(struct buf *out, const struct conf_endpoint *e)
{
	const struct conf_limits *l = &e->limits;

	add(out, "endpoint %s path '%s'\n", e->name, e->path);
	dump_policy(out, &e->policy);
	add(out, "handler %s", handler_name(e));
	add(out, " forward_keep %u\n", e->forward_keep);
	add(out, "replace %d pass_redirects %d pass_authorization %d\n",
	    e->replace, e->pass_redirects, e->pass_authorization);
	add(out, "environment:");
	for (char *const *v = e->environment; *v != NULL; v++)
		add(out, " %s", *v);
	add(out,
	    "\ntimeout %u time_limit %u body_timeout %u send_timeout %u "
	    "kill_grace %u\n",
	    l->timeout, l->time_limit, l->body_timeout, l->send_timeout,
	    l->kill_grace);
	add(out, "max_body %llu spool_max %llu max_header %zu\n",
	    (unsigned long long)l->max_body, (unsigned long long)l->spool_max,
	    l->max_header);
}

static void
dump_server(struct buf *out, const struct conf_server *s)
{
	add(out, "server listen %s mode %04o owner %s group %s\n",
	    or_none(s->listen), (unsigned)s->socket_mode,
	    or_none(s->socket_owner), or_none(s->socket_group));
	dump_words(out, "peers", s->peers, s->npeers);
	add(out,
	    "threads %u queue %u queue_timeout %u head_timeout %u "
	    "idle_timeout %u stop_grace %u\n",
	    s->threads, s->queue, s->queue_timeout, s->head_timeout,
	    s->idle_timeout, s->stop_grace);
	add(out, "user %s group %s log %s format %d level %d senders %d\n",
	    or_none(s->user), or_none(s->group), s->log, (int)s->log_format,
	    s->log_level, (int)s->log_senders);
	add(out,
	    "reload_interval %u metrics_path %s metrics_file %s "
	    "sandbox %d\n",
	    s->reload_interval, or_none(s->metrics_path),
	    or_none(s->metrics_file), (int)s->sandbox);
}

static void
dump(struct buf *out, const struct conf *c)
{
	const struct conf_endpoint *e;
	size_t n = conf_endpoints(c, &e);

	for (size_t i = 0; i < n; i++)
		dump_endpoint(out, &e[i]);
	dump_server(out, conf_server(c));
}

/* What is loaded from an empty file; later on, lines of it are left out. */
static struct buf defaults;

static bool
is_usual(struct span line)
{
	struct span rest = buf_span(&defaults), other;

	while (span_cut(&rest, '\n', &other))
		if (span_eq(line, other))
			return true;
	return false;
}

static void
add_unusual(struct buf *out, struct span text)
{
	struct span line;

	while (span_cut(&text, '\n', &line)) {
		if (line.n == 0 ||
		    (!span_starts(line, SPAN("endpoint ")) && is_usual(line)))
			continue;
		buf_add_span(out, line);
		buf_add_char(out, '\n');
	}
}

static const char *
result_name(enum conf_result r)
{
	return r == CONF_OK   ? "CONF_OK" :
	    r == CONF_BAD     ? "CONF_BAD" :
	    r == CONF_NO_LIST ? "CONF_NO_LIST" :
				"none of the three";
}

/* All that comes of a file: messages, the result, and what was loaded. */
static void
load(const char *file, enum conf_use use, bool show, struct buf *out)
{
	struct conf *c = NULL;
	enum conf_result r;
	struct buf raw, loaded;

	buf_init(&raw, 4 << 20);
	buf_init(&loaded, 4 << 20);
	r = conf_load(file, use, on_report, &raw, &c);
	if ((r == CONF_OK) != (c != NULL))
		add(&raw, "the result and *out disagree\n");
	add(&raw, "%s\n", result_name(r));
	if (r == CONF_OK && show)
		dump(&loaded, c);
	add_unusual(&raw, buf_span(&loaded));
	buf_free(&loaded);
	conf_free(c);
	buf_init(out, 4 << 20);
	add_replaced(out, buf_span(&raw), dir, "@DIR@");
	buf_free(&raw);
}

static void
load_text(struct span text, enum conf_use use, bool show, struct buf *out)
{
	struct buf filled;

	buf_init(&filled, 4 << 20);
	add_replaced(&filled, text, "@DIR@", dir);
	write_file(path_of("policy.ini"), buf_span(&filled));
	load(path_of("policy.ini"), use, show, out);
	buf_free(&filled);
}

static void
set_defaults(void)
{
	struct buf out;

	load_text(SPAN("[policy]\nplayground = no\n"), CONF_FOR_CGI, true,
	    &out);
	buf_add_span(&defaults, buf_span(&out));
	buf_free(&out);
}

static void
load_data(const char *file, struct buf *out)
{
	enum conf_use use =
	    strstr(file, "/server-") != NULL ? CONF_FOR_SERVER : CONF_FOR_CGI;
	struct buf text;

	if (!read_file(file, &text)) {
		perror(file);
		exit(1);
	}
	/* this one is held against all defaults */
	if (strstr(file, "/two-lines.ini") != NULL)
		buf_clear(&defaults);
	else if (defaults.n == 0)
		set_defaults();
	load_text(buf_span(&text), use, true, out);
	buf_free(&text);
}

static int
is_ini(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 4 && strcmp(d->d_name + n - 4, ".ini") == 0;
}

static bool
is_good(struct span said)
{
	return memmem(said.p, said.n, "CONF_OK", 7) != NULL;
}

static void
test_data(const char *folder)
{
	struct dirent **all;
	char file[512];
	struct buf got, want;
	int n;

	snprintf(file, sizeof(file), "%s/tests/data/conf/%s", top, folder);
	n = scandir(file, &all, is_ini, alphasort);
	ok(n > 0, "%s has files", file);
	for (int i = 0; i < n; i++) {
		snprintf(file, sizeof(file), "%s/tests/data/conf/%s/%s", top,
		    folder, all[i]->d_name);
		load_data(file, &got);
		strcpy(file + strlen(file) - 4, ".expected");
		read_file(file, &want);
		must_text(&want);
		if (got.failed)
			bail();
		is_span(buf_span(&got), want.p, all[i]->d_name);
		kept_out(is_good(buf_span(&got)), is_good(span_of(want.p)),
		    all[i]->d_name);
		buf_free(&got);
		buf_free(&want);
		free(all[i]);
	}
	if (n >= 0)
		free(all);
}

/*
 * lines.tsv: a section, a line in it, and what must be said: too small for
 * files of their own.
 */
static void
test_line(struct span line)
{
	struct span section, key, said;
	struct buf in, got;

	if (line.n == 0 || line.p[0] == '#' ||
	    !span_cut(&line, '\t', &section) || !span_cut(&line, '\t', &key))
		return;
	buf_init(&in, 4096);
	add(&in, "%.*s\n%.*s\n", (int)section.n, section.p, (int)key.n, key.p);
	load_text(buf_span(&in), CONF_FOR_CGI, true, &got);
	said = buf_span(&got);
	if (!ok(memmem(said.p, said.n, line.p, line.n) != NULL, "%.*s %.*s",
		(int)section.n, section.p, (int)key.n, key.p))
		printf("# got: %.*s# want: %.*s\n", (int)said.n, said.p,
		    (int)line.n, line.p);
	buf_free(&got);
	buf_free(&in);
}

static void
test_lines(void)
{
	char file[512];
	struct span rest, line;
	struct buf all;

	snprintf(file, sizeof(file), "%s/tests/data/conf/lines.tsv", top);
	ok(read_file(file, &all), "%s is there", file);
	rest = buf_span(&all);
	while (span_cut(&rest, '\n', &line))
		test_line(line);
	buf_free(&all);
}

/* What SCRIPT_NAME and PATH_INFO ask for. */
static const struct conf_endpoint *
endpoint_of(const struct conf *c, const char *script_name,
    const char *path_info)
{
	const struct conf_asked asked = {
		.script = { .head = span_of(script_name),
		    .tail = span_of(path_info) },
	};

	return conf_endpoint(c, &asked);
}

static const struct {
	const char *script_name, *path_info, *want;
} paths[] = {
	{ "/amp", "", "amp" },
	{ "/amp", "/", "amp" },
	{ "/amp/", "", "amp" },
	{ "/amp", "/x", "amp" },
	{ "/amp", "/rsvp", "rsvp" },
	{ "/amp/rsvp", "", "rsvp" },
	{ "", "/amp/rsvp/x.cgi/y", "rsvp" },
	{ "/am", "p/rsvp", "rsvp" },
	{ "/amp", "/rsvps", "amp" },
	{ "/amp/rsv", "", "amp" },
	{ "/ampere", "", "rest" },
	{ "/am", "", "rest" },
	{ "/AMP", "", "rest" },
	{ "/", "", "rest" },
	{ "", "", "rest" },
	{ "/amp/...", "", "amp" },
	{ "/amp/.x", "/x..", "amp" },
	{ "/amp", "//x", NULL },
	{ "/amp/", "/x", NULL },
	{ "//amp", "", NULL },
	{ "/amp", "/x//", NULL },
	{ "/amp", "/.", NULL },
	{ "/amp", "/./x", NULL },
	{ "/amp", "/..", NULL },
	{ "/amp/.", "./x", NULL },
	{ "/amp/../other", "", NULL },
	{ "..", "", NULL },
};

static void
test_paths(void)
{
	struct buf none;
	struct conf *c = NULL, *few = NULL;
	const struct conf_asked nul = { .script.head = { "/a\0b", 4 } };
	const struct conf_endpoint *e;

	buf_init(&none, 4096);
	write_file(path_of("policy.ini"),
	    SPAN("[policy]\nsenders = a@b.example\n"
		 "[endpoint amp]\npath = /amp\n[endpoint rest]\n"
		 "[endpoint rsvp]\npath = /amp/rsvp\n"));
	if (!ok(conf_load(path_of("policy.ini"), CONF_FOR_CGI, on_report, &none,
		    &c) == CONF_OK,
		"loads endpoints"))
		return;
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		e = endpoint_of(c, paths[i].script_name, paths[i].path_info);
		ok(paths[i].want == NULL ?
			e == NULL :
			e != NULL && strcmp(e->name, paths[i].want) == 0,
		    "%s + %s is %s", paths[i].script_name, paths[i].path_info,
		    or_none(e == NULL ? NULL : e->name));
	}
	ok(conf_endpoint(c, &nul) == NULL, "a NUL in a path");
	e = endpoint_of(c, NULL, "/amp");
	ok(e != NULL && strcmp(e->name, "amp") == 0, "no SCRIPT_NAME");
	conf_free(c);
	write_file(path_of("policy.ini"),
	    SPAN("[policy]\nsenders = a@b.example\n"
		 "[endpoint amp]\npath = /amp\n"));
	ok(conf_load(path_of("policy.ini"), CONF_FOR_CGI, on_report, &none,
	       &few) == CONF_OK &&
		endpoint_of(few, "/x", "") == NULL,
	    "no endpoint, where none guards every path");
	conf_free(few);
	buf_free(&none);
}

/*
 * Where a URI counts, and where SCRIPT_NAME does [SPEC 1.7]: for an Authorizer
 * everywhere, else for endpoints of `handler = none` alone.
 */
static const struct {
	const char *script_name, *uri;
	bool authorizer;
	const char *want;
} asked[] = {
	/* a subrequest of nginx's: its own path says nothing */
	{ "/auth", "/none/x", false, "none" },
	{ "/auth", "/none/deep/x?/prog", false, "deep" },
	{ "/auth", "/prog/x", false, "rest" },
	{ "/prog", "/none/deep/x", false, "deep" },
	{ "/prog", "/elsewhere", false, "prog" },
	{ "/none", "/prog", false, "rest" },
	{ "/none", NULL, false, "none" },
	{ "/none/deep", NULL, false, "deep" },
	{ "/none", "", false, "none" },
	{ "/auth", "/%6eone", false, "none" },
	{ "/auth", "/none%2fx", false, "none" },
	{ "/auth", "/none%2Fdeep", false, "deep" },
	{ "/auth", "/nonesuch", false, "rest" },
	{ "/auth", "/%256eone", false, "rest" },
	/* two that are as long: the one that comes first */
	{ "/prog", "/none", false, "prog" },
	/* not plain: no endpoint where that path would count */
	{ "/prog", "/none/../x", false, "prog" },
	{ "/none", "/none/../x", false, NULL },
	{ "/none", "/none/%2e%2e", false, NULL },
	{ "/none", "/none/%00", false, NULL },
	{ "/none", "/none/%zz", false, NULL },
	{ "/none", "/none#x", false, NULL },
	{ "/none", "none", false, NULL },
	{ "/none", "http://a.example/none", false, NULL },
	{ "/auth/..", "/none", false, "none" },
	{ "/prog/..", "/prog", false, "rest" },
	{ "/prog/..", NULL, false, NULL },
	/* an Authorizer: the URI, whatever the handler */
	{ "/none", "/prog/x", true, "prog" },
	{ "/prog", "/x", true, "rest" },
	{ "/prog/..", "/prog", true, "prog" },
	{ "/prog", "/prog/..", true, NULL },
	{ "/prog", "*", true, NULL },
	{ "/prog", "?/x", true, NULL },
	{ "/prog", NULL, true, "prog" },
	{ NULL, "/none/deep", true, "deep" },
	{ NULL, NULL, true, "rest" },
};

static const char asked_text[] =
    "[policy]\nsenders = a@b.example\nexec = /bin/true\n"
    "[endpoint prog]\npath = /prog\n"
    "[endpoint none]\npath = /none\nhandler = none\n"
    "[endpoint deep]\npath = /none/deep\nhandler = none\n"
    "[endpoint rest]\nhandler = none\n";

static void
test_asked(void)
{
	struct buf none;
	struct conf *c = NULL;

	buf_init(&none, 4096);
	write_file(path_of("policy.ini"), SPAN(asked_text));
	ok(conf_load(path_of("policy.ini"), CONF_FOR_CGI, on_report, &none,
	       &c) == CONF_OK,
	    "loads endpoints with and without a handler");
	for (size_t i = 0; c != NULL && i < sizeof(asked) / sizeof(*asked);
	     i++) {
		struct span query;
		struct conf_asked a = {
			.script.head = span_of(asked[i].script_name),
			.uri = path_of_uri(span_of(asked[i].uri), &query),
			.authorizer = asked[i].authorizer,
		};
		const struct conf_endpoint *e = conf_endpoint(c, &a);

		ok(asked[i].want == NULL ?
			e == NULL :
			e != NULL && strcmp(e->name, asked[i].want) == 0,
		    "%s, URI %s%s is %s", or_none(asked[i].script_name),
		    or_none(asked[i].uri),
		    asked[i].authorizer ? ", Authorizer" : "",
		    or_none(e == NULL ? NULL : e->name));
	}
	conf_free(c);
	buf_free(&none);
}

/* What an endpoint's lists say: "allow policy.ini:3". */
static const char *
decide(const struct conf_endpoint *e, const char *text)
{
	static char out[300];
	struct rules_keys keys;
	struct rules_at at = { NULL, 0 };
	struct address a;
	enum rules_answer answer;

	if (address_parse(span_of(text), &a))
		rules_keys_address(&a, e->policy.fold_local, &keys);
	else
		rules_keys_literal(span_of(text), &keys);
	answer =
	    rules_decide(&keys, e->policy.senders, e->policy.nsenders, &at);
	if (answer == RULES_NONE)
		return "none";
	snprintf(out, sizeof(out), "%s %s:%u",
	    answer == RULES_ALLOW ? "allow" : "deny", strrchr(at.file, '/') + 1,
	    at.line);
	return out;
}

/*
 * The policy's senders and list; an endpoint with senders of its own, which
 * keeps the list; one with neither; one that tells letters apart.
 */
static const char senders_text[] =
    "[policy]\nsenders = a@x.example, !b@x.example, Mixed@x.example\n"
    "senders_file = @DIR@/lists/senders.txt @DIR@/lists/more.txt\n"
    "senders_cdb = @DIR@/folded.cdb\n"
    "[endpoint own]\npath = /own\nsenders = *@y.example\n"
    "[endpoint none]\npath = /none\nsenders =\nsenders_file =\n"
    "senders_cdb =\n"
    "[endpoint exact]\npath = /exact\nlocal_part_case = sensitive\n"
    "senders_cdb = @DIR@/exact.cdb\n"
    "[endpoint rest]\n";

static const struct {
	const char *path, *sender, *want;
} decisions[] = {
	{ "/", "a@x.example", "allow policy.ini:2" },
	{ "/", "A@X.example", "allow policy.ini:2" },
	{ "/", "b@x.example", "deny policy.ini:2" },
	{ "/", "c@x.example", "none" },
	{ "/", "list@lists.example", "allow senders.txt:2" },
	{ "/", "x@more.example", "allow more.txt:1" },
	{ "/", "x@y.example", "none" },
	{ "/own", "x@y.example", "allow policy.ini:7" },
	{ "/", "CDB@c.example", "allow list.txt:3" },
	{ "/own", "cdb@c.example", "allow list.txt:3" },
	{ "/none", "cdb@c.example", "none" },
	{ "/exact", "cdb@c.example", "none" },
	{ "/exact", "Cdb@c.example", "allow list.txt:3" },
	{ "/own", "a@x.example", "none" },
	{ "/own", "list@lists.example", "allow senders.txt:2" },
	{ "/none", "a@x.example", "none" },
	{ "/none", "list@lists.example", "none" },
	{ "/exact", "a@x.example", "allow policy.ini:2" },
	{ "/", "mixed@x.example", "allow policy.ini:2" },
	{ "/exact", "Mixed@x.example", "allow policy.ini:2" },
	{ "/exact", "mixed@x.example", "none" },
	{ "/exact", "A@x.example", "none" },
	{ "/exact", "LIST@lists.example", "none" },
	{ "/exact", "list@LISTS.example", "allow senders.txt:2" },
};

static void
test_senders(void)
{
	struct buf text, said;
	struct conf *c = NULL;

	buf_init(&text, 4096);
	buf_init(&said, 4096);
	add_replaced(&text, SPAN(senders_text), "@DIR@", dir);
	write_file(path_of("policy.ini"), buf_span(&text));
	ok(conf_load(path_of("policy.ini"), CONF_FOR_CGI, on_report, &said,
	       &c) == CONF_OK,
	    "loads senders");
	must_text(&said);
	ok(strstr(said.p, ".ini:8:2: warning: no senders") != NULL,
	    "one endpoint refuses everybody, and a warning says so");
	for (size_t i = 0;
	     c != NULL && i < sizeof(decisions) / sizeof(*decisions); i++) {
		const struct conf_endpoint *e =
		    endpoint_of(c, decisions[i].path, NULL);
		char name[128];

		snprintf(name, sizeof(name), "%s %s", decisions[i].path,
		    decisions[i].sender);
		is_span(span_of(decide(e, decisions[i].sender)),
		    decisions[i].want, name);
	}
	conf_free(c);
	buf_free(&text);
	buf_free(&said);
}

static void
is_said(const char *file, const char *want, const char *name)
{
	struct buf got;

	load(file, CONF_FOR_CGI, false, &got);
	is_span(buf_span(&got), want, name);
	buf_free(&got);
}

static void
test_files(void)
{
	static char big[(1 << 20) + 1];

	is_said("/nonexistent.ini",
	    "/nonexistent.ini: error: No such file or directory "
	    "[unreadable]; name a regular file of at most 1M that can be "
	    "read\nCONF_BAD\n",
	    "no file");
	is_said(dir,
	    "@DIR@: error: is a directory [unreadable]; name a regular file of "
	    "at most 1M that can be read\nCONF_BAD\n",
	    "a directory");
	if (mkfifo(path_of("fifo"), 0600) != 0)
		bail();
	is_said(path_of("fifo"),
	    "@DIR@/fifo: error: is not a regular file [unreadable]; name a "
	    "regular file of at most 1M that can be read\nCONF_BAD\n",
	    "a FIFO is not waited for");
	memset(big, '\n', sizeof(big));
	memcpy(big, "[policy]\nsenders=a@b.example\n", 29);
	write_file(path_of("policy.ini"), (struct span){ big, sizeof(big) });
	is_said(path_of("policy.ini"),
	    "@DIR@/policy.ini: error: is too large [unreadable]; name a "
	    "regular file of at most 1M that can be read\nCONF_BAD\n",
	    "a byte too much");
	write_file(path_of("policy.ini"),
	    (struct span){ big, sizeof(big) - 1 });
	is_said(path_of("policy.ini"), "CONF_OK\n", "the largest file");
	chmod(path_of("policy.ini"), 0664);
	is_said(path_of("policy.ini"),
	    "@DIR@/policy.ini: warning: writable by its group [writable]; "
	    "chmod go-w\nCONF_OK\n",
	    "its group can write");
	chmod(path_of("policy.ini"), 0606);
	is_said(path_of("policy.ini"),
	    "@DIR@/policy.ini: warning: writable by everybody [writable]; "
	    "chmod go-w\nCONF_OK\n",
	    "everybody can write");
}

/* Thousands of faults are counted, and the first thousand of them told. */
static void
test_flood(void)
{
	struct buf text, got;
	size_t n = 0;

	buf_init(&text, 1 << 20);
	for (int i = 0; i < 5000; i++)
		buf_add_str(&text, "nonsense\n");
	load_text(buf_span(&text), CONF_FOR_CGI, false, &got);
	for (size_t i = 0; i < got.n; i++)
		n += got.p[i] == '\n';
	must_text(&got);
	ok(n == 1002, "%zu lines: 1000 faults, the rest, the result", n);
	ok(strstr(got.p, "4000 more faults") != NULL, "the others' number");
	buf_free(&text);
	buf_free(&got);
}

/* iniparser's error callback is what it was: it writes to standard error. */
static void
test_callback(void)
{
	char out[256] = "";
	int fds[2], err = dup(2);
	ssize_t n;

	write_file(path_of("policy.ini"), SPAN("[policy]\n"));
	is_said(path_of("policy.ini"),
	    "@DIR@/policy.ini:1:2: warning: no senders: every request is "
	    "refused [no-senders]; name them in senders, senders_file or "
	    "senders_cdb\nCONF_OK\n",
	    "a section alone");
	if (err == -1 || pipe(fds) != 0 || dup2(fds[1], 2) == -1)
		bail();
	iniparser_load("/nonexistent.ini");
	fflush(stderr);
	dup2(err, 2);
	close(err);
	close(fds[1]);
	n = read(fds[0], out, sizeof(out) - 1);
	close(fds[0]);
	ok(n > 0 && strstr(out, "/nonexistent.ini") != NULL,
	    "iniparser speaks for itself again: %s",
	    or_none(strtok(out, "\n")));
}

/* Two policies take turns in one place, always by rename(2). */
static void
exchange(const char *first, const char *second, const char *place)
{
	char link_name[256];

	/* not longer than the test, however that ends */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(link_name, sizeof(link_name), "%s.new", place);
	for (unsigned i = 0;; i++) {
		if (symlink(i % 2 == 0 ? first : second, link_name) != 0 ||
		    rename(link_name, place) != 0)
			_exit(1);
	}
}

static bool
is_whole(const struct conf *c)
{
	const struct conf_endpoint *e = endpoint_of(c, "/", "");

	return e != NULL &&
	    strcmp(decide(e, "a@b.example"),
		e->limits.timeout == 1 ? "allow race.ini:3" :
					 "allow race.ini:2") == 0;
}

static void
test_exchange(void)
{
	unsigned whole = 0, mixed = 0, changed = 0, n = 0;
	struct buf said;
	pid_t child;

	write_file(path_of("one.ini"),
	    SPAN("[policy]\ntimeout = 1\nsenders = a@b.example\n"));
	write_file(path_of("two.ini"),
	    SPAN("[policy]\nsenders = a@b.example\ntimeout = 2\n"));
	if (symlink("one.ini", path_of("race.ini")) != 0)
		bail();
	fflush(stdout);
	child = fork();
	if (child == 0)
		exchange("one.ini", "two.ini", path_of("race.ini"));
	buf_init(&said, 1 << 20);
	/* until one was caught in the act, which takes a few loads */
	for (; n < 1000 || (changed == 0 && n < 300000); n++) {
		struct conf *c = NULL;

		buf_clear(&said);
		if (conf_load(path_of("race.ini"), CONF_FOR_CGI, on_report,
			&said, &c) == CONF_OK) {
			mixed += !is_whole(c);
			whole++;
		} else {
			must_text(&said);
			changed += strstr(said.p, "changed") != NULL;
		}
		conf_free(c);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	unlink(path_of("race.ini.new"));
	ok(mixed == 0, "no policy is half of another (%u)", mixed);
	ok(whole > 0 && changed > 0 && whole + changed == n,
	    "%u whole ones, %u seen to change", whole, changed);
	buf_free(&said);
}

/* The sample: every key, each with its default. */

struct sample {
	struct buf text;
	bool seen[CONF_KEYS_MAX];
	unsigned active;
};

/* "#key = value": the key's number; conf_keys_n for any other line. */
static size_t
sample_key(struct span line, struct span *value)
{
	struct span key;

	if (!span_starts(line, SPAN("#")) || line.n < 2 || line.p[1] == ' ' ||
	    memchr(line.p, '=', line.n) == NULL)
		return conf_keys_n;
	*value = span_skip(line, 1);
	span_cut(value, '=', &key);
	*value = span_trim(*value);
	return conf_keys_find(span_trim(key));
}

/* The sample with one of its keys made active, in its own section. */
static void
uncommented(const struct sample *s, size_t key, struct buf *out)
{
	const char *section = conf_keys[key].where == CONF_IN_SERVER ?
	    "#[server]" :
	    conf_keys[key].where == CONF_IN_ENDPOINT ? "#[endpoint " :
						       NULL;
	struct span rest = buf_span(&s->text), line, value;

	buf_init(out, 1 << 20);
	while (span_cut(&rest, '\n', &line)) {
		bool wanted = sample_key(line, &value) == key ||
		    (section != NULL && span_starts(line, span_of(section)));

		buf_add_span(out, wanted ? span_skip(line, 1) : line);
		buf_add_char(out, '\n');
	}
}

/* What was loaded, less the name of the endpoint. */
static struct span
less_name(const struct buf *b)
{
	struct span s = buf_span(b);
	const char *p = memmem(s.p, s.n, " path ", 6);

	return p == NULL ? s : span_skip(s, (size_t)(p - s.p));
}

static void
test_sample_key(struct sample *s, struct span line, const struct buf *plain)
{
	struct span value = { NULL, 0 };
	size_t key = sample_key(line, &value);
	struct buf text, got;

	s->active += line.n > 0 && line.p[0] != '#';
	s->seen[CONF_KEY_SENDERS] |= span_starts(line, SPAN("senders = "));
	if (key == conf_keys_n)
		return;
	ok(!s->seen[key], "%s stands in the sample once", conf_keys[key].name);
	s->seen[key] = true;
	ok(span_eq(value, span_of(conf_keys[key].fallback)) ||
		(value.n == 0 && conf_keys[key].fallback[0] == '\0'),
	    "%s with its default '%s'", conf_keys[key].name,
	    conf_keys[key].fallback);
	uncommented(s, key, &text);
	load_text(buf_span(&text), CONF_FOR_CGI, true, &got);
	ok(span_eq(less_name(&got), less_name(plain)),
	    "%s, made active, changes nothing", conf_keys[key].name);
	buf_free(&text);
	buf_free(&got);
}

static void
test_sample(void)
{
	struct sample s = { .active = 0 };
	struct span rest, line;
	struct buf plain;
	char file[512];

	snprintf(file, sizeof(file), "%s/etc/amp-cors.ini", top);
	ok(read_file(file, &s.text), "%s is there", file);
	load_text(buf_span(&s.text), CONF_FOR_CGI, true, &plain);
	ok(span_starts(buf_span(&plain), SPAN("CONF_OK\n")),
	    "it loads without a word");
	rest = buf_span(&s.text);
	while (span_cut(&rest, '\n', &line))
		test_sample_key(&s, line, &plain);
	ok(s.active == 2, "%u active lines", s.active);
	for (size_t i = 0; i < conf_keys_n; i++)
		ok(s.seen[i], "%s stands in the sample", conf_keys[i].name);
	buf_free(&plain);
	buf_free(&s.text);
}

/* A line of the manual that explains a key: ".It Ic KEY ..." */
static size_t
manual_key(struct span line)
{
	struct span rest = line, word;

	if (!span_starts(line, SPAN(".It Ic ")))
		return CONF_KEYS_MAX;
	rest = span_skip(line, 7);
	return span_cut(&rest, ' ', &word) ? conf_keys_find(word) :
					     CONF_KEYS_MAX;
}

static void
test_manual(void)
{
	unsigned seen[CONF_KEYS_MAX + 1] = { 0 };
	struct span rest, line;
	struct buf text;
	char file[512];

	snprintf(file, sizeof(file), "%s/man/amp-cors.ini.5", top);
	ok(read_file(file, &text), "%s is there", file);
	rest = buf_span(&text);
	while (span_cut(&rest, '\n', &line)) {
		size_t key = manual_key(line);

		if (key == conf_keys_n)
			ok(false,
			    "the manual explains no key that is none: "
			    "%.*s",
			    (int)line.n, line.p);
		seen[key]++;
	}
	for (size_t i = 0; i < conf_keys_n; i++)
		ok(seen[i] == 1, "%s is explained %u times in the manual",
		    conf_keys[i].name, seen[i]);
	buf_free(&text);
}

/* Defaults stand in two places: those of [server] for want of a policy too. */
static void
test_defaults(void)
{
	struct arena arena = { 0 };
	struct conf_faults faults = { .arena = &arena, .file = "x" };
	struct conf_reader r = { .arena = &arena, .faults = &faults };
	struct conf_draft draft = { 0 };
	struct buf by_table, by_struct;

	buf_init(&by_table, 4096);
	buf_init(&by_struct, 4096);
	conf_keys_defaults(&r, CONF_IN_SERVER, &draft);
	dump_server(&by_table, &draft.server);
	dump_server(&by_struct, &conf_server_defaults);
	ok(span_eq(buf_span(&by_table), buf_span(&by_struct)),
	    "[server]'s defaults are the table's");
	conf_keys_defaults(&r, CONF_IN_BOTH, &draft);
	ok(faults.n == 0, "no default is a fault");
	buf_free(&by_table);
	buf_free(&by_struct);
	arena_free(&arena);
}

static const struct {
	const char *word, *near;
} near_words[] = {
	{ "sender", "senders" },
	{ "Senders-File", "senders_file" },
	{ "orgins", "origins" },
	{ "orign", NULL },
	{ "thread", "threads" },
	{ "tiemout", "timeout" },
	{ "log_fromat", "log_format" },
	{ "max_bodies", "max_body" },
	{ "forwards", "forward" },
	{ "forward_keeps", "forward_keep" },
	{ "handlers", "handler" },
	{ "senders-cbd", "senders_cdb" },
	{ "reload_intervals", "reload_interval" },
	{ "metric", "metrics" },
	{ "x", NULL },
	{ "", NULL },
};

static void
test_near(void)
{
	char many[100];

	for (size_t i = 0; i < sizeof(near_words) / sizeof(*near_words); i++) {
		const struct conf_key *k =
		    conf_keys_near(span_of(near_words[i].word));

		is_span(span_of(k == NULL ? NULL : k->name), near_words[i].near,
		    near_words[i].word);
	}
	memset(many, 'x', sizeof(many));
	ok(conf_keys_near((struct span){ many, sizeof(many) }) == NULL,
	    "a long word is near to none");
	ok(conf_keys_distance(SPAN("abcd"), SPAN("badc")) == 2, "two swaps");
	ok(conf_keys_distance(SPAN(""), SPAN("abc")) == 3, "three more");
	ok(conf_keys_distance(SPAN("kitten"), SPAN("sitting")) == 3, "3");
	ok(conf_keys_distance(SPAN("ABC"), SPAN("abc")) == 0, "any case");
}

/* --- what a tool, and a server that loads it again, ask --- */

/* Policies of these texts, whatever is wrong with them. */
static struct conf *
look(const char *name, const char *text, enum conf_result want)
{
	struct buf filled, said;
	struct conf *c = NULL;
	enum conf_result got;
	bool error;

	buf_init(&filled, 4096);
	buf_init(&said, 65536);
	add_replaced(&filled, span_of(text), "@DIR@", dir);
	write_file(path_of(name), buf_span(&filled));
	got = conf_look(path_of(name), CONF_FOR_CGI, on_report, &said, &c);
	must_text(&said);
	error = strstr(said.p, " error: ") != NULL;
	ok(got == want && c != NULL && error == (got != CONF_OK),
	    "looks at %s: %s", name, result_name(got));
	buf_free(&filled);
	buf_free(&said);
	return must(c);
}

static const char written_text[] = "[policy]\n"
				   "senders = a@b.example\n"
				   "timeout =   7\n"
				   "[endpoint one]\n"
				   "  path = /one\n"
				   "timeout = \"9\"\n"
				   "[endpoint two]\n"
				   "path = /two\n"
				   "\n"
				   "[server]\n"
				   "log = /var/log/x\n";

static const struct {
	size_t endpoint;
	const char *key, *value;
	unsigned line, column;
} written[] = {
	{ 0, "path", "/one", 5, 10 },
	{ 0, "timeout", "9", 6, 12 },
	{ 1, "path", "/two", 8, 8 },
	{ 1, "timeout", "7", 3, 13 },
	{ 1, "senders", "a@b.example", 2, 11 },
	{ 1, "kill_grace", NULL, 0, 0 },
	{ 1, "log", NULL, 0, 0 },
	{ 1, "nonsense", NULL, 0, 0 },
	{ CONF_OF_SERVER, "log", "/var/log/x", 11, 7 },
	{ CONF_OF_SERVER, "threads", NULL, 0, 0 },
	{ CONF_OF_SERVER, "timeout", NULL, 0, 0 },
};

static void
is_written(const struct conf *c)
{
	for (size_t i = 0; i < sizeof(written) / sizeof(*written); i++) {
		struct conf_written w = { .value = { NULL, 0 } };
		bool found =
		    conf_written(c, written[i].endpoint, written[i].key, &w);

		ok(found == (written[i].value != NULL) &&
			w.at.line == written[i].line &&
			w.at.column == written[i].column,
		    "%s of %zu is written in line %u, column %u",
		    written[i].key, written[i].endpoint, w.at.line,
		    w.at.column);
		is_span(w.value, written[i].value, "… as");
	}
	ok(conf_place(c, 0).line == 4 && conf_place(c, 0).column == 2 &&
		conf_place(c, 1).line == 7,
	    "sections begin in lines %u and %u", conf_place(c, 0).line,
	    conf_place(c, 1).line);
}

static void
test_written(void)
{
	struct conf *c = look("policy.ini", written_text, CONF_OK);
	struct buf said;

	is_written(c);
	conf_free(c);
	c = NULL;
	buf_init(&said, 4096);
	ok(conf_load(path_of("policy.ini"), CONF_FOR_SERVER, on_report, &said,
	       &c) == CONF_OK,
	    "the same, loaded");
	is_written(must(c));
	conf_free(c);
	buf_free(&said);
	c = look("policy.ini", "[policy]\nplayground = yes\n", CONF_OK);
	ok(conf_place(c, 0).line == 1, "[policy] alone");
	conf_free(c);
	c = look("policy.ini", "", CONF_OK);
	ok(conf_place(c, 0).line == 0, "no section at all");
	conf_free(c);
}

/* What can be made out of a file that is wrong. */
static void
test_look(void)
{
	const struct conf_endpoint *e;
	struct conf_written w;
	struct buf said;
	struct conf *c = look("policy.ini",
	    "[policy]\nsenders = a@b.example x\ntimeout = x\nexec = /x\n"
	    "nonsense\n[endpoint a]\npath = /a\nkill_grace = 3\n",
	    CONF_BAD);

	ok(conf_endpoints(c, &e) == 1 && strcmp(e[0].name, "a") == 0 &&
		strcmp(e[0].path, "/a") == 0 && strcmp(e[0].exec, "/x") == 0 &&
		e[0].limits.kill_grace == 3,
	    "what is good in a bad file");
	ok(conf_written(c, 0, "timeout", &w) && w.at.line == 3,
	    "… and where the bad stands");
	is_span(w.value, "x", "… as it is written");
	conf_free(c);

	buf_init(&said, 4096);
	ok(conf_look("/nonexistent.ini", CONF_FOR_CGI, on_report, &said, &c) ==
		    CONF_BAD &&
		c != NULL,
	    "looks at no file");
	ok(conf_endpoints(c, &e) == 0 &&
		!conf_written(c, CONF_OF_SERVER, "log", &w),
	    "… in which there is nothing");
	ok(conf_files(c) != NULL &&
		strcmp(conf_files(c)->name, "/nonexistent.ini") == 0 &&
		!conf_files(c)->stamp.there && conf_files(c)->next == NULL,
	    "… and which is known all the same");
	conf_free(c);
	buf_free(&said);
}

/* "policy.ini+ senders.txt-": there, or not. */
static void
is_read(const struct conf *c, const char *want)
{
	struct buf got;
	const char *slash;

	buf_init(&got, 4096);
	for (const struct conf_file *f = conf_files(c); f != NULL;
	     f = f->next) {
		struct stamp now = stamp_path(f->name);

		slash = strrchr(f->name, '/');
		add(&got, "%s%s%s", got.n == 0 ? "" : " ", slash + 1,
		    f->stamp.there ? "+" : "-");
		ok(stamp_eq(&now, &f->stamp), "the stamp of %s", f->name);
	}
	is_span(buf_span(&got), want, "the files that were read");
	buf_free(&got);
}

static const struct {
	const char *text;
	enum conf_result result;
	const char *read;
} reads[] = {
	{ "[policy]\nsenders = a@b.example\n", CONF_OK, "policy.ini+" },
	{ "[policy]\nsenders_file = @DIR@/lists/senders.txt "
	  "@DIR@/lists/more.txt\nsenders_cdb = @DIR@/folded.cdb\n",
	    CONF_OK, "policy.ini+ senders.txt+ more.txt+ folded.cdb+" },
	/* once, whoever names it; and those that nobody asks */
	{ "[policy]\nsenders_file = @DIR@/lists/senders.txt\n"
	  "senders_cdb = @DIR@/folded.cdb\n"
	  "[endpoint a]\npath = /a\n"
	  "[endpoint b]\npath = /b\nsenders_cdb = @DIR@/folded.cdb\n",
	    CONF_OK, "policy.ini+ senders.txt+ folded.cdb+" },
	/* whatever is wrong */
	{ "[policy]\ntimeout = x\nsenders_file = @DIR@/lists/senders.txt\n",
	    CONF_BAD, "policy.ini+ senders.txt+" },
	{ "[policy]\nsenders_file = @DIR@/none @DIR@/lists/bad.txt "
	  "@DIR@/lists @DIR@/lists/more.txt\n"
	  "senders_cdb = @DIR@/damaged.cdb @DIR@/none.cdb\n",
	    CONF_NO_LIST,
	    "policy.ini+ none- bad.txt+ lists+ more.txt+ damaged.cdb+ "
	    "none.cdb-" },
	{ "[policy]\nsenders_file = senders.txt\nsenders_cdb = senders.cdb\n",
	    CONF_BAD, "policy.ini+" },
};

static void
test_read(void)
{
	for (size_t i = 0; i < sizeof(reads) / sizeof(*reads); i++) {
		struct conf *c =
		    look("policy.ini", reads[i].text, reads[i].result);

		is_read(c, reads[i].read);
		conf_free(c);
	}
}

static const struct {
	const char *a, *b; /* [server] */
	const char *want;  /* the keys that differ */
} server_changes[] = {
	{ "", "", "" },
	{ "threads = 3", "threads = 3", "" },
	{ "threads = 3", "threads = 4", "threads" },
	{ "threads = 3", "", "threads" },
	{ "", "threads = 3", "threads" },
	/* the default, written or not */
	{ "", "threads = 16\nlog = stderr\nlisten =\nmetrics = off", "" },
	{ "log = \"stderr\"", "log =   stderr", "" },
	{ "listen = unix:/a\nuser = x\nmetrics = off",
	    "listen = unix:/b\nuser = y\nmetrics = url:/m",
	    "listen user metrics" },
};

static void
test_server_change(void)
{
	for (size_t i = 0; i < sizeof(server_changes) / sizeof(*server_changes);
	     i++) {
		struct conf *c[2];
		const char *key;
		struct buf got;
		size_t next = 0;

		for (int j = 0; j < 2; j++) {
			char text[512];

			snprintf(text, sizeof(text),
			    "[policy]\nsenders = a@b.example\ntimeout = %d\n"
			    "[server]\n%s\n",
			    j + 1,
			    j == 0 ? server_changes[i].a : server_changes[i].b);
			c[j] = look("policy.ini", text, CONF_OK);
		}
		buf_init(&got, 4096);
		buf_add_str(&got, "");
		while ((key = conf_server_change(c[0], c[1], &next)) != NULL)
			add(&got, "%s%s", got.n == 0 ? "" : " ", key);
		must_text(&got);
		ok(strcmp(got.p, server_changes[i].want) == 0,
		    "[server] %zu and its successor: '%s'", i, got.p);
		buf_free(&got);
		conf_free(c[0]);
		conf_free(c[1]);
	}
}

/* The lists go, and nobody is let in; the rest stays. */
static void
test_drop_lists(void)
{
	struct conf *c = look("policy.ini",
	    "[policy]\nsenders = a@b.example\n"
	    "senders_file = @DIR@/lists/senders.txt\n"
	    "senders_cdb = @DIR@/folded.cdb\n"
	    "[endpoint a]\npath = /a\n[endpoint b]\npath = /b\n"
	    "[server]\nlog = /var/log/x\n",
	    CONF_OK);
	const struct conf_endpoint *e;

	conf_endpoints(c, &e);
	is_span(span_of(decide(&e[1], "a@b.example")), "allow policy.ini:2",
	    "a list");
	conf_drop_lists(c);
	for (int i = 0; i < 2; i++)
		is_span(span_of(decide(&e[i], "a@b.example")), "none",
		    "… that was dropped");
	ok(strcmp(conf_server(c)->log, "/var/log/x") == 0 &&
		strcmp(e[1].path, "/b") == 0 && conf_files(c) != NULL,
	    "… and all else is there");
	conf_drop_lists(c);
	conf_free(c);
}

/* A compiled list of one rule. */
static void
compile(const char *name, struct span key, bool fold_local)
{
	const struct cdbwrite_about about = { .text = "/list.txt",
		.fold_local = fold_local,
		.wide = *key.p == '@',
		.max = CDBWRITE_MAX };
	struct cdbwrite *w;
	uint64_t size;

	if (cdbwrite_open(path_of(name), &about, &w) != NULL ||
	    cdbwrite_add(w, key, false, 3) != NULL ||
	    cdbwrite_finish(w, &size) != NULL)
		bail();
	cdbwrite_free(w);
}

static void
set_up(void)
{
	const char *tmp = getenv("TMPDIR");
	char from[600], *real;

	snprintf(dir, sizeof(dir), "%s/amp-conf-XXXXXX",
	    tmp == NULL ? "/tmp" : tmp);
	snprintf(from, sizeof(from), "%s/tests/data/conf/lists", top);
	real = realpath(from, NULL);
	if (real == NULL || mkdtemp(dir) == NULL ||
	    symlink(real, path_of("lists")) != 0 ||
	    mkdir(path_of("scripts"), 0755) != 0 ||
	    symlink("scripts", path_of("link")) != 0)
		bail();
	free(real);
	compile("folded.cdb", SPAN("cdb@c.example"), true);
	compile("exact.cdb", SPAN("Cdb@c.example"), false);
	compile("wide.cdb", SPAN("@gmail.com"), true);
	write_file(path_of("damaged.cdb"), SPAN("cdb"));
}

static void
tear_down(void)
{
	static const char *const names[] = { "lists", "link", "scripts",
		"policy.ini", "fifo", "one.ini", "two.ini", "race.ini",
		"folded.cdb", "exact.cdb", "wide.cdb", "damaged.cdb" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		remove(path_of(names[i]));
	if (rmdir(dir) != 0)
		perror(dir);
}

int
main(int argc, char *argv[])
{
	struct buf out;

	if (argc > 1)
		top = argv[1];
	buf_init(&defaults, 1 << 20);
	set_up();
	if (argc > 2) {
		load_data(argv[2], &out);
		printf("%.*s", (int)out.n, out.p);
		buf_free(&out);
		buf_free(&defaults);
		tear_down();
		return 0;
	}
	test_data("good");
	test_data("bad");
	test_lines();
	test_paths();
	test_asked();
	test_senders();
	test_files();
	test_flood();
	test_callback();
	test_exchange();
	test_sample();
	test_manual();
	test_defaults();
	test_near();
	test_written();
	test_look();
	test_read();
	test_server_change();
	test_drop_lists();
	buf_free(&defaults);
	tear_down();
	return tap_done();
}
