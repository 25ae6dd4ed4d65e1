/* api/image_config.h - an image's configuration in the API's terms, and its events. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"

struct api_call;
struct image_ref;
struct store_image;

/* The config's document (OCI image-spec), or NULL if it is none; lives in `a`. */
const struct json *image_config_parse(struct arena *a, const struct store_image *img);
/* Member "Config":{...}: what the image says, and zero for what it leaves out, since clients look
 * members up without asking. */
void image_config_answer(const struct json *config, unsigned version, struct json_writer *w);
/* Members "RepoTags" and "RepoDigests". */
void image_write_names(struct json_writer *w, const struct store_image *img);
/* "docker.io/library/busybox" -> "busybox": what people call it. */
const char *image_familiar(const char *name);
/* "repo:tag" or "repo@digest" in the request's arena; `repo` itself without a tag. */
const char *image_reference(struct api_call *c, const char *repo, const char *tag);
/* The ID that a reference stands for now; `ref` itself if it is none.  [worker] */
const char *image_id_of(struct api_call *c, const char *ref);
/* [worker] Labels of the image that a reference stands for, in the request's arena; NULL without any. */
const struct json *image_labels(struct api_call *c, const char *ref);
/* [worker] An image's event, with its labels (or NULL).  As Docker's: `name` is a name where one was given to an image,
 * the repository's where a registry was asked, and the ID itself (id: "sha256:...") in all others. */
void image_emit(struct api_call *c, const char *action, const char *id, const char *name,
		const struct json *labels);
/* [worker] The event of a pull or push, once for all tags. */
void image_emit_transfer(struct api_call *c, const char *action, const struct image_ref *ref);
/* [worker] Member "Manifests": the one there is. */
int image_write_manifests(struct api_call *c, const struct store_image *img, struct json_writer *w,
			  struct error *err);
