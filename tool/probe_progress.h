/*
 * probe_progress: one line on standard error that says what is waited for,
 * where that is a terminal, and nothing anywhere else.  It is erased at the
 * end, also by the signals that end the program.
 */
#ifndef PROBE_PROGRESS_H
#define PROBE_PROGRESS_H

#include <stddef.h>

/* From here on INT, TERM and HUP say one line, and end the program as ever. */
void probe_progress_open(void);

/* The i-th of n is waited for, from 1. */
void probe_progress_at(const char *name, size_t i, size_t n);

/* Called often while it waits: the seconds move. */
void probe_progress_tick(void);

/* Erases the line; the signals are as before. */
void probe_progress_close(void);

#endif
