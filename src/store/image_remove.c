/* Removing images: Docker's rules and texts.
 *
 * A name is removed first; the image goes with its last one.  An image given by ID goes with all its
 * names if they are in one repository.  Child images and running containers cannot be forced; names
 * in several repositories and stopped containers can.  A container that stays keeps the layers.
 */
#include <string.h>

#include "base/crash.h"
#include "oci/image_ref.h"
#include "store/store_priv.h"

#define SHORT_ID    12
#define MAX_PARENTS 1024 /* pruned with a child */

struct removal {
	struct store *s;
	const struct store_remove_args *args;
	struct store_removed_list list; /* owned */
	struct store_doomed doomed;     /* owned */
	/* As Docker has it: the name goes, and that the image stays is an error all the same. */
	struct error stays; /* owned */
};

struct name {
	char *full; /* owned */
	struct image_ref ref;
	bool canonical; /* has a digest */
};

struct names {
	struct name *v; /* owned */
	size_t n, cap;
};

void store_removed_list_done(struct store_removed_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].name);
	free(l->v);
	*l = (struct store_removed_list){0};
}

static void record(struct removal *rm, bool deleted, char *name_take)
{
	struct store_removed_list *l = &rm->list;

	xgrow(l->v, l->n, l->cap);
	l->v[l->n++] = (struct store_removed){.deleted = deleted, .name = name_take};
}

/* ---- names ---- */

static void names_done(struct names *names)
{
	for (size_t i = 0; i < names->n; i++) {
		free(names->v[i].full);
		image_ref_done(&names->v[i].ref);
	}
	free(names->v);
	*names = (struct names){0};
}
#define autonames __attribute__((cleanup(names_done)))

static int load_names(struct db_tx *tx, const char *id, struct names *ret, struct error *err)
{
	struct db_stmt *st;
	int r = db_query(tx, &st, err, "SELECT name FROM image_names WHERE image = ? ORDER BY name",
			 "s", id);

	while (r >= 0 && (r = db_step(st, err)) > 0) {
		struct name n = {.full = xstrdup(db_text(st, 0))};

		if (image_ref_parse(n.full, &n.ref, NULL) < 0) {
			free(n.full); /* only valid names are ever stored */
			continue;
		}
		n.canonical = n.ref.digest != NULL;
		xgrow(ret->v, ret->n, ret->cap);
		ret->v[ret->n++] = n;
	}
	return r;
}

static bool same_repository(const struct image_ref *a, const struct image_ref *b)
{
	return str_eq(a->domain, b->domain) && str_eq(a->path, b->path);
}

/* One tag at most, and digests only of the tag's repository. */
static bool is_single(const struct names *names)
{
	const struct name *single = NULL;

	if (names->n <= 1)
		return true;
	for (size_t i = 0; i < names->n; i++) {
		if (names->v[i].canonical)
			continue;
		if (single)
			return false;
		single = &names->v[i];
	}
	if (!single)
		single = &names->v[0];
	for (size_t i = 0; i < names->n; i++)
		if (!same_repository(&names->v[i].ref, &single->ref))
			return false;
	return true;
}

static int untag(struct db_tx *tx, struct removal *rm, const struct name *n, struct error *err)
{
	int r = db_exec(tx, err, "DELETE FROM image_names WHERE name = ?", "s", n->full);

	if (r >= 0)
		record(rm, false, image_ref_familiar(&n->ref));
	return r;
}

static int untag_all(struct db_tx *tx, struct removal *rm, const char *id, struct error *err)
{
	autonames struct names names = {0};
	int r = load_names(tx, id, &names, err);

	for (size_t i = 0; i < names.n && r >= 0; i++)
		r = untag(tx, rm, &names.v[i], err);
	return r;
}

/* ---- conflicts ---- */

enum conflict {
	CONFLICT_CHILD = 1,
	CONFLICT_RUNNING = 2,
	CONFLICT_NAMES = 4,
	CONFLICT_STOPPED = 8,
	CONFLICT_HARD = CONFLICT_CHILD | CONFLICT_RUNNING,
	CONFLICT_SOFT = CONFLICT_NAMES | CONFLICT_STOPPED,
};

/* The newest container that holds the image and runs (or does not): 1 found. */
static int find_user(struct db_tx *tx, const struct removal *rm, const char *id, bool running,
		     char **ret, struct error *err)
{
	const struct store_remove_args *args = rm->args;
	struct db_stmt *st;
	int r;

	r = db_query(tx, &st, err, STORE_IMAGE_USERS_SQL, "s", id);
	while (r >= 0 && (r = db_step(st, err)) > 0) {
		const char *container = db_text(st, 0);
		bool is_running = !args->is_running || args->is_running(args->data, container);

		if (is_running == running) {
			*ret = xstrndup(container, SHORT_ID);
			db_stop(st);
			return 1;
		}
	}
	return r;
}

