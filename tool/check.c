#include "check.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "check_names.h"
#include "check_text.h"
#include "faults.h"
#include "findings.h"
#include "io.h"
#include "review.h"
#include "slurp.h"
#include "tool.h"

#define CONFIG "/etc/amp-cors/amp-cors.ini"

enum {
	POLICY_MAX = 1 << 20, /* as conf reads it */
	JSON_MAX = 1 << 28
};

static const char usage[] =
    "usage: amp-cors check [--for=cgi|server] [--user=NAME] [--strict]\n"
    "                      [--format=text|json] [FILE]\n"
    "  --for=cgi|server    who will read it; without it, a server where it\n"
    "                      has `listen`\n"
    "  --user=NAME         the user that will run\n"
    "  --strict            warnings count for the exit status\n"
    "  --format=text|json  how it is told\n"
    "FILE is the policy, else that of AMP_CORS_CONFIG, else\n" CONFIG ".\n";

struct check {
	const char *file, *user;
	bool json, strict;
	bool any_use; /* --for was not given */
	enum conf_use use;
	/* what came of it */
	struct conf *conf;
	struct findings *findings;
	struct findings_count count;
	struct check_text text;
	size_t endpoints, rules;
	size_t withheld; /* notes that are not told */
	bool no_memory;
};

/* --- what loading says */

/* Names that are not ASCII: what they are in the form that is wanted. */
static bool
mend(struct check *c, const struct conf_fault *f, char *hint, size_t size)
{
	bool origin = f->code == FAULT_BAD_ORIGIN;
	char mended[ORIGIN_MAX + 16];
	struct span word;

	if (f->code != FAULT_BAD_RULE && !origin)
		return false;
	word = check_text_word(&c->text, f->file, f->at,
	    strcmp(f->file, c->file) != 0);
	if (word.p == NULL ||
	    !check_names_mend(word, origin, mended, sizeof(mended)))
		return false;
	snprintf(hint, size, "write %s", mended);
	return true;
}

static void
on_fault(void *ctx, const struct conf_fault *f)
{
	struct check *c = ctx;
	struct conf_fault better = *f;
	char hint[ORIGIN_MAX + 64];

	if (mend(c, f, hint, sizeof(hint)))
		better.expected = hint;
	findings_add(c->findings, &better);
}

/*
 * That only root could tell is told where it is wanted; so is the age of the
 * list of suffixes, for which most systems have no newer one.
 */
static bool
is_wanted(const struct check *c, const struct conf_fault *f)
{
	if (c->strict || !f->note)
		return true;
	if (f->code == FAULT_NOT_CHECKED)
		return c->user != NULL;
	return f->code != FAULT_OLD_SUFFIXES;
}

static void
on_remark(void *ctx, const struct conf_fault *f)
{
	struct check *c = ctx;

	c->no_memory |= f->code == FAULT_NO_MEMORY;
	if (is_wanted(c, f))
		findings_add(c->findings, f);
	else
		c->withheld++;
}

static void
count_errors(void *ctx, const struct conf_fault *f)
{
	size_t *n = ctx;

	*n += !f->warning;
}

/* --- for whom it is read */

static bool
look(struct check *c)
{
	findings_free(c->findings);
	conf_free(c->conf);
	c->conf = NULL;
	c->findings = findings_new();
	if (c->findings == NULL)
		return false;
	conf_look(c->file, c->use, on_fault, c, &c->conf);
	return c->conf != NULL;
}

/* What a server asks for and CGI does not. */
static bool
is_for_both(const struct conf *c)
{
	static const char *const keys[] = { "user", "group", "peers",
		"socket_owner", "socket_group" };
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(c, &ep);
	struct conf_written w;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (conf_written(c, CONF_OF_SERVER, keys[i], &w))
			return true;
	for (size_t i = 0; i < n; i++)
		if (ep[i].replace)
			return true;
	return false;
}

/* Read as CGI does, since nothing listens; but a socket may be handed over. */
static void
look_at_other_use(struct check *c, struct remark *r)
{
	size_t errors = 0, had = c->count.errors;
	struct conf *other = NULL;

	if (!c->any_use || c->use != CONF_FOR_CGI || !is_for_both(c->conf))
		return;
	conf_look(c->file, CONF_FOR_SERVER, count_errors, &errors, &other);
	conf_free(other);
	if (errors > had)
		remark_say(r, REMARK_NOTE, FAULT_OTHER_USE,
		    (struct remark_at){ 0 },
		    "amp-cors check --for=server tells them",
		    "read as CGI does, since it has no listen; for a FastCGI "
		    "server it has %zu more error%s",
		    errors - had, errors - had == 1 ? "" : "s");
}

static bool
look_as_meant(struct check *c)
{
	if (!look(c))
		return false;
	if (!c->any_use || conf_server(c->conf)->listen == NULL)
		return true;
	c->use = CONF_FOR_SERVER;
	return look(c);
}

