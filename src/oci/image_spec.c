/* Image configs, manifests and indexes. */
#include "oci/image_spec.h"

#include <string.h>

#include "base/str.h"

/* Not base/sha256.h's: this layer is linked without OpenSSL too. */
static bool is_digest(const char *s)
{
	return s && str_has_prefix(s, "sha256:") && strlen(s) == 71 && str_is_hex(s + 7, 64);
}

/* ---- custom members ---- */

/* {"80/tcp": {}, ...}: Go's sets. */
static int decode_set(struct json_decoder *d, const struct json *v, void *field, struct error *err)
{
	struct json_strings *out = field;
	size_t n = json_count(v);

	if (json_is_null(v))
		return 0;
	if (json_type(v) != JSON_OBJECT)
		return json_decoder_error(d, err, "expected an object");
	out->v = arena_new0n(json_decoder_arena(d), const char *, n + 1);
	for (size_t i = 0; i < n; i++)
		out->v[out->n++] = json_key_at(v, i);
	return 0;
}

/* Old images have a bare string for a command. */
static int decode_strings(struct json_decoder *d, const struct json *v, void *field,
			  struct error *err)
{
	struct json_strings *out = field;
	bool single = json_type(v) == JSON_STRING;
	size_t n = single ? 1 : json_count(v);

	if (json_is_null(v))
		return 0;
	if (!single && json_type(v) != JSON_ARRAY)
		return json_decoder_error(d, err, "expected an array of strings");
	out->v = arena_new0n(json_decoder_arena(d), const char *, n + 1);
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string(single ? v : json_at(v, i));

		if (!s)
			return json_decoder_error(d, err, "expected an array of strings");
		out->v[out->n++] = s;
	}
	return 0;
}

static int decode_digest(struct json_decoder *d, const struct json *v, void *field,
			 struct error *err)
{
	const char **out = field;

	if (!is_digest(json_string(v)))
		return json_decoder_error(d, err, "expected a digest \"sha256:<64 hex digits>\"");
	*out = json_string(v);
	return 0;
}

static int decode_diff_ids(struct json_decoder *d, const struct json *v, void *field,
			   struct error *err)
{
	struct json_strings *out = field;
	int r = decode_strings(d, v, field, err);

	if (r < 0)
		return r;
	if (out->n > IMAGE_MAX_LAYERS)
		return json_decoder_error(d, err, "more than %d layers", IMAGE_MAX_LAYERS);
	for (size_t i = 0; i < out->n; i++)
		if (!is_digest(out->v[i]))
			return json_decoder_error(d, err, "'%s' is no sha256 digest", out->v[i]);
	return 0;
}

/* ---- tables ---- */

#define H struct image_healthcheck
static const struct json_field healthcheck_fields[] = {
	JSON_FIELD(H, "Test", JSON_DECODE_STRINGS, test, 0),
	JSON_FIELD(H, "Interval", JSON_DECODE_I64, interval_ns, 0),
	JSON_FIELD(H, "Timeout", JSON_DECODE_I64, timeout_ns, 0),
	JSON_FIELD(H, "StartPeriod", JSON_DECODE_I64, start_period_ns, 0),
	JSON_FIELD(H, "StartInterval", JSON_DECODE_I64, start_interval_ns, 0),
	JSON_FIELD(H, "Retries", JSON_DECODE_INT, retries, 0),
	{0},
};

