/* What vesseld and a container's shim say to each other: encoding and decoding. */
#include "shim/protocol.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/detach.h"
#include "base/file.h"
#include "oci/runtime_spec.h"

static const struct json_field log_fields[] = {
	JSON_FIELD(struct shim_log, "Type", JSON_DECODE_STRING, type, JSON_REQUIRED),
	JSON_FIELD(struct shim_log, "Path", JSON_DECODE_STRING, path, 0),
	JSON_FIELD(struct shim_log, "MaxSize", JSON_DECODE_U64, max_size, 0),
	JSON_FIELD(struct shim_log, "MaxFile", JSON_DECODE_U32, max_file, 0),
	JSON_FIELD(struct shim_log, "Compress", JSON_DECODE_BOOL, compress, 0),
	JSON_FIELD(struct shim_log, "Attrs", JSON_DECODE_VALUE, attrs, 0),
	JSON_FIELD(struct shim_log, "Helper", JSON_DECODE_STRING, helper, 0),
	JSON_FIELD(struct shim_log, "Driver", JSON_DECODE_VALUE, driver, 0),
	JSON_FIELD(struct shim_log, "NonBlocking", JSON_DECODE_BOOL, non_blocking, 0),
	JSON_FIELD(struct shim_log, "BufferSize", JSON_DECODE_U64, buffer_size, 0),
	JSON_FIELD(struct shim_log, "Await", JSON_DECODE_BOOL, await, 0),
	{0},
};

static const struct json_field program_fields[] = {
	JSON_FIELD(struct shim_program, "Path", JSON_DECODE_STRING, path,
		   JSON_REQUIRED | JSON_NONEMPTY),
	JSON_FIELD(struct shim_program, "Args", JSON_DECODE_STRINGS, args, 0),
	{0},
};

static const struct json_field port_fields[] = {
	JSON_FIELD(struct shim_port, "Proto", JSON_DECODE_STRING, proto, JSON_REQUIRED),
	JSON_FIELD(struct shim_port, "HostIp", JSON_DECODE_STRING, host_ip, JSON_REQUIRED),
	JSON_FIELD(struct shim_port, "HostPort", JSON_DECODE_U32, host_port, 0),
	JSON_FIELD(struct shim_port, "HostPortEnd", JSON_DECODE_U32, host_port_end, 0),
	JSON_FIELD(struct shim_port, "ContainerIp", JSON_DECODE_STRING, container_ip, 0),
	JSON_FIELD(struct shim_port, "ContainerPort", JSON_DECODE_U32, container_port,
		   JSON_REQUIRED),
	JSON_FIELD(struct shim_port, "Group", JSON_DECODE_U32, group, 0),
	{0},
};

static const struct json_field mapping_fields[] = {
	JSON_FIELD(struct oci_id_mapping, "containerID", JSON_DECODE_U32, container_id,
		   JSON_REQUIRED),
	JSON_FIELD(struct oci_id_mapping, "hostID", JSON_DECODE_U32, host_id, JSON_REQUIRED),
	JSON_FIELD(struct oci_id_mapping, "size", JSON_DECODE_U32, size, JSON_REQUIRED),
	{0},
};

