#include "overlap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

enum {
	SLOTS_MIN = 64,
	/* what is compared at most, however many endpoints share a list */
	WORK_MAX = 20000000
};

/* --- senders */

/* What the rules of one endpoint say of one key: their numbers plus one. */
struct slot {
	uint32_t hash;
	uint32_t allow, deny; /* the first of each; both 0: a free slot */
};

/* What was found of one rule, in every endpoint that has it. */
enum state { UNSEEN, NEEDED, REPEATED, COVERED, DENIED_TOO, DENIES_NOTHING };

struct found {
	uint32_t other; /* the rule that makes it so */
	unsigned char state;
};

struct set {
	const struct rulebook *b;
	const struct rulebook_source *source;
	size_t of[RULEBOOK_SOURCES_MAX];
	size_t n;
	bool fold_local;
	bool whole;
	struct slot *slot;
	size_t nslots;
};

static char
folded(const struct set *s, char c)
{
	return s->fold_local ? span_lower(c) : c;
}

/* FNV-1a, with its high bits stirred into the low ones that are used. */
static uint32_t
hash_of(const struct set *s, struct span key)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < key.n; i++)
		h = (h ^ (unsigned char)folded(s, key.p[i])) * 0x100000001b3;
	return (uint32_t)(h ^ (h >> 32));
}

static bool
same(const struct set *s, struct span a, struct span b)
{
	return s->fold_local ? span_caseeq(a, b) : span_eq(a, b);
}

/* The slot of this key, or the free one where it would go. */
static struct slot *
slot_of(const struct set *s, struct span key)
{
	uint32_t hash = hash_of(s, key);
	size_t i = hash & (s->nslots - 1);

	for (;; i = (i + 1) & (s->nslots - 1)) {
		struct slot *at = &s->slot[i];
		uint32_t rule = at->allow > 0 ? at->allow : at->deny;

		if (rule == 0)
			at->hash = hash;
		if (rule == 0 ||
		    (at->hash == hash &&
			same(s, rulebook_rule(s->b, rule - 1).key, key)))
			return at;
	}
}

static size_t
count_rules(const struct set *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->source[s->of[i]].end - s->source[s->of[i]].first;
	return n;
}

static void
put(struct set *s, size_t number)
{
	struct rulebook_rule rule = rulebook_rule(s->b, number);
	struct slot *at = slot_of(s, rule.key);
	uint32_t *first = rule.deny ? &at->deny : &at->allow;

	if (*first == 0)
		*first = (uint32_t)number + 1;
}

/* Where memory is out there are no slots. */
static void
fill(struct set *s)
{
	size_t n = count_rules(s);

	s->nslots = SLOTS_MIN;
	while (s->nslots / 4 * 3 < n)
		s->nslots *= 2;
	s->slot = calloc(s->nslots, sizeof(*s->slot));
	if (s->slot == NULL)
		return;
	for (size_t i = 0; i < s->n; i++) {
		const struct rulebook_source *from = &s->source[s->of[i]];

		for (size_t r = from->first; r < from->end; r++)
			put(s, r);
	}
}

/*
 * The key that is looked up behind this one: an address has its domain behind
 * it, a domain its parents, and all of them "*" in the end.
 */
static bool
next_key(struct span *key)
{
	const char *at = memchr(key->p, '@', key->n), *from;

	if (key->n == 1 || (at == NULL && *key->p != '.'))
		return false; /* "*", or a literal origin */
	if (at == key->p || at == NULL)
		from = memchr(key->p + 1, '.', key->n - 1);
	else
		from = at;
	*key =
	    from == NULL ? SPAN("*") : span_skip(*key, (size_t)(from - key->p));
	return true;
}

/* What decides where this rule does not: the rule's number plus one, or 0. */
static uint32_t
broader(const struct set *s, struct span key)
{
	while (next_key(&key)) {
		const struct slot *at = slot_of(s, key);

		if (at->deny > 0)
			return at->deny;
		if (at->allow > 0)
			return at->allow;
	}
	return 0;
}

static struct found
look_at(const struct set *s, size_t number)
{
	struct rulebook_rule rule = rulebook_rule(s->b, number);
	const struct slot *at = slot_of(s, rule.key);
	uint32_t first = rule.deny ? at->deny : at->allow, other;

	if (first != number + 1)
		return (struct found){ first - 1, REPEATED };
	if (!rule.deny && at->deny > 0)
		return (struct found){ at->deny - 1, DENIED_TOO };
	if (rule.deny && at->allow > 0)
		return (struct found){ 0, NEEDED };
	other = broader(s, rule.key);
	if (other == 0) /* what no rule matches is refused */
		return (struct found){ 0,
			rule.deny && s->whole ? DENIES_NOTHING : NEEDED };
	return (struct found){ other - 1,
		rulebook_rule(s->b, other - 1).deny == rule.deny ? COVERED :
								   NEEDED };
}

