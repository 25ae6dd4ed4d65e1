/* The runtime-spec's config.json, decoded by tables; then what tables cannot say is checked. */
#include "oci/runtime_spec.h"

#include <assert.h>
#include <string.h>

#include "base/str.h"
#include "oci/runtime_spec_priv.h"

#define S(member, name, type)    JSON_FIELD(CUR, name, JSON_DECODE_##type, member, 0)
#define R(member, name, type)    JSON_FIELD(CUR, name, JSON_DECODE_##type, member, JSON_REQUIRED)
#define SUB(member, name, table) JSON_FIELD_SUB(CUR, name, JSON_DECODE_OBJECT, member, table, 0)
#define LIST(member, name, table, type) \
	JSON_FIELD_PTR(CUR, name, JSON_DECODE_OBJECTS, member, table, type, 0)
#define FN(member, name, fn) JSON_FIELD_FN(CUR, name, member, fn, 0)

/* -- custom rows -------------------------------------------------------------------------- */

static int decode_gids(struct json_decoder *d, const struct json *v, void *field, struct error *err)
{
	struct oci_user *user = field;
	size_t n = json_count(v);
	uint32_t *gids;

	if (json_type(v) != JSON_ARRAY)
		return json_decoder_error(d, err, "expected an array");
	gids = arena_new0n(json_decoder_arena(d), uint32_t, n ? n : 1);
	for (size_t i = 0; i < n; i++) {
		const struct json *gid = json_at(v, i);

		if (!json_uint_fits(gid) || json_uint(gid) > UINT32_MAX)
			return json_decoder_error(d, err, "element %zu: expected a group id", i);
		gids[i] = (uint32_t)json_uint(gid);
	}
	user->additional_gids = gids;
	user->additional_gid_count = n;
	return 0;
}

