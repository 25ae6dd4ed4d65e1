/* Heads of requests and responses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/head.h"

static int parse(struct arena *a, const char *s, struct http_head *ret)
{
	const char *why = NULL;
	int status = http_head_parse_request(a, s, strlen(s), ret, &why);

	assert_true((status == 0) == (why == NULL));
	return status;
}

static void test_request(void **state)
{
	autoarena struct arena *a = arena_new();
	struct http_head h;

	(void)state;
	assert_int_equal(parse(a,
			       "POST /v1.44/a%2Fb?x=1&y HTTP/1.1\r\nHost: docker\r\n"
			       "Content-Length:  12\t\r\nX-Empty:\r\n\r\n",
			       &h),
			 0);
	assert_string_equal(h.method, "POST");
	assert_string_equal(h.path, "/v1.44/a%2Fb");
	assert_string_equal(h.query, "x=1&y");
	assert_int_equal(h.version, 11);
	assert_int_equal(h.n_headers, 3);
	assert_int_equal(h.content_length, 12);
	assert_true(h.keep_alive);
	assert_false(h.chunked);
	assert_string_equal(http_head_get(&h, "hOST"), "docker");
	assert_string_equal(http_head_get(&h, "x-empty"), "");
	assert_null(http_head_get(&h, "Accept"));
}

static void test_targets(void **state)
{
	static const struct {
		const char *target, *path, *query;
	} cases[] = {
		{"/", "/", ""},
		{"/?a", "/", "a"},
		{"http://docker/info?x=1", "/info", "x=1"},
		{"HTTPS://[::1]:2376/v1/x", "/v1/x", ""},
		{"http://docker", "/", ""},
		{"http://docker?q", "/", "q"},
		{"*", "*", ""},
		{"//double/", "//double/", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		autoarena struct arena *a = arena_new();
		char *s = arena_printf(a, "GET %s HTTP/1.1\r\n\r\n", cases[i].target);
		struct http_head h;

		assert_int_equal(parse(a, s, &h), 0);
		assert_string_equal(h.path, cases[i].path);
		assert_string_equal(h.query, cases[i].query);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *head;
		int status;
	} cases[] = {
		{"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
		{"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nA : b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n: v\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nExpect: miracles\r\n\r\n", 417},
		{"GET / HTTP/2.0\r\n\r\n", 505},
		{"GET / HTTP/11\r\n\r\n", 400},
		{"GET /\r\n\r\n", 400},
		{"GET  / HTTP/1.1\r\n\r\n", 400},
		{"GET / x HTTP/1.1\r\n\r\n", 400},
		{"G(T / HTTP/1.1\r\n\r\n", 400},
		{"CONNECT host:80 HTTP/1.1\r\n\r\n", 400},
		{"GET /\x01 HTTP/1.1\r\n\r\n", 400},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		autoarena struct arena *a = arena_new();
		struct http_head h;

		if (parse(a, cases[i].head, &h) != cases[i].status)
			fail_msg("%s", cases[i].head);
	}
}

static void test_nul_is_refused(void **state)
{
	static const char head[] = "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n";
	autoarena struct arena *a = arena_new();
	const char *why = NULL;
	struct http_head h;

	(void)state;
	assert_int_equal(http_head_parse_request(a, head, sizeof(head) - 1, &h, &why), 400);
}

static void test_header_limit(void **state)
{
	for (int n = HTTP_HEADERS_MAX; n <= HTTP_HEADERS_MAX + 1; n++) {
		autoarena struct arena *a = arena_new();
		autostrbuf struct strbuf b = STRBUF_INIT(HTTP_HEAD_MAX);
		struct http_head h;

		strbuf_adds(&b, "GET / HTTP/1.1\r\n");
		for (int i = 0; i < n; i++)
			strbuf_addf(&b, "H%d: %d\r\n", i, i);
		strbuf_adds(&b, "\r\n");
		assert_int_equal(parse(a, b.s, &h), n > HTTP_HEADERS_MAX ? 431 : 0);
		if (n == HTTP_HEADERS_MAX)
			assert_string_equal(http_head_get(&h, "h199"), "199");
	}
	(void)state;
}

static void test_connection(void **state)
{
	static const struct {
		const char *version, *headers;
		bool keep_alive, upgrade;
	} cases[] = {
		{"1.1", "", true, false},
		{"1.1", "Connection: Close\r\n", false, false},
		{"1.0", "", false, false},
		{"1.0", "Connection: keep-alive\r\n", true, false},
		{"1.1", "Connection: Upgrade\r\nUpgrade: tcp\r\n", true, true},
		{"1.1", "Connection: keep-alive, upgrade\r\nUpgrade: h2c, TCP\r\n", true, true},
		{"1.1", "Upgrade: tcp\r\n", true, false},
		{"1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true, false},
		{"1.1", "Connection: notclose\r\n", true, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		autoarena struct arena *a = arena_new();
		char *s = arena_printf(a, "GET / HTTP/%s\r\n%s\r\n", cases[i].version,
				       cases[i].headers);
		struct http_head h;

		assert_int_equal(parse(a, s, &h), 0);
		assert_int_equal(h.keep_alive, cases[i].keep_alive);
		assert_int_equal(h.upgrade_tcp, cases[i].upgrade);
	}
}

static void test_response(void **state)
{
	static const char head[] = "HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n";
	static const char bare[] = "HTTP/1.0 204\r\n\r\n";
	static const char bad[] = "HTTP/1.1 2x4 No\r\n\r\n";
	autoarena struct arena *a = arena_new();
	const char *why = NULL;
	struct http_head h;

	(void)state;
	assert_int_equal(http_head_parse_response(a, head, sizeof(head) - 1, &h, &why), 0);
	assert_int_equal(h.status, 101);
	assert_string_equal(h.reason, "UPGRADED");
	assert_int_equal(http_head_parse_response(a, bare, sizeof(bare) - 1, &h, &why), 0);
	assert_int_equal(h.status, 204);
	assert_string_equal(h.reason, "");
	assert_int_equal(h.version, 10);
	assert_int_equal(http_head_parse_response(a, bad, sizeof(bad) - 1, &h, &why), -EBADMSG);
}

/* Whatever the pieces in which a head arrives, its end is found at the same place. */
static void test_scan_in_pieces(void **state)
{
	static const char s[] = "\r\n\r\nGET / HTTP/1.1\r\nA: b\r\n\r\nrest";
	size_t end = sizeof(s) - 1 - 4;

	(void)state;
	for (size_t piece = 1; piece < sizeof(s); piece++) {
		struct http_head_scan scan = {0};
		ssize_t n = 0;
		size_t len = 0;

		while (n == 0) {
			len = len + piece > sizeof(s) - 1 ? sizeof(s) - 1 : len + piece;
			n = http_head_scan(&scan, s, len);
		}
		assert_int_equal(n, end);
		assert_int_equal(scan.start, 4);
	}
}

