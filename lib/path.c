#include "path.h"

#include <string.h>

/* Reads the bytes of a path, one after the other. */
struct reader {
	struct span rest, next;
	bool encoded;
};

enum { END = -1, BAD = -2 };

static struct reader
reader_of(const struct path *p)
{
	return (struct reader){ p->head, p->tail, p->encoded };
}

static int
next(struct reader *r)
{
	int c;

	if (r->rest.n == 0) {
		r->rest = r->next;
		r->next = (struct span){ NULL, 0 };
	}
	if (r->rest.n == 0)
		return END;
	c = (unsigned char)*r->rest.p;
	/* a server may take a fragment off, ... */
	if (c == '#' && r->encoded)
		return BAD;
	if (c == '%' && r->encoded) {
		c = span_escape(&r->rest);
	} else {
		r->rest.p++;
		r->rest.n--;
	}
	/* ... or a control byte for another; -1 is an escape that is none */
	return r->encoded && (c < ' ' || c == 0x7f) ? BAD : c;
}

struct path
path_of_uri(struct span uri, struct span *query)
{
	struct path p = { .encoded = true };

	*query = (struct span){ NULL, 0 };
	if (uri.n == 0)
		return p;
	p.head = uri;
	if (memchr(uri.p, '#', uri.n) != NULL)
		return p;
	*query = uri;
	if (!span_cut(query, '?', &p.head) || query->n == 0)
		*query = (struct span){ NULL, 0 };
	return p;
}

bool
path_is_plain(const struct path *p)
{
	struct reader r = reader_of(p);
	size_t segment = 0, dots = 0;
	int c, before = END;

	do {
		c = next(&r);
		if (c == BAD || c == '\0')
			return false;
		if (before == END && c != '/' && p->encoded)
			return false;
		if (c != '/' && c != END) {
			segment++;
			dots += c == '.';
		} else if ((segment == 0 && before != END && c != END) ||
		    (segment > 0 && segment < 3 && dots == segment))
			return false;
		else
			segment = dots = 0;
		before = c;
	} while (c != END);
	return true;
}

bool
path_is(const struct path *p, const char *text)
{
	struct reader r = reader_of(p);

	for (; *text != '\0'; text++)
		if (next(&r) != (unsigned char)*text)
			return false;
	return next(&r) == END;
}

bool
path_is_below(const struct path *p, const char *top)
{
	struct reader r = reader_of(p);
	int c = END;

	for (; *top != '\0'; top++)
		if ((c = next(&r)) != (unsigned char)*top)
			return false;
	if (c == END) /* `top` is "" */
		return true;
	c = next(&r);
	return c == END || c == '/';
}
