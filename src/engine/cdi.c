/* Devices by the Container Device Interface. */
#include "engine/cdi.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/cdi_yaml.h"

#define SPEC_MAX ((size_t)4 << 20) /* bytes of a file */

/* ---- documents ------------------------------------------------------------------------------- */

static const struct json_field node_fields[] = {
	JSON_FIELD(struct cdi_node, "path", JSON_DECODE_STRING, path,
		   JSON_REQUIRED | JSON_NONEMPTY),
	JSON_FIELD(struct cdi_node, "hostPath", JSON_DECODE_STRING, host_path, 0),
	JSON_FIELD(struct cdi_node, "type", JSON_DECODE_STRING, type, 0),
	JSON_FIELD(struct cdi_node, "permissions", JSON_DECODE_STRING, permissions, 0),
	JSON_FIELD(struct cdi_node, "major", JSON_DECODE_OPT_I64, major, 0),
	JSON_FIELD(struct cdi_node, "minor", JSON_DECODE_OPT_I64, minor, 0),
	JSON_FIELD(struct cdi_node, "fileMode", JSON_DECODE_OPT_U32, file_mode, 0),
	JSON_FIELD(struct cdi_node, "uid", JSON_DECODE_OPT_U32, uid, 0),
	JSON_FIELD(struct cdi_node, "gid", JSON_DECODE_OPT_U32, gid, 0),
	{0},
};
static const struct json_field mount_fields[] = {
	JSON_FIELD(struct cdi_mount, "hostPath", JSON_DECODE_STRING, host_path,
		   JSON_REQUIRED | JSON_NONEMPTY),
	JSON_FIELD(struct cdi_mount, "containerPath", JSON_DECODE_STRING, container_path,
		   JSON_REQUIRED | JSON_NONEMPTY),
	JSON_FIELD(struct cdi_mount, "type", JSON_DECODE_STRING, type, 0),
	JSON_FIELD(struct cdi_mount, "options", JSON_DECODE_STRINGS, options, 0),
	{0},
};
static const struct json_field hook_fields[] = {
	JSON_FIELD(struct cdi_hook, "hookName", JSON_DECODE_STRING, hook_name,
		   JSON_REQUIRED | JSON_NONEMPTY),
	JSON_FIELD(struct cdi_hook, "path", JSON_DECODE_STRING, path,
		   JSON_REQUIRED | JSON_NONEMPTY),
	JSON_FIELD(struct cdi_hook, "args", JSON_DECODE_STRINGS, args, 0),
	JSON_FIELD(struct cdi_hook, "env", JSON_DECODE_STRINGS, env, 0),
	JSON_FIELD(struct cdi_hook, "timeout", JSON_DECODE_OPT_INT, timeout, 0),
	{0},
};

/* Accepted and ignored they would be a device that does not work. */
static int decode_unsupported(struct json_decoder *d, const struct json *v, void *field,
			      struct error *err)
{
	(void)v;
	(void)field;
	return json_decoder_error(d, err, "not supported");
}

static int decode_gids(struct json_decoder *d, const struct json *v, void *field, struct error *err)
{
	for (size_t i = 0; i < json_count(v); i++)
		if (!json_uint_fits(json_at(v, i)) || json_uint(json_at(v, i)) >= UINT32_MAX)
			return json_decoder_error(d, err, "expected group ids");
	if (json_type(v) != JSON_ARRAY)
		return json_decoder_error(d, err, "expected an array");
	*(const struct json **)field = v;
	return 0;
}

