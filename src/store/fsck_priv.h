/* store/fsck_priv.h - what the files of fsck share. */
#pragma once

#include "base/arena.h"
#include "base/file.h"
#include "store/fsck.h"
#include "store/store_priv.h"

struct fsck_layer {
	struct store_layer_row row;
	int64_t blob_size;
	bool held; /* by an image, a container or something under way */
};

struct fsck_image {
	const char *id, *parent; /* in the arena */
	const char *config;
	size_t config_len;
	struct fsck_layer **layers; /* in the arena; bottom first */
	size_t n_layers;
	bool gap; /* in the positions of its layers */
};

/* One look at the database. */
struct fsck {
	struct store *s;
	const struct fsck_args *args;
	struct fsck_result *result;
	struct arena *arena; /* owned */
	bool offline;
	struct fsck_layer **layers; /* owned; each in the arena */
	size_t n_layers, cap_layers;
	struct fsck_image *images; /* owned */
	size_t n_images, cap_images;
	struct strv containers;     /* owned: IDs */
	struct strv tombstones;     /* owned */
	struct store_doomed doomed; /* owned: to be deleted without the lock */
	struct fsck_found {
		char *path, *what; /* owned */
		bool mended;
	} * found; /* owned: not told yet, for that must not be done under the lock */
	size_t n_found, cap_found;
};

void fsck_report(struct fsck *f, const char *path, const char *what, bool mended);
void fsck_tell(struct fsck *f); /* what has been reported; without the lock */

/* Inside a job: fill what is above. */
int fsck_load_job(struct db_tx *tx, void *data, struct error *err);

/* With `files` held. */
int fsck_layers(struct fsck *f, struct error *err);
int fsck_images(struct fsck *f, struct error *err);
/* Without: the contents. */
int fsck_contents(struct fsck *f, struct error *err);

/* fsck_mend.c.  `files` held for the first two, not for the third.  1: it is mended, 0: it cannot be. */
int fsck_drop_image(struct fsck *f, const char *id, struct error *err);
/* Into tmp/, to be deleted. */
int fsck_drop_file(struct fsck *f, const char *path, struct error *err);
/* From its blob, or by dropping the images that have it. */
int fsck_mend_layer(struct fsck *f, const struct fsck_layer *l, struct error *err);
