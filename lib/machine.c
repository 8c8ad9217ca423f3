#include "machine.h"

#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "asuser.h"
#include "cdblist.h"
#include "io.h"
#include "machine_exec.h"

/* What to say where the answer to a question is no. */
struct ask {
	enum remark_kind kind;
	enum fault code;
	struct remark_at at;
	const char *key;
	const char *expected;
};

struct machine {
	struct remark *r;
	const struct conf *c;
	const struct machine_options *o;
	struct asuser_question *question;
	struct ask *ask; /* of each question */
	size_t n, room;
	bool failed;
};

/* --- questions that are asked as the user that will run */

static bool
make_room(struct machine *m)
{
	size_t room = m->room == 0 ? 64 : 2 * m->room;
	struct asuser_question *question;
	struct ask *ask;

	if (m->n < m->room)
		return true;
	question = realloc(m->question, room * sizeof(*question));
	if (question == NULL)
		return false;
	m->question = question;
	ask = realloc(m->ask, room * sizeof(*ask));
	if (ask == NULL)
		return false;
	m->ask = ask;
	m->room = room;
	return true;
}

static bool
is_asked(const struct machine *m, enum asuser_what what, const char *path)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->question[i].what == what &&
		    strcmp(m->question[i].path, path) == 0)
			return true;
	return false;
}

static void
put_question(struct machine *m, enum asuser_what what, const char *path,
    const struct ask *ask)
{
	if (is_asked(m, what, path))
		return;
	if (!make_room(m)) {
		m->failed = true;
		return;
	}
	m->question[m->n] =
	    (struct asuser_question){ .what = what, .path = path };
	m->ask[m->n++] = *ask;
}

static struct remark_at
at_key(const struct machine *m, size_t endpoint, const char *key)
{
	struct conf_written w;

	if (conf_written(m->c, endpoint, key, &w))
		return (struct remark_at){ NULL, w.at };
	if (endpoint == CONF_OF_SERVER)
		return (struct remark_at){ 0 };
	return (struct remark_at){ NULL, conf_place(m->c, endpoint) };
}

/*
 * A server with `user` begins as root and reads everything before it gives that
 * up; what its user cannot do shows at the first reload.  A CGI program never
 * is anybody else, nor is a server that something else starts as its user.
 */
static bool
reads_as_root(const struct machine *m)
{
	return m->o->use == CONF_FOR_SERVER && m->o->user == NULL;
}

/* --- files */

static void
ask_of_files(struct machine *m)
{
	const struct conf_file *first = conf_files(m->c);
	bool root = reads_as_root(m);

	for (const struct conf_file *f = first; f != NULL; f = f->next) {
		const struct ask ask = { .kind = root ? REMARK_WARNING :
							REMARK_ERROR,
			.code = FAULT_NO_ACCESS,
			.at = { .file = f->name },
			.expected = root ?
			    "let that user read it, or reloads will fail: "
			    "chgrp and chmod g+r" :
			    "let that user read it: chgrp and chmod g+r" };

		if (f->stamp.there)
			put_question(m, ASUSER_READ, f->name, &ask);
	}
}

static void
check_file(struct machine *m, const struct conf_file *f, bool policy)
{
	struct remark_at at = { .file = f->name };

	/* the mode of the policy file is conf's affair */
	if (policy)
		machine_exec_parents(m->r, at, NULL, f->name);
	else
		machine_exec_writable(m->r, at, NULL, f->name);
}

static bool
is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec :
					a->tv_nsec > b->tv_nsec;
}

/* Was the text list changed since?  One from standard input is its own. */
static void
check_text(struct machine *m, const struct conf_file *f, const char *name,
    bool fold)
{
	struct stamp text = stamp_path(name);
	char hint[2 * PATH_MAX + 64];

	if (!text.there || !is_later(&text.mtime, &f->stamp.mtime))
		return;
	snprintf(hint, sizeof(hint), "amp-cors compile%s %s %s",
	    fold ? "" : " --local-part-case=sensitive", name, f->name);
	remark_say(m->r, REMARK_WARNING, FAULT_LIST_OUTDATED,
	    (struct remark_at){ .file = f->name }, hint,
	    "%s was changed after %s was compiled", name, f->name);
}

