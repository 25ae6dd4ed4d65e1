/* From the flags of run and create to Docker's create body.
 *
 * Grammar of compound values (-p, --mount, --ulimit, ...) is split here, as Docker's client does; what the
 * values mean is the engine's business.
 */
#include "cli/container_options.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/gpus.h"
#include "cli/mounts.h"
#include "cli/networks.h"
#include "cli/stream.h"

#define FILE_MAX (1 << 20)

static int bad(struct error *err, const char *flag, const char *value, const char *why)
{
	return error_set(err, ERROR_INVALID, 0, "invalid argument \"%s\" for \"--%s\" flag: %s",
			 value, flag, why);
}

/* Split at the first `c`: the part before is *left, what follows is returned (NULL without `c`). */
static const char *cut(struct cli *cli, const char *s, char c, const char **left)
{
	const char *p = strchr(s, c);

	*left = p ? arena_strndup(cli->arena, s, (size_t)(p - s)) : s;
	return p ? p + 1 : NULL;
}

static void list(struct json_writer *w, const char *key, const struct strv *v)
{
	if (!v->n)
		return;
	jw_karray(w, key);
	for (size_t i = 0; i < v->n; i++)
		jw_string(w, v->v[i]);
	jw_array_end(w);
}

/* A map of "key=value" items; a key alone has the value "". */
static void map(struct cli *cli, struct json_writer *w, const char *name, const struct strv *v,
		char separator)
{
	if (!v->n)
		return;
	jw_kobject(w, name);
	for (size_t i = 0; i < v->n; i++) {
		const char *key, *value = cut(cli, v->v[i], separator, &key);

		jw_kstring(w, key, value ? value : "");
	}
	jw_object_end(w);
}

/* Docker's API has no field for time offsets: annotations carry them. */
static void write_annotations(struct cli *cli, const struct container_options *o,
			      struct json_writer *w)
{
	static const char *const clocks[] = {"monotonic", "boottime"};

	if (!o->annotations.n && !o->time_offset.n)
		return;
	jw_kobject(w, "Annotations");
	for (size_t i = 0; i < o->annotations.n; i++) {
		const char *key, *value = cut(cli, o->annotations.v[i], '=', &key);

		jw_kstring(w, key, value ? value : "");
	}
	for (size_t i = 0; i < o->time_offset.n; i++) {
		const char *clock, *value = cut(cli, o->time_offset.v[i], '=', &clock);

		/* Without the name of a clock: both. */
		for (size_t k = 0; k < (value ? 1 : ARRAY_SIZE(clocks)); k++) {
			jw_key(w, arena_printf(cli->arena, "vessel.time-offset.%s",
					       value ? clock : clocks[k]));
			jw_string(w, value ? value : clock);
		}
	}
	jw_object_end(w);
}

static int check_line(const char *line, const char *path, struct error *err)
{
	int len = (int)strcspn(line, "=");

	if (len == 0)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid env file (%s): no variable name on line '%s'", path,
				 line);
	if (strcspn(line, " \t") < (size_t)len)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid env file (%s): variable '%.*s' contains whitespaces",
				 path, len, line);
	return 0;
}

/* Lines of a file of NAME[=VALUE], without comments and blank lines, appended. */
static int read_lines(const char *path, struct strv *out, struct error *err)
{
	autofree char *text = NULL;
	autoerror struct error why = {0};
	int r = file_read(AT_FDCWD, path, FILE_MAX, &text, NULL, &why);

	if (r == -ENOENT)
		return error_set(err, ERROR_INVALID, 0, "open %s: no such file or directory", path);
	if (r < 0)
		return error_set(err, ERROR_INVALID, 0, "%s", error_msg(&why));
	for (char *p = text; *p;) {
		size_t len = strcspn(p, "\n");
		char *end = p + len;
		bool more = *end != '\0';

		*end = '\0';
		if (len && end[-1] == '\r')
			end[-1] = '\0';
		p += strspn(p, " \t");
		if (*p && *p != '#') {
			r = check_line(p, path, err);
			if (r < 0)
				return r;
			strv_add(out, p);
		}
		p = end + more;
	}
	return 0;
}

