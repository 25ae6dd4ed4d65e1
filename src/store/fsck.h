/* store/fsck.h - does the database say what is on the disk?
 *
 * Files without rows, rows without files, wrong links and sizes, layers nobody holds, images that do not
 * agree with their layers; with `deep` every byte of every layer.  What can be mended without losing
 * what somebody wrote is mended on request: what has no row goes, a layer is made again from the blob
 * it came in, and an image that cannot be whole again goes, to be pulled or loaded anew.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct db;
struct store;

struct fsck_problem {
	const char *path; /* below the data root, or an image's or container's ID; borrowed */
	const char *what; /* borrowed */
	bool mended;
};
struct fsck_args {
	bool repair, deep;
	void (*report)(void *data, const struct fsck_problem *p);
	void *data;
};
struct fsck_result {
	uint64_t images, layers, containers; /* looked at */
	uint64_t problems, mended;
};

/* Of an open store, beside everything else that goes on in it: what others are making or deleting at the
 * moment (tmp/, containers' folders) is left out. */
int fsck_run(struct store *s, const struct fsck_args *args, struct fsck_result *ret,
	     struct error *err);
/* Of a data root that nobody uses.  What the next start would clear away is a problem too. */
int fsck_run_offline(int data_root_fd, struct db *db, const struct fsck_args *args,
		     struct fsck_result *ret, struct error *err);
