/*
 * usage: plain403 SOCKET THREADS [ANSWER]
 *
 * What a refusal of the front is measured against: the loop of libfcgi's own
 * examples, in threads, that answers every request with the same 403, or with
 * another ANSWER.  TERM ends it in order, so that callgrind writes what it has
 * counted.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <err.h>
#include <fcgiapp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* byte for byte what the front says */
static const char *answer =
    "Status: 403 Forbidden\r\n"
    "Content-Type: application/json\r\n"
    "Cache-Control: no-store\r\n"
    "Content-Length: 101\r\n"
    "Vary: Origin, AMP-Email-Sender\r\n"
    "\r\n"
    "{\"error\":{\"code\":\"sender-not-allowed\",\"message\":\"Messages of "
    "this sender may not use this address.\"}}";

static void *
work(void *arg)
{
	const size_t n = strlen(answer);
	FCGX_Request r;

	FCGX_InitRequest(&r, *(int *)arg, 0);
	while (FCGX_Accept_r(&r) == 0) {
		FCGX_PutStr(answer, (int)n, r.out);
		FCGX_Finish_r(&r);
	}
	return NULL;
}

static int
listen_on(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (strlen(path) >= sizeof(a.sun_path))
		errx(1, "%s: too long", path);
	strcpy(a.sun_path, path);
	if (fd == -1 || bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1 ||
	    listen(fd, SOMAXCONN) == -1)
		err(1, "%s", path);
	return fd;
}

int
main(int argc, char *argv[])
{
	sigset_t end;
	pthread_t thread;
	int fd, signal;

	if (argc != 3 && argc != 4)
		errx(64, "usage: plain403 SOCKET THREADS [ANSWER]");
	if (argc == 4)
		answer = argv[3];
	fd = listen_on(argv[1]);
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &end, NULL);
	if (FCGX_Init() != 0)
		errx(1, "FCGX_Init");
	for (int i = atoi(argv[2]); i > 0; i--)
		if (pthread_create(&thread, NULL, work, &fd) != 0)
			errx(1, "pthread_create");
	sigwait(&end, &signal);
	return 0;
}
