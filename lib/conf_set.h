/*
 * conf_set: one function for each kind of value [SPEC 6.4], as struct conf_key
 * wants it.  Private to conf_keys.
 */
#ifndef CONF_SET_H
#define CONF_SET_H

#include "conf_keys.h"

#define CONF_SET(name)                                                        \
	void conf_set_##name(struct conf_reader *r, const struct conf_key *k, \
	    const struct conf_entry *e, struct conf_draft *d)

/* Of any key, at k->offset. */
CONF_SET(number);  /* unsigned, between k->min and k->max */
CONF_SET(size);    /* uint64_t, likewise; with K, M or G behind it */
CONF_SET(choice);  /* bool: k->word[0] is false, k->word[1] true */
CONF_SET(account); /* const char *: k->word[0] is user or group */

/* Of one key each. */
CONF_SET(path);
CONF_SET(senders);
CONF_SET(senders_file);
CONF_SET(origins);
CONF_SET(browser_origins);
CONF_SET(versions);
CONF_SET(methods);
CONF_SET(request_headers);
CONF_SET(expose_headers);
CONF_SET(max_age);
CONF_SET(accept_risk);
CONF_SET(exec);
CONF_SET(scripts);
CONF_SET(forward);
CONF_SET(handler);
CONF_SET(exec_mode);
CONF_SET(max_header);
CONF_SET(environment);
CONF_SET(listen);
CONF_SET(socket_mode);
CONF_SET(peers);
CONF_SET(log);
CONF_SET(log_format);
CONF_SET(log_level);
CONF_SET(log_senders);
CONF_SET(metrics);
CONF_SET(sandbox);

#endif