int container_check_env(const char *value, struct error *err)
{
	if (value[0] == '=' || value[0] == '\0')
		return error_set(err, ERROR_INVALID, 0, "invalid environment variable: %s", value);
	return 0;
}

int container_check_label(const char *value, struct error *err)
{
	if (value[0] == '=' || value[0] == '\0')
		return error_set(err, ERROR_INVALID, 0, "invalid label '%s': empty name", value);
	return 0;
}

int container_check_host(const char *value, struct error *err)
{
	size_t name = strcspn(value, ":=");

	if (!name || !value[name])
		return error_set(err, ERROR_INVALID, 0, "bad format for add-host: \"%s\"", value);
	return 0;
}

/* -e NAME takes the value from our environment, or nothing when it has none. */
int container_write_env(const struct strv *files, const struct strv *items, struct json_writer *w,
			struct error *err)
{
	autostrv struct strv all = {0};

	for (size_t i = 0; i < files->n; i++) {
		int r = read_lines(files->v[i], &all, err);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < items->n; i++)
		strv_add(&all, items->v[i]);
	if (!all.n)
		return 0;
	jw_karray(w, "Env");
	for (size_t i = 0; i < all.n; i++) {
		const char *s = all.v[i], *value;

		if (container_check_env(s, err) < 0)
			return -EINVAL;
		if (strchr(s, '='))
			jw_string(w, s);
		else if ((value = getenv(s)))
			jw_stringf(w, "%s=%s", s, value);
	}
	jw_array_end(w);
	return 0;
}

static int labels(struct cli *cli, const struct container_options *o, struct json_writer *w,
		  struct error *err)
{
	autostrv struct strv all = {0};

	for (size_t i = 0; i < o->label_file.n; i++) {
		int r = read_lines(o->label_file.v[i], &all, err);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < o->label.n; i++)
		strv_add(&all, o->label.v[i]);
	map(cli, w, "Labels", &all, '=');
	return 0;
}

/* Ports ------------------------------------------------------------------------------------- */

struct port_range {
	uint32_t first, last;
};

static int parse_range(const char *s, struct port_range *ret)
{
	char *copy = strdup(s), *dash;
	int r = -EINVAL;

	if (!copy)
		abort();
	dash = strchr(copy, '-');
	if (dash)
		*dash++ = '\0';
	if (str_parse_u32(copy, &ret->first) == 0 &&
	    str_parse_u32(dash ? dash : copy, &ret->last) == 0 && ret->first <= ret->last &&
	    ret->last <= 65535)
		r = 0;
	free(copy);
	return r;
}

struct publication {
	const char *host_ip;    /* "" for any */
	const char *host_range; /* "" to pick */
	struct port_range host, container;
	const char *proto;
};

/* [[ip:]hostPort:]containerPort[/proto]; an IPv6 address stands in brackets. */
static int parse_publish(struct cli *cli, const char *spec, struct publication *ret,
			 struct error *err)
{
	const char *rest, *container, *proto = cut(cli, spec, '/', &rest);
	struct publication p = {.host_ip = "", .host_range = "", .proto = proto ? proto : "tcp"};
	char *colon = strrchr(arena_strdup(cli->arena, rest), ':');

