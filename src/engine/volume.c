/* engine/volume.c - volumes: made, removed, found again. */
#include "engine/volume.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/engine_priv.h"
#include "engine/rows.h"
#include "engine/volume_priv.h"

/* ---- looking [loop] --------------------------------------------------------------------------- */

const struct volumes *engine_volumes(struct engine *e)
{
	return &e->volumes;
}

int engine_volume_get(struct engine *e, const char *name, const struct volume **ret,
		      struct error *err)
{
	*ret = volumes_find(&e->volumes, name);
	return *ret ? 0 : error_set(err, ERROR_NOT_FOUND, 0, "get %s: no such volume", name);
}

static bool mounts(const struct container *c, const char *name)
{
	for (size_t i = 0; i < c->spec->point_count; i++)
		if (str_eq(c->spec->points[i].volume, name))
			return true;
	return false;
}

const struct container *engine_volume_user(struct engine *e, const char *name, size_t i)
{
	for (size_t k = 0; k < e->container_count; k++)
		if (mounts(e->containers[k], name) && i-- == 0)
			return e->containers[k];
	return NULL;
}

static void emit(struct engine *e, const struct volume *v, const char *action)
{
	struct event_attr attr = {"driver", VOLUME_DRIVER};

	event_emit(e->events, &(struct event){.type = "volume",
					      .action = action,
					      .id = v->name,
					      .attrs = &attr,
					      .attr_count = 1});
}

/* ---- create ------------------------------------------------------------------------------------ */

struct volume_call {
	struct engine *e;
	const char *name;
	const struct container *except; /* its use does not count */
	struct volume *v;
	bool found;
	struct error *err;
	int r;
};

static void find_on_loop(void *data)
{
	struct volume_call *call = data;

	call->v = volumes_find(&call->e->volumes, call->name);
	call->found = call->v != NULL;
}

static void add_on_loop(void *data)
{
	struct volume_call *call = data;

	volumes_add(&call->e->volumes, call->v);
	emit(call->e, call->v, "create");
}

static int read_map(const struct json *from, const char *what, struct volume_map *m,
		    struct error *err)
{
	const struct json *v;
	const char *key;

	json_object_foreach(key, v, from) {
		if (!json_string(v))
			return error_set(err, ERROR_INVALID, 0, "%s.%s: expected a string", what,
					 key);
		volume_map_add(m, key, json_string(v));
	}
	return 0;
}

static int read_request(const struct volume_request *q, const char *name, struct volume *v,
			struct error *err)
{
	int r = volume_name_check(name, err);

	v->name = xstrdup(name);
	v->created_ns = clock_realtime_ns();
	r = r < 0 ? r : read_map(q->labels, "Labels", &v->labels, err);
	r = r < 0 ? r : read_map(q->options, "DriverOpts", &v->options, err);
	if (str_empty(q->name) && !volume_is_anonymous(v))
		volume_map_add(&v->labels, VOLUME_ANONYMOUS_LABEL, "");
	r = r < 0 ? r : volume_options_check(&v->options, err);
	return r < 0 ? error_wrap(err, r, "create %s", name) : 0;
}

/* sync: durable at once; else with the container's row that follows.  Those that create and remove take
 * turns; the loop never does, so it may be asked meanwhile. */
static int ensure(struct engine *e, const struct volume_request *q, const char *name, bool sync,
		  struct error *err)
{
	struct volume_call call = {.e = e, .name = name};
	struct volume *v = xnew0(struct volume);
	int r = read_request(q, name, v, err);

	if (r < 0) {
		(void)volume_free(v);
		return r;
	}
	(void)pthread_mutex_lock(&e->volumes_lock);
	engine_call(e, find_on_loop, &call);
	if (call.found) {
		r = volume_make_dir(e->data_fd, name, volume_size(call.v), false, err);
		(void)volume_free(v);
	} else {
		r = rows_save_volume(e->db, v, sync, err);
		if (r >= 0) {
			crash_point(CRASH_VOLUME_ROW);
			r = volume_make_dir(e->data_fd, name, volume_size(v), sync, err);
		}
		if (r >= 0) {
			crash_point(CRASH_VOLUME_DIR);
			call.v = v;
			engine_call(e, add_on_loop, &call);
		} else {
			(void)rows_delete_volume(e->db, name, NULL); /* it says so itself */
			(void)volume_free(v);
		}
	}
	(void)pthread_mutex_unlock(&e->volumes_lock);
	return r;
}

int engine_volume_create(struct engine *e, const struct volume_request *q, char **ret_name,
			 struct error *err)
{
	char id[65];
	const char *name = q->name;
	int r;

	if (str_empty(name)) {
		engine_new_id(id);
		name = id;
	}
	r = ensure(e, q, name, true, err);
	if (r >= 0)
		*ret_name = xstrdup(name);
	return r;
}

/* ---- remove ------------------------------------------------------------------------------------ */

