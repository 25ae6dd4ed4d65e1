/* engine/config_priv.h - what the files of config share. */
#pragma once

#include <sys/types.h>

#include "engine/config.h"

/* config_decode.c: `doc` lives in s->arena. */
int config_decode(struct container_spec *s, const struct json *doc, struct error *err);
int config_decode_healthcheck(struct arena *a, const struct json *v,
			      const struct config_healthcheck **ret, struct error *err);
/* One HostConfig object without its ports. */
int config_decode_host(struct arena *a, const struct json *v, struct host_config *ret,
		       struct error *err);
int config_decode_points(struct container_spec *s, struct error *err);
/* A copy of `v` in arena `a`. */
int config_copy(struct arena *a, const struct json *v, const struct json **ret, struct error *err);
/* Go's strslice: an array of strings, or one string. */
int config_strslice(struct json_decoder *d, const struct json *v, void *field, struct error *err);

/* config_ports.c: host.port_bindings into host.bindings; checks ExposedPorts' keys. */
int config_ports_parse(struct container_spec *s, struct error *err);

/* config_mounts.c: Binds, Mounts and Tmpfs. */
int config_mounts_validate(const struct container_spec *s, struct error *err);

/* config_validate.c */
int config_validate(struct container_spec *s, unsigned api_version, struct strv *warnings,
		    struct error *err);
/* One endpoint's settings; `doc` is what they were decoded from. */
int config_endpoint_check(const struct config_endpoint *ep, const struct json *doc,
			  struct error *err);
int config_restart_validate(const struct host_config *h, struct error *err);
/* config_resources.c */
int config_resources_validate(struct host_config *h, struct strv *warnings, struct error *err);

/* config_update.c */
/* What becomes of `have` by the body of an update; strings of *ret live in `a`, or are those of `have`.
 * ERROR_CONFLICT with Docker's texts where it contradicts what there is. */
int config_update(const struct host_config *have, const struct json *body, struct arena *a,
		  struct host_config *ret, struct strv *warnings, struct error *err);
/* [loop] *next, of config_update, is copied. */
void config_update_commit(struct container_spec *s, const struct host_config *next);

/* config_defaults.c */
void config_defaults(struct container_spec *s);
bool config_cgroup_is_v2(void);

extern const char *const config_masked_paths[];   /* NULL-terminated */
extern const char *const config_readonly_paths[]; /* NULL-terminated */
