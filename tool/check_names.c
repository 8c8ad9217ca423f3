#include "check_names.h"

#include <sys/stat.h>

#include <idn2.h>
#include <libpsl.h>
#include <stdio.h>
#include <string.h>

enum {
	NAME_MAX_SIZE = 256,
	/* a list that is older than this lacks what is new */
	OLD_SECONDS = 2 * 365 * 24 * 3600
};

struct names {
	struct remark *r;
	const struct conf *c;
	psl_ctx_t *suffixes;
	bool asked; /* the list of suffixes played a part */
	/* names come in a row: what was said of the last one */
	char last[NAME_MAX_SIZE];
	char last_fault[128];
};

/* --- internationalised names */

/* What is wrong with a label that begins with "xn--"; NULL: nothing. */
static const char *
label_fault(struct span label)
{
	char in[NAME_MAX_SIZE];
	uint8_t *out = NULL;
	const char *fault = NULL;
	int rc;

	snprintf(in, sizeof(in), "%.*s", (int)label.n, label.p);
	rc = idn2_lookup_u8((const uint8_t *)in, &out, IDN2_NO_TR46);
	if (rc != IDN2_OK)
		fault = idn2_strerror(rc);
	else if (strcmp((const char *)out, in) != 0)
		fault = "it stands for another name";
	idn2_free(out);
	return fault;
}

static const char *
name_fault(struct span name)
{
	const char *fault = NULL;
	struct span label;

	while (fault == NULL && span_cut(&name, '.', &label))
		if (span_starts(label, SPAN("xn--")))
			fault = label_fault(label);
	return fault;
}

/* The domain of a rule's key, or the host of an origin. */
static struct span
domain_of(struct span s)
{
	const char *from = memmem(s.p, s.n, "://", 3);
	struct span host;

	if (from == NULL) {
		from = memchr(s.p, '@', s.n);
		if (from == NULL && s.n > 0 && *s.p == '.')
			from = s.p;
		return from == NULL ? SPAN("") :
				      span_skip(s, (size_t)(from - s.p) + 1);
	}
	s = span_skip(s, (size_t)(from - s.p) + 3);
	if (span_starts(s, SPAN("*.")))
		s = span_skip(s, 2);
	/* IPv6 addresses are nobody's name */
	return span_cut(&s, ':', &host) && *host.p != '[' ? host : SPAN("");
}

/* text is how the rule was written, in quotes. */
static void
check_idn(struct names *n, struct remark_at at, struct span domain,
    const char *text)
{
	const char *fault;

	if (domain.n >= NAME_MAX_SIZE ||
	    memmem(domain.p, domain.n, "xn--", 4) == NULL)
		return;
	if (!span_eq(domain, span_of(n->last))) {
		snprintf(n->last, sizeof(n->last), "%.*s", (int)domain.n,
		    domain.p);
		fault = name_fault(domain);
		snprintf(n->last_fault, sizeof(n->last_fault), "%s",
		    fault == NULL ? "" : fault);
	}
	if (n->last_fault[0] != '\0')
		remark_say(n->r, REMARK_WARNING, FAULT_BAD_IDN, at,
		    "write the xn-- form of the name as it is registered",
		    "%s: %s is no name of IDNA2008: %s", text, n->last,
		    n->last_fault);
}