	container = colon ? colon + 1 : rest;
	if (colon) {
		char *head = arena_strndup(cli->arena, rest, strlen(rest) - strlen(container) - 1);

		colon = strrchr(head, ':');
		if (colon && head[0] == '[' && colon[-1] != ']')
			return error_set(err, ERROR_INVALID, 0, "Invalid ip address: %s", spec);
		p.host_range = colon ? colon + 1 : head;
		if (colon) {
			*colon = '\0';
			if (head[0] == '[') {
				head[strlen(head) - 1] = '\0';
				head++;
			}
			p.host_ip = head;
		}
	}
	if (parse_range(container, &p.container) < 0 || p.container.first == 0)
		return error_set(err, ERROR_INVALID, 0, "Invalid containerPort: %s", container);
	if (p.host_range[0] && parse_range(p.host_range, &p.host) < 0)
		return error_set(err, ERROR_INVALID, 0, "Invalid hostPort: %s", p.host_range);
	if (p.host_range[0] && p.container.first != p.container.last &&
	    p.host.last - p.host.first != p.container.last - p.container.first)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid ranges specified for container and host Ports: %s and %s",
				 container, p.host_range);
	*ret = p;
	return 0;
}

/* Calls once for each container port of a publication. */
static void each_port(struct cli *cli, const struct publication *p, struct strv *keys,
		      struct strv *bindings)
{
	for (uint32_t port = p->container.first; port <= p->container.last; port++) {
		const char *host = p->host_range;

		if (host[0] && p->container.first != p->container.last)
			host = arena_printf(cli->arena, "%u",
					    p->host.first + (port - p->container.first));
		strv_addf(keys, "%u/%s", port, p->proto);
		strv_addf(bindings, "%s|%s", p->host_ip, host);
	}
}

static bool seen_before(const struct strv *v, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (strcmp(v->v[j], v->v[i]) == 0)
			return true;
	return false;
}

static int exposed(struct cli *cli, const struct container_options *o, struct strv *ports,
		   struct error *err)
{
	for (size_t i = 0; i < o->expose.n; i++) {
		const char *range, *proto = cut(cli, o->expose.v[i], '/', &range);
		struct port_range r;

		if (parse_range(range, &r) < 0 || r.first == 0)
			return bad(err, "expose", o->expose.v[i],
				   "invalid range format for --expose");
		for (uint32_t port = r.first; port <= r.last; port++)
			strv_addf(ports, "%u/%s", port, proto ? proto : "tcp");
	}
	return 0;
}

struct ports {
	struct strv exposed, published,
		bindings; /* bindings[i] belongs to published[i]: "ip|port" */
};

static int parse_ports(struct cli *cli, const struct container_options *o, struct ports *p,
		       struct error *err)
{
	int r = exposed(cli, o, &p->exposed, err);

	for (size_t i = 0; r == 0 && i < o->publish.n; i++) {
		struct publication publication = {0};

		r = parse_publish(cli, o->publish.v[i], &publication, err);
		if (r == 0)
			each_port(cli, &publication, &p->published, &p->bindings);
	}
	for (size_t i = 0; i < p->published.n; i++)
		strv_add(&p->exposed, p->published.v[i]);
	return r;
}

static void write_exposed(const struct ports *p, struct json_writer *w)
{
	if (!p->exposed.n)
		return;
	jw_kobject(w, "ExposedPorts");
	for (size_t i = 0; i < p->exposed.n; i++) {
		if (seen_before(&p->exposed, i))
			continue;
		jw_kobject(w, p->exposed.v[i]);
		jw_object_end(w);
	}
	jw_object_end(w);
}

static void write_bindings(struct cli *cli, const struct ports *p, struct json_writer *w)
{
	jw_kobject(w, "PortBindings");
	for (size_t i = 0; i < p->published.n; i++) {
		if (seen_before(&p->published, i))
			continue;
		jw_karray(w, p->published.v[i]);
		for (size_t j = i; j < p->published.n; j++) {
			const char *ip, *port;

			if (strcmp(p->published.v[j], p->published.v[i]) != 0)
				continue;
			port = cut(cli, p->bindings.v[j], '|', &ip);
			jw_object(w);
			jw_kstring(w, "HostIp", ip);
			jw_kstring(w, "HostPort", port);
			jw_object_end(w);
		}
		jw_array_end(w);
	}
	jw_object_end(w);
}

