/*
 * explained: a policy in a file, and requests that are decided by it.
 */
#ifndef EXPLAINED_H
#define EXPLAINED_H

#include "explain_case.h"
#include "folder.h"
#include "tap.h"

enum { EXPLAINED_VARS = 10 };

static inline void
explained_report(void *ctx, const struct conf_fault *f)
{
	(void)ctx;
	if (!f->warning)
		printf("# %s:%u: %s\n", f->file, f->at.line, f->text);
}

/* The policy of this text; ends the test where it does not check. */
static inline struct conf *
explained_load(const char *text)
{
	struct conf *conf;

	if (conf_load(folder_file("policy.ini", text, 0600), CONF_FOR_CGI,
		explained_report, NULL, &conf) != CONF_OK) {
		printf("Bail out! the policy\n");
		exit(1);
	}
	return conf;
}

/* Variables as decide_request() takes them; valid until the next call. */
static inline char **
explained_vars(const char *const from[EXPLAINED_VARS])
{
	static char text[EXPLAINED_VARS][1024];
	static char *vars[EXPLAINED_VARS + 1];
	size_t n = 0;

	while (n < EXPLAINED_VARS && from[n] != NULL) {
		snprintf(text[n], sizeof(text[n]), "%s", from[n]);
		vars[n] = text[n];
		n++;
	}
	vars[n] = NULL;
	return vars;
}

/* Printable ASCII, and not empty: what may go to a terminal as it is. */
static inline bool
explained_plain(const char *text)
{
	bool plain = *text != '\0';

	for (; *text != '\0'; text++)
		plain = plain && *text >= ' ' && *text < 0x7f;
	return plain;
}

#endif
