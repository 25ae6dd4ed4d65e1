/* Units of systemd by sd-bus; see the header.
 *
 * Starting and stopping are jobs: the call answers with the job's path, and the signal JobRemoved with its
 * result; the signal is subscribed to before the call, so that it cannot be missed.
 */
#include "linux/systemd_bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

#define DESTINATION   "org.freedesktop.systemd1"
#define OBJECT        "/org/freedesktop/systemd1"
#define MANAGER       "org.freedesktop.systemd1.Manager"
#define JOB_TIMEOUT_S 30

static void bus_closep(sd_bus **bus)
{
	*bus = sd_bus_flush_close_unref(*bus);
}
#define autobus __attribute__((cleanup(bus_closep)))

static void message_unrefp(sd_bus_message **m)
{
	*m = sd_bus_message_unref(*m);
}
#define automessage __attribute__((cleanup(message_unrefp)))

/* -- values ------------------------------------------------------------------------------------ */

/* The length of the first complete type of a signature; 0 if there is none. */
static size_t type_length(const char *s)
{
	if (*s == 'a') {
		size_t n = type_length(s + 1);

		return n ? n + 1 : 0;
	}
	if (*s == '(' || *s == '{') {
		char close = *s == '(' ? ')' : '}';
		size_t i = 1;

		while (s[i] != close) {
			size_t n = s[i] ? type_length(s + i) : 0;

			if (n == 0)
				return 0;
			i += n;
		}
		return i + 1;
	}
	return *s && strchr("ybnqiuxtdsogv", *s) ? 1 : 0;
}

static int append(sd_bus_message *m, const char *type, const struct json *v);

static int append_number(sd_bus_message *m, char type, const struct json *v)
{
	union {
		uint8_t y;
		int b;
		int16_t n;
		uint16_t q;
		int32_t i;
		uint32_t u;
		int64_t x;
		uint64_t t;
		double d;
	} value = {0};

	switch (type) {
	case 'y':
		value.y = (uint8_t)json_uint(v);
		break;
	case 'b':
		value.b = json_bool(v);
		break;
	case 'n':
		value.n = (int16_t)json_int(v);
		break;
	case 'q':
		value.q = (uint16_t)json_uint(v);
		break;
	case 'i':
		value.i = (int32_t)json_int(v);
		break;
	case 'u':
		value.u = (uint32_t)json_uint(v);
		break;
	case 'x':
		value.x = json_int(v);
		break;
	case 't':
		value.t = json_uint(v);
		break;
	default:
		value.d = json_double(v);
		break;
	}
	return sd_bus_message_append_basic(m, type, &value);
}

/* An array, a struct or an entry of a dictionary: its elements, each of the next type inside. */
static int append_container(sd_bus_message *m, const char *type, const struct json *v)
{
	bool is_array = type[0] == 'a';
	size_t len = type_length(type);
	autofree char *inside =
		is_array ? xstrndup(type + 1, len - 1) : xstrndup(type + 1, len - 2);
	const char *next = inside;
	int r = sd_bus_message_open_container(m,
					      is_array         ? 'a'
					      : type[0] == '(' ? 'r'
							       : 'e',
					      inside);

	for (size_t i = 0; r >= 0 && i < json_count(v); i++) {
		if (*next == '\0')
			return -EINVAL;
		r = append(m, next, json_at(v, i));
		if (!is_array)
			next += type_length(next);
	}
	if (r >= 0 && !is_array && *next)
		return -EINVAL;
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_variant(sd_bus_message *m, const char *type, const struct json *v)
{
	int r;

	if (!type || type_length(type) != strlen(type) || *type == '\0')
		return -EINVAL;
	r = sd_bus_message_open_container(m, 'v', type);
	if (r >= 0)
		r = append(m, type, v);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append(sd_bus_message *m, const char *type, const struct json *v)
{
	switch (*type) {
	case 's':
	case 'o':
	case 'g':
		return json_string(v) ? sd_bus_message_append_basic(m, *type, json_string(v))
				      : -EINVAL;
	case 'v':
		return append_variant(m, json_string(json_at(v, 0)), json_at(v, 1));
	case 'a':
	case '(':
	case '{':
		return append_container(m, type, v);
	default:
		return append_number(m, *type, v);
	}
}

/* a(sv) */
static int append_properties(sd_bus_message *m, const struct json *list, unsigned version,
			     struct error *err)
{
	const struct json *p;
	int r = sd_bus_message_open_container(m, 'a', "(sv)");

	json_array_foreach(p, list) {
		const char *name = json_string(json_at(p, 0)), *type = json_string(json_at(p, 1));

		if (r < 0 || !name)
			break;
		if (json_uint(json_at(p, 3)) > version)
			continue;
		r = sd_bus_message_open_container(m, 'r', "sv");
		if (r >= 0)
			r = sd_bus_message_append_basic(m, 's', name);
		if (r >= 0)
			r = append_variant(m, type, json_at(p, 2));
		if (r >= 0)
			r = sd_bus_message_close_container(m);
		if (r < 0)
			return error_set(err, ERROR_INVALID, -r, "property '%s' of type '%s'", name,
					 type ? type : "");
	}
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "write the properties") : 0;
}

/* -- jobs -------------------------------------------------------------------------------------- */

struct job {
	char *path;       /* owned; NULL until the call has answered */
	char *result;     /* owned; NULL until it is removed */
	struct strv seen; /* removed before the call has answered: path, result, ... */
};

static void job_done(struct job *j)
{
	free(j->path);
	free(j->result);
	strv_done(&j->seen);
}

static int on_job_removed(sd_bus_message *m, void *data, sd_bus_error *e)
{
	const char *path = NULL, *unit = NULL, *result = NULL;
	struct job *j = data;
	uint32_t id;

	(void)e;
	if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0)
		return 0;
	strv_add(&j->seen, path);
	strv_add(&j->seen, result);
	return 0;
}

