/*
 * vars: variables one after the other, as they arrive, and which of their names
 * have been seen.  Allocates nothing.
 */
#ifndef VARS_H
#define VARS_H

#include "wire.h"

/* Where they are: strings, or else what FastCGI's PARAMS hold. */
struct vars {
	char *const *strings; /* "NAME=value", NULL-terminated */
	struct span pairs;    /* whole ones, see wire_pair() */
};

struct var {
	bool valid;    /* it has a name, which can be passed on (E8) */
	uint32_t hash; /* of the name: see vars_hash() */
	struct span name;
	struct span value; /* as it came: see vars_value() */
};

/* Is this the name of a variable that can be passed on (E8)?  And its hash. */
bool vars_hash(struct span name, uint32_t *hash);

/* What a string is. */
void vars_split(const char *s, struct var *out);

/*
 * The variable at *at, which begins with 0; *at is then the next one's place.
 * False at the end.
 */
static inline bool
vars_next(const struct vars *v, size_t *at, struct var *out)
{
	struct span rest;
	struct field pair;

	if (v->strings != NULL) {
		if (v->strings[*at] == NULL)
			return false;
		vars_split(v->strings[(*at)++], out);
		return true;
	}
	rest = span_skip(v->pairs, *at);
	if (!wire_pair(&rest, &pair))
		return false;
	*at = v->pairs.n - rest.n;
	out->name = pair.name;
	out->value = pair.value;
	out->valid = vars_hash(pair.name, &out->hash);
	return true;
}

/*
 * The value up to a NUL: what stands behind one is lost to the handler, as
 * libfcgi hands on C strings, and so to us [SPEC 1.4].
 */
struct span vars_value(const struct var *v);

/* The same without. */
bool vars_name_valid(struct span name);

/* At least as many as there are, without a walk over pairs. */
size_t vars_count(const struct vars *v);

/*
 * The names seen so far: chained hashing in a fixed room.  More names than fit
 * a round are read in several, each of them for the names whose hash falls to
 * it.
 */
enum { SEEN_HEADS = 256, SEEN_NAMES = 2048 };

struct seen_name {
	uint32_t at; /* a place in vars */
	uint16_t next;
};

struct seen {
	const struct vars *vars;
	size_t n;
	/*
	 * How many names may still be compared.  Honest ones need one or two
	 * looks each; names that were chosen to collide would need the square
	 * of their number, and a client can send thousands.
	 */
	uint64_t looks;
	uint16_t head[SEEN_HEADS]; /* 0: none, else an index and 1 */
	struct seen_name name[SEEN_NAMES];
};

/*
 * vars: what the places given to seen_find() count in; it must outlive s.
 * Returns in how many rounds `count` names are to be read, each of them begun
 * by seen_begin(): those of hash % rounds == round.
 */
size_t seen_init(struct seen *s, const struct vars *vars, size_t count);
void seen_begin(struct seen *s);

/*
 * The place that is kept for this name; it is `at` where the name is new.
 * NULL where there is no room for another, or no patience.
 */
uint32_t *seen_find(struct seen *s, const struct var *v, size_t at);

#endif
