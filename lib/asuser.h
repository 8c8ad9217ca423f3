/*
 * asuser: what another user could do with a file, found out by being that user
 * for a moment, in a process of its own.
 */
#ifndef ASUSER_H
#define ASUSER_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

enum asuser_what {
	ASUSER_READ,
	ASUSER_EXECUTE, /* or enter, a directory */
	ASUSER_WRITE,   /* a file, or make it where it is not there */
	ASUSER_REPLACE, /* make another file beside it */
	ASUSER_CONNECT  /* to "unix:/path" or "ADDRESS:PORT" */
};

struct asuser_question {
	enum asuser_what what;
	const char *path;
	char fault[128]; /* the answer: why not, or empty */
};

struct asuser {
	uid_t uid;
	gid_t gid;
	const char *name; /* for its other groups; NULL: it has none */
};

/* Can we find out: are we this user, or root? */
bool asuser_can(const struct asuser *u);

/*
 * Answers all questions, as that user.  False with errno where they could not
 * be asked.  Connections are waited for for half a second in all.
 */
bool asuser_ask(const struct asuser *u, struct asuser_question q[], size_t n);

#endif
