/* The database's queue and its thread.
 *
 * One connection, used by one thread at a time: no locking inside SQLite and no SQLITE_BUSY among
 * ourselves.  The thread takes whatever is queued, up to DB_GROUP_MAX jobs, into one transaction, so that
 * a burst of posted jobs costs one commit.  A caller that waits anyway, and finds nothing before it,
 * runs its job itself: that is two thread switches less.  Inside a group each job has a savepoint; a lone job uses the
 * transaction itself.  Waiting callers own their job on the stack; posted jobs are on the heap.
 */
#include "store/db.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "store/checkpoint.h"

#define DB_GROUP_MAX       64           /* jobs a transaction */
#define DB_CACHE_MAX       192          /* prepared statements kept */
#define DB_STACK_SIZE      (512 * 1024) /* bytes; SQLite's own deepest use is far below */
#define DB_BUSY_TIMEOUT_MS 5000         /* somebody looks with the sqlite3 shell */

/* Pages of 4 KiB in the write-ahead log: when to copy it, and when commits must wait for that. */
#define DB_LOG_PAGES     1000
#define DB_LOG_MAX_PAGES 20000

struct db_job {
	db_fn fn;
	void *data;      /* borrowed */
	db_done_fn done; /* posted jobs only; may be NULL */
	enum db_sync sync;
	bool waited;   /* db_run: on the caller's stack */
	bool finished; /* guarded by db->lock */
	int r;
	struct error err; /* owned */
	struct db_job *next;
};

struct db_stmt {
	sqlite3_stmt *st; /* owned */
	struct db_tx *tx; /* borrowed */
	uint32_t hash;
	bool cached; /* else finalised when its job ends */
	bool active; /* listed in the transaction's active[] */
};

struct db_tx {
	sqlite3 *sql; /* owned by db */
	struct db_stmt *cache[DB_CACHE_MAX];
	size_t n_cache;
	struct db_stmt **active; /* owned array; used by the running job */
	size_t n_active, cap_active;
};

struct db {
	char *path; /* owned */
	struct db_tx tx;
	enum db_sync sync;             /* what the connection is set to */
	struct checkpoint *checkpoint; /* owned */
	int copied_pages;              /* length of the log when a checkpoint was last started */
	pthread_t thread;
	pthread_mutex_t lock; /* guards the queue, `busy`, `user` and `finished` */
	pthread_cond_t work, idle;
	struct db_job *head, **tail;
	bool busy;      /* somebody uses the connection: */
	pthread_t user; /* who */
	bool stop, running;
};

static int sql_error(sqlite3 *sql, struct error *err, const char *what)
{
	int code = sqlite3_errcode(sql);
	enum error_kind kind = code == SQLITE_CONSTRAINT ? ERROR_CONFLICT : ERROR_INTERNAL;
	int errnum = sqlite3_system_errno(sql);

	if (code != SQLITE_IOERR && code != SQLITE_FULL && code != SQLITE_CANTOPEN)
		errnum = 0;
	return error_set(err, kind, errnum, "database: %s: %s", what, sqlite3_errmsg(sql));
}

static int sql_run(sqlite3 *sql, const char *text, struct error *err)
{
	if (sqlite3_exec(sql, text, NULL, NULL, NULL) != SQLITE_OK)
		return sql_error(sql, err, text);
	return 0;
}

/* ---- statements ---- */

static void stmt_rewind(struct db_stmt *st)
{
	(void)sqlite3_reset(st->st); /* repeats the error of the last step, already told */
	(void)sqlite3_clear_bindings(st->st);
}

static void tx_end_job(struct db_tx *tx)
{
	for (size_t i = 0; i < tx->n_active; i++) {
		struct db_stmt *st = tx->active[i];

		st->active = false;
		if (st->cached) {
			stmt_rewind(st);
		} else {
			(void)sqlite3_finalize(st->st);
			free(st);
		}
	}
	tx->n_active = 0;
}

static uint32_t text_hash(const char *s)
{
	uint32_t h = 2166136261U; /* FNV-1a */

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619U;
	return h;
}

