/* config.json: what parses can be planned and is within the bounds that the rest relies on, and every
 * refusal has a kind and a message. */
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "linux/cpulist.h"
#include "linux/rlimits.h"
#include "oci/runtime_spec.h"
#include "runtime/plan.h"

#include "fuzz.h"

static void check_error(int r, struct error *err)
{
	if (r < 0 &&
	    (!err->msg || (err->kind != ERROR_INVALID && err->kind != ERROR_NOT_IMPLEMENTED)))
		abort();
	if (r >= 0 && err->msg)
		abort();
	error_done(err);
}

static void check_plan(const struct plan *plan)
{
	for (size_t i = 0; i < plan->mount_count; i++) {
		const char *d = plan->mounts[i].destination;

		/* relative to the root, and not above it */
		if (d[0] == '/' || d[0] == '\0' || (d[0] == '.' && d[1] == '.' && d[2] == '/'))
			abort();
	}
}

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_cpus(const char *list)
{
	uint64_t words[CPULIST_WORDS];

	require(!list || cpulist_parse(list, words) >= 0);
}

static void check_process(const struct oci_process *p)
{
	require(p->args.n > 0 && p->args.v[p->args.n] == NULL && p->cwd[0] == '/');
	for (size_t i = 0; i < p->rlimits.n; i++) {
		const struct oci_rlimit *limit = oci_at(&p->rlimits, struct oci_rlimit, i);

		require(rlimit_parse(limit->type) >= 0 && limit->soft <= limit->hard);
	}
	if (p->scheduler) {
		require(p->scheduler->nice >= -20 && p->scheduler->nice <= 19);
		require(p->scheduler->policy <= 6 && p->scheduler->policy_name);
	}
	if (p->io_priority) {
		require(p->io_priority->io_class >= 1 && p->io_priority->io_class <= 3);
		require(p->io_priority->priority >= 0 && p->io_priority->priority <= 7);
	}
	check_cpus(p->exec_cpu_affinity.initial);
	check_cpus(p->exec_cpu_affinity.final);
}

static void check_linux(const struct oci_linux *l)
{
	for (size_t i = 0; i < l->sysctl.n; i++) {
		int type = oci_sysctl_namespace(l->sysctl.keys[i]);

		require(type >= 0 && l->namespaces[type].present);
		require(!strstr(l->sysctl.keys[i], ".."));
	}
	for (size_t i = 0; i < l->net_devices.n; i++) {
		const struct oci_net_device *dev =
			oci_at(&l->net_devices, struct oci_net_device, i);

		require(dev->name[0] && strlen(dev->name) < IF_NAMESIZE);
		require(dev->new_name[0] && strlen(dev->new_name) < IF_NAMESIZE);
		require(!strchr(dev->new_name, '/'));
	}
	if (l->memory_policy) {
		require(l->memory_policy->mode <= 6);
		check_cpus(l->memory_policy->nodes);
	}
	if (l->intel_rdt && l->intel_rdt->clos_id)
		require(strcmp(l->intel_rdt->clos_id, "/") == 0 ||
			!strchr(l->intel_rdt->clos_id, '/'));
	require(!l->seccomp_listener_metadata || !l->seccomp_listener_metadata[0] ||
		l->seccomp_listener_path);
}

/* The objects that come alone, as exec and update take them. */
static void check_alone(struct arena *a, const char *text, size_t size)
{
	struct oci_resources resources;
	struct oci_process process;
	struct error err = {0};
	const struct json *v;
	int r = json_parse(a, text, size, &v, &err);

	error_done(&err);
	if (r < 0)
		return;
	r = oci_process_parse(a, v, &process, &err);
	check_error(r, &err);
	if (r >= 0)
		check_process(&process);
	check_error(oci_resources_parse(a, v, &resources, &err), &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena *a = arena_new();
	struct error err = {0};
	struct oci_spec spec;
	struct plan plan;
	int r = oci_spec_parse(a, (const char *)data, size, &spec, &err);

	check_error(r, &err);
	if (r < 0) {
		check_alone(a, (const char *)data, size);
		return 0;
	}
	if (spec.has_process)
		check_process(&spec.process);
	check_linux(&spec.linux_);
	r = plan_make(a, &spec, NULL, &plan, &err);
	check_error(r, &err);
	if (r >= 0)
		check_plan(&plan);
	return 0;
}
