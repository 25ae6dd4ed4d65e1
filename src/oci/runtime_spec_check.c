/* What the tables of runtime_spec.c cannot say: relations between members, values that only some
 * contexts allow, and members that nothing here implements yet. */
#include "oci/runtime_spec_priv.h"

#include <string.h>

#include "base/str.h"

static int invalid(struct error *err, const char *field, const char *what)
{
	return error_set(err, ERROR_INVALID, 0, "%s: %s", field, what);
}

/* Absent, null, false, zero, empty: a client that writes those asks for nothing. */
static bool is_empty(const struct json *v)
{
	switch (json_type(v)) {
	case JSON_NULL:
		return true;
	case JSON_BOOL:
		return !json_bool(v);
	case JSON_INT:
	case JSON_DOUBLE:
		return json_double(v) == 0;
	case JSON_STRING:
		return json_string_len(v) == 0;
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	return json_count(v) == 0;
}

struct unsupported {
	const char *field;
	const struct json *value;
};

static int check_unsupported(const struct unsupported *list, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++)
		if (!is_empty(list[i].value))
			return error_set(err, ERROR_NOT_IMPLEMENTED, 0, "%s is not implemented",
					 list[i].field);
	return 0;
}

int oci_process_check(const struct oci_process_doc *doc, struct error *err)
{
	const struct unsupported unsupported[] = {
		{"process.scheduler", doc->scheduler},
		{"process.ioPriority", doc->io_priority},
		{"process.execCPUAffinity", doc->exec_cpu_affinity},
	};
	const struct oci_process *p = &doc->p;
	int r = check_unsupported(unsupported, ARRAY_SIZE(unsupported), err);

	if (r < 0)
		return r;
	if (p->args.n == 0)
		return invalid(err, "process.args", "must not be empty");
	if (p->cwd[0] != '/')
		return invalid(err, "process.cwd", "must be an absolute path");
	if (p->user.umask && *p->user.umask > 0777)
		return invalid(err, "process.user.umask", "must be at most 0777");
	if (p->oom_score_adj && (*p->oom_score_adj < -1000 || *p->oom_score_adj > 1000))
		return invalid(err, "process.oomScoreAdj", "must be between -1000 and 1000");
	for (size_t i = 0; i < p->env.n; i++)
		if (!strchr(p->env.v[i], '=') || p->env.v[i][0] == '=')
			return error_set(err, ERROR_INVALID, 0,
					 "process.env[%zu]: '%s' is not NAME=value", i,
					 p->env.v[i]);
	for (size_t i = 0; i < p->rlimits.n; i++) {
		const struct oci_rlimit *limit = oci_at(&p->rlimits, struct oci_rlimit, i);

		if (limit->soft > limit->hard)
			return error_set(err, ERROR_INVALID, 0,
					 "process.rlimits[%zu]: soft limit above the hard one", i);
		for (size_t j = 0; j < i; j++)
			if (str_eq(limit->type, oci_at(&p->rlimits, struct oci_rlimit, j)->type))
				return error_set(err, ERROR_INVALID, 0,
						 "process.rlimits[%zu]: '%s' is given twice", i,
						 limit->type);
	}
	return 0;
}

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

static int check_hooks(const struct json_objects *hooks, const char *name, struct error *err)
{
	for (size_t i = 0; i < hooks->n; i++) {
		const struct oci_hook *hook = oci_at(hooks, struct oci_hook, i);

		if (hook->path[0] != '/')
			return error_set(err, ERROR_INVALID, 0,
					 "hooks.%s[%zu].path: must be an absolute path", name, i);
		if (hook->timeout && *hook->timeout <= 0)
			return error_set(err, ERROR_INVALID, 0,
					 "hooks.%s[%zu].timeout: must be positive", name, i);
	}
	return 0;
}

static int check_mounts(const struct json_objects *mounts, struct error *err)
{
	for (size_t i = 0; i < mounts->n; i++) {
		const struct oci_mount_doc *m = oci_at(mounts, struct oci_mount_doc, i);

		if (m->m.destination[0] == '\0')
			return error_set(err, ERROR_INVALID, 0,
					 "mounts[%zu].destination: must not be empty", i);
		if (!is_empty(m->uid_mappings) || !is_empty(m->gid_mappings))
			return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
					 "mounts[%zu].uidMappings is not implemented", i);
	}
	return 0;
}

