/*
 * cgienv: what is read of a request [SPEC 1.1 to 1.6], and what a handler gets
 * [SPEC 4.2].
 */
#include "cgienv.h"
#include "childenv.h"
#include "guard.h"
#include "tap.h"

enum { VARS_MAX = 12 };

/* A list in memory of its own, each string against an unreadable page. */
struct list {
	struct guard guard[VARS_MAX];
	char *vars[VARS_MAX + 1];
	size_t n;
};

static void
list_make(const char *const from[], struct list *l)
{
	for (l->n = 0; l->n < VARS_MAX && from[l->n] != NULL; l->n++) {
		l->guard[l->n] = guard_of(from[l->n], strlen(from[l->n]) + 1);
		l->vars[l->n] = l->guard[l->n].map + l->guard[l->n].size -
		    (size_t)sysconf(_SC_PAGESIZE) - l->guard[l->n].s.n;
	}
	l->vars[l->n] = NULL;
}

static void
list_free(struct list *l)
{
	while (l->n > 0)
		guard_free(&l->guard[--l->n]);
}

/*
 * want is the reason, then what there is, in the order of describe(); body is
 * "" (none), a length, or "?".
 */
struct row {
	const char *name;
	const char *vars[VARS_MAX];
	const char *want;
};

#define M "REQUEST_METHOD=GET"
#define POST "REQUEST_METHOD=POST"