#define C struct image_config
static const struct json_field config_fields[] = {
	JSON_FIELD(C, "User", JSON_DECODE_STRING, user, 0),
	JSON_FIELD_FN(C, "ExposedPorts", exposed_ports, decode_set, 0),
	JSON_FIELD(C, "Env", JSON_DECODE_STRINGS, env, 0),
	JSON_FIELD_FN(C, "Entrypoint", entrypoint, decode_strings, 0),
	JSON_FIELD_FN(C, "Cmd", cmd, decode_strings, 0),
	JSON_FIELD_FN(C, "Volumes", volumes, decode_set, 0),
	JSON_FIELD(C, "WorkingDir", JSON_DECODE_STRING, working_dir, 0),
	JSON_FIELD(C, "Labels", JSON_DECODE_STRING_MAP, labels, 0),
	JSON_FIELD(C, "StopSignal", JSON_DECODE_STRING, stop_signal, 0),
	JSON_FIELD(C, "StopTimeout", JSON_DECODE_OPT_INT, stop_timeout, 0),
	JSON_FIELD_PTR(C, "Healthcheck", JSON_DECODE_OBJECT_PTR, healthcheck, healthcheck_fields, H,
		       0),
	JSON_FIELD_FN(C, "Shell", shell, decode_strings, 0),
	JSON_FIELD_FN(C, "OnBuild", on_build, decode_strings, 0),
	JSON_FIELD(C, "ArgsEscaped", JSON_DECODE_BOOL, args_escaped, 0),
	{0},
};

#define Y struct image_history
static const struct json_field history_fields[] = {
	JSON_FIELD(Y, "created", JSON_DECODE_STRING, created, 0),
	JSON_FIELD(Y, "created_by", JSON_DECODE_STRING, created_by, 0),
	JSON_FIELD(Y, "author", JSON_DECODE_STRING, author, 0),
	JSON_FIELD(Y, "comment", JSON_DECODE_STRING, comment, 0),
	JSON_FIELD(Y, "empty_layer", JSON_DECODE_BOOL, empty_layer, 0),
	{0},
};

struct rootfs {
	const char *type;
	struct json_strings diff_ids;
};

static const struct json_field rootfs_fields[] = {
	JSON_FIELD(struct rootfs, "type", JSON_DECODE_STRING, type, 0),
	JSON_FIELD_FN(struct rootfs, "diff_ids", diff_ids, decode_diff_ids, 0),
	{0},
};

struct spec_doc {
	struct image_spec spec;
	struct rootfs rootfs;
};

#define S struct spec_doc
static const struct json_field spec_fields[] = {
	JSON_FIELD(S, "architecture", JSON_DECODE_STRING, spec.architecture, 0),
	JSON_FIELD(S, "os", JSON_DECODE_STRING, spec.os, 0),
	JSON_FIELD(S, "variant", JSON_DECODE_STRING, spec.variant, 0),
	JSON_FIELD(S, "os.version", JSON_DECODE_STRING, spec.os_version, 0),
	JSON_FIELD(S, "created", JSON_DECODE_STRING, spec.created, 0),
	JSON_FIELD(S, "author", JSON_DECODE_STRING, spec.author, 0),
	JSON_FIELD(S, "comment", JSON_DECODE_STRING, spec.comment, 0),
	JSON_FIELD(S, "docker_version", JSON_DECODE_STRING, spec.docker_version, 0),
	JSON_FIELD(S, "parent", JSON_DECODE_STRING, spec.parent, 0),
	JSON_FIELD_SUB(S, "config", JSON_DECODE_OBJECT, spec.config, config_fields, 0),
	JSON_FIELD_PTR(S, "history", JSON_DECODE_OBJECTS, spec.history, history_fields, Y, 0),
	JSON_FIELD_SUB(S, "rootfs", JSON_DECODE_OBJECT, rootfs, rootfs_fields, JSON_REQUIRED),
	{0},
};

#define P struct image_platform
static const struct json_field platform_fields[] = {
	JSON_FIELD(P, "architecture", JSON_DECODE_STRING, architecture, 0),
	JSON_FIELD(P, "os", JSON_DECODE_STRING, os, 0),
	JSON_FIELD(P, "variant", JSON_DECODE_STRING, variant, 0),
	{0},
};

