/* store/bolt.h - a bbolt database, read: Docker keeps what it knows of volumes in one.
 *
 * The file as https://github.com/etcd-io/bbolt writes it, version 2, on a machine with our byte order.
 * Nothing in it is believed: offsets, counts and depths are checked, and no page is read twice.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"

/* One pair; borrowed, without a NUL.  Negative breaks off. */
typedef int (*bolt_fn)(void *data, const char *key, size_t key_len, const char *value,
		       size_t value_len);

/* The pairs of the topmost bucket `bucket`, in order; buckets in it are passed over.  A bucket that is not
 * there has none.  ERROR_INVALID: this is no such file, or a damaged one (pairs may have been seen); fn's own
 * result otherwise. */
int bolt_read(const void *file, size_t len, const char *bucket, bolt_fn fn, void *data,
	      struct error *err);
