/* Where things are mounted: the grammars of Binds, Mounts and Tmpfs. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "engine/config_priv.h"
#include "volume/volume.h"

static const char *const propagations[] = {"private", "rprivate", "slave",
					   "rslave",  "shared",   "rshared"};
static const char *const consistencies[] = {"default", "consistent", "cached", "delegated"};

static const char *find(const char *const *list, size_t n, const char *s, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(list[i]) == len && memcmp(list[i], s, len) == 0)
			return list[i];
	return NULL;
}

/* Remove "//", "/./" and trailing slashes, resolve "..", as Go's path.Clean does for an absolute
 * path. */
static char *clean_path(struct arena *a, const char *path)
{
	char *out = arena_alloc(a, strlen(path) + 2);
	size_t n = 0;

	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && memcmp(path, "..", 2) == 0) {
			while (n > 0 && out[--n] != '/')
				;
		} else if (len > 0 && !(len == 1 && *path == '.')) {
			out[n++] = '/';
			memcpy(out + n, path, len);
			n += len;
		}
		path += len;
		path += strspn(path, "/");
	}
	if (n == 0)
		out[n++] = '/';
	out[n] = '\0';
	return out;
}

/* One word of a mode; each kind at most once. */
static bool take_mode(struct config_bind *b, const char *s, size_t len, unsigned *seen)
{
	enum { RW = 1, LABEL = 2, COPY = 4, PROPAGATION = 8, CONSISTENCY = 16 };
	const char *p = find(propagations, ARRAY_SIZE(propagations), s, len);
	unsigned kind;

	if (len == 2 && (memcmp(s, "rw", 2) == 0 || memcmp(s, "ro", 2) == 0)) {
		kind = RW;
		b->read_only = s[1] == 'o';
	} else if (len == 1 && (*s == 'z' || *s == 'Z')) {
		kind = LABEL;
		b->relabel = *s == 'z' ? "z" : "Z";
	} else if (len == 6 && memcmp(s, "nocopy", 6) == 0) {
		kind = COPY;
		b->nocopy = true;
	} else if (p) {
		kind = PROPAGATION;
		b->propagation = p;
	} else if (find(consistencies, ARRAY_SIZE(consistencies), s, len)) {
		kind = CONSISTENCY;
	} else {
		return false;
	}
	if (*seen & kind)
		return false;
	*seen |= kind;
	return true;
}

static bool parse_mode(struct config_bind *b, const char *mode)
{
	unsigned seen = 0;

	while (*mode) {
		size_t len = strcspn(mode, ",");

		if (!take_mode(b, mode, len, &seen))
			return false;
		mode += len;
		if (*mode == ',' && *++mode == '\0')
			return false;
	}
	return true;
}

static int invalid_spec(struct error *err, const char *text)
{
	return error_set(err, ERROR_INVALID, 0, "invalid volume specification: '%s'", text);
}

int config_bind_parse(struct arena *a, const char *text, struct config_bind *ret, struct error *err)
{
	struct config_bind b = {.propagation = "", .relabel = "", .mode = ""}, scratch = {0};
	const char *colon = strchr(text, ':'), *second = colon ? strchr(colon + 1, ':') : NULL;

	if (!colon || colon == text || (second && strchr(second + 1, ':')))
		return invalid_spec(err, text);
	b.source = arena_strndup(a, text, (size_t)(colon - text));
	b.target = second ? arena_strndup(a, colon + 1, (size_t)(second - colon - 1))
			  : arena_strdup(a, colon + 1);
	if (!*b.target || (!second && parse_mode(&scratch, b.target)))
		return invalid_spec(err, text);
	if (second) {
		b.mode = arena_strdup(a, second + 1);
		if (!parse_mode(&b, b.mode))
			return error_set(err, ERROR_INVALID, 0, "invalid mode: %s", b.mode);
	}
	b.is_volume = *b.source != '/';
	if (*b.target != '/')
		return error_set(
			err, ERROR_INVALID, 0,
			"invalid volume specification: '%s': invalid mount config for type "
			"\"%s\": invalid mount path: '%s' mount path must be absolute",
			text, b.is_volume ? "volume" : "bind", b.target);
	b.target = clean_path(a, b.target);
	if (strcmp(b.target, "/") == 0)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid volume specification: '%s': invalid specification: "
				 "destination can't be '/'",
				 text);
	if (!b.is_volume)
		b.source = clean_path(a, b.source);
	*ret = b;
	return 0;
}