static void begin_remove_on_loop(void *data)
{
	struct volume_call *call = data;
	autostrbuf struct strbuf ids = STRBUF_INIT(1 << 20);

	call->v = volumes_find(&call->e->volumes, call->name);
	if (!call->v) {
		call->r = error_set(call->err, ERROR_NOT_FOUND, 0, "get %s: no such volume",
				    call->name);
		return;
	}
	for (size_t i = 0;; i++) {
		const struct container *c = engine_volume_user(call->e, call->name, i);

		if (!c)
			break;
		if (c != call->except)
			strbuf_addf(&ids, "%s%s", ids.len > 0 ? ", " : "", c->id);
	}
	if (ids.len > 0)
		call->r = error_set(call->err, ERROR_CONFLICT, 0,
				    "remove %s: volume is in use - [%s]", call->name, ids.s);
}

static void removed_on_loop(void *data)
{
	struct volume_call *call = data;

	emit(call->e, call->v, "destroy");
	volumes_drop(&call->e->volumes, call->v);
}

static int remove_volume(struct engine *e, const char *name, const struct container *except,
			 struct error *err)
{
	struct volume_call call = {.e = e, .name = name, .except = except, .err = err};
	autofree char *dir = xasprintf("%s/volumes/%s/_data", e->data_root, name);
	autofree char *tmp = NULL;
	int r;

	(void)pthread_mutex_lock(&e->volumes_lock);
	engine_call(e, begin_remove_on_loop, &call);
	r = call.r;
	if (r >= 0 && volume_is_mounted(call.v))
		r = volume_unmount(dir, err);
	if (r >= 0) {
		r = volume_bury_dir(e->data_fd, name, err);
		crash_point(CRASH_VOLUME_BURIED);
		r = r < 0 ? r : rows_delete_volume(e->db, name, err);
		if (r < 0)
			volume_unbury_dir(e->data_fd, name);
	}
	if (r >= 0) {
		engine_call(e, removed_on_loop, &call);
		tmp = volume_forget_dir(e->data_fd, name);
	}
	(void)pthread_mutex_unlock(&e->volumes_lock);
	/* What is in it may be much: others need not wait for that. */
	return r < 0 || !tmp ? r : file_remove_tree(e->data_fd, tmp, err);
}

int engine_volume_remove(struct engine *e, const char *name, struct error *err)
{
	return remove_volume(e, name, NULL, err);
}

int volumes_remove(struct engine *e, const struct container *c, struct error *err)
{
	for (size_t i = 0; i < c->spec->point_count; i++) {
		const struct config_point *p = &c->spec->points[i];
		autoerror struct error why = {0};
		int r;

		if (!p->anonymous || p->inherited)
			continue;
		r = remove_volume(e, p->volume, c, &why);
		if (r < 0 && why.kind != ERROR_NOT_FOUND && why.kind != ERROR_CONFLICT)
			return error_move(err, &why, r);
	}
	return 0;
}

/* ---- after a restart --------------------------------------------------------------------------- */

/* A directory that no row knows: from before there were rows, or from a database that was lost. */
static void adopt(struct engine *e, int dir_fd, const char *name)
{
	struct volume *v;
	struct stat st;

	if (volumes_find(&e->volumes, name) || volume_name_check(name, NULL) < 0 ||
	    fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return;
	v = xnew0(struct volume);
	v->name = xstrdup(name);
	v->created_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
	if (strlen(name) == 64 && str_is_hex(name, 64))
		volume_map_add(&v->labels, VOLUME_ANONYMOUS_LABEL, "");
	if (rows_save_volume(e->db, v, false, NULL) < 0)
		log_error("volume '%s' has no row", name);
	volumes_add(&e->volumes, v);
}

struct known {
	const struct volumes *volumes;
	bool all; /* a row could not be read, and nobody knows whose it is */
};

static bool is_known(void *data, const char *name)
{
	const struct known *k = data;

	return k->all || volumes_find(k->volumes, name);
}

void volumes_restore(struct engine *e, const struct strv *rows)
{
	int fd = openat(e->data_fd, "volumes", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct known known = {.volumes = &e->volumes};
	const struct dirent *entry;

	for (size_t i = 0; i < rows->n; i++) {
		autoarena struct arena *a = arena_new();
		autoerror struct error err = {0};
		const struct json *doc;
		struct volume *v;

		if (json_parse(a, rows->v[i], strlen(rows->v[i]), &doc, &err) < 0 ||
		    volume_decode(doc, &v, &err) < 0) {
			log_error("a stored volume is left alone: %s", error_msg(&err));
			known.all = true;
		} else {
			volumes_add(&e->volumes, v);
		}
	}
	volume_unbury_dirs(e->data_fd, is_known, &known);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			adopt(e, fd, entry->d_name);
	if (dir)
		(void)closedir(dir);
	else if (fd >= 0)
		(void)close(fd);
}

/* ---- for containers ---------------------------------------------------------------------------- */

int volume_ensure(struct engine *e, const struct volume_request *q, const char *name,
		  struct error *err)
{
	return ensure(e, q, name, false, err);
}
