/* engine/oci_devices.c - devices of a container: --device, --device-cgroup-rule, --privileged. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/oci_spec_priv.h"

#define DEVICE_DEPTH_MAX 8 /* directories below a --device directory or /dev */

struct device {
	char *path; /* owned: in the container */
	char type;  /* 'c' or 'b' */
	unsigned major, minor;
	uint32_t mode, uid, gid;
	char permissions[4];
};
struct oci_device_list {
	struct device *v; /* owned */
	size_t n, cap;
	bool all; /* privileged */
};

struct oci_device_list *oci_devices_free(struct oci_device_list *l)
{
	for (size_t i = 0; l && i < l->n; i++)
		free(l->v[i].path);
	if (l)
		free(l->v);
	free(l);
	return NULL;
}

static bool add_device(struct oci_device_list *l, const struct stat *st, const char *path,
		       const char *permissions)
{
	struct device *d;

	if (!S_ISCHR(st->st_mode) && !S_ISBLK(st->st_mode))
		return false;
	xgrow(l->v, l->n, l->cap);
	d = &l->v[l->n++];
	*d = (struct device){.path = xstrdup(path),
			     .type = S_ISCHR(st->st_mode) ? 'c' : 'b',
			     .major = major(st->st_rdev),
			     .minor = minor(st->st_rdev),
			     .mode = st->st_mode & 0777,
			     .uid = st->st_uid,
			     .gid = st->st_gid};
	(void)str_copy(d->permissions, sizeof(d->permissions), permissions);
	return true;
}

/* What a container has its own of, or may not have from the host's /dev. */
static bool is_skipped(const char *name)
{
	static const char *const names[] = {".",     "..",      "pts",  "shm",
					    "fd",    "mqueue",  ".lxc", ".lxd-mounts",
					    ".udev", "console", "ptmx"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eq(names[i], name))
			return true;
	return false;
}

static void add_tree(struct oci_device_list *l, int dir_take, const char *path,
		     const char *permissions, unsigned depth)
{
	DIR *dir = fdopendir(dir_take);
	struct dirent *entry;

	if (!dir) {
		(void)close(dir_take);
		return;
	}
	while ((entry = readdir(dir))) {
		autofree char *child = xasprintf("%s/%s", path, entry->d_name);
		struct stat st;

		if (is_skipped(entry->d_name) ||
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth < DEVICE_DEPTH_MAX) {
			int fd = openat(dirfd(dir), entry->d_name,
					O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (fd >= 0)
				add_tree(l, fd, child, permissions, depth + 1);
		} else {
			(void)add_device(l, &st, child, permissions);
		}
	}
	(void)closedir(dir);
}

static int add_one(struct oci_device_list *l, const struct config_device *d, struct error *err)
{
	const char *permissions = str_empty(d->permissions) ? "rwm" : d->permissions;
	const char *inside =
		str_empty(d->path_in_container) ? d->path_on_host : d->path_in_container;
	struct stat st;
	size_t before = l->n;
	int fd;

	if (stat(d->path_on_host, &st) < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "error gathering device information while adding custom device "
				 "\"%s\": no such file or directory",
				 d->path_on_host);
	if (add_device(l, &st, inside, permissions))
		return 0;
	fd = open(d->path_on_host, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		add_tree(l, fd, inside, permissions, 0);
	if (l->n == before)
		return error_set(err, ERROR_INVALID, 0,
				 "error gathering device information while adding custom device "
				 "\"%s\": not a device node",
				 d->path_on_host);
	return 0;
}

static int add_node(struct oci_device_list *l, const struct cdi_node *n, struct error *err)
{
	const char *from = n->host_path ?: n->path;
	struct stat st;
	struct device *d;
	size_t before = l->n;

	/* One that all the world has already, of --privileged, is not made twice. */
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i].path, n->path))
			return 0;
	if (stat(from, &st) < 0 ||
	    !add_device(l, &st, n->path, str_empty(n->permissions) ? "rwm" : n->permissions))
		return error_set(
			err, ERROR_INVALID, 0,
			"CDI device injection failed: failed to stat CDI host device \"%s\": "
			"no such device",
			from);
	d = &l->v[before];
	if (n->major)
		d->major = (unsigned)*n->major;
	if (n->minor)
		d->minor = (unsigned)*n->minor;
	if (n->file_mode)
		d->mode = *n->file_mode & 0777;
	d->uid = n->uid ? *n->uid : d->uid;
	d->gid = n->gid ? *n->gid : d->gid;
	return 0;
}

