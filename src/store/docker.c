/* Images out of a classic dockerd's data root.
 *
 *     image/<driver>/repositories.json                  names
 *     image/<driver>/imagedb/content/sha256/<id>        configs
 *     image/<driver>/imagedb/metadata/sha256/<id>/parent
 *     image/<driver>/layerdb/sha256/<chain ID>/{cache-id,tar-split.json.gz}
 *     <driver>/.../<cache-id>                           the unpacked layer
 */
#include "store/docker.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "oci/image_ref.h"
#include "oci/image_spec.h"
#include "store/store_priv.h"

#define REPOSITORIES_MAX ((size_t)64 << 20) /* bytes */
#define PARENTS_MAX      256                /* depth; Docker's limit is 127 */
#define SMALL_MAX        256                /* bytes of a file that holds an ID */

/* Drivers whose layers are directories, and where. */
static const struct {
	const char *name, *before, *after;
} drivers[] = {
	{"overlay2", "overlay2/", "/diff"}, {"fuse-overlayfs", "fuse-overlayfs/", "/diff"},
	{"overlay", "overlay/", "/root"},   {"aufs", "aufs/diff/", ""},
	{"btrfs", "btrfs/subvolumes/", ""}, {"vfs", "vfs/dir/", ""},
};

struct docker_root {
	struct store *s;                      /* borrowed */
	const struct store_docker_args *args; /* borrowed */
	struct store_docker_result *result;
	size_t driver;
	int fd;                          /* owned: the root */
	int image_fd;                    /* owned: image/<driver> */
	struct arena *arena;             /* owned: the names */
	const struct json *repositories; /* repository: {reference: ID} */
	struct strv done;                /* owned: IDs that were seen to */
};

__attribute__((format(printf, 2, 3))) static void say(const struct docker_root *d, const char *fmt,
						      ...)
{
	va_list ap;
	autofree char *text = NULL;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	if (d->args->message)
		d->args->message(d->args->data, text);
}

/* ---- the root -------------------------------------------------------------------------------- */

static int open_dir(int at, const char *path)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int open_root(struct docker_root *d, struct error *err)
{
	const char *root = d->args->root;

	d->fd = open_dir(AT_FDCWD, root);
	if (d->fd < 0)
		return error_set(err, ERROR_NOT_FOUND, -d->fd, "open '%s'", root);
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		autofree char *path = xasprintf("image/%s", drivers[i].name);

		d->driver = i;
		d->image_fd = open_dir(d->fd, path);
		if (d->image_fd >= 0)
			return 0;
	}
	if (faccessat(d->fd, "image", F_OK, 0) == 0)
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
				 "'%s' belongs to a storage driver whose layers are no directories",
				 root);
	return error_set(err, ERROR_NOT_FOUND, 0, "'%s' holds no images of a dockerd", root);
}

static int read_names(struct docker_root *d, struct error *err)
{
	autofree char *text = NULL;
	const struct json *doc;
	size_t len;
	int r = file_read(d->image_fd, "repositories.json", REPOSITORIES_MAX, &text, &len, err);

	if (r == -ENOENT) {
		error_done(err);
		*err = (struct error){0};
		return 0;
	}
	r = r < 0 ? r : json_parse(d->arena, text, len, &doc, err);
	if (r < 0)
		return error_wrap(err, r, "repositories.json");
	d->repositories = json_get(doc, "Repositories");
	return 0;
}

/* A file that holds one ID: malloc'd, NULL if there is none. */
static char *read_small(int at, const char *path)
{
	char *text = NULL;
	size_t len;

	if (file_read(at, path, SMALL_MAX, &text, &len, NULL) < 0)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

/* ---- an image -------------------------------------------------------------------------------- */

static int add_name(struct strv *names, const char *text, struct error *err)
{
	autoimage_ref struct image_ref ref = {0};
	int r = image_ref_parse(text, &ref, err);

	if (r < 0)
		return error_wrap(err, r, "image name '%s'", text);
	if (!ref.digest)
		image_ref_default_tag(&ref);
	strv_add_take(names, image_ref_format(&ref));
	return 0;
}

static int names_of(const struct docker_root *d, const char *id, struct strv *ret,
		    struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < json_count(d->repositories); i++) {
		const struct json *v;
		const char *ref;

		json_object_foreach(ref, v, json_value_at(d->repositories, i))
			if (r >= 0 && str_eq(json_string(v), id))
				r = add_name(ret, ref, err);
	}
	return r;
}

