/* What a shim is told of its container's log: the file, and what vessel-log is to do. */
#include <regex.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/template.h"
#include "base/units.h"
#include "engine/engine_priv.h"
#include "engine/logging.h"

#define BUFFER_SIZE ((uint64_t)1 << 20) /* bytes that wait in mode non-blocking */
#define LOCAL_SIZE  ((uint64_t)20 << 20)
#define LOCAL_FILES 5
#define TAG_MAX     ((size_t)64 << 10)
#define SHORT_ID    12
#define DAEMON_NAME "docker" /* {{.DaemonName}}: what people filter by */
#define TAG_DEFAULT "{{.ID}}"

/* ---- extra fields ----------------------------------------------------------------------------- */

struct pair {
	const char *key;
	char *value; /* owned */
};
struct pairs {
	struct pair *v; /* owned, sorted by key */
	size_t n;
};

static void pairs_done(struct pairs *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].value);
	free(p->v);
}
#define autopairs __attribute__((cleanup(pairs_done)))

/* `key` is borrowed. */
static void pairs_set(struct pairs *p, const char *key, const char *value)
{
	size_t i = 0;

	while (i < p->n && strcmp(p->v[i].key, key) < 0)
		i++;
	if (i < p->n && strcmp(p->v[i].key, key) == 0) {
		free(p->v[i].value);
	} else {
		p->v = xrealloc(p->v, p->n + 1, sizeof(*p->v));
		memmove(p->v + i + 1, p->v + i, (p->n - i) * sizeof(*p->v));
		p->n++;
	}
	p->v[i] = (struct pair){key, xstrdup(value)};
}

static void pairs_write(const struct pairs *p, struct json_writer *w)
{
	jw_kobject(w, "Attrs");
	for (size_t i = 0; i < p->n; i++)
		jw_kstring(w, p->v[i].key, p->v[i].value);
	jw_object_end(w);
}

/* Go's classes that POSIX does not know. */
static char *posix_regex(const char *s)
{
	static const struct {
		char letter;
		const char *class;
	} classes[] = {{'d', "[0-9]"},        {'D', "[^0-9]"},       {'s', "[[:space:]]"},
		       {'S', "[^[:space:]]"}, {'w', "[0-9A-Za-z_]"}, {'W', "[^0-9A-Za-z_]"}};
	autostrbuf struct strbuf out = STRBUF_INIT(TAG_MAX);

	for (; *s; s++) {
		size_t i = ARRAY_SIZE(classes);

		if (*s == '\\' && s[1])
			for (i = 0; i < ARRAY_SIZE(classes) && classes[i].letter != s[1]; i++)
				;
		if (i < ARRAY_SIZE(classes)) {
			strbuf_adds(&out, classes[i].class);
			s++;
		} else {
			strbuf_addc(&out, *s);
			if (*s == '\\' && s[1])
				strbuf_addc(&out, *++s);
		}
	}
	return strbuf_take(&out);
}

static int compile(const char *option, const char *text, regex_t *ret, struct error *err)
{
	autofree char *posix = posix_regex(text);
	char why[128];
	int r = regcomp(ret, posix, REG_EXTENDED | REG_NOSUB);

	if (r == 0)
		return 0;
	(void)regerror(r, ret, why, sizeof(why));
	return error_set(err, ERROR_INVALID, 0, "%s: error parsing regexp: %s: `%s`", option, why,
			 text);
}

/* The entries of a map that an option names by a list, and another by an expression. */
struct source {
	const char *list_option, *regex_option;
	size_t n;
	const char *(*get)(const struct container_config *c, size_t i, const char **ret_value);
};

static const char *label_at(const struct container_config *c, size_t i, const char **ret_value)
{
	*ret_value = json_string(json_value_at(c->labels, i)) ?: "";
	return json_key_at(c->labels, i);
}

/* The key is owned by `scratch` until the next call. */
static const char *env_at(const struct container_config *c, size_t i, const char **ret_value)
{
	const char *equals = strchr(c->env.v[i], '=');

	*ret_value = equals ? equals + 1 : NULL;
	return c->env.v[i];
}

static bool is_listed(const char *list, const char *key, size_t len)
{
	for (const char *p = list; p && *p; p += *p == ',') {
		size_t n = strcspn(p, ",");

		if (n == len && memcmp(p, key, len) == 0)
			return true;
		p += n;
	}
	return false;
}

static int collect(const struct container *c, const struct source *s, struct arena *a,
		   struct pairs *p, struct error *err)
{
	const struct config_log *log = &c->spec->host.log;
	const char *list = logging_option(log, s->list_option);
	const char *expression = logging_option(log, s->regex_option);
	bool has_regex = expression && *expression;
	regex_t regex;
	int r = has_regex ? compile(s->regex_option, expression, &regex, err) : 0;

