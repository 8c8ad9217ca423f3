/*
 * usage: core POLICY ASKED N
 *
 * What a decision takes: loads a policy, asks N times for the addresses in the
 * file ASKED, one a line, in turn, and prints nanoseconds a decision and how
 * many were allowed.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf.h"
#include "policy.h"

struct asked {
	struct span *sender;
	size_t n;
};

static void
report(void *ctx, const struct conf_fault *f)
{
	(void)ctx;
	if (!f->warning)
		warnx("%s: %s", f->file, f->text);
}

static void
add(struct asked *a, const char *line, size_t n)
{
	char *copy = strndup(line, n);

	a->sender = reallocarray(a->sender, a->n + 1, sizeof(*a->sender));
	if (copy == NULL || a->sender == NULL)
		err(1, "memory");
	a->sender[a->n++] = (struct span){ copy, n };
}

static struct asked
read_asked(const char *path)
{
	struct asked a = { NULL, 0 };
	FILE *f = fopen(path, "r");
	char line[512];

	if (f == NULL)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), f) != NULL)
		add(&a, line, strcspn(line, "\n"));
	fclose(f);
	if (a.n == 0)
		errx(1, "%s: empty", path);
	return a;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static size_t
decide(const struct policy *p, const struct asked *a, size_t n)
{
	struct policy_request r = { .method = SPAN("GET") };
	struct policy_decision d;
	size_t allowed = 0;

	for (size_t i = 0; i < n; i++) {
		r.sender = a->sender[i % a->n];
		policy_decide(p, &r, &d);
		allowed += d.verdict == POLICY_ALLOW;
	}
	return allowed;
}

int
main(int argc, char *argv[])
{
	const struct conf_endpoint *ep;
	struct conf *conf;
	struct asked asked;
	size_t allowed, n;
	double start;

	if (argc != 4)
		errx(64, "usage: core POLICY ASKED N");
	if (conf_load(argv[1], CONF_FOR_SERVER, report, NULL, &conf) != CONF_OK)
		errx(1, "%s: not in order", argv[1]);
	asked = read_asked(argv[2]);
	n = strtoul(argv[3], NULL, 10);
	conf_endpoints(conf, &ep);
	start = now();
	allowed = decide(&ep->policy, &asked, n);
	printf("%.1f %zu\n", (now() - start) / (double)n, allowed);
	return 0;
}
