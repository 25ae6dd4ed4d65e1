/* The database thread: transactions, groups, migrations, damaged files. */
#include "fixture.h"

#include <pthread.h>

static int create_job(struct db_tx *tx, void *data, struct error *err)
{
	(void)data;
	return db_script(tx, "CREATE TABLE t(k TEXT PRIMARY KEY, v INTEGER)", err);
}

struct row {
	const char *k;
	int64_t v;
};

static int insert_job(struct db_tx *tx, void *data, struct error *err)
{
	struct row *row = data;

	return db_exec(tx, err, "INSERT INTO t(k, v) VALUES(?, ?)", "si", row->k, row->v);
}

static int insert_then_fail_job(struct db_tx *tx, void *data, struct error *err)
{
	int r = insert_job(tx, data, err);

	return r < 0 ? r : error_set(err, ERROR_CONFLICT, 0, "changed my mind");
}

static int sum_job(struct db_tx *tx, void *data, struct error *err)
{
	int64_t *sum = data;
	struct db_stmt *st;
	int r = db_query(tx, &st, err, "SELECT v FROM t", "");

	*sum = 0;
	while (r >= 0 && (r = db_step(st, err)) > 0)
		*sum += db_int(st, 0);
	return r;
}

static int64_t sum(struct db *db)
{
	struct error err = {0};
	int64_t v;

	assert_ok(db_run(db, sum_job, &v, DB_NORMAL, &err), &err);
	return v;
}

static void test_failed_job_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	struct row a = {"a", 1}, b = {"b", 10};

	assert_ok(db_run(f->db, create_job, NULL, DB_FULL, &err), &err);
	assert_ok(db_run(f->db, insert_job, &a, DB_NORMAL, &err), &err);
	assert_true(db_run(f->db, insert_then_fail_job, &b, DB_NORMAL, &err) < 0);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	assert_string_equal(error_msg(&err), "changed my mind");
	error_done(&err);
	assert_int_equal(sum(f->db), 1);
	assert_true(db_run(f->db, insert_job, &a, DB_NORMAL, &err) < 0); /* the key exists */
	assert_int_equal(err.kind, ERROR_CONFLICT);
	error_done(&err);
}

/* A gate that holds the database thread, so that what is posted meanwhile forms one group. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool open;
	int done, failed;
};

static int gate_job(struct db_tx *tx, void *data, struct error *err)
{
	struct gate *g = data;

	(void)tx;
	(void)err;
	pthread_mutex_lock(&g->lock);
	while (!g->open)
		pthread_cond_wait(&g->cond, &g->lock);
	pthread_mutex_unlock(&g->lock);
	return 0;
}

static struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, 0};

static void count_done(void *data, int r, struct error *err)
{
	(void)data;
	assert_true((r < 0) == (err->msg != NULL));
	pthread_mutex_lock(&gate.lock);
	gate.done++;
	gate.failed += r < 0;
	pthread_cond_signal(&gate.cond);
	pthread_mutex_unlock(&gate.lock);
}

static void test_group_isolates_failures(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	struct row rows[100];
	char keys[100][8];
	int64_t expect = 0;

	assert_ok(db_run(f->db, create_job, NULL, DB_FULL, &err), &err);
	db_post(f->db, gate_job, &gate, DB_NORMAL, NULL);
	for (int i = 0; i < 100; i++) {
		bool fails = i % 3 == 0;

		(void)snprintf(keys[i], sizeof(keys[i]), "k%d", i);
		rows[i] = (struct row){keys[i], i};
		expect += fails ? 0 : i;
		db_post(f->db, fails ? insert_then_fail_job : insert_job, &rows[i],
			i % 7 == 0 ? DB_FULL : DB_NORMAL, count_done);
	}
	pthread_mutex_lock(&gate.lock);
	gate.open = true;
	pthread_cond_broadcast(&gate.cond);
	while (gate.done < 100)
		pthread_cond_wait(&gate.cond, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
	assert_int_equal(gate.failed, 34);
	assert_int_equal(sum(f->db), expect);
}

static void test_rows_survive_reopening(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	struct row a = {"a", 7};

	assert_ok(db_run(f->db, create_job, NULL, DB_FULL, &err), &err);
	db_post(f->db, insert_job, &a, DB_NORMAL, NULL); /* closing runs what is queued */
	fixture_close(f);
	fixture_open(f);
	assert_int_equal(sum(f->db), 7);
}

static void test_migrations_run_once(void **state)
{
	static const char *const list[] = {"CREATE TABLE m(x)", "INSERT INTO m VALUES(1)",
					   "INSERT INTO m VALUES(2)"};
	struct fixture *f = *state;
	struct error err = {0};

	assert_ok(db_migrate(f->db, "test", list, 2, &err), &err);
	assert_ok(db_migrate(f->db, "test", list, 3, &err), &err);
	assert_ok(db_migrate(f->db, "test", list, 3, &err), &err);
	assert_ok(db_migrate(f->db, "other", list + 1, 1, &err), &err);
	assert_true(db_migrate(f->db, "test", list, 1, &err) < 0); /* a newer database */
	assert_non_null(strstr(error_msg(&err), "versions up to 1"));
	error_done(&err);
}

