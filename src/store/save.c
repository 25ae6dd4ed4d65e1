/* Saving images: an OCI layout with the files that older readers want beside it.
 *
 *     blobs/sha256/<config, manifest and layers>, index.json, manifest.json, oci-layout, repositories
 *
 * All documents are made first, so that what can fail does before the first byte.
 */
#include <string.h>

#include "base/json.h"
#include "oci/image_ref.h"
#include "oci/image_spec.h"
#include "store/store_priv.h"
#include "store/tar_write.h"

#define COPY_SIZE (256 * 1024)
#define MAX_REFS  1024

struct saved {
	struct store_image img;       /* owned */
	struct strv names;            /* owned: full names asked for */
	struct store_layer_row *rows; /* owned, pinned */
	struct strbuf manifest;       /* owned */
	char manifest_digest[DIGEST_STRING_SIZE];
};

struct save {
	struct store_pins pins;
	const struct stream_writer *out; /* borrowed */
	struct saved *v;                 /* owned */
	size_t n, cap;
	struct strv written; /* digests of blobs that are in the archive */
};

static void save_done(struct save *sv)
{
	for (size_t i = 0; i < sv->n; i++) {
		store_image_done(&sv->v[i].img);
		strv_done(&sv->v[i].names);
		strbuf_done(&sv->v[i].manifest);
		free(sv->v[i].rows);
	}
	free(sv->v);
	strv_done(&sv->written);
	store_pins_done(&sv->pins);
}

/* ---- what to save ---- */

struct lookup {
	const char *ref;
	struct strv ids, names; /* owned; a pair each; name "" for none */
};

/* A name without a tag means all tags of the repository. */
static int lookup_repository(struct db_tx *tx, struct lookup *l, const struct image_ref *ref,
			     struct error *err)
{
	autofree char *name = image_ref_name(ref), *from = NULL, *to = NULL;
	struct db_stmt *st;
	int r;

	from = xasprintf("%s:", name);
	to = xasprintf("%s;", name); /* the character after ':' */
	r = db_query(tx, &st, err,
		     "SELECT image, name FROM image_names WHERE name >= ? AND name < ?"
		     " AND instr(name, '@') = 0 ORDER BY name",
		     "ss", from, to);
	while (r >= 0 && (r = db_step(st, err)) > 0) {
		strv_add(&l->ids, db_text(st, 0));
		strv_add(&l->names, db_text(st, 1));
	}
	return r;
}

static int lookup_job(struct db_tx *tx, void *data, struct error *err)
{
	autoimage_ref struct image_ref ref = {0};
	autofree char *full = NULL;
	struct lookup *l = data;
	char id[DIGEST_STRING_SIZE];
	bool named;
	int r;

	named = image_ref_parse(l->ref, &ref, NULL) >= 0;
	if (named && !ref.tag && !ref.digest) {
		r = lookup_repository(tx, l, &ref, err);
		if (r < 0 || l->ids.n > 0)
			return r;
	}
	r = store_image_resolve(tx, l->ref, id, err);
	if (r < 0)
		return r;
	/* An ID has no name, whatever names the image has. */
	full = named && ref.tag && !ref.digest ? image_ref_format(&ref) : xstrdup("");
	if (full[0]) {
		struct db_stmt *st;

		r = db_query(tx, &st, err, "SELECT 1 FROM image_names WHERE name = ?", "s", full);
		if (r >= 0)
			r = db_step(st, err);
		if (r < 0)
			return r;
		if (r == 0)
			full[0] = '\0';
		else
			db_stop(st);
	}
	strv_add(&l->ids, id);
	strv_add(&l->names, full);
	return 0;
}

static struct saved *find_saved(struct save *sv, const char *id)
{
	for (size_t i = 0; i < sv->n; i++)
		if (str_eq(sv->v[i].img.id, id))
			return &sv->v[i];
	return NULL;
}

