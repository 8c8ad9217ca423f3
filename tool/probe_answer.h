/*
 * probe_answer: what came back for one request of amp-cors probe.  Types only.
 */
#ifndef PROBE_ANSWER_H
#define PROBE_ANSWER_H

#include "arena.h"
#include "buf.h"
#include "field.h"

/* How a request failed before its answer was whole. */
enum probe_fault {
	PROBE_FAULT_NONE,
	PROBE_FAULT_NAME,        /* the host's name has no address */
	PROBE_FAULT_CONNECT,     /* nobody there */
	PROBE_FAULT_TLS,         /* no agreement on it */
	PROBE_FAULT_CERTIFICATE, /* not one to be trusted */
	PROBE_FAULT_TIMEOUT,
	PROBE_FAULT_CLOSED,     /* before or within the header */
	PROBE_FAULT_NOT_HTTP,   /* no answer that HTTP/1.1 knows */
	PROBE_FAULT_HEAD_LARGE, /* the header passes one of the limits */
	PROBE_FAULT_BODY_LARGE, /* the body passes PROBE_BODY_MAX */
	PROBE_FAULT_CUT,        /* the body is shorter than was announced */
	PROBE_FAULT_ENCODING,   /* the body's Content-Encoding is damaged */
	PROBE_FAULT_OTHER,
	PROBE_FAULT_MEMORY /* ours */
};

enum {
	PROBE_HEAD_MAX = 256 * 1024,
	PROBE_LINES_MAX = 1000, /* of header blocks */
	PROBE_BODY_MAX = 4 * 1024 * 1024
};

struct probe_answer {
	enum probe_fault fault;
	char detail[256];     /* of the fault, in the library's words */
	unsigned status;      /* 0: no whole header came */
	struct field *fields; /* in their order; in memory */
	size_t n_fields;
	struct buf body;  /* as much of it as came */
	char address[64]; /* of the server; empty: none was reached */
	uint64_t ms;
	struct arena memory;
};

#endif
