/*
 * peers: who is let in, over Unix sockets, IPv4 and IPv6.
 */
#include "peers.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "folder.h"
#include "io.h"
#include "tap.h"

static char fault[256];

/* A list of words, and the variable FCGI_WEB_SERVER_ADDRS. */
static bool
load(const char *words, const char *web_servers, struct peers *out)
{
	struct span list[16], rest = span_of(words);
	size_t n = 0;

	while (span_word(&rest, &list[n]))
		n++;
	fault[0] = '\0';
	return peers_load(list, n, web_servers, out, fault, sizeof(fault));
}

static const struct {
	const char *words, *web_servers;
	size_t nusers, naddresses;
	const char *fault; /* NULL: none */
} loads[] = {
	{ NULL, NULL, 0, 0, NULL },
	{ "", "", 0, 0, NULL },
	{ "root", NULL, 1, 0, NULL },
	{ "root 0 4321", NULL, 3, 0, NULL },
	{ "127.0.0.1 ::1 ::ffff:10.0.0.1", NULL, 0, 3, NULL },
	{ "root 127.0.0.1", "10.0.0.1,10.0.0.2", 1, 3, NULL },
	{ NULL, "127.0.0.1", 0, 1, NULL },
	{ NULL, ",,127.0.0.1,,::1,", 0, 2, NULL },
	{ "no-such-user", NULL, 0, 0,
	    "no-such-user is neither an address nor a user" },
	{ "root 127.0.0.256", NULL, 0, 0,
	    "127.0.0.256 is neither an address nor a user" },
	{ "127.0.0.1/8", NULL, 0, 0,
	    "127.0.0.1/8 is neither an address nor a user" },
	{ "[::1]", NULL, 0, 0, "[::1] is neither an address nor a user" },
	{ "root", "127.0.0.1,localhost.example", 0, 0,
	    "localhost.example is neither an address nor a user" },
	{ "-1", NULL, 0, 0, "-1 is neither an address nor a user" },
};

static void
test_load(size_t i)
{
	struct peers p;
	bool good = load(loads[i].words, loads[i].web_servers, &p);

	ok(good == (loads[i].fault == NULL) && p.nusers == loads[i].nusers &&
		p.naddresses == loads[i].naddresses,
	    "%s and %s", loads[i].words == NULL ? "(none)" : loads[i].words,
	    loads[i].web_servers == NULL ? "(none)" : loads[i].web_servers);
	if (!good) {
		is_span(span_of(fault), loads[i].fault, "… refused");
		ok(p.users == NULL && p.addresses == NULL, "… and empty");
	}
	peers_free(&p);
	peers_free(&p);
}

/* The accepted end of a connection to a listening socket. */
static int
accepted(const char *address, int *client)
{
	const struct io_listen o = { .address = address, .mode = 0600 };
	struct sockaddr_storage a;
	socklen_t n = sizeof(a);
	int door = io_listen(&o, fault, sizeof(fault)), fd;

	if (door == -1 || getsockname(door, (struct sockaddr *)&a, &n) == -1)
		bail();
	*client = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(*client, (struct sockaddr *)&a, n) == -1)
		bail();
	io_wait(door, 1, io_now() + 60000);
	fd = accept(door, NULL, NULL);
	close(door);
	return fd;
}

static void
test_allow(const char *address, const char *words, bool want, const char *who)
{
	struct peers p;
	char text[128];
	int client, fd = accepted(address, &client);
	bool may;

	if (!load(words, NULL, &p))
		bail();
	memset(text, '?', sizeof(text));
	may = peers_allow(&p, fd, text, sizeof(text));
	ok(may == want, "%.20s: \"%s\" %s", address, words,
	    want ? "may" : "may not");
	kept_out(may, want, "… and nobody else may");
	ok(memchr(text, '\0', sizeof(text)) != NULL &&
		strstr(text, who) != NULL,
	    "… it is %s", text);
	peers_free(&p);
	close(fd);
	close(client);
}

static void
test_unix(void)
{
	char address[PATH_MAX + 32], me[32], other[32], who[64];

	snprintf(address, sizeof(address), "unix:%s", in_folder("s"));
	snprintf(me, sizeof(me), "%u", geteuid());
	snprintf(other, sizeof(other), "%u 12345", geteuid() + 1);
	snprintf(who, sizeof(who), "user %u (process %d)", geteuid(), getpid());
	test_allow(address, "", true, "");
	test_allow(address, me, true, who);
	test_allow(address, other, false, who);
	test_allow(address, "127.0.0.1", true, "");
}

static void
test_inet(void)
{
	test_allow("127.0.0.1:0", "", true, "");
	test_allow("127.0.0.1:0", "10.0.0.1 127.0.0.1", true, "127.0.0.1");
	test_allow("127.0.0.1:0", "::ffff:127.0.0.1", true, "127.0.0.1");
	test_allow("127.0.0.1:0", "127.0.0.2", false, "127.0.0.1");
	test_allow("127.0.0.1:0", "::1", false, "127.0.0.1");
	test_allow("127.0.0.1:0", "root", true, "");
	test_allow("[::1]:0", "::1", true, "::1");
	test_allow("[::1]:0", "127.0.0.1", false, "::1");
	test_allow("[::1]:0", "::2", false, "::1");
}

static void
test_no_socket(void)
{
	struct peers p;
	char text[64];
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	load("root 127.0.0.1", NULL, &p);
	ok(!peers_allow(&p, fd, text, sizeof(text)) &&
		strcmp(text, "somebody unknown") == 0,
	    "who cannot be known may not");
	peers_free(&p);
	close(fd);
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		test_load(i);
	folder_make();
	test_unix();
	test_inet();
	test_no_socket();
	folder_remove();
	return tap_done();
}
