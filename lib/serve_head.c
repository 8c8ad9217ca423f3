#include "serve_head.h"

#include <netdb.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>

/*
 * What libfcgi reads in this thread.  It has one function for that, and the
 * linker puts ours in its place (see Makefile): so the head costs no pipe and
 * no system call, and libfcgi never sees a web server's socket.
 */
static _Thread_local struct span unread;

int serve_head_give(int fd, char *to, size_t size) __asm__("__wrap_OS_Read");

int
serve_head_give(int fd, char *to, size_t size)
{
	size_t n = unread.n < size ? unread.n : size;

	(void)fd;
	if (n > 0)
		memcpy(to, unread.p, n);
	unread = span_skip(unread, n);
	return (int)n;
}

/*
 * libfcgi has a client's part too, which is never called; it would bring the
 * resolver along, and that cannot be linked statically.
 */
struct hostent *serve_head_resolve(const char *name) __asm__(
    "__wrap_gethostbyname");

struct hostent *
serve_head_resolve(const char *name)
{
	(void)name;
	return NULL;
}

/*
 * Where memory is refused, libfcgi ends the process.  So it asks us for it (see
 * Makefile); then the reading ends instead, and what it had is given back.
 */
struct serve_head_block {
	struct serve_head_block *next, **at; /* at: NULL in no list */
	max_align_t bytes[];
};

static _Thread_local struct {
	struct serve_head *head; /* that is read; NULL: none */
	jmp_buf refused;
} reading;

void *serve_head_malloc(size_t n);
void *serve_head_realloc(void *p, size_t n);
void serve_head_drop(void *p);

static void
unlink_block(struct serve_head_block *b)
{
	if (b->at == NULL)
		return;
	*b->at = b->next;
	if (b->next != NULL)
		b->next->at = b->at;
}

static void
link_block(struct serve_head_block *b, struct serve_head_block **at)
{
	b->next = NULL;
	b->at = at;
	if (at == NULL)
		return;
	b->next = *at;
	if (b->next != NULL)
		b->next->at = &b->next;
	*at = b;
}

/* It lies elsewhere now. */
static void
moved_block(struct serve_head_block *b)
{
	if (b->at == NULL)
		return;
	*b->at = b;
	if (b->next != NULL)
		b->next->at = &b->next;
}

void *
serve_head_malloc(size_t n)
{
	struct serve_head_block *b = malloc(sizeof(*b) + n);

	if (b == NULL && reading.head != NULL)
		longjmp(reading.refused, 1);
	if (b == NULL)
		return NULL;
	link_block(b, reading.head == NULL ? NULL : &reading.head->blocks);
	return b->bytes;
}

static struct serve_head_block *
block_of(void *p)
{
	return (void *)((char *)p - sizeof(struct serve_head_block));
}

void *
serve_head_realloc(void *p, size_t n)
{
	struct serve_head_block *b = p == NULL ? NULL : block_of(p), *more;

	if (b == NULL)
		return serve_head_malloc(n);
	more = realloc(b, sizeof(*b) + n);
	if (more == NULL && reading.head != NULL)
		longjmp(reading.refused, 1);
	if (more == NULL)
		return NULL;
	moved_block(more);
	return more->bytes;
}

void
serve_head_drop(void *p)
{
	if (p == NULL)
		return;
	unlink_block(block_of(p));
	free(block_of(p));
}

static void
drop_all(struct serve_head *h)
{
	struct serve_head_block *b;

	while ((b = h->blocks) != NULL) {
		h->blocks = b->next;
		free(b);
	}
}

/* A descriptor that it neither has, nor opens one for, nor can close. */
enum { NO_FD = 0x3FFFFFFF };

bool
serve_head_open(void)
{
	if (FCGX_Init() != 0)
		return false;
	/* its handlers would run in a child of vfork(2), in our memory */
	signal(SIGPIPE, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
	return true;
}

static bool
accept_request(FCGX_Request *r)
{
	FCGX_InitRequest(r, -1, 0);
	r->ipcFd = NO_FD;
	r->keepConnection = 1; /* else it begins by closing ipcFd */
	if (FCGX_Accept_r(r) != 0)
		return false;
	/* the variables are all that was wanted */
	FCGX_FreeStream(&r->in);
	FCGX_FreeStream(&r->out);
	FCGX_FreeStream(&r->err);
	return true;
}

static void
accept_head(struct serve_head *h)
{
	reading.head = h;
	h->read = setjmp(reading.refused) == 0 && accept_request(&h->request);
	reading.head = NULL;
	if (!h->read)
		drop_all(h);
}

char *const *
serve_head_read(struct serve_head *h, const struct screen *s)
{
	struct buf head;

	buf_init(&head, SCREEN_HEAD_MAX);
	screen_head(s, &head);
	unread = buf_span(&head);
	if (!head.failed)
		accept_head(h);
	buf_free(&head);
	return h->read ? h->request.envp : NULL;
}

void
serve_head_free(struct serve_head *h)
{
	if (!h->read)
		return;
	h->request.ipcFd = -1;
	FCGX_Free(&h->request, 0);
	h->read = false;
}
