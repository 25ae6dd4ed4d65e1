/* What vessel-log is told, and the table of drivers. */
#include <string.h>

#include "base/units.h"
#include "logger/logger.h"

#define NS_PER_MS 1000000

#define FIELD(name, type, member) JSON_FIELD(struct logger_config, name, type, member, 0)
static const struct json_field fields[] = {
	JSON_FIELD(struct logger_config, "Name", JSON_DECODE_STRING, name, JSON_REQUIRED),
	FIELD("Options", JSON_DECODE_STRING_MAP, options),
	FIELD("Tag", JSON_DECODE_STRING, tag),
	FIELD("ContainerID", JSON_DECODE_STRING, container_id),
	FIELD("ContainerName", JSON_DECODE_STRING, container_name),
	FIELD("ContainerImageID", JSON_DECODE_STRING, image_id),
	FIELD("ContainerImageName", JSON_DECODE_STRING, image_name),
	FIELD("Command", JSON_DECODE_STRING, command),
	FIELD("ContainerCreated", JSON_DECODE_STRING, created),
	FIELD("Attrs", JSON_DECODE_STRING_MAP, attrs),
	FIELD("File", JSON_DECODE_VALUE, file),
	{0},
};

static const struct log_driver *const drivers[] = {&fluentd_driver, &gelf_driver, &journald_driver,
						   &syslog_driver, &file_driver};

int logger_config_parse(struct arena *a, const char *text, size_t len, struct logger_config *ret,
			struct error *err)
{
	struct logger_config c = {0};
	const char **strings[] = {&c.tag,        &c.container_id, &c.container_name, &c.image_id,
				  &c.image_name, &c.command,      &c.created};
	const struct json *doc;
	int r = json_parse(a, text, len, &doc, err);

	r = r < 0 ? r : json_decode(a, doc, fields, &c, "", err);
	if (r < 0)
		return error_wrap(err, r, "vessel-log's configuration");
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		*strings[i] = *strings[i] ?: "";
	*ret = c;
	return 0;
}

const char *logger_option(const struct logger_config *c, const char *name)
{
	for (size_t i = 0; i < c->options.n; i++)
		if (strcmp(c->options.keys[i], name) == 0)
			return c->options.values[i];
	return NULL;
}

const char *logger_option_or(const struct logger_config *c, const char *name, const char *fallback)
{
	const char *s = logger_option(c, name);

	return str_empty(s) ? fallback : s;
}

bool logger_option_bool(const struct logger_config *c, const char *name)
{
	const char *s = logger_option(c, name);

	return s && units_parse_bool(s) > 0;
}

int64_t logger_option_ms(const struct logger_config *c, const char *name, int64_t fallback_ms)
{
	const char *s = logger_option(c, name);
	int64_t ns;

	if (str_empty(s) || units_parse_duration(s, &ns) < 0)
		return fallback_ms;
	return ns / NS_PER_MS < INT32_MAX ? ns / NS_PER_MS : INT32_MAX;
}

const struct log_driver *log_driver_find(const char *name)
{
	if (strcmp(name, "local") == 0)
		return &file_driver;
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	return NULL;
}
