/* update: new limits for a container that exists. */
#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "bin/runtime/bundle.h"
#include "bin/runtime/commands.h"
#include "linux/cgroup.h"
#include "linux/procfs.h"
#include "linux/resctrl.h"
#include "oci/runtime_spec.h"
#include "runtime/runtime.h"
#include "runtime/state.h"

/* -- from a file --------------------------------------------------------------------------- */

static int read_resources(struct arena *a, const char *path, struct oci_resources *ret,
			  struct error *err)
{
	bool from_stdin = strcmp(path, "-") == 0;
	autofree char *text = NULL;
	const struct json *v;
	size_t len = 0;
	int r = file_read(AT_FDCWD, from_stdin ? "/proc/self/fd/0" : path, OCI_SPEC_MAX, &text,
			  &len, err);

	if (r >= 0)
		r = json_parse(a, text, len, &v, err);
	if (r >= 0)
		r = oci_resources_parse(a, v, ret, err);
	if (r < 0)
		return error_wrap(err, r, "--resources '%s'", path);
	/* As runc: others may have let devices in since (nvidia's hooks do). */
	ret->devices = (struct json_objects){0};
	return 0;
}

/* -- from options -------------------------------------------------------------------------- */

/* Where a number goes: the resources hold pointers, for each may be absent. */
enum number_kind { NUMBER_U64, NUMBER_I64, NUMBER_BYTES };

struct number_row {
	enum option_id id;
	enum number_kind kind;
	size_t offset; /* in struct oci_resources: of a const int64_t * or const uint64_t * */
};

static const struct number_row numbers[] = {
	{OPT_CPU_PERIOD, NUMBER_U64, offsetof(struct oci_resources, cpu.period)},
	{OPT_CPU_QUOTA, NUMBER_I64, offsetof(struct oci_resources, cpu.quota)},
	{OPT_CPU_BURST, NUMBER_U64, offsetof(struct oci_resources, cpu.burst)},
	{OPT_CPU_SHARE, NUMBER_U64, offsetof(struct oci_resources, cpu.shares)},
	{OPT_CPU_RT_PERIOD, NUMBER_U64, offsetof(struct oci_resources, cpu.realtime_period)},
	{OPT_CPU_RT_RUNTIME, NUMBER_I64, offsetof(struct oci_resources, cpu.realtime_runtime)},
	{OPT_CPU_IDLE, NUMBER_I64, offsetof(struct oci_resources, cpu.idle)},
	{OPT_MEMORY, NUMBER_BYTES, offsetof(struct oci_resources, memory.limit)},
	{OPT_MEMORY_RESERVATION, NUMBER_BYTES, offsetof(struct oci_resources, memory.reservation)},
	{OPT_MEMORY_SWAP, NUMBER_BYTES, offsetof(struct oci_resources, memory.swap)},
	{OPT_PIDS_LIMIT, NUMBER_I64, offsetof(struct oci_resources, pids_limit)},
};

/* "-1", "1024", "512m", "1.5GiB": units are powers of 1024, as docker/go-units has them. */
static int parse_bytes(const char *s, int64_t *ret)
{
	static const char units[] = "bkmgtp";
	const char *digits = "0123456789", *p = s + strspn(s, digits), *unit = NULL;
	double value, scale = 1;
	char *end;

	if (strcmp(s, "-1") == 0) {
		*ret = -1;
		return 0;
	}
	if (p == s)
		return -EINVAL;
	if (*p == '.')
		p += 1 + strspn(p + 1, digits);
	value = strtod(s, &end);
	if (end != p)
		return -EINVAL;
	p += *p == ' ';
	if (*p) {
		unit = strchr(units, *p | 0x20);
		if (!unit)
			return -EINVAL;
		p++;
		p += *p == 'i' && unit != units;
		p += (*p | 0x20) == 'b' && unit != units;
	}
	if (*p)
		return -EINVAL;
	for (; unit && unit > units; unit--)
		scale *= 1024;
	if (value * scale >= (double)INT64_MAX)
		return -ERANGE;
	*ret = (int64_t)(value * scale);
	return 0;
}

static int set_number(struct arena *a, const struct options *o, const struct number_row *row,
		      struct oci_resources *ret, struct error *err)
{
	const char *value = o->value[row->id];
	int64_t *number;
	void *field = (char *)ret + row->offset;
	int r;

