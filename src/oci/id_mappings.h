/* oci/id_mappings.h - lists of struct oci_id_mapping: linux.uidMappings, mounts[].gidMappings, ... */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "oci/runtime_spec.h"

/* Entries that the kernel takes (user_namespaces(7), since Linux 4.15). */
#define OCI_ID_MAPPINGS_MAX ((size_t)340)

/* Sizes, overlaps, count; ERROR_INVALID naming the member behind `field` ("linux.uidMappings"). */
int oci_id_mappings_check(const struct json_objects *list, const char *field, struct error *err);
/* Whether an id of the container has one on the host. */
bool oci_id_is_mapped(const struct json_objects *list, uint32_t id);