static void ports_done(struct ports *p)
{
	strv_done(&p->exposed);
	strv_done(&p->published);
	strv_done(&p->bindings);
}
#define autoports __attribute__((cleanup(ports_done)))

/* Volumes ---------------------------------------------------------------------------------- */

/* src:dst[:options], and no more; what they mean is the engine's business. */
static int check_volumes(const struct container_options *o, struct error *err)
{
	for (size_t i = 0; i < o->volume.n; i++) {
		size_t colons = 0;

		for (const char *p = o->volume.v[i]; *p; p++)
			colons += *p == ':';
		if (colons > 2)
			return error_set(err, ERROR_INVALID, 0, "invalid spec: %s: too many colons",
					 o->volume.v[i]);
	}
	return 0;
}

/* -v: "/path" alone is an anonymous volume, everything else a bind. */
static void write_volumes(const struct container_options *o, struct json_writer *w, bool anonymous)
{
	size_t n = 0;

	for (size_t i = 0; i < o->volume.n; i++)
		n += !strchr(o->volume.v[i], ':') == anonymous;
	if (!n)
		return;
	if (anonymous)
		jw_kobject(w, "Volumes");
	else
		jw_karray(w, "Binds");
	for (size_t i = 0; i < o->volume.n; i++) {
		const char *v = o->volume.v[i];

		if (!strchr(v, ':') != anonymous)
			continue;
		if (anonymous) {
			jw_kobject(w, v);
			jw_object_end(w);
		} else if (v[0] == '.' || v[0] == '~') {
			autofree char *cwd = getcwd(NULL, 0);

			jw_stringf(w, "%s/%s", cwd ? cwd : "", v);
		} else {
			jw_string(w, v);
		}
	}
	if (anonymous)
		jw_object_end(w);
	else
		jw_array_end(w);
}

/* Resources --------------------------------------------------------------------------------- */

struct ulimit {
	int64_t soft, hard;
};

static int parse_ulimit(const char *s, struct ulimit *ret, struct error *err)
{
	const char *value = strchr(s, '='), *colon = value ? strchr(value, ':') : NULL;
	autofree char *soft = NULL;
	struct ulimit u = {0};

	if (!value || value == s)
		return error_set(err, ERROR_INVALID, 0, "invalid ulimit argument: %s", s);
	value++;
	soft = xstrndup(value, colon ? (size_t)(colon - value) : strlen(value));
	if (str_parse_i64(soft, &u.soft) < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "strconv.ParseInt: parsing \"%s\": invalid syntax", soft);
	if (colon && str_parse_i64(colon + 1, &u.hard) < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "strconv.ParseInt: parsing \"%s\": invalid syntax", colon + 1);
	u.hard = colon ? u.hard : u.soft;
	if (u.hard != -1 && (u.soft > u.hard || u.soft == -1))
		return error_set(err, ERROR_INVALID, 0,
				 "ulimit soft limit must be less than or equal to hard limit: "
				 "%lld > %lld",
				 (long long)u.soft, (long long)u.hard);
	*ret = u;
	return 0;
}

int container_check_ulimit(const char *value, struct error *err)
{
	struct ulimit ignored;

	return parse_ulimit(value, &ignored, err);
}

static int write_ulimits(struct cli *cli, const struct container_options *o, struct json_writer *w,
			 struct error *err)
{
	if (!o->ulimit.n)
		return 0;
	jw_karray(w, "Ulimits");
	for (size_t i = 0; i < o->ulimit.n; i++) {
		struct ulimit u = {0};
		const char *name;
		int r = parse_ulimit(o->ulimit.v[i], &u, err);

		if (r < 0)
			return r;
		(void)cut(cli, o->ulimit.v[i], '=', &name);
		jw_object(w);
		jw_kstring(w, "Name", name);
		jw_kint(w, "Soft", u.soft);
		jw_kint(w, "Hard", u.hard);
		jw_object_end(w);
	}
	jw_array_end(w);
	return 0;
}

