/* oci/runtime_spec_priv.h - the document as decoded: the public structs and the members that are
 * only looked at to refuse them; the rows and tables of the decoder. */
#pragma once

#include "oci/runtime_spec.h"

/* Rows: the struct, its member, the JSON member's name, and the type (JSON_DECODE_...), the table of
 * a nested object, or the function that decodes. */
#define FIELD(st, member, name, type) JSON_FIELD(st, name, JSON_DECODE_##type, member, 0)
#define REQUIRED(st, member, name, type) \
	JSON_FIELD(st, name, JSON_DECODE_##type, member, JSON_REQUIRED)
#define SUB(st, member, name, table) JSON_FIELD_SUB(st, name, JSON_DECODE_OBJECT, member, table, 0)
/* an object that may be absent: the member is a pointer */
#define OPTIONAL(st, member, name, table, type) \
	JSON_FIELD_PTR(st, name, JSON_DECODE_OBJECT_PTR, member, table, type, 0)
#define LIST(st, member, name, table, type) \
	JSON_FIELD_PTR(st, name, JSON_DECODE_OBJECTS, member, table, type, 0)
#define CUSTOM(st, member, name, fn) JSON_FIELD_FN(st, name, member, fn, 0)
/* the decoder fills several members: it gets the struct itself */
#define WHOLE(name_, fn_)                                                \
	{                                                                \
		.name = (name_), .type = JSON_DECODE_CUSTOM, .fn = (fn_) \
	}

extern const struct json_field oci_process_fields[], oci_linux_fields[], oci_resources_fields[],
	oci_id_mapping_fields[];

/* A member that is one of the table's names. */
int oci_decode_name(struct json_decoder *d, const struct json *v, const struct oci_name *names,
		    uint32_t *ret, struct error *err);
/* An array of such: their values ORed. */
int oci_decode_flags(struct json_decoder *d, const struct json *v, const struct oci_name *names,
		     uint32_t *ret, struct error *err);
int oci_decode_device_type(struct json_decoder *d, const struct json *v, void *field,
			   struct error *err);

struct oci_spec_doc {
	const char *version;
	const struct oci_process *process;
	const struct oci_root *root;
	const char *hostname, *domainname;
	struct json_objects mounts; /* struct oci_mount */
	struct oci_hooks hooks;
	struct json_string_map annotations;
	struct oci_linux linux_;
	const struct json *vm;
};

int oci_process_check(const struct oci_process *p, struct error *err);
int oci_resources_check(const struct oci_resources *res, const char *path, struct error *err);
int oci_linux_check(const struct oci_linux *l, struct error *err);
int oci_spec_check(const struct oci_spec_doc *doc, struct error *err);

/* ERROR_INVALID "field: what". */
int oci_invalid(struct error *err, const char *field, const char *what);
