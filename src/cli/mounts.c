/* --mount: the mounts of a container to be created. */
#include "cli/mounts.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/csv.h"
#include "cli/flags.h"
#include "cli/objects.h"

enum key_kind {
	KEY_STRING,
	KEY_TYPE,   /* a string, in lower case */
	KEY_SOURCE, /* a string; "." is where we are */
	KEY_BOOL,
	KEY_SIZE,
	KEY_OCTAL,
	KEY_RECURSIVE,
	KEY_PAIR, /* each "key=value" is a member of an object */
};

struct key {
	const char *name, *alias;
	const char *object; /* "BindOptions", "DriverConfig"; NULL: the mount itself */
	const char *field;
	enum key_kind kind;
	bool alone; /* needs no value */
};

static const struct key keys[] = {
	{"type", NULL, NULL, "Type", KEY_TYPE, false},
	{"source", "src", NULL, "Source", KEY_SOURCE, false},
	{"target", "dst", NULL, "Target", KEY_STRING, false},
	{"destination", NULL, NULL, "Target", KEY_STRING, false},
	{"readonly", "ro", NULL, "ReadOnly", KEY_BOOL, true},
	{"consistency", NULL, NULL, "Consistency", KEY_STRING, false},
	{"bind-propagation", NULL, "BindOptions", "Propagation", KEY_STRING, false},
	{"bind-nonrecursive", NULL, "BindOptions", "NonRecursive", KEY_BOOL, true},
	{"bind-create-src", NULL, "BindOptions", "CreateMountpoint", KEY_BOOL, false},
	{"bind-recursive", NULL, "BindOptions", "", KEY_RECURSIVE, false},
	{"volume-nocopy", NULL, "VolumeOptions", "NoCopy", KEY_BOOL, true},
	{"volume-subpath", NULL, "VolumeOptions", "Subpath", KEY_STRING, false},
	{"volume-label", NULL, "VolumeOptions", "Labels", KEY_PAIR, false},
	{"volume-driver", NULL, "DriverConfig", "Name", KEY_STRING, false},
	{"volume-opt", NULL, "DriverConfig", "Options", KEY_PAIR, false},
	{"image-subpath", NULL, "ImageOptions", "Subpath", KEY_STRING, false},
	{"tmpfs-size", NULL, "TmpfsOptions", "SizeBytes", KEY_SIZE, false},
	{"tmpfs-mode", NULL, "TmpfsOptions", "Mode", KEY_OCTAL, false},
};

/* Members of BindOptions that bind-recursive stands for; "" for none. */
static const struct {
	const char *value, *field;
} recursive[] = {
	{"enabled", ""},
	{"disabled", "NonRecursive"},
	{"writable", "ReadOnlyNonRecursive"},
	{"readonly", "ReadOnlyForceRecursive"},
};

struct item {
	const struct key *key;
	char *value; /* owned; NULL without '=' */
};

struct mount {
	struct item *items; /* owned */
	size_t n;
};

static void mount_done(struct mount *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->items[i].value);
	free(m->items);
}
#define automount __attribute__((cleanup(mount_done)))

static const char *recursive_field(const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(recursive); i++)
		if (strcmp(value, recursive[i].value) == 0)
			return recursive[i].field;
	return NULL;
}

static bool is_valid(const struct item *item)
{
	const char *v = item->value ? item->value : "";
	uint32_t mode;
	int64_t size;
	bool on;

	switch (item->key->kind) {
	case KEY_BOOL:
		return !item->value || flags_parse_bool(v, &on) >= 0;
	case KEY_SIZE:
		return flags_parse_bytes(v, &size) >= 0;
	case KEY_OCTAL:
		return str_parse_octal(v, &mode) >= 0;
	case KEY_RECURSIVE:
		return recursive_field(v);
	case KEY_STRING:
	case KEY_TYPE:
	case KEY_SOURCE:
	case KEY_PAIR:
		break;
	}
	return true;
}

static const struct key *find_key(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *const names[] = {keys[i].name, keys[i].alias};

		for (size_t k = 0; k < ARRAY_SIZE(names); k++)
			if (names[k] && strlen(names[k]) == len &&
			    strncasecmp(names[k], name, len) == 0)
				return &keys[i];
	}
	return NULL;
}