/* A list that is no compiled one opens in neither way. */
static void
check_list(struct machine *m, const struct conf_file *f)
{
	static const bool folds[] = { true, false };
	struct cdblist_fault fault;

	for (int i = 0; i < 2; i++) {
		struct cdblist *list =
		    cdblist_open(f->name, folds[i], false, &fault);

		if (list != NULL)
			check_text(m, f, cdblist_text(list), folds[i]);
		cdblist_free(list);
	}
}

static void
check_files(struct machine *m)
{
	const struct conf_file *first = conf_files(m->c);

	for (const struct conf_file *f = first; f != NULL; f = f->next) {
		check_file(m, f, f == first);
		if (f != first)
			check_list(m, f);
	}
	ask_of_files(m);
}

/* --- what the server writes */

/* Is the directory of this file there?  Its path is in dir. */
static bool
has_directory(const char *path, char dir[PATH_MAX])
{
	struct stat st;
	char *slash;

	if (strlen(path) >= PATH_MAX)
		return false;
	slash = strrchr(strcpy(dir, path), '/');
	slash[slash == dir] = '\0';
	return stat(dir, &st) == 0 && S_ISDIR(st.st_mode);
}

static void
check_written(struct machine *m, const char *key, const char *path,
    enum asuser_what what)
{
	const struct ask ask = { .kind = REMARK_WARNING,
		.code = FAULT_NO_ACCESS,
		.at = at_key(m, CONF_OF_SERVER, key),
		.key = key,
		.expected = "let that user write there" };
	char dir[PATH_MAX] = "";

	if (has_directory(path, dir))
		put_question(m, what, path, &ask);
	else
		remark_say(m->r, REMARK_WARNING, FAULT_NO_DIRECTORY, ask.at,
		    "make it, unless whatever starts the server does",
		    "%s = %s: there is no directory %s", key, path, dir);
}

static void
check_server(struct machine *m)
{
	const struct conf_server *s = conf_server(m->c);

	if (s->log != NULL && *s->log == '/')
		check_written(m, "log", s->log, ASUSER_WRITE);
	if (m->o->use != CONF_FOR_SERVER)
		return;
	if (s->metrics_file != NULL)
		check_written(m, "metrics", s->metrics_file, ASUSER_REPLACE);
}

/* --- handlers */

static void
check_program(struct machine *m, size_t i, const char *program)
{
	const struct ask ask = { .kind = REMARK_ERROR,
		.code = FAULT_BAD_HANDLER,
		.at = at_key(m, i, "exec"),
		.key = "exec",
		.expected = "let that user execute it" };

	if (!is_asked(m, ASUSER_EXECUTE, program) &&
	    machine_exec(m->r, ask.at, program))
		put_question(m, ASUSER_EXECUTE, program, &ask);
}

static void
check_scripts(struct machine *m, size_t i, const char *dir)
{
	const struct ask ask = { .kind = REMARK_ERROR,
		.code = FAULT_NO_ACCESS,
		.at = at_key(m, i, "scripts"),
		.key = "scripts",
		.expected = "let that user enter it" };

	machine_exec_writable(m->r, ask.at, "scripts", dir);
	put_question(m, ASUSER_EXECUTE, dir, &ask);
}

/* It may be started later on. */
static void
check_forward(struct machine *m, size_t i, const char *address)
{
	const struct ask ask = { .kind = REMARK_WARNING,
		.code = FAULT_BACKEND_REFUSED,
		.at = at_key(m, i, "forward"),
		.key = "forward",
		.expected = "start that server, let the user in, or name "
			    "another one" };

	put_question(m, ASUSER_CONNECT, address, &ask);
}

