/* store/tree.h - a container's files to tar and back: docker cp, export, diff and commit.
 *
 * The tree may belong to a running container, whose processes change it meanwhile: all paths are resolved
 * in the container's root (linux/root.h), what is opened is looked at again, and what vanishes between
 * two looks is left out.  Names are names, whiteouts occur in tree_layer alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/stream.h"

struct error;

/* Owners in the tree are the host's; archives have the container's.  Both the same without a user
 * namespace: count 0. */
struct tree_range {
	uint32_t first, count; /* the container's id 0 is the host's `first` */
};
struct tree_ids {
	struct tree_range uids, gids;
};

struct tree_pack {
	int root_fd;          /* borrowed */
	const char *path;     /* what to pack; its last component is not followed */
	const char *name;     /* what it is called in the archive; "": the contents alone */
	bool one_file_system; /* what is mounted below is left out */
	struct tree_ids ids;
};
/* Sockets are left out.  ERROR_NOT_FOUND if there is no such path. */
int tree_pack(const struct tree_pack *args, const struct stream_writer *out, struct error *err);

/* What upper (an overlay's upper directory) changes in what lies below (directories, top first), as a
 * layer's tar: deletions as ".wh.NAME", replaced directories with ".wh..wh..opq" in them, sparse files
 * as such.  What a start leaves for mounts is left out.  Nobody may delete the tree meanwhile. */
struct tree_layer {
	const char *upper;
	const char *const *lower;
	size_t n_lower;
	struct tree_ids ids;
};
int tree_layer(const struct tree_layer *args, const struct stream_writer *out, struct error *err);

struct tree_unpack {
	int root_fd;      /* borrowed */
	const char *path; /* an existing directory, below which the entries go */
	bool keep_kinds; /* a directory is not replaced by something else, nor the other way round */
	bool owned; /* everything belongs to uid:gid (the container's), not to whom the archive says */
	uid_t uid;
	gid_t gid;
	struct tree_ids ids;
	/* Entries that are called `from`, or lie below it, are called `to` instead; NULL: all keep their
	 * names.  "/" is above them all. */
	const char *from, *to;
	bool lenient; /* attributes that we may not set are left out */
};
/* A plain archive.  Otherwise as the next one. */
int tree_unpack_plain(const struct tree_unpack *args, const struct stream_reader *in,
		      struct error *err);
/* The archive, compressed or not.  ERROR_NOT_FOUND, ERROR_INVALID; what was unpacked before an error
 * stays. */
int tree_unpack(const struct tree_unpack *args, const struct stream_reader *in, struct error *err);

enum tree_change { TREE_MODIFIED, TREE_ADDED, TREE_DELETED }; /* Docker's numbers */
/* `path` is absolute in the container.  Negative ends the walk. */
typedef int (*tree_change_fn)(void *data, enum tree_change kind, const char *path);
/* What upper (an overlay's upper directory) changes in what lies below (directories, top first), in order
 * of the paths.  Parents of changes count as modified, as for Docker. */
int tree_changes(const char *upper, const char *const *lower, size_t n_lower, tree_change_fn fn,
		 void *data, struct error *err);