static int add_field(const char *field, struct mount *ret, struct error *err)
{
	int len = (int)strcspn(field, "=");
	const char *value = field[len] ? field + len + 1 : NULL;
	struct item item = {.key = find_key(field, (size_t)len)};

	if (!value && (!item.key || !item.key->alone))
		return error_set(err, ERROR_INVALID, 0,
				 "invalid field '%s' must be a key=value pair", field);
	if (!item.key)
		return error_set(err, ERROR_INVALID, 0, "unexpected key '%.*s' in '%s'", len, field,
				 field);
	item.value = value ? xstrdup(value) : NULL;
	ret->items = xrealloc(ret->items, ret->n + 1, sizeof(*ret->items));
	ret->items[ret->n++] = item;
	if (is_valid(&item))
		return 0;
	return error_set(err, ERROR_INVALID, 0, "invalid value for %.*s: %s%s", len, field, value,
			 item.key->kind == KEY_RECURSIVE
				 ? " (must be \"enabled\", \"disabled\", \"writable\", or "
				   "\"readonly\")"
				 : "");
}

/* The last value of a field, NULL without one. */
static const struct item *find_item(const struct mount *m, const char *field)
{
	const struct item *found = NULL;

	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->items[i].key->field, field) == 0)
			found = &m->items[i];
	return found;
}

static const char *type_of(const struct mount *m)
{
	const struct item *item = find_item(m, "Type");

	return item ? item->value : "volume";
}

static int check_types(const struct mount *m, struct error *err)
{
	static const struct {
		const char *prefix, *type;
	} families[] = {
		{"volume-", "volume"}, {"bind-", "bind"}, {"tmpfs-", "tmpfs"}, {"image-", "image"}};

	for (size_t i = 0; i < m->n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(families); k++)
			if (str_has_prefix(m->items[i].key->name, families[k].prefix) &&
			    strcasecmp(type_of(m), families[k].type) != 0)
				return error_set(err, ERROR_INVALID, 0,
						 "cannot mix '%s*' options with mount type '%s'",
						 families[k].prefix, type_of(m));
	return 0;
}

/* Read-only all the way down, or only on top, is of a mount that is read-only. */
static int check_recursive(const struct mount *m, struct error *err)
{
	const struct item *how = find_item(m, ""), *read_only = find_item(m, "ReadOnly"),
			  *propagation = find_item(m, "Propagation");
	bool forced = how && strcmp(how->value, "readonly") == 0, on = read_only != NULL;

	if (!how || (!forced && strcmp(how->value, "writable") != 0))
		return 0;
	if (read_only && read_only->value)
		(void)flags_parse_bool(read_only->value, &on);
	if (!on)
		return error_set(err, ERROR_INVALID, 0,
				 "option 'bind-recursive=%s' requires 'readonly' to be specified "
				 "in conjunction",
				 how->value);
	if (forced && (!propagation || strcmp(propagation->value, "rprivate") != 0))
		return error_set(err, ERROR_INVALID, 0,
				 "option 'bind-recursive=readonly' requires "
				 "'bind-propagation=rprivate' to be specified in conjunction");
	return 0;
}

static int parse(const char *value, struct mount *ret, struct error *err)
{
	autostrv struct strv fields = {0};
	int r = csv_split(value, &fields, err);

	for (size_t i = 0; r >= 0 && i < fields.n; i++)
		r = add_field(fields.v[i], ret, err);
	if (r >= 0 && (!find_item(ret, "Target") || !find_item(ret, "Target")->value[0]))
		r = error_set(err, ERROR_INVALID, 0, "target is required");
	r = r < 0 ? r : check_types(ret, err);
	return r < 0 ? r : check_recursive(ret, err);
}

int mounts_check(const char *value, struct error *err)
{
	automount struct mount ignored = {0};

	return parse(value, &ignored, err);
}

/* Writing ----------------------------------------------------------------------------------- */

