/* engine/rows.c - containers, endpoints, networks and execs in the database. */
#include "engine/rows.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/engine_priv.h"
#include "engine/health.h"
#include "network/network.h"
#include "volume/volume.h"

#define ROW_DOC_MAX ((size_t)8 << 20) /* bytes of a JSON document in a row */

static const char *const migrations[] = {
	"CREATE TABLE containers("
	" id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, image_id TEXT NOT NULL,"
	" spec TEXT NOT NULL, created_at INTEGER NOT NULL, removing INTEGER NOT NULL DEFAULT 0,"
	" status TEXT NOT NULL, pid INTEGER NOT NULL, exit_code INTEGER NOT NULL,"
	" oom_killed INTEGER NOT NULL, error TEXT NOT NULL, started_at INTEGER NOT NULL,"
	" finished_at INTEGER NOT NULL, restart_count INTEGER NOT NULL,"
	" starting_at INTEGER NOT NULL, stopped_by_user INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE endpoints("
	" id TEXT PRIMARY KEY, container_id TEXT NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX endpoints_by_container ON endpoints(container_id);"
	"CREATE TABLE networks(id TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE execs("
	" id TEXT PRIMARY KEY, container_id TEXT NOT NULL, body TEXT NOT NULL,"
	" started INTEGER NOT NULL, exit_code INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX execs_by_container ON execs(container_id);",
	"ALTER TABLE containers ADD COLUMN process_label TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE containers ADD COLUMN mount_label TEXT NOT NULL DEFAULT '';",
	"CREATE TABLE volumes(name TEXT PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;",
	"ALTER TABLE containers ADD COLUMN health TEXT NOT NULL DEFAULT '';",
};

int rows_migrate(struct db *db, struct error *err)
{
	return db_migrate(db, "engine", migrations, ARRAY_SIZE(migrations), err);
}

void row_state_of(const struct container *c, struct row_state *ret)
{
	*ret = (struct row_state){.state = c->state};
	(void)str_copy(ret->id, sizeof(ret->id), c->id);
	ret->state.error = xstrdup(c->state.error);
	ret->starting_at = c->rt->starting_at;
	ret->stopped_by_user = c->rt->stopped_by_user;
}

void row_state_done(struct row_state *s)
{
	free(s->state.error);
	s->state.error = NULL;
}

/* ---- loading --------------------------------------------------------------------------------- */

static char *copy_text(struct db_stmt *st, int column)
{
	const char *s = db_text(st, column);

	return xstrdup(s ? s : "");
}

static enum container_status status_parse(const char *name)
{
	for (int i = 0; i < CONTAINER_STATUS_COUNT; i++)
		if (str_eq(container_status_name((enum container_status)i), name))
			return (enum container_status)i;
	return CONTAINER_DEAD;
}

static int load_containers(struct db_tx *tx, struct rows *rows, struct error *err)
{
	struct db_stmt *st;
	int r = db_query(tx, &st, err,
			 "SELECT id, name, image_id, spec, created_at, removing, status, pid,"
			 " exit_code, oom_killed, error, started_at, finished_at, restart_count,"
			 " starting_at, stopped_by_user, process_label, mount_label, health"
			 " FROM containers ORDER BY created_at",
			 "");

	while (r >= 0 && (r = db_step(st, err)) > 0) {
		struct row_container *c;

		xgrow(rows->containers, rows->container_count, rows->container_cap);
		c = &rows->containers[rows->container_count++];
		*c = (struct row_container){.id = copy_text(st, 0),
					    .name = copy_text(st, 1),
					    .image_id = copy_text(st, 2),
					    .spec = copy_text(st, 3),
					    .created_at = db_int(st, 4),
					    .removal = (enum row_removal)db_int(st, 5)};
		c->spec_len = strlen(c->spec);
		c->s.state = (struct container_state){
			.status = status_parse(db_text(st, 6)),
			.pid = (pid_t)db_int(st, 7),
			.exit_code = (int)db_int(st, 8),
			.oom_killed = db_int(st, 9) != 0,
			.error = copy_text(st, 10),
			.started_at = db_int(st, 11),
			.finished_at = db_int(st, 12),
			.restart_count = (unsigned)db_int(st, 13),
		};
		(void)str_copy(c->s.id, sizeof(c->s.id), c->id);
		c->s.starting_at = db_int(st, 14);
		c->s.stopped_by_user = db_int(st, 15) != 0;
		c->process_label = copy_text(st, 16);
		c->mount_label = copy_text(st, 17);
		c->health = copy_text(st, 18);
	}
	return r;
}

