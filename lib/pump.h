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
	PUMP_ROOM = 262144, /* as much as a pipe holds, once it is wide */
	PUMP_HOLD = 1,      /* a pump_job.hold that nobody notices */
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
	/*
	 * How many milliseconds the beginning of an answer may wait for what
	 * follows it: most answers are small, and at their end soon after that,
	 * and then go out as one piece.  Only for a handler whose take() gives
	 * nothing but what it has just put into the room.
	 */
	unsigned hold;
};

struct pump_result {
	enum reason why;
	bool begun; /* bytes have gone out: no answer of ours can follow */
	/*
	 * With REASON_OK, the last of the answer, for exchange_way.finish();
	 * it lies in the job's room and reply.
	 */
	struct span rest[2];
	bool told;  /* the handler was told to stop: its grace has begun */
	bool large; /* more than a quarter of the room has been in use */
	const char *detail; /* for the log, or NULL; or in the handler */
};

/*
 * Runs until the handler's answer is whole and sent, but for what
 * exchange_way.finish() is to send, or until something failed: see SPEC 4.7
 * for the reasons.  The handler may still be at work afterwards, in either
 * case; its status and note are set where its answer came to its end.
 */
struct pump_result pump_run(const struct pump_job *job);

/*
 * The same, for whoever has something else to do while the handler is silent.
 * pump_begin() and pump_resume() never wait.  EXCHANGE_AWAITS: pump_resume() is
 * to be called once the handler's output, out->fd, is readable; or pump_end(),
 * at out->until, or when something is to be looked at: the client, or x->stop.
 * Else pump_end() is next, which waits where that is needed, and which alone
 * ends it.  The job stays where it is until then.
 */
struct pump *pump_new(void); /* for one job after another; NULL */
void pump_free(struct pump *p);
enum exchange_need pump_begin(struct pump *p, const struct pump_job *job,
    struct exchange_await *out);
enum exchange_need pump_resume(struct pump *p, struct exchange_await *out);
struct pump_result pump_end(struct pump *p);

#endif
