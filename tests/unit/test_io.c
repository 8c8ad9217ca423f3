/*
 * io: sockets of every kind and what stands in their way, names and numbers of
 * users, and waiting.
 */
#include "io.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "folder.h"
#include "tap.h"

static char fault[256];

static int
listen_at(const char *address, mode_t mode)
{
	const struct io_listen o = { .address = address, .mode = mode };

	memset(fault, '?', sizeof(fault));
	return io_listen(&o, fault, sizeof(fault));
}

static const char *
unix_address(const char *name)
{
	static char address[PATH_MAX + 300];

	snprintf(address, sizeof(address), "unix:%s", in_folder(name));
	return address;
}

/* A fault text is whole: it was written, and ends. */
static bool
has_fault(const char *words)
{
	return memchr(fault, '\0', sizeof(fault)) != NULL &&
	    strstr(fault, words) != NULL;
}

static int
connect_unix(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, in_folder(name));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

static void
test_unix(void)
{
	static const mode_t modes[] = { 0600, 0660, 0666, 0 };
	mode_t mask = umask(027);
	struct stat st;
	int fd, peer;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		fd = listen_at(unix_address("mode"), modes[i]);
		ok(fd != -1 && lstat(in_folder("mode"), &st) == 0 &&
			S_ISSOCK(st.st_mode) &&
			(st.st_mode & 07777) == modes[i],
		    "a socket of mode %o", modes[i]);
		close(fd);
	}
	ok(umask(mask) == 027, "the umask is as before");
	fd = listen_at(unix_address("a"), 0600);
	ok(fd > 2 && io_is_listening(fd) &&
		(fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 &&
		(fcntl(fd, F_GETFL) & O_NONBLOCK) != 0,
	    "it listens, is closed on exec and does not wait");
	peer = connect_unix("a");
	ok(peer != -1 && !io_is_listening(peer), "one can connect to it");
	close(peer);
	close(fd);
}

static void
test_unix_taken(void)
{
	int first = listen_at(unix_address("taken"), 0600), second, peer;
	struct stat before, after;

	lstat(in_folder("taken"), &before);
	ok(listen_at(unix_address("taken"), 0600) == -1 &&
		has_fault("another process listens"),
	    "a socket in use is not taken");
	peer = connect_unix("taken");
	ok(lstat(in_folder("taken"), &after) == 0 && peer != -1 &&
		before.st_ino == after.st_ino,
	    "… and stays as it is");
	close(peer);
	close(first);
	second = listen_at(unix_address("taken"), 0600);
	peer = connect_unix("taken");
	ok(second != -1 && peer != -1, "a stale one is replaced");
	close(peer);
	close(second);
}

static void
test_unix_other(void)
{
	const char *file = folder_file("file", "text", 0600);
	char bound[PATH_MAX + 300];
	struct stat st;
	int datagrams = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	ok(listen_at(unix_address("file"), 0600) == -1 &&
		has_fault("is no socket") &&
		strcmp(folder_text("file"), "text") == 0,
	    "a file is never replaced");
	mkdir(in_folder("dir"), 0700);
	ok(listen_at(unix_address("dir"), 0600) == -1 &&
		has_fault("is no socket"),
	    "nor a folder");
	if (symlink(file, in_folder("link")) == -1)
		bail();
	ok(listen_at(unix_address("link"), 0600) == -1 &&
		has_fault("is no socket") &&
		lstat(in_folder("link"), &st) == 0 && S_ISLNK(st.st_mode),
	    "nor a link");
	strcpy(a.sun_path, in_folder("datagrams"));
	if (bind(datagrams, (struct sockaddr *)&a, sizeof(a)) == -1)
		bail();
	ok(listen_at(unix_address("datagrams"), 0600) == -1 &&
		has_fault("another process") && lstat(a.sun_path, &st) == 0 &&
		S_ISSOCK(st.st_mode),
	    "nor a socket of another kind");
	close(datagrams);
	snprintf(bound, sizeof(bound), "unix:%s/none/x", folder);
	ok(listen_at(bound, 0600) == -1 && has_fault("No such file"),
	    "no such folder");
}

/* A stale socket that may not be removed: said, and with a reason. */
static void
test_unix_stuck(void)
{
	int fd, status = 0;
	pid_t pid;

	mkdir(in_folder("closed"), 0700);
	fd = listen_at(unix_address("closed/s"), 0666);
	close(fd);
	chmod(folder, 0711);
	chmod(in_folder("closed"), 0511);
	pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && setuid(65534) == -1)
			_exit(2);
		fd = listen_at(unix_address("closed/s"), 0600);
		_exit(fd == -1 && has_fault("Permission denied") ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	ok(status == 0, "a stale one that cannot be removed");
	chmod(in_folder("closed"), 0700);
}

