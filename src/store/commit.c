/* What a container has changed becomes an image: a layer on top of its own. */
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "oci/image_spec.h"
#include "store/produce.h"
#include "store/store_priv.h"

/* Of a tar without entries: two blocks of zeros.  Docker makes no layer of it either. */
#define EMPTY_DIFF_ID "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"

static int produce_layer(void *data, const struct stream_writer *out, struct error *err)
{
	return tree_layer(data, out, err);
}

/* The container's changes, staged; *ret NULL: there are none. */
static int stage_changes(struct store *s, const struct store_commit_args *args,
			 const struct store_snapshot *snap, struct layer_stage **ret,
			 struct error *err)
{
	struct tree_layer tree = {.upper = snap->upper,
				  .lower = (const char *const *)snap->lower.v,
				  .n_lower = snap->lower.n,
				  .ids = args->ids};
	autolayer_stage struct layer_stage *stage = NULL;
	autoproduce struct produce *p = NULL;
	struct stream_reader in;
	int r = produce_new(produce_layer, &tree, &p, err);

	if (r < 0)
		return r;
	in = produce_reader(p);
	r = store_stage_layer(s, &in, &stage, err);
	if (r < 0)
		return r;
	if (args->read)
		args->read(args->data);
	if (!str_eq(stage->diff_id, EMPTY_DIFF_ID))
		*ret = TAKE_PTR(stage);
	return 0;
}

/* The base's config with the new layer, history entry and configuration. */
static int make_config(struct arena *a, const struct store_commit_args *args,
		       const struct store_image *base, const struct layer_stage *l,
		       struct strbuf *out, struct error *err)
{
	char *created = arena_alloc(a, CLOCK_RFC3339_SIZE);
	const struct image_spec *from;
	struct image_history *history;
	struct image_spec spec;
	const char **diff_ids;
	int r = image_spec_parse(a, base->config, base->config_len, &from, err);

	if (r < 0)
		return r;
	clock_format_rfc3339(clock_realtime_ns(), created);
	diff_ids = arena_new0n(a, const char *, from->diff_ids.n + 2);
	for (size_t i = 0; i < from->diff_ids.n; i++)
		diff_ids[i] = from->diff_ids.v[i];
	if (l)
		diff_ids[from->diff_ids.n] = l->diff_id;
	history = arena_new0n(a, struct image_history, from->history.n + 1);
	for (size_t i = 0; i < from->history.n; i++)
		history[i] = ((const struct image_history *)from->history.v)[i];
	history[from->history.n] = (struct image_history){.created = created,
							  .created_by = args->created_by,
							  .author = args->author,
							  .comment = args->comment,
							  .empty_layer = !l};
	spec = *from;
	spec.config = *args->config;
	spec.created = created;
	spec.author = args->author;
	spec.comment = args->comment;
	spec.docker_version = NULL; /* the base's */
	spec.history = (struct json_objects){.v = history, .n = from->history.n + 1};
	spec.diff_ids = (struct json_strings){.v = diff_ids, .n = from->diff_ids.n + (l ? 1 : 0)};
	image_spec_write(&spec, out);
	return strbuf_error(out) < 0 ? error_set(err, ERROR_INVALID, 0, "the config is too large")
				     : 0;
}

static int pin_base(struct store_pins *pins, const struct store_image *base, struct error *err)
{
	for (size_t i = 0; i < base->n_layers; i++) {
		struct store_layer_row row;
		int r = store_pin(pins, base->layers[i].chain_id, &row, err);

		if (r == 0)
			r = error_set(err, ERROR_NOT_FOUND, 0, "No such image: %s", base->id);
		if (r < 0)
			return r;
	}
	return base->n_layers < IMAGE_MAX_LAYERS
		       ? 0
		       : error_set(err, ERROR_INVALID, 0, "max depth exceeded: %d layers",
				   IMAGE_MAX_LAYERS);
}

/* The base's layers are there, and pinned; the new one on top of them may be known too. */
static int commit_image(struct store_pins *pins, const struct store_commit_args *args,
			const struct store_image *base, struct layer_stage **stage, char *ret_id,
			struct error *err)
{
	autostrbuf struct strbuf config = STRBUF_INIT(IMAGE_MAX_CONFIG);
	autofree struct layer_stage **stages = xnew0n(struct layer_stage *, base->n_layers + 1);
	autoarena struct arena *a = arena_new();
	char(*diff_ids)[DIGEST_STRING_SIZE] =
		arena_alloc(a, (base->n_layers + 1) * DIGEST_STRING_SIZE);
	struct store_new_image img = {.parent = base->id,
				      .stages = stages,
				      .diff_ids = (const char(*)[DIGEST_STRING_SIZE])diff_ids,
				      .n_layers = base->n_layers + (*stage ? 1 : 0)};
	autofree char *full = NULL;
	const char *names[2] = {NULL, NULL};
	int r = store_new_name(args->name, &full, err);

	r = r < 0 ? r : make_config(a, args, base, *stage, &config, err);
	if (r < 0)
		return r;
	names[0] = full;
	img.names = full ? names : NULL;
	img.config = config.s;
	img.config_len = config.len;
	for (size_t i = 0; i < base->n_layers; i++)
		memcpy(diff_ids[i], base->layers[i].diff_id, sizeof(diff_ids[i]));
	if (*stage)
		memcpy(diff_ids[base->n_layers], (*stage)->diff_id, sizeof(diff_ids[0]));
	stages[base->n_layers] = TAKE_PTR(*stage);
	r = store_image_commit(pins, &img, ret_id, err);
	(void)layer_stage_free(stages[base->n_layers]);
	return r;
}

int store_commit(struct store *s, const struct store_commit_args *args,
		 char ret_id[static DIGEST_STRING_SIZE], struct error *err)
{
	autostore_snapshot struct store_snapshot snap = {0};
	autolayer_stage struct layer_stage *stage = NULL;
	autostore_image struct store_image base = {0};
	autostore_pins struct store_pins pins = {0};
	int r = store_snapshot_open(s, args->container_id, &snap, err);

	r = r < 0 ? r : store_image_get(s, snap.image_id, &base, err);
	if (r < 0)
		return r;
	store_pins_init(s, &pins);
	r = pin_base(&pins, &base, err);
	r = r < 0 ? r : stage_changes(s, args, &snap, &stage, err);
	return r < 0 ? r : commit_image(&pins, args, &base, &stage, ret_id, err);
}
