#include "logs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "lines.h"
#include "tool.h"

struct logs {
	struct lines lines;
	logs_take_fn *take;
	void *ctx;
	struct logs_count *count;
};

static bool
take_line(struct logs *l, struct span line)
{
	struct logread read;

	if (!logread_line(line, &read))
		return true;
	l->count->decisions++;
	return l->take(l->ctx, &read);
}

/* As logrotate leaves old logs (RFC 1952, 2.3.1). */
static bool
is_gzip(const struct lines *l)
{
	return l->end >= 2 && memcmp(l->room, "\x1f\x8b", 2) == 0;
}

static int
read_lines(struct logs *l, const char *name)
{
	struct span line;
	bool first = true;

	for (;; first = false) {
		enum lines_result r = lines_next(&l->lines, &line);

		if (first && is_gzip(&l->lines))
			return tool_fail(EX_DATAERR,
			    "%s is compressed; zcat it and give - as the log",
			    name);
		switch (r) {
		case LINES_LINE:
			l->count->lines++;
			if (take_line(l, line))
				break;
			return tool_fail(EX_OSERR, "out of memory");
		case LINES_TOO_LONG:
			l->count->lines++;
			l->count->too_long++;
			break;
		case LINES_END:
			return EX_OK;
		case LINES_FAILED:
			return tool_fail(errno == EISDIR ? EX_NOINPUT :
							   EX_IOERR,
			    "%s: %s", name, strerror(errno));
		}
	}
}

static int
read_file(struct logs *l, const char *name)
{
	bool given = strcmp(name, "-") == 0;
	int fd =
	    given ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int status;

	if (fd == -1)
		return tool_fail(EX_NOINPUT, "%s: %s", name, strerror(errno));
	lines_begin(&l->lines, fd);
	status = read_lines(l, given ? "standard input" : name);
	if (!given)
		close(fd);
	return status;
}

int
logs_read(char *const file[], size_t n, logs_take_fn *take, void *ctx,
    struct logs_count *out)
{
	struct logs l = { .take = take, .ctx = ctx, .count = out };
	int status = EX_OK;

	*out = (struct logs_count){ 0 };
	if (!lines_init(&l.lines))
		return tool_fail(EX_OSERR, "out of memory");
	for (size_t i = 0; i < n && status == EX_OK; i++)
		status = read_file(&l, file[i]);
	lines_free(&l.lines);
	if (status == EX_OK && out->lines > 0 && out->decisions == 0)
		return tool_fail(EX_DATAERR,
		    "%s%s: no decision in %" PRIu64 " line%s", file[0],
		    n > 1 ? " and the others" : "", out->lines,
		    out->lines == 1 ? "" : "s");
	return status;
}