static int load_endpoints(struct db_tx *tx, struct rows *rows, struct error *err)
{
	struct db_stmt *st;
	int r = db_query(tx, &st, err, "SELECT container_id, doc FROM endpoints ORDER BY id", "");

	while (r >= 0 && (r = db_step(st, err)) > 0) {
		xgrow(rows->endpoints, rows->endpoint_count, rows->endpoint_cap);
		rows->endpoints[rows->endpoint_count++] = (struct row_endpoint){
			.container_id = copy_text(st, 0), .doc = copy_text(st, 1)};
	}
	return r;
}

static int load_execs(struct db_tx *tx, struct rows *rows, struct error *err)
{
	struct db_stmt *st;
	int r = db_query(tx, &st, err,
			 "SELECT id, container_id, body, started, exit_code FROM execs", "");

	while (r >= 0 && (r = db_step(st, err)) > 0) {
		xgrow(rows->execs, rows->exec_count, rows->exec_cap);
		rows->execs[rows->exec_count++] =
			(struct row_exec){.id = copy_text(st, 0),
					  .container_id = copy_text(st, 1),
					  .body = copy_text(st, 2),
					  .started = db_int(st, 3) != 0,
					  .exit_code = (int)db_int(st, 4)};
	}
	return r;
}

static int load_job(struct db_tx *tx, void *data, struct error *err)
{
	struct rows *rows = data;
	struct db_stmt *st;
	int r = load_containers(tx, rows, err);

	r = r < 0 ? r : load_endpoints(tx, rows, err);
	r = r < 0 ? r : load_execs(tx, rows, err);
	r = r < 0 ? r : db_query(tx, &st, err, "SELECT doc FROM networks", "");
	while (r >= 0 && (r = db_step(st, err)) > 0)
		strv_add_take(&rows->networks, copy_text(st, 0));
	r = r < 0 ? r : db_query(tx, &st, err, "SELECT doc FROM volumes", "");
	while (r >= 0 && (r = db_step(st, err)) > 0)
		strv_add_take(&rows->volumes, copy_text(st, 0));
	return r;
}

int rows_load(struct db *db, struct rows *ret, struct error *err)
{
	*ret = (struct rows){0};
	return db_run(db, load_job, ret, DB_NORMAL, err);
}

void rows_done(struct rows *r)
{
	for (size_t i = 0; i < r->container_count; i++) {
		free(r->containers[i].id);
		free(r->containers[i].name);
		free(r->containers[i].image_id);
		free(r->containers[i].spec);
		free(r->containers[i].process_label);
		free(r->containers[i].mount_label);
		free(r->containers[i].health);
		row_state_done(&r->containers[i].s);
	}
	for (size_t i = 0; i < r->endpoint_count; i++) {
		free(r->endpoints[i].container_id);
		free(r->endpoints[i].doc);
	}
	for (size_t i = 0; i < r->exec_count; i++) {
		free(r->execs[i].id);
		free(r->execs[i].container_id);
		free(r->execs[i].body);
	}
	free(r->containers);
	free(r->endpoints);
	free(r->execs);
	strv_done(&r->networks);
	strv_done(&r->volumes);
	*r = (struct rows){0};
}

/* ---- changing -------------------------------------------------------------------------------- */

struct insert {
	const struct container *c;
	char *spec; /* owned */
};

static int insert_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct insert *in = data;
	const struct container *c = in->c;

	return db_exec(tx, err,
		       "INSERT INTO containers(id, name, image_id, spec, created_at, status, pid,"
		       " exit_code, oom_killed, error, started_at, finished_at, restart_count,"
		       " starting_at, stopped_by_user, process_label, mount_label)"
		       " VALUES(?, ?, ?, ?, ?, 'created', 0, 0, 0, '', 0, 0, 0, 0, 0, ?, ?)",
		       "ssssiss", c->id, c->name, c->image_id, in->spec, c->created_at,
		       c->labels.process, c->labels.mount);
}

int rows_insert(struct db *db, const struct container *c, struct error *err)
{
	autostrbuf struct strbuf spec = STRBUF_INIT(ROW_DOC_MAX);
	struct json_writer w;
	struct insert in = {.c = c};

	json_writer_init(&w, &spec);
	container_spec_write(c->spec, &w);
	if (strbuf_error(&spec) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "container's configuration");
	in.spec = spec.s;
	return db_run(db, insert_job, &in, DB_FULL, err);
}

struct update {
	const struct row_state *state;
	const char *container_id;
	struct strv ep_ids, ep_docs; /* owned */
	bool with_eps;
	enum row_removal removal;
};

static int state_job(struct db_tx *tx, const struct row_state *s, struct error *err)
{
	return db_exec(tx, err,
		       "UPDATE containers SET status = ?, pid = ?, exit_code = ?, oom_killed = ?,"
		       " error = ?, started_at = ?, finished_at = ?, restart_count = ?,"
		       " starting_at = ?, stopped_by_user = ? WHERE id = ?",
		       "sdddsiidids", container_status_name(s->state.status), (int)s->state.pid,
		       s->state.exit_code, (int)s->state.oom_killed, s->state.error,
		       s->state.started_at, s->state.finished_at, (int)s->state.restart_count,
		       s->starting_at, (int)s->stopped_by_user, s->id);
}

