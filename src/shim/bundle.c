/* The bundle of a container that a program makes.
 *
 * Our library mounts the layers inside the container's own mount namespace.  A program expects them to be
 * mounted already, so the shim has a mount namespace of its own, which the program inherits: the host sees
 * nothing of it, and it goes with the shim, however that ends.  Its mounts receive what the host mounts
 * and send nothing, unless a volume is to be shared: then they stay the host's peers, but for the one
 * that the bundle lies in.
 */
#include "shim/bundle.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "linux/caps.h"
#include "linux/mount.h"
#include "oci/runtime_spec.h"
#include "runtime/runtime.h"
#include "shim/driver.h"
#include "shim/protocol.h"

#define OWN_FDS "/proc/self/fd/"
/* Some runtimes refuse a version that is newer than they are, though they know all that is used of it;
 * and what they do not know they name by itself. */
#define OLDEST_VERSION "1.0.2"

/* -- config.json --------------------------------------------------------------------------- */

/* Programs refuse what we have not got ourselves; our library leaves it out. */
static void write_capabilities(const struct json *sets, struct json_writer *w)
{
	const struct json *v, *name;
	struct caps own = {.permitted = CAP_SET_ALL};
	const char *key;

	(void)caps_get(&own, NULL);
	jw_object(w);
	json_object_foreach(key, v, sets) {
		jw_karray(w, key);
		json_array_foreach(name, v) {
			int cap = caps_parse(json_string(name) ?: "");

			if (cap >= 0 && own.permitted & (uint64_t)1 << cap)
				jw_value(w, name);
		}
		jw_array_end(w);
	}
	jw_object_end(w);
}

void bundle_write_process(const struct json *process, const struct bundle_terminal *t,
			  struct json_writer *w)
{
	const struct json *v;
	const char *key;

	jw_object(w);
	json_object_foreach(key, v, process) {
		if (t && (str_eq(key, "terminal") || str_eq(key, "consoleSize")))
			continue;
		jw_key(w, key);
		if (str_eq(key, "capabilities"))
			write_capabilities(v, w);
		else
			jw_value(w, v);
	}
	if (t)
		jw_kbool(w, "terminal", t->is_there);
	if (t && t->is_there && t->rows && t->cols) {
		jw_kobject(w, "consoleSize");
		jw_kuint(w, "height", t->rows);
		jw_kuint(w, "width", t->cols);
		jw_object_end(w);
	}
	jw_object_end(w);
}

static void write_namespace(const struct json *ns, struct json_writer *w)
{
	const char *key, *path;
	const struct json *v;

	jw_object(w);
	json_object_foreach(key, v, ns) {
		path = json_string(v);
		jw_key(w, key);
		if (str_eq(key, "path") && path && str_has_prefix(path, OWN_FDS))
			jw_stringf(w, "/proc/%d/fd/%s", (int)getpid(), path + strlen(OWN_FDS));
		else
			jw_value(w, v);
	}
	jw_object_end(w);
}

static void write_linux(const struct json *linux_, struct json_writer *w)
{
	const struct json *v, *ns;
	const char *key;

	jw_object(w);
	json_object_foreach(key, v, linux_) {
		if (!str_eq(key, "namespaces")) {
			jw_kvalue(w, key, v);
			continue;
		}
		jw_karray(w, key);
		json_array_foreach(ns, v)
			write_namespace(ns, w);
		jw_array_end(w);
	}
	jw_object_end(w);
}

/* What mount_options_parse() knows of the options of a mount in the specification. */
static bool is_idmapped(const struct json *mount, bool *ret_recursive)
{
	const struct json *option, *options = json_get(mount, "options");
	bool found = false;

	*ret_recursive = false;
	json_array_foreach(option, options) {
		*ret_recursive |= str_eq(json_string(option), "ridmap");
		found |= str_eq(json_string(option), "idmap") || *ret_recursive;
	}
	return found;
}

/* Its source is the mount in the bundle that has been made of it. */
static void write_idmapped(const struct json *mount, const char *place, struct json_writer *w)
{
	const struct json *v, *option;
	const char *key;

	jw_object(w);
	json_object_foreach(key, v, mount) {
		jw_key(w, key);
		if (str_eq(key, "source")) {
			jw_string(w, place);
		} else if (str_eq(key, "options")) {
			jw_array(w);
			json_array_foreach(option, v) {
				if (!str_eq(json_string(option), "idmap") &&
				    !str_eq(json_string(option), "ridmap"))
					jw_value(w, option);
			}
			jw_array_end(w);
		} else {
			jw_value(w, v);
		}
	}
	jw_object_end(w);
}

static char *mount_place(const char *path, size_t i)
{
	return xasprintf("%s/mounts/%zu", path, i);
}

static void write_mounts(const struct json *mounts, const char *path, struct json_writer *w)
{
	bool recursive;

	jw_array(w);
	for (size_t i = 0; i < json_count(mounts); i++) {
		const struct json *m = json_at(mounts, i);
		autofree char *place = mount_place(path, i);

		if (is_idmapped(m, &recursive))
			write_idmapped(m, place, w);
		else
			jw_value(w, m);
	}
	jw_array_end(w);
}

void bundle_write_config(const struct json *spec, const char *path, struct strbuf *out)
{
	struct json_writer w;
	const struct json *v;
	const char *key;

	json_writer_init(&w, out);
	jw_object(&w);
	json_object_foreach(key, v, spec) {
		jw_key(&w, key);
		if (str_eq(key, "linux"))
			write_linux(v, &w);
		else if (str_eq(key, "process"))
			bundle_write_process(v, NULL, &w);
		else if (str_eq(key, "mounts"))
			write_mounts(v, path, &w);
		else if (str_eq(key, "ociVersion"))
			jw_string(&w, OLDEST_VERSION);
		else
			jw_value(&w, v);
	}
	jw_object_end(&w);
}

