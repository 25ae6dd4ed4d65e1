/* The helper's sandbox.
 *
 * As root first: a mount namespace whose root is an empty, read-only tmpfs with nothing in it but what
 * getaddrinfo(3) reads and the C library may load for it.  Then, as nobody, a filter that refuses the
 * system calls by which a process that was taken over would go on: to execute, to trace, to mount.
 */
#include "registry/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#define NOBODY          65534
#define MEMORY_MAX      ((rlim_t)2 << 30) /* address space; threads' stacks count */
#define DESCRIPTORS_MAX 256
#define X32_CALLS       0x40000000u
#define NEW_ROOT        "/tmp" /* covered in our own namespace only */

/* ---- what is seen ---- */

static const char *const files[] = {
	"/etc/resolv.conf", "/etc/hosts",    "/etc/nsswitch.conf",   "/etc/host.conf",
	"/etc/gai.conf",    "/etc/services", "/etc/ssl/openssl.cnf",
};
static const char *const directories[] = {"/usr/lib", "/usr/lib64", "/lib", "/lib64",
					  "/run/systemd/resolve"};

static int bind(const char *path, const char *target, struct error *err)
{
	unsigned long flags = MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV;

	if (mount(path, target, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, target, NULL, MS_REMOUNT | flags, NULL) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "show '%s' to the helper", path);
	return 0;
}

static int make_parents(const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');
	autofree char *parent =
		slash > path ? xstrndup(path + 1, (size_t)(slash - path - 1)) : NULL;

	return parent ? file_mkdir_p(AT_FDCWD, parent, 0755, err) : 0;
}

static int show_file(const char *path, struct error *err)
{
	autoclose int fd = -EBADF;
	int r;

	if (access(path, R_OK) < 0)
		return 0;
	r = make_parents(path, err);
	if (r < 0)
		return r;
	fd = open(path + 1, O_WRONLY | O_CREAT | O_CLOEXEC, 0444); /* below the new root */
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make '%s' for the helper", path);
	return bind(path, path + 1, err);
}

static int show_directory(const char *path, struct error *err)
{
	char target[256];
	struct stat st;
	ssize_t n;
	int r;

	if (lstat(path, &st) < 0)
		return 0;
	r = make_parents(path, err);
	if (r < 0)
		return r;
	if (S_ISLNK(st.st_mode)) { /* /lib -> usr/lib */
		n = readlink(path, target, sizeof(target) - 1);
		if (n > 0)
			target[n] = '\0';
		return n > 0 && symlink(target, path + 1) == 0
			       ? 0
			       : error_set(err, ERROR_INTERNAL, errno, "show '%s'", path);
	}
	r = file_mkdir_p(AT_FDCWD, path + 1, 0755, err);
	return r < 0 ? r : bind(path, path + 1, err);
}

static int change_root(struct error *err)
{
	int r = 0;

	if (unshare(CLONE_NEWNS | CLONE_NEWIPC) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", NEW_ROOT, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "mode=0755,size=64k") < 0 ||
	    chdir(NEW_ROOT) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make the helper's root");
	for (size_t i = 0; i < ARRAY_SIZE(files) && r >= 0; i++)
		r = show_file(files[i], err);
	for (size_t i = 0; i < ARRAY_SIZE(directories) && r >= 0; i++)
		r = show_directory(directories[i], err);
	if (r < 0)
		return r;
	if (mount(NULL, NEW_ROOT, NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  NULL) < 0 ||
	    syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return error_set(err, ERROR_INTERNAL, errno, "enter the helper's root");
	return 0;
}

/* ---- who it is, and how much it may have ---- */

static int drop_user(struct error *err)
{
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "become nobody");
	return 0;
}

static int set_limits(struct error *err)
{
	const struct rlimit none = {0, 0}, memory = {MEMORY_MAX, MEMORY_MAX},
			    open_files = {DESCRIPTORS_MAX, DESCRIPTORS_MAX};

	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_FSIZE, &none) < 0 ||
	    setrlimit(RLIMIT_AS, &memory) < 0 || setrlimit(RLIMIT_NOFILE, &open_files) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set limits");
	return 0;
}

/* ---- what it may ask of the kernel ---- */

static const int refused[] = {
	SYS_execve,
	SYS_execveat,
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
};
/* Newer than some headers; the same numbers everywhere: open_tree .. fspick, io_uring, mount_setattr. */
static const int refused_new[] = {425, 426, 427, 428, 429, 430, 431, 432, 433, 442};

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

static int filter_calls(struct error *err)
{
#ifdef ARCHITECTURE
	enum { HEAD = 5, TAIL = 2 };
	const size_t n = ARRAY_SIZE(refused) + ARRAY_SIZE(refused_new);
	struct sock_filter code[HEAD + ARRAY_SIZE(refused) + ARRAY_SIZE(refused_new) + TAIL] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		/* x32's calls have the same architecture, and other numbers. */
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, (unsigned char)(n + 1), 0),
	};
	struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

	for (size_t i = 0; i < n; i++) {
		int nr =
			i < ARRAY_SIZE(refused) ? refused[i] : refused_new[i - ARRAY_SIZE(refused)];

		code[HEAD + i] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, (unsigned char)(n - i), 0);
	}
	code[HEAD + n] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[HEAD + n + 1] =
		(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0 && errno != EINVAL)
		return error_set(err, ERROR_INTERNAL, errno, "filter system calls");
#else
	(void)err;
#endif
	return 0; /* EINVAL: a kernel without seccomp */
}

int sandbox_enter(struct error *err)
{
	int r = 0;

	(void)umask(0022);
	if (geteuid() == 0)
		r = change_root(err);
	r = r < 0 ? r : set_limits(err);
	if (geteuid() == 0)
		r = r < 0 ? r : drop_user(err);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "give up privileges");
	return filter_calls(err);
}
