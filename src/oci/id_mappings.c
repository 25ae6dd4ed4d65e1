/* Mappings of a user namespace: what user_namespaces(7) demands of them, checked before a kernel
 * that only says EINVAL. */
#include "oci/id_mappings.h"

#include <errno.h>
#include <inttypes.h>

#include "base/error.h"

static bool overlap(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size)
{
	return (uint64_t)a < (uint64_t)b + b_size && (uint64_t)b < (uint64_t)a + a_size;
}

static int check_one(const struct json_objects *list, size_t i, const char *field,
		     struct error *err)
{
	const struct oci_id_mapping *m = oci_at(list, struct oci_id_mapping, i);

	if (m->size == 0)
		return error_set(err, ERROR_INVALID, 0, "%s[%zu].size: must not be 0", field, i);
	/* 4294967295 is no id (chown(2)). */
	if ((uint64_t)m->container_id + m->size > UINT32_MAX)
		return error_set(err, ERROR_INVALID, 0,
				 "%s[%zu].containerID: %" PRIu32 " and %" PRIu32
				 " ids are more than there are",
				 field, i, m->container_id, m->size);
	if ((uint64_t)m->host_id + m->size > UINT32_MAX)
		return error_set(err, ERROR_INVALID, 0,
				 "%s[%zu].hostID: %" PRIu32 " and %" PRIu32
				 " ids are more than there are",
				 field, i, m->host_id, m->size);
	for (size_t j = 0; j < i; j++) {
		const struct oci_id_mapping *other = oci_at(list, struct oci_id_mapping, j);
		bool inside = overlap(m->container_id, m->size, other->container_id, other->size);

		if (inside || overlap(m->host_id, m->size, other->host_id, other->size))
			return error_set(err, ERROR_INVALID, 0, "%s[%zu].%s: overlaps with %s[%zu]",
					 field, i, inside ? "containerID" : "hostID", field, j);
	}
	return 0;
}

int oci_id_mappings_check(const struct json_objects *list, const char *field, struct error *err)
{
	if (list->n > OCI_ID_MAPPINGS_MAX)
		return error_set(err, ERROR_INVALID, E2BIG, "%s: %zu entries", field, list->n);
	for (size_t i = 0; i < list->n; i++) {
		int r = check_one(list, i, field, err);

		if (r < 0)
			return r;
	}
	return 0;
}

bool oci_id_is_mapped(const struct json_objects *list, uint32_t id)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct oci_id_mapping *m = oci_at(list, struct oci_id_mapping, i);

		if (id >= m->container_id && id - m->container_id < m->size)
			return true;
	}
	return false;
}
