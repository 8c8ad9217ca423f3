#include "seats.h"

void
seats_init(struct seats *s, unsigned n)
{
	*s = (struct seats){ .n = n };
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->more, NULL);
}

void
seats_free(struct seats *s)
{
	pthread_cond_destroy(&s->more);
	pthread_mutex_destroy(&s->lock);
}

bool
seats_take(struct seats *s, struct seat *mine)
{
	bool over;

	atomic_fetch_add_explicit(&s->turns, 1, memory_order_relaxed);
	if (mine->taken &&
	    mine->round ==
		atomic_load_explicit(&s->round, memory_order_relaxed))
		return true;
	pthread_mutex_lock(&s->lock);
	while (s->taken >= s->n && !s->over)
		pthread_cond_wait(&s->more, &s->lock);
	s->taken++;
	mine->taken = true;
	mine->round = s->round;
	over = s->over;
	pthread_mutex_unlock(&s->lock);
	return !over;
}

void
seats_leave(struct seats *s, struct seat *mine)
{
	if (!mine->taken)
		return;
	mine->taken = false;
	pthread_mutex_lock(&s->lock);
	if (mine->round == s->round) {
		s->taken--;
		pthread_cond_signal(&s->more);
	}
	pthread_mutex_unlock(&s->lock);
}

void
seats_rescue(struct seats *s)
{
	unsigned turns = s->turns;

	if (turns != s->turns_before) {
		s->turns_before = turns;
		return;
	}
	pthread_mutex_lock(&s->lock);
	s->round++;
	s->taken = 0;
	for (unsigned i = 0; i < s->n; i++)
		pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
}

void
seats_end(struct seats *s)
{
	pthread_mutex_lock(&s->lock);
	s->over = true;
	pthread_cond_broadcast(&s->more);
	pthread_mutex_unlock(&s->lock);
}