static const struct row rows[] = {
	{ "nothing at all (E9)", { NULL }, "bad-request body=?" },
	{ "no method", { "QUERY_STRING=a" }, "bad-request query=a body=?" },
	{ "an empty method", { "REQUEST_METHOD=" }, "bad-request body=?" },
	{ "all that is read",
	    { M, "QUERY_STRING=a=b&c", "HTTP_ORIGIN=o",
		"HTTP_AMP_EMAIL_SENDER=s", "SCRIPT_NAME=/s", "PATH_INFO=/p",
		"HTTP_ACCESS_CONTROL_REQUEST_METHOD=PUT", "SCRIPT_FILENAME=/f",
		"PATH_TRANSLATED=/t", "REDIRECT_STATUS=200", "REQUEST_URI=/u?v",
		"CONTENT_LENGTH=7" },
	    "ok method=GET query=a=b&c origin=o sender=s want=PUT script=/s "
	    "info=/p file=/f translated=/t redirect=200 uri=/u?v body=7" },
	{ "empty is absent (1.2)",
	    { M, "QUERY_STRING=", "HTTP_ORIGIN=", "HTTP_AMP_EMAIL_SENDER=",
		"SCRIPT_NAME=", "PATH_INFO=",
		"HTTP_ACCESS_CONTROL_REQUEST_METHOD=", "SCRIPT_FILENAME=",
		"PATH_TRANSLATED=", "REDIRECT_STATUS=", "REQUEST_URI=",
		"CONTENT_LENGTH=" },
	    "ok method=GET body=" },
	{ "names are whole, and have a case",
	    { M, "XHTTP_ORIGIN=o", "HTTP_ORIGINX=o", "http_origin=o",
		"HTTP_ORIGI=o", "HTTP_ORIGIN_=o", "HTTP-ORIGIN=o" },
	    "ok method=GET body=" },
	/* 1.4 */
	{ "blanks around a sender", { M, "HTTP_AMP_EMAIL_SENDER= \t a b\t " },
	    "ok method=GET sender=a b body=" },
	{ "a sender of blanks", { M, "HTTP_AMP_EMAIL_SENDER= \t" },
	    "ok method=GET body=" },
	{ "blanks around an origin stay", { M, "HTTP_ORIGIN= o " },
	    "ok method=GET origin= o  body=" },
	/* 1.3, E1, E2: inputs of the policy from a header */
	{ "two senders, equal",
	    { M, "HTTP_AMP_EMAIL_SENDER=a", "HTTP_AMP_EMAIL_SENDER=a" },
	    "variable-repeated method=GET sender=a body=" },
	{ "two senders, different",
	    { M, "HTTP_AMP_EMAIL_SENDER=a", "HTTP_AMP_EMAIL_SENDER=b" },
	    "variable-repeated method=GET sender=a body=" },
	{ "two senders, one empty",
	    { M, "HTTP_AMP_EMAIL_SENDER=", "HTTP_AMP_EMAIL_SENDER=b" },
	    "variable-repeated method=GET sender=b body=" },
	{ "two senders, both empty",
	    { M, "HTTP_AMP_EMAIL_SENDER=", "HTTP_AMP_EMAIL_SENDER=" },
	    "variable-repeated method=GET body=" },
	{ "two origins", { M, "HTTP_ORIGIN=a", "HTTP_ORIGIN=a" },
	    "variable-repeated method=GET origin=a body=" },
	{ "two requested methods",
	    { M, "HTTP_ACCESS_CONTROL_REQUEST_METHOD=GET",
		"HTTP_ACCESS_CONTROL_REQUEST_METHOD=GET" },
	    "variable-repeated method=GET want=GET body=" },
	{ "two lists of requested headers",
	    { M, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS=a",
		"HTTP_ACCESS_CONTROL_REQUEST_HEADERS=a" },
	    "variable-repeated method=GET body=" },
	/* … and others */
	{ "two methods, equal", { M, M }, "ok method=GET body=" },
	{ "two methods, different", { M, POST },
	    "variable-repeated method=GET body=" },
	{ "two methods, one empty", { "REQUEST_METHOD=", M },
	    "variable-repeated method=GET body=" },
	{ "two queries, equal", { M, "QUERY_STRING=a", "QUERY_STRING=a" },
	    "ok method=GET query=a body=" },
	{ "two queries, one empty", { M, "QUERY_STRING=a", "QUERY_STRING=" },
	    "variable-repeated method=GET query=a body=" },
	{ "two script names, equal", { M, "SCRIPT_NAME=/", "SCRIPT_NAME=/" },
	    "ok method=GET script=/ body=" },
	{ "two script names, different",
	    { M, "SCRIPT_NAME=/a", "SCRIPT_NAME=/b" },
	    "variable-repeated method=GET script=/a body=" },
	{ "two path infos, different", { M, "PATH_INFO=/a", "PATH_INFO=/b" },
	    "variable-repeated method=GET info=/a body=" },
	{ "two path infos, both empty", { M, "PATH_INFO=", "PATH_INFO=" },
	    "ok method=GET body=" },
	/* 1.3: any other */
	{ "two of another, equal", { M, "HTTP_COOKIE=a", "HTTP_COOKIE=a" },
	    "ok method=GET body=" },
	{ "two of another, different", { M, "HTTP_COOKIE=a", "HTTP_COOKIE=b" },
	    "bad-request method=GET body=" },
	{ "two of another, one empty",
	    { M, "SCRIPT_FILENAME=", "SCRIPT_FILENAME=/f" },
	    "ok method=GET file=/f body=" },
	{ "two of another, the other empty",
	    { M, "SCRIPT_FILENAME=/f", "SCRIPT_FILENAME=" },
	    "ok method=GET file=/f body=" },
	{ "two URIs, one empty", { M, "REQUEST_URI=", "REQUEST_URI=/u" },
	    "ok method=GET uri=/u body=" },
	{ "two URIs, different", { M, "REQUEST_URI=/u", "REQUEST_URI=/v" },
	    "bad-request method=GET uri=/u body=" },
	{ "three, an empty one first, two that differ",
	    { M, "HTTP_X=", "HTTP_X=a", "HTTP_X=b" },
	    "bad-request method=GET body=" },
	{ "three, an empty one between two that differ",
	    { M, "HTTP_X=a", "HTTP_X=", "HTTP_X=b" },
	    "bad-request method=GET body=" },
	{ "three, all but one empty", { M, "HTTP_X=", "HTTP_X=a", "HTTP_X=" },
	    "ok method=GET body=" },
	{ "one is the other's beginning", { M, "HTTP_X=a", "HTTP_X=ab" },
	    "bad-request method=GET body=" },
	{ "names that share a beginning", { M, "HTTP_X=a", "HTTP_X_=b" },
	    "ok method=GET body=" },
	{ "two lengths, different",
	    { POST, "CONTENT_LENGTH=1", "CONTENT_LENGTH=2" },
	    "bad-request method=POST body=1" },
	{ "two lengths, one empty",
	    { POST, "CONTENT_LENGTH=", "CONTENT_LENGTH=2" },
	    "ok method=POST body=2" },
	{ "both kinds of repetition",
	    { M, "HTTP_X=a", "HTTP_X=b", "HTTP_ORIGIN=", "HTTP_ORIGIN=" },
	    "variable-repeated method=GET body=" },
	{ "a repetition and no method", { "HTTP_ORIGIN=", "HTTP_ORIGIN=" },
	    "variable-repeated body=?" },
	/* E8 */
	{ "names that are none",
	    { M, "=a", "=b", "A B=1", "A B=2", "A\tB=1", "A\x7f=1", "plain", "",
		"\x01=1", "\x01=2" },
	    "ok method=GET body=" },
	{ "lower-case names count", { M, "a=1", "a=2" },
	    "bad-request method=GET body=" },
	/* 1.6, E11 */
	{ "GET without a length", { M }, "ok method=GET body=" },
	{ "HEAD", { "REQUEST_METHOD=HEAD" }, "ok method=HEAD body=" },
	{ "OPTIONS", { "REQUEST_METHOD=OPTIONS" }, "ok method=OPTIONS body=" },
	{ "DELETE", { "REQUEST_METHOD=DELETE" }, "ok method=DELETE body=" },
	{ "get", { "REQUEST_METHOD=get" }, "ok method=get body=?" },
	{ "POST without a length", { POST }, "ok method=POST body=?" },
	{ "PUT with an empty one", { "REQUEST_METHOD=PUT", "CONTENT_LENGTH=" },
	    "ok method=PUT body=?" },
	{ "GET with a coding", { M, "HTTP_TRANSFER_ENCODING=chunked" },
	    "ok method=GET body=?" },
	{ "GET with an empty coding", { M, "HTTP_TRANSFER_ENCODING=" },
	    "ok method=GET body=" },
	{ "GET with -1", { M, "CONTENT_LENGTH=-1" }, "ok method=GET body=?" },
	{ "POST with -1", { POST, "CONTENT_LENGTH=-1" },
	    "ok method=POST body=?" },
	{ "POST with a length and a coding",
	    { POST, "CONTENT_LENGTH=5", "HTTP_TRANSFER_ENCODING=chunked" },
	    "ok method=POST body=5" },
	{ "GET with 0", { M, "CONTENT_LENGTH=0" }, "ok method=GET body=" },
	{ "POST with 0", { POST, "CONTENT_LENGTH=0" }, "ok method=POST body=" },
	{ "a length over 2^32 (E40)", { POST, "CONTENT_LENGTH=4294967301" },
	    "ok method=POST body=4294967301" },
	{ "2^63 - 1", { POST, "CONTENT_LENGTH=9223372036854775807" },
	    "ok method=POST body=9223372036854775807" },
	{ "2^63", { POST, "CONTENT_LENGTH=9223372036854775808" },
	    "bad-request method=POST body=?" },
	{ "beyond 2^64", { POST, "CONTENT_LENGTH=99999999999999999999" },
	    "bad-request method=POST body=?" },
	{ "+5", { POST, "CONTENT_LENGTH=+5" },
	    "bad-request method=POST body=?" },
	{ "'5 '", { POST, "CONTENT_LENGTH=5 " },
	    "bad-request method=POST body=?" },
	{ "' 5'", { POST, "CONTENT_LENGTH= 5" },
	    "bad-request method=POST body=?" },
	{ "-2", { POST, "CONTENT_LENGTH=-2" },
	    "bad-request method=POST body=?" },
	{ "0x5", { POST, "CONTENT_LENGTH=0x5" },
	    "bad-request method=POST body=?" },
	{ "a bad length with GET", { M, "CONTENT_LENGTH=x" },
	    "bad-request method=GET body=" },
	/* E12 */
	{ "a file behind Apache's proxy",
	    { M, "SCRIPT_FILENAME=proxy:fcgi://127.0.0.1:9000/root/a.cgi" },
	    "ok method=GET file=/root/a.cgi body=" },
	{ "… and a balancer",
	    { M, "SCRIPT_FILENAME=proxy:balancer://name/root/a.cgi" },
	    "ok method=GET file=/root/a.cgi body=" },
	{ "… and a Unix socket",
	    { M,
		"SCRIPT_FILENAME=proxy:unix:/run/x.sock|fcgi://localhost/"
		"root/a.cgi" },
	    "ok method=GET file=/root/a.cgi body=" },
	{ "… and nothing but the root",
	    { M, "SCRIPT_FILENAME=proxy:fcgi://127.0.0.1:9000/" },
	    "ok method=GET file=/ body=" },
	{ "a proxy and no file",
	    { M, "SCRIPT_FILENAME=proxy:fcgi://127.0.0.1:9000" },
	    "ok method=GET body=" },
	{ "a proxy and no address", { M, "SCRIPT_FILENAME=proxy:fcgi:" },
	    "ok method=GET body=" },
	{ "a proxy alone", { M, "SCRIPT_FILENAME=proxy:" },
	    "ok method=GET body=" },
	{ "a proxy with an empty address",
	    { M, "SCRIPT_FILENAME=proxy:fcgi://", "PATH_INFO=/etc/passwd" },
	    "ok method=GET info=/etc/passwd body=" },
	{ "a proxy with one slash alone", { M, "SCRIPT_FILENAME=proxy:x:/a/b" },
	    "ok method=GET body=" },
	{ "a path that only looks so", { M, "SCRIPT_FILENAME=/proxy:x://a/b" },
	    "ok method=GET file=/proxy:x://a/b body=" },
	/* E20 */
	{ "started by a front", { M, "AMP_CORS_FRONT=1" },
	    "ok method=GET loop body=" },
};

