/* What linux/mount.h promises, by mount(2): for kernels before 5.12 and behind filters.
 *
 * mount(2) knows no detached mounts.  Its place is taken by a tmpfs of our own, the stage: a mount is
 * made on an empty directory or file of it, opened there, and may then be changed through its fd as
 * /proc/self/fd/N.  Attaching is MS_MOVE, from one such name to another: the names are the objects,
 * and no path of the container is looked up.  Nobody else sees the stage, and it goes with the old root.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/mount_priv.h"
#include "linux/sys.h"

#define TMPFS_MAGIC_  0x01021994
#define MOUNTINFO_MAX ((size_t)16 << 20)

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
/* f_flags of statfs(2), which not all headers have */
#define STATFS_NODIRATIME  0x0800
#define STATFS_NOATIME     0x0400
#define STATFS_RELATIME    0x1000
#define STATFS_NOSYMFOLLOW 0x2000
#define STATFS_SUPER       (MS_SYNCHRONOUS | MS_MANDLOCK) /* same values as mount(2)'s */

/* -- the stage ----------------------------------------------------------------------------- */

static int stage_fd = -EBADF; /* one a process */

bool legacy_has_stage(void)
{
	return stage_fd >= 0;
}

/* Everybody may enter it, whoever root in a user namespace is on the host; no volume is there. */
#define STAGE_PATH "/proc/fs"

