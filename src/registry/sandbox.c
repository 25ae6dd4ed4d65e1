/* The helper's sandbox.
 *
 * As root first: a mount namespace whose root is an empty, read-only tmpfs with nothing in it but what
 * getaddrinfo(3) reads and the C library may load for it.  Then, as nobody, a filter that refuses the
 * system calls by which a process that was taken over would go on: to execute, to trace, to mount.
 */
#include "registry/sandbox.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "linux/confine.h"

#define MEMORY_MAX      ((rlim_t)2 << 30) /* address space; threads' stacks count */
#define DESCRIPTORS_MAX 256
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

/* ---- how much it may have ---- */

static int set_limits(struct error *err)
{
	const struct rlimit none = {0, 0}, memory = {MEMORY_MAX, MEMORY_MAX},
			    open_files = {DESCRIPTORS_MAX, DESCRIPTORS_MAX};

	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_FSIZE, &none) < 0 ||
	    setrlimit(RLIMIT_AS, &memory) < 0 || setrlimit(RLIMIT_NOFILE, &open_files) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set limits");
	return 0;
}

int sandbox_enter(struct error *err)
{
	int r = 0;

	(void)umask(0022);
	if (geteuid() == 0)
		r = change_root(err);
	r = r < 0 ? r : set_limits(err);
	if (geteuid() == 0)
		r = r < 0 ? r : confine_user(err);
	return r < 0 ? r : confine_calls(0, err);
}
