#include "sandbox.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox_calls.h"

/*
 * Landlock's words, as linux/landlock.h of a kernel that knows all of them has
 * them: what a kernel knows is asked of itself, and older headers lack some.
 */
enum { ASK_VERSION = 1, RULE_PATH = 1, RULE_PORT = 2 };

enum {
	EXECUTE = 1 << 0,
	WRITE_FILE = 1 << 1,
	READ_FILE = 1 << 2,
	READ_DIR = 1 << 3,
	REMOVE_FILE = 1 << 5,
	MAKE_REG = 1 << 8,
	TRUNCATE = 1 << 14,
	IOCTL_DEV = 1 << 15,
	OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
};

enum { BIND_TCP = 1 << 0, CONNECT_TCP = 1 << 1 };

enum { SCOPE_ABSTRACT_UNIX = 1 << 0, SCOPE_SIGNAL = 1 << 1 };

struct ruleset {
	uint64_t files, ports, scopes;
};

struct path_rule {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));

struct port_rule {
	uint64_t access, port;
};

/* What there was to be known, by ABI: all files' rights up to that one. */
static const struct {
	uint64_t files, ports, scopes;
	size_t size;
} known[] = {
	{ (1 << 13) - 1, 0, 0, 8 },
	{ (1 << 14) - 1, 0, 0, 8 },
	{ (1 << 15) - 1, 0, 0, 8 },
	{ (1 << 15) - 1, BIND_TCP | CONNECT_TCP, 0, 16 },
	{ (1 << 16) - 1, BIND_TCP | CONNECT_TCP, 0, 16 },
	{ (1 << 16) - 1, BIND_TCP | CONNECT_TCP,
	    SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL, 24 },
};

enum { KNOWN = sizeof(known) / sizeof(known[0]), WITH_PORTS = 4 };

static const uint64_t rights[] = {
	[SANDBOX_READ] = READ_FILE,
	[SANDBOX_READ_BELOW] = READ_FILE | READ_DIR,
	[SANDBOX_APPEND] = WRITE_FILE | MAKE_REG,
	[SANDBOX_REPLACE] = READ_FILE | WRITE_FILE | MAKE_REG | REMOVE_FILE,
	[SANDBOX_REMOVE] = REMOVE_FILE,
	[SANDBOX_SCRATCH] = READ_FILE | WRITE_FILE | MAKE_REG | REMOVE_FILE,
};

/* A directory, or a file, that may be read. */
struct place {
	struct place *next;
	dev_t dev;
	ino_t ino;
};

struct port {
	struct port *next;
	uint16_t number;
};

struct sandbox {
	int ruleset; /* -1: the kernel has none */
	int abi;
	const char *fault; /* why */
	bool failed;       /* memory was out */
	struct sandbox_holds holds;
	struct place *places;
	struct port *ports;
};

static int
create(struct sandbox *s)
{
	struct ruleset r;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION);
	size_t i;

	if (abi < 1)
		return -1;
	s->abi = (int)abi;
	i = (size_t)(abi < KNOWN ? abi : KNOWN) - 1;
	r = (struct ruleset){ known[i].files, known[i].ports, known[i].scopes };
	return (int)syscall(SYS_landlock_create_ruleset, &r, known[i].size, 0);
}

struct sandbox *
sandbox_new(void)
{
	struct sandbox *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->ruleset = create(s);
	if (s->ruleset == -1)
		s->fault = strerror(errno);
	return s;
}

static void
note_place(struct sandbox *s, const struct stat *st)
{
	struct place *p = malloc(sizeof(*p));

	s->failed |= p == NULL;
	if (p == NULL)
		return;
	*p = (struct place){ s->places, st->st_dev, st->st_ino };
	s->places = p;
}

static bool
is_root(const struct stat *st)
{
	struct stat root;

	return stat("/", &root) == 0 && root.st_dev == st->st_dev &&
	    root.st_ino == st->st_ino;
}

