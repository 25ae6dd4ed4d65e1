/* A container as inspect and as ps show it. */
#include <string.h>

#include "api/encode.h"
#include "api/encode_priv.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/engine.h"
#include "engine/health.h"
#include "engine/link.h"
#include "engine/volume.h"
#include "store/store.h"

#define TEXT_MAX ((size_t)1 << 20) /* bytes of one joined string */

void encode_time(struct json_writer *w, const char *key, int64_t ns)
{
	char text[CLOCK_RFC3339_SIZE] = "0001-01-01T00:00:00Z";

	if (ns != 0)
		clock_format_rfc3339(ns, text);
	jw_kstring(w, key, text);
}

/* The command: entrypoint, then arguments. */
static size_t command_count(const struct container_config *c)
{
	return c->entrypoint.n + c->cmd.n;
}

static const char *command_at(const struct container_config *c, size_t i)
{
	return i < c->entrypoint.n ? c->entrypoint.v[i] : c->cmd.v[i - c->entrypoint.n];
}

static void write_state(const struct container *c, struct json_writer *w)
{
	const struct container_state *s = &c->state;
	bool restarting = s->status == CONTAINER_RESTARTING;

	jw_kobject(w, "State");
	jw_kstring(w, "Status", container_status_name(s->status));
	jw_kbool(w, "Running", encode_is_up(c) || restarting);
	jw_kbool(w, "Paused", s->status == CONTAINER_PAUSED);
	jw_kbool(w, "Restarting", restarting);
	jw_kbool(w, "OOMKilled", s->oom_killed);
	jw_kbool(w, "Dead", s->status == CONTAINER_DEAD);
	jw_kint(w, "Pid", encode_is_up(c) ? s->pid : 0);
	jw_kint(w, "ExitCode", s->exit_code);
	jw_kstring(w, "Error", s->error ? s->error : "");
	encode_time(w, "StartedAt", s->started_at);
	encode_time(w, "FinishedAt", s->finished_at);
	if (c->health) {
		jw_kobject(w, "Health");
		health_write(c->health, w);
		jw_object_end(w);
	}
	jw_object_end(w);
}

static void write_file(const struct container *c, const char *key, const char *name,
		       struct json_writer *w)
{
	jw_key(w, key);
	if (c->state.started_at == 0)
		jw_string(w, "");
	else
		jw_stringf(w, "%s/%s", c->state_dir, name);
}

static void write_exec_ids(const struct container *c, struct json_writer *w)
{
	size_t n = 0;

	for (size_t i = 0; i < c->exec_count; i++)
		n += c->execs[i]->running || !c->execs[i]->started;
	if (n == 0) {
		jw_knull(w, "ExecIDs");
		return;
	}
	jw_karray(w, "ExecIDs");
	for (size_t i = 0; i < c->exec_count; i++)
		if (c->execs[i]->running || !c->execs[i]->started)
			jw_string(w, c->execs[i]->id);
	jw_array_end(w);
}

/* No root filesystem is mounted on the host: a running one is seen through its first process. */
static void write_graph_driver(const struct encode_args *a, const struct container *c,
			       struct json_writer *w)
{
	autostrbuf struct strbuf lower = STRBUF_INIT(TEXT_MAX);

	jw_kobject(w, "GraphDriver");
	if (!a->snap) {
		jw_knull(w, "Data");
	} else {
		for (size_t i = 0; i < a->snap->lower.n; i++)
			strbuf_addf(&lower, "%s%s", i ? ":" : "", a->snap->lower.v[i]);
		jw_kobject(w, "Data");
		jw_kstring(w, "ID", c->id);
		jw_kstring(w, "LowerDir", lower.s);
		if (encode_is_up(c)) {
			jw_key(w, "MergedDir");
			jw_stringf(w, "/proc/%d/root", (int)c->state.pid);
		}
		jw_kstring(w, "UpperDir", a->snap->upper);
		jw_kstring(w, "WorkDir", a->snap->work);
		jw_object_end(w);
	}
	jw_kstring(w, "Name", "overlay2");
	jw_object_end(w);
}

static void write_network_settings(const struct encode_args *a, const struct container *c,
				   struct json_writer *w)
{
	const struct network_endpoint *ep = encode_endpoint(a, c);

	jw_kobject(w, "NetworkSettings");
	jw_kstring(w, "Bridge", "");
	/* The network namespace is the container's own: it has the container's name. */
	jw_kstring(w, "SandboxID", encode_is_up(c) ? c->id : "");
	jw_key(w, "SandboxKey");
	if (encode_is_up(c))
		jw_stringf(w, "/proc/%d/ns/net", (int)c->state.pid);
	else
		jw_string(w, "");
	encode_port_map(c, w);
	jw_kbool(w, "HairpinMode", false);
	jw_kstring(w, "LinkLocalIPv6Address", "");
	jw_kint(w, "LinkLocalIPv6PrefixLen", 0);
	jw_knull(w, "SecondaryIPAddresses");
	jw_knull(w, "SecondaryIPv6Addresses");
	encode_addresses(w, ep);
	encode_mac(w, ep);
	encode_networks(a, c, w);
	jw_object_end(w);
}

