/* store/erofs_priv.h - the tree that becomes an EROFS image: what the files of erofs*.c share. */
#pragma once

#include <sys/stat.h>
#include <time.h>

#include "base/arena.h"
#include "base/str.h"
#include "store/erofs.h"

struct erofs_attr {
	struct erofs_attr *next;
	const char *name; /* as it goes to disk */
	const void *value;
	size_t len;
};

struct erofs_file { /* an inode */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	dev_t rdev;
	struct timespec mtime;
	int64_t size;
	int64_t at; /* of a regular file: its content's place in the data file */
	const struct tar_piece *pieces; /* of a sparse one: what is at `at`, one after the other */
	size_t n_pieces;
	const char *target; /* of a symbolic link */
	struct erofs_attr *attrs;
	bool sparse, opaque;
	/* for the writer */
	bool placed;
	uint32_t number, nlink, place; /* place: in the index, in units of 32 bytes */
	uint32_t block;                /* first block of what lies neither in the tar nor inline */
	size_t attr_size;
	struct erofs_chunks *chunks; /* of a sparse one */
};

struct erofs_node {                /* a name */
	struct erofs_node *parent; /* of the root: itself */
	const char *name;
	struct erofs_file *file;
	bool dead; /* replaced or removed */
	uint64_t hash;
	struct erofs_node *next_hash;
	/* of a directory */
	struct erofs_node *children,
		*next; /* the newest first; the next child of the same parent */
	bool implied;  /* without an entry of its own */
	unsigned depth;
	/* for the writer */
	struct erofs_node **sorted; /* the living children, by name */
	size_t n_sorted;
};

struct erofs_link { /* its target was not in this layer */
	const char *path, *target;
};

struct erofs {
	struct arena *arena; /* owned: everything in the tree */
	struct erofs_node *root;
	struct erofs_node **table; /* owned: by parent and name */
	size_t n_nodes, table_size;
	bool has_root; /* the root has an entry */
	int64_t size;
	struct erofs_link *links; /* owned */
	size_t n_links, cap_links;
	int64_t tar_size, data_end; /* bytes of the tar; and with what is behind it */
};

/* The child of that name; NULL: none. */
struct erofs_node *erofs_child(const struct erofs *x, const struct erofs_node *dir,
			       const char *name);
/* Add one, which must not be there. */
struct erofs_node *erofs_add(struct erofs *x, struct erofs_node *dir, const char *name,
			     struct erofs_file *file);
void erofs_remove(struct erofs_node *n);
/* The directory `path`, following symbolic links below the root; -ENOENT, -ENOTDIR, -ELOOP. */
int erofs_walk(const struct erofs *x, const char *path, struct erofs_node **ret);
/* The same without following links. */
int erofs_walk_plain(const struct erofs *x, const char *path, struct erofs_node **ret);
/* The same as erofs_walk, made with all above it where it is missing. */
int erofs_parent(struct erofs *x, const char *path, const char *for_path, struct erofs_node **ret,
		 struct error *err);
void erofs_add_attr(struct erofs *x, struct erofs_file *f, const char *name, const void *value,
		    size_t len);

/* Give the sparse file blocks (data_fd may grow) and a table of them. */
int erofs_place_sparse(struct erofs *x, struct erofs_file *f, int data_fd, struct error *err);
struct erofs_chunks {
	unsigned bits; /* log2 of a chunk's bytes */
	size_t n;
	int64_t *at; /* each chunk's place in the data file; -1: a hole */
};
/* Room for `len` bytes behind the tar: returns where. */
int64_t erofs_reserve(struct erofs *x, int64_t len);

int erofs_write(struct erofs *x, int index_fd, struct error *err);
