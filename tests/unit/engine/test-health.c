/* What results make of a container's health, and how output is taken out of frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/health.h"

#define SECOND 1000000000LL

static bool record(struct health *h, const struct config_healthcheck *check, int64_t into_run,
		   int code)
{
	struct health_result r = {
		.start = SECOND, .end = 2 * SECOND, .exit_code = code, .output = xstrdup("o")};

	return health_record(h, check, into_run, &r);
}

static void transitions(void **state)
{
	const struct config_healthcheck check = {.retries = 2, .start_period = 10 * SECOND};
	struct health *h = health_new();

	(void)state;
	health_begin(h);
	assert_int_equal(h->status, HEALTH_STARTING);
	assert_false(record(h, &check, 9 * SECOND, 1));
	assert_int_equal(h->failing_streak, 0);
	assert_false(record(h, &check, 10 * SECOND, 1));
	assert_int_equal(h->failing_streak, 1);
	assert_true(record(h, &check, 11 * SECOND, -1));
	assert_int_equal(h->status, HEALTH_UNHEALTHY);
	assert_false(record(h, &check, 12 * SECOND, 1));
	assert_int_equal(h->failing_streak, 3);
	assert_true(record(h, &check, 13 * SECOND, 0));
	assert_int_equal(h->status, HEALTH_HEALTHY);
	assert_int_equal(h->failing_streak, 0);
	/* Once it was healthy, the start period is over. */
	assert_false(record(h, &check, SECOND, 1));
	assert_int_equal(h->failing_streak, 1);
	assert_int_equal(h->log_count, HEALTH_LOG_MAX);
	(void)health_free(h);
}

static void intervals(void **state)
{
	const struct config_healthcheck none = {0};
	const struct config_healthcheck check = {
		.interval = 7 * SECOND, .start_period = 10 * SECOND, .start_interval = SECOND};
	struct health h = {.status = HEALTH_STARTING};

	(void)state;
	assert_int_equal(health_interval(&h, &none, 0), 30 * SECOND);
	assert_int_equal(health_timeout(&none), 30 * SECOND);
	assert_int_equal(health_interval(&h, &check, 9 * SECOND), SECOND);
	assert_int_equal(health_interval(&h, &check, 10 * SECOND), 7 * SECOND);
	h.status = HEALTH_HEALTHY;
	assert_int_equal(health_interval(&h, &check, 0), 7 * SECOND);
}

static void tests_to_run(void **state)
{
	const char *const words[] = {"CMD", "CMD-SHELL", "NONE", "curl"};

	(void)state;
	assert_false(health_is_checked(NULL));
	assert_false(health_is_checked(&(struct config_healthcheck){0}));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const char *v[] = {words[i], "true"};
		const struct config_healthcheck check = {.test = {.v = v, .n = 2}};

		assert_int_equal(health_is_checked(&check), i < 2);
	}
}

static void stored(void **state)
{
	const struct config_healthcheck check = {.retries = 1};
	struct health *h = health_new(), *copy;
	struct strbuf text = STRBUF_INIT(65536);
	struct json_writer w;

	(void)state;
	health_begin(h);
	(void)record(h, &check, 0, 4);
	json_writer_init(&w, &text);
	jw_object(&w);
	health_write(h, &w);
	jw_object_end(&w);
	assert_string_equal(text.s, "{\"Status\":\"unhealthy\",\"FailingStreak\":1,\"Log\":["
				    "{\"Start\":\"1970-01-01T00:00:01Z\","
				    "\"End\":\"1970-01-01T00:00:02Z\",\"ExitCode\":4,"
				    "\"Output\":\"o\"}]}");
	copy = health_parse(text.s, text.len);
	assert_non_null(copy);
	assert_int_equal(copy->status, HEALTH_UNHEALTHY);
	assert_int_equal(copy->failing_streak, 1);
	assert_int_equal(copy->log_count, 1);
	assert_int_equal(copy->log[0].end, 2 * SECOND);
	assert_string_equal(copy->log[0].output, "o");
	assert_null(health_parse("[", 1));
	strbuf_done(&text);
	(void)health_free(copy);
	(void)health_free(h);
}

static void output(void **state)
{
	static const char frames[] = "\1\0\0\0\0\0\0\3abc\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\2de";
	struct health_output o = {0};
	unsigned char big[8 + HEALTH_OUTPUT_MAX] = {1, 0, 0, 0, 0, 0, 16, 0};

	(void)state;
	/* However it is cut up. */
	for (size_t i = 0; i < sizeof(frames) - 1; i++)
		health_output_add(&o, frames + i, 1);
	assert_string_equal(health_output_text(&o), "abcde");

	o = (struct health_output){0};
	memset(big + 8, 'x', HEALTH_OUTPUT_MAX);
	health_output_add(&o, big, sizeof(big));
	assert_int_equal(strlen(health_output_text(&o)), HEALTH_OUTPUT_MAX);
	health_output_add(&o, frames, sizeof(frames) - 1);
	assert_int_equal(strlen(health_output_text(&o)), HEALTH_OUTPUT_MAX + 3);
	assert_string_equal(health_output_text(&o) + HEALTH_OUTPUT_MAX - 1, "x...");
}

static void durations(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
		{1, "1ms"},       {250, "250ms"},      {1000, "1s"},    {1500, "1.5s"},
		{90000, "1m30s"}, {3600000, "1h0m0s"}, {1010, "1.01s"}, {60000, "1m0s"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strbuf out = STRBUF_INIT(64);

		health_format_duration(cases[i].ms * 1000000, &out);
		assert_string_equal(out.s, cases[i].text);
		strbuf_done(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transitions),  cmocka_unit_test(intervals),
		cmocka_unit_test(tests_to_run), cmocka_unit_test(stored),
		cmocka_unit_test(output),       cmocka_unit_test(durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
