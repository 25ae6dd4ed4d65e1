/* Reading legacy iptables tables: getsockopt(2) on a raw socket returns a table as one blob of
 * entries, in which a chain's policy is its last rule, at the hook's "underflow" offset.
 *
 * IPv4's and IPv6's structures differ only in the entry's match part and in names.
 */
#include "linux/xtables.h"

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include "base/error.h"
#include "base/mem.h"

#define TABLE_MAX (64 * 1024 * 1024) /* bytes; a host with a hundred thousand rules has 20 MiB */

static const struct family {
	sa_family_t family;
	int level, get_info, get_entries;
	const char *names;    /* the tables that exist in this namespace */
	size_t target_offset; /* of the field in an entry */
} families[] = {
	{AF_INET, SOL_IP, IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES,
	 "/proc/thread-self/net/ip_tables_names", offsetof(struct ipt_entry, target_offset)},
	{AF_INET6, SOL_IPV6, IP6T_SO_GET_INFO, IP6T_SO_GET_ENTRIES,
	 "/proc/thread-self/net/ip6_tables_names", offsetof(struct ip6t_entry, target_offset)},
};

/* One struct serves both: struct ip6t_getinfo and ip6t_get_entries have the same members. */
_Static_assert(sizeof(struct ipt_getinfo) == sizeof(struct ip6t_getinfo), "same layout");
_Static_assert(sizeof(struct ipt_get_entries) == sizeof(struct ip6t_get_entries), "same layout");

static bool has_filter_table(const char *path)
{
	char line[64];
	bool found = false;
	FILE *f = fopen(path, "re");

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = strcmp(line, "filter\n") == 0;
	(void)fclose(f);
	return found;
}

/* Whether the standard target at the end of a chain says drop. */
static bool is_drop(const struct family *f, const struct ipt_get_entries *entries, uint32_t at)
{
	const char *blob = (const char *)entries->entrytable;
	struct xt_standard_target target;
	uint16_t offset;

	if (at > entries->size || entries->size - at < f->target_offset + sizeof(offset))
		return false;
	memcpy(&offset, blob + at + f->target_offset, sizeof(offset));
	if (entries->size - at < (size_t)offset + sizeof(target))
		return false;
	memcpy(&target, blob + at + offset, sizeof(target));
	/* Verdicts are stored as -verdict - 1; the standard target has an empty name. */
	return target.target.u.user.name[0] == '\0' && target.verdict == -NF_DROP - 1;
}

static int policy_drops(const struct family *f, int fd, struct error *err)
{
	struct ipt_getinfo info = {.name = "filter"};
	autofree struct ipt_get_entries *entries = NULL;
	socklen_t len = sizeof(info);

	if (getsockopt(fd, f->level, f->get_info, &info, &len) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "read iptables table 'filter'");
	if (info.size > TABLE_MAX)
		return error_set(err, ERROR_INTERNAL, E2BIG, "read iptables table 'filter'");
	len = (socklen_t)(sizeof(*entries) + info.size);
	entries = xcalloc(1, len);
	memcpy(entries->name, info.name, sizeof(entries->name));
	entries->size = info.size;
	if (getsockopt(fd, f->level, f->get_entries, entries, &len) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "read iptables table 'filter'");
	return is_drop(f, entries, info.underflow[NF_INET_FORWARD]);
}

int xtables_forward_drops(sa_family_t family, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		autoclose int fd = -EBADF;

		if (families[i].family != family || !has_filter_table(families[i].names))
			continue;
		fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
		if (fd < 0)
			return error_set(err, ERROR_INTERNAL, errno, "open raw socket");
		return policy_drops(&families[i], fd, err);
	}
	return 0;
}
