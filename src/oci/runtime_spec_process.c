/* The `process` object of config.json, and its table. */
#include <sched.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "linux/cpulist.h"
#include "linux/rlimits.h"
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

/* -- scheduling ---------------------------------------------------------------------------- */

static int decode_policy(struct json_decoder *d, const struct json *v, void *field,
			 struct error *err)
{
	static const struct oci_name names[] = {
		{"SCHED_OTHER", SCHED_OTHER},
		{"SCHED_FIFO", SCHED_FIFO},
		{"SCHED_RR", SCHED_RR},
		{"SCHED_BATCH", SCHED_BATCH},
		{"SCHED_ISO", 4},
		{"SCHED_IDLE", SCHED_IDLE},
		{"SCHED_DEADLINE", 6},
		{NULL, 0}, /* no libc has those two */
	};
	struct oci_scheduler *scheduler = field;

	scheduler->policy_name = json_string(v);
	return oci_decode_name(d, v, names, &scheduler->policy, err);
}

static int decode_scheduler_flags(struct json_decoder *d, const struct json *v, void *field,
				  struct error *err)
{
	static const struct oci_name names[] = {
		/* include/uapi/linux/sched.h */
		{"SCHED_FLAG_RESET_ON_FORK", 0x01},  {"SCHED_FLAG_RECLAIM", 0x02},
		{"SCHED_FLAG_DL_OVERRUN", 0x04},     {"SCHED_FLAG_KEEP_POLICY", 0x08},
		{"SCHED_FLAG_KEEP_PARAMS", 0x10},    {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
		{"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40}, {NULL, 0},
	};
	struct oci_scheduler *scheduler = field;
	uint32_t flags = 0;
	int r = oci_decode_flags(d, v, names, &flags, err);

	scheduler->flags = flags;
	return r;
}

static const struct json_field scheduler_fields[] = {
	{.name = "policy", .type = JSON_DECODE_CUSTOM, .flags = JSON_REQUIRED, .fn = decode_policy},
	FIELD(struct oci_scheduler, nice, "nice", INT),
	FIELD(struct oci_scheduler, priority, "priority", INT),
	WHOLE("flags", decode_scheduler_flags),
	FIELD(struct oci_scheduler, runtime, "runtime", U64),
	FIELD(struct oci_scheduler, deadline, "deadline", U64),
	FIELD(struct oci_scheduler, period, "period", U64),
	{0},
};

static int decode_io_class(struct json_decoder *d, const struct json *v, void *field,
			   struct error *err)
{
	static const struct oci_name names[] = {{"IOPRIO_CLASS_RT", 1},
						{"IOPRIO_CLASS_BE", 2},
						{"IOPRIO_CLASS_IDLE", 3},
						{NULL, 0}};

	return oci_decode_name(d, v, names, field, err);
}

static const struct json_field io_priority_fields[] = {
	{.name = "class",
	 .type = JSON_DECODE_CUSTOM,
	 .offset = offsetof(struct oci_io_priority, io_class),
	 .flags = JSON_REQUIRED,
	 .fn = decode_io_class},
	FIELD(struct oci_io_priority, priority, "priority", INT),
	{0},
};
static const struct json_field cpu_affinity_fields[] = {
	FIELD(struct oci_cpu_affinity, initial, "initial", STRING),
	FIELD(struct oci_cpu_affinity, final, "final", STRING),
	{0},
};

/* -- the table ----------------------------------------------------------------------------- */

/* On Windows it stands in for args; here a program would not get what it was given. */
static int refuse_command_line(struct json_decoder *d, const struct json *v, void *field,
			       struct error *err)
{
	(void)field;
	return json_string_len(v) == 0 ? 0 : json_decoder_error(d, err, "is for Windows; use args");
}

const struct json_field oci_process_fields[] = {
	FIELD(struct oci_process, terminal, "terminal", BOOL),
	FIELD(struct oci_process, no_new_privileges, "noNewPrivileges", BOOL),
	SUB(struct oci_process, console_size, "consoleSize", console_size_fields),
	SUB(struct oci_process, user, "user", user_fields),
	FIELD(struct oci_process, args, "args", STRINGS),
	FIELD(struct oci_process, env, "env", STRINGS),
	REQUIRED(struct oci_process, cwd, "cwd", STRING),
	OPTIONAL(struct oci_process, capabilities, "capabilities", capabilities_fields,
		 struct oci_capabilities),
	LIST(struct oci_process, rlimits, "rlimits", rlimit_fields, struct oci_rlimit),
	FIELD(struct oci_process, oom_score_adj, "oomScoreAdj", OPT_INT),
	FIELD(struct oci_process, apparmor_profile, "apparmorProfile", STRING),
	FIELD(struct oci_process, selinux_label, "selinuxLabel", STRING),
	OPTIONAL(struct oci_process, scheduler, "scheduler", scheduler_fields,
		 struct oci_scheduler),
	OPTIONAL(struct oci_process, io_priority, "ioPriority", io_priority_fields,
		 struct oci_io_priority),
	SUB(struct oci_process, exec_cpu_affinity, "execCPUAffinity", cpu_affinity_fields),
	WHOLE("commandLine", refuse_command_line),
	{0},
};

/* -- checks -------------------------------------------------------------------------------- */

static int check_scheduler(const struct oci_scheduler *s, struct error *err)
{
	const struct {
		const char *field;
		bool given, fits;
		const char *policies;
	} members[] = {
		{"priority", s->priority, s->policy == SCHED_FIFO || s->policy == SCHED_RR,
		 "SCHED_FIFO and SCHED_RR"},
		{"runtime", s->runtime, s->policy == 6, "SCHED_DEADLINE"},
		{"deadline", s->deadline, s->policy == 6, "SCHED_DEADLINE"},
		{"period", s->period, s->policy == 6, "SCHED_DEADLINE"},
	};

	if (s->nice < -20 || s->nice > 19)
		return oci_invalid(err, "process.scheduler.nice", "must be between -20 and 19");
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (members[i].given && !members[i].fits)
			return error_set(err, ERROR_INVALID, 0, "process.scheduler.%s: is for %s",
					 members[i].field, members[i].policies);
	return 0;
}

static int check_cpus(const char *list, const char *field, struct error *err)
{
	uint64_t cpus[CPULIST_WORDS];

	if (list && cpulist_parse(list, cpus) < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "process.execCPUAffinity.%s: '%s' is not a "
				 "list of processors",
				 field, list);
	return 0;
}

static int check_scheduling(const struct oci_process *p, struct error *err)
{
	int r = p->scheduler ? check_scheduler(p->scheduler, err) : 0;

	if (r == 0 && p->io_priority &&
	    (p->io_priority->priority < 0 || p->io_priority->priority > 7))
		r = oci_invalid(err, "process.ioPriority.priority", "must be between 0 and 7");
	if (r == 0)
		r = check_cpus(p->exec_cpu_affinity.initial, "initial", err);
	if (r == 0)
		r = check_cpus(p->exec_cpu_affinity.final, "final", err);
	return r;
}

static int check_rlimits(const struct json_objects *rlimits, struct error *err)
{
	for (size_t i = 0; i < rlimits->n; i++) {
		const struct oci_rlimit *limit = oci_at(rlimits, struct oci_rlimit, i);

		if (rlimit_parse(limit->type) < 0)
			return error_set(err, ERROR_INVALID, 0,
					 "process.rlimits[%zu].type: unknown limit '%s'", i,
					 limit->type);
		if (limit->soft > limit->hard)
			return error_set(err, ERROR_INVALID, 0,
					 "process.rlimits[%zu]: soft limit above the hard one", i);
		for (size_t j = 0; j < i; j++)
			if (str_eq(limit->type, oci_at(rlimits, struct oci_rlimit, j)->type))
				return error_set(err, ERROR_INVALID, 0,
						 "process.rlimits[%zu]: '%s' is given twice", i,
						 limit->type);
	}
	return 0;
}

int oci_process_check(const struct oci_process *p, struct error *err)
{
	int r;

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
	r = check_rlimits(&p->rlimits, err);
	return r < 0 ? r : check_scheduling(p, err);
}