static int stmt_get(struct db_tx *tx, const char *sql, struct db_stmt **ret, struct error *err)
{
	uint32_t hash = text_hash(sql);
	sqlite3_stmt *raw = NULL;
	struct db_stmt *st = NULL;

	for (size_t i = 0; i < tx->n_cache && !st; i++)
		if (tx->cache[i]->hash == hash && str_eq(sqlite3_sql(tx->cache[i]->st), sql) &&
		    !sqlite3_stmt_busy(tx->cache[i]->st))
			st = tx->cache[i];

	if (!st) {
		if (sqlite3_prepare_v3(tx->sql, sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, NULL) !=
		    SQLITE_OK)
			return sql_error(tx->sql, err, sql);
		st = xnew0(struct db_stmt);
		*st = (struct db_stmt){.st = raw, .tx = tx, .hash = hash};
		if (tx->n_cache < ARRAY_SIZE(tx->cache)) {
			st->cached = true;
			tx->cache[tx->n_cache++] = st;
		}
	} else {
		stmt_rewind(st);
	}

	if (!st->active) {
		xgrow(tx->active, tx->n_active, tx->cap_active);
		tx->active[tx->n_active++] = st;
		st->active = true;
	}
	*ret = st;
	return 0;
}

static int stmt_bind(struct db_stmt *st, const char *types, va_list ap, struct error *err)
{
	int i = 0, r = SQLITE_OK;

	for (; *types && r == SQLITE_OK; types++) {
		const void *p;
		size_t len;

		i++;
		switch (*types) {
		case 's':
			p = va_arg(ap, const char *);
			r = sqlite3_bind_text(st->st, i, p, -1, SQLITE_STATIC);
			break;
		case 'i':
			r = sqlite3_bind_int64(st->st, i, va_arg(ap, int64_t));
			break;
		case 'd':
			r = sqlite3_bind_int(st->st, i, va_arg(ap, int));
			break;
		case 'b':
			p = va_arg(ap, const void *);
			len = va_arg(ap, size_t);
			r = sqlite3_bind_blob64(st->st, i, p, len, SQLITE_STATIC);
			break;
		default:
			assert(!"a type letter of store/db.h");
		}
	}
	if (r != SQLITE_OK)
		return sql_error(st->tx->sql, err, sqlite3_sql(st->st));
	assert(i == sqlite3_bind_parameter_count(st->st));
	return 0;
}

int db_query(struct db_tx *tx, struct db_stmt **ret, struct error *err, const char *sql,
	     const char *types, ...)
{
	struct db_stmt *st;
	va_list ap;
	int r;

	r = stmt_get(tx, sql, &st, err);
	if (r < 0)
		return r;
	va_start(ap, types);
	r = stmt_bind(st, types, ap, err);
	va_end(ap);
	if (r < 0)
		return r;
	*ret = st;
	return 0;
}

int db_exec(struct db_tx *tx, struct error *err, const char *sql, const char *types, ...)
{
	struct db_stmt *st;
	va_list ap;
	int r;

	r = stmt_get(tx, sql, &st, err);
	if (r < 0)
		return r;
	va_start(ap, types);
	r = stmt_bind(st, types, ap, err);
	va_end(ap);
	while (r >= 0 && (r = db_step(st, err)) > 0)
		;
	stmt_rewind(st);
	return r;
}

int db_script(struct db_tx *tx, const char *sql, struct error *err)
{
	return sql_run(tx->sql, sql, err);
}

int db_step(struct db_stmt *st, struct error *err)
{
	switch (sqlite3_step(st->st)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		(void)sqlite3_reset(st->st);
		return 0;
	default:
		return sql_error(st->tx->sql, err, sqlite3_sql(st->st));
	}
}

const char *db_text(struct db_stmt *st, int column)
{
	return (const char *)sqlite3_column_text(st->st, column);
}

int64_t db_int(struct db_stmt *st, int column)
{
	return sqlite3_column_int64(st->st, column);
}

const void *db_blob(struct db_stmt *st, int column, size_t *ret_len)
{
	const void *p = sqlite3_column_blob(st->st, column);

	*ret_len = (size_t)sqlite3_column_bytes(st->st, column);
	return p;
}

void db_stop(struct db_stmt *st)
{
	stmt_rewind(st);
}

int64_t db_last_id(struct db_tx *tx)
{
	return sqlite3_last_insert_rowid(tx->sql);
}

int64_t db_changes(struct db_tx *tx)
{
	return sqlite3_changes64(tx->sql);
}

