/* engine/volume_points.c - what of volumes a container mounts.
 *
 * Resolved once, at create: VolumesFrom, Binds, Mounts, then the image's and the user's Volumes, each
 * place by the first that names it.  A new, empty volume gets what the image has at that place.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "engine/engine_priv.h"
#include "engine/rootfs_file.h"
#include "engine/volume_priv.h"
#include "linux/mount.h"
#include "linux/root.h"

void volume_binds_add(struct volume_binds *b, const char *source, const char *destination,
		      bool read_only)
{
	xgrow(b->v, b->n, b->cap);
	b->v[b->n++] = (struct oci_bind){.source = xstrdup(source),
					 .destination = xstrdup(destination),
					 .read_only = read_only};
}

void volume_binds_done(struct volume_binds *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free((char *)(uintptr_t)b->v[i].source);
		free((char *)(uintptr_t)b->v[i].destination);
	}
	for (size_t i = 0; i < b->places.n; i++)
		(void)umount2(b->places.v[i], MNT_DETACH | UMOUNT_NOFOLLOW);
	strv_done(&b->places);
	free(b->v);
	*b = (struct volume_binds){0};
}

/* ---- resolving --------------------------------------------------------------------------------- */

struct resolve {
	struct engine *e;
	const char *id;
	struct container_spec *s;
	size_t cap;
	struct error *err;
	int r;
};

bool volume_any_target(const struct container_spec *s, volume_target_fn fn, void *data)
{
	autoarena struct arena *a = arena_new();
	const struct config_mount *m = s->host.mounts.v;

	for (size_t i = 0; i < s->point_count; i++)
		if (fn(data, s->points[i].target))
			return true;
	for (size_t i = 0; i < s->host.mounts.n; i++)
		if (fn(data, m[i].target))
			return true;
	for (size_t i = 0; i < s->host.tmpfs.n; i++)
		if (fn(data, s->host.tmpfs.keys[i]))
			return true;
	for (size_t i = 0; i < s->host.binds.n; i++) {
		struct config_bind b;

		if (config_bind_parse(a, s->host.binds.v[i], &b, NULL) >= 0 && fn(data, b.target))
			return true;
	}
	return false;
}

static bool is_target(void *data, const char *target)
{
	return str_eq(data, target);
}

static bool has_target(const struct container_spec *s, const char *target)
{
	return volume_any_target(s, is_target, (void *)(uintptr_t)target);
}

static struct config_point *add_point(struct resolve *rs, const char *volume, const char *target)
{
	struct container_spec *s = rs->s;
	struct config_point *p;

	if (s->point_count == rs->cap) {
		struct config_point *v;

		rs->cap = rs->cap ? 2 * rs->cap : 8;
		v = arena_new0n(s->arena, struct config_point, rs->cap);
		for (size_t i = 0; i < s->point_count; i++)
			v[i] = s->points[i];
		s->points = v;
	}
	p = &s->points[s->point_count++];
	*p = (struct config_point){.volume = arena_strdup(s->arena, volume),
				   .target = arena_strdup(s->arena, target),
				   .source = "",
				   .mode = "",
				   .subpath = ""};
	return p;
}

/* The container's own name for a volume without one: found again without a row. */
static const char *anonymous_name(const struct resolve *rs, const char *target)
{
	autofree char *text = xasprintf("%s:%s", rs->id, target);
	char digest[DIGEST_STRING_SIZE];

	sha256_of(text, strlen(text), digest);
	return arena_strdup(rs->s->arena, digest_hex(digest));
}

static void add_anonymous(struct resolve *rs)
{
	for (size_t i = 0; i < json_count(rs->s->config.volumes); i++) {
		const char *target = json_key_at(rs->s->config.volumes, i);

		if (target[0] == '/' && !has_target(rs->s, target))
			add_point(rs, anonymous_name(rs, target), target)->anonymous = true;
	}
}

