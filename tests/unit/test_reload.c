/*
 * reload: signals and files that change, at a clock of our own: whoever waits
 * in poll(2) does so until the test says that it is later [SPEC 5.5].
 */
#include "reload.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <syslog.h>
#include <time.h>

#include "cdbwrite.h"
#include "folder.h"
#include "log.h"
#include "tap.h"

/* --- the clock --- */

static atomic_llong now = 1000000; /* ms */
/* how often somebody has found that there is nothing to do */
static atomic_uint idle;

/* libc's, in our own time. */
int
clock_gettime(clockid_t id, struct timespec *t)
{
	long long ms = now;

	if (id != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, id, t);
	*t = (struct timespec){ ms / 1000, ms % 1000 * 1000000 };
	return 0;
}

/* libc's, likewise. */
int
poll(struct pollfd *fds, nfds_t n, int ms)
{
	const struct timespec moment = { .tv_nsec = 200000 };
	long long until = now + ms;
	int found;

	while ((found = ppoll(fds, n, &moment, NULL)) == 0 && now < until)
		idle++;
	return found;
}

/* The file that is not there yet when it is opened for the next time. */
static const char *_Atomic late;
static void put_late(const char *path);

/* libc's. */
int
open(const char *path, int flags, ...)
{
	const char *name = late;
	mode_t mode = 0;
	va_list ap;

	if (name != NULL && strcmp(path, name) == 0) {
		late = NULL;
		put_late(path);
		errno = ENOENT;
		return -1;
	}
	va_start(ap, flags);
	if ((flags & O_CREAT) != 0)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* Until all that there is to do has been done: one look that began later. */
static void
settle(void)
{
	unsigned before = idle;

	while (idle - before < 2)
		sched_yield();
}

/* So much later; whoever waits for a moment in between wakes at each. */
static void
pass(unsigned ms)
{
	for (unsigned i = 0; i < ms; i += 250) {
		now += 250;
		settle();
	}
}

/* --- a policy, and who looks at it --- */

static struct world {
	struct live *live;
	struct metrics *metrics;
	struct reload *reload;
	atomic_bool refuses; /* check() does */
	atomic_bool passing; /* … for what may be over the next time */
	atomic_uint checks;
} w;

static void
say_fault(void *ctx, const struct conf_fault *f)
{
	(void)ctx;
	if (!f->warning)
		printf("# %s:%u: %s\n", f->file, f->at.line, f->text);
}

static bool
check(const struct conf *conf, conf_report_fn *report, void *report_ctx,
    void *ctx)
{
	struct world *world = ctx;
	const struct conf_fault fault = { .code = world->passing ?
		    FAULT_NO_MEMORY :
		    FAULT_NO_HANDLER,
		.file = conf_files(conf)->name,
		.at = conf_place(conf, 0),
		.text = "refused",
		.expected = "try another one" };

	world->checks++;
	if (world->refuses)
		report(report_ctx, &fault);
	return !world->refuses;
}

static void
begin_logging(const char *log)
{
	static char config[PATH_MAX];
	struct reload_options o = { .check = check, .ctx = &w };
	struct conf *conf;

	snprintf(config, sizeof(config), "%s", in_folder("policy.ini"));
	o.config = config;
	if (conf_load(o.config, CONF_FOR_SERVER, say_fault, NULL, &conf) !=
	    CONF_OK)
		bail();
	log_open("test", folder_file(log, "", 0600), LOG_INFO);
	memset(&w, 0, sizeof(w));
	w.metrics = must(metrics_new());
	w.live = must(live_new(conf, w.metrics));
	o.live = w.live;
	o.metrics = w.metrics;
	w.reload = reload_start(&o);
	if (w.reload == NULL)
		bail();
	settle();
}

static void
begin(void)
{
	begin_logging("log");
}

static void
end(void)
{
	reload_stop(w.reload);
	live_free(w.live);
	metrics_free(w.metrics);
	log_open("test", "stderr", LOG_INFO);
}

/* text with the folder for every '@' in front of a slash. */
static const char *
expand(const char *text)
{
	static char out[4][8192];
	static unsigned turn;
	char *to = out[turn = (turn + 1) % 4];

	for (; *text != '\0'; text++)
		if (text[0] == '@' && text[1] == '/')
			to = stpcpy(to, folder);
		else
			*to++ = *text;
	*to = '\0';
	return out[turn];
}

/*
 * A policy of this number, with these lines of [server]: no two of them have
 * the same size, since a file system's clock may be a slow one.
 */
static const char *
policy(unsigned n, const char *server)
{
	static char text[4096];

	snprintf(text, sizeof(text),
	    "[policy]\nsenders = a@b.example\nsenders_file = @/list\n"
	    "senders_cdb = @/cdb\nhandler = none\ntimeout = %u\n"
	    "[server]\n%s\n;%.*s\n",
	    n, server, (int)n, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	return expand(text);
}

static void
put_policy(unsigned n, const char *server)
{
	folder_file("policy.ini", policy(n, server), 0600);
}

static void
put_cdb(struct span key)
{
	const struct cdbwrite_about about = { .text = "/list.txt",
		.fold_local = true,
		.max = CDBWRITE_MAX };
	struct cdbwrite *c;
	uint64_t size;

	/* what is no list is not replaced */
	unlink(in_folder("cdb"));
	if (cdbwrite_open(in_folder("cdb"), &about, &c) != NULL ||
	    cdbwrite_add(c, key, false, 1) != NULL ||
	    cdbwrite_finish(c, &size) != NULL)
		bail();
	cdbwrite_free(c);
}

/* Policy 1, its lists, and a server of these lines. */
static void
prepare(const char *server)
{
	put_policy(1, server);
	folder_file("list", "one@list.example\n", 0600);
	put_cdb(SPAN("one@cdb.example"));
}

/* The number of the policy in force. */
static unsigned
in_force(void)
{
	const struct live_policy *p = live_hold(w.live);
	const struct conf_endpoint *all;
	unsigned n;

	conf_endpoints(p->conf, &all);
	n = all[0].limits.timeout;
	live_release(w.live, p);
	return n;
}

static bool
lets_in(const char *sender)
{
	const struct live_policy *p = live_hold(w.live);
	const struct policy_request r = { .method = SPAN("GET"),
		.sender = span_of(sender) };
	struct policy_decision d;
	const struct conf_endpoint *all;

	conf_endpoints(p->conf, &all);
	policy_decide(&all[0].policy, &r, &d);
	live_release(w.live, p);
	return d.verdict == POLICY_ALLOW;
}

/* How many reloads were counted. */
static unsigned
counted(bool good)
{
	static const char *const names[] = { "{result=\"failed\"} ",
		"{result=\"ok\"} " };
	struct buf text;
	const char *at;
	unsigned n = 0;

	buf_init(&text, METRICS_TEXT_MAX);
	metrics_print(w.metrics, &text);
	must_text(&text);
	at = strstr(text.p, names[good]);
	if (at == NULL || sscanf(at + strlen(names[good]), "%u", &n) != 1)
		bail();
	buf_free(&text);
	return n;
}

static void
is_log(const char *want, const char *name)
{
	is_span(span_of(folder_text("log")), expand(want), name);
}

static void
tell(int signal)
{
	kill(getpid(), signal);
	settle();
}

/* --- SIGHUP --- */

#define KEPT                                                   \
	"test: @/policy.ini: not loaded, SIGHUP: what was in " \
	"force before stays\n"

static void
test_hup(void)
{
	const struct live_policy *p;

	prepare("");
	begin();
	p = live_hold(w.live);
	put_policy(2, "");
	tell(SIGHUP);
	ok(in_force() == 2 && w.checks == 1, "SIGHUP: another policy");
	is_log("test: @/policy.ini: loaded again, SIGHUP\n", "… is told");
	ok(counted(true) == 1 && counted(false) == 0, "… and counted");
	ok(p->conf == live_first(w.live), "… and who had one, has it");
	live_release(w.live, p);
	tell(SIGHUP);
	ok(in_force() == 2 && w.checks == 2 && counted(true) == 2,
	    "… also where nothing has changed");
	end();
}

static const struct {
	const char *name, *file, *text; /* NULL: it is not there */
	const char *says;               /* before KEPT */
} bad[] = {
	{ "a policy with a fault", "policy.ini",
	    "[policy]\nsenders = a@b.example\n\n  sender = b@b.example\n",
	    "test: @/policy.ini:4:3: error: unknown key 'sender' "
	    "[unknown-key]; did you mean senders?\n" },
	{ "… with two, and a warning", "policy.ini",
	    "[policy]\ntimeout = x\n[polici]\n",
	    "test: @/policy.ini:2:11: error: 'x' is no value of timeout "
	    "[bad-value]; write whole seconds from 1 to 86400, in digits "
	    "alone\n"
	    "test: @/policy.ini:3:2: error: unknown section [polici] "
	    "[unknown-section]; write [policy]\n" },
	{ "no policy", "policy.ini", NULL,
	    "test: @/policy.ini: error: No such file or directory "
	    "[unreadable]; name a regular file of at most 1M that can be "
	    "read\n" },
	{ "a bad line in a list", "list", "a@b.example\n \tx\n",
	    "test: @/list:2:3: error: no sender rule [bad-rule]; write "
	    "user@domain for one address, *@domain for all of a domain\n" },
	{ "no list", "list", NULL,
	    "test: @/list: error: No such file or directory "
	    "[list-unreadable]; name a regular file of at most 512M that "
	    "can be read\n" },
	{ "a compiled list that is none", "cdb", "cdb",
	    "test: @/cdb: error: is no list of amp-cors compile, or "
	    "truncated: 3 bytes [list-damaged]; name a file of amp-cors "
	    "compile; a text list is named in senders_file\n" },
	{ "a policy that does not do on this machine", "ok", "",
	    "test: @/policy.ini:1:2: error: refused [no-handler]; try "
	    "another one\n" },
};

static void
test_bad(void)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const struct live_policy *p;
		char want[2048];

		prepare("");
		begin();
		p = live_hold(w.live);
		w.refuses = strcmp(bad[i].file, "ok") == 0;
		if (bad[i].text == NULL)
			unlink(in_folder(bad[i].file));
		else
			folder_file(bad[i].file, bad[i].text, 0600);
		tell(SIGHUP);
		live_release(w.live, p);
		ok(live_hold(w.live) == p, "%s: the old one stays",
		    bad[i].name);
		live_release(w.live, p);
		snprintf(want, sizeof(want), "%s" KEPT, bad[i].says);
		is_log(want, "… is told");
		ok(counted(true) == 0 && counted(false) == 1, "… and counted");
		end();
	}
}

