/* Limits as properties of a systemd unit (systemd.resource-control(5)).
 *
 * systemd writes the files of its units again when it reloads, or when a property is changed; so it must
 * know what the container was given.  What it has no property for is only in the files, and those
 * it does not touch.
 */
#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "linux/cgroup_priv.h"
#include "linux/cgroup_systemd.h"
#include "linux/gvariant.h"

/* Versions of systemd that introduced a property; older ones are not given it. */
#define SINCE_QUOTA_PERIOD 242
#define SINCE_CPUSET       244
#define SINCE_IDLE         252

static void begin(struct json_writer *w, const char *name, const char *type)
{
	jw_array(w);
	jw_string(w, name);
	jw_string(w, type);
}

static void end(struct json_writer *w, unsigned since)
{
	jw_uint(w, since);
	jw_array_end(w);
}

void cgroup_unit_string(struct json_writer *w, const char *name, const char *value)
{
	begin(w, name, "s");
	jw_string(w, value);
	end(w, 0);
}

void cgroup_unit_bool(struct json_writer *w, const char *name, bool value)
{
	begin(w, name, "b");
	jw_bool(w, value);
	end(w, 0);
}

static void put_u64(struct json_writer *w, const char *name, uint64_t value, unsigned since)
{
	begin(w, name, "t");
	jw_uint(w, value);
	end(w, since);
}

/* Unlimited is the largest number. */
static void put_limit(struct json_writer *w, const char *name, const int64_t *value)
{
	if (value && *value)
		put_u64(w, name, *value < 0 ? UINT64_MAX : (uint64_t)*value, 0);
}

/* -- cpu --------------------------------------------------------------------------------------- */

/* systemd counts in whole percents: rounded up, so that the exact quota fits below. */
static void put_quota(struct json_writer *w, const int64_t *quota, const uint64_t *period)
{
	uint64_t us = period && *period ? *period : 100000;

	if (period && *period)
		put_u64(w, "CPUQuotaPeriodUSec", *period, SINCE_QUOTA_PERIOD);
	if (quota && *quota > 0) {
		uint64_t per_second = (uint64_t)*quota * 1000000 / us;

		put_u64(w, "CPUQuotaPerSecUSec", (per_second + 9999) / 10000 * 10000, 0);
	} else if (quota && *quota < 0) {
		put_u64(w, "CPUQuotaPerSecUSec", UINT64_MAX, 0);
	}
}

/* "0-3,7" as a mask of bytes, lowest first. */
static int put_set(struct json_writer *w, const char *name, const char *field, const char *list,
		   struct error *err)
{
	autofree uint16_t *numbers = NULL;
	uint8_t mask[UINT16_MAX / 8 + 1] = {0};
	size_t n = 0, bytes = 0;

	if (str_empty(list))
		return 0;
	cgroup_parse_list(list, &numbers, &n);
	if (n == 0)
		return error_set(err, ERROR_INVALID, 0, "%s: '%s' is no list of numbers", field,
				 list);
	for (size_t i = 0; i < n; i++) {
		mask[numbers[i] / 8] |= (uint8_t)(1 << numbers[i] % 8);
		bytes = numbers[i] / 8 + 1U > bytes ? numbers[i] / 8 + 1U : bytes;
	}
	begin(w, name, "ay");
	jw_array(w);
	for (size_t i = 0; i < bytes; i++)
		jw_uint(w, mask[i]);
	jw_array_end(w);
	end(w, SINCE_CPUSET);
	return 0;
}

/* -- devices ----------------------------------------------------------------------------------- */

