#include "cdblist.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cdb.h>

#include "cdbfile.h"

enum {
	/* the header and the marker's whole record, at its longest */
	HEAD_MAX = CDBFILE_HEADER + CDBFILE_LENGTHS + sizeof(CDBFILE_KEY) - 1 +
	    CDBFILE_MARKER_MAX,
	RECORD_MAX = CDBFILE_LENGTHS + RULES_KEY_MAX + CDBFILE_RULE,
	WINDOW = 16 /* slots that are read at once: most walks are shorter */
};

struct cdblist {
	int fd;
	bool wide;
	uint64_t rules;
	struct stamp stamp;
	size_t head;       /* bytes up to the marker's end */
	uint64_t head_sum; /* of them */
	struct cdbfile_table table[CDBFILE_TABLES];
	char text[]; /* the text list's name */
};

/* Up to n bytes, fewer only at the file's end; -1 with errno. */
static ssize_t
read_at(int fd, void *p, size_t n, uint64_t position)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = pread(fd, (char *)p + got, n - got,
		    (off_t)(position + got));

		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1)
			return -1;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

/* --- opening */

struct opening {
	const char *file;
	bool fold_local;
	int fd;
	struct stat st;
	size_t n; /* bytes in head */
	unsigned char head[HEAD_MAX];
	uint64_t end; /* where the tables end, and so the file */
	struct cdbfile_table table[CDBFILE_TABLES];
	size_t marker_end;
	struct cdbfile_marker marker;
	struct cdblist_fault *fault;
};

__attribute__((format(printf, 2, 3))) static bool
refuse(struct opening *o, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(o->fault->what, sizeof(o->fault->what), fmt, ap);
	va_end(ap);
	return false;
}

/* Nothing can be said of what it holds. */
static bool
refuse_unread(struct opening *o, const char *why)
{
	o->fault->unreadable = true;
	return refuse(o, "%s", why);
}

/*
 * The text list, once the marker is known.  One from standard input has the
 * compiled list's own name.
 */
static const char *
text_of(const struct opening *o, char out[CDBFILE_SOURCE_MAX + 1])
{
	struct span source = o->marker.source;
	struct stat st;

	if (source.p == NULL)
		return "LIST";
	memcpy(out, source.p, source.n);
	out[source.n] = '\0';
	if (stat(out, &st) == 0 && st.st_dev == o->st.st_dev &&
	    st.st_ino == o->st.st_ino)
		return "LIST";
	return out;
}

/* The command that would mend it. */
static void
expect_command(struct opening *o)
{
	const char *option =
	    o->fold_local ? "" : " --local-part-case=sensitive";
	char text[CDBFILE_SOURCE_MAX + 1];
	size_t size = sizeof(o->fault->expected);
	int n = snprintf(o->fault->expected, size,
	    "compile it again: amp-cors compile%s %s %s", option,
	    text_of(o, text), o->file);

	if (n < 0 || (size_t)n >= size)
		snprintf(o->fault->expected, size,
		    "compile it again with amp-cors compile%s", option);
}

