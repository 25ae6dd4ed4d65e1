/* engine/oci_mounts.c - the mounts of a container: Docker's defaults, then what the user asks for.
 *
 * A user's mount replaces a default one with the same destination.  Deeper destinations come after
 * the shallower ones, so that nothing is hidden by a mount above it.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/oci_spec_priv.h"
#include "engine/propagation.h"

#include <fcntl.h>

struct mount {
	char *destination, *type, *source; /* owned; type NULL: a bind */
	struct strv options;
};
struct mounts {
	struct mount *v;
	size_t n, cap;
	const char *propagation; /* static; what the root needs */
};

static void mounts_done(struct mounts *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].destination);
		free(m->v[i].type);
		free(m->v[i].source);
		strv_done(&m->v[i].options);
	}
	free(m->v);
}

static void add_options(struct mount *m, const char *list)
{
	while (list && *list) {
		size_t n = strcspn(list, ",");

		if (n > 0)
			strv_add_take(&m->options, xstrndup(list, n));
		list += n + (list[n] == ',');
	}
}

/* Borrowed until the next one is added. */
static struct mount *add(struct mounts *list, const char *destination, const char *type,
			 const char *source, const char *options)
{
	struct mount *m = NULL;

	for (size_t i = 0; i < list->n && !m; i++)
		if (str_eq(list->v[i].destination, destination))
			m = &list->v[i];
	if (m) {
		free(m->destination);
		free(m->type);
		free(m->source);
		strv_done(&m->options);
	} else {
		xgrow(list->v, list->n, list->cap);
		m = &list->v[list->n++];
	}
	*m = (struct mount){.destination = xstrdup(destination),
			    .type = type ? xstrdup(type) : NULL,
			    .source = xstrdup(source)};
	add_options(m, options);
	return m;
}

static const struct {
	const char *destination, *type, *options;
} defaults[] = {
	{"/proc", "proc", "nosuid,noexec,nodev"},
	{"/dev", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"},
	{"/dev/pts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"},
	{"/sys", "sysfs", "nosuid,noexec,nodev,ro"},
	{"/sys/fs/cgroup", "cgroup", "ro,nosuid,noexec,nodev"},
	{"/dev/mqueue", "mqueue", "nosuid,noexec,nodev"},
};

static void add_defaults(const struct oci_spec_args *args, struct mounts *list)
{
	const struct host_config *h = &args->container->spec->host;
	bool host_ipc = str_eq(h->ipc_mode, "host");

	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
		const char *options = defaults[i].options;

		/* Hosts may have none; a mount of its own shows the host's queues then. */
		if (host_ipc && str_eq(defaults[i].type, "mqueue") &&
		    access("/dev/mqueue", F_OK) == 0) {
			add(list, "/dev/mqueue", NULL, "/dev/mqueue", "rbind,nosuid,noexec,nodev");
			continue;
		}
		if (h->privileged && str_eq(defaults[i].type, "sysfs"))
			options = "nosuid,noexec,nodev,rw";
		if (h->privileged && str_eq(defaults[i].type, "cgroup"))
			options = "rw,nosuid,noexec,nodev";
		add(list, defaults[i].destination, defaults[i].type, defaults[i].type, options);
	}
	if (host_ipc) {
		add(list, "/dev/shm", NULL, "/dev/shm", "rbind,nosuid,noexec,nodev");
	} else if (args->shm_path) {
		add(list, "/dev/shm", NULL, args->shm_path, "bind,nosuid,noexec,nodev,rprivate");
	} else if (!str_eq(h->ipc_mode, "none")) {
		struct mount *m =
			add(list, "/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777");

		strv_addf(&m->options, "size=%lld", (long long)h->shm_size);
	}
}

/* The root must let through what one of its mounts is to share or receive. */
static void note_propagation(struct mounts *list, const char *p)
{
	if (str_eq(p, "shared") || str_eq(p, "rshared"))
		list->propagation = "shared";
	else if ((str_eq(p, "slave") || str_eq(p, "rslave")) && !list->propagation)
		list->propagation = "slave";
}

static int add_binds(const struct container_spec *s, struct mounts *list, const char *writable,
		     struct error *err)
{
	autoarena struct arena *a = arena_new();

	for (size_t i = 0; i < s->host.binds.n; i++) {
		struct config_bind b;
		struct mount *m;
		struct stat st;
		int r = config_bind_parse(a, s->host.binds.v[i], &b, err);

		if (r < 0)
			return r;
		if (b.is_volume)
			continue; /* among args->binds */
		if (stat(b.source, &st) < 0 && errno == ENOENT) {
			r = file_mkdir_p(AT_FDCWD, b.source, 0755, err);
			if (r < 0)
				return error_wrap(err, r,
						  "error while creating mount source path '%s'",
						  b.source);
		}
		r = propagation_check(b.source, b.propagation, err);
		if (r < 0)
			return r;
		m = add(list, b.target, NULL, b.source, "rbind");
		add_options(m, b.read_only ? "ro,rro" : writable);
		strv_add(&m->options, str_empty(b.propagation) ? "rprivate" : b.propagation);
		note_propagation(list, b.propagation);
	}
	return 0;
}

static int add_bind_mount(const struct config_mount *c, struct mounts *list, const char *writable,
			  struct error *err)
{
	const char *propagation = json_get_string(c->bind_options, "Propagation");
	bool recursive = !json_get_bool(c->bind_options, "NonRecursive");
	struct mount *m;
	struct stat st;
	int r = 0;

