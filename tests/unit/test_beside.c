#include "beside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "folder.h"
#include "tap.h"

static mode_t
mode_of(const char *path)
{
	struct stat st;

	return path != NULL && stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

/* How many files there are in the folder, hidden ones too. */
static int
count_files(void)
{
	char command[512];
	int n = -1;
	FILE *f;

	snprintf(command, sizeof(command), "ls -A %s | wc -l", in_folder(""));
	f = popen(command, "r");
	if (f == NULL || fscanf(f, "%d", &n) != 1)
		n = -1;
	if (f != NULL)
		pclose(f);
	return n;
}

static const char *
text_of(const char *path)
{
	static char text[256];
	FILE *f = fopen(path, "r");
	size_t n = f == NULL ? 0 : fread(text, 1, sizeof(text) - 1, f);

	text[n] = '\0';
	if (f != NULL)
		fclose(f);
	return text;
}

static const char *
put(const char *file, mode_t mode, const char *text)
{
	struct beside b;
	const char *fault = beside_open(file, mode, &b);

	if (fault == NULL)
		fault = beside_write(&b, span_of(text));
	if (fault == NULL)
		fault = beside_finish(&b, true);
	beside_free(&b);
	beside_free(&b);
	return fault;
}

static void
test_place(void)
{
	char file[256], link_name[256];

	snprintf(file, sizeof(file), "%s", in_folder("file"));
	snprintf(link_name, sizeof(link_name), "%s", in_folder("link"));
	umask(077);
	ok(put(file, 0644, "one") == NULL && mode_of(file) == 0644,
	    "a new one has the mode that is wished, whatever the umask");
	umask(022);
	chmod(file, 0640);
	ok(put(file, 0644, "two") == NULL && mode_of(file) == 0640,
	    "another one has the mode of the one before");
	is_span(span_of(text_of(file)), "two", "… and the new text");
	ok(symlink(file, link_name) == 0 && put(link_name, 0644, "3") == NULL,
	    "by a link");
	is_span(span_of(text_of(file)), "3", "… the file it leads to is");
	ok(readlink(link_name, file, sizeof(file)) > 0, "… the link stays");
	ok(count_files() == 2, "and nothing else is left");
}

static void
test_begun(void)
{
	struct beside b;
	char file[256];

	snprintf(file, sizeof(file), "%s", in_folder("file"));
	ok(beside_open(file, 0644, &b) == NULL && count_files() == 3,
	    "while it is made, it lies beside");
	ok(mode_of(b.made) == 0600, "… and is nobody else's to read");
	ok(beside_write(&b, SPAN("4")) == NULL, "… and takes bytes");
	is_span(span_of(text_of(file)), "3", "the old one is as it was");
	errno = EAGAIN;
	beside_free(&b);
	ok(errno == EAGAIN, "given up, errno is as it was");
	ok(count_files() == 2, "… and it is gone");
	is_span(span_of(text_of(file)), "3", "… and the old one is there");
}

static const struct {
	const char *name, *want;
	int error;
} wrong[] = {
	{ "", "is a directory", EISDIR },
	{ "none/file", "No such file or directory", ENOENT },
	{ "file/file", "Not a directory", ENOTDIR },
	{ "../../../../../../../../dev/null", "is not a regular file", EINVAL },
};

static void
test_wrong(void)
{
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *fault = put(in_folder(wrong[i].name), 0644, "x");
		int error = errno;

		is_span(span_of(fault), wrong[i].want, wrong[i].name);
		ok(error == wrong[i].error, "… errno");
	}
	ok(count_files() == 2, "nothing is left");
}

static void
test_masked(void)
{
	umask(027);
	ok(beside_masked(0666) == 0640, "less the umask");
	ok(umask(022) == 027, "… which stays");
}

int
main(void)
{
	folder_make();
	test_place();
	test_begun();
	test_wrong();
	test_masked();
	folder_remove();
	return tap_done();
}