static int pin_layers(struct save *sv, struct saved *one, struct error *err)
{
	one->rows = xnew0n(struct store_layer_row, one->img.n_layers);
	for (size_t i = 0; i < one->img.n_layers; i++) {
		int r = store_pin(&sv->pins, one->img.layers[i].chain_id, &one->rows[i], err);

		if (r == 0)
			r = error_set(err, ERROR_NOT_FOUND, 0, "No such image: %s", one->img.id);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_image(struct save *sv, const char *id, const char *name, struct error *err)
{
	struct saved *one = find_saved(sv, id);
	int r;

	if (!one) {
		struct store_image img = {0};

		r = store_image_get(sv->pins.s, id, &img, err);
		if (r < 0)
			return r;
		xgrow(sv->v, sv->n, sv->cap);
		one = &sv->v[sv->n++];
		*one = (struct saved){.img = img, .manifest = STRBUF_INIT(IMAGE_MAX_CONFIG)};
		r = pin_layers(sv, one, err);
		if (r < 0)
			return r;
	}
	if (name[0] && !strv_has(&one->names, name))
		strv_add(&one->names, name);
	return 0;
}

static int add_ref(struct save *sv, const char *ref, struct error *err)
{
	struct lookup l = {.ref = ref};
	int r = db_run(sv->pins.s->db, lookup_job, &l, DB_NORMAL, err);

	for (size_t i = 0; i < l.ids.n && r >= 0; i++)
		r = add_image(sv, l.ids.v[i], l.names.v[i], err);
	strv_done(&l.ids);
	strv_done(&l.names);
	return r;
}

/* ---- documents ---- */

static void descriptor(struct json_writer *w, const char *type, const char *digest, int64_t size)
{
	jw_kstring(w, "mediaType", type);
	jw_kstring(w, "digest", digest);
	jw_kint(w, "size", size);
}

static void make_manifest(struct saved *one)
{
	struct json_writer w;

	json_writer_init(&w, &one->manifest);
	jw_object(&w);
	jw_kint(&w, "schemaVersion", 2);
	jw_kstring(&w, "mediaType", IMAGE_TYPE_OCI_MANIFEST);
	jw_kobject(&w, "config");
	descriptor(&w, IMAGE_TYPE_OCI_CONFIG, one->img.id, (int64_t)one->img.config_len);
	jw_object_end(&w);
	jw_karray(&w, "layers");
	for (size_t i = 0; i < one->img.n_layers; i++) {
		jw_object(&w);
		descriptor(&w, IMAGE_TYPE_OCI_LAYER, one->rows[i].diff_id, one->rows[i].tar_size);
		jw_object_end(&w);
	}
	jw_array_end(&w);
	jw_object_end(&w);
	sha256_of(one->manifest.s, one->manifest.len, one->manifest_digest);
}

static void index_item(struct json_writer *w, const struct saved *one, const char *name)
{
	const char *colon = name ? strrchr(name, ':') : NULL;

	jw_object(w);
	descriptor(w, IMAGE_TYPE_OCI_MANIFEST, one->manifest_digest, (int64_t)one->manifest.len);
	if (name) {
		jw_kobject(w, "annotations");
		jw_kstring(w, "io.containerd.image.name", name);
		jw_kstring(w, "org.opencontainers.image.ref.name", colon ? colon + 1 : "latest");
		jw_object_end(w);
	}
	jw_object_end(w);
}

static void make_index(const struct save *sv, struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out);
	jw_object(&w);
	jw_kint(&w, "schemaVersion", 2);
	jw_kstring(&w, "mediaType", IMAGE_TYPE_OCI_INDEX);
	jw_karray(&w, "manifests");
	for (size_t i = 0; i < sv->n; i++) {
		if (sv->v[i].names.n == 0)
			index_item(&w, &sv->v[i], NULL);
		for (size_t k = 0; k < sv->v[i].names.n; k++)
			index_item(&w, &sv->v[i], sv->v[i].names.v[k]);
	}
	jw_array_end(&w);
	jw_object_end(&w);
}

/* What Docker 25 and newer says of each layer besides; one that occurs twice is one. */
static void write_sources(struct json_writer *w, const struct saved *one)
{
	autostrv struct strv done = {0};

	jw_kobject(w, "LayerSources");
	for (size_t i = 0; i < one->img.n_layers; i++) {
		const struct store_layer_row *row = &one->rows[i];

		if (strv_has(&done, row->diff_id))
			continue;
		strv_add(&done, row->diff_id);
		jw_kobject(w, row->diff_id);
		descriptor(w, IMAGE_TYPE_OCI_LAYER, row->diff_id, row->tar_size);
		jw_object_end(w);
	}
	jw_object_end(w);
}

static void make_docker_manifest(const struct save *sv, struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out);
	jw_array(&w);
	for (size_t i = 0; i < sv->n; i++) {
		const struct saved *one = &sv->v[i];

		jw_object(&w);
		jw_key(&w, "Config");
		jw_stringf(&w, "blobs/sha256/%s", digest_hex(one->img.id));
		if (one->names.n == 0)
			jw_knull(&w, "RepoTags");
		else
			jw_karray(&w, "RepoTags");
		for (size_t k = 0; k < one->names.n; k++) {
			autofree char *name = store_familiar_name(one->names.v[k]);

			jw_string(&w, name);
		}
		if (one->names.n > 0)
			jw_array_end(&w);
		jw_karray(&w, "Layers");
		for (size_t k = 0; k < one->img.n_layers; k++)
			jw_stringf(&w, "blobs/sha256/%s", digest_hex(one->rows[k].diff_id));
		jw_array_end(&w);
		write_sources(&w, one);
		jw_object_end(&w);
	}
	jw_array_end(&w);
}