#define D struct image_descriptor
static const struct json_field descriptor_fields[] = {
	JSON_FIELD(D, "mediaType", JSON_DECODE_STRING, media_type, 0),
	JSON_FIELD_FN(D, "digest", digest, decode_digest, JSON_REQUIRED),
	JSON_FIELD(D, "size", JSON_DECODE_I64, size, 0),
	JSON_FIELD(D, "annotations", JSON_DECODE_STRING_MAP, annotations, 0),
	JSON_FIELD_PTR(D, "platform", JSON_DECODE_OBJECT_PTR, platform, platform_fields, P, 0),
	{0},
};

#define M struct image_manifest
static const struct json_field manifest_fields[] = {
	JSON_FIELD(M, "mediaType", JSON_DECODE_STRING, media_type, 0),
	JSON_FIELD_SUB(M, "config", JSON_DECODE_OBJECT, config, descriptor_fields, JSON_REQUIRED),
	JSON_FIELD_PTR(M, "layers", JSON_DECODE_OBJECTS, layers, descriptor_fields, D, 0),
	JSON_FIELD(M, "annotations", JSON_DECODE_STRING_MAP, annotations, 0),
	{0},
};

#define I struct image_index
static const struct json_field index_fields[] = {
	JSON_FIELD(I, "mediaType", JSON_DECODE_STRING, media_type, 0),
	JSON_FIELD_PTR(I, "manifests", JSON_DECODE_OBJECTS, manifests, descriptor_fields, D, 0),
	{0},
};

#define A struct image_archive_item
static const struct json_field archive_fields[] = {
	JSON_FIELD(A, "Config", JSON_DECODE_STRING, config, JSON_REQUIRED | JSON_NONEMPTY),
	JSON_FIELD(A, "RepoTags", JSON_DECODE_STRINGS, repo_tags, 0),
	JSON_FIELD(A, "Layers", JSON_DECODE_STRINGS, layers, 0),
	{0},
};

/* ---- parsing ---- */

static int parse(struct arena *a, const char *text, size_t len, const struct json **ret,
		 struct error *err)
{
	if (len > IMAGE_MAX_CONFIG)
		return error_set(err, ERROR_INVALID, 0, "a document of more than %d bytes",
				 IMAGE_MAX_CONFIG);
	return json_parse(a, text, len, ret, err);
}

int image_spec_parse(struct arena *a, const char *text, size_t len, const struct image_spec **ret,
		     struct error *err)
{
	struct spec_doc *doc = arena_new0(a, struct spec_doc);
	const struct json *json = NULL;
	int r;

	r = parse(a, text, len, &json, err);
	if (r >= 0)
		r = json_decode(a, json, spec_fields, doc, "", err);
	if (r < 0)
		return error_wrap(err, r, "image config");
	doc->spec.diff_ids = doc->rootfs.diff_ids;
	doc->spec.doc = json;
	*ret = &doc->spec;
	return 0;
}

int image_config_decode(struct arena *a, const struct json *v, struct image_config *ret,
			struct error *err)
{
	return json_decode(a, v, config_fields, ret, "", err);
}

int image_manifest_parse(struct arena *a, const char *text, size_t len,
			 const struct image_manifest **ret, struct error *err)
{
	struct image_manifest *m = arena_new0(a, struct image_manifest);
	const struct json *json = NULL;
	int r;

	r = parse(a, text, len, &json, err);
	if (r >= 0)
		r = json_decode(a, json, manifest_fields, m, "", err);
	if (r >= 0 && m->layers.n > IMAGE_MAX_LAYERS)
		r = error_set(err, ERROR_INVALID, 0, "more than %d layers", IMAGE_MAX_LAYERS);
	if (r < 0)
		return error_wrap(err, r, "image manifest");
	*ret = m;
	return 0;
}

int image_index_parse(struct arena *a, const char *text, size_t len, const struct image_index **ret,
		      struct error *err)
{
	struct image_index *x = arena_new0(a, struct image_index);
	const struct json *json = NULL;
	int r;

	r = parse(a, text, len, &json, err);
	if (r >= 0)
		r = json_decode(a, json, index_fields, x, "", err);
	if (r >= 0 && x->manifests.n > IMAGE_MAX_MANIFESTS)
		r = error_set(err, ERROR_INVALID, 0, "more than %d manifests", IMAGE_MAX_MANIFESTS);
	if (r < 0)
		return error_wrap(err, r, "image index");
	*ret = x;
	return 0;
}