int mount_stage(struct error *err)
{
	autoclose int fd = -EBADF;
	struct statfs fs;

	/* Nothing of it may be seen outside. */
	if (mount(NULL, "/proc", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make /proc private");
	if (mount("stage", STAGE_PATH, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700") < 0)
		return error_set(err, ERROR_INTERNAL, errno, "mount a tmpfs at " STAGE_PATH);
	fd = open(STAGE_PATH, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open the tmpfs at " STAGE_PATH);
	if (fs.f_type != TMPFS_MAGIC_)
		return error_set(err, ERROR_INTERNAL, ESTALE, "open the tmpfs at " STAGE_PATH);
	/* A recursive bind of what is around it leaves it out. */
	if (mount(NULL, STAGE_PATH, NULL, MS_UNBINDABLE, NULL) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make " STAGE_PATH " unbindable");
	fd_close(&stage_fd);
	stage_fd = TAKE_FD(fd);
	return 0;
}

/* An empty directory or file of the stage, for one mount. */
struct place {
	int fd; /* owned */
	char name[16];
};

static int place_make(struct place *p, bool directory, struct error *err)
{
	static unsigned count;

	if (stage_fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "the kernel has no fsopen(2) and open_tree(2) (Linux 5.2)");
	(void)snprintf(p->name, sizeof(p->name), "%u", count++);
	if ((directory ? mkdirat(stage_fd, p->name, 0700)
		       : mknodat(stage_fd, p->name, S_IFREG | 0600, 0)) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "prepare a mount");
	p->fd = openat(stage_fd, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return p->fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "prepare a mount") : 0;
}

/* The mount that is there now. */
static int place_open_mount(const struct place *p, struct error *err)
{
	int fd = openat(stage_fd, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "open a mount") : fd;
}

static void place_done(struct place *p)
{
	fd_close(&p->fd);
}
#define autoplace __attribute__((cleanup(place_done)))

/* -- flags --------------------------------------------------------------------------------- */

static const struct {
	uint64_t attr;
	unsigned long ms, statfs;
} flag_table[] = {
	{MOUNT_ATTR_RDONLY, MS_RDONLY, MS_RDONLY},
	{MOUNT_ATTR_NOSUID, MS_NOSUID, MS_NOSUID},
	{MOUNT_ATTR_NODEV, MS_NODEV, MS_NODEV},
	{MOUNT_ATTR_NOEXEC, MS_NOEXEC, MS_NOEXEC},
	{MOUNT_ATTR_NODIRATIME, MS_NODIRATIME, STATFS_NODIRATIME},
	{MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW, STATFS_NOSYMFOLLOW},
};

static unsigned long to_flags(uint64_t attr)
{
	uint64_t atime = attr & MOUNT_ATTR__ATIME;
	unsigned long flags = atime == MOUNT_ATTR_NOATIME       ? MS_NOATIME
			      : atime == MOUNT_ATTR_STRICTATIME ? MS_STRICTATIME
								: MS_RELATIME;

	for (size_t i = 0; i < ARRAY_SIZE(flag_table); i++)
		if (attr & flag_table[i].attr)
			flags |= flag_table[i].ms;
	return flags;
}

static int current_attributes(int fd, uint64_t *ret, unsigned long *ret_super, struct error *err)
{
	struct statfs fs;
	unsigned long now;

	if (fstatfs(fd, &fs) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "inspect a mount");
	now = (unsigned long)fs.f_flags;
	*ret = now & STATFS_NOATIME    ? MOUNT_ATTR_NOATIME
	       : now & STATFS_RELATIME ? MOUNT_ATTR_RELATIME
				       : MOUNT_ATTR_STRICTATIME;
	for (size_t i = 0; i < ARRAY_SIZE(flag_table); i++)
		if (now & flag_table[i].statfs)
			*ret |= flag_table[i].attr;
	*ret_super = now & STATFS_SUPER;
	return 0;
}

/* -- making -------------------------------------------------------------------------------- */

int legacy_mount(const char *fstype, const char *source, unsigned long flags, const char *data,
		 struct error *err)
{
	autoplace struct place p = {.fd = -EBADF};
	char link[FD_PATH_SIZE];
	int r = place_make(&p, true, err);

	if (r < 0)
		return r;
	if (mount(str_empty(source) ? "none" : source, mount_fd_path(p.fd, link), fstype, flags,
		  data) < 0)
		return error_set(
			err, errno == EINVAL || errno == ENODEV ? ERROR_INVALID : ERROR_INTERNAL,
			errno, "mount %s%s%s", fstype, str_empty(data) ? "" : " with ",
			str_empty(data) ? "" : data);
	return place_open_mount(&p, err);
}

static int add_data(void *data, const char *option, struct error *err)
{
	const struct mount_option *known = mount_option_find(option);
	struct strbuf *joined = data;

	(void)err;
	if (!known) /* else it is among the flags */
		strbuf_addf(joined, "%s%s", joined->len ? "," : "", option);
	return 0;
}

static int join_data(const struct mount_options *options, struct strbuf *ret, struct error *err)
{
	int r = mount_options_each(options, add_data, ret, err);

	if (options->label)
		strbuf_addf(ret, "%scontext=\"%s\"", ret->len ? "," : "", options->label);
	if (r == 0 && strbuf_error(ret) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "mount options");
	return r;
}

int legacy_new(const char *fstype, const char *source, const struct mount_options *options,
	       struct error *err)
{
	autostrbuf struct strbuf data = STRBUF_INIT(MOUNT_DATA_MAX);
	int r = join_data(options, &data, err);

	return r < 0 ? r
		     : legacy_mount(fstype, source,
				    to_flags(mount_options_attributes(options)) |
					    options->super_flags,
				    data.len ? data.s : NULL, err);
}

int legacy_clone(int dirfd, const char *path, bool recursive, struct error *err)
{
	autoclose int own = path[0] ? openat(dirfd, path, O_PATH | O_CLOEXEC) : -EBADF;
	autoplace struct place p = {.fd = -EBADF};
	char from[FD_PATH_SIZE], to[FD_PATH_SIZE];
	int source_fd = path[0] ? own : dirfd, r;
	struct stat st;

	if (source_fd < 0 || fstat(source_fd, &st) < 0)
		return error_set(err, errno == ENOENT ? ERROR_INVALID : ERROR_INTERNAL, errno,
				 "clone mount '%s'", path);
	r = place_make(&p, S_ISDIR(st.st_mode), err);
	if (r < 0)
		return r;
	if (mount(mount_fd_path(source_fd, from), mount_fd_path(p.fd, to), NULL,
		  MS_BIND | (recursive ? MS_REC : 0), NULL) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "clone mount '%s'", path);
	return place_open_mount(&p, err);
}

/* -- changing ------------------------------------------------------------------------------ */

static int set_one(int fd, uint64_t set, uint64_t clear, struct error *err)
{
	char link[FD_PATH_SIZE];
	unsigned long super;
	uint64_t now;
	int r = current_attributes(fd, &now, &super, err);

	if (r < 0)
		return r;
	if (mount(NULL, mount_fd_path(fd, link), NULL,
		  MS_REMOUNT | MS_BIND | to_flags((now & ~clear) | set), NULL) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set mount attributes");
	return 0;
}

struct mount_entry {
	unsigned id, parent;
	const char *path; /* octal escapes and all */
	bool below;
};

static int fd_mount_id(int fd, unsigned *ret, struct error *err)
{
	autofree char *path = xasprintf("/proc/self/fdinfo/%d", fd), *text = NULL;
	const char *line;
	int r = file_read(AT_FDCWD, path, 4096, &text, NULL, err);

	if (r < 0)
		return r;
	line = strstr(text, "mnt_id:");
	if (!line || sscanf(line, "mnt_id: %u", ret) != 1)
		return error_set(err, ERROR_INTERNAL, ENODATA, "find a mount's id");
	return 0;
}

/* Fields 1, 2 and 5 of each line: proc_pid_mountinfo(5). */
static size_t parse_mountinfo(char *text, struct mount_entry **ret)
{
	struct mount_entry *list = NULL;
	size_t n = 0, cap = 0;
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		int start = 0, end = 0;

		xgrow(list, n, cap);
		list[n] = (struct mount_entry){0};
		if (sscanf(line, "%u %u %*s %*s %n%*s%n", &list[n].id, &list[n].parent, &start,
			   &end) < 2 ||
		    end == 0)
			continue;
		line[end] = '\0';
		list[n++].path = line + start;
	}
	*ret = list;
	return n;
}

static void mark_below(struct mount_entry *list, size_t n, unsigned top)
{
	bool more = true;

	while (more) { /* children may be listed before their parents */
		more = false;
		for (size_t i = 0; i < n; i++) {
			bool below = list[i].parent == top;

			for (size_t j = 0; !below && j < n; j++)
				below = list[j].below && list[j].id == list[i].parent;
			if (below && !list[i].below)
				list[i].below = more = true;
		}
	}
}

static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* One mount below `fd`, which is the mount `top`. */
static int set_below(int fd, const struct mount_entry *m, const char *top_path, uint64_t set,
		     uint64_t clear, struct error *err)
{
	size_t len = strlen(top_path);
	autofree char *path = NULL;
	autoclose int own = -EBADF;
	unsigned id = 0;
	int r;

	if (!str_has_prefix(m->path, top_path) || m->path[len] != '/')
		return 0; /* under another mount's root: nobody can get there */
	path = xstrdup(m->path + len + 1);
	unescape(path);
	own = openat(fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	r = own < 0 ? error_set(err, ERROR_INTERNAL, errno, "open mount '%s'", path)
		    : fd_mount_id(own, &id, err);
	if (r == 0 && id != m->id)
		r = error_set(err, ERROR_UNAVAILABLE, 0,
			      "set attributes of the hidden mount '%s': the kernel has no "
			      "mount_setattr(2) (Linux 5.12)",
			      path);
	return r < 0 ? r : set_one(own, set, clear, err);
}

static int set_recursively(int fd, uint64_t set, uint64_t clear, struct error *err)
{
	autofree char *text = NULL;
	autofree struct mount_entry *list = NULL;
	const char *top_path = NULL;
	size_t n;
	unsigned top = 0;
	int r = fd_mount_id(fd, &top, err);

	if (r == 0)
		r = file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL, err);
	if (r < 0)
		return r;
	n = parse_mountinfo(text, &list);
	for (size_t i = 0; i < n; i++)
		if (list[i].id == top)
			top_path = list[i].path;
	if (!top_path)
		return error_set(err, ERROR_INTERNAL, ENOENT, "find a mount");
	mark_below(list, n, top);
	r = set_one(fd, set, clear, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (list[i].below)
			r = set_below(fd, &list[i], top_path, set, clear, err);
	return r;
}

int legacy_set_attributes(int mount_fd, uint64_t set, uint64_t clear, bool recursive,
			  struct error *err)
{
	return recursive ? set_recursively(mount_fd, set, clear, err)
			 : set_one(mount_fd, set, clear, err);
}

int legacy_reconfigure(int mount_fd, const struct mount_options *options, struct error *err)
{
	autostrbuf struct strbuf data = STRBUF_INIT(MOUNT_DATA_MAX);
	char link[FD_PATH_SIZE];
	unsigned long super;
	uint64_t now;
	int r = current_attributes(mount_fd, &now, &super, err);

	if (r == 0)
		r = join_data(options, &data, err);
	if (r < 0)
		return r;
	if (mount(NULL, mount_fd_path(mount_fd, link), NULL,
		  MS_REMOUNT | to_flags((now & ~options->attr_clr) | options->attr_set) |
			  (super & ~options->super_clr) | options->super_flags,
		  data.len ? data.s : NULL) < 0)
		return error_set(err, errno == EINVAL ? ERROR_INVALID : ERROR_INTERNAL, errno,
				 "remount");
	return 0;
}
