/* oci/runtime_spec_priv.h - the document as decoded: the public structs and the members that are
 * only looked at to refuse them; shared by the decoder and the checks. */
#pragma once

#include "oci/runtime_spec.h"

struct oci_process_doc {
	struct oci_process p;
	const struct json *scheduler, *io_priority, *exec_cpu_affinity;
};

struct oci_mount_doc {
	struct oci_mount m;
	const struct json *uid_mappings, *gid_mappings;
};

struct oci_linux_doc {
	struct oci_linux l;
	const struct json *intel_rdt, *personality, *memory_policy, *net_devices;
};

struct oci_spec_doc {
	const char *version;
	const struct oci_process_doc *process;
	const struct oci_root *root;
	const char *hostname, *domainname;
	struct json_objects mounts; /* struct oci_mount_doc */
	struct oci_hooks hooks;
	struct json_string_map annotations;
	struct oci_linux_doc linux_;
	const struct json *vm;
};

int oci_process_check(const struct oci_process_doc *doc, struct error *err);
int oci_resources_check(const struct oci_resources *res, const char *path, struct error *err);
int oci_spec_check(const struct oci_spec_doc *doc, struct error *err);
