/* A container's configuration: from the create body, through the image's defaults, into a row. */
#include "engine/config.h"

#include <string.h>

#include "base/mem.h"
#include "engine/config_priv.h"

#define MERGED_MAX ((size_t)16 << 20) /* bytes of a merged map */

static struct container_spec *spec_new(void)
{
	struct arena *a = arena_new();
	struct container_spec *s = arena_new0(a, struct container_spec);

	s->arena = a;
	return s;
}

struct container_spec *container_spec_free(struct container_spec *s)
{
	if (s)
		(void)arena_free(s->arena); /* the spec itself lives there too */
	return NULL;
}

/* Defaults that clients of old versions count on. */
static void apply_version(struct host_config *h, unsigned api_version)
{
	if (*h->cgroupns_mode == '\0' && api_version < 141)
		h->cgroupns_mode = "host";
	if (*h->ipc_mode == '\0' && api_version < 140)
		h->ipc_mode = "shareable";
}

int container_spec_new(const struct json *body, unsigned api_version, struct container_spec **ret,
		       struct strv *warnings, struct error *err)
{
	autospec struct container_spec *s = spec_new();
	const struct json *doc;
	int r;

	if (json_type(body) != JSON_OBJECT || json_count(body) == 0)
		return error_set(err, ERROR_INVALID, 0,
				 "config cannot be empty in order to create a container");
	r = config_copy(s->arena, body, &doc, err);
	if (r == 0)
		r = config_decode(s, doc, err);
	if (r == 0)
		r = config_validate(s, api_version, warnings, err);
	if (r < 0)
		return r;
	apply_version(&s->host, api_version);
	*ret = TAKE_PTR(s);
	return 0;
}

int container_spec_load(const char *text, size_t len, struct container_spec **ret,
			struct error *err)
{
	autospec struct container_spec *s = spec_new();
	const struct json *doc;
	int r = json_parse(s->arena, text, len, &doc, err);

