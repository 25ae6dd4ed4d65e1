/* Control groups: directories and processes; cgroup_v1.c and cgroup_v2.c know the knobs.
 *
 * Every operation works on directory fds.  Removal waits without sleeping: a process that leaves a
 * cgroup as it dies is announced by its pidfd, so the survivors' pidfds are polled, not the
 * directory.
 */
#include "linux/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/str.h"
#include "linux/cgroup_priv.h"
#include "linux/pidfd.h"
#include "linux/rootless.h"
#include "linux/sys.h"

#define CGROUP_FILE_MAX ((size_t)1 << 20)

/* -- reading and writing ------------------------------------------------------------------- */

int cgroup_write(int dir_fd, const char *file, const char *value, struct error *err)
{
	autoclose int fd = openat(dir_fd, file, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, errno == ENOENT ? ERROR_UNAVAILABLE : ERROR_INTERNAL, errno,
				 "open cgroup file '%s'", file);
	if (write(fd, value, strlen(value)) < 0)
		return error_set(err,
				 errno == EINVAL || errno == ERANGE || errno == ENODEV
					 ? ERROR_INVALID
					 : ERROR_INTERNAL,
				 errno, "write '%s' to cgroup file '%s'", value, file);
	return 0;
}

int cgroup_writef(int dir_fd, const char *file, struct error *err, const char *fmt, ...)
{
	autofree char *value = NULL;
	va_list ap;

	va_start(ap, fmt);
	value = xvasprintf(fmt, ap);
	va_end(ap);
	return cgroup_write(dir_fd, file, value, err);
}

char *cgroup_read_text(int dir_fd, const char *file)
{
	char *text = NULL;

	return file_read(dir_fd, file, CGROUP_FILE_MAX, &text, NULL, NULL) < 0 ? NULL : text;
}

bool cgroup_read_u64(int dir_fd, const char *file, uint64_t *ret)
{
	autofree char *text = NULL;

	if (dir_fd < 0)
		return false;
	text = cgroup_read_text(dir_fd, file);
	if (!text)
		return false;
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, "max") == 0) {
		*ret = UINT64_MAX;
		return true;
	}
	return str_parse_u64(text, ret) == 0;
}

