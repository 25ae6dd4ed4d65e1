/* engine/seccomp_profile.c - Docker's seccomp profiles into the runtime-spec's linux.seccomp. */
#include "engine/seccomp_profile.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/mem.h"
#include "engine/seccomp_default.h"

struct arch_names {
	const char *machine; /* uname(2) */
	const char *profile; /* Go's name, in includes and excludes */
	const char *scmp;    /* in archMap */
};
static const struct arch_names arch_table[] = {
	{"x86_64", "amd64", "SCMP_ARCH_X86_64"},
	{"aarch64", "arm64", "SCMP_ARCH_AARCH64"},
	{"i686", "x86", "SCMP_ARCH_X86"},
	{"armv7l", "arm", "SCMP_ARCH_ARM"},
	{"ppc64le", "ppc64le", "SCMP_ARCH_PPC64LE"},
	{"s390x", "s390x", "SCMP_ARCH_S390X"},
	{"riscv64", "riscv64", "SCMP_ARCH_RISCV64"},
};

static const struct arch_names *arch_find(const char *machine, const char *profile)
{
	for (size_t i = 0; i < ARRAY_SIZE(arch_table); i++)
		if (machine ? str_eq(arch_table[i].machine, machine)
			    : str_eq(arch_table[i].profile, profile))
			return &arch_table[i];
	return NULL;
}

struct decided {
	const struct seccomp_context *ctx;
	const struct arch_names *arch;
	unsigned major, minor;
};

static bool has_cap(const struct seccomp_context *ctx, const char *cap)
{
	for (size_t i = 0; i < ctx->cap_count; i++)
		if (str_eq(ctx->caps[i], cap))
			return true;
	return false;
}

static bool has_arch(const struct json *arches, const struct decided *d)
{
	const struct json *v;

	json_array_foreach(v, arches)
		if (d->arch && str_eq(json_string(v), d->arch->profile))
			return true;
	return false;
}

static bool kernel_is_at_least(const char *version, const struct decided *d)
{
	unsigned major = 0, minor = 0;

	if (!version || sscanf(version, "%u.%u", &major, &minor) != 2)
		return true;
	return d->major > major || (d->major == major && d->minor >= minor);
}

static bool rule_applies(const struct json *rule, const struct decided *d)
{
	const struct json *in = json_get(rule, "includes"), *ex = json_get(rule, "excludes"), *v;
	const char *min_kernel = json_get_string(ex, "minKernel");

	json_array_foreach(v, json_get(ex, "caps"))
		if (has_cap(d->ctx, json_string(v)))
			return false;
	if (has_arch(json_get(ex, "arches"), d))
		return false;
	if (min_kernel && kernel_is_at_least(min_kernel, d))
		return false;
	json_array_foreach(v, json_get(in, "caps"))
		if (!has_cap(d->ctx, json_string(v)))
			return false;
	if (json_count(json_get(in, "arches")) > 0 && !has_arch(json_get(in, "arches"), d))
		return false;
	return kernel_is_at_least(json_get_string(in, "minKernel"), d);
}

static void write_architectures(const struct json *profile, const struct decided *d,
				struct json_writer *w)
{
	const struct json *entry, *sub;

	if (json_count(json_get(profile, "architectures")) > 0) {
		jw_kvalue(w, "architectures", json_get(profile, "architectures"));
		return;
	}
	if (!d->arch)
		return;
	json_array_foreach(entry, json_get(profile, "archMap")) {
		if (!str_eq(json_get_string(entry, "architecture"), d->arch->scmp))
			continue;
		jw_karray(w, "architectures");
		jw_string(w, d->arch->scmp);
		json_array_foreach(sub, json_get(entry, "subArchitectures"))
			jw_value(w, sub);
		jw_array_end(w);
		return;
	}
}

static void write_rule(const struct json *rule, struct json_writer *w)
{
	static const char *const copied[] = {"action", "errnoRet", "args"};

	jw_object(w);
	if (json_get(rule, "names")) {
		jw_kvalue(w, "names", json_get(rule, "names"));
	} else {
		jw_karray(w, "names");
		jw_value(w, json_get(rule, "name"));
		jw_array_end(w);
	}
	for (size_t i = 0; i < ARRAY_SIZE(copied); i++)
		if (!json_is_null(json_get(rule, copied[i])) &&
		    !(str_eq(copied[i], "args") && json_count(json_get(rule, "args")) == 0))
			jw_kvalue(w, copied[i], json_get(rule, copied[i]));
	jw_object_end(w);
}

int seccomp_profile_write(const char *text, size_t len, const struct seccomp_context *ctx,
			  struct json_writer *w, struct error *err)
{
	autoarena struct arena *a = arena_new();
	const struct json *profile, *rule;
	struct decided d = {.ctx = ctx, .major = ctx->kernel_major, .minor = ctx->kernel_minor};
	static const char *const copied[] = {"defaultAction", "defaultErrnoRet", "flags"};
	struct utsname name;
	int r;

	if (!text) {
		text = (const char *)seccomp_default;
		len = seccomp_default_len;
	}
	r = json_parse(a, text, len, &profile, err);
	if (r < 0)
		return error_wrap(err, r, "decoding seccomp profile failed");
	if (!json_get_string(profile, "defaultAction"))
		return error_set(err, ERROR_INVALID, 0,
				 "decoding seccomp profile failed: defaultAction is missing");
	(void)uname(&name);
	d.arch = arch_find(ctx->arch ? NULL : name.machine, ctx->arch);
	if (d.major == 0)
		(void)!sscanf(name.release, "%u.%u", &d.major, &d.minor);
	jw_object(w);
	for (size_t i = 0; i < ARRAY_SIZE(copied); i++)
		if (!json_is_null(json_get(profile, copied[i])))
			jw_kvalue(w, copied[i], json_get(profile, copied[i]));
	write_architectures(profile, &d, w);
	jw_karray(w, "syscalls");
	json_array_foreach(rule, json_get(profile, "syscalls"))
		if (rule_applies(rule, &d))
			write_rule(rule, w);
	jw_array_end(w);
	jw_object_end(w);
	return 0;
}
