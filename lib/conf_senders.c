#include "conf_senders.h"

#include "cdblist.h"
#include "conf_risk.h"
#include "lists.h"

/* One list for one entry and one way to compare local parts. */
struct conf_list {
	struct conf_list *next;
	const struct conf_entry *from;
	bool fold_local;
	struct lists *lists;
};

/* One compiled list, likewise. */
struct conf_compiled {
	struct conf_compiled *next;
	const char *file;
	bool fold_local;
	struct cdblist *list;
};

static void
list_fault(void *ctx, const char *file, unsigned line, unsigned column,
    const char *fault, const char *expected)
{
	struct conf_loading *l = ctx;

	conf_faults_error(&l->faults,
	    line == 0 ? FAULT_LIST_UNREADABLE : FAULT_BAD_RULE, file,
	    (struct scan_place){ line, column }, expected, "%s", fault);
}

/* A word that is no rule has been reported when the key was read. */
static bool
add_rule(struct conf_loading *l, const struct conf_entry *e, struct span word,
    struct lists *to)
{
	enum lists_result result =
	    lists_add(to, word, l->faults.file, e->at.line);

	if (result == LISTS_NO_MEMORY)
		l->reader.arena->failed = true;
	return result == LISTS_OK;
}

/* A name that is no absolute path has been reported likewise. */
static bool
add_file(struct conf_loading *l, struct span word, struct lists *to)
{
	const char *file = arena_string(l->reader.arena, word);
	struct stamp before, stamp;
	bool good;

	if (file == NULL || *file != '/')
		return false;
	before = stamp_path(file);
	good = lists_text(to, file, list_fault, l, &stamp);
	conf_loading_file(l, file, stamp.there ? stamp : before);
	return good;
}

/* False where memory is out or a rule or a file is bad; it is reported. */
static bool
fill_list(struct conf_loading *l, const struct conf_entry *e, bool files,
    struct lists *to)
{
	struct span rest = e->value, word;
	bool good = true;

	while (span_word(&rest, &word))
		good &=
		    files ? add_file(l, word, to) : add_rule(l, e, word, to);
	return good;
}

/* The list of an entry, made when it is first asked for. */
static struct lists *
list_of(struct conf_loading *l, struct conf_entry *e, bool files,
    bool fold_local)
{
	struct conf_list *s = l->conf->lists;

	while (s != NULL && (s->from != e || s->fold_local != fold_local))
		s = s->next;
	if (s != NULL)
		return s->lists;
	/* once is enough to report a bad one */
	if (e->list_failed)
		return NULL;
	s = arena_alloc(l->reader.arena, sizeof(*s));
	if (s == NULL)
		return NULL;
	*s = (struct conf_list){ .next = l->conf->lists,
		.from = e,
		.fold_local = fold_local,
		.lists = lists_new(fold_local) };
	l->conf->lists = s;
	if (s->lists == NULL)
		l->reader.arena->failed = true;
	else
		e->list_failed = !fill_list(l, e, files, s->lists);
	return s->lists;
}

/* Adds the list behind one key; its number of rules. */
static size_t
add_source(struct conf_loading *l, struct conf_draft *d, enum conf_key_id key,
    bool check_risks, struct rules_source to[])
{
	struct policy *p = &d->endpoint.policy;
	struct conf_entry *e = d->from[key];
	struct lists *lists;

	if (e == NULL || e->value.n == 0)
		return 0;
	lists = list_of(l, e, key == CONF_KEY_SENDERS_FILE, p->fold_local);
	if (lists == NULL)
		return 1; /* nothing is known of it: do not warn */
	to[p->nsenders] = lists_source(lists);
	/* plain CGI asks this at each request: spare it where it can */
	if (check_risks && lists_wide(lists))
		conf_risk_senders(&l->reader, e, to[p->nsenders],
		    conf_risk_left(e, d->risks));
	p->nsenders++;
	return lists_count(lists) + e->list_failed;
}

/* NULL where it cannot be used, which is reported. */
static struct cdblist *
open_compiled(struct conf_loading *l, const char *file, bool fold_local)
{
	struct stamp before = stamp_path(file);
	struct cdblist_fault fault;
	struct cdblist *list =
	    cdblist_open(file, fold_local, l->reader.whole, &fault);

	conf_loading_file(l, file, list == NULL ? before : cdblist_stamp(list));
	if (list == NULL)
		conf_faults_error(&l->faults,
		    fault.unreadable ? FAULT_LIST_UNREADABLE :
				       FAULT_LIST_DAMAGED,
		    file, (struct scan_place){ 0, 0 }, fault.expected, "%s",
		    fault.what);
	return list;
}

/* The compiled list of a file, opened when it is first asked for. */
static struct cdblist *
compiled_of(struct conf_loading *l, struct span word, bool fold_local)
{
	struct conf_compiled *c = l->conf->compiled;
	const char *file;

	while (c != NULL &&
	    (c->fold_local != fold_local || !span_eq(word, span_of(c->file))))
		c = c->next;
	if (c != NULL)
		return c->list;
	c = arena_alloc(l->reader.arena, sizeof(*c));
	file = arena_string(l->reader.arena, word);
	if (c == NULL || file == NULL || *file != '/')
		return NULL;
	*c = (struct conf_compiled){ .next = l->conf->compiled,
		.file = file,
		.fold_local = fold_local,
		.list = open_compiled(l, file, fold_local) };
	l->conf->compiled = c;
	return c->list;
}

/* Adds each of the compiled lists; the number of their rules. */
static size_t
add_compiled(struct conf_loading *l, struct conf_draft *d, bool check_risks,
    struct rules_source to[])
{
	struct policy *p = &d->endpoint.policy;
	struct conf_entry *e = d->from[CONF_KEY_SENDERS_CDB];
	unsigned risks =
	    e == NULL || !check_risks ? 0 : conf_risk_left(e, d->risks);
	struct span rest = e == NULL ? SPAN("") : e->value, word;
	size_t n = 0;

	while (span_word(&rest, &word)) {
		struct cdblist *list = compiled_of(l, word, p->fold_local);

		n += list == NULL ? 1 : cdblist_count(list);
		if (list == NULL)
			continue;
		to[p->nsenders] = cdblist_source(list);
		if (cdblist_wide(list))
			conf_risk_senders(&l->reader, e, to[p->nsenders],
			    risks);
		p->nsenders++;
	}
	return n;
}

/* How many sources there can be: one for each key, but one for each cdb. */
static size_t
count_sources(const struct conf_draft *d)
{
	const struct conf_entry *e = d->from[CONF_KEY_SENDERS_CDB];
	struct span rest = e == NULL ? SPAN("") : e->value, word;
	size_t n = 2;

	while (span_word(&rest, &word))
		n++;
	return n;
}

size_t
conf_senders_add(struct conf_loading *l, struct conf_draft *d, bool check_risks)
{
	struct rules_source *to =
	    arena_alloc(l->reader.arena, count_sources(d) * sizeof(*to));
	size_t n;

	if (to == NULL)
		return 1;
	d->endpoint.policy.senders = to;
	n = add_source(l, d, CONF_KEY_SENDERS, check_risks, to);
	n += add_source(l, d, CONF_KEY_SENDERS_FILE, check_risks, to);
	return n + add_compiled(l, d, check_risks, to);
}

void
conf_senders_free(struct conf *c)
{
	for (struct conf_list *s = c->lists; s != NULL; s = s->next)
		lists_free(s->lists);
	for (struct conf_compiled *s = c->compiled; s != NULL; s = s->next)
		cdblist_free(s->list);
}
