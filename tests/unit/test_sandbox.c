/*
 * sandbox: what can be done in it, and what cannot, each tried by a child that
 * has entered one.  What this kernel does not offer is expected not to hold;
 * and where it offers all, other kernels are made of it.
 */
#include "sandbox.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "folder.h"
#include "sandbox_calls.h"
#include "tap.h"

/* --- what this kernel offers, asked without the module */

static int abi;     /* of Landlock; 0: none */
static bool filter; /* seccomp's */

static void
ask_kernel(void)
{
	uint32_t action = SECCOMP_RET_ERRNO;
	long got = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

	abi = got > 0 ? (int)got : 0;
	filter =
	    syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
#if !defined(__x86_64__) && !defined(__aarch64__)
	filter = false;
#endif
	setvbuf(stdout, NULL, _IOLBF, 0); /* or children say it again */
	printf("# Landlock's ABI %d, seccomp %d\n", abi, filter);
}

/* --- the world: files, and servers to connect to */

static int served[2];    /* TCP, listening */
static uint16_t port[2]; /* the first one may be connected to */
static int unix_server;  /* by a path that nobody allows */
static int abstract;     /* and by a name without one */
static struct sockaddr_un unix_name, abstract_name;
static socklen_t abstract_size;

static struct sockaddr_in
loopback(uint16_t number)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons(number),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void
serve_tcp(unsigned i)
{
	struct sockaddr_in a = loopback(0);
	socklen_t n = sizeof(a);

	served[i] = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(served[i], (struct sockaddr *)&a, n) == -1 ||
	    listen(served[i], 8) == -1 ||
	    getsockname(served[i], (struct sockaddr *)&a, &n) == -1)
		bail();
	port[i] = ntohs(a.sin_port);
}

static void
serve_unix(void)
{
	socklen_t whole = sizeof(unix_name);

	unix_name.sun_family = abstract_name.sun_family = AF_UNIX;
	snprintf(unix_name.sun_path, sizeof(unix_name.sun_path), "%s",
	    in_folder("out/s"));
	abstract_size = sizeof(sa_family_t) +
	    (socklen_t)snprintf(abstract_name.sun_path + 1, 64,
		"amp-cors-test.%d", (int)getpid()) +
	    1;
	unix_server = socket(AF_UNIX, SOCK_STREAM, 0);
	abstract = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(unix_server, (struct sockaddr *)&unix_name, whole) == -1 ||
	    listen(unix_server, 8) == -1 ||
	    bind(abstract, (struct sockaddr *)&abstract_name, abstract_size) ==
		-1 ||
	    listen(abstract, 8) == -1)
		bail();
}

static void
make_world(void)
{
	static const char *const folders[] = { "in", "in/below", "log", "met",
		"run", "tmp", "out", "link" };

	folder_make();
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		mkdir(in_folder(folders[i]), 0755);
	folder_file("in/list", "list", 0644);
	folder_file("in/below/list", "list", 0644);
	folder_file("log/front", "line\n", 0644);
	folder_file("met/prom", "old", 0644);
	folder_file("out/secret", "secret", 0644);
	folder_file("link/real", "linked", 0644);
	if (symlink(in_folder("link/real"), in_folder("in/link")) == -1)
		bail();
	serve_tcp(0);
	serve_tcp(1);
	serve_unix();
}

/* As the front asks for it; without TCP where no endpoint forwards so. */
static struct sandbox *
prepare(bool tcp)
{
	struct sandbox *s = sandbox_new();

	if (s == NULL)
		bail();
	sandbox_allow(s, in_folder("in/list"), SANDBOX_READ);
	sandbox_allow(s, in_folder("in/link"), SANDBOX_READ);
	sandbox_allow(s, in_folder("none/list"), SANDBOX_READ);
	sandbox_allow(s, "/no-such-list", SANDBOX_READ);
	/* what is in / lets nobody read all of / */
	sandbox_allow(s, "/etc", SANDBOX_READ);
	sandbox_allow(s, "/dev/null", SANDBOX_READ_BELOW);
	sandbox_allow(s, in_folder("log/front"), SANDBOX_APPEND);
	sandbox_allow(s, in_folder("met/prom"), SANDBOX_REPLACE);
	sandbox_allow(s, in_folder("run/socket"), SANDBOX_REMOVE);
	sandbox_allow(s, in_folder("tmp"), SANDBOX_SCRATCH);
	/* twice, as where two endpoints forward there */
	for (unsigned i = 0; i < 2 && tcp; i++)
		sandbox_allow_port(s, port[0]);
	return s;
}

