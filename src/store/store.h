/* store/store.h - images, their layers, and containers' root filesystems.
 *
 * Files, below the data root:
 *     blobs/sha256/<hex>     compressed layers exactly as they arrived
 *     layers/<hex>/diff      an unpacked layer, named by its chain ID, never changed again
 *     layers/<hex>/tar-split what turns diff back into its tar, if no blob is kept
 *     layers/<hex>/tar       the same as an EROFS image: its uncompressed tar, and in
 *     layers/<hex>/index     the image that points into it (store/erofs.h)
 *     layers/l/<short>       symbolic link to a diff, for mount options with little room
 *     containers/<id>/       upper, work
 *     tmp/                   work in progress and things being deleted; emptied at start
 *     aside/                 data found without a row: kept, never deleted
 * Rows (images, names, layers, snapshots) appear in the database after their files are safe.
 *
 * All calls are thread-safe and may block on disk: they belong on workers.  An image's ID is its
 * config's digest, as classic Docker has it.  Errors carry Docker's texts where clients match them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/str.h"
#include "store/stream.h"
#include "store/tree.h"

struct db;
struct store;

/* data_root_fd is borrowed and duplicated.  Makes the folders, brings the tables up to date, finishes
 * removals that were cut short, empties tmp/ and sets unknown upper directories aside. */
int store_open(int data_root_fd, struct db *db, struct store **ret, struct error *err);
struct store *store_free(struct store *s);
DEFINE_CLEANUP(struct store, store_free);
#define autostore __attribute__((cleanup(store_freep_)))

enum store_layer_format {
	STORE_LAYERS_AUTO,
	STORE_LAYERS_DIRECTORY,
	STORE_LAYERS_EROFS, /* refused where it cannot be: ERROR_UNAVAILABLE */
};
struct store_layers_args {
	const char *run_dir; /* the exec root, absolute */
	const char *holder;  /* path of vessel-layers; NULL: there is none */
	enum store_layer_format
		format; /* of layers to come; those that are there stay as they are */
};
/* Once, after store_open(): how layers are kept.  Without it, new ones are directories, and no EROFS layer
 * can be opened. */
int store_layers_open(struct store *s, const struct store_layers_args *args, struct error *err);
/* No container runs: let all mounts go. */
void store_layers_release(struct store *s);
/* "directory" or "erofs": what a new layer becomes. */
const char *store_layers_format(const struct store *s);

/* ---- images ---- */

struct store_layer {
	char chain_id[DIGEST_STRING_SIZE];
	char diff_id[DIGEST_STRING_SIZE];
	int64_t size; /* bytes of file content in this layer */
};

struct store_image {
	char id[DIGEST_STRING_SIZE];
	char parent[DIGEST_STRING_SIZE]; /* "" if none */
	int64_t size;                    /* sum of its layers, bytes */
	int64_t created_ns;              /* from the config; 0 if it has none */
	int64_t tagged_ns;               /* Metadata.LastTagTime; 0: never */
	char *config; /* owned: the config's JSON, the bytes whose digest is the ID */
	size_t config_len;
	struct strv repo_tags;      /* familiar: "busybox:latest" */
	struct strv repo_digests;   /* familiar: "busybox@sha256:..." */
	struct store_layer *layers; /* owned, bottom first */
	size_t n_layers;
};
void store_image_done(struct store_image *img);
#define autostore_image __attribute__((cleanup(store_image_done)))

/* By familiar or full name, digest reference, ID or unique ID prefix, in Docker's order.
 * ERROR_NOT_FOUND "No such image: x:latest"; ERROR_INVALID for a bad or ambiguous name. */
int store_image_get(struct store *s, const char *ref, struct store_image *ret, struct error *err);

struct store_image_list {
	struct store_image *v; /* owned; newest first; configs included */
	size_t n;
};
int store_image_list(struct store *s, struct store_image_list *ret, struct error *err);
void store_image_list_done(struct store_image_list *l);
#define autostore_image_list __attribute__((cleanup(store_image_list_done)))