static void
describe_span(struct buf *out, const char *key, struct span value)
{
	if (value.p == NULL)
		return;
	buf_add_char(out, ' ');
	buf_add_str(out, key);
	buf_add_char(out, '=');
	buf_add_span(out, value);
}

static void
describe(enum reason why, const struct cgienv *e, struct buf *out)
{
	buf_add_str(out, reason_word(why));
	describe_span(out, "method", e->policy.method);
	describe_span(out, "query", e->policy.query);
	describe_span(out, "origin", e->policy.origin);
	describe_span(out, "sender", e->policy.sender);
	describe_span(out, "want", e->policy.want_method);
	describe_span(out, "script", e->script_name);
	describe_span(out, "info", e->path_info);
	describe_span(out, "file", e->script_filename);
	describe_span(out, "translated", e->path_translated);
	describe_span(out, "redirect", e->redirect_status);
	describe_span(out, "uri", e->request_uri);
	buf_add_str(out, e->loop ? " loop body=" : " body=");
	if (cgienv_body(e) == CGIENV_LENGTH)
		buf_add_number(out, e->length);
	if (cgienv_body(e) == CGIENV_UNKNOWN)
		buf_add_char(out, '?');
}

static void
test_row(const struct row *r)
{
	struct list l;
	struct cgienv e;
	struct buf got;

	list_make(r->vars, &l);
	memset(&e, 0xa5, sizeof(e));
	buf_init(&got, 4096);
	describe(cgienv_read(l.vars, &e), &e, &got);
	is_span(buf_span(&got), r->want, r->name);
	buf_free(&got);
	list_free(&l);
}

