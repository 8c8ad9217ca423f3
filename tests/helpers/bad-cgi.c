/*
 * bad-cgi: a CGI program that behaves, or misbehaves, as it is told: by its
 * first argument, else by PATH_INFO, in the form "/name" or "/name/argument".
 *
 * Each run adds a byte to the file "ran" in the working directory, which is
 * how a test knows that a handler was (not) started, and leaves the process
 * ids of itself and of the children that it makes in "pids".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static const char head[] = "Content-Type: application/json\r\n\r\n";

static void
nap(unsigned ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	while (nanosleep(&t, &t) == -1 && errno == EINTR)
		;
}

static void
forever(void)
{
	for (;;)
		nap(60000);
}

static unsigned long
number(const char *arg)
{
	return (arg == NULL ? 0 : strtoul(arg, NULL, 10));
}

static void
put(int fd, const char *p, size_t n)
{
	ssize_t w;

	for (; n > 0; p += w, n -= (size_t)w)
		if ((w = write(fd, p, n)) == -1)
			_exit(99);
}

static void
puts_out(const char *s)
{
	put(STDOUT_FILENO, s, strlen(s));
}

static void
put_bytes(int fd, unsigned long n, char c)
{
	char block[4096];
	size_t piece;

	memset(block, c, sizeof(block));
	for (; n > 0; n -= piece) {
		piece = n < sizeof(block) ? n : sizeof(block);
		put(fd, block, piece);
	}
}

static void
note(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

	if (fd == -1)
		return;
	put(fd, text, strlen(text));
	close(fd);
}

static void
note_pid(void)
{
	char line[32];

	snprintf(line, sizeof(line), "%ld\n", (long)getpid());
	note("pids", line);
}

/* All of the standard input: how much it was, and its Adler-32 sum. */
static uint64_t
swallow(uint32_t *sum)
{
	unsigned char block[65536];
	uint64_t n = 0, a = 1, b = 0; /* wide: one division a block will do */
	ssize_t r, i;

	while ((r = read(STDIN_FILENO, block, sizeof(block))) > 0) {
		for (i = 0; i < r; i++) {
			a += block[i];
			b += a;
		}
		a %= 65521;
		b %= 65521;
		n += (uint64_t)r;
	}
	if (sum != NULL)
		*sum = (uint32_t)(b << 16 | a);
	return (r == -1 ? UINT64_MAX : n);
}

static void
tell(const char *status, uint64_t n, uint32_t sum)
{
	char text[256];

	snprintf(text, sizeof(text),
	    "%s%s%s%s{\"length\":%" PRIu64 ",\"sum\":\"%08" PRIx32 "\"}\n",
	    status == NULL ? "" : "Status: ", status == NULL ? "" : status,
	    status == NULL ? "" : "\r\n", head, n, sum);
	puts_out(text);
}

static void
answer(const char *status)
{
	uint32_t sum;
	uint64_t n = swallow(&sum);

	tell(status, n, sum);
}

static void
do_echo(const char *arg)
{
	(void)arg;
	answer(NULL);
}

/* The length of the body alone, for very long ones. */
static void
do_count(const char *arg)
{
	static char block[1 << 20];
	char text[64];
	uint64_t n = 0;
	ssize_t r;

	(void)arg;
	while ((r = read(STDIN_FILENO, block, sizeof(block))) > 0)
		n += (uint64_t)r;
	puts_out(head);
	snprintf(text, sizeof(text), "%" PRIu64, n);
	puts_out(text);
}

static void
do_status(const char *arg)
{
	answer(arg);
}

static size_t
load(const char *file, char *out, size_t size)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t r;

	if (fd == -1)
		_exit(97);
	while ((r = read(fd, out + n, size - n)) > 0)
		n += (size_t)r;
	close(fd);
	return (n);
}

static char raw[4 << 20];

/* The folder, the environment and the arguments, each ended by a NUL. */
static void
do_env(const char *arg)
{
	char cwd[4096];
	char **e;

	(void)arg;
	puts_out("Content-Type: application/octet-stream\n\n");
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		_exit(98);
	puts_out("cwd ");
	put(STDOUT_FILENO, cwd, strlen(cwd) + 1);
	for (e = environ; *e != NULL; e++) {
		puts_out("env ");
		put(STDOUT_FILENO, *e, strlen(*e) + 1);
	}
	put(STDOUT_FILENO, raw, load("/proc/self/cmdline", raw, sizeof(raw)));
}

/* E29: much to say before anything is read. */
static void
do_talk(const char *arg)
{
	char text[64];

	puts_out(head);
	put_bytes(STDOUT_FILENO, number(arg), 't');
	snprintf(text, sizeof(text), "|%" PRIu64, swallow(NULL));
	puts_out(text);
}

