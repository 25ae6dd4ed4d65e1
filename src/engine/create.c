/* engine/create.c - a container comes to be: directories first, then its row, then the table.
 *
 * containers/<id> carries a marker file until the row is committed.  A restarted daemon removes what
 * has the marker and no row (engine/restore.c), and only that.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/config_discard.h"
#include "engine/endpoint.h"
#include "engine/engine_priv.h"
#include "engine/firewall.h"
#include "engine/image_mount.h"
#include "engine/link.h"
#include "engine/logging.h"
#include "engine/names.h"
#include "engine/operation.h"
#include "engine/resolver.h"
#include "engine/rows.h"
#include "engine/runtimes.h"
#include "engine/security.h"
#include "engine/volume.h"
#include "oci/image_spec.h"

struct name_call {
	struct engine *engine;
	const char *wanted; /* or NULL */
	char name[256];
	const struct container *container; /* or NULL: renames, and before there is one */
	struct error *err;
	int r;
};

static void reserve_on_loop(void *data)
{
	struct name_call *call = data;
	unsigned retry = 0;

	if (call->wanted) {
		call->r = roster_reserve_name(call->engine, call->wanted, call->err);
		return;
	}
	do {
		char name[NAME_MAX_SIZE];

		name_make(retry, name);
		(void)str_copy(call->name, sizeof(call->name), name);
	} while (roster_reserve_name(call->engine, call->name, NULL) < 0 && ++retry < 1000);
	call->r = 0;
}

static void unreserve_on_loop(void *data)
{
	struct name_call *call = data;

	roster_unreserve_name(call->engine, call->name);
	if (call->container)
		security_unreserve(call->engine, call->container);
}

static int reserve_name(struct name_call *call)
{
	if (call->wanted) {
		int r = name_check(call->wanted, call->err);

		if (r < 0)
			return r;
		if (!str_copy(call->name, sizeof(call->name), call->wanted))
			return error_set(call->err, ERROR_INVALID, ENAMETOOLONG, "container name");
	}
	engine_call(call->engine, reserve_on_loop, call);
	return call->r;
}

struct check_call {
	struct engine *engine;
	struct container_spec *spec;
	struct error *err;
	int r;
};

/* Another container whose namespace is shared: by its id from here on, so that a new name of it changes
 * nothing (Docker does so, too). */
static void settle_joined(struct check_call *call, const char **mode)
{
	const char *ref = config_mode_container(*mode);
	struct container *other;

	if (call->r < 0 || !ref)
		return;
	/* To clients a 404 here would mean that the image is missing. */
	if (roster_find(call->engine, ref, &other, NULL) < 0)
		call->r = error_set(call->err, ERROR_INVALID, 0, "No such container: %s", ref);
	else
		*mode = arena_printf(call->spec->arena, "container:%s", other->id);
}

/* What the configuration refers to must be there. */
static void check_references_on_loop(void *data)
{
	struct check_call *call = data;
	struct host_config *h = &call->spec->host;

	endpoints_normalize(call->engine, call->spec);
	call->r = links_check(call->engine, call->spec, call->err);
	/* A network that is missing is start's error: to clients a 404 here means "no such image". */
	settle_joined(call, &h->network_mode);
	settle_joined(call, &h->pid_mode);
	settle_joined(call, &h->ipc_mode);
}

/* --platform: "os", "arch", "os/arch" or "os/arch/variant"; each part must be the image's. */
static int check_platform(const char *wanted, const char *image, const struct json *config,
			  struct error *err)
{
	static const char *const aliases[][2] = {
		{"x86_64", "amd64"}, {"x86-64", "amd64"}, {"aarch64", "arm64"}};
	const char *os = json_get_string(config, "os") ?: "linux";
	const char *arch = json_get_string(config, "architecture") ?: "";
	const char *variant = json_get_string(config, "variant") ?: "";
	bool match = true;

	for (const char *p = wanted; match && p && *p; p = strchr(p, '/')) {
		autofree char *part = NULL;

		p += *p == '/';
		part = xstrndup(p, strcspn(p, "/"));
		match = str_eq(part, os) || str_eq(part, arch) || str_eq(part, variant);
		for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
			match |= str_eq(part, aliases[i][0]) && str_eq(arch, aliases[i][1]);
	}
	if (match)
		return 0;
	return error_set(err, ERROR_NOT_FOUND, 0,
			 "image with reference %s was found but does not match the specified "
			 "platform: wanted %s, actual: %s/%s%s%s",
			 image, wanted, os, arch, *variant ? "/" : "", variant);
}

