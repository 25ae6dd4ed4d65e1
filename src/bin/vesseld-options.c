/* bin/vesseld-options.c - what vesseld is told: dockerd's flags, and daemon.json with dockerd's keys. */
#include "bin/vesseld-options.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/flags.h"

#define CONFIG_FILE_MAX ((size_t)1 << 20) /* bytes */

#define ROW(name, short_, type, member, help) \
	FLAG(struct vesseld_options, name, short_, type, member, help)

static const struct flag flag_table[] = {
	ROW("bip", 0, FLAG_STRING, bip, "Address of the default bridge, with prefix length"),
	ROW("bridge", 'b', FLAG_STRING, bridge, "Link name of the default bridge"),
	ROW("cgroup-parent", 0, FLAG_STRING, cgroup_parent, "Parent cgroup of all containers"),
	ROW("config-file", 0, FLAG_STRING, config_file, "Daemon configuration file"),
	ROW("data-root", 0, FLAG_STRING, data_root, "Root directory of persistent state"),
	ROW("debug", 'D', FLAG_BOOL, debug, "Enable debug mode"),
	ROW("exec-root", 0, FLAG_STRING, exec_root, "Root directory for execution state files"),
	ROW("group", 'G', FLAG_STRING, group, "Group of the unix socket"),
	ROW("host", 'H', FLAG_LIST, hosts, "Daemon socket(s) to listen on"),
	ROW("ipv6", 0, FLAG_BOOL, ipv6, "Give IPv6 addresses on the default bridge too"),
	ROW("log-level", 'l', FLAG_STRING, log_level,
	    "Set the logging level (debug, info, warn, error, fatal)"),
	ROW("log-opt", 0, FLAG_LIST, log_opt_flags, "Default log options of containers"),
	ROW("pidfile", 'p', FLAG_STRING, pidfile, "Path to use for daemon PID file"),
	ROW("selinux-enabled", 0, FLAG_BOOL, selinux, "Label containers for SELinux"),
	ROW("tls", 0, FLAG_BOOL, tls, "Use TLS; implied by --tlsverify"),
	ROW("tlscacert", 0, FLAG_STRING, tls_ca, "Trust certs signed only by this CA"),
	ROW("tlscert", 0, FLAG_STRING, tls_cert, "Path to TLS certificate file"),
	ROW("tlskey", 0, FLAG_STRING, tls_key, "Path to TLS key file"),
	ROW("tlsverify", 0, FLAG_BOOL, tls_verify, "Use TLS and verify the remote"),
	ROW("userns-remap", 0, FLAG_STRING, userns_remap, "User/Group setting for user namespaces"),
	ROW("validate", 0, FLAG_BOOL, validate, "Validate daemon configuration and exit"),
	ROW("version", 'v', FLAG_BOOL, version, "Print version information and quit"),
	{0},
};

enum key_type { KEY_STRING, KEY_BOOL, KEY_LIST, KEY_OBJECT };

/* Keys of the file; flag: the one that it may not meet.  Those that only hold their value here are
 * accepted with it, because configurations bring them along. */
static const struct {
	const char *key;
	enum key_type type;
	size_t offset;
	const char *flag;
} key_table[] = {
	{"bip", KEY_STRING, offsetof(struct vesseld_options, bip), "bip"},
	{"bridge", KEY_STRING, offsetof(struct vesseld_options, bridge), "bridge"},
	{"cgroup-parent", KEY_STRING, offsetof(struct vesseld_options, cgroup_parent),
	 "cgroup-parent"},
	{"data-root", KEY_STRING, offsetof(struct vesseld_options, data_root), "data-root"},
	{"debug", KEY_BOOL, offsetof(struct vesseld_options, debug), "debug"},
	{"exec-root", KEY_STRING, offsetof(struct vesseld_options, exec_root), "exec-root"},
	{"group", KEY_STRING, offsetof(struct vesseld_options, group), "group"},
	{"hosts", KEY_LIST, offsetof(struct vesseld_options, hosts), "host"},
	{"ipv6", KEY_BOOL, offsetof(struct vesseld_options, ipv6), "ipv6"},
	{"log-level", KEY_STRING, offsetof(struct vesseld_options, log_level), "log-level"},
	{"log-opts", KEY_OBJECT, offsetof(struct vesseld_options, log_opts), "log-opt"},
	{"pidfile", KEY_STRING, offsetof(struct vesseld_options, pidfile), "pidfile"},
	{"selinux-enabled", KEY_BOOL, offsetof(struct vesseld_options, selinux), "selinux-enabled"},
	{"tls", KEY_BOOL, offsetof(struct vesseld_options, tls), "tls"},
	{"tlscacert", KEY_STRING, offsetof(struct vesseld_options, tls_ca), "tlscacert"},
	{"tlscert", KEY_STRING, offsetof(struct vesseld_options, tls_cert), "tlscert"},
	{"tlskey", KEY_STRING, offsetof(struct vesseld_options, tls_key), "tlskey"},
	{"tlsverify", KEY_BOOL, offsetof(struct vesseld_options, tls_verify), "tlsverify"},
	{"userns-remap", KEY_STRING, offsetof(struct vesseld_options, userns_remap),
	 "userns-remap"},
};

