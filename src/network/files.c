/* What /etc/hosts, /etc/resolv.conf and /etc/hostname say in a container. */
#include "network/files.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

/* --- hosts -------------------------------------------------------------------------------- */

/* As Docker writes them, so that scripts that edit the file find what they look for. */
static const char hosts_head[] = "127.0.0.1\tlocalhost\n"
				 "::1\tlocalhost ip6-localhost ip6-loopback\n"
				 "fe00::\tip6-localnet\n"
				 "ff00::\tip6-mcastprefix\n"
				 "ff02::1\tip6-allnodes\n"
				 "ff02::2\tip6-allrouters\n";

/* "name:ip" or "name=ip", the first separator; an IPv6 address may be in brackets. */
struct extra_host {
	char *name;          /* owned */
	struct netaddr addr; /* unset: host-gateway */
};

static void extra_host_done(struct extra_host *e)
{
	free(e->name);
}

static bool host_name_valid(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s; s++)
		if (isspace((unsigned char)*s) || iscntrl((unsigned char)*s) || *s == '#')
			return false;
	return true;
}

static int parse_extra_host(const char *s, struct extra_host *ret, struct error *err)
{
	size_t n = strcspn(s, ":=");
	__attribute__((cleanup(extra_host_done))) struct extra_host e = {0};
	autofree char *value = NULL;
	size_t len;

	if (n == 0 || s[n] == '\0')
		return error_set(err, ERROR_INVALID, 0, "bad format for add-host: \"%s\"", s);
	e.name = xstrndup(s, n);
	value = xstrdup(s + n + 1);
	len = strlen(value);
	if (len > 2 && value[0] == '[' && value[len - 1] == ']') {
		memmove(value, value + 1, len - 2);
		value[len - 2] = '\0';
	}
	if (!host_name_valid(e.name))
		return error_set(err, ERROR_INVALID, 0, "bad format for add-host: \"%s\"", s);
	if (strcmp(value, "host-gateway") != 0 && netaddr_parse(value, &e.addr) < 0)
		return error_set(err, ERROR_INVALID, 0, "invalid IP address in add-host: \"%s\"",
				 value);
	*ret = e;
	e = (struct extra_host){0};
	return 0;
}

int files_extra_host_check(const char *s, struct error *err)
{
	__attribute__((cleanup(extra_host_done))) struct extra_host e = {0};

	return parse_extra_host(s, &e, err);
}

static void add_host(struct strbuf *out, const struct netaddr *a, const char *name)
{
	char text[NETADDR_SIZE];

	if (netaddr_is_set(a))
		strbuf_addf(out, "%s\t%s\n", netaddr_format(a, text), name);
}

static int add_extra_host(const struct files_hosts *args, const char *s, struct strbuf *out,
			  struct error *err)
{
	__attribute__((cleanup(extra_host_done))) struct extra_host e = {0};
	int r = parse_extra_host(s, &e, err);

	if (r < 0)
		return r;
	if (netaddr_is_set(&e.addr)) {
		add_host(out, &e.addr, e.name);
		return 0;
	}
	if (!netaddr_is_set(&args->host_gateway4) && !netaddr_is_set(&args->host_gateway6))
		return error_set(err, ERROR_INVALID, 0,
				 "unable to derive the IP value for host-gateway");
	add_host(out, &args->host_gateway4, e.name);
	add_host(out, &args->host_gateway6, e.name);
	return 0;
}

/* The full name first: it is the canonical one (hosts(5)). */
static char *own_names(const char *hostname, const char *domainname)
{
	return str_empty(domainname) ? xstrdup(hostname)
				     : xasprintf("%s.%s %s", hostname, domainname, hostname);
}

int files_hosts(const struct files_hosts *args, struct strbuf *out, struct error *err)
{
	strbuf_adds(out, hosts_head);
	for (size_t i = 0; i < args->extra_count; i++) {
		int r = add_extra_host(args, args->extra[i], out, err);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < args->link_count; i++)
		add_host(out, &args->links[i].addr, args->links[i].names);
	if (!str_empty(args->hostname)) {
		autofree char *names = own_names(args->hostname, args->domainname);

		for (size_t i = 0; i < args->addr_count; i++)
			add_host(out, &args->addrs[i], names);
	}
	if (strbuf_error(out) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "make hosts file");
	return 0;
}