/* What a command says in a line; libc's own way to a name needs memory. */
static char *
said_by(const char *command)
{
	FILE *f = must(popen(command, "r"));
	static char line[2][256];
	static int n;

	n = !n;
	if (fgets(line[n], sizeof(line[n]), f) == NULL)
		bail();
	line[n][strcspn(line[n], "\n")] = '\0';
	pclose(f);
	return line[n];
}

static void
test_unix_owner(void)
{
	const char *me = said_by("id -un"), *us = said_by("id -gn");
	char uid[16], gid[16], address[PATH_MAX + 300];
	struct io_listen o = { .address = address, .mode = 0640 };
	uid_t user = geteuid() == 0 ? 12345 : geteuid();
	gid_t group = geteuid() == 0 ? 23456 : getegid();
	struct stat st = { 0 };
	int fd;

	strcpy(address, unix_address("owned"));
	snprintf(uid, sizeof(uid), "%u", user);
	snprintf(gid, sizeof(gid), "%u", group);
	o.owner = uid;
	o.group = gid;
	fd = io_listen(&o, fault, sizeof(fault));
	ok(fd != -1 && stat(in_folder("owned"), &st) == 0 &&
		st.st_uid == user && st.st_gid == group &&
		(st.st_mode & 0777) == 0640,
	    "an owner and a group by number");
	close(fd);
	o.owner = me;
	o.group = us;
	fd = io_listen(&o, fault, sizeof(fault));
	ok(fd != -1 && stat(in_folder("owned"), &st) == 0 &&
		st.st_uid == geteuid() && st.st_gid == getegid(),
	    "… and by name");
	close(fd);
	o.owner = "no such user";
	ok(io_listen(&o, fault, sizeof(fault)) == -1 &&
		has_fault("no such user: no such user") &&
		access(in_folder("owned"), F_OK) == -1,
	    "an owner that there is not");
	o.owner = NULL;
	o.group = "no-such-group";
	ok(io_listen(&o, fault, sizeof(fault)) == -1 &&
		has_fault("no such group: no-such-group") &&
		access(in_folder("owned"), F_OK) == -1,
	    "a group that there is not; nothing is left behind");
}

static void
test_unix_long(void)
{
	char address[400] = "unix:/";

	memset(address + 6, 'x', 107);
	ok(listen_at(address, 0600) == -1 && has_fault("more than 107 bytes"),
	    "a path of 108 bytes");
	memset(address + 6, 'x', 300);
	ok(listen_at(address, 0600) == -1 && has_fault("more than 107 bytes"),
	    "a long one");
	ok(listen_at("unix:relative", 0600) == -1 &&
		has_fault("neither unix:/path nor ADDRESS:PORT"),
	    "a path that is not absolute");
}

/* --- addresses --- */

static in_port_t
port_of(int fd, int family)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} a;
	socklen_t n = sizeof(a);

	if (getsockname(fd, &a.any, &n) == -1 || a.any.sa_family != family)
		return 0;
	return ntohs(family == AF_INET ? a.in.sin_port : a.in6.sin6_port);
}

static void
test_inet(void)
{
	int fd = listen_at("127.0.0.1:0", 0), second, on = 0;
	in_port_t port = port_of(fd, AF_INET);
	char address[64];
	socklen_t n = sizeof(on);

	ok(fd > 2 && port != 0 && io_is_listening(fd), "IPv4");
	ok((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 &&
		(fcntl(fd, F_GETFL) & O_NONBLOCK) != 0,
	    "… closed on exec, and does not wait");
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	ok(listen_at(address, 0) == -1 && has_fault("already in use"),
	    "a port that is taken");
	close(fd);
	fd = listen_at(address, 0);
	ok(fd != -1 && port_of(fd, AF_INET) == port, "a port by number");
	close(fd);

	fd = listen_at("[::1]:0", 0);
	port = port_of(fd, AF_INET6);
	ok(fd > 2 && port != 0 && io_is_listening(fd), "IPv6");
	close(fd);
	fd = listen_at("[::]:0", 0);
	snprintf(address, sizeof(address), "0.0.0.0:%u", port_of(fd, AF_INET6));
	second = listen_at(address, 0);
	ok(fd != -1 && second != -1 &&
		getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, &n) == 0 && on,
	    "[::] is not IPv4 too");
	close(second);
	close(fd);
}

/* What names no address, neither to listen on nor to connect to. */
static const char *const bad[] = { "", ":", "127.0.0.1", "127.0.0.1:", ":9000",
	"9000", "127.0.0.1:x", "127.0.0.1:9000x", "127.0.0.1:65536",
	"127.0.0.1:99999", "127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1: 1",
	"127.0.0.1:4294967297", "localhost:9000", "no.such.host.example:9000",
	"::1:9000", "[::1]", "[::1]:", "[::1:9000", "::1]:9000", "[]:9000",
	"[127.0.0.1]", "[::1]x:9000", "300.0.0.1:9000", "unix:", "unix:x",
	"*:9000", "127.0.0.1:http" };