static void
test_warning(void)
{
	prepare("");
	begin();
	folder_file("policy.ini", "[policy]\ntimeout = 7\nhandler = none\n",
	    0600);
	tell(SIGHUP);
	ok(in_force() == 7, "a warning refuses nothing");
	is_log("test: @/policy.ini:1:2: warning: no senders: every request is "
	       "refused [no-senders]; name them in senders, senders_file or "
	       "senders_cdb\n"
	       "test: @/policy.ini: loaded again, SIGHUP\n",
	    "… and is told");
	end();
}

/* --- files that change --- */

static void
move(const char *from, const char *to)
{
	if (rename(in_folder(from), in_folder(to)) == -1)
		bail();
}

static void
by_rename(void)
{
	folder_file("new", policy(2, ""), 0600);
	move("new", "policy.ini");
}

static void
in_place(void)
{
	put_policy(2, "");
}

/* As it is done with directories full of links. */
static void
by_link(void)
{
	folder_file("new", policy(2, ""), 0600);
	if (symlink("new", in_folder("link")) == -1)
		bail();
	move("link", "policy.ini");
}

static void
change_list(void)
{
	folder_file("list", "two@list.example\n\n", 0600);
}

static void
change_cdb(void)
{
	put_cdb(SPAN("two@cdb.example"));
}

