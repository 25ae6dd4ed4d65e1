/* Docker's seccomp profile, decided for capabilities, architecture and kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/seccomp_profile.h"

static const struct json *decide(struct arena *a, const char *text,
				 const struct seccomp_context *ctx)
{
	struct strbuf out = STRBUF_INIT((size_t)1 << 20);
	const struct json *doc = NULL;
	struct json_writer w;

	json_writer_init(&w, &out);
	assert_int_equal(seccomp_profile_write(text, text ? strlen(text) : 0, ctx, &w, NULL), 0);
	assert_int_equal(json_parse(a, out.s, out.len, &doc, NULL), 0);
	strbuf_done(&out);
	return doc;
}

/* How many rules allow it. */
static unsigned rules_for(const struct json *doc, const char *name, const char *action)
{
	const struct json *rule, *v;
	unsigned n = 0;

	json_array_foreach(rule, json_get(doc, "syscalls")) {
		if (!str_eq(json_get_string(rule, "action"), action))
			continue;
		json_array_foreach(v, json_get(rule, "names"))
			n += str_eq(json_string(v), name);
	}
	return n;
}

static void default_profile(void **state)
{
	struct arena *a = arena_new();
	const struct seccomp_context plain = {
		.arch = "amd64", .kernel_major = 6, .kernel_minor = 1};
	const struct json *doc = decide(a, NULL, &plain);

	(void)state;
	assert_string_equal(json_get_string(doc, "defaultAction"), "SCMP_ACT_ERRNO");
	assert_int_equal(json_get_int(doc, "defaultErrnoRet"), 1);
	assert_string_equal(json_string(json_at(json_get(doc, "architectures"), 0)),
			    "SCMP_ARCH_X86_64");
	assert_int_equal(json_count(json_get(doc, "architectures")), 3);
	assert_int_equal(rules_for(doc, "read", "SCMP_ACT_ALLOW"), 1);
	assert_int_equal(rules_for(doc, "ptrace", "SCMP_ACT_ALLOW"), 1);
	assert_int_equal(rules_for(doc, "mount", "SCMP_ACT_ALLOW"), 0);
	assert_int_equal(rules_for(doc, "arch_prctl", "SCMP_ACT_ALLOW"), 1);
	assert_int_equal(rules_for(doc, "clone", "SCMP_ACT_ALLOW"), 1); /* by its argument */
	assert_int_equal(rules_for(doc, "clone3", "SCMP_ACT_ERRNO"), 1);
	(void)arena_free(a);
}

static void capabilities_open_more(void **state)
{
	static const char *const caps[] = {"CAP_SYS_ADMIN", "CAP_SYS_TIME"};
	struct arena *a = arena_new();
	const struct seccomp_context ctx = {.caps = caps,
					    .cap_count = 2,
					    .arch = "amd64",
					    .kernel_major = 6,
					    .kernel_minor = 1};
	const struct json *doc = decide(a, NULL, &ctx);

	(void)state;
	assert_int_equal(rules_for(doc, "mount", "SCMP_ACT_ALLOW"), 1);
	assert_int_equal(rules_for(doc, "clone", "SCMP_ACT_ALLOW"), 1); /* whatever its argument */
	assert_int_equal(rules_for(doc, "clone3", "SCMP_ACT_ERRNO"), 0);
	assert_int_equal(rules_for(doc, "settimeofday", "SCMP_ACT_ALLOW"), 1);
	(void)arena_free(a);
}

static void kernel_and_architecture(void **state)
{
	struct arena *a = arena_new();
	const struct seccomp_context old = {.arch = "amd64", .kernel_major = 4, .kernel_minor = 7};
	const struct seccomp_context arm = {.arch = "arm64", .kernel_major = 6, .kernel_minor = 1};
	const struct json *doc = decide(a, NULL, &old);

	(void)state;
	assert_int_equal(rules_for(doc, "ptrace", "SCMP_ACT_ALLOW"), 0);
	doc = decide(a, NULL, &arm);
	assert_int_equal(rules_for(doc, "arch_prctl", "SCMP_ACT_ALLOW"), 0);
	assert_string_equal(json_string(json_at(json_get(doc, "architectures"), 0)),
			    "SCMP_ARCH_AARCH64");
	(void)arena_free(a);
}

static void own_profile(void **state)
{
	static const char text[] =
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X86\"],"
		"\"syscalls\":[{\"name\":\"chmod\",\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":38},"
		"{\"names\":[\"kill\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":0,"
		"\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}]}";
	struct arena *a = arena_new();
	const struct seccomp_context ctx = {.arch = "amd64"};
	const struct json *doc = decide(a, text, &ctx), *rules = json_get(doc, "syscalls");

	(void)state;
	assert_int_equal(json_count(rules), 2);
	assert_int_equal(json_get_int(json_at(rules, 0), "errnoRet"), 38);
	assert_int_equal(json_count(json_get(json_at(rules, 1), "args")), 1);
	assert_int_equal(json_count(json_get(doc, "architectures")), 1);
	(void)arena_free(a);
}

static void refuses_what_is_no_profile(void **state)
{
	static const char *const bad[] = {"", "[]", "{}", "{\"defaultAction\":1}", "{"};
	const struct seccomp_context ctx = {.arch = "amd64"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct strbuf out = STRBUF_INIT(4096);
		autoerror struct error err = {0};
		struct json_writer w;

		json_writer_init(&w, &out);
		assert_true(seccomp_profile_write(bad[i], strlen(bad[i]), &ctx, &w, &err) < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
		strbuf_done(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_profile),
		cmocka_unit_test(capabilities_open_more),
		cmocka_unit_test(kernel_and_architecture),
		cmocka_unit_test(own_profile),
		cmocka_unit_test(refuses_what_is_no_profile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