static const struct json_field config_fields[] = {
	JSON_FIELD(struct shim_config, "Id", JSON_DECODE_STRING, id, JSON_REQUIRED | JSON_NONEMPTY),
	JSON_FIELD(struct shim_config, "RuntimeDir", JSON_DECODE_STRING, runtime_dir,
		   JSON_REQUIRED | JSON_NONEMPTY),
	JSON_FIELD(struct shim_config, "StateDir", JSON_DECODE_STRING, state_dir,
		   JSON_REQUIRED | JSON_NONEMPTY),
	JSON_FIELD(struct shim_config, "SeccompCache", JSON_DECODE_STRING, seccomp_cache, 0),
	JSON_FIELD(struct shim_config, "SeccompHelper", JSON_DECODE_STRING, seccomp_helper, 0),
	JSON_FIELD(struct shim_config, "InitPath", JSON_DECODE_STRING, init_path, 0),
	JSON_FIELD_SUB(struct shim_config, "Program", JSON_DECODE_OBJECT, program, program_fields,
		       0),
	JSON_FIELD(struct shim_config, "Spec", JSON_DECODE_VALUE, spec, JSON_REQUIRED),
	JSON_FIELD(struct shim_config, "Lower", JSON_DECODE_STRINGS, lower, 0),
	JSON_FIELD(struct shim_config, "Upper", JSON_DECODE_STRING, upper, 0),
	JSON_FIELD(struct shim_config, "Work", JSON_DECODE_STRING, work, 0),
	JSON_FIELD_PTR(struct shim_config, "UidMappings", JSON_DECODE_OBJECTS, uid_mappings,
		       mapping_fields, struct oci_id_mapping, 0),
	JSON_FIELD_PTR(struct shim_config, "GidMappings", JSON_DECODE_OBJECTS, gid_mappings,
		       mapping_fields, struct oci_id_mapping, 0),
	JSON_FIELD(struct shim_config, "Tty", JSON_DECODE_BOOL, tty, 0),
	JSON_FIELD(struct shim_config, "OpenStdin", JSON_DECODE_BOOL, open_stdin, 0),
	JSON_FIELD(struct shim_config, "StdinOnce", JSON_DECODE_BOOL, stdin_once, 0),
	JSON_FIELD(struct shim_config, "Resolver", JSON_DECODE_BOOL, resolver, 0),
	JSON_FIELD(struct shim_config, "AutoRemove", JSON_DECODE_BOOL, auto_remove, 0),
	JSON_FIELD(struct shim_config, "Rows", JSON_DECODE_U32, rows, 0),
	JSON_FIELD(struct shim_config, "Cols", JSON_DECODE_U32, cols, 0),
	JSON_FIELD_SUB(struct shim_config, "Log", JSON_DECODE_OBJECT, log, log_fields,
		       JSON_REQUIRED),
	JSON_FIELD_PTR(struct shim_config, "Ports", JSON_DECODE_OBJECTS, ports, port_fields,
		       struct shim_port, 0),
	JSON_FIELD(struct shim_config, "DetachKeys", JSON_DECODE_STRING, detach_keys, 0),
	JSON_FIELD(struct shim_config, "ShimCgroup", JSON_DECODE_STRING, cgroup, 0),
	{0},
};

static int check_ports(const struct shim_config *c, struct error *err)
{
	const struct shim_port *ports = c->ports.v;

	for (size_t i = 0; i < c->ports.n; i++) {
		const struct shim_port *p = &ports[i];

		if (!str_eq(p->proto, "tcp") && !str_eq(p->proto, "udp") &&
		    !str_eq(p->proto, "sctp"))
			return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
					 "Ports[%zu].Proto: cannot publish '%s'", i, p->proto);
		if (p->host_port > UINT16_MAX || p->host_port_end > UINT16_MAX ||
		    p->container_port > UINT16_MAX || p->container_port == 0)
			return error_set(err, ERROR_INVALID, 0, "Ports[%zu]: port out of range", i);
		if (p->host_port_end && p->host_port_end < p->host_port)
			return error_set(err, ERROR_INVALID, 0,
					 "Ports[%zu]: range ends before it begins", i);
	}
	return 0;
}

static int check_log(const struct shim_log *log, struct error *err)
{
	bool file = str_eq(log->type, "json-file") || str_eq(log->type, "local");
	bool has_driver = !json_is_null(log->driver);

	if (!file && !str_eq(log->type, "none"))
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0, "Log.Type: no log driver '%s'",
				 log->type);
	if (has_driver && (json_type(log->driver) != JSON_OBJECT || !log->helper))
		return error_set(err, ERROR_INVALID, 0,
				 "Log.Driver: expected an object, and Helper");
	if (file && (log->path ? log->path[0] != '/' : !has_driver))
		return error_set(err, ERROR_INVALID, 0, "Log.Path: not an absolute path");
	if (!json_is_null(log->attrs) && json_type(log->attrs) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID, 0, "Log.Attrs: expected an object");
	return 0;
}

int shim_log_parse(struct arena *a, const struct json *v, struct shim_log *ret, struct error *err)
{
	struct shim_log log = {0};
	int r = json_decode(a, v, log_fields, &log, "Log", err);

	r = r < 0 ? r : check_log(&log, err);
	if (r < 0)
		return r;
	if (log.max_file == 0)
		log.max_file = 1;
	*ret = log;
	return 0;
}

int shim_config_parse(struct arena *a, const char *text, size_t len, struct shim_config *ret,
		      struct error *err)
{
	struct shim_config c = {0};
	const struct json *doc = NULL;
	int r;

	r = json_parse(a, text, len, &doc, err);
	if (r < 0)
		return error_wrap(err, r, "shim's configuration");
	r = json_decode(a, doc, config_fields, &c, "", err);
	if (r < 0)
		return error_wrap(err, r, "shim's configuration");

