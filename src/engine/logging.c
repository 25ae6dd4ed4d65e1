/* Log drivers and their options, by a table.
 *
 * json-file and local live in the shim.  For the others the shim feeds vessel-log, and keeps a copy in
 * the format of "local", which is what is read back ("cache-" options).
 */
#include "engine/logging.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"
#include "engine/settings.h"

typedef int (*check_fn)(const struct config_log *log, struct error *err);

struct driver {
	const char *name;
	const char
		*unknown[2]; /* the answer to an option that is none of its own, around its name */
	check_fn check;
	const char *const *options; /* besides the common ones */
};

static const char *const common_options[] = {"env",          "env-regex", "labels",
					     "labels-regex", "tag",       NULL};
static const char *const file_options[] = {"compress", "max-file", "max-size", NULL};
static const char *const builtin_options[] = {"mode",
					      "max-buffer-size",
					      "cache-disabled",
					      "cache-max-size",
					      "cache-max-file",
					      "cache-compress",
					      NULL};
static const char *const syslog_options[] = {
	"syslog-address",  "syslog-facility", "syslog-format",          "syslog-tls-ca-cert",
	"syslog-tls-cert", "syslog-tls-key",  "syslog-tls-skip-verify", NULL};
static const char *const gelf_options[] = {
	"gelf-address",           "gelf-compression-level",   "gelf-compression-type",
	"gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay", NULL};
static const char *const fluentd_options[] = {"fluentd-address",
					      "fluentd-async",
					      "fluentd-async-connect",
					      "fluentd-buffer-limit",
					      "fluentd-max-retries",
					      "fluentd-async-reconnect-interval",
					      "fluentd-request-ack",
					      "fluentd-retry-wait",
					      "fluentd-sub-second-precision",
					      "fluentd-write-timeout",
					      NULL};
static const char *const no_options[] = {NULL};

const char *logging_option(const struct config_log *log, const char *name)
{
	for (size_t i = 0; i < log->config.n; i++)
		if (strcmp(log->config.keys[i], name) == 0)
			return log->config.values[i];
	return NULL;
}

/* ---- values ----------------------------------------------------------------------------------- */

bool logging_option_bool(const struct config_log *log, const char *name)
{
	const char *s = logging_option(log, name);

	return s && units_parse_bool(s) > 0;
}

static int check_bool(const struct config_log *log, const char *name, struct error *err)
{
	const char *s = logging_option(log, name);

	if (!s || !*s || units_parse_bool(s) >= 0)
		return 0;
	return error_set(err, ERROR_INVALID, 0,
			 "invalid value for %s: strconv.ParseBool: parsing \"%s\": invalid syntax",
			 name, s);
}

static int check_duration(const struct config_log *log, const char *name, struct error *err)
{
	const char *s = logging_option(log, name);
	int64_t ns;

	if (!s || !*s || units_parse_duration(s, &ns) == 0)
		return 0;
	return error_set(err, ERROR_INVALID, 0,
			 "invalid value for %s: time: invalid duration \"%s\"", name, s);
}

/* ---- drivers ---------------------------------------------------------------------------------- */

/* The size and the number of files; `prefix` is that of the local copy's options, or "". */
static int check_files(const struct config_log *log, const char *prefix, bool compress_default,
		       struct error *err)
{
	autofree char *size_name = xasprintf("%smax-size", prefix);
	autofree char *file_name = xasprintf("%smax-file", prefix);
	autofree char *compress_name = xasprintf("%scompress", prefix);
	const char *size = logging_option(log, size_name), *file = logging_option(log, file_name);
	const char *compress = logging_option(log, compress_name);
	uint64_t n, files = size && !compress_default ? 1 : 5;
	bool compressed;
	int r;

