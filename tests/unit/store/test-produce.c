/* A writer's output as a reader. */
#include "fixture.h"

#include "store/produce.h"

#define TOTAL (3 << 20) /* bytes: more than a socket holds */

struct job {
	bool fails;
	int r; /* of the last write */
};

static int write_numbers(void *data, const struct stream_writer *out, struct error *err)
{
	struct job *j = data;
	uint32_t block[1024];

	for (uint32_t i = 0; i < TOTAL / sizeof(block[0]); i++) {
		block[i % ARRAY_SIZE(block)] = i;
		if (i % ARRAY_SIZE(block) != ARRAY_SIZE(block) - 1)
			continue;
		j->r = out->write(out->data, block, sizeof(block), err);
		if (j->r < 0)
			return j->r;
	}
	return j->fails ? error_set(err, ERROR_FORBIDDEN, 0, "in the end it failed") : 0;
}

static void test_all_of_it(void **state)
{
	struct job job = {0};
	struct produce *p = NULL;
	struct stream_reader in;
	struct error err = {0};
	uint32_t *got = xcalloc(1, TOTAL + 1);

	(void)state;
	assert_ok(produce_new(write_numbers, &job, &p, &err), &err);
	in = produce_reader(p);
	assert_int_equal(stream_read_full(&in, got, TOTAL + 1, &err), TOTAL);
	for (uint32_t i = 0; i < TOTAL / sizeof(*got); i++)
		assert_int_equal(got[i], i);
	assert_int_equal(in.read(in.data, got, 1, &err), 0); /* and stays at its end */
	(void)produce_free(p);
	free(got);
}

/* What was written before an error is no whole stream. */
static void test_error_is_the_readers(void **state)
{
	struct job job = {.fails = true};
	struct produce *p = NULL;
	struct stream_reader in;
	struct error err = {0};
	char *got = xcalloc(1, TOTAL + 1);

	(void)state;
	assert_ok(produce_new(write_numbers, &job, &p, &err), &err);
	in = produce_reader(p);
	assert_true(stream_read_full(&in, got, TOTAL + 1, &err) < 0);
	assert_int_equal(err.kind, ERROR_FORBIDDEN);
	assert_string_equal(error_msg(&err), "in the end it failed");
	error_done(&err);
	(void)produce_free(p);
	free(got);
}

/* A reader that goes ends the writer, and is no signal to anybody. */
static void test_reader_goes(void **state)
{
	struct job job = {0};
	struct produce *p = NULL;
	struct stream_reader in;
	struct error err = {0};
	char byte;

	(void)state;
	assert_ok(produce_new(write_numbers, &job, &p, &err), &err);
	in = produce_reader(p);
	assert_int_equal(in.read(in.data, &byte, 1, &err), 1);
	(void)produce_free(p);
	assert_true(job.r < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_it),
		cmocka_unit_test(test_error_is_the_readers),
		cmocka_unit_test(test_reader_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