static bool begins_with(const char *line, size_t len, const struct netaddr *a)
{
	char text[NETADDR_SIZE];
	size_t n;

	if (!netaddr_is_set(a))
		return false;
	n = strlen(netaddr_format(a, text));
	return len > n && memcmp(line, text, n) == 0 && isspace((unsigned char)line[n]);
}

int files_hosts_edit(const struct files_hosts_edit *args, struct strbuf *out, struct error *err)
{
	autofree char *names = own_names(args->hostname ? args->hostname : "", args->domainname);

	for (const char *line = args->text; *line;) {
		size_t n = strcspn(line, "\n");
		bool drop = false;

		for (size_t i = 0; i < args->drop_count; i++)
			drop |= begins_with(line, n, &args->drop[i]);
		if (!drop) {
			strbuf_add(out, line, n);
			strbuf_addc(out, '\n');
		}
		line += n + (line[n] == '\n');
	}
	for (size_t i = 0; *names && i < args->add_count; i++)
		add_host(out, &args->add[i], names);
	if (strbuf_error(out) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "make hosts file");
	return 0;
}

/* --- resolv.conf -------------------------------------------------------------------------- */

/* What a resolv.conf(5) says.  Unknown lines are dropped: they would mean nothing in another
 * file's company. */
struct resolv {
	struct strv servers, search, options;
};

static void resolv_done(struct resolv *r)
{
	strv_done(&r->servers);
	strv_done(&r->search);
	strv_done(&r->options);
}

#define BLANK " \t"

static void add_words(struct strv *v, const char *s)
{
	for (;;) {
		size_t n;
		autofree char *word = NULL;

		s += strspn(s, BLANK);
		n = strcspn(s, BLANK);
		if (n == 0)
			return;
		word = xstrndup(s, n);
		strv_add(v, word);
		s += n;
	}
}

static void parse_line(struct resolv *r, char *line)
{
	size_t n;
	char *rest;

	line += strspn(line, BLANK);
	n = strcspn(line, BLANK);
	rest = line + n;
	if (*rest)
		*rest++ = '\0';
	rest[strcspn(rest, "#;")] = '\0';

	if (strcmp(line, "nameserver") == 0) {
		struct strv words = {0};

		add_words(&words, rest);
		if (words.n > 0)
			strv_add(&r->servers, words.v[0]);
		strv_done(&words);
	} else if (strcmp(line, "search") == 0 || strcmp(line, "domain") == 0) {
		strv_done(&r->search); /* the last one counts */
		add_words(&r->search, rest);
	} else if (strcmp(line, "options") == 0) {
		add_words(&r->options, rest);
	}
}

static void parse_resolv(const char *text, struct resolv *r)
{
	while (text && *text) {
		size_t n = strcspn(text, "\r\n");
		autofree char *line = xstrndup(text, n);

		parse_line(r, line);
		text += n + (text[n] != '\0');
	}
}

/* Whether a nameserver of the host answers from within the container's namespace too. */
static bool is_usable(const char *server, const struct files_resolv *args)
{
	autofree char *plain = xstrndup(server, strcspn(server, "%"));
	struct netaddr a;

	if (netaddr_parse(plain, &a) < 0)
		return false;
	if (!args->own_netns)
		return true;
	if (netaddr_is_loopback(&a) || netaddr_is_any(&a))
		return false;
	/* A zone names a link that the container does not have. */
	return a.family == AF_INET || (args->ipv6 && !strchr(server, '%'));
}

static void add_line(struct strbuf *out, const char *key, const char *const *v, size_t n)
{
	if (n == 0)
		return;
	strbuf_adds(out, key);
	for (size_t i = 0; i < n; i++)
		strbuf_addf(out, " %s", v[i]);
	strbuf_addc(out, '\n');
}

/* What is left when the host has none that containers reach: public resolvers, as Docker does it,
 * rather than no names at all. */
static const struct {
	const char *server;
	bool ipv6;
} fallbacks[] = {
	{"8.8.8.8", false},
	{"8.8.4.4", false},
	{"2001:4860:4860::8888", true},
	{"2001:4860:4860::8844", true},
};

static int add_servers(const struct files_resolv *args, const struct resolv *host,
		       struct strbuf *out, struct error *err)
{
	size_t n = 0;

