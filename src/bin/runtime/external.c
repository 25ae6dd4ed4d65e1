/* A mount is the host's when its file system is not mounted from its root anywhere in the container, or
 * when the configuration binds it.  Its name in the images is its place in the container; where that
 * comes from is looked up again when it is restored, in the configuration of then.
 *
 * A standard stream is the host's when it is a pipe, or a file of a mount that the container has not;
 * its names are criu's: "pipe:[inode]", "file[mount:inode]". */
#include "bin/runtime/external.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "bin/runtime/criu.h"
#include "linux/cgroup.h"
#include "linux/root.h"
#include "oci/runtime_spec.h"
#include "runtime/plan.h"
#include "runtime/state.h"

#define MOUNTINFO_MAX ((size_t)4 << 20)
#define NOTES_MAX     ((size_t)1 << 20)
#define STREAMS_FILE  "descriptors.json" /* runc's name and form */
#define MOUNTS_FILE   "vessel-mounts.json"
#define NULL_DEVICE   "/dev/null"

/* -- mounts of the container --------------------------------------------------------------- */

struct mount_line {
	int id;
	char *device, *root, *point, *fstype; /* borrowed from the text */
};

struct mount_table {
	char *text;           /* owned */
	struct mount_line *v; /* owned */
	size_t n, cap;
};

static void mount_table_done(struct mount_table *t)
{
	free(t->text);
	free(t->v);
}

/* proc_pid_mountinfo(5): id parent major:minor root point options ... - fstype source options; blanks
 * are \040 in it, which no place of ours has. */
static int mount_table_read(pid_t pid, struct mount_table *ret, struct error *err)
{
	autofree char *path = xasprintf("/proc/%d/mountinfo", (int)pid);
	char *rest, *line;
	int r = file_read(AT_FDCWD, path, MOUNTINFO_MAX, &ret->text, NULL, err);

	if (r < 0)
		return r;
	rest = ret->text;
	while ((line = strsep(&rest, "\n"))) {
		char *fs = strstr(line, " - ");
		struct mount_line m = {0};
		const char *id = strsep(&line, " ");

		(void)strsep(&line, " ");
		m.device = strsep(&line, " ");
		m.root = strsep(&line, " ");
		m.point = strsep(&line, " ");
		if (!m.point || !fs || str_parse_int(id, &m.id) < 0)
			continue;
		fs += strlen(" - ");
		m.fstype = strsep(&fs, " ");
		xgrow(ret->v, ret->n, ret->cap);
		ret->v[ret->n++] = m;
	}
	return 0;
}

static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strncmp(path, top, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* The bind mount of the configuration that a place is at or below: the last one wins. */
static const struct plan_mount *bind_at(const struct plan *plan, const char *point)
{
	const struct plan_mount *found = NULL;

	for (size_t i = 0; i < plan->mount_count; i++)
		if (plan->mounts[i].kind == PLAN_MOUNT_BIND && point[0] == '/' &&
		    is_below(point + 1, plan->mounts[i].destination))
			found = &plan->mounts[i];
	return found;
}

static bool has_whole(const struct mount_table *t, const struct mount_line *m)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->v[i].device, m->device) == 0 && strcmp(t->v[i].root, "/") == 0)
			return true;
	return strcmp(m->root, "/") == 0;
}

static bool is_external(const struct mount_table *t, const struct mount_line *m,
			const struct plan *plan, const struct oci_spec *spec)
{
	if (strcmp(m->point, "/") == 0)
		return false;
	/* criu makes those of a cgroup namespace itself */
	if (str_has_prefix(m->fstype, "cgroup") &&
	    spec->linux_.namespaces[OCI_NAMESPACE_CGROUP].present)
		return false;
	return bind_at(plan, m->point) || !has_whole(t, m);
}

static int write_notes(int dir_fd, const char *name, struct strbuf *text, struct error *err)
{
	return strbuf_error(text) < 0
		       ? error_set(err, ERROR_INVALID, E2BIG, "%s", name)
		       : file_write_atomic(dir_fd, name, text->s, text->len, 0600, 0, err);
}

static int dump_mounts(const struct external_args *args, const struct mount_table *t,
		       const struct plan *plan, struct strbuf *opts, struct error *err)
{
	autostrbuf struct strbuf notes = STRBUF_INIT(NOTES_MAX);
	struct json_writer w;

	json_writer_init(&w, &notes);
	jw_array(&w);
	for (size_t i = 0; i < t->n; i++) {
		if (!is_external(t, &t->v[i], plan, args->spec))
			continue;
		criu_add_pair(opts, CRIU_EXT_MNT, t->v[i].point, t->v[i].point);
		jw_string(&w, t->v[i].point);
	}
	jw_array_end(&w);
	return write_notes(args->images_fd, MOUNTS_FILE, &notes, err);
}

/* -- streams ------------------------------------------------------------------------------- */

