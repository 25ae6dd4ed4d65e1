/* The `linux` object of config.json, and its table; `resources` has a file of its own. */
#include <assert.h>
#include <net/if.h>
#include <string.h>
#include <sys/personality.h>

#include "base/mem.h"
#include "base/str.h"
#include "linux/cpulist.h"
#include "oci/id_mappings.h"
#include "oci/runtime_spec_priv.h"

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

const struct json_field oci_id_mapping_fields[] = {
	REQUIRED(struct oci_id_mapping, container_id, "containerID", U32),
	REQUIRED(struct oci_id_mapping, host_id, "hostID", U32),
	REQUIRED(struct oci_id_mapping, size, "size", U32),
	{0}};
static const struct json_field device_fields[] = {
	{.name = "type",
	 .type = JSON_DECODE_CUSTOM,
	 .offset = offsetof(struct oci_device, type),
	 .flags = JSON_REQUIRED,
	 .fn = oci_decode_device_type},
	REQUIRED(struct oci_device, path, "path", STRING),
	FIELD(struct oci_device, major, "major", I64),
	FIELD(struct oci_device, minor, "minor", I64),
	FIELD(struct oci_device, file_mode, "fileMode", OPT_U32),
	FIELD(struct oci_device, uid, "uid", U32),
	FIELD(struct oci_device, gid, "gid", U32),
	{0},
};
static const struct json_field time_offset_fields[] = {
	FIELD(struct oci_time_offset, secs, "secs", I64),
	FIELD(struct oci_time_offset, nanosecs, "nanosecs", U32),
	{0}};

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

static const struct json_field time_offsets_fields[] = {
	CUSTOM(struct oci_linux, monotonic, "monotonic", decode_time_offset),
	CUSTOM(struct oci_linux, boottime, "boottime", decode_time_offset),
	{0},
};

/* The compiler decodes the rest of it; what goes to the agent is not its business. */
static int decode_seccomp(struct json_decoder *d, const struct json *v, void *field,
			  struct error *err)
{
	static const struct json_field fields[] = {
		FIELD(struct oci_linux, seccomp_listener_path, "listenerPath", STRING),
		FIELD(struct oci_linux, seccomp_listener_metadata, "listenerMetadata", STRING),
		{0},
	};
	struct oci_linux *l = field;

	l->seccomp = v;
	return json_decoder_object(d, v, fields, l, err);
}

static const struct json_field intel_rdt_fields[] = {
	FIELD(struct oci_intel_rdt, clos_id, "closID", STRING),
	FIELD(struct oci_intel_rdt, schemata, "schemata", STRINGS),
	FIELD(struct oci_intel_rdt, l3_cache_schema, "l3CacheSchema", STRING),
	FIELD(struct oci_intel_rdt, mem_bw_schema, "memBwSchema", STRING),
	FIELD(struct oci_intel_rdt, enable_monitoring, "enableMonitoring", BOOL),
	{0},
};

struct personality {
	uint32_t domain, flags;
};

static int decode_domain(struct json_decoder *d, const struct json *v, void *field,
			 struct error *err)
{
	static const struct oci_name names[] = {
		{"LINUX", PER_LINUX}, {"LINUX32", PER_LINUX32}, {NULL, 0}};

	return oci_decode_name(d, v, names, field, err);
}

/* The specification has room for flags and names none: these are the kernel's (personality(2)). */
static int decode_personality_flags(struct json_decoder *d, const struct json *v, void *field,
				    struct error *err)
{
	static const struct oci_name names[] = {
		{"UNAME26", UNAME26},
		{"ADDR_NO_RANDOMIZE", ADDR_NO_RANDOMIZE},
		{"FDPIC_FUNCPTRS", FDPIC_FUNCPTRS},
		{"MMAP_PAGE_ZERO", MMAP_PAGE_ZERO},
		{"ADDR_COMPAT_LAYOUT", ADDR_COMPAT_LAYOUT},
		{"READ_IMPLIES_EXEC", READ_IMPLIES_EXEC},
		{"ADDR_LIMIT_32BIT", ADDR_LIMIT_32BIT},
		{"SHORT_INODE", SHORT_INODE},
		{"WHOLE_SECONDS", WHOLE_SECONDS},
		{"STICKY_TIMEOUTS", STICKY_TIMEOUTS},
		{"ADDR_LIMIT_3GB", ADDR_LIMIT_3GB},
		{NULL, 0},
	};

