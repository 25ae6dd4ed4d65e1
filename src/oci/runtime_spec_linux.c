/* The `linux` object of config.json, and its table; `resources` has a file of its own. */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
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
	CUSTOM(struct oci_linux_doc, l.monotonic, "monotonic", decode_time_offset),
	CUSTOM(struct oci_linux_doc, l.boottime, "boottime", decode_time_offset),
	{0},
};
const struct json_field oci_linux_fields[] = {
	CUSTOM(struct oci_linux_doc, l.namespaces, "namespaces", decode_namespaces),
	LIST(struct oci_linux_doc, l.uid_mappings, "uidMappings", oci_id_mapping_fields,
	     struct oci_id_mapping),
	LIST(struct oci_linux_doc, l.gid_mappings, "gidMappings", oci_id_mapping_fields,
	     struct oci_id_mapping),
	{.name = "timeOffsets",
	 .type = JSON_DECODE_OBJECT,
	 .offset = 0,
	 .sub = time_offsets_fields},
	LIST(struct oci_linux_doc, l.devices, "devices", device_fields, struct oci_device),
	FIELD(struct oci_linux_doc, l.cgroups_path, "cgroupsPath", STRING),
	SUB(struct oci_linux_doc, l.resources, "resources", oci_resources_fields),
	FIELD(struct oci_linux_doc, l.rootfs_propagation, "rootfsPropagation", STRING),
	FIELD(struct oci_linux_doc, l.masked_paths, "maskedPaths", STRINGS),
	FIELD(struct oci_linux_doc, l.readonly_paths, "readonlyPaths", STRINGS),
	FIELD(struct oci_linux_doc, l.mount_label, "mountLabel", STRING),
	FIELD(struct oci_linux_doc, l.sysctl, "sysctl", STRING_MAP),
	FIELD(struct oci_linux_doc, l.seccomp, "seccomp", VALUE),
	FIELD(struct oci_linux_doc, intel_rdt, "intelRdt", VALUE),
	FIELD(struct oci_linux_doc, personality, "personality", VALUE),
	FIELD(struct oci_linux_doc, memory_policy, "memoryPolicy", VALUE),
	FIELD(struct oci_linux_doc, net_devices, "netDevices", VALUE),
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

int oci_linux_check(const struct oci_linux_doc *doc, struct error *err)
{
	static const char *const propagations[] = {"private",    "rprivate",   "slave",
						   "rslave",     "shared",     "rshared",
						   "unbindable", "runbindable"};
	const struct oci_unsupported unsupported[] = {
		{"linux.intelRdt", doc->intel_rdt},
		{"linux.personality", doc->personality},
		{"linux.memoryPolicy", doc->memory_policy},
		{"linux.netDevices", doc->net_devices},
	};
	const struct oci_linux *l = &doc->l;
	bool known = str_empty(l->rootfs_propagation);
	int r = oci_check_unsupported(unsupported, ARRAY_SIZE(unsupported), err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(propagations); i++)
		known = known || str_eq(l->rootfs_propagation, propagations[i]);
	if (!known)
		return oci_invalid(err, "linux.rootfsPropagation", "unknown propagation");
	for (size_t i = 0; i < l->devices.n; i++) {
		const struct oci_device *dev = oci_at(&l->devices, struct oci_device, i);

		if (dev->path[0] != '/' || dev->type == 'a')
			return error_set(err, ERROR_INVALID, 0, "linux.devices[%zu]: bad %s", i,
					 dev->type == 'a' ? "type" : "path");
		if (dev->major < 0 || dev->minor < 0 || dev->major > 0xfff || dev->minor > 0xfffff)
			return error_set(err, ERROR_INVALID, 0,
					 "linux.devices[%zu]: bad device number", i);
	}
	for (size_t i = 0; i < l->masked_paths.n; i++)
		if (l->masked_paths.v[i][0] != '/')
			return oci_invalid(err, "linux.maskedPaths", "must be absolute paths");
	for (size_t i = 0; i < l->readonly_paths.n; i++)
		if (l->readonly_paths.v[i][0] != '/')
			return oci_invalid(err, "linux.readonlyPaths", "must be absolute paths");
	if ((l->monotonic.present || l->boottime.present) &&
	    (!l->namespaces[OCI_NAMESPACE_TIME].present || l->namespaces[OCI_NAMESPACE_TIME].path))
		return oci_invalid(err, "linux.timeOffsets", "given without a new time namespace");
	r = check_mappings(l, err);
	if (r < 0)
		return r;
	return oci_resources_check(&l->resources, "linux.resources", err);
}