/* The name in ASCII, of one in UTF-8; false: there is none. */
static bool
map_name(struct span name, char *out, size_t size)
{
	char in[NAME_MAX_SIZE * 2];
	uint8_t *mapped = NULL;
	bool good;

	if (name.n >= sizeof(in) || memchr(name.p, '\0', name.n) != NULL)
		return false;
	snprintf(in, sizeof(in), "%.*s", (int)name.n, name.p);
	good = idn2_lookup_u8((const uint8_t *)in, &mapped,
		   IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK &&
	    strlen((const char *)mapped) < size;
	/* it maps much that is no name: what is LDH, our own parsers know */
	good = good && name_fault(span_of((const char *)mapped)) == NULL;
	if (good)
		strcpy(out, (const char *)mapped);
	idn2_free(mapped);
	return good;
}

bool
check_names_mend(struct span word, bool origin, char *out, size_t size)
{
	const char *scheme = memmem(word.p, word.n, "://", 3);
	const char *from =
	    scheme != NULL ? scheme + 2 : memrchr(word.p, '@', word.n);
	struct span rest, name;
	char mapped[NAME_MAX_SIZE];
	struct rules_rule rule;
	int n;

	if (from == NULL)
		return false;
	rest = span_skip(word, (size_t)(from - word.p) + 1);
	if (span_starts(rest, SPAN("*.")))
		rest = span_skip(rest, 2);
	name = rest;
	span_cut(&rest, ':', &name);
	if (name.n == 0 || !map_name(name, mapped, sizeof(mapped)))
		return false;
	n = snprintf(out, size, "%.*s%s%s%.*s", (int)(name.p - word.p), word.p,
	    mapped, rest.p == NULL ? "" : ":", rest.p == NULL ? 0 : (int)rest.n,
	    rest.p == NULL ? "" : rest.p);
	if (n < 0 || (size_t)n >= size)
		return false;
	return origin ? origin_rule_valid(span_of(out)) :
			rules_parse(span_of(out), true, &rule);
}

/* --- public suffixes */

static bool
accepts(const struct conf *c, size_t endpoint)
{
	struct conf_written w;
	struct span word;

	if (!conf_written(c, endpoint, "accept_risk", &w))
		return false;
	while (span_word(&w.value, &word))
		if (span_eq(word, span_of(fault_word(FAULT_PUBLIC_SUFFIX))))
			return true;
	return false;
}

/* A name that no list has is a suffix to libpsl where it has no dot. */
static bool
is_suffix(struct names *n, struct span domain, int type)
{
	char name[NAME_MAX_SIZE];

	if (n->suffixes == NULL || domain.n == 0 || domain.n >= sizeof(name))
		return false;
	n->asked = true;
	snprintf(name, sizeof(name), "%.*s", (int)domain.n, domain.p);
	return psl_is_public_suffix2(n->suffixes, name,
		   type | PSL_TYPE_NO_STAR_RULE) == 1;
}

static void
check_suffix(struct names *n, struct remark_at at, struct span domain,
    const char *text)
{
	bool icann = is_suffix(n, domain, PSL_TYPE_ICANN);

	if (!icann && !is_suffix(n, domain, PSL_TYPE_PRIVATE))
		return;
	remark_say(n->r, REMARK_ERROR, FAULT_PUBLIC_SUFFIX, at,
	    "leave it out, or write accept_risk = public-suffix",
	    "%s: %.*s is a public suffix%s", text, (int)domain.n, domain.p,
	    icann ? ": everybody can have a domain below it" :
		    " of a shared host: each of its customers has a name "
		    "below it");
}

/* Is what the rule allows denied by another one of its own kind? */
static bool
is_denied(const struct conf_endpoint *e, struct span key)
{
	struct rules_keys keys = { .n = 1 };
	struct rules_at at;

	keys.key[0] = key;
	return rules_decide(&keys, e->policy.senders, e->policy.nsenders,
		   &at) == RULES_DENY;
}

/* --- the rules */

static void
check_rule(struct names *n, const struct rulebook_rule *rule,
    const struct conf_endpoint *exposed)
{
	struct remark_at at = { rule->file, rule->at };
	struct span domain = domain_of(rule->key);
	char text[RULEBOOK_TEXT];

	rulebook_text(rule, text);
	check_idn(n, at, domain, text);
	if (exposed != NULL && !rule->deny &&
	    (*rule->key.p == '@' || *rule->key.p == '.') &&
	    !is_denied(exposed, rule->key))
		check_suffix(n, at, domain, text);
}

/* An endpoint that has this source, and does not accept the risk. */
static const struct conf_endpoint *
find_exposed(const struct conf *c, const struct rulebook *b, size_t source)
{
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(c, &ep), of[RULEBOOK_SOURCES_MAX];

	for (size_t i = 0; i < n; i++) {
		size_t sources = rulebook_of(b, i, of);

		for (size_t s = 0; s < sources; s++)
			if (of[s] == source && !accepts(c, i))
				return &ep[i];
	}
	return NULL;
}

static void
check_senders(struct names *n, const struct rulebook *b)
{
	const struct rulebook_source *source;
	size_t sources = rulebook_sources(b, &source);

	for (size_t s = 0; s < sources; s++) {
		const struct conf_endpoint *exposed = find_exposed(n->c, b, s);

		for (size_t i = source[s].first; i < source[s].end; i++) {
			struct rulebook_rule rule = rulebook_rule(b, i);

			check_rule(n, &rule, exposed);
		}
	}
}

static void
check_origin(struct names *n, struct remark_at at, struct span word,
    bool exposed)
{
	struct span domain = domain_of(word);
	char text[ORIGIN_MAX + 4];

	snprintf(text, sizeof(text), "'%.*s'", (int)word.n, word.p);
	check_idn(n, at, domain, text);
	if (exposed && memmem(word.p, word.n, "://*.", 5) != NULL)
		check_suffix(n, at, domain, text);
}

static void
check_origins(struct names *n, size_t endpoint, const char *key)
{
	struct conf_written w;
	struct span rest, word;
	bool exposed = !accepts(n->c, endpoint);

	if (!conf_written(n->c, endpoint, key, &w))
		return;
	rest = w.value;
	while (span_word(&rest, &word)) {
		struct remark_at at = { NULL, w.at };

		at.place.column += (unsigned)(word.p - w.value.p);
		if (origin_rule_valid(word))
			check_origin(n, at, word, exposed);
	}
}

/* --- the list of suffixes itself */

/* Its name and its time; false: nobody knows. */
static bool
list_of(const struct names *n, const char **name, time_t *time_of)
{
	struct stat st;

	if (n->suffixes == psl_builtin()) {
		*name = "built into libpsl";
		*time_of = psl_builtin_file_time();
		return *time_of > 0;
	}
	*name = psl_dist_filename();
	if (stat(*name, &st) == -1)
		return false;
	*time_of = st.st_mtime;
	return true;
}

static void
check_age(struct names *n, time_t now)
{
	const char *name;
	char date[16];
	struct tm tm;
	time_t then;

	if (n->suffixes == NULL)
		remark_say(n->r, REMARK_WARNING, FAULT_NOT_CHECKED,
		    (struct remark_at){ 0 }, "install the package publicsuffix",
		    "no list of public suffixes can be read");
	if (!n->asked || !list_of(n, &name, &then) ||
	    now - then < OLD_SECONDS || gmtime_r(&then, &tm) == NULL ||
	    strftime(date, sizeof(date), "%Y-%m-%d", &tm) == 0)
		return;
	remark_say(n->r, REMARK_NOTE, FAULT_OLD_SUFFIXES,
	    (struct remark_at){ 0 }, "install a newer list of public suffixes",
	    "the list of public suffixes (%s) is of %s, and lacks those that "
	    "came later",
	    name, date);
}

void
check_names(struct remark *r, const struct conf *c, const struct rulebook *b,
    time_t now)
{
	struct names n = { .r = r, .c = c, .suffixes = psl_latest(NULL) };
	const struct conf_endpoint *ep;
	size_t endpoints = conf_endpoints(c, &ep);

	check_senders(&n, b);
	for (size_t i = 0; i < endpoints; i++) {
		check_origins(&n, i, "origins");
		check_origins(&n, i, "browser_origins");
	}
	check_age(&n, now);
	psl_free(n.suffixes);
}
