#include "wire.h"

#include <string.h>

void
wire_reader_init(struct wire_reader *r)
{
	*r = (struct wire_reader){ .have = 0 };
}

static void
header_parse(struct wire_reader *r)
{
	const unsigned char *h = r->header;

	r->record = (struct wire_record){
		.version = h[0],
		.type = h[1],
		.id = (unsigned)(h[2] << 8 | h[3]),
		.length = (size_t)(h[4] << 8 | h[5]),
		.padding = h[6],
	};
	r->content = r->record.length;
	r->padding = r->record.padding;
}

/* Fills the header; false while it is not whole. */
static bool
header_take(struct wire_reader *r, struct span *in)
{
	size_t n = WIRE_HEADER_SIZE - r->have;

	if (n > in->n)
		n = in->n;
	if (n > 0)
		memcpy(r->header + r->have, in->p, n);
	r->have += n;
	*in = span_skip(*in, n);
	return r->have == WIRE_HEADER_SIZE;
}

static void
padding_skip(struct wire_reader *r, struct span *in)
{
	size_t n = r->padding < in->n ? r->padding : in->n;

	*in = span_skip(*in, n);
	r->padding -= n;
}

enum wire_result
wire_next(struct wire_reader *r, struct span *in, struct span *piece)
{
	if (r->have < WIRE_HEADER_SIZE) {
		padding_skip(r, in);
		if (r->padding > 0 || !header_take(r, in))
			return WIRE_MORE;
		header_parse(r);
		if (r->record.version != WIRE_VERSION)
			return WIRE_BAD;
	}
	if (r->content == 0) {
		r->have = 0;
		return WIRE_RECORD_END;
	}
	if (in->n == 0)
		return WIRE_MORE;
	*piece =
	    (struct span){ in->p, in->n < r->content ? in->n : r->content };
	*in = span_skip(*in, piece->n);
	r->content -= piece->n;
	return WIRE_PIECE;
}

void
wire_header(unsigned char out[WIRE_HEADER_SIZE], enum wire_type type,
    unsigned id, size_t length)
{
	out[0] = WIRE_VERSION;
	out[1] = (unsigned char)type;
	out[2] = (unsigned char)(id >> 8);
	out[3] = (unsigned char)id;
	out[4] = (unsigned char)(length >> 8);
	out[5] = (unsigned char)length;
	out[6] = 0;
	out[7] = 0;
}

/*
 * A record of standard error always has padding: HAProxy 2.6.12 crashes where
 * the content of such a record is the last of what it has read.
 */
static void
add_record(struct buf *b, enum wire_type type, unsigned id, const void *p,
    size_t n)
{
	static const unsigned char zeros[8];
	size_t padding = type == WIRE_STDERR ? sizeof(zeros) - n % 8 : 0;
	unsigned char header[WIRE_HEADER_SIZE];

	wire_header(header, type, id, n);
	header[6] = (unsigned char)padding;
	buf_add(b, header, sizeof(header));
	if (n > 0)
		buf_add(b, p, n);
	if (padding > 0)
		buf_add(b, zeros, padding);
}

void
wire_add(struct buf *b, enum wire_type type, unsigned id, struct span s)
{
	while (s.n > 0) {
		size_t n = s.n < WIRE_CONTENT_MAX ? s.n : WIRE_CONTENT_MAX;

		add_record(b, type, id, s.p, n);
		s = span_skip(s, n);
	}
}

size_t
wire_begin(struct buf *b)
{
	static const unsigned char later[WIRE_HEADER_SIZE];
	size_t at = b->n;

	buf_add(b, later, sizeof(later));
	return at;
}