static void
test_get(void)
{
	static const char *const from[] = { "A=", "AB=x", "A=1", "A=2", "=3",
		"B", "C=", NULL };
	struct list l;

	list_make(from, &l);
	is_span(cgienv_get(l.vars, SPAN("A")), "1", "the first with a value");
	is_span(cgienv_get(l.vars, SPAN("AB")), "x", "a longer name");
	is_span(cgienv_get(l.vars, SPAN("B")), NULL, "no variable");
	is_span(cgienv_get(l.vars, SPAN("C")), NULL, "an empty one");
	is_span(cgienv_get(l.vars, SPAN("D")), NULL, "none");
	list_free(&l);
}

static uint32_t
hash_of(const char *s)
{
	uint32_t hash;

	vars_hash((struct span){ s, strcspn(s, "=") }, &hash);
	return hash;
}

enum { MANY = 6000 };

/* MANY variables and a NULL; with `chosen`, all of one bucket. */
static void
many_make(char (*text)[24], char *vars[], bool chosen)
{
	size_t n = 0;

	for (unsigned i = 0; n < MANY; i++) {
		snprintf(text[n], sizeof(text[n]), "HTTP_X_%u=%u", i, i);
		if (chosen &&
		    (hash_of(text[n]) ^ hash_of(text[n]) >> 16) % SEEN_HEADS !=
			7)
			continue;
		vars[n] = text[n];
		n++;
	}
	vars[n] = NULL;
}

