#include "beside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { NAME_ROOM = sizeof("/.amp-cors.0123456789abcdef") };

mode_t
beside_masked(mode_t mode)
{
	mode_t mask = umask(0);

	umask(mask);
	return mode & ~mask;
}

/* False with errno; true also where there is nothing to be replaced. */
static bool
look_at_old(struct beside *b, const char *file)
{
	b->replaces = stat(file, &b->old) == 0;
	if (!b->replaces && errno != ENOENT)
		return false;
	b->file = b->replaces ? realpath(file, NULL) : strdup(file);
	return b->file != NULL;
}

/* A name beside the file, which nobody else has. */
static bool
name_it(struct beside *b)
{
	const char *slash = strrchr(b->file, '/');
	size_t folder = slash == NULL ? 0 : (size_t)(slash - b->file) + 1;
	size_t size = folder + NAME_ROOM;
	unsigned long long number = 0;

	if (getentropy(&number, sizeof(number)) == -1)
		return false;
	b->made = malloc(size);
	if (b->made == NULL)
		return false;
	snprintf(b->made, size, "%.*s.amp-cors.%016llx", (int)folder, b->file,
	    number);
	return true;
}

static const char *
create(struct beside *b)
{
	if (!name_it(b))
		return strerror(errno);
	/* its mode comes at the end, with its owner */
	b->fd = open(b->made,
	    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW,
	    0600);
	if (b->fd != -1)
		return NULL;
	free(b->made);
	b->made = NULL;
	return strerror(errno);
}

const char *
beside_open(const char *file, mode_t mode, struct beside *out)
{
	*out = (struct beside){ .fd = -1, .mode = mode };
	if (!look_at_old(out, file))
		return strerror(errno);
	if (out->replaces && !S_ISREG(out->old.st_mode)) {
		errno = S_ISDIR(out->old.st_mode) ? EISDIR : EINVAL;
		return errno == EISDIR ? "is a directory" :
					 "is not a regular file";
	}
	return create(out);
}

const char *
beside_write(struct beside *b, struct span text)
{
	while (text.n > 0) {
		ssize_t n = write(b->fd, text.p, text.n);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return strerror(errno);
		text = span_skip(text, (size_t)n);
	}
	return NULL;
}

/*
 * Another owner than ours is for root alone.  Where the group cannot be kept,
 * another one must not get its rights.
 */
static bool
dress(const struct beside *b)
{
	mode_t mode = b->old.st_mode & 0777;

	if (!b->replaces)
		return fchmod(b->fd, b->mode) == 0;
	if (fchown(b->fd, b->old.st_uid, b->old.st_gid) == -1 &&
	    fchown(b->fd, (uid_t)-1, b->old.st_gid) == -1)
		mode &= 0707 | (mode & 07) << 3;
	return fchmod(b->fd, mode) == 0;
}

/* The file's name is cut: it is not needed any more. */
static bool
sync_folder(struct beside *b)
{
	char *slash = strrchr(b->file, '/');
	bool good;
	int fd;

	if (slash == b->file)
		slash++;
	if (slash != NULL)
		*slash = '\0';
	fd = open(slash == NULL ? "." : b->file,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* one that we may write in, but not read */
	if (fd == -1)
		return errno == EACCES;
	/* some file systems cannot, and need not */
	good = fsync(fd) == 0 || errno == EINVAL;
	close(fd);
	return good;
}

const char *
beside_finish(struct beside *b, bool sync)
{
	int fd = b->fd;

	if (!dress(b) || (sync && fsync(fd) == -1))
		return strerror(errno);
	b->fd = -1;
	/* a full disk, as NFS tells it, shows at the close */
	if (close(fd) == -1 || rename(b->made, b->file) == -1)
		return strerror(errno);
	free(b->made);
	b->made = NULL;
	return !sync || sync_folder(b) ? NULL : strerror(errno);
}

void
beside_free(struct beside *b)
{
	int error = errno;

	if (b->fd != -1)
		close(b->fd);
	if (b->made != NULL)
		unlink(b->made);
	free(b->made);
	free(b->file);
	*b = (struct beside){ .fd = -1 };
	errno = error;
}
