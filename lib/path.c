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
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = span_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte of an escape, "%2F", or BAD. */
static int
unescape(struct reader *r)
{
	int high, low;

	if (r->rest.n < 3)
		return BAD;
	high = hex(r->rest.p[1]);
	low = hex(r->rest.p[2]);
	r->rest = span_skip(r->rest, 3);
	if (high < 0 || low < 0)
		return BAD;
	low |= high << 4;
	return low < ' ' || low == 0x7f ? BAD : low;
}

static int
next(struct reader *r)
{
	unsigned char c;

	if (r->rest.n == 0) {
		r->rest = r->next;
		r->next = (struct span){ NULL, 0 };
	}
	if (r->rest.n == 0)
		return END;
	c = (unsigned char)*r->rest.p;
	/* a server may take a fragment off, or a control byte for another */
	if (r->encoded && (c == '#' || c < ' ' || c == 0x7f))
		return BAD;
	if (c == '%' && r->encoded)
		return unescape(r);
	r->rest.p++;
	r->rest.n--;
	return c;
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
