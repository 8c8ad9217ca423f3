/*
 * scan: an INI file's lines, sections and keys with their places; refuses what
 * iniparser would misread without a word [SPEC 6.7].
 */
#ifndef SCAN_H
#define SCAN_H

#include "fault.h"
#include "span.h"

/* Both count from 1; the column counts bytes. */
struct scan_place {
	unsigned line, column;
};

/* What is wrong, and what would be right; both whole sentences' parts. */
typedef void scan_report_fn(void *ctx, struct scan_place at, enum fault code,
    const char *fault, const char *expected);

struct scan {
	struct span rest;
	struct span section; /* the name alone: "policy", "endpoint rsvp" */
	unsigned line;
	bool any_section;
	scan_report_fn *report;
	void *ctx;
};

enum scan_kind { SCAN_SECTION, SCAN_KEY };

struct scan_entry {
	enum scan_kind kind;
	struct span section;    /* trimmed, as written */
	struct span key, value; /* of SCAN_KEY; trimmed, quotes taken off */
	struct scan_place at;   /* of the section's name, or of the key */
	struct scan_place value_at;
};

void scan_init(struct scan *s, struct span file, scan_report_fn *report,
    void *ctx);

/*
 * The next section or key that is in order.  Lines that are not are reported,
 * each once (a byte order mark besides), and passed over; but a section whose
 * name can be made out begins all the same.  False at the end of the file.
 */
bool scan_next(struct scan *s, struct scan_entry *out);

#endif
