/*
 * main: replays inputs through a fuzz target, one TAP line each: the files and
 * directories of the command line, in the order of their names.
 */
#include <dirent.h>
#include <err.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static unsigned replayed;

/* The copy has no byte to spare, so that a sanitizer sees one read too many. */
static uint8_t *
load(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	uint8_t *data;

	if (f == NULL || fstat(fileno(f), &st) == -1)
		err(1, "%s", path);
	*size = (size_t)st.st_size;
	data = malloc(*size > 0 ? *size : 1);
	if (data == NULL || fread(data, 1, *size, f) != *size)
		err(1, "%s", path);
	fclose(f);
	return data;
}

static void
replay_file(const char *path)
{
	size_t size;
	uint8_t *data = load(path, &size);

	/* the last line that is seen where the target dies */
	printf("# %s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	printf("ok %u - %s\n", ++replayed, path);
}

static int
visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void
replay_directory(const char *path)
{
	struct dirent **entries;
	char file[PATH_MAX];
	int n = scandir(path, &entries, visible, alphasort);

	if (n == -1)
		err(1, "%s", path);
	for (int i = 0; i < n; i++) {
		snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
		replay_file(file);
		free(entries[i]);
	}
	free(entries);
}

int
main(int argc, char *argv[])
{
	struct stat st;

	for (int i = 1; i < argc; i++) {
		if (stat(argv[i], &st) == -1)
			err(1, "%s", argv[i]);
		if (S_ISDIR(st.st_mode))
			replay_directory(argv[i]);
		else
			replay_file(argv[i]);
	}
	printf("1..%u\n", replayed);
	return replayed == 0;
}
