/* Images: finding, listing, naming. */
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "oci/image_ref.h"
#include "oci/image_spec.h"
#include "store/store_priv.h"

void store_image_done(struct store_image *img)
{
	free(img->config);
	free(img->layers);
	strv_done(&img->repo_tags);
	strv_done(&img->repo_digests);
	*img = (struct store_image){0};
}

void store_image_list_done(struct store_image_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		store_image_done(&l->v[i]);
	free(l->v);
	*l = (struct store_image_list){0};
}

/* ---- names ---- */

static int find_name(struct db_tx *tx, const char *name, char ret[static DIGEST_STRING_SIZE],
		     struct error *err)
{
	struct db_stmt *st;
	int r = db_query(tx, &st, err, "SELECT image FROM image_names WHERE name = ?", "s", name);

	if (r >= 0)
		r = db_step(st, err);
	if (r > 0) {
		(void)str_copy(ret, DIGEST_STRING_SIZE, db_text(st, 0));
		db_stop(st);
	}
	return r;
}

/* By a prefix of the ID's hex digits: 1 found, 0 not. */
static int find_prefix(struct db_tx *tx, const char *hex, char ret[static DIGEST_STRING_SIZE],
		       struct error *err)
{
	autofree char *from = xasprintf("sha256:%s", hex), *to = xasprintf("sha256:%sg", hex);
	struct db_stmt *st;
	int r;

	if (!hex[0] || strlen(hex) > 64 || !str_is_hex(hex, strlen(hex)))
		return 0;
	r = db_query(tx, &st, err, "SELECT id FROM images WHERE id >= ? AND id < ? LIMIT 2", "ss",
		     from, to);
	if (r >= 0)
		r = db_step(st, err);
	if (r <= 0)
		return r;
	(void)str_copy(ret, DIGEST_STRING_SIZE, db_text(st, 0));
	r = db_step(st, err);
	if (r > 0) {
		db_stop(st);
		return error_set(err, ERROR_INVALID, 0,
				 "multiple IDs found with provided prefix: %s", hex);
	}
	return r < 0 ? r : 1;
}

static int no_such_image(const char *ref, struct image_ref *parsed, struct error *err)
{
	autofree char *familiar = NULL;

	if (!parsed->path) /* 64 hex digits */
		return error_set(err, ERROR_NOT_FOUND, 0, "No such image: %s%s",
				 str_has_prefix(ref, "sha256:") ? "" : "sha256:", ref);
	image_ref_default_tag(parsed);
	familiar = image_ref_familiar(parsed);
	return error_set(err, ERROR_NOT_FOUND, 0, "No such image: %s", familiar);
}

/* "name:tag@digest" is found by its digest. */
static int find_ref(struct db_tx *tx, const struct image_ref *parsed,
		    char ret[static DIGEST_STRING_SIZE], struct error *err)
{
	autofree char *base = image_ref_name(parsed), *name = NULL;

	name = parsed->digest ? xasprintf("%s@%s", base, parsed->digest)
			      : xasprintf("%s:%s", base, parsed->tag ? parsed->tag : "latest");
	return find_name(tx, name, ret, err);
}

int store_image_resolve(struct db_tx *tx, const char *ref, char ret[static DIGEST_STRING_SIZE],
			struct error *err)
{
	const char *hex = str_has_prefix(ref, "sha256:") ? ref + strlen("sha256:") : ref;
	bool is_id = strlen(hex) == 64 && str_is_hex(hex, 64);
	autoimage_ref struct image_ref parsed = {0};
	int r = 0;

	if (!is_id) {
		r = image_ref_parse(ref, &parsed, err);
		if (r >= 0)
			r = find_ref(tx, &parsed, ret, err);
	}
	if (r == 0)
		r = find_prefix(tx, hex, ret, err);
	return r == 0 ? no_such_image(ref, &parsed, err) : r < 0 ? r : 0;
}

/* ---- rows ---- */

static int load_layers(struct db_tx *tx, struct store_image *img, struct error *err)
{
	struct db_stmt *st;
	size_t cap = 0;
	int r;

	r = db_query(tx, &st, err,
		     "SELECT l.chain_id, l.diff_id, l.size FROM image_layers AS i"
		     " JOIN layers AS l ON l.id = i.layer WHERE i.image = ? ORDER BY i.position",
		     "s", img->id);
	while (r >= 0 && (r = db_step(st, err)) > 0) {
		struct store_layer *l;

		xgrow(img->layers, img->n_layers, cap);
		l = &img->layers[img->n_layers++];
		*l = (struct store_layer){.size = db_int(st, 2)};
		(void)str_copy(l->chain_id, sizeof(l->chain_id), db_text(st, 0));
		(void)str_copy(l->diff_id, sizeof(l->diff_id), db_text(st, 1));
		img->size += l->size;
	}
	return r;
}

static int load_names(struct db_tx *tx, struct store_image *img, struct error *err)
{
	struct db_stmt *st;
	int r;

	r = db_query(tx, &st, err, "SELECT name FROM image_names WHERE image = ? ORDER BY name",
		     "s", img->id);
	while (r >= 0 && (r = db_step(st, err)) > 0) {
		autoimage_ref struct image_ref ref = {0};

		if (image_ref_parse(db_text(st, 0), &ref, NULL) < 0)
			continue; /* only valid names are ever stored */
		strv_add_take(ref.digest ? &img->repo_digests : &img->repo_tags,
			      image_ref_familiar(&ref));
	}
	return r;
}