/* --- what is tried: 0, or errno */

static int
close_good(int fd)
{
	int error = errno;

	return fd == -1 ? error : close(fd);
}

static int
open_one(const char *name, int flags)
{
	return close_good(open(in_folder(name), flags | O_CLOEXEC, 0600));
}

static int
of(long result)
{
	return result == -1 ? errno : 0;
}

static int
read_list(void)
{
	return open_one("in/list", O_RDONLY);
}

static int
read_below(void)
{
	return open_one("in/below/list", O_RDONLY);
}

static int
read_link(void)
{
	return open_one("in/link", O_RDONLY);
}

static int
append(void)
{
	return open_one("log/front", O_WRONLY | O_APPEND | O_CREAT);
}

static int
append_new(void)
{
	return open_one("log/new", O_WRONLY | O_APPEND | O_CREAT);
}

static int
replace(void)
{
	int error = open_one("met/.new", O_RDWR | O_CREAT | O_EXCL);

	return error != 0 ?
	    error :
	    of(rename(in_folder("met/.new"), in_folder("met/prom")));
}

static int
remove_socket(void)
{
	return of(unlink(in_folder("run/socket")));
}

/* A file without a name, and one with a name, for file systems without. */
static int
scratch(void)
{
	int fd = open(in_folder("tmp"), O_TMPFILE | O_RDWR, 0600);
	char path[PATH_MAX];

	if (fd == -1 && errno != EOPNOTSUPP)
		return errno;
	close(fd);
	snprintf(path, sizeof(path), "%s", in_folder("tmp/x.XXXXXX"));
	fd = mkostemp(path, O_CLOEXEC);
	return fd == -1 ? errno : close_good(fd) | of(unlink(path));
}