/* --device host[:container[:permissions]] */
static void write_devices(struct cli *cli, const struct container_options *o, struct json_writer *w)
{
	if (!o->device.n)
		return;
	jw_karray(w, "Devices");
	for (size_t i = 0; i < o->device.n; i++) {
		const char *host, *inside = NULL, *permissions = NULL;
		const char *rest = cut(cli, o->device.v[i], ':', &host);

		if (rest)
			permissions = cut(cli, rest, ':', &inside);
		if (inside && inside[0] != '/' && !permissions) {
			permissions = inside;
			inside = NULL;
		}
		jw_object(w);
		jw_kstring(w, "PathOnHost", host);
		jw_kstring(w, "PathInContainer", inside ? inside : host);
		jw_kstring(w, "CgroupPermissions", permissions ? permissions : "rwm");
		jw_object_end(w);
	}
	jw_array_end(w);
}

/* path:rate and path:weight lists */
static int write_rates(struct cli *cli, const char *flag, const char *key, const char *member,
		       const struct strv *v, struct json_writer *w, struct error *err)
{
	bool bytes = strstr(flag, "bps") != NULL;

	if (!v->n)
		return 0;
	jw_karray(w, key);
	for (size_t i = 0; i < v->n; i++) {
		const char *path, *value = cut(cli, v->v[i], ':', &path);
		int64_t rate = 0;

		if (!value || path[0] != '/' ||
		    (bytes ? flags_parse_bytes(value, &rate) : str_parse_i64(value, &rate)) < 0)
			return bad(err, flag, v->v[i], "bad format, wants <device-path>:<number>");
		jw_object(w);
		jw_kstring(w, "Path", path);
		jw_kint(w, member, rate);
		jw_object_end(w);
	}
	jw_array_end(w);
	return 0;
}

static int write_blkio(struct cli *cli, const struct container_options *o, struct json_writer *w,
		       struct error *err)
{
	const struct {
		const char *flag, *key, *member;
		const struct strv *v;
	} rates[] = {
		{"blkio-weight-device", "BlkioWeightDevice", "Weight", &o->blkio_weight_device},
		{"device-read-bps", "BlkioDeviceReadBps", "Rate", &o->device_read_bps},
		{"device-write-bps", "BlkioDeviceWriteBps", "Rate", &o->device_write_bps},
		{"device-read-iops", "BlkioDeviceReadIOps", "Rate", &o->device_read_iops},
		{"device-write-iops", "BlkioDeviceWriteIOps", "Rate", &o->device_write_iops},
	};
	int r = 0;

	jw_kuint(w, "BlkioWeight", o->blkio_weight);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rates); i++)
		r = write_rates(cli, rates[i].flag, rates[i].key, rates[i].member, rates[i].v, w,
				err);
	return r;
}

/* --security-opt seccomp=FILE: the engine gets the profile, not the path. */
static int write_security(const struct container_options *o, struct json_writer *w,
			  struct error *err)
{
	if (!o->security_opt.n)
		return 0;
	jw_karray(w, "SecurityOpt");
	for (size_t i = 0; i < o->security_opt.n; i++) {
		const char *s = o->security_opt.v[i], *path = s + strlen("seccomp=");
		autofree char *profile = NULL;
		int r;

		if (!strpbrk(s, "=:") && strcmp(s, "no-new-privileges") != 0)
			return error_set(err, ERROR_INVALID, 0, "Invalid --security-opt: \"%s\"",
					 s);
		if (!str_has_prefix(s, "seccomp=") || strcmp(path, "unconfined") == 0 ||
		    strcmp(path, "builtin") == 0) {
			jw_string(w, s);
			continue;
		}
		r = file_read(AT_FDCWD, path, FILE_MAX, &profile, NULL, err);
		if (r < 0)
			return error_wrap(err, r, "opening seccomp profile (%s) failed", path);
		jw_stringf(w, "seccomp=%s", profile);
	}
	jw_array_end(w);
	return 0;
}

