/*
 * decide: from a request's variables to its endpoint and its decision
 * [SPEC 1, 2].  Nothing is answered, logged or run here: that is the gate's
 * part.  `amp-cors explain` asks the same, so that it cannot say anything else.
 */
#ifndef DECIDE_H
#define DECIDE_H

#include "cgienv.h"
#include "conf.h"

/*
 * Finds the endpoint and decides.  env, and what it came to: see
 * cgienv_read().  What comes first wins: variable-repeated, what makes it no
 * request [SPEC 1.3, 1.6], bad-byte, two queries that differ (E6), no-endpoint,
 * then what the endpoint's policy says.
 *
 * Returns the endpoint, NULL where there is none.  *d is whole in every case;
 * the query in *env becomes the URI's where that one counts [SPEC 1.7].  Spans
 * point into what env does, the configuration and *d, which must not be copied.
 */
const struct conf_endpoint *decide_request(const struct conf *c,
    enum reason read, bool authorizer, struct cgienv *env,
    struct policy_decision *d);

/*
 * Is the decision the whole answer, with the handler in the web server's hands
 * [SPEC 4.1, 5.2]?
 */
bool decide_alone(const struct conf_endpoint *ep, bool authorizer);

enum { DECIDE_FIELDS_MAX = POLICY_FIELDS_MAX + 3 };

/*
 * The fields of such an answer, where the request is allowed or let through:
 * the decision's own, and for an Authorizer what the next handler's variables
 * are made of.  Their number; spans point into *d.
 */
size_t decide_fields(const struct policy_decision *d, bool authorizer,
    struct field out[DECIDE_FIELDS_MAX]);

#endif
