/* What is asked of registries: login, search, distribution inspect. */
#include <string.h>

#include "api/api_priv.h"
#include "api/filters.h"
#include "api/handlers.h"
#include "api/registry.h"
#include "base/arena.h"
#include "oci/image_spec.h"
#include "registry/query.h"

#define SEARCH_DEFAULT 25
#define SEARCH_MAX     100

int registry_auth(struct api_call *c, struct error *err)
{
	autojson struct api_json j = {0};
	autofree char *token = NULL;
	struct registry_call call;
	const struct json *body;
	int r = api_body(c, &body, err);

	if (r >= 0)
		r = registry_call_init(c, &call, err);
	if (r < 0)
		return r;
	if (json_type(body) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid JSON: got EOF while reading request body");
	call.auth = (struct registry_auth){
		.username = json_get_string(body, "username"),
		.password = json_get_string(body, "password"),
		.identity_token = json_get_string(body, "identitytoken"),
		.registry_token = json_get_string(body, "registrytoken"),
		.server = json_get_string(body, "serveraddress"),
	};
	r = registry_login(&call.args, &token, err);
	if (r < 0)
		return r;
	api_json_init(&j);
	jw_object(&j.w);
	jw_kstring(&j.w, "Status", "Login Succeeded");
	jw_kstring(&j.w, "IdentityToken", token);
	jw_object_end(&j.w);
	return api_answer_json(c, 200, &j.out, err);
}

/* ---- search ---- */

static bool match_flag(const struct filters *f, const char *name, bool value)
{
	const struct filter *x = filters_get(f, name);

	for (size_t i = 0; x && i < x->n; i++)
		if ((str_eq(x->values[i], "true") || str_eq(x->values[i], "1")) == value)
			return true;
	return !x;
}

static int check_filters(const struct filters *f, int64_t *ret_stars, struct error *err)
{
	static const char *const flags[] = {"is-automated", "is-official"};
	const struct filter *stars = filters_get(f, "stars");

	for (size_t k = 0; k < ARRAY_SIZE(flags); k++) {
		const struct filter *x = filters_get(f, flags[k]);

		for (size_t i = 0; x && i < x->n; i++)
			if (!str_eq(x->values[i], "true") && !str_eq(x->values[i], "false") &&
			    !str_eq(x->values[i], "1") && !str_eq(x->values[i], "0"))
				return error_set(err, ERROR_INVALID, 0, "invalid filter '%s=[%s]'",
						 flags[k], x->values[i]);
	}
	for (size_t i = 0; stars && i < stars->n; i++) {
		int64_t n;

		if (str_parse_i64(stars->values[i], &n) < 0)
			return error_set(err, ERROR_INVALID, 0, "invalid filter 'stars=[%s]'",
					 stars->values[i]);
		*ret_stars = n > *ret_stars ? n : *ret_stars;
	}
	return 0;
}

static void write_results(struct json_writer *w, const struct json *found, const struct filters *f,
			  int64_t stars)
{
	const struct json *results = json_get(found, "results");

	jw_array(w);
	for (size_t i = 0; i < json_count(results); i++) {
		const struct json *one = json_at(results, i);
		bool official = json_get_bool(one, "is_official"),
		     automated = json_get_bool(one, "is_automated");

		if (!match_flag(f, "is-official", official) ||
		    !match_flag(f, "is-automated", automated) ||
		    json_get_int(one, "star_count") < stars)
			continue;
		jw_object(w);
		jw_kint(w, "star_count", json_get_int(one, "star_count"));
		jw_kbool(w, "is_official", official);
		jw_kstring(w, "name", json_get_string(one, "name") ?: "");
		jw_kbool(w, "is_automated", automated);
		jw_kstring(w, "description", json_get_string(one, "description") ?: "");
		jw_object_end(w);
	}
	jw_array_end(w);
}

int images_search(struct api_call *c, struct error *err)
{
	static const char *const known[] = {"is-automated", "is-official", "stars", NULL};
	struct arena *a = http_request_arena(c->req);
	int64_t limit = SEARCH_DEFAULT, stars = 0;
	autojson struct api_json j = {0};
	struct filters filters = {0};
	struct registry_call call;
	const struct json *found;
	int r = filters_parse(a, api_query(c, "filters"), known, &filters, err);

	if (r >= 0)
		r = check_filters(&filters, &stars, err);
	if (r >= 0)
		r = api_query_int(c, "limit", &limit, err);
	if (r >= 0 && (limit < 1 || limit > SEARCH_MAX))
		r = error_set(err, ERROR_INVALID, 0, "limit %lld is outside the range of [1, %d]",
			      (long long)limit, SEARCH_MAX);
	if (r >= 0 && !*api_query(c, "term"))
		r = error_set(err, ERROR_INVALID, 0, "a term to search for is needed");
	if (r >= 0)
		r = registry_call_init(c, &call, err);
	if (r >= 0)
		r = registry_search(&call.args, api_query(c, "term"), (int)limit, a, &found, err);
	if (r < 0)
		return r;
	api_json_init(&j);
	write_results(&j.w, found, &filters, stars);
	return api_answer_json(c, 200, &j.out, err);
}

/* ---- distribution ---- */

static void write_platform(struct json_writer *w, const char *arch, const char *os,
			   const char *variant)
{
	jw_object(w);
	jw_kstring(w, "architecture", arch ? arch : "");
	jw_kstring(w, "os", os ? os : "");
	if (!str_empty(variant))
		jw_kstring(w, "variant", variant);
	jw_object_end(w);
}

static void write_platforms(struct json_writer *w, struct arena *a,
			    const struct registry_document *d)
{
	const struct image_index *index;
	const struct image_spec *spec;

	jw_karray(w, "Platforms");
	if (image_type_is_index(d->type) &&
	    image_index_parse(a, d->text, d->len, &index, NULL) >= 0) {
		const struct image_descriptor *v = index->manifests.v;

		for (size_t i = 0; i < index->manifests.n; i++)
			if (v[i].platform)
				write_platform(w, v[i].platform->architecture, v[i].platform->os,
					       v[i].platform->variant);
	} else if (d->config && image_spec_parse(a, d->config, d->config_len, &spec, NULL) >= 0) {
		write_platform(w, spec->architecture, spec->os, spec->variant);
	}
	jw_array_end(w);
}

int distribution_inspect(struct api_call *c, struct error *err)
{
	struct arena *a = http_request_arena(c->req);
	autoimage_ref struct image_ref ref = {0};
	struct registry_document d = {0};
	autojson struct api_json j = {0};
	struct registry_call call;
	int r = image_ref_parse(c->params[0], &ref, err);

	if (r >= 0)
		r = registry_call_init(c, &call, err);
	if (r < 0)
		return r;
	image_ref_default_tag(&ref);
	r = registry_inspect(&call.args, &ref, a, &d, err);
	if (r < 0)
		return r;
	api_json_init(&j);
	jw_object(&j.w);
	jw_kobject(&j.w, "Descriptor");
	jw_kstring(&j.w, "mediaType", d.type);
	jw_kstring(&j.w, "digest", d.digest);
	jw_kuint(&j.w, "size", d.len);
	jw_object_end(&j.w);
	write_platforms(&j.w, a, &d);
	jw_object_end(&j.w);
	return api_answer_json(c, 200, &j.out, err);
}
