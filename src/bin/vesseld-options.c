/* bin/vesseld-options.c - the command line and the file of vesseld, as documents for the settings. */
#include "bin/vesseld-options.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/flags.h"

#define TEXT_MAX ((size_t)1 << 20) /* bytes of the configuration file, and of all flags */

/* ---- flags ----------------------------------------------------------------------------------- */

struct command_line {
	struct vesseld_options *options;
	struct vesseld_options own; /* flags that are no settings */
	struct {                    /* by row of the settings' table */
		struct strv list;   /* owned */
		const char *text;
		int number;
		bool on;
	} v[SETTINGS_MAX];
	struct flag table[FLAGS_MAX];
	int row[FLAGS_MAX]; /* of each flag; -1: it is no setting */
	size_t n;
};

static enum flag_type flag_type_of(enum setting_type type)
{
	static const enum flag_type types[SETTING_TYPE_COUNT] = {
		[SETTING_STRING] = FLAG_STRING, [SETTING_BOOL] = FLAG_BOOL,
		[SETTING_INT] = FLAG_INT,       [SETTING_BYTES] = FLAG_STRING,
		[SETTING_LIST] = FLAG_LIST,     [SETTING_MAP] = FLAG_LIST,
		[SETTING_BOOLS] = FLAG_LIST,    [SETTING_MAPS] = FLAG_LIST,
		[SETTING_RUNTIMES] = FLAG_LIST, [SETTING_ULIMITS] = FLAG_LIST,
		[SETTING_POOLS] = FLAG_LIST,    [SETTING_OBJECT] = FLAG_LIST,
	};

	return types[type];
}

static void add_flag(struct command_line *c, const struct flag *flag, int row)
{
	c->row[c->n] = row;
	c->table[c->n++] = *flag;
}

static void fill_table(struct command_line *c)
{
	static const struct flag own[] = {
		FLAG(struct command_line, "config-file", 0, FLAG_STRING, own.config_file,
		     "Daemon configuration file"),
		FLAG(struct command_line, "list-settings", 0, FLAG_BOOL, own.list_settings,
		     "Write the table of settings"),
		FLAG(struct command_line, "replace-docker", 0, FLAG_BOOL, own.replace_docker,
		     "Take over dockerd's socket, group and configuration file"),
		FLAG(struct command_line, "validate", 0, FLAG_BOOL, own.validate,
		     "Validate daemon configuration and exit"),
		FLAG(struct command_line, "version", 'v', FLAG_BOOL, own.version,
		     "Print version information and quit"),
	};
	static const size_t offsets[] = {
		[FLAG_BOOL] = offsetof(struct command_line, v[0].on),
		[FLAG_INT] = offsetof(struct command_line, v[0].number),
		[FLAG_STRING] = offsetof(struct command_line, v[0].text),
		[FLAG_LIST] = offsetof(struct command_line, v[0].list),
	};

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		add_flag(c, &own[i], -1);
	c->table[1].hidden = true;
	for (int i = 0; settings_table[i].key; i++) {
		const struct setting *s = &settings_table[i];
		struct flag flag = {
			.name = s->flag,
			.shorthand = s->shorthand,
			.type = flag_type_of(s->type),
			.help = s->help,
			.hidden = s->flags & SETTING_HIDDEN,
		};

		flag.offset = offsets[flag.type] + (size_t)i * sizeof(c->v[0]);
		if (s->flag)
			add_flag(c, &flag, i);
	}
}

/* ---- flags to a document --------------------------------------------------------------------- */

static int malformed(const struct setting *s, const char *value, const char *shape,
		     struct error *err)
{
	return error_set(err, ERROR_INVALID, 0,
			 "invalid argument \"%s\" for \"--%s\" flag: expected %s", value, s->flag,
			 shape);
}

/* "name=rest": an owned name, and the rest; NULL without '='. */
static char *split(const char *text, const char **ret_rest)
{
	const char *equals = strchr(text, '=');

	*ret_rest = equals ? equals + 1 : NULL;
	return equals && equals != text ? xstrndup(text, (size_t)(equals - text)) : NULL;
}

static int write_pair(const struct setting *s, const char *text, struct json_writer *w,
		      struct error *err)
{
	const char *rest;
	autofree char *name = split(text, &rest);

	if (!name)
		return malformed(s, text, "key=value", err);
	jw_kstring(w, name, rest);
	return 0;
}

static int write_switch(const struct setting *s, const char *text, struct json_writer *w,
			struct error *err)
{
	const char *rest;
	autofree char *name = split(text, &rest);
	bool on = true;

	if (rest && (!name || flags_parse_bool(rest, &on) < 0))
		return malformed(s, text, "name=true or name=false", err);
	jw_kbool(w, name ? name : text, on);
	return 0;
}

static int write_runtime(const struct setting *s, const char *text, struct json_writer *w,
			 struct error *err)
{
	const char *rest;
	autofree char *name = split(text, &rest);

	if (!name || !*rest)
		return malformed(s, text, "name=path", err);
	jw_kobject(w, name);
	jw_kstring(w, "path", rest);
	jw_object_end(w);
	return 0;
}

