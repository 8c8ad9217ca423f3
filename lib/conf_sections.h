/*
 * conf_sections: what scan finds in a policy file, as a tree of sections and
 * keys; what is unknown, misplaced or repeated is reported.  Private to conf.
 */
#ifndef CONF_SECTIONS_H
#define CONF_SECTIONS_H

#include "conf_loading.h"

enum { CONF_SECTIONS_NAME_MAX = 64 }; /* of an endpoint */

void conf_sections_read(struct conf_loading *l, struct span file);

/* kind is one of enum conf_where; name is an endpoint's, else empty. */
struct conf_section *conf_sections_find(const struct conf_loading *l,
    unsigned kind, struct span name);

/* The keys of a section replace what is in the draft. */
void conf_sections_apply(struct conf_loading *l, const struct conf_section *s,
    struct conf_draft *d);

#endif
