#include "scan.h"

#include "guard.h"
#include "tap.h"

/* What scan says of a text, one line each. */
struct transcript {
	char text[8192];
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void
note(struct transcript *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->text + t->n, sizeof(t->text) - t->n, fmt, ap);
	va_end(ap);
	if (n > 0 && t->n + (size_t)n < sizeof(t->text))
		t->n += (size_t)n;
}

static void
on_fault(void *ctx, struct scan_place at, enum fault code, const char *fault,
    const char *expected)
{
	note(ctx, "%u:%u: %s [%s]%s\n", at.line, at.column, fault,
	    fault_word(code),
	    expected == NULL || *expected == '\0' ? " (no hint)" : "");
}

static void
transcribe(struct span file, struct transcript *t)
{
	struct scan s;
	struct scan_entry e;

	t->n = 0;
	t->text[0] = '\0';
	scan_init(&s, file, on_fault, t);
	while (scan_next(&s, &e)) {
		if (e.kind == SCAN_SECTION)
			note(t, "%u:%u [%.*s]\n", e.at.line, e.at.column,
			    (int)e.section.n, e.section.p);
		else
			note(t, "%u:%u %.*s/%.*s %u:%u <%.*s>\n", e.at.line,
			    e.at.column, (int)e.section.n, e.section.p,
			    (int)e.key.n, e.key.p, e.value_at.line,
			    e.value_at.column, (int)e.value.n, e.value.p);
	}
}

