/* Status names and texts, and names of containers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/container.h"
#include "engine/names.h"

#define SECOND 1000000000LL

static char *text_of(enum container_status status, int64_t age_s)
{
	struct strbuf out = STRBUF_INIT(256);
	struct container c = {
		.state = {.status = status,
			  .exit_code = 3,
			  .started_at = 1000 * SECOND,
			  .finished_at = 1000 * SECOND},
	};

	container_status_text(&c, (1000 + age_s) * SECOND, &out);
	return strbuf_take(&out);
}

static void status_text(void **state)
{
	static const struct {
		enum container_status status;
		int64_t age;
		const char *text;
	} cases[] = {
		{CONTAINER_CREATED, 5, "Created"},
		{CONTAINER_RUNNING, 0, "Up Less than a second"},
		{CONTAINER_RUNNING, 1, "Up 1 second"},
		{CONTAINER_RUNNING, 59, "Up 59 seconds"},
		{CONTAINER_RUNNING, 60, "Up About a minute"},
		{CONTAINER_RUNNING, 119, "Up About a minute"},
		{CONTAINER_RUNNING, 120, "Up 2 minutes"},
		{CONTAINER_RUNNING, 3599, "Up 59 minutes"},
		{CONTAINER_RUNNING, 3600, "Up About an hour"},
		{CONTAINER_RUNNING, 2 * 3600, "Up 2 hours"},
		{CONTAINER_RUNNING, 47 * 3600, "Up 47 hours"},
		{CONTAINER_RUNNING, 48 * 3600, "Up 2 days"},
		{CONTAINER_RUNNING, 13 * 86400, "Up 13 days"},
		{CONTAINER_RUNNING, 15 * 86400, "Up 2 weeks"},
		{CONTAINER_RUNNING, 61 * 86400, "Up 2 months"},
		{CONTAINER_RUNNING, 800 * 86400LL, "Up 2 years"},
		{CONTAINER_PAUSED, 10, "Up 10 seconds (Paused)"},
		{CONTAINER_EXITED, 10, "Exited (3) 10 seconds ago"},
		{CONTAINER_RESTARTING, 10, "Restarting (3) 10 seconds ago"},
		{CONTAINER_REMOVING, 10, "Removal In Progress"},
		{CONTAINER_DEAD, 10, "Dead"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *text = text_of(cases[i].status, cases[i].age);

		assert_string_equal(text, cases[i].text);
	}
}

static void status_name(void **state)
{
	(void)state;
	assert_string_equal(container_status_name(CONTAINER_CREATED), "created");
	assert_string_equal(container_status_name(CONTAINER_EXITED), "exited");
	assert_string_equal(container_status_name(CONTAINER_DEAD), "dead");
}

static void names_are_checked(void **state)
{
	static const char *const good[] = {"ab", "a1", "A_b.c-d", "0x"};
	static const char *const bad[] = {"", "a", "_a", "-a", "a b", "a/b", "\xc3\xa4x"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(name_check(good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		autoerror struct error err = {0};

		assert_true(name_check(bad[i], &err) < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
	}
}

static void names_are_made(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		char name[NAME_MAX_SIZE];

		name_make(i % 2, name);
		assert_int_equal(name_check(name, NULL), 0);
		assert_non_null(strchr(name, '_'));
		assert_int_equal(i % 2,
				 name[strlen(name) - 1] >= '0' && name[strlen(name) - 1] <= '9');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_text),
		cmocka_unit_test(status_name),
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(names_are_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
