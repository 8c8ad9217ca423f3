/*
 * senders: a rules_source in memory, a few rules long, that can be told to
 * fail.  It asks every rule for every key, so that it is plainly right.
 */
#ifndef SENDERS_H
#define SENDERS_H

#include <string.h>

#include "rules.h"

enum { SENDERS_MAX = 16 };

struct senders {
	struct rules_rule rule[SENDERS_MAX];
	unsigned line[SENDERS_MAX]; /* that rules_at names */
	size_t n;
	bool broken;
};

/* False where it is no rule, or one too many; its line is its number. */
static inline bool
senders_add(struct senders *s, struct span text, bool fold_local)
{
	if (s->n == SENDERS_MAX ||
	    !rules_parse(text, fold_local, &s->rule[s->n]))
		return false;
	s->n++;
	s->line[s->n - 1] = (unsigned)s->n;
	return true;
}

static inline enum rules_answer
senders_find(void *ctx, const struct rules_keys *keys, size_t *level,
    struct rules_at *at)
{
	const struct senders *s = ctx;
	enum rules_answer answer = RULES_NONE;

	if (s->broken)
		return RULES_ERROR;
	for (size_t k = 0; k < keys->n && answer == RULES_NONE; k++)
		for (size_t i = 0; i < s->n; i++) {
			const struct rules_rule *r = &s->rule[i];

			if (!span_eq(keys->key[k],
				(struct span){ r->key, r->n }) ||
			    answer == RULES_DENY)
				continue;
			answer = r->deny ? RULES_DENY : RULES_ALLOW;
			*level = k;
			*at = (struct rules_at){ "senders", s->line[i] };
		}
	return answer;
}

static inline struct rules_source
senders_source(struct senders *s)
{
	return (struct rules_source){ senders_find, s };
}

#endif
