#include "scan.h"

/*
 * iniparser reads lines of 1,022 bytes at most, and fails as a whole on a
 * longer one.
 */
enum { SCAN_LINE_MAX = 1000 };

static const struct span scan_bom = { "\xef\xbb\xbf", 3 };

void
scan_init(struct scan *s, struct span file, scan_report_fn *report, void *ctx)
{
	*s = (struct scan){ .rest = file, .report = report, .ctx = ctx };
}

static struct scan_place
place(const struct scan *s, struct span line, const char *p)
{
	return (struct scan_place){ s->line, (unsigned)(p - line.p) + 1 };
}

static bool
refuse(const struct scan *s, struct span line, const char *p, enum fault code,
    const char *fault, const char *expected)
{
	s->report(s->ctx, place(s, line, p), code, fault, expected);
	return false;
}

static bool
is_name(char c)
{
	char l = span_lower(c);

	return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
	    c == '-' || c == '.';
}

/* The first byte at or behind p that cannot stand in a name, or the end. */
static const char *
name_end(const char *p, const char *end)
{
	while (p < end && is_name(*p))
		p++;
	return p;
}

/*
 * Where a section's name stops being words of name bytes with one blank between
 * two of them; NULL where it is nothing else.
 */
static const char *
section_bad(struct span name)
{
	const char *p = name.p, *end = name.p + name.n;

	for (;;) {
		const char *word = p;

		p = name_end(p, end);
		if (p == word || (p < end && *p != ' '))
			return p;
		if (p == end)
			return NULL;
		p++;
	}
}

static bool
bytes_good(const struct scan *s, struct span line)
{
	for (const char *p = line.p; p < line.p + line.n; p++) {
		if (*p == '\0')
			return refuse(s, line, p, FAULT_BAD_TEXT, "a NUL byte",
			    "a policy file is plain text in ASCII or UTF-8");
		if (*p == '\r')
			return refuse(s, line, p, FAULT_BAD_TEXT,
			    "a CR without LF behind it",
			    "end lines with LF, or with CR and LF");
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return refuse(s, line, p, FAULT_BAD_TEXT,
			    "a control byte",
			    "a policy file is plain text in ASCII or UTF-8");
	}
	return true;
}

static bool
line_good(const struct scan *s, struct span line, struct span text)
{
	if (line.n > SCAN_LINE_MAX)
		return refuse(s, line, line.p + SCAN_LINE_MAX, FAULT_LONG_LINE,
		    "a line of more than 1000 bytes",
		    "write shorter lines; a long list of senders goes into a "
		    "file that senders_file names");
	if (!bytes_good(s, line))
		return false;
	/* in comments too, where iniparser would swallow the next line */
	if (text.n > 0 && text.p[text.n - 1] == '\\')
		return refuse(s, line, text.p + text.n - 1, FAULT_BAD_LINE,
		    "a backslash at the end of a line",
		    "write the whole value on one line; lines are not "
		    "continued");
	return true;
}

/* What stands between the brackets, as far as they are there. */
static struct span
section_name(struct span text)
{
	struct span name = { text.p + 1, 0 };

	while (name.n < text.n - 1 && name.p[name.n] != ']')
		name.n++;
	return span_trim(name);
}

static void
section_check(const struct scan *s, struct span line, struct span text,
    struct span name, const char *bad)
{
	const char *close = name.p + name.n, *end = text.p + text.n;

	while (close < end && *close != ']')
		close++;
	if (close == end)
		refuse(s, line, text.p, FAULT_BAD_SECTION,
		    "a section without its ']'",
		    "write [policy], [server] or [endpoint NAME] alone on the "
		    "line; a key does not begin with '['");
	else if (bad != NULL && name.n == 0)
		refuse(s, line, text.p, FAULT_BAD_SECTION,
		    "a section without a name",
		    "write [policy], [server] or [endpoint NAME]");
	else if (bad != NULL)
		refuse(s, line, bad, FAULT_BAD_SECTION,
		    "a section's name cannot go on like this",
		    "write words of letters, digits, '.', '_' and '-', with "
		    "one blank between them");
	else if (close + 1 < end)
		refuse(s, line, close + 1, FAULT_BAD_SECTION,
		    "text behind a section's ']'",
		    "write a comment on a line of its own");
}

/*
 * Where the line is wrong but the name can be made out, the section begins all
 * the same, so that its keys are not taken for those of the one before it.
 */
