/* Network devices from one namespace to another.
 *
 * The kernel keeps a device's attributes when it moves, but takes its addresses away.  So: read them,
 * move and rename in one request, and give the addresses back on the other side.  A new name that is
 * taken is seen before; the namespace that a container is made in has nobody else in it yet.
 */
#include "linux/netdev.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/sys.h"

#define REQUEST_MAX   1024
#define ANSWER_MAX    65536 /* the kernel fills at most this much at once in a dump */
#define ADDRESSES_MAX 4096  /* of one device */

struct request {
	struct nlmsghdr header;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
	} body;
	char attributes[REQUEST_MAX];
};

static void begin(struct request *r, uint16_t type, uint16_t flags, size_t body_size)
{
	*r = (struct request){.header = {.nlmsg_len = NLMSG_LENGTH((uint32_t)body_size),
					 .nlmsg_type = type,
					 .nlmsg_flags = NLM_F_REQUEST | flags,
					 .nlmsg_seq = 1}};
}

static void add_attribute(struct request *r, uint16_t type, const void *data, size_t size)
{
	struct rtattr *a = (struct rtattr *)(void *)((char *)r + NLMSG_ALIGN(r->header.nlmsg_len));
	uint32_t end = NLMSG_ALIGN(r->header.nlmsg_len) + (uint32_t)RTA_LENGTH(size);

	if (end > sizeof(*r))
		return; /* not of ours: names, addresses and numbers are short */
	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(size);
	memcpy(RTA_DATA(a), data, size);
	r->header.nlmsg_len = end;
}

static int transmit(int sock, const struct request *r)
{
	return send(sock, r, r->header.nlmsg_len, 0) < 0 ? -errno : 0;
}

/* The acknowledgement. */
static int run(int sock, const struct request *r)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[REQUEST_MAX];
	} answer;
	int e = transmit(sock, r);
	ssize_t n;

	if (e < 0)
		return e;
	do
		n = recv(sock, &answer, sizeof(answer), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(answer.header) + sizeof(answer.error.error) ||
	    answer.header.nlmsg_type != NLMSG_ERROR)
		return -EBADMSG;
	return answer.error.error;
}

/* -- addresses ----------------------------------------------------------------------------- */

/* One to be given back: the request that adds it, but for the device's number. */
struct addresses {
	struct request *v; /* owned */
	size_t n;
};

static void addresses_done(struct addresses *a)
{
	free(a->v);
}

/* The attributes of an address's message one after another; *at: 0 first. */
static const struct rtattr *next_attribute(const struct nlmsghdr *h, size_t *at)
{
	size_t offset = *at ? *at : NLMSG_SPACE(sizeof(struct ifaddrmsg));
	const struct rtattr *a = (const void *)((const char *)h + offset);

	if (offset + sizeof(*a) > h->nlmsg_len || a->rta_len < sizeof(*a) ||
	    a->rta_len > h->nlmsg_len - offset)
		return NULL;
	*at = offset + RTA_ALIGN(a->rta_len);
	return a;
}

static void keep_address(struct addresses *list, const struct nlmsghdr *h)
{
	static const unsigned short kept[] = {IFA_LOCAL, IFA_ADDRESS, IFA_BROADCAST, IFA_FLAGS,
					      IFA_RT_PRIORITY};
	const struct ifaddrmsg *from = NLMSG_DATA(h);
	const struct rtattr *a;
	struct request r;
	size_t at = 0;

	begin(&r, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, sizeof(r.body.address));
	r.body.address = *from;
	while ((a = next_attribute(h, &at)))
		for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
			if (a->rta_type == kept[i])
				add_attribute(&r, a->rta_type, RTA_DATA(a), RTA_PAYLOAD(a));
	list->v = xrealloc(list->v, list->n + 1, sizeof(*list->v));
	list->v[list->n++] = r;
}

/* RFC 3549 2.3.3.2: what is meant to last, and to be spoken to from afar */
static bool is_lasting(const struct nlmsghdr *h, unsigned index)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	uint32_t flags = m->ifa_flags;
	const struct rtattr *a;
	size_t at = 0;

	while ((a = next_attribute(h, &at)))
		if (a->rta_type == IFA_FLAGS && RTA_PAYLOAD(a) >= sizeof(flags))
			memcpy(&flags, RTA_DATA(a), sizeof(flags));
	return m->ifa_index == index && m->ifa_scope == RT_SCOPE_UNIVERSE &&
	       flags & IFA_F_PERMANENT;
}

static int read_addresses(int sock, unsigned index, struct addresses *ret)
{
	autofree char *answer = xcalloc(1, ANSWER_MAX);
	struct request r;
	int e;

	begin(&r, RTM_GETADDR, NLM_F_DUMP, sizeof(r.body.address));
	e = transmit(sock, &r);
	while (e == 0) {
		ssize_t n = recv(sock, answer, ANSWER_MAX, 0);
		const struct nlmsghdr *h;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (size_t at = 0; at + sizeof(*h) <= (size_t)n; at += NLMSG_ALIGN(h->nlmsg_len)) {
			h = (const void *)(answer + at);
			if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > (size_t)n - at)
				return -EBADMSG;
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return -EIO;
			if (h->nlmsg_type != RTM_NEWADDR ||
			    h->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifaddrmsg)) ||
			    !is_lasting(h, index))
				continue;
			if (ret->n == ADDRESSES_MAX)
				return -E2BIG;
			keep_address(ret, h);
		}
	}
	return e;
}

static int add_addresses(int sock, unsigned index, struct addresses *list)
{
	for (size_t i = 0; i < list->n; i++) {
		int e;

		list->v[i].body.address.ifa_index = index;
		e = run(sock, &list->v[i]);
		if (e < 0 && e != -EEXIST)
			return e;
	}
	return 0;
}

