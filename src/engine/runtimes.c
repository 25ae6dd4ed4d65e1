/* OCI runtimes: our own, and programs named by daemon.json. */
#include "engine/runtimes.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "engine/settings.h"

#define RUNC_SHIM "io.containerd.runc.v2"

static const char *const aliases[] = {RUNTIMES_OWN, "runc", RUNC_SHIM};

/* As if it was not given.  None of the options is a fraction. */
static bool is_default(const struct json *v)
{
	return json_type(v) != JSON_DOUBLE && json_is_zero(v);
}

/* containerd's options of runc's shim: which program is all that we have of them. */
static int read_options(const char *name, const struct json *options, struct runtime_program *ret,
			struct error *err)
{
	const char *key, *path = json_get_string(options, "BinaryName");
	const struct json *v;

	json_object_foreach(key, v, options) {
		if (!str_eq(key, "BinaryName") && !str_eq(key, "TypeUrl") && !is_default(v))
			return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
					 "runtimes.%s.options.%s is not implemented", name, key);
	}
	*ret = (struct runtime_program){.path = str_empty(path) ? NULL : path};
	return 0;
}

static int read_entry(const char *name, const struct json *entry, struct runtime_program *ret,
		      struct error *err)
{
	const char *path = json_get_string(entry, "path");
	const char *type = json_get_string(entry, "runtimeType");

	if (!str_empty(path)) {
		*ret = (struct runtime_program){path, json_get(entry, "runtimeArgs")};
		return 0;
	}
	if (!type || !str_eq(type, RUNC_SHIM))
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
				 "runtimes.%s.runtimeType: '%s' is not implemented", name,
				 type ? type : "");
	return read_options(name, json_get(entry, "options"), ret, err);
}

/* json_get() takes any case for any other. */
static const struct json *find_entry(const struct settings *s, const char *name)
{
	const struct json *v;
	const char *key;

	json_object_foreach(key, v, s->runtimes) {
		if (str_eq(key, name))
			return v;
	}
	return NULL;
}

int runtimes_find(const struct settings *s, const char *name, struct runtime_program *ret,
		  struct error *err)
{
	const struct json *entry = find_entry(s, name);

	if (entry)
		return read_entry(name, entry, ret, err);
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
		if (str_eq(name, aliases[i])) {
			*ret = (struct runtime_program){0};
			return 0;
		}
	if (str_has_prefix(name, "io.containerd.") || name[0] == '/')
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
				 "HostConfig.Runtime: containerd's shim '%s' is not implemented",
				 name);
	return error_set(err, ERROR_INVALID, 0, "unknown or invalid runtime name: %s", name);
}

static int check_entry(const char *name, const struct json *entry, struct error *err)
{
	const struct json *args = json_get(entry, "runtimeArgs"), *arg;
	bool has_path = !str_empty(json_get_string(entry, "path"));

	if (str_eq(name, RUNTIMES_OWN))
		return error_set(err, ERROR_INVALID, 0, "runtime name '%s' is reserved", name);
	if (has_path && json_count(json_get(entry, "options")) > 0)
		return error_set(err, ERROR_INVALID, 0,
				 "runtime %s: options cannot be used with a path runtime", name);
	if (!has_path && json_count(args) > 0)
		return error_set(err, ERROR_INVALID, 0,
				 "runtime %s: args cannot be used with a runtimeType runtime",
				 name);
	json_array_foreach(arg, args) {
		if (!json_string(arg))
			return error_set(err, ERROR_INVALID, 0,
					 "runtime %s: runtimeArgs: expected strings", name);
	}
	return 0;
}

int runtimes_check(const struct settings *s, struct error *err)
{
	struct runtime_program program;
	autoerror struct error why = {0};
	const struct json *v;
	const char *name;
	int r = 0;

	json_object_foreach(name, v, s->runtimes) {
		r = r < 0 ? r : check_entry(name, v, err);
	}
	if (r < 0 || str_empty(s->default_runtime))
		return r;
	r = runtimes_find(s, s->default_runtime, &program, &why);
	if (r < 0 && why.kind == ERROR_INVALID)
		return error_set(err, ERROR_INVALID, 0,
				 "specified default runtime '%s' does not exist",
				 s->default_runtime);
	return r < 0 ? error_move(err, &why, r) : 0;
}
