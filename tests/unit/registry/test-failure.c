/* Refusals in Docker's words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "registry/failure.h"

static void test_words(void **state)
{
	static const struct {
		long status;
		const char *body, *message, *code;
		enum error_kind kind;
		bool retry;
	} cases[] = {
		{404,
		 "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}",
		 "manifest unknown: manifest unknown", "MANIFEST_UNKNOWN", ERROR_NOT_FOUND, false},
		{401,
		 "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication required\","
		 "\"detail\":null},{\"code\":\"DENIED\",\"message\":\"no\"}]}",
		 "unauthorized: authentication required\ndenied: no", "UNAUTHORIZED",
		 ERROR_UNAUTHORIZED, false},
		{403, "{\"errors\":[{\"code\":\"DENIED\"}]}", "denied: Forbidden", "DENIED",
		 ERROR_FORBIDDEN, false},
		{429, "slow down", "toomanyrequests: slow down", "", ERROR_UNAVAILABLE, true},
		{429, "\xff\xfe", "toomanyrequests: Too Many Requests", "", ERROR_UNAVAILABLE,
		 true},
		{503, "<html>",
		 "http://x/v2/: received unexpected HTTP status: 503 Service Unavailable", "",
		 ERROR_UNAVAILABLE, true},
		{418, "{\"errors\":[7, {}, {\"code\": 5}]}",
		 "http://x/v2/: received unexpected HTTP status: 418 ", "", ERROR_INTERNAL, false},
		{401, "{\"details\":\"incorrect username or password\"}",
		 "incorrect username or password", "", ERROR_UNAUTHORIZED, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autotransfer_response struct transfer_response answer = {.status = cases[i].status};
		struct session_failure failure = {0};
		autoerror struct error err = {0};

		strbuf_init(&answer.body, 65536);
		strbuf_adds(&answer.body, cases[i].body);
		assert_true(failure_of_answer(&answer, "http://x/v2/", &failure, &err) < 0);
		assert_string_equal(error_msg(&err), cases[i].message);
		assert_string_equal(failure.code, cases[i].code);
		assert_int_equal(err.kind, cases[i].kind);
		assert_int_equal(failure.is_retryable, cases[i].retry);
	}
}

/* As a registry answers when the token is not for this. */
static void test_denied(void **state)
{
	autotransfer_response struct transfer_response answer = {.status = 401};
	struct session_failure failure = {0};
	autoerror struct error err = {0};

	(void)state;
	strbuf_init(&answer.body, 65536);
	strbuf_adds(&answer.body, "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"x\"}]}");
	strv_add(&answer.headers, "www-authenticate: Basic realm=\"r\"");
	strv_add(&answer.headers, "www-authenticate: Bearer realm=\"https://r/t\",service=\"s\","
				  "error=\"insufficient_scope\"");
	assert_true(failure_of_answer(&answer, "http://x/v2/", &failure, &err) < 0);
	assert_string_equal(error_msg(&err), "denied: requested access to the resource is denied");
	assert_string_equal(failure.code, "DENIED");
	assert_int_equal(err.kind, ERROR_FORBIDDEN);
	assert_false(failure.is_retryable);
}

static void test_retry_after(void **state)
{
	autotransfer_response struct transfer_response r = {0};

	(void)state;
	assert_int_equal(transfer_retry_after(&r), -1);
	strv_add(&r.headers, "retry-after: 12");
	assert_int_equal(transfer_retry_after(&r), 12);
	assert_string_equal(transfer_header(&r, "retry-after", 0), "12");
	assert_null(transfer_header(&r, "retry-after", 1));
	assert_null(transfer_header(&r, "retry", 0));
	free(r.headers.v[0]);
	r.headers.v[0] = xstrdup("retry-after: Mon, 06 Jan 2020 00:00:00 GMT");
	assert_int_equal(transfer_retry_after(&r), 0); /* it is past */
	free(r.headers.v[0]);
	r.headers.v[0] = xstrdup("retry-after: -7");
	assert_int_equal(transfer_retry_after(&r), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_denied),
		cmocka_unit_test(test_retry_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
