/* Images that arrive in pieces. */
#include "store/ingest.h"

#include <fcntl.h>
#include <string.h>

#include "base/arena.h"
#include "oci/image_spec.h"
#include "store/store_priv.h"

struct piece {
	char digest[DIGEST_STRING_SIZE]; /* of the bytes, as the manifest says */
	char chain_id[DIGEST_STRING_SIZE];
	bool is_pinned;               /* the store has the layer */
	bool is_known;                /* it has the bytes, as another layer: */
	struct store_layer_row known; /* which is pinned too */
};

struct store_ingest {
	struct store_pins pins;
	char *config; /* owned */
	size_t config_len;
	struct piece *pieces; /* owned, one a layer, as the next three */
	struct layer_stage **stages;
	size_t *copy_of;
	char (*diff_ids)[DIGEST_STRING_SIZE];
	size_t n_layers;
};

static int plan_layer(struct store_ingest *g, size_t i, struct error *err)
{
	struct piece *p = &g->pieces[i];
	struct store_layer_row row;
	int r;

	layer_chain_id(i ? g->pieces[i - 1].chain_id : "", g->diff_ids[i], p->chain_id);
	r = store_pin(&g->pins, p->chain_id, &row, err);
	if (r < 0)
		return r;
	p->is_pinned = r > 0;
	for (size_t k = 0; !p->is_pinned && k < i && !g->copy_of[i]; k++)
		if (!g->pieces[k].is_pinned && !g->copy_of[k] &&
		    str_eq(g->diff_ids[k], g->diff_ids[i]))
			g->copy_of[i] = k + 1;
	if (p->is_pinned || g->copy_of[i])
		return 0;
	r = store_pin_content(&g->pins, p->digest, &p->known, err);
	p->is_known = r > 0;
	return r < 0 ? r : 0;
}

static int plan_layers(struct store_ingest *g, const struct store_ingest_args *args,
		       const struct image_spec *spec, struct error *err)
{
	if (spec->diff_ids.n != args->n_layers)
		return error_set(err, ERROR_INVALID, 0,
				 "the image config lists %zu layers, the manifest %zu",
				 spec->diff_ids.n, args->n_layers);
	for (size_t i = 0; i < args->n_layers; i++) {
		int r;

		(void)str_copy(g->diff_ids[i], sizeof(g->diff_ids[i]), spec->diff_ids.v[i]);
		(void)str_copy(g->pieces[i].digest, sizeof(g->pieces[i].digest), args->layers[i]);
		r = plan_layer(g, i, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int store_ingest_new(struct store *s, const struct store_ingest_args *args,
		     struct store_ingest **ret, struct error *err)
{
	autostore_ingest struct store_ingest *g = xnew0(struct store_ingest);
	autoarena struct arena *a = arena_new();
	const struct image_spec *spec = NULL;
	int r;

	store_pins_init(s, &g->pins);
	g->config = xcalloc(1, args->config_len + 1);
	memcpy(g->config, args->config, args->config_len);
	g->config_len = args->config_len;
	g->n_layers = args->n_layers;
	g->pieces = xnew0n(struct piece, g->n_layers + 1);
	g->stages = xnew0n(struct layer_stage *, g->n_layers + 1);
	g->copy_of = xnew0n(size_t, g->n_layers + 1);
	g->diff_ids = xcalloc(g->n_layers + 1, sizeof(*g->diff_ids));
	r = image_spec_parse(a, g->config, g->config_len, &spec, err);
	if (r >= 0)
		r = plan_layers(g, args, spec, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(g);
	return 0;
}

enum store_ingest_state store_ingest_state(const struct store_ingest *g, size_t i)
{
	if (g->pieces[i].is_pinned || g->copy_of[i] > 0 || g->stages[i])
		return STORE_INGEST_HERE;
	return g->pieces[i].is_known ? STORE_INGEST_KNOWN : STORE_INGEST_NEEDED;
}

static int stage(struct store_ingest *g, size_t i, const struct stream_reader *in, int file,
		 struct error *err)
{
	autolayer_stage struct layer_stage *l = NULL;
	int r;

	r = store_stage_file(g->pins.s, in, file, &l, err);
	if (r < 0)
		return r;
	if (!str_eq(l->arrived, g->pieces[i].digest))
		return error_set(err, ERROR_INVALID, 0,
				 "filesystem layer verification failed for digest %s: its bytes "
				 "have the digest '%s'",
				 g->pieces[i].digest, l->arrived);
	if (!str_eq(l->diff_id, g->diff_ids[i]))
		return error_set(err, ERROR_INVALID, 0,
				 "layer %s has diff ID '%s', the image config says '%s'",
				 g->pieces[i].digest, l->diff_id, g->diff_ids[i]);
	g->stages[i] = TAKE_PTR(l);
	return 0;
}

/* From what another layer keeps: the compressed blob, so that this one has it too, or its tar. */
static int stage_known(struct store_ingest *g, size_t i, struct error *err)
{
	const struct store_layer_row *row = &g->pieces[i].known;
	autolayer_tar struct layer_tar *t = NULL;
	autoclose int blob = -EBADF;
	struct stream_reader in;
	int r;

	if (str_eq(row->blob_digest, g->pieces[i].digest)) {
		blob = openat(g->pins.s->blobs_fd, digest_hex(row->blob_digest),
			      O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (blob < 0)
			return error_set(err, ERROR_INTERNAL, errno, "open blob '%s'",
					 row->blob_digest);
		in = stream_reader_fd(&blob);
	} else {
		r = store_layer_reader(g->pins.s, row, &t, err);
		if (r < 0)
			return r;
		in = layer_tar_reader(t);
	}
	return stage(g, i, &in, blob, err);
}

int store_ingest_layer(struct store_ingest *g, size_t i, const struct stream_reader *in, int file,
		       struct error *err)
{
	return in ? stage(g, i, in, file, err) : stage_known(g, i, err);
}

int store_ingest_commit(struct store_ingest *g, const char *const *names,
			char ret_id[static DIGEST_STRING_SIZE], struct error *err)
{
	const struct store_new_image img = {
		.config = g->config,
		.config_len = g->config_len,
		.names = names,
		.stages = g->stages,
		.copy_of = g->copy_of,
		.diff_ids = (const char(*)[DIGEST_STRING_SIZE])g->diff_ids,
		.n_layers = g->n_layers,
	};

	return store_image_commit(&g->pins, &img, ret_id, err);
}

struct store_ingest *store_ingest_free(struct store_ingest *g)
{
	if (!g)
		return NULL;
	for (size_t i = 0; i < g->n_layers; i++)
		(void)layer_stage_free(g->stages[i]);
	store_pins_done(&g->pins);
	free(g->config);
	free(g->pieces);
	free(g->stages);
	free(g->copy_of);
	free(g->diff_ids);
	free(g);
	return NULL;
}
