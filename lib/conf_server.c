#include "conf_server.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "conf_sections.h"
#include "io.h"

const struct conf_server conf_server_defaults = {
	.socket_mode = 0660,
	.threads = 16,
	.queue = 64,
	.queue_timeout = 10,
	.head_timeout = 10,
	.stop_grace = 30,
	.log = "stderr",
	.log_format = LOGLINE_TEXT,
	.log_level = LOG_INFO,
	.log_senders = LOGLINE_FULL,
	.reload_interval = 5,
};

static bool
is_address(struct span word)
{
	bool six = memchr(word.p, ':', word.n) != NULL;
	char text[128]; /* more than the longest word of CONF_WORD */

	snprintf(text, sizeof(text), six ? "[%.*s]:1" : "%.*s:1",
	    CONF_WORD(word));
	return conf_keys_listen(span_of(text)) != CONF_LISTEN_BAD;
}

/* Who a word of `peers` is, if it can be anybody. */
static bool
is_peer(const struct conf_loading *l, struct span word, bool users,
    bool addresses)
{
	char name[128]; /* no name of a user is longer */
	uid_t uid;
	gid_t gid;

	if (is_address(word))
		return addresses;
	if (!users || l->reader.use != CONF_FOR_SERVER)
		return users;
	snprintf(name, sizeof(name), "%.*s", CONF_WORD(word));
	return io_user(name, &uid, &gid);
}

/* Users for a Unix socket, addresses for TCP; either, where nobody knows. */
static void
check_peers(struct conf_loading *l, const struct conf_entry *e, bool users,
    bool addresses)
{
	const char *of = "any socket";
	const char *expected = "write users that there are, or addresses such "
			       "as 192.0.2.1";
	struct span rest = e->value, word;

	if (!addresses) {
		of = "a Unix socket";
		expected = "write users that there are, by name or number";
	} else if (!users) {
		of = "a TCP socket";
		expected = "write addresses, such as 192.0.2.1 or 2001:db8::1";
	}
	while (span_word(&rest, &word))
		if (!is_peer(l, word, users, addresses))
			conf_faults_error(&l->faults, FAULT_BAD_PEER, NULL,
			    conf_keys_at(e, word), expected,
			    "'%.*s' is no peer of %s", CONF_WORD(word), of);
}

/* The front as the server behind itself. */
static void
check_forward_loop(struct conf_loading *l, const struct conf_entry *listen)
{
	for (size_t i = 0; listen != NULL && i < l->conf->n; i++) {
		const struct conf_endpoint *e = &l->conf->endpoint[i];

		if (e->handler != CONF_HANDLER_FORWARD ||
		    !span_eq(listen->value, span_of(e->forward)))
			continue;
		conf_faults_error(&l->faults, FAULT_FORWARD_LOOP, NULL,
		    listen->value_at,
		    "listen elsewhere, or forward to another server",
		    "forward of %s leads back to '%.*s'",
		    e->name[0] == '-' ? "[policy]" : e->name,
		    CONF_WORD(listen->value));
	}
}

/* It would be two things at once. */
static void
check_metrics(struct conf_loading *l, const struct conf_draft *d)
{
	const char *path = d->server.metrics_path;
	const struct conf_entry *e = d->from[conf_keys_find(SPAN("metrics"))];

	for (size_t i = 0; path != NULL && i < l->conf->n; i++) {
		const struct conf_endpoint *ep = &l->conf->endpoint[i];

		if (ep->path != NULL && strcmp(ep->path, path) == 0)
			conf_faults_error(&l->faults, FAULT_SAME_PATH, NULL,
			    e->value_at, "give it a path of its own",
			    "metrics = url:%.80s is the path of endpoint '%s'",
			    path, ep->name);
	}
}

/* Nobody can do both: programs inherit what the front has given up. */
static void
check_sandbox(struct conf_loading *l, const struct conf_draft *d)
{
	const struct conf_entry *e = d->from[conf_keys_find(SPAN("sandbox"))];

	if (d->server.sandbox != CONF_SANDBOX_ON ||
	    l->reader.use == CONF_FOR_CGI)
		return;
	for (size_t i = 0; i < l->conf->n; i++) {
		const struct conf_endpoint *ep = &l->conf->endpoint[i];

		if (ep->handler != CONF_HANDLER_EXEC &&
		    ep->handler != CONF_HANDLER_SCRIPTS)
			continue;
		conf_faults_error(&l->faults, FAULT_SANDBOX, NULL, e->value_at,
		    "write auto, or let every endpoint forward",
		    "%s%.80s runs programs, which a sandbox forbids",
		    ep->name[0] == '-' ? "the policy" : "endpoint ",
		    ep->name[0] == '-' ? "" : ep->name);
		return;
	}
}

static void
finish_server(struct conf_loading *l, const struct conf_draft *d)
{
	const struct conf_entry *listen = d->from[CONF_KEY_LISTEN];
	const struct conf_entry *peers = d->from[CONF_KEY_PEERS];
	enum conf_listen kind =
	    conf_keys_listen(listen == NULL ? SPAN("") : listen->value);

	if (listen != NULL && kind == CONF_LISTEN_WORLD &&
	    d->server.npeers == 0)
		conf_faults_error(&l->faults, FAULT_OPEN_TO_ALL, NULL,
		    listen->value_at,
		    "name the web servers' addresses in peers, or listen on "
		    "127.0.0.1 or a Unix socket",
		    "anybody could connect to '%.*s'",
		    CONF_WORD(listen->value));
	check_forward_loop(l, listen);
	check_metrics(l, d);
	check_sandbox(l, d);
	if (peers == NULL || kind == CONF_LISTEN_BAD)
		return;
	check_peers(l, peers,
	    kind == CONF_LISTEN_UNIX || kind == CONF_LISTEN_NONE,
	    kind != CONF_LISTEN_UNIX);
}

void
conf_server_read(struct conf_loading *l)
{
	const struct conf_section *s =
	    conf_sections_find(l, CONF_IN_SERVER, SPAN(""));
	struct conf_draft draft = { .server = conf_server_defaults };
	struct conf_text *text = &l->conf->server_text;

	if (s != NULL) {
		conf_sections_apply(l, s, &draft);
		finish_server(l, &draft);
		text->at = s->at;
	}
	memcpy(text->from, draft.from, sizeof(text->from));
	l->conf->server = draft.server;
}
