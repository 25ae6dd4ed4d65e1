/* Images from registries: pull. */
#include <string.h>

#include "api/api_priv.h"
#include "api/handlers.h"
#include "api/image_config.h"
#include "api/lines.h"
#include "api/registry.h"
#include "base/arena.h"
#include "base/mem.h"
#include "oci/image_ref.h"
#include "registry/pull.h"

static int parse_reference(struct api_call *c, struct image_ref *ret, struct error *err)
{
	const char *name = api_query(c, "fromImage"), *tag = api_query(c, "tag");
	autofree char *full =
		*tag ? xasprintf(strchr(tag, ':') ? "%s@%s" : "%s:%s", name, tag) : xstrdup(name);

	if (*tag && !strchr(tag, ':') && !image_ref_tag_is_valid(tag))
		return error_set(err, ERROR_INVALID, 0, "invalid tag format");
	return image_ref_parse(full, ret, err);
}

static int pull_one(struct api_call *c, const struct registry_args *args,
		    const struct image_ref *ref, struct error *err)
{
	autofree char *familiar = image_ref_familiar(ref);
	const char *platform = api_query(c, "platform");
	struct registry_pulled pulled = {0};
	autofree char *status = NULL;
	int r = registry_pull(args, ref, *platform ? platform : NULL, &pulled, err);

	if (r < 0)
		return r;
	status = xasprintf("Status: %s for %s",
			   pulled.is_new ? "Downloaded newer image" : "Image is up to date",
			   familiar);
	lines_member(c->req, "status", status);
	return 0;
}

static int pull_all(struct api_call *c, const struct registry_args *args, struct image_ref *ref,
		    struct error *err)
{
	autostrv struct strv tags = {0};
	int r = registry_tags(args, ref, &tags, err);

	for (size_t i = 0; i < tags.n && r >= 0; i++) {
		struct image_ref one = *ref;

		one.tag = tags.v[i];
		r = pull_one(c, args, &one, err);
	}
	return r;
}

int images_pull(struct api_call *c, struct error *err)
{
	autoimage_ref struct image_ref ref = {0};
	struct registry_call call;
	int r = parse_reference(c, &ref, err);

	if (r >= 0)
		r = registry_call_init(c, &call, err);
	if (r < 0)
		return r;
	r = ref.tag || ref.digest ? pull_one(c, &call.args, &ref, err)
				  : pull_all(c, &call.args, &ref, err);
	if (r >= 0)
		image_emit_transfer(c, "pull", &ref);
	return lines_end(c, r, err);
}