static int write_ulimit(const struct setting *s, const char *text, struct json_writer *w,
			struct error *err)
{
	const char *rest, *colon;
	autofree char *name = split(text, &rest);
	autofree char *soft_text = NULL;
	int64_t soft, hard;

	if (!name)
		return malformed(s, text, "name=soft[:hard]", err);
	colon = strchr(rest, ':');
	soft_text = colon ? xstrndup(rest, (size_t)(colon - rest)) : xstrdup(rest);
	if (str_parse_i64(soft_text, &soft) < 0 ||
	    str_parse_i64(colon ? colon + 1 : rest, &hard) < 0)
		return malformed(s, text, "name=soft[:hard]", err);
	jw_kobject(w, name);
	jw_kstring(w, "Name", name);
	jw_kint(w, "Hard", hard);
	jw_kint(w, "Soft", soft);
	jw_object_end(w);
	return 0;
}

static int write_network_opt(const struct setting *s, const char *text, struct json_writer *w,
			     struct error *err)
{
	const char *rest, *value = NULL;
	autofree char *driver = split(text, &rest);
	autofree char *key = driver ? split(rest, &value) : NULL;

	if (!key)
		return malformed(s, text, "driver=key=value", err);
	jw_kobject(w, driver);
	jw_kstring(w, key, value);
	jw_object_end(w);
	return 0;
}

static int write_pool(const struct setting *s, const char *text, struct json_writer *w,
		      struct error *err)
{
	autofree char *copy = xstrdup(text);
	const char *base = NULL;
	uint32_t size = 0;
	char *save = NULL;

	for (char *part = strtok_r(copy, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
		if (str_has_prefix(part, "base="))
			base = part + 5;
		else if (!str_has_prefix(part, "size=") || str_parse_u32(part + 5, &size) < 0)
			return malformed(s, text, "base=subnet,size=bits", err);
	}
	if (!base || !size)
		return malformed(s, text, "base=subnet,size=bits", err);
	jw_object(w);
	jw_kstring(w, "base", base);
	jw_kuint(w, "size", size);
	jw_object_end(w);
	return 0;
}

static int write_item(const struct setting *s, const char *text, struct json_writer *w,
		      struct error *err)
{
	(void)s;
	(void)err;
	jw_string(w, text);
	return 0;
}

static int write_list(const struct setting *s, const struct strv *list, struct json_writer *w,
		      struct error *err)
{
	static int (*const items[SETTING_TYPE_COUNT])(const struct setting *s, const char *text,
						      struct json_writer *w, struct error *err) = {
		[SETTING_LIST] = write_item,        [SETTING_MAP] = write_pair,
		[SETTING_BOOLS] = write_switch,     [SETTING_MAPS] = write_network_opt,
		[SETTING_RUNTIMES] = write_runtime, [SETTING_ULIMITS] = write_ulimit,
		[SETTING_POOLS] = write_pool,
	};
	bool is_array = s->type == SETTING_LIST || s->type == SETTING_POOLS;
	int r = 0;

	if (is_array)
		jw_array(w);
	else
		jw_object(w);
	for (size_t i = 0; r >= 0 && i < list->n; i++)
		r = items[s->type](s, list->v[i], w, err);
	if (r < 0)
		return r;
	if (is_array)
		jw_array_end(w);
	else
		jw_object_end(w);
	return 0;
}

static int write_value(const struct command_line *c, int row, struct json_writer *w,
		       struct error *err)
{
	const struct setting *s = &settings_table[row];

	enum flag_type type = flag_type_of(s->type);

