#include "sandbox_calls.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__) && defined(__LP64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && defined(__LP64__) && !defined(__AARCH64EB__)
#define MACHINE AUDIT_ARCH_AARCH64
#endif

#ifdef MACHINE

enum {
	NUMBERS = 512,    /* of calls that are known; all above are denied */
	PROGRAM_MAX = 512 /* instructions; it has about 320 */
};

/* What becomes of a call. */
enum verdict {
	DENY,
	ALLOW,
	KILL,
	/* these look at arguments, and are not kept by the kernel's cache */
	SOCKET,
	CLONE,
	MEMORY,
	TGKILL
};

struct call {
	uint16_t number;
	uint8_t verdict; /* of enum verdict */
};

/* clang-format would make a line of each */
/* clang-format off */
#define CALL(name, verdict) { SYS_##name, verdict }
#define OK(name) CALL(name, ALLOW)

static const struct call calls[] = {
	/* bytes */
	OK(read), OK(write), OK(readv), OK(writev), OK(pread64), OK(pwrite64),
	OK(close), OK(lseek), OK(sendfile), OK(fsync),
	OK(fdatasync), OK(dup), OK(dup3), OK(fcntl), OK(memfd_create),
	/* files, as far as Landlock lets us */
	OK(openat), OK(newfstatat), OK(fstat), OK(statx), OK(fstatfs),
	OK(faccessat), OK(readlinkat), OK(getcwd), OK(getdents64),
	OK(renameat), OK(renameat2), OK(unlinkat), OK(fchmod), OK(fchown),
	OK(umask), OK(fadvise64),
#ifdef SYS_openat2
	OK(openat2),
#endif
#ifdef SYS_faccessat2
	OK(faccessat2),
#endif
#ifdef SYS_open
	OK(open), OK(stat), OK(lstat), OK(access), OK(readlink), OK(rename),
	OK(unlink), OK(dup2), OK(poll), OK(select), OK(epoll_wait), OK(pipe),
	OK(time), OK(getdents),
#endif
	/* connections; the listening sockets have been made */
	CALL(socket, SOCKET), OK(connect), OK(accept), OK(accept4),
	OK(getsockopt), OK(setsockopt), OK(getsockname), OK(getpeername),
	OK(shutdown), OK(sendto), OK(sendmsg), OK(sendmmsg), OK(recvfrom),
	OK(recvmsg), OK(recvmmsg),
	/* waiting */
	OK(ppoll), OK(pselect6), OK(epoll_create1), OK(epoll_ctl),
	OK(epoll_pwait), OK(eventfd2), OK(signalfd4), OK(pipe2), OK(nanosleep),
	OK(clock_nanosleep), OK(clock_gettime), OK(clock_getres),
	OK(gettimeofday), OK(restart_syscall),
#ifdef SYS_epoll_pwait2
	OK(epoll_pwait2),
#endif
	/* memory: none of it becomes a program */
	CALL(mmap, MEMORY), CALL(mprotect, MEMORY), OK(munmap), OK(mremap),
	OK(madvise), OK(brk), OK(getrandom),
	/* threads and signals of our own */
	CALL(clone, CLONE), OK(set_robust_list), OK(futex), OK(sched_yield),
	OK(sched_getaffinity), OK(getcpu), OK(membarrier), OK(exit),
	OK(exit_group), OK(rt_sigaction), OK(rt_sigprocmask),
	OK(rt_sigpending), OK(rt_sigreturn), OK(rt_sigtimedwait),
	OK(rt_sigsuspend), OK(sigaltstack), CALL(tgkill, TGKILL),
#ifdef SYS_rseq
	OK(rseq),
#endif
#ifdef SYS_futex_waitv
	OK(futex_waitv),
#endif
	/* who we are */
	OK(getpid), OK(getppid), OK(gettid), OK(getuid), OK(geteuid),
	OK(getgid), OK(getegid), OK(uname), OK(sysinfo), OK(getrusage),
	OK(prlimit64),

	/* nobody makes these by mistake */
	CALL(execve, KILL), CALL(execveat, KILL), CALL(ptrace, KILL),
	CALL(process_vm_readv, KILL), CALL(process_vm_writev, KILL),
	CALL(mount, KILL), CALL(umount2, KILL), CALL(pivot_root, KILL),
	CALL(chroot, KILL), CALL(unshare, KILL), CALL(setns, KILL),
	CALL(setuid, KILL), CALL(setgid, KILL), CALL(setreuid, KILL),
	CALL(setregid, KILL), CALL(setresuid, KILL), CALL(setresgid, KILL),
	CALL(setgroups, KILL), CALL(setfsuid, KILL), CALL(setfsgid, KILL),
	CALL(capset, KILL), CALL(bpf, KILL), CALL(perf_event_open, KILL),
	CALL(userfaultfd, KILL), CALL(init_module, KILL),
	CALL(finit_module, KILL), CALL(delete_module, KILL),
	CALL(kexec_load, KILL), CALL(kexec_file_load, KILL),
	CALL(reboot, KILL), CALL(swapon, KILL), CALL(swapoff, KILL),
	CALL(personality, KILL),
#ifdef SYS_io_uring_setup
	CALL(io_uring_setup, KILL), CALL(io_uring_enter, KILL),
	CALL(io_uring_register, KILL),
#endif
#ifdef SYS_open_tree
	CALL(open_tree, KILL), CALL(move_mount, KILL), CALL(fsopen, KILL),
	CALL(fsconfig, KILL), CALL(fsmount, KILL), CALL(fspick, KILL),
#endif
#ifdef SYS_pidfd_getfd
	CALL(pidfd_getfd, KILL),
#endif
#ifdef SYS_fork
	CALL(iopl, KILL), CALL(ioperm, KILL), CALL(modify_ldt, KILL),
#endif
};