static const struct {
	const char *name;
	void (*change)(void);
	const char *file, *sender;
} changes[] = {
	{ "by rename(2)", by_rename, "policy.ini", "a@b.example" },
	{ "in place", in_place, "policy.ini", "a@b.example" },
	{ "by a link", by_link, "policy.ini", "a@b.example" },
	{ "a list", change_list, "list", "two@list.example" },
	{ "a compiled list", change_cdb, "cdb", "two@cdb.example" },
};

static void
test_changes(void)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		char want[512];

		prepare("");
		begin();
		pass(20000);
		ok(w.checks == 0, "%s: nothing has changed", changes[i].name);
		changes[i].change();
		pass(5000);
		ok(w.checks == 0, "… it is seen, and let alone");
		pass(1000);
		ok(w.checks == 1 && lets_in(changes[i].sender),
		    "… it stays so, and is loaded");
		pass(20000);
		ok(w.checks == 1, "… once");
		snprintf(want, sizeof(want),
		    "test: @/policy.ini: loaded again, @/%s has changed\n",
		    changes[i].file);
		is_log(want, "… is told");
		end();
		unlink(in_folder("policy.ini"));
	}
}

/* At every moment it is a policy that would do, but for its end. */
static void
test_small_writes(void)
{
	FILE *f;

	prepare("reload_interval = 1");
	begin();
	put_policy(2, "reload_interval = 1");
	f = fopen(in_folder("policy.ini"), "a");
	for (int i = 0; f != NULL && i < 40; i++) {
		fputs("; and so on\n", f);
		fflush(f);
		pass(500);
	}
	ok(f != NULL && w.checks == 0 && in_force() == 1,
	    "a file that is being written is not taken");
	fclose(f);
	pass(2000);
	ok(w.checks == 1 && in_force() == 2, "… until it has been left alone");
	end();
}