/* -- namespaces ---------------------------------------------------------------------------- */

struct side {
	int netns;
	int route_sock, ioctl_sock; /* owned; of that namespace, wherever we are */
};

static void side_done(struct side *s)
{
	fd_close(&s->route_sock);
	fd_close(&s->ioctl_sock);
}

static int side_open(int netns, struct side *ret, struct error *err)
{
	struct side s = {.netns = netns, .route_sock = -EBADF, .ioctl_sock = -EBADF};

	if (setns(netns, CLONE_NEWNET) < 0)
		return error_set(err, errno == EPERM ? ERROR_FORBIDDEN : ERROR_INTERNAL, errno,
				 "enter the network namespace");
	s.route_sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	s.ioctl_sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s.route_sock < 0 || s.ioctl_sock < 0) {
		int r = error_set(err, ERROR_INTERNAL, errno, "open sockets");

		side_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

static unsigned index_of(const struct side *s, const char *name)
{
	struct ifreq ifr = {0};

	if (!str_copy(ifr.ifr_name, sizeof(ifr.ifr_name), name) ||
	    ioctl(s->ioctl_sock, SIOCGIFINDEX, &ifr) < 0)
		return 0;
	return (unsigned)ifr.ifr_ifindex;
}

static int set_up(const struct side *s, const char *name)
{
	struct ifreq ifr = {0};

	if (!str_copy(ifr.ifr_name, sizeof(ifr.ifr_name), name))
		return -ENAMETOOLONG;
	if (ioctl(s->ioctl_sock, SIOCGIFFLAGS, &ifr) < 0)
		return -errno;
	ifr.ifr_flags |= IFF_UP;
	return ioctl(s->ioctl_sock, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

/* -- the move ------------------------------------------------------------------------------ */

static int change_namespace(const struct side *from, unsigned index, int to_netns,
			    const char *new_name)
{
	struct request r;

	begin(&r, RTM_NEWLINK, NLM_F_ACK, sizeof(r.body.link));
	r.body.link.ifi_index = (int)index;
	add_attribute(&r, IFLA_NET_NS_FD, &to_netns, sizeof(to_netns));
	add_attribute(&r, IFLA_IFNAME, new_name, strlen(new_name) + 1);
	return run(from->route_sock, &r);
}

/* A template names no device, and numbers differ between namespaces: it is the one that was not there
 * before.  `before`: names in the namespace, empty at the end. */
static bool find_arrival(const struct side *to, const struct if_nameindex *before,
			 char ret[static IF_NAMESIZE])
{
	struct if_nameindex *now;
	bool found = false;

	if (setns(to->netns, CLONE_NEWNET) < 0)
		return false;
	now = if_nameindex();
	for (size_t i = 0; now && now[i].if_name && !found; i++) {
		bool old = false;

		for (size_t j = 0; before && before[j].if_name; j++)
			old = old || before[j].if_index == now[i].if_index;
		found = !old && str_copy(ret, IF_NAMESIZE, now[i].if_name);
	}
	if (now)
		if_freenameindex(now);
	return found;
}

static int refused(int e, struct error *err)
{
	return error_set(err,
			 e == -EPERM                                        ? ERROR_FORBIDDEN
			 : e == -EINVAL || e == -EEXIST || e == -EOPNOTSUPP ? ERROR_INVALID
									    : ERROR_INTERNAL,
			 -e, "move the device");
}

static int move(const struct netdev_move *m, struct side *from, struct side *to,
		char ret_name[static IF_NAMESIZE], struct error *err)
{
	unsigned index = index_of(from, m->name);
	__attribute__((cleanup(addresses_done))) struct addresses addresses = {0};
	bool template = strchr(m->new_name, '%');
	struct if_nameindex *before = NULL;
	char name[IF_NAMESIZE];
	int e;

	if (index == 0)
		return error_set(err, ERROR_INVALID, ENODEV, "find the device");
	if (!template && index_of(to, m->new_name))
		return error_set(err, ERROR_INVALID, EEXIST, "name it '%s'", m->new_name);
	e = read_addresses(from->route_sock, index, &addresses);
	if (e < 0)
		return error_set(err, ERROR_INTERNAL, -e, "read its addresses");
	if (template)
		before = if_nameindex(); /* we are in the target's namespace */
	(void)str_copy(name, sizeof(name), m->new_name);
	e = change_namespace(from, index, to->netns, m->new_name);
	if (e == 0 && template && !find_arrival(to, before, name))
		e = -ENODEV;
	if (before)
		if_freenameindex(before);
	if (e < 0)
		return refused(e, err);
	e = set_up(to, name);
	if (e == 0)
		e = add_addresses(to->route_sock, index_of(to, name), &addresses);
	(void)str_copy(ret_name, IF_NAMESIZE, name);
	if (e < 0) {
		(void)change_namespace(to, index_of(to, name), from->netns, m->name);
		return error_set(err, ERROR_INTERNAL, -e, "set the device up as it was");
	}
	return 0;
}

int netdev_move(const struct netdev_move *m, char ret_name[static IF_NAMESIZE], struct error *err)
{
	__attribute__((cleanup(side_done))) struct side from = {-EBADF, -EBADF, -EBADF};
	__attribute__((cleanup(side_done))) struct side to = {-EBADF, -EBADF, -EBADF};
	autoclose int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int r;

	if (own < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open our own network namespace");
	r = side_open(m->from_netns, &from, err);
	if (r == 0)
		r = side_open(m->to_netns, &to, err);
	if (r == 0)
		r = move(m, &from, &to, ret_name, err);
	if (setns(own, CLONE_NEWNET) < 0 && r == 0)
		r = error_set(err, ERROR_INTERNAL, errno, "return to our network namespace");
	return r;
}