static int decode_device_type(struct json_decoder *d, const struct json *v, void *field,
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

static const char *const namespace_names[] = {
	[OCI_NAMESPACE_MOUNT] = "mount",     [OCI_NAMESPACE_PID] = "pid",
	[OCI_NAMESPACE_NETWORK] = "network", [OCI_NAMESPACE_UTS] = "uts",
	[OCI_NAMESPACE_IPC] = "ipc",         [OCI_NAMESPACE_USER] = "user",
	[OCI_NAMESPACE_CGROUP] = "cgroup",   [OCI_NAMESPACE_TIME] = "time",
};
static_assert(ARRAY_SIZE(namespace_names) == OCI_NAMESPACE_COUNT, "a name for each namespace");

const char *oci_namespace_name(enum oci_namespace_type type)
{
	return namespace_names[type];
}

static int decode_namespaces(struct json_decoder *d, const struct json *v, void *field,
			     struct error *err)
{
	struct oci_namespace *namespaces = field;

	if (json_type(v) != JSON_ARRAY)
		return json_decoder_error(d, err, "expected an array");
	for (size_t i = 0; i < json_count(v); i++) {
		const char *type = json_get_string(json_at(v, i), "type");
		const char *path = json_get_string(json_at(v, i), "path");
		size_t t = 0;

		while (type && t < ARRAY_SIZE(namespace_names) &&
		       strcmp(type, namespace_names[t]) != 0)
			t++;
		if (!type || t == ARRAY_SIZE(namespace_names))
			return json_decoder_error(d, err,
						  "element %zu: type: unknown namespace '%s'", i,
						  type ? type : "");
		if (namespaces[t].present)
			return json_decoder_error(d, err, "element %zu: '%s' is given twice", i,
						  type);
		if (!str_empty(path) && path[0] != '/')
			return json_decoder_error(d, err, "element %zu: path: '%s' is not absolute",
						  i, path);
		namespaces[t].present = true;
		namespaces[t].path = str_empty(path) ? NULL : path;
	}
	return 0;
}

/* -- tables ------------------------------------------------------------------------------- */

#define CUR struct oci_console_size
static const struct json_field console_size_fields[] = {
	S(height, "height", U16), S(width, "width", U16), {0}};
#undef CUR
#define CUR struct oci_user
static const struct json_field user_fields[] = {
	S(uid, "uid", U32),
	S(gid, "gid", U32),
	S(umask, "umask", OPT_U32),
	{.name = "additionalGids", .type = JSON_DECODE_CUSTOM, .offset = 0, .fn = decode_gids},
	{0},
};
#undef CUR
#define CUR struct oci_capabilities
static const struct json_field capabilities_fields[] = {
	S(bounding, "bounding", STRINGS),   S(effective, "effective", STRINGS),
	S(permitted, "permitted", STRINGS), S(inheritable, "inheritable", STRINGS),
	S(ambient, "ambient", STRINGS),     {0},
};
#undef CUR
#define CUR struct oci_rlimit
static const struct json_field rlimit_fields[] = {
	R(type, "type", STRING), R(hard, "hard", U64), R(soft, "soft", U64), {0}};
#undef CUR
#define CUR struct oci_process_doc
static const struct json_field process_fields[] = {
	S(p.terminal, "terminal", BOOL),
	S(p.no_new_privileges, "noNewPrivileges", BOOL),
	SUB(p.console_size, "consoleSize", console_size_fields),
	SUB(p.user, "user", user_fields),
	S(p.args, "args", STRINGS),
	S(p.env, "env", STRINGS),
	R(p.cwd, "cwd", STRING),
	JSON_FIELD_PTR(CUR, "capabilities", JSON_DECODE_OBJECT_PTR, p.capabilities,
		       capabilities_fields, struct oci_capabilities, 0),
	LIST(p.rlimits, "rlimits", rlimit_fields, struct oci_rlimit),
	S(p.oom_score_adj, "oomScoreAdj", OPT_INT),
	S(p.apparmor_profile, "apparmorProfile", STRING),
	S(p.selinux_label, "selinuxLabel", STRING),
	S(scheduler, "scheduler", VALUE),
	S(io_priority, "ioPriority", VALUE),
	S(exec_cpu_affinity, "execCPUAffinity", VALUE),
	{0},
};
#undef CUR
#define CUR struct oci_root
static const struct json_field root_fields[] = {
	R(path, "path", STRING), S(readonly, "readonly", BOOL), {0}};
#undef CUR
#define CUR struct oci_mount_doc
static const struct json_field mount_fields[] = {
	R(m.destination, "destination", STRING),
	S(m.type, "type", STRING),
	S(m.source, "source", STRING),
	S(m.options, "options", STRINGS),
	S(uid_mappings, "uidMappings", VALUE),
	S(gid_mappings, "gidMappings", VALUE),
	{0},
};
#undef CUR
#define CUR struct oci_hook
static const struct json_field hook_fields[] = {R(path, "path", STRING),
						S(args, "args", STRINGS),
						S(env, "env", STRINGS),
						S(timeout, "timeout", OPT_INT),
						{0}};
#undef CUR
#define CUR struct oci_hooks
static const struct json_field hooks_fields[] = {
	LIST(prestart, "prestart", hook_fields, struct oci_hook),
	LIST(create_runtime, "createRuntime", hook_fields, struct oci_hook),
	LIST(create_container, "createContainer", hook_fields, struct oci_hook),
	LIST(start_container, "startContainer", hook_fields, struct oci_hook),
	LIST(poststart, "poststart", hook_fields, struct oci_hook),
	LIST(poststop, "poststop", hook_fields, struct oci_hook),
	{0},
};
#undef CUR
#define CUR struct oci_id_mapping
static const struct json_field id_mapping_fields[] = {
	R(container_id, "containerID", U32), R(host_id, "hostID", U32), R(size, "size", U32), {0}};
#undef CUR
#define CUR struct oci_device
static const struct json_field device_fields[] = {
	{.name = "type",
	 .type = JSON_DECODE_CUSTOM,
	 .offset = offsetof(CUR, type),
	 .flags = JSON_REQUIRED,
	 .fn = decode_device_type},
	R(path, "path", STRING),
	S(major, "major", I64),
	S(minor, "minor", I64),
	S(file_mode, "fileMode", OPT_U32),
	S(uid, "uid", U32),
	S(gid, "gid", U32),
	{0},
};
#undef CUR
#define CUR struct oci_device_rule
static const struct json_field device_rule_fields[] = {
	R(allow, "allow", BOOL),
	FN(type, "type", decode_device_type),
	S(major, "major", OPT_I64),
	S(minor, "minor", OPT_I64),
	{.name = "access", .type = JSON_DECODE_CUSTOM, .offset = 0, .fn = decode_access},
	{0},
};
#undef CUR
#define CUR struct oci_memory
static const struct json_field memory_fields[] = {
	S(limit, "limit", OPT_I64),
	S(reservation, "reservation", OPT_I64),
	S(swap, "swap", OPT_I64),
	S(kernel, "kernel", OPT_I64),
	S(kernel_tcp, "kernelTCP", OPT_I64),
	S(swappiness, "swappiness", OPT_U64),
	S(disable_oom_killer, "disableOOMKiller", OPT_BOOL),
	S(use_hierarchy, "useHierarchy", OPT_BOOL),
	S(check_before_update, "checkBeforeUpdate", OPT_BOOL),
	{0},
};
#undef CUR
#define CUR struct oci_cpu
static const struct json_field cpu_fields[] = {
	S(shares, "shares", OPT_U64),
	S(quota, "quota", OPT_I64),
	S(burst, "burst", OPT_U64),
	S(period, "period", OPT_U64),
	S(realtime_runtime, "realtimeRuntime", OPT_I64),
	S(realtime_period, "realtimePeriod", OPT_U64),
	S(cpus, "cpus", STRING),
	S(mems, "mems", STRING),
	S(idle, "idle", OPT_I64),
	{0},
};
#undef CUR
#define CUR struct oci_weight_device
static const struct json_field weight_device_fields[] = {R(major, "major", I64),
							 R(minor, "minor", I64),
							 S(weight, "weight", U16),
							 S(leaf_weight, "leafWeight", U16),
							 {0}};
#undef CUR
#define CUR struct oci_throttle_device
static const struct json_field throttle_fields[] = {
	R(major, "major", I64), R(minor, "minor", I64), R(rate, "rate", U64), {0}};
#undef CUR
#define CUR struct oci_block_io
static const struct json_field block_io_fields[] = {
	S(weight, "weight", U16),
	S(leaf_weight, "leafWeight", U16),
	LIST(weight_device, "weightDevice", weight_device_fields, struct oci_weight_device),
	LIST(read_bps, "throttleReadBpsDevice", throttle_fields, struct oci_throttle_device),
	LIST(write_bps, "throttleWriteBpsDevice", throttle_fields, struct oci_throttle_device),
	LIST(read_iops, "throttleReadIOPSDevice", throttle_fields, struct oci_throttle_device),
	LIST(write_iops, "throttleWriteIOPSDevice", throttle_fields, struct oci_throttle_device),
	{0},
};
#undef CUR
#define CUR struct oci_hugepage_limit
static const struct json_field hugepage_fields[] = {
	R(page_size, "pageSize", STRING), R(limit, "limit", U64), {0}};
#undef CUR
#define CUR struct oci_network_priority
static const struct json_field priority_fields[] = {
	R(name, "name", STRING), R(priority, "priority", U32), {0}};
#undef CUR
#define CUR struct oci_rdma
static const struct json_field rdma_fields[] = {
	S(hca_handles, "hcaHandles", OPT_U32), S(hca_objects, "hcaObjects", OPT_U32), {0}};
#undef CUR

static int decode_rdma(struct json_decoder *d, const struct json *v, void *field, struct error *err)
{
	struct json_objects *list = field;
	struct oci_rdma *entries;
	size_t n = json_count(v);

	if (json_type(v) != JSON_OBJECT)
		return json_decoder_error(d, err, "expected an object");
	entries = arena_new0n(json_decoder_arena(d), struct oci_rdma, n ? n : 1);
	for (size_t i = 0; i < n; i++) {
		int r = json_decoder_object(d, json_value_at(v, i), rdma_fields, &entries[i], err);

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

#define CUR struct oci_resources
static const struct json_field network_fields[] = {
	S(network_class_id, "classID", OPT_U32),
	LIST(network_priorities, "priorities", priority_fields, struct oci_network_priority),
	{0},
};
static const struct json_field resources_fields[] = {
	LIST(devices, "devices", device_rule_fields, struct oci_device_rule),
	SUB(memory, "memory", memory_fields),
	SUB(cpu, "cpu", cpu_fields),
	FN(pids_limit, "pids", decode_pids),
	SUB(block_io, "blockIO", block_io_fields),
	LIST(hugepage_limits, "hugepageLimits", hugepage_fields, struct oci_hugepage_limit),
	/* `network` has no struct of its own: its members are the resources' */
	{.name = "network", .type = JSON_DECODE_OBJECT, .offset = 0, .sub = network_fields},
	FN(rdma, "rdma", decode_rdma),
	S(unified, "unified", STRING_MAP),
	{0},
};
#undef CUR
#define CUR struct oci_time_offset
static const struct json_field time_offset_fields[] = {
	S(secs, "secs", I64), S(nanosecs, "nanosecs", U32), {0}};
#undef CUR

static int decode_time_offset(struct json_decoder *d, const struct json *v, void *field,
			      struct error *err)
{
	struct oci_time_offset *offset = field;
	int r = json_decoder_object(d, v, time_offset_fields, offset, err);

	if (r < 0)
		return r;
	if (offset->nanosecs >= 1000000000)
		return json_decoder_error(d, err, "nanosecs: more than a second");
	offset->present = true;
	return 0;
}

#define CUR struct oci_linux_doc
static const struct json_field time_offsets_fields[] = {
	FN(l.monotonic, "monotonic", decode_time_offset),
	FN(l.boottime, "boottime", decode_time_offset),
	{0},
};
static const struct json_field linux_fields[] = {
	FN(l.namespaces, "namespaces", decode_namespaces),
	LIST(l.uid_mappings, "uidMappings", id_mapping_fields, struct oci_id_mapping),
	LIST(l.gid_mappings, "gidMappings", id_mapping_fields, struct oci_id_mapping),
	{.name = "timeOffsets",
	 .type = JSON_DECODE_OBJECT,
	 .offset = 0,
	 .sub = time_offsets_fields},
	LIST(l.devices, "devices", device_fields, struct oci_device),
	S(l.cgroups_path, "cgroupsPath", STRING),
	SUB(l.resources, "resources", resources_fields),
	S(l.rootfs_propagation, "rootfsPropagation", STRING),
	S(l.masked_paths, "maskedPaths", STRINGS),
	S(l.readonly_paths, "readonlyPaths", STRINGS),
	S(l.mount_label, "mountLabel", STRING),
	S(l.sysctl, "sysctl", STRING_MAP),
	S(l.seccomp, "seccomp", VALUE),
	S(intel_rdt, "intelRdt", VALUE),
	S(personality, "personality", VALUE),
	S(memory_policy, "memoryPolicy", VALUE),
	S(net_devices, "netDevices", VALUE),
	{0},
};
#undef CUR
#define CUR struct oci_spec_doc
static const struct json_field spec_fields[] = {
	R(version, "ociVersion", STRING),
	JSON_FIELD_PTR(CUR, "process", JSON_DECODE_OBJECT_PTR, process, process_fields,
		       struct oci_process_doc, 0),
	JSON_FIELD_PTR(CUR, "root", JSON_DECODE_OBJECT_PTR, root, root_fields, struct oci_root, 0),
	S(hostname, "hostname", STRING),
	S(domainname, "domainname", STRING),
	LIST(mounts, "mounts", mount_fields, struct oci_mount_doc),
	SUB(hooks, "hooks", hooks_fields),
	S(annotations, "annotations", STRING_MAP),
	SUB(linux_, "linux", linux_fields),
	S(vm, "vm", VALUE),
	{0},
};
#undef CUR

/* -- public ------------------------------------------------------------------------------- */

int oci_process_parse(struct arena *a, const struct json *v, struct oci_process *ret,
		      struct error *err)
{
	struct oci_process_doc doc = {0};
	int r = json_decode(a, v, process_fields, &doc, "process", err);

	if (r < 0)
		return r;
	r = oci_process_check(&doc, err);
	if (r < 0)
		return r;
	*ret = doc.p;
	return 0;
}

int oci_resources_parse(struct arena *a, const struct json *v, struct oci_resources *ret,
			struct error *err)
{
	struct oci_resources resources = {0};
	int r = json_decode(a, v, resources_fields, &resources, "resources", err);

	if (r < 0)
		return r;
	r = oci_resources_check(&resources, "resources", err);
	if (r < 0)
		return r;
	*ret = resources;
	return 0;
}

int oci_spec_parse(struct arena *a, const char *text, size_t len, struct oci_spec *ret,
		   struct error *err)
{
	struct oci_spec_doc doc = {0};
	struct oci_spec spec;
	struct oci_mount *mounts;
	const struct json *v;
	int r;

	if (len > OCI_SPEC_MAX)
		return error_set(err, ERROR_INVALID, E2BIG, "config.json");
	r = json_parse(a, text, len, &v, err);
	if (r < 0)
		return error_wrap(err, r, "config.json");
	if (json_type(v) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID, 0, "config.json: expected an object");
	r = json_decode(a, v, spec_fields, &doc, "", err);
	if (r < 0)
		return error_wrap(err, r, "config.json");
	r = oci_spec_check(&doc, err);
	if (r < 0)
		return error_wrap(err, r, "config.json");

	spec = (struct oci_spec){.version = doc.version,
				 .has_process = doc.process,
				 .root = *doc.root,
				 .hostname = str_empty(doc.hostname) ? NULL : doc.hostname,
				 .domainname = str_empty(doc.domainname) ? NULL : doc.domainname,
				 .hooks = doc.hooks,
				 .annotations = doc.annotations,
				 .linux_ = doc.linux_.l};
	if (doc.process)
		spec.process = doc.process->p;
	mounts = arena_new0n(a, struct oci_mount, doc.mounts.n + 1);
	for (size_t i = 0; i < doc.mounts.n; i++)
		mounts[i] = oci_at(&doc.mounts, struct oci_mount_doc, i)->m;
	spec.mounts = (struct json_objects){.v = mounts, .n = doc.mounts.n};
	*ret = spec;
	return 0;
}