/* --- all else */

static bool
check_all(struct check *c)
{
	const struct machine_options machine = { .use = c->use,
		.user = c->user };
	const struct conf_endpoint *ep;
	struct rulebook *book = rulebook_new(c->conf);
	struct remark r;
	bool good;

	remark_init(&r, c->conf, on_remark, c);
	good = book != NULL && review_add(&r, c->conf, book, &machine);
	if (good) {
		check_names(&r, c->conf, book, time(NULL));
		look_at_other_use(c, &r);
		remark_end(&r);
		c->rules = rulebook_count(book);
		c->endpoints = conf_endpoints(c->conf, &ep);
	}
	c->count.errors += r.errors;
	c->count.warnings += r.warnings;
	c->count.notes += r.notes - c->withheld;
	rulebook_free(book);
	return good;
}

/* --- telling it */

/* With a comma between thousands. */
static void
add_count(struct buf *out, size_t n, const char *what)
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%zu", n);

	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			buf_add_char(out, ',');
		buf_add_char(out, digits[i]);
	}
	buf_add_char(out, ' ');
	buf_add_str(out, what);
	if (n != 1)
		buf_add_char(out, 's');
}

static bool
is_good(const struct check *c)
{
	return c->count.errors == 0 && (c->count.warnings == 0 || !c->strict);
}

/* "checks (3 endpoints, 1,204 rules)", or "2 errors, 1 warning". */
static void
add_summary(struct buf *out, const struct check *c)
{
	if (c->count.errors > 0)
		add_count(out, c->count.errors, "error");
	if (c->count.errors > 0 && c->count.warnings > 0)
		buf_add_str(out, ", ");
	if (is_good(c))
		buf_add_str(out, "checks");
	if (is_good(c) && c->count.warnings > 0)
		buf_add_str(out, " with ");
	if (c->count.warnings > 0)
		add_count(out, c->count.warnings, "warning");
	if (!is_good(c))
		return;
	buf_add_str(out, " (");
	add_count(out, c->endpoints, "endpoint");
	buf_add_str(out, ", ");
	add_count(out, c->rules, "rule");
	buf_add_char(out, ')');
}

static int
tell_text(const struct check *c, const struct conf_fault *all, size_t n)
{
	struct buf summary;

	for (size_t i = 0; i < n; i++)
		faults_print(stdout, &all[i]);
	buf_init(&summary, 8192);
	faults_escape(&summary, c->file);
	buf_add_str(&summary, ": ");
	add_summary(&summary, c);
	buf_add_char(&summary, '\n');
	return tool_print(&summary);
}

static void
add_number(struct buf *out, const char *name, size_t n)
{
	buf_add_str(out, name);
	buf_add_number(out, n);
}

static int
tell_json(const struct check *c, const struct conf_fault *all, size_t n)
{
	struct buf out;

	buf_init(&out, JSON_MAX);
	buf_add_str(&out, "{\"file\":");
	tool_json(&out, span_of(c->file));
	buf_add_str(&out,
	    c->use == CONF_FOR_CGI ? ",\"for\":\"cgi\"" :
				     ",\"for\":\"server\"");
	add_number(&out, ",\"errors\":", c->count.errors);
	add_number(&out, ",\"warnings\":", c->count.warnings);
	add_number(&out, ",\"notes\":", c->count.notes);
	add_number(&out, ",\"endpoints\":", c->endpoints);
	add_number(&out, ",\"rules\":", c->rules);
	buf_add_str(&out, ",\"faults\":[");
	for (size_t i = 0; i < n; i++) {
		buf_add_str(&out, i == 0 ? "\n" : ",\n");
		faults_json(&out, &all[i]);
	}
	buf_add_str(&out, "]}\n");
	return tool_print(&out);
}

static int
tell(struct check *c)
{
	const struct conf_fault *all;
	int status;
	size_t n;

	if (!findings_sorted(c->findings, c->file, &all, &n))
		return tool_fail(EX_OSERR, "out of memory");
	status = (c->json ? tell_json : tell_text)(c, all, n);
	if (status != EX_OK)
		return status;
	return is_good(c) ? EX_OK : TOOL_NO;
}

/* --- the command */

/* Tells this alone.  Returns the exit status. */
static int
tell_one(struct check *c, const struct conf_fault *fault)
{
	c->findings = findings_new();
	if (c->findings == NULL)
		return tool_fail(EX_OSERR, "out of memory");
	findings_add(c->findings, fault);
	c->count.errors = 1;
	return tell(c);
}

/* Programs that read JSON get it, and people one line. */
static int
tell_unreadable(struct check *c, const char *why)
{
	const struct conf_fault fault = { .code = FAULT_UNREADABLE,
		.file = c->file,
		.text = why,
		.expected = "name a regular file of at most 1M that can be "
			    "read" };
	int status;

	if (!c->json)
		return tool_fail(EX_NOINPUT, "%s: %s [%s]", c->file, why,
		    fault_word(FAULT_UNREADABLE));
	status = tell_one(c, &fault);
	return status == TOOL_NO ? EX_NOINPUT : status;
}

