/*
 * script: what web servers say to the front, record by record, on up to four
 * connections at a time, and what happens meanwhile: see script_say() and
 * script_happen() for the letters that it is written in.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "peer.h"

enum {
	SCRIPT_PEERS = PEER_PEERS,
	SCRIPT_SLOTS = 2, /* handlers at once, as the policy has it */
	SCRIPT_LONGEST = 4096,
	SCRIPT_BODY_MAX = 1 << 20 /* bytes of all bodies of an input */
};

/* What the target has for it. */
struct script_ways {
	void (*connect)(struct peer *p);
	void (*reload)(void);
	void (*stop)(void); /* the front is told to end, in good order */
};

/* --- what is said --- */

static const char *const script_variables[] = {
	"REQUEST_METHOD=GET",
	"REQUEST_METHOD=POST",
	"REQUEST_METHOD=HEAD",
	"REQUEST_METHOD=OPTIONS",
	"REQUEST_METHOD=",
	"SCRIPT_NAME=/none",
	"SCRIPT_NAME=/none/one",
	"SCRIPT_NAME=/forward",
	"SCRIPT_NAME=/forward/small",
	"SCRIPT_NAME=/report",
	"SCRIPT_NAME=/metrics",
	"SCRIPT_NAME=/none/../forward",
	"SCRIPT_NAME=",
	"PATH_INFO=/more",
	"PATH_INFO=/one",
	"PATH_INFO=//",
	"REQUEST_URI=/none?__amp_source_origin=x%40company.example",
	"REQUEST_URI=/forward?a=b",
	"REQUEST_URI=/none/%6fne",
	"REQUEST_URI=/metrics",
	"QUERY_STRING=",
	"QUERY_STRING=__amp_source_origin=x@company.example",
	"QUERY_STRING=__amp_source_origin=x%40other.example&a",
	"QUERY_STRING=__amp_source_origin=amp%40gmail.dev",
	"QUERY_STRING=__amp_source_origin=https%3A%2F%2Fplayground.amp.dev",
	"QUERY_STRING=__amp_source_origin=a&__amp_source_origin=a",
	"QUERY_STRING=__amp_source_origin=%0d%0aX:y",
	"HTTP_ORIGIN=https://mail.google.com",
	"HTTP_ORIGIN=https://x.mail.example",
	"HTTP_ORIGIN=https://amp.gmail.dev",
	"HTTP_ORIGIN=https://playground.amp.dev",
	"HTTP_ORIGIN=https://evil.example",
	"HTTP_ORIGIN=null",
	"HTTP_ORIGIN=",
	"HTTP_ORIGIN=https://mail.google.com\r\nX: y",
	"HTTP_AMP_EMAIL_SENDER=x@company.example",
	"HTTP_AMP_EMAIL_SENDER= A@B.Example ",
	"HTTP_AMP_EMAIL_SENDER=bad@company.example",
	"HTTP_AMP_EMAIL_SENDER=amp@gmail.dev",
	"HTTP_AMP_EMAIL_SENDER=x@company.example, y@company.example",
	"HTTP_AMP_EMAIL_SENDER=x@company.example\r\nX: y",
	"HTTP_AMP_EMAIL_SENDER=",
	"HTTP_ACCESS_CONTROL_REQUEST_METHOD=POST",
	"HTTP_ACCESS_CONTROL_REQUEST_HEADERS=x-a, x-b",
	"CONTENT_LENGTH=",
	"CONTENT_LENGTH=0",
	"CONTENT_LENGTH=5",
	"CONTENT_LENGTH=4097",
	"CONTENT_LENGTH=70000",
	"CONTENT_LENGTH=-1",
	"CONTENT_LENGTH=+5",
	"CONTENT_LENGTH=99999999999999999999",
	"HTTP_TRANSFER_ENCODING=chunked",
	"HTTP_AUTHORIZATION=Basic eDp5",
	"HTTP_PROXY=http://evil.example",
	"HTTP_CONNECTION=close",
	"AMP_CORS_SENDER=evil@evil.example",
	"AMP_CORS_VERSION=2",
	"AMP_CORS_FRONT=1",
	"FCGI_ROLE=RESPONDER",
	"SCRIPT_FILENAME=proxy:fcgi://127.0.0.1:9/srv/x.php",
	"SCRIPT_FILENAME=/srv/x.php",
	"X=1",
	"X=2",
	"X=",
	"BAD NAME=x",
	"PATH=/evil",
	"SCRIPT_NAME=/exec",
};