static const struct {
	const char *name, *in, *want;
} tests[] = {
	/* what is in order */
	{ "empty", "", "" },
	{ "only line feeds", "\n\n\n", "" },
	{ "two lines", "[policy]\nsenders = a@b.c\n",
	    "1:2 [policy]\n2:1 policy/senders 2:11 <a@b.c>\n" },
	{ "no line feed at the end", "[policy]\na=b",
	    "1:2 [policy]\n2:1 policy/a 2:3 <b>\n" },
	{ "CR and LF", "[policy]\r\na = b\r\n\r\n",
	    "1:2 [policy]\n2:1 policy/a 2:5 <b>\n" },
	{ "blanks and tabs around", " \t[ policy\t] \n\t a \t=\t b c\t \n",
	    "1:5 [policy]\n2:3 policy/a 2:9 <b c>\n" },
	{ "comments", "# [x]\n ; a = b\n[p]\n\t#\n;\n", "3:2 [p]\n" },
	{ "non-ASCII in a comment and a value",
	    "# \xc3\xa4\n[p]\na = /\xc3\xa4\n",
	    "2:2 [p]\n3:1 p/a 3:5 </\xc3\xa4>\n" },
	{ "empty values", "[p]\na=\nb = \nc = \"\"\nd=''\n",
	    "1:2 [p]\n2:1 p/a 2:3 <>\n3:1 p/b 3:4 <>\n4:1 p/c 4:6 <>\n"
	    "5:1 p/d 5:4 <>\n" },
	{ "'=' in a value", "[p]\na = b=c = d\nb == c\n",
	    "1:2 [p]\n2:1 p/a 2:5 <b=c = d>\n3:1 p/b 3:4 <= c>\n" },
	{ "quotes take ; and # and blanks",
	    "[p]\na = \"x;y#z\"\nb = ' x '\nc = \"it's\"\n",
	    "1:2 [p]\n2:1 p/a 2:6 <x;y#z>\n3:1 p/b 3:6 < x >\n"
	    "4:1 p/c 4:6 <it's>\n" },
	{ "quotes within a value", "[p]\na = o'neil\nb = 5\"\n",
	    "1:2 [p]\n2:1 p/a 2:5 <o'neil>\n3:1 p/b 3:5 <5\">\n" },
	{ "names as they are written", "[Endpoint R.s-v_P2]\nKey_1-x.Y = Z\n",
	    "1:2 [Endpoint R.s-v_P2]\n"
	    "2:1 Endpoint R.s-v_P2/Key_1-x.Y 2:13 <Z>\n" },
	{ "a backslash within a value", "[p]\na = \\x\n",
	    "1:2 [p]\n2:1 p/a 2:5 <\\x>\n" },
	{ "an empty section", "[a]\n[b]\n", "1:2 [a]\n2:2 [b]\n" },
	/* quotes that iniparser would misread */
	{ "text behind quotes", "[p]\na = \"john doe\"@x.example\n",
	    "1:2 [p]\n2:15: text behind a closing quote [bad-quote]\n" },
	{ "a comment behind quotes", "[p]\na = 'x' # y\n",
	    "1:2 [p]\n2:8: text behind a closing quote [bad-quote]\n" },
	{ "two pairs of quotes", "[p]\na = \"\" \"\"\n",
	    "1:2 [p]\n2:7: text behind a closing quote [bad-quote]\n" },
	{ "open quotes", "[p]\na = \"open\nb = 'open\nc = \"\nd = 'x\"\n",
	    "1:2 [p]\n2:5: a quote that is not closed [bad-quote]\n"
	    "3:5: a quote that is not closed [bad-quote]\n"
	    "4:5: a quote that is not closed [bad-quote]\n"
	    "5:5: a quote that is not closed [bad-quote]\n" },
	/* comments where none can be */
	{ "; in a value", "[p]\na = x;y\n",
	    "1:2 [p]\n"
	    "2:6: ';' or '#' in a value, which would end it there "
	    "[bad-comment]\n" },
	{ "# in a value", "[p]\na = https://h/#f\n",
	    "1:2 [p]\n2:15: ';' or '#' in a value, which would end it "
	    "there [bad-comment]\n" },
	{ "a comment behind a value", "[p]\na = x # y\nb =; z\n",
	    "1:2 [p]\n"
	    "2:7: ';' or '#' in a value, which would end it there "
	    "[bad-comment]\n"
	    "3:4: ';' or '#' in a value, which would end it there "
	    "[bad-comment]\n" },
	{ "a comment behind a section", "[x] ; comment\na = b\n",
	    "1:4: text behind a section's ']' [bad-section]\n1:2 [x]\n"
	    "2:1 x/a 2:5 <b>\n" },
	{ "a key behind a section", "[x] # a=b\n[y]=4\n",
	    "1:4: text behind a section's ']' [bad-section]\n1:2 [x]\n"
	    "2:4: text behind a section's ']' [bad-section]\n2:2 [y]\n" },
	/* sections */
	{ "no name", "[p]\n[]\na = b\n[ \t]\n",
	    "1:2 [p]\n2:1: a section without a name [bad-section]\n"
	    "4:1: a section without a name [bad-section]\n" },
	{ "no ']'", "[unclosed = 3\n[policy\na = b\n",
	    "1:1: a section without its ']' [bad-section]\n"
	    "2:1: a section without its ']' [bad-section]\n2:2 [policy]\n"
	    "3:1 policy/a 3:5 <b>\n" },
	{ "two ']'", "[a]]\n[b]c]\n",
	    "1:4: text behind a section's ']' [bad-section]\n1:2 [a]\n"
	    "2:4: text behind a section's ']' [bad-section]\n2:2 [b]\n" },
	{ "':' in a name", "[endpoint:/rsvp]\na = b\n[p]\n",
	    "1:10: a section's name cannot go on like this [bad-section]\n"
	    "3:2 [p]\n" },
	{ "two blanks, a tab in a name", "[a  b]\n[a\tb]\n",
	    "1:4: a section's name cannot go on like this [bad-section]\n"
	    "2:3: a section's name cannot go on like this [bad-section]\n" },
	{ "non-ASCII in a name", "[\xc3\xa4]\n",
	    "1:2: a section's name cannot go on like this [bad-section]\n" },
	{ "a bad section's keys are not the one's before it",
	    "[p]\na = 1\n[x/y]\nb = 2\n[q]\nc = 3\n",
	    "1:2 [p]\n2:1 p/a 2:5 <1>\n"
	    "3:3: a section's name cannot go on like this [bad-section]\n"
	    "5:2 [q]\n6:1 q/c 6:5 <3>\n" },
	{ "but their faults are told", "[x/y]\nb = 2;\n",
	    "1:3: a section's name cannot go on like this [bad-section]\n"
	    "2:6: ';' or '#' in a value, which would end it there "
	    "[bad-comment]\n" },
	/* keys */
	{ "before any section", "a = b\n[p]\n",
	    "1:1: a key before any section [no-section]\n2:2 [p]\n" },
	{ "no '='", "[p]\nsenders\n x y\n",
	    "1:2 [p]\n2:1: neither a section nor a key [bad-line]\n"
	    "3:2: neither a section nor a key [bad-line]\n" },
	{ "no key", "[p]\n= b\n =\n",
	    "1:2 [p]\n2:1: no key before '=' [bad-line]\n"
	    "3:2: no key before '=' [bad-line]\n" },
	{ "':' or a blank in a key", "[p]\nb:c = 1\na b = 2\n",
	    "1:2 [p]\n2:2: a key cannot go on like this [bad-line]\n"
	    "3:2: a key cannot go on like this [bad-line]\n" },
	{ "a rule as a key", "[p]\nbounce+u=x.org@d = 1\n",
	    "1:2 [p]\n2:7: a key cannot go on like this [bad-line]\n" },
	/* lines */
	{ "backslashes at the end", "[p]\na = b\\\nc\\ \t\n",
	    "1:2 [p]\n2:6: a backslash at the end of a line [bad-line]\n"
	    "3:2: a backslash at the end of a line [bad-line]\n" },
	{ "in comments too", "# x \\\n; \\\r\n\\\n",
	    "1:5: a backslash at the end of a line [bad-line]\n"
	    "2:3: a backslash at the end of a line [bad-line]\n"
	    "3:1: a backslash at the end of a line [bad-line]\n" },
	{ "on the last line", "[p]\na = b\\",
	    "1:2 [p]\n2:6: a backslash at the end of a line [bad-line]\n" },
	{ "CR alone", "[p]\ra = b\r[q]\n",
	    "1:4: a CR without LF behind it [bad-text]\n" },
	{ "two CR", "[p]\r\r\n",
	    "1:4: a CR without LF behind it [bad-text]\n" },
	{ "CR at the end", "[p]\r",
	    "1:4: a CR without LF behind it [bad-text]\n" },
	{ "control bytes", "[p]\na = \x01\n# \x1b[m\nb\v = c\nd = \x7f\n",
	    "1:2 [p]\n2:5: a control byte [bad-text]\n"
	    "3:3: a control byte [bad-text]\n"
	    "4:2: a control byte [bad-text]\n"
	    "5:5: a control byte [bad-text]\n" },
	{ "a byte order mark", "\xef\xbb\xbf[p]\na = b\n",
	    "1:1: a byte order mark [bad-text]\n1:2 [p]\n2:1 p/a 2:5 <b>\n" },
	{ "a byte order mark elsewhere", "[p]\n\xef\xbb\xbf[q]\n",
	    "1:2 [p]\n2:1: neither a section nor a key [bad-line]\n" },
};

