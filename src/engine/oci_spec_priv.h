/* engine/oci_spec_priv.h - the parts that oci_spec.c puts together. */
#pragma once

#include "engine/cdi.h"
#include "engine/oci_spec.h"

/* engine/oci_process.c: "process":{...} without its key. */
struct oci_process_args {
	const struct oci_spec_args *spec;
	const struct exec_config *exec; /* NULL: the container's own process */
};
int oci_process_write(const struct oci_process_args *args, struct json_writer *w,
		      struct error *err);
/* The bounding set as names; strings are static. */
#define OCI_CAPS_MAX 64
size_t oci_caps_names(const struct host_config *h, const char *ret[static OCI_CAPS_MAX]);

/* engine/oci_mounts.c: "mounts":[...]; *ret_propagation: what the root needs for them, or NULL. */
int oci_mounts_write(const struct oci_spec_args *args, struct json_writer *w,
		     const char **ret_propagation, struct error *err);

/* engine/oci_devices.c: "devices":[...] of linux, and the device rules of resources. */
struct oci_device_list;
int oci_devices_collect(const struct host_config *h, const struct cdi_result *cdi,
			struct oci_device_list **ret, struct error *err);
void oci_devices_write(const struct oci_device_list *l, struct json_writer *w);
void oci_device_rules_write(const struct oci_device_list *l, const struct host_config *h,
			    struct json_writer *w);
struct oci_device_list *oci_devices_free(struct oci_device_list *l);

/* engine/oci_resources.c: the members of "resources" but "devices". */
int oci_resources_write(const struct host_config *h, struct json_writer *w, struct error *err);
