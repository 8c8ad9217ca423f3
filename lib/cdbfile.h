/*
 * cdbfile: what a compiled list holds that not every cdb does [SPEC 3.7, 6.8].
 *
 * A cdb has a header (256 tables: position and slots), records (length of key,
 * length of value, key, value), and the tables (slots: hash, position).  In a
 * compiled list the first record is the marker, every record's value ends with
 * a checksum of its own, and the hash of a free slot is not zero but what its
 * place says; cdb's own readers do not look at it.  So every byte that an
 * answer rests on is checked when it is read, without reading all of the file.
 *
 * All numbers are little-endian.
 */
#ifndef CDBFILE_H
#define CDBFILE_H

#include "span.h"

/* No rule's key: it has a blank. */
#define CDBFILE_KEY "amp-cors list"

enum {
	CDBFILE_FORMAT = 1,
	CDBFILE_TABLES = 256,
	CDBFILE_HEADER = 2048, /* the marker's record begins here */
	CDBFILE_LENGTHS = 8,   /* at the head of a record */
	/* where the marker's value begins */
	CDBFILE_MARKED =
	    CDBFILE_HEADER + CDBFILE_LENGTHS + sizeof(CDBFILE_KEY) - 1,
	CDBFILE_SLOT = 8,
	CDBFILE_RULE = 8,  /* a rule's value */
	CDBFILE_SUMS = 16, /* at the end of the marker's value */
	/* the marker's value: what stands in front of the source, and all */
	CDBFILE_FIXED = 32,
	CDBFILE_SOURCE_MAX = 4095,
	CDBFILE_MARKER_MAX = CDBFILE_FIXED + CDBFILE_SOURCE_MAX + CDBFILE_SUMS,
	/* files are summed up by this much at once: the marker is in the first
	 * piece */
	CDBFILE_BLOCK = 32768
};

/* The number in n bytes, 8 at most. */
uint64_t cdbfile_number(const unsigned char *p, size_t n);
void cdbfile_put_number(unsigned char *p, size_t n, uint64_t number);

/*
 * Adds n bytes to a checksum, which begins as 0.  Where more follows, n must
 * be a multiple of 8.  Any one byte that changes changes the sum.
 */
uint64_t cdbfile_sum(uint64_t sum, const void *p, size_t n);

struct cdbfile_table {
	uint32_t position, slots;
};

/*
 * The tables that a header tells of.  True where they lie behind each other,
 * behind the header, and end where a 32-bit position can point; *end is then
 * the file's size.  The first one's position is where the records end.
 */
bool cdbfile_tables(const unsigned char header[CDBFILE_HEADER],
    struct cdbfile_table out[CDBFILE_TABLES], uint64_t *end);

/*
 * Are the first n bytes of a file those of a cdb whose first key is ours?  So
 * a compiled list is told from any other file, also one that is damaged.
 */
bool cdbfile_is_marked(const unsigned char *head, size_t n);

/* The hash that the free slot at this position has. */
uint32_t cdbfile_free(uint32_t position);

struct cdbfile_rule {
	bool deny;
	uint32_t line; /* below 1 << 31 */
};

/* The value of a rule; false: not one that cdbfile_put_rule() made. */
void cdbfile_put_rule(struct span key, const struct cdbfile_rule *rule,
    unsigned char value[CDBFILE_RULE]);
bool cdbfile_rule(struct span key, const unsigned char value[CDBFILE_RULE],
    struct cdbfile_rule *out);

struct cdbfile_marker {
	bool fold_local;
	bool wide;          /* a rule allows more than one address */
	uint64_t rules;     /* keys beside the marker's */
	uint64_t size;      /* of the file, in bytes */
	uint64_t header;    /* its checksum */
	uint64_t whole;     /* the file's, its last CDBFILE_SUMS as zeros */
	struct span source; /* the text list's absolute path */
};

/* The marker's value, and its length. */
size_t cdbfile_put_marker(const struct cdbfile_marker *m,
    unsigned char value[CDBFILE_MARKER_MAX]);

/*
 * Reads one; source points into value.  CDBFILE_OUTDATED: of another format,
 * of which nothing else is known, *out included.
 */
enum cdbfile_state { CDBFILE_GOOD, CDBFILE_OUTDATED, CDBFILE_DAMAGED };
enum cdbfile_state cdbfile_marker(struct span value,
    struct cdbfile_marker *out);

#endif
