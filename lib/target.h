/*
 * target: which file runs for a request [SPEC 4.11, 5.1; E12, E17 to E28].
 */
#ifndef TARGET_H
#define TARGET_H

#include <limits.h>

#include "cgienv.h"
#include "reason.h"

enum { TARGET_ARGV_MAX = 32 };

struct target {
	char file[PATH_MAX];   /* what is executed */
	char script[PATH_MAX]; /* the script's real path: also file, without
				  an interpreter */
	char dir[PATH_MAX];    /* the script's own directory */
	char words[256]; /* an interpreter and its options, cut at blanks */
	char *argv[TARGET_ARGV_MAX + 2]; /* points into the above */
	/* the request's variables as they are for the script, if new_path */
	bool new_path;
	char script_name[PATH_MAX], path_info[PATH_MAX];
};

/* A program that the policy or the server's administrator named. */
enum reason target_program(const char *path, struct target *out);

/*
 * A program and its arguments, from the front's own command line.
 * REASON_POLICY_ERROR where there is none, or more than TARGET_ARGV_MAX
 * arguments.
 */
enum reason target_words(int argc, char *const argv[], struct target *out);

/*
 * The file that SCRIPT_FILENAME (and PATH_INFO, where that names only its
 * directory) leads to, below `root`, a path without links.  REASON_OK, or
 * REASON_HANDLER_MISSING or REASON_HANDLER_FORBIDDEN.
 */
enum reason target_script(const struct cgienv *e, const char *root,
    struct target *out);

/*
 * The same for an Apache Action, which names the script in PATH_TRANSLATED
 * while SCRIPT_FILENAME is the front: only where REDIRECT_STATUS is set and
 * the script lies below root, else REASON_NOT_REDIRECTED (E23).
 */
enum reason target_action(const struct cgienv *e, const char *root,
    struct target *out);

/*
 * A script that target_script() found, but that the kernel started us for by
 * its first line, "#!/path/of/front INTERPRETER": then that interpreter is
 * executed, since the script alone would start us again.
 */
void target_interpreter(int argc, char *const argv[], struct target *out);

/* Is path the very file that this process was started from? */
bool target_is_self(struct span path);

/*
 * A CGI command line that only the server or the kernel can have made:
 * "front SCRIPT ..." or "front INTERPRETER SCRIPT ...", SCRIPT being the file
 * that SCRIPT_FILENAME names.  False where it is neither; *why is then
 * REASON_OK, or a fault of the script's.
 */
bool target_command_line(const struct cgienv *e, int argc, char *const argv[],
    struct target *out, enum reason *why);

/* Can it be executed, as far as can be told before?  NULL, or why not. */
const char *target_fault(const char *file);

/* Why this file could not be executed, with this errno, in words. */
const char *target_exec_text(const char *file, int exec_errno);

/* The same as a reason. */
enum reason target_exec_fault(const char *file, int exec_errno);

#endif
