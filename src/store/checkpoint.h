/* store/checkpoint.h - SQLite's write-ahead log copied into the database by another thread.
 *
 * Copying syncs both files, which on a busy disk takes a hundred milliseconds; a commit must not wait
 * for that.  A passive checkpoint on a connection of its own disturbs no writer.
 */
#pragma once

#include "base/error.h"
#include "base/mem.h"

struct checkpoint;

/* path: the database file. */
struct checkpoint *checkpoint_new(const char *path);
/* Start one, unless one is running.  One thread only. */
void checkpoint_start(struct checkpoint *c);
struct checkpoint *checkpoint_free(struct checkpoint *c); /* waits for it */
DEFINE_CLEANUP(struct checkpoint, checkpoint_free);