static int mount_of(pid_t pid, int fd)
{
	autofree char *path = xasprintf("/proc/%d/fdinfo/%d", (int)pid, fd), *text = NULL;
	const char *at;
	int id = -1;

	if (file_read(AT_FDCWD, path, 65536, &text, NULL, NULL) < 0)
		return -1;
	at = strstr(text, "mnt_id:");
	return at && sscanf(at, "mnt_id: %d", &id) == 1 ? id : -1;
}

/* What criu calls it; a stream of the container's own keeps its path, which nobody looks at. */
static char *stream_name(pid_t pid, int fd, const struct mount_table *t, bool *ret_outside)
{
	autofree char *path = xasprintf("/proc/%d/fd/%d", (int)pid, fd);
	int id = mount_of(pid, fd);
	char target[PATH_MAX];
	struct stat st;
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	*ret_outside = false;
	if (n < 0 || stat(path, &st) < 0)
		return xstrdup("");
	target[n] = '\0';
	if (target[0] != '/')
		return xstrdup(target);
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].id == id)
			return xstrdup(target);
	*ret_outside = true;
	return xasprintf("file[%x:%llx]", (unsigned)id, (unsigned long long)st.st_ino);
}

static int dump_streams(const struct external_args *args, pid_t pid, const struct mount_table *t,
			struct strbuf *opts, struct error *err)
{
	autostrbuf struct strbuf notes = STRBUF_INIT(NOTES_MAX);
	struct json_writer w;

	json_writer_init(&w, &notes);
	jw_array(&w);
	for (int fd = 0; fd < 3; fd++) {
		bool outside;
		autofree char *name = stream_name(pid, fd, t, &outside);

		if (outside)
			criu_add_string(opts, CRIU_EXTERNAL, name);
		jw_string(&w, name);
	}
	jw_array_end(&w);
	return write_notes(args->images_fd, STREAMS_FILE, &notes, err);
}

/* -- namespaces given by path -------------------------------------------------------------- */

/* criu dumps these two as somebody else's; the others are joined when they are restored. */
static const struct {
	enum oci_namespace_type type;
	const char *name, *key;
} kept[] = {{OCI_NAMESPACE_NETWORK, "net", "extRootNetNS"},
	    {OCI_NAMESPACE_PID, "pid", "extRootPidNS"}};

static int dump_namespaces(const struct oci_spec *spec, struct strbuf *opts, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		const char *path = spec->linux_.namespaces[kept[i].type].path;
		autofree char *name = NULL;
		struct stat st;

		if (!path)
			continue;
		if (stat(path, &st) < 0)
			return error_set(err, ERROR_INVALID, errno, "namespace '%s'", path);
		name = xasprintf("%s[%llu]:%s", kept[i].name, (unsigned long long)st.st_ino,
				 kept[i].key);
		criu_add_string(opts, CRIU_EXTERNAL, name);
	}
	return 0;
}

int external_dump(const struct external_args *args, pid_t pid, struct strbuf *opts,
		  struct error *err)
{
	autoarena struct arena *a = arena_new();
	struct mount_table table = {0};
	struct plan plan;
	int r = plan_make(a, args->spec, NULL, &plan, err);

	if (r == 0)
		r = mount_table_read(pid, &table, err);
	if (r == 0)
		r = dump_mounts(args, &table, &plan, opts, err);
	if (r == 0)
		r = dump_streams(args, pid, &table, opts, err);
	if (r == 0)
		r = dump_namespaces(args->spec, opts, err);
	mount_table_done(&table);
	return r;
}

/* -- restoring ----------------------------------------------------------------------------- */

static int read_notes(struct arena *a, int dir_fd, const char *name, const struct json **ret,
		      struct error *err)
{
	autofree char *text = NULL;
	size_t len = 0;
	int r = file_read(dir_fd, name, NOTES_MAX, &text, &len, err);

	return r < 0 ? r : json_parse(a, text, len, ret, err);
}

/* Where the container's cgroup is, in the hierarchy of this name ("cpu", "unified"; on v2 alone ""). */
static char *cgroup_source(const struct external_args *args, const char *name)
{
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;

	if (state_open_cgroup(args->state, &layout, &cg, NULL) < 0)
		return NULL;
	for (size_t i = 0; i < cgroup_layout_count(layout); i++) {
		struct cgroup_hierarchy h;

		cgroup_layout_get(layout, i, &h);
		if (strcmp(name, h.name) == 0 || (name[0] == '\0' && h.is_v2))
			return xasprintf("%s%s", h.mount_point, cgroup_path(cg));
	}
	return NULL;
}

static char *mount_source(const struct external_args *args, const struct plan *plan,
			  const char *point)
{
	const struct plan_mount *bind = bind_at(plan, point);

	if (bind) {
		const char *below = point + 1 + strlen(bind->destination);

		return bind->source[0] == '/'
			       ? xasprintf("%s%s", bind->source, below)
			       : xasprintf("%s/%s%s", args->state->bundle, bind->source, below);
	}
	for (size_t i = 0; i < plan->mount_count; i++) {
		const struct plan_mount *m = &plan->mounts[i];

		if (m->kind == PLAN_MOUNT_CGROUP && is_below(point + 1, m->destination)) {
			const char *name = point + 1 + strlen(m->destination);

			return cgroup_source(args, name[0] ? name + 1 : name);
		}
	}
	/* what is left: devices, as they are on the host, and masked files */
	return str_has_prefix(point, "/dev/") ? xstrdup(point) : xstrdup(NULL_DEVICE);
}

