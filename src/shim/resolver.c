/* The container's name server.
 *
 * Its sockets live in the container's network namespace, where a table leads port 53 of 127.0.0.11 to
 * them (network/resolver.c); the shim visits that namespace to make a socket, and is back before it
 * does anything else.  What to answer is in files that vesseld replaces (shim/names.h): read at each
 * question, from a tmpfs, so that there is nothing to keep, to push or to lose.
 */
#include "shim/resolver.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "linux/ns.h"
#include "shim/names.h"
#include "shim/resolver_priv.h"

#define ADDRESS    "127.0.0.11"
#define TTL_S      600 /* as Docker's: libc does not cache, and who does asks for it */
#define FILE_MAX   ((size_t)1 << 20)
#define TCP_WAITS  32
#define DOMAIN_TCP 53

/* --- sockets in the container's namespace --------------------------------------------------- */

/* A socket that belongs to the container's namespace.  -errno.
 *
 * `first`: lo goes up before.  Without it a socket could be bound to 127.0.0.11 only by IP_FREEBIND, and
 * in a namespace without any address that leaves the source of what it sends unset. */
static int socket_inside(const struct resolver *r, int family, int type, bool first)
{
	autoclose int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int fd;

	if (home < 0 || setns(r->netns_fd, CLONE_NEWNET) < 0)
		return -errno;
	fd = first ? ns_loopback_up(NULL) : 0;
	if (fd >= 0)
		fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		fd = -errno;
	if (setns(home, CLONE_NEWNET) < 0) {
		log_error("cannot return from the container's network namespace");
		abort();
	}
	return fd;
}

static int listen_inside(const struct resolver *r, int type, int *ret_fd, uint16_t *ret_port,
			 struct error *err)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t len = sizeof(addr);
	autoclose int fd = socket_inside(r, AF_INET, type, true);

	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, -fd, "make the resolver's socket");
	(void)inet_pton(AF_INET, ADDRESS, &addr.sin_addr);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, TCP_WAITS) < 0) ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "bind the resolver's socket");
	*ret_port = ntohs(addr.sin_port);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int resolver_connect(const struct resolver *r, const struct resolver_server *server, int type)
{
	int family = server->addr.ss_family;
	autoclose int fd = server->from_host
				   ? socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
				   : socket_inside(r, family, type, false);

	if (fd < 0)
		return server->from_host ? -errno : fd;
	if (connect(fd, (const struct sockaddr *)&server->addr, server->len) < 0 &&
	    errno != EINPROGRESS)
		return -errno;
	return TAKE_FD(fd);
}

/* --- the files ------------------------------------------------------------------------------ */

bool resolver_server(const struct resolver *r, unsigned i, struct resolver_server *ret)
{
	autofree char *text = NULL;
	struct names_text all = {0}, line, word;
	struct resolver_server s = {0};
	char address[NETADDR_SIZE];
	struct netaddr a;

	if (file_read(r->dir_fd, SHIM_RESOLVER_NAME, FILE_MAX, &text, &all.len, NULL) < 0)
		return false;
	all.s = text;
	while (names_line(&all, &line)) {
		if (!names_word(&line, &word))
			continue;
		s.from_host = names_is(&word, "host-server");
		if ((!s.from_host && !names_is(&word, "server")) || !names_word(&line, &word) ||
		    word.len >= sizeof(address) || i-- > 0)
			continue;
		memcpy(address, word.s, word.len);
		address[word.len] = '\0';
		if (netaddr_parse(address, &a) < 0)
			return false;
		s.len = netaddr_sockaddr(&a, DOMAIN_TCP, &s.addr);
		*ret = s;
		return true;
	}
	return false;
}

struct lookup {
	const struct dns_query *query;
	struct netaddr reverse; /* unset: not asked for */
	sa_family_t family;
	struct names_found found;
	char name[DNS_NAME_MAX]; /* found for reverse; or "" */
};

static void look_in_network(struct lookup *l, struct names_text network, const char *name)
{
	if (netaddr_is_set(&l->reverse)) {
		if (!l->name[0])
			(void)names_reverse(network, &l->reverse, l->name);
	} else {
		names_find(network, name, l->family, &l->found);
	}
}

/* The file of a network, for as long as fn runs. */
static void with_network(const struct resolver *r, struct lookup *l, const struct names_text *id,
			 const char *name)
{
	char path[128];
	autoclose int fd = -EBADF;
	struct stat st;
	void *map;

	if (!str_is_hex(id->s, id->len) ||
	    snprintf(path, sizeof(path), "../../" SHIM_NAMES_DIR "/%.*s", (int)id->len, id->s) >=
		    (int)sizeof(path))
		return;
	fd = openat(r->dir_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0 || (size_t)st.st_size > NAMES_FILE_MAX)
		return;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return;
	look_in_network(l, (struct names_text){map, (size_t)st.st_size}, name);
	(void)munmap(map, (size_t)st.st_size);
}

