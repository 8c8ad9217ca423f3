/* cdbwalk: every rule of a compiled list, and nothing of a damaged one. */
#include "cdbwalk.h"

#include "cdbwrite.h"
#include "tap.h"

#include "folder.h"

static const struct {
	const char *key;
	bool deny;
	unsigned line;
} rules[] = {
	{ "a@b.example", false, 1 },
	{ "@b.example", true, 2 },
	{ ".b.example", false, 4 },
	{ "*", false, 5 },
	{ "https://a.example", true, 70000 },
};

enum { RULES = sizeof(rules) / sizeof(*rules) };

static const char *
make(unsigned n)
{
	static char file[PATH_MAX];
	const struct cdbwrite_about about = { .text = "/lists/senders",
		.fold_local = true,
		.max = CDBWRITE_MAX };
	struct cdbwrite *w;
	uint64_t size;

	snprintf(file, sizeof(file), "%s", in_folder("list.cdb"));
	if (cdbwrite_open(file, &about, &w) != NULL)
		bail();
	for (unsigned i = 0; i < n; i++)
		if (cdbwrite_add(w, span_of(rules[i].key), rules[i].deny,
			rules[i].line) != NULL)
			bail();
	if (cdbwrite_finish(w, &size) != NULL)
		bail();
	cdbwrite_free(w);
	return file;
}

struct heard {
	unsigned n, wrong, stop;
};

static bool
on_rule(void *ctx, const struct cdbwalk_rule *r)
{
	struct heard *h = ctx;

	h->wrong += h->n >= RULES ||
	    !span_eq(r->key, span_of(rules[h->n].key)) ||
	    r->deny != rules[h->n].deny || r->line != rules[h->n].line ||
	    !span_eq(r->text, SPAN("/lists/senders"));
	h->n++;
	return h->n != h->stop;
}

static void
test_walk(void)
{
	for (unsigned n = 0; n <= RULES; n++) {
		struct heard h = { 0 };

		ok(cdbwalk(make(n), on_rule, &h) && h.n == n && h.wrong == 0,
		    "%u rules as they were", n);
	}
}

static void
test_stop(void)
{
	struct heard h = { .stop = 2 };

	ok(!cdbwalk(make(RULES), on_rule, &h) && h.n == 2, "stops when told");
}

/* A file that ends anywhere before the tables, or is changed there. */
static void
test_damage(void)
{
	const char *file = make(RULES);
	unsigned bad = 0, wrong = 0, tried = 0;
	char all[8192], changed[8192];
	size_t n;
	FILE *f = fopen(file, "r");

	n = f == NULL ? 0 : fread(all, 1, sizeof(all), f);
	ok(f != NULL && n > 2048 && n < sizeof(all), "%zu bytes", n);
	if (f != NULL)
		fclose(f);
	/* the records stand between the header and the first table */
	for (size_t i = 2048; i < n; i++) {
		struct heard h = { 0 };

		memcpy(changed, all, n);
		changed[i] ^= 0x20;
		f = fopen(file, "w");
		if (f == NULL || fwrite(changed, 1, n, f) != n ||
		    fclose(f) != 0)
			bail();
		tried++;
		if (!cdbwalk(file, on_rule, &h))
			bad++;
		wrong += h.wrong;
		if (truncate(file, (off_t)i) != 0)
			bail();
		h = (struct heard){ 0 };
		cdbwalk(file, on_rule, &h);
		wrong += h.wrong;
	}
	ok(wrong == 0, "%u wrong rules of %u damaged files", wrong, tried);
	ok(bad > 150, "%u of %u were found out", bad, tried);
}

static void
test_others(void)
{
	struct heard h = { 0 };
	const char *fifo = in_folder("fifo");

	ok(!cdbwalk("/nonexistent/x", on_rule, &h), "a missing file");
	ok(!cdbwalk(folder, on_rule, &h), "a directory");
	ok(!cdbwalk("/dev/zero", on_rule, &h), "a device");
	ok(mkfifo(fifo, 0600) == 0 && !cdbwalk(fifo, on_rule, &h),
	    "a FIFO is not waited for");
	ok(!cdbwalk(folder_file("text", "a@b.example\n", 0600), on_rule, &h),
	    "a text");
	ok(h.n == 0, "and no rule is made of them");
}

int
main(void)
{
	folder_make();
	test_walk();
	test_stop();
	test_damage();
	test_others();
	folder_remove();
	return tap_done();
}