/* The name that a driver has in /proc/devices: "  5 /dev/tty" below "Character devices:". */
static bool driver_name(char type, int64_t major, char *ret, size_t size)
{
	autofree char *text = cgroup_read_text(AT_FDCWD, "/proc/devices");
	const char *section =
		text ? strstr(text, type == 'b' ? "Block devices:" : "Character devices:") : NULL;
	char *save = NULL;

	if (!section)
		return false;
	for (char *line = strtok_r(text + (section - text), "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		long long number;
		int at = 0;

		if (line != section && strstr(line, "devices:"))
			break;
		if (sscanf(line, "%lld %n", &number, &at) == 1 && at > 0 && number == major)
			return str_copy(ret, size, line + at);
	}
	return false;
}

/* Nodes by number, all of a driver, or all; false for what systemd cannot say. */
static bool device_name(const struct cgroup_device_rule *r, char *ret, size_t size)
{
	const char *kind = r->type == 'b' ? "block" : "char";
	char driver[64];

	if (r->major >= 0 && r->minor >= 0)
		(void)snprintf(ret, size, "/dev/%s/%" PRId64 ":%" PRId64, kind, r->major, r->minor);
	else if (r->major < 0 && r->minor < 0)
		(void)snprintf(ret, size, "%s-*", kind);
	else if (r->minor < 0 && driver_name(r->type, r->major, driver, sizeof(driver)))
		(void)snprintf(ret, size, "%s-%s", kind, driver);
	else
		return false;
	return true;
}

static void put_device(struct json_writer *w, const char *name, const struct cgroup_device_rule *r)
{
	char access[4] = "";

	(void)snprintf(access, sizeof(access), "%s%s%s", r->read ? "r" : "", r->write ? "w" : "",
		       r->mknod ? "m" : "");
	jw_array(w);
	jw_string(w, name);
	jw_string(w, access);
	jw_array_end(w);
}

/* A list of what is allowed is all that systemd knows.  Ours is exact, so systemd's may allow more: what
 * is denied after it was allowed.  On v2, where both are asked, its list is left out when it would
 * have to allow less; on v1, where it would write over ours, it stays. */
static void put_devices(struct json_writer *w, const struct cgroup *cg,
			const struct cgroup_resources *res)
{
	bool v2 = cgroup_v1_dir(cg, "devices") < 0 && cg->layout->mode == CGROUP_MODE_V2;
	size_t first = 0;
	bool strict = true;
	char name[96];

	if (res->device_count == 0)
		return;
	for (size_t i = 0; i < res->device_count; i++)
		if (res->devices[i].type == 'a') {
			first = i + 1;
			strict = !res->devices[i].allow;
		}
	for (size_t i = first; v2 && strict && i < res->device_count; i++)
		strict =
			!res->devices[i].allow || device_name(&res->devices[i], name, sizeof(name));
	cgroup_unit_string(w, "DevicePolicy", strict ? "strict" : "auto");
	begin(w, "DeviceAllow", "a(ss)"); /* empty: forget what was there */
	jw_array(w);
	jw_array_end(w);
	end(w, 0);
	if (!strict)
		return;
	begin(w, "DeviceAllow", "a(ss)");
	jw_array(w);
	for (size_t i = first; i < res->device_count; i++) {
		const struct cgroup_device_rule *r = &res->devices[i];

		if (r->allow && (r->read || r->write || r->mknod) &&
		    device_name(r, name, sizeof(name)))
			put_device(w, name, r);
	}
	jw_array_end(w);
	end(w, 0);
}

/* -- block devices ----------------------------------------------------------------------------- */

static void put_rates(struct json_writer *w, const struct cgroup_resources *res, bool v2)
{
	static const struct {
		char kind;
		const char *v1, *v2; /* NULL: has none */
	} kinds[] = {{'r', "BlockIOReadBandwidth", "IOReadBandwidthMax"},
		     {'w', "BlockIOWriteBandwidth", "IOWriteBandwidthMax"},
		     {'R', NULL, "IOReadIOPSMax"},
		     {'W', NULL, "IOWriteIOPSMax"}};

	for (size_t i = 0; i < res->io_rate_count; i++) {
		const struct cgroup_device_rate *rate = &res->io_rates[i];

		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
			const char *name = v2 ? kinds[k].v2 : kinds[k].v1;

			if (kinds[k].kind != rate->kind || !name)
				continue;
			begin(w, name, "a(st)");
			jw_array(w);
			jw_array(w);
			jw_stringf(w, "/dev/block/%" PRIu32 ":%" PRIu32, rate->major, rate->minor);
			jw_uint(w, rate->value ? rate->value : UINT64_MAX);
			jw_array_end(w);
			jw_array_end(w);
			end(w, 0);
		}
	}
}

/* -- unified ----------------------------------------------------------------------------------- */

static int bad_setting(const struct cgroup_setting *s, struct error *err)
{
	return error_set(err, ERROR_INVALID, 0, "unified: '%s': bad value '%s'", s->file, s->value);
}

static int put_unified_max(struct json_writer *w, const struct cgroup_setting *s, struct error *err)
{
	char quota[24], period[24] = "";
	int64_t q = -1;
	uint64_t p = 0;
	int n = sscanf(s->value, "%23s %23s", quota, period);

	if (n < 1 || (strcmp(quota, "max") != 0 && str_parse_i64(quota, &q) < 0) ||
	    (n == 2 && str_parse_u64(period, &p) < 0))
		return bad_setting(s, err);
	put_quota(w, &q, &p);
	return 0;
}

static int put_setting(struct json_writer *w, const struct cgroup_setting *s, struct error *err)
{
	static const struct {
		const char *file, *property;
	} numbers[] = {
		{"cpu.weight", "CPUWeight"}, {"memory.high", "MemoryHigh"},
		{"memory.low", "MemoryLow"}, {"memory.min", "MemoryMin"},
		{"memory.max", "MemoryMax"}, {"memory.swap.max", "MemorySwapMax"},
		{"pids.max", "TasksMax"},
	};
	autofree char *word = xstrndup(s->value, strcspn(s->value, "\n"));
	uint64_t value = UINT64_MAX;

	if (strcmp(s->file, "cpu.max") == 0)
		return put_unified_max(w, s, err);
	if (strcmp(s->file, "cpuset.cpus") == 0)
		return put_set(w, "AllowedCPUs", "unified", word, err);
	if (strcmp(s->file, "cpuset.mems") == 0)
		return put_set(w, "AllowedMemoryNodes", "unified", word, err);
	if (strcmp(s->file, "cpu.idle") == 0 && strcmp(word, "1") == 0)
		put_u64(w, "CPUWeight", 0, SINCE_IDLE);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (strcmp(numbers[i].file, s->file) != 0)
			continue;
		/* "64M" and the like the kernel takes, and the file will have it */
		if (strcmp(word, "max") != 0 && str_parse_u64(word, &value) < 0)
			return 0;
		put_u64(w, numbers[i].property, value, 0);
	}
	return 0;
}

