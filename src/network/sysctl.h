/* network/sysctl.h - network settings under /proc/sys/net of the calling thread's network
 * namespace: proc(5) resolves them by the thread, so they follow setns(2). */
#pragma once

#include <stdbool.h>

struct error;

/* /proc/sys/net, for the functions with a directory: it stays that of the namespace in which it was
 * opened. */
int sysctl_open(struct error *err);
/* Write value unless that is what is there.  path: below /proc/sys/net, e.g. "ipv4/ip_forward". */
int sysctl_set(const char *path, const char *value, struct error *err);
/* The same for a link's setting: family "ipv4" or "ipv6". */
int sysctl_set_link(const char *family, const char *link, const char *key, const char *value,
		    struct error *err);
/* A link's directory in a container's namespace, for sysctl_set_at with several keys.  A proc file system
 * keeps the directories of all network namespaces under one name, and each look-up from its top
 * goes through all of them: this one looks into a proc file system of its own, which is replaced now and then (Linux 5.8; one from
 * before has but one).  -ENOENT without IPv6 in the kernel, or without the link. */
int sysctl_link_open(const char *family, const char *link, struct error *err);
int sysctl_set_at(int dir_fd, const char *path, const char *value, struct error *err);
bool sysctl_is_at(int dir_fd, const char *path, const char *value); /* false if it is not there */
bool sysctl_has_ipv6(void);

/* Let the host route, IPv4 and (with_ipv6) IPv6.  An IPv6 router ignores router advertisements
 * unless accept_ra is 2 (kernel Documentation/networking/ip-sysctl): links that rely on them are
 * switched to that first, so that the host keeps its own way out. */
int sysctl_enable_forwarding(bool with_ipv6, struct error *err);
