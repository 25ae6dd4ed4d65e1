/* The write-ahead log copied into the database by another thread, which lives as long as that takes. */
#include "store/checkpoint.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/log.h"

#define STACK_SIZE (256 * 1024)

struct checkpoint {
	char *path; /* owned */
	pthread_t thread;
	bool started;        /* there is a thread to join */
	atomic_bool running; /* it is not done yet */
};

struct checkpoint *checkpoint_new(const char *path)
{
	struct checkpoint *c = xnew0(struct checkpoint);

	c->path = xstrdup(path);
	return c;
}

static void *checkpoint_thread(void *data)
{
	struct checkpoint *c = data;
	sqlite3 *sql = NULL;
	int r;

	r = sqlite3_open_v2(c->path, &sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (r == SQLITE_OK)
		r = sqlite3_wal_checkpoint_v2(sql, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	/* Nothing is lost: the log goes on growing, and the next one tries again. */
	if (r != SQLITE_OK && r != SQLITE_BUSY)
		log_warn("database: checkpoint: %s", sql ? sqlite3_errmsg(sql) : "out of memory");
	(void)sqlite3_close(sql);
	atomic_store(&c->running, false);
	return NULL;
}

static void join(struct checkpoint *c)
{
	if (c->started)
		(void)pthread_join(c->thread, NULL);
	c->started = false;
}

void checkpoint_start(struct checkpoint *c)
{
	pthread_attr_t attr;
	sigset_t all, old;

	if (atomic_load(&c->running))
		return;
	join(c);
	atomic_store(&c->running, true);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	(void)sigfillset(&all); /* signals belong to the loop */
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	c->started = pthread_create(&c->thread, &attr, checkpoint_thread, c) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	if (!c->started)
		atomic_store(&c->running, false);
}

struct checkpoint *checkpoint_free(struct checkpoint *c)
{
	if (!c)
		return NULL;
	join(c);
	free(c->path);
	free(c);
	return NULL;
}