static char many_text[MANY][24], *many_vars[MANY + 1];

static void
test_many(void)
{
	struct cgienv e;
	char last[24];

	many_make(many_text, many_vars, false);
	many_vars[10] = (char[]){ "REQUEST_METHOD=GET" };
	ok(cgienv_read(many_vars, &e) == REASON_OK, "6000 variables");
	snprintf(last, sizeof(last), "%s", many_text[20]);
	many_vars[MANY - 1] = last;
	ok(cgienv_read(many_vars, &e) == REASON_OK,
	    "6000 variables, an equal one far away");
	strcat(last, "x");
	ok(cgienv_read(many_vars, &e) == REASON_BAD_REQUEST,
	    "6000 variables, another value far away");
	many_vars[20] = last;
	many_vars[MANY - 1] = (char[]){ "HTTP_ORIGIN=a" };
	many_vars[0] = (char[]){ "HTTP_ORIGIN=" };
	ok(cgienv_read(many_vars, &e) == REASON_VARIABLE_REPEATED,
	    "6000 variables, an origin at each end");
	many_make(many_text, many_vars, true);
	many_vars[0] = (char[]){ "REQUEST_METHOD=GET" };
	ok(cgienv_read(many_vars, &e) == REASON_BAD_REQUEST &&
		e.policy.method.n == 3,
	    "6000 names that collide are no request");
	many_vars[90] = NULL;
	ok(cgienv_read(many_vars, &e) == REASON_OK, "90 of them are fine");
}

/* What a handler gets, sorted; the front's mark is in all and left out here. */
struct child_row {
	const char *name;
	const char *vars[VARS_MAX];
	struct childenv_change change;
	const char *want;
};

static const struct policy_decision verified = {
	.verdict = POLICY_ALLOW,
	.version = 1,
	.sender = { "a@b.example", 11 },
	.origin = { "https://mail.google.com", 23 },
};
static const struct policy_decision version_2 = {
	.verdict = POLICY_ALLOW,
	.version = 2,
	.sender = { "a@b.example", 11 },
};
static const struct policy_decision reported = {
	.verdict = POLICY_DENY,
	.reported = true,
	.version = 2,
	.claimed_sender = { "x@y.example", 11 },
};

static char own_path[] = "PATH=/own", own_tz[] = "TZ=UTC", own_a[] = "A=own",
	    own_empty[] = "EMPTY=", own_proxy[] = "HTTP_PROXY=x",
	    own_front[] = "AMP_CORS_SENDER=x", own_not[] = "SECRET=x";
static char *const own[] = { own_a, own_path, own_tz, own_empty, own_proxy,
	own_front, own_not, NULL };
static char name_tz[] = "TZ", name_a[] = "A", name_none[] = "NONE",
	    name_empty[] = "EMPTY", name_proxy[] = "HTTP_PROXY",
	    name_front[] = "AMP_CORS_SENDER", name_path[] = "PATH";
static char *const own_names[] = { name_tz, name_a, name_none, name_empty,
	name_proxy, name_front, name_path, name_tz, NULL };
static char own_path_empty[] = "PATH=";
static char *const own_without[] = { own_path_empty, NULL };

#define DEFAULT_PATH "PATH=" CHILDENV_PATH "\n"

