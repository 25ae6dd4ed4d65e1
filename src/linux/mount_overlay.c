/* Overlay mounts on every kernel: layers by lowerdir+ (Linux 6.7), else one string of them. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/mount_priv.h"
#include "linux/sys.h"

/* Fixed features: an image's layer must mean the same to whoever reads it later (diff, commit,
 * export). */
static const char *const image_features[] = {"index", "metacopy", "redirect_dir"};

/* With userxattr the others are off, and may not even be said to be. */
static size_t feature_count(const struct mount_overlay *overlay)
{
	return overlay->user_xattr ? 1 : ARRAY_SIZE(image_features);
}

/* What the kernel would read as something else than a name: separators and escapes. */
static bool is_plain(const char *path)
{
	return strlen(path) <= FSCONFIG_STRING_MAX && !strpbrk(path, "\\,:\"");
}

static int open_layer(const char *path, int *ret_fd, struct error *err)
{
	*ret_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0)
		return error_set(err, errno == ENOENT ? ERROR_INVALID : ERROR_INTERNAL, errno,
				 "open layer '%s'", path);
	return 0;
}

/* -- by fsconfig --------------------------------------------------------------------------- */

static int overlay_add(int fs_fd, const char *key, const char *path, int *fd, struct error *err)
{
	char link[FD_PATH_SIZE];
	const char *name = path;

	/* The descriptor stays open until the file system exists. */
	if (!is_plain(path)) {
		int r = open_layer(path, fd, err);

		if (r < 0)
			return r;
		name = mount_fd_path(*fd, link);
	}
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, key, name, 0) < 0) {
		int errnum = errno;
		autofree char *what = NULL;

		if (errnum == EINVAL && strcmp(key, "lowerdir+") == 0 && access(path, F_OK) == 0)
			return -EOPNOTSUPP; /* the caller tries the old way; err stays empty */
		what = xasprintf("overlay %s '%s'", key, path);
		return mount_context_error(fs_fd, errnum, what, err);
	}
	return 0;
}

static bool is_layer_option(const char *option)
{
	static const char *const prefixes[] = {"lowerdir=", "lowerdir+=", "upperdir=", "workdir="};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (str_has_prefix(option, prefixes[i]))
			return true;
	return false;
}

static int set_own_option(void *data, const char *option, struct error *err)
{
	const int *fs_fd = data;

	return is_layer_option(option) ? 0 : mount_fsconfig(*fs_fd, "overlay", option, err);
}

static int set_options(int fs_fd, const struct mount_overlay *overlay, struct error *err)
{
	(void)sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "source", "overlay", 0); /* a label */
	if (overlay->label &&
	    sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "context", overlay->label, 0) < 0)
		return mount_context_error(fs_fd, errno, "security context", err);
	if (overlay->options)
		return mount_options_each(overlay->options, set_own_option, &fs_fd, err);
	for (size_t i = 0; i < feature_count(overlay); i++)
		(void)sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, image_features[i], "off",
				   0); /* kernels that lack one have it off */
	if (overlay->user_xattr &&
	    sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0)
		return mount_context_error(fs_fd, errno, "overlay userxattr", err);
	return 0;
}

static int create_and_mount(int fs_fd, const struct mount_overlay *overlay, struct error *err)
{
	uint64_t attr = overlay->options ? mount_options_attributes(overlay->options) : 0;
	int fd;

	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_CREATE, NULL, NULL, 0) < 0)
		return mount_context_error(fs_fd, errno, "create overlay", err);
	fd = sys_fsmount(fs_fd, FSMOUNT_CLOEXEC, (unsigned)attr);
	return fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "mount overlay") : fd;
}

