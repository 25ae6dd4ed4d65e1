/* What a container has changed in its image: docker diff, from an overlay's upper directory. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/tree.h"
#include "store/tree_priv.h"
#include "store/unpack_priv.h"

#define MAX_DEPTH 256

struct change {
	char *path; /* owned */
	enum tree_change kind;
};

struct changes {
	struct tree_below below; /* borrowed fds; none while nothing below is seen */
	struct change *v;        /* owned */
	size_t n, cap;
};

static void add(struct changes *c, enum tree_change kind, const char *path)
{
	xgrow(c->v, c->n, c->cap);
	c->v[c->n++] = (struct change){xstrdup(path), kind};
}

static int walk(struct changes *c, int fd, const char *path, bool is_new, bool *ret_entries,
		struct error *err);

/* *entries: an entry came or went, which changes the directory. */
static int look(struct changes *c, int dir_fd, const char *name, const char *path, bool *entries,
		struct error *err)
{
	struct stat st, below;
	bool known, inner = false;
	int fd, r;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_set(err, ERROR_INTERNAL, errno, "'%s'", path);
	known = tree_below_find(&c->below, path, &below);
	if (unpack_is_whiteout(&st)) {
		if (known)
			add(c, TREE_DELETED, path);
		*entries |= known;
		return 0;
	}
	if (!known && tree_is_mount_place(path, &st) && !S_ISDIR(st.st_mode))
		return 0;
	if (!S_ISDIR(st.st_mode)) {
		add(c, known ? TREE_MODIFIED : TREE_ADDED, path);
		*entries |= !known;
		return 0;
	}
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : error_set(err, ERROR_INTERNAL, errno, "'%s'", path);
	r = walk(c, fd, path, !known || tree_is_opaque(fd), &inner, err);
	fd_close(&fd);
	if (r < 0)
		return r;
	if (!known) {
		if (tree_is_mount_place(path, &st) && !inner)
			return 0;
		add(c, TREE_ADDED, path);
		*entries = true;
	} else if (inner || !S_ISDIR(below.st_mode) || below.st_mode != st.st_mode ||
		   below.st_uid != st.st_uid || below.st_gid != st.st_gid) {
		add(c, TREE_MODIFIED, path);
	}
	return 0;
}

static int walk(struct changes *c, int fd, const char *path, bool is_new, bool *ret_entries,
		struct error *err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3), r = 0;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	size_t n_lower = c->below.n, depth = 0;
	struct dirent *d;

	for (const char *s = path; *s; s++)
		depth += *s == '/';
	if (!dir || depth > MAX_DEPTH) {
		r = error_set(err, ERROR_INTERNAL, dir ? ELOOP : errno, "read '%s'", path);
		if (dir)
			(void)closedir(dir);
		else
			fd_close(&copy);
		return r;
	}
	if (is_new)
		c->below.n = 0; /* nothing of what lies below is seen through it */
	while (r >= 0 && (d = readdir(dir))) {
		autofree char *child = NULL;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		child = xasprintf("%s/%s", path, d->d_name);
		r = look(c, fd, d->d_name, child, ret_entries, err);
	}
	c->below.n = n_lower;
	(void)closedir(dir);
	return r;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct change *)a)->path, ((const struct change *)b)->path);
}

int tree_changes(const char *upper, const char *const *lower, size_t n_lower, tree_change_fn fn,
		 void *data, struct error *err)
{
	autobelow struct tree_below below = {0};
	struct changes c = {.v = NULL};
	autoclose int fd = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool entries = false;
	int r;

	r = fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "open '%s'", upper)
		   : tree_below_open(lower, n_lower, &below, err);
	c.below = below;
	if (r >= 0)
		r = walk(&c, fd, "", false, &entries, err);
	if (c.n > 0)
		qsort(c.v, c.n, sizeof(*c.v), by_path);
	for (size_t i = 0; i < c.n; i++) {
		if (r >= 0)
			r = fn(data, c.v[i].kind, c.v[i].path);
		free(c.v[i].path);
	}
	free(c.v);
	return r < 0 ? r : 0;
}
