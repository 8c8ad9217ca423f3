/*
 * conf: a file is loaded without an error, or refused with at least one whose
 * place is in the file; what is loaded is whole.
 */
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf.h"
#include "io.h"

struct seen {
	const char *file;
	unsigned lines, errors, in_file;
};

static void
on_report(void *ctx, const struct conf_fault *f)
{
	struct seen *seen = ctx;

	FUZZ_HOLDS(f->text[0] != '\0' && f->expected[0] != '\0');
	for (const char *p = f->text; *p != '\0'; p++)
		FUZZ_HOLDS((unsigned char)*p >= ' ' && *p != 0x7f);
	seen->errors += !f->warning;
	if (strcmp(f->file, seen->file) != 0)
		return;
	seen->in_file += !f->warning;
	FUZZ_HOLDS(f->at.line <= seen->lines);
	FUZZ_HOLDS((f->at.line == 0) == (f->at.column == 0));
}

static void
check_field(struct span s)
{
	FUZZ_HOLDS(s.p != NULL);
	for (size_t i = 0; i < s.n; i++)
		FUZZ_HOLDS((unsigned char)s.p[i] >= ' ' && s.p[i] != '*' &&
		    (unsigned char)s.p[i] < 0x7f);
}

/* One that can be connected to. */
static void
check_address(const char *text)
{
	struct io_address a;

	FUZZ_HOLDS(io_address(text, &a));
	if (a.to.any.sa_family == AF_INET6)
		FUZZ_HOLDS(a.to.in6.sin6_port != 0);
	else if (a.to.any.sa_family != AF_UNIX)
		FUZZ_HOLDS(((struct sockaddr_in *)&a.to.any)->sin_port != 0);
}

/* Found by its path, and by that path as a client may write it. */
static void
check_found(const struct conf *c, const struct conf_endpoint *e,
    struct span tail)
{
	struct conf_asked asked = {
		.script = { .head = span_of(e->path), .tail = tail },
		.uri = { .encoded = true },
		.authorizer = true,
	};
	size_t n = strlen(e->path);
	char *uri = malloc(3 * n + 2), *to = uri;

	FUZZ_HOLDS(uri != NULL);
	FUZZ_HOLDS(conf_endpoint(c, &asked) == e);
	for (size_t i = 0; i < n; i++)
		to += sprintf(to, i == 0 ? "%c" : "%%%02x",
		    (unsigned char)e->path[i]);
	*to++ = '/';
	asked.script.tail = SPAN("/..");
	asked.uri.head = (struct span){ uri, (size_t)(to - uri) };
	FUZZ_HOLDS(conf_endpoint(c, &asked) == e);
	free(uri);
}

static void
check_handler(const struct conf_endpoint *e)
{
	switch (e->handler) {
	case CONF_HANDLER_EXEC:
		FUZZ_HOLDS(e->exec != NULL && e->exec[0] == '/');
		break;
	case CONF_HANDLER_SCRIPTS:
		FUZZ_HOLDS(e->scripts != NULL && e->scripts[0] == '/');
		break;
	case CONF_HANDLER_FORWARD:
		FUZZ_HOLDS(e->forward != NULL);
		check_address(e->forward);
		break;
	case CONF_HANDLER_NONE:
	case CONF_HANDLER_UNSET:
		break;
	}
	FUZZ_HOLDS(e->forward_keep <= 1024);
}

static void
check_endpoint(const struct conf *c, const struct conf_endpoint *e)
{
	const struct policy *p = &e->policy;

	check_found(c, e, SPAN(""));
	check_found(c, e, SPAN("/"));
	check_handler(e);
	FUZZ_HOLDS(p->versions >= 1 && p->versions <= 3);
	FUZZ_HOLDS(p->allow_methods.n > 0 && p->max_age.n > 0);
	check_field(p->allow_methods);
	check_field(p->allow_headers);
	check_field(p->max_age);
	check_field(p->expose);
	check_field(p->expose_v1);
	for (size_t i = 0; i < p->norigins; i++)
		FUZZ_HOLDS(origin_rule_valid(p->origins[i]));
	for (size_t i = 0; i < p->nbrowser_origins; i++)
		FUZZ_HOLDS(origin_rule_valid(p->browser_origins[i]));
	FUZZ_HOLDS(e->limits.timeout >= 1 && e->limits.max_header >= 1024);
	FUZZ_HOLDS(e->environment != NULL);
}

static void
check_loaded(const struct conf *c)
{
	const struct conf_server *s = conf_server(c);
	const struct conf_endpoint *e;
	size_t n = conf_endpoints(c, &e);
	struct conf_asked asked = { 0 };

	FUZZ_HOLDS(n >= 1);
	for (size_t i = 0; i < n; i++)
		check_endpoint(c, &e[i]);
	asked.script.head = SPAN("/..");
	FUZZ_HOLDS(conf_endpoint(c, &asked) == NULL);
	FUZZ_HOLDS(s->threads >= 1 && s->log != NULL);
}

static enum conf_result
load(const char *path, enum conf_use use, unsigned lines)
{
	struct seen seen = { .file = path, .lines = lines };
	struct conf *c = NULL;
	enum conf_result r = conf_load(path, use, on_report, &seen, &c);

	FUZZ_HOLDS((r == CONF_OK) == (seen.errors == 0));
	FUZZ_HOLDS((r == CONF_OK) == (c != NULL));
	FUZZ_HOLDS((r == CONF_BAD) == (seen.in_file > 0));
	if (c != NULL)
		check_loaded(c);
	conf_free(c);
	return r;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	unsigned lines = 1;
	char path[64];

	FUZZ_HOLDS(fd != -1);
	FUZZ_HOLDS(write(fd, data, size) == (ssize_t)size);
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	/* what a server takes, plain CGI takes too */
	if (load(path, CONF_FOR_SERVER, lines) == CONF_OK)
		FUZZ_HOLDS(load(path, CONF_FOR_CGI, lines) == CONF_OK);
	else
		load(path, CONF_FOR_CGI, lines);
	close(fd);
	return 0;
}
