/* store/db.h - the engine's one SQLite database, used by one thread at a time.
 *
 * Every access is a job: a function that runs inside a transaction, on the database's own thread or, with
 * db_run, on the caller's.  Jobs run
 * in the order in which they were handed over, by any thread.  Several queued jobs share one
 * transaction, each in a savepoint: a job that fails takes back only its own changes.  A job touches
 * its `data`, the transaction and nothing else, and never waits for anything.
 *
 * WAL, synchronous=NORMAL: a committed job survives the death of the process; with DB_FULL it
 * survives power loss too (and so does everything committed before it).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"

struct db;
struct db_tx;   /* the transaction a job runs in, valid during the job */
struct db_stmt; /* a prepared statement, cached; valid during the job, until prepared again */

enum db_sync {
	DB_NORMAL,
	DB_FULL,
};

/* Returns < 0 if and only if it filled *err; its changes are then rolled back. */
typedef int (*db_fn)(struct db_tx *tx, void *data, struct error *err);
/* Called on the database's thread after the commit, or with r < 0 and the reason in *err (borrowed;
 * error_move it out to keep it).  Must not block: loop_post() what there is to do. */
typedef void (*db_done_fn)(void *data, int r, struct error *err);

/* Open or create `name` below dirfd.  A file that is no database or is damaged is ERROR_INTERNAL
 * with a message that says which file and what to do; it is never replaced. */
int db_open(int dirfd, const char *name, struct db **ret, struct error *err);
/* Runs what is queued, checkpoints, closes.  Nobody may be using it. */
struct db *db_free(struct db *db);
DEFINE_CLEANUP(struct db, db_free);
#define autodb __attribute__((cleanup(db_freep_)))

/* Bring the tables of one module ("engine", "store", ...) up to date: list[i] is the SQL that leads
 * from version i to i + 1, applied once ever.  A database newer than the list is refused.  Waits. */
int db_migrate(struct db *db, const char *module, const char *const *list, size_t n,
	       struct error *err);

/* Run a job and wait for its commit; returns what fn returned.  Never on the loop's thread, nor
 * inside a job. */
int db_run(struct db *db, db_fn fn, void *data, enum db_sync sync, struct error *err);
/* Queue a job and return.  `done` may be NULL: a failure is then logged. */
void db_post(struct db *db, db_fn fn, void *data, enum db_sync sync, db_done_fn done);

/* Inside a job.  Parameters are given by type letters: s const char * (NULL: NULL), i int64_t,
 * d int, b (const void *, size_t) blob.  Text and blobs must live until the statement is done.
 *
 *     db_exec(tx, err, "INSERT INTO x(id, size) VALUES(?, ?)", "si", id, (int64_t)size);
 *
 *     r = db_query(tx, &st, err, "SELECT name, size FROM x WHERE id = ?", "s", id);
 *     while (r >= 0 && (r = db_step(st, err)) > 0)
 *             use(db_text(st, 0), db_int(st, 1));
 */
int db_exec(struct db_tx *tx, struct error *err, const char *sql, const char *types, ...);
int db_query(struct db_tx *tx, struct db_stmt **ret, struct error *err, const char *sql,
	     const char *types, ...);
/* Several statements without parameters (schema changes). */
int db_script(struct db_tx *tx, const char *sql, struct error *err);

int db_step(struct db_stmt *st, struct error *err);  /* 1: a row, 0: done, < 0 */
const char *db_text(struct db_stmt *st, int column); /* borrowed until the next step; NULL: NULL */
int64_t db_int(struct db_stmt *st, int column);      /* 0 for NULL */
const void *db_blob(struct db_stmt *st, int column, size_t *ret_len);
void db_stop(struct db_stmt *st); /* leave a query before its last row */

int64_t db_last_id(struct db_tx *tx); /* rowid of the last insert */
int64_t db_changes(struct db_tx *tx); /* rows changed by the last statement */