/* Targets seen so far; two mounts on one are a mistake. */
struct targets {
	const char **v;
	size_t n;
};

static int add_target(struct targets *t, const char *target, struct error *err)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->v[i], target) == 0)
			return error_set(err, ERROR_INVALID, 0, "Duplicate mount point: %s",
					 target);
	t->v[t->n++] = target;
	return 0;
}

static int validate_binds(const struct container_spec *s, struct targets *t, struct error *err)
{
	for (size_t i = 0; i < s->host.binds.n; i++) {
		const char *text = s->host.binds.v[i];
		struct config_bind b;
		int r = config_bind_parse(s->arena, text, &b, err);

		if (r < 0)
			return r;
		if (b.is_volume)
			r = volume_name_check(b.source, err);
		if (r < 0)
			return error_wrap(err, r, "create %s", b.source);
		r = add_target(t, b.target, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Docker's frame for what is wrong with one of Mounts. */
static int invalid_mount(const struct config_mount *m, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int invalid_mount(const struct config_mount *m, struct error *err, const char *fmt, ...)
{
	autofree char *what = NULL;
	va_list ap;

	va_start(ap, fmt);
	what = xvasprintf(fmt, ap);
	va_end(ap);
	return error_set(err, ERROR_INVALID, 0, "invalid mount config for type \"%s\": %s", m->type,
			 what);
}

static int validate_bind_mount(const struct config_mount *m, struct error *err)
{
	const char *propagation = json_get_string(m->bind_options, "Propagation");
	struct stat st;

	if (*m->source == '\0')
		return invalid_mount(m, err, "field Source must not be empty");
	if (json_count(m->volume_options) > 0)
		return invalid_mount(m, err, "field VolumeOptions must not be specified");
	if (json_count(m->tmpfs_options) > 0)
		return invalid_mount(m, err, "field TmpfsOptions must not be specified");
	if (!str_empty(propagation) &&
	    !find(propagations, ARRAY_SIZE(propagations), propagation, strlen(propagation)))
		return invalid_mount(m, err, "invalid propagation mode: %s", propagation);
	if (*m->source != '/')
		return invalid_mount(m, err, "invalid mount path: '%s' mount path must be absolute",
				     m->source);
	if (!json_get_bool(m->bind_options, "CreateMountpoint") && stat(m->source, &st) < 0)
		return invalid_mount(m, err, "bind source path does not exist: %s", m->source);
	return 0;
}

static int validate_tmpfs_mount(const struct config_mount *m, struct error *err)
{
	if (*m->source)
		return invalid_mount(m, err, "field Source must not be specified");
	if (json_count(m->bind_options) > 0)
		return invalid_mount(m, err, "field BindOptions must not be specified");
	if (json_count(m->volume_options) > 0)
		return invalid_mount(m, err, "field VolumeOptions must not be specified");
	if (json_get_int(m->tmpfs_options, "SizeBytes") < 0)
		return invalid_mount(m, err, "field TmpfsOptions.SizeBytes must not be negative");
	return 0;
}

/* Relative, without a component "..". */
static bool is_local(const char *path)
{
	if (*path == '/')
		return false;
	for (const char *p = path; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
		if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'))
			return false;
	return true;
}

/* Not a 404, which would make clients pull the container's image. */
static int check_driver(const char *name, struct error *err)
{
	if (str_eq(name, VOLUME_DRIVER))
		return 0;
	return error_set(err, ERROR_INVALID, 0,
			 "error looking up volume plugin %s: plugin \"%s\" not found", name, name);
}

static int validate_volume_mount(const struct config_mount *m, struct error *err)
{
	const struct json *driver = json_get(m->volume_options, "DriverConfig");
	const char *name = json_get_string(driver, "Name");
	const char *subpath = json_get_string(m->volume_options, "Subpath");
	autoerror struct error why = {0};

	if (json_count(m->bind_options) > 0)
		return invalid_mount(m, err, "field BindOptions must not be specified");
	if (json_count(m->tmpfs_options) > 0)
		return invalid_mount(m, err, "field TmpfsOptions must not be specified");
	if (!str_empty(subpath) && *m->source == '\0')
		return invalid_mount(m, err, "must not set Subpath when using anonymous volumes");
	if (!str_empty(subpath) && !is_local(subpath))
		return invalid_mount(m, err, "subpath must be a relative path within the volume");
	if (*m->source && volume_name_check(m->source, &why) < 0)
		return invalid_mount(m, err, "%s", error_msg(&why));
	return str_empty(name) ? 0 : check_driver(name, err);
}

static int validate_image_mount(const struct config_mount *m, struct error *err)
{
	const char *subpath = json_get_string(m->image_options, "Subpath");

	if (*m->source == '\0')
		return invalid_mount(m, err, "field Source must not be empty");
	if (json_count(m->bind_options) > 0)
		return invalid_mount(m, err, "field BindOptions must not be specified");
	if (json_count(m->volume_options) > 0)
		return invalid_mount(m, err, "field VolumeOptions must not be specified");
	if (json_count(m->tmpfs_options) > 0)
		return invalid_mount(m, err, "field TmpfsOptions must not be specified");
	if (!str_empty(subpath) && !is_local(subpath))
		return invalid_mount(m, err, "subpath must be a relative path within the image");
	return 0;
}

static const struct {
	const char *type;
	int (*validate)(const struct config_mount *m, struct error *err); /* NULL: not there yet */
} mount_types[] = {
	{"bind", validate_bind_mount},
	{"tmpfs", validate_tmpfs_mount},
	{"volume", validate_volume_mount},
	{"image", validate_image_mount},
	{"cluster", NULL},
	{"npipe", NULL},
};

static int validate_mount(struct arena *a, const struct config_mount *m, struct error *err)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(mount_types) && strcmp(mount_types[i].type, m->type) != 0)
		i++;
	if (i == ARRAY_SIZE(mount_types))
		return invalid_mount(m, err, "mount type unknown");
	if (!mount_types[i].validate)
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
				 "HostConfig.Mounts: type '%s' is not implemented", m->type);
	if (*m->target == '\0')
		return invalid_mount(m, err, "field Target must not be empty");
	if (*m->target != '/')
		return invalid_mount(m, err, "invalid mount path: '%s' mount path must be absolute",
				     m->target);
	if (strcmp(clean_path(a, m->target), "/") == 0)
		return invalid_mount(m, err, "invalid specification: destination can't be '/'");
	return mount_types[i].validate(m, err);
}

static int validate_mounts(const struct container_spec *s, struct targets *t, struct error *err)
{
	const struct config_mount *mounts = s->host.mounts.v;

	for (size_t i = 0; i < s->host.mounts.n; i++) {
		int r = validate_mount(s->arena, &mounts[i], err);

		if (r == 0)
			r = add_target(t, clean_path(s->arena, mounts[i].target), err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int validate_tmpfs(const struct container_spec *s, struct targets *t, struct error *err)
{
	for (size_t i = 0; i < s->host.tmpfs.n; i++) {
		const char *target = s->host.tmpfs.keys[i];
		int r;

		if (*target != '/')
			return error_set(err, ERROR_INVALID, 0,
					 "invalid mount path: '%s' mount path must be absolute",
					 target);
		target = clean_path(s->arena, target);
		if (strcmp(target, "/") == 0)
			return error_set(err, ERROR_INVALID, 0,
					 "invalid specification: destination can't be '/'");
		r = add_target(t, target, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Anonymous volumes; something else mounted on the same place replaces one. */
static int validate_volumes(const struct container_spec *s, struct error *err)
{
	for (size_t i = 0; i < json_count(s->config.volumes); i++) {
		const char *target = json_key_at(s->config.volumes, i);

		if (*target != '/')
			return error_set(err, ERROR_INVALID, 0,
					 "invalid mount path: '%s' mount path must be absolute",
					 target);
		if (strcmp(clean_path(s->arena, target), "/") == 0)
			return error_set(err, ERROR_INVALID, 0,
					 "invalid specification: destination can't be '/'");
	}
	return 0;
}

int config_mounts_validate(const struct container_spec *s, struct error *err)
{
	struct targets t = {0};
	int r;

	t.v = arena_new0n(s->arena, const char *,
			  s->host.binds.n + s->host.mounts.n + s->host.tmpfs.n);
	r = *s->host.volume_driver ? check_driver(s->host.volume_driver, err) : 0;
	if (r == 0)
		r = validate_volumes(s, err);
	if (r == 0)
		r = validate_binds(s, &t, err);
	if (r == 0)
		r = validate_mounts(s, &t, err);
	if (r == 0)
		r = validate_tmpfs(s, &t, err);
	return r;
}