static int refuse(const char *id, bool hard, struct error *err, const char *why, const char *who)
{
	return error_set(err, ERROR_CONFLICT, 0, "conflict: unable to delete %.*s (%s) - %s%s",
			 SHORT_ID, digest_hex(id), hard ? "cannot be forced" : "must be forced",
			 why, who);
}

static int exists(struct db_tx *tx, const char *sql, const char *id, struct error *err)
{
	struct db_stmt *st;
	int r = db_query(tx, &st, err, sql, "s", id);

	if (r >= 0)
		r = db_step(st, err);
	if (r > 0)
		db_stop(st);
	return r;
}

/* ERROR_CONFLICT for the first of the conflicts in `mask`. */
static int check_conflicts(struct db_tx *tx, const struct removal *rm, const char *id,
			   unsigned mask, struct error *err)
{
	autofree char *user = NULL;
	int r = 0;

	if (mask & CONFLICT_CHILD)
		r = exists(tx, "SELECT 1 FROM images WHERE parent = ?", id, err);
	if (r != 0)
		return r < 0 ? r : refuse(id, true, err, "image has dependent child images", "");
	if (mask & CONFLICT_RUNNING)
		r = find_user(tx, rm, id, true, &user, err);
	if (r != 0)
		return r < 0 ? r
			     : refuse(id, true, err, "image is being used by running container ",
				      user);
	if (mask & CONFLICT_NAMES)
		r = exists(tx, "SELECT 1 FROM image_names WHERE image = ?", id, err);
	if (r != 0)
		return r < 0 ? r
			     : refuse(id, false, err,
				      "image is referenced in multiple repositories", "");
	if (mask & CONFLICT_STOPPED)
		r = find_user(tx, rm, id, false, &user, err);
	if (r != 0)
		return r < 0 ? r
			     : refuse(id, false, err, "image is being used by stopped container ",
				      user);
	return 0;
}

/* ---- the image itself ---- */

static int get_parent(struct db_tx *tx, const char *id, char ret[static DIGEST_STRING_SIZE],
		      struct error *err)
{
	struct db_stmt *st;
	int r = db_query(tx, &st, err,
			 "SELECT p.id FROM images AS i JOIN images AS p ON p.id = i.parent"
			 " WHERE i.id = ?",
			 "s", id);

	ret[0] = '\0';
	if (r >= 0)
		r = db_step(st, err);
	if (r > 0) {
		(void)str_copy(ret, DIGEST_STRING_SIZE, db_text(st, 0));
		db_stop(st);
	}
	return r < 0 ? r : 0;
}

static int delete_image(struct db_tx *tx, struct removal *rm, const char *id, struct error *err)
{
	int r = untag_all(tx, rm, id, err);

	if (r >= 0)
		r = db_exec(tx, err, "DELETE FROM images WHERE id = ?", "s", id);
	if (r < 0)
		return r;
	record(rm, true, xstrdup(id));
	return store_gc(tx, &rm->doomed, &rm->list, err);
}

/* Untagged parents that nobody uses go with their last child, quietly. */
static int prune_parents(struct db_tx *tx, struct removal *rm, char *id, struct error *err)
{
	for (unsigned i = 0; id[0] && i < MAX_PARENTS; i++) {
		autoerror struct error conflict = {0};
		char parent[DIGEST_STRING_SIZE];
		int r = check_conflicts(tx, rm, id, CONFLICT_HARD | CONFLICT_SOFT, &conflict);

		if (r < 0)
			return conflict.kind == ERROR_CONFLICT ? 0 : error_move(err, &conflict, r);
		r = get_parent(tx, id, parent, err);
		if (r >= 0)
			r = delete_image(tx, rm, id, err);
		if (r < 0)
			return r;
		memcpy(id, parent, sizeof(parent));
	}
	return 0;
}

/* quiet: a name was removed already, which is success enough if a container still uses the image. */
static int remove_image(struct db_tx *tx, struct removal *rm, const char *id, bool quiet,
			struct error *err)
{
	unsigned mask = CONFLICT_HARD | (rm->args->force ? 0 : CONFLICT_SOFT);
	autoerror struct error conflict = {0};
	char parent[DIGEST_STRING_SIZE];
	int r;

	if (quiet) {
		r = check_conflicts(tx, rm, id, CONFLICT_CHILD, &conflict);
		if (r < 0 && conflict.kind == ERROR_CONFLICT) {
			(void)error_move(&rm->stays, &conflict, r);
			return 0;
		}
		if (r < 0)
			return error_move(err, &conflict, r);
	}
	r = check_conflicts(tx, rm, id, mask, &conflict);
	if (r < 0 && conflict.kind == ERROR_CONFLICT && quiet)
		return 0;
	if (r < 0)
		return error_move(err, &conflict, r);
	r = get_parent(tx, id, parent, err);
	if (r >= 0)
		r = delete_image(tx, rm, id, err);
	if (r < 0 || rm->args->no_prune)
		return r;
	return prune_parents(tx, rm, parent, err);
}