/* A hostile or damaged file must not name a directory elsewhere. */
static bool is_plain_name(const char *s)
{
	return !str_empty(s) && !strchr(s, '/') && s[0] != '.';
}

static int stage_layer(struct docker_root *d, const char *chain_id, const char *diff_id,
		       struct layer_stage **ret, struct error *err)
{
	autofree char *dir = xasprintf("layerdb/sha256/%s", digest_hex(chain_id));
	autofree char *cache_path = xasprintf("%s/cache-id", dir);
	autofree char *split_path = xasprintf("%s/tar-split.json.gz", dir);
	autofree char *cache = read_small(d->image_fd, cache_path);
	autofree char *tree = is_plain_name(cache) ? xasprintf("%s%s%s", drivers[d->driver].before,
							       cache, drivers[d->driver].after)
						   : NULL;
	autolayer_stage struct layer_stage *stage = NULL;
	autodocker_tar struct docker_tar *tar = NULL;
	struct stream_reader in;
	int split_fd, tree_fd, r;

	if (!tree)
		return error_set(err, ERROR_INVALID, 0, "layer '%s' has no directory", chain_id);
	tree_fd = open_dir(d->fd, tree);
	if (tree_fd < 0)
		return error_set(err, ERROR_INVALID, -tree_fd, "open layer '%s'", tree);
	split_fd = openat(d->image_fd, split_path, O_RDONLY | O_CLOEXEC);
	if (split_fd < 0) {
		r = error_set(err, ERROR_INVALID, errno, "open '%s'", split_path);
		(void)close(tree_fd);
		return r;
	}
	r = docker_tar_open(split_fd, tree_fd, &tar, err);
	if (r < 0)
		return r;
	in = docker_tar_reader(tar);
	r = store_stage_layer(d->s, &in, &stage, err);
	if (r < 0)
		return error_wrap(err, r, "layer '%s'", chain_id);
	if (!str_eq(stage->diff_id, diff_id))
		return error_set(err, ERROR_INVALID, 0,
				 "layer '%s' has been changed: its digest is %s, not %s", tree,
				 stage->diff_id, diff_id);
	*ret = TAKE_PTR(stage);
	return 0;
}

static int stage_layers(struct docker_root *d, const struct json_strings *diff_ids,
			struct store_pins *pins, struct store_new_image *img, struct error *err)
{
	char(*ids)[DIGEST_STRING_SIZE] = (char(*)[DIGEST_STRING_SIZE])(uintptr_t)img->diff_ids;
	char chain[DIGEST_STRING_SIZE] = "";