/* False where it is not to be done: "/" would be everything. */
static bool
add_rule(struct sandbox *s, const char *path, uint64_t access)
{
	struct path_rule rule = { .access = access,
		.fd = open(path, O_PATH | O_CLOEXEC) };
	struct stat st;
	bool good = rule.fd != -1 && fstat(rule.fd, &st) == 0 && !is_root(&st);

	if (good && !S_ISDIR(st.st_mode))
		rule.access &= OF_FILES;
	good = good &&
	    syscall(SYS_landlock_add_rule, s->ruleset, RULE_PATH, &rule, 0) ==
		0;
	if (rule.fd != -1)
		close(rule.fd);
	if (good && (access & READ_FILE) != 0)
		note_place(s, &st);
	return good;
}

/* The directory that a name is in; false: its name is too long. */
static bool
folder_of(const char *path, char folder[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path) + 1;

	if (n >= PATH_MAX)
		return false;
	memcpy(folder, n == 0 ? "." : path, n == 0 ? 1 : n);
	folder[n == 0 ? 1 : n] = '\0';
	return true;
}

static void
allow_beside(struct sandbox *s, const char *path, uint64_t access)
{
	char folder[PATH_MAX];

	if (folder_of(path, folder) && !add_rule(s, folder, access))
		add_rule(s, path, access);
}

void
sandbox_allow(struct sandbox *s, const char *path, enum sandbox_use use)
{
	char real[PATH_MAX];

	if (s->ruleset == -1)
		return;
	if (use == SANDBOX_SCRATCH || use == SANDBOX_READ_BELOW) {
		add_rule(s, path, rights[use]);
		return;
	}
	allow_beside(s, path, rights[use]);
	if (realpath(path, real) != NULL)
		allow_beside(s, real, rights[use]);
}

static bool
has_port(const struct sandbox *s, uint16_t port)
{
	const struct port *p = s->ports;

	while (p != NULL && p->number != port)
		p = p->next;
	return p != NULL;
}

void
sandbox_allow_port(struct sandbox *s, uint16_t port)
{
	const struct port_rule rule = { CONNECT_TCP, port };
	struct port *p;

	if (has_port(s, port))
		return;
	p = malloc(sizeof(*p));
	s->failed |= p == NULL;
	if (p == NULL)
		return;
	*p = (struct port){ s->ports, port };
	s->ports = p;
	/* an older kernel refuses this, and keeps nobody from any port */
	syscall(SYS_landlock_add_rule, s->ruleset, RULE_PORT, &rule, 0);
}

static const char *
restrict_self(const struct sandbox *s)
{
	if (s->ruleset == -1)
		return s->fault;
	return syscall(SYS_landlock_restrict_self, s->ruleset, 0) == 0 ?
	    NULL :
	    strerror(errno);
}

bool
sandbox_enter(struct sandbox *s, struct sandbox_holds *out)
{
	if (s->failed) {
		errno = ENOMEM;
		return false;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return false;
	if (SANDBOX_CALLS_WATCHED)
		sandbox_allow(s, "/proc", SANDBOX_READ_BELOW);
	out->landlock_fault = restrict_self(s);
	out->landlock = out->landlock_fault == NULL ? s->abi : 0;
	out->seccomp_fault = sandbox_calls_keep(s->ports != NULL);
	out->seccomp = out->seccomp_fault == NULL;
	s->holds = *out;
	return true;
}

static bool
has_place(const struct sandbox *s, const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return false;
	for (const struct place *p = s->places; p != NULL; p = p->next)
		if (p->dev == st.st_dev && p->ino == st.st_ino)
			return true;
	return false;
}

bool
sandbox_may_read(const struct sandbox *s, const char *path)
{
	char real[PATH_MAX];

	if (s->holds.landlock == 0 || realpath(path, real) == NULL)
		return true;
	while (!has_place(s, real)) {
		char *slash = strrchr(real, '/');

		if (slash == NULL || slash == real)
			return false;
		*slash = '\0';
	}
	return true;
}

bool
sandbox_may_connect(const struct sandbox *s, uint16_t port)
{
	if (has_port(s, port))
		return true;
	return s->holds.landlock < WITH_PORTS &&
	    (!s->holds.seccomp || s->ports != NULL);
}

void
sandbox_free(struct sandbox *s)
{
	struct place *place;
	struct port *port;

	if (s == NULL)
		return;
	while ((place = s->places) != NULL) {
		s->places = place->next;
		free(place);
	}
	while ((port = s->ports) != NULL) {
		s->ports = port->next;
		free(port);
	}
	if (s->ruleset != -1)
		close(s->ruleset);
	free(s);
}