	return oci_decode_flags(d, v, names, field, err);
}

static int decode_personality(struct json_decoder *d, const struct json *v, void *field,
			      struct error *err)
{
	static const struct json_field fields[] = {
		{.name = "domain",
		 .type = JSON_DECODE_CUSTOM,
		 .offset = offsetof(struct personality, domain),
		 .flags = JSON_REQUIRED,
		 .fn = decode_domain},
		CUSTOM(struct personality, flags, "flags", decode_personality_flags),
		{0},
	};
	struct personality *p = arena_new0(json_decoder_arena(d), struct personality);
	int r = json_decoder_object(d, v, fields, p, err);

	p->domain |= p->flags;
	if (r == 0)
		*(const uint32_t **)field = &p->domain;
	return r;
}

const struct oci_name oci_memory_policy_modes[] = {
	/* include/uapi/linux/mempolicy.h */
	{"MPOL_DEFAULT", 0},
	{"MPOL_PREFERRED", 1},
	{"MPOL_BIND", 2},
	{"MPOL_INTERLEAVE", 3},
	{"MPOL_LOCAL", 4},
	{"MPOL_PREFERRED_MANY", 5},
	{"MPOL_WEIGHTED_INTERLEAVE", 6},
	{NULL, 0},
};
const struct oci_name oci_memory_policy_flags[] = {
	{"MPOL_F_NUMA_BALANCING", 1U << 13},
	{"MPOL_F_RELATIVE_NODES", 1U << 14},
	{"MPOL_F_STATIC_NODES", 1U << 15},
	{NULL, 0},
};

static int decode_mode(struct json_decoder *d, const struct json *v, void *field, struct error *err)
{
	return oci_decode_name(d, v, oci_memory_policy_modes, field, err);
}

static int decode_policy_flags(struct json_decoder *d, const struct json *v, void *field,
			       struct error *err)
{
	return oci_decode_flags(d, v, oci_memory_policy_flags, field, err);
}

static const struct json_field memory_policy_fields[] = {
	{.name = "mode",
	 .type = JSON_DECODE_CUSTOM,
	 .offset = offsetof(struct oci_memory_policy, mode),
	 .flags = JSON_REQUIRED,
	 .fn = decode_mode},
	FIELD(struct oci_memory_policy, nodes, "nodes", STRING),
	CUSTOM(struct oci_memory_policy, flags, "flags", decode_policy_flags),
	{0},
};

static int decode_net_devices(struct json_decoder *d, const struct json *v, void *field,
			      struct error *err)
{
	static const struct json_field fields[] = {
		FIELD(struct oci_net_device, new_name, "name", STRING), {0}};
	struct json_objects *list = field;
	struct oci_net_device *devices;
	size_t n = json_count(v);

	if (json_type(v) != JSON_OBJECT)
		return json_decoder_error(d, err, "expected an object");
	devices = arena_new0n(json_decoder_arena(d), struct oci_net_device, n + 1);
	for (size_t i = 0; i < n; i++) {
		int r = json_decoder_member(d, v, i, fields, &devices[i], err);

		if (r < 0)
			return r;
		devices[i].name = json_key_at(v, i);
		if (str_empty(devices[i].new_name))
			devices[i].new_name = devices[i].name;
	}
	*list = (struct json_objects){.v = devices, .n = n};
	return 0;
}

