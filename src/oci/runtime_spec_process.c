/* The `process` object of config.json, and its table. */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/runtime_spec_priv.h"

static int decode_gids(struct json_decoder *d, const struct json *v, void *field, struct error *err)
{
	struct oci_user *user = field;
	size_t n = json_count(v);
	uint32_t *gids;

	if (json_type(v) != JSON_ARRAY)
		return json_decoder_error(d, err, "expected an array");
	gids = arena_new0n(json_decoder_arena(d), uint32_t, n ? n : 1);
	for (size_t i = 0; i < n; i++) {
		const struct json *gid = json_at(v, i);

		if (!json_uint_fits(gid) || json_uint(gid) > UINT32_MAX)
			return json_decoder_error(d, err, "element %zu: expected a group id", i);
		gids[i] = (uint32_t)json_uint(gid);
	}
	user->additional_gids = gids;
	user->additional_gid_count = n;
	return 0;
}

static const struct json_field console_size_fields[] = {
	FIELD(struct oci_console_size, height, "height", U16),
	FIELD(struct oci_console_size, width, "width", U16),
	{0}};
static const struct json_field user_fields[] = {
	FIELD(struct oci_user, uid, "uid", U32),
	FIELD(struct oci_user, gid, "gid", U32),
	FIELD(struct oci_user, umask, "umask", OPT_U32),
	WHOLE("additionalGids", decode_gids),
	{0},
};
static const struct json_field capabilities_fields[] = {
	FIELD(struct oci_capabilities, bounding, "bounding", STRINGS),
	FIELD(struct oci_capabilities, effective, "effective", STRINGS),
	FIELD(struct oci_capabilities, permitted, "permitted", STRINGS),
	FIELD(struct oci_capabilities, inheritable, "inheritable", STRINGS),
	FIELD(struct oci_capabilities, ambient, "ambient", STRINGS),
	{0},
};
static const struct json_field rlimit_fields[] = {REQUIRED(struct oci_rlimit, type, "type", STRING),
						  REQUIRED(struct oci_rlimit, hard, "hard", U64),
						  REQUIRED(struct oci_rlimit, soft, "soft", U64),
						  {0}};
const struct json_field oci_process_fields[] = {
	FIELD(struct oci_process_doc, p.terminal, "terminal", BOOL),
	FIELD(struct oci_process_doc, p.no_new_privileges, "noNewPrivileges", BOOL),
	SUB(struct oci_process_doc, p.console_size, "consoleSize", console_size_fields),
	SUB(struct oci_process_doc, p.user, "user", user_fields),
	FIELD(struct oci_process_doc, p.args, "args", STRINGS),
	FIELD(struct oci_process_doc, p.env, "env", STRINGS),
	REQUIRED(struct oci_process_doc, p.cwd, "cwd", STRING),
	OPTIONAL(struct oci_process_doc, p.capabilities, "capabilities", capabilities_fields,
		 struct oci_capabilities),
	LIST(struct oci_process_doc, p.rlimits, "rlimits", rlimit_fields, struct oci_rlimit),
	FIELD(struct oci_process_doc, p.oom_score_adj, "oomScoreAdj", OPT_INT),
	FIELD(struct oci_process_doc, p.apparmor_profile, "apparmorProfile", STRING),
	FIELD(struct oci_process_doc, p.selinux_label, "selinuxLabel", STRING),
	FIELD(struct oci_process_doc, scheduler, "scheduler", VALUE),
	FIELD(struct oci_process_doc, io_priority, "ioPriority", VALUE),
	FIELD(struct oci_process_doc, exec_cpu_affinity, "execCPUAffinity", VALUE),
	{0},
};

/* -- checks -------------------------------------------------------------------------------- */

int oci_process_check(const struct oci_process_doc *doc, struct error *err)
{
	const struct oci_unsupported unsupported[] = {
		{"process.scheduler", doc->scheduler},
		{"process.ioPriority", doc->io_priority},
		{"process.execCPUAffinity", doc->exec_cpu_affinity},
	};
	const struct oci_process *p = &doc->p;
	int r = oci_check_unsupported(unsupported, ARRAY_SIZE(unsupported), err);

	if (r < 0)
		return r;
	if (p->args.n == 0)
		return oci_invalid(err, "process.args", "must not be empty");
	if (p->cwd[0] != '/')
		return oci_invalid(err, "process.cwd", "must be an absolute path");
	if (p->user.umask && *p->user.umask > 0777)
		return oci_invalid(err, "process.user.umask", "must be at most 0777");
	if (p->oom_score_adj && (*p->oom_score_adj < -1000 || *p->oom_score_adj > 1000))
		return oci_invalid(err, "process.oomScoreAdj", "must be between -1000 and 1000");
	for (size_t i = 0; i < p->env.n; i++)
		if (!strchr(p->env.v[i], '=') || p->env.v[i][0] == '=')
			return error_set(err, ERROR_INVALID, 0,
					 "process.env[%zu]: '%s' is not NAME=value", i,
					 p->env.v[i]);
	for (size_t i = 0; i < p->rlimits.n; i++) {
		const struct oci_rlimit *limit = oci_at(&p->rlimits, struct oci_rlimit, i);

		if (limit->soft > limit->hard)
			return error_set(err, ERROR_INVALID, 0,
					 "process.rlimits[%zu]: soft limit above the hard one", i);
		for (size_t j = 0; j < i; j++)
			if (str_eq(limit->type, oci_at(&p->rlimits, struct oci_rlimit, j)->type))
				return error_set(err, ERROR_INVALID, 0,
						 "process.rlimits[%zu]: '%s' is given twice", i,
						 limit->type);
	}
	return 0;
}
