/* Pulling: resolve, compare with what is here, fetch, commit. */
#include "registry/pull.h"

#include <string.h>

#include "base/crash.h"
#include "oci/image_spec.h"
#include "registry/connect.h"
#include "registry/fetch.h"
#include "registry/trust.h"
#include "store/ingest.h"
#include "store/partial.h"
#include "store/publish.h"
#include "store/store.h"

#define OS "linux"

struct pull {
	const struct registry_args *args; /* borrowed */
	const struct image_ref *ref;
	struct arena *arena;
	struct remote *remote;
	/* Verified: */
	char digest[DIGEST_STRING_SIZE], manifest_digest[DIGEST_STRING_SIZE];
	const struct image_manifest *manifest;
	const char *text, *type; /* of the manifest */
	size_t text_len;
	const char *config;
	size_t config_len;
};

static void say(const struct pull *p, const char *id, const char *status)
{
	p->args->progress->report(p->args->progress->data, id, status, -1, 0);
}

/* ---- errors, as dockerd tells them ---- */

static int translate(const struct pull *p, int r, struct error *err)
{
	autofree char *name = image_ref_familiar_name(p->ref), *full = image_ref_familiar(p->ref);
	const char *code = remote_error_code(p->remote);
	bool is_refused = str_eq(code, "UNAUTHORIZED"); /* with a wrong password, say */

	if (str_eq(code, "DENIED") || str_eq(code, "UNAUTHORIZED"))
		r = error_wrap(err, r,
			       "pull access denied for %s, repository does not exist or may "
			       "require 'docker login'",
			       name);
	else if (str_eq(code, "MANIFEST_UNKNOWN"))
		r = error_wrap(err, r, "manifest for %s not found", full);
	else if (str_eq(code, "NAME_UNKNOWN"))
		r = error_wrap(err, r, "repository %s not found", name);
	else
		return r;
	if (err)
		err->kind = is_refused ? ERROR_UNAUTHORIZED : ERROR_NOT_FOUND;
	return r;
}

/* ---- documents ---- */

/* "linux/arm64/v8", "arm64" */
static int write_platform(struct json_writer *w, struct arena *a, const char *platform,
			  struct error *err)
{
	const char *arch = image_native_architecture(), *variant = image_native_variant();

	if (platform && *platform) {
		char *s = arena_strdup(a, platform), *slash = strchr(s, '/');

		variant = NULL;
		if (slash) {
			*slash = '\0';
			if (!str_eq(s, OS))
				return error_set(err, ERROR_INVALID, 0,
						 "\"%s\" is an invalid OS component of \"%s\": "
						 "this is linux",
						 s, platform);
			s = slash + 1;
			slash = strchr(s, '/');
		}
		if (slash) {
			*slash = '\0';
			variant = slash + 1;
		}
		arch = str_eq(s, "x86_64")    ? "amd64"
		       : str_eq(s, "aarch64") ? "arm64"
		       : str_eq(s, OS)        ? arch
					      : s;
	}
	jw_kobject(w, "platform");
	jw_kstring(w, "os", OS);
	jw_kstring(w, "architecture", arch);
	if (variant)
		jw_kstring(w, "variant", variant);
	jw_object_end(w);
	return 0;
}

/* What the helper says is hashed again here: a document is what a digest vouches for. */
static const char *take_document(const struct json *document,
				 char ret_digest[static DIGEST_STRING_SIZE], size_t *ret_len)
{
	const struct json *text = json_get(document, "text");
	const char *s = json_string(text);

	*ret_len = json_string_len(text);
	if (s)
		sha256_of(s, *ret_len, ret_digest);
	return s;
}

static bool index_lists(struct arena *a, const char *text, size_t len, const char *digest)
{
	const struct image_index *index;
	const struct image_descriptor *v;

	if (image_index_parse(a, text, len, &index, NULL) < 0)
		return false;
	v = index->manifests.v;
	for (size_t i = 0; i < index->manifests.n; i++)
		if (str_eq(v[i].digest, digest))
			return true;
	return false;
}

static int bad_manifest(const char *digest, struct error *err)
{
	return error_set(err, ERROR_INVALID, 0, "manifest verification failed for digest %s",
			 digest);
}

/* Each document is listed by the one above it, and the first has the digest of the reference. */
static int verify_path(struct pull *p, const struct json *ok, const char *manifest_digest,
		       struct error *err)
{
	const struct json *inner = json_get(ok, "inner");
	char digest[DIGEST_STRING_SIZE];
	size_t len;
	const char *above = take_document(json_get(ok, "top"), p->digest, &len);

	if (p->ref->digest && !str_eq(p->ref->digest, p->digest))
		return bad_manifest(p->ref->digest, err);
	for (size_t i = 0; i < json_count(inner); i++) {
		size_t below_len;
		const char *below = take_document(json_at(inner, i), digest, &below_len);

		if (!below || !index_lists(p->arena, above, len, digest))
			return bad_manifest(p->digest, err);
		above = below;
		len = below_len;
	}
	if (manifest_digest && !index_lists(p->arena, above, len, manifest_digest))
		return bad_manifest(manifest_digest, err);
	return 0;
}

