/*
 * cgihead: the header block of a CGI answer (RFC 3875 6.2, 6.3), taken in as
 * it arrives [SPEC 4.4, E41 to E66].
 */
#ifndef CGIHEAD_H
#define CGIHEAD_H

#include "buf.h"
#include "field.h"

enum { CGIHEAD_FIELDS_MAX = 256 };

enum cgihead_state { CGIHEAD_MORE, CGIHEAD_DONE, CGIHEAD_BAD };

struct cgihead {
	enum cgihead_state state;
	const char *fault; /* on CGIHEAD_BAD: what was wrong, for the log */
	bool no_memory;    /* that was wrong, and not the block */
	struct buf raw;
	size_t line; /* where in raw the line begins that is not yet whole */
	unsigned status;    /* 200 to 599; 0 where none was given */
	struct span phrase; /* what stood behind it; may be empty or absent */
	bool has_length;
	uint64_t length; /* Content-Length, where has_length */
	size_t nfields;  /* until CGIHEAD_DONE: the lines so far */
	/*
	 * On CGIHEAD_DONE: the fields in their order, without Status, a status
	 * line, and equal repetitions of Content-Length.  They point into raw;
	 * values are trimmed.
	 */
	struct field *fields;
};

/* For a block of at most max bytes [max_header]. */
void cgihead_init(struct cgihead *h, size_t max);

/*
 * Takes in the next bytes and says how many of them were header; from
 * CGIHEAD_DONE on, the rest is body.  CGIHEAD_BAD for whatever SPEC 4.4 calls
 * a bad answer, for a block over max, and where memory is out; *used is then
 * all of in.  Any split of the same bytes gives the same result.
 */
enum cgihead_state cgihead_feed(struct cgihead *h, struct span in,
    size_t *used);

/* The first field of this name, in any case; NULL where there is none. */
const struct field *cgihead_find(const struct cgihead *h, struct span name);

void cgihead_free(struct cgihead *h);

#endif
