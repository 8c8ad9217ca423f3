#include "records.h"

#include <sys/socket.h>

#include <errno.h>

#include "wire.h"

/* What goes out at once. */
struct batch {
	unsigned char header[RECORDS_MAX][WIRE_HEADER_SIZE];
	/* each record has a header, and may end within a piece */
	struct iovec iov[2 * RECORDS_MAX + RECORDS_PIECES + 1];
	size_t n;
	size_t records;
};

static void
add(struct batch *b, const void *p, size_t n)
{
	b->iov[b->n++] = (struct iovec){ (void *)p, n };
}

/* A record of what is left of v from *i on, of which *used are gone. */
static void
add_record(struct batch *b, unsigned id, const struct span v[], size_t n,
    size_t *i, size_t *used)
{
	unsigned char *header = b->header[b->records++];
	size_t room = WIRE_CONTENT_MAX;

	add(b, header, WIRE_HEADER_SIZE);
	while (*i < n && room > 0) {
		struct span rest = span_skip(v[*i], *used);
		size_t len = rest.n < room ? rest.n : room;

		if (len > 0)
			add(b, rest.p, len);
		room -= len;
		*used = len < rest.n ? *used + len : 0;
		*i += len == rest.n;
	}
	wire_header(header, WIRE_STDOUT, id, WIRE_CONTENT_MAX - room);
}

/* How much of `all` they hold: an empty record would end the stream. */
static size_t
add_records(struct batch *b, unsigned id, const struct span v[], size_t n)
{
	size_t all = span_total(v, n), i = 0, used = 0;

	while (b->records < RECORDS_MAX && b->records * WIRE_CONTENT_MAX < all)
		add_record(b, id, v, n, &i, &used);
	return all < RECORDS_CONTENT ? all : (size_t)RECORDS_CONTENT;
}

static bool
is_header(const struct batch *b, const struct iovec *v)
{
	return v->iov_base >= (void *)b->header &&
	    v->iov_base < (void *)(b->header + RECORDS_MAX);
}

/*
 * What a send left over: a record that has begun must be seen through, one that
 * has not can come again.  How many of the content's bytes do that.
 */
static size_t
owe_rest(const struct batch *b, size_t sent, bool last, struct buf *owed)
{
	size_t again = 0;
	bool begun = true;

	for (size_t i = 0; i < b->n; i++) {
		const struct iovec *v = &b->iov[i];
		size_t skip = sent < v->iov_len ? sent : v->iov_len;

		if (is_header(b, v))
			begun = last || sent > 0;
		if (begun)
			buf_add(owed, (const char *)v->iov_base + skip,
			    v->iov_len - skip);
		else if (!is_header(b, v))
			again += v->iov_len;
		sent -= skip;
	}
	return again;
}

ssize_t
records_send(int fd, unsigned id, const struct span v[], size_t n,
    struct span end, struct buf *owed)
{
	struct batch b;
	struct msghdr m = { .msg_iov = b.iov };
	size_t content;
	ssize_t sent;

	b.n = b.records = 0;
	content = add_records(&b, id, v,
	    n < RECORDS_PIECES ? n : (size_t)RECORDS_PIECES);
	if (end.n > 0)
		add(&b, end.p, end.n);
	if (b.n == 0)
		return 0;
	m.msg_iovlen = b.n;
	do {
		sent = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent == -1 && errno == EINTR);
	if (sent == -1)
		return -1;
	return (ssize_t)(content - owe_rest(&b, (size_t)sent, end.n > 0, owed));
}