	if (args->resolver) {
		strbuf_adds(out, "nameserver 127.0.0.11\n");
		return 0;
	}
	for (size_t i = 0; i < args->dns_count; i++) {
		struct netaddr a;

		if (netaddr_parse(args->dns[i], &a) < 0)
			return error_set(err, ERROR_INVALID, 0, "invalid DNS server '%s'",
					 args->dns[i]);
		strbuf_addf(out, "nameserver %s\n", args->dns[i]);
	}
	if (args->dns_count > 0)
		return 0;
	for (size_t i = 0; i < host->servers.n; i++) {
		if (!is_usable(host->servers.v[i], args))
			continue;
		strbuf_addf(out, "nameserver %s\n", host->servers.v[i]);
		n++;
	}
	for (size_t i = 0; n == 0 && args->own_netns && i < ARRAY_SIZE(fallbacks); i++)
		if (!fallbacks[i].ipv6 || args->ipv6)
			strbuf_addf(out, "nameserver %s\n", fallbacks[i].server);
	return 0;
}

/* Names of networks may have no dot in them: a resolver that knows them is asked as they are first. */
static void add_options(const struct files_resolv *args, const struct resolv *host,
			struct strbuf *out)
{
	autostrv struct strv all = {0};
	bool ndots = false;

	for (size_t i = 0; i < args->option_count; i++)
		strv_add(&all, args->options[i]);
	for (size_t i = 0; args->option_count == 0 && i < host->options.n; i++)
		strv_add(&all, host->options.v[i]);
	for (size_t i = 0; i < all.n; i++)
		ndots |= str_has_prefix(all.v[i], "ndots:");
	if (args->resolver && !ndots)
		strv_add(&all, "ndots:0");
	add_line(out, "options", (const char *const *)all.v, all.n);
}

static bool is_host_only(const char *server)
{
	struct netaddr a;

	return netaddr_parse(server, &a) == 0 && netaddr_is_loopback(&a);
}

int files_resolv_servers(const struct files_resolv *args, struct strbuf *out, struct error *err)
{
	__attribute__((cleanup(resolv_done))) struct resolv host = {0};
	size_t n = 0;

	for (size_t i = 0; i < args->dns_count; i++)
		strbuf_addf(out, "server %s\n", args->dns[i]);
	if (args->dns_count == 0)
		parse_resolv(args->host, &host);
	for (size_t i = 0; i < host.servers.n; i++) {
		bool here = is_host_only(host.servers.v[i]);

		if (!here && !is_usable(host.servers.v[i], args))
			continue;
		strbuf_addf(out, "%sserver %s\n", here ? "host-" : "", host.servers.v[i]);
		n++;
	}
	for (size_t i = 0; args->dns_count == 0 && n == 0 && i < ARRAY_SIZE(fallbacks); i++)
		if (!fallbacks[i].ipv6 || args->ipv6)
			strbuf_addf(out, "server %s\n", fallbacks[i].server);
	if (strbuf_error(out) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "list name servers");
	return 0;
}

int files_resolv(const struct files_resolv *args, struct strbuf *out, struct error *err)
{
	__attribute__((cleanup(resolv_done))) struct resolv host = {0};
	bool no_search = args->search_count == 1 && strcmp(args->search[0], ".") == 0;
	int r;

	parse_resolv(args->host, &host);
	r = add_servers(args, &host, out, err);
	if (r < 0)
		return r;
	if (args->search_count == 0)
		add_line(out, "search", (const char *const *)host.search.v, host.search.n);
	else if (!no_search)
		add_line(out, "search", args->search, args->search_count);
	add_options(args, &host, out);
	if (strbuf_error(out) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "make resolv.conf");
	return 0;
}

/* The only nameserver is systemd-resolved's stub, which listens on the host's loopback. */
static bool is_stub_only(const char *text)
{
	__attribute__((cleanup(resolv_done))) struct resolv r = {0};

	parse_resolv(text, &r);
	return r.servers.n == 1 && strcmp(r.servers.v[0], "127.0.0.53") == 0;
}

int files_resolv_host(char **ret, struct error *err)
{
	static const char real[] = "/run/systemd/resolve/resolv.conf";
	autofree char *text = NULL;
	char *better = NULL;
	int r = file_read(AT_FDCWD, "/etc/resolv.conf", FILES_MAX, &text, NULL, NULL);

	if (r == -ENOENT)
		text = xstrdup("");
	else if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "read '/etc/resolv.conf'");
	if (is_stub_only(text) && file_read(AT_FDCWD, real, FILES_MAX, &better, NULL, NULL) == 0) {
		free(text);
		text = better;
	}
	*ret = TAKE_PTR(text);
	return 0;
}

void files_hostname(const char *hostname, struct strbuf *out)
{
	strbuf_addf(out, "%s\n", hostname);
}
