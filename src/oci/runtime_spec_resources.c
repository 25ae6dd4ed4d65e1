/* The `linux.resources` object of config.json, and its table. */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/runtime_spec_priv.h"

int oci_decode_device_type(struct json_decoder *d, const struct json *v, void *field,
			   struct error *err)
{
	const char *s = json_string(v);

	if (!s || strlen(s) != 1 || !strchr("abcpu", s[0]))
		return json_decoder_error(d, err, "expected one of a, b, c, p, u");
	*(char *)field = s[0] == 'u' ? 'c' : s[0];
	return 0;
}

static int decode_access(struct json_decoder *d, const struct json *v, void *field,
			 struct error *err)
{
	struct oci_device_rule *rule = field;
	const char *s = json_string(v);

	if (!s || s[strspn(s, "rwm")] != '\0')
		return json_decoder_error(d, err, "expected letters of \"rwm\"");
	rule->read = strchr(s, 'r');
	rule->write = strchr(s, 'w');
	rule->mknod = strchr(s, 'm');
	return 0;
}

static const struct json_field device_rule_fields[] = {
	REQUIRED(struct oci_device_rule, allow, "allow", BOOL),
	CUSTOM(struct oci_device_rule, type, "type", oci_decode_device_type),
	FIELD(struct oci_device_rule, major, "major", OPT_I64),
	FIELD(struct oci_device_rule, minor, "minor", OPT_I64),
	WHOLE("access", decode_access),
	{0},
};
static const struct json_field memory_fields[] = {
	FIELD(struct oci_memory, limit, "limit", OPT_I64),
	FIELD(struct oci_memory, reservation, "reservation", OPT_I64),
	FIELD(struct oci_memory, swap, "swap", OPT_I64),
	FIELD(struct oci_memory, kernel, "kernel", OPT_I64),
	FIELD(struct oci_memory, kernel_tcp, "kernelTCP", OPT_I64),
	FIELD(struct oci_memory, swappiness, "swappiness", OPT_U64),
	FIELD(struct oci_memory, disable_oom_killer, "disableOOMKiller", OPT_BOOL),
	FIELD(struct oci_memory, use_hierarchy, "useHierarchy", OPT_BOOL),
	FIELD(struct oci_memory, check_before_update, "checkBeforeUpdate", OPT_BOOL),
	{0},
};
static const struct json_field cpu_fields[] = {
	FIELD(struct oci_cpu, shares, "shares", OPT_U64),
	FIELD(struct oci_cpu, quota, "quota", OPT_I64),
	FIELD(struct oci_cpu, burst, "burst", OPT_U64),
	FIELD(struct oci_cpu, period, "period", OPT_U64),
	FIELD(struct oci_cpu, realtime_runtime, "realtimeRuntime", OPT_I64),
	FIELD(struct oci_cpu, realtime_period, "realtimePeriod", OPT_U64),
	FIELD(struct oci_cpu, cpus, "cpus", STRING),
	FIELD(struct oci_cpu, mems, "mems", STRING),
	FIELD(struct oci_cpu, idle, "idle", OPT_I64),
	{0},
};
static const struct json_field weight_device_fields[] = {
	REQUIRED(struct oci_weight_device, major, "major", I64),
	REQUIRED(struct oci_weight_device, minor, "minor", I64),
	FIELD(struct oci_weight_device, weight, "weight", U16),
	FIELD(struct oci_weight_device, leaf_weight, "leafWeight", U16),
	{0}};
static const struct json_field throttle_fields[] = {
	REQUIRED(struct oci_throttle_device, major, "major", I64),
	REQUIRED(struct oci_throttle_device, minor, "minor", I64),
	REQUIRED(struct oci_throttle_device, rate, "rate", U64),
	{0}};
static const struct json_field block_io_fields[] = {
	FIELD(struct oci_block_io, weight, "weight", U16),
	FIELD(struct oci_block_io, leaf_weight, "leafWeight", U16),
	LIST(struct oci_block_io, weight_device, "weightDevice", weight_device_fields,
	     struct oci_weight_device),
	LIST(struct oci_block_io, read_bps, "throttleReadBpsDevice", throttle_fields,
	     struct oci_throttle_device),
	LIST(struct oci_block_io, write_bps, "throttleWriteBpsDevice", throttle_fields,
	     struct oci_throttle_device),
	LIST(struct oci_block_io, read_iops, "throttleReadIOPSDevice", throttle_fields,
	     struct oci_throttle_device),
	LIST(struct oci_block_io, write_iops, "throttleWriteIOPSDevice", throttle_fields,
	     struct oci_throttle_device),
	{0},
};
static const struct json_field hugepage_fields[] = {
	REQUIRED(struct oci_hugepage_limit, page_size, "pageSize", STRING),
	REQUIRED(struct oci_hugepage_limit, limit, "limit", U64),
	{0}};
static const struct json_field priority_fields[] = {
	REQUIRED(struct oci_network_priority, name, "name", STRING),
	REQUIRED(struct oci_network_priority, priority, "priority", U32),
	{0}};
static const struct json_field rdma_fields[] = {
	FIELD(struct oci_rdma, hca_handles, "hcaHandles", OPT_U32),
	FIELD(struct oci_rdma, hca_objects, "hcaObjects", OPT_U32),
	{0}};