/* E30: never reads. */
static void
do_deaf(const char *arg)
{
	(void)arg;
	puts_out(head);
	puts_out("{\"deaf\":true}");
}

/* E31 */
static void
do_close_stdin(const char *arg)
{
	(void)arg;
	close(STDIN_FILENO);
	nap(200);
	do_deaf(NULL);
}

static void
do_exit(const char *arg)
{
	do_deaf(NULL);
	_exit((int)number(arg));
}

static void
do_die(const char *arg)
{
	_exit((int)number(arg));
}

static void
do_kill(const char *arg)
{
	kill(getpid(), (int)number(arg));
	forever();
}

/* E52: half of an answer. */
static void
do_half(const char *arg)
{
	puts_out(head);
	put_bytes(STDOUT_FILENO, 1000, 'h');
	nap(50);
	do_kill(arg);
}

static void
do_half_exit(const char *arg)
{
	puts_out(head);
	put_bytes(STDOUT_FILENO, 1000, 'h');
	nap(50);
	_exit((int)number(arg));
}

static void
do_half_head(const char *arg)
{
	puts_out("Content-Type: text/plain\r\nX-Half: ");
	do_kill(arg);
}

static void
do_silent(const char *arg)
{
	(void)arg;
	forever();
}

/* Answers after so many milliseconds. */
static void
do_wait(const char *arg)
{
	nap((unsigned)number(arg));
	answer(NULL);
}

/* E76 */
static void
do_stubborn(const char *arg)
{
	(void)arg;
	signal(SIGTERM, SIG_IGN);
	forever();
}

static void
do_grandchild(const char *arg)
{
	(void)arg;
	if (fork() == 0)
		note_pid();
	forever();
}

/* Ends in order when told to, and says so. */
static void
told(int sig)
{
	(void)sig;
	note("told", "x");
	_exit(0);
}

static void
do_listening(const char *arg)
{
	(void)arg;
	signal(SIGTERM, told);
	forever();
}

/* E70, E71: an answer, and a child that keeps some descriptors open. */
static void
do_background(const char *arg)
{
	bool out = strcmp(arg, "stdout") == 0;
	bool err = strcmp(arg, "stderr") == 0;

	if (fork() == 0) {
		note_pid();
		close(STDIN_FILENO);
		if (!out)
			close(STDOUT_FILENO);
		if (!err)
			close(STDERR_FILENO);
		forever();
	}
	do_deaf(NULL);
}

/* E75 */
static void
do_stall(const char *arg)
{
	puts_out(head);
	put_bytes(STDOUT_FILENO, *arg == '\0' ? 1000 : number(arg), 's');
	forever();
}

/* E67: a line, and another one every 300 ms. */
static void
do_slow(const char *arg)
{
	unsigned long n = number(arg);

	puts_out("Content-Type: text/plain\n\n");
	for (; n > 0; n--) {
		puts_out("line\n");
		nap(300);
	}
}

/* A body that never ends. */
static void
do_flood(const char *arg)
{
	(void)arg;
	puts_out("Content-Type: text/plain\n\n");
	for (;;)
		put_bytes(STDOUT_FILENO, 65536, 'f');
}

static void
do_body(const char *arg)
{
	puts_out("Content-Type: text/plain\n\n");
	put_bytes(STDOUT_FILENO, number(arg), 'b');
}

/* Until a test has looked at what is held meanwhile, and says so. */
static void
hold(void)
{
	note("held", "x");
	for (int i = 0; i < 6000 && access("go", F_OK) == -1; i++)
		nap(10);
}

/* A large body: all of it, after so many milliseconds. */
static void
do_sink(const char *arg)
{
	uint64_t n;
	uint32_t sum;

	nap((unsigned)number(arg));
	n = swallow(&sum);
	hold();
	tell(NULL, n, sum);
}

/* So many bytes, quickly, of which no two neighbours could change places. */
static void
do_pour(const char *arg)
{
	static unsigned char block[65521];
	unsigned long n = number(arg), at = 0;

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (unsigned char)(i * 31 + i / 251);
	puts_out("Content-Type: application/octet-stream\n\n");
	for (; n - at > sizeof(block); at += sizeof(block))
		put(STDOUT_FILENO, (char *)block, sizeof(block));
	hold();
	put(STDOUT_FILENO, (char *)block, n - at);
}

/* The same, with its length. */
static void
do_pour_sized(const char *arg)
{
	puts_out("Content-Length: ");
	puts_out(arg);
	puts_out("\n");
	do_pour(arg);
}

