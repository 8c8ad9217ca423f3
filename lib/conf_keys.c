#include "conf_keys.h"

#include "conf_set.h"

#define ENDPOINT(member) offsetof(struct conf_draft, endpoint.member)
#define SERVER(member) offsetof(struct conf_draft, server.member)

#define DAY 86400
#define HOUR 3600
#define KIB ((uint64_t)1 << 10)
#define GIB ((uint64_t)1 << 30)

/* clang-format would break each row at a different place */
/* clang-format off */
#define NUMBER(what, member, from, to) .set = conf_set_number, \
	.offset = (member), .min = (from), .max = (to), .word = { what, NULL }
#define SECONDS(member, from, to) NUMBER("whole seconds", member, from, to)
#define COUNT(member, from, to) NUMBER("a whole number", member, from, to)
#define SIZE(member, from, to) .set = conf_set_size, \
	.offset = (member), .min = (from), .max = (to)
#define CHOICE(member, no, yes) .set = conf_set_choice, \
	.offset = (member), .word = { no, yes }
#define ACCOUNT(what, member) .set = conf_set_account, \
	.offset = (member), .word = { what, NULL }
#define LIMIT(member) ENDPOINT(limits.member)

const struct conf_key conf_keys[] = {
	[CONF_KEY_PATH] = { "path", CONF_IN_ENDPOINT, "",
	    .set = conf_set_path },
	[CONF_KEY_SENDERS] = { "senders", CONF_IN_BOTH, "",
	    .set = conf_set_senders },
	[CONF_KEY_SENDERS_FILE] = { "senders_file", CONF_IN_BOTH, "",
	    .set = conf_set_senders_file },
	[CONF_KEY_SENDERS_CDB] = { "senders_cdb", CONF_IN_BOTH, "",
	    .set = conf_set_senders_file },
	[CONF_KEY_ORIGINS] = { "origins", CONF_IN_BOTH,
	    "https://mail.google.com", .set = conf_set_origins },
	[CONF_KEY_BROWSER_ORIGINS] = { "browser_origins", CONF_IN_BOTH, "",
	    .set = conf_set_browser_origins },
	[CONF_KEY_EXEC] = { "exec", CONF_IN_BOTH, "", .set = conf_set_exec },
	[CONF_KEY_SCRIPTS] = { "scripts", CONF_IN_BOTH, "",
	    .set = conf_set_scripts },
	[CONF_KEY_FORWARD] = { "forward", CONF_IN_BOTH, "",
	    .set = conf_set_forward },
	[CONF_KEY_HANDLER] = { "handler", CONF_IN_BOTH, "",
	    .set = conf_set_handler },
	[CONF_KEY_LISTEN] = { "listen", CONF_IN_SERVER, "",
	    .set = conf_set_listen },
	[CONF_KEY_PEERS] = { "peers", CONF_IN_SERVER, "",
	    .set = conf_set_peers },
	[CONF_KEY_OTHERS] =
	{ "playground", CONF_IN_BOTH, "no",
	    CHOICE(ENDPOINT(policy.playground), "no", "yes") },
	{ "versions", CONF_IN_BOTH, "2 1", .set = conf_set_versions },
	{ "credentials", CONF_IN_BOTH, "no",
	    CHOICE(ENDPOINT(policy.credentials), "no", "yes") },
	{ "methods", CONF_IN_BOTH, "GET POST", .set = conf_set_methods },
	{ "request_headers", CONF_IN_BOTH, "",
	    .set = conf_set_request_headers },
	{ "expose_headers", CONF_IN_BOTH, "", .set = conf_set_expose_headers },
	{ "preflight_max_age", CONF_IN_BOTH, "600", .set = conf_set_max_age,
	    .max = DAY, .word = { "whole seconds", NULL } },
	{ "local_part_case", CONF_IN_BOTH, "insensitive",
	    CHOICE(ENDPOINT(policy.fold_local), "sensitive", "insensitive") },
	{ "mode", CONF_IN_BOTH, "enforce",
	    CHOICE(ENDPOINT(policy.report), "enforce", "report") },
	{ "accept_risk", CONF_IN_BOTH, "", .set = conf_set_accept_risk },
	{ "exec_mode", CONF_IN_BOTH, "filter", .set = conf_set_exec_mode,
	    .word = { "filter", "replace" } },
	{ "forward_keep", CONF_IN_BOTH, "0",
	    COUNT(ENDPOINT(forward_keep), 0, 1024) },
	{ "redirects", CONF_IN_BOTH, "refuse",
	    CHOICE(ENDPOINT(pass_redirects), "refuse", "pass") },
	{ "timeout", CONF_IN_BOTH, "60", SECONDS(LIMIT(timeout), 1, DAY) },
	{ "time_limit", CONF_IN_BOTH, "0",
	    SECONDS(LIMIT(time_limit), 0, DAY) },
	{ "max_body", CONF_IN_BOTH, "0",
	    SIZE(LIMIT(max_body), 0, 1024 * GIB) },
	{ "spool_max", CONF_IN_BOTH, "16M",
	    SIZE(LIMIT(spool_max), 1, 1024 * GIB) },
	{ "max_header", CONF_IN_BOTH, "64K", .set = conf_set_max_header,
	    .min = KIB, .max = 1024 * KIB },
	{ "pass_authorization", CONF_IN_BOTH, "no",
	    CHOICE(ENDPOINT(pass_authorization), "no", "yes") },
	{ "environment", CONF_IN_BOTH, "", .set = conf_set_environment },
	{ "body_timeout", CONF_IN_BOTH, "60",
	    SECONDS(LIMIT(body_timeout), 1, DAY) },
	{ "send_timeout", CONF_IN_BOTH, "60",
	    SECONDS(LIMIT(send_timeout), 1, DAY) },
	{ "kill_grace", CONF_IN_BOTH, "5",
	    SECONDS(LIMIT(kill_grace), 0, HOUR) },
	{ "socket_mode", CONF_IN_SERVER, "0660", .set = conf_set_socket_mode },
	{ "socket_owner", CONF_IN_SERVER, "",
	    ACCOUNT("user", SERVER(socket_owner)) },
	{ "socket_group", CONF_IN_SERVER, "",
	    ACCOUNT("group", SERVER(socket_group)) },
	{ "threads", CONF_IN_SERVER, "16", COUNT(SERVER(threads), 1, 1024) },
	{ "queue", CONF_IN_SERVER, "64", COUNT(SERVER(queue), 0, 65536) },
	{ "queue_timeout", CONF_IN_SERVER, "10",
	    SECONDS(SERVER(queue_timeout), 1, HOUR) },
	{ "head_timeout", CONF_IN_SERVER, "10",
	    SECONDS(SERVER(head_timeout), 1, HOUR) },
	{ "idle_timeout", CONF_IN_SERVER, "0",
	    SECONDS(SERVER(idle_timeout), 0, DAY) },
	{ "stop_grace", CONF_IN_SERVER, "30",
	    SECONDS(SERVER(stop_grace), 0, DAY) },
	{ "user", CONF_IN_SERVER, "", ACCOUNT("user", SERVER(user)) },
	{ "group", CONF_IN_SERVER, "", ACCOUNT("group", SERVER(group)) },
	{ "log", CONF_IN_SERVER, "stderr", .set = conf_set_log },
	{ "log_format", CONF_IN_SERVER, "text", .set = conf_set_log_format,
	    .word = { "text", "json" } },
	{ "log_level", CONF_IN_SERVER, "info", .set = conf_set_log_level },
	{ "log_senders", CONF_IN_SERVER, "full", .set = conf_set_log_senders },
	{ "reload_interval", CONF_IN_SERVER, "5",
	    SECONDS(SERVER(reload_interval), 0, DAY) },
	{ "metrics", CONF_IN_SERVER, "off", .set = conf_set_metrics },
	{ "sandbox", CONF_IN_SERVER, "auto", .set = conf_set_sandbox },
};
/* clang-format on */

