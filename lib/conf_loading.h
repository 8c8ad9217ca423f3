/*
 * conf_loading: a policy file while it is read, and what is kept of it.
 * Private to conf.
 */
#ifndef CONF_LOADING_H
#define CONF_LOADING_H

#include "conf_keys.h"

struct conf_compiled;
struct conf_list;

/* How each key was written; NULL: nowhere. */
struct conf_text {
	struct conf_entry *from[CONF_KEYS_MAX];
	struct scan_place at; /* of the section */
};

struct conf {
	struct arena arena;
	char *text;              /* the file, where it must be kept */
	void *values;            /* iniparser's; most strings are in it */
	struct conf_list *lists; /* conf_senders' */
	struct conf_compiled *compiled;
	struct conf_endpoint *endpoint;
	struct conf_text **texts; /* of each endpoint */
	size_t n;
	struct conf_server server;
	struct conf_text server_text;
	struct conf_file *files, *last_file; /* the policy file first */
};

struct conf_section {
	struct conf_section *next;
	unsigned kind; /* one of enum conf_where */
	struct span name;
	struct scan_place at;
	struct conf_entry *entry[CONF_KEYS_MAX];
};

struct conf_loading {
	struct conf_reader reader;
	struct conf_faults faults;
	struct conf *conf;
	struct conf_section *first, **last;
	struct conf_section *now; /* NULL where it is ignored */
	size_t nsections, nendpoints, nentries;
};

/*
 * Notes that a file was read, or could not be; the name is not copied.  The
 * stamp is not later than that, so that what comes then is seen as a change.
 */
void conf_loading_file(struct conf_loading *l, const char *name,
    struct stamp stamp);

#endif