static void
test_inet_bad(void)
{
	char address[300];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd = listen_at(bad[i], 0);

		ok(fd == -1 && has_fault("neither unix:/path nor ADDRESS:PORT"),
		    "no address: \"%s\"", bad[i]);
		if (fd != -1)
			close(fd);
	}
	memset(address, '0', sizeof(address));
	strcpy(address + 290, ":9000");
	ok(listen_at(address, 0) == -1 && has_fault("neither"), "a long one");
	ok(listen_at("192.0.2.1:9000", 0) == -1 &&
		has_fault("Cannot assign requested address"),
	    "an address of another machine");
}

/* --- connecting --- */

static void
test_address(void)
{
	struct io_address a;
	char path[300] = "unix:/";

	ok(io_address("unix:/run/x.sock", &a) &&
		a.to.any.sa_family == AF_UNIX &&
		strcmp(a.to.un.sun_path, "/run/x.sock") == 0 &&
		a.length == sizeof(a.to.un),
	    "a Unix socket's");
	ok(io_address("127.0.0.1:9000", &a) && a.to.any.sa_family == AF_INET &&
		((struct sockaddr_in *)&a.to)->sin_port == htons(9000) &&
		((struct sockaddr_in *)&a.to)->sin_addr.s_addr ==
		    htonl(INADDR_LOOPBACK) &&
		a.length == sizeof(struct sockaddr_in),
	    "an IPv4 address");
	ok(io_address("[::1]:65535", &a) && a.to.any.sa_family == AF_INET6 &&
		a.to.in6.sin6_port == 65535 &&
		IN6_IS_ADDR_LOOPBACK(&a.to.in6.sin6_addr) &&
		a.length == sizeof(a.to.in6),
	    "an IPv6 address");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!io_address(bad[i], &a), "no address: \"%s\"", bad[i]);
	memset(path + 6, 'x', 106);
	ok(io_address(path, &a) && a.to.un.sun_path[107] == '\0',
	    "the longest path");
	path[112] = 'x';
	ok(!io_address(path, &a), "one that is longer");
}

/* A connection to where something listens, or errno. */
static int
connect_to(const char *address)
{
	struct io_address a;

	if (!io_address(address, &a))
		bail();
	errno = 0;
	return io_connect(&a);
}

static unsigned
next_descriptor(void)
{
	int fd = dup(0);

	close(fd);
	return (unsigned)fd;
}

/* host: NULL for a Unix socket. */
static void
test_connect_to(const char *host, int family)
{
	char address[PATH_MAX + 300];
	int fd, to, in, on = 0;
	socklen_t n = sizeof(on);

	snprintf(address, sizeof(address), "%s:0", host == NULL ? "" : host);
	if (host == NULL)
		strcpy(address, unix_address("connect"));
	fd = listen_at(address, 0600);
	if (host != NULL)
		snprintf(address, sizeof(address), "%s:%u", host,
		    port_of(fd, family));
	to = connect_to(address);
	ok(to != -1 && io_wait(to, POLLOUT, io_now() + 60000) == POLLOUT &&
		io_wait(fd, POLLIN, io_now() + 60000) == POLLIN,
	    "connects to %s", address);
	ok((fcntl(to, F_GETFD) & FD_CLOEXEC) != 0 &&
		(fcntl(to, F_GETFL) & O_NONBLOCK) != 0,
	    "… closed on exec, and does not wait");
	in = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	ok(in != -1 && write(to, "x", 1) == 1 && read(in, &on, 1) == 1,
	    "… and somebody is there");
	if (family != AF_UNIX)
		ok(getsockopt(to, IPPROTO_TCP, TCP_NODELAY, &on, &n) == 0 && on,
		    "… who gets small pieces at once");
	close(in);
	close(to);
	close(fd);
}

