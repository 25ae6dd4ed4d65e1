/* Network devices of the host that a container gets (linux.netDevices): moved into its network
 * namespace when that exists, long before its program runs.  Whoever made the namespace, nobody takes
 * them out again: when it ends, the kernel gives physical ones back and deletes the others.  Only a
 * container that does not come to be gives back what it was given. */
#include "runtime/netdevices_priv.h"

#include <errno.h>
#include <fcntl.h>

#include "base/error.h"
#include "linux/netdev.h"
#include "linux/ns.h"

int netdevices_move(const struct json_objects *devices, int proc_fd, int netns_fd,
		    struct netdevices_moved *ret, struct error *err)
{
	autoclose int own = devices->n ? ns_open_pid(proc_fd, getpid(), "net") : -EBADF;

	if (devices->n == 0)
		return 0;
	if (own < 0)
		return error_set(err, ERROR_INTERNAL, -own, "open our network namespace");
	if (netns_fd < 0 || ns_is_own(proc_fd, netns_fd, "net"))
		return error_set(
			err, ERROR_INVALID, 0,
			"linux.netDevices: needs a network namespace of the container's own");
	ret->names = xcalloc(devices->n, sizeof(*ret->names));
	for (size_t i = 0; i < devices->n; i++) {
		const struct oci_net_device *d = oci_at(devices, struct oci_net_device, i);
		const struct netdev_move m = {own, netns_fd, d->name, d->new_name};
		int r = netdev_move(&m, ret->names[i], err);

		if (r < 0)
			return error_wrap(err, r, "linux.netDevices.%s", d->name);
		ret->n++;
	}
	return 0;
}

void netdevices_give_back(const struct json_objects *devices, int proc_fd, int netns_fd,
			  const struct netdevices_moved *moved)
{
	autoclose int own = moved->n ? ns_open_pid(proc_fd, getpid(), "net") : -EBADF;

	for (size_t i = moved->n; i-- > 0;) {
		const char *name = oci_at(devices, struct oci_net_device, i)->name;
		const struct netdev_move m = {netns_fd, own, moved->names[i], name};
		char now[IF_NAMESIZE];

		(void)netdev_move(&m, now, NULL); /* the error that led here is the one to tell */
	}
}
