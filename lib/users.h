/*
 * users: users and groups by name or number.  The front is linked statically,
 * and libc's own functions load libraries for that, which have to fit; so the
 * files in /etc are read, and getent(1) is asked for what is not there, which
 * knows directories and all else that the system has set up.
 */
#ifndef USERS_H
#define USERS_H

#include <sys/types.h>

#include <stdbool.h>

/* A user's numbers, and a group's.  False: there is none of that name. */
bool users_find(const char *name, uid_t *uid, gid_t *gid);
bool users_find_group(const char *name, gid_t *gid);

/* The main group of a user who is known by number alone. */
bool users_find_uid(uid_t uid, gid_t *gid);

/*
 * Makes the groups that a user is in this process's own, and gid.  A user who
 * has no name is in none.  -1 with errno.
 */
int users_enter_groups(uid_t uid, gid_t gid);

#endif