/* A rule that changes nothing here may do so for another endpoint. */
static void
note(struct found *all, size_t number, struct found now)
{
	if (all[number].state == UNSEEN || now.state == NEEDED)
		all[number] = now;
}

static bool
look_at_all(struct set *s, struct found *all)
{
	fill(s);
	if (s->slot == NULL)
		return false;
	for (size_t i = 0; i < s->n; i++) {
		const struct rulebook_source *from = &s->source[s->of[i]];

		for (size_t r = from->first; r < from->end; r++)
			note(all, r, look_at(s, r));
	}
	free(s->slot);
	return true;
}

static struct set
set_of(const struct conf *c, const struct rulebook *b, size_t endpoint)
{
	struct set s = { .b = b, .whole = true };
	const struct conf_endpoint *ep;

	conf_endpoints(c, &ep);
	s.fold_local = ep[endpoint].policy.fold_local;
	rulebook_sources(b, &s.source);
	s.n = rulebook_of(b, endpoint, s.of);
	for (size_t i = 0; i < s.n; i++)
		s.whole &= s.source[s.of[i]].whole;
	return s;
}

/* Has another endpoint the same sources? */
static bool
is_done(const struct conf *c, const struct rulebook *b, size_t endpoint)
{
	struct set s = set_of(c, b, endpoint);

	for (size_t i = 0; i < endpoint; i++) {
		struct set other = set_of(c, b, i);

		if (s.n == other.n && s.fold_local == other.fold_local &&
		    memcmp(s.of, other.of, s.n * sizeof(s.of[0])) == 0)
			return true;
	}
	return false;
}

static const struct {
	const char *text;
	const char *hint; /* followed by the other's place, if there is one */
	enum fault code;
	bool by; /* the text is followed by the other rule */
} states[] = {
	[REPEATED] = { "is there twice", "leave it out; ", FAULT_REPEATED_RULE,
	    false },
	[COVERED] = { "is covered by ", "leave it out; ", FAULT_COVERED_RULE,
	    true },
	[DENIED_TOO] = { "is denied too, and the deny wins",
	    "leave one of the two out; ", FAULT_ALLOW_AND_DENY, false },
	[DENIES_NOTHING] = { "denies nothing: without it the same senders are "
			     "refused",
	    "leave it out", FAULT_DENIES_NOTHING, false },
};

static void
tell(struct remark *r, const struct rulebook *b, size_t number,
    const struct found *f)
{
	struct rulebook_rule rule = rulebook_rule(b, number);
	struct rulebook_rule other = rulebook_rule(b, f->other);
	struct remark_at at = { rule.file, rule.at };
	struct remark_at other_at = { other.file, other.at };
	char text[RULEBOOK_TEXT], by[RULEBOOK_TEXT], where[512], hint[1024];

	rulebook_text(&rule, text);
	rulebook_text(&other, by);
	remark_where(r, &at, &other_at, where, sizeof(where));
	if (f->state == DENIES_NOTHING)
		snprintf(hint, sizeof(hint), "%s", states[f->state].hint);
	else
		snprintf(hint, sizeof(hint), "%s%s has %s",
		    states[f->state].hint, where, by);
	remark_say(r, REMARK_WARNING, states[f->state].code, at, hint,
	    "%s %s%s", text, states[f->state].text,
	    states[f->state].by ? by : "");
}

static void
tell_all(struct remark *r, const struct rulebook *b, const struct found *all)
{
	for (size_t i = 0; i < rulebook_count(b); i++)
		if (all[i].state > NEEDED)
			tell(r, b, i, &all[i]);
}

/* All rules deny; without any rule at all, conf says so. */
static void
check_allows(struct remark *r, const struct conf *c, const struct rulebook *b,
    size_t endpoint)
{
	struct set s = set_of(c, b, endpoint);
	const struct conf_endpoint *ep;

	conf_endpoints(c, &ep);
	if (!s.whole || count_rules(&s) == 0 || ep[endpoint].policy.playground)
		return;
	for (size_t i = 0; i < s.n; i++)
		for (size_t n = s.source[s.of[i]].first;
		     n < s.source[s.of[i]].end; n++)
			if (!rulebook_rule(b, n).deny)
				return;
	remark_say(r, REMARK_WARNING, FAULT_NO_SENDERS,
	    (struct remark_at){ NULL, conf_place(c, endpoint) },
	    "write a rule without '!'",
	    "all rules deny: every request is refused");
}

