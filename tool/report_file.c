#include "report_file.h"

#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sysexits.h>

#include "beside.h"
#include "tool.h"

static int
replace(const char *file, struct span text)
{
	struct beside b;
	const char *fault = beside_open(file, beside_masked(0666), &b);
	int status = EX_CANTCREAT;

	if (fault == NULL) {
		status = EX_IOERR;
		fault = beside_write(&b, text);
	}
	if (fault == NULL)
		fault = beside_finish(&b, true);
	if (fault == NULL)
		status = EX_OK;
	else
		tool_fail(status, "%s: %s", file, fault);
	beside_free(&b);
	return status;
}

int
report_file_put(const char *file, struct span text)
{
	sigset_t all, before;
	int status;

	if (strlen(file) >= PATH_MAX)
		return tool_fail(EX_CANTCREAT,
		    "the name of the page is too long");
	/* whatever ends us leaves nothing beside it */
	signal(SIGXFSZ, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	status = replace(file, text);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return status;
}
