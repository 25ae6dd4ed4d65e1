/* engine/rows.h - containers, endpoints, networks and execs in the database.
 *
 * The functions that wait are for workers; what they need of a container is copied by row_state_of on
 * the loop's thread, or belongs to the worker's operation.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/container.h"
#include "store/db.h"
#include "volume/volume.h"

int rows_migrate(struct db *db, struct error *err);

/* What changes in a container's life. */
struct row_state {
	char id[65];
	struct container_state state; /* error owned */
	int64_t starting_at;
	bool stopped_by_user;
};
void row_state_of(const struct container *c, struct row_state *ret);
void row_state_done(struct row_state *s);

/* How far a container's removal is recorded; what a restarted daemon goes on with. */
enum row_removal { ROW_REMOVAL_NONE, ROW_REMOVAL_BEGUN, ROW_REMOVAL_WITH_VOLUMES };

struct row_container {
	char *id, *name, *image_id, *spec; /* owned */
	char *process_label, *mount_label; /* owned */
	char *health;                      /* owned; "": none */
	size_t spec_len;
	int64_t created_at;
	struct row_state s;
	enum row_removal removal;
};
struct row_endpoint {
	char *container_id, *doc; /* owned; doc: network_endpoint_encode */
};
struct row_exec {
	char *id, *container_id, *body; /* owned; body: Docker's ExecConfig */
	bool started;
	int exit_code;
};
struct rows {
	struct row_container *containers; /* owned, all of them */
	size_t container_count, container_cap;
	struct row_endpoint *endpoints;
	size_t endpoint_count, endpoint_cap;
	struct row_exec *execs;
	size_t exec_count, exec_cap;
	struct strv networks; /* network_encode */
	struct strv volumes;  /* volume_encode */
};
/* [worker, or before the loop] */
int rows_load(struct db *db, struct rows *ret, struct error *err);
void rows_done(struct rows *r);
#define autorows __attribute__((cleanup(rows_done)))

/* A new container, durable (DB_FULL). */
int rows_insert(struct db *db, const struct container *c, struct error *err);
/* Its state, and its endpoints if eps is not NULL, in one commit. */
struct row_update {
	const struct row_state *state; /* NULL: unchanged */
	const char *container_id;
	struct network_endpoint *const *eps; /* NULL: unchanged; else they replace what is there */
	size_t ep_count;
	enum row_removal removal; /* has begun: as rows_set_removal() */
};
int rows_update(struct db *db, const struct row_update *u, struct error *err);
/* [loop] Queue the state as it is now. */
void rows_post_state(struct db *db, const struct container *c);
/* [loop] Queue its health (health_write). */
void rows_post_health(struct db *db, const struct container *c);
int rows_rename(struct db *db, const char *id, const char *name, struct error *err);
int rows_set_removal(struct db *db, const char *id, enum row_removal removal, struct error *err);
/* With its endpoints and execs. */
int rows_delete(struct db *db, const char *id, struct error *err);
/* [loop] The same, queued.  Its removal has been recorded: should this fail, a restart repeats it. */
void rows_post_delete(struct db *db, const struct container *c);

int rows_insert_exec(struct db *db, const struct row_exec *x, struct error *err);
/* [loop] */
void rows_post_exec(struct db *db, const struct exec *x);
void rows_post_exec_delete(struct db *db, const struct exec *x);
/* sync: durable when it returns; else with the next commit that is. */
int rows_save_volume(struct db *db, const struct volume *v, bool sync, struct error *err);
int rows_delete_volume(struct db *db, const char *name, struct error *err);
int rows_delete_network(struct db *db, const char *id, struct error *err);
/* The configuration's document (container_spec_write). */
int rows_save_spec(struct db *db, const char *id, const char *doc, struct error *err);
int rows_save_network(struct db *db, const struct network *net, struct error *err);