static int restore_mounts(const struct external_args *args, const struct plan *plan,
			  struct strbuf *opts, struct error *err)
{
	autoarena struct arena *a = arena_new();
	const struct json *notes, *point;
	int r = read_notes(a, args->images_fd, MOUNTS_FILE, &notes, err);

	if (r < 0)
		return r;
	json_array_foreach(point, notes) {
		const char *at = json_string(point);
		autofree char *source = at ? mount_source(args, plan, at) : NULL;

		if (!source)
			return error_set(err, ERROR_INVALID, 0,
					 "mount of '%s': nothing to restore it from", at ? at : "");
		criu_add_pair(opts, CRIU_EXT_MNT, at, source);
	}
	return 0;
}

static bool on_tmpfs(const struct plan *plan, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (str_eq(plan->mounts[j].fstype, "tmpfs") &&
		    plan->mounts[j].kind == PLAN_MOUNT_FS &&
		    is_below(plan->mounts[i].destination, plan->mounts[j].destination))
			return true;
	return false;
}

/* As create makes them, but for those on a tmpfs, which is in the images with all that is on it. */
static int make_mount_points(const struct plan *plan, const char *bundle, int rootfs_fd,
			     struct error *err)
{
	autoclose int bundle_fd = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < plan->mount_count; i++) {
		const struct plan_mount *m = &plan->mounts[i];
		bool is_file = false;
		struct stat st;
		int fd;

		if (m->kind == PLAN_MOUNT_CGROUP || on_tmpfs(plan, i))
			continue;
		if (m->kind == PLAN_MOUNT_BIND) {
			if (fstatat(bundle_fd, m->source, &st, 0) < 0)
				return error_set(err, ERROR_INVALID, errno, "mount '%s'",
						 m->source);
			is_file = !S_ISDIR(st.st_mode);
		}
		fd = is_file ? root_create_file(rootfs_fd, m->destination, 0644, err)
			     : root_mkdir_p(rootfs_fd, m->destination, 0755, 0, err);
		if (fd < 0)
			return fd;
		fd_close(&fd);
	}
	return 0;
}

static int restore_streams(int images_fd, struct strbuf *opts, struct error *err)
{
	autoarena struct arena *a = arena_new();
	const struct json *notes;
	int r = read_notes(a, images_fd, STREAMS_FILE, &notes, err);

	for (size_t fd = 0; r == 0 && fd < 3; fd++) {
		const char *name = json_string(json_at(notes, fd));

		if (name && (strstr(name, "pipe:") || str_has_prefix(name, "file[")))
			criu_add_inherit_fd(opts, name, (int)fd);
	}
	return r;
}

int external_restore_namespaces(const struct oci_spec *spec, int first_fd, struct strbuf *opts,
				struct external_fds *ret, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		const char *path = spec->linux_.namespaces[kept[i].type].path;

		if (!path)
			continue;
		ret->v[ret->n] = open(path, O_RDONLY | O_CLOEXEC);
		if (ret->v[ret->n] < 0)
			return error_set(err, ERROR_INVALID, errno, "namespace '%s'", path);
		criu_add_inherit_fd(opts, kept[i].key, first_fd + (int)ret->n++);
	}
	for (size_t i = 0; i < OCI_NAMESPACE_COUNT; i++) {
		const char *path = spec->linux_.namespaces[i].path;

		if (!path || i == OCI_NAMESPACE_NETWORK || i == OCI_NAMESPACE_PID)
			continue;
		if (i == OCI_NAMESPACE_CGROUP)
			return error_set(
				err, ERROR_NOT_IMPLEMENTED, 0,
				"linux.namespaces: restoring into a cgroup namespace given by "
				"path is not implemented");
		criu_add_pair(opts, CRIU_JOIN_NS,
			      i == OCI_NAMESPACE_MOUNT
				      ? "mnt"
				      : oci_namespace_name((enum oci_namespace_type)i),
			      path);
	}
	return 0;
}

int external_restore(const struct external_args *args, int rootfs_fd, struct strbuf *opts,
		     struct error *err)
{
	autoarena struct arena *a = arena_new();
	struct plan plan;
	int r = plan_make(a, args->spec, NULL, &plan, err);

	if (r == 0)
		r = make_mount_points(&plan, args->state->bundle, rootfs_fd, err);
	if (r == 0)
		r = restore_mounts(args, &plan, opts, err);
	return r == 0 ? restore_streams(args->images_fd, opts, err) : r;
}

void external_fds_done(struct external_fds *fds)
{
	for (size_t i = 0; i < fds->n; i++)
		fd_close(&fds->v[i]);
	fds->n = 0;
}
