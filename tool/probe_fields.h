/*
 * probe_fields: looks into the header of an answer to amp-cors probe.  Names
 * are compared without case.
 */
#ifndef PROBE_FIELDS_H
#define PROBE_FIELDS_H

#include "probe_answer.h"

#define ALLOW_ORIGIN "Access-Control-Allow-Origin"
#define ALLOW_SOURCE "AMP-Access-Control-Allow-Source-Origin"
#define ALLOW_SENDER "AMP-Email-Allow-Sender"
#define ALLOW_HEADERS "Access-Control-Allow-Headers"
#define ALLOW_CREDENTIALS "Access-Control-Allow-Credentials"
#define EXPOSE_HEADERS "Access-Control-Expose-Headers"

/* How often the field is there. */
size_t probe_fields_count(const struct probe_answer *a, const char *name);

/* The value of the first one, trimmed; absent where there is none. */
struct span probe_fields_first(const struct probe_answer *a, const char *name);

/* Is there one with exactly this value? */
bool probe_fields_is(const struct probe_answer *a, const char *name,
    const char *value);

/* Is there one whose value holds this text?  An empty text is in none. */
bool probe_fields_holds(const struct probe_answer *a, const char *name,
    const char *text);

/*
 * Is the word, whatever its case, an element of the comma-separated list that
 * all fields of that name are together (RFC 9110 5.6.1)?
 */
bool probe_fields_lists(const struct probe_answer *a, const char *name,
    const char *word);

/* A field of the protocol: what a refusal must not have [SPEC 2.10]. */
bool probe_fields_is_cors(const struct field *f);

/* Does the value hold the text? */
bool probe_fields_within(struct span value, const char *text);

#endif