int image_archive_parse(struct arena *a, const char *text, size_t len, struct json_objects *ret,
			struct error *err)
{
	const struct json *json = NULL;
	struct image_archive_item *v;
	size_t n;
	int r;

	r = parse(a, text, len, &json, err);
	if (r < 0)
		return error_wrap(err, r, "manifest.json");
	if (json_type(json) != JSON_ARRAY)
		return error_set(err, ERROR_INVALID, 0, "manifest.json: expected an array");
	n = json_count(json);
	if (n > IMAGE_MAX_MANIFESTS)
		return error_set(err, ERROR_INVALID, 0, "manifest.json: more than %d images",
				 IMAGE_MAX_MANIFESTS);
	v = arena_new0n(a, struct image_archive_item, n + 1);
	for (size_t i = 0; i < n; i++) {
		r = json_decode(a, json_at(json, i), archive_fields, &v[i], "", err);
		if (r >= 0 && v[i].layers.n > IMAGE_MAX_LAYERS)
			r = error_set(err, ERROR_INVALID, 0, "more than %d layers",
				      IMAGE_MAX_LAYERS);
		if (r < 0)
			return error_wrap(err, r, "manifest.json: image %zu", i);
	}
	*ret = (struct json_objects){.v = v, .n = n};
	return 0;
}

bool image_type_is_index(const char *media_type)
{
	return str_eq(media_type, IMAGE_TYPE_OCI_INDEX) ||
	       str_eq(media_type, IMAGE_TYPE_DOCKER_INDEX);
}

bool image_type_is_manifest(const char *media_type)
{
	return str_eq(media_type, IMAGE_TYPE_OCI_MANIFEST) ||
	       str_eq(media_type, IMAGE_TYPE_DOCKER_MANIFEST);
}

const char *image_annotation(const struct json_string_map *m, const char *key)
{
	for (size_t i = 0; i < m->n; i++)
		if (str_eq(m->keys[i], key))
			return m->values[i];
	return NULL;
}

/* ---- writing ---- */

static void write_strings(struct json_writer *w, const char *key, const struct json_strings *s)
{
	if (!s->v)
		return;
	jw_karray(w, key);
	for (size_t i = 0; i < s->n; i++)
		jw_string(w, s->v[i]);
	jw_array_end(w);
}

static void write_set(struct json_writer *w, const char *key, const struct json_strings *s)
{
	if (s->n == 0)
		return;
	jw_kobject(w, key);
	for (size_t i = 0; i < s->n; i++) {
		jw_kobject(w, s->v[i]);
		jw_object_end(w);
	}
	jw_object_end(w);
}

static void write_string(struct json_writer *w, const char *key, const char *s)
{
	if (s && s[0])
		jw_kstring(w, key, s);
}

static void write_int(struct json_writer *w, const char *key, int64_t v)
{
	if (v != 0)
		jw_kint(w, key, v);
}

static void write_healthcheck(struct json_writer *w, const struct image_healthcheck *h)
{
	jw_kobject(w, "Healthcheck");
	write_strings(w, "Test", &h->test);
	write_int(w, "Interval", h->interval_ns);
	write_int(w, "Timeout", h->timeout_ns);
	write_int(w, "StartPeriod", h->start_period_ns);
	write_int(w, "StartInterval", h->start_interval_ns);
	write_int(w, "Retries", h->retries);
	jw_object_end(w);
}