static const struct {
	const char *key, *value; /* of a string, or "true" */
} fixed_keys[] = {
	{"log-driver", "json-file"},   {"storage-driver", "overlay2"},
	{"live-restore", "true"},      {"exec-opts", "native.cgroupdriver=cgroupfs"},
	{"default-runtime", "vessel"},
};

static int apply_list(struct strv *list, const struct json *v, const char *key, struct error *err)
{
	const struct json *item;

	if (json_type(v) != JSON_ARRAY)
		return error_set(err, ERROR_INVALID, 0, "'%s': expected an array of strings", key);
	json_array_foreach(item, v) {
		if (!json_string(item))
			return error_set(err, ERROR_INVALID, 0,
					 "'%s': expected an array of strings", key);
		strv_add(list, json_string(item));
	}
	return 0;
}

static int apply_key(struct vesseld_options *o, size_t row, const struct json *v, struct error *err)
{
	void *field = (char *)o + key_table[row].offset;
	const char *key = key_table[row].key;

	switch (key_table[row].type) {
	case KEY_STRING:
		if (!json_string(v))
			return error_set(err, ERROR_INVALID, 0, "'%s': expected a string", key);
		*(const char **)field = json_string(v);
		return 0;
	case KEY_BOOL:
		if (json_type(v) != JSON_BOOL)
			return error_set(err, ERROR_INVALID, 0, "'%s': expected true or false",
					 key);
		*(bool *)field = json_bool(v);
		return 0;
	case KEY_LIST:
		return apply_list(field, v, key, err);
	case KEY_OBJECT:
		if (json_type(v) != JSON_OBJECT)
			return error_set(err, ERROR_INVALID, 0, "'%s': expected an object", key);
		*(const struct json **)field = v;
		return 0;
	}
	return 0;
}

static int apply_fixed(const char *key, const struct json *v, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(fixed_keys); i++) {
		const char *value = json_type(v) == JSON_BOOL ? json_bool(v) ? "true" : "false"
				    : json_count(v) == 1      ? json_string(json_at(v, 0))
							      : json_string(v);

		if (!str_eq(fixed_keys[i].key, key))
			continue;
		if (str_eq(value, fixed_keys[i].value))
			return 0;
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0, "'%s': only '%s' is implemented",
				 key, fixed_keys[i].value);
	}
	return error_set(err, ERROR_INVALID, 0,
			 "the following directives don't match any configuration option: %s", key);
}

