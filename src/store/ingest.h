/* store/ingest.h - an image that arrives in pieces, as a pull brings it: its config, then its layers.
 *
 * What is here already is pinned at the beginning and needs no bytes.  Layers may be brought in any
 * order and by several threads, one call a layer; nothing of the image is visible before the commit,
 * and nothing stays of one that is not committed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "store/stream.h"

struct store;
struct store_ingest;

/* The config, and the digest of each layer's bytes as the manifest lists them, bottom first.  All are
 * copied.  ERROR_INVALID when they do not fit together. */
struct store_ingest_args {
	const char *config;
	size_t config_len;
	const char *const *layers;
	size_t n_layers;
};
int store_ingest_new(struct store *s, const struct store_ingest_args *args,
		     struct store_ingest **ret, struct error *err);
enum store_ingest_state {
	STORE_INGEST_NEEDED, /* the layer's bytes must be brought */
	STORE_INGEST_KNOWN,  /* the bytes are here, of another image: bring none, but call _layer */
	STORE_INGEST_HERE,   /* nothing is left to do */
};
enum store_ingest_state store_ingest_state(const struct store_ingest *g, size_t i);
/* The layer's bytes, plain or compressed, read to their end; NULL for a known one.  `file`: where they are
 * read from, if that is a file of store/partial.h, which becomes the layer's blob as it is; else -EBADF.
 * ERROR_INVALID if their digest is not the manifest's, or their content not the config's. */
int store_ingest_layer(struct store_ingest *g, size_t i, const struct stream_reader *in, int file,
		       struct error *err);
/* Bring the image to light under `names` (normalised, with tag or digest; NULL-terminated).  All
 * layers must be there. */
int store_ingest_commit(struct store_ingest *g, const char *const *names,
			char ret_id[static DIGEST_STRING_SIZE], struct error *err);
struct store_ingest *store_ingest_free(struct store_ingest *g);
DEFINE_CLEANUP(struct store_ingest, store_ingest_free);
#define autostore_ingest __attribute__((cleanup(store_ingest_freep_)))
