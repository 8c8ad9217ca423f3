/*
 * probe_ask: arguments, and a request to nobody; tests/http/test_probe.py has
 * servers that answer.
 */
#include "probe_ask.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "probed.h"

static void
test_arguments(void)
{
	static const char *const good[] = { "http://a", "https://a.example/b?c",
		"HTTP://127.0.0.1:80/", "http://[::1]:8080/#d" };
	static const char *const bad[] = { "", "a", "a.example/b", "//a/b",
		"ftp://a/", "file:///etc/passwd", "gopher://a/", "http://",
		"http://a b/", "http://a/\n", "http://a:70000/", "http://u@a/",
		"http://u:p@a/", "javascript://a" };
	static const char *const resolve[] = { "a:80:127.0.0.1",
		"a.example:65535:::1" };
	static const char *const unresolved[] = { "", "a", "a:80",
		"a:80:", ":80:b", "a:0:b", "a:65536:b", "a:x:b" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ok(probe_ask_url_fault(good[i]) == NULL, "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(probe_ask_url_fault(bad[i]) != NULL, "not URL %zu", i);
	for (size_t i = 0; i < sizeof(resolve) / sizeof(resolve[0]); i++)
		ok(probe_ask_resolve_fault(resolve[i]) == NULL, "%s",
		    resolve[i]);
	for (size_t i = 0; i < sizeof(unresolved) / sizeof(unresolved[0]); i++)
		ok(probe_ask_resolve_fault(unresolved[i]) != NULL, "not \"%s\"",
		    unresolved[i]);
}

/* A port that we hold, but on which nobody listens. */
static int
hold_port(char *url, size_t size)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t n = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || bind(fd, (struct sockaddr *)&in, n) == -1 ||
	    getsockname(fd, (struct sockaddr *)&in, &n) == -1)
		exit(1);
	snprintf(url, size, "http://127.0.0.1:%u/", ntohs(in.sin_port));
	return fd;
}

static void
test_nobody(void)
{
	char url[64];
	int fd = hold_port(url, sizeof(url));
	struct probe_ask_options o = { .timeout = 10 };
	struct probe_ask *p = probe_ask_new(&o);
	struct probe_aim aim = probed_aim();
	struct arena memory = { NULL, false };
	struct probe_request q;

	aim.url = url;
	q = probed_request(&memory, &aim, "v2");
	ok(p != NULL, "made");
	for (int i = 0; i < 2; i++) {
		struct probe_answer a;

		probe_ask(p, &q, &a);
		ok(a.fault == PROBE_FAULT_CONNECT && a.status == 0 &&
			a.address[0] == '\0' && a.n_fields == 0,
		    "nobody there");
		ok(a.detail[0] != '\0', "… with a reason");
		probe_ask_answer_free(&a);
	}
	probe_ask_free(p);
	probe_ask_free(NULL);
	arena_free(&memory);
	close(fd);
}

int
main(void)
{
	test_arguments();
	test_nobody();
	return tap_done();
}
