/* The spec turned into a list of things to do. */
#include "runtime/plan.h"

#include <limits.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "linux/root.h"

/* Files below /proc that may be bind-mounted: what lxcfs provides, and what is safe to replace
 * because nothing here or in the kernel trusts it. */
static const char *const proc_exceptions[] = {
	"proc/cpuinfo",
	"proc/diskstats",
	"proc/meminfo",
	"proc/stat",
	"proc/swaps",
	"proc/uptime",
	"proc/loadavg",
	"proc/slabinfo",
	"proc/sys/kernel/ns_last_pid",
	"proc/sys/crypto/fips_enabled",
};

/* A mount on /proc or below could feed forged files to whoever writes there (CVE-2019-16884,
 * CVE-2019-19921, CVE-2023-27561). */
static int check_proc(const struct plan_mount *m, struct error *err)
{
	if (m->kind == PLAN_MOUNT_REMOUNT)
		return 0; /* what is there was mounted by then */
	if (strcmp(m->destination, "proc") == 0) {
		if (m->kind == PLAN_MOUNT_FS ? str_eq(m->fstype, "proc") : m->options.bind)
			return 0; /* a bind is verified to be procfs when it is made */
		return error_set(err, ERROR_INVALID, 0, "only proc can be mounted at /proc");
	}
	if (!str_has_prefix(m->destination, "proc/"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(proc_exceptions); i++)
		if (strcmp(m->destination, proc_exceptions[i]) == 0 && m->kind == PLAN_MOUNT_BIND)
			return 0;
	return error_set(err, ERROR_INVALID, 0, "'/%s' is inside /proc", m->destination);
}

static const char *clean(struct arena *a, const char *path)
{
	char buf[PATH_MAX];

	return root_clean_path(path, buf, sizeof(buf)) < 0 ? NULL : arena_strdup(a, buf);
}

static int check_bind(const struct plan_mount *p, struct error *err)
{
	if (str_empty(p->source))
		return error_set(err, ERROR_INVALID, 0, "a bind mount needs a source");
	if (mount_options_has_fs(&p->options))
		return error_set(err, ERROR_INVALID, 0,
				 "a bind mount takes no file system options");
	return 0;
}

/* Options that only some kinds of mounts have. */
static int check_options(const struct plan_mount *p, struct error *err)
{
	if (p->options.copy_up && (p->kind != PLAN_MOUNT_FS || !str_eq(p->fstype, "tmpfs")))
		return error_set(err, ERROR_INVALID, 0, "options: tmpcopyup is for tmpfs");
	if (p->options.idmap && p->kind != PLAN_MOUNT_BIND)
		return error_set(err, ERROR_INVALID, 0,
				 "options: only bind mounts can have id mappings");
	return p->kind == PLAN_MOUNT_BIND ? check_bind(p, err) : 0;
}

static void plan_label(struct plan_mount *p, const char *label)
{
	/* their files are labelled by the policy */
	if (p->kind != PLAN_MOUNT_FS || str_eq(p->fstype, "proc") || str_eq(p->fstype, "sysfs"))
		return;
	if (str_eq(p->fstype, "mqueue"))
		p->root_label = label;
	else
		p->options.label = label;
}

static int plan_kind(const struct oci_mount *m, struct plan_mount *p, struct error *err)
{
	if (p->options.remount) {
		p->kind = PLAN_MOUNT_REMOUNT;
	} else if (p->options.bind || str_eq(m->type, "bind")) {
		p->kind = PLAN_MOUNT_BIND;
		p->options.bind = true;
	} else if (str_empty(m->type)) {
		return error_set(err, ERROR_INVALID, 0, "type: must not be empty");
	} else if (strcmp(m->type, "cgroup") == 0 || strcmp(m->type, "cgroup2") == 0) {
		p->kind = PLAN_MOUNT_CGROUP;
	} else {
		p->kind = PLAN_MOUNT_FS;
		p->no_symlinks = strcmp(m->type, "proc") == 0 || strcmp(m->type, "sysfs") == 0;
	}
	return 0;
}

static int plan_mount_make(struct arena *a, const struct oci_mount *m, struct plan_mount *ret,
			   struct error *err)
{
	struct plan_mount p = {.source = m->source, .fstype = m->type};
	int r = mount_options_parse(m->options.v, m->options.n, &p.options, err);

	if (r < 0)
		return r;
	p.destination = clean(a, m->destination);
	if (!p.destination)
		return error_set(err, ERROR_INVALID, ENAMETOOLONG, "destination");
	if (strcmp(p.destination, ".") == 0)
		return error_set(err, ERROR_INVALID, 0, "the root cannot be mounted over");
	if (m->uid_mappings.n > 0) {
		p.uid_mappings = &m->uid_mappings;
		p.gid_mappings = &m->gid_mappings;
		p.options.idmap = true;
	}
	r = plan_kind(m, &p, err);
	if (r == 0)
		r = check_options(&p, err);
	if (r == 0)
		r = check_proc(&p, err);
	if (r == 0)
		*ret = p;
	return r;
}

static const struct plan_device default_devices[] = {
	{"dev/null", 'c', 1, 3, 0666, 0, 0},    {"dev/zero", 'c', 1, 5, 0666, 0, 0},
	{"dev/full", 'c', 1, 7, 0666, 0, 0},    {"dev/random", 'c', 1, 8, 0666, 0, 0},
	{"dev/urandom", 'c', 1, 9, 0666, 0, 0}, {"dev/tty", 'c', 5, 0, 0666, 0, 0},
};

static int plan_devices(struct arena *a, const struct oci_linux *l, struct plan *plan,
			struct error *err)
{
	struct plan_device *devices =
		arena_new0n(a, struct plan_device, l->devices.n + ARRAY_SIZE(default_devices));
	size_t n = 0;

	for (size_t i = 0; i < l->devices.n; i++) {
		const struct oci_device *d = oci_at(&l->devices, struct oci_device, i);
		const char *path = clean(a, d->path);

		if (!path || strcmp(path, ".") == 0)
			return error_set(err, ERROR_INVALID, 0, "linux.devices[%zu].path", i);
		devices[n++] =
			(struct plan_device){.path = path,
					     .type = d->type,
					     .major = (unsigned)d->major,
					     .minor = (unsigned)d->minor,
					     .mode = d->file_mode ? *d->file_mode & 07777 : 0666,
					     .uid = d->uid,
					     .gid = d->gid};
	}
	for (size_t i = 0; i < ARRAY_SIZE(default_devices); i++) {
		bool given = false;

		for (size_t j = 0; j < l->devices.n; j++)
			given = given || strcmp(devices[j].path, default_devices[i].path) == 0;
		if (!given)
			devices[n++] = default_devices[i];
	}
	plan->devices = devices;
	plan->device_count = n;
	return 0;
}

static void note_mount(struct plan *plan, const struct plan_mount *m)
{
	if (strcmp(m->destination, "dev") == 0)
		plan->make_dev = m->kind != PLAN_MOUNT_BIND;
	if (strcmp(m->destination, "dev/pts") == 0)
		plan->has_devpts = true;
	if (m->kind == PLAN_MOUNT_CGROUP)
		plan->has_cgroup = true;
	if (m->kind == PLAN_MOUNT_FS && mount_options_need_stage(&m->options))
		plan->needs_stage = true;
}

int plan_make(struct arena *a, const struct oci_spec *spec, const char *init_path, struct plan *ret,
	      struct error *err)
{
	static const char *const init_options[] = {"bind", "ro"};
	struct plan plan = {
		.make_dev = true,
		.init_path = init_path,
		.label = str_empty(spec->linux_.mount_label) ? NULL : spec->linux_.mount_label};
	int r;

	plan.mounts = arena_new0n(a, struct plan_mount, spec->mounts.n + 1);
	for (size_t i = 0; i < spec->mounts.n; i++) {
		const struct oci_mount *m = oci_at(&spec->mounts, struct oci_mount, i);

		r = plan_mount_make(a, m, &plan.mounts[i], err);
		if (r < 0)
			return error_wrap(err, r, "mounts[%zu] '%s'", i, m->destination);
		if (plan.label)
			plan_label(&plan.mounts[i], plan.label);
		note_mount(&plan, &plan.mounts[i]);
	}
	plan.mount_count = spec->mounts.n;
	if (init_path) {
		struct plan_mount *m = &plan.mounts[plan.mount_count++];

		m->kind = PLAN_MOUNT_BIND;
		m->destination = &PLAN_INIT_DESTINATION[1];
		m->source = init_path;
		r = mount_options_parse(init_options, ARRAY_SIZE(init_options), &m->options, err);
		if (r < 0)
			return r;
	}
	r = plan_devices(a, &spec->linux_, &plan, err);
	if (r < 0)
		return r;
	*ret = plan;
	return 0;
}
