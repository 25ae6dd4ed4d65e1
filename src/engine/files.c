/* engine/files.c - a container's /etc/hosts, /etc/hostname and /etc/resolv.conf. */
#include "engine/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/endpoint.h"
#include "engine/engine_priv.h"
#include "engine/link.h"
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

/* What host-gateway stands for: the host, as seen from the first network that has it. */
static void host_gateway(const struct container *c, struct files_hosts *args)
{
	const struct json_strings *told = &engine_settings(c->rt->engine)->host_gateway_ips;

	for (size_t i = 0; i < told->n; i++) {
		struct netaddr a;

		if (netaddr_parse(told->v[i], &a) >= 0 && a.family == AF_INET)
			args->host_gateway4 = a;
		else if (netaddr_parse(told->v[i], &a) >= 0)
			args->host_gateway6 = a;
	}
	if (told->n > 0)
		return;
	for (size_t i = 0; i < c->endpoint_count; i++) {
		if (!netaddr_is_set(&args->host_gateway4))
			args->host_gateway4 = c->endpoints[i]->gateway4;
		if (!netaddr_is_set(&args->host_gateway6))
			args->host_gateway6 = c->endpoints[i]->gateway6;
	}
}

static int write_hosts(const struct container *c, const struct links *links, int dir,
		       struct error *err)
{
	const struct container_spec *s = c->spec;
	autofree struct netaddr *addrs = xnew0n(struct netaddr, 2 * c->endpoint_count + 1);
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
	for (size_t i = 0; i < c->endpoint_count; i++) {
		addrs[args.addr_count++] = c->endpoints[i]->ipv4.addr;
		addrs[args.addr_count++] = c->endpoints[i]->ipv6.addr;
	}
	args.addrs = addrs;
	args.links = links->hosts;
	args.link_count = links->n;
	host_gateway(c, &args);
	r = files_hosts(&args, &text, err);
	return r < 0 ? r : save(dir, "hosts", &text, err);
}

struct names_call {
	struct engine *e;
	const struct container *c;
	bool names;
};

static void names_on_loop(void *data)
{
	struct names_call *call = data;

	call->names = endpoints_have_names(call->e, call->c);
}

static bool has_ipv6(const struct container *c)
{
	for (size_t i = 0; i < c->endpoint_count; i++)
		if (netaddr_is_set(&c->endpoints[i]->ipv6.addr))
			return true;
	return false;
}

/* The container's own, else the daemon's. */
static const struct json_strings *first_of(const struct json_strings *own,
					   const struct json_strings *all)
{
	return own->n > 0 ? own : all;
}

static int write_resolv(struct engine *e, const struct container *c, int dir, struct error *err)
{
	const struct host_config *h = &c->spec->host;
	const struct settings *d = engine_settings(e);
	const struct json_strings *dns = first_of(&h->dns, &d->dns);
	const struct json_strings *search = first_of(&h->dns_search, &d->dns_search);
	const struct json_strings *options = first_of(&h->dns_options, &d->dns_opts);
	struct names_call names = {.e = e, .c = c};
	autostrbuf struct strbuf text = STRBUF_INIT(FILES_MAX);
	autofree char *host = NULL;
	struct files_resolv args = {
		.dns = dns->v,
		.dns_count = dns->n,
		.search = search->v,
		.search_count = search->n,
		.options = options->v,
		.option_count = options->n,
		.own_netns = !str_eq(h->network_mode, "host"),
		.ipv6 = has_ipv6(c),
	};
	int r = files_resolv_host(&host, err);

	engine_call(e, names_on_loop, &names);
	args.resolver = names.names;
	args.host = host;
	r = r < 0 ? r : files_resolv(&args, &text, err);
	return r < 0 ? r : save(dir, "resolv.conf", &text, err);
}

static int edit_hosts(const struct container *c, int dir, const struct files_change *change,
		      struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(FILES_MAX);
	autofree char *text = NULL;
	struct netaddr drop[2], add[2];
	struct files_hosts_edit edit = {.drop = drop,
					.add = add,
					.hostname = c->spec->config.hostname,
					.domainname = c->spec->config.domainname};
	int r = file_read(dir, "hosts", FILES_MAX, &text, NULL, err);

	if (r < 0)
		return r;
	edit.text = text;
	if (change->left) {
		drop[edit.drop_count++] = change->left->ipv4.addr;
		drop[edit.drop_count++] = change->left->ipv6.addr;
	}
	if (change->joined) {
		add[edit.add_count++] = change->joined->ipv4.addr;
		add[edit.add_count++] = change->joined->ipv6.addr;
	}
	r = files_hosts_edit(&edit, &out, err);
	return r < 0 ? r : save(dir, "hosts", &out, err);
}

int files_change(struct engine *e, const struct container *c, const struct files_change *change,
		 struct error *err)
{
	autoclose int dir = open(c->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open directory '%s'", c->state_dir);
	r = edit_hosts(c, dir, change, err);
	return r < 0 || !change->resolv ? r : write_resolv(e, c, dir, err);
}

int files_write(struct engine *e, const struct container *c, const struct links *links,
		struct error *err)
{
	autostrbuf struct strbuf hostname = STRBUF_INIT(FILES_MAX);
	autoclose int dir = open(c->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open directory '%s'", c->state_dir);
	files_hostname(c->spec->config.hostname, &hostname);
	r = save(dir, "hostname", &hostname, err);
	r = r < 0 ? r : write_hosts(c, links, dir, err);
	return r < 0 ? r : write_resolv(e, c, dir, err);
}
