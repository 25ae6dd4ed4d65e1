/* SELinux' own file system, and the extended attribute that labels are. */
#include "linux/selinux.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

#define SELINUX_DIR    "/sys/fs/selinux"
#define SELINUX_MAGIC_ 0xf97cff8cU
#define SELINUX_XATTR  "security.selinux"
#define TREE_DEPTH_MAX 512 /* directories open at once */

bool selinux_is_enabled(void)
{
	autoclose int fd = -EBADF;
	struct statfs fs;
	char label[8] = "";

	if (statfs(SELINUX_DIR, &fs) < 0 || (uint32_t)fs.f_type != SELINUX_MAGIC_)
		return false;
	/* Without a policy all is "kernel". */
	fd = open("/proc/self/attr/current", O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, label, sizeof(label) - 1) > 0 && !str_eq(label, "kernel");
}

int selinux_check_context(const char *context, struct error *err)
{
	autoclose int fd = open(SELINUX_DIR "/context", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "open " SELINUX_DIR "/context");
	if (write(fd, context, strlen(context) + 1) < 0)
		return error_set(err, ERROR_INVALID, errno,
				 "SELinux label '%s' is not one of the policy's", context);
	return 0;
}

int selinux_context_parse(const char *text, struct selinux_context *ret)
{
	struct selinux_context c = {0};
	char **parts[] = {&c.user, &c.role, &c.type};
	const char *p = text;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t n = strcspn(p, ":");

		if (n == 0 || (i < 2 && p[n] == '\0')) {
			selinux_context_done(&c);
			return -EINVAL;
		}
		*parts[i] = xstrndup(p, n);
		p += n + (p[n] == ':');
	}
	if (*p)
		c.level = xstrdup(p);
	*ret = c;
	return 0;
}

char *selinux_context_format(const struct selinux_context *c)
{
	return xasprintf("%s:%s:%s%s%s", c->user, c->role, c->type, c->level ? ":" : "",
			 c->level ?: "");
}

void selinux_context_done(struct selinux_context *c)
{
	free(c->user);
	free(c->role);
	free(c->type);
	free(c->level);
	*c = (struct selinux_context){0};
}

static int ignore(int errnum)
{
	return errnum == ENOENT || errnum == ENOTSUP ? 0 : -errnum;
}

static int label_dir(int dir_fd_take, const char *context, unsigned depth);

/* There is no lsetxattrat(2) before 6.13: the directory by its descriptor, the last name not followed. */
static int label_entry(int dir, const char *name, const char *context, unsigned depth)
{
	autofree char *path = xasprintf("/proc/self/fd/%d/%s", dir, name);
	struct stat st;
	int fd;

	if (lsetxattr(path, SELINUX_XATTR, context, strlen(context) + 1, 0) < 0 &&
	    ignore(errno) < 0)
		return -errno;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	if (depth >= TREE_DEPTH_MAX)
		return -ELOOP;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? ignore(errno) : label_dir(fd, context, depth + 1);
}

static int label_dir(int dir_fd_take, const char *context, unsigned depth)
{
	DIR *dir = fdopendir(dir_fd_take);
	const struct dirent *entry;
	int r = 0;

	if (!dir) {
		r = -errno;
		(void)close(dir_fd_take);
		return r;
	}
	while (r >= 0 && (entry = readdir(dir)))
		if (!str_eq(entry->d_name, ".") && !str_eq(entry->d_name, ".."))
			r = label_entry(dirfd(dir), entry->d_name, context, depth);
	(void)closedir(dir);
	return r;
}

int selinux_label_tree(const char *path, const char *context, struct error *err)
{
	autoclose int fd = open(path, O_PATH | O_CLOEXEC);
	autofree char *self = xasprintf("/proc/self/fd/%d", fd);
	struct stat st;
	int dir, r = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, ERROR_INVALID, errno, "label '%s'", path);
	if (setxattr(self, SELINUX_XATTR, context, strlen(context) + 1, 0) < 0)
		r = ignore(errno);
	if (r >= 0 && S_ISDIR(st.st_mode)) {
		dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = dir < 0 ? -errno : label_dir(dir, context, 0);
	}
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "label '%s' '%s'", path, context) : 0;
}
