#include "errlog.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "logline.h"

void
errlog_init(struct errlog *e, struct exchange *x, uint64_t id)
{
	e->x = x;
	e->id = id;
	e->n = 0;
	e->seen = 0;
}

/* "0000002a handler: text", escaped, as one line. */
static void
emit(struct errlog *e, struct span text)
{
	char prefix[40];
	struct buf b;

	snprintf(prefix, sizeof(prefix), "%08" PRIx64 " handler: ", e->id);
	buf_init(&b, 64 + 8 * ERRLOG_LINE_MAX);
	buf_add_str(&b, prefix);
	logline_escape(&b, LOGLINE_TEXT, text);
	buf_add_char(&b, '\n');
	if (!b.failed)
		e->x->way->error(e->x, buf_span(&b));
	buf_free(&b);
}

static void
flush(struct errlog *e)
{
	if (e->n > 0)
		emit(e, (struct span){ e->line, e->n });
	e->n = 0;
}

void
errlog_add(struct errlog *e, struct span bytes)
{
	for (size_t i = 0; i < bytes.n; i++) {
		if (e->seen++ >= ERRLOG_MAX)
			continue;
		if (bytes.p[i] == '\n') {
			flush(e);
			continue;
		}
		e->line[e->n++] = bytes.p[i];
		if (e->n == ERRLOG_LINE_MAX)
			flush(e);
	}
}

void
errlog_end(struct errlog *e)
{
	char text[80];

	flush(e);
	if (e->seen <= ERRLOG_MAX)
		return;
	snprintf(text, sizeof(text), "(%" PRIu64 " bytes more were left out)",
	    e->seen - ERRLOG_MAX);
	emit(e, span_of(text));
}
