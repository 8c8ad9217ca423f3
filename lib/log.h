/*
 * log: whole lines to standard error, to syslog, or to a file.
 *
 * Before log_open() lines go to standard error.  A line is one write(2), so
 * lines of several threads and processes do not mix.  This module holds the
 * one state that lib/ keeps for a whole process.
 */
#ifndef LOG_H
#define LOG_H

#include <sys/types.h>

#include "logline.h"

/*
 * Where lines go from now on: "stderr", "syslog", or a file's path, which is
 * made with mode 0640 and appended to; level is the least urgent that is
 * written (LOG_ERR to LOG_DEBUG of syslog(3)).  -1 with errno where the file
 * cannot be opened; the log is then as before.  As root, a symbolic link that
 * is not root's is ELOOP.  Not while threads may log.
 * Both words are copied; a path that PATH_MAX does not hold is ENAMETOOLONG.
 */
int log_open(const char *program, const char *to, int level);

/*
 * Opens the log's file by its name again, since somebody may have moved it:
 * lines go there from now on [SPEC 5.5].  0, also where the log is no file; -1
 * with errno, and the log goes on as it was.  Others may log meanwhile, and
 * lose no line; they may not call this, nor log_open().
 */
int log_reopen(void);

/*
 * From now on lines for people have the time in front where they go into a
 * file, or, but in syslog, are JSON objects with time, level and message.  Not
 * while threads may log.
 */
void log_format(enum logline_format format);

/*
 * Gives the log's file, where log_open() has made it, to who is to run, so that
 * log_reopen() can open it then.
 */
void log_give(uid_t uid, gid_t gid);

/* Would a line of this level be written? */
bool log_wanted(int level);

/*
 * A line as it is, its line feed included, made by logline_add().  errno is
 * kept.  Beyond 8 KiB a line is cut and ends in "...".
 */
void log_line(int level, struct span line);

/*
 * "program: text" for people, at LOG_ERR, LOG_WARNING, LOG_INFO or LOG_DEBUG.
 * Everything but printable ASCII is escaped as \xHH, line feeds too.  log_err()
 * and log_warn() add ": " and errno's text.  errno is kept.
 */
void log_err(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_errx(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warnx(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
