/* Which security modules the engine uses. */
#include "engine/security.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/apparmor.h"
#include "engine/engine_priv.h"
#include "engine/label.h"
#include "engine/seccomp_profile.h"
#include "engine/volume.h"
#include "linux/apparmor.h"
#include "linux/selinux.h"

#define SECCOMP_MAX ((size_t)1 << 20) /* bytes of a profile */

static void open_apparmor(struct engine *e)
{
	autoerror struct error err = {0};

	e->security.apparmor = apparmor_is_enabled();
	if (!e->security.apparmor)
		return;
	e->security.apparmor_default = apparmor_load_default(e->data_fd, e->data_root, &err) >= 0;
	if (!e->security.apparmor_default)
		log_warn("containers have no AppArmor profile unless they name one: %s",
			 error_msg(&err));
}

static int open_selinux(struct engine *e, struct error *err)
{
	struct label_policy *p = &e->security.labels;
	autoclose int dir = -EBADF;
	int r;

	if (!engine_settings(e)->selinux)
		return 0;
	if (!selinux_is_enabled()) {
		log_warn("selinux-enabled: the kernel does not run SELinux; containers have no "
			 "labels");
		return 0;
	}
	dir = open("/etc/selinux", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = label_policy_read(dir, p, err);
	r = r < 0 ? r : selinux_check_context(p->process, err);
	r = r < 0 ? r : selinux_check_context(p->file, err);
	if (r < 0)
		return error_wrap(err, r, "selinux-enabled");
	e->security.selinux = true;
	return 0;
}

/* --seccomp-profile: a file is read and looked at now, so that no start fails by it. */
static int open_seccomp(struct engine *e, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(SECCOMP_MAX);
	const char *path = engine_settings(e)->seccomp_profile;
	struct seccomp_context ctx = {0};
	struct json_writer w;
	size_t len;
	int r;

	if (str_empty(path) || str_eq(path, "builtin"))
		return 0;
	if (str_eq(path, "unconfined")) {
		e->security.seccomp = xstrdup(path);
		return 0;
	}
	r = file_read(AT_FDCWD, path, SECCOMP_MAX, &e->security.seccomp, &len, err);
	json_writer_init(&w, &out);
	r = r < 0 ? r : seccomp_profile_write(e->security.seccomp, len, &ctx, &w, err);
	return r >= 0 ? 0 : error_wrap(err, r, "opening seccomp profile '%s' failed", path);
}

int security_open(struct engine *e, struct error *err)
{
	int r = open_seccomp(e, err);

	open_apparmor(e);
	return r < 0 ? r : open_selinux(e, err);
}

bool engine_has_apparmor(const struct engine *e)
{
	return e->security.apparmor;
}

bool engine_has_selinux(const struct engine *e)
{
	return e->security.selinux;
}

/* ---- AppArmor -------------------------------------------------------------------------------- */

const char *security_apparmor_of(const struct engine *e, const struct container *c)
{
	const char *profile = apparmor_profile_of(&c->spec->host);

	if (!e->security.apparmor)
		return NULL;
	return e->security.apparmor_default || !str_eq(profile, APPARMOR_DEFAULT) ? profile : NULL;
}

const char *engine_apparmor_profile(const struct engine *e, const struct container *c)
{
	return c->state.started_at ? security_apparmor_of(e, c) : NULL;
}

static int ensure_profile(struct engine *e, const struct container *c, struct error *err)
{
	if (!str_eq(security_apparmor_of(e, c), APPARMOR_DEFAULT) ||
	    apparmor_has_profile(APPARMOR_DEFAULT))
		return 0;
	return apparmor_load_default(e->data_fd, e->data_root, err);
}

/* ---- SELinux --------------------------------------------------------------------------------- */

struct label_call {
	struct engine *e;
	struct container *c;
	struct config_security security;
	struct error *err;
	int r;
};

static bool is_level_taken(void *data, const char *level)
{
	const struct engine *e = data;

	for (size_t i = 0; i < e->container_count; i++)
		if (str_eq(label_level(e->containers[i]->labels.mount), level))
			return true;
	for (size_t i = 0; i < e->reserved_levels.n; i++)
		if (str_eq(e->reserved_levels.v[i], level))
			return true;
	return false;
}

/* Processes that see each other's memory have one label. */
static const struct container *find_joined(const struct label_call *call)
{
	const struct host_config *h = &call->c->spec->host;
	const char *joined = config_mode_container(h->pid_mode);
	struct container *other;

	joined = joined ? joined : config_mode_container(h->ipc_mode);
	return joined && roster_find(call->e, joined, &other, NULL) >= 0 ? other : NULL;
}

static void label_on_loop(void *data)
{
	struct label_call *call = data;
	struct engine *e = call->e;
	const struct container *joined = call->security.has_label ? NULL : find_joined(call);
	char level[LABEL_LEVEL_SIZE];
	struct labels labels;
	uint32_t random;

	if (joined) {
		labels = (struct labels){xstrdup(joined->labels.process),
					 xstrdup(joined->labels.mount)};
	} else {
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			random = 0; /* where to begin to look: anything will do */
		call->r = label_level_pick(random, is_level_taken, e, level, call->err);
		call->r = call->r < 0 ? call->r
				      : labels_make(&e->security.labels, &call->security, level,
						    &labels, call->err);
		if (call->r < 0)
			return;
	}
	labels_done(&call->c->labels);
	call->c->labels = labels;
	strv_add(&e->reserved_levels, label_level(labels.mount));
}

int security_label(struct engine *e, struct container *c, struct error *err)
{
	struct label_call call = {.e = e, .c = c, .err = err};

	if (!e->security.selinux)
		return 0;
	call.r = config_security_parse(&c->spec->host.security_opt, &call.security, err);
	if (call.r >= 0)
		engine_call(e, label_on_loop, &call);
	if (call.r >= 0 && !str_empty(c->labels.process))
		call.r = selinux_check_context(c->labels.process, err);
	return call.r < 0 ? call.r : selinux_check_context(c->labels.mount, err);
}

void security_unreserve(struct engine *e, const struct container *c)
{
	struct strv *list = &e->reserved_levels;

	for (size_t i = 0; i < list->n; i++) {
		if (!str_eq(list->v[i], label_level(c->labels.mount)))
			continue;
		free(list->v[i]);
		list->v[i] = list->v[--list->n];
		list->v[list->n] = NULL;
		return;
	}
}

const struct labels *security_labels_of(const struct engine *e, const struct container *c)
{
	return e->security.selinux && !str_empty(c->labels.mount) ? &c->labels : NULL;
}

int security_label_volumes(const struct engine *e, const struct container *c,
			   const struct volume_binds *volumes, struct error *err)
{
	const struct labels *labels = security_labels_of(e, c);
	int r = 0;

	for (size_t i = 0; r >= 0 && labels && i < volumes->n; i++)
		if (volumes->v[i].is_volume)
			r = label_relabel(volumes->v[i].source, labels->mount, true, err);
	return r;
}

static int label_binds(const struct container *c, const char *label, struct error *err)
{
	const struct json_strings *binds = &c->spec->host.binds;
	autoarena struct arena *a = arena_new();
	int r = 0;

	for (size_t i = 0; r >= 0 && i < binds->n; i++) {
		struct config_bind b;

		r = config_bind_parse(a, binds->v[i], &b, err);
		if (r >= 0 && *b.relabel && !b.is_volume)
			r = label_relabel(b.source, label, *b.relabel == 'z', err);
	}
	return r;
}

/* Of another container's files (--network container:) all containers may read. */
static int label_files(const struct container *c, const char *label, const char *dir,
		       struct error *err)
{
	static const char *const names[] = {"hosts", "hostname", "resolv.conf"};
	bool shared = !str_eq(dir, c->state_dir);
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(names); i++) {
		autofree char *path = xasprintf("%s/%s", dir, names[i]);

		r = access(path, F_OK) < 0 ? 0 : label_relabel(path, label, shared, err);
	}
	return r;
}