	if (str_empty(value))
		return 0;
	number = arena_new0(a, int64_t);
	if (row->kind == NUMBER_U64)
		r = str_parse_u64(value, (uint64_t *)number);
	else if (row->kind == NUMBER_I64)
		r = str_parse_i64(value, number);
	else
		r = parse_bytes(value, number);
	if (r < 0)
		return error_set(err, ERROR_INVALID, 0, "invalid value for %s: '%s'",
				 options_name(row->id), value);
	memcpy(field, &number, sizeof(number));
	return 0;
}

static int resources_of_options(struct arena *a, const struct options *o, struct oci_resources *ret,
				struct error *err)
{
	static const enum option_id obsolete[] = {OPT_KERNEL_MEMORY, OPT_KERNEL_MEMORY_TCP};
	static const int64_t unlimited = -1;
	unsigned weight = options_count(o, OPT_BLKIO_WEIGHT);

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		int r = set_number(a, o, &numbers[i], ret, err);

		if (r < 0)
			return r;
	}
	if (weight > UINT16_MAX)
		return error_set(err, ERROR_INVALID, 0, "invalid value for blkio-weight: '%u'",
				 weight);
	ret->block_io.weight = (uint16_t)weight;
	ret->cpu.cpus = o->value[OPT_CPUSET_CPUS];
	ret->cpu.mems = o->value[OPT_CPUSET_MEMS];
	/* v1 keeps the limit of both together above the one of memory alone. */
	if (ret->memory.limit && *ret->memory.limit == -1 && !ret->memory.swap)
		ret->memory.swap = &unlimited;
	for (size_t i = 0; i < ARRAY_SIZE(obsolete); i++)
		if (!str_empty(o->value[obsolete[i]]))
			log_warn("Setting --%s is ignored and will be removed",
				 options_name(obsolete[i]));
	return 0;
}

/* -- Intel RDT ----------------------------------------------------------------------------- */

/* The container's group: the class of service of its configuration, else its own. */
static int set_schema(int root_fd, const char *group, enum option_id option, const char *schema,
		      struct error *err)
{
	const bool l3 = option == OPT_L3_CACHE_SCHEMA;
	autofree char *file = xasprintf("%s/schemata", group);
	autofree char *line = NULL;
	int r;

	if (str_empty(schema))
		return 0;
	if (root_fd < 0 || faccessat(root_fd, l3 ? "info/L3" : "info/MB", F_OK, 0) < 0)
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 l3 ? "Intel RDT/CAT: l3 cache schema is not enabled"
				    : "Intel RDT/MBA: memory bandwidth schema is not enabled");
	line = xasprintf("%s\n", schema);
	r = file_write_value(root_fd, file, line, err);
	return r < 0 ? error_wrap(err, r, "--%s", options_name(option)) : 0;
}

static int update_rdt(const struct options *o, const struct state *s, struct error *err)
{
	static const enum option_id schemas[] = {OPT_L3_CACHE_SCHEMA, OPT_MEM_BW_SCHEMA};
	autobundle struct bundle b = BUNDLE_INIT;
	autoclose int proc_fd = -EBADF, root_fd = -EBADF;
	const struct oci_intel_rdt *rdt;
	int r;

	if (str_empty(o->value[schemas[0]]) && str_empty(o->value[schemas[1]]))
		return 0;
	r = bundle_load_saved(s, &b, err);
	if (r < 0)
		return r;
	rdt = b.spec.linux_.intel_rdt;
	proc_fd = procfs_open(err);
	if (proc_fd < 0)
		return proc_fd;
	root_fd = resctrl_open(proc_fd, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(schemas) && r == 0; i++)
		r = set_schema(root_fd, rdt && !str_empty(rdt->clos_id) ? rdt->clos_id : s->id,
			       schemas[i], o->value[schemas[i]], err);
	return r;
}

int command_update(const struct options *o, int *ret_code, struct error *err)
{
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;
	autoarena struct arena *a = arena_new();
	autostate struct state *s = NULL;
	struct oci_resources resources = {0};
	const char *file = o->value[OPT_RESOURCES];
	int r = state_load(o->value[OPT_ROOT], o->args[0], &s, err);

	(void)ret_code;
	if (r == 0)
		r = !str_empty(file) ? read_resources(a, file, &resources, err)
				     : resources_of_options(a, o, &resources, err);
	if (r == 0 && state_status(s) == STATE_STOPPED)
		r = error_set(err, ERROR_CONFLICT, 0, "container not running");
	if (r == 0)
		r = state_open_cgroup(s, &layout, &cg, err);
	if (r == 0)
		r = runtime_apply_resources(cg, &resources, err);
	return r == 0 ? update_rdt(o, s, err) : r;
}
