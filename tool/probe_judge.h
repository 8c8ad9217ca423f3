/*
 * probe_judge: what a mail client, a browser or an attacker makes of an answer,
 * and what is to be mended [SPEC 2, 7.3].  Pure: an answer in, findings out.
 */
#ifndef PROBE_JUDGE_H
#define PROBE_JUDGE_H

#include "probe_answer.h"
#include "probe_plan.h"
#include "probe_report.h"

/* The answer to one request.  The report must be zeroed. */
void probe_judge(const struct probe_request *q, const struct probe_answer *a,
    struct probe_report *out);

/*
 * What holds for all requests: the scheme, and, with insecure, the certificate
 * that nobody checked.  Adds to out, which must have been zeroed once.
 */
void probe_judge_connection(const struct probe_request *q,
    const struct probe_answer *a, bool insecure, struct probe_report *out);

#endif
