/*
 * refuse: memory that is refused when a test says so.  Linked into a program,
 * it stands in the place of libc's allocator for all of it, for its libraries
 * and for libc itself.
 *
 * TORTURE names a file of four numbers of 64 bits, which the tests read and
 * write while the program runs; all of its processes share them:
 *
 *	asked	allocations so far
 *	first	the number of the first one that is refused
 *	last	and of the last one
 *	refused	how many were
 *
 * Without TORTURE nothing is refused.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define REAL(name) __interceptor_##name
#endif
#endif
#ifndef REAL
#define REAL(name) __libc_##name
#endif

void *REAL(malloc)(size_t);
void *REAL(calloc)(size_t, size_t);
void *REAL(realloc)(void *, size_t);

struct shared {
	_Atomic uint64_t asked, first, last, refused;
};

typedef int getattr_fn(pthread_t, pthread_attr_t *);

static struct shared *shared;
static getattr_fn *real_getattr;
static _Thread_local bool spared;

__attribute__((constructor)) static void
refuse_begin(void)
{
	const char *file = getenv("TORTURE");
	int fd = file == NULL ? -1 : open(file, O_RDWR | O_CLOEXEC);
	void *p;

	if (fd == -1)
		return;
	real_getattr =
	    (getattr_fn *)(uintptr_t)dlsym(RTLD_NEXT, "pthread_getattr_np");
	p = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
	    0);
	close(fd);
	if (p != MAP_FAILED)
		shared = p;
}

static bool
refused(void)
{
	uint64_t n;

	if (shared == NULL || spared)
		return false;
	n = atomic_fetch_add(&shared->asked, 1) + 1;
	if (n < atomic_load(&shared->first) || n > atomic_load(&shared->last))
		return false;
	atomic_fetch_add(&shared->refused, 1);
	errno = ENOMEM;
	return true;
}

void *
malloc(size_t n)
{
	return refused() ? NULL : REAL(malloc)(n);
}

void *
calloc(size_t n, size_t size)
{
	return refused() ? NULL : REAL(calloc)(n, size);
}

void *
realloc(void *p, size_t n)
{
	return refused() ? NULL : REAL(realloc)(p, n);
}

/* The sanitizers ask for it in each new thread, and cannot do without. */
int
pthread_getattr_np(pthread_t thread, pthread_attr_t *attr)
{
	int error;

	if (real_getattr == NULL)
		return EAGAIN;
	spared = true;
	error = real_getattr(thread, attr);
	spared = false;
	return error;
}

/* The sanitizers have these of their own, which do not come by malloc(). */
char *
strndup(const char *s, size_t most)
{
	size_t n = strnlen(s, most);
	char *p = malloc(n + 1);

	if (p != NULL) {
		memcpy(p, s, n);
		p[n] = '\0';
	}
	return p;
}

char *
strdup(const char *s)
{
	return strndup(s, SIZE_MAX - 1);
}
