/*
 * peers: who may connect to a FastCGI socket [SPEC 5.2, E98].
 */
#ifndef PEERS_H
#define PEERS_H

#include <netinet/in.h>
#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

#include "span.h"

struct peers {
	uid_t *users; /* for Unix sockets */
	size_t nusers;
	struct in6_addr *addresses; /* IPv4 as ::ffff:a.b.c.d */
	size_t naddresses;
};

/*
 * Reads a list of users (names or numbers) and addresses, and as web_servers
 * the comma-separated one of FCGI_WEB_SERVER_ADDRS, or NULL.  An empty list of
 * either kind lets everybody of that kind in.  False, and a text in fault,
 * where a word is neither or memory is out; *out is then empty.
 */
bool peers_load(const struct span list[], size_t n, const char *web_servers,
    struct peers *out, char *fault, size_t size);

/*
 * May whoever is at the other end of this connection talk to us?  Text is who
 * it is, for the log.
 */
bool peers_allow(const struct peers *p, int fd, char *text, size_t size);

void peers_free(struct peers *p);

#endif
