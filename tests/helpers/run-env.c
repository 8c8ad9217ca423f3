/*
 * run-env: runs a program with exactly the variables that are named, also
 * twice or without a '=': run-env NAME=VALUE... -- program [argument...]
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int
main(int argc, char *argv[])
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		;
	if (i + 1 >= argc) {
		fputs("usage: run-env [NAME=VALUE...] -- program\n", stderr);
		return (64);
	}
	argv[i] = NULL;
	execve(argv[i + 1], &argv[i + 1], &argv[1]);
	perror(argv[i + 1]);
	return (71);
}
