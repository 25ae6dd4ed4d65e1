/* Images made of containers.
 *
 * The container is frozen while its files are read, and goes on before the layer is written to the store.
 * A marker in its folder says that it was a commit that froze it: a daemon that is killed in between
 * leaves it, and the next one lets the container go on.
 */
#include "engine/images.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/crash.h"
#include "base/file.h"
#include "base/log.h"
#include "engine/config.h"
#include "engine/control.h"
#include "engine/engine_priv.h"
#include "engine/operation.h"
#include "engine/rootfs.h"
#include "engine/shim_client.h"
#include "oci/image_changes.h"
#include "store/store.h"

#define MARKER     "frozen" /* a file in containers/<id> */
#define MAX_CONFIG ((size_t)4 << 20)

struct freeze {
	struct engine *e;
	struct container *c;
	bool frozen;
};

static char *marker_path(const struct container *c)
{
	return xasprintf("%s/" MARKER, c->state_dir);
}

static int freeze(struct freeze *f, struct error *err)
{
	autofree char *marker = marker_path(f->c);
	autoerror struct error why = {0};
	int r = file_write_atomic(AT_FDCWD, marker, "", 0, 0600, 0, err);

	if (r < 0)
		return r;
	r = pause_locked(f->e, f->c, true, &why);
	f->frozen = r >= 0;
	if (r >= 0) {
		crash_point(CRASH_COMMIT_FROZEN);
		return 0;
	}
	(void)unlink(marker);
	/* It ended, which is as good. */
	return why.kind == ERROR_CONFLICT ? 0 : error_move(err, &why, r);
}

/* Its files have been read. */
static void thaw(void *data)
{
	struct freeze *f = data;
	autofree char *marker = marker_path(f->c);
	autoerror struct error err = {0};

	if (!f->frozen)
		return;
	f->frozen = false;
	/* It may have been killed meanwhile. */
	if (pause_locked(f->e, f->c, false, &err) < 0 && err.kind != ERROR_CONFLICT)
		log_error("container '%s' stays paused: %s", f->c->id, error_msg(&err));
	(void)unlink(marker);
	crash_point(CRASH_COMMIT_READ);
}

bool engine_commit_recover(const struct container *c, struct shim_client *shim)
{
	autofree char *marker = marker_path(c);
	autoerror struct error err = {0};
	struct shim_request q;

	if (access(marker, F_OK) < 0)
		return false;
	shim_request_init(&q, shim, "resume");
	if (shim_request_send_direct(&q, SHIM_REQUEST_TIMEOUT_MS, NULL, &err) < 0) {
		log_error("container '%s' stays paused: %s", c->id, error_msg(&err));
		return false;
	}
	(void)unlink(marker);
	return true;
}

/* ---- the new image's config ------------------------------------------------------------------ */

static int own_config(struct arena *a, const struct container *c, struct image_config *ret,
		      struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT(MAX_CONFIG);
	const struct json *doc = NULL;
	struct json_writer w;
	int r;

	json_writer_init(&w, &text);
	jw_object(&w);
	container_config_write(&c->spec->config, 151, &w);
	jw_object_end(&w);
	if (strbuf_error(&text) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "the container's configuration");
	r = json_parse(a, arena_strdup(a, text.s), text.len, &doc, err);
	return r < 0 ? r : image_config_decode(a, doc, ret, err);
}

/* What is asked for, then what the changes say, then what the container has and nothing said. */
static int make_config(struct arena *a, const struct container *c,
		       const struct engine_commit_args *args, struct image_config *ret,
		       struct error *err)
{
	struct image_config own = {0};
	int r = own_config(a, c, &own, err);

	*ret = own;
	if (r >= 0 && json_type(args->config) == JSON_OBJECT) {
		*ret = (struct image_config){0};
		r = image_config_decode(a, args->config, ret, err);
	}
	r = r < 0 ? r : image_changes_apply(a, ret, args->changes, err);
	if (r >= 0)
		image_config_inherit(a, ret, &own);
	return r;
}

static const char *join(struct arena *a, const struct json_strings *words)
{
	const char *s = "";

	for (size_t i = 0; i < words->n; i++)
		s = arena_printf(a, "%s%s%s", s, i ? " " : "", words->v[i]);
	return s;
}

/* ---- commit ---------------------------------------------------------------------------------- */

static int check_state(const struct container *c, struct error *err)
{
	if (c->state.status == CONTAINER_DEAD)
		return error_set(err, ERROR_CONFLICT, 0,
				 "You cannot commit container %s which is Dead", c->id);
	if (c->state.status == CONTAINER_REMOVING || c->rt->removing)
		return error_set(err, ERROR_CONFLICT, 0,
				 "You cannot commit container %s which is being removed", c->id);
	return 0;
}

struct commit_emit {
	struct engine *e;
	const struct container *c;
	const char *id, *name, *comment;
};

static void emit_on_loop(void *data)
{
	const struct commit_emit *call = data;
	const struct event_attr attrs[] = {
		{"comment", call->comment}, {"imageID", call->id}, {"imageRef", call->name}};
	struct event_attr name[] = {{"name", call->name}}, id[] = {{"name", call->id}};

	event_emit(call->e->events, &(struct event){.type = "image",
						    .action = "create",
						    .id = call->id,
						    .attrs = id,
						    .attr_count = 1});
	if (call->name[0])
		event_emit(call->e->events, &(struct event){.type = "image",
							    .action = "tag",
							    .id = call->id,
							    .attrs = name,
							    .attr_count = 1});
	engine_emit(call->e, call->c, "commit", attrs, ARRAY_SIZE(attrs));
}

static int commit_locked(struct engine *e, struct container *c,
			 const struct engine_commit_args *args, char *ret_id, struct error *err)
{
	autoarena struct arena *a = arena_new();
	struct freeze frost = {.e = e, .c = c};
	struct image_config config = {0};
	struct store_commit_args commit = {
		.container_id = c->id,
		.config = &config,
		.author = args->author,
		.comment = args->comment,
		.created_by = join(a, &c->spec->config.cmd),
		.name = args->name,
		.read = thaw,
		.data = &frost,
	};
	int r = check_state(c, err);

	r = r < 0 ? r : make_config(a, c, args, &config, err);
	if (r < 0)
		return r;
	engine_container_ids(e, c, &commit.ids);
	if (args->pause && c->state.status == CONTAINER_RUNNING)
		r = freeze(&frost, err);
	r = r < 0 ? r : store_commit(e->store, &commit, ret_id, err);
	thaw(&frost); /* if it came to nothing before */
	return r;
}

int engine_commit(struct engine *e, const struct engine_commit_args *args,
		  char ret_id[static DIGEST_STRING_SIZE], struct error *err)
{
	autofree char *name = NULL;
	struct operation op;
	int r = store_new_name(args->name, &name, err);

	r = r < 0 ? r : operation_begin(e, args->ref, "commit", 0, &op, err);
	if (r < 0)
		return r;
	r = commit_locked(e, op.container, args, ret_id, err);
	if (r >= 0) {
		autofree char *familiar = name ? store_familiar_name(name) : xstrdup("");

		engine_call(e, emit_on_loop,
			    &(struct commit_emit){e, op.container, ret_id, familiar,
						  args->comment ? args->comment : ""});
	}
	operation_end(&op);
	return r;
}