static void
test_connect_refused(void)
{
	unsigned before = next_descriptor();
	struct rlimit old, none;
	int fd, to[8], n = 0;

	ok(connect_to(unix_address("nothing")) == -1 && errno == ENOENT,
	    "no socket");
	fd = listen_at(unix_address("full"), 0600);
	listen(fd, 0);
	while (n < 8 && (to[n] = connect_to(unix_address("full"))) != -1)
		n++;
	ok(n > 0 && n < 8 && errno == EAGAIN, "a full queue: %d fit", n);
	close(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
	to[7] = connect_to(unix_address("full"));
	ok(to[7] != -1, "… and then one more");
	close(to[7]);
	while (n > 0)
		close(to[--n]);
	close(fd);
	ok(connect_to(unix_address("full")) == -1 && errno == ECONNREFUSED,
	    "a socket that nobody listens on");
	getrlimit(RLIMIT_NOFILE, &old);
	none = (struct rlimit){ 3, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	fd = connect_to("127.0.0.1:9");
	n = errno;
	setrlimit(RLIMIT_NOFILE, &old);
	ok(fd == -1 && n == EMFILE, "no descriptor");
	ok(next_descriptor() == before, "none is lost");
}

/* --- users --- */

static void
test_users(void)
{
	uid_t uid = 1;
	gid_t gid = 1;

	ok(io_user("root", &uid, &gid) && uid == 0 && gid == 0,
	    "a user's name");
	ok(io_user("0", &uid, &gid) && uid == 0 && gid == 0,
	    "… and number, with the user's group");
	ok(io_user("54321", &uid, &gid) && uid == 54321 && gid == 54321,
	    "a number that has no name");
	ok(io_group("root", &gid) && gid == 0, "a group's name");
	ok(io_group("54321", &gid) && gid == 54321, "… and number");
	uid = 7;
	gid = 8;
	ok(!io_user("", &uid, &gid) && !io_user("-1", &uid, &gid) &&
		!io_user("12x", &uid, &gid) && !io_user(" 1", &uid, &gid) &&
		!io_user("4294967295", &uid, &gid) &&
		!io_user("99999999999999999999", &uid, &gid) && uid == 7,
	    "what is no user");
	ok(!io_group("", &gid) && !io_group("-1", &gid) &&
		!io_group("4294967295", &gid) && gid == 8,
	    "what is no group");
}

/* --- the rest --- */

static void
wake(int signal)
{
	(void)signal;
}

static void
test_wait(void)
{
	struct sigaction a = { .sa_handler = wake }, old;
	int64_t before = io_now();
	int fd[2];

	if (pipe(fd) == -1)
		bail();
	ok(io_wait(fd[0], POLLIN, before + 30) == 0 && io_now() >= before + 30,
	    "a moment that comes");
	ok(io_wait(fd[0], POLLIN, before - 1000) == 0, "one that has passed");
	ok(io_wait(fd[1], POLLOUT, before) == POLLOUT,
	    "an event that is there comes first");
	sigaction(SIGALRM, &a, &old);
	ualarm(10000, 10000);
	before = io_now();
	ok(io_wait(fd[0], POLLIN, before + 60) == 0 && io_now() >= before + 60,
	    "signals do not cut it short");
	ualarm(0, 0);
	sigaction(SIGALRM, &old, NULL);
	close(fd[1]);
	ok((io_wait(fd[0], POLLIN, INT64_MAX / 2) & POLLHUP) != 0,
	    "without an end");
	close(fd[0]);
	ok(io_wait(fd[0], POLLIN, 0) & POLLNVAL, "a descriptor that is none");
}

static void
test_descriptors(void)
{
	int fd[2];

	if (pipe(fd) == -1)
		bail();
	ok(io_nonblock(fd[0]) == 0 && (fcntl(fd[0], F_GETFL) & O_NONBLOCK) &&
		!(fcntl(fd[1], F_GETFL) & O_NONBLOCK),
	    "one end does not wait");
	ok(!io_is_listening(fd[0]), "a pipe does not listen (E101)");
	close(fd[0]);
	close(fd[1]);
	errno = 0;
	ok(io_nonblock(fd[0]) == -1 && errno == EBADF, "a closed one");
	ok(!io_is_listening(fd[0]), "… does not listen either");
}

/* In a child whose standard descriptors are closed. */
static void
test_hold(void)
{
	static const unsigned masks[] = { 0, 1, 2, 4, 7, 6 };

	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		int status = 0;
		pid_t pid = fork();

		if (pid == 0) {
			int first;
			bool good;

			for (int fd = 0; fd < 3; fd++)
				if (masks[i] & 1U << fd)
					close(fd);
			good = io_hold_std() == 0;
			first = open("/dev/null", O_RDONLY);
			for (int fd = 0; fd < 3; fd++)
				good &= fcntl(fd, F_GETFD) == 0;
			_exit(good && first > 2 ? 0 : 1);
		}
		waitpid(pid, &status, 0);
		ok(status == 0, "descriptors 0 to 2, closed: %u", masks[i]);
	}
}

int
main(void)
{
	folder_make();
	test_unix();
	test_unix_taken();
	test_unix_other();
	test_unix_stuck();
	test_unix_owner();
	test_unix_long();
	test_inet();
	test_inet_bad();
	test_address();
	test_connect_to(NULL, AF_UNIX);
	test_connect_to("127.0.0.1", AF_INET);
	test_connect_to("[::1]", AF_INET6);
	test_connect_refused();
	test_users();
	test_wait();
	test_descriptors();
	fflush(stdout);
	test_hold();
	folder_remove();
	return tap_done();
}
