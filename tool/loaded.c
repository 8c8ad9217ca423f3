#include "loaded.h"

#include <inttypes.h>
#include <sysexits.h>

#include "faults.h"
#include "tool.h"

enum { LOADED_SHOWN = 20 };

struct told {
	uint64_t n; /* errors */
	bool unreadable, no_memory;
};

static void
tell(void *ctx, const struct conf_fault *f)
{
	struct told *t = ctx;

	if (f->warning)
		return;
	t->unreadable |= f->code == FAULT_UNREADABLE;
	t->no_memory |= f->code == FAULT_NO_MEMORY;
	if (t->n++ < LOADED_SHOWN)
		faults_print(stderr, f);
}

int
loaded_policy(const char *file, enum conf_use use, struct conf **out)
{
	struct told t = { .n = 0 };
	enum conf_result result = conf_load(file, use, tell, &t, out);

	if (t.n > LOADED_SHOWN)
		fprintf(stderr,
		    "and %" PRIu64 " more; amp-cors check has all of them\n",
		    t.n - LOADED_SHOWN);
	if (result == CONF_OK)
		return EX_OK;
	if (t.no_memory)
		return EX_OSERR;
	if (t.unreadable)
		return EX_NOINPUT;
	return result == CONF_BAD ? EX_CONFIG : EX_UNAVAILABLE;
}
