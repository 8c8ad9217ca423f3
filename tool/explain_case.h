/*
 * explain_case: one request, what the front decides about it, and what it
 * answers.  The decision is decide_request()'s, the answer reply_own()'s.
 */
#ifndef EXPLAIN_CASE_H
#define EXPLAIN_CASE_H

#include "buf.h"
#include "conf.h"
#include "decide.h"

struct explain_case {
	const struct conf *conf;
	char *const *vars;
	bool authorizer;
	/* the variables alone, before the URI's query counts; their fault */
	struct cgienv read;
	enum reason variables;
	/* as decided */
	struct cgienv env;
	const struct conf_endpoint *endpoint; /* NULL: none */
	struct policy_decision decision;      /* not to be copied */
	/* a handler is to run, and makes the answer; else the front answers: */
	bool runs;
	enum reason answer;
	/* the fields of that answer, or those that the handler's gets */
	size_t nfields;
	struct field fields[DECIDE_FIELDS_MAX];
};

/*
 * Decides as the front does: in CGI, or as an Authorizer.  What it is given
 * must outlive *out.
 */
void explain_case_decide(const struct conf *c, char *const vars[],
    bool authorizer, struct explain_case *out);

/* The whole answer of the front's own; nothing where a handler runs. */
void explain_case_answer(const struct explain_case *c, struct buf *out);

/* "deny" and the like, as the log has it. */
const char *explain_case_word(const struct explain_case *c);

/* Is the endpoint found by the path of REQUEST_URI [SPEC 1.7, E13]? */
bool explain_case_by_uri(const struct explain_case *c);

/* Where the endpoint's section begins; line 0: nowhere. */
struct scan_place explain_case_section(const struct explain_case *c);

/* A key of the endpoint as the policy has it; false: its default counts. */
bool explain_case_written(const struct explain_case *c, const char *key,
    struct conf_written *out);

/* The policy file's name, as it was read. */
const char *explain_case_file(const struct explain_case *c);

#endif