static bool
is_blank(char byte)
{
	return byte == '\t' || byte == '\n' || byte == '\r';
}

/* The first byte that no text has, and how many of them there are. */
static const char *
find_garbage(struct span text, size_t *count)
{
	const char *first = NULL;

	*count = 0;
	while (text.n > 0) {
		size_t n = is_blank(*text.p) ? 1 : tool_utf8(text);

		if (n == 0 && first == NULL)
			first = text.p;
		*count += n == 0;
		text = span_skip(text, n > 0 ? n : 1);
	}
	return first;
}

/*
 * Where a file is no text, one line says so: it has a NUL, or a quarter of it
 * is garbage.  NULL: it is text, of which conf may find fault with a byte.
 */
static const char *
find_binary(struct span text)
{
	const char *nul = memchr(text.p, '\0', text.n), *first;
	size_t garbage;

	if (nul != NULL)
		return nul;
	first = find_garbage(text, &garbage);
	return garbage > text.n / 4 ? first : NULL;
}

static int
tell_binary(struct check *c, struct span text, const char *at)
{
	struct conf_fault fault = { .code = FAULT_BAD_TEXT,
		.file = c->file,
		.at = { 1, 1 },
		.text = *at == '\0' ? "a NUL byte: this is no text" :
				      "this is no text",
		.expected = "a policy file is plain text in ASCII or UTF-8" };

	for (const char *p = text.p; p < at; p++) {
		fault.at.column++;
		if (*p == '\n')
			fault.at = (struct scan_place){ fault.at.line + 1, 1 };
	}
	return tell_one(c, &fault);
}

/* Can it be looked at?  Else *status says what came of it. */
static bool
is_text(struct check *c, int *status)
{
	struct slurp file;
	const char *fault = slurp(c->file, POLICY_MAX, &file), *binary;
	struct span text;

	if (fault != NULL) {
		*status = tell_unreadable(c, fault);
		return false;
	}
	text = (struct span){ file.p, file.n };
	binary = find_binary(text);
	if (binary != NULL)
		*status = tell_binary(c, text, binary);
	free(file.p);
	return binary == NULL;
}

static int
check(struct check *c)
{
	int status;

	if (!is_text(c, &status))
		return status;
	if (!look_as_meant(c))
		return tool_fail(EX_OSERR, "out of memory");
	c->count = findings_count(c->findings);
	if (!check_all(c) || c->no_memory)
		return tool_fail(EX_OSERR, "out of memory");
	return tell(c);
}

static bool
is_word(const char *given, const char *no, const char *yes, bool *out)
{
	*out = strcmp(given, yes) == 0;
	return *out || strcmp(given, no) == 0;
}

static bool
is_user(const char *name)
{
	uid_t uid;
	gid_t gid;

	return io_user(name, &uid, &gid);
}

/* False where that is no such option, which then has been said. */
static bool
take_option(struct check *c, int option, const char *value)
{
	bool server;

	switch (option) {
	case 'f':
		if (is_word(value, "text", "json", &c->json))
			return true;
		tool_fail(0, "--format is text or json");
		return false;
	case 'u':
		c->user = value;
		if (is_user(value))
			return true;
		tool_fail(0, "--user: there is no user %s", value);
		return false;
	case 'w':
		c->any_use = false;
		if (!is_word(value, "cgi", "server", &server)) {
			tool_fail(0, "--for is cgi or server");
			return false;
		}
		c->use = server ? CONF_FOR_SERVER : CONF_FOR_CGI;
		return true;
	case 's':
		c->strict = true;
		return true;
	default:
		return false;
	}
}

static const struct option options[] = {
	{ "for", required_argument, NULL, 'w' },
	{ "format", required_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ "strict", no_argument, NULL, 's' },
	{ "user", required_argument, NULL, 'u' },
	{ NULL, 0, NULL, 0 },
};

static const char *
default_file(void)
{
	const char *named = getenv("AMP_CORS_CONFIG");

	return named != NULL && *named != '\0' ? named : CONFIG;
}

int
check_main(int argc, char *argv[])
{
	struct check c = { .any_use = true, .use = CONF_FOR_CGI };
	int option, status;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h')
			return tool_usage(true, usage);
		if (!take_option(&c, option, optarg))
			return tool_usage(false, usage);
	}
	if (argc - optind > 1) {
		tool_fail(0, "%s: it takes one file", argv[optind + 1]);
		return tool_usage(false, usage);
	}
	c.file = optind < argc ? argv[optind] : default_file();
	status = check(&c);
	findings_free(c.findings);
	conf_free(c.conf);
	check_text_free(&c.text);
	return status;
}