/* Whoever comes first: the signal or the look. */
static void
test_hup_within(void)
{
	prepare("");
	begin();
	put_policy(2, "");
	pass(5000);
	tell(SIGHUP);
	ok(w.checks == 1 && in_force() == 2, "SIGHUP need not wait");
	pass(20000);
	ok(w.checks == 1, "… and what it loaded is no change");
	end();
}

/* A file that was refused for want of memory, say, need not change again. */
static void
test_passing(void)
{
	prepare("");
	begin();
	w.refuses = w.passing = true;
	put_policy(2, "");
	pass(30000);
	ok(in_force() == 1 && w.checks > 3, "it is tried again");
	is_log("test: @/policy.ini:1:2: error: refused [out-of-memory]; try "
	       "another one\n"
	       "test: @/policy.ini: not loaded, @/policy.ini has changed: what "
	       "was in force before stays\n",
	    "… which is told once");
	ok(counted(false) == 1, "… and counted once");
	w.refuses = false;
	pass(6000);
	ok(in_force() == 2, "… until it goes well");
	w.checks = 0;
	pass(30000);
	ok(w.checks == 0, "… and no more then");
	end();
}

/* What never comes to rest is taken after a minute. */
static void
test_restless(void)
{
	prepare("");
	begin();
	for (int i = 0; i < 300 && w.checks == 0; i++) {
		put_policy(2, "");
		pass(500);
	}
	ok(w.checks == 1 && in_force() == 2,
	    "a file that changes all the time");
	end();
}

static void
test_broken(void)
{
	prepare("");
	begin();
	folder_file("policy.ini", "[policy]\nx = y\n", 0600);
	pass(60000);
	ok(in_force() == 1 && w.checks == 0, "a broken file is not taken");
	is_log("test: @/policy.ini:2:1: error: unknown key 'x' [unknown-key]; "
	       "amp-cors.ini(5) lists the keys\n"
	       "test: @/policy.ini: not loaded, @/policy.ini has changed: what "
	       "was in force before stays\n",
	    "… which is told once");
	ok(counted(false) == 1, "… and tried once");
	put_policy(3, "");
	pass(6000);
	ok(in_force() == 3 && w.checks == 1, "… until it is mended");
	end();
}

