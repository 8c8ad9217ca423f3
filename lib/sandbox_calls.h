/*
 * sandbox_calls: the system calls that are left to a process which serves and
 * forwards, as a program for seccomp(2).  Private to sandbox.
 */
#ifndef SANDBOX_CALLS_H
#define SANDBOX_CALLS_H

#include <stdbool.h>

/* The sanitizers do more than the program that they watch. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_CALLS_WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANDBOX_CALLS_WATCHED 1
#endif
#endif
#ifndef SANDBOX_CALLS_WATCHED
#define SANDBOX_CALLS_WATCHED 0
#endif

/*
 * Gives up all others, in every thread; no_new_privs must be set.  With tcp,
 * TCP sockets may be made, and else Unix sockets alone.  NULL, or why not.
 */
const char *sandbox_calls_keep(bool tcp);

#endif