/* ---- both ------------------------------------------------------------------------------------ */

int security_prepare(struct engine *e, const struct container *c, const char *files_dir,
		     struct error *err)
{
	const struct labels *labels = security_labels_of(e, c);
	int r = ensure_profile(e, c, err);

	r = r < 0 || !labels ? r : label_files(c, labels->mount, files_dir, err);
	return r < 0 || !labels ? r : label_binds(c, labels->mount, err);
}

void security_warn(const struct engine *e, const struct container_spec *s, struct strv *warnings)
{
	struct config_security security;

	if (config_security_parse(&s->host.security_opt, &security, NULL) < 0)
		return;
	if (!e->security.apparmor && !str_empty(security.apparmor) &&
	    !str_eq(security.apparmor, "unconfined"))
		strv_addf(warnings,
			  "AppArmor is not enabled on this host: the profile '%s' has no effect.",
			  security.apparmor);
	for (size_t i = 0; i < CONFIG_LABEL_COUNT; i++) {
		if (!security.label[i] || e->security.selinux)
			continue;
		strv_add(warnings,
			 engine_settings(e)->selinux
				 ? "SELinux is not enabled on this host: labels have no effect."
				 : "SELinux is not used (--selinux-enabled): labels have no "
				   "effect.");
		return;
	}
}