	r = check_log(&c.log, err);
	if (r < 0)
		return r;
	r = check_ports(&c, err);
	if (r < 0)
		return r;
	if (json_type(c.spec) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID, 0, "Spec: expected an object");
	if (!c.upper != !c.work)
		return error_set(err, ERROR_INVALID, 0, "Upper and Work go together");
	if (c.log.max_file == 0)
		c.log.max_file = 1;
	if (str_empty(c.detach_keys))
		c.detach_keys = DETACH_KEYS_DEFAULT;

	*ret = c;
	return 0;
}

void shim_port_write(struct json_writer *w, const struct shim_port *p)
{
	jw_object(w);
	jw_kstring(w, "Proto", p->proto);
	jw_kstring(w, "HostIp", p->host_ip);
	jw_kuint(w, "HostPort", p->host_port);
	if (p->host_port_end)
		jw_kuint(w, "HostPortEnd", p->host_port_end);
	if (p->container_ip)
		jw_kstring(w, "ContainerIp", p->container_ip);
	jw_kuint(w, "ContainerPort", p->container_port);
	jw_kuint(w, "Group", p->group);
	jw_object_end(w);
}

static void write_optional(struct json_writer *w, const char *key, const char *value)
{
	if (value)
		jw_kstring(w, key, value);
}

static void write_log(struct json_writer *w, const struct shim_log *log)
{
	jw_kobject(w, "Log");
	jw_kstring(w, "Type", log->type);
	write_optional(w, "Path", log->path);
	jw_kuint(w, "MaxSize", log->max_size);
	jw_kuint(w, "MaxFile", log->max_file);
	jw_kbool(w, "Compress", log->compress);
	if (!json_is_null(log->attrs))
		jw_kvalue(w, "Attrs", log->attrs);
	write_optional(w, "Helper", log->helper);
	if (!json_is_null(log->driver))
		jw_kvalue(w, "Driver", log->driver);
	jw_kbool(w, "NonBlocking", log->non_blocking);
	jw_kuint(w, "BufferSize", log->buffer_size);
	jw_kbool(w, "Await", log->await);
	jw_object_end(w);
}

static void write_mappings(struct json_writer *w, const char *key, const struct json_objects *list)
{
	const struct oci_id_mapping *m = list->v;

	if (list->n == 0)
		return;
	jw_karray(w, key);
	for (size_t i = 0; i < list->n; i++) {
		jw_object(w);
		jw_kuint(w, "containerID", m[i].container_id);
		jw_kuint(w, "hostID", m[i].host_id);
		jw_kuint(w, "size", m[i].size);
		jw_object_end(w);
	}
	jw_array_end(w);
}

static void write_program(struct json_writer *w, const struct shim_program *p)
{
	jw_kobject(w, "Program");
	jw_kstring(w, "Path", p->path);
	jw_karray(w, "Args");
	for (size_t i = 0; i < p->args.n; i++)
		jw_string(w, p->args.v[i]);
	jw_array_end(w);
	jw_object_end(w);
}

void shim_config_write(struct json_writer *w, const struct shim_config *c)
{
	const struct shim_port *ports = c->ports.v;

	jw_object(w);
	jw_kstring(w, "Id", c->id);
	jw_kstring(w, "RuntimeDir", c->runtime_dir);
	jw_kstring(w, "StateDir", c->state_dir);
	write_optional(w, "SeccompCache", c->seccomp_cache);
	write_optional(w, "SeccompHelper", c->seccomp_helper);
	write_optional(w, "InitPath", c->init_path);
	if (c->program.path)
		write_program(w, &c->program);
	jw_kvalue(w, "Spec", c->spec);
	jw_karray(w, "Lower");
	for (size_t i = 0; i < c->lower.n; i++)
		jw_string(w, c->lower.v[i]);
	jw_array_end(w);
	write_optional(w, "Upper", c->upper);
	write_optional(w, "Work", c->work);
	write_mappings(w, "UidMappings", &c->uid_mappings);
	write_mappings(w, "GidMappings", &c->gid_mappings);
	jw_kbool(w, "Tty", c->tty);
	jw_kbool(w, "OpenStdin", c->open_stdin);
	jw_kbool(w, "StdinOnce", c->stdin_once);
	jw_kbool(w, "Resolver", c->resolver);
	jw_kbool(w, "AutoRemove", c->auto_remove);
	jw_kuint(w, "Rows", c->rows);
	jw_kuint(w, "Cols", c->cols);
	write_log(w, &c->log);
	jw_karray(w, "Ports");
	for (size_t i = 0; i < c->ports.n; i++)
		shim_port_write(w, &ports[i]);
	jw_array_end(w);
	write_optional(w, "DetachKeys", c->detach_keys);
	write_optional(w, "ShimCgroup", c->cgroup);
	jw_object_end(w);
}

