/* Mapping a container's ids onto the host's.
 *
 * The kernel lets whoever is not root map nothing but his own id, and a group only once
 * setgroups(2) is denied for good in that namespace, since dropping a group could gain access.
 * More is lent by the setuid programs newuidmap(1) and newgidmap(1), from what /etc/subuid and
 * /etc/subgid grant.  user_namespaces(7), "User and group ID mappings".
 */
#include "runtime/idmap_priv.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "base/str.h"
#include "linux/ns.h"
#include "linux/procfs.h"
#include "oci/id_mappings.h"

#define TOOL_OUTPUT_MAX ((size_t)4096)
#define TOOL_PATH       "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

struct map_kind {
	const char *file, *field, *tool, *granted_by;
};

static const struct map_kind uid_kind = {"uid_map", "linux.uidMappings", "newuidmap",
					 "/etc/subuid"};
static const struct map_kind gid_kind = {"gid_map", "linux.gidMappings", "newgidmap",
					 "/etc/subgid"};

/* -- checks -------------------------------------------------------------------------------- */

static int check_id(const struct json_objects *list, uint32_t id, const char *what,
		    struct error *err)
{
	return oci_id_is_mapped(list, id)
		       ? 0
		       : error_set(err, ERROR_INVALID, 0,
				   "%s: %" PRIu32 " is not mapped in the user namespace", what, id);
}

static bool is_own_id(const struct json_objects *list, uint32_t id)
{
	const struct oci_id_mapping *m = oci_at(list, struct oci_id_mapping, 0);

	return list->n == 1 && m->size == 1 && m->host_id == id;
}

static bool denies_setgroups(const struct oci_linux *l)
{
	return geteuid() != 0 && is_own_id(&l->gid_mappings, getegid());
}

static bool has_new_user_namespace(const struct oci_spec *spec)
{
	const struct oci_namespace *user = &spec->linux_.namespaces[OCI_NAMESPACE_USER];

	return user->present && !user->path;
}

int idmap_check_process(const struct oci_spec *spec, const struct oci_process *p, struct error *err)
{
	const struct oci_linux *l = &spec->linux_;
	int r;

	if (!has_new_user_namespace(spec) || l->uid_mappings.n == 0)
		return 0;
	if (p->user.additional_gid_count && denies_setgroups(l))
		return error_set(err, ERROR_INVALID, EPERM,
				 "process.user.additionalGids: a user namespace of one's own "
				 "group alone has no additional groups");
	r = check_id(&l->uid_mappings, p->user.uid, "process.user.uid", err);
	if (r == 0)
		r = check_id(&l->gid_mappings, p->user.gid, "process.user.gid", err);
	for (size_t i = 0; r == 0 && i < p->user.additional_gid_count; i++)
		r = check_id(&l->gid_mappings, p->user.additional_gids[i],
			     "process.user.additionalGids", err);
	return r;
}

/* "uid=5", "gid=5" of a file system in the container are ids of the container. */
static int check_mount_options(const struct oci_linux *l, const struct oci_mount *m, size_t index,
			       struct error *err)
{
	const struct {
		const char *prefix;
		const struct json_objects *list;
	} kinds[] = {{"uid=", &l->uid_mappings}, {"gid=", &l->gid_mappings}};

	/* a terminal's group is a nicety: rootfs.c does without */
	if (str_eq(m->type, "devpts"))
		return 0;
	for (size_t i = 0; i < m->options.n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
			uint32_t id;

			if (str_has_prefix(m->options.v[i], kinds[k].prefix) &&
			    str_parse_u32(m->options.v[i] + 4, &id) == 0 &&
			    !oci_id_is_mapped(kinds[k].list, id))
				return error_set(err, ERROR_INVALID, 0,
						 "mounts[%zu].options: %s is not mapped in the "
						 "user namespace",
						 index, m->options.v[i]);
		}
	return 0;
}

int idmap_check(const struct oci_spec *spec, struct error *err)
{
	const struct oci_linux *l = &spec->linux_;
	int r;

	if (!l->namespaces[OCI_NAMESPACE_USER].present)
		return geteuid() == 0
			       ? 0
			       : error_set(err, ERROR_INVALID, 0,
					   "linux.namespaces: without root privileges a user "
					   "namespace is required");
	if (!has_new_user_namespace(spec))
		return 0;
	/* What sets the container up is its root. */
	r = check_id(&l->uid_mappings, 0, uid_kind.field, err);
	if (r == 0)
		r = check_id(&l->gid_mappings, 0, gid_kind.field, err);
	if (r == 0)
		r = idmap_check_process(spec, &spec->process, err);
	for (size_t i = 0; r == 0 && i < spec->mounts.n; i++)
		r = check_mount_options(l, oci_at(&spec->mounts, struct oci_mount, i), i, err);
	return r;
}

/* -- the tools ----------------------------------------------------------------------------- */