static const struct child_row child_rows[] = {
	{ "nothing", { NULL }, { 0 }, DEFAULT_PATH },
	{ "what passes",
	    { "B=2", "A=1", "HTTP_X=y", "lower=z", "E=", "PATH=/p",
		"CONTENT_LENGTH=5", "LD_PRELOAD=l", "HTTP_PROXYX=1",
		"SCRIPT_NAME=/s" },
	    { 0 },
	    "A=1\nB=2\nCONTENT_LENGTH=5\nE=\nHTTP_PROXYX=1\nHTTP_X=y\n"
	    "LD_PRELOAD=l\nPATH=/p\nSCRIPT_NAME=/s\nlower=z\n" },
	{ "what does not, 1",
	    { "PATH=/p", "HTTP_PROXY=x", "HTTP_CONTENT_LENGTH=x",
		"HTTP_CONTENT_TYPE=x", "HTTP_CONNECTION=x", "HTTP_KEEP_ALIVE=x",
		"HTTP_PROXY_CONNECTION=x", "HTTP_TE=x", "HTTP_TRAILER=x",
		"HTTP_UPGRADE=x", "FCGI_ROLE=RESPONDER" },
	    { 0 }, "PATH=/p\n" },
	{ "what does not, 2",
	    { "PATH=/p", "HTTP_TRANSFER_ENCODING=x", "HTTP_AUTHORIZATION=x",
		"AMP_CORS_SENDER=x", "AMP_CORS_CONFIG=x", "AMP_CORS_=x",
		"AMP_CORS_FRONT=0", "HTTP_PROXY=", "A B=x", "=x", "plain" },
	    { 0 }, "PATH=/p\n" },
	{ "names that only look so",
	    { "PATH=/p", "AMP_COR=1", "AMP_CORSX=2", "HTTP_AMP_CORS_X=3",
		"XFCGI_ROLE=4", "HTTP_TEE=5", "HTTP_T=6" },
	    { 0 },
	    "AMP_COR=1\nAMP_CORSX=2\nHTTP_AMP_CORS_X=3\nHTTP_T=6\n"
	    "HTTP_TEE=5\nPATH=/p\nXFCGI_ROLE=4\n" },
	{ "pass_authorization", { "HTTP_AUTHORIZATION=x", "PATH=/p" },
	    { .pass_authorization = true }, "HTTP_AUTHORIZATION=x\nPATH=/p\n" },
	{ "repeats become one (1.3)",
	    { "A=", "A=1", "A=", "B=2", "B=2", "C=", "C=", "D=3",
		"D=", "PATH=/p" },
	    { 0 }, "A=1\nB=2\nC=\nD=3\nPATH=/p\n" },
	{ "version 1, over what came",
	    { "PATH=/p", "AMP_CORS_VERSION=9", "AMP_CORS_ORIGIN=x",
		"AMP_CORS_SENDER=y" },
	    { .decision = &verified },
	    "AMP_CORS_ORIGIN=https://mail.google.com\n"
	    "AMP_CORS_SENDER=a@b.example\nAMP_CORS_VERSION=1\nPATH=/p\n" },
	{ "version 2 has no origin", { "PATH=/p", "AMP_CORS_ORIGIN=x" },
	    { .decision = &version_2 },
	    "AMP_CORS_SENDER=a@b.example\nAMP_CORS_VERSION=2\nPATH=/p\n" },
	{ "nothing is verified in a report", { "PATH=/p", "AMP_CORS_SENDER=x" },
	    { .decision = &reported }, "AMP_CORS_VERSION=2\nPATH=/p\n" },
	{ "a new length", { "PATH=/p", "CONTENT_LENGTH=-1" },
	    { .content_length = { "77", 2 } }, "CONTENT_LENGTH=77\nPATH=/p\n" },
	{ "a length where none was", { "PATH=/p" },
	    { .content_length = { "0", 1 } }, "CONTENT_LENGTH=0\nPATH=/p\n" },
	{ "a new path",
	    { "PATH=/p", "SCRIPT_NAME=/a", "PATH_INFO=/b", "SCRIPT_FILENAME=/c",
		"PATH_TRANSLATED=/d" },
	    { .new_path = true,
		.script_name = { "/x", 2 },
		.path_info = { "/y", 2 },
		.script_filename = { "/z", 2 } },
	    "PATH=/p\nPATH_INFO=/y\nPATH_TRANSLATED=/d\n"
	    "SCRIPT_FILENAME=/z\nSCRIPT_NAME=/x\n" },
	{ "a new path without an info",
	    { "PATH=/p", "SCRIPT_NAME=/a", "PATH_INFO=/b" },
	    { .new_path = true, .script_name = { "", 0 } },
	    "PATH=/p\nSCRIPT_NAME=\n" },
	{ "no new path", { "PATH=/p", "SCRIPT_NAME=/a" },
	    { .script_name = { "/x", 2 } }, "PATH=/p\nSCRIPT_NAME=/a\n" },
	{ "the front's own, as named", { "B=1" },
	    { .own = own, .names = own_names },
	    "A=own\nB=1\nPATH=/own\nTZ=UTC\n" },
	{ "the request's win", { "A=1", "PATH=/p", "TZ=" },
	    { .own = own, .names = own_names }, "A=1\nPATH=/p\nTZ=UTC\n" },
	{ "PATH alone without names", { "A=1" }, { .own = own },
	    "A=1\nPATH=/own\n" },
	{ "an empty PATH is none", { "PATH=", "A=1" }, { .own = own },
	    "A=1\nPATH=/own\n" },
	{ "two empty PATHs are none", { "PATH=", "A=1" },
	    { .own = own_without }, "A=1\n" DEFAULT_PATH },
	{ "all at once", { "A=1", "PATH=/p" },
	    { .decision = &version_2, .pass_authorization = true },
	    "A=1\nAMP_CORS_SENDER=a@b.example\nAMP_CORS_VERSION=2\n"
	    "PATH=/p\n" },
	{ "an empty and another PATH", { "PATH=", "PATH=/p" }, { .own = own },
	    "PATH=/p\n" },
};

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* False where the mark is not there exactly once. */
static bool
join(struct childenv *l, struct buf *out)
{
	size_t n = 0, marks = 0;

	while (l->vars[n] != NULL)
		n++;
	qsort(l->vars, n, sizeof(*l->vars), compare);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(l->vars[i], "AMP_CORS_FRONT=1") == 0) {
			marks++;
			continue;
		}
		buf_add_str(out, l->vars[i]);
		buf_add_char(out, '\n');
	}
	return marks == 1;
}

