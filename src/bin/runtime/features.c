/* features: what this runtime can do, whatever the kernel below it has (runtime-spec, "features.md"). */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "bin/runtime/commands.h"
#include "linux/caps.h"
#include "linux/mount.h"
#include "oci/runtime_spec.h"

#define FEATURES_SIZE_MAX ((size_t)256 << 10)
#define INDENT            4

static const char *const hooks[] = {"prestart",       "createRuntime", "createContainer",
				    "startContainer", "poststart",     "poststop"};
static const char *const actions[] = {
	"SCMP_ACT_ALLOW",        "SCMP_ACT_ERRNO",       "SCMP_ACT_KILL",
	"SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
	"SCMP_ACT_NOTIFY",       "SCMP_ACT_TRACE",       "SCMP_ACT_TRAP",
};
static const char *const operators[] = {
	"SCMP_CMP_EQ", "SCMP_CMP_GE",        "SCMP_CMP_GT", "SCMP_CMP_LE",
	"SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
};
static const char *const archs[] = {
	"SCMP_ARCH_AARCH64",   "SCMP_ARCH_ARM",    "SCMP_ARCH_MIPS",     "SCMP_ARCH_MIPS64",
	"SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32",
	"SCMP_ARCH_PPC",       "SCMP_ARCH_PPC64",  "SCMP_ARCH_PPC64LE",  "SCMP_ARCH_RISCV64",
	"SCMP_ARCH_S390",      "SCMP_ARCH_S390X",  "SCMP_ARCH_X32",      "SCMP_ARCH_X86",
	"SCMP_ARCH_X86_64",
};
static const char *const flags[] = {"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
				    "SECCOMP_FILTER_FLAG_TSYNC",
				    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"};
/* Annotations that should not come from somebody who may not do everything. */
static const char *const unsafe_annotations[] = {"bundle", "org.criu.config",
						 "org.systemd.property."};

static void write_list(struct json_writer *w, const char *key, const char *const *list, size_t n)
{
	jw_karray(w, key);
	for (size_t i = 0; i < n; i++)
		jw_string(w, list[i]);
	jw_array_end(w);
}
#define WRITE_LIST(w, key, list) write_list(w, key, list, ARRAY_SIZE(list))

static void write_enabled(struct json_writer *w, const char *key, bool enabled)
{
	jw_kobject(w, key);
	jw_kbool(w, "enabled", enabled);
	jw_object_end(w);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void write_mount_options(struct json_writer *w)
{
	const char *names[MOUNT_OPTIONS_MAX];
	size_t n = 0;

	while (n < ARRAY_SIZE(names) && (names[n] = mount_option_name(n)))
		n++;
	qsort(names, n, sizeof(*names), compare_names);
	write_list(w, "mountOptions", names, n);
}

static void write_names(struct json_writer *w, const char *key, const struct oci_name *names)
{
	jw_karray(w, key);
	for (; names->name; names++)
		jw_string(w, names->name);
	jw_array_end(w);
}

static void write_namespaces(struct json_writer *w)
{
	jw_karray(w, "namespaces");
	for (int i = 0; i < OCI_NAMESPACE_COUNT; i++)
		jw_string(w, oci_namespace_name((enum oci_namespace_type)i));
	jw_array_end(w);
}

static void write_capabilities(struct json_writer *w)
{
	jw_karray(w, "capabilities");
	for (int cap = 0; caps_name(cap); cap++)
		jw_string(w, caps_name(cap));
	jw_array_end(w);
}

static void write_seccomp(struct json_writer *w)
{
	jw_kobject(w, "seccomp");
	jw_kbool(w, "enabled", true);
	WRITE_LIST(w, "actions", actions);
	WRITE_LIST(w, "operators", operators);
	WRITE_LIST(w, "archs", archs);
	WRITE_LIST(w, "knownFlags", flags);
	WRITE_LIST(w, "supportedFlags", flags);
	jw_object_end(w);
}

static void write_linux(struct json_writer *w)
{
	jw_kobject(w, "linux");
	write_namespaces(w);
	write_capabilities(w);
	jw_kobject(w, "cgroup");
	jw_kbool(w, "v1", true);
	jw_kbool(w, "v2", true);
	jw_kbool(w, "systemd", true);
	jw_kbool(w, "systemdUser", true);
	jw_kbool(w, "rdma", true);
	jw_object_end(w);
	write_seccomp(w);
	write_enabled(w, "apparmor", true);
	write_enabled(w, "selinux", true);
	jw_kobject(w, "intelRdt");
	jw_kbool(w, "enabled", true);
	jw_kbool(w, "schemata", true);
	jw_kbool(w, "monitoring", true);
	jw_object_end(w);
	jw_kobject(w, "memoryPolicy");
	write_names(w, "modes", oci_memory_policy_modes);
	write_names(w, "flags", oci_memory_policy_flags);
	jw_object_end(w);
	jw_kobject(w, "mountExtensions");
	write_enabled(w, "idmap", true);
	jw_object_end(w);
	write_enabled(w, "netDevices", true);
	jw_object_end(w);
}

int command_features(const struct options *o, int *ret_code, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(FEATURES_SIZE_MAX);
	struct json_writer w;
	int r;

	(void)o;
	(void)ret_code;
	json_writer_init(&w, &out);
	w.pretty_indent = INDENT;
	jw_object(&w);
	jw_kstring(&w, "ociVersionMin", "1.0.0");
	jw_kstring(&w, "ociVersionMax", OCI_SPEC_VERSION);
	WRITE_LIST(&w, "hooks", hooks);
	write_mount_options(&w);
	write_linux(&w);
	jw_kobject(&w, "annotations");
	/* the name that callers look for */
	jw_kstring(&w, "org.opencontainers.runc.checkpoint.enabled", "true");
	jw_object_end(&w);
	WRITE_LIST(&w, "potentiallyUnsafeConfigAnnotations", unsafe_annotations);
	jw_object_end(&w);
	strbuf_addc(&out, '\n');
	r = fd_write_full(STDOUT_FILENO, out.s, out.len);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "write to standard output") : 0;
}