static bool
take_section(struct scan *s, struct span line, struct span text,
    struct scan_entry *out)
{
	struct span name = section_name(text);
	const char *bad = section_bad(name);

	section_check(s, line, text, name, bad);
	s->any_section = true;
	s->section = bad == NULL ? name : (struct span){ 0 };
	*out = (struct scan_entry){ .kind = SCAN_SECTION,
		.section = s->section,
		.at = place(s, line, name.p) };
	return bad == NULL;
}

/*
 * iniparser takes what stands between the quotes, and drops what follows them
 * or is not closed without a word.
 */
static bool
unquote(const struct scan *s, struct span line, struct span *value)
{
	const char *end = value->p + value->n, *p = value->p + 1;
	char quote = *value->p;

	while (p < end && *p != quote)
		p++;
	if (p == end)
		return refuse(s, line, value->p, FAULT_BAD_QUOTE,
		    "a quote that is not closed",
		    "close it, or leave it out: values need no quotes");
	if (p + 1 < end)
		return refuse(s, line, p + 1, FAULT_BAD_QUOTE,
		    "text behind a closing quote",
		    "one pair of quotes holds the whole value, and nothing "
		    "follows it; values need no quotes");
	*value = (struct span){ value->p + 1, value->n - 2 };
	return true;
}

static bool
value_good(const struct scan *s, struct span line, struct span *value)
{
	if (value->n > 0 && (*value->p == '"' || *value->p == '\''))
		return unquote(s, line, value);
	for (size_t i = 0; i < value->n; i++)
		if (value->p[i] == ';' || value->p[i] == '#')
			return refuse(s, line, value->p + i, FAULT_BAD_COMMENT,
			    "';' or '#' in a value, which would end it there",
			    "write a comment on a line of its own; a value "
			    "that needs the character stands in quotes");
	return true;
}

static bool
key_good(const struct scan *s, struct span line, struct span key)
{
	const char *end = name_end(key.p, key.p + key.n);

	if (key.n == 0)
		return refuse(s, line, key.p, FAULT_BAD_LINE,
		    "no key before '='", "write KEY = VALUE");
	if (end < key.p + key.n)
		return refuse(s, line, end, FAULT_BAD_LINE,
		    "a key cannot go on like this",
		    "a key is made of letters, digits and '_'; write "
		    "KEY = VALUE");
	if (!s->any_section)
		return refuse(s, line, key.p, FAULT_NO_SECTION,
		    "a key before any section",
		    "begin with [policy], [server] or [endpoint NAME]");
	return true;
}

static bool
take_key(const struct scan *s, struct span line, struct span text,
    struct scan_entry *out)
{
	struct span value = text, key;

	span_cut(&value, '=', &key);
	if (key.n == text.n)
		return refuse(s, line, text.p, FAULT_BAD_LINE,
		    "neither a section nor a key",
		    "write [SECTION], KEY = VALUE, or begin a comment with "
		    "'#'");
	value = span_trim(span_skip(text, key.n + 1));
	key = span_trim(key);
	*out = (struct scan_entry){ .kind = SCAN_KEY,
		.section = s->section,
		.key = key,
		.at = place(s, line, key.p) };
	if (!key_good(s, line, key) || !value_good(s, line, &value))
		return false;
	out->value = value;
	out->value_at = place(s, line, value.p);
	/* of a section that is refused, nobody knows what would be right */
	return s->section.p != NULL;
}

static void
skip_bom(struct scan *s, struct span *line)
{
	if (s->line != 1 || !span_starts(*line, scan_bom))
		return;
	refuse(s, *line, line->p, FAULT_BAD_TEXT, "a byte order mark",
	    "save the file as UTF-8 without one");
	*line = span_skip(*line, scan_bom.n);
}

static bool
take_line(struct scan *s, struct span line, struct scan_entry *out)
{
	struct span text = span_trim(line);

	if (!line_good(s, line, text))
		return false;
	if (text.n == 0 || *text.p == '#' || *text.p == ';')
		return false;
	if (*text.p == '[')
		return take_section(s, line, text, out);
	return take_key(s, line, text, out);
}

bool
scan_next(struct scan *s, struct scan_entry *out)
{
	struct span line;

	while (span_cut(&s->rest, '\n', &line)) {
		s->line++;
		skip_bom(s, &line);
		/* the last line has no LF, so its CR would stand alone */
		if (s->rest.p != NULL && line.n > 0 &&
		    line.p[line.n - 1] == '\r')
			line.n--;
		if (take_line(s, line, out))
			return true;
	}
	return false;
}
