/* engine/resolver.c - the files by which containers' resolvers answer. */
#include "engine/resolver.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/endpoint.h"
#include "engine/engine_priv.h"
#include "engine/link.h"
#include "network/files.h"
#include "shim/protocol.h"

#define TEXT_MAX     ((size_t)64 << 20)
#define NAME_LEN_MAX 256 /* bytes of a DNS name */

/* ---- names [loop] ---------------------------------------------------------------------------- */

/* One word of a line, in lower case; what could not be one is left out. */
static void add_name(struct strbuf *out, const char *name)
{
	if (str_empty(name) || strlen(name) >= NAME_LEN_MAX)
		return;
	for (const char *s = name; *s; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f)
			return;
	strbuf_addc(out, ' ');
	for (; *name; name++)
		strbuf_addc(out, (char)tolower((unsigned char)*name));
}

static void add_address(struct strbuf *out, const struct netaddr *a)
{
	char text[NETADDR_SIZE];

	strbuf_adds(out, netaddr_is_set(a) ? netaddr_format(a, text) : "-");
}

static void add_endpoint(struct engine *e, const struct container *c,
			 const struct network_endpoint *ep, struct strbuf *out)
{
	const struct config_endpoint *want = endpoints_config(e, c->spec, ep->network_id);
	char id[13];

	add_address(out, &ep->ipv4.addr);
	strbuf_addc(out, ' ');
	add_address(out, &ep->ipv6.addr);
	add_name(out, c->name);
	for (size_t i = 0; want && i < want->aliases.n; i++)
		add_name(out, want->aliases.v[i]);
	(void)str_copy(id, sizeof(id), c->id); /* the first twelve digits */
	add_name(out, id);
	if (!str_eq(c->spec->config.hostname, id))
		add_name(out, c->spec->config.hostname);
	strbuf_addc(out, '\n');
}

struct network_call {
	struct engine *e;
	const char *id;
	struct strbuf *out;
	bool found;
};

static void network_on_loop(void *data)
{
	struct network_call *call = data;
	struct engine *e = call->e;
	const struct network *net = network_find(e->network, call->id);

	if (!net || !network_has_names(net))
		return;
	call->found = true;
	strbuf_addf(call->out, "network %s\n", net->name);
	for (size_t i = 0; i < e->container_count; i++) {
		const struct network_endpoint *ep = endpoints_find(e->containers[i], net->id);

		if (ep)
			add_endpoint(e, e->containers[i], ep, call->out);
	}
}

/* ---- files ----------------------------------------------------------------------------------- */

void resolver_update_network(struct engine *e, const char *network_id)
{
	autostrbuf struct strbuf text = STRBUF_INIT(TEXT_MAX);
	autofree char *path = xasprintf(SHIM_NAMES_DIR "/%s", network_id);
	struct network_call call = {.e = e, .id = network_id, .out = &text};
	autoerror struct error err = {0};

	/* The loop never takes this lock, so it may be held while the loop is asked. */
	(void)pthread_mutex_lock(&e->names_lock);
	engine_call(e, network_on_loop, &call);
	if (call.found &&
	    (strbuf_error(&text) < 0 ||
	     file_write_atomic(e->exec_fd, path, text.s, text.len, 0600, 0, &err) < 0))
		log_error("write the names of network '%s': %s", network_id, error_msg(&err));
	(void)pthread_mutex_unlock(&e->names_lock);
}

void resolver_update_networks(struct engine *e, struct network_endpoint *const *eps, size_t n)
{
	for (size_t i = 0; i < n; i++)
		resolver_update_network(e, eps[i]->network_id);
}

void resolver_forget_network(struct engine *e, const char *network_id)
{
	autofree char *path = xasprintf(SHIM_NAMES_DIR "/%s", network_id);

	(void)unlinkat(e->exec_fd, path, 0);
}

/* ---- a container's view ---------------------------------------------------------------------- */

struct view_call {
	struct engine *e;
	const struct container *c;
	struct strbuf *out;
	bool ipv4, ipv6; /* there is a way out */
};

/* "db-1:database" or "db-1"; the container by whatever it was referred to. */
static void add_link(const struct view_call *call, const struct network *net, const char *link)
{
	autofree char *ref = NULL, *alias = NULL;
	struct container *other = NULL;

	link_parse(link, &ref, &alias);
	if (roster_find(call->e, ref, &other, NULL) < 0)
		other = NULL;
	strbuf_addf(call->out, "link %s", net->id);
	add_name(call->out, alias);
	add_name(call->out, other ? other->name : ref);
	strbuf_addc(call->out, '\n');
}

static void view_on_loop(void *data)
{
	struct view_call *call = data;
	const struct container *c = call->c;

	for (size_t i = 0; i < c->endpoint_count; i++) {
		const struct network_endpoint *ep = c->endpoints[i];
		const struct network *net = network_find(call->e->network, ep->network_id);
		const struct config_endpoint *want =
			endpoints_config(call->e, c->spec, ep->network_id);

		call->ipv4 |= ep->default4;
		call->ipv6 |= ep->default6;
		if (!net || !network_has_names(net))
			continue;
		strbuf_addf(call->out, "network %s\n", net->id);
		for (size_t k = 0; want && k < want->links.n; k++)
			add_link(call, net, want->links.v[k]);
		for (size_t k = 0; k < c->spec->host.links.n; k++)
			add_link(call, net, c->spec->host.links.v[k]);
	}
}

/* Who answers what is no name here.  Nobody for a container that has no way out: what it asks would
 * get out by us. */
static int add_servers(const struct view_call *call, struct error *err)
{
	const struct json_strings *own = &call->c->spec->host.dns;
	const struct json_strings *dns = own->n > 0 ? own : &engine_settings(call->e)->dns;
	autofree char *host = NULL;
	struct files_resolv args = {
		.dns = dns->v, .dns_count = dns->n, .own_netns = true, .ipv6 = call->ipv6};
	int r;

	if (!call->ipv4 && !call->ipv6)
		return 0;
	r = files_resolv_host(&host, err);
	args.host = host;
	return r < 0 ? r : files_resolv_servers(&args, call->out, err);
}

int resolver_write_container(struct engine *e, struct container *c, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT(TEXT_MAX);
	autofree char *path = xasprintf("containers/%s/" SHIM_RESOLVER_NAME, c->id);
	struct view_call call = {.e = e, .c = c, .out = &text};
	int r;

	engine_call(e, view_on_loop, &call);
	r = add_servers(&call, err);
	return r < 0 ? r : file_write_atomic(e->exec_fd, path, text.s, text.len, 0600, 0, err);
}

/* ---- after a crash --------------------------------------------------------------------------- */

void resolver_restore(struct engine *e)
{
	int fd = openat(e->exec_fd, SHIM_NAMES_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && !network_find(e->network, entry->d_name))
			resolver_forget_network(e, entry->d_name);
	if (dir)
		(void)closedir(dir);
	else if (fd >= 0)
		(void)close(fd);
	for (size_t i = 0; i < network_count(e->network); i++)
		resolver_update_network(e, network_at(e->network, i)->id);
}
