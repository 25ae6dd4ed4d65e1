/* Contents and attributes that are written by a thread. */
#include "fixture.h"

#include "store/unpack_writer.h"

#define MANY 600 /* files: more than the batches hold */

static unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

static size_t size_of(unsigned i)
{
	return i % 7 == 0 ? 0 : i * 37 % 9000;
}

static int put(struct fixture *f, struct unpack_writer *w, unsigned i, int flags, struct error *err)
{
	char name[32], *to;
	struct unpack_job job = {.uid = (uid_t)-1,
				 .mode = i % 2 ? 0640 : (mode_t)-1,
				 .mtime = {.tv_sec = 1000 + i, .tv_nsec = 5},
				 .path = name};
	size_t len = size_of(i);
	int r = unpack_writer_room(w, len, &to, err);

	if (r < 0)
		return r;
	(void)snprintf(name, sizeof(name), "f%u", i);
	memset(to, 'a' + (int)(i % 26), len);
	job.len = len;
	job.size = (int64_t)len;
	job.fd = openat(f->fd, name, flags | O_CREAT | O_CLOEXEC, 0600);
	assert_true(job.fd >= 0);
	return unpack_writer_put(w, &job, err);
}

static void expect_file(struct fixture *f, unsigned i)
{
	char name[32], *text = NULL;
	struct error err = {0};
	struct stat st;
	size_t len;

	(void)snprintf(name, sizeof(name), "f%u", i);
	assert_ok(file_read(f->fd, name, 1 << 20, &text, &len, &err), &err);
	assert_int_equal(len, size_of(i));
	for (size_t k = 0; k < len; k++)
		assert_int_equal(text[k], 'a' + i % 26);
	free(text);
	assert_return_code(fstatat(f->fd, name, &st, 0), errno);
	assert_int_equal(st.st_mode & 07777, i % 2 ? 0640 : 0600);
	assert_int_equal(st.st_mtim.tv_sec, 1000 + i);
	assert_int_equal(st.st_mtim.tv_nsec, 5);
}

static void write_files(struct fixture *f, unsigned n)
{
	struct unpack_writer *w = unpack_writer_new();
	unsigned before = open_descriptors();
	struct error err = {0};

	for (unsigned i = 0; i < n; i++)
		assert_ok(put(f, w, i, O_WRONLY, &err), &err);
	assert_ok(unpack_writer_flush(w, &err), &err);
	assert_int_equal(open_descriptors(), before);
	for (unsigned i = 0; i < n; i++)
		expect_file(f, i);
	(void)unpack_writer_free(w);
}

static void test_few(void **state)
{
	write_files(*state, 3);
}

static void test_many(void **state)
{
	write_files(*state, MANY);
}

/* Flushed in between, as often as one likes. */
static void test_goes_on(void **state)
{
	struct unpack_writer *w = unpack_writer_new();
	struct error err = {0};

	for (unsigned i = 0; i < MANY; i++) {
		assert_ok(put(*state, w, i, O_WRONLY, &err), &err);
		if (i % 100 == 0) {
			assert_ok(unpack_writer_flush(w, &err), &err);
			expect_file(*state, i);
		}
	}
	assert_ok(unpack_writer_flush(w, &err), &err);
	expect_file(*state, MANY - 1);
	(void)unpack_writer_free(w);
}

/* Whoever meets it, the thread or the caller: it names the file, and no descriptor is left. */
static void fail_at(struct fixture *f, unsigned bad, unsigned n)
{
	unsigned before = open_descriptors();
	struct unpack_writer *w = unpack_writer_new();
	autofree char *name = xasprintf("'f%u': write", bad);
	autoerror struct error err = {0};
	int r = 0;

	for (unsigned i = 1; i <= n && r >= 0; i++)
		r = put(f, w, i, i == bad ? O_RDONLY : O_WRONLY, &err);
	if (r >= 0)
		r = unpack_writer_flush(w, &err);
	assert_int_equal(r, -EBADF);
	assert_non_null(strstr(error_msg(&err), name));
	(void)unpack_writer_free(w);
	assert_int_equal(open_descriptors(), before);
}

static void test_failures(void **state)
{
	fail_at(*state, 2, 3);
	fail_at(*state, 10, MANY);
	fail_at(*state, MANY / 2, MANY);
	fail_at(*state, MANY, MANY);
}

static void test_dropped(void **state)
{
	unsigned before = open_descriptors();
	struct unpack_writer *w = unpack_writer_new();
	struct error err = {0};

	for (unsigned i = 0; i < MANY; i++)
		assert_ok(put(*state, w, i, O_WRONLY, &err), &err);
	(void)unpack_writer_free(w);
	assert_int_equal(open_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_few, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_many, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_goes_on, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_failures, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_dropped, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
