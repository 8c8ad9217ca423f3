/*
 * remarked: what a check says of a policy, as text; for the tests of checks.
 * They make the folder first.  A test program includes it once.
 */
#ifndef REMARKED_H
#define REMARKED_H

#include "buf.h"
#include "folder.h"
#include "remark.h"
#include "tap.h"

/* Adds text, with "@DIR@" as the folder's path. */
static inline void
remarked_fill(struct buf *out, const char *text)
{
	const char *dir;

	while ((dir = strstr(text, "@DIR@")) != NULL) {
		buf_add(out, text, (size_t)(dir - text));
		buf_add_str(out, folder);
		text = dir + 5;
	}
	buf_add_str(out, text);
}

/* A file in the folder, of a text with "@DIR@"; its path. */
static inline const char *
remarked_file(const char *name, const char *text)
{
	const char *path;
	struct buf filled;

	buf_init(&filled, 1 << 20);
	remarked_fill(&filled, text);
	must_text(&filled);
	path = folder_file(name, filled.p, 0644);
	buf_free(&filled);
	return path;
}

static inline void
remarked_ignore(void *ctx, const struct conf_fault *f)
{
	(void)ctx;
	(void)f;
}

/* The policy of this text, as policy.ini in the folder; whatever it says. */
static inline struct conf *
remarked_load(const char *text, enum conf_use use)
{
	struct conf *c = NULL;

	conf_look(remarked_file("policy.ini", text), use, remarked_ignore, NULL,
	    &c);
	if (c == NULL)
		bail();
	return c;
}

/*
 * "2:11 warning code: text; hint", and a line feed; "list:" in front of what
 * is said of a file of that name in the folder.  The folder is "@DIR@" again.
 */
static inline void
remarked_add(void *ctx, const struct conf_fault *f)
{
	struct buf *out = ctx;
	char line[4096], *at, *dir;
	const char *name = strrchr(f->file, '/') + 1;
	bool other = strcmp(name, "policy.ini") != 0;

	snprintf(line, sizeof(line), "%s%s%u:%u %s %s: %s%s%s\n",
	    other ? name : "", other ? ":" : "", f->at.line, f->at.column,
	    conf_fault_severity(f), fault_word(f->code), f->text,
	    f->expected == NULL || *f->expected == '\0' ? "" : "; ",
	    f->expected == NULL ? "" : f->expected);
	for (at = line; (dir = strstr(at, folder)) != NULL;
	     at = dir + strlen(folder)) {
		buf_add(out, at, (size_t)(dir - at));
		buf_add_str(out, "@DIR@");
	}
	buf_add_str(out, at);
}

/* Begins r, whose remarks are gathered in out. */
static inline void
remarked_begin(struct remark *r, const struct conf *c, struct buf *out)
{
	buf_init(out, 1 << 22);
	buf_add_str(out, ""); /* nothing said is not absent */
	remark_init(r, c, remarked_add, out);
}

/* Are these the lines that were said?  Frees them. */
static inline void
remarked_are(struct buf *out, const char *want, const char *name)
{
	is_span((struct span){ out->n == 0 ? "" : out->p, out->n }, want, name);
	buf_free(out);
}

#endif