/* ---- by name, by ID ---- */

static bool is_id_prefix(const char *id, const char *ref)
{
	return str_has_prefix(id, ref) || str_has_prefix(digest_hex(id), ref);
}

static const struct name *find_name(const struct names *names, const char *ref)
{
	autoimage_ref struct image_ref want = {0};
	autofree char *full = NULL;

	if (image_ref_parse(ref, &want, NULL) < 0)
		return NULL;
	if (want.digest) {
		free(want.tag);
		want.tag = NULL;
	}
	image_ref_default_tag(&want);
	full = image_ref_format(&want);
	for (size_t i = 0; i < names->n; i++)
		if (str_eq(names->v[i].full, full))
			return &names->v[i];
	return NULL;
}

/* Digests of a repository are kept for the sake of its tags. */
static int drop_digests(struct db_tx *tx, struct removal *rm, const struct names *names,
			const struct name *removed, struct error *err)
{
	int r = 0;

	if (removed->canonical)
		return 0;
	for (size_t i = 0; i < names->n; i++)
		if (&names->v[i] != removed && !names->v[i].canonical &&
		    same_repository(&names->v[i].ref, &removed->ref))
			return 0;
	for (size_t i = 0; i < names->n && r >= 0; i++)
		if (names->v[i].canonical && same_repository(&names->v[i].ref, &removed->ref))
			r = untag(tx, rm, &names->v[i], err);
	return r;
}

static int remove_by_name(struct db_tx *tx, struct removal *rm, const char *id,
			  const struct names *names, struct error *err)
{
	const struct name *n = find_name(names, rm->args->ref);
	autofree char *user = NULL, *familiar = NULL;
	int r;

	if (!n) /* resolved, so somebody removed it in between: cannot be, inside one job */
		return error_set(err, ERROR_NOT_FOUND, 0, "No such image: %s", rm->args->ref);
	if (!rm->args->force && is_single(names)) {
		r = find_user(tx, rm, id, true, &user, err);
		if (r == 0)
			r = find_user(tx, rm, id, false, &user, err);
		familiar = image_ref_familiar(&n->ref);
		if (r != 0)
			return r < 0 ? r
				     : error_set(err, ERROR_CONFLICT, 0,
						 "conflict: unable to remove repository reference "
						 "\"%s\" (must force) - container %s is using its "
						 "referenced image %.*s",
						 familiar, user, SHORT_ID, digest_hex(id));
	}
	r = untag(tx, rm, n, err);
	if (r >= 0)
		r = drop_digests(tx, rm, names, n, err);
	if (r >= 0)
		r = exists(tx, "SELECT 1 FROM image_names WHERE image = ?", id, err);
	if (r != 0)
		return r < 0 ? r : 0;
	return remove_image(tx, rm, id, true, err);
}

static int remove_by_id(struct db_tx *tx, struct removal *rm, const char *id,
			const struct names *names, struct error *err)
{
	int r;

	if (is_single(names)) {
		r = check_conflicts(tx, rm, id,
				    CONFLICT_HARD | (rm->args->force ? 0 : CONFLICT_STOPPED), err);
		if (r >= 0)
			r = untag_all(tx, rm, id, err);
		if (r < 0)
			return r;
	}
	return remove_image(tx, rm, id, false, err);
}

static int remove_job(struct db_tx *tx, void *data, struct error *err)
{
	autonames struct names names = {0};
	struct removal *rm = data;
	char id[DIGEST_STRING_SIZE];
	int r;

	r = store_image_resolve(tx, rm->args->ref, id, err);
	if (r >= 0)
		r = load_names(tx, id, &names, err);
	if (r < 0)
		return r;
	return is_id_prefix(id, rm->args->ref) && !find_name(&names, rm->args->ref)
		       ? remove_by_id(tx, rm, id, &names, err)
		       : remove_by_name(tx, rm, id, &names, err);
}

int store_image_remove(struct store *s, const struct store_remove_args *args,
		       struct store_removed_list *ret, struct error *err)
{
	struct removal rm = {.s = s, .args = args};
	int r;

	(void)pthread_mutex_lock(&s->files);
	/* FULL: files must not be gone after a power loss that brings the rows back. */
	r = db_run(s->db, remove_job, &rm, DB_FULL, err);
	if (r >= 0) {
		crash_point(CRASH_RMI_ROWS);
		store_bury(s, &rm.doomed);
	}
	(void)pthread_mutex_unlock(&s->files);
	if (r >= 0) {
		crash_point(CRASH_RMI_BURIED);
		store_delete_buried(s, &rm.doomed);
		crash_point(CRASH_RMI_DONE);
	}
	strv_done(&rm.doomed.paths);
	if (r >= 0 && rm.stays.msg) {
		*ret = rm.list;
		return error_move(err, &rm.stays, -EBUSY);
	}
	if (r < 0) {
		store_removed_list_done(&rm.list);
		return r;
	}
	*ret = rm.list;
	return 0;
}
