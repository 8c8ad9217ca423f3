#include "report.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "report_file.h"
#include "report_page.h"
#include "tool.h"

/* Rows are few, and values short: it has about 100 KiB. */
enum { REPORT_PAGE_MAX = 64 << 20 };

static const char usage[] =
    "usage: amp-cors report [--output=FILE] [--title=TEXT] LOG ...\n"
    "Makes one HTML page of the decisions in a log.\n"
    "  --output=FILE  where to, instead of standard output\n"
    "  --title=TEXT   the page's title\n"
    "LOG may be - for standard input.\n";

struct options {
	const char *output, *title;
	bool help;
};

static int
write_page(const struct report_sum *s, const struct report_about *about,
    const char *output)
{
	struct buf page;
	int status;

	buf_init(&page, REPORT_PAGE_MAX);
	report_page_add(&page, s, about);
	if (output == NULL || page.failed)
		return tool_print(&page);
	status = report_file_put(output, buf_span(&page));
	buf_free(&page);
	return status;
}

/* Is a log the file that the page is to take the place of? */
static const char *
log_at(const char *output, char *const file[], size_t n)
{
	struct stat page, log;

	if (output == NULL || stat(output, &page) == -1)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		int r = strcmp(file[i], "-") == 0 ? fstat(STDIN_FILENO, &log) :
						    stat(file[i], &log);

		if (r == 0 && log.st_dev == page.st_dev &&
		    log.st_ino == page.st_ino && S_ISREG(log.st_mode))
			return file[i];
	}
	return NULL;
}

static bool
take(void *ctx, const struct logread *l)
{
	return report_sum_add(ctx, l);
}

static int
run(const struct options *o, char *const file[], size_t n)
{
	struct report_sum *s = calloc(1, sizeof(*s));
	struct logs_count count;
	const struct report_about about = { o->title, file, n, &count };
	int status;

	if (log_at(o->output, file, n) != NULL) {
		free(s);
		return tool_fail(EX_USAGE, "%s is a log and the page at once",
		    o->output);
	}
	if (s == NULL || !report_sum_init(s))
		status = tool_fail(EX_OSERR, "out of memory");
	else
		status = logs_read(file, n, take, s, &count);
	if (status == EX_OK)
		status = write_page(s, &about, o->output);
	if (s != NULL)
		report_sum_free(s);
	free(s);
	return status;
}

/* False: that is no way to call it. */
static bool
read_options(int argc, char *argv[], struct options *o)
{
	static const struct option known[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "title", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	bool good = true;
	int c;

	while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		if (c == 'o')
			o->output = optarg;
		else if (c == 't')
			o->title = optarg;
		else if (c == 'h')
			o->help = true;
		else
			good = false;
	}
	if (o->help || !good)
		return o->help;
	if (optind == argc)
		tool_fail(EX_USAGE, "name a log, or - for standard input");
	else if (o->output != NULL && *o->output == '\0')
		tool_fail(EX_USAGE, "--output=: name a file");
	else
		return true;
	return false;
}

int
report_main(int argc, char *argv[])
{
	struct options o = { .title = "AMP email: decisions" };

	if (!read_options(argc, argv, &o) || o.help)
		return tool_usage(o.help, usage);
	return run(&o, argv + optind, (size_t)(argc - optind));
}
