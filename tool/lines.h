/*
 * lines: a file's lines, one after another, in a room of fixed size, whatever
 * the file is: a line that does not fit costs time, and no memory.
 */
#ifndef LINES_H
#define LINES_H

#include "span.h"

/* Its line feed included. */
enum { LINES_MAX = 1 << 18 };

struct lines {
	int fd;
	char *room;        /* LINES_MAX bytes */
	size_t begin, end; /* what of it has not been handed out */
	size_t looked;     /* bytes from begin in which there is no line feed */
	bool skipping;     /* in a line that is too long */
	bool at_end;
};

enum lines_result {
	LINES_LINE,
	LINES_TOO_LONG, /* one line was skipped */
	LINES_END,
	LINES_FAILED /* errno says why */
};

/* The room may be used for one file after another.  False: no memory. */
bool lines_init(struct lines *l);

/* Begins with a file, which stays the caller's. */
void lines_begin(struct lines *l, int fd);

/*
 * The next line, without its line feed, valid until the next call.  What
 * stands behind the last line feed is a line too, unless it is nothing.
 */
enum lines_result lines_next(struct lines *l, struct span *out);

/* Twice does no harm. */
void lines_free(struct lines *l);

#endif