static void
test_child_row(const struct child_row *r)
{
	struct childenv child;
	struct list l;
	struct buf got;

	list_make(r->vars, &l);
	memset(&child, 0xa5, sizeof(child));
	buf_init(&got, 4096);
	ok(childenv_make(l.vars, &r->change, &child) && join(&child, &got),
	    "%s: is made, with the mark", r->name);
	is_span(buf_span(&got), r->want, r->name);
	childenv_free(&child);
	buf_free(&got);
	list_free(&l);
}

static int
compare_lines(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);

	return order != 0 ? order : (int)x->n - (int)y->n;
}

/* The pairs as join() shows strings. */
static bool
join_pairs(const struct buf *pairs, struct buf *out)
{
	struct span line[VARS_MAX + 16], rest = buf_span(pairs);
	struct field pair;
	size_t n = 0, marks = 0;
	struct buf all;

	buf_init(&all, 65536);
	must(buf_room(&all, 65536)); /* so that it stays where it is */
	while (n < VARS_MAX + 16 && wire_pair(&rest, &pair)) {
		size_t at = all.n;

		buf_add_span(&all, pair.name);
		buf_add_char(&all, '=');
		buf_add_span(&all, pair.value);
		line[n] = (struct span){ all.p + at, all.n - at };
		if (span_eq(line[n], SPAN("AMP_CORS_FRONT=1")))
			marks++;
		else
			n++;
	}
	qsort(line, n, sizeof(*line), compare_lines);
	for (size_t i = 0; i < n; i++) {
		buf_add_span(out, line[i]);
		buf_add_char(out, '\n');
	}
	buf_free(&all);
	return marks == 1 && rest.n == 0;
}

static void
strings_to_pairs(char *const strings[], struct buf *out)
{
	for (size_t i = 0; strings[i] != NULL; i++) {
		struct span name, value = span_of(strings[i]);

		if (span_cut(&value, '=', &name) && strchr(strings[i], '='))
			wire_add_pair(out, name, value);
	}
}

/*
 * For a server elsewhere it is the same, from strings or from pairs; but it
 * gets no PATH of ours.
 */
static void
test_params_row(const struct child_row *r, bool from_pairs)
{
	char *ours = must(strdup(r->want)), *path = strstr(ours, DEFAULT_PATH);
	struct buf pairs, out, got;
	struct vars vars = { .strings = NULL };
	struct list l;

	if (path != NULL)
		memmove(path, path + sizeof(DEFAULT_PATH) - 1,
		    strlen(path + sizeof(DEFAULT_PATH) - 1) + 1);
	list_make(r->vars, &l);
	buf_init(&pairs, 65536);
	buf_init(&out, 65536);
	buf_init(&got, 65536);
	strings_to_pairs(l.vars, &pairs);
	vars.pairs = buf_span(&pairs);
	if (!from_pairs)
		vars.strings = l.vars;
	ok(childenv_params(&vars, &r->change, &out) && join_pairs(&out, &got),
	    "%s: is made of %s, with the mark", r->name,
	    from_pairs ? "pairs" : "strings");
	is_span(buf_span(&got), ours, r->name);
	buf_free(&pairs);
	buf_free(&out);
	buf_free(&got);
	list_free(&l);
	free(ours);
}