static const struct json_field edit_fields[] = {
	JSON_FIELD(struct cdi_edits, "env", JSON_DECODE_STRINGS, env, 0),
	JSON_FIELD_PTR(struct cdi_edits, "deviceNodes", JSON_DECODE_OBJECTS, nodes, node_fields,
		       struct cdi_node, 0),
	JSON_FIELD_PTR(struct cdi_edits, "mounts", JSON_DECODE_OBJECTS, mounts, mount_fields,
		       struct cdi_mount, 0),
	JSON_FIELD_PTR(struct cdi_edits, "hooks", JSON_DECODE_OBJECTS, hooks, hook_fields,
		       struct cdi_hook, 0),
	JSON_FIELD_FN(struct cdi_edits, "additionalGids", gids, decode_gids, 0),
	JSON_FIELD_FN(struct cdi_edits, "intelRdt", gids, decode_unsupported, 0),
	JSON_FIELD_FN(struct cdi_edits, "netDevices", gids, decode_unsupported, 0),
	{0},
};
static const struct json_field device_fields[] = {
	JSON_FIELD(struct cdi_device, "name", JSON_DECODE_STRING, name,
		   JSON_REQUIRED | JSON_NONEMPTY),
	JSON_FIELD_SUB(struct cdi_device, "containerEdits", JSON_DECODE_OBJECT, edits, edit_fields,
		       0),
	{0},
};
static const struct json_field spec_fields[] = {
	JSON_FIELD(struct cdi_spec, "cdiVersion", JSON_DECODE_STRING, version,
		   JSON_REQUIRED | JSON_NONEMPTY),
	JSON_FIELD(struct cdi_spec, "kind", JSON_DECODE_STRING, kind,
		   JSON_REQUIRED | JSON_NONEMPTY),
	JSON_FIELD_PTR(struct cdi_spec, "devices", JSON_DECODE_OBJECTS, devices, device_fields,
		       struct cdi_device, JSON_REQUIRED),
	JSON_FIELD_SUB(struct cdi_spec, "containerEdits", JSON_DECODE_OBJECT, edits, edit_fields,
		       0),
	{0},
};

static int bad(struct error *err, const char *what, const char *value)
{
	return error_set(err, ERROR_INVALID, 0, "%s: '%s' is not valid", what, value);
}

static int check_edits(const struct cdi_edits *e, struct error *err)
{
	static const char *const hooks[] = {"prestart",       "createRuntime", "createContainer",
					    "startContainer", "poststart",     "poststop"};
	const struct cdi_node *nodes = e->nodes.v;
	const struct cdi_mount *mounts = e->mounts.v;
	const struct cdi_hook *hook = e->hooks.v;

	for (size_t i = 0; i < e->env.n; i++)
		if (!strchr(e->env.v[i], '=') || e->env.v[i][0] == '=')
			return bad(err, "containerEdits.env", e->env.v[i]);
	for (size_t i = 0; i < e->nodes.n; i++) {
		const char *type = nodes[i].type ?: "", *access = nodes[i].permissions ?: "";

		if (nodes[i].path[0] != '/')
			return bad(err, "deviceNodes.path", nodes[i].path);
		if (nodes[i].host_path && nodes[i].host_path[0] != '/')
			return bad(err, "deviceNodes.hostPath", nodes[i].host_path);
		if (strspn(access, "rwm") != strlen(access) || strlen(access) > 3)
			return bad(err, "deviceNodes.permissions", access);
		if (*type && !str_eq(type, "c") && !str_eq(type, "u") && !str_eq(type, "b"))
			return bad(err, "deviceNodes.type", type);
	}
	for (size_t i = 0; i < e->mounts.n; i++)
		if (mounts[i].container_path[0] != '/')
			return bad(err, "mounts.containerPath", mounts[i].container_path);
	for (size_t i = 0; i < e->hooks.n; i++) {
		bool known = false;

		for (size_t k = 0; k < ARRAY_SIZE(hooks); k++)
			known = known || str_eq(hooks[k], hook[i].hook_name);
		if (!known)
			return bad(err, "hooks.hookName", hook[i].hook_name);
		if (hook[i].path[0] != '/')
			return bad(err, "hooks.path", hook[i].path);
	}
	return 0;
}

int cdi_spec_parse(struct arena *a, const struct json *doc, struct cdi_spec **ret,
		   struct error *err)
{
	struct cdi_spec *s = arena_new0n(a, struct cdi_spec, 1);
	const struct cdi_device *devices;
	const char *slash;
	int r;

