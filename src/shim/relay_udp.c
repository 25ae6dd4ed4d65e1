/* The UDP relay: a connected socket towards the container for each peer, until it has been idle.
 *
 * An answer must come from the address that the peer sent to, which a socket bound to [::] tells by
 * IPV6_PKTINFO (ipv6(7)).
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "shim/relay_priv.h"

#define PEERS_MAX    256
#define IDLE_MS      90000
#define TICK_MS      30000
#define DATAGRAM_MAX 65536

struct udp_peer {
	struct udp_peer *next;
	struct relay *relay;
	int fd; /* owned; connected to the container */
	struct loop_source *src;
	struct sockaddr_in6 addr;
	struct in6_pktinfo local; /* where it sent to */
	uint64_t used_ms;
};

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static void peer_free(struct udp_peer *peer)
{
	struct relay *r = peer->relay;

	for (struct udp_peer **p = &r->peers; *p; p = &(*p)->next)
		if (*p == peer) {
			*p = peer->next;
			break;
		}
	peer->src = loop_remove(peer->src);
	fd_close(&peer->fd);
	free(peer);
	r->count--;
}

static void send_to_peer(struct udp_peer *peer, void *data, size_t len)
{
	struct iovec iov = {data, len};
	union control control = {0};
	struct msghdr msg = {.msg_name = &peer->addr,
			     .msg_namelen = sizeof(peer->addr),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = IPPROTO_IPV6;
	c->cmsg_type = IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(peer->local));
	memcpy(CMSG_DATA(c), &peer->local, sizeof(peer->local));
	(void)sendmsg(peer->relay->fd, &msg,
		      MSG_DONTWAIT | MSG_NOSIGNAL); /* datagrams may be lost */
}

static void peer_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct udp_peer *peer = data;
	autofree char *buf = malloc(DATAGRAM_MAX);
	ssize_t n;

	(void)src;
	(void)events;
	if (!buf)
		return;
	n = recv(fd, buf, DATAGRAM_MAX, MSG_DONTWAIT);
	if (n < 0)
		return; /* ECONNREFUSED: nobody listens in the container */
	peer->used_ms = loop_now_ms(peer->relay->loop);
	send_to_peer(peer, buf, (size_t)n);
}

static struct udp_peer *find_peer(struct relay *r, const struct sockaddr_in6 *addr,
				  const struct in6_pktinfo *local)
{
	for (struct udp_peer *p = r->peers; p; p = p->next)
		if (p->addr.sin6_port == addr->sin6_port &&
		    p->addr.sin6_scope_id == addr->sin6_scope_id &&
		    memcmp(&p->addr.sin6_addr, &addr->sin6_addr, sizeof(addr->sin6_addr)) == 0 &&
		    memcmp(&p->local.ipi6_addr, &local->ipi6_addr, sizeof(local->ipi6_addr)) == 0)
			return p;
	return NULL;
}

static void drop_oldest(struct relay *r)
{
	struct udp_peer *oldest = r->peers;

	for (struct udp_peer *p = r->peers; p; p = p->next)
		if (p->used_ms < oldest->used_ms)
			oldest = p;
	peer_free(oldest);
}

static struct udp_peer *new_peer(struct relay *r, const struct sockaddr_in6 *addr,
				 const struct in6_pktinfo *local)
{
	struct udp_peer *p;

	if (r->count >= PEERS_MAX)
		drop_oldest(r);
	if (r->count == 0)
		loop_set_timer(r->timer, TICK_MS);
	p = xnew0(struct udp_peer);
	*p = (struct udp_peer){.next = r->peers, .relay = r, .addr = *addr, .local = *local};
	r->peers = p;
	r->count++;
	p->fd = socket(r->to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0 || connect(p->fd, (const struct sockaddr *)&r->to, r->to_len) < 0 ||
	    loop_add_fd(r->loop, p->fd, EPOLLIN, peer_ready, p, &p->src, NULL) < 0) {
		peer_free(p);
		return NULL;
	}
	return p;
}

void relay_udp_ready(struct relay *r)
{
	autofree char *buf = malloc(DATAGRAM_MAX);
	struct sockaddr_in6 addr = {0};
	struct in6_pktinfo local = {0};
	struct iovec iov = {buf, DATAGRAM_MAX};
	union control control = {0};
	struct msghdr msg = {.msg_name = &addr,
			     .msg_namelen = sizeof(addr),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct udp_peer *peer;
	ssize_t n;

	if (!buf)
		return;
	n = recvmsg(r->fd, &msg, MSG_DONTWAIT);
	if (n < 0 || addr.sin6_family != AF_INET6)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			memcpy(&local, CMSG_DATA(c), sizeof(local));
	peer = find_peer(r, &addr, &local);
	if (!peer)
		peer = new_peer(r, &addr, &local);
	if (!peer)
		return;
	peer->used_ms = loop_now_ms(r->loop);
	(void)send(peer->fd, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL); /* may be lost */
}

void relay_udp_tick(struct relay *r)
{
	uint64_t now = loop_now_ms(r->loop);
	struct udp_peer *p, *next;

	for (p = r->peers; p; p = next) {
		next = p->next;
		if (now - p->used_ms >= IDLE_MS)
			peer_free(p);
	}
	if (r->count > 0)
		loop_set_timer(r->timer, TICK_MS);
}

int relay_udp_init(struct relay *r, struct error *err)
{
	int on = 1;

	if (setsockopt(r->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "relay UDP");
	return 0;
}

void relay_udp_done(struct relay *r)
{
	while (r->peers)
		peer_free(r->peers);
}