static int decode_rdma(struct json_decoder *d, const struct json *v, void *field, struct error *err)
{
	struct json_objects *list = field;
	struct oci_rdma *entries;
	size_t n = json_count(v);

	if (json_type(v) != JSON_OBJECT)
		return json_decoder_error(d, err, "expected an object");
	entries = arena_new0n(json_decoder_arena(d), struct oci_rdma, n ? n : 1);
	for (size_t i = 0; i < n; i++) {
		int r = json_decoder_member(d, v, i, rdma_fields, &entries[i], err);

		if (r < 0)
			return r;
		entries[i].device = json_key_at(v, i);
	}
	*list = (struct json_objects){.v = entries, .n = n};
	return 0;
}

static int decode_pids(struct json_decoder *d, const struct json *v, void *field, struct error *err)
{
	const struct json *limit = json_get(v, "limit");
	int64_t *copy;

	if (json_type(v) != JSON_OBJECT || (!json_is_null(limit) && !json_int_fits(limit)))
		return json_decoder_error(d, err, "limit: expected an integer");
	if (json_is_null(limit))
		return 0;
	copy = arena_new0(json_decoder_arena(d), int64_t);
	*copy = json_int(limit);
	*(const int64_t **)field = copy;
	return 0;
}

static const struct json_field network_fields[] = {
	FIELD(struct oci_resources, network_class_id, "classID", OPT_U32),
	LIST(struct oci_resources, network_priorities, "priorities", priority_fields,
	     struct oci_network_priority),
	{0},
};
const struct json_field oci_resources_fields[] = {
	LIST(struct oci_resources, devices, "devices", device_rule_fields, struct oci_device_rule),
	SUB(struct oci_resources, memory, "memory", memory_fields),
	SUB(struct oci_resources, cpu, "cpu", cpu_fields),
	CUSTOM(struct oci_resources, pids_limit, "pids", decode_pids),
	SUB(struct oci_resources, block_io, "blockIO", block_io_fields),
	LIST(struct oci_resources, hugepage_limits, "hugepageLimits", hugepage_fields,
	     struct oci_hugepage_limit),
	/* `network` has no struct of its own: its members are the resources' */
	{.name = "network", .type = JSON_DECODE_OBJECT, .offset = 0, .sub = network_fields},
	CUSTOM(struct oci_resources, rdma, "rdma", decode_rdma),
	FIELD(struct oci_resources, unified, "unified", STRING_MAP),
	{0},
};

/* -- checks -------------------------------------------------------------------------------- */

static int check_device_numbers(const struct json_objects *list, const char *path,
				const char *field, struct error *err)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct oci_throttle_device *dev = oci_at(list, struct oci_throttle_device, i);

		if (dev->major < 0 || dev->minor < 0 || dev->major > UINT32_MAX ||
		    dev->minor > UINT32_MAX)
			return error_set(err, ERROR_INVALID, 0,
					 "%s.blockIO.%s[%zu]: bad device number", path, field, i);
	}
	return 0;
}

int oci_resources_check(const struct oci_resources *res, const char *path, struct error *err)
{
	const struct oci_block_io *io = &res->block_io;
	int r;

	for (size_t i = 0; i < res->devices.n; i++) {
		const struct oci_device_rule *rule =
			oci_at(&res->devices, struct oci_device_rule, i);

		if (rule->type == 'p')
			return error_set(err, ERROR_INVALID, 0,
					 "%s.devices[%zu].type: expected a, b or c", path, i);
		if ((rule->major && *rule->major < -1) || (rule->minor && *rule->minor < -1))
			return error_set(err, ERROR_INVALID, 0,
					 "%s.devices[%zu]: bad device number", path, i);
	}
	if (res->memory.swappiness && *res->memory.swappiness > 100)
		return error_set(err, ERROR_INVALID, 0, "%s.memory.swappiness: more than 100",
				 path);
	if (io->weight && (io->weight < 10 || io->weight > 1000))
		return error_set(err, ERROR_INVALID, 0, "%s.blockIO.weight: not in 10..1000", path);
	if (res->cpu.idle && (*res->cpu.idle < 0 || *res->cpu.idle > 1))
		return error_set(err, ERROR_INVALID, 0, "%s.cpu.idle: must be 0 or 1", path);
	for (size_t i = 0; i < res->hugepage_limits.n; i++) {
		const char *size =
			oci_at(&res->hugepage_limits, struct oci_hugepage_limit, i)->page_size;
		size_t digits = strspn(size, "0123456789");

		if (digits == 0 || size[0] == '0' || !strchr("KMG", size[digits]) ||
		    strcmp(size + digits + (size[digits] != '\0'), "B") != 0)
			return error_set(
				err, ERROR_INVALID, 0,
				"%s.hugepageLimits[%zu].pageSize: '%s' is not a size such as 2MB",
				path, i, size);
	}
	for (size_t i = 0; i < res->unified.n; i++)
		if (strchr(res->unified.keys[i], '/') || !strchr(res->unified.keys[i], '.'))
			return error_set(err, ERROR_INVALID, 0,
					 "%s.unified: '%s' is not a cgroup file", path,
					 res->unified.keys[i]);
	r = check_device_numbers(&io->read_bps, path, "throttleReadBpsDevice", err);
	if (r == 0)
		r = check_device_numbers(&io->write_bps, path, "throttleWriteBpsDevice", err);
	if (r == 0)
		r = check_device_numbers(&io->read_iops, path, "throttleReadIOPSDevice", err);
	if (r == 0)
		r = check_device_numbers(&io->write_iops, path, "throttleWriteIOPSDevice", err);
	return r;
}