/* A value is as far as a NUL what it is, as for a program. */
static void
test_params_nul(void)
{
	const struct childenv_change change = { .decision = NULL };
	struct vars vars = { .strings = NULL };
	struct buf pairs, out, got;

	buf_init(&pairs, 4096);
	buf_init(&out, 4096);
	buf_init(&got, 4096);
	wire_add_pair(&pairs, SPAN("A"), SPAN("\0left out"));
	wire_add_pair(&pairs, SPAN("B"), SPAN("b\0left out"));
	wire_add_pair(&pairs, SPAN("PATH"), SPAN("\0left out"));
	wire_add_pair(&pairs, SPAN("A"), SPAN("a"));
	vars.pairs = buf_span(&pairs);
	ok(childenv_params(&vars, &change, &out) && join_pairs(&out, &got),
	    "values with a NUL");
	is_span(buf_span(&got), "A=a\nB=b\n", "… end there");
	buf_free(&pairs);
	buf_free(&out);
	buf_free(&got);
}

/* Read in more rounds than strings, so that colliding names cost little. */
static void
test_params_many(bool collide)
{
	const struct childenv_change change = { .decision = NULL };
	struct vars vars = { .strings = NULL };
	struct buf pairs, out;
	struct span rest;
	struct field pair;
	size_t n = 0;

	buf_init(&pairs, 1 << 20);
	buf_init(&out, 1 << 20);
	many_make(many_text, many_vars, collide);
	strings_to_pairs(many_vars, &pairs);
	vars.pairs = buf_span(&pairs);
	ok(childenv_params(&vars, &change, &out), "%u pairs%s", MANY,
	    collide ? " that collide" : "");
	rest = buf_span(&out);
	while (wire_pair(&rest, &pair))
		n++;
	ok(n == MANY + 1, "… are as many, and the mark");
	buf_free(&pairs);
	buf_free(&out);
}

static void
test_child_limits(void)
{
	struct childenv_change change = { .content_length = SPAN("1\0A=2") };
	struct childenv child;
	char *none[] = { NULL };
	size_t n = 0;

	ok(!childenv_make(none, &change, &child) && child.vars == NULL,
	    "no value makes two variables");
	change.content_length = (struct span){ NULL, 0 };
	many_make(many_text, many_vars, true);
	ok(!childenv_make(many_vars, &change, &child),
	    "names that collide make no list");
	childenv_free(&child);
	many_make(many_text, many_vars, false);
	ok(childenv_make(many_vars, &change, &child), "6000 variables");
	while (child.vars != NULL && child.vars[n] != NULL)
		n++;
	ok(n == MANY + 2, "6000 variables, PATH and the mark");
	childenv_free(&child);
	childenv_free(&child);
	childenv_free(NULL);
}

/* A front that starts a front sees the mark (E20). */
static void
test_loop(void)
{
	struct childenv_change change = { 0 };
	struct childenv child;
	struct cgienv e;
	char method[] = "REQUEST_METHOD=GET", *vars[] = { method, NULL };

	ok(cgienv_read(vars, &e) == REASON_OK && !e.loop, "no mark at first");
	if (ok(childenv_make(vars, &change, &child), "a child"))
		ok(cgienv_read(child.vars, &e) == REASON_OK && e.loop,
		    "its child knows");
	childenv_free(&child);
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		test_row(&rows[i]);
	test_get();
	test_many();
	for (size_t i = 0; i < sizeof(child_rows) / sizeof(*child_rows); i++) {
		test_child_row(&child_rows[i]);
		if (child_rows[i].change.own != NULL)
			continue;
		test_params_row(&child_rows[i], false);
		test_params_row(&child_rows[i], true);
	}
	test_params_nul();
	test_params_many(false);
	test_params_many(true);
	test_child_limits();
	test_loop();
	return tap_done();
}