static int apply_file(struct vesseld_options *o, const struct json *doc,
		      const struct flags_parsed *parsed, struct error *err)
{
	if (json_type(doc) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID, 0, "expected an object");
	for (size_t i = 0; i < json_count(doc); i++) {
		const char *key = json_key_at(doc, i);
		size_t row = 0;
		int r;

		while (row < ARRAY_SIZE(key_table) && !str_eq(key_table[row].key, key))
			row++;
		if (row == ARRAY_SIZE(key_table))
			r = apply_fixed(key, json_value_at(doc, i), err);
		else if (flags_changed(flag_table, parsed, key_table[row].flag))
			r = error_set(err, ERROR_INVALID, 0,
				      "the following directives are specified both as a flag and "
				      "in the configuration file: %s",
				      key);
		else
			r = apply_key(o, row, json_value_at(doc, i), err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_file(struct vesseld_options *o, const struct flags_parsed *parsed,
		     struct error *err)
{
	const char *path = o->config_file ? o->config_file : VESSELD_CONFIG_FILE;
	autofree char *text = NULL;
	autoerror struct error why = {0};
	const struct json *doc;
	size_t len;
	int r = file_read(AT_FDCWD, path, CONFIG_FILE_MAX, &text, &len, &why);

	if (r == -ENOENT && !o->config_file)
		return 0;
	r = r < 0 ? r : json_parse(o->arena, text, len, &doc, &why);
	r = r < 0 ? r : apply_file(o, doc, parsed, &why);
	if (r < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "unable to configure the daemon with file %s: %s", path,
				 error_msg(&why));
	return 0;
}

/* --log-opt k=v into an object like the file's. */
static int merge_log_opts(struct vesseld_options *o, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT(CONFIG_FILE_MAX);
	struct json_writer w;

	if (o->log_opt_flags.n == 0)
		return 0;
	json_writer_init(&w, &text);
	jw_object(&w);
	for (size_t i = 0; i < o->log_opt_flags.n; i++) {
		const char *opt = o->log_opt_flags.v[i], *equals = strchr(opt, '=');
		autofree char *key = equals ? xstrndup(opt, (size_t)(equals - opt)) : NULL;

		if (!equals)
			return error_set(err, ERROR_INVALID, 0, "invalid --log-opt '%s'", opt);
		jw_kstring(&w, key, equals + 1);
	}
	jw_object_end(&w);
	return json_parse(o->arena, text.s, text.len, &o->log_opts, err);
}

static int check(const struct vesseld_options *o, struct error *err)
{
	const struct {
		const char *name, *value;
	} paths[] = {
		{"data-root", o->data_root},
		{"exec-root", o->exec_root},
		{"cgroup-parent", o->cgroup_parent},
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (paths[i].value[0] != '/')
			return error_set(err, ERROR_INVALID, 0, "%s must be an absolute path: '%s'",
					 paths[i].name, paths[i].value);
	for (size_t i = 0; i < json_count(o->log_opts); i++)
		if (!json_string(json_value_at(o->log_opts, i)))
			return error_set(err, ERROR_INVALID, 0, "log-opts: '%s' is no string",
					 json_key_at(o->log_opts, i));
	return 0;
}

static void print_usage(void)
{
	autostrbuf struct strbuf text = STRBUF_INIT(65536);

	strbuf_adds(&text, "\nUsage:  vesseld [OPTIONS]\n\nA container engine.\n\nOptions:\n");
	flags_usage(flag_table, &text);
	(void)fputs(text.s, stdout);
}

int vesseld_options_parse(int argc, char **argv, struct vesseld_options *ret, struct error *err)
{
	struct vesseld_options o = {.arena = arena_new(), .ipv6 = true};
	struct flags_parsed parsed;
	int r = flags_parse(flag_table, &o, argc - 1, argv + 1, false, &parsed, err);

	if (r >= 0 && parsed.help)
		print_usage();
	if (r >= 0 && !parsed.help && parsed.arg_count > 0)
		r = error_set(err, ERROR_INVALID, 0, "vesseld accepts no arguments: '%s'",
			      parsed.args[0]);
	if (r >= 0 && !parsed.help && !o.version)
		r = read_file(&o, &parsed, err);
	o.data_root = o.data_root ? o.data_root : VESSELD_DATA_ROOT;
	o.exec_root = o.exec_root ? o.exec_root : VESSELD_EXEC_ROOT;
	o.pidfile = o.pidfile ? o.pidfile : VESSELD_PIDFILE;
	o.cgroup_parent = str_empty(o.cgroup_parent) ? "/docker" : o.cgroup_parent;
	o.log_level = o.log_level ? o.log_level : "info";
	o.tls = o.tls || o.tls_verify;
	r = r < 0 ? r : merge_log_opts(&o, err);
	r = r < 0 ? r : check(&o, err);
	if (r < 0) {
		vesseld_options_done(&o);
		return r;
	}
	*ret = o;
	return parsed.help ? 1 : 0;
}

void vesseld_options_done(struct vesseld_options *o)
{
	strv_done(&o->hosts);
	strv_done(&o->log_opt_flags);
	o->arena = arena_free(o->arena);
}