struct id_call {
	const char *id, *value;
	enum row_removal removal;
};

static int removal_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct id_call *call = data;

	return db_exec(tx, err, "UPDATE containers SET removing = ? WHERE id = ?", "ds",
		       (int)call->removal, call->id);
}

static int update_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct update *u = data;
	int r = u->state ? state_job(tx, u->state, err) : 0;

	if (r >= 0 && u->removal)
		r = removal_job(tx, &(struct id_call){.id = u->container_id, .removal = u->removal},
				err);
	if (r < 0 || !u->with_eps)
		return r;
	r = db_exec(tx, err, "DELETE FROM endpoints WHERE container_id = ?", "s", u->container_id);
	for (size_t i = 0; r >= 0 && i < u->ep_ids.n; i++)
		r = db_exec(tx, err, "INSERT INTO endpoints(id, container_id, doc) VALUES(?, ?, ?)",
			    "sss", u->ep_ids.v[i], u->container_id, u->ep_docs.v[i]);
	return r;
}

int rows_update(struct db *db, const struct row_update *u, struct error *err)
{
	struct update up = {.state = u->state,
			    .container_id = u->container_id,
			    .with_eps = u->eps != NULL,
			    .removal = u->removal};
	int r;

	for (size_t i = 0; i < u->ep_count; i++) {
		struct strbuf doc;
		struct json_writer w;

		strbuf_init(&doc, ROW_DOC_MAX);
		json_writer_init(&w, &doc);
		network_endpoint_encode(&w, u->eps[i]);
		strv_add(&up.ep_ids, u->eps[i]->id);
		strv_add_take(&up.ep_docs, strbuf_take(&doc));
	}
	r = db_run(db, update_job, &up, DB_NORMAL, err);
	strv_done(&up.ep_ids);
	strv_done(&up.ep_docs);
	return r;
}

static int post_state_job(struct db_tx *tx, void *data, struct error *err)
{
	return state_job(tx, data, err);
}

static void post_state_done(void *data, int r, struct error *err)
{
	if (r < 0)
		log_error("record a container's state: %s", error_msg(err));
	row_state_done(data);
	free(data);
}

void rows_post_state(struct db *db, const struct container *c)
{
	struct row_state *s = xnew0(struct row_state);

	row_state_of(c, s);
	db_post(db, post_state_job, s, DB_NORMAL, post_state_done);
}

struct post_health {
	char id[65];
	struct strbuf doc;
};

static int post_health_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct post_health *h = data;

	return db_exec(tx, err, "UPDATE containers SET health = ? WHERE id = ?", "ss", h->doc.s,
		       h->id);
}

static void post_health_done(void *data, int r, struct error *err)
{
	struct post_health *h = data;

	if (r < 0)
		log_error("record the health of container '%s': %s", h->id, error_msg(err));
	strbuf_done(&h->doc);
	free(h);
}

void rows_post_health(struct db *db, const struct container *c)
{
	struct post_health *h = xnew0(struct post_health);
	struct json_writer w;

	(void)str_copy(h->id, sizeof(h->id), c->id);
	strbuf_init(&h->doc, ROW_DOC_MAX);
	json_writer_init(&w, &h->doc);
	jw_object(&w);
	health_write(c->health, &w);
	jw_object_end(&w);
	db_post(db, post_health_job, h, DB_NORMAL, post_health_done);
}

static int rename_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct id_call *call = data;

	return db_exec(tx, err, "UPDATE containers SET name = ? WHERE id = ?", "ss", call->value,
		       call->id);
}

int rows_rename(struct db *db, const char *id, const char *name, struct error *err)
{
	struct id_call call = {id, name};

	return db_run(db, rename_job, &call, DB_NORMAL, err);
}

int rows_set_removal(struct db *db, const char *id, enum row_removal removal, struct error *err)
{
	struct id_call call = {.id = id, .removal = removal};

	return db_run(db, removal_job, &call, DB_NORMAL, err);
}

static int delete_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct id_call *call = data;
	static const char *const sql[] = {"DELETE FROM endpoints WHERE container_id = ?",
					  "DELETE FROM execs WHERE container_id = ?",
					  "DELETE FROM containers WHERE id = ?"};
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(sql); i++)
		r = db_exec(tx, err, sql[i], "s", call->id);
	return r;
}

int rows_delete(struct db *db, const char *id, struct error *err)
{
	struct id_call call = {.id = id};

	return db_run(db, delete_job, &call, DB_NORMAL, err);
}