	if (r < 0)
		return r;
	for (size_t i = 0; i < s->n; i++) {
		const char *value, *key = s->get(&c->spec->config, i, &value);
		char *name;

		if (!value)
			continue; /* a variable without "=" */
		name = s->get == env_at ? arena_strndup(a, key, (size_t)(value - key) - 1)
					: arena_strdup(a, key);
		if (is_listed(list, name, strlen(name)) ||
		    (has_regex && regexec(&regex, name, 0, NULL, 0) == 0))
			pairs_set(p, name, value);
	}
	if (has_regex)
		regfree(&regex);
	return 0;
}

static int collect_all(const struct container *c, struct arena *a, struct pairs *p,
		       struct error *err)
{
	const struct container_config *config = &c->spec->config;
	const struct source labels = {"labels", "labels-regex", json_count(config->labels),
				      label_at};
	const struct source env = {"env", "env-regex", config->env.n, env_at};
	int r = collect(c, &labels, a, p, err);

	return r < 0 ? r : collect(c, &env, a, p, err);
}

/* ---- the tag ---------------------------------------------------------------------------------- */

static const char *short_image_id(const char *id)
{
	return str_has_prefix(id, "sha256:") ? id + strlen("sha256:") : id;
}

static void write_command(const struct container_config *c, struct json_writer *w)
{
	autostrbuf struct strbuf text = STRBUF_INIT(TAG_MAX);

	for (size_t i = 0; i < c->entrypoint.n + c->cmd.n; i++) {
		if (i > 0)
			strbuf_addc(&text, ' ');
		strbuf_adds(&text, i < c->entrypoint.n ? c->entrypoint.v[i]
						       : c->cmd.v[i - c->entrypoint.n]);
	}
	jw_kstring(w, "Command", text.s);
}

/* What both templates and vessel-log know of the container. */
static void write_info(const struct container *c, struct json_writer *w)
{
	char created[CLOCK_RFC3339_SIZE];

	clock_format_rfc3339(c->created_at, created);
	jw_kstring(w, "ContainerID", c->id);
	jw_key(w, "ContainerName");
	jw_stringf(w, "/%s", c->name);
	jw_kstring(w, "ContainerImageID", c->image_id);
	jw_kstring(w, "ContainerImageName", c->spec->config.image);
	jw_kstring(w, "ContainerCreated", created);
	write_command(&c->spec->config, w);
}

static int make_tag(const struct container *c, const char *text, struct strbuf *out,
		    struct error *err)
{
	autoarena struct arena *a = arena_new();
	autostrbuf struct strbuf doc = STRBUF_INIT((size_t)4 << 20);
	const struct container_config *config = &c->spec->config;
	const struct template *t = NULL;
	const struct json *dot = NULL;
	struct json_writer w;
	int r;

	json_writer_init(&w, &doc);
	jw_object(&w);
	write_info(c, &w);
	jw_key(&w, "ID");
	jw_stringn(&w, c->id, SHORT_ID);
	jw_kstring(&w, "FullID", c->id);
	jw_kstring(&w, "Name", c->name);
	jw_key(&w, "ImageID");
	jw_stringn(&w, short_image_id(c->image_id), strnlen(short_image_id(c->image_id), SHORT_ID));
	jw_kstring(&w, "ImageFullID", c->image_id);
	jw_kstring(&w, "ImageName", config->image);
	jw_kstring(&w, "DaemonName", DAEMON_NAME);
	jw_kvalue(&w, "ContainerLabels", config->labels);
	jw_karray(&w, "ContainerEnv");
	for (size_t i = 0; i < config->env.n; i++)
		jw_string(&w, config->env.v[i]);
	jw_array_end(&w);
	jw_object_end(&w);
	r = template_parse(a, text, &t, err);
	r = r < 0 ? r : json_parse(a, doc.s, doc.len, &dot, err);
	r = r < 0 ? r : template_execute(t, dot, out, err);
	return r < 0 ? error_wrap(err, r, "log opt 'tag'") : 0;
}

int logging_check_templates(const struct config_log *log, struct error *err)
{
	static const char *const regexes[] = {"labels-regex", "env-regex"};
	autoarena struct arena *a = arena_new();
	const char *tag = logging_option(log, "tag");
	const struct template *t;
	int r = tag ? template_parse(a, tag, &t, err) : 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(regexes); i++) {
		const char *text = logging_option(log, regexes[i]);
		regex_t regex;

		if (!text)
			continue;
		r = compile(regexes[i], text, &regex, err);
		if (r >= 0)
			regfree(&regex);
	}
	return r;
}

/* ---- the shim's configuration ----------------------------------------------------------------- */

/* Limits of the file: options of its own, or with "cache-" before them. */
static void write_file(const struct config_log *log, const char *prefix, bool is_local,
		       struct json_writer *w)
{
	autofree char *size_name = xasprintf("%smax-size", prefix);
	autofree char *file_name = xasprintf("%smax-file", prefix);
	autofree char *compress_name = xasprintf("%scompress", prefix);
	const char *size = logging_option(log, size_name), *file = logging_option(log, file_name);
	const char *compress = logging_option(log, compress_name);
	uint64_t bytes = 0, files = LOCAL_FILES;

