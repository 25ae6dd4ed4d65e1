/* Clocks of a container that are ahead of the host's, or behind. */
#include "engine/time_offset.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "engine/config.h"

#define PREFIX     "vessel.time-offset."
#define SECOND_NS  1000000000LL
#define OFFSET_MAX (100LL * 365 * 86400) /* seconds: what the kernel takes is a little more */

static const char *const clock_names[] = {
	[TIME_OFFSET_MONOTONIC] = "monotonic",
	[TIME_OFFSET_BOOTTIME] = "boottime",
};

static const struct {
	const char *name;
	int64_t ns;
} units[] = {
	{"ns", 1},
	{"us", 1000},
	{"ms", 1000000},
	{"s", SECOND_NS},
	{"m", 60 * SECOND_NS},
	{"h", 3600 * SECOND_NS},
	{"d", 86400 * SECOND_NS},
};

static int64_t unit_of(const char *s, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strlen(units[i].name) == len && memcmp(units[i].name, s, len) == 0)
			return units[i].ns;
	return 0;
}

/* One "1.5h" at *p, which moves behind it; added to *total, in ns. */
static int parse_part(const char **p, bool is_bare, int64_t *total)
{
	size_t whole = strspn(*p, "0123456789"), fraction = 0, word;
	const char *unit = *p + whole, *digits = unit + 1;
	int64_t n = 0, ns;

	if (*unit == '.')
		fraction = strspn(digits, "0123456789");
	if (whole + fraction == 0)
		return -EINVAL;
	if (*unit == '.')
		unit = digits + fraction;
	word = strcspn(unit, "0123456789.");
	ns = word ? unit_of(unit, word) : is_bare ? SECOND_NS : 0;
	if (!ns)
		return -EINVAL;
	for (size_t i = 0; i < whole; i++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (*p)[i] - '0', &n))
			return -EINVAL;
	if (__builtin_mul_overflow(n, ns, &n) || __builtin_add_overflow(*total, n, total))
		return -EINVAL;
	for (size_t i = 0; i < fraction; i++) {
		ns /= 10;
		if (__builtin_add_overflow(*total, (digits[i] - '0') * ns, total))
			return -EINVAL;
	}
	*p = unit + word;
	return 0;
}

int time_offset_parse(const char *text, struct time_offset *ret)
{
	const bool negative = *text == '-';
	const char *p = text + (*text == '-' || *text == '+');
	const bool is_bare = p[strspn(p, "0123456789.")] == '\0'; /* seconds, without a unit */
	int64_t total = 0;

	if (!*p)
		return -EINVAL;
	while (*p)
		if (parse_part(&p, is_bare, &total) < 0)
			return -EINVAL;
	if (total / SECOND_NS > OFFSET_MAX)
		return -EINVAL;
	if (negative)
		total = -total;
	ret->secs = total / SECOND_NS - (total % SECOND_NS < 0);
	ret->nanosecs = (uint32_t)((total % SECOND_NS + SECOND_NS) % SECOND_NS);
	return 0;
}

static int set_clock(struct time_offsets *ret, const char *name, const char *value)
{
	for (size_t i = 0; i < TIME_OFFSET_CLOCK_COUNT; i++) {
		if (!str_eq(clock_names[i], name))
			continue;
		ret->present[i] = true;
		return time_offset_parse(value, &ret->v[i]);
	}
	return -EINVAL;
}

int time_offsets_get(const struct host_config *h, struct time_offsets *ret, struct error *err)
{
	*ret = (struct time_offsets){0};
	for (size_t i = 0; i < h->annotations.n; i++) {
		const char *key = h->annotations.keys[i], *value = h->annotations.values[i];

		if (str_has_prefix(key, PREFIX) && set_clock(ret, key + strlen(PREFIX), value) < 0)
			return error_set(
				err, ERROR_INVALID, 0,
				"invalid annotation \"%s=%s\": time offsets are durations, of "
				"the clocks monotonic and boottime",
				key, value);
	}
	return 0;
}