	if (json_type(doc) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID, 0, "not an object");
	r = json_decode(a, doc, spec_fields, s, "", err);
	if (r < 0)
		return r;
	slash = strchr(s->kind, '/');
	if (!slash || slash == s->kind || !slash[1] || strchr(slash + 1, '/') ||
	    strchr(s->kind, '='))
		return bad(err, "kind", s->kind);
	if (!str_has_prefix(s->version, "0.") && !str_has_prefix(s->version, "1."))
		return bad(err, "cdiVersion", s->version);
	r = check_edits(&s->edits, err);
	devices = s->devices.v;
	for (size_t i = 0; r >= 0 && i < s->devices.n; i++)
		r = check_edits(&devices[i].edits, err);
	if (r >= 0)
		*ret = s;
	return r < 0 ? r : 0;
}

/* ---- directories ----------------------------------------------------------------------------- */

struct library {
	struct arena *arena;
	struct cdi_spec **v; /* owned; the most important last */
	size_t n, cap;
};

static int read_spec(struct library *l, const char *path, struct error *err)
{
	autostrbuf struct strbuf converted = STRBUF_INIT(SPEC_MAX);
	autofree char *text = NULL;
	const struct json *doc;
	struct cdi_spec *spec;
	size_t len;
	int r = file_read(AT_FDCWD, path, SPEC_MAX, &text, &len, err);

	if (r >= 0 && !str_has_suffix(path, ".json")) {
		r = cdi_yaml_to_json(text, len, &converted, err);
		free(text);
		text = strbuf_take(&converted);
		len = text ? strlen(text) : 0;
	}
	if (r >= 0)
		r = json_parse(l->arena, text, len, &doc, err);
	if (r >= 0)
		r = cdi_spec_parse(l->arena, doc, &spec, err);
	if (r < 0)
		return r;
	xgrow(l->v, l->n, l->cap);
	l->v[l->n++] = spec;
	return 0;
}

static void read_dir(struct library *l, const char *dir)
{
	struct dirent **entries = NULL;
	int n = scandir(dir, &entries, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		autofree char *path = xasprintf("%s/%s", dir, name);
		autoerror struct error err = {0};

		if (name[0] != '.' &&
		    (str_has_suffix(name, ".json") || str_has_suffix(name, ".yaml")) &&
		    read_spec(l, path, &err) < 0)
			log_warn("CDI specification '%s' is left out: %s", path, error_msg(&err));
		free(entries[i]);
	}
	free(entries);
}

static const struct cdi_device *find(const struct library *l, const char *kind, size_t kind_len,
				     const char *name, struct cdi_spec **ret_spec)
{
	for (size_t i = l->n; i-- > 0;) {
		const struct cdi_device *d = l->v[i]->devices.v;

		if (strlen(l->v[i]->kind) != kind_len || memcmp(l->v[i]->kind, kind, kind_len) != 0)
			continue;
		for (size_t k = 0; k < l->v[i]->devices.n; k++)
			if (str_eq(d[k].name, name)) {
				*ret_spec = l->v[i];
				return &d[k];
			}
	}
	return NULL;
}

static bool has_kind(const struct library *l, const char *kind)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i]->kind, kind))
			return true;
	return false;
}

/* ---- requests -------------------------------------------------------------------------------- */

static void add_edits(struct cdi_result *r, const struct cdi_edits *e)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i] == e)
			return;
	r->v[r->n++] = e;
}

/* Qualified names, "vendor.com/class=name". */
static int inject(const struct library *l, const struct strv *names, struct arena *a,
		  struct cdi_result *ret, struct error *err)
{
	autostrbuf struct strbuf missing = STRBUF_INIT(65536);

	ret->v = arena_new0n(a, const struct cdi_edits *, 2 * names->n + 1);
	for (size_t i = 0; i < names->n; i++) {
		const char *equals = strchr(names->v[i], '=');
		struct cdi_spec *spec = NULL;
		const struct cdi_device *d =
			equals ? find(l, names->v[i], (size_t)(equals - names->v[i]), equals + 1,
				      &spec)
			       : NULL;

		if (!d) {
			strbuf_addf(&missing, "%s%s", missing.len ? ", " : "", names->v[i]);
			continue;
		}
		add_edits(ret, &spec->edits);
		add_edits(ret, &d->edits);
	}
	if (missing.len)
		return error_set(err, ERROR_INVALID, 0,
				 "CDI device injection failed: unresolvable CDI devices %s",
				 missing.s);
	return 0;
}

