/*
 * records: what a socket takes, at once or bit by bit, and what is left.
 */
#include "records.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "talk.h"
#include "tap.h"

enum { ID = 0x1234, LONGEST = 5 * RECORDS_CONTENT / 4 };

static char text[LONGEST];

struct line {
	int fd[2]; /* ours, and the peer's */
	struct buf owed, heard;
};

/* A connection that takes so many bytes at a time, about. */
static void
line_open(struct line *l, int size)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, l->fd) == -1)
		bail();
	setsockopt(l->fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	fcntl(l->fd[1], F_SETFL, O_NONBLOCK);
	buf_init(&l->owed, TALK_MAX);
	buf_init(&l->heard, TALK_MAX);
}

static void
line_close(struct line *l)
{
	close(l->fd[0]);
	close(l->fd[1]);
	buf_free(&l->owed);
	buf_free(&l->heard);
}

static void
hear(struct line *l)
{
	char *room = must(buf_room(&l->heard, 1 << 16));
	ssize_t n = read(l->fd[1], room, 1 << 16);

	l->heard.n += n > 0 ? (size_t)n : 0;
}

/* What is owed must go out before anything else. */
static void
settle(struct line *l)
{
	while (l->owed.n > 0) {
		ssize_t n = send(l->fd[0], l->owed.p, l->owed.n, MSG_DONTWAIT);

		if (n > 0)
			buf_drop(&l->owed, (size_t)n);
		hear(l);
	}
}

/* text[0..n), cut there, until all is on its way; how many calls took any. */
static unsigned
say(struct line *l, size_t n, size_t cut, struct span end)
{
	unsigned calls = 0;
	size_t at = 0;

	do {
		size_t mid = cut > at ? cut - at : 0;
		const struct span v[] = { { text + at, mid }, { NULL, 0 },
			{ text + at + mid, n - at - mid } };
		ssize_t took;

		settle(l);
		took = records_send(l->fd[0], ID, v, 3, end, &l->owed);
		if (took == -1 && (errno != EAGAIN || l->owed.n > 0))
			bail();
		hear(l);
		at += took < 0 ? 0 : (size_t)took;
		calls += took >= 0;
	} while (at < n);
	settle(l);
	for (size_t had = SIZE_MAX; had != l->heard.n;) {
		had = l->heard.n;
		hear(l);
	}
	return calls;
}

/* The content of what has come; the last record's type is left in *type. */
static size_t
content_of(const struct line *l, unsigned *type)
{
	struct span rest = buf_span(&l->heard), content;
	size_t n = 0;
	unsigned id;

	*type = 0;
	while (talk_cut(&rest, type, &id, &content)) {
		if (*type != WIRE_STDOUT)
			continue;
		if (id != ID || content.n == 0 || n + content.n > LONGEST ||
		    memcmp(content.p, text + n, content.n) != 0)
			return SIZE_MAX;
		n += content.n;
	}
	return rest.n == 0 ? n : SIZE_MAX;
}

static void
test_sizes(int size)
{
	static const size_t sizes[] = { 0, 1, 65534, 65535, 65536, 131070,
		131071, RECORDS_CONTENT - 1, RECORDS_CONTENT,
		RECORDS_CONTENT + 1, LONGEST };
	static const size_t cuts[] = { 0, 1, 100, 65535, 65536, 200000 };
	unsigned type;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (size_t k = 0; k < sizeof(cuts) / sizeof(*cuts); k++) {
			size_t n = sizes[i];
			struct line l;

			if (cuts[k] > n)
				continue;
			line_open(&l, size);
			say(&l, n, cuts[k], SPAN(""));
			ok(content_of(&l, &type) == n,
			    "%zu bytes in pieces of %zu and the rest, %d", n,
			    cuts[k], size);
			line_close(&l);
		}
}

/* Small ones go out together: no call for each. */
static void
test_whole(void)
{
	struct line l;

	line_open(&l, 200000);
	ok(say(&l, 65535 + 20, 20, SPAN("")) == 1, "two records at once");
	line_close(&l);
}

/* A socket that is full takes nothing; one with little room, whole records. */
static void
test_part(void)
{
	struct span all = { text, LONGEST };
	struct line l;
	ssize_t took;

	line_open(&l, 1);
	took = records_send(l.fd[0], ID, &all, 1, SPAN(""), &l.owed);
	ok(took == 65535 && l.owed.n > 0 && l.owed.n < 65535,
	    "the record that has begun is taken, the others are not");
	took = records_send(l.fd[0], ID, &all, 1, SPAN(""), &l.owed);
	ok(took == -1 && errno == EAGAIN, "a full socket takes nothing");
	line_close(&l);
}

/* What ends an answer follows all of it, also in a socket with no room. */
static void
test_end(size_t n, int size)
{
	struct buf end;
	struct line l;
	unsigned type;

	buf_init(&end, 100);
	wire_add_eof(&end, WIRE_STDERR, ID);
	wire_add_end(&end, ID, 0, WIRE_REQUEST_COMPLETE);
	line_open(&l, size);
	say(&l, n, n / 2, buf_span(&end));
	ok(content_of(&l, &type) == n && type == WIRE_END_REQUEST,
	    "%zu bytes, and the end behind them, %d", n, size);
	line_close(&l);
	buf_free(&end);
}

static void
test_gone(void)
{
	const struct span v = { text, 10 };
	struct line l;

	line_open(&l, 1000);
	close(l.fd[1]);
	ok(records_send(l.fd[0], ID, &v, 1, SPAN(""), &l.owed) == -1 &&
		errno == EPIPE && l.owed.n == 0,
	    "nobody is left, which is no signal");
	l.fd[1] = -1;
	line_close(&l);
}

int
main(void)
{
	static const int rooms[] = { 1, 20000, 200000 };

	for (size_t i = 0; i < LONGEST; i++)
		text[i] = (char)(i * 7 % 253);
	for (int i = 0; i < 3; i++) {
		test_sizes(rooms[i]);
		test_end(0, rooms[i]);
		test_end(1, rooms[i]);
		test_end(16384, rooms[i]);
	}
	test_whole();
	test_part();
	test_gone();
	return tap_done();
}