static void look_up(struct job *j)
{
	for (size_t i = 0; !j->result && i + 1 < j->seen.n; i += 2)
		if (strcmp(j->seen.v[i], j->path) == 0)
			j->result = xstrdup(j->seen.v[i + 1]);
}

static uint64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int await(sd_bus *bus, struct job *j, const char *unit, struct error *err)
{
	uint64_t end = now_us() + JOB_TIMEOUT_S * (uint64_t)1000000;

	for (look_up(j); !j->result; look_up(j)) {
		int r = sd_bus_process(bus, NULL);
		uint64_t now = now_us();

		if (r == 0 && now < end)
			r = sd_bus_wait(bus, end - now);
		if (r < 0)
			return error_set(err, ERROR_INTERNAL, -r, "wait for systemd");
		if (now >= end)
			return error_set(err, ERROR_INTERNAL, ETIMEDOUT,
					 "wait for systemd to change unit '%s'", unit);
	}
	return 0;
}

static int watch_jobs(sd_bus *bus, struct job *j, struct error *err)
{
	int r = sd_bus_match_signal(bus, NULL, NULL, OBJECT, MANAGER, "JobRemoved", on_job_removed,
				    j);

	/* Without subscribers systemd sends no signals to the bus; on its private socket always. */
	(void)sd_bus_call_method(bus, DESTINATION, OBJECT, MANAGER, "Subscribe", NULL, NULL, "");
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "subscribe to systemd's signals") : 0;
}

/* -- operations -------------------------------------------------------------------------------- */

static int refused(struct error *err, int r, const sd_bus_error *e, const char *what)
{
	static const struct {
		const char *name;
		enum error_kind kind;
	} kinds[] = {
		{DESTINATION ".UnitExists", ERROR_CONFLICT},
		{DESTINATION ".NoSuchUnit", ERROR_NOT_FOUND},
		{SD_BUS_ERROR_INVALID_ARGS, ERROR_INVALID},
		{SD_BUS_ERROR_PROPERTY_READ_ONLY, ERROR_INVALID},
		{SD_BUS_ERROR_UNKNOWN_PROPERTY, ERROR_INVALID},
		{SD_BUS_ERROR_ACCESS_DENIED, ERROR_FORBIDDEN},
	};
	enum error_kind kind = ERROR_INTERNAL;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (sd_bus_error_has_name(e, kinds[i].name))
			kind = kinds[i].kind;
	if (e->message)
		return error_set(err, kind, 0, "%s: systemd: %s", what, e->message);
	return error_set(err, kind, -r, "%s", what);
}

