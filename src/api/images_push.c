/* Images to registries: push. */
#include <string.h>

#include "api/api_priv.h"
#include "api/handlers.h"
#include "api/image_config.h"
#include "api/images_filter.h"
#include "api/lines.h"
#include "api/registry.h"
#include "base/mem.h"
#include "oci/image_ref.h"
#include "registry/push.h"
#include "store/store.h"

static void send_aux(struct api_call *c, const char *tag, const struct registry_pushed *pushed)
{
	autojson struct api_json j = {0};

	api_json_init(&j);
	jw_object(&j.w);
	jw_kobject(&j.w, "progressDetail");
	jw_object_end(&j.w);
	jw_kobject(&j.w, "aux");
	jw_kstring(&j.w, "Tag", tag);
	jw_kstring(&j.w, "Digest", pushed->digest);
	jw_kuint(&j.w, "Size", pushed->size);
	jw_object_end(&j.w);
	jw_object_end(&j.w);
	lines_send(c->req, &j);
}

static int push_one(struct api_call *c, const struct registry_args *args,
		    const struct image_ref *ref, const char *id, struct error *err)
{
	autofree char *status = NULL;
	struct registry_pushed pushed = {0};
	int r = registry_push(args, ref, id, &pushed, err);

	if (r < 0)
		return r;
	status = xasprintf("%s: digest: %s size: %zu", ref->tag, pushed.digest, pushed.size);
	lines_member(c->req, "status", status);
	send_aux(c, ref->tag, &pushed);
	return 0;
}

/* Tags that the repository has here, with what they stand for. */
struct tagged {
	struct strv names, ids;
};

static void tagged_done(struct tagged *t)
{
	strv_done(&t->names);
	strv_done(&t->ids);
}

static int find_tagged(struct api_call *c, const struct image_ref *ref, struct tagged *ret,
		       struct error *err)
{
	autostore_image_list struct store_image_list list = {0};
	autofree char *name = image_ref_name(ref), *familiar = image_ref_familiar_name(ref);
	int r = store_image_list(engine_store(c->engine), &list, err);

	for (size_t i = 0; i < list.n && r >= 0; i++)
		for (size_t k = 0; k < list.v[i].repo_tags.n && r >= 0; k++) {
			autoimage_ref struct image_ref one = {0};
			autofree char *other = NULL;

			r = image_ref_parse(list.v[i].repo_tags.v[k], &one, err);
			other = r >= 0 ? image_ref_name(&one) : NULL;
			if (!str_eq(name, other))
				continue;
			strv_add(&ret->names, one.tag);
			strv_add(&ret->ids, list.v[i].id);
		}
	if (r >= 0 && ret->names.n == 0)
		r = error_set(err, ERROR_NOT_FOUND, 0,
			      "An image does not exist locally with the tag: %s", familiar);
	return r;
}

/* An image here has one platform: it must be the one that is asked for. */
static int check_platforms(struct api_call *c, const struct image_ref *ref, struct error *err)
{
	__attribute__((cleanup(tagged_done))) struct tagged tagged = {0};
	autofree char *familiar = image_ref_familiar(ref);
	struct image_platform want;
	bool given = false;
	int r = c->version >= 146 ? images_platform_parse(c, &want, &given, err) : 0;

	if (r < 0 || !given)
		return r;
	r = find_tagged(c, ref, &tagged, err);
	for (size_t i = 0; i < tagged.names.n && r >= 0; i++) {
		autostore_image struct store_image img = {0};

		if (ref->tag && !str_eq(ref->tag, tagged.names.v[i]))
			continue;
		r = store_image_get(engine_store(c->engine), tagged.ids.v[i], &img, err);
		r = r < 0 ? r : images_platform_check(c, familiar, &img, err);
	}
	return r;
}

static int push(struct api_call *c, const struct registry_args *args, const struct image_ref *ref,
		struct error *err)
{
	autofree char *name = image_ref_name(ref), *familiar = image_ref_familiar(ref);
	autofree char *status = xasprintf("The push refers to repository [%s]", name);
	__attribute__((cleanup(tagged_done))) struct tagged tagged = {0};
	size_t pushed = 0;
	int r;

	lines_member(c->req, "status", status);
	r = find_tagged(c, ref, &tagged, err);
	for (size_t i = 0; i < tagged.names.n && r >= 0; i++) {
		struct image_ref one = *ref;

		if (ref->tag && !str_eq(ref->tag, tagged.names.v[i]))
			continue;
		one.tag = tagged.names.v[i];
		pushed++;
		r = push_one(c, args, &one, tagged.ids.v[i], err);
	}
	if (r >= 0 && pushed == 0)
		r = error_set(err, ERROR_NOT_FOUND, 0, "tag does not exist: %s", familiar);
	if (r >= 0)
		image_emit_transfer(c, "push", ref);
	return r;
}

int images_push(struct api_call *c, struct error *err)
{
	const char *tag = api_query(c, "tag");
	autoimage_ref struct image_ref ref = {0};
	struct registry_call call;
	int r;

	r = image_ref_parse(c->params[0], &ref, err);
	if (r >= 0 && ref.digest)
		r = error_set(err, ERROR_INVALID, 0, "cannot push a digest reference");
	if (r >= 0 && *tag && !image_ref_tag_is_valid(tag))
		r = error_set(err, ERROR_INVALID, 0, "invalid tag format");
	if (r >= 0)
		r = registry_call_init(c, &call, err);
	if (r < 0)
		return r;
	if (*tag) {
		free(ref.tag);
		ref.tag = xstrdup(tag);
	}
	r = check_platforms(c, &ref, err);
	if (r < 0)
		return r;
	return lines_end(c, push(c, &call.args, &ref, err), err);
}
