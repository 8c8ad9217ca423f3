/*
 * exchange: one request and the way back, wherever it came from.  The gate
 * sees no more of a web server than this [DESIGN 1].
 *
 * Nothing here waits.  Whoever waits polls `in`, `out` and `stop`, so that a
 * body and an answer move at the same time, and a client that leaves is seen.
 */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <sys/types.h>

#include "cgienv.h"

enum exchange_input {
	EXCHANGE_BYTES, /* here are some */
	EXCHANGE_WAIT,  /* none at the moment: poll in */
	EXCHANGE_END,   /* no more will come */
	EXCHANGE_GONE   /* the client has given up, or its input is broken */
};

/* What an exchange that is under way needs in order to go on. */
enum exchange_need {
	EXCHANGE_DONE,   /* nothing: it is over */
	EXCHANGE_AWAITS, /* what struct exchange_await says, and no thread */
	EXCHANGE_WAITS   /* a thread that waits, for one thing or another */
};

struct exchange_await {
	int fd;        /* readable, or broken */
	bool known;    /* it has been awaited before, if all is as usual */
	int64_t until; /* or that moment of io_now() has come; 0: never */
};

struct exchange;

struct exchange_way {
	/*
	 * Reads the request's variables, as cgienv_read() does.  What *out
	 * points to stays until the request is over.
	 */
	enum reason (*env)(struct exchange *x, struct cgienv *out);
	/*
	 * The next bytes of the body; they stay until they are taken.  Also to
	 * be called when `in` is readable after the end: the web server may
	 * have something else to say.
	 */
	enum exchange_input (*body)(struct exchange *x, struct span *bytes);
	void (*taken)(struct exchange *x, size_t n);
	/*
	 * Sends a part of the answer, n spans as one; returns how many bytes
	 * were taken, or -1 with errno: EAGAIN (poll out), or another one, and
	 * the client is gone.  0: what it owed has gone out, or a part of it,
	 * which is all that happens where v is nothing.
	 */
	ssize_t (*send)(struct exchange *x, const struct span v[], size_t n);
	/*
	 * Sends the rest of the answer, perhaps nothing, and ends it; status
	 * is the handler's exit status.  Takes everything, at most
	 * EXCHANGE_FINISH_MAX bytes; where nobody is left to read it, it is
	 * lost without a word.
	 */
	void (*finish)(struct exchange *x, int status, const struct span v[],
	    size_t n);
	/*
	 * Ends an answer that has begun and will not be whole, so that the
	 * web server can tell (E52).  In CGI the exit status does that.
	 */
	void (*cut)(struct exchange *x);
	/* A line for the web server's error log; lost if it must be. */
	void (*error)(struct exchange *x, struct span line);
	/* The signal that a handler is to get now, or 0. */
	int (*stop_signal)(struct exchange *x);
};

enum { EXCHANGE_FINISH_MAX = 16384 };

struct exchange {
	const struct exchange_way *way;
	char *const *vars; /* "NAME=value"; NULL where they are pairs as yet */
	struct span pairs; /* as FastCGI's PARAMS have them; in CGI absent */
	int in;     /* readable: body, or word from the server; -1: never */
	int out;    /* writable: send() will take something */
	int stop;   /* readable: see stop_signal; -1: never */
	short gone; /* poll(2)'s events on out that mean the client has left */
	bool cgi;   /* a CGI request: the environment is the request's */
	bool authorizer; /* it asks for the decision alone; there is no body */
	bool finished;   /* the answer is whole: finish() was called */
	bool owes;       /* bytes that it took are still here: poll out, and
			    then send() nothing */
	int64_t send_timeout; /* milliseconds that finish() may wait, in CGI */
};

#endif
