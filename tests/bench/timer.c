/*
 * usage: timer N PROGRAM [ARGUMENT...]
 *
 * What a whole process takes, as a web server pays for it: starts the program
 * N times with a pipe for its answer, reads that to its end, reaps the process,
 * and prints nanoseconds each, and bytes of the last answer.
 */
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static pid_t
start(char *argv[], int out)
{
	pid_t pid = vfork();

	if (pid == -1)
		err(1, "vfork");
	if (pid == 0) {
		if (dup2(out, STDOUT_FILENO) == STDOUT_FILENO)
			execve(argv[0], argv, environ);
		_exit(127);
	}
	return pid;
}

static size_t
once(char *argv[])
{
	char room[65536];
	int p[2], status;
	ssize_t n;
	size_t all = 0;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) == -1)
		err(1, "pipe");
	pid = start(argv, p[1]);
	close(p[1]);
	while ((n = read(p[0], room, sizeof(room))) > 0)
		all += (size_t)n;
	close(p[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		errx(1, "%s: status %d", argv[0], status);
	return all;
}

int
main(int argc, char *argv[])
{
	size_t n, bytes = 0;
	double began;

	if (argc < 3)
		errx(64, "usage: timer N PROGRAM [ARGUMENT...]");
	n = strtoul(argv[1], NULL, 10);
	began = now();
	for (size_t i = 0; i < n; i++)
		bytes = once(argv + 2);
	printf("%.0f %zu\n", (now() - began) / (double)n, bytes);
	return 0;
}
