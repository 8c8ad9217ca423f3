#include "faults.h"

#include "tool.h"

enum { LINE_MAX_SIZE = 1 << 18 };

void
faults_escape(struct buf *out, const char *s)
{
	char hex[sizeof("\\x00")];

	for (; *s != '\0'; s++) {
		if (*s == ' ' || span_graph(*s)) {
			buf_add_char(out, *s);
			continue;
		}
		snprintf(hex, sizeof(hex), "\\x%02x", (unsigned char)*s);
		buf_add_str(out, hex);
	}
}

static const char *
colour_of(const struct conf_fault *f)
{
	if (f->note)
		return "\033[1;36m";
	return f->warning ? "\033[1;35m" : "\033[1;31m";
}

static void
add_line(struct buf *out, const struct conf_fault *f, bool colours)
{
	const char *plain = colours ? "\033[0m" : "";

	buf_add_str(out, colours ? "\033[1m" : "");
	faults_escape(out, f->file);
	if (f->at.line > 0) {
		buf_add_char(out, ':');
		buf_add_number(out, f->at.line);
		buf_add_char(out, ':');
		buf_add_number(out, f->at.column);
	}
	buf_add_str(out, ": ");
	buf_add_str(out, colours ? colour_of(f) : "");
	buf_add_str(out, conf_fault_severity(f));
	buf_add_char(out, ':');
	buf_add_str(out, plain);
	buf_add_char(out, ' ');
	faults_escape(out, f->text);
	buf_add_str(out, " [");
	buf_add_str(out, fault_word(f->code));
	buf_add_str(out, "]\n");
}

void
faults_print(FILE *to, const struct conf_fault *f)
{
	char room[8192]; /* for most of them, also where memory is out */
	struct buf line;

	buf_init_in(&line, LINE_MAX_SIZE, room, sizeof(room));
	add_line(&line, f, tool_colours(to));
	if (f->expected != NULL && *f->expected != '\0') {
		buf_add_char(&line, '\t');
		faults_escape(&line, f->expected);
		buf_add_char(&line, '\n');
	}
	fwrite(line.p, 1, line.n, to);
	if (line.failed)
		fputs("...\n", to);
	buf_free(&line);
}

void
faults_report(void *ctx, const struct conf_fault *f)
{
	faults_print(ctx, f);
}

static void
add_text(struct buf *out, const char *name, const char *value)
{
	buf_add_str(out, name);
	if (value == NULL || *value == '\0')
		buf_add_str(out, "null");
	else
		tool_json(out, span_of(value));
}

void
faults_json(struct buf *out, const struct conf_fault *f)
{
	add_text(out, "{\"file\":", f->file);
	buf_add_str(out, ",\"line\":");
	buf_add_number(out, f->at.line);
	buf_add_str(out, ",\"column\":");
	buf_add_number(out, f->at.line == 0 ? 0 : f->at.column);
	add_text(out, ",\"severity\":", conf_fault_severity(f));
	add_text(out, ",\"code\":", fault_word(f->code));
	add_text(out, ",\"text\":", f->text);
	add_text(out, ",\"hint\":", f->expected);
	buf_add_char(out, '}');
}
