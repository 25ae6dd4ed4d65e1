/* engine/config_update.c - limits and the restart policy of a container that exists. */
#include <string.h>

#include "base/mem.h"
#include "engine/config_priv.h"

#define DOC_MAX ((size_t)8 << 20) /* bytes of a configuration */

/* What Docker's engine ignores here, and nobody should believe to have changed.  Clients that send all that inspect
 * says, or all that the container was made with, change nothing of it. */
static const char *const fixed[] = {
	"BlkioDeviceReadBps",
	"BlkioDeviceReadIOps",
	"BlkioDeviceWriteBps",
	"BlkioDeviceWriteIOps",
	"BlkioWeightDevice",
	"CgroupParent",
	"CpuCount",
	"CpuPercent",
	"IOMaximumBandwidth",
	"IOMaximumIOps",
	"DeviceCgroupRules",
	"DeviceRequests",
	"Devices",
	"Init",
	"KernelMemory",
	"KernelMemoryTCP",
	"MemorySwappiness",
	"OomKillDisable",
	"Ulimits",
};

static int to_json(struct arena *a, const struct host_config *h, const struct json **ret,
		   struct error *err)
{
	autostrbuf struct strbuf doc = STRBUF_INIT(DOC_MAX);
	struct json_writer w;

	json_writer_init(&w, &doc);
	jw_object(&w);
	host_config_write(h, 0, &w);
	jw_object_end(&w);
	return json_parse(a, doc.s, doc.len, ret, err);
}

static bool is_same(const struct json *a, const struct json *b)
{
	autostrbuf struct strbuf text_a = STRBUF_INIT(DOC_MAX), text_b = STRBUF_INIT(DOC_MAX);
	struct json_writer w;

	json_writer_init(&w, &text_a);
	jw_value(&w, a);
	json_writer_init(&w, &text_b);
	jw_value(&w, b);
	return str_eq(text_a.s, text_b.s);
}

static int refuse_fixed(struct arena *a, const struct host_config *have, const struct json *body,
			const struct host_config *want, struct error *err)
{
	const struct json *had = NULL, *wanted = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		int r = 0;

		if (json_is_zero(json_get(body, fixed[i])))
			continue;
		if (!had) {
			r = to_json(a, have, &had, err);
			r = r < 0 ? r : to_json(a, want, &wanted, err);
		}
		if (r < 0)
			return r;
		if (json_is_zero(json_get(had, fixed[i])) ||
		    !is_same(json_get(had, fixed[i]), json_get(wanted, fixed[i])))
			return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
					 "update of %s is not implemented", fixed[i]);
	}
	return 0;
}

static int conflict(struct error *err, const char *what)
{
	return error_set(err, ERROR_CONFLICT, 0, "%s", what);
}

/* The one is kept as the others of the kernel: they cannot be mixed, at once or one after the other. */
static int check_cpus(const struct host_config *have, const struct host_config *want,
		      struct error *err)
{
	if (want->nano_cpus > 0 && have->cpu_period > 0)
		return conflict(err,
				"Conflicting options: Nano CPUs cannot be updated as CPU Period "
				"has already been set");
	if (want->nano_cpus > 0 && have->cpu_quota > 0)
		return conflict(err,
				"Conflicting options: Nano CPUs cannot be updated as CPU Quota "
				"has already been set");
	if (want->cpu_period > 0 && have->nano_cpus > 0)
		return conflict(err,
				"Conflicting options: CPU Period cannot be updated as NanoCPUs "
				"has already been set");
	if (want->cpu_quota > 0 && have->nano_cpus > 0)
		return conflict(err, "Conflicting options: CPU Quota cannot be updated as NanoCPUs "
				     "has already been set");
	return 0;
}

static int check(const struct host_config *have, const struct host_config *want, struct error *err)
{
	if (want->memory > have->memory_swap && want->memory_swap == 0 && want->memory > 0 &&
	    have->memory_swap != -1)
		return conflict(err, "Memory limit should be smaller than already set memoryswap "
				     "limit, update the memoryswap at the same time");
	if (have->auto_remove && *want->restart.name && strcmp(want->restart.name, "no") != 0)
		return conflict(err,
				"Restart policy cannot be updated because AutoRemove is enabled "
				"for the container");
	return check_cpus(have, want, err);
}

static void merge_number(int64_t *have, int64_t want)
{
	if (want != 0)
		*have = want;
}

static void merge(struct host_config *h, const struct host_config *want)
{
	merge_number(&h->cpu_shares, want->cpu_shares);
	merge_number(&h->nano_cpus, want->nano_cpus);
	merge_number(&h->cpu_period, want->cpu_period);
	merge_number(&h->cpu_quota, want->cpu_quota);
	merge_number(&h->cpu_rt_period, want->cpu_rt_period);
	merge_number(&h->cpu_rt_runtime, want->cpu_rt_runtime);
	merge_number(&h->memory, want->memory);
	merge_number(&h->memory_swap, want->memory_swap);
	merge_number(&h->memory_reservation, want->memory_reservation);
	if (want->blkio_weight != 0)
		h->blkio_weight = want->blkio_weight;
	if (*want->cpuset_cpus)
		h->cpuset_cpus = want->cpuset_cpus;
	if (*want->cpuset_mems)
		h->cpuset_mems = want->cpuset_mems;
	if (want->pids_limit)
		h->pids_limit = want->pids_limit;
	if (*want->restart.name)
		h->restart = want->restart;
}

int config_update(const struct host_config *have, const struct json *body, struct arena *a,
		  struct host_config *ret, struct strv *warnings, struct error *err)
{
	struct host_config want = {0};
	int r;

	if (json_type(body) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID, 0, "the body is not an object");
	r = config_decode_host(a, body, &want, err);
	r = r < 0 ? r : refuse_fixed(a, have, body, &want, err);
	r = r < 0 ? r : check(have, &want, err);
	if (r < 0)
		return r;
	*ret = *have;
	merge(ret, &want);
	r = *want.restart.name ? config_restart_validate(ret, err) : 0;
	return r < 0 ? r : config_resources_validate(ret, warnings, err);
}

static const char *keep(struct arena *a, const char *have, const char *want)
{
	return strcmp(have, want) == 0 ? have : arena_strdup(a, want);
}

void config_update_commit(struct container_spec *s, const struct host_config *next)
{
	struct host_config *h = &s->host;
	const struct host_config have = *h;

	*h = *next;
	h->cpuset_cpus = keep(s->arena, have.cpuset_cpus, next->cpuset_cpus);
	h->cpuset_mems = keep(s->arena, have.cpuset_mems, next->cpuset_mems);
	h->restart.name = keep(s->arena, have.restart.name, next->restart.name);
	h->pids_limit = have.pids_limit;
	if (!next->pids_limit)
		h->pids_limit = NULL;
	else if (!have.pids_limit || *have.pids_limit != *next->pids_limit)
		h->pids_limit = arena_memdup(s->arena, next->pids_limit, sizeof(*next->pids_limit));
}
