/* spec: a config.json to start from. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "bin/runtime/commands.h"
#include "oci/runtime_spec.h"

#define CONFIG               "config.json"
#define CONFIG_SIZE_MAX      ((size_t)64 << 10)
#define CGROUP2_SUPER_MAGIC_ 0x63677270
#define INDENT               2

/* A list of strings that ends with NULL. */
#define LIST(...)                 \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

static void write_list(struct json_writer *w, const char *key, const char *const *list)
{
	jw_karray(w, key);
	for (; *list; list++)
		jw_string(w, *list);
	jw_array_end(w);
}

static void write_process(struct json_writer *w)
{
	static const char *const sets[] = {"bounding", "effective", "permitted"};

	jw_kobject(w, "process");
	jw_kbool(w, "terminal", true);
	jw_kobject(w, "user");
	jw_kint(w, "uid", 0);
	jw_kint(w, "gid", 0);
	jw_object_end(w);
	write_list(w, "args", LIST("sh"));
	write_list(w, "env",
		   LIST("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"TERM=xterm"));
	jw_kstring(w, "cwd", "/");
	jw_kobject(w, "capabilities");
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		write_list(w, sets[i], LIST("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"));
	jw_object_end(w);
	jw_karray(w, "rlimits");
	jw_object(w);
	jw_kstring(w, "type", "RLIMIT_NOFILE");
	jw_kint(w, "hard", 1024);
	jw_kint(w, "soft", 1024);
	jw_object_end(w);
	jw_array_end(w);
	jw_kbool(w, "noNewPrivileges", true);
	jw_object_end(w);
}

struct mount_row {
	const char *destination, *type, *source;
	const char *options[7];
	enum { BOTH, ROOT, ROOTLESS } who;
};

static const struct mount_row mounts[] = {
	{"/proc", "proc", "proc", {NULL}, BOTH},
	{"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}, BOTH},
	{"/dev/pts",
	 "devpts",
	 "devpts",
	 {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"},
	 ROOT},
	/* group 5 is nobody's where a single id is mapped */
	{"/dev/pts",
	 "devpts",
	 "devpts",
	 {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"},
	 ROOTLESS},
	{"/dev/shm",
	 "tmpfs",
	 "shm",
	 {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"},
	 BOTH},
	{"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}, BOTH},
	{"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}, ROOT},
	/* sysfs belongs to the network namespace, which is the host's */
	{"/sys", "none", "/sys", {"rbind", "nosuid", "noexec", "nodev", "ro"}, ROOTLESS},
	{"/sys/fs/cgroup",
	 "cgroup",
	 "cgroup",
	 {"nosuid", "noexec", "nodev", "relatime", "ro"},
	 BOTH},
};

static void write_mounts(struct json_writer *w, bool rootless)
{
	jw_karray(w, "mounts");
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		const struct mount_row *m = &mounts[i];

		if (m->who == (rootless ? ROOT : ROOTLESS))
			continue;
		jw_object(w);
		jw_kstring(w, "destination", m->destination);
		jw_kstring(w, "type", m->type);
		jw_kstring(w, "source", m->source);
		if (m->options[0])
			write_list(w, "options", m->options);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void write_mapping(struct json_writer *w, const char *key, unsigned id)
{
	jw_karray(w, key);
	jw_object(w);
	jw_kint(w, "containerID", 0);
	jw_kuint(w, "hostID", id);
	jw_kint(w, "size", 1);
	jw_object_end(w);
	jw_array_end(w);
}

static void write_no_devices(struct json_writer *w)
{
	jw_kobject(w, "resources");
	jw_karray(w, "devices");
	jw_object(w);
	jw_kbool(w, "allow", false);
	jw_kstring(w, "access", "rwm");
	jw_object_end(w);
	jw_array_end(w);
	jw_object_end(w);
}

/* A cgroup namespace as runc's example: where cgroups are v2's. */
static bool has_cgroup_v2(void)
{
	struct statfs fs;

	return statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC_;
}

static void write_namespaces(struct json_writer *w, bool rootless)
{
	const char *const types[] = {"pid",
				     rootless ? NULL : "network",
				     "ipc",
				     "uts",
				     "mount",
				     has_cgroup_v2() ? "cgroup" : NULL,
				     rootless ? "user" : NULL};

	jw_karray(w, "namespaces");
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (!types[i])
			continue;
		jw_object(w);
		jw_kstring(w, "type", types[i]);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void write_linux(struct json_writer *w, bool rootless)
{
	jw_kobject(w, "linux");
	if (rootless) {
		write_mapping(w, "uidMappings", geteuid());
		write_mapping(w, "gidMappings", getegid());
	} else {
		write_no_devices(w);
	}
	write_namespaces(w, rootless);
	write_list(w, "maskedPaths",
		   LIST("/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
			"/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
			"/proc/sched_debug", "/sys/firmware", "/proc/scsi"));
	write_list(w, "readonlyPaths",
		   LIST("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"));
	jw_object_end(w);
}

static void write_spec(struct strbuf *out, bool rootless)
{
	struct json_writer w;

	json_writer_init(&w, out);
	w.pretty_indent = INDENT;
	jw_object(&w);
	jw_kstring(&w, "ociVersion", OCI_SPEC_VERSION);
	write_process(&w);
	jw_kobject(&w, "root");
	jw_kstring(&w, "path", "rootfs");
	jw_kbool(&w, "readonly", true);
	jw_object_end(&w);
	jw_kstring(&w, "hostname", "vessel");
	write_mounts(&w, rootless);
	write_linux(&w, rootless);
	jw_object_end(&w);
	strbuf_addc(out, '\n');
}

int command_spec(const struct options *o, int *ret_code, struct error *err)
{
	const char *path = o->value[OPT_BUNDLE] ? o->value[OPT_BUNDLE] : ".";
	autostrbuf struct strbuf out = STRBUF_INIT(CONFIG_SIZE_MAX);
	autoclose int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -EBADF;
	int r;

	(void)ret_code;
	if (dir < 0)
		return error_set(err, ERROR_INVALID, errno, "bundle '%s'", path);
	fd = openat(dir, CONFIG, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 && errno == EEXIST)
		return error_set(err, ERROR_CONFLICT, 0, "File " CONFIG " exists. Remove it first");
	if (fd < 0)
		return error_set(err, ERROR_INVALID, errno, "create '" CONFIG "'");
	write_spec(&out, options_has(o, OPT_ROOTLESS_SPEC));
	r = fd_write_full(fd, out.s, out.len);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "write '" CONFIG "'") : 0;
}