/* -EOPNOTSUPP, and no error set: this kernel does not take layers one by one. */
static int overlay_create(const struct mount_overlay *overlay, int *fds, struct error *err)
{
	autoclose int fs_fd = sys_fsopen("overlay", FSOPEN_CLOEXEC);
	size_t n = overlay->lower_count;
	autoerror struct error own = {0};
	int r;

	if (fs_fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "open file system type 'overlay'");
	r = set_options(fs_fd, overlay, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = overlay_add(fs_fd, "lowerdir+", overlay->lower[i], &fds[i], err);
	if (r == 0 && overlay->upper)
		r = overlay_add(fs_fd, "upperdir", overlay->upper, &fds[n], err);
	if (r == 0 && overlay->upper)
		r = overlay_add(fs_fd, "workdir", overlay->work, &fds[n + 1], err);
	if (r < 0)
		return r;
	/* Before Linux 6.5 overlay keeps whatever it is given until here; its own reason for EINVAL, if it
	 * has another, comes from the old way again. */
	r = create_and_mount(fs_fd, overlay, &own);
	return r == -EINVAL ? -EOPNOTSUPP : r < 0 ? error_move(err, &own, r) : r;
}

/* -- by mount(2) --------------------------------------------------------------------------- */

static int add_own_option(void *data, const char *option, struct error *err)
{
	(void)err;
	if (!is_layer_option(option))
		strbuf_addf(data, ",%s", option);
	return 0;
}

/* Everything by descriptor: 127 names fit into mount(2)'s page whatever the layers are called. */
static int old_options(const struct mount_overlay *overlay, int *fds, struct strbuf *ret,
		       struct error *err)
{
	size_t n = overlay->lower_count;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = open_layer(overlay->lower[i], &fds[i], err);
		strbuf_addf(ret, "%s/proc/self/fd/%d", i ? ":" : "lowerdir=", fds[i]);
	}
	if (r == 0 && overlay->upper) {
		r = open_layer(overlay->upper, &fds[n], err);
		if (r == 0)
			r = open_layer(overlay->work, &fds[n + 1], err);
		strbuf_addf(ret, ",upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d", fds[n],
			    fds[n + 1]);
	}
	if (r < 0)
		return r;
	if (overlay->label)
		strbuf_addf(ret, ",context=\"%s\"", overlay->label);
	if (overlay->options)
		(void)mount_options_each(overlay->options, add_own_option, ret,
					 NULL); /* cannot fail */
	else
		for (size_t i = 0; i < feature_count(overlay); i++)
			strbuf_addf(ret, ",%s=off", image_features[i]);
	if (overlay->user_xattr)
		strbuf_adds(ret, ",userxattr");
	if (strbuf_error(ret) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "overlay of %zu layers", n);
	return 0;
}

/* mount(2) cannot make a detached mount: mount over the work directory (or the topmost layer), whose
 * dentry is in this namespace only for that, clone it, and let the first one go. */
static int old_mount(const struct mount_overlay *overlay, const char *data, struct error *err)
{
	const char *at = overlay->work ? overlay->work : overlay->lower[0];
	int fd;

	if (legacy_has_stage())
		return legacy_mount("overlay", "overlay", 0, data, err);
	if (mount("overlay", at, "overlay", 0, data) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "mount overlay");
	fd = mount_clone(AT_FDCWD, at, false, err);
	(void)umount2(at, MNT_DETACH); /* the clone keeps the file system */
	return fd;
}

static int overlay_old_way(const struct mount_overlay *overlay, int *fds, struct error *err)
{
	autostrbuf struct strbuf data = STRBUF_INIT(MOUNT_DATA_MAX);
	const struct mount_options *own = overlay->options;
	autoclose int fd = -EBADF;
	int r = old_options(overlay, fds, &data, err);

	if (r < 0)
		return r;
	fd = old_mount(overlay, data.s, err);
	if (fd >= 0 && own) {
		const struct mount_options attributes = {.attr_set = mount_options_attributes(own)};

		r = mount_apply(fd, &attributes, err);
	}
	return fd < 0 ? fd : r < 0 ? r : TAKE_FD(fd);
}

/* -- public -------------------------------------------------------------------------------- */

static int *new_fds(size_t n)
{
	int *fds = xnew0n(int, n);

	for (size_t i = 0; i < n; i++)
		fds[i] = -EBADF;
	return fds;
}