static int post_delete_job(struct db_tx *tx, void *data, struct error *err)
{
	struct id_call call = {.id = data};

	return delete_job(tx, &call, err);
}

static void post_delete_done(void *data, int r, struct error *err)
{
	if (r < 0)
		log_error("remove the row of container '%s', which the next start of the daemon "
			  "does: %s",
			  (const char *)data, error_msg(err));
	free(data);
}

void rows_post_delete(struct db *db, const struct container *c)
{
	db_post(db, post_delete_job, xstrdup(c->id), DB_NORMAL, post_delete_done);
}

static int insert_exec_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct row_exec *x = data;

	return db_exec(tx, err,
		       "INSERT INTO execs(id, container_id, body, started, exit_code)"
		       " VALUES(?, ?, ?, 0, 0)",
		       "sss", x->id, x->container_id, x->body);
}

int rows_insert_exec(struct db *db, const struct row_exec *x, struct error *err)
{
	return db_run(db, insert_exec_job, (void *)(uintptr_t)x, DB_NORMAL, err);
}

static int post_exec_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct row_exec *x = data;

	return db_exec(tx, err, "UPDATE execs SET started = ?, exit_code = ? WHERE id = ?", "dds",
		       (int)x->started, x->exit_code, x->id);
}

static void post_exec_done(void *data, int r, struct error *err)
{
	struct row_exec *x = data;

	if (r < 0)
		log_error("record the state of exec '%s': %s", x->id, error_msg(err));
	free(x->id);
	free(x);
}

void rows_post_exec(struct db *db, const struct exec *x)
{
	struct row_exec *row;

	if (x->is_probe)
		return;
	row = xnew0(struct row_exec);
	row->id = xstrdup(x->id);
	row->started = x->started;
	row->exit_code = x->exit_code;
	db_post(db, post_exec_job, row, DB_NORMAL, post_exec_done);
}

static int delete_exec_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct row_exec *x = data;

	return db_exec(tx, err, "DELETE FROM execs WHERE id = ?", "s", x->id);
}

void rows_post_exec_delete(struct db *db, const struct exec *x)
{
	struct row_exec *row = xnew0(struct row_exec);

	row->id = xstrdup(x->id);
	db_post(db, delete_exec_job, row, DB_NORMAL, post_exec_done);
}

static int save_network_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct id_call *call = data;

	return db_exec(tx, err, "INSERT OR REPLACE INTO networks(id, doc) VALUES(?, ?)", "ss",
		       call->id, call->value);
}

int rows_save_network(struct db *db, const struct network *net, struct error *err)
{
	autostrbuf struct strbuf doc = STRBUF_INIT(ROW_DOC_MAX);
	struct id_call call = {.id = net->id};
	struct json_writer w;

	json_writer_init(&w, &doc);
	network_encode(&w, net);
	call.value = doc.s;
	return db_run(db, save_network_job, &call, DB_NORMAL, err);
}

static int delete_network_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct id_call *call = data;

	return db_exec(tx, err, "DELETE FROM networks WHERE id = ?", "s", call->id);
}

int rows_delete_network(struct db *db, const char *id, struct error *err)
{
	struct id_call call = {.id = id};

	return db_run(db, delete_network_job, &call, DB_NORMAL, err);
}

static int save_spec_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct id_call *call = data;

	return db_exec(tx, err, "UPDATE containers SET spec = ? WHERE id = ?", "ss", call->value,
		       call->id);
}

int rows_save_spec(struct db *db, const char *id, const char *doc, struct error *err)
{
	struct id_call call = {id, doc};

	return db_run(db, save_spec_job, &call, DB_NORMAL, err);
}

static int save_volume_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct id_call *call = data;

	return db_exec(tx, err, "INSERT OR REPLACE INTO volumes(name, doc) VALUES(?, ?)", "ss",
		       call->id, call->value);
}

int rows_save_volume(struct db *db, const struct volume *v, bool sync, struct error *err)
{
	autostrbuf struct strbuf doc = STRBUF_INIT(ROW_DOC_MAX);
	struct id_call call = {.id = v->name};
	struct json_writer w;

	json_writer_init(&w, &doc);
	volume_encode(&w, v);
	if (strbuf_error(&doc) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "volume's labels and options");
	call.value = doc.s;
	return db_run(db, save_volume_job, &call, sync ? DB_FULL : DB_NORMAL, err);
}

static int delete_volume_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct id_call *call = data;

	return db_exec(tx, err, "DELETE FROM volumes WHERE name = ?", "s", call->id);
}

int rows_delete_volume(struct db *db, const char *name, struct error *err)
{
	struct id_call call = {.id = name};

	return db_run(db, delete_volume_job, &call, DB_NORMAL, err);
}