/* ---- the thread ---- */

/* The words around jobs are as frequent as the jobs: prepared once as well. */
static int sql_word(struct db *db, const char *word, struct error *err)
{
	int r = db_exec(&db->tx, err, word, "");

	tx_end_job(&db->tx);
	return r;
}

static int set_sync(struct db *db, enum db_sync sync, struct error *err)
{
	int r = 0;

	if (db->sync != sync)
		r = sql_run(db->tx.sql,
			    sync == DB_FULL ? "PRAGMA synchronous=FULL"
					    : "PRAGMA synchronous=NORMAL",
			    err);
	if (r >= 0)
		db->sync = sync;
	return r;
}

static void run_job(struct db *db, struct db_job *job, bool savepoint)
{
	struct error err = {0};

	if (savepoint && (job->r = sql_word(db, "SAVEPOINT job", &job->err)) < 0)
		return;
	job->r = job->fn(&db->tx, job->data, &job->err);
	tx_end_job(&db->tx);
	if (!savepoint)
		return;
	if (job->r < 0 && sql_word(db, "ROLLBACK TO job", &err) < 0)
		job->r = error_move(&job->err, &err, -EIO);
	if (sql_word(db, "RELEASE job", &err) < 0)
		job->r = error_move(&job->err, &err, -EIO);
}

static int copy_error(struct db_job *job, const struct error *from, int r)
{
	error_done(&job->err);
	job->err = (struct error){
		.kind = from->kind, .errnum = from->errnum, .msg = xstrdup(error_msg(from))};
	return r;
}

/* All jobs in one transaction; each gets its result. */
static void run_group(struct db *db, struct db_job *const *jobs, size_t n)
{
	enum db_sync sync = DB_NORMAL;
	autoerror struct error err = {0};
	bool keep = n > 1;
	int r;

	for (size_t i = 0; i < n; i++)
		if (jobs[i]->sync == DB_FULL)
			sync = DB_FULL;

	r = set_sync(db, sync, &err);
	if (r >= 0)
		r = sql_word(db, "BEGIN", &err);
	if (r >= 0) {
		for (size_t i = 0; i < n; i++)
			run_job(db, jobs[i], n > 1);
		if (n == 1)
			keep = jobs[0]->r >= 0;
		r = sql_word(db, keep ? "COMMIT" : "ROLLBACK", &err);
	}
	if (r < 0 && !sqlite3_get_autocommit(db->tx.sql))
		(void)sql_word(db, "ROLLBACK", NULL); /* the first error is the one to tell */
	for (size_t i = 0; r < 0 && i < n; i++)
		if (jobs[i]->r >= 0)
			jobs[i]->r = copy_error(jobs[i], &err, r);
}

static void finish_posted(struct db_job *job)
{
	if (job->done)
		job->done(job->data, job->r, &job->err);
	else if (job->r < 0)
		log_error("%s", error_msg(&job->err));
	error_done(&job->err);
	free(job);
}

static void finish_group(struct db *db, struct db_job *const *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!jobs[i]->waited)
			finish_posted(jobs[i]);
		else {
			/* The waiter may be gone with its job as soon as the lock is released. */
			(void)pthread_mutex_lock(&db->lock);
			jobs[i]->finished = true;
			(void)pthread_cond_broadcast(&db->idle);
			(void)pthread_mutex_unlock(&db->lock);
		}
}

/* With the lock. */
static void use_begin(struct db *db, bool busy)
{
	db->busy = busy;
	db->user = pthread_self();
}

static void *db_thread(void *data)
{
	struct db *db = data;
	struct db_job *jobs[DB_GROUP_MAX];

	for (;;) {
		size_t n = 0;

		(void)pthread_mutex_lock(&db->lock);
		while (db->busy || (!db->head && !db->stop))
			(void)pthread_cond_wait(&db->work, &db->lock);
		while (db->head && n < DB_GROUP_MAX) {
			jobs[n++] = db->head;
			db->head = db->head->next;
		}
		if (!db->head)
			db->tail = &db->head;
		use_begin(db, n > 0);
		(void)pthread_mutex_unlock(&db->lock);

		if (n == 0)
			return NULL;
		run_group(db, jobs, n);
		finish_group(db, jobs, n);
		(void)pthread_mutex_lock(&db->lock);
		db->busy = false;
		(void)pthread_mutex_unlock(&db->lock);
	}
}