enum {
	SCRIPT_VARIABLES = sizeof(script_variables) / sizeof(*script_variables)
};

/* Whole requests, as places in that table; 0 ends one, but as its first. */
static const unsigned char script_presets[][6] = {
	{ 0, 5, 35 },
	{ 0, 5, 27, 21 },
	{ 1, 7, 35, 46 },
	{ 1, 7, 35, 48 },
	{ 1, 7, 35, 49 },
	{ 0, 7, 27, 21 },
	{ 3, 7, 27, 42 },
	{ 0, 9, 31 },
	{ 1, 8, 35, 47 },
	{ 0, 10 },
	{ 2, 7, 36 },
	{ 0, 7, 37 },
	{ 0, 5, 35, 35 },
	{ 1, 9, 52 },
	{ 0, 7, 29, 38, 58 },
	{ 1, 67, 35, 47 },
};

enum { SCRIPT_PRESETS = sizeof(script_presets) / sizeof(*script_presets) };

static const unsigned script_ids[] = { 1, 2, 256, 65535, 258, 0 };

static const size_t script_sizes[] = { 1, 5, 6, 100, 4096, 17000, 65535,
	40000 };

/* Bodies, and whatever else needs many bytes. */
static char script_bytes[65536];

struct script {
	struct span in;
	struct peer peers[SCRIPT_PEERS];
	struct peer *p;
	const struct script_ways *ways;
	struct buf pairs; /* parameters that are not sent yet */
	unsigned id;      /* of the next record, where it is not 65536 */
	size_t said;      /* bytes of bodies */
	bool stopped;
};

static inline unsigned
script_padding_of(unsigned c)
{
	static const unsigned paddings[] = { 0, 1, 7, 255 };

	return paddings[c % 4];
}

/* The id of what is on its way, but for once after "i". */
static inline unsigned
script_id_of(struct script *y)
{
	unsigned id = y->id;

	y->id = 65536;
	if (id != 65536)
		return id;
	return y->p->now == NULL ? script_ids[0] : y->p->now->id;
}

static inline void
script_add_variable(struct script *y, unsigned which)
{
	struct span value = span_of(script_variables[which % SCRIPT_VARIABLES]),
		    name;

	span_cut(&value, '=', &name);
	if (y->pairs.n < 2 * PEER_PARAMS_MAX)
		wire_add_pair(&y->pairs, name, value);
}

static inline void
script_add_raw_pair(struct script *y)
{
	size_t name = fuzz_take(&y->in) % 64, value = fuzz_take(&y->in);
	struct span n = fuzz_take_bytes(&y->in, name),
		    v = fuzz_take_bytes(&y->in, value);

	wire_add_pair(&y->pairs, n, v);
}

static inline void
script_say_begin(struct script *y, unsigned c)
{
	static const unsigned roles[] = { 1, 1, 1, 2, 1, 2, 3, 257 };
	unsigned id = script_ids[c / 16 % 6];

	peer_begin(y->p, id, roles[c / 2 % 8], (c & 1) != 0,
	    script_padding_of(c / 96));
}

static inline void
script_say_params(struct script *y, size_t piece)
{
	struct span rest = buf_span(&y->pairs);
	unsigned id = script_id_of(y);

	while (rest.n > 0) {
		struct span s = rest;
		size_t most = piece == 0 ? WIRE_CONTENT_MAX : piece;

		s.n = most < s.n ? most : s.n;
		peer_params(y->p, id, s, script_padding_of((unsigned)rest.n));
		rest = span_skip(rest, s.n);
	}
	buf_clear(&y->pairs);
}