static void write_bind(const struct config_bind *b, struct json_writer *w)
{
	jw_object(w);
	jw_kstring(w, "Type", "bind");
	jw_kstring(w, "Source", b->source);
	jw_kstring(w, "Destination", b->target);
	jw_kstring(w, "Mode", b->mode);
	jw_kbool(w, "RW", !b->read_only);
	jw_kstring(w, "Propagation", *b->propagation ? b->propagation : "rprivate");
	jw_object_end(w);
}

/* Nothing of an image is mounted on the host. */
static void write_image_mount(const struct config_mount *m, const struct container *c,
			      struct json_writer *w)
{
	jw_object(w);
	jw_kstring(w, "Type", "image");
	jw_kstring(w, "Name", m->source);
	jw_key(w, "Source");
	if (encode_is_up(c))
		jw_stringf(w, "/proc/%lld/root%s", (long long)c->state.pid, m->target);
	else
		jw_string(w, "");
	jw_kstring(w, "Destination", m->target);
	jw_kstring(w, "Mode", "");
	jw_kbool(w, "RW", false);
	jw_kstring(w, "Propagation", "");
	jw_object_end(w);
}

static void write_mount(const struct config_mount *m, struct json_writer *w)
{
	bool is_bind = strcmp(m->type, "bind") == 0;
	const char *propagation = json_get_string(m->bind_options, "Propagation");

	jw_object(w);
	jw_kstring(w, "Type", m->type);
	jw_kstring(w, "Source", m->source);
	jw_kstring(w, "Destination", m->target);
	jw_kstring(w, "Mode", "");
	jw_kbool(w, "RW", !m->read_only);
	if (str_empty(propagation))
		propagation = is_bind ? "rprivate" : "";
	jw_kstring(w, "Propagation", propagation);
	jw_object_end(w);
}

/* What VOLUME of the image, or -v /path, asked for. */
static void write_point(const struct encode_args *a, const struct config_point *p,
			struct json_writer *w)
{
	jw_object(w);
	jw_kstring(w, "Type", p->volume[0] ? "volume" : "bind");
	if (p->volume[0]) {
		jw_kstring(w, "Name", p->volume);
		jw_key(w, "Source");
		jw_stringf(w, "%s/volumes/%s/_data", engine_get_args(a->engine)->data_root,
			   p->volume);
	} else {
		jw_kstring(w, "Source", p->source);
	}
	jw_kstring(w, "Destination", p->target);
	if (p->volume[0])
		jw_kstring(w, "Driver", VOLUME_DRIVER);
	jw_kstring(w, "Mode", p->mode);
	jw_kbool(w, "RW", !p->read_only);
	jw_kstring(w, "Propagation", p->volume[0] ? "" : "rprivate");
	jw_object_end(w);
}

void encode_mounts(const struct encode_args *args, const struct container *c, struct json_writer *w)
{
	const struct host_config *h = &c->spec->host;
	const struct config_mount *mounts = h->mounts.v;
	autoarena struct arena *a = arena_new();
	struct config_bind b;

	jw_karray(w, "Mounts");
	for (size_t i = 0; i < h->binds.n; i++)
		if (config_bind_parse(a, h->binds.v[i], &b, NULL) == 0 && !b.is_volume)
			write_bind(&b, w);
	for (size_t i = 0; i < h->mounts.n; i++)
		if (str_eq(mounts[i].type, "image"))
			write_image_mount(&mounts[i], c, w);
		else if (!str_eq(mounts[i].type, "volume"))
			write_mount(&mounts[i], w);
	for (size_t i = 0; i < c->spec->point_count; i++)
		write_point(args, &c->spec->points[i], w);
	jw_array_end(w);
}

static void write_command(const struct container_config *c, struct json_writer *w)
{
	jw_kstring(w, "Path", command_count(c) > 0 ? command_at(c, 0) : "");
	jw_karray(w, "Args");
	for (size_t i = 1; i < command_count(c); i++)
		jw_string(w, command_at(c, i));
	jw_array_end(w);
}

/* A list leaves a size of nothing out, as Docker's does; inspect has been asked for it. */
static void write_sizes(const struct encode_args *a, bool in_list, struct json_writer *w)
{
	if (a->size_rw < 0)
		return;
	if (a->size_rw > 0 || !in_list)
		jw_kint(w, "SizeRw", a->size_rw);
	jw_kint(w, "SizeRootFs", a->size_root);
}

/* Links as "/database:/web/db", by names: programs that make containers anew take them apart there. */
static void write_host(const struct encode_args *a, const struct container *c,
		       struct json_writer *w)
{
	struct host_config host = c->spec->host;
	autostrv struct strv links = {0};