static void look_up_link(const struct resolver *r, struct lookup *l, struct names_text *line)
{
	struct names_text id, alias, target;
	char name[DNS_NAME_MAX];

	if (netaddr_is_set(&l->reverse) || !names_word(line, &id) || !names_word(line, &alias) ||
	    !names_word(line, &target) || !names_is(&alias, l->query->name) ||
	    target.len >= sizeof(name))
		return;
	memcpy(name, target.s, target.len);
	name[target.len] = '\0';
	with_network(r, l, &id, name);
}

static void look_up(const struct resolver *r, struct lookup *l)
{
	autofree char *text = NULL;
	struct names_text all = {0}, line, word;

	if (file_read(r->dir_fd, SHIM_RESOLVER_NAME, FILE_MAX, &text, &all.len, NULL) < 0)
		return;
	all.s = text;
	while (names_line(&all, &line)) {
		if (!names_word(&line, &word))
			continue;
		if (names_is(&word, "link"))
			look_up_link(r, l, &line);
		else if (names_is(&word, "network") && names_word(&line, &word))
			with_network(r, l, &word, l->query->name);
	}
}

size_t resolver_answer(struct resolver *r, const struct dns_query *q, void *buf, size_t size)
{
	struct lookup l = {.query = q};
	struct dns_reply reply;

	if (q->class_ != 1 /* IN */ || q->name[0] == '\0')
		return 0;
	if (q->type == DNS_PTR && dns_reverse_parse(q->name, &l.reverse) < 0)
		return 0;
	l.family = q->type == DNS_A ? AF_INET : q->type == DNS_AAAA ? AF_INET6 : AF_UNSPEC;
	look_up(r, &l);
	if (!l.found.known && !l.name[0])
		return 0;
	dns_reply_begin(&reply, buf, size, q);
	if (l.name[0])
		dns_reply_name(&reply, l.name, TTL_S);
	/* Of other types a name that is ours has none: nobody else is to be asked. */
	if (l.family != AF_UNSPEC || q->type == DNS_ANY)
		for (size_t i = 0; i < l.found.n; i++)
			dns_reply_address(&reply, &l.found.v[(r->turn + i) % l.found.n], TTL_S);
	r->turn++;
	return dns_reply_end(&reply, DNS_NOERROR);
}

/* --- life ----------------------------------------------------------------------------------- */

struct resolver *resolver_free(struct resolver *r)
{
	if (!r)
		return NULL;
	resolver_udp_done(r);
	resolver_tcp_done(r);
	r->udp_src = loop_remove(r->udp_src);
	r->tcp_src = loop_remove(r->tcp_src);
	fd_close(&r->udp_fd);
	fd_close(&r->tcp_fd);
	fd_close(&r->netns_fd);
	fd_close(&r->dir_fd);
	free(r);
	return NULL;
}

int resolver_new(const struct resolver_args *args, struct resolver **ret, struct error *err)
{
	struct resolver *r = xnew0(struct resolver);
	int ret_code = 0;

	*r = (struct resolver){.loop = args->loop,
			       .scratch = args->scratch,
			       .netns_fd = fcntl(args->netns_fd, F_DUPFD_CLOEXEC, 3),
			       .dir_fd = fcntl(args->runtime_dir_fd, F_DUPFD_CLOEXEC, 3),
			       .udp_fd = -EBADF,
			       .tcp_fd = -EBADF};
	if (r->netns_fd < 0 || r->dir_fd < 0)
		ret_code = error_set(err, ERROR_INTERNAL, errno, "keep the resolver's descriptors");
	if (ret_code == 0)
		ret_code = listen_inside(r, SOCK_DGRAM, &r->udp_fd, &r->udp_port, err);
	if (ret_code == 0)
		ret_code = listen_inside(r, SOCK_STREAM, &r->tcp_fd, &r->tcp_port, err);
	if (ret_code == 0)
		ret_code = loop_add_fd(r->loop, r->udp_fd, EPOLLIN, resolver_udp_ready, r,
				       &r->udp_src, err);
	if (ret_code == 0)
		ret_code = loop_add_fd(r->loop, r->tcp_fd, EPOLLIN, resolver_tcp_ready, r,
				       &r->tcp_src, err);
	if (ret_code < 0)
		r = resolver_free(r);
	*ret = r;
	return ret_code;
}

uint16_t resolver_udp_port(const struct resolver *r)
{
	return r->udp_port;
}

uint16_t resolver_tcp_port(const struct resolver *r)
{
	return r->tcp_port;
}