const struct json_field oci_linux_fields[] = {
	CUSTOM(struct oci_linux, namespaces, "namespaces", decode_namespaces),
	LIST(struct oci_linux, uid_mappings, "uidMappings", oci_id_mapping_fields,
	     struct oci_id_mapping),
	LIST(struct oci_linux, gid_mappings, "gidMappings", oci_id_mapping_fields,
	     struct oci_id_mapping),
	{.name = "timeOffsets",
	 .type = JSON_DECODE_OBJECT,
	 .offset = 0,
	 .sub = time_offsets_fields},
	LIST(struct oci_linux, devices, "devices", device_fields, struct oci_device),
	FIELD(struct oci_linux, cgroups_path, "cgroupsPath", STRING),
	SUB(struct oci_linux, resources, "resources", oci_resources_fields),
	FIELD(struct oci_linux, rootfs_propagation, "rootfsPropagation", STRING),
	FIELD(struct oci_linux, masked_paths, "maskedPaths", STRINGS),
	FIELD(struct oci_linux, readonly_paths, "readonlyPaths", STRINGS),
	FIELD(struct oci_linux, mount_label, "mountLabel", STRING),
	FIELD(struct oci_linux, sysctl, "sysctl", STRING_MAP),
	WHOLE("seccomp", decode_seccomp),
	OPTIONAL(struct oci_linux, intel_rdt, "intelRdt", intel_rdt_fields, struct oci_intel_rdt),
	CUSTOM(struct oci_linux, personality, "personality", decode_personality),
	OPTIONAL(struct oci_linux, memory_policy, "memoryPolicy", memory_policy_fields,
		 struct oci_memory_policy),
	CUSTOM(struct oci_linux, net_devices, "netDevices", decode_net_devices),
	{0},
};

/* -- checks -------------------------------------------------------------------------------- */

/* mappings of a user namespace: with it some, without it none */
static int check_mappings(const struct oci_linux *l, struct error *err)
{
	const struct oci_namespace *user = &l->namespaces[OCI_NAMESPACE_USER];
	bool has = l->uid_mappings.n > 0 && l->gid_mappings.n > 0;
	int r;

	if (user->present && !user->path && !has)
		return oci_invalid(err, "linux.uidMappings",
				   "a new user namespace needs uidMappings and gidMappings");
	if ((!user->present || user->path) && (l->uid_mappings.n || l->gid_mappings.n))
		return oci_invalid(err, "linux.uidMappings", "given without a new user namespace");
	r = oci_id_mappings_check(&l->uid_mappings, "linux.uidMappings", err);
	return r < 0 ? r : oci_id_mappings_check(&l->gid_mappings, "linux.gidMappings", err);
}

/* -- sysctls: only those that a namespace of the container's own confines ------------------- */

static bool is_name_or_below(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(name, prefix, n) == 0 && (name[n] == '\0' || prefix[n - 1] == '.');
}

int oci_sysctl_namespace(const char *key)
{
	static const struct {
		const char *name; /* with a dot at its end: all below */
		enum oci_namespace_type type;
	} confined[] = {
		{"net.", OCI_NAMESPACE_NETWORK},
		{"fs.mqueue.", OCI_NAMESPACE_IPC},
		{"kernel.msgmax", OCI_NAMESPACE_IPC},
		{"kernel.msgmnb", OCI_NAMESPACE_IPC},
		{"kernel.msgmni", OCI_NAMESPACE_IPC},
		{"kernel.msg_next_id", OCI_NAMESPACE_IPC},
		{"kernel.sem", OCI_NAMESPACE_IPC},
		{"kernel.sem_next_id", OCI_NAMESPACE_IPC},
		{"kernel.shmall", OCI_NAMESPACE_IPC},
		{"kernel.shmmax", OCI_NAMESPACE_IPC},
		{"kernel.shmmni", OCI_NAMESPACE_IPC},
		{"kernel.shm_rmid_forced", OCI_NAMESPACE_IPC},
		{"kernel.shm_next_id", OCI_NAMESPACE_IPC},
		{"kernel.domainname", OCI_NAMESPACE_UTS},
		{"kernel.hostname", OCI_NAMESPACE_UTS},
		{"user.", OCI_NAMESPACE_USER},
	};
	char name[256];
	bool slashes;

	if (!str_copy(name, sizeof(name), key) || strstr(key, "..") || strstr(key, "//"))
		return -EINVAL;
	slashes = name[strcspn(name, "./")] == '/'; /* sysctl(8): the first separator decides */
	for (char *p = name; slashes && *p; p++)
		*p = *p == '/' ? '.' : *p == '.' ? '/' : *p;
	for (size_t i = 0; i < ARRAY_SIZE(confined); i++)
		if (is_name_or_below(name, confined[i].name))
			return (int)confined[i].type;
	return -EINVAL;
}

