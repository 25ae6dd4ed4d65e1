/* volume/volume.h - named volumes of the local driver: what there is, and its directories.
 *
 * The set is memory, for the thread that owns the engine's state; persistence is the caller's: a row
 * for each by volume_encode, given back by volume_decode and volumes_add.  The functions on directories
 * are for workers; `data_fd` is the data root.  A volume's files are in volumes/<name>/_data.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/str.h"

struct error;

#define VOLUME_DRIVER          "local"
#define VOLUME_ANONYMOUS_LABEL "com.docker.volume.anonymous"

struct volume_map { /* in order; owned */
	struct strv keys, values;
};
void volume_map_add(struct volume_map *m, const char *key, const char *value);
const char *volume_map_get(const struct volume_map *m, const char *key); /* or NULL */
/* As an object, with its key. */
void volume_map_write(struct json_writer *w, const char *key, const struct volume_map *m);
void volume_map_done(struct volume_map *m);

struct volume {
	char *name; /* owned */
	int64_t created_ns;
	struct volume_map labels, options; /* options: type, o, device; or size */
	bool busy;                         /* being removed: nobody can use it; not in the row */
};
bool volume_is_anonymous(const struct volume *v);
bool volume_is_mounted(
	const struct volume *v); /* has a device: something is mounted on its directory */
uint64_t volume_size(const struct volume *v); /* bytes that it may take; 0: unlimited */
struct volume *volume_free(struct volume *v);
void volume_encode(struct json_writer *w, const struct volume *v);
int volume_decode(const struct json *doc, struct volume **ret, struct error *err);

/* ERROR_INVALID in Docker's words. */
int volume_name_check(const char *name, struct error *err);
/* Options as the local driver takes them. */
int volume_options_check(const struct volume_map *options, struct error *err);

struct volumes {
	struct volume **v; /* owned, sorted by name */
	size_t n, cap;
};
struct volume *volumes_find(const struct volumes *s, const char *name);
void volumes_add(struct volumes *s, struct volume *v_take); /* its name is new */
void volumes_drop(struct volumes *s, struct volume *v);     /* and free it */
void volumes_done(struct volumes *s);

/* Make the directory; one that is there is fine.  sync: durably.  size: bytes that its files may take,
 * ERROR_INVALID where the file system has no quotas; 0: unlimited. */
int volume_make_dir(int data_fd, const char *name, uint64_t size, bool sync, struct error *err);
/* Take it away, durably, while its row is still there; one that is not there is fine. */
int volume_bury_dir(int data_fd, const char *name, struct error *err);
/* The row is gone: what file_remove_tree is left to delete (malloc'd); NULL if there was nothing. */
char *volume_forget_dir(int data_fd, const char *name);
/* The row stays: put it back, if it was taken away.  A failure is logged. */
void volume_unbury_dir(int data_fd, const char *name);
/* At a start: put those that were taken away back where their rows are still there, and delete the others. */
void volume_unbury_dirs(int data_fd, bool (*is_known)(void *data, const char *name), void *data);
int volume_open_dir(int data_fd, const char *name, struct error *err); /* fd of _data */
/* Fill an empty one from an image's layers (volume/populate.h): all of it, durably, or nothing. */
struct volume_layers {
	const char *const *v; /* directories, top first */
	size_t n;
	const char *path; /* inside */
};
int volume_populate(int data_fd, const char *name, bool mounted, const struct volume_layers *layers,
		    struct error *err);

/* Mount what the options say on the directory, unless it is there.  `dir`: its absolute path. */
int volume_mount(const char *dir, const struct volume_map *options, struct error *err);
int volume_unmount(const char *dir, struct error *err); /* not mounted is fine */
