/* Paths to routes, and versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/api_priv.h"
#include "api/router.h"
#include "base/arena.h"
#include "base/mem.h"

struct expected {
	const char *method, *path;
	const char *pattern; /* NULL: no such route */
	const char *param;
};
static const struct expected routes[] = {
	{"GET", "/_ping", "/_ping", NULL},
	{"HEAD", "/_ping", "/_ping", NULL},
	{"POST", "/_ping", NULL, NULL},
	{"GET", "/containers/json", "/containers/json", NULL},
	{"GET", "/containers/web/json", "/containers/{}/json", "web"},
	{"GET", "/containers/json/json", "/containers/{}/json", "json"},
	{"GET", "/containers//json", NULL, NULL},
	{"GET", "/containers/a/b/json", NULL, NULL},
	{"POST", "/containers/create", "/containers/create", NULL},
	{"POST", "/containers/prune/start", "/containers/{}/start", "prune"},
	{"DELETE", "/containers/web", "/containers/{*}", "web"},
	{"DELETE", "/containers/web/database", "/containers/{*}", "web/database"},
	{"GET", "/containers//web/json", "/containers/{}/json", "web"},
	{"GET", "/containers/web", NULL, NULL},
	{"GET", "/images/json", "/images/json", NULL},
	{"GET", "/images/busybox/json", "/images/{*}/json", "busybox"},
	{"GET", "/images/docker.io/library/x:1/json", "/images/{*}/json", "docker.io/library/x:1"},
	{"GET", "/images/a/json/json", "/images/{*}/json", "a/json"},
	{"GET", "/images/get", "/images/get", NULL},
	{"GET", "/images/reg/x/get", "/images/{*}/get", "reg/x"},
	{"DELETE", "/images/reg:5000/x@sha256:ab", "/images/{*}", "reg:5000/x@sha256:ab"},
	{"GET", "/networks", "/networks", NULL},
	{"GET", "/networks/", "/networks/", NULL},
	{"GET", "/networks/bridge", "/networks/{*}", "bridge"},
	{"GET", "/exec/abc/json", "/exec/{}/json", "abc"},
	{"GET", "/plugins/org/p:1/json", "/plugins/{*}/json", "org/p:1"},
	{"GET", "/nowhere", NULL, NULL},
	{"GET", "/", NULL, NULL},
	{"GET", "", NULL, NULL},
};

static void test_routes(void **state)
{
	autoarena struct arena *a = arena_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		const struct expected *e = &routes[i];
		const char *params[2] = {0};
		const struct api_route *r = router_find(a, e->method, e->path, params);

		if (!r != !e->pattern || (r && strcmp(r->pattern, e->pattern) != 0))
			fail_msg("%s %s: %s", e->method, e->path, r ? r->pattern : "none");
		if (e->param && strcmp(params[0], e->param) != 0)
			fail_msg("%s %s: '%s'", e->method, e->path, params[0]);
	}
}

/* No route hides behind an earlier one. */
static void test_all_reachable(void **state)
{
	autoarena struct arena *a = arena_new();

	(void)state;
	for (size_t i = 0; i < api_route_count; i++) {
		const char *pattern = api_routes[i].pattern, *params[2];
		char path[128];
		size_t n = 0;

		for (const char *p = pattern; *p; p++) {
			if (*p == '{') {
				p = strchr(p, '}');
				path[n++] = 'x';
			} else {
				path[n++] = *p;
			}
		}
		path[n] = '\0';
		if (router_find(a, api_routes[i].method, path, params) != &api_routes[i])
			fail_msg("%s %s is not reachable", api_routes[i].method, pattern);
	}
}

static void test_versions(void **state)
{
	static const struct {
		const char *path;
		unsigned version;
		const char *rest;
	} good[] = {
		{"/info", 151, "/info"},
		{"/v1.24/info", 124, "/info"},
		{"/v1.51/containers/v1.2/json", 151, "/containers/v1.2/json"},
		{"/v1.44/_ping", 144, "/_ping"},
		{"/version", 151, "/version"},
		{"/volumes", 151, "/volumes"},
		{"/v1/info", 151, "/v1/info"},
		{"/v1.44", 151, "/v1.44"},
		{"/v1.2.3/info", 151, "/v1.2.3/info"},
	};
	const char *rest;
	unsigned version;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(router_version(good[i].path, &version, &rest, NULL), 0);
		assert_int_equal(version, good[i].version);
		assert_string_equal(rest, good[i].rest);
	}
}

static void test_bad_versions(void **state)
{
	autoerror struct error old = {0}, new = {0}, major = {0};
	const char *rest;
	unsigned version;

	(void)state;
	assert_true(router_version("/v1.23/info", &version, &rest, &old) < 0);
	assert_int_equal(api_status(old.kind), 400);
	assert_string_equal(error_msg(&old),
			    "client version 1.23 is too old. Minimum supported API version is "
			    "1.24, please upgrade your client to a newer version");
	assert_true(router_version("/v1.99/info", &version, &rest, &new) < 0);
	assert_int_equal(api_status(new.kind), 400);
	assert_string_equal(error_msg(&new), "client version 1.99 is too new. Maximum supported "
					     "API version is 1.51");
	assert_true(router_version("/v2.0/info", &version, &rest, &major) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_all_reachable),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_bad_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
