/* engine/oci_process.c - the process object: arguments, environment, user, capabilities, limits. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "engine/oci_spec_priv.h"
#include "engine/user.h"
#include "linux/caps.h"

#define DEFAULT_PATH      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define INIT_IN_CONTAINER "/sbin/docker-init" /* where Docker's users expect it */

/* Docker's default capabilities. */
static const char *const default_caps[] = {
	"CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
	"CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
	"CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
	"CAP_KILL",    "CAP_AUDIT_WRITE",
};

static bool list_has_cap(const struct json_strings *list, int cap)
{
	for (size_t i = 0; i < list->n; i++)
		if (caps_parse(list->v[i]) == cap)
			return true;
	return false;
}

static bool list_has_all(const struct json_strings *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcasecmp(list->v[i], "ALL"))
			return true;
	return false;
}

static bool is_default_cap(int cap)
{
	for (size_t i = 0; i < ARRAY_SIZE(default_caps); i++)
		if (caps_parse(default_caps[i]) == cap)
			return true;
	return false;
}

static size_t all_caps(const char *ret[static OCI_CAPS_MAX])
{
	size_t n = 0;
	int count = caps_count();

	for (int cap = 0; cap < count && n < OCI_CAPS_MAX; cap++)
		if (caps_name(cap))
			ret[n++] = caps_name(cap);
	return n;
}

size_t oci_caps_names(const struct host_config *h, const char *ret[static OCI_CAPS_MAX])
{
	bool add_all = list_has_all(&h->cap_add), drop_all = list_has_all(&h->cap_drop);
	size_t n = 0;
	int count = caps_count();

	if (h->privileged)
		return all_caps(ret);
	for (int cap = 0; cap < count && n < OCI_CAPS_MAX; cap++) {
		bool has = add_all ? !list_has_cap(&h->cap_drop, cap)
				   : list_has_cap(&h->cap_add, cap) ||
					     (!drop_all && is_default_cap(cap) &&
					      !list_has_cap(&h->cap_drop, cap));

		if (has && caps_name(cap))
			ret[n++] = caps_name(cap);
	}
	return n;
}

static void write_caps(const struct oci_process_args *args, uint32_t uid, struct json_writer *w)
{
	static const char *const sets[] = {"bounding", "effective", "permitted"};
	const char *names[OCI_CAPS_MAX];
	size_t n = args->exec && args->exec->privileged
			   ? all_caps(names)
			   : oci_caps_names(&args->spec->container->spec->host, names);

	jw_kobject(w, "capabilities");
	/* As execve(2) leaves it: only the bounding set for a user who is not root. */
	for (size_t s = 0; s < (uid == 0 ? ARRAY_SIZE(sets) : 1); s++) {
		jw_karray(w, sets[s]);
		for (size_t i = 0; i < n; i++)
			jw_string(w, names[i]);
		jw_array_end(w);
	}
	jw_object_end(w);
}

static size_t env_key_len(const char *s)
{
	return strcspn(s, "=");
}

/* Replace a variable in place, add it at the end, or, without "=", take it out: as Docker does. */
static void env_set(struct strv *env, const char *s)
{
	size_t len = env_key_len(s), at = 0;

	while (at < env->n && (env_key_len(env->v[at]) != len || strncmp(env->v[at], s, len) != 0))
		at++;
	if (!s[len]) {
		if (at == env->n)
			return;
		free(env->v[at]);
		memmove(&env->v[at], &env->v[at + 1], (env->n - at) * sizeof(*env->v));
		env->n--;
	} else if (at < env->n) {
		free(env->v[at]);
		env->v[at] = xstrdup(s);
	} else {
		strv_add(env, s);
	}
}

static bool env_has(const struct strv *env, const char *key)
{
	for (size_t i = 0; i < env->n; i++)
		if (env_key_len(env->v[i]) == strlen(key) && str_has_prefix(env->v[i], key))
			return true;
	return false;
}

static void write_env(const struct oci_process_args *args, const char *home, struct json_writer *w)
{
	const struct container_config *c = &args->spec->container->spec->config;
	autostrv struct strv env = {0};

	strv_add(&env, DEFAULT_PATH);
	if (!str_empty(c->hostname))
		strv_addf(&env, "HOSTNAME=%s", c->hostname);
	if (args->exec ? args->exec->tty : c->tty)
		strv_add(&env, "TERM=xterm");
	for (size_t i = 0; args->spec->link_env && i < args->spec->link_env->n; i++)
		env_set(&env, args->spec->link_env->v[i]);
	for (size_t i = 0; i < c->env.n; i++)
		env_set(&env, c->env.v[i]);
	for (size_t i = 0; args->spec->cdi && i < args->spec->cdi->n; i++)
		for (size_t k = 0; k < args->spec->cdi->v[i]->env.n; k++)
			env_set(&env, args->spec->cdi->v[i]->env.v[k]);
	for (size_t i = 0; args->exec && i < args->exec->env.n; i++)
		env_set(&env, args->exec->env.v[i]);
	if (!env_has(&env, "HOME"))
		strv_addf(&env, "HOME=%s", home);
	jw_karray(w, "env");
	for (size_t i = 0; i < env.n; i++)
		jw_string(w, env.v[i]);
	jw_array_end(w);
}