static void add_binds(struct resolve *rs)
{
	for (size_t i = 0; i < rs->s->host.binds.n; i++) {
		struct config_point *p;
		struct config_bind b;

		if (config_bind_parse(rs->s->arena, rs->s->host.binds.v[i], &b, NULL) < 0 ||
		    !b.is_volume)
			continue;
		p = add_point(rs, b.source, b.target);
		p->mode = *b.mode ? b.mode : "z";
		p->read_only = b.read_only;
		p->nocopy = b.nocopy;
	}
}

static void add_mounts(struct resolve *rs)
{
	const struct config_mount *m = rs->s->host.mounts.v;

	for (size_t i = 0; i < rs->s->host.mounts.n; i++) {
		const char *subpath = json_get_string(m[i].volume_options, "Subpath");
		struct config_point *p;

		if (!str_eq(m[i].type, "volume"))
			continue;
		p = add_point(rs, *m[i].source ? m[i].source : anonymous_name(rs, m[i].target),
			      m[i].target);
		p->anonymous = *m[i].source == '\0';
		p->mode = "z";
		p->read_only = m[i].read_only;
		p->nocopy = json_get_bool(m[i].volume_options, "NoCopy");
		p->subpath = subpath ? arena_strdup(rs->s->arena, subpath) : "";
	}
}

/* ---- volumes from other containers [loop] ------------------------------------------------------- */

static void inherit(struct resolve *rs, const struct config_point *from, bool read_only)
{
	struct config_point *p;

	if (has_target(rs->s, from->target))
		return;
	p = add_point(rs, from->volume, from->target);
	p->source = arena_strdup(rs->s->arena, from->source);
	p->subpath = arena_strdup(rs->s->arena, from->subpath);
	p->mode = arena_strdup(rs->s->arena, from->mode);
	p->read_only = from->read_only || read_only;
	p->nocopy = true;
	p->anonymous = from->anonymous;
	p->inherited = true;
}

static void inherit_all(struct resolve *rs, const struct container_spec *from, bool read_only)
{
	const struct config_mount *m = from->host.mounts.v;
	autoarena struct arena *a = arena_new();

	for (size_t i = 0; i < from->host.binds.n; i++) {
		struct config_bind b;

		if (config_bind_parse(a, from->host.binds.v[i], &b, NULL) >= 0 && !b.is_volume)
			inherit(rs,
				&(struct config_point){.volume = "",
						       .source = b.source,
						       .target = b.target,
						       .mode = b.mode,
						       .subpath = "",
						       .read_only = b.read_only},
				read_only);
	}
	for (size_t i = 0; i < from->host.mounts.n; i++)
		if (str_eq(m[i].type, "bind"))
			inherit(rs,
				&(struct config_point){.volume = "",
						       .source = m[i].source,
						       .target = m[i].target,
						       .mode = "",
						       .subpath = "",
						       .read_only = m[i].read_only},
				read_only);
	for (size_t i = 0; i < from->point_count; i++)
		inherit(rs, &from->points[i], read_only);
}

static void inherit_on_loop(void *data)
{
	struct resolve *rs = data;

	for (size_t i = 0; rs->r >= 0 && i < rs->s->host.volumes_from.n; i++) {
		const char *text = rs->s->host.volumes_from.v[i], *colon = strchr(text, ':');
		autofree char *ref = xstrndup(text, colon ? (size_t)(colon - text) : strlen(text));
		const char *mode = colon ? colon + 1 : "";
		struct container *other;

		if (*mode && !str_eq(mode, "ro") && !str_eq(mode, "rw") && !str_eq(mode, "z") &&
		    !str_eq(mode, "Z"))
			rs->r = error_set(rs->err, ERROR_INVALID, 0,
					  "invalid mode for volumes-from: %s", mode);
		/* To clients a 404 here would mean that the image is missing. */
		if (rs->r >= 0 && roster_find(rs->e, ref, &other, NULL) < 0)
			rs->r = error_set(rs->err, ERROR_INVALID, 0, "No such container: %s", ref);
		if (rs->r >= 0)
			inherit_all(rs, other->spec, str_eq(mode, "ro"));
	}
}

