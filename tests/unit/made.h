/*
 * made: the policy of one row of policy.tsv, which says what its columns mean.
 */
#ifndef MADE_H
#define MADE_H

#include <string.h>

#include "policy.h"
#include "senders.h"
#include "table.h"
#include "tap.h"

enum {
	POLICY,
	METHOD,
	QUERY,
	ORIGIN,
	SENDER,
	WANTED,
	DECISION,
	REASON,
	VERSION,
	FIELDS,
	COLUMNS
};

enum { MADE_ORIGINS = 8 };

/* A policy, and what it is made of. */
struct made {
	struct policy policy;
	struct senders all, part[SENDERS_MAX];
	struct rules_source source[SENDERS_MAX];
	struct span origins[MADE_ORIGINS], browsers[MADE_ORIGINS];
	char expose[256], expose_v1[256];
};

static inline size_t
made_list(struct span words, struct span out[MADE_ORIGINS])
{
	size_t n = 0;

	while (n < MADE_ORIGINS && span_word(&words, &out[n]))
		n++;
	return n;
}

static inline void
made_senders(struct made *m, struct span rules)
{
	struct span word;

	while (span_word(&rules, &word))
		if (!senders_add(&m->all, word, true))
			ok(false, "a rule: %.*s", (int)word.n, word.p);
}

/* "A,B" as "A, B", behind whatever is in out. */
static inline void
made_expose(char *out, struct span names)
{
	struct span word;

	while (span_word(&names, &word))
		sprintf(out + strlen(out), "%s%.*s", *out == '\0' ? "" : ", ",
		    (int)word.n, word.p);
}

static inline void
made_set(struct made *m, struct span word)
{
	struct policy *p = &m->policy;
	struct span value = word, key;

	span_cut(&value, '=', &key);
	if (span_eq(key, SPAN("senders")))
		made_senders(m, value);
	else if (span_eq(key, SPAN("origins")))
		p->norigins = made_list(value, m->origins);
	else if (span_eq(key, SPAN("browser_origins")))
		p->nbrowser_origins = made_list(value, m->browsers);
	else if (span_eq(key, SPAN("versions")))
		p->versions = span_eq(value, SPAN("1")) ? POLICY_VERSION_1 :
							  POLICY_VERSION_2;
	else if (span_eq(key, SPAN("expose"))) {
		made_expose(m->expose, value);
		made_expose(m->expose_v1, value);
	} else if (span_eq(key, SPAN("playground")))
		p->playground = true;
	else if (span_eq(key, SPAN("credentials")))
		p->credentials = true;
	else if (span_eq(key, SPAN("report")))
		p->report = true;
	else if (span_eq(key, SPAN("broken")))
		m->all.broken = true;
	else
		ok(false, "a word of a policy: %.*s", (int)word.n, word.p);
}

static inline void
made_of(struct made *m, struct span words)
{
	struct span word, rest = words;

	memset(m, 0, sizeof(*m));
	m->policy = (struct policy){
		.senders = m->source,
		.nsenders = 1,
		.origins = m->origins,
		.norigins = 1,
		.browser_origins = m->browsers,
		.allow_methods = SPAN("GET, POST"),
		.allow_headers = SPAN("AMP-Email-Sender, Content-Type"),
		.max_age = SPAN("600"),
		.versions = POLICY_VERSION_1 | POLICY_VERSION_2,
		.fold_local = true,
	};
	m->origins[0] = SPAN("https://mail.google.com");
	strcpy(m->expose_v1, "AMP-Access-Control-Allow-Source-Origin");
	while (span_cut(&rest, ' ', &word))
		if (span_eq(word, SPAN("kept")))
			m->policy.fold_local = false;
		else
			made_set(m, word);
	m->source[0] = senders_source(&m->all);
	m->policy.expose = span_of(m->expose);
	m->policy.expose_v1 = span_of(m->expose_v1);
}

#endif
