/* oci/image_spec.h - image configs, manifests and indexes: Docker's and OCI's, which are alike.
 *
 * https://github.com/opencontainers/image-spec/blob/main/{config,manifest,image-index}.md
 * Everything parsed lives in the caller's arena.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json_decode.h"

#define IMAGE_MAX_CONFIG    (4 << 20) /* bytes of a config, manifest or index */
#define IMAGE_MAX_LAYERS    127       /* as Docker; overlayfs itself takes 500 */
#define IMAGE_MAX_MANIFESTS 1024      /* of one index */

#define IMAGE_TYPE_OCI_INDEX       "application/vnd.oci.image.index.v1+json"
#define IMAGE_TYPE_OCI_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define IMAGE_TYPE_OCI_CONFIG      "application/vnd.oci.image.config.v1+json"
#define IMAGE_TYPE_OCI_LAYER       "application/vnd.oci.image.layer.v1.tar"
#define IMAGE_TYPE_OCI_LAYER_GZIP  "application/vnd.oci.image.layer.v1.tar+gzip"
#define IMAGE_TYPE_OCI_LAYER_ZSTD  "application/vnd.oci.image.layer.v1.tar+zstd"
#define IMAGE_TYPE_DOCKER_INDEX    "application/vnd.docker.distribution.manifest.list.v2+json"
#define IMAGE_TYPE_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define IMAGE_TYPE_DOCKER_CONFIG   "application/vnd.docker.container.image.v1+json"

struct image_healthcheck {
	struct json_strings test; /* {"NONE"}, {"CMD", ...}, {"CMD-SHELL", "..."}; empty: inherit */
	int64_t interval_ns, timeout_ns, start_period_ns, start_interval_ns; /* 0: inherit */
	int retries;
};

/* What a container inherits.  A list is absent when v is NULL, and may be empty otherwise. */
struct image_config {
	const char *user;                  /* NULL: none, as with all strings here */
	struct json_strings exposed_ports; /* "80/tcp" */
	struct json_strings env;           /* "K=V" */
	struct json_strings entrypoint, cmd;
	struct json_strings volumes; /* paths */
	const char *working_dir;
	struct json_string_map labels;
	const char *stop_signal;
	const int *stop_timeout; /* seconds; NULL: none */
	const struct image_healthcheck *healthcheck;
	struct json_strings shell, on_build;
	bool args_escaped;
};

struct image_history {
	const char *created, *created_by, *author, *comment; /* NULL: none */
	bool empty_layer;
};

struct image_spec {
	const char *architecture, *os, *variant, *os_version; /* NULL: none */
	const char *created;                                  /* RFC 3339 */
	const char *author, *comment, *docker_version, *parent;
	struct image_config config;
	struct json_objects history;  /* struct image_history */
	struct json_strings diff_ids; /* bottom first, valid digests */
	const struct json *doc;       /* the whole document */
};

/* ERROR_INVALID names the member. */
int image_spec_parse(struct arena *a, const char *text, size_t len, const struct image_spec **ret,
		     struct error *err);
/* As Docker writes configs: members in its order, absent ones left out. */
void image_spec_write(const struct image_spec *spec, struct strbuf *out);
/* A "config" object alone, Docker's or OCI's: members that no image has are passed over. */
int image_config_decode(struct arena *a, const struct json *v, struct image_config *ret,
			struct error *err);
/* The "config" object alone (inspect's Config has other members too). */
void image_config_write(struct json_writer *w, const struct image_config *c);

struct image_platform {
	const char *architecture, *os, *variant;
};

struct image_descriptor {
	const char *media_type; /* NULL: none */
	const char *digest;     /* valid */
	int64_t size;
	struct json_string_map annotations;
	const struct image_platform *platform;
};

struct image_manifest {
	const char *media_type;
	struct image_descriptor config;
	struct json_objects layers; /* struct image_descriptor */
	struct json_string_map annotations;
};

struct image_index {
	const char *media_type;
	struct json_objects manifests; /* struct image_descriptor */
};

int image_manifest_parse(struct arena *a, const char *text, size_t len,
			 const struct image_manifest **ret, struct error *err);
int image_index_parse(struct arena *a, const char *text, size_t len, const struct image_index **ret,
		      struct error *err);
bool image_type_is_index(const char *media_type);
bool image_type_is_manifest(const char *media_type);
/* NULL if absent. */
const char *image_annotation(const struct json_string_map *m, const char *key);

/* manifest.json of a `docker save` archive. */
struct image_archive_item {
	const char *config;            /* the member's path */
	struct json_strings repo_tags; /* "busybox:latest" */
	struct json_strings layers;    /* members' paths, bottom first */
};
int image_archive_parse(struct arena *a, const char *text, size_t len, struct json_objects *ret,
			struct error *err); /* struct image_archive_item */

/* This machine in Go's words: "amd64", "arm64", and the variant or NULL. */
const char *image_native_architecture(void);
const char *image_native_variant(void);
/* Does the platform run on this machine? */
bool image_platform_is_native(const struct image_platform *p);
/* Does what is there (members may be missing) do for what is asked for (os and architecture are set)?  The
 * variants that an architecture has by default may be left out by either. */
bool image_platform_matches(const struct image_platform *have, const struct image_platform *want);
