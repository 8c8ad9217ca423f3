/*
 * report_sum: what `amp-cors report` tells of a log, added up line by line in
 * a room that does not grow with the log.  Private to report.
 */
#ifndef REPORT_SUM_H
#define REPORT_SUM_H

#include "logread.h"
#include "tally.h"

enum {
	REPORT_BARS_MAX = 96,
	REPORT_NAMES_MAX = 100000, /* senders, origins that are told apart */
	REPORT_ENDPOINTS_MAX = 200,
	REPORT_FAULTS_MAX = 1000,
	/*
	 * Times up to 63 ms have a place each, and each doubling above has 32:
	 * they are 3 % too high at most.
	 */
	REPORT_TIMES = 64 + 58 * 32
};

/* What is counted of some decisions. */
struct report_bar {
	uint64_t decided[POLICY_OUTCOMES];
	uint64_t version[3]; /* index 0: came to none */
};

/*
 * Decisions over time, in bars of equal width, as few and as wide as it needs
 * for all of them to have room; weeks begin on Monday, days at 0:00 UTC.
 */
struct report_series {
	int64_t width; /* seconds */
	int64_t first; /* the first bar begins at first * width since origin */
	size_t n;
	struct report_bar bar[REPORT_BARS_MAX];
};

/* Bars are aligned to this moment: Monday, 5 January 1970. */
#define REPORT_ORIGIN ((int64_t)4 * 86400)

void report_series_add(struct report_series *s, int64_t at,
    enum policy_outcome decision, unsigned version);

/* When the i-th bar begins, in seconds since 1970. */
int64_t report_series_begin(const struct report_series *s, size_t i);

struct report_times {
	uint64_t n, longest;
	uint64_t place[REPORT_TIMES];
};

void report_times_add(struct report_times *t, uint64_t ms);

/* So many per cent of the times are not longer than this; 0 of no times. */
uint64_t report_times_at(const struct report_times *t, unsigned percent);

struct report_endpoint {
	struct report_bar sum;
	uint64_t faults;
	struct report_times times; /* of what a handler was asked */
};

/* Refused senders, and refused origins. */
struct report_refused {
	uint64_t n;
	int64_t last; /* seconds since 1970 */
	uint64_t why[REASON_COUNT];
	bool cut; /* the name is a beginning */
};

/* One kind of fault of one endpoint. */
struct report_fault {
	uint64_t n;
	int64_t last;
	enum reason reason; /* REASON_OK: the handler's own 5xx */
	unsigned status;
	size_t endpoint; /* of its name, the length */
};

struct report_sum {
	int64_t from, to;
	struct report_bar total;
	uint64_t by_version[POLICY_OUTCOMES][3];
	uint64_t why[REASON_COUNT]; /* of what was refused or let through */
	uint64_t faults;
	struct report_series series;
	struct report_endpoint *others;  /* beyond REPORT_ENDPOINTS_MAX */
	struct tally *endpoints;         /* struct report_endpoint */
	struct tally *senders, *origins; /* struct report_refused */
	struct tally *fault;             /* struct report_fault */
	/* lines whose names had no room in the tallies; and without a name */
	uint64_t more_senders, more_origins, more_faults;
	uint64_t no_sender, hidden_sender;
};

/* False: no memory. */
bool report_sum_init(struct report_sum *s);

/* One decision.  False: no memory. */
bool report_sum_add(struct report_sum *s, const struct logread *l);

/* Was it allowed, or let through, and not answered as it should? */
bool report_is_fault(const struct logread *l);

/* One that report_sum_init() did not see, but zeroes, is taken too. */
void report_sum_free(struct report_sum *s);

#endif