static int check_sysctl(const struct oci_linux *l, const char *key, struct error *err)
{
	int type = oci_sysctl_namespace(key);

	if (type < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "linux.sysctl: '%s' is not confined by a namespace", key);
	if (!l->namespaces[type].present)
		return error_set(err, ERROR_INVALID, 0,
				 "linux.sysctl: '%s' needs a %s namespace of the container's own",
				 key, oci_namespace_name((enum oci_namespace_type)type));
	return 0;
}

/* -- the rest ------------------------------------------------------------------------------ */

static int check_intel_rdt(const struct oci_intel_rdt *rdt, struct error *err)
{
	const char *id = rdt->clos_id;

	if (id && (str_eq(id, ".") || str_eq(id, "..") || (strchr(id, '/') && !str_eq(id, "/"))))
		return oci_invalid(err, "linux.intelRdt.closID", "is not a directory's name");
	if (!str_empty(rdt->l3_cache_schema) && strchr(rdt->l3_cache_schema, '\n'))
		return oci_invalid(err, "linux.intelRdt.l3CacheSchema", "has more than one line");
	if (!str_empty(rdt->mem_bw_schema) &&
	    (!str_has_prefix(rdt->mem_bw_schema, "MB:") || strchr(rdt->mem_bw_schema, '\n')))
		return oci_invalid(err, "linux.intelRdt.memBwSchema",
				   "must be one line that starts with MB:");
	for (size_t i = 0; i < rdt->schemata.n; i++)
		if (strchr(rdt->schemata.v[i], '\n'))
			return error_set(err, ERROR_INVALID, 0,
					 "linux.intelRdt.schemata[%zu]: has more than one line", i);
	return 0;
}

/* set_mempolicy(2): which modes take nodes */
static int check_memory_policy(const struct oci_memory_policy *policy, struct error *err)
{
	enum { NO_NODES, MAY_HAVE_NODES, NEEDS_NODES };
	static const int rule[] = {NO_NODES, MAY_HAVE_NODES, NEEDS_NODES, NEEDS_NODES,
				   NO_NODES, NEEDS_NODES,    NEEDS_NODES};
	uint64_t nodes[CPULIST_WORDS];
	int n = policy->nodes ? cpulist_parse(policy->nodes, nodes) : 0;

	if (n < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "linux.memoryPolicy.nodes: '%s' is not a list of nodes",
				 policy->nodes);
	if (n > 0 && rule[policy->mode] == NO_NODES)
		return error_set(err, ERROR_INVALID, 0, "linux.memoryPolicy.nodes: %s takes none",
				 oci_memory_policy_modes[policy->mode].name);
	if (n == 0 && rule[policy->mode] == NEEDS_NODES)
		return error_set(err, ERROR_INVALID, 0, "linux.memoryPolicy.nodes: %s needs some",
				 oci_memory_policy_modes[policy->mode].name);
	return 0;
}

static bool is_link_name(const char *name)
{
	return name[0] && strlen(name) < IFNAMSIZ && !str_eq(name, ".") && !str_eq(name, "..") &&
	       !name[strcspn(name, "/: \t\n\v\f\r")];
}

/* A name in the container may be a template: the kernel numbers "eth%d". */
static bool is_new_link_name(const char *name)
{
	const char *percent = strchr(name, '%');

	return is_link_name(name) && (!percent || strcmp(percent, "%d") == 0);
}