	jw_key(w, s->key);
	if (type == FLAG_LIST)
		return write_list(s, &c->v[row].list, w, err);
	if (type == FLAG_BOOL)
		jw_bool(w, c->v[row].on);
	else if (type == FLAG_INT)
		jw_int(w, c->v[row].number);
	else
		jw_string(w, c->v[row].text);
	return 0;
}

static int flags_document(struct command_line *c, const struct flags_parsed *parsed,
			  struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(TEXT_MAX);
	struct json_writer w;
	int r = 0;

	json_writer_init(&w, &out);
	jw_object(&w);
	for (size_t i = 0; r >= 0 && i < c->n; i++)
		if (c->row[i] >= 0 && parsed->changed[i])
			r = write_value(c, c->row[i], &w, err);
	if (r < 0)
		return r;
	jw_object_end(&w);
	return json_parse(c->options->arena, out.s, out.len, &c->options->flags, err);
}

/* ---- help ------------------------------------------------------------------------------------ */

static void print_usage(struct command_line *c)
{
	autostrbuf struct strbuf text = STRBUF_INIT(65536);

	strbuf_adds(&text, "\nUsage:  vesseld [OPTIONS]\n\nA container engine.\n\nOptions:\n");
	flags_usage(c->table, &text);
	(void)fputs(text.s, stdout);
}

static const char *type_name(enum setting_type type)
{
	static const char *const names[SETTING_TYPE_COUNT] = {
		[SETTING_STRING] = "string",     [SETTING_BOOL] = "boolean",
		[SETTING_INT] = "number",        [SETTING_BYTES] = "size",
		[SETTING_LIST] = "strings",      [SETTING_MAP] = "map of strings",
		[SETTING_BOOLS] = "switches",    [SETTING_MAPS] = "map of maps",
		[SETTING_RUNTIMES] = "runtimes", [SETTING_ULIMITS] = "ulimits",
		[SETTING_POOLS] = "pools",       [SETTING_OBJECT] = "object",
	};

	return names[type];
}

/* "yes", or how much of it. */
static const char *presence(const struct setting *s)
{
	if (s->offset >= 0)
		return "yes";
	if (s->inert)
		return "no effect: ";
	return s->type == SETTING_BOOL && s->fallback ? "always on" : "default only";
}

void vesseld_options_list(void)
{
	(void)puts("| key | flag | type | default | there | reload |\n|---|---|---|---|---|---|");
	for (int i = 0; settings_table[i].key; i++) {
		const struct setting *s = &settings_table[i];

		(void)printf("| `%s` | %s%s%s | %s | %s%s%s | %s%s | %s |\n", s->key,
			     s->flag ? "`--" : "", s->flag ? s->flag : "", s->flag ? "`" : "",
			     type_name(s->type), s->fallback ? "`" : "",
			     s->fallback ? s->fallback : "", s->fallback ? "`" : "", presence(s),
			     s->inert ? s->inert : "", s->flags & SETTING_RELOADABLE ? "yes" : "");
	}
}

/* ---- the file -------------------------------------------------------------------------------- */

static const char *file_of(const struct vesseld_options *o)
{
	if (o->config_file)
		return o->config_file;
	return o->replace_docker ? VESSELD_DOCKER_CONFIG_FILE : VESSELD_CONFIG_FILE;
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '\0';
}

static int read_file(const struct vesseld_options *o, struct arena *a, const struct json **ret,
		     struct error *err)
{
	static const char bom[] = "\xef\xbb\xbf";
	autofree char *text = NULL;
	const char *start;
	size_t len;
	int r = file_read(AT_FDCWD, file_of(o), TEXT_MAX, &text, &len, err);

	if (r < 0)
		return r;
	start = str_has_prefix(text, bom) ? text + sizeof(bom) - 1 : text;
	if (is_blank(start))
		return 0;
	return json_parse(a, start, len - (size_t)(start - text), ret, err);
}

static int load(const struct vesseld_options *o, struct settings **ret, struct error *err)
{
	autoarena struct arena *a = arena_new();
	autoerror struct error why = {0};
	struct settings_source source = {.flags = o->flags};
	int r = read_file(o, a, &source.file, &why);
	bool has_file = source.file;

	if (r == -ENOENT && !o->config_file)
		r = 0;
	r = r < 0 ? r : settings_new(&source, ret, &why);
	if (r >= 0)
		return 0;
	if (!has_file && why.kind != ERROR_INTERNAL)
		return error_move(err, &why, r);
	return error_set(err, why.kind, 0, "unable to configure the daemon with file %s: %s",
			 file_of(o), error_msg(&why));
}

int vesseld_options_reload(const struct vesseld_options *o, const struct settings *now,
			   struct settings **ret, struct error *err)
{
	autostrbuf struct strbuf kept = STRBUF_INIT(TEXT_MAX);
	autosettings struct settings *fresh = NULL;
	int r = load(o, &fresh, err);

	r = r < 0 ? r : settings_reload(now, fresh, ret, &kept, err);
	if (r >= 0 && kept.len > 0)
		log_warn("changed in the configuration, but only a restart applies it: %s", kept.s);
	return r;
}

/* ---- all together ---------------------------------------------------------------------------- */

static int parse(struct command_line *c, int argc, char **argv, struct error *err)
{
	struct vesseld_options *o = c->options;
	struct arena *a = o->arena;
	struct flags_parsed parsed;
	int r = flags_parse(c->table, c, argc - 1, argv + 1, false, &parsed, err);

	if (r < 0)
		return r;
	*o = c->own;
	o->arena = a;
	if (parsed.help) {
		print_usage(c);
		return 1;
	}
	if (parsed.arg_count > 0)
		return error_set(err, ERROR_INVALID, 0, "vesseld accepts no arguments: '%s'",
				 parsed.args[0]);
	r = flags_document(c, &parsed, err);
	return r < 0 || o->version || o->list_settings ? r : load(o, &o->settings, err);
}

int vesseld_options_parse(int argc, char **argv, struct vesseld_options *ret, struct error *err)
{
	struct vesseld_options o = {.arena = arena_new()};
	struct command_line *c = xnew0(struct command_line);
	int r;

	c->options = &o;
	fill_table(c);
	r = parse(c, argc, argv, err);
	for (size_t i = 0; i < ARRAY_SIZE(c->v); i++)
		strv_done(&c->v[i].list);
	free(c);
	if (r < 0) {
		vesseld_options_done(&o);
		return r;
	}
	*ret = o;
	return r;
}

void vesseld_options_done(struct vesseld_options *o)
{
	o->settings = settings_free(o->settings);
	o->arena = arena_free(o->arena);
}
