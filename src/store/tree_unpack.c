/* A tar archive into a container's files. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/root.h"
#include "store/tar.h"
#include "store/tree.h"

/* A directory's times, which making its entries changes: set at the end. */
struct dated {
	int fd; /* owned, O_PATH */
	struct timespec mtime;
};
#define MAX_DATED 1024 /* directories that keep their times: as many as are held open at most */

struct unpacking {
	const struct tree_unpack *args;
	char *dir; /* owned: args->path, clean */
	struct dated *dated;
	size_t n_dated, cap_dated;
};

/* Where an entry goes. */
struct place {
	int parent;        /* owned, O_PATH */
	char *name;        /* owned; "." for the directory itself */
	const char *shown; /* borrowed: the entry's path, for errors */
};

static void place_done(struct place *p)
{
	fd_close(&p->parent);
	free(p->name);
}
#define autoplace __attribute__((cleanup(place_done)))

static int refuse(struct error *err, const struct place *p, const char *what)
{
	return error_set(err, ERROR_INVALID, errno, "%s '%s'", what, p->shown);
}

static bool leads_up(const char *path)
{
	for (const char *s = path; *s; s += strcspn(s, "/"), s += *s == '/')
		if (s[0] == '.' && s[1] == '.' && (s[2] == '/' || s[2] == '\0'))
			return true;
	return false;
}

/* What an entry is called here; owned. */
static char *renamed(const struct tree_unpack *a, const char *path)
{
	size_t len = a->from ? strlen(a->from) : 0;

	if (len == 0)
		return xstrdup(path);
	if (str_eq(a->from, "/"))
		return xasprintf("%s/%s", a->to, path);
	if (strncmp(path, a->from, len) != 0 || (path[len] != '/' && path[len] != '\0'))
		return xstrdup(path);
	return xasprintf("%s%s", a->to, path + len);
}

/* Parents are made where missing; links in them lead within the container's root. */
static int find_place(struct unpacking *u, const char *path, struct place *ret, struct error *err)
{
	char clean[TAR_MAX_PATH + 1];
	autofree char *parent = NULL;
	const char *slash;

	*ret = (struct place){.parent = -EBADF, .shown = path};
	if (leads_up(path) || root_clean_path(path, clean, sizeof(clean)) < 0)
		return error_set(err, ERROR_INVALID, 0, "invalid path '%s' in the archive", path);
	slash = strrchr(clean, '/');
	parent =
		slash ? xasprintf("%s/%.*s", u->dir, (int)(slash - clean), clean) : xstrdup(u->dir);
	ret->name = xstrdup(slash ? slash + 1 : clean);
	ret->parent = root_mkdir_p(u->args->root_fd, parent, 0755, 0, err);
	return ret->parent < 0 ? ret->parent : 0;
}

/* -- attributes ----------------------------------------------------------------------------- */

static uint32_t host_id(const struct tree_range *ids, uint32_t id)
{
	return id < ids->count ? ids->first + id : id;
}

static int set_owner(const struct unpacking *u, const struct place *p, const struct tar_entry *e,
		     struct error *err)
{
	const struct tree_unpack *a = u->args;
	uid_t uid = host_id(&a->ids.uids, a->owned ? a->uid : e->uid);
	gid_t gid = host_id(&a->ids.gids, a->owned ? a->gid : e->gid);

