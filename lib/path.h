/*
 * path: the path of a URL, as endpoints and scripts are found by it
 * [SPEC 1.7, 2.1, E24].
 */
#ifndef PATH_H
#define PATH_H

#include "span.h"

/* Two spans that are one path, as SCRIPT_NAME and PATH_INFO are. */
struct path {
	struct span head, tail;
	bool encoded; /* percent-encoded: read as what it decodes to, once */
};

/*
 * The path of a REQUEST_URI, and its query behind the '?'; either is absent
 * where the URI has none.  Of one with a '#' anywhere, which some servers cut
 * off and others do not, all is the path, which is then not plain.
 */
struct path path_of_uri(struct span uri, struct span *query);

/*
 * Has it nothing that could be read in two ways: no segment that is "." or
 * "..", none that is empty but behind one trailing '/', and no NUL?  What is
 * encoded must begin with a '/' and hold no '%' that is not an escape, no '#'
 * and no control byte, escaped or not: some servers serve another file then.
 */
bool path_is_plain(const struct path *p);

/* Is it this very path? */
bool path_is(const struct path *p, const char *text);

/* Is it `top`, a plain path or "", or a whole segment or more below it? */
bool path_is_below(const struct path *p, const char *top);

#endif