/* A list that only the broken policy names is watched as well. */
static void
test_broken_list(void)
{
	prepare("");
	unlink(in_folder("other"));
	begin();
	folder_file("policy.ini",
	    expand("[policy]\nsenders_file = @/other\nhandler = none\n"
		   "timeout = 4\n"),
	    0600);
	tell(SIGHUP);
	ok(in_force() == 1, "a list that is not there");
	folder_file("other", "x@other.example\n", 0600);
	pass(6000);
	ok(in_force() == 4 && lets_in("x@other.example"), "… comes");
	unlink(in_folder("other"));
	pass(60000);
	ok(in_force() == 4 && lets_in("x@other.example") && counted(false) == 2,
	    "… and goes: what was in force stays, and it is told once");
	end();
}

static void
test_gone(void)
{
	prepare("");
	begin();
	unlink(in_folder("policy.ini"));
	pass(20000);
	ok(in_force() == 1 && counted(false) == 1, "the policy is gone");
	put_policy(2, "");
	pass(6000);
	ok(in_force() == 2, "… and comes back");
	end();
}

/* One that comes right behind the look at it, which sees that it came. */
static void
put_late(const char *path)
{
	if (strcmp(path, in_folder("list")) == 0)
		folder_file("list", "five@b.example\n", 0600);
	else if (strcmp(path, in_folder("cdb")) == 0)
		put_cdb(SPAN("five@b.example"));
	else
		folder_file("policy.ini",
		    "[policy]\nsenders = five@b.example\nhandler = none\n",
		    0600);
}

static void
test_comes_late(void)
{
	static const char *const files[] = { "policy.ini", "list", "cdb" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		prepare("");
		begin();
		unlink(in_folder(files[i]));
		snprintf(path, sizeof(path), "%s", in_folder(files[i]));
		late = path;
		tell(SIGHUP);
		ok(late == NULL && !lets_in("five@b.example") &&
			counted(false) == 1,
		    "%s is not there", files[i]);
		pass(6000);
		ok(lets_in("five@b.example"), "… but came just then");
		end();
	}
}

/* What has changed between the load and the start. */
static void
test_late(void)
{
	struct reload_options o = { .check = check, .ctx = &w };

	prepare("");
	begin();
	reload_stop(w.reload);
	put_policy(2, "");
	o.config = in_folder("policy.ini");
	o.live = w.live;
	o.metrics = w.metrics;
	w.reload = reload_start(&o);
	settle();
	pass(6000);
	ok(in_force() == 2, "a change right before the start is seen");
	end();
}

static void
test_never(void)
{
	prepare("reload_interval = 0");
	begin();
	put_policy(2, "reload_interval = 0");
	pass(100000);
	ok(in_force() == 1 && w.checks == 0, "reload_interval = 0: no looks");
	tell(SIGHUP);
	ok(in_force() == 2, "… but SIGHUP");
	end();
}

/* --- [server] --- */

#define CHANGED(key)                                                       \
	"test: @/policy.ini: " key " of [server] has changed: it takes a " \
	"restart\n"
#define AGAIN "test: @/policy.ini: loaded again, SIGHUP\n"

static void
test_server(void)
{
	prepare("threads = 3\nlog_level = info");
	begin();
	put_policy(2, "threads = 4\nlog_level = info\nqueue = 64");
	tell(SIGHUP);
	ok(in_force() == 2, "another [server]: the policy is loaded");
	is_log(CHANGED("threads") AGAIN, "… and what has changed is told");
	folder_file("log", "", 0600);
	put_policy(3, "metrics = url:/m\nreload_interval = 0");
	tell(SIGHUP);
	is_log(CHANGED("threads") CHANGED("reload_interval") CHANGED("metrics")
		   AGAIN,
	    "… key by key, beside what the process runs with");
	folder_file("log", "", 0600);
	put_policy(4, "threads = 3");
	pass(6000);
	is_log("test: @/policy.ini: loaded again, @/policy.ini has changed\n",
	    "… where it still looks, and what is as it was is not told");
	end();
}

