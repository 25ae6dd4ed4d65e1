/* Pushing: layers, config, manifest. */
#include "registry/push.h"

#include <string.h>

#include "base/file.h"
#include "oci/image_spec.h"
#include "registry/connect.h"
#include "registry/send.h"
#include "store/publish.h"

#define TYPE_DOCKER_LAYER      "application/vnd.docker.image.rootfs.diff.tar"
#define TYPE_DOCKER_LAYER_GZIP "application/vnd.docker.image.rootfs.diff.tar.gzip"
#define INDENT                 3 /* spaces: as Docker's own manifests */

struct push {
	const struct registry_args *args; /* borrowed, as all here */
	const struct image_ref *ref;
	const char *image_id;
	struct arena *arena;
	struct remote *remote;
	struct store_publish *publish;
	struct strbuf manifest; /* owned */
	const char *type;
};

static int ask(struct push *p, struct remote_request *req, struct error *err)
{
	const struct json *ok;

	return remote_ask(p->remote, req, p->arena, &ok, err);
}

static int connect_registry(struct push *p, struct error *err)
{
	struct remote_request req;

	remote_request_init(p->remote, "connect", &req);
	return ask(p, &req, err);
}

static int send_config(struct push *p, struct error *err)
{
	struct remote_request req;
	const struct json *ok;
	size_t len;
	const char *config = store_publish_config(p->publish, &len);
	autoclose int fd = fd_memfd("config", config, len, err);

	if (fd < 0)
		return fd;
	remote_request_init(p->remote, "upload", &req);
	jw_kstring(&req.w, "digest", p->image_id);
	jw_kint(&req.w, "size", (int64_t)len);
	return remote_ask_with(p->remote, &req, fd, p->arena, &ok, err);
}

/* ---- the manifest ---- */

static void write_descriptor(struct json_writer *w, const char *type, const char *digest,
			     int64_t size)
{
	jw_kstring(w, "mediaType", type);
	jw_kint(w, "size", size);
	jw_kstring(w, "digest", digest);
}

static const char *layer_type(enum compress_kind kind, bool is_oci)
{
	static const char *const types[][2] = {
		[COMPRESS_NONE] = {TYPE_DOCKER_LAYER, IMAGE_TYPE_OCI_LAYER},
		[COMPRESS_GZIP] = {TYPE_DOCKER_LAYER_GZIP, IMAGE_TYPE_OCI_LAYER_GZIP},
		[COMPRESS_ZSTD] = {NULL, IMAGE_TYPE_OCI_LAYER_ZSTD},
	};

	return types[kind][is_oci];
}

/* Schema 2, which everybody reads; it knows no zstd. */
static void make_manifest(struct push *p)
{
	size_t n = store_publish_count(p->publish), config_len;
	struct json_writer w;
	bool is_oci = false;

	for (size_t i = 0; i < n; i++)
		is_oci |= store_publish_blob(p->publish, i)->kind == COMPRESS_ZSTD;
	(void)store_publish_config(p->publish, &config_len);
	p->type = is_oci ? IMAGE_TYPE_OCI_MANIFEST : IMAGE_TYPE_DOCKER_MANIFEST;
	json_writer_init(&w, &p->manifest);
	w.pretty_indent = INDENT;
	jw_object(&w);
	jw_kint(&w, "schemaVersion", 2);
	jw_kstring(&w, "mediaType", p->type);
	jw_kobject(&w, "config");
	write_descriptor(&w, is_oci ? IMAGE_TYPE_OCI_CONFIG : IMAGE_TYPE_DOCKER_CONFIG, p->image_id,
			 (int64_t)config_len);
	jw_object_end(&w);
	jw_karray(&w, "layers");
	for (size_t i = 0; i < n; i++) {
		const struct store_blob *b = store_publish_blob(p->publish, i);

		jw_object(&w);
		write_descriptor(&w, layer_type(b->kind, is_oci), b->digest, b->size);
		jw_object_end(&w);
	}
	jw_array_end(&w);
	jw_object_end(&w);
}

static int send_manifest(struct push *p, struct registry_pushed *ret, struct error *err)
{
	struct remote_request req;
	const char *kept, *type;
	size_t len;
	int r;

	kept = store_publish_manifest(p->publish, &len, &type);
	if (kept) {
		strbuf_add(&p->manifest, kept, len);
		p->type = type;
	} else {
		make_manifest(p);
	}
	if (strbuf_error(&p->manifest) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "write the manifest");
	remote_request_init(p->remote, "put", &req);
	jw_kstring(&req.w, "reference", p->ref->tag);
	jw_kstring(&req.w, "type", p->type);
	jw_key(&req.w, "document");
	jw_stringn(&req.w, p->manifest.s, p->manifest.len);
	r = ask(p, &req, err);
	if (r < 0)
		return r;
	ret->size = p->manifest.len;
	sha256_of(p->manifest.s, p->manifest.len, ret->digest);
	return 0;
}

/* Where the blobs are now, and what the image is called there. */
static int record(struct push *p, const struct registry_pushed *pushed, struct error *err)
{
	autofree char *name = image_ref_name(p->ref),
		      *digest_name = xasprintf("%s@%s", name, pushed->digest);
	int r = 0;

	for (size_t i = 0; i < store_publish_count(p->publish) && r >= 0; i++)
		r = store_blob_source_add(p->args->store, store_publish_blob(p->publish, i)->digest,
					  name, err);
	return r < 0 ? r : store_digest_record(p->args->store, p->image_id, digest_name, err);
}

static int run(struct push *p, struct registry_pushed *ret, struct error *err)
{
	const struct send_args send = {
		.registry = p->args, .remote = p->remote, .publish = p->publish, .ref = p->ref};
	int r = connect_registry(p, err);

	if (r >= 0)
		r = send_layers(&send, err);
	if (r >= 0)
		r = send_config(p, err);
	if (r >= 0)
		r = send_manifest(p, ret, err);
	return r < 0 ? r : record(p, ret, err);
}

int registry_push(const struct registry_args *args, const struct image_ref *ref,
		  const char *image_id, struct registry_pushed *ret, struct error *err)
{
	const struct connect_args to = {.domain = ref->domain,
					.repository = ref->path,
					.actions = "push,pull",
					.purpose = REGISTRY_PUSH};
	autostore_publish struct store_publish *publish = NULL;
	autoarena struct arena *a = arena_new();
	autoremote struct remote *remote = NULL;
	struct push p = {.args = args,
			 .ref = ref,
			 .image_id = image_id,
			 .arena = a,
			 .manifest = STRBUF_INIT(IMAGE_MAX_CONFIG)};
	int r = store_publish_new(args->store, image_id, &publish, err);

	if (r >= 0)
		r = registry_connect(args, &to, &remote, err);
	if (r < 0)
		return r;
	p.publish = publish;
	p.remote = remote;
	r = run(&p, ret, err);
	strbuf_done(&p.manifest);
	return r;
}
