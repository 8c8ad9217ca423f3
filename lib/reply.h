/*
 * reply: what goes back to the web server [SPEC 2.9, 2.10, 4.4, 4.6].  It
 * makes bytes and sends none.
 *
 * The handler's answer goes through in three steps: reply_head() until it has
 * the header block, whose new form is then in r->out; reply_body() for every
 * piece behind it; reply_end() at its end.
 */
#ifndef REPLY_H
#define REPLY_H

#include "buf.h"
#include "cgihead.h"
#include "field.h"
#include "reason.h"

struct reply_rules {
	const struct field *add; /* ours, each exactly once */
	size_t nadd;
	enum field_rule (*rule)(struct span name); /* NULL: all pass */
	bool pass_redirects;                       /* redirects = pass */
	bool head_only;                            /* the method is HEAD */
	size_t max_header;
};

enum reply_state { REPLY_MORE, REPLY_READY, REPLY_BAD, REPLY_REDIRECT };

struct reply {
	enum reply_state state;   /* what reply_head() said last */
	struct reply_rules rules; /* add is borrowed */
	struct cgihead head;
	struct buf out;  /* after REPLY_READY: our block, blank line too */
	unsigned status; /* that went out; 0 until REPLY_READY */
	bool bodiless;   /* HEAD, 204, 304: no body goes out */
	/* how much more goes out; UINT64_MAX: no Content-Length says it */
	uint64_t left;
	bool untyped; /* a body has gone out without Content-Type (E57) */
	/*
	 * For the log, where the answer was refused, or where reply_end() now
	 * says that it is not whole; else NULL.
	 */
	const char *fault;
	bool no_memory;      /* it was refused for that, and is no bad answer */
	const char *warning; /* for the log, where it was not; else NULL */
};

void reply_init(struct reply *r, const struct reply_rules *rules);

/*
 * The handler's next bytes, up to the end of its header block; *used of them
 * belong to it.  REPLY_READY once r->out is made; REPLY_BAD for an answer that
 * is none, REPLY_REDIRECT for a redirect that may not leave [SPEC 4.6], which
 * any 3xx but 304 is.  From then on it says the same and uses nothing.
 *
 * A field is ours, and the handler's of that name dropped, where add has it;
 * but for Vary and Access-Control-Expose-Headers, whose names are merged.  The
 * handler's own reason phrase goes out where it is ASCII.
 */
enum reply_state reply_head(struct reply *r, struct span in, size_t *used);

/* What of these body bytes goes out: all, a part, or none (E61, E64). */
struct span reply_body(struct reply *r, struct span in);

/*
 * At the end of the handler's output: REASON_OK, or REASON_HANDLER_BAD_ANSWER
 * where the header block is not whole or the body is shorter than declared.
 */
enum reason reply_end(const struct reply *r);

void reply_free(struct reply *r);

/*
 * An answer of our own, header block and body, added to out: status, the
 * decision's fields, and for a refusal or a fault the JSON body of
 * SPEC 2.10, which head_only leaves out.  REASON_BUSY adds Retry-After.  A
 * reason that has no status adds nothing.
 */
void reply_own(struct buf *out, enum reason why, const struct field add[],
    size_t nadd, bool head_only);

#endif
