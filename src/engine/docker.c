/* What a dockerd has, brought over: images by store/docker.h, volumes by copying. */
#include "engine/docker.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "engine/engine_priv.h"
#include "engine/volume.h"
#include "store/bolt.h"
#include "store/docker.h"
#include "volume/populate.h"

#define OPTIONS_MAX     ((size_t)1 << 20) /* bytes of opts.json */
#define COPY_OUTPUT_MAX ((size_t)65536)
#define DATABASE_MAX    ((size_t)64 << 20) /* bytes of metadata.db */
#define DATABASE_TRIES  10

/* What metadata.db says of a volume. */
struct volume_labels {
	const char *name;
	const struct json *labels;
};

struct import {
	struct engine *e;
	const struct engine_docker_args *args;
	struct engine_docker_result *result;
	struct arena *arena; /* borrowed: of the labels */
	struct volume_labels *labels;
	size_t n_labels, cap_labels;
};

/* ---- labels ---- */

/* A page of a running dockerd's may change while it is read: twice the same is what it was. */
static int read_database(const char *path, char **ret, size_t *ret_len, struct error *err)
{
	autofree char *before = NULL;
	size_t before_len = 0;

	for (unsigned i = 0; i < DATABASE_TRIES; i++) {
		autofree char *text = NULL;
		size_t len;
		int r = file_read(AT_FDCWD, path, DATABASE_MAX, &text, &len, err);

		if (r < 0)
			return r;
		if (before && len == before_len && memcmp(before, text, len) == 0) {
			*ret = TAKE_PTR(text);
			*ret_len = len;
			return 0;
		}
		free(before);
		before = TAKE_PTR(text);
		before_len = len;
	}
	return error_set(err, ERROR_UNAVAILABLE, 0, "'%s' does not stay as it is", path);
}

/* The value: {"Name", "Driver", "Labels", "Options"} */
static int take_labels(void *data, const char *key, size_t key_len, const char *value,
		       size_t value_len)
{
	struct import *in = data;
	const struct json *doc, *labels;

	if (json_parse(in->arena, value, value_len, &doc, NULL) < 0)
		return 0;
	labels = json_get(doc, "Labels");
	if (json_count(labels) == 0)
		return 0;
	xgrow(in->labels, in->n_labels, in->cap_labels);
	in->labels[in->n_labels++] = (struct volume_labels){
		.name = arena_strndup(in->arena, key, key_len), .labels = labels};
	return 0;
}

static const struct json *labels_of(const struct import *in, const char *name)
{
	for (size_t i = 0; i < in->n_labels; i++)
		if (str_eq(in->labels[i].name, name))
			return in->labels[i].labels;
	return NULL;
}

static void read_labels(struct import *in)
{
	autofree char *path = xasprintf("%s/volumes/metadata.db", in->args->root);
	autofree char *file = NULL;
	autoerror struct error why = {0};
	size_t len = 0;
	int r = read_database(path, &file, &len, &why);

	if (r == -ENOENT) /* there was never a volume */
		return;
	r = r < 0 ? r : bolt_read(file, len, "volumes", take_labels, in, &why);
	if (r < 0) {
		autofree char *text = xasprintf("labels of volumes are left out: '%s': %s\n", path,
						error_msg(&why));

		in->args->message(in->args->data, text);
	}
}

/* ---- volumes ---- */

/* cp: it clones where the file system can, and keeps holes, links, owners, times, attributes. */
static int copy_tree(const char *from, const char *to, struct error *err)
{
	autofree char *source = xasprintf("%s/.", from);
	autofree char *output = NULL;
	const char *const argv[] = {"cp", "-a", "--reflink=auto", "--sparse=auto", "--", source,
				    to,   NULL};
	const struct spawn_args spawn_args = {.path = "/bin/cp", .argv = argv};
	int status, r = spawn_run(&spawn_args, COPY_OUTPUT_MAX, &output, &status, err);

	if (r < 0)
		return r;
	if (status != 0)
		return error_set(err, ERROR_INTERNAL, 0, "copy '%s': cp ended with %d", from,
				 status);
	return 0;
}

/* opts.json of its local driver: {"MountType", "MountOpts", "MountDevice", "Quota"}; "null" or nothing
 * for most volumes. */