static inline void
script_say_body(struct script *y, unsigned c)
{
	struct span s = { script_bytes, script_sizes[c % 8] };

	if (y->said + s.n > SCRIPT_BODY_MAX)
		return;
	y->said += s.n;
	peer_stdin(y->p, script_id_of(y), s, script_padding_of(c / 8));
}

static inline void
script_say_preset(struct script *y, unsigned c)
{
	const unsigned char *all = script_presets[c % SCRIPT_PRESETS];
	const struct span none = { NULL, 0 };

	peer_begin(y->p, script_ids[c / 64 % 4], WIRE_RESPONDER, true, 0);
	for (size_t i = 0; i < 6 && (i == 0 || all[i] != 0); i++)
		script_add_variable(y, all[i]);
	script_say_params(y, 0);
	peer_params(y->p, script_id_of(y), none, 0);
	if (memchr(all, 46, 6) != NULL)
		peer_stdin(y->p, script_id_of(y), SPAN("hello"), 3);
	peer_stdin(y->p, script_id_of(y), none, 0);
}

static inline void
script_say_values(struct script *y, unsigned c)
{
	static const char *const names[] = { "FCGI_MAX_CONNS", "FCGI_MAX_REQS",
		"FCGI_MPXS_CONNS", "FCGI_OTHER", "" };
	struct buf b;

	buf_init(&b, 8192);
	for (unsigned i = 0; i < c % 16; i++)
		wire_add_pair(&b, span_of(names[(c / 16 + i) % 5]), SPAN(""));
	peer_other(y->p, WIRE_GET_VALUES, 0, buf_span(&b),
	    script_padding_of(c));
	buf_free(&b);
}

/* Whatever has no meaning, for nobody or for some request. */
static inline void
script_say_other(struct script *y, unsigned type)
{
	unsigned id = script_id_of(y);
	struct span content = fuzz_take_bytes(&y->in, 8);

	if (id != 0 && type > 0 && type < WIRE_DATA)
		type += WIRE_DATA;
	peer_other(y->p, type, id, content, script_padding_of(type));
}

/* --- what happens --- */

static inline void
script_choose(struct script *y, unsigned which)
{
	y->p = &y->peers[which % SCRIPT_PEERS];
	if (y->p->fd == -1) {
		y->ways->connect(y->p);
		y->p->sure &= !y->stopped;
	}
}

/* What was not waited for may end in any way from now on. */
static inline void
script_pass_time(struct script *y, unsigned seconds)
{
	front_ahead += 2 * seconds;
	for (unsigned i = 0; i < SCRIPT_PEERS; i++)
		y->peers[i].late = true;
}

/* All that was said before is still answered. */
static inline void
script_stop(struct script *y)
{
	for (unsigned i = 0; i < SCRIPT_PEERS; i++) {
		struct peer *p = &y->peers[i];

		if (p->fd == -1)
			continue;
		peer_send(p, SIZE_MAX);
		p->late |= y->stopped || p->out.n > 0;
		p->last = true;
	}
	y->stopped = true;
	y->ways->stop();
}

static inline void
script_hang_up(struct script *y, bool half)
{
	y->p->sure = false;
	if (half)
		shutdown(y->p->fd, SHUT_WR);
	else
		peer_close(y->p);
}

/*
 * Whoever waits for a handler would wait for ever, as all of them are kept by
 * those who say nothing more.
 */
static inline bool
script_is_stuck(const struct script *y)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SCRIPT_PEERS; i++)
		n += peer_holds(&y->peers[i]);
	return n >= SCRIPT_SLOTS;
}

static inline void
script_await(struct script *y)
{
	if (script_is_stuck(y))
		peer_send(y->p, SIZE_MAX);
	else
		peer_await(y->p, y->peers, SCRIPT_PEERS);
}