static int write_restart(struct cli *cli, const struct container_options *o, struct json_writer *w,
			 struct error *err)
{
	const char *name, *count;
	int retries = 0;

	if (str_empty(o->restart))
		return 0;
	count = cut(cli, o->restart, ':', &name);
	if (count && str_parse_int(count, &retries) < 0)
		return bad(err, "restart", o->restart, "maximum retry count must be an integer");
	jw_kobject(w, "RestartPolicy");
	jw_kstring(w, "Name", name);
	jw_kint(w, "MaximumRetryCount", retries);
	jw_object_end(w);
	return 0;
}

/* The body ---------------------------------------------------------------------------------- */

struct container_streams container_options_streams(const struct container_options *o)
{
	struct container_streams s = {0};

	for (size_t i = 0; i < o->attach.n; i++) {
		s.in |= strcasecmp(o->attach.v[i], "stdin") == 0;
		s.out |= strcasecmp(o->attach.v[i], "stdout") == 0;
		s.errs |= strcasecmp(o->attach.v[i], "stderr") == 0;
	}
	if (!o->attach.n && !o->detach)
		s = (struct container_streams){.in = o->interactive, .out = true, .errs = true};
	return s;
}

static void write_health(const struct container_options *o, struct json_writer *w)
{
	if (!o->no_healthcheck && !o->health_cmd && !o->health_interval && !o->health_timeout &&
	    !o->health_retries && !o->health_start_period && !o->health_start_interval)
		return;
	jw_kobject(w, "Healthcheck");
	if (o->no_healthcheck || o->health_cmd) {
		jw_karray(w, "Test");
		jw_string(w, o->no_healthcheck ? "NONE" : "CMD-SHELL");
		if (!o->no_healthcheck)
			jw_string(w, o->health_cmd);
		jw_array_end(w);
	}
	jw_kint(w, "Interval", o->health_interval);
	jw_kint(w, "Timeout", o->health_timeout);
	jw_kint(w, "StartPeriod", o->health_start_period);
	jw_kint(w, "StartInterval", o->health_start_interval);
	jw_kint(w, "Retries", o->health_retries);
	jw_object_end(w);
}

static int write_config(struct cli *cli, const struct container_options *o,
			const struct flags_parsed *parsed, const struct flag *table,
			struct json_writer *w, struct error *err)
{
	struct container_streams streams = container_options_streams(o);
	int r;

	jw_kstring(w, "Image", parsed->args[0]);
	jw_kstring(w, "Hostname", o->hostname ? o->hostname : "");
	jw_kstring(w, "Domainname", o->domainname ? o->domainname : "");
	jw_kstring(w, "User", o->user ? o->user : "");
	jw_kstring(w, "WorkingDir", o->workdir ? o->workdir : "");
	jw_kbool(w, "AttachStdin", streams.in);
	jw_kbool(w, "AttachStdout", streams.out);
	jw_kbool(w, "AttachStderr", streams.errs);
	jw_kbool(w, "Tty", o->tty);
	jw_kbool(w, "OpenStdin", o->interactive);
	jw_kbool(w, "StdinOnce", o->interactive && !o->detach);
	if (parsed->arg_count > 1) {
		jw_karray(w, "Cmd");
		for (int i = 1; i < parsed->arg_count; i++)
			jw_string(w, parsed->args[i]);
		jw_array_end(w);
	}
	if (flags_changed(table, parsed, "entrypoint")) {
		jw_karray(w, "Entrypoint");
		jw_string(w, o->entrypoint);
		jw_array_end(w);
	}
	if (o->stop_signal)
		jw_kstring(w, "StopSignal", o->stop_signal);
	if (flags_changed(table, parsed, "stop-timeout"))
		jw_kint(w, "StopTimeout", o->stop_timeout);
	write_health(o, w);
	write_volumes(o, w, true);
	r = container_write_env(&o->env_file, &o->env, w, err);
	return r < 0 ? r : labels(cli, o, w, err);
}

