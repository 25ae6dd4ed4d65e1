/* User, system calls, files.
 *
 * The filter names what is refused: the calls by which a process that was taken over would go on.  A list of what
 * is allowed would be shorter only for programs that link nothing.
 */
#include "linux/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "linux/caps.h"

#define NOBODY    65534
#define X32_CALLS 0x40000000u

/* ---- who it is ---- */

int confine_user(struct error *err)
{
	const uint64_t needed = UINT64_C(1) << 6 | UINT64_C(1) << 7; /* CAP_SETGID, CAP_SETUID */
	struct caps caps;
	int r = caps_get(&caps, err);

	if (r < 0)
		return r;
	if (geteuid() != 0 || (caps.effective & needed) != needed)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "become nobody");
	return 0;
}

bool confine_reaches(const char *path)
{
	bool reaches = setgroups(0, NULL) == 0 && setresgid(-1, NOBODY, -1) == 0 &&
		       setresuid(-1, NOBODY, -1) == 0 &&
		       faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;

	/* Our own again; one who cannot go back is nobody already. */
	return setresuid(-1, 0, -1) == 0 && setresgid(-1, 0, -1) == 0 && reaches;
}

/* ---- what it may ask of the kernel ---- */

static const int executing[] = {SYS_execve, SYS_execveat};
static const int refused[] = {
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_process_vm_writev,
	SYS_chroot,
	SYS_unshare,
	SYS_setns,
	SYS_perf_event_open,
	SYS_bpf,
	SYS_keyctl,
	SYS_add_key,
	SYS_request_key,
	SYS_kexec_load,
	SYS_reboot,
	SYS_init_module,
	SYS_finit_module,
	SYS_swapon,
	SYS_swapoff,
	SYS_name_to_handle_at,
	SYS_open_by_handle_at,
	SYS_userfaultfd,
	SYS_acct,
	SYS_settimeofday,
	SYS_clock_settime,
	SYS_kill,
	SYS_tkill,
	SYS_tgkill,
	SYS_rt_sigqueueinfo,
	SYS_rt_tgsigqueueinfo,
};
/* Newer than some headers; the same numbers everywhere: pidfd_send_signal, io_uring, open_tree .. fspick,
 * pidfd_getfd, mount_setattr. */
static const int refused_new[] = {424, 425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 442};

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef ARCHITECTURE
#define CALLS (ARRAY_SIZE(refused) + ARRAY_SIZE(refused_new) + ARRAY_SIZE(executing))

static int call_number(size_t i)
{
	if (i < ARRAY_SIZE(refused))
		return refused[i];
	i -= ARRAY_SIZE(refused);
	return i < ARRAY_SIZE(refused_new) ? refused_new[i]
					   : executing[i - ARRAY_SIZE(refused_new)];
}

static int filter_calls(unsigned flags, struct error *err)
{
	enum { HEAD = 5, TAIL = 2 };
	const size_t n = flags & CONFINE_MAY_EXECUTE ? CALLS - ARRAY_SIZE(executing) : CALLS;
	struct sock_filter code[HEAD + CALLS + TAIL] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		/* x32's calls have the same architecture, and other numbers. */
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, (unsigned char)(n + 1), 0),
	};
	struct sock_fprog program = {.len = (unsigned short)(HEAD + n + TAIL), .filter = code};

	for (size_t i = 0; i < n; i++)
		code[HEAD + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							      (unsigned)call_number(i),
							      (unsigned char)(n - i), 0);
	code[HEAD + n] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[HEAD + n + 1] =
		(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0 && errno != EINVAL)
		return error_set(err, ERROR_INTERNAL, errno, "filter system calls");
	return 0; /* EINVAL: a kernel without seccomp */
}
#else
static int filter_calls(unsigned flags, struct error *err)
{
	(void)flags;
	(void)err;
	return 0;
}
#endif

int confine_calls(unsigned flags, struct error *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "give up privileges");
	return filter_calls(flags, err);
}

/* ---- what it may write ---- */

/* Landlock's, with the numbers of include/uapi/linux/landlock.h; the first version's rights. */
#define LANDLOCK_CREATE  444
#define LANDLOCK_ADD     445
#define LANDLOCK_SELF    446
#define LANDLOCK_BENEATH 1
#define RIGHT_EXECUTE    UINT64_C(0x1)
#define RIGHTS_WRITE     UINT64_C(0x1ff2) /* write_file, and remove_dir to make_sym */

struct landlock_rules {
	uint64_t handled;
};

struct __attribute__((packed)) landlock_beneath {
	uint64_t allowed;
	int32_t parent_fd;
};

int confine_files(const char *directory, unsigned flags, struct error *err)
{
	const struct landlock_rules rules = {
		.handled = RIGHTS_WRITE | (flags & CONFINE_MAY_EXECUTE ? 0 : RIGHT_EXECUTE)};
	autoclose int fd = (int)syscall(LANDLOCK_CREATE, &rules, sizeof(rules), 0);
	autoclose int dir = directory ? open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC) : -EBADF;
	const struct landlock_beneath beneath = {.allowed = RIGHTS_WRITE, .parent_fd = dir};

	if (fd < 0)
		return 0; /* a kernel without it, or where it is off */
	if (directory && dir < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", directory);
	if (dir >= 0 && syscall(LANDLOCK_ADD, fd, LANDLOCK_BENEATH, &beneath, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "allow writing to '%s'", directory);
	if (syscall(LANDLOCK_SELF, fd, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "refuse to write files");
	return 0;
}
