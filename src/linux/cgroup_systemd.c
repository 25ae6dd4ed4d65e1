/* The systemd driver of cgroups: where a unit's directory is, what is asked of vessel-systemd, and
 * when; cgroup_unit.c knows the limits as properties. */
#include "linux/cgroup_systemd.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/spawn.h"
#include "base/str.h"
#include "linux/cgroup_priv.h"
#include "linux/self.h"

#define HELPER      "vessel-systemd"
#define ANSWER_MAX  ((size_t)64 << 10)
#define REQUEST_MAX ((size_t)1 << 20)
#define UNIT_MAX    255
#define PREFIX      "vessel"
#define SCOPE       ".scope"
#define SLICE       ".slice"

/* -- talking to vessel-systemd ----------------------------------------------------------------- */

static void request_begin(struct json_writer *w, struct strbuf *out, const char *operation,
			  bool user)
{
	json_writer_init(w, out);
	jw_object(w);
	jw_kstring(w, "Operation", operation);
	jw_kbool(w, "User", user);
}

/* *ret_answer may be NULL. */
static int request_end(struct json_writer *w, struct strbuf *out, char **ret_answer,
		       struct error *err)
{
	autofree char *helper = self_helper(HELPER), *answer = NULL;
	const char *const argv[] = {helper, NULL};
	autoclose int in = -EBADF;
	struct spawn_fd fds[] = {{-EBADF, STDIN_FILENO}};
	struct spawn_args args = {
		.path = helper, .exec_fd = -EBADF, .argv = argv, .fds = fds, .fd_count = 1};
	int status = 0, r;
	char *space;

	jw_object_end(w);
	if (strbuf_error(out) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "unit properties");
	if (!helper)
		return error_set(err, ERROR_UNAVAILABLE, ENOENT,
				 "the systemd cgroup driver needs " HELPER);
	in = fd_memfd("request", out->s, out->len, err);
	if (in < 0)
		return in;
	fds[0].fd = in;
	r = spawn_run(&args, ANSWER_MAX, &answer, &status, err);
	if (r < 0)
		return r;
	answer[strcspn(answer, "\n")] = '\0';
	space = strchr(answer, ' ');
	if (status == 1 && space) { /* the kind, and the message */
		*space = '\0';
		return error_set(err, error_kind_parse(answer), 0, "%s", space + 1);
	}
	if (status != 0)
		return error_set(err, ERROR_INTERNAL, 0, HELPER " has failed: %s", answer);
	if (ret_answer)
		*ret_answer = TAKE_PTR(answer);
	return 0;
}

/* -- names and places -------------------------------------------------------------------------- */

/* systemd.unit(5): what a unit's name is made of. */
static bool is_unit_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789:-_.\\@";

	return name[0] && strlen(name) <= UNIT_MAX && name[strspn(name, allowed)] == '\0';
}

/* "a-b.slice" is in "a.slice": its directory is "/a.slice/a-b.slice"; "-.slice" is the root.  NULL if it is
 * no slice's name. */
static char *expand_slice(const char *slice)
{
	autostrbuf struct strbuf path = STRBUF_INIT(8192);
	size_t len = strlen(slice);

	if (strcmp(slice, "-" SLICE) == 0)
		return xstrdup("");
	if (!is_unit_name(slice) || !str_has_suffix(slice, SLICE) || slice[0] == '-' ||
	    strstr(slice, "--") || len <= strlen(SLICE) || slice[len - strlen(SLICE) - 1] == '-')
		return NULL;
	for (size_t i = 0; i < len - strlen(SLICE); i++)
		if (slice[i] == '-')
			strbuf_addf(&path, "/%.*s" SLICE, (int)i, slice);
	strbuf_addf(&path, "/%s", slice);
	return strbuf_take(&path);
}

/* Where the user's systemd has its own units. */
static int manager_cgroup(char **ret, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(REQUEST_MAX);
	struct json_writer w;

	request_begin(&w, &out, "where", true);
	return request_end(&w, &out, ret, err);
}

/* "slice:prefix:name" */
static int split_path(const char *text, char *parts[3], struct error *err)
{
	const char *p = text;

	for (size_t i = 0; i < 3; i++) {
		size_t n = i < 2 ? strcspn(p, ":") : strlen(p);

		if ((i < 2) != (p[n] == ':'))
			return error_set(err, ERROR_INVALID, 0,
					 "linux.cgroupsPath: '%s' is not of the form "
					 "slice:prefix:name, which the systemd cgroup driver takes",
					 text);
		parts[i] = xstrndup(p, n);
		p += n + (i < 2);
	}
	return 0;
}

static int make_place(const char *slice, const char *unit, bool user, char **ret, struct error *err)
{
	autofree char *directory = expand_slice(slice), *base = NULL;
	int r;

	if (!directory)
		return error_set(err, ERROR_INVALID, 0,
				 "linux.cgroupsPath: '%s' is not the name of a slice", slice);
	if (!is_unit_name(unit))
		return error_set(err, ERROR_INVALID, 0,
				 "linux.cgroupsPath: '%s' is not the name of a unit", unit);
	if (user) {
		r = manager_cgroup(&base, err);
		if (r < 0)
			return r;
	}
	*ret = xasprintf("%s%s%s/%s", user ? CGROUP_PLACE_SYSTEMD_USER : CGROUP_PLACE_SYSTEMD,
			 base && strcmp(base, "/") != 0 ? base : "", directory, unit);
	return 0;
}

