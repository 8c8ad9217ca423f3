/*
 * rules: which sender rule decides [SPEC 3.3, 3.4].
 *
 * A rule's key is what it is looked up by: "user@domain", "@domain" for
 * "*@domain", ".domain" for "*@*.domain", "*", or a literal origin as it is.
 * An address has a short list of keys, the most specific first; where rules
 * live (in memory, in a file) is the affair of a source, which is asked for
 * all of them at once, so that a long list can be walked once.
 */
#ifndef RULES_H
#define RULES_H

#include "address.h"

enum {
	/* the address, its domain, a parent for every label, "*" */
	RULES_KEYS_MAX = 3 + ADDRESS_DOMAIN_MAX / 2,
	/* the longest key: a literal origin */
	RULES_KEY_MAX = 300
};

/* In this order each one beats those before it. */
enum rules_answer { RULES_NONE, RULES_ALLOW, RULES_DENY, RULES_ERROR };

/* Where the rule that decided was written; file is NULL where nobody knows. */
struct rules_at {
	const char *file;
	unsigned line;
};

/*
 * The keys of one address or literal, the most specific first.  They point
 * into text, which is the folded address, or into the literal itself; so this
 * must not be copied.
 */
struct rules_keys {
	size_t n;
	struct span key[RULES_KEYS_MAX];
	char text[ADDRESS_MAX];
};

struct rules_source {
	/*
	 * The answer of the first of the keys that the source has a rule for
	 * (RULES_DENY where it has both for one key), with that key's index in
	 * *level and the rule's place in *at; RULES_NONE where it has none;
	 * RULES_ERROR where it cannot say.
	 */
	enum rules_answer (*find)(void *ctx, const struct rules_keys *keys,
	    size_t *level, struct rules_at *at);
	void *ctx;
};

enum rules_kind {
	RULES_NO_RULE,
	RULES_ADDRESS,
	RULES_DOMAIN,
	RULES_PARENT,
	RULES_ANY,
	RULES_LITERAL
};

/* One rule as it is kept. */
struct rules_rule {
	enum rules_kind kind;
	bool deny;
	size_t n;
	char key[RULES_KEY_MAX];
};

/*
 * Reads one rule: "user@domain" (with no '*' and no first '!' in it),
 * "*@domain", "*@*.domain", "*", or a valid origin, each perhaps after one '!'
 * for a deny.  The kind is RULES_NO_RULE, and false is
 * returned, where the text is none.  Domains are folded, local parts where
 * fold_local.
 */
bool rules_parse(struct span text, bool fold_local, struct rules_rule *out);

/* The keys of an address that address_parse() took. */
void rules_keys_address(const struct address *a, bool fold_local,
    struct rules_keys *out);

/*
 * The one key of a literal source origin: no wildcard covers it.  The key is
 * borrowed from origin.
 */
void rules_keys_literal(struct span origin, struct rules_keys *out);

/*
 * Asks every source.  The most specific key that any of them knows decides,
 * deny beats allow at one key, and one source in error is RULES_ERROR,
 * whatever the others say.  *at names a rule for RULES_ALLOW and RULES_DENY,
 * and none for RULES_NONE.
 */
enum rules_answer rules_decide(const struct rules_keys *keys,
    const struct rules_source source[], size_t n, struct rules_at *at);

#endif