/* They look for leaks from a process of their own, and name places. */
static const struct call watching[] = {
	OK(ptrace), OK(prctl), OK(clone), OK(wait4), OK(kill), OK(tgkill),
	OK(mmap), OK(mprotect), OK(execve), OK(setitimer),
	OK(sched_setaffinity), OK(ioctl),
#ifdef SYS_fork
	OK(fork), OK(vfork), OK(arch_prctl),
#endif
};
/* clang-format on */

static void
judge(uint8_t verdicts[NUMBERS], const struct call *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		verdicts[c[i].number] = c[i].verdict;
}

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short n;
	bool bad; /* longer than its jumps, or than its room */
};

static void
put(struct program *p, unsigned op, uint32_t k, unsigned jt, unsigned jf)
{
	p->bad |= p->n == PROGRAM_MAX || jt > UINT8_MAX;
	if (p->bad)
		return;
	p->code[p->n++] = (struct sock_filter){ .code = (uint16_t)op,
		.jt = (uint8_t)jt,
		.jf = (uint8_t)jf,
		.k = k };
}

static void
put_return(struct program *p, uint32_t value)
{
	put(p, BPF_RET | BPF_K, value, 0, 0);
}

static void
put_load(struct program *p, size_t offset)
{
	put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* The half that the kernel looks at, where an argument is an int. */
static void
put_argument(struct program *p, unsigned n)
{
	put_load(p, offsetof(struct seccomp_data, args) + 8 * (size_t)n);
}

#define DENIED (SECCOMP_RET_ERRNO | EPERM)

/* Allowed where the test holds, which is of one of BPF's jumps. */
static void
put_allow_if(struct program *p, unsigned test, uint32_t k)
{
	put(p, BPF_JMP | test | BPF_K, k, 0, 1);
	put_return(p, SECCOMP_RET_ALLOW);
}

/* Streams over TCP: nothing else leaves the machine. */
static void
put_socket(struct program *p, bool tcp)
{
	put_argument(p, 0);
	put_allow_if(p, BPF_JEQ, AF_UNIX);
	if (tcp) {
		put(p, BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 2, 0);
		put(p, BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 1, 0);
		put_return(p, DENIED);
		put_argument(p, 1);
		put(p, BPF_ALU | BPF_AND | BPF_K, 0xf, 0, 0);
		put_allow_if(p, BPF_JEQ, SOCK_STREAM);
	}
	put_return(p, DENIED);
}

static void
put_verdict(struct program *p, enum verdict v, bool tcp)
{
	switch (v) {
	case ALLOW:
		put_return(p, SECCOMP_RET_ALLOW);
		return;
	case KILL:
		put_return(p, SECCOMP_RET_KILL_PROCESS);
		return;
	case SOCKET:
		put_socket(p, tcp);
		return;
	case MEMORY: /* no code but what there is */
		put_argument(p, 2);
		put(p, BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0);
		put_return(p, SECCOMP_RET_ALLOW);
		break;
	case CLONE: /* threads, and no processes */
		put_argument(p, 0);
		put_allow_if(p, BPF_JSET, CLONE_THREAD);
		break;
	case TGKILL: /* as abort(3) does */
		put_argument(p, 0);
		put_allow_if(p, BPF_JEQ, (uint32_t)getpid());
		break;
	case DENY:
		break;
	}
	put_return(p, DENIED);
}

/* Calls in a row with one verdict. */
struct run {
	uint16_t first;
	uint8_t verdict;
};

static size_t
make_runs(const uint8_t verdicts[NUMBERS], struct run runs[NUMBERS])
{
	size_t n = 0;

	for (unsigned i = 0; i < NUMBERS; i++)
		if (i == 0 || verdicts[i] != verdicts[i - 1])
			runs[n++] = (struct run){ (uint16_t)i, verdicts[i] };
	return n;
}

/* Halves them until one is left: some seven comparisons for each call. */
static void
put_search(struct program *p, const struct run *runs, size_t n, bool tcp)
{
	unsigned short jump = p->n, length;
	size_t half = n / 2;

	if (n == 1) {
		put_verdict(p, runs[0].verdict, tcp);
		return;
	}
	put(p, BPF_JMP | BPF_JGE | BPF_K, runs[half].first, 0, 0);
	put_search(p, runs, half, tcp);
	length = (unsigned short)(p->n - jump - 1);
	p->bad |= length > UINT8_MAX;
	p->code[jump].jt = (uint8_t)length;
	put_search(p, runs + half, n - half, tcp);
}

/* Numbers are those of another machine, where a call comes in another way. */
static void
put_head(struct program *p)
{
	put_load(p, offsetof(struct seccomp_data, arch));
	put(p, BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0);
	put_return(p, SECCOMP_RET_KILL_PROCESS);
	put_load(p, offsetof(struct seccomp_data, nr));
}

static bool
install(const struct program *p, unsigned flags)
{
	struct sock_fprog prog = { .len = p->n,
		.filter = (struct sock_filter *)p->code };

	errno = E2BIG;
	return !p->bad &&
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		flags | SECCOMP_FILTER_FLAG_TSYNC, &prog) == 0;
}

