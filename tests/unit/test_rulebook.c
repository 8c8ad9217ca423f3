/* rulebook: every rule with its place, whichever source it stands in. */
#include "rulebook.h"

#include "cdbwrite.h"
#include "tap.h"

#include "remarked.h"

/* A line for each rule: "file:line:column 'rule'", less the folder. */
static void
add_rules(struct buf *out, const struct rulebook *b)
{
	for (size_t i = 0; i < rulebook_count(b); i++) {
		struct rulebook_rule r = rulebook_rule(b, i);
		char text[RULEBOOK_TEXT], line[1024];

		rulebook_text(&r, text);
		snprintf(line, sizeof(line), "%s:%u:%u %s\n",
		    strrchr(r.file, '/') + 1, r.at.line, r.at.column, text);
		buf_add_str(out, line);
	}
}

/* "0 2 | 1": the sources of each endpoint. */
static void
add_endpoints(struct buf *out, const struct rulebook *b, size_t n)
{
	size_t of[RULEBOOK_SOURCES_MAX];

	for (size_t i = 0; i < n; i++) {
		size_t sources = rulebook_of(b, i, of);

		buf_add_str(out, i == 0 ? "" : "| ");
		for (size_t s = 0; s < sources; s++) {
			buf_add_number(out, of[s]);
			buf_add_char(out, ' ');
		}
	}
	buf_add_char(out, '\n');
}

static void
add_sources(struct buf *out, const struct rulebook *b)
{
	const struct rulebook_source *source;
	size_t n = rulebook_sources(b, &source);
	char text[64];

	for (size_t i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "%zu-%zu%s ", source[i].first,
		    source[i].end, source[i].whole ? "" : "!");
		buf_add_str(out, text);
	}
	buf_add_char(out, '\n');
}

static void
compile(void)
{
	const struct cdbwrite_about about = { .text = "/lists/compiled",
		.fold_local = true,
		.max = CDBWRITE_MAX };
	struct cdbwrite *w;
	uint64_t size;

	if (cdbwrite_open(in_folder("list.cdb"), &about, &w) != NULL ||
	    cdbwrite_add(w, SPAN("x@c.example"), true, 12) != NULL ||
	    cdbwrite_add(w, SPAN(".c.example"), false, 14) != NULL ||
	    cdbwrite_finish(w, &size) != NULL)
		bail();
	cdbwrite_free(w);
}

static const struct {
	const char *name, *policy, *want;
} cases[] = {
	{ "no endpoint but the policy's own",
	    "[policy]\nsenders = A@B.example, !*@B.example *@*.b.example * "
	    "https://a.example\n",
	    "0-5 \n0 \n"
	    "policy.ini:2:11 'A@b.example'\n"
	    "policy.ini:2:24 '!*@b.example'\n"
	    "policy.ini:2:37 '*@*.b.example'\n"
	    "policy.ini:2:51 '*'\n"
	    "policy.ini:2:53 'https://a.example'\n" },
	{ "three sources, and quotes",
	    "[policy]\nsenders_cdb = @DIR@/list.cdb\n"
	    "senders_file = @DIR@/one @DIR@/two\n"
	    "senders = \"a@b.example\"\n",
	    "0-1 1-4 4-6 \n0 1 2 \n"
	    "policy.ini:4:12 'a@b.example'\n"
	    "one:2:1 'a@one.example'\n"
	    "one:3:3 'b@one.example'\n"
	    "two:1:1 'a@two.example'\n"
	    "compiled:12:1 '!x@c.example'\n"
	    "compiled:14:1 '*@*.c.example'\n" },
	{ "endpoints share what the policy has",
	    "[policy]\nsenders = a@b.example\n"
	    "[endpoint a]\npath = /a\n"
	    "[endpoint b]\npath = /b\nsenders = c@d.example\n"
	    "[endpoint c]\npath = /c\nsenders_file = @DIR@/two\n"
	    "[endpoint d]\npath = /d\nsenders =\n",
	    "0-1 1-2 2-3 \n0 | 1 | 0 2 | \n"
	    "policy.ini:2:11 'a@b.example'\n"
	    "policy.ini:7:11 'c@d.example'\n"
	    "two:1:1 'a@two.example'\n" },
	{ "what is no rule is left out, and noted",
	    "[policy]\nsenders = a@b.example nobody\n"
	    "senders_file = @DIR@/bad @DIR@/missing @DIR@/two\n"
	    "senders_cdb = @DIR@/two\n",
	    "0-1! 1-3! 3-3! \n0 1 2 \n"
	    "policy.ini:2:11 'a@b.example'\n"
	    "bad:2:1 'a@bad.example'\n"
	    "two:1:1 'a@two.example'\n" },
	{ "an empty file", "", "\n\n" },
};

int
main(void)
{
	folder_make();
	compile();
	remarked_file("one", "# one\na@one.example\n  b@one.example\n");
	remarked_file("two", "a@two.example");
	remarked_file("bad", "bad\na@bad.example\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct conf *c = remarked_load(cases[i].policy, CONF_FOR_CGI);
		struct rulebook *b = must(rulebook_new(c));
		const struct conf_endpoint *ep;
		struct buf out;

		buf_init(&out, 65536);
		add_sources(&out, b);
		add_endpoints(&out, b, conf_endpoints(c, &ep));
		add_rules(&out, b);
		remarked_are(&out, cases[i].want, cases[i].name);
		rulebook_free(b);
		conf_free(c);
	}
	rulebook_free(NULL);
	folder_remove();
	return tap_done();
}
