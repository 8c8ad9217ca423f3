/*
 * What a backend says to a request, and then closes.  The first two bytes
 * choose where that is cut, and into how much room it is read.
 */
#include "fuzz.h"

#include <sys/socket.h>

#include <unistd.h>

#include "answer.h"

enum { EVERY_CUT = 100, LONG = 32768 };

/* The inner side of a forward, from one that was started in order. */
static const struct handler_way *way;
static struct forward_backend *backend;

static void
learn(void)
{
	const struct forward_request r = { .file = -1 };
	static char address[64];
	char folder[] = "/tmp/amp-fuzz-XXXXXX", fault[256];
	const struct io_listen o = { .address = address, .mode = 0600 };
	struct forward f;
	int fd;

	FUZZ_HOLDS(mkdtemp(folder) != NULL);
	snprintf(address, sizeof(address), "unix:%s/s", folder);
	fd = io_listen(&o, fault, sizeof(fault));
	backend = forward_backend_new(address, 0);
	FUZZ_HOLDS(fd != -1 && backend != NULL);
	FUZZ_HOLDS(forward_start(&f, backend, &r) == REASON_OK);
	way = f.h.way;
	forward_end(&f);
	close(fd);
	unlink(address + strlen("unix:"));
	rmdir(folder);
}

struct talk_pair {
	struct forward f;
	struct answer a;
	int fd; /* the backend's end */
};

static void
meet(struct talk_pair *t, size_t room)
{
	int fd[2];

	FUZZ_HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	t->fd = fd[1];
	t->f = (struct forward){
		.h = { .way = way, .in = fd[0], .out = fd[0], .err = -1 },
		.backend = backend,
		.why = REASON_BACKEND_REFUSED,
		.connected = true,
		.sent_all = true,
		.file = -1
	};
	wire_reader_init(&t->f.reader);
	buf_init(&t->f.owed, 64);
	answer_init(&t->a, room);
}

static void
part(struct talk_pair *t)
{
	forward_end(&t->f);
	FUZZ_HOLDS(t->f.h.in == -1 && t->f.h.out == -1);
	answer_free(&t->a);
	if (t->fd != -1)
		close(t->fd);
}

static void
say(struct talk_pair *t, struct span s)
{
	if (s.n > 0)
		FUZZ_HOLDS(write(t->fd, s.p, s.n) == (ssize_t)s.n);
	answer_take(&t->a, &t->f.h);
}

/* All of it: the first `cut` bytes, and the rest in steps. */
static void
hear(struct talk_pair *t, struct span said, size_t cut, size_t step)
{
	say(t, (struct span){ said.p, cut });
	for (size_t i = cut; i < said.n; i += step)
		say(t,
		    (struct span){ said.p + i,
			said.n - i < step ? said.n - i : step });
	close(t->fd);
	t->fd = -1;
	answer_take(&t->a, &t->f.h);
}

static void
check_alone(const struct talk_pair *t, struct span said)
{
	const struct handler *h = &t->f.h;

	FUZZ_HOLDS(!t->a.wrong && t->a.over);
	FUZZ_HOLDS(t->a.out.n + t->a.errors.n <= said.n);
	FUZZ_HOLDS(t->f.spoke == (t->a.out.n > 0));
	FUZZ_HOLDS(t->a.fate.headless != REASON_OK);
	FUZZ_HOLDS(t->f.state != FORWARD_GOES_ON);
	/* whatever is not in order is told */
	FUZZ_HOLDS((t->a.fate.cut == REASON_OK && h->status == 0) ==
	    (*h->note == '\0'));
	FUZZ_HOLDS(t->f.state == FORWARD_ENDED ||
	    (t->a.fate.cut != REASON_OK && h->status == 0));
}

static void
check_split(const struct talk_pair *whole, struct span said, size_t cut,
    size_t step, size_t room)
{
	struct talk_pair t;

	meet(&t, room);
	hear(&t, said, cut, step);
	check_alone(&t, said);
	FUZZ_HOLDS(answer_same(&t.a, &whole->a));
	FUZZ_HOLDS(t.f.state == whole->f.state &&
	    t.f.h.status == whole->f.h.status &&
	    strcmp(t.f.h.note, whole->f.h.note) == 0);
	part(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span said;
	struct talk_pair whole;
	size_t cut, room;

	if (size < 2 || size > LONG)
		return 0;
	if (way == NULL)
		learn();
	said = (struct span){ (const char *)data + 2, size - 2 };
	cut = data[0] * said.n / 256;
	room = 1 + data[1];
	meet(&whole, ANSWER_ROOM);
	hear(&whole, said, said.n, 1);
	check_alone(&whole, said);
	check_split(&whole, said, cut, LONG, room);
	check_split(&whole, said, 0, 1 + said.n / EVERY_CUT, room);
	for (cut = 1; said.n <= EVERY_CUT && cut < said.n; cut++)
		check_split(&whole, said, cut, LONG, ANSWER_ROOM);
	part(&whole);
	return 0;
}