static int make_swapped(struct db_tx *tx, void *data, struct error *err)
{
	(void)data;
	return db_script(tx,
			 "CREATE TABLE swapped(a INTEGER NOT NULL, b INTEGER NOT NULL,"
			 " PRIMARY KEY(b, a)) WITHOUT ROWID; INSERT INTO swapped VALUES(5, 1);",
			 err);
}

/* SQLite 3.40's quick_check finds a NULL there that is none. */
static void test_sound_table_is_no_damage(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};

	assert_ok(db_run(f->db, make_swapped, NULL, DB_FULL, &err), &err);
	fixture_close(f);
	fixture_open(f);
}

static void test_damaged_file_is_told_and_kept(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	struct db *db = NULL;
	char *text = NULL;

	assert_int_equal(file_write_atomic(f->fd, "bad.db", "this is no database at all\n", 27,
					   0600, 0, NULL),
			 0);
	assert_true(db_open(f->fd, "bad.db", &db, &err) < 0);
	assert_non_null(strstr(error_msg(&err), "bad.db"));
	assert_non_null(strstr(error_msg(&err), "move it away"));
	assert_true(file_read(f->fd, "bad.db", 100, &text, NULL, NULL) >= 0);
	assert_string_equal(text, "this is no database at all\n");
	free(text);
	error_done(&err);
}

/* A page in the middle that is not what it was. */
static void test_damaged_page_is_told(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	struct db *db = NULL;
	char garbage[4096];
	char keys[200][8];
	int fd;

	assert_ok(db_run(f->db, create_job, NULL, DB_FULL, &err), &err);
	for (int i = 0; i < 200; i++) {
		struct row row = {keys[i], i};

		(void)snprintf(keys[i], sizeof(keys[i]), "k%d", i);
		assert_ok(db_run(f->db, insert_job, &row, DB_NORMAL, &err), &err);
	}
	fixture_close(f);
	assert_int_equal(renameat(f->fd, "vessel.db", f->fd, "bad.db"), 0);
	fd = openat(f->fd, "bad.db", O_RDWR | O_CLOEXEC);
	memset(garbage, 0xa5, sizeof(garbage));
	for (off_t at = 4096; pwrite(fd, garbage, 64, at + 8) == 64 && at < 16 * 4096;)
		at += 4096;
	fd_close(&fd);
	assert_true(db_open(f->fd, "bad.db", &db, &err) < 0);
	assert_non_null(strstr(error_msg(&err), "cannot be used"));
	error_done(&err);
	fixture_open(f); /* a new, empty one */
}

static int nested_job(struct db_tx *tx, void *data, struct error *err)
{
	struct db_stmt *outer, *inner;
	int64_t *pairs = data;
	int r = db_query(tx, &outer, err, "SELECT v FROM t", "");

	while (r >= 0 && (r = db_step(outer, err)) > 0) {
		int q = db_query(tx, &inner, err, "SELECT v FROM t", "");

		while (q >= 0 && (q = db_step(inner, err)) > 0)
			++*pairs;
		if (q < 0)
			return q;
	}
	return r;
}

static void test_same_query_nests(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	struct row rows[] = {{"a", 1}, {"b", 2}, {NULL, 3}};
	int64_t pairs = 0;

	assert_ok(db_run(f->db, create_job, NULL, DB_FULL, &err), &err);
	for (int i = 0; i < 3; i++)
		assert_ok(db_run(f->db, insert_job, &rows[i], DB_NORMAL, &err), &err);
	assert_ok(db_run(f->db, nested_job, &pairs, DB_NORMAL, &err), &err);
	assert_int_equal(pairs, 9);
}

/* More rows than fit the log: it is copied meanwhile, nothing is lost, and the log does not grow on. */
static void test_long_log(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	char *value = xcalloc(1, 40001);
	int64_t expect = 0;
	struct stat st;

	memset(value, 'v', 40000);
	assert_ok(db_run(f->db, create_job, NULL, DB_FULL, &err), &err);
	for (int64_t i = 0; i < 1000; i++) {
		struct row row = {value, i};

		(void)snprintf(value, 16, "%08d", (int)i);
		value[8] = 'v';
		expect += i;
		assert_ok(db_run(f->db, insert_job, &row, DB_NORMAL, &err), &err);
	}
	assert_int_equal(sum(f->db), expect);
	fixture_close(f);
	assert_int_equal(fstatat(f->fd, "vessel.db", &st, 0), 0);
	assert_true(st.st_size > 1000 * 40000);
	assert_int_equal(fstatat(f->fd, "vessel.db-wal", &st, 0), -1);
	fixture_open(f);
	assert_int_equal(sum(f->db), expect);
	free(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_failed_job_leaves_nothing, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_group_isolates_failures, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_rows_survive_reopening, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_migrations_run_once, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_sound_table_is_no_damage, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_damaged_file_is_told_and_kept, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_damaged_page_is_told, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_long_log, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_same_query_nests, fixture_setup,
						fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