void image_config_write(struct json_writer *w, const struct image_config *c)
{
	jw_object(w);
	write_string(w, "User", c->user);
	write_set(w, "ExposedPorts", &c->exposed_ports);
	write_strings(w, "Env", &c->env);
	write_strings(w, "Entrypoint", &c->entrypoint);
	write_strings(w, "Cmd", &c->cmd);
	if (c->healthcheck)
		write_healthcheck(w, c->healthcheck);
	if (c->args_escaped)
		jw_kbool(w, "ArgsEscaped", true);
	write_set(w, "Volumes", &c->volumes);
	write_string(w, "WorkingDir", c->working_dir);
	write_strings(w, "OnBuild", &c->on_build);
	if (c->labels.n > 0) {
		jw_kobject(w, "Labels");
		for (size_t i = 0; i < c->labels.n; i++)
			jw_kstring(w, c->labels.keys[i], c->labels.values[i]);
		jw_object_end(w);
	}
	write_string(w, "StopSignal", c->stop_signal);
	if (c->stop_timeout)
		jw_kint(w, "StopTimeout", *c->stop_timeout);
	write_strings(w, "Shell", &c->shell);
	jw_object_end(w);
}

static void write_history(struct json_writer *w, const struct json_objects *list)
{
	const struct image_history *h = list->v;

	jw_karray(w, "history");
	for (size_t i = 0; i < list->n; i++) {
		jw_object(w);
		write_string(w, "created", h[i].created);
		write_string(w, "author", h[i].author);
		write_string(w, "created_by", h[i].created_by);
		write_string(w, "comment", h[i].comment);
		if (h[i].empty_layer)
			jw_kbool(w, "empty_layer", true);
		jw_object_end(w);
	}
	jw_array_end(w);
}

void image_spec_write(const struct image_spec *spec, struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out);
	jw_object(&w);
	write_string(&w, "architecture", spec->architecture);
	jw_key(&w, "config");
	image_config_write(&w, &spec->config);
	write_string(&w, "created", spec->created);
	write_string(&w, "author", spec->author);
	write_string(&w, "comment", spec->comment);
	write_string(&w, "docker_version", spec->docker_version);
	write_history(&w, &spec->history);
	write_string(&w, "os", spec->os);
	write_string(&w, "os.version", spec->os_version);
	jw_kobject(&w, "rootfs");
	jw_kstring(&w, "type", "layers");
	jw_karray(&w, "diff_ids");
	for (size_t i = 0; i < spec->diff_ids.n; i++)
		jw_string(&w, spec->diff_ids.v[i]);
	jw_array_end(&w);
	jw_object_end(&w);
	write_string(&w, "variant", spec->variant);
	jw_object_end(&w);
}

/* ---- this machine ---- */

const char *image_native_architecture(void)
{
#if defined(__x86_64__)
	return "amd64";
#elif defined(__aarch64__)
	return "arm64";
#elif defined(__arm__)
	return "arm";
#elif defined(__i386__)
	return "386";
#elif defined(__riscv) && __riscv_xlen == 64
	return "riscv64";
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return "ppc64le";
#elif defined(__s390x__)
	return "s390x";
#elif defined(__loongarch_lp64)
	return "loong64";
#else
#error "name this architecture as Go does"
#endif
}

const char *image_native_variant(void)
{
#if defined(__aarch64__)
	return "v8";
#elif defined(__arm__)
	return "v7";
#else
	return NULL;
#endif
}

bool image_platform_is_native(const struct image_platform *p)
{
	if (!p)
		return true;
	if (p->os && p->os[0] && !str_eq(p->os, "linux"))
		return false;
	return !p->architecture || !p->architecture[0] ||
	       str_eq(p->architecture, image_native_architecture());
}

/* Docker's and containerd's: "arm64" is "arm64/v8", "arm" is "arm/v7". */
static const char *variant_of(const struct image_platform *p)
{
	if (!str_empty(p->variant))
		return p->variant;
	if (str_eq(p->architecture, "arm64"))
		return "v8";
	return str_eq(p->architecture, "arm") ? "v7" : "";
}

bool image_platform_matches(const struct image_platform *have, const struct image_platform *want)
{
	return str_eq(have->os ? have->os : "linux", want->os) &&
	       str_eq(have->architecture, want->architecture) &&
	       str_eq(variant_of(have), variant_of(want));
}