static int verify(struct pull *p, const struct json *ok, struct error *err)
{
	char manifest_digest[DIGEST_STRING_SIZE], config_digest[DIGEST_STRING_SIZE];
	size_t top_len, len, config_len;
	const char *top = take_document(json_get(ok, "top"), p->digest, &top_len), *text, *config;
	int r;

	text = take_document(json_get(ok, "manifest"), manifest_digest, &len);
	config = take_document(json_get(ok, "config"), config_digest, &config_len);
	if (!top || !config)
		return error_set(err, ERROR_INTERNAL, 0, "the registry's answer is incomplete");
	r = verify_path(p, ok, text ? manifest_digest : NULL, err);
	if (r < 0)
		return r;
	if (!text) {
		text = top;
		len = top_len;
	}
	r = image_manifest_parse(p->arena, text, len, &p->manifest, err);
	if (r < 0)
		return r;
	if (!str_eq(p->manifest->config.digest, config_digest))
		return error_set(err, ERROR_INVALID, 0,
				 "image config verification failed for digest %s",
				 p->manifest->config.digest);
	memcpy(p->manifest_digest, text == top ? p->digest : manifest_digest,
	       sizeof(p->manifest_digest));
	p->text = text;
	p->text_len = len;
	p->type = json_get_string(json_get(ok, text == top ? "top" : "manifest"), "type");
	p->config = config;
	p->config_len = config_len;
	return 0;
}

static int resolve(struct pull *p, const char *platform, struct error *err)
{
	struct remote_request req;
	const struct json *ok;
	int r;

	remote_request_init(p->remote, "resolve", &req);
	jw_kstring(&req.w, "reference", p->ref->digest ? p->ref->digest : p->ref->tag);
	r = write_platform(&req.w, p->arena, platform, err);
	if (r < 0) {
		strbuf_done(&req.text);
		return r;
	}
	r = remote_ask(p->remote, &req, p->arena, &ok, err);
	if (r < 0)
		return translate(p, r, err);
	return verify(p, ok, err);
}

/* ---- trust ---- */

static int ask_for_signatures(struct pull *p, const char *digest, struct trust_evidence *ret,
			      struct error *err)
{
	struct remote_request req;
	const struct json *ok;
	int r;

	remote_request_init(p->remote, "signatures", &req);
	jw_kstring(&req.w, "digest", digest);
	r = remote_ask(p->remote, &req, p->arena, &ok, err);
	if (r < 0)
		return error_wrap(err, r, "look for signatures of %s", digest);
	*ret = (struct trust_evidence){.digest = digest,
				       .signatures = json_get(ok, "signatures"),
				       .malformed = json_get_string(ok, "malformed")};
	return 0;
}

/* Signed is what the reference names, or else the manifest that has been chosen from that index. */
static int check_signatures(struct pull *p, const struct trust_rule *rule, struct error *err)
{
	const char *const digests[] = {p->digest, p->manifest_digest};
	size_t n = str_eq(digests[0], digests[1]) ? 1 : 2;
	struct trust_evidence evidence[ARRAY_SIZE(digests)];

	for (size_t i = 0; i < n; i++) {
		int r = ask_for_signatures(p, digests[i], &evidence[i], err);

		if (r < 0)
			return r;
		r = trust_check_signatures(rule, p->ref, evidence, i + 1, i + 1 < n ? NULL : err);
		if (r >= 0 || i + 1 == n)
			return r;
	}
	return 0;
}

/* ---- layers ---- */

static void make_names(const struct pull *p, struct strv *ret)
{
	autofree char *name = image_ref_name(p->ref);

	if (!p->ref->digest)
		strv_addf(ret, "%s:%s", name, p->ref->tag);
	strv_addf(ret, "%s@%s", name, p->digest);
}

/* What a push of it will be glad to know. */
static int record(const struct pull *p, const char *id, struct error *err)
{
	const struct image_descriptor *layers = p->manifest->layers.v;
	autofree char *name = image_ref_name(p->ref);
	int r = p->type ? store_manifest_record(p->args->store, id, p->type, p->text, p->text_len,
						err)
			: 0;

	for (size_t i = 0; i < p->manifest->layers.n && r >= 0; i++)
		r = store_blob_source_add(p->args->store, layers[i].digest, name, err);
	return r;
}

/* What an earlier pull left may be what is wrong: once more without it. */
static int fetch_all(const struct fetch_args *fetch, struct error *err)
{
	autoerror struct error why = {0};
	bool is_stale = false;
	int r = fetch_layers(fetch, &is_stale, &why);

	if (r >= 0)
		return r;
	return is_stale ? fetch_layers(fetch, &is_stale, err) : error_move(err, &why, r);
}