int store_image_load_row(struct db_tx *tx, const char *id, struct store_image *ret,
			 struct error *err)
{
	autostore_image struct store_image img = {0};
	struct db_stmt *st;
	const void *config;
	int r;

	r = db_query(tx, &st, err,
		     "SELECT id, coalesce(parent, ''), created_ns, tagged_ns, config FROM images"
		     " WHERE id = ?",
		     "s", id);
	if (r >= 0)
		r = db_step(st, err);
	if (r == 0)
		return error_set(err, ERROR_NOT_FOUND, 0, "No such image: %s", id);
	if (r < 0)
		return r;
	(void)str_copy(img.id, sizeof(img.id), db_text(st, 0));
	(void)str_copy(img.parent, sizeof(img.parent), db_text(st, 1));
	img.created_ns = db_int(st, 2);
	img.tagged_ns = db_int(st, 3);
	config = db_blob(st, 4, &img.config_len);
	img.config = xcalloc(1, img.config_len + 1);
	memcpy(img.config, config, img.config_len);
	db_stop(st);

	r = load_layers(tx, &img, err);
	if (r >= 0)
		r = load_names(tx, &img, err);
	if (r < 0)
		return r;
	*ret = img;
	img = (struct store_image){0};
	return 0;
}

struct get {
	const char *ref;
	struct store_image *ret;
};

static int get_job(struct db_tx *tx, void *data, struct error *err)
{
	struct get *g = data;
	char id[DIGEST_STRING_SIZE];
	int r = store_image_resolve(tx, g->ref, id, err);

	return r < 0 ? r : store_image_load_row(tx, id, g->ret, err);
}

int store_image_get(struct store *s, const char *ref, struct store_image *ret, struct error *err)
{
	struct get g = {.ref = ref, .ret = ret};

	return db_run(s->db, get_job, &g, DB_NORMAL, err);
}

static int list_job(struct db_tx *tx, void *data, struct error *err)
{
	struct store_image_list *list = data;
	autostrv struct strv ids = {0};
	struct db_stmt *st;
	int r;

	r = db_query(tx, &st, err, "SELECT id FROM images ORDER BY created_ns DESC, id", "");
	while (r >= 0 && (r = db_step(st, err)) > 0)
		strv_add(&ids, db_text(st, 0));
	list->v = xnew0n(struct store_image, ids.n);
	for (size_t i = 0; i < ids.n && r >= 0; i++) {
		r = store_image_load_row(tx, ids.v[i], &list->v[i], err);
		list->n += r >= 0;
	}
	return r;
}

int store_image_list(struct store *s, struct store_image_list *ret, struct error *err)
{
	autostore_image_list struct store_image_list list = {0};
	int r = db_run(s->db, list_job, &list, DB_NORMAL, err);

	if (r < 0)
		return r;
	*ret = list;
	list = (struct store_image_list){0};
	return 0;
}

/* ---- tagging ---- */

struct tag {
	const char *source;
	char *target; /* owned, normalised */
};

static int tag_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct tag *t = data;
	char id[DIGEST_STRING_SIZE];
	int r = store_image_resolve(tx, t->source, id, err);

	if (r >= 0)
		r = db_exec(tx, err,
			    "INSERT INTO image_names(name, image) VALUES(?, ?)"
			    " ON CONFLICT(name) DO UPDATE SET image = excluded.image",
			    "ss", t->target, id);
	if (r >= 0)
		r = db_exec(tx, err, "UPDATE images SET tagged_ns = ? WHERE id = ?", "is",
			    clock_realtime_ns(), id);
	return r;
}

int store_image_tag(struct store *s, const char *source, const char *target, struct error *err)
{
	autoimage_ref struct image_ref ref = {0};
	autofree char *name = NULL;
	struct tag t = {.source = source};
	int r;

	r = image_ref_parse(target, &ref, err);
	if (r < 0)
		return r;
	if (ref.digest)
		return error_set(err, ERROR_INVALID, 0,
				 "refusing to create a tag with a digest "
				 "reference");
	image_ref_default_tag(&ref);
	t.target = name = image_ref_format(&ref);
	return db_run(s->db, tag_job, &t, DB_FULL, err);
}

struct users {
	const char *image;
	struct strv *ret;
};

static int users_job(struct db_tx *tx, void *data, struct error *err)
{
	struct users *u = data;
	struct db_stmt *st;
	int r;

	r = db_query(tx, &st, err, STORE_IMAGE_USERS_SQL, "s", u->image);
	while (r >= 0 && (r = db_step(st, err)) > 0)
		strv_add(u->ret, db_text(st, 0));
	return r;
}

int store_image_users(struct store *s, const char *image_id, struct strv *ret, struct error *err)
{
	struct users u = {.image = image_id, .ret = ret};

	return db_run(s->db, users_job, &u, DB_NORMAL, err);
}