/* Give the image `source` (as in store_image_get) the name `target`; it leaves its old image. */
int store_image_tag(struct store *s, const char *source, const char *target, struct error *err);

struct store_remove_args {
	const char *ref;
	bool force;
	/* Tells running from stopped users of the image, for Docker's conflict texts.  Called within a job of the
	 * database, so it may only look into `data`.  NULL: all are taken as running. */
	bool (*is_running)(void *data, const char *container_id);
	void *data;
	bool no_prune; /* keep untagged parents */
};
struct store_removed {
	bool deleted; /* else untagged */
	char *name;   /* owned: a familiar name, or an image's or layer's ID */
};
struct store_removed_list {
	struct store_removed *v; /* owned */
	size_t n, cap;
};
/* ERROR_CONFLICT with Docker's texts when containers or child images need it; a name that others were
 * made under is gone then nevertheless, and *ret says so. */
int store_image_remove(struct store *s, const struct store_remove_args *args,
		       struct store_removed_list *ret, struct error *err);
void store_removed_list_done(struct store_removed_list *l);
#define autostore_removed_list __attribute__((cleanup(store_removed_list_done)))

/* ---- in and out ---- */

struct store_progress {
	/* What is being done to which layer (short ID): "Loading layer", current of total bytes
	 * (total 0: unknown).  message: a line for the user, with its newline.  Both may be NULL;
	 * called on the thread that loads. */
	void (*report)(void *data, const char *id, const char *status, uint64_t current,
		       uint64_t total);
	void (*message)(void *data, const char *text);
	void *data;
};

struct store_loaded {
	char *name; /* owned, familiar; NULL: the archive gave it none */
	char id[DIGEST_STRING_SIZE];
};
struct store_loaded_list {
	struct store_loaded *v; /* owned */
	size_t n, cap;
};
void store_loaded_list_done(struct store_loaded_list *l);
#define autostore_loaded_list __attribute__((cleanup(store_loaded_list_done)))

/* An archive of `docker save` (any age) or an OCI layout, plain or compressed by gzip or zstd; its
 * layers likewise.  Digests are verified before the first image appears; nothing stays of an image
 * that fails. */
int store_load(struct store *s, const struct stream_reader *in,
	       const struct store_progress *progress, struct store_loaded_list *ret,
	       struct error *err);
struct image_platform;
struct store_load_args {
	const struct stream_reader *in;
	const struct store_progress *progress; /* NULL: none */
	/* Which of an image's platforms; NULL: this machine's, or the only one. */
	const struct image_platform *platform;
};
/* ERROR_NOT_FOUND if a platform was asked for and the archive has none of it. */
int store_load_with(struct store *s, const struct store_load_args *args,
		    struct store_loaded_list *ret, struct error *err);

/* The images as `docker save` writes them (an OCI layout with manifest.json and repositories).
 * Unknown names fail before the first byte is written. */
int store_save(struct store *s, const char *const *refs, size_t n, const struct stream_writer *out,
	       struct error *err);

/* The manifest that store_save() gives an image. */
struct store_manifest {
	const char *media_type; /* static */
	char digest[DIGEST_STRING_SIZE];
	int64_t size;    /* bytes of the manifest */
	int64_t content; /* bytes of what it refers to, and its own */
};
int store_image_manifest(struct store *s, const char *id, struct store_manifest *ret,
			 struct error *err);

struct store_import_args {
	const struct stream_reader *in;
	const char *name;           /* "repo", "repo:tag"; NULL or "": none */
	const char *message;        /* NULL: "Imported from -" */
	const char *const *changes; /* Dockerfile instructions, NULL-terminated; may be NULL */
	const char *platform;       /* "linux/arm64"; NULL: this machine's */
};
/* A root filesystem's tar becomes an image of one layer. */
int store_import(struct store *s, const struct store_import_args *args,
		 char ret_id[static DIGEST_STRING_SIZE], struct error *err);

/* The full name ("docker.io/library/busybox:latest") that a new image may have; NULL or "": none.
 * ERROR_INVALID for a bad one and for a digest. */
