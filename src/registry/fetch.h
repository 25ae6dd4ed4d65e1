/* registry/fetch.h - a pull's layers: several come down at a time, one is unpacked behind them. */
#pragma once

#include "oci/image_spec.h"
#include "registry/pull.h"

struct remote;
struct store_ingest;

struct fetch_args {
	const struct registry_args *registry; /* borrowed, as all here */
	struct remote *remote;
	struct store_ingest *ingest;
	const struct image_descriptor *layers; /* bottom first */
	size_t n_layers;
};

/* Returns when every layer is staged, or nothing of it works any more.  Bytes that have come stay in
 * store/partial.h; those of a layer that turned out to be wrong do not.  If some of them were from an
 * earlier pull another call may do better: *ret_stale (untouched on success). */
int fetch_layers(const struct fetch_args *args, bool *ret_stale, struct error *err);
