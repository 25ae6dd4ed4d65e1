/* Which images are asked for. */
#include "api/images_filter.h"

#include <fnmatch.h>
#include <string.h>

#include "api/api_priv.h"
#include "api/image_config.h"
#include "base/arena.h"
#include "base/mem.h"
#include "store/store.h"

/* ---- names ---- */

/* "name", "name:tag" or a pattern; a star does not match slashes. */
static bool match_name(const struct filter *x, const char *name)
{
	const char *at = strchr(name, '@'), *colon = strrchr(name, ':'), *end = at ? at : colon;
	autofree char *repository = xstrndup(name, end ? (size_t)(end - name) : strlen(name));

	for (size_t i = 0; i < x->n; i++)
		if (fnmatch(x->values[i], name, FNM_PATHNAME) == 0 ||
		    fnmatch(x->values[i], repository, FNM_PATHNAME) == 0)
			return true;
	return false;
}

static bool match_reference(const struct filters *f, const struct store_image *img)
{
	const struct filter *x = filters_get(f, "reference");

	for (size_t i = 0; x && i < img->repo_tags.n; i++)
		if (match_name(x, img->repo_tags.v[i]))
			return true;
	for (size_t i = 0; x && i < img->repo_digests.n; i++)
		if (match_name(x, img->repo_digests.v[i]))
			return true;
	return !x;
}

static void keep_matching(const struct filter *x, struct strv *names)
{
	size_t n = 0;

	for (size_t i = 0; i < names->n; i++) {
		if (match_name(x, names->v[i]))
			names->v[n++] = names->v[i];
		else
			free(names->v[i]);
	}
	names->n = n;
}

void images_filter_names(const struct images_filter *q, struct store_image *img)
{
	const struct filter *x = filters_get(&q->filters, "reference");

	if (!x)
		return;
	keep_matching(x, &img->repo_tags);
	keep_matching(x, &img->repo_digests);
}

/* A bracket that does not end is an error to Docker, and a character to fnmatch(3). */
static int check_patterns(const struct filters *f, struct error *err)
{
	const struct filter *x = filters_get(f, "reference");

	for (size_t i = 0; x && i < x->n; i++) {
		const char *open = strrchr(x->values[i], '[');

		if (open && !strchr(open, ']'))
			return error_set(err, ERROR_INVALID, 0, "syntax error in pattern");
	}
	return 0;
}

/* ---- the query ---- */

static int image_time(struct api_call *c, const struct filters *f, const char *key, int64_t *ret,
		      struct error *err)
{
	const struct filter *x = filters_get(f, key);
	autostore_image struct store_image img = {0};
	int r;

	if (!x)
		return 0;
	r = store_image_get(engine_store(c->engine), x->values[0], &img, err);
	if (r == 0)
		*ret = img.created_ns;
	return r;
}

int images_filter_parse(struct api_call *c, bool prune, struct images_filter *ret,
			struct error *err)
{
	static const char *const list_keys[] = {"before", "dangling", "label", "reference",
						"since",  "until",    NULL};
	static const char *const prune_keys[] = {"dangling", "label", "label!", "until", NULL};
	int r = filters_parse(http_request_arena(c->req), http_query(c->req, "filters"),
			      prune ? prune_keys : list_keys, &ret->filters, err);

	ret->before_ns = INT64_MAX;
	ret->since_ns = INT64_MIN;
	if (r == 0)
		r = filters_bool(&ret->filters, "dangling", prune, &ret->dangling, err);
	if (r == 0)
		r = image_time(c, &ret->filters, "before", &ret->before_ns, err);
	if (r == 0)
		r = image_time(c, &ret->filters, "since", &ret->since_ns, err);
	if (r == 0)
		r = filters_until(&ret->filters, &ret->until_ns, err);
	if (r == 0)
		r = check_patterns(&ret->filters, err);
	ret->dangling_asked = filters_get(&ret->filters, "dangling");
	return r;
}

bool images_filter_match(const struct images_filter *q, const struct store_image *img)
{
	autoarena struct arena *a = arena_new();
	const struct json *labels =
		json_get(json_get(image_config_parse(a, img), "config"), "Labels");

	if (filters_get(&q->filters, "label!") &&
	    filters_match_labels(&q->filters, "label!", labels))
		return false;
	return img->created_ns < q->before_ns && img->created_ns > q->since_ns &&
	       img->created_ns < q->until_ns &&
	       filters_match_labels(&q->filters, "label", labels) &&
	       match_reference(&q->filters, img);
}

/* ---- platforms ---- */

static int parse_platform(struct api_call *c, const char *text, struct image_platform *ret,
			  struct error *err)
{
	const struct json *v = NULL;
	autoerror struct error why = {0};

	if (json_parse(http_request_arena(c->req), text, strlen(text), &v, &why) < 0 ||
	    json_type(v) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID, 0, "failed to parse platform: %s",
				 why.msg ? error_msg(&why) : "an object is needed");
	*ret = (struct image_platform){.os = json_get_string(v, "os"),
				       .architecture = json_get_string(v, "architecture"),
				       .variant = json_get_string(v, "variant")};
	if (str_empty(ret->os) || str_empty(ret->architecture))
		return error_set(err, ERROR_INVALID, 0,
				 "platform: both OS and architecture must be provided");
	return 0;
}

int images_platform_parse(struct api_call *c, struct image_platform *ret, bool *ret_given,
			  struct error *err)
{
	const char *const *all = api_query_all(c, "platform");

	*ret_given = all[0] && *all[0];
	if (!*ret_given)
		return 0;
	if (all[1]) /* as Docker's engine, whose images of this kind have one platform as well */
		return error_set(err, ERROR_INVALID, 0,
				 "multiple platform parameters not supported");
	return parse_platform(c, all[0], ret, err);
}

static int check_platform(const char *ref, const struct store_image *img,
			  const struct image_platform *want, struct error *err)
{
	autoarena struct arena *a = arena_new();
	const struct json *config = image_config_parse(a, img);
	struct image_platform have = {.os = json_get_string(config, "os"),
				      .architecture = json_get_string(config, "architecture"),
				      .variant = json_get_string(config, "variant")};

	if (image_platform_matches(&have, want))
		return 0;
	return error_set(err, ERROR_NOT_FOUND, 0,
			 "image with reference %s was found but does not match the specified "
			 "platform: wanted %s/%s%s%s, actual: %s/%s%s%s",
			 ref, want->os, want->architecture, want->variant ? "/" : "",
			 want->variant ? want->variant : "", have.os ? have.os : "",
			 have.architecture ? have.architecture : "", have.variant ? "/" : "",
			 have.variant ? have.variant : "");
}

int images_platform_check(struct api_call *c, const char *ref, const struct store_image *img,
			  struct error *err)
{
	struct image_platform want;
	bool given;
	int r = images_platform_parse(c, &want, &given, err);

	return r < 0 || !given ? r : check_platform(ref, img, &want, err);
}

int images_platforms_check(struct api_call *c, const char *ref, struct error *err)
{
	autostore_image struct store_image img = {0};
	const char *const *all = api_query_all(c, "platforms");
	struct image_platform want;
	int r = 0;

	for (size_t i = 0; all[i] && r >= 0; i++)
		r = parse_platform(c, all[i], &want, err);
	if (r < 0 || !all[0])
		return r;
	if (all[1])
		return error_set(err, ERROR_INVALID, 0, "multiple platforms are not supported");
	r = store_image_get(engine_store(c->engine), ref, &img, err);
	return r < 0 ? r : check_platform(ref, &img, &want, err);
}
