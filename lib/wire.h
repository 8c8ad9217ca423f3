/*
 * wire: FastCGI records as bytes (FastCGI specification 3 and 8).  Knows no
 * socket.
 */
#ifndef WIRE_H
#define WIRE_H

#include "buf.h"
#include "field.h"

enum wire_type {
	WIRE_BEGIN_REQUEST = 1,
	WIRE_ABORT_REQUEST,
	WIRE_END_REQUEST,
	WIRE_PARAMS,
	WIRE_STDIN,
	WIRE_STDOUT,
	WIRE_STDERR,
	WIRE_DATA,
	WIRE_GET_VALUES,
	WIRE_GET_VALUES_RESULT,
	WIRE_UNKNOWN_TYPE
};

enum wire_role { WIRE_RESPONDER = 1, WIRE_AUTHORIZER, WIRE_FILTER };

enum wire_protocol_status {
	WIRE_REQUEST_COMPLETE,
	WIRE_CANT_MPX_CONN,
	WIRE_OVERLOADED,
	WIRE_UNKNOWN_ROLE
};

enum {
	WIRE_VERSION = 1,
	WIRE_HEADER_SIZE = 8,
	WIRE_CONTENT_MAX = 65535,
	WIRE_KEEP_CONN = 1 /* a flag of WIRE_BEGIN_REQUEST */
};

struct wire_record {
	unsigned version, type, id, padding;
	size_t length; /* of the content */
};

/* Takes records apart as their bytes arrive. */
struct wire_reader {
	unsigned char header[WIRE_HEADER_SIZE];
	size_t have;               /* bytes of the header */
	struct wire_record record; /* the one that is being read */
	size_t content, padding;   /* of it, still to come */
};

enum wire_result {
	WIRE_MORE,       /* all of the input is used up */
	WIRE_PIECE,      /* the next content bytes of reader->record */
	WIRE_RECORD_END, /* the content of reader->record has been all */
	WIRE_BAD         /* not version 1 */
};

void wire_reader_init(struct wire_reader *r);

/*
 * Takes what it can from *in.  On WIRE_PIECE, *piece is content, at least one
 * byte; every record ends in one WIRE_RECORD_END, a record without content has
 * nothing else.  Any split of the bytes gives the same content.
 */
enum wire_result wire_next(struct wire_reader *r, struct span *in,
    struct span *piece);

/* The header of a record of this many bytes, at most WIRE_CONTENT_MAX. */
void wire_header(unsigned char out[WIRE_HEADER_SIZE], enum wire_type type,
    unsigned id, size_t length);

/* Adds a stream's bytes, in as many records as they need; none for no byte. */
void wire_add(struct buf *b, enum wire_type type, unsigned id, struct span s);

/*
 * A stream whose bytes are added between the two, without a copy: wire_begin()
 * leaves room for a header and returns its place, for wire_end(), which makes
 * the records that wire_add() would have made of what stands behind it.
 */
size_t wire_begin(struct buf *b);
void wire_end(struct buf *b, size_t at, enum wire_type type, unsigned id);

/* Adds the record of no content that ends a stream. */
void wire_add_eof(struct buf *b, enum wire_type type, unsigned id);

/* Adds WIRE_BEGIN_REQUEST. */
void wire_add_begin(struct buf *b, unsigned id, enum wire_role role,
    unsigned flags);

/* Adds WIRE_END_REQUEST. */
void wire_add_end(struct buf *b, unsigned id, uint32_t app_status,
    enum wire_protocol_status status);

/* Adds WIRE_UNKNOWN_TYPE for a record of that type. */
void wire_add_unknown(struct buf *b, unsigned type);

/* Adds one name-value pair, lengths and all, as PARAMS content. */
void wire_add_pair(struct buf *b, struct span name, struct span value);

/* One length, of one byte or four. */
static inline bool
wire_length(struct span *s, size_t *out)
{
	const unsigned char *p = (const unsigned char *)s->p;

	if (p == NULL || s->n == 0)
		return false;
	if (p[0] < 0x80) {
		*out = p[0];
		*s = span_skip(*s, 1);
		return true;
	}
	if (s->n < 4)
		return false;
	*out = (size_t)(p[0] & 0x7F) << 24 | (size_t)p[1] << 16 |
	    (size_t)p[2] << 8 | p[3];
	*s = span_skip(*s, 4);
	return true;
}

/*
 * The next pair out of PARAMS content.  False at the end; *params is then
 * empty, and is not where a pair is cut off.
 */
static inline bool
wire_pair(struct span *params, struct field *out)
{
	struct span s = *params;
	size_t name, value;

	/* lengths are below 2^31, so that their sum cannot wrap */
	if (!wire_length(&s, &name) || !wire_length(&s, &value) || s.n < name ||
	    s.n - name < value)
		return false;
	out->name = (struct span){ s.p, name };
	out->value = (struct span){ s.p + name, value };
	*params = span_skip(s, name + value);
	return true;
}

/*
 * Adds the WIRE_GET_VALUES_RESULT for what was asked: FCGI_MAX_CONNS,
 * FCGI_MAX_REQS and FCGI_MPXS_CONNS, each once; other names are left out.
 */
void wire_add_values(struct buf *b, struct span asked, unsigned max_conns,
    unsigned max_reqs);

#endif
