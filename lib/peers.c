#include "peers.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"

static struct in6_addr
mapped(struct in_addr a)
{
	struct in6_addr out = IN6ADDR_ANY_INIT;

	out.s6_addr[10] = out.s6_addr[11] = 0xFF;
	memcpy(out.s6_addr + 12, &a, 4);
	return out;
}

static bool
parse_address(const char *text, struct in6_addr *out)
{
	struct in_addr four;

	if (inet_pton(AF_INET, text, &four) == 1) {
		*out = mapped(four);
		return true;
	}
	return inet_pton(AF_INET6, text, out) == 1;
}

/* One word: an address, or else a user; there is room for it. */
static bool
add(struct peers *p, struct span word, char *fault, size_t size)
{
	char text[256];
	gid_t gid;

	snprintf(text, sizeof(text), "%.*s", (int)word.n, word.p);
	if (parse_address(text, &p->addresses[p->naddresses])) {
		p->naddresses++;
		return true;
	}
	if (io_user(text, &p->users[p->nusers], &gid)) {
		p->nusers++;
		return true;
	}
	snprintf(fault, size, "%s is neither an address nor a user", text);
	return false;
}

bool
peers_load(const struct span list[], size_t n, const char *web_servers,
    struct peers *out, char *fault, size_t size)
{
	struct span rest = span_of(web_servers), word;
	size_t most = n + rest.n / 2 + 1;
	bool good = true;

	*out = (struct peers){
		.users = calloc(most, sizeof(*out->users)),
		.addresses = calloc(most, sizeof(*out->addresses)),
	};
	if (out->users == NULL || out->addresses == NULL) {
		snprintf(fault, size, "out of memory");
		good = false;
	}
	for (size_t i = 0; good && i < n; i++)
		good = add(out, list[i], fault, size);
	while (good && span_word(&rest, &word))
		good = add(out, word, fault, size);
	if (!good)
		peers_free(out);
	return good;
}

static bool
user_allowed(const struct peers *p, int fd, char *text, size_t size)
{
	struct ucred who;
	socklen_t n = sizeof(who);

	if (p->nusers == 0)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == -1)
		return false;
	snprintf(text, size, "user %u (process %d)", who.uid, (int)who.pid);
	for (size_t i = 0; i < p->nusers; i++)
		if (p->users[i] == who.uid)
			return true;
	return false;
}

static bool
address_allowed(const struct peers *p, const struct in6_addr *a, char *text,
    size_t size)
{
	if (p->naddresses == 0)
		return true;
	inet_ntop(AF_INET6, a, text, (socklen_t)size);
	for (size_t i = 0; i < p->naddresses; i++)
		if (memcmp(&p->addresses[i], a, sizeof(*a)) == 0)
			return true;
	return false;
}

bool
peers_allow(const struct peers *p, int fd, char *text, size_t size)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage room;
	} a = { .room = { 0 } };
	socklen_t n = sizeof(a);
	struct in6_addr four;

	*text = '\0';
	if (p->nusers == 0 && p->naddresses == 0)
		return true;
	snprintf(text, size, "somebody unknown");
	if (getpeername(fd, &a.any, &n) == -1)
		return false;
	if (a.any.sa_family == AF_UNIX)
		return user_allowed(p, fd, text, size);
	if (a.any.sa_family == AF_INET6)
		return address_allowed(p, &a.in6.sin6_addr, text, size);
	four = mapped(a.in.sin_addr);
	return address_allowed(p, &four, text, size);
}

void
peers_free(struct peers *p)
{
	free(p->users);
	free(p->addresses);
	*p = (struct peers){ .users = NULL };
}
