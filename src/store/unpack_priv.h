/* store/unpack_priv.h - what unpack.c (entries) and unpack_finish.c (the end) share. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#include "base/str.h"
#include "store/unpack.h"
#include "store/unpack_writer.h"

#define UNPACK_CACHE 16 /* parent directories kept open */

struct unpack_xattrs {
	struct unpack_xattr {
		char *name;  /* owned, as it goes to disk */
		void *value; /* owned */
		size_t len;
	} * v; /* owned */
	size_t n, cap;
};

/* A directory made here; it gets its attributes at the end, in this order, the last one winning. */
struct unpack_dir {
	char *path;   /* owned; "" is the root */
	ino_t ino;    /* skipped when something else is there by then */
	bool implied; /* no entry of its own: like the lower layers' */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct timespec mtime;
	struct unpack_xattrs xattrs;
};

/* A hard link whose target was not in this layer. */
struct unpack_link {
	char *path, *target; /* owned, normalised */
};

struct unpack_parent {
	char *asked; /* owned: the key; NULL: a free slot */
	char *path;  /* owned: without symbolic links */
	int fd;      /* owned, O_PATH */
};

struct unpack {
	int root_fd;     /* borrowed */
	int keep_fd;     /* borrowed; -1: none */
	char *root_path; /* owned: how /proc names it */
	mode_t umask;
	uid_t euid;
	gid_t egid;
	struct unpack_parent cache[UNPACK_CACHE];
	bool cache_stale;             /* flush it before the next look */
	char *path;                   /* owned: of the last file, for struct unpack_file */
	struct unpack_writer *writer; /* owned; NULL: nothing is under way */
	int64_t size;
	uint64_t replaced; /* entries moved to keep_fd or deleted */
	bool has_root;     /* the root has an entry */

	ino_t *inodes; /* owned: of the contents, by number */
	size_t n_inodes, cap_inodes;
	struct unpack_dir *dirs; /* owned */
	size_t n_dirs, cap_dirs;
	struct unpack_link *links; /* owned */
	size_t n_links, cap_links;
};

/* All files are written, and no thread is at it any more. */
int unpack_settle(struct unpack *u, struct error *err);
/* openat2(2) below `root`. */
int unpack_open(int root, const char *path, int flags, uint64_t resolve);
#define UNPACK_PLAIN (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

/* Whose fault an errno is: the disk's (internal) or the archive's (invalid). */
int unpack_error(struct error *err, int errnum, const char *path, const char *what);

/* The directory `path` (normalised, "" for the root), made with all above it if missing; borrowed until
 * the next call.  `for_path` is for the error. */
int unpack_parent(struct unpack *u, const char *path, const char *for_path,
		  const struct unpack_parent **ret, struct error *err);
/* Split "a/b/c" into the directory "a/b" (owned) and a pointer to "c". */
char *unpack_split(const char *path, const char **ret_name);
/* Normalise: no leading, doubled or trailing slash, no "."; ".." is refused. */
int unpack_normalise(const char *path, const char *entry, char **ret, struct error *err);
int unpack_refuse(struct error *err, const char *path, const char *why);
/* An attribute's name on disk: what overlayfs would take for its own is escaped.  Owned. */
char *unpack_xattr_name(const char *name);
/* Below a directory that AUFS kept at the root: no part of the image. */
bool unpack_below_aufs(const char *path);
/* What the layers below show at `path`: an O_PATH descriptor, or -ENOENT. */
int unpack_find_lower(const struct unpack_lower *lower, const char *path);
/* All but overlayfs's own. */
void unpack_read_xattrs(int fd, struct unpack_xattrs *x);
static inline bool unpack_is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

int unpack_set_xattrs(int parent_fd, const char *name, const struct unpack_xattrs *x,
		      const char *path, struct error *err);
void unpack_xattrs_done(struct unpack_xattrs *x);
