/* Lists of small numbers, as cpusets and NUMA nodes are written. */
#include "linux/cpulist.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

static const char *skip_spaces(const char *p)
{
	return p + strspn(p, " ");
}

/* One number; NULL: there is none.  What does not fit becomes CPULIST_BITS. */
static const char *number(const char *p, unsigned *ret)
{
	unsigned n = 0;

	if (*p < '0' || *p > '9')
		return NULL;
	for (; *p >= '0' && *p <= '9'; p++)
		if (n < CPULIST_BITS)
			n = n * 10 + (unsigned)(*p - '0');
	*ret = n < CPULIST_BITS ? n : CPULIST_BITS;
	return skip_spaces(p);
}

int cpulist_parse(const char *list, uint64_t ret[static CPULIST_WORDS])
{
	uint64_t set[CPULIST_WORDS] = {0};
	const char *p = skip_spaces(list);
	unsigned end = 0;

	while (*p) {
		unsigned first, last;

		p = number(p, &first);
		if (!p)
			return -EINVAL;
		last = first;
		if (*p == '-') {
			p = number(skip_spaces(p + 1), &last);
			if (!p || last < first)
				return -EINVAL;
		}
		if (last >= CPULIST_BITS)
			return -ERANGE;
		for (unsigned i = first; i <= last; i++)
			set[i / 64] |= (uint64_t)1 << i % 64;
		end = last >= end ? last + 1 : end;
		if (*p == ',')
			p = skip_spaces(p + 1);
		else if (*p)
			return -EINVAL;
	}
	memcpy(ret, set, sizeof(set));
	return (int)end;
}