/* An image for another machine than this one, which nobody asked for by name. */
static void warn_platform(const struct json *config, struct strv *warnings)
{
	const char *os = json_get_string(config, "os") ?: "linux";
	const char *arch = json_get_string(config, "architecture");
	const char *variant = json_get_string(config, "variant") ?: "";
	const char *ours = image_native_architecture();

	if (str_empty(arch))
		return;
	if (str_eq(arch, ours) && str_eq(os, "linux"))
		return;
	strv_addf(warnings,
		  "The requested image's platform (%s/%s%s%s) does not match the detected host "
		  "platform (linux/%s) and no specific platform was requested",
		  os, arch, *variant ? "/" : "", variant, ours);
}

static int make_spec(struct engine *e, const struct engine_create_args *args, struct container *c,
		     struct engine_created *ret, struct error *err)
{
	autostore_image struct store_image image = {0};
	autoarena struct arena *a = arena_new();
	const struct json *config = NULL;
	struct check_call check = {.engine = e, .err = err};
	struct runtime_program program; /* looked up again when it starts */
	int r = container_spec_new(args->body, args->api_version, &c->spec, &ret->warnings, err);

	r = r < 0 ? r : store_image_get(e->store, c->spec->config.image, &image, err);
	r = r < 0 ? r : json_parse(a, image.config, image.config_len, &config, err);
	r = r < 0 ? r : check_platform(args->platform, c->spec->config.image, config, err);
	r = r < 0 ? r : config_discard(&c->spec->host, &ret->warnings, err);
	if (r >= 0 && str_empty(args->platform))
		warn_platform(config, &ret->warnings);
	if (r >= 0)
		container_spec_apply(c->spec, engine_settings(e));
	r = r < 0 ? r : runtimes_find(engine_settings(e), c->spec->host.runtime, &program, err);
	r = r < 0 ? r : logging_resolve(engine_settings(e), c->spec, err);
	r = r < 0 ? r : container_spec_merge_image(c->spec, json_get(config, "config"), err);
	r = r < 0 ? r : volumes_resolve(e, c->id, c->spec, err);
	if (r < 0)
		return r;
	free(c->image_id);
	c->image_id = xstrdup(image.id);
	container_fill_defaults(c);
	check.spec = c->spec;
	engine_call(e, check_references_on_loop, &check);
	if (check.r >= 0)
		check.r = remap_check(&e->remap, c->spec, err);
	if (check.r >= 0 && str_eq(c->spec->host.network_mode, "bridge"))
		firewall_warn(e, &ret->warnings);
	if (check.r >= 0)
		security_warn(e, c->spec, &ret->warnings);
	check.r = check.r < 0 ? check.r : security_label(e, c, err);
	return check.r;
}

/* --storage-opt size, else the daemon's. */
static int limit_size(struct engine *e, const struct container *c, struct error *err)
{
	uint64_t size = 0;
	int r = config_storage_size(&c->spec->host, &size, err);

	if (r >= 0 && c->spec->host.storage_opt.n == 0)
		size = settings_storage_size(engine_settings(e));
	if (r < 0 || size == 0)
		return r;
	r = store_snapshot_limit(e->store, c->id, size, err);
	return r < 0 ? error_wrap(err, r, "--storage-opt size") : r;
}

