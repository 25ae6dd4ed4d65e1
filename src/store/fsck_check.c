/* Checking a store: layers, blobs and images. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sha256.h"
#include "oci/image_spec.h"
#include "store/fsck_priv.h"

#define COPY_SIZE (256 * 1024)
#define HEX_ID    16 /* bytes of a row's number in hex, and NUL */

/* ---- layers ---- */

/* NULL: all is there. */
static const char *missing(const struct fsck *f, const struct fsck_layer *l)
{
	const char *hex = digest_hex(l->row.chain_id);
	autofree char *tar = xasprintf("%s/tar", hex), *split = xasprintf("%s/tar-split", hex);
	const struct store *s = f->s;
	int format = layer_format_of(s->layers_fd, hex);
	struct stat st;

	if (format < 0)
		return "the layer has lost its files";
	if (format == LAYER_EROFS && (fstatat(s->layers_fd, tar, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
				      st.st_size < l->row.tar_size))
		return "the layer has lost its tar";
	if (format == LAYER_DIRECTORY && !l->row.blob_digest[0] &&
	    fstatat(s->layers_fd, split, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return "the layer has lost its tar-split";
	if (!l->row.blob_digest[0])
		return NULL;
	if (fstatat(s->blobs_fd, digest_hex(l->row.blob_digest), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return "the layer has lost its blob";
	return st.st_size == l->blob_size ? NULL : "the layer's blob has another size";
}

static int check_link(struct fsck *f, const struct fsck_layer *l, struct error *err)
{
	autofree char *name = xasprintf("l/%llx", (unsigned long long)l->row.id);
	autofree char *want = xasprintf("../%s/diff", digest_hex(l->row.chain_id));
	autofree char *path = xasprintf("layers/%s", name);
	char target[128];
	ssize_t n = readlinkat(f->s->layers_fd, name, target, sizeof(target) - 1);
	int r = 0;

	if (n >= 0 && (size_t)n == strlen(want) && memcmp(target, want, (size_t)n) == 0)
		return 0;
	if (f->args->repair) {
		if (n >= 0 || errno == EINVAL)
			r = fsck_drop_file(f, path, err);
		if (r >= 0)
			r = store_layer_link(f->s, l->row.id, l->row.chain_id, err);
	}
	fsck_report(f, path, n < 0 ? "the layer's short name is missing" : "it leads elsewhere",
		    f->args->repair && r >= 0);
	return r;
}

static int check_rows(struct fsck *f, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < f->n_layers && r >= 0; i++) {
		const struct fsck_layer *l = f->layers[i];
		autofree char *path = xasprintf("layers/%s", digest_hex(l->row.chain_id));
		const char *what = missing(f, l);
		int mended = 0;

		if (what) {
			r = mended = f->args->repair ? fsck_mend_layer(f, l, err) : 0;
			fsck_report(f, path, what, mended > 0);
		} else if (layer_format_of(f->s->layers_fd, digest_hex(l->row.chain_id)) ==
			   LAYER_DIRECTORY) {
			r = check_link(f, l, err);
		}
	}
	return r;
}

static int gc_job(struct db_tx *tx, void *data, struct error *err)
{
	return store_gc(tx, data, NULL, err);
}

/* Its files go with it. */
static int check_orphans(struct fsck *f, struct error *err)
{
	int r = 0;

	if (f->args->repair) {
		struct store_doomed doomed = {0};

		r = db_run(f->s->db, gc_job, &doomed, DB_FULL, err);
		if (r >= 0)
			store_bury(f->s, &doomed);
		for (size_t i = 0; i < doomed.paths.n; i++)
			strv_add(&f->doomed.paths, doomed.paths.v[i]);
		strv_done(&doomed.paths);
	}
	for (size_t i = 0; i < f->n_layers; i++) {
		autofree char *path =
			xasprintf("layers/%s", digest_hex(f->layers[i]->row.chain_id));

		if (!f->layers[i]->held)
			fsck_report(f, path, "nobody uses the layer", f->args->repair && r >= 0);
	}
	return r;
}

/* ---- files without rows ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_known(const struct strv *sorted, const char *name)
{
	return sorted->n > 0 &&
	       bsearch(&name, sorted->v, sorted->n, sizeof(*sorted->v), by_text) != NULL;
}

/* `folder` below the data root: everything in it is in `known`, which is sorted here, or is a problem. */
static int check_folder(struct fsck *f, const char *folder, struct strv *known, struct error *err)
{
	autostrv struct strv names = {0};
	autoclose int fd =
		openat(f->s->root_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "open '%s'", folder)
		       : store_list_dir(fd, &names, err);

	if (known->n > 1)
		qsort(known->v, known->n, sizeof(*known->v), by_text);
	for (size_t i = 0; i < names.n && r >= 0; i++) {
		autofree char *path = xasprintf("%s/%s", folder, names.v[i]);
		bool mend = f->args->repair, doomed = false;

		for (size_t k = 0; k < f->tombstones.n; k++)
			doomed |= str_eq(f->tombstones.v[k], path);
		if (doomed || is_known(known, names.v[i]))
			continue;
		r = mend ? fsck_drop_file(f, path, err) : 0;
		fsck_report(f, path, "no row knows it", mend && r >= 0);
	}
	return r;
}

static int check_files(struct fsck *f, struct error *err)
{
	autostrv struct strv layers = {0}, links = {0}, blobs = {0};
	int r;

	strv_add(&layers, "l");
	strv_add(&layers, "empty");
	for (size_t i = 0; i < f->n_layers; i++) {
		const struct store_layer_row *row = &f->layers[i]->row;

		strv_add(&layers, digest_hex(row->chain_id));
		strv_addf(&links, "%llx", (unsigned long long)row->id);
		if (row->blob_digest[0])
			strv_add(&blobs, digest_hex(row->blob_digest));
	}
	r = check_folder(f, "layers", &layers, err);
	r = r < 0 ? r : check_folder(f, "layers/l", &links, err);
	return r < 0 ? r : check_folder(f, STORE_BLOBS, &blobs, err);
}

int fsck_layers(struct fsck *f, struct error *err)
{
	int r = check_files(f, err);

	r = r < 0 ? r : check_orphans(f, err);
	return r < 0 ? r : check_rows(f, err);
}

/* ---- images ---- */

static const char *disagrees(const struct fsck_image *img)
{
	autoarena struct arena *a = arena_new();
	char digest[DIGEST_STRING_SIZE], chain[DIGEST_STRING_SIZE] = "";
	const struct image_spec *spec;

	sha256_of(img->config, img->config_len, digest);
	if (!str_eq(digest, img->id))
		return "the image's config has another digest";
	if (image_spec_parse(a, img->config, img->config_len, &spec, NULL) < 0)
		return "the image's config is none";
	if (img->gap || spec->diff_ids.n != img->n_layers)
		return "the image has not the layers that its config lists";
	for (size_t i = 0; i < img->n_layers; i++) {
		const struct store_layer_row *row = &img->layers[i]->row;

		layer_chain_id(chain, spec->diff_ids.v[i], chain);
		if (!str_eq(row->diff_id, spec->diff_ids.v[i]) || !str_eq(row->chain_id, chain))
			return "the image has other layers than its config lists";
	}
	return NULL;
}

int fsck_images(struct fsck *f, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < f->n_images && r >= 0; i++) {
		const char *what = disagrees(&f->images[i]);

		if (!what)
			continue;
		r = f->args->repair ? fsck_drop_image(f, f->images[i].id, err) : 0;
		fsck_report(f, f->images[i].id, what, r > 0);
	}
	return r;
}

/* ---- contents ---- */

static int discard(void *data, const void *p, size_t len, struct error *err)
{
	(void)data, (void)p, (void)len, (void)err;
	return 0;
}

/* Of its first `size` bytes; a file that is not there has gone meanwhile. */
static int check_digest(int dir_fd, const char *path, int64_t size, const char *want,
			struct error *err)
{
	autoclose int fd = openat(dir_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	autosha256 struct sha256 *sha = sha256_new();
	autofree char *buf = xcalloc(1, COPY_SIZE);
	struct stream_reader in = stream_reader_fd(&fd);
	char digest[DIGEST_STRING_SIZE];
	ssize_t n = 0;

	if (fd < 0)
		return 1;
	for (; size > 0; size -= n) {
		n = in.read(in.data, buf, size < COPY_SIZE ? (size_t)size : COPY_SIZE, err);
		if (n <= 0)
			break;
		sha256_update(sha, buf, (size_t)n);
	}
	sha256_digest(sha, digest);
	return n < 0 ? (int)n : str_eq(digest, want);
}

static int check_files_of(const struct fsck *f, const struct fsck_layer *l, const char **ret_what,
			  struct error *err)
{
	const char *hex = digest_hex(l->row.chain_id);
	autofree char *tar = xasprintf("%s/tar", hex);
	int r = check_digest(f->s->blobs_fd, digest_hex(l->row.blob_digest), l->blob_size,
			     l->row.blob_digest, err);

	if (r == 0)
		*ret_what = "the layer's blob has another digest";
	if (r <= 0 || layer_format_of(f->s->layers_fd, hex) != LAYER_EROFS)
		return r;
	r = check_digest(f->s->layers_fd, tar, l->row.tar_size, l->row.diff_id, err);
	if (r == 0)
		*ret_what = "the layer was changed on disk";
	return r;
}

/* What a layer's files say is compared with its tar-split; of one that is kept as a blob, the blob is. */
static int check_content(struct fsck *f, const struct fsck_layer *l, struct error *err)
{
	const struct stream_writer out = {.write = discard};
	autofree char *path = xasprintf("layers/%s", digest_hex(l->row.chain_id));
	autoerror struct error why = {0};
	const char *what = NULL;
	int r;

	if (l->row.blob_digest[0]) {
		r = check_files_of(f, l, &what, err);
	} else {
		r = store_layer_tar(f->s, l->row.chain_id, &out, &why);
		if (r < 0 && why.kind == ERROR_NOT_FOUND)
			return 0; /* removed meanwhile */
		if (r < 0)
			what = error_msg(&why);
		r = 0;
	}
	if (r < 0 || !what)
		return r;
	if (f->args->repair) {
		(void)pthread_mutex_lock(&f->s->files);
		r = fsck_mend_layer(f, l, err);
		(void)pthread_mutex_unlock(&f->s->files);
		store_delete_buried(f->s, &f->doomed);
	}
	fsck_report(f, path, what, r > 0);
	fsck_tell(f);
	return r;
}

int fsck_contents(struct fsck *f, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < f->n_layers && r >= 0; i++)
		if (f->layers[i]->held && !missing(f, f->layers[i]))
			r = check_content(f, f->layers[i], err);
	return r < 0 ? r : 0;
}
