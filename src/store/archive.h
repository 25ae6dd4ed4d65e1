/* store/archive.h - the members of an image archive: small texts in memory, layers staged.
 *
 * Members may come in any order, so whatever looks like a layer is unpacked into tmp/ while it streams
 * in, before any manifest says whether it is one.
 */
#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "store/layer.h"
#include "store/store.h"

#define ARCHIVE_MAX_MEMBERS 65536
#define ARCHIVE_MAX_TEXT    (64 << 20) /* bytes of all texts together */
#define ARCHIVE_MAX_LAYERS  8192       /* unpacked, whether any image wants them or not */

struct store_pins;

struct archive_member {
	char *path;   /* owned, normalised */
	char *target; /* owned: of a link, normalised; else NULL */
	char *text;   /* owned: a small member's content; else NULL */
	size_t text_len;
	struct layer_stage *stage; /* owned; NULL once taken, or if the store has the layer */
	char *bad;                 /* owned: why it is no layer; else NULL */
	enum error_kind bad_kind;
	char digest[DIGEST_STRING_SIZE];  /* of its bytes; "" for links */
	char diff_id[DIGEST_STRING_SIZE]; /* of a layer */
};

struct archive {
	struct archive_member *v; /* owned; by path after archive_read */
	size_t n, cap;
	size_t text_total, layers;
	int64_t tar_total; /* bytes of all layers' tars */
};

/* Read a whole archive, plain or compressed.  Members that are named by the digest of a layer in the
 * store are not unpacked again; those layers are pinned. */
int archive_read(struct store_pins *pins, const struct stream_reader *in,
		 const struct store_progress *progress, struct archive *ret, struct error *err);
void archive_done(struct archive *a);
#define autoarchive __attribute__((cleanup(archive_done)))

/* Follows links; NULL if there is none. */
struct archive_member *archive_find(const struct archive *a, const char *path);