int store_new_name(const char *name, char **ret, struct error *err);
char *store_familiar_name(const char *full); /* the caller's to free */

struct image_config;
struct store_commit_args {
	const char *container_id;
	struct tree_ids ids;               /* of the container's files */
	const struct image_config *config; /* the new image's */
	const char *author, *comment;      /* NULL: none */
	const char *created_by;            /* what the container ran */
	const char *name;                  /* as store_new_name takes it */
	/* The container's files have been read; NULL: nobody wants to know. */
	void (*read)(void *data);
	void *data;
};
/* What a container has changed becomes a layer on its image, which becomes the new one's parent.  The
 * container must stay meanwhile.  ERROR_NOT_FOUND if its image is gone. */
int store_commit(struct store *s, const struct store_commit_args *args,
		 char ret_id[static DIGEST_STRING_SIZE], struct error *err);

/* Bytes of the disk that all layers take together, with their blobs: what `du` says of layers/ and blobs/. */
int64_t store_layers_usage(struct store *s);

/* A layer's tar: its SHA-256 is the diff ID, which is verified. */
int store_layer_tar(struct store *s, const char *chain_id, const struct stream_writer *out,
		    struct error *err);

/* ---- containers' root filesystems ---- */

struct store_snapshot {
	char image_id[DIGEST_STRING_SIZE];
	/* Absolute paths of the layers, top first; at least one.  Of an EROFS layer it is its mount's, which
	 * only root can reach, from store_snapshot_create() and _open(); from _get() its image's. */
	struct strv lower;
	struct strv lower_short; /* the same as short names relative to layers_dir: "l/2a" */
	char *layers_dir;        /* owned; absolute */
	char *upper, *work;      /* owned; absolute */
};
void store_snapshot_done(struct store_snapshot *snap);
#define autostore_snapshot __attribute__((cleanup(store_snapshot_done)))

/* Make containers/<container_id>/{upper,work} on the image with exactly this ID.  From here on the
 * container holds a reference on the image and on its layers. */
int store_snapshot_create(struct store *s, const char *image_id, const char *container_id,
			  struct store_snapshot *ret, struct error *err);
int store_snapshot_get(struct store *s, const char *container_id, struct store_snapshot *ret,
		       struct error *err);
/* The same with layers that can be looked into and mounted. */
int store_snapshot_open(struct store *s, const char *container_id, struct store_snapshot *ret,
			struct error *err);
/* What it may write to its root file system takes at most this many bytes of the disk: right after create.
 * ERROR_INVALID where the file system cannot (linux/projquota.h). */
int store_snapshot_limit(struct store *s, const char *container_id, uint64_t bytes,
			 struct error *err);
/* An image that the container mounts beside its own, by a number of its choice from 1 to
 * STORE_MOUNTED_MAX: held as its own is.  ERROR_NOT_FOUND if there is no such image (any more). */
#define STORE_MOUNTED_MAX 1000
int store_snapshot_add_image(struct store *s, const char *container_id, unsigned mount,
			     const char *image_id, struct error *err);
/* Its layers, to be looked into and mounted; without upper and work. */
int store_snapshot_open_image(struct store *s, const char *container_id, unsigned mount,
			      struct store_snapshot *ret, struct error *err);
/* Drop the references and delete the whole of containers/<container_id>.  Survives a crash at any
 * point; removing what is gone succeeds.  Layers whose image is gone go with their last user. */
int store_snapshot_remove(struct store *s, const char *container_id, struct error *err);
/* The same in two steps, for deleting may take long: after the first it is gone for everybody, the
 * second, on any thread, deletes the files.  A crash in between leaves them to store_open(). */
struct store_buried;
int store_snapshot_bury(struct store *s, const char *container_id, struct store_buried **ret,
			struct error *err);
void store_buried_delete(struct store_buried *b_take);

/* IDs of all containers that have one (after a crash: some that the engine does not know). */
int store_snapshot_list(struct store *s, struct strv *ret, struct error *err);

/* Containers holding the image, newest first. */
int store_image_users(struct store *s, const char *image_id, struct strv *ret, struct error *err);