const size_t conf_keys_n = sizeof(conf_keys) / sizeof(conf_keys[0]);

_Static_assert(sizeof(conf_keys) / sizeof(conf_keys[0]) <= CONF_KEYS_MAX,
    "a draft has a place for every key");

size_t
conf_keys_find(struct span name)
{
	size_t i = 0;

	while (
	    i < conf_keys_n && !span_caseeq(name, span_of(conf_keys[i].name)))
		i++;
	return i;
}

static size_t
min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Optimal string alignment: the rows of the table that are still needed. */
size_t
conf_keys_distance(struct span a, struct span b)
{
	enum { MAX = 64 };
	size_t row[3][MAX + 1] = { { 0 } };

	if (a.n > MAX || b.n > MAX)
		return MAX;
	for (size_t j = 0; j <= b.n; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t *now = row[i % 3], *up = row[(i + 2) % 3];
		const size_t *upper = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			char x = span_lower(a.p[i - 1]);
			char y = span_lower(b.p[j - 1]);

			now[j] = min3(up[j] + 1, now[j - 1] + 1,
			    up[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == span_lower(b.p[j - 2]) &&
			    y == span_lower(a.p[i - 2]) &&
			    upper[j - 2] + 1 < now[j])
				now[j] = upper[j - 2] + 1;
		}
	}
	return row[a.n % 3][b.n];
}

const struct conf_key *
conf_keys_near(struct span name)
{
	const struct conf_key *near = NULL;
	/* one mistake in three letters; more is another word */
	size_t least = name.n / 3 + 1;

	for (size_t i = 0; i < conf_keys_n; i++) {
		struct span known = span_of(conf_keys[i].name);
		size_t far = conf_keys_distance(name, known);

		if (far < least) {
			least = far;
			near = &conf_keys[i];
		}
	}
	return near;
}

void
conf_keys_defaults(struct conf_reader *r, unsigned where, struct conf_draft *d)
{
	for (size_t i = 0; i < conf_keys_n; i++) {
		const struct conf_key *k = &conf_keys[i];
		struct conf_entry e = { .key = span_of(k->name),
			.value = span_of(k->fallback) };

		if ((k->where & where) != 0)
			k->set(r, k, &e, d);
	}
}

struct scan_place
conf_keys_at(const struct conf_entry *e, struct span word)
{
	struct scan_place at = e->value_at;

	at.column += word.n == 0 ? 0 : (unsigned)(word.p - e->value.p);
	return at;
}