static bool
open_file(struct opening *o)
{
	snprintf(o->fault->expected, sizeof(o->fault->expected),
	    "name a file of amp-cors compile that can be read");
	/* O_NONBLOCK: a FIFO in the file's place must not hang the start */
	o->fd = open(o->file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (o->fd == -1 || fstat(o->fd, &o->st) == -1)
		return refuse_unread(o, strerror(errno));
	if (S_ISDIR(o->st.st_mode))
		return refuse_unread(o, "is a directory");
	if (!S_ISREG(o->st.st_mode))
		return refuse_unread(o, "is not a regular file");
	return true;
}

static bool
read_head(struct opening *o)
{
	ssize_t n = read_at(o->fd, o->head, sizeof(o->head), 0);

	if (n == -1)
		return refuse_unread(o, strerror(errno));
	o->n = (size_t)n;
	return true;
}

static bool
truncated(struct opening *o, uint64_t size)
{
	return refuse(o, "is truncated: %jd of %ju bytes",
	    (intmax_t)o->st.st_size, (uintmax_t)size);
}

/* What would mend it; where it could not be read, open_file() has said it. */
static void
expect(struct opening *o)
{
	if (o->fault->unreadable)
		return;
	/* perhaps the text list itself, which no command must replace */
	if (o->n > 0 && !cdbfile_is_marked(o->head, o->n))
		snprintf(o->fault->expected, sizeof(o->fault->expected),
		    "name a file of amp-cors compile; a text list is named in "
		    "senders_file");
	else
		expect_command(o);
}

/* There is no marker: of what else it can be the header tells something. */
static bool
no_marker(struct opening *o)
{
	if (o->n == 0)
		return refuse(o, "is empty");
	if (o->n < CDBFILE_HEADER)
		return refuse(o,
		    "is no list of amp-cors compile, or truncated: %zu bytes",
		    o->n);
	if (cdbfile_tables(o->head, o->table, &o->end) &&
	    o->end > (uint64_t)o->st.st_size)
		return truncated(o, o->end);
	return refuse(o, "is no list of amp-cors compile");
}

static bool
read_marker(struct opening *o)
{
	const unsigned char *record = o->head + CDBFILE_HEADER;
	struct span value;

	if (!cdbfile_is_marked(o->head, o->n))
		return no_marker(o);
	value.p = (const char *)o->head + CDBFILE_MARKED;
	value.n = cdbfile_number(record + 4, 4);
	if (value.n > o->n - CDBFILE_MARKED)
		return no_marker(o);
	o->marker_end = CDBFILE_MARKED + value.n;
	switch (cdbfile_marker(value, &o->marker)) {
	case CDBFILE_GOOD:
		return true;
	case CDBFILE_OUTDATED:
		return refuse(o,
		    "has format %ju, and this version reads format %d",
		    (uintmax_t)cdbfile_number(o->head + CDBFILE_MARKED, 4),
		    CDBFILE_FORMAT);
	case CDBFILE_DAMAGED:
	default:
		o->marker.source.p = NULL;
		return refuse(o, "is damaged: its marker is not what it was");
	}
}

/* The marker is good: is all else what it says? */
static bool
check_marker(struct opening *o)
{
	const struct cdbfile_marker *m = &o->marker;

	if (m->size > (uint64_t)o->st.st_size)
		return truncated(o, m->size);
	if (m->size < (uint64_t)o->st.st_size)
		return refuse(o,
		    "is damaged: %jd bytes, not the %ju that it had",
		    (intmax_t)o->st.st_size, (uintmax_t)m->size);
	if (m->header != cdbfile_sum(0, o->head, CDBFILE_HEADER) ||
	    !cdbfile_tables(o->head, o->table, &o->end) || o->end != m->size ||
	    o->table[0].position < o->marker_end)
		return refuse(o, "is damaged: its header is not what it was");
	if (m->fold_local != o->fold_local)
		return refuse(o,
		    "was compiled for local_part_case = %s, not for %s",
		    m->fold_local ? "insensitive" : "sensitive",
		    o->fold_local ? "insensitive" : "sensitive");
	return true;
}

static bool
check_whole(struct opening *o)
{
	unsigned char block[CDBFILE_BLOCK];
	uint64_t sum = 0, at = 0;

	while (at < o->marker.size) {
		ssize_t n = read_at(o->fd, block, sizeof(block), at);

		if (n == -1)
			return refuse_unread(o, strerror(errno));
		if (n == 0)
			return refuse(o, "changes while it is read");
		if (at == 0)
			memset(block + o->marker_end - CDBFILE_SUMS, 0,
			    CDBFILE_SUMS);
		sum = cdbfile_sum(sum, block, (size_t)n);
		at += (size_t)n;
	}
	return sum == o->marker.whole ||
	    refuse(o, "is damaged: its bytes are not what they were");
}

static struct cdblist *
make(struct opening *o)
{
	struct span text = o->marker.source;
	struct cdblist *c = calloc(1, sizeof(*c) + text.n + 1);

	if (c == NULL) {
		refuse_unread(o, strerror(errno));
		return NULL;
	}
	c->fd = o->fd;
	c->wide = o->marker.wide;
	c->rules = o->marker.rules;
	c->stamp = stamp_of(&o->st);
	c->head = o->marker_end;
	c->head_sum = cdbfile_sum(0, o->head, c->head);
	memcpy(c->table, o->table, sizeof(c->table));
	memcpy(c->text, text.p, text.n);
	return c;
}

struct cdblist *
cdblist_open(const char *file, bool fold_local, bool whole,
    struct cdblist_fault *fault)
{
	struct opening o = { .file = file,
		.fold_local = fold_local,
		.fault = fault };
	struct cdblist *c = NULL;

	fault->unreadable = false;
	if (open_file(&o) && read_head(&o)) {
		if (read_marker(&o) && check_marker(&o) &&
		    (!whole || check_whole(&o)))
			c = make(&o);
		if (c == NULL)
			expect(&o);
	}
	if (c == NULL && o.fd != -1)
		close(o.fd);
	return c;
}

void
cdblist_free(struct cdblist *c)
{
	if (c == NULL)
		return;
	close(c->fd);
	free(c);
}

size_t
cdblist_count(const struct cdblist *c)
{
	return c->rules;
}

bool
cdblist_wide(const struct cdblist *c)
{
	return c->wide;
}

struct stamp
cdblist_stamp(const struct cdblist *c)
{
	return c->stamp;
}

const char *
cdblist_text(const struct cdblist *c)
{
	return c->text;
}

/* --- asking */

/* A key on its way through its table. */
struct walk {
	const struct cdblist *c;
	struct span key;
	uint32_t hash;
	struct cdbfile_table table;
	uint32_t first, n; /* the slots in window */
	unsigned char window[WINDOW * CDBFILE_SLOT];
};

enum found { FOUND_NOTHING, FOUND_ANOTHER, FOUND_RULE, FOUND_DAMAGE };

/* The bytes of one slot of the table; NULL: they are not to be had. */
static const unsigned char *
slot_at(struct walk *w, uint32_t slot)
{
	uint32_t left = w->table.slots - slot;

	if (slot < w->first || slot - w->first >= w->n) {
		size_t n = left < WINDOW ? left : WINDOW;

		if (read_at(w->c->fd, w->window, n * CDBFILE_SLOT,
			w->table.position + (uint64_t)slot * CDBFILE_SLOT) !=
		    (ssize_t)(n * CDBFILE_SLOT))
			return NULL;
		w->first = slot;
		w->n = (uint32_t)n;
	}
	return w->window + (size_t)(slot - w->first) * CDBFILE_SLOT;
}

/* The record that a slot of this hash points to. */
static enum found
look_at(const struct walk *w, uint32_t hash, uint32_t position,
    struct cdbfile_rule *out)
{
	unsigned char record[RECORD_MAX];
	uint32_t end = w->c->table[0].position;
	size_t n = sizeof(record), used;
	struct span key;

	if (position < CDBFILE_HEADER || position >= end)
		return FOUND_DAMAGE;
	if (n > end - position)
		n = end - position;
	if (n < CDBFILE_LENGTHS ||
	    read_at(w->c->fd, record, n, position) != (ssize_t)n)
		return FOUND_DAMAGE;
	key.p = (const char *)record + CDBFILE_LENGTHS;
	key.n = cdbfile_number(record, 4);
	if (key.n > RULES_KEY_MAX)
		return FOUND_DAMAGE;
	used = CDBFILE_LENGTHS + key.n + CDBFILE_RULE;
	if (used > n || cdbfile_number(record + 4, 4) != CDBFILE_RULE ||
	    cdb_hash(key.p, (unsigned)key.n) != hash ||
	    !cdbfile_rule(key, record + used - CDBFILE_RULE, out))
		return FOUND_DAMAGE;
	return span_eq(key, w->key) ? FOUND_RULE : FOUND_ANOTHER;
}

static enum found
look_into(const struct walk *w, const unsigned char *slot, uint32_t position,
    struct cdbfile_rule *out)
{
	uint32_t hash = (uint32_t)cdbfile_number(slot, 4);
	uint32_t record = (uint32_t)cdbfile_number(slot + 4, 4);

	if (record == 0)
		return hash == cdbfile_free(position) ? FOUND_NOTHING :
							FOUND_DAMAGE;
	if (hash % CDBFILE_TABLES != w->hash % CDBFILE_TABLES)
		return FOUND_DAMAGE;
	if (record == CDBFILE_HEADER)
		/* the marker's, which was read when the list was opened */
		return hash == cdb_hash(CDBFILE_KEY, sizeof(CDBFILE_KEY) - 1) ?
		    FOUND_ANOTHER :
		    FOUND_DAMAGE;
	/* also where the hash is another one: it may be that which is wrong */
	return look_at(w, hash, record, out);
}

static enum found
look_up(const struct cdblist *c, struct span key, struct cdbfile_rule *out)
{
	struct walk w = { .c = c, .key = key };
	enum found found = FOUND_ANOTHER;
	uint32_t slot;

	w.hash = cdb_hash(key.p, (unsigned)key.n);
	w.table = c->table[w.hash % CDBFILE_TABLES];
	if (w.table.slots == 0 || key.n > RULES_KEY_MAX)
		return FOUND_NOTHING;
	slot = w.hash / CDBFILE_TABLES % w.table.slots;
	for (uint32_t i = 0; found == FOUND_ANOTHER; i++) {
		const unsigned char *p = slot_at(&w, slot);

		/* half of a table is free */
		if (p == NULL || i == w.table.slots)
			return FOUND_DAMAGE;
		found = look_into(&w, p, w.table.position + slot * CDBFILE_SLOT,
		    out);
		slot = slot + 1 == w.table.slots ? 0 : slot + 1;
	}
	return found;
}

/*
 * Another time alone is no other list: somebody has touched the file.  The
 * marker, which sums up the whole, tells; records and slots have their own
 * checks.
 */
static bool
is_changed(const struct cdblist *c)
{
	const struct stamp *was = &c->stamp;
	unsigned char head[HEAD_MAX];
	struct stat st;

	if (fstat(c->fd, &st) == -1 || st.st_size != was->size)
		return true;
	if (st.st_mtim.tv_sec == was->mtime.tv_sec &&
	    st.st_mtim.tv_nsec == was->mtime.tv_nsec)
		return false;
	return read_at(c->fd, head, c->head, 0) != (ssize_t)c->head ||
	    cdbfile_sum(0, head, c->head) != c->head_sum;
}

static enum rules_answer
find(void *ctx, const struct rules_keys *keys, size_t *level,
    struct rules_at *at)
{
	const struct cdblist *c = ctx;

	if (is_changed(c))
		return RULES_ERROR;
	for (size_t i = 0; i < keys->n; i++) {
		struct cdbfile_rule rule;
		enum found found = look_up(c, keys->key[i], &rule);

		if (found == FOUND_NOTHING)
			continue;
		if (found != FOUND_RULE)
			return RULES_ERROR;
		*level = i;
		*at = (struct rules_at){ c->text, rule.line };
		return rule.deny ? RULES_DENY : RULES_ALLOW;
	}
	return RULES_NONE;
}

struct rules_source
cdblist_source(struct cdblist *c)
{
	return (struct rules_source){ .find = find, .ctx = c };
}
