/* Loading image archives.
 *
 * First everything is read and staged, then every image is checked against its manifest and config,
 * and only then they are committed one by one.
 */
#include <string.h>

#include "base/crash.h"
#include "oci/image_ref.h"
#include "oci/image_spec.h"
#include "store/archive.h"
#include "store/store_priv.h"

#define MAX_INDEX_DEPTH 4

/* An image of the archive. */
struct candidate {
	const struct archive_member *config; /* borrowed */
	const struct image_spec *spec;       /* in the arena */
	struct archive_member **layers;      /* in the arena: borrowed members, bottom first */
	size_t n_layers;
	struct strv names;    /* owned: normalised */
	struct strv familiar; /* owned: the same for users */
};

struct plan {
	struct store_pins *pins; /* borrowed, as the next */
	struct archive *a;
	const struct store_progress *progress; /* borrowed; may be NULL */
	const struct image_platform *platform; /* borrowed; NULL: this machine's */
	struct arena *arena;                   /* owned */
	struct candidate *v;                   /* owned */
	size_t n, cap;
	uint64_t parsed; /* bytes of documents, each as often as it is referred to */
};

static void plan_done(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		strv_done(&p->v[i].names);
		strv_done(&p->v[i].familiar);
	}
	free(p->v);
	(void)arena_free(p->arena);
}

/* ---- members ---- */

/* A document that is to be parsed.  Indexes that name each other, or one config a thousand times, grow
 * exponentially: what counts is how much is parsed, not how much there is. */
static int find_text(struct plan *p, const char *path, const struct archive_member **ret,
		     struct error *err)
{
	const struct archive_member *m = archive_find(p->a, path);

	if (!m)
		return error_set(err, ERROR_INVALID, 0, "the archive has no member '%s'", path);
	if (!m->text)
		return error_set(err, ERROR_INVALID, 0, "member '%s' is no JSON document", path);
	p->parsed += m->text_len;
	if (p->parsed > ARCHIVE_MAX_TEXT)
		return error_set(err, ERROR_INVALID, 0,
				 "the archive's documents refer to each other too often");
	*ret = m;
	return 0;
}

/* A member that is named by its digest must have it. */
static int check_name(const struct archive_member *m, const char *path, struct error *err)
{
	const char *base = str_basename(path);
	size_t len = strlen(base);

	if (str_has_suffix(base, ".json"))
		len -= strlen(".json");
	if (len != 64 || !str_is_hex(base, len) || memcmp(base, digest_hex(m->digest), len) == 0)
		return 0;
	return error_set(err, ERROR_INVALID, 0, "member '%s' has the digest '%s'", path, m->digest);
}

static int find_layer(const struct plan *p, const char *path, const char *diff_id,
		      struct archive_member **ret, struct error *err)
{
	struct archive_member *m = archive_find(p->a, path);

	if (!m)
		return error_set(err, ERROR_INVALID, 0, "the archive has no member '%s'", path);
	if (m->bad)
		return error_set(err, m->bad_kind, 0, "layer '%s': %s", path, m->bad);
	if (!m->diff_id[0])
		return error_set(err, ERROR_INVALID, 0, "member '%s' is no layer", path);
	if (!str_eq(m->diff_id, diff_id))
		return error_set(err, ERROR_INVALID, 0,
				 "layer '%s' has diff ID '%s', the image config says '%s'", path,
				 m->diff_id, diff_id);
	*ret = m;
	return check_name(m, path, err);
}

/* ---- candidates ---- */

static struct candidate *add_candidate(struct plan *p)
{
	xgrow(p->v, p->n, p->cap);
	p->v[p->n] = (struct candidate){0};
	return &p->v[p->n++];
}

static int add_name(struct candidate *c, const char *name, struct error *err)
{
	autoimage_ref struct image_ref ref = {0};
	int r = image_ref_parse(name, &ref, err);

	if (r < 0)
		return error_wrap(err, r, "image name '%s'", name);
	if (ref.digest) {
		free(ref.digest);
		ref.digest = NULL;
	}
	image_ref_default_tag(&ref);
	strv_add_take(&c->names, image_ref_format(&ref));
	strv_add_take(&c->familiar, image_ref_familiar(&ref));
	return 0;
}

static int set_config(struct plan *p, struct candidate *c, const char *path, size_t n_layers,
		      struct error *err)
{
	int r = find_text(p, path, &c->config, err);