	if (size && strcmp(size, "-1") != 0) {
		if (units_parse_size(size, false, &n) < 0)
			return error_set(err, ERROR_INVALID, 0, "invalid size: '%s'", size);
		if (n == 0)
			return error_set(err, ERROR_INVALID, 0, "%s must be a positive number",
					 size_name);
	}
	if (file && (str_parse_u64(file, &files) < 0 || files < 1 || files > 1000))
		return error_set(err, ERROR_INVALID, 0, "%s cannot be less than 1", file_name);
	r = check_bool(log, compress_name, err);
	if (r < 0)
		return r;
	compressed = compress ? logging_option_bool(log, compress_name) : compress_default;
	if (compressed && compress_default && files <= 1)
		return error_set(err, ERROR_INVALID, 0,
				 "compression cannot be enabled when max file count is 1");
	if (compressed && (files <= 1 || (size && strcmp(size, "-1") == 0)))
		return error_set(err, ERROR_INVALID, 0,
				 "compress cannot be true when max-file is less than 2 or max-size "
				 "is not set");
	return 0;
}

static int check_json_file(const struct config_log *log, struct error *err)
{
	return check_files(log, "", false, err);
}

static int check_local(const struct config_log *log, struct error *err)
{
	return check_files(log, "", true, err);
}

/* "scheme://rest": the scheme's length, 0 if it is none of the list. */
static size_t scheme_of(const char *address, const char *const *schemes)
{
	for (; *schemes; schemes++) {
		size_t n = strlen(*schemes);

		if (strncmp(address, *schemes, n) == 0 && str_has_prefix(address + n, "://"))
			return n;
	}
	return 0;
}

/* The port of "host:port" or "[host]:port"; NULL if there is none. */
static const char *port_of(const char *host)
{
	const char *end = *host == '[' ? strchr(host, ']') : NULL;
	const char *colon = strrchr(end ? end : host, ':');

	if (!end && colon && strchr(host, ':') != colon)
		return NULL; /* a bare IPv6 address */
	return colon ? colon + 1 : NULL;
}

static int check_port(const char *option, const char *address, const char *port, struct error *err)
{
	uint64_t n;

	if (str_parse_u64(port, &n) == 0 && n <= UINT16_MAX)
		return 0;
	return error_set(err, ERROR_INVALID, 0, "invalid %s %s: invalid port \"%s\"", option,
			 address, port);
}

static int check_syslog(const struct config_log *log, struct error *err)
{
	static const char *const schemes[] = {"unix", "unixgram", "udp", "tcp", "tcp+tls", NULL};
	static const char *const facilities[] = {
		"kern",   "user",   "mail",   "daemon", "auth",   "syslog",   "lpr",
		"news",   "uucp",   "cron",   "local0", "local1", "local2",   "local3",
		"local4", "local5", "local6", "local7", "ftp",    "authpriv", NULL};
	static const char *const formats[] = {"", "rfc3164", "rfc5424", "rfc5424micro", NULL};
	const char *address = logging_option(log, "syslog-address");
	const char *facility = logging_option(log, "syslog-facility");
	const char *format = logging_option(log, "syslog-format");
	uint64_t n;

	if (address && *address) {
		size_t scheme = scheme_of(address, schemes);
		const char *rest = address + scheme + strlen("://"), *port;

		if (scheme == 0 || !*rest)
			return error_set(err, ERROR_INVALID, 0,
					 "syslog-address should be in form proto://address, got %s",
					 address);
		if (strncmp(address, "unix", 4) == 0 && access(rest, F_OK) < 0)
			return error_set(err, ERROR_INVALID, errno, "stat %s", rest);
		port = strncmp(address, "unix", 4) == 0 ? NULL : port_of(rest);
		if (port && check_port("syslog-address", address, port, NULL) < 0)
			return check_port("syslog-address", address, port, err);
	}
	if (facility && *facility && !str_is_one_of(facility, facilities) &&
	    (str_parse_u64(facility, &n) < 0 || n > 23))
		return error_set(err, ERROR_INVALID, 0, "invalid syslog facility");
	if (format && !str_is_one_of(format, formats))
		return error_set(err, ERROR_INVALID, 0, "Invalid syslog format");
	return 0;
}

