/* What the tables cannot say of the document as a whole: relations between members, values that only
 * some contexts allow. */
#include "oci/runtime_spec_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "oci/id_mappings.h"

int oci_invalid(struct error *err, const char *field, const char *what)
{
	return error_set(err, ERROR_INVALID, 0, "%s: %s", field, what);
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

static int check_mapping(const struct json_objects *list, size_t i, const char *name,
			 struct error *err)
{
	char field[64];

	(void)snprintf(field, sizeof(field), "mounts[%zu].%s", i, name);
	return oci_id_mappings_check(list, field, err);
}

static int check_mounts(const struct json_objects *mounts, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < mounts->n; i++) {
		const struct oci_mount *m = oci_at(mounts, struct oci_mount, i);

		if (m->destination[0] == '\0')
			return error_set(err, ERROR_INVALID, 0,
					 "mounts[%zu].destination: must not be empty", i);
		if (!m->uid_mappings.n != !m->gid_mappings.n)
			return error_set(err, ERROR_INVALID, 0,
					 "mounts[%zu].%s: both kinds of mappings are needed", i,
					 m->uid_mappings.n ? "gidMappings" : "uidMappings");
		r = check_mapping(&m->uid_mappings, i, "uidMappings", err);
		if (r == 0)
			r = check_mapping(&m->gid_mappings, i, "gidMappings", err);
	}
	return r;
}

/* Semantic versioning: MAJOR.MINOR.PATCH, perhaps with "-rc.1" or "+dev".  Documents of 1.x are ours;
 * what drafts before 1.0 said is not promised, but where it is the same it works. */
static bool is_supported_version(const char *version)
{
	const char *p = version;

	for (int part = 0; part < 3; part++) {
		size_t digits = strspn(p, "0123456789");

		if (digits == 0 || (part == 0 && (digits != 1 || *p > '1')))
			return false;
		p += digits;
		if (part < 2 && *p++ != '.')
			return false;
	}
	return *p == '\0' || ((*p == '-' || *p == '+') && p[1]);
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

	if (!is_supported_version(doc->version))
		return error_set(err, ERROR_INVALID, 0, "ociVersion: '%s' is not supported",
				 doc->version);
	if (!doc->root)
		return oci_invalid(err, "root", "is required");
	if (doc->root->path[0] == '\0')
		return oci_invalid(err, "root.path", "must not be empty");
	if (!json_is_zero(doc->vm))
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0, "vm is not implemented");
	if (doc->hostname && doc->hostname[0] && !doc->linux_.namespaces[OCI_NAMESPACE_UTS].present)
		return oci_invalid(err, "hostname", "given without a uts namespace");
	if (doc->domainname && doc->domainname[0] &&
	    !doc->linux_.namespaces[OCI_NAMESPACE_UTS].present)
		return oci_invalid(err, "domainname", "given without a uts namespace");
	if (doc->process)
		r = oci_process_check(doc->process, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(hooks); i++)
		r = check_hooks(hooks[i].list, hooks[i].name, err);
	if (r == 0)
		r = check_mounts(&doc->mounts, err);
	if (r == 0)
		r = oci_linux_check(&doc->linux_, err);
	return r;
}
