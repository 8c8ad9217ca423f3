#include "io.h"

#include <sys/stat.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "users.h"

int64_t
io_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int
io_wait(int fd, short events, int64_t until)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = until - io_now();
		int n;

		left = left < 0 ? 0 : left > INT_MAX ? INT_MAX : left;
		n = poll(&p, 1, (int)left);
		if (n > 0)
			return p.revents;
		if (n == 0 || errno != EINTR)
			return n;
	}
}

int
io_hold_std(void)
{
	struct pollfd p[] = { { .fd = 0 }, { .fd = 1 }, { .fd = 2 } };
	int closed = 0;

	/* the rule, and a CGI program pays for each call */
	if (poll(p, 3, 0) == -1)
		return -1;
	for (int i = 0; i < 3; i++)
		closed += (p[i].revents & POLLNVAL) != 0;
	/* each takes the lowest number that is free */
	for (int i = 0; i < closed; i++)
		if (open("/dev/null", O_RDWR) == -1)
			return -1;
	return 0;
}

bool
io_is_listening(int fd)
{
	int on = 0;
	socklen_t n = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on;
}

int
io_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags == -1 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static bool
number(const char *s, unsigned *out)
{
	char *end;
	unsigned long n;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	n = strtoul(s, &end, 10);
	if (*end != '\0' || errno != 0 || n >= UINT_MAX)
		return false;
	*out = (unsigned)n;
	return true;
}

bool
io_user(const char *name, uid_t *uid, gid_t *gid)
{
	unsigned n;

	if (users_find(name, uid, gid))
		return true;
	if (!number(name, &n))
		return false;
	*uid = n;
	if (!users_find_uid(n, gid))
		*gid = n;
	return true;
}

bool
io_group(const char *name, gid_t *gid)
{
	unsigned n;

	if (users_find_group(name, gid))
		return true;
	if (!number(name, &n))
		return false;
	*gid = n;
	return true;
}

/* Makes way for a new socket: true where nothing is in it. */
static bool
unix_clear(const struct sockaddr_un *a, char *fault, size_t size)
{
	struct stat st;
	int fd, error;

	if (lstat(a->sun_path, &st) == -1)
		return true; /* bind(2) says it better */
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(fault, size, "is there and is no socket");
		return false;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1) {
		snprintf(fault, size, "socket: %s", strerror(errno));
		return false;
	}
	error = connect(fd, (const struct sockaddr *)a, sizeof(*a)) == -1 ?
	    errno :
	    0;
	close(fd);
	if (error != ECONNREFUSED) {
		snprintf(fault, size, "another process listens on it");
		return false;
	}
	if (unlink(a->sun_path) == 0 || errno == ENOENT)
		return true;
	snprintf(fault, size, "%s", strerror(errno));
	return false;
}

/*
 * Owner, group and mode; the socket was made with a mode of none.  Whoever may
 * write in its folder can put a link in its place meanwhile.
 */
static bool
unix_permit(const char *path, const struct io_listen *o, char *fault,
    size_t size)
{
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1, unused;

	if (o->owner != NULL && !io_user(o->owner, &uid, &unused)) {
		snprintf(fault, size, "no such user: %s", o->owner);
		return false;
	}
	if (o->group != NULL && !io_group(o->group, &gid)) {
		snprintf(fault, size, "no such group: %s", o->group);
		return false;
	}
	if (((o->owner != NULL || o->group != NULL) &&
		lchown(path, uid, gid) == -1) ||
	    fchmodat(AT_FDCWD, path, o->mode, AT_SYMLINK_NOFOLLOW) == -1) {
		snprintf(fault, size, "%s", strerror(errno));
		return false;
	}
	return true;
}

static int
unix_listen(const char *path, const struct io_listen *o, char *fault,
    size_t size)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	mode_t old;
	int fd, bound;

	if (strlen(path) >= sizeof(a.sun_path)) {
		snprintf(fault, size, "the path has more than %zu bytes",
		    sizeof(a.sun_path) - 1);
		return -1;
	}
	memcpy(a.sun_path, path, strlen(path) + 1);
	if (!unix_clear(&a, fault, size))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	old = umask(0777); /* nobody connects before unix_permit() */
	bound = fd == -1 ? -1 : bind(fd, (struct sockaddr *)&a, sizeof(a));
	umask(old);
	if (bound == -1) {
		snprintf(fault, size, "%s", strerror(errno));
		if (fd != -1)
			close(fd);
		return -1;
	}
	if (unix_permit(path, o, fault, size)) {
		if (listen(fd, SOMAXCONN) == 0)
			return fd;
		snprintf(fault, size, "%s", strerror(errno));
	}
	unlink(path);
	close(fd);
	return -1;
}

