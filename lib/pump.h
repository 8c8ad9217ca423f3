/*
 * pump: moves a request's body to a handler and the handler's answer back,
 * both at once, with back-pressure and a clock on every wait [SPEC 4.3 to
 * 4.10, E29 to E34, E67 to E79].
 */
#ifndef PUMP_H
#define PUMP_H

#include "conf.h"
#include "errlog.h"
#include "exchange.h"
#include "handler.h"
#include "reply.h"

enum {
	PUMP_ROOM = 65536,  /* as much as a pipe holds */
	PUMP_EXIT_GRACE = 2 /* seconds of an open output after exit (E70) */
};

struct pump_job {
	struct exchange *x;
	struct reply *reply;     /* as after reply_init() */
	struct handler *handler; /* at work */
	const struct conf_limits *limits;
	/* how many bytes of the exchange's body are the handler's */
	uint64_t body;
	uint64_t id; /* of the request, for the lines of the error log */
	char *room;  /* PUMP_ROOM bytes */
};

struct pump_result {
	enum reason why;
	bool begun; /* bytes have gone out: no answer of ours can follow */
	/*
	 * With REASON_OK, the last of the answer, for exchange_way.finish();
	 * it lies in the job's room and reply.
	 */
	struct span rest[2];
	bool told; /* the handler was told to stop: its grace has begun */
	const char *detail; /* for the log, or NULL; or in the handler */
};

/*
 * Runs until the handler's answer is whole and sent, but for what
 * exchange_way.finish() is to send, or until something failed: see SPEC 4.7
 * for the reasons.  The handler may still be at work afterwards, in either
 * case; its status and note are set where its answer came to its end.
 */
struct pump_result pump_run(const struct pump_job *job);

#endif