/* ---- making what is not there ------------------------------------------------------------------- */

static int ensure_point(struct engine *e, const struct container_spec *s,
			const struct config_point *p, struct error *err)
{
	struct volume_request q = {.name = p->anonymous ? "" : p->volume};
	const struct config_mount *m = s->host.mounts.v;

	for (size_t i = 0; i < s->host.mounts.n; i++) {
		const struct json *options = m[i].volume_options;

		if (!str_eq(m[i].type, "volume") || !str_eq(m[i].target, p->target))
			continue;
		q.labels = json_get(options, "Labels");
		q.options = json_get(json_get(options, "DriverConfig"), "Options");
	}
	return volume_ensure(e, &q, p->volume, err);
}

int volumes_make(struct engine *e, const struct container_spec *s, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < s->point_count; i++)
		if (s->points[i].volume[0])
			r = ensure_point(e, s, &s->points[i], err);
	return r;
}

int volumes_resolve(struct engine *e, const char *id, struct container_spec *s, struct error *err)
{
	struct resolve rs = {.e = e, .id = id, .s = s, .err = err};

	add_binds(&rs);
	add_mounts(&rs);
	engine_call(e, inherit_on_loop, &rs);
	add_anonymous(&rs);
	s->points_settled = true;
	return rs.r;
}

void volumes_resolve_own(struct engine *e, const char *id, struct container_spec *s)
{
	struct resolve rs = {.e = e, .id = id, .s = s};

	if (s->points_settled)
		return;
	add_binds(&rs);
	add_mounts(&rs);
	add_anonymous(&rs);
	s->points_settled = true;
}

/* ---- a start ------------------------------------------------------------------------------------ */

struct use_call {
	struct engine *e;
	const struct container *c;
	const char *name;
	bool is_mounted, shared;
	struct volume_map options; /* owned */
};

/* Does another container have it mounted, or is about to? */
static void use_on_loop(void *data)
{
	struct use_call *call = data;
	const struct volume *v = volumes_find(&call->e->volumes, call->name);

	for (size_t i = 0;; i++) {
		const struct container *c = engine_volume_user(call->e, call->name, i);

		if (!c)
			break;
		call->shared |= c != call->c && (container_is_active(c) || c->rt->starting);
	}
	if (!v || !volume_is_mounted(v))
		return;
	call->is_mounted = true;
	for (size_t i = 0; i < v->options.keys.n; i++)
		volume_map_add(&call->options, v->options.keys.v[i], v->options.values.v[i]);
}

static int make_place(const char *path, bool is_dir, struct error *err)
{
	autoclose int fd = -EBADF;
	int r = is_dir ? mkdir(path, 0700) : 0;

	if (!is_dir)
		r = fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (r < 0 && errno != EEXIST)
		return error_set(err, ERROR_INTERNAL, errno, "make '%s'", path);
	fd_close(&fd);
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "open '%s'", path) : TAKE_FD(fd);
}

int volume_binds_place(struct engine *e, const char *id, struct volume_binds *b, int mount_fd,
		       const char **ret_path, struct error *err)
{
	autofree char *path = xasprintf("%s/containers/%s/" VOLUME_SUBPATH_NAME "%zu", e->exec_root,
					id, b->places.n);
	autoclose int dir =
		runtime_dir_open(e, id, true, err); /* a start has made it, a copy has not */
	autoclose int place = -EBADF;
	struct stat st;
	int r;

	if (dir < 0)
		return dir;
	if (fstat(mount_fd, &st) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "stat what is to be mounted");
	place = make_place(path, S_ISDIR(st.st_mode), err);
	if (place < 0)
		return place;
	strv_add(&b->places, path);
	r = mount_attach(mount_fd, place, path, err);
	*ret_path = b->places.v[b->places.n - 1];
	return r;
}