static void
check(struct span in, const char *want, const char *name)
{
	struct guard g = guard_of(in.p, in.n);
	static struct transcript t;

	transcribe(g.s, &t);
	is_span((struct span){ t.text, t.n }, want, name);
	guard_free(&g);
}

/* A line of n bytes after "[p]". */
static void
check_length(size_t n, const char *tail, const char *want, const char *name)
{
	char text[1100] = "[p]\n# ";
	size_t start = 4;

	memset(text + start + 2, 'x', n - 2);
	strcpy(text + start + n, tail);
	check(span_of(text), want, name);
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
		check(span_of(tests[i].in), tests[i].want, tests[i].name);
	check((struct span){ "[p]\na = b\0c\n", 12 },
	    "1:2 [p]\n2:6: a NUL byte [bad-text]\n", "a NUL byte");
	check((struct span){ "#\0", 2 }, "1:2: a NUL byte [bad-text]\n",
	    "a NUL in a comment");
	check((struct span){ "\xff\xfe[\0p\0", 6 },
	    "1:4: a NUL byte [bad-text]\n", "UTF-16");
	check_length(1000, "\n", "1:2 [p]\n", "a line of 1000 bytes");
	check_length(1000, "\r\n", "1:2 [p]\n", "and CR and LF");
	check_length(1001, "\n",
	    "1:2 [p]\n2:1001: a line of more than 1000 bytes [long-line]\n",
	    "a line of 1001 bytes");
	check_length(1001, "",
	    "1:2 [p]\n2:1001: a line of more than 1000 bytes [long-line]\n",
	    "the last line too");
	return tap_done();
}
