/* --gpus: device requests. */
#include "cli/gpus.h"

#include <string.h>

#include "base/mem.h"
#include "cli/csv.h"
#include "cli/objects.h"

struct request {
	char *driver; /* owned, or NULL */
	int count;    /* -1: all */
	bool has_count, has_devices;
	struct strv devices, capabilities, options; /* options: "key=value" */
};

static void request_done(struct request *r)
{
	free(r->driver);
	strv_done(&r->devices);
	strv_done(&r->capabilities);
	strv_done(&r->options);
}
#define autorequest __attribute__((cleanup(request_done)))

/* Items between commas; nothing is one empty item. */
static void split(const char *s, struct strv *ret)
{
	for (;;) {
		size_t len = strcspn(s, ",");

		strv_add_take(ret, xstrndup(s, len));
		if (!s[len])
			return;
		s += len + 1;
	}
}

static int set_driver(const char *value, struct request *ret, struct error *err)
{
	(void)err;
	ret->driver = xstrdup(value);
	return 0;
}

static int set_count(const char *value, struct request *ret, struct error *err)
{
	int r = strcmp(value, "all") == 0 ? 0 : str_parse_int(value, &ret->count);

	if (strcmp(value, "all") == 0)
		ret->count = -1;
	ret->has_count = true;
	if (r < 0)
		return error_set(
			err, ERROR_INVALID, 0,
			"invalid count (%s): value must be either \"all\" or an integer: %s", value,
			r == -ERANGE ? "value out of range" : "invalid syntax");
	return 0;
}

static int set_devices(const char *value, struct request *ret, struct error *err)
{
	(void)err;
	ret->has_devices = true;
	split(value, &ret->devices);
	return 0;
}

static int set_capabilities(const char *value, struct request *ret, struct error *err)
{
	(void)err;
	split(value, &ret->capabilities);
	return 0;
}

static int set_options(const char *value, struct request *ret, struct error *err)
{
	int r = csv_split(value, &ret->options, err);

	return r < 0 ? error_wrap(err, r, "failed to read gpu options") : 0;
}

static const struct {
	const char *name;
	int (*set)(const char *value, struct request *ret, struct error *err);
} keys[] = {
	{"driver", set_driver},   {"count", set_count},
	{"device", set_devices},  {"capabilities", set_capabilities},
	{"options", set_options},
};

/* `field` is "key=value", or a count alone. */
static int set_field(const char *field, unsigned *seen, struct request *ret, struct error *err)
{
	size_t len = strcspn(field, "="), i = 0;

	if (!field[len]) {
		*seen |= 1U << 1; /* count */
		return set_count(field, ret, err);
	}
	while (i < ARRAY_SIZE(keys) &&
	       (strncmp(keys[i].name, field, len) != 0 || keys[i].name[len] != '\0'))
		i++;
	if (i == ARRAY_SIZE(keys))
		return error_set(err, ERROR_INVALID, 0, "unexpected key '%.*s' in '%s'", (int)len,
				 field, field);
	if (*seen & 1U << i)
		return error_set(err, ERROR_INVALID, 0,
				 "gpu request key '%s' can be specified only once", keys[i].name);
	*seen |= 1U << i;
	return keys[i].set(field + len + 1, ret, err);
}

static int parse(const char *value, struct request *ret, struct error *err)
{
	autostrv struct strv fields = {0};
	unsigned seen = 0;
	int r = csv_split(value, &fields, err);

	for (size_t i = 0; r >= 0 && i < fields.n; i++)
		r = set_field(fields.v[i], &seen, ret, err);
	if (!ret->has_count && !ret->has_devices)
		ret->count = 1;
	return r;
}

int gpus_check(const char *value, struct error *err)
{
	autorequest struct request ignored = {0};

	return parse(value, &ignored, err);
}

static void write_request(const struct request *request, struct json_writer *w)
{
	jw_object(w);
	jw_kstring(w, "Driver", request->driver ? request->driver : "");
	jw_kint(w, "Count", request->count);
	if (request->has_devices) {
		jw_karray(w, "DeviceIDs");
		for (size_t i = 0; i < request->devices.n; i++)
			jw_string(w, request->devices.v[i]);
		jw_array_end(w);
	}
	jw_karray(w, "Capabilities");
	jw_array(w);
	for (size_t i = 0; i < request->capabilities.n; i++)
		jw_string(w, request->capabilities.v[i]);
	jw_string(w, "gpu");
	jw_array_end(w);
	jw_array_end(w);
	objects_map(w, "Options", &request->options);
	jw_object_end(w);
}

int gpus_write(const struct strv *values, struct json_writer *w, struct error *err)
{
	if (!values->n)
		return 0;
	jw_karray(w, "DeviceRequests");
	for (size_t i = 0; i < values->n; i++) {
		autorequest struct request request = {0};
		int r = parse(values->v[i], &request, err);

		if (r < 0)
			return r;
		write_request(&request, w);
	}
	jw_array_end(w);
	return 0;
}