static int gelf_value(const struct config_log *log, const char *name, struct error *err)
{
	return error_set(err, ERROR_INVALID, 0,
			 "unknown value \"%s\" for log opt \"%s\" for gelf log driver",
			 logging_option(log, name), name);
}

static int check_gelf(const struct config_log *log, struct error *err)
{
	static const char *const schemes[] = {"udp", "tcp", NULL};
	static const char *const types[] = {"gzip", "zlib", "none", NULL};
	static const char *const tcp_options[] = {"gelf-tcp-max-reconnect",
						  "gelf-tcp-reconnect-delay"};
	const char *address = logging_option(log, "gelf-address");
	const char *type = logging_option(log, "gelf-compression-type");
	const char *level = logging_option(log, "gelf-compression-level");
	bool tcp;
	int64_t n;

	if (!address || !*address)
		return error_set(err, ERROR_INVALID, 0, "gelf-address is a required parameter");
	if (!strstr(address, "://"))
		return error_set(err, ERROR_INVALID, 0,
				 "gelf-address should be in form proto://address, got %s", address);
	if (scheme_of(address, schemes) == 0)
		return error_set(err, ERROR_INVALID, 0, "gelf: endpoint needs to be TCP or UDP");
	if (!port_of(address + strlen("udp://")))
		return error_set(err, ERROR_INVALID, 0,
				 "gelf: please provide gelf-address as proto://host:port");
	tcp = str_has_prefix(address, "tcp");
	if (tcp && (type || level))
		return error_set(err, ERROR_INVALID, 0, "compression is only supported on UDP");
	if (type && !str_is_one_of(type, types))
		return gelf_value(log, "gelf-compression-type", err);
	if (level && (str_parse_i64(level, &n) < 0 || n < -1 || n > 9))
		return gelf_value(log, "gelf-compression-level", err);
	for (size_t i = 0; i < ARRAY_SIZE(tcp_options); i++) {
		const char *value = logging_option(log, tcp_options[i]);

		if (value && !tcp)
			return error_set(err, ERROR_INVALID, 0, "%s is only valid for TCP",
					 tcp_options[i]);
		if (value && (str_parse_i64(value, &n) < 0 || n < 0 || n > INT32_MAX))
			return error_set(err, ERROR_INVALID, 0, "%s must be a positive integer",
					 tcp_options[i]);
	}
	return check_port("gelf-address", address, port_of(address + strlen("udp://")), err);
}

static int check_fluentd_address(const char *address, struct error *err)
{
	static const char *const schemes[] = {"tcp", "tls", "unix", NULL};
	size_t scheme = scheme_of(address, schemes);
	const char *rest = address + (scheme ? scheme + strlen("://") : 0), *port;

	if (scheme == 0 && strstr(address, "://"))
		return error_set(err, ERROR_INVALID, 0,
				 "invalid fluentd-address (%s): unsupported scheme: '%.*s'",
				 address, (int)(strstr(address, "://") - address), address);
	if (str_has_prefix(address, "unix://"))
		return rest[strspn(rest, "/")]
			       ? 0
			       : error_set(err, ERROR_INVALID, 0,
					   "invalid fluentd-address (%s): path is empty", address);
	if (strchr(rest, '/'))
		return error_set(err, ERROR_INVALID, 0,
				 "invalid fluentd-address (%s): should not contain a path element",
				 address);
	port = port_of(rest);
	return port ? check_port("fluentd-address", address, port, err) : 0;
}

