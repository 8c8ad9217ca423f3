/*
 * usage: starter SOCKET THREADS vfork|posix_spawn
 *
 * The floor of every wrapper: a loop of libfcgi's that starts what
 * SCRIPT_FILENAME names, reaps it, and gives a fixed answer.  Nothing of what
 * the program says is read.  TERM ends it.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <err.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct work {
	int fd;
	bool posix;
};

static const char answer[] =
    "Status: 200 OK\r\nContent-Type: application/json\r\n\r\n{}";

static pid_t
by_vfork(char *argv[], char *envp[])
{
	pid_t pid = vfork();

	if (pid == 0) {
		execve(argv[0], argv, envp);
		_exit(127);
	}
	return pid;
}

static pid_t
by_posix_spawn(char *argv[], char *envp[])
{
	pid_t pid;

	return posix_spawn(&pid, argv[0], NULL, NULL, argv, envp) == 0 ? pid :
									 -1;
}

static void *
work(void *arg)
{
	const struct work *w = arg;
	char *argv[2] = { NULL, NULL };
	FCGX_Request r;
	pid_t pid;

	FCGX_InitRequest(&r, w->fd, 0);
	while (FCGX_Accept_r(&r) == 0) {
		argv[0] = FCGX_GetParam("SCRIPT_FILENAME", r.envp);
		pid = w->posix ? by_posix_spawn(argv, r.envp) :
				 by_vfork(argv, r.envp);
		if (pid == -1 || waitpid(pid, NULL, 0) != pid)
			err(1, "%s", argv[0]);
		FCGX_PutStr(answer, sizeof(answer) - 1, r.out);
		FCGX_Finish_r(&r);
	}
	return NULL;
}

/* Descriptor 1 leads nowhere; the others are closed by exec. */
static int
listen_on(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(a.sun_path))
		errx(1, "%s: too long", path);
	strcpy(a.sun_path, path);
	if (fd == -1 || bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1 ||
	    listen(fd, SOMAXCONN) == -1)
		err(1, "%s", path);
	if (dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO) == -1)
		err(1, "/dev/null");
	return fd;
}

int
main(int argc, char *argv[])
{
	struct work w;
	sigset_t end;
	pthread_t thread;
	int signal;

	if (argc != 4)
		errx(64, "usage: starter SOCKET THREADS vfork|posix_spawn");
	w = (struct work){ listen_on(argv[1]),
		strcmp(argv[3], "posix_spawn") == 0 };
	if (FCGX_Init() != 0)
		errx(1, "FCGX_Init");
	for (int i = atoi(argv[2]); i > 0; i--)
		if (pthread_create(&thread, NULL, work, &w) != 0)
			errx(1, "pthread_create");
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	sigwait(&end, &signal);
	return 0;
}
