/*
 * conf_keys: every key of the policy file, what it takes, and its default
 * [SPEC 6.4].  Private to conf; its test and the manual's read the table too.
 */
#ifndef CONF_KEYS_H
#define CONF_KEYS_H

#include "arena.h"
#include "conf.h"
#include "conf_faults.h"

enum conf_where {
	CONF_IN_POLICY = 1,
	CONF_IN_ENDPOINT = 2,
	CONF_IN_SERVER = 4,
	CONF_IN_BOTH = CONF_IN_POLICY | CONF_IN_ENDPOINT
};

enum conf_risk {
	CONF_RISK_ANY_SENDER = 1,
	CONF_RISK_PUBLIC_SUFFIX = 2, /* needs a list that the front has not */
	CONF_RISK_FREE_MAIL = 4,
	CONF_RISK_ANY_ORIGIN = 8,
	CONF_RISK_NULL_ORIGIN = 16,
	CONF_RISK_HTTP_ORIGIN = 32
};

/* The keys that conf itself asks for; the others follow in the table. */
enum conf_key_id {
	CONF_KEY_PATH,
	CONF_KEY_SENDERS,
	CONF_KEY_SENDERS_FILE,
	CONF_KEY_SENDERS_CDB,
	CONF_KEY_ORIGINS,
	CONF_KEY_BROWSER_ORIGINS,
	CONF_KEY_EXEC,
	CONF_KEY_SCRIPTS,
	CONF_KEY_FORWARD,
	CONF_KEY_HANDLER,
	CONF_KEY_LISTEN,
	CONF_KEY_PEERS,
	CONF_KEY_OTHERS,
	CONF_KEYS_MAX = 64
};

/* One key as it was written, or as its default would be. */
struct conf_entry {
	struct span key, value;
	struct scan_place at, value_at;
	unsigned risks_seen; /* looked for and reported already */
	bool list_failed;
};

/* A section while it is read: what its own keys and those above it set. */
struct conf_draft {
	struct conf_endpoint endpoint;
	struct conf_server server;
	unsigned risks;                         /* accepted */
	struct conf_entry *from[CONF_KEYS_MAX]; /* NULL: the default */
};

/* Where values go while a file is read. */
struct conf_reader {
	enum conf_use use;
	bool whole; /* compiled lists are read to their end */
	struct arena *arena;
	struct conf_faults *faults;
};

struct conf_key {
	const char *name;
	unsigned where;
	const char *fallback; /* "" is none, or what the manual says */
	/* Checks a value and puts it into d, or reports it and does not. */
	void (*set)(struct conf_reader *r, const struct conf_key *k,
	    const struct conf_entry *e, struct conf_draft *d);
	size_t offset;       /* in the draft, where set needs it */
	uint64_t min, max;   /* of numbers */
	const char *word[2]; /* of a choice: false, true; of a number: what */
};

extern const struct conf_key conf_keys[];
extern const size_t conf_keys_n;

/* The number of a key, in any case; conf_keys_n where there is none. */
size_t conf_keys_find(struct span name);

/* The known key that is meant by this one; NULL where none is near. */
const struct conf_key *conf_keys_near(struct span name);

/* How many bytes must be changed, taken out, put in or swapped? */
size_t conf_keys_distance(struct span a, struct span b);

/* Puts every default of those that belong there into d. */
void conf_keys_defaults(struct conf_reader *r, unsigned where,
    struct conf_draft *d);

/* What stands behind "listen". */
enum conf_listen {
	CONF_LISTEN_NONE,
	CONF_LISTEN_UNIX,
	CONF_LISTEN_LOOPBACK,
	CONF_LISTEN_WORLD,
	CONF_LISTEN_BAD
};
enum conf_listen conf_keys_listen(struct span address);

/* The place of a word in a value. */
struct scan_place conf_keys_at(const struct conf_entry *e, struct span word);

#endif
