/*
 * folder: a folder for the files of one test program, removed at its end.
 */
#ifndef FOLDER_H
#define FOLDER_H

#include <sys/stat.h>

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bail.h"
#include "span.h"

static char folder[PATH_MAX];

static inline int
folder_remove_one(const char *path, const struct stat *st, int kind,
    struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

/* In TMPDIR, else in /tmp.  Its path has no links in it. */
static inline void
folder_make(void)
{
	const char *tmp = getenv("TMPDIR");
	char made[256];

	snprintf(made, sizeof(made), "%s/amp-cors-test.XXXXXX",
	    tmp == NULL ? "/tmp" : tmp);
	if (mkdtemp(made) == NULL || realpath(made, folder) == NULL)
		bail();
}

static inline void
folder_remove(void)
{
	nftw(folder, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of a name in it; valid until the eighth call after this one. */
static inline const char *
in_folder(const char *name)
{
	static char path[8][PATH_MAX + 256];
	static unsigned turn;

	turn = (turn + 1) % 8;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
	return path[turn];
}

/* A file of this text and mode in it; its path. */
static inline const char *
folder_file(const char *name, const char *text, mode_t mode)
{
	const char *path = in_folder(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd == -1 || text == NULL ||
	    write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
	    fchmod(fd, mode) == -1)
		bail();
	close(fd);
	return path;
}

/* A script of /bin/sh, to be executed. */
static inline const char *
folder_script(const char *name, const char *text)
{
	char whole[8192];

	snprintf(whole, sizeof(whole), "#!/bin/sh\n%s\n", text);
	return folder_file(name, whole, 0755);
}

/* What a file in it holds, as a string that the next call overwrites. */
static inline const char *
folder_text(const char *name)
{
	static char text[1 << 18];
	int fd = open(in_folder(name), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd == -1 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd != -1)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

#endif
