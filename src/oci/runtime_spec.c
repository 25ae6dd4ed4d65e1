/* The runtime-spec's config.json, decoded by tables; then what tables cannot say is checked. */
#include "oci/runtime_spec.h"

#include <string.h>

#include "base/str.h"
#include "oci/runtime_spec_priv.h"

static const struct json_field root_fields[] = {REQUIRED(struct oci_root, path, "path", STRING),
						FIELD(struct oci_root, readonly, "readonly", BOOL),
						{0}};
static const struct json_field mount_fields[] = {
	REQUIRED(struct oci_mount, destination, "destination", STRING),
	FIELD(struct oci_mount, type, "type", STRING),
	FIELD(struct oci_mount, source, "source", STRING),
	FIELD(struct oci_mount, options, "options", STRINGS),
	LIST(struct oci_mount, uid_mappings, "uidMappings", oci_id_mapping_fields,
	     struct oci_id_mapping),
	LIST(struct oci_mount, gid_mappings, "gidMappings", oci_id_mapping_fields,
	     struct oci_id_mapping),
	{0},
};
static const struct json_field hook_fields[] = {REQUIRED(struct oci_hook, path, "path", STRING),
						FIELD(struct oci_hook, args, "args", STRINGS),
						FIELD(struct oci_hook, env, "env", STRINGS),
						FIELD(struct oci_hook, timeout, "timeout", OPT_INT),
						{0}};
static const struct json_field hooks_fields[] = {
	LIST(struct oci_hooks, prestart, "prestart", hook_fields, struct oci_hook),
	LIST(struct oci_hooks, create_runtime, "createRuntime", hook_fields, struct oci_hook),
	LIST(struct oci_hooks, create_container, "createContainer", hook_fields, struct oci_hook),
	LIST(struct oci_hooks, start_container, "startContainer", hook_fields, struct oci_hook),
	LIST(struct oci_hooks, poststart, "poststart", hook_fields, struct oci_hook),
	LIST(struct oci_hooks, poststop, "poststop", hook_fields, struct oci_hook),
	{0},
};
static const struct json_field spec_fields[] = {
	REQUIRED(struct oci_spec_doc, version, "ociVersion", STRING),
	OPTIONAL(struct oci_spec_doc, process, "process", oci_process_fields, struct oci_process),
	OPTIONAL(struct oci_spec_doc, root, "root", root_fields, struct oci_root),
	FIELD(struct oci_spec_doc, hostname, "hostname", STRING),
	FIELD(struct oci_spec_doc, domainname, "domainname", STRING),
	LIST(struct oci_spec_doc, mounts, "mounts", mount_fields, struct oci_mount),
	SUB(struct oci_spec_doc, hooks, "hooks", hooks_fields),
	FIELD(struct oci_spec_doc, annotations, "annotations", STRING_MAP),
	SUB(struct oci_spec_doc, linux_, "linux", oci_linux_fields),
	FIELD(struct oci_spec_doc, vm, "vm", VALUE),
	{0},
};

int oci_decode_name(struct json_decoder *d, const struct json *v, const struct oci_name *names,
		    uint32_t *ret, struct error *err)
{
	const char *name = json_string(v);

	if (!name)
		return json_decoder_error(d, err, "expected a string");
	for (; names->name; names++)
		if (strcmp(names->name, name) == 0) {
			*ret = names->value;
			return 0;
		}
	return json_decoder_error(d, err, "unknown value '%s'", name);
}

int oci_decode_flags(struct json_decoder *d, const struct json *v, const struct oci_name *names,
		     uint32_t *ret, struct error *err)
{
	uint32_t flags = 0, one = 0;

	if (json_type(v) != JSON_ARRAY)
		return json_decoder_error(d, err, "expected an array");
	for (size_t i = 0; i < json_count(v); i++) {
		int r = oci_decode_name(d, json_at(v, i), names, &one, err);

		if (r < 0)
			return r;
		flags |= one;
	}
	*ret = flags;
	return 0;
}

/* -- public ------------------------------------------------------------------------------- */

int oci_process_parse(struct arena *a, const struct json *v, struct oci_process *ret,
		      struct error *err)
{
	struct oci_process process = {0};
	int r = json_decode(a, v, oci_process_fields, &process, "process", err);

	if (r < 0)
		return r;
	r = oci_process_check(&process, err);
	if (r < 0)
		return r;
	*ret = process;
	return 0;
}

int oci_resources_parse(struct arena *a, const struct json *v, struct oci_resources *ret,
			struct error *err)
{
	struct oci_resources resources = {0};
	int r = json_decode(a, v, oci_resources_fields, &resources, "resources", err);

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
	const struct json *v;
	int r;

	if (len > OCI_SPEC_MAX)
		return error_set(err, ERROR_INVALID, E2BIG, "config.json");
	r = json_parse(a, text, len, &v, err);
	return r < 0 ? error_wrap(err, r, "config.json") : oci_spec_decode(a, v, ret, err);
}

int oci_spec_decode(struct arena *a, const struct json *v, struct oci_spec *ret, struct error *err)
{
	struct oci_spec_doc doc = {0};
	struct oci_spec spec;
	int r;

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
				 .mounts = doc.mounts,
				 .hooks = doc.hooks,
				 .annotations = doc.annotations,
				 .linux_ = doc.linux_};
	if (doc.process)
		spec.process = *doc.process;
	*ret = spec;
	return 0;
}