/* What one connection says next; false where c is no such thing. */
static inline bool
script_say(struct script *y, unsigned c)
{
	const struct span none = { NULL, 0 };

	switch (c) {
	case 'b':
		script_say_begin(y, fuzz_take(&y->in));
		break;
	case 'p':
		script_say_params(y, fuzz_take(&y->in));
		break;
	case 'P':
		peer_params(y->p, script_id_of(y), none,
		    script_padding_of(fuzz_take(&y->in)));
		break;
	case 's':
		script_say_body(y, fuzz_take(&y->in));
		break;
	case 'S':
		peer_stdin(y->p, script_id_of(y), none,
		    script_padding_of(fuzz_take(&y->in)));
		break;
	case 'a':
		peer_abort(y->p, script_id_of(y),
		    fuzz_take_bytes(&y->in, fuzz_take(&y->in) % 8));
		break;
	case 'm':
		script_say_values(y, fuzz_take(&y->in));
		break;
	case 'o':
		script_say_other(y, fuzz_take(&y->in));
		break;
	case 'r':
		script_say_preset(y, fuzz_take(&y->in));
		break;
	case 'g':
		peer_garbage(y->p, fuzz_take_bytes(&y->in, fuzz_take(&y->in)));
		break;
	default:
		return false;
	}
	return true;
}

/* What comes to pass between two words. */
static inline void
script_happen(struct script *y, unsigned c)
{
	switch (c) {
	case 'c':
		script_choose(y, fuzz_take(&y->in));
		break;
	case 'f':
		peer_send(y->p, 1 + fuzz_take(&y->in));
		break;
	case 'w':
		script_await(y);
		break;
	case 'h':
	case 'k':
		script_hang_up(y, c == 'h');
		break;
	case 'v':
		script_add_variable(y, fuzz_take(&y->in));
		break;
	case 'V':
		script_add_raw_pair(y);
		break;
	case 'x':
		buf_add_span(&y->pairs,
		    fuzz_take_bytes(&y->in, fuzz_take(&y->in) % 16));
		break;
	case 'i':
		y->id = script_ids[fuzz_take(&y->in) % 6];
		break;
	case 't':
		script_pass_time(y, fuzz_take(&y->in));
		break;
	case 'e':
		y->ways->reload();
		break;
	case 'q':
		script_stop(y);
		break;
	default:
		break;
	}
}

static inline void
script_play(struct script *y)
{
	script_choose(y, 0);
	while (y->in.n > 0) {
		unsigned c = fuzz_take(&y->in);

		if (y->p->fd == -1 || !script_say(y, c))
			script_happen(y, c);
		if (y->p->out.n > PEER_MAX / 4)
			peer_send(y->p, SIZE_MAX);
		if (y->p->fd == -1)
			script_choose(y, 0);
		if (y->p->fd == -1) /* it lets nobody in any more */
			break;
	}
}

/* --- all of it --- */

static inline void
script_init(struct script *y, struct span in, const struct script_ways *ways)
{
	static bool begun;

	for (size_t i = 0; !begun && i < sizeof(script_bytes); i++)
		script_bytes[i] = (char)(i % 251);
	begun = true;
	*y = (struct script){ .in = in, .ways = ways, .id = 65536 };
	for (unsigned i = 0; i < SCRIPT_PEERS; i++)
		y->peers[i].fd = -1;
	buf_init(&y->pairs, PEER_MAX);
}

/*
 * All that is due has come, and every connection is closed: first of those who
 * keep a handler and will say nothing more.
 */
static inline void
script_finish(struct script *y)
{
	bool stuck = script_is_stuck(y);
	struct peer *p;

	for (p = y->peers; p < y->peers + SCRIPT_PEERS; p++)
		if (peer_holds(p)) {
			p->late |= stuck;
			peer_finish(p, y->peers, SCRIPT_PEERS);
		}
	for (p = y->peers; p < y->peers + SCRIPT_PEERS; p++)
		peer_finish(p, y->peers, SCRIPT_PEERS);
	buf_free(&y->pairs);
}

#endif