void
wire_end(struct buf *b, size_t at, enum wire_type type, unsigned id)
{
	size_t n, more;
	char *p;

	if (b->failed)
		return;
	n = b->n - at - WIRE_HEADER_SIZE;
	more = n == 0 ? 0 : (n - 1) / WIRE_CONTENT_MAX; /* records */
	if (buf_room(b, more * WIRE_HEADER_SIZE) == NULL)
		return;
	b->n += more * WIRE_HEADER_SIZE;
	p = b->p + at;
	/* the last first, so that nothing is overwritten that is to move */
	for (size_t i = more + 1; i-- > 0;) {
		size_t from = i * WIRE_CONTENT_MAX;
		size_t to = from + i * WIRE_HEADER_SIZE;
		size_t length = i == more ? n - from : (size_t)WIRE_CONTENT_MAX;

		if (i > 0)
			memmove(p + to + WIRE_HEADER_SIZE,
			    p + from + WIRE_HEADER_SIZE, length);
		wire_header((unsigned char *)p + to, type, id, length);
	}
	if (n == 0)
		b->n = at;
}

void
wire_add_eof(struct buf *b, enum wire_type type, unsigned id)
{
	add_record(b, type, id, NULL, 0);
}

void
wire_add_begin(struct buf *b, unsigned id, enum wire_role role, unsigned flags)
{
	unsigned char body[8] = { 0 };

	body[1] = (unsigned char)role;
	body[2] = (unsigned char)flags;
	add_record(b, WIRE_BEGIN_REQUEST, id, body, sizeof(body));
}

void
wire_add_end(struct buf *b, unsigned id, uint32_t app_status,
    enum wire_protocol_status status)
{
	unsigned char body[8] = { 0 };

	body[0] = (unsigned char)(app_status >> 24);
	body[1] = (unsigned char)(app_status >> 16);
	body[2] = (unsigned char)(app_status >> 8);
	body[3] = (unsigned char)app_status;
	body[4] = (unsigned char)status;
	add_record(b, WIRE_END_REQUEST, id, body, sizeof(body));
}

void
wire_add_unknown(struct buf *b, unsigned type)
{
	unsigned char body[8] = { (unsigned char)type };

	add_record(b, WIRE_UNKNOWN_TYPE, 0, body, sizeof(body));
}

/* Writes a length, of one byte or four; returns where it ends. */
static unsigned char *
put_length(unsigned char *p, size_t n)
{
	if (n >= 0x80) {
		*p++ = (unsigned char)(0x80 | n >> 24);
		*p++ = (unsigned char)(n >> 16);
		*p++ = (unsigned char)(n >> 8);
	}
	*p++ = (unsigned char)n;
	return p;
}

void
wire_add_pair(struct buf *b, struct span name, struct span value)
{
	unsigned char lengths[8];
	unsigned char *end = put_length(put_length(lengths, name.n), value.n);
	size_t n = (size_t)(end - lengths);
	char *p = buf_room(b, n + name.n + value.n);

	if (p == NULL)
		return;
	memcpy(p, lengths, n);
	if (name.n > 0)
		memcpy(p + n, name.p, name.n);
	if (value.n > 0)
		memcpy(p + n + name.n, value.p, value.n);
	b->n += n + name.n + value.n;
}

void
wire_add_values(struct buf *b, struct span asked, unsigned max_conns,
    unsigned max_reqs)
{
	struct {
		struct span name;
		unsigned value;
		bool wanted;
	} known[] = {
		{ SPAN("FCGI_MAX_CONNS"), max_conns, false },
		{ SPAN("FCGI_MAX_REQS"), max_reqs, false },
		{ SPAN("FCGI_MPXS_CONNS"), 0, false },
	};
	struct field pair;
	struct buf pairs, digits;

	while (wire_pair(&asked, &pair))
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (span_eq(pair.name, known[i].name))
				known[i].wanted = true;
	buf_init(&pairs, 256);
	buf_init(&digits, 16);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!known[i].wanted)
			continue;
		buf_clear(&digits);
		buf_add_number(&digits, known[i].value);
		wire_add_pair(&pairs, known[i].name, buf_span(&digits));
	}
	add_record(b, WIRE_GET_VALUES_RESULT, 0, pairs.p, pairs.n);
	b->failed |= pairs.failed || digits.failed;
	buf_free(&pairs);
	buf_free(&digits);
}