static int check_net_devices(const struct oci_linux *l, struct error *err)
{
	for (size_t i = 0; i < l->net_devices.n; i++) {
		const struct oci_net_device *dev =
			oci_at(&l->net_devices, struct oci_net_device, i);

		if (!is_link_name(dev->name))
			return error_set(err, ERROR_INVALID, 0,
					 "linux.netDevices: '%s' is not a device's name",
					 dev->name);
		if (!is_new_link_name(dev->new_name))
			return error_set(err, ERROR_INVALID, 0,
					 "linux.netDevices.%s.name: '%s' is not a device's name",
					 dev->name, dev->new_name);
		for (size_t j = 0; j < i; j++)
			if (!strchr(dev->new_name, '%') &&
			    str_eq(dev->new_name,
				   oci_at(&l->net_devices, struct oci_net_device, j)->new_name))
				return error_set(err, ERROR_INVALID, 0,
						 "linux.netDevices.%s.name: '%s' is given twice",
						 dev->name, dev->new_name);
	}
	return 0;
}

static int check_paths(const struct json_strings *paths, const char *field, struct error *err)
{
	for (size_t i = 0; i < paths->n; i++)
		if (paths->v[i][0] != '/')
			return error_set(err, ERROR_INVALID, 0, "%s[%zu]: must be an absolute path",
					 field, i);
	return 0;
}

static int check_devices(const struct json_objects *devices, struct error *err)
{
	for (size_t i = 0; i < devices->n; i++) {
		const struct oci_device *dev = oci_at(devices, struct oci_device, i);

		if (dev->path[0] != '/' || dev->type == 'a')
			return error_set(err, ERROR_INVALID, 0, "linux.devices[%zu]: bad %s", i,
					 dev->type == 'a' ? "type" : "path");
		if (dev->major < 0 || dev->minor < 0 || dev->major > 0xfff || dev->minor > 0xfffff)
			return error_set(err, ERROR_INVALID, 0,
					 "linux.devices[%zu]: bad device number", i);
	}
	return 0;
}

static int check_settings(const struct oci_linux *l, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->sysctl.n; i++)
		r = check_sysctl(l, l->sysctl.keys[i], err);
	if (r == 0 && l->intel_rdt)
		r = check_intel_rdt(l->intel_rdt, err);
	if (r == 0 && l->memory_policy)
		r = check_memory_policy(l->memory_policy, err);
	if (r == 0)
		r = check_net_devices(l, err);
	if (r == 0 && !str_empty(l->seccomp_listener_metadata) &&
	    str_empty(l->seccomp_listener_path))
		r = oci_invalid(err, "linux.seccomp.listenerMetadata",
				"given without listenerPath");
	return r;
}

int oci_linux_check(const struct oci_linux *l, struct error *err)
{
	static const char *const propagations[] = {"private",    "rprivate",   "slave",
						   "rslave",     "shared",     "rshared",
						   "unbindable", "runbindable"};
	bool known = str_empty(l->rootfs_propagation);
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(propagations); i++)
		known = known || str_eq(l->rootfs_propagation, propagations[i]);
	if (!known)
		return oci_invalid(err, "linux.rootfsPropagation", "unknown propagation");
	r = check_devices(&l->devices, err);
	if (r == 0)
		r = check_paths(&l->masked_paths, "linux.maskedPaths", err);
	if (r == 0)
		r = check_paths(&l->readonly_paths, "linux.readonlyPaths", err);
	if (r < 0)
		return r;
	if ((l->monotonic.present || l->boottime.present) &&
	    (!l->namespaces[OCI_NAMESPACE_TIME].present || l->namespaces[OCI_NAMESPACE_TIME].path))
		return oci_invalid(err, "linux.timeOffsets", "given without a new time namespace");
	r = check_mappings(l, err);
	if (r == 0)
		r = check_settings(l, err);
	return r < 0 ? r : oci_resources_check(&l->resources, "linux.resources", err);
}