/* {"busybox": {"latest": "<top layer>"}}, for readers from before 2015. */
static void make_repositories(const struct save *sv, struct strbuf *out)
{
	autostrv struct strv done = {0};
	struct json_writer w;

	json_writer_init(&w, out);
	jw_object(&w);
	for (size_t i = 0; i < sv->n; i++)
		for (size_t k = 0; k < sv->v[i].names.n; k++) {
			autofree char *repo = store_familiar_name(sv->v[i].names.v[k]);
			size_t len = (size_t)(strrchr(repo, ':') - repo);

			repo[len] = '\0';
			if (strv_has(&done, repo))
				continue;
			strv_add(&done, repo);
			jw_kobject(&w, repo);
			for (size_t a = 0; a < sv->n; a++)
				for (size_t b = 0; b < sv->v[a].names.n; b++) {
					autofree char *name =
						store_familiar_name(sv->v[a].names.v[b]);
					const struct saved *one = &sv->v[a];
					size_t top = one->img.n_layers;

					if (strncmp(name, repo, len) != 0 || name[len] != ':' ||
					    strchr(name + len + 1, '/'))
						continue;
					jw_kstring(&w, name + len + 1,
						   top ? digest_hex(one->rows[top - 1].diff_id)
						       : digest_hex(one->img.id));
				}
			jw_object_end(&w);
		}
	jw_object_end(&w);
}

/* ---- writing ---- */

static bool is_new_blob(struct save *sv, const char *digest)
{
	if (strv_has(&sv->written, digest))
		return false;
	strv_add(&sv->written, digest);
	return true;
}

static int write_document(struct save *sv, const char *digest, const void *data, size_t len,
			  struct error *err)
{
	autofree char *path = xasprintf("blobs/sha256/%s", digest_hex(digest));

	return is_new_blob(sv, digest) ? tar_write_file(sv->out, path, data, len, err) : 0;
}