/* -- all of them ------------------------------------------------------------------------------- */

static int put_memory(struct json_writer *w, const struct cgroup *cg,
		      const struct cgroup_resources *res, bool v2, struct error *err)
{
	int64_t swap;
	int r;

	put_limit(w, v2 ? "MemoryMax" : "MemoryLimit", res->memory_limit);
	if (!v2)
		return 0;
	put_limit(w, "MemoryLow", res->memory_reservation);
	r = cgroup_v2_swap(cg, res, &swap, err);
	if (r > 0)
		put_u64(w, "MemorySwapMax", swap < 0 ? UINT64_MAX : (uint64_t)swap, 0);
	return r < 0 ? r : 0;
}

static void put_weights(struct json_writer *w, const struct cgroup_resources *res, bool v2)
{
	bool idle = res->cpu_idle && *res->cpu_idle == 1;

	if (v2 && idle)
		put_u64(w, "CPUWeight", 0, SINCE_IDLE);
	else if (res->cpu_shares && *res->cpu_shares)
		put_u64(w, v2 ? "CPUWeight" : "CPUShares",
			v2 ? cgroup_v2_weight(*res->cpu_shares) : *res->cpu_shares, 0);
	if (res->io_weight)
		put_u64(w, v2 ? "IOWeight" : "BlockIOWeight",
			v2 ? 1 + (res->io_weight - 10U) * 9999U / 990U : res->io_weight, 0);
}

int cgroup_unit_limits(struct json_writer *w, const struct cgroup *cg,
		       const struct cgroup_resources *res, struct error *err)
{
	bool v2 = cg->layout->mode == CGROUP_MODE_V2;
	int r;

	put_devices(w, cg, res);
	r = put_memory(w, cg, res, v2, err);
	if (r < 0)
		return r;
	put_weights(w, res, v2);
	put_quota(w, res->cpu_quota, res->cpu_period);
	if (res->pids_limit)
		put_u64(w, "TasksMax",
			*res->pids_limit < 0 ? UINT64_MAX
			: *res->pids_limit   ? (uint64_t)*res->pids_limit
					     : 1,
			0);
	put_rates(w, res, v2);
	r = put_set(w, "AllowedCPUs", "cpu.cpus", res->cpuset_cpus, err);
	if (r == 0)
		r = put_set(w, "AllowedMemoryNodes", "cpu.mems", res->cpuset_mems, err);
	for (size_t i = 0; r == 0 && v2 && i < res->unified_count; i++)
		r = put_setting(w, &res->unified[i], err);
	return r;
}

/* -- the user's own ---------------------------------------------------------------------------- */

/* "TimeoutStopSec", as unit files spell it, is TimeoutStopUSec on the bus, in microseconds. */
static int put_seconds(struct json_writer *w, const char *name, const char *type, const char *json,
		       struct error *err)
{
	autofree char *usec = xasprintf("%.*sUSec", (int)(strlen(name) - strlen("Sec")), name);
	double seconds;

	if (strlen(type) != 1 || !strchr("ynqiuxtd", *type))
		return error_set(err, ERROR_INVALID, 0, "unit property '%s': not a number", name);
	seconds = strtod(json, NULL);
	if (seconds < 0 || seconds > 1e12)
		return error_set(err, ERROR_INVALID, 0, "unit property '%s': out of range", name);
	put_u64(w, usec, (uint64_t)(seconds * 1e6), 0);
	return 0;
}

int cgroup_unit_property(struct json_writer *w, const struct cgroup_unit_property *p,
			 struct error *err)
{
	autostrbuf struct strbuf value = STRBUF_INIT((size_t)256 << 10);
	size_t len = strlen(p->name);
	autofree char *type = NULL;
	struct json_writer apart;
	int r;

	for (size_t i = 0; i < len; i++)
		if (!isalpha((unsigned char)p->name[i]))
			len = 0;
	if (len < 3)
		return error_set(err, ERROR_INVALID, 0, "annotation: '%s' is no unit property",
				 p->name);
	json_writer_init(&apart, &value);
	r = gvariant_parse(p->value, &apart, &type, err);
	if (r < 0)
		return error_wrap(err, r, "unit property '%s'", p->name);
	if (len > 4 && str_has_suffix(p->name, "Sec") && islower((unsigned char)p->name[len - 4]))
		return put_seconds(w, p->name, type, value.s, err);
	begin(w, p->name, type);
	jw_raw(w, value.s, value.len);
	end(w, 0);
	return 0;
}
