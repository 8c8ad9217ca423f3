#include "conf_sections.h"

#include <stdio.h>

enum { CONF_SECTIONS_MAX = 1000 }; /* iniparser's loading is quadratic */

static void
scan_fault(void *ctx, struct scan_place at, enum fault code, const char *fault,
    const char *expected)
{
	struct conf_loading *l = ctx;

	conf_faults_error(&l->faults, code, NULL, at, expected, "%s", fault);
}

static void
unknown_section(struct conf_loading *l, const struct scan_entry *e,
    struct span word)
{
	static const char *const known[] = { "[policy]", "[server]",
		"[endpoint NAME]" };
	static const char *const names[] = { "policy", "server", "endpoint" };
	const char *near = NULL;
	char expected[80];

	for (int i = 0; i < 3; i++)
		if (conf_keys_distance(word, span_of(names[i])) <= 2)
			near = known[i];
	if (near == NULL)
		near = "[policy], [server] or [endpoint NAME]";
	snprintf(expected, sizeof(expected), "write %s", near);
	conf_faults_error(&l->faults, FAULT_UNKNOWN_SECTION, NULL, e->at,
	    expected, "unknown section [%.*s]", CONF_WORD(e->section));
}

static bool
endpoint_name_good(struct conf_loading *l, const struct scan_entry *e,
    struct span name)
{
	bool good = name.n > 0 && name.n <= CONF_SECTIONS_NAME_MAX &&
	    name.p[0] != '.' && name.p[0] != '-' && name.p[0] != '_';

	for (size_t i = 0; good && i < name.n; i++)
		good = name.p[i] != ' ' && name.p[i] == span_lower(name.p[i]);
	if (!good)
		conf_faults_error(&l->faults, FAULT_BAD_NAME, NULL, e->at,
		    "write [endpoint NAME], NAME at most 64 lower-case "
		    "letters, digits, '.', '_' and '-', a letter or a digit "
		    "first",
		    "'%.*s' is no name of an endpoint", CONF_WORD(name));
	return good;
}

/* Which kind of section, and an endpoint's name; 0: none, which is reported. */
static unsigned
section_kind(struct conf_loading *l, const struct scan_entry *e,
    struct span *name)
{
	struct span rest = e->section, word;

	*name = SPAN("");
	if (span_caseeq(e->section, SPAN("policy")))
		return CONF_IN_POLICY;
	if (span_caseeq(e->section, SPAN("server")))
		return CONF_IN_SERVER;
	if (!span_word(&rest, &word) || !span_caseeq(word, SPAN("endpoint"))) {
		unknown_section(l, e, word);
		return 0;
	}
	*name = span_trim(rest);
	return endpoint_name_good(l, e, *name) ? CONF_IN_ENDPOINT : 0;
}

struct conf_section *
conf_sections_find(const struct conf_loading *l, unsigned kind,
    struct span name)
{
	struct conf_section *s = l->first;

	while (s != NULL && (s->kind != kind || !span_eq(s->name, name)))
		s = s->next;
	return s;
}

static struct conf_section *
section_add(struct conf_loading *l, const struct scan_entry *e, unsigned kind,
    struct span name)
{
	struct conf_section *s;

	if (l->nsections == CONF_SECTIONS_MAX) {
		conf_faults_error(&l->faults, FAULT_TOO_MANY_SECTIONS, NULL,
		    e->at, "use more than one policy file",
		    "more than %d sections", CONF_SECTIONS_MAX);
		return NULL;
	}
	s = arena_alloc(l->reader.arena, sizeof(*s));
	if (s == NULL)
		return NULL;
	*s = (struct conf_section){ .kind = kind, .name = name, .at = e->at };
	*l->last = s;
	l->last = &s->next;
	l->nsections++;
	l->nendpoints += kind == CONF_IN_ENDPOINT;
	return s;
}