static int write_layer(struct save *sv, const struct store_layer_row *row, struct error *err)
{
	autofree char *path = xasprintf("blobs/sha256/%s", digest_hex(row->diff_id));
	const struct tar_entry e = {
		.type = TAR_FILE, .path = path, .mode = 0644, .size = row->tar_size};
	int r;

	if (!is_new_blob(sv, row->diff_id))
		return 0;
	r = tar_write_header(sv->out, &e, err);
	if (r >= 0)
		r = store_layer_tar(sv->pins.s, row->chain_id, sv->out, err);
	return r < 0 ? r : tar_write_pad(sv->out, row->tar_size, err);
}

static int write_directory(struct save *sv, const char *path, struct error *err)
{
	const struct tar_entry e = {.type = TAR_DIRECTORY, .path = path, .mode = 0755};

	return tar_write_header(sv->out, &e, err);
}

static int write_blobs(struct save *sv, struct error *err)
{
	int r = write_directory(sv, "blobs/", err);

	if (r >= 0)
		r = write_directory(sv, "blobs/sha256/", err);
	for (size_t i = 0; i < sv->n && r >= 0; i++) {
		const struct saved *one = &sv->v[i];

		for (size_t k = 0; k < one->img.n_layers && r >= 0; k++)
			r = write_layer(sv, &one->rows[k], err);
		if (r >= 0)
			r = write_document(sv, one->img.id, one->img.config, one->img.config_len,
					   err);
		if (r >= 0)
			r = write_document(sv, one->manifest_digest, one->manifest.s,
					   one->manifest.len, err);
	}
	return r;
}

static int write_top(struct save *sv, struct error *err)
{
	static const struct {
		const char *path;
		void (*make)(const struct save *sv, struct strbuf *out);
	} files[] = {{"index.json", make_index},
		     {"manifest.json", make_docker_manifest},
		     {"repositories", make_repositories}};
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	int r = tar_write_file(sv->out, "oci-layout", layout, sizeof(layout) - 1, err);

	for (size_t i = 0; i < ARRAY_SIZE(files) && r >= 0; i++) {
		autostrbuf struct strbuf text = STRBUF_INIT(64 << 20);

		files[i].make(sv, &text);
		r = strbuf_error(&text) < 0
			    ? error_set(err, ERROR_INVALID, 0, "too many images")
			    : tar_write_file(sv->out, files[i].path, text.s, text.len, err);
	}
	return r < 0 ? r : tar_write_end(sv->out, err);
}

int store_save(struct store *s, const char *const *refs, size_t n, const struct stream_writer *out,
	       struct error *err)
{
	struct save sv = {.out = out};
	int r = 0;

	if (n == 0 || n > MAX_REFS)
		return error_set(err, ERROR_INVALID, 0, "between 1 and %d images can be saved",
				 MAX_REFS);
	store_pins_init(s, &sv.pins);
	for (size_t i = 0; i < n && r >= 0; i++)
		r = add_ref(&sv, refs[i], err);
	for (size_t i = 0; i < sv.n && r >= 0; i++)
		make_manifest(&sv.v[i]);
	if (r >= 0)
		r = write_blobs(&sv, err);
	if (r >= 0)
		r = write_top(&sv, err);
	save_done(&sv);
	return r;
}

int store_image_manifest(struct store *s, const char *id, struct store_manifest *ret,
			 struct error *err)
{
	struct save sv = {.out = NULL};
	int r;

	store_pins_init(s, &sv.pins);
	r = add_image(&sv, id, "", err);
	if (r >= 0) {
		struct saved *one = &sv.v[0];

		make_manifest(one);
		*ret = (struct store_manifest){.media_type = IMAGE_TYPE_OCI_MANIFEST,
					       .size = (int64_t)one->manifest.len};
		memcpy(ret->digest, one->manifest_digest, sizeof(ret->digest));
		ret->content = ret->size + (int64_t)one->img.config_len;
		for (size_t i = 0; i < one->img.n_layers; i++)
			ret->content += one->rows[i].tar_size;
	}
	save_done(&sv);
	return r;
}
