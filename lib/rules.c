#include "rules.h"

#include <string.h>

#include "origin.h"

static bool
set_key(struct rules_rule *r, enum rules_kind kind, struct span key)
{
	r->kind = kind;
	r->n = key.n;
	memcpy(r->key, key.p, key.n);
	return true;
}

/* "*@domain" and "*@*.domain": the key keeps the '@' or the '.' in front. */
static bool
parse_domain(struct rules_rule *r, struct span domain)
{
	bool parent = span_starts(domain, SPAN("*."));

	if (parent)
		domain = span_skip(domain, 2);
	if (!address_domain_valid(domain))
		return false;
	r->kind = parent ? RULES_PARENT : RULES_DOMAIN;
	r->n = domain.n + 1;
	r->key[0] = parent ? '.' : '@';
	for (size_t i = 0; i < domain.n; i++)
		r->key[i + 1] = span_lower(domain.p[i]);
	return true;
}

bool
rules_parse(struct span text, bool fold_local, struct rules_rule *out)
{
	struct address a;

	out->kind = RULES_NO_RULE;
	out->deny = span_starts(text, SPAN("!"));
	if (out->deny)
		text = span_skip(text, 1);
	if (span_eq(text, SPAN("*")))
		return set_key(out, RULES_ANY, text);
	if (origin_valid(text))
		return set_key(out, RULES_LITERAL, text);
	/* before addresses, of which "*@domain" would be one */
	if (span_starts(text, SPAN("*@")))
		return parse_domain(out, span_skip(text, 2));
	/* both are atext, but nobody who writes them here means an address */
	if (span_starts(text, SPAN("!")) || !address_parse(text, &a) ||
	    memchr(a.local.p, '*', a.local.n) != NULL)
		return false;
	out->kind = RULES_ADDRESS;
	out->n = address_fold(&a, fold_local, out->key);
	return true;
}

void
rules_keys_address(const struct address *a, bool fold_local,
    struct rules_keys *out)
{
	struct span rest = { out->text,
		address_fold(a, fold_local, out->text) };
	struct span parent, label;

	out->key[0] = rest;
	out->key[1] = span_skip(rest, a->local.n);
	out->n = 2;
	rest = span_skip(rest, a->local.n + 1);
	while (span_cut(&rest, '.', &label) && rest.n > 0) {
		parent = (struct span){ rest.p - 1, rest.n + 1 };
		/* no rule's domain is one label alone */
		if (memchr(rest.p, '.', rest.n) == NULL)
			break;
		out->key[out->n++] = parent;
	}
	out->key[out->n++] = SPAN("*");
}

void
rules_keys_literal(struct span origin, struct rules_keys *out)
{
	out->n = 1;
	out->key[0] = origin;
}

enum rules_answer
rules_decide(const struct rules_keys *keys, const struct rules_source source[],
    size_t n, struct rules_at *at)
{
	enum rules_answer best = RULES_NONE;
	struct rules_at best_at = { NULL, 0 };
	size_t best_level = keys->n;

	for (size_t i = 0; i < n; i++) {
		struct rules_at here = { NULL, 0 };
		size_t level = 0;
		enum rules_answer answer =
		    source[i].find(source[i].ctx, keys, &level, &here);

		if (answer == RULES_ERROR)
			return RULES_ERROR;
		if (answer == RULES_NONE || level > best_level ||
		    (level == best_level && answer <= best))
			continue;
		best = answer;
		best_level = level;
		best_at = here;
	}
	*at = best_at;
	return best;
}