/* --- SIGUSR1 --- */

static void
test_usr1(void)
{
	prepare("");
	begin();
	log_info("one");
	move("log", "log.1");
	log_info("two");
	tell(SIGUSR1);
	log_info("three");
	is_log("test: three\n", "SIGUSR1: a new log");
	is_span(span_of(folder_text("log.1")), "test: one\ntest: two\n",
	    "… and the old one, up to then");
	ok(w.checks == 0 && counted(true) + counted(false) == 0,
	    "… and nothing is loaded");
	end();
	mkdir(in_folder("logs"), 0700);
	begin_logging("logs/log");
	move("logs", "moved");
	tell(SIGUSR1);
	is_span(span_of(folder_text("moved/log")),
	    "test: the log cannot be opened again: No such file or "
	    "directory\n",
	    "… where there can be none, the old one goes on");
	end();
}

/* --- the metrics' file --- */

static bool
is_there(const char *name)
{
	return access(in_folder(name), F_OK) == 0;
}

/* Does the file say this many good reloads? */
static bool
file_says(unsigned n)
{
	char line[64];

	snprintf(line, sizeof(line), "_reloads_total{result=\"ok\"} %u\n", n);
	return strstr(folder_text("m.prom"), line) != NULL;
}

static void
test_metrics(void)
{
	const char *server = expand("metrics = file:@/m.prom");

	prepare(server);
	begin();
	ok(file_says(0), "the file is there from the start");
	put_policy(2, server);
	tell(SIGHUP);
	pass(9750);
	ok(file_says(0), "… stays for ten seconds");
	pass(250);
	ok(file_says(1), "… and is written anew");
	unlink(in_folder("m.prom"));
	pass(10000);
	ok(is_there("m.prom"), "… whatever became of it");
	tell(SIGHUP);
	end();
	ok(file_says(2), "… and at the end");
}

#define UNWRITTEN                                             \
	"test: metrics = file:@/sub/m.prom: No such file or " \
	"directory\n"

static void
test_no_metrics(void)
{
	prepare(expand("metrics = file:@/sub/m.prom"));
	begin();
	pass(60000);
	is_log(UNWRITTEN, "a file that cannot be written is told once");
	mkdir(in_folder("sub"), 0700);
	pass(10000);
	ok(is_there("sub/m.prom"), "… and written when it can be");
	unlink(in_folder("sub/m.prom"));
	rmdir(in_folder("sub"));
	pass(60000);
	is_log(UNWRITTEN UNWRITTEN, "… and told again when it cannot");
	end();
}

/* --- beginning and end --- */

static unsigned
open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	if (d == NULL)
		bail();
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void
test_start(void)
{
	struct reload_options o = { .check = check, .ctx = &w };
	unsigned files = open_files();
	struct rlimit old, few;
	struct reload *none;

	prepare("");
	begin();
	reload_stop(w.reload);
	w.reload = NULL;
	o.config = in_folder("policy.ini");
	o.live = w.live;
	o.metrics = w.metrics;
	getrlimit(RLIMIT_NOFILE, &old);
	for (rlim_t i = 3; i <= 4; i++) {
		few = (struct rlimit){ i, old.rlim_max };
		setrlimit(RLIMIT_NOFILE, &few);
		errno = 0;
		none = reload_start(&o);
		setrlimit(RLIMIT_NOFILE, &old);
		ok(none == NULL && errno == EMFILE, "no descriptor: %s",
		    strerror(errno));
	}
	end();
	ok(open_files() == files, "none is left open");
	reload_stop(NULL);
}

int
main(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	folder_make();
	test_hup();
	test_bad();
	test_warning();
	test_changes();
	test_small_writes();
	test_hup_within();
	test_passing();
	test_restless();
	test_broken();
	test_broken_list();
	test_gone();
	test_comes_late();
	test_late();
	test_never();
	test_server();
	test_usr1();
	test_metrics();
	test_no_metrics();
	test_start();
	folder_remove();
	return tap_done();
}