	if (stat(c->source, &st) < 0) {
		if (errno != ENOENT || !json_get_bool(c->bind_options, "CreateMountpoint"))
			return error_set(err, ERROR_INVALID, 0,
					 "invalid mount config for type \"bind\": bind source "
					 "path does not exist: %s",
					 c->source);
		r = file_mkdir_p(AT_FDCWD, c->source, 0755, err);
	}
	r = r < 0 ? r : propagation_check(c->source, propagation, err);
	m = add(list, c->target, NULL, c->source, recursive ? "rbind" : "bind");
	if (!c->read_only)
		add_options(m, writable);
	else
		add_options(m, recursive && !json_get_bool(c->bind_options, "ReadOnlyNonRecursive")
				       ? "ro,rro"
				       : "ro");
	strv_add(&m->options, str_empty(propagation) ? "rprivate" : propagation);
	note_propagation(list, propagation);
	return r;
}

static void add_tmpfs_mount(const struct config_mount *c, struct mounts *list)
{
	const struct json *o = c->tmpfs_options, *option;
	struct mount *m = add(list, c->target, "tmpfs", "tmpfs", "noexec,nosuid,nodev,rprivate");

	if (c->read_only)
		strv_add(&m->options, "ro");
	if (json_get_int(o, "SizeBytes") > 0)
		strv_addf(&m->options, "size=%lld", (long long)json_get_int(o, "SizeBytes"));
	if (json_get_int(o, "Mode") > 0)
		strv_addf(&m->options, "mode=%llo",
			  (unsigned long long)json_get_int(o, "Mode") & 07777);
	/* [["exec"], ["size", "1m"]] since API 1.46 */
	json_array_foreach(option, json_get(o, "Options")) {
		const char *key = json_string(json_at(option, 0));
		const char *value = json_string(json_at(option, 1));

		if (key && value)
			strv_addf(&m->options, "%s=%s", key, value);
		else if (key)
			strv_add(&m->options, key);
	}
}

static int add_mounts(const struct host_config *h, struct mounts *list, const char *writable,
		      struct error *err)
{
	const struct config_mount *v = h->mounts.v;

	for (size_t i = 0; i < h->mounts.n; i++) {
		int r = 0;

		if (str_eq(v[i].type, "bind"))
			r = add_bind_mount(&v[i], list, writable, err);
		else if (str_eq(v[i].type, "tmpfs"))
			add_tmpfs_mount(&v[i], list);
		else if (!str_eq(v[i].type, "volume") && !str_eq(v[i].type, "image"))
			/* those are among args->binds */
			r = error_set(err, ERROR_NOT_IMPLEMENTED, 0,
				      "HostConfig.Mounts: type '%s' is not implemented", v[i].type);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < h->tmpfs.n; i++)
		add_options(add(list, h->tmpfs.keys[i], "tmpfs", "tmpfs",
				"noexec,nosuid,nodev,rprivate"),
			    h->tmpfs.values[i]);
	return 0;
}

/* Stable, by depth; the lists are short. */
static void sort_from(struct mounts *list, size_t first)
{
	for (size_t i = first + 1; i < list->n; i++) {
		struct mount m = list->v[i];
		size_t j = i;

		for (; j > first &&
		       str_path_depth(list->v[j - 1].destination) > str_path_depth(m.destination);
		     j--)
			list->v[j] = list->v[j - 1];
		list->v[j] = m;
	}
}

static void write_list(const struct mounts *list, struct json_writer *w)
{
	jw_karray(w, "mounts");
	for (size_t i = 0; i < list->n; i++) {
		const struct mount *m = &list->v[i];

		jw_object(w);
		jw_kstring(w, "destination", m->destination);
		jw_kstring(w, "type", m->type ? m->type : "bind");
		jw_kstring(w, "source", m->source);
		jw_karray(w, "options");
		for (size_t k = 0; k < m->options.n; k++)
			jw_string(w, m->options.v[k]);
		jw_array_end(w);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void add_cdi(const struct cdi_result *cdi, struct mounts *list)
{
	for (size_t i = 0; cdi && i < cdi->n; i++) {
		const struct cdi_mount *v = cdi->v[i]->mounts.v;

		for (size_t k = 0; k < cdi->v[i]->mounts.n; k++) {
			autostrbuf struct strbuf options = STRBUF_INIT(65536);

			for (size_t n = 0; n < v[k].options.n; n++)
				strbuf_addf(&options, "%s%s", n ? "," : "", v[k].options.v[n]);
			if (options.len == 0)
				strbuf_adds(&options, "rbind,rprivate");
			add(list, v[k].container_path, str_empty(v[k].type) ? NULL : v[k].type,
			    v[k].host_path, options.s);
		}
	}
}

int oci_mounts_write(const struct oci_spec_args *args, struct json_writer *w,
		     const char **ret_propagation, struct error *err)
{
	const struct container_spec *s = args->container->spec;
	/* In a user namespace nothing is made writable: what the host has read-only is locked. */
	const char *writable = args->remap ? "" : "rw";
	struct mounts list = {0};
	size_t first;
	int r;

	add_defaults(args, &list);
	first = list.n;
	for (size_t i = 0; i < args->bind_count; i++)
		add_options(add(&list, args->binds[i].destination, NULL, args->binds[i].source,
				args->binds[i].read_only ? "rbind,ro,rro,rprivate"
							 : "rbind,rw,rprivate"),
			    args->remap && !args->binds[i].is_image ? "idmap" : "");
	if (s->host.init && *s->host.init && args->init_path)
		add(&list, "/sbin/docker-init", NULL, args->init_path, "bind,ro,rprivate");
	add_cdi(args->cdi, &list);
	r = add_binds(s, &list, writable, err);
	r = r < 0 ? r : add_mounts(&s->host, &list, writable, err);
	if (r >= 0) {
		sort_from(&list, first);
		write_list(&list, w);
		*ret_propagation = list.propagation;
	}
	mounts_done(&list);
	return r;
}