static int check_fluentd(const struct config_log *log, struct error *err)
{
	static const char *const bools[] = {"fluentd-async", "fluentd-async-connect",
					    "fluentd-request-ack", "fluentd-sub-second-precision"};
	static const char *const durations[] = {"fluentd-retry-wait", "fluentd-write-timeout",
						"fluentd-async-reconnect-interval"};
	const char *address = logging_option(log, "fluentd-address");
	const char *limit = logging_option(log, "fluentd-buffer-limit");
	const char *retries = logging_option(log, "fluentd-max-retries");
	const char *interval = logging_option(log, "fluentd-async-reconnect-interval");
	int64_t ns = 0;
	uint64_t n;
	int r = address && *address ? check_fluentd_address(address, err) : 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(bools); i++)
		r = check_bool(log, bools[i], err);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(durations); i++)
		r = check_duration(log, durations[i], err);
	if (r < 0)
		return r;
	if (limit && *limit && units_parse_size(limit, true, &n) < 0)
		return error_set(err, ERROR_INVALID, 0, "invalid size: '%s'", limit);
	if (retries && *retries && str_parse_u64(retries, &n) < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "strconv.ParseUint: parsing \"%s\": invalid syntax", retries);
	if (logging_option(log, "fluentd-async") && logging_option(log, "fluentd-async-connect"))
		return error_set(err, ERROR_INVALID, 0,
				 "conflicting options: cannot specify both 'fluentd-async' and "
				 "'fluentd-async-connect'");
	if (interval && *interval && units_parse_duration(interval, &ns) == 0 && ns != 0 &&
	    (ns < INT64_C(100000000) || ns > INT64_C(10000000000)))
		return error_set(err, ERROR_INVALID, 0,
				 "invalid value for fluentd-async-reconnect-interval: value "
				 "(\"%s\") must be between 100ms and 10s",
				 interval);
	return 0;
}

static int check_nothing(const struct config_log *log, struct error *err)
{
	(void)log;
	(void)err;
	return 0;
}

static const struct driver drivers[] = {
	{"fluentd", {"'", "' for fluentd log driver"}, check_fluentd, fluentd_options},
	{"gelf", {"\"", "\" for gelf log driver"}, check_gelf, gelf_options},
	{"journald", {"'", "' for journald log driver"}, check_nothing, no_options},
	{"json-file", {"'", "' for json-file log driver"}, check_json_file, file_options},
	{"local", {"'", "' for log driver local"}, check_local, file_options},
	{"syslog", {"'", "' for syslog log driver"}, check_syslog, syslog_options},
};

const char *const *logging_drivers(void)
{
	static const char *const names[] = {"fluentd", "gelf",   "journald", "json-file",
					    "local",   "syslog", NULL};

	static_assert(ARRAY_SIZE(names) == ARRAY_SIZE(drivers) + 1, "all of them");
	return names;
}

static const struct driver *find_driver(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (strcmp(drivers[i].name, name) == 0)
			return &drivers[i];
	return NULL;
}

/* ---- checks ----------------------------------------------------------------------------------- */

static int check_builtin(const struct config_log *log, struct error *err)
{
	const char *mode = logging_option(log, "mode") ?: "";
	const char *size = logging_option(log, "max-buffer-size");
	const char *disabled = logging_option(log, "cache-disabled");
	uint64_t n;

	if (*mode && strcmp(mode, "blocking") != 0 && strcmp(mode, "non-blocking") != 0)
		return error_set(err, ERROR_INVALID, 0, "logger: logging mode not supported: %s",
				 mode);
	if (size && strcmp(mode, "non-blocking") != 0)
		return error_set(err, ERROR_INVALID, 0,
				 "logger: max-buffer-size option is only supported with "
				 "'mode=non-blocking'");
	if (size && units_parse_size(size, true, &n) < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "error parsing option max-buffer-size: invalid size: '%s'", size);
	if (disabled && *disabled && units_parse_bool(disabled) < 0)
		return error_set(err, ERROR_INVALID, 0, "invalid value for option %s: %s",
				 "cache-disabled", disabled);
	return check_files(log, "cache-", true, err);
}

