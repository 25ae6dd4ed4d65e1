/* engine/unlink.c - DELETE /containers/PARENT/ALIAS?link=1: a container loses a link, not the one it leads to.
 *
 * A name of a network's goes at once.  /etc/hosts and the environment of a link on the default bridge are made by
 * the next start.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/engine_priv.h"
#include "engine/link.h"
#include "engine/operation.h"
#include "engine/resolver.h"
#include "engine/rows.h"

#define DOC_MAX ((size_t)8 << 20) /* bytes of a configuration */

struct change {
	struct container *c;
	struct json_strings links;
};

static void commit_on_loop(void *data)
{
	struct change *ch = data;

	ch->c->spec->host.links = ch->links;
}

static bool is_called(const char *link, const char *alias)
{
	autofree char *ref = NULL, *name = NULL;

	link_parse(link, &ref, &name);
	return strcmp(name, alias) == 0;
}

static int unlink_locked(struct engine *e, struct container *c, const char *alias,
			 struct error *err)
{
	autostrbuf struct strbuf doc = STRBUF_INIT(DOC_MAX);
	const struct json_strings *have = &c->spec->host.links;
	struct container_spec next = *c->spec;
	struct change ch = {.c = c};
	struct json_writer w;
	int r;

	/* In the configuration's arena, which lives as long as the container. */
	ch.links.v = arena_alloc(c->spec->arena, (have->n + 1) * sizeof(*ch.links.v));
	for (size_t i = 0; i < have->n; i++)
		if (!is_called(have->v[i], alias))
			ch.links.v[ch.links.n++] = have->v[i];
	if (ch.links.n == have->n)
		return error_set(err, ERROR_NOT_FOUND, 0, "No such container: %s/%s", c->name,
				 alias);
	if (ch.links.n == 0)
		ch.links = (struct json_strings){0};
	next.host.links = ch.links;
	json_writer_init(&w, &doc);
	container_spec_write(&next, &w);
	if (strbuf_error(&doc) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "container's configuration");
	r = rows_save_spec(e->db, c->id, doc.s, err);
	if (r < 0)
		return r;
	engine_call(e, commit_on_loop, &ch);
	return container_is_active(c) ? resolver_write_container(e, c, err) : 0;
}

int engine_unlink(struct engine *e, const char *ref, struct error *err)
{
	const char *slash = strrchr(ref, '/');
	autofree char *parent = slash ? xstrndup(ref, (size_t)(slash - ref)) : NULL;
	struct operation op;
	bool own = str_empty(parent) || slash[1] == '\0';
	int r;

	r = operation_begin(e, own ? ref : parent, "unlink", 0, &op, err);
	if (r < 0)
		return r;
	if (own)
		r = error_set(err, ERROR_CONFLICT, 0,
			      "Conflict, cannot remove the default link name of the container");
	else
		r = unlink_locked(e, op.container, slash + 1, err);
	operation_end(&op);
	return r;
}