/* mappings of a user namespace: with it some, without it none */
static int check_mappings(const struct oci_linux *l, struct error *err)
{
	const struct oci_namespace *user = &l->namespaces[OCI_NAMESPACE_USER];
	bool has = l->uid_mappings.n > 0 && l->gid_mappings.n > 0;

	if (user->present && !user->path && !has)
		return invalid(err, "linux.uidMappings",
			       "a new user namespace needs uidMappings and gidMappings");
	if ((!user->present || user->path) && (l->uid_mappings.n || l->gid_mappings.n))
		return invalid(err, "linux.uidMappings", "given without a new user namespace");
	return 0;
}

static int check_linux(const struct oci_linux_doc *doc, struct error *err)
{
	static const char *const propagations[] = {"private",    "rprivate",   "slave",
						   "rslave",     "shared",     "rshared",
						   "unbindable", "runbindable"};
	const struct unsupported unsupported[] = {
		{"linux.intelRdt", doc->intel_rdt},
		{"linux.personality", doc->personality},
		{"linux.memoryPolicy", doc->memory_policy},
		{"linux.netDevices", doc->net_devices},
	};
	const struct oci_linux *l = &doc->l;
	bool known = str_empty(l->rootfs_propagation);
	int r = check_unsupported(unsupported, ARRAY_SIZE(unsupported), err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(propagations); i++)
		known = known || str_eq(l->rootfs_propagation, propagations[i]);
	if (!known)
		return invalid(err, "linux.rootfsPropagation", "unknown propagation");
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
			return invalid(err, "linux.maskedPaths", "must be absolute paths");
	for (size_t i = 0; i < l->readonly_paths.n; i++)
		if (l->readonly_paths.v[i][0] != '/')
			return invalid(err, "linux.readonlyPaths", "must be absolute paths");
	if ((l->monotonic.present || l->boottime.present) &&
	    (!l->namespaces[OCI_NAMESPACE_TIME].present || l->namespaces[OCI_NAMESPACE_TIME].path))
		return invalid(err, "linux.timeOffsets", "given without a new time namespace");
	r = check_mappings(l, err);
	if (r < 0)
		return r;
	return oci_resources_check(&l->resources, "linux.resources", err);
}

int oci_spec_check(const struct oci_spec_doc *doc, struct error *err)
{
	const struct {
		const char *name;
		const struct json_objects *list;
	} hooks[] = {
		{"prestart", &doc->hooks.prestart},
		{"createRuntime", &doc->hooks.create_runtime},
		{"createContainer", &doc->hooks.create_container},
		{"startContainer", &doc->hooks.start_container},
		{"poststart", &doc->hooks.poststart},
		{"poststop", &doc->hooks.poststop},
	};
	int r = 0;

	/* Semantic versioning: 1.x documents are ours, and 0.x drafts were never promised. */
	if (!str_has_prefix(doc->version, "1.") && !str_has_prefix(doc->version, "0."))
		return error_set(err, ERROR_INVALID, 0, "ociVersion: '%s' is not supported",
				 doc->version);
	if (!doc->root)
		return invalid(err, "root", "is required");
	if (doc->root->path[0] == '\0')
		return invalid(err, "root.path", "must not be empty");
	if (!is_empty(doc->vm))
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0, "vm is not implemented");
	if (doc->hostname && doc->hostname[0] &&
	    !doc->linux_.l.namespaces[OCI_NAMESPACE_UTS].present)
		return invalid(err, "hostname", "given without a uts namespace");
	if (doc->domainname && doc->domainname[0] &&
	    !doc->linux_.l.namespaces[OCI_NAMESPACE_UTS].present)
		return invalid(err, "domainname", "given without a uts namespace");
	if (doc->process)
		r = oci_process_check(doc->process, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(hooks); i++)
		r = check_hooks(hooks[i].list, hooks[i].name, err);
	if (r == 0)
		r = check_mounts(&doc->mounts, err);
	if (r == 0)
		r = check_linux(&doc->linux_, err);
	return r;
}
