/* Named volumes: what there is, names, rows. */
#include "volume/volume.h"

#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/units.h"

void volume_map_add(struct volume_map *m, const char *key, const char *value)
{
	strv_add(&m->keys, key);
	strv_add(&m->values, value);
}

const char *volume_map_get(const struct volume_map *m, const char *key)
{
	for (size_t i = 0; i < m->keys.n; i++)
		if (str_eq(m->keys.v[i], key))
			return m->values.v[i];
	return NULL;
}

void volume_map_done(struct volume_map *m)
{
	strv_done(&m->keys);
	strv_done(&m->values);
	*m = (struct volume_map){0};
}

bool volume_is_anonymous(const struct volume *v)
{
	return volume_map_get(&v->labels, VOLUME_ANONYMOUS_LABEL) != NULL;
}

bool volume_is_mounted(const struct volume *v)
{
	return volume_map_get(&v->options, "device") != NULL;
}

uint64_t volume_size(const struct volume *v)
{
	const char *text = volume_map_get(&v->options, "size");
	uint64_t size = 0;

	if (text)
		(void)units_parse_size(text, true, &size); /* checked at create */
	return size;
}

struct volume *volume_free(struct volume *v)
{
	if (v) {
		free(v->name);
		volume_map_done(&v->labels);
		volume_map_done(&v->options);
		free(v);
	}
	return NULL;
}

void volume_map_write(struct json_writer *w, const char *key, const struct volume_map *m)
{
	jw_kobject(w, key);
	for (size_t i = 0; i < m->keys.n; i++)
		jw_kstring(w, m->keys.v[i], m->values.v[i]);
	jw_object_end(w);
}

void volume_encode(struct json_writer *w, const struct volume *v)
{
	jw_object(w);
	jw_kstring(w, "name", v->name);
	jw_kint(w, "created", v->created_ns);
	volume_map_write(w, "labels", &v->labels);
	volume_map_write(w, "options", &v->options);
	jw_object_end(w);
}

static void read_map(const struct json *from, struct volume_map *m)
{
	const struct json *v;
	const char *key;

	json_object_foreach(key, v, from)
		volume_map_add(m, key, json_string(v) ? json_string(v) : "");
}

int volume_decode(const struct json *doc, struct volume **ret, struct error *err)
{
	const char *name = json_get_string(doc, "name");
	struct volume *v;

	/* A name is part of a path. */
	if (!name || volume_name_check(name, NULL) < 0)
		return error_set(err, ERROR_INTERNAL, EBADMSG, "read volume row: field 'name'");
	v = xnew0(struct volume);
	v->name = xstrdup(name);
	v->created_ns = json_get_int(doc, "created");
	read_map(json_get(doc, "labels"), &v->labels);
	read_map(json_get(doc, "options"), &v->options);
	*ret = v;
	return 0;
}

int volume_name_check(const char *name, struct error *err)
{
	bool valid = isalnum((unsigned char)name[0]) && strlen(name) <= 255;

	if (strlen(name) == 1)
		return error_set(err, ERROR_INVALID, 0,
				 "volume name is too short, names should be at least two "
				 "alphanumeric characters");
	for (const char *s = name; valid && *s; s++)
		valid = isalnum((unsigned char)*s) || strchr("_.-", *s);
	if (!valid)
		return error_set(err, ERROR_INVALID, 0,
				 "\"%s\" includes invalid characters for a local volume name, only "
				 "\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to "
				 "pass a host directory, use absolute path",
				 name);
	return 0;
}

int volume_options_check(const struct volume_map *options, struct error *err)
{
	static const char *const known[] = {"type", "o", "device", "size"};
	const char *text = volume_map_get(options, "size");
	uint64_t size;

	for (size_t i = 0; i < options->keys.n; i++) {
		const char *key = options->keys.v[i];
		bool found = false;

		for (size_t k = 0; k < ARRAY_SIZE(known); k++)
			found |= str_eq(known[k], key);
		if (!found)
			return error_set(err, ERROR_INVALID, 0, "invalid option: \"%s\"", key);
	}
	if (text && units_parse_size(text, true, &size) < 0)
		return error_set(err, ERROR_INVALID, 0, "invalid size: '%s'", text);
	if (text && options->keys.n == 1)
		return 0;
	if (text) /* what is mounted there has its own */
		return error_set(err, ERROR_INVALID, 0,
				 "option \"size\" limits a directory: mounts take theirs in option "
				 "\"o\"");
	if (options->keys.n > 0 && str_empty(volume_map_get(options, "device")))
		return error_set(err, ERROR_INVALID, 0, "missing device in volume options");
	if (options->keys.n > 0 && str_empty(volume_map_get(options, "type")) &&
	    str_empty(volume_map_get(options, "o")))
		return error_set(err, ERROR_INVALID, 0, "missing required option: \"type\"");
	return 0;
}

/* The first place whose name is not below `name`. */
static size_t place(const struct volumes *s, const char *name)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(s->v[mid]->name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct volume *volumes_find(const struct volumes *s, const char *name)
{
	size_t i = place(s, name);

	return i < s->n && str_eq(s->v[i]->name, name) ? s->v[i] : NULL;
}

void volumes_add(struct volumes *s, struct volume *v_take)
{
	size_t i = place(s, v_take->name);

	xgrow(s->v, s->n, s->cap);
	memmove(&s->v[i + 1], &s->v[i], (s->n - i) * sizeof(struct volume *));
	s->v[i] = v_take;
	s->n++;
}

void volumes_drop(struct volumes *s, struct volume *v)
{
	size_t i = place(s, v->name);

	if (i >= s->n || s->v[i] != v)
		return;
	s->n--;
	memmove(&s->v[i], &s->v[i + 1], (s->n - i) * sizeof(struct volume *));
	(void)volume_free(v);
}

void volumes_done(struct volumes *s)
{
	for (size_t i = 0; i < s->n; i++)
		(void)volume_free(s->v[i]);
	free(s->v);
	*s = (struct volumes){0};
}