static int
read_null(void)
{
	return close_good(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

static int
look(void)
{
	struct stat st;
	char real[PATH_MAX];

	return of(stat(in_folder("out/secret"), &st)) |
	    (realpath(in_folder("out/secret"), real) == NULL ? errno : 0);
}

static int
connect_to(const void *name, socklen_t n, int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd == -1 ? errno : of(connect(fd, name, n));
}

static int
connect_unix(void)
{
	return connect_to(&unix_name, sizeof(unix_name), AF_UNIX);
}

static int
connect_port(void)
{
	struct sockaddr_in a = loopback(port[0]);

	return connect_to(&a, sizeof(a), AF_INET);
}

static int
answer(void)
{
	int fd, error = connect_unix();

	if (error != 0)
		return error;
	/* others may have left theirs there */
	do
		fd = accept4(unix_server, NULL, NULL, SOCK_CLOEXEC);
	while (
	    fd != -1 && send(fd, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	return fd == -1 ? errno : 0;
}

static void *
in_thread(void *arg)
{
	return arg;
}

static int
make_thread(void)
{
	pthread_t t;
	int error = pthread_create(&t, NULL, in_thread, NULL);

	return error != 0 ? error : pthread_join(t, NULL);
}

static int
wait_for(void)
{
	struct epoll_event e = { .events = EPOLLIN };
	sigset_t none;
	int ep = epoll_create1(EPOLL_CLOEXEC), ev = eventfd(1, EFD_CLOEXEC);
	struct pollfd p = { .fd = ev, .events = POLLIN };

	sigemptyset(&none);
	if (ep == -1 || ev == -1 || signalfd(-1, &none, SFD_CLOEXEC) == -1 ||
	    epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e) == -1 ||
	    epoll_wait(ep, &e, 1, 1000) != 1 || poll(&p, 1, 1000) != 1)
		return errno;
	return 0;
}

static int
use_memory(void)
{
	size_t size = 8 << 20;
	char *p = malloc(size);
	bool good = p != NULL;

	if (good)
		memset(p, 1, size);
	free(p);
	return good ? 0 : ENOMEM;
}

/* A body goes from memory into a file when it is long. */
static int
move_bytes(void)
{
	int from = memfd_create("x", MFD_CLOEXEC);
	int to = open(in_folder("tmp/bytes"), O_RDWR | O_CREAT, 0600);
	off_t at = 0;

	if (from == -1 || to == -1 || write(from, "x", 1) != 1 ||
	    lseek(from, 0, SEEK_SET) != 0 || sendfile(to, from, &at, 1) != 1)
		return errno;
	return close(from) | close(to);
}

/* --- what is forbidden */

static int
read_secret(void)
{
	return open_one("out/secret", O_RDONLY);
}

static int
read_log(void)
{
	return open_one("log/front", O_RDONLY);
}

static int
read_self(void)
{
	return close_good(open("/proc/self/environ", O_RDONLY | O_CLOEXEC));
}

static int
list_folder(void)
{
	DIR *d = opendir(in_folder("in"));

	return d == NULL ? errno : closedir(d);
}

static int
write_list(void)
{
	return open_one("in/list", O_WRONLY);
}

static int
make_list(void)
{
	return open_one("in/new", O_WRONLY | O_CREAT);
}

static int
make_outside(void)
{
	return open_one("out/new", O_WRONLY | O_CREAT);
}

static int
empty_log(void)
{
	return open_one("log/front", O_WRONLY | O_TRUNC);
}

static int
remove_list(void)
{
	return of(unlink(in_folder("in/list")));
}

static int
move_away(void)
{
	return of(rename(in_folder("met/prom"), in_folder("tmp/prom")));
}

static int
make_folder(void)
{
	return of(mkdir(in_folder("tmp/new"), 0700));
}

static int
open_mode(void)
{
	return of(chmod(in_folder("tmp"), 0777));
}

static int
connect_other_port(void)
{
	struct sockaddr_in a = loopback(port[1]);

	return connect_to(&a, sizeof(a), AF_INET);
}

static int
connect_abstract(void)
{
	return connect_to(&abstract_name, abstract_size, AF_UNIX);
}

static int
make_socket(int family, int kind)
{
	return close_good(socket(family, kind | SOCK_CLOEXEC, 0));
}

static int
use_tcp(void)
{
	return make_socket(AF_INET, SOCK_STREAM);
}

static int
use_udp(void)
{
	return make_socket(AF_INET, SOCK_DGRAM);
}

static int
use_netlink(void)
{
	return make_socket(AF_NETLINK, SOCK_RAW);
}

static int
listen_too(void)
{
	struct sockaddr_in a = loopback(0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return of(bind(fd, (struct sockaddr *)&a, sizeof(a)));
}

static int
make_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	if (pid == -1)
		return errno;
	waitpid(pid, NULL, 0); /* which may be forbidden */
	return 0;
}

static int
signal_parent(void)
{
	return of(kill(getppid(), 0));
}

static int
signal_thread_of_parent(void)
{
	return of(syscall(SYS_tgkill, getppid(), getppid(), 0));
}

static int
map(int prot, int flags, int fd)
{
	void *p = mmap(NULL, 4096, prot, flags, fd, 0);

	return p == MAP_FAILED ? errno : 0;
}

static int
map_code(void)
{
	return map(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static int
map_library(void)
{
	int fd = memfd_create("x", MFD_CLOEXEC);

	return map(PROT_READ | PROT_EXEC, MAP_PRIVATE, fd);
}

static int
make_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return of(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int
make_pair(void)
{
	int fd[2];

	return of(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
}

static int
control_device(void)
{
	int n;

	return of(ioctl(unix_server, FIONREAD, &n)) == EPERM ? EPERM : 0;
}

static int
change_process(void)
{
	return of(prctl(PR_SET_NAME, "other", 0, 0, 0));
}

static int
execute(void)
{
	char *argv[] = { (char *)"/bin/true", NULL };

	return of(execv(argv[0], argv));
}

static int
execute_at(void)
{
	char *argv[] = { (char *)"/bin/true", NULL };

	return of(syscall(SYS_execveat, AT_FDCWD, argv[0], argv, NULL, 0));
}

static int
trace(void)
{
	return of(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int
become(void)
{
	return of(setresuid(getuid(), getuid(), getuid()));
}

static int
leave_namespace(void)
{
	return of(unshare(CLONE_FILES));
}

static int
wrong_number(void)
{
	/* no call has it */
	int error = of(syscall(0x3fff));

	return error == ENOSYS ? 0 : error;
}

/* All threads are in it, also those that come later. */
static void *
secret_in_thread(void *arg)
{
	*(int *)arg = read_secret() * 1000 + make_pair();
	return NULL;
}

static int
secret_by_thread(void)
{
	pthread_t t;
	int got = 0;
	int error = pthread_create(&t, NULL, secret_in_thread, &got);

	if (error != 0)
		return error;
	pthread_join(t, NULL);
	return got == (abi > 0 ? EACCES : 0) * 1000 + (filter ? EPERM : 0) ?
	    0 :
	    ERANGE;
}

static int
end_loudly(void)
{
	signal(SIGABRT, SIG_DFL);
	abort();
}

/* --- the table */

enum { SYS = -SIGSYS, ABRT = -SIGABRT };

struct trial {
	const char *name;
	int (*try)(void);
	/* what Landlock says, and from which ABI on; what seccomp says, which
	 * comes first */
	int landlock, from, calls;
	bool watched; /* the sanitizers need it */
	bool no_tcp;  /* in a sandbox without any port */
};

static const struct trial trials[] = {
	{ "a list is read", read_list, 0, 0, 0, 0, 0 },
	{ "one below it", read_below, 0, 0, 0, 0, 0 },
	{ "one behind a link", read_link, 0, 0, 0, 0, 0 },
	{ "the log goes on", append, 0, 0, 0, 0, 0 },
	{ "the log begins again", append_new, 0, 0, 0, 0, 0 },
	{ "the metrics are replaced", replace, 0, 0, 0, 0, 0 },
	{ "the socket is removed", remove_socket, 0, 0, 0, 0, 0 },
	{ "a body is kept", scratch, 0, 0, 0, 0, 0 },
	{ "/dev/null is opened", read_null, 0, 0, 0, 0, 0 },
	{ "a file is looked at", look, 0, 0, 0, 0, 0 },
	{ "a Unix socket is connected to", connect_unix, 0, 0, 0, 0, 0 },
	{ "the port is connected to", connect_port, 0, 0, 0, 0, 0 },
	{ "a connection is answered", answer, 0, 0, 0, 0, 0 },
	{ "a thread is made", make_thread, 0, 0, 0, 0, 0 },
	{ "events are waited for", wait_for, 0, 0, 0, 0, 0 },
	{ "memory is used", use_memory, 0, 0, 0, 0, 0 },
	{ "bytes are moved", move_bytes, 0, 0, 0, 0, 0 },
	{ "a thread is in it too", secret_by_thread, 0, 0, 0, 0, 0 },
	{ "abort(3) ends it", end_loudly, 0, 0, ABRT, 0, 0 },

	{ "no other file is read", read_secret, EACCES, 1, 0, 0, 0 },
	{ "nor the log", read_log, EACCES, 1, 0, 0, 0 },
	{ "nor what the kernel tells", read_self, EACCES, 1, 0, 1, 0 },
	{ "no folder is listed", list_folder, EACCES, 1, 0, 0, 0 },
	{ "no list is written", write_list, EACCES, 1, 0, 0, 0 },
	{ "none is made", make_list, EACCES, 1, 0, 0, 0 },
	{ "none is removed", remove_list, EACCES, 1, 0, 0, 0 },
	{ "nothing is made elsewhere", make_outside, EACCES, 1, 0, 0, 0 },
	{ "the log is not emptied", empty_log, EACCES, 3, 0, 0, 0 },
	{ "nothing goes elsewhere", move_away, EXDEV, 1, 0, 0, 0 },
	{ "no folder is made", make_folder, EACCES, 1, EPERM, 0, 0 },
	{ "no mode is changed", open_mode, 0, 0, EPERM, 0, 0 },
	{ "no other port", connect_other_port, EACCES, 4, 0, 0, 0 },
	{ "no abstract socket", connect_abstract, EPERM, 6, 0, 0, 0 },
	{ "TCP with a port", use_tcp, 0, 0, 0, 0, 0 },
	{ "no TCP without", use_tcp, 0, 0, EPERM, 0, 1 },
	{ "no UDP", use_udp, 0, 0, EPERM, 0, 0 },
	{ "no UDP without ports", use_udp, 0, 0, EPERM, 0, 1 },
	{ "no netlink", use_netlink, 0, 0, EPERM, 0, 0 },
	{ "nobody else listens", listen_too, EACCES, 4, EPERM, 0, 0 },
	{ "no process", make_process, 0, 0, EPERM, 1, 0 },
	{ "no signal", signal_parent, EPERM, 6, EPERM, 1, 0 },
	{ "nor to a thread", signal_thread_of_parent, EPERM, 6, EPERM, 1, 0 },
	{ "no code of its own", map_code, 0, 0, EPERM, 1, 0 },
	{ "nor a library", map_library, 0, 0, EPERM, 1, 0 },
	{ "nor made afterwards", make_code, 0, 0, EPERM, 1, 0 },
	{ "no socketpair", make_pair, 0, 0, EPERM, 0, 0 },
	{ "no ioctl", control_device, 0, 0, EPERM, 1, 0 },
	{ "no prctl", change_process, 0, 0, EPERM, 1, 0 },
	{ "no call of another number", wrong_number, 0, 0, EPERM, 0, 0 },
	{ "no execution", execute, EACCES, 1, SYS, 1, 0 },
	{ "by no call", execute_at, EACCES, 1, SYS, 0, 0 },
	{ "no tracing", trace, 0, 0, SYS, 1, 0 },
	{ "no other user", become, 0, 0, SYS, 0, 0 },
	{ "no namespace", leave_namespace, 0, 0, SYS, 0, 0 },
};

static int
expected(const struct trial *t)
{
	bool calls = filter && !(t->watched && SANDBOX_CALLS_WATCHED);

	if (t->calls == ABRT)
		return t->calls;
	if (t->calls != 0 && calls)
		return t->calls;
	/* the sanitizers read all of /proc */
	if (t->from > 0 && abi >= t->from &&
	    !(t->try == read_self && SANDBOX_CALLS_WATCHED))
		return t->landlock;
	return 0;
}

/* A core file, and what it says of itself, would only be in the way. */
static void
be_quiet(void)
{
	const struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	signal(SIGSYS, SIG_DFL);
}

/* Its result as a status; minus the signal, where one has ended it. */
static int
result_of(pid_t pid)
{
	int status;

	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		bail();
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* It has gone into one; what was known of it is not needed any more. */
static bool
enter(bool tcp)
{
	struct sandbox_holds holds;
	struct sandbox *s = prepare(tcp);
	bool good = sandbox_enter(s, &holds);

	sandbox_free(s);
	return good;
}

static int
try(const struct trial *t)
{
	pid_t pid = fork();

	if (pid == 0) {
		be_quiet();
		_exit(enter(!t->no_tcp) ? t->try() : 255);
	}
	return result_of(pid);
}

static void
test_trials(void)
{
	for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]); i++) {
		const struct trial *t = &trials[i];
		int got, want = expected(t);

		folder_file("run/socket", "", 0600);
		got = try(t);
		ok(got == want, "%s: %d", t->name, want);
		if (got != want)
			printf("# got %d: %s\n", got,
			    strerror(got < 0 ? 0 : got));
	}
}

/* Each is possible outside, so that the table above says something. */
static void
test_outside(void)
{
	for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]); i++) {
		const struct trial *t = &trials[i];
		pid_t pid;

		if (t->try == secret_by_thread || t->try == end_loudly ||
		    expected(t) == 0)
			continue;
		folder_file("in/list", "list", 0644);
		folder_file("met/prom", "old", 0644);
		unlink(in_folder("out/new"));
		rmdir(in_folder("tmp/new"));
		pid = fork();
		if (pid == 0)
			_exit(t->try());
		ok(result_of(pid) == 0, "outside: %s", t->name);
	}
	folder_file("in/list", "list", 0644);
	folder_file("met/prom", "old", 0644);
}

/* --- what it says of itself */

enum { SAYS_LANDLOCK = 1, SAYS_CALLS = 2, SAYS_WHY = 4, SAYS_BAD = 8 };

static int
say(void)
{
	struct sandbox_holds h;
	struct sandbox *s = prepare(true);
	int said = 0;

	if (!sandbox_enter(s, &h))
		return SAYS_BAD;
	said |= h.landlock > 0 ? SAYS_LANDLOCK : 0;
	said |= h.seccomp ? SAYS_CALLS : 0;
	if ((h.landlock > 0) != (h.landlock_fault == NULL) ||
	    h.seccomp != (h.seccomp_fault == NULL) ||
	    (h.landlock > 0 && h.landlock != abi))
		said |= SAYS_BAD;
	if ((h.landlock_fault != NULL && *h.landlock_fault != '\0') ||
	    (h.seccomp_fault != NULL && *h.seccomp_fault != '\0'))
		said |= SAYS_WHY;
	/* and it is as it says */
	if ((read_secret() == EACCES) != (h.landlock > 0) ||
	    (make_pair() == EPERM) != h.seccomp)
		said |= SAYS_BAD;
	sandbox_free(s);
	return said;
}

/* Another kernel: one call is answered by an error. */
static bool
lose(int number, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { 4, code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0;
}

static int
said_without(int number, int error)
{
	pid_t pid = fork();

	if (pid == 0) {
		be_quiet();
		/* where there is no filter to be had, nothing is lost */
		if (number != -1 && filter && !lose(number, error))
			_exit(SAYS_BAD);
		_exit(say());
	}
	return result_of(pid);
}

static void
test_says(void)
{
	int all = (abi > 0 ? SAYS_LANDLOCK : 0) | (filter ? SAYS_CALLS : 0);
	int why = all == (SAYS_LANDLOCK | SAYS_CALLS) ? 0 : SAYS_WHY;
	int less = filter ? SAYS_WHY : why;

	ok(said_without(-1, 0) == (all | why), "what holds here");
	ok(said_without(SYS_landlock_create_ruleset, ENOSYS) ==
		((filter ? all & ~SAYS_LANDLOCK : all) | less),
	    "a kernel without Landlock");
	ok(said_without(SYS_landlock_create_ruleset, EOPNOTSUPP) ==
		((filter ? all & ~SAYS_LANDLOCK : all) | less),
	    "one that was booted without it");
	ok(said_without(SYS_landlock_restrict_self, EPERM) ==
		((filter ? all & ~SAYS_LANDLOCK : all) | less),
	    "it is forbidden to us");
	ok(said_without(SYS_seccomp, EINVAL) == ((all & ~SAYS_CALLS) | less),
	    "a kernel without seccomp's filters");
}

/* --- what may be read and connected to, before it is tried */

static int
ask_may(void)
{
	struct sandbox_holds h;
	struct sandbox *s = prepare(true);
	int wrong = 0;

	if (!sandbox_enter(s, &h))
		return 255;
	wrong |= !sandbox_may_read(s, in_folder("in/list"));
	wrong |= (!sandbox_may_read(s, in_folder("in/below/list"))) << 1;
	wrong |= (!sandbox_may_read(s, in_folder("in/link"))) << 2;
	wrong |= (sandbox_may_read(s, in_folder("out/secret")) != (abi == 0))
	    << 3;
	wrong |= (!sandbox_may_read(s, in_folder("out/none"))) << 4;
	wrong |= (!sandbox_may_connect(s, port[0])) << 5;
	wrong |= (sandbox_may_connect(s, port[1]) != (abi < 4)) << 6;
	sandbox_free(s);
	return wrong;
}

static int
ask_without_ports(void)
{
	struct sandbox_holds h;
	struct sandbox *s = prepare(false);
	int wrong;

	if (!sandbox_enter(s, &h))
		return 255;
	wrong = sandbox_may_connect(s, port[0]) != (abi < 4 && !filter);
	sandbox_free(s);
	return wrong;
}

static void
test_may(void)
{
	static int (*const asks[])(void) = { ask_may, ask_without_ports };

	for (size_t i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(asks[i]());
		ok(result_of(pid) == 0, "it knows what it allows, %zu", i);
	}
	sandbox_free(NULL);
	sandbox_free(prepare(true));
	ok(read_secret() == 0 && make_pair() == 0,
	    "what was prepared alone holds nobody");
}

/* --- as the kernel tells it */

static bool
status_has(pid_t pid, const char *line)
{
	char path[64], text[8192];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return strstr(text, line) != NULL;
}

static void
test_status(void)
{
	int ready[2], go[2];
	char c;
	pid_t pid;

	if (pipe(ready) == -1 || pipe(go) == -1)
		bail();
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		if (!enter(true) || write(ready[1], "x", 1) != 1)
			_exit(1);
		_exit(read(go[0], &c, 1) != 0);
	}
	close(ready[1]);
	ok(read(ready[0], &c, 1) == 1, "entered");
	ok(status_has(pid, filter ? "\nSeccomp:\t2\n" : "\nSeccomp:\t0\n"),
	    "the kernel filters its calls");
	ok(status_has(pid, "\nNoNewPrivs:\t1\n"), "it gets no privilege");
	close(go[1]);
	ok(result_of(pid) == 0, "and ends");
	close(ready[0]);
	close(go[0]);
}

int
main(void)
{
	ask_kernel();
	make_world();
	test_outside();
	test_trials();
	test_says();
	test_may();
	test_status();
	folder_remove();
	return tap_done();
}
