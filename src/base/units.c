/* Sizes, durations and switches as Docker's options write them. */
#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"

int units_parse_size(const char *text, bool binary, uint64_t *ret)
{
	static const char units[] = "kmgtp";
	size_t digits = strspn(text, "0123456789"), all = digits;
	const char *p = text, *unit;
	double v;

	if (text[digits] == '.')
		all += 1 + strspn(text + digits + 1, "0123456789");
	if (digits == 0)
		return -EINVAL;
	v = strtod(text, NULL); /* digits and a point: any locale of ours is "C" */
	p += all;
	p += *p == ' ';
	if (*p) {
		unit = strchr(units, tolower((unsigned char)*p));
		if (unit) {
			for (; unit >= units; unit--)
				v *= binary ? 1024 : 1000;
			p++;
			if (tolower((unsigned char)*p) == 'i' &&
			    tolower((unsigned char)p[1]) == 'b')
				p++;
		}
		p += tolower((unsigned char)*p) == 'b';
	}
	if (*p || v > 9e18)
		return -EINVAL;
	*ret = (uint64_t)v;
	return 0;
}

int units_parse_duration(const char *text, int64_t *ret_ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
	double sum = 0;

	if (strcmp(text, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	if (!*text)
		return -EINVAL;
	while (*text) {
		size_t n = strspn(text, "0123456789."), i;
		char *end;
		double v = n ? strtod(text, &end) : 0;
		size_t letters;

		if (n == 0 || end != text + n)
			return -EINVAL;
		text += n;
		letters = strspn(text, "nushm");
		for (i = 0; i < ARRAY_SIZE(units); i++)
			if (strlen(units[i].name) == letters &&
			    memcmp(units[i].name, text, letters) == 0)
				break;
		if (i == ARRAY_SIZE(units))
			return -EINVAL;
		sum += v * units[i].ns;
		text += letters;
	}
	if (sum > 9e18)
		return -EINVAL;
	*ret_ns = (int64_t)sum;
	return 0;
}

int units_parse_bool(const char *s)
{
	static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True", NULL};
	static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False", NULL};

	return str_is_one_of(s, yes) ? 1 : str_is_one_of(s, no) ? 0 : -EINVAL;
}
