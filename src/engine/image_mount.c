/* engine/image_mount.c - images that a container mounts beside its own.
 *
 * An overlay of the image's layers without an upper directory, made here and attached at a place in the
 * runtime directory until the container has it (volume.h), as parts of volumes are.
 */
#include "engine/image_mount.h"

#include <fcntl.h>
#include <string.h>

#include "base/mem.h"
#include "engine/config.h"
#include "engine/engine_priv.h"
#include "engine/remap.h"
#include "linux/mount.h"
#include "linux/ns.h"
#include "linux/root.h"

typedef int (*image_fn)(void *data, unsigned number, const struct config_mount *m,
			struct error *err);

static int for_each_image(const struct container *c, image_fn fn, void *data, struct error *err)
{
	const struct config_mount *m = c->spec->host.mounts.v;
	unsigned number = 0;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < c->spec->host.mounts.n; i++)
		if (str_eq(m[i].type, "image"))
			r = fn(data, ++number, &m[i], err);
	return r;
}

struct hold {
	struct engine *e;
	const struct container *c;
};

static int hold(void *data, unsigned number, const struct config_mount *m, struct error *err)
{
	const struct hold *h = data;
	autostore_image struct store_image image = {0};
	autoerror struct error why = {0};
	int r = store_image_get(h->e->store, m->source, &image, &why);

	r = r < 0 ? r : store_snapshot_add_image(h->e->store, h->c->id, number, image.id, &why);
	if (r >= 0)
		return 0;
	if (why.kind == ERROR_NOT_FOUND)
		why.kind = ERROR_INVALID;
	return error_move(err, &why, r);
}

int image_mounts_hold(struct engine *e, const struct container *c, struct error *err)
{
	return for_each_image(c, hold, &(struct hold){e, c}, err);
}

struct prepare {
	struct engine *e;
	const struct container *c;
	const struct remap *remap;
	struct volume_binds *binds;
	int userns; /* owned: has the mappings; -EBADF: not there yet */
};

static int open_mappings(struct prepare *p, struct error *err)
{
	const struct remap_ranges *ids[] = {&p->remap->uids, &p->remap->gids};
	autofree struct ns_mapping *uids = NULL, *gids = NULL;
	struct ns_mapping **maps[] = {&uids, &gids};
	autoclose int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (p->userns >= 0)
		return 0;
	if (proc < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '/proc'");
	for (size_t k = 0; k < ARRAY_SIZE(ids); k++) {
		struct ns_mapping *map = *maps[k] = xnew0n(struct ns_mapping, ids[k]->n + 1);
		uint32_t inside = 0;

		for (size_t i = 0; i < ids[k]->n; i++) {
			map[i] = (struct ns_mapping){inside, ids[k]->v[i].start, ids[k]->v[i].size};
			inside += map[i].count;
		}
	}
	p->userns = ns_new_user(proc, uids, ids[0]->n, gids, ids[1]->n, err);
	return p->userns < 0 ? p->userns : 0;
}

static int mount_image(struct prepare *p, unsigned number, struct error *err)
{
	autostore_snapshot struct store_snapshot snap = {0};
	const char *label = p->c->labels.mount;
	struct mount_overlay overlay = {.no_process = true};
	int r = store_snapshot_open_image(p->e->store, p->c->id, number, &snap, err);

	if (r < 0)
		return r;
	overlay.lower = (const char *const *)snap.lower.v;
	overlay.lower_count = snap.lower.n;
	overlay.label = str_empty(label) ? NULL : label;
	if (!p->remap)
		return mount_new_overlay(&overlay, err);
	r = open_mappings(p, err);
	return r < 0 ? r : mount_new_overlay_idmapped(&overlay, p->userns, err);
}

/* The part is resolved within the image, and mounted from where the whole of it has a place. */
static int place_part(struct prepare *p, const struct config_mount *m, const char *whole,
		      const char **ret_path, struct error *err)
{
	const char *subpath = json_get_string(m->image_options, "Subpath");
	autoclose int root = open(whole, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int fd = -EBADF, part = -EBADF;

	if (root < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", whole);
	fd = root_open(root, subpath, O_PATH, 0);
	if (fd < 0)
		return error_set(err, ERROR_INVALID, -fd, "subpath '%s' of image '%s'", subpath,
				 m->source);
	part = mount_clone(fd, "", false, err);
	return part < 0 ? part : volume_binds_place(p->e, p->c->id, p->binds, part, ret_path, err);
}

static int prepare(void *data, unsigned number, const struct config_mount *m, struct error *err)
{
	struct prepare *p = data;
	autoclose int fd = mount_image(p, number, err);
	const char *path;
	int r = fd;

	r = r < 0 ? r : volume_binds_place(p->e, p->c->id, p->binds, fd, &path, err);
	if (r >= 0 && !str_empty(json_get_string(m->image_options, "Subpath")))
		r = place_part(p, m, path, &path, err);
	if (r < 0)
		return error_wrap(err, r, "mount image '%s'", m->source);
	volume_binds_add(p->binds, path, m->target, true);
	p->binds->v[p->binds->n - 1].is_image = true;
	return 0;
}

int image_mounts_prepare(struct engine *e, const struct container *c, const struct remap *remap,
			 struct volume_binds *binds, struct error *err)
{
	struct prepare p = {.e = e, .c = c, .remap = remap, .binds = binds, .userns = -EBADF};
	int r = for_each_image(c, prepare, &p, err);

	fd_close(&p.userns);
	return r;
}