static int fetch_image(struct pull *p, struct registry_pulled *ret, struct error *err)
{
	size_t n = p->manifest->layers.n;
	const struct image_descriptor *layers = p->manifest->layers.v;
	const char **digests = arena_new0n(p->arena, const char *, n + 1);
	const struct store_ingest_args ingest_args = {
		.config = p->config, .config_len = p->config_len, .layers = digests, .n_layers = n};
	autostore_ingest struct store_ingest *ingest = NULL;
	struct fetch_args fetch = {
		.registry = p->args, .remote = p->remote, .layers = layers, .n_layers = n};
	autostrv struct strv names = {0};
	int r;

	for (size_t i = 0; i < n; i++)
		digests[i] = layers[i].digest;
	r = store_ingest_new(p->args->store, &ingest_args, &ingest, err);
	if (r < 0)
		return r;
	fetch.ingest = ingest;
	if (ret->is_new)
		r = fetch_all(&fetch, err);
	if (r < 0)
		return r;
	crash_point(CRASH_PULL_STAGED);
	make_names(p, &names);
	r = store_ingest_commit(ingest, (const char *const *)names.v, ret->id, err);
	if (r < 0)
		return r;
	crash_point(CRASH_PULL_COMMITTED);
	for (size_t i = 0; i < n; i++)
		store_partial_drop(p->args->store, digests[i]);
	return record(p, ret->id, err);
}

/* Is it what the name stands for already? */
static void look_here(struct pull *p, struct registry_pulled *ret, bool *ret_complete)
{
	autostore_image struct store_image img = {0}, named = {0};
	autofree char *name = image_ref_format(p->ref);

	*ret_complete =
		store_image_get(p->args->store, p->manifest->config.digest, &img, NULL) >= 0;
	ret->is_new = !*ret_complete || store_image_get(p->args->store, name, &named, NULL) < 0 ||
		      !str_eq(named.id, img.id);
}

static int run(struct pull *p, const char *platform, struct registry_pulled *ret, struct error *err)
{
	const struct trust_rule *rule = trust_policy_find(p->args->config->trust, p->ref);
	bool wants_signature = trust_rule_wants_signature(rule);
	bool complete = false;
	int r = resolve(p, platform, err);

	if (r >= 0 && wants_signature)
		r = check_signatures(p, rule, err);
	if (r < 0)
		return r;
	crash_point(CRASH_PULL_RESOLVED);
	say(p, p->ref->digest ? p->ref->digest : p->ref->tag,
	    arena_printf(p->arena, "Pulling from %s", p->ref->path));
	if (wants_signature)
		say(p, NULL,
		    arena_printf(p->arena, "Signature: verified by signature-policy '%s'",
				 trust_rule_prefix(rule)));
	look_here(p, ret, &complete);
	r = fetch_image(p, ret, err);
	if (r < 0)
		return r;
	memcpy(ret->digest, p->digest, sizeof(ret->digest));
	say(p, NULL, arena_printf(p->arena, "Digest: %s", p->digest));
	return 0;
}

static int connect_to(const struct registry_args *args, const struct image_ref *ref,
		      struct remote **ret, struct error *err)
{
	const struct connect_args to = {.domain = ref->domain,
					.repository = ref->path,
					.actions = "pull",
					.purpose = REGISTRY_PULL};

	return registry_connect(args, &to, ret, err);
}

int registry_pull(const struct registry_args *args, const struct image_ref *ref,
		  const char *platform, struct registry_pulled *ret, struct error *err)
{
	autoarena struct arena *a = arena_new();
	autoremote struct remote *remote = NULL;
	struct pull p = {.args = args, .ref = ref, .arena = a};
	int r = trust_check_rule(trust_policy_find(args->config->trust, ref), ref, err);

	if (r >= 0)
		r = connect_to(args, ref, &remote, err);
	if (r < 0)
		return r;
	p.remote = remote;
	return run(&p, platform, ret, err);
}

int registry_tags(const struct registry_args *args, const struct image_ref *ref, struct strv *ret,
		  struct error *err)
{
	autoarena struct arena *a = arena_new();
	autoremote struct remote *remote = NULL;
	struct pull p = {.args = args, .ref = ref, .arena = a};
	struct remote_request req;
	const struct json *ok, *tags;
	int r = trust_check_rule(trust_policy_find(args->config->trust, ref), ref, err);

	if (r >= 0)
		r = connect_to(args, ref, &remote, err);
	if (r < 0)
		return r;
	p.remote = remote;
	remote_request_init(remote, "tags", &req);
	r = remote_ask(remote, &req, a, &ok, err);
	if (r < 0)
		return translate(&p, r, err);
	tags = json_get(ok, "tags");
	for (size_t i = 0; i < json_count(tags); i++) {
		const char *tag = json_string(json_at(tags, i));

		if (tag && image_ref_tag_is_valid(tag))
			strv_add(ret, tag);
	}
	return 0;
}
