#include "cdbwrite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cdb.h>

#include "beside.h"
#include "cdbfile.h"

struct cdbwrite {
	struct beside file;
	struct cdb_make make;
	bool making;   /* make has memory of libcdb's */
	uint64_t size; /* that it will have, as far as it is known */
	uint64_t max;
	struct cdbfile_marker marker;
	char text[]; /* of the marker's source */
};

static const char *
too_large(void)
{
	errno = EFBIG;
	return "would be larger than a cdb can be: 4 GiB";
}

/* --- beginning */

/* False with errno: also where the file has fewer bytes. */
static bool
read_all(int fd, unsigned char *p, size_t n, uint64_t position)
{
	while (n > 0) {
		ssize_t r = pread(fd, p, n, (off_t)position);

		if (r == -1 && errno == EINTR)
			continue;
		if (r == 0)
			errno = EIO;
		if (r <= 0)
			return false;
		p += r;
		n -= (size_t)r;
		position += (uint64_t)r;
	}
	return true;
}

/* False with errno where that cannot be read. */
static bool
read_marked(const struct beside *b, bool *marked)
{
	unsigned char head[CDBFILE_MARKED];
	bool good;
	int fd, error;

	*marked = false;
	if (b->old.st_size < CDBFILE_MARKED)
		return true;
	/* O_NONBLOCK: it was a regular file, but may be another by now */
	fd = open(b->file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd == -1)
		return false;
	good = read_all(fd, head, sizeof(head), 0);
	error = errno;
	close(fd);
	errno = error;
	*marked = good && cdbfile_is_marked(head, sizeof(head));
	return good;
}

/* A name that is mistyped must cost nobody a policy or a text list. */
static const char *
spare_others(const struct beside *b)
{
	bool marked;

	if (!b->replaces || b->old.st_size == 0)
		return NULL;
	if (!read_marked(b, &marked))
		return strerror(errno);
	if (marked)
		return NULL;
	errno = EEXIST;
	return "is there, and is no list of amp-cors compile; name another "
	       "file, or remove it";
}

static const char *
begin(struct cdbwrite *w, const char *file)
{
	const char *fault = beside_open(file, beside_masked(0644), &w->file);

	if (fault == NULL)
		fault = spare_others(&w->file);
	if (fault != NULL)
		return fault;
	if (cdb_make_start(&w->make, w->file.fd) == -1)
		return strerror(errno);
	w->making = true;
	return NULL;
}

/* A record and its slots: there are two for each. */
static const char *
add(struct cdbwrite *w, struct span key, const unsigned char *value, size_t n)
{
	uint64_t more = CDBFILE_LENGTHS + key.n + n + 2 * CDBFILE_SLOT;

	if (w->size + more > w->max)
		return too_large();
	if (cdb_make_add(&w->make, key.p, (unsigned)key.n, value,
		(unsigned)n) == -1)
		return strerror(errno);
	w->size += more;
	return NULL;
}

/* Its place is the first; what it says is known at the end. */
static const char *
add_marker(struct cdbwrite *w)
{
	unsigned char value[CDBFILE_MARKER_MAX];

	return add(w, SPAN(CDBFILE_KEY), value,
	    cdbfile_put_marker(&w->marker, value));
}

const char *
cdbwrite_open(const char *file, const struct cdbwrite_about *about,
    struct cdbwrite **out)
{
	size_t n = strlen(about->text);
	struct cdbwrite *w;
	const char *fault;

	if (n > CDBFILE_SOURCE_MAX) {
		errno = ENAMETOOLONG;
		return "cannot hold so long a name of its text list";
	}
	w = calloc(1, sizeof(*w) + n + 1);
	if (w == NULL)
		return strerror(errno);
	w->size = CDBFILE_HEADER;
	w->max = about->max;
	memcpy(w->text, about->text, n);
	w->marker = (struct cdbfile_marker){ .fold_local = about->fold_local,
		.wide = about->wide,
		.source = { w->text, n } };
	fault = begin(w, file);
	if (fault == NULL)
		fault = add_marker(w);
	if (fault == NULL)
		*out = w;
	else
		cdbwrite_free(w);
	return fault;
}

