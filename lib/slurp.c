#include "slurp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * All bytes of a file of `size`, and one more where it has grown; -1 with
 * errno.
 */
static ssize_t
read_all(int fd, char *p, size_t size)
{
	size_t got = 0, n = size + 1;

	/* one that gets all but the last byte it asked for has seen the end */
	do {
		ssize_t r = read(fd, p + got, n - got);

		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1)
			return -1;
		if (r == 0)
			break;
		got += (size_t)r;
	} while (got < size);
	return (ssize_t)got;
}

static const char *
slurp_fd(int fd, const struct stat *st, struct slurp *out)
{
	size_t size = (size_t)st->st_size;
	/* room for one byte more than expected tells whether it grew */
	char *p = malloc(size + 1);
	ssize_t got = p == NULL ? -1 : read_all(fd, p, size);

	if (got == -1 || (size_t)got != size) {
		free(p);
		return got == -1 ? strerror(errno) : "changes while it is read";
	}
	*out = (struct slurp){ .p = p,
		.n = size,
		.mode = st->st_mode,
		.stamp = stamp_of(st) };
	return NULL;
}

const char *
slurp(const char *file, size_t max, struct slurp *out)
{
	/* O_NONBLOCK: a FIFO in the file's place must not hang the start */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const char *fault = NULL;
	struct stat st;

	if (fd == -1)
		return strerror(errno);
	if (fstat(fd, &st) == -1)
		fault = strerror(errno);
	else if (S_ISDIR(st.st_mode))
		fault = "is a directory";
	else if (!S_ISREG(st.st_mode))
		fault = "is not a regular file";
	else if (st.st_size > (off_t)max)
		fault = "is too large";
	else
		fault = slurp_fd(fd, &st, out);
	close(fd);
	return fault;
}