	if (r >= 0)
		r = check_name(c->config, path, err);
	if (r >= 0)
		r = image_spec_parse(p->arena, c->config->text, c->config->text_len, &c->spec, err);
	if (r >= 0 && c->spec->diff_ids.n != n_layers)
		r = error_set(err, ERROR_INVALID, 0,
			      "config '%s' lists %zu layers, the manifest %zu", path,
			      c->spec->diff_ids.n, n_layers);
	c->n_layers = n_layers;
	c->layers = arena_new0n(p->arena, struct archive_member *, n_layers + 1);
	return r;
}

/* ---- manifest.json ---- */

static int plan_item(struct plan *p, const struct image_archive_item *item, struct error *err)
{
	struct candidate *c = add_candidate(p);
	int r = set_config(p, c, item->config, item->layers.n, err);

	for (size_t i = 0; i < item->layers.n && r >= 0; i++)
		r = find_layer(p, item->layers.v[i], c->spec->diff_ids.v[i], &c->layers[i], err);
	for (size_t i = 0; i < item->repo_tags.n && r >= 0; i++)
		r = add_name(c, item->repo_tags.v[i], err);
	return r;
}

static int plan_docker(struct plan *p, const struct archive_member *manifest, struct error *err)
{
	const struct image_archive_item *items;
	struct json_objects list;
	int r;

	r = image_archive_parse(p->arena, manifest->text, manifest->text_len, &list, err);
	items = r < 0 ? NULL : list.v;
	for (size_t i = 0; r >= 0 && i < list.n; i++)
		r = plan_item(p, &items[i], err);
	return r;
}

/* ---- OCI layouts ---- */

static char *blob_path(const struct plan *p, const char *digest)
{
	return arena_printf(p->arena, "blobs/sha256/%s", digest_hex(digest));
}

/* The names that containerd and others write; a bare tag names nothing. */
static int oci_names(struct candidate *c, const struct image_descriptor *d, struct error *err)
{
	const char *full = image_annotation(&d->annotations, "io.containerd.image.name");
	const char *ref = image_annotation(&d->annotations, "org.opencontainers.image.ref.name");

	if (full)
		return add_name(c, full, err);
	return ref && strpbrk(ref, ":/") ? add_name(c, ref, err) : 0;
}

static bool is_attestation(const struct image_descriptor *d)
{
	return image_annotation(&d->annotations, "vnd.docker.reference.type") ||
	       (d->platform && str_eq(d->platform->os, "unknown"));
}

static int plan_manifest(struct plan *p, const struct image_descriptor *d,
			 const struct image_descriptor *named, struct error *err)
{
	const char *path = blob_path(p, d->digest);
	const struct image_manifest *m = NULL;
	const struct archive_member *member = NULL;
	const struct image_descriptor *layers;
	struct candidate *c;
	int r;

	r = find_text(p, path, &member, err);
	if (r >= 0)
		r = check_name(member, path, err);
	if (r >= 0)
		r = image_manifest_parse(p->arena, member->text, member->text_len, &m, err);
	if (r < 0)
		return r;
	c = add_candidate(p);
	layers = m->layers.v;
	r = set_config(p, c, blob_path(p, m->config.digest), m->layers.n, err);
	for (size_t i = 0; i < m->layers.n && r >= 0; i++)
		r = find_layer(p, blob_path(p, layers[i].digest), c->spec->diff_ids.v[i],
			       &c->layers[i], err);
	return r < 0 ? r : oci_names(c, named, err);
}

/* How well a manifest serves: 0 not at all. */
static unsigned fitness(const struct plan *p, const struct image_descriptor *d)
{
	const struct image_platform native = {.os = "linux",
					      .architecture = image_native_architecture(),
					      .variant = image_native_variant()};
	const struct image_platform *want = p->platform ? p->platform : &native;

	if (is_attestation(d))
		return 0;
	if (!d->platform || image_platform_matches(d->platform, want))
		return 2;
	return !p->platform && image_platform_is_native(d->platform) ? 1 : 0;
}

/* Of an image for several platforms, one. */
static size_t choose(const struct plan *p, const struct image_index *index)
{
	const struct image_descriptor *v = index->manifests.v;
	size_t best = index->manifests.n;

	for (size_t i = 0; i < index->manifests.n; i++)
		if (fitness(p, &v[i]) > (best < index->manifests.n ? fitness(p, &v[best]) : 0))
			best = i;
	return best;
}

