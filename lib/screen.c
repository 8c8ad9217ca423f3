#include "screen.h"

#include "vars.h"

enum { CONTROL_MAX = 4096, ANSWER_MAX = 8192 };

void
screen_init(struct screen *s, unsigned max_conns, unsigned max_reqs)
{
	*s = (struct screen){ .max_conns = max_conns, .max_reqs = max_reqs };
	wire_reader_init(&s->reader);
	buf_init(&s->control, CONTROL_MAX);
	buf_init(&s->params, SCREEN_PARAMS_MAX);
	buf_init(&s->answer, ANSWER_MAX);
}

/* A whole BEGIN_REQUEST: 8 bytes of role and flags. */
static enum screen_event
begin(struct screen *s)
{
	const unsigned char *p = (const unsigned char *)s->control.p;
	unsigned id = s->reader.record.id, role;
	bool keep;

	if (s->control.n != 8)
		return SCREEN_BAD;
	role = (unsigned)(p[0] << 8 | p[1]);
	keep = p[2] & WIRE_KEEP_CONN;
	if (s->active && id == s->id)
		return SCREEN_BAD;
	if (s->active) { /* E90 */
		wire_add_end(&s->answer, id, 0, WIRE_CANT_MPX_CONN);
		return SCREEN_MORE;
	}
	if (role != WIRE_RESPONDER && role != WIRE_AUTHORIZER) { /* E91 */
		wire_add_end(&s->answer, id, 0, WIRE_UNKNOWN_ROLE);
		return keep ? SCREEN_MORE : SCREEN_CLOSE;
	}
	s->active = true;
	s->headed = s->body_ended = false;
	s->keep = keep;
	s->id = id;
	s->role = (enum wire_role)role;
	buf_clear(&s->params);
	return SCREEN_MORE;
}

static bool
params_whole(const struct screen *s)
{
	struct span rest = buf_span(&s->params);
	struct field pair;

	while (wire_pair(&rest, &pair))
		;
	return rest.n == 0;
}

static enum screen_event
stream_end(struct screen *s)
{
	if (s->reader.record.type == WIRE_PARAMS) {
		if (s->headed || !params_whole(s))
			return SCREEN_BAD;
		s->headed = true;
		return SCREEN_REQUEST;
	}
	if (!s->headed || s->body_ended)
		return SCREEN_BAD;
	s->body_ended = true;
	return SCREEN_BODY_END;
}

static enum screen_event
abort_request(struct screen *s)
{
	if (s->headed)
		return SCREEN_ABORT;
	s->active = false; /* before it had begun: answered here (E78) */
	wire_add_end(&s->answer, s->id, 0, WIRE_REQUEST_COMPLETE);
	return s->keep ? SCREEN_MORE : SCREEN_CLOSE;
}

static enum screen_event
management(struct screen *s)
{
	if (s->reader.record.type == WIRE_GET_VALUES)
		wire_add_values(&s->answer, buf_span(&s->control), s->max_conns,
		    s->max_reqs);
	else
		wire_add_unknown(&s->answer, s->reader.record.type);
	return SCREEN_MORE;
}

static enum screen_event
record_end(struct screen *s)
{
	const struct wire_record *r = &s->reader.record;

	if (r->id == 0)
		return management(s);
	if (r->type == WIRE_BEGIN_REQUEST)
		return begin(s);
	if (!s->active || r->id != s->id) /* E94 */
		return SCREEN_MORE;
	if (r->type == WIRE_ABORT_REQUEST)
		return abort_request(s);
	if (r->type != WIRE_PARAMS && r->type != WIRE_STDIN)
		return SCREEN_MORE;
	return r->length == 0 ? stream_end(s) : SCREEN_MORE;
}

/* Content of a record; SCREEN_BODY where it is the caller's. */
static enum screen_event
content(struct screen *s, struct span piece)
{
	const struct wire_record *r = &s->reader.record;

	if (r->id == 0 && r->type != WIRE_GET_VALUES)
		return SCREEN_MORE;
	if (r->id == 0 || r->type == WIRE_BEGIN_REQUEST) {
		buf_add_span(&s->control, piece);
		return s->control.failed ? SCREEN_BAD : SCREEN_MORE;
	}
	if (!s->active || r->id != s->id)
		return SCREEN_MORE;
	if (r->type == WIRE_PARAMS && s->headed)
		return SCREEN_BAD; /* they are being read, and stay */
	if (r->type == WIRE_PARAMS) {
		buf_add_span(&s->params, piece);
		return s->params.failed ? SCREEN_BAD : SCREEN_MORE;
	}
	if (r->type != WIRE_STDIN)
		return SCREEN_MORE;
	return s->headed && !s->body_ended ? SCREEN_BODY : SCREEN_BAD;
}

enum screen_event
screen_next(struct screen *s, struct span *in, struct span *body)
{
	enum screen_event e = SCREEN_MORE;
	struct span piece;

	for (;;) {
		switch (wire_next(&s->reader, in, &piece)) {
		case WIRE_MORE:
			return SCREEN_MORE;
		case WIRE_BAD:
			return SCREEN_BAD;
		case WIRE_PIECE:
			e = content(s, piece);
			if (e == SCREEN_BODY)
				*body = piece;
			break;
		case WIRE_RECORD_END:
			e = record_end(s);
			buf_clear(&s->control);
			break;
		}
		if (s->answer.failed) /* a peer that only asks, or no memory */
			return SCREEN_BAD;
		if (e != SCREEN_MORE)
			return e;
	}
}

/* The parameters less those whose names cannot pass, as one record. */
static void
add_params(const struct screen *s, struct buf *out)
{
	unsigned char header[WIRE_HEADER_SIZE] = { 0 };
	struct span rest = buf_span(&s->params);
	size_t at = out->n, begin = at + sizeof(header);
	struct field pair;

	buf_add(out, header, sizeof(header));
	while (wire_pair(&rest, &pair))
		if (vars_name_valid(pair.name))
			wire_add_pair(out, pair.name, pair.value);
	if (out->failed)
		return;
	if (out->n == begin) { /* an empty record would end them */
		out->n = at;
		return;
	}
	wire_header(header, WIRE_PARAMS, s->id, out->n - begin);
	memcpy(out->p + at, header, sizeof(header));
}

void
screen_head(const struct screen *s, struct buf *out)
{
	wire_add_begin(out, s->id, s->role, WIRE_KEEP_CONN);
	add_params(s, out);
	wire_add_eof(out, WIRE_PARAMS, s->id);
}

void
screen_done(struct screen *s)
{
	s->active = s->headed = s->body_ended = false;
}

void
screen_rest(struct screen *s)
{
	/* a part of a record's content may be in control or params: kept */
	if (!s->active && s->control.n == 0) {
		buf_free(&s->control);
		buf_free(&s->params);
	}
	if (s->answer.n == 0)
		buf_free(&s->answer);
}

void
screen_free(struct screen *s)
{
	buf_free(&s->control);
	buf_free(&s->params);
	buf_free(&s->answer);
}