static int call_for_unit(sd_bus *bus, const char *method, const char *unit, sd_bus_message **ret,
			 struct error *err)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	bool stop = strcmp(method, "StopUnit") == 0;
	int r = stop ? sd_bus_call_method(bus, DESTINATION, OBJECT, MANAGER, method, &e, ret, "ss",
					  unit, "replace")
		     : sd_bus_call_method(bus, DESTINATION, OBJECT, MANAGER, method, &e, ret, "s",
					  unit);

	if (r < 0)
		r = refused(err, r, &e, method);
	sd_bus_error_free(&e);
	return r;
}

static void reset_failed(sd_bus *bus, const char *unit)
{
	/* most have not failed, and are gone by now */
	(void)call_for_unit(bus, "ResetFailedUnit", unit, NULL, NULL);
}

/* Send a call that answers with a job, and wait for that. */
static int run_job(sd_bus *bus, sd_bus_message *call, const char *unit, struct job *j,
		   struct error *err)
{
	automessage sd_bus_message *reply = NULL;
	sd_bus_error e = SD_BUS_ERROR_NULL;
	autofree char *what = xasprintf("unit '%s'", unit);
	const char *path = NULL;
	int r = sd_bus_call(bus, call, JOB_TIMEOUT_S * (uint64_t)1000000, &e, &reply);

	if (r < 0)
		r = refused(err, r, &e, what);
	sd_bus_error_free(&e);
	if (r < 0)
		return r;
	if (sd_bus_message_read(reply, "o", &path) < 0)
		return error_set(err, ERROR_INTERNAL, EBADMSG, "%s", what);
	j->path = xstrdup(path);
	return await(bus, j, unit, err);
}

static int start_once(sd_bus *bus, const struct json *request, unsigned version, struct error *err)
{
	automessage sd_bus_message *call = NULL;
	const char *unit = json_get_string(request, "Unit");
	struct job j = {0};
	int r = watch_jobs(bus, &j, err);

	if (r == 0 && ((r = sd_bus_message_new_method_call(bus, &call, DESTINATION, OBJECT, MANAGER,
							   "StartTransientUnit")) < 0 ||
		       (r = sd_bus_message_append(call, "ss", unit, "fail")) < 0))
		r = error_set(err, ERROR_INTERNAL, -r, "unit '%s'", unit);
	if (r >= 0)
		r = append_properties(call, json_get(request, "Properties"), version, err);
	if (r == 0 && (r = sd_bus_message_append(call, "a(sa(sv))", 0)) < 0)
		r = error_set(err, ERROR_INTERNAL, -r, "unit '%s'", unit);
	if (r >= 0)
		r = run_job(bus, call, unit, &j, err);
	if (r == 0 && strcmp(j.result, "done") != 0) {
		r = error_set(err, ERROR_INTERNAL, 0, "start unit '%s': %s", unit, j.result);
		reset_failed(bus, unit);
	}
	job_done(&j);
	return r;
}

static int open_bus(bool user, sd_bus **ret, struct error *err);

static int start(sd_bus *bus, const struct json *request, unsigned version, struct error *err)
{
	const char *unit = json_get_string(request, "Unit");
	autoerror struct error e = {0};
	autobus sd_bus *again = NULL;
	int r = start_once(bus, request, version, &e);

	/* One that has failed stays until somebody has taken notice. */
	if (r < 0 && e.kind == ERROR_CONFLICT) {
		reset_failed(bus, unit);
		r = open_bus(json_get_bool(request, "User"), &again, err);
		return r < 0 ? r : start_once(again, request, version, err);
	}
	return error_move(err, &e, r);
}

static int stop(sd_bus *bus, const char *unit, struct error *err)
{
	automessage sd_bus_message *call = NULL;
	autoerror struct error e = {0};
	struct job j = {0};
	int r = watch_jobs(bus, &j, err);

	if (r == 0 && ((r = sd_bus_message_new_method_call(bus, &call, DESTINATION, OBJECT, MANAGER,
							   "StopUnit")) < 0 ||
		       (r = sd_bus_message_append(call, "ss", unit, "replace")) < 0))
		r = error_set(err, ERROR_INTERNAL, -r, "unit '%s'", unit);
	if (r >= 0) {
		r = run_job(bus, call, unit, &j, &e);
		r = r < 0 && e.kind == ERROR_NOT_FOUND ? 0 : error_move(err, &e, r);
	}
	reset_failed(bus, unit);
	job_done(&j);
	return r;
}

