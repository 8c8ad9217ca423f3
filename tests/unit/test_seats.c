/*
 * seats: more threads than seats, which say where they are.
 */
#include "seats.h"

#include <sched.h>

#include "io.h"
#include "tap.h"

enum { LONG = 60000, THREADS = 6, SEATS = 2 };

static struct seats seats;
static atomic_int seated, gone, ended;
static atomic_int calls; /* for one of those who sit to leave */
static atomic_int stuck; /* calls for one to be stuck in its seat */

/* Takes one of a number of calls. */
static bool
is_called(atomic_int *n)
{
	int have = *n;

	while (have > 0)
		if (atomic_compare_exchange_weak(n, &have, have - 1))
			return true;
	return false;
}

static atomic_bool released; /* whoever left, or is stuck */
static atomic_bool over;

static void
stay_away(void)
{
	gone++;
	while (!released)
		sched_yield();
	gone--;
}

static void *
work(void *arg)
{
	struct seat mine = { .taken = false };

	(void)arg;
	while (seats_take(&seats, &mine) && !over) {
		bool leaves = false;

		seated++;
		while (!over && !leaves && stuck == 0) {
			leaves = is_called(&calls);
			sched_yield();
		}
		seated--;
		if (leaves)
			seats_leave(&seats, &mine);
		if (leaves || is_called(&stuck))
			stay_away();
	}
	ended++;
	return NULL;
}

static bool
comes(atomic_int *n, int want)
{
	int64_t until = io_now() + LONG;

	while (*n != want && io_now() < until)
		sched_yield();
	return *n == want;
}

/* Time for too many to sit down; a seat too many would be seen later too. */
static void
linger(void)
{
	for (int i = 0; i < 1000; i++)
		sched_yield();
}

static void
test_few(void)
{
	ok(comes(&seated, SEATS), "as many as there are seats sit");
	linger();
	ok(seated == SEATS, "… and no more");
}

static void
test_leave(void)
{
	calls = 3;
	ok(comes(&gone, 3), "three leave, one after another");
	ok(comes(&seated, SEATS), "… and others take their seats");
	released = true;
	ok(comes(&gone, 0), "they come back");
	linger();
	ok(seated == SEATS, "… and find no seat");
	released = false;
}

static void
test_rescue(void)
{
	stuck = SEATS;
	ok(comes(&gone, SEATS), "all who sit are stuck");
	linger();
	ok(seated == 0, "… and nobody knows");
	seats_rescue(&seats);
	seats_rescue(&seats);
	ok(comes(&seated, SEATS), "others get their seats");
	released = true;
	ok(comes(&gone, 0), "who was stuck comes back");
	linger();
	ok(seated == SEATS, "… and has no seat any more");
}

int
main(void)
{
	pthread_t threads[THREADS];

	seats_init(&seats, SEATS);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, NULL) != 0)
			bail();
	test_few();
	test_leave();
	test_rescue();
	over = true;
	seats_end(&seats);
	ok(comes(&ended, THREADS), "at the end all are told");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	seats_free(&seats);
	return tap_done();
}