int logging_validate(const struct config_log *log, struct error *err)
{
	const struct driver *d = find_driver(log->type);
	int r;

	if (strcmp(log->type, "none") == 0)
		return 0;
	r = check_builtin(log, err);
	if (r < 0)
		return r;
	if (!d)
		return error_set(err, ERROR_INVALID, 0,
				 "error looking up logging plugin %s: plugin \"%s\" not found",
				 log->type, log->type);
	for (size_t i = 0; i < log->config.n; i++) {
		const char *name = log->config.keys[i];

		if (str_is_one_of(name, builtin_options) || str_is_one_of(name, common_options) ||
		    str_is_one_of(name, d->options))
			continue;
		return error_set(err, ERROR_INVALID, 0, "unknown log opt %s%s%s", d->unknown[0],
				 name, d->unknown[1]);
	}
	r = d->check(log, err);
	return r < 0 ? r : logging_check_templates(log, err);
}

/* ---- defaults --------------------------------------------------------------------------------- */

static void add_option(struct container_spec *s, const char *name, const char *value)
{
	struct json_string_map *map = &s->host.log.config;
	const char **keys, **values;

	if (logging_option(&s->host.log, name))
		return;
	keys = arena_alloc(s->arena, (map->n + 1) * sizeof(*keys));
	values = arena_alloc(s->arena, (map->n + 1) * sizeof(*values));
	for (size_t i = 0; i < map->n; i++) {
		keys[i] = map->keys[i];
		values[i] = map->values[i];
	}
	keys[map->n] = arena_strdup(s->arena, name);
	values[map->n] = arena_strdup(s->arena, value);
	*map = (struct json_string_map){keys, values, map->n + 1};
}

int logging_resolve(const struct settings *settings, struct container_spec *s, struct error *err)
{
	const struct json *defaults = settings->log_opts;
	const char *driver = settings->log_driver;
	struct config_log *log = &s->host.log;
	bool untouched = !*log->type && log->config.n == 0;

	if (!*log->type)
		log->type = arena_strdup(s->arena, driver);
	for (size_t i = 0; i < json_count(defaults); i++) {
		const char *name = json_key_at(defaults, i);

		if (strcmp(log->type, driver) == 0 || str_has_prefix(name, "cache-"))
			add_option(s, name, json_string(json_value_at(defaults, i)));
	}
	/* So that inspect tells of them; options of the user's own are left as they are. */
	if (untouched && strcmp(log->type, "json-file") == 0 && !logging_option(log, "max-size")) {
		add_option(s, "max-file", LOGGING_MAX_FILE);
		add_option(s, "max-size", LOGGING_MAX_SIZE);
	}
	return logging_validate(log, err);
}

int logging_validate_defaults(const char *driver, const struct json *log_opts, struct error *err)
{
	autoarena struct arena *a = arena_new();
	struct config_log log = {.type = driver};

	log.config.n = json_count(log_opts);
	log.config.keys = arena_alloc(a, (log.config.n + 1) * sizeof(*log.config.keys));
	log.config.values = arena_alloc(a, (log.config.n + 1) * sizeof(*log.config.values));
	for (size_t i = 0; i < log.config.n; i++) {
		log.config.keys[i] = json_key_at(log_opts, i);
		log.config.values[i] = json_string(json_value_at(log_opts, i)) ?: "";
	}
	return logging_validate(&log, err);
}

/* ---- files ------------------------------------------------------------------------------------ */

char *logging_path(const struct container *c, bool *ret_is_local)
{
	const struct config_log *log = &c->spec->host.log;

	*ret_is_local = strcmp(log->type, "json-file") != 0;
	if (!*ret_is_local)
		return xasprintf("%s/%s-json.log", c->state_dir, c->id);
	if (strcmp(log->type, "local") == 0)
		return xasprintf("%s/local-logs/container.log", c->state_dir);
	if (!find_driver(log->type) || logging_option_bool(log, "cache-disabled"))
		return NULL;
	return xasprintf("%s/container-cached.log", c->state_dir);
}
