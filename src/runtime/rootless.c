/* Containers of who is not root: records in a directory of his own, cgroups only where they were
 * delegated to him. */
#include "runtime/rootless.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/cgroup.h"
#include "linux/rootless.h"
#include "oci/runtime_spec.h"
#include "runtime/rootless_priv.h"

#define NAME "vessel-runtime"

/* -- records ------------------------------------------------------------------------------- */

/* Root of the host ignores the variable, which may have come along with su(1). */
static bool honors_xdg(void)
{
	const char *user = getenv("USER");

	if (geteuid() != 0)
		return true;
	return rootless_in_user_namespace() && !str_eq(user, "root");
}

char *rootless_state_root(void)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");

	if (!str_empty(xdg) && honors_xdg())
		return xasprintf("%s/" NAME, xdg);
	if (geteuid() != 0)
		return xasprintf("/tmp/" NAME "-%u", (unsigned)geteuid());
	return xstrdup("/run/" NAME);
}

/* In /tmp anybody may have made it before us. */
static int check_owner(const char *root, struct error *err)
{
	autoclose int fd = open(root, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	autoclose int own_fd = -EBADF;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", root);
	if (st.st_uid != geteuid())
		return error_set(err, ERROR_FORBIDDEN, 0, "'%s' belongs to another user (uid %u)",
				 root, (unsigned)st.st_uid);
	own_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (own_fd < 0 || fchmod(own_fd, S_ISVTX | 0700) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "change the mode of '%s'", root);
	return 0;
}

int rootless_make_state_root(const char *root, struct error *err)
{
	int r;

	if (geteuid() == 0 && !rootless_is())
		return 0; /* state_create() makes it */
	r = file_mkdir_p(AT_FDCWD, root, 0700, err);
	return r < 0 ? r : check_owner(root, err);
}

/* -- processes ----------------------------------------------------------------------------- */

struct process {
	pid_t pid, parent;
	ino_t pid_namespace; /* 0: not ours to see */
	bool inside;
};

static bool read_process(int proc_fd, const char *name, struct process *ret)
{
	autofree char *text = NULL, *stat_file = xasprintf("%s/stat", name),
		      *ns_file = xasprintf("%s/ns/pid", name);
	struct stat st;
	uint32_t pid;
	char *p;

	if (str_parse_u32(name, &pid) < 0 ||
	    file_read(proc_fd, stat_file, 4096, &text, NULL, NULL) < 0)
		return false;
	*ret = (struct process){.pid = (pid_t)pid};
	p = strrchr(text, ')'); /* the name may hold anything */
	if (!p || sscanf(p + 1, " %*c %d", &ret->parent) != 1)
		return false;
	if (fstatat(proc_fd, ns_file, &st, 0) == 0)
		ret->pid_namespace = st.st_ino;
	return true;
}

static bool has_inside(const struct process *v, size_t n, pid_t pid)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].pid == pid)
			return v[i].inside;
	return false;
}

/* Parents come and go in any order: until nobody is added. */
static size_t mark_inside(struct process *v, size_t n, pid_t pid)
{
	ino_t own = 0, container = 0;
	size_t total = 0, before;

	for (size_t i = 0; i < n; i++) {
		if (v[i].pid == pid)
			container = v[i].pid_namespace;
		if (v[i].pid == getpid())
			own = v[i].pid_namespace;
	}
	do {
		before = total;
		total = 0;
		for (size_t i = 0; i < n; i++) {
			v[i].inside = v[i].inside || v[i].pid == pid ||
				      (container && container != own &&
				       v[i].pid_namespace == container) ||
				      has_inside(v, n, v[i].parent);
			total += v[i].inside;
		}
	} while (total != before);
	return total;
}

int rootless_pids(pid_t pid, pid_t **ret, size_t *ret_count, struct error *err)
{
	autofree struct process *v = NULL;
	size_t n = 0, cap = 0, count = 0;
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	pid_t *pids;

	if (!dir)
		return error_set(err, ERROR_INTERNAL, errno, "open /proc");
	while ((entry = readdir(dir))) {
		struct process p;

		if (!read_process(dirfd(dir), entry->d_name, &p))
			continue;
		xgrow(v, n, cap);
		v[n++] = p;
	}
	(void)closedir(dir);
	pids = xnew0n(pid_t, (pid ? mark_inside(v, n, pid) : 0) + 1);
	for (size_t i = 0; i < n; i++)
		if (v[i].inside)
			pids[count++] = v[i].pid;
	*ret = pids;
	*ret_count = count;
	return 0;
}

/* -- limits -------------------------------------------------------------------------------- */

static const char *first_memory(const struct oci_memory *m)
{
	const struct {
		const void *value;
		const char *name;
	} fields[] = {
		{m->limit, "limit"},
		{m->reservation, "reservation"},
		{m->swap, "swap"},
		{m->swappiness, "swappiness"},
		{m->disable_oom_killer, "disableOOMKiller"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i].value)
			return fields[i].name;
	return NULL;
}

static const char *first_cpu(const struct oci_cpu *c)
{
	const struct {
		const void *value;
		const char *name;
	} fields[] = {
		{c->shares, "shares"},
		{c->quota, "quota"},
		{c->period, "period"},
		{c->burst, "burst"},
		{c->realtime_runtime, "realtimeRuntime"},
		{c->realtime_period, "realtimePeriod"},
		{c->cpus, "cpus"},
		{c->mems, "mems"},
		{c->idle, "idle"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i].value)
			return fields[i].name;
	return NULL;
}

static bool has_block_io(const struct oci_block_io *io)
{
	return io->weight || io->leaf_weight || io->weight_device.n || io->read_bps.n ||
	       io->write_bps.n || io->read_iops.n || io->write_iops.n;
}

int rootless_check_limits(const struct cgroup *cg, const struct oci_resources *res,
			  struct error *err)
{
	const char *memory = first_memory(&res->memory), *cpu = first_cpu(&res->cpu);
	const struct {
		bool given;
		const char *name, *member;
	} limits[] = {
		{memory, "memory.", memory},
		{cpu, "cpu.", cpu},
		{res->pids_limit, "pids.", "limit"},
		{has_block_io(&res->block_io), "blockIO", ""},
		{res->hugepage_limits.n, "hugepageLimits", ""},
		{res->network_class_id, "network.", "classID"},
		{res->network_priorities.n, "network.", "priorities"},
		{res->rdma.n, "rdma", ""},
		{res->unified.n, "unified", ""},
	};

	if (!cgroup_is_empty(cg))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (limits[i].given)
			return error_set(err, ERROR_FORBIDDEN, EACCES,
					 "%s%s: no cgroup may be made for it", limits[i].name,
					 limits[i].member);
	return 0;
}