/* A part of a volume, where containers may have put links: resolved within it, now, and mounted at a
 * place of ours until the container has it, so that nobody can change what was found. */
static int subpath_source(struct engine *e, const struct container *c, const struct config_point *p,
			  struct volume_binds *b, struct error *err)
{
	autoclose int root = volume_open_dir(e->data_fd, p->volume, err);
	autoclose int fd = -EBADF, mount = -EBADF;
	const char *path;

	if (root < 0)
		return root;
	fd = root_open(root, p->subpath, O_PATH, 0);
	if (fd < 0)
		return error_set(err, ERROR_INVALID, -fd, "subpath '%s' of volume '%s'", p->subpath,
				 p->volume);
	mount = mount_clone(fd, "", true, err);
	return mount < 0 ? mount : volume_binds_place(e, c->id, b, mount, &path, err);
}

void volume_places_clean(struct engine *e, const char *id)
{
	for (size_t i = 0;; i++) {
		autofree char *path = xasprintf("%s/containers/%s/" VOLUME_SUBPATH_NAME "%zu",
						e->exec_root, id, i);

		if (access(path, F_OK) < 0)
			return;
		(void)umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW); /* it may not be mounted */
	}
}

static int prepare_volume(struct engine *e, const struct container *c, const struct config_point *p,
			  const struct rootfs_dirs *rootfs, struct error *err)
{
	const struct volume_layers layers = {rootfs->v, rootfs->n, p->target};
	autofree char *dir = xasprintf("%s/volumes/%s/_data", e->data_root, p->volume);
	struct use_call use = {.e = e, .c = c, .name = p->volume};
	int r = ensure_point(e, c->spec, p, err);

	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&e->populate_lock);
	engine_call(e, use_on_loop, &use);
	if (use.is_mounted)
		r = volume_mount(dir, &use.options, err);
	/* Its directory is not replaced while another container has it. */
	if (r >= 0 && !p->nocopy && !p->subpath[0])
		r = volume_populate(e->data_fd, p->volume, use.is_mounted || use.shared, &layers,
				    err);
	(void)pthread_mutex_unlock(&e->populate_lock);
	volume_map_done(&use.options);
	return r;
}

int volumes_prepare(struct engine *e, const struct container *c, const struct rootfs_dirs *rootfs,
		    struct volume_binds *ret, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < c->spec->point_count; i++) {
		const struct config_point *p = &c->spec->points[i];
		autofree char *source = NULL;
		bool part = p->volume[0] && p->subpath[0];

		if (p->volume[0]) {
			r = prepare_volume(e, c, p, rootfs, err);
			if (r >= 0 && part)
				r = subpath_source(e, c, p, ret, err);
			if (r >= 0 && part)
				source = xstrdup(ret->places.v[ret->places.n - 1]);
			else
				source = xasprintf("%s/volumes/%s/_data", e->data_root, p->volume);
		}
		if (r < 0)
			break;
		volume_binds_add(ret, source ? source : p->source, p->target, p->read_only);
		ret->v[ret->n - 1].is_volume = p->volume[0] && !part;
	}
	return r;
}

void volumes_unmount(struct engine *e, const struct container *c)
{
	for (size_t i = 0; i < c->spec->point_count; i++) {
		struct use_call use = {.e = e, .c = c, .name = c->spec->points[i].volume};
		autofree char *dir = xasprintf("%s/volumes/%s/_data", e->data_root, use.name);
		autoerror struct error err = {0};

		if (!use.name[0])
			continue;
		(void)pthread_mutex_lock(&e->populate_lock);
		engine_call(e, use_on_loop, &use);
		if (use.is_mounted && !use.shared && volume_unmount(dir, &err) < 0)
			log_warn("%s", error_msg(&err));
		(void)pthread_mutex_unlock(&e->populate_lock);
		volume_map_done(&use.options);
	}
}
