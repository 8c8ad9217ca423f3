#include "explain_near.h"

#include <string.h>

/* Candidates that wait to be looked up together. */
struct batch {
	const struct policy *p;
	struct explain_near *out;
	bool found;
	struct rules_keys keys;
	char text[RULES_KEYS_MAX][RULES_KEY_MAX];
};

/* What may stand in a key, in an order that does not matter. */
static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_+@"
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

enum { LETTERS = sizeof(letters) - 1, LOWER = LETTERS - 26 };

static void
take(struct batch *b, struct span key, struct rules_at at)
{
	b->found = true;
	b->out->at = at;
	b->out->n = key.n;
	memcpy(b->out->key, key.p, key.n);
}

/* Asks one source; a deny that stands before an allow does not hide it. */
static void
ask(struct batch *b, const struct rules_source *source)
{
	struct rules_keys *keys = &b->keys;
	size_t from = 0, n = keys->n, level = 0;
	struct rules_at at = { NULL, 0 };
	enum rules_answer answer;

	while (!b->found && from < n) {
		struct rules_keys rest = { .n = n - from };

		memcpy(rest.key, keys->key + from, rest.n * sizeof(*rest.key));
		answer = source->find(source->ctx, &rest, &level, &at);
		if (answer == RULES_ALLOW)
			take(b, rest.key[level], at);
		else if (answer != RULES_DENY)
			return;
		from += level + 1;
	}
}

static void
flush(struct batch *b)
{
	for (size_t i = 0; !b->found && i < b->p->nsenders; i++)
		ask(b, &b->p->senders[i]);
	b->keys.n = 0;
}

/* key less `less` bytes at `at`, with `more` in their place. */
static void
candidate(struct batch *b, struct span key, size_t at, size_t less,
    struct span more)
{
	size_t n = b->keys.n;
	char *to = b->text[n];

	if (b->found || key.n + more.n - less > RULES_KEY_MAX)
		return;
	memcpy(to, key.p, at);
	if (more.n > 0)
		memcpy(to + at, more.p, more.n);
	memcpy(to + at + more.n, key.p + at + less, key.n - at - less);
	b->keys.key[n] = (struct span){ to, key.n + more.n - less };
	if (++b->keys.n == RULES_KEYS_MAX)
		flush(b);
}

static void
edits_at(struct batch *b, struct span key, size_t at, size_t nletters)
{
	for (size_t i = 0; i < nletters; i++) {
		const struct span letter = { &letters[i], 1 };

		candidate(b, key, at, 0, letter);
		if (at < key.n && key.p[at] != letters[i])
			candidate(b, key, at, 1, letter);
	}
	if (at < key.n)
		candidate(b, key, at, 1, (struct span){ NULL, 0 });
	if (at + 1 < key.n && key.p[at] != key.p[at + 1]) {
		const char swapped[] = { key.p[at + 1], key.p[at] };

		candidate(b, key, at, 2, (struct span){ swapped, 2 });
	}
}

bool
explain_near(const struct policy *p, struct span key, struct explain_near *out)
{
	struct batch b = { .p = p, .out = out };
	/* the '@' of "@domain" says what kind of rule it is */
	size_t from = span_starts(key, SPAN("@")) ? 1 : 0;

	for (size_t at = from; !b.found && at <= key.n; at++)
		edits_at(&b, key, at, p->fold_local ? LOWER : LETTERS);
	flush(&b);
	return b.found;
}

bool
explain_near_exact(const struct policy *p, struct span key,
    struct explain_near *out)
{
	struct batch b = { .p = p, .out = out };

	candidate(&b, key, 0, 0, (struct span){ NULL, 0 });
	flush(&b);
	return b.found;
}