/*
 * Its flags lie in memory, where nobody can look at them: libc then takes
 * clone(2).  A program of its own, as the kernel's log is not for this.
 */
static bool
leave_clone3(void)
{
#ifdef SYS_clone3
	struct program p = { .n = 0 };

	if (SANDBOX_CALLS_WATCHED)
		return true;
	put_head(&p);
	put(&p, BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1);
	put_return(&p, SECCOMP_RET_ERRNO | ENOSYS);
	put_return(&p, SECCOMP_RET_ALLOW);
	return install(&p, 0);
#else
	return true;
#endif
}

const char *
sandbox_calls_keep(bool tcp)
{
	uint8_t verdicts[NUMBERS] = { DENY };
	struct run runs[NUMBERS];
	struct program p = { .n = 0 };

	judge(verdicts, calls, sizeof(calls) / sizeof(calls[0]));
#ifdef SYS_clone3
	verdicts[SYS_clone3] = ALLOW; /* leave_clone3() has it */
#endif
	if (SANDBOX_CALLS_WATCHED)
		judge(verdicts, watching,
		    sizeof(watching) / sizeof(watching[0]));
	put_head(&p);
	put_search(&p, runs, make_runs(verdicts, runs), tcp);
	if (!leave_clone3() || !install(&p, SECCOMP_FILTER_FLAG_LOG))
		return strerror(errno);
	return NULL;
}

#else /* numbers and arguments are other ones */

const char *
sandbox_calls_keep(bool tcp)
{
	(void)tcp;
	return "this machine's system calls are not known here";
}

#endif