	if (!size && !is_local)
		size = LOGGING_MAX_SIZE;
	else if (size && !is_local)
		files = 1;
	if (!size)
		bytes = LOCAL_SIZE;
	else if (strcmp(size, "-1") != 0)
		(void)units_parse_size(size, false, &bytes); /* checked at create */
	if (file)
		(void)str_parse_u64(file, &files);
	jw_kuint(w, "MaxSize", bytes);
	jw_kuint(w, "MaxFile", files);
	jw_kbool(w, "Compress", compress ? logging_option_bool(log, compress_name) : is_local);
}

struct helper {
	const char *driver, *tag;
	const struct pairs *attrs;
	const char *path; /* of the file that vessel-log writes; NULL: it has another peer */
};

/* The file for a driver that is one: json-file or local with mode=non-blocking. */
static void write_helper_file(const struct engine *e, const struct config_log *log,
			      const struct helper *h, struct json_writer *w)
{
	bool is_local = strcmp(h->driver, "local") == 0;

	jw_kobject(w, "File");
	jw_kstring(w, "Type", h->driver);
	jw_kstring(w, "Path", h->path);
	write_file(log, "", is_local, w);
	jw_kstring(w, "Helper", e->helpers.log_helper);
	if (h->attrs->n > 0)
		pairs_write(h->attrs, w);
	jw_object_end(w);
}

static void write_driver(const struct engine *e, const struct container *c, const struct helper *h,
			 struct json_writer *w)
{
	const struct config_log *log = &c->spec->host.log;

	jw_kobject(w, "Driver");
	jw_kstring(w, "Name", h->driver);
	jw_kobject(w, "Options");
	for (size_t i = 0; i < log->config.n; i++)
		jw_kstring(w, log->config.keys[i], log->config.values[i]);
	jw_object_end(w);
	jw_kstring(w, "Tag", h->tag);
	write_info(c, w);
	if (h->path)
		write_helper_file(e, log, h, w);
	else
		pairs_write(h->attrs, w);
	jw_object_end(w);
}

/* How much may wait in the shim when the container is not to. */
static void write_mode(const struct config_log *log, struct json_writer *w)
{
	const char *size = logging_option(log, "max-buffer-size");
	bool async = logging_option_bool(log, "fluentd-async") ||
		     logging_option_bool(log, "fluentd-async-connect");
	uint64_t bytes = BUFFER_SIZE;

	if (async && !size)
		size = logging_option(log, "fluentd-buffer-limit");
	if (size && *size)
		(void)units_parse_size(size, true, &bytes);
	jw_kbool(w, "NonBlocking", async || str_eq(logging_option(log, "mode"), "non-blocking"));
	jw_kuint(w, "BufferSize", bytes);
}

/* The one that a file of the driver local is in. */
static int make_directory(const char *file, struct error *err)
{
	autofree char *dir = xstrndup(file, (size_t)(strrchr(file, '/') - file));

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return error_set(err, ERROR_INTERNAL, errno, "make directory '%s'", dir);
	return 0;
}

int logging_write(const struct engine *e, const struct container *c, struct json_writer *w,
		  struct error *err)
{
	const struct config_log *log = &c->spec->host.log;
	bool is_local, is_file = !strcmp(log->type, "json-file") || !strcmp(log->type, "local");
	/* The disk must not hold up the container: vessel-log writes the file. */
	bool apart = is_file && str_eq(logging_option(log, "mode"), "non-blocking");
	autofree char *path = logging_path(c, &is_local);
	autostrbuf struct strbuf tag = STRBUF_INIT(TAG_MAX);
	autoarena struct arena *a = arena_new();
	autopairs struct pairs attrs = {0};
	const char *text = logging_option(log, "tag");
	int r = 0;

	jw_kobject(w, "Log");
	if (strcmp(log->type, "none") == 0) {
		jw_kstring(w, "Type", "none");
		jw_object_end(w);
		return 0;
	}
	if (!e->helpers.log_helper && (!is_file || apart))
		return error_set(err, ERROR_UNAVAILABLE, 0, "vessel-log is not installed");
	r = collect_all(c, a, &attrs, err);
	if (r >= 0 && (!is_file || !str_empty(text)))
		r = make_tag(c, str_empty(text) ? TAG_DEFAULT : text, &tag, err);
	if (r < 0)
		return r;
	if (is_file && tag.len > 0)
		pairs_set(&attrs, "tag", tag.s);
	r = path ? make_directory(path, err) : 0;
	if (r < 0)
		return r;
	jw_kstring(w, "Type", is_local || apart ? "local" : "json-file");
	if (path && !apart)
		jw_kstring(w, "Path", path);
	write_file(log, is_file ? "" : "cache-", is_local, w);
	write_mode(log, w);
	if (e->helpers.log_helper)
		jw_kstring(w, "Helper", e->helpers.log_helper);
	if (!is_file || apart) {
		const struct helper h = {log->type, tag.s, &attrs, apart ? path : NULL};

		write_driver(e, c, &h, w);
		jw_kbool(w, "Await", apart);
	}
	if (attrs.n > 0 && !apart)
		pairs_write(&attrs, w);
	jw_object_end(w);
	return 0;
}