/* E68 */
static void
do_stderr(const char *arg)
{
	static const char lines[] = "first line\nsecond line\n";
	static const char bytes[] =
	    "bell \a escape \033[31m high \377 nul \0 end";

	if (strcmp(arg, "lines") == 0)
		put(STDERR_FILENO, lines, sizeof(lines) - 1);
	else if (strcmp(arg, "bytes") == 0)
		put(STDERR_FILENO, bytes, sizeof(bytes) - 1);
	else if (strcmp(arg, "flood") == 0)
		put_bytes(STDERR_FILENO, 1048576, 'e');
	do_deaf(NULL);
	if (strcmp(arg, "late") == 0) {
		close(STDOUT_FILENO);
		nap(100);
		put(STDERR_FILENO, "late line\n", 10);
	}
}

/* E69: the names of the standard descriptors, opened once more. */
static void
do_dev(const char *arg)
{
	int in = open("/dev/stdin", O_RDONLY);
	int err = open("/dev/stderr", O_WRONLY);

	(void)arg;
	if (in == -1 || err == -1) {
		puts_out("Status: 500\n\n");
		_exit(1);
	}
	put(err, "through the name\n", 17);
	dup2(in, STDIN_FILENO);
	answer(NULL);
}

/* E72 */
static void
do_fds(const char *arg)
{
	char line[300];
	struct dirent *d;
	DIR *dir = opendir("/proc/self/fd");

	(void)arg;
	puts_out("Content-Type: text/plain\n\n");
	while (dir != NULL && (d = readdir(dir)) != NULL) {
		if (d->d_name[0] == '.' || atoi(d->d_name) == dirfd(dir))
			continue;
		snprintf(line, sizeof(line), "%s\n", d->d_name);
		puts_out(line);
	}
}

/* E73 */
static void
do_signals(const char *arg)
{
	char line[200];
	FILE *f = fopen("/proc/self/status", "r");

	(void)arg;
	puts_out("Content-Type: text/plain\n\n");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "Sig", 3) == 0)
			puts_out(line);
	puts_out(getpgrp() == getpid() ? "Group: own\n" : "Group: other\n");
}

/* The bytes of a file of the working directory are the whole answer. */
static void
do_raw(const char *arg)
{
	put(STDOUT_FILENO, raw, load(arg, raw, sizeof(raw)));
}

/* E66: the same in writes of one byte. */
static void
do_bytes(const char *arg)
{
	size_t i, n = load(arg, raw, sizeof(raw));

	for (i = 0; i < n; i++) {
		put(STDOUT_FILENO, raw + i, 1);
		if (i % 8 == 0)
			nap(1);
	}
}

static const struct {
	const char *name;
	void (*run)(const char *arg);
} behaviours[] = {
	{ "echo", do_echo },
	{ "count", do_count },
	{ "status", do_status },
	{ "env", do_env },
	{ "talk", do_talk },
	{ "deaf", do_deaf },
	{ "close-stdin", do_close_stdin },
	{ "exit", do_exit },
	{ "die", do_die },
	{ "kill", do_kill },
	{ "half", do_half },
	{ "half-exit", do_half_exit },
	{ "half-head", do_half_head },
	{ "silent", do_silent },
	{ "wait", do_wait },
	{ "stubborn", do_stubborn },
	{ "grandchild", do_grandchild },
	{ "listening", do_listening },
	{ "background", do_background },
	{ "stall", do_stall },
	{ "slow", do_slow },
	{ "flood", do_flood },
	{ "body", do_body },
	{ "sink", do_sink },
	{ "pour", do_pour },
	{ "pour-sized", do_pour_sized },
	{ "stderr", do_stderr },
	{ "dev", do_dev },
	{ "fds", do_fds },
	{ "signals", do_signals },
	{ "raw", do_raw },
	{ "bytes", do_bytes },
};

int
main(int argc, char *argv[])
{
	const char *what = argc > 1 ? argv[1] : getenv("PATH_INFO");
	const char *arg;
	size_t i, n;

	note("ran", "x");
	note_pid();
	if (what == NULL || what[0] != '/')
		what = "/echo";
	n = strcspn(++what, "/");
	arg = what[n] == '/' ? what + n + 1 : "";
	for (i = 0; i < sizeof(behaviours) / sizeof(behaviours[0]); i++)
		if (strlen(behaviours[i].name) == n &&
		    memcmp(behaviours[i].name, what, n) == 0) {
			behaviours[i].run(arg);
			return (0);
		}
	puts_out(
	    "Status: 500\nContent-Type: text/plain\n\nno such behaviour\n");
	return (1);
}