static int write_config(int dir_fd, const char *path, const struct json *spec, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT(OCI_SPEC_MAX);

	bundle_write_config(spec, path, &text);
	if (strbuf_error(&text) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "the container's configuration");
	return file_write_atomic(dir_fd, "config.json", text.s, text.len, 0600, 0, err);
}

/* -- mounts -------------------------------------------------------------------------------- */

/* Of the mount that the path lies in. */
static int unshare_mount_of(const char *place, struct error *err)
{
	char path[PATH_MAX];

	if (!str_copy(path, sizeof(path), place))
		return error_set(err, ERROR_INVALID, ENAMETOOLONG, "bundle '%s'", place);
	while (mount(NULL, path, NULL, MS_SLAVE, NULL) < 0) {
		char *slash = strrchr(path, '/');

		if (errno != EINVAL || !slash || path[1] == '\0') /* EINVAL: no mount point */
			return error_set(err, ERROR_INTERNAL, errno, "find the mount of '%s'",
					 place);
		slash[slash == path] = '\0';
	}
	return 0;
}

static int leave_host_mounts(const char *place, const struct oci_spec *spec, struct error *err)
{
	uint64_t propagation = 0;
	bool recursive;

	if (unshare(CLONE_NEWNS) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make a mount namespace");
	(void)mount_propagation_parse(spec->linux_.rootfs_propagation, &propagation, &recursive);
	return propagation == MS_SHARED ? unshare_mount_of(place, err)
					: mount_set_propagation("/", MS_SLAVE, true, err);
}

static int make_idmapped(const char *path, size_t i, const struct oci_spec *spec,
			 const struct json *mount, struct error *err)
{
	autofree char *place = mount_place(path, i);
	const char *source = json_get_string(mount, "source");
	autoclose int mount_fd = -EBADF, place_fd = -EBADF;
	bool recursive;
	struct stat st;

	if (!is_idmapped(mount, &recursive))
		return 0;
	mount_fd = runtime_new_idmapped(spec, source ? source : "", recursive, err);
	if (mount_fd < 0)
		return mount_fd;
	if (fstat(mount_fd, &st) < 0 ||
	    (S_ISDIR(st.st_mode) ? mkdir(place, 0700) : mknod(place, S_IFREG | 0600, 0)) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make '%s'", place);
	place_fd = open(place, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (place_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", place);
	return mount_attach(mount_fd, place_fd, source, err);
}

/* Mounts with owners mapped, which old programs do not know, or take for nothing: they find them made. */
static int mount_idmapped(const char *path, const struct driver_create_args *args,
			  struct error *err)
{
	const struct json *mounts = json_get(args->config->spec, "mounts");
	int r = 0;

	for (size_t i = 0; r >= 0 && i < json_count(mounts); i++)
		r = make_idmapped(path, i, args->spec, json_at(mounts, i), err);
	return r;
}

static int mount_layers(const char *path, const struct driver_create_args *args, struct error *err)
{
	const struct shim_config *c = args->config;
	const struct runtime_rootfs rootfs = driver_rootfs(c);
	autofree char *place = xasprintf("%s/rootfs", path);
	autoclose int mount_fd = -EBADF, place_fd = -EBADF;
	int r = leave_host_mounts(path, args->spec, err);

	if (r < 0 || c->lower.n == 0)
		return r;
	mount_fd = runtime_new_rootfs(args->spec, &rootfs, err);
	if (mount_fd < 0)
		return mount_fd;
	place_fd = open(place, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (place_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", place);
	return mount_attach(mount_fd, place_fd, "the root file system", err);
}

/* -- all of it ----------------------------------------------------------------------------- */

int bundle_make(const char *path, const struct driver_create_args *args, struct error *err)
{
	autofree char *rootfs = xasprintf("%s/rootfs", path);
	autoclose int dir_fd = -EBADF;
	int r = bundle_remove(path, err); /* of an earlier start that was cut off */

	r = r < 0 ? r : file_mkdir_p(AT_FDCWD, rootfs, 0711, err);
	/* The root of a user namespace must get to its files. */
	if (r >= 0 && args->spec->linux_.namespaces[OCI_NAMESPACE_USER].present &&
	    (chmod(args->config->runtime_dir, 0711) < 0 || chmod(path, 0711) < 0))
		r = error_set(err, ERROR_INTERNAL, errno, "make '%s'", path);
	if (r < 0)
		return r;
	dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", path);
	r = write_config(dir_fd, path, args->config->spec, err);
	if (r >= 0 && (mkdirat(dir_fd, "state", 0711) < 0 || mkdirat(dir_fd, "mounts", 0711) < 0))
		r = error_set(err, ERROR_INTERNAL, errno, "make directories in '%s'", path);
	r = r < 0 ? r : mount_layers(path, args, err);
	return r < 0 ? r : mount_idmapped(path, args, err);
}

static void unmount_all(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		autofree char *place = xasprintf("%s/%s", path, entry->d_name);

		if (entry->d_name[0] != '.')
			(void)umount2(place, MNT_DETACH | UMOUNT_NOFOLLOW);
	}
	if (dir)
		(void)closedir(dir);
}

int bundle_remove(const char *path, struct error *err)
{
	autofree char *mounts = xasprintf("%s/mounts", path);
	autofree char *rootfs = xasprintf("%s/rootfs", path);

	while (umount2(rootfs, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	unmount_all(mounts);
	return file_remove_tree(AT_FDCWD, path, err);
}
