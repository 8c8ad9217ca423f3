/*
 * talk: FastCGI records written as words, and shown as words.
 *
 *	begin:1:1:k params:1:A=b,C=d params:1 stdin:1:hello stdin:1 abort:1
 *
 * A word is TYPE:ID:CONTENT, in which a byte is also \xHH; "begin" has a role
 * and flags ("k" keeps the connection), "params" has pairs, and a number is the
 * type that it says, with its content as it is.
 */
#ifndef TALK_H
#define TALK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bail.h"
#include "buf.h"
#include "wire.h"

enum { TALK_MAX = 1 << 24 };

static const char *const talk_types[] = { "0", "begin", "abort", "end",
	"params", "stdin", "stdout", "stderr", "data", "values", "result",
	"unknown" };

enum { TALK_TYPES = sizeof(talk_types) / sizeof(talk_types[0]) };

/* One record, with as many bytes of padding. */
static inline void
talk_record(struct buf *b, unsigned type, unsigned id, struct span content,
    unsigned padding)
{
	unsigned char h[8] = { 1, (unsigned char)type, (unsigned char)(id >> 8),
		(unsigned char)id, (unsigned char)(content.n >> 8),
		(unsigned char)content.n, (unsigned char)padding, 0xEE };

	buf_add(b, h, sizeof(h));
	buf_add_span(b, content);
	while (padding-- > 0)
		buf_add_char(b, '\x01'); /* looks like a version */
}

static inline void
talk_unescape(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		char hex[3] = "";

		if (s.p[i] != '\\' || i + 3 >= s.n) {
			buf_add_char(out, s.p[i]);
			continue;
		}
		memcpy(hex, s.p + i + 2, 2);
		buf_add_char(out, (char)strtoul(hex, NULL, 16));
		i += 3;
	}
}

static inline void
talk_pairs(struct buf *out, struct span list)
{
	struct span pair, name;
	struct buf bytes[2];

	while (span_cut(&list, ',', &pair)) {
		span_cut(&pair, '=', &name);
		for (int i = 0; i < 2; i++) {
			buf_init(&bytes[i], TALK_MAX);
			talk_unescape(&bytes[i], i == 0 ? name : pair);
		}
		wire_add_pair(out, buf_span(&bytes[0]), buf_span(&bytes[1]));
		buf_free(&bytes[0]);
		buf_free(&bytes[1]);
	}
}

static inline unsigned
talk_type(struct span word)
{
	uint64_t n = 0;

	for (unsigned i = 1; i < TALK_TYPES; i++)
		if (span_eq(word, span_of(talk_types[i])))
			return i;
	if (!span_number(word, 255, &n))
		abort();
	return (unsigned)n;
}

static inline void
talk_word(struct buf *b, struct span word, unsigned padding)
{
	struct span type, id;
	uint64_t number = 0;
	struct buf content;

	span_cut(&word, ':', &type);
	if (span_cut(&word, ':', &id) && !span_number(id, 65535, &number))
		abort();
	buf_init(&content, TALK_MAX);
	if (span_eq(type, SPAN("begin"))) {
		char body[8] = { 0 };

		body[1] = (char)(word.p[0] - '0');
		body[2] = word.n > 2 && word.p[2] == 'k';
		buf_add(&content, body, sizeof(body));
	} else if (span_eq(type, SPAN("params")) ||
	    span_eq(type, SPAN("values"))) {
		talk_pairs(&content, word);
	} else {
		talk_unescape(&content, word);
	}
	talk_record(b, talk_type(type), (unsigned)number, buf_span(&content),
	    padding);
	buf_free(&content);
}

/* Adds the records that the words say, each with so much padding. */
static inline void
talk_add(struct buf *b, const char *words, unsigned padding)
{
	struct span rest = span_of(words), word;

	while (span_cut(&rest, ' ', &word))
		if (word.n > 0)
			talk_word(b, word, padding);
}

/* A buffer of records, for the caller to free. */
static inline struct buf
talk(const char *words)
{
	struct buf b;

	buf_init(&b, TALK_MAX);
	talk_add(&b, words, 0);
	if (b.failed)
		bail();
	return b;
}

static inline void
talk_show_bytes(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		char hex[5];

		if (span_graph(s.p[i]) || s.p[i] == ' ') {
			buf_add_char(out, s.p[i]);
			continue;
		}
		snprintf(hex, sizeof(hex), "\\x%02x", (unsigned char)s.p[i]);
		buf_add_str(out, hex);
	}
}

/* Pairs as "A=b,C=d"; "(cut)" where they are. */
static inline void
talk_show_pairs(struct buf *out, struct span content)
{
	struct field pair;
	const char *comma = "";

	while (wire_pair(&content, &pair)) {
		buf_add_str(out, comma);
		talk_show_bytes(out, pair.name);
		buf_add_char(out, '=');
		talk_show_bytes(out, pair.value);
		comma = ",";
	}
	if (content.n > 0)
		buf_add_str(out, "(cut)");
}

/* Takes one record off; false where none is whole, or it is none. */
static inline bool
talk_cut(struct span *bytes, unsigned *type, unsigned *id, struct span *content)
{
	const unsigned char *h = (const unsigned char *)bytes->p;
	size_t n;

	if (bytes->n < 8 || h[0] != 1)
		return false;
	n = (size_t)(h[4] << 8 | h[5]);
	if (bytes->n - 8 < n + h[6])
		return false;
	*type = h[1];
	*id = (unsigned)(h[2] << 8 | h[3]);
	*content = (struct span){ bytes->p + 8, n };
	*bytes = span_skip(*bytes, 8 + n + h[6]);
	return true;
}

static inline void
talk_show_record(struct buf *out, unsigned type, unsigned id,
    struct span content)
{
	const unsigned char *c = (const unsigned char *)content.p;
	char text[80];

	if (type < TALK_TYPES)
		snprintf(text, sizeof(text), "%s:%u", talk_types[type], id);
	else
		snprintf(text, sizeof(text), "%u:%u", type, id);
	buf_add_str(out, text);
	if (content.n > 0)
		buf_add_char(out, ':');
	if (type == WIRE_BEGIN_REQUEST && content.n == 8) {
		snprintf(text, sizeof(text), "%u:%s", c[0] << 8 | c[1],
		    c[2] & 1 ? "k" : "");
		buf_add_str(out, text);
	} else if (type == WIRE_PARAMS || type == WIRE_GET_VALUES_RESULT) {
		talk_show_pairs(out, content);
	} else if (type == WIRE_END_REQUEST && content.n == 8) {
		snprintf(text, sizeof(text), "%u:%u",
		    (unsigned)c[0] << 24 | c[1] << 16 | c[2] << 8 | c[3], c[4]);
		buf_add_str(out, text);
	} else {
		talk_show_bytes(out, content);
	}
}

/*
 * Adds the records as words, a blank before each; "end" has the program's and
 * the protocol's status.  Streams that follow each other are shown as one.
 */
static inline void
talk_show(struct buf *out, struct span bytes)
{
	unsigned type, id, last = 0, last_id = 0;
	struct span content;

	while (talk_cut(&bytes, &type, &id, &content)) {
		bool more = type == last && id == last_id && content.n > 0 &&
		    (type == WIRE_STDOUT || type == WIRE_STDERR);

		last = content.n > 0 ? type : 0;
		last_id = id;
		if (more) {
			talk_show_bytes(out, content);
			continue;
		}
		if (out->n > 0)
			buf_add_char(out, ' ');
		talk_show_record(out, type, id, content);
	}
	if (bytes.n > 0)
		buf_add_str(out, " (cut)");
}

#endif
