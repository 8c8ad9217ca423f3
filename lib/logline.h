/*
 * logline: one decision as one line of text or JSON [SPEC 7.1].  Every byte
 * that came from outside is escaped here.
 */
#ifndef LOGLINE_H
#define LOGLINE_H

#include <time.h>

#include "buf.h"
#include "reason.h"
#include "rules.h"

enum logline_format { LOGLINE_TEXT, LOGLINE_JSON };
enum logline_senders { LOGLINE_FULL, LOGLINE_DOMAIN, LOGLINE_NONE };

struct logline {
	struct timespec at;   /* realtime */
	uint64_t id;          /* ties the lines of one request together */
	const char *decision; /* "allow", "deny", "preflight", "report" */
	enum reason reason;
	unsigned status; /* that was sent; 0: none was */
	unsigned version;
	const char *endpoint;               /* NULL or "-": none */
	struct span method, sender, origin; /* as claimed; may be absent */
	struct rules_at rule;
	uint64_t ms;        /* from the request's head to its end */
	const char *detail; /* what else there is to say; NULL: nothing */
};

/*
 * Adds one line, its line feed included, and at most LOGLINE_MAX bytes:
 *
 *   2026-11-21T10:00:00.123Z 0000002a allow 200 ok version=2 endpoint=-
 *   method=GET sender="a@b.example" origin=- rule=/etc/x.ini:12 ms=3
 *   detail="..."
 *
 * (without the folds), or a JSON object with time, id, decision, status,
 * reason and the same keys behind them.  What there is none of is '-', in JSON
 * null; detail is left out.  A word stands without quotes where it needs none.
 * Values of LOGLINE_VALUE_MAX bytes and more end in "..." and are incomplete.
 *
 * LOGLINE_DOMAIN shows '@' and what can be a domain, and nothing of any other
 * sender; LOGLINE_NONE leaves the key out.  Both take the sender out of
 * detail, too.
 */
void logline_add(struct buf *out, enum logline_format format,
    enum logline_senders senders, const struct logline *l);

/* So that a line goes into a pipe as one, and is never cut (PIPE_BUF). */
enum { LOGLINE_MAX = 4096, LOGLINE_VALUE_MAX = 512 };

/* Adds a moment as every line has it, in UTC [RFC 3339]. */
void logline_time(struct buf *out, struct timespec at);

/*
 * Adds s with everything but printable ASCII, backslash and '"' as \xHH (in
 * JSON as \u00HH), so that it can stand between quotes and ends no line.
 */
void logline_escape(struct buf *out, enum logline_format format, struct span s);

#endif
