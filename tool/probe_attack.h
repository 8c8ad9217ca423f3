/*
 * probe_attack: what an attacker gets out of an answer.  A part of probe_judge.
 */
#ifndef PROBE_ATTACK_H
#define PROBE_ATTACK_H

#include "probe_answer.h"
#include "probe_plan.h"
#include "probe_report.h"

/* The answer has a status. */
void probe_attack(const struct probe_request *q, const struct probe_answer *a,
    struct probe_report *out);

#endif