/* With the lock, and nothing before the job in the queue. */
static void run_here(struct db *db, struct db_job *job)
{
	use_begin(db, true);
	(void)pthread_mutex_unlock(&db->lock);
	run_group(db, &job, 1);
	(void)pthread_mutex_lock(&db->lock);
	db->busy = false;
	if (db->head || db->stop)
		(void)pthread_cond_signal(&db->work);
}

static void enqueue(struct db *db, struct db_job *job)
{
	assert(!db->stop);
	*db->tail = job;
	db->tail = &job->next;
	(void)pthread_cond_signal(&db->work);
}

int db_run(struct db *db, db_fn fn, void *data, enum db_sync sync, struct error *err)
{
	struct db_job job = {.fn = fn, .data = data, .sync = sync, .waited = true};

	(void)pthread_mutex_lock(&db->lock);
	assert(!db->busy || !pthread_equal(pthread_self(), db->user));
	if (!db->busy && !db->head) {
		assert(!db->stop);
		run_here(db, &job);
	} else {
		enqueue(db, &job);
		while (!job.finished)
			(void)pthread_cond_wait(&db->idle, &db->lock);
	}
	(void)pthread_mutex_unlock(&db->lock);

	return job.r < 0 ? error_move(err, &job.err, job.r) : job.r;
}

void db_post(struct db *db, db_fn fn, void *data, enum db_sync sync, db_done_fn done)
{
	struct db_job *job = xnew0(struct db_job);

	*job = (struct db_job){.fn = fn, .data = data, .sync = sync, .done = done};
	(void)pthread_mutex_lock(&db->lock);
	enqueue(db, job);
	(void)pthread_mutex_unlock(&db->lock);
}

static int log_grew(void *data, sqlite3 *sql, const char *name, int pages)
{
	struct db *db = data;

	/* The log starts anew only when a write finds all of it copied: under load it may grow for
	 * a while after a checkpoint, and each new stretch is worth one, not each commit. */
	if (pages < db->copied_pages)
		db->copied_pages = 0;
	if (pages >= DB_LOG_MAX_PAGES) {
		(void)sqlite3_wal_checkpoint_v2(sql, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	} else if (pages - db->copied_pages >= DB_LOG_PAGES) {
		db->copied_pages = pages;
		checkpoint_start(db->checkpoint);
	}
	return SQLITE_OK;
}

/* ---- opening ---- */

static int dir_path(int dirfd, const char *name, char **ret, struct error *err)
{
	char link[64], dir[PATH_MAX];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	n = readlink(link, dir, sizeof(dir) - 1);
	if (n < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open database '%s'", name);
	dir[n] = '\0';
	*ret = xasprintf("%s/%s", dir, name);
	return 0;
}

static int run_check(struct db *db, const char *sql, struct error *err)
{
	struct db_stmt *st;
	int r = db_query(&db->tx, &st, err, sql, "");

	if (r >= 0)
		r = db_step(st, err);
	if (r > 0 && !str_eq(db_text(st, 0), "ok"))
		r = error_set(err, ERROR_INTERNAL, 0, "database: %s", db_text(st, 0));
	tx_end_job(&db->tx);
	return r < 0 ? r : 0;
}

/* SQLite 3.40's quick check takes columns of a table without rowids for each other if its key has another
 * order: what it complains of is believed if the slow one does too. */
static int check_file(struct db *db, struct error *err)
{
	int r = run_check(db, "PRAGMA quick_check(1)", NULL);

	return r < 0 ? run_check(db, "PRAGMA integrity_check(1)", err) : 0;
}

static int set_up(struct db *db, struct error *err)
{
	static const char *const pragmas[] = {
		"PRAGMA journal_mode=WAL",
		"PRAGMA synchronous=NORMAL",
		"PRAGMA foreign_keys=ON",
		"PRAGMA temp_store=MEMORY",
		"PRAGMA cache_size=-1024",
		"PRAGMA trusted_schema=OFF",
		"CREATE TABLE IF NOT EXISTS migrations(module TEXT PRIMARY KEY, version INTEGER)",
	};
	int r = 0;

	(void)sqlite3_busy_timeout(db->tx.sql, DB_BUSY_TIMEOUT_MS);
	for (size_t i = 0; i < ARRAY_SIZE(pragmas) && r >= 0; i++)
		r = sql_run(db->tx.sql, pragmas[i], err);
	if (r < 0)
		return r;
	db->checkpoint = checkpoint_new(db->path);
	(void)sqlite3_wal_hook(db->tx.sql, log_grew, db);
	return check_file(db, err);
}

static int start_thread(struct db *db, struct error *err)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, DB_STACK_SIZE);
	(void)sigfillset(&all); /* signals belong to the loop */
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&db->thread, &attr, db_thread, db);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	if (r != 0)
		return error_set(err, ERROR_INTERNAL, r, "start the database thread");
	db->running = true;
	return 0;
}