	for (size_t i = 0; i < host.links.n; i++) {
		autofree char *ref = NULL, *alias = NULL;
		struct container *other;

		link_parse(host.links.v[i], &ref, &alias);
		if (engine_container_get(a->engine, ref, &other, NULL) >= 0)
			strv_addf(&links, "/%s:/%s/%s", other->name, c->name, alias);
	}
	host.links = (struct json_strings){.v = (const char **)links.v, .n = links.n};
	jw_kobject(w, "HostConfig");
	host_config_write(&host, a->version, w);
	jw_object_end(w);
}

/* The container-wide MAC address is the one asked for on its own network: from 1.44 on it is given there. */
static void write_config(const struct encode_args *a, const struct container_spec *s,
			 struct json_writer *w)
{
	struct container_config config = s->config;

	for (size_t i = 0; i < s->endpoint_count; i++)
		if (str_empty(config.mac_address) &&
		    str_eq(s->endpoints[i].network, s->host.network_mode))
			config.mac_address = s->endpoints[i].mac_address;
	jw_kobject(w, "Config");
	container_config_write(&config, a->version, w);
	jw_object_end(w);
}

void encode_container_inspect(const struct encode_args *a, const struct container *c,
			      struct json_writer *w)
{
	const struct container_spec *s = c->spec;

	jw_object(w);
	jw_kstring(w, "Id", c->id);
	encode_time(w, "Created", c->created_at);
	write_command(&s->config, w);
	write_state(c, w);
	jw_kstring(w, "Image", c->image_id);
	write_file(c, "ResolvConfPath", "resolv.conf", w);
	write_file(c, "HostnamePath", "hostname", w);
	write_file(c, "HostsPath", "hosts", w);
	jw_kstring(w, "LogPath", c->log_path && c->state.started_at ? c->log_path : "");
	jw_key(w, "Name");
	jw_stringf(w, "/%s", c->name);
	jw_kuint(w, "RestartCount", c->state.restart_count);
	jw_kstring(w, "Driver", "overlay2");
	jw_kstring(w, "Platform", "linux");
	jw_kstring(w, "MountLabel", c->labels.mount);
	jw_kstring(w, "ProcessLabel", c->labels.process);
	jw_kstring(w, "AppArmorProfile", engine_apparmor_profile(a->engine, c) ?: "");
	write_exec_ids(c, w);
	write_host(a, c, w);
	write_graph_driver(a, c, w);
	write_sizes(a, false, w);
	encode_mounts(a, c, w);
	write_config(a, s, w);
	write_network_settings(a, c, w);
	jw_object_end(w);
}

/* "sh -c 'echo hello'" */
static void write_command_line(const struct container_config *c, struct json_writer *w)
{
	autostrbuf struct strbuf b = STRBUF_INIT(TEXT_MAX);

	for (size_t i = 0; i < command_count(c); i++) {
		const char *word = command_at(c, i);

		if (i > 0)
			strbuf_addc(&b, ' ');
		strbuf_addf(&b, i > 0 && strchr(word, ' ') ? "'%s'" : "%s", word);
	}
	jw_kstring(w, "Command", b.s);
}

void encode_container_summary(const struct encode_args *a, const struct container *c,
			      struct json_writer *w)
{
	autostrbuf struct strbuf status = STRBUF_INIT(256);
	const struct container_spec *s = c->spec;

	container_status_text(c, a->now_ns, &status);
	jw_object(w);
	jw_kstring(w, "Id", c->id);
	jw_karray(w, "Names");
	jw_stringf(w, "/%s", c->name);
	jw_array_end(w);
	jw_kstring(w, "Image", s->config.image);
	jw_kstring(w, "ImageID", c->image_id);
	write_command_line(&s->config, w);
	jw_kint(w, "Created", c->created_at / 1000000000);
	encode_port_list(c, w);
	write_sizes(a, true, w);
	jw_key(w, "Labels");
	if (s->config.labels) {
		jw_value(w, s->config.labels);
	} else {
		jw_object(w);
		jw_object_end(w);
	}
	jw_kstring(w, "State", container_status_name(c->state.status));
	jw_kstring(w, "Status", status.s);
	jw_kobject(w, "HostConfig");
	jw_kstring(w, "NetworkMode", s->host.network_mode);
	if (a->version >= 146 && s->host.annotations.n > 0) {
		jw_kobject(w, "Annotations");
		for (size_t i = 0; i < s->host.annotations.n; i++)
			jw_kstring(w, s->host.annotations.keys[i], s->host.annotations.values[i]);
		jw_object_end(w);
	}
	jw_object_end(w);
	jw_kobject(w, "NetworkSettings");
	encode_networks(a, c, w);
	jw_object_end(w);
	encode_mounts(a, c, w);
	jw_object_end(w);
}
