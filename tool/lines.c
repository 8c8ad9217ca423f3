#include "lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool
lines_init(struct lines *l)
{
	*l = (struct lines){ .fd = -1, .room = malloc(LINES_MAX) };
	return l->room != NULL;
}

void
lines_begin(struct lines *l, int fd)
{
	*l = (struct lines){ .fd = fd, .room = l->room };
}

void
lines_free(struct lines *l)
{
	free(l->room);
	l->room = NULL;
}

/* Hands out n bytes, and forgets them and the byte behind them. */
static enum lines_result
take(struct lines *l, size_t n, struct span *out)
{
	bool skipped = l->skipping;

	*out = (struct span){ l->room + l->begin, n };
	l->begin += l->begin + n < l->end ? n + 1 : n;
	l->looked = 0;
	l->skipping = false;
	return skipped ? LINES_TOO_LONG : LINES_LINE;
}

/* Makes room behind what is there; a line that fills all of it is no line. */
static void
make_room(struct lines *l)
{
	size_t n = l->end - l->begin;

	if (n == LINES_MAX)
		l->skipping = true;
	if (l->skipping)
		n = l->looked = 0;
	else if (l->begin > 0)
		memmove(l->room, l->room + l->begin, n);
	l->begin = 0;
	l->end = n;
}

/* False with errno. */
static bool
read_more(struct lines *l)
{
	ssize_t n;

	make_room(l);
	do
		n = read(l->fd, l->room + l->end, LINES_MAX - l->end);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return false;
	l->at_end = n == 0;
	l->end += (size_t)n;
	return true;
}

enum lines_result
lines_next(struct lines *l, struct span *out)
{
	for (;;) {
		char *from = l->room + l->begin + l->looked;
		char *end = memchr(from, '\n', l->end - l->begin - l->looked);

		if (end != NULL)
			return take(l, (size_t)(end - l->room) - l->begin, out);
		l->looked = l->end - l->begin;
		if (l->at_end && l->looked == 0 && !l->skipping)
			return LINES_END;
		if (l->at_end)
			return take(l, l->looked, out);
		if (!read_more(l))
			return LINES_FAILED;
	}
}