/* The command line may name one, where a server is started. */
static void
check_none(struct machine *m, size_t i)
{
	if (m->o->use == CONF_FOR_SERVER && !m->o->handler)
		remark_say(m->r, REMARK_WARNING, FAULT_NO_HANDLER,
		    (struct remark_at){ NULL, conf_place(m->c, i) },
		    "set exec, forward, scripts or handler = none, or name a "
		    "program on the command line",
		    "no handler");
}

static void
check_endpoint(struct machine *m, size_t i, const struct conf_endpoint *e)
{
	if (e->handler == CONF_HANDLER_EXEC && e->exec != NULL)
		check_program(m, i, e->exec);
	else if (e->handler == CONF_HANDLER_SCRIPTS && e->scripts != NULL)
		check_scripts(m, i, e->scripts);
	else if (e->handler == CONF_HANDLER_FORWARD && e->forward != NULL)
		check_forward(m, i, e->forward);
	else if (e->handler == CONF_HANDLER_UNSET)
		check_none(m, i);
}

static void
check_endpoints(struct machine *m)
{
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(m->c, &ep);

	for (size_t i = 0; i < n; i++)
		check_endpoint(m, i, &ep[i]);
}

/* --- who asks */

/* False where nobody knows who that is; conf has said so. */
static bool
find_user(const struct machine *m, struct asuser *u)
{
	const struct conf_server *s = conf_server(m->c);
	bool server = m->o->use == CONF_FOR_SERVER && m->o->user == NULL;

	*u = (struct asuser){ .uid = geteuid(), .gid = getegid() };
	if (m->o->user != NULL)
		u->name = m->o->user;
	else if (server)
		u->name = s->user;
	if (u->name != NULL && !io_user(u->name, &u->uid, &u->gid))
		return false;
	return !server || s->group == NULL || io_group(s->group, &u->gid);
}

static void
tell(const struct machine *m, size_t i, const struct asuser *u)
{
	const struct asuser_question *q = &m->question[i];
	const struct ask *ask = &m->ask[i];
	char what[512] = "";

	if (ask->key != NULL)
		snprintf(what, sizeof(what), "%s = %s: ", ask->key, q->path);
	remark_say(m->r, ask->kind, ask->code, ask->at, ask->expected,
	    "%s%s for %s%s", what, q->fault,
	    u->name == NULL ? "this user" : "user ",
	    u->name == NULL ? "" : u->name);
}

static void
ask_all(struct machine *m)
{
	struct asuser u;

	if (!find_user(m, &u) || m->n == 0)
		return;
	if (!asuser_can(&u)) {
		remark_say(m->r, REMARK_NOTE, FAULT_NOT_CHECKED,
		    (struct remark_at){ 0 },
		    "run this as root, or as that user",
		    "what user %s may do cannot be told: only root can try",
		    u.name);
		return;
	}
	if (!asuser_ask(&u, m->question, m->n)) {
		remark_say(m->r, REMARK_NOTE, FAULT_NOT_CHECKED,
		    (struct remark_at){ 0 }, "run this as that user",
		    "what user %s may do cannot be told: %s", u.name,
		    strerror(errno));
		return;
	}
	for (size_t i = 0; i < m->n; i++)
		if (m->question[i].fault[0] != '\0')
			tell(m, i, &u);
}

void
machine_check(struct remark *r, const struct conf *c,
    const struct machine_options *o)
{
	struct machine m = { .r = r, .c = c, .o = o };

	check_files(&m);
	check_server(&m);
	check_endpoints(&m);
	ask_all(&m);
	if (m.failed)
		remark_say(r, REMARK_ERROR, FAULT_NO_MEMORY,
		    (struct remark_at){ 0 }, "", "out of memory");
	free(m.question);
	free(m.ask);
}