void
cdbwrite_free(struct cdbwrite *w)
{
	int error = errno;

	if (w == NULL)
		return;
	if (w->making) {
		/* it has no other way to free what it has than to finish */
		w->make.cdb_fd = -1;
		cdb_make_finish(&w->make);
	}
	beside_free(&w->file);
	free(w);
	errno = error;
}

const char *
cdbwrite_add(struct cdbwrite *w, struct span key, bool deny, uint32_t line)
{
	struct cdbfile_rule rule = { .deny = deny, .line = line };
	unsigned char value[CDBFILE_RULE];
	const char *fault;

	cdbfile_put_rule(key, &rule, value);
	fault = add(w, key, value, sizeof(value));
	w->marker.rules += fault == NULL;
	return fault;
}

/* --- finishing */

static bool
write_all(int fd, const unsigned char *p, size_t n, uint64_t position)
{
	while (n > 0) {
		ssize_t r = pwrite(fd, p, n, (off_t)position);

		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1)
			return false;
		p += r;
		n -= (size_t)r;
		position += (uint64_t)r;
	}
	return true;
}

static size_t
piece(uint64_t position, uint64_t end)
{
	return end - position < CDBFILE_BLOCK ? (size_t)(end - position) :
						CDBFILE_BLOCK;
}

/* From the end of the records to that of the file there are slots alone. */
static bool
mark_free_slots(struct cdbwrite *w, uint64_t position)
{
	unsigned char block[CDBFILE_BLOCK];
	size_t n;

	for (; position < w->size; position += n) {
		n = piece(position, w->size);
		if (!read_all(w->file.fd, block, n, position))
			return false;
		for (size_t i = 0; i < n; i += CDBFILE_SLOT)
			if (cdbfile_number(block + i + 4, 4) == 0)
				cdbfile_put_number(block + i, 4,
				    cdbfile_free((uint32_t)(position + i)));
		if (!write_all(w->file.fd, block, n, position))
			return false;
	}
	return true;
}

static bool
put_marker(struct cdbwrite *w)
{
	unsigned char value[CDBFILE_MARKER_MAX];
	size_t n = cdbfile_put_marker(&w->marker, value);

	return write_all(w->file.fd, value, n, CDBFILE_MARKED);
}

/* What the reader's check_whole() expects. */
static bool
sum_up(struct cdbwrite *w)
{
	size_t sums = CDBFILE_MARKED + CDBFILE_FIXED + w->marker.source.n;
	unsigned char block[CDBFILE_BLOCK];
	uint64_t sum = 0;
	size_t n;

	for (uint64_t at = 0; at < w->size; at += n) {
		n = piece(at, w->size);
		if (!read_all(w->file.fd, block, n, at))
			return false;
		if (at == 0)
			memset(block + sums, 0, CDBFILE_SUMS);
		sum = cdbfile_sum(sum, block, n);
	}
	w->marker.whole = sum;
	return true;
}

static bool
complete(struct cdbwrite *w)
{
	unsigned char header[CDBFILE_HEADER];
	struct cdbfile_table table[CDBFILE_TABLES];
	uint64_t end;

	if (!read_all(w->file.fd, header, sizeof(header), 0))
		return false;
	if (!cdbfile_tables(header, table, &end) || end != w->size) {
		errno = EIO;
		return false;
	}
	w->marker.size = w->size;
	w->marker.header = cdbfile_sum(0, header, sizeof(header));
	return mark_free_slots(w, table[0].position) && put_marker(w) &&
	    sum_up(w) && put_marker(w);
}

static const char *
finish_make(struct cdbwrite *w)
{
	w->making = false; /* all of it is freed, whatever happens */
	if (cdb_make_finish(&w->make) == 0)
		return NULL;
	/* so libcdb says that there is no memory for the tables */
	if (errno == ENOENT)
		errno = ENOMEM;
	return strerror(errno);
}

const char *
cdbwrite_finish(struct cdbwrite *w, uint64_t *size)
{
	const char *fault = finish_make(w);

	if (fault != NULL)
		return fault;
	if (!complete(w))
		return strerror(errno);
	fault = beside_finish(&w->file, true);
	if (w->file.made == NULL)
		*size = w->size;
	return fault;
}
