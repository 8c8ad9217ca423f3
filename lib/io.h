/*
 * io: descriptors, sockets and time.
 */
#ifndef IO_H
#define IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include <netinet/in.h>

/* Milliseconds of a clock that only goes forward. */
int64_t io_now(void);

/*
 * Waits until one of the events (poll(2)) comes on fd, or until a moment of
 * io_now().  The events that came; 0 at that moment; -1 with errno.
 */
int io_wait(int fd, short events, int64_t until);

/* Opens descriptors 0, 1 and 2 on /dev/null where they are closed. */
int io_hold_std(void);

/* Is fd a listening socket (E101)? */
bool io_is_listening(int fd);

/* Sets O_NONBLOCK.  -1 with errno. */
int io_nonblock(int fd);

struct io_listen {
	const char *address; /* "unix:/path", "127.0.0.1:9000", "[::1]:9000" */
	mode_t mode;         /* of a Unix socket */
	const char *owner, *group; /* names or numbers, or NULL */
};

/* Is it an address that io_listen() could be given? */
bool io_listen_valid(const char *address);

/*
 * Listens there, close-on-exec and non-blocking.  A socket that nobody
 * listens on is replaced, one in use and any other file never [SPEC 5.2].
 * -1 and a text in fault.
 */
int io_listen(const struct io_listen *o, char *fault, size_t size);

/* An address to connect to. */
struct io_address {
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} to;
	socklen_t length;
};

/* "unix:/path", "127.0.0.1:9000" or "[::1]:9000".  False: none of them. */
bool io_address(const char *text, struct io_address *out);

/*
 * Begins to connect there: a socket that does not block and is close-on-exec.
 * Whether it is connected shows when something is sent.  -1 with errno; EAGAIN
 * where a Unix socket has no room for another connection at the moment.
 */
int io_connect(const struct io_address *a);

/* A user's or group's number, from its name or number; false: no such one. */
bool io_user(const char *name, uid_t *uid, gid_t *gid);
bool io_group(const char *name, gid_t *gid);

#endif
