#include "spool.h"

#include <sys/mman.h>
#include <sys/sendfile.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io.h"

void
spool_init(struct spool *s)
{
	*s = (struct spool){ .fd = -1 };
}

/* A file that nobody else can name. */
static int
open_unnamed(void)
{
	const char *dir = getenv("TMPDIR");
	char path[4096];
	int fd;

	if (dir == NULL || *dir != '/')
		dir = "/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd != -1)
		return fd;
	/* not every file system has O_TMPFILE */
	if (snprintf(path, sizeof(path), "%s/amp-cors.XXXXXX", dir) >=
	    (int)sizeof(path))
		return -1;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd != -1)
		unlink(path);
	return fd;
}

/* What is in memory, to the file. */
static bool
copy(const struct spool *s, int fd)
{
	off_t from = 0;

	while ((uint64_t)from < s->length) {
		ssize_t n = sendfile(fd, s->fd, &from,
		    (size_t)(s->length - (uint64_t)from));

		if (n == 0 || (n == -1 && errno != EINTR))
			return false;
	}
	return true;
}

static bool
to_disk(struct spool *s)
{
	int fd = open_unnamed();

	if (fd != -1 && !copy(s, fd)) {
		close(fd);
		fd = -1;
	}
	if (fd == -1)
		return false;
	close(s->fd);
	s->fd = fd;
	s->on_disk = true;
	return true;
}

static bool
add(struct spool *s, struct span bytes)
{
	if (s->fd == -1)
		s->fd = memfd_create("body", MFD_CLOEXEC);
	if (s->fd == -1)
		return false;
	if (!s->on_disk && s->length + bytes.n > SPOOL_MEMORY && !to_disk(s))
		return false;
	while (bytes.n > 0) {
		ssize_t n = write(s->fd, bytes.p, bytes.n);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes = span_skip(bytes, (size_t)n);
		s->length += (uint64_t)n;
	}
	return true;
}

/* Waits for more of the body. */
static enum reason
wait_more(struct exchange *x, int64_t until)
{
	struct pollfd p[] = {
		{ .fd = x->in, .events = POLLIN },
		{ .fd = x->out, .events = x->gone },
		{ .fd = x->stop, .events = POLLIN },
	};
	int64_t left = until - io_now();

	if (left <= 0)
		return REASON_BODY_TIMEOUT;
	if (poll(p, 3, left > 60000 ? 60000 : (int)left) == -1)
		return errno == EINTR ? REASON_OK : REASON_OVERLOADED;
	if (p[1].revents & (x->gone | POLLHUP | POLLERR | POLLNVAL) ||
	    (p[2].revents != 0 && x->way->stop_signal(x) != 0))
		return REASON_CLIENT_GONE;
	return REASON_OK;
}

enum reason
spool_fill(struct spool *s, struct exchange *x, uint64_t max, unsigned timeout)
{
	const int64_t patience = (int64_t)timeout * 1000;
	int64_t until = io_now() + patience;
	enum reason why = REASON_OK;
	struct span bytes;

	while (why == REASON_OK) {
		switch (x->way->body(x, &bytes)) {
		case EXCHANGE_BYTES:
			if (bytes.n > max - s->length)
				return REASON_BODY_TOO_LARGE;
			if (!add(s, bytes))
				return REASON_OVERLOADED;
			x->way->taken(x, bytes.n);
			until = io_now() + patience;
			break;
		case EXCHANGE_WAIT:
			why = wait_more(x, until);
			break;
		case EXCHANGE_END:
			if (s->fd != -1 && lseek(s->fd, 0, SEEK_SET) == -1)
				return REASON_OVERLOADED;
			return REASON_OK;
		case EXCHANGE_GONE:
			return REASON_CLIENT_GONE;
		}
	}
	return why;
}

void
spool_free(struct spool *s)
{
	if (s->fd != -1)
		close(s->fd);
	spool_init(s);
}
