/*
 * serve_head: a request's variables as strings, read by libfcgi.  This is all
 * that serve has of libfcgi; nobody else's.
 */
#ifndef SERVE_HEAD_H
#define SERVE_HEAD_H

#include <fcgiapp.h>

#include "screen.h"

struct serve_head {
	FCGX_Request request;
	struct serve_head_block *blocks; /* of memory, that libfcgi has */
	bool read;
};

/* Once, while there is one thread.  False where libfcgi cannot be had. */
bool serve_head_open(void);

/*
 * The variables of the head that the screen has, "NAME=value", NULL-terminated,
 * until serve_head_free().  NULL where memory is out.  h is zeroed before, and
 * stays where it is.
 */
char *const *serve_head_read(struct serve_head *h, const struct screen *s);

/* Twice does no harm. */
void serve_head_free(struct serve_head *h);

#endif
