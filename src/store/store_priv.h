/* store/store_priv.h - what the files of the store share.
 *
 * Locks: `files` is held while names below layers/, blobs/ and containers/ appear or disappear together
 * with their rows: around renames and database jobs, never around the writing or deleting of trees.
 * Jobs of the database never take it.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "store/db.h"
#include "store/layer.h"
#include "store/store.h"

struct store {
	char *root_path;                                         /* owned; absolute */
	int root_fd, tmp_fd, blobs_fd, layers_fd, containers_fd; /* owned */
	struct db *db;                                           /* borrowed */
	pthread_mutex_t files;
	enum layer_format format; /* of new layers */
	struct mounts *mounts;    /* owned; NULL until store_layers_open() */
	atomic_ulong counter;     /* names in tmp/ */
};

#define STORE_BLOBS     "blobs/sha256"
#define STORE_NAME_SIZE 48

/* store_open() without putting in order what a crash has left. */
int store_open_as_is(int data_root_fd, struct db *db, struct store **ret, struct error *err);
int store_list_dir(int dir_fd, struct strv *ret, struct error *err); /* names, in no order */
/* Remove containers/<name>, or keep it in aside/ if anything was written in it. */
int store_set_aside(struct store *s, const char *name, struct error *err);

/* A name below tmp/ that nobody has. */
void store_tmp_name(struct store *s, char ret[static STORE_NAME_SIZE]);

/* ---- tombstones: paths below the data root whose removal is decided ---- */

int store_tombstone_add(struct db_tx *tx, const char *path, struct error *err);
int store_tombstone_drop(struct db_tx *tx, const char *path, struct error *err);

/* Containers that hold an image, as theirs or mounted beside it; newest first. */
#define STORE_IMAGE_USERS_SQL                                                                \
	"SELECT s.container FROM snapshots AS s WHERE s.image = ?1 OR EXISTS (SELECT 1 FROM" \
	" snapshot_images AS m WHERE m.container = s.container AND m.image = ?1)"            \
	" ORDER BY s.created_ns DESC"

/* Paths to remove, collected by a job. */
struct store_doomed {
	struct strv paths; /* owned */
};
/* Tombstones and no rows for the layers that no image, container or running operation holds. */
int store_gc(struct db_tx *tx, struct store_doomed *doomed, struct store_removed_list *report,
	     struct error *err);
/* With `files` held: move what is doomed to tmp/ and forget the tombstones.  Returns names below tmp/
 * to delete when the lock is free. */
void store_bury(struct store *s, struct store_doomed *doomed);
void store_delete_buried(struct store *s, struct store_doomed *doomed);

/* ---- layers ---- */

struct store_layer_row {
	int64_t id;
	char chain_id[DIGEST_STRING_SIZE], diff_id[DIGEST_STRING_SIZE];
	char blob_digest[DIGEST_STRING_SIZE]; /* "" if none is kept */
	int64_t size, tar_size;
};
/* Inside a job: 1 found, 0 not. */
int store_layer_find(struct db_tx *tx, const char *chain_id, struct store_layer_row *ret,
		     struct error *err);

/* Layers that a running operation relies on: they are not removed before it ends. */
struct store_pins {
	struct store *s; /* borrowed */
	int64_t owner;
};
void store_pins_init(struct store *s, struct store_pins *ret);
void store_pins_done(struct store_pins *p);
#define autostore_pins __attribute__((cleanup(store_pins_done)))
/* Find and pin: 1 found, 0 not. */
int store_pin(struct store_pins *p, const char *chain_id, struct store_layer_row *ret,
	      struct error *err);

/* The same for any layer whose tar, or whose compressed blob, has this digest. */
int store_pin_content(struct store_pins *p, const char *digest, struct store_layer_row *ret,
		      struct error *err);
/* Stage a layer in the store's format, below tmp/. */
int store_stage_layer(struct store *s, const struct stream_reader *in, struct layer_stage **ret,
		      struct error *err);
/* The same of a file that is the layer (struct layer_source). */
int store_stage_file(struct store *s, const struct stream_reader *in, int file,
		     struct layer_stage **ret, struct error *err);
/* Make layers/l/<row id in hex>; existing is fine. */
int store_layer_link(struct store *s, int64_t row_id, const char *chain_id, struct error *err);

/* Of a pinned layer. */
int store_layer_reader(struct store *s, const struct store_layer_row *row, struct layer_tar **ret,
		       struct error *err);

/* ---- images ---- */

/* A new image, to be made visible whole. */
struct store_new_image {
	const char *config; /* borrowed */
	size_t config_len;
	const char *parent;       /* an image's ID; NULL: none */
	const char *const *names; /* normalised, with tag or digest; NULL-terminated; may be NULL */
	/* One a layer, bottom first; NULL: exists already and is pinned.  Emptied. */
	struct layer_stage **stages;
	/* One a layer: 0, or 1 + the number of a lower one with the same content, which is staged;
	 * this one's stage is then NULL and made of that.  NULL: all 0. */
	const size_t *copy_of;
	const char (*diff_ids)[DIGEST_STRING_SIZE];
	size_t n_layers;
};
/* Finishes the layers, syncs, renames, and commits rows and names. */
int store_image_commit(struct store_pins *pins, const struct store_new_image *img,
		       char ret_id[static DIGEST_STRING_SIZE], struct error *err);
/* Inside a job: resolve as store_image_get does. */
int store_image_resolve(struct db_tx *tx, const char *ref, char ret_id[static DIGEST_STRING_SIZE],
			struct error *err);
int store_image_load_row(struct db_tx *tx, const char *id, struct store_image *ret,
			 struct error *err);