/* "127.0.0.1:9000" or "[::1]:9000" in two parts, in place. */
static bool
host_and_port(char *address, char **host, char **port)
{
	char *colon = strrchr(address, ':');
	unsigned n;

	/* names are not looked up, and "*" is none */
	if (colon == NULL || colon == address || *address == '*' ||
	    !number(colon + 1, &n) || n > 65535)
		return false;
	*colon = '\0';
	*port = colon + 1;
	*host = address;
	if (*address != '[')
		return strchr(address, ':') == NULL;
	*host = address + 1;
	if (colon[-1] != ']')
		return false;
	colon[-1] = '\0';
	return true;
}

static int
inet_listen(const struct io_address *a, char *fault, size_t size)
{
	int on = 1, family = a->to.any.sa_family;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* [::] is IPv6 alone: what is named is what is opened */
	if (fd != -1 && family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (fd != -1)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd == -1 || bind(fd, &a->to.any, a->length) == -1 ||
	    listen(fd, SOMAXCONN) == -1) {
		snprintf(fault, size, "%s", strerror(errno));
		if (fd != -1)
			close(fd);
		return -1;
	}
	return fd;
}

/* "fe80::1%eth0", or "fe80::1%2": which of the links is meant. */
static bool
take_scope(char *host, uint32_t *out)
{
	char *percent = strchr(host, '%');
	unsigned n;

	*out = 0;
	if (percent == NULL)
		return true;
	*percent++ = '\0';
	*out = if_nametoindex(percent);
	if (*out == 0 && number(percent, &n))
		*out = n;
	return *out != 0;
}

/*
 * What a TCP address names.  getaddrinfo(3) would load libraries into a static
 * program, and has more to say than the two forms that are taken here.
 */
static bool
inet_address(const char *text, struct io_address *out)
{
	char address[128], *host, *port;
	struct sockaddr_in *in = &out->to.in;
	struct sockaddr_in6 *in6 = &out->to.in6;

	*out = (struct io_address){ .length = 0 };
	snprintf(address, sizeof(address), "%s", text);
	if (strlen(text) >= sizeof(address) ||
	    !host_and_port(address, &host, &port))
		return false;
	if (*address == '[') {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)strtoul(port, NULL, 10));
		out->length = sizeof(*in6);
		return take_scope(host, &in6->sin6_scope_id) &&
		    inet_pton(AF_INET6, host, &in6->sin6_addr) == 1;
	}
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	out->length = sizeof(*in);
	return inet_pton(AF_INET, host, &in->sin_addr) == 1;
}

bool
io_listen_valid(const char *address)
{
	struct io_address a;

	return strncmp(address, "unix:/", 6) == 0 || inet_address(address, &a);
}

static bool
unix_address(const char *path, struct io_address *out)
{
	if (strlen(path) >= sizeof(out->to.un.sun_path))
		return false;
	out->to.un.sun_family = AF_UNIX;
	memcpy(out->to.un.sun_path, path, strlen(path) + 1);
	out->length = sizeof(out->to.un);
	return true;
}

bool
io_address(const char *text, struct io_address *out)
{
	if (strncmp(text, "unix:/", 6) != 0)
		return inet_address(text, out);
	*out = (struct io_address){ .length = 0 };
	return unix_address(text + 5, out);
}

/* connect(2) until it has begun; where a signal came, it has. */
static bool
begin_connect(int fd, const struct io_address *a)
{
	int done;

	do {
		done = connect(fd, &a->to.any, a->length);
	} while (done == -1 && errno == EINTR);
	return done == 0 || errno == EINPROGRESS || errno == EALREADY ||
	    errno == EISCONN;
}

int
io_connect(const struct io_address *a)
{
	int on = 1, error;
	int fd = socket(a->to.any.sa_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1)
		return -1;
	/* a request goes out in a few pieces, and none is to wait for an ACK */
	if (a->to.any.sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (begin_connect(fd, a))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

int
io_listen(const struct io_listen *o, char *fault, size_t size)
{
	struct io_address a;

	if (strncmp(o->address, "unix:/", 6) == 0)
		return unix_listen(o->address + 5, o, fault, size);
	if (inet_address(o->address, &a))
		return inet_listen(&a, fault, size);
	snprintf(fault, size, "is neither unix:/path nor ADDRESS:PORT");
	return -1;
}