static int read_options(const char *dir, struct arena *a, const struct json **ret,
			struct error *err)
{
	static const char *const names[][2] = {
		{"MountType", "type"}, {"MountOpts", "o"}, {"MountDevice", "device"}};
	autofree char *path = xasprintf("%s/opts.json", dir);
	autostrbuf struct strbuf out = STRBUF_INIT(OPTIONS_MAX);
	autofree char *text = NULL;
	const struct json *doc;
	struct json_writer w;
	size_t len;

	if (file_read(AT_FDCWD, path, OPTIONS_MAX, &text, &len, NULL) < 0 ||
	    json_parse(a, text, len, &doc, NULL) < 0)
		return 0;
	json_writer_init(&w, &out);
	jw_object(&w);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!str_empty(json_get_string(doc, names[i][0])))
			jw_kstring(&w, names[i][1], json_get_string(doc, names[i][0]));
	jw_object_end(&w);
	return json_parse(a, out.s, out.len, ret, err);
}

/* 1: copied; 0: one of the name has something in it already, or its files are elsewhere. */
static int import_volume(const struct import *in, const char *name, struct error *err)
{
	autofree char *dir = xasprintf("%s/volumes/%s", in->args->root, name);
	autofree char *from = xasprintf("%s/_data", dir);
	autofree char *to = xasprintf("%s/volumes/%s/_data", in->e->data_root, name);
	autofree char *made = NULL;
	autoarena struct arena *a = arena_new();
	struct volume_request q = {.name = name};
	autoclose int fd = -EBADF;
	int r = read_options(dir, a, &q.options, err);

	q.labels = labels_of(in, name);
	r = r < 0 ? r : engine_volume_create(in->e, &q, &made, err);
	if (r < 0 || json_count(q.options) > 0)
		return r;
	fd = volume_open_dir(in->e->data_fd, name, err);
	if (fd < 0)
		return fd;
	r = populate_is_empty(fd);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "read volume '%s'", name);
	if (r == 0)
		return 0;
	r = copy_tree(from, to, err);
	if (r >= 0 && syncfs(fd) < 0)
		r = error_set(err, ERROR_INTERNAL, errno, "write volume '%s'", name);
	return r < 0 ? r : 1;
}

static void say(const struct import *in, const char *name, int r, const struct error *err)
{
	autofree char *text =
		r < 0    ? xasprintf("volume %s is left out: %s\n", name, error_msg(err))
		: r == 0 ? xasprintf("volume %s: nothing to copy, or there already\n", name)
			 : xasprintf("volume %s\n", name);

	in->args->message(in->args->data, text);
}

static int import_volumes(const struct import *in, struct error *err)
{
	autofree char *path = xasprintf("%s/volumes", in->args->root);
	DIR *dir = opendir(path);
	const struct dirent *entry;

	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", path);
	while ((entry = readdir(dir))) {
		autofree char *data = xasprintf("%s/%s/_data", path, entry->d_name);
		autoerror struct error why = {0};
		int r;

		if (entry->d_name[0] == '.' || access(data, F_OK) < 0)
			continue;
		r = import_volume(in, entry->d_name, &why);
		in->result->volumes += r >= 0;
		in->result->volumes_failed += r < 0;
		say(in, entry->d_name, r, &why);
	}
	(void)closedir(dir);
	return 0;
}

int engine_docker_import(struct engine *e, const struct engine_docker_args *args,
			 struct engine_docker_result *ret, struct error *err)
{
	const struct store_docker_args images = {args->root, args->message, args->data};
	autoarena struct arena *a = arena_new();
	struct import in = {.e = e, .args = args, .result = ret, .arena = a};
	struct store_docker_result done;
	int r;

	*ret = (struct engine_docker_result){0};
	if (args->root[0] != '/')
		return error_set(err, ERROR_INVALID, 0, "root: must be an absolute path: '%s'",
				 args->root);
	r = store_docker_import(e->store, &images, &done, err);
	if (r < 0)
		return r;
	ret->images = done.images;
	ret->images_failed = done.failed;
	read_labels(&in);
	r = import_volumes(&in, err);
	free(in.labels);
	return r;
}