static void write_resources(const struct container_options *o, const struct flags_parsed *parsed,
			    const struct flag *table, struct json_writer *w)
{
	const struct {
		const char *key;
		int64_t value;
	} numbers[] = {
		{"Memory", o->memory},
		{"MemoryReservation", o->memory_reservation},
		{"MemorySwap", o->memory_swap},
		{"NanoCpus", o->cpus},
		{"CpuPeriod", o->cpu_period},
		{"CpuQuota", o->cpu_quota},
		{"CpuRealtimePeriod", o->cpu_rt_period},
		{"CpuRealtimeRuntime", o->cpu_rt_runtime},
		{"CpuShares", o->cpu_shares},
		{"KernelMemory", o->kernel_memory},
		{"CpuCount", o->cpu_count},
		{"CpuPercent", o->cpu_percent},
		{"IOMaximumBandwidth", o->io_max_bandwidth},
		{"IOMaximumIOps", o->io_max_iops},
		{"ShmSize", o->shm_size},
		{"OomScoreAdj", o->oom_score_adj},
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (numbers[i].value)
			jw_kint(w, numbers[i].key, numbers[i].value);
	if (flags_changed(table, parsed, "memory-swappiness"))
		jw_kint(w, "MemorySwappiness", o->memory_swappiness);
	if (flags_changed(table, parsed, "pids-limit"))
		jw_kint(w, "PidsLimit", o->pids_limit);
	if (flags_changed(table, parsed, "init"))
		jw_kbool(w, "Init", o->init);
	if (flags_changed(table, parsed, "oom-kill-disable"))
		jw_kbool(w, "OomKillDisable", o->oom_kill_disable);
}

/* "net_admin" as CAP_NET_ADMIN, each once; ALL stays as it is. */
static void write_capabilities(struct cli *cli, const char *key, const struct strv *v,
			       struct json_writer *w)
{
	autostrv struct strv names = {0};

	for (size_t i = 0; i < v->n; i++) {
		char *name = arena_strdup(cli->arena, v->v[i]);

		for (char *p = name; *p; p++)
			*p = (char)(*p >= 'a' && *p <= 'z' ? *p - 0x20 : *p);
		if (strcmp(name, "ALL") != 0 && !str_has_prefix(name, "CAP_"))
			name = arena_printf(cli->arena, "CAP_%s", name);
		strv_add(&names, name);
	}
	if (names.n)
		jw_karray(w, key);
	for (size_t i = 0; i < names.n; i++)
		if (!seen_before(&names, i))
			jw_string(w, names.v[i]);
	if (names.n)
		jw_array_end(w);
}

static void write_host_lists(struct cli *cli, const struct container_options *o,
			     struct json_writer *w)
{
	const struct {
		const char *key;
		const struct strv *v;
	} lists[] = {
		{"Dns", &o->dns},
		{"DnsOptions", &o->dns_option},
		{"DnsSearch", &o->dns_search},
		{"ExtraHosts", &o->add_host},
		{"GroupAdd", &o->group_add},
		{"Links", &o->link},
		{"VolumesFrom", &o->volumes_from},
		{"DeviceCgroupRules", &o->device_cgroup_rule},
	};
	const struct {
		const char *key, *value;
	} strings[] = {
		{"NetworkMode", networks_mode(cli, &o->network)},
		{"IpcMode", o->ipc},
		{"PidMode", o->pid},
		{"UTSMode", o->uts},
		{"UsernsMode", o->userns},
		{"CgroupnsMode", o->cgroupns},
		{"CgroupParent", o->cgroup_parent},
		{"CpusetCpus", o->cpuset_cpus},
		{"CpusetMems", o->cpuset_mems},
		{"Runtime", o->runtime},
		{"Isolation", o->isolation},
		{"VolumeDriver", o->volume_driver},
	};

	write_capabilities(cli, "CapAdd", &o->cap_add, w);
	write_capabilities(cli, "CapDrop", &o->cap_drop, w);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		list(w, lists[i].key, lists[i].v);
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		if (strings[i].value)
			jw_kstring(w, strings[i].key, strings[i].value);
	map(cli, w, "Tmpfs", &o->tmpfs, ':');
	map(cli, w, "Sysctls", &o->sysctl, '=');
	map(cli, w, "StorageOpt", &o->storage_opt, '=');
	write_annotations(cli, o, w);
	if (o->log_driver || o->log_opt.n) {
		jw_kobject(w, "LogConfig");
		jw_kstring(w, "Type", o->log_driver ? o->log_driver : "");
		map(cli, w, "Config", &o->log_opt, '=');
		jw_object_end(w);
	}
	jw_kbool(w, "Privileged", o->privileged);
	jw_kbool(w, "ReadonlyRootfs", o->read_only);
	jw_kbool(w, "AutoRemove", o->rm);
	jw_kbool(w, "PublishAllPorts", o->publish_all);
}

static int write_host(struct cli *cli, const struct container_options *o,
		      const struct flags_parsed *parsed, const struct flag *table,
		      struct json_writer *w, struct error *err)
{
	int r;

	write_host_lists(cli, o, w);
	if (o->tty)
		stream_write_size(w);
	write_resources(o, parsed, table, w);
	write_volumes(o, w, false);
	write_devices(cli, o, w);
	r = mounts_write(&o->mount, w, err);
	if (r == 0)
		r = gpus_write(&o->gpus, w, err);
	if (r == 0)
		r = write_ulimits(cli, o, w, err);
	if (r == 0)
		r = write_blkio(cli, o, w, err);
	if (r == 0)
		r = write_security(o, w, err);
	return r < 0 ? r : write_restart(cli, o, w, err);
}

static int write_networks(const struct container_options *o, struct json_writer *w,
			  struct error *err)
{
	const struct networks_args args = {.networks = &o->network,
					   .aliases = &o->network_alias,
					   .link_local_ips = &o->link_local_ip,
					   .ip = o->ip,
					   .ip6 = o->ip6,
					   .mac_address = o->mac_address};

	return networks_write(&args, w, err);
}

static int check_conflicts(const struct container_options *o, const struct flags_parsed *parsed,
			   const struct flag *table, struct error *err)
{
	if (flags_changed(table, parsed, "disable-content-trust") && !o->disable_content_trust)
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
				 "--disable-content-trust=false: Docker Content Trust is not "
				 "implemented");
	if (o->rm && !str_empty(o->restart) && strcmp(o->restart, "no") != 0)
		return error_set(err, ERROR_INVALID, 0,
				 "conflicting options: cannot specify both --restart and --rm");
	if (!str_empty(o->userns) && strcmp(o->userns, "host") != 0)
		return error_set(err, ERROR_INVALID, 0, "--userns: invalid USER mode");
	return 0;
}

int container_options_body(struct cli *cli, const struct container_options *o,
			   const struct flags_parsed *parsed, const struct flag *table,
			   struct strbuf *out, struct error *err)
{
	autoports struct ports ports = {0};
	struct json_writer w;
	int r = check_conflicts(o, parsed, table, err);

	r = r < 0 ? r : check_volumes(o, err);
	r = r < 0 ? r : parse_ports(cli, o, &ports, err);
	if (r < 0)
		return r;
	json_writer_init(&w, out);
	jw_object(&w);
	r = write_config(cli, o, parsed, table, &w, err);
	if (r < 0)
		return r;
	write_exposed(&ports, &w);
	jw_kobject(&w, "HostConfig");
	r = write_host(cli, o, parsed, table, &w, err);
	if (r < 0)
		return r;
	write_bindings(cli, &ports, &w);
	jw_object_end(&w);
	r = write_networks(o, &w, err);
	if (r < 0)
		return r;
	jw_object_end(&w);
	r = strbuf_error(out);
	return r < 0 ? error_set(err, ERROR_INVALID, -r, "container configuration") : 0;
}