static char *find_tool(const char *name)
{
	const char *path = getenv("PATH");

	for (const char *p = str_empty(path) ? TOOL_PATH : path; *p;) {
		size_t n = strcspn(p, ":");
		autofree char *candidate = xasprintf("%.*s/%s", (int)n, p, name);

		if (candidate[0] == '/' && access(candidate, X_OK) == 0)
			return TAKE_PTR(candidate);
		p += n + (p[n] == ':');
	}
	return NULL;
}

/* Its complaint is the reason: "newuidmap: uid range [0-1) -> [5-6) not allowed". */
static int tool_error(const struct map_kind *kind, int output_fd, struct error *err)
{
	autofree char *text = xnew0n(char, TOOL_OUTPUT_MAX + 1);
	ssize_t n = pread(output_fd, text, TOOL_OUTPUT_MAX, 0);

	text[n > 0 ? (size_t)n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return error_set(err, ERROR_FORBIDDEN, EPERM, "%s: %s (%s grants ranges)", kind->field,
			 text[0] ? text : kind->tool, kind->granted_by);
}

static int run_tool(const struct map_kind *kind, const char *tool, const char *const *argv,
		    struct error *err)
{
	autoclose int output_fd = memfd_create(kind->tool, MFD_CLOEXEC), pidfd = -EBADF;
	const struct spawn_fd fds[] = {{output_fd, 1}, {output_fd, 2}};
	const struct spawn_args args = {
		.path = tool, .exec_fd = -EBADF, .argv = argv, .fds = fds, .fd_count = 2};
	siginfo_t info = {0};
	pid_t pid;
	int r;

	if (output_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "create a memfd");
	r = spawn(&args, &pid, &pidfd, err);
	if (r < 0)
		return error_wrap(err, r, "%s", kind->field);
	while (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0 && errno == EINTR)
		;
	return info.si_code == CLD_EXITED && info.si_status == 0 ? 0
								 : tool_error(kind, output_fd, err);
}

static int write_by_tool(const struct map_kind *kind, pid_t pid, const struct json_objects *list,
			 struct error *err)
{
	autofree char *tool = find_tool(kind->tool);
	autofree char *numbers = xnew0n(char, (list->n * 3 + 1) * 12);
	autofree const char **argv = xnew0n(const char *, list->n * 3 + 3);
	char *at = numbers;
	size_t n = 0;

	if (!tool)
		return error_set(err, ERROR_UNAVAILABLE, ENOENT,
				 "%s: more than one's own id takes the program %s", kind->field,
				 kind->tool);
	argv[n++] = kind->tool;
	argv[n++] = at;
	at += snprintf(at, 12, "%d", (int)pid) + 1;
	for (size_t i = 0; i < list->n; i++) {
		const struct oci_id_mapping *m = oci_at(list, struct oci_id_mapping, i);
		const uint32_t values[] = {m->container_id, m->host_id, m->size};

		for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
			argv[n++] = at;
			at += snprintf(at, 12, "%" PRIu32, values[k]) + 1;
		}
	}
	return run_tool(kind, tool, argv, err);
}

/* -- maps ---------------------------------------------------------------------------------- */

/* The kernel's format of a list, with room for one more; malloc'd. */
static struct ns_mapping *convert(const struct json_objects *list)
{
	struct ns_mapping *map = xnew0n(struct ns_mapping, list->n + 1);

	for (size_t i = 0; i < list->n; i++) {
		const struct oci_id_mapping *m = oci_at(list, struct oci_id_mapping, i);

		map[i] = (struct ns_mapping){m->container_id, m->host_id, m->size};
	}
	return map;
}

static int write_one(int proc_fd, pid_t pid, const struct map_kind *kind,
		     const struct json_objects *list, struct error *err)
{
	autofree struct ns_mapping *map = convert(list);
	autoerror struct error why = {0};
	int r = ns_write_map(proc_fd, pid, kind->file, map, list->n, &why);

	if (r == -EPERM && geteuid() != 0)
		return write_by_tool(kind, pid, list, err);
	return r < 0 ? error_wrap(err, error_move(err, &why, r), "%s", kind->field) : 0;
}

static int deny_setgroups(int proc_fd, pid_t pid, struct error *err)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "%d/setgroups", (int)pid);
	return procfs_write(proc_fd, path, "deny", err);
}

int idmap_write(int proc_fd, pid_t pid, const struct oci_linux *l, struct error *err)
{
	int r = write_one(proc_fd, pid, &uid_kind, &l->uid_mappings, err);

	if (r == 0 && denies_setgroups(l))
		r = deny_setgroups(proc_fd, pid, err);
	return r < 0 ? r : write_one(proc_fd, pid, &gid_kind, &l->gid_mappings, err);
}

int idmap_new_user_namespace(int proc_fd, const struct oci_linux *l, bool with_root,
			     struct error *err)
{
	autofree struct ns_mapping *uids = convert(&l->uid_mappings);
	autofree struct ns_mapping *gids = convert(&l->gid_mappings);
	size_t n_uids = l->uid_mappings.n, n_gids = l->gid_mappings.n;

	if (with_root) {
		n_uids = ns_map_add_root(uids, n_uids);
		n_gids = ns_map_add_root(gids, n_gids);
	}
	return ns_new_user(proc_fd, uids, n_uids, gids, n_gids, err);
}
