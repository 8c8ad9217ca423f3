#include "origin.h"

#include <string.h>

enum { PORT_MAX = 65535, HOST_MAX = 253, LABEL_MAX = 63, PIECES = 8 };

/* A run of IPv6 pieces; n is 0 where there is none. */
struct run {
	unsigned at, n;
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
host_label(struct span s)
{
	if (s.n == 0 || s.n > LABEL_MAX || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!is_digit(c) && !(c >= 'a' && c <= 'z') && c != '-' &&
		    c != '_')
			return false;
	}
	return true;
}

static bool
host_name(struct span host)
{
	struct span label;

	if (host.n == 0 || host.n > HOST_MAX)
		return false;
	while (span_cut(&host, '.', &label))
		if (!host_label(label))
			return false;
	return true;
}

/* One to four digits in lower case, no zero in front. */
static bool
ipv6_piece(struct span s, bool *zero)
{
	if (s.n == 0 || s.n > 4 || (s.n > 1 && s.p[0] == '0'))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_digit(s.p[i]) && !(s.p[i] >= 'a' && s.p[i] <= 'f'))
			return false;
	*zero = s.p[0] == '0';
	return true;
}

/*
 * The pieces of one side of "::", or of an address without it, added to
 * zero[].
 */
static bool
ipv6_side(struct span s, bool zero[PIECES], unsigned *n)
{
	struct span piece;

	while (span_cut(&s, ':', &piece))
		if (*n == PIECES || !ipv6_piece(piece, &zero[(*n)++]))
			return false;
	return true;
}

/* The first of the longest runs of zeros. */
static struct run
longest_run(const bool zero[PIECES])
{
	struct run best = { 0, 0 }, r = { 0, 0 };

	for (unsigned i = 0; i < PIECES; i++) {
		r = zero[i] ? (struct run){ r.at, r.n + 1 } :
			      (struct run){ i + 1, 0 };
		if (r.n > best.n)
			best = r;
	}
	return best;
}

/* Where "::" stands in s; s.n where it does not. */
static size_t
find_gap(struct span s)
{
	for (size_t i = 0; i + 1 < s.n; i++)
		if (s.p[i] == ':' && s.p[i + 1] == ':')
			return i;
	return s.n;
}

/*
 * As the URL Standard serialises it, which alone a browser sends: "::" for the
 * first of the longest runs of two zeros or more, and never dotted decimals.
 */
static bool
ipv6(struct span s)
{
	size_t at = find_gap(s);
	bool zero[PIECES], tail[PIECES];
	struct run best, gap = { 0, 0 };
	unsigned n = 0, m = 0;

	if (!ipv6_side((struct span){ s.p, at }, zero, &n))
		return false;
	if (at < s.n) {
		if (!ipv6_side(span_skip(s, at + 2), tail, &m) ||
		    n + m >= PIECES)
			return false;
		gap = (struct run){ n, PIECES - n - m };
		memset(zero + n, true, gap.n * sizeof(zero[0]));
		memcpy(zero + n + gap.n, tail, m * sizeof(zero[0]));
	} else if (n < PIECES)
		return false;
	best = longest_run(zero);
	if (best.n < 2)
		return gap.n == 0;
	return gap.at == best.at && gap.n == best.n;
}

static bool
port(struct span s, uint64_t standard)
{
	uint64_t n;

	return s.n > 0 && s.p[0] != '0' && span_number(s, PORT_MAX, &n) &&
	    n != standard;
}

/* host[:port], behind a scheme with this standard port */
static bool
authority(struct span s, uint64_t standard)
{
	struct span host, rest = s;

	if (s.n > 0 && s.p[0] == '[') {
		if (!span_cut(&rest, ']', &host) || rest.p == NULL ||
		    !ipv6(span_skip(host, 1)))
			return false;
		return rest.n == 0 ||
		    (rest.p[0] == ':' && port(span_skip(rest, 1), standard));
	}
	return span_cut(&rest, ':', &host) && host_name(host) &&
	    (rest.p == NULL || port(rest, standard));
}

/* What follows the scheme; absent where there is no scheme of ours. */
static struct span
split_scheme(struct span text, uint64_t *standard)
{
	const struct span https = SPAN("https://"), http = SPAN("http://");

	*standard = 443;
	if (span_starts(text, https))
		return span_skip(text, https.n);
	*standard = 80;
	if (span_starts(text, http))
		return span_skip(text, http.n);
	return (struct span){ NULL, 0 };
}

bool
origin_valid(struct span text)
{
	uint64_t standard;
	struct span rest = split_scheme(text, &standard);

	return text.n <= ORIGIN_MAX && authority(rest, standard);
}

bool
origin_rule_valid(struct span rule)
{
	uint64_t standard;
	struct span rest = split_scheme(rule, &standard);

	if (span_eq(rule, SPAN("*")) || span_eq(rule, SPAN("null")))
		return true;
	if (rule.n > ORIGIN_MAX)
		return false;
	if (!span_starts(rest, SPAN("*.")))
		return authority(rest, standard);
	rest = span_skip(rest, 2);
	return rest.n > 0 && rest.p[0] != '[' && authority(rest, standard);
}

/* A rule whose host begins with "*.", the star at this offset. */
static bool
match_below(struct span rule, size_t star, struct span text)
{
	struct span scheme = { rule.p, star };
	struct span parent = span_skip(rule, star + 1);

	/* a byte at least for the star; that they are labels, says valid() */
	return text.n > scheme.n + parent.n && span_starts(text, scheme) &&
	    span_eq(span_skip(text, text.n - parent.n), parent) &&
	    origin_valid(text);
}

bool
origin_match(struct span rule, struct span text)
{
	const char *star = memchr(rule.p, '*', rule.n);

	if (star == NULL)
		return span_eq(rule, text);
	if (rule.n == 1)
		return span_starts(text, SPAN("https://")) &&
		    origin_valid(text);
	return match_below(rule, (size_t)(star - rule.p), text);
}