static bool
look_at_endpoints(struct remark *r, const struct conf *c,
    const struct rulebook *b, struct found *all)
{
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(c, &ep), work = 0;

	for (size_t i = 0; i < n; i++) {
		struct set s = set_of(c, b, i);

		check_allows(r, c, b, i);
		if (is_done(c, b, i))
			continue;
		work += count_rules(&s);
		if (work > WORK_MAX) {
			remark_say(r, REMARK_NOTE, FAULT_NOT_CHECKED,
			    (struct remark_at){ 0 }, "",
			    "there are too many rules in too many endpoints "
			    "to compare all of them");
			/* one that was not looked at may need any of them */
			return true;
		}
		if (!look_at_all(&s, all))
			return false;
	}
	tell_all(r, b, all);
	return true;
}

bool
overlap_senders(struct remark *r, const struct conf *c,
    const struct rulebook *b)
{
	struct found *all = calloc(rulebook_count(b) + 1, sizeof(*all));
	bool good = all != NULL && look_at_endpoints(r, c, b, all);

	free(all);
	return good;
}

/* --- origins */

/* Where "*." stands in a rule, the rest of it; absent where it does not. */
static struct span
below(struct span rule)
{
	const char *star = memchr(rule.p, '*', rule.n);

	if (star == NULL || rule.n == 1)
		return (struct span){ NULL, 0 };
	return span_skip(rule, (size_t)(star - rule.p) + 1);
}

/* Does the rule a name every origin that the rule b names? */
static bool
covers(struct span a, struct span b)
{
	struct span all = below(a), some = below(b);
	size_t scheme;

	if (some.p == NULL)
		return !span_eq(b, SPAN("*")) && origin_match(a, b);
	if (span_eq(a, SPAN("*")))
		return span_starts(b, SPAN("https://"));
	scheme = a.n - all.n;
	return all.p != NULL && scheme == b.n - some.n && some.n > all.n &&
	    memcmp(a.p, b.p, scheme) == 0 &&
	    span_eq(span_skip(some, some.n - all.n), all);
}

/* One key's words, and which of them is looked at. */
struct words {
	struct conf_written written;
	struct span word;
};

static struct remark_at
place_in(const struct words *w, struct span word)
{
	struct remark_at at = { NULL, w->written.at };

	at.place.column += (unsigned)(word.p - w->written.value.p);
	return at;
}

static void
tell_origin(struct remark *r, const struct words *w, struct span other)
{
	struct remark_at at = place_in(w, other);
	char where[64];

	snprintf(where, sizeof(where), "leave it out; column %u has it",
	    at.place.column);
	if (span_eq(w->word, other))
		remark_say(r, REMARK_WARNING, FAULT_REPEATED_ORIGIN,
		    place_in(w, w->word), where, "'%.*s' is there twice",
		    (int)w->word.n, w->word.p);
	else
		remark_say(r, REMARK_WARNING, FAULT_COVERED_ORIGIN,
		    place_in(w, w->word), "leave it out",
		    "'%.*s' is covered by '%.*s'", (int)w->word.n, w->word.p,
		    (int)other.n, other.p);
}

/* The word against all others of its list. */
static void
check_word(struct remark *r, const struct words *w)
{
	struct span rest = w->written.value, other;

	while (span_word(&rest, &other)) {
		if (!origin_rule_valid(other) || other.p == w->word.p ||
		    (span_eq(other, w->word) && other.p > w->word.p) ||
		    !(span_eq(other, w->word) || covers(other, w->word)))
			continue;
		tell_origin(r, w, other);
		return;
	}
}

static void
check_words(struct remark *r, const struct conf_written *written)
{
	struct words w = { .written = *written };
	struct span rest = written->value;

	while (span_word(&rest, &w.word))
		if (origin_rule_valid(w.word))
			check_word(r, &w);
}

void
overlap_origins(struct remark *r, const struct conf *c)
{
	static const char *const keys[] = { "origins", "browser_origins" };
	struct conf_written w;
	const struct conf_endpoint *ep;
	size_t n = conf_endpoints(c, &ep);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < 2; k++)
			if (conf_written(c, i, keys[k], &w))
				check_words(r, &w);
}
