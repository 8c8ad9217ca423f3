/*
 * conf_risk: rules that let in more than their writer may think, and that
 * therefore must be named in accept_risk [SPEC 6.6].  Private to conf.
 */
#ifndef CONF_RISK_H
#define CONF_RISK_H

#include "conf_keys.h"

/* The risk of this name, one of enum conf_risk; 0: there is none. */
unsigned conf_risk_named(struct span name);

/*
 * Reports each allowing rule of a list that carries one of these risks.  The
 * list was made from the entry: from its words, or from the files it names.
 */
void conf_risk_senders(struct conf_reader *r, const struct conf_entry *e,
    struct rules_source list, unsigned risks);

/* The same for a list of origins. */
void conf_risk_origins(struct conf_reader *r, const struct conf_entry *e,
    unsigned risks);

/* The risks to look for in an entry: each is looked for once. */
unsigned conf_risk_left(struct conf_entry *e, unsigned accepted);

#endif
