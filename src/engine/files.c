/* engine/files.c - a container's /etc/hosts, /etc/hostname and /etc/resolv.conf. */
#include "engine/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "network/files.h"
#include "network/network.h"

static int save(int dir, const char *name, const struct strbuf *text, struct error *err)
{
	if (strbuf_error(text) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "write container's '%s'", name);
	/* In place, not renamed: the file may be mounted in containers that share this network. */
	autoclose int fd =
		openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	int r = fd < 0 ? -errno : fd_write_full(fd, text->s, text->len);

	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "write container's '%s'", name);
	(void)fchmod(fd, 0644); /* whatever the umask */
	return 0;
}

static int write_hosts(const struct container *c, int dir, struct error *err)
{
	const struct container_spec *s = c->spec;
	const struct network_endpoint *ep = c->endpoint_count > 0 ? c->endpoints[0] : NULL;
	autostrbuf struct strbuf text = STRBUF_INIT(FILES_MAX);
	struct files_hosts args = {
		.hostname = s->config.hostname,
		.domainname = s->config.domainname,
		.extra = s->host.extra_hosts.v,
		.extra_count = s->host.extra_hosts.n,
	};
	int r;

	if (str_eq(s->host.network_mode, "host")) {
		autofree char *host = NULL;
		size_t len = 0;

		if (file_read(AT_FDCWD, "/etc/hosts", FILES_MAX, &host, &len, NULL) >= 0)
			strbuf_add(&text, host, len);
		args.hostname = NULL;
	}
	if (ep) {
		args.ipv4 = ep->ipv4.addr;
		args.ipv6 = ep->ipv6.addr;
		args.host_gateway4 = ep->gateway4;
		args.host_gateway6 = ep->gateway6;
	}
	r = files_hosts(&args, &text, err);
	return r < 0 ? r : save(dir, "hosts", &text, err);
}

static int write_resolv(const struct container *c, int dir, struct error *err)
{
	const struct host_config *h = &c->spec->host;
	const struct network_endpoint *ep = c->endpoint_count > 0 ? c->endpoints[0] : NULL;
	autostrbuf struct strbuf text = STRBUF_INIT(FILES_MAX);
	autofree char *host = NULL;
	struct files_resolv args = {
		.dns = h->dns.v,
		.dns_count = h->dns.n,
		.search = h->dns_search.v,
		.search_count = h->dns_search.n,
		.options = h->dns_options.v,
		.option_count = h->dns_options.n,
		.own_netns = !str_eq(h->network_mode, "host"),
		.ipv6 = ep && netaddr_is_set(&ep->ipv6.addr),
	};
	int r = files_resolv_host(&host, err);

	args.host = host;
	r = r < 0 ? r : files_resolv(&args, &text, err);
	return r < 0 ? r : save(dir, "resolv.conf", &text, err);
}

int files_write(const struct container *c, struct error *err)
{
	autostrbuf struct strbuf hostname = STRBUF_INIT(FILES_MAX);
	autoclose int dir = open(c->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open directory '%s'", c->state_dir);
	files_hostname(c->spec->config.hostname, &hostname);
	r = save(dir, "hostname", &hostname, err);
	r = r < 0 ? r : write_hosts(c, dir, err);
	return r < 0 ? r : write_resolv(c, dir, err);
}