	return fchownat(p->parent, p->name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0
		       ? refuse(err, p, "set the owner of")
		       : 0;
}

/* fd: the new file or directory, not a link. */
static int set_mode(const struct unpacking *u, int fd, const struct place *p,
		    const struct tar_entry *e, struct error *err)
{
	for (size_t i = 0; i < e->n_xattrs; i++)
		if (fsetxattr(fd, e->xattrs[i].name, e->xattrs[i].value, e->xattrs[i].len, 0) < 0 &&
		    errno != ENOTSUP && !(errno == EPERM && u->args->lenient))
			return refuse(err, p, "set an attribute of");
	return fchmod(fd, e->mode) < 0 ? refuse(err, p, "set the mode of") : 0;
}

static void set_time(const struct place *p, const struct tar_entry *e)
{
	const struct timespec times[2] = {e->mtime, e->mtime};

	/* Where the file system cannot, it has now. */
	(void)utimensat(p->parent, p->name, times, AT_SYMLINK_NOFOLLOW);
}

/* -- entries -------------------------------------------------------------------------------- */

/* Make room for a non-directory. */
static int clear_place(struct unpacking *u, const struct place *p, struct error *err)
{
	struct stat st;

	if (fstatat(p->parent, p->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : refuse(err, p, "look at");
	if (!S_ISDIR(st.st_mode))
		return unlinkat(p->parent, p->name, 0) < 0 ? refuse(err, p, "replace") : 0;
	if (u->args->keep_kinds || strcmp(p->name, ".") == 0)
		return error_set(err, ERROR_INVALID, 0,
				 "cannot overwrite directory \"%s\" with non-directory \"%s\"",
				 p->shown, p->shown);
	return file_remove_tree(p->parent, p->name, err);
}

static int make_directory(struct unpacking *u, const struct place *p, const struct tar_entry *e,
			  struct error *err)
{
	autoclose int fd = -EBADF;
	struct stat st;
	int r;

	if (fstatat(p->parent, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode)) {
		if (u->args->keep_kinds)
			return error_set(
				err, ERROR_INVALID, 0,
				"cannot overwrite non-directory \"%s\" with directory \"%s\"",
				p->shown, p->shown);
		if (unlinkat(p->parent, p->name, 0) < 0)
			return refuse(err, p, "replace");
	}
	if (mkdirat(p->parent, p->name, 0700) < 0 && errno != EEXIST)
		return refuse(err, p, "make directory");
	fd = openat(p->parent, p->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return refuse(err, p, "open directory");
	r = set_owner(u, p, e, err);
	r = r < 0 ? r : set_mode(u, fd, p, e, err);
	if (r < 0 || u->n_dated >= MAX_DATED)
		return r;
	xgrow(u->dated, u->n_dated, u->cap_dated);
	u->dated[u->n_dated++] = (struct dated){TAKE_FD(fd), e->mtime};
	return 0;
}

static int write_content(struct tar *t, const struct tar_entry *e, int fd, const struct place *p,
			 struct error *err)
{
	int64_t offset = 0;
	size_t piece = 0;
	const void *data;
	ssize_t n = 0;

	if (e->sparse && e->n_pieces > 0)
		offset = e->pieces[0].offset;
	for (;;) {
		size_t max = SIZE_MAX;

		if (e->sparse && piece < e->n_pieces) {
			const struct tar_piece *s = &e->pieces[piece];

			if (offset == s->offset + s->len) {
				if (++piece == e->n_pieces)
					break;
				offset = e->pieces[piece].offset;
				continue;
			}
			max = (size_t)(s->offset + s->len - offset);
		}
		n = tar_read(t, max, &data, err);
		if (n <= 0)
			break;
		if (pwrite(fd, data, (size_t)n, offset) != n)
			return refuse(err, p, "write");
		offset += n;
	}
	if (n < 0)
		return (int)n;
	return e->sparse && ftruncate(fd, e->size) < 0 ? refuse(err, p, "write") : 0;
}

static int make_file(struct unpacking *u, struct tar *t, const struct place *p,
		     const struct tar_entry *e, struct error *err)
{
	autoclose int fd = -EBADF;
	int r;

	fd = openat(p->parent, p->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return refuse(err, p, "make file");
	r = write_content(t, e, fd, p, err);
	r = r < 0 ? r : set_owner(u, p, e, err);
	return r < 0 ? r : set_mode(u, fd, p, e, err);
}

static int make_hardlink(struct unpacking *u, const struct place *p, const struct tar_entry *e,
			 struct error *err)
{
	autoplace struct place target = {.parent = -EBADF};
	autofree char *path = renamed(u->args, e->link);
	int r = find_place(u, path, &target, err);

	if (r < 0)
		return r;
	return linkat(target.parent, target.name, p->parent, p->name, 0) < 0
		       ? refuse(err, p, "make hard link")
		       : 0;
}

static int make_other(struct unpacking *u, const struct place *p, const struct tar_entry *e,
		      struct error *err)
{
	mode_t type = e->type == TAR_CHAR ? S_IFCHR : e->type == TAR_BLOCK ? S_IFBLK : S_IFIFO;
	int r;

	if (e->type == TAR_SYMLINK)
		r = symlinkat(e->link, p->parent, p->name);
	else
		r = mknodat(p->parent, p->name, type | (e->mode & 07777),
			    makedev(e->dev_major, e->dev_minor));
	if (r < 0)
		return refuse(err, p, "make");
	r = set_owner(u, p, e, err);
	if (r >= 0 && e->type != TAR_SYMLINK && fchmodat(p->parent, p->name, e->mode, 0) < 0)
		r = refuse(err, p, "set the mode of");
	return r;
}

static int unpack_one(struct unpacking *u, struct tar *t, const struct tar_entry *e,
		      struct error *err)
{
	autoplace struct place p = {.parent = -EBADF};
	autofree char *path = renamed(u->args, e->path);
	int r = find_place(u, path, &p, err);

	if (r < 0)
		return r;
	if (e->type == TAR_DIRECTORY && str_eq(p.name, "."))
		return 0; /* what all of it goes into stays as it is */
	if (e->type == TAR_DIRECTORY)
		return make_directory(u, &p, e, err);
	r = clear_place(u, &p, err);
	if (r < 0)
		return r;
	if (e->type == TAR_HARDLINK)
		return make_hardlink(u, &p, e, err);
	r = e->type == TAR_FILE ? make_file(u, t, &p, e, err) : make_other(u, &p, e, err);
	if (r >= 0)
		set_time(&p, e);
	return r;
}

static void finish_directories(struct unpacking *u)
{
	for (size_t i = u->n_dated; i-- > 0;) {
		const struct timespec times[2] = {u->dated[i].mtime, u->dated[i].mtime};

		(void)futimens(u->dated[i].fd, times); /* as in set_time() */
		fd_close(&u->dated[i].fd);
	}
	free(u->dated);
	free(u->dir);
}

static int check_directory(struct unpacking *u, struct error *err)
{
	autoclose int fd = root_open(u->args->root_fd, u->dir, O_PATH, 0);
	struct stat st;

	if (fd < 0)
		return error_set(err, ERROR_NOT_FOUND, -fd, "'%s'", u->args->path);
	if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		return error_set(err, ERROR_INVALID, 0, "extraction point is not a directory");
	return 0;
}

int tree_unpack_plain(const struct tree_unpack *args, const struct stream_reader *in,
		      struct error *err)
{
	struct unpacking u = {.args = args, .dir = xstrdup(args->path)};
	autotar struct tar *t = NULL;
	const struct tar_entry *e;
	int r = check_directory(&u, err);

	if (r >= 0) {
		t = tar_new(in, NULL, NULL);
		while ((r = tar_next(t, &e, err)) > 0 && (r = unpack_one(&u, t, e, err)) >= 0)
			continue;
	}
	finish_directories(&u);
	return r;
}
