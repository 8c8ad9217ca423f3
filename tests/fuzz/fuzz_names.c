/*
 * Addresses, origins, and the rules for both, against the plainest reading of
 * what they are: regular expressions.  The input is a rule, a line feed, and
 * what it is asked about.
 */
#include "fuzz.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <regex.h>
#include <string.h>

#include "origin.h"
#include "rules.h"

#define ATEXT "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
#define LABEL "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
#define HOST_LABEL "[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"

enum { LONGEST = 700 };

static bool
is(const char *pattern, struct span s)
{
	char text[LONGEST + 1];
	regex_t re;
	bool yes;

	/* s is C text: no NUL can be in what matches */
	if (s.n > LONGEST || (s.n > 0 && memchr(s.p, '\0', s.n) != NULL))
		return false;
	if (s.n > 0)
		memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	FUZZ_HOLDS(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) == 0);
	yes = regexec(&re, text, 0, NULL, 0) == 0;
	regfree(&re);
	/* a line feed at the end would do, too */
	return yes && (s.n == 0 || s.p[s.n - 1] != '\n');
}

static bool
labels_fit(struct span host)
{
	struct span label;

	while (span_cut(&host, '.', &label))
		if (label.n > 63)
			return false;
	return true;
}

static bool
is_domain(struct span s)
{
	return s.n <= ADDRESS_DOMAIN_MAX && labels_fit(s) &&
	    is("^" LABEL "(\\." LABEL ")+$", s);
}

static bool
is_address(struct span s)
{
	struct span domain = s, local = { NULL, 0 };

	span_cut(&domain, '@', &local);
	return s.n <= ADDRESS_MAX && local.n <= ADDRESS_LOCAL_MAX &&
	    is("^" ATEXT "(\\." ATEXT ")*@", s) && domain.p != NULL &&
	    is_domain(domain);
}

/* Is what stands in the brackets an address of IPv6? */
static bool
is_ipv6(struct span host)
{
	char text[64];
	struct in6_addr in6;

	if (host.n < 3 || host.n >= sizeof(text) || host.p[0] != '[')
		return false;
	memcpy(text, host.p + 1, host.n - 2);
	text[host.n - 2] = '\0';
	return inet_pton(AF_INET6, text, &in6) == 1;
}

/* An origin, or with wild a rule of one; what it must be at least. */
static void
check_origin(struct span s, bool wild)
{
	struct span host = s, scheme, port = { NULL, 0 };

	FUZZ_HOLDS(is(wild ? "^https?://(\\*\\.)?(" HOST_LABEL "(\\." HOST_LABEL
			     ")*|\\[[0-9a-f:.]+\\])"
			     "(:[1-9][0-9]{0,4})?$" :
			     "^https?://(" HOST_LABEL "(\\." HOST_LABEL
			     ")*|\\[[0-9a-f:.]+\\])(:[1-9][0-9]{0,4})?$",
	    s));
	FUZZ_HOLDS(s.n <= ORIGIN_MAX);
	span_cut(&host, ':', &scheme);
	host = span_skip(host, 2);
	if (host.p[0] == '[')
		FUZZ_HOLDS(is_ipv6((struct span){ host.p,
		    (size_t)((char *)memchr(host.p, ']', host.n) - host.p) +
			1 }));
	else {
		span_cut(&host, ':', &port); /* port is now the host */
		FUZZ_HOLDS(labels_fit(port));
		FUZZ_HOLDS(
		    !span_eq(host, scheme.n == 5 ? SPAN("443") : SPAN("80")));
	}
}

static void
check_names(struct span s)
{
	struct address a;

	FUZZ_HOLDS(address_parse(s, &a) == is_address(s));
	FUZZ_HOLDS(address_domain_valid(s) == is_domain(s));
	if (origin_valid(s)) {
		check_origin(s, false);
		FUZZ_HOLDS(origin_rule_valid(s) && origin_match(s, s));
	}
	if (origin_rule_valid(s) && !span_eq(s, SPAN("*")) &&
	    !span_eq(s, SPAN("null")))
		check_origin(s, true);
}

/* Does the rule name the origin, one way and the plain one? */
static void
check_match(struct span rule, struct span text)
{
	bool yes = origin_match(rule, text);

	if (yes && !span_eq(text, SPAN("null")))
		FUZZ_HOLDS(origin_valid(text));
	if (span_eq(rule, SPAN("*")))
		FUZZ_HOLDS(yes ==
		    (origin_valid(text) &&
			span_starts(text, SPAN("https://"))));
	else if (memchr(rule.p, '*', rule.n) == NULL)
		FUZZ_HOLDS(yes == span_eq(rule, text));
	else if (yes) {
		struct span tail = rule;

		span_cut(&tail, '*', &rule);
		FUZZ_HOLDS(span_starts(text, rule));
		FUZZ_HOLDS(text.n > rule.n + tail.n &&
		    memcmp(text.p + text.n - tail.n, tail.p, tail.n) == 0);
	}
}

static enum rules_kind
kind_of(struct span s)
{
	struct span rest;

	if (span_eq(s, SPAN("*")))
		return RULES_ANY;
	if (span_starts(s, SPAN("*@*.")))
		return is_domain(span_skip(s, 4)) ? RULES_PARENT :
						    RULES_NO_RULE;
	rest = span_starts(s, SPAN("*@")) ? span_skip(s, 2) : s;
	if (rest.n < s.n)
		return is_domain(rest) ? RULES_DOMAIN : RULES_NO_RULE;
	if (origin_valid(s))
		return RULES_LITERAL;
	return is_address(s) && memchr(s.p, '*', s.n) == NULL && *s.p != '!' ?
	    RULES_ADDRESS :
	    RULES_NO_RULE;
}

/* A rule and an address: does its key come among the address's? */
static void
check_rule(struct span text, struct span asked)
{
	struct rules_rule r;
	struct rules_keys keys;
	struct address a;
	struct span plain = text;
	bool hit = false;

	if (span_starts(text, SPAN("!")))
		plain = span_skip(text, 1);
	FUZZ_HOLDS(rules_parse(text, true, &r) == (r.kind != RULES_NO_RULE));
	FUZZ_HOLDS(r.kind == kind_of(plain));
	if (r.kind == RULES_NO_RULE || !address_parse(asked, &a))
		return;
	FUZZ_HOLDS(r.deny == (plain.n < text.n) && r.n <= RULES_KEY_MAX);
	rules_keys_address(&a, true, &keys);
	FUZZ_HOLDS(keys.n >= 3 && keys.n <= RULES_KEYS_MAX);
	for (size_t i = 0; i < keys.n; i++)
		hit |= span_eq(keys.key[i], (struct span){ r.key, r.n });
	if (r.kind == RULES_ADDRESS)
		FUZZ_HOLDS(hit == span_caseeq(plain, asked));
	if (r.kind == RULES_DOMAIN)
		FUZZ_HOLDS(hit == span_caseeq(span_skip(plain, 2), a.domain));
	if (r.kind == RULES_ANY)
		FUZZ_HOLDS(hit);
	if (r.kind == RULES_LITERAL)
		FUZZ_HOLDS(!hit);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span asked = { (const char *)data, size }, rule = { "", 0 };

	if (size > LONGEST)
		return 0;
	span_cut(&asked, '\n', &rule);
	if (asked.p == NULL)
		asked = SPAN("");
	check_names(rule);
	check_names(asked);
	if (origin_rule_valid(rule))
		check_match(rule, asked);
	check_rule(rule, asked);
	return 0;
}