/* named: the descriptor whose annotations carry the name; NULL at the top, where each has its own. */
static int plan_index(struct plan *p, const struct archive_member *member,
		      const struct image_descriptor *named, unsigned depth, struct error *err)
{
	const struct image_index *index;
	const struct image_descriptor *v;
	size_t chosen;
	int r;

	if (depth > MAX_INDEX_DEPTH)
		return error_set(err, ERROR_INVALID, 0, "indexes in indexes in indexes");
	r = image_index_parse(p->arena, member->text, member->text_len, &index, err);
	if (r < 0)
		return r;
	v = index->manifests.v;
	chosen = choose(p, index);
	for (size_t i = 0; i < index->manifests.n && r >= 0; i++) {
		const struct image_descriptor *name = named ? named : &v[i];
		const struct archive_member *inner;
		const char *path;

		if (fitness(p, &v[i]) == 0 || (named && i != chosen))
			continue;
		if (!image_type_is_index(v[i].media_type)) {
			r = plan_manifest(p, &v[i], name, err);
			continue;
		}
		path = blob_path(p, v[i].digest);
		r = find_text(p, path, &inner, err);
		if (r >= 0)
			r = check_name(inner, path, err);
		if (r >= 0)
			r = plan_index(p, inner, name, depth + 1, err);
	}
	return r;
}

/* What the configs say counts in the end. */
static int keep_platform(struct plan *p, struct error *err)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		const struct image_spec *spec = p->v[i].spec;
		const struct image_platform have = {.os = spec->os,
						    .architecture = spec->architecture,
						    .variant = spec->variant};

		if (image_platform_matches(&have, p->platform)) {
			p->v[n++] = p->v[i];
			continue;
		}
		strv_done(&p->v[i].names);
		strv_done(&p->v[i].familiar);
	}
	p->n = n;
	return n > 0 ? 0
		     : error_set(err, ERROR_NOT_FOUND, 0,
				 "the archive has no image for the platform %s/%s%s%s",
				 p->platform->os, p->platform->architecture,
				 str_empty(p->platform->variant) ? "" : "/",
				 p->platform->variant ? p->platform->variant : "");
}

static int make_plan(struct plan *p, struct error *err)
{
	const struct archive_member *m = archive_find(p->a, "manifest.json");
	int r;

	if (m && m->text) {
		r = plan_docker(p, m, err);
	} else {
		m = archive_find(p->a, "index.json");
		if (!m || !m->text)
			return error_set(err, ERROR_INVALID, 0,
					 "neither manifest.json nor index.json found: this is no "
					 "image archive");
		r = plan_index(p, m, NULL, 0, err);
	}
	if (r >= 0 && p->platform)
		r = keep_platform(p, err);
	if (r >= 0 && p->n == 0)
		r = error_set(err, ERROR_INVALID, 0,
			      "the archive has no image for this machine (linux/%s)",
			      image_native_architecture());
	return r;
}

/* ---- committing ---- */

/* The layer was used up by another image of the archive, on other layers: make it again. */
static int stage_again(struct store_pins *pins, const char *diff_id, struct layer_stage **ret,
		       struct error *err)
{
	autolayer_tar struct layer_tar *t = NULL;
	struct store_layer_row row;
	struct stream_reader in;
	int r = store_pin_content(pins, diff_id, &row, err);

	if (r == 0)
		r = error_set(err, ERROR_INTERNAL, 0, "layer '%s' has vanished", diff_id);
	if (r >= 0)
		r = store_layer_reader(pins->s, &row, &t, err);
	if (r < 0)
		return r;
	in = layer_tar_reader(t);
	return store_stage_layer(pins->s, &in, ret, err);
}

/* What store_new_image wants to know of each layer. */
struct taken {
	struct layer_stage **stages;
	char (*diff_ids)[DIGEST_STRING_SIZE];
	size_t *copy_of;
};

static int take_layers(struct candidate *c, struct store_pins *pins, const struct taken *t,
		       struct error *err)
{
	char chain[DIGEST_STRING_SIZE] = "";