static void close_fds(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fd_close(&fds[i]);
}

int mount_new_overlay(const struct mount_overlay *overlay, struct error *err)
{
	size_t n = overlay->lower_count + 2;
	autofree int *fds = NULL;
	int r = -EOPNOTSUPP;

	if (overlay->lower_count == 0 || !overlay->upper != !overlay->work)
		return error_set(err, ERROR_INVALID, 0, "overlay without layers");
	if (overlay->lower_count == 1 && !overlay->upper && !overlay->options) {
		autoclose int fd = mount_clone(AT_FDCWD, overlay->lower[0], false, err);

		if (fd < 0)
			return fd;
		r = mount_set_readonly(fd, false, err);
		return r < 0 ? r : TAKE_FD(fd);
	}
	fds = new_fds(n);
	if (!mount_is_legacy())
		r = overlay_create(overlay, fds, err);
	if (r == -EOPNOTSUPP) {
		close_fds(fds, n);
		r = overlay_old_way(overlay, fds, err);
	}
	close_fds(fds, n);
	return r;
}

/* "a:b\:c" is two layers, "\" before any character is that character. */
static size_t split_layers(char *list, const char **ret, size_t max)
{
	size_t n = 0;
	char *to = list;

	for (const char *p = list; n < max;) {
		ret[n++] = to;
		for (; *p && *p != ':'; p++) {
			if (*p == '\\' && p[1])
				p++;
			*to++ = *p;
		}
		if (*p == '\0') {
			*to = '\0';
			return n;
		}
		p++;
		*to++ = '\0';
	}
	return n;
}

struct layer_options {
	char *lower, *upper, *work; /* owned */
	bool unusual;               /* what only the kernel understands */
};

static char *unescaped(const char *value)
{
	char *copy = xstrdup(value), *to = copy;

	for (const char *p = copy; *p; p++) {
		if (*p == '\\' && p[1])
			p++;
		*to++ = *p;
	}
	*to = '\0';
	return copy;
}

static int take_layer_option(void *data, const char *option, struct error *err)
{
	struct layer_options *l = data;
	const struct {
		const char *prefix;
		char **to;
		bool escaped;
	} known[] = {
		{"lowerdir=", &l->lower, true},
		{"upperdir=", &l->upper, false},
		{"workdir=", &l->work, false},
	};

	(void)err;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		const char *value = option + strlen(known[i].prefix);

		if (!str_has_prefix(option, known[i].prefix))
			continue;
		free(*known[i].to);
		*known[i].to = known[i].escaped ? xstrdup(value) : unescaped(value);
	}
	if (str_has_prefix(option, "lowerdir+") || str_has_prefix(option, "datadir+"))
		l->unusual = true;
	return 0;
}

int mount_new_overlay_options(const struct mount_options *options, struct error *err)
{
	struct layer_options l = {0};
	autofree const char **layers = NULL;
	struct mount_overlay overlay = {.label = options->label, .options = options};
	int r;

	(void)mount_options_each(options, take_layer_option, &l, NULL); /* cannot fail */
	/* "a::b": data-only layers (Linux 6.5) */
	if (l.unusual || !l.lower || strstr(l.lower, "::")) {
		r = mount_new("overlay", "overlay", options, err);
	} else {
		layers = xnew0n(const char *, strlen(l.lower) / 2 + 1);
		overlay.lower_count = split_layers(l.lower, layers, strlen(l.lower) / 2 + 1);
		overlay.lower = layers;
		overlay.upper = l.upper;
		overlay.work = l.work;
		r = mount_new_overlay(&overlay, err);
	}
	free(l.lower);
	free(l.upper);
	free(l.work);
	return r;
}

/* -- for user namespaces ------------------------------------------------------------------- */

static int clone_idmapped(const char *path, int userns_fd, struct error *err)
{
	autoclose int fd = mount_clone(AT_FDCWD, path, false, err);
	int r = fd < 0 ? fd : mount_set_idmap(fd, userns_fd, false, path, err);

	return r < 0 ? r : TAKE_FD(fd);
}

