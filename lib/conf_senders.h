/*
 * conf_senders: the lists of senders of an endpoint [SPEC 3.7].  Private to
 * conf.
 */
#ifndef CONF_SENDERS_H
#define CONF_SENDERS_H

#include "conf_loading.h"

/*
 * Makes the draft's sources of rules from its keys; each list is read once,
 * whoever names it.  How many rules there are, or more than 0 where nobody
 * can know.
 */
size_t conf_senders_add(struct conf_loading *l, struct conf_draft *d,
    bool check_risks);

void conf_senders_free(struct conf *c);

#endif