int oci_devices_collect(const struct host_config *h, const struct cdi_result *cdi,
			struct oci_device_list **ret, struct error *err)
{
	struct oci_device_list *l = xnew0(struct oci_device_list);
	const struct config_device *v = h->devices.v;
	int r = 0;

	if (h->privileged) {
		int fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		l->all = true;
		if (fd >= 0)
			add_tree(l, fd, "/dev", "rwm", 0);
	}
	for (size_t i = 0; r >= 0 && i < h->devices.n; i++)
		r = add_one(l, &v[i], err);
	for (size_t i = 0; cdi && i < cdi->n; i++) {
		const struct cdi_node *nodes = cdi->v[i]->nodes.v;

		for (size_t k = 0; r >= 0 && k < cdi->v[i]->nodes.n; k++)
			r = add_node(l, &nodes[k], err);
	}
	if (r < 0) {
		(void)oci_devices_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void oci_devices_write(const struct oci_device_list *l, struct json_writer *w)
{
	jw_karray(w, "devices");
	for (size_t i = 0; i < l->n; i++) {
		const struct device *d = &l->v[i];

		jw_object(w);
		jw_kstring(w, "path", d->path);
		jw_kstring(w, "type", d->type == 'c' ? "c" : "b");
		jw_kuint(w, "major", d->major);
		jw_kuint(w, "minor", d->minor);
		jw_kuint(w, "fileMode", d->mode);
		jw_kuint(w, "uid", d->uid);
		jw_kuint(w, "gid", d->gid);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void write_rule(struct json_writer *w, char type, int64_t major_no, int64_t minor_no,
		       const char *access)
{
	const char text[2] = {type, '\0'};

	jw_object(w);
	jw_kbool(w, "allow", true);
	jw_kstring(w, "type", text);
	if (major_no >= 0)
		jw_kint(w, "major", major_no);
	if (minor_no >= 0)
		jw_kint(w, "minor", minor_no);
	jw_kstring(w, "access", access);
	jw_object_end(w);
}

/* "c 1:3 rwm", "b 8:* r", "a *:* rwm". */
static void write_user_rule(const char *rule, struct json_writer *w)
{
	char type = 0, major_text[16] = "", minor_text[16] = "", access[8] = "";
	int64_t major_no = -1, minor_no = -1;

	if (sscanf(rule, " %c %15[0-9*]:%15[0-9*] %7[rwm]", &type, major_text, minor_text,
		   access) != 4)
		return;
	(void)str_parse_i64(major_text, &major_no); /* "*" leaves -1 */
	(void)str_parse_i64(minor_text, &minor_no);
	write_rule(w, type, major_no, minor_no, access);
}

void oci_device_rules_write(const struct oci_device_list *l, const struct host_config *h,
			    struct json_writer *w)
{
	/* mknod of anything, use of null, zero, full, random, urandom, tty, console, ptmx, pts/N. */
	static const struct {
		char type;
		int major, minor;
		const char *access;
	} rules[] = {
		{'c', -1, -1, "m"}, {'b', -1, -1, "m"}, {'c', 1, 3, "rwm"},    {'c', 1, 5, "rwm"},
		{'c', 1, 7, "rwm"}, {'c', 1, 8, "rwm"}, {'c', 1, 9, "rwm"},    {'c', 5, 0, "rwm"},
		{'c', 5, 1, "rwm"}, {'c', 5, 2, "rwm"}, {'c', 136, -1, "rwm"},
	};

	jw_karray(w, "devices");
	if (l->all) {
		write_rule(w, 'a', -1, -1, "rwm");
		jw_array_end(w);
		return;
	}
	jw_object(w);
	jw_kbool(w, "allow", false);
	jw_kstring(w, "access", "rwm");
	jw_object_end(w);
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		write_rule(w, rules[i].type, rules[i].major, rules[i].minor, rules[i].access);
	for (size_t i = 0; i < l->n; i++)
		write_rule(w, l->v[i].type, l->v[i].major, l->v[i].minor, l->v[i].permissions);
	for (size_t i = 0; i < h->device_cgroup_rules.n; i++)
		write_user_rule(h->device_cgroup_rules.v[i], w);
	jw_array_end(w);
}
