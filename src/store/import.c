/* A root filesystem's tar becomes an image. */
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "oci/image_changes.h"
#include "oci/image_ref.h"
#include "store/store_priv.h"

#define MAX_PLATFORM 64

/* "os[/arch[/variant]]" */
static int set_platform(struct arena *a, struct image_spec *spec, const char *platform,
			struct error *err)
{
	char *os, *arch, *variant;

	spec->os = "linux";
	spec->architecture = image_native_architecture();
	spec->variant = image_native_variant();
	if (str_empty(platform))
		return 0;
	if (strlen(platform) > MAX_PLATFORM)
		return error_set(err, ERROR_INVALID, 0, "invalid platform");
	os = arena_strdup(a, platform);
	arch = strchr(os, '/');
	if (arch)
		*arch++ = '\0';
	variant = arch ? strchr(arch, '/') : NULL;
	if (variant)
		*variant++ = '\0';
	if (!str_eq(os, "linux"))
		return error_set(err, ERROR_INVALID, 0,
				 "operating system '%s' is not supported: this is linux", os);
	if (arch) {
		spec->architecture = arch;
		spec->variant = variant;
	}
	return 0;
}

int store_new_name(const char *name, char **ret, struct error *err)
{
	autoimage_ref struct image_ref ref = {0};
	int r;

	if (str_empty(name))
		return 0;
	r = image_ref_parse(name, &ref, err);
	if (r < 0)
		return r;
	if (ref.digest)
		return error_set(err, ERROR_INVALID, 0, "cannot import digest reference");
	image_ref_default_tag(&ref);
	*ret = image_ref_format(&ref);
	return 0;
}

char *store_familiar_name(const char *full)
{
	autoimage_ref struct image_ref ref = {0};

	return image_ref_parse(full, &ref, NULL) < 0 ? xstrdup(full) : image_ref_familiar(&ref);
}

static int make_config(struct arena *a, const struct store_import_args *args,
		       const struct layer_stage *l, struct strbuf *out, struct error *err)
{
	const char **diff_ids = arena_new0n(a, const char *, 2);
	struct image_history *h = arena_new0(a, struct image_history);
	struct image_spec spec = {0};
	char *created = arena_alloc(a, CLOCK_RFC3339_SIZE);
	int r;

	r = set_platform(a, &spec, args->platform, err);
	if (r >= 0)
		r = image_changes_apply(a, &spec.config, args->changes, err);
	if (r < 0)
		return r;
	clock_format_rfc3339(clock_realtime_ns(), created);
	diff_ids[0] = l ? l->diff_id : NULL;
	h->created = created;
	h->comment = args->message ? args->message : "Imported from -";
	spec.created = created;
	spec.comment = h->comment;
	spec.history = (struct json_objects){.v = h, .n = 1};
	spec.diff_ids = (struct json_strings){.v = diff_ids, .n = l ? 1 : 0};
	image_spec_write(&spec, out);
	return strbuf_error(out) < 0 ? error_set(err, ERROR_INVALID, 0, "the config is too large")
				     : 0;
}

int store_import(struct store *s, const struct store_import_args *args,
		 char ret_id[static DIGEST_STRING_SIZE], struct error *err)
{
	autostrbuf struct strbuf config = STRBUF_INIT(IMAGE_MAX_CONFIG);
	autostore_pins struct store_pins pins = {0};
	autolayer_stage struct layer_stage *stage = NULL;
	autoarena struct arena *a = arena_new();
	char diff_ids[1][DIGEST_STRING_SIZE], chain[DIGEST_STRING_SIZE];
	struct store_new_image img = {.stages = &stage, .n_layers = 1};
	autofree char *full = NULL;
	struct store_layer_row row;
	const char *names[2];
	int r;

	/* What can be refused without reading the body is refused first. */
	r = store_new_name(args->name, &full, err);
	if (r >= 0)
		r = make_config(a, args, NULL, &config, err);
	if (r < 0)
		return r;
	r = store_stage_layer(s, args->in, &stage, err);
	if (r < 0)
		return r;
	strbuf_reset(&config);
	r = make_config(a, args, stage, &config, err);
	if (r < 0)
		return r;

	memcpy(diff_ids[0], stage->diff_id, sizeof(diff_ids[0]));
	layer_chain_id("", diff_ids[0], chain);
	store_pins_init(s, &pins);
	r = store_pin(&pins, chain, &row, err);
	if (r < 0)
		return r;
	if (r > 0)
		stage = layer_stage_free(stage);
	names[0] = full;
	names[1] = NULL;
	img.config = config.s;
	img.config_len = config.len;
	img.names = full ? names : NULL;
	img.diff_ids = (const char(*)[DIGEST_STRING_SIZE])diff_ids;
	return store_image_commit(&pins, &img, ret_id, err);
}