	if (r == 0)
		r = config_decode(s, doc, err);
	if (r == 0)
		r = config_ports_parse(s, err);
	if (r == 0)
		r = config_decode_points(s, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

/* Members of both objects; of a key in both, the first one's. */
static int merge_objects(struct arena *a, const struct json **mine, const struct json *image,
			 struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT(MERGED_MAX);
	struct json_writer w;
	const struct json *v;
	const char *key;

	if (json_type(image) != JSON_OBJECT)
		return 0;
	json_writer_init(&w, &text);
	jw_object(&w);
	json_object_foreach(key, v, *mine)
		jw_kvalue(&w, key, v);
	json_object_foreach(key, v, image) {
		bool have = false;

		for (size_t i = 0; i < json_count(*mine); i++)
			have |= strcmp(json_key_at(*mine, i), key) == 0;
		if (!have)
			jw_kvalue(&w, key, v);
	}
	jw_object_end(&w);
	if (strbuf_error(&text) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "merge the image's configuration");
	return json_parse(a, text.s, text.len, mine, err);
}

static size_t env_name_len(const char *s)
{
	return strcspn(s, "=");
}

static void merge_env(struct arena *a, struct json_strings *mine, const struct json_strings *image)
{
	const char **v;
	size_t n = mine->n;

	if (image->n == 0)
		return;
	v = arena_new0n(a, const char *, mine->n + image->n + 1);
	for (size_t i = 0; i < mine->n; i++)
		v[i] = mine->v[i];
	for (size_t i = 0; i < image->n; i++) {
		size_t len = env_name_len(image->v[i]);
		bool have = false;

		for (size_t j = 0; j < mine->n; j++)
			have |= env_name_len(mine->v[j]) == len &&
				memcmp(mine->v[j], image->v[i], len) == 0;
		if (!have)
			v[n++] = image->v[i];
	}
	*mine = (struct json_strings){.v = v, .n = n};
}

/* An image's healthcheck fills what the container's leaves at zero. */
static void merge_healthcheck(struct arena *a, struct container_config *c,
			      const struct config_healthcheck *image)
{
	struct config_healthcheck *h;

	if (!image)
		return;
	if (!c->healthcheck) {
		c->healthcheck = image;
		return;
	}
	h = arena_memdup(a, c->healthcheck, sizeof(*h));
	if (h->test.n == 0)
		h->test = image->test;
	h->interval = h->interval ? h->interval : image->interval;
	h->timeout = h->timeout ? h->timeout : image->timeout;
	h->start_period = h->start_period ? h->start_period : image->start_period;
	h->start_interval = h->start_interval ? h->start_interval : image->start_interval;
	h->retries = h->retries ? h->retries : image->retries;
	c->healthcheck = h;
}

static void merge_command(struct container_config *c, const struct container_config *image)
{
	if (c->entrypoint.n == 0) {
		if (c->cmd.n == 0) {
			c->cmd = image->cmd;
			c->args_escaped = image->args_escaped;
		}
		if (!c->entrypoint.v)
			c->entrypoint = image->entrypoint;
	}
	/* [""] is how a client says: none, not the image's either. */
	if (c->entrypoint.n == 1 && c->entrypoint.v[0][0] == '\0')
		c->entrypoint = (struct json_strings){0};
}

static int merge(struct container_spec *s, const struct container_config *image, struct error *err)
{
	struct container_config *c = &s->config;
	int r;

	if (*c->user == '\0')
		c->user = image->user;
	if (*c->working_dir == '\0')
		c->working_dir = image->working_dir;
	if (*c->stop_signal == '\0')
		c->stop_signal = image->stop_signal;
	if (c->shell.n == 0)
		c->shell = image->shell;
	merge_env(s->arena, &c->env, &image->env);
	merge_command(c, image);
	merge_healthcheck(s->arena, c, image->healthcheck);
	r = merge_objects(s->arena, &c->exposed_ports, image->exposed_ports, err);
	if (r == 0)
		r = merge_objects(s->arena, &c->labels, image->labels, err);
	if (r == 0)
		r = merge_objects(s->arena, &c->volumes, image->volumes, err);
	return r;
}

int container_spec_merge_image(struct container_spec *s, const struct json *image_config,
			       struct error *err)
{
	/* Decoded by the same table, in the same arena. */
	struct container_spec image = {.arena = s->arena};
	const struct json *doc;
	int r = 0;

	if (!json_is_null(image_config)) {
		r = config_copy(s->arena, image_config, &doc, err);
		if (r == 0)
			r = config_decode(&image, doc, err);
		if (r == 0)
			r = merge(s, &image.config, err);
		if (r < 0)
			return error_wrap(err, r, "configuration of image '%s'", s->config.image);
	}
	if (s->config.cmd.n == 0 && s->config.entrypoint.n == 0)
		return error_set(err, ERROR_INVALID, 0, "no command specified");
	config_defaults(s);
	return 0;
}

/* Execs. */
static int decode_size(struct json_decoder *d, const struct json *v, void *field, struct error *err)
{
	unsigned *size = field;

	for (size_t i = 0; i < 2; i++) {
		const struct json *n = json_at(v, i);

		if (!json_is_null(n) && (!json_uint_fits(n) || json_uint(n) > UINT16_MAX))
			return json_decoder_error(d, err, "expected [height, width]");
		size[i] = (unsigned)json_uint(n);
	}
	return 0;
}

#define EXEC(name, type, member) JSON_FIELD(struct exec_config, name, type, member, 0)
static const struct json_field exec_fields[] = {
	EXEC("AttachStdin", JSON_DECODE_BOOL, attach_stdin),
	EXEC("AttachStdout", JSON_DECODE_BOOL, attach_stdout),
	EXEC("AttachStderr", JSON_DECODE_BOOL, attach_stderr),
	EXEC("Tty", JSON_DECODE_BOOL, tty),
	EXEC("Privileged", JSON_DECODE_BOOL, privileged),
	EXEC("Detach", JSON_DECODE_BOOL, detach),
	EXEC("User", JSON_DECODE_STRING, user),
	EXEC("WorkingDir", JSON_DECODE_STRING, working_dir),
	EXEC("DetachKeys", JSON_DECODE_STRING, detach_keys),
	EXEC("Env", JSON_DECODE_STRINGS, env),
	JSON_FIELD_FN(struct exec_config, "Cmd", cmd, config_strslice, 0),
	JSON_FIELD_FN(struct exec_config, "ConsoleSize", rows, decode_size, 0),
	{0},
};

int exec_config_new(const struct json *body, struct exec_config **ret, struct error *err)
{
	struct arena *a = arena_new();
	autoexecconfig struct exec_config *c = arena_new0(a, struct exec_config);
	const struct json *doc;
	int r;

	c->arena = a;
	c->user = c->working_dir = c->detach_keys = "";
	r = config_copy(a, body, &doc, err);
	if (r == 0)
		r = json_decode(a, doc, exec_fields, c, "", err);
	if (r < 0)
		return r;
	if (c->cmd.n == 0)
		return error_set(err, ERROR_INVALID, 0, "No exec command specified");
	for (size_t i = 0; i < c->env.n; i++)
		if (c->env.v[i][0] == '\0' || c->env.v[i][0] == '=')
			return error_set(err, ERROR_INVALID, 0, "invalid environment variable: %s",
					 c->env.v[i]);
	if (*c->working_dir && *c->working_dir != '/')
		return error_set(
			err, ERROR_INVALID, 0,
			"the working directory '%s' is invalid, it needs to be an absolute "
			"path",
			c->working_dir);
	*ret = TAKE_PTR(c);
	return 0;
}

struct exec_config *exec_config_free(struct exec_config *c)
{
	if (c)
		(void)arena_free(c->arena);
	return NULL;
}