static void write_strings(struct json_writer *w, const struct json_strings *list)
{
	for (size_t i = 0; i < list->n; i++)
		jw_string(w, list->v[i]);
}

static void write_args(const struct oci_process_args *args, struct json_writer *w)
{
	const struct container_spec *s = args->spec->container->spec;

	jw_karray(w, "args");
	if (args->exec) {
		write_strings(w, &args->exec->cmd);
	} else {
		if (s->host.init && *s->host.init && args->spec->init_path) {
			jw_string(w, INIT_IN_CONTAINER);
			jw_string(w, "--");
		}
		write_strings(w, &s->config.entrypoint);
		write_strings(w, &s->config.cmd);
	}
	jw_array_end(w);
}

static void write_user(const struct user *u, const struct cdi_result *cdi, struct json_writer *w)
{
	jw_kobject(w, "user");
	jw_kuint(w, "uid", u->uid);
	jw_kuint(w, "gid", u->gid);
	jw_karray(w, "additionalGids");
	jw_uint(w, u->gid); /* so that leaving the primary group gains nothing */
	for (size_t i = 0; i < u->group_count; i++)
		if (u->groups[i] != u->gid)
			jw_uint(w, u->groups[i]);
	for (size_t i = 0; cdi && i < cdi->n; i++)
		for (size_t k = 0; k < json_count(cdi->v[i]->gids); k++)
			jw_uint(w, json_uint(json_at(cdi->v[i]->gids, k)));
	jw_array_end(w);
	jw_object_end(w);
}

static void write_rlimits(const struct host_config *h, struct json_writer *w)
{
	if (h->ulimits.n == 0)
		return;
	jw_karray(w, "rlimits");
	for (size_t i = 0; i < h->ulimits.n; i++) {
		const struct config_ulimit *u = &((const struct config_ulimit *)h->ulimits.v)[i];
		char type[64] = "RLIMIT_";
		size_t n = strlen(type);

		for (const char *p = u->name; *p && n < sizeof(type) - 1; p++)
			type[n++] = (char)toupper((unsigned char)*p);
		jw_object(w);
		jw_kstring(w, "type", type);
		jw_kuint(w, "hard", u->hard < 0 ? UINT64_MAX : (uint64_t)u->hard);
		jw_kuint(w, "soft", u->soft < 0 ? UINT64_MAX : (uint64_t)u->soft);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void write_console(const struct oci_process_args *args, struct json_writer *w)
{
	const struct host_config *h = &args->spec->container->spec->host;
	unsigned rows = args->exec ? args->exec->rows : h->console_rows;
	unsigned cols = args->exec ? args->exec->cols : h->console_cols;

	if (rows == 0 || cols == 0)
		return;
	jw_kobject(w, "consoleSize");
	jw_kuint(w, "height", rows);
	jw_kuint(w, "width", cols);
	jw_object_end(w);
}

int oci_process_write(const struct oci_process_args *args, struct json_writer *w, struct error *err)
{
	const struct container_spec *s = args->spec->container->spec;
	const struct exec_config *x = args->exec;
	const char *user = x && !str_empty(x->user) ? x->user : s->config.user;
	const char *cwd = x && !str_empty(x->working_dir) ? x->working_dir : s->config.working_dir;
	struct config_security security;
	autouser struct user u = {0};
	int r = config_security_parse(&s->host.security_opt, &security, err);

	r = r < 0 ? r
		  : user_resolve(&args->spec->rootfs, user, s->host.group_add.v,
				 s->host.group_add.n, &u, err);
	if (r < 0)
		return r;
	jw_object(w);
	jw_kbool(w, "terminal", x ? x->tty : s->config.tty);
	write_console(args, w);
	write_user(&u, args->spec->cdi, w);
	write_args(args, w);
	write_env(args, u.home, w);
	jw_kstring(w, "cwd", str_empty(cwd) ? "/" : cwd);
	write_caps(args, u.uid, w);
	write_rlimits(&s->host, w);
	if (security.no_new_privileges)
		jw_kbool(w, "noNewPrivileges", true);
	jw_kint(w, "oomScoreAdj", s->host.oom_score_adj);
	if (args->spec->labels && !str_empty(args->spec->labels->process))
		jw_kstring(w, "selinuxLabel", args->spec->labels->process);
	if (args->spec->apparmor)
		jw_kstring(w, "apparmorProfile", args->spec->apparmor);
	jw_object_end(w);
	return 0;
}