/* [[gpu utility] [gpu]] as Docker prints it; tells whether one of the sets has "gpu". */
static bool print_capabilities(const struct json *sets, struct strbuf *out)
{
	bool gpu = false;

	strbuf_addc(out, '[');
	for (size_t i = 0; i < json_count(sets); i++) {
		const struct json *set = json_at(sets, i);

		strbuf_addf(out, "%s[", i ? " " : "");
		for (size_t k = 0; k < json_count(set); k++) {
			const char *word = json_string(json_at(set, k)) ?: "";

			strbuf_addf(out, "%s%s", k ? " " : "", word);
			gpu = gpu || str_eq(word, "gpu");
		}
		strbuf_addc(out, ']');
	}
	strbuf_addc(out, ']');
	return gpu;
}

static void name_gpus(const struct library *l, const struct config_device_request *q,
		      const char *kind, struct strv *names)
{
	struct cdi_spec *spec;

	for (size_t i = 0; i < q->device_ids.n; i++)
		strv_addf(names, "%s=%s", kind, q->device_ids.v[i]);
	if (q->device_ids.n > 0)
		return;
	for (int64_t i = 0; i < q->count && i < 1024; i++)
		strv_addf(names, "%s=%lld", kind, (long long)i);
	if (q->count >= 0)
		return;
	if (find(l, kind, strlen(kind), "all", &spec)) {
		strv_addf(names, "%s=all", kind);
		return;
	}
	for (size_t i = 0; i < l->n; i++) {
		const struct cdi_device *d = l->v[i]->devices.v;

		for (size_t k = 0; str_eq(l->v[i]->kind, kind) && k < l->v[i]->devices.n; k++)
			strv_addf(names, "%s=%s", kind, d[k].name);
	}
}

static int name_devices(const struct library *l, const struct config_device_request *q,
			struct strv *names, struct error *err)
{
	static const struct {
		const char *driver, *kind;
	} gpus[] = {
		{"nvidia", "nvidia.com/gpu"},
		{"amd", "amd.com/gpu"},
		{"intel", "intel.com/gpu"},
	};
	autostrbuf struct strbuf wanted = STRBUF_INIT(65536);
	bool gpu = print_capabilities(q->capabilities, &wanted);

	if (str_eq(q->driver, "cdi")) {
		for (size_t i = 0; i < q->device_ids.n; i++)
			strv_add(names, q->device_ids.v[i]);
		return 0;
	}
	for (size_t i = 0; gpu && i < ARRAY_SIZE(gpus); i++) {
		if ((!str_empty(q->driver) && !str_eq(q->driver, gpus[i].driver)) ||
		    !has_kind(l, gpus[i].kind))
			continue;
		name_gpus(l, q, gpus[i].kind, names);
		return 0;
	}
	return error_set(err, ERROR_INVALID, 0,
			 "could not select device driver \"%s\" with capabilities: %s",
			 q->driver ?: "", wanted.s);
}

int cdi_collect(struct arena *a, const struct json_strings *dirs, const struct host_config *h,
		struct cdi_result *ret, struct error *err)
{
	const struct config_device_request *q = h->device_requests.v;
	struct library l = {.arena = a};
	autostrv struct strv names = {0};
	int r = 0;

	*ret = (struct cdi_result){0};
	if (h->device_requests.n == 0)
		return 0;
	for (size_t i = 0; i < dirs->n; i++)
		read_dir(&l, dirs->v[i]);
	for (size_t i = 0; r >= 0 && i < h->device_requests.n; i++)
		r = name_devices(&l, &q[i], &names, err);
	r = r < 0 ? r : inject(&l, &names, a, ret, err);
	free(l.v);
	if (r < 0)
		ret->n = 0;
	return r;
}