int cgroup_systemd_place(const char *cgroups_path, const char *id, bool user, char **ret,
			 struct error *err)
{
	char *parts[3] = {NULL, NULL, NULL};
	autofree char *unit = NULL;
	struct stat st;
	int r = 0;

	/* sd_booted(3) */
	if (lstat("/run/systemd/system", &st) < 0 || !S_ISDIR(st.st_mode))
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "the systemd cgroup driver: systemd is not running on this host");
	if (!str_empty(cgroups_path))
		r = split_path(cgroups_path, parts, err);
	if (r == 0) {
		const char *name = str_empty(parts[2]) ? id : parts[2];

		/* A slice has no processes of its own. */
		if (str_has_suffix(name, SLICE))
			r = error_set(err, ERROR_INVALID, 0,
				      "linux.cgroupsPath: a container cannot be the slice '%s'",
				      name);
		unit = xasprintf("%s-%s" SCOPE, str_empty(parts[1]) ? PREFIX : parts[1], name);
	}
	if (r == 0)
		r = make_place(!str_empty(parts[0]) ? parts[0]
			       : user               ? "user" SLICE
						    : "system" SLICE,
			       unit, user, ret, err);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		free(parts[i]);
	return r;
}

bool cgroup_is_unit(const struct cgroup *cg)
{
	return cg->driver != CGROUP_DRIVER_FS;
}

/* -- a unit's life ----------------------------------------------------------------------------- */

static bool is_user(const struct cgroup *cg)
{
	return cg->driver == CGROUP_DRIVER_SYSTEMD_USER;
}

/* The slice is the directory above: "-.slice" if that is the manager's own. */
static char *slice_of(const struct cgroup *cg)
{
	const char *unit = str_basename(cg->path);
	autofree char *directory = xstrndup(cg->path, (size_t)(unit - cg->path) - 1);
	const char *name = str_basename(directory);

	return xstrdup(str_has_suffix(name, SLICE) ? name : "-" SLICE);
}

static void write_basics(struct json_writer *w, const struct cgroup *cg,
			 const struct cgroup_unit_args *args)
{
	bool v2 = cg->layout->mode == CGROUP_MODE_V2;
	autofree char *slice = slice_of(cg), *description = xasprintf("container %s", args->id);
	static const char *const yes[] = {"Delegate", "MemoryAccounting", "CPUAccounting",
					  "TasksAccounting"};

	cgroup_unit_string(w, "Description", description);
	cgroup_unit_string(w, "Slice", slice);
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		cgroup_unit_bool(w, yes[i], true);
	cgroup_unit_bool(w, v2 ? "IOAccounting" : "BlockIOAccounting", true);
	cgroup_unit_bool(w, "DefaultDependencies", false);
	/* One whose process was killed for its memory has failed, and would stay in systemd's list. */
	jw_array(w);
	jw_string(w, "CollectMode");
	jw_string(w, "s");
	jw_string(w, "inactive-or-failed");
	jw_int(w, 236);
	jw_array_end(w);
	jw_array(w);
	jw_string(w, "PIDs");
	jw_string(w, "au");
	jw_array(w);
	jw_int(w, args->pid);
	jw_array_end(w);
	jw_int(w, 0);
	jw_array_end(w);
}

int cgroup_systemd_start(struct cgroup *cg, const struct cgroup_unit_args *args, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(REQUEST_MAX);
	struct json_writer w;
	int r;

	request_begin(&w, &out, "start", is_user(cg));
	jw_kstring(&w, "Unit", str_basename(cg->path));
	jw_karray(&w, "Properties");
	write_basics(&w, cg, args);
	r = cgroup_unit_limits(&w, cg, args->resources, err);
	if (r < 0)
		return error_wrap(err, r, "linux.resources");
	for (size_t i = 0; r == 0 && i < args->property_count; i++)
		r = cgroup_unit_property(&w, &args->properties[i], err);
	if (r < 0)
		return r;
	jw_array_end(&w);
	r = request_end(&w, &out, NULL, err);
	if (r < 0)
		return r;
	cg->started = true;
	return cgroup_adopt(cg, err);
}

int cgroup_systemd_update(const struct cgroup *cg, const struct cgroup_resources *res,
			  struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(REQUEST_MAX);
	struct json_writer w;
	size_t before;
	int r;

	request_begin(&w, &out, "set", is_user(cg));
	jw_kstring(&w, "Unit", str_basename(cg->path));
	jw_karray(&w, "Properties");
	before = out.len;
	r = cgroup_unit_limits(&w, cg, res, err);
	if (r < 0 || out.len == before)
		return r;
	jw_array_end(&w);
	return request_end(&w, &out, NULL, err);
}

int cgroup_systemd_stop(const struct cgroup *cg, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(REQUEST_MAX);
	struct json_writer w;

	request_begin(&w, &out, "stop", is_user(cg));
	jw_kstring(&w, "Unit", str_basename(cg->path));
	return request_end(&w, &out, NULL, err);
}