	for (size_t i = 0; i < diff_ids->n; i++) {
		struct store_layer_row row;
		int r;

		if (!str_copy(ids[i], sizeof(ids[i]), diff_ids->v[i]))
			return error_set(err, ERROR_INVALID, 0, "bad diff ID '%s'", diff_ids->v[i]);
		layer_chain_id(chain, ids[i], chain);
		r = store_pin(pins, chain, &row, err);
		if (r == 0)
			r = stage_layer(d, chain, ids[i], &img->stages[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

struct image_source {
	const char *id;
	char *config; /* owned */
	size_t config_len;
	char *parent;      /* owned; NULL: none */
	struct strv names; /* owned */
};

static void image_source_done(struct image_source *i)
{
	free(i->config);
	free(i->parent);
	strv_done(&i->names);
}

static int commit(struct docker_root *d, const struct image_source *source, struct error *err)
{
	autoarena struct arena *a = arena_new();
	autostore_pins struct store_pins pins = {0};
	struct store_new_image img = {.config = source->config,
				      .config_len = source->config_len,
				      .parent = source->parent,
				      .names = (const char *const *)source->names.v};
	const struct image_spec *spec;
	char id[DIGEST_STRING_SIZE];
	int r = image_spec_parse(a, source->config, source->config_len, &spec, err);

	if (r < 0)
		return r;
	img.n_layers = spec->diff_ids.n;
	img.stages = arena_new0n(a, struct layer_stage *, img.n_layers + 1);
	img.diff_ids = arena_alloc(a, (img.n_layers + 1) * DIGEST_STRING_SIZE);
	store_pins_init(d->s, &pins);
	r = stage_layers(d, &spec->diff_ids, &pins, &img, err);
	r = r < 0 ? r : store_image_commit(&pins, &img, id, err);
	for (size_t i = 0; i < img.n_layers; i++)
		(void)layer_stage_free(img.stages[i]);
	return r;
}

static bool is_done(const struct docker_root *d, const char *id)
{
	for (size_t i = 0; i < d->done.n; i++)
		if (str_eq(d->done.v[i], id))
			return true;
	return false;
}

static bool is_id(const char *s)
{
	return s && strlen(s) == 64 && str_is_hex(s, 64);
}

static int read_source(struct docker_root *d, const char *hex, struct image_source *ret,
		       struct error *err)
{
	autofree char *content = xasprintf("imagedb/content/sha256/%s", hex);
	autofree char *parent = xasprintf("imagedb/metadata/sha256/%s/parent", hex);
	char digest[DIGEST_STRING_SIZE];
	int r = file_read(d->image_fd, content, IMAGE_MAX_CONFIG, &ret->config, &ret->config_len,
			  err);

	if (r < 0)
		return r;
	sha256_of(ret->config, ret->config_len, digest);
	if (!str_eq(digest, ret->id))
		return error_set(err, ERROR_INVALID, 0, "its config has the digest %s", digest);
	ret->parent = read_small(d->image_fd, parent);
	return names_of(d, ret->id, &ret->names, err);
}

static int import_image(struct docker_root *d, const char *hex, unsigned depth, struct error *err);

/* What an image was built on comes first; without it the image stands alone. */
static void import_parent(struct docker_root *d, struct image_source *source, unsigned depth)
{
	const char *hex = source->parent && str_has_prefix(source->parent, "sha256:")
				  ? source->parent + strlen("sha256:")
				  : NULL;
	autostore_image struct store_image have = {0};

	if (is_id(hex) && depth < PARENTS_MAX)
		(void)import_image(d, hex, depth + 1, NULL);
	if (!is_id(hex) || store_image_get(d->s, source->parent, &have, NULL) < 0) {
		free(source->parent);
		source->parent = NULL;
	}
}

static int import_image(struct docker_root *d, const char *hex, unsigned depth, struct error *err)
{
	__attribute__((cleanup(image_source_done))) struct image_source source = {0};
	autofree char *id = xasprintf("sha256:%s", hex);
	autoerror struct error why = {0};
	const char *name;
	int r;

	if (is_done(d, id))
		return 0;
	strv_add(&d->done, id);
	source.id = id;
	r = read_source(d, hex, &source, &why);
	if (r >= 0)
		import_parent(d, &source, depth);
	r = r < 0 ? r : commit(d, &source, &why);
	name = source.names.n > 0 ? source.names.v[0] : id;
	if (r >= 0) {
		autofree char *familiar = source.names.n > 0 ? store_familiar_name(name) : NULL;

		d->result->images++;
		say(d, "image %s\n", familiar ? familiar : id);
		return 0;
	}
	d->result->failed++;
	say(d, "image %s is left out: %s\n", name, error_msg(&why));
	return error_move(err, &why, r);
}

int store_docker_import(struct store *s, const struct store_docker_args *args,
			struct store_docker_result *ret, struct error *err)
{
	struct docker_root d = {.s = s,
				.args = args,
				.result = ret,
				.fd = -EBADF,
				.image_fd = -EBADF,
				.arena = arena_new()};
	autostrv struct strv ids = {0};
	autoclose int content = -EBADF;
	int r;

	*ret = (struct store_docker_result){0};
	r = open_root(&d, err);
	r = r < 0 ? r : read_names(&d, err);
	if (r >= 0)
		content = open_dir(d.image_fd, "imagedb/content/sha256");
	if (r >= 0 && content >= 0)
		r = store_list_dir(content, &ids, err);
	for (size_t i = 0; r >= 0 && i < ids.n; i++)
		if (is_id(ids.v[i]))
			(void)import_image(&d, ids.v[i], 0, NULL); /* it has been told */
	strv_done(&d.done);
	(void)arena_free(d.arena);
	fd_close(&d.image_fd);
	fd_close(&d.fd);
	return r;
}