int db_open(int dirfd, const char *name, struct db **ret, struct error *err)
{
	autodb struct db *db = xnew0(struct db);
	int r;

	db->tail = &db->head;
	(void)pthread_mutex_init(&db->lock, NULL);
	(void)pthread_cond_init(&db->work, NULL);
	(void)pthread_cond_init(&db->idle, NULL);

	r = dir_path(dirfd, name, &db->path, err);
	if (r < 0)
		return r;
	if (sqlite3_open_v2(db->path, &db->tx.sql,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK) {
		r = db->tx.sql ? sql_error(db->tx.sql, err, "open")
			       : error_set(err, ERROR_INTERNAL, ENOMEM, "database: open");
		return error_wrap(err, r, "'%s'", db->path);
	}
	(void)sqlite3_extended_result_codes(db->tx.sql, 0);
	r = set_up(db, err);
	if (r < 0)
		return error_wrap(
			err, r,
			"database '%s' cannot be used (restore it, or move it away to start "
			"with an empty one)",
			db->path);
	r = start_thread(db, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(db);
	return 0;
}

struct db *db_free(struct db *db)
{
	if (!db)
		return NULL;
	if (db->running) {
		(void)pthread_mutex_lock(&db->lock);
		db->stop = true;
		(void)pthread_cond_signal(&db->work);
		(void)pthread_mutex_unlock(&db->lock);
		(void)pthread_join(db->thread, NULL);
	}
	tx_end_job(&db->tx);
	for (size_t i = 0; i < db->tx.n_cache; i++) {
		(void)sqlite3_finalize(db->tx.cache[i]->st);
		free(db->tx.cache[i]);
	}
	free(db->tx.active);
	(void)checkpoint_free(db->checkpoint);
	(void)sqlite3_close(db->tx.sql);
	(void)pthread_cond_destroy(&db->idle);
	(void)pthread_cond_destroy(&db->work);
	(void)pthread_mutex_destroy(&db->lock);
	free(db->path);
	free(db);
	return NULL;
}

/* ---- migrations ---- */

struct migrate {
	const char *module;
	const char *const *list;
	size_t n;
};

static int migrate_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct migrate *m = data;
	struct db_stmt *st;
	int64_t version = 0;
	int r;

	r = db_query(tx, &st, err, "SELECT version FROM migrations WHERE module = ?", "s",
		     m->module);
	if (r >= 0 && (r = db_step(st, err)) > 0) {
		version = db_int(st, 0);
		db_stop(st);
	}
	if (r < 0)
		return r;
	if (version < 0 || (uint64_t)version > m->n)
		return error_set(
			err, ERROR_INTERNAL, 0,
			"database: the tables of '%s' have version %lld, this program knows "
			"versions up to %zu",
			m->module, (long long)version, m->n);
	if ((size_t)version == m->n)
		return 0;
	for (size_t i = (size_t)version; i < m->n; i++) {
		r = db_script(tx, m->list[i], err);
		if (r < 0)
			return error_wrap(err, r, "migrate '%s' to version %zu", m->module, i + 1);
	}
	return db_exec(
		tx, err,
		"INSERT INTO migrations(module, version) VALUES(?, ?) ON CONFLICT(module) DO "
		"UPDATE SET version = excluded.version",
		"si", m->module, (int64_t)m->n);
}

int db_migrate(struct db *db, const char *module, const char *const *list, size_t n,
	       struct error *err)
{
	struct migrate m = {.module = module, .list = list, .n = n};

	return db_run(db, migrate_job, &m, DB_FULL, err);
}
