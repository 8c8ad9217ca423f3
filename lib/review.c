#include "review.h"

#include "advice.h"
#include "overlap.h"

bool
review_add(struct remark *r, const struct conf *c, const struct rulebook *b,
    const struct machine_options *o)
{
	if (!overlap_senders(r, c, b))
		return false;
	overlap_origins(r, c);
	advice_policy(r, c);
	advice_server(r, c, o->use);
	machine_check(r, c, o);
	return true;
}

bool
review(const struct conf *c, const struct machine_options *o,
    conf_report_fn *report, void *ctx)
{
	struct rulebook *b = rulebook_new(c);
	struct remark r;
	bool good;

	remark_init(&r, c, report, ctx);
	good = b != NULL && review_add(&r, c, b, o);
	remark_end(&r);
	rulebook_free(b);
	return good;
}