static int set(sd_bus *bus, const struct json *request, unsigned version, struct error *err)
{
	automessage sd_bus_message *call = NULL, *reply = NULL;
	const char *unit = json_get_string(request, "Unit");
	autofree char *what = xasprintf("change unit '%s'", unit);
	sd_bus_error e = SD_BUS_ERROR_NULL;
	int r;

	r = sd_bus_message_new_method_call(bus, &call, DESTINATION, OBJECT, MANAGER,
					   "SetUnitProperties");
	if (r >= 0)
		r = sd_bus_message_append(call, "sb", unit, 1);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "%s", what);
	r = append_properties(call, json_get(request, "Properties"), version, err);
	if (r < 0)
		return r;
	r = sd_bus_call(bus, call, 0, &e, &reply);
	if (r < 0)
		r = refused(err, r, &e, what);
	sd_bus_error_free(&e);
	return r < 0 ? r : 0;
}

/* -- the bus ----------------------------------------------------------------------------------- */

static int open_address(const char *address, sd_bus **ret)
{
	autobus sd_bus *bus = NULL;
	int r = sd_bus_new(&bus);

	if (r >= 0)
		r = sd_bus_set_address(bus, address);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(bus);
	return 0;
}

/* Where no message bus runs, systemd's own socket serves as well. */
static int open_bus(bool user, sd_bus **ret, struct error *err)
{
	const char *runtime_dir = getenv("XDG_RUNTIME_DIR");
	autofree char *own = user ? xasprintf("unix:path=%s/systemd/private",
					      runtime_dir ? runtime_dir : "/nonexistent")
				  : xstrdup("unix:path=/run/systemd/private");
	int r = user ? sd_bus_open_user(ret) : sd_bus_open_system(ret);

	if (r < 0 && open_address(own, ret) < 0)
		return error_set(err, ERROR_UNAVAILABLE, -r, "connect to %s systemd",
				 user ? "the user's" : "the system's");
	return 0;
}

/* "252.38-1~deb12u1", "v245" */
static int get_version(sd_bus *bus, unsigned *ret, struct error *err)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	autofree char *text = NULL;
	int r = sd_bus_get_property_string(bus, DESTINATION, OBJECT, MANAGER, "Version", &e, &text);

	if (r < 0)
		r = refused(err, r, &e, "ask for systemd's version");
	else
		*ret = (unsigned)strtoul(text + strcspn(text, "0123456789"), NULL, 10);
	sd_bus_error_free(&e);
	return r < 0 ? r : 0;
}

static int where(sd_bus *bus, char **ret, struct error *err)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	char *text = NULL;
	int r = sd_bus_get_property_string(bus, DESTINATION, OBJECT, MANAGER, "ControlGroup", &e,
					   &text);

	if (r < 0)
		r = refused(err, r, &e, "ask for systemd's cgroup");
	else
		*ret = text;
	sd_bus_error_free(&e);
	return r < 0 ? r : 0;
}

int systemd_bus_run(const struct json *request, char **ret, struct error *err)
{
	const char *operation = json_get_string(request, "Operation");
	const char *unit = json_get_string(request, "Unit");
	autobus sd_bus *bus = NULL;
	autofree char *answer = NULL;
	unsigned version = 0;
	int r;

	if (!operation || (!unit && strcmp(operation, "where") != 0))
		return error_set(err, ERROR_INVALID, 0, "request without operation or unit");
	r = open_bus(json_get_bool(request, "User"), &bus, err);
	if (r == 0)
		r = get_version(bus, &version, err);
	if (r < 0)
		return r;
	if (strcmp(operation, "start") == 0)
		r = start(bus, request, version, err);
	else if (strcmp(operation, "set") == 0)
		r = set(bus, request, version, err);
	else if (strcmp(operation, "stop") == 0)
		r = stop(bus, unit, err);
	else if (strcmp(operation, "where") == 0)
		r = where(bus, &answer, err);
	else
		r = error_set(err, ERROR_INVALID, 0, "operation '%s'", operation);
	if (r < 0)
		return r;
	*ret = answer ? TAKE_PTR(answer) : xstrdup("");
	return 0;
}