int shim_connect(const char *runtime_dir, int *ret, struct error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	autoclose int dir = -EBADF, sock = -EBADF;

	dir = open(runtime_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", runtime_dir);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make a socket for the shim");

	/* sun_path holds 108 bytes; the directory's fd keeps the name short. */
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dir,
		       SHIM_SOCKET_NAME);
	if (connect(sock, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "connect to the shim in '%s'",
				 runtime_dir);

	*ret = TAKE_FD(sock);
	return 0;
}

static int decode_message(struct shim_message *m, struct error *err)
{
	const struct json *re = json_get(m->body, "re");

	m->op = json_get_string(m->body, "op");
	m->ev = json_get_string(m->body, "ev");
	m->is_reply = !json_is_null(re);
	m->seq = json_uint(m->is_reply ? re : json_get(m->body, "seq"));
	if (json_type(m->body) != JSON_OBJECT || !m->op + !m->ev + !m->is_reply != 2)
		return error_set(err, ERROR_INVALID, EPROTO,
				 "shim's message is not one of request, reply and event");
	return 0;
}

int shim_message_recv(int sock, struct arena *a, struct shim_message *ret, struct error *err)
{
	struct shim_message m = {.fd_count = SHIM_MAX_FDS};
	ssize_t size, n;
	char *buf;
	int r;

	/* The real length of the next packet, so that the buffer is no larger than it needs to be; a
	 * reset is no end, as in fd_recv(). */
	do
		size = recv(sock, NULL, 0, MSG_PEEK | MSG_TRUNC);
	while (size < 0 && (errno == EINTR || errno == ECONNRESET));
	if (size < 0)
		return error_set(err, ERROR_INTERNAL, errno, "receive from the shim's socket");
	if (size > SHIM_MESSAGE_MAX)
		return error_set(err, ERROR_INVALID, EMSGSIZE, "shim's message of %zd bytes", size);

	buf = arena_alloc(a, (size_t)size + 1);
	n = fd_recv(sock, buf, (size_t)size + 1, m.fds, &m.fd_count);
	if (n < 0)
		return error_set(err, ERROR_INTERNAL, (int)-n, "receive from the shim's socket");
	if (n == 0) {
		shim_message_close_fds(&m);
		return 0;
	}

	r = json_parse(a, buf, (size_t)n, &m.body, err);
	if (r >= 0)
		r = decode_message(&m, err);
	if (r < 0) {
		shim_message_close_fds(&m);
		return error_wrap(err, r, "shim's message");
	}

	*ret = m;
	return 1;
}

int shim_message_send(int sock, const struct strbuf *json, const int *fds, size_t n_fds,
		      struct error *err)
{
	int r;

	if (strbuf_error(json) < 0 || json->len > SHIM_MESSAGE_MAX)
		return error_set(err, ERROR_INVALID, EMSGSIZE, "send to the shim's socket");
	r = fd_send(sock, json->s, json->len, fds, n_fds);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "send to the shim's socket");
	return 0;
}

int shim_message_error(const struct shim_message *m, struct error *err)
{
	const struct json *e = json_get(m->body, "error");
	int64_t errnum = json_get_int(e, "errnum");

	if (json_type(e) != JSON_OBJECT)
		return 0;
	if (errnum < 0 || errnum > 4095)
		errnum = 0;
	if (err) {
		const char *msg = json_get_string(e, "msg");

		/* The message is complete already: no strerror() behind it. */
		error_done(err);
		err->kind = error_kind_parse(json_get_string(e, "kind"));
		err->errnum = (int)errnum;
		err->msg = xstrdup(msg ? msg : "unknown error");
	}
	return errnum ? -(int)errnum : -EIO;
}

void shim_error_write(struct json_writer *w, const struct error *err)
{
	jw_kobject(w, "error");
	jw_kstring(w, "kind", error_kind_name(err->kind));
	jw_kint(w, "errnum", err->errnum);
	jw_kstring(w, "msg", error_msg(err));
	jw_object_end(w);
}

void shim_message_close_fds(struct shim_message *m)
{
	for (size_t i = 0; i < m->fd_count; i++)
		fd_close(&m->fds[i]);
	m->fd_count = 0;
}
