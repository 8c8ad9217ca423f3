/*
 * address: one mail address, local@domain [SPEC 3.1, 3.2].
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include "span.h"

enum {
	ADDRESS_MAX = 254, /* RFC 5321 4.5.3.1.3, less the brackets */
	ADDRESS_LOCAL_MAX = 64,
	ADDRESS_DOMAIN_MAX = 253
};

struct address {
	struct span local, domain; /* borrowed from the text */
};

/*
 * A dot-atom local part of RFC 5322 atext, '@', and a domain of LDH labels
 * with at least one dot, within the limits above.  Nothing else is an address:
 * no quotes, comments, display names, literals, trailing dots, non-ASCII.
 */
bool address_parse(struct span text, struct address *out);

/* A domain alone: two LDH labels or more, each of 1 to 63 bytes. */
bool address_domain_valid(struct span domain);

/*
 * The address as it is compared: the domain in lower case, and the local part
 * too where fold_local.  Returns the length; no terminator is written.
 */
size_t address_fold(const struct address *a, bool fold_local,
    char out[ADDRESS_MAX]);

#endif
