#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "linux/sys.h"
#include "runtime/plan.h"

#define DOC(mounts, linux_)                                                                       \
	"{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"r\"},\"mounts\":[" mounts "],\"linux\":{" \
	"\"namespaces\":[{\"type\":\"mount\"}]" linux_ "}}"

static int make(struct arena *a, const char *text, const char *init, struct plan *ret,
		struct error *err)
{
	struct oci_spec *spec = arena_new0(a, struct oci_spec);

	if (oci_spec_parse(a, text, strlen(text), spec, err) < 0)
		fail_msg("%s", error_msg(err));
	return plan_make(a, spec, init, ret, err);
}

static void kinds_of_mounts(void **state)
{
	autoarena struct arena *a = arena_new();
	struct error err = {0};
	struct plan plan;

	(void)state;
	assert_int_equal(
		make(a,
		     DOC("{\"destination\":\"/proc\",\"type\":\"proc\"},"
			 "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"options\":[\"nosuid\","
			 "\"size=1m\"]},"
			 "{\"destination\":\"/dev/pts\",\"type\":\"devpts\"},"
			 "{\"destination\":\"//a/./b/../c/\",\"source\":\"/"
			 "x\",\"options\":[\"rbind\","
			 "\"ro\",\"rslave\"]},"
			 "{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\"},"
			 "{\"destination\":\"../../up\",\"type\":\"bind\",\"source\":\"rel\"}",
			 ""),
		     "/init", &plan, &err),
		0);
	assert_int_equal(plan.mount_count, 7);
	assert_int_equal(plan.mounts[0].kind, PLAN_MOUNT_FS);
	assert_true(plan.mounts[0].no_symlinks);
	assert_int_equal(plan.mounts[1].options.attr_set, MOUNT_ATTR_NOSUID);
	assert_int_equal(plan.mounts[1].options.file_system[0], 2); /* the second option */
	assert_true(plan.make_dev);
	assert_true(plan.has_devpts);
	assert_int_equal(plan.mounts[3].kind, PLAN_MOUNT_BIND);
	assert_string_equal(plan.mounts[3].destination, "a/c");
	assert_true(plan.mounts[3].options.bind_recursive);
	assert_int_equal(plan.mounts[3].options.attr_set, MOUNT_ATTR_RDONLY);
	assert_int_equal(plan.mounts[3].options.propagation, MS_SLAVE);
	assert_true(plan.mounts[3].options.propagation_recursive);
	assert_int_equal(plan.mounts[4].kind, PLAN_MOUNT_CGROUP);
	assert_true(plan.has_cgroup);
	assert_string_equal(plan.mounts[5].destination, "up"); /* not above the root */
	/* vessel-init comes last, over whatever is there */
	assert_string_equal(plan.mounts[6].destination, "sbin/docker-init");
	assert_string_equal(plan.mounts[6].source, "/init");
	assert_int_equal(plan.mounts[6].options.attr_set, MOUNT_ATTR_RDONLY);
}

static void refused_mounts(void **state)
{
	static const struct {
		const char *text;
		enum error_kind kind;
	} cases[] = {
		{DOC("{\"destination\":\"/proc\",\"type\":\"tmpfs\"}", ""), ERROR_INVALID},
		{DOC("{\"destination\":\"/proc/sys\",\"type\":\"tmpfs\"}", ""), ERROR_INVALID},
		{DOC("{\"destination\":\"/a/../proc/self\",\"type\":\"bind\",\"source\":\"/x\"}",
		     ""),
		 ERROR_INVALID},
		{DOC("{\"destination\":\"/\",\"type\":\"tmpfs\"}", ""), ERROR_INVALID},
		{DOC("{\"destination\":\"/x\",\"type\":\"bind\"}", ""), ERROR_INVALID},
		{DOC("{\"destination\":\"/x\"}", ""), ERROR_INVALID},
		{DOC("{\"destination\":\"/x\",\"source\":\"/y\",\"options\":[\"bind\",\"size=1\"]}",
		     ""),
		 ERROR_INVALID},
		{DOC("{\"destination\":\"/x\",\"type\":\"proc\",\"options\":[\"tmpcopyup\"]}", ""),
		 ERROR_INVALID},
		{DOC("{\"destination\":\"/x\",\"type\":\"tmpfs\",\"options\":[\"idmap\"]}", ""),
		 ERROR_INVALID},
		{DOC("{\"destination\":\"/x\",\"source\":\"/y\",\"options\":[\"bind\",\"sync\"]}",
		     ""),
		 ERROR_INVALID},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		autoarena struct arena *a = arena_new();
		struct error err = {0};
		struct plan plan;

		if (make(a, cases[i].text, NULL, &plan, &err) >= 0)
			fail_msg("accepted: %s", cases[i].text);
		assert_int_equal(err.kind, cases[i].kind);
		assert_non_null(strstr(err.msg, "mounts[0]"));
		error_done(&err);
	}
}

static void lxcfs_may_replace_files_of_proc(void **state)
{
	autoarena struct arena *a = arena_new();
	struct error err = {0};
	struct plan plan;

	(void)state;
	assert_int_equal(make(a,
			      DOC("{\"destination\":\"/proc/meminfo\",\"type\":\"bind\",\"source\":"
				  "\"/var/lib/lxcfs/proc/meminfo\"}",
				  ""),
			      NULL, &plan, &err),
			 0);
}

static void devices_with_overrides(void **state)
{
	autoarena struct arena *a = arena_new();
	struct error err = {0};
	struct plan plan;
	size_t nulls = 0;

	(void)state;
	assert_int_equal(
		make(a,
		     DOC("{\"destination\":\"/dev\",\"type\":\"bind\",\"source\":\"/dev\"}",
			 ",\"devices\":[{\"path\":\"/dev/null\",\"type\":\"c\",\"major\":1,"
			 "\"minor\":3,\"fileMode\":384},{\"path\":\"/dev/x/y\",\"type\":\"b\","
			 "\"major\":8,\"minor\":1,\"uid\":5}]"),
		     NULL, &plan, &err),
		0);
	assert_false(plan.make_dev); /* the user's own /dev */
	assert_int_equal(plan.device_count, 7);
	for (size_t i = 0; i < plan.device_count; i++)
		nulls += strcmp(plan.devices[i].path, "dev/null") == 0;
	assert_int_equal(nulls, 1);
	assert_int_equal(plan.devices[0].mode, 0600);
	assert_string_equal(plan.devices[1].path, "dev/x/y");
	assert_int_equal(plan.devices[1].uid, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_of_mounts),
		cmocka_unit_test(refused_mounts),
		cmocka_unit_test(lxcfs_may_replace_files_of_proc),
		cmocka_unit_test(devices_with_overrides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
