/* Images' configurations and events. */
#include "api/image_config.h"

#include <string.h>

#include "api/api_priv.h"
#include "api/emit.h"
#include "base/arena.h"
#include "base/mem.h"
#include "oci/image_ref.h"
#include "store/store.h"

const struct json *image_config_parse(struct arena *a, const struct store_image *img)
{
	const struct json *doc;

	return json_parse(a, img->config, img->config_len, &doc, NULL) < 0 ? NULL : doc;
}

/* A container's members, which no image sets, were there until 1.49. */
enum zero { ZERO_STRING, ZERO_BOOL, ZERO_NULL };
static const struct {
	const char *name;
	enum zero zero;
	bool of_container;
} members[] = {
	{"Hostname", ZERO_STRING, true},   {"Domainname", ZERO_STRING, true},
	{"User", ZERO_STRING, false},      {"AttachStdin", ZERO_BOOL, true},
	{"AttachStdout", ZERO_BOOL, true}, {"AttachStderr", ZERO_BOOL, true},
	{"Tty", ZERO_BOOL, true},          {"OpenStdin", ZERO_BOOL, true},
	{"StdinOnce", ZERO_BOOL, true},    {"Env", ZERO_NULL, false},
	{"Cmd", ZERO_NULL, false},         {"Image", ZERO_STRING, true},
	{"Volumes", ZERO_NULL, false},     {"WorkingDir", ZERO_STRING, false},
	{"Entrypoint", ZERO_NULL, false},  {"OnBuild", ZERO_NULL, false},
	{"Labels", ZERO_NULL, false},
};

static bool is_of_container(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (strcmp(members[i].name, name) == 0)
			return members[i].of_container;
	return false;
}

void image_config_answer(const struct json *config, unsigned version, struct json_writer *w)
{
	jw_kobject(w, "Config");
	for (size_t i = 0; i < json_count(config); i++)
		if (version < 150 || !is_of_container(json_key_at(config, i)))
			jw_kvalue(w, json_key_at(config, i), json_value_at(config, i));
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		if (json_get(config, members[i].name) ||
		    (version >= 150 && members[i].of_container))
			continue;
		if (members[i].zero == ZERO_STRING)
			jw_kstring(w, members[i].name, "");
		else if (members[i].zero == ZERO_BOOL)
			jw_kbool(w, members[i].name, false);
		else
			jw_knull(w, members[i].name);
	}
	jw_object_end(w);
}

static void write_strv(struct json_writer *w, const char *key, const struct strv *v)
{
	jw_karray(w, key);
	for (size_t i = 0; i < v->n; i++)
		jw_string(w, v->v[i]);
	jw_array_end(w);
}

void image_write_names(struct json_writer *w, const struct store_image *img)
{
	write_strv(w, "RepoTags", &img->repo_tags);
	write_strv(w, "RepoDigests", &img->repo_digests);
}

const char *image_familiar(const char *name)
{
	if (str_has_prefix(name, "docker.io/library/"))
		return name + strlen("docker.io/library/");
	return str_has_prefix(name, "docker.io/") ? name + strlen("docker.io/") : name;
}

const char *image_reference(struct api_call *c, const char *repo, const char *tag)
{
	if (*tag == '\0')
		return repo;
	return arena_printf(http_request_arena(c->req), strchr(tag, ':') ? "%s@%s" : "%s:%s", repo,
			    tag);
}

const char *image_id_of(struct api_call *c, const char *ref)
{
	autostore_image struct store_image img = {0};

	if (store_image_get(engine_store(c->engine), ref, &img, NULL) < 0)
		return ref;
	return arena_strdup(http_request_arena(c->req), img.id);
}

const struct json *image_labels(struct api_call *c, const char *ref)
{
	autostore_image struct store_image img = {0};
	const struct json *config;

	if (store_image_get(engine_store(c->engine), ref, &img, NULL) < 0)
		return NULL;
	config = image_config_parse(http_request_arena(c->req), &img);
	return json_get(json_get(config, "config"), "Labels");
}

void image_emit(struct api_call *c, const char *action, const char *id, const char *name,
		const struct json *labels)
{
	struct event_attr *attrs = xnew0n(struct event_attr, json_count(labels) + 1);
	struct event ev = {.type = "image", .action = action, .id = id, .attrs = attrs};
	const struct json *v;
	const char *key;

	json_object_foreach(key, v, labels)
		if (json_string(v))
			attrs[ev.attr_count++] = (struct event_attr){key, json_string(v)};
	attrs[ev.attr_count++] = (struct event_attr){"name", name};
	api_emit(c, &ev);
	free(attrs);
}

void image_emit_transfer(struct api_call *c, const char *action, const struct image_ref *ref)
{
	autofree char *familiar = image_ref_familiar(ref), *name = image_ref_familiar_name(ref);

	image_emit(c, action, familiar, name, image_labels(c, familiar));
}

int image_write_manifests(struct api_call *c, const struct store_image *img, struct json_writer *w,
			  struct error *err)
{
	autoarena struct arena *a = arena_new();
	const struct json *config = image_config_parse(a, img);
	struct store *s = engine_store(c->engine);
	autostrv struct strv users = {0};
	struct store_manifest m;
	int r = store_image_manifest(s, img->id, &m, err);

	r = r < 0 ? r : store_image_users(s, img->id, &users, err);
	if (r < 0)
		return r;
	jw_karray(w, "Manifests");
	jw_object(w);
	jw_kstring(w, "ID", m.digest);
	jw_kobject(w, "Descriptor");
	jw_kstring(w, "mediaType", m.media_type);
	jw_kstring(w, "digest", m.digest);
	jw_kint(w, "size", m.size);
	jw_object_end(w);
	jw_kbool(w, "Available", true);
	jw_kobject(w, "Size");
	jw_kint(w, "Content", m.content);
	jw_kint(w, "Total", m.content + img->size);
	jw_object_end(w);
	jw_kstring(w, "Kind", "image");
	jw_kobject(w, "ImageData");
	jw_kobject(w, "Platform");
	jw_kstring(w, "architecture", json_get_string(config, "architecture"));
	jw_kstring(w, "os", json_get_string(config, "os"));
	if (json_get_string(config, "variant"))
		jw_kstring(w, "variant", json_get_string(config, "variant"));
	jw_object_end(w);
	jw_karray(w, "Containers");
	for (size_t i = 0; i < users.n; i++)
		jw_string(w, users.v[i]);
	jw_array_end(w);
	jw_kobject(w, "Size");
	jw_kint(w, "Unpacked", img->size);
	jw_object_end(w);
	jw_object_end(w);
	jw_object_end(w);
	jw_array_end(w);
	return 0;
}