static void test_scan_refuses(void **state)
{
	autofree char *big = xcalloc(1, HTTP_HEAD_MAX + 8);
	struct http_head_scan scan = {0};

	(void)state;
	assert_int_equal(http_head_scan(&scan, "GET / HTTP/1.1\nA: b\r\n", 21), -EBADMSG);
	scan = (struct http_head_scan){0};
	assert_int_equal(http_head_scan(&scan, "\n", 1), -EBADMSG);
	memset(big, 'a', HTTP_HEAD_MAX + 8);
	scan = (struct http_head_scan){0};
	assert_int_equal(http_head_scan(&scan, big, HTTP_HEAD_MAX - 1), 0);
	assert_int_equal(http_head_scan(&scan, big, HTTP_HEAD_MAX), -E2BIG);
}

static void test_media_type(void **state)
{
	autoarena struct arena *a = arena_new();

	(void)state;
	assert_string_equal(http_head_media_type(a, "Application/JSON; charset=utf-8"),
			    "application/json");
	assert_string_equal(http_head_media_type(a, NULL), "");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),      cmocka_unit_test(test_targets),
		cmocka_unit_test(test_refused),      cmocka_unit_test(test_nul_is_refused),
		cmocka_unit_test(test_header_limit), cmocka_unit_test(test_connection),
		cmocka_unit_test(test_response),     cmocka_unit_test(test_scan_in_pieces),
		cmocka_unit_test(test_scan_refuses), cmocka_unit_test(test_media_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