static void
take_section(struct conf_loading *l, const struct scan_entry *e)
{
	struct span name;
	unsigned kind = section_kind(l, e, &name);
	char expected[80];

	l->now = kind == 0 ? NULL : conf_sections_find(l, kind, name);
	if (l->now != NULL) {
		snprintf(expected, sizeof(expected),
		    "put its keys into the one of line %u", l->now->at.line);
		conf_faults_error(&l->faults, FAULT_REPEATED_SECTION, NULL,
		    e->at, expected, "a second section [%.*s]",
		    CONF_WORD(e->section));
	} else if (kind != 0) {
		l->now = section_add(l, e, kind, name);
	}
}

/* Where a key is at home. */
static const char *
home_of(const struct conf_key *k)
{
	return k->where == CONF_IN_SERVER ? " of [server]" :
	    k->where == CONF_IN_ENDPOINT  ? " of [endpoint NAME]" :
					    " of [policy] or [endpoint NAME]";
}

static void
unknown_key(struct conf_loading *l, const struct scan_entry *e)
{
	const struct conf_key *near = conf_keys_near(e->key);
	char expected[80];

	if (near != NULL)
		snprintf(expected, sizeof(expected), "did you mean %s%s?",
		    near->name,
		    (near->where & l->now->kind) != 0 ? "" : home_of(near));
	else
		snprintf(expected, sizeof(expected),
		    "amp-cors.ini(5) lists the keys");
	conf_faults_error(&l->faults, FAULT_UNKNOWN_KEY, NULL, e->at, expected,
	    "unknown key '%.*s'", CONF_WORD(e->key));
}

static void
misplaced_key(struct conf_loading *l, const struct scan_entry *e,
    const struct conf_key *k)
{
	char expected[80];

	snprintf(expected, sizeof(expected), "it is a key%s", home_of(k));
	conf_faults_error(&l->faults, FAULT_MISPLACED_KEY, NULL, e->at,
	    expected, "misplaced key '%s' in [%.*s]", k->name,
	    CONF_WORD(e->section));
}

static void
repeated_key(struct conf_loading *l, const struct scan_entry *e,
    const struct conf_key *k, const struct conf_entry *first)
{
	char expected[80];

	snprintf(expected, sizeof(expected), "write it once; line %u has it",
	    first->at.line);
	conf_faults_error(&l->faults, FAULT_REPEATED_KEY, NULL, e->at, expected,
	    "repeated key '%s'", k->name);
}

static void
take_key(struct conf_loading *l, const struct scan_entry *e)
{
	size_t id = conf_keys_find(e->key);
	struct conf_entry *new;

	if (l->now == NULL)
		return;
	if (id == conf_keys_n) {
		unknown_key(l, e);
	} else if ((conf_keys[id].where & l->now->kind) == 0) {
		misplaced_key(l, e, &conf_keys[id]);
	} else if (l->now->entry[id] != NULL) {
		repeated_key(l, e, &conf_keys[id], l->now->entry[id]);
	} else {
		new = arena_alloc(l->reader.arena, sizeof(*new));
		if (new == NULL)
			return;
		*new = (struct conf_entry){ .key = e->key,
			.value = e->value,
			.at = e->at,
			.value_at = e->value_at };
		l->now->entry[id] = new;
		l->nentries++;
	}
}

void
conf_sections_read(struct conf_loading *l, struct span file)
{
	struct scan scan;
	struct scan_entry e;

	scan_init(&scan, file, scan_fault, l);
	while (scan_next(&scan, &e)) {
		if (e.kind == SCAN_SECTION)
			take_section(l, &e);
		else
			take_key(l, &e);
	}
}

void
conf_sections_apply(struct conf_loading *l, const struct conf_section *s,
    struct conf_draft *d)
{
	for (size_t i = 0; i < conf_keys_n; i++) {
		struct conf_entry *e = s->entry[i];

		if (e == NULL)
			continue;
		conf_keys[i].set(&l->reader, &conf_keys[i], e, d);
		d->from[i] = e;
	}
}