static int overlay_set_fd(int fs_fd, const char *key, int fd, struct error *err)
{
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_FD, key, NULL, fd) == 0)
		return 0;
	/* what those before Linux 6.13 say */
	return errno == EINVAL || errno == EBADF
		       ? -EOPNOTSUPP
		       : error_set(err, ERROR_INTERNAL, errno, "overlay %s", key);
}

/* The kernel wants both below one mount: that of their parent.  *ret_parent is to stay open. */
static int overlay_set_upper(int fs_fd, const struct mount_overlay *overlay, int userns_fd,
			     int *ret_parent, struct error *err)
{
	const char *upper = str_basename(overlay->upper), *work = str_basename(overlay->work);
	autofree char *parent = xstrndup(overlay->upper, (size_t)(upper - overlay->upper));
	autoclose int upper_fd = -EBADF, work_fd = -EBADF;
	int r;

	if (strlen(parent) != (size_t)(work - overlay->work) ||
	    strncmp(parent, overlay->work, strlen(parent)) != 0)
		return error_set(err, ERROR_INVALID, 0, "'%s' and '%s' are not side by side",
				 overlay->upper, overlay->work);
	*ret_parent = clone_idmapped(parent, userns_fd, err);
	if (*ret_parent < 0)
		return *ret_parent;
	upper_fd = openat(*ret_parent, upper, O_PATH | O_DIRECTORY | O_CLOEXEC);
	work_fd = openat(*ret_parent, work, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (upper_fd < 0 || work_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", overlay->upper);
	r = overlay_set_fd(fs_fd, "upperdir", upper_fd, err);
	return r < 0 ? r : overlay_set_fd(fs_fd, "workdir", work_fd, err);
}

/* `fds`: room for the layers and the upper one's parent.  A detached mount goes with its fd, so they
 * are open until the file system exists. */
static int overlay_create_idmapped(const struct mount_overlay *overlay, int userns_fd, int *fds,
				   struct error *err)
{
	autoclose int fs_fd = sys_fsopen("overlay", FSOPEN_CLOEXEC);
	size_t n = overlay->lower_count;
	int r;

	if (fs_fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "open file system type 'overlay'");
	r = set_options(fs_fd, overlay, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		fds[i] = clone_idmapped(overlay->lower[i], userns_fd, err);
		r = fds[i] < 0 ? fds[i] : overlay_set_fd(fs_fd, "lowerdir+", fds[i], err);
		if (r < 0)
			return r;
	}
	r = overlay->upper ? overlay_set_upper(fs_fd, overlay, userns_fd, &fds[n], err) : 0;
	return r < 0 ? r : create_and_mount(fs_fd, overlay, err);
}

int mount_new_overlay_idmapped(const struct mount_overlay *overlay, int userns_fd,
			       struct error *err)
{
	size_t n = overlay->lower_count + 1;
	autofree int *fds = NULL;
	int r;

	if (mount_is_legacy()) /* and there is no stage in the caller's namespaces */
		return error_set(
			err, ERROR_UNAVAILABLE, 0,
			"map the owners of layers: the kernel has no mount_setattr(2) (Linux "
			"5.12)");
	if (overlay->lower_count == 0 || !overlay->upper != !overlay->work)
		return error_set(err, ERROR_INVALID, 0, "overlay without layers");
	if (overlay->lower_count == 1 && !overlay->upper) {
		autoclose int lower = clone_idmapped(overlay->lower[0], userns_fd, err);

		r = lower < 0 ? lower : mount_set_readonly(lower, false, err);
		return r < 0 ? r : TAKE_FD(lower);
	}
	fds = new_fds(n);
	r = overlay_create_idmapped(overlay, userns_fd, fds, err);
	close_fds(fds, n);
	if (r == -EOPNOTSUPP && overlay->no_process)
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "map the owners of layers: the kernel takes them by path only "
				 "(before Linux 6.13)");
	return r == -EOPNOTSUPP ? overlay_idmapped_by_path(overlay, userns_fd, err) : r;
}