	for (size_t i = 0; i < c->n_layers; i++) {
		struct store_layer_row row;
		int r;

		memcpy(t->diff_ids[i], c->layers[i]->diff_id, sizeof(t->diff_ids[i]));
		layer_chain_id(chain, t->diff_ids[i], chain);
		r = store_pin(pins, chain, &row, err);
		for (size_t k = 0; r == 0 && k < i && !t->copy_of[i]; k++)
			if (t->stages[k] && c->layers[k] == c->layers[i])
				t->copy_of[i] = k + 1;
		if (r == 0 && c->layers[i]->stage)
			t->stages[i] = TAKE_PTR(c->layers[i]->stage);
		else if (r == 0 && !t->copy_of[i])
			r = stage_again(pins, t->diff_ids[i], &t->stages[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

struct holder {
	const char *name;
	char id[DIGEST_STRING_SIZE]; /* "" if nobody has the name */
};

static int holder_job(struct db_tx *tx, void *data, struct error *err)
{
	struct holder *h = data;
	struct db_stmt *st;
	int r = db_query(tx, &st, err, "SELECT image FROM image_names WHERE name = ?", "s",
			 h->name);

	if (r >= 0)
		r = db_step(st, err);
	if (r > 0) {
		(void)str_copy(h->id, sizeof(h->id), db_text(st, 0));
		db_stop(st);
	}
	return r;
}

/* Images that lose their names are named to the user, as Docker does. */
static int announce(struct plan *p, const struct candidate *c, struct error *err)
{
	char id[DIGEST_STRING_SIZE];

	if (!p->progress || !p->progress->message)
		return 0;
	sha256_of(c->config->text, c->config->text_len, id);
	for (size_t i = 0; i < c->names.n; i++) {
		struct holder h = {.name = c->names.v[i]};
		autofree char *text = NULL;
		int r = db_run(p->pins->s->db, holder_job, &h, DB_NORMAL, err);

		if (r < 0)
			return r;
		if (!h.id[0] || str_eq(h.id, id))
			continue;
		text = xasprintf("The image %s already exists, renaming the old one with ID %s to "
				 "empty string\n",
				 c->familiar.v[i], h.id);
		p->progress->message(p->progress->data, text);
	}
	return 0;
}

static int commit_candidate(struct plan *p, struct candidate *c, struct store_loaded_list *ret,
			    struct error *err)
{
	autofree struct layer_stage **stages = xnew0n(struct layer_stage *, c->n_layers);
	autofree size_t *copy_of = xnew0n(size_t, c->n_layers);
	char(*diff_ids)[DIGEST_STRING_SIZE] =
		arena_alloc(p->arena, (c->n_layers + 1) * DIGEST_STRING_SIZE);
	struct store_new_image img = {.config = c->config->text,
				      .config_len = c->config->text_len,
				      .names = (const char *const *)c->names.v,
				      .stages = stages,
				      .copy_of = copy_of,
				      .diff_ids = (const char(*)[DIGEST_STRING_SIZE])diff_ids,
				      .n_layers = c->n_layers};
	const struct taken taken = {stages, diff_ids, copy_of};
	char id[DIGEST_STRING_SIZE];
	int r;

	r = announce(p, c, err);
	if (r >= 0)
		r = take_layers(c, p->pins, &taken, err);
	if (r >= 0)
		r = store_image_commit(p->pins, &img, id, err);
	for (size_t i = 0; i < c->n_layers; i++)
		(void)layer_stage_free(stages[i]);
	if (r < 0)
		return r;
	for (size_t i = 0; i < (c->familiar.n ? c->familiar.n : 1); i++) {
		struct store_loaded *l;

		xgrow(ret->v, ret->n, ret->cap);
		l = &ret->v[ret->n++];
		*l = (struct store_loaded){.name = c->familiar.n ? xstrdup(c->familiar.v[i])
								 : NULL};
		memcpy(l->id, id, sizeof(id));
	}
	return 0;
}

int store_load(struct store *s, const struct stream_reader *in,
	       const struct store_progress *progress, struct store_loaded_list *ret,
	       struct error *err)
{
	return store_load_with(s, &(struct store_load_args){.in = in, .progress = progress}, ret,
			       err);
}

int store_load_with(struct store *s, const struct store_load_args *args,
		    struct store_loaded_list *ret, struct error *err)
{
	autostore_loaded_list struct store_loaded_list loaded = {0};
	autostore_pins struct store_pins pins = {0};
	autoarchive struct archive a = {0};
	struct plan p = {
		.pins = &pins, .a = &a, .progress = args->progress, .platform = args->platform};
	int r;

	store_pins_init(s, &pins);
	r = archive_read(&pins, args->in, args->progress, &a, err);
	if (r < 0)
		return r;
	crash_point(CRASH_LOAD_READ);
	p.arena = arena_new();
	r = make_plan(&p, err);
	for (size_t i = 0; i < p.n && r >= 0; i++) {
		r = commit_candidate(&p, &p.v[i], &loaded, err);
		if (i + 1 < p.n)
			crash_point(CRASH_LOAD_SOME);
	}
	plan_done(&p);
	if (r < 0)
		return r;
	*ret = loaded;
	loaded = (struct store_loaded_list){0};
	return 0;
}

void store_loaded_list_done(struct store_loaded_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].name);
	free(l->v);
	*l = (struct store_loaded_list){0};
}