bool cgroup_flat_get(const char *text, const char *key, uint64_t *ret)
{
	size_t len = strlen(key);

	for (const char *line = text; *line;) {
		if (strncmp(line, key, len) == 0 && line[len] == ' ') {
			char *end = NULL;

			errno = 0;
			*ret = strtoull(line + len + 1, &end, 10);
			return end != line + len + 1 && errno == 0;
		}
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return false;
}

/* -- directories --------------------------------------------------------------------------- */

static bool list_has(const char *list, const char *item)
{
	size_t len = strlen(item);

	for (const char *p = list; *p;) {
		size_t n = strcspn(p, ",");

		if (n == len && memcmp(p, item, len) == 0)
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}

int cgroup_v1_dir(const struct cgroup *cg, const char *controller)
{
	for (size_t i = 0; i < cg->layout->count; i++)
		if (!cg->layout->hierarchies[i].is_v2 &&
		    list_has(cg->layout->hierarchies[i].controllers, controller))
			return cg->dir_fds[i];
	return -EBADF;
}

int cgroup_v2_dir(const struct cgroup *cg)
{
	for (size_t i = 0; i < cg->layout->count; i++)
		if (cg->layout->hierarchies[i].is_v2)
			return cg->dir_fds[i];
	return -EBADF;
}

const char *cgroup_path(const struct cgroup *cg)
{
	return cg->path;
}

int cgroup_clone_fd(const struct cgroup *cg)
{
	return cgroup_v2_dir(cg);
}

static int path_check(const char *path, struct error *err)
{
	if (path[0] != '/' || path[1] == '\0' || path[strlen(path) - 1] == '/' ||
	    strstr(path, "//") || strstr(path, "/../") || strstr(path, "/./") ||
	    str_has_suffix(path, "/..") || str_has_suffix(path, "/.") || strlen(path) >= 3072)
		return error_set(err, ERROR_INVALID, 0, "cgroup path '%s'", path);
	return 0;
}

/* Without the driver: what is in front of the path. */
static enum cgroup_driver place_split(const char *place, const char **ret_path)
{
	static const struct {
		const char *prefix;
		enum cgroup_driver driver;
	} drivers[] = {{CGROUP_PLACE_SYSTEMD, CGROUP_DRIVER_SYSTEMD},
		       {CGROUP_PLACE_SYSTEMD_USER, CGROUP_DRIVER_SYSTEMD_USER}};

	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (str_has_prefix(place, drivers[i].prefix)) {
			*ret_path = place + strlen(drivers[i].prefix);
			return drivers[i].driver;
		}
	*ret_path = place;
	return CGROUP_DRIVER_FS;
}

static int cgroup_new(const struct cgroup_layout *l, const char *place, struct cgroup **ret,
		      struct error *err)
{
	const char *path;
	enum cgroup_driver driver = place_split(place, &path);
	int r = path_check(path, err);
	struct cgroup *cg;

	if (r < 0)
		return r;
	cg = xnew0(struct cgroup);
	cg->layout = l;
	cg->driver = driver;
	cg->path = xstrdup(path);
	cg->dir_fds = xnew0n(int, l->count);
	for (size_t i = 0; i < l->count; i++)
		cg->dir_fds[i] = -EBADF;
	*ret = cg;
	return 0;
}

void cgroup_enable_path(const struct cgroup *cg)
{
	for (size_t i = 0; i < cg->layout->count; i++) {
		const struct hierarchy *h = &cg->layout->hierarchies[i];
		autofree char *path = xstrdup(cg->path);

		if (!h->is_v2)
			continue;
		cgroup_v2_enable_controllers(h->root_fd);
		for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
			autoclose int fd = -EBADF;

			*p = '\0';
			fd = openat(h->root_fd, path + 1, O_PATH | O_DIRECTORY | O_CLOEXEC);
			*p = '/';
			if (fd >= 0)
				cgroup_v2_enable_controllers(fd);
		}
	}
}

/* A directory that held processes cannot be ours: another container has this name. */
static bool has_processes(int dir_fd)
{
	autofree char *text = cgroup_read_text(dir_fd, "cgroup.procs");

	return text && text[0] != '\0';
}

typedef void (*visit_fn)(int parent_fd, const char *name, int dir_fd, void *data);

#define CGROUP_DEPTH_MAX 64

/* Children before parents; name is NULL for the top one. */
static void walk(int parent_fd, const char *name, int dir_fd, visit_fn fn, void *data,
		 unsigned depth)
{
	int read_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = read_fd < 0 ? NULL : fdopendir(read_fd);
	struct dirent *entry;

	if (!dir)
		fd_close(&read_fd);
	while (dir && depth < CGROUP_DEPTH_MAX && (entry = readdir(dir))) {
		autoclose int sub = -EBADF;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		sub = openat(dir_fd, entry->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			walk(dir_fd, entry->d_name, sub, fn, data, depth + 1);
	}
	if (dir)
		(void)closedir(dir);
	fn(parent_fd, name, dir_fd, data);
}

static void visit_remove(int parent_fd, const char *name, int dir_fd, void *data)
{
	(void)dir_fd;
	(void)data;
	if (name)
		(void)unlinkat(parent_fd, name, AT_REMOVEDIR); /* the parent's removal will tell */
}

static int prepare(const struct hierarchy *h, int parent_fd, int dir_fd, struct error *err)
{
	if (h->is_v2) {
		if (h->rules)
			cgroup_v2_enable_controllers(parent_fd);
		return 0;
	}
	return cgroup_v1_prepare(h, parent_fd, dir_fd, err);
}

/* Component by component, to give each what it needs from its parent. */
static int create_stepwise(const struct hierarchy *h, const char *path, int *ret, struct error *err)
{
	autoclose int parent = openat(h->root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *p = path + 1;

	if (parent < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open cgroup root '%s'", h->name);
	while (*p) {
		size_t n = strcspn(p, "/");
		autofree char *name = xstrndup(p, n);
		autoclose int fd = -EBADF;
		int r;

		if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
			return error_set(err, ERROR_INTERNAL, errno, "create cgroup '%s' in %s",
					 path, h->name);
		fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return error_set(err, ERROR_INTERNAL, errno, "open cgroup '%s' in %s", path,
					 h->name);
		r = prepare(h, parent, fd, err);
		if (r < 0)
			return r;
		fd_close(&parent);
		parent = TAKE_FD(fd);
		p += n + (p[n] == '/');
	}
	*ret = TAKE_FD(parent);
	return 0;
}

static void visit_busy(int parent_fd, const char *name, int dir_fd, void *data)
{
	(void)parent_fd;
	(void)name;
	*(bool *)data = *(const bool *)data || has_processes(dir_fd);
}

static bool is_frozen_dir(const struct hierarchy *h, int dir_fd)
{
	autofree char *text =
		cgroup_read_text(dir_fd, h->is_v2 ? "cgroup.events" : "freezer.state");
	uint64_t frozen = 0;

	return text && (h->is_v2 ? cgroup_flat_get(text, "frozen", &frozen) && frozen
				 : !str_has_prefix(text, "THAWED"));
}

/* It is there already.  With processes it is in use.  What a container of this name has left behind is
 * not taken over, limits and all; but what others have prepared is: with children, or of another
 * owner, or where it cannot be removed. */
static int take_over(const struct hierarchy *h, const char *path, struct error *err)
{
	autoclose int fd =
		openat(h->root_fd, path + 1, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool busy = false;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open cgroup '%s' in %s", path,
				 h->name);
	walk(-EBADF, NULL, fd, visit_busy, &busy, 0);
	if (busy)
		return error_set(err, ERROR_CONFLICT, EEXIST, "cgroup '%s' in %s is in use", path,
				 h->name);
	if (st.st_uid == geteuid() && unlinkat(h->root_fd, path + 1, AT_REMOVEDIR) == 0) {
		if (mkdirat(h->root_fd, path + 1, 0755) < 0)
			return error_set(err, ERROR_CONFLICT, errno, "replace cgroup '%s' in %s",
					 path, h->name);
		return 0;
	}
	/* What is frozen would never get to its first instruction, and wait for ever. */
	if (is_frozen_dir(h, fd))
		return error_set(err, ERROR_CONFLICT, 0, "cgroup '%s' in %s is frozen", path,
				 h->name);
	return 0;
}

static int create_in(const struct hierarchy *h, const char *path, int *ret, struct error *err)
{
	bool made = mkdirat(h->root_fd, path + 1, 0755) == 0;
	int r = 0;

	if (!made && errno == EEXIST) {
		r = take_over(h, path, err);
		made = r == 0;
	} else if (!made && errno != ENOENT) {
		r = error_set(err, ERROR_INTERNAL, errno, "create cgroup '%s' in %s", path,
			      h->name);
	}
	if (r < 0)
		return r;
	/* The parent was there, as almost always; and if nothing is inherited from it, that is all. */
	if (made && !h->is_v2 && !cgroup_v1_inherits(h)) {
		*ret = openat(h->root_fd, path + 1, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (*ret >= 0)
			return 0;
	}
	r = create_stepwise(h, path, ret, err);
	if (r < 0)
		(void)unlinkat(h->root_fd, path + 1, AT_REMOVEDIR); /* ours, or not there */
	return r;
}

/* Nothing is ours there, and nothing was asked for there: an ordinary user's container stays in the
 * cgroup that he is in. */
static bool may_skip(const struct cgroup_layout *l, int r)
{
	return l->optional && (r == -EACCES || r == -EPERM || r == -EROFS);
}

static int create_or_skip(const struct cgroup_layout *l, size_t i, const char *path, int *ret,
			  struct error *err)
{
	autoerror struct error why = {0};
	int r = create_in(&l->hierarchies[i], path, ret, &why);

	/* One that was there may be somebody else's. */
	if (r == 0 && l->optional && faccessat(*ret, "cgroup.procs", W_OK, AT_EACCESS) < 0 &&
	    may_skip(l, -errno))
		fd_close(ret);
	return r == 0 || may_skip(l, r) ? 0 : error_move(err, &why, r);
}

bool cgroup_is_empty(const struct cgroup *cg)
{
	for (size_t i = 0; i < cg->layout->count; i++)
		if (cg->dir_fds[i] >= 0)
			return false;
	return true;
}

int cgroup_create_unified(const struct cgroup_layout *l, const char *place, struct cgroup **ret,
			  struct error *err)
{
	autocgroup struct cgroup *cg = NULL;
	int r = cgroup_new(l, place, &cg, err);

	if (r < 0)
		return r;
	/* A unit's directories are systemd's to make, when there is a process to put into them. */
	for (size_t i = 0; cg->driver == CGROUP_DRIVER_FS && i < l->count; i++) {
		if (!l->hierarchies[i].is_v2)
			continue;
		r = create_or_skip(l, i, cg->path, &cg->dir_fds[i], err);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(cg);
	return 0;
}

int cgroup_create_rest(struct cgroup *cg, struct error *err)
{
	for (size_t i = 0; i < cg->layout->count; i++) {
		int r = cg->dir_fds[i] >= 0
				? 0
				: create_or_skip(cg->layout, i, cg->path, &cg->dir_fds[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_adopt(struct cgroup *cg, struct error *err)
{
	for (size_t i = 0; i < cg->layout->count; i++) {
		const struct hierarchy *h = &cg->layout->hierarchies[i];
		int r = cg->dir_fds[i] >= 0 ? 0
					    : create_stepwise(h, cg->path, &cg->dir_fds[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_create(const struct cgroup_layout *l, const char *place, struct cgroup **ret,
		  struct error *err)
{
	autocgroup struct cgroup *cg = NULL;
	int r = cgroup_create_unified(l, place, &cg, err);

	if (r < 0)
		return r;
	r = cgroup_create_rest(cg, err);
	if (r < 0) {
		(void)cgroup_destroy(cg, NULL); /* the first error is the one to tell */
		return r;
	}
	*ret = TAKE_PTR(cg);
	return 0;
}

static int open_in(struct cgroup *cg, size_t i, const char *path)
{
	int fd = openat(cg->layout->hierarchies[i].root_fd, path[1] ? path + 1 : ".",
			O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	cg->dir_fds[i] = fd >= 0 ? fd : -EBADF;
	return fd >= 0 ? 0 : -errno;
}

int cgroup_open(const struct cgroup_layout *l, const char *place, struct cgroup **ret,
		struct error *err)
{
	autocgroup struct cgroup *cg = NULL;
	bool found = false;
	int r = cgroup_new(l, place, &cg, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < l->count; i++) {
		r = open_in(cg, i, cg->path);
		/* To be removed, for one: what cannot be opened must not pass for what is not there. */
		if (r < 0 && r != -ENOENT)
			return error_set(err, ERROR_INTERNAL, -r, "open cgroup '%s' in %s",
					 cg->path, l->hierarchies[i].name);
		found = found || r == 0;
	}
	if (!found && !l->optional)
		return error_set(err, ERROR_NOT_FOUND, ENOENT, "cgroup '%s'", cg->path);
	cg->started = true;
	*ret = TAKE_PTR(cg);
	return 0;
}

/* Behind "ID:CONTROLLERS:" (cgroups(7)). */
char *cgroup_path_in(const struct hierarchy *h, const char *text)
{
	autofree char *copy = xstrdup(text);
	char *save = NULL;

	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *controllers = strchr(line, ':'),
		     *path = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!path)
			continue;
		*path++ = '\0';
		if (strcmp(controllers + 1, h->controllers) != 0)
			continue;
		if (h->view && !str_has_prefix(path, h->view))
			return NULL;
		path += h->view ? strlen(h->view) : 0;
		return xstrdup(*path ? path : "/");
	}
	return NULL;
}

bool cgroup_self_is_root(void)
{
	autofree char *text = cgroup_read_text(AT_FDCWD, "/proc/self/cgroup");
	char *rest = NULL;

	for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line;
	     line = strtok_r(NULL, "\n", &rest)) {
		const char *path = strrchr(line, ':');

		if (!path || !str_eq(path + 1, "/"))
			return false;
	}
	return text != NULL;
}

char *cgroup_unified_path(const struct cgroup_layout *l, const char *text)
{
	for (size_t i = 0; text && i < l->count; i++)
		if (l->hierarchies[i].is_v2)
			return cgroup_path_in(&l->hierarchies[i], text);
	return NULL;
}

char *cgroup_own_path(const struct cgroup_layout *l)
{
	autofree char *text = cgroup_read_text(AT_FDCWD, "/proc/self/cgroup");

	return cgroup_unified_path(l, text);
}

void cgroup_layout_set_optional(struct cgroup_layout *l, bool optional)
{
	autofree char *text = NULL;

	l->optional = optional && rootless_is();
	text = l->optional ? cgroup_read_text(AT_FDCWD, "/proc/self/cgroup") : NULL;
	for (size_t i = 0; text && i < l->count; i++) {
		free(l->hierarchies[i].own);
		l->hierarchies[i].own = cgroup_path_in(&l->hierarchies[i], text);
	}
}

/* The files that a user is given are the kernel's to name (since 4.15). */
int cgroup_delegate(const struct cgroup *cg, uid_t uid, struct error *err)
{
	static const char fallback[] = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";
	int fd = cgroup_v2_dir(cg);
	autofree char *list = NULL;
	char *save = NULL;

	if (fd < 0)
		return 0;
	if (fchownat(fd, "", uid, (gid_t)-1, AT_EMPTY_PATH) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "delegate cgroup '%s'", cg->path);
	list = cgroup_read_text(AT_FDCWD, "/sys/kernel/cgroup/delegate");
	if (!list)
		list = xstrdup(fallback);
	for (char *file = strtok_r(list, "\n", &save); file; file = strtok_r(NULL, "\n", &save))
		/* the list has files of controllers that are not enabled here */
		if (fchownat(fd, file, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
			return error_set(err, ERROR_INTERNAL, errno, "delegate cgroup file '%s'",
					 file);
	return 0;
}

struct cgroup *cgroup_free(struct cgroup *cg)
{
	if (!cg)
		return NULL;
	for (size_t i = 0; i < cg->layout->count; i++)
		fd_close(&cg->dir_fds[i]);
	free(cg->dir_fds);
	free(cg->path);
	free(cg);
	return NULL;
}

/* -- processes ----------------------------------------------------------------------------- */

int cgroup_attach(const struct cgroup *cg, pid_t pid, struct error *err)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	for (size_t i = 0; i < cg->layout->count; i++) {
		int r = cg->dir_fds[i] < 0
				? 0
				: cgroup_write(cg->dir_fds[i], "cgroup.procs", text, err);

		if (r < 0)
			return error_wrap(err, r, "join cgroup '%s' in %s", cg->path,
					  cg->layout->hierarchies[i].name);
	}
	return 0;
}

/* cgroup1_tasks_write() with "0": the kernel skips cgroup_threadgroup_rwsem, whose writers may have to
 * wait for a grace period, when a thread moves nobody but itself. */
static int join_hierarchy(const struct hierarchy *h, const char *path, struct error *err)
{
	autofree char *file = xasprintf("%s/tasks", path + 1);
	autoerror struct error why = {0};
	int r = cgroup_write(h->root_fd, file, "0", &why);

	if (r == -ENOENT && rootless_is())
		return 0; /* create_or_skip() */
	return r < 0 ? error_wrap(err, error_move(err, &why, r), "join cgroup '%s' in %s", path,
				  h->name)
		     : 0;
}

int cgroup_join(const struct cgroup_layout *l, const char *path, struct error *err)
{
	int r = path_check(path, err);

	for (size_t i = 0; r == 0 && i < l->count; i++)
		if (!l->hierarchies[i].is_v2)
			r = join_hierarchy(&l->hierarchies[i], path, err);
	return r;
}

int cgroup_move_out(const struct cgroup_layout *l, const char *path, struct error *err)
{
	autofree char *text = cgroup_read_text(AT_FDCWD, "/proc/self/cgroup");
	int r = path_check(path, err);

	for (size_t i = 0; r == 0 && i < l->count; i++) {
		const struct hierarchy *h = &l->hierarchies[i];
		autofree char *own = text && !h->is_v2 ? cgroup_path_in(h, text) : NULL;

		if (!h->is_v2 && !str_eq(own, "/"))
			r = join_hierarchy(h, path, err);
	}
	return r;
}

struct pid_list {
	pid_t *v;
	size_t n, cap;
};

static void pids_add_file(int dir_fd, struct pid_list *list)
{
	autofree char *text = cgroup_read_text(dir_fd, "cgroup.procs");
	char *save = NULL;

	for (char *s = text ? strtok_r(text, "\n", &save) : NULL; s;
	     s = strtok_r(NULL, "\n", &save)) {
		uint32_t pid;

		if (str_parse_u32(s, &pid) < 0 || pid == 0)
			continue; /* 0: a process outside our pid namespace */
		xgrow(list->v, list->n, list->cap);
		list->v[list->n++] = (pid_t)pid;
	}
}

static void visit_pids(int parent_fd, const char *name, int dir_fd, void *data)
{
	(void)parent_fd;
	(void)name;
	pids_add_file(dir_fd, data);
}

/* One hierarchy knows them all: unified, else pids, freezer, or whichever comes first. */
int cgroup_process_dir(const struct cgroup *cg)
{
	static const char *const preferred[] = {"pids", "freezer", "memory"};
	int fd = cgroup_v2_dir(cg);

	for (size_t i = 0; fd < 0 && i < ARRAY_SIZE(preferred); i++)
		fd = cgroup_v1_dir(cg, preferred[i]);
	for (size_t i = 0; fd < 0 && i < cg->layout->count; i++)
		fd = cg->dir_fds[i];
	return fd;
}

int cgroup_pids(const struct cgroup *cg, pid_t **ret, size_t *ret_count, struct error *err)
{
	struct pid_list list = {0};
	int fd = cgroup_process_dir(cg);

	if (fd < 0)
		return error_set(err, ERROR_NOT_FOUND, ENOENT, "cgroup '%s'", cg->path);
	walk(-EBADF, NULL, fd, visit_pids, &list, 0);
	*ret = list.v;
	*ret_count = list.n;
	return 0;
}

static void visit_kill(int parent_fd, const char *name, int dir_fd, void *data)
{
	struct pid_list list = {0};

	(void)parent_fd;
	(void)name;
	pids_add_file(dir_fd, &list);
	for (size_t i = 0; i < list.n; i++)
		(void)kill(list.v[i], *(const int *)data); /* ESRCH: gone meanwhile */
	free(list.v);
}

/* One by one, frozen meanwhile: whoever forks faster than we read does not get away. */
static void kill_each(const struct cgroup *cg, int dir_fd, int signo)
{
	bool was_frozen = false, froze = false;

	if (signo == SIGKILL && cgroup_is_frozen(cg, &was_frozen, NULL) == 0 && !was_frozen)
		froze = cgroup_freeze(cg, true, NULL) == 0; /* else as well as it goes */
	walk(-EBADF, NULL, dir_fd, visit_kill, &signo, 0);
	if (froze)
		(void)cgroup_freeze(cg, false, NULL); /* the caller waits for the processes */
}

int cgroup_kill(const struct cgroup *cg, int signo, struct error *err)
{
	int v2 = cgroup_v2_dir(cg);
	bool frozen = false;

	if (signo != SIGKILL || v2 < 0 || cgroup_write(v2, "cgroup.kill", "1", NULL) < 0) {
		int fd = cgroup_process_dir(cg);

		if (fd < 0)
			return error_set(err, ERROR_NOT_FOUND, ENOENT, "cgroup '%s'", cg->path);
		kill_each(cg, fd, signo);
	}
	/* v1's freezer holds even the killed, v2's does not. */
	if (signo == SIGKILL && cgroup_v1_dir(cg, "freezer") >= 0 &&
	    cgroup_is_frozen(cg, &frozen, NULL) == 0 && frozen)
		return cgroup_freeze(cg, false, err);
	return 0;
}

/* -- removal ------------------------------------------------------------------------------- */

#define DESTROY_ROUNDS     64
#define DESTROY_TIMEOUT_MS 10000

static int remove_in(const struct hierarchy *h, const char *path, int *dir_fd)
{
	if (*dir_fd < 0)
		return 0;
	if (unlinkat(h->root_fd, path + 1, AT_REMOVEDIR) < 0 && errno != ENOENT) {
		if (errno != EBUSY && errno != ENOTEMPTY)
			return -errno;
		walk(h->root_fd, NULL, *dir_fd, visit_remove, NULL, 0);
		if (unlinkat(h->root_fd, path + 1, AT_REMOVEDIR) < 0 && errno != ENOENT)
			return -errno;
	}
	fd_close(dir_fd);
	return 0;
}

static int remove_all(struct cgroup *cg)
{
	int result = 0;

	for (size_t i = 0; i < cg->layout->count; i++) {
		int r = remove_in(&cg->layout->hierarchies[i], cg->path, &cg->dir_fds[i]);

		result = r < 0 ? r : result;
	}
	return result;
}

/* v2 tells when the last process has gone, of all cgroups below too. */
static int wait_unpopulated(int dir_fd)
{
	autoclose int fd = openat(dir_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	struct pollfd p = {.fd = fd, .events = POLLPRI};

	while (fd >= 0) {
		char text[128] = "";
		uint64_t populated = 0;

		if (pread(fd, text, sizeof(text) - 1, 0) < 0 || /* ENODEV: it is gone */
		    !cgroup_flat_get(text, "populated", &populated) || !populated)
			return 0;
		if (poll(&p, 1, DESTROY_TIMEOUT_MS) == 0)
			return -ETIMEDOUT;
	}
	return 0;
}

/* Wait until every process in it has gone.  A process leaves its cgroup when it has exited, which
 * is when its pidfd becomes readable; zombies no longer count (cgroup-v2.rst, "populated"). */
static int wait_processes(const struct cgroup *cg)
{
	autofree pid_t *pids = NULL;
	size_t n = 0;
	int fd = cgroup_process_dir(cg);

	if (fd >= 0 && cgroup_pids(cg, &pids, &n, NULL) < 0)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		autoclose int pidfd = pidfd_of(pids[i]);

		if (pidfd < 0)
			continue;
		(void)pidfd_signal(pidfd, SIGKILL); /* born since cgroup_kill */
		if (pidfd_wait(pidfd, DESTROY_TIMEOUT_MS) == 0)
			return -ETIMEDOUT;
	}
	if (cgroup_v2_dir(cg) >= 0)
		return wait_unpopulated(cgroup_v2_dir(cg));
	return 0;
}

int cgroup_destroy(struct cgroup *cg, struct error *err)
{
	int r = 0;

	if (cg->driver != CGROUP_DRIVER_FS && cg->started) {
		/* systemd removes what it made; it would wait for processes that ignore SIGTERM. */
		(void)cgroup_kill(cg, SIGKILL, NULL); /* nobody there */
		r = cgroup_systemd_stop(cg, err);
		if (r < 0)
			return r;
	}
	r = remove_all(cg); /* the usual case: empty already */
	if (r < 0) {
		/* Another hierarchy's directory may be gone by now, but the one that is busy shows
		 * whom to kill. */
		(void)cgroup_kill(cg, SIGKILL, NULL);
		for (unsigned i = 0; r < 0 && i < DESTROY_ROUNDS; i++) {
			r = wait_processes(cg);
			if (r < 0)
				break;
			r = remove_all(cg);
			/* Nobody is there, and a directory is busy all the same: a task is on its
			 * way out, of which v1 tells nobody. */
			if (r == -EBUSY)
				(void)poll(NULL, 0, i == 0 ? 0 : 1);
		}
	}
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "remove cgroup '%s'", cg->path);
	return 0;
}

/* -- freezer and OOM: whichever version has them ---------------------------------------------- */

int cgroup_freeze(const struct cgroup *cg, bool frozen, struct error *err)
{
	if (cgroup_v1_dir(cg, "freezer") >= 0)
		return cgroup_v1_freeze(cg, frozen, err);
	if (cgroup_v2_dir(cg) >= 0)
		return cgroup_v2_freeze(cg, frozen, err);
	return error_set(err, ERROR_UNAVAILABLE, 0, "cgroup controller 'freezer' is not available");
}

int cgroup_is_frozen(const struct cgroup *cg, bool *ret, struct error *err)
{
	int v1 = cgroup_v1_dir(cg, "freezer"), v2 = cgroup_v2_dir(cg);
	autofree char *text = v1 >= 0   ? cgroup_read_text(v1, "freezer.state")
			      : v2 >= 0 ? cgroup_read_text(v2, "cgroup.events")
					: NULL;
	uint64_t frozen = 0;

	if (!text || (v1 < 0 && !cgroup_flat_get(text, "frozen", &frozen)))
		return error_set(err, ERROR_UNAVAILABLE, 0, "cgroup '%s' has no freezer", cg->path);
	*ret = v1 >= 0 ? !str_has_prefix(text, "THAWED") : frozen;
	return 0;
}

int cgroup_oom_watch(const struct cgroup *cg, int *ret_fd, struct error *err)
{
	int v1 = cgroup_v1_dir(cg, "memory"), v2 = cgroup_v2_dir(cg);

	if (v1 >= 0)
		return cgroup_v1_oom_watch(v1, ret_fd, err);
	if (v2 >= 0)
		return cgroup_v2_oom_watch(v2, ret_fd, err);
	return error_set(err, ERROR_UNAVAILABLE, 0, "cgroup controller 'memory' is not available");
}

int cgroup_oom_count(const struct cgroup *cg, uint64_t *ret, struct error *err)
{
	int v1 = cgroup_v1_dir(cg, "memory"), v2 = cgroup_v2_dir(cg);
	autofree char *text = v1 >= 0   ? cgroup_read_text(v1, "memory.oom_control")
			      : v2 >= 0 ? cgroup_read_text(v2, "memory.events")
					: NULL;

	if (!text || !cgroup_flat_get(text, "oom_kill", ret)) /* v1: since Linux 4.13 */
		return error_set(err, ERROR_UNAVAILABLE, 0, "cgroup '%s' does not count OOM kills",
				 cg->path);
	return 0;
}