/* containers/<id> with its marker, durable before any row can name it. */
static int make_dirs(struct engine *e, struct container *c, struct error *err)
{
	autostore_snapshot struct store_snapshot snap = {0};
	autofree char *dir = xasprintf("containers/%s", c->id);
	autofree char *marker = xasprintf("%s/" CREATE_MARKER, dir);
	int r;

	if (mkdirat(e->data_fd, dir, 0710) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make directory '%s'", c->state_dir);
	r = file_write_atomic(e->data_fd, marker, "", 0, 0600, 0, err);
	r = r < 0 ? r : store_snapshot_create(e->store, c->image_id, c->id, &snap, err);
	r = r < 0 ? r : limit_size(e, c, err);
	return r < 0 ? r : image_mounts_hold(e, c, err);
}

static void remove_marker(struct engine *e, const struct container *c)
{
	autofree char *marker = xasprintf("containers/%s/" CREATE_MARKER, c->id);

	(void)unlinkat(e->data_fd, marker, 0); /* with a row it means nothing */
}

/* Everything of a create that failed. */
static void undo(struct engine *e, const struct container *c)
{
	autofree char *dir = xasprintf("containers/%s", c->id);
	autoerror struct error err = {0};

	if (store_snapshot_remove(e->store, c->id, &err) < 0 ||
	    file_remove_tree(e->data_fd, dir, &err) < 0)
		log_warn("undo create of container '%s': %s", c->id, error_msg(&err));
}

struct add_call {
	struct engine *engine;
	struct container *c;
};

static void add_on_loop(void *data)
{
	struct add_call *call = data;

	roster_unreserve_name(call->engine, call->c->name);
	security_unreserve(call->engine, call->c);
	roster_add(call->engine, call->c);
	engine_emit(call->engine, call->c, "create", NULL, 0);
}

static int create(struct engine *e, const struct engine_create_args *args, struct container *c,
		  struct engine_created *ret, struct error *err)
{
	int r = make_spec(e, args, c, ret, err);

	if (r < 0)
		return r;
	c->created_at = clock_realtime_ns();
	if (str_eq(c->spec->host.log.type, "json-file")) {
		free(c->log_path);
		c->log_path = xasprintf("%s/%s-json.log", c->state_dir, c->id);
	}
	r = make_dirs(e, c, err);
	if (r >= 0) {
		crash_point(CRASH_CREATE_DIRS);
		r = rows_insert(e->db, c, err);
	}
	if (r >= 0) {
		r = volumes_make(e, c->spec, err);
		if (r < 0 &&
		    (volumes_remove(e, c, NULL) < 0 || rows_delete(e->db, c->id, NULL) < 0))
			log_warn("undo create of container '%s'", c->id);
	}
	if (r < 0) {
		undo(e, c);
		return r;
	}
	remove_marker(e, c);
	crash_point(CRASH_CREATE_ROW);
	return 0;
}

int engine_create(struct engine *e, const struct engine_create_args *args,
		  struct engine_created *ret, struct error *err)
{
	struct name_call name = {.engine = e, .wanted = args->name, .err = err};
	struct engine_created created = {.id = ""};
	struct container *c;
	int r;

	crash_point(CRASH_CREATE_BEGIN);
	r = reserve_name(&name);
	if (r < 0)
		return r;
	engine_new_id(created.id);
	c = container_new(e, created.id);
	free(c->name);
	c->name = xstrdup(name.name);
	name.container = c;
	r = create(e, args, c, &created, err);
	if (r < 0) {
		engine_call(e, unreserve_on_loop, &name);
		container_unref(c); /* ours alone */
		strv_done(&created.warnings);
		return r;
	}
	engine_call(e, add_on_loop, &(struct add_call){e, c});
	*ret = created;
	return 0;
}

/* ---- rename ---------------------------------------------------------------------------------- */

struct rename_call {
	struct engine *engine;
	struct container *c;
	const char *name;
};

static void rename_on_loop(void *data)
{
	struct rename_call *call = data;
	char *old = call->c->name;
	autofree char *old_name = xasprintf("/%s", old);
	const struct event_attr attr = {"oldName", old_name};

	call->c->name = xstrdup(call->name);
	free(old);
	roster_unreserve_name(call->engine, call->name);
	engine_emit(call->engine, call->c, "rename", &attr, 1);
}

static void renamed(struct engine *e, struct container *c, const char *name)
{
	engine_call(e, rename_on_loop, &(struct rename_call){e, c, name});
	resolver_update_networks(e, c->endpoints, c->endpoint_count);
}

int engine_rename(struct engine *e, const char *ref, const char *name, struct error *err)
{
	struct name_call call = {.engine = e, .err = err};
	struct operation op;
	int r;

	name += name[0] == '/';
	if (!name[0])
		return error_set(err, ERROR_INVALID, 0, "Neither old nor new names may be empty");
	call.wanted = name;
	r = operation_begin(e, ref, "rename", 0, &op, err);
	if (r < 0)
		return r;
	if (str_eq(op.container->name, name))
		r = error_set(err, ERROR_INVALID, 0,
			      "Renaming a container with the same name as its current name");
	else if ((r = reserve_name(&call)) < 0)
		r = error_wrap(err, r, "Error when allocating new name");
	if (r >= 0) {
		r = rows_rename(e->db, op.container->id, name, err);
		if (r < 0)
			engine_call(e, unreserve_on_loop, &call);
		else
			renamed(e, op.container, name);
	}
	operation_end(&op);
	return r;
}
