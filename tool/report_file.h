/*
 * report_file: the page as a file, whole or not at all.  Private to report.
 */
#ifndef REPORT_FILE_H
#define REPORT_FILE_H

#include "span.h"

/*
 * Writes it beside `file`, syncs, and renames; a page that was there before
 * keeps its mode, and its owner where we may give files away.  EX_OK;
 * EX_CANTCREAT where it cannot be made, or what is there is no regular file;
 * EX_IOERR where writing failed: what is wrong has been said, nothing is left
 * beside it, and what was there is as it was.
 */
int report_file_put(const char *file, struct span page);

#endif
