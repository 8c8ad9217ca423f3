/*
 * gate_metrics: the counters, at a path of the front's own URLs [SPEC 7.2].
 */
#ifndef GATE_METRICS_H
#define GATE_METRICS_H

#include "gate.h"

/* Is that what this request wants? */
bool gate_metrics_wanted(const struct gate *g, const struct exchange *x,
    const struct cgienv *e);

/* Answers at once; false where the text is so long that this would wait. */
bool gate_metrics_answer(const struct gate *g, struct exchange *x,
    const struct cgienv *e);

/* Answers, and waits for the client where it must. */
void gate_metrics_send(const struct gate *g, struct exchange *x,
    const struct cgienv *e);

#endif
