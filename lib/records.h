/*
 * records: an answer goes out as FastCGI records with one system call, and
 * without a copy.
 */
#ifndef RECORDS_H
#define RECORDS_H

#include <sys/types.h>

#include "buf.h"

enum {
	RECORDS_MAX = 5,    /* at a time: a pump has 256 KiB */
	RECORDS_PIECES = 4, /* spans that they are made of */
	RECORDS_CONTENT = RECORDS_MAX * 65535
};

/*
 * Sends as much of v's first RECORDS_PIECES spans as RECORDS_MAX records of
 * WIRE_STDOUT hold; and behind all of it `end`, records as they are.  Never
 * waits.  Returns how many bytes of v are on their way; -1 with errno, and
 * nothing has gone out.  What the socket did not take of a record that has
 * begun, and of `end`, is added to *owed, which must go out next.
 */
ssize_t records_send(int fd, unsigned id, const struct span v[], size_t n,
    struct span end, struct buf *owed);

#endif
