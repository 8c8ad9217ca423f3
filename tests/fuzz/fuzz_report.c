/*
 * The page of amp-cors report, made of a log: whatever stands in the log, the
 * page has no tag, attribute or script but its own.
 */
#include "fuzz.h"

#include <string.h>

#include "report_page.h"

enum { LONGEST = 16384, PAGE_MAX = 1 << 24 };

static const char *const tags[] = { "!doctype", "body", "code", "dd", "desc",
	"details", "div", "dl", "dt", "figure", "footer", "g", "h1", "h2", "h3",
	"head", "header", "html", "i", "li", "line", "main", "meta", "p",
	"rect", "section", "style", "summary", "svg", "table", "tbody", "td",
	"text", "th", "thead", "time", "title", "tr", "ul" };

static bool
is_tag(struct span name)
{
	for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++)
		if (span_caseeq(name, span_of(tags[i])))
			return true;
	return false;
}

static bool
is_word(char c)
{
	char l = span_lower(c);

	return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	    c == '!' || c == '_' || c == ':';
}

static struct span
take_word(struct span *s)
{
	struct span word = { s->p, 0 };

	while (word.n < s->n && is_word(word.p[word.n]))
		word.n++;
	*s = span_skip(*s, word.n);
	return word;
}

/* One attribute, with a value in quotes or none. */
static void
check_attribute(struct span *s)
{
	struct span name = take_word(s), value;

	FUZZ_HOLDS(name.n > 0);
	FUZZ_HOLDS(name.n < 2 || span_lower(name.p[0]) != 'o' ||
	    span_lower(name.p[1]) != 'n'); /* onclick and the like */
	if (s->n == 0 || *s->p != '=')
		return;
	FUZZ_HOLDS(s->n > 1 && s->p[1] == '"');
	*s = span_skip(*s, 2);
	FUZZ_HOLDS(span_cut(s, '"', &value) && s->p != NULL);
	FUZZ_HOLDS(value.n == 0 || memchr(value.p, '<', value.n) == NULL);
	FUZZ_HOLDS(!span_starts(value, SPAN("javascript:")));
}

/* What stands behind a '<', up to and with its '>'. */
static struct span
check_tag(struct span *s)
{
	struct span name;

	if (s->n > 0 && *s->p == '/')
		*s = span_skip(*s, 1);
	name = take_word(s);
	FUZZ_HOLDS(is_tag(name));
	for (;;) {
		while (s->n > 0 && (*s->p == ' ' || *s->p == '\n'))
			*s = span_skip(*s, 1);
		FUZZ_HOLDS(s->n > 0);
		if (*s->p == '>' || *s->p == '/')
			break;
		check_attribute(s);
	}
	if (*s->p == '/')
		*s = span_skip(*s, 1);
	FUZZ_HOLDS(s->n > 0 && *s->p == '>');
	*s = span_skip(*s, 1);
	return name;
}

static void
check_text(struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		FUZZ_HOLDS(c == '\n' || (c >= ' ' && c != 0x7f));
	}
}

static void
check_page(struct span s)
{
	struct span before;

	while (span_cut(&s, '<', &before)) {
		check_text(before);
		if (s.p == NULL)
			break;
		if (!span_eq(check_tag(&s), SPAN("style")))
			continue;
		/* that is ours alone, and may hold a '>' */
		FUZZ_HOLDS(span_cut(&s, '<', &before));
		FUZZ_HOLDS(span_starts(s, SPAN("/style>")));
		s = span_skip(s, sizeof("/style>") - 1);
	}
}

static void
add_lines(struct report_sum *sum, struct logs_count *count, struct span text)
{
	static struct logread l;
	struct span line;

	while (span_cut(&text, '\n', &line)) {
		count->lines++;
		if (!logread_line(line, &l))
			continue;
		count->decisions++;
		FUZZ_HOLDS(report_sum_add(sum, &l));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size }, title;
	static char name[] = "<file> & \"more\"";
	char *files[] = { name };
	struct logs_count count = { 0, 0, 0 };
	struct report_about about = { .file = files,
		.nfiles = 1,
		.count = &count };
	static struct report_sum sum;
	struct buf page;
	char *copy;

	if (size == 0 || size > LONGEST)
		return 0;
	span_cut(&text, '\n', &title);
	copy = strndup(title.p, title.n);
	FUZZ_HOLDS(copy != NULL && report_sum_init(&sum));
	about.title = copy;
	add_lines(&sum, &count, text);
	buf_init(&page, PAGE_MAX);
	report_page_add(&page, &sum, &about);
	FUZZ_HOLDS(!page.failed && page.n > 0);
	check_page(buf_span(&page));
	buf_free(&page);
	report_sum_free(&sum);
	free(copy);
	return 0;
}
