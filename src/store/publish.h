/* store/publish.h - an image as a registry wants it: compressed blobs with known digests, and a manifest.
 *
 * What a pull brought goes out again byte for byte: the kept blobs, and the manifest that listed them.
 * A layer without a blob (of a commit, an import, an archive of plain tars) is compressed again, always
 * in the same way, and what came of it is remembered, so that a second push need not even begin to.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/sha256.h"
#include "base/str.h"
#include "store/compress.h"

struct db;
struct store;
struct store_publish;

/* Used by store_open(). */
int store_publish_migrate(struct db *db, struct error *err);

/* Pins the image with exactly this ID, and its layers. */
int store_publish_new(struct store *s, const char *image_id, struct store_publish **ret,
		      struct error *err);
struct store_publish *store_publish_free(struct store_publish *p);
DEFINE_CLEANUP(struct store_publish, store_publish_free);
#define autostore_publish __attribute__((cleanup(store_publish_freep_)))

/* The image's config: the bytes whose digest is the ID.  Borrowed. */
const char *store_publish_config(const struct store_publish *p, size_t *ret_len);
/* The manifest that it was pulled with, if all it lists can still be served; else NULL.  Borrowed. */
const char *store_publish_manifest(const struct store_publish *p, size_t *ret_len,
				   const char **ret_type);

struct store_blob {
	char diff_id[DIGEST_STRING_SIZE];
	char digest[DIGEST_STRING_SIZE]; /* "" until it is made */
	int64_t size;
	enum compress_kind kind;
};
size_t store_publish_count(const struct store_publish *p);
/* Layer `i`, bottom first; borrowed.  Its digest is known for kept blobs, and those that were made once. */
const struct store_blob *store_publish_blob(const struct store_publish *p, size_t i);
/* Open the blob's bytes for reading.  May compress, for long; several threads may do this, one a layer.
 * Sets the blob's digest and size. */
int store_publish_open(struct store_publish *p, size_t i, int *ret_fd, struct error *err);

/* Any thread: what store_publish_open() is doing fails soon. */
void store_publish_cancel(struct store_publish *p);

/* ---- what is known of registries ---- */

/* The manifest that an image was pulled with.  The first stays. */
int store_manifest_record(struct store *s, const char *image_id, const char *type, const char *text,
			  size_t len, struct error *err);
/* A repository ("docker.io/library/busybox") has this blob of a layer. */
int store_blob_source_add(struct store *s, const char *digest, const char *repository,
			  struct error *err);
/* Repositories of one domain that have it, the latest first, at most `max`. */
int store_blob_sources(struct store *s, const char *digest, const char *domain, size_t max,
		       struct strv *ret, struct error *err);
/* The image `image_id` gets the name (normalised, with digest), which may be another's now. */
int store_digest_record(struct store *s, const char *image_id, const char *name, struct error *err);