static void write_source(const char *value, struct json_writer *w)
{
	autofree char *cwd = NULL;

	if (strcmp(value, ".") != 0 && !str_has_prefix(value, "./")) {
		jw_kstring(w, "Source", value);
		return;
	}
	cwd = getcwd(NULL, 0);
	jw_key(w, "Source");
	jw_stringf(w, "%s%s", cwd ? cwd : "", value + 1);
}

static void write_lower(const char *key, const char *value, struct json_writer *w)
{
	autofree char *lower = xstrdup(value);

	for (char *p = lower; *p; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 0x20 : *p);
	jw_kstring(w, key, lower);
}

static void write_pairs(const struct mount *m, const struct key *key, struct json_writer *w)
{
	autostrv struct strv pairs = {0};

	for (size_t i = 0; i < m->n; i++)
		if (m->items[i].key == key)
			strv_add(&pairs, m->items[i].value);
	objects_map(w, key->field, &pairs);
}

static void write_item(const struct mount *m, const struct item *item, struct json_writer *w)
{
	const char *field = item->key->field, *value = item->value;
	uint32_t mode = 0;
	int64_t size = 0;
	bool on = true;

	switch (item->key->kind) { /* parse has found the values valid */
	case KEY_STRING:
		jw_kstring(w, field, value);
		break;
	case KEY_TYPE:
		write_lower(field, value, w);
		break;
	case KEY_SOURCE:
		write_source(value, w);
		break;
	case KEY_BOOL:
		if (value)
			(void)flags_parse_bool(value, &on);
		jw_kbool(w, field, on);
		break;
	case KEY_SIZE:
		(void)flags_parse_bytes(value, &size);
		jw_kint(w, field, size);
		break;
	case KEY_OCTAL:
		(void)str_parse_octal(value, &mode);
		jw_kint(w, field, mode);
		break;
	case KEY_RECURSIVE:
		jw_kbool(w, recursive_field(value), true);
		break;
	case KEY_PAIR:
		write_pairs(m, item->key, w);
		break;
	}
}

/* Is it the one that counts of those that were given for its field, and does it say anything? */
static bool is_member(const struct mount *m, const struct item *item, const char *object)
{
	const char *field;

	if (!str_eq(item->key->object, object) || find_item(m, item->key->field) != item)
		return false;
	if (item->key->kind != KEY_RECURSIVE)
		return true;
	field = recursive_field(item->value);
	return *field && !find_item(m, field); /* bind-nonrecursive says the same */
}

static void write_members(const struct mount *m, const char *object, struct json_writer *w)
{
	for (size_t i = 0; i < m->n; i++)
		if (is_member(m, &m->items[i], object))
			write_item(m, &m->items[i], w);
}

static bool has_members(const struct mount *m, const char *object)
{
	for (size_t i = 0; i < m->n; i++)
		if (is_member(m, &m->items[i], object))
			return true;
	return false;
}

static void write_mount(const struct mount *m, struct json_writer *w)
{
	static const char *const objects[] = {"BindOptions", "VolumeOptions", "TmpfsOptions",
					      "ImageOptions"};

	jw_object(w);
	if (!find_item(m, "Type"))
		jw_kstring(w, "Type", "volume");
	write_members(m, NULL, w);
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		bool driver =
			strcmp(objects[i], "VolumeOptions") == 0 && has_members(m, "DriverConfig");

		if (!driver && !has_members(m, objects[i]))
			continue;
		jw_kobject(w, objects[i]);
		write_members(m, objects[i], w);
		if (driver) {
			jw_kobject(w, "DriverConfig");
			write_members(m, "DriverConfig", w);
			jw_object_end(w);
		}
		jw_object_end(w);
	}
	jw_object_end(w);
}

int mounts_write(const struct strv *values, struct json_writer *w, struct error *err)
{
	if (!values->n)
		return 0;
	jw_karray(w, "Mounts");
	for (size_t i = 0; i < values->n; i++) {
		automount struct mount m = {0};
		int r = parse(values->v[i], &m, err);

		if (r < 0)
			return r;
		write_mount(&m, w);
	}
	jw_array_end(w);
	return 0;
}
